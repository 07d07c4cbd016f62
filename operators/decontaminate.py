"""Overlap with benchmarks: word n-grams that a document shares with test items.

Source: Brown et al. 2020, "Language Models are Few-Shot Learners" (GPT-3), Appendix C: overlap is
measured in 13-grams of lower-case words without punctuation, and n-grams that are found all over
are left out, because they are idioms and boilerplate.
"""

from __future__ import annotations

import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from operators.base import Operator, measured
from operators.benchmarks import Benchmark, Item
from operators.compiled import compiled
from operators.scripts import WORD
from operators.text import Bytes, Offsets, utf8
from schemas import columns
from schemas.errors import did_you_mean

Integers = npt.NDArray[np.int64]
Places = npt.NDArray[np.int32]
Hashes = npt.NDArray[np.uint64]

_MOST_ITEMS_NAMED = 20
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # spreads the bits of a hash
_SHIFT = np.uint64(29)


@dataclass(frozen=True)
class Index:
    """What is looked for: n-grams of benchmarks, as hashes of words."""

    lengths: Integers
    """The lengths of n-grams that there are, in words, ascending; the last is `ngram`."""
    hashes: Hashes
    """(G,) one for each different n-gram."""
    slots: Places
    """(S,) a hash table: the position of an n-gram in `hashes`, or -1."""
    filled: Bytes
    """(S,) bytes whose bits say whether a hash may be in the table; most end the search here."""
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
        words, counts = words_of(pa.array(["any text"]))  # compiles the loops before any document
        table = (index.lengths, index.hashes, index.slots, index.filled)
        _covered(_matches(words, counts, *table), index.lengths)
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
        rows = _measures(state, batch["nodes"].combine_chunks())
        return measured(self.writes, list(zip(*rows, strict=True)) or [[] for _ in self.writes])


# --- Words --------------------------------------------------------------------------------------

_PARTS, _LETTER, _WIDE, _MARK = 0, 1, 2, 3
_LAST_SIGN = 0x40000  # no plane beyond holds words, spaces or punctuation


@cache
def _signs() -> tuple[Bytes, Places]:
    """What each code point is in a word, and the code point without its case.

    A sign is wide, and a mark belongs to the wide sign before it, as `operators.text.WORD` says.
    """
    kinds = np.full(sys.maxunicode + 1, _LETTER, np.uint8)
    folded = np.arange(sys.maxunicode + 1, dtype=np.int32)
    for code in range(_LAST_SIGN):
        sign = chr(code)
        if sign.isspace() or unicodedata.category(sign)[0] in "PS":
            kinds[code] = _PARTS
        elif code > 0xE00 and len(WORD.findall(sign + sign)) == 2:
            kinds[code] = _WIDE
        elif code > 0xE00 and len(WORD.findall(f"一{sign}")) == 1:
            kinds[code] = _MARK
        plain = sign.casefold() if len(sign.casefold()) == 1 else sign.lower()
        if len(plain) == 1:
            folded[code] = ord(plain)
    return kinds, folded


def words_of(texts: pa.Array) -> tuple[Hashes, Integers]:
    """Hashes of the words of N texts, without case and punctuation, and each text's count; (N,)."""
    return _words(*utf8(texts), *_signs())


@compiled
def _words(data: Bytes, bounds: Offsets, kinds: Bytes, folded: Places) -> tuple[Hashes, Integers]:
    words = np.zeros(len(data), np.uint64)
    counts = np.zeros(len(bounds) - 1, np.int64)
    found = 0
    for text in range(len(bounds) - 1):
        before, open_word, mixed = found, _PARTS, np.uint64(0)
        at = bounds[text]
        while at < bounds[text + 1]:
            code, size = np.int32(data[at]), 1
            if code >= 0xF0:
                code, size = code & 7, 4
            elif code >= 0xE0:
                code, size = code & 15, 3
            elif code >= 0xC0:
                code, size = code & 31, 2
            for further in range(at + 1, at + size):
                code = (code << 6) | np.int32(data[further] & 63)
            at += size
            kind = kinds[code]
            goes_on = kind == open_word or (kind == _MARK and open_word != _PARTS)
            if kind == _MARK and open_word == _PARTS:
                kind = np.uint8(_LETTER)
            if open_word != _PARTS and (kind == _WIDE or not goes_on):
                words[found] = mixed
                found += 1
            if kind == _PARTS:
                open_word = _PARTS
                continue
            if open_word == _PARTS or kind == _WIDE or not goes_on:
                open_word, mixed = int(kind), np.uint64(0)
            mixed = (mixed ^ np.uint64(folded[code] + 1)) * _MULTIPLIER
            mixed ^= mixed >> _SHIFT
        if open_word != _PARTS:
            words[found] = mixed
            found += 1
        counts[text] = found - before
    return words[:found], counts


# --- The benchmarks' n-grams --------------------------------------------------------------------


