"""The same questions asked again: without the picture, to see which can be guessed, and with it,
to see which are answered alike.

A question that a model answers right from its words alone teaches nothing about the picture. An
answer that the model does not give again is likely wrong (self-consistency, Wang et al. 2023,
arXiv 2203.11171). Both are shares of agreeing answers; a rule decides what share is too much or
too little. Long answers are not asked for again: two of them agree in meaning, not in words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, ClassVar

from pydantic import Field

from operators.asking import Asks, Question, Row, Usage
from operators.reply_schemas import answer_schema
from operators.verifiers import same_answer
from schemas import columns
from schemas.columns import INSTRUCTION_LANGS

_COMPARED = ("judgement", "multiple_choice", "short_vqa")
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ASKED = ("turns", "options", "instruction_kind", "instruction_lang", "reply_problem")


class _AsksAgain(Asks):
    """An operator that asks questions of instructions again, several times."""

    table = "instructions"
    prompt: ClassVar[str]

    samples: int = Field(1, ge=1, description="how often a question is asked")

    def questions(self, rows: Sequence[Row]) -> list[Question]:
        """Each question so often; options come in another order each time."""
        return [
            self._question(index, row, sample)
            for index, row in enumerate(rows)
            if _comparable(row)
            for sample in range(self.samples)
        ]

    def told(self, row: Row, questions: list[Question], usage: Usage) -> list[Any]:
        """The answers, the share of those that agree, and what they took."""
        if not questions:
            return []
        answers, kind = [_answer(question) for question in questions], row["instruction_kind"]
        right, options = row["turns"][0]["answer"], row["options"]
        alike = [same_answer(kind, right, answer, options) for answer in answers]
        return [answers, sum(alike) / len(alike), asdict(usage)]

    def _question(self, index: int, row: Row, sample: int) -> Question:
        kind, lang, options = row["instruction_kind"], row["instruction_lang"], row["options"]
        order = [*range(len(options))]
        order = order[sample % max(len(order), 1) :] + order[: sample % max(len(order), 1)]
        shown = [f"{_LETTERS[place]}. {options[was]}" for place, was in enumerate(order)]
        question = "\n".join([row["turns"][0]["question"], *shown])
        form = self.data.answer_prompt(kind, lang, question)
        prompt = self.data.prompt(
            self.prompt, lang, question=question, form=form, **self._slots(row)
        )
        answer = answer_schema(kind, lang, len(options) or 4)
        request = self.request(prompt, row, answer, sample=sample)
        return Question(index, lang, request, about=order)

    def _slots(self, row: Row) -> dict[str, Any]:
        """What the prompt shows besides the question."""
        return {}


def _comparable(row: Row) -> bool:
    """Whether answers to it can be compared."""
    known = row["instruction_kind"] in _COMPARED and row["instruction_lang"] in INSTRUCTION_LANGS
    return known and bool(row["turns"]) and not row["reply_problem"]


def _answer(question: Question) -> str:
    """The answer; a letter as the instruction's own options have it. Nothing where none came."""
    if question.reply is None:
        return ""
    said = str(question.reply.data["answer"]).strip()
    order = question.about
    return _LETTERS[order[_LETTERS.index(said)]] if order and said in _LETTERS else said


class AnswerBlind(_AsksAgain):
    """Which questions can be answered without their picture."""

    name = "answer_blind"
    tag = "blind"
    prompt = "image_off"
    reads = columns.schema(*_ASKED)
    writes = columns.schema("blind_answers", "blind_agreement", "blind_usage")

    def _shows(self) -> bool:
        return False


class AnswerAgain(_AsksAgain):
    """Which questions get the same answer when they are asked again."""

    name = "answer_again"
    tag = "consistency"
    prompt = "self_consistency"
    reads = columns.schema(*_ASKED, "caption_en", "caption_zh", "image_text")
    optional = frozenset({"image_text"})
    writes = columns.schema("repeated_answers", "self_consistency", "consistency_usage")

    samples: int = Field(3, ge=1, description="how often a question is asked")

    def _slots(self, row: Row) -> dict[str, Any]:
        other = "en" if row["instruction_lang"] == "zh" else "zh"
        caption = row[f"caption_{row['instruction_lang']}"] or row[f"caption_{other}"]
        return {"caption": caption, "texts": row["image_text"]}
