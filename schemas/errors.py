"""Every error omniloom raises on purpose.

    OmniloomError
    ├── JobError             the job file cannot be planned; lists every problem at once
    ├── GoldError            pages to evaluate on are not as they should be; lists the problems
    ├── SampleError          a labelled sample is not as it should be; lists the problems
    ├── SeedError            files of seed questions or prompts are wrong; lists the problems
    ├── InputError           an input is missing or unreadable
    ├── OperatorFailed       an operator's program failed (not one row: the run stops)
    ├── WorkerLost           a unit's worker died more often than its retries allow
    ├── ErrorRateExceeded    more rows failed than the job tolerates
    ├── BudgetSpent          asking models on would cost more than the job allows
    ├── QuotasMissed         too few instructions, or too lopsided ones
    ├── StorageError         a folder or bucket cannot be read or written
    ├── CorpusError          the store does not hold what was asked for
    └── ExportError          an export target cannot be written

All of them pickle, because they cross process and cluster borders.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar


class OmniloomError(Exception):
    """Base of all deliberate errors; `exit_code` is what the command returns for it."""

    exit_code: ClassVar[int] = 1


class InputError(OmniloomError):
    """An input file or folder is missing, or cannot be read at all."""

    exit_code = 2


class OperatorFailed(OmniloomError):
    """An operator raised outside of its row handling: a programming or set-up error."""


class WorkerLost(OmniloomError):
    """A worker process died while it held a unit, more often than retries allow."""


class ErrorRateExceeded(OmniloomError):
    """More rows ended in an error than `max_error_rate` of the job tolerates."""

    exit_code = 3


class BudgetSpent(OmniloomError):
    """Asking models on would cost more than the budget; what was answered is kept."""

    exit_code = 4


class QuotasMissed(OmniloomError):
    """What was accepted is less than the job's target, or misses a quota; nothing was exported."""

    exit_code = 5


class StorageError(OmniloomError):
    """A folder or bucket cannot be read or written: wrong kind, no permission, out of reach."""


class CorpusError(OmniloomError):
    """The store holds no such corpus, job, document or stage."""

    exit_code = 2


class ExportError(OmniloomError):
    """An export target holds foreign files or cannot be written."""


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a job: where it stands, what is wrong, how to mend it."""

    field: str
    message: str
    fix: str
    value: str | None = None
    file: str | None = None
    line: int | None = None

    def __str__(self) -> str:
        place = f"{self.file or 'job'}:{self.line}" if self.line else (self.file or "job")
        shown = f" = {self.value}" if self.value is not None else ""
        return f"{place}: {self.field}{shown}\n    {self.message}\n    fix: {self.fix}"


class _Problems(OmniloomError):
    """A file is wrong in one or more places. `problems` holds them all, in file order."""

    exit_code = 2
    where: ClassVar[str]
    shown: ClassVar[int | None] = None
    """How many problems the message spells out; None: all."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(problems, key=lambda p: (p.file or "", p.line or 0, p.field))
        count = len(self.problems)
        head = f"{count} problem{'s' if count != 1 else ''} in {self.where}:"
        lines = [head, *map(str, self.problems[: self.shown])]
        more = count - len(lines) + 1
        super().__init__("\n".join([*lines, *([f"… and {more} more"] if more else [])]))

    def __reduce__(self) -> tuple[type[_Problems], tuple[list[Problem]]]:
        return (type(self), (self.problems,))


class JobError(_Problems):
    """The job file cannot be planned. `problems` holds all that is wrong, in file order."""

    where = "the job"


class GoldError(_Problems):
    """Pages to evaluate on cannot be used. `problems` holds all that is wrong, in file order."""

    where = "the gold"
    shown = 20


class SampleError(_Problems):
    """A labelled sample cannot be used. `problems` holds all that is wrong, in file order."""

    where = "the sample"
    shown = 20


class SeedError(_Problems):
    """Files of seed questions or prompts cannot be used. `problems` holds all that is wrong."""

    where = "the seeds"


_NAMED = 40


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A sentence that helps with a misspelt `name`: the close matches, else what exists."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    if close:
        return "did you mean " + " or ".join(f"'{match}'" for match in close) + "?"
    more = f", … {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return "known: " + ", ".join(names[:_NAMED]) + more if names else "there are none"
