"""What a row costs: models and reviewers, against people who write every row themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.review_figures import Effort
from pipelines.tables import console, safe

_FEW_ROWS = 30
"""Rows by hand below which the time of one is no firm figure."""


@dataclass(frozen=True)
class CostFigures:
    """What was spent on a set of instructions, and the same set by hand.

    ratio = (API cost + review hours x wage) / accepted rows
            / (manual hours per row x wage)
    MMInstruct (Liu et al., 2024) reports 1/6 for its own engine without saying how it was computed;
    this is what such a figure has to mean, from numbers that were logged.
    """

    api_usd: Mapping[str, float]
    """US dollars by stage."""
    review_seconds: float
    accepted_rows: int
    """Rows that the set holds in the end."""
    wage_usd: float
    """Of an hour of review or of writing, in US dollars."""
    manual_seconds_per_row: float | None = None
    manual_rows: int = 0
    """Rows that were written by hand to measure it; 0 where it was given."""

    @property
    def api_total_usd(self) -> float:
        """API cost of all stages."""
        return sum(self.api_usd.values())

    @property
    def review_usd(self) -> float:
        """What the reviewers' time cost."""
        return self.review_seconds / 3600 * self.wage_usd

    @property
    def usd_per_row(self) -> float | None:
        """Cost of an accepted row; None without one."""
        if not self.accepted_rows:
            return None
        return (self.api_total_usd + self.review_usd) / self.accepted_rows

    @property
    def manual_usd_per_row(self) -> float | None:
        """Cost of a row written by hand; None when its time is not known."""
        if not self.manual_seconds_per_row:
            return None
        return self.manual_seconds_per_row / 3600 * self.wage_usd

    @property
    def ratio(self) -> float | None:
        """Cost of a row over that of a row by hand; None when either is not known."""
        here, by_hand = self.usd_per_row, self.manual_usd_per_row
        return here / by_hand if here is not None and by_hand else None


def cost_figures(
    api_usd: Mapping[str, float],
    spent: Effort,
    accepted_rows: int,
    wage_usd: float,
    manual_minutes: float | None = None,
) -> CostFigures:
    """The figures from a log's time; `manual_minutes` a row, else as measured in the log."""
    if manual_minutes is not None:
        return CostFigures(
            api_usd, spent.review_seconds, accepted_rows, wage_usd, 60 * manual_minutes
        )
    return CostFigures(
        api_usd,
        spent.review_seconds,
        accepted_rows,
        wage_usd,
        spent.manual_seconds_per_row,
        spent.manual_rows,
    )


def cost_lines(found: CostFigures) -> list[str]:
    """The figures as people read them, one a line."""
    stages = ", ".join(f"{name} ${usd:,.2f}" for name, usd in found.api_usd.items())
    lines = [
        f"API cost      ${found.api_total_usd:,.2f}{f' ({stages})' if stages else ''}",
        f"review        {found.review_seconds / 60:,.1f} minutes, ${found.review_usd:,.2f} "
        f"at ${found.wage_usd:,.2f} an hour",
        f"accepted      {found.accepted_rows:,} rows",
    ]
    if found.usd_per_row is not None:
        lines.append(f"a row         ${found.usd_per_row:,.4f}")
    if found.manual_seconds_per_row is not None and found.manual_usd_per_row is not None:
        how = f"measured on {found.manual_rows} rows" if found.manual_rows else "as given"
        firm = "; write more for a firm figure" if 0 < found.manual_rows < _FEW_ROWS else ""
        lines.append(
            f"a row by hand ${found.manual_usd_per_row:,.4f}, "
            f"{found.manual_seconds_per_row / 60:,.1f} minutes ({how}{firm})"
        )
    if found.ratio:
        lines.append(f"ratio         {found.ratio:.3f} (1/{1 / found.ratio:.1f} of fully manual)")
    else:
        lines.append(f"ratio         not known: {_missing(found)}")
    return lines


def print_cost(found: CostFigures) -> None:
    """Print the figures."""
    out = console()
    for line in cost_lines(found):
        out.print(safe(line))


def _missing(found: CostFigures) -> str:
    """What it takes to know the ratio."""
    if not found.accepted_rows:
        return "no row was accepted"
    if not found.manual_seconds_per_row:
        return "write some rows by hand on the review page (key m), or give the minutes a row takes"
    return "nothing was spent" if found.wage_usd else "an hour costs nothing"
