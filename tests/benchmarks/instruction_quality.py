"""How often measures of instructions are right: `python -m tests.benchmarks.instruction_quality`.

With a folder that has `captions.tsv`, columns image and caption, several a photo: one caption of
each photo plays the answer and is held against the photo's other captions, and against those of
another photo. Printed are the ROC-AUC of several formulas for how much of it is known, on each half
of the photos (by a hash of their names), and what the thresholds of `Grounding` and of its rule do;
then what happens when a colour or a number of a caption is swapped for another. Always printed is
what is measured on the sentences of `tests/labelled_instructions.py`, and rows a CPU second.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import re
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from operators.answer_phrases import CHAT, PLACEHOLDER, REFUSAL, SOURCE_LEAK
from operators.answer_words import content, question_words, tokens
from operators.base import Operator
from operators.grounding import Grounding, spoken_of
from operators.instruction_checks import AnswerChecks, one_width
from operators.question_repeats import QuestionRepeats, alike
from tests.benchmarks.clip_quality import roc_auc
from tests.labelled_instructions import (
    DEVELOPED,
    HELD_OUT,
    SCENES_ZH,
    labelled,
    question_pairs,
)

PHRASES = {"refusal": REFUSAL, "leak": SOURCE_LEAK, "chat": CHAT}
COLOURS = "red orange yellow green blue purple pink brown black white gray".split()
NUMBERS = "two three four five six seven eight nine".split()
RULE = 0.2  # of instructions_ungrounded


def recall(of: Callable[[str], Any]) -> Callable[[str, str], float]:
    """Share of what the answer has that is known too."""

    def score(answer: str, known: str) -> float:
        said, there = set(of(answer)), set(of(known))
        return len(said & there) / len(said) if said else 0.5

    return score


def jaccard(answer: str, known: str) -> float:
    """Jaccard similarity of content words."""
    said, there = content(answer), content(known)
    return len(said & there) / len(said | there) if said | there else 0.5


def trigrams(answer: str, known: str) -> float:
    """Mean likeness (Dice of letter trigrams) of each content word to the likeliest known one."""
    there = [_trigrams(word) for word in content(known)]
    best = [
        max((2 * len(own & t) / (len(own) + len(t)) for t in there), default=0.0)
        for own in map(_trigrams, content(answer))
    ]
    return float(np.mean(best)) if best else 0.5


def _trigrams(word: str) -> set[str]:
    padded = f"^{word}$"
    return {padded[at : at + 3] for at in range(len(padded) - 2)}


FORMULAS: dict[str, Callable[[str, str], float]] = {
    "content words known (Grounding)": recall(spoken_of),
    "all words known": recall(tokens),
    "likeness of letter trigrams": trigrams,
    "Jaccard of content words": jaccard,
}


def main() -> int:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?")
    folder = parser.parse_args().folder
    out = Console(width=120)
    out.print(_phrases(), _questions(), _scenes(), _speed())
    if folder is not None:
        photos = _photos(folder / "captions.tsv")
        out.print(_grounding(photos), _swaps(photos), _false_alarms(photos))
    return 0


def _phrases() -> Table:
    table = Table("phrases", "sentences", "found", "of", "wrongly", box=None)
    for name, text in (("developed", DEVELOPED), ("held out, after mending", HELD_OUT)):
        rows = labelled(text)
        for label, pattern in PHRASES.items():
            hits = [said == label for said, line in rows if pattern.search(one_width(line))]
            wanted = sum(said == label for said, _ in rows)
            counts = (len(rows), sum(hits), wanted, len(hits) - sum(hits))
            table.add_row(f"{label}, {name}", *map(str, counts))
    return table


def _questions() -> Table:
    table = Table("pairs of questions", "pairs", "taken for near-duplicates", box=None)
    least = QuestionRepeats().threshold
    for label in ("same", "other", "paraphrase"):
        pairs = [(one, other) for said, one, other in question_pairs() if said == label]
        words = [(question_words(one), question_words(other)) for one, other in pairs]
        found = [alike(frozenset(one), frozenset(other), least) for one, other in words]
        table.add_row(label, str(len(pairs)), str(sum(found)))
    return table


def _scenes() -> Table:
    scenes = [line.split("|") for line in SCENES_ZH.strip().splitlines()]
    score = FORMULAS["content words known (Grounding)"]
    found = [
        (score(scenes[a][side], text), a == b)
        for a in range(len(scenes))
        for side in (0, 1)
        for b in range(len(scenes))
        for text in (scenes[b] if a != b else [scenes[b][1 - side]])
    ]
    scores, own = (np.array(values) for values in zip(*found, strict=True))
    table = Table("Chinese scenes", "own", "others", "ROC-AUC", "own below the rule", box=None)
    below = float((scores[own] < RULE).mean())
    counts = (str(int(own.sum())), str(int((~own).sum())))
    table.add_row("two descriptions", *counts, f"{roc_auc(scores, own):.3f}", f"{below:.3f}")
    return table


def _speed() -> Table:
    sentences = [line for _, line in labelled(DEVELOPED)] * 50
    rows = [
        _row(
            f"What is to be said of scene {number % 97}?", " ".join(sentences[number : number + 3])
        )
        | {"instruction_id": str(number), "image_sha256": str(number // 13), "caption_en": line}
        for number, line in enumerate(sentences)
    ]
    table = Table("operator", "rows a CPU second", box=None)
    kinds: tuple[type[Operator[Any]], ...] = (AnswerChecks, Grounding, QuestionRepeats)
    for kind in kinds:
        operator = kind()
        batch = pa.Table.from_pylist(rows, schema=operator.needs())
        state = operator.setup()
        started = time.process_time()
        operator.measure(batch, state)
        table.add_row(kind.name, f"{len(rows) / (time.process_time() - started):,.0f}")
    return table


def _row(question: str, answer: str) -> dict[str, Any]:
    return {
        "instruction_kind": "long_vqa",
        "instruction_lang": "en",
        "turns": [{"question": question, "answer": answer}],
        "options": [],
        "seeds": [],
    }


def _grounding(photos: dict[str, list[str]]) -> Table:
    names = sorted(photos)
    shift = len(names) // 2
    found: dict[str, list[tuple[float, bool, int]]] = defaultdict(list)
    for at, name in enumerate(names):
        answer, own = photos[name][0], "\n".join(photos[name][1:])
        other = "\n".join(photos[names[(at + shift) % len(names)]][1:])
        for formula, score in FORMULAS.items():
            found[formula] += [(score(answer, own), True, _half(name))]
            found[formula] += [(score(answer, other), False, _half(name))]
    table = Table("formula", "ROC-AUC half 0", "half 1", box=None)
    for title in (f"own below {RULE}", "others below", "own below 0.34", "others below"):
        table.add_column(title, justify="right")
    for formula, rows in found.items():
        scores, matches, half = (np.array(values) for values in zip(*rows, strict=True))
        aucs = [f"{roc_auc(scores[half == h], matches[half == h]):.3f}" for h in (0, 1)]
        shares = [
            f"{float((scores[side] < least).mean()):.3f}"
            for least in (RULE, Grounding().min_share)
            for side in (matches, ~matches)
        ]
        table.add_row(formula, *aucs, *shares)
    return table


def _swaps(photos: dict[str, list[str]]) -> Table:
    """What is found of captions before and after a word that others have too is swapped."""
    table = Table("swapped", "captions", "unknown details before", "more of them after", box=None)
    for name, words in (("colour", COLOURS), ("number", NUMBERS)):
        before, after = (_details(rows) for rows in zip(*_swapped(photos, words), strict=True))
        alarms = float(np.mean([count > 0 for count in before]))
        caught = float(np.mean([b < a for b, a in zip(before, after, strict=True)]))
        table.add_row(name, str(len(before)), f"{alarms:.3f}", f"{caught:.3f}")
    return table


def _swapped(
    photos: dict[str, list[str]], words: list[str]
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for captions in photos.values():
        for at, caption in enumerate(captions):
            known = "\n".join(captions[:at] + captions[at + 1 :])
            shared = [w for w in tokens(caption) if w in words and w in tokens(known)]
            if shared:
                others = [word for word in words if word != shared[0]]
                new = others[len(caption) % len(others)]
                false = re.sub(rf"\b{shared[0]}\b", new, caption, flags=re.IGNORECASE)
                rows = (_row("What is to be seen?", text) for text in (caption, false))
                one, other = (row | {"caption_en": known} for row in rows)
                yield one, other


def _details(rows: tuple[dict[str, Any], ...]) -> list[int]:
    batch = pa.Table.from_pylist(list(rows), schema=Grounding().needs())
    found = Grounding().measure(batch, None)["ungrounded_details"].to_pylist()
    return [len(details) for details in found]


def _false_alarms(photos: dict[str, list[str]]) -> Table:
    captions = [one_width(caption) for own in photos.values() for caption in own]
    table = Table("captions taken for", "of", "captions", box=None)
    for name, pattern in (PHRASES | {"placeholder": PLACEHOLDER}).items():
        hits = sum(bool(pattern.search(caption)) for caption in captions)
        table.add_row(name, str(hits), str(len(captions)))
    return table


def _photos(path: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    with path.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE):
            found[row["image"]].append(row["caption"])
    return found


def _half(name: str) -> int:
    return int(hashlib.sha256(name.encode()).hexdigest(), 16) % 2


if __name__ == "__main__":
    sys.exit(main())
