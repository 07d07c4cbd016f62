"""The report of an evaluation: one HTML file that needs no network and no script."""

from __future__ import annotations

import json
from collections.abc import Iterator

from operators.files import Files
from pipelines.evaluate import Evaluation, Figures, PageResult
from pipelines.evaluation_charts import (
    CHART_CSS,
    Cast,
    Cost,
    Row,
    Values,
    costs,
    dots,
    legend,
    recall_precision,
    signed,
)
from pipelines.page import note, page, section, table, write
from pipelines.peers import BASELINE
from pipelines.render import counted, escaped
from pipelines.structure import KINDS
from pipelines.summary import code_version

_LEAST_TEXTS = 5
_MOST_LANGUAGES = 16
_MOST_PAGES = 25
_EQUAL = 0.005
_TILES = (
    ("f1", "F1 of text"),
    ("f1_4gram", "F1 of four-token runs"),
    ("snippet_f1", "F1 of snippets"),
    ("image_recall", "recall of images"),
    ("image_precision", "precision of images"),
    ("structure_kept", "structure kept"),
)


def write_evaluation(found: Evaluation, folder: str) -> str:
    """Write the report to `extraction.html` in a folder, local or s3://, and return its path."""
    Files(folder).write("extraction.html", evaluation_html(found).encode())
    return Files(folder).uri("extraction.html")


def write_figures(found: Evaluation, path: str) -> str:
    """Write all figures as JSON, page by page too, and return the path."""
    return write(path, json.dumps(found.to_json(), ensure_ascii=False, indent=1) + "\n")


def evaluation_html(found: Evaluation) -> str:
    """The whole report as one HTML page."""
    cast = Cast(found.own, found.names)
    sections = (
        _headline(found),
        section("text", "Text", _text(found, cast)),
        section("images", "Images", _images(found, cast)),
        section("structure", "Structure", _structure(found, cast)),
        section("cost", "Cost", _cost(found, cast)),
        section("groups", "Languages and page types", _groups(found, cast)),
        section("pages", "Where a peer does better", _lost(found)),
        section("figures", "All figures", _figures(found)),
        _footer(found),
    )
    title = f"Extraction report: {escaped(found.own)}"
    return page(title, "\n".join(part for part in sections if part), CHART_CSS + _CSS)


# --- Headline -----------------------------------------------------------------------------------


def _headline(found: Evaluation) -> str:
    limit = f", at most {found.limit} a set" if found.limit else ""
    made = (
        f"{counted(len(found.pages), 'page')} in {counted(len(found.sets), 'set')}{limit} · "
        f"gold {escaped(found.gold)}"
    )
    return (
        '<header><p class="ol-kind">Extraction report</p>'
        f'<h1>{escaped(found.own)}</h1><p class="ol-note">{made}</p>'
        f'<p class="ol-lead">{_lead(found)}</p></header>'
        f'<dl class="ol-tiles">{"".join(_tiles(found))}</dl>'
    )


def _lead(found: Evaluation) -> str:
    """The outcome in a sentence or two."""
    own = found.totals[found.own]
    rows = [row for row in found.sets.values() if row[found.own]["f1"] is not None]
    text = f"<b>{escaped(found.own)}</b> was run on {counted(len(found.pages), 'page')}."
    peer = found.best_peer(found.totals)
    if own["f1"] is not None and peer:
        first = sum(_first(found, row) for row in rows)
        text = (
            f"<b>{escaped(found.own)}</b> finds the text best in {first} of "
            f"{counted(len(rows), 'set')}: F1 {own['f1']:.3f} on average, where the best peer, "
            f"{escaped(peer[0])}, has {peer[1]:.3f}."
        )
    ratio = own["cpu_ratio"]
    if ratio is not None and found.own != BASELINE:
        text += f" It takes {ratio:.2f} times trafilatura’s CPU time."
    return text


def _first(found: Evaluation, row: dict[str, Figures]) -> bool:
    peer, own = found.best_peer(row), row[found.own]["f1"]
    return own is not None and (peer is None or own >= peer[1])


def _tiles(found: Evaluation) -> Iterator[str]:
    own = found.totals[found.own]
    for name, label in _TILES:
        value = own[name]
        if value is not None:
            yield _tile(label, f"{value:.3f}", _beside(found, name))
    if own["cpu_ms"] is not None:
        yield _tile("CPU ms a page", f"{own['cpu_ms']:,.1f}", _baseline_cost(found))


