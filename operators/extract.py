"""Extraction: a page's bytes become nodes, text blocks and images in reading order."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import compress, pairwise
from operator import attrgetter
from typing import Any, ClassVar, NamedTuple

import pyarrow as pa
from pydantic import Field

from operators.base import Operator, by_row, measured
from operators.block_features import BlockFeatures, key_words
from operators.content_model import IMAGE_CUT, MODEL, ContentModel, Favor, load
from operators.decode import utf8_html
from operators.dom import (
    Blocks,
    Containers,
    Image,
    Layout,
    Limits,
    Page,
    read_page,
    without_permalink,
)
from operators.metadata import PageMetadata, read_metadata
from operators.page_images import PageImage, images_near, page_images
from schemas import columns

_METADATA = PageMetadata.__dataclass_fields__.keys()


@dataclass(slots=True)
class Node:
    """One node of a document; the fields are those of the `nodes` column."""

    kind: str
    text: str | None = None
    image_url: str | None = None
    alt: str | None = None
    title: str | None = None
    link: str | None = None
    level: int | None = None
    language: str | None = None
    width: int | None = None
    height: int | None = None
    dom_index: int = 0


@dataclass(frozen=True)
class LeftOutImage:
    """An image of the page that is no node, and why; a value of `left_out_images`."""

    image_url: str
    reason: str
    dom_index: int


_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_KINDS = {
    "li": "list_item",
    "dt": "list_item",
    "dd": "list_item",
    "blockquote": "quote",
    "pre": "code",
    "figcaption": "caption",
    "caption": "caption",
} | dict.fromkeys(_HEADINGS, "heading")
# Inside these a list item or quotation around them says nothing of the text any more.
_SECTIONS = frozenset(("article", "section", "main", "table", "body"))
_CAPTION_WORDS = frozenset(("caption", "captions", "figcaption"))
_LISTS = frozenset(("ul", "ol", "menu", "dl"))
_CELLS = frozenset(("td", "th"))
_LONGEST_CELL = 400
_DEEPEST = 127  # level of a list; the column holds no larger number
_CODE_LANGUAGE = re.compile(
    r"(?:^|\s)(?:language-|lang-|highlight-source-|brush:\s*|sourceCode\s+)([\w+#.-]{1,30})", re.I
)
_NEVER_CONTENT = frozenset(("tracker", "spacer", "navigation", "formula"))


class _Form(NamedTuple):
    """What a container makes of the text in it."""

    kind: str
    level: int | None
    table: int


class _Forms:
    """The form of each container: its own tag decides, else what is around it."""

    def __init__(self, containers: Containers, tables: Collection[int]) -> None:
        self.containers = containers
        self.tables = tables
        self.known: dict[int, tuple[_Form, int]] = {-1: (_Form("text", None, -1), 0)}

    def of(self, number: int) -> _Form:
        """The form of one container; those around it are found and remembered on the way."""
        known, parent, way = self.known, self.containers.parent, []
        while number not in known:
            way.append(number)
            number = parent[number]
        form, lists = known[number]
        for number in reversed(way):
            form, lists = known[number] = self._inside(number, form, lists)
        return form

    def _inside(self, number: int, around: _Form, lists: int) -> tuple[_Form, int]:
        tag, key = self.containers.tag_of(number), self.containers.key_of(number)
        kind, level, table = around
        if tag in _KINDS:
            kind = _KINDS[tag]
            nested = min(max(lists, 1), _DEEPEST) if kind == "list_item" else None
            level = _HEADINGS.get(tag) or nested
        elif tag in _SECTIONS:
            kind, level = "text", None
        elif "caption" in key and not _CAPTION_WORDS.isdisjoint(key_words(key[len(tag) :])):
            kind, level = "caption", None
        elif tag not in _LISTS:
            return around, lists
        if number in self.tables or tag == "caption":  # which no row of the table holds
            table = number
        return _Form(kind, level, table), lists + (tag in _LISTS)


class _Table:
    """A `<table>` and the cells that are directly its own, row by row."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.rows: list[list[int]] = []
        self.headed = False
        self.nested = False
        self.whole = False

    def is_data(self, layout: Layout) -> bool:
        """Whether it holds data: columns, short cells, no table inside (Wang & Hu 2002, WWW)."""
        key = layout.containers.key_of(self.number)
        if self.nested or key.endswith(("[presentation]", "[none]")):
            return False
        if sum(len(row) > 1 for row in self.rows) < 2:
            return False
        cells = (_texts(layout, cell) for row in self.rows for cell in row)
        return self.headed or max(sum(map(len, texts)) for texts in cells) <= _LONGEST_CELL


