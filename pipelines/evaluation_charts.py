"""Figures of an evaluation as inline SVG: the own extractor strong, its peers muted and shaped."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipelines.peers import EVERYTHING
from pipelines.render import escaped

Values = Mapping[str, float | None]

_OWN = "M-6,0a6,6 0 1,0 12,0a6,6 0 1,0 -12,0Z"
_TICK = "M-1,-7h2v14h-2Z"
_SHAPES = (
    "M0,-6L6,0L0,6L-6,0Z",
    "M0,-4.2L4.2,0L0,4.2L-4.2,0Z",
    "M0,-5.2L5,3.6H-5Z",
    "M-4.2,-4.2h8.4v8.4h-8.4Z",
    "M0,5.2L5,-3.6H-5Z",
    "M-1.6,-5h3.2v3.4h3.4v3.2h-3.4v3.4h-3.2v-3.4h-3.4v-3.2h3.4Z",
)
_BEYOND = "M4,-4.5L-2,0L4,4.5Z"
_SIDE, _PAD, _BELOW = 250, 38, 34


@dataclass(frozen=True)
class Cast:
    """Who is drawn, and how."""

    own: str
    names: Sequence[str]

    def shape(self, name: str) -> tuple[str, str]:
        """The class and the path of an extractor's mark."""
        if name == self.own:
            return "ol-own", _OWN
        if name == EVERYTHING:
            return "ol-all", _TICK
        peers = [peer for peer in self.names if peer not in (self.own, EVERYTHING)]
        index = peers.index(name) % len(_SHAPES)
        return f"ol-peer{index}", _SHAPES[index]

    @property
    def drawn(self) -> list[str]:
        """The extractors from back to front: the own one lies on top."""
        return sorted(self.names, key=lambda name: (name == self.own, name != EVERYTHING))


def legend(cast: Cast) -> str:
    """The marks with their names."""
    items = []
    for name in cast.names:
        kind, path = cast.shape(name)
        key = '<svg width="16" height="16" viewBox="-8 -8 16 16" aria-hidden="true">'
        strong = f"<b>{escaped(name)}</b>" if name == cast.own else escaped(name)
        items.append(f'<li>{key}<path class="ol-mark {kind}" d="{path}"/></svg>{strong}</li>')
    return f'<ul class="ol-marks">{"".join(items)}</ul>'


@dataclass(frozen=True)
class Row:
    """A line of a dot chart: its name, small print, and a value an extractor."""

    name: str
    note: str
    values: Values
    lead: bool = False


def dots(cast: Cast, rows: Sequence[Row], what: str) -> str:
    """A line a row, a mark an extractor; then the own value and how far it is from the best peer.

    The axis starts where the extractors do; one that takes everything may lie beyond, as an arrow.
    """
    contenders = [name for name in cast.names if name != EVERYTHING] or list(cast.names)
    known = [value for row in rows for value in _known(row.values, contenders).values()]
    low = min(math.floor(min(known, default=0.0) * 10) / 10, 0.9)
    ticks = [low + step / 10 for step in range(round((1 - low) * 10) + 1)]
    axis = "".join(
        f'<text class="ol-axis ol-mid" x="{_percent(tick, low)}" y="11">{tick:.1f}</text>'
        for tick in ticks[:: -2 if len(ticks) > 6 else -1]
    )
    head = (
        f'<tr><th></th><td><svg width="100%" height="14" aria-hidden="true">{axis}</svg></td>'
        f'<th class="ol-num">{what}</th><th class="ol-num">to best peer</th></tr>'
    )
    body = "\n".join(_dot_row(cast, row, low, ticks) for row in rows)
    return f'<table class="ol-dots"><thead>{head}</thead><tbody>\n{body}\n</tbody></table>'


def _known(values: Values, names: Iterable[str]) -> dict[str, float]:
    found = ((name, values.get(name)) for name in names)
    return {name: value for name, value in found if value is not None}


def _percent(value: float, low: float, high: float = 1.0) -> str:
    return f"{100 * (value - low) / (high - low):.2f}%"


def _dot_row(cast: Cast, row: Row, low: float, ticks: list[float]) -> str:
    own = row.values.get(cast.own)
    peers = _known(row.values, (n for n in cast.names if n not in (cast.own, EVERYTHING)))
    marks = "".join(_dot(cast, name, row.values.get(name), low) for name in cast.drawn)
    grid = "".join(_line(_percent(tick, low)) for tick in ticks)
    inside = [value for value in _known(row.values, cast.names).values() if value >= low]
    span = (
        f'<line class="ol-span" x1="{_percent(min(inside), low)}" '
        f'x2="{_percent(max(inside), low)}" y1="13" y2="13"/>'
        if inside
        else ""
    )
    shown = "; ".join(f"{name} {v:.3f}" for name, v in _known(row.values, cast.names).items())
    kind = ' class="ol-first"' if row.lead else ""
    return (
        f'<tr{kind}><th scope="row">{escaped(row.name)} <span>{escaped(row.note)}</span></th>'
        f'<td><svg width="100%" height="26" role="img" aria-label="{escaped(shown, 999)}">'
        f"{grid}{span}{marks}</svg></td>"
        f'<td class="ol-num"><b>{"–" if own is None else f"{own:.3f}"}</b></td>'
        f'<td class="ol-num">{_margin(own, peers)}</td></tr>'
    )


