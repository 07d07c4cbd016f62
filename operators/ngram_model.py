"""fastText classifiers (Joulin et al. 2016), read from their files and summed in one compiled loop.

A fastText classifier averages one vector for each known word and each known n-gram of letters
within a word, and asks a linear classifier about the average. What `fasttext.predict` does for one
text at a call is done here for all texts of a batch: several classifiers that cut n-grams alike are
stacked side by side, so that each n-gram is cut and looked up once for all of them.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from operators.compiled import compiled
from operators.scripts import NUMBER, PLANES

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]
Keys = npt.NDArray[np.uint64]
Indices = npt.NDArray[np.int32]

_MAGIC, _FILE_VERSION = 793712314, 12
_SUPERVISED, _HIERARCHICAL, _SOFTMAX = 3, 1, 3
_CENTROIDS = 256

# Hash of words: 64 bits, so that words need not be compared letter by letter.
_WORD_BASIS, _WORD_PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
_EMPTY, _ONE = np.uint64(0), np.uint64(1)
# Masks that count the bits of a number: in pairs, fours and eights, and all eights together.
_PAIRS, _FOURS = np.uint64(0x5555555555555555), np.uint64(0x3333333333333333)
_EIGHTS, _BYTES = np.uint64(0x0F0F0F0F0F0F0F0F), np.uint64(0x0101010101010101)
_OPEN, _CLOSE = 60, 62  # < and > around each word
LONGEST_WORD = 100  # bytes
_AT_ONCE = 64  # words
_LANES = 16  # numbers
_FAR = np.float32(14)
_ONE_F, _HALF, _SIXTH, _TWENTY_FOURTH, _HUNDRED_TWENTIETH, _PART = (
    np.float32(1 / n) for n in (1, 2, 6, 24, 120, 32)
)
_PLANES, _INHERITED = PLANES, NUMBER["Inherited"]


class Shape(NamedTuple):
    """How a classifier cuts words: classifiers that are stacked must agree in this."""

    buckets: int
    shortest: int
    longest: int


@dataclass(frozen=True)
class Classifier:
    """One classifier as it stands in its file, unpacked.

    Attributes:
        labels: what it tells apart, L of them, without fastText's prefix.
        words: the words that have a vector of their own; the first is the end of a line.
        vectors: of the words, then of the n-grams; (words + n-grams, D).
        ngrams: for each hash of an n-gram that has a vector, which of them it is.
        output: of the softmax, (L, D), or of the inner nodes of the tree of labels, (L - 1, D).
        tree: the children of each inner node, numbered after the leaves, which are the labels;
            (L - 1, 2), root last; empty for a softmax.
    """

    labels: list[str]
    words: list[bytes]
    vectors: Floats
    ngrams: dict[int, int]
    output: Floats
    tree: Indices
    shape: Shape


class _Reader:
    """Little-endian values one after the other."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def values(self, layout: str) -> tuple[Any, ...]:
        found = struct.unpack_from("<" + layout, self.data, self.at)
        self.at += struct.calcsize("<" + layout)
        return found

    def array(self, kind: str, count: int) -> npt.NDArray[Any]:
        found = np.frombuffer(self.data, kind, count, self.at)
        self.at += found.nbytes
        return found

    def text(self) -> bytes:
        end = self.data.index(0, self.at)
        found = self.data[self.at : end]
        self.at = end + 1
        return found


