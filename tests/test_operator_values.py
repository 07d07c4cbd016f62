"""Operators' values may change only together with their version.

A stage's results are reused as long as its operator's name, version, config and libraries are the
same. So when values change, `version` must be raised; this test holds the values of every operator
on the bundled edge cases and refuses the one without the other. Operators over images, and those
that read what only images have, have tests of their own; so have those of `BY_MACHINE`, whose last
digits depend on the processor. After raising a version:
UPDATE_GOLDEN=1 python -m pytest tests/test_operator_values.py
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa

from operators.base import Operator
from operators.registry import OPERATORS
from operators.sources import Page
from operators.warc import WarcSource
from schemas import columns
from schemas.tables import DOCUMENTS
from tests.support import SAMPLE, bundled_images

GOLDEN = Path(__file__).parent / "golden" / "operator_values.json"
BY_MACHINE = (
    "embed_images",
    "embed_texts",
    "image_text_similarity",
    "embedding_scores",
    "detect_nsfw",
    "detect_text",
    "read_text",
)
"""Operators whose models' last digits depend on the processor, and what rests on them."""
INPUT = str(SAMPLE / "sample-edge.warc.gz")


def found() -> dict[str, dict[str, Any]]:
    """Version, libraries and a digest of the values of each operator."""
    rows = {"images": pictures(), "documents": pages()}
    values: dict[str, dict[str, Any]] = {}
    for table in rows:
        for name, kind in OPERATORS.items():
            if kind.table == table and name not in BY_MACHINE:
                values[name], rows[table] = entry(kind(**kind.offline), rows[table], rows["images"])
    return {name: values[name] for name in OPERATORS if name in values}


def entry(
    operator: Operator[Any], rows: pa.Table, images: pa.Table
) -> tuple[dict[str, Any], pa.Table]:
    """What is kept of an operator's values, and the rows with these beside the others.

    Of two operators that write the same columns, the first feeds what comes after.
    """
    batch = rows
    for item in operator.needs():
        if item.name not in rows.column_names:
            batch = batch.append_column(item, seen(batch["nodes"], images, item))
    result = operator.measure(batch.select(operator.needs().names), operator.setup())
    found = result.select(operator.writes.names).to_pylist()
    text = json.dumps(found, sort_keys=True, default=bytes.hex)
    for item in operator.writes:
        if item.name not in rows.column_names:
            rows = rows.append_column(item, result[item.name])
    kept = {
        "version": operator.version,
        "provenance": operator.provenance(),
        "values": hashlib.sha256(text.encode()).hexdigest(),
    }
    return kept, rows


def pages() -> pa.Table:
    """The bundled edge cases that have a body."""
    source = WarcSource(path=INPUT)
    pages = [asdict(page) for page in source.index(INPUT) if isinstance(page, Page)]
    rows = pa.Table.from_pylist(pages, schema=DOCUMENTS.born)
    payload = source.payload(INPUT, rows)
    rows = rows.append_column(payload.schema.field(0), payload["html"])
    return rows.filter(pa.compute.is_valid(rows["html"]))


def pictures() -> pa.Table:
    """The pictures beside them, as if each were shown by one document."""
    rows = [
        {
            "image_url": url,
            "image_type": None,
            "archived_image": data,
            "image_document_count": 1,
        }
        for url, data in bundled_images(INPUT)
    ]
    return pa.Table.from_pylist(rows, schema=columns.schema(*rows[0]))


def seen(nodes: pa.ChunkedArray, images: pa.Table, item: pa.Field) -> pa.Array:
    """An image's column along the nodes of documents."""
    known = dict(zip(images["image_url"].to_pylist(), images[item.name].to_pylist(), strict=True))
    return pa.array(
        [row and [known.get(node["image_url"]) for node in row] for row in nodes.to_pylist()],
        item.type,
    )


def test_values_change_only_with_the_version_or_a_library() -> None:
    now = found()
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(json.dumps(now, indent=1) + "\n", "utf-8")
    kept = json.loads(GOLDEN.read_text("utf-8"))
    assert now.keys() == kept.keys()
    for name, entry in now.items():
        same = (entry["version"], entry["provenance"]) == (
            kept[name]["version"],
            kept[name]["provenance"],
        )
        if same:
            assert entry["values"] == kept[name]["values"], f"raise the version of {name}"
        else:
            raise AssertionError(f"{name} changed on purpose? Then renew {GOLDEN.name}")
