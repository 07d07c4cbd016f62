"""The report and the rendered document: complete, self-contained, and safe to open."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from lxml import etree, html
from PIL import Image

from pipelines import load_job, open_corpus, run_job
from pipelines import render as rendering
from pipelines import report as reporting
from pipelines.corpus import Corpus, Document
from pipelines.render import document_html, thumbnail
from pipelines.report import report_html, write_report
from tests.support import assert_harmless, write_job

SAMPLE = Path(__file__).resolve().parent.parent / "jobs/sample/sample-edge.warc.gz"
ATTACK = '"><script>alert(1)</script>'
HOSTILE_PAGE = f"""<html><head><title>&lt;script&gt;alert(1)&lt;/script&gt;</title></head><body>
<article><h1>Heading &lt;/style&gt;&lt;script&gt;alert(1)&lt;/script&gt;</h1>
<p>{"A plain sentence that the extractor takes for content, said again. " * 8}</p>
<p>Text with &lt;script&gt;alert(1)&lt;/script&gt; inside, {"and more words after it " * 9}</p>
<p><img src="javascript:alert(1)" alt="&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;"></p>
<p>{"Another sentence follows the picture and closes the page. " * 8}</p>
</article></body></html>
"""
JOB = """
pipeline: interleaved
store: {store}
on: {{backend: local, workers: 0}}
inputs:
  - {inputs}
stages:
  extract: {{extractor: trafilatura}}
rules:
  language: {{keep: "lang_score >= 0.5"}}
  short: {{drop: "word_count < 60"}}
  never: {{drop: "word_count > 1000000"}}
  picture: {{drop: "image_count < 1"}}
  node_short: {{table: nodes, drop: "node_char_count < 20"}}
