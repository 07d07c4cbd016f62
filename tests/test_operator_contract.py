"""One contract for every registered operator, and for the registries of sources and formats."""

from __future__ import annotations

import pickle
from functools import cache
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from operators.base import ERROR_COLUMN, CorpusOperator, Operator
from operators.export import FORMATS
from operators.export_format import Format
from operators.registry import OPERATORS, SOURCES, operator
from operators.sources import Source
from schemas.columns import COLUMNS, ERROR
from schemas.errors import InputError
from tests.strategies import configured, split, split_points, tables

Kind = type[Operator[Any]]


def _param(kind: Kind) -> Any:
    """The operator, skipped where the models of its defaults are of an extra not installed."""
    try:
        kind().provenance()
    except InputError as error:
        if "pip install" not in str(error):
            raise
        return pytest.param(kind, id=kind.name, marks=pytest.mark.skip(str(error)))
    return pytest.param(kind, id=kind.name)


every_operator = pytest.mark.parametrize("kind", [*map(_param, OPERATORS.values())])
every_map_operator = pytest.mark.parametrize(
    "kind",
    [_param(kind) for kind in OPERATORS.values() if not issubclass(kind, CorpusOperator)],
)
every_source = pytest.mark.parametrize("kind", SOURCES.values(), ids=SOURCES)
every_format = pytest.mark.parametrize("kind", FORMATS.values(), ids=FORMATS)
few_examples = settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow]
)


@cache
def _ready(kind: Kind) -> tuple[Operator[Any], Any]:
    made = kind(**kind.offline)
    return made, made.setup()


def _measure(kind: Kind, batch: pa.Table) -> pa.Table:
    made, state = _ready(kind)
    return made.measure(batch, state)


def _check(kind: Kind, batch: pa.Table, result: pa.Table) -> None:
    """What must hold for the result of any batch."""
    assert result.num_rows == batch.num_rows
    assert result.column_names in (kind.writes.names, [*kind.writes.names, ERROR_COLUMN])
    assert result.select(kind.writes.names).schema.equals(kind.writes)
    result.validate(full=True)
    again = kind().retryable(result)
    assert again is None or (again.type == pa.bool_() and len(again) == batch.num_rows)
    if ERROR_COLUMN in result.column_names:
        assert result.schema.field(ERROR_COLUMN).type == ERROR
        for row in result.to_pylist():
            error = row.pop(ERROR_COLUMN)
            if error is not None:
                assert set(row.values()) == {None}
                assert error["type"]
                assert error["message"].isprintable()


def _filled(field: pa.Field, text: str | None) -> Any:
    """A value for a column that has no nulls: the text, or an empty list."""
    return [] if pa.types.is_list(field.type) else text


# --- Values -------------------------------------------------------------------------------------


@every_operator
def test_an_empty_batch_gives_no_rows_of_the_declared_types(kind: Kind) -> None:
    for empty in (
        kind().needs().empty_table(),
        pa.Table.from_batches([], schema=kind().needs()),
        pa.Table.from_arrays([pa.array([], f.type) for f in kind().needs()], schema=kind().needs()),
    ):
        _check(kind, empty, _measure(kind, empty))


@every_operator
@given(data=st.data())
@few_examples
def test_any_batch_gives_the_declared_types_row_for_row(kind: Kind, data: st.DataObject) -> None:
    batch = data.draw(tables(kind().needs()))
    _check(kind, batch, _measure(kind, batch))


@every_map_operator
@given(data=st.data())
@few_examples
def test_measuring_the_pieces_of_a_table_equals_measuring_the_whole(
    kind: Kind, data: st.DataObject
) -> None:
    operator, state = data.draw(configured(kind)), _ready(kind)[1]
    batch = data.draw(tables(kind().needs()))
    pieces = split(batch, data.draw(split_points(batch.num_rows)))
    whole = operator.measure(batch, state)
    _check(kind, batch, whole)
    parts = pa.concat_tables([operator.measure(piece, state) for piece in pieces])
    assert parts.combine_chunks().equals(whole.combine_chunks())


@every_operator
@given(data=st.data())
@settings(few_examples, max_examples=10)
def test_chunks_do_not_matter(kind: Kind, data: st.DataObject) -> None:
    batch = data.draw(tables(kind().needs()))
    again = _measure(kind, batch.combine_chunks()).combine_chunks()
    assert _measure(kind, batch).combine_chunks().equals(again)


