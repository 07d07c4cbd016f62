"""The command for documents that are made up on reading: `python -m tests.benchmarks.synthetic`.

A recipe without extraction, for what happens to millions of texts. A document's number is its
address, and decides its text: words drawn with the frequencies that they have in the bundled pages.
One in ten is a copy of an earlier document with a twentieth part of it, in one place, written anew;
its near duplicates are known, so that what deduplication finds can be counted.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.base import Operator, measured
from operators.dedup import NearDuplicates
from operators.minhash import MinHash
from pipelines import plan
from pipelines.cli import main
from pipelines.recipe import Recipe, step
from schemas import columns
from tests.support import sample_pages

WORDS = 300
_COPIES = 10  # one document in so many
_REWRITTEN = 20  # a copy differs in one part of so many
_PARAGRAPH = 100  # words
_TAG = re.compile(rb"<(script|style)\b.*?</\1>|<[^>]*>", re.S)


def base_of(number: int) -> int:
    """The document that a copy was made of; the number itself for an original."""
    chance = int(_random(number, 1, 1)[0])
    if number == 0 or chance % _COPIES:
        return number
    return base_of(chance // _COPIES % number)


def _random(number: int, stream: int, count: int) -> npt.NDArray[np.uint64]:
    """Random numbers of a document: SplitMix64 (Steele et al. 2014) at places of its own."""
    start = np.uint64((number * 4 + stream) * 0x9E3779B97F4A7C15 * 4096 % 2**64)
    mixed = start + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


class SyntheticNodes(Operator[Any]):
    """The text of the document whose number the address ends in."""

    name = "synthetic_nodes"
    reads = columns.schema("url")
    writes = columns.schema("nodes")

    def setup(self) -> tuple[list[str], npt.NDArray[np.float64]]:
        """Words of the bundled pages, and how much of their text they and those before make up."""
        pages = (_TAG.sub(b" ", page).decode(errors="replace") for page in sample_pages())
        counts = Counter(word for page in pages for word in page.split())
        words = sorted(counts)
        shares = np.cumsum([counts[word] for word in words], dtype=np.float64)
        return words, shares / shares[-1]

    def measure(self, batch: pa.Table, state: Any) -> pa.Table:
        """A text node a paragraph."""
        numbers = (int(url.rpartition("/")[2]) for url in batch["url"].to_pylist())
        return measured(self.writes, [[_nodes(_text(number, *state)) for number in numbers]])


def _text(number: int, words: list[str], shares: npt.NDArray[np.float64]) -> list[str]:
    base = base_of(number)
    drawn = _drawn(base, shares)
    if base != number:
        part = WORDS // _REWRITTEN
        start = int(_random(number, 2, 1)[0]) % (WORDS - part)
        drawn[start : start + part] = _drawn(number, shares)[:part]
    return [words[place] for place in drawn]


def _drawn(number: int, shares: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    return np.searchsorted(shares, _random(number, 3, WORDS) / 2**64)


def _nodes(words: list[str]) -> list[dict[str, Any]]:
    paragraphs = range(0, len(words), _PARAGRAPH)
    return [
        {"kind": "text", "text": " ".join(words[start : start + _PARAGRAPH]), "dom_index": start}
        for start in paragraphs
    ]


def write_inputs(folder: Path, documents: int, a_file: int) -> None:
    """JSON lines that name the documents."""
    folder.mkdir(parents=True)
    for first in range(0, documents, a_file):
        lines = (
            json.dumps({"url": f"http://site.example/{number}", "html": "."})
            for number in range(first, min(first + a_file, documents))
        )
        (folder / f"{first:09d}.jsonl").write_text("\n".join(lines) + "\n", "utf-8")


plan.RECIPES["synthetic"] = Recipe(
    name="synthetic",
    meaning="made-up documents, deduplicated",
    steps=(
        step("text", "made-up text", SyntheticNodes),
        step("minhash", "signatures of the text", MinHash),
        step("near_text", "documents of nearly the same text", NearDuplicates),
    ),
)

if __name__ == "__main__":
    main()
