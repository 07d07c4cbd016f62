"""Export in the schema of OBELICS (arXiv 2306.16527)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, ClassVar
from urllib.parse import unquote, urlsplit

import pyarrow as pa

from operators.export_documents import Document, Image, ImageFiles, merged
from operators.export_format import (
    Format,
    JsonLines,
    ParquetRows,
    Row,
    ShardWriter,
    count_lines,
    count_parquet,
    to_json,
)

OBELICS = pa.schema(
    [
        ("images", pa.list_(pa.string())),
        ("metadata", pa.string()),
        ("general_metadata", pa.string()),
        ("texts", pa.list_(pa.string())),
    ]
)


class ObelicsFormat(Format):
    """The schema of OBELICS: parallel `images` and `texts`, texts in a row joined by blank lines.

    `metadata` and `general_metadata` are JSON strings. With image files beside it, `file` in an
    image's metadata says where.
    """

    name = "obelics"
    meaning = "Parquet or JSON lines in the schema of OBELICS"
    consumer = "OBELICS and Idefics readers, datasets"
    variants: ClassVar = {"parquet": "parquet", "jsonl": "jsonl"}
    images = ("urls", "beside")
    reads = ("url", "source_file", "source_offset", "nodes")
    takes = ("image_width", "image_height", "image_format")

    def count(self, file: BinaryIO) -> int:
        return count_lines(file, "jsonl") if self.ending == "jsonl" else count_parquet(file)

    def writer(self, path: Path, name: str, images: ImageFiles) -> ShardWriter:
        def rows(document: Document) -> Iterator[Row]:
            if document.parts:
                files = [
                    self.image_file(image, images) if self.spec.images == "beside" else None
                    for image in document.images
                ]
                yield obelics_row(document, files)

        if self.ending == "jsonl":
            return JsonLines(path, name, self.spec, rows)
        return ParquetRows(path, self.spec, OBELICS, rows)


def obelics_row(document: Document, files: list[str | None]) -> Row:
    """A document in OBELICS's terms; `files` are those of its images, None where there are none."""
    parts = list(merged(document.parts))
    values, paths = document.values, iter(files)
    metadata = [
        _metadata(part, values["url"], next(paths)) if isinstance(part, Image) else None
        for part in parts
    ]
    general = {
        "url": values["url"],
        "warc_filename": values["source_file"],
        "warc_record_offset": values["source_offset"],
        "warc_record_length": None,
    }
    return {
        "images": [part.url if isinstance(part, Image) else None for part in parts],
        "metadata": to_json(metadata),
        "general_metadata": to_json(general),
        "texts": [None if isinstance(part, Image) else part for part in parts],
    }


def _metadata(image: Image, page: str, file: str | None) -> dict[str, Any]:
    found = {
        "document_url": page,
        "unformatted_src": image.url,
        "src": image.url,
        "formatted_filename": _words_of_name(image.url),
        "alt_text": image.alt,
        "rendered_width": image.width,
        "rendered_height": image.height,
        "original_width": image.values.get("image_width"),
        "original_height": image.values.get("image_height"),
        "format": image.values.get("image_format"),
    }
    return found | ({"file": file} if file else {})


def _words_of_name(url: str) -> str:
    """The words of the file's name: `a/red-kite_2.jpg` as `red kite 2`."""
    try:
        name = unquote(urlsplit(url).path).rpartition("/")[2]
    except ValueError:
        return ""
    return " ".join(re.findall(r"\w+", re.sub(r"\.\w{1,5}$", "", name).replace("_", " ")))
