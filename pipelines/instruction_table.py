"""The table of instructions: born of what was written about the pictures that were kept.

    groups/instructions-<fingerprint>/<living>/done.json    the units that were born
    units/<unit>-i000-<digest>.parquet                      instructions about a unit's pictures

A unit's name says which of its pictures were alive and what was written about them, so that the
same instructions have the same name whenever they are born.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from operators.coverage import READS, Coverage, measure_coverage
from pipelines.plan import Plan, fingerprint
from pipelines.store import Store, UnitRecord, UnitRef
from pipelines.work import PlainTask, Worker
from schemas.columns import INSTRUCTION, column
from schemas.tables import INSTRUCTIONS

RunTasks = Callable[[str, Sequence[Any]], Iterable[tuple[Any, Any]]]
NAME = INSTRUCTIONS.name


def written(plan: Plan) -> list[str]:
    """The columns of pictures that hold instructions: given ones, then those of stages in order."""
    fields = [*plan.table.born, *(item for stage in plan.stages for item in stage.operator.writes)]
    return [item.name for item in fields if item.type == pa.list_(INSTRUCTION)]


@dataclass(frozen=True)
class BornTask(PlainTask):
    """Make rows of the instructions about a unit's living pictures."""

    ref: UnitRef
    files: dict[str, str]
    unit: str

    @property
    def key(self) -> str:
        return f"unit {self.unit}"

    @property
    def weight(self) -> int:
        return self.ref.rows

    def run(self, worker: Worker) -> int:
        """Write the unit; how many rows it has. The same instruction is written once."""
        plan, store = worker.plan, worker.store
        kept = store.read(f"{plan.folder}/{self.ref.unit}.parquet", ["kept"])["kept"].to_pylist()
        paths = plan.column_paths(self.ref.unit, self.files)
        names = written(plan)
        lists = zip(*(store.zipped(paths, [name])[name].to_pylist() for name in names), strict=True)
        rows: dict[str, dict[str, Any]] = {}
        for number, (alive, found) in enumerate(zip(kept, lists, strict=True)):
            for instruction in (one for many in found if alive for one in many or ()):
                rows.setdefault(instruction["instruction_id"], instruction | {"image_row": number})
        table = pa.Table.from_pylist(list(rows.values()), schema=INSTRUCTIONS.born)
        store.write(f"units/{self.unit}.parquet", table)
        return len(rows)


class InstructionTable:
    """The instructions of one corpus of pictures."""

    def __init__(self, store: Store, plan: Plan) -> None:
        self.store, self.plan = store, plan
        self.folder = f"groups/{NAME}-{fingerprint([s.fingerprint for s in plan.stages])}"
        self.living = ""

    def birth(
        self, refs: Sequence[UnitRef], records: Sequence[UnitRecord], run_tasks: RunTasks
    ) -> list[UnitRef]:
        """The units of instructions, in the order of the units of their pictures."""
        stages = ((stage.name, stage.operator.writes.names) for stage in self.plan.stages)
        wrote = writers(stages)
        names = {record.unit: instruction_unit(record, wrote) for record in records}
        self.living = fingerprint(list(names.values()))
        present = set(self.store.names("units"))
        files = {record.unit: record.files for record in records}
        tasks = [
            BornTask(ref, files[ref.unit], names[ref.unit])
            for ref in refs
            if names[ref.unit] not in present
        ]
        rows = {task.unit: count for task, count in run_tasks("instructions: born", tasks)}
        for unit in names.values():
            if unit not in rows:
                rows[unit] = self._rows(unit)
        born = {unit: [[name, rows[name], ""]] for unit, name in names.items()}
        self.store.write_json(f"{self.folder}/{self.living}/done.json", {"born": born})
        return [
            UnitRef(name, rows[name], ref.uri, ref.source)
            for ref in refs
            if rows[name := names[ref.unit]]
        ]

    def _rows(self, unit: str) -> int:
        with self.store.files.open(f"units/{unit}.parquet") as file:
            rows: int = pq.read_metadata(file).num_rows
        return rows


def writers(stages: Iterable[tuple[str, Iterable[str]]]) -> list[str]:
    """Of stages and the columns that they write, those that write instructions."""
    return [name for name, columns in stages if any(_holds_instructions(c) for c in columns)]


def _holds_instructions(name: str) -> bool:
    return bool(column(name).type == pa.list_(INSTRUCTION))


def instruction_unit(record: UnitRecord, wrote: Iterable[str]) -> str:
    """The unit of the instructions that the stages `wrote` wrote about a unit's pictures."""
    files = {name: record.stages[name].file for name in wrote}
    return f"{record.unit}-i000-{fingerprint(record.alive_digest, files)}"


def accepted_coverage(store: Store, plan: Plan, records: Iterable[UnitRecord]) -> Coverage:
    """What the accepted instructions cover; `records` are those of their units."""
    inner = plan.of(NAME)
    return measure_coverage(_accepted(store, inner, record) for record in records)


def _accepted(store: Store, inner: Plan, record: UnitRecord) -> pa.Table:
    kept = store.read(f"{inner.folder}/{record.unit}.parquet", ["kept"])["kept"]
    return store.zipped(inner.column_paths(record.unit, record.files), READS.names).filter(kept)


def born_units(store: Store, groups: dict[str, Any]) -> Iterator[str]:
    """The units of instructions that a job's last run left, by what it says of its groups."""
    group = groups.get(NAME)
    state = store.read_json(f"{group['folder']}/{group['living']}/done.json") if group else None
    for rows in (state or {"born": {}})["born"].values():
        yield from (name for name, count, _ in rows if count)
