"""Exports: views of kept documents as trainers read them.

A format turns a batch of documents into a batch of its own rows; how rows become files of the
right size is the engine's business.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.omnicorpus import OMNICORPUS


class ShardWriter(ABC):
    """Writes one shard file, batch by batch. The same documents give the same bytes.

    Documents that have nothing to say in the format are left out; `rows` counts the others.
    """

    def __init__(self, path: Path, row_group_rows: int) -> None:
        self.path = path
        self.row_group_rows = row_group_rows
        self.rows = 0

    @abstractmethod
    def write(self, documents: pa.Table) -> None:
        """Append the documents (columns: the format's `reads`)."""

    @abstractmethod
    def close(self) -> None:
        """Finish the file."""


class Format(ABC):
    """A named export format."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    ending: ClassVar[str]
    reads: ClassVar[tuple[str, ...]]
    takes: ClassVar[tuple[str, ...]] = ()
    """Columns that are written too where they are measured."""
    meaning: ClassVar[str]

    @staticmethod
    @abstractmethod
    def count(data: bytes) -> int:
        """Rows of a finished shard."""

    @staticmethod
    @abstractmethod
    def writer(path: Path, row_group_rows: int) -> ShardWriter:
        """A writer for one shard; `row_group_rows` matters to Parquet only."""


# --- OmniCorpus ---------------------------------------------------------------------------------


class OmniCorpusFormat(Format):
    """The published schema of OmniCorpus-CC: parallel `images` and `texts`."""

    name = "omnicorpus"
    ending = "parquet"
    reads = ("doc_id", "url", "domain", "nodes")
    takes = (
        "fluency_prob",
        "non_advertisement_prob",
        "politics_prob",
        "porn_prob",
        "toxic_prob",
    )
    meaning = "Parquet in the published schema of OmniCorpus-CC"

    @staticmethod
    def count(data: bytes) -> int:
        """As the file's footer says."""
        rows: int = pq.read_metadata(pa.BufferReader(data)).num_rows
        return rows

    @staticmethod
    def writer(path: Path, row_group_rows: int) -> ShardWriter:
        """Zstd-compressed Parquet with the explicit schema and small row groups."""
        return _ParquetWriter(path, row_group_rows)


class _ParquetWriter(ShardWriter):
    def __init__(self, path: Path, row_group_rows: int) -> None:
        super().__init__(path, row_group_rows)
        self._writer = pq.ParquetWriter(path, OMNICORPUS, compression="zstd")
        self._waiting: list[dict[str, Any]] = []

    def write(self, documents: pa.Table) -> None:
        for row in documents.to_pylist():
            if not row["nodes"]:
                continue
            self.rows += 1
            self._waiting.append(omnicorpus_row(row))
            if len(self._waiting) == self.row_group_rows:
                self._flush()

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.Table.from_pylist(self._waiting, schema=OMNICORPUS))
            self._waiting = []

    def close(self) -> None:
        self._flush()
        self._writer.close()


def omnicorpus_row(document: dict[str, Any]) -> dict[str, Any]:
    """A document in OmniCorpus's terms; what no stage has measured is null."""
    nodes = document["nodes"] or []
    images = [node["image_url"] if node["kind"] == "image" else None for node in nodes]
    return {
        "general_metadata": {
            "id": document["doc_id"],
            "url": document["url"],
            "domain": [document["domain"]] if document["domain"] else [],
            **{name: document[name] for name in OmniCorpusFormat.takes if name in document},
        },
        "images": images,
        "texts": [node["text"] if node["kind"] != "image" else None for node in nodes],
        "metadata": [{"img_url_sha": _sha256(url)} if url else None for url in images],
    }


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


# --- Plain text ---------------------------------------------------------------------------------


class TextFormat(Format):
    """Text only, one JSON object a line: `id`, `url`, `text` (nodes joined by blank lines)."""

    name = "text"
    ending = "jsonl.gz"
    reads = ("doc_id", "url", "nodes")
    meaning = "gzipped JSON lines with id, url and text"

    @staticmethod
    def count(data: bytes) -> int:
        """Lines of the unpacked file."""
        with gzip.open(io.BytesIO(data)) as lines:
            return sum(1 for _ in lines)

    @staticmethod
    def writer(path: Path, row_group_rows: int) -> ShardWriter:
        """Gzip without a time stamp, so that equal documents give equal bytes."""
        return _TextWriter(path, row_group_rows)


class _TextWriter(ShardWriter):
    def __init__(self, path: Path, row_group_rows: int) -> None:
        super().__init__(path, row_group_rows)
        self._handle = path.open("wb")
        self._gzip = gzip.GzipFile("", "wb", 6, self._handle, mtime=0)
        self._stream = io.TextIOWrapper(self._gzip, encoding="utf-8", newline="\n")

    def write(self, documents: pa.Table) -> None:
        for line in text_lines(documents):
            self.rows += 1
            self._stream.write(line)

    def close(self) -> None:
        self._stream.close()
        self._gzip.close()
        self._handle.close()


def text_lines(documents: pa.Table) -> Iterator[str]:
    """One JSON line a document that has text."""
    for row in documents.to_pylist():
        text = "\n\n".join(node["text"] for node in row["nodes"] or [] if node["text"])
        if text:
            record = {"id": row["doc_id"], "url": row["url"], "text": text}
            yield json.dumps(record, ensure_ascii=False) + "\n"


FORMATS: dict[str, type[Format]] = {kind.name: kind for kind in (OmniCorpusFormat, TextFormat)}
