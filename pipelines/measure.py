"""Stage files as tables: what an operator returned, checked, and merged with what is stored."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from operators.base import ERROR_COLUMN, Operator
from pipelines.plan import Stage
from pipelines.store import DONE, ENGINE_FIELDS, ERRORS, FAILED, PENDING, STATE
from schemas.columns import ERROR
from schemas.errors import OperatorFailed

BATCH_ROWS = 256
BATCH_PAYLOAD_BYTES = 64 << 20


def stored_schema(operator: Operator[Any]) -> pa.Schema:
    """The operator's columns, nullable, and the engine's own two."""
    fields = [pa.field(f.name, f.type) for f in operator.writes]
    return pa.schema([*fields, *ENGINE_FIELDS])


def checked(stage: Stage, result: pa.Table, rows: int) -> pa.Table:
    """The result with state and error columns, after checking it against the contract."""
    writes = stage.operator.writes
    names = [name for name in result.column_names if name != ERROR_COLUMN]
    place = f"stage '{stage.name}' ({stage.operator.name})"
    if result.num_rows != rows or names != writes.names:
        raise OperatorFailed(
            f"{place} returned {result.num_rows} rows of {names} for {rows} rows of {writes.names}"
        )
    for item in writes:
        if result.schema.field(item.name).type != item.type:
            found = result.schema.field(item.name).type
            raise OperatorFailed(f"{place} returned '{item.name}' as {found}, not {item.type}")
    errors = (
        result[ERROR_COLUMN].combine_chunks()
        if ERROR_COLUMN in result.column_names
        else pa.nulls(rows, ERROR)
    )
    failed = pc.is_valid(errors)
    arrays = [pc.if_else(failed, None, result[name].combine_chunks()) for name in writes.names]
    states = pc.if_else(failed, pa.scalar(FAILED, pa.uint8()), pa.scalar(DONE, pa.uint8()))
    return pa.Table.from_arrays([*arrays, states, errors], schema=stored_schema(stage.operator))


def with_unreadable(measured: pa.Table, errors: pa.Array) -> pa.Table:
    """`measured` spread over all rows of the batch; the others failed with their error."""
    positions = pc.if_else(
        pc.is_null(errors),
        pc.subtract(pc.cumulative_sum(pc.cast(pc.is_null(errors), pa.int32())), 1),
        None,
    )
    spread = measured.take(positions)
    states = pc.fill_null(spread[STATE], FAILED)
    merged = pc.if_else(pc.is_null(errors), spread[ERRORS].combine_chunks(), errors)
    columns = [spread[name] for name in spread.column_names[: -len(ENGINE_FIELDS)]]
    return pa.Table.from_arrays([*columns, states, merged], schema=measured.schema)


def merged(
    stage: Stage, stored: pa.Table | None, fresh: pa.Table, missing: pa.Array, rows: int
) -> pa.Table:
    """One row a row of the unit: fresh where computed now, else stored, else pending."""
    schema = stored_schema(stage.operator)
    place: list[int | None] = [None] * rows if stored is None else list(range(rows))
    base = 0 if stored is None else rows
    for offset, row in enumerate(missing.to_pylist()):
        place[row] = base + offset
    parts = [fresh] if stored is None else [stored.select(schema.names), fresh]
    table = pa.concat_tables(parts).combine_chunks().take(pa.array(place, pa.int64()))
    states = pc.fill_null(table[STATE], PENDING)
    position = schema.get_field_index(STATE)
    return table.set_column(position, schema.field(STATE), states).cast(schema)


def relisted(flat: pa.Array, like: pa.ListArray) -> pa.ListArray:
    """The flat values as lists of the lengths of `like`, null where it is null."""
    lengths = pc.fill_null(pc.list_value_length(like), 0).to_pylist()
    offsets = [0]
    for length in lengths:
        offsets.append(offsets[-1] + length)
    lists = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), flat)
    return pc.if_else(pc.is_valid(like), lists, None)
