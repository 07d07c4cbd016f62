"""Stages over the whole corpus, run through the store in parts that a kill does not undo.

    groups/<stage>-<fingerprint>/<unit>-<digest>.keys.arrow     records of a unit, by partition
    groups/<stage>-<fingerprint>/<unit>-<digest>.rows.parquet   what is to be known of its rows
    groups/<stage>-<fingerprint>/<living>/found-<i>-of-<n>.parquet   findings on some partitions
    groups/<stage>-<fingerprint>/<living>/resolved.parquet      findings on the whole
    groups/<stage>-<fingerprint>/<living>/done.json             each unit's file among the stage's

A unit's records depend on its living rows alone (`digest`), so that they stay when others come or
go; what is found depends on all of them (`living`). Every task writes one file, last. Those of the
first three phases have names known before and are left out when the file is there.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from operators.base import CorpusOperator, addressed, placed
from pipelines.measure import BATCH_ROWS, stored_schema
from pipelines.plan import Plan, Stage, fingerprint, normal_place
from pipelines.seen import columns_seen
from pipelines.store import DONE, PENDING, StageRecord, Store, UnitRecord, UnitRef
from pipelines.work import PlainTask, Worker, failed_stage
from schemas.errors import InputError

UNIT_ROWS = 1 << 20
"""Addresses of a unit: more than a unit may have rows."""
_BYTES_AT_ONCE = 128 << 20
"""Bytes of records that one task should gather; it takes whole partitions."""
_RESOLVED = "resolved"


@dataclass(frozen=True)
class Part:
    """The records of one unit: `name` below `folder` in the store at `root`."""

    root: str
    folder: str
    name: str
    size: int
    """Bytes of its records."""


@dataclass(frozen=True)
class EarlierCorpus:
    """What a stage knows of an earlier corpus: its records, and a digest of all of them."""

    digest: str
    parts: list[Part]


def groups_folder(stage: Stage) -> str:
    """Where a stage over the whole corpus keeps its records and findings."""
    return f"groups/{stage.name}-{stage.fingerprint}"


@contextmanager
def _told(stage: Stage, doing: str) -> Iterator[None]:
    """Say which stage failed in what."""
    try:
        yield
    except Exception as error:
        raise failed_stage(stage, doing, error) from error


@dataclass(frozen=True)
class UnitPhase(PlainTask):
    """A phase of a stage, over one unit."""

    table: str
    stage: int
    ref: UnitRef
    files: dict[str, str]
    """The unit's file of each earlier stage."""

    @property
    def key(self) -> str:
        return f"unit {self.ref.unit}, stage {self.stage}, {type(self).__name__}"

    @property
    def weight(self) -> int:
        return self.ref.rows


@dataclass(frozen=True)
class WholePhase(PlainTask):
    """A phase of a stage, over records of all units."""

    table: str
    stage: int
    living: str
    parts: tuple[Part, ...]
    of: int
    """How many tasks gather."""

    @property
    def key(self) -> str:
        return f"all units, stage {self.stage}, {type(self).__name__}"

    @property
    def weight(self) -> int:
        return sum(part.size for part in self.parts) // 1000


@dataclass(frozen=True)
class ScatterTask(UnitPhase):
    """Make the records of a unit's living rows."""

    name: str

    def run(self, worker: Worker) -> tuple[Part, float]:
        """Write the rows' side first, so that the records' presence means that both are there."""
        started = time.process_time()
        plan, store = worker.plan.of(self.table), worker.store
        stage = plan.stages[self.stage]
        operator = corpus_operator(stage)
        rows = _living(worker, self, operator.needs().names)
        positions = rows["_row"].to_numpy()
        records, members = _scattered(stage, rows.drop_columns(["_row"]), positions)
        folder = groups_folder(stage)
        if members is not None:
            store.write(f"{folder}/{self.name}.rows.parquet", members)
        part = write_records(store, folder, self.name, operator.partitions, records)
        return part, time.process_time() - started


def write_records(store: Store, folder: str, name: str, partitions: int, records: pa.Table) -> Part:
    """Write records, divided into partitions."""
    data = _partitioned(partitions, records)
    store.files.write(f"{folder}/{name}.keys.arrow", data)
    return Part(store.files.root, folder, name, len(data))


