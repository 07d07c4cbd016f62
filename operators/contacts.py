"""E-mail addresses, IP addresses and phone numbers in text.

All functions take a text whose digits and signs are ASCII (see `operators.pii`) and give the
start and end of what they find. Time is linear in the text, whatever it holds: every pattern looks
at a bounded number of characters from each place where it may begin.

Sources of the rules: RFC 5321 (sizes of addresses), RFC 2606 (names for documentation), IANA's
registries of special-purpose IPv4 and IPv6 addresses, ITU-T E.164 and its list of country codes,
the North American Numbering Plan, and the trunk prefix 0 of most other plans.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from operators.addresses import GLOBAL_V6, SPECIAL_V4, SPECIAL_V6
from operators.identity_numbers import END, START, Extent, digit_runs

# --- E-mail -------------------------------------------------------------------------------------

_LETTERS = r"A-Za-z0-9\u00c0-\u024f"  # Latin; what stands beside it in other scripts is text
_BEFORE_AT = re.compile(rf"[{_LETTERS}_.%+'-]{{0,65}}")
_AFTER_AT = re.compile(rf"[{_LETTERS}.-]{{0,254}}")
_LABEL = re.compile(rf"(?=.{{1,63}}$)[{_LETTERS}](?:[{_LETTERS}-]*[{_LETTERS}])?")
_TOP_LEVEL = re.compile(r"[a-z]{2,24}|xn--[a-z0-9-]{2,59}", re.IGNORECASE)
_ADDRESS_WITH_USER = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/@]{0,80}$", re.IGNORECASE)
# `icon@2x.png` has the form of an address; these endings are no top-level domains.
_FILE_ENDINGS = frozenset(
    "avif bmp css csv gif htm html ico jpeg jpg js json jsx mjs pdf php png scss svg tar tiff ts "
    "tsx txt webp xml yaml yml".split()
)
_DOCUMENTATION = frozenset(("example", "invalid", "localhost", "test"))


def emails(text: str) -> Iterator[Extent]:
    """E-mail addresses, but for those under names that RFC 2606 keeps for documentation."""
    at = text.find("@")
    while at >= 0:
        found = _email_around(text, at)
        if found:
            yield found
        at = text.find("@", at + 1)


def _email_around(text: str, at: int) -> Extent | None:
    before = _BEFORE_AT.match(text[max(0, at - 65) : at][::-1])
    after = _AFTER_AT.match(text, at + 1)
    assert before is not None  # both may be empty, but match
    assert after is not None
    local = before[0][::-1].lstrip(".'%+-")
    domain = _domain(after[0])
    if not domain or not local or len(local) > 64 or local[-1] == "." or ".." in local:
        return None
    start, end = at - len(local), at + 1 + len(domain)
    if text[end : end + 1] == "@" or _ADDRESS_WITH_USER.search(text[max(0, start - 100) : at]):
        return None
    # `git@host:path` is an address of a repository.
    if text[end : end + 1] == ":" and text[end + 1 : end + 2].strip():
        return None
    return start, end


def _domain(run: str) -> str:
    """The longest start of `run` that is a name in the public DNS; '' when there is none."""
    labels = []
    for label in run.split("."):
        if not _LABEL.fullmatch(label):
            stripped = label.rstrip("-")
            labels += [stripped] if _LABEL.fullmatch(stripped) else []
            break
        labels.append(label)
    while labels and not _TOP_LEVEL.fullmatch(labels[-1]):
        labels.pop()
    if len(labels) < 2:
        return ""
    last = labels[-1].lower()
    reserved = last in _DOCUMENTATION or (labels[-2].lower() == "example" and len(last) == 3)
    return "" if reserved or last in _FILE_ENDINGS else ".".join(labels)


# --- IP addresses -------------------------------------------------------------------------------

_V4 = re.compile(
    r"(?<![\w.:-])(?<!\w/)(?:\d{1,3}\.){3}\d{1,3}(?![\w-]|\.\w|/\d{1,2}(?![\d/]))", re.ASCII
)
_V6 = re.compile(r"(?<![\w:.])(?=[0-9A-Fa-f]*:)[0-9A-Fa-f:]{6,39}(?![\w:.]|/\d)", re.ASCII)
_NUMBERED = re.compile(  # the words before a version or the number of a section
    r"(?:version|ver|v|release|rev|revision|build|firmware|driver|update|patch|upgrade|section|"
    r"chapter|clause|figure|table|版本|版|バージョン|версия)[a-z]{0,2}[ .:#=]{0,3}"
    r"(?:(?:is|number|no|to|from)[ .:]{1,2})?$",
    re.IGNORECASE,
)
_FEWEST_HOST = 20  # an address with all four numbers below it is a version or a section's number


def ip_addresses(text: str, *, private: bool = False) -> Iterator[Extent]:
    """Addresses of single hosts; with `private`, also those of no public network.

    Networks (`/24`, or 0 as last number), versions and numbers of sections are none.
    """
    for match in _V4.finditer(text):
        before = text[max(0, match.start() - 24) : match.start()]
        if _is_host_v4(match[0], private=private) and not _NUMBERED.search(before):
            yield match.span()
    for match in _V6.finditer(text):
        if match[0].count(":") >= 2 and _is_host_v6(match[0], private=private):
            yield match.span()


def _is_host_v4(written: str, *, private: bool) -> bool:
    try:
        address = ipaddress.IPv4Address(written)
    except ValueError:
        return False
    numbers = address.packed
    if max(numbers) < _FEWEST_HOST or numbers[3] == 0:
        return False
    return private or not any(address in network for network in SPECIAL_V4)


def _is_host_v6(written: str, *, private: bool) -> bool:
    try:
        address = ipaddress.IPv6Address(written)
    except ValueError:
        return False
    if private:
        return int(address) > 1
    return address in GLOBAL_V6 and not any(address in network for network in SPECIAL_V6)


# --- Phone numbers ------------------------------------------------------------------------------

# Country codes (E.164), each with the fewest and most digits of a national number.
_COUNTRY_DIGITS = {
    "1": (10, 10),
    "7": (10, 10),
    **dict.fromkeys("33 34 45 47 48 56 60 61 64 66 84 94 95 972 351 352 353 420".split(), (8, 10)),
    **dict.fromkeys("20 27 30 31 32 36 40 41 46 51 53 54 57 58 63 65".split(), (7, 11)),
    **dict.fromkeys("39 43 44 49 52 55 62 81 82 86 90 91 92 93 98".split(), (6, 12)),
}
_COUNTRY_CODES = frozenset(
    "211 212 213 216 218 220 221 222 223 224 225 226 227 228 229 230 231 232 233 234 235 236 "
    "237 238 239 240 241 242 243 244 245 246 248 249 250 251 252 253 254 255 256 257 258 260 "
    "261 262 263 264 265 266 267 268 269 290 291 297 298 299 350 351 352 353 354 355 356 357 "
    "358 359 370 371 372 373 374 375 376 377 378 380 381 382 383 385 386 387 389 420 421 423 "
    "500 501 502 503 504 505 506 507 508 509 590 591 592 593 594 595 596 597 598 599 670 672 "
    "673 674 675 676 677 678 679 680 681 682 683 685 686 687 688 689 690 691 692 850 852 853 "
    "855 856 870 880 886 960 961 962 963 964 965 966 967 968 970 971 972 973 974 975 976 977 "
    "992 993 994 995 996 998".split()
)

_CURRENCY = r"(?<![$€£¥₹])(?<![$€£¥₹] )"


def _form(pattern: str) -> re.Pattern[str]:
    return re.compile(START + _CURRENCY + pattern + END, re.ASCII)


_INTERNATIONAL = re.compile(
    r"(?<![\w/=&#%+@-])(?<!\d:)(?:\+ ?|00[ .-]?(?=[1-9]))([1-9](?:[ ().\-/]{0,3}\d){6,16})" + END,
    re.ASCII,
)
_NORTH_AMERICAN = _form(r"(?:\+?1[ .-]?)?(?:\([2-9]\d\d\) ?|[2-9]\d\d[.-])[2-9]\d\d[ .-]\d{4}")
# Forms of national plans that hardly anything else has; dates are taken out by `_DATE`.
_NATIONAL = (
    _form(r"1[3-9]\d([ -]?)\d{4}\1\d{4}"),  # Chinese mobile
    _form(r"\(0[1-9]\d{0,4}\)(?:[ .-]{0,2}\d{2,8}){1,4}"),  # area code in parentheses
    # German, Chinese, Japanese, Korean …; not the form of a US social security number
    _form(r"0(?!\d\d-\d\d-\d{4})[1-9]\d{0,3} ?[-/] ?\d{2,8}(?:[ -]\d{2,8}){0,3}"),
    _form(r"0[1-9](?:([ .])\d\d)(?:\1\d\d){3}(?!\1\d)"),  # French
    _form(r"0\d{2} \d{4} \d{4}|0\d{3} \d{3} \d{3,4}|0\d{4} \d{3} \d{3}|0\d{4} \d{5,6}"),  # British
    _form(r"0\d \d{4} \d{4}"),  # Australian
    _form(r"\(\d{2}\) ?9?\d{4}-\d{4}"),  # Brazilian
    _form(r"8 ?[ (-]\d{3}[) -]{1,2}\d{3}-\d{2}-\d{2}"),  # Russian
)
_CUES = (
    "tel|telephone|phone|fax|telefax|mobile|mob|cell|cellphone|whatsapp|hotline|"
    "call(?: us)?(?: at| on)?|telefon|telefono|teléfono|tél|téléphone|handy|mobil|móvil|celular|"
    "portable|тел|телефон|факс|моб|"
    "电话|電話|手机|手機|热线|传真|傳真|携帯|전화|휴대폰|☎|☏|📞|📱|✆"
)
_CUE = (
    rf"(?<![A-Za-z])(?:(?:{_CUES})(?:[ .-]?(?:nr|no|num|number|numbers|号码|番号))?[.:#： /]{{0,4}}"
    r"|(?<![A-Za-z.])(?-i:[TPMF])[.:] ?)"
)
_CUED = re.compile(
    rf"{_CUE}([+(]{{0,2}}\d(?:[ ().\-/]{{0,2}}\d){{6,14}})(?![\w%]|[.,/-]\d)",
    re.ASCII | re.IGNORECASE,
)
_NO_PHONE = re.compile(
    r"(?:isbn|issn|doi|order|invoice|sku|part|item|serial|tracking|patent|ref|reference|model|"
    r"article|case|ticket|id|code|ean|upc|asin|pmid|no|nr|№|订单|编号|单号|号)"
    r"[a-z-]{0,3}[ .:#=]{0,3}(?:(?:number|no|nr|id|is|1[03])[ .:#]{0,3}){0,2}$",
    re.IGNORECASE,
)
_DATE = re.compile(r"\(?\d{1,2}([./-])\d{1,2}\1\d{2}(?:\d\d)?(?!\d|\1\d)", re.ASCII)
_LONGEST_CUE = 30


def phones(text: str) -> Iterator[Extent]:
    """Phone numbers: international, in forms of national plans, or named as such (`Tel.:`).

    Numbers that are kept for fiction (555-0100 to 555-0199) are none.
    """
    for low, high in digit_runs(text):
        for match in _CUED.finditer(text, max(0, low - _LONGEST_CUE), high):
            if not _DATE.match(match[1]):
                yield match.span(1)
        yield from _unnamed(text, low, high)


def _unnamed(text: str, low: int, high: int) -> Iterator[Extent]:
    for match in _INTERNATIONAL.finditer(text, low, high):
        if _is_international(match[1]):
            yield match.span()
    for match in _NORTH_AMERICAN.finditer(text, low, high):
        if _is_north_american(_digits(match[0])) and not _is_other(text, match.start()):
            yield match.span()
    for form in _NATIONAL:
        for match in form.finditer(text, low, high):
            likely = 9 <= len(_digits(match[0])) <= 12 and not _DATE.match(match[0])
            if likely and not _is_other(text, match.start()):
                yield match.span()


def _digits(written: str) -> str:
    return re.sub(r"\D", "", written)


def _is_other(text: str, start: int) -> bool:
    """Whether the words before a number say that it is one of another kind."""
    return _NO_PHONE.search(text[max(0, start - 24) : start]) is not None


def _is_international(written: str) -> bool:
    """Whether what follows + or 00 starts with a country code and is as long as it may be."""
    digits = _digits(re.sub(r"\( ?0 ?\)", "", written))
    for size in (1, 2, 3):
        code, national = digits[:size], digits[size:]
        if code in _COUNTRY_DIGITS:
            least, most = _COUNTRY_DIGITS[code]
            if code == "1":
                return _is_north_american(digits)
            national = national.removeprefix("0") if code != "39" else national
            return least <= len(national) <= most and national[:1] != "0"
        if code in _COUNTRY_CODES:
            return 5 <= len(national) <= 12 and len(digits) >= 8 and national[:2] != "00"
    return False


def _is_north_american(digits: str) -> bool:
    """Area code and exchange start with 2 to 9 and do not end in 11."""
    area, exchange, line = digits[-10:-7], digits[-7:-4], digits[-4:]
    if len(digits) not in (10, 11) or (len(digits) == 11 and digits[0] != "1"):
        return False
    fiction = exchange == "555" and line.startswith("01")
    return area[0] > "1" < exchange[0] and "11" not in (area[1:], exchange[1:]) and not fiction
