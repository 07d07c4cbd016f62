"""What starting costs: wall seconds of fresh processes, start to end.

`cli_help`: `omniloom --help`. `import_pipelines`: `python -c "import pipelines"`, beside a Python
that does nothing. One start before the others fills the file cache and is not counted.
"""

from __future__ import annotations

import statistics
from typing import Any

from tests.benchmarks.processes import COMMAND, PYTHON, run_measured
from tests.benchmarks.record import Entry, Options

_TIMES = 7
_HELP_GOAL = 0.6


def cli_help(options: Options) -> Entry:
    """Seconds until the help is shown."""
    seconds = _seconds([COMMAND, "--help"])
    return Entry(statistics.median(seconds), "seconds", _HELP_GOAL, details=_spread(seconds))


def import_pipelines(options: Options) -> Entry:
    """Seconds of importing the public package."""
    nothing = statistics.median(_seconds([PYTHON, "-c", "pass"]))
    seconds = _seconds([PYTHON, "-c", "import pipelines"])
    peers = {"python_alone": round(nothing, 4)}
    return Entry(statistics.median(seconds), "seconds", peers=peers, details=_spread(seconds))


def _seconds(command: list[str]) -> list[float]:
    return [run_measured(command).wall_seconds for _ in range(_TIMES + 1)][1:]


def _spread(seconds: list[float]) -> dict[str, Any]:
    meaning = f"median of {len(seconds)}, start to end"
    return {"meaning": meaning, "least": round(min(seconds), 4), "greatest": round(max(seconds), 4)}
