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
import re
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Literal, cast
from urllib.parse import quote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
from fastwarc.warc import ArchiveIterator, WarcRecord, WarcRecordType
from pydantic import BaseModel, ConfigDict, Field

from operators.base import by_row, measured
from operators.files import expand, input_info, is_remote, open_input
from schemas.columns import schema
from schemas.errors import InputError

PAYLOAD = schema("html")
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


Found = Page | Picture | Skipped


class Source(BaseModel, ABC):
    """A kind of input. Fields are its config, as in an operator."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: ClassVar[str]
    version: ClassVar[int] = 1

    path: str = Field(description="file, folder or glob pattern, local or s3://")

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
    def read(self, uri: str, rows: pa.Table) -> Iterator[bytes]:
        """The decoded bytes for each of `rows` (of this input, in its order)."""

    def payload(self, uri: str, rows: pa.Table) -> pa.Table:
        """Column `html` for `rows`, with an error for each page that cannot be decoded."""
        results = by_row(_forced, self.read_guarded(uri, rows))
        return measured(PAYLOAD, [results.values], results.errors)

    def read_guarded(self, uri: str, rows: pa.Table) -> Iterator[bytes | Exception]:
        """As `read`, with an exception in place of the bytes that could not be read."""
        for index in range(rows.num_rows):
            try:
                yield next(iter(self.read(uri, rows.slice(index, 1))))
            except Exception as error:  # noqa: BLE001  # handed on as this row's error
                yield error


def _forced(value: bytes | Exception) -> bytes:
    if isinstance(value, Exception):
        raise value
    return value


def document_id(url: str, date: datetime | None, digest: str) -> str:
    """Hash of what makes a capture: URL, second of capture, content. 32 hexadecimal digits."""
    stamp = date.isoformat() if date else ""
    return _blake2b("\0".join((url, stamp, digest)).encode())


def _blake2b(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _domain(url: str) -> str | None:
    try:
        return (urlsplit(url).hostname or "").lower() or None
    except ValueError:
        return None


# --- WARC ---------------------------------------------------------------------------------------

_HTML_TYPES = ("text/html", "application/xhtml+xml")
_READ_MEDIA = (*_HTML_TYPES, "image/")
_HTML_START = re.compile(rb"\s*(<!doctype html|<html)", re.IGNORECASE)
_READ_TYPES = WarcRecordType.response | WarcRecordType.resource
_RECORD_STARTS = {b"\x1f\x8b\x08": "gzip", b"(\xb5/\xfd": "zstd", b"WARC/": "plain"}


class CorruptRecord(ValueError):
    """A record whose bytes end early or do not decode."""


class WarcSource(Source):
    """Web archives: WARC files, plain or compressed with gzip or zstd."""

    name = "warc"

    def index(self, uri: str) -> Iterator[Found]:
        """Response and resource records with status 200: pages and images."""
        addressable = _addressable(uri)
        for ordinal, (offset, record) in enumerate(_records(uri)):
            if isinstance(record, Skipped):
                yield record
                continue
            try:
                yield _found(record, Path(uri).name, offset if addressable else None, ordinal)
            except (OSError, ValueError) as error:
                yield Skipped(f"corrupt record ({type(error).__name__})")

    def read(self, uri: str, rows: pa.Table) -> Iterator[bytes]:
        """The pages' bytes: by offset, or by reading on where records have no address."""
        offsets = rows["source_offset"].to_pylist()
        wanted = rows["source_record"].to_pylist()
        if None in offsets:
            yield from _read_in_order(uri, wanted)
            return
        with open_input(uri) as stream:
            for offset in offsets:
                yield _body_at(stream, offset)

    def read_guarded(self, uri: str, rows: pa.Table) -> Iterator[bytes | Exception]:
        """One pass where records have no address; record by record otherwise."""
        if None not in rows["source_offset"].to_pylist():
            yield from super().read_guarded(uri, rows)
            return
        wanted = set(rows["source_record"].to_pylist())
        for ordinal, (_, record) in enumerate(_records(uri, decode=True)):
            if ordinal in wanted and isinstance(record, WarcRecord):
                try:
                    yield _body(record)
                except Exception as error:  # noqa: BLE001  # handed on as this row's error
                    yield error


