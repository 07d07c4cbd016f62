"""Web archives as a source, damaged ones included.

Positions are byte offsets where each record can be read by its own (plain files, one gzip member
a record), and record ordinals where it cannot (zstd, one gzip stream over the whole file). Both
come from the same walk over the file, `records`, so that indexing and reading agree on them.
"""

from __future__ import annotations

import io
import itertools
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

import pyarrow as pa
from fastwarc.warc import ArchiveIterator, WarcRecord, WarcRecordType

from operators.files import open_input
from operators.sources import (
    ADDRESS,
    MAX_DECODED_BYTES,
    ChangedInput,
    Found,
    Page,
    Picture,
    Skipped,
    Source,
    document_id,
    domain_of,
    new_digest,
)

_HTML_TYPES = ("text/html", "application/xhtml+xml")
_HTML_START = re.compile(rb"\s*(<!doctype html|<html)", re.IGNORECASE)
_MEDIA_TYPE = re.compile(r"[\w.+-]{1,60}/[\w.+-]{1,60}")
_READ_TYPES = WarcRecordType.response | WarcRecordType.resource
_PLAIN, _GZIP, _ZSTD = b"WARC/", b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd"
_VERSION = re.compile(rb"WARC/\d\.\d+\s")
_MARKS = (_PLAIN, _GZIP, _ZSTD)
_CHUNK = 1 << 20


class CorruptRecord(ValueError):
    """A record whose bytes end early or do not decode."""


class WarcSource(Source):
    """Web archives: WARC files, plain or compressed with gzip or zstd."""

    name = "warc"

    def index(self, uri: str) -> Iterator[Found]:
        """Response and resource records with status 200: pages and images."""
        addressable = _addressable(uri)
        file, failed = Path(uri).name, None
        for ordinal, (offset, record) in enumerate(records(uri)):
            if isinstance(record, Skipped):
                if offset != failed:  # counted already, when its body was read
                    yield record
                continue
            try:
                yield _found(record, file, offset if addressable else None, ordinal)
            except (OSError, ValueError) as error:
                failed = offset
                yield Skipped(f"corrupt record ({type(error).__name__})")

    def read(self, uri: str, rows: pa.Table) -> Iterator[bytes | Exception]:
        """The pages' bytes, by offset, or in one pass where records have no address."""
        places = zip(*(rows[name].to_pylist() for name in ADDRESS), strict=True)
        walk = enumerate(records(uri))
        with open_input(uri) as stream:
            for url, _, offset, ordinal, _ in places:
                try:
                    if offset is None:
                        yield _body_at(_copied(walk, ordinal), 0, url)
                    else:
                        yield _body_at(stream, offset, url)
                except Exception as error:  # noqa: BLE001  # handed on as this row's error
                    yield error


# --- Walking over a file, and over what is broken in it -----------------------------------------


def records(uri: str) -> Iterator[tuple[int, WarcRecord | Skipped]]:
    """Every response and resource record with its position; a corrupt stretch is one Skipped."""
    start: int | None = 0
    if not _is_archive(uri):
        yield 0, Skipped("no WARC record at the start of the file")
        start = _next_start(uri, 1)
    while start is not None:
        last = start - 1
        with open_input(uri) as stream:
            stream.seek(start)
            try:
                for record in _iterator(stream, decode=False):
                    last = record.stream_pos
                    yield last, record
                return
            except OSError as error:
                if last >= start or start == 0:  # else the same stretch goes on
                    reason = str(error).split(":")[0].lower() or "unreadable"
                    yield max(last, start), Skipped(f"corrupt record ({reason})")
        start = _next_start(uri, max(last, start) + 1)


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
    """True when a whole record, of whatever type, stands at the start of the file."""
    with open_input(uri) as stream:
        magic = stream.read(5)
        if not any(magic.startswith(mark) and _starts(stream, 0, mark) for mark in _MARKS):
            return False
        stream.seek(0)
        try:
            first = next(iter(ArchiveIterator(stream, quirks_mode=True, fsspec_args=False)), None)
        except OSError:
            return True  # the walk over the records meets it too, and counts it
        untyped = (WarcRecordType.no_type, WarcRecordType.unknown)
        return first is not None and first.record_type not in untyped


