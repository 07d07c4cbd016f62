"""What a review amounts to: rows and minutes, agreement, returned batches."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import combinations
from statistics import median
from typing import Any

from operators.review_decisions import Decision, Reviews
from pipelines.agreement import cohens_kappa, krippendorffs_alpha, percent_agreement
from pipelines.review_queue import ReviewQueue


@dataclass
class ReviewerFigures:
    """One person: decisions by kind, time, and how far others agree."""

    name: str
    decisions: Counter[str] = field(default_factory=Counter)
    """Rows by `accept`, `edit`, `reject` and `skip`; undone ones are not among them."""
    seconds: float = 0.0
    """All time on review, that on undone and skipped rows too; `manual_seconds` is apart."""
    median_seconds: float | None = None
    shared: int = 0
    """Opinions of others on this person's rows, and how many of them are the same."""
    same: int = 0
    manual_rows: int = 0
    manual_seconds: float = 0.0

    @property
    def rows(self) -> int:
        """Rows with an opinion of this person."""
        return self.decisions.total() - self.decisions["skip"]

    @property
    def rows_per_hour(self) -> float | None:
        """Opinions an hour of work."""
        return 3600 * self.rows / self.seconds if self.seconds else None

    @property
    def agreement(self) -> float | None:
        """Share of others' opinions on the same rows that are the same."""
        return self.same / self.shared if self.shared else None


@dataclass
class CellFigures:
    """One domain and kind: rows under review, and what became of them."""

    domain: str
    kind: str
    statuses: Counter[str] = field(default_factory=Counter)

    @property
    def planned(self) -> int:
        """Rows that the plan picked."""
        return self.statuses.total()

    @property
    def decided(self) -> int:
        """Rows kept or rejected."""
        return self.kept + self.statuses["rejected"]

    @property
    def kept(self) -> int:
        """Rows accepted as they are or edited."""
        return self.statuses["accepted"] + self.statuses["edited"]

    @property
    def accept_rate(self) -> float | None:
        """Share of decided rows that were kept."""
        return self.kept / self.decided if self.decided else None


@dataclass(frozen=True)
class PairFigures:
    """Two people who judged the same rows."""

    first: str
    second: str
    rows: int
    agreement: float
    kappa: float | None


@dataclass(frozen=True)
class BatchFigures:
    """A batch: its rechecks in the present round, and how often it was returned."""

    batch: int
    rows: int
    open: int
    rechecked: int
    waiting: int
    disagreed: int
    returned: int


@dataclass(frozen=True)
class ReviewFigures:
    """All figures of a review."""

    reviewers: list[ReviewerFigures]
    cells: list[CellFigures]
    pairs: list[PairFigures]
    agreement: float | None
    """Share of pairs of opinions on one row that are the same: accept, edit or reject."""
    alpha: float | None
    """The same beyond chance: Krippendorff's alpha."""
    judged_twice: int
    batches: list[BatchFigures]

    def as_json(self) -> dict[str, Any]:
        """For the page."""
        reviewers = [
            vars(r) | {"rows": r.rows, "rows_per_hour": r.rows_per_hour, "agreement": r.agreement}
            for r in self.reviewers
        ]
        cells = [
            vars(c) | {"planned": c.planned, "decided": c.decided, "accept_rate": c.accept_rate}
            for c in self.cells
        ]
        batches = [vars(batch) for batch in self.batches]
        pairs = [vars(pair) for pair in self.pairs]
        lists = {"reviewers": reviewers, "cells": cells, "pairs": pairs, "batches": batches}
        return vars(self) | lists


@dataclass(frozen=True)
class Effort:
    """Time that people spent: on review, and on rows written from nothing."""

    review_seconds: float
    manual_seconds: float
    manual_rows: int

    @property
    def manual_seconds_per_row(self) -> float | None:
        """Mean time of a row written from nothing; None when nobody wrote one."""
        return self.manual_seconds / self.manual_rows if self.manual_rows else None


