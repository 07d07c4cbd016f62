"""Documents a CPU second of each operator alone, on the bundled sample.

Measured in the plain loop of `bare`, on one thread, with the demo job's own settings. The best of
three rounds counts. The figures depend on the machine, the speed-up over trafilatura hardly: both
run over the same pages in turn.
"""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from functools import cache

import pyarrow as pa

from operators.boilerplate import BoilerplateMarks
from operators.extract import extract_nodes
from operators.text import TextStatistics
from tests.benchmarks.bare import Loop, run_bare
from tests.benchmarks.jobs import demo_job
from tests.benchmarks.pages import distinct_pages, origin
from tests.benchmarks.record import Entry, Options, workspace

_ROUNDS = 3
_OWN = "interleaved"


def extraction_throughput(options: Options) -> Entry:
    """Pages a CPU second, metadata included."""
    peers = {
        "trafilatura": _best(_loops("trafilatura"), "extract"),
        "trafilatura, fast": _best(_loops("trafilatura", fast=True), "extract"),
    }
    return replace(_entry("extract"), peers={name: round(v, 1) for name, v in peers.items()})


def extraction_speedup(options: Options) -> Entry:
    """Pages a CPU second over those of trafilatura as it comes."""
    ours, theirs = _loops(_OWN), _loops("trafilatura")
    ratio = _best(ours, "extract") / _best(theirs, "extract")
    return Entry(ratio, "x", goal=6.0, more_is_better=True, details={"origin": origin()})


def feedback_rules_throughput(options: Options) -> Entry:
    """Documents of 500 words a CPU second through the marks that the feedback rules read.

    The sample's main content, its words counted and divided by 500.
    """
    pages = [extract_nodes(page.html, page.url) for page in distinct_pages()]
    rows = [{"nodes": [asdict(node) for node in nodes]} for nodes in pages]
    marks, batch = BoilerplateMarks(), pa.Table.from_pylist(rows, schema=BoilerplateMarks.reads)
    text = TextStatistics()
    words = sum(text.measure(batch, text.setup())["word_count"].to_pylist())
    marks.setup()
    seconds = []
    for _ in range(_ROUNDS):
        started = time.process_time()
        marks.measure(batch, None)
        seconds.append(time.process_time() - started)
    details = {"documents": len(rows), "words": words, "origin": origin()}
    return Entry(words / 500 / min(seconds), "documents/CPU s", details=details)


def _entry(stage: str) -> Entry:
    loops = _loops(_OWN)
    details = {"documents": loops[0].rows[stage], "origin": origin()}
    return Entry(_best(loops, stage), "documents/CPU s", details=details)


def _best(loops: tuple[Loop, ...], stage: str) -> float:
    return max(loop.rows[stage] / loop.cpu_seconds[stage] for loop in loops)


@cache
def _loops(extractor: str, **fields: bool) -> tuple[Loop, ...]:
    stages = {"extract": {"extractor": extractor} | fields}
    job = demo_job(workspace("throughput"), stages=stages)
    return tuple(run_bare(job, len(distinct_pages())) for _ in range(_ROUNDS))
