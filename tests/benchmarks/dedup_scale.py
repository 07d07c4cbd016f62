"""How the cost of near-duplicate detection grows with the corpus, and what memory it takes."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines import open_corpus
from tests.benchmarks.processes import PYTHON, Memory, run_watched_command
from tests.benchmarks.record import Entry, Options, say, workspace
from tests.benchmarks.synthetic import base_of, write_inputs
from tests.support import ROOT, write_job

CHART = ROOT / "docs" / "dedup-scale.svg"

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
    if options.scale == 1:
        CHART.write_text(chart([_described(run) for run in runs]), "utf-8")
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


def chart(runs: list[dict[str, Any]]) -> str:
    """CPU seconds and peak memory over the number of documents, as SVG."""
    documents = [run["documents"] / 1e6 for run in runs]
    seconds = [run["cpu_seconds"]["minhash"] + run["cpu_seconds"]["near_text"] for run in runs]
    memory = [run["peak_mb_of_a_process"] / 1e3 for run in runs]
    panels = [("CPU seconds", seconds), ("greatest process, GB", memory)]
    head = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 620 270" width="620" height="270" '
        'font-family="sans-serif" font-size="11" fill="#444"><rect width="620" height="270" '
        'fill="#fff"/>'
    )
    drawn = [_panel(60 + 300 * i, title, documents, ys) for i, (title, ys) in enumerate(panels)]
    return "\n".join([head, *drawn, "</svg>", ""])


def _panel(left: int, title: str, xs: list[float], ys: list[float]) -> str:
    """A square of one curve, both axes from zero."""
    side, top = 200, 30
    step = 0.4 * 10 ** math.floor(math.log10(max(ys)))
    right, high = max(xs), math.ceil(max(ys) / step) * step
    places = [
        (left + x / right * side, top + side - y / high * side) for x, y in zip(xs, ys, strict=True)
    ]
    parts = [f'<text x="{left}" y="18" font-size="13" fill="#111">{title}</text>']
    for tick in range(5):
        x, y = left + tick * side / 4, top + side - tick * side / 4
        parts += [
            f'<path d="M{x},{top}v{side}M{left},{y}h{side}" stroke="#ddd" fill="none"/>',
            f'<text x="{x}" y="{top + side + 15}" text-anchor="middle">{right * tick / 4:g}</text>',
            f'<text x="{left - 6}" y="{y + 4}" text-anchor="end">{high * tick / 4:.3g}</text>',
        ]
    line = "L".join(f"{x:.1f},{y:.1f}" for x, y in places)
    parts.append(f'<path d="M{line}" fill="none" stroke="#1f6f8b" stroke-width="2"/>')
    parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="#1f6f8b"/>' for x, y in places]
    middle = left + side / 2
    parts.append(
        f'<text x="{middle}" y="{top + side + 32}" text-anchor="middle">million documents</text>'
    )
    return "\n".join(parts)


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
