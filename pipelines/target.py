"""So many accepted instructions: pictures have their turn in waves, until there are enough.

All pictures stand in one shuffled order (`picture_turn`); a wave is a bound on it. A greater bound
adds pictures and changes nothing for those that had their turn, so a wave costs what it adds. The
first wave is a pilot; how much of it was accepted tells how great the next must be.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from pipelines.jobfile import JobFile
from pipelines.summary import Summary
from schemas.errors import QuotasMissed
from schemas.job import RuleSpec

RULE = "_in_turn"
TURNS = "turns"
"""The stage that shuffles the pictures."""
PILOT = 20
"""Pictures of the first wave."""
_MARGIN = 1.05  # a wave aims a little higher than what is still needed
_GROWTH = 4.0  # the most that a wave multiplies the pictures by
_PLACES = 6  # of a bound
_BOUND = "picture_turn < "


def in_turn(jobfile: JobFile, share: float, **changes: Any) -> JobFile:
    """The job over a share of its pictures, with other fields besides."""
    job = jobfile.job
    extra = dict(job.rules.__pydantic_extra__ or {})
    if share < 1:
        extra[RULE] = RuleSpec(table="images", keep=f"{_BOUND}{share:.{_PLACES}f}")
    rules = type(job.rules).model_validate({"use": job.rules.use} | extra)
    return replace(jobfile, job=job.model_copy(update={"rules": rules, **changes}))


def share_in(reference: dict[str, Any]) -> float:
    """The share of its pictures that a job's last run was over, by what it left in the store."""
    for rule in reference.get("rules", ()):
        if rule["name"] == RULE:
            return float(rule["expression"].removeprefix(_BOUND))
    return 1.0


class Waves:
    """The waves of a job that wants `wanted` instructions: iterate, and tell what each brought."""

    def __init__(self, jobfile: JobFile, wanted: int, share: float) -> None:
        self.jobfile, self.wanted, self.share = jobfile, wanted, share
        self._accepted = 0

    def __iter__(self) -> Iterator[JobFile]:
        yield self._wave()
        while self._accepted < self.wanted and self.share < 1:
            factor = _MARGIN * self.wanted / self._accepted if self._accepted else _GROWTH
            self.share = min(1.0, self.share * min(factor, _GROWTH))
            yield self._wave()

    def _wave(self) -> JobFile:
        return in_turn(self.jobfile, self.share, export=[])

    def brought(self, summary: Summary) -> None:
        """Take the outcome of a wave."""
        self._accepted = summary.images_kept

    def last(self) -> JobFile:
        """The whole job over the pictures that were needed.

        Raises:
            QuotasMissed: all of them had their turn, and there are too few instructions.
        """
        if self._accepted < self.wanted:
            raise QuotasMissed(
                f"all pictures had their turn, and {self._accepted} instructions were accepted of "
                f"the {self.wanted} that 'target.accepted' wants. Add pictures, move a threshold, "
                "or want fewer; nothing was exported"
            )
        return in_turn(self.jobfile, self.share)


def share_of(wanted: int, pictures: int) -> float:
    """The bound below which about so many of the pictures are."""
    return min(1.0, max(wanted / max(pictures, 1), 0.1**_PLACES))
