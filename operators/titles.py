"""The title of a page without the name of its site, and that name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cached_property, lru_cache
from itertools import chain, pairwise

from operators.jsonld import Kind, stated
from operators.webpage import MAX_NAME, MAX_TITLE, Heading, WebPage, clean, letters

_GENERIC_LABELS = frozenset(
    (
        *("blog", "blogs", "com", "docs", "edu", "forum", "forums", "gov", "info", "net", "news"),
        *("org", "shop", "store", "wiki", "www"),
    )
)
_ADDRESS = re.compile(r"https?://|^www\.|^/", re.I)
_HAN_KANA_HANGUL = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_SEPARATOR = re.compile(" [-–—―|:·•»«~/<>]+ | ?[|｜»«] ?|[:：] ")
# Between signs of these scripts a dash needs no spaces.
_DENSE = re.compile(f"[{_HAN_KANA_HANGUL}]")
_DENSE_SEPARATOR = re.compile(
    rf"{_SEPARATOR.pattern}"
    rf"|(?<=[{_HAN_KANA_HANGUL}）】」]) ?[-_—–]+ ?| ?[-_—–]+ ?(?=[{_HAN_KANA_HANGUL}])"
)
_HEADLINE = '[itemprop~="headline"]'
_COLONS = (":", "：")
_MAX_SITE_WORDS = 5
_CUT_OFF = ("…", "...", "[…]", "[...]")
_START_PAGE = frozenset(
    ("home", "homepage", "startseite", "accueil", "inicio", "início", "index", "welcome")
)
# How far a part of a title is believed to be all of it.
_UNLIKELY, _POSSIBLE, _LIKELY, _WHOLE = 1, 2, 3, 4


class Site:
    """What a page calls its site."""

    def __init__(self, page: WebPage) -> None:
        self._page = page

    @cached_property
    def names(self) -> list[str]:
        """Names by trust: Open Graph, JSON-LD's site and publisher, the application's name."""
        return list(dict.fromkeys(filter(None, map(_site_name, self._stated_names()))))

    def _stated_names(self) -> Iterator[str]:
        page, graph = self._page, self._page.graph
        yield from page.meta("og.sitename")
        yield from stated((e for e in graph.entities if "website" in e.types), "name")
        for entity in graph.of_kind(Kind.ARTICLE, Kind.WEB_PAGE):
            yield from graph.names(entity.data.get("publisher"))
        yield from stated((e for e in graph.entities if e.is_organization), "name")
        yield from page.meta("applicationname", "dc.publisher", "citationjournaltitle")

    @cached_property
    def host_spellings(self) -> frozenset[str]:
        """The host as a text may write it: whole, its labels, a label with the next."""
        return _host_spellings(self._page.host)

    @cached_property
    def spellings(self) -> frozenset[str]:
        """How texts may write the name of the site, as `letters` gives them."""
        return self.host_spellings | {letters(name) for name in self.names}

    def is_named(self, text: str) -> bool:
        """Whether the text is the name of the site."""
        return letters(text) in self.spellings


@lru_cache(maxsize=4096)
def _host_spellings(host: str) -> frozenset[str]:
    labels = host.removeprefix("www.").split(".")
    single = {label for label in labels[:-1] if len(label) > 2} - _GENERIC_LABELS
    pairs = {first + second for first, second in pairwise(labels)}
    return frozenset(letters(name) for name in single | pairs | {"".join(labels)}) - {""}


def _site_name(text: str) -> str | None:
    name = (clean(text, MAX_NAME + 1) or "").strip(" -–—|»«")
    return name if 0 < len(name) <= MAX_NAME and not _ADDRESS.search(name) else None


def read_site_name(page: WebPage, site: Site, title: str | None) -> str | None:
    """Name of the site: as it is stated, else the end of `<title>` that is no part of the title.

    Of the stated names one that is spelled as a name goes before one that is a host. A host that
    nobody states is no name.
    """
    spoken = (name for name in site.names if " " in name or not (name.islower() or "." in name))
    return next(chain(spoken, site.names), None) or _title_end(page, site, title)


def _title_end(page: WebPage, site: Site, title: str | None) -> str | None:
    whole = clean(page.html_title, MAX_TITLE) or ""
    cuts = _separators(whole)
    if not cuts:
        return None
    first, last = whole[: cuts[0].start()], whole[cuts[-1].end() :]
    rest, sign = whole[: cuts[-1].start()], cuts[-1].group()
    left_out = sign.endswith(" ") and letters(rest) == letters(title or "")
    if letters(last) and (left_out or _ends_in_site(last, sign, site)):
        return _site_name(last)
    return _site_name(first) if letters(first) in site.host_spellings else None


def read_title(page: WebPage, site: Site) -> str | None:
    """A heading that another source or microdata confirms, else the first stated title.

    Stated titles by trust: Open Graph, JSON-LD, citation, Twitter and Dublin Core tags,
    `<title>`. They lose the name of the site at their ends; one that is nothing else is used when
    there is no better. A heading that nothing confirms comes after them, for it may head anything.
    """
    raw = dict.fromkeys(text for t in _stated_titles(page) if (text := clean(t, MAX_TITLE)))
    stated_ones = [text for title in raw if (text := _without_site(title, site))]
    own = [heading for heading in page.main_headings if not site.is_named(heading.text)]
    whole = {letters(title) for title in stated_ones}
    sure = (heading for heading in own if heading.letters in whole)
    marked = (heading for heading in own if heading.node.css_first(_HEADLINE) is not None)
    if heading := next(chain(sure, marked), None):
        return heading.text
    readings = [_readings(title) for title in stated_ones]
    if heading := _confirmed_heading([*own, *page.lesser_headings], site, readings):
        return heading.text
    own_texts = [heading.text for heading in own]
    if stated_ones:
        likely = {part for part, trust in readings[0].items() if trust >= _POSSIBLE}
        shortest = min((text for text in stated_ones if letters(text) in likely), key=len)
        return in_full([shortest, *stated_ones, *own_texts])
    return next(chain(own_texts, raw, (heading.text for heading in page.main_headings)), None)


def _stated_titles(page: WebPage) -> Iterator[str]:
    yield from page.meta("og.title")
    yield from stated(page.works, "headline", "name")
    yield from page.meta(
        *("citationtitle", "twitter.title", "parselytitle", "sailthru.title"),
        *("dc.title", "dcterms.title", "headline", "title"),
    )
    yield page.html_title


def _without_site(title: str, site: Site) -> str | None:
    """The title without the site's name at its ends; None when nothing else is there."""
    cuts = _separators(title)
    start, end = 0, len(title)
    while cuts and _ends_in_site(title[cuts[-1].end() : end], cuts[-1].group(), site):
        end = cuts.pop().start()
    while cuts and site.is_named(title[start : cuts[0].start()]):
        start = cuts.pop(0).end()
    rest = title[start:end].strip()
    if letters(rest) in _START_PAGE:
        return title
    return rest if letters(rest) and not site.is_named(rest) else None


