"""Exports for LLaVA and for the loaders of OmniCorpus's LLaVA."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

from operators.export_conversations import conversation, turns
from operators.export_documents import Document, Image, ImageFiles, harmless, merged
from operators.export_format import (
    IMAGE_FOLDER,
    Format,
    JsonLines,
    JsonList,
    Row,
    count_lines,
)
from operators.export_mmc4 import matched_images, mmc4_rows


class LlavaFormat(Format):
    """LLaVA's files: documents for OmniCorpus's loaders, or conversations.

    `obelisc` and `new_mmc4` are the names of those loaders; `length.json` and
    `shard_id_range.json` make a folder of shards one dataset. `conversations` is LLaVA's own list.
    Image files are named by the SHA-256 of the address. Documents without images are left out.
    """

    name = "llava"
    meaning = "documents for OmniCorpus's LLaVA, or LLaVA's conversations"
    consumer = "LLaVA-OmniCorpus, LLaVA"
    variants: ClassVar = {"obelisc": "jsonl", "new_mmc4": "json", "conversations": "json"}
    placed_variants = ("new_mmc4",)
    images = ("beside", "urls")
    reads = ("doc_id", "url", "nodes")
    takes = ("image_width", "image_height")

    def count(self, file: BinaryIO) -> int:
        return count_lines(file, self.ending)

    def writer(self, path: Path, name: str, images: ImageFiles) -> JsonLines:
        of_variant = {
            "obelisc": obelisc_rows,
            "new_mmc4": new_mmc4_rows,
            "conversations": conversation_rows,
        }[self.spec.variant or ""]

        def rows(document: Document) -> Iterator[Row]:
            for row, shown in of_variant(document):
                if self.spec.images == "beside":
                    for image in shown:
                        images.put(f"{IMAGE_FOLDER}/{image.by_url}", image)
                yield row

        kind = JsonLines if self.ending == "jsonl" else JsonList
        return kind(path, name, self.spec, rows)

    def companions(self, shards: Sequence[tuple[str, int]]) -> dict[str, bytes]:
        """How many samples a shard holds, and which of all."""
        if self.spec.variant == "conversations":
            return {}
        filled = [(name, rows) for name, rows in shards if rows]
        ends = list(accumulate(rows for _, rows in filled))
        ranges = {name: [end - rows, end] for (name, rows), end in zip(filled, ends, strict=True)}
        return {
            "length.json": json.dumps(dict(filled), indent=1).encode() + b"\n",
            "shard_id_range.json": json.dumps(ranges, indent=1).encode() + b"\n",
        }


Rows = Iterator[tuple[Row, list[Image]]]


def obelisc_rows(document: Document) -> Rows:
    """A row for a document with images, and the images in it: texts and images in parallel."""
    parts = list(merged(document.parts))
    images = [part if isinstance(part, Image) else None for part in parts]
    shown = document.images
    if shown:
        yield (
            {
                "images": [image and image.url for image in images],
                "texts": [None if isinstance(part, Image) else harmless(part) for part in parts],
                "metadata": [image and _metadata(image) for image in images],
                "valid_image": [True] * len(shown),
                "general_metadata": {
                    "id": document.values["doc_id"],
                    "url": document.values["url"],
                },
            },
            shown,
        )


def _metadata(image: Image) -> dict[str, Any]:
    return {
        "filename": image.by_url,
        "alt_text": image.alt,
        "width": image.values.get("image_width"),
        "height": image.values.get("image_height"),
    }


def new_mmc4_rows(document: Document) -> Rows:
    """MMC4's rows, with the names of fields that this loader reads."""
    for row in mmc4_rows(document):
        infos = row["image_info"]
        for info in infos:
            info["image_url"] = info["raw_url"]
        yield row | {"valid_image_ids": list(range(len(infos)))}, matched_images(document)


def conversation_rows(document: Document) -> Rows:
    """A row for a document with an image before a text, and the images in it."""
    found = turns(document.parts)
    shown = [image for turn in found for image in turn.images]
    if shown:
        yield (
            {
                "id": document.values["doc_id"],
                "image": [image.by_url for image in shown],
                "conversations": conversation(found),
            },
            shown,
        )
