"""What the command line prints: funnels, plans, verdicts, operators."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from operators.base import Operator
from operators.export import FORMATS
from operators.registry import OPERATORS, SOURCES
from operators.rules import Rule
from pipelines.contamination import contaminated_benchmarks, contaminated_items
from pipelines.corpus import Corpus, Document
from pipelines.engine import RunResult
from pipelines.estimate import Estimate, StageEstimate
from pipelines.evaluate import CPU_RATIO, F1, Evaluation, Figures, Measure
from pipelines.plan import RECIPES, RULE_FRAGMENTS, Plan, read_fragment
from pipelines.price import Misses, Price
from pipelines.rows import JudgedRow, Verdict
from pipelines.store import RuleRecord
from pipelines.summary import BORN, Summary
from schemas.errors import CorpusError, did_you_mean
from schemas.tables import PICTURES

_MOST_ITEMS = 20


def console() -> Console:
    """Standard output; as wide as its lines need where it is not a terminal."""
    plain = Console(highlight=False)
    return plain if plain.is_terminal else Console(highlight=False, width=160)


def safe(text: str) -> str:
    """Foreign text for the terminal: no markup, no control characters."""
    plain = "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text)
    return escape(plain)


def rows_of(plan: Plan) -> str:
    """What the rows of a job are called."""
    return "pictures" if plan.table == PICTURES else plan.table.name


def funnel_rows(plan: Plan, summary: Summary) -> list[tuple[str, str, str, int, int]]:
    """Rows of the funnel: stage, rule, condition, rows dropped first, rows left.

    Rows are images where a stage is over these, else documents. Rules that dropped nothing are
    left out.
    """
    found: dict[tuple[str, str], list[tuple[str, str, str, int, int]]] = {}
    tables = [(plan, summary.documents)]
    tables += [(plan.inner, summary.images)] if plan.inner else []
    for table, left in tables:
        for index in range(-1, len(table.stages)):
            name = table.stages[index].name if index >= 0 else BORN
            failed = summary.stages[name].failed if name in summary.stages else 0
            rows = found[table.table.name, name] = []
            if failed:
                left -= failed
                rows.append((name, "(error)", "row failed; see omniloom explain", failed, left))
            for rule in table.rules_after(index):
                counts = summary.rules.get(rule.name, RuleRecord())
                dropped = 0 if rule.table == "nodes" else counts.first
                left -= dropped
                if counts.first:
                    text = _condition(rule, counts, alone=plan.table == PICTURES)
                    rows.append((name, rule.name, text, dropped, left))
    names = [(plan.table.name, BORN)]
    names += [(plan.table_of(stage.name), stage.name) for stage in plan.every_stage]
    return [row for name in names for row in found[name]]


def _condition(rule: Rule, counts: RuleRecord, *, alone: bool) -> str:
    """A rule's condition, and what it judges where other rows stand in the same table."""
    if rule.table == "nodes":
        return f"{counts.first} of {counts.asked} nodes: {rule.text}"
    return rule.text if alone or rule.table == "documents" else f"{rule.table}: {rule.text}"


_BESIDE_CONDITION = 60  # columns of the terminal


def print_funnel(result: RunResult, *, stage: str | None) -> None:
    """The funnel of a run, rules that dropped nothing summed up, and what the run computed."""
    plan, summary, out = result.plan, result.summary, console()
    rows, noun = funnel_rows(plan, summary), rows_of(plan)
    out.print(f"{safe(plan.jobfile.name)}: {summary.documents} {noun} from {summary.inputs} inputs")
    inner = plan.inner
    if noun == plan.table.name or inner is None:
        out.print(_funnel_table(out, rows))
    else:  # what comes of the rows has a funnel of its own
        own = [row for row in rows if plan.table_of(row[0]) == plan.table.name]
        out.print(_funnel_table(out, own))
        if not stage:
            born = [row for row in rows if row not in own]
            about = f"{summary.kept} {noun} that were kept"
            out.print(f"\n{summary.images} {inner.table.name} about the {about}")
            out.print(_funnel_table(out, born))
    idle = len(plan.every_rule) - sum(counts.first > 0 for counts in summary.rules.values())
    if idle:
        out.print(f"{idle} more rules dropped nothing; see the report")
    if summary.skipped:
        skipped = ", ".join(f"{count} {reason}" for reason, count in summary.skipped.items())
        out.print(safe(f"skipped   {sum(summary.skipped.values())} records: {skipped}"))
    _print_work(result)
    if stage:
        out.print(f"stage '{stage}' is up to date; no verdicts and no export were made")
    else:
        share = summary.kept / summary.documents if summary.documents else 0
        if plan.inner is not None and plan.joined is not None:
            out.print(f"images    {summary.images_kept} of {summary.images} addresses kept")
        out.print(f"kept      {summary.kept} of {summary.documents} {noun} ({share:.0%})")
        if inner is not None and plan.joined is None:
            kept, of = summary.images_kept, summary.images
            out.print(f"accepted  {kept} of {of} {inner.table.name} ({kept / max(of, 1):.0%})")


