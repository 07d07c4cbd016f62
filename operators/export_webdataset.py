"""Exports as WebDataset: tar files whose members are samples."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

from operators.export_documents import Document, Image, ImageFiles, merged
from operators.export_format import Format, TarMembers, count_tar, to_json
from operators.export_mmc4 import matched_images, mmc4_rows, with_base64


class WebDatasetFormat(Format):
    """WebDataset tars with the images' bytes inside.

    Variant `members`: a sample is `KEY.json` and an image file for each image, `KEY.000.jpg`;
    `images` in the JSON names their endings. Variant `base64`: MMC4's JSON with `image_base64`, as
    OpenFlamingo reads it. `sizes.json` tells the samples of each tar.
    """

    name = "webdataset"
    meaning = "tars of JSON and image members, or of OpenFlamingo's base64 JSON"
    consumer = "webdataset, OpenFlamingo"
    variants: ClassVar = {"members": "tar", "base64": "tar"}
    placed_variants = ("base64",)
    images = ("embedded",)
    reads = ("doc_id", "url", "nodes")
    takes = ("image_width", "image_height", "url_cluster_size")

    def count(self, file: BinaryIO) -> int:
        return count_tar(file)

    def writer(self, path: Path, name: str, images: ImageFiles) -> TarMembers:
        members = _base64 if self.spec.variant == "base64" else _members
        shard = name.removeprefix("train-").partition("-")[0]
        return TarMembers(
            path, self.spec, lambda document, row: members(document, f"{shard}-{row:08d}")
        )

    def companions(self, shards: Sequence[tuple[str, int]]) -> dict[str, bytes]:
        """`sizes.json`: samples of each tar, as OpenFlamingo and OpenCLIP look for them."""
        return {"sizes.json": json.dumps(dict(shards), indent=1).encode() + b"\n"}


def _members(document: Document, key: str) -> dict[str, bytes]:
    """A sample's members; none for a document without content."""
    parts = list(merged(document.parts))
    names = [f"{number:03d}.{image.ending}" for number, image in enumerate(document.images)]
    if not parts:
        return {}
    ends = iter(names)
    row = {
        "id": document.values["doc_id"],
        "url": document.values["url"],
        "images": [next(ends) if isinstance(part, Image) else None for part in parts],
        "texts": [None if isinstance(part, Image) else part for part in parts],
        "metadata": [_metadata(part) if isinstance(part, Image) else None for part in parts],
    }
    members = {f"{key}.json": to_json(row).encode()}
    for name, image in zip(names, document.images, strict=True):
        members[f"{key}.{name}"] = image.data
    return members


def _metadata(image: Image) -> dict[str, Any]:
    return {
        "url": image.url,
        "sha256": image.values["image_sha256"],
        "alt": image.alt,
        "width": image.values.get("image_width"),
        "height": image.values.get("image_height"),
    }


def _base64(document: Document, key: str) -> dict[str, bytes]:
    """MMC4's row with the images' bytes; none for a document without an assigned image."""
    for row in mmc4_rows(document):
        for info, image in zip(row["image_info"], matched_images(document), strict=True):
            info |= with_base64(image)
        return {f"{key}.json": to_json(row).encode()}
    return {}
