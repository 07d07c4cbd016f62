"""How much of what an answer claims is known of its picture, without a model.

Known is what other columns say: captions, text read from the picture, what stood beside it. A word
of the answer is known when its stem (English) or its pair of signs (Chinese) is in one of them:
plain recall of content words, which tells captions of the same photo from others' with a ROC-AUC of
0.97 (docs/instruction-quality.md). What is known is never all there is to see, so a low share is a
reason to look and not a proof.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import pyarrow as pa
from pydantic import Field

from operators.answer_words import content, is_wide, stem, tokens
from operators.base import Operator, measured
from operators.quantities import Quantity, quantities
from operators.verifiers import LETTERS, letter_in, yes_or_no
from operators.word_lists import digest
from schemas import columns

_SOURCES = (
    *("caption_en", "caption_zh", "image_text", "image_alt", "image_caption"),
    *("page_title", "page_text"),
)
_CLAUSE = re.compile(
    r"[!?;:\n。！？；，、：…]|[.,](?!\d)|\s(?:and|but|while|whereas|which|who|with)\s|并且|而且|但是|同时"
)
_COLOURS_EN = frozenset(
    "red orange yellow green blue purple violet pink brown black white gray grey golden silver "
    "beige turquoise".split()
)
_COLOUR_ZH = re.compile("([红橙黄绿青蓝紫粉棕褐黑白灰金银])色")
_NAME = re.compile(r"(?<![.!?:\"“]\s)(?<=[\w,;]\s)([A-Z][\w'’-]+(?:\s[A-Z][\w'’-]+)*)")
_LATIN_NAME = re.compile(r"[A-Za-z][A-Za-z'’.&-]+(?:\s[A-Za-z][A-Za-z'’.&-]+)*")
_HAN_NUMERALS = "零〇一二两三四五六七八九十百千万亿"
_NOT_COUNTED = re.compile(
    rf"(?<!分之)(?<![{_HAN_NUMERALS}\d点])[{_HAN_NUMERALS}]+(?![{_HAN_NUMERALS}点个只张位名条件块座辆把本朵棵艘架台间"
    r"层人岁年月日点米头匹双对根片扇盏支栋种枚颗])"
)
"""Chinese numerals before no measure word: mostly parts of words, as in 四周 and 三明治."""


class Known(NamedTuple):
    """What is known of a picture: what texts speak of (`spoken_of`), and all tokens of them."""

    words: set[str]
    tokens: set[str]


class Grounding(Operator[None]):
    """Share of the words of an answer's claims that captions, OCR or page know of the picture.

    A claim is a clause of an answer; of a multiple choice the right option, of a judgement its
    question if the answer is yes. Words that the question said already claim nothing. A claim is
    ungrounded when less than `min_share` of its words are known. Details are numbers, colours and
    names: those are compared one by one, numbers by value. Without anything known in the
    instruction's language there is no share and there are no lists.
    """

    name = "grounding"
    table = "instructions"
    reads = columns.schema("instruction_kind", "instruction_lang", "turns", "options", *_SOURCES)
    optional = frozenset({"image_text"})
    writes = columns.schema(
        "claim_count",
        "known_word_count",
        "grounded_share",
        "ungrounded_claims",
        "ungrounded_details",
    )

    min_share: float = Field(
        0.34, ge=0, le=1, description="share of a claim's words that must be known of the picture"
    )

    def provenance(self) -> dict[str, str]:
        """The digest of the word lists."""
        return super().provenance() | {"lexicons": digest()}

    def measure(self, batch: pa.Table, state: None) -> pa.Table:
        """One row of findings an instruction; nulls where it has no turns."""
        memo: dict[tuple[str | None, ...], Known] = {}
        found = []
        for row in batch.select(self.reads.names).to_pylist():
            texts = tuple(row[name] for name in _SOURCES)
            if texts not in memo:
                memo = {texts: known_of(texts)}  # instructions of a picture are neighbours
            found.append(self._measured(row, memo[texts]) if row["turns"] else (None,) * 5)
        return measured(self.writes, list(zip(*found, strict=True)) or [[]] * len(self.writes))

    def _measured(self, row: dict[str, Any], known: Known) -> tuple[Any, ...]:
        claims = claims_of(
            row["instruction_kind"],
            [(t["question"], t["answer"]) for t in row["turns"]],
            row["options"],
        )
        language = row["instruction_lang"]
        words = sum(is_wide(w) == (language == "zh") for w in known.words if not w[0].isdigit())
        if not words:
            return len(claims), 0, None, None, None
        shares = [(len(said & known.words), len(said)) for _, said in claims]
        total = sum(size for _, size in shares)
        return (
            len(claims),
            words,
            sum(hit for hit, _ in shares) / total if total else None,
            [
                claim
                for (claim, _), (hit, size) in zip(claims, shares, strict=True)
                if hit < self.min_share * size
            ],
            _unknown_details((claim for claim, _ in claims), language, known),
        )


def known_of(texts: Iterable[str | None]) -> Known:
    """What the texts say of a picture; those that are not there say nothing."""
    text = "\n".join(text for text in texts if text)
    every = {_number(number) for number in quantities(text)}
    return Known(spoken_of(text) | every, set(tokens(text)))


def spoken_of(text: str) -> set[str]:
    """The content words of a text, its numbers by value: "two" and 2 are the same."""
    words = {word for word in content(text) if not word[0].isdigit()}
    return words | {_number(number) for number in _counted(text)}


def _number(number: Quantity) -> str:
    return f"{number.value:g}"


def _counted(text: str) -> list[Quantity]:
    """Numbers that count or measure something; "one" and 一 mostly do not."""
    text = _NOT_COUNTED.sub(" ", unicodedata.normalize("NFKC", text))
    return [n for n in quantities(text) if n.value != 1 or n.written.isdigit()]


def claims_of(
    kind: str, turns: Sequence[tuple[str, str]], options: Sequence[str]
) -> list[tuple[str, set[str]]]:
    """The claims of an instruction's answers, each with the words that it adds to its question."""
    found = []
    for question, answer in turns:
        said, asked = _claimed(kind, question, answer, options)
        for clause in _CLAUSE.split(said):
            words = spoken_of(clause) - asked
            if words:
                found.append((clause.strip(), words))
    return found


def _claimed(kind: str, question: str, answer: str, options: Sequence[str]) -> tuple[str, set[str]]:
    """What the answer claims, and the words that were there before."""
    if kind == "judgement":
        return question if yes_or_no(answer) else "", set()
    if kind == "multiple_choice":
        letter = letter_in(answer, options)
        answer = "" if letter is None else options[LETTERS.index(letter)]
    return answer, spoken_of(question)


def _unknown_details(claims: Iterable[str], language: str, known: Known) -> list[str]:
    """Numbers, colours and names of the claims that are not known, in order, each once."""
    found: dict[str, None] = {}
    for claim in claims:
        unknown = [n.written for n in _counted(claim) if _number(n) not in known.words]
        unknown += [c for c in _colours(claim) if not _is_known(c, known)]
        names = (_LATIN_NAME if language == "zh" else _NAME).findall(claim)
        unknown += [name for name in names if not set(tokens(name)) <= known.tokens]
        found |= dict.fromkeys(unknown)
    return list(found)


def _is_known(colour: str, known: Known) -> bool:
    return colour in known.tokens or stem(colour) in known.words


def _colours(claim: str) -> list[str]:
    return [*(w for w in tokens(claim) if w in _COLOURS_EN), *_COLOUR_ZH.findall(claim)]