def _line(x: str) -> str:
    return f'<line class="ol-rule" x1="{x}" x2="{x}" y1="0" y2="26"/>'


def _dot(cast: Cast, name: str, value: float | None, low: float) -> str:
    if value is None:
        return ""
    kind, path = cast.shape(name)
    place, path = ("0%", _BEYOND) if value < low else (_percent(value, low), path)
    return (
        f'<svg x="{place}" y="13"><title>{escaped(name)} {value:.3f}</title>'
        f'<path class="ol-mark {kind}" d="{path}"/></svg>'
    )


def _margin(own: float | None, peers: dict[str, float]) -> str:
    """How far the own value is above or below the best of the others."""
    if own is None or not peers:
        return ""
    name = max(peers, key=lambda peer: peers[peer])
    gap = own - peers[name]
    shown = signed(gap)
    kind = {"+": "ol-better", "−": "ol-worse"}.get(shown[0], "ol-even")
    return f'<span class="{kind}" title="{escaped(name)} {peers[name]:.3f}">{shown}</span>'


def signed(value: float) -> str:
    """A difference with its sign; none where it rounds to zero."""
    return f"{value:+.3f}".replace("-", "−") if abs(value) >= 0.0005 else f"{0:.3f}"


# --- Images -------------------------------------------------------------------------------------


def recall_precision(cast: Cast, name: str, note: str, recall: Values, precision: Values) -> str:
    """A panel of recall against precision, both from 0 to 1, with lines of equal F1."""
    points = [
        _point(cast, extractor, recall.get(extractor), precision.get(extractor))
        for extractor in cast.drawn
    ]
    size = _SIDE + _PAD + 8
    return (
        f"<figure><figcaption><b>{escaped(name)}</b> {escaped(note)}</figcaption>"
        f'<svg class="ol-hist" viewBox="0 0 {size} {_SIDE + _BELOW + 8}" role="img" '
        f'aria-label="Recall and precision of images, {escaped(name)}">'
        f"{''.join(_frame())}{''.join(_equal_f1())}{''.join(points)}</svg></figure>"
    )


def _place(recall: float, precision: float) -> tuple[float, float]:
    return _PAD + recall * _SIDE, 8 + (1 - precision) * _SIDE


def _point(cast: Cast, name: str, recall: float | None, precision: float | None) -> str:
    if recall is None or precision is None:
        return ""
    x, y = _place(recall, precision)
    kind, path = cast.shape(name)
    told = f"{escaped(name)}: recall {recall:.3f}, precision {precision:.3f}"
    return (
        f'<g transform="translate({x:.1f},{y:.1f})"><title>{told}</title>'
        f'<path class="ol-mark {kind}" d="{path}"/></g>'
    )


def _frame() -> Iterator[str]:
    left, bottom = _place(0, 0)
    right, top = _place(1, 1)
    for tick in (0, 0.5, 1):
        x, y = _place(tick, tick)
        yield f'<text class="ol-axis ol-mid" x="{x:.1f}" y="{bottom + 13}">{tick:g}</text>'
        yield f'<text class="ol-axis ol-end" x="{left - 6}" y="{y + 3.5:.1f}">{tick:g}</text>'
    yield f'<path class="ol-base" fill="none" d="M{left},{top}V{bottom}H{right}"/>'
    yield f'<text class="ol-axis ol-mid" x="{(left + right) / 2}" y="{bottom + 27}">recall</text>'
    middle = (top + bottom) / 2
    yield (
        f'<text class="ol-axis ol-mid" transform="translate({left - 27},{middle}) rotate(-90)">'
        "precision</text>"
    )


def _equal_f1() -> Iterator[str]:
    for level in (0.2, 0.4, 0.6, 0.8):
        least = level / (2 - level)
        recalls = [least ** (1 - step / 24) for step in range(25)]  # closer where it is steep
        curve = [_place(recall, level * recall / (2 * recall - level)) for recall in recalls]
        path = "L".join(f"{x:.1f},{y:.1f}" for x, y in curve)
        x, y = curve[-1]
        yield f'<path class="ol-rule" fill="none" d="M{path}"/>'
        yield f'<text class="ol-axis ol-end" x="{x - 4:.1f}" y="{y - 3:.1f}">F1 {level}</text>'


# --- Cost ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cost:
    """CPU milliseconds a page of an extractor: over all pages, and by set."""

    name: str
    mean: float
    by_set: Sequence[float]
    ratio: float | None


