"""The units of work. Each task is idempotent and commits by one atomic write at its end.

    IndexTask   one input            -> its units, its image captures, its record
    UnitTask    a chain of stages over one unit -> a column file a stage, then the verdicts
    ShardTask   a run of kept documents -> one export file

A worker holds what tasks share: the plan, the store, and the operators' loaded state.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from operators.base import ERROR_COLUMN, Operator, Resources
from operators.export import FORMATS
from operators.files import Files
from operators.rules import Rule
from operators.sources import Page, Picture, Skipped
from pipelines.plan import PAYLOAD_COLUMN, Plan, Stage, fingerprint, source_fingerprint
from pipelines.store import (
    DONE,
    ENGINE_FIELDS,
    ERRORS,
    FAILED,
    PENDING,
    STATE,
    InputRecord,
    RuleRecord,
    StageRecord,
    Store,
    UnitRecord,
    UnitRef,
    coverage,
)
from schemas.columns import ERROR, column
from schemas.errors import OmniloomError, OperatorFailed
from schemas.job import ExportSpec
from schemas.tables import DOCUMENTS, IMAGES

_PAYLOAD_ADDRESS = ("source_file", "source_offset", "source_record", "payload_bytes")
BATCH_ROWS = 256
BATCH_PAYLOAD_BYTES = 64 << 20


class Worker:
    """One process's share of a run: plan, store, and the state of operators, loaded once."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.store = Store(plan.jobfile.job.store)
        self._states: dict[str, Any] = {}

    def state(self, stage: Stage) -> Any:
        """The stage's loaded state."""
        if stage.fingerprint not in self._states:
            try:
                self._states[stage.fingerprint] = stage.operator.setup()
            except Exception as error:
                raise _failed(stage, "setup", error) from error
        return self._states[stage.fingerprint]


class Task(Protocol):
    """A piece of work that a backend hands to a worker."""

    @property
    def key(self) -> str:
        """A name for messages."""

    @property
    def weight(self) -> int:
        """How much progress it stands for."""

    def resources(self, plan: Plan) -> Resources:
        """What its worker needs."""

    def stateful(self, plan: Plan) -> bool:
        """True when its worker should stay alive for the next such task."""

    def run(self, worker: Worker) -> Any:
        """Do the work and commit it."""

    def following(self, plan: Plan, result: Any) -> Task | None:
        """The task that goes on with this one's result, if any."""


class _Plain:
    """Defaults of a task that needs one CPU and is done when it returns."""

    def resources(self, plan: Plan) -> Resources:
        return Resources()

    def stateful(self, plan: Plan) -> bool:
        return False

    def following(self, plan: Plan, result: Any) -> Task | None:
        return None


def _failed(stage: Stage, doing: str, error: Exception) -> OmniloomError:
    if isinstance(error, OmniloomError):
        return error
    place = f"stage '{stage.name}' ({stage.operator.name})"
    return OperatorFailed(f"{place} failed in {doing}: {described(error)}")


