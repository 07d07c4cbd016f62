"""MinHash signatures of documents: how alike two texts are, told from 512 bytes each.

Source: Broder 1997, "On the resemblance and containment of documents". The share of values in which
two signatures agree estimates the Jaccard similarity of the documents' sets of shingles. What is
done with signatures is in `operators.bands` and `operators.clusters`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from operators.base import Operator, measured
from operators.compiled import compiled
from operators.scripts import WIDE, WIDE_MARKS
from schemas import columns

Bytes = npt.NDArray[np.uint8]
Values = npt.NDArray[np.uint16]
Numbers = npt.NDArray[np.uint32]
Hashes = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.int64]

VALUE = np.dtype("<u2")
"""A value of a signature: the low 16 bits of a minimum. Unlike minima agree in one of 65,536."""

_TABLE_END = 0x40000  # what comes after is a letter
_SPACE, _SKIPPED, _MARK, _WIDE = (np.uint32(kind << 24) for kind in (1, 2, 3, 4))
_KIND, _SIGN = np.uint32(0xFF << 24), np.uint32((1 << 24) - 1)

_INVISIBLE = "\u00ad\u180e\u200b"  # counted otherwise by Unicode 3.2

# Odd numbers that spread the bits of what they multiply: the digits of the golden ratio, and those
# with which SplitMix mixes (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number
# generators").
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)

_AT_ONCE = 256  # documents; their words are in hand together
_BLOCK = 4096  # shingles that stay in the processor's nearest cache


class MinHash(Operator[None]):
    """A MinHash signature of each document's text, for finding near-duplicates.

    The text is that of all nodes in order; words are those of `text_statistics`, so in scripts
    without spaces each sign is one. Normalised text is in lower case, punctuation and symbols part
    words as spaces do, and invisible signs are passed over. A shingle is a run of `shingle` words;
    a document of fewer words is one shingle, and one without words has no signature. Only
    signatures of one config may be compared.
    """

    name = "minhash"
    version = 1
    reads = columns.schema("nodes")
    writes = columns.schema("minhash")

    permutations: int = Field(
        256, ge=16, le=1024, multiple_of=8, description="values of a signature"
    )
    shingle: int = Field(5, ge=1, le=100, description="words of a shingle")
    seed: int = Field(1, ge=0, le=2**32 - 1, description="chooses the permutations")
    normalise: bool = Field(True, description="compare without case, punctuation and symbols")

    def setup(self) -> None:
        """Loops are compiled here, not on the time of the first documents."""
        node = {"kind": "text", "text": "a", "dom_index": 0}
        self._signatures(pa.array([[node]], self.reads.field("nodes").type))

    def measure(self, batch: pa.Table, state: None) -> pa.Table:
        """The signatures; null where there is no word."""
        found = [
            signature for chunk in batch["nodes"].chunks for signature in self._signatures(chunk)
        ]
        return measured(self.writes, [found])

    def _signatures(self, documents: pa.ListArray) -> list[bytes | None]:
        factors, summands = permutations(self.permutations, self.seed)
        table = sign_table(self.normalise)
        signatures: list[bytes | None] = []
        for text, offsets, spans in _parts(documents):
            words, counts = _word_hashes(text, offsets, spans, table)
            shingles, counts = _shingle_hashes(words, counts, self.shingle)
            values = _minima(shingles, counts, factors, summands).astype(VALUE)
            signatures += [
                row.tobytes() if count else None
                for row, count in zip(values, counts.tolist(), strict=True)
            ]
        return signatures


@cache
def permutations(count: int, seed: int) -> tuple[Numbers, Numbers]:
    """Factors (odd) and summands of `count` permutations x -> a x + b of the 32-bit numbers.

    Linear functions are enough, because what they permute are hashes that look random
    (Mitzenmacher and Vadhan 2008, "Why simple hash functions work").
    """
    steps = np.arange(1, 2 * count + 1, dtype=np.uint64) * GOLDEN
    start = np.array([seed], np.uint64) * FIRST
    numbers = (_mixed(steps + start) >> np.uint64(32)).astype(np.uint32)
    return numbers[:count] | np.uint32(1), numbers[count:]


def _mixed(numbers: Hashes) -> Hashes:
    numbers = (numbers ^ (numbers >> np.uint64(30))) * FIRST
    numbers = (numbers ^ (numbers >> np.uint64(27))) * SECOND
    return numbers ^ (numbers >> np.uint64(31))


@cache
def sign_table(normalise: bool) -> Numbers:
    """For each code point its kind (the high 8 bits) and the sign that stands for it.

    What is punctuation is asked of Unicode 3.2, which every Python knows: a signature must not
    depend on the Python that made it. Signs that are younger count as letters without case.
    """
    table = np.arange(_TABLE_END, dtype=np.uint32)
    signs = "".join(map(chr, range(_TABLE_END)))
    for kind, pattern in ((_WIDE, WIDE), (_MARK, WIDE_MARKS), (_SPACE, r"\s")):
        for match in re.finditer(f"[{pattern}]", signs):
            table[match.start()] |= kind
    if normalise:
        for code, sign in enumerate(signs):
            category = unicodedata.ucd_3_2_0.category(sign)
            if sign in _INVISIBLE or (category in ("Cc", "Cf", "Co") and not sign.isspace()):
                table[code] = _SKIPPED
            elif category[0] in "PS":
                table[code] = _SPACE
            elif category in ("Lu", "Lt") and len(sign.lower()) == 1:
                table[code] = ord(sign.lower())
    return table


def _parts(documents: pa.ListArray) -> Iterator[tuple[Bytes, Integers, Integers]]:
    """The documents, some at a time, without a copy of their text.

    The UTF-8 of all nodes; where in it each node's text begins, and after the last node the end;
    and the first node of each document and the one after its last, (D, 2).
    """
    texts = pc.fill_null(pc.struct_field(documents.values, "text"), "")
    _, ends, data = texts.buffers()
    text = np.frombuffer(data or b"", np.uint8)
    text.flags.writeable = False  # as some buffers are; a loop is compiled for each kind
    offsets = np.frombuffer(ends, np.int32)[texts.offset :][: len(texts) + 1].astype(np.int64)
    edges = documents.offsets.to_numpy().astype(np.int64)
    known = documents.is_valid().to_numpy(zero_copy_only=False)
    spans = np.stack([edges[:-1], np.where(known, edges[1:], edges[:-1])], axis=1)
    for start in range(0, len(documents), _AT_ONCE):
        yield text, offsets, spans[start : start + _AT_ONCE]


@compiled
def _word_hashes(
    text: Bytes, offsets: Integers, spans: Integers, table: Numbers
) -> tuple[Hashes, Integers]:
    """A hash of each word of each document, and how many each document has; (W,) and (D,)."""
    most = 0
    for document in range(len(spans)):
        most += offsets[spans[document, 1]] - offsets[spans[document, 0]]
    words = np.empty(most, np.uint64)
    counts = np.zeros(len(spans), np.int64)
    found = 0
    for document in range(len(spans)):
        before = found
        for node in range(spans[document, 0], spans[document, 1]):
            code, missing = np.int64(0), 0  # of a sign of several bytes
            word, last = np.uint64(0), _SPACE
            for place in range(offsets[node], offsets[node + 1] + 1):
                kind, sign = _SPACE, np.uint32(0)  # what ends the node's last word
                if place < offsets[node + 1]:
                    byte = np.int64(text[place])
                    if byte < 0x80:
                        code, missing = byte, 0
                    elif byte < 0xC0:
                        code, missing = ((code << 6) | (byte & 0x3F)) & 0x1FFFFF, missing - 1
                    elif byte < 0xE0:
                        code, missing = byte & 0x1F, 1
                    elif byte < 0xF0:
                        code, missing = byte & 0x0F, 2
                    else:
                        code, missing = byte & 0x07, 3
                    if missing > 0:
                        continue
                    entry = table[code] if code < len(table) else np.uint32(code)
                    kind, sign = entry & _KIND, entry & _SIGN
                if kind == _SKIPPED:
                    continue
                if kind == _MARK and last != _WIDE:
                    kind = np.uint32(0)
                starts = kind == _WIDE or (last == _WIDE and kind != _MARK)
                if last != _SPACE and (kind == _SPACE or starts):
                    word = (word ^ (word >> np.uint64(32))) * FIRST
                    words[found] = word ^ (word >> np.uint64(29))
                    found += 1
                    word = np.uint64(0)
                if kind != _SPACE:
                    word = (word ^ np.uint64(sign + np.uint32(1))) * GOLDEN
                if kind != _MARK:
                    last = kind
        counts[document] = found - before
    return words[:found], counts


@compiled
def _shingle_hashes(words: Hashes, counts: Integers, size: int) -> tuple[Numbers, Integers]:
    """A hash of each run of `size` words, and how many each document has; (S,) and (D,).

    A run's number is a polynomial in its words' hashes, so that it follows from the one before it.
    """
    shingles = np.empty(len(words), np.uint32)
    found, at = 0, 0
    numbers = np.zeros(len(counts), np.int64)
    leaving = np.uint64(1)
    for _ in range(size):
        leaving *= GOLDEN
    for document in range(len(counts)):
        run = np.uint64(0)
        before = found
        for word in range(counts[document]):
            run = run * GOLDEN + words[at + word]
            if word >= size:
                run -= leaving * words[at + word - size]
            if word >= size - 1 or word == counts[document] - 1:
                mixed = (run ^ (run >> np.uint64(30))) * FIRST
                mixed = (mixed ^ (mixed >> np.uint64(27))) * SECOND
                shingles[found] = np.uint32(mixed >> np.uint64(32))
                found += 1
        at += counts[document]
        numbers[document] = found - before
    return shingles[:found], numbers


@compiled
def _minima(shingles: Numbers, counts: Integers, factors: Numbers, summands: Numbers) -> Numbers:
    """The least permuted shingle of each document and permutation; (D, K)."""
    least = np.full((len(counts), len(factors)), np.uint32(0xFFFFFFFF), np.uint32)
    start = 0
    for document in range(len(counts)):
        until = start + counts[document]
        while start < until:
            block = shingles[start : min(start + _BLOCK, until)]
            for number in range(len(factors)):
                factor, summand = factors[number], summands[number]
                low = least[document, number]
                for place in range(len(block)):
                    value = np.uint32(block[place] * factor + summand)
                    low = value if value < low else low
                least[document, number] = low
            start += len(block)
    return least
