"""Bars as inline SVG: how much of a whole is left, and how much a rule took."""

from __future__ import annotations

from typing import Any

from pipelines.render import escaped

ROW = 50
LEGEND = (
    '<p class="ol-legend"><span class="ol-swatch ol-fill-kept"></span> {kept} '
    '<span class="ol-swatch ol-fill-dropped"></span> {dropped}</p>'
)


def funnel_chart(what: str, rows: list[dict[str, Any]], total: int, kept: int) -> str:
    """A funnel: all that came in, what each rule took, what was kept; `what` is their plural."""
    bars = [bar_row(0, f"{what} in", "", f"{total:,}", "", (100.0, 0.0))]
    for index, row in enumerate(rows, start=1):
        counts = f"asked {row['asked']:,} · dropped {row['dropped']:,} · first {row['first']:,}"
        widths = (share(row["left"], total), share(row["first"], total))
        name, text = _rule_label(row)
        left = f"{row['left']:,} left"
        bars.append(bar_row(index, name, text, left, counts, widths))
    of_all = f"{percent(kept, total)} of all {what}"
    bars.append(bar_row(len(rows) + 1, "kept", "", f"{kept:,}", of_all, (share(kept, total), 0)))
    title = f"Funnel: {total:,} {what} in, {kept:,} kept"
    return rows_chart(f"{what}-funnel-title", title, bars, ROW)


def _rule_label(row: dict[str, Any]) -> tuple[str, str]:
    if row["rule"] == "error":
        return f"error in stage {row['stage']}", "rows that the stage could not process"
    return row["rule"], row["condition"]


def share(part: float, whole: float) -> float:
    """Percent; 0 of nothing."""
    return 100 * part / whole if whole else 0.0


def bar_row(
    index: int, name: str, text: str, value: str, counts: str, widths: tuple[float, float]
) -> str:
    """A line of text, a bar in two parts, and a line of small text, at the row's height."""
    top = index * ROW
    first, second = widths
    small = f'<text class="ol-small ol-roomy" x="0" y="{top + 40}">{escaped(text, 110)}</text>'
    figures = f'<text class="ol-small ol-end" x="100%" y="{top + 40}">{escaped(counts)}</text>'
    return (
        f'<text class="ol-name" x="0" y="{top + 14}">{escaped(name, 48)}</text>'
        f'<text class="ol-value ol-end" x="100%" y="{top + 14}">{escaped(value)}</text>'
        f'<rect class="ol-fill-back" x="0" y="{top + 19}" width="100%" height="8"/>'
        f"{part('kept', 0, first, top + 19)}{part('dropped', first, second, top + 19)}"
        f"{small if text else ''}{figures if counts else ''}"
    )


def part(name: str, start: float, width: float, top: int) -> str:
    """A piece of a bar, from `start` on, `width` wide, both in percent."""
    if not width:
        return ""
    return (
        f'<rect class="ol-fill-{name}" x="{start:.2f}%" y="{top}" '
        f'width="{max(width, 0.3):.2f}%" height="8"/>'
    )


def rows_chart(name: str, title: str, rows: list[str], height: int) -> str:
    """A chart whose width is that of the page and whose text keeps its size."""
    body = "\n".join(rows)
    return (
        f'<svg class="ol-rows" width="100%" height="{len(rows) * height}" role="group" '
        f'aria-labelledby="{name}"><title id="{name}">{title}</title>\n{body}\n</svg>'
    )


def percent(part: int, whole: int) -> str:
    """A share as people read it; a dash of nothing."""
    return f"{part / whole:.1%}" if whole else "–"
