"""What running again costs: wall seconds of the command `omniloom run`, start to end.

`rerun_nothing`: nothing has changed since the last run. `rerun_threshold`: one rule's threshold
has, another one each time; no stage may compute a single row. `rerun_threshold_dedup`: the same
before stages that look at the whole corpus, which is another one then; only they may compute. All
on copies of jobs/demo.yaml with stores of their own, reports included; the first two with the rules
of `gopher` and its own only.
"""

from __future__ import annotations

import statistics
from pathlib import Path

from tests.benchmarks.jobs import demo_job, read, read_summary, rows_computed, write
from tests.benchmarks.processes import COMMAND, run_measured
from tests.benchmarks.record import Entry, Options, workspace

_TIMES = 5
_OVER_CORPUS = {"same_url", "same_text", "near_text", "same_images", "paragraphs"}
_SINGLE = ["gopher"]
_NOTHING_GOAL = 2.0
_THRESHOLD_GOAL = 3.0


def rerun_nothing(options: Options) -> Entry:
    """Seconds of a run that finds everything done."""
    job, first = _finished_job("rerun_nothing", _SINGLE)
    before = _files(job.parent)
    seconds = [_run(job) for _ in range(_TIMES)]
    if _files(job.parent) != before:
        raise AssertionError("a run with nothing to do wrote something")
    return _entry(seconds, first, job, _NOTHING_GOAL)


def rerun_threshold(options: Options) -> Entry:
    """Seconds of a run after one threshold has moved."""
    return _moved("rerun_threshold", _SINGLE, _THRESHOLD_GOAL)


def rerun_threshold_dedup(options: Options) -> Entry:
    """Seconds of the whole demo after a threshold before its deduplication has moved."""
    return _moved("rerun_threshold_dedup", None, None)


def _moved(name: str, rules: list[str] | None, goal: float | None) -> Entry:
    job, first = _finished_job(name, rules)
    seconds, kept = [], [read_summary(job.parent)["kept"]]
    for least in range(2, 2 + _TIMES):
        changed = read(job)
        changed["rules"]["has_image"] = {"drop": f"image_count < {least}"}
        write(job, changed)
        seconds.append(_run(job))
        kept.append(read_summary(job.parent)["kept"])
        computed = rows_computed(job.parent)
        if any(count for stage, count in computed.items() if stage not in _OVER_CORPUS):
            raise AssertionError(f"a moved threshold computed {computed}")
    if len(set(kept)) < 2:
        raise AssertionError(f"the threshold did not matter: {kept} kept")
    return _entry(seconds, first, job, goal, kept=kept)


def _finished_job(name: str, rules: list[str] | None) -> tuple[Path, float]:
    """A finished copy of the demo, with these fragments in place of its own."""
    job = demo_job(workspace(name))
    if rules is not None:
        changed = read(job)
        changed["rules"]["use"] = rules
        write(job, changed)
    return job, _run(job)


def _run(job: Path) -> float:
    return run_measured([COMMAND, "run", str(job)]).wall_seconds


def _files(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def _entry(
    seconds: list[float], first: float, job: Path, goal: float | None, **details: object
) -> Entry:
    summary = read_summary(job.parent)
    return Entry(
        statistics.median(seconds),
        "seconds",
        goal,
        details={
            "meaning": f"median of {len(seconds)}, start to end, report included",
            "least": round(min(seconds), 3),
            "greatest": round(max(seconds), 3),
            "first_run_seconds": round(first, 2),
            "documents": summary["documents"],
            **details,
        },
    )
