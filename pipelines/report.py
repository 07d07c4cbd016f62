"""The report on a corpus: one HTML file that needs no network and no script.

    write_report(open_corpus("build/demo"), "build/demo/report.html")

Counts come from the summary and hold for the whole corpus. What needs the documents themselves
(distributions, examples) is read from at most `MAX_UNITS` units, so that the report of a huge
corpus costs as much as that of a small one; the report says so where it did.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cached_property
from itertools import accumulate, chain, zip_longest
from typing import Any

import polars as pl
import pyarrow as pa

from pipelines.bars import LEGEND, ROW, bar_row, funnel_chart, part, percent, rows_chart, share
from pipelines.corpus import Corpus, Document
from pipelines.histograms import histogram
from pipelines.image_report import IMAGE_CSS, images_section
from pipelines.instruction_report import instruction_report_html
from pipelines.page import note, page, section, write
from pipelines.render import badge, counted, document_html, escaped
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
from schemas.columns import COLUMNS

MAX_UNITS = 50
EXAMPLES = 6
_EXAMPLE_NODES = 40
_TOP = 12
_MESSAGES = 5
_POSITIONS = ("source_offset", "source_record")
_FIRST_CHARTS = (
    "word_count",
    "image_count",
    "char_count",
    "mean_word_length",
    "lang_score",
    "payload_bytes",
)


def report_html(corpus: Corpus) -> str:
    """The whole report as one HTML page; the same corpus gives the same page."""
    if corpus.makes_instructions:
        return instruction_report_html(corpus)
    sample = _Sample(corpus, MAX_UNITS)
    sections = (
        _headline(corpus, sample),
        section("funnel", "Funnel", _funnel(corpus)),
        section("mix", "Languages and domains", _mix(sample)),
        section("measures", "Measures", _measures(sample)),
        section("images", "Images", images_section(sample)),
        section("trouble", "Skipped and failed", trouble(corpus, sample)),
        section("cost", "Cost by stage", cost(corpus)),
        section("documents", "Documents", _examples(sample)),
        section("rules", "Rules", rules_table(corpus, corpus.rules)),
        footer(corpus, corpus.stages),
    )
    title = f"Corpus report: {escaped(corpus.job)}"
    return page(title, "\n".join(text for text in sections if text), CSS + IMAGE_CSS)


def write_report(corpus: Corpus, path: str) -> str:
    """Write the report to `path`, a local file or an s3:// address, and return that."""
    return write(path, report_html(corpus))


# --- Sample -------------------------------------------------------------------------------------


class _Sample(Sample):
    """Some documents of a corpus."""

    @cached_property
    def measures(self) -> list[str]:
        """Numeric columns that describe documents, the most telling first."""
        found = [name for name in self.columns if _numeric(name) and name not in _POSITIONS]
        first = [name for name in _FIRST_CHARTS if name in found]
        return [*first, *(name for name in found if name not in first)]

    @cached_property
    def frame(self) -> pl.DataFrame:
        """One row a sampled document: its numeric columns, language, domain and fate."""
        names = [name for name in ("doc_id", "domain", "lang") if name in self.columns]
        return self.documents(*names, *self.measures)

    def at(self, positions: Iterable[int]) -> list[Document]:
        """The documents at these rows of `frame`."""
        ends = list(accumulate(record.rows for record in self.records))
        found: list[Document] = []
        for position in positions:
            index = next(i for i, end in enumerate(ends) if position < end)
            record = self.records[index]
            found.extend(self._documents(record, [position - ends[index] + record.rows]))
        return found


def _numeric(name: str) -> bool:
    found = COLUMNS[name]
    kind = found.type
    return found.level == "document" and (pa.types.is_integer(kind) or pa.types.is_floating(kind))


# --- Headline -----------------------------------------------------------------------------------


