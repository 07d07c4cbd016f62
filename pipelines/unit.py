"""A unit's chain of stages: compute what is missing, judge, commit.

For each stage the chain looks for the stored file that covers most of the rows still alive,
computes the rest, and writes a new file where there was any rest. Then the rules that hang on the
stage decide, so that the next stage sees only survivors.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from operators.base import ERROR_COLUMN, CorpusOperator, EngineMade, Resources
from operators.rules import Rule
from operators.shown import ImageVerdicts
from operators.sources import ADDRESS
from pipelines.measure import (
    BATCH_PAYLOAD_BYTES,
    BATCH_ROWS,
    checked,
    merged,
    relisted,
    stored_schema,
    with_unreadable,
)
from pipelines.plan import PAYLOADS, Plan, Stage, fingerprint
from pipelines.seen import archived_images, columns_seen
from pipelines.store import (
    FAILED,
    PENDING,
    STATE,
    RuleRecord,
    StageRecord,
    UnitRecord,
    UnitRef,
)
from pipelines.work import Task, Worker, failed_stage
from schemas.columns import column
from schemas.errors import OperatorFailed
from schemas.tables import DOCUMENTS, IMAGES


@dataclass(frozen=True)
class UnitTask:
    """Bring one unit's columns up to date, and judge its rows when the last stage is done.

    Backends that give stages workers of their own cut the chain, and go on with `following`.
    """

    ref: UnitRef
    files: dict[str, list[str]]
    """Stage files of the unit that the store holds, by stage."""
    groups: tuple[int, ...]
    """Stage counts at which to cut the chain; the last is the last stage to compute."""
    settled: int | None = None
    """Stages whose rules are judged: the unit's verdicts on them are in the store."""
    retry_errors: bool = False
    last: bool = True
    """Whether verdicts are written; false when only some stages are asked for."""
    judge_only: bool = False
    """Give up, with None for an answer, as soon as a row would have to be computed."""
    table: str = DOCUMENTS.name
    kin: dict[str, list[str]] = field(default_factory=dict)
    """Stage files of units that may hold rows of this one, by stage: earlier makes of an image
    unit, whose addresses came and went."""
    made: dict[str, StageRecord] = field(default_factory=dict)
    """What stages have made already: earlier parts of the chain, those over the whole corpus and
    all before these."""

    @property
    def key(self) -> str:
        return f"unit {self.ref.unit}"

    @property
    def weight(self) -> int:
        return self.ref.rows

    def _members(self, plan: Plan) -> list[Stage]:
        stages = plan.of(self.table).stages[: self.groups[0]]
        return [stage for stage in stages if stage.name not in self.made]

    def resources(self, plan: Plan) -> Resources:
        """The greatest request among the stages of this part of the chain."""
        needs = [stage.resources for stage in self._members(plan)] or [Resources()]
        return Resources(max(n.cpus for n in needs), max(n.gpus for n in needs))

    def stateful(self, plan: Plan) -> bool:
        """True when a stage of this part loads something costly."""
        return any(stage.operator.stateful for stage in self._members(plan))

    def run(self, worker: Worker) -> UnitRecord | None:
        """Compute what is missing, stage by stage; then write the verdicts."""
        chain = _Chain(self, worker)
        if self.settled is None:
            chain.judge(chain.plan.rules_after(-1))
        else:
            chain.take_up(self.settled)
        for index in range(self.settled or 0, self.groups[0]):
            stage = chain.plan.stages[index]
            if not chain.bring_up_to_date(stage):
                return None
            if isinstance(stage.operator, ImageVerdicts):
                chain.drop_images()
            chain.judge(chain.plan.rules_after(index))
        if self.last and len(self.groups) == 1:
            chain.commit()
        return chain.record

    def following(self, plan: Plan, result: UnitRecord | None) -> Task | None:
        """The next part of the chain, which takes over what this one made."""
        if result is None or len(self.groups) == 1:
            return None
        return replace(self, groups=self.groups[1:], made=result.stages)


