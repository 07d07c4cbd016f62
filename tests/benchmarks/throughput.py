"""Documents a CPU second of each operator alone, on the bundled sample.

Measured in the plain loop of `bare`, on one thread, with the demo job's own settings: extraction
with its fallbacks, and as a detail without them. The best of three rounds counts. Information
only: the figures depend on the machine.
"""

from __future__ import annotations

from functools import cache

from tests.benchmarks.bare import Loop, run_bare
from tests.benchmarks.jobs import demo_job
from tests.benchmarks.pages import distinct_pages, origin
from tests.benchmarks.record import Entry, Options, workspace

_ROUNDS = 3


def extraction_throughput(options: Options) -> Entry:
    """Pages a CPU second."""
    return _entry("extract", fast=_best(_loops(True), "extract"))


def language_throughput(options: Options) -> Entry:
    """Extracted documents a CPU second, their nodes included."""
    return _entry("language")


def text_rules_throughput(options: Options) -> Entry:
    """Documents a CPU second through the measures that the text rules decide on."""
    return _entry("text")


def _entry(stage: str, **others: float) -> Entry:
    loops = _loops(False)
    details = {"documents": loops[0].rows[stage], "origin": origin()}
    details |= {f"with_{name}": round(value, 1) for name, value in others.items()}
    return Entry(_best(loops, stage), "documents/CPU s", details=details)


def _best(loops: tuple[Loop, ...], stage: str) -> float:
    return max(loop.rows[stage] / loop.cpu_seconds[stage] for loop in loops)


@cache
def _loops(fast: bool) -> tuple[Loop, ...]:
    job = demo_job(workspace("throughput"), stages={"extract": {"fast": fast}})
    return tuple(run_bare(job, len(distinct_pages())) for _ in range(_ROUNDS))
