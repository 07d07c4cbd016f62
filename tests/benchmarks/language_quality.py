"""How well languages are told: `python -m tests.benchmarks.language_quality FILE.tsv`.

FILE has a header and lines of `lang`, `source`, `text`, separated by tabs. For each source it
prints, for lid.176 alone and for the operator: macro-F1 (the mean over the file's languages of the
harmonic mean of precision and recall, `und` being wrong), the share of lines decided, and how many
of those are right. With the operator's defaults, and again with everything decided; F1 again over
the languages that lid.176 knows; and what is confused most often. Codes are brought to one form
for both sides alike.
"""

from __future__ import annotations

import argparse
import csv
import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from rich.console import Console
from rich.table import Table

from operators.language import LID_176, UNDECIDED, Identifier, LanguageId
from schemas import columns

# One code for what one of the sides does not part: Bokmål under the code of Norwegian, and so on.
ONE_CODE = {"no": "nb", "arz": "ar", "wuu": "zh", "yue": "zh", "sh": "sr"}
DECIDE_ALL = {"min_chars": 1, "node_min_chars": 1, "min_score": 0.0, "short_score": 0.0}
_CONFUSIONS = 25
_RESAMPLES = 200


def macro_f1(gold: Sequence[str], found: Sequence[str]) -> float:
    """The mean over gold's languages of the F1 of each."""
    right = Counter(g for g, f in zip(gold, found, strict=True) if g == f)
    of_gold, of_found = Counter(gold), Counter(found)
    return sum(2 * right[c] / (of_gold[c] + of_found[c]) for c in of_gold) / len(of_gold)


def gain_interval(
    gold: Sequence[str], one: Sequence[str], other: Sequence[str], seed: int = 0
) -> tuple[float, float]:
    """The middle 95 % of `other`'s macro-F1 less `one`'s, over lines drawn with replacement."""
    chance = random.Random(seed)
    gains = []
    for _ in range(_RESAMPLES):
        drawn = chance.choices(range(len(gold)), k=len(gold))
        labels = [gold[line] for line in drawn]
        answers = ([side[line] for line in drawn] for side in (one, other))
        first, second = (macro_f1(labels, answer) for answer in answers)
        gains.append(second - first)
    gains.sort()
    return gains[_RESAMPLES // 40], gains[-1 - _RESAMPLES // 40]


def identified(texts: Sequence[str], state: Identifier, **fields: Any) -> list[str]:
    """The operator's language of each text."""
    rows = [[{"kind": "text", "text": text, "dom_index": 0}] for text in texts]
    batch = pa.table({"nodes": pa.array(rows, columns.column("nodes").type)})
    return [_one(code) for code in LanguageId(**fields).measure(batch, state)["lang"].to_pylist()]


def _one(code: str) -> str:
    return ONE_CODE.get(code, code)


def main() -> None:
    """Print the figures of a file."""
    import fasttext

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    lines = _read(parser.parse_args().file)
    model, state = fasttext.load_model(str(LID_176)), LanguageId().setup()
    known = {_one(label.removeprefix("__label__")) for label in model.get_labels()}
    out = Console(width=120, highlight=False)
    for source, pairs in lines.items():
        gold = [_one(lang) for lang, _ in pairs]
        texts = [text for _, text in pairs]
        labels, _ = model.predict(texts, k=1)
        plain = [_one(best[0].removeprefix("__label__")) if best else UNDECIDED for best in labels]
        sides = {
            "lid.176 alone": plain,
            "ours": identified(texts, state),
            "ours, all decided": identified(texts, state, **DECIDE_ALL),
        }
        table = Table(f"{source}: {len(gold)} lines, {len(set(gold))} languages", box=None)
        for title in ("macro-F1", "of lid.176's languages", "decided", "right of these"):
            table.add_column(title, justify="right")
        for side, found in sides.items():
            table.add_row(side, *_figures(gold, found, known))
        out.print(table)
        low, high = gain_interval(gold, plain, sides["ours"])
        out.print(f"gain in macro-F1, 95 % of resamples: {low:+.3f} to {high:+.3f}")
        wrong = Counter(
            (g, f) for g, f in zip(gold, sides["ours"], strict=True) if f not in (g, UNDECIDED)
        )
        out.print(
            "taken for another: "
            + ", ".join(f"{g} for {f} {n}" for (g, f), n in wrong.most_common(_CONFUSIONS))
        )
        out.print()


def _figures(gold: list[str], found: list[str], known: set[str]) -> list[str]:
    covered = [(g, f) for g, f in zip(gold, found, strict=True) if g in known]
    decided = [g == f for g, f in zip(gold, found, strict=True) if f != UNDECIDED]
    return [
        f"{macro_f1(gold, found):.4f}",
        f"{macro_f1([g for g, _ in covered], [f for _, f in covered]):.4f}",
        f"{len(decided) / len(gold):.3f}",
        f"{sum(decided) / max(len(decided), 1):.4f}",
    ]


def _read(path: Path) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            found[row["source"]].append((row["lang"], row["text"]))
    return found


if __name__ == "__main__":
    main()
