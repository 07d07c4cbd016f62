"""Scripts: which signs belong to which, which count as words, which belong to one language.

The one place where ranges of characters stand. Scripts written without spaces are `wide`: each of
their signs counts as a word.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

import numpy as np
import numpy.typing as npt

WIDE_RANGES = (
    (0x2E80, 0x2FDF),
    (0x3005, 0x30FF),
    (0x3400, 0x9FFF),
    (0xAC00, 0xD7AF),
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9F),
    (0x20000, 0x3FFFF),
    (0x0E01, 0x0E30),
    (0x0E32, 0x0E33),
    (0x0E40, 0x0E46),
    (0x0E4F, 0x0E5B),
)
"""First and last of Han, kana, Hangul and Thai signs, each of which counts as a word."""
WIDE_MARK_RANGES = ((0x0E31, 0x0E31), (0x0E34, 0x0E3A), (0x0E47, 0x0E4E), (0x3099, 0x309A))
"""The marks that belong to the wide sign before them."""


def _class(ranges: tuple[tuple[int, int], ...]) -> str:
    """The ranges as the inside of a character class of `re`."""
    return "".join(rf"\U{first:08x}-\U{last:08x}" for first, last in ranges)


WIDE, WIDE_MARKS = _class(WIDE_RANGES), _class(WIDE_MARK_RANGES)
WORD = re.compile(rf"[{WIDE}][{WIDE_MARKS}]*|[^\s{WIDE}]+")
"""A word: a wide sign with its marks, or a run of other signs that are no white space."""

# What extraction was scored with from the start: the main blocks only, Thai with its marks. Kept as
# it is, so that figures stay comparable; `block_features` has the same ranges in its own code,
# which its trained model is bound to.
NARROW_WIDE = r"\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f"

# Unicode blocks of each script. Their letters and marks are told by their general category.
_BLOCKS = {
    # What belongs to the letter before it: accents, joiners, apostrophes.
    "Inherited": "0027 02b0-02ff 0300-036f 1ab0-1aff 1dc0-1dff 200c-200d 2019 20d0-20ff fe20-fe2f",
    "Latin": "0041-024f 0250-02af 1d00-1dbf 1e00-1eff 2c60-2c7f a720-a7ff ab30-ab6f fb00-fb06 "
    "ff21-ff5a",
    "Cyrillic": "0400-052f 1c80-1c8f 2de0-2dff a640-a69f",
    "Arabic": "0600-06ff 0750-077f 0870-08ff fb50-fdff fe70-fefe",
    "Devanagari": "0900-097f a8e0-a8ff",
    "Bengali": "0980-09ff",
    "Hebrew": "0590-05ff fb1d-fb4f",
    "Greek": "0370-03ff 1f00-1fff",
    "Armenian": "0530-058f fb13-fb17",
    "Georgian": "10a0-10ff 1c90-1cbf 2d00-2d2f",
    "Syriac": "0700-074f",
    "Thaana": "0780-07bf",
    "Nko": "07c0-07ff",
    "Gurmukhi": "0a00-0a7f",
    "Gujarati": "0a80-0aff",
    "Oriya": "0b00-0b7f",
    "Tamil": "0b80-0bff",
    "Telugu": "0c00-0c7f",
    "Kannada": "0c80-0cff",
    "Malayalam": "0d00-0d7f",
    "Sinhala": "0d80-0dff",
    "Thai": "0e00-0e7f",
    "Lao": "0e80-0eff",
    "Tibetan": "0f00-0fff",
    "Myanmar": "1000-109f a9e0-a9ff aa60-aa7f",
    "Ethiopic": "1200-139f 2d80-2ddf ab00-ab2f",
    "Cherokee": "13a0-13ff ab70-abbf",
    "Canadian": "1400-167f 18b0-18ff",
    "Khmer": "1780-17ff",
    "Mongolian": "1800-18af",
    "OlChiki": "1c50-1c7f",
    "Tifinagh": "2d30-2d7f",
    "Yi": "a000-a4cf",
    "Hangul": "1100-11ff 3130-318f a960-a97f ac00-d7ff ffa0-ffdc",
    "Bopomofo": "3100-312f 31a0-31bf",
    "Kana": "3041-30ff 31f0-31ff ff66-ff9f",
    "Han": "2e80-2fdf 3005-3007 3400-4dbf 4e00-9fff f900-faff",
}
SCRIPTS: tuple[str, ...] = ("", *_BLOCKS)
"""Names of the scripts by number; 0 is no letter of any."""
NUMBER = {name: number for number, name in enumerate(SCRIPTS)}

LANGUAGE_OF_SCRIPT = {
    "Greek": "el",
    "Armenian": "hy",
    "Georgian": "ka",
    "Syriac": "syr",
    "Thaana": "dv",
    "Nko": "nqo",
    "Gurmukhi": "pa",
    "Gujarati": "gu",
    "Oriya": "or",
    "Tamil": "ta",
    "Telugu": "te",
    "Kannada": "kn",
    "Malayalam": "ml",
    "Sinhala": "si",
    "Thai": "th",
    "Lao": "lo",
    "Tibetan": "bo",
    "Myanmar": "my",
    "Ethiopic": "am",
    "Cherokee": "chr",
    "Canadian": "iu",
    "Khmer": "km",
    "Mongolian": "mn",
    "OlChiki": "sat",
    "Tifinagh": "zgh",
    "Yi": "ii",
    "Hangul": "ko",
    "Bopomofo": "zh",
}
"""Scripts that nearly all text in them shares with no second language. Han and kana are not here:
which of Chinese and Japanese it is hangs on both together."""

PLANES = 0x20000
"""Characters from here on are Han (or rare enough to be no letters)."""


@cache
def script_table() -> npt.NDArray[np.uint8]:
    """The number of the script of each character below `PLANES`; (PLANES,).

    Letters and marks only: digits and punctuation have no script, whatever block they stand in.
    """
    table = np.zeros(PLANES, np.uint8)
    for name, blocks in _BLOCKS.items():
        for block in blocks.split():
            edges = [int(edge, 16) for edge in block.split("-")]
            for code in range(edges[0], edges[-1] + 1):
                if name == "Inherited" or unicodedata.category(chr(code))[0] in "LM":
                    table[code] = NUMBER[name]
    table[0x3007] = NUMBER["Han"]  # the sign for zero is a number to Unicode
    return table


@cache
def _only_letters() -> str:
    """Each character below `PLANES`, a space in place of what is no letter or mark."""
    return "".join(chr(code) if script else " " for code, script in enumerate(script_table()))


def letters_only(text: str) -> str:
    """The text's letters, marks and apostrophes in lower case, single spaces between words."""
    return " ".join(text.lower().translate(_only_letters()).split())


@cache
def lower_table() -> npt.NDArray[np.int32]:
    """The lower case of each character below `PLANES`; (PLANES,).

    Where it is several characters (Turkish İ), the first.
    """
    return np.fromiter((ord(chr(code).lower()[0]) for code in range(PLANES)), np.int32, PLANES)


@cache
def japanese_signs() -> npt.NDArray[np.int8]:
    """1 for Han signs that only Japan's standard set has, -1 for those that it has not; (PLANES,).

    JIS X 0208 against GB 2312 and Big5 together: 駅 and 込 are written in Japan only, 们 and 说
    in China only.
    """
    table = np.zeros(PLANES, np.int8)
    for code in range(0x4E00, 0xA000):
        sign = chr(code)
        japan, china = _in(sign, "euc_jp", 2), _in(sign, "gb2312") or _in(sign, "big5")
        table[code] = japan - china
    table[0x3005] = 1  # the sign of repetition
    return table


def _in(sign: str, charset: str, most: int = 9) -> bool:
    """Whether the character set has the sign, in at most so many bytes."""
    return 0 < len(sign.encode(charset, "ignore")) <= most
