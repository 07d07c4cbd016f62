"""Rows of a corpus with everything measured and decided about them, and the tables they are of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa

from operators.rules import LEVELS, Comparison, Expression, parse
from pipelines.store import ERRORS, Store, UnitRecord
from pipelines.summary import read_records
from schemas.columns import column
from schemas.errors import CorpusError, did_you_mean
from schemas.tables import Table

if TYPE_CHECKING:
    from pipelines.corpus import Corpus


@dataclass(frozen=True)
class Verdict:
    """What a rule said of a row: `passed` is None when the rule was not asked any more."""

    rule: str
    stage: str
    table: str
    text: str
    passed: bool | None
    values: dict[str, Any]
    comparisons: tuple[Comparison, ...]
    nodes_dropped: tuple[int, ...] = ()
    """Node rules: positions of the nodes that the rule drops."""

    @property
    def thresholds(self) -> str:
        """The measured values beside the thresholds: `word_count = 12 (< 50)`.

        Empty for a node rule, whose values are lists.
        """
        if self.table == "nodes":
            return ""
        compared = {one.column for one in self.comparisons}
        others = (name for name in self.values if name not in compared)
        shown = [self._compared(one) for one in self.comparisons]
        shown += [f"{name} = {_short(self.values[name])}" for name in others]
        return ", ".join(dict.fromkeys(shown))

    def _compared(self, one: Comparison) -> str:
        value = f"{one.column} = {_short(self.values.get(one.column))}"
        with_column = one.threshold is None and not one.operator.startswith("is")
        return value if with_column else f"{value} ({one.operator} {_short(one.threshold)})"


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class JudgedRow:
    """A row of a table with what was measured and decided."""

    values: dict[str, Any]
    kept: bool
    dropped_by: str | None
    verdicts: tuple[Verdict, ...]
    errors: dict[str, str]
    """Stages that failed on it, with class and message."""


@dataclass(frozen=True)
class PictureRow(JudgedRow):
    """One picture that instructions are about. Renders in notebooks.

    Its bytes are not among its values; `corpus.image(url)` has them.
    """

    unit: str
    row: int
    corpus: Corpus

    @property
    def url(self) -> str:
        """Its address."""
        return str(self.values["image_url"])

    @property
    def instructions(self) -> list[Instruction]:
        """All instructions about it, kept or not."""
        return self.corpus.instructions_about(self)

    def _repr_html_(self) -> str:
        from pipelines.instruction_html import picture_html

        return picture_html(self, self.instructions, styled=True)


@dataclass(frozen=True)
class Instruction(JudgedRow):
    """One instruction with everything measured and decided about it. Renders in notebooks."""

    picture: PictureRow

    @property
    def instruction_id(self) -> str:
        """Its identity."""
        return str(self.values["instruction_id"])

    @property
    def turns(self) -> list[dict[str, str]]:
        """Rounds of question and answer, as a reviewer edited them where one did."""
        edited: list[dict[str, str]] | None = self.values.get("reviewed_turns")
        return self.values["turns"] if edited is None else edited

    @property
    def options(self) -> list[str]:
        """A multiple choice's options, as a reviewer edited them where one did."""
        edited: list[str] | None = self.values.get("reviewed_options")
        return self.values["options"] if edited is None else edited

    def _repr_html_(self) -> str:
        from pipelines.instruction_html import picture_html

        return picture_html(self.picture, [self], styled=True)


def no_rows(names: Sequence[str]) -> pl.DataFrame:
    """A frame without rows, of the named columns and those of verdicts, each of its own type."""
    fields = [column(name).field for name in names]
    verdicts = [pa.field("kept", pa.bool_()), pa.field("dropped_by", pa.string())]
    frame = pl.from_arrow(pa.schema([*fields, *verdicts]).empty_table())
    assert isinstance(frame, pl.DataFrame)  # from_arrow of a table
    return frame


