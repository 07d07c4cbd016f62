"""The tables of a corpus and their versions.

A table is a sequence of units (row groups of fixed membership). What is here is only what a row
is born with; stages add columns beside it, row for row.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from schemas import columns


@dataclass(frozen=True)
class Table:
    """A named row type. Raise `version` when the meaning of a born column changes."""

    name: str
    version: int
    meaning: str
    born: pa.Schema


DOCUMENTS = Table(
    name="documents",
    version=1,
    meaning="one row a captured page, in input order",
    born=columns.schema(
        "doc_id",
        "url",
        "domain",
        "source_file",
        "source_offset",
        "source_record",
        "capture_date",
        "http_charset",
        "payload_digest",
        "payload_bytes",
    ),
)

CAPTURES = Table(
    name="captures",
    version=1,
    meaning="one row an image capture that the inputs hold, in input order",
    born=columns.schema(
        "image_url",
        "source_file",
        "source_offset",
        "source_record",
        "capture_date",
        "image_type",
        "image_bytes",
        "payload_digest",
    ),
)

IMAGES = Table(
    name="images",
    version=1,
    meaning="one row an address of an image, by the first document that shows it; "
    "where the inputs hold a capture of it, with that capture's place",
    born=pa.schema(
        [
            item.with_nullable(item.name != "image_url")
            for item in columns.schema(
                "image_url",
                "capture_uri",
                "source_file",
                "source_offset",
                "source_record",
                "payload_digest",
                "image_type",
            )
        ]
    ),
)

INSTRUCTIONS = Table(
    name="instructions",
    version=1,
    meaning="one row an instruction: questions and answers about an image",
    born=columns.schema(*(item.name for item in columns.INSTRUCTION), "image_row"),
)

TABLES = {table.name: table for table in (DOCUMENTS, CAPTURES, IMAGES, INSTRUCTIONS)}
