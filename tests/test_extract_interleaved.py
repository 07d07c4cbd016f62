"""Extraction with the shipped model, on pages of several kinds and scripts."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from typing import Any, get_args

import pyarrow as pa
import pytest

from operators.block_features import BlockFeatures
from operators.content_model import Favor, load
from operators.decode import utf8_html
from operators.dom import read_page
from operators.extract import ExtractInterleaved, assemble, extract_nodes, text_and_images
from operators.page_images import ROLES, page_images
from schemas.columns import NODE_KINDS
from tests.support import ROOT, sample_pages

PAGES = ROOT / "tests" / "pages"
ADDRESS = "http://a.org/b/c.html"
FILLER = (
    "This is a reasonably long piece of running text, written so that an extractor "
    "takes it for the main content of the page."
)
Row = dict[str, Any]


def measure(*pages: bytes | str, charset: str | None = None, **config: Any) -> list[Row]:
    """The row of each page."""
    operator = ExtractInterleaved(**config)
    captured = datetime(2024, 5, 6, tzinfo=UTC)
    rows = [
        {
            "url": ADDRESS,
            "html": page.encode() if isinstance(page, str) else page,
            "http_charset": charset,
            "capture_date": captured,
        }
        for page in pages
    ]
    batch = pa.Table.from_pylist(rows, schema=operator.reads)
    measured: list[Row] = operator.measure(batch, operator.setup()).to_pylist()
    return measured


@cache
def page(name: str, favor: Favor = "balance") -> Row:
    """The row of a page in tests/pages."""
    row = measure((PAGES / f"{name}.html").read_bytes(), favor=favor)[0]
    assert row["error"] is None
    return row


def of_kind(row: Row, kind: str) -> list[str]:
    return [node["text"] for node in row["nodes"] if node["kind"] == kind]


def body_nodes(body: str) -> list[Row]:
    """Nodes of the markup when all of it is main content."""
    page = read_page(f"<!DOCTYPE html><title>A page</title><body><article>{body}</article>")
    images = [
        image
        for image in page_images(page.layout.images, page.base(ADDRESS))
        if image.role != "formula"
    ]
    nodes = assemble(page.layout, [True] * len(page.layout.blocks), images)
    return [asdict(node) for node in nodes]


def brief(nodes: list[Row]) -> list[tuple[str, str]]:
    """Kind, and text or name of the image, of each node."""
    return [(n["kind"], n["text"] or n["image_url"].rpartition("/")[2]) for n in nodes]


# --- What is kept -------------------------------------------------------------------------------

KEPT = {
    "article": [
        "When the wind comes up the valley",
        "“Nobody had asked us whether it could carry a tune.”",
        "Why it hums",
        "The sound comes from the steel rods",
        "the largest wind instrument in the county",
        "There are three things that decide the note",
        "the speed of the wind, which picks",
        "Keep it or cure it?",
        "The council has asked residents",
        "suspension ale",
    ],
    "forum": [
        "I have been baking the same wheat loaf",
        "What should I change first?",
        "Do not look at the clock, look at the dough",
        "I put the bowl in the oven with only the lamp on",
    ],
    "documentation": [
        "Quill reads its settings from a file",
        "From the shell",
        'quill set title "My page"',
        "depth | integer | 3",
        "output.width, the width of a line",
        "for a constant that depends on the machine",
    ],
    "product": [
        "The Brook 25 is a day pack for walkers",
        "The main compartment opens along the whole side",
    ],
    "chinese": [
        "老城区的最后一家钟表铺",
        "每天早上八点准时开门",
        "等着主人回来",
        "将作为老字号保留下来",
    ],
    "arabic": [
        "بعد غياب دام أكثر من عشرين عامًا",
        "المياه صارت أنظف",
        "وتنوي البلدية إقامة ممر خشبي",
    ],
    "captions": [
        "more lighthouses than villages",
        "Skerry is the oldest of them",
        "the church of the next village",
        "The walk to it takes about an hour",
        "follows the cliffs all the way",
    ],
}
DROPPED = {
    "article": [
        "We use cookies",
        "Weather",
        "Related stories",
        "Mill roof repaired",
        "Most read",
        "weekly newsletter",
        "All rights reserved",
        "logged in",
        "Advertisement",
        "Search",
    ],
    "forum": [
        "Members",
        "Board index",
        "Page 1 of 1",
        "Who is online",
        "Return to Questions",
        "Powered by",
    ],
    "documentation": ["API reference", "genindex", "Built with", "index"],
    "product": [
        "Free delivery",
        "Basket",
        "Customers also bought",
        "Steel bottle",
        "Returns",
        "Registered in England",
    ],
    "chinese": ["体育", "您的位置", "分享到", "热门推荐", "地铁五号线", "版权所有", "关于我们"],
    "arabic": ["محليات", "الأكثر قراءة", "أسعار الخضار", "جميع الحقوق محفوظة"],
    "captions": ["About", "Copyright", "Imprint"],
}
IMAGES = {
    "article": ["footbridge.jpg", "rods-detail.jpg"],
    "forum": ["file.php?id=881&name=loaf.jpg"],
    "documentation": [],
    "product": [],
    "chinese": ["wangshifu.jpg"],
    "arabic": ["flamingos.jpg"],
    "captions": ["skerry.jpg", "ness-500x375.jpg", "holm.jpg", "path-sign.jpg"],
}


def test_every_page_of_the_folder_is_looked_at() -> None:
    assert sorted(KEPT) == sorted(path.stem for path in PAGES.glob("*.html"))
    assert set(KEPT) == set(DROPPED) == set(IMAGES)


@pytest.mark.parametrize("name", KEPT)
def test_the_main_text_is_kept_in_its_order(name: str) -> None:
    text = "\n".join(node["text"] for node in page(name)["nodes"] if node["text"])
    places = [text.find(wanted) for wanted in KEPT[name]]
    assert [wanted for wanted, place in zip(KEPT[name], places, strict=True) if place < 0] == []
    assert places == sorted(places)


@pytest.mark.parametrize("name", DROPPED)
def test_what_is_around_it_is_dropped(name: str) -> None:
    text = "\n".join(node["text"] for node in page(name)["nodes"] if node["text"])
    assert [unwanted for unwanted in DROPPED[name] if unwanted in text] == []


@pytest.mark.parametrize("name", IMAGES)
def test_images_of_the_content_are_kept(name: str) -> None:
    found = [n["image_url"].rpartition("/")[2] for n in page(name)["nodes"] if n["image_url"]]
    assert [wanted for wanted in found if wanted in IMAGES[name]] == IMAGES[name]


@pytest.mark.parametrize("name", KEPT)
def test_nodes_are_well_formed(name: str) -> None:
    nodes = page(name)["nodes"]
    for node in nodes:
        assert node["kind"] in NODE_KINDS
        assert (
            (node["text"] is None) == (node["kind"] == "image") == (node["image_url"] is not None)
        )
        assert node["text"] is None or node["text"].strip()
        assert (node["level"] is not None) == (node["kind"] in ("heading", "list_item"))
        assert node["language"] is None or node["kind"] == "code"
    order = [node["dom_index"] for node in nodes]
    assert order == sorted(set(order))


@pytest.mark.parametrize("name", KEPT)
def test_every_image_is_a_node_or_left_out_for_a_reason(name: str) -> None:
    row = page(name)
    kept = [node["image_url"] for node in row["nodes"] if node["image_url"]]
    left = [image["image_url"] for image in row["left_out_images"]]
    assert len(set(kept + left)) == len(kept + left)
    markup = (PAGES / f"{name}.html").read_text("utf-8")
    for address in kept + left:
        assert address.rpartition("/")[2].replace("&", "&amp;") in markup
    reasons = {image["reason"] for image in row["left_out_images"]}
    assert reasons <= {*ROLES, "navigation", "outside_content"}


def test_reasons_tell_what_a_left_out_image_is_for() -> None:
    reasons = {
        image["image_url"].rpartition("/")[2]: image["reason"]
        for image in page("article")["left_out_images"]
    }
    wanted = {
        "courier-logo.svg": "logo",
        "holloway-small.jpg": "avatar",
        "facebook.png": "icon",
        "mill-roof-150x100.jpg": "thumbnail",
    }
    assert wanted.items() <= reasons.items()


def test_images_of_menus_are_left_out_as_navigation() -> None:
    menu = "<nav><img src=/m/home.png><img src=/m/logo.png><img src=/m/home.png></nav>"
    row = measure(f"<body>{menu}<article><p>{FILLER}</p><p>{FILLER} More.</p></article>")[0]
    assert [(i["image_url"], i["reason"], i["dom_index"]) for i in row["left_out_images"]] == [
        ("http://a.org/m/home.png", "navigation", -1),
        ("http://a.org/m/logo.png", "logo", -1),
    ]


@pytest.mark.parametrize("html", ["", " ", "<title>T</title>", "<body><img src=a.jpg></body>"])
def test_a_page_without_text_has_no_nodes_and_no_error(html: str) -> None:
    row = measure(html)[0]
    assert (row["nodes"], row["error"]) == ([], None)
    assert len(row["left_out_images"]) == html.count("<img")


def test_metadata_are_columns_of_the_row() -> None:
    names = ("title", "author", "published", "site_name", "canonical_url", "page_lang")
    assert [page("article")[name] for name in names] == [
        "How a footbridge learned to sing",
        "Ada Holloway",
        "2023-09-14",
        "The Valley Courier",
        "http://a.org/news/2023/singing-footbridge",
        "en",
    ]


# --- What it becomes ----------------------------------------------------------------------------


def test_headings_keep_their_level() -> None:
    headings = [
        (node["level"], node["text"])
        for node in page("documentation")["nodes"]
        if node["kind"] == "heading"
    ]
    assert headings == [
        (1, "Reading settings"),
        (2, "From Python"),
        (2, "From the shell"),
        (2, "Options"),
        (3, "Nested options"),
    ]


def test_list_items_know_how_deep_they_are() -> None:
    items = [
        (node["level"], node["text"].partition(",")[0])
        for node in page("documentation")["nodes"]
        if node["kind"] == "list_item"
    ]
    assert items == [(1, "output"), (2, "output.width"), (2, "output.color"), (1, "input")]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("<ul><li>First item of the list.</ul>", ("list_item", 1)),
        ("<ul><li><p>First item of the list.</p></ul>", ("list_item", 1)),
        ("<dl><dd>First item of the list.</dl>", ("list_item", 1)),
        ("<ol><li><ul><li>First item of the list.</ul></ol>", ("list_item", 2)),
        ("<li>First item of the list.</li>", ("list_item", 1)),
        ("<ul><li><h3>First item of the list.</h3></ul>", ("heading", 3)),
        ("<ul><li><section><p>First item of the list.</section></ul>", ("text", None)),
        ("<blockquote>First item of the list.</blockquote>", ("quote", None)),
        ("<blockquote><ul><li>First item of the list.</ul></blockquote>", ("list_item", 1)),
        ("<ul><li><blockquote>First item of the list.</blockquote></ul>", ("quote", None)),
        ("<div class=caption>First item of the list.</div>", ("caption", None)),
        ("<div class=captioned>First item of the list.</div>", ("text", None)),
        ("<ul>" * 300 + "<li>First item of the list." + "</ul>" * 300, ("list_item", 127)),
    ],
    ids=lambda value: str(value)[:50],
)
def test_what_is_around_a_text_makes_its_kind(body: str, expected: tuple[str, int | None]) -> None:
    found = [
        (n["kind"], n["level"]) for n in body_nodes(body) if n["text"] == "First item of the list."
    ]
    assert found == [expected]


def test_a_data_table_is_one_node_of_rows() -> None:
    assert of_kind(page("documentation"), "table") == [
        "Option | Type | Default\ntitle | text | none\ndepth | integer | 3\nstrict | boolean | "
    ]


def table(markup: str) -> list[tuple[str, str]]:
    return brief(body_nodes(f"<p>The sizes are these:</p><table>{markup}</table>"))[1:]


def test_the_caption_of_a_table_stands_before_it() -> None:
    found = table(
        "<caption>Table 1: Sizes of things in the valley</caption>"
        "<tr><th>Thing<th>Size<tr><td>Mill<td>3 <b>m</b><tr><td>Weir<td><p>4 m</p><p>at least</p>"
    )
    assert found == [
        ("caption", "Table 1: Sizes of things in the valley"),
        ("table", "Thing | Size\nMill | 3 m\nWeir | 4 m at least"),
    ]


def test_empty_cells_and_rows_keep_the_columns() -> None:
    found = table("<tr><th>A<th>B<th>C<tr><td><td>2<td><tr><td><td><tr><td>1<td>2<td>3")
    assert found == [("table", "A | B | C\n | 2 | \n1 | 2 | 3")]


def test_a_table_for_layout_is_text() -> None:
    long_text = f"{FILLER} " * 5
    nodes = table(f"<tr><td>{long_text}<td>Short<tr><td>{long_text}<td>Short")
    assert "table" not in {kind for kind, _ in nodes}
    nodes = table(f"<tr><td>The table: {FILLER}<td><table><tr><th>a<th>b<tr><td>c<td>d</table>")
    assert [text for kind, text in nodes if kind == "table"] in ([], ["a | b\nc | d"])
    assert ("text", f"The table: {FILLER}") in nodes


def test_an_image_in_a_table_stands_behind_it() -> None:
    found = table(
        "<tr><th>Name<th>View<tr><td>Mill <img src=/p/mill.jpg width=300><td>3<tr><td>b<td>c"
    )
    assert found[0] == ("table", "Name | View\nMill | 3\nb | c")
    assert found[1:] in ([], [("image", "mill.jpg")])


@pytest.mark.parametrize(
    ("markup", "language"),
    [
        ("<pre><code class='language-rust'>{}</code></pre>", "rust"),
        ("<pre class='lang-js'>{}</pre>", "js"),
        ("<pre class='prettyprint lang-c++'><code>{}</code></pre>", "c++"),
        ("<pre class='brush: php; toolbar: false'>{}</pre>", "php"),
        ("<div class='highlight highlight-source-objective-c'><pre>{}</pre></div>", "objective-c"),
        (
            "<pre class='sourceCode python'><code class='sourceCode python'>{}</code></pre>",
            "python",
        ),
        ("<pre><code class='hljs language-C#'>{}</code></pre>", "c#"),
        ("<pre><code>{}</code></pre>", None),
        ("<pre class='code-language'>{}</pre>", None),
    ],
)
def test_the_language_of_code_is_read_from_its_markup(markup: str, language: str | None) -> None:
    code = "let mut total = 0;\n\nfor item in list {\n    total += item;\n}"
    nodes = body_nodes(f"<p>This is the loop in question:</p>{markup.format(code)}")
    assert [(n["text"], n["language"]) for n in nodes if n["kind"] == "code"] == [(code, language)]


def test_code_of_a_documentation_keeps_lines_and_languages() -> None:
    nodes = [node for node in page("documentation")["nodes"] if node["kind"] == "code"]
    assert [node["language"] for node in nodes] == ["python", "bash", "json", None]
    assert nodes[0]["text"].splitlines()[2:4] == [
        "def main():",
        '    settings = quill.load("app.toml")',
    ]


def test_quotes_are_quotes() -> None:
    assert [text[:24] for text in of_kind(page("article"), "quote")] == ["It is the largest wind i"]
    assert [text[:12] for text in of_kind(page("arabic"), "quote")] == ["لم أصدق عيني"]


def test_captions_of_figures_and_of_their_look_alikes() -> None:
    assert [text[:10] for text in of_kind(page("captions"), "caption")] == [
        "Skerry lig",
        "Ness light",
    ]
    nodes = page("chinese")["nodes"]
    place = next(i for i, node in enumerate(nodes) if node["kind"] == "image")
    assert nodes[place + 1]["kind"] == "caption"


def test_formulas_are_in_the_line_or_nodes_of_their_own() -> None:
    row = page("documentation")
    assert of_kind(row, "formula") == [r"T(n) \le c\, n \log n"]
    assert any(r"grows as $n \log n$ with" in text for text in of_kind(row, "text"))


def test_a_picture_of_a_formula_is_text() -> None:
    source = "https://latex.codecogs.com/gif.latex?x^2"
    nodes = body_nodes(f"<p>The area, which is <img src='{source}'>, grows with the square.</p>")
    assert brief(nodes) == [
        ("text", "The area, which is $x^2$, grows with the square."),
    ]


def test_an_image_parts_its_paragraph() -> None:
    nodes = brief(page("captions")["nodes"])
    place = nodes.index(("image", "path-sign.jpg"))
    assert nodes[place - 1][1].endswith("takes about an hour")
    assert nodes[place + 1] == ("text", "from the car park, and follows the cliffs all the way.")


def test_an_image_keeps_its_texts_size_and_link() -> None:
    nodes = body_nodes(
        f"<p>{FILLER} Here:</p><p><a href='/full/mill.jpg'><img src='/photos/mill.jpg' width=800"
        " height=600 alt=' The  mill ' title=''></a></p>"
    )
    found = next(node for node in nodes if node["kind"] == "image")
    names = ("image_url", "link", "width", "height", "alt", "title")
    assert [found[name] for name in names] == [
        "http://a.org/photos/mill.jpg",
        "http://a.org/full/mill.jpg",
        800,
        600,
        "The mill",
        None,
    ]


def test_text_and_images_are_those_of_the_nodes() -> None:
    html = (PAGES / "captions.html").read_bytes()
    nodes = page("captions")["nodes"]
    assert text_and_images(html, ADDRESS) == (
        "\n".join(node["text"] for node in nodes if node["text"]),
        [node["image_url"] for node in nodes if node["image_url"]],
    )
    assert [node.text for node in extract_nodes(html, ADDRESS)] == [node["text"] for node in nodes]


# --- Which mistake to avoid, and determinism -----------------------------------------------------


@pytest.mark.parametrize("name", KEPT)
def test_precision_keeps_less_than_balance_and_recall_keeps_more(name: str) -> None:
    kept = [
        Counter(" ".join(node["text"] or "" for node in page(name, favor)["nodes"]).split())
        for favor in get_args(Favor)
    ]
    for words in kept:
        del words["|"]  # between the cells of a table, which may be kept whole or in parts
    assert kept[0] <= kept[1] <= kept[2]
    assert kept[0]


def test_the_blocks_kept_grow_from_precision_to_recall_on_any_page() -> None:
    model = load()
    for html in sample_pages():
        try:
            found = read_page(utf8_html(html))
        except ValueError:
            continue
        if not found.layout.blocks.text:
            continue
        features = BlockFeatures(found.layout, found.title)
        precise, balanced, generous = (
            model.judge(features, favor).kept for favor in get_args(Favor)
        )
        assert not (precise & ~balanced).any()
        assert not (balanced & ~generous).any()
        assert balanced.any()


def test_an_unknown_favor_is_refused() -> None:
    with pytest.raises(ValueError, match="favor"):
        ExtractInterleaved.model_validate({"favor": "speed"})


def test_pages_do_not_influence_each_other() -> None:
    pages = [path.read_bytes() for path in sorted(PAGES.glob("*.html"))]
    alone = [measure(html)[0] for html in pages]
    assert measure(*pages) == alone
    assert measure(*pages[::-1]) == alone[::-1]


def test_another_process_with_other_hashes_gives_the_same_nodes() -> None:
    code = (
        "import sys; from operators.extract import extract_nodes\n"
        "for name in sys.argv[1:]: print(ascii(extract_nodes(open(name, 'rb').read(), None)))"
    )
    names = [str(path) for path in sorted(PAGES.glob("*.html"))]
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code, *names],
            env={"PYTHONHASHSEED": seed},
            cwd=ROOT,
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1
    assert outputs.pop().count(b"\n") == len(names)


# --- Rows that are errors -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("html", "config", "error"),
    [
        (None, {}, ("ValueError", "the page has no bytes")),
        (b"12345", {"max_bytes": 4}, ("ValueError", "page of 5 bytes; the limit is 4")),
        (
            b"<p>a" * 60,
            {"max_nodes": 50},
            ("PageTooComplex", "more than 50 elements and texts in the page"),
        ),
        (
            b"<div>" * 60,
            {"max_depth": 50},
            ("PageTooComplex", "elements nested deeper than 50"),
        ),
        (
            b"<p>a" * 60,
            {"max_seconds": 1e-9},
            ("PageTooComplex", "the page took more than 1e-09 CPU seconds"),
        ),
        (b"%PDF-1.7\0\0\xff\xfe", {}, ("UndecodablePage", "the page holds binary data")),
    ],
    ids=["none", "bytes", "nodes", "depth", "seconds", "binary"],
)
def test_what_cannot_be_extracted_is_an_error_of_its_row_only(
    html: bytes | None, config: dict[str, Any], error: tuple[str, str]
) -> None:
    small = b"<p>One short paragraph."
    if html is None:
        operator = ExtractInterleaved(**config)
        row = dict.fromkeys(operator.reads.names) | {"url": ADDRESS}
        batch = pa.Table.from_pylist([row], schema=operator.reads)
        failed = operator.measure(batch, operator.setup()).to_pylist()[0]
    elif "max_bytes" in config or "max_seconds" in config:
        (failed,) = measure(html, **config)
    else:
        first, failed, last = measure(small, html, small, **config)
        assert first == last
        assert first["error"] is None
    found = failed.pop("error")
    assert (found["type"], found["message"]) == error
    assert set(failed.values()) == {None}
