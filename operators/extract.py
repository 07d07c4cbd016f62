"""Extraction: a page's bytes become nodes, text blocks and images in reading order."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import urljoin

import pyarrow as pa
from charset_normalizer import from_bytes
from lxml.etree import _Element
from pydantic import Field

from operators.base import Operator, by_row, measured
from schemas import columns

_METADATA = ("title", "author", "published", "site_name", "description")
_META_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w.:-]+)", re.I)
_BYTE_ORDER_MARKS = {
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
# What browsers decode in place of the declared name (WHATWG Encoding Standard), by codec name.
_SUPERSETS = {
    "ascii": "cp1252",
    "euc_kr": "cp949",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "iso8859-1": "cp1252",
    "shift_jis": "cp932",
}
_LABELS = {"x-sjis": "cp932", "x-gbk": "gb18030", "windows-949": "cp949"}
# Codecs of Python's that no web page means.
_FOREIGN = {"utf-7", "unicode-escape", "raw-unicode-escape", "punycode", "idna", "undefined"}
_SAMPLE = 65536
_LATEST = datetime(2035, 1, 1, tzinfo=UTC)


class UndecodablePage(ValueError):
    """No character set explains the page's bytes."""


def decode_html(html: bytes, http_charset: str | None = None) -> str:
    """The page as text: byte order mark, else HTTP header, else meta, else UTF-8, else detection.

    A declared character set that does not fit the bytes is passed over. UTF-8 with a few broken
    characters is read as UTF-8.

    Raises:
        UndecodablePage: the bytes look like binary data.
    """
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if html.startswith(mark):
            return html.decode(encoding, "replace")
    for name in (http_charset, _meta_charset(html), "utf-8"):
        text = _decoded(html, name) if name else None
        if text is not None:
            return text
    if b"\0" in html[:1024]:
        raise UndecodablePage("the page holds binary data")
    return _slightly_broken_utf8(html) or _detected(html) or html.decode("utf-8", "replace")


def _meta_charset(html: bytes) -> str | None:
    """What the page says of itself. It was readable as ASCII, so UTF-16 cannot be meant."""
    found = _META_CHARSET.search(html, 0, 4096)
    name = found.group(1).decode("ascii", "replace").lower() if found else None
    return "utf-8" if name and name.startswith(("utf-16", "utf-32", "utf16", "utf32")) else name


def _decoded(html: bytes, name: str) -> str | None:
    label = name.strip(" \t\"'").lower()
    try:
        codec = codecs.lookup(_LABELS.get(label, label))
    except (LookupError, ValueError):
        return None
    encoding = _SUPERSETS.get(codec.name, codec.name)
    if encoding in _FOREIGN or not codec._is_text_encoding:
        return None
    try:
        return html.decode(encoding, "strict")
    except UnicodeError:
        return html.decode("latin-1") if encoding == "cp1252" else None


def _slightly_broken_utf8(html: bytes) -> str | None:
    """UTF-8 text with replacement characters, when at most one in fifty characters is broken."""
    text = html.decode("utf-8", "replace")
    broken = text.count("\ufffd")
    beyond_ascii = sum(char > "\x7f" for char in text) - broken
    return text if beyond_ascii > broken and broken * 50 <= len(text) else None


def _detected(html: bytes) -> str | None:
    for cut in range(4):  # the sample may end inside a character
        excluded = ["utf_16", "utf_32", "utf_7"]
        found = from_bytes(html[: _SAMPLE - cut], cp_exclusion=excluded).best()
        text = _decoded(html, found.encoding) if found else None
        if text is not None:
            return text
    return None


@dataclass
class Node:
    """One node of a document; the fields are those of the `nodes` column."""

    kind: str
    text: str | None = None
    image_url: str | None = None
    alt: str | None = None
    title: str | None = None
    link: str | None = None
    level: int | None = None
    dom_index: int = 0