def _headline(corpus: Corpus, sample: _Sample) -> str:
    summary = corpus.summary
    kept = sample.frame.filter("kept") if len(sample.frame) else sample.frame
    figures = [
        ("pages in", f"{summary.documents:,}"),
        ("kept", f"{summary.kept:,}"),
        ("share kept", percent(summary.kept, summary.documents)),
        ("words kept", _total(kept, "word_count", sample)),
        ("images in kept documents", _total(kept, "image_count", sample)),
        ("image files in the inputs", f"{summary.captures:,}"),
        ("failed rows", f"{summary.failed:,}"),
    ]
    return headline(corpus, _lead(corpus), figures)


def _lead(corpus: Corpus) -> str:
    summary = corpus.summary
    share = percent(summary.kept, summary.documents)
    text = f"Of {counted(summary.documents, 'page')}, {summary.kept:,} stay ({share})."
    rules = [rule for rule in corpus.rules if rule["table"] == "documents"]
    return text + most_dropped(corpus, rules, "document")


def _total(kept: pl.DataFrame, name: str, sample: _Sample) -> str:
    """The sum over all kept documents, estimated where only a sample was read."""
    if name not in kept.columns or not len(kept):
        return "–" if name not in sample.columns else "0"
    total = kept[name].sum()
    if not sample.note:
        return f"{total:,}"
    return f"≈ {round(total * sample.whole.kept / len(kept)):,}"


# --- Funnel -------------------------------------------------------------------------------------


def _funnel(corpus: Corpus) -> str:
    if not corpus.summary.documents:
        return note("The inputs hold no pages.")
    rows = corpus.funnel().to_dicts()
    tables = {rule["name"]: rule["table"] for rule in corpus.rules}
    total = corpus.summary.documents
    telling = [row for row in rows if row["dropped"]]
    nodes = [row for row in telling if tables.get(row["rule"]) == "nodes"]
    documents = [row for row in telling if row not in nodes]
    silent = [row for row in rows if not row["dropped"]]
    legend = LEGEND.format(kept="still there", dropped="dropped here first")
    chart = funnel_chart("pages", documents, total, corpus.summary.kept)
    return "\n".join(
        [
            f"<figure>{legend}{chart}</figure>",
            _node_rules(nodes),
            silent_rules(silent),
        ]
    )


