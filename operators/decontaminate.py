"""Overlap with benchmarks: word n-grams that a document shares with test items.

Source: Brown et al. 2020, "Language Models are Few-Shot Learners" (GPT-3), Appendix C: overlap is
measured in 13-grams of lower-case words without punctuation, and n-grams that are found all over
are left out, because they are idioms and boilerplate.
"""

from __future__ import annotations

import itertools
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field, model_validator

from operators.base import Operator, measured
from operators.benchmarks import Benchmark, Item
from operators.compiled import compiled
from operators.text import WORD, node_texts
from schemas import columns
from schemas.errors import did_you_mean

Integers = npt.NDArray[np.int64]
Places = npt.NDArray[np.int32]
Hashes = npt.NDArray[np.uint64]

_MOST_ITEMS_NAMED = 20
_AT_ONCE = 200  # documents; their words are in hand together
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # spreads the bits of a hash
_SHIFT = np.uint64(29)


@dataclass(frozen=True)
class Index:
    """What is looked for: n-grams of benchmarks, as hashes of numbered words.

    Words that no benchmark holds have number 0, and no n-gram with such a word can match.
    """

    words: dict[str, int]
    lengths: tuple[int, ...]
    """The lengths of n-grams that there are, in words, ascending; the last is `ngram`."""
    hashes: Hashes
    """(G,) one for each different n-gram."""
    slots: Places
    """(S,) a hash table: the position of an n-gram in `hashes`, or -1."""
    items: Places
    """The items of each n-gram, those of one after those of the other …"""
    first: Integers
    """… (G + 1,) and where those of each begin."""
    names: list[str]
    """Of the items: `benchmark:row`."""


class Decontaminate(Operator[Index]):
    """N-grams of words that documents share with benchmarks, and with which items.

    Words are lower case, and what is not a letter, digit or mark parts them; in scripts without
    spaces each sign is a word. A text of a benchmark with fewer than `ngram` words, but at least
    `min_words`, is found where all of it stands; shorter ones are not looked for. An n-gram in more
    than `max_items` different texts of the benchmarks is boilerplate and not looked for. Text of
    neighbouring nodes is read as one.
    """

    name = "decontaminate"
    version = 1
    reads = columns.schema("nodes")
    writes = columns.schema(
        "contaminated_ngram_count",
        "contaminated_ngram_ratio",
        "contaminated_by",
        "contaminated_items",
        "node_contaminated_word_count",
    )
    stateful: ClassVar[bool] = True

    benchmarks: dict[str, str] = Field(
        {}, description="files of each benchmark by its name: a path or pattern, local or s3://"
    )
    fields: dict[str, list[str]] = Field(
        {}, description="by benchmark, the columns to look for; default: all that hold text"
    )
    ngram: int = Field(13, ge=2, le=50, description="words in an n-gram")
    min_words: int = Field(
        8, ge=1, le=50, description="words below which a text of a benchmark is not looked for"
    )
    max_items: int = Field(
        10, ge=1, description="texts of benchmarks above which a shared n-gram is boilerplate"
    )

    @model_validator(mode="after")
    def _names_fit(self) -> Decontaminate:
        for name in self.benchmarks:
            if ":" in name or not name.strip():
                raise ValueError(f"a benchmark's name holds no ':' and is not empty: '{name}'")
        for name in set(self.fields) - set(self.benchmarks):
            hint = did_you_mean(name, self.benchmarks)
            raise ValueError(f"'fields' names '{name}', which is no benchmark; {hint}")
        return self

    def setup(self) -> Index:
        """The benchmarks' n-grams.

        Raises:
            InputError: a file of a benchmark is missing, empty or cannot be read.
        """
        items = (item for found in self._found() for item in found.items())
        index = _index(items, self.ngram, self.min_words, self.max_items)
        _measures(index, [["any text"]])  # compiles the loops, not on the first documents' time
        return index

    def provenance(self) -> dict[str, str]:
        """The SHA-256 of each benchmark's files, one after the other.

        Raises:
            InputError: a file of a benchmark is missing.
        """
        return super().provenance() | {found.name: found.sha256() for found in self._found()}

    def _found(self) -> list[Benchmark]:
        """The benchmarks, in order of their names."""
        return [
            Benchmark(name, path, tuple(self.fields.get(name, ())))
            for name, path in sorted(self.benchmarks.items())
        ]

    def measure(self, batch: pa.Table, state: Index) -> pa.Table:
        """Places, share, benchmarks and items of each document; nulls where `nodes` is null."""
        rows: list[list[Any]] = []
        documents = node_texts(batch["nodes"])
        empty = [None] * len(self.writes)
        for start in range(0, len(documents), _AT_ONCE):
            part = documents[start : start + _AT_ONCE]
            known = iter(_measures(state, [nodes for nodes in part if nodes is not None]))
            rows += (empty if nodes is None else next(known) for nodes in part)
        return measured(self.writes, list(zip(*rows, strict=True)) or [[] for _ in self.writes])


