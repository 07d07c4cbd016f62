"""Export of image-text pairs: each image with the text that says most about it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import pyarrow as pa

from operators.export_documents import Document, Image, ImageFiles, Text
from operators.export_format import (
    Format,
    JsonLines,
    ParquetRows,
    Row,
    ShardWriter,
    count_lines,
    count_parquet,
)
from operators.export_hf import IMAGE, hf_image
from schemas.job import ExportSpec

_TOLD = pa.schema(
    [
        ("caption", pa.string()),
        ("reason", pa.string()),
        ("similarity", pa.float32()),
        ("image_url", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("id", pa.string()),
        ("url", pa.string()),
    ]
)
_VALUE_TYPES = {"float": "float32"}


@dataclass(frozen=True)
class Pair:
    """An image, its text, where the text comes from, and the similarity where it was measured."""

    image: Image
    caption: str
    reason: str
    similarity: float | None


class PairsFormat(Format):
    """Pairs of an image and a text: `image`, `caption` and the `reason` for the pair, a line each.

    `captions` says where texts come from, best first: `caption` the image's caption, `alt` its
    alternative text, `similarity` the text that it resembles most, if by `min_similarity` at least,
    `adjacent` the text after or else before it. An image without any of them is left out.
    """

    name = "pairs"
    meaning = "pairs of image and text, each with its reason"
    consumer = "MM-Interleaved, CLIP trainers, datasets"
    variants: ClassVar = {"jsonl": "jsonl", "parquet": "parquet"}
    images = ("urls", "embedded", "beside")
    orders = ("natural",)
    options = ("captions", "min_similarity")
    reads = ("doc_id", "url", "nodes")
    takes = ("image_width", "image_height", "clip_similarity")

    def needs(self) -> dict[str, str]:
        found = super().needs()
        if "similarity" in self.spec.captions:
            found["clip_similarity"] = "captions"
        return found

    def count(self, file: BinaryIO) -> int:
        return count_lines(file, "jsonl") if self.ending == "jsonl" else count_parquet(file)

    def writer(self, path: Path, name: str, images: ImageFiles) -> ShardWriter:
        def rows(document: Document) -> Iterator[Row]:
            for pair in pairs(document, self.spec):
                yield self._row(pair, document, images)

        if self.ending == "jsonl":
            return JsonLines(path, name, self.spec, rows)
        return ParquetRows(path, self.spec, self._schema(), rows)

    def _schema(self) -> pa.Schema:
        """With the image as an address, a path, or as `datasets` decodes it."""
        if self.spec.images != "embedded":
            return pa.schema([("image", pa.string()), *_TOLD])
        features = {
            field.name: {
                "dtype": _VALUE_TYPES.get(str(field.type), str(field.type)),
                "_type": "Value",
            }
            for field in _TOLD
        }
        info = {"info": {"features": {"image": {"_type": "Image"}} | features}}
        return pa.schema([("image", IMAGE), *_TOLD], {"huggingface": json.dumps(info)})

    def _row(self, pair: Pair, document: Document, images: ImageFiles) -> Row:
        image = pair.image
        return self._image(image, images) | {
            "caption": pair.caption,
            "reason": pair.reason,
            "similarity": pair.similarity,
            "image_url": image.url,
            "width": image.values.get("image_width"),
            "height": image.values.get("image_height"),
            "id": document.values["doc_id"],
            "url": document.values["url"],
        }

    def _image(self, image: Image, images: ImageFiles) -> dict[str, Any]:
        if self.spec.images == "urls":
            return {"image": image.url}
        if self.spec.images == "beside":
            return {"image": self.image_file(image, images)}
        if self.ending == "parquet":
            return {"image": hf_image(image)}
        return {
            "image": image.by_content,
            "image_base64": base64.b64encode(image.data).decode(),
        }


def pairs(document: Document, spec: ExportSpec) -> Iterator[Pair]:
    """The document's pairs, in reading order: at most one an image."""
    for place, part in enumerate(document.parts):
        if isinstance(part, Image):
            pair = _pair(document, place, part, spec)
            if pair is not None:
                yield pair


def _pair(document: Document, place: int, image: Image, spec: ExportSpec) -> Pair | None:
    texts = document.texts
    known = {n: s for n, s in enumerate(image.similarity or ()) if s is not None}
    best = max(known, key=lambda number: known[number], default=None)
    numbers = {
        "caption": _caption(document, place),
        "similarity": None if best is None or known[best] < spec.min_similarity else best,
        "adjacent": _adjacent(document, place),
    }
    for reason in spec.captions:
        if reason == "alt":
            alt = (image.alt or "").strip()
            if alt:
                return Pair(image, alt, reason, None)
            continue
        number = numbers[reason]
        if number is not None:
            return Pair(image, texts[number].text, reason, known.get(number))
    return None


def _number(document: Document, place: int) -> int:
    """Which of the document's texts the one at `place` is."""
    return sum(isinstance(part, Text) for part in document.parts[:place])


def _kind(document: Document, place: int) -> str | None:
    """The kind of the text at a place; None where there is no text."""
    if not 0 <= place < len(document.parts):
        return None
    part = document.parts[place]
    return part.kind if isinstance(part, Text) else None


def _caption(document: Document, place: int) -> int | None:
    """The caption right after the image, or right before unless it follows another image."""
    if _kind(document, place + 1) == "caption":
        return _number(document, place + 1)
    follows_image = place >= 2 and isinstance(document.parts[place - 2], Image)
    if _kind(document, place - 1) == "caption" and not follows_image:
        return _number(document, place - 1)
    return None


def _adjacent(document: Document, place: int) -> int | None:
    """The text after the image, else the one before it; no headings, which speak of more."""
    for at in (place + 1, place - 1):
        if _kind(document, at) not in (None, "heading"):
            return _number(document, at)
    return None
