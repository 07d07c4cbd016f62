"""What all reports on a corpus have in common: a sample, its headline, troubles, costs, rules."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from functools import cached_property
from typing import Any

import pyarrow as pa

from pipelines.bars import share
from pipelines.corpus import Corpus
from pipelines.page import note, table
from pipelines.render import counted, escaped
from pipelines.store import ERRORS, UnitRecord, born_in
from pipelines.summary import code_version, read_records, unit_refs

_MESSAGES = 5


class Sample(Corpus):
    """At most `most` units of a corpus, spread evenly over it."""

    def __init__(self, corpus: Corpus, most: int) -> None:
        super().__init__(corpus.store, corpus.reference)
        self.whole, self._most = corpus.summary, most

    @cached_property
    def records(self) -> list[UnitRecord]:
        """Records of the sampled units, in corpus order."""
        done = set(self.store.names(self.reference["verdicts"]))
        units = [ref.unit for ref in unit_refs(self._inputs) if ref.unit in done]
        return read_records(self.store, self.reference["verdicts"], _spread(units, self._most))

    @cached_property
    def image_records(self) -> list[UnitRecord]:
        """Records of the image units that belong to the sampled units."""
        units = {record.unit for record in self.records}
        return [r for r in super().image_records if born_in(r.unit) in units]

    @property
    def note(self) -> str:
        """A sentence that says what was sampled; empty when everything was read."""
        if len(self.records) >= self.whole.units:
            return ""
        rows = sum(record.rows for record in self.records)
        noun = "pictures" if self.makes_instructions else "documents"
        return (
            f"Drawn from {rows:,} {noun} in {len(self.records)} of {self.whole.units:,} units, "
            "spread evenly over the corpus."
        )

    def errors(self) -> dict[str, Counter[str]]:
        """How often each error message was seen, by stage."""
        seen: dict[str, Counter[str]] = {}
        of_images = self.images_view.stages if self.images_view else []
        tables = [(self.records, self.stages), (self.image_records, of_images)]
        if self.makes_instructions:
            tables.append((self.instruction_records, self.instructions_view.stages))
        for record, stage in (
            (r, s) for records, stages in tables for r in records for s in stages
        ):
            entry = record.stages[stage["name"]]
            if entry.failed:
                table = self.store.read(f"{stage['folder']}/{entry.file}.parquet", [ERRORS])
                messages = (f"{e['type']}: {e['message']}" for e in _present(table[ERRORS]))
                seen.setdefault(stage["name"], Counter()).update(messages)
        return seen


def _present(values: pa.ChunkedArray) -> list[dict[str, str]]:
    return [value for value in values.to_pylist() if value is not None]


def _spread(units: list[str], most: int) -> list[str]:
    if len(units) <= most:
        return units
    return [units[index * len(units) // most] for index in range(most)]


def headline(corpus: Corpus, lead: str, figures: Iterable[tuple[str, str]]) -> str:
    """The report's head: the job, how it was made, a sentence, and figures with their names."""
    summary = corpus.summary
    made = (
        f"Recipe {escaped(corpus.reference['recipe'])} · {counted(summary.inputs, 'input')} · "
        f"{counted(summary.units, 'unit')}"
    )
    tiles = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in figures)
    return (
        f'<header><p class="ol-kind">Corpus report</p><h1>{escaped(corpus.job)}</h1>'
        f'<p class="ol-note">{made}</p><p class="ol-lead">{lead}</p></header>'
        f'<dl class="ol-tiles">{tiles}</dl>'
    )


def most_dropped(corpus: Corpus, rules: Iterable[dict[str, Any]], row: str) -> str:
    """A sentence on the rule that was the first to drop the most rows; none where none dropped."""
    counts = corpus.summary.rules
    firsts = {r["name"]: counts[r["name"]].first for r in rules if r["name"] in counts}
    if not any(firsts.values()):
        return ""
    name = max(firsts, key=lambda rule: firsts[rule])
    return (
        f" The rule <b>{escaped(name)}</b> dropped the most: {counted(firsts[name], row)} that no "
        "rule before it had dropped."
    )


# --- Rules and footer ---------------------------------------------------------------------------


def rules_table(corpus: Corpus, rules: Iterable[dict[str, Any]]) -> str:
    """Every rule with its condition and what it dropped."""
    rows = []
    for rule in rules:
        side = "keep" if rule["keeps"] else "drop"
        counts = corpus.summary.rules.get(rule["name"])
        figures = (counts.asked, counts.dropped, counts.first) if counts else (0, 0, 0)
        rows.append(
            (
                f"<b>{escaped(rule['name'])}</b>",
                escaped(rule["table"]),
                f"<code>{side}: {escaped(rule['expression'])}</code>",
                escaped(rule["stage"]),
                escaped(rule["origin"]),
                *(f"{figure:,}" for figure in figures),
            )
        )
    if not rows:
        return note("The job has no rules: every row stays that no stage failed on.")
    head = ("Rule", "Judges", "Condition", "After stage", "From", "Asked", "Dropped", "First")
    return table(head, rows, (5, 6, 7)) + note(
        "First: dropped by this rule and by none before it. Rules over nodes count nodes."
    )