def _funnel_table(out: Console, rows: Iterable[tuple[str, str, str, int, int]]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("stage", "rule"):
        table.add_column(name, no_wrap=True)
    # The rest of the line; a condition is whole in the report and in `omniloom explain`.
    room = max(out.width - _BESIDE_CONDITION, 20)
    table.add_column("condition", no_wrap=True, overflow="ellipsis", max_width=room)
    table.add_column("dropped", justify="right")
    table.add_column("left", justify="right")
    for row_stage, rule, condition, dropped, left in rows:
        table.add_row(row_stage, safe(rule), safe(condition), str(dropped or ""), str(left))
    return table


def _print_work(result: RunResult) -> None:
    out = console()
    if not result.work.units:
        out.print(f"computed  nothing: all is up to date ({result.seconds:.2f} s)")
        return
    parts = [
        f"{name} {work.computed} rows"
        + (f" ({work.cpu_seconds:.1f} CPU s)" if work.computed else "")
        for name, work in result.work.stages.items()
    ]
    out.print(f"computed  {', '.join(parts)}; {result.work.units} units, {result.seconds:.1f} s")


def print_estimate(found: Estimate) -> None:
    """A plan: stages with contract, reuse and cost; then warnings."""
    out, plan = console(), found.plan
    about = "" if found.exact else "about "
    out.print(
        f"{plan.jobfile.name}: recipe '{plan.recipe.name}', {len(plan.inputs)} inputs, "
        f"{about}{found.documents:,} {rows_of(plan)} in {about}{found.units:,} units; "
        f"{found.units_done} units are done"
    )
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("stage", "operator", "reads", "writes", "rules"):
        table.add_column(name, overflow="fold")
    of = "picture" if plan.table == PICTURES else "doc"
    for name in ("reuse", "compute", f"ms/{of}", "CPU s"):
        table.add_column(name, justify="right")
    for stage in found.stages:
        table.add_row(
            stage.name,
            stage.operator,
            ", ".join(stage.reads),
            _listed(stage.writes),
            safe(_listed(stage.rules)),
            f"{stage.units_stored}",
            f"{stage.units_to_compute}",
            _cost_of(stage),
            "-" if stage.seconds is None else f"{stage.seconds:,.0f}",
        )
    out.print(table)
    if found.sampled:
        total = sum(stage.seconds or 0 for stage in found.stages)
        out.print(
            f"about {total / found.workers:,.0f} s with {found.workers} workers, "
            f"measured on {found.sampled} {rows_of(plan)}, if no rule drops any"
        )
    for warning in found.warnings:
        out.print(f"[yellow]warning[/yellow] {safe(warning)}")


def _cost_of(stage: StageEstimate) -> str:
    if stage.asks is not None:
        return f"asks {safe(stage.asks)}"
    return "-" if stage.ms_per_document is None else f"{stage.ms_per_document:.2f}"


def _listed(names: list[str], most: int = 5) -> str:
    more = f", … {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def print_document(document: Document) -> None:
    """Everything decided about a document: one line a rule."""
    out = console()
    outcome = "kept" if document.kept else safe(f"dropped by {document.dropped_by}")
    out.print(f"[bold]{safe(document.url)}[/bold]\n{document.doc_id}   {outcome}")
    for name in ("source_file", "source_offset", "capture_date", "lang", "word_count"):
        if document.values.get(name) is not None:
            out.print(f"  {name:<14} {safe(str(document.values[name]))}")
    print_errors(document)
    out.print(verdict_table(document))


def verdict_table(row: JudgedRow) -> Table:
    """What every rule said of a row, a line each."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("stage", "rule", "verdict", "value (threshold)", "condition"):
        table.add_column(name, overflow="fold")
    for verdict in row.verdicts:
        shown = _verdict_cells(verdict, first=verdict.rule == row.dropped_by)
        table.add_row(verdict.stage, safe(verdict.rule), *shown)
    return table


def print_errors(row: JudgedRow) -> None:
    """The stages that failed on a row."""
    for stage, message in row.errors.items():
        console().print(f"  [red]error[/red] in stage {stage}: {safe(message)}")


def _verdict_cells(verdict: Verdict, *, first: bool) -> tuple[str, str, str]:
    if verdict.table == "nodes":
        dropped = f"{len(verdict.nodes_dropped)} nodes" if verdict.nodes_dropped else "pass"
        answer = "not asked" if verdict.passed is None else dropped
        positions = ", ".join(map(str, verdict.nodes_dropped[:10]))
        return answer, f"nodes {positions}" if positions else "", safe(verdict.text)
    answers = {True: "pass", False: "[red]DROP[/red]" if first else "drop", None: "not asked"}
    return answers[verdict.passed], safe(verdict.thresholds), safe(verdict.text)


def print_operators() -> None:
    """All operators, sources, recipes, rule fragments and formats, a line each."""
    rows = [("source", name, _first_line(kind)) for name, kind in SOURCES.items()]
    rows += [("operator", name, _first_line(kind)) for name, kind in OPERATORS.items()]
    rows += [("recipe", name, recipe.meaning) for name, recipe in RECIPES.items()]
    for path in sorted(RULE_FRAGMENTS.glob("*.yaml")):
        rows.append(("rules", path.stem, f"{len(read_fragment(path.stem))} rules"))
    rows += [("format", name, kind.meaning) for name, kind in FORMATS.items()]
    table = Table("kind", "name", "what it is", box=None, padding=(0, 2, 0, 0))
    for row in rows:
        table.add_row(*map(escape, row))
    console().print(table)


def print_formats() -> None:
    """All export formats: who reads them, and what an export may choose, defaults first."""
    table = Table(
        "format", "what it is", "read by", "images", "order", "variant", box=None,
        padding=(0, 2, 0, 0),
    )  # fmt: skip
    for name, kind in FORMATS.items():
        choices = (" ".join(found) for found in (kind.images, kind.orders, kind.variants))
        table.add_row(*map(escape, (name, kind.meaning, kind.consumer, *choices)))
    console().print(table)


def _first_line(kind: type[Any]) -> str:
    return (kind.__doc__ or "").strip().split("\n")[0]


def print_operator(name: str) -> None:
    """One operator, source or rule fragment in full.

    Raises:
        CorpusError: there is nothing of that name.
    """
    out = console()
    fragments = {path.stem for path in RULE_FRAGMENTS.glob("*.yaml")}
    if name in fragments:
        out.print(safe((RULE_FRAGMENTS / f"{name}.yaml").read_text(encoding="utf-8").rstrip()))
        return
    kind = OPERATORS.get(name) or SOURCES.get(name)
    if kind is None:
        known = [*OPERATORS, *SOURCES, *fragments]
        raise CorpusError(f"no operator '{name}'; {did_you_mean(name, known)}")
    out.print(f"[bold]{name}[/bold] version {kind.version}\n{safe((kind.__doc__ or '').strip())}")
    if issubclass(kind, Operator):
        out.print(f"reads   {', '.join(kind.reads.names)}")
        out.print(f"writes  {', '.join(kind.writes.names)}")
    table = Table("field", "type", "default", "meaning", box=None, padding=(0, 2, 0, 0))
    for field_name, field in kind.model_fields.items():
        default = "required" if field.is_required() else repr(field.default)
        kind_name = getattr(field.annotation, "__name__", str(field.annotation))
        table.add_row(field_name, kind_name, safe(default), safe(field.description or ""))
    if kind.model_fields:
        out.print(table)


# What a narrow terminal does without, first things first; the report has it all.
_SPARED = (
    "structure_right",
    "errors",
    "image_order",
    "bare",
    "f1_4gram",
    "precision",
    "recall",
    "snippet_f1",
)
_NAME_WIDTH, _FIGURE_WIDTH = 24, 8
_LEAST_TEXTS, _MOST_GROUPS = 5, 12


def print_evaluation(found: Evaluation) -> None:
    """Each set with a line an extractor, languages and page types, and the means last."""
    out = console()
    measures = _fitting(found.measures, out.width)
    out.print(_figures_table(found, found.sets, measures))
    for title, groups in (("language", found.languages), ("page type", found.page_types)):
        if any(groups.values()):
            out.print("", _f1_table(found, title, groups))
    if len(found.sets) > 1:
        out.print("", _figures_table(found, {"mean of sets": found.totals}, [*measures, CPU_RATIO]))
    for name in found.names:
        for message, count in list(found.errors(name).items())[:3]:
            out.print(f"[red]error[/red]     {safe(name)}, {count} times: {safe(message[:200])}")
    out.print("* best of the extractors; F1 by language and page type is a mean over pages")


def _fitting(measures: list[Measure], width: int) -> list[Measure]:
    fitting = list(measures)
    for name in _SPARED:
        if _NAME_WIDTH + _FIGURE_WIDTH * (len(fitting) + 1) > width:
            fitting = [measure for measure in fitting if measure.name != name]
    return fitting


def _figures_table(
    found: Evaluation, rows: dict[str, dict[str, Figures]], measures: list[Measure]
) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column("set", min_width=_NAME_WIDTH - 1, no_wrap=True)
    for measure in measures:
        table.add_column(f"{measure.label} ", justify="right", no_wrap=True)
    for label, row in rows.items():
        table.add_row(f"[bold]{safe(label)}[/bold], {row[found.own]['pages']:,} pages")
        best = [found.best(row, measure) for measure in measures]
        for name in found.names:
            cells = (
                _marked(measure.text(row[name].get(measure.name)), name in names)
                for measure, names in zip(measures, best, strict=True)
            )
            table.add_row(f"  {_named(found, name)}", *cells)
    return table


def _f1_table(found: Evaluation, title: str, groups: dict[str, dict[str, Figures]]) -> Table:
    """F1 by a property of pages: the groups with most pages that have a gold text."""
    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column(f"F1 by {title}", min_width=_NAME_WIDTH - 1, no_wrap=True)
    table.add_column("pages ", justify="right")
    for name in found.names:
        label = _named(found, name).replace("-", "-\n")
        table.add_column(f"{label} ", justify="right", overflow="fold")
    texts = {label: row[found.own]["texts"] or 0 for label, row in groups.items()}
    top = sorted(groups, key=lambda label: (-texts[label], label))[:_MOST_GROUPS]
    for label in (label for label in top if texts[label] >= _LEAST_TEXTS):
        best = found.best(groups[label], F1)
        cells = (
            _marked(F1.text(figures["f1"]), name in best) for name, figures in groups[label].items()
        )
        table.add_row(f"  {safe(label)}", f"{texts[label]:,.0f} ", *cells)
    return table


def _named(found: Evaluation, name: str) -> str:
    return f"[bold cyan]{safe(name)}[/bold cyan]" if name == found.own else safe(name)


def _marked(text: str, best: bool) -> str:
    return f"[bold]{text}*[/bold]" if best else f"{text} "


def print_contamination(corpus: Corpus) -> None:
    """Each benchmark with its documents, and the items that most documents hold."""
    out = console()
    benchmarks, items = contaminated_benchmarks(corpus), contaminated_items(corpus)
    table = Table(box=None, padding=(0, 1, 0, 0))
    for name in benchmarks.columns:
        table.add_column(name, justify="left" if name == "benchmark" else "right")
    for name, documents, kept in benchmarks.rows():
        table.add_row(safe(name), f"{documents:,}", f"{kept:,}")
    out.print(table)
    for name, row, documents, kept in items.head(_MOST_ITEMS).rows():
        out.print(f"{safe(name)}:{row} in {documents:,} documents, {kept:,} of them kept")
    if len(items) > _MOST_ITEMS:
        out.print(f"… and {len(items) - _MOST_ITEMS:,} more items")


def print_price(found: Price) -> None:
    """What a pilot tells of the whole: by stage, then together."""
    out = console()
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("stage", "USD", "90 %", "prompt tokens", "answer tokens"):
        table.add_column(name, justify="left" if name == "stage" else "right", no_wrap=True)
    for name, cast in (*found.stages.items(), ("all", found.total)):
        usd, tokens = cast.usd, (cast.prompt_tokens.mean, cast.completion_tokens.mean)
        band = f"{usd.low:,.2f} to {usd.high:,.2f}"
        table.add_row(name, f"{usd.mean:,.2f}", band, *(f"{count:,.0f}" for count in tokens))
    out.print(f"{found.total.rows} pictures, told from {found.total.pilot_rows} of them")
    out.print(table)
    if found.usd_per_row is not None:
        out.print(
            f"{found.accepted} instructions of the pilot were accepted: "
            f"{found.usd_per_row:,.5f} USD each"
        )


def print_misses(found: Iterable[Misses]) -> None:
    """What stages would ask, and in what it differs from what is kept."""
    out = console()
    for stage in found:
        out.print(
            f"{stage.stage}: {stage.kept} answers are kept, {stage.missed} would be asked for"
        )
        for parts, count in stage.differs.most_common():
            out.print(f"    {count} differ in {', '.join(parts) or 'all: nothing like it is kept'}")
        if stage.example is not None and stage.example.diff:
            out.print(safe("\n".join(f"    {line}" for line in stage.example.diff.splitlines())))
