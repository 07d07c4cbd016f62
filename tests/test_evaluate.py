"""Extractors on gold pages: figures worked out by hand, errors word for word, the whole command."""

from __future__ import annotations

import gzip
import json
import lzma
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import html

from operators.extract import Node
from pipelines.cli import run_app
from pipelines.evaluate import F1, MEASURES, Evaluation, evaluate
from pipelines.evaluation_report import evaluation_html
from pipelines.gold import GoldPage, find_sets
from pipelines.peers import EXTRACTORS, choose
from pipelines.scores import Images, Overlap, Snippets, file_name, order_agreement, shingles, tokens
from pipelines.structure import (
    Block,
    Kept,
    compare,
    gold_blocks,
    html_blocks,
    markdown_blocks,
    node_blocks,
    sequence_blocks,
)
from pipelines.tables import print_evaluation
from schemas.errors import GoldError, InputError
from tests.support import assert_harmless, omniloom

GOLDEN = Path(__file__).parent / "golden"
# Each page of this gold holds the answer that the extractor `canned` gives for it.
CANNED = """
import json

def answer(html, url):
    found = json.loads(html)
    return found["text"], found.get("images", [])

def shy(html, url):
    return "", None

def wrong(html, url):
    return "only a text"
"""
ONE: list[dict[str, Any]] = [
    {
        "id": "fox",
        "lang": "en",
        "page_type": "article",
        "html": {
            "text": "The quick brown fox sleeps today.",
            "images": ["//y/b.png?w=1", "http://y/a-600.jpg#f", "http://y/ad.gif"],
        },
        "text": "the quick brown fox jumps",
        "with": ["quick\n brown", "jumps", ""],
        "without": ["sleeps", "cat"],
        "images": [{"urls": ["http://x/a-300.jpg", "http://x/a-600.jpg"]}, "/b.png", "/c.png"],
    },
    {
        "id": "signs",
        "lang": "zh",
        "page_type": "forum",
        "html": {"text": "網頁"},
        "text": "網頁text",
        "images": ["http://x/d.png"],
    },
    {"id": "start", "kind": "text-prefix", "html": {"text": "else"}, "text": "Some text"},
]
TWO: list[dict[str, Any]] = [
    {"id": "same", "lang": "en", "html": {"text": "A b, c d!"}, "text": "a b c d"}
]


