"""Where pictures to ask about come from: folders of images, and lists of what a search found.

Pictures of a corpus, with the text around them, come from `pipelines/corpus_pictures.py`.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, cast
from urllib.parse import quote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from operators.files import open_input
from operators.sources import (
    ChangedInput,
    FolderSource,
    Found,
    PooledPicture,
    Skipped,
    Source,
    digest_of,
    json_rows,
)
from schemas.errors import InputError
from schemas.tables import PICTURES, Table

_LISTING = "metadata.jsonl"
_LONGEST_FIELD = 16 << 20  # characters of a CSV field: page texts are long
_TOLD = {
    "page_url": "page_url",
    "page_title": "title",
    "page_text": "text",
    "image_alt": "alt",
    "image_caption": "caption",
    "image_keyword": "keyword",
    "image_licence": "licence",
}
"""What may be known of a picture, and what it is called beside the picture and in lists."""
Told = dict[str, Any]
"""What is known of one, by the names of our columns."""


class PictureFolder(FolderSource):
    """A folder of image files, searched recursively.

    What is known of `a/b.jpg` may stand beside it: a caption in `a/b.txt`, or in `a/b.json` an
    object with any of page_url, title, text, alt, caption, keyword and licence. A file
    `metadata.jsonl` at the top may tell the same a line, with `file_name`.
    """

    name = "pictures"
    table: ClassVar[Table] = PICTURES
    endings = frozenset(
        {".jpg", ".jpeg", ".png", ".gif", ".webp", ".avif", ".bmp", ".tif", ".tiff"}
    )
    beside = frozenset({".txt", ".json", ".jsonl"})
    base_url: str | None = Field(  # type: ignore[assignment]  # two folders are two addresses
        None, description="address that the folder stands for; default: where it is"
    )
    licence: str | None = Field(None, description="licence of pictures that do not tell theirs")
    keyword: str | None = Field(None, description="what the pictures show, where they do not tell")

    def index(self, uri: str) -> Iterator[Found]:
        """Every picture that is not empty, with what the folder's list tells of it."""
        told = _listed(Path(uri) / _LISTING)
        for found in super().index(uri):
            if isinstance(found, PooledPicture) and found.source_file in told:
                yield replace(found, **told[found.source_file])
            else:
                yield found

    def address(self, name: str) -> str:
        """The address of a picture: no two folders share one."""
        base = self.base_url or Path(self.path).absolute().as_uri()
        return f"{base.rstrip('/')}/{quote(name)}"

    def found(self, uri: str, path: Path, name: str, ordinal: int, body: bytes) -> Found:
        """A picture, with what the files beside it tell of it."""
        known: Told = {"image_keyword": self.keyword, "image_licence": self.licence} | _beside(path)
        return PooledPicture(
            self.address(name), "folder", uri, name, 0, ordinal, digest_of(body), **known
        )


def _listed(path: Path) -> dict[str, Told]:
    """What the folder's list tells of each file."""
    if not path.is_file():
        return {}
    rows = [row for row in json_rows(str(path)) if isinstance(row, dict)]
    return {str(row["file_name"]): _told(row) for row in rows if "file_name" in row}


def _beside(path: Path) -> Told:
    """What the files beside a picture tell of it.

    Raises:
        InputError: the JSON file is none.
    """
    text, data = path.with_suffix(".txt"), path.with_suffix(".json")
    found: Told = {}
    if text.is_file():
        found["image_caption"] = text.read_text(encoding="utf-8", errors="replace").strip()
    if data.is_file():
        try:
            row = json.loads(data.read_bytes())
        except ValueError as error:
            raise InputError(f"{data} is not JSON: {error}") from None
        found |= _told(row) if isinstance(row, dict) else {}
    return found


def _told(row: dict[str, Any], fields: dict[str, str] = _TOLD) -> Told:
    """What a row tells of its picture."""
    pairs = ((ours, row.get(theirs)) for ours, theirs in fields.items())
    return {ours: str(value) for ours, value in pairs if value not in (None, "")}


class SearchResults(Source):
    """What a search for images found: JSON lines, CSV or Parquet, a picture a row.

    A row has the image's address; the picture is fetched by the stage `fetch`, which respects
    robots.txt and opt-outs.
    """

    name = "search"
    table: ClassVar[Table] = PICTURES
    address: str = Field("image_url", description="column of the image's address")
    fields: dict[str, str] = Field(
        default_factory=dict,
        description="columns under other names: {title: bing_tag, keyword: retrieval_keyword}; "
        "known are " + ", ".join(_TOLD.values()),
    )
    licence: str | None = Field(None, description="licence of pictures that do not tell theirs")

    def index(self, uri: str) -> Iterator[Found]:
        """Every row with an address that can be fetched, each address once."""
        names = {ours: self.fields.get(theirs, theirs) for ours, theirs in _TOLD.items()}
        seen: set[str] = set()
        for ordinal, row in enumerate(_table_rows(uri, self.address)):
            if isinstance(row, Skipped):
                yield row
                continue
            url = str(row.get(self.address) or "")
            if not _fetchable(url):
                yield Skipped("row without an http address")
            elif url in seen:
                yield Skipped("address listed before")
            else:
                seen.add(url)
                known: Told = {"image_licence": self.licence} | _told(row, names)
                file = Path(uri).name
                yield PooledPicture(url, "search", source_file=file, source_record=ordinal, **known)

    def read(self, uri: str, rows: pa.Table) -> Iterator[bytes | Exception]:
        """Nothing: a list holds no bytes."""
        yield from (ChangedInput("a list of search results holds no bytes") for _ in rows["url"])


def _fetchable(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and url.isprintable()


def _table_rows(uri: str, address: str) -> Iterator[dict[str, Any] | Skipped]:
    """The rows of a list.

    Raises:
        InputError: it has no column of addresses, or is damaged.
    """
    rows = _rows_of(uri)
    first = next(rows, None)
    if isinstance(first, dict) and address not in first:
        known = ", ".join(first)
        raise InputError(f"{uri} has no column '{address}' (it has: {known}); name it in 'address'")
    if first is not None:
        yield first
    yield from rows


def _rows_of(uri: str) -> Iterator[dict[str, Any] | Skipped]:
    if uri.endswith((".jsonl", ".jsonl.gz", ".json")):
        yield from json_rows(uri)
        return
    with open_input(uri) as stream:
        if uri.endswith(".parquet"):
            try:
                for batch in pq.ParquetFile(stream).iter_batches(256):
                    yield from batch.to_pylist()
            except (pa.ArrowInvalid, OSError) as error:
                raise InputError(f"{uri} cannot be read: {error}") from None
        else:
            lines = io.TextIOWrapper(cast("Any", stream), "utf-8-sig", errors="replace", newline="")
            csv.field_size_limit(_LONGEST_FIELD)
            try:
                yield from cast("Iterable[dict[str, Any]]", csv.DictReader(lines, restkey=""))
            except csv.Error as error:
                raise InputError(f"{uri} cannot be read as CSV: {error}") from None
