"""Indexing: find the pages and images of an input once, and fix the units they belong to."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa

from operators.sources import Page, Picture, PooledPicture, Skipped
from pipelines.plan import fingerprint, source_fingerprint
from pipelines.store import InputRecord
from pipelines.work import PlainTask, Worker
from schemas.tables import CAPTURES

_REASONS = 50
"""How many reasons for skipping are told apart in one input."""


@dataclass(frozen=True)
class IndexTask(PlainTask):
    """Find the pages and images of one input and fix its units."""

    input: int
    uri: str
    record_key: str
    size: int

    @property
    def key(self) -> str:
        return f"input {self.uri}"

    @property
    def weight(self) -> int:
        return self.size

    def run(self, worker: Worker) -> InputRecord:
        """Write the units, then the record that makes them exist."""
        store, entry = worker.store, worker.plan.inputs[self.input]
        unit_rows = worker.plan.jobfile.job.unit_rows
        sha256 = entry.source.checksum(entry.uri)
        layout = source_fingerprint(entry.source, unit_rows)
        content = fingerprint(layout, sha256)
        stem = fingerprint(layout, sha256, Path(entry.uri).name) + sha256[:4]
        table = worker.plan.table
        pages: list[Page | PooledPicture] = []
        pictures: list[Picture] = []
        skipped: Counter[str] = Counter()
        units: list[tuple[str, int]] = []

        def flush() -> None:
            unit = f"{stem}-{len(units):05d}"
            rows = pa.Table.from_pylist([asdict(page) for page in pages], schema=table.born)
            store.write(f"units/{unit}.parquet", rows)
            units.append((unit, len(pages)))
            pages.clear()

        for found in entry.source.index(entry.uri):
            match found:
                case Page() | PooledPicture():
                    pages.append(found)
                    if len(pages) == unit_rows:
                        flush()
                case Picture():
                    pictures.append(found)
                case Skipped(reason):
                    crowded = len(skipped) >= _REASONS and reason not in skipped
                    skipped["other" if crowded else reason] += 1
        if pages:
            flush()
        if pictures:
            captures = pa.Table.from_pylist([asdict(p) for p in pictures], schema=CAPTURES.born)
            store.write(f"images/{stem}.parquet", captures)
        record = InputRecord(
            uri=entry.uri,
            source={"name": entry.source.name, **entry.source.model_dump(mode="json")},
            content=content,
            stem=stem,
            sha256=sha256,
            size=self.size,
            units=units,
            pages=sum(rows for _, rows in units),
            images=len(pictures),
            skipped=dict(sorted(skipped.items())),
        )
        store.write_input_record(self.record_key, record)
        return record
