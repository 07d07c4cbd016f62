"""JSON Schemas of what models reply, one for each kind of instruction.

They stay within what OpenAI's strict mode and llama.cpp's grammars both accept: every field is
required, none may be added, and lists have a length. The right option of a choice comes apart from
the wrong ones, and each question answered yes with one answered no: small models get letters and
balance wrong, and whoever reads the reply can place both.
"""

from __future__ import annotations

from typing import Any

from schemas.columns import INSTRUCTION_LANGS
from schemas.errors import InputError, did_you_mean

WRONG_OPTIONS = 3
"""Of a multiple choice; with the right one, four."""

_TEXT: dict[str, Any] = {"type": "string"}
_SIGN = r'[^<>"\\\n?？。]'  # within a question; JSON need not escape any of them
_QUESTION = {"en": rf"^[A-Z]{_SIGN}{{4,150}}[?.]$", "zh": rf"^{_SIGN}{{3,60}}[？。]$"}
_JUDGEMENT = {
    "en": rf"^(Is|Are|Does|Do|Has|Have|Can) {_SIGN}{{4,120}}\?$",
    "zh": rf"^{_SIGN}{{3,50}}吗？$",
}
_SHORT = rf"^{_SIGN}{{1,60}}$"
_ANSWERED = ("short_vqa", "long_vqa")
_KINDS = ("multiple_choice", "judgement", *_ANSWERED, "multi_round", "caption")


def reply_schema(
    kind: str, lang: str, count: int = 1, *, least: int | None = None, patterns: bool = False
) -> dict[str, Any]:
    """What a model replies when it writes instructions.

    caption: `{caption}`. multiple_choice: `{questions: [{question, correct, wrong: [3]}]}`.
    short_vqa, long_vqa: `{questions: [{question, answer}]}`. multi_round: `{rounds: [{question,
    answer}]}`. judgement: `{pairs: [{question_yes, question_no}]}`, where the name tells
    the question's answer: `count` of them, an even number, are half and half.

    Args:
        kind: of instruction.
        lang: en or zh; matters for patterns only.
        count: instructions, or rounds of a conversation, at most.
        least: the same at least; `count` if None.
        patterns: hold questions, options and short answers to regular expressions: without angle
            brackets and quotes, not too long, judgements built as questions for yes or no. Helps
            small models much, but not every server knows `pattern`.

    Raises:
        InputError: no such kind or language, a count below 1, or an odd one of judgements.
    """
    _known_language(lang)
    if kind not in _KINDS:
        raise InputError(f"no reply schema for '{kind}'\n    fix: {did_you_mean(kind, _KINDS)}")
    least = count if least is None else least
    if not 1 <= least <= count:
        message = f"reply schema of '{kind}': {least} to {count} instructions"
        raise InputError(f"{message}\n    fix: ask for 1 or more, and not least > count")
    if kind == "judgement" and (least % 2 or count % 2):
        message = f"reply schema of 'judgement': {least} to {count} come in pairs of yes and no"
        raise InputError(f"{message}\n    fix: ask for an even number")
    question, judgement, short = (
        (_like(_QUESTION[lang]), _like(_JUDGEMENT[lang]), _like(_SHORT))
        if patterns
        else (_TEXT, _TEXT, _TEXT)
    )
    match kind:
        case "caption":
            return _object(caption=_TEXT)
        case "multiple_choice":
            wrong = _array(short, WRONG_OPTIONS, WRONG_OPTIONS)
            asked = _object(question=question, correct=short, wrong=wrong)
            return _object(questions=_array(asked, least, count))
        case "judgement":
            pair = _object(question_yes=judgement, question_no=judgement)
            return _object(pairs=_array(pair, least // 2, count // 2))
        case _:
            answer = short if kind == "short_vqa" else _TEXT
            pairs = _array(_object(question=question, answer=answer), least, count)
            return _object(rounds=pairs) if kind == "multi_round" else _object(questions=pairs)


def answer_schema(kind: str, lang: str, options: int = WRONG_OPTIONS + 1) -> dict[str, Any]:
    """What a model replies when it answers one question: `{answer}`.

    A letter for a multiple_choice with as many options; yes or no (是, 否) for a judgement; text
    for the others.

    Raises:
        InputError: no such kind or language.
    """
    _known_language(lang)
    if kind == "multiple_choice":
        letters = [chr(ord("A") + place) for place in range(options)]
        return _object(answer={"type": "string", "enum": letters})
    if kind == "judgement":
        words = ["是", "否"] if lang == "zh" else ["yes", "no"]
        return _object(answer={"type": "string", "enum": words})
    if kind not in _KINDS:
        raise InputError(f"no answer schema for '{kind}'\n    fix: {did_you_mean(kind, _KINDS)}")
    return _object(answer=_TEXT)


def _known_language(lang: str) -> None:
    if lang not in INSTRUCTION_LANGS:
        known = did_you_mean(lang, INSTRUCTION_LANGS)
        raise InputError(f"replies: there is no language '{lang}'\n    fix: {known}")


def _like(pattern: str) -> dict[str, Any]:
    return {**_TEXT, "pattern": pattern}


def _object(**properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _array(items: dict[str, Any], least: int, most: int) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": least, "maxItems": most}
