"""What an export format is, and the kinds of files that formats write.

A format turns documents into rows of its own; how rows become files of the right size, and how a
target folder is committed, is the engine's business. The same documents give the same bytes.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from operators.export_documents import BYTES, Document, Image, ImageFiles, documents
from schemas.errors import did_you_mean
from schemas.job import ExportSpec

IMAGE_FOLDER = "images"
ImageMode = Literal["urls", "embedded", "beside"]
Order = Literal["natural", "retrieval"]
Row = dict[str, Any]
_OPTIONS = ("max_tokens", "max_tiles", "captions", "min_similarity")
_GROUP_BYTES = 32_000_000
"""A Parquet row group is closed when the images in it are this large."""
_EPOCH = (1980, 1, 1, 0, 0, 0)


class ShardWriter(ABC):
    """Writes one shard file, table by table; `rows` counts what it holds so far.

    Documents that have nothing to say in the format are left out.
    """

    def __init__(self, spec: ExportSpec) -> None:
        self.spec = spec
        self.rows = 0

    def write(self, table: pa.Table) -> None:
        """Append the documents of a table (columns: the format's `columns`)."""
        for document in documents(table, self.spec):
            self.add(document)

    @abstractmethod
    def add(self, document: Document) -> None:
        """Append a document."""

    @abstractmethod
    def close(self) -> None:
        """Finish the file."""


class Format(ABC):
    """A named export format, set up for one export.

    Of `variants`, `images` and `orders` the first is what an export that names none gets.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    table: ClassVar[str] = "documents"
    """The table whose rows it writes."""
    meaning: ClassVar[str]
    consumer: ClassVar[str]
    """Who reads it."""
    variants: ClassVar[dict[str, str]]
    """Kinds of files that it can be written as, each with the files' ending."""
    placed_variants: ClassVar[tuple[str, ...]] = ()
    """Variants that put images where they match, whatever order others have."""
    images: ClassVar[tuple[ImageMode, ...]]
    orders: ClassVar[tuple[Order, ...]] = ("natural", "retrieval")
    options: ClassVar[tuple[str, ...]] = ()
    """Fields of an export that only some formats have a use for."""
    reads: ClassVar[tuple[str, ...]]
    takes: ClassVar[tuple[str, ...]] = ()
    """Columns that are written too where they are measured."""

    def __init__(self, spec: ExportSpec) -> None:
        variant = spec.variant or next(iter(self.variants))
        order = "retrieval" if variant in self.placed_variants else spec.order or self.orders[0]
        images = spec.images or self.images[0]
        self.spec = spec.model_copy(update={"images": images, "order": order, "variant": variant})

    @classmethod
    def mistakes(cls, spec: ExportSpec) -> Iterator[tuple[str, str, str]]:
        """What is wrong with an export in this format: field, message, and how to mend it."""
        offered = {"images": cls.images, "order": cls.orders, "variant": tuple(cls.variants)}
        for field, choices in offered.items():
            value = getattr(spec, field)
            if value is not None and value not in choices:
                fix = f"use {' or '.join(map(repr, choices))}"
                if field == "variant" and len(choices) > 1:
                    fix = did_you_mean(value, choices)
                yield field, f"format '{cls.name}' does not offer it", fix
        if spec.blur_faces and (spec.images or cls.images[0]) == "urls":
            yield "blur_faces", "the export holds addresses of images alone", "see 'images'"
        if spec.variant in cls.placed_variants and spec.order == "natural":
            message = f"variant '{spec.variant}' puts images where they match"
            yield "order", message, "use 'retrieval'"
        for field in _OPTIONS:
            default = ExportSpec.model_fields[field].default
            if field not in cls.options and getattr(spec, field) != default:
                yield field, f"format '{cls.name}' has no use for it", "remove the field"

    def needs(self) -> dict[str, str]:
        """The columns that must be measured, each with the export's field that asks for it."""
        found = dict.fromkeys(self.reads, "format")
        if self.spec.images != "urls":
            found |= dict.fromkeys((name for name in BYTES if name not in found), "images")
        if self.spec.blur_faces and BYTES[0] in found:
            found["image_faces"] = "blur_faces"
        if self.spec.order == "retrieval" and "clip_similarity" not in found:
            placed = self.spec.variant in self.placed_variants
            found["clip_similarity"] = "variant" if placed else "order"
        return found

    def columns(self, measured: Iterable[str]) -> list[str]:
        """The columns to give to the writer, where `measured` are those that there are."""
        known = set(measured)
        taken = (name for name in self.takes if name in known)
        return list(dict.fromkeys((*self.needs(), *taken)))

    @property
    def ending(self) -> str:
        """What its shards' names end in."""
        return self.variants[self.spec.variant or next(iter(self.variants))]

    def shard_name(self, index: int, count: int) -> str:
        """The path of shard `index` of `count` below the target."""
        return f"train-{index:05d}-of-{count:05d}.{self.ending}"

    @abstractmethod
    def count(self, file: BinaryIO) -> int:
        """Rows of a finished shard."""

    @abstractmethod
    def writer(self, path: Path, name: str, images: ImageFiles) -> ShardWriter:
        """A writer of the shard that will be called `name` to the local file at `path`."""

    def companions(self, shards: Sequence[tuple[str, int]]) -> dict[str, bytes]:
        """Small files that readers want besides the shards (names and rows): path and content."""
        return {}

    def image_file(self, image: Image, images: ImageFiles) -> str:
        """Put an image's file beside the shards, named after its content; returns its path."""
        return images.put(f"{IMAGE_FOLDER}/{image.by_content}", image)


# --- JSON lines, one JSON list -------------------------------------------------------------------

RowsOf = Callable[[Any], Iterable[Row]]
"""The rows of a `Document`, or of what else a writer's `write` hands to `add`."""


def to_json(row: Any) -> str:
    """JSON on one line, in UTF-8 rather than in escapes."""
    return json.dumps(row, ensure_ascii=False)


class JsonLines(ShardWriter):
    """JSON lines, plain or packed as the path's ending in `name` says: .gz or .zip.

    `rows` gives the rows of a document. Archives hold no time of writing.
    """

    start, before_first, between, end = "", "", "\n", "\n"

    def __init__(self, path: Path, name: str, spec: ExportSpec, rows: RowsOf) -> None:
        super().__init__(spec)
        self._rows_of = rows
        self._open: list[Any] = []
        self._stream = self._stream_to(path, name.rpartition("/")[2])
        self._stream.write(self.start.encode())

    def _stream_to(self, path: Path, name: str) -> Any:
        if name.endswith(".zip"):
            archive = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED)
            inside = zipfile.ZipInfo(name.removesuffix(".zip"), _EPOCH)
            inside.compress_type, inside.create_system = zipfile.ZIP_DEFLATED, 3
            inside.external_attr = 0o644 << 16
            stream = archive.open(inside, "w", force_zip64=True)
            self._open = [stream, archive]
            return stream
        handle = path.open("wb")
        self._open = [handle]
        if not name.endswith(".gz"):
            return handle
        packed: Any = gzip.GzipFile("", "wb", 6, handle, mtime=0)
        self._open = [packed, handle]
        return packed

    def add(self, document: Document) -> None:
        for row in self._rows_of(document):
            self._stream.write((self.between if self.rows else self.before_first).encode())
            self.rows += 1
            self._stream.write(to_json(row).encode())

    def close(self) -> None:
        if self.rows or self.start:
            self._stream.write(self.end.encode())
        for opened in self._open:
            opened.close()