@pytest.fixture
def gold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two sets, and the module `canned` beside them."""
    (tmp_path / "canned.py").write_text(CANNED, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    folder = tmp_path / "gold"
    write_set(folder / "one.jsonl", ONE)
    write_set(folder / "two.jsonl", TWO)
    return folder


def write_set(path: Path, pages: list[dict[str, Any]]) -> None:
    path.parent.mkdir(exist_ok=True)
    lines = (page | {"html": json.dumps(page["html"])} for page in pages)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")


# Figures by hand


def test_the_figures_of_a_set_are_those_worked_out_by_hand(gold: Path) -> None:
    figures = evaluate(str(gold), ["canned:answer"], ["one"]).sets["one"]["canned:answer"]
    # fox: 4 of 6 tokens right, 4 of 5 found; signs: 2 of 2 and 2 of 3; the start is not scored.
    assert figures["pages"] == 3
    assert figures["texts"] == 2
    assert figures["precision"] == pytest.approx((4 / 6 + 1) / 2)
    assert figures["recall"] == pytest.approx((4 / 5 + 2 / 3) / 2)
    assert figures["f1"] == pytest.approx((8 / 11 + 4 / 5) / 2)
    # fox: 1 of 3 runs of four right, 1 of 2 found; signs: two tokens against three, a run each.
    assert figures["f1_4gram"] == pytest.approx((2 / 5 + 0) / 2)
    # 'quick brown' found, 'jumps' missed, 'sleeps' wrong.
    assert figures["snippet_f1"] == pytest.approx(2 * 1 / (2 * 1 + 1 + 1))
    # a and b of four, in the wrong order, beside an advertisement; signs is left bare.
    assert figures["image_recall"] == pytest.approx(2 / 4)
    assert figures["image_precision"] == pytest.approx(2 / 3)
    assert figures["image_order"] == -1
    assert figures["bare"] == pytest.approx(1 / 2)
    assert figures["structure_kept"] is None
    assert figures["errors"] == 0
    assert figures["cpu_ms"] is not None


def test_totals_are_means_of_sets_and_groups_are_means_of_pages(gold: Path) -> None:
    found = evaluate(str(gold), ["canned:answer", "canned:shy"])
    assert found.totals["canned:answer"]["f1"] == pytest.approx(((8 / 11 + 4 / 5) / 2 + 1) / 2)
    assert found.totals["canned:answer"]["image_recall"] == pytest.approx(2 / 4)
    assert found.totals["canned:answer"]["pages"] == 4
    assert found.totals["canned:answer"]["cpu_ratio"] is None  # trafilatura did not run
    assert set(found.languages) == {"en", "zh", "und"}
    assert found.languages["en"]["canned:answer"]["f1"] == pytest.approx((8 / 11 + 1) / 2)
    assert set(found.page_types) == {"one: article", "one: forum"}
    assert found.totals["canned:shy"]["f1"] == 0
    assert found.totals["canned:shy"]["bare"] == 1
    assert found.totals["canned:shy"]["image_precision"] is None


def test_a_limit_is_pages_of_each_set(gold: Path) -> None:
    found = evaluate(str(gold), ["canned:answer"], limit=1)
    assert [(page.set, page.id) for page in found.pages] == [("one", "fox"), ("two", "same")]


def test_a_failure_is_an_empty_answer_and_is_counted(gold: Path) -> None:
    write_set(gold / "three.jsonl", [{"id": "x", "html": {"no": "text"}, "text": "some text"}])
    found = evaluate(str(gold), ["canned:answer", "canned:wrong"], ["three"])
    assert found.sets["three"]["canned:answer"]["f1"] == 0
    assert found.sets["three"]["canned:answer"]["errors"] == 1
    assert found.errors("canned:answer") == {"KeyError: 'text'": 1}
    assert found.sets["three"]["canned:wrong"]["errors"] == 1
    assert "ValueError" in next(iter(found.errors("canned:wrong")))


def test_best_is_whoever_shows_the_best_value_and_nobody_where_all_do(gold: Path) -> None:
    found = evaluate(str(gold), ["canned:answer", "canned:shy", "all-text"])
    measures = {measure.name: measure for measure in MEASURES}
    assert found.best(found.totals, F1) == {"canned:answer"}
    assert found.best(found.totals, measures["bare"]) == {"canned:answer"}  # less is better
    assert found.best(found.totals, measures["errors"]) == set()
    assert found.best_peer(found.totals) == ("canned:shy", 0.0)
    assert "all-text" not in found.contenders


def test_the_canned_figures_survive_json(gold: Path) -> None:
    found = evaluate(str(gold), ["canned:answer"])
    data = json.loads(json.dumps(found.to_json()))
    assert data["sets"]["two"]["canned:answer"]["f1"] == 1
    fox = data["pages"][0]
    assert (fox["set"], fox["id"], fox["lang"]) == ("one", "fox", "en")
    assert fox["scores"]["canned:answer"]["f1"] == pytest.approx(8 / 11)


# Scores

words = st.lists(st.sampled_from("abcdef"), max_size=12)


@given(words, words)
def test_overlap_is_a_share_and_swaps_with_its_sides(got: list[str], gold: list[str]) -> None:
    there, back = Overlap.of(got, gold), Overlap.of(gold, got)
    for share in (there.precision, there.recall, there.f1):
        assert 0 <= share <= 1
    assert (there.precision, there.recall, there.f1) == (back.recall, back.precision, back.f1)
    assert min(there.precision, there.recall) <= there.f1 + 1e-9
    assert there.f1 <= max(there.precision, there.recall) + 1e-9


@given(words)
def test_a_text_agrees_with_itself(got: list[str]) -> None:
    assert Overlap.of(got, got).f1 == 1
    assert Overlap.of(shingles(got), shingles(got)).f1 == 1


def test_runs_of_tokens_know_order_where_tokens_do_not() -> None:
    got, gold = [*"abcde"], [*"edcba"]
    assert Overlap.of(got, gold).f1 == 1
    assert Overlap.of(shingles(got), shingles(gold)).f1 == 0
    assert shingles(["a", "b"]) == [("a", "b")]
    assert shingles([]) == [()]


@given(st.lists(st.integers(), unique=True, min_size=2, max_size=8))
def test_order_agreement_is_one_when_rising_and_turns_with_the_order(places: list[int]) -> None:
    tau = order_agreement(places)
    back = order_agreement(places[::-1])
    assert tau is not None
    assert back is not None
    assert -1 <= tau <= 1
    assert tau == pytest.approx(-back)
    assert order_agreement(sorted(places)) == 1
    assert order_agreement(sorted(places, reverse=True)) == -1


@given(st.lists(st.sampled_from("abc"), max_size=6), st.lists(st.sampled_from("abc"), max_size=6))
def test_an_image_of_the_answer_serves_once(got: list[str], gold: list[str]) -> None:
    images = Images.of(got, [{name} for name in gold])
    common = sum(min(got.count(name), gold.count(name)) for name in "abc")
    assert (images.hits, images.gold, images.got) == (common, len(gold), len(got))


def test_tokens_are_words_and_single_signs_of_scripts_without_spaces() -> None:
    assert tokens("It's E2E—50 %, under_score") == [
        "it", "s", "e2e", "50", "under", "score",
    ]  # fmt: skip
    assert tokens("网页 カナ 한글 ไทย Straße") == [*"网页カナ한글ไทย", "straße"]
    assert tokens("") == []


def test_snippets_are_found_across_any_white_space() -> None:
    assert Snippets.of("a\n b\tc", ["a b", "b c", "c d", "", None], ["b", "x"]) == Snippets(2, 1, 1)


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("https://x.org/i/a.jpg?w=3#top", "a.jpg"),
        ("a.jpg", "a.jpg"),
        ("https://x.org/i/", "https://x.org/i/"),
        ("", ""),
    ],
)
def test_file_names_are_taken_from_the_path(address: str, name: str) -> None:
    assert file_name(address) == name


# Structure

MARKDOWN = """
# Title *here*
- first item of a list
1. second [one](http://x.org/), ![no](b.png)<br>[^2]
> - quoted item
| a | b |
| --- | --- |
| 1 | 2 |
```python
# no heading
print(1)
```
$$
x^2
$$
$$ y $$
plain words
"""
BLOCKS = [
    Block("heading", ["title", "here"]),
    Block("list_item", ["first", "item", "of", "a", "list"]),
    Block("list_item", ["second", "one"]),
    Block("list_item", ["quoted", "item"]),
    Block("table_row", ["a", "b"]),
    Block("table_row", ["1", "2"]),
    Block("code", ["no", "heading", "print", "1"]),
    Block("formula", ["x", "2"]),
    Block("formula", ["y"]),
]


def test_markdown_html_sequences_and_nodes_give_the_same_blocks() -> None:
    assert markdown_blocks(MARKDOWN) == BLOCKS
    table = "<table><tr><td>a</td><td>b</td></tr><tr><td>1<td>2</tr></table>"
    page = f"""<h2>Title <i>here</i></h2><ul><li>first item of a list<ol><li>second one</ol></ul>
        <dl><dd>quoted item</dl>{table}<pre># no heading\nprint(1)</pre><p>plain words</p>"""
    plain = [block for block in BLOCKS if block.kind != "formula"]
    assert html_blocks(page) == plain
    sequence = [
        ["text", "Title here", "title"],
        ["text", "first item of a list second one quoted item", "list"],
        ["image", "http://x.org/a.png", "title"],
        ["text", table, "simple_table"],
        ["text", "# no heading print(1)", "code"],
        ["text", "x^2", "equation-interline"],
        ["text", "plain words", "paragraph"],
    ]
    listed = Block("list_item", tokens("first item of a list second one quoted item"))
    assert sequence_blocks(sequence) == [BLOCKS[0], listed, *BLOCKS[4:8]]
    nodes = [
        Node("heading", "Title here"),
        Node("list_item", "first item of a list"),
        Node("list_item", "second one"),
        Node("list_item", "quoted item"),
        Node("table", "a | b\n1 | 2"),
        Node("image", image_url="http://x.org/a.png"),
        Node("text", "plain words"),
        Node("code", "# no heading\nprint(1)"),
    ]
    assert node_blocks(nodes) == plain


def test_what_is_kept_is_counted_by_kind_in_both_directions() -> None:
    nodes = [
        Node("heading", "Title here"),
        Node("heading", "Advertisement"),
        Node("text", "first item of a list"),
        Node("list_item", "second one"),
        Node("table", "a | b\n1 | 2"),
    ]
    assert compare(node_blocks(nodes), BLOCKS) == {
        "heading": Kept(1, 1, 1, 2),
        "list_item": Kept(1, 3, 1, 1),
        "table_row": Kept(2, 2, 2, 2),
        "code": Kept(0, 1, 0, 0),
        "formula": Kept(0, 2, 0, 0),
    }


def test_a_list_in_one_piece_and_in_items_is_the_same_list() -> None:
    whole = [Block("list_item", tokens("one two three four five six seven eight"))]
    items = [Block("list_item", tokens(text)) for text in ("one two three", "four five six seven")]
    assert compare(items, whole)["list_item"] == Kept(1, 1, 2, 2)  # 4 of 5 runs are there
    assert compare(items[:1], whole)["list_item"] == Kept(0, 1, 1, 1)
    twice = compare([Block("list_item", ["one"])] * 2, [Block("list_item", ["one"])])
    assert twice["list_item"] == Kept(1, 1, 1, 2)


def test_gold_tells_kinds_only_where_its_own_kind_says_so() -> None:
    page = {"id": "x", "html": "", "text": "# Title", "sequence": [["text", "a", "title"]]}
    kinds = {kind: gold_blocks(GoldPage(kind=kind, **page)) for kind in ("markdown", "text")}
    assert kinds == {"markdown": [Block("heading", ["title"])], "text": None}
    assert gold_blocks(GoldPage(kind="content_list", **page)) == [Block("heading", ["a"])]


def test_structure_is_measured_where_an_extractor_tells_kinds(gold: Path) -> None:
    page = {"id": "m", "kind": "markdown", "html": {"text": "A title"}, "text": "# A title\nb"}
    write_set(gold / "three.jsonl", [page])
    with (gold.parent / "kinds.py").open("w", encoding="utf-8") as module:
        module.write("from canned import *\nfrom operators.extract import Node\n")
        module.write("def extract_nodes(html, url):\n    return [Node('heading', 'A title')]\n")
    found = evaluate(str(gold), ["kinds:answer", "canned:answer"], ["three"])
    assert found.structure("three") == {"heading": {"kinds:answer": Kept(1, 1, 1, 1)}}
    assert found.totals["kinds:answer"]["structure_kept"] == 1
    assert found.totals["canned:answer"]["structure_kept"] is None


# Gold


def test_every_problem_of_the_gold_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The text is kept in golden/gold_errors.txt; rewrite it by hand after judging its words."""
    monkeypatch.chdir(GOLDEN)
    with pytest.raises(GoldError) as error:
        evaluate("gold", ["all-text"])
    assert str(error.value) + "\n" == (GOLDEN / "gold_errors.txt").read_text("utf-8")


def test_the_message_stops_where_nobody_would_read_on(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("no page\n" * 30, "utf-8")
    with pytest.raises(GoldError) as error:
        evaluate(str(tmp_path), ["all-text"])
    assert len(error.value.problems) == 30
    assert str(error.value).startswith("30 problems in the gold:")
    assert str(error.value).endswith("… and 10 more")


def test_gold_may_be_packed(gold: Path, tmp_path: Path) -> None:
    plain = (gold / "one.jsonl").read_bytes()
    packed = tmp_path / "packed"
    packed.mkdir()
    (packed / "x.jsonl.xz").write_bytes(lzma.compress(plain))
    (packed / "g.jsonl.gz").write_bytes(gzip.compress(plain))
    with pa.CompressedOutputStream(str(packed / "z.jsonl.zst"), "zstd") as stream:
        stream.write(plain)
    (packed / "notes.txt").write_text("no gold", "utf-8")
    found = evaluate(str(packed), ["canned:answer"])
    assert list(found.sets) == ["g", "x", "z"]
    assert len({json.dumps(found.sets[name]["canned:answer"]["f1"]) for name in found.sets}) == 1
    assert [page.id for page in find_sets(str(packed))[0].pages()] == ["fox", "signs", "start"]


def test_a_packed_file_that_ends_early_is_a_problem_of_its_line(gold: Path) -> None:
    whole = lzma.compress((gold / "one.jsonl").read_bytes())
    (gold / "cut.jsonl.xz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(GoldError, match=r"cut\.jsonl\.xz:\d+: file\n    cannot be read on"):
        evaluate(str(gold), ["canned:answer"])


def test_pages_are_bytes_where_the_gold_gives_bytes() -> None:
    assert GoldPage(id="x", html_base64="/w==").payload == b"\xff"
    assert GoldPage(id="x", html="é").payload == b"\xc3\xa9"


@pytest.mark.parametrize(
    ("sets", "files", "told"),
    [
        (["onne"], ["one.jsonl"], "no set 'onne'; did you mean 'one'?"),
        ([], ["one.txt"], "no gold\n    fix: name a folder with files NAME.jsonl"),
        ([], ["one.jsonl", "one.jsonl.gz"], "set 'one' is there twice"),
    ],
)
def test_sets_that_cannot_be_found(
    tmp_path: Path, sets: list[str], files: list[str], told: str
) -> None:
    for name in files:
        (tmp_path / name).touch()
    with pytest.raises(InputError, match=re.escape(told)):
        find_sets(str(tmp_path), sets)


# Extractors


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("trafilatur", "no extractor 'trafilatur'\n    fix: did you mean 'trafilatura'"),
        ("nowhere.module:f", "cannot be loaded: No module named 'nowhere'"),
        ("json:dumpss", "cannot be loaded: module 'json' has no attribute 'dumpss'"),
        (":f", "fix: name an importable module and a function of it"),
    ],
)
def test_extractors_that_cannot_be_found(name: str, told: str) -> None:
    with pytest.raises(InputError, match=re.escape(told)):
        choose([name])


def test_peers_that_are_not_installed_are_left_out_or_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pipelines.peers._installed", lambda name: name == "all-text")
    extractors, left_out = choose()
    assert [extractor.name for extractor in extractors] == ["all-text"]
    assert left_out == [name for name in EXTRACTORS if name != "all-text"]
    with pytest.raises(InputError, match="'magic-html' is not installed\n    fix: pip install"):
        choose(["magic-html"])


PAGE = """<html><head><title>x</title><script>no</script></head><body><article><h1>A title</h1>
<p>{words}</p><img src="https://example.org/a.png" alt="x"><p>{words}</p></article></body></html>"""


@pytest.mark.parametrize("name", ["trafilatura", "trafilatura-fast", "all-text"])
def test_named_extractors_give_text_images_and_blocks(name: str) -> None:
    (extractor,), _ = choose([name])
    page = PAGE.format(words="Plain words that make a sentence of some length. " * 9).encode()
    text, images = extractor.extract(page, "https://example.org/")
    assert "Plain words that make" in text
    assert "a.png" not in text
    assert images == ["https://example.org/a.png"]
    assert extractor.blocks is not None
    assert Block("heading", ["a", "title"]) in extractor.blocks(page, None)
    assert extractor.version


# The command


def test_the_command_prints_writes_and_says_where(gold: Path, tmp_path: Path) -> None:
    pages = [{"id": "p", "lang": "en", "html": PAGE.format(words="Plain words. " * 60)}]
    lines = (json.dumps(page | {"text": "Plain words. " * 120}) + "\n" for page in pages)
    (gold / "web.jsonl").write_text("".join(lines), "utf-8")
    done = omniloom(
        "eval", "extraction", "--gold", gold, "--set", "web", "--set", "two",
        "--extractor", "trafilatura", "--extractor", "all-text",
        "--out", tmp_path / "out", "--json", tmp_path / "out" / "figures.json",
    )  # fmt: skip
    assert "web, 1 pages" in done.stdout
    assert re.search(r"mean of sets, 2 pages\s+.*trafilatura .*1\.00×", done.stdout)
    assert f"report    {tmp_path}/out/extraction.html" in done.stdout
    assert "pages: 2 of 2 pages" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    figures = json.loads((tmp_path / "out" / "figures.json").read_text("utf-8"))
    assert figures["sets"]["web"]["trafilatura"]["f1"] > 0.9
    assert_harmless((tmp_path / "out" / "extraction.html").read_text("utf-8"))


def test_bad_gold_and_bad_names_end_with_2_and_leave_no_report(tmp_path: Path) -> None:
    command = ("eval", "extraction", "--gold", GOLDEN / "gold", "--out", tmp_path / "out")
    bad = omniloom(*command, "--extractor", "all-text", expect=2)
    assert f"{GOLDEN}/gold/bad.jsonl:2: page = " in bad.stderr
    assert "resume with" not in bad.stderr
    assert "no extractor 'x'" in omniloom(*command, "--extractor", "x", expect=2).stderr
    assert not (tmp_path / "out").exists()


def test_an_interrupted_evaluation_does_not_speak_of_resuming(
    gold: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pipelines.evaluate.evaluate", stopped)
    assert run_app(["eval", "extraction", "--gold", str(gold)]) == 130
    assert capsys.readouterr().err == "interrupted. No report was written.\n"


def test_a_narrow_terminal_spares_figures_and_not_digits(
    gold: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "72")
    print_evaluation(evaluate(str(gold), ["canned:answer", "canned:shy"]))
    shown = re.sub("\x1b\\[[0-9;]*m", "", capsys.readouterr().out)
    assert "…" not in shown
    assert "img R" in shown
    assert " order " not in shown
    assert max(map(len, shown.splitlines())) <= 72


# The report


@pytest.fixture
def evaluation(gold: Path) -> Evaluation:
    hostile = {"lang": "<b>en", "page_type": '"><script>', "html": {"no": 1}, "text": "a b"}
    pages = [hostile | {"id": f"<script>alert({number})</script>"} for number in range(6)]
    write_set(gold / "three.jsonl", pages)
    return evaluate(str(gold), ["canned:shy", "canned:answer", "all-text"])


def test_the_report_is_safe_and_whole(evaluation: Evaluation) -> None:
    page = evaluation_html(evaluation)
    assert_harmless(page)
    tree = html.fromstring(page)
    text = tree.text_content()
    for part in ("one", "two", "three", "canned:answer", "KeyError", "mean of sets", "0.727"):
        assert part in text
    assert {section.get("id") for section in tree.iter("section")} == {
        "text", "images", "cost", "groups", "pages", "figures",
    }  # fmt: skip


def test_the_same_evaluation_gives_the_same_report(evaluation: Evaluation) -> None:
    assert evaluation_html(evaluation) == evaluation_html(evaluation)
