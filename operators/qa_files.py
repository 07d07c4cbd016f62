"""Files of sets of questions: rows of objects, or one object that holds them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from operators.files import open_input
from operators.qa_content import BadRow
from schemas.errors import InputError

_WRAPPED = ("data", "questions")
_TABLES = {".csv": ",", ".tsv": "\t"}
_ROWS_AT_ONCE = 64
_ROWS_TOLD = 100
_NAMED_KEYS = 12

Raw = dict[str, Any] | BadRow
"""A row, or why there is none."""


@dataclass(frozen=True)
class QaFile:
    """A file of a set: its rows and the keys of the first ones.

    `whole` is what a JSON file holds that is an object; its rows may be in it as `data` or
    `questions`, and asking for them is an `InputError` where they are not.
    """

    uri: str
    whole: dict[str, Any]
    rows: Callable[[], Iterator[Raw]]
    keys: tuple[str, ...] = ()


def opened(uri: str) -> QaFile:
    """A file by its ending.

    Raises:
        InputError: it cannot be read, or has an ending that is none of a set's.
    """
    ending = Path(uri).suffix.lower()
    if ending in (".jsonl", ".ndjson"):
        return _streamed(uri, lambda: _json_lines(uri))
    if ending in _TABLES:
        return _streamed(uri, lambda: _cells(uri, _TABLES[ending]))
    if ending == ".parquet":
        return _streamed(uri, lambda: _parquet(uri))
    if ending != ".json":
        fix = "give a file of kind .json, .jsonl, .csv, .tsv or .parquet"
        raise InputError(f"{uri}: no kind of file that sets come in\n    fix: {fix}")
    found = read_json(uri)
    if not isinstance(found, dict):
        return _listed(uri, found)
    rows = next((found[key] for key in _WRAPPED if isinstance(found.get(key), list)), None)
    if rows is None:
        return QaFile(uri, found, lambda: _listed(uri, found).rows())
    return replace(_listed(uri, rows), whole=found)


def _streamed(uri: str, rows: Callable[[], Iterator[Raw]]) -> QaFile:
    first = (row for row in islice(rows(), _ROWS_TOLD) if isinstance(row, dict))
    return QaFile(uri, {}, rows, tuple(dict.fromkeys(key for row in first for key in row)))


def _listed(uri: str, found: Any) -> QaFile:
    if not isinstance(found, list):
        message = f"{uri}: found {shown(found)} where a list of rows should be"
        raise InputError(f"{message}\n    fix: docs/qa-sets.md shows each format")
    return _streamed(uri, lambda: map(_object, found))


def _object(value: Any) -> Raw:
    return value if isinstance(value, dict) else BadRow("a row is no object")


def read_json(uri: str) -> Any:
    """The value that a JSON file holds.

    Raises:
        InputError: it cannot be read, or is no JSON.
    """
    with open_input(uri) as stream:
        try:
            return json.loads(stream.read())
        except (ValueError, RecursionError) as error:
            raise InputError(f"{uri}: no JSON: {error}") from None


def _json_lines(uri: str) -> Iterator[Raw]:
    with io.BufferedReader(cast("Any", open_input(uri))) as stream:
        for line in stream:
            if not line.strip():
                continue
            try:
                yield _object(json.loads(line))
            except (ValueError, RecursionError):
                yield BadRow("a line is no JSON")


def _cells(uri: str, delimiter: str) -> Iterator[Raw]:
    with io.TextIOWrapper(open_input(uri), "utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream, delimiter=delimiter)
        try:
            for row in reader:
                full = None not in row and None not in row.values()
                yield row if full else BadRow("a line has more or fewer cells than the first")
        except (csv.Error, UnicodeDecodeError) as error:
            message = f"{uri}: cannot be read after line {reader.line_num}: {error}"
            raise InputError(message) from None


def _parquet(uri: str) -> Iterator[Raw]:
    with open_input(uri) as stream:
        try:
            for batch in pq.ParquetFile(stream).iter_batches(_ROWS_AT_ONCE):
                yield from batch.to_pylist()
        except pa.ArrowException as error:
            raise InputError(f"{uri}: no Parquet: {error}") from None


def shown(value: Any) -> str:
    """What a value is, for messages: its keys or its type."""
    if isinstance(value, dict):
        return f"an object with {listing(value)}"
    return f"a value of type {type(value).__name__}"


def listing(names: Iterable[Any]) -> str:
    """Names in quotes, the first few of them."""
    named = [repr(str(name)) for name in names]
    more = f" and {len(named) - _NAMED_KEYS} more" if len(named) > _NAMED_KEYS else ""
    return ", ".join(named[:_NAMED_KEYS]) + more or "no keys"