def _index(items: Iterable[Item], ngram: int, min_words: int, max_items: int) -> Index:
    """The index of all items; a text that several items hold counts as the first one's."""
    names: list[str] = []
    texts: list[str] = []
    owners: list[int] = []
    for item in items:
        names.append(item.name)
        texts += item.texts
        owners += [len(names) - 1] * len(item.texts)
    words, counts = words_of(pa.array(texts, pa.string()))
    ends = np.cumsum(counts)
    chosen: dict[bytes, int] = {}  # the first of each different text that is long enough
    for text in np.flatnonzero(counts >= min(min_words, ngram)).tolist():
        chosen.setdefault(words[ends[text] - counts[text] : ends[text]].tobytes(), text)
    telling = np.array(list(chosen.values()), np.int64)
    lengths = np.union1d(np.minimum(counts[telling], ngram), [ngram]).astype(np.int64)
    hashes, of_texts = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
    for length in lengths:
        group = telling[np.minimum(counts[telling], ngram) == length]
        hashes.append(_hashes(words, ends[group] - counts[group], counts[group], int(length)))
        of_texts.append(np.repeat(group, counts[group] - length + 1))
    grams, first, texts_of = _grouped(np.concatenate(hashes), np.concatenate(of_texts), max_items)
    of_items = np.array(owners, np.int32)[texts_of]
    return Index(lengths, grams, *_table(grams), of_items, first, names)


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
def _hashes(words: Hashes, starts: Integers, counts: Integers, length: int) -> Hashes:
    """The hashes of all n-grams of `length` words, text by text."""
    hashes = np.zeros((counts - length + 1).sum(), np.uint64)
    at = 0
    for text in range(len(counts)):
        for start in range(starts[text], starts[text] + counts[text] - length + 1):
            mixed = np.uint64(0)
            for word in range(start, start + length):
                mixed = (mixed ^ words[word]) * _MULTIPLIER
                mixed ^= mixed >> _SHIFT
            hashes[at] = mixed
            at += 1
    return hashes


@compiled
def _table(hashes: Hashes) -> tuple[Places, Bytes]:
    """`slots` and `filled` of an index: at most half of the slots are taken."""
    size = 16
    while size < 2 * len(hashes):
        size *= 2
    slots = np.full(size, -1, np.int32)
    filled = np.zeros(size, np.uint8)
    for gram in range(len(hashes)):
        slot = np.int64(hashes[gram] >> np.uint64(20)) & (size - 1)
        filled[slot] |= np.uint8(1 << np.int64(hashes[gram] & np.uint64(7)))
        while slots[slot] >= 0:
            slot = (slot + 1) & (size - 1)
        slots[slot] = gram
    return slots, filled


# --- Documents ----------------------------------------------------------------------------------


def _measures(index: Index, nodes: pa.Array) -> list[list[Any]]:
    """The measures of each document, in the order of `Decontaminate.writes`."""
    sizes = pc.list_value_length(nodes).to_pylist()
    if not len(index.hashes):  # nothing to read the words for
        return [_nothing(size) for size in sizes]
    words, counts = words_of(pc.struct_field(pc.list_flatten(nodes), "text"))
    node_ends = np.cumsum([0, *(size or 0 for size in sizes)])
    ends = np.concatenate([[0], np.cumsum(counts)])[node_ends]
    grams = _matches(words, np.diff(ends), index.lengths, index.hashes, index.slots, index.filled)
    covered = _covered(grams, index.lengths)
    rows = []
    for document, size in enumerate(sizes):
        low, high = ends[document], ends[document + 1]
        own = counts[node_ends[document] : node_ends[document + 1]]
        some = size is not None and covered[low:high].any()
        part = grams[:, low:high], covered[low:high], own
        rows.append(_row(index, *part) if some else _nothing(size))
    return rows


def _nothing(nodes: int | None) -> list[Any]:
    """The measures of a document of `nodes` nodes without overlap; nulls for a null document."""
    return [None] * 5 if nodes is None else [0, 0.0, [], [], [0] * nodes]


def _row(index: Index, grams: Places, covered: Places, counts: Integers) -> list[Any]:
    """The measures of one document: its words' n-grams, and the word counts of its nodes."""
    places = int((grams >= 0).any(axis=0).sum())
    possible = max(len(covered) - int(index.lengths[-1]) + 1, 1)
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
        (sums[ends] - sums[ends - counts]).tolist(),
    ]


@compiled
def _matches(
    words: Hashes,
    sizes: Integers,
    lengths: Integers,
    hashes: Hashes,
    slots: Places,
    filled: Bytes,
) -> Places:
    """For each length and each of W words, the n-gram that begins there, or -1; (L, W)."""
    grams = np.full((len(lengths), len(words)), -1, np.int32)
    mask = len(slots) - 1
    longest = lengths[-1]
    low = 0
    for document in range(len(sizes)):
        high = low + sizes[document]
        for start in range(low, high - lengths[0] + 1):
            mixed = np.uint64(0)
            wanted = 0
            for word in range(start, min(start + longest, high)):
                mixed = (mixed ^ words[word]) * _MULTIPLIER
                mixed ^= mixed >> _SHIFT
                if word - start + 1 < lengths[wanted]:
                    continue
                slot = np.int64(mixed >> np.uint64(20)) & mask
                if filled[slot] >> np.int64(mixed & np.uint64(7)) & 1:
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
