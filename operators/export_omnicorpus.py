"""Export in the published schema of OmniCorpus-CC."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

from operators.export_documents import Document, Image, ImageFiles
from operators.export_format import IMAGE_FOLDER, Format, ParquetRows, Row, count_parquet
from schemas.omnicorpus import OMNICORPUS

_SCORES = (
    "fluency_prob",
    "non_advertisement_prob",
    "politics_prob",
    "porn_prob",
    "toxic_prob",
)
_OF_IMAGES = {
    "aesthetic_prob": "aesthetic_score",
    "bytes": "image_bytes",
    "d_hash_dup_count": "dhash_count",
    "height": "image_height",
    "p_hash_dup_count": "phash_count",
    "unsafe_prob": "nsfw_prob",
    "width": "image_width",
}
_HASHES = {"d_hash": "dhash", "p_hash": "phash"}


class OmniCorpusFormat(Format):
    """The published schema of OmniCorpus-CC: parallel `images` and `texts`, an entry a node.

    Image files beside it are named by the SHA-256 of the address, as its loaders look for them.
    """

    name = "omnicorpus"
    meaning = "Parquet in the published schema of OmniCorpus-CC"
    consumer = "OmniCorpus, datasets"
    variants: ClassVar = {"parquet": "parquet"}
    images = ("urls", "beside")
    reads = ("doc_id", "url", "domain", "nodes")
    takes = (*_SCORES, *_OF_IMAGES.values(), *_HASHES.values())

    def count(self, file: BinaryIO) -> int:
        return count_parquet(file)

    def writer(self, path: Path, name: str, images: ImageFiles) -> ParquetRows:
        def rows(document: Document) -> Iterator[Row]:
            if document.parts:
                yield omnicorpus_row(document)
                if self.spec.images == "beside":
                    for image in document.images:
                        images.put(f"{IMAGE_FOLDER}/{image.by_url}", image)

        return ParquetRows(path, self.spec, OMNICORPUS, rows)


def omnicorpus_row(document: Document) -> Row:
    """A document in OmniCorpus's terms; what no stage has measured is null."""
    values = document.values
    images = [part if isinstance(part, Image) else None for part in document.parts]
    return {
        "general_metadata": {
            "id": values["doc_id"],
            "url": values["url"],
            "domain": [values["domain"]] if values["domain"] else [],
            **{name: values[name] for name in _SCORES if name in values},
        },
        "images": [image and image.url for image in images],
        "texts": [None if isinstance(part, Image) else part.text for part in document.parts],
        "metadata": [image and _metadata(image) for image in images],
    }


def _metadata(image: Image) -> dict[str, Any]:
    found = {name: image.values.get(column) for name, column in _OF_IMAGES.items()}
    for name, column in _HASHES.items():
        value = image.values.get(column)
        found[name] = None if value is None else f"{value:016x}"
    return found | {"img_url_sha": image.by_url}