def _next_start(uri: str, position: int) -> int | None:
    """Where the next readable record starts at or after `position`; None at the end.

    Records like the file's first are looked for before any others: its start may be damaged too.
    """
    with open_input(uri) as stream:
        magic = stream.read(5)
        own = [mark for mark in _MARKS if magic.startswith(mark) and _starts(stream, 0, mark)]
        found = _search(stream, position, own) if own else None
        return found if found is not None else _search(stream, position, _MARKS)


def _search(stream: BinaryIO, position: int, marks: Iterable[bytes]) -> int | None:
    stream.seek(position)
    tail = b""
    while chunk := stream.read(_CHUNK):
        window = tail + chunk
        end = stream.tell()
        base = end - len(window)
        hits = sorted((at, mark) for mark in marks for at in _positions(window, mark))
        for at, mark in hits:
            if base + at >= position and _starts(stream, base + at, mark):
                return base + at
        tail = window[-8:]
        stream.seek(end)
    return None


def _positions(window: bytes, mark: bytes) -> Iterator[int]:
    at = window.find(mark)
    while at >= 0:
        yield at
        at = window.find(mark, at + 1)


def _starts(stream: BinaryIO, position: int, mark: bytes) -> bool:
    """True when a record starts at `position`, not just bytes that look like its mark."""
    stream.seek(max(position - 1, 0))
    head = stream.read(4096)
    before, head = (head[:1], head[1:]) if position else (b"\n", head)
    if mark == _PLAIN:
        return before == b"\n" and _VERSION.match(head) is not None
    try:
        if mark == _GZIP:
            return zlib.decompressobj(31).decompress(head, 5) == _PLAIN
        return bool(pa.CompressedInputStream(pa.BufferReader(head), "zstd").read(5) == _PLAIN)
    except (zlib.error, OSError):
        return False


def _addressable(uri: str) -> bool:
    """True when each record can be read by its offset: plain, or one gzip member a record."""
    with open_input(uri) as stream:
        magic = stream.read(2)
        if magic == _ZSTD[:2]:
            return False
        stream.seek(0)
        try:
            walk = ArchiveIterator(stream, quirks_mode=True, fsspec_args=False)
            places = [record.stream_pos for record in itertools.islice(walk, 2)]
        except OSError:  # broken at its start: by the marks of what follows
            return True
        for place in places:
            stream.seek(place)
            if stream.read(2) not in (_PLAIN[:2], _GZIP[:2]):
                return False
    return True


# --- What a record is ---------------------------------------------------------------------------


def _found(record: WarcRecord, file: str, offset: int | None, ordinal: int) -> Found:
    status = record.http_headers.status_code if record.is_http_parsed else 200
    media = _media_type(record)
    expected = record.content_length
    if status == 200 and (not media or media in _HTML_TYPES or media.startswith("image/")):
        body = _summed(record)
    else:
        body = _Body(record.consume(), "", b"")
    if body.size < expected or record.headers.get("Content-Length") is None:
        return Skipped("truncated record")
    if status != 200:
        return Skipped(f"status {status}")
    if not media and _HTML_START.match(body.start):
        media = "text/html"
    if media not in _HTML_TYPES and not media.startswith("image/"):
        known = _MEDIA_TYPE.fullmatch(media)
        return Skipped(
            f"type {media}" if known else "type malformed" if media else "type not declared"
        )
    if not body.size:
        return Skipped("empty body")
    return _captured(record, body, media, file, offset, ordinal)


def _told_type(media: str) -> str:
    """A media type fit for counting and printing: servers send anything."""
    if not media:
        return "not declared"
    return media if _MEDIA_TYPE.fullmatch(media) else "malformed"