unit_rows: {rows}
max_error_rate: 1
"""


def made(folder: Path, inputs: str, rows: int = 3) -> Corpus:
    job = folder / "job.yaml"
    job.write_text(JOB.format(store=folder / "store", inputs=inputs, rows=rows), encoding="utf-8")
    run_job(load_job(str(job)))
    return open_corpus(str(folder / "store"))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return made(tmp_path_factory.mktemp("edge"), f"{{warc: {SAMPLE}}}")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "pages").mkdir()
    (folder / "pages" / 'p"><script>alert(1)<.html').write_text(HOSTILE_PAGE, encoding="utf-8")
    return made(folder, f"{{html: {folder / 'pages'}}}")


def with_nodes(document: Document, *nodes: dict[str, Any], **values: Any) -> Document:
    empty = dict.fromkeys(("text", "image_url", "alt", "title", "link", "level"))
    full = [empty | {"dom_index": index} | node for index, node in enumerate(nodes)]
    return replace(
        document,
        values=document.values | {"nodes": full} | values,
        verdicts=(),
        nodes_kept=(True,) * len(nodes),
    )


# The report


def test_report_needs_nothing_from_outside(corpus: Corpus) -> None:
    page = report_html(corpus)
    assert_harmless(page)
    assert "default-src 'none'" in page


def test_report_names_every_rule_and_the_counts(corpus: Corpus) -> None:
    page = report_html(corpus)
    text = html.fromstring(page).text_content()
    for rule in corpus.rules:
        assert rule["name"] in text
        assert rule["expression"] in text
    tree = html.fromstring(page)
    tiles = dict(zip(tree.xpath("//dt/text()"), tree.xpath("//dd/text()"), strict=True))
    summary = corpus.summary
    assert tiles["pages in"] == str(summary.documents)
    assert tiles["kept"] == str(summary.kept)
    assert tiles["failed rows"] == str(summary.failed)
    words = corpus.documents("word_count", kept=True)["word_count"].sum()
    assert tiles["words kept"] == f"{words:,}"


def test_report_is_well_formed_and_has_every_section(corpus: Corpus) -> None:
    page = report_html(corpus)
    parser = etree.HTMLParser(recover=True)
    tree = etree.fromstring(page.encode(), parser)
    # libxml2 knows HTML 4 only: it calls the elements of HTML 5 and SVG invalid tags.
    assert not [e for e in parser.error_log if "invalid" not in e.message]
    names = [section.get("id") for section in tree.iter("section", "footer")]
    assert names == [
        "funnel", "mix", "measures", "trouble", "cost", "documents", "rules", "provenance",
    ]  # fmt: skip
    ids = tree.xpath("//@id")
    assert len(ids) == len(set(ids))
    for chart in tree.iter("svg"):
        assert chart.get("aria-labelledby") in ids or chart.get("aria-label")


def test_report_is_deterministic(corpus: Corpus) -> None:
    first = report_html(corpus)
    assert report_html(open_corpus(corpus.store.files.root)) == first


def test_report_shows_skips_errors_and_embedded_pictures(corpus: Corpus) -> None:
    page = report_html(corpus)
    for reason in corpus.summary.skipped:
        assert reason in page
    assert "CorruptRecord" in page
    assert 'src="data:image/' in page
    assert "not in the inputs, or not readable" in page


def test_rules_that_dropped_nothing_are_folded(corpus: Corpus) -> None:
    tree = html.fromstring(report_html(corpus))
    folded = tree.xpath("//details[@class='ol-silent']//b/text()")
    assert "never" in folded
    assert "picture" not in folded


def test_hostile_text_stays_text(hostile: Corpus) -> None:
    assert hostile.summary.documents == 1
    page = report_html(hostile)
    assert_harmless(page)
    assert "alert(1)" in html.fromstring(page).text_content()


def test_sampled_report_says_so(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    assert corpus.summary.units == 3
    assert "Drawn from" not in report_html(corpus)
    monkeypatch.setattr(reporting, "MAX_UNITS", 2)
    page = report_html(open_corpus(corpus.store.files.root))
    assert "Drawn from" in page
    assert "in 2 of 3 units" in page
    assert "≈" in page


def test_write_report_writes_one_file(corpus: Corpus, tmp_path: Path) -> None:
    target = tmp_path / "deep" / "report.html"
    assert write_report(corpus, str(target)) == str(target)
    assert target.read_text(encoding="utf-8") == report_html(corpus)
    assert [path.name for path in target.parent.iterdir()] == ["report.html"]


def test_report_of_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "empty.html").write_text("", encoding="utf-8")
    page = report_html(made(tmp_path, f"{{html: {tmp_path / 'pages'}}}"))
    assert_harmless(page)
    assert "The inputs hold no pages." in page


# One document


def test_document_is_a_fragment_in_reading_order(corpus: Corpus) -> None:
    nodes = (
        {"kind": "heading", "text": "Top", "level": 2},
        {"kind": "text", "text": "First"},
        {"kind": "list_item", "text": "one"},
        {"kind": "list_item", "text": "two"},
        {"kind": "table", "text": "a | b\nc | d"},
        {"kind": "code", "text": "x = 1\n  y"},
        {"kind": "quote", "text": "said"},
        {"kind": "caption", "text": "below"},
    )
    document = with_nodes(corpus.kept(1)[0], *nodes)
    body = html.fromstring(document_html(document)).xpath("//div[@class='ol-body']")[0]
    assert [child.tag for child in body] == ["p", "p", "ul", "div", "pre", "blockquote", "p"]
    assert body[0].get("aria-level") == "2"
    assert [item.text for item in body.iter("li")] == ["one", "two"]
    assert [[c.text for c in row] for row in body.iter("tr")] == [["a", "b"], ["c", "d"]]
    assert body.find("pre").text == "x = 1\n  y"


def test_document_is_deterministic_and_brings_its_style_once(corpus: Corpus) -> None:
    document = corpus.kept(1)[0]
    page = document_html(document)
    assert page == document_html(document)
    assert page.count("<style>") == 1
    assert "<style>" not in document_html(document, styled=False)


def test_badges(corpus: Corpus) -> None:
    assert ">kept</span>" in document_html(corpus.kept(1)[0])
    assert ">dropped by picture</span>" in document_html(corpus.dropped(1, by="picture")[0])
    failed = next(document for document in corpus.dropped() if document.errors)
    page = document_html(failed)
    assert ">failed in extract</span>" in page
    assert "CorruptRecord" in page


def test_dropped_nodes_are_struck_through_and_name_their_rule(corpus: Corpus) -> None:
    document = next(d for d in corpus.kept() if not all(d.nodes_kept))
    gone = html.fromstring(document_html(document, max_nodes=10**6)).xpath(
        "//*[contains(@class, 'ol-gone')]"
    )
    assert len(gone) == document.nodes_kept.count(False)
    assert all(re.match(r"dropped by node_short: .* \(< 20\)", e.get("title")) for e in gone)
    assert all(element.find("s") is not None for element in gone if element.tag == "p")


def test_verdicts_stand_beside_their_thresholds(corpus: Corpus) -> None:
    document = corpus.dropped(1, by="picture")[0]
    rows = html.fromstring(document_html(document)).xpath("//tbody/tr")
    cells = {row[0].text: [cell.text_content() for cell in row[1:]] for row in rows}
    assert cells["picture"] == ["text", "image_count = 0 (< 1)", "dropped"]
    assert cells["never"][-1] == "passed"
    failed = next(document for document in corpus.dropped() if document.errors)
    assert "not asked" in document_html(failed)


def test_long_documents_are_cut(corpus: Corpus) -> None:
    nodes = [{"kind": "text", "text": f"node {number}"} for number in range(5)]
    document = with_nodes(corpus.kept(1)[0], *nodes)
    page = document_html(document, max_nodes=3)
    assert "node 2" in page
    assert "node 3" not in page
    assert "… 2 more nodes" in page


@pytest.mark.parametrize("kind", ["text", "heading", "list_item", "table", "code", "image", "new"])
def test_hostile_values_are_escaped(corpus: Corpus, kind: str) -> None:
    attack = {
        "kind": kind, "text": f"a | {ATTACK}\x00", "alt": ATTACK, "title": ATTACK,
        "image_url": "javascript:alert(1)", "link": "javascript:alert(1)",
    }  # fmt: skip
    document = with_nodes(
        corpus.kept(1)[0], attack, url=f"https://a.test/{ATTACK}", title=ATTACK, lang=ATTACK
    )
    document = replace(document, errors={ATTACK: ATTACK}, kept=False, dropped_by=ATTACK)
    page = document_html(document)
    assert_harmless(page)
    assert ATTACK not in page
    assert ATTACK in html.fromstring(page).text_content()


def test_pictures_are_shrunk_and_placeholders_say_why(corpus: Corpus) -> None:
    document = next(d for d in corpus.kept() if "data:image/" in document_html(d))
    sources = html.fromstring(document_html(document)).xpath("//img/@src")
    for source in sources:
        with Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))) as picture:
            assert max(picture.size) <= rendering.MAX_SIDE
    plain = document_html(document, pictures=False)
    assert "<img" not in plain
    assert "pictures are switched off" in plain
    absent = with_nodes(document, {"kind": "image", "image_url": "https://x.test/a", "alt": "Cat"})
    assert "not in the inputs, or not readable" in document_html(absent)
    assert ">Cat</span>" in document_html(absent)


def test_pictures_stop_at_the_budget(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    document = next(d for d in corpus.kept() if "data:image/" in document_html(d))
    monkeypatch.setattr(rendering, "PICTURE_BUDGET", 1)
    page = document_html(document)
    assert "<img" not in page
    assert "left out to keep this page small" in page


def png(width: int, height: int, mode: str = "RGB") -> bytes:
    sink = io.BytesIO()
    Image.new(mode, (width, height)).save(sink, "PNG")
    return sink.getvalue()


def test_thumbnail_keeps_transparency_and_refuses_too_many_pixels() -> None:
    assert thumbnail(png(1000, 10, "RGBA")).startswith("data:image/png;base64,")
    with pytest.raises(ValueError, match="pixels"):
        thumbnail(png(rendering.MAX_PIXELS // 8, 9, "1"))
    with pytest.raises(ValueError, match="bytes"):
        thumbnail(b"0" * (rendering.MAX_IMAGE_BYTES + 1))
    with pytest.raises(OSError, match="identify"):
        thumbnail(b"%!PS-Adobe-3.0 EPSF-3.0\n")


def test_images_have_their_funnel_their_measures_and_thumbnails(tmp_path: Path) -> None:
    rules = {
        "use": ["omnicorpus-images"],
        "omnicorpus_image_aesthetic": None,
        "omnicorpus_image_nsfw": None,
    }
    job = write_job(tmp_path, rules=rules, stages={"fetch": {"http": False}}, export=[])
    run_job(load_job(job))
    corpus = open_corpus(str(tmp_path / "store"))
    text = report_html(corpus)
    section = text[text.index('<section id="images">') : text.index('<section id="trouble">')]
    summary = corpus.summary
    assert f"{summary.images:,} images in, {summary.images_kept:,} kept" in section
    for name in ("image_width", "image_bytes", "phash_count"):
        assert f"<b>{name}</b>" in section
    small = corpus.images("image_url", "image_width").filter(
        pl.col("dropped_by") == "omnicorpus_image_size"
    )
    assert f"Dropped by omnicorpus_image_size ({len(small)} images)" in section
    assert section.count('<img src="data:image/') >= 10
    assert f"width {small['image_width'][0]}<" in section
    assert 'y="11">images<' in section
    for url in corpus.images(kept=True)["image_url"].head(3):
        assert (corpus.image(url) or b"")[:1] != b""
    plain = write_job(tmp_path, "plain", store=str(tmp_path / "plain"), export=[])
    run_job(load_job(plain))
    assert '<section id="images">' not in report_html(open_corpus(str(tmp_path / "plain")))
