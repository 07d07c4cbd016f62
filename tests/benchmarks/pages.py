"""Pages to measure on: the bundled sample's, repeated under distinct addresses.

With `PAGES=folder` in the environment, the HTML files found below that folder take their place.
Archives are written with plain Python, one gzip member a record, as crawlers write them.
"""

from __future__ import annotations

import gzip
import itertools
import os
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pyarrow as pa

from operators.sources import Page
from operators.warc import WarcSource
from schemas.tables import DOCUMENTS
from tests.support import SAMPLE

DATE = datetime(2026, 1, 1, tzinfo=UTC)
_ENDINGS = {".html", ".htm", ".xhtml"}


@dataclass(frozen=True)
class Capture:
    """A page as a server sent it."""

    url: str
    html: bytes
    charset: str | None = None


def origin() -> str:
    """Where the pages come from, in words."""
    folder = os.environ.get("PAGES")
    return "HTML files of a folder" if folder else "the bundled sample's pages"


@cache
def distinct_pages() -> tuple[Capture, ...]:
    """All different pages there are, in a fixed order."""
    folder = os.environ.get("PAGES")
    found = tuple(_folder_pages(Path(folder)) if folder else _sample_pages())
    if not found:
        raise SystemExit(f"no page below {folder or SAMPLE}")
    return found


def _folder_pages(folder: Path) -> Iterator[Capture]:
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in _ENDINGS):
        body = path.read_bytes()
        if body:
            yield Capture(f"https://pages.example/{path.relative_to(folder).as_posix()}", body)


def _sample_pages() -> Iterator[Capture]:
    source = WarcSource(path=str(SAMPLE / "*.warc.gz"))
    for uri in source.inputs():
        pages = [asdict(page) for page in source.index(uri) if isinstance(page, Page)]
        rows = pa.Table.from_pylist(pages, schema=DOCUMENTS.born)
        bodies = source.payload(uri, rows)["html"].to_pylist()
        for page, body in zip(pages, bodies, strict=True):
            if body:
                yield Capture(page["url"], body, page["http_charset"])


def repeated(count: int, *, smaller_half: bool = False) -> Iterator[Capture]:
    """`count` pages under distinct addresses, going round over the different ones."""
    pages = list(distinct_pages())
    if smaller_half:
        pages = sorted(pages, key=lambda page: len(page.html))[: max(1, len(pages) // 2)]
    for number in range(count):
        lap, page = number // len(pages), pages[number % len(pages)]
        mark = "&" if "?" in page.url else "?"
        yield replace(page, url=f"{page.url}{mark}lap={lap}") if lap else page


def write_archives(
    folder: Path, count: int, per_file: int, *, smaller_half: bool = False
) -> list[Path]:
    """Archives of `per_file` pages each in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = repeated(count, smaller_half=smaller_half)
    written: list[Path] = []
    while batch := list(itertools.islice(pages, per_file)):
        path = folder / f"pages-{len(written):04d}.warc.gz"
        with path.open("wb") as stream:
            for page in batch:
                stream.write(gzip.compress(_record(page), 6, mtime=0))
        written.append(path)
    return written


def _record(page: Capture) -> bytes:
    charset = f"; charset={page.charset}" if page.charset else ""
    head = [
        "HTTP/1.1 200 OK",
        f"Content-Type: text/html{charset}",
        f"Content-Length: {len(page.html)}",
    ]
    block = "\r\n".join([*head, "", ""]).encode() + page.html
    fields = [
        "WARC/1.0",
        "WARC-Type: response",
        f"WARC-Target-URI: {page.url}",
        f"WARC-Date: {DATE:%Y-%m-%dT%H:%M:%SZ}",
        f"WARC-Record-ID: <urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, page.url)}>",
        "Content-Type: application/http; msgtype=response",
        f"Content-Length: {len(block)}",
    ]
    return "\r\n".join([*fields, "", ""]).encode() + block + b"\r\n\r\n"
