"""What the engine itself says of images and of the documents that show them.

Images are a table of their own, one row an address. How its rows come from documents, and what
documents learn of them, is the engine's business (`pipelines/images.py`); the operators here only
declare it, so that stages and rules can ask for it like for any other measure.
"""

from __future__ import annotations

from pydantic import Field

from operators.base import EngineMade
from schemas import columns


class ShownImages(EngineMade):
    """How many living documents show each image; those that none shows go no further."""

    name = "shown_images"
    table = "images"
    reads = columns.schema("image_url")
    writes = columns.schema("image_document_count")


class ImageVerdicts(EngineMade):
    """Which of a document's images were kept, and where each is in the table of images."""

    name = "image_verdicts"
    reads = columns.schema("nodes")
    writes = columns.schema(
        "kept_image_count", "node_image_dropped_by", "node_image_unit", "node_image_row"
    )

    unit_images: int = Field(500, ge=1, le=100_000, description="images in a unit of work")
    partitions: int = Field(
        64, ge=1, le=4096, description="parts that addresses are divided into; one is in memory"
    )


def shows_images(names: set[str]) -> bool:
    """Whether one of the columns is an image's."""
    known = (columns.COLUMNS.get(name) for name in names)
    return any(found is not None and found.level == "image" for found in known)
