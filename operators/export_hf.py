"""Export for Hugging Face datasets, with decoded images."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, ClassVar

import pyarrow as pa

from operators.export_documents import Document, Image, ImageFiles, merged
from operators.export_format import Format, ParquetRows, Row, count_parquet

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_STRING = {"dtype": "string", "_type": "Value"}
_FEATURES = {
    "id": _STRING,
    "url": _STRING,
    "images": {"feature": {"_type": "Image"}, "_type": "List"},
    "image_urls": {"feature": _STRING, "_type": "List"},
    "alt_texts": {"feature": _STRING, "_type": "List"},
    "texts": {"feature": _STRING, "_type": "List"},
}
HF = pa.schema(
    [
        ("id", pa.string()),
        ("url", pa.string()),
        ("images", pa.list_(IMAGE)),
        ("image_urls", pa.list_(pa.string())),
        ("alt_texts", pa.list_(pa.string())),
        ("texts", pa.list_(pa.string())),
    ],
    {"huggingface": json.dumps({"info": {"features": _FEATURES}})},
)


class HfFormat(Format):
    """A folder that `datasets.load_dataset` reads, images as decoded pictures.

    Parallel lists as in OBELICS: `images`, `image_urls` and `alt_texts` are null where `texts` has
    a text, and the other way round.
    """

    name = "hf"
    meaning = "Parquet with images inside, as datasets.load_dataset decodes them"
    consumer = "datasets"
    variants: ClassVar = {"parquet": "parquet"}
    images = ("embedded",)
    reads = ("doc_id", "url", "nodes")

    def count(self, file: BinaryIO) -> int:
        return count_parquet(file)

    def writer(self, path: Path, name: str, images: ImageFiles) -> ParquetRows:
        return ParquetRows(path, self.spec, HF, hf_rows)


def hf_rows(document: Document) -> Iterator[Row]:
    """A row for a document with content."""
    parts = list(merged(document.parts))
    if not parts:
        return
    images = [part if isinstance(part, Image) else None for part in parts]
    yield {
        "id": document.values["doc_id"],
        "url": document.values["url"],
        "images": [image and hf_image(image) for image in images],
        "image_urls": [image and image.url for image in images],
        "alt_texts": [image and image.alt for image in images],
        "texts": [None if isinstance(part, Image) else part for part in parts],
    }


def hf_image(image: Image) -> Row:
    """An image as the feature `Image` stores it; the path only gives its name."""
    return {"bytes": image.data, "path": image.by_content.rpartition("/")[2]}