def _node_rules(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return ""
    bars = []
    for index, row in enumerate(rows):
        stay = row["asked"] - row["dropped"]
        widths = (share(stay, row["asked"]), share(row["dropped"], row["asked"]))
        counts = f"asked {row['asked']:,} · dropped {row['dropped']:,} · first {row['first']:,}"
        text = row["condition"].removeprefix("nodes, ")
        bars.append(bar_row(index, row["rule"], text, f"{stay:,} pass", counts, widths))
    chart = rows_chart("nodes-title", "Rules over nodes: how many nodes they drop", bars, ROW)
    return f"<h3>Inside documents: rules over text nodes</h3><figure>{chart}</figure>"


# --- Languages and domains ----------------------------------------------------------------------


def _mix(sample: _Sample) -> str:
    charts = [
        _shares(sample.frame, name, title)
        for name, title in (("lang", "Languages"), ("domain", "Domains"))
        if name in sample.frame.columns and len(sample.frame)
    ]
    if not charts:
        return ""
    legend = LEGEND.format(kept="kept", dropped="dropped")
    return f'{note(sample.note)}{legend}<div class="ol-halves">{"".join(charts)}</div>'


def _shares(frame: pl.DataFrame, name: str, title: str) -> str:
    """Kept and dropped documents by the values of a column, the most frequent first."""
    counts: list[tuple[str, int, int]] = (
        frame.group_by(pl.col(name).fill_null("not known"))
        .agg(kept=pl.col("kept").sum(), dropped=(~pl.col("kept")).sum())
        .sort(pl.col("kept") + pl.col("dropped"), name, descending=[True, False])
        .rows()
    )
    top = _TOP if len(counts) > _TOP + 1 else len(counts)
    shown, rest = counts[:top], counts[top:]
    if rest:
        label = counted(len(rest), "other")
        shown.append((label, sum(row[1] for row in rest), sum(row[2] for row in rest)))
    most = max(kept + dropped for _, kept, dropped in shown)
    rows = [_share_row(i, row, most) for i, row in enumerate(shown)]
    chart = rows_chart(f"{name}-title", f"{title}: documents kept and dropped", rows, 34)
    return f"<figure><figcaption>{title}, in documents</figcaption>{chart}</figure>"


def _share_row(index: int, row: tuple[str, int, int], most: int) -> str:
    label, kept, dropped = row
    top = index * 34
    start = share(kept, most)
    return (
        f'<text class="ol-name" x="0" y="{top + 13}">{escaped(label, 40)}</text>'
        f'<text class="ol-small ol-end" x="100%" y="{top + 13}">'
        f"{kept:,} kept · {dropped:,} dropped</text>"
        f"{part('kept', 0, start, top + 18)}"
        f"{part('dropped', start, share(dropped, most), top + 18)}"
    )


# --- Measures -----------------------------------------------------------------------------------


def _measures(sample: _Sample) -> str:
    if not len(sample.frame):
        return ""
    charts = {name: histogram(sample.frame, name, sample.rules) for name in sample.measures}
    drawn = {name: chart for name, chart in charts.items() if chart}
    if not drawn:
        return ""
    front = [chart for name, chart in drawn.items() if name in _FIRST_CHARTS]
    rest = [chart for name, chart in drawn.items() if name not in _FIRST_CHARTS]
    legend = LEGEND.format(kept="kept", dropped="dropped")
    threshold = '<p class="ol-note">Dashed lines mark the thresholds of rules.</p>'
    more = (
        f"<details><summary>{counted(len(rest), 'more measure')}</summary>"
        f'<div class="ol-charts">{"".join(rest)}</div></details>'
    )
    return (
        f"{note(sample.note)}{legend}{threshold}"
        f'<div class="ol-charts">{"".join(front)}</div>{more if rest else ""}'
    )


# --- Documents ----------------------------------------------------------------------------------


def _examples(sample: _Sample) -> str:
    frame = sample.frame
    if not len(frame):
        return ""
    by = "lang" if "lang" in frame.columns else "domain"
    kept = sample.at(_chosen(frame, by, kept=True))
    dropped = sample.at(_chosen(frame, "dropped_by", kept=False))
    return (
        note("Chosen by the hash of their identity, in turn over languages and over rules.")
        + _gallery("Kept", kept, opened=1)
        + _gallery("Dropped", dropped, opened=1)
    )


def _chosen(frame: pl.DataFrame, by: str, *, kept: bool) -> list[int]:
    """Rows of a few documents: in turn from each value of `by`, the most frequent first."""
    rows = frame.with_row_index("row").filter(pl.col("kept") == kept)
    groups: dict[str, list[tuple[str, int]]] = {}
    for doc_id, value, row in rows.select("doc_id", by, "row").iter_rows():
        key = hashlib.blake2b(doc_id.encode(), digest_size=8).hexdigest()
        groups.setdefault(value or "", []).append((key, row))
    ordered = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    queues = (sorted(entries)[:EXAMPLES] for _, entries in ordered)
    turns = chain.from_iterable(zip_longest(*queues))
    return [entry[1] for entry in turns if entry is not None][:EXAMPLES]


def _gallery(title: str, documents: list[Document], *, opened: int) -> str:
    if not documents:
        return ""
    shown = "\n".join(_example(item, opened=i < opened) for i, item in enumerate(documents))
    return f"<h3>{title}</h3>\n{shown}"


def _example(document: Document, *, opened: bool) -> str:
    title = escaped(document.values.get("title") or document.url, 120)
    lang = document.values.get("lang")
    tongue = f'<span class="ol-tongue">{escaped(lang)}</span>' if lang else ""
    body = document_html(document, max_nodes=_EXAMPLE_NODES, styled=False)
    return (
        f'<details class="ol-example"{" open" if opened else ""}><summary>'
        f'{badge(document)} <bdi class="ol-label">{title}</bdi> {tongue}</summary>'
        f"\n{body}</details>"
    )
