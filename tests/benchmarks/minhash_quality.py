"""How well near-duplicates are found, beside peers: `python -m tests.benchmarks.minhash_quality`.

Prints tables and draws docs/minhash.svg. Without arguments the pairs are planted in text of the
bundled sample. With `PAIRS.tsv FOLDER`, pairs of real pages too: columns `a` and `b`, paths of HTML
files below FOLDER, and `jaccard_word5`, the exact Jaccard similarity of their runs of five words.
All of a page's text counts, tags taken out, scripts and styles left out.

Peers merge every pair that shares a band; here bands and permutations are the same for all.
"""

from __future__ import annotations

import csv
import html
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from operators.bands import (
    band_keys,
    bands_for,
    bucket_pairs,
    least_agreement,
    merge_probability,
    verified_pairs,
)
from operators.clusters import connected_components
from tests.benchmarks.minhash import CUT, PERMUTATIONS, THRESHOLD, passes, planted
from tests.benchmarks.minhash_peers import OWN, Sign, signers
from tests.planted import jaccard
from tests.support import ROOT

CHART = ROOT / "docs" / "minhash.svg"
_TARGETS = (0.3, 0.4, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
_THRESHOLDS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)
_PLANTED = 300  # pairs of each similarity
_MARKUP = re.compile(r"(?is)<(script|style)\b.*?</\1>|<[^>]+>")
_COLORS = ("#1f6f8b", "#b5835f", "#9a86b3")
Curve = list[tuple[float, float]]


def main() -> None:
    """Measure, print, draw."""
    makers, missing = signers(CUT)
    for name in missing:
        say(f"{name}: peer not installed")
    say(f"\n{_PLANTED} planted pairs of each similarity: share merged at threshold {THRESHOLD}")
    left = planted_curves(makers)
    table("Jaccard", left)
    panels = [Panel("Planted pairs", "exact Jaccard similarity", "merged", left, theory())]
    if len(sys.argv) == 3:
        pairs = Pairs.read(Path(sys.argv[1]), Path(sys.argv[2]))
        recall, precision = pairs.curves(makers)
        say(f"\n{len(pairs.ends)} pairs of pages: recall")
        table("threshold", recall)
        say("\nprecision")
        table("threshold", precision)
        pairs.components()
        panels.append(Panel("Pages: recall", "threshold", "recall", recall))
        panels.append(Panel("Pages: precision", "threshold", "precision", precision))
    CHART.write_text(drawn(panels, list(makers)), "utf-8")
    say(f"\n{CHART}")


def say(line: str) -> None:
    sys.stdout.write(line + "\n")


def table(first: str, curves: dict[str, Curve]) -> None:
    """The curves side by side, as Markdown."""
    say(f"| {first} | " + " | ".join(curves) + " |")
    say("|---" * (len(curves) + 1) + "|")
    for points in zip(*curves.values(), strict=True):
        say(f"| {points[0][0]:g} | " + " | ".join(f"{y:.4f}" for _, y in points) + " |")


# --- Pairs --------------------------------------------------------------------------------------


def planted_curves(makers: dict[str, Sign]) -> dict[str, Curve]:
    """Of planted pairs of each similarity, the share that is merged."""
    agreement = least_agreement(THRESHOLD, PERMUTATIONS)
    curves: dict[str, Curve] = {name: [] for name in makers}
    for target in _TARGETS:
        ones, others = planted(target, _PLANTED)
        exact = jaccard(ones[0].split(), others[0].split())
        for name, sign in makers.items():
            least = agreement if name == OWN else 0
            merged = passes(sign(ones), sign(others), CUT, least)
            curves[name].append((round(exact, 3), float(merged.mean())))
    return curves


def theory() -> Curve:
    """What independent permutations would give."""
    agreement = least_agreement(THRESHOLD, PERMUTATIONS)
    places = np.linspace(0.3, 1, 71).tolist()
    return [(x, merge_probability(x, PERMUTATIONS, CUT, agreement)) for x in places]


