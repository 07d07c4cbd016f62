"""Text measures: sizes, words, lines, repetition and kinds of signs, of documents and their nodes.

The formulas are those of published rule sets, which `pipelines/rules/` states as rules:

- Gopher: Rae et al. 2021, "Scaling Language Models: Methods, Analysis & Insights from Training
  Gopher", Tables A1 and A1.1;
- C4: Raffel et al. 2020, "Exploring the Limits of Transfer Learning with a Unified Text-to-Text
  Transformer", section 2.2;
- FineWeb: Penedo et al. 2024, "The FineWeb Datasets", section 3.6;
- OBELICS: Laurençon et al. 2023, "OBELICS: An Open Web-Scale Filtered Dataset of Interleaved
  Image-Text Documents", section 3.2, formulas after Laurençon et al. 2022, "The BigScience ROOTS
  Corpus";
- OmniCorpus: Li et al. 2024, "OmniCorpus: A Unified Multimodal Corpus of 10 Billion-Level Images
  Interleaved with Text", section 3.1 and its appendix.

docs/text-measures.md has every formula. The loops are in `operators.text_loops`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from operators import text_loops as loops
from operators.base import Operator
from operators.text_signs import SCRIPTS, fold, folded, kinds
from operators.token_weights import WEIGHTS
from operators.word_lists import (
    FLAGGED_LANGUAGES,
    PHRASES,
    STOP_LANGUAGES,
    digest,
    flagged_runs,
    words,
)
from schemas import columns

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int32]
Points = npt.NDArray[np.uint32]
Hashes = npt.NDArray[np.uint64]

_GOPHER_STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
_TOP = (2, 3, 4)
_DUP = (5, 6, 7, 8, 9, 10)
_CHARACTERS_OF_GRAM = 10  # OBELICS
_WORDS_OF_GRAM = 5  # OBELICS
_SENTENCES_OF_SPAN = 3  # C4
_AT_ONCE = 100_000  # bytes of text: few enough that arrays over them stay near the processor

_DOCUMENT = (
    *("char_count", "word_count", "mean_word_length", "image_count"),
    *("symbol_word_ratio", "bullet_line_ratio", "ellipsis_line_ratio"),
    *("alpha_word_ratio", "stop_word_count"),
    *("dup_line_ratio", "dup_line_char_ratio", "dup_paragraph_ratio", "dup_paragraph_char_ratio"),
    *(f"top_{n}gram_char_ratio" for n in _TOP),
    *(f"dup_{n}gram_char_ratio" for n in _DUP),
    *("line_count", "sentence_count", "token_count", "longest_word_length"),
    *("terminal_line_ratio", "short_line_ratio", "few_word_line_ratio"),
    *("newline_word_ratio", "max_newline_run"),
    *("javascript_line_count", "policy_line_count", "citation_mark_count"),
    *("lorem_ipsum_count", "curly_bracket_count"),
    *("c4_line_ratio", "c4_sentence_count", "dup_sentence_span_ratio"),
    *("char_repetition_ratio", "word_repetition_ratio", "special_char_ratio"),
    *("stop_word_ratio", "flagged_word_ratio", "punctuation_ratio"),
    *("digit_ratio", "uppercase_ratio", "top_word_ratio"),
    *("longest_paragraph_words", "mean_paragraph_words", "words_per_image"),
)
_NODE = (
    *("node_kind", "node_char_count", "node_word_count", "node_sentence_count"),
    *("node_token_count", "node_longest_word_length", "node_ends_sentence"),
    *("node_javascript_line_count", "node_policy_line_count", "node_citation_mark_count"),
    *("node_char_repetition_ratio", "node_word_repetition_ratio", "node_special_char_ratio"),
    *("node_stop_word_ratio", "node_flagged_word_ratio", "node_punctuation_ratio"),
    *("node_digit_ratio", "node_uppercase_ratio", "node_alpha_word_ratio"),
)


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


def utf8(texts: pa.Array) -> tuple[Bytes, Offsets]:
    """The bytes of N texts, and N + 1 offsets into them; a null text has no bytes."""
    whole = pc.fill_null(texts, "") if texts.null_count else texts
    _, offsets, data = whole.buffers()
    if offsets is None or data is None:
        return np.zeros(0, np.uint8), np.zeros(len(texts) + 1, np.int32)
    bounds = np.frombuffer(offsets, np.int32)[whole.offset : whole.offset + len(whole) + 1]
    return np.frombuffer(data, np.uint8), bounds


class Tables(NamedTuple):
    """What the loops look into: kinds of signs, word lists, phrases, weights of tokens."""

    kinds: npt.NDArray[np.int32]
    folds: Points
    lexicon: tuple[Hashes, Integers]
    longest_run: int
    phrases: tuple[Points, Integers, Integers]
    weights: Floats


class TextStatistics(Operator[Tables]):
    """Measures of the words, lines, repetition and signs of documents and their nodes.

    A word is a run of non-space characters; in scripts without spaces each sign is one. A line is
    a line of a text node that is not blank, a paragraph a text node. Documents and nodes without
    text measure 0 throughout; words per image are null without images.
    """

    name = "text_statistics"
    version = 2
    reads = columns.schema("nodes")
    writes = columns.schema(*_DOCUMENT, *_NODE)

    min_line_words: int = Field(3, ge=0, description="words that C4 wants of a line")
    max_word_length: int = Field(1000, ge=1, description="signs of a word that C4 bears in a line")
    short_line_length: int = Field(30, ge=0, description="signs up to which a line is short")

    def setup(self) -> Tables:
        """Tables of signs and words; loops are compiled here, not on the first documents."""
        found = tables()
        node = {"kind": "text", "text": "any text", "dom_index": 0}
        nodes = pa.array([[node]], columns.column("nodes").type)
        self.measure(pa.table({"nodes": nodes}), found)
        return found

    def provenance(self) -> dict[str, str]:
        """The digest of the word lists."""
        return super().provenance() | {"lexicons": digest()}

    def measure(self, batch: pa.Table, state: Tables) -> pa.Table:
        """One row of measures a document; nulls where `nodes` is null."""
        nodes = batch["nodes"]
        present = pc.drop_null(nodes).combine_chunks()
        limits = (self.min_line_words, self.max_word_length, self.short_line_length)
        parts = [_measures(part, state, limits) for part in _parts(present)]
        table = pa.concat_tables([self.writes.empty_table(), *parts]).combine_chunks()
        if nodes.null_count == 0:
            return table
        known = pc.is_valid(nodes).to_numpy()
        rows = pa.array(np.cumsum(known) - 1, mask=~known)
        return table.take(rows)


# --- Documents as arrays ------------------------------------------------------------------------


@dataclass(frozen=True)
class _Texts:
    """The text of documents: their code points, and where nodes and documents begin."""

    points: Points
    node_first: Integers  # (N + 1,), in code points
    document_first: Integers  # (D + 1,), in nodes
    kinds: pa.Array  # of the nodes
    has_text: npt.NDArray[np.bool_]  # (N,), false for images

    @property
    def text_first(self) -> Integers:
        """Where documents begin, in code points; (D + 1,)."""
        return self.node_first[self.document_first]

    def by_document(self, of_nodes: npt.NDArray[np.int64]) -> Integers:
        """Sums over the nodes of each document; (D, ...)."""
        return _spread(np.cumsum(_after_zero(of_nodes), axis=0), self.document_first)

    def most_by_document(self, of_nodes: Integers) -> Integers:
        """The greatest value among the nodes of each document, 0 without nodes; (D,)."""
        most = np.zeros(len(self.document_first) - 1, np.int64)
        filled = np.diff(self.document_first) > 0
        if filled.any():
            most[filled] = np.maximum.reduceat(of_nodes, self.document_first[:-1][filled])
        return most

    def first(self, of_nodes: Integers) -> Integers:
        """Where the items of documents begin whose nodes have so many each; (D + 1,)."""
        return _first(of_nodes)[self.document_first]


def _after_zero(values: Integers) -> Integers:
    return np.concatenate([np.zeros((1, *values.shape[1:]), values.dtype), values])


def _spread(running: Integers, first: Integers) -> Integers:
    return running[first[1:]] - running[first[:-1]]


def _first(counts: Integers) -> Integers:
    """Where each group of so many items begins, and where the last ends."""
    return np.cumsum(_after_zero(counts))


def _parts(documents: pa.ListArray) -> Iterator[pa.ListArray]:
    """Runs of documents with about so much text as is measured at once."""
    texts = pc.struct_field(pc.list_flatten(documents), "text")
    bytes_before = _first(pc.binary_length(texts).fill_null(0).to_numpy().astype(np.int64))
    first = _first(pc.list_value_length(documents).to_numpy().astype(np.int64))
    part_of = bytes_before[first[:-1]] // _AT_ONCE
    edges = [0, *(np.flatnonzero(np.diff(part_of)) + 1).tolist(), len(documents)]
    for start, end in itertools.pairwise(edges):
        if end > start:
            yield documents.slice(start, end - start)


def _texts(documents: pa.ListArray) -> _Texts:
    flat = pc.list_flatten(documents)
    texts = pc.struct_field(flat, "text")
    filled = texts.fill_null("")
    return _Texts(
        points=_points(_joined(filled)),
        node_first=_first(pc.utf8_length(filled).to_numpy().astype(np.int64)),
        document_first=_first(pc.list_value_length(documents).to_numpy().astype(np.int64)),
        kinds=pc.struct_field(flat, "kind"),
        has_text=pc.is_valid(texts).to_numpy(zero_copy_only=False),
    )


def _joined(texts: pa.StringArray) -> str:
    """All texts, none of which is null, as one: read at once from where Arrow keeps them."""
    _, offsets, data = texts.buffers()
    if data is None:
        return ""
    first, last = np.frombuffer(offsets, np.int32)[[texts.offset, texts.offset + len(texts)]]
    return str(data.slice(first, last - first), "utf-8")


# --- Measures -----------------------------------------------------------------------------------


def _measures(documents: pa.ListArray, tables: Tables, limits: tuple[int, int, int]) -> pa.Table:
    """The measures of documents, none of which is null, as `TextStatistics.writes` lists them."""
    texts = _texts(documents)
    lists = len(STOP_LANGUAGES)
    counts, estimates, places, lengths, hashes, keys = loops.read_words(
        texts.points,
        texts.node_first,
        tables.kinds,
        tables.folds,
        tables.lexicon,
        lists,
        tables.longest_run,
        tables.weights,
    )
    lines = loops.read_lines(
        texts.points,
        texts.node_first,
        tables.kinds,
        tables.folds,
        places,
        lengths,
        tables.phrases,
        limits,
    )
    line_counts, sentences = lines[0], lines[5]
    tokens = np.ceil(estimates).astype(np.int64)
    sums, line_sums = texts.by_document(counts), texts.by_document(line_counts)
    node_chars = np.diff(texts.node_first)
    chars = np.diff(texts.text_first)
    word_first = texts.first(counts[:, loops.WORDS])
    word_counts, node_words = sums[:, loops.WORDS], counts[:, loops.WORDS]
    word_chars = _spread(_after_zero(np.cumsum(lengths)), word_first)
    paragraphs = node_chars > 0
    paragraph_counts = texts.by_document(paragraphs.astype(np.int64))
    line_first = texts.first(lines[4])
    repeated_lines = loops.duplicates(lines[1], lines[2], line_first)
    repeated_paragraphs = loops.duplicates(
        lines[3][paragraphs],
        node_chars[paragraphs],
        _first(paragraph_counts),
    )
    gopher = loops.repetition(hashes, lengths, word_first, _TOP, _DUP)
    sentence_first = texts.first(lines[6])
    spans = loops.repeats(
        loops.grams(sentences, sentence_first, _SENTENCES_OF_SPAN),
        sentence_first,
        _SENTENCES_OF_SPAN,
    )
    obelics = _Repeats.of(texts, counts[:, loops.KEYS], keys[keys != 0])
    images = texts.by_document((~texts.has_text).astype(np.int64))
    # Line breaks in nodes, and between two nodes with text.
    breaks = sums[:, loops.NEWLINES] + np.maximum(paragraph_counts - 1, 0)
    line_count = line_sums[:, loops.LINES]
    of_documents = [
        chars,
        word_counts,
        _share(word_chars, word_counts),
        images,
        _share(sums[:, loops.SYMBOLS], word_counts),
        _share(line_sums[:, loops.BULLETS], line_count),
        _share(line_sums[:, loops.ELLIPSES], line_count),
        _share(sums[:, loops.ALPHABETIC], word_counts),
        sums[:, loops.GOPHER_STOPS],
        *repeated_lines.T,
        *repeated_paragraphs.T,
        *gopher.T,
        line_count,
        line_sums[:, loops.SENTENCES],
        texts.by_document(tokens),
        texts.most_by_document(counts[:, loops.LONGEST]),
        _share(line_sums[:, loops.TERMINALS], line_count),
        _share(line_sums[:, loops.SHORT], line_count),
        _share(line_sums[:, loops.FEW_WORDS], line_count),
        _share(breaks, word_counts),
        texts.most_by_document(counts[:, loops.NEWLINE_RUN]),
        line_sums[:, loops.SCRIPT_LINES],
        line_sums[:, loops.POLICY_LINES],
        line_sums[:, loops.CITATIONS],
        line_sums[:, loops.LOREMS],
        sums[:, loops.CURLY],
        _share(line_sums[:, loops.KEPT], line_count),
        line_sums[:, loops.KEPT_SENTENCES],
        _share(spans[:, 0] - spans[:, 1], spans[:, 0]),
        *_kinds_of_text(sums, chars, obelics.of_documents),
        _share(obelics.most_frequent_word, sums[:, loops.KEYS]),
        texts.most_by_document(node_words),
        _share(word_counts, paragraph_counts),
        pa.array(_share(word_counts, images).astype(np.float32), mask=images == 0),
    ]
    of_nodes = [
        texts.kinds,
        node_chars,
        node_words,
        line_counts[:, loops.SENTENCES],
        tokens,
        counts[:, loops.LONGEST],
        line_counts[:, loops.ENDS_SENTENCE] > 0,
        line_counts[:, loops.SCRIPT_LINES],
        line_counts[:, loops.POLICY_LINES],
        line_counts[:, loops.CITATIONS],
        *_kinds_of_text(counts, node_chars, obelics.of_nodes),
        _share(counts[:, loops.ALPHABETIC], node_words),
    ]
    offsets = pa.array(texts.document_first, pa.int32())
    return pa.Table.from_arrays(
        [
            *(_array(name, values) for name, values in zip(_DOCUMENT, of_documents, strict=True)),
            *(
                pa.ListArray.from_arrays(offsets, _array(name, values))
                for name, values in zip(_NODE, of_nodes, strict=True)
            ),
        ],
        schema=TextStatistics.writes,
    )


@dataclass(frozen=True)
class _Repeats:
    """OBELICS's repetition of characters and of words, and the most frequent word's count."""

    of_documents: tuple[Floats, Floats]
    of_nodes: tuple[Floats, Floats]
    most_frequent_word: Integers

    @classmethod
    def of(cls, texts: _Texts, key_counts: Integers, keys: Hashes) -> _Repeats:
        """Nodes of a document are read as one text; `keys` are those of words that have one."""
        signs = _CHARACTERS_OF_GRAM
        characters = loops.grams(texts.points, texts.text_first, signs)
        document_keys = texts.first(key_counts)
        word_grams = loops.grams(keys, document_keys, _WORDS_OF_GRAM)
        by_length = [
            (
                loops.repeats(characters, first, signs),
                loops.repeats(word_grams, key_first, _WORDS_OF_GRAM),
            )
            for first, key_first in (
                (texts.text_first, document_keys),
                (texts.node_first, _first(key_counts)),
            )
        ]
        of_documents, of_nodes = (
            (_share(signs[:, 3], signs[:, 0]), _share(of_words[:, 2], of_words[:, 0]))
            for signs, of_words in by_length
        )
        return cls(of_documents, of_nodes, loops.repeats(keys, document_keys, 1)[:, 4])


def _kinds_of_text(
    counts: Integers, chars: Integers, repeated: tuple[Floats, Floats]
) -> Iterator[Floats]:
    """Repetition, and shares of kinds of characters and words, of documents or nodes."""
    yield from repeated
    yield _share(counts[:, loops.SPECIALS], chars)
    yield _share(counts[:, loops.STOPS :].max(axis=1, initial=0), counts[:, loops.KEYS])
    yield np.minimum(_share(counts[:, loops.FLAGGED], counts[:, loops.KEYS]), 1)
    yield _share(counts[:, loops.PUNCTUATIONS], counts[:, loops.TOKENS])
    solid = chars - counts[:, loops.SPACES]
    yield _share(counts[:, loops.DIGITS], solid)
    yield _share(counts[:, loops.UPPERS], solid)


def _share(part: Integers, whole: Integers) -> Floats:
    """Part over whole, 0 where there is no whole."""
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole != 0)


def _array(name: str, values: npt.NDArray[np.generic] | pa.Array) -> pa.Array:
    """The column's values, in its type."""
    if isinstance(values, pa.Array):
        return values
    return pa.array(values.astype(columns.column(name).type.to_pandas_dtype(), copy=False))


