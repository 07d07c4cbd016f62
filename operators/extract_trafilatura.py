"""Extraction by trafilatura: the alternative to omniloom's own, and the baseline it is held to."""

from __future__ import annotations

import importlib
import re
import warnings
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import urljoin

import pyarrow as pa
from lxml.etree import _Element
from pydantic import Field

from operators.base import Operator, by_row, measured
from operators.decode import decode_html
from operators.extract import Node
from schemas import columns

_METADATA = ("title", "author", "published", "site_name", "description")
_LATEST = datetime(2035, 1, 1, tzinfo=UTC)


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

    def setup(self) -> None:
        """The library is loaded here; that it has no SOCKS proxy concerns nobody's page."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            importlib.import_module("trafilatura")

    def measure(self, batch: pa.Table, state: None) -> pa.Table:
        """Nodes and metadata of each page; a page without main content has an empty list."""
        results = by_row(self._page, *(batch[name].to_pylist() for name in self.reads.names))
        empty = (None, *[None] * len(_METADATA))
        rows = [value if value is not None else empty for value in results.values]
        return measured(
            self.writes, list(zip(*rows, strict=True)) or [[]] * len(self.writes), results.errors
        )

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
