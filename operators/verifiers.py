"""Whether two answers are the same: one measure for each form of answer, all from 0 to 1.

Nothing here asks a model. `same_answer` picks the measure by the kind of instruction; it is what
self-consistency, a blind model's answer and imported keys are compared with. English and Chinese
are both read, whatever the language of the question.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from operators.answer_words import normalised, squeezed, tokens
from operators.compiled import compiled
from operators.quantities import Quantity, quantities
from schemas.columns import INSTRUCTION_KINDS
from schemas.errors import did_you_mean

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_MOST_SIGNS = 4096  # of a text whose edit distance is counted
_CALCULATES = re.compile(
    r"[+*=^<>√×÷]|[\d)]\s*[-/]\s*(?:[\d(]|[a-z]\b)|\b[a-z]\s*[-/]\s*(?:[\d(]|[a-z]\b)"
)
_YEARS = range(1900, 2100)


def same_answer(kind: str, expected: str, given: str, options: Sequence[str] = ()) -> float:
    """How much `given` is the answer `expected`, by what the kind of instruction asks for.

    `multiple_choice` compares letters of `options`, `judgement` yes and no; `short_vqa` boxes, yes
    and no, formulas, lists, numbers or short texts, by what is expected; all others long texts by
    `token_f1`. An expected letter that is no option's agrees with nothing.

    Raises:
        ValueError: no such kind.
    """
    match kind:
        case "multiple_choice":
            letter = letter_in(expected, options)
            return float(letter is not None and letter == letter_in(given, options))
        case "judgement":
            return _same_judgement(expected, given)
        case "short_vqa":
            return _same_short(expected, given)
        case "long_vqa" | "multi_round" | "caption":
            return token_f1(expected, given)
        case _:
            raise ValueError(
                f"no kind of instruction '{kind}': {did_you_mean(kind, INSTRUCTION_KINDS)}"
            )


def _same_judgement(expected: str, given: str) -> float:
    wanted = yes_or_no(expected)
    return exact_match(expected, given) if wanted is None else float(wanted == yes_or_no(given))


def _same_short(expected: str, given: str) -> float:
    if _identical(expected, given):
        return 1.0
    box = box_in(expected)
    if box is not None:
        other = box_in(given)
        return 0.0 if other is None else box_iou(box, other)
    if yes_or_no(expected) is not None and len(tokens(expected)) <= 2:
        return _same_judgement(expected, given)
    if _formula(expected) or _formula(given):
        return float(_formula(expected) == _formula(given))
    if len(list_items(expected)) > 1:
        return list_match(expected, given)
    if len(_numbers(expected)) == 1 and len(tokens(expected)) <= 4:
        return relaxed_number(expected, given)
    if _numbers(expected) != _numbers(given):
        return 0.0  # of edit distance "gate 12" and "gate 13" would be nearly the same
    return max(anls(expected, given), token_f1(expected, given))


# --- Texts --------------------------------------------------------------------------------------


def exact_match(expected: str, given: str) -> float:
    """1 when the texts are the same but for case, width, punctuation and articles, else 0.

    Source: Rajpurkar et al. 2016, "SQuAD: 100,000+ Questions for Machine Comprehension of Text",
    section 6.1.
    """
    return float(normalised(expected) == normalised(given))


def token_f1(expected: str, given: str) -> float:
    """Harmonic mean of precision and recall of the tokens, each counted; a Han sign is a token.

    Source: Rajpurkar et al. 2016, section 6.1.
    """
    return _bag_f1(normalised(expected).split(), normalised(given).split())


def _bag_f1(expected: Sequence[str], given: Sequence[str]) -> float:
    if not expected and not given:
        return 1.0
    shared = sum((Counter(expected) & Counter(given)).values())
    return 2 * shared / (len(expected) + len(given))


def anls(expected: str, given: str, threshold: float = 0.5) -> float:
    """Normalised Levenshtein similarity: 1 - NL where NL is below `threshold`, else 0.

    NL is the edit distance over the length of the longer text; case and white space at the ends do
    not count. Average it over questions for ANLS, and take the best of several expected answers.
    Source: Biten et al. 2019, "Scene Text Visual Question Answering", section 4.1. Only the first
    4096 signs of a text are read.
    """
    one, other = (text.strip().casefold()[:_MOST_SIGNS] for text in (expected, given))
    longest = max(len(one), len(other))
    distance = edit_distance(one, other) / longest if longest else 0.0
    return 1 - distance if distance < threshold else 0.0


def edit_distance(one: str, other: str) -> int:
    """Signs to insert, delete or replace to make one text the other (Levenshtein 1966)."""
    if one == other or not one or not other:
        return 0 if one == other else max(len(one), len(other))
    return int(_edit_distance(_points(one), _points(other)))


def _points(text: str) -> npt.NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


@compiled
def _edit_distance(one: npt.NDArray[np.uint32], other: npt.NDArray[np.uint32]) -> int:
    """Wagner and Fischer 1974, "The string-to-string correction problem", in one row."""
    row = np.arange(len(other) + 1)
    for at in range(len(one)):
        corner = row[0]
        row[0] = at + 1
        for place in range(len(other)):
            replaced = corner + (0 if one[at] == other[place] else 1)
            corner = row[place + 1]
            row[place + 1] = min(replaced, corner + 1, row[place] + 1)
    return row[len(other)]  # type: ignore[no-any-return]


# --- Numbers ------------------------------------------------------------------------------------


def relaxed_number(expected: str, given: str, tolerance: float = 0.05) -> float:
    """1 when the number of `given` is within `tolerance` of the expected one, relatively, else 0.

    Source: Methani et al. 2020, "PlotQA", and Masry et al. 2022, "ChartQA", section 4.2 (5 %).
    Ours: units are converted (1.5 km is 1500 m) and unlike ones differ; 25 % is 25 and 0.25; whole
    numbers from 1900 to 2099 without a unit are years and must be exact; a given answer of several
    different numbers is none. Expected texts without one number are compared by `exact_match`.
    """
    if _identical(expected, given):
        return 1.0
    wanted = _one_number(expected)
    found = _one_number(given)
    return 0.0 if wanted is None or found is None else float(_near(wanted, found, tolerance))


def _identical(expected: str, given: str) -> bool:
    """Whether texts are the same, also in the signs and units of their numbers."""
    return (
        bool(exact_match(expected, given))
        and _numbers(expected) == _numbers(given)
        and _formula(expected) == _formula(given)
    )


def _formula(text: str) -> str:
    """The text without white space where it calculates, as x + 1, 3/4 and C++ do; else ''."""
    text = re.sub("[−–]", "-", unicodedata.normalize("NFKC", text).casefold())
    return "".join(text.split()).rstrip(".") if _CALCULATES.search(text) else ""


def _numbers(text: str) -> list[tuple[float, str, float]]:
    return [number[:3] for number in quantities(text)]


def _one_number(text: str) -> Quantity | None:
    different = {number[:3]: number for number in quantities(text)}
    return next(iter(different.values())) if len(different) == 1 else None


def _near(wanted: Quantity, found: Quantity, tolerance: float) -> bool:
    units = {wanted.dimension, found.dimension}
    if "" not in units:
        if len(units) > 1:
            return False
        return _within(wanted.value * wanted.factor, found.value * found.factor, tolerance)
    if units == {"", "percent"}:
        times = (1, 100) if found.dimension == "" else (1, 0.01)
        return any(_within(wanted.value, found.value * time, tolerance) for time in times)
    if units == {""} and wanted.value.is_integer() and int(wanted.value) in _YEARS:
        return wanted.value == found.value
    return _within(wanted.value, found.value, tolerance)


def _within(wanted: float, found: float, tolerance: float) -> bool:
    return math.isclose(wanted, found, rel_tol=1e-9) or (
        abs(wanted - found) <= tolerance * abs(wanted)
    )


# --- Choices ------------------------------------------------------------------------------------

_SAID = re.compile(r"(?:answer\s+is|answer\s*:|答案(?:是|为)?\s*:?)\s*[\"'“*]*", re.IGNORECASE)
_LETTER_ONLY = re.compile(r"^\W*([A-Za-z])\W*$")
_LETTER_FIRST = re.compile(r"^\W*([A-Z])\s*(?:[).:,、;-]|$)|^\(([A-Za-z])\)")
_LETTER_SAID = re.compile(
    r"(?:\b(?:answer|option|choice)\b['\"]?(?:\s+is)?\s*:?|答案(?:是|为|应为)?\s*:?|选项?(?:择)?|应选)"
    r"\s*[(\[*\"']*((?-i:[A-Z]))(?![A-Za-z])",
    re.IGNORECASE,
)
_TWO_LETTERS = re.compile(r"(?<![A-Za-z])[A-Z]\W{0,3}(?:or|and|/|或|和)\W{0,3}[A-Z](?![A-Za-z])")
_LETTER_ALONE = re.compile(r"(?<![A-Za-z'])\(?([B-HJ-Z])\)?(?![A-Za-z'])|\(([A-Z])\)")


def letter_in(text: str, options: Sequence[str]) -> str | None:
    """The letter that an answer chooses, of those that the options have; None where none is.

    Looked at in turn: an answer that is a letter, one that begins with one, what follows "answer"
    or "option" (答案, 选), the text of an option, letters that stand alone (but A and I, which are
    words). Several letters ("A or B", or different ones in one step) are no choice. After the
    heuristics of Liu et al. 2023, "MMBench", section 4.3.
    """
    said = unicodedata.normalize("NFKC", text).strip()
    letters = LETTERS[: len(options)]
    if match := _LETTER_ONLY.match(said):
        return _among({match.group(1).upper()}, letters)
    if _TWO_LETTERS.search(said):
        return None
    for pattern in (_LETTER_FIRST, _LETTER_SAID):
        if found := {letter.upper() for hit in pattern.findall(said) for letter in hit if letter}:
            return _among(found, letters)
    plain = _SAID.sub("", said, count=1)
    for form in (squeezed, normalised):
        same = {
            k for k, option in zip(letters, options, strict=False) if form(plain) == form(option)
        }
        if same:
            return _among(same, letters)
    alone = {letter for hit in _LETTER_ALONE.findall(said) for letter in hit if letter}
    return _among(alone, letters)


def _among(found: set[str], letters: str) -> str | None:
    """The only letter that was found, if it is one of `letters`."""
    return next(iter(found)) if len(found) == 1 and found <= set(letters) else None


_NO = re.compile(
    r"(?:no|nope|false|incorrect|wrong)\b(?!\s+(?:doubt|idea))|not\s+(?:correct|true|really)\b|"
    r"不是|不对|不正确|不会|不能|不可以|没有|并没有|并不|否|错(?!落)|假(?!如|设)|不(?:$|[,。.,])|"
    r"无(?:$|[,。.,])"
)
_YES = re.compile(
    r"(?:yes|yep|yeah|true|correct|right)\b|没错|不错,|是(?!否|不是)|对(?!不|于|比|面)|正确|"
    r"有(?:$|[,。.,的])|真的?(?:$|[,。.,])|会(?:$|[,。.,的])|能(?:$|[,。.,])|可以(?:$|[,。.,])"
)


def yes_or_no(text: str) -> bool | None:
    """True for yes, False for no, None for neither, by how the answer begins.

    Words before it such as "The answer is" are passed over. An answer that goes on to say the
    contrary ("yes and no") is neither. Unlike Li et al. 2023, "Evaluating Object Hallucination in
    Large Vision-Language Models" (POPE), where all that has no word of denial is yes.
    """
    said = unicodedata.normalize("NFKC", text).casefold().strip(" \t\n\"'“”*。.!")
    if match := _SAID.search(said):
        said = said[match.end() :]
    if re.match(r"(?:yes|no)\s*(?:and|or|/|,)\s*(?:yes|no)\b|是(?:或|也不是|和否)", said):
        return None
    if _NO.match(said) and not said.startswith("没错"):
        return False
    return True if _YES.match(said) else None


# --- Lists and boxes ----------------------------------------------------------------------------

_BETWEEN = re.compile(r"(?<!\d),|,(?!\d)|[;、\n|]|\s(?:and|&)\s|以及|和|与|及")
_BULLET = re.compile(r"^\s*(?:[-*•·]|\(?\d{1,2}[.)、](?!\d))\s*")


def list_items(text: str) -> list[str]:
    """The items of a list in a text, normalised: between commas, semicolons, lines and 'and'."""
    text = unicodedata.normalize("NFKC", text)
    parts = [normalised(_BULLET.sub("", part)) for part in _BETWEEN.split(text)]
    return [part for part in (part.removeprefix("and ") for part in parts) if part]


def list_match(expected: str, given: str) -> float:
    """F1 of the items of two lists whose order does not matter; an item said twice counts twice.

    Source: bags of answers as in Dua et al. 2019, "DROP", section 5, with exact items.
    """
    return _bag_f1(list_items(expected), list_items(given))


_BOX = re.compile(
    r"^[^\d]*?" + r"\D{1,12}?".join([r"(\d+(?:\.\d+)?)"] * 4) + r"(?:</\w+>|[\s)\]}>])*$"
)


def box_in(text: str) -> Box | None:
    """The box of an answer such as [10, 20, 110, 220], corners in order; None without one."""
    match = _BOX.match(text.strip())
    if match is None or not re.search(r"[\[({<]|box", text, re.IGNORECASE):
        return None
    left, top, right, bottom = map(float, match.groups())
    return min(left, right), min(top, bottom), max(left, right), max(top, bottom)


def box_iou(one: Box, other: Box) -> float:
    """Area that the boxes share over the area that they cover together; 1 for the same box.

    Source: Everingham et al. 2010, "The PASCAL Visual Object Classes Challenge", section 4.2.
    """
    if one == other:
        return 1.0
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(width, 0.0) * max(height, 0.0)
    covered = _area(one) + _area(other) - shared
    return min(shared / covered, 1.0) if covered > 0 else 0.0


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