class _Chain:
    """The state of one unit while its stages run: columns at hand, and which rows are alive."""

    def __init__(self, task: UnitTask, worker: Worker) -> None:
        self.task, self.worker, self.store = task, worker, worker.store
        self.plan = worker.plan.of(task.table)
        self.record = UnitRecord(task.ref.unit, task.ref.rows)
        self.alive = pa.array([True] * task.ref.rows, pa.bool_())
        self.dropped_by: list[str | None] = [None] * task.ref.rows
        self.verdicts: dict[str, pa.Array] = {}
        self.nodes_kept: pa.ListArray | None = None
        self._paths = dict.fromkeys(self.plan.table.born.names, f"units/{task.ref.unit}.parquet")
        self._fresh: dict[str, pa.Table] = {}

    def take_up(self, settled: int) -> None:
        """Go on from the verdicts on the first `settled` stages."""
        plan, unit = self.plan, self.task.ref.unit
        folder = plan.upto(settled).folder
        verdicts = self.store.read(f"{folder}/{unit}.parquet").combine_chunks()
        self.record.rules = self.store.unit_record(folder, unit).rules
        for stage in plan.stages[:settled]:
            made = self.record.stages[stage.name] = self.task.made[stage.name]
            path = f"{stage.folder}/{made.file}.parquet"
            self._paths |= dict.fromkeys(stage.operator.writes.names, path)
        found = {name: verdicts[name].combine_chunks() for name in verdicts.column_names}
        self.alive = found.pop("kept")
        self.dropped_by = found.pop("dropped_by").to_pylist()
        self.nodes_kept = found.pop("nodes_kept", None)
        self.verdicts = {name.removeprefix(_RULE): said for name, said in found.items()}

    # Columns

    def columns(self, names: Iterable[str]) -> pa.Table:
        """The named columns of the whole unit, from this task's own results or from the store.

        Documents see images' columns as lists along their nodes, instructions their picture's.
        """
        whole, unit = self.worker.plan, self.task.ref.unit
        return columns_seen(
            self.store, whole, self.plan.table, unit, self._paths, names, fresh=self._fresh
        )

    # Stages

    def bring_up_to_date(self, stage: Stage) -> bool:
        """Compute the living rows that no stored file covers, and point at the file that does.

        False when there are such rows and the task is only to judge.
        """
        name, stored = self._best(stage)
        missing = self._missing(stage, stored)
        if len(missing) and isinstance(stage.operator, CorpusOperator | EngineMade):
            raise OperatorFailed(
                f"stage '{stage.name}' was made for other rows of unit {self.task.ref.unit}; "
                "something else changed the store meanwhile. Run the job again"
            )
        report = self.task.made.get(stage.name) or StageRecord(name, computed=len(missing))
        if len(missing) or not name:
            if self.task.judge_only:
                return False
            started = time.process_time()
            fresh = self._compute(stage, missing)
            report.cpu_seconds = time.process_time() - started
            stored = full = merged(stage, stored, fresh, missing, len(self.alive))
            report.file = self.store.write_addressed(
                stage.folder, self.task.ref.unit, full, self._seen(stage)
            )
            self._fresh[f"{stage.folder}/{report.file}.parquet"] = full
        path = f"{stage.folder}/{report.file}.parquet"
        self._paths |= dict.fromkeys(stage.operator.writes.names, path)
        assert stored is not None  # no rows are missing, or they were merged into it
        failed = pc.and_(pc.equal(stored[STATE], FAILED), self.alive).combine_chunks()
        report.failed = _count(failed)
        report.reused = _count(self.alive) - report.computed
        self.record.stages[stage.name] = report
        self._drop(failed, f"error: {stage.name}")
        return True

    def _missing(self, stage: Stage, stored: pa.Table | None) -> pa.Array:
        """The rows to compute: alive and pending; when errors are tried again, those too."""
        if stored is None:
            return pc.indices_nonzero(self.alive)
        wanted = pc.equal(stored[STATE], PENDING)
        if self.task.retry_errors and stage.name not in self.task.made:
            wanted = pc.or_(wanted, pc.equal(stored[STATE], FAILED))
            again = stage.operator.retryable(stored)
            if again is not None:
                wanted = pc.or_(wanted, pc.fill_null(again, False))
        return pc.indices_nonzero(pc.and_(wanted, self.alive).combine_chunks())

    def _seen(self, stage: Stage) -> dict[bytes, bytes] | None:
        """For a stage that reads images' columns: which images its results rest on."""
        if stage.name not in self.plan.joins:
            return None
        assert self.plan.joined is not None  # without it nobody sees images
        return {_SEEN: self.record.stages[self.plan.stages[self.plan.joined].name].file.encode()}

    def _best(self, stage: Stage) -> tuple[str, pa.Table | None]:
        """The stored file that covers most living rows, by name, and its states.

        Rows that succeeded count before rows that failed: a retry must not be forgotten. Where
        the file must be merged with new rows, all its columns.
        """
        best, most, found = "", (-1, -1), None
        for name in self._candidates(stage):
            table = self.store.read(f"{stage.folder}/{name}.parquet", self._telling(stage))
            failed = pc.equal(table[STATE], FAILED)
            again = stage.operator.retryable(table)
            failed = failed if again is None else pc.or_(failed, pc.fill_null(again, False))
            covered = pc.and_(pc.not_equal(table[STATE], PENDING), self.alive)
            done = pc.and_(covered, pc.invert(failed))
            if (_count(done), _count(covered)) > most:
                best, most, found = name, (_count(done), _count(covered)), table
        if found is not None and len(self._missing(stage, found)):
            return best, self.store.read(f"{stage.folder}/{best}.parquet")
        return best, self._inherited(stage) if found is None else found

    def _inherited(self, stage: Stage) -> pa.Table | None:
        """What kin of this unit know of its rows; None where they know nothing."""
        place: list[int | None] = [None] * self.task.ref.rows
        tables: list[pa.Table] = []
        rows = {row: index for index, row in enumerate(self._born_rows(self.task.ref.unit))}
        for name in self.task.kin.get(stage.name, ()):
            table = self.store.read(f"{stage.folder}/{name}.parquet")
            base = sum(part.num_rows for part in tables)
            tables.append(table)
            for row, born in enumerate(self._born_rows(name.rpartition("-")[0])):
                index = rows.get(born)
                if index is not None:
                    place[index] = base + row
        if place == [None] * len(place):
            return None
        found = pa.concat_tables(tables).take(pa.array(place, pa.int64()))
        states = pc.fill_null(found[STATE], PENDING)
        return found.set_column(found.column_names.index(STATE), found.schema.field(STATE), states)

    def _born_rows(self, unit: str) -> list[str]:
        """What each row of a unit was born with, as text."""
        return [repr(row) for row in self.store.read(f"units/{unit}.parquet").to_pylist()]

    def _candidates(self, stage: Stage) -> list[str]:
        """The stored files of the unit that the stage may go on from."""
        if stage.name in self.task.made:
            return [self.task.made[stage.name].file]
        names = sorted(self.task.files.get(stage.name, []))
        seen = self._seen(stage)
        if seen is None:
            return names
        of = {name: self.store.metadata(f"{stage.folder}/{name}.parquet") for name in names}
        return [name for name in names if of[name].get(_SEEN) == seen[_SEEN]]

    def _telling(self, stage: Stage) -> list[str]:
        """The columns of a stored file that say which rows are worth another try."""
        if not stage.operator.asks_the_world:
            return [STATE]
        small = [f.name for f in stage.operator.writes if not pa.types.is_large_binary(f.type)]
        return [STATE, *small]

    def _compute(self, stage: Stage, missing: pa.Array) -> pa.Table:
        """The stage's columns for the `missing` rows, batch by batch."""
        operator = stage.operator
        parts = [stored_schema(operator).empty_table()]
        if not len(missing):
            return parts[0]
        payload = PAYLOADS.get(self.plan.table.name)
        names = [name for name in stage.origins if name != payload]
        if payload is None or payload not in operator.needs().names:
            rows = self.columns(names).take(missing)
            # What waits for others waits for all at once.
            most = rows.num_rows if operator.asks_the_world else BATCH_ROWS
            starts = range(0, rows.num_rows, most)
            parts.extend(self._measure(stage, rows.slice(start, most)) for start in starts)
        elif self.plan.table.name == DOCUMENTS.name:
            rows = self.columns(dict.fromkeys([*names, *ADDRESS])).take(missing)
            parts.extend(self._measure_pages(stage, rows))
        else:
            wanted = dict.fromkeys([*names, *IMAGES.born.names])
            rows = self.columns(wanted).take(missing)
            rows = rows.append_column(payload, archived_images(self.worker.plan.inputs, rows))
            parts.append(self._measure(stage, rows))
        return pa.concat_tables(parts)

    def _measure_pages(self, stage: Stage, rows: pa.Table) -> Iterator[pa.Table]:
        """Measure rows with their pages. A row whose page cannot be read fails unmeasured."""
        entry, start = self.worker.plan.inputs[self.task.ref.source], 0
        for pages in entry.source.payloads(entry.uri, rows, BATCH_ROWS, BATCH_PAYLOAD_BYTES):
            batch = rows.slice(start, pages.num_rows)
            start += pages.num_rows
            errors = pages[ERROR_COLUMN].combine_chunks()
            batch = batch.append_column(pages.schema.field(0), pages[PAYLOADS[DOCUMENTS.name]])
            measured = self._measure(stage, batch.filter(pc.is_null(errors)))
            whole = measured.num_rows == batch.num_rows
            yield measured if whole else with_unreadable(measured, errors)

    def _measure(self, stage: Stage, batch: pa.Table) -> pa.Table:
        try:
            given = stage.operator.given(batch)
            result = stage.operator.measure(given, self.worker.state(stage))
        except Exception as error:
            raise failed_stage(stage, f"unit {self.task.ref.unit}", error) from error
        return checked(stage, result, batch.num_rows)

    # Rules

    def judge(self, rules: list[Rule]) -> None:
        """Decide rules whose columns are all there, for the rows alive when their stage ended."""
        if not rules:
            return
        asked = self.alive
        rows = self._passed_rows([r for r in rules if r.table != "nodes"])
        nodes = self._passed_nodes([r for r in rules if r.table == "nodes"])
        for rule in rules:
            if rule.table == "nodes":
                self._judge_nodes(rule, nodes[rule.name])
            else:
                self._judge_rows(rule, rows[rule.name], asked)

    def drop_images(self) -> None:
        """Drop the nodes of images that were dropped."""
        dropped = self.columns(["node_image_dropped_by"])["node_image_dropped_by"].combine_chunks()
        kept = pc.is_null(pc.list_flatten(pc.if_else(self.alive, dropped, None)))
        if self.nodes_kept is not None:
            before = pc.list_flatten(pc.if_else(self.alive, self.nodes_kept, None))
            kept = pc.and_(kept, before)
        self.nodes_kept = relisted(kept, pc.if_else(self.alive, dropped, None))

    def _passed_rows(self, rules: list[Rule]) -> dict[str, pa.Array]:
        """What each rule says of each row of the table."""
        names = {name for rule in rules for name in rule.expression.columns}
        identity = self.plan.table.born.names[0]
        return _passes(rules, self.columns(dict.fromkeys([identity, *sorted(names)])))

    def _passed_nodes(self, rules: list[Rule]) -> dict[str, pa.ListArray]:
        """What each rule says of each node of the living documents."""
        if not rules:
            return {}
        has_text = pc.if_else(self.alive, self._has_text, None)
        parents = pc.list_parent_indices(has_text)
        flat = {"": parents}  # so that rules without columns have rows too
        names = sorted({name for rule in rules for name in rule.expression.columns})
        values = self.columns(names)
        for name in names:
            value = values[name].combine_chunks()
            if column(name).level == "node":
                flat[name] = pc.list_flatten(pc.if_else(self.alive, value, None))
            else:
                flat[name] = value.take(parents)
        found = _passes(rules, pa.table(flat))
        return {
            rule.name: relisted(pc.or_(found[rule.name], self._exempt(rule)), has_text)
            for rule in rules
        }

    def _exempt(self, rule: Rule) -> pa.Array:
        """For each node of the living documents, whether the rule has nothing to say of it.

        An image is never dropped with its neighbours, and no text by what is said of images.
        """
        return self._texts if _of_image_nodes(rule) else self._no_texts

    @cached_property
    def _has_text(self) -> pa.ListArray:
        """Whether each node has text."""
        nodes = self.columns(["nodes"])["nodes"].combine_chunks()
        return relisted(pc.is_valid(pc.struct_field(pc.list_flatten(nodes), "text")), nodes)

    def _judge_rows(self, rule: Rule, passed: pa.Array, asked: pa.Array) -> None:
        dropped = pc.and_(asked, pc.invert(passed))
        first = pc.and_(dropped, self.alive)
        self.record.rules[rule.name] = RuleRecord(_count(asked), _count(dropped), _count(first))
        self.verdicts[rule.name] = pc.if_else(asked, passed, None)
        self._drop(dropped, rule.name)

    def _judge_nodes(self, rule: Rule, passed: pa.ListArray) -> None:
        verdict = pc.if_else(self.alive, passed, None)
        self.verdicts[rule.name] = verdict
        kept = flat = pc.list_flatten(verdict)
        first = _count(pc.invert(flat))
        if self.nodes_kept is not None:
            before = pc.list_flatten(pc.if_else(self.alive, self.nodes_kept, None))
            kept = pc.and_(flat, before)
            first = _count(before) - _count(kept)
        self.nodes_kept = relisted(kept, verdict)
        asked = _count(pc.invert(self._exempt(rule)))
        self.record.rules[rule.name] = RuleRecord(asked, _count(pc.invert(flat)), first)

    @cached_property
    def _texts(self) -> pa.Array:
        """Whether each node of the living documents has text, one after the other."""
        return pc.list_flatten(pc.if_else(self.alive, self._has_text, None))

    @cached_property
    def _no_texts(self) -> pa.Array:
        return pc.invert(self._texts)

    def _drop(self, dropped: pa.Array, reason: str) -> None:
        first = pc.and_(dropped, self.alive)
        for name in ("_texts", "_no_texts"):  # they are of who was alive
            self.__dict__.pop(name, None)
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
        columns |= {f"{_RULE}{name}": verdict for name, verdict in self.verdicts.items()}
        self.record.kept = _count(self.alive)
        marks = [self.alive.to_pylist()]
        if self.nodes_kept is not None:
            marks.append(columns["nodes_kept"].to_pylist())
        files = [stage.file for stage in self.record.stages.values()]
        self.record.alive_digest = fingerprint(marks[0])
        self.record.kept_digest = fingerprint(marks, files)
        if self.plan.table.name == DOCUMENTS.name:
            sizes = self.columns(["payload_bytes"])["payload_bytes"].combine_chunks()
            self.record.kept_bytes = pc.sum(sizes.filter(self.alive)).as_py() or 0
        folder = self.plan.upto(self.task.groups[0]).folder
        self.store.write_verdicts(folder, pa.table(columns), self.record)


_RULE = "rule."
_SEEN = b"omniloom.seen"
"""In the metadata of a stage file: the file that says which images were kept."""


def _count(mask: pa.Array) -> int:
    return int(pc.sum(mask).as_py() or 0)


def _passes(rules: list[Rule], table: pa.Table) -> dict[str, pa.Array]:
    """What each rule says of each row."""
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)  # from_arrow of a table
    # A rule without columns is a constant: the first column makes all answers as long as the table.
    answers = frame.select(pl.first().alias(""), *(r.passes().alias(r.name) for r in rules))
    return {rule.name: answers[rule.name].to_arrow() for rule in rules}


def _of_image_nodes(rule: Rule) -> bool:
    return any(column(name).of_image_nodes for name in rule.expression.columns)