def _scattered(
    stage: Stage, rows: pa.Table, positions: np.ndarray[Any, Any]
) -> tuple[pa.Table, pa.Table | None]:
    """Records and members of rows that stand at `positions` of their unit."""
    operator = corpus_operator(stage)
    records: list[pa.Table] = []
    members: list[pa.Table] = []
    for start in range(0, max(rows.num_rows, 1), BATCH_ROWS):
        batch = rows.slice(start, BATCH_ROWS)
        with _told(stage, "scatter"):
            made, known = operator.scatter(batch), operator.members(batch)
        records.append(_moved(made, positions[start:]))
        if known is not None:
            members.append(_moved(known, positions[start:]))
    return pa.concat_tables(records), pa.concat_tables(members) if members else None


def _moved(table: pa.Table, positions: np.ndarray[Any, Any]) -> pa.Table:
    """The table with positions in the unit in place of those in the batch."""
    rows = pa.array(positions[table["row"].to_numpy()], pa.int32())
    return table.set_column(table.column_names.index("row"), "row", rows)


def _partitioned(partitions: int, records: pa.Table) -> bytes:
    """The records as an Arrow file with one batch a partition, by key and row inside it."""
    partition = _partition_of(records["key"].to_numpy(), partitions)
    order = np.lexsort((records["row"].to_numpy(), records["key"].to_numpy(), partition))
    records = records.take(pa.array(order)).combine_chunks()
    bounds = np.searchsorted(partition[order], np.arange(partitions + 1))
    sink = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with pa.ipc.new_file(sink, records.schema, options=options) as writer:
        for low, high in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
            part = records.slice(low, high - low).combine_chunks()
            arrays = [column.combine_chunks() for column in part.columns]
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=records.schema))
    return sink.getvalue()


def _partition_records(parts: Sequence[Part], partitions: Sequence[int], rows: int) -> pa.Table:
    """The records of some partitions of all parts, each part with `rows` addresses."""
    tables = []
    for number, part in enumerate(parts):
        with Store(part.root).files.open(f"{part.folder}/{part.name}.keys.arrow") as file:
            reader = pa.ipc.open_file(file)
            batches = [reader.get_batch(partition) for partition in partitions]
        table = pa.Table.from_batches(batches, schema=reader.schema)
        tables.append(addressed(table, number * rows))
    return pa.concat_tables(tables)


def _partition_of(keys: np.ndarray[Any, Any], partitions: int) -> np.ndarray[Any, Any]:
    return (keys % np.uint64(partitions)).astype(np.int64)


def _living(worker: Worker, phase: UnitPhase, names: Iterable[str]) -> pa.Table:
    """The named columns of the unit's rows that are alive before a stage, and their `_row`."""
    store, unit = worker.store, phase.ref.unit
    plan = worker.plan.of(phase.table).upto(phase.stage)
    verdicts = store.read(f"{plan.folder}/{unit}.parquet", ["kept"])
    rows = pc.indices_nonzero(verdicts["kept"].combine_chunks())
    paths = plan.column_paths(unit, phase.files)
    names = list(names) or plan.table.born.names[:1]
    columns = columns_seen(store, worker.plan, plan.table, unit, paths, names, rows=rows)
    return columns.append_column("_row", rows)


