"""Exports in the schema of MMC4 (arXiv 2304.06939): texts, and images assigned to them."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

from operators.assignment import Row as Similarities
from operators.export_documents import Document, Image, ImageFiles, harmless
from operators.export_format import Format, JsonLines, Row, count_lines

_LCL_GAPS = frozenset(
    (3218, 3267, 5064, 5146, 7119, 8991, 9750, 11899, 15127, 15252, 16996, 17369, 17499, 17818)
)
"""Numbers of shards that MMC4 lacks, which LCL's loader passes over."""
_UNKNOWN = -1.0
"""In place of a similarity that is not known: the least that there is."""


class Mmc4Format(Format):
    """The schema of MMC4: `text_list`, `image_info`, `similarity_matrix`, a document a line.

    Each image is assigned to a text by similarity; images without one are left out, and documents
    without images or texts. Variant `lcl` has the file names that LCL's loader wants.
    """

    name = "mmc4"
    meaning = "JSON lines in the schema of MMC4, images assigned to texts"
    consumer = "MM-Interleaved, LCL, MMC4 readers"
    variants: ClassVar = {"jsonl.zip": "jsonl.zip", "jsonl": "jsonl", "lcl": "jsonl.zip"}
    images = ("urls", "embedded", "beside")
    orders = ("retrieval",)
    reads = ("url", "nodes", "clip_similarity")
    takes = ("url_cluster_size",)

    def shard_name(self, index: int, count: int) -> str:
        if self.spec.variant != "lcl":
            return super().shard_name(index, count)
        return f"data/docs_shard_{lcl_number(index)}_v2.jsonl.zip"

    def count(self, file: BinaryIO) -> int:
        return count_lines(file, self.ending)

    def writer(self, path: Path, name: str, images: ImageFiles) -> JsonLines:
        def rows(document: Document) -> Iterator[Row]:
            for row in mmc4_rows(document):
                for image, info in zip(matched_images(document), row["image_info"], strict=True):
                    info |= self._bytes(image, images)
                yield row

        return JsonLines(path, name, self.spec, rows)

    def _bytes(self, image: Image, images: ImageFiles) -> dict[str, Any]:
        """What an image's entry says about its bytes."""
        if self.spec.images == "beside":
            self.image_file(image, images)
            return {"image_name": image.by_content}
        return with_base64(image) if self.spec.images == "embedded" else {}


def lcl_number(index: int) -> int:
    """The number of shard `index` in LCL's names, which pass over MMC4's gaps."""
    for gap in sorted(_LCL_GAPS):
        index += index >= gap
    return index


def matched_images(document: Document) -> list[Image]:
    """The images that are assigned to a text, in the order of their texts."""
    return [image for image in document.images if image.match is not None]


def with_base64(image: Image) -> dict[str, Any]:
    """An image's bytes as text, and a name that tells its content."""
    data = base64.b64encode(image.data).decode()
    return {"image_name": image.by_content, "image_base64": data}


def mmc4_rows(document: Document) -> Iterator[Row]:
    """A row for a document with an image that is assigned to a text.

    Images are in the order of their texts, as loaders take for granted that put the n-th image at
    the n-th mark in the text. `image_name` is the SHA-256 of the address.
    """
    images = matched_images(document)
    matrix = [_known(image.similarity or ()) for image in images]
    infos = [
        {
            "image_name": image.by_url,
            "raw_url": image.url,
            "matched_text_index": image.match,
            "matched_sim": similarities[image.match or 0],
            "face_detections": None,
        }
        for image, similarities in zip(images, matrix, strict=True)
    ]
    if infos:
        yield {
            "url": document.values["url"],
            "text_list": [harmless(text.text) for text in document.texts],
            "image_info": infos,
            "similarity_matrix": matrix,
            "could_have_url_duplicate": int((document.values.get("url_cluster_size") or 1) > 1),
        }


def _known(similarities: Similarities) -> list[float]:
    return [_UNKNOWN if s is None or math.isnan(s) else float(s) for s in similarities]
