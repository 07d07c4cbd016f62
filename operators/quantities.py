"""Numbers that a text names, with their units: digits, English words and Chinese numerals."""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple


class Quantity(NamedTuple):
    """A number as the text has it; `dimension` is '' and `factor` 1 without a known unit.

    The value in the dimension's base unit is `value` times `factor`.
    """

    value: float
    dimension: str
    factor: float
    written: str


_UNITS: dict[str, tuple[str, float]] = {}
for _dimension, _spellings in {
    "length": {
        0.001: "mm millimetre millimeter 毫米",
        0.01: "cm centimetre centimeter 厘米 公分",
        1.0: "m metre meter 米",
        1000.0: "km kilometre kilometer 千米 公里",
        0.0254: "inch inches 英寸",
        0.3048: "ft foot feet 英尺",
        1609.344: "mile mi 英里",
    },
    "mass": {
        0.001: "mg milligram 毫克",
        1.0: "g gram 克",
        1000.0: "kg kilogram kilo 千克 公斤",
        1e6: "tonne ton 吨",
        453.59237: "lb lbs pound 磅",
    },
    "time": {
        1.0: "s sec second 秒",
        60.0: "min minute 分钟",
        3600.0: "h hr hour 小时",
        86400.0: "day 天",
    },
    "volume": {0.001: "ml millilitre milliliter 毫升", 1.0: "l litre liter 升"},
    "degrees Celsius": {1.0: "°c celsius 摄氏度"},
    "degrees Fahrenheit": {1.0: "°f fahrenheit 华氏度"},
    "dollars": {1.0: "$ usd dollar 美元"},
    "euros": {1.0: "€ eur euro 欧元"},
    "yuan": {1.0: "¥ cny rmb yuan 元 人民币"},
    "percent": {1.0: "% percent"},
}.items():
    for _factor, _names in _spellings.items():
        for _name in _names.split():
            _UNITS[_name] = (_dimension, _factor)
            if _name.isascii() and len(_name) > 2 and _name[-1] not in "sh%":
                _UNITS[_name + "s"] = (_dimension, _factor)

_TIMES = {
    "k": 1e3,
    "thousand": 1e3,
    "million": 1e6,
    "billion": 1e9,
    "bn": 1e9,
    "百": 1e2,
    "千": 1e3,
    "万": 1e4,
    "亿": 1e8,
}
_SMALL = {
    word: number
    for number, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
        "fifteen sixteen seventeen eighteen nineteen".split()
    )
} | {"dozen": 12}
_TENS = {
    word: 10 * number
    for number, word in enumerate(
        "twenty thirty forty fifty sixty seventy eighty ninety".split(), start=2
    )
}
_GREAT = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
_HAN_DIGITS = {sign: at for at, sign in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_HAN_UNITS = {"十": 10, "百": 100, "千": 1000, "万": 10**4, "亿": 10**8}
_HAN = "".join((*_HAN_DIGITS, *_HAN_UNITS))

_any = "|".join(sorted((*_SMALL, *_TENS, *_GREAT), key=len, reverse=True))
_units = "|".join(sorted(map(re.escape, _UNITS), key=len, reverse=True))
_QUANTITY = re.compile(
    rf"(?P<money>[$€¥])?\s?(?:"
    rf"(?P<digits>(?<![a-z\d.,])(?:(?<![\w)])[-+−])?"
    rf"(?:\d{{1,3}}(?:,\d{{3}})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+))"
    rf"(?:(?-i:(?P<million>M))(?![a-z])"
    rf"|\s?(?P<times>(?:k|bn|thousand|million|billion)\b|[百千万亿](?![米克])))?"
    rf"|(?P<words>\b(?:{_any})\b(?:(?:[\s-]|\sand\s)+(?:{_any})\b)*)"
    rf"|(?P<share>百分之)?(?P<han>[{_HAN}]+(?:点[{_HAN}]+)?)"
    rf")(?:\s?-?(?P<unit>{_units})(?![a-z]))?",
    re.IGNORECASE,
)


def quantities(text: str) -> list[Quantity]:
    """The numbers of a text, in order.

    Thousands may be marked by commas; the decimal mark is a point. Read are 1,200, 1.2k, 3 million,
    3万, twenty-five, 二十五, 三点五, 百分之二十. A number inside a word, as in mp3, is none.
    """
    text = unicodedata.normalize("NFKC", text)
    return [_read(match) for match in _QUANTITY.finditer(text)]


def _read(match: re.Match[str]) -> Quantity:
    found = match.groupdict()
    if found["digits"]:
        value = float(found["digits"].replace(",", "").replace("−", "-"))
        value *= 1e6 if found["million"] else _TIMES.get((found["times"] or "").lower(), 1.0)
    elif found["words"]:
        value = _english(found["words"].lower())
    else:
        value = _chinese(found["han"])
    unit = "%" if found["share"] else found["unit"] or found["money"]
    dimension, factor = _UNITS.get((unit or "").lower(), ("", 1.0))
    return Quantity(value, dimension, factor, match.group().strip())


def _english(text: str) -> float:
    """The number that words such as 'two hundred and five' say."""
    total, part = 0.0, 0.0
    for word in re.findall("[a-z]+", text):
        if word == "hundred":
            part = max(part, 1.0) * 100
        elif word in _GREAT:
            total, part = total + max(part, 1.0) * _GREAT[word], 0.0
        elif word == "dozen" and part:
            part *= 12
        else:
            part += _SMALL.get(word, 0) + _TENS.get(word, 0)
    return total + part


def _chinese(text: str) -> float:
    """The number that numerals such as 二百零五 say; without units they are digits (二〇一九)."""
    whole, _, fraction = text.partition("点")
    value = _han_whole(whole)
    digits = "".join(str(_HAN_DIGITS[sign]) for sign in fraction if sign in _HAN_DIGITS)
    return value + (float(f"0.{digits}") if digits else 0.0)


def _han_whole(text: str) -> float:
    if not any(sign in _HAN_UNITS for sign in text):
        return float("".join(str(_HAN_DIGITS[sign]) for sign in text))
    total, section, digit = 0.0, 0.0, 0.0
    for sign in text:
        unit = _HAN_UNITS.get(sign)
        if unit is None:
            digit = _HAN_DIGITS[sign]
        elif unit < 10**4:
            section, digit = section + max(digit, 1.0) * unit, 0.0
        elif unit == 10**4:
            total, section, digit = total + max(section + digit, 1.0) * unit, 0.0, 0.0
        else:
            total, section, digit = max(total + section + digit, 1.0) * unit, 0.0, 0.0
    return total + section + digit