def described(error: Exception) -> str:
    """Class, message and innermost place of an exception, for one that crosses processes."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{place}"


# --- Index --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class IndexTask(_Plain):
    """Find the pages and images of one input and fix its units."""

    input: int
    record_key: str
    size: int

    @property
    def key(self) -> str:
        return f"input {self.input}"

    @property
    def weight(self) -> int:
        return self.size

    def run(self, worker: Worker) -> InputRecord:
        """Write the units, then the record that makes them exist."""
        store, entry = worker.store, worker.plan.inputs[self.input]
        unit_rows = worker.plan.jobfile.job.unit_rows
        sha256 = entry.source.checksum(entry.uri)
        layout = source_fingerprint(entry.source, unit_rows)
        stem = fingerprint(layout, sha256) + sha256[:4]
        pages: list[Page] = []
        pictures: list[Picture] = []
        skipped: Counter[str] = Counter()
        units: list[tuple[str, int]] = []

        def flush() -> None:
            unit = f"{stem}-{len(units):05d}"
            table = pa.Table.from_pylist([asdict(page) for page in pages], schema=DOCUMENTS.born)
            store.write(f"units/{unit}.parquet", table)
            units.append((unit, len(pages)))
            pages.clear()

        for found in entry.source.index(entry.uri):
            match found:
                case Page():
                    pages.append(found)
                    if len(pages) == unit_rows:
                        flush()
                case Picture():
                    pictures.append(found)
                case Skipped(reason):
                    skipped[reason] += 1
        if pages:
            flush()
        if pictures:
            table = pa.Table.from_pylist([asdict(p) for p in pictures], schema=IMAGES.born)
            store.write(f"images/{stem}.parquet", table)
        record = InputRecord(
            uri=entry.uri,
            source={"name": entry.source.name, **entry.source.model_dump(mode="json")},
            stem=stem,
            sha256=sha256,
            size=self.size,
            units=units,
            pages=sum(rows for _, rows in units),
            images=len(pictures),
            skipped=dict(sorted(skipped.items())),
        )
        store.write_input_record(self.record_key, record)
        return record


# --- Unit ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class UnitTask:
    """Bring one unit's columns up to date, and judge its rows when the last stage is done.

    `stages` is how many stages, from the first, this task may compute: backends that give stages
    workers of their own cut the chain there and go on with `following`.
    """

    ref: UnitRef
    files: dict[str, list[str]]
    """Stage files of the unit that the store holds, by stage."""
    groups: tuple[int, ...]
    """Stage counts at which to cut the chain; the last is the last stage to compute."""
    forced: frozenset[str] = frozenset()
    """Stages whose stored results are not to be used."""
    retry_errors: bool = False
    last: bool = True
    """Whether verdicts are written; false when only some stages are asked for."""
    made: dict[str, StageRecord] = field(default_factory=dict)
    """What earlier parts of the chain have made in this run."""

    @property
    def key(self) -> str:
        return f"unit {self.ref.unit}"

    @property
    def weight(self) -> int:
        return self.ref.rows

    def _members(self, plan: Plan) -> list[Stage]:
        return [stage for stage in plan.stages[: self.groups[0]] if stage.name not in self.made]

    def resources(self, plan: Plan) -> Resources:
        """The greatest request among the stages of this part of the chain."""
        needs = [stage.resources for stage in self._members(plan)]
        return Resources(max(n.cpus for n in needs), max(n.gpus for n in needs))

    def stateful(self, plan: Plan) -> bool:
        """True when a stage of this part loads something costly."""
        return any(stage.operator.stateful for stage in self._members(plan))

    def run(self, worker: Worker) -> UnitRecord:
        """Compute what is missing, stage by stage; then write the verdicts."""
        chain = _Chain(self, worker)
        for index, stage in enumerate(worker.plan.stages[: self.groups[0]]):
            chain.bring_up_to_date(stage)
            chain.judge(worker.plan.rules_after(index))
        if self.last and len(self.groups) == 1:
            chain.commit()
        return chain.record

    def following(self, plan: Plan, result: UnitRecord) -> Task | None:
        """The next part of the chain, which takes over what this one made."""
        if len(self.groups) == 1:
            return None
        return replace(self, groups=self.groups[1:], made=result.stages)


class _Chain:
    """The state of one unit while its stages run: columns at hand, and which rows are alive."""

    def __init__(self, task: UnitTask, worker: Worker) -> None:
        self.task, self.worker, self.store = task, worker, worker.store
        self.record = UnitRecord(task.ref.unit, task.ref.rows)
        self.alive = pa.array([True] * task.ref.rows, pa.bool_())
        self.dropped_by: list[str | None] = [None] * task.ref.rows
        self.verdicts: dict[str, pa.Array] = {}
        self.nodes_kept: pa.ListArray | None = None
        self._paths = dict.fromkeys(DOCUMENTS.born.names, f"units/{task.ref.unit}.parquet")
        self._fresh: dict[str, pa.Table] = {}

    # Columns

    def columns(self, names: Iterable[str]) -> pa.Table:
        """The named columns of the whole unit, from this task's own results or from the store."""
        return self.store.zipped(self._paths, names, self._fresh)

    # Stages

    def bring_up_to_date(self, stage: Stage) -> None:
        """Compute the living rows that no stored file covers, and point at the file that does."""
        name, stored = self._best(stage)
        states = stored[STATE] if stored is not None else pa.chunked_array([_zeros(self.alive)])
        missing = self._missing(stage, states)
        report = self.task.made.get(stage.name) or StageRecord(name, computed=len(missing))
        if len(missing) or stored is None:
            started = time.process_time()
            fresh = self._compute(stage, missing)
            report.cpu_seconds = time.process_time() - started
            full = _merged(stage, stored, fresh, missing, len(self.alive))
            states = full[STATE]
            report.file = f"{self.task.ref.unit}-{coverage(bytes(states.to_pylist()))}"
            path = f"{stage.folder}/{report.file}.parquet"
            self.store.write(path, full)
            self._fresh[path] = full
        path = f"{stage.folder}/{report.file}.parquet"
        self._paths |= dict.fromkeys(stage.operator.writes.names, path)
        failed = pc.and_(pc.equal(states, FAILED), self.alive).combine_chunks()
        report.failed = _count(failed)
        report.reused = _count(self.alive) - report.computed
        self.record.stages[stage.name] = report
        self._drop(failed, f"error: {stage.name}")

    def _missing(self, stage: Stage, states: pa.ChunkedArray) -> pa.Array:
        """The rows to compute: alive and pending, or failed when errors are tried again."""
        wanted = pc.equal(states, PENDING)
        if self.task.retry_errors and stage.name not in self.task.made:
            wanted = pc.or_(wanted, pc.equal(states, FAILED))
        return pc.indices_nonzero(pc.and_(wanted, self.alive).combine_chunks())

    def _best(self, stage: Stage) -> tuple[str, pa.Table | None]:
        """The stored file that covers most living rows, by name, and its states.

        Where it must be merged with new rows, all its columns.
        """
        if stage.name in self.task.made:
            names = [self.task.made[stage.name].file]
        elif stage.name in self.task.forced:
            names = []
        else:
            names = sorted(self.task.files.get(stage.name, []))
        best, most, found = "", -1, None
        for name in names:
            table = self.store.read(f"{stage.folder}/{name}.parquet", [STATE])
            covered = _count(pc.and_(pc.not_equal(table[STATE], PENDING), self.alive))
            if covered > most:
                best, most, found = name, covered, table
        if found is not None and len(self._missing(stage, found[STATE])):
            return best, self.store.read(f"{stage.folder}/{best}.parquet")
        return best, found

    def _compute(self, stage: Stage, missing: pa.Array) -> pa.Table:
        operator = stage.operator
        schema = _stored_schema(operator)
        if not len(missing):
            return schema.empty_table()
        payload = PAYLOAD_COLUMN in operator.reads.names
        names = [name for name in operator.reads.names if name != PAYLOAD_COLUMN]
        needed = dict.fromkeys([*names, *(_PAYLOAD_ADDRESS if payload else ())])
        rows = self.columns(needed).take(missing)
        sizes = rows["payload_bytes"].to_pylist() if payload else None
        parts = []
        for start, length in _batches(rows.num_rows, sizes):
            batch = rows.slice(start, length)
            parts.append(self._measure(stage, batch, payload=payload))
        return pa.concat_tables(parts)

    def _measure(self, stage: Stage, batch: pa.Table, *, payload: bool) -> pa.Table:
        """Measure one batch. A row whose page cannot be read fails without being measured."""
        operator, errors = stage.operator, pa.nulls(batch.num_rows, ERROR)
        readable = batch
        if payload:
            entry = self.worker.plan.inputs[self.task.ref.source]
            pages = entry.source.payload(entry.uri, batch)
            errors = pages[ERROR_COLUMN].combine_chunks()
            readable = batch.append_column(pages.schema.field(0), pages[PAYLOAD_COLUMN])
            readable = readable.filter(pc.is_null(errors))
        try:
            result = operator.measure(
                readable.select(operator.reads.names), self.worker.state(stage)
            )
        except Exception as error:
            raise _failed(stage, f"unit {self.task.ref.unit}", error) from error
        checked = _checked(stage, result, readable.num_rows)
        if readable.num_rows == batch.num_rows:
            return checked
        return _with_unreadable(checked, errors)

    # Rules

    def judge(self, rules: list[Rule]) -> None:
        """Decide rules whose columns are all there, for the rows alive when their stage ended."""
        asked = self.alive
        for rule in rules:
            if rule.table == "nodes":
                self._judge_nodes(rule)
                continue
            frame = pl.from_arrow(self.columns(rule.expression.columns or ["doc_id"]))
            passed = _passes(rule, frame)
            dropped = pc.and_(asked, pc.invert(passed))
            first = pc.and_(dropped, self.alive)
            self.record.rules[rule.name] = RuleRecord(_count(asked), _count(dropped), _count(first))
            self.verdicts[rule.name] = pc.if_else(asked, passed, None)
            self._drop(dropped, rule.name)

    def _judge_nodes(self, rule: Rule) -> None:
        """Judge the nodes that have text; an image is never dropped with its neighbours."""
        nodes = self.columns(["nodes"])["nodes"].combine_chunks()
        nodes = pc.if_else(self.alive, nodes, None)
        has_text = pc.is_valid(pc.struct_field(pc.list_flatten(nodes), "text"))
        parents = pc.list_parent_indices(nodes)
        flat = {"": parents}  # so that a rule without columns has rows too
        for name in rule.expression.columns:
            values = self.columns([name])[name].combine_chunks()
            if column(name).level == "node":
                flat[name] = pc.list_flatten(pc.if_else(self.alive, values, None))
            else:
                flat[name] = values.take(parents)
        passed = _passes(rule, pl.from_arrow(pa.table(flat)))
        passed = pc.or_(passed, pc.invert(has_text))
        self.verdicts[rule.name] = _relisted(passed, nodes)
        kept, first = passed, _count(pc.invert(passed))
        if self.nodes_kept is not None:
            before = pc.list_flatten(pc.if_else(self.alive, self.nodes_kept, None))
            kept = pc.and_(passed, before)
            first = _count(before) - _count(kept)
        self.nodes_kept = _relisted(kept, nodes)
        self.record.rules[rule.name] = RuleRecord(
            _count(has_text), _count(pc.invert(passed)), first
        )

    def _drop(self, dropped: pa.Array, reason: str) -> None:
        first = pc.and_(dropped, self.alive)
        for row in pc.indices_nonzero(first).to_pylist():
            self.dropped_by[row] = reason
        self.alive = pc.and_(self.alive, pc.invert(dropped))

    # Commit

    def commit(self) -> None:
        """Write the verdicts with the unit's record: the unit is done."""
        columns: dict[str, pa.Array] = {
            "kept": self.alive,
            "dropped_by": pa.array(self.dropped_by, pa.string()),
        }
        if self.nodes_kept is not None:
            columns["nodes_kept"] = pc.if_else(self.alive, self.nodes_kept, None)
        columns |= {f"rule.{name}": verdict for name, verdict in self.verdicts.items()}
        sizes = self.columns(["payload_bytes"])["payload_bytes"].combine_chunks()
        self.record.kept = _count(self.alive)
        marks = [self.alive.to_pylist()]
        if self.nodes_kept is not None:
            marks.append(columns["nodes_kept"].to_pylist())
        self.record.kept_digest = fingerprint(marks)
        self.record.kept_bytes = pc.sum(sizes.filter(self.alive)).as_py() or 0
        self.store.write_verdicts(self.worker.plan.folder, pa.table(columns), self.record)


