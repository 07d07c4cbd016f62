"""What can be said of an instruction by its text alone: sizes, form, language, phrases, leaks.

Each measure is a column and none drops anything; `pipelines/rules/instructions.yaml` has rules with
their reasons, docs/instruction-quality.md formulas and figures.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Any, ClassVar

import pyarrow as pa

from operators.answer_phrases import (
    ASKS,
    CHAT,
    ERRORS,
    PLACEHOLDER,
    REFUSAL,
    SOURCE_LEAK,
)
from operators.answer_words import normalised, squeezed, tokens
from operators.base import Operator, measured
from operators.language import Identifier, LanguageId
from operators.verifiers import LETTERS, letter_in
from schemas import columns

Turn = dict[str, str]

_CHECKS = (
    *("turn_count", "question_char_count", "question_word_count"),
    *("answer_char_count", "answer_word_count", "option_count", "distinct_option_count"),
    *("blank_text_count", "unasked_question_count", "refusal_count", "source_leak_count"),
    *("chat_phrase_count", "placeholder_count", "error_answer_count"),
    *("answer_in_range", "answer_in_question", "right_option_longest"),
    "answer_repetition_ratio",
)
_YES_NO = {"en": ("yes", "no"), "zh": ("是", "否")}
_ALTERNATIVES = re.compile(r"\bor\b|还是|或", re.IGNORECASE)
_RUN = 4  # words


class AnswerChecks(Operator[Identifier]):
    """Cheap facts about questions and answers: none of them asks a model or sees the picture.

    Refusals, small talk and mentions of a caption are found by phrases
    (`operators.answer_phrases`), languages by `operators.language`. An instruction without turns
    has nulls.
    """

    name = "answer_checks"
    table = "instructions"
    reads = columns.schema("instruction_kind", "instruction_lang", "turns", "options")
    writes = columns.schema(*_CHECKS, "question_lang", "answer_lang")
    stateful: ClassVar[bool] = True

    def setup(self) -> Identifier:
        """The classifiers of languages."""
        return LanguageId().setup()

    def provenance(self) -> dict[str, str]:
        """The classifiers' files."""
        return super().provenance() | LanguageId().provenance()

    def measure(self, batch: pa.Table, state: Identifier) -> pa.Table:
        """One row of facts an instruction."""
        rows = batch.select(self.reads.names).to_pylist()
        facts = [checks(**row) if row["turns"] else {} for row in rows]
        found = [[fact.get(name) for fact in facts] for name in _CHECKS]
        asked = [_joined(row["turns"], "question") for row in rows]
        said = [
            "\n".join(row["options"])
            if row["turns"] and row["instruction_kind"] == "multiple_choice"
            else _joined(row["turns"], "answer")
            for row in rows
        ]
        return measured(self.writes, [*found, _languages(asked, state), _languages(said, state)])


def _joined(turns: Sequence[Turn] | None, part: str) -> str | None:
    return "\n".join(turn[part] for turn in turns) if turns else None


def _languages(texts: Sequence[str | None], state: Identifier) -> pa.Array:
    nodes = [
        None if text is None else [{"kind": "text", "text": text, "dom_index": 0}] for text in texts
    ]
    batch = pa.table({"nodes": pa.array(nodes, columns.column("nodes").field.type)})
    return LanguageId().measure(batch, state)["lang"].combine_chunks()


