"""Decoding of pages, and extraction of nodes in reading order from small pages."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from operators.decode import UndecodablePage, decode_html, utf8_html
from operators.extract_trafilatura import ExtractTrafilatura
from schemas.columns import NODE_KINDS
from tests.strategies import pages

FILLER = (
    "This is a reasonably long piece of running text, written so that an extractor "
    "takes it for the main content of the page."
)
ADDRESS = "http://example.org/walks/one.html"

# --- Decoding -----------------------------------------------------------------------------------

RUSSIAN = "Сегодня хорошая погода, и мы пошли гулять в парк. "
CHINESE = "今天天气很好，我们一起去公园散步。"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("declared", [None, "windows-1251"])
def test_a_byte_order_mark_wins_over_any_declaration(encoding: str, declared: str | None) -> None:
    page = f"<meta charset=latin-1>{RUSSIAN}"
    assert decode_html(page.encode(encoding), declared) == page


@pytest.mark.parametrize("encoding", ["ascii", "utf-8", "utf-8-sig", "utf-16", "gb18030"])
def test_any_page_is_to_be_had_as_utf8(encoding: str) -> None:
    page = "<meta charset=gbk><p>plain" if encoding == "ascii" else f"<meta charset=gbk>{CHINESE}"
    assert utf8_html(page.encode(encoding)).decode() == page


def test_a_big_endian_byte_order_mark_is_known() -> None:
    assert decode_html(b"\xfe\xff" + CHINESE.encode("utf-16-be")) == CHINESE


def test_the_http_header_wins_over_meta() -> None:
    page = f"<meta charset='koi8-r'><p>{RUSSIAN}"
    assert decode_html(page.encode("cp1251"), "windows-1251") == page


@pytest.mark.parametrize(
    ("meta", "encoding"),
    [
        ("<meta charset=windows-1251>", "cp1251"),
        ("<META CHARSET = 'KOI8-R'>", "koi8-r"),
        (
            '<meta http-equiv="Content-Type" content="text/html; charset=windows-1251">',
            "cp1251",
        ),
        ("<!DOCTYPE html><html><head><meta name=x><meta charset='utf-8'>", "utf-8"),
    ],
)
def test_meta_declares_the_charset(meta: str, encoding: str) -> None:
    page = f"{meta}<p>{RUSSIAN}"
    assert decode_html(page.encode(encoding)) == page


@pytest.mark.parametrize("declared", ["gb2312", "GBK", "gb18030"])
def test_chinese_sets_are_read_as_their_superset(declared: str) -> None:
    page = f"<meta charset={declared}><p>{CHINESE} 镕 €"
    assert decode_html(page.encode("gb18030")) == page
    assert decode_html(page.encode("gb18030"), declared) == page


@pytest.mark.parametrize(
    ("declared", "encoding", "text"),
    [
        ("Shift_JIS", "cp932", "日本語①"),
        ("EUC-KR", "cp949", "한국어 똠방각하"),
        ("EUC-JP", "euc-jp", "日本語"),
        ("Big5", "big5", "繁體中文"),
        ("iso-8859-2", "iso-8859-2", "zażółć gęślą jaźń"),
        ("iso-8859-1", "cp1252", "café “quoted” €"),
        ("latin1", "cp1252", "café “quoted” €"),
        ("us-ascii", "cp1252", "café"),
    ],
)
def test_a_declared_charset_is_read_as_browsers_do(declared: str, encoding: str, text: str) -> None:
    assert decode_html(text.encode(encoding), declared) == text


@pytest.mark.parametrize("declared", ["utf-8", "euc-jp", "no-such-charset", "", " ", "a\0b", "ü"])
def test_a_wrong_or_unknown_declaration_is_passed_over(declared: str) -> None:
    page = f"<meta charset=windows-1251><p>{RUSSIAN * 5}"
    assert decode_html(page.encode("cp1251"), declared) == page


@pytest.mark.parametrize(
    "declared", ["unicode_escape", "punycode", "idna", "undefined", "hex", "rot13", "utf-7"]
)
def test_codecs_that_are_no_charset_of_the_web_are_passed_over(declared: str) -> None:
    page = "<p>A \\x41 and +ADw-b+AD4- stay"
    assert decode_html(page.encode(), declared) == page


def test_a_meta_that_declares_utf_16_in_ascii_bytes_means_utf_8() -> None:
    page = "<meta charset='utf-16'><p>über"
    assert decode_html(page.encode() + b" " * (len(page.encode()) % 2)).rstrip() == page


def test_an_undefined_byte_of_windows_1252_does_not_cost_the_page() -> None:
    assert decode_html(b"<p>caf\xe9 \x81 au lait", "iso-8859-1") == "<p>café \x81 au lait"


@pytest.mark.parametrize("declared", ["utf-8", None])
def test_one_bad_byte_in_utf_8_costs_one_character(declared: str | None) -> None:
    text = "<p>" + "It’s a fine day — we went to the café and “talked” a lot. " * 40
    page = text.encode()
    damaged = page[:500] + b"\xff" + page[500:]
    assert decode_html(damaged, declared).replace("\ufffd", "") == text


def test_utf_8_cut_inside_a_character_stays_utf_8() -> None:
    text = "<p>" + "It’s a fine day — " * 40
    assert decode_html(text.encode() + "é".encode()[:1], "utf-8").rstrip("\ufffd") == text


@pytest.mark.parametrize("encoding", ["cp1251", "gb18030"])
@pytest.mark.parametrize("shift", [0, 1])
def test_an_undeclared_charset_is_detected_in_long_pages_too(encoding: str, shift: int) -> None:
    text = (RUSSIAN if encoding == "cp1251" else CHINESE) * 3_000
    page = "<p>" + "x" * shift + text
    assert decode_html(page.encode(encoding)) == page


@pytest.mark.parametrize(
    "junk",
    [b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\0\0\xff", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\xff", b"\0\xff" * 99],
)
def test_binary_data_is_undecodable(junk: bytes) -> None:
    with pytest.raises(UndecodablePage, match="binary"):
        decode_html(junk)


def test_an_empty_page_is_empty_text() -> None:
    assert decode_html(b"") == ""


@given(
    html=pages() | st.binary(max_size=300),
    charset=st.none() | st.sampled_from(["utf-8", "utf-16", "gb2312", "x"]) | st.text(max_size=9),
)
@example(html=b"", charset="\0")
@example(html=b"<p>text", charset="undefined")
@settings(deadline=None, max_examples=150)
def test_any_bytes_decode_or_are_called_binary(html: bytes, charset: str | None) -> None:
    try:
        assert isinstance(decode_html(html, charset), str)
    except UndecodablePage:
        assert b"\0" in html


# --- Extraction ---------------------------------------------------------------------------------

WALK = f"""<!DOCTYPE html><html lang="en"><head><title>A walk in the hills</title>
<meta name="author" content="Ada Author"><meta name="description" content="A short summary.">
<meta property="og:site_name" content="Hill Site">
<meta property="article:published_time" content="2023-05-06T10:00:00Z"></head>
<body><nav><a href="/">Home</a> <a href="/all">All walks</a></nav><article>
<h1>A walk in the hills</h1>
<p>First paragraph. {FILLER} {FILLER}</p>
<img src="/img/first.jpg" alt="First view" title="The first">
<h2>Equipment</h2>
<p>Second paragraph. {FILLER} {FILLER}</p>
<ul><li>Strong boots for the mud</li><li>A map of the region</li></ul>
<figure><img src="second.png" alt="Second view"></figure>
<p>Third paragraph before <img src="https://cdn.example.net/third.gif" alt="Third"> and after the
picture. {FILLER}</p>
<table><tr><th>Name</th><th>Height</th></tr><tr><td>Big hill</td><td>120 m</td></tr></table>
<pre><code>def walk():
    return "slow"</code></pre>