def read_classifier(path: Path) -> Classifier:
    """The classifier in a `.bin` or `.ftz` file of fastText; ValueError for any other file."""
    reader = _Reader(path.read_bytes())
    if reader.values("ii") != (_MAGIC, _FILE_VERSION):
        raise ValueError(f"{path}: not a fastText model of file version {_FILE_VERSION}")
    _, _, _, _, _, word_ngrams, loss, kind, buckets, shortest, longest, _ = reader.values("12i")
    reader.values("d")
    if kind != _SUPERVISED or word_ngrams != 1 or loss not in (_HIERARCHICAL, _SOFTMAX):
        raise ValueError(f"{path}: not a classifier over single words with softmax or its tree")
    words, labels, counts, ngrams = _dictionary(reader)
    vectors = _matrix(reader, quantised=bool(reader.values("?")[0]))
    output = _matrix(reader, quantised=bool(reader.values("?")[0]))
    if not ngrams:  # nothing was pruned: the n-gram of each hash has its vector
        ngrams = {bucket: bucket for bucket in range(len(vectors) - len(words))}
    softmax = loss == _SOFTMAX
    return Classifier(
        labels,
        words,
        vectors,
        ngrams,
        output if softmax else output[: len(labels) - 1],
        np.zeros((0, 2), np.int32) if softmax else _huffman_tree(counts),
        Shape(buckets, shortest, longest),
    )


def _dictionary(reader: _Reader) -> tuple[list[bytes], list[str], list[int], dict[int, int]]:
    """Words, labels, how often each label was seen, and the n-grams that were kept."""
    size, _, _, _, pruned = reader.values("iiiqq")
    words, labels, counts = [], [], []
    for _ in range(size):
        text = reader.text()
        count, is_label = reader.values("qb")
        if is_label:
            labels.append(text.decode().removeprefix("__label__"))
            counts.append(count)
        else:
            words.append(text)
    pairs = reader.array("<i4", 2 * max(pruned, 0)).reshape(-1, 2)
    return words, labels, counts, dict(pairs.tolist())


def _matrix(reader: _Reader, *, quantised: bool) -> Floats:
    """A matrix as plain numbers: as it stands, or the centroids that its codes name."""
    if not quantised:
        rows, columns = reader.values("qq")
        return reader.array("<f4", rows * columns).reshape(rows, columns).copy()
    (normed,) = reader.values("?")
    rows, columns, size = reader.values("qqi")
    codes = reader.array("u1", size).reshape(rows, -1)
    found = _decoded(reader, codes)[:, :columns]
    if normed:
        found = found * _decoded(reader, reader.array("u1", rows).reshape(rows, 1))
    return found.astype(np.float32)


def _decoded(reader: _Reader, codes: Bytes) -> Floats:
    """Product quantisation (Jégou et al. 2011): each code names a centroid of some columns."""
    columns, parts, width, last = reader.values("4i")
    centroids = reader.array("<f4", columns * _CENTROIDS)
    pieces = []
    for part in range(parts):
        own = last if part == parts - 1 else width
        start = part * _CENTROIDS * width
        table = centroids[start : start + _CENTROIDS * own].reshape(_CENTROIDS, own)
        pieces.append(table[codes[:, part]])
    return np.concatenate(pieces, axis=1)


def _huffman_tree(counts: Sequence[int]) -> Indices:
    """Children of the inner nodes of the labels' Huffman tree; counts fall from first to last."""
    leaves = len(counts)
    weights = [*counts, *[10**15] * (leaves - 1)]
    children = np.zeros((leaves - 1, 2), np.int32)
    leaf, inner = leaves - 1, leaves
    for node in range(leaves - 1):
        for side in range(2):
            if leaf >= 0 and weights[leaf] < weights[inner]:
                children[node, side], leaf = leaf, leaf - 1
            else:
                children[node, side], inner = inner, inner + 1
        weights[leaves + node] = sum(weights[child] for child in children[node])
    return children


class Table(NamedTuple):
    """Vectors of words and n-grams of all stacked classifiers, to be looked up in compiled code.

    A vector holds those of all classifiers one after the other, zeros where one has none, and then
    for each of them 1 or 0: whether it has one. So a sum of vectors also counts them.

    Attributes:
        vectors: the first is that of the end of a line, those of n-grams stand by bucket; (V, W).
        words, word_vectors: an open hash table from a word's hash to its vector; (2**x,) each.
        ngrams: for each 64 buckets of n-grams, a bit for each that has a vector, and the vector
            of the first; (buckets / 64, 2). It is small enough for the nearer caches.
        buckets, shortest, longest: how many n-grams are told apart, and their letters.
    """

    vectors: Floats
    words: Keys
    word_vectors: Indices
    ngrams: Keys
    buckets: int
    shortest: int
    longest: int


