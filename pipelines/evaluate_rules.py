"""Rules against a labelled sample: how often each drops what is good, and misses what it is for.

    found = evaluate_rules(["omnicorpus-en"])
    found.figures[0].false_positives

A sample is documents whose nodes, and which themselves, people labelled good or boilerplate, the
latter with a category. A rule answers for the category that its name ends with: `en_byline` for
`byline`. The columns that rules read are measured by the product's own operators, except for the
language, which is the sample's.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from operators.files import Files
from operators.registry import OPERATORS
from operators.rules import Rule, parse_rule
from pipelines.jobfile import problems_of
from pipelines.plan import RULE_FRAGMENTS, read_fragment
from pipelines.progress import Progress
from schemas import columns
from schemas.errors import InputError, Problem, SampleError, did_you_mean

SAMPLE = RULE_FRAGMENTS / "omnicorpus-sample.jsonl"
FRAGMENTS = ("omnicorpus-en", "omnicorpus-zh")
Label = Literal["good", "boilerplate"]
_STRICT = ConfigDict(extra="forbid", strict=True)
_Z = 1.96  # of a 95 % interval


class _Labelled(BaseModel):
    """What nodes and documents of a sample have in common."""

    label: Label | None = Field(None, description="'good', 'boilerplate', or none: not judged")
    category: str | None = Field(
        None, description="why it is boilerplate: what a rule's name ends with"
    )

    @model_validator(mode="after")
    def _reason(self) -> _Labelled:
        if self.category is not None and self.label != "boilerplate":
            raise ValueError("only boilerplate has a category; leave out one of the two")
        return self


class SampleNode(_Labelled):
    """A node of a labelled document: a text, or an image's address."""

    model_config = _STRICT

    kind: Literal[columns.NODE_KINDS] = Field(description="what it is: text, heading, image, …")  # type: ignore[valid-type]
    text: str | None = Field(None, description="its text; none for an image")
    image_url: str | None = Field(None, description="an image's address")
    level: int | None = Field(None, ge=1, le=6, description="a heading's level")

    @model_validator(mode="after")
    def _whole(self) -> SampleNode:
        if (self.kind == "image") == (self.text is not None):
            raise ValueError("an image has no text, and every other kind has one")
        if self.kind == "image" and self.label is not None:
            raise ValueError("rules judge no images: leave out the label")
        return self


class SampleDocument(_Labelled):
    """A labelled document: its nodes in reading order, its language, where it comes from."""

    model_config = _STRICT

    id: str = Field(description="a name of the document")
    lang: str = Field(description="its language, such as en or zh")
    origin: str | None = Field(None, description="where it comes from")
    licence: str | None = Field(None, description="under which licence")
    nodes: list[SampleNode] = Field(description="its nodes in reading order")


def read_sample(path: str) -> list[SampleDocument]:
    """The documents of a sample: JSON lines, or Parquet (`.parquet`) with the same fields.

    Raises:
        InputError: the file cannot be read, or holds no document.
        SampleError: rows are not as they should be.
    """
    documents: list[SampleDocument] = []
    problems: list[Problem] = []
    for number, row in enumerate(_rows(path), start=1):
        if isinstance(row, Problem):
            problems.append(row)
            continue
        try:
            documents.append(SampleDocument.model_validate(row))
        except ValidationError as error:
            problems += problems_of(error, SampleDocument, path, {(): number})
    if problems:
        raise SampleError(problems)
    if not documents:
        raise InputError(f"{path}: no document\n    fix: give a document a line")
    return documents


def _rows(path: str) -> Iterator[dict[str, Any] | Problem]:
    folder, _, name = path.rpartition("/")
    try:
        data = Files(folder or ("/" if path.startswith("/") else ".")).read(name)
        if name.endswith(".parquet"):
            for row in pq.read_table(pa.BufferReader(data)).to_pylist():
                yield _without_nulls(row)
            return
    except (OSError, pa.ArrowInvalid) as error:
        fix = "name a file of JSON lines, or a .parquet file"
        raise InputError(f"{path}: cannot be read: {error}\n    fix: {fix}") from None
    for number, line in enumerate(data.splitlines(), start=1):
        try:
            yield json.loads(line)
        except ValueError as error:
            fix = "write one JSON object a line, in UTF-8"
            yield Problem("document", f"not JSON: {error}", fix, None, path, number)


def _without_nulls(row: Any) -> Any:
    """Parquet has every field in every row: a null is one that is not there."""
    if isinstance(row, dict):
        return {name: _without_nulls(value) for name, value in row.items() if value is not None}
    return [_without_nulls(item) for item in row] if isinstance(row, list) else row


