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

from operators.registry import OPERATORS
from operators.sources import Page
from operators.warc import WarcSource
from schemas.tables import DOCUMENTS
from tests.support import SAMPLE

GOLDEN = Path(__file__).parent / "golden" / "operator_values.json"
BY_MACHINE = ("embed_texts",)
INPUT = str(SAMPLE / "sample-edge.warc.gz")


def found() -> dict[str, dict[str, Any]]:
    """Version, libraries and a digest of the values of each operator."""
    source = WarcSource(path=INPUT)
    pages = [asdict(page) for page in source.index(INPUT) if isinstance(page, Page)]
    rows = pa.Table.from_pylist(pages, schema=DOCUMENTS.born)
    payload = source.payload(INPUT, rows)
    rows = rows.append_column(payload.schema.field(0), payload["html"])
    rows = rows.filter(pa.compute.is_valid(rows["html"]))
    values: dict[str, dict[str, Any]] = {}
    for name, kind in OPERATORS.items():
        operator = kind()
        if name in BY_MACHINE or not set(operator.needs().names) <= set(rows.column_names):
            continue
        result = operator.measure(rows.select(operator.needs().names), operator.setup())
        found = result.select(operator.writes.names).to_pylist()
        text = json.dumps(found, sort_keys=True, default=bytes.hex)
        values[name] = {
            "version": operator.version,
            "provenance": operator.provenance(),
            "values": hashlib.sha256(text.encode()).hexdigest(),
        }
        for item in operator.writes:  # of two extractors, the first feeds what comes after
            if item.name not in rows.column_names:
                rows = rows.append_column(item, result[item.name])
    return values


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
