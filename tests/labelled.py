"""Small labelled texts for tests of classifiers: advertisements and tales, made by a seed."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

_TALE = (
    "garden river mountain quiet evening walked along saw old trees birds friends reading letters "
    "music slowly home 河边 老树 安静 回家 朋友"
).split()
_AD = "buy cheap discount offer click now best price sale free shipping 折扣 优惠 免费 购买".split()


def rows(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Rows of text, label (one in three is 'ads') and site."""
    chance = random.Random(seed)
    found = []
    for number in range(count):
        ad = number % 3 == 0
        words = [
            chance.choice(_AD if ad and chance.random() < 0.5 else _TALE)
            for _ in range(chance.randint(15, 40))
        ]
        label = "ads" if ad else "clean"
        found.append({"text": " ".join(words) + ".", "label": label, "site": f"s{number % 29}.org"})
    return found


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    """The rows as JSON lines."""
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text("".join(lines), "utf-8")
    return path
