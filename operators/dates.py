"""Dates as web pages write them, in digits or in the words of about twenty languages.

The day is taken as written: a time zone moves nothing, for the day that readers saw is the one
meant.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, date, datetime

# English, German, French, Spanish, Portuguese, Italian, Dutch, Danish, Norwegian, Swedish, Finnish,
# Polish, Czech, Slovak, Hungarian, Romanian, Turkish, Indonesian, Catalan, Russian, Ukrainian,
# Greek, Arabic, Hebrew: names, genitives and short forms. A name that two languages give to
# different months is left out.
_NAMES = (
    "january jan januar jänner januari janvier janv enero ene janeiro gennaio gen tammikuu"
    " tammikuuta styczeń stycznia sty leden ledna január januára ianuarie ian ocak gener январь"
    " января янв січень січня ιανουάριος ιανουαρίου ιαν يناير ינואר בינואר",
    "february feb februar feber februari février févr fevr febrero fevereiro fev febbraio"
    " helmikuu helmikuuta luty lutego lut únor února február februára februarie şubat febrer"
    " февраль февраля фев февр лютий лютого φεβρουάριος φεβρουαρίου φεβ فبراير פברואר בפברואר",
    "march mar märz maerz mrz mars marzo março maart mrt marts maret maaliskuu maaliskuuta marzec"
    " marca březen března marec március márc martie mart març март марта березень березня μάρτιος"
    " μαρτίου μαρ مارس מרץ במרץ",
    "april apr avril avr abril abr aprile huhtikuu huhtikuuta kwiecień kwietnia kwi duben dubna"
    " apríl apríla április ápr aprilie nisan апрель апреля апр квітень квітня απρίλιος απριλίου"
    " απρ أبريل ابريل אפריל באפריל",
    "may mai mayo maio maggio mag mei maj toukokuu toukokuuta maja květen května máj mája május"
    " mayıs maig май мая травень травня μάιος μαΐου μαϊ مايو מאי במאי",
    "june jun juni juin junio junho giugno giu kesäkuu kesäkuuta czerwiec czerwca cze červen června"
    " jún júna június iunie haziran juny июнь июня июн червень червня ιούνιος ιουνίου ιουν يونيو"
    " יוני ביוני",
    "july jul juli juillet juil julio julho luglio lug heinäkuu heinäkuuta lipiec lipca lip"
    " červenec července júl júla július iulie temmuz juliol июль июля июл липень липня ιούλιος"
    " ιουλίου ιουλ يوليو יולי ביולי",
    "august aug août agosto ago augustus agustus augusti elokuu elokuuta sierpień sierpnia sie"
    " srpen srpna augusta augusztus ağustos agost август августа авг серпень серпня αύγουστος"
    " αυγούστου αυγ أغسطس אוגוסט באוגוסט",
    "september sept sep septembre septiembre setiembre setembro set settembre syyskuu syyskuuta"
    " wrzesień września wrz září septembra szeptember szept septembrie eylül setembre сентябрь"
    " сентября сен сент вересень вересня σεπτέμβριος σεπτεμβρίου σεπ سبتمبر ספטמבר בספטמבר",
    "october oct oktober okt octobre octubre outubro out ottobre ott lokakuu lokakuuta październik"
    " października paź říjen října október októbra octombrie ekim octubre октябрь октября окт"
    " жовтень жовтня οκτώβριος οκτωβρίου οκτ أكتوبر אוקטובר באוקטובר",
    "november nov novembre noviembre novembro marraskuu marraskuuta listopad listopadu novembra"
    " noiembrie kasım ноябрь ноября ноя нояб листопад листопада νοέμβριος νοεμβρίου νοε نوفمبر"
    " נובמבר בנובמבר",
    "december dec dezember dez décembre déc decembre diciembre dic dezembro dicembre desember des"
    " joulukuu joulukuuta grudzień grudnia gru prosinec prosince decembra decembrie aralık desembre"
    " декабрь декабря дек грудень грудня δεκέμβριος δεκεμβρίου δεκ ديسمبر דצמבר בדצמבר",
)


def _folded(word: str) -> str:
    """The word without case and accents, which pages often leave out."""
    signs = unicodedata.normalize("NFKD", word.casefold())
    return "".join(sign for sign in signs if not unicodedata.combining(sign))


_MONTHS = {_folded(word): month for month, row in enumerate(_NAMES, 1) for word in row.split()}

_YEAR = r"(?P<y>(?:19|20)\d\d)(?!\d)"
_WORD = r"(?P<word>[^\W\d_]{3,12})"
_CLOCK = r"(?:\d\d?:\d\d(?::\d\d)? (?:[A-Z]{2,5}(?:[+-]\d{4})? )?)?"
_PATTERNS = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?<!\d)(?P<y>(?:19|20)\d\d)(?P<sep>[-/.‑–])(?P<m>\d\d?)(?P=sep)(?P<d>\d\d?)(?!\d)",
        r"(?<!\d)(?P<y>(?:19|20)\d\d) ?[年년] ?(?P<m>\d\d?) ?[月월] ?(?P<d>\d\d?)(?!\d)",
        rf"(?<!\d)(?P<d>\d\d?)(?:st|nd|rd|th|er|[.,ºª°])?[ -]?(?:de |d'|of )?{_WORD}"
        rf"[.,]{{0,2}}[ -](?:de |del )?{_YEAR}",
        rf"{_WORD}[.,]? (?P<d>\d\d?)(?:st|nd|rd|th)?(?: ?[,.] ?| ){_CLOCK}{_YEAR}",
        rf"(?<!\d){_YEAR}\.? {_WORD} (?P<d>\d\d?)(?!\d)",
        rf"(?<!\d)(?P<a>\d\d?)(?P<sep>[./-]) ?(?P<b>\d\d?)(?P=sep) ?{_YEAR}",
    )
)
_COMPACT = re.compile(r"((?:19|20)\d\d)(\d\d)(\d\d)(?:T?\d{4,6}Z?)?")
_MAX_VALUE = 200


@dataclass(frozen=True)
class FoundDate:
    """A date and where in the text it stands."""

    day: date
    start: int
    end: int


def find_date(text: str, *, month_first: bool) -> FoundDate | None:
    """The first date in a text with single spaces.

    `month_first` reads `03/04/2020` as the fourth of March, where both readings are possible.
    """
    found = (
        FoundDate(day, match.start(), match.end())
        for pattern in _PATTERNS
        for match in pattern.finditer(text)
        if (day := _day(match, month_first)) is not None
    )
    return min(found, key=lambda date_found: date_found.start, default=None)


def read_date(value: str, *, month_first: bool) -> date | None:
    """The date that a field meant for one holds: any form of `find_date`, digits only, seconds."""
    text = " ".join(value[:_MAX_VALUE].split())
    if compact := _COMPACT.fullmatch(text):
        return _valid(*map(int, compact.groups()))
    if text.isascii() and text.isdigit() and len(text) in (10, 13):
        return datetime.fromtimestamp(int(text[:10]), UTC).date()
    if (iso := _PATTERNS[0].match(text)) and (day := _day(iso, month_first)):
        return day
    found = find_date(text, month_first=month_first)
    return found.day if found else None


def _day(match: re.Match[str], month_first: bool) -> date | None:
    parts = match.groupdict()
    year = int(parts["y"])
    if word := parts.get("word"):
        return _valid(year, _MONTHS.get(_folded(word), 0), int(parts["d"]))
    if "m" in parts:
        return _valid(year, int(parts["m"]), int(parts["d"]))
    first, second = int(parts["a"]), int(parts["b"])
    if second > 12 or (month_first and parts["sep"] == "/" and first <= 12):
        first, second = second, first
    return _valid(year, second, first)


def _valid(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None
