"""A linear head over hashed n-grams of signs and words: small, fast, and trained without a library.

A document's features are the shares that each n-gram has in it, apart for each order (signs 1 to
`sign_ngrams`, words 1 to `word_ngrams`), so that its length does not matter. An n-gram is known by
its hash (Weinberger et al. 2009, "Feature Hashing for Large Scale Multitask Learning"). The head is
a multinomial logistic regression fitted by Adagrad (Duchi et al. 2011), which gives rare n-grams
the larger steps that they need.
"""

from __future__ import annotations

import unicodedata
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from operators.compiled import compiled
from operators.scripts import WORD
from schemas.errors import InputError

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Buckets = npt.NDArray[np.int32]

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # spreads the bits of a hash
_SIGNS_SEED, _WORDS_SEED = np.uint64(0x51), np.uint64(0xA7)  # a word is another thing than its sign
_AT_ONCE = 1_000_000  # signs of text whose features are in hand together
_SPACE, _PART, _ALONE = 0, 1, 2
_ARRAYS = ("labels", "weights", "bias", "sign_ngrams", "word_ngrams")


def clean(text: str) -> str:
    """The text as classifiers see it: single spaces, no empty lines."""
    lines = (" ".join(line.split()) for line in text.split("\n"))
    return "\n".join(line for line in lines if line)


@dataclass(frozen=True)
class LinearClassifier:
    """A trained head with L labels over B buckets, B a power of two.

    Attributes:
        labels: the labels; the first is the one whose logit is always 0.
        weights: of the other labels; (B, L - 1).
        bias: of the other labels; (L - 1,).
        sign_ngrams: the longest n-gram of signs.
        word_ngrams: the longest n-gram of words.
    """

    labels: tuple[str, ...]
    weights: Floats
    bias: Doubles
    sign_ngrams: int
    word_ngrams: int

    def probabilities(self, texts: Sequence[str]) -> Doubles:
        """The probability of each label; (len(texts), L)."""
        orders = self.sign_ngrams, self.word_ngrams
        logits = np.zeros((len(texts), len(self.labels)))
        for start, end in _parts(texts):
            found = features(texts[start:end], *orders, len(self.weights))
            logits[start:end, 1:] = _logits(found.buckets, found.sizes, self.weights, self.bias)
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities: Doubles = odds / odds.sum(axis=1, keepdims=True)
        return probabilities

    def save(self, path: Path) -> None:
        """Write the head as .npz, weights in half precision: 2 bytes a bucket and label."""
        np.savez_compressed(
            path,
            labels=np.array(self.labels),
            weights=self.weights.astype(np.float16),
            bias=self.bias,
            sign_ngrams=np.int64(self.sign_ngrams),
            word_ngrams=np.int64(self.word_ngrams),
        )

    @classmethod
    def load(cls, path: Path) -> LinearClassifier:
        """The head in an .npz file.

        Raises:
            InputError: the file is something else.
        """
        if not zipfile.is_zipfile(path):
            raise not_a_model(path, "linear", "it is no .npz file")
        try:
            with np.load(path, allow_pickle=False) as arrays:
                labels, weights, bias, signs, words = (arrays[name] for name in _ARRAYS)
                head = cls(
                    tuple(map(str, labels)),
                    weights.astype(np.float32),
                    bias,
                    int(signs),
                    int(words),
                )
        except (ValueError, KeyError, TypeError, EOFError, OSError, zipfile.BadZipFile) as error:
            raise not_a_model(path, "linear", error) from None
        rows, columns = head.weights.shape if head.weights.ndim == 2 else (0, 0)
        if not rows or rows & (rows - 1) or columns != len(head.labels) - 1 != len(head.bias) - 1:
            raise not_a_model(path, "linear", "its arrays do not fit together")
        return head


def not_a_model(path: Path, kind: str, error: object) -> InputError:
    """The error for a file that is there but cannot be read as a model of its kind."""
    maker = {"huggingface": "save_pretrained of a sequence classifier writes them"}
    made = maker.get(kind, "'omniloom train-classifier' makes them")
    message = f"{path}: cannot be read as a {kind} classifier: {error}"
    return InputError(f"{message}\n    fix: name a model of this kind; {made}")