def _texts(layout: Layout, container: int) -> list[str]:
    """The texts of the blocks in a container."""
    containers = layout.containers
    return layout.blocks.text[containers.first[container] : containers.last[container]]


def _tables(layout: Layout) -> dict[int, _Table]:
    """The data tables, by the number of their container."""
    tables: dict[int, _Table] = {}
    containers = layout.containers
    if "table" not in containers.tags:
        return tables
    inside: list[int] = []
    for number, parent in enumerate(containers.parent):
        around, tag = inside[parent] if parent >= 0 else -1, containers.tag_of(number)
        if tag == "table":
            if around in tables:
                tables[around].nested = True
            tables[number] = _Table(number)
            around = number
        elif around in tables:
            table = tables[around]
            if tag == "tr":
                table.rows.append([])
            elif tag in _CELLS and table.rows:
                table.rows[-1].append(number)
                table.headed |= tag == "th"
        inside.append(around)
    return {number: table for number, table in tables.items() if table.is_data(layout)}


def _table_text(table: _Table, layout: Layout) -> str:
    """A line a row, cells parted by ` | `."""
    rows = []
    for row in table.rows:
        texts = (" ".join(_texts(layout, cell)) for cell in row)
        rows.append(" | ".join(" ".join(text.split()) for text in texts))
    return "\n".join(row for row in rows if row.strip(" |"))


class _Assembly:
    """Turns the kept blocks and images of a page into nodes."""

    def __init__(self, layout: Layout, kept: list[bool]) -> None:
        self.layout = layout
        self.kept = kept
        self.tables = _tables(layout)
        self.forms = _Forms(layout.containers, self.tables)
        for number, table in self.tables.items():
            self._whole(number, table)

    def _whole(self, number: int, table: _Table) -> None:
        """A data table is kept with all cells or judged block by block like other text."""
        containers, texts = self.layout.containers, self.layout.blocks.text
        inside = range(containers.first[number], containers.last[number])
        size = sum(len(texts[block]) for block in inside)
        kept = sum(len(texts[block]) for block in inside if self.kept[block])
        table.whole = 2 * kept > size
        if table.whole:
            for block in inside:
                self.kept[block] = True

    def nodes(self, images: list[PageImage]) -> list[Node]:
        """Nodes in document order; an image inside a block parts its text in two."""
        inline: dict[int, list[PageImage]] = {}
        found: list[Node] = []
        for image in images:
            if image.image.inside and self.kept[image.image.block]:
                inline.setdefault(image.image.block, []).append(image)
            else:
                found.append(_image_node(image))
        told: set[int] = set()
        blocks = self.layout.blocks
        for number in compress(range(len(blocks)), self.kept):
            form = self.forms.of(blocks.container[number])
            table = self.tables.get(form.table)
            if table is not None and table.whole:
                if form.table not in told:
                    told.add(form.table)
                    text = _table_text(table, self.layout)
                    if text:
                        found.append(Node("table", text, dom_index=blocks.dom_index[number]))
                found.extend(_image_node(image) for image in inline.get(number, ()))
            else:
                found += _block_nodes(blocks, number, form, inline.get(number))
        return sorted(found, key=attrgetter("dom_index"))


