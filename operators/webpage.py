"""What one pass over a parsed page finds of what it says about itself, and helpers to read it."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import chain, islice
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

from selectolax.lexbor import LexborHTMLParser, LexborNode

from operators.dom import without_permalink
from operators.jsonld import Entity, Graph, Kind, stated

MAX_TITLE = 500
MAX_NAME = 100
# How many elements of a sort are worth a look.
MAX_CANDIDATES = 8
_MAX_URL = 2000
# What one page may cost at most, far above what honest pages hold.
_MAX_ELEMENTS = 2000

# --- Texts --------------------------------------------------------------------------------------

# Control characters, lone surrogates, direction marks and other signs that show nothing.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069"
    "\ud800-\udfff\ufeff\ufffe\uffff]"
)
_NO_LETTERS = re.compile(r"[\W_]+")
_MARKUP = re.compile(
    r"</?(?:a|abbr|b|br|cite|div|em|font|i|mark|p|q|small|span|strong|sub|sup|u)\b[^<>]{0,300}>",
    re.I,
)
_PLACEHOLDERS = frozenset(
    ("", "null", "undefined", "none", "nil", "n/a", "nan", "untitled", "untitled document", "title")
)
_UNSEEN = frozenset(("script", "style", "noscript", "template", "svg", "-comment"))


def clean(value: str, limit: int) -> str | None:
    """A stated text without escapes and markup, cut at `limit`; None when nothing is said."""
    text = value[: 4 * limit]
    for _ in range(2):  # values are often escaped twice
        if "&" in text:
            text = html.unescape(text)
    if "</" in text:
        text = _MARKUP.sub(" ", text)
    return plain(text, limit)


def plain(text: str, limit: int) -> str | None:
    """The text with single spaces and without invisible signs; None when nothing is said."""
    text = " ".join(_INVISIBLE.sub("", text).split())
    if text.casefold() in _PLACEHOLDERS or text.startswith(("{{", "${", "[object ")):
        return None
    return text[:limit].rstrip()


@lru_cache(maxsize=1024)
def letters(text: str) -> str:
    """What two spellings of a name have in common: letters and digits, without case."""
    return _NO_LETTERS.sub("", text.casefold())


def node_texts(node: LexborNode, limit: int) -> list[str]:
    """Seen texts inside the element, as its tags part them, until `limit` characters are read."""
    texts: list[str] = []
    size = 0
    for inner in node.traverse(include_text=True):
        if inner.tag != "-text" or _tag_above(inner) in _UNSEEN:
            continue
        texts.append(inner.text())
        size += len(texts[-1])
        if size > limit:
            break
    return texts


def node_text(node: LexborNode, limit: int) -> str | None:
    """The element's seen text, cut at `limit`."""
    return plain("".join(node_texts(node, limit)), limit)


def _tag_above(node: LexborNode) -> str | None:
    parent = node.parent
    return parent.tag if parent is not None else None


def _host_of(url: str | None) -> str | None:
    """The host name, lower case; None where the address has none or is broken."""
    try:
        return urlsplit(url or "").hostname
    except ValueError:
        return None


# --- The page -----------------------------------------------------------------------------------

_DECLARATIONS = 'meta,title,base[href],link[rel~="canonical" i],script[type*="ld+json" i],h1'
_MARKS = 'h2,h3,[itemprop],[rel~="author"],[class*="uthor"],[class*="yline"]'
_DATED = (
    'time,[id*="date"],[class*="date"],[class*="Date"],[class*="ublish"],[class*="osted"]'
    ',[class*="time"],[class*="ubmitted"]'
)
_OF_AUTHOR = re.compile(r"author|byline", re.I)
# Meta names are spelled with all of these: `dc.title`, `DC:title`, `publish-date`, `publish_date`,
# `http://ogp.me/ns/article#published_time`.
_KEY_SIGNS = str.maketrans({":": ".", "#": ".", "-": None, "_": None})
_META_NAMES = frozenset(("property", "name", "http-equiv"))
_CONTAINERS = frozenset(("html", "body", "main", "article"))
_ASIDE = re.compile(r"comment|related|sidebar|recommend|teaser|reviews?\b|quote")
# The wrappers of a whole page have classes such as `with-sidebar`.
_MAX_PARENTS = 5
_MAX_DATED = 32


class Heading(NamedTuple):
    """A heading with its text, and the text's `letters`."""

    node: LexborNode
    text: str
    letters: str


@dataclass
class Marks:
    """Elements that their markup says to describe the page, in document order."""

    headings: list[LexborNode] = field(default_factory=list)
    bylines: list[LexborNode] = field(default_factory=list)
    props: dict[str, list[LexborNode]] = field(default_factory=dict)


