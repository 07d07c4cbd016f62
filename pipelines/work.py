"""Work: what a task is, and what a worker holds for the tasks that it runs.

A task is idempotent and commits by one atomic write at its end, so that it can be run again, or
twice at once, without harm. The tasks themselves are in `index`, `unit` and `shards`.
"""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any, Protocol

from operators.base import Resources
from pipelines.plan import Plan, Stage
from pipelines.store import Store
from schemas.errors import OmniloomError, OperatorFailed


class Worker:
    """One process's share of a run: plan, store, and the state of operators, loaded once."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.store = Store(plan.jobfile.job.store)
        self._states: dict[str, tuple[Stage, Any]] = {}

    def state(self, stage: Stage) -> Any:
        """The stage's loaded state."""
        if stage.fingerprint not in self._states:
            try:
                self._states[stage.fingerprint] = (stage, stage.operator.setup())
            except Exception as error:
                raise failed_stage(stage, "setup", error) from error
        return self._states[stage.fingerprint][1]

    def close(self) -> None:
        """Let go of what the operators opened."""
        for stage, state in self._states.values():
            stage.operator.close(state)
        self._states.clear()


class Task(Protocol):
    """A piece of work that a backend hands to a worker."""

    @property
    def key(self) -> str:
        """A name for messages."""

    @property
    def weight(self) -> int:
        """How much progress it stands for."""

    def resources(self, plan: Plan) -> Resources:
        """What its worker needs."""

    def stateful(self, plan: Plan) -> bool:
        """True when its worker should stay alive for the next such task."""

    def run(self, worker: Worker) -> Any:
        """Do the work and commit it."""

    def following(self, plan: Plan, result: Any) -> Task | None:
        """The task that goes on with this one's result, if any."""


class PlainTask:
    """Defaults of a task that needs one CPU and is done when it returns."""

    def resources(self, plan: Plan) -> Resources:
        return Resources()

    def stateful(self, plan: Plan) -> bool:
        return False

    def following(self, plan: Plan, result: Any) -> Task | None:
        return None


def failed_stage(stage: Stage, doing: str, error: Exception) -> OmniloomError:
    """The error to raise for a stage whose program failed while `doing` something."""
    if isinstance(error, OmniloomError):
        return error
    place = f"stage '{stage.name}' ({stage.operator.name})"
    return OperatorFailed(f"{place} failed in {doing}: {described(error)}")


def described(error: Exception) -> str:
    """Class, message and innermost place of an exception, for one that crosses processes."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{place}"
