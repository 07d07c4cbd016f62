"""Who wrote a page: structured data first, then bylines."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain, pairwise

from selectolax.lexbor import LexborNode

from operators.jsonld import Kind
from operators.titles import Site
from operators.webpage import (
    MAX_CANDIDATES,
    MAX_NAME,
    Surroundings,
    WebPage,
    clean,
    is_aside,
    is_container,
    letters,
    node_texts,
    plain,
)

_MAX_AUTHORS = 12
_MAX_WORDS = 8
_MAX_BYLINE = 300
# Names in scripts without capitals are short; longer texts say something else.
_MAX_PLAIN_NAME = 7

_METAS = (
    "citationauthor",
    "dc.creator",
    "dcterms.creator",
    "parselyauthor",
    "article.author",
    "sailthru.author",
    "author",
    "byl",
    "dc.contributor",
    "articleauthor",
    "og.article.author",
    "authorname",
)
_LABELLED_METAS = (("twitter.label1", "twitter.data1"), ("twitter.label2", "twitter.data2"))
_WRITTEN_BY = re.compile(
    r"written|author|verfasst|geschrieben|écrit|escrito|scritto|autor|auteur|作者|автор", re.I
)
_BY = re.compile(
    r"(?:(?:written|posted|published|submitted|reviewed|story|words|text|article|created"
    r"|geschrieben|veröffentlicht|écrit|publié|escrito|publicado|scritto)\s+)*"
    r"(?P<word>by|von|par|por|di|da|door|av|af|przez)(?:\s*:\s*|\s+|$)",
    re.I,
)
_LABEL = re.compile(
    r"(?:by|authors?|autor(?:in|en|es)?|auteurs?|autor[ei]|автор|作者|撰文|文|記者|记者|著者|執筆|글"
    r"|(?:text|words|story|report|interview|curator|reporter|writer)"
    r"(?:\s*(?:&|und|and|et)\s*\w+)?)\s*[:：/／]\s*",
    re.I,
)
_AFTER_NAME = re.compile(r" ?(?:[|•·]| [-–—] |\([^()@]*@| (?:am|at|in|on|um)\b).*")
_NO_NAME = re.compile(r"@|://|www\.|\.(?:com|org|net)\b|^/|[{}<>=\\]|\d{4}", re.I)
_ROLES = frozenset(
    (
        *("admin", "administrator", "anonymous", "author", "bydefault", "default", "editor"),
        *("guest", "redaktion", "root", "unknown", "user", "webmaster"),
    )
)
# Words of links and labels beside a byline; those that may be surnames only as the first word.
_NO_NAME_WORDS = frozenset(
    (
        *("about", "all", "articles", "author", "authors", "by", "comment", "comments", "contact"),
        *("contributor", "email", "follow", "joined", "latest", "login", "member", "posted"),
        *("posts", "profile", "published", "publié", "reply", "subscribe", "updated"),
        *("veröffentlicht", "view", "website", "written"),
    )
)
_NO_FIRST_WORDS = _NO_NAME_WORDS | frozenset(
    ("home", "in", "log", "more", "news", "post", "read", "search", "see", "share", "sign")
)
_CONNECTORS = frozenset(("and", "und", "et", "y", "e", "i", "og", "och", "en", "&", "for", "in"))
_PARTICLES = _CONNECTORS | frozenset(
    (
        *("al", "bin", "da", "das", "de", "del", "della", "den", "der", "di", "do", "dos", "du"),
        *("el", "ibn", "la", "le", "of", "ten", "ter", "van", "von", "zu"),
    )
)


def read_author(page: WebPage, site: Site, near: Surroundings) -> str | None:
    """JSON-LD, meta elements, microdata, links and classes of bylines, a byline near the title.

    The site's own name and what looks like the name of an account are used where nothing else is.
    """
    second_best = ""
    for values in _stated_authors(page):
        people = list(dict.fromkeys(name for v in values if (name := _person(v, page, site))))
        others = [name for name in people if not site.is_named(name)]
        if not all(map(_is_account, others)):
            return "; ".join(others[:_MAX_AUTHORS])
        second_best = second_best or "; ".join((others or people)[:_MAX_AUTHORS])
    near_texts = (near.text for near in near.texts)
    bylines = chain(_marked_bylines(page, site), _after_by(near_texts, page, site))
    own = (name for name in bylines if letters(name) != near.title)
    return next(own, None) or second_best or None


def _stated_authors(page: WebPage) -> Iterator[Iterable[str]]:
    for key in ("author", "creator"):
        for work in page.works:
            yield page.graph.names(work.data.get(key))
    yield from (page.meta(key) for key in _METAS)
    for label, value in _LABELLED_METAS:
        if any(map(_WRITTEN_BY.search, page.meta(label))):
            yield page.meta(value)
    for entity in page.graph.of_kind(Kind.WEB_PAGE):
        yield page.graph.names(entity.data.get("author"))


def _person(value: str, page: WebPage, site: Site) -> str | None:
    """The name that a value meant for one holds."""
    text = _LABEL.sub("", clean(value, _MAX_BYLINE) or "", count=1)
    by = _BY.match(text)
    if by and (by["word"].lower() == "by" or len(text[by.end() :].split()) != 1):
        text = text[by.end() :]  # one word after `von` may be a family's name
    text = _AFTER_NAME.sub("", text).strip(" ,;:-–—/")
    for name in site.names:
        if text.endswith(f" {name}") and text.count(" ") > name.count(" ") + 1:
            text = text.removesuffix(name).strip(" ,-–—/")
    own = letters(text)
    if not own or own.isdigit() or len(text) > MAX_NAME or _NO_NAME.search(text):
        return None
    return None if own in _ROLES or _is_generator(own, page) else text


def _is_generator(name: str, page: WebPage) -> bool:
    """Whether the name begins with that of the program that wrote the page."""
    programs = (letters(text.split()[0]) for text in page.meta("generator"))
    return any(len(program) > 2 and name.startswith(program) for program in programs)


def _is_account(name: str) -> bool:
    return " " not in name and (name.islower() or any(map(str.isdigit, name)))


def _marked_bylines(page: WebPage, site: Site) -> Iterator[str]:
    """Names in elements that are marked as an author's or a byline, outside of comments."""
    byline_nodes = (node for node in page.marks.bylines[:MAX_CANDIDATES] if not is_aside(node))
    for node in chain(page.marked("author"), byline_nodes):
        if not is_container(node):
            certain = not {"itemprop", "rel"}.isdisjoint(node.attributes)
            yield from _named_in_byline(_texts_of(node), page, site, certain=certain)


