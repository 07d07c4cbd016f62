"""Public sets of questions about pictures, read as instructions.

A set is told by how it is written: conversations as LLaVA and InternVL have them, the two files of
VQA v2, problems as ScienceQA, multiple choice as A-OKVQA, questions and answers as ChartQA, DocVQA
and TextVQA, or any table whose columns are named. What cannot be used is counted by reason.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import pyarrow as pa
from pydantic import Field, model_validator

from operators.files import is_remote, open_input
from operators.qa_content import BadRow, instruction_of, text_of
from operators.qa_files import opened
from operators.qa_formats import FormatName, QaColumns, Reading, Record, records
from operators.sources import ChangedInput, Found, PooledPicture, Skipped, Source
from schemas.errors import InputError
from schemas.tables import PICTURES, Table

_ADDRESSES = ("http://", "https://", "s3://")
_HASHED = "sha256:"


@dataclass(frozen=True)
class Imported:
    """An instruction of a set: where its picture is (path, address, or `sha256:…`), its fields.

    `data` is the picture, where the set holds it.
    """

    image: str
    instruction: dict[str, Any]
    data: bytes | None = None


class QaSet(Source):
    """A public set of questions about pictures, in one of the common formats (docs/qa-sets.md)."""

    name = "qa_set"
    table: ClassVar[Table] = PICTURES

    source: str = Field(min_length=1, description="name of the set, told with its instructions")
    domain: str = Field(min_length=1, description="domain of its instructions")
    licence: str | None = Field(None, description="licence of the set, best as SPDX names it")
    format: FormatName | None = Field(None, description="how it is written; default: as it looks")
    images: str | None = Field(
        None, description="folder that its pictures' paths start in; default: that of the file"
    )
    image_name: str | None = Field(
        None, description="path of a picture by its number, as 'val/{image:012}.jpg'"
    )
    annotations: str | None = Field(
        None, description="vqa_v2: file of the answers; default: beside the questions by its name"
    )
    lang: Literal["en", "zh"] | None = Field(
        None, description="language of all of it; default: by the script of each question"
    )
    columns: QaColumns | None = Field(None, description="columns: where a table has what")

    @model_validator(mode="after")
    def _fits(self) -> QaSet:
        if self.source == "generated":
            raise ValueError("a set cannot be called 'generated': that is what is not of a set")
        if self.columns and self.format not in (None, "columns"):
            raise ValueError("'columns' is for format 'columns' alone")
        if self.format == "columns" and not self.columns:
            raise ValueError("format 'columns' needs 'columns', as {image: file, answer: label}")
        if self.image_name is not None:
            try:
                named = self.image_name.format(image=7) != self.image_name
            except (AttributeError, LookupError, ValueError) as error:
                raise ValueError(f"image_name cannot be filled: {error!r}") from None
            if not named:
                raise ValueError("image_name has no place for the number, as '{image:012}.jpg'")
        return self

    def rows(self) -> Iterator[Imported | Skipped]:
        """All rows of the set, in the order of its files: instructions, and what is left out.

        Raises:
            InputError: a file is missing, is none of the formats, or needs a field to be set.
        """
        for uri in self.inputs():
            yield from self._rows_of(uri)

    def index(self, uri: str) -> Iterator[Found]:
        """The pictures of a file in the order in which they come first, with their instructions.

        Those with an http address are fetched by the stage `fetch`; `licence` is the set's, of its
        pictures too.
        """
        given: dict[str, list[dict[str, Any]]] = {}
        for row in self._rows_of(uri):
            if isinstance(row, Skipped):
                yield row
            else:
                given.setdefault(row.image, []).append(row.instruction)
        for number, (image, instructions) in enumerate(given.items()):
            far = image.startswith(("http://", "https://"))
            yield PooledPicture(
                _address(image),
                "qa",
                None if far else uri,
                image,
                source_record=number,
                image_keyword=self.domain,
                image_licence=self.licence,
                given_instructions=instructions,
            )

    def read(self, uri: str, rows: pa.Table) -> Iterator[bytes | Exception]:
        """The pictures' bytes: files, or what the set itself holds."""
        wanted = rows["source_file"].to_pylist()
        inside = {image for image in wanted if image.startswith(_HASHED)}
        held = dict(self._held(uri, inside)) if inside else {}
        for image in wanted:
            if image in inside:
                yield held.get(image) or ChangedInput("the set does not hold the picture any more")
                continue
            try:
                with open_input(image) as stream:
                    yield stream.read()
            except (OSError, InputError) as error:
                yield error

    def _held(self, uri: str, wanted: set[str]) -> Iterator[tuple[str, bytes]]:
        for row in self._rows_of(uri):
            if isinstance(row, Imported) and row.image in wanted and row.data is not None:
                yield row.image, row.data

    def _rows_of(self, uri: str) -> Iterator[Imported | Skipped]:
        reading = Reading(opened(uri), self.format, self.images, self.annotations, self.columns)
        for record in records(reading):
            try:
                if isinstance(record, BadRow):
                    raise record
                yield self._imported(record)
            except BadRow as bad:
                yield Skipped(str(bad))

    def _imported(self, record: Record) -> Imported:
        question = record.question()
        place, key, data = self._image(record)
        fields = instruction_of(question, key, self.lang, self.domain, self.source, self.licence)
        return Imported(place, fields, data)

    def _image(self, record: Record) -> tuple[str, str, bytes | None]:
        """Where the picture is, what stands for it in ids wherever the set lies, and its bytes.

        Raises:
            BadRow: there is none, there are several, or it is not in the folder.
            InputError: pictures are numbers, and nothing says how their files are called.
        """
        found = record.image
        if isinstance(found, list | tuple):
            if len(found) > 1:
                raise BadRow("several images")
            found = found[0] if found else None
        if isinstance(found, Mapping):
            found = found.get("bytes") or found.get("path")
        if isinstance(found, str) and found.startswith("data:"):
            found = _inline(found)
        if isinstance(found, bytes):
            sha256 = hashlib.sha256(found).hexdigest()
            return f"{_HASHED}{sha256}", sha256, found
        if found is None or found == "":
            raise BadRow("no image")
        if not isinstance(found, str | int) or isinstance(found, bool):
            raise BadRow("the image is no path, number or bytes")
        name = self._named(found, self.image_name or record.image_name)
        if name.startswith(_ADDRESSES):
            return name, name, None
        return _inside(record.root, name), f"{self.source}/{name}", None

    def _named(self, image: str | int, template: str | None) -> str:
        """The path of a picture by what a row calls it."""
        if template is None and isinstance(image, str):
            return text_of(image)
        if template is None:
            raise InputError(
                f"{self.path}: pictures are numbers ({image})\n"
                "    fix: set image_name, as 'train2017/{image:012}.jpg'"
            )
        if isinstance(image, str) and image.isdecimal() and "{image:" in template:
            image = int(image)
        try:
            return text_of(template.format(image=image))
        except (AttributeError, LookupError, ValueError):
            raise BadRow("the image's number does not fit image_name") from None


