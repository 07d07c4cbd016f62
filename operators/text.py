"""Text measures: sizes, word statistics and repetition, after Gopher's Appendix A.

Source of all formulas: Rae et al. 2021, "Scaling Language Models: Methods, Analysis & Insights
from Training Gopher", Tables A1 and A1.1. The rules that use them are in
`pipelines/rules/gopher.yaml`.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from operators.base import Operator, measured
from operators.compiled import compiled
from operators.scripts import WIDE, WIDE_MARKS
from schemas import columns

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

# Each sign of a script without spaces counts as a word.
WORD = re.compile(rf"[{WIDE}][{WIDE_MARKS}]*|[^\s{WIDE}]+")
_ELLIPSIS = re.compile(r"\.\.\.|…")
_BULLETS = ("•", "‣", "▪", "◦", "●", "■", "·", "*", "-", "–")
_STOP_WORDS = frozenset(("the", "be", "to", "of", "and", "that", "have", "with"))

_SIZES = ("char_count", "word_count", "mean_word_length", "image_count")
_RATIOS = (
    "symbol_word_ratio",
    "bullet_line_ratio",
    "ellipsis_line_ratio",
    "alpha_word_ratio",
    "stop_word_count",
)
_REPETITION = (
    "dup_line_ratio",
    "dup_line_char_ratio",
    "dup_paragraph_ratio",
    "dup_paragraph_char_ratio",
)
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # spreads the bits of a hash
_TOP = (2, 3, 4)
_DUP = (5, 6, 7, 8, 9, 10)


def node_texts(nodes: pa.ChunkedArray) -> list[list[str | None] | None]:
    """The texts of each document's nodes; None for an image node, and for a null document."""
    rows: list[list[str | None] | None] = []
    for chunk in nodes.chunks:
        flat = iter(pc.struct_field(pc.list_flatten(chunk), "text").to_pylist())
        rows.extend(
            None if length is None else list(itertools.islice(flat, length))
            for length in pc.list_value_length(chunk).to_pylist()
        )
    return rows


class TextStatistics(Operator[None]):
    """Counts, word statistics and repetition ratios of documents and their nodes.

    A word is a run of non-space characters; in scripts without spaces each sign is one. A line is
    a line of a text node, a paragraph a text node. Documents without text measure 0 throughout.
    """

    name = "text_statistics"
    version = 1
    reads = columns.schema("nodes")
    writes = columns.schema(
        *_SIZES,
        *_RATIOS,
        *_REPETITION,
        *[f"top_{n}gram_char_ratio" for n in _TOP],
        *[f"dup_{n}gram_char_ratio" for n in _DUP],
        "node_char_count",
        "node_word_count",
    )

    def setup(self) -> None:
        """Loops are compiled here, not on the time of the first documents."""
        _measures([["any text"]])

    def measure(self, batch: pa.Table, state: None) -> pa.Table:
        """One row of measures a document; nulls where `nodes` is null."""
        rows: list[list[Any]] = []
        documents = node_texts(batch["nodes"])
        empty = [None] * len(self.writes)
        for start in range(0, len(documents), _AT_ONCE):
            part = documents[start : start + _AT_ONCE]
            known = iter(_measures([nodes for nodes in part if nodes is not None]))
            rows += (empty if nodes is None else next(known) for nodes in part)
        return measured(self.writes, list(zip(*rows, strict=True)) or [[] for _ in self.writes])


_AT_ONCE = 200  # documents; their words are in hand together


def _measures(documents: Sequence[list[str | None]]) -> list[list[Any]]:
    """The measures of each document, in the order of `TextStatistics.writes`."""
    if not documents:
        return []
    words = [[WORD.findall(text) if text else [] for text in nodes] for nodes in documents]
    flat = [word for nodes in words for node in nodes for word in node]
    counts = np.array([sum(map(len, nodes)) for nodes in words], np.int64)
    numbers: dict[str, int] = {}
    ids = np.array([numbers.setdefault(word, len(numbers)) for word in flat], np.int64)
    kinds = np.array([_kind(word) for word in numbers], np.float64).reshape(len(numbers), 3)
    lengths = kinds[ids, 0] if len(flat) else np.zeros(0)
    sums = _sums(kinds, ids, counts)
    repeated = _repetition(ids, lengths, counts, _TOP, _DUP)
    return [
        _row(nodes, own, *rest)
        for nodes, own, *rest in zip(
            documents, words, counts.tolist(), sums.tolist(), repeated.tolist(), strict=True
        )
    ]


def _kind(word: str) -> tuple[int, bool, bool]:
    """Length of a word, whether it holds a letter, and whether it is a stop word."""
    letters = word.isalpha() or any(map(str.isalpha, word))
    return len(word), letters, word.lower() in _STOP_WORDS