class ExtractTrafilatura(Operator[None]):
    """Main content by trafilatura (Barbaresi 2021, ACL demo), with its images in place.

    `dom_index` numbers the nodes in trafilatura's output order: it does not say where in the page
    a block stood.
    """

    name = "extract_trafilatura"
    version = 1
    reads = columns.schema("url", "html", "http_charset", "capture_date")
    writes = columns.schema("nodes", *_METADATA)
    libraries: ClassVar[tuple[str, ...]] = (
        "charset-normalizer",
        "courlan",
        "dateparser",
        "htmldate",
        "justext",
        "lxml",
        "python-dateutil",
        "trafilatura",
    )

    favor: str = Field(
        "balance", pattern="^(balance|precision|recall)$", description="which mistake to avoid"
    )
    fast: bool = Field(False, description="skip the fallback extractors")
    tables: bool = Field(True, description="keep tables")
    max_bytes: int = Field(20_000_000, ge=1, description="larger pages are an error of their row")

    def measure(self, batch: pa.Table, state: None) -> pa.Table:
        """Nodes and metadata of each page; a page without main content has an empty list."""
        results = by_row(self._page, *(batch[name].to_pylist() for name in self.reads.names))
        empty = (None, *[None] * len(_METADATA))
        rows = [value if value is not None else empty for value in results.values]
        return measured(self.writes, list(zip(*rows, strict=True)) or _none(self), results.errors)

    def _page(
        self, url: str, html: bytes | None, charset: str | None, captured: datetime | None
    ) -> tuple[Any, ...]:
        from trafilatura import bare_extraction

        if html is None:
            raise ValueError("the page has no bytes")
        if len(html) > self.max_bytes:
            raise ValueError(f"page of {len(html)} bytes; the limit is {self.max_bytes}")
        found = bare_extraction(
            decode_html(html, charset),
            url=url,
            fast=self.fast,
            favor_precision=self.favor == "precision",
            favor_recall=self.favor == "recall",
            include_comments=False,
            include_tables=self.tables,
            include_images=True,
            include_formatting=False,
            with_metadata=True,
            # Without a latest date, the same page would answer otherwise on another day.
            date_extraction_params={
                "original_date": True,
                "extensive_search": True,
                "max_date": (captured or _LATEST).strftime("%Y-%m-%d"),
            },
        )
        if found is None:
            return ([], *[None] * len(_METADATA))
        body: _Element = found.body  # type: ignore[union-attr]  # bare_extraction returns a Document here
        nodes = [asdict(node) for node in numbered(_nodes(body, url))]
        texts = (found.title, found.author, found.date, found.sitename, found.description)  # type: ignore[union-attr]
        return (nodes, *(text or None for text in texts))


def _none(operator: Operator[None]) -> list[list[Any]]:
    return [[] for _ in operator.writes]


def numbered(nodes: Iterator[Node]) -> Iterator[Node]:
    """The nodes with their position as `dom_index`."""
    for index, node in enumerate(nodes):
        node.dom_index = index
        yield node


_BLOCKS = {"p": "text", "quote": "quote", "code": "code", "item": "list_item", "head": "heading"}


def _nodes(element: _Element, url: str, kind: str = "text") -> Iterator[Node]:
    """Nodes of trafilatura's tree. Text around an image becomes nodes before and after it.

    `kind` is what plain text is here: inside a quote or a list item its paragraphs are of it.
    """
    for child in element:
        match child.tag:
            case "graphic":
                yield from _image(child, url)
            case "table":
                yield from _table(child, url)
            case "list" | "div" | "main" | "body":
                yield from _lone_text(child.text, kind)
                yield from _nodes(child, url, kind)
            case tag if tag in _BLOCKS and _holds_blocks(child):
                yield from _lone_text(child.text, _BLOCKS[tag])
                yield from _nodes(child, url, _BLOCKS[tag])
            case "p":
                yield from _block(child, kind, url)
            case tag:
                yield from _block(child, _BLOCKS.get(tag, kind), url)
        yield from _lone_text(child.tail, kind)


def _holds_blocks(element: _Element) -> bool:
    return any(child.tag in ("p", "list", "table", "quote", "head") for child in element)


def _lone_text(text: str | None, kind: str) -> Iterator[Node]:
    if text and text.strip():
        yield Node(kind, " ".join(text.split()))


def _block(element: _Element, kind: str, url: str) -> Iterator[Node]:
    rend = element.get("rend") or ""
    level = int(rend[1]) if kind == "heading" and re.fullmatch("h[1-6]", rend) else None
    text = ""
    for piece in _pieces(element, verbatim=kind == "code"):
        if isinstance(piece, str):
            text += piece
            continue
        yield from _text(text, kind, level)
        text = ""
        yield from _image(piece, url)
    yield from _text(text, kind, level)


def _text(text: str, kind: str, level: int | None) -> Iterator[Node]:
    if kind == "code":
        clean = text.strip("\n").rstrip()
    else:
        clean = "\n".join(" ".join(line.split()) for line in text.split("\n")).strip()
    if clean:
        yield Node(kind, clean, level=level)


def _pieces(element: _Element, *, verbatim: bool) -> Iterator[str | _Element]:
    """Texts and images below the element; only a line break in the page breaks a line."""

    def text(raw: str | None) -> str:
        return (raw or "") if verbatim else re.sub(r"\s+", " ", raw or "")

    yield text(element.text)
    for child in element:
        if child.tag == "graphic":
            yield child
        elif child.tag == "lb":
            yield "\n"
        else:
            yield from _pieces(child, verbatim=verbatim)
        yield text(child.tail)


def _image(element: _Element, url: str) -> Iterator[Node]:
    source = (element.get("src") or "").strip()
    if not source or source.startswith("data:"):
        return
    try:
        address = urljoin(url, source)
    except ValueError:
        return
    yield Node("image", image_url=address, alt=element.get("alt"), title=element.get("title"))


def _table(element: _Element, url: str) -> Iterator[Node]:
    """One node a table, a line a row, cells parted by ` | `; then the table's images."""
    rows = []
    for row in element.iter("row"):
        cells = (" ".join("".join(cell.itertext()).split()) for cell in row.iter("cell"))
        rows.append(" | ".join(cells))
    text = "\n".join(row for row in rows if row.strip(" |"))
    if text:
        yield Node("table", text)
    for graphic in element.iter("graphic"):
        yield from _image(graphic, url)
