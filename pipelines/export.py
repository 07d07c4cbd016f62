"""Exports as files: which documents go into which shard, and how a target folder is committed.

A target folder goes through these states, so that a reader who waits for `_SUCCESS.json` never
sees half an export, and a killed export goes on where it was:

    _RUNNING.json {clean: false}   files of an earlier export are being removed
    _RUNNING.json {clean: true}    every shard that is there is a shard of this export
    _SUCCESS.json                  complete; written last, lists every shard with its checksum
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from operators.export import FORMATS
from operators.files import Files
from pipelines.plan import Plan, fingerprint
from pipelines.shards import ShardRecord, ShardTask, Slice, kept_documents
from pipelines.store import InputRecord, UnitRecord
from pipelines.summary import Summary, code_version, reference
from pipelines.work import Worker
from schemas.errors import ExportError
from schemas.job import ExportSpec

SUCCESS = "_SUCCESS.json"
RUNNING = "_RUNNING.json"
_SAMPLE_DOCUMENTS = 200

RunTasks = Callable[[Sequence[ShardTask]], Iterable[tuple[ShardTask, ShardRecord]]]


class Export:
    """One export of one plan's kept documents."""

    def __init__(self, plan: Plan, spec: ExportSpec, contents: str) -> None:
        self.plan, self.spec = plan, spec
        self.files = Files(spec.to)
        self.format = FORMATS[spec.format]
        self.identity = fingerprint(
            plan.fingerprint,
            contents,
            (self.format.name, self.format.version),
            spec.shard_mb,
            spec.row_group_rows,
        )

    def finished(self) -> list[str] | None:
        """Addresses of the shards when exactly this export is complete already."""
        manifest = self._read(SUCCESS)
        if manifest is None or manifest.get("identity") != self.identity:
            return None
        present = {info.path: info.size for info in self.files.list()}
        shards = manifest["shards"]
        if any(present.get(shard["name"]) != shard["size"] for shard in shards):
            return None
        return [self.files.uri(shard["name"]) for shard in shards]

    def write(
        self, records: Sequence[UnitRecord], inputs: Sequence[InputRecord], run: RunTasks
    ) -> list[str]:
        """Write the shards that are not there yet, then the manifest.

        Raises:
            ExportError: the target holds files that no export wrote.
        """
        self._claim()
        tasks = self._tasks(records)
        present = {info.path for info in self.files.list()}
        made: dict[str, ShardRecord] = {
            task.name: self._existing(task) for task in tasks if task.name in present
        }
        for _, record in run([task for task in tasks if task.name not in present]):
            made[record.name] = record
        shards = [made[task.name] for task in tasks]
        self._write(SUCCESS, self._manifest(shards, inputs, Summary.of(inputs, records)))
        self.files.delete(RUNNING)
        return [self.files.uri(shard.name) for shard in shards]

    # The target folder

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            data: dict[str, Any] = json.loads(self.files.read(name))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise ExportError(f"{self.files.uri(name)} is not JSON: {error}") from None
        return data

    def _write(self, name: str, data: dict[str, Any]) -> None:
        text = json.dumps(data, indent=1, ensure_ascii=False, default=str)
        self.files.write(name, text.encode() + b"\n")

    def _claim(self) -> None:
        """Make the target ours: remove an earlier export's files, refuse anybody else's."""
        running, success = self._read(RUNNING), self._read(SUCCESS)
        if running and running["identity"] == self.identity and running["clean"]:
            return
        present = [info.path for info in self.files.list() if info.path not in (SUCCESS, RUNNING)]
        owned = {shard["name"] for shard in (success or {}).get("shards", [])}
        same = success is not None and success["identity"] == self.identity
        foreign = [path for path in present if path not in owned and not _is_shard(path)]
        if foreign or (present and running is None and success is None):
            shown = ", ".join((foreign or present)[:3])
            raise ExportError(
                f"export target {self.spec.to} holds files that no export wrote ({shown}). "
                "Nothing was touched; choose an empty folder in 'export.to'"
            )
        marker = {"identity": self.identity, "clean": False}
        self._write(RUNNING, marker)
        self.files.delete(SUCCESS)
        for path in [] if same else present:
            self.files.delete(path)
        self._write(RUNNING, marker | {"clean": True})

    def _existing(self, task: ShardTask) -> ShardRecord:
        data = self.files.read(task.name)
        return ShardRecord(task.name, task.weight, len(data), hashlib.sha256(data).hexdigest())

    # Which documents go where

    def _tasks(self, records: Sequence[UnitRecord]) -> list[ShardTask]:
        """Shards of about equal size, each a run of documents in corpus order."""
        kept = [record for record in records if record.kept]
        weights = [record.kept_bytes for record in kept]
        expected = sum(weights) * self._ratio(kept)
        count = max(1, round(expected / (self.spec.shard_mb * 1e6)))
        groups = _split(kept, weights, count)
        names = (
            f"train-{index:05d}-of-{len(groups):05d}.{self.format.ending}"
            for index in range(len(groups))
        )
        return [
            ShardTask(self.spec, name, tuple(slices))
            for name, slices in zip(names, groups, strict=True)
        ]

    def _ratio(self, kept: Sequence[UnitRecord]) -> float:
        """Bytes of a shard per byte of page, measured on the first kept documents."""
        names = dict.fromkeys((*self.format.reads, "payload_bytes"))
        worker, tables, wanted = Worker(self.plan), [], _SAMPLE_DOCUMENTS
        for record in kept:
            part = _slice(record, 0, min(record.kept, wanted))
            tables.append(kept_documents(worker, part, names))
            wanted -= part.stop
            if not wanted:
                break
        if not tables:
            return 0.0
        documents = pa.concat_tables(tables)
        size = self._size(documents) - self._size(documents.slice(0, 0))
        return float(size / max(sum(documents["payload_bytes"].to_pylist()), 1))

    def _size(self, documents: pa.Table) -> int:
        with tempfile.TemporaryDirectory(prefix="omniloom-") as folder:
            path = Path(folder) / "sample"
            writer = self.format.writer(path, self.spec.row_group_rows)
            writer.write(documents.select(self.format.reads))
            writer.close()
            return path.stat().st_size

    def _manifest(
        self, shards: Sequence[ShardRecord], inputs: Sequence[InputRecord], summary: Summary
    ) -> dict[str, Any]:
        return {
            "identity": self.identity,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "code": code_version(),
            "format": {"name": self.format.name, "version": self.format.version},
            "rows": sum(shard.rows for shard in shards),
            "shards": [asdict(shard) for shard in shards],
            "job": self.plan.jobfile.job.model_dump(mode="json"),
            "inputs": [
                {"uri": found.uri, "sha256": found.sha256, "size": found.size} for found in inputs
            ],
            **{k: v for k, v in reference(self.plan, []).items() if k in ("stages", "rules")},
            "funnel": asdict(summary),
        }


def _is_shard(path: str) -> bool:
    return path.startswith("train-") and "-of-" in path


def _slice(record: UnitRecord, start: int, stop: int) -> Slice:
    files = {name: stage.file for name, stage in record.stages.items()}
    return Slice(record.unit, start, stop, files)


def _split(kept: Sequence[UnitRecord], weights: Sequence[int], count: int) -> list[list[Slice]]:
    """Cut the kept documents into `count` runs of about equal weight; at least one run."""
    goal = sum(weights) / count
    groups: list[list[Slice]] = [[]]
    room = goal
    for record, weight in zip(kept, weights, strict=True):
        start, each = 0, weight / record.kept
        while start < record.kept:
            fits = record.kept - start
            if len(groups) < count and each:
                fits = min(fits, max(1, round(room / each)))
            groups[-1].append(_slice(record, start, start + fits))
            start += fits
            room -= fits * each
            if (
                room < each / 2
                and len(groups) < count
                and (start < record.kept or record is not kept[-1])
            ):
                groups.append([])
                room = goal
    return groups
