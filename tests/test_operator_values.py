"""Operators' values may change only together with their version.

A stage's results are reused as long as its operator's name, version, config and libraries are the
same. So when values change, `version` must be raised; this test holds the values of every operator
on the bundled edge cases, and on labelled instructions, and refuses the one without the other.
Operators over images, and those that read what only images have, have tests of their own; so have
those that ask models, and those of `BY_MACHINE`, whose last digits depend on the processor. After raising a version:
UPDATE_GOLDEN=1 python -m pytest tests/test_operator_values.py
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa

from operators.asking import Asks
from operators.base import Operator
from operators.registry import OPERATORS
from operators.sources import Page
from operators.warc import WarcSource
from schemas import columns
from schemas.tables import DOCUMENTS
from tests.labelled_instructions import DEVELOPED, labelled, question_pairs
from tests.support import SAMPLE, bundled_images

GOLDEN = Path(__file__).parent / "golden" / "operator_values.json"
BY_MACHINE = (
    "embed_images",
    "embed_texts",
    "seed_similarity",
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
    rows = {"images": pictures(), "documents": pages(), "instructions": instructions()}
    values: dict[str, dict[str, Any]] = {}
    for table in rows:
        for name, kind in OPERATORS.items():
            if kind.table == table and name not in BY_MACHINE and not issubclass(kind, Asks):
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
            known = "nodes" in batch.column_names
            values = seen(batch["nodes"], images, item) if known else nulls(item, batch)
            batch = batch.append_column(item, values)
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


def nulls(item: pa.Field, batch: pa.Table) -> pa.Array:
    """What is told of a picture where it was found, of one that nothing is told of."""
    return pa.nulls(batch.num_rows, item.type)


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


def instructions() -> pa.Table:
    """Labelled answers and questions, as if each row were asked of a picture of its line."""
    reads = {f.name: f for k in OPERATORS.values() if k.table == "instructions" for f in k.reads}
    written = {n for k in OPERATORS.values() if k.table == "instructions" for n in k.writes.names}
    asked = [("What is to be seen?", sentence) for _, sentence in labelled(DEVELOPED)]
    asked += [(question, "2") for _, *pair in question_pairs() for question in pair]
    asked += [("Is there a red car?", "yes"), ("图中有红色的车吗？", "是")]
    kinds = itertools.cycle(("short_vqa", "long_vqa", "judgement", "multiple_choice"))
    rows = [
        {
            "instruction_id": str(number),
            "instruction_kind": kind,
            "instruction_lang": "en" if question.isascii() else "zh",
            "turns": [{"question": question, "answer": answer}],
            "options": ["a dog", "two dogs"] if kind == "multiple_choice" else [],
            "seeds": ["a seed"] if number % 3 else [],
            "image_sha256": str(number // 20),
            "caption_en": "A brown dog and a man with a red umbrella stand in front of 3 boats.",
            "caption_zh": "一只棕色的狗站在两条船前面。" if number % 2 else None,
        }
        for number, ((question, answer), kind) in enumerate(zip(asked, kinds, strict=False))
    ]
    fields = [field for name, field in reads.items() if name not in written]
    return pa.Table.from_pylist(rows, schema=pa.schema(fields))


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
