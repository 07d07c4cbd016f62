"""The operator: one typed step over Arrow batches.

An operator measures: it adds columns and never removes a row. What its measures mean for a row's
fate is a rule's business (`operators.rules`). Operators know nothing of units, stores or Ray.
"""

from __future__ import annotations

import importlib.metadata
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Literal, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from schemas.columns import ERROR

State = TypeVar("State")
Value = TypeVar("Value")

ERROR_COLUMN = "error"


@dataclass(frozen=True)
class Resources:
    """What one worker of a stage needs: whole or part CPUs, whole or part GPUs."""

    cpus: float = 1
    gpus: float = 0

    def __post_init__(self) -> None:
        if self.cpus < 0 or self.gpus < 0:
            raise ValueError(f"resources cannot be negative: {self}")


class Operator(BaseModel, ABC, Generic[State]):
    """One step over Arrow batches. Fields are its config; `reads` and `writes` its contract.

    `measure` must be pure: the same batch, config and state give the same answer under any batch
    split, worker count or retry. Sample by a hash of (id, seed), never by a random generator.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ClassVar[str]
    table: ClassVar[Literal["documents", "images", "instructions"]] = "documents"
    """Whose rows it measures."""
    version: ClassVar[int] = 1
    """Raise it when the same config gives other values."""
    reads: ClassVar[pa.Schema]
    optional: ClassVar[frozenset[str]] = frozenset()
    """Columns of `reads` that it can do without: null where no stage of the job measures them."""
    writes: ClassVar[pa.Schema]
    resources: ClassVar[Resources] = Resources()
    libraries: ClassVar[tuple[str, ...]] = ()
    """Distributions whose version decides the values; part of the stage's fingerprint."""
    stateful: ClassVar[bool] = False
    """True when `setup` loads something costly: such a stage is kept alive in an actor on Ray."""
    asks_the_world: ClassVar[bool] = False
    """True when values come from outside, as a server's answer does."""
    offline: ClassVar[Mapping[str, Any]] = {}
    """Fields that keep an operator that `asks_the_world` from asking."""
    store_folders: ClassVar[Mapping[str, str]] = {}
    """Fields that name a folder, each with the one beside the store that a job gets by default."""

    def setup(self) -> State:
        """Load models and lists, once per worker. Returned, never stored on the operator."""
        return None  # type: ignore[return-value]  # a stateless operator's State is None

    def close(self, state: State) -> None:
        """Let go of what `setup` opened."""

    @abstractmethod
    def measure(self, batch: pa.Table, state: State) -> pa.Table:
        """The columns of `writes` for each row of `batch`, in its order.

        A row that cannot be measured has nulls and an entry in the extra column `error`
        (see `measured`); an exception stops the run.
        """

    def needs(self) -> pa.Schema:
        """The columns that this config reads: `reads`, and those that its fields name."""
        return self.reads

    def given(self, batch: pa.Table) -> pa.Table:
        """The batch with just the columns that it reads, null where they are not measured."""
        for item in self.needs():
            if item.name in self.optional and item.name not in batch.column_names:
                batch = batch.append_column(item, pa.nulls(batch.num_rows, item.type))
        return batch.select(self.needs().names)

    def deciding_config(self) -> dict[str, Any]:
        """The fields that decide the values: all but those that only say how to come to them."""
        return self.model_dump()

    def retryable(self, measured: pa.Table) -> pa.Array | None:
        """Which rows `--retry-errors` measures again besides those with an error; None: none.

        `measured` holds the columns of `writes`. For an operator that keeps how it failed in them.
        """
        return None

    def provenance(self) -> dict[str, str]:
        """What decides the values besides config and version: library and model revisions."""
        return {name: importlib.metadata.version(name) for name in self.libraries}


class EngineMade(Operator[None]):
    """Columns that the engine makes itself, declared so that rules and stages can ask for them."""

    def measure(self, batch: pa.Table, state: None) -> pa.Table:
        """Nulls: outside of a run there is nothing to say."""
        arrays = [pa.nulls(batch.num_rows, item.type) for item in self.writes]
        return pa.Table.from_arrays(arrays, schema=self.writes)