def _tile(label: str, value: str, beside: str) -> str:
    more = f"<br>{beside}" if beside else ""
    return f"<div><dt>{label}{more}</dt><dd>{value}</dd></div>"


def _beside(found: Evaluation, measure: str) -> str:
    peer = found.best_peer(found.totals, measure)
    return f"{escaped(peer[0])} {peer[1]:.3f}" if peer else ""


def _baseline_cost(found: Evaluation) -> str:
    spent = found.totals[BASELINE]["cpu_ms"] if BASELINE in found.totals else None
    return f"{BASELINE} {spent:,.1f}" if spent is not None and found.own != BASELINE else ""


# --- Text ---------------------------------------------------------------------------------------


def _values(row: dict[str, Figures], measure: str) -> Values:
    return {name: figures[measure] for name, figures in row.items()}


def _text(found: Evaluation, cast: Cast) -> str:
    charts = [
        f"<h3>{title}</h3>{chart}"
        for title, measure, counts in (
            ("F1 of tokens, by set", "f1", "texts"),
            ("F1 of snippets, by set", "snippet_f1", "pages"),
        )
        if (chart := _set_dots(found, cast, measure, counts))
    ]
    small = note("A mark ◂ at the left edge lies beyond the axis.")
    return f"{legend(cast)}{''.join(charts)}{small}{_duels(found)}" if charts else ""


def _set_dots(found: Evaluation, cast: Cast, measure: str, counts: str) -> str:
    """A chart with a line a set, the own extractor's best sets first, below the mean of sets."""
    rows = [
        Row(name, f"{row[found.own][counts]:,.0f} pages", _values(row, measure))
        for name, row in found.sets.items()
        if row[found.own][measure] is not None
    ]
    rows.sort(key=lambda row: -(row.values[found.own] or 0))
    if len(rows) > 1:
        mean = _values(found.totals, measure)
        rows.insert(0, Row("mean of sets", f"{len(rows)} sets", mean, lead=True))
    return dots(cast, rows, "F1") if rows else ""


def _duels(found: Evaluation) -> str:
    """Page by page against each peer: better, equal, worse."""
    rows = []
    for peer in (name for name in found.contenders if name != found.own):
        gaps = [gap for page in found.pages if (gap := _gap(page, found.own, peer)) is not None]
        if gaps:
            better = sum(gap > _EQUAL for gap in gaps)
            worse = sum(gap < -_EQUAL for gap in gaps)
            rows.append((peer, better, len(gaps) - better - worse, worse, sum(gaps) / len(gaps)))
    if not rows:
        return ""
    cells = [
        (escaped(peer), *(f"{count:,}" for count in counts), signed(gap), _balance(*counts))
        for peer, *counts, gap in rows
    ]
    head = ("Against", "Better", "Equal", "Worse", "Mean gap", "")
    return f"<h3>Page by page</h3>{table(head, cells, (1, 2, 3, 4))}" + note(
        f"Pages by F1 of {escaped(found.own)} and of the peer; equal: within {_EQUAL}."
    )


def _gap(page: PageResult, own: str, peer: str) -> float | None:
    mine, other = page.scores[own].text, page.scores[peer].text
    return None if mine is None or other is None else mine.f1 - other.f1


def _balance(better: int, equal: int, worse: int) -> str:
    total = better + equal + worse
    first, second = 100 * better / total, 100 * equal / total
    return (
        f'<svg class="ol-balance" width="100%" height="10" role="img" '
        f'aria-label="{first:.0f}% better, {100 - first - second:.0f}% worse">'
        f'<rect class="ol-fill-back" width="100%" height="10"/>'
        f'<rect class="ol-own" width="{first:.1f}%" height="10"/>'
        f'<rect class="ol-fill-dropped" x="{first + second:.1f}%" '
        f'width="{100 - first - second:.1f}%" height="10"/></svg>'
    )


# --- Images, structure, cost --------------------------------------------------------------------