def _read_in_order(uri: str, wanted: Iterable[int]) -> Iterator[bytes]:
    ordinals = set(wanted)
    for ordinal, (_, record) in enumerate(_records(uri, decode=True)):
        if ordinal in ordinals and isinstance(record, WarcRecord):
            yield _body(record)


def _iterator(stream: BinaryIO, *, decode: bool) -> ArchiveIterator:
    return ArchiveIterator(
        stream,
        record_types=_READ_TYPES,
        parse_http=True,
        auto_decode="all" if decode else "none",
        quirks_mode=True,
        fsspec_args=False,
    )


def _is_archive(uri: str) -> bool:
    with open_input(uri) as stream:
        magic = stream.read(5)
        mark = next((mark for mark in _RECORD_STARTS if magic.startswith(mark)), None)
        return mark is not None and _starts_record(stream, 0, mark)


def _records(uri: str, *, decode: bool = False) -> Iterator[tuple[int, WarcRecord | Skipped]]:
    """Every readable record with its position; a corrupt stretch yields one Skipped."""
    start: int | None = 0 if _is_archive(uri) else _next_start(uri, 1)
    if start != 0:
        yield 0, Skipped("no WARC record at the start of the file")
    while start is not None:
        last = start - 1
        with open_input(uri) as stream:
            stream.seek(start)
            try:
                for record in _iterator(stream, decode=decode):
                    last = start + record.stream_pos
                    yield last, record
                return
            except OSError as error:
                reason = str(error).split(":")[0].lower() or "unreadable"
                yield max(last, start), Skipped(f"corrupt record ({reason})")
        start = _next_start(uri, max(last, start) + 1)


def _next_start(uri: str, position: int) -> int | None:
    """Where the next readable record starts at or after `position`; None at the end."""
    with open_input(uri) as stream:
        stream.seek(0)
        magic = stream.read(5)
        marks = [mark for mark in _RECORD_STARTS if magic.startswith(mark[:2])] or [b"WARC/"]
        stream.seek(position)
        tail = b""
        while chunk := stream.read(_CHUNK):
            window = tail + chunk
            base = stream.tell() - len(window)
            for at in _positions(window, marks[0]):
                if base + at >= position and _starts_record(stream, base + at, marks[0]):
                    return base + at
            tail = window[-8:]
            stream.seek(base + len(window))
    return None


def _positions(window: bytes, mark: bytes) -> Iterator[int]:
    at = window.find(mark)
    while at >= 0:
        yield at
        at = window.find(mark, at + 1)


def _starts_record(stream: BinaryIO, position: int, mark: bytes) -> bool:
    stream.seek(max(position - 1, 0))
    head = stream.read(4096)
    before, head = (head[:1], head[1:]) if position else (b"\n", head)
    match _RECORD_STARTS[mark]:
        case "plain":
            return before == b"\n"
        case "gzip":
            try:
                return zlib.decompressobj(31).decompress(head, 5) == b"WARC/"
            except zlib.error:
                return False
        case _:
            try:
                return bool(
                    pa.CompressedInputStream(pa.BufferReader(head), "zstd").read(5) == b"WARC/"
                )
            except OSError:
                return False


def _addressable(uri: str) -> bool:
    """True when each record can be read by its offset: plain, or one gzip member a record."""
    with open_input(uri) as stream:
        magic = stream.read(4)
        if magic[:2] not in (b"\x1f\x8b", b"WA"):
            return False
        stream.seek(0)
        try:
            records = ArchiveIterator(stream, quirks_mode=True, fsspec_args=False)
            places = [record.stream_pos for record in itertools.islice(records, 2)]
        except OSError:
            return magic[:2] == b"WA"
        for place in places:
            stream.seek(place)
            if stream.read(2) != magic[:2]:
                return False
    return True