# --- Figures ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Share:
    """How many of how many, with the 95 % interval of the share (Wilson 1927)."""

    count: int
    of: int

    @property
    def rate(self) -> float | None:
        """The share; None of nothing."""
        return self.count / self.of if self.of else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Between which shares the true one lies with 95 % confidence."""
        if self.rate is None:
            return None
        n, z2 = self.of, _Z * _Z
        middle = (self.rate + z2 / (2 * n)) / (1 + z2 / n)
        half = _Z * math.sqrt(self.rate * (1 - self.rate) / n + z2 / (4 * n * n)) / (1 + z2 / n)
        return max(middle - half, 0.0), min(middle + half, 1.0)

    def to_json(self) -> dict[str, Any]:
        """Count, whole, share and interval."""
        return {"count": self.count, "of": self.of, "rate": self.rate, "interval": self.interval}


@dataclass(frozen=True)
class RuleFigures:
    """What one rule did on the sample; a fragment's total has the rule `all`."""

    fragment: str
    rule: str
    table: str
    condition: str
    category: str | None
    hits: Share
    """Dropped, of all that it judged: the labelled rows of the languages it speaks of."""
    false_positives: Share
    """Dropped, of the good."""
    misses: Share
    """Not dropped, of those labelled with its category; of a total: of all boilerplate."""

    def to_json(self) -> dict[str, Any]:
        """All of it for machines."""
        shares = {name: getattr(self, name) for name in ("hits", "false_positives", "misses")}
        return asdict(self) | {name: share.to_json() for name, share in shares.items()}


@dataclass(frozen=True)
class RuleEvaluation:
    """What came out of an evaluation: a line a rule, and totals by fragment and table."""

    sample: str
    documents: int
    figures: list[RuleFigures]
    totals: list[RuleFigures]

    def above(self, most: float) -> list[RuleFigures]:
        """The rules whose share of false positives is above `most`."""
        return [figures for figures in self.figures if (figures.false_positives.rate or 0) > most]

    def to_json(self) -> dict[str, Any]:
        """All of it for machines."""
        return {
            "sample": self.sample,
            "documents": self.documents,
            "rules": [figures.to_json() for figures in self.figures],
            "totals": [figures.to_json() for figures in self.totals],
        }


def evaluate_rules(
    fragments: Sequence[str] = (), sample: str | None = None, progress: Progress | None = None
) -> RuleEvaluation:
    """Ask the rules of fragments about every labelled row of their languages.

    Raises:
        InputError: there is no such fragment or file, or a rule reads what no operator measures.
        SampleError: the sample's rows are not as they should be.
    """
    path = sample or str(SAMPLE)
    rules = {name: _fragment(name) for name in fragments or FRAGMENTS}
    documents = read_sample(path)
    needed = {c for found in rules.values() for rule in found for c in rule.expression.columns}
    with (progress or Progress()).phase("measure", len(documents), "documents") as phase:
        table = _measured(documents, needed)
        phase.advance(len(documents))
    frames = {
        "documents": _document_frame(table, documents),
        "nodes": _node_frame(table, documents),
    }
    figures: list[RuleFigures] = []
    totals: list[RuleFigures] = []
    for name, found in rules.items():
        for level in ("documents", "nodes"):
            asked = [rule for rule in found if rule.table == level]
            if asked:
                own, total = _judged(name, asked, frames[level])
                figures += own
                totals.append(total)
    return RuleEvaluation(path, len(documents), figures, totals)


def _fragment(name: str) -> list[Rule]:
    known = [path.stem for path in RULE_FRAGMENTS.glob("*.yaml")]
    if name not in known:
        raise InputError(f"no rule fragment '{name}'; {did_you_mean(name, known)}")
    return [
        parse_rule(rule, spec.table, spec.keep, spec.drop, name)
        for rule, spec in read_fragment(name).items()
    ]


def _measured(documents: Sequence[SampleDocument], needed: set[str]) -> pa.Table:
    """The documents with the columns that rules need, measured by the operators that write them."""
    nodes = [
        [
            node.model_dump(exclude={"label", "category"}) | {"dom_index": at}
            for at, node in enumerate(document.nodes)
        ]
        for document in documents
    ]
    langs = [document.lang for document in documents]
    texts = [[node.text is not None for node in document.nodes] for document in documents]
    given: dict[str, list[Any]] = {
        "doc_id": [document.id for document in documents],
        "nodes": nodes,
        "lang": langs,
        "lang_score": [1.0] * len(documents),
        "node_lang": [
            [lang if text else None for text in row] for lang, row in zip(langs, texts, strict=True)
        ],
        "node_lang_score": [[1.0 if text else None for text in row] for row in texts],
    }
    table = pa.table(
        {name: pa.array(values, columns.column(name).field.type) for name, values in given.items()}
    )
    for name in sorted(needed):
        table = _with_column(table, name)
    return table


