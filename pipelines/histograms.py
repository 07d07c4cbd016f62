"""Histograms as inline SVG: kept and dropped documents, with the thresholds of rules."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl

from operators.rules import LEVELS, parse
from pipelines.render import counted, escaped, number
from schemas.columns import COLUMNS

_BINS = 28
_WIDTH, _HEIGHT = 360, 196
_LEFT, _RIGHT, _TOP_EDGE, _BOTTOM = 42, 350, 22, 152


@dataclass(frozen=True)
class _Scale:
    """Bins of equal width over a column's values or their decimal logarithms.

    On a logarithmic scale zero has a bin of its own, left of the others.
    """

    low: float
    step: float
    bins: int
    log: bool = False
    zeros: bool = False

    def index(self, name: str) -> pl.Expr:
        """The bin of each value; values beyond the ends fall into the first or last bin."""
        value = pl.col(name).cast(pl.Float64)
        placed = ((value.log10() if self.log else value) - self.low) / self.step
        index = (placed + 1e-9).floor().clip(0, self.bins - 1)
        if self.zeros:
            index = pl.when(value <= 0).then(0).otherwise(index + 1)
        return index.cast(pl.Int64)

    @property
    def slots(self) -> int:
        """How many bins are drawn."""
        return self.bins + self.zeros

    def edge(self, index: int) -> float:
        """The value at which a bin starts."""
        if self.zeros and index == 0:
            return 0.0
        at = self.low + (index - self.zeros) * self.step
        return 10**at if self.log else at

    def x(self, value: float) -> float | None:
        """Where a value stands in the chart; None beyond its ends."""
        if self.log and value <= 0:
            return _LEFT if self.zeros and value == 0 else None
        place = ((math.log10(value) if self.log else value) - self.low) / self.step + self.zeros
        inside = -1e-9 <= place <= self.slots + 1e-9
        return _LEFT + place / self.slots * (_RIGHT - _LEFT) if inside else None

    def ticks(self) -> list[float]:
        """Round values to label, few enough to be read."""
        low, high = self.edge(int(self.zeros)), self.edge(self.slots)
        if self.log:
            return _log_ticks(low, high)
        step = _nice((high - low) / 5)
        start = math.ceil(low / step - 1e-9)
        values = [(start + i) * step for i in range(12)]
        return [round(value, 10) for value in values if value <= high + step * 1e-6]


def _nice(width: float) -> float:
    """The least of 1, 2, 5 times a power of ten that is not below `width`."""
    power = 10.0 ** math.floor(math.log10(width))
    return float(next(f * power for f in (1, 2, 5, 10) if f * power >= width * (1 - 1e-9)))


def _log_ticks(low: float, high: float) -> list[float]:
    decades = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    factors = (1,) if math.log10(high / low) > 3 else (1, 3)
    ticks = [float(factor * 10.0**decade) for decade in decades for factor in factors]
    return [tick for tick in ticks if low * 0.999 <= tick <= high * 1.001]


def _scale(values: pl.Series) -> _Scale:
    """Bins that fit the values: one a whole number where they are few, logarithmic for counts
    that span magnitudes, and otherwise linear up to where almost all values lie.
    """
    least, most = float(values.min()), float(values.max())  # type: ignore[arg-type]  # numeric
    whole = values.dtype.is_integer()
    if whole and most - least <= _BINS:
        return _Scale(least - 0.5, 1.0, max(round(most - least) + 1, 5))
    positive = values.filter(values > 0)
    middle = float(positive.median() or 1)  # type: ignore[arg-type]  # numeric
    if whole and least >= 0 and most / middle > 8:
        low = math.floor(math.log10(float(positive.min())) * 10) / 10  # type: ignore[arg-type]
        span = math.log10(most) - low
        # Below ten, finer bins than doublings would stand empty between whole numbers.
        fine = (math.log10(2),) if low < 1 else (0.05, 0.1, 0.2)
        step = next(width for width in (*fine, 0.5, 1, 2) if span / width <= _BINS)
        bins = math.floor(span / step + 1e-9) + 1
        return _Scale(low, step, bins, log=True, zeros=least == 0)
    tail = float(values.quantile(0.995) or 0)
    high = tail if most > 3 * tail > 0 else most
    step = _nice((high - least) / _BINS) if high > least else max(abs(most), 1.0) / 10
    low = math.floor(least / step + 1e-9) * step
    return _Scale(low, step, max(math.ceil((high - low) / step - 1e-9), 5))


def histogram(documents: pl.DataFrame, name: str, rules: list[dict[str, Any]]) -> str:
    """The figure of one column, kept rows stacked below dropped ones; '' without values.

    Dashed lines mark the numbers that `rules` compare the column with.
    """
    frame = documents.filter(pl.col(name).is_not_null() & pl.col(name).is_finite())
    if not len(frame):
        return ""
    medians, meaning = _medians(frame, name), COLUMNS[name].meaning.replace("`", "")
    title = f"Histogram of {name} over {counted(len(frame), COLUMNS[name].level)}: {medians}"
    body = "\n".join(_histogram_parts(frame, name, _scale(frame[name]), rules))
    return (
        f"<figure><figcaption><b>{name}</b> {escaped(meaning)}"
        f'<span class="ol-note">{medians}</span></figcaption>'
        f'<svg class="ol-hist" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-labelledby="h-{name}"><title id="h-{name}">{title}</title>\n{body}</svg></figure>'
    )


def _histogram_parts(
    frame: pl.DataFrame, name: str, scale: _Scale, rules: list[dict[str, Any]]
) -> Iterator[str]:
    counts: dict[int, tuple[int, int]] = {
        index: (kept, dropped)
        for index, kept, dropped in frame.group_by(scale.index(name).alias("bin"))
        .agg(kept=pl.col("kept").sum(), dropped=(~pl.col("kept")).sum())
        .iter_rows()
    }
    most = max(sum(pair) for pair in counts.values())
    unit = {"0..1": "0 to 1"}.get(COLUMNS[name].unit, COLUMNS[name].unit)
    beyond = len(frame.filter(pl.col(name) > scale.edge(scale.slots) * (1 + 1e-9)))
    label = f"{unit or name}{', logarithmic' if scale.log else ''}"
    if beyond:
        label += f" (last bar: with {beyond:,} beyond)"
    yield from _grid(most)
    for index in sorted(counts):
        yield _column(scale, index, counts[index], unit, most)
    yield from _thresholds(rules, name, scale)
    yield from _ticks(scale)
    middle = (_LEFT + _RIGHT) // 2
    yield f'<text class="ol-axis ol-mid" x="{middle}" y="{_HEIGHT - 8}">{escaped(label)}</text>'
    yield f'<text class="ol-axis" x="4" y="11">{COLUMNS[name].level}s</text>'


def _medians(frame: pl.DataFrame, name: str) -> str:
    parts = []
    for kept, word in ((True, "kept"), (False, "dropped")):
        values = frame.filter(pl.col("kept") == kept)[name]
        if len(values):
            parts.append(f"{number(_median(values))} {word} ({len(values):,})")
    return "median " + ", ".join(parts)


def _median(values: pl.Series) -> float | int:
    middle = float(values.median())  # type: ignore[arg-type]  # numeric
    return int(middle) if middle == int(middle) else middle


def _grid(most: int) -> Iterator[str]:
    step = max(_nice(most / 4), 1)
    for index in range(int(most / step) + 1):
        y = _y(index * step, most)
        yield (
            f'<line class="ol-rule" x1="{_LEFT}" x2="{_RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="ol-axis ol-end" x="{_LEFT - 5}" y="{y + 3.5:.1f}">{index * step:,.0f}'
            "</text>"
        )


def _y(count: float, most: int) -> float:
    return _BOTTOM - count / most * (_BOTTOM - _TOP_EDGE) * 0.96


def _column(scale: _Scale, index: int, counts: tuple[int, int], unit: str, most: int) -> str:
    """One bin's bar: kept below, dropped above it."""
    width = (_RIGHT - _LEFT) / scale.slots
    left, gap = _LEFT + index * width, min(1.0, width / 8)
    kept, dropped = counts
    middle, top = _y(kept, most), _y(kept + dropped, most)
    start, end = number(_rounded(scale.edge(index))), number(_rounded(scale.edge(index + 1)))
    place = "0" if scale.zeros and index == 0 else f"{start} to {end}"
    box = f'x="{left + gap / 2:.1f}" width="{width - gap:.1f}"'
    return (
        f"<g><title>{place} {escaped(unit)}: {kept:,} kept, {dropped:,} dropped</title>"
        f'<rect class="ol-fill-kept" {box} y="{middle:.1f}" height="{_BOTTOM - middle:.1f}"/>'
        f'<rect class="ol-fill-dropped" {box} y="{top:.1f}" height="{middle - top:.1f}"/></g>'
    )