def _found(record: WarcRecord, file: str, offset: int | None, ordinal: int) -> Found:
    url = (record.headers.get("WARC-Target-URI") or "").strip("<> \r\n")
    is_http = record.is_http_parsed
    if is_http and record.http_headers.status_code != 200:
        return Skipped(f"status {record.http_headers.status_code}")
    expected = record.content_length
    media = _media_type(record, is_http=is_http)
    body = record.reader.read() if not media or media.startswith(_READ_MEDIA) else b""
    if not media and _HTML_START.match(body):
        media = "text/html"
    is_image = media.startswith("image/")
    if media not in _HTML_TYPES and not is_image:
        return Skipped(f"type {media or 'not declared'}")
    if len(body) < expected:
        return Skipped("truncated record")
    if not body:
        return Skipped("empty body")
    digest, date = _blake2b(body), _utc(record.record_date)
    if is_image:
        return Picture(url, file, offset, ordinal, date, media, len(body), digest)
    charset = record.http_charset if is_http else None
    identity = document_id(url, date, digest)
    return Page(
        identity, url, _domain(url), file, offset, ordinal, date, charset, digest, len(body)
    )


def _media_type(record: WarcRecord, *, is_http: bool) -> str:
    declared = record.http_content_type if is_http else record.headers.get("Content-Type")
    return (declared or "").split(";")[0].strip().lower()


def _utc(date: datetime | None) -> datetime | None:
    if date is None:
        return None
    return (
        (date if date.tzinfo else date.replace(tzinfo=UTC)).astimezone(UTC).replace(microsecond=0)
    )


def _body_at(stream: BinaryIO, offset: int) -> bytes:
    stream.seek(offset)
    try:
        return _body(next(iter(_iterator(stream, decode=True))))
    except OSError:  # servers and crawlers that mislabel what they chunked or compressed
        stream.seek(offset)
        return _leniently_decoded(next(iter(_iterator(stream, decode=False))))


def _leniently_decoded(record: WarcRecord) -> bytes:
    body = _dechunked(_body(record))
    encoding = (record.http_headers.get("Content-Encoding") or "").lower()
    if encoding in ("gzip", "x-gzip", "deflate") and not body.lstrip().startswith(b"<"):
        try:
            return zlib.decompress(body, 47 if "gzip" in encoding else -15)
        except zlib.error as error:
            raise CorruptRecord(f"the page's {encoding} encoding is broken: {error}") from None
    return body


def _dechunked(body: bytes) -> bytes:
    """The content of a chunked body, chunk extensions ignored; the body itself if not chunked."""
    parts: list[bytes] = []
    at = 0
    while (end := body.find(b"\r\n", at)) >= 0:
        try:
            size = int(body[at:end].split(b";")[0], 16)
        except ValueError:
            break
        if size == 0:
            return b"".join(parts)
        parts.append(body[end + 2 : end + 2 + size])
        at = end + 2 + size + 2
    return b"".join(parts) or body


def _body(record: WarcRecord) -> bytes:
    body: bytes = record.reader.read()
    if not body:
        raise CorruptRecord("the page's body does not decode, or is cut off")
    return body


# --- Folder of pages ----------------------------------------------------------------------------

_PAGE_ENDINGS = {".html", ".htm", ".xhtml"}