def _separators(title: str) -> list[re.Match[str]]:
    pattern = _DENSE_SEPARATOR if _DENSE.search(title) else _SEPARATOR
    return list(pattern.finditer(title))


def _ends_in_site(tail: str, separator: str, site: Site) -> bool:
    """Whether a title's tail names the site: as it calls itself, or with its host among words."""
    if not letters(tail) or site.is_named(tail):
        return True
    words = [letters(word) for word in tail.split()]
    if len(words) > _MAX_SITE_WORDS or separator.strip() in _COLONS:
        return False
    runs = {"".join(words[i:j]) for i in range(len(words)) for j in range(i + 1, len(words) + 1)}
    return not runs.isdisjoint(site.host_spellings)


def _readings(title: str) -> dict[str, int]:
    """What the title may be without the parts before or after a separator, and how likely.

    A part that is short beside the others is more likely the name of a section or a blog.
    """
    cuts = _separators(title)
    starts, ends = [0, *(cut.end() for cut in cuts)], [*(cut.start() for cut in cuts), len(title)]
    sizes = [len(letters(title[i:j])) for i, j in zip(starts, ends, strict=True)] if cuts else []
    readings = {}
    for index, cut in enumerate(cuts, 1):
        head, tail = letters(title[: cut.start()]), letters(title[cut.end() :])
        if len(tail) > len(head):
            readings[tail] = _LIKELY
        elif 3 * len(tail) >= max(sizes[:index]) and cut.group().strip() in _COLONS:
            readings[tail] = _UNLIKELY
        if 3 * len(head) >= max(sizes[index:]):
            readings[head] = _POSSIBLE
    return readings | {letters(title): _WHOLE}


def _confirmed_heading(
    headings: list[Heading], site: Site, readings: list[dict[str, int]]
) -> Heading | None:
    """The heading that says best what the stated titles say.

    Where one heading says the first part of a title and another the rest, the later one is the
    title: a page begins with the name of its site.
    """
    best, most = None, 0
    for heading in headings:
        trust = max((of_title.get(heading.letters, 0) for of_title in readings), default=0)
        if trust and trust < _WHOLE:
            # A lesser heading may head a part of the text.
            trust = _LIKELY if heading.node.tag == "h1" else trust if trust > _UNLIKELY else 0
        if (trust > most or trust == most < _WHOLE) and not site.is_named(heading.text):
            best, most = heading, trust
    return best if most else None


def in_full(variants: Iterable[str]) -> str | None:
    """The first text, or one that goes on where the first is cut off; None when there is none."""
    rest = iter(variants)
    first = next(rest, None)
    if first is None or not first.endswith(_CUT_OFF):
        return first
    begun = letters(first)
    return next((text for text in rest if _goes_on(letters(text), begun)), first)


def _goes_on(text: str, begun: str) -> bool:
    return len(text) > len(begun) and text.startswith(begun)
