"""Rules: named, cheap predicates over measured columns, written in a small typed language.

    word_count < 50
    lang in ['en', 'zh'] and lang_score >= 0.65
    not (symbol_word_ratio <= 0.1 or word_count == 0)

Operators, lowest first: `or`, `and`, `not`, comparisons (`== != < <= > >= in`, `not in`, and
`is null` / `is not null`), `+ -`, `* /`. Values: numbers, 'text', true, false, lists of these.
Functions: `abs(x)`, `length(text)`, `matches(text, 'regex')`.

The syntax is a part of Python's, parsed by Python's own parser and translated node by node to a
Polars expression; nothing is ever evaluated as code. Types are checked when the job is planned.
A comparison with a null is unknown, and an unknown condition does not hold: a `drop` rule then
keeps the row and a `keep` rule drops it.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl
import pyarrow as pa

from schemas.columns import COLUMNS, Column
from schemas.errors import did_you_mean

LANGUAGE_VERSION = 1
"""Raise it when the same rule gives other answers: verdicts are then made anew."""

Level = Literal["document", "node", "image", "instruction"]
RuledTable = Literal["documents", "nodes", "images", "instructions"]
LEVELS: dict[RuledTable, Level] = {
    "documents": "document",
    "nodes": "node",
    "images": "image",
    "instructions": "instruction",
}
"""What the columns describe that rules of a table judge by."""
Kind = Literal["number", "text", "boolean", "list of numbers", "list of texts", "null"]

_COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.In: "in",
    ast.NotIn: "not in",
    ast.Is: "is",
    ast.IsNot: "is not",
}
_NAMED_CONSTANTS: dict[str, bool | None] = {"true": True, "false": False, "null": None}


class ExpressionError(ValueError):
    """A rule's expression is malformed or ill-typed; the message says where and what instead."""


@dataclass(frozen=True)
class Comparison:
    """One `column operator constant` inside an expression: what `explain` shows as threshold."""

    column: str
    operator: str
    threshold: Any


@dataclass(frozen=True)
class Typed:
    """A translated piece of an expression: the Polars expression and the kind of its value."""

    expr: pl.Expr
    kind: Kind
    constant: Any = None


@dataclass(frozen=True)
class Expression:
    """A parsed condition: its source text, the columns it reads and its comparisons."""

    text: str
    columns: tuple[str, ...]
    comparisons: tuple[Comparison, ...]

    def holds(self) -> pl.Expr:
        """A boolean Polars expression, false where the condition is unknown."""
        typed = _Translator(self.text, level=None).boolean(_tree(self.text))
        return typed.expr.fill_null(value=False)


@dataclass(frozen=True)
class Rule:
    """A named rule: `expression` says which rows to drop, or, when `keeps`, which to keep."""

    name: str
    table: RuledTable
    keeps: bool
    expression: Expression
    origin: str = "job"

    @property
    def text(self) -> str:
        """The rule as written: `drop: word_count < 50`."""
        return f"{'keep' if self.keeps else 'drop'}: {self.expression.text}"

    def passes(self) -> pl.Expr:
        """A boolean Polars expression, true for the rows that stay."""
        holds = self.expression.holds()
        return holds if self.keeps else ~holds


def parse_rule(
    name: str,
    table: RuledTable,
    keep: str | None,
    drop: str | None,
    origin: str,
) -> Rule:
    """The rule with its expression checked against the column vocabulary.

    Raises:
        ExpressionError: syntax, an unknown column, or a comparison of unlike kinds.
    """
    text = keep if keep is not None else (drop or "")
    return Rule(name, table, keep is not None, parse(text, LEVELS[table]), origin)


def parse(text: str, level: Level = "document") -> Expression:
    """Parse and type-check a condition over columns of `level`.

    Raises:
        ExpressionError: syntax, an unknown column, or a comparison of unlike kinds.
    """
    translator = _Translator(text, level)
    translator.boolean(_tree(text))
    return Expression(text, tuple(sorted(translator.columns)), tuple(translator.comparisons))


_MOST_CHARACTERS = 4000
_MOST_DEPTH = 50
_REWRITTEN = re.compile(
    r"""(?P<text>[rR]?(?:'[^'\n]*'|"[^"\n]*"))|(?P<null>\bis\s+(?P<not>not\s+)?null\b)"""
)


