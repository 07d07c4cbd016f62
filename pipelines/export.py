"""Exports as files: which documents go into which shard, and how a target folder is committed.

A target folder goes through these states, so that a reader who waits for `_SUCCESS.json` never
sees half an export, and a killed export goes on where it was:

    _RUNNING.json {clean: false}   files of an earlier export are being removed
    _RUNNING.json {clean: true}    every shard that is there is a shard of this export
    _SUCCESS.json                  complete; written last, lists every shard with its checksum

Files beside the shards are put in place before the shard that they belong to: image files, named
after their content or address, and a shard's own files of other names. A list a shard, below
`lists/`, tells them with size and checksum.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from operators.blurring import BLURRING_VERSION
from operators.export import format_of
from operators.export_documents import ImageFiles
from operators.files import TEMPORARY, Files
from operators.masking import MASKING_VERSION, SPANS
from pipelines.plan import Plan, fingerprint, output_schema
from pipelines.shards import FileRecord, ShardRecord, ShardTask, Slice, kept_documents
from pipelines.store import InputRecord, UnitRecord
from pipelines.summary import Summary, code_version, reference
from pipelines.work import Worker
from schemas.errors import ExportError, JobError
from schemas.job import ExportSpec
from schemas.tables import DOCUMENTS, IMAGES, INSTRUCTIONS

SUCCESS = "_SUCCESS.json"
RUNNING = "_RUNNING.json"
_SAMPLE_DOCUMENTS = 200

_NAMES = re.compile(
    r"(train|provenance)-\d{5,}-of-\d{5,}\.\w+(\.\w+)?"
    r"|data/docs_shard_\d+_v2\.jsonl\.zip"
    r"|lists/\d{5,}-of-\d{5,}\.jsonl"
    r"|images/[0-9a-f]{2}/[0-9a-f]{64}\.\w+"
    r"|images/[0-9a-f]{64}"
    r"|jsons_all/(caption|qa)_\w+(-\d{5,}-of-\d{5,})?\.jsonl"
    r"|jsons_per_domain/(caption|qa)_per_domain/[\w-]+?(-\d{5,}-of-\d{5,})?\.jsonl"
    r"|(meta|length|shard_id_range|sizes|dataset_info)\.json"
)
"""What exports write below their target, besides the markers."""
RunTasks = Callable[[Sequence[ShardTask]], Iterable[tuple[ShardTask, ShardRecord]]]


class Export:
    """One export of one plan's kept documents."""

    def __init__(self, plan: Plan, spec: ExportSpec, contents: str) -> None:
        self.plan = plan
        self._check_masking(spec)
        self.files = Files(spec.to)
        self.format = format_of(spec)
        self.spec = self.format.spec
        self.table = self.format.table
        self.identity = fingerprint(
            plan.fingerprint,
            *([plan.of(self.table).fingerprint] if self.table != plan.table.name else []),
            contents,
            (self.format.name, self.format.version),
            self.spec.model_dump(exclude={"to", "format"}),
            MASKING_VERSION if spec.mask_pii else None,
            *([BLURRING_VERSION] if spec.blur_faces else []),
        )

    def _check_masking(self, spec: ExportSpec) -> None:
        """What cannot be masked is not exported as if it were."""
        if not spec.mask_pii or SPANS in output_schema(self.plan).names:
            return
        exports = self.plan.jobfile.job.export
        path = ("export", exports.index(spec)) if spec in exports else ()
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
        damaged = any(present.get(name) != size for name, size in _others(manifest).items())
        if damaged or self._incomplete(manifest, present):
            return None
        return [self.files.uri(shard["name"]) for shard in manifest["shards"]]

    def write(
        self,
        records: Sequence[UnitRecord],
        inputs: Sequence[InputRecord],
        summary: Summary,
        run: RunTasks,
    ) -> list[str]:
        """Write the shards that are not there yet, then the manifest.

        `records` are those of the units whose rows are written.

        Raises:
            ExportError: the target holds files that no export wrote.
        """
        self._claim()
        tasks = self._tasks(records)
        present = {info.path: info.size for info in self.files.list()}
        made: dict[str, ShardRecord] = {
            task.name: self._existing(task, present) for task in tasks if task.name in present
        }
        for _, record in run([task for task in tasks if task.name not in present]):
            made[record.name] = record
        shards = [made[task.name] for task in tasks]
        others = self._companions(shards)
        self._abort_uploads()
        self._write(SUCCESS, self._manifest(shards, others, inputs, summary))
        self.files.delete(RUNNING)
        return [self.files.uri(shard.name) for shard in shards]

    def _companions(self, shards: Sequence[ShardRecord]) -> list[FileRecord]:
        """Write the small files that readers of the format want besides the shards."""
        found = self.format.companions([(shard.name, shard.rows) for shard in shards])
        for name, data in found.items():
            self.files.write(name, data)
        return [
            FileRecord(name, len(data), hashlib.sha256(data).hexdigest())
            for name, data in found.items()
        ]

    def _incomplete(self, manifest: dict[str, Any], present: dict[str, int]) -> list[str]:
        """Shards of the manifest that are damaged, or whose image files are."""
        return [
            shard["name"]
            for shard in manifest["shards"]
            if present.get(shard["name"]) != shard["size"]
            or any(present.get(n) != size for n, size in self._images(shard, present).items())
        ]

    def _images(self, shard: dict[str, Any], present: dict[str, int]) -> dict[str, int]:
        """The sizes of a shard's list of image files, and of the files in it."""
        listed = shard["images"]
        if listed is None:
            return {}
        sizes = {listed["name"]: listed["size"]}
        if present.get(listed["name"]) == listed["size"]:
            lines = self.files.read(listed["name"]).splitlines()
            sizes |= {image["path"]: image["size"] for image in map(json.loads, lines)}
        return sizes

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
        foreign = [path for path in present if not _is_ours(path)]
        if foreign:
            raise self._foreign(", ".join(sorted(foreign)[:3]))
        marker = {"job_name": self.plan.jobfile.name, "identity": self.identity, "clean": False}
        sizes = self._intact(success, present) if success and ours else {}
        self._write(RUNNING, marker)
        self.files.delete(SUCCESS)
        for path, size in present.items():
            if sizes.get(path) != size:
                self.files.delete(path)
        self._abort_uploads()
        self._write(RUNNING, marker | {"clean": True})

    def _abort_uploads(self) -> None:
        """Throw away what killed uploads of ours have left: it is paid for and seen by nobody."""
        for path in self.files.unfinished():
            if _is_ours(path):
                self.files.abort(path)

    def _intact(self, manifest: dict[str, Any], present: dict[str, int]) -> dict[str, int]:
        """Sizes of the files that may stay: those of shards that are complete with their images."""
        damaged = self._incomplete(manifest, present)
        sizes: dict[str, int] = {}
        for shard in manifest["shards"]:
            sizes |= self._images(shard, present)
            if shard["name"] not in damaged:
                sizes[shard["name"]] = shard["size"]
        return sizes

    def _existing(self, task: ShardTask, present: dict[str, int]) -> ShardRecord:
        """A shard that an earlier attempt at this export has written."""
        with self.files.open(task.name) as file:
            rows = self.format.count(file)
        listed = self._record(task.image_list) if task.image_list in present else None
        shard = self._record(task.name)
        return ShardRecord(task.name, rows, shard.size, shard.sha256, listed)

    def _record(self, name: str) -> FileRecord:
        with self.files.open(name) as file:
            size = file.size()
        return FileRecord(name, size, self.files.sha256(name))

    # Which documents go where

    def _tasks(self, records: Sequence[UnitRecord]) -> list[ShardTask]:
        """Shards of about equal size, each a run of documents in corpus order."""
        kept = [record for record in records if record.kept]
        weights = [self._weight(record) for record in kept]
        expected = sum(weights) * self._ratio(kept)
        count = max(1, round(expected / (self.spec.shard_mb * 1e6)))
        groups = _split(kept, weights, count, self.table)
        return [self._task(index, len(groups), slices) for index, slices in enumerate(groups)]

    def _task(self, index: int, count: int, slices: Sequence[Slice]) -> ShardTask:
        name = self.format.shard_name(index, count)
        listed = f"lists/{index:05d}-of-{count:05d}.jsonl"
        return ShardTask(self.spec, name, tuple(slices), listed)

    def _weight(self, record: UnitRecord) -> int:
        """How much of a shard a unit's rows are: bytes of documents' pages, or rows."""
        return record.kept_bytes if self.table == DOCUMENTS.name else record.kept

    def _ratio(self, kept: Sequence[UnitRecord]) -> float:
        """Bytes of a shard per byte of page, or per row, measured on the first kept rows."""
        worker, parts, wanted = Worker(self.plan), [], _SAMPLE_DOCUMENTS
        for record in kept:
            parts.append(_slice(record, 0, min(record.kept, wanted), self.table))
            wanted -= parts[-1].stop
            if not wanted:
                break
        if not parts:
            return 0.0
        sample = self._task(0, 1, parts)
        size = self._size(sample.documents(worker)) - self._size([])
        return size / max(sum(_weight(worker, part) for part in parts), 1)

    def _size(self, tables: Iterable[pa.Table]) -> int:
        with tempfile.TemporaryDirectory(prefix="omniloom-") as folder:
            path = Path(folder) / "sample"
            writer = self.format.writer(path, self.format.shard_name(0, 1), ImageFiles())
            for table in tables:
                writer.write(table)
            writer.close()
            return path.stat().st_size

    def _manifest(
        self,
        shards: Sequence[ShardRecord],
        others: Sequence[FileRecord],
        inputs: Sequence[InputRecord],
        summary: Summary,
    ) -> dict[str, Any]:
        chosen = ("images", "order", "variant")
        return {
            "job_name": self.plan.jobfile.name,
            "identity": self.identity,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "code": code_version(),
            "format": {
                "name": self.format.name,
                "version": self.format.version,
                **{name: getattr(self.spec, name) for name in chosen},
            },
            "mask_pii": list(self.spec.mask_pii),
            "blur_faces": self.spec.blur_faces,
            "rows": sum(shard.rows for shard in shards),
            "shards": [asdict(shard) for shard in shards],
            "files": [asdict(file) for file in others],
            "job": self.plan.jobfile.job.model_dump(mode="json"),
            "inputs": [
                {"uri": found.uri, "sha256": found.sha256, "size": found.size} for found in inputs
            ],
            **{
                k: v
                for k, v in reference(self.plan, []).items()
                if k in ("stages", "rules", IMAGES.name, INSTRUCTIONS.name)
            },
            "funnel": asdict(summary),
        }


def _is_ours(path: str) -> bool:
    """A file that an export writes, or what a killed writer left of one."""
    folder, slash, name = path.rpartition("/")
    if name.endswith(TEMPORARY):
        name = re.sub(r"^\.|\.\d+$", "", name.removesuffix(TEMPORARY))
    return bool(_NAMES.fullmatch(folder + slash + name))


def _others(manifest: dict[str, Any]) -> dict[str, int]:
    return {file["name"]: file["size"] for file in manifest["files"]}


def _weight(worker: Worker, part: Slice) -> int:
    if part.table != DOCUMENTS.name:
        return part.stop - part.start
    table = kept_documents(worker, part, ["payload_bytes"])
    return sum(table["payload_bytes"].to_pylist())


def _slice(record: UnitRecord, start: int, stop: int, table: str) -> Slice:
    return Slice(record.unit, start, stop, record.files, table)


def _split(
    kept: Sequence[UnitRecord], weights: Sequence[int], count: int, table: str
) -> list[list[Slice]]:
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
            groups[-1].append(_slice(record, start, start + fits, table))
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
