"""What a benchmark returns, and the file and table that hold all of them.

`build/bench.json` maps each name to its entry, so that a script can check a figure. A run of some
benchmarks replaces their entries and keeps the others.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.support import ROOT

BENCH = ROOT / "build" / "bench"
RESULTS = ROOT / "build" / "bench.json"
_WIDTH = 120


@dataclass(frozen=True)
class Options:
    """What all benchmarks are told: how much of the full size to run, and where chance starts."""

    scale: float
    seed: int
    device: str = "auto"
    """Where models run: auto, cpu or cuda."""

    def count(self, full: int, least: int = 1) -> int:
        """The full count, shrunk for a trial."""
        return max(least, round(full * self.scale))


@dataclass(frozen=True)
class Entry:
    """One figure, what it should be, and how it came about."""

    value: float
    unit: str
    goal: float | None = None
    """The worst value that is good enough; None for a figure that only informs."""
    more_is_better: bool = False
    peers: dict[str, float] = field(default_factory=dict)
    """The same figure of what it is compared with, where there is such a thing."""
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Whether the value is at least as good as the goal."""
        if self.goal is None:
            return True
        return self.value >= self.goal if self.more_is_better else self.value <= self.goal

    @property
    def ratio(self) -> float | None:
        """The value against its goal, else against the first peer."""
        against = self.goal if self.goal is not None else next(iter(self.peers.values()), None)
        return round(self.value / against, 4) if against else None

    def as_json(self, name: str, scale: float) -> dict[str, Any]:
        """The entry as it stands in the file."""
        full = scale == 1
        command = f"make bench ONLY={name}"
        found: dict[str, Any] = {
            "value": round(self.value, 4),
            "unit": self.unit,
            "goal": self.goal,
            "holds": self.holds,
            "peers": self.peers,
            "ratio": self.ratio,
            "command": command if full else f"python -m tests.benchmarks {name} --scale {scale:g}",
        }
        if not full:
            found["scale"] = scale
        return found | ({"details": self.details} if self.details else {})


def read_results() -> dict[str, dict[str, Any]]:
    """All entries so far."""
    if not RESULTS.exists():
        return {}
    found: dict[str, dict[str, Any]] = json.loads(RESULTS.read_text("utf-8"))
    return found


def merge_result(name: str, entry: Entry, scale: float) -> None:
    """Put one entry in the file, beside the others."""
    results = read_results() | {name: entry.as_json(name, scale)}
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    fresh = RESULTS.with_suffix(".json.new")
    text = json.dumps(dict(sorted(results.items())), indent=1, ensure_ascii=False)
    fresh.write_text(text + "\n", "utf-8")
    fresh.replace(RESULTS)


def print_results(names: list[str]) -> None:
    """A table of the named entries."""
    table = Table("benchmark", "value", "unit", "goal", "holds", "ratio", "peers", box=None)
    for column in table.columns:
        column.no_wrap = True
    results = read_results()
    for name in names:
        found = results[name]
        peers = ", ".join(f"{peer} {value:g}" for peer, value in found["peers"].items())
        scale = f" (scale {found['scale']:g})" if "scale" in found else ""
        goal, ratio = found["goal"], found["ratio"]
        table.add_row(
            name + scale,
            f"{found['value']:g}",
            found["unit"],
            "" if goal is None else f"{goal:g}",
            "yes" if found["holds"] else "NO",
            "" if ratio is None else f"{ratio:g}",
            peers,
        )
    Console(width=_WIDTH).print(table)


def say(line: str) -> None:
    """Progress of a long benchmark, for whoever waits."""
    Console(stderr=True, highlight=False).print(line, markup=False)


def workspace(name: str) -> Path:
    """An empty folder for one benchmark."""
    folder = BENCH / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
