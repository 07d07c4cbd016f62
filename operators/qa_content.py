"""What a row of a public set of questions is: its kind, language, options and answer.

Sets differ in how they write an answer (its text, a letter, a number, ten people's words), so a
row is told by what it holds. A row that does not fit raises `BadRow` with one of few reasons.
"""

from __future__ import annotations

import ast
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from operators.export_dialogues import letter
from operators.instruction_id import instruction_id
from operators.scripts import NUMBER, PLANES, WIDE, WORD, script_table

SHORT_WORDS = 5
"""An answer of so many words at most is short; one with signs of wide scripts has other words."""
SHORT_SIGNS = 10
_MOST_OPTIONS = 26
_WIDE = re.compile(rf"[{WIDE}]")
_A_LETTER = re.compile(r"[^\W\d_]")
_LETTER = re.compile(r"\(?([A-Z])[).:]?")
_LETTER_AND_TEXT = re.compile(r"\(?([A-Z])[).:]\s*(.+)", re.DOTALL)
_OPTION_LINE = re.compile(r"\(?([A-Z])[).:]\s+(\S.*)")
_YES, _NO = ("yes", "是", "是的"), ("no", "否", "不是")
_JUDGEMENTS = {"en": ("yes", "no"), "zh": ("是", "否")}


class BadRow(ValueError):
    """A row that cannot become an instruction, with the reason that it is counted by."""


@dataclass(frozen=True)
class Question:
    """What a row asks and what it answers, as texts; no question is ''.

    `choice` is the answer of a row with options: the number of one, from 0, or a text.
    """

    turns: tuple[tuple[str, str], ...]
    options: tuple[str, ...] = ()
    choice: int | str | None = None
    answer_prompt: str | None = None


# --- Values --------------------------------------------------------------------------------------


