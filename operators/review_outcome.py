"""What people decided about instructions, as columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import pyarrow as pa
from pydantic import Field

from operators.base import Operator, measured
from operators.review_decisions import Outcome, Reviews, digest, read_reviews
from schemas import columns


class ReviewOutcome(Operator[Reviews]):
    """What reviewers decided about each instruction, read from the log of their decisions.

    Rows that nobody dealt with have nulls. The log decides the values, so new decisions compute
    this stage again and no other; decisions that come in during a run are taken up by the next.
    """

    name = "review_outcome"
    table = "instructions"
    store_folders: ClassVar[Mapping[str, str]] = {"folder": "reviews"}
    reads = columns.schema("instruction_id")
    writes = columns.schema(
        "review_status", "reviewed_turns", "reviewed_options", "review_seconds", "review_count"
    )

    folder: str = Field("", description="folder of the review log; empty: nothing was reviewed")

    def setup(self) -> Reviews:
        """All decisions; none where the folder is not there yet."""
        return read_reviews(self.folder) if self.folder else Reviews()

    def deciding_config(self) -> dict[str, Any]:
        """Nothing: what the log says decides, not where it is."""
        return {}

    def provenance(self) -> dict[str, str]:
        """A digest of the log."""
        return {"decisions": digest(self.folder) if self.folder else "none"}

    def measure(self, batch: pa.Table, state: Reviews) -> pa.Table:
        """Look each row's decisions up."""
        outcomes = [state.outcome(name) for name in batch["instruction_id"].to_pylist()]
        return measured(self.writes, list(zip(*map(_cells, outcomes), strict=True)) or [[]] * 5)


def _cells(outcome: Outcome | None) -> tuple[Any, ...]:
    if outcome is None:
        return (None,) * 5
    turns = outcome.turns and [turn.model_dump() for turn in outcome.turns]
    options = None if outcome.options is None else list(outcome.options)
    return outcome.status, turns, options, outcome.seconds, outcome.count