def stack(classifiers: Sequence[Classifier]) -> Table:
    """One table of all classifiers; ValueError where they cut n-grams in different ways."""
    shapes = {classifier.shape for classifier in classifiers}
    if len(shapes) != 1:
        raise ValueError(f"classifiers that cut words differently cannot be stacked: {shapes}")
    dims = [classifier.vectors.shape[1] for classifier in classifiers]
    words = {b"</s>": 0}
    for classifier in classifiers:
        for word in classifier.words:
            words.setdefault(word, len(words))
    buckets = sorted(set().union(*(classifier.ngrams for classifier in classifiers)))
    ngrams = {bucket: len(words) + place for place, bucket in enumerate(buckets)}
    vectors = np.zeros((len(words) + len(ngrams), sum(dims) + len(dims)), np.float32)
    at = 0
    for number, classifier in enumerate(classifiers):
        rows = [words[word] for word in classifier.words]
        rows += [ngrams[bucket] for bucket in classifier.ngrams]
        own = [len(classifier.words) + place for place in classifier.ngrams.values()]
        of_words = list(range(len(classifier.words)))
        vectors[rows, at : at + dims[number]] = classifier.vectors[of_words + own]
        vectors[rows, sum(dims) + number] = 1
        at += dims[number]
    hashes = [_word_hash(np.frombuffer(word, np.uint8)) for word in words]
    shape = next(iter(shapes))
    return Table(
        vectors,
        *_hash_table(np.array(hashes, np.uint64), np.arange(len(words), dtype=np.int32)),
        _bits(np.array(buckets, np.int64), shape.buckets, len(words)),
        *shape,
    )


