"""Which parts of a page are headings, list items, table rows, code or formulas, and stay so.

Markdown, HTML, gold sequences and the product's own nodes are all brought to the same blocks. A
block is kept when 80 % of its shingles stand in the other side's blocks of the same kind. Those are
read as one run of words, because some gold gives a whole list as one block.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import lxml.html
from lxml.etree import ParserError, _Element

from pipelines.gold import GoldPage
from pipelines.scores import SHINGLE, shingles, tokens

KINDS = {
    "heading": "headings",
    "list_item": "list items",
    "table_row": "table rows",
    "code": "code blocks",
    "formula": "formulas",
}
_ENOUGH = 0.8
_SEQUENCE_KINDS = {
    "title": "heading",
    "list": "list_item",
    "code": "code",
    "equation-interline": "formula",
}
_TAGS = {
    **{f"h{level}": "heading" for level in range(1, 7)},
    **dict.fromkeys(("li", "dt", "dd"), "list_item"),
    "pre": "code",
}
_QUOTED = re.compile(r"\s*(?:>\s?)*")
_FENCE = re.compile(r"(```|~~~|\$\$)(.*)")
_LINE_KINDS = {
    "heading": re.compile(r"#{1,6}\s+(.*)"),
    "list_item": re.compile(r"(?:[-*+]|\d+[.)])\s+(.*)"),
    "table_row": re.compile(r"(\|.*)"),
}
_NO_TEXT = re.compile(r"!\[[^\]]*\]\([^)]*\)|\[\^[^\]]*\]|<[^>]+>")
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")


@dataclass(frozen=True)
class Block:
    """A part of a page that is more than plain text; `kind` is one of `KINDS`."""

    kind: str
    words: list[str]


class NodeLike(Protocol):
    """What is asked of a node of the product's own extractor."""

    kind: str
    text: str | None


@dataclass(frozen=True)
class Kept:
    """Blocks of one kind: how many of the gold's came through, and of the answer's are right."""

    kept: int
    gold: int
    right: int
    got: int

    def __add__(self, other: Kept) -> Kept:
        return Kept(
            self.kept + other.kept,
            self.gold + other.gold,
            self.right + other.right,
            self.got + other.got,
        )


def gold_blocks(page: GoldPage) -> list[Block] | None:
    """The blocks of a gold page; None where the gold does not tell kinds."""
    match page.kind:
        case "markdown":
            return markdown_blocks(page.text or "")
        case "content_list":
            return sequence_blocks(page.sequence or [])
        case _:
            return None


def compare(got: Sequence[Block], gold: Sequence[Block]) -> dict[str, Kept]:
    """The fate of each kind of block that stands on either side."""
    kinds = [kind for kind in KINDS if any(block.kind == kind for block in (*got, *gold))]
    counts = {}
    for kind in kinds:
        mine = [block.words for block in got if block.kind == kind]
        wanted = [block.words for block in gold if block.kind == kind]
        counts[kind] = Kept(_found(wanted, mine), len(wanted), _found(mine, wanted), len(mine))
    return counts


def _found(blocks: list[list[str]], others: list[list[str]]) -> int:
    """How many of the blocks stand in the others; what one has taken is gone for the next."""
    stream = [word for words in others for word in words]
    pools: dict[int, Counter[tuple[str, ...]]] = {}
    found = 0
    for words in blocks:
        size = min(SHINGLE, len(words))
        pool = pools.setdefault(size, Counter(shingles(stream, size)))
        runs = Counter(shingles(words, size))
        hits = runs & pool
        if hits.total() >= _ENOUGH * runs.total():
            pool.subtract(hits)
            found += 1
    return found


def _blocks(pairs: Iterable[tuple[str, str]]) -> list[Block]:
    """Blocks of kinds and texts; without those that have no words."""
    worded = ((kind, tokens(text)) for kind, text in pairs)
    return [Block(kind, words) for kind, words in worded if words]


def node_blocks(nodes: Iterable[NodeLike]) -> list[Block]:
    """The blocks among the product's own nodes; a table has a line a row."""

    def pairs() -> Iterator[tuple[str, str]]:
        for node in nodes:
            if node.kind == "table":
                yield from (("table_row", line) for line in (node.text or "").split("\n"))
            elif node.kind in KINDS:
                yield node.kind, node.text or ""

    return _blocks(pairs())


def sequence_blocks(sequence: Iterable[Sequence[str | None]]) -> list[Block]:
    """The blocks of a gold sequence: `["text", words, kind]`; tables are HTML."""

    def pairs() -> Iterator[tuple[str, str]]:
        for form, text, *rest in sequence:
            kind = rest[0] if form == "text" and rest else None
            if kind in _SEQUENCE_KINDS:
                yield _SEQUENCE_KINDS[kind], text or ""
            elif kind and kind.endswith("table"):
                yield from _html_pairs(text or "")

    return _blocks(pairs())


def html_blocks(markup: str | bytes) -> list[Block]:
    """The blocks of an HTML page or fragment."""
    return _blocks(_html_pairs(markup))


def _html_pairs(markup: str | bytes) -> Iterator[tuple[str, str]]:
    if not markup.strip():
        return
    try:
        tree = lxml.html.fromstring(markup)
    except ParserError:  # nothing but comments
        return
    for element in tree.iter(*_TAGS, "tr"):
        if element.tag != "tr":
            yield _TAGS[element.tag], " ".join(_own_text(element))
        elif element.find(".//tr") is None:  # a row around another table is layout
            yield "table_row", " ".join(element.itertext())


def _own_text(element: _Element) -> Iterator[str]:
    """The texts below an element, but for lists in it: their items are blocks of their own."""
    yield element.text or ""
    for child in element:
        if child.tag not in ("ul", "ol", "dl") and isinstance(child.tag, str):
            yield from _own_text(child)
        yield child.tail or ""


def markdown_blocks(text: str) -> list[Block]:
    """The blocks of a Markdown text, a line each but for what is fenced; quotes are looked into."""
    return _blocks(_markdown_pairs(text))


def _markdown_pairs(text: str) -> Iterator[tuple[str, str]]:
    fence, held = "", list[str]()
    for raw in text.splitlines():
        line = _QUOTED.sub("", raw, count=1)
        mark = _FENCE.match(line)
        if fence and not line.startswith(fence):
            held.append(line)
        elif fence:
            yield _fenced(fence), "\n".join(held)
            fence, held = "", []
        elif mark and not _closed(mark):
            fence = mark[1]
            held = [mark[2]] if fence == "$$" else []  # after ``` stands the language
        elif mark:
            yield _fenced(mark[1]), mark[2]
        else:
            yield from _line(line)
    if held:
        yield _fenced(fence), "\n".join(held)


def _closed(mark: re.Match[str]) -> bool:
    return mark[2].rstrip().endswith(mark[1])


def _fenced(fence: str) -> str:
    return "formula" if fence == "$$" else "code"


def _line(line: str) -> Iterator[tuple[str, str]]:
    for kind, pattern in _LINE_KINDS.items():
        found = pattern.match(line)
        if found:
            yield kind, _LINK.sub(r"\1", _NO_TEXT.sub("", found[1]))
            return
