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
from operators.files import TEMPORARY, Files
from operators.masking import MASKING_VERSION, SPANS
from pipelines.plan import Plan, exported_columns, fingerprint, output_schema
from pipelines.shards import ShardRecord, ShardTask, Slice, kept_documents
from pipelines.store import InputRecord, UnitRecord
from pipelines.summary import Summary, code_version, reference
from pipelines.work import Worker
from schemas.errors import ExportError, JobError
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
        self._check_masking()
        self.identity = fingerprint(
            plan.fingerprint,
            contents,
            (self.format.name, self.format.version),
            spec.shard_mb,
            spec.row_group_rows,
            *([(MASKING_VERSION, spec.mask_pii)] if spec.mask_pii else []),
        )

    def _check_masking(self) -> None:
        """What cannot be masked is not exported as if it were."""
        if not self.spec.mask_pii or SPANS in output_schema(self.plan).names:
            return
        exports = self.plan.jobfile.job.export
        path = ("export", exports.index(self.spec)) if self.spec in exports else ()
        message = (
            f"recipe '{self.plan.recipe.name}' does not measure '{SPANS}', which masking needs"
        )
        fix = "choose a recipe with a stage of operator 'pii', or export without mask_pii"
        raise JobError([self.plan.jobfile.problem((*path, "mask_pii"), message, fix)])

    def finished(self) -> list[str] | None:
        """Addresses of the shards when exactly this export is complete already."""
        manifest = self._read(SUCCESS)
        if manifest is None or manifest["identity"] != self.identity:
            return None
        present = {info.path: info.size for info in self.files.list()}
        if any(present.get(name) != size for name, size in _sizes(manifest).items()):
            return None
        return [self.files.uri(name) for name in _sizes(manifest)]

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
        """A marker file; None when there is none.

        Raises:
            ExportError: the file is not one that an export wrote, or another job's.
        """
        try:
            data = json.loads(self.files.read(name))
            owner = data["job_name"]
            data["identity"], data["shards" if name == SUCCESS else "clean"]
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError):
            raise self._foreign(name) from None
        if owner != self.plan.jobfile.name:
            raise ExportError(
                f"export target {self.spec.to} belongs to job '{owner}'. Nothing was touched; "
                "give each job its own folder in 'export.to'"
            )
        found: dict[str, Any] = data
        return found

    def _foreign(self, files: str) -> ExportError:
        return ExportError(
            f"export target {self.spec.to} holds files that no export wrote ({files}). "
            "Nothing was touched; choose an empty folder in 'export.to'"
        )

    def _write(self, name: str, data: dict[str, Any]) -> None:
        text = json.dumps(data, indent=1, ensure_ascii=False, default=str)
        self.files.write(name, text.encode() + b"\n")

    def _claim(self) -> None:
        """Make the target ours: remove an earlier export's files, refuse anybody else's."""
        running, success = self._read(RUNNING), self._read(SUCCESS)
        present = {i.path: i.size for i in self.files.list() if i.path not in (SUCCESS, RUNNING)}
        ours = success["identity"] == self.identity if success else False
        if success is None and running and running["identity"] == self.identity:
            if running["clean"]:
                return
        elif present and success is None and running is None:
            raise self._foreign(", ".join(sorted(present)[:3]))
        foreign = [path for path in present if not _is_shard(path)]
        if foreign:
            raise self._foreign(", ".join(sorted(foreign)[:3]))
        marker = {"job_name": self.plan.jobfile.name, "identity": self.identity, "clean": False}
        sizes = _sizes(success) if success and ours else {}
        self._write(RUNNING, marker)
        self.files.delete(SUCCESS)
        for path, size in present.items():
            if sizes.get(path) != size:
                self.files.delete(path)
        self._write(RUNNING, marker | {"clean": True})

    def _existing(self, task: ShardTask) -> ShardRecord:
        """A shard that an earlier attempt at this export has written."""
        data = self.files.read(task.name)
        rows = self.format.count(data)
        return ShardRecord(task.name, rows, len(data), hashlib.sha256(data).hexdigest())

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
        columns = exported_columns(self.plan, self.format.name)
        names = dict.fromkeys((*columns, "payload_bytes"))
        worker, tables, wanted = Worker(self.plan), [], _SAMPLE_DOCUMENTS
        for record in kept:
            part = _slice(record, 0, min(record.kept, wanted))
            tables.append(kept_documents(worker, part, names, self.spec.mask_pii))
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
            writer.write(documents)
            writer.close()
            return path.stat().st_size

    def _manifest(
        self, shards: Sequence[ShardRecord], inputs: Sequence[InputRecord], summary: Summary
    ) -> dict[str, Any]:
        return {
            "job_name": self.plan.jobfile.name,
            "identity": self.identity,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "code": code_version(),
            "format": {"name": self.format.name, "version": self.format.version},
            "mask_pii": list(self.spec.mask_pii),
            "rows": sum(shard.rows for shard in shards),
            "shards": [asdict(shard) for shard in shards],
            "job": self.plan.jobfile.job.model_dump(mode="json"),
            "inputs": [
                {"uri": found.uri, "sha256": found.sha256, "size": found.size} for found in inputs
            ],
            **{
                k: v
                for k, v in reference(self.plan, []).items()
                if k in ("stages", "rules", "images")
            },
            "funnel": asdict(summary),
        }


def _is_shard(path: str) -> bool:
    """A shard, or what a killed writer left of one."""
    if path.endswith(TEMPORARY):
        path = path.removeprefix(".")
    return path.startswith("train-") and "-of-" in path


def _sizes(manifest: dict[str, Any]) -> dict[str, int]:
    return {shard["name"]: shard["size"] for shard in manifest["shards"]}


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