@dataclass(frozen=True)
class Pairs:
    """Pairs of texts with their exact similarity."""

    texts: list[str]
    ends: npt.NDArray[np.int64]
    exact: npt.NDArray[np.float64]

    @classmethod
    def read(cls, pairs: Path, folder: Path) -> Pairs:
        """The pages' texts and the pairs of them that a table names."""
        with pairs.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream, delimiter="\t"))
        paths = sorted({row[end] for row in rows for end in "ab"})
        number = {path: index for index, path in enumerate(paths)}
        pages = [(folder / path).read_text("utf-8", "replace") for path in paths]
        return cls(
            [html.unescape(_MARKUP.sub("", page)) for page in pages],
            np.array([[number[row["a"]], number[row["b"]]] for row in rows], np.int64),
            np.array([float(row["jaccard_word5"]) for row in rows]),
        )

    def curves(self, makers: dict[str, Sign]) -> tuple[dict[str, Curve], dict[str, Curve]]:
        """Recall of pairs at or above each threshold, and precision among the pairs merged."""
        recall: dict[str, Curve] = {name: [] for name in makers}
        precision: dict[str, Curve] = {name: [] for name in makers}
        for name, sign in makers.items():
            found = sign(self.texts)
            one, other = found[self.ends[:, 0]], found[self.ends[:, 1]]
            for threshold in _THRESHOLDS:
                least = least_agreement(threshold, PERMUTATIONS) if name == OWN else 0
                merged = passes(one, other, bands_for(threshold, PERMUTATIONS), least)
                alike = self.exact >= threshold
                recall[name].append((threshold, float(merged[alike].mean())))
                precision[name].append((threshold, float(alike[merged].mean())))
            say(self._told(name, passes(one, other, CUT, _least(name))))
        return recall, precision

    def components(self) -> None:
        """What becomes of the pairs when all pages are compared and components merged."""
        found = signers(CUT)[0][OWN](self.texts)
        keys = band_keys(found, CUT)
        owners = np.repeat(np.arange(len(found)), CUT.bands)
        candidates = bucket_pairs(keys.ravel(), owners)
        passed = candidates[verified_pairs(found, candidates, _least(OWN))]
        ids, least = connected_components(passed[:, 0], passed[:, 1])
        group = np.arange(len(found))
        group[ids] = least
        merged = group[self.ends[:, 0]] == group[self.ends[:, 1]]
        say(
            f"\n{len(found)} pages, {len(candidates)} candidates, {len(passed)} verified\n"
            + self._told(f"{OWN}, components", merged)
        )

    def _told(self, name: str, merged: npt.NDArray[np.bool_]) -> str:
        high, low = self.exact >= THRESHOLD, self.exact < 0.5
        return (
            f"{name}: merged {merged[high].mean():.4f} of {high.sum()} pairs of Jaccard >= "
            f"{THRESHOLD}, {merged[low].mean():.4f} of {low.sum()} below 0.5"
        )


def _least(name: str) -> int:
    return least_agreement(THRESHOLD, PERMUTATIONS) if name == OWN else 0


# --- Drawing ------------------------------------------------------------------------------------

_SIDE, _LEFT, _TOP, _STEP = 230, 44, 52, 300
_SHAPES = ("M-4,0a4,4 0 1,0 8,0a4,4 0 1,0 -8,0Z", "M0,-5L5,0L0,5L-5,0Z", "M0,-4.5L4.5,3.5H-4.5Z")


@dataclass(frozen=True)
class Panel:
    """A square of curves over similarities or thresholds; the first tick is where it starts."""

    title: str
    across: str
    up: str
    curves: dict[str, Curve]
    smooth: Curve | None = None
    ticks: tuple[float, ...] = (0.3, 0.4, 0.6, 0.8, 1.0)

    def drawn(self, left: float) -> Iterator[str]:
        """The panel's SVG, its frame starting at `left`."""
        bottom = _TOP + _SIDE
        yield f'<text class="t" x="{left}" y="{_TOP - 12}">{self.title}</text>'
        for tick in self.ticks[1:]:
            x, _ = self._place(left, tick, 0)
            yield f'<path class="r" d="M{x:.1f},{_TOP}V{bottom}"/>'
            yield f'<text x="{x:.1f}" y="{bottom + 15}" text-anchor="middle">{tick:g}</text>'
        for tick in (0, 0.25, 0.5, 0.75, 1):
            _, y = self._place(left, self.ticks[0], tick)
            yield f'<path class="r" d="M{left},{y:.1f}h{_SIDE}"/>'
            yield f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>'
        middle = left + _SIDE / 2
        yield f'<text x="{middle}" y="{bottom + 33}" text-anchor="middle">{self.across}</text>'
        yield f'<text class="s" x="{left + 6}" y="{_TOP + 14}">{self.up}</text>'
        if self.smooth:
            line = self._path(left, self.smooth)
            yield f'<path d="{line}" fill="none" stroke="{_COLORS[0]}"/>'
        for index, points in reversed(list(enumerate(self.curves.values()))):
            if index or not self.smooth:
                yield (
                    f'<path d="{self._path(left, points)}" fill="none" stroke="{_COLORS[index]}" '
                    f'stroke-width="{1 if index else 2}"/>'
                )
            for x, y in points:
                yield _mark(index, *self._place(left, x, y))

    def _place(self, left: float, x: float, y: float) -> tuple[float, float]:
        low, high = self.ticks[0], self.ticks[-1]
        return left + (x - low) / (high - low) * _SIDE, _TOP + (1 - y) * _SIDE

    def _path(self, left: float, points: Sequence[tuple[float, float]]) -> str:
        placed = (self._place(left, x, y) for x, y in points)
        return "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in placed)


def _mark(index: int, x: float, y: float) -> str:
    return (
        f'<path transform="translate({x:.1f},{y:.1f})" d="{_SHAPES[index]}" '
        f'fill="{_COLORS[index]}" stroke="#fff"/>'
    )


def drawn(panels: Sequence[Panel], names: Sequence[str]) -> str:
    """The whole figure."""
    width, height = _LEFT + _STEP * len(panels) - 40, _TOP + _SIDE + 46
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" font-family="sans-serif" font-size="11" fill="#444">',
        "<style>.t{font-weight:600;font-size:13px;fill:#111}.s{fill:#777}"
        ".r{stroke:#ddd;fill:none}</style>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    for index, name in enumerate(names):
        x = _LEFT + 8 + 110 * index
        parts += [_mark(index, x, 14), f'<text x="{x + 10}" y="18">{name}</text>']
    for number, panel in enumerate(panels):
        parts += panel.drawn(_LEFT + _STEP * number)
    return "\n".join([*parts, "</svg>", ""])


if __name__ == "__main__":
    main()