def _row(
    texts: list[str | None],
    words: list[list[str]],
    word_count: int,
    sums: list[float],
    repeated: list[float],
) -> list[Any]:
    paragraphs = [text for text in texts if text]
    lines = [line.strip() for text in paragraphs for line in text.split("\n") if line.strip()]
    symbols = sum(text.count("#") + len(_ELLIPSIS.findall(text)) for text in paragraphs)
    letters, alphabetic, stop_words = sums
    return [
        sum(map(len, paragraphs)),
        word_count,
        _ratio(letters, word_count),
        sum(text is None for text in texts),
        _ratio(symbols, word_count),
        _ratio(sum(line.startswith(_BULLETS) for line in lines), len(lines)),
        _ratio(sum(line.endswith(("...", "…")) for line in lines), len(lines)),
        _ratio(alphabetic, word_count),
        int(stop_words),
        *_duplicates(lines),
        *_duplicates(paragraphs),
        *repeated,
        [len(text or "") for text in texts],
        [len(node) for node in words],
    ]


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _duplicates(items: Sequence[str]) -> tuple[float, float]:
    """Share of the items seen before, and of their characters."""
    if len(set(items)) == len(items):
        return 0.0, 0.0
    repeats = [(count - 1, len(item)) for item, count in Counter(items).items()]
    repeated = sum(count for count, _ in repeats)
    characters = sum(count * length for count, length in repeats)
    return _ratio(repeated, len(items)), _ratio(characters, sum(map(len, items)))


@compiled
def _sums(kinds: Floats, ids: Integers, counts: Integers) -> Floats:
    """Sums of the kinds of each document's words; (D, 3)."""
    sums = np.zeros((len(counts), kinds.shape[1]))
    at = 0
    for document in range(len(counts)):
        for word in range(at, at + counts[document]):
            for kind in range(kinds.shape[1]):
                sums[document, kind] += kinds[ids[word], kind]
        at += counts[document]
    return sums


@compiled
def _repetition(
    ids: Integers, lengths: Floats, counts: Integers, top: tuple[int, ...], dup: tuple[int, ...]
) -> Floats:
    """Gopher's shares of characters in repeated n-grams of each document's words; (D, T + U).

    For each n of `top`: the characters inside the most frequent n-gram, all its occurrences, over
    all characters. Occurrences may overlap, so the share is capped at 1; an n-gram that occurs only
    once repeats nothing. For each n of `dup`: the characters of the words that an n-gram seen
    before covers, each word once, over all characters.
    """
    shares = np.zeros((len(counts), len(top) + len(dup)))
    size = 16
    while size < 2 * counts.max():
        size *= 2
    first = np.zeros(size, np.int64)  # where the n-gram in each slot of a hash table first occurred
    seen = np.zeros(size, np.int64)
    used = np.zeros(size, np.int64)  # the table is empty where this is not the present round
    hashes = np.zeros(counts.max(), np.uint64)
    now, low = 0, 0
    for document in range(len(counts)):
        high = low + counts[document]
        total = lengths[low:high].sum()
        mask = 15
        while mask + 1 < 2 * counts[document]:
            mask = 2 * mask + 1
        hashes[:] = 0
        for n in range(1, max(max(top), max(dup)) + 1):
            now += 1
            until, covered, most, longest = 0, 0.0, 1, 0.0
            for start in range(low, high - n + 1):
                mixed = (hashes[start - low] ^ np.uint64(ids[start + n - 1] + 1)) * _MULTIPLIER
                hashes[start - low] = mixed
                if n not in top and n not in dup:
                    continue
                slot = np.int64(mixed >> np.uint64(32)) & mask
                while used[slot] == now:
                    same = True
                    for place in range(n):
                        same &= ids[first[slot] + place] == ids[start + place]
                    if same:
                        break
                    slot = (slot + 1) & mask
                if used[slot] != now:
                    used[slot], seen[slot], first[slot] = now, 1, start
                    continue
                seen[slot] += 1
                if n in top and seen[slot] >= most:
                    size_of_gram = lengths[start : start + n].sum()
                    longest = max(longest, size_of_gram) if seen[slot] == most else size_of_gram
                    most = seen[slot]
                for word in range(max(start, until), start + n):
                    covered += lengths[word]
                until = start + n
            for column in range(len(top)):
                if top[column] == n and most > 1:
                    shares[document, column] = min(longest * most / total, 1.0)
            for column in range(len(dup)):
                if dup[column] == n and total:
                    shares[document, len(top) + column] = covered / total
        low = high
    return shares