def _zeros(like: pa.Array) -> pa.Array:
    return pa.array([PENDING] * len(like), pa.uint8())


def _count(mask: pa.Array) -> int:
    return int(pc.sum(mask).as_py() or 0)


def _passes(rule: Rule, frame: pl.DataFrame | pl.Series) -> pa.Array:
    assert isinstance(frame, pl.DataFrame)  # from_arrow of a table
    passed = frame.select(rule.passes().alias("passed"))["passed"]
    if len(passed) != len(frame):  # a rule without columns is a constant
        passed = pl.Series([passed.item()] * len(frame), dtype=pl.Boolean)
    return passed.to_arrow()


def _relisted(flat: pa.Array, like: pa.ListArray) -> pa.ListArray:
    """The flat values as lists of the lengths of `like`, null where it is null."""
    lengths = pc.fill_null(pc.list_value_length(like), 0).to_pylist()
    offsets = [0]
    for length in lengths:
        offsets.append(offsets[-1] + length)
    lists = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), flat)
    return pc.if_else(pc.is_valid(like), lists, None)


def _stored_schema(operator: Operator[Any]) -> pa.Schema:
    """The operator's columns, nullable, and the engine's own two."""
    fields = [pa.field(f.name, f.type) for f in operator.writes]
    return pa.schema([*fields, *ENGINE_FIELDS])