@dataclass(frozen=True)
class GatherPhase(WholePhase):
    """A phase that takes a share of the partitions: number `number` of `of`."""

    number: int

    @property
    def key(self) -> str:
        return f"{super().key} {self.number}"

    def records(self, parts: Sequence[Part], partitions: int, rows: int = UNIT_ROWS) -> pa.Table:
        """The share's records of all parts, each part with `rows` addresses."""
        mine = range(partitions * self.number // self.of, partitions * (self.number + 1) // self.of)
        return _partition_records(parts, mine, rows)


class GatherTask(GatherPhase):
    """Find out what some partitions' records tell."""

    def run(self, worker: Worker) -> float:
        """Read the partitions of every unit, gather them, write what was found."""
        started = time.process_time()
        stage = worker.plan.of(self.table).stages[self.stage]
        operator = corpus_operator(stage)
        records = self.records(self.parts, operator.partitions)
        with _told(stage, "gather"):
            found = operator.gather(records)
        path = f"{groups_folder(stage)}/{self.living}/{_found(self.number, self.of)}.parquet"
        write_found(worker.store, path, found)
        return time.process_time() - started


def _found(number: int, of: int) -> str:
    return f"found-{number}-of-{of}"


def write_found(store: Store, path: str, found: pa.Table) -> None:
    """Write findings by address, with statistics, so that a unit's can be read alone."""
    sink = io.BytesIO()
    pq.write_table(found.sort_by("address"), sink, compression="zstd", row_group_size=1 << 16)
    store.files.write(path, sink.getvalue())


@dataclass(frozen=True)
class ResolveTask(WholePhase):
    """Make the findings on all partitions one."""

    first: int
    """How many parts belong to earlier corpora; they come first."""

    def run(self, worker: Worker) -> float:
        """Write what all findings together say of each row."""
        started = time.process_time()
        stage = worker.plan.of(self.table).stages[self.stage]
        folder = f"{groups_folder(stage)}/{self.living}"
        names = [_found(number, self.of) for number in range(self.of)]
        found = pa.concat_tables(worker.store.read(f"{folder}/{name}.parquet") for name in names)
        operator = corpus_operator(stage)
        with _told(stage, "resolve"):
            resolved = operator.resolve(found, self._members, self.first * UNIT_ROWS)
        write_found(worker.store, f"{folder}/{_RESOLVED}.parquet", resolved)
        return time.process_time() - started

    def _members(self, addresses: pa.Array, names: Sequence[str]) -> pa.Table:
        """The named columns of what is known of the rows at `addresses`, which are sorted."""
        wanted = addresses.to_numpy()
        tables = []
        for number, part in enumerate(self.parts):
            low, high = np.searchsorted(wanted, [number * UNIT_ROWS, (number + 1) * UNIT_ROWS])
            if low < high:
                rows = self._rows(part, names)
                mine = pa.array(wanted[low:high] - number * UNIT_ROWS, pa.int32())
                chosen = rows.take(pc.index_in(mine, rows["row"].combine_chunks()))
                tables.append(addressed(chosen, number * UNIT_ROWS))
        if tables:
            return pa.concat_tables(tables)
        return addressed(self._rows(self.parts[0], names).slice(0, 0), 0)

    def _rows(self, part: Part, names: Sequence[str]) -> pa.Table:
        return Store(part.root).read(f"{part.folder}/{part.name}.rows.parquet", ["row", *names])


@dataclass(frozen=True)
class AssignTask(UnitPhase):
    """Make the stage's columns of what was found about a unit's rows."""

    living: str
    number: int
    """The unit's place among the parts."""
    found: tuple[str, ...]

    def run(self, worker: Worker) -> tuple[str, float]:
        """Write the unit's file; its name and the CPU seconds."""
        started = time.process_time()
        plan, store = worker.plan.of(self.table), worker.store
        stage = plan.stages[self.stage]
        operator = corpus_operator(stage)
        rows = _living(worker, self, operator.assign_needs().names)
        positions = rows["_row"].to_numpy()
        with _told(stage, "assign"):
            columns = operator.assign(self._placed(store, stage, positions), rows)
        place = np.full(self.ref.rows, -1)
        place[positions] = np.arange(len(positions))
        spread = columns.take(pa.array(place, mask=place < 0))
        states = pa.array(np.where(place < 0, PENDING, DONE), pa.uint8())
        schema = stored_schema(operator)
        arrays = [column.combine_chunks() for column in spread.columns]
        errors = pa.nulls(self.ref.rows, schema.field(-1).type)
        table = pa.Table.from_arrays([*arrays, states, errors], schema=schema)
        file = store.write_addressed(stage.folder, self.ref.unit, table)
        return file, time.process_time() - started

    def _placed(self, store: Store, stage: Stage, positions: np.ndarray[Any, Any]) -> pa.Table:
        """The findings about the unit's living rows, with their place among these as `row`."""
        folder = f"{groups_folder(stage)}/{self.living}"
        found = findings(store, [f"{folder}/{name}.parquet" for name in self.found], self.number)
        rows = np.searchsorted(positions, found["row"].to_numpy())
        index = found.column_names.index("row")
        return found.set_column(index, "row", pa.array(rows, pa.int32()))


def findings(store: Store, paths: Iterable[str], number: int) -> pa.Table:
    """The findings about the rows of one unit, by `row`."""
    low, high = number * UNIT_ROWS, (number + 1) * UNIT_ROWS
    inside = (pc.field("address") >= low) & (pc.field("address") < high)
    tables = []
    for path in paths:
        with store.files.open(path) as file:
            tables.append(pq.read_table(file, filters=inside))
    return placed(pa.concat_tables(tables).combine_chunks(), low, UNIT_ROWS)


def corpus_operator(stage: Stage) -> CorpusOperator:
    """The stage's operator, which is one over the whole corpus."""
    assert isinstance(stage.operator, CorpusOperator)
    return stage.operator


RunTasks = Callable[[str, Sequence[Any]], Iterator[tuple[Any, Any]]]


def made_parts(
    store: Store, folder: str, phase: str, tasks: Sequence[Any], run_tasks: RunTasks
) -> tuple[list[Part], float]:
    """The records that tasks make, each under its name, where they are missing; CPU seconds."""
    listed = {info.path: info.size for info in store.files.list(folder)}
    sizes = {task.name: listed.get(f"{folder}/{task.name}.keys.arrow") for task in tasks}
    parts = {
        name: Part(store.files.root, folder, name, size)
        for name, size in sizes.items()
        if size is not None
    }
    total = 0.0
    missing = [task for task in tasks if task.name not in parts]
    for task, (part, seconds) in run_tasks(phase, missing):
        parts[task.name] = part
        total += seconds
    return [parts[task.name] for task in tasks], total


def gathering_tasks(partitions: int, parts: Iterable[Part]) -> int:
    """How many tasks gather the records, each whole partitions."""
    total = sum(part.size for part in parts)
    return min(partitions, max(1, -(-total // _BYTES_AT_ONCE)))


class CorpusStage:
    """One run of one stage over the whole corpus."""

    def __init__(
        self, store: Store, plan: Plan, index: int, earlier: Sequence[EarlierCorpus]
    ) -> None:
        self.store, self.table, self.index = store, plan.table.name, index
        self.stage = plan.stages[index]
        self.operator = corpus_operator(self.stage)
        self.folder = groups_folder(self.stage)
        self.earlier = earlier
        self.cpu_seconds = 0.0

    def run(
        self, refs: list[UnitRef], records: list[UnitRecord], run_tasks: RunTasks
    ) -> tuple[str, dict[str, StageRecord]]:
        """Which living rows the stage was made for, and its file for each unit.

        `records` are the verdicts of the units before this stage.
        """
        if not refs:
            return "", {}
        names = [self._records_of(record) for record in records]
        living = fingerprint(names, [corpus.digest for corpus in self.earlier])
        done = self._done(living)
        if done is not None:
            return living, {ref.unit: StageRecord(done[ref.unit]) for ref in refs}
        files = {record.unit: record.files for record in records}
        own = self._scatter(refs, names, files, run_tasks)
        parts = tuple(part for corpus in self.earlier for part in corpus.parts) + tuple(own)
        found = self._gather(living, parts, len(parts) - len(own), run_tasks)
        made = self._assign(living, refs, files, len(parts) - len(own), found, run_tasks)
        state = {"units": made, "parts": [asdict(part) | {"root": ""} for part in own]}
        self.store.write_json(f"{self.folder}/{living}/done.json", state)
        share = self.cpu_seconds / max(len(refs), 1)
        kept = {record.unit: record.kept for record in records}
        return living, {
            unit: StageRecord(file, computed=kept[unit], cpu_seconds=share)
            for unit, file in made.items()
        }

    def _records_of(self, record: UnitRecord) -> str:
        """Name of a unit's records: which rows are alive, and what is read of them."""
        read = {name: record.stages[name].file for name in sorted(record.stages)}
        origins = set(self.stage.origins.values())
        files = [file for name, file in read.items() if name in origins]
        return f"{record.unit}-{fingerprint(record.alive_digest, files)}"

    def _done(self, living: str) -> dict[str, str] | None:
        """The units' files, if this very corpus went through the stage and they are all there."""
        state = self.store.read_json(f"{self.folder}/{living}/done.json")
        if state is None or not set(state["units"].values()) <= set(
            self.store.names(self.stage.folder)
        ):
            return None
        units: dict[str, str] = state["units"]
        return units

    def _scatter(
        self,
        refs: list[UnitRef],
        names: list[str],
        files: dict[str, dict[str, str]],
        run_tasks: RunTasks,
    ) -> list[Part]:
        tasks = [
            ScatterTask(self.table, self.index, ref, files[ref.unit], name)
            for ref, name in zip(refs, names, strict=True)
        ]
        parts, seconds = made_parts(
            self.store, self.folder, f"{self.stage.name}: keys", tasks, run_tasks
        )
        self.cpu_seconds += seconds
        return parts

    def _gather(
        self, living: str, parts: tuple[Part, ...], first: int, run_tasks: RunTasks
    ) -> tuple[str, ...]:
        """The names of the files that hold what was found."""
        of = gathering_tasks(self.operator.partitions, parts)
        listed = set(self.store.names(f"{self.folder}/{living}"))
        names = tuple(_found(number, of) for number in range(of))
        tasks = [
            GatherTask(self.table, self.index, living, parts, of, number)
            for number, name in enumerate(names)
            if name not in listed
        ]
        for _, seconds in run_tasks(f"{self.stage.name}: groups", tasks):
            self.cpu_seconds += seconds
        if not self.operator.resolves:
            return names
        if _RESOLVED not in listed or tasks:
            task = ResolveTask(self.table, self.index, living, parts, of, first)
            for _, seconds in run_tasks(f"{self.stage.name}: clusters", [task]):
                self.cpu_seconds += seconds
        return (_RESOLVED,)

    def _assign(
        self,
        living: str,
        refs: list[UnitRef],
        files: dict[str, dict[str, str]],
        first: int,
        found: tuple[str, ...],
        run_tasks: RunTasks,
    ) -> dict[str, str]:
        tasks = [
            AssignTask(self.table, self.index, ref, files[ref.unit], living, first + number, found)
            for number, ref in enumerate(refs)
        ]
        names: dict[str, str] = {}
        for task, (file, seconds) in run_tasks(f"{self.stage.name}: columns", tasks):
            names[task.ref.unit] = file
            self.cpu_seconds += seconds
        return {ref.unit: names[ref.unit] for ref in refs}


def comparable(plan: Plan, stage: Stage) -> str:
    """Stands for what two corpora must have in common for their records to be compared."""
    operator = corpus_operator(stage)
    makers = [
        (made.operator.name, made.operator.version, made.operator.model_dump())
        for made in plan.stages
        if set(made.operator.writes.names) & set(operator.same_stages)
    ]
    return fingerprint(operator.name, operator.version, operator.key_config(), makers)


def earlier_corpora(plan: Plan, stage: Stage) -> list[EarlierCorpus]:
    """What the stores that the stage is to compare with hold for it.

    Raises:
        InputError: a store has no such job, or it did not go through such a stage.
    """
    asked: tuple[str, ...] = getattr(stage.operator, "against", ())
    found = [_earlier_corpus(plan, stage, index, place) for index, place in enumerate(asked)]
    return list({corpus.digest: corpus for corpus in found}.values())


def _earlier_corpus(plan: Plan, stage: Stage, index: int, place: str) -> EarlierCorpus:
    field = f"{plan.jobfile.file}: stages.{stage.name}.against.{index}: '{place}'"
    root, _, job = place.partition("#")
    store = Store(root)
    infos = store.files.list("jobs")
    jobs = [info.path.rpartition("/")[2].removesuffix(".json") for info in infos]
    if not jobs or (job and job not in jobs):
        what = f"has no job '{job}'" if jobs else "holds no corpus"
        raise InputError(f"{field} {what}\n    fix: name a store, or STORE#JOB, of {jobs or 'one'}")
    if not job and len(jobs) > 1:
        fix = f"say which: {root}#{jobs[0]}"
        raise InputError(f"{field} holds several jobs: {', '.join(jobs)}\n    fix: {fix}")
    job = job or jobs[0]
    if (normal_place(root), job) == (normal_place(plan.jobfile.job.store), plan.jobfile.name):
        fix = "inputs that are added to a job need no 'against'"
        raise InputError(f"{field} is this job itself\n    fix: {fix}")
    reference = store.read_json(f"jobs/{job}.json")
    group = reference.get("done", {}).get("groups", {}).get(stage.name)
    state = group and store.read_json(f"{group['folder']}/{group['living']}/done.json")
    if not state:
        fix = f"run that job to its end with the stage '{stage.name}' in it"
        raise InputError(f"{field} has no records of this stage\n    fix: {fix}")
    if group["comparable"] != comparable(plan, stage):
        fix = "give both jobs the same parameters of this stage and of those that it reads"
        raise InputError(f"{field} was made with other parameters\n    fix: {fix}")
    parts = [Part(**(part | {"root": root})) for part in state["parts"]]
    there = {info.path for info in store.files.list(group["folder"])}
    if not {f"{part.folder}/{part.name}.keys.arrow" for part in parts} <= there:
        raise InputError(f"{field} has lost records of this stage\n    fix: run that job again")
    return EarlierCorpus(fingerprint(group), parts)
