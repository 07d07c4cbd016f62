"""Metadata of pages: every source of every field, their order, and what hostile pages may say."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from datetime import date
from html import escape
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from operators.dates import read_date
from operators.metadata import PageMetadata, read_metadata

URL = "https://www.daily-echo.example/news/story.html"
LATEST = date(2024, 6, 1)


def read(html: str, url: str | None = URL, latest: date | None = LATEST) -> PageMetadata:
    return read_metadata(LexborHTMLParser(html), url, latest)


def meta(**contents: str) -> str:
    """Meta elements; a dot in a key is written `__`."""
    return "".join(
        f'<meta property="{key.replace("__", ":")}" content="{escape(content)}">'
        for key, content in contents.items()
    )


def json_ld(*entities: dict[str, Any]) -> str:
    value = entities[0] if len(entities) == 1 else {"@graph": list(entities)}
    return f'<script type="application/ld+json">{json.dumps(value)}</script>'


def article(**fields: Any) -> str:
    return json_ld({"@context": "https://schema.org", "@type": "NewsArticle", **fields})


# --- Title --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("html", "title"),
    [
        ("<title>Rivers run dry</title>", "Rivers run dry"),
        ("<h1>Rivers run dry</h1>", "Rivers run dry"),
        (article(headline="Rivers run dry"), "Rivers run dry"),
        ("<meta name='citation_title' content='Rivers run dry'>", "Rivers run dry"),
        ("<meta name='DC.Title' content='Rivers run dry'>", "Rivers run dry"),
        # A heading says it as readers see it, when another source agrees.
        (meta(og__title="RIVERS RUN DRY") + "<h1>Rivers run dry</h1>", "Rivers run dry"),
        (meta(og__title="Rivers run dry") + "<h1>Menu</h1>", "Rivers run dry"),
        ("<title>Rivers run dry - Page 2</title><h2>Rivers run dry</h2>", "Rivers run dry"),
        # A page begins with the name of its blog.
        (
            "<title>Wet Feet: How rivers run dry</title>"
            "<h1>Wet Feet</h1><h3>How rivers run dry</h3>",
            "How rivers run dry",
        ),
        # A short part of a title may be a section.
        (
            "<title>Service - Why the rivers of the whole country run dry in May</title>"
            "<h1>Service</h1>",
            "Service - Why the rivers of the whole country run dry in May",
        ),
        # The site's name: as stated, as the host spells it, with the host among words, in front.
        (
            meta(og__site_name="The Herald") + "<title>Rivers run dry | The Herald</title>",
            "Rivers run dry",
        ),
        ("<title>Rivers run dry – Daily Echo</title>", "Rivers run dry"),
        ("<title>Rivers run dry - News - The Daily Echo Online</title>", "Rivers run dry - News"),
        ("<title>daily-echo.example: Rivers run dry</title>", "Rivers run dry"),
        ("<title>Rivers run dry | Water</title>", "Rivers run dry | Water"),
        ("<title>Home | Daily Echo</title>", "Home | Daily Echo"),
        ("<title>河川干涸_国内_Daily Echo</title><h1>河川干涸</h1>", "河川干涸"),
        # Nothing but the site's name is better than nothing.
        ("<title>Daily Echo</title>", "Daily Echo"),
        ("<title>Daily Echo</title><h1>Rivers run dry</h1>", "Rivers run dry"),
        # A title that is cut off is completed.
        (meta(og__title="Rivers run…") + "<h1>Rivers run dry in May</h1>", "Rivers run dry in May"),
        # Escapes, markup, placeholders, drawings.
        ("<title>Bed &amp;amp; Breakfast&#8203;</title>", "Bed & Breakfast"),
        (article(headline="Rivers &lt;em&gt;run&lt;/em&gt; dry"), "Rivers run dry"),
        ("<h1>Thirty years of &lt;br&gt; tags</h1>", "Thirty years of <br> tags"),
        ("<title>undefined</title><h1>Rivers<script>x()</script> run</h1>", "Rivers run"),
        ("<svg><title>Logo</title></svg><h1>Rivers run dry</h1>", "Rivers run dry"),
        ("<title>!?</title>", "!?"),
        ("<p>no title", None),
        ("", None),
    ],
)
def test_title(html: str, title: str | None) -> None:
    assert read(html).title == title


def test_of_several_works_the_one_with_the_title_of_the_page_is_read() -> None:
    others = [
        {"@type": "Article", "headline": f"Story {n}", "author": f"A Nother{n}"} for n in "ab"
    ]
    own = {"@type": "Article", "headline": "Rivers run dry", "author": "Ada Rill"}
    page = "<h1>Rivers run dry</h1>" + json_ld(*others, own)
    assert read(page).author == "Ada Rill"
    assert read("<h1>Front page</h1>" + json_ld(*others)).author is None


# --- JSON-LD in every state ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "script",
    [
        '{"@type": "Article", "headline": "Rivers"}',
        '[{"@type": ["Thing", "BlogPosting"], "name": "Rivers"}]',
        '{"@graph": [{"@type": "WebSite"}, {"@type": "Article", "headline": "Rivers"}]}',
        '{"@type": "WebPage", "mainEntity": {"@type": "Question", "name": "Rivers"}}',
        '{"@type": "https://schema.org/TechArticle", "headline": {"@value": "Rivers"}}',
        '{"@type": "VideoObject", "name": ["Rivers", "Streams"]}',
        '//<![CDATA[\n{"@type": "Article", "headline": "Rivers"}\n//]]>',
        '<!-- {"@type": "Article", "headline": "Rivers"} -->',
        '{"@type": "Article", "headline": "Rivers",}',
        '{"@type": "Article", "headline": "Rivers", "keywords": ["a", ], };',
        '{"@type": "Article", "headline": "Rivers", "text": "line\nbreak, it\\\'s"}',
        "{&quot;@type&quot;: &quot;Article&quot;, &quot;headline&quot;: &quot;Rivers&quot;}",
        '{"@type": "Organization"}{"@type": "Article", "headline": "Rivers"}',
    ],
)
def test_json_ld_is_read_in_the_state_it_is_in(script: str) -> None:
    page = f"<script type='application/ld+json; charset=utf-8'>{script}</script>"
    assert read(page).title == "Rivers"


@pytest.mark.parametrize(
    "script",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"@type": "Article", "headline": ' + "9" * 10_000 + "}",
        '{"@type": 7, "headline": 8, "author": {"name": {"name": 9}}, "datePublished": true}',
        '{"@type": "Article", "headline": {}, "author": [[[[]]]], "datePublished": -1e400}',
        '{"@type": "Article", "author": {"@id": "x"}, "@id": "x", "name": {"@id": "x"}}',
        '{"@type": "Article", "headline": "\\ud800", "author": "\\u0000"}',
        '{"@type": null, "@graph": {"@graph": {"@graph": "x"}}}',
        "{}" * 5000,
        "",
        "undefined",
    ],
)
def test_hostile_json_ld_says_nothing(script: str) -> None:
    found = read(f"<script type=application/ld+json>{script}</script><h1>Rivers</h1>")
    assert found == PageMetadata(title="Rivers")


def test_a_page_as_deep_as_it_is_long() -> None:
    page = "<div class=author>" * 20_000 + "<h1>Rivers</h1>" + "<b>" * 20_000 + "2020-01-01"
    assert read(page).title == "Rivers"


# --- Author -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("html", "author"),
    [
        (article(author="Ada Rill"), "Ada Rill"),
        (article(author={"@type": "Person", "name": "Ada Rill"}), "Ada Rill"),
        (article(author=[{"name": "Ada Rill"}, {"name": ["Ben Brook"]}]), "Ada Rill; Ben Brook"),
        (
            json_ld(
                {"@type": "BlogPosting", "author": {"@id": "#ada"}},
                {"@type": "Person", "@id": "#ada", "name": "Ada Rill"},
            ),
            "Ada Rill",
        ),
        (
            "<meta name=citation_author content='Rill, Ada'>"
            "<meta name=citation_author content='Brook, Ben'>",
            "Rill, Ada; Brook, Ben",
        ),
        ("<meta name=author content='By Ada Rill'>", "Ada Rill"),
        ("<meta name=DC.creator content='Ada Rill'>", "Ada Rill"),
        (
            "<meta name=twitter:label1 content='Written by'>"
            "<meta name=twitter:data1 content='Ada Rill'>",
            "Ada Rill",
        ),
        ("<p itemprop=author itemscope><b itemprop=name>Ada Rill</b></p>", "Ada Rill"),
        ("<p itemprop=author itemscope><meta itemprop=name content='Ada Rill'></p>", "Ada Rill"),
        ("<a rel='author' href=/ada>Ada Rill</a>", "Ada Rill"),
        ("<a rel='author' href=/ada>rillada</a>", "rillada"),
        ("<p class=entry-author>Posted by <a>Ada Rill</a> on May 5, 2020</p>", "Ada Rill"),
        ("<p class=Byline>Ada Rill<span>and</span><a>Ben Brook</a></p>", "Ada Rill; Ben Brook"),
        ("<p class=author>Gizmo</p>", "Gizmo"),
        ("<p class=byline>Posted by Ada Read on May 5, 2020</p>", "Ada Read"),
        ("<h1>Rivers</h1><p>Von <b>Ada von Rill</b></p>", "Ada von Rill"),
        ("<h1>Rivers</h1><p>作者：<b>李河</b></p>", "李河"),
        ("<h1>Rivers</h1><p>Text: Ada Rill | 5.5.2020</p>", "Ada Rill"),
        # Prefixes go, but not the names that begin like them.
        ("<meta name=author content='Von Trapp'>", "Von Trapp"),
        ("<meta name=author content='par Ada Rill'>", "Ada Rill"),
        ("<meta name=author content='Ada Rill | Daily Echo'>", "Ada Rill"),
        ("<meta name=author content='Ada Rill (ada@daily-echo.example)'>", "Ada Rill"),
        (
            meta(og__site_name="Daily Echo") + "<meta name=author content='Ada Rill, Daily Echo'>",
            "Ada Rill",
        ),
        # People go before the site's own name and before accounts; those are better than nothing.
        ("<meta name=author content='Daily Echo'><p class=byline>By Ada Rill</p>", "Ada Rill"),
        ("<meta name=author content='Daily Echo'>", "Daily Echo"),
        (article(author="rill-ada") + "<meta name=author content='Ada Rill'>", "Ada Rill"),
        (article(author="rill-ada"), "rill-ada"),
        # No names.
        ("<meta name=author content='https://daily-echo.example/ada'>", None),
        ("<meta name=author content='ada@daily-echo.example'>", None),
        ("<meta name=author content='@ada'>", None),
        ("<meta name=author content='admin'>", None),
        ("<meta name=author content='42'>", None),
        (f"<meta name=author content='{'Rill ' * 40}'>", None),
        ("<meta name=generator content='Wordmill 3'><meta name=author content='Wordmill'>", None),
        ("<p class=byline>von</p>", None),
        ("<p class=author>About the author</p>", None),
        ("<p class=author>Read on and share</p>", None),
        ("<body class=author-ada><p>Skip To Content</p>", None),
        ("<div class=comment><p class=author>Ada Rill</p></div>", None),
        ("<div itemprop=review><meta itemprop=author content='Ada Rill'></div>", None),
    ],
)
def test_author(html: str, author: str | None) -> None:
    assert read(html).author == author


# --- Date ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("html", "published"),
    [
        (article(datePublished="2020-05-17T23:30:00-05:00"), "2020-05-17"),
        (article(datePublished=1589700000), "2020-05-17"),
        (article(dateModified="2021-01-01", datePublished="2020-05-17"), "2020-05-17"),
        (article(dateModified="2021-01-01"), "2021-01-01"),
        (meta(article__published_time="2020-05-17T10:00"), "2020-05-17"),
        ("<meta name=citation_publication_date content='2020/05/17'>", "2020-05-17"),
        (meta(**{"http://ogp.me/ns/article#published_time": "2020-05-17"}), "2020-05-17"),
        ("<meta name=publish-date content='Sun, 17 May 2020 10:00:00 GMT'>", "2020-05-17"),
        ("<meta itemprop=datePublished content=20200517>", "2020-05-17"),
        ("<i itemprop=datePublished>May 17, 2020</i>", "2020-05-17"),
        (json_ld({"@type": "WebPage", "datePublished": "2020-05-17"}), "2020-05-17"),
        ("<h1>Rivers</h1><time datetime='2020-05-17'>long ago</time>", "2020-05-17"),
        ("<h1>Rivers</h1><p>Sunday, 17. Mai 2020, 10:00 Uhr</p>", "2020-05-17"),
        ("<p>17 mai 2020</p><h1>Rivers</h1>", "2020-05-17"),
        ("<title>Rivers</title><b>Rivers</b><p>2020年5月17日</p>", "2020-05-17"),
        ("<p class=post-date>May 17th, 2020</p>", "2020-05-17"),
        # Publication goes before modification, also where the word stands in its own element.
        ("<h1>R</h1><p>Updated <b>May 20, 2020</b></p><p>May 17, 2020</p>", "2020-05-17"),
        ("<h1>Rivers</h1><p>Last updated: May 20, 2020</p>", "2020-05-20"),
        ("<h1>R</h1><time class=updated>May 20, 2020</time><i>May 17, 2020</i>", "2020-05-17"),
        # A sentence, a comment and a member's first day are no date of publication.
        (
            "<h1>Rivers</h1><p>On May 17, 2020 the river had less water in its bed than ever.</p>",
            None,
        ),
        ("<div class=comments><p class=date>May 17, 2020</p></div>", None),
        ("<h1>Rivers</h1><p>Ada</p><p>Joined:</p><p>May 17, 2020</p>", None),
        ("<h1>Rivers</h1><p class=member-joined>May 17, 2020</p>", None),
        # Bounds, and the next source where one is out of them.
        (article(datePublished="2024-06-02"), None),
        (article(datePublished="1994-12-31"), None),
        (article(datePublished="2999-01-01", dateModified="2020-05-17"), "2020-05-17"),
        (article(datePublished="soon", dateCreated=["2020-05-17"]), "2020-05-17"),
    ],
)
def test_published(html: str, published: str | None) -> None:
    assert read(html).published == published


@pytest.mark.parametrize(
    ("url", "published"),
    [
        ("https://a.example/2020/05/17/rivers", "2020-05-17"),
        ("https://a.example/2020/5/7/", "2020-05-07"),
        ("https://a.example/2020/may/17/rivers", "2020-05-17"),
        ("https://a.example/20200517/rivers", "2020-05-18"),
        ("https://a.example/2020/05/rivers", "2020-05-18"),
        ("https://a.example/19852382/rivers", "2020-05-18"),
        ("https://a.example/?at=/2020/05/17/", "2020-05-18"),
    ],
)
def test_a_path_by_days_is_believed_before_the_page(url: str, published: str) -> None:
    assert read(article(datePublished="2020-05-18T01:00Z"), url).published == published


def test_a_number_in_the_path_is_a_date_when_the_page_says_none() -> None:
    assert read("<h1>R</h1>", "https://a.example/20200517/rivers").published == "2020-05-17"


@pytest.mark.parametrize(
    ("lang", "url", "published"),
    [
        ("en-US", "https://a.example.fr/", "2020-03-04"),
        ("en", "https://a.example.com/", "2020-03-04"),
        ("en", "https://a.example.uk/", "2020-04-03"),
        ("fr", "https://a.example.com/", "2020-04-03"),
    ],
)
def test_who_writes_the_month_first(lang: str, url: str, published: str) -> None:
    html = f"<html lang={lang}><h1>Rivers</h1><p>03/04/2020</p>"
    assert read(html, url).published == published


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2020-05-17", "2020-05-17"),
        ("2020.5.17", "2020-05-17"),
        ("20200517101500", "2020-05-17"),
        ("1589700000000", "2020-05-17"),
        ("May 17th, 2020 at 10 am", "2020-05-17"),
        ("Sun May 17 10:00:00 UTC 2020", "2020-05-17"),
        ("17-May-2020", "2020-05-17"),
        ("17. května 2020", "2020-05-17"),
        ("17 de mayo del 2020", "2020-05-17"),
        ("1er février 2020", "2020-02-01"),
        ("1 FEVRIER 2020", "2020-02-01"),
        ("2020. május 17.", "2020-05-17"),
        ("17 мая 2020 г.", "2020-05-17"),
        ("17 Μαΐου 2020", "2020-05-17"),
        ("17 مايو 2020", "2020-05-17"),
        ("17 במאי 2020", "2020-05-17"),
        ("2020년 5월 17일", "2020-05-17"),
        ("17.05.2020", "2020-05-17"),
        ("05/17/2020", "2020-05-17"),
        ("31/02/2020", None),
        ("17 Foo 2020", None),
        ("May 2020", None),
        ("123456", None),
        ("", None),
    ],
)
def test_forms_of_dates(text: str, day: str | None) -> None:
    found = read_date(text, month_first=False)
    assert (found.isoformat() if found else None) == day


# --- Site, description, address, language -------------------------------------------------------


@pytest.mark.parametrize(
    ("html", "site_name"),
    [
        (meta(og__site_name="Daily Echo"), "Daily Echo"),
        (json_ld({"@type": "WebSite", "name": "Daily Echo"}), "Daily Echo"),
        (article(publisher={"@type": "Organization", "name": "Daily Echo"}), "Daily Echo"),
        ("<meta name=application-name content='Daily Echo'>", "Daily Echo"),
        (
            meta(og__site_name="daily-echo.example") + article(publisher={"name": "Daily Echo"}),
            "Daily Echo",
        ),
        (meta(og__site_name="daily-echo.example"), "daily-echo.example"),
        (meta(og__site_name="https://daily-echo.example/"), None),
        ("<title>Rivers run dry - The Daily Echo</title>", "The Daily Echo"),
        ("<title>Daily Echo | Rivers run dry</title>", "Daily Echo"),
        ("<title>Rivers run dry - The Herald</title><h1>Rivers run dry</h1>", "The Herald"),
        ("<title>Rivers run dry - The Herald</title>", None),
        ("<title>Rivers run dry</title>", None),
    ],
)
def test_site_name(html: str, site_name: str | None) -> None:
    assert read(html).site_name == site_name


@pytest.mark.parametrize(
    ("html", "description"),
    [
        (meta(og__description="No rain."), "No rain."),
        ("<meta name=Description content=' No  rain.\n'>", "No rain."),
        (
            meta(og__description="No rain.") + "<meta name=description content='All the news.'>",
            "No rain.",
        ),
        (
            meta(og__description="No rain...", description="No rain, no river."),
            "No rain, no river.",
        ),
        (article(description="No rain."), "No rain."),
        (meta(og__description="Daily Echo") + article(description="No rain."), "No rain."),
        ("<h1>Rivers</h1>" + meta(og__description="Rivers"), None),
        (meta(description="a" * 3000), "a" * 2000),
    ],
)
def test_description(html: str, description: str | None) -> None:
    assert read(html).description == description


@pytest.mark.parametrize(
    ("html", "canonical_url"),
    [
        ("<link rel=canonical href='https://a.example/x?y=1#z'>", "https://a.example/x?y=1"),
        ("<link rel='shortlink Canonical' href=/x>", "https://www.daily-echo.example/x"),
        ("<link rel=canonical href='//a.example/x y'>", "https://a.example/x%20y"),
        ("<base href='https://b.example/d/'><link rel=canonical href=x>", "https://b.example/d/x"),
        ("<base href=/d/><link rel=canonical href=x>", "https://www.daily-echo.example/d/x"),
        ("<link rel=canonical href=/>", "https://www.daily-echo.example/"),
        (meta(og__url="https://a.example/x"), "https://a.example/x"),
        ("<link rel=canonical href='mailto:a@b.c'>" + meta(og__url="/x"), URL[:30] + "/x"),
        ("<link rel=canonical href='http://[::1/x'>", None),
        ("<link rel=canonical href='http:///x'>", None),
        ("<link rel=canonical>", None),
        (f"<link rel=canonical href='/{'x' * 3000}'>", None),
        ("<link rel=alternate href=/x>", None),
    ],
)
def test_canonical_url(html: str, canonical_url: str | None) -> None:
    assert read(html).canonical_url == canonical_url


def test_without_an_address_a_relative_canonical_address_is_none() -> None:
    assert read("<link rel=canonical href=/x>", None).canonical_url is None


def test_the_canonical_host_stands_in_for_an_unknown_address() -> None:
    page = "<link rel=canonical href='https://daily-echo.example/x'><title>Dry - Daily Echo</title>"
    found = read(page, None)
    assert (found.title, found.site_name) == ("Dry", "Daily Echo")


@pytest.mark.parametrize(
    ("html", "page_lang"),
    [
        ("<html lang=PT_br>", "pt-BR"),
        ("<html lang=zh-hant-tw>", "zh-Hant-TW"),
        ("<html lang=es-419>", "es-419"),
        ("<html lang='de-DE-1996'>", "de-DE"),
        ("<html xml:lang=ast>", "ast"),
        ("<html lang=jp>", "ja"),
        ("<html lang=''><meta http-equiv=Content-Language content='fr, en'>", "fr"),
        (meta(og__locale="nb_NO"), "nb-NO"),
        (
            "<html lang=und><meta name=language content=English><meta name=DC.language content=en>",
            "en",
        ),
        (article(inLanguage="sv"), "sv"),
        ("<html lang=x-default>", None),
        ("<html lang='{{lang}}'>", None),
        ("", None),
    ],
)
def test_page_lang(html: str, page_lang: str | None) -> None:
    assert read(html).page_lang == page_lang


# --- Whatever a page says -----------------------------------------------------------------------

_KEYS = (
    *("og:title", "og:site_name", "og:description", "og:url", "og:locale", "author", "date"),
    *("article:published_time", "article:modified_time", "citation_author", "DC.title"),
    *("twitter:label1", "twitter:data1", "description", "generator", "content-language"),
)
_FIELDS = (
    *("headline", "name", "author", "creator", "publisher", "datePublished", "dateModified"),
    *("description", "inLanguage", "@id", "@graph", "mainEntity", "@value"),
)
_TYPES = ("Article", "WebPage", "WebSite", "Product", "Organization", "Person", 7, ["BlogPosting"])
_SAID = (
    st.text(max_size=40)
    | st.sampled_from(
        ("By Ada Rill", "2020-05-17", "Rivers - Daily Echo", "&amp;lt;b&gt;", "a\ud800b")
    )
    | st.from_regex(r"\A(?:19|20)[0-9]{2}[-/][0-9]{1,2}[-/][0-9]{1,2}\Z")
)
_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | _SAID
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(_FIELDS), inner, max_size=4)
        | st.builds(
            lambda kind, fields: {"@type": kind, **fields},
            st.sampled_from(_TYPES),
            st.dictionaries(st.sampled_from(_FIELDS), inner, max_size=6),
        )
    ),
    max_leaves=20,
)


def _element(tag: str, attribute: str, value: str, content: str) -> str:
    said = escape(content)
    return f'<{tag} {attribute}="{escape(value)}" content="{said}" href="{said}">{said}</{tag}>'


_PARTS = (
    st.builds(
        _element,
        st.just("meta"),
        st.sampled_from(("name", "property")),
        st.sampled_from(_KEYS),
        _SAID,
    )
    | st.builds(
        _element,
        st.sampled_from(("p", "a", "time", "meta", "h1", "div")),
        st.sampled_from(("class", "rel", "itemprop", "datetime", "id")),
        st.sampled_from(
            ("author", "byline date", "datePublished", "headline", "comment", "canonical")
        ),
        _SAID,
    )
    | st.builds(
        _element,
        st.sampled_from(("title", "h1", "h2", "link", "base", "html", "p", "script")),
        st.sampled_from(("lang", "rel", "type", "class")),
        st.sampled_from(("canonical", "application/ld+json")) | _SAID,
        _SAID,
    )
    | _VALUES.map(lambda value: f"<script type=application/ld+json>{json.dumps(value)}</script>")
    | _SAID
)
_INVISIBLE = re.compile("[\x00-\x1f\x7f-\x9f\u200b\u202a-\u202e\ud800-\udfff\ufeff]")


@settings(max_examples=300, deadline=None)
@given(st.lists(_PARTS, max_size=12).map("".join), st.none() | st.just(URL) | _SAID)
def test_whatever_a_page_says_every_field_has_its_form(html: str, url: str | None) -> None:
    found = read(html, url)
    limits = {"title": 500, "site_name": 100, "description": 2000, "author": 12 * 102}
    for name, value in asdict(found).items():
        assert value is None or (isinstance(value, str) and value)
        if value is not None:
            assert not _INVISIBLE.search(value)
            assert value == " ".join(value.split())
            assert len(value) <= limits.get(name, 2100)
    if found.published:
        assert date(1995, 1, 1) <= date.fromisoformat(found.published) <= LATEST
    if found.canonical_url:
        assert re.match(r"https?://[^/\s#]", found.canonical_url)
        assert not re.search(r"[\s#]", found.canonical_url)
    if found.page_lang:
        assert re.fullmatch(r"[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|\d{3}))?", found.page_lang)
    assert read(html, url) == found