def _tree(text: str) -> ast.expr:
    """The condition's syntax tree, bounded in length and depth."""
    if not text.strip():
        raise ExpressionError("the condition is empty; write one, e.g. 'word_count < 50'")
    if len(text) > _MOST_CHARACTERS:
        raise ExpressionError(f"{len(text)} characters; a condition has at most {_MOST_CHARACTERS}")
    try:
        tree = ast.parse(_REWRITTEN.sub(_as_python, text).strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        place = getattr(error, "offset", None)
        where = f" at character {place}" if place else ""
        raise ExpressionError(f"not a condition{where}: {_cut(text)!r}{_hint(text)}") from None
    level, depth = [tree], 0
    while level:
        depth += 1
        if depth > _MOST_DEPTH:
            raise ExpressionError(f"a condition is nested at most {_MOST_DEPTH} deep")
        level = [child for node in level for child in ast.iter_child_nodes(node)]  # type: ignore[misc]
    return tree


def _as_python(match: re.Match[str]) -> str:
    """Texts are taken literally, backslashes included; null is Python's None."""
    if match["text"]:
        return "r" + match["text"].lstrip("rR")
    return "is not None" if match["not"] else "is None"


def _cut(text: str, most: int = 200) -> str:
    return text if len(text) <= most else text[:most] + "…"


def _shown(node: ast.expr) -> str:
    """A piece of the condition as its author would quote it."""
    text = _cut(ast.unparse(node))
    return text if isinstance(node, ast.Constant) else f"'{text}'"


def _comparison(node: ast.expr, typed: Typed) -> str:
    """A valid condition with this piece in it."""
    text = _cut(ast.unparse(node))
    match typed.kind:
        case "text":
            return f"title == {text}" if isinstance(node, ast.Constant) else f"{text} == 'en'"
        case "number":
            return f"{text} >= 1"
        case _:
            return "title is null"


def _hint(text: str) -> str:
    """What people of other languages mostly meant."""
    if re.search(r"[^=!<>]=[^=]", text):
        return "; equality is written =="
    if "&&" in text or "||" in text or re.search(r"!(?!=)", text):
        return "; write 'and', 'or', 'not'"
    return ""


class _Translator:
    """Translates a syntax tree to Polars, collecting the columns and thresholds it meets."""

    def __init__(self, text: str, level: Level | None) -> None:
        self.text = text
        self.level = level
        self.columns: set[str] = set()
        self.comparisons: list[Comparison] = []

    def boolean(self, node: ast.expr) -> Typed:
        typed = self.translate(node)
        if typed.kind != "boolean":
            raise ExpressionError(
                f"{_shown(node)} is no condition; compare it, e.g. {_comparison(node, typed)}"
            )
        return typed

    def translate(self, node: ast.expr) -> Typed:
        match node:
            case ast.BoolOp(op=op, values=values):
                return self._join([self.boolean(value) for value in values], op)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return Typed(~self.boolean(operand).expr, "boolean")
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return self._negative(operand)
            case ast.Compare():
                return self._compare(node)
            case ast.BinOp():
                return self._arithmetic(node)
            case ast.Call():
                return self._call(node)
            case ast.Name(id=name):
                return self._name(name)
            case ast.Constant(value=value):
                return self._constant(value)
            case ast.List(elts=items):
                return self._list(items)
            case _:
                raise ExpressionError(f"{_shown(node)} is not part of the rule language")

    def _join(self, parts: list[Typed], op: ast.boolop) -> Typed:
        joined = parts[0].expr
        for part in parts[1:]:
            joined = joined & part.expr if isinstance(op, ast.And) else joined | part.expr
        return Typed(joined, "boolean")

    def _negative(self, operand: ast.expr) -> Typed:
        value = self._number(operand)
        constant = -value.constant if value.constant is not None else None
        return Typed(-value.expr if constant is None else pl.lit(constant), "number", constant)

    def _number(self, node: ast.expr) -> Typed:
        typed = self.translate(node)
        if typed.kind != "number":
            raise ExpressionError(f"{_shown(node)} is a {typed.kind}, not a number")
        return typed

    def _name(self, name: str) -> Typed:
        if name in _NAMED_CONSTANTS:
            return self._constant(_NAMED_CONSTANTS[name])
        found = COLUMNS.get(name)
        if found is None:
            known = [c.name for c in COLUMNS.values() if self._allowed(c) and _kind(c.type)]
            raise ExpressionError(f"no column '{name}'; {did_you_mean(name, known)}")
        if not self._allowed(found):
            table = next(table for table, level in LEVELS.items() if level == found.level)
            say = "leave 'table' out" if table == "documents" else f"add 'table: {table}'"
            raise ExpressionError(
                f"column '{name}' describes {table}; {say} to judge {table} by it"
            )
        kind = _kind(found.type)
        if kind is None:
            raise ExpressionError(
                f"column '{name}' holds {found.type}; rules compare numbers and texts"
            )
        self.columns.add(name)
        return Typed(pl.col(name), kind)

    def _allowed(self, found: Column) -> bool:
        """Node rules may ask the node and its document, other rules their own rows alone."""
        asked = ("document", "node") if self.level == "node" else (self.level,)
        return self.level is None or found.level in asked

    def _constant(self, value: object) -> Typed:
        match value:
            case bool():
                return Typed(pl.lit(value), "boolean", value)
            case int() | float():
                return Typed(pl.lit(value), "number", value)
            case str():
                return Typed(pl.lit(value), "text", value)
            case None:
                return Typed(pl.lit(None), "null")
            case _:
                raise ExpressionError(f"{value!r} is not a number, text, true or false")

    def _list(self, items: list[ast.expr]) -> Typed:
        values = [self.translate(item) for item in items]
        kinds = {value.kind for value in values}
        constants = [value.constant for value in values]
        if len(kinds) != 1 or None in constants or not kinds <= {"number", "text"}:
            raise ExpressionError("a list holds numbers only or texts only, e.g. ['en', 'zh']")
        kind: Kind = "list of texts" if kinds == {"text"} else "list of numbers"
        return Typed(pl.lit(None), kind, constants)

    def _compare(self, node: ast.Compare) -> Typed:
        operands = [node.left, *node.comparators]
        parts = []
        for left, op, right in zip(operands, node.ops, operands[1:], strict=False):
            parts.append(self._pair(left, _COMPARISONS[type(op)], right))
        return self._join(parts, ast.And())

    def _pair(self, left: ast.expr, op: str, right: ast.expr) -> Typed:
        a, b = self.translate(left), self.translate(right)
        if op in ("is", "is not"):
            if b.kind != "null":
                raise ExpressionError("'is' asks for null only: 'title is null'")
            self._remember(left, op, None)
            return Typed(a.expr.is_null() if op == "is" else a.expr.is_not_null(), "boolean")
        if op in ("in", "not in"):
            return self._membership(left, a, op, b, right)
        if "null" in (a.kind, b.kind):
            raise ExpressionError(f"write '{_cut(ast.unparse(left))} is null' to ask for null")
        if a.kind != b.kind or a.kind not in ("number", "text", "boolean"):
            raise ExpressionError(
                f"{_shown(left)} is a {a.kind} and {_shown(right)} a {b.kind}: "
                "they cannot be compared"
            )
        self._remember(left, op, b.constant)
        self._remember(right, _mirrored(op), a.constant)
        return Typed(_compared(a.expr, op, b.expr), "boolean")

    def _membership(self, node: ast.expr, a: Typed, op: str, b: Typed, right: ast.expr) -> Typed:
        if b.kind != f"list of {a.kind}s":
            raise ExpressionError(
                f"{_shown(node)} is a {a.kind}; '{op}' wants a list of {a.kind}s, "
                f"not {_shown(right)}"
            )
        self._remember(node, op, b.constant)
        # Compared one by one: `is_in` neither mixes whole numbers with fractions nor finds a
        # 32-bit fraction among 64-bit ones, though `==` does.
        inside = pl.any_horizontal([a.expr == value for value in dict.fromkeys(b.constant)])
        return Typed(inside if op == "in" else ~inside, "boolean")

    def _remember(self, node: ast.expr, op: str, threshold: object) -> None:
        if isinstance(node, ast.Name) and node.id in COLUMNS:
            self.comparisons.append(Comparison(node.id, op, threshold))

    def _arithmetic(self, node: ast.BinOp) -> Typed:
        a, b = (self._number(side).expr.cast(pl.Float64) for side in (node.left, node.right))
        match node.op:
            case ast.Add():
                return Typed(a + b, "number")
            case ast.Sub():
                return Typed(a - b, "number")
            case ast.Mult():
                return Typed(a * b, "number")
            case ast.Div():
                return Typed((a / b).fill_nan(None), "number")  # 0 / 0 is unknown
            case _:
                raise ExpressionError(f"{_shown(node)}: use + - * /")

    def _call(self, node: ast.Call) -> Typed:
        name = node.func.id if isinstance(node.func, ast.Name) else ast.unparse(node.func)
        arguments = [self.translate(argument) for argument in node.args]
        kinds = [argument.kind for argument in arguments]
        if node.keywords:
            raise ExpressionError(f"{name}() takes no named arguments")
        match name, kinds:
            case "abs", ["number"]:
                return Typed(arguments[0].expr.abs(), "number")
            case "length", ["text"]:
                return Typed(arguments[0].expr.str.len_chars(), "number")
            case "matches", ["text", "text"] if isinstance(arguments[1].constant, str):
                return self._matches(arguments[0], arguments[1].constant)
            case _:
                known = "abs(number), length(text), matches(text, 'regex')"
                shown = _cut(ast.unparse(node))
                raise ExpressionError(f"'{shown}' is none of the functions: {known}")

    def _matches(self, subject: Typed, pattern: str) -> Typed:
        try:
            pl.select(pl.lit("").str.contains(pattern))
        except pl.exceptions.ComputeError:
            raise ExpressionError(f"not a regular expression: {pattern!r}") from None
        return Typed(subject.expr.str.contains(pattern), "boolean")


def _kind(arrow: pa.DataType) -> Kind | None:
    if pa.types.is_boolean(arrow):
        return "boolean"
    if pa.types.is_integer(arrow) or pa.types.is_floating(arrow):
        return "number"
    return "text" if pa.types.is_string(arrow) else None


def _mirrored(op: str) -> str:
    return {"<": ">", "<=": ">=", ">": "<", ">=": "<="}.get(op, op)


def _compared(a: pl.Expr, op: str, b: pl.Expr) -> pl.Expr:
    match op:
        case "==":
            return a == b
        case "!=":
            return a != b
        case "<":
            return a < b
        case "<=":
            return a <= b
        case ">":
            return a > b
        case _:
            return a >= b
