"""How many tokens the signs of each script make: of a run, of each sign, of each after the sixth."""

from __future__ import annotations

WEIGHTS: dict[str, tuple[float, float, float]] = {
    "space": (0.0, 0.0, 0.0),
    "ascii letter": (1.0, 0.0, 0.1),
    "latin letter": (0.0, 0.5, 0.0),
    "digit": (0.5, 0.3, 0.0),
    "punctuation": (0.8, 0.1, 0.0),
    "other sign": (0.0, 1.5, 0.0),
    "greek or cyrillic": (0.5, 0.3, 0.0),
    "arabic or hebrew": (0.3, 0.4, 0.0),
    "indic": (0.0, 0.5, 0.0),
    "thai, lao, khmer, burmese": (0.0, 0.5, 0.0),
    "other letter": (0.0, 1.0, 0.0),
    "han": (0.0, 0.8, 0.0),
    "kana": (0.0, 0.6, 0.0),
    "hangul": (0.0, 0.6, 0.0),
}