def _rounded(value: float) -> float | int:
    short = float(f"{value:.4g}")
    return int(short) if short == int(short) else short


def _thresholds(rules: list[dict[str, Any]], name: str, scale: _Scale) -> Iterator[str]:
    """A dashed line at each number that a rule compares the column with."""
    for rule in rules:
        if rule["table"] == "nodes":
            continue
        for comparison in parse(rule["expression"], LEVELS[rule["table"]]).comparisons:
            limit = comparison.threshold
            if comparison.column != name or type(limit) not in (int, float):
                continue
            x = scale.x(float(limit))
            if x is not None:
                tip = f"{rule['name']}: {comparison.operator} {number(limit)}"
                yield (
                    f'<g><title>{escaped(tip)}</title><line class="ol-limit" x1="{x:.1f}" '
                    f'x2="{x:.1f}" y1="{_TOP_EDGE - 6}" y2="{_BOTTOM}"/></g>'
                )


def _ticks(scale: _Scale) -> Iterator[str]:
    ticks = [(value, scale.x(value)) for value in scale.ticks()]
    if scale.zeros:
        ticks.insert(0, (0.0, _LEFT + (_RIGHT - _LEFT) / scale.slots / 2))
    for value, x in ticks:
        if x is not None:
            yield (
                f'<line class="ol-base" x1="{x:.1f}" x2="{x:.1f}" y1="{_BOTTOM}" '
                f'y2="{_BOTTOM + 4}"/><text class="ol-axis ol-mid" x="{x:.1f}" '
                f'y="{_BOTTOM + 16}">{_brief(value)}</text>'
            )
    yield f'<line class="ol-base" x1="{_LEFT}" x2="{_RIGHT}" y1="{_BOTTOM}" y2="{_BOTTOM}"/>'


def _brief(value: float) -> str:
    for size, sign in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.4g}{sign}"
    return f"{value:.4g}"