def footer(corpus: Corpus, stages: Iterable[dict[str, Any]]) -> str:
    """By which operators, libraries and models all came about."""
    rows = [
        (
            escaped(stage["name"]),
            f"{escaped(stage['operator'])} {escaped(stage['version'])}",
            _pairs(stage["config"]),
            _pairs(stage["provenance"]),
        )
        for stage in stages
    ]
    head = ("Stage", "Operator and version", "Configuration", "Libraries and models")
    contents = corpus.summary.contents
    what = f" · contents {escaped(contents)}" if contents else ""
    return (
        f'<footer id="provenance"><h2>Provenance</h2>\n{table(head, rows)}'
        f'<p class="ol-note">Report by omniloom {escaped(code_version())} · '
        f"job {escaped(corpus.job)} · recipe {escaped(corpus.reference['recipe'])}{what}</p>"
        "</footer>"
    )


def _pairs(values: dict[str, Any]) -> str:
    """Names with values, one a line; a long digest is cut, and whole in its tooltip."""
    lines = []
    for name, value in values.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        digest = len(text) >= 40 and all(sign in "0123456789abcdef" for sign in text)
        shown = f"{text[:12]}…" if digest else text
        tip = f' title="{escaped(text)}"' if digest else ""
        lines.append(f"<div{tip}>{escaped(name)} {escaped(shown)}</div>")
    return "".join(lines) or "–"


# --- What went wrong, and what it cost ----------------------------------------------------------


def trouble(corpus: Corpus, sample: Sample) -> str:
    """What indexing skipped, and errors by stage with their messages."""
    skipped = sorted(corpus.summary.skipped.items(), key=lambda item: (-item[1], item[0]))
    rows = [(escaped(reason), f"{count:,}") for reason, count in skipped]
    left = table(("Reason", "Records"), rows, (1,)) if rows else note("Nothing was skipped.")
    return (
        f'<div class="ol-halves"><div><h3>Records that indexing skipped</h3>{left}</div>'
        f"<div><h3>Errors by stage</h3>{_errors(corpus, sample)}</div></div>"
    )


def _errors(corpus: Corpus, sample: Sample) -> str:
    failed = {name: stage.failed for name, stage in corpus.summary.stages.items() if stage.failed}
    if not failed:
        return note("No row ended in an error.")
    messages = sample.errors()
    rows = []
    for name, count in failed.items():
        found = messages.get(name, Counter())
        common = sorted(found.items(), key=lambda item: (-item[1], item[0]))[:_MESSAGES]
        said = "".join(
            f'<div class="ol-said">{escaped(text)} ({times:,})</div>' for text, times in common
        )
        rows.append((escaped(name), f"{count:,}", said))
    return table(("Stage", "Rows", "Messages"), rows, (1,)) + note(sample.note)


def cost(corpus: Corpus) -> str:
    """CPU time by stage."""
    stages = corpus.summary.stages
    total = sum(stage.cpu_seconds for stage in stages.values())
    rows = [
        (
            escaped(name),
            f"{stage.computed:,}",
            f"{stage.reused:,}",
            f"{stage.cpu_seconds:,.2f}",
            f"{1000 * stage.cpu_seconds / stage.computed:,.2f}" if stage.computed else "–",
            _meter(stage.cpu_seconds, total),
        )
        for name, stage in stages.items()
    ]
    if not rows:
        return ""
    head = ("Stage", "Computed", "Reused", "CPU seconds", "ms a row", "Share of CPU time")
    return table(head, rows, (1, 2, 3, 4)) + note(
        "Rows computed when their unit was last judged; values that the store held were reused."
    )


def _meter(part: float, whole: float) -> str:
    width = share(part, whole)
    return (
        f'<span class="ol-share"><svg class="ol-meter" width="100%" height="10" role="img" '
        f'aria-label="{width:.0f}%">'
        f'<rect class="ol-fill-back" width="100%" height="10"/>'
        f'<rect class="ol-fill-kept" width="{width:.1f}%" height="10"/></svg> {width:.0f}%</span>'
    )


def silent_rules(rows: list[dict[str, Any]]) -> str:
    """The rows of a funnel that dropped nothing, folded."""
    if not rows:
        return ""
    items = "".join(
        f"<li><b>{escaped(row['rule'])}</b> <span>{escaped(row['condition'])}</span></li>"
        for row in rows
    )
    return (
        f'<details class="ol-silent"><summary>{counted(len(rows), "rule")} dropped nothing'
        f"</summary><ul>{items}</ul></details>"
    )


CSS = """
.ol-silent { font-size: 0.85rem; }
.ol-silent ul { columns: 22rem; column-gap: 2rem; padding-inline-start: 1.1rem; margin: 0.6rem 0; }
.ol-silent span { color: var(--ol-soft); overflow-wrap: anywhere; }
.ol-grid code, .ol-said { display: block; min-width: 15rem; overflow-wrap: anywhere; }
.ol-grid code { font: 0.92em/1.45 ui-monospace, "SFMono-Regular", Menlo, Consolas, monospace; }
.ol-share { display: flex; align-items: center; gap: 0.5rem; white-space: nowrap; }
.ol-share .ol-meter { width: 7rem; }
.ol-page .ol-example { margin: 0; border-bottom: 1px solid var(--ol-line); }
.ol-page .ol-example > summary { padding: 0.5rem 0; color: inherit; overflow-wrap: anywhere; }
.ol-example .ol-body { max-height: 46rem; overflow-y: auto; }
.ol-label { margin-inline: 0.3rem; }
.ol-tongue { color: var(--ol-soft); font-size: 0.82rem; }
@media (max-width: 40rem) { .ol-roomy { display: none; } }
@media print { .ol-example .ol-body { max-height: none; } }
"""