def _with_column(table: pa.Table, name: str) -> pa.Table:
    if name in table.column_names:
        return table
    kind = next((kind for kind in OPERATORS.values() if name in kind.writes.names), None)
    if kind is None or "nodes" not in kind.reads.names:
        raise InputError(
            f"a rule reads '{name}', which cannot be measured from the nodes of a sample"
        )
    for read in kind.reads.names:
        table = _with_column(table, read)
    operator = kind()
    result = operator.measure(table.select(operator.reads.names), operator.setup())
    for field in operator.writes:
        if field.name not in table.column_names:
            table = table.append_column(field, result[field.name])
    return table


def _document_frame(table: pa.Table, documents: Sequence[SampleDocument]) -> pl.DataFrame:
    """A row a labelled document: what was measured of it, and its label."""
    own = [name for name in table.column_names if columns.column(name).level == "document"]
    frame = pl.DataFrame(table.select([name for name in own if name != "nodes"]))
    return frame.with_columns(
        pl.Series("label", [document.label for document in documents], pl.String),
        pl.Series("category", [document.category for document in documents], pl.String),
    ).filter(pl.col("label").is_not_null())


def _node_frame(table: pa.Table, documents: Sequence[SampleDocument]) -> pl.DataFrame:
    """A row a labelled node, with its document's columns beside its own."""
    own = [name for name in table.column_names if columns.column(name).level == "node"]
    frame = pl.DataFrame(table.drop_columns(["nodes"])).with_columns(
        pl.Series("label", [[n.label for n in d.nodes] for d in documents], pl.List(pl.String)),
        pl.Series(
            "category", [[n.category for n in d.nodes] for d in documents], pl.List(pl.String)
        ),
    )
    return frame.explode([*own, "label", "category"]).filter(pl.col("label").is_not_null())


def _judged(
    fragment: str, rules: Sequence[Rule], frame: pl.DataFrame
) -> tuple[list[RuleFigures], RuleFigures]:
    """Figures of each rule, and of all together on the rows that any of them judges."""
    categories = frame["category"].drop_nulls().unique().to_list()
    figures, asked, dropped = [], pl.lit(value=False), pl.lit(value=False)
    for rule in rules:
        spoken, gone = _speaks_of(rule), ~rule.passes()
        category = _category(rule.name, categories)
        rows = frame.filter(spoken).with_columns(gone=gone)
        labelled = pl.col("category") == category if category else pl.lit(value=False)
        figures.append(_figures(fragment, rule, category, rows, labelled))
        asked, dropped = asked | spoken, dropped | (spoken & gone)
    rows = frame.filter(asked).with_columns(gone=dropped)
    whole = Rule("all", rules[0].table, rules[0].keeps, rules[0].expression)
    total = _figures(fragment, whole, None, rows, pl.col("label") == "boilerplate")
    return figures, total


def _figures(
    fragment: str, rule: Rule, category: str | None, rows: pl.DataFrame, labelled: pl.Expr
) -> RuleFigures:
    good, own = rows.filter(pl.col("label") == "good"), rows.filter(labelled)
    return RuleFigures(
        fragment,
        rule.name,
        rule.table,
        "" if rule.name == "all" else rule.text,
        category,
        Share(int(rows["gone"].sum()), len(rows)),
        Share(int(good["gone"].sum()), len(good)),
        Share(len(own) - int(own["gone"].sum()), len(own)),
    )


def _speaks_of(rule: Rule) -> pl.Expr:
    """The rows of the languages that a rule names; all rows, if it names none."""
    for comparison in rule.expression.comparisons:
        if comparison.column == "lang" and comparison.operator in ("==", "in"):
            named = comparison.threshold
            return pl.col("lang").is_in([named] if isinstance(named, str) else named)
    return pl.lit(value=True)


def _category(rule: str, categories: Sequence[str]) -> str | None:
    """The longest category of the sample that the rule's name ends with."""
    own = [c for c in categories if rule == c or rule.endswith(f"_{c}")]
    return max(own, key=len, default=None)
