"""Gold pages: web pages with what an extractor should find in them.

A folder holds one file a set, `NAME.jsonl`, which may be packed (.xz, .gz, .zst); a line is a page.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import io
import json
import lzma
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from json import JSONDecodeError
from typing import IO, Any, cast

import pyarrow as pa
from pydantic import (
    BaseModel,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from operators.files import Files
from pipelines.jobfile import dotted
from pipelines.scores import file_name
from schemas.errors import GoldError, InputError, Problem, did_you_mean

_SUFFIX = ".jsonl"
_PACKINGS = ("", ".xz", ".gz", ".zst")
_PARTIAL_TEXT = ("text-prefix", "image-only")
_LONGEST = 60
_ADVICE = {
    "bytes_type": ("not a text", "give a text in quotes"),
    "list_type": ("not a list", "give a list: [...]"),
    "model_type": ("not a page", "write one JSON object a line"),
    "string_type": ("not a text", "give a text in quotes"),
    "too_short": ("empty", "give at least one address"),
}


def _wrong(message: str, fix: str) -> PydanticCustomError:
    return PydanticCustomError("gold", "{message}", {"message": message, "fix": fix})


class GoldImage(BaseModel):
    """An image of the page's content: the addresses of all its sizes."""

    urls: list[str] = Field(min_length=1, description="the addresses of all sizes of the image")

    @model_validator(mode="before")
    @classmethod
    def _address(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"urls": [value]}
        if not isinstance(value, dict):
            raise _wrong("not an image", "give an address, or {urls: [addresses]}")
        return value

    @property
    def names(self) -> frozenset[str]:
        """The file names that are this image."""
        return frozenset(map(file_name, self.urls))


class GoldPage(BaseModel):
    """One page, and what is known of its content. Fields that are not named here are ignored."""

    id: str = Field(description="a name of the page")
    kind: str = "text"
    url: str | None = None
    lang: str | None = None
    page_type: str | None = None
    group: str | None = Field(None, description="the registered domain, for splits by site")
    html: str | None = None
    html_base64: bytes | None = Field(None, validate_default=True)
    text: str | None = None
    wanted: list[str | None] | None = Field(None, alias="with")
    unwanted: list[str | None] | None = Field(None, alias="without")
    images: list[GoldImage] | None = None
    sequence: list[list[str | None]] | None = None

    @field_validator("id", "html", "lang", "page_type", "group")
    @classmethod
    def _unicode(cls, value: str | None) -> str | None:
        try:
            (value or "").encode()
        except UnicodeEncodeError:
            raise _wrong("holds half of a surrogate pair", "leave it out") from None
        return value

    @field_validator("html_base64", mode="before")
    @classmethod
    def _bytes(cls, value: Any, info: ValidationInfo) -> Any:
        if "html" in info.data and (value is None) == (info.data["html"] is None):
            raise _wrong("a page has either html or html_base64", "give exactly one of the two")
        try:
            return base64.b64decode(value, validate=True) if isinstance(value, str) else value
        except binascii.Error:
            raise _wrong("not base64", "encode the page's bytes, or give them as html") from None

    @property
    def payload(self) -> bytes:
        """The page's bytes."""
        return (self.html or "").encode() if self.html_base64 is None else self.html_base64

    @property
    def full_text(self) -> str | None:
        """The text of the page's content; None where the gold has no text, or not all of it."""
        return self.text or None if self.kind not in _PARTIAL_TEXT else None


@dataclass(frozen=True)
class GoldSet:
    """A file of gold pages."""

    name: str
    files: Files
    path: str
    size: int

    def pages(self, limit: int | None = None) -> Iterator[GoldPage]:
        """The pages in file order, at most `limit`.

        Raises:
            GoldError: a page is not as it should be.
        """
        for found in self._read(limit):
            if isinstance(found, Problem):
                raise GoldError([found])
            yield found

    def check(self, limit: int | None = None) -> tuple[int, list[Problem]]:
        """How many pages are good, and what is wrong with the others."""
        pages, problems = 0, []
        for found in self._read(limit):
            if isinstance(found, Problem):
                problems.append(found)
            else:
                pages += 1
        return pages, problems

    def _read(self, limit: int | None) -> Iterator[GoldPage | Problem]:
        place, number = self.files.uri(self.path), 0
        try:
            with self._open() as stream:
                for number, line in enumerate(islice(stream, limit), start=1):
                    yield from _parsed(line, place, number)
        except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
            fix = "write or fetch the file again"
            yield Problem("file", f"cannot be read on: {error}", fix, None, place, number + 1)

    def _open(self) -> IO[bytes]:
        stream = self.files.open(self.path)
        match self.path.rpartition(".")[2]:
            case "xz":
                return lzma.open(stream)
            case "gz":
                return cast("IO[bytes]", gzip.open(stream))
            case "zst":
                return io.BufferedReader(pa.CompressedInputStream(stream, "zstd"))
            case _:
                return io.BufferedReader(stream)


def _parsed(line: bytes, place: str, number: int) -> Iterator[GoldPage | Problem]:
    """The page in a line, or all that is wrong with the line."""
    try:
        yield GoldPage.model_validate(json.loads(line))
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            yield _problem(dict(detail), place, number)
    except (ValueError, RecursionError) as error:
        said = str(error)
        if isinstance(error, JSONDecodeError):
            said = f"{error.msg.removesuffix(' at')} in column {error.colno}"
        shown = _cut(repr(line.decode("utf-8", "replace").rstrip()))
        fix = "write one JSON object a line, in UTF-8"
        yield Problem("page", f"not JSON: {said}", fix, shown, place, number)


def _problem(detail: dict[str, Any], place: str, number: int) -> Problem:
    field, value = dotted(detail["loc"]) or "page", detail["input"]
    if detail["type"] == "missing":
        return Problem(field, "is missing", f"add it: {_meaning(field)}", None, place, number)
    known = (detail["msg"], (detail.get("ctx") or {}).get("fix") or "see docs/evaluation.md")
    message, fix = _ADVICE.get(detail["type"], known)
    shown = None if value is None else _cut(repr(value))
    return Problem(field, message, fix, shown, place, number)


def _meaning(field: str) -> str:
    name = field.rpartition(".")[2]
    known = GoldPage.model_fields.get(name) or GoldImage.model_fields[name]
    return known.description or name


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def find_sets(folder: str, names: Sequence[str] = ()) -> list[GoldSet]:
    """The sets of a folder, by name; only those in `names` where it names any.

    Raises:
        InputError: there are none, a set is there twice, or one of `names` is missing.
    """
    files = Files(folder)
    found: dict[str, GoldSet] = {}
    for info in files.list():
        name, suffix, packing = info.path.rpartition(_SUFFIX)
        if not suffix or packing not in _PACKINGS or "/" in name:
            continue
        if name in found:
            both = f"{found[name].path} and {info.path}"
            raise InputError(f"{folder}: set '{name}' is there twice: {both}\n    fix: remove one")
        found[name] = GoldSet(name, files, info.path, info.size)
    if not found:
        raise InputError(f"{folder}: no gold\n    fix: name a folder with files NAME.jsonl[.xz]")
    for name in names:
        if name not in found:
            raise InputError(f"{folder}: no set '{name}'; {did_you_mean(name, found)}")
    return [found[name] for name in sorted(found, key=str.casefold) if not names or name in names]
