"""What a job of instructions will cost, before it is paid; and why answers are not kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from operators.asking import Asks
from operators.chat_cache import Miss
from operators.chat_cache import why_miss as why_kept
from operators.chat_price import Forecast, Usage, forecast
from pipelines.corpus import Corpus, open_corpus
from pipelines.engine import RunOptions, run_job
from pipelines.instruction_corpus import add_usage, usage_by_picture
from pipelines.jobfile import JobFile
from pipelines.plan import compile_plan
from pipelines.progress import Progress
from pipelines.store import PENDING, STATE, Store
from pipelines.target import RULE, TURNS, in_turn, share_of
from schemas.errors import InputError
from schemas.tables import INSTRUCTIONS


@dataclass(frozen=True)
class Price:
    """What a pilot of a few pictures cost, and what all of them will."""

    stages: dict[str, Forecast]
    """By stage that asks models."""
    total: Forecast
    accepted: int
    """Instructions of the pilot that all rules kept."""

    @property
    def usd_per_row(self) -> float | None:
        """What an accepted instruction costs; None where none was."""
        spent = self.total.usd.mean * self.total.pilot_rows / self.total.rows
        return spent / self.accepted if self.accepted else None


def price(jobfile: JobFile, rows: int, progress: Progress | None = None) -> Price:
    """Run the job on a pilot of about `rows` pictures, and say what all will cost.

    The pilot is paid for, and is part of the job: its answers are kept, and a run of the whole job
    does not ask for them again. Nothing is exported.

    Raises:
        InputError: too few pictures come so far that a model is asked about them.
    """
    with _as_before(jobfile):
        alone: dict[str, Any] = {"export": [], "target": None}
        shuffled = run_job(in_turn(jobfile, 1, **alone), RunOptions(only=TURNS), progress)
        share = share_of(rows, shuffled.summary.documents)
        result = run_job(in_turn(jobfile, share, **alone), RunOptions(wave=True), progress)
        found = usage_by_picture(open_corpus(jobfile.job.store, jobfile.name))
    asked = result.summary.rules.get(RULE)
    pictures, unasked = len(found), 0
    if asked is not None:
        pictures, unasked = asked.asked, asked.asked - asked.dropped - len(found)
    if pictures < 2 or len(found) + unasked < 2:
        raise InputError(
            f"models were asked about {len(found)} of the pilot's pictures, which tells nothing\n"
            "    fix: give --rows more, or see in the report which rules drop pictures"
        )
    nothing = [Usage(0, 0, 0)] * unasked
    stages = found[0] if found else {}
    return Price(
        {name: forecast([*(row[name] for row in found), *nothing], pictures) for name in stages},
        forecast([*(add_usage(row.values()) for row in found), *nothing], pictures),
        result.summary.images_kept,
    )


@contextmanager
def _as_before(jobfile: JobFile) -> Iterator[None]:
    """Leave the job's last run in force, where it has run to its end."""
    store, path = Store(jobfile.job.store), f"jobs/{jobfile.name}.json"
    before = store.read_json(path)
    try:
        yield
    finally:
        if before is not None and "done" in before:
            store.write_json(path, before)


@dataclass(frozen=True)
class Misses:
    """What a stage would ask of the rows of the last run, and why that is not kept."""

    stage: str
    kept: int
    missed: int
    differs: Counter[tuple[str, ...]]
    """Requests by the parts in which they differ from the most alike kept one."""
    example: Miss | None
    """One of them."""


def why_miss(jobfile: JobFile) -> Iterator[Misses]:
    """For each stage that asks models, what a run would ask now, and why; nobody is asked.

    Rows are those of the job's last run, with the values that they had then.

    Raises:
        CorpusError: the job has not run.
    """
    plan = compile_plan(jobfile)
    corpus = open_corpus(jobfile.job.store, jobfile.name)
    for stage in plan.every_stage:
        if isinstance(stage.operator, Asks):
            yield _misses(stage.name, stage.operator, _rows(corpus, stage.name, stage.operator))


def _rows(corpus: Corpus, stage: str, operator: Asks) -> pa.Table:
    """The rows of the last run that a stage was given: those that were alive when its turn came.

    Where the last run did not have the stage, all rows.
    """
    known = {*corpus.columns, *corpus.instructions_view.columns}
    names = [name for name in operator.needs().names if name in known]
    of_instructions = operator.table == INSTRUCTIONS.name
    frame = (corpus.instructions if of_instructions else corpus.documents)(*names)
    stages = corpus.instructions_view.stages if of_instructions else corpus.stages
    records = corpus.instruction_records if of_instructions else corpus.records
    table = frame.select(names).to_arrow()
    for folder in (found["folder"] for found in stages if found["name"] == stage):
        paths = [f"{folder}/{record.stages[stage].file}.parquet" for record in records]
        states = [corpus.store.read(path, [STATE])[STATE] for path in paths]
        chunks = [chunk for state in states for chunk in state.chunks]
        table = table.filter(pc.not_equal(pa.chunked_array(chunks, pa.uint8()), PENDING))
    fields = [operator.needs().field(name) for name in names]
    return operator.given(table.cast(pa.schema(fields)))


def _misses(stage: str, operator: Asks, rows: pa.Table) -> Misses:
    requests = [question.request for question in operator.questions(operator.rows(rows))]
    folder = operator.model.cache or operator.replies or "replies"
    found = [why_kept(folder, request) for request in requests]
    missed = [miss for miss in found if not miss.kept]
    parts = Counter(miss.differs for miss in missed)
    return Misses(
        stage, len(found) - len(missed), len(missed), parts, missed[0] if missed else None
    )
