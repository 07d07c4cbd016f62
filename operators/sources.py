"""Sources: where documents are born.

A source lists its inputs, indexes each (one pass that finds pages and images and copies neither),
and later reads the pages' bytes back from the input, for the rows that need them. What cannot be
read is counted by reason and skipped; the rest of the file survives.
"""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
import os
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, cast
from urllib.parse import quote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field

from operators.base import measured, row_error
from operators.files import expand, input_info, is_remote, open_input
from schemas.columns import schema
from schemas.errors import InputError
from schemas.tables import DOCUMENTS, Table

PAYLOAD = schema("html")
ADDRESS = ("url", "source_file", "source_offset", "source_record", "payload_digest")
MAX_DECODED_BYTES = 64 << 20
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Page:
    """A captured page: a row of the documents table."""

    doc_id: str
    url: str
    domain: str | None
    source_file: str
    source_offset: int | None
    source_record: int
    capture_date: datetime | None
    http_charset: str | None
    payload_digest: str
    payload_bytes: int


@dataclass(frozen=True)
class Picture:
    """A captured image: a row of the images table."""

    image_url: str
    source_file: str
    source_offset: int | None
    source_record: int
    capture_date: datetime | None
    image_type: str | None
    image_bytes: int
    payload_digest: str


@dataclass(frozen=True)
class Skipped:
    """A record that is neither, and why: `status 404`, `type text/css`, `truncated record`..."""

    reason: str


@dataclass(frozen=True)
class PooledPicture:
    """A picture to ask about: a row of the table of pictures."""

    image_url: str
    image_route: str
    capture_uri: str | None = None
    """The input that holds its bytes; None where they are to be fetched."""
    source_file: str | None = None
    source_offset: int | None = None
    source_record: int | None = None
    payload_digest: str | None = None
    image_type: str | None = None
    page_url: str | None = None
    page_title: str | None = None
    page_text: str | None = None
    image_alt: str | None = None
    image_caption: str | None = None
    image_keyword: str | None = None
    image_licence: str | None = None
    given_instructions: list[dict[str, Any]] | None = None


Found = Page | Picture | PooledPicture | Skipped


class Source(BaseModel, ABC):
    """A kind of input. Fields are its config, as in an operator."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: ClassVar[str]
    version: ClassVar[int] = 1
    table: ClassVar[Table] = DOCUMENTS
    """Whose rows it finds."""

    path: str = Field(min_length=1, description="file or glob pattern, local or s3://")

    def inputs(self) -> list[str]:
        """Addresses of the inputs, sorted.

        Raises:
            InputError: the pattern names nothing.
        """
        found = expand(self.path)
        if not found:
            raise InputError(f"no file matches {self.path}")
        return found

    def checksum(self, uri: str) -> str:
        """SHA-256 of the input's content, hexadecimal."""
        digest = hashlib.sha256()
        with open_input(uri) as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
        return digest.hexdigest()

    def size_and_stamp(self, uri: str) -> tuple[int, str]:
        """Size in bytes, and a stamp that changes when the input is rewritten."""
        info = input_info(uri)
        return info.size, info.stamp

    @abstractmethod
    def index(self, uri: str) -> Iterator[Found]:
        """Everything in the input, in its order, without its bytes."""

    @abstractmethod
    def read(self, uri: str, rows: pa.Table) -> Iterator[bytes | Exception]:
        """For each of `rows`, in order, its decoded bytes, or why there are none.

        `rows` are of this input, in its order, and have the columns of `ADDRESS`.
        """

    def payloads(
        self, uri: str, rows: pa.Table, most_rows: int, most_bytes: int
    ) -> Iterator[pa.Table]:
        """Columns `html` and `error` for `rows`, in tables bounded in rows and in bytes.

        A table holds `most_bytes` and one page at the most, however far the pages unpack.
        """
        pages: list[bytes | None] = []
        errors: list[dict[str, str] | None] = []
        volume = 0
        for page in self.read(uri, rows):
            failed = isinstance(page, Exception)
            pages.append(None if failed else cast("bytes", page))
            errors.append(row_error(cast("Exception", page)) if failed else None)
            volume += len(pages[-1] or b"")
            if len(pages) >= most_rows or volume >= most_bytes:
                yield measured(PAYLOAD, [pages], errors)
                pages, errors, volume = [], [], 0
        if pages:
            yield measured(PAYLOAD, [pages], errors)

    def payload(self, uri: str, rows: pa.Table) -> pa.Table:
        """Columns `html` and `error` for a few `rows` at once."""
        empty = measured(PAYLOAD, [[]], [])
        return pa.concat_tables([empty, *self.payloads(uri, rows, rows.num_rows + 1, 1 << 62)])


