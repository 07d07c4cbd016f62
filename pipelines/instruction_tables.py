"""What the command line prints of one picture or instruction: what is known, asked and decided."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.table import Table

from operators.verifiers import letter_in
from pipelines.corpus import Corpus
from pipelines.rows import Instruction, JudgedRow, PictureRow
from pipelines.tables import console, print_errors, safe, verdict_table
from schemas.errors import CorpusError

_TEXT = 300
_PROMPT = 600
_PROMPTS = ("caption_prompt", "generation_prompt")
_SHOWN_APART = ("instruction_id", "image_url", "turns", "options", "reviewed_turns", *_PROMPTS)


def print_explained(corpus: Corpus, key: str) -> None:
    """Everything about the instruction with this identity, or the picture at this address.

    Raises:
        CorpusError: there is neither.
    """
    try:
        instruction = corpus.instruction(key)
    except CorpusError:
        try:
            picture = corpus.picture(key)
        except CorpusError:
            raise CorpusError(
                f"no instruction and no picture '{key}' in {corpus.store.files.root} "
                f"(job {corpus.job}); give an instruction_id, or an image_url as the inputs have it"
            ) from None
        _print_picture(picture)
        _print_list(picture.instructions)
        return
    _print_instruction(instruction)
    console().print("\n[bold]its picture[/bold]")
    _print_picture(instruction.picture)


def _print_picture(picture: PictureRow) -> None:
    out = console()
    out.print(f"[bold]{safe(picture.url)}[/bold]   {_outcome(picture)}")
    _print_values(picture.values)
    _print_prompt(picture.values.get("caption_prompt"), "description")
    print_errors(picture)
    out.print(verdict_table(picture))


def _print_instruction(instruction: Instruction) -> None:
    out = console()
    out.print(f"[bold]{safe(instruction.instruction_id)}[/bold]   {_outcome(instruction)}")
    for turn in instruction.turns:
        out.print(f"  [bold]Q[/bold] {safe(turn['question'])}")
        right = letter_in(turn["answer"], instruction.options) if instruction.options else None
        for letter, option in zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", instruction.options, strict=False):
            out.print(f"    {letter}. {safe(option)}{'  (right)' if letter == right else ''}")
        out.print(f"  [bold]A[/bold] {safe(turn['answer'])}")
    _print_values(instruction.values)
    _print_prompt(instruction.values.get("generation_prompt"), "instruction")
    print_errors(instruction)
    out.print(verdict_table(instruction))


def _outcome(row: JudgedRow) -> str:
    return "kept" if row.kept else safe(f"dropped by {row.dropped_by}")


def _print_values(values: Mapping[str, Any]) -> None:
    """What is known and short enough to be read: not vectors, nor tables of instructions."""
    table = Table(box=None, padding=(0, 2, 0, 2), show_header=False)
    table.add_column("column", no_wrap=True)
    table.add_column("value", overflow="fold")
    for name, value in values.items():
        if name not in _SHOWN_APART and value is not None and not _is_long_list(value):
            table.add_row(name, safe(_cut(str(value), _TEXT)))
    console().print(table)


def _is_long_list(value: object) -> bool:
    items = isinstance(value, list)
    return items and (not value or not isinstance(value[0], str))  # type: ignore[index]  # a list


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]} … {len(text) - most:,} more characters"


def _print_prompt(prompt: str | None, what: str) -> None:
    if prompt:
        text = "\n".join(f"  | {line}" for line in _cut(prompt, _PROMPT).splitlines())
        console().print(f"  the {what} was asked for with\n{safe(text)}")


def _print_list(instructions: Iterable[Instruction]) -> None:
    """The instructions about a picture, a line each."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("instruction_id", "kind", "lang", "question", "outcome"):
        table.add_column(name, no_wrap=True, overflow="ellipsis")
    for one in instructions:
        question = one.turns[0]["question"] if one.turns else ""
        names = (one.values[f"instruction_{name}"] for name in ("kind", "lang"))
        table.add_row(one.instruction_id, *names, safe(question), _outcome(one))
    if table.row_count:
        console().print("", table)