def text_of(value: Any) -> str:
    """A cell as text without space around it; '' where there is nothing.

    Raises:
        BadRow: it is neither a text nor a number, or cannot be encoded.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, str | int | float):
        raise BadRow("a value is neither text nor number")
    text = str(value).strip()
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadRow("a text is not Unicode") from None
    return text


def answer_of(value: Any) -> str:
    """The answer that a cell gives: of several people's the one most have given, or the first.

    An entry of a list may be an object with the key `answer`, as in VQA v2.
    """
    if not isinstance(value, list | tuple):
        return text_of(value)
    said = [text_of(v.get("answer") if isinstance(v, Mapping) else v) for v in value]
    given = Counter(filter(None, said))
    return given.most_common(1)[0][0] if given else ""


def options_of(value: Any) -> list[str]:
    """Options from a list, an object from letter to text, or a list written as text.

    Raises:
        BadRow: it is none of these, or an option before the last one has no text.
    """
    if isinstance(value, str) and value.strip():
        value = _list_in(value)
    if isinstance(value, Mapping):
        value = _by_letter(value)
    if value is None or value == "":
        return []
    if not isinstance(value, list | tuple):
        raise BadRow("options are no list")
    options = [text_of(option) for option in value]
    while options and not options[-1]:
        options.pop()
    if not all(options):
        raise BadRow("an option has no text")
    return _without_letters(options)


def _list_in(text: str) -> Any:
    """A list written as JSON or as Python writes it."""
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(text)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            continue
        if isinstance(found, list | tuple | dict):
            return found
    raise BadRow("options are no list")


def _by_letter(options: Mapping[Any, Any]) -> list[Any]:
    if list(options) != [letter(number) for number in range(len(options))]:
        raise BadRow("options are not lettered from A")
    return list(options.values())


def _without_letters(options: list[str]) -> list[str]:
    """The options without `A.`, `B.` … before them, where all have their own."""
    found = [_OPTION_LINE.fullmatch(option) for option in options]
    if all(m and m[1] == letter(number) for number, m in enumerate(found)):
        return [m[2] for m in found if m]
    return options


def options_in(question: str) -> Question | None:
    """A question whose last lines are options (`A. …`), taken apart; None where there are none.

    What stands after the options asks for the form of the answer. There is no answer yet.
    """
    lines = question.split("\n")
    starts = [_OPTION_LINE.fullmatch(line.strip()) for line in lines]
    first = next((n for n, m in enumerate(starts) if m and m[1] == "A"), 0)
    options: list[str] = []
    for found in starts[first:] if first else []:
        if not found or found[1] != letter(len(options)):
            break
        options.append(found[2])
    asked = "\n".join(lines[:first]).strip()
    if len(options) < 2 or not asked:
        return None
    form = "\n".join(lines[first + len(options) :]).strip()
    return Question(((asked, ""),), tuple(options), None, form or None)


# --- What a row is -------------------------------------------------------------------------------


def chosen(answer: int | str, options: Sequence[str]) -> str:
    """The letter of the option that an answer names: by number from 0, by letter, or by text.

    Raises:
        BadRow: it names none of them, or two.
    """
    if isinstance(answer, int):
        if not 0 <= answer < len(options):
            raise BadRow("the answer's number is outside the options")
        return letter(answer)
    same = [n for n, option in enumerate(options) if option == answer]
    named = _LETTER.fullmatch(answer)
    number = ord(named[1]) - ord("A") if named else -1
    if 0 <= number < len(options):
        if same and number not in same:
            raise BadRow("the answer is the letter of one option and the text of another")
        return letter(number)
    if not same and named:
        raise BadRow("the answer's letter is outside the options")
    both = _LETTER_AND_TEXT.fullmatch(answer)
    folded = [option.casefold() for option in options]
    same = same or [n for n, option in enumerate(folded) if option == answer.casefold()]
    if not same and both:
        text = both[2].strip().casefold()
        same = [n for n, o in enumerate(folded) if o == text and letter(n) == both[1]]
    if len(same) != 1:
        raise BadRow("the answer is none of the options")
    return letter(same[0])


def is_choice(answer: str, options: Sequence[str]) -> bool:
    """Whether an answer names an option, or is a letter that should."""
    if _LETTER.fullmatch(answer):
        return True
    try:
        chosen(answer, options)
    except BadRow:
        return False
    return True


def language_of(texts: Iterable[str]) -> str:
    """`en` or `zh`, by script: a Han sign counts as two Latin letters.

    Raises:
        BadRow: most letters are of other scripts, or there are none.
    """
    text = "".join(texts)
    if text.isascii() and _A_LETTER.search(text):
        return "en"
    scripts = Counter(
        int(script)
        for sign in text
        if (script := script_table()[ord(sign)] if ord(sign) < PLANES else NUMBER["Han"])
    )
    scripts.pop(NUMBER["Inherited"], None)
    latin, han, kana = (scripts.pop(NUMBER[name], 0) for name in ("Latin", "Han", "Kana"))
    if kana * 4 > han or sum(scripts.values()) > latin + 2 * han or not latin + han:
        raise BadRow("the language is neither en nor zh")
    return "zh" if 2 * han > latin else "en"


def is_short(answer: str) -> bool:
    """Whether an answer has few words, each Han, kana or Hangul sign one."""
    most = SHORT_SIGNS if _WIDE.search(answer) else SHORT_WORDS
    return sum(any(map(str.isalnum, word)) for word in WORD.findall(answer)) <= most


def _judgement(answer: str) -> bool | None:
    """True for a yes, False for a no, None for anything else."""
    plain = answer.casefold().rstrip(".!。！ ")
    return True if plain in _YES else False if plain in _NO else None


def content_of(question: Question, lang: str | None) -> dict[str, Any]:
    """The kind, language, turns and options of a row.

    An answer of a multiple choice becomes a letter, that of a judgement yes or no (是, 否).

    Raises:
        BadRow: a round has no answer, or the options and the answer do not fit.
    """
    turns, options = list(question.turns), list(question.options)
    if not turns:
        raise BadRow("no question and no answer")
    if question.choice is None and not all(answer for _, answer in turns):
        raise BadRow("no answer")
    if len(turns) > 1 and not all(asked for asked, _ in turns):
        raise BadRow("a round has no question")
    asked, answer = turns[0]
    if options:
        if len(turns) > 1:
            raise BadRow("options in several rounds")
        turns = [(asked, _checked_choice(question, asked, answer))]
    spoken = [asked for asked, _ in turns if _A_LETTER.search(asked)]
    told = lang or language_of(spoken or [*(said for _, said in turns), *options])
    kind = _kind(turns, options)
    if kind == "judgement":
        turns = [(asked, _JUDGEMENTS[told][0 if _judgement(answer) else 1])]
    return {
        "instruction_kind": kind,
        "instruction_lang": told,
        "turns": [{"question": asked, "answer": answer} for asked, answer in turns],
        "options": options,
        "answer_prompt": question.answer_prompt,
    }


def _checked_choice(question: Question, asked: str, answer: str) -> str:
    options = question.options
    if not asked:
        raise BadRow("options without a question")
    if not 2 <= len(options) <= _MOST_OPTIONS:
        raise BadRow(f"options are fewer than 2 or more than {_MOST_OPTIONS}")
    if len(set(options)) < len(options):
        raise BadRow("two options are the same")
    return chosen(answer if question.choice is None else question.choice, options)


def _kind(turns: Sequence[tuple[str, str]], options: Sequence[str]) -> str:
    asked, answer = turns[0]
    if options:
        return "multiple_choice"
    if len(turns) > 1:
        return "multi_round"
    if not asked:
        return "caption"
    if _judgement(answer) is not None:
        return "judgement"
    return "short_vqa" if is_short(answer) else "long_vqa"


def instruction_of(
    question: Question, image: str, lang: str | None, domain: str, source: str, licence: str | None
) -> dict[str, Any]:
    """An imported row as the fields of `INSTRUCTION`; `image` stands for the picture in its id.

    Raises:
        BadRow: see `content_of`.
    """
    content = content_of(question, lang)
    turns = [(turn["question"], turn["answer"]) for turn in content["turns"]]
    kind, told = content["instruction_kind"], content["instruction_lang"]
    return {
        "instruction_id": instruction_id(image, kind, told, turns, content["options"]),
        "instruction_domain": domain,
        **content,
        "seeds": [],
        "generation_prompt": None,
        "generation_model": None,
        "generation_usd": None,
        "reply_problem": None,
        "instruction_source": source,
        "instruction_licence": licence,
    }