def effort(reviews: Reviews) -> Effort:
    """The time in a log, on rows that are no longer under review too."""
    manual = [d.seconds for d in reviews.decisions if d.action == "manual"]
    spent = sum(d.seconds for d in reviews.decisions if d.action != "manual")
    return Effort(spent, sum(manual), len(manual))


def figures(queue: ReviewQueue) -> ReviewFigures:
    """The figures of a review as it stands."""
    reviews = queue.reviews
    standing = _by_row_and_round(reviews.decisions)
    shared = [[d for d in mine.values() if d.is_opinion] for mine in standing.values()]
    shared = [opinions for opinions in shared if len(opinions) > 1]
    pairs = [pair for opinions in shared for pair in combinations(opinions, 2)]
    return ReviewFigures(
        reviewers=_reviewers(reviews.decisions, standing.values(), pairs),
        cells=_cells(queue),
        pairs=_pairs(pairs),
        agreement=percent_agreement([(a.action, b.action) for a, b in pairs]),
        alpha=krippendorffs_alpha([d.action for d in opinions] for opinions in shared),
        judged_twice=len(shared),
        batches=_batches(queue),
    )


_Standing = dict[str, Decision]


def _by_row_and_round(decisions: Iterable[Decision]) -> dict[tuple[str, int], _Standing]:
    """What stands of each reviewer, by row and round; returned rounds too: they were worked on."""
    found: defaultdict[tuple[str, int], _Standing] = defaultdict(dict)
    for decision in decisions:
        mine = found[decision.instruction_id, decision.round]
        if decision.action == "undo":
            mine.pop(decision.reviewer, None)
        elif decision.action != "manual":
            mine[decision.reviewer] = decision
    return found


def _reviewers(
    decisions: Iterable[Decision],
    standing: Iterable[_Standing],
    pairs: Iterable[tuple[Decision, Decision]],
) -> list[ReviewerFigures]:
    found: dict[str, ReviewerFigures] = {}
    for decision in decisions:
        mine = found.setdefault(decision.reviewer, ReviewerFigures(decision.reviewer))
        if decision.action == "manual":
            mine.manual_rows += 1
            mine.manual_seconds += decision.seconds
        else:
            mine.seconds += decision.seconds
    times: defaultdict[str, list[float]] = defaultdict(list)
    for row in standing:
        for name, decision in row.items():
            found[name].decisions[decision.action] += 1
            if decision.is_opinion:
                times[name].append(decision.seconds)
    for name, seconds in times.items():
        found[name].median_seconds = median(seconds)
    for pair in pairs:
        for decision in pair:
            found[decision.reviewer].shared += 1
            found[decision.reviewer].same += pair[0].action == pair[1].action
    return sorted(found.values(), key=lambda reviewer: (-reviewer.rows, reviewer.name))


def _cells(queue: ReviewQueue) -> list[CellFigures]:
    found: dict[tuple[str, str], CellFigures] = {}
    for name, item in queue.items.items():
        outcome = queue.reviews.outcome(name)
        cell = found.setdefault(item.cell, CellFigures(*item.cell))
        cell.statuses[outcome.status if outcome else "pending"] += 1
    return [found[cell] for cell in sorted(found)]


def _pairs(pairs: Iterable[tuple[Decision, Decision]]) -> list[PairFigures]:
    labels: defaultdict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for pair in pairs:
        a, b = sorted(pair, key=lambda decision: decision.reviewer)
        labels[a.reviewer, b.reviewer].append((a.action, b.action))
    return [
        PairFigures(*names, len(said), percent_agreement(said) or 0.0, cohens_kappa(said))
        for names, said in sorted(labels.items())
    ]


def _batches(queue: ReviewQueue) -> list[BatchFigures]:
    found = []
    for number, names in enumerate(queue.batches):
        told = queue.rechecks(number)
        unseen = sum(not queue.reviews.opinions(name) for name in names)
        returned = max(queue.reviews.round(name) for name in names)
        found.append(
            BatchFigures(
                number, len(names), unseen, told.done, told.waiting, told.disagreed, returned
            )
        )
    return found
