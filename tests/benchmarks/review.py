"""What the review page's server does for a decision, and for a start, with many rows.

`review_decisions`: CPU milliseconds of handing a row out and taking its decision to the disk, two
reviewers by turns. `review_reading`: CPU seconds of reading the log of as many decisions and
placing all rows, as at a start.
"""

from __future__ import annotations

import tempfile
import time

from operators.review_decisions import Decision
from pipelines.review_log import ReviewLog
from pipelines.review_queue import ReviewPlan, ReviewQueue
from tests.benchmarks.record import Entry, Options
from tests.review_site import plain

_ROWS = 100_000
_DECISIONS = 2_000
_GOAL_MS = 10.0
_GOAL_S = 20.0


def review_decisions(options: Options) -> Entry:
    """Milliseconds a decision."""
    rows, decisions = options.count(_ROWS), options.count(_DECISIONS)
    with tempfile.TemporaryDirectory() as folder, ReviewLog(folder) as log:
        queue = ReviewQueue(map(plain, range(rows)), ReviewPlan(), log)
        begun = time.process_time()
        for number in range(decisions):
            reviewer = ("Ann", "Bob")[number % 2]
            queue.hold(reviewer, [])
            item = queue.next(reviewer)
            assert item is not None
            queue.decide(
                reviewer,
                f"entry-{number}",
                item.instruction_id,
                "accept",
                seconds=1,
                time=f"{number:09d}",
            )
        taken = 1000 * (time.process_time() - begun) / decisions
    return Entry(taken, "ms", _GOAL_MS, details={"rows": rows, "decisions": decisions})


def review_reading(options: Options) -> Entry:
    """Seconds until the queue stands."""
    rows = options.count(_ROWS)
    with tempfile.TemporaryDirectory() as folder:
        with ReviewLog(folder) as log:
            # Written at once: syncing each line is what the other figure has.
            log.add(_accepted(0))
            path = next(log.folder.glob("*.jsonl"))
        lines = (_accepted(number).model_dump_json(exclude_defaults=True) for number in range(rows))
        path.write_text("\n".join(lines) + "\n", "utf-8")
        items = list(map(plain, range(rows)))
        begun = time.process_time()
        with ReviewLog(folder) as log:
            queue = ReviewQueue(items, ReviewPlan(), log)
        taken = time.process_time() - begun
    assert not queue.waiting["none"]
    return Entry(taken, "seconds", _GOAL_S, details={"rows": rows, "decisions": rows})


def _accepted(number: int) -> Decision:
    return Decision(
        entry=f"entry-{number}",
        time=f"{number:09d}",
        reviewer="Ann",
        instruction_id=f"plain{number}",
        action="accept",
        role="first",
        batch=0,
        seconds=1,
    )