@dataclass
class WebPage:
    """The parts of a page that may describe it, in document order."""

    tree: LexborHTMLParser
    url: str | None
    langs: list[str] = field(default_factory=list)
    metas: dict[str, list[str]] = field(default_factory=dict)
    scripts: list[str] = field(default_factory=list)
    html_title: str = ""
    canonical: str = ""
    base: str = ""
    headings: list[LexborNode] = field(default_factory=list)

    def meta(self, *keys: str) -> Iterator[str]:
        """Contents of the meta elements of these keys, key by key."""
        for key in keys:
            yield from self.metas.get(key, ())

    def marked(self, prop: str) -> Iterator[LexborNode]:
        """The first elements that microdata marks so, outside of comments."""
        first = self.marks.props.get(prop, ())[:MAX_CANDIDATES]
        yield from (node for node in first if not is_aside(node))

    @cached_property
    def marks(self) -> Marks:
        """Marked elements: a second look at the tree, for pages whose declarations do not do."""
        marks = Marks()
        for node in _found(self.tree, _MARKS):
            _sort_in_mark(marks, node, node.attributes)
        return marks

    @cached_property
    def dated(self) -> list[LexborNode]:
        """Elements whose tag or class says that they hold a date, outside of comments."""
        found = islice(_found(self.tree, _DATED), _MAX_DATED)
        return [node for node in found if not is_container(node) and not is_aside(node)]

    @cached_property
    def graph(self) -> Graph:
        """The page's JSON-LD."""
        return Graph(self.scripts)

    @cached_property
    def works(self) -> list[Entity]:
        """The entities that the page is about; empty when none stands out.

        A list of articles, as front pages have, is passed over but for those with the page's title.
        """
        for kind in (Kind.ARTICLE, Kind.OTHER_WORK):
            works = self.graph.of_kind(kind)
            if len({_title_of(work) for work in works} - {""}) > 1:
                works = [work for work in works if self._claims(_title_of(work))]
            if works:
                return works
        return []

    def _claims(self, title: str) -> bool:
        own = (claim for claim in self._title_letters if claim and title)
        return any(title.startswith(claim) or claim.startswith(title) for claim in own)

    @cached_property
    def _title_letters(self) -> list[str]:
        texts = [*self.meta("og.title", "twitter.title"), self.html_title]
        stated_ones = [letters(clean(text, MAX_TITLE) or "") for text in texts]
        return stated_ones + [heading.letters for heading in self.main_headings]

    @cached_property
    def main_headings(self) -> list[Heading]:
        """The first headings of level 1."""
        return _headings(self.headings)

    @cached_property
    def lesser_headings(self) -> list[Heading]:
        """The first headings of levels 2 and 3."""
        return _headings(self.marks.headings)

    @cached_property
    def canonical_url(self) -> str | None:
        """The canonical link, else Open Graph's address, resolved against the page's base."""
        stated_ones = chain([self.canonical], self.meta("og.url"))
        return next((url for text in stated_ones if (url := self._resolved(text))), None)

    def _resolved(self, address: str) -> str | None:
        text = _INVISIBLE.sub("", address).strip()
        if not text or len(text) > _MAX_URL:
            return None
        try:
            if not text.startswith(("http://", "https://")):
                text = urljoin(urljoin(self.url or "", self.base.strip()), text)
            parts = urlsplit(text)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                return None
            return "%20".join(parts._replace(fragment="").geturl().split())
        except ValueError:
            return None

    @cached_property
    def host(self) -> str:
        """Host of the address, or of the canonical one when that is all there is."""
        return _host_of(self.url) or _host_of(self.canonical_url) or ""


def _title_of(work: Entity) -> str:
    return letters(next(stated([work], "headline", "name"), ""))


def _headings(nodes: list[LexborNode]) -> list[Heading]:
    texts = ((node, node_text(node, MAX_TITLE) or "") for node in nodes[:MAX_CANDIDATES])
    named = ((node, without_permalink(text)) for node, text in texts)
    return [Heading(node, text, letters(text)) for node, text in named if text]


def is_aside(node: LexborNode) -> bool:
    """Whether the node stands among comments, reviews, quotes or links to other pages."""
    current: LexborNode | None = node
    for _ in range(_MAX_PARENTS):
        if current is None or current.tag in _CONTAINERS:
            break
        get = current.attributes.get
        own = filter(None, (get("class"), get("id"), get("itemprop"), get("itemtype")))
        if _ASIDE.search(" ".join(own).lower()) or (current.tag == "aside" != node.tag):
            return True
        current = current.parent
    return False


def is_container(node: LexborNode) -> bool:
    """Whether the element holds a page's whole content, whatever its class says."""
    return node.tag in _CONTAINERS


def gather(tree: LexborHTMLParser, url: str | None) -> WebPage:
    """The parts of a parsed page that may describe it."""
    page = WebPage(tree, url)
    if tree.root is not None:
        attributes = tree.root.attributes
        page.langs = [attributes.get("lang") or "", attributes.get("xml:lang") or ""]
    for node in _found(tree, _DECLARATIONS):
        _sort_in(page, node, node.attributes)
    return page


