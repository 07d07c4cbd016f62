"""The report on pictures and the instructions about them: one HTML file, as all reports are.

Counts, coverage, balance and what asking cost hold for the whole corpus. Distributions and examples
are read from at most `MAX_UNITS` units, and the report says so where it did.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import chain, zip_longest
from typing import Any

import polars as pl
import pyarrow as pa

from operators.coverage import Coverage, Quotas
from pipelines.bars import LEGEND, funnel_chart, percent
from pipelines.corpus import Corpus
from pipelines.histograms import histogram
from pipelines.image_report import IMAGE_CSS
from pipelines.instruction_corpus import coverage, usage_by_stage
from pipelines.instruction_html import (
    INSTRUCTION_CSS,
    NO_PICTURE,
    instruction_html,
    picture_data,
    picture_html,
)
from pipelines.page import note, page, section, table
from pipelines.render import badge, counted, escaped
from pipelines.report_parts import (
    CSS,
    Sample,
    cost,
    footer,
    headline,
    most_dropped,
    rules_table,
    silent_rules,
    trouble,
)
from pipelines.rows import Instruction, JudgedRow, PictureRow
from pipelines.seen import PICTURE_ROW
from pipelines.store import UnitRecord, born_in
from schemas.columns import COLUMNS, INSTRUCTION_KINDS, USAGE

MAX_UNITS = 20
PICTURES = 8
EXAMPLES = 3
_DROPPED_PICTURES = 6
_SEEDS = 12
_HEATS = 6
_FIRST_CHARTS = (
    "question_word_count",
    "answer_word_count",
    "grounded_share",
    "blind_agreement",
    "self_consistency",
)
_PLACES = (PICTURE_ROW, "source_offset", "source_record", "fetched_at")

Place = tuple[UnitRecord, int]
"""A unit and a row of it."""


def instruction_report_html(corpus: Corpus) -> str:
    """The whole report as one HTML page; the same corpus gives the same page."""
    sample = Sample(corpus, MAX_UNITS)
    view = corpus.instructions_view
    found, usage = coverage(corpus), usage_by_stage(corpus)
    sections = (
        _headline(corpus, sum(took["usd"] for took in usage.values())),
        section("pictures", "Pictures: funnel", _pictures(corpus)),
        section("instructions", "Instructions: funnel", _instructions(corpus)),
        section("coverage", "Coverage", _matrix(found)),
        section("quotas", "Quotas", _quotas(corpus, found)),
        section("balance", "Balance of answers", _balance(found)),
        section("seeds", "Seed questions", _seeds(found)),
        section("lengths", "Lengths and measures", _measures(corpus, sample)),
        section("asking", "What asking models cost", _asking(corpus, usage)),
        section("reviews", "Reviews", _reviews(corpus)),
        section("gallery", "Pictures with their instructions", _gallery(sample)),
        section("dropped", "What rules dropped", _dropped(sample)),
        section("trouble", "Skipped and failed", trouble(corpus, sample)),
        section("cost", "CPU time by stage", cost(corpus)),
        section("rules", "Rules", rules_table(corpus, [*corpus.rules, *view.rules])),
        footer(corpus, [*corpus.stages, *view.stages]),
    )
    css = CSS + IMAGE_CSS + INSTRUCTION_CSS + _CSS
    title = f"Instruction report: {escaped(corpus.job)}"
    return page(title, "\n".join(text for text in sections if text), css)


# --- Headline and funnels -----------------------------------------------------------------------


def _headline(corpus: Corpus, usd: float) -> str:
    summary = corpus.summary
    accepted = summary.images_kept
    figures = [
        ("pictures in", f"{summary.documents:,}"),
        ("pictures kept", f"{summary.kept:,}"),
        ("instructions written", f"{summary.images:,}"),
        ("accepted", f"{accepted:,}"),
        ("share accepted", percent(accepted, summary.images)),
        ("US dollars for models", f"{usd:,.2f}"),
        ("US dollars a row accepted", f"{usd / accepted:.2g}" if accepted else "–"),
        ("failed rows", f"{summary.failed + summary.images_failed:,}"),
    ]
    return headline(corpus, _lead(corpus), figures)


def _lead(corpus: Corpus) -> str:
    summary = corpus.summary
    text = f"Of {counted(summary.documents, 'picture')}, {summary.kept:,} stay."
    if not summary.images:
        return text + " No instruction was written."
    text += (
        f" Of {counted(summary.images, 'instruction')} about them, {summary.images_kept:,} are "
        f"accepted ({percent(summary.images_kept, summary.images)})."
    )
    return text + most_dropped(corpus, corpus.instructions_view.rules, "instruction")


def _pictures(corpus: Corpus) -> str:
    summary = corpus.summary
    if not summary.documents:
        return note("The inputs hold no pictures.")
    rows = corpus.funnel().to_dicts()
    return _funnel("pictures", rows, summary.documents, summary.kept)


def _instructions(corpus: Corpus) -> str:
    summary = corpus.summary
    if not summary.images:
        return note("No instruction was written about the pictures that were kept.")
    said = note(
        f"Written about {counted(summary.kept, 'picture')}; the same instruction is counted once."
    )
    rows = corpus.instruction_funnel().to_dicts()
    return said + _funnel("instructions", rows, summary.images, summary.images_kept)


def _funnel(what: str, rows: list[dict[str, Any]], total: int, kept: int) -> str:
    legend = LEGEND.format(kept="still there", dropped="dropped here first")
    chart = funnel_chart(what, [row for row in rows if row["dropped"]], total, kept)
    silent = silent_rules([row for row in rows if not row["dropped"]])
    return f"<figure>{legend}{chart}</figure>{silent}"


# --- What the accepted instructions are -----------------------------------------------------------


def _matrix(found: Coverage) -> str:
    """Rows a domain, kind and language, darker where there are more."""
    if not found.rows:
        return note("No instruction was accepted.")
    domains = sorted({cell[0] for cell in found.cells})
    langs = sorted({cell[2] for cell in found.cells})
    known = {cell[1] for cell in found.cells}
    kinds = [kind for kind in INSTRUCTION_KINDS if kind in known]
    most = max(found.cells.values())
    pairs = [(kind, lang) for kind in kinds for lang in langs]
    spans = "".join(f'<th colspan="{len(langs)}">{kind.replace("_", " ")}</th>' for kind in kinds)
    tongues = "".join(f"<th>{escaped(lang)}</th>" for _, lang in pairs)
    body = "\n".join(
        f'<tr><th scope="row">{escaped(domain)}</th>'
        + "".join(_heat(found.cells[domain, *pair], most) for pair in pairs)
        + f"<td>{found.count(domain=domain):,}</td></tr>"
        for domain in domains
    )
    totals = "".join(f"<td>{found.count(kind=k, lang=g):,}</td>" for k, g in pairs)
    return (
        note("Accepted instructions by domain, kind and language; a dot is none.")
        + '<div class="ol-wide"><table class="ol-heat"><thead>'
        f"<tr><th></th>{spans}<th></th></tr><tr><th>domain</th>{tongues}<th>all</th></tr></thead>"
        f'<tbody>\n{body}\n</tbody><tfoot><tr><th scope="row">all</th>{totals}'
        f"<td>{found.rows:,}</td></tr></tfoot></table></div>"
    )


def _heat(rows: int, most: int) -> str:
    if not rows:
        return '<td class="ol-none">·</td>'
    level = max(1, round(_HEATS * (rows / most) ** 0.5))
    return f'<td class="ol-heat-{level}">{rows:,}</td>'


def _quotas(corpus: Corpus, found: Coverage) -> str:
    """What is missed, in words."""
    own = corpus.reference.get("quotas")
    quotas = Quotas.model_validate(own or {})
    missed = quotas.missed(found)
    whose = "" if own else "The job sets no quotas; these are the defaults for even answers. "
    if found.rows < quotas.min_judged:
        whose += f"Balance is not judged below {counted(quotas.min_judged, 'instruction')}. "
    if not missed:
        return note(f"{whose}Nothing is missed.")
    items = "".join(f"<li>{escaped(sentence)}</li>" for sentence in missed)
    return f'{note(whose)}<ul class="ol-missed">{items}</ul>'


def _balance(found: Coverage) -> str:
    halves = [half for half in (_yes_and_no(found), _letters(found)) if half]
    return f'<div class="ol-halves">{"".join(halves)}</div>' if halves else ""


def _yes_and_no(found: Coverage) -> str:
    langs = sorted({*found.yes, *found.no})
    rows = [
        (
            escaped(lang),
            f"{found.yes[lang]:,}",
            f"{found.no[lang]:,}",
            percent(found.yes[lang], found.yes[lang] + found.no[lang]),
        )
        for lang in langs
    ]
    if not rows:
        return ""
    head = ("Language", "Yes", "No", "Share of yes")
    return f"<div><h3>Judgements</h3>{table(head, rows, (1, 2, 3))}</div>"


def _letters(found: Coverage) -> str:
    rows = [
        (letter, f"{found.letters[letter]:,}", f"{expected:,.1f}")
        for letter, expected in sorted(found.expected_letters.items())
    ]
    if not rows:
        return ""
    chance = found.letter_p()
    said = (
        "Too few for a test of evenness: a letter is expected less than five times."
        if chance is None
        else f"Even letters are this far apart or farther with p = {chance:.2g} (chi-square)."
    )
    said += (
        f" The right option is the longest {found.longest_right:,} times; if length said "
        f"nothing, {found.expected_longest:,.1f} times."
    )
    head = ("Letter", "Right", "Expected")
    return f"<div><h3>Right letters</h3>{table(head, rows, (1, 2))}{note(said)}</div>"


def _seeds(found: Coverage) -> str:
    if not found.seeds:
        return ""
    top = sorted(found.seeds.items(), key=lambda item: (-item[1], item[0]))[:_SEEDS]
    rows = [(escaped(seed), f"{used:,}", percent(used, found.rows)) for seed, used in top]
    said = (
        f"{counted(len(found.seeds), 'seed')} stood in the prompts of accepted instructions; "
        "these most often."
    )
    return note(said) + table(("Seed", "Instructions", "Share of all"), rows, (1, 2))


def _measures(corpus: Corpus, sample: Sample) -> str:
    """Words by kind, and distributions of what was measured of instructions and pictures."""
    view = corpus.instructions_view
    names = _numeric(view.columns)
    frame = sample.instructions("instruction_kind", *names)
    if not len(frame):
        return ""
    drawn = {name: histogram(frame, name, view.rules) for name in names}
    pictures = sample.documents(*_numeric(corpus.columns))
    of_pictures = [histogram(pictures, name, corpus.rules) for name in _numeric(corpus.columns)]
    front = [drawn.pop(name) for name in _FIRST_CHARTS if name in drawn]
    legend = LEGEND.format(kept="accepted", dropped="dropped")
    return (
        f"{note(sample.note)}{_lengths(frame)}{legend}"
        f"{note('Dashed lines mark the thresholds of rules.')}"
        f'<div class="ol-charts">{"".join(front)}</div>'
        f"{_folded('more measure of instructions', drawn.values())}"
        f"{_folded('measure of pictures', of_pictures)}"
    )


def _folded(what: str, charts: Iterable[str]) -> str:
    found = [chart for chart in charts if chart]
    if not found:
        return ""
    first, _, rest = what.partition(" of ")
    return (
        f"<details><summary>{counted(len(found), first)} of {rest}</summary>"
        f'<div class="ol-charts">{"".join(found)}</div></details>'
    )


def _numeric(names: Iterable[str]) -> list[str]:
    found = [
        name
        for name in names
        if (pa.types.is_integer(COLUMNS[name].type) or pa.types.is_floating(COLUMNS[name].type))
        and name not in _PLACES
        and not name.endswith("hash")
    ]
    first = [name for name in _FIRST_CHARTS if name in found]
    return [*first, *(name for name in found if name not in first)]


def _lengths(frame: pl.DataFrame) -> str:
    """Words of accepted questions and answers by kind."""
    kept = frame.filter("kept")
    if not len(kept) or not {"question_word_count", "answer_word_count"} <= set(frame.columns):
        return ""
    rows = []
    for kind in INSTRUCTION_KINDS:
        of_kind = kept.filter(pl.col("instruction_kind") == kind)
        if len(of_kind):
            columns = (of_kind["question_word_count"], of_kind["answer_word_count"])
            figures = [column.quantile(share) for column in columns for share in (0.5, 0.9)]
            cells = (f"{figure or 0:,.0f}" for figure in figures)
            rows.append((kind.replace("_", " "), f"{len(of_kind):,}", *cells))
    head = ("Kind", "Accepted", "Question: median", "90 %", "Answer: median", "90 %")
    return table(head, rows, (1, 2, 3, 4, 5)) + note("In words; a Han sign is a word.")


# --- What it cost -------------------------------------------------------------------------------


def _asking(corpus: Corpus, usage: dict[str, dict[str, float]]) -> str:
    if not usage:
        return ""
    accepted = corpus.summary.images_kept
    stages = [*corpus.stages, *corpus.instructions_view.stages]
    models = {stage["name"]: stage["config"].get("model", {}).get("name", "") for stage in stages}
    total = {field.name: sum(took[field.name] for took in usage.values()) for field in USAGE}
    rows = [
        (
            f"<b>{escaped(name)}</b>" if name == "all" else escaped(name),
            escaped(models.get(name, "")),
            *(
                f"{took[field]:,.0f}"
                for field in ("requests", "prompt_tokens", "completion_tokens")
            ),
            _usd(took["usd"]),
            _usd(took["usd"] / accepted) if accepted else "–",
        )
        for name, took in {**usage, "all": total}.items()
    ]
    head = ("Stage", "Model", "Requests", "Prompt tokens", "Answer tokens", "USD", "USD a row")
    return table(head, rows, (2, 3, 4, 5, 6)) + note(
        "A row is an accepted instruction. Requests that were answered from kept replies count "
        "with what they took when they were asked."
    )


def _usd(value: float) -> str:
    return f"{value:,.2f}" if value >= 1 or not value else f"{value:.3g}"


def _reviews(corpus: Corpus) -> str:
    if "review_status" not in corpus.instructions_view.columns or not corpus.summary.images:
        return ""
    frame = corpus.instructions("review_status", "review_seconds")
    seen = frame.filter(pl.col("review_status").is_not_null())
    how = note(
        "<code>omniloom review JOB</code> serves the page on which people decide; docs/review.md "
        "tells more. The next run takes their decisions up."
    )
    if not len(seen):
        return note("Nobody reviewed any of them yet.") + how
    counts = (
        seen.group_by("review_status")
        .agg(pl.len(), pl.col("kept").sum(), pl.col("review_seconds").sum())
        .sort("review_status")
    )
    rows = [
        (escaped(status), f"{count:,}", f"{kept:,}", f"{seconds / 60:,.1f}")
        for status, count, kept, seconds in counts.iter_rows()
    ]
    unseen = len(frame.filter(pl.col("review_status").is_null() & pl.col("kept")))
    rest = note(f"{counted(unseen, 'accepted instruction')} nobody looked at.")
    return table(("Decision", "Rows", "Accepted", "Minutes"), rows, (1, 2, 3)) + rest + how


# --- Examples -----------------------------------------------------------------------------------


def _order(name: str) -> str:
    """What rows are chosen by: a hash, which is the same every time."""
    return hashlib.blake2b(name.encode(), digest_size=8).hexdigest()


def _gallery(sample: Sample) -> str:
    """Pictures with all of their instructions, in turn over domains."""
    groups: dict[str, list[tuple[str, Place]]] = defaultdict(list)
    asked = {
        (born_in(record.unit), row)
        for record in sample.instruction_records
        for row in sample.instructions_of(record, [PICTURE_ROW])[PICTURE_ROW]
    }
    for record, row, values in _rows_of_pictures(sample, "picture_domains"):
        if (record.unit, row) in asked:
            domain = (values["picture_domains"] or [""])[0]
            groups[domain].append((_order(values["image_url"]), (record, row)))
    queues = (sorted(found, key=lambda entry: entry[0]) for _, found in sorted(groups.items()))
    turns = [entry[1] for entry in chain.from_iterable(zip_longest(*queues)) if entry is not None]
    chosen = [sample.judged_pictures(record, [row])[0] for record, row in turns[:PICTURES]]
    if not chosen:
        return ""
    said = note(f"Chosen by the hash of their address, in turn over domains. {sample.note}")
    return said + "\n".join(_example(one, opened=i < 2) for i, one in enumerate(chosen))


def _example(picture: PictureRow, *, opened: bool) -> str:
    asked = picture.instructions
    kept = sum(one.kept for one in asked)
    name = escaped(picture.values.get("image_caption") or picture.url, 100)
    return (
        f'<details class="ol-example"{" open" if opened else ""}><summary>'
        f'<bdi class="ol-label">{name}</bdi> <span class="ol-tongue">{kept} of '
        f"{counted(len(asked), 'instruction')} accepted</span></summary>\n"
        f"{picture_html(picture, asked, styled=False, full=False)}</details>"
    )


def _rows_of_pictures(
    sample: Sample, *names: str
) -> Iterable[tuple[UnitRecord, int, dict[str, Any]]]:
    frame = sample.documents("image_url", *(name for name in names if name in sample.columns))
    rows = frame.iter_rows(named=True)
    for record in sample.records:
        for row in range(record.rows):
            yield record, row, dict.fromkeys(names) | next(rows)


def _dropped(sample: Sample) -> str:
    """For each rule, and each stage with errors, some rows that it dropped first."""
    pictures: dict[str, list[tuple[str, Place]]] = defaultdict(list)
    for record, row, values in _rows_of_pictures(sample):
        if values["dropped_by"] is not None:
            place = (_order(values["image_url"]), (record, row))
            pictures[values["dropped_by"]].append(place)
    asked: dict[str, list[tuple[str, Place]]] = defaultdict(list)
    for record in sample.instruction_records:
        frame = sample.instructions_of(record, ["instruction_id"])
        for row, (name, _, reason) in enumerate(frame.iter_rows()):
            if reason is not None:
                asked[reason].append((_order(name), (record, row)))
    parts = [_wall(sample, found) for found in pictures.values()]
    parts += [_cards(sample, found) for found in asked.values()]
    return note(sample.note) + "\n".join(parts) if parts else ""


def _first(found: Sequence[tuple[str, Place]], most: int) -> list[Place]:
    return [place for _, place in sorted(found, key=lambda entry: entry[0])[:most]]


def _wall(sample: Sample, found: Sequence[tuple[str, Place]]) -> str:
    shown = [
        sample.judged_pictures(record, [row])[0] for record, row in _first(found, _DROPPED_PICTURES)
    ]
    figures = "".join(_dropped_picture(picture) for picture in shown)
    title = f"{badge(shown[0])} {counted(len(found), 'picture')}"
    return f'<h3>{title}</h3><div class="ol-wall">{figures}</div>'


def _dropped_picture(picture: PictureRow) -> str:
    data = picture_data(picture)
    url, said = escaped(picture.url), escaped(_why(picture))
    image = (
        f'<img src="{data}" alt="" title="{url}">'
        if data
        else f'<div class="ol-missing"><span class="ol-why">{NO_PICTURE}</span>{url}</div>'
    )
    return f"<figure>{image}<figcaption>{said}</figcaption></figure>"


def _why(row: JudgedRow) -> str:
    """The value that dropped it beside the threshold, or its error."""
    told = [v.thresholds for v in row.verdicts if v.rule == row.dropped_by]
    return ", ".join([*told, *row.errors.values()])


def _cards(sample: Sample, found: Sequence[tuple[str, Place]]) -> str:
    shown: list[Instruction] = [
        sample.judged_instructions(record, [row])[0] for record, row in _first(found, EXAMPLES)
    ]
    cards = "".join(instruction_html(one, full=False, pictured=True) for one in shown)
    title = f"{badge(shown[0])} {counted(len(found), 'instruction')}"
    return f'<h3>{title}</h3><div class="ol-doc ol-pic"><div class="ol-asks">{cards}</div></div>'


_CSS = """
.ol-heat { border-collapse: separate; border-spacing: 2px; font-size: 0.85rem;
  font-variant-numeric: tabular-nums; }
.ol-heat th { font-weight: 600; color: var(--ol-soft); padding: 0.2rem 0.5rem; }
.ol-heat tbody th, .ol-heat tfoot th, .ol-heat tr:last-child th:first-child {
  text-align: start; white-space: nowrap; padding-inline-start: 0; }
.ol-heat td { text-align: end; padding: 0.25rem 0.6rem; min-width: 2.2rem; border-radius: 2px; }
.ol-heat td:last-child, .ol-heat tfoot td { font-weight: 600; }
.ol-heat .ol-none { background: var(--ol-wash); }
.ol-missed { color: var(--ol-bad); padding-inline-start: 1.2rem; margin: 0.4rem 0; }
.ol-example > .ol-doc { margin-bottom: 1.25rem; }
.ol-wall .ol-missing { width: auto; }
.ol-page .ol-wall figcaption { font-weight: 400; }
""" + "\n".join(
    f".ol-heat-{level} {{ background: color-mix(in srgb, var(--ol-bar-kept) {10 * level}%, "
    "var(--ol-paper)); }"
    for level in range(1, _HEATS + 1)
)
