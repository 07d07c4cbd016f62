"""Kept documents as exports see them: a run of texts and images in the order that was asked for."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from operators.assignment import Row, matched_texts
from operators.files import Files
from schemas.columns import COLUMNS
from schemas.job import ExportSpec

BYTES = ("image_data", "image_sha256", "image_format")
"""The image columns that an export with image bytes needs."""
_ROWS_AT_ONCE = 8
_ENDINGS = {"jpeg": "jpg"}
_MARKS = re.compile(
    r"<(?=(?:image|video|/?img|IMG_CONTEXT|img_placehold|(?:start|end)_of_(?:img|text)"
    r"|/?box|/?ref|/?quad|\|\w+\|)>)"
)


@dataclass(frozen=True)
class Text:
    """A text node; `tokens` is the estimate of its length, None where it was not measured."""

    text: str
    kind: str = "text"
    tokens: int | None = None


@dataclass(frozen=True)
class Image:
    """An image node, with what was measured of the image by column name."""

    url: str
    alt: str | None = None
    title: str | None = None
    width: int | None = None
    """As the page declares it; so is `height`."""
    height: int | None = None
    values: dict[str, Any] = field(default_factory=dict)
    similarity: Row | None = None
    """To each text of the document, in reading order."""
    match: int | None = None
    """Number of the text that it is assigned to, in an export in retrieval order."""

    @property
    def data(self) -> bytes:
        """The bytes, of an export that asked for them."""
        data: bytes = self.values["image_data"]
        return data

    @property
    def ending(self) -> str:
        """The usual ending of files of its format."""
        kind = self.values.get("image_format") or "bin"
        return _ENDINGS.get(kind, kind)

    @property
    def by_content(self) -> str:
        """File name after the content: equal images are one file."""
        name = self.values["image_sha256"]
        return f"{name[:2]}/{name}.{self.ending}"

    @property
    def by_url(self) -> str:
        """File name after the address, as OmniCorpus's loaders compute it: no ending."""
        return hashlib.sha256(self.url.encode()).hexdigest()


@dataclass(frozen=True)
class Document:
    """A document's columns but for nodes and images, and its texts and images in order."""

    values: dict[str, Any]
    parts: list[Text | Image]

    @property
    def texts(self) -> list[Text]:
        """The texts, in reading order."""
        return [part for part in self.parts if isinstance(part, Text)]

    @property
    def images(self) -> list[Image]:
        """The images, in the order that was asked for."""
        return [part for part in self.parts if isinstance(part, Image)]


def documents(table: pa.Table, spec: ExportSpec) -> Iterator[Document]:
    """The documents of a table, few at a time in Python because image bytes are heavy.

    Nodes without content are left out: a text node without text, an image node without an address
    or, where the export holds image bytes, without bytes.
    """
    along = [
        name
        for name in table.column_names
        if name in COLUMNS and COLUMNS[name].level == "image" and name != "image_url"
    ]
    for start in range(0, table.num_rows, _ROWS_AT_ONCE):
        for row in table.slice(start, _ROWS_AT_ONCE).to_pylist():
            yield _document(row, along, spec)


def _document(row: dict[str, Any], along: Sequence[str], spec: ExportSpec) -> Document:
    nodes = row.pop("nodes") or []
    columns = {name: row.pop(name) or [None] * len(nodes) for name in along}
    tokens = row.pop("node_token_count", None) or [None] * len(nodes)
    matrix = iter(row.pop("clip_similarity", None) or ())
    spoken = [bool(node["text"]) for node in nodes if node["kind"] != "image"]
    parts: list[Text | Image] = []
    for number, node in enumerate(nodes):
        if node["kind"] != "image":
            if node["text"]:
                parts.append(Text(node["text"], node["kind"], tokens[number]))
            continue
        similar = next(matrix, None)
        values = {name: column[number] for name, column in columns.items()}
        if not node["image_url"] or (spec.images != "urls" and not values.get("image_data")):
            continue
        similarity = similar and tuple(s for s, kept in zip(similar, spoken, strict=True) if kept)
        page = (node["image_url"], node["alt"], node["title"], node["width"], node["height"])
        parts.append(Image(*page, values, similarity or None))
    document = Document(row, parts)
    return Document(row, by_similarity(document)) if spec.order == "retrieval" else document


def by_similarity(document: Document) -> list[Text | Image]:
    """Texts in reading order, each image right before the text that it is assigned to.

    An image that is assigned to none stays before the text that it stood before.
    """
    texts = document.texts
    matches = iter(matched_texts([image.similarity for image in document.images], len(texts)))
    before: list[list[Image]] = [[] for _ in range(len(texts) + 1)]
    passed = 0
    for part in document.parts:
        if isinstance(part, Text):
            passed += 1
        else:
            match = next(matches)
            before[passed if match is None else match].append(replace(part, match=match))
    parts: list[Text | Image] = []
    for images, text in zip(before, texts, strict=False):
        parts += (*images, text)
    return parts + before[-1]


def merged(parts: Iterable[Text | Image]) -> Iterator[str | Image]:
    """Texts that follow each other joined by a blank line, and images."""
    waiting: list[str] = []
    for part in parts:
        if isinstance(part, Text):
            waiting.append(part.text)
            continue
        if waiting:
            yield "\n\n".join(waiting)
            waiting = []
        yield part
    if waiting:
        yield "\n\n".join(waiting)


def harmless(text: str) -> str:
    """The text with a space in what trainers would take for a mark, such as `<image>`.

    For formats whose readers put marks of their own between the texts.
    """
    return _MARKS.sub("< ", text)


@dataclass(frozen=True)
class Beside:
    """A file beside the shards."""

    path: str
    size: int
    sha256: str


class ImageFiles:
    """Where the files beside a shard go: image files, each written once whatever shards show it.

    Without `files` nothing is written, as for a sample that is only weighed.
    """

    def __init__(self, files: Files | None = None) -> None:
        self.files = files
        self.written: dict[str, Beside] = {}

    def put(self, path: str, image: Image) -> str:
        """See to it that the image's file is at `path` of the target; returns `path`."""
        if path not in self.written:
            if self.files is not None and not self.files.exists(path):
                self.files.write(path, image.data)
            sha256 = image.values["image_sha256"]
            self.written[path] = Beside(path, len(image.data), sha256)
        return path

    def put_own(self, path: str, source: Path) -> None:
        """Put a copy of a local file at `path` of the target: one that is of this shard alone."""
        if self.files is not None:
            size, sha256 = source.stat().st_size, self.files.put(path, source)
            self.written[path] = Beside(path, size, sha256)