def _images(found: Evaluation, cast: Cast) -> str:
    panels = []
    rows = {name: row for name, row in found.sets.items() if _has(row, "image_recall")}
    if len(rows) > 1:
        panels.append(_panel(cast, "mean of sets", f"{len(rows)} sets", found.totals))
    for name, row in rows.items():
        pages = [page.scores[found.own].images for page in found.pages if page.set == name]
        gold = sum(images.gold for images in pages if images)
        panels.append(_panel(cast, name, counted(gold, "gold image"), row))
    if not panels:
        return ""
    blind = [name for name in found.names if not found.totals[name]["image_recall"]]
    silent = f"No image of the gold is found by {escaped(', '.join(blind))}." if blind else ""
    return (
        f'{legend(cast)}<div class="ol-charts ol-panels">{"".join(panels)}</div>{note(silent)}'
        "<h3>Share of pages with images that keep at least one, by set</h3>"
        f"{dots(cast, _covered(found, rows), 'share')}"
    )


def _covered(found: Evaluation, rows: dict[str, dict[str, Figures]]) -> list[Row]:
    """What `bare` leaves, so that more is better in this chart too."""

    def values(row: dict[str, Figures]) -> Values:
        return {n: 1 - bare for n, f in row.items() if (bare := f["bare"]) is not None}

    lines = [Row(name, "", values(row)) for name, row in rows.items()]
    mean = [Row("mean of sets", "", values(found.totals), lead=True)] if len(rows) > 1 else []
    return mean + lines


def _has(row: dict[str, Figures], measure: str) -> bool:
    return any(figures[measure] is not None for figures in row.values())


def _panel(cast: Cast, name: str, text: str, row: dict[str, Figures]) -> str:
    recall, precision = _values(row, "image_recall"), _values(row, "image_precision")
    return recall_precision(cast, name, text, recall, precision)


def _structure(found: Evaluation, cast: Cast) -> str:
    rows = []
    for name in found.sets:
        for kind, row in found.structure(name).items():
            gold = max(kept.gold for kept in row.values())
            values = {extractor: kept.kept / gold for extractor, kept in row.items() if gold}
            if values:
                rows.append(Row(f"{name}: {KINDS[kind]}", f"{gold:,}", values))
    if not rows:
        return ""
    return f"{legend(cast)}{dots(cast, rows, 'kept')}" + note(
        "Share of the gold’s headings, list items, table rows, code blocks and formulas whose "
        "words the extractor gives back as such. Extractors that give plain text are left out."
    )


def _cost(found: Evaluation, cast: Cast) -> str:
    rows = []
    for name in found.names:
        by_set = [row[name]["cpu_ms"] or 0.0 for row in found.sets.values()]
        total = found.totals[name]
        rows.append(Cost(name, total["cpu_ms"] or 0.0, by_set, total["cpu_ratio"]))
    rows.sort(key=lambda row: row.mean)
    return costs(cast, rows) + note(
        "CPU milliseconds a page, parsing included, one thread, logarithmic axis. The bar reaches "
        "from the cheapest set to the dearest; the mark is the mean over all pages."
    )


# --- Groups -------------------------------------------------------------------------------------


def _groups(found: Evaluation, cast: Cast) -> str:
    charts = [
        f"<h3>{title}</h3>{dots(cast, rows, 'F1')}"
        for title, rows in (
            ("F1 by language", _group_rows(found, found.languages, _MOST_LANGUAGES)),
            ("F1 by page type", _group_rows(found, found.page_types, None)),
        )
        if rows
    ]
    small = f"Means over pages of all sets; groups of {_LEAST_TEXTS} pages or more."
    return f"{legend(cast)}{note(small)}{''.join(charts)}" if charts else ""


def _group_rows(
    found: Evaluation, groups: dict[str, dict[str, Figures]], most: int | None
) -> list[Row]:
    rows = [
        (row[found.own]["texts"] or 0, Row(label, "", _values(row, "f1")))
        for label, row in groups.items()
    ]
    rows = [(texts, row) for texts, row in rows if texts >= _LEAST_TEXTS]
    rows.sort(key=lambda item: (-item[0], item[1].name))
    return [Row(row.name, f"{texts:,.0f} pages", row.values) for texts, row in rows[:most]]


# --- Pages --------------------------------------------------------------------------------------


