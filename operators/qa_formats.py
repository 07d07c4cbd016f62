"""How public sets of questions are written: from their files to what each row asks.

A format yields a `Record` a row, or why there is none; what a record says is read when it is asked
for, so that one bad row costs no other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from operators.files import expand, is_remote
from operators.qa_content import (
    BadRow,
    Question,
    answer_of,
    is_choice,
    options_in,
    options_of,
    text_of,
)
from operators.qa_files import QaFile, listing, opened, read_json, shown
from schemas.errors import InputError, did_you_mean

FormatName = Literal[
    "llava", "internvl", "vqa_v2", "scienceqa", "multiple_choice", "answers", "columns"
]
_MARK = "<image>"
_IMAGES = (
    "image", "images", "imgname", "image_path", "image_file", "image_filename", "img", "file_name",
    "image_url", "image_id",
)  # fmt: skip
_QUESTIONS = ("question", "query")
_ANSWERS = (
    "answer", "correct_choice_idx", "label", "answers", "multiple_choice_answer", "direct_answers",
)  # fmt: skip
_OPTIONS = ("choices", "options")
_SPEAKERS = {"human": 0, "user": 0, "gpt": 1, "assistant": 1}


class QaColumns(BaseModel):
    """Where a table has what: names of its columns, or of an object's keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: str = Field(description="path or address of the picture, its bytes, or its number")
    question: str | None = Field(None, description="question; none for captions")
    answer: str = Field(description="answer, or a list of answers; of options a number or letter")
    options: str | tuple[str, ...] | None = Field(
        None, description="list of options, or a column for each of them, A first"
    )

    @property
    def names(self) -> list[str]:
        """All columns that are read."""
        options = (self.options,) if isinstance(self.options, str) else self.options or ()
        return [name for name in (self.image, self.question, self.answer, *options) if name]


@dataclass(frozen=True)
class Record:
    """A row as its format has it: the picture, and how to read what is asked."""

    image: Any
    question: Callable[[], Question]
    root: str
    image_name: str | None = None


@dataclass(frozen=True)
class Reading:
    """A file of a set, and what its config says of how to read it."""

    file: QaFile
    format: FormatName | None = None
    images: str | None = None
    annotations: str | None = None
    columns: QaColumns | None = None

    @property
    def root(self) -> str:
        """The folder that paths of pictures start in."""
        return self.images or folder_of(self.file.uri)


Records = Iterator[Record | BadRow]


def folder_of(uri: str) -> str:
    """The folder that a file is in."""
    return uri.rpartition("/")[0] or "."


def records(reading: Reading) -> Records:
    """The rows of a file of any format, in its order.

    Raises:
        InputError: it is none of the formats, or not the one that it is said to be.
    """
    kind = "columns" if reading.columns else reading.format or format_of(reading.file)
    return _READERS[kind](reading)


def format_of(file: QaFile) -> FormatName:
    """The format that a file looks like.

    Raises:
        InputError: none; the message tells what is in it.
    """
    whole = file.whole
    if isinstance(whole.get("annotations"), list):
        message = f"{file.uri}: these are VQA's answers"
        raise InputError(f"{message}\n    fix: give its questions in 'path', this in 'annotations'")
    if whole and all(isinstance(v, dict) and "annotation" in v for v in whole.values()):
        return "internvl"
    if whole and all(isinstance(v, dict) and "choices" in v for v in whole.values()):
        return "scienceqa"
    keys = file.keys
    if keys and "questions" in whole and not _one(keys, _ANSWERS):
        return "vqa_v2"
    if "conversations" in keys:
        return "llava"
    if _one(keys, _IMAGES) and _one(keys, _QUESTIONS):
        if _one(keys, _OPTIONS):
            return "multiple_choice"
        if _one(keys, _ANSWERS):
            return "answers"
    found = shown(whole) if whole else f"rows with {listing(keys)}" if keys else "no rows"
    fix = "set 'format', or say in 'columns' where the image, question and answer are"
    raise InputError(f"{file.uri}: cannot tell the format; found {found}\n    fix: {fix}")


