"""What people see of an evaluation of rules: a table in the terminal, an HTML page, JSON."""

from __future__ import annotations

import json

from rich.table import Table

from pipelines.evaluate_rules import RuleEvaluation, RuleFigures, Share
from pipelines.page import note, page, section, table, write
from pipelines.render import counted, escaped
from pipelines.summary import code_version
from pipelines.tables import console, safe

_HEAD = ("rule", "judged", "hits", "good", "wrong", "95 %", "labelled", "missed")


def print_rules(found: RuleEvaluation) -> None:
    """A table a fragment and level, with what all its rules do together as the last line."""
    out = console()
    for total in found.totals:
        grid = Table(box=None, padding=(0, 2, 0, 0))
        for name in _HEAD:
            head = f"{total.fragment}: {total.table}" if name == "rule" else name
            grid.add_column(head, justify="left" if name == "rule" else "right", no_wrap=True)
        for figures in _rows(found, total):
            grid.add_row(*map(safe, _cells(figures)))
        grid.add_row(*(f"[bold]{safe(cell)}[/bold]" for cell in _cells(total)))
        out.print(grid, "")
    out.print(f"{counted(found.documents, 'document')} of {safe(found.sample)}")


def write_rules_json(found: RuleEvaluation, path: str) -> str:
    """Write all figures as JSON and return the path."""
    return write(path, json.dumps(found.to_json(), ensure_ascii=False, indent=1) + "\n")


def write_rules_report(found: RuleEvaluation, path: str) -> str:
    """Write the report, one HTML file without script, and return its path."""
    return write(path, rules_html(found))


def rules_html(found: RuleEvaluation) -> str:
    """The whole report as one HTML page."""
    made = f"{counted(found.documents, 'labelled document')} · {escaped(found.sample, 200)}"
    head = (
        f'<header><p class="ol-kind">Rules report</p><h1>Rules on a labelled sample</h1>'
        f'<p class="ol-note">{made}</p></header>'
    )
    parts = [head]
    for number, total in enumerate(found.totals):
        rows = [_html_cells(figures) for figures in (*_rows(found, total), total)]
        title = escaped(f"{total.fragment}: {total.table}")
        body = table((*(name.capitalize() for name in _HEAD), "Condition"), rows, range(1, 8))
        parts.append(section(f"part{number}", title, body))
    parts.append(
        note(
            "Hits: dropped, of the labelled rows that the rule judges. Wrong: dropped, of the "
            "good, with the 95 % interval of Wilson. Missed: left, of those labelled with the "
            "rule’s category; of ‘all’: of all boilerplate. "
            f"Report by omniloom {escaped(code_version())}"
        )
    )
    return page("Rules report", "\n".join(parts))


def _rows(found: RuleEvaluation, total: RuleFigures) -> list[RuleFigures]:
    own = (total.fragment, total.table)
    return [figures for figures in found.figures if (figures.fragment, figures.table) == own]


def _cells(figures: RuleFigures) -> tuple[str, ...]:
    interval = figures.false_positives.interval
    return (
        figures.rule,
        f"{figures.hits.of:,}",
        _percent(figures.hits),
        f"{figures.false_positives.of:,}",
        _percent(figures.false_positives),
        f"{interval[0]:.1%}-{interval[1]:.1%}" if interval else "-",
        f"{figures.misses.of:,}",
        _percent(figures.misses),
    )


def _html_cells(figures: RuleFigures) -> tuple[str, ...]:
    cells = [escaped(cell) for cell in _cells(figures)]
    return (*cells, f"<code>{escaped(figures.condition, 400)}</code>" if figures.condition else "")


def _percent(share: Share) -> str:
    return "-" if share.rate is None else f"{share.rate:.1%}"