@every_map_operator
def test_a_row_of_nulls_measures_null(kind: Kind) -> None:
    # What an operator asks the world is its address, so that is null as well.
    text = None if kind.asks_the_world else "http://example.org/"
    row = {f.name: None if f.nullable else _filled(f, text) for f in kind().needs()}
    result = _measure(kind, pa.Table.from_pylist([row, row], schema=kind().needs()))
    assert result.select(kind.writes.names).to_pylist() == [dict.fromkeys(kind.writes.names)] * 2


@every_operator
def test_state_of_another_worker_gives_the_same_values(kind: Kind) -> None:
    rows = [{f.name: None if f.nullable else _filled(f, "x") for f in kind().needs()}]
    batch = pa.Table.from_pylist(rows, schema=kind().needs())
    other = pickle.loads(pickle.dumps(_ready(kind)[0]))
    assert other.measure(batch, other.setup()).equals(_measure(kind, batch))


# --- Declarations -------------------------------------------------------------------------------


@every_operator
def test_an_operator_is_registered_under_its_own_name(kind: Kind) -> None:
    assert OPERATORS[kind.name] is kind
    assert operator(kind.name) is kind


def test_an_unknown_operator_is_refused_with_the_close_matches() -> None:
    with pytest.raises(KeyError, match="did you mean 'text_statistics'"):
        operator("text_statistic")


@every_operator
def test_columns_read_and_written_are_in_the_vocabulary(kind: Kind) -> None:
    for field in (*kind.reads, *kind.writes):
        known = COLUMNS[field.name]
        seen = kind.table == "documents" and known.level == "image"
        assert field.equals(known.seen_by_documents if seen else known.field)
    assert not set(kind.reads.names) & set(kind.writes.names)
    assert all(field.nullable for field in kind.writes)


@every_operator
def test_an_operator_pickles_small_and_comes_back_equal(kind: Kind) -> None:
    pickled = pickle.dumps(kind())
    assert len(pickled) < 10_000
    assert pickle.loads(pickled) == kind()


@every_operator
def test_an_unknown_field_is_refused(kind: Kind) -> None:
    with pytest.raises(ValidationError, match="no_such_field"):
        kind.model_validate({"no_such_field": 1})


@every_operator
def test_an_operator_cannot_be_changed(kind: Kind) -> None:
    made = kind()
    for name in kind.model_fields:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(made, name, getattr(made, name))


@every_operator
def test_equal_config_gives_equal_repr_and_fields(kind: Kind) -> None:
    made, again = kind(), kind.model_validate(kind().model_dump())
    assert made == again
    assert repr(made) == repr(again)
    assert made.model_dump_json() == again.model_dump_json()


@every_operator
def test_an_operator_that_asks_the_world_can_be_kept_from_it(kind: Kind) -> None:
    assert bool(kind.offline) == kind.asks_the_world
    made = kind(**kind.offline)
    assert {name: getattr(made, name) for name in kind.offline} == dict(kind.offline)


@every_operator
def test_provenance_names_every_library(kind: Kind) -> None:
    provenance = kind().provenance()
    assert set(kind.libraries) <= set(provenance)
    assert all(provenance.values())


@every_operator
def test_an_operator_and_its_fields_are_described(kind: Kind) -> None:
    assert (kind.__doc__ or "").strip()
    assert kind.__doc__ != Operator.__doc__
    assert [name for name, field in kind.model_fields.items() if not field.description] == []


@every_source
def test_a_source_is_registered_under_its_own_name_and_described(kind: type[Source]) -> None:
    assert SOURCES[kind.name] is kind
    assert (kind.__doc__ or "").strip()
    assert kind.__doc__ != Source.__doc__
    assert [name for name, field in kind.model_fields.items() if not field.description] == []


@every_source
def test_a_source_refuses_an_unknown_field(kind: type[Source]) -> None:
    with pytest.raises(ValidationError, match="pth"):
        kind.model_validate({"path": "x", "pth": "y"})


@every_format
def test_a_format_is_registered_under_its_own_name_and_described(kind: type[Format]) -> None:
    assert FORMATS[kind.name] is kind
    assert (kind.__doc__ or "").strip()
    assert kind.meaning
    assert kind.consumer
    assert kind.variants
    assert kind.images
    assert {*kind.reads, *kind.takes} <= set(COLUMNS)