class ChangedInput(ValueError):
    """An input does not hold any more what it held when it was indexed."""


def document_id(url: str, date: datetime | None, digest: str) -> str:
    """Hash of what makes a capture: URL, second of capture, content. 32 hexadecimal digits."""
    stamp = date.isoformat() if date else ""
    return digest_of("\0".join((url, stamp, digest)).encode("utf-8", "surrogatepass"))


def digest_of(data: bytes) -> str:
    """BLAKE2b-128 of the bytes, hexadecimal."""
    return new_digest(data).hexdigest()


def new_digest(data: bytes = b"") -> hashlib.blake2b:
    """The hash that payload digests are made with, to be fed piece by piece."""
    return hashlib.blake2b(data, digest_size=16)


def domain_of(url: str) -> str | None:
    """The URL's host in lower case; None where it has none."""
    try:
        return (urlsplit(url).hostname or "").lower() or None
    except ValueError:
        return None


# --- Folders ------------------------------------------------------------------------------------


class FolderSource(Source):
    """A local folder, searched recursively for files with certain endings."""

    endings: ClassVar[frozenset[str]]
    beside: ClassVar[frozenset[str]] = frozenset()
    """Endings of files that tell of those: changes of them count too."""
    base_url: str = Field("file:///", description="address that the folder stands for")

    def inputs(self) -> list[str]:
        """The folder itself: its files share units."""
        folder = Path(self.path)
        if is_remote(self.path) or not folder.is_dir():
            raise InputError(f"not a local folder: {self.path}")
        if not self.files(self.path):
            *most, last = sorted(self.endings)
            raise InputError(f"no {', '.join(most)} or {last} file below {self.path}")
        return [self.path]

    def files(self, uri: str, *, beside: bool = False) -> list[Path]:
        """Files, without links: they may lead out of the folder."""
        endings = self.endings | self.beside if beside else self.endings
        found = (path for path in Path(uri).rglob("*") if path.suffix.lower() in endings)
        return sorted(path for path in found if path.is_file() and not path.is_symlink())

    def size_and_stamp(self, uri: str) -> tuple[int, str]:
        """Total size, and a hash over names, sizes and times of the files."""
        stats = [(path, path.stat()) for path in self.files(uri, beside=True)]
        listing = [f"{path}\0{stat.st_size}\0{stat.st_mtime_ns}" for path, stat in stats]
        names = os.fsencode("\n".join(listing))
        return sum(stat.st_size for _, stat in stats), digest_of(names)

    def checksum(self, uri: str) -> str:
        """SHA-256 over names and contents of the files, in order."""
        digest = hashlib.sha256()
        for path in self.files(uri, beside=True):
            digest.update(os.fsencode(path.relative_to(uri).as_posix()) + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()

    def index(self, uri: str) -> Iterator[Found]:
        """Every file that is not empty."""
        for ordinal, path in enumerate(self.files(uri)):
            name = path.relative_to(uri).as_posix()
            if not _is_text(name):
                yield Skipped("file name is not UTF-8")
                continue
            body = path.read_bytes()
            yield self.found(uri, path, name, ordinal, body) if body else Skipped("empty body")

    @abstractmethod
    def found(self, uri: str, path: Path, name: str, ordinal: int, body: bytes) -> Found:
        """The row of a file; `name` is its path within the folder."""

    def address(self, name: str) -> str:
        """The address that a file stands for."""
        base = self.base_url if self.base_url.endswith("/") else f"{self.base_url}/"
        return base + quote(name)

    def read(self, uri: str, rows: pa.Table) -> Iterator[bytes | Exception]:
        """The files' bytes."""
        names, digests = rows["source_file"].to_pylist(), rows["payload_digest"].to_pylist()
        for name, digest in zip(names, digests, strict=True):
            try:
                body = (Path(uri) / name).read_bytes()
            except OSError as error:
                yield error
                continue
            same = digest_of(body) == digest
            yield body if same else ChangedInput("the file changed after it was indexed")


class HtmlSource(FolderSource):
    """A folder of saved pages, searched recursively for .html, .htm and .xhtml files."""

    name = "html"
    endings = frozenset({".html", ".htm", ".xhtml"})

    def found(self, uri: str, path: Path, name: str, ordinal: int, body: bytes) -> Found:
        """A page."""
        url, digest = self.address(name), digest_of(body)
        identity = document_id(url, None, digest)
        return Page(identity, url, domain_of(url), name, 0, ordinal, None, None, digest, len(body))


def _is_text(name: str) -> bool:
    """False for a file name whose bytes are no UTF-8 (Python keeps them as surrogates)."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


# --- Tables of pages ----------------------------------------------------------------------------


class TableSource(Source):
    """Parquet or JSON-lines files with columns `url` and `html` (text or bytes).

    JSON lines may be gzipped (`.jsonl.gz`). Other columns are ignored.
    """

    name = "table"

    def index(self, uri: str) -> Iterator[Found]:
        """Every row with a URL and a page."""
        for ordinal, row in enumerate(_rows(uri)):
            yield row if isinstance(row, Skipped) else _page_of(row, Path(uri).name, ordinal)

    def read(self, uri: str, rows: pa.Table) -> Iterator[bytes | Exception]:
        """The rows' pages, in one pass over the part of the file that holds them."""
        wanted = rows["source_record"].to_pylist()
        first = min(wanted, default=0)
        numbered = enumerate(_rows(uri, first), start=first)
        for digest, number in zip(rows["payload_digest"].to_pylist(), wanted, strict=True):
            row = next((found for ordinal, found in numbered if ordinal == number), None)
            html = row.get("html") if isinstance(row, dict) else None
            body = _encoded(html) if isinstance(html, str | bytes) else b""
            same = digest_of(body) == digest
            yield body if same else ChangedInput(f"row {number} is not what was indexed")


def _page_of(row: dict[str, Any], file: str, ordinal: int) -> Found:
    match row:
        case {"url": str(url), "html": str() | bytes() as html} if (
            url.isprintable() and url and html
        ):
            body = _encoded(html)
            digest = digest_of(body)
            charset = "utf-8" if isinstance(html, str) else None
            identity = document_id(url, None, digest)
            return Page(
                identity, url, domain_of(url), file, None, ordinal, None, charset, digest, len(body)
            )
        case _:
            return Skipped("row without url or html")


def _encoded(html: str | bytes) -> bytes:
    return html.encode("utf-8", "surrogatepass") if isinstance(html, str) else html


def _rows(uri: str, start: int = 0) -> Iterator[dict[str, Any] | Skipped]:
    """Rows from number `start` on; what is unreadable from some row on is one Skipped.

    Raises:
        InputError: the file is not of its kind at all.
    """
    rows = _parquet_rows(uri, start) if uri.endswith(".parquet") else json_rows(uri, start)
    some = False
    try:
        for row in rows:
            yield row
            some = True
    except (pa.ArrowInvalid, OSError, EOFError, zlib.error) as error:
        if not some:
            raise InputError(f"{uri} cannot be read: {error}") from None
        yield Skipped("rest of the file (it is cut off or damaged)")


def _parquet_rows(uri: str, start: int) -> Iterator[dict[str, Any]]:
    with open_input(uri) as stream, pq.ParquetFile(stream) as file:
        missing = {"url", "html"} - set(file.schema_arrow.names)
        if missing:
            known = ", ".join(file.schema_arrow.names)
            raise InputError(
                f"{uri} has no column {' and '.join(sorted(missing))}; it has: {known}"
            )
        first = 0
        for group in range(file.num_row_groups):
            length = file.metadata.row_group(group).num_rows
            if first + length > start:
                batches = file.iter_batches(256, row_groups=[group], columns=["url", "html"])
                rows = itertools.chain.from_iterable(batch.to_pylist() for batch in batches)
                yield from itertools.islice(rows, max(start - first, 0), None)
            first += length


def json_rows(uri: str, start: int = 0) -> Iterator[dict[str, Any] | Skipped]:
    """Rows of JSON lines, gzipped or not, from number `start` on."""
    with open_input(uri) as stream:
        lines = gzip.GzipFile(fileobj=stream) if uri.endswith(".gz") else stream
        filled = (line for line in cast("Iterable[bytes]", lines) if line.strip())
        try:
            yield from map(_json_row, itertools.islice(filled, start, None))
        except (EOFError, zlib.error):
            yield Skipped("rest of the file (its gzip stream is cut off or broken)")


def _json_row(line: bytes) -> dict[str, Any] | Skipped:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        row = None
    return row if isinstance(row, dict) else Skipped("line is not a JSON object")