class HtmlSource(Source):
    """A folder of saved pages, searched recursively for .html, .htm and .xhtml files."""

    name = "html"
    base_url: str = Field("file:///", description="address that the folder stands for")

    def inputs(self) -> list[str]:
        """The folder itself: its pages share units."""
        folder = Path(self.path)
        if is_remote(self.path) or not folder.is_dir():
            raise InputError(f"not a local folder: {self.path}")
        if not self._pages(self.path):
            raise InputError(f"no .html, .htm or .xhtml file below {self.path}")
        return [self.path]

    def _pages(self, uri: str) -> list[Path]:
        return sorted(p for p in Path(uri).rglob("*") if p.suffix.lower() in _PAGE_ENDINGS)

    def size_and_stamp(self, uri: str) -> tuple[int, str]:
        """Total size, and a hash over names, sizes and times of the pages."""
        stats = [(path, path.stat()) for path in self._pages(uri)]
        listing = [f"{path}\0{stat.st_size}\0{stat.st_mtime_ns}" for path, stat in stats]
        return sum(stat.st_size for _, stat in stats), _blake2b("\n".join(listing).encode())

    def checksum(self, uri: str) -> str:
        """SHA-256 over names and contents of the pages, in order."""
        digest = hashlib.sha256()
        for path in self._pages(uri):
            digest.update(path.relative_to(uri).as_posix().encode() + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()

    def index(self, uri: str) -> Iterator[Found]:
        """Every page file that is not empty."""
        for ordinal, path in enumerate(self._pages(uri)):
            name = path.relative_to(uri).as_posix()
            body = path.read_bytes()
            if not body:
                yield Skipped("empty body")
                continue
            url = self.base_url.rstrip("/") + "/" + quote(name)
            digest = _blake2b(body)
            identity = document_id(url, None, digest)
            yield Page(identity, url, _domain(url), name, 0, ordinal, None, None, digest, len(body))

    def read(self, uri: str, rows: pa.Table) -> Iterator[bytes]:
        """The files' bytes."""
        for name in rows["source_file"].to_pylist():
            yield (Path(uri) / name).read_bytes()


# --- Tables of pages ----------------------------------------------------------------------------


class TableSource(Source):
    """Parquet or JSON-lines files with columns `url` and `html` (text or bytes).

    JSON lines may be gzipped (`.jsonl.gz`). Other columns are ignored.
    """

    name = "table"

    def index(self, uri: str) -> Iterator[Found]:
        """Every row with a URL and a page."""
        for ordinal, row in enumerate(_rows(uri)):
            match row:
                case {"url": str(url), "html": str() | bytes() as html} if url and html:
                    body = _encoded(html)
                    digest = _blake2b(body)
                    identity = document_id(url, None, digest)
                    charset: Literal["utf-8"] | None = "utf-8" if isinstance(html, str) else None
                    name, domain = Path(uri).name, _domain(url)
                    yield Page(
                        identity, url, domain, name, None, ordinal, None, charset, digest, len(body)
                    )
                case {"malformed": str(reason)}:
                    yield Skipped(reason)
                case _:
                    yield Skipped("row without url or html")

    def read(self, uri: str, rows: pa.Table) -> Iterator[bytes]:
        """The rows' pages, in one pass over the part of the file that holds them."""
        wanted = rows["source_record"].to_pylist()
        first = min(wanted, default=0)
        chosen = set(wanted)
        for ordinal, row in enumerate(_rows(uri, start=first), start=first):
            if ordinal in chosen:
                chosen.discard(ordinal)
                yield _encoded(row["html"])
            if not chosen:
                return

    def read_guarded(self, uri: str, rows: pa.Table) -> Iterator[bytes | Exception]:
        """As `read`: rows were checked when they were indexed."""
        yield from self.read(uri, rows)


def _encoded(html: str | bytes) -> bytes:
    return html.encode("utf-8", "surrogatepass") if isinstance(html, str) else html


def _rows(uri: str, start: int = 0) -> Iterator[dict[str, Any]]:
    if uri.endswith(".parquet"):
        yield from _parquet_rows(uri, start)
    else:
        yield from itertools.islice(_json_rows(uri), start, None)


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


def _json_rows(uri: str) -> Iterator[dict[str, Any]]:
    with open_input(uri) as stream:
        lines = gzip.GzipFile(fileobj=stream) if uri.endswith(".gz") else stream
        for line in cast("Iterable[bytes]", lines):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError:
                row = None
            yield row if isinstance(row, dict) else {"malformed": "line is not a JSON object"}


SOURCES: dict[str, type[Source]] = {
    kind.name: kind for kind in (WarcSource, HtmlSource, TableSource)
}