# --- Words --------------------------------------------------------------------------------------


@cache
def _punctuation() -> dict[int, str]:
    """Every sign that is no letter, digit or mark, as a space."""
    signs = (n for n in range(sys.maxunicode + 1) if unicodedata.category(chr(n))[0] in "PS")
    return dict.fromkeys(signs, " ")


def normal_words(text: str) -> list[str]:
    """The words of a text, in lower case and without punctuation."""
    return WORD.findall(text.lower().translate(_punctuation()))


# --- The benchmarks' n-grams --------------------------------------------------------------------


def _index(items: Iterable[Item], ngram: int, min_words: int, max_items: int) -> Index:
    """The index of all items; a text that several items hold counts as the first one's."""
    words: dict[str, int] = {}
    names: list[str] = []
    owner: dict[tuple[int, ...], int] = {}  # the item of each different text
    for item in items:
        names.append(item.name)
        for text in item.texts:
            found = normal_words(text)
            if len(found) >= min(min_words, ngram):
                numbers = tuple(words.setdefault(word, len(words) + 1) for word in found)
                owner.setdefault(numbers, len(names) - 1)
    by_length: dict[int, list[tuple[int, ...]]] = {ngram: []}
    for numbers in owner:
        by_length.setdefault(min(len(numbers), ngram), []).append(numbers)
    hashes: list[Hashes] = []
    texts: list[Integers] = []
    position = {numbers: text for text, numbers in enumerate(owner)}
    for length, group in by_length.items():
        counts = np.array([len(numbers) for numbers in group], np.int64)
        ids = np.fromiter(itertools.chain.from_iterable(group), np.int64, counts.sum())
        hashes.append(_hashes(ids, counts, length))
        own = np.array([position[numbers] for numbers in group], np.int64)
        texts.append(np.repeat(own, counts - length + 1))
    grams, first, of_text = _grouped(np.concatenate(hashes), np.concatenate(texts), max_items)
    owners = np.fromiter(owner.values(), np.int32, len(owner))
    lengths = tuple(sorted(by_length))
    return Index(words, lengths, grams, _slots(grams), owners[of_text], first, names)


def _grouped(hashes: Hashes, texts: Integers, most: int) -> tuple[Hashes, Integers, Integers]:
    """The different hashes that at most `most` texts hold; where the texts of each begin; these.

    `hashes` and `texts` (N,) pair n-grams with the texts that hold them.
    """
    order = np.lexsort((texts, hashes))
    hashes, texts = hashes[order], texts[order]
    new_hash, new_text = np.ones(len(hashes), bool), np.ones(len(hashes), bool)
    new_hash[1:] = hashes[1:] != hashes[:-1]
    new_text[1:] = new_hash[1:] | (texts[1:] != texts[:-1])
    hashes, texts = hashes[new_text], texts[new_text]  # each text once for each of its n-grams
    grams, counts = np.unique(hashes, return_counts=True)
    telling = counts <= most
    first = np.concatenate([[0], np.cumsum(counts[telling])]).astype(np.int64)
    return grams[telling], first, texts[np.repeat(telling, counts)]


@compiled
def _hashes(ids: Integers, counts: Integers, length: int) -> Hashes:
    """The hashes of all n-grams of `length` words, text by text."""
    total = 0
    for text in range(len(counts)):
        total += counts[text] - length + 1
    hashes = np.zeros(total, np.uint64)
    at, low = 0, 0
    for text in range(len(counts)):
        for start in range(low, low + counts[text] - length + 1):
            mixed = np.uint64(0)
            for word in range(start, start + length):
                mixed = (mixed ^ np.uint64(ids[word])) * _MULTIPLIER
                mixed ^= mixed >> _SHIFT
            hashes[at] = mixed
            at += 1
        low += counts[text]
    return hashes