def _one(keys: Iterable[str], known: Iterable[str]) -> str | None:
    """The first of the known names that there is."""
    return next((name for name in known if name in keys), None)


def _conversations(reading: Reading) -> Records:
    for raw in reading.file.rows():
        if isinstance(raw, BadRow):
            yield raw
            continue
        image = raw.get("image") if raw.get("image") is not None else raw.get("images")
        yield Record(image, partial(_dialogue, raw.get("conversations")), reading.root)


def _dialogue(said: Any) -> Question:
    """The rounds of a conversation, without the mark of the picture.

    Raises:
        BadRow: the two do not take turns, or there is more than one mark.
    """
    if not isinstance(said, list) or not all(isinstance(turn, dict) for turn in said):
        raise BadRow("a conversation is no list of turns")
    speakers = [_SPEAKERS.get(str(turn.get("from"))) for turn in said]
    if None in speakers:
        raise BadRow("a turn is from neither human nor gpt")
    if not said or speakers != [0, 1] * (len(said) // 2):
        raise BadRow("human and gpt do not take turns")
    texts = [text_of(turn.get("value")) for turn in said]
    if sum(text.count(_MARK) for text in texts) > 1:
        raise BadRow("more image marks than images")
    asked = [text.replace(_MARK, "").strip() for text in texts[::2]]
    turns = tuple(zip(asked, texts[1::2], strict=True))
    apart = options_in(asked[0]) if len(turns) == 1 else None
    if apart is None or not is_choice(turns[0][1], apart.options):
        return Question(turns)
    return replace(apart, turns=((apart.turns[0][0], turns[0][1]),))


def _of_meta(reading: Reading) -> Records:
    """InternVL's meta file: each entry is a file of conversations with its own folder of images."""
    file, here = reading.file, folder_of(reading.file.uri)
    _wants_object(file)
    for name, entry in file.whole.items():
        if not isinstance(entry, dict) or not isinstance(entry.get("annotation"), str):
            raise InputError(f"{file.uri}: entry '{name}' has no 'annotation'")
        images = reading.images or _beside(here, str(entry.get("root") or "."))
        yield from _conversations(Reading(opened(_beside(here, entry["annotation"])), None, images))


def _wants_object(file: QaFile) -> None:
    if not file.whole:
        message = (
            f"{file.uri}: found {f'rows with {listing(file.keys)}' if file.keys else 'nothing'}"
        )
        raise InputError(
            f"{message} where an object by name or number should be\n"
            "    fix: leave 'format' away; docs/qa-sets.md shows each"
        )


def _beside(folder: str, path: str) -> str:
    """A path of a meta file: as it is where it is full or leads somewhere, else from its folder."""
    if is_remote(path) or Path(path).exists():
        return path
    return f"{folder}/{path}"


def _vqa(reading: Reading) -> Records:
    """VQA v2: questions, and their answers in a second file."""
    file = reading.file
    place = reading.annotations or _answers_beside(file.uri)
    answers = read_json(place)
    if not isinstance(answers, dict) or not isinstance(answers.get("annotations"), list):
        raise InputError(f"{place}: no list 'annotations', but {shown(answers)}")
    by_id = {_number(entry): entry for entry in answers["annotations"] if isinstance(entry, dict)}
    subtype = str(file.whole.get("data_subtype") or answers.get("data_subtype") or "")
    name = f"COCO_{subtype}_{{image:012}}.jpg" if re.fullmatch(r"\w+", subtype) else None
    for raw in file.rows():
        if isinstance(raw, BadRow):
            yield raw
            continue
        found = by_id.get(_number(raw))
        if found is None:
            yield BadRow("a question without an entry in the annotations")
            continue
        said = found.get("multiple_choice_answer") or found.get("answers")
        asked = partial(_asked, raw.get("question"), said, None)
        yield Record(raw.get("image_id"), asked, reading.root, name)


def _number(entry: dict[str, Any]) -> str:
    """What questions and annotations are matched by."""
    return str(entry.get("question_id"))


def _answers_beside(questions: str) -> str:
    """VQA's name of the file of answers, from that of the questions."""
    folder, slash, name = questions.rpartition("/")
    name = name.replace("OpenEnded_", "").replace("questions", "annotations")
    found = folder + slash + name
    if found == questions or not expand(found):
        message = f"{questions}: no file of answers beside it"
        raise InputError(f"{message}\n    fix: give it in 'annotations'")
    return found


def _problems(reading: Reading) -> Records:
    """ScienceQA: problems by number, pictures below `split/number/`."""
    _wants_object(reading.file)
    for number, problem in reading.file.whole.items():
        if not isinstance(problem, dict):
            yield BadRow("a row is no object")
            continue
        image = problem.get("image")
        if isinstance(image, str) and image:
            image = f"{problem.get('split')}/{number}/{image}"
        cells = (problem.get("question"), problem.get("answer"), problem.get("choices"))
        yield Record(image, partial(_asked, *cells, wants_options=True), reading.root)


def _by_names(reading: Reading) -> Records:
    """Questions and answers, with options or without, by the names that sets give them."""
    rows = reading.file
    names = [_one(rows.keys, known) for known in (_IMAGES, _QUESTIONS, _ANSWERS, _OPTIONS)]
    image, question, answer, options = names
    if not (image and question and answer):
        message = f"no image, question or answer among {listing(rows.keys)}"
        fix = "say in 'columns' where the image, question and answer are"
        raise InputError(f"{rows.uri}: {message}\n    fix: {fix}")
    columns = QaColumns(image=image, question=question, answer=answer, options=options)
    wants_options = reading.format == "multiple_choice"
    return _by_columns(columns, rows, reading.root, wants_options=wants_options)


def _named(reading: Reading) -> Records:
    assert reading.columns is not None
    rows = reading.file
    for name in reading.columns.names:
        if rows.keys and name not in rows.keys:
            fix = did_you_mean(name, rows.keys)
            raise InputError(f"{rows.uri}: no column '{name}'\n    fix: {fix}")
    return _by_columns(reading.columns, rows, reading.root)


def _by_columns(
    columns: QaColumns, file: QaFile, root: str, *, wants_options: bool = False
) -> Records:
    for raw in file.rows():
        if isinstance(raw, BadRow):
            yield raw
            continue
        question = raw.get(columns.question) if columns.question else None
        names = columns.options
        options = raw.get(names) if isinstance(names, str) else [raw.get(n) for n in names or ()]
        read = partial(
            _asked,
            question,
            raw.get(columns.answer),
            options,
            wants_question=bool(columns.question),
            wants_options=wants_options,
        )
        yield Record(raw.get(columns.image), read, root)


def _asked(
    asked: Any, said: Any, options: Any, *, wants_question: bool = True, wants_options: bool = False
) -> Question:
    """One round. An integer as answer is the number of an option, where those are no numbers."""
    text = text_of(asked)
    if wants_question and not text:
        raise BadRow("no question")
    found = tuple(options_of(options))
    if wants_options and not found:
        raise BadRow("no options")
    number = isinstance(said, int) and not isinstance(said, bool)
    if found and number and not all(isinstance(option, int) for option in options):
        return Question(((text, ""),), found, said)
    return Question(((text, answer_of(said)),), found)


_READERS: dict[str, Callable[[Reading], Records]] = {
    "llava": _conversations,
    "internvl": _of_meta,
    "vqa_v2": _vqa,
    "scienceqa": _problems,
    "multiple_choice": _by_names,
    "answers": _by_names,
    "columns": _named,
}