def _lost(found: Evaluation) -> str:
    """The pages on which the best peer is farthest ahead."""
    gaps = [(gap, peer, page) for page in found.pages for gap, peer in _ahead(found, page)]
    gaps.sort(key=lambda item: (item[0], item[2].set, item[2].id))
    rows = [
        (
            escaped(page.set),
            f"<span>{escaped(page.id, 80)}</span>",
            escaped(page.lang),
            _f1(page, found.own),
            _f1(page, peer),
            escaped(peer),
        )
        for gap, peer, page in gaps[:_MOST_PAGES]
        if gap < -_EQUAL
    ]
    if not rows:
        return ""
    behind = sum(gap < -_EQUAL for gap, _, _ in gaps)
    head = ("Set", "Page", "Language", escaped(found.own), "Best peer", "Which")
    return note(
        f"On {behind:,} of {counted(len(gaps), 'page')} at least one peer has a better F1; "
        f"the {len(rows)} with the widest gap:"
    ) + table(head, rows, (3, 4))


def _ahead(found: Evaluation, page: PageResult) -> Iterator[tuple[float, str]]:
    """The best peer of a page and how far it is ahead, as a gap below zero."""
    gaps = {
        peer: gap
        for peer in found.contenders
        if peer != found.own and (gap := _gap(page, found.own, peer)) is not None
    }
    if gaps:
        peer = min(gaps, key=lambda name: gaps[name])
        yield gaps[peer], peer


def _f1(page: PageResult, name: str) -> str:
    text = page.scores[name].text
    return "–" if text is None else f"{text.f1:.3f}"


# --- All figures --------------------------------------------------------------------------------


def _figures(found: Evaluation) -> str:
    mean = {"mean of sets": found.totals} if len(found.sets) > 1 else {}
    meanings = [(escaped(m.label), escaped(m.meaning)) for m in found.measures]
    what = table(("Figure", "What it is"), meanings)
    return (
        _grid(found, mean | found.sets)
        + note("Bold: best of the extractors, but for the one that takes everything.")
        + f"<details><summary>What the figures are</summary>{what}</details>"
    )


def _grid(found: Evaluation, rows: dict[str, dict[str, Figures]]) -> str:
    """A table with a line an extractor in each row's group; best values are bold."""
    measures = found.measures
    lines: list[tuple[str, ...]] = []
    for label, row in rows.items():
        best = [found.best(row, measure) for measure in measures]
        for position, name in enumerate(found.names):
            cells = [
                _bold(measure.text(row[name][measure.name]), name in names)
                for measure, names in zip(measures, best, strict=True)
            ]
            strong = f'<span class="ol-mine">{escaped(name)}</span>'
            shown = strong if name == found.own else escaped(name)
            lines.append(("" if position else f"<b>{escaped(label)}</b>", shown, *cells))
    head = ("Set", "Extractor", *(escaped(measure.label) for measure in measures))
    return f'<div class="ol-groups">{table(head, lines, range(2, len(head)))}</div>'


def _bold(text: str, strong: bool) -> str:
    if text == "–":
        return f'<span class="ol-even">{text}</span>'
    return f"<b>{text}</b>" if strong else text


def _footer(found: Evaluation) -> str:
    rows = []
    for name, version in found.versions.items():
        errors = list(found.errors(name).items())[:3]
        said = "".join(f"<div>{count:,} times {escaped(text, 160)}</div>" for text, count in errors)
        rows.append((escaped(name), escaped(version) or "–", said or "–"))
    left = (
        f"Left out, because not installed: {', '.join(found.left_out)}." if found.left_out else ""
    )
    return (
        f'<footer id="provenance"><h2>Provenance</h2>\n'
        f"{table(('Extractor', 'Version', 'Errors'), rows)}{note(escaped(left))}"
        f"{note(f'Report by omniloom {escaped(code_version())}')}</footer>"
    )


_CSS = """
.ol-mine { color: var(--ol-bar-kept); font-weight: 600; }
.ol-balance { min-width: 12rem; margin-top: 0.4rem; }
.ol-groups td { border-bottom: 0; padding-block: 0.15rem; }
.ol-groups tbody tr:has(> td:first-child:not(:empty)):not(:first-child) td {
  border-top: 1px solid var(--ol-line); }
.ol-page .ol-panels figcaption { min-height: 0; }
.ol-page .ol-panels { margin-bottom: 0.5rem; }
"""
