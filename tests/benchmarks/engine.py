"""What the engine costs beside the operators that it runs, in CPU time and in memory.

`engine_overhead`: CPU seconds of `omniloom run` (index, the demo job's stages, verdicts; no
export) over CPU seconds of the same operators in a plain loop over the same pages. The loop runs
in as many processes as the engine has workers, so that both meet the same contention; loop and
engine take turns, and the least of each side's rounds counts.

`engine_memory`: the greatest resident set of any of the run's processes, sampled every 50 ms, on
a corpus ten times the size of another, over that on the smaller one; export included.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from tests.benchmarks.bare import Loop, run_bare
from tests.benchmarks.jobs import demo_job, read_summary, rows_computed
from tests.benchmarks.pages import origin, write_archives
from tests.benchmarks.processes import Memory, Usage, run_omniloom, run_watched
from tests.benchmarks.record import Entry, Options, say, workspace

_PAGES = 5000
_PAGES_PER_FILE = 1250
_WORKERS = 2
_ROUNDS = 2
_OVERHEAD_GOAL = 1.15

_FEW_PAGES = 2000
_TIMES = 10
_UNIT_ROWS = 1000
_MEMORY_GOAL = 1.2

_MB = 1e6
_EXTRACT = {"extractor": "trafilatura", "fast": True}


def _job(folder: Path, archives: Path, **fields: Any) -> Path:
    """The demo job over `archives`, with trafilatura, fast: the usual cost of a page."""
    changes: dict[str, Any] = {
        "inputs": [{"warc": str(archives / "*.warc.gz")}],
        "stages": {"extract": _EXTRACT, "language": {"min_chars": 20}},
        "on": {"backend": "local", "workers": _WORKERS},
        "max_error_rate": 0.2,
    }
    folder.mkdir(parents=True, exist_ok=True)
    return demo_job(folder, "job", **changes | fields)


# --- CPU ----------------------------------------------------------------------------------------


def engine_overhead(options: Options) -> Entry:
    """CPU seconds of a run over those of its bare operators."""
    folder = workspace("engine_overhead")
    pages = options.count(_PAGES, least=100)
    per_file = options.count(_PAGES_PER_FILE, least=25)
    write_archives(folder / "pages", pages, per_file)
    unit_rows = options.count(_UNIT_ROWS, least=20)
    plain = _job(folder / "plain", folder / "pages", export=[], unit_rows=unit_rows)
    whole = _job(folder / "export", folder / "pages", unit_rows=unit_rows)
    loops, engines, exports = [], [], []
    for number in range(_ROUNDS):
        loops.append(run_bare(plain, pages, processes=_WORKERS))
        engines.append(_fresh_run(plain, loops[-1]))
        exports.append(_fresh_run(whole, loops[-1]))
        say(
            f"round {number + 1}: operators {loops[-1].seconds:.1f} s, "
            f"engine {engines[-1].cpu_seconds:.1f} s, with export {exports[-1].cpu_seconds:.1f} s"
        )
    start = run_omniloom("run", plain, "--no-report")
    shutil.rmtree(folder)
    bare = min(loop.seconds for loop in loops)
    engine, export = (min(run.cpu_seconds for run in runs) for runs in (engines, exports))
    return Entry(
        engine / bare,
        "ratio",
        _OVERHEAD_GOAL,
        details={
            "meaning": "CPU seconds of a run over CPU seconds of its bare operators",
            "ratio_with_export": round(export / bare, 4),
            "pages": pages,
            "origin": origin(),
            "extraction": "fast: true, in the engine and in the loop",
            "rows_computed": loops[0].rows,
            "operator_cpu_seconds": [round(loop.seconds, 2) for loop in loops],
            "engine_cpu_seconds": [round(run.cpu_seconds, 2) for run in engines],
            "engine_with_export_cpu_seconds": [round(run.cpu_seconds, 2) for run in exports],
            "engine_with_nothing_to_do_cpu_seconds": round(start.cpu_seconds, 2),
            "by_operator": {k: round(v, 2) for k, v in loops[0].cpu_seconds.items()},
        },
    )


def _fresh_run(job: Path, loop: Loop) -> Usage:
    """Run a job on an empty store, and check that it did the work that the loop did."""
    for path in job.parent.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
    usage = run_omniloom("run", job, "--no-report")
    computed = rows_computed(job.parent)
    if computed != loop.rows:
        raise AssertionError(f"the engine computed {computed}, the loop {loop.rows}")
    return usage


# --- Memory -------------------------------------------------------------------------------------


def engine_memory(options: Options) -> Entry:
    """Peak memory on many pages over peak memory on few."""
    folder = workspace("engine_memory")
    few = options.count(_FEW_PAGES, least=100)
    unit_rows = options.count(_UNIT_ROWS, least=50)
    small = _memory(folder / "few", few, few, unit_rows)
    large = _memory(folder / "many", few * _TIMES, few, unit_rows)
    shutil.rmtree(folder)
    return Entry(
        large.peak / small.peak,
        "ratio",
        _MEMORY_GOAL,
        details={
            "meaning": f"peak resident set on {few * _TIMES} pages over that on {few}",
            "origin": f"smaller half of {origin()}",
            "unit_rows": unit_rows,
            "few": _described(small),
            "many": _described(large),
            "proportional_ratio": round(large.proportional / small.proportional, 4),
            "unique_ratio": round(large.unique / small.unique, 4),
        },
    )


def _memory(folder: Path, pages: int, per_file: int, unit_rows: int) -> Memory:
    write_archives(folder / "pages", pages, per_file, smaller_half=True)
    job = _job(folder, folder / "pages", unit_rows=unit_rows)
    memory, seconds = run_watched("run", job, "--no-report")
    summary = read_summary(folder)
    if summary["documents"] != pages:
        raise AssertionError(f"{summary['documents']} documents of {pages} pages")
    say(f"{pages} pages: {memory.peak / _MB:.0f} MB at most, {seconds:.0f} s")
    return memory


def _described(memory: Memory) -> dict[str, Any]:
    """Megabytes: resident by process, proportional of all together, unique of the greatest."""
    return {
        "driver_mb": round(memory.driver / _MB, 1),
        "worker_mb": sorted(round(size / _MB, 1) for size in memory.workers.values()),
        "all_proportional_mb": round(memory.proportional / _MB, 1),
        "greatest_unique_mb": round(memory.unique / _MB, 1),
    }
