"""The driver: index what is new, compute what is missing, judge, export.

It plans from what the store holds and keeps one small record a unit. Running a job again is how
it resumes: there is no checkpoint to load and no flag to set.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from operators.base import CorpusOperator
from operators.export import format_of
from pipelines.backend import Backend, make_backend, run_here
from pipelines.corpuswide import CorpusStage, comparable, earlier_corpora, groups_folder
from pipelines.export import Export
from pipelines.images import ImageTable
from pipelines.index import IndexTask
from pipelines.instruction_table import InstructionTable, accepted_coverage, born_units
from pipelines.jobfile import JobFile
from pipelines.plan import Plan, compile_plan, fingerprint
from pipelines.progress import Progress
from pipelines.shards import ShardRecord, ShardTask
from pipelines.store import (
    InputRecord,
    StageRecord,
    Store,
    UnitRecord,
    UnitRef,
    born_in,
    by_unit,
)
from pipelines.summary import Summary, add_up, input_keys, read_records, reference, unit_refs
from pipelines.target import PILOT, TURNS, Waves, in_turn, share_in, share_of
from pipelines.unit import UnitTask
from schemas.errors import ErrorRateExceeded, QuotasMissed
from schemas.job import ExportSpec
from schemas.tables import DOCUMENTS, IMAGES, INSTRUCTIONS, PICTURES

Stored = dict[str, dict[str, list[str]]]
Made = dict[str, dict[str, StageRecord]]
_FEW_DOCUMENTS = 2000


@dataclass(frozen=True)
class RunOptions:
    """What a run may be asked to do beyond the job file."""

    only: str | None = None
    """Bring this stage up to date, with what it reads, and stop: no verdicts, no export."""
    restart_from: str | None = None
    """Compute this stage and all that read from it again, whatever is stored."""
    retry_errors: bool = False
    """Try the rows again that ended in an error, and only those."""
    wave: bool = False
    """One of several: no quota is looked at, and the job is not called done."""


@dataclass
class RunResult:
    """A run's outcome: the corpus's funnel, the shards, and what this run itself did."""

    plan: Plan
    summary: Summary
    shards: dict[str, list[str]] = field(default_factory=dict)
    work: Summary = field(default_factory=Summary)
    """The units that this run computed or judged."""
    changed: bool = True
    """False when the job's last run had the same outcome already."""
    seconds: float = 0.0


def run_job(
    jobfile: JobFile, options: RunOptions | None = None, progress: Progress | None = None
) -> RunResult:
    """Run a job to its end, computing only what the store does not hold yet.

    Raises:
        JobError: the job is wrong; nothing was run.
        OperatorFailed, WorkerLost, ErrorRateExceeded, ExportError: the run stopped; what was
            finished is kept, and running the job again goes on from there.
    """
    options, progress = options or RunOptions(), progress or Progress()
    target = jobfile.job.target
    if target is None or target.accepted is None or options.only:
        return _run_once(jobfile, options, progress)
    waves = Waves(jobfile, target.accepted, _first_share(jobfile, progress))
    worked: list[RunResult] = []
    for wave in waves:
        worked.append(_run_once(wave, replace(options, wave=True), progress))
        waves.brought(worked[-1].summary)
        options = replace(options, restart_from=None)
    result = _run_once(waves.last(), replace(options, retry_errors=False), progress)
    for earlier in worked:
        result.work.include(earlier.work)
        result.changed |= earlier.changed
        result.seconds += earlier.seconds
    return result


def _first_share(jobfile: JobFile, progress: Progress) -> float:
    """The share of pictures to begin with: that of the last run, or that of a pilot."""
    stored = Store(jobfile.job.store).read_json(f"jobs/{jobfile.name}.json")
    if stored is not None and "done" in stored:
        return share_in(stored)
    shuffled = _run_once(in_turn(jobfile, 1, export=[]), RunOptions(only=TURNS), progress)
    return share_of(PILOT, shuffled.summary.documents)


def _run_once(jobfile: JobFile, options: RunOptions, progress: Progress) -> RunResult:
    run = _Run(compile_plan(jobfile), options, progress)
    try:
        return run.only() if run.options.only else run.run()
    finally:
        run.close()


