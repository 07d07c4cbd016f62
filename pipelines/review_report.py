"""What people see of a review besides its page: tables, and a chart for reports."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table

from pipelines.bars import ROW, bar_row, part, percent, rows_chart, share
from pipelines.render import counted
from pipelines.review_figures import (
    BatchFigures,
    CellFigures,
    PairFigures,
    ReviewerFigures,
    ReviewFigures,
)
from pipelines.tables import console, safe

_CHART_NAME = "review-title"


def print_review(found: ReviewFigures) -> None:
    """Print how far a review is: domains and kinds, people, agreement, batches."""
    out = console()
    out.print(_cells(found.cells))
    out.print()
    if not found.reviewers:
        out.print("nobody has reviewed yet")
        return
    out.print(_reviewers(found.reviewers))
    out.print()
    out.print(agreement_line(found))
    if found.pairs:
        out.print(_pairs(found.pairs))
    out.print(f"batches    {_batches(found.batches)}")


def review_chart(found: ReviewFigures) -> str:
    """Rows kept and rejected of each domain and kind, as inline SVG for a report."""
    bars = []
    for index, cell in enumerate(found.cells):
        kept = share(cell.kept, cell.planned)
        dropped = share(cell.statuses["rejected"], cell.planned)
        figures = f"{cell.decided:,} of {cell.planned:,} decided"
        value = f"{percent(cell.kept, cell.decided)} kept"
        name = f"{cell.domain}, {cell.kind}".replace("_", " ")
        bar = bar_row(index, name, "", value, figures, (kept, 0.0))
        bars.append(bar + part("dropped", kept, dropped, index * ROW + 19))
    decided, planned = (
        sum(getattr(cell, name) for cell in found.cells) for name in ("decided", "planned")
    )
    return rows_chart(_CHART_NAME, f"Review: {decided:,} of {planned:,} rows decided", bars, ROW)


def agreement_line(found: ReviewFigures) -> str:
    """How far people agree, in a sentence."""
    if found.agreement is None:
        return "agreement  no row was judged by two people"
    alpha = "undefined" if found.alpha is None else f"{found.alpha:.2f}"
    return (
        f"agreement  {found.agreement:.0%} of decisions on {counted(found.judged_twice, 'row')} "
        f"that more than one person judged, Krippendorff's alpha {alpha}"
    )


def _cells(cells: Iterable[CellFigures]) -> Table:
    names = ("planned", "decided", "accepted", "edited", "rejected", "disputed")
    table = _table(("domain", "kind"), (*names, "kept"))
    for cell in cells:
        counts = (cell.planned, cell.decided, *(cell.statuses[name] for name in names[2:]))
        table.add_row(
            safe(cell.domain),
            cell.kind,
            *map(str, counts),
            percent(cell.kept, cell.decided),
        )
    return table


def _reviewers(reviewers: Iterable[ReviewerFigures]) -> Table:
    names = ("rows", "accept", "edit", "reject", "skip", "minutes", "rows/h", "median s", "agree")
    table = _table(("reviewer",), (*names, "by hand"))
    for one in reviewers:
        counts = (one.decisions[name] for name in names[1:5])
        table.add_row(
            safe(one.name),
            str(one.rows),
            *map(str, counts),
            f"{one.seconds / 60:.1f}",
            _or_dash(one.rows_per_hour, ".0f"),
            _or_dash(one.median_seconds, ".1f"),
            _or_dash(one.agreement, ".0%"),
            str(one.manual_rows),
        )
    return table


def _pairs(pairs: Iterable[PairFigures]) -> Table:
    table = _table(("reviewer", "and"), ("rows", "agree", "Cohen's kappa"))
    for pair in pairs:
        kappa = _or_dash(pair.kappa, ".2f")
        row = (str(pair.rows), f"{pair.agreement:.0%}", kappa)
        table.add_row(safe(pair.first), safe(pair.second), *row)
    return table


def _batches(batches: list[BatchFigures]) -> str:
    """All batches in a line, and those that were returned by number."""
    waiting = sum(bool(batch.open or batch.waiting) for batch in batches)
    returned = [
        f"{batch.batch + 1} ({counted(batch.returned, 'time')})"
        for batch in batches
        if batch.returned
    ]
    return f"{len(batches)}, {waiting} not finished; returned: {', '.join(returned) or 'none'}"


def _table(names: Iterable[str], figures: Iterable[str]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in names:
        table.add_column(name, no_wrap=True)
    for name in figures:
        table.add_column(name, justify="right")
    return table


def _or_dash(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)
