"""What a page says of itself: title, author, date, site, summary, address and language.

Every field has an order of sources, from the most to the least trusted; the function that reads
it states the order. Structured data is believed before the visible page, because it names its
fields. No rule knows a site.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import chain

from selectolax.lexbor import LexborHTMLParser, LexborNode

from operators.bylines import read_author
from operators.dates import find_date, read_date
from operators.jsonld import Entity, Kind, stated, texts
from operators.titles import Site, in_full, read_site_name, read_title
from operators.webpage import (
    MAX_NAME,
    Surroundings,
    WebPage,
    clean,
    gather,
    letters,
    node_text,
)

_EARLIEST = date(1995, 1, 1)
_MAX_DESCRIPTION = 2000


@dataclass(frozen=True)
class PageMetadata:
    """Metadata of a page; None where the page does not say.

    Texts have no markup, no invisible characters and single spaces. Several authors are parted by
    `; `. `published` is an ISO date, `canonical_url` an absolute http or https address without
    fragment, `page_lang` a language code in the usual case of BCP 47 with language, script and
    region only: `de`, `pt-BR`, `zh-Hant-TW`.
    """

    title: str | None = None
    author: str | None = None
    published: str | None = None
    site_name: str | None = None
    description: str | None = None
    canonical_url: str | None = None
    page_lang: str | None = None


def read_metadata(
    tree: LexborHTMLParser, url: str | None, latest: date | None = None
) -> PageMetadata:
    """Metadata of a parsed page that was found at `url`.

    `latest`, usually the day of capture, bounds `published`; dates before 1995 are refused too.
    A canonical address is reported as the page claims it, even where it sends a deep page to the
    root of its site: whether to believe that is the reader's decision.
    """
    page = gather(tree, url)
    site = Site(page)
    lang = _page_lang(page)
    title = read_title(page, site)
    near = Surroundings(page, title)
    return PageMetadata(
        title=title,
        author=read_author(page, site, near),
        published=_published(page, near, latest, lang),
        site_name=read_site_name(page, site, title),
        description=_description(page, site, title),
        canonical_url=page.canonical_url,
        page_lang=lang,
    )


# --- Date ---------------------------------------------------------------------------------------

_PUBLISHED_METAS = (
    "article.publishedtime",
    "article.published",
    "og.publishedtime",
    "og.article.publishedtime",
    "citationpublicationdate",
    "citationonlinedate",
    "citationdate",
    "parselypubdate",
    "sailthru.date",
    "datepublished",
    "originalpublicationdate",
    "articledateoriginal",
)
# Names that some sites use for the date of the last revision.
_DATE_METAS = (
    "dc.date.issued",
    "dcterms.issued",
    "dc.date.created",
    "dcterms.created",
    "datecreated",
    "pubdate",
    "publishdate",
    "publisheddate",
    "publicationdate",
    "datepublication",
    "displaydate",
    "article.created",
    "created",
    "dc.date",
    "dcterms.date",
    "date",
)
_MODIFIED_METAS = (
    "article.modifiedtime",
    "og.updatedtime",
    "dcterms.modified",
    "dc.date.modified",
    "datemodified",
    "lastmodified",
    "revised",
)
_URL_PATH_DATE = re.compile(r"/((?:19|20)\d\d)/(\d\d?|[a-z]{3})/(\d\d?)(?=/|$)")
_URL_DATE = re.compile(r"/((?:19|20)\d\d)[-/]?(\d\d)[-/]?(\d\d)(?=[/_.-]|$)")
_UPDATED = re.compile(
    r"updat|modif|revis|edited|aktualis|\bstand\b|mise? à jour|actuali[sz]|aggiorn|bijgewerkt"
    r"|uppdater|oppdater|opdater|обновл|更新|修改|수정",
    re.I,
)
_PUBLICATION = re.compile(r"publi|posted|veröffentl|erschienen|written", re.I)
_OTHER_DAY = re.compile(
    r"joined|registered|founded|member since|(?:dabei|mitglied) seit|inscrit|deadline|expire"
    r"|注册|註冊|登録",
    re.I,
)
_YEAR = re.compile(r"(?:19|20)\d\d")
_HAN_KANA = re.compile("[\u3040-\u30ff\u3400-\u9fff]")
# Words beside a date: a weekday, a clock time, a byline. A sentence has more.
_MAX_WORDS_BESIDE_DATE = 9


def _published(
    page: WebPage, near: Surroundings, latest: date | None, lang: str | None
) -> str | None:
    """The address's path, JSON-LD, meta elements, microdata, dates near the title, dated elements.

    A path such as `/2023/05/17/` is given once, in the calendar of the publisher, where the other
    sources may follow another time zone or a later revision. The day of the modification stands in
    where nothing tells when the page was published.
    """
    month_first = _month_first(page, lang)
    for text in chain(_dates_published(page, near), _dates_modified(page, near)):
        day = read_date(text, month_first=month_first)
        if day and _EARLIEST <= day <= (latest or date.max):
            return day.isoformat()
    return None


def _month_first(page: WebPage, lang: str | None) -> bool:
    """Whether `03/04/2020` is in March: in the United States, and English of no known country."""
    top = page.host.rpartition(".")[2]
    abroad = len(top) == 2 and top != "us"
    return lang == "en-US" or (lang in (None, "en") and not abroad)


def _dates_published(page: WebPage, near: Surroundings) -> Iterator[str]:
    yield from _address_dates(page, _URL_PATH_DATE)
    yield from _moments(page.works, "datePublished", "uploadDate", "datePosted")
    yield from page.meta(*_PUBLISHED_METAS)
    yield from map(_moment, page.marked("datepublished"))
    yield from page.meta(*_DATE_METAS)
    yield from _moments(page.works, "dateCreated")
    yield from _moments(page.graph.of_kind(Kind.WEB_PAGE), "datePublished")
    yield from _address_dates(page, _URL_DATE)
    yield from _near_dates(near, updated=False)
    yield from map(_moment, page.marked("datecreated"))
    yield from _classed_dates(page, updated=False)


def _dates_modified(page: WebPage, near: Surroundings) -> Iterator[str]:
    yield from _moments(page.works, "dateModified")
    yield from page.meta(*_MODIFIED_METAS)
    yield from map(_moment, page.marked("datemodified"))
    yield from _moments(page.graph.of_kind(Kind.WEB_PAGE), "dateModified")
    yield from _near_dates(near, updated=True)
    yield from _classed_dates(page, updated=True)


def _address_dates(page: WebPage, pattern: re.Pattern[str]) -> Iterator[str]:
    for address in filter(None, (page.url, page.canonical_url)):
        for found in pattern.finditer(address.partition("?")[0]):
            year, month, day = found.groups()
            yield f"{year}-{month}-{day}" if month.isdigit() else f"{day} {month} {year}"


def _moments(entities: Iterable[Entity], *keys: str) -> Iterator[str]:
    """Dates under these keys, those in numbers too."""
    entities = list(entities)
    for key in keys:
        for entity in entities:
            value = entity.data.get(key)
            yield from [str(value)] if isinstance(value, int) else texts(value)


def _moment(node: LexborNode) -> str:
    attributes = node.attributes
    stamp = attributes.get("datetime") or attributes.get("content")
    return stamp or node_text(node, MAX_NAME) or ""


def _near_dates(near: Surroundings, *, updated: bool) -> Iterator[str]:
    """What stands near the title and is a date, rather than a sentence that mentions one."""
    before = ""
    for text, stamp, node in near.texts:
        if stamp or _is_dateline(text):
            # What the date means may stand in the element before.
            said = f"{before} {text} {_names(node)}"
            if _is_meant(said, updated=updated):
                yield from filter(None, (stamp, text))
            before = ""
        else:
            before = text


def _classed_dates(page: WebPage, *, updated: bool) -> Iterator[str]:
    for node in page.dated:
        text = node_text(node, MAX_NAME) or ""
        if _is_dateline(text) and _is_meant(f"{text} {_names(node)}", updated=updated):
            yield _moment(node)


def _names(node: LexborNode) -> str:
    """Class and id of the element, or of the one around the text."""
    element = node.parent if node.tag == "-text" else node
    attributes = element.attributes if element is not None else {}
    return f"{attributes.get('class') or ''} {attributes.get('id') or ''}"


def _is_meant(said: str, *, updated: bool) -> bool:
    """Whether a date of which this is said is of the sort that is asked for."""
    return updated == _is_update(said) and not _OTHER_DAY.search(said)


def _is_update(said: str) -> bool:
    """Whether a date is that of a modification; where both are named, publication comes first."""
    return bool(_UPDATED.search(said)) and not _PUBLICATION.search(said)


def _is_dateline(text: str) -> bool:
    found = find_date(text, month_first=False) if _YEAR.search(text) else None
    if found is None:
        return False
    beside = f"{text[: found.start]} {text[found.end :]}"
    words = len(beside.split()) + len(_HAN_KANA.findall(beside)) // 2
    return words <= _MAX_WORDS_BESIDE_DATE


# --- Description and language -------------------------------------------------------------------


def _description(page: WebPage, site: Site, title: str | None) -> str | None:
    """Open Graph, the meta element, JSON-LD, Twitter, Dublin Core; the whole one of cut ones.

    Open Graph comes first because many sites give all their pages one meta description. A text
    that only repeats the title or the site's name is none.
    """
    values = chain(
        page.meta("og.description", "description"),
        stated(page.works, "description"),
        page.meta("twitter.description", "dc.description", "dcterms.description"),
        page.meta("sailthru.description"),
        (node.attributes.get("content") or "" for node in page.marked("description")),
        stated(page.graph.of_kind(Kind.WEB_PAGE), "description"),
    )
    said = {letters(title or ""), ""} | site.spellings
    cleaned = (text for value in values if (text := clean(value, _MAX_DESCRIPTION)))
    return in_full(text for text in cleaned if letters(text) not in said)


_LANG = re.compile(
    r"(?P<language>[a-z]{2,3})(?:[-_](?P<script>[a-z]{4}))?(?:[-_](?P<region>[a-z]{2}|\d{3}))?"
    r"(?:[-_.@,;].*)?",
    re.I | re.S | re.A,
)
_NO_LANGUAGE = frozenset(("und", "mul", "zxx", "mis", "xx"))
# Country codes that pages take for languages, and codes that ISO 639 has replaced.
_LANGUAGE_OF = {
    "cn": "zh",
    "cz": "cs",
    "dk": "da",
    "gr": "el",
    "jp": "ja",
    "in": "id",
    "iw": "he",
    "ji": "yi",
}


def _page_lang(page: WebPage) -> str | None:
    """The html element, Content-Language, Open Graph, language metas, JSON-LD."""
    works = chain(page.works, page.graph.of_kind(Kind.WEB_PAGE))
    values = chain(
        page.langs,
        page.meta("contentlanguage", "og.locale", "language", "dc.language", "dcterms.language"),
        stated(works, "inLanguage"),
    )
    return next((code for value in values if (code := _language_code(value))), None)


def _language_code(value: str) -> str | None:
    found = _LANG.fullmatch(value.strip()[:MAX_NAME])
    if found is None or found["language"].lower() in _NO_LANGUAGE:
        return None
    language = found["language"].lower()
    parts = [_LANGUAGE_OF.get(language, language)]
    parts += [found["script"].title()] if found["script"] else []
    parts += [found["region"].upper()] if found["region"] else []
    return "-".join(parts)
