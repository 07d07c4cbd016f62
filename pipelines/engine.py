"""The driver: index what is new, compute what is missing, judge, export.

It plans from what the store holds and keeps one small record a unit. Running a job again is how
it resumes: there is no checkpoint to load and no flag to set.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from pipelines.backend import Backend, make_backend, run_here
from pipelines.export import Export
from pipelines.index import IndexTask
from pipelines.jobfile import JobFile
from pipelines.plan import Plan, compile_plan, fingerprint
from pipelines.progress import Progress
from pipelines.shards import ShardRecord, ShardTask
from pipelines.store import InputRecord, Store, UnitRecord, UnitRef, by_unit
from pipelines.summary import Summary, input_keys, read_records, reference, unit_refs
from pipelines.unit import UnitTask
from schemas.errors import ErrorRateExceeded
from schemas.job import ExportSpec

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


@dataclass
class RunResult:
    """A run's outcome: the corpus's funnel, the shards, and what this run itself did."""

    summary: Summary
    shards: dict[str, list[str]] = field(default_factory=dict)
    changed: bool = True
    """False when the job's last run had the same outcome already."""
    units_run: int = 0
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
    run = _Run(compile_plan(jobfile), options or RunOptions(), progress or Progress())
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
        self.units_run = 0
        self._backend: Backend | None = None
        for name in (options.only, options.restart_from):
            if name is not None:
                plan.stage_index(name)

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
        refers = reference(self.plan, [key for key, _ in keys])
        known = self._refer(refers)
        inputs = self.index(keys)
        refs = unit_refs(inputs)
        units = fingerprint([ref.unit for ref in refs])
        records: list[UnitRecord] | None = None
        again = self.options.restart_from or self.options.retry_errors
        if known.get("units") == units and not again:
            summary = Summary.from_dict(known["summary"])
        else:
            records = self.compute(refs)
            summary = Summary.of(inputs, records)
        shards = {
            spec.to: self._export(spec, summary, refs, inputs, records) for spec in self.job.export
        }
        if records is not None:
            done = {"units": units, "summary": asdict(summary)}
            self.store.write_json(self._reference_path, refers | {"done": done})
        return self._result(summary, shards, changed=records is not None)

    def only(self) -> RunResult:
        """Compute one stage, and what it reads where that is missing."""
        inputs = self.index(input_keys(self.plan))
        refs = unit_refs(inputs)
        index = self.plan.stage_index(self.options.only or "")
        groups = (*(cut for cut in self.backend.groups() if cut <= index), index + 1)
        records: dict[str, UnitRecord] = {}
        self._compute(refs, refs, records, groups=groups, last=False)
        return self._result(Summary.of(inputs, records.values()), {})

    def _result(
        self, summary: Summary, shards: dict[str, list[str]], *, changed: bool = True
    ) -> RunResult:
        seconds = time.monotonic() - self.started
        return RunResult(summary, shards, changed, self.units_run, seconds)

    # The job's reference: protects from gc, and lets notebooks find the corpus

    @property
    def _reference_path(self) -> str:
        return f"jobs/{self.plan.jobfile.name}.json"

    def _refer(self, refers: dict[str, Any]) -> dict[str, Any]:
        """What an earlier run of the same plan over the same inputs has finished."""
        stored = self.store.read_json(self._reference_path) or {}
        done: dict[str, Any] = stored.pop("done", None) or {}
        if stored == refers:
            return done
        self.store.write_json(self._reference_path, refers)
        return {}

    # Inputs

    def index(self, keys: list[tuple[str, int]]) -> list[InputRecord]:
        """The record of every input, in the job's order; new and changed inputs are indexed."""
        found: dict[int, InputRecord] = {}
        tasks: list[IndexTask] = []
        for number, (key, size) in enumerate(keys):
            record = self.store.input_record(key)
            if record is None:
                tasks.append(IndexTask(number, key, size))
            else:
                found[number] = record
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

    def compute(self, refs: list[UnitRef]) -> list[UnitRecord]:
        """Bring every unit's columns and verdicts up to date; the records in order of `refs`."""
        records: dict[str, UnitRecord] = {}
        forced: frozenset[str] = frozenset()
        if self.options.restart_from:
            forced = frozenset(self.plan.dependants(self.options.restart_from))
        else:
            stored = set(self.store.names(self.plan.folder))
            finished = [ref.unit for ref in refs if ref.unit in stored]
            for record in read_records(self.store, self.plan.folder, finished):
                if not (self.options.retry_errors and record.failed):
                    records[record.unit] = record
        todo = [ref for ref in refs if ref.unit not in records]
        self._compute(refs, todo, records, forced=forced)
        return [records[ref.unit] for ref in refs]

    def _compute(
        self,
        refs: list[UnitRef],
        todo: list[UnitRef],
        records: dict[str, UnitRecord],
        *,
        groups: tuple[int, ...] = (),
        forced: frozenset[str] = frozenset(),
        last: bool = True,
    ) -> None:
        stored = {s.name: by_unit(self.store.names(s.folder)) for s in self.plan.stages}
        judged = (
            not forced
            and not self.options.retry_errors
            and all(ref.unit in files for ref in todo for files in stored.values())
        )
        if not groups:
            whole = judged or not todo
            groups = (len(self.plan.stages),) if whole else self.backend.groups()
        self.units_run = len(todo)
        tasks = [
            UnitTask(
                ref,
                {name: files[ref.unit] for name, files in stored.items() if ref.unit in files},
                groups,
                forced,
                self.options.retry_errors,
                last,
            )
            for ref in todo
        ]
        documents = sum(ref.rows for ref in refs)
        failed = sum(record.failed for record in records.values())
        with self.progress.phase("documents", sum(t.weight for t in tasks), "docs") as phase:
            for task, record in self._tasks(tasks, cheap=judged):
                records[record.unit] = record
                failed += record.failed
                phase.advance(task.weight, failed)
                self._tolerate(failed, documents, records.values())
        self._tolerate(failed, documents, records.values())

    def _tolerate(self, failed: int, documents: int, records: Iterable[UnitRecord]) -> None:
        limit = self.job.max_error_rate
        if failed > limit * documents:
            raise ErrorRateExceeded(
                f"{failed} of {documents} documents failed; the job tolerates {limit:.2%} "
                f"(max_error_rate). Most frequent:\n" + "\n".join(self._errors(records))
            )

    def _errors(self, records: Iterable[UnitRecord]) -> list[str]:
        """The most frequent errors, as `stage: class: message (count)`."""
        counts: Counter[str] = Counter()
        bad = [record for record in records if record.failed][:100]
        for stage in self.plan.stages:
            for record in bad:
                path = f"{stage.folder}/{record.stages[stage.name].file}.parquet"
                errors = self.store.read(path, ["_error"])["_error"].drop_null().to_pylist()
                counts.update(f"{stage.name}: {e['type']}: {e['message']}" for e in errors)
        return [f"    {text} ({count})" for text, count in counts.most_common(5)]

    # Exports

    def _export(
        self,
        spec: ExportSpec,
        summary: Summary,
        refs: list[UnitRef],
        inputs: list[InputRecord],
        records: list[UnitRecord] | None,
    ) -> list[str]:
        export = Export(self.plan, spec, summary.contents)
        finished = export.finished()
        if finished is not None:
            return finished
        if records is None:
            records = read_records(self.store, self.plan.folder, [ref.unit for ref in refs])
        return export.write(records, inputs, self._write_shards)

    def _write_shards(self, tasks: Sequence[ShardTask]) -> Iterator[tuple[ShardTask, ShardRecord]]:
        with self.progress.phase("export", sum(t.weight for t in tasks), "docs") as phase:
            for task, record in self._tasks(tasks, cheap=True):
                phase.advance(task.weight)
                yield task, record


def export_job(jobfile: JobFile, spec: ExportSpec, progress: Progress | None = None) -> RunResult:
    """Run a job with this one export in place of its own."""
    job = jobfile.job.model_copy(update={"export": [spec]})
    return run_job(replace(jobfile, job=job), progress=progress)
