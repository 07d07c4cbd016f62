"""Kept instructions as exports see them: a picture, what is asked of it, and where it comes from.

What is trained is not what a model was asked to write it. The words of training are made here, and
`provenance` keeps the words of generation with model, price, source and licence.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa

from operators.export_conversations import MARK
from operators.export_documents import Document, Image, ImageFiles, harmless
from operators.export_format import (
    JsonLines,
    JsonList,
    ParquetRows,
    Row,
    RowsOf,
    ShardWriter,
    to_json,
)
from schemas.columns import COLUMNS, INSTRUCTION
from schemas.job import ExportSpec

BORN = tuple(field.name for field in INSTRUCTION)
ADDED = tuple(
    name
    for name, column in COLUMNS.items()
    if column.level == "instruction" and name not in (*BORN, "image_row")
)
"""What reviews and measures say of an instruction."""
OF_IMAGE = tuple(
    name
    for name in (
        *("image_sha256", "image_format", "image_width", "image_height", "image_route"),
        *("image_licence", "page_url", "page_title", "image_alt", "image_caption", "image_text"),
        *("caption_en", "caption_zh"),
    )
    if name in COLUMNS
)
"""What is written of an instruction's picture where it is known, besides its address."""
_ROWS_AT_ONCE = {True: 8, False: 512}
"""With image bytes and without."""
TOLD = {
    "kind": "instruction_kind",
    "domain": "instruction_domain",
    "lang": "instruction_lang",
    "source": "instruction_source",
    "licence": "instruction_licence",
    "image_url": "image_url",
    "image_sha256": "image_sha256",
    "image_licence": "image_licence",
    "page_url": "page_url",
    "generation_model": "generation_model",
    "generation_prompt": "generation_prompt",
    "generation_usd": "generation_usd",
    "seeds": "seeds",
    "answer_prompt": "answer_prompt",
}
"""Keys of `provenance`, each with its column."""


@dataclass(frozen=True)
class Instruction(Document):
    """An instruction's columns and its picture's; `parts` is the picture, if there is one to write.

    A person's edit (`reviewed_turns`, `reviewed_options`) stands in place of what was written.
    """

    @property
    def name(self) -> str:
        """Its identity."""
        name: str = self.values["instruction_id"]
        return name

    @property
    def turns(self) -> list[tuple[str, str]]:
        """Question and answer of each round."""
        found = self.values.get("reviewed_turns")
        found = self.values["turns"] if found is None else found
        return [(turn["question"], turn["answer"]) for turn in found]

    @property
    def options(self) -> list[str]:
        """Texts of a multiple choice's options, A first."""
        edited: list[str] | None = self.values.get("reviewed_options")
        written: list[str] = self.values["options"]
        return written if edited is None else edited

    @property
    def trainable(self) -> bool:
        """Whether there is a picture to show and an answer to learn in each round."""
        answers = [answer for _, answer in self.turns]
        return bool(self.parts and answers and all(map(str.strip, answers)))


def instructions(table: pa.Table, spec: ExportSpec) -> Iterator[Instruction]:
    """The instructions of a table, few at a time in Python where image bytes come with them.

    The columns of a row's picture stand beside those of the row. There is no picture to write where
    it has no address or, in an export with image bytes, no bytes.
    """
    most = _ROWS_AT_ONCE["image_data" in table.column_names]
    for start in range(0, table.num_rows, most):
        for row in table.slice(start, most).to_pylist():
            shown = row["image_url"] if spec.images == "urls" else row["image_data"]
            image = Image(row["image_url"] or "", values=row)
            yield Instruction(row, [image] if shown else [])


# --- What is trained -----------------------------------------------------------------------------


def letter(number: int) -> str:
    """The letter of an option, from 0."""
    return chr(ord("A") + number)


def asked(instruction: Instruction) -> list[tuple[str, str]]:
    """What a trainer says and what it is to learn, for each round.

    A round is the question, in the first one the options (`A. …`), and the words that ask for the
    form of the answer, a line each.
    """
    options = [f"{letter(number)}. {text}" for number, text in enumerate(instruction.options)]
    form = instruction.values["answer_prompt"]
    found = []
    for number, (question, answer) in enumerate(instruction.turns):
        lines = (question, *(options if number == 0 else ()), form)
        found.append((harmless("\n".join(filter(None, lines))), harmless(answer)))
    return found


def said(instruction: Instruction) -> list[dict[str, str]]:
    """The rounds as LLaVA, InternVL and MMInstruct write them, the picture's mark first."""
    found: list[dict[str, str]] = []
    for number, (question, answer) in enumerate(asked(instruction)):
        marked = "\n".join(filter(None, (MARK, question))) if number == 0 else question
        found.append({"from": "human", "value": marked})
        found.append({"from": "gpt", "value": answer})
    return found


# --- Where it comes from -------------------------------------------------------------------------


def provenance(instruction: Instruction) -> Row:
    """What is known of an instruction that no trainer reads; unknown is null.

    `edited` tells that a person changed it; `measures` has what was measured and reviewed, but for
    lists.
    """
    values = instruction.values
    edits = (values.get("reviewed_turns"), values.get("reviewed_options"))
    known = {name: values.get(name) for name in ADDED}
    return {key: values.get(name) for key, name in TOLD.items()} | {
        "edited": any(edit is not None for edit in edits),
        "measures": {name: value for name, value in known.items() if _plain(value)},
    }


def _plain(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, str | bool | int)


# --- Writers -------------------------------------------------------------------------------------


class OfInstructions(ShardWriter):
    """A writer whose tables are of instructions."""

    def write(self, table: pa.Table) -> None:
        for instruction in instructions(table, self.spec):
            self.add(instruction)


class InstructionLines(OfInstructions, JsonLines):
    """JSON lines of instructions."""


class InstructionList(OfInstructions, JsonList):
    """One JSON list of instructions."""


class InstructionParquet(OfInstructions, ParquetRows):
    """Parquet of instructions."""


Named = Callable[[Any], Iterable[tuple[list[str], Row]]]


class LinesAndFiles(InstructionLines):
    """JSON lines, and beside them files of the shard's own.

    `named` gives rows of an instruction, each with the files that it goes to, by path below the
    target. They are put in place when the shard is closed, so before the shard itself.
    """

    def __init__(
        self,
        path: Path,
        name: str,
        spec: ExportSpec,
        rows: RowsOf,
        named: Named,
        images: ImageFiles,
    ) -> None:
        super().__init__(path, name, spec, rows)
        self._named, self._images = named, images
        self._folder = TemporaryDirectory(prefix="omniloom-")
        self._waiting: dict[str, list[str]] = {}
        self._local: dict[str, Path] = {}

    def write(self, table: pa.Table) -> None:
        """Append the instructions of a table; no file stays open between two tables."""
        super().write(table)
        for path, lines in self._waiting.items():
            local = self._local.setdefault(path, Path(self._folder.name, str(len(self._local))))
            with local.open("ab") as file:
                file.write("".join(lines).encode())
        self._waiting = {}

    def add(self, document: Document) -> None:
        super().add(document)
        for paths, row in self._named(document):
            line = to_json(row) + "\n"
            for path in paths:
                self._waiting.setdefault(path, []).append(line)

    def close(self) -> None:
        super().close()
        for path in sorted(self._local):
            self._images.put_own(path, self._local[path])
        self._folder.cleanup()