def _inline(address: str) -> bytes:
    """The bytes that a data address holds.

    Raises:
        BadRow: it holds none.
    """
    head, _, data = address.partition(",")
    try:
        found = base64.b64decode(data, validate=True) if head.endswith(";base64") else b""
    except ValueError:
        found = b""
    if not found:
        raise BadRow("the image's data address holds no bytes")
    return found


def _address(image: str) -> str:
    """What stands for a picture: its address, or that of its file."""
    if image.startswith((*_ADDRESSES, _HASHED)):
        return image
    return Path(image).absolute().as_uri()


def _inside(root: str, name: str) -> str:
    """The path of a picture below `root`.

    Raises:
        BadRow: it leads out of the folder, or there is no such file in a local one.
    """
    if "://" in name:
        raise BadRow("the image's address is of another kind than http, s3 and data")
    if is_remote(root):
        if name.startswith("/") or ".." in name.split("/"):
            raise BadRow("the image is outside the folder of images")
        return f"{root.rstrip('/')}/{name}"
    folder = Path(root).expanduser()
    path = folder / name
    if ".." in Path(name).parts or not path.is_relative_to(folder):
        raise BadRow("the image is outside the folder of images")
    try:
        there = path.is_file()
    except (OSError, ValueError):  # a name too long, or with a zero byte
        there = False
    if not there:
        raise BadRow("there is no file of the image")
    return str(path)
