"""How well languages are told: `python -m tests.benchmarks.language_quality FILE.tsv`.

FILE has a header and lines of `lang`, `source`, `text`, separated by tabs. For each source it
prints, for lid.176 alone and for the operator: macro-F1 (the mean over the file's languages of the
harmonic mean of precision and recall, `und` being wrong), the share of lines decided, and how many
of those are right. With the operator's defaults, and again with everything decided; F1 again over
the languages that lid.176 knows; and what is confused most often. Codes are brought to one form
for both sides alike.

Then, for texts of several lines of one language: macro-F1 and the share of right answers by how
many letters are looked at. And how far the operator's own loop is from fasttext's `predict` on the
same words, which both cut alike where each is of one script and at most a hundred bytes long.
"""

from __future__ import annotations

import argparse
import csv
import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from operators.language import (
    LID_176,
    OWN,
    UNDECIDED,
    Identifier,
    LanguageId,
    load,
    texts_as_bytes,
)
from operators.ngram_model import (
    LONGEST_WORD,
    Classifier,
    Floats,
    new_memo,
    sum_texts,
)
from operators.scripts import NUMBER, PLANES, letters_only, script_table
from schemas import columns

# One code for what one of the sides does not part: Bokmål under the code of Norwegian, and so on.
ONE_CODE = {"no": "nb", "arz": "ar", "wuu": "zh", "yue": "zh", "sh": "sr"}
DECIDE_ALL = {"min_chars": 1, "node_min_chars": 1, "min_score": 0.0, "short_score": 0.0}
_CONFUSIONS = 25
_JOINED, _LETTERS = (1, 3, 8), (50, 75, 100, 150, 300, 600, 1000)
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
    for count in _JOINED:
        out.print(letters_table(lines, count, state))
    for number, path in enumerate((LID_176, OWN)):
        out.print(agreement([text for pairs in lines.values() for _, text in pairs], number, path))


def letters_table(
    lines: dict[str, list[tuple[str, str]]], count: int, state: Identifier, seed: int = 3
) -> Table:
    """Quality by letters looked at, on texts of `count` lines of the source with most words."""
    source = max(lines, key=lambda name: sum(len(text) for _, text in lines[name]))
    of_language = defaultdict(list)
    for lang, text in lines[source]:
        of_language[_one(lang)].append(text)
    chance = random.Random(seed)
    gold, texts = [], []
    for lang, own in sorted(of_language.items()):
        chance.shuffle(own)
        for start in range(0, len(own), count):
            gold.append(lang)
            texts.append(" ".join(own[start : start + count]))
    title = f"{len(texts)} texts of {count} lines, {source}"
    table = Table("letters looked at", "macro-F1", "right", title=title, box=None)
    for letters in _LETTERS:
        found = identified(texts, state, max_chars=letters, node_max_chars=1)
        right = sum(g == f for g, f in zip(gold, found, strict=True)) / len(gold)
        table.add_row(str(letters), f"{macro_f1(gold, found):.4f}", f"{right:.4f}")
    return table


def agreement(texts: list[str], number: int, path: Path) -> str:
    """How the classifier's answers by the operator's loop differ from those of fasttext."""
    import fasttext

    cleaned = [letters_only(text) for text in texts]
    texts = [text for text in cleaned if text and all(map(_cut_alike, text.split()))]
    classifier, own = all_words_scored(texts, number)
    labels, scores = fasttext.load_model(str(path)).predict(texts, k=1)
    names = [classifier.labels[best] for best in own.argmax(axis=1)]
    other = sum(f"__label__{name}" != best[0] for name, best in zip(names, labels, strict=True))
    apart = abs(own.max(axis=1) - np.concatenate(scores))
    return (
        f"{path.name}: {len(texts)} of {len(cleaned)} lines are cut alike; {other} labels differ; "
        f"the probability by {np.median(apart):.6f} at the median, {apart.max():.6f} at most"
    )


def all_words_scored(texts: list[str], number: int) -> tuple[Classifier, Floats]:
    """A classifier, and its probabilities for the texts' words of all scripts together; (N, L)."""
    state = load(LID_176, OWN)
    slots = np.zeros_like(state.alphabet.slot)
    slots[: NUMBER["Inherited"] + 1] = -1
    sums = sum_texts(
        *texts_as_bytes(pa.array(texts)),
        np.full(len(texts), max(map(len, texts))),
        state.alphabet._replace(slot=slots),
        state.table,
        new_memo(state.table),
    )
    return state.classifiers[number], state.probabilities(number, sums.vectors[:, 0])


def _cut_alike(word: str) -> bool:
    """Whether fasttext and the loop both take the word for one."""
    scripts = [script_table()[ord(sign)] for sign in word if ord(sign) < PLANES]
    alone = set(scripts) - {NUMBER["Inherited"]}
    return len(alone) == 1 and scripts[0] in alone and len(word.encode()) <= LONGEST_WORD


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
