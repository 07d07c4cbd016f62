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

import pyarrow as pa
import pyarrow.compute as pc

from operators.base import Operator, measured
from schemas import columns

# Scripts written without spaces: each Han, kana, Hangul or Thai sign counts as a word.
_WIDE = (
    r"\u2e80-\u2fdf\u3005-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\uff66-\uff9f"
    r"\U00020000-\U0003ffff\u0e01-\u0e30\u0e32\u0e33\u0e40-\u0e46\u0e4f-\u0e5b"
)
_MARKS = r"\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u3099\u309a"  # belong to the sign before them
WORD = re.compile(rf"[{_WIDE}][{_MARKS}]*|[^\s{_WIDE}]+")
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

    def measure(self, batch: pa.Table, state: None) -> pa.Table:
        """One row of measures a document; nulls where `nodes` is null."""
        rows = [_measures(texts) for texts in node_texts(batch["nodes"])]
        empty = [None] * len(self.writes)
        columns_ = zip(*(row if row is not None else empty for row in rows), strict=True)
        return measured(self.writes, list(columns_) or [[] for _ in self.writes])


def _measures(texts: list[str | None] | None) -> list[Any] | None:
    if texts is None:
        return None
    paragraphs = [text for text in texts if text]
    lines = [line.strip() for text in paragraphs for line in text.split("\n") if line.strip()]
    words = [WORD.findall(text) if text else [] for text in texts]
    flat = [word for node in words for word in node]
    return [
        sum(map(len, paragraphs)),
        len(flat),
        _ratio(sum(map(len, flat)), len(flat)),
        sum(text is None for text in texts),
        *_word_ratios(paragraphs, lines, flat),
        *_duplicates(lines),
        *_duplicates(paragraphs),
        *[_top_ngram(flat, n) for n in _TOP],
        *_duplicate_ngrams(flat, _DUP),
        [len(text or "") for text in texts],
        [len(node) for node in words],
    ]


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _word_ratios(paragraphs: list[str], lines: list[str], words: list[str]) -> list[float]:
    symbols = sum(text.count("#") + len(_ELLIPSIS.findall(text)) for text in paragraphs)
    return [
        _ratio(symbols, len(words)),
        _ratio(sum(line.startswith(_BULLETS) for line in lines), len(lines)),
        _ratio(sum(line.endswith(("...", "…")) for line in lines), len(lines)),
        _ratio(sum(any(map(str.isalpha, word)) for word in words), len(words)),
        sum(word.lower() in _STOP_WORDS for word in words),
    ]


def _duplicates(items: Sequence[str]) -> tuple[float, float]:
    """Share of the items seen before, and of their characters."""
    repeats = [(count - 1, len(item)) for item, count in Counter(items).items()]
    repeated = sum(count for count, _ in repeats)
    characters = sum(count * length for count, length in repeats)
    return _ratio(repeated, len(items)), _ratio(characters, sum(map(len, items)))


def _top_ngram(words: list[str], n: int) -> float:
    """Characters inside the most frequent n-gram, all its occurrences, over all characters.

    Occurrences may overlap, so the share is capped at 1. A most frequent n-gram that occurs only
    once repeats nothing and measures 0.
    """
    grams = Counter(zip(*(words[i:] for i in range(n)), strict=False))
    if not grams:
        return 0.0
    top = max(grams.values())
    if top < 2:
        return 0.0
    longest = max(sum(map(len, gram)) for gram, count in grams.items() if count == top)
    return min(_ratio(longest * top, sum(map(len, words))), 1.0)


def _duplicate_ngrams(words: list[str], sizes: Sequence[int]) -> list[float]:
    """For each size, the share of characters in words covered by an n-gram seen before.

    A word covered by several repeated n-grams counts once, as Gopher asks.
    """
    lengths = list(map(len, words))
    total = sum(lengths)
    shares = []
    for n in sizes:
        seen: set[tuple[str, ...]] = set()
        covered = until = 0
        for start, gram in enumerate(zip(*(words[i:] for i in range(n)), strict=False)):
            if gram in seen:
                first = max(start, until)
                covered += sum(lengths[first : start + n])
                until = start + n
            else:
                seen.add(gram)
        shares.append(_ratio(covered, total))
    return shares