class CorpusOperator(Operator[None]):
    """A step whose values depend on all rows that are alive when its turn comes.

    It works in parts, none of which holds the corpus. `scatter` makes records of a batch, each with
    a 64-bit `key`; records of equal keys come together in `gather`, which finds something out about
    rows; `resolve` sees all findings, for what no single key tells; `assign` makes columns of what
    was found about a batch's rows. A row's `address` is its place in the corpus: addresses grow in
    corpus order and are not consecutive.
    """

    resolves: ClassVar[bool] = False
    """True when findings on single keys must be seen together: `resolve` does so."""
    same_stages: ClassVar[tuple[str, ...]] = ()
    """Columns whose stage must be the same for an earlier corpus to be compared with."""

    partitions: int = Field(
        64, ge=1, le=4096, description="parts that keys are divided into; one is held in memory"
    )

    @abstractmethod
    def scatter(self, batch: pa.Table) -> pa.Table:
        """Records of the batch: `row` (int32, position in the batch), `key` (uint64), and more."""

    @abstractmethod
    def gather(self, records: pa.Table) -> pa.Table:
        """Findings on whole groups of equal `key`s; records have an `address` in place of `row`."""

    def members(self, batch: pa.Table) -> pa.Table | None:
        """What `resolve` must know of the batch's rows besides the findings: `row` and more."""
        return None

    def resolve(self, found: pa.Table, members: Members, first: int) -> pa.Table:
        """The findings as `assign` wants them, by `address`.

        `members` gives what the method of that name said of rows, by address. Addresses before
        `first` are those of earlier corpora.
        """
        return found

    def assign_needs(self) -> pa.Schema:
        """The columns that `assign` reads; none by default."""
        return pa.schema([])

    def key_config(self) -> dict[str, Any]:
        """The fields that decide the records: an earlier corpus must agree on them."""
        return self.model_dump()

    @abstractmethod
    def assign(self, found: pa.Table, batch: pa.Table) -> pa.Table:
        """The columns of `writes` for each row of `batch`; findings have a `row` again."""

    def measure(self, batch: pa.Table, state: None) -> pa.Table:
        """The columns of `writes`, taking the batch for the whole corpus."""
        known = self.members(batch)

        def members(addresses: pa.Array, names: Sequence[str]) -> pa.Table:
            assert known is not None  # who resolves says what it must know
            rows = addressed(known.select(["row", *names]), 0)
            return rows.take(pc.index_in(addresses, rows["address"].combine_chunks()))

        found = self.gather(addressed(self.scatter(batch), 0))
        found = self.resolve(found, members, 0)
        return self.assign(placed(found, 0, batch.num_rows), batch)


Members = Callable[[pa.Array, Sequence[str]], pa.Table]
"""The named columns of `members` for rows at sorted addresses, and their `address`."""


def addressed(records: pa.Table, base: int) -> pa.Table:
    """Records with the `address` of their row, from `base` on, in place of its position."""
    addresses = pc.add(pc.cast(records["row"], pa.int64()), base)
    return records.set_column(records.column_names.index("row"), "address", addresses)


def placed(found: pa.Table, base: int, rows: int) -> pa.Table:
    """The findings about the `rows` rows from address `base` on, with their position as `row`."""
    address = found["address"]
    inside = pc.and_(pc.greater_equal(address, base), pc.less(address, base + rows))
    mine = found.filter(inside)
    position = pc.cast(pc.subtract(mine["address"], base), pa.int32())
    return mine.set_column(mine.column_names.index("address"), "row", position)


@dataclass
class RowResults(Generic[Value]):
    """Outcome of a function over rows: a value or None for each, and an error for each None."""

    values: list[Value | None] = field(default_factory=list)
    errors: list[dict[str, str] | None] = field(default_factory=list)


def by_row(function: Callable[..., Value], *columns: Iterable[Any]) -> RowResults[Value]:
    """Call `function` with one value of each column; a row that raises keeps its error.

    This is the only place where an operator's exceptions are held back. Whoever uses it declares
    that any exception of `function` is the row's fault.
    """
    results: RowResults[Value] = RowResults()
    for row in zip(*columns, strict=True):
        try:
            results.values.append(function(*row))
            results.errors.append(None)
        except Exception as error:  # noqa: BLE001  # one row's fault must not cost its batch
            results.values.append(None)
            results.errors.append(row_error(error))
    return results


def row_error(error: Exception) -> dict[str, str]:
    """The error as stored with the row: class name, and the printable start of the message."""
    message = "".join(
        c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(error)[:300]
    )
    return {"type": type(error).__name__, "message": message}


def measured(
    writes: pa.Schema,
    columns: Sequence[Iterable[Any]],
    errors: Iterable[dict[str, str] | None] | None = None,
) -> pa.Table:
    """A result table of `writes` from one sequence per column, with the rows' errors if any."""
    arrays = [
        column if isinstance(column, pa.Array) else pa.array(list(column), type=item.type)
        for column, item in zip(columns, writes, strict=True)
    ]
    table = pa.Table.from_arrays(arrays, schema=writes)
    if errors is None:
        return table
    return table.append_column(pa.field(ERROR_COLUMN, ERROR), pa.array(list(errors), type=ERROR))
