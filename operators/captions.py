"""Detailed descriptions of pictures, written by a model that sees them or by one that reads.

What is asked follows MMInstruct (Liu et al. 2024, arXiv 2407.15838): a description of at least 120
words in English or 200 characters in Chinese, of at least 200 where text was read in the picture.
A model that sees nothing is given what the page says of the picture, and has no least length.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any, Literal

import pyarrow as pa
from pydantic import AfterValidator, Field

from operators.asking import Asks, Question, Row, Usage
from operators.base import Operator, measured
from operators.chat import Reply
from operators.reply_schemas import reply_schema
from operators.seeds import Seeds
from schemas import columns

Lang = Literal["en", "zh"]


def _some(langs: tuple[Lang, ...]) -> tuple[Lang, ...]:
    if not langs:
        raise ValueError("give at least one language")
    return langs


Langs = Annotated[tuple[Lang, ...], AfterValidator(_some)]
"""Languages that are asked for."""
CONTEXT = ("page_title", "page_text", "image_alt", "image_caption", "image_keyword", "image_text")
"""What is known of a picture besides itself."""
OPTIONAL = frozenset({"image_text"})
"""What need not be measured of it."""


class PictureTurns(Operator[None]):
    """The order in which pictures have their turn: a shuffle that is the same everywhere.

    A rule `picture_turn < 0.1` takes a tenth of the pictures, and a greater bound adds to them.
    """

    name = "picture_turns"
    table = "images"
    reads = columns.schema("image_sha256")
    writes = columns.schema("picture_turn")

    seed: int = Field(0, description="another seed, another shuffle")

    def measure(self, batch: pa.Table, state: None) -> pa.Table:
        """A number from 0 to 1 for each picture, by its bytes."""
        turns = [
            None if digest is None else self._turn(digest)
            for digest in batch["image_sha256"].to_pylist()
        ]
        return measured(self.writes, [turns])

    def _turn(self, digest: str) -> float:
        hashed = hashlib.blake2b(f"{self.seed} {digest}".encode(), digest_size=8).digest()
        return int.from_bytes(hashed) / 2**64


class WriteCaptions(Asks):
    """A description of each picture in one or two languages."""

    name = "write_captions"
    table = "images"
    tag = "caption"
    reads = columns.schema(*CONTEXT)
    optional = OPTIONAL
    writes = columns.schema(
        "caption_en",
        "caption_zh",
        "caption_words_en",
        "caption_signs_zh",
        "caption_problem",
        "caption_prompt",
        "caption_usage",
    )

    langs: Langs = Field(("en",), description="languages, en or zh")
    min_words_en: int = Field(120, ge=0, description="least words that are asked for in English")
    min_signs_zh: int = Field(200, ge=0, description="least characters asked for in Chinese")
    min_with_text: int = Field(
        200, ge=0, description="least length in either language where there is text in the picture"
    )

    def questions(self, rows: Sequence[Row]) -> list[Question]:
        """A description in each language, of pictures of which anything is known."""
        return [
            self._question(index, row, lang)
            for index, row in enumerate(rows)
            for lang in self.langs
            if (self._sees(row) if self._shows() else _known(row))
        ]

    def _question(self, index: int, row: Row, lang: Lang) -> Question:
        data, texts = self.data, row["image_text"]
        slots = {"domain": row["image_keyword"], "knowledge": knowledge(data, row, lang)}
        floor = self._floor(row, lang)
        if not self._shows():
            prompt = data.prompt("caption_from_text", lang, texts=texts, **slots)
        elif texts:
            prompt = data.prompt("caption_with_text", lang, texts=texts, floor=floor, **slots)
        else:
            prompt = data.prompt("caption", lang, floor=floor, **slots)
        request = self.request(prompt, row, reply_schema("caption", lang))
        return Question(index, lang, request, about=floor)

    def _floor(self, row: Row, lang: Lang) -> int:
        if not self._shows():
            return 1
        if row["image_text"]:
            return self.min_with_text
        return self.min_signs_zh if lang == "zh" else self.min_words_en

    def lack(self, question: Question, reply: Reply) -> str | None:
        """A description shorter than was asked for."""
        length, floor = _length(_text(reply), question.lang), question.about
        unit = "characters" if question.lang == "zh" else "words"
        lack = f"short: {length} {unit}, at least {floor} were asked for"
        return lack if length < floor else None

    def told(self, row: Row, questions: list[Question], usage: Usage) -> list[Any]:
        """A picture's values; none where nothing is known of it."""
        if not questions:
            return []
        texts = {q.lang: _text(q.reply) for q in questions if q.reply is not None}
        en, zh = texts.get("en") or None, texts.get("zh") or None
        problems = [f"{q.lang}: {q.problem}" for q in questions if q.problem]
        prompts = "\n\n".join(question.request.prompt for question in questions)
        lengths = _length(en or "", "en"), _length(zh or "", "zh")
        return [en, zh, *lengths, "; ".join(problems) or None, prompts, asdict(usage)]


def _known(row: Row) -> bool:
    return any(row[name] for name in CONTEXT)


def knowledge(data: Seeds, row: Row, lang: str) -> str | None:
    """What the page says of a row's picture, for prompts."""
    return data.knowledge(
        lang,
        title=row["page_title"],
        alt=row["image_alt"],
        caption=row["image_caption"],
        text=row["page_text"],
    )


def _text(reply: Reply | None) -> str:
    return str(reply.data["caption"]).strip() if reply is not None else ""


def _length(text: str, lang: str) -> int:
    """Words, or in Chinese letters and digits."""
    return sum(map(str.isalnum, text)) if lang == "zh" else len(text.split())