class JsonList(JsonLines):
    """One JSON list, a row a line."""

    start, before_first, between, end = "[", "\n", ",\n", "\n]\n"


def count_lines(file: BinaryIO, ending: str) -> int:
    """Rows of a file that `JsonLines` or `JsonList` wrote."""
    if ending.endswith(".zip"):
        with zipfile.ZipFile(file) as archive, archive.open(archive.namelist()[0]) as lines:
            return _line_breaks(lines)
    if ending.endswith(".gz"):
        with gzip.open(file) as unpacked:
            return _line_breaks(unpacked)
    return _line_breaks(file) - (2 if ending == "json" else 0)


def _line_breaks(file: Any) -> int:
    return sum(data.count(b"\n") for data in iter(lambda: file.read(1 << 20), b""))


# --- Parquet -------------------------------------------------------------------------------------


class ParquetRows(ShardWriter):
    """Zstd-compressed Parquet with an explicit schema and small row groups."""

    def __init__(self, path: Path, spec: ExportSpec, schema: pa.Schema, rows: RowsOf) -> None:
        super().__init__(spec)
        self._rows_of, self._schema = rows, schema
        self._writer = pq.ParquetWriter(path, schema, compression="zstd")
        self._waiting: list[Row] = []
        self._bytes = 0

    def add(self, document: Document) -> None:
        found = list(self._rows_of(document))
        self.rows += len(found)
        self._waiting += found
        if self.spec.images == "embedded":
            self._bytes += sum(len(image.data) for image in document.images)
        if len(self._waiting) >= self.spec.row_group_rows or self._bytes > _GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        while self._waiting:
            group = self._waiting[: self.spec.row_group_rows]
            self._waiting = self._waiting[len(group) :]
            self._writer.write_table(pa.Table.from_pylist(group, schema=self._schema))
        self._bytes = 0

    def close(self) -> None:
        self._flush()
        self._writer.close()


def count_parquet(file: BinaryIO) -> int:
    """Rows as the file's footer says."""
    rows: int = pq.read_metadata(file).num_rows
    return rows


# --- Tar -----------------------------------------------------------------------------------------


class TarMembers(ShardWriter):
    """A tar file whose members have no time and no owner; `samples` names a sample's members."""

    def __init__(
        self, path: Path, spec: ExportSpec, samples: Callable[[Document, int], dict[str, bytes]]
    ) -> None:
        super().__init__(spec)
        self._samples = samples
        self._tar = tarfile.open(path, "w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115

    def add(self, document: Document) -> None:
        members = self._samples(document, self.rows)
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o644
            self._tar.addfile(info, io.BytesIO(data))
        self.rows += bool(members)

    def close(self) -> None:
        self._tar.close()


def count_tar(file: BinaryIO) -> int:
    """Members of a tar file that are JSON: one a sample."""
    with tarfile.open(fileobj=file, mode="r:") as members:
        return sum(1 for member in members if member.name.endswith(".json"))
