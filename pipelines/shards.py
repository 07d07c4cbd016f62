"""One export file: which kept documents it holds, and how it is written."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from operators.export import FORMATS
from operators.files import Files
from operators.masking import SPANS, masked_nodes
from pipelines.plan import exported_columns
from pipelines.work import PlainTask, Worker
from schemas.job import ExportSpec
from schemas.tables import DOCUMENTS


@dataclass(frozen=True)
class Slice:
    """Kept documents `start` to `stop` of a unit, and the stage files that hold their columns."""

    unit: str
    start: int
    stop: int
    files: dict[str, str]


@dataclass(frozen=True)
class ShardRecord:
    """A finished shard file."""

    name: str
    rows: int
    size: int
    sha256: str


@dataclass(frozen=True)
class ShardTask(PlainTask):
    """Write one export file."""

    export: ExportSpec
    name: str
    slices: tuple[Slice, ...]

    @property
    def key(self) -> str:
        return f"shard {self.name}"

    @property
    def weight(self) -> int:
        return sum(part.stop - part.start for part in self.slices)

    def run(self, worker: Worker) -> ShardRecord:
        """Write to a temporary file, then put it in place whole."""
        kind = FORMATS[self.export.format]
        with tempfile.TemporaryDirectory(prefix="omniloom-") as folder:
            path = Path(folder) / "shard"
            writer = kind.writer(path, self.export.row_group_rows)
            names = exported_columns(worker.plan, kind.name)
            for part in self.slices:
                writer.write(kept_documents(worker, part, names, self.export.mask_pii))
            writer.close()
            data = path.read_bytes()
        Files(self.export.to).write(self.name, data)
        return ShardRecord(self.name, writer.rows, len(data), hashlib.sha256(data).hexdigest())


def kept_documents(
    worker: Worker, part: Slice, names: Iterable[str], mask: Sequence[str] = ()
) -> pa.Table:
    """The named columns of a slice's kept documents, without the nodes that rules dropped.

    Personal data of the kinds in `mask` is replaced by tags in the texts of nodes.
    """
    plan, store = worker.plan, worker.store
    verdicts = store.read(f"{plan.folder}/{part.unit}.parquet")
    chosen = pc.indices_nonzero(verdicts["kept"].combine_chunks())[part.start : part.stop]
    paths = dict.fromkeys(DOCUMENTS.born.names, f"units/{part.unit}.parquet")
    for stage in plan.stages:
        path = f"{stage.folder}/{part.files[stage.name]}.parquet"
        paths |= dict.fromkeys(stage.operator.writes.names, path)
    documents = store.zipped(paths, names).take(chosen)
    if "nodes" not in documents.column_names:
        return documents
    nodes = documents["nodes"]
    if mask:
        nodes = masked_nodes(nodes, store.zipped(paths, [SPANS])[SPANS].take(chosen), mask)
    if "nodes_kept" in verdicts.column_names:
        nodes = surviving_nodes(nodes, verdicts["nodes_kept"].take(chosen))
    return documents.set_column(documents.column_names.index("nodes"), "nodes", nodes)


def surviving_nodes(nodes: pa.ChunkedArray, kept: pa.ChunkedArray) -> pa.Array:
    """Each document's nodes for which `kept` is true."""
    lists, masks = nodes.combine_chunks(), kept.combine_chunks()
    flat, mask = pc.list_flatten(lists), pc.list_flatten(masks)
    counts = [sum(row or []) for row in masks.to_pylist()]
    offsets = [0]
    for count in counts:
        offsets.append(offsets[-1] + count)
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), flat.filter(mask)).cast(
        lists.type
    )