class TableView:
    """The rows of one of a corpus's tables, with their verdicts."""

    def __init__(self, store: Store, reference: dict[str, Any], table: Table) -> None:
        self.store, self.table = store, table
        self.stages: list[dict[str, Any]] = reference["stages"]
        self.rules: list[dict[str, Any]] = reference["rules"]
        self.folder: str = reference["verdicts"]

    @property
    def columns(self) -> list[str]:
        """Every column that a row has."""
        return [*self.table.born.names, *(c for stage in self.stages for c in stage["columns"])]

    def records(self, units: Iterable[str]) -> list[UnitRecord]:
        """The records of those of the units that are done."""
        done = set(self.store.names(self.folder))
        return read_records(self.store, self.folder, [unit for unit in units if unit in done])

    def paths(self, record: UnitRecord) -> dict[str, str]:
        """The file of each column of a unit."""
        paths = dict.fromkeys(self.table.born.names, f"units/{record.unit}.parquet")
        for stage in self.stages:
            path = f"{stage['folder']}/{record.stages[stage['name']].file}.parquet"
            paths |= dict.fromkeys(stage["columns"], path)
        return paths

    def verdicts(self, record: UnitRecord) -> pa.Table:
        """What was decided about each row of a unit."""
        return self.store.read(f"{self.folder}/{record.unit}.parquet")

    def frame(
        self, records: Iterable[UnitRecord], names: Sequence[str], *, kept: bool | None
    ) -> pl.DataFrame:
        """The named columns (default: those that rows are born with), `kept` and `dropped_by`.

        Raises:
            CorpusError: no such column.
        """
        names = list(names or self.table.born.names)
        for name in names:
            if name not in self.columns:
                raise CorpusError(f"no column '{name}'; {did_you_mean(name, self.columns)}")
        parts = [self._unit(record, names, kept=kept) for record in records]
        if not parts:
            return no_rows(names)
        frame = pl.from_arrow(pa.concat_tables(parts))
        assert isinstance(frame, pl.DataFrame)  # from_arrow of a table
        return frame

    def _unit(self, record: UnitRecord, names: list[str], *, kept: bool | None) -> pa.Table:
        verdicts = self.verdicts(record)
        table = self.store.zipped(self.paths(record), names)
        for name in ("kept", "dropped_by"):
            table = table.append_column(name, verdicts[name])
        return table if kept is None else table.filter(pa.compute.equal(table["kept"], kept))

    def judged(
        self,
        record: UnitRecord,
        rows: Iterable[int],
        beside: Sequence[Mapping[str, Any]] | None = None,
    ) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """The fields of a `JudgedRow` for each of a unit's rows, and its row of verdicts.

        Bytes of pictures are left out. `beside` has the values of other tables that rules see.
        """
        chosen = pa.array(rows, pa.int64())
        if not len(chosen):
            return
        names = [name for name in self.columns if not _is_binary(name)]
        values = self.store.zipped(self.paths(record), names).take(chosen).to_pylist()
        verdicts = self.verdicts(record).take(chosen).to_pylist()
        errors = {
            stage["name"]: self.store.read(
                f"{stage['folder']}/{record.stages[stage['name']].file}.parquet", [ERRORS]
            )[ERRORS]
            .take(chosen)
            .to_pylist()
            for stage in self.stages
        }
        for index, (value, row) in enumerate(zip(values, verdicts, strict=True)):
            seen = {**beside[index], **value} if beside is not None else value
            fields = {
                "values": value,
                "kept": row["kept"],
                "dropped_by": row["dropped_by"],
                "verdicts": tuple(self._verdict(rule, seen, row) for rule in self.rules),
                "errors": {
                    n: _message(found[index]) for n, found in errors.items() if found[index]
                },
            }
            yield fields, row

    def _verdict(
        self, rule: dict[str, Any], values: Mapping[str, Any], row: dict[str, Any]
    ) -> Verdict:
        expression = self._expressions[rule["name"]]
        answer = row[f"rule.{rule['name']}"]
        dropped: tuple[int, ...] = ()
        if isinstance(answer, list):
            dropped = tuple(i for i, passed in enumerate(answer) if not passed)
            answer = not dropped
        text = f"{'keep' if rule['keeps'] else 'drop'}: {rule['expression']}"
        measured = {name: values[name] for name in expression.columns}
        return Verdict(
            rule["name"], rule["stage"], rule["table"], text, answer, measured,
            expression.comparisons, dropped,
        )  # fmt: skip

    @cached_property
    def _expressions(self) -> dict[str, Expression]:
        """The rules' conditions by rule name, parsed once for all rows."""
        return {r["name"]: parse(r["expression"], LEVELS[r["table"]]) for r in self.rules}


def _is_binary(name: str) -> bool:
    kind = column(name).type
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _message(error: dict[str, str]) -> str:
    return f"{error['type']}: {error['message']}"
