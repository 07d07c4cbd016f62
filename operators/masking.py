"""Masking of personal data in exports: what `node_pii` points at becomes a tag.

Tags such as `[EMAIL]`, and no made-up examples (FineWeb writes email@example.com and addresses of
unused hosts): reserved examples exist for e-mail and IP addresses only, a reader cannot tell a
masked address from one that was written as an example, and a model that is trained on them learns
to write addresses. Tags can be counted, found again, and swapped for anything else later.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from operators.pii import find_pii
from schemas.columns import NODE, PII_KINDS

MASKING_VERSION = 2
"""Raise it when masked texts read otherwise."""
SPANS = "node_pii"
TAGS = {kind: f"[{kind.upper()}]" for kind in PII_KINDS}


def masked_text(text: str, spans: Iterable[dict[str, Any]], kinds: Sequence[str]) -> str:
    """The text with each span of the kinds replaced by its tag; spans that overlap are one."""
    parts: list[str] = []
    at = 0
    for span in sorted(spans, key=lambda span: (span["start"], -span["end"])):
        if span["kind"] not in kinds:
            continue
        if span["start"] >= at:
            parts += (text[at : span["start"]], TAGS[span["kind"]])
        at = max(at, span["end"])
    return "".join((*parts, text[at:]))


def masked_nodes(
    nodes: pa.ChunkedArray, spans: pa.ChunkedArray, kinds: Sequence[str]
) -> pa.ChunkedArray:
    """The documents' nodes with the spans of the kinds masked in their texts.

    What describes images (`alt`, `title`) is searched here, as the operator `pii` searches texts.
    `spans` is the column `node_pii`: for each node of each document a list of spans.

    Raises:
        ValueError: `spans` are not those of these nodes.
    """
    lists, marks = nodes.combine_chunks(), spans.combine_chunks()
    lengths = pc.list_value_length(lists)
    if not lengths.equals(pc.list_value_length(marks)):
        raise ValueError(f"{SPANS} does not hold a list for each node of each document")
    flat, marks = pc.list_flatten(lists), pc.list_flatten(marks)
    texts = pc.struct_field(flat, "text")
    marked = pc.and_(pc.greater(pc.fill_null(pc.list_value_length(marks), 0), 0), texts.is_valid())
    replaced = [
        masked_text(text, own, kinds)
        for text, own in zip(
            texts.filter(marked).to_pylist(), marks.filter(marked).to_pylist(), strict=True
        )
    ]
    fields = {field.name: pc.struct_field(flat, field.name) for field in NODE}
    fields["text"] = pc.replace_with_mask(texts, marked, pa.array(replaced, pa.string()))
    fields |= {name: _described(fields[name], kinds) for name in ("alt", "title")}
    masked = pa.ListArray.from_arrays(
        pa.array([0, *pc.cumulative_sum(pc.fill_null(lengths, 0)).to_pylist()], pa.int32()),
        pa.StructArray.from_arrays(list(fields.values()), fields=list(NODE)),
        mask=lengths.is_null(),
    )
    return pa.chunked_array([masked.cast(nodes.type)])


def _described(texts: pa.Array, kinds: Sequence[str]) -> pa.Array:
    """Descriptions of images with personal data masked."""
    found = [
        text and masked_text(text, [span._asdict() for span in find_pii(text)], kinds)
        for text in texts.to_pylist()
    ]
    return pa.array(found, pa.string())
