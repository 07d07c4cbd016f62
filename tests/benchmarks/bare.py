"""A job's operators in a plain loop, without the engine: `python -m tests.benchmarks.bare JOB`.

The pages are in memory before the clock starts, in batches of 256, and only the operators' calls
are timed, in CPU seconds of this process. Between two operators the rows that failed, or that the
job's rules drop, are left out, as the engine leaves them out, so that both do the same work.
Libraries and models are loaded before the clock starts. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from operators.base import ERROR_COLUMN
from operators.rules import Rule
from pipelines import load_job
from pipelines.plan import Plan, compile_plan
from schemas.columns import schema
from tests.benchmarks.pages import DATE, Capture, repeated
from tests.benchmarks.processes import ONE_THREAD, PYTHON, run_side_by_side

PAGES = schema("url", "html", "http_charset", "capture_date")
BATCH_ROWS = 256


@dataclass
class Loop:
    """Rows and CPU seconds of each operator, by stage."""

    rows: dict[str, int] = field(default_factory=dict)
    cpu_seconds: dict[str, float] = field(default_factory=dict)

    def add(self, stage: str, rows: int, seconds: float) -> None:
        """Count one call in."""
        self.rows[stage] = self.rows.get(stage, 0) + rows
        self.cpu_seconds[stage] = self.cpu_seconds.get(stage, 0) + seconds

    @property
    def seconds(self) -> float:
        """Of all operators together."""
        return sum(self.cpu_seconds.values())


def run_bare(job: Path, pages: int, processes: int = 1) -> Loop:
    """The loop in `processes` processes side by side, each with its share of the batches."""
    command = [PYTHON, "-m", "tests.benchmarks.bare", str(job), f"--pages={pages}"]
    shares = [[*command, f"--share={n}/{processes}"] for n in range(processes)]
    total = Loop()
    for usage in run_side_by_side(shares, ONE_THREAD):
        part = Loop(**json.loads(usage.output))
        for stage, rows in part.rows.items():
            total.add(stage, rows, part.cpu_seconds[stage])
    return total


def _batches(pages: Iterator[Capture]) -> Iterator[pa.Table]:
    while group := list(itertools.islice(pages, BATCH_ROWS)):
        columns = zip(*((p.url, p.html, p.charset, DATE) for p in group), strict=True)
        yield pa.Table.from_arrays(
            [pa.array(c, f.type) for c, f in zip(columns, PAGES, strict=True)], schema=PAGES
        )


def _loop(plan: Plan, batches: list[pa.Table]) -> Loop:
    loop = Loop()
    states = [stage.operator.setup() for stage in plan.stages]
    for table in [batches[0].slice(0, 2)] if batches else []:  # loads what is loaded on first use
        _measure(plan, states, table, Loop())
    for batch in batches:
        _measure(plan, states, batch, loop)
    return loop


def _measure(plan: Plan, states: list[Any], table: pa.Table, loop: Loop) -> None:
    for index, (stage, state) in enumerate(zip(plan.stages, states, strict=True)):
        asked = table.select(stage.operator.reads.names)
        started = time.process_time()
        result = stage.operator.measure(asked, state)
        loop.add(stage.name, asked.num_rows, time.process_time() - started)
        for name in stage.operator.writes.names:
            table = table.append_column(result.schema.field(name), result[name])
        if ERROR_COLUMN in result.column_names:
            table = table.filter(pc.is_null(result[ERROR_COLUMN]))
        table = _alive(table, plan.rules_after(index))


def _alive(table: pa.Table, rules: list[Rule]) -> pa.Table:
    """The rows that no document rule drops."""
    judged = [rule for rule in rules if rule.table == "documents" and rule.expression.columns]
    if not judged or not table.num_rows:
        return table
    names = sorted({name for rule in judged for name in rule.expression.columns})
    frame = pl.from_arrow(table.select(names))
    assert isinstance(frame, pl.DataFrame)  # from_arrow of a table
    passed = frame.select(pl.all_horizontal(rule.passes() for rule in judged).alias("passed"))
    return table.filter(passed["passed"].to_arrow())


def main() -> None:
    """Run this process's share of the loop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("job")
    parser.add_argument("--pages", type=int, required=True)
    parser.add_argument("--share", default="0/1", help="which batches: the N-th of every M, N/M")
    options = parser.parse_args()
    pa.set_cpu_count(1)
    plan = compile_plan(load_job(options.job))
    number, every = map(int, options.share.split("/"))
    batches = list(_batches(repeated(options.pages)))[number::every]
    loop = _loop(plan, batches)
    sys.stdout.write(json.dumps({"rows": loop.rows, "cpu_seconds": loop.cpu_seconds}))


if __name__ == "__main__":
    main()
