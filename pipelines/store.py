"""The store: where a corpus lives, one small immutable file a stage and unit.

    inputs/<key>.json                       what an input holds: its units, its checksum, its skips
    units/<stem>-<number>.parquet           the rows of a unit, as they were born
    images/<stem>.parquet                   image captures that an input holds
    stages/<stage>-<fingerprint>/<unit>-<digest>.parquet
                                            the columns that a stage adds, row for row
    groups/<stage>-<fingerprint>/...        how a stage over the whole corpus came to its columns
    verdicts/<fingerprint>/<unit>.parquet   which rows were kept, and what every rule said
    jobs/<job>.json                         what a job refers to: what `omniloom gc` must keep
    running/<job>-<number>.json             a run that is going on

A stage file is complete and never changes: its name holds a hash of its content. When a loosened
rule or a retry covers more rows, a new file appears and the verdicts point to it.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from operators.files import Files
from schemas.columns import ERROR

STATE = "_state"
ERRORS = "_error"
PENDING, DONE, FAILED = 0, 1, 2
ENGINE_FIELDS = (pa.field(STATE, pa.uint8(), nullable=False), pa.field(ERRORS, ERROR))
_RECORD_KEY = b"omniloom.record"


_BORN_UNIT = re.compile(r"-i\d{3,}-[0-9a-f]{12}$")


def is_born(unit: str) -> bool:
    """Whether a unit's rows were born of those of another unit, as images are of documents."""
    return _BORN_UNIT.search(unit) is not None


def born_in(unit: str) -> str:
    """The unit that a unit's rows were born of; itself where they come from an input."""
    return _BORN_UNIT.sub("", unit)


@dataclass(frozen=True)
class UnitRef:
    """A unit and the input that its rows come from."""

    unit: str
    rows: int
    uri: str
    source: int
    """Index of the plan's input."""


@dataclass(frozen=True)
class InputRecord:
    """What indexing an input found. `skipped` counts records by reason."""

    uri: str
    source: dict[str, Any]
    """Name and config of the source that read it."""
    content: str
    """The same for every input of the same bytes, unit layout and kind."""
    stem: str
    sha256: str
    size: int
    units: list[tuple[str, int]]
    pages: int
    images: int
    skipped: dict[str, int]


@dataclass
class StageRecord:
    """How a stage came to its columns for a unit."""

    file: str
    computed: int = 0
    reused: int = 0
    failed: int = 0
    cpu_seconds: float = 0.0


@dataclass
class RuleRecord:
    """How often a rule was asked, how often it said drop, and how often it was the first to."""

    asked: int = 0
    dropped: int = 0
    first: int = 0


@dataclass
class UnitRecord:
    """The outcome of a unit: written last, inside its verdicts, so that its presence means done."""

    unit: str
    rows: int
    kept: int = 0
    kept_bytes: int = 0
    kept_digest: str = ""
    """Of what an export holds of the unit: kept rows and nodes, and all columns' files."""
    alive_digest: str = ""
    """Of which rows were kept."""
    stages: dict[str, StageRecord] = field(default_factory=dict)
    rules: dict[str, RuleRecord] = field(default_factory=dict)

    @property
    def files(self) -> dict[str, str]:
        """The file of each stage."""
        return {name: stage.file for name, stage in self.stages.items()}

    @property
    def failed(self) -> int:
        """Rows that ended in an error."""
        return sum(stage.failed for stage in self.stages.values())

    @classmethod
    def from_json(cls, text: str | bytes) -> UnitRecord:
        """The record in `text`."""
        data = json.loads(text)
        data["stages"] = {k: StageRecord(**v) for k, v in data["stages"].items()}
        data["rules"] = {k: RuleRecord(**v) for k, v in data["rules"].items()}
        return cls(**data)