# --- Features -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Features:
    """The hashed n-grams of D documents, of O orders.

    Attributes:
        buckets: of every n-gram: document after document, in each order after order.
        sizes: how many n-grams each document has of each order; (D, O).
    """

    buckets: Buckets
    sizes: Integers


def features(texts: Sequence[str], sign_ngrams: int, word_ngrams: int, buckets: int) -> Features:
    """The features of the texts; small and capital letters, and all digits, are the same."""
    small = [text.lower() for text in texts]
    codes = np.frombuffer("".join(small).encode("utf-32-le", "surrogatepass"), np.uint32)
    codes = np.where((codes >= ord("0")) & (codes <= ord("9")), np.uint32(ord("0")), codes)
    lengths = np.array([len(text) for text in small], np.int64)
    bits = buckets.bit_length() - 1
    found = _hashed(codes, _kinds()[codes], lengths, sign_ngrams, word_ngrams, bits)
    return Features(*found)


def _parts(texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Runs of texts that are short enough to have their features in hand together."""
    start, signs = 0, 0
    for end, text in enumerate(texts, start=1):
        signs += len(text)
        if signs >= _AT_ONCE or end == len(texts):
            yield start, end
            start, signs = end, 0


@cache
def _kinds() -> npt.NDArray[np.uint8]:
    """For each code point: a space, part of a word, or a word of its own.

    Letters, digits and marks make words; so does each sign of a script without spaces alone, and
    each punctuation mark, symbol and line break.
    """
    kinds = np.full(0x110000, _ALONE, np.uint8)
    for code in range(0x110000):
        category = unicodedata.category(chr(code))[0]
        if category in "ZC":
            kinds[code] = _SPACE
        elif category == "M" or (category in "LN" and len(WORD.findall(f"{chr(code)}a")) == 1):
            kinds[code] = _PART
    kinds[ord("\n")] = _ALONE
    return kinds


@compiled
def _hashed(
    codes: npt.NDArray[np.uint32],
    kinds: npt.NDArray[np.uint8],
    lengths: Integers,
    sign_ngrams: int,
    word_ngrams: int,
    bits: int,
) -> tuple[Buckets, Integers]:
    """Buckets of the n-grams of documents of the given lengths, and how many there are of each."""
    buckets = np.empty(len(codes) * (sign_ngrams + word_ngrams), np.int32)
    sizes = np.zeros((len(lengths), sign_ngrams + word_ngrams), np.int64)
    longest = 0
    for length in lengths:
        longest = max(longest, length)
    hashes = np.empty(longest, np.uint64)
    words = np.empty(longest, np.uint64)
    shift = np.uint64(64 - bits)
    low, at = 0, 0
    for document in range(len(lengths)):
        size = lengths[document]
        count, inside = 0, False
        for place in range(low, low + size):
            sign = np.uint64(codes[place]) + np.uint64(1)
            if kinds[place] == _SPACE:
                inside = False
                continue
            if not inside or kinds[place] == _ALONE:
                words[count] = _WORDS_SEED
                count += 1
            words[count - 1] = (words[count - 1] ^ sign) * _MULTIPLIER
            inside = kinds[place] == _PART
        hashes[:size] = _SIGNS_SEED
        for order in range(sign_ngrams):
            for start in range(size - order):
                sign = np.uint64(codes[low + start + order]) + np.uint64(1)
                hashes[start] = (hashes[start] ^ sign) * _MULTIPLIER
                hashes[start] ^= hashes[start] >> np.uint64(29)
                buckets[at] = np.int32((hashes[start] * _MULTIPLIER) >> shift)
                at += 1
            sizes[document, order] = max(size - order, 0)
        hashes[:count] = _WORDS_SEED
        for order in range(word_ngrams):
            for start in range(count - order):
                hashes[start] = (hashes[start] ^ words[start + order]) * _MULTIPLIER
                hashes[start] ^= hashes[start] >> np.uint64(29)
                buckets[at] = np.int32((hashes[start] * _MULTIPLIER) >> shift)
                at += 1
            sizes[document, sign_ngrams + order] = max(count - order, 0)
        low += size
    return buckets[:at], sizes


@compiled
def _logits(buckets: Buckets, sizes: Integers, weights: Floats, bias: Doubles) -> Doubles:
    """For each document the bias, and of each order the mean weight of its n-grams; (D, L - 1)."""
    logits = np.zeros((len(sizes), len(bias)))
    at = 0
    for document in range(len(sizes)):
        for label in range(len(bias)):
            logits[document, label] = bias[label]
        for order in range(sizes.shape[1]):
            size = sizes[document, order]
            for label in range(len(bias)):
                total = 0.0
                for place in range(at, at + size):
                    total += weights[buckets[place], label]
                if size:
                    logits[document, label] += total / size
            at += size
    return logits


# --- Training -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class LinearSettings:
    """How a linear head is trained."""

    sign_ngrams: int = 4
    word_ngrams: int = 2
    bits: int = 17
    epochs: int = 10
    rate: float = 2.0
    seed: int = 0


def fit(
    texts: Sequence[str],
    labels: Sequence[str],
    settings: LinearSettings,
    say: Callable[[str], None],
) -> LinearClassifier:
    """A head trained on texts, each with its label; the same for the same rows and settings."""
    names = sorted(set(labels))
    numbers = {name: number for number, name in enumerate(names)}
    wanted = np.array([numbers[label] for label in labels], np.int64)
    buckets = 1 << settings.bits
    orders = settings.sign_ngrams, settings.word_ngrams
    parts = [features(texts[start:end], *orders, buckets) for start, end in _parts(texts)]
    found = np.concatenate([part.buckets for part in parts])
    sizes = np.concatenate([part.sizes for part in parts])
    weights = np.zeros((buckets, len(names) - 1))
    bias = np.zeros(len(names) - 1)
    squares = np.full((buckets + 1, len(names) - 1), 1e-8)  # the last row is the bias's
    chance = np.random.default_rng(settings.seed)
    for epoch in range(1, settings.epochs + 1):
        order = chance.permutation(len(texts))
        rate = settings.rate * (1 - (epoch - 1) / settings.epochs)
        loss = _descend(found, sizes, wanted, order, weights, bias, squares, rate)
        say(f"epoch {epoch} of {settings.epochs}: mean log loss {loss:.4f}")
    return LinearClassifier(tuple(names), weights.astype(np.float32), bias, *orders)


@compiled
def _descend(
    buckets: Buckets,
    sizes: Integers,
    wanted: Integers,
    order: Integers,
    weights: Doubles,
    bias: Doubles,
    squares: Doubles,
    rate: float,
) -> float:
    """One pass of Adagrad over documents in the given order; changes weights, bias and squares.

    Returns the mean log loss, each document's before it was learned from.
    """
    labels = len(bias)
    starts = np.zeros(len(sizes) + 1, np.int64)
    for document in range(len(sizes)):
        starts[document + 1] = starts[document] + sizes[document].sum()
    loss = 0.0
    odds = np.zeros(labels + 1)
    for document in order:
        odds[0] = 0.0
        for label in range(labels):
            at = starts[document]
            odds[label + 1] = bias[label]
            for size in sizes[document]:
                total = 0.0
                for place in range(at, at + size):
                    total += weights[buckets[place], label]
                if size:
                    odds[label + 1] += total / size
                at += size
        odds -= odds.max()
        loss -= odds[wanted[document]] - np.log(np.exp(odds).sum())
        odds[:] = np.exp(odds) / np.exp(odds).sum()
        for label in range(labels):
            error = odds[label + 1] - (1.0 if wanted[document] == label + 1 else 0.0)
            squares[-1, label] += error * error
            bias[label] -= 0.1 * rate * error / np.sqrt(squares[-1, label])
            at = starts[document]
            for size in sizes[document]:
                step = error / max(size, 1)
                for place in range(at, at + size):
                    bucket = buckets[place]
                    squares[bucket, label] += step * step
                    weights[bucket, label] -= rate * step / np.sqrt(squares[bucket, label])
                at += size
    return loss / max(len(order), 1)