@dataclass(frozen=True)
class _Body:
    """What indexing needs of a body: its size, its digest and how it starts."""

    size: int
    digest: str
    start: bytes


def _summed(record: WarcRecord) -> _Body:
    """Read a body piece by piece: an image may be larger than memory."""
    digest, size, start = new_digest(), 0, b""
    while piece := record.reader.read(_CHUNK):
        digest.update(piece)
        size += len(piece)
        start = start or piece[:512]
    return _Body(size, digest.hexdigest(), start)


def _captured(
    record: WarcRecord, body: _Body, media: str, file: str, offset: int | None, ordinal: int
) -> Page | Picture:
    url, date = _url(record), _utc(record.record_date)
    if media.startswith("image/"):
        return Picture(url, file, offset, ordinal, date, media, body.size, body.digest)
    declared = record.http_charset if record.is_http_parsed else None
    charset = declared.strip("\"' ") if declared else None
    identity, domain = document_id(url, date, body.digest), domain_of(url)
    return Page(identity, url, domain, file, offset, ordinal, date, charset, body.digest, body.size)


def _url(record: WarcRecord) -> str:
    """The record's address; what cannot be printed is percent-encoded."""
    raw = (record.headers.get("WARC-Target-URI") or "").strip("<> \r\n")
    return "".join(char if char.isprintable() else quote(char, errors="replace") for char in raw)


def _media_type(record: WarcRecord) -> str:
    is_http = record.is_http_parsed
    declared = record.http_content_type if is_http else record.headers.get("Content-Type")
    return (declared or "").split(";")[0].strip().lower()


def _utc(date: datetime | None) -> datetime | None:
    if date is None:
        return None
    aware = date if date.tzinfo else date.replace(tzinfo=UTC)
    return aware.astimezone(UTC).replace(microsecond=0)


# --- Reading bodies -----------------------------------------------------------------------------


def _copied(walk: Iterator[tuple[int, tuple[int, WarcRecord | Skipped]]], ordinal: int) -> BinaryIO:
    """The record with this ordinal, by itself; `walk` goes on to it."""
    record = next((found for number, (_, found) in walk if number == ordinal), None)
    if not isinstance(record, WarcRecord):
        raise ChangedInput(f"record {ordinal} is not where it was when the file was indexed")
    copy = io.BytesIO()
    record.write(copy)
    return copy


def _body_at(stream: BinaryIO, offset: int, url: str) -> bytes:
    try:
        return _body(_record_at(stream, offset, url, decode=True))
    except OSError:  # servers and crawlers that mislabel what they chunked or compressed
        return _leniently_decoded(_record_at(stream, offset, url, decode=False))


def _record_at(stream: BinaryIO, offset: int, url: str, *, decode: bool) -> WarcRecord:
    stream.seek(offset)
    record = next(iter(_iterator(stream, decode=decode)), None)
    if record is None or _url(record) != url:
        raise ChangedInput("the record is not where it was when the file was indexed")
    return record


def _body(record: WarcRecord) -> bytes:
    body: bytes = record.reader.read(MAX_DECODED_BYTES + 1)
    if not body:
        raise CorruptRecord("the page's body does not decode, or is cut off")
    return _bounded(body)


def _bounded(body: bytes) -> bytes:
    if len(body) > MAX_DECODED_BYTES:
        raise CorruptRecord(f"the page unpacks to more than {MAX_DECODED_BYTES} bytes")
    return body


def _leniently_decoded(record: WarcRecord) -> bytes:
    body = _dechunked(_body(record))
    encoding = (record.http_headers.get("Content-Encoding") or "").lower()
    if encoding in ("gzip", "x-gzip", "deflate") and not body.lstrip().startswith(b"<"):
        unpacker = zlib.decompressobj(47 if "gzip" in encoding else -15)
        try:
            return _bounded(unpacker.decompress(body, MAX_DECODED_BYTES + 1))
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