def _checked(stage: Stage, result: pa.Table, rows: int) -> pa.Table:
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
    return pa.Table.from_arrays([*arrays, states, errors], schema=_stored_schema(stage.operator))


def _with_unreadable(measured: pa.Table, errors: pa.Array) -> pa.Table:
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


def _merged(
    stage: Stage, stored: pa.Table | None, fresh: pa.Table, missing: pa.Array, rows: int
) -> pa.Table:
    """One row a row of the unit: fresh where computed now, else stored, else pending."""
    schema = _stored_schema(stage.operator)
    place: list[int | None] = [None] * rows if stored is None else list(range(rows))
    base = 0 if stored is None else rows
    for offset, row in enumerate(missing.to_pylist()):
        place[row] = base + offset
    parts = [fresh] if stored is None else [stored.select(schema.names), fresh]
    table = pa.concat_tables(parts).combine_chunks().take(pa.array(place, pa.int64()))
    states = pc.fill_null(table[STATE], PENDING)
    position = schema.get_field_index(STATE)
    return table.set_column(position, schema.field(STATE), states).cast(schema)


def _batches(rows: int, sizes: list[int] | None) -> Iterator[tuple[int, int]]:
    """Starts and lengths of batches bounded in rows, and in payload bytes where sizes are known."""
    start = volume = 0
    for row in range(rows):
        size = sizes[row] if sizes else 0
        full = row - start >= BATCH_ROWS or (volume + size > BATCH_PAYLOAD_BYTES and row > start)
        if full:
            yield start, row - start
            start, volume = row, 0
        volume += size
    if rows > start:
        yield start, rows - start


