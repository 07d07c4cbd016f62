"""What a recipe is: a pipeline's stages, top to bottom, and which operators each may run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from operators.base import Operator
from schemas.tables import DOCUMENTS, IMAGES, Table


@dataclass(frozen=True)
class Step:
    """A named stage. Where several operators can do it, the job's key `choose` names one.

    A stage `on_demand` is part of a plan only when the job gives it parameters, or when a rule, an
    export or another stage reads what it writes.
    """

    name: str
    meaning: str
    operators: dict[str, type[Operator[Any]]]
    choose: str | None = None
    on_demand: bool = False

    @property
    def default(self) -> str:
        """The operator that runs when the job names none."""
        return next(iter(self.operators))


@dataclass(frozen=True)
class Recipe:
    """A named pipeline over the rows of `table`, and over those of `inner` that come of them."""

    name: str
    meaning: str
    steps: tuple[Step, ...]
    table: Table = DOCUMENTS
    inner: Table = IMAGES


def step(name: str, meaning: str, operator: type[Operator[Any]]) -> Step:
    """A stage that one operator does."""
    return Step(name, meaning, {operator.name: operator})


def asked(name: str, meaning: str, operator: type[Operator[Any]]) -> Step:
    """A stage that one operator does, when something asks for it."""
    return Step(name, meaning, {operator.name: operator}, on_demand=True)