def _found(tree: LexborHTMLParser, query: str) -> Iterable[LexborNode]:
    """The first elements that match; lexbor reports one once for every selector that it meets."""
    return {node.mem_id: node for node in tree.css(query)[:_MAX_ELEMENTS]}.values()


def _sort_in(page: WebPage, node: LexborNode, attributes: dict[str, str | None]) -> None:
    match node.tag:
        case "meta":
            _sort_in_meta(page, attributes)
        case "title":
            if not page.html_title and _tag_above(node) != "svg":
                page.html_title = node.text()
        case "base":
            page.base = page.base or attributes.get("href") or ""
        case "link":
            page.canonical = page.canonical or attributes.get("href") or ""
        case "script":
            page.scripts.append(node.text())
        case _:
            page.headings.append(node)


def _sort_in_meta(page: WebPage, attributes: dict[str, str | None]) -> None:
    content = attributes.get("content")
    if not content:
        return
    for name, value in attributes.items():
        if value and name in _META_NAMES:
            key = value.strip().lower().rpartition("/")[2].translate(_KEY_SIGNS)
            page.metas.setdefault(key, []).append(content)


def _sort_in_mark(marks: Marks, node: LexborNode, attributes: dict[str, str | None]) -> None:
    if node.tag in ("h2", "h3"):
        marks.headings.append(node)
    for key in (attributes.get("itemprop") or "").lower().split():
        marks.props.setdefault(key, []).append(node)
    names = f"{attributes.get('class') or ''} {attributes.get('rel') or ''}"
    if _OF_AUTHOR.search(names):
        marks.bylines.append(node)


# --- Around the title ---------------------------------------------------------------------------

_MAX_NODES_AFTER = 160
_MAX_NODES_BEFORE = 60
_MAX_LONG_TEXTS = 3
_LONG_TEXT = 200


class Near(NamedTuple):
    """A short text near the title; `stamp` is what a time element says for machines."""

    text: str
    stamp: str
    node: LexborNode


class Surroundings:
    """What stands around the title of a page, read when it is first asked for."""

    def __init__(self, page: WebPage, title: str | None) -> None:
        self._page = page
        self.title = letters(title or "")

    @property
    def texts(self) -> Iterator[Near]:
        """Short texts after the title, until the text proper begins; then those before it."""
        yield from self._after
        yield from self._before

    @cached_property
    def _after(self) -> list[Near]:
        return list(_short_texts(islice(_following(self._anchor), _MAX_NODES_AFTER)))

    @cached_property
    def _before(self) -> list[Near]:
        return list(_short_texts(islice(_preceding(self._anchor), _MAX_NODES_BEFORE)))

    @cached_property
    def _anchor(self) -> LexborNode | None:
        """A heading that holds the title, the only main heading, a text that is the title."""
        page, title = self._page, self.title
        for heading in page.main_headings:
            if _holds(heading.letters, title):
                return heading.node
        for heading in page.lesser_headings:
            if _holds(heading.letters, title):
                return heading.node
        if len(page.main_headings) == 1:
            return page.main_headings[0].node
        body = page.tree.body
        if body is None or not title:
            return None
        nodes = islice(body.traverse(include_text=True), _MAX_ELEMENTS)
        return next((node for node in nodes if _is_text_of(node, title)), None)


def _holds(heading: str, title: str) -> bool:
    """Whether the heading says the title, or the better part of it."""
    return bool(heading) and (
        title in heading or (heading in title and 2 * len(heading) > len(title))
    )


def _is_text_of(node: LexborNode, wanted: str) -> bool:
    if node.tag != "-text":
        return False
    text = node.text()
    return len(wanted) <= len(text) <= 2 * len(wanted) + 20 and letters(text) == wanted


def _short_texts(nodes: Iterable[LexborNode]) -> Iterator[Near]:
    long_texts = 0
    above = None
    for node in nodes:
        tag = node.tag
        in_code, above = above in ("script", "style"), tag
        if tag == "time":
            text, stamp = node_text(node, MAX_NAME) or "", node.attributes.get("datetime") or ""
        elif tag == "-text" and not in_code:
            text, stamp = " ".join(node.text().split()), ""
        else:
            continue
        if len(text) > _LONG_TEXT:
            long_texts += 1
            if long_texts == _MAX_LONG_TEXTS:
                break
        elif text or stamp:
            yield Near(text, stamp, node)


def _following(node: LexborNode | None) -> Iterator[LexborNode]:
    """The nodes after the element, in the order of the page."""
    while node is not None:
        sibling = node.next
        while sibling is not None:
            yield from sibling.traverse(include_text=True)
            sibling = sibling.next
        node = node.parent


def _preceding(node: LexborNode | None) -> Iterator[LexborNode]:
    """The nodes before the element, the nearest first."""
    while node is not None:
        previous = node.prev
        if previous is None:
            node = node.parent
            continue
        node = previous
        yield node
        while node.tag not in _UNSEEN and node.tag != "time":
            last = node.last_child
            if last is None:
                break
            node = last
            yield node
