"""Numbers that stand for a person or an account: identity numbers, bank accounts, cards.

Each kind has a form and a check (check digits, a plausible date of birth, issued ranges), so that
order numbers and the like seldom pass. Sources of the checks: GB 11643-1999 (Chinese resident
identity number, ISO 7064 MOD 11-2), the US Social Security Administration's rules of assignment,
ISO 13616 (IBAN, ISO 7064 MOD 97-10), ISO/IEC 7812 (payment cards, Luhn's check digit), and the
published rules of Brazil's CPF, South Korea's resident registration number and Spain's DNI and NIE.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date

START = r"(?<![\w/=&#%+@-])(?<!\d[.,:])"  # not inside a word, an address or a decimal
END = r"(?![\w%]|[.,:/-]\d)"

Extent = tuple[int, int]
"""Start and end of a finding, in characters of the text."""

_RUN = re.compile(r"\d(?:[^\d\n]{0,5}\d){6,}", re.ASCII)


def digit_runs(text: str) -> Iterator[Extent]:
    """Seven digits or more that stand close together, with three characters on each side.

    Patterns with many forms are searched there only, because that is a small part of most texts.
    """
    for run in _RUN.finditer(text):
        yield max(0, run.start() - 3), min(len(text), run.end() + 3)


def identity_numbers(text: str) -> Iterator[Extent]:
    """Where `text`, whose digits and signs are ASCII, holds such a number; in no order."""
    for low, high in digit_runs(text):
        for form, right in _FORMS:
            for match in form.finditer(text, low, high):
                if right(re.sub(r"[ .-]", "", match[0])):
                    yield match.span()
        for match in _SOCIAL_SECURITY_NAMED.finditer(text, max(0, low - 30), high):
            if _social_security(re.sub(r"\D", "", match[1])):
                yield match.span(1)
    yield from _ibans(text)


# --- Forms with a check -------------------------------------------------------------------------

_RESIDENT_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_RESIDENT_SIGNS = "10X98765432"
# First two digits: provinces, autonomous regions, municipalities; 71 to 83 are their like.
_PROVINCES = frozenset(
    "11 12 13 14 15 21 22 23 31 32 33 34 35 36 37 41 42 43 44 45 46 50 51 52 53 54 61 62 63 64 65 "
    "71 81 82 83".split()
)
_NEVER_ISSUED = frozenset(("078051120", "219099999", "123456789"))  # known from advertisements
_DNI_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"
_CPF_WEIGHTS = range(11, 1, -1)
_KOREAN_WEIGHTS = (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)


def _resident(number: str) -> bool:
    if number[:2] not in _PROVINCES or not _is_date(number[6:14]):
        return False
    total = sum(int(d) * w for d, w in zip(number, _RESIDENT_WEIGHTS, strict=False))
    return _RESIDENT_SIGNS[total % 11] == number[17].upper()


def _is_date(digits: str) -> bool:
    """Whether YYYYMMDD is a day on which somebody who is alive may have been born."""
    try:
        day = date(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))
    except ValueError:
        return False
    return 1900 <= day.year < 2050


def _social_security(number: str) -> bool:
    area, group, serial = number[:3], number[3:5], number[5:]
    never = area in ("000", "666") or area[0] == "9" or group == "00" or serial == "0000"
    return not never and number not in _NEVER_ISSUED


def _card(number: str) -> bool:
    """Luhn's check digit, and an issuer's range at a length that it issues."""
    return _issued(number) and _luhn(number)


def _issued(number: str) -> bool:
    head, length = int(number[:4]), len(number)
    match number[0]:
        case "4":
            return length in (16, 19)  # Visa
        case "5":
            return length == 16 and 5100 <= head < 5600  # Mastercard
        case "2":
            return length == 16 and 2221 <= head <= 2720  # Mastercard
        case "3" if number[1] in "47":
            return length == 15  # American Express
        case "3" if 3528 <= head <= 3589:
            return length == 16  # JCB
        case "3":
            return length == 14 and (3000 <= head <= 3059 or number[1] in "689")  # Diners Club
        case "6":
            discover = head == 6011 or 6440 <= head < 6600
            return length in (16, 19) and (discover or number[1] == "2")  # and UnionPay
        case _:
            return False


def _luhn(number: str) -> bool:
    digits = [int(digit) for digit in reversed(number)]
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[1::2])
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0


def _cpf(number: str) -> bool:
    if len(set(number)) == 1:
        return False
    for length, weights in ((9, _CPF_WEIGHTS[1:]), (10, _CPF_WEIGHTS)):
        total = sum(int(d) * w for d, w in zip(number[:length], weights, strict=True))
        if total * 10 % 11 % 10 != int(number[length]):
            return False
    return True


def _korean(number: str) -> bool:
    """Date of birth, sign of sex and century, check digit (numbers before October 2020)."""
    century = "19" if number[6] in "1256" else "20"
    total = sum(int(d) * w for d, w in zip(number, _KOREAN_WEIGHTS, strict=False))
    return _is_date(century + number[:6]) and (11 - total % 11) % 10 == int(number[12])


def _spanish(number: str) -> bool:
    digits = number[:-1].translate(str.maketrans("XYZ", "012"))
    return _DNI_LETTERS[int(digits) % 23] == number[-1]


def _form(pattern: str) -> re.Pattern[str]:
    return re.compile(START + pattern + END, re.ASCII)


_FORMS: tuple[tuple[re.Pattern[str], Callable[[str], bool]], ...] = (
    (_form(r"[1-8]\d{5}( ?)(?:19|20)\d{6}\1\d{3}[\dXx]"), _resident),
    (_form(r"\d{3}-\d{2}-\d{4}"), _social_security),
    (_form(r"[2-6]\d{3}([ -]?)\d{4}\1\d{4}\1\d{4}(?:\1\d{3})?"), _card),
    (_form(r"3\d{3}([ -]?)\d{6}\1\d{4,5}"), _card),
    (_form(r"\d{3}\.\d{3}\.\d{3}-\d{2}"), _cpf),
    (_form(r"\d{6}-[1-8]\d{6}"), _korean),
    (_form(r"(?:\d{8}|[XYZ]-?\d{7})-?[A-HJ-NP-TV-Z]"), _spanish),
)
# Nine digits with spaces or nothing between them are too common without the name.
_SOCIAL_SECURITY_NAMED = re.compile(
    r"(?<![a-z])(?:ssn|social security)(?: number| no\.?| #)?[ :#]{0,3}"
    r"(\d{9}|\d{3} \d{2} \d{4})" + END,
    re.ASCII | re.IGNORECASE,
)

# --- IBAN ---------------------------------------------------------------------------------------

# Length of the whole number by country, from the registry of ISO 13616.
_IBAN_LENGTHS = {
    country: length
    for length, countries in {
        15: "NO",
        16: "BE",
        18: "DK FI FO GL NL SD",
        19: "MK SI",
        20: "AT BA EE KZ LT LU MN XK",
        21: "CH CR HR LI LV",
        22: "BG BH DE GB GE IE ME RS VA",
        23: "AE GI IL IQ OM SO TL",
        24: "AD CZ ES MD PK RO SA SE SK TN VG",
        25: "LY PT ST",
        26: "IS TR",
        27: "BI DJ FR GR IT MC MR SM",
        28: "AL AZ BY CY DO GT HU LB NI PL SV",
        29: "BR EG PS QA UA",
        30: "JO KW MU YE",
        31: "MT SC",
        32: "LC",
        33: "RU",
    }.items()
    for country in countries.split()
}
_IBAN_START = re.compile(r"(?<![A-Za-z0-9])([A-Z]{2})\d\d(?=[ -]?[A-Z0-9])", re.ASCII)
_IBAN_REST = re.compile(r"(?:[ -]?[A-Z0-9])*", re.ASCII)
_LONGEST = 2 * max(_IBAN_LENGTHS.values())


def _ibans(text: str) -> Iterator[Extent]:
    for match in _IBAN_START.finditer(text):
        length = _IBAN_LENGTHS.get(match[1])
        if length is None:
            continue
        start = match.start()
        rest = _IBAN_REST.match(text, start, start + _LONGEST)
        assert rest is not None  # it may be empty, but matches
        places = [at for at in range(*rest.span()) if text[at].isalnum()][:length]
        end = places[-1] + 1
        glued = end < len(text) and text[end].isascii() and text[end].isalnum()
        number = "".join(text[at] for at in places)
        if len(places) == length and not glued and _mod_97(number) == 1:
            yield start, end


def _mod_97(number: str) -> int:
    """The remainder of ISO 7064: first four signs last, letters as 10 to 35."""
    return int("".join(str(int(sign, 36)) for sign in number[4:] + number[:4])) % 97
