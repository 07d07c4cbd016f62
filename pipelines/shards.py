"""One export file: which kept documents it holds, and how it is written."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import compress, islice
from operator import not_
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from operators.blurring import with_blurred_faces
from operators.export import format_of
from operators.export_documents import BYTES, Beside, ImageFiles
from operators.export_format import to_json
from operators.files import Files
from operators.masking import SPANS, masked_nodes
from pipelines.plan import exported_columns
from pipelines.seen import columns_seen
from pipelines.work import PlainTask, Worker
from schemas.columns import COLUMNS
from schemas.job import ExportSpec
from schemas.tables import DOCUMENTS

_DOCUMENTS_WITH_BYTES = 128
"""Documents that are read at once when their images' bytes come with them."""
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Slice:
    """Kept documents `start` to `stop` of a unit, and the stage files that hold their columns."""

    unit: str
    start: int
    stop: int
    files: dict[str, str]
    table: str = DOCUMENTS.name

    def pieces(self, most: int) -> Iterator[Slice]:
        """The slice as slices of at most `most` documents."""
        for start in range(self.start, self.stop, most):
            yield replace(self, start=start, stop=min(start + most, self.stop))


@dataclass(frozen=True)
class FileRecord:
    """A finished file of an export."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class ShardRecord:
    """A finished shard file, and the list of the files beside it (`images`), if there are any."""

    name: str
    rows: int
    size: int
    sha256: str
    images: FileRecord | None = None


@dataclass(frozen=True)
class ShardTask(PlainTask):
    """Write one export file, and before it the files beside it and their list."""

    export: ExportSpec
    name: str
    slices: tuple[Slice, ...]
    image_list: str
    """Where the list of the files beside it is put, if there are any."""

    @property
    def key(self) -> str:
        return f"shard {self.name}"

    @property
    def weight(self) -> int:
        return sum(part.stop - part.start for part in self.slices)

    def run(self, worker: Worker) -> ShardRecord:
        """Write to a temporary file, then put it in place whole, after the files beside it.

        So a shard that is there is complete.
        """
        files = Files(self.export.to)
        images = ImageFiles(files)
        with tempfile.TemporaryDirectory(prefix="omniloom-") as folder:
            path = Path(folder) / "shard"
            writer = format_of(self.export).writer(path, self.name, images)
            for documents in self.documents(worker):
                writer.write(documents)
            writer.close()
            listed = self._put_list(files, images.written.values())
            record = put(files, self.name, path)
        return ShardRecord(self.name, writer.rows, record.size, record.sha256, listed)

    def documents(self, worker: Worker) -> Iterator[pa.Table]:
        """The shard's documents, few at a time when their images' bytes come with them."""
        names = exported_columns(worker.plan, self.export)
        for part in self.slices:
            most = _DOCUMENTS_WITH_BYTES if BYTES[0] in names else part.stop - part.start
            for piece in part.pieces(max(most, 1)):
                documents = kept_documents(worker, piece, names, self.export.mask_pii)
                yield with_blurred_faces(documents) if self.export.blur_faces else documents

    def _put_list(self, files: Files, written: Iterable[Beside]) -> FileRecord | None:
        lines = "".join(to_json(asdict(image)) + "\n" for image in written)
        if not lines:
            return None
        data = lines.encode()
        files.write(self.image_list, data)
        return FileRecord(self.image_list, len(data), hashlib.sha256(data).hexdigest())


def put(files: Files, name: str, path: Path) -> FileRecord:
    """Put a local file in place, whole."""
    return FileRecord(name, path.stat().st_size, files.put(name, path))


def kept_documents(
    worker: Worker, part: Slice, names: Iterable[str], mask: Sequence[str] = ()
) -> pa.Table:
    """The named columns of a slice's kept documents, without the nodes that rules dropped.

    Columns along nodes, those of images too, and `clip_similarity` lose the dropped nodes'
    entries. Personal data of the kinds in `mask` is replaced by tags in the texts of nodes.
    """
    plan, store = worker.plan.of(part.table), worker.store
    verdicts = store.read(f"{plan.folder}/{part.unit}.parquet")
    chosen = pc.indices_nonzero(verdicts["kept"].combine_chunks())[part.start : part.stop]
    paths = plan.column_paths(part.unit, part.files)
    documents = columns_seen(store, worker.plan, plan.table, part.unit, paths, names, rows=chosen)
    if "nodes" not in documents.column_names:
        return documents
    if mask:
        spans = store.zipped(paths, [SPANS])[SPANS].take(chosen)
        documents = _replaced(documents, "nodes", masked_nodes(documents["nodes"], spans, mask))
    if "nodes_kept" in verdicts.column_names:
        documents = without_dropped(documents, verdicts["nodes_kept"].take(chosen))
    return documents


def without_dropped(documents: pa.Table, kept: pa.ChunkedArray) -> pa.Table:
    """The documents without the nodes for which `kept` (a list along nodes) is false.

    Raises:
        ValueError: a column is not along the nodes, or `clip_similarity` not of them.
    """
    if "clip_similarity" in documents.column_names:
        cut = _surviving_similarity(documents, kept)
        documents = _replaced(documents, "clip_similarity", cut)
    for name in documents.column_names:
        along = name in COLUMNS and COLUMNS[name].level in ("node", "image")
        if name == "nodes" or along:
            documents = _replaced(documents, name, surviving(documents[name], kept, name))
    return documents


def _replaced(documents: pa.Table, name: str, values: pa.Array | pa.ChunkedArray) -> pa.Table:
    return documents.set_column(documents.column_names.index(name), name, values)


def surviving(lists: pa.ChunkedArray, kept: pa.ChunkedArray, name: str) -> pa.Array:
    """The entries of a column along nodes for which `kept` is true; a null list stays null.

    Raises:
        ValueError: the lists are not as long as those of `kept`.
    """
    values = lists.combine_chunks()
    lengths = pc.list_value_length(values).to_pylist()
    offsets = [0]
    mask: list[bool] = []
    for length, row in zip(lengths, kept.to_pylist(), strict=True):
        if length is not None and length != len(row or ()):
            raise ValueError(f"'{name}' does not hold an entry for each node of each document")
        own = row or [] if length is not None else []
        mask += own
        offsets.append(offsets[-1] + sum(own))
    cut = pc.list_flatten(values).filter(pa.array(mask, pa.bool_()))
    found = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), cut, mask=values.is_null())
    return found.cast(values.type)


def _surviving_similarity(documents: pa.Table, kept: pa.ChunkedArray) -> pa.Array:
    """`clip_similarity` with the rows of kept image nodes and the columns of kept text nodes.

    Raises:
        ValueError: a matrix is not as large as the document's nodes say.
    """
    column = documents["clip_similarity"]
    nodes = documents["nodes"].combine_chunks()
    kinds = iter(pc.struct_field(pc.list_flatten(nodes), "kind").to_pylist())
    lengths = pc.fill_null(pc.list_value_length(nodes), 0).to_pylist()
    found: list[list[list[float] | None] | None] = []
    for matrix, length, row in zip(column.to_pylist(), lengths, kept.to_pylist(), strict=True):
        images = [kind == "image" for kind in islice(kinds, length)]
        stays = row or []
        rows, texts = compress(stays, images), compress(stays, map(not_, images))
        found.append(None if matrix is None else _cut(matrix, list(rows), list(texts)))
    return pa.array(found, column.type)


def _cut(
    matrix: list[list[float] | None], rows: list[bool], texts: list[bool]
) -> list[list[float] | None]:
    wide = {len(row) for row in matrix if row is not None}
    if len(matrix) != len(rows) or wide - {len(texts)}:
        raise ValueError("'clip_similarity' is not of a document's image nodes and text nodes")
    return [row if row is None else list(compress(row, texts)) for row in compress(matrix, rows)]