@compiled
def _slots(hashes: Hashes) -> Places:
    """A hash table over different hashes, at most half full; a taken slot leads to the next."""
    size = 16
    while size < 2 * len(hashes):
        size *= 2
    slots = np.full(size, -1, np.int32)
    for gram in range(len(hashes)):
        slot = np.int64(hashes[gram] >> np.uint64(20)) & (size - 1)
        while slots[slot] >= 0:
            slot = (slot + 1) & (size - 1)
        slots[slot] = gram
    return slots


# --- Documents ----------------------------------------------------------------------------------


def _measures(index: Index, documents: Sequence[list[str | None]]) -> list[list[Any]]:
    """The measures of each document, in the order of `Decontaminate.writes`."""
    counts = [[0] * len(nodes) for nodes in documents]
    if not index.words:  # no benchmark, so nothing to read the words for
        return [[0, 0.0, [], [], words] for words in counts]
    flat: list[int] = []
    for nodes, own in zip(documents, counts, strict=True):
        for node, text in enumerate(nodes):
            if text:
                numbers = [index.words.get(word, 0) for word in normal_words(text)]
                own[node] = len(numbers)
                flat += numbers
    ids = np.array(flat, np.int64)
    sizes = np.array([sum(own) for own in counts], np.int64)
    lengths = np.array(index.lengths, np.int64)
    grams = _matches(ids, sizes, lengths, index.hashes, index.slots)
    covered = _covered(grams, lengths)
    rows = []
    low = 0
    for own, size in zip(counts, sizes.tolist(), strict=True):
        high = low + size
        rows.append(_row(index, grams[:, low:high], covered[low:high], own))
        low = high
    return rows


def _row(index: Index, grams: Places, covered: Places, counts: list[int]) -> list[Any]:
    if not covered.any():
        return [0, 0.0, [], [], [0] * len(counts)]
    places = int((grams >= 0).any(axis=0).sum())
    possible = max(len(covered) - index.lengths[-1] + 1, 1)
    found: Counter[str] = Counter()
    for gram, times in zip(*np.unique(grams[grams >= 0], return_counts=True), strict=True):
        for item in index.items[index.first[gram] : index.first[gram + 1]]:
            found[index.names[item]] += int(times)
    # Most n-grams first, and by name where that is even, so that the order is always the same.
    items = sorted(found, key=lambda name: (-found[name], name))
    by: Counter[str] = Counter()
    for name in items:
        by[name.rpartition(":")[0]] += found[name]
    ends = np.cumsum(counts)
    sums = np.concatenate([[0], np.cumsum(covered)])
    return [
        places,
        min(places / possible, 1.0),
        sorted(by, key=lambda name: (-by[name], name)),
        items[:_MOST_ITEMS_NAMED],
        [int(sums[end] - sums[end - count]) for end, count in zip(ends, counts, strict=True)],
    ]


@compiled
def _matches(
    ids: Integers, sizes: Integers, lengths: Integers, hashes: Hashes, slots: Places
) -> Places:
    """For each length and each of W words, the n-gram that begins there, or -1; (L, W)."""
    grams = np.full((len(lengths), len(ids)), -1, np.int32)
    mask = len(slots) - 1
    longest = lengths[-1]
    low = 0
    for document in range(len(sizes)):
        high = low + sizes[document]
        for start in range(low, high):
            mixed = np.uint64(0)
            wanted = 0
            for word in range(start, min(start + longest, high)):
                if ids[word] == 0:
                    break
                mixed = (mixed ^ np.uint64(ids[word])) * _MULTIPLIER
                mixed ^= mixed >> _SHIFT
                if word - start + 1 < lengths[wanted]:
                    continue
                slot = np.int64(mixed >> np.uint64(20)) & mask
                while slots[slot] >= 0:
                    if hashes[slots[slot]] == mixed:
                        grams[wanted, start] = slots[slot]
                        break
                    slot = (slot + 1) & mask
                wanted += 1
        low = high
    return grams


@compiled
def _covered(grams: Places, lengths: Integers) -> Places:
    """1 for each of W words that is inside an n-gram that was found; (W,)."""
    covered = np.zeros(grams.shape[1], np.int32)
    until = 0
    for start in range(grams.shape[1]):
        for length in range(len(lengths)):
            if grams[length, start] >= 0:
                until = max(until, start + lengths[length])
        if start < until:
            covered[start] = 1
    return covered
