"""Pages as blocks, containers and images; what is asked of the layout of any tree; the limits."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from selectolax.lexbor import LexborHTMLParser, LexborNode

from operators.dom import (
    FURNITURE,
    FURNITURE_ROLES,
    SKIPPED,
    Image,
    Layout,
    Limits,
    PageTooComplex,
    read_page,
)

FILLER = "Words enough that the page is not taken for a mere menu, whatever else it holds. " * 3


def layout_of(body: str) -> Layout:
    return read_page(f"<!DOCTYPE html><title>T</title><body>{body}</body>").layout


def block_texts(body: str) -> list[str]:
    return layout_of(body).blocks.text


def only_image(body: str) -> tuple[Image, Layout]:
    layout = layout_of(body)
    assert len(layout.images) == 1
    return layout.images[0], layout


# --- Blocks -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        # Boundaries
        ("", []),
        (" \n\t&nbsp; ", []),
        ("bare", ["bare"]),
        ("a<p>b</p>c", ["a", "b", "c"]),
        ("<p>a<p>b", ["a", "b"]),
        ("<div>a<div>b</div>c</div>d", ["a", "b", "c", "d"]),
        ("<div><div><div></div></div></div>a", ["a"]),
        ("<h1>a</h1><section><h2>b</h2><p>c</p></section>", ["a", "b", "c"]),
        ("<custom-card>a</custom-card><custom-card>b</custom-card>", ["a", "b"]),
        ("<details><summary>a</summary>b</details>", ["a", "b"]),
        ("a<hr>b", ["a", "b"]),
        ("<form>a<button>b</button><label>c</label>d</form>", ["a", "b", "cd"]),
        # Inline elements
        ("<p>a<b>b</b><i>c</i> <em>d</em>e", ["abc de"]),
        ("<p>a<span>b<span>c</span></span>d", ["abcd"]),
        ("<p>x<sub>1</sub>y<sup>2</sup>", ["x1y2"]),
        ("<p><ruby>漢<rp>(</rp><rt>kan</rt><rp>)</rp></ruby>字", ["漢字"]),
        ("<p>a<wbr>b<time>c</time><mark>d</mark><q>e</q>", ["abcde"]),
        ("<b>a<p>b</p>c</b>d", ["a", "b", "cd"]),
        ("<p>one<a href=1>two</a><a href=2>three</a><a href=3>four</a>", ["onetwo three four"]),
        # White space
        ("<p>  a \n\n b\t c&nbsp;d  ", ["a b c d"]),
        ("<p>a <b> b </b> c", ["a b c"]),
        ("<p>a<!-- not shown -->b", ["ab"]),
        # Line breaks: one breaks the line, two part blocks
        ("a<br>b", ["a\nb"]),
        ("a <br/> b", ["a\nb"]),
        ("<br>a<br>", ["a"]),
        ("a<br><br>b", ["a", "b"]),
        ("a<br> \n <br>b", ["a", "b"]),
        ("a<br><br><br>b<br>c", ["a", "b\nc"]),
        ("a<br><b><br></b>b", ["a", "b"]),
        ("<p>a<br>&nbsp;<br>b", ["a", "b"]),
        # Verbatim text
        ("<pre>a\n  b\n\n\tc</pre>", ["a\n  b\n\n\tc"]),
        ("<pre>\n\n  a  \n\n</pre>", ["  a"]),
        ("<pre>a<br>  b</pre>", ["a\n  b"]),
        ("<pre> \n </pre>a", ["a"]),
        ("<pre><code>if a:\n    <span>b</span>(c)\n</code></pre>", ["if a:\n    b(c)"]),
        ("<pre>a  b</pre>c  d", ["a  b", "c d"]),
        ("<pre>a<div>  b</div>  c</pre>", ["a", "  b", "  c"]),
        # Lists and tables
        ("<ul><li>a<ul><li>b<li>c</ul>d<li>e</ul>", ["a", "b", "c", "d", "e"]),
        ("<dl><dt>a<dd>b<dt>c</dl>", ["a", "b", "c"]),
        ("<table><caption>a</caption><tr><th>b<td>c<td></td><td>d</table>", ["a", "b", "c", "d"]),
        ("<table>a<tr><td>b</table>", ["a", "b"]),
        # What is not read
        ("a<script>b</script>c<style>d</style>e", ["ace"]),
        ("a<template>b</template><svg><title>c</title><text>d</text></svg>e", ["ae"]),
        ("a<textarea>b</textarea><select><option>c</select><iframe>d</iframe>e", ["ae"]),
        ("<noscript>a</noscript><p>b", ["a", "b"]),
        ("a<object><p>b</p></object><audio>c</audio><video>d</video>e", ["ae"]),
        # Null bytes, lone surrogates and odd separators
        ("a\0b<\0p>c</\0p>", ["ab", "c"]),
        ("a&#0;b&#xD800;c&#x110000;d", ["a\ufffdb\ufffdc\ufffdd"]),
        ("a\u2028b\x1cc", ["a b c"]),
    ],
)
def test_blocks(body: str, expected: list[str]) -> None:
    assert block_texts(body) == expected


def test_a_page_without_any_markup_is_one_block() -> None:
    assert read_page("just a\nline").layout.blocks.text == ["just a line"]


@pytest.mark.parametrize(
    "page", ["", "\0\0\0", "<frameset><frame src=a></frameset>", "<!DOCTYPE html>", "<html>"]
)
def test_a_page_that_shows_nothing_has_no_blocks(page: str) -> None:
    layout = read_page(page).layout
    assert (layout.blocks.text, layout.images) == ([], [])
    assert_consistent(layout)


def test_links_are_counted_by_characters() -> None:
    blocks = layout_of(
        "<p>12345<a href=x>678</a> <b>90<a href=y>12</a></b>"
        "<p><strong>all of it</strong></p>"
        "<a href=z><div>a card</div><div>in a link</div></a>"
        "plain"
    ).blocks
    assert list(zip(blocks.text, blocks.link_chars, blocks.links, strict=True)) == [
        ("12345678 9012", 5, 2),
        ("all of it", 0, 0),
        ("a card", 6, 1),
        ("in a link", 9, 0),
        ("plain", 0, 0),
    ]


def test_white_space_before_a_block_counts_for_nothing() -> None:
    blocks = layout_of("<p> \n<a href=x>  \n</a><b> </b><a href=y>ab</a>").blocks
    assert (blocks.text, list(blocks.link_chars)) == (["ab"], [2])


def test_code_knows_the_classes_around_it() -> None:
    layout = layout_of("<div class='box lang-c'><pre class=p><code class=q>int a;</code></pre>")
    assert layout.blocks.code[0].split() == ["box", "lang-c", "p", "q"]
    assert layout_of("<p class=a><code class=b>int a;</code>").blocks.code == {}


@pytest.mark.parametrize("tag", sorted(FURNITURE))
def test_navigation_and_page_footers_are_passed_over(tag: str) -> None:
    menu = f"<{tag}><a href=/>Home</a><img src=logo.png></{tag}>"
    layout = layout_of(f"{menu}<p>{FILLER}</p>{menu}")
    assert layout.blocks.text == [" ".join(FILLER.split())]
    assert layout.images == []


@pytest.mark.parametrize("tag", sorted(FURNITURE))
def test_unless_they_are_all_that_there_is(tag: str) -> None:
    layout = layout_of(f"<h1>Head</h1><{tag}><p>{FILLER}</p><img src=a.png>")
    assert layout.blocks.text == ["Head", " ".join(FILLER.split())]
    assert len(layout.images) == 1


@pytest.mark.parametrize("role", sorted(FURNITURE_ROLES))
def test_what_has_the_role_of_navigation_is_passed_over(role: str) -> None:
    layout = layout_of(f"<div role={role}><p>Menu<img src=a></div><p>{FILLER}</p>")
    assert layout.blocks.text == [" ".join(FILLER.split())]
    assert (len(layout.furniture), layout.images) == (1, [])


@pytest.mark.parametrize(
    ("body", "passed_over"),
    [
        ("<header>Site</header><p>{}", True),
        ("<div><header class=top><a href=/>Site</a></header></div><p>{}", True),
        ("<header><h1>Site</h1></header><p>{}", False),
        ("<article><header>By A. N. Author</header><p>{}</article>", False),
        ("<main><div><header>Site</header></div><p>{}</main>", False),
        ("<div class=a role=main><header>Site</header><p>{}</div>", False),
    ],
)
def test_the_header_of_a_page_is_passed_over_unless_it_has_the_headline(
    body: str, passed_over: bool
) -> None:
    layout = layout_of(body.format(FILLER))
    assert len(layout.blocks) == (1 if passed_over else 2)
    assert len(layout.furniture) == passed_over


# --- Containers ---------------------------------------------------------------------------------


def test_containers_hold_ranges_of_blocks_and_of_containers() -> None:
    layout = layout_of("a<div><p>b</p><ul><li>c</li><li></li><li>d</li></ul></div><p>e</p>")
    c = layout.containers
    tags = map(c.tag_of, range(len(c)))
    assert list(zip(tags, c.parent, c.first, c.last, c.end, strict=True)) == [
        ("html", -1, 0, 5, 8),
        ("body", 0, 0, 5, 8),
        ("div", 1, 1, 4, 7),
        ("p", 2, 1, 2, 4),
        ("ul", 2, 2, 4, 7),
        ("li", 4, 2, 3, 6),
        ("li", 4, 3, 4, 7),
        ("p", 1, 4, 5, 8),
    ]


def test_an_empty_cell_keeps_its_column() -> None:
    layout = layout_of("<table><tr><td>a</td><td></td><th></th><td> </td><td>b</td></tr></table>")
    c = layout.containers
    rows = zip(map(c.tag_of, range(len(c))), c.first, c.last, strict=True)
    cells = [cell for cell in rows if cell[0] in ("td", "th")]
    assert cells == [("td", 0, 1), ("td", 1, 1), ("th", 1, 1), ("td", 1, 1), ("td", 1, 2)]


@pytest.mark.parametrize("cell", ["<td role=search></td>", "<th role=menu></th>"])
def test_an_empty_cell_that_is_furniture_leaves_its_row_open(cell: str) -> None:
    layout = layout_of(f"<table><tr>{cell}<td>{FILLER}</td></tr></table>")
    c = layout.containers
    tags = [c.tag_of(number) for number in range(len(c))]
    assert c.parent[tags.index("td")] == tags.index("tr")
    assert len(layout.furniture) == 1


@pytest.mark.parametrize(
    ("markup", "key"),
    [
        ("<div>", "div"),
        ("<div class=''>", "div"),
        ("<div class='post wide'>", "div post wide"),
        ("<div id=p1>", "div p1"),
        ("<div role=main class=a id=b>", "div a b [main]"),
        ("<DIV CLASS=A>", "div A"),
    ],
)
def test_a_key_tells_tag_classes_id_and_role(markup: str, key: str) -> None:
    assert layout_of(f"{markup}text</div>").containers.key_of(-1) == key


@pytest.mark.parametrize(
    ("attribute", "hidden"),
    [
        ("hidden", True),
        ("aria-hidden=true", True),
        ("aria-hidden=false", False),
        ("style='color: red; DISPLAY : none'", True),
        ("style='visibility:hidden'", True),
        ("style='display:block'", False),
        ("style", False),
        ("", False),
    ],
)
def test_what_is_hidden_hides_all_inside(attribute: str, hidden: bool) -> None:
    containers = layout_of(f"<div {attribute}><section><p>a</section></div><p>b").containers
    assert containers.hidden == ({2} if hidden else set())


# --- Images -------------------------------------------------------------------------------------


def test_an_image_between_blocks_stands_before_the_next() -> None:
    image, layout = only_image("<p>a</p><img src=x alt=y><p>b</p>")
    assert (image.block, image.inside, image.offset) == (1, False, 0)
    assert image.attributes == {"src": "x", "alt": "y"}
    before, after = layout.blocks.dom_index
    assert before < image.dom_index < after


def test_an_image_behind_all_text_stands_before_no_block() -> None:
    image, layout = only_image("<p>a</p><div><img src=x></div>")
    assert (image.block, image.inside) == (len(layout.blocks), False)


@pytest.mark.parametrize(
    ("run", "before", "after"),
    [
        ("one <img> two", "one", " two"),
        ("one<img>two", "one", "two"),
        ("one <img>two", "one", " two"),
        ("one<img> two", "one", " two"),
        ("  one\n\n more  <b>and  <img></b>  two", "one more and", " two"),
        ("one<br>two<img><br>three", "one\ntwo", "\nthree"),
        ("one <br> <img> two", "one", "\ntwo"),
        ("one<img>", "one", ""),
        ("𠀀é漢<img>字", "𠀀é漢", "字"),
        ("<a href=x>one<img></a><a href=y>two</a>", "one", " two"),
    ],
)
@pytest.mark.parametrize("tag", ["p", "li", "h2", "div"])
def test_an_image_in_a_paragraph_parts_its_text(
    tag: str, run: str, before: str, after: str
) -> None:
    image, layout = only_image(f"<p>first</p><{tag}>{run}</{tag}>")
    assert (image.inside, image.block) == (True, 1)
    text = layout.blocks.text[1]
    assert (text[: image.offset], text[image.offset :]) == (before, after)


def test_an_image_at_the_start_of_a_run_is_not_inside() -> None:
    image, layout = only_image("<p>a</p><p><img> b</p>")
    assert (image.inside, image.block, layout.blocks.text[1]) == (False, 1, "b")


@pytest.mark.parametrize(
    ("run", "before", "after"),
    [
        ("a  b\n <img>  c", "a  b\n ", "  c"),
        ("\n\n a<img>\nb\n", " a", "\nb"),
        ("a\n\n<img>\n", "a", ""),
    ],
)
def test_an_image_in_verbatim_text_parts_it_at_the_character(
    run: str, before: str, after: str
) -> None:
    image, layout = only_image(f"<pre>{run}</pre>")
    text = layout.blocks.text[0]
    assert (text[: image.offset], text[image.offset :]) == (before, after)


def test_images_know_the_link_around_them() -> None:
    images = layout_of(
        "<a href=/1><img></a><img><a><img></a><a href=/2><div><img></div></a><a href=/3></a><img>"
    ).images
    assert [image.link for image in images] == ["/1", None, "", "/2", None]


def test_images_of_a_picture_have_its_sources() -> None:
    images = layout_of(
        "<picture><source srcset=a type=image/avif><source srcset=b><img src=c></picture>"
        "<picture><source srcset=d></picture><picture><img src=e></picture>"
        "<audio><source src=f></audio><source srcset=g><img src=h>"
    ).images
    found = [(i.attributes["src"], [s["srcset"] for s in i.sources]) for i in images]
    assert found == [("c", ["a", "b"]), ("e", []), ("h", [])]


def test_images_of_a_noscript_are_marked_and_its_text_is_read() -> None:
    layout = layout_of("<img src=a><noscript>Without script: <img src=b></noscript><img src=c>")
    assert [(i.attributes["src"], i.fallback) for i in layout.images] == [
        ("a", False),
        ("b", True),
        ("c", False),
    ]
    assert layout.blocks.text == ["Without script:"]


# --- Formulas -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("<p>If <math><mi>x</mi></math> is", [("If $x$ is", False)]),
        ("<p>If <span class=math>\\(x\\)</span>,", [("If $x$,", False)]),
        ("<p><math><mi>x</mi></math>", [("$x$", False)]),
        (
            "<p>a <math display=block><mi>x</mi></math> b",
            [("a", False), ("x", True), ("b", False)],
        ),
        ("<div class=math>\\[x^2\\]</div>", [("x^2", True)]),
        ("<p class=math>no formula", [("no formula", False)]),
        (
            "<p>a <script type='math/tex; mode=display'>y</script><script>var y;</script>b",
            [("a", False), ("y", True), ("b", False)],
        ),
        ("<pre><span class=math>\\(x\\)</span></pre>", [("$x$", False)]),
    ],
)
def test_a_formula_is_in_the_line_or_a_block_of_its_own(
    body: str, expected: list[tuple[str, bool]]
) -> None:
    blocks = layout_of(body).blocks
    found = [(text, number in blocks.formulas) for number, text in enumerate(blocks.text)]
    assert found == expected


def test_a_picture_of_a_formula_is_text_and_image() -> None:
    source = "https://latex.codecogs.com/gif.latex?x^2"
    image, layout = only_image(f"<p>If <img src='{source}'> grows")
    assert layout.blocks.text == ["If $x^2$ grows"]
    assert (image.formula, image.attributes["src"]) == (True, source)


# --- Title and base -----------------------------------------------------------------------------


def test_the_title_is_the_one_for_sharing_or_the_first() -> None:
    assert read_page("<title>A</title><title>B</title>").title == "A"
    shared = "<title>A - Site</title><meta property='og:title' content='A'>"
    assert read_page(shared).title == "A"
    assert read_page("<title>A</title><meta property='og:title' content=''>").title == "A"
    assert read_page("<body><p>x").title == ""


def test_a_title_without_end_does_not_swallow_the_page() -> None:
    page = read_page(f"<head><title>Lost<meta name=a></head><body><h1>Head</h1><p>{FILLER * 5}")
    assert page.title == "Lost"
    assert page.layout.blocks.text == ["Head", " ".join((FILLER * 5).split())]


def test_a_long_title_without_markup_stays_a_title() -> None:
    page = read_page(f"<title>{FILLER * 9}</title><p>text")
    assert len(page.title) > 1000
    assert page.layout.blocks.text == ["text"]


@pytest.mark.parametrize(
    ("head", "url", "base"),
    [
        ("", "http://a.org/b/c", "http://a.org/b/c"),
        ("", None, ""),
        ("<base href='/d/'>", "http://a.org/b/c", "http://a.org/d/"),
        ("<base href=' //e.org/f '>", "https://a.org/b", "https://e.org/f"),
        ("<base target=_top><base href=http://g.org/>", "http://a.org/", "http://g.org/"),
        ("<base href>", "http://a.org/b", "http://a.org/b"),
        ("<base href='http://[bad'>", "http://a.org/b", "http://a.org/b"),
        ("<base href=c>", "http://[bad", "http://[bad"),
        (f"<base href='/{'d' * 50_000}/'>", "http://a.org/b", "http://a.org/b"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_the_base_of_addresses(head: str, url: str | None, base: str) -> None:
    assert read_page(f"{head}<p>text").base(url) == base


# --- Any tree -----------------------------------------------------------------------------------

_INLINE_TAGS = ("b", "em", "span", "a", "code", "font", "small")
_BLOCK_TAGS = ("div", "p", "section", "ul", "li", "h2", "pre", "table", "tr", "td", "custom-tag")
_OTHER_TAGS = ("script", "style", "noscript", "svg", "picture", "button", "select", "template")
_WORDS = ("word", " ", "two words", "\n", "é漢", "&nbsp;", "x<y", "$5", "\x1e", "&#x1e;", "--")


@st.composite
def soups(draw: DrawFn) -> str:
    """Markup of start tags, end tags and texts in any order."""
    tags = st.sampled_from(_INLINE_TAGS + _BLOCK_TAGS + _OTHER_TAGS)
    pieces = st.one_of(
        st.sampled_from(_WORDS),
        tags.map("<{}>".format),
        tags.map("</{}>".format),
        st.sampled_from(("<br>", "<img src=a>", "<!-- c -->", "<source srcset=b>")),
    )
    return "".join(draw(st.lists(pieces, max_size=40)))


def visible(node: LexborNode) -> Iterator[str]:
    """The text below a node, by plain recursion."""
    for child in node.iter(include_text=True):
        if child.tag == "-text":
            yield child.text_content or ""
        elif child.tag not in SKIPPED and child.tag != "script":
            yield from visible(child)


@given(soups())
@settings(deadline=None, max_examples=300)
def test_blocks_hold_all_visible_text_in_its_order(body: str) -> None:
    tree = LexborHTMLParser(f"<body>{body}").body
    assert tree is not None
    expected = "".join("".join(visible(tree)).split())
    found = "".join(read_page(f"<body>{body}").layout.blocks.text)
    assert "".join(found.split()) == expected


@given(soups())
@settings(deadline=None, max_examples=300)
def test_every_layout_is_consistent(body: str) -> None:
    assert_consistent(read_page(f"<body>{body}").layout)


def assert_consistent(layout: Layout) -> None:
    blocks, containers, images = layout.blocks, layout.containers, layout.images
    c = containers
    assert (c.parent[0], c.first[0], c.last[0], c.end[0]) == (-1, 0, len(blocks), len(c))
    for number, parent in enumerate(c.parent):
        assert 0 <= c.first[number] <= c.last[number] <= len(blocks)
        assert number < c.end[number] <= len(c)
        if number:
            assert parent < number < c.end[number] <= c.end[parent]
            assert c.first[parent] <= c.first[number] <= c.last[number] <= c.last[parent]
    for one, other in pairwise(c.first[1:]):
        assert one <= other
    for number, (text, own) in enumerate(zip(blocks.text, blocks.container, strict=True)):
        assert text.strip()
        assert c.first[own] <= number < c.last[own]
    order = list(blocks.dom_index)
    assert order == sorted(set(order))
    assert {len(column) for column in (blocks.link_chars, blocks.links)} == {len(blocks)}
    assert {len(column) for column in (c.key, c.first, c.last, c.end)} == {len(c)}
    assert set(c.key) == set(range(len(c.keys)))
    places = [image.dom_index for image in images]
    assert places == sorted(set(places))
    for image in images:
        assert 0 <= image.block <= len(blocks)
        assert 0 <= image.container < len(containers)
        if image.inside:
            assert image.offset <= len(blocks.text[image.block])
        else:
            assert image.offset == 0
    assert layout.nodes >= max([0, *order, *places])


_RUN = st.lists(
    st.sampled_from(("ab", " ", "c d", "\n", " e", "f ", "<br>", "<b>g</b>", "<img src=a>")),
    max_size=12,
).map(lambda pieces: ["x", *pieces])


@given(_RUN, st.sampled_from(("p", "pre", "td")))
@settings(deadline=None, max_examples=300)
def test_images_part_a_run_where_they_stand(pieces: list[str], tag: str) -> None:
    markup = "".join(pieces).replace("<br><br>", "<br>")
    layout = layout_of(f"<{tag}>{markup}</{tag}>".replace("<td>", "<table><tr><td>"))
    runs = markup.split("<img src=a>")
    inside = [image for image in layout.images if image.inside]
    if len(layout.blocks) > 1 or len(inside) != len(runs) - 1:
        return  # line breaks around white space parted the run
    text = layout.blocks.text[0]
    edges = [0, *(image.offset for image in inside), len(text)]
    parts = ["".join(text[start:end].split()) for start, end in pairwise(edges)]
    assert parts == ["".join(LexborHTMLParser(run).text().split()) for run in runs]


# --- Limits -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("page", "limits", "message"),
    [
        (
            "<p>a" * 60,
            {"nodes": 100},
            "more than 100 elements and texts in the page",
        ),
        ("<div>" * 60 + "a", {"depth": 50}, "elements nested deeper than 50"),
        (
            "<p>a" * 10,
            {"seconds": 0.5, "started": -1000.0},
            "the page took more than 0.5 CPU seconds",
        ),
    ],
    ids=["nodes", "depth", "time"],
)
def test_a_page_past_a_limit_is_too_complex(
    page: str, limits: dict[str, Any], message: str
) -> None:
    with pytest.raises(PageTooComplex) as raised:
        read_page(page, Limits(**limits))
    assert str(raised.value) == message


@pytest.mark.parametrize("count", [1, 4095, 4096, 4097, 9000])
def test_the_limit_on_nodes_is_exact(count: int) -> None:
    page = "<body>" + "<br>" * (count - 1)
    assert read_page(page, Limits(nodes=count)).layout.nodes == count
    with pytest.raises(PageTooComplex):
        read_page(page + "<br>", Limits(nodes=count))


def test_the_limit_on_depth_is_exact() -> None:
    page = "<body>" + "<div>" * 49 + "a"
    assert len(read_page(page, Limits(depth=50)).layout.containers) == 51
    with pytest.raises(PageTooComplex):
        read_page(page.replace("a", "<div>a"), Limits(depth=50))


def test_inline_elements_do_not_count_for_depth() -> None:
    assert block_texts("<span>" * 5000 + "a") == ["a"]
