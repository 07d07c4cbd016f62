"""The operator: one typed step over Arrow batches.

An operator measures: it adds columns and never removes a row. What its measures mean for a row's
fate is a rule's business (`operators.rules`). Operators know nothing of units, stores or Ray.
"""

from __future__ import annotations

import importlib.metadata
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

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
    version: ClassVar[int] = 1
    """Raise it when the same config gives other values."""
    reads: ClassVar[pa.Schema]
    writes: ClassVar[pa.Schema]
    resources: ClassVar[Resources] = Resources()
    libraries: ClassVar[tuple[str, ...]] = ()
    """Distributions whose version decides the values; part of the stage's fingerprint."""
    stateful: ClassVar[bool] = False
    """True when `setup` loads something costly: such a stage is kept alive in an actor on Ray."""

    def setup(self) -> State:
        """Load models and lists, once per worker. Returned, never stored on the operator."""
        return None  # type: ignore[return-value]  # a stateless operator's State is None

    @abstractmethod
    def measure(self, batch: pa.Table, state: State) -> pa.Table:
        """The columns of `writes` for each row of `batch`, in its order.

        A row that cannot be measured has nulls and an entry in the extra column `error`
        (see `measured`); an exception stops the run.
        """

    def provenance(self) -> dict[str, str]:
        """What decides the values besides config and version: library and model revisions."""
        return {name: importlib.metadata.version(name) for name in self.libraries}


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