def costs(cast: Cast, rows: Sequence[Cost]) -> str:
    """A bar from the cheapest set to the dearest and a mark at the mean, on a logarithmic axis."""
    values = [value for row in rows for value in (row.mean, *row.by_set) if value > 0]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    high = max(high, low + 1)
    decades = range(low, high + 1)
    axis = "".join(
        f'<text class="ol-axis ol-mid" x="{_percent(decade, low, high)}" y="11">'
        f"{10.0**decade:g}</text>"
        for decade in decades
    )
    finer = [decade + math.log10(3) for decade in decades if decade < high]
    grid = "".join(_line(_percent(tick, low, high)) for tick in (*decades, *finer))
    head = (
        f'<tr><th></th><td><svg width="100%" height="14" aria-hidden="true">{axis}</svg></td>'
        '<th class="ol-num">ms a page</th><th class="ol-num">to trafilatura</th></tr>'
    )
    body = "\n".join(_cost_row(cast, row, low, high, grid) for row in rows)
    return f'<table class="ol-dots"><thead>{head}</thead><tbody>\n{body}\n</tbody></table>'


def _cost_row(cast: Cast, row: Cost, low: float, high: float, grid: str) -> str:
    kind, path = cast.shape(row.name)
    least, most = min(row.by_set), max(row.by_set)

    def place(value: float) -> float:
        return 100 * (math.log10(max(value, 10**low)) - low) / (high - low)

    told = f"{row.mean:.1f} ms a page; {least:.1f} to {most:.1f} by set"
    name = f"<b>{escaped(row.name)}</b>" if row.name == cast.own else escaped(row.name)
    ratio = "–" if row.ratio is None else f"{row.ratio:.2f}×"
    return (
        f'<tr><th scope="row">{name}</th><td><svg width="100%" height="26" role="img" '
        f'aria-label="{told}">{grid}<rect class="ol-range {kind}" x="{place(least):.2f}%" y="8" '
        f'width="{max(place(most) - place(least), 0.3):.2f}%" height="10" rx="2"/>'
        f'<svg x="{place(row.mean):.2f}%" y="13"><title>{told}</title>'
        f'<path class="ol-mark {kind}" d="{path}"/></svg></svg></td>'
        f'<td class="ol-num"><b>{row.mean:,.1f}</b></td><td class="ol-num">{ratio}</td></tr>'
    )


CHART_CSS = """
.ol-page { --ol-c0: #b5835f; --ol-c1: #b5835f; --ol-c2: #7f9dbb; --ol-c3: #9a86b3;
  --ol-c4: #9aa06a; --ol-c5: #b98a9c; --ol-call: #8d97a3; }
@media (prefers-color-scheme: dark) {
  .ol-page { --ol-c0: #a97c5c; --ol-c1: #a97c5c; --ol-c2: #6f8fae; --ol-c3: #8d7ba6;
    --ol-c4: #878d5d; --ol-c5: #a87c8c; --ol-call: #74808c; } }
.ol-mark { stroke: var(--ol-paper); stroke-width: 1; }
.ol-own { fill: var(--ol-bar-kept); }
.ol-peer0 { fill: var(--ol-c0); } .ol-peer1 { fill: var(--ol-c1); }
.ol-peer2 { fill: var(--ol-c2); } .ol-peer3 { fill: var(--ol-c3); }
.ol-peer4 { fill: var(--ol-c4); } .ol-peer5 { fill: var(--ol-c5); }
.ol-all { fill: var(--ol-call); }
.ol-range { opacity: 0.3; }
.ol-span { stroke: var(--ol-line); stroke-width: 2; }
.ol-marks { display: flex; flex-wrap: wrap; gap: 0.2rem 1.25rem; list-style: none; padding: 0;
  margin: 0.25rem 0 0.75rem; font-size: 0.82rem; color: var(--ol-soft); }
.ol-marks li { display: flex; align-items: center; gap: 0.3rem; }
.ol-marks b { color: var(--ol-ink); }
.ol-dots { border-collapse: collapse; width: 100%; font-size: 0.85rem; line-height: 1.3;
  font-variant-numeric: tabular-nums; }
.ol-dots th, .ol-dots td { padding: 0; font-weight: 400; text-align: start; white-space: nowrap; }
.ol-dots tbody th { padding-inline-end: 1.25rem; }
.ol-dots tbody th span { color: var(--ol-soft); font-size: 0.78rem; margin-inline-start: 0.3rem; }
.ol-dots td:nth-child(2) { width: 100%; }
.ol-dots .ol-num { text-align: end; padding-inline-start: 1.75rem; }
.ol-dots .ol-num + .ol-num { padding-inline-start: 1.25rem; }
.ol-dots thead th { color: var(--ol-soft); font-size: 0.78rem; }
.ol-dots .ol-first th, .ol-dots .ol-first > td { border-bottom: 1px solid var(--ol-soft); }
.ol-dots .ol-first th { font-weight: 600; }
.ol-better { color: var(--ol-good); } .ol-worse { color: var(--ol-bad); }
.ol-even { color: var(--ol-soft); }
@media (max-width: 40rem) {
  .ol-dots tbody th { padding-inline-end: 0.75rem; max-width: 9rem; white-space: normal; }
  .ol-dots tbody th span { display: none; }
  .ol-dots .ol-num, .ol-dots .ol-num + .ol-num { padding-inline-start: 0.75rem; } }
"""