<h3>The end</h3><p>Last paragraph. {FILLER} {FILLER}</p>
</article><footer>Copyright by nobody</footer></body></html>"""


def extract(
    *pages: bytes | str,
    operator: ExtractTrafilatura | None = None,
    address: str = ADDRESS,
    charset: str | None = None,
    captured: datetime | None = None,
) -> list[dict[str, Any]]:
    """The row of each page."""
    operator = operator or ExtractTrafilatura()
    encoded = [page.encode() if isinstance(page, str) else page for page in pages]
    count = len(encoded)
    arrays = [
        pa.array([address] * count, pa.string()),
        pa.array(encoded, pa.large_binary()),
        pa.array([charset] * count, pa.string()),
        pa.array([captured] * count, pa.timestamp("s", "UTC")),
    ]
    batch = pa.Table.from_arrays(arrays, schema=operator.reads)
    rows: list[dict[str, Any]] = operator.measure(batch, None).to_pylist()
    return rows


def outline(row: dict[str, Any]) -> list[tuple[str, str]]:
    """Kind, and image address or first words, of each node."""
    return [
        (node["kind"], node["image_url"] or " ".join(node["text"].split()[:2]))
        for node in row["nodes"]
    ]


def in_article(body: str) -> str:
    """A page whose article holds `body` between enough running text."""
    return (
        "<html><head><title>A title</title></head><body><article>"
        f"<p>Opening words. {FILLER} {FILLER}</p>{body}<p>Closing words. {FILLER} {FILLER}</p>"
        "</article></body></html>"
    )


def test_text_and_images_keep_their_reading_order() -> None:
    assert outline(extract(WALK)[0]) == [
        ("heading", "A walk"),
        ("text", "First paragraph."),
        ("image", "http://example.org/img/first.jpg"),
        ("heading", "Equipment"),
        ("text", "Second paragraph."),
        ("list_item", "Strong boots"),
        ("list_item", "A map"),
        ("image", "http://example.org/walks/second.png"),
        ("text", "Third paragraph"),
        ("image", "https://cdn.example.net/third.gif"),
        ("text", "and after"),
        ("table", "Name |"),
        ("code", "def walk():"),
        ("heading", "The end"),
        ("text", "Last paragraph."),
    ]


def test_nodes_are_well_formed() -> None:
    found = extract(WALK)[0]["nodes"]
    assert [node["dom_index"] for node in found] == list(range(len(found)))
    for node in found:
        assert node["kind"] in NODE_KINDS
        assert (node["kind"] == "image") == (node["text"] is None)
        assert (node["kind"] == "image") == (node["image_url"] is not None)
        assert node["text"] is None or node["text"].strip() == node["text"] != ""


def test_headings_keep_their_level() -> None:
    found = extract(WALK)[0]["nodes"]
    levels = {node["text"]: node["level"] for node in found if node["kind"] == "heading"}
    assert levels == {"A walk in the hills": 1, "Equipment": 2, "The end": 3}
    assert {node["level"] for node in found if node["kind"] != "heading"} == {None}


def test_images_keep_alt_and_title() -> None:
    images = [node for node in extract(WALK)[0]["nodes"] if node["kind"] == "image"]
    assert [node["alt"] for node in images] == ["First view", "Second view", "Third"]
    assert images[0]["title"] == "The first"


def test_an_image_splits_its_paragraph() -> None:
    before, image, after = extract(WALK)[0]["nodes"][8:11]
    assert before["text"] == "Third paragraph before"
    assert image["kind"] == "image"
    assert after["text"] == f"and after the picture. {FILLER}"


def test_a_table_is_one_node_of_lines_and_cells() -> None:
    (table,) = [node for node in extract(WALK)[0]["nodes"] if node["kind"] == "table"]
    assert table["text"] == "Name | Height\nBig hill | 120 m"
    without = extract(WALK, operator=ExtractTrafilatura(tables=False))[0]
    assert "table" not in {node["kind"] for node in without["nodes"]}


def test_code_keeps_its_line_breaks_and_indentation() -> None:
    (code,) = [node for node in extract(WALK)[0]["nodes"] if node["kind"] == "code"]
    assert code["text"] == 'def walk():\n    return "slow"'


def test_code_keeps_the_indentation_of_its_first_line() -> None:
    page = in_article("<pre><code>    first = 1\n    second = 2</code></pre>")
    (code,) = [node for node in extract(page)[0]["nodes"] if node["kind"] == "code"]
    assert code["text"] == "    first = 1\n    second = 2"


@pytest.mark.parametrize(
    "quote", ["<blockquote>{}</blockquote>", "<blockquote><p>{}</p></blockquote>"]
)
def test_a_quotation_is_a_quote(quote: str) -> None:
    page = in_article(quote.format(f"Famous words by somebody. {FILLER}"))
    assert ("quote", "Famous words") in outline(extract(page)[0])


@pytest.mark.parametrize("item", ["<li>{}</li>", "<li><p>{}</p></li>"])
def test_an_item_of_a_list_is_a_list_item(item: str) -> None:
    items = "".join(item.format(f"{word} thing of several words") for word in ("One", "Another"))
    kinds = outline(extract(in_article(f"<ul>{items}</ul>"))[0])
    assert kinds[1:3] == [("list_item", "One thing"), ("list_item", "Another thing")]


def test_white_space_of_the_source_is_no_line_break() -> None:
    page = in_article(
        f"<p>Some <b>bold\nwords</b> and\n  a <a href='/x'>link</a>\n to it. {FILLER}"
    )
    row = extract(page)[0]
    assert row["nodes"][1]["text"] == f"Some bold words and a link to it. {FILLER}"


def test_line_breaks_stay_in_a_paragraph() -> None:
    row = extract(in_article(f"<p>Verse one<br>Verse two. {FILLER}</p>"))[0]
    assert row["nodes"][1]["text"] == f"Verse one\nVerse two. {FILLER}"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a.png", "http://example.org/walks/a.png"),
        ("../a.png?x=1", "http://example.org/a.png?x=1"),
        ("//cdn.example.net/a.png", "http://cdn.example.net/a.png"),
        ("https://example.net/a.png", "https://example.net/a.png"),
    ],
)
def test_image_addresses_are_resolved(source: str, expected: str) -> None:
    row = extract(in_article(f'<p><img src="{source}" alt="x"></p>'))[0]
    assert [n["image_url"] for n in row["nodes"] if n["kind"] == "image"] == [expected]


@pytest.mark.parametrize("source", ["data:image/png;base64,iVBORw0KGgo=", "", "http://[bad/a.png"])
def test_images_without_an_address_are_left_out(source: str) -> None:
    row = extract(in_article(f'<p><img src="{source}" alt="x"></p>'))[0]
    assert row["error"] is None
    assert [node["kind"] for node in row["nodes"]] == ["text", "text"]


def test_navigation_and_footer_are_no_content() -> None:
    text = "\n".join(node["text"] or "" for node in extract(WALK)[0]["nodes"])
    assert "Copyright" not in text
    assert "All walks" not in text


def test_metadata_is_read() -> None:
    row = extract(WALK)[0]
    names = ("title", "author", "published", "site_name", "description")
    assert [row[name] for name in names] == [
        "A walk in the hills",
        "Ada Author",
        "2023-05-06",
        "Hill Site",
        "A short summary.",
    ]


def test_the_declared_charset_reaches_the_text() -> None:
    page = in_article(f"<p>{RUSSIAN * 5}</p>").encode("cp1251")
    row = extract(page, charset="windows-1251")[0]
    assert RUSSIAN.strip() in row["nodes"][1]["text"]


@pytest.mark.parametrize(
    "page", [b"", b"<html></html>", b"<html><body><p></p></body></html>", b" \n", b"\xef\xbb\xbf"]
)
def test_a_page_without_content_has_no_nodes_and_no_error(page: bytes) -> None:
    row = extract(page)[0]
    assert row["nodes"] == []
    assert row["error"] is None


def test_a_page_that_is_too_large_is_an_error_of_its_row() -> None:
    operator = ExtractTrafilatura(max_bytes=len(WALK))
    small, large = extract(WALK, WALK + " ", operator=operator)
    assert small["error"] is None
    assert large["nodes"] is None
    assert large["error"]["type"] == "ValueError"
    assert str(len(WALK)) in large["error"]["message"]


def test_a_binary_page_is_an_error_of_its_row_only() -> None:
    first, junk, last = extract(WALK, b"%PDF-1.7 \0\0\xff\xfe", WALK)
    assert first == last
    assert first["error"] is None
    assert junk["error"]["type"] == "UndecodablePage"
    assert junk["nodes"] is None


@pytest.mark.parametrize(
    "page",
    [
        b"<" * 20_000,
        b"<div>" * 20_000,
        b"<div>" * 3_000 + b"deep" + b"</div>" * 3_000,
        b"<table><tr><td>" * 1_000,
        b"<!--" * 5_000,
        b"<p " + b"a=b " * 20_000 + b">x",
        b"&#xD800;&#0;&#1114112;" * 100,
        b"<?xml version='1.0' encoding='nonsense'?><html><body><p>x</p></body></html>",
        bytes(range(256)) * 4,
    ],
    ids=lambda page: f"{page[:12]!r}x{len(page)}",
)
def test_hostile_pages_never_raise(page: bytes) -> None:
    (row,) = extract(page)
    assert (row["nodes"] is None) == (row["error"] is not None)


@given(page=st.binary(max_size=400), cut=st.integers(0, len(WALK)))
@settings(deadline=None, max_examples=25)
def test_garbage_never_raises_nor_warns(page: bytes, cut: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows = extract(page, WALK.encode()[:cut] + page)
    for row in rows:
        assert (row["nodes"] is None) == (row["error"] is not None)


@pytest.mark.parametrize("favor", ["balance", "precision", "recall"])
@pytest.mark.parametrize("fast", [True, False])
def test_every_mode_finds_the_main_text(favor: str, fast: bool) -> None:
    row = extract(WALK, operator=ExtractTrafilatura(favor=favor, fast=fast))[0]
    assert ("text", "First paragraph.") in outline(row)
    assert ("text", "Last paragraph.") in outline(row)


def test_the_order_of_pages_does_not_matter() -> None:
    other = in_article("<h2>Another page</h2>")
    assert extract(WALK, other) == extract(other, WALK)[::-1]
    assert extract(WALK, WALK) == [*extract(WALK), *extract(WALK)]


def test_a_date_after_the_capture_is_no_date_of_publication() -> None:
    page = (
        '<html><head><meta property="article:published_time" content="2024-05-06"></head><body>'
        "<article><p>" + "Some words that make a page. " * 30 + "</p></article></body></html>"
    )
    later, earlier = datetime(2024, 6, 1, tzinfo=UTC), datetime(2024, 4, 1, tzinfo=UTC)
    assert extract(page, captured=later)[0]["published"] == "2024-05-06"
    assert extract(page, captured=earlier)[0]["published"] != "2024-05-06"
