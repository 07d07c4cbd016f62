"""What kind of sign each code point is, as tables that compiled loops look into.

A sign is a Unicode code point. A word is a run of signs that are no white space; in scripts written
without spaces each Han, kana, Hangul or Thai sign is a word, with the marks that belong to it.
"""

from __future__ import annotations

import unicodedata
from functools import cache

import numpy as np
import numpy.typing as npt

from operators.scripts import WIDE_MARK_RANGES, WIDE_RANGES
from operators.word_lists import PHRASES, flagged_runs

SPACE = 1 << 0
WIDE = 1 << 1  # of a script without spaces
MARK = 1 << 2  # belongs to the wide sign before it
LETTER = 1 << 3
DIGIT = 1 << 4
UPPER = 1 << 5
LOWER = 1 << 6
SPECIAL = 1 << 7  # neither letter nor mark: digits, spaces, punctuation, symbols, controls
PUNCTUATION = 1 << 8
TOKEN = 1 << 9  # in a run of letters, digits, _ and '
TERMINAL = 1 << 10  # ends a sentence
ENDS_ALONE = 1 << 11  # ends a sentence without a space after it
QUOTE = 1 << 12  # a quotation mark that may close
CLOSING = 1 << 13  # a closing bracket or quotation mark
BULLET = 1 << 14
STARTS_PHRASE = 1 << 15
STARTS_RUN = 1 << 16
SCRIPT_SHIFT = 20  # the sign's script stands in the bits from here on

SCRIPTS = (
    "space",
    "ascii letter",
    "latin letter",  # with a diacritic, or of an extended alphabet
    "digit",
    "punctuation",
    "other sign",
    "greek or cyrillic",
    "arabic or hebrew",
    "indic",
    "thai, lao, khmer, burmese",
    "other letter",
    "han",
    "kana",
    "hangul",
)
_TABLE_SIZE = 0x40001  # all assigned letters; the last entry stands for every point above
_SCRIPT_RANGES = (
    ("greek or cyrillic", 0x0370, 0x052F),
    ("greek or cyrillic", 0x1C80, 0x1C8F),
    ("greek or cyrillic", 0x1F00, 0x1FFF),
    ("arabic or hebrew", 0x0590, 0x08FF),
    ("arabic or hebrew", 0xFB1D, 0xFEFC),
    ("indic", 0x0900, 0x0DFF),
    ("thai, lao, khmer, burmese", 0x0E00, 0x0EFF),
    ("thai, lao, khmer, burmese", 0x1000, 0x109F),
    ("thai, lao, khmer, burmese", 0x1780, 0x17FF),
    ("hangul", 0x1100, 0x11FF),
    ("han", 0x2E80, 0x2FDF),
    ("kana", 0x3040, 0x30FF),
    ("hangul", 0x3130, 0x318F),
    ("han", 0x3400, 0x9FFF),
    ("hangul", 0xAC00, 0xD7AF),
    ("han", 0xF900, 0xFAFF),
    ("kana", 0xFF66, 0xFF9F),
    ("han", 0x20000, 0x3FFFF),
)
_TERMINALS = ".!?…‥‼⁇⁈⁉。！？．｡؟۔।॥։።፧។៕᠃᠉။"
_ALONE = "。！？．｡"
_MOST = {"Lo": LETTER | TOKEN, "Cn": SPECIAL}
_QUOTES = "\"'”’»」』›＂"
_BULLETS = "•‣▪◦●■·*-–"


@cache
def kinds() -> npt.NDArray[np.int32]:
    """The bits of each code point, and its place in `SCRIPTS` above `SCRIPT_SHIFT`; (0x40001,)."""
    table = np.fromiter(map(_bits, map(chr, range(_TABLE_SIZE))), np.int32, _TABLE_SIZE)
    for ranges, bit in ((WIDE_RANGES, WIDE), (WIDE_MARK_RANGES, MARK)):
        for first, last in ranges:
            table[first : last + 1] |= bit
    for signs, bit in (
        (_TERMINALS, TERMINAL),
        (_ALONE, ENDS_ALONE),
        (_QUOTES, QUOTE),
        (_QUOTES, CLOSING),
        (_BULLETS, BULLET),
        ({form for phrase in PHRASES for form in (phrase[0], phrase[0].upper())}, STARTS_PHRASE),
        ({run[0] for run in flagged_runs()}, STARTS_RUN),
    ):
        for sign in signs:
            table[ord(sign)] |= bit
    return table


@cache
def folded() -> npt.NDArray[np.uint32]:
    """The lower case of each code point that has one of a single sign; ’ becomes '; (0x40001,)."""
    table = np.arange(_TABLE_SIZE, dtype=np.uint32)
    for point in range(_TABLE_SIZE):
        lower = chr(point).lower()
        if len(lower) == 1:
            table[point] = ord(lower)
    table[ord("’")] = ord("'")
    return table


def fold(text: str) -> str:
    """The text as `folded` folds it, sign for sign."""
    lower = (sign.lower() if len(sign.lower()) == 1 else sign for sign in text)
    return "".join(lower).replace("’", "'")


def _bits(sign: str) -> int:
    category = unicodedata.category(sign)
    if category in _MOST and sign >= "\u3400":  # nearly all code points: not worth asking further
        return _MOST[category] | _script(sign, category, space=False) << SCRIPT_SHIFT
    letter, space = sign.isalpha(), sign.isspace()
    punctuation = category[0] == "P" or sign in "$+<=>^`|~"
    bits = SPACE * space | LETTER * letter | DIGIT * (category == "Nd")
    bits |= UPPER * sign.isupper() | LOWER * sign.islower()
    bits |= SPECIAL * (not letter and category[0] != "M")
    bits |= PUNCTUATION * (punctuation and sign not in "_'")
    bits |= TOKEN * (sign.isalnum() or sign in "_'")
    bits |= CLOSING * (category in ("Pe", "Pf"))
    return bits | _script(sign, category, space=space) << SCRIPT_SHIFT


def _script(sign: str, category: str, *, space: bool) -> int:
    if space:
        return SCRIPTS.index("space")
    if category == "Nd":
        return SCRIPTS.index("digit")
    if category[0] == "P" or (category[0] == "S" and sign.isascii()):
        return SCRIPTS.index("punctuation")
    if category[0] not in "LM":
        return SCRIPTS.index("other sign")
    if sign.isascii():
        return SCRIPTS.index("ascii letter")
    point = ord(sign)
    for name, first, last in _SCRIPT_RANGES:
        if first <= point <= last:
            return SCRIPTS.index(name)
    latin = point < 0x0370 or 0x1E00 <= point < 0x1F00
    return SCRIPTS.index("latin letter" if latin else "other letter")