class _Run:
    """One run of one plan."""

    def __init__(self, plan: Plan, options: RunOptions, progress: Progress) -> None:
        self.plan, self.options, self.progress = plan, options, progress
        self.job = plan.jobfile.job
        self.store = Store(self.job.store)
        self.started = time.monotonic()
        self.work = Summary()
        self._worked: set[str] = set()
        self.groups: dict[str, dict[str, str]] = {}
        self.inner: list[UnitRecord] = []
        """Records of the rows that are born of the job's own."""
        self.earlier = {
            stage.name: earlier_corpora(plan, stage)
            for stage in plan.every_stage
            if isinstance(stage.operator, CorpusOperator)
        }
        self._backend: Backend | None = None
        for name in (options.only, options.restart_from):
            if name is not None:
                plan.of(plan.table_of(name)).stage_index(name)

    @property
    def backend(self) -> Backend:
        """Started when the first task needs it."""
        if self._backend is None:
            self._backend = make_backend(self.plan)
        return self._backend

    def close(self) -> None:
        if self._backend is not None:
            self._backend.close()

    def run(self) -> RunResult:
        """Everything: inputs, units, verdicts, exports."""
        keys = input_keys(self.plan)
        refers = self._reference(keys)
        finished = self._finished(refers, self.store.read_json(self._reference_path))
        if finished is not None:
            self._tolerate(finished.failed, finished.documents, [], self.plan.table.name)
            inputs = self._known_inputs(keys)
            if self.plan.quotas is not None and not self.options.wave:
                self.inner = self._inner_records()
                self._check_quotas()
            shards = {s.to: self._export(s, finished, inputs, None) for s in self.job.export}
            return self._result(finished, shards, changed=False)
        with self._running(refers):
            inputs = self.index(keys)
            refs = unit_refs(inputs)
            made = self._over_corpus(self.plan, refs, len(self.plan.stages), inputs)
            records = self.compute(refs, self.plan, made)
            if self.plan.table == PICTURES:
                self.inner = self._judge_instructions(refs, records)
            summary = Summary.of(inputs, records, self.inner)
            if self.options.wave:
                return self._result(summary, {})
            self._check_quotas()
            shards = {s.to: self._export(s, summary, inputs, records) for s in self.job.export}
            done = {"units": _units(refs), "summary": asdict(summary), "groups": self.groups}
            self.store.write_json(self._reference_path, refers | {"done": done})
        return self._result(summary, shards)

    def only(self) -> RunResult:
        """Compute one stage, and what it reads where that is missing."""
        keys = input_keys(self.plan)
        refers = self._reference(keys)
        before = self.store.read_json(self._reference_path)
        with self._running(refers):
            inputs = self.index(keys)
            refs = unit_refs(inputs)
            records = self._only(refs, inputs, self.options.only or "")
        if self._finished(refers, before) is not None:
            self.store.write_json(self._reference_path, before)
        return self._result(Summary.of(inputs, records, self.inner), {})

    def _only(
        self, refs: list[UnitRef], inputs: list[InputRecord], name: str
    ) -> Collection[UnitRecord]:
        """Bring stage `name` up to date, and what it reads; records without verdicts."""
        table = self.plan.table_of(name)
        if table == self.plan.table.name:
            whole, made = self.plan, {}
        elif self.plan.table == PICTURES:
            made = self._over_corpus(self.plan, refs, len(self.plan.stages), inputs)
            documents = self.compute(refs, self.plan, made)
            refs, whole, made = self._instructions(refs, documents), self.plan.of(table), {}
        else:
            assert self.plan.joined is not None  # the stage is one of its images'
            made = self._over_corpus(self.plan, refs, self.plan.joined, inputs)
            documents = self.compute(refs, self.plan.upto(self.plan.joined), made)
            _, refs, made = self._born(refs, documents, inputs)
            whole = self.plan.of(table)
        plan = whole.upto(whole.stage_index(name) + 1)
        made |= self._over_corpus(whole, refs, len(plan.stages), inputs, made)
        records: dict[str, UnitRecord] = {}
        groups = self._groups(plan)
        tasks = self._unit_tasks(plan, refs, self._stored(plan), groups, made, last=False)
        self._advance(tasks, records, made, refs)
        return records.values() if table == self.plan.table.name else documents

    def _result(
        self, summary: Summary, shards: dict[str, list[str]], *, changed: bool = True
    ) -> RunResult:
        seconds = time.monotonic() - self.started
        return RunResult(self.plan, summary, shards, self.work, changed, seconds)

    def _reference(self, keys: list[tuple[str, int]]) -> dict[str, Any]:
        refers = reference(self.plan, [key for key, _ in keys])
        earlier = {name: [c.digest for c in found] for name, found in self.earlier.items() if found}
        return refers | ({"earlier": earlier} if earlier else {})

    # The job's reference: protects from gc, and lets notebooks find the corpus

    @property
    def _reference_path(self) -> str:
        return f"jobs/{self.plan.jobfile.name}.json"

    def _finished(self, refers: dict[str, Any], stored: dict[str, Any] | None) -> Summary | None:
        """The last run's summary, if it was the same and the store still holds its verdicts."""
        if self.options.restart_from or self.options.retry_errors:
            return None
        stored = dict(stored or {})
        done = stored.pop("done", None)
        if not done or stored != json.loads(json.dumps(refers)):
            return None
        records = [self.store.input_record(key) for key in refers["inputs"]]
        refs = unit_refs(record for record in records if record is not None)
        judged = set(self.store.names(self.plan.folder))
        if None in records or done["units"] != _units(refs):
            return None
        whole = judged >= {ref.unit for ref in refs}
        if self.plan.table == PICTURES and self.plan.inner is not None:
            inner = set(self.store.names(self.plan.inner.folder))
            whole &= inner >= set(born_units(self.store, done["groups"]))
        return Summary.from_dict(done["summary"]) if whole else None

    def _known_inputs(self, keys: list[tuple[str, int]]) -> list[InputRecord]:
        records = (self.store.input_record(key) for key, _ in keys)
        return [record for record in records if record is not None]

    @contextmanager
    def _running(self, refers: dict[str, Any]) -> Iterator[None]:
        """Refer to what this run makes, without calling it done, and tell gc to stay away."""
        self.store.write_json(self._reference_path, refers)
        mark = f"running/{self.plan.jobfile.name}-{os.getpid()}.json"
        self.store.write_json(mark, {"host": socket.gethostname(), "pid": os.getpid()})
        try:
            if self.options.restart_from:
                forget(self.store, self.plan, self.plan.dependants(self.options.restart_from))
            yield
        finally:
            self.store.files.delete(mark)

    # Inputs

    def index(self, keys: list[tuple[str, int]]) -> list[InputRecord]:
        """The record of every input, in the job's order; new and changed inputs are indexed."""
        found: dict[int, InputRecord] = {}
        tasks: list[IndexTask] = []
        units = set(self.store.names("units"))
        for number, (key, size) in enumerate(keys):
            record = self.store.input_record(key)
            if record is not None and units >= {unit for unit, _ in record.units}:
                found[number] = record
            else:
                tasks.append(IndexTask(number, self.plan.inputs[number].uri, key, size))
        with self.progress.phase("index", sum(t.weight for t in tasks), "bytes") as phase:
            for task, record in self._tasks(tasks):
                found[task.input] = record
                phase.advance(task.weight)
        return [found[number] for number in sorted(found)]

    def _tasks(self, tasks: Sequence[Any], *, cheap: bool = False) -> Iterator[tuple[Any, Any]]:
        """Results of tasks; a few `cheap` ones cost less here than starting workers does."""
        if cheap and sum(task.weight for task in tasks) <= _FEW_DOCUMENTS:
            yield from run_here(self.plan, tasks)
        elif tasks:
            yield from self.backend.run(tasks)

    # Units

    def _over_corpus(
        self,
        whole: Plan,
        refs: list[UnitRef],
        until: int,
        inputs: list[InputRecord],
        given: Made | None = None,
    ) -> Made:
        """What the stages over the whole corpus before stage `until` have made, and those before.

        Such a stage needs every unit's verdicts so far, so the stages before it are a plan of
        their own. `given` is what was made before any stage.
        """
        made: Made = dict(given or {})
        for index in whole.barriers:
            if index < until:
                stage = whole.stages[index]
                records = self.compute(refs, whole.upto(index), made)
                for record in records:
                    for name, result in record.stages.items():
                        made.setdefault(name, {})[record.unit] = result
                if isinstance(stage.operator, CorpusOperator):
                    made[stage.name] = self._compared(whole, index, refs, records)
                else:
                    made[stage.name] = self._judge_images(refs, records, inputs)
                for result in made[stage.name].values():
                    add_up(self.work.stages.setdefault(stage.name, StageRecord("")), result)
        return made

    def _compared(
        self, whole: Plan, index: int, refs: list[UnitRef], records: list[UnitRecord]
    ) -> dict[str, StageRecord]:
        """What a stage over the whole corpus made of each unit."""
        stage = whole.stages[index]
        over = CorpusStage(self.store, whole, index, self.earlier[stage.name])
        living, made = over.run(refs, records, self._run_phase)
        self.groups[stage.name] = {
            "folder": over.folder,
            "living": living,
            "comparable": comparable(whole, stage),
        }
        return made

    def _judge_images(
        self, refs: list[UnitRef], records: list[UnitRecord], inputs: list[InputRecord]
    ) -> dict[str, StageRecord]:
        """Run the plan over images; what each unit of documents learns of them."""
        table, image_refs, made = self._born(refs, records, inputs)
        images = self.plan.of(IMAGES.name)
        made = self._over_corpus(images, image_refs, len(images.stages), inputs, made)
        self.inner = self.compute(image_refs, images, made)
        return table.join(self._run_phase)

    def _judge_instructions(
        self, refs: list[UnitRef], records: list[UnitRecord]
    ) -> list[UnitRecord]:
        """Run the plan over the instructions about the pictures that were kept."""
        if self.plan.inner is None:
            return []
        refs, plan = self._instructions(refs, records), self.plan.inner
        made = self._over_corpus(plan, refs, len(plan.stages), [])
        return self.compute(refs, plan, made)

    def _check_quotas(self) -> None:
        """Compare what was accepted with the job's quotas.

        Raises:
            QuotasMissed: there is one that it misses.
        """
        quotas = self.plan.quotas
        if quotas is None:
            return
        coverage = accepted_coverage(self.store, self.plan, self.inner)
        missed = quotas.missed(coverage)
        if missed:
            raise QuotasMissed(
                f"{coverage.rows} instructions were accepted, but\n"
                + "\n".join(f"    {sentence}" for sentence in missed)
                + "\nAdd pictures, move a threshold, or lower the quota in 'target'; nothing was "
                "exported"
            )

    def _instructions(self, refs: list[UnitRef], records: list[UnitRecord]) -> list[UnitRef]:
        """The units of instructions."""
        table = InstructionTable(self.store, self.plan)
        born = table.birth(refs, records, self._run_phase)
        self.groups[INSTRUCTIONS.name] = {"folder": table.folder, "living": table.living}
        return born

    def _born(
        self, refs: list[UnitRef], records: list[UnitRecord], inputs: list[InputRecord]
    ) -> tuple[ImageTable, list[UnitRef], Made]:
        """The table of images, its units, and the stage that counts who shows them."""
        table = ImageTable(self.store, self.plan, refs, records)
        born = [row for rows in table.birth(inputs, self._run_phase).values() for row in rows]
        self.groups[table.stage.name] = {"folder": table.folder, "living": table.living}
        image_refs = [UnitRef(unit, rows, unit, -1) for unit, rows, _ in born]
        counted = {unit: StageRecord(file) for unit, _, file in born}
        return table, image_refs, {self.plan.of(IMAGES.name).stages[0].name: counted}

    def _run_phase(self, name: str, tasks: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
        """One phase of a stage over the whole corpus."""
        with self.progress.phase(name, sum(task.weight for task in tasks), "") as phase:
            for task, result in self._tasks(tasks, cheap=True):
                phase.advance(task.weight)
                yield task, result

    def compute(self, refs: list[UnitRef], plan: Plan, made: Made) -> list[UnitRecord]:
        """Bring every unit's columns and verdicts up to date; the records in order of `refs`.

        `plan` is the whole plan or its beginning; `made` are the results of its stages over the
        whole corpus.
        """
        stored = self._stored(plan)
        records = {record.unit: record for record in self._judged(refs, plan, stored, made)}
        todo = [ref for ref in refs if ref.unit not in records]
        if sum(ref.rows for ref in todo) <= _FEW_DOCUMENTS and not self.options.retry_errors:
            todo = self._judge_here(plan, todo, stored, made, records)
        if todo:
            tasks = self._unit_tasks(plan, todo, stored, self._groups(plan), made)
            self._advance(tasks, records, made, refs)
        failed = sum(record.failed for record in records.values())
        self._tolerate(failed, sum(ref.rows for ref in refs), records.values(), plan.table.name)
        return [records[ref.unit] for ref in refs]

    def _stored(self, plan: Plan) -> Stored:
        """The stage files in the store, by stage and unit."""
        return {s.name: by_unit(self.store.names(s.folder)) for s in plan.stages}

    def _groups(self, plan: Plan) -> tuple[int, ...]:
        """Where the backend cuts the chain of a plan that is the beginning of the whole one."""
        count = len(plan.stages)
        first = _settled(plan, count) or 0
        cuts = self.backend.groups(self.plan.of(plan.table.name))
        return (*(cut for cut in cuts if first < cut < count), count)

    def _judged(
        self, refs: list[UnitRef], plan: Plan, stored: Stored, made: Made
    ) -> Iterator[UnitRecord]:
        """Records of the units that are done, and whose stage files are all there."""
        names = set(self.store.names(plan.folder))
        finished = [ref.unit for ref in refs if ref.unit in names]
        for record in read_records(self.store, plan.folder, finished):
            files = ((name, stage.file) for name, stage in record.stages.items())
            whole = all(file in stored[name].get(record.unit, ()) for name, file in files)
            whole &= all(
                record.stages[name].file == units[record.unit].file for name, units in made.items()
            )
            again = self.options.retry_errors and (
                record.failed or any(s.operator.asks_the_world for s in plan.stages)
            )
            if whole and not again:
                yield record

    def _judge_here(
        self,
        plan: Plan,
        todo: list[UnitRef],
        stored: Stored,
        made: Made,
        records: dict[str, UnitRecord],
    ) -> list[UnitRef]:
        """Judge the units that need no computing, in this process; the rest is returned."""
        measured = [r for r in todo if all(r.unit in files for files in stored.values())]
        rest = [ref for ref in todo if ref not in measured]
        groups = (len(plan.stages),)
        tasks = self._unit_tasks(plan, measured, stored, groups, made, judge_only=True)
        for task, record in run_here(self.plan, tasks):
            assert isinstance(task, UnitTask)
            if record is None:
                rest.append(task.ref)
            else:
                records[record.unit] = record
                self._count(record, made)
        return rest

    def _unit_tasks(
        self,
        plan: Plan,
        refs: list[UnitRef],
        stored: Stored,
        groups: tuple[int, ...],
        made: Made,
        *,
        last: bool = True,
        judge_only: bool = False,
    ) -> list[UnitTask]:
        retry, settled = self.options.retry_errors, _settled(plan, groups[-1])
        homes = _by_home(stored) if plan.table != self.plan.table else {}
        return [
            UnitTask(
                ref,
                {name: files[ref.unit] for name, files in stored.items() if ref.unit in files},
                groups,
                settled=settled,
                retry_errors=retry,
                last=last,
                judge_only=judge_only,
                table=plan.table.name,
                kin={
                    name: files.get(born_in(ref.unit), [])
                    for name, files in homes.items()
                    if ref.unit not in stored[name]
                },
                made={name: replace(units[ref.unit]) for name, units in made.items()},
            )
            for ref in refs
        ]

    def _advance(
        self,
        tasks: list[UnitTask],
        records: dict[str, UnitRecord],
        made: Made,
        refs: list[UnitRef],
    ) -> None:
        """Run unit tasks and collect their records, as long as few enough rows fail."""
        failed, rows = sum(record.failed for record in records.values()), sum(r.rows for r in refs)
        table = tasks[0].table if tasks else self.plan.table.name
        unit = "docs" if table == DOCUMENTS.name else table
        with self.progress.phase(table, sum(t.weight for t in tasks), unit) as phase:
            for task, record in self._tasks(tasks):
                records[record.unit] = record
                self._count(record, made)
                failed += record.failed
                phase.advance(task.weight, failed)
                self._tolerate(failed, rows, records.values(), table)

    def _count(self, record: UnitRecord, made: Made) -> None:
        """Count what was done for a unit in this run, each stage where it was done."""
        fresh = {name: stage for name, stage in record.stages.items() if name not in made}
        self.work.add(replace(record, stages=fresh))
        self._worked.add(record.unit)
        self.work.units = len(self._worked)

    def _tolerate(
        self, failed: int, rows: int, records: Iterable[UnitRecord], table: str = DOCUMENTS.name
    ) -> None:
        field = "max_error_rate" if table == DOCUMENTS.name else "max_image_error_rate"
        limit: float = getattr(self.job, field)
        if failed > limit * rows:
            raise ErrorRateExceeded(
                f"{failed} of {rows} {table} failed; the job tolerates {limit:.2%} "
                f"({field})\n" + "\n".join(self._errors(records))
            )

    def _errors(self, records: Iterable[UnitRecord]) -> list[str]:
        """The most frequent errors, as `stage: class: message (count)`."""
        counts: Counter[str] = Counter()
        bad = [record for record in records if record.failed][:100]
        for stage in self.plan.every_stage:
            for record in (r for r in bad if stage.name in r.stages):
                path = f"{stage.folder}/{record.stages[stage.name].file}.parquet"
                errors = self.store.read(path, ["_error"])["_error"].drop_null().to_pylist()
                counts.update(f"{stage.name}: {e['type']}: {e['message']}" for e in errors)
        return [f"    {text} ({count})" for text, count in counts.most_common(5)]

    # Exports

    def _export(
        self,
        spec: ExportSpec,
        summary: Summary,
        inputs: list[InputRecord],
        records: list[UnitRecord] | None,
    ) -> list[str]:
        inner = format_of(spec).table != self.plan.table.name
        contents = summary.inner_contents if inner else summary.contents
        export = Export(self.plan, spec, contents)
        finished = export.finished()
        if finished is not None:
            return finished
        if records is None:
            units = [ref.unit for ref in unit_refs(inputs)]
            records = read_records(self.store, self.plan.folder, units)
            self.inner = self._inner_records()
        return export.write(self.inner if inner else records, inputs, summary, self._write_shards)

    def _inner_records(self) -> list[UnitRecord]:
        """Records of the instructions of the job's last run."""
        if self.plan.inner is None or self.plan.table != PICTURES:
            return []
        done = (self.store.read_json(self._reference_path) or {}).get("done", {})
        units = born_units(self.store, done.get("groups", {}))
        return read_records(self.store, self.plan.inner.folder, units)

    def _write_shards(self, tasks: Sequence[ShardTask]) -> Iterator[tuple[ShardTask, ShardRecord]]:
        with self.progress.phase("export", sum(t.weight for t in tasks), "docs") as phase:
            for task, record in self._tasks(tasks, cheap=True):
                phase.advance(task.weight)
                yield task, record


def _by_home(stored: Stored) -> Stored:
    """The files of born units, by stage and the unit that their rows were born in."""
    homes: Stored = {}
    for stage, files in stored.items():
        of_stage = homes.setdefault(stage, {})
        for unit, names in files.items():
            of_stage.setdefault(born_in(unit), []).extend(names)
    return homes


def _settled(plan: Plan, count: int) -> int | None:
    """The last stage over the whole corpus among so many: those before it are judged."""
    return max((index for index in plan.barriers if index < count), default=None)


def _units(refs: Iterable[UnitRef]) -> str:
    """A digest of which units a corpus consists of, in order."""
    return fingerprint([ref.unit for ref in refs])


def forget(store: Store, plan: Plan, stages: set[str]) -> None:
    """Remove the stored results of some stages of a plan.

    What rests on them goes first: the verdicts of every job in the store that uses them, so that
    a kill in between leaves nothing that points to what is gone.
    """
    again = [stage for stage in plan.every_stage if stage.name in stages]
    folders = {stage.folder for stage in again}
    for info in list(store.files.list("jobs")):
        other = store.read_json(info.path) or {}
        inner = (other.get(name) for name in (IMAGES.name, INSTRUCTIONS.name))
        for found in [table for table in (other, *inner) if table]:
            if folders & {stage["folder"] for stage in found.get("stages", [])}:
                other.pop("done", None)
                store.write_json(info.path, other)
                _delete_all(store, found["verdicts"])
    for table in [found for found in (plan, plan.inner) if found is not None]:
        _delete_all(store, table.folder)
    groups = (groups_folder(s) for s in again if isinstance(s.operator, CorpusOperator))
    for folder in sorted({*folders, *groups}):
        _delete_all(store, folder)


def _delete_all(store: Store, folder: str) -> None:
    for info in list(store.files.list(folder)):
        store.files.delete(info.path)


def export_job(jobfile: JobFile, spec: ExportSpec, progress: Progress | None = None) -> RunResult:
    """Run a job with this one export in place of its own."""
    job = jobfile.job.model_copy(update={"export": [spec]})
    return run_job(replace(jobfile, job=job), progress=progress)
