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

PICTURES = Table(
    name=IMAGES.name,
    version=1,
    meaning="one row a picture to ask about, with what is known of it from where it was found",
    born=pa.schema(
        [
            *IMAGES.born,
            *columns.schema(
                "image_route",
                "page_url",
                "page_title",
                "page_text",
                "image_alt",
                "image_caption",
                "image_keyword",
                "image_licence",
                "given_instructions",
            ),
        ]
    ),
)
"""Images that are a job's own rows rather than born of its documents."""

INSTRUCTIONS = Table(
    name="instructions",
    version=1,
    meaning="one row an instruction: questions and answers about an image",
    born=columns.schema(*(item.name for item in columns.INSTRUCTION), "image_row"),
)

TABLES = {table.name: table for table in (DOCUMENTS, CAPTURES, IMAGES, INSTRUCTIONS)}
