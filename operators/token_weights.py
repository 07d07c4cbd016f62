"""How many tokens the signs of each script make: of a run, of each sign, of each after the sixth.

Fitted by `jobs/models/fit_token_weights.py` to o200k_base, the 200,000 byte pairs of GPT-4o; what
they are worth is in docs/text-measures.md. Letters of ASCII and other Latin letters share a run.
"""

from __future__ import annotations

WEIGHTS: dict[str, tuple[float, float, float]] = {
    "space": (1.00, 0.00, 0.00),
    "ascii letter": (0.00, 0.00, 0.11),
    "latin letter": (0.00, 1.44, 0.00),
    "digit": (0.66, 0.30, 0.00),
    "punctuation": (0.00, 0.93, 0.00),
    "other sign": (0.00, 0.00, 0.00),
    "greek or cyrillic": (0.00, 0.13, 0.00),
    "arabic or hebrew": (0.00, 0.20, 0.00),
    "indic": (0.00, 0.27, 0.00),
    "thai, lao, khmer, burmese": (0.00, 0.41, 0.00),
    "other letter": (0.00, 0.26, 0.00),
    "han": (0.00, 0.74, 0.00),
    "kana": (0.00, 0.72, 0.00),
    "hangul": (0.00, 0.54, 0.00),
}
