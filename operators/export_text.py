"""Export of the text alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, ClassVar

from operators.export_documents import Document, ImageFiles
from operators.export_format import Format, JsonLines, Row, count_lines


class TextFormat(Format):
    """Text only, one JSON object a line: `id`, `url`, `text` (nodes joined by blank lines)."""

    name = "text"
    meaning = "gzipped JSON lines with id, url and text"
    consumer = "language model trainers, datasets"
    variants: ClassVar = {"jsonl.gz": "jsonl.gz"}
    images = ("urls",)
    orders = ("natural",)
    reads = ("doc_id", "url", "nodes")

    def count(self, file: BinaryIO) -> int:
        return count_lines(file, self.ending)

    def writer(self, path: Path, name: str, images: ImageFiles) -> JsonLines:
        return JsonLines(path, name, self.spec, text_rows)


def text_rows(document: Document) -> Iterator[Row]:
    """A row for a document that has text."""
    text = "\n\n".join(part.text for part in document.texts)
    if text:
        yield {"id": document.values["doc_id"], "url": document.values["url"], "text": text}
