"""Texts of nodes as bytes, for compiled loops over them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int32]


def node_chunks(nodes: pa.ChunkedArray) -> Iterator[tuple[pa.Array, list[int | None]]]:
    """For each chunk of documents: the texts of all its nodes, and each document's node count.

    A text is null where the node is an image; a count is None where the document is null.
    """
    for chunk in nodes.chunks:
        texts = pc.struct_field(pc.list_flatten(chunk), "text")
        yield texts, pc.list_value_length(chunk).to_pylist()


def utf8(texts: pa.Array) -> tuple[Bytes, Offsets]:
    """The bytes of N texts, and N + 1 offsets into them; a null text has no bytes."""
    _, offsets, data = texts.buffers()
    if offsets is None or data is None:
        return np.zeros(0, np.uint8), np.zeros(len(texts) + 1, np.int32)
    bounds = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    if not texts.null_count:
        return np.frombuffer(data, np.uint8), bounds
    return utf8(pc.fill_null(texts, ""))