# --- Shard --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Slice:
    """Kept documents `start` to `stop` of a unit, and the stage files that hold their columns."""

    unit: str
    start: int
    stop: int
    files: dict[str, str]


@dataclass(frozen=True)
class ShardRecord:
    """A finished shard file."""

    name: str
    rows: int
    size: int
    sha256: str


@dataclass(frozen=True)
class ShardTask(_Plain):
    """Write one export file."""

    export: ExportSpec
    name: str
    slices: tuple[Slice, ...]

    @property
    def key(self) -> str:
        return f"shard {self.name}"

    @property
    def weight(self) -> int:
        return sum(part.stop - part.start for part in self.slices)

    def run(self, worker: Worker) -> ShardRecord:
        """Write to a temporary file, then put it in place whole."""
        kind = FORMATS[self.export.format]
        with tempfile.TemporaryDirectory(prefix="omniloom-") as folder:
            path = Path(folder) / "shard"
            writer = kind.writer(path, self.export.row_group_rows)
            rows = 0
            for part in self.slices:
                documents = kept_documents(worker, part, kind.reads)
                rows += documents.num_rows
                writer.write(documents)
            writer.close()
            data = path.read_bytes()
        Files(self.export.to).write(self.name, data)
        return ShardRecord(self.name, rows, len(data), hashlib.sha256(data).hexdigest())


def kept_documents(worker: Worker, part: Slice, names: Iterable[str]) -> pa.Table:
    """The named columns of a slice's kept documents, without the nodes that rules dropped."""
    plan, store = worker.plan, worker.store
    verdicts = store.read(f"{plan.folder}/{part.unit}.parquet")
    chosen = pc.indices_nonzero(verdicts["kept"].combine_chunks())[part.start : part.stop]
    paths = dict.fromkeys(DOCUMENTS.born.names, f"units/{part.unit}.parquet")
    for stage in plan.stages:
        path = f"{stage.folder}/{part.files[stage.name]}.parquet"
        paths |= dict.fromkeys(stage.operator.writes.names, path)
    documents = store.zipped(paths, names).take(chosen)
    if "nodes_kept" not in verdicts.column_names or "nodes" not in documents.column_names:
        return documents
    nodes = surviving_nodes(documents["nodes"], verdicts["nodes_kept"].take(chosen))
    return documents.set_column(documents.column_names.index("nodes"), "nodes", nodes)


def surviving_nodes(nodes: pa.ChunkedArray, kept: pa.ChunkedArray) -> pa.Array:
    """Each document's nodes for which `kept` is true."""
    lists, masks = nodes.combine_chunks(), kept.combine_chunks()
    flat, mask = pc.list_flatten(lists), pc.list_flatten(masks)
    counts = [sum(row or []) for row in masks.to_pylist()]
    offsets = [0]
    for count in counts:
        offsets.append(offsets[-1] + count)
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), flat.filter(mask)).cast(
        lists.type
    )