def _bits(buckets: npt.NDArray[np.int64], count: int, first: int) -> Keys:
    """`Table.ngrams` for the given ones of `count` buckets, whose vectors start at `first`."""
    table = np.zeros((count // 64 + 1, 2), np.uint64)
    np.bitwise_or.at(table[:, 0], buckets // 64, np.uint64(1) << (buckets % 64).astype(np.uint64))
    table[:, 1] = first + np.searchsorted(buckets, 64 * np.arange(len(table)))
    return table


def _hash_table(keys: Keys, values: Indices) -> tuple[Keys, Indices]:
    """Keys and values at their places, of which at most a half are taken; 0 is no key."""
    size = 1 << (2 * len(keys)).bit_length()
    table, found = np.zeros(size, np.uint64), np.zeros(size, np.int32)
    for key, value in zip(keys.tolist(), values.tolist(), strict=True):
        slot = (key * int(_SPREAD) % 2**64 >> 32) & (size - 1)
        while table[slot] != _EMPTY:
            slot = (slot + 1) & (size - 1)
        table[slot], found[slot] = key, value
    return table, found


def _word_hash(word: Bytes) -> int:
    found = int(_WORD_BASIS)
    for byte in word.tolist():
        found = (found ^ byte) * int(_WORD_PRIME) % 2**64
    return found or 1


class Alphabet(NamedTuple):
    """What the loop needs to know of characters below `scripts.PLANES`; each (PLANES,).

    Attributes:
        script: number of the script; 0 ends a word, `scripts.INHERITED` continues one.
        lower: the lower case.
        origin: 1 for Han signs of Japan alone, -1 for those that Japan has not.
        slot: for each script, where the vectors of its words are summed; -1 for a script whose
            words are not looked up; (scripts,).
        han: number of the script that characters beyond PLANES belong to.
    """

    script: Bytes
    lower: Indices
    origin: npt.NDArray[np.int8]
    slot: Indices
    han: int


class Sums(NamedTuple):
    """What is found in N texts.

    Attributes:
        letters: of each script; (N, scripts).
        origins: Han signs that only Japan has, and that Japan has not; (N, 2).
        vectors: sums over words, by slot of their script; (N, slots, W).
    """

    letters: Indices
    origins: Indices
    vectors: Floats


class Memo(NamedTuple):
    """Sums of the words seen last, since most words come again. It changes no result, only speed.

    Attributes:
        words: hash of the word in each place; 0 for none; (M,).
        sums: its vector and those of its n-grams; (M, W).
    """

    words: Keys
    sums: Floats


def new_memo(table: Table, size: int = 1 << 15) -> Memo:
    """An empty memo, for one thread."""
    return Memo(np.zeros(size, np.uint64), np.zeros((size, table.vectors.shape[1]), np.float32))


def sum_texts(
    data: Bytes,
    edges: npt.NDArray[np.int64],
    most: npt.NDArray[np.int64],
    alphabet: Alphabet,
    table: Table,
    memo: Memo,
) -> Sums:
    """Letters and vectors of the first `most[i]` letters of each text i.

    Texts are UTF-8, text i from `edges[i]` to `edges[i + 1]`. Words are runs of letters in one
    script, in lower case, with their marks and apostrophes; web and mail addresses are none, nor
    is a run of more than a hundred bytes.
    """
    count = len(edges) - 1
    sums = Sums(
        np.zeros((count, len(alphabet.slot)), np.int32),
        np.zeros((count, 2), np.int32),
        np.zeros((count, int(alphabet.slot.max()) + 1, table.vectors.shape[1]), np.float32),
    )
    _sum_texts(data, edges, most, alphabet, table, memo, *sums)
    return sums


@compiled
def _sum_texts(
    data: Bytes,
    edges: npt.NDArray[np.int64],
    most: npt.NDArray[np.int64],
    alphabet: Alphabet,
    table: Table,
    memo: Memo,
    letters: Indices,
    origins: Indices,
    vectors: Floats,
) -> None:
    script_of, lower, origin, slot_of, han = alphabet
    table_vectors, words, word_vectors, ngrams, buckets, shortest, longest = table
    width = table_vectors.shape[1]
    memo_words, memo_sums = memo
    latin = script_of[97]
    word = np.empty(LONGEST_WORD + 8, np.uint8)
    word[0] = _OPEN
    kept = np.empty((LONGEST_WORD + 8) * longest, np.int64)  # buckets of a word's n-grams
    # Words whose sums are still to be added: many at once, since each comes from slow memory.
    places, slots = np.empty(_AT_ONCE, np.int64), np.empty(_AT_ONCE, np.int64)
    for text in range(len(edges) - 1):
        at, end, limit = edges[text], edges[text + 1], most[text]
        size, inside, own = 1, np.uint8(0), 0  # bytes of the word, its script, its letters
        hashed = _WORD_BASIS
        seen, waiting = 0, 0
        while True:
            # The next character; 0, which ends a word, behind the last.
            code, after = np.int64(0), at + 1
            if at < end and seen < limit:
                code = np.int64(data[at])
                if code >= 0xF0:
                    code = (code & 7) << 18 | np.int64(data[at + 1] & 63) << 12
                    code |= np.int64(data[at + 2] & 63) << 6 | np.int64(data[at + 3] & 63)
                    after = at + 4
                elif code >= 0xE0:
                    code = (code & 15) << 12 | np.int64(data[at + 1] & 63) << 6
                    code |= np.int64(data[at + 2] & 63)
                    after = at + 3
                elif code >= 0xC0:
                    code = (code & 31) << 6 | np.int64(data[at + 1] & 63)
                    after = at + 2
            elif at < end:
                end = at
            script = np.uint8(han)
            if code < _PLANES:
                script = script_of[code]
            slot = slot_of[script]

            if size > 1 and inside == _INHERITED and (script == 0 or slot < 0):
                size, hashed = 1, _WORD_BASIS  # apostrophes alone
            ends = script != inside and inside != _INHERITED and script != _INHERITED
            if size > 1 and ends:
                address = (
                    (code == 58 and at + 2 < end and data[at + 1] == 47 and data[at + 2] == 47)
                    or (code == 46 and size == 4 and word[1] == word[2] == word[3] == 119)
                    or code == 64
                )
                if address:  # name:// or www. or name@
                    while at < end and data[at] > 32:
                        at += 1
                    size = 1
                    continue
                letters[text, inside] += own
                if size <= LONGEST_WORD:
                    # One of four places; any of them is overwritten when all are taken.
                    spread = hashed * _SPREAD
                    first = np.int64((spread >> np.uint64(32)) % np.uint64(len(memo_words))) & ~3
                    place = first + np.int64(spread & np.uint64(3))
                    for way in range(4):
                        if memo_words[first + way] in (hashed, _EMPTY):
                            place = first + way
                            break
                    missing = memo_words[place] != hashed
                    if missing or waiting == len(places):
                        for number in range(waiting):
                            into = vectors[text, slots[number]]
                            row = memo_sums[places[number]]
                            for column in range(width):
                                into[column] += row[column]
                        waiting = 0
                    places[waiting], slots[waiting] = place, slot_of[inside]
                    waiting += 1
                    if missing:
                        found = memo_sums[place]
                        memo_words[place] = hashed
                        found[:] = 0
                        word[size] = _CLOSE
                        # The word itself, then its n-grams, each by its place in a hash table.
                        mask = np.uint64(len(words) - 1)
                        look = hashed * _SPREAD >> np.uint64(32) & mask
                        while words[look] != _EMPTY:
                            if words[look] == hashed:
                                row = table_vectors[word_vectors[look]]
                                for column in range(width):
                                    found[column] += row[column]
                                break
                            look = look + np.uint64(1) & mask
                        grams = 0
                        for start in range(size + 1):
                            if word[start] & 0xC0 == 0x80:  # not the first byte of a letter
                                continue
                            # FNV-1a, each byte widened with its sign, as fastText has it.
                            gram, stop, length = np.uint32(2166136261), start, 0
                            while stop <= size and length < longest:
                                length += 1
                                while True:
                                    byte = np.uint32(word[stop])
                                    if byte >= 128:
                                        byte = np.uint32(byte | np.uint32(0xFFFFFF00))
                                    gram = np.uint32((gram ^ byte) * np.uint32(16777619))
                                    stop += 1
                                    if stop > size or word[stop] & 0xC0 != 0x80:
                                        break
                                if length < shortest or (
                                    length == 1 and (start == 0 or stop > size)
                                ):
                                    continue
                                bucket = np.int64(gram % np.uint32(buckets))
                                kept[grams] = bucket
                                bits = ngrams[bucket >> 6, 0] >> np.uint64(bucket & 63)
                                grams += int(bits & _ONE)
                        for gram_at in range(grams):
                            bucket = kept[gram_at]
                            # Its vector: counted are the bits below its own, side by side.
                            ones = ngrams[bucket >> 6, 0]
                            ones &= (_ONE << np.uint64(bucket & 63)) - _ONE
                            ones -= ones >> _ONE & _PAIRS
                            ones = (ones & _FOURS) + (ones >> np.uint64(2) & _FOURS)
                            ones = (ones + (ones >> np.uint64(4))) & _EIGHTS
                            ones = ones * _BYTES >> np.uint64(56)
                            row = table_vectors[ngrams[bucket >> 6, 1] + ones]
                            for column in range(width):
                                found[column] += row[column]
                size, own, hashed = 1, 0, _WORD_BASIS

            if at >= end:
                break
            at = after
            if script == 0:
                continue
            if script == _INHERITED:
                if size == 1 and code != 39 and code != 0x2019:
                    continue
                inside = script if size == 1 else inside
            elif slot < 0:
                seen += 1
                letters[text, script] += 1
                if code < _PLANES:
                    origins[text, 0] += origin[code] > 0
                    origins[text, 1] += origin[code] < 0
                continue
            else:
                seen += 1
                own += 1
                inside = script
            # One more letter or mark of the word.
            if size > LONGEST_WORD:
                continue
            code = np.int64(lower[code])
            before = size
            if code < 0x80:
                word[size] = code
                size += 1
            elif code < 0x800:
                word[size] = 0xC0 | code >> 6
                word[size + 1] = 0x80 | code & 63
                size += 2
            elif code < 0x10000:
                word[size] = 0xE0 | code >> 12
                word[size + 1] = 0x80 | code >> 6 & 63
                word[size + 2] = 0x80 | code & 63
                size += 3
            else:
                word[size] = 0xF0 | code >> 18
                word[size + 1] = 0x80 | code >> 12 & 63
                word[size + 2] = 0x80 | code >> 6 & 63
                word[size + 3] = 0x80 | code & 63
                size += 4
            for byte_at in range(before, size):
                hashed = (hashed ^ np.uint64(word[byte_at])) * _WORD_PRIME
            # Most letters are followed by one of a to z in their word: the short way for these.
            while inside == latin and at < end and seen < limit and size <= LONGEST_WORD:
                small = data[at] | 32
                if small < 97 or small > 122:
                    break
                word[size] = small
                hashed = (hashed ^ np.uint64(small)) * _WORD_PRIME
                at, size, seen, own = at + 1, size + 1, seen + 1, own + 1
        for number in range(waiting):
            into = vectors[text, slots[number]]
            row = memo_sums[places[number]]
            for column in range(width):
                into[column] += row[column]


@compiled
def average_probabilities(
    sums: Floats, end_of_line: Floats, first: int, number: int, output: Floats, tree: Indices
) -> Floats:
    """The probability of each label of a stacked classifier, for sums over texts; (N, L).

    The classifier's vectors start at column `first`; it is the one with that `number`, which tells
    the column of its count. A logit beyond 14, or so far below the highest, counts as 14.
    """
    dim = output.shape[1]
    leaves = len(tree) + 1 if len(tree) else len(output)
    found = np.zeros((len(sums), leaves), np.float32)
    hidden = np.empty(dim, np.float32)
    count = len(output)
    # The inner loops run over labels, of which many are taken at once: those that only fill up the
    # last lot come out with a negligible share.
    padded = -(-count // _LANES) * _LANES
    logits, lanes = np.empty(padded, np.float32), np.empty(_LANES, np.float32)
    columns = np.zeros((dim, padded), np.float32)
    columns[:, :count] = output.T
    shares = np.empty(2 * leaves - 1, np.float32)  # of the leaves, then of the inner nodes
    for text in range(len(sums)):
        into = found[text]
        vectors = sums[text, number] + end_of_line[number]
        for column in range(dim):
            hidden[column] = (sums[text, first + column] + end_of_line[first + column]) / vectors
        logits[:count] = 0
        logits[count:] = -np.inf
        for column in range(dim):
            for label in range(len(logits)):
                logits[label] += columns[column, label] * hidden[column]
        top = np.float32(0)
        if len(tree) == 0:
            lanes[:] = logits[:_LANES]
            for start in range(_LANES, padded, _LANES):
                for lane in range(_LANES):
                    lanes[lane] = max(lanes[lane], logits[start + lane])
            top = lanes.max()
        # e**x as the 32nd power of the series for x / 32, which takes many numbers at once.
        for label in range(len(logits)):
            part = min(max(logits[label] - top, -_FAR), _FAR) * _PART
            power = _SIXTH + part * (_TWENTY_FOURTH + part * _HUNDRED_TWENTIETH)
            power = _ONE_F + part * (_ONE_F + part * (_HALF + part * power))
            power *= power
            power *= power
            power *= power
            power *= power
            logits[label] = power * power
        if len(tree):
            shares[-1] = 1
            for node in range(len(tree) - 1, -1, -1):
                share = shares[leaves + node]
                left = share / (_ONE_F + logits[node])
                shares[tree[node, 0]] = left
                shares[tree[node, 1]] = share - left
            into[:] = shares[:leaves]
        else:
            lanes[:] = 0
            for start in range(0, padded, _LANES):
                for lane in range(_LANES):
                    lanes[lane] += logits[start + lane]
            total = lanes.sum()
            for label in range(leaves):
                into[label] = logits[label] / total
    return found