def _block_nodes(
    blocks: Blocks, number: int, form: _Form, images: list[PageImage] | None
) -> list[Node]:
    """The block's node, or several, with the images inside it between parts of its text."""
    kind, level, _ = form
    text, dom_index = blocks.text[number], blocks.dom_index[number]
    if number in blocks.formulas:
        return [Node("formula", text, dom_index=dom_index)]
    if kind == "heading":
        text = without_permalink(text)
    language = _code_language(blocks.code.get(number)) if kind == "code" else None
    if not images:
        node = Node(kind, text, level=level, language=language, dom_index=dom_index)
        return [node] if text else []
    edges = [0, *(image.image.offset for image in images), len(text)]
    indexes = [dom_index, *(image.image.dom_index + 1 for image in images)]
    nodes = [_image_node(image) for image in images]
    for (start, end), index in zip(pairwise(edges), indexes, strict=True):
        part = text[start:end]
        part = part.strip("\n") if kind == "code" else part.strip()
        if part:
            nodes.append(Node(kind, part, level=level, language=language, dom_index=index))
    return nodes


def _code_language(names: str | None) -> str | None:
    found = _CODE_LANGUAGE.search(names or "")
    return found.group(1).lower() if found else None


def _image_node(image: PageImage) -> Node:
    attributes = image.image.attributes
    return Node(
        "image",
        image_url=image.url,
        alt=_clean(attributes.get("alt")),
        title=_clean(attributes.get("title")),
        link=image.link,
        width=image.width or None,
        height=image.height or None,
        dom_index=image.image.dom_index,
    )


def _clean(text: str | None) -> str | None:
    return " ".join((text or "").split()) or None


def extract(
    page: Page, url: str | None, model: ContentModel, favor: Favor = "balance"
) -> list[Node]:
    """The main content of a parsed page; image addresses are resolved against `url`."""
    layout = page.layout
    if not layout.blocks.text:
        return []
    features = BlockFeatures(layout, page.title)
    judgement = model.judge(features, favor)
    near = images_near(layout.images, judgement.probability >= judgement.cut)
    images = page_images(near, page.base(url))
    chances = model.judge_images(features, judgement, images).tolist()
    kept = judgement.kept.tolist()
    shown = [i for i, chance in zip(images, chances, strict=True) if is_content(i, chance, kept)]
    return assemble(layout, kept, shown)


def assemble(layout: Layout, kept: list[bool], images: list[PageImage]) -> list[Node]:
    """The nodes of a page of which the blocks marked in `kept` and these images are content."""
    return _Assembly(layout, kept).nodes(images)


def is_content(
    image: PageImage, probability: float, kept: list[bool], cut: float = IMAGE_CUT
) -> bool:
    """Likely images, and those in the midst of kept text that nothing speaks against."""
    if image.role in _NEVER_CONTENT:
        return False
    if probability >= cut:
        return True
    block = image.image.block
    around = kept[block : block + 1] if image.image.inside else kept[max(block - 1, 0) : block + 1]
    return image.role is None and all(around) and len(around) == 2 - image.image.inside


def left_out_images(page: Page, url: str | None, nodes: list[Node]) -> list[LeftOutImage]:
    """The page's images that are not among `nodes`, each with what it seems to be for.

    The reason is one of `operators.page_images.ROLES`, `navigation` inside menus, page headers and
    footers, else `outside_content`. Images in those have no place of their own: -1.
    """
    kept = {node.image_url for node in nodes}
    base = page.base(url)
    left = [
        LeftOutImage(image.url, image.role or "outside_content", image.image.dom_index)
        for image in page_images(page.layout.images, base)
        if image.url not in kept
    ]
    known = kept | {image.image_url for image in left}
    found = [image for part in page.layout.furniture for image in part.css("img")]
    menus = [Image(image.attributes, 0, -1, 0, 0, None) for image in found]
    return left + [
        LeftOutImage(image.url, image.role or "navigation", -1)
        for image in page_images(menus, base)
        if image.url not in known
    ]


