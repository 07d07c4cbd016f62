"""What people want to know of a finished corpus of instructions: rows to review, what it cost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import astuple
from typing import Any

from operators.asking import Asks
from operators.chat_cache import spent
from operators.chat_price import Usage
from operators.coverage import READS, Coverage, measure_coverage
from operators.review_outcome import ReviewOutcome
from operators.rules import LEVELS, Expression, parse
from pipelines.corpus import Corpus
from pipelines.jobfile import JobFile
from pipelines.plan import compile_plan
from pipelines.review_queue import ReviewItem, VerdictFact, review_item
from schemas.columns import USAGE, column
from schemas.errors import CorpusError

_REVIEWED = "review_"
"""Rules that ask for such columns speak of what reviewers said already."""
_SHOWN = (
    *("instruction_id", "instruction_kind", "instruction_domain", "instruction_lang"),
    *("turns", "options", "answer_prompt", "image_url"),
    *("caption_en", "caption_zh", "image_caption", "image_alt", "image_text", "page_title"),
)


def review_items(corpus: Corpus) -> Iterator[ReviewItem]:
    """The instructions that all rules keep but for those about reviews, in corpus order.

    Raises:
        CorpusError: the job makes no instructions.
    """
    view = corpus.instructions_view
    rules = [rule for rule in view.rules if rule["table"] == view.table.name]
    conditions = {r["name"]: parse(r["expression"], LEVELS["instructions"]) for r in rules}
    about_reviews = {
        name for name, said in conditions.items() if any(map(_is_review, said.columns))
    }
    known = {*view.columns, *corpus.columns}
    asked = {name for said in conditions.values() for name in said.columns}
    names = [name for name in dict.fromkeys([*_SHOWN, *sorted(asked)]) if name in known]
    for record in corpus.instruction_records:
        frame = corpus.instructions_of(record, names)
        verdicts = view.verdicts(record).to_pylist()
        for row, verdict in zip(frame.iter_rows(named=True), verdicts, strict=True):
            if verdict["dropped_by"] is None or verdict["dropped_by"] in about_reviews:
                yield _item(corpus, row, verdict, conditions)


def _is_review(name: str) -> bool:
    return name.startswith(_REVIEWED)


def _item(
    corpus: Corpus, row: dict[str, Any], verdict: dict[str, Any], rules: dict[str, Expression]
) -> ReviewItem:
    facts = [
        VerdictFact(name, bool(verdict[f"rule.{name}"]), _values(row, said))
        for name, said in rules.items()
        if verdict.get(f"rule.{name}") is not None and not any(map(_is_review, said.columns))
    ]
    return review_item(row, lambda: corpus.image(row["image_url"]), facts)


def _values(row: dict[str, Any], rule: Expression) -> str:
    """The measured values that a rule looks at, as words."""
    shown = ((name, row[name]) for name in sorted(rule.columns))
    return ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in shown
        if not isinstance(value, list)
    )


def coverage(corpus: Corpus) -> Coverage:
    """What the accepted instructions cover, and how their answers are spread."""
    frames = (corpus.instructions_of(r, READS.names) for r in corpus.instruction_records)
    return measure_coverage(frame.filter("kept").select(READS.names).to_arrow() for frame in frames)


def usage_by_picture(corpus: Corpus) -> list[dict[str, Usage]]:
    """What asking models took, by stage, for each picture that one was asked about.

    What a picture's instructions took counts with it. Requests that were answered from the cache
    count with what they took when they were asked.
    """
    view, born = corpus.instructions_view, corpus.columns[0]
    outer, inner = _usages(corpus.stages), _usages(view.stages)
    found: dict[str, dict[str, Usage]] = {}
    for usages, frame in (
        (outer, corpus.documents(born, *outer.values())),
        (inner, corpus.instructions(born, *inner.values())),
    ):
        for row in frame.iter_rows(named=True):
            for stage, name in usages.items():
                if row[name] is not None:
                    empty = dict.fromkeys([*outer, *inner], Usage(0, 0, 0))
                    picture = found.setdefault(row[born], empty)
                    picture[stage] = add_usage([picture[stage], _usage(row[name])])
    return list(found.values())


def usage_by_stage(corpus: Corpus) -> dict[str, dict[str, float]]:
    """What asking models took, by stage: the sums of the fields of `schemas.columns.USAGE`."""
    view, fields = corpus.instructions_view, [field.name for field in USAGE]
    outer, inner = _usages(corpus.stages), _usages(view.stages)
    found = {}
    for usages, frame in (
        (outer, corpus.documents(corpus.columns[0], *outer.values())),
        (inner, corpus.instructions("instruction_id", *inner.values())),
    ):
        for stage, name in usages.items():
            rows = [row for row in frame[name].to_list() if row is not None]
            found[stage] = {field: sum(row[field] for row in rows) for field in fields}
    return found


def billed(jobfile: JobFile) -> dict[str, float]:
    """What was paid for a job's answers, by stage, all runs together; repairs apart.

    From the ledger of the folder that keeps the answers: an answer that several rows share is in it
    once, and so is what an edited prompt has replaced.
    """
    operators = [stage.operator for stage in compile_plan(jobfile).every_stage]
    folders = {
        operator.model.cache or operator.replies
        for operator in operators
        if isinstance(operator, Asks)
    }
    found: dict[str, float] = {}
    for folder in sorted(filter(None, folders)):
        for item in spent(folder):
            found[item.tag] = found.get(item.tag, 0.0) + item.usd
    return found


def usd_by_stage(corpus: Corpus) -> dict[str, float]:
    """What asking models cost, by stage."""
    found = usage_by_picture(corpus)
    return {name: sum(row[name].usd for row in found) for name in (found[0] if found else {})}


def review_folder(jobfile: JobFile) -> str:
    """Where the decisions of a job's reviewers are."""
    plan = compile_plan(jobfile)
    operators = (stage.operator for stage in plan.every_stage)
    found = next((one for one in operators if isinstance(one, ReviewOutcome)), None)
    if found is None:
        raise CorpusError(f"job '{jobfile.name}' makes no instructions to review")
    return found.folder


def add_usage(parts: Iterable[Usage]) -> Usage:
    """What several things took together."""
    return Usage(*(sum(values) for values in zip(*map(astuple, parts), strict=True)))


def _usage(row: dict[str, Any]) -> Usage:
    return Usage(row["prompt_tokens"], row["completion_tokens"], row["usd"])


def _usages(stages: list[dict[str, Any]]) -> dict[str, str]:
    """The stages that ask models, each with the column that tells what that took."""
    return {
        stage["name"]: name
        for stage in stages
        for name in stage["columns"]
        if column(name).type == USAGE
    }
