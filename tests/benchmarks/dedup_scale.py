"""How the cost of near-duplicate detection grows with the corpus, and what memory it takes."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines import open_corpus
from tests.benchmarks.processes import PYTHON, Memory, run_watched_command
from tests.benchmarks.record import Entry, Options, say, workspace
from tests.benchmarks.synthetic import base_of, write_inputs
from tests.support import write_job

_SIZES = (100_000, 300_000, 1_000_000, 2_000_000)
_UNIT_ROWS = 20_000
_COMMAND = [PYTHON, "-m", "tests.benchmarks.synthetic", "run"]
_GOAL = 1.3
_MOST_MEMORY = 3 << 30


@dataclass(frozen=True)
class Measured:
    """One corpus, deduplicated."""

    documents: int
    cpu_seconds: dict[str, float]
    wall_seconds: float
    memory: Memory
    found: int
    planted: int

    @property
    def dedup_seconds(self) -> float:
        """CPU seconds of signatures and comparison, without the making up of texts."""
        return self.cpu_seconds["minhash"] + self.cpu_seconds["near_text"]


def dedup_scale(options: Options) -> Entry:
    """CPU a document in the largest corpus over that in the smallest."""
    folder = workspace("dedup_scale")
    runs = [_run(folder, options.count(size, least=1000)) for size in _SIZES]
    shutil.rmtree(folder)
    small, large = runs[0], runs[-1]
    each = [run.dedup_seconds / run.documents for run in (small, large)]
    peak = max(run.memory.peak for run in runs)
    if peak > _MOST_MEMORY:
        raise AssertionError(f"a process took {peak / 1e9:.2f} GB")
    return Entry(
        each[1] / each[0],
        "ratio",
        _GOAL,
        details={
            "meaning": "CPU seconds a document of the largest corpus over those of the smallest",
            "peak_gb_of_a_process": round(peak / 1e9, 3),
            "runs": [_described(run) for run in runs],
        },
    )


def _run(folder: Path, documents: int) -> Measured:
    place = folder / str(documents)
    write_inputs(place / "pages", documents, 100_000)
    job = write_job(
        place,
        pipeline="synthetic",
        inputs=[{"table": str(place / "pages" / "*.jsonl")}],
        stages={},
        rules={"near": {"drop": "near_duplicate_of is not null"}},
        export=[],
        unit_rows=_UNIT_ROWS,
        on={"backend": "local", "workers": 2},
    )
    memory, wall = run_watched_command([*_COMMAND, str(job), "--no-report"])
    corpus = open_corpus(str(place / "store"))
    reference = json.loads((place / "store" / "jobs" / "job.json").read_text("utf-8"))
    stages = reference["done"]["summary"]["stages"]
    found = corpus.documents("near_duplicate_of")["near_duplicate_of"].count()
    planted = sum(base_of(number) != number for number in range(documents))
    shutil.rmtree(place)
    seconds = {name: stage["cpu_seconds"] for name, stage in stages.items()}
    run = Measured(documents, seconds, wall, memory, found, planted)
    say(json.dumps(_described(run)))
    return run


def _described(run: Measured) -> dict[str, Any]:
    return {
        "documents": run.documents,
        "cpu_seconds": {name: round(value, 1) for name, value in run.cpu_seconds.items()},
        "ms_a_document": round(1000 * run.dedup_seconds / run.documents, 4),
        "wall_seconds": round(run.wall_seconds, 1),
        "peak_mb_of_a_process": round(run.memory.peak / 1e6),
        "copies_planted": run.planted,
        "copies_found": run.found,
    }