# --- Tables -------------------------------------------------------------------------------------


@cache
def tables() -> Tables:
    """The tables, made once in a process."""
    starts = np.cumsum([0, *map(len, PHRASES)])
    phrases = (_points("".join(PHRASES)), starts, np.array(list(PHRASES.values()), np.int64))
    longest_run = max(map(len, flagged_runs()))
    weights = np.array([WEIGHTS[script] for script in SCRIPTS])
    return Tables(kinds(), folded(), _lexicon(), longest_run, phrases, weights)


def _lexicon() -> tuple[Hashes, Integers]:
    """A hash table of all words of lists, and the lists of each as bits; see `read_words`."""
    lists = [words(f"stop-{language}") for language in STOP_LANGUAGES]
    lists += [_GOPHER_STOP_WORDS]
    flagged = [word for language in FLAGGED_LANGUAGES for word in words(f"flagged-{language}")]
    runs = set(flagged_runs())
    lists += [tuple(word for word in flagged if word not in runs), flagged_runs()]
    bits: dict[int, int] = {}
    for number, members in enumerate(lists):
        for word in members:
            key = _hash(fold(word))
            bits[key] = bits.get(key, 0) | 1 << number
    size = 1 << (4 * len(bits)).bit_length()
    keys, found = np.zeros(size, np.uint64), np.zeros(size, np.int64)
    for key, which in bits.items():
        slot = key >> 32 & size - 1
        while found[slot]:
            slot = (slot + 1) % size
        keys[slot], found[slot] = key, which
    return keys, found


def _hash(text: str) -> int:
    """The hash of a text's signs, as `read_words` makes it."""
    found = int(loops.SEED)
    for sign in text:
        found = (found ^ ord(sign)) * int(loops.MIX) % 2**64
        found ^= found >> 32
    return found


def _points(text: str) -> Points:
    return np.frombuffer(text.encode("utf-32-le"), np.uint32)