def _texts_of(node: LexborNode) -> list[str]:
    content = node.attributes.get("content")
    raw = [content] if content else node_texts(node, _MAX_BYLINE)
    texts = [text for piece in raw if (text := plain(piece, _MAX_BYLINE))]
    if not texts and (name := node.css_first('meta[itemprop~="name"]')) is not None:
        texts = [name.attributes.get("content") or ""]
    return texts


def _named_in_byline(
    texts: list[str], page: WebPage, site: Site, *, certain: bool
) -> Iterator[str]:
    """Names in a byline's texts; `certain` when its markup says that it is one."""
    if any(map(_by_word, texts)):
        yield from _after_by(texts, page, site, in_byline=True)
        return
    names = [n for text in texts if (n := _person(text, page, site)) and n not in _CONNECTORS]
    if sum(map(len, texts)) > MAX_NAME or not names:
        return
    first = names[0]
    may_be_account = certain or (len(names) == 1 and first[0].isupper())
    if all(map(_looks_personal, names)):
        yield "; ".join(dict.fromkeys(names))
    elif _looks_personal(first) or (may_be_account and _is_one_word(first)):
        yield first
    elif (whole := _person(" ".join(texts), page, site)) and _looks_personal(whole):
        yield whole


def _by_word(text: str) -> re.Match[str] | None:
    return _LABEL.match(text) or _BY.match(text)


def _after_by(
    texts: Iterable[str], page: WebPage, site: Site, *, in_byline: bool = False
) -> Iterator[str]:
    """Names that follow `by`, in the same text or in the next; of one word only in a byline."""
    for text, following in pairwise(chain(texts, [""])):
        by = _by_word(text)
        if by is not None:
            name = _person(text if by.end() < len(text) else following, page, site)
            if name and (_looks_personal(name) or (in_byline and _is_one_word(name))):
                yield name


def _looks_personal(name: str) -> bool:
    """Whether the text has the form of names: capitals, or few signs of a script without them."""
    words = name.partition(",")[0].split()
    lower = [word.lower() for word in words]
    if not 1 <= len(words) <= _MAX_WORDS or lower[0] in _NO_FIRST_WORDS:
        return False
    if not _NO_NAME_WORDS.isdisjoint(lower):
        return False
    if any(map(str.isdigit, name)) or name.endswith(("!", "?", "…", ":")):
        return False
    if name.upper() == name.lower():
        return len(name) <= _MAX_PLAIN_NAME
    small = [word for word in words if word.islower() and word not in _PARTICLES]
    return len(words) > 1 and not small


def _is_one_word(name: str) -> bool:
    return len(name) > 2 and " " not in name and name.lower() not in _NO_FIRST_WORDS