class Store:
    """Tables, records and references under one root."""

    def __init__(self, root: str) -> None:
        self.files = Files(root)

    # Parquet

    def read(self, path: str, columns: Sequence[str] | None = None) -> pa.Table:
        """The named columns of a Parquet file, all without names. FileNotFoundError if missing."""
        with self.files.open(path) as file:
            return pq.read_table(file, columns=None if columns is None else list(columns))

    def zipped(
        self,
        paths: dict[str, str],
        names: Iterable[str],
        fresh: dict[str, pa.Table] | None = None,
    ) -> pa.Table:
        """The named columns side by side, each from the file that `paths` says.

        Tables in `fresh` stand for the files of their path.
        """
        names = list(names)
        groups: dict[str, list[str]] = {}
        for name in names:
            groups.setdefault(paths[name], []).append(name)
        arrays: dict[str, pa.ChunkedArray] = {}
        for path, group in groups.items():
            table = (fresh or {}).get(path)
            table = self.read(path, group) if table is None else table
            arrays |= {name: table[name] for name in group}
        return pa.table({name: arrays[name] for name in names})

    def write(self, path: str, table: pa.Table, metadata: dict[bytes, bytes] | None = None) -> None:
        """Write a Parquet file atomically."""
        self.files.write(path, _serialised(table.replace_schema_metadata(metadata)))

    def metadata(self, path: str) -> dict[bytes, bytes]:
        """What a Parquet file says of itself."""
        with self.files.open(path) as file:
            found: dict[bytes, bytes] = pq.read_metadata(file).metadata or {}
            return found

    def write_addressed(
        self, folder: str, unit: str, table: pa.Table, metadata: dict[bytes, bytes] | None = None
    ) -> str:
        """Write a unit's file under a name that says what is in it; returns the name."""
        data = _serialised(table.replace_schema_metadata(metadata))
        name = f"{unit}-{hashlib.blake2b(data, digest_size=8).hexdigest()}"
        self.files.write(f"{folder}/{name}.parquet", data)
        return name

    # JSON

    def read_json(self, path: str) -> Any:
        """A JSON file's data; None when there is no such file."""
        try:
            return json.loads(self.files.read(path))
        except FileNotFoundError:
            return None

    def write_json(self, path: str, data: Any) -> None:
        """Write a JSON file atomically."""
        text = json.dumps(data, indent=1, ensure_ascii=False, default=str)
        self.files.write(path, text.encode())

    # Inputs

    def input_record(self, key: str) -> InputRecord | None:
        """What is known of the input with this key."""
        data = self.read_json(f"inputs/{key}.json")
        return None if data is None else _input_record(data)

    def write_input_record(self, key: str, record: InputRecord) -> None:
        """Commit an indexed input: its units exist from here on."""
        self.write_json(f"inputs/{key}.json", asdict(record))

    # Units

    def names(self, folder: str) -> list[str]:
        """Names of the Parquet files in `folder`, without their ending."""
        found = (info.path.rpartition("/")[2] for info in self.files.list(folder))
        return [name.removesuffix(".parquet") for name in found if name.endswith(".parquet")]

    def write_verdicts(self, folder: str, table: pa.Table, record: UnitRecord) -> None:
        """Commit a unit: its verdicts and its record are one file."""
        text = json.dumps(asdict(record), separators=(",", ":")).encode()
        self.write(f"{folder}/{record.unit}.parquet", table, {_RECORD_KEY: text})

    def unit_record(self, folder: str, unit: str) -> UnitRecord:
        """The record of a unit that is done."""
        return UnitRecord.from_json(self.metadata(f"{folder}/{unit}.parquet")[_RECORD_KEY])


def _input_record(data: dict[str, Any]) -> InputRecord:
    units = [(unit, rows) for unit, rows in data.pop("units")]
    return InputRecord(units=units, **data)


def _serialised(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    # Images are compressed already: packing them again costs more than fetching them does.
    plain = {f.name for f in table.schema if pa.types.is_large_binary(f.type)}
    others = [name for name in table.column_names if name not in plain]
    packed = {name: "none" if name in plain else "zstd" for name in table.column_names}
    pq.write_table(table, sink, compression=packed, use_dictionary=others, write_statistics=False)
    return sink.getvalue()


def by_unit(names: Iterable[str]) -> dict[str, list[str]]:
    """Stage file names grouped by their unit (names are `<unit>-<digest>`)."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(name.rpartition("-")[0], []).append(name)
    return groups