def extract_nodes(html: bytes, url: str | None) -> list[Node]:
    """The page's main content as nodes.

    Raises:
        UndecodablePage: the bytes look like binary data.
        PageTooComplex: the page passes a limit of `Limits`.
    """
    return extract(read_page(utf8_html(html)), url, load())


def text_and_images(html: bytes, url: str | None) -> tuple[str, list[str]]:
    """The text of the main content, without image mark-up, and the kept images, both in order.

    Raises:
        UndecodablePage: the bytes look like binary data.
        PageTooComplex: the page passes a limit of `Limits`.
    """
    nodes = extract_nodes(html, url)
    text = "\n".join(node.text for node in nodes if node.text)
    return text, [node.image_url for node in nodes if node.image_url]


_ANY_PAGE = "<title>Any page</title><h1>Any page</h1><p>Text of any kind.<p><img src=/a.jpg>"


class ExtractInterleaved(Operator[ContentModel]):
    """Main content as text blocks and images in reading order, by a learned decision on blocks.

    One extractor for articles, forums, documentation, product and listing pages, in any script;
    it is never told what kind of page it reads. docs/extraction.md explains and measures it.
    """

    name = "extract_interleaved"
    version = 2
    reads = columns.schema("url", "html", "http_charset", "capture_date")
    writes = columns.schema("nodes", "left_out_images", *_METADATA)
    libraries: ClassVar[tuple[str, ...]] = ("charset-normalizer", "numba", "numpy", "selectolax")

    favor: Favor = Field("balance", description="which mistake to avoid")
    max_bytes: int = Field(20_000_000, ge=1, description="larger pages are an error of their row")
    max_nodes: int = Field(300_000, ge=1, description="elements and texts that a page may have")
    max_depth: int = Field(2_000, ge=1, description="how deep a page's elements may nest")
    max_seconds: float = Field(10.0, gt=0, description="CPU seconds that a page may take")

    def setup(self) -> ContentModel:
        """The model; loops are compiled here, not on the time of the first page."""
        model = load()
        extract(read_page(_ANY_PAGE), "http://example.org/", model)
        return model

    def provenance(self) -> dict[str, str]:
        """The libraries' versions and the model file's SHA-256."""
        return super().provenance() | {MODEL.name: hashlib.sha256(MODEL.read_bytes()).hexdigest()}

    def measure(self, batch: pa.Table, state: ContentModel) -> pa.Table:
        """Nodes, images left out and metadata; a page without main content has an empty list."""

        def page(
            url: str, html: bytes | None, charset: str | None, captured: datetime | None
        ) -> tuple[Any, ...]:
            return self._page(url, html, charset, captured, state)

        results = by_row(page, *(batch[name].to_pylist() for name in self.reads.names))
        empty = (None,) * len(self.writes)
        rows = [value if value is not None else empty for value in results.values]
        return measured(
            self.writes, list(zip(*rows, strict=True)) or [[]] * len(self.writes), results.errors
        )

    def _page(
        self,
        url: str,
        html: bytes | None,
        charset: str | None,
        captured: datetime | None,
        model: ContentModel,
    ) -> tuple[Any, ...]:
        if html is None:
            raise ValueError("the page has no bytes")
        if len(html) > self.max_bytes:
            raise ValueError(f"page of {len(html)} bytes; the limit is {self.max_bytes}")
        limits = Limits(self.max_nodes, self.max_depth, self.max_seconds)
        page = read_page(utf8_html(html, charset), limits)
        limits.check()
        nodes = extract(page, url, model, self.favor)
        limits.check()
        metadata = read_metadata(page.tree, url, captured.date() if captured else None)
        return (
            [asdict(node) for node in nodes],
            [asdict(image) for image in left_out_images(page, url, nodes)],
            *(getattr(metadata, name) for name in _METADATA),
        )
