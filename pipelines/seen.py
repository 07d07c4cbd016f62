"""What rows of one table see of another: documents of their images, instructions of pictures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from operators.sources import ADDRESS
from pipelines.measure import relisted
from pipelines.plan import Input, Plan
from pipelines.store import Store, born_in
from schemas.columns import column
from schemas.tables import IMAGES, INSTRUCTIONS, Table

SEEN_BY = ("node_image_unit", "node_image_row", "node_image_dropped_by")
"""The columns by which documents find their images."""
PICTURE_ROW = "image_row"
"""The column by which instructions find their picture, in the unit that theirs was born in."""


def columns_seen(
    store: Store,
    whole: Plan,
    table: Table,
    unit: str,
    paths: dict[str, str],
    names: Iterable[str],
    *,
    fresh: dict[str, pa.Table] | None = None,
    rows: pa.Array | None = None,
) -> pa.Table:
    """The named columns of a unit's rows, or of some `rows`, as rows of `table` see them.

    Documents see images' columns as lists along their nodes, instructions those of their picture.
    `paths` says where the unit's own columns are; tables in `fresh` stand for files.
    """
    names = list(dict.fromkeys(names))
    own = [name for name in names if name in paths]
    others = [name for name in names if name not in paths]
    of_instructions = table == INSTRUCTIONS  # in a worker it is another, equal object
    links = (PICTURE_ROW,) if of_instructions else SEEN_BY
    found = store.zipped(paths, dict.fromkeys([*own, *(links if others else ())]), fresh)
    found = found if rows is None else found.take(rows)
    if not others:
        return found
    if of_instructions:
        seen = _picture_columns(store, whole, unit, found, others)
    else:
        seen = image_columns(store, whole.of(IMAGES.name), found, others)
    return pa.table({name: seen[name] if name in seen else found[name] for name in names})


def _picture_columns(
    store: Store, pictures: Plan, unit: str, instructions: pa.Table, names: Sequence[str]
) -> dict[str, pa.Array]:
    """The named columns of each instruction's picture."""
    home = born_in(unit)
    paths = pictures.column_paths(home, store.unit_record(pictures.folder, home).files)
    table = store.zipped(paths, names).take(instructions[PICTURE_ROW].combine_chunks())
    return {name: table[name].combine_chunks() for name in names}


def image_columns(
    store: Store, images: Plan, documents: pa.Table, names: Sequence[str]
) -> dict[str, pa.Array]:
    """The named image columns as `documents` see them: lists along their nodes.

    Null where a node is no image, or one that was dropped. `documents` has the columns `SEEN_BY`.
    """
    units, rows, dropped_by = (documents[name].combine_chunks() for name in SEEN_BY)
    kept = pc.is_null(pc.list_flatten(dropped_by))
    flat_units = pc.if_else(kept, pc.list_flatten(units), None).dictionary_encode()
    codes = pc.fill_null(flat_units.indices, -1).to_numpy()
    flat_rows = pc.fill_null(pc.list_flatten(rows), 0).to_numpy()
    order = np.argsort(codes, kind="stable")
    tables = []
    for code, unit in enumerate(flat_units.dictionary.to_pylist()):
        low, high = np.searchsorted(codes[order], [code, code + 1])
        paths = images.column_paths(unit, store.unit_record(images.folder, unit).files)
        table = store.zipped(paths, names)
        tables.append(table.take(pa.array(flat_rows[order[low:high]])))
    shown = int(np.searchsorted(codes[order], 0))  # before it come nodes without a kept image
    place = np.full(len(codes), -1)
    place[order[shown:]] = np.arange(len(codes) - shown)
    positions = pa.array(place, mask=place < 0)
    found = {}
    for name in names:
        chunks = [chunk for table in tables for chunk in table[name].chunks]
        flat = pa.chunked_array(chunks, column(name).type).combine_chunks()
        found[name] = relisted(flat.take(positions), units)
    return found


def archived_images(inputs: Sequence[Input], rows: pa.Table) -> pa.Array:
    """The bytes that the job's inputs hold of each image; null where they hold none."""
    found: list[bytes | None] = [None] * rows.num_rows
    rows = rows.rename_columns({"image_url": "url"})
    places = rows["capture_uri"].combine_chunks().dictionary_encode()
    by_uri = {entry.uri: entry.source for entry in inputs}
    for code, uri in enumerate(places.dictionary.to_pylist()):
        if uri in by_uri:
            mine = pc.indices_nonzero(pc.equal(places.indices, code))
            wanted = rows.take(mine).select(ADDRESS)
            order = pc.sort_indices(wanted, [("source_record", "ascending")])
            read = by_uri[uri].read(uri, wanted.take(order))
            for position, data in zip(mine.take(order).to_pylist(), read, strict=True):
                found[position] = None if isinstance(data, Exception) else data
    return pa.array(found, pa.large_binary())
