"""Files of benchmarks: the items that a model will be tested on, as texts.

A benchmark is one or several files: Parquet or JSON lines (also gzipped), where a row is an item,
or plain text, where a line is one.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from operators.files import expand, input_info, open_input
from schemas.errors import InputError, did_you_mean

_CHUNK = 1 << 20
_JSON = (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")


@dataclass(frozen=True)
class Item:
    """One item of a benchmark: its name (`benchmark:row`, rows from 0 on) and its texts."""

    name: str
    texts: list[str]


@dataclass(frozen=True)
class Benchmark:
    """A benchmark's name, the path or pattern of its files, and the columns that are read.

    Without columns, all texts of a row are read, those inside of lists and objects too.
    """

    name: str
    path: str
    fields: tuple[str, ...] = ()

    def files(self) -> list[str]:
        """Addresses of the files, sorted.

        Raises:
            InputError: there is none.
        """
        found = expand(self.path)
        if not found:
            raise self._error(self.path, "no such file", "check the path or pattern")
        return found

    def sha256(self) -> str:
        """SHA-256 of the files' bytes, one file after the other, hexadecimal."""
        stamps = ((uri, input_info(uri)) for uri in self.files())
        return _sha256(tuple((uri, info.size, info.stamp) for uri, info in stamps))

    def items(self) -> Iterator[Item]:
        """Every item, over all files; rows are counted on from file to file.

        Raises:
            InputError: a file cannot be read, or the benchmark holds no text at all.
        """
        row, some = 0, False
        for uri in self.files():
            try:
                for texts in self._rows(uri):
                    some = some or any(text.strip() for text in texts)
                    yield Item(f"{self.name}:{row}", texts)
                    row += 1
            except (pa.ArrowException, OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
                fix = "give Parquet, .jsonl, .jsonl.gz or UTF-8 text, and check that it is whole"
                raise self._error(uri, f"cannot be read: {error}", fix) from None
        if not some:
            fix = "check the file" if not self.fields else "check the file and 'fields'"
            raise self._error(self.path, "holds no text", fix)

    def _rows(self, uri: str) -> Iterator[list[str]]:
        """The texts of each row of a file."""
        if uri.endswith(".parquet"):
            yield from (list(self._texts(row, uri)) for row in _parquet_rows(uri))
        elif uri.endswith(_JSON):
            for number, line in enumerate(_lines(uri), start=1):
                yield list(self._texts(self._object(line, f"{uri}:{number}"), f"{uri}:{number}"))
        else:
            yield from ([line.decode("utf-8-sig")] for line in _lines(uri))

    def _object(self, line: bytes, place: str) -> dict[str, Any]:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            raise self._error(place, "is no JSON object", "mend or remove the line")
        return row

    def _texts(self, row: dict[str, Any], place: str) -> Iterator[str]:
        for name in self.fields:
            if name not in row:
                raise self._error(place, f"has no column '{name}'", did_you_mean(name, row))
        return _strings([row[name] for name in self.fields or row])

    def _error(self, place: str, message: str, fix: str) -> InputError:
        return InputError(f"benchmark '{self.name}': {place}: {message}\n    fix: {fix}")


def _strings(value: Any) -> Iterator[str]:
    """All texts inside a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _strings(part)


def _parquet_rows(uri: str) -> Iterator[dict[str, Any]]:
    with open_input(uri) as stream, pq.ParquetFile(stream) as file:
        for batch in file.iter_batches(1024):
            yield from batch.to_pylist()


def _lines(uri: str) -> Iterator[bytes]:
    """The lines of a file that are not blank."""
    with open_input(uri) as stream:
        lines = gzip.GzipFile(fileobj=stream) if uri.endswith(".gz") else stream
        yield from (line for line in cast("Iterable[bytes]", lines) if line.strip())


@cache
def _sha256(files: tuple[tuple[str, int, str], ...]) -> str:
    """Of files as they were at some time: address, size and stamp."""
    digest = hashlib.sha256()
    for uri, _, _ in files:
        with open_input(uri) as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
    return digest.hexdigest()