def checks(
    instruction_kind: str, instruction_lang: str, turns: Sequence[Turn], options: Sequence[str]
) -> dict[str, Any]:
    """The facts about one instruction, by column."""
    questions = [one_width(turn["question"]) for turn in turns]
    answers = [one_width(turn["answer"]) for turn in turns]
    texts = [*questions, *answers, *map(one_width, options)]
    return {
        "turn_count": len(turns),
        "question_char_count": sum(len(turn["question"]) for turn in turns),
        "question_word_count": sum(len(tokens(question)) for question in questions),
        "answer_char_count": sum(len(turn["answer"]) for turn in turns),
        "answer_word_count": sum(len(tokens(answer)) for answer in answers),
        "option_count": len(options),
        "distinct_option_count": len({squeezed(option) for option in options}),
        "blank_text_count": sum(not text.strip() for text in texts),
        "unasked_question_count": sum(not ASKS.search(question) for question in questions),
        "refusal_count": sum(is_refusal(answer) for answer in answers),
        "source_leak_count": sum(leaks_source(text) for text in (*questions, *answers)),
        "chat_phrase_count": sum(bool(CHAT.search(answer)) for answer in answers),
        "placeholder_count": sum(bool(PLACEHOLDER.search(text)) for text in texts),
        "error_answer_count": sum(is_error(answer) for answer in answers),
        "answer_in_range": _in_range(instruction_kind, instruction_lang, answers, options),
        "answer_in_question": _given_away(instruction_kind, questions, answers, options),
        "right_option_longest": _longest(instruction_kind, answers, options),
        "answer_repetition_ratio": max(map(repetition, answers)),
    }


def one_width(text: str) -> str:
    """The text with signs of one width, as patterns expect it (Unicode's NFKC)."""
    return unicodedata.normalize("NFKC", text)


def is_refusal(answer: str) -> bool:
    """Whether an answer declines, gives up, or speaks of its writer as a model."""
    return bool(REFUSAL.search(one_width(answer)))


def leaks_source(text: str) -> bool:
    """Whether a text speaks of the caption or description that its writer had for a picture."""
    return bool(SOURCE_LEAK.search(one_width(text)))


def is_error(answer: str) -> bool:
    """Whether an answer is nothing but an error word."""
    return one_width(answer).casefold().strip(" \t\r\n.。!\"'`[]()<>") in ERRORS


def _in_range(
    kind: str, language: str, answers: Sequence[str], options: Sequence[str]
) -> bool | None:
    match kind:
        case "multiple_choice":
            letters = LETTERS[: len(options)]
            return all(len(a.strip()) == 1 and a.strip() in letters for a in answers)
        case "judgement":
            return all(normalised(answer) in _YES_NO.get(language, ()) for answer in answers)
        case _:
            return None


def _given_away(
    kind: str, questions: Sequence[str], answers: Sequence[str], options: Sequence[str]
) -> bool | None:
    """Whether a question holds its answer: the right option and no other, or the short answer.

    Single signs and questions that offer alternatives do not count.
    """
    if kind not in ("multiple_choice", "short_vqa"):
        return None
    return any(
        _holds(question, answer, options)
        if kind == "multiple_choice"
        else _repeats(question, answer)
        for question, answer in zip(questions, answers, strict=True)
    )


def _holds(question: str, answer: str, options: Sequence[str]) -> bool:
    letter = letter_in(answer, options)
    if letter is None:
        return False
    held = [_repeats(question, option) for option in options]
    return held[LETTERS.index(letter)] and sum(held) == 1


def _repeats(question: str, answer: str) -> bool:
    said = normalised(answer)
    if len(said) < 2 or said in ("yes", "no") or _ALTERNATIVES.search(question):
        return False
    return f" {said} " in f" {normalised(question)} "


def _longest(kind: str, answers: Sequence[str], options: Sequence[str]) -> bool | None:
    letter = letter_in(answers[0], options) if kind == "multiple_choice" else None
    if letter is None or len(options) < 2:
        return None
    lengths = [len(option.strip()) for option in options]
    right = lengths.pop(LETTERS.index(letter))
    return right > max(lengths)


def repetition(answer: str) -> float:
    """Share of the answer's words that lie in runs of four words which it said before.

    The share of duplicate n-grams of Rae et al. 2021 (Gopher), table A1, counted in words.
    """
    said = tokens(answer)
    seen: set[tuple[str, ...]] = set()
    covered = [False] * len(said)
    for at in range(len(said) - _RUN + 1):
        run = tuple(said[at : at + _RUN])
        if run in seen:
            covered[at : at + _RUN] = [True] * _RUN
        seen.add(run)
    return sum(covered) / len(said) if said else 0.0
