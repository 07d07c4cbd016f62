"""Boilerplate measured in nodes, the feedback rules that read it, and their labelled sample."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import html as lxml_html

from operators.boilerplate import BoilerplateMarks
from operators.boilerplate_phrases import CHINESE, ENGLISH, FAMILIES, pattern
from operators.rules import parse_rule
from pipelines.evaluate_rules import (
    FRAGMENTS,
    SAMPLE,
    RuleEvaluation,
    SampleDocument,
    Share,
    evaluate_rules,
    read_sample,
)
from pipelines.plan import read_fragment
from pipelines.rules_report import rules_html
from schemas import columns
from schemas.errors import InputError, SampleError
from tests.strategies import nodes as any_nodes
from tests.support import assert_harmless, omniloom

GOLDEN = Path(__file__).parent / "golden"
MARKS = BoilerplateMarks()


def measured(*nodes: str | dict[str, Any] | None) -> dict[str, Any]:
    """The measures of one document: texts are text nodes, None is an image."""
    return rows([list(nodes)])[0]


def rows(documents: list[list[str | dict[str, Any] | None] | None]) -> list[dict[str, Any]]:
    lists = [None if d is None else [made(node) for node in d] for d in documents]
    batch = pa.table({"nodes": pa.array(lists, columns.column("nodes").type)})
    found: list[dict[str, Any]] = MARKS.measure(batch, None).to_pylist()
    return found


def made(node: str | dict[str, Any] | None) -> dict[str, Any]:
    if isinstance(node, dict):
        return {"dom_index": 0, "kind": "text"} | node
    if node is None:
        return {"kind": "image", "image_url": "http://a.org/a.png", "dom_index": 0}
    return {"kind": "text", "text": node, "dom_index": 0}


def share(family: str, text: str) -> float:
    return float(measured(text)[f"node_{family}_ratio"][0])


# --- Phrases ------------------------------------------------------------------------------------


def test_a_share_is_of_letters_and_digits() -> None:
    assert share("read_more", "Read more »") == 1
    assert share("advertisement", "AdChoices ab") == pytest.approx(9 / 11)
    assert share("advertisement", "...") == 0


@pytest.mark.parametrize(
    ("family", "text"),
    [
        ("social_counter", "The company now holds a 30 percent market share"),
        ("social_media", "Her rivals can only guess what the numbers look like"),
        ("navigation", "The museum's Services department answers letters by hand."),
        ("video", "He wrote a paper on how YouTube changed what villages remember."),
        ("sign_in", "She learned to log in before the others had found their chairs."),
        ("copyright", "SELECT a, max(c) FROM tab1 GROUP BY a;"),
        ("social_media", "分享是一种美德，外婆常常这么说。"),
        ("advertisement", "广告刚刚兴起的年代，报纸上登的多是药品和布匹。"),
        ("encyclopedia", "2012"),
        ("page_turn", "48048"),
    ],
)
def test_a_word_inside_a_sentence_is_next_to_nothing(family: str, text: str) -> None:
    assert share(family, text) < 0.3


def test_a_phrase_in_a_long_paragraph_counts_by_its_length() -> None:
    long = "Everybody on the quay had an opinion about it. " * 3
    assert share("social_media", f"{long} Share on Facebook") < 0.15


def test_long_nodes_are_not_searched() -> None:
    label, notice = "Share on Facebook. " * 20, "All rights reserved. " * 20
    assert share("social_media", label) == 0
    assert share("copyright", notice) == 1
    assert share("copyright", notice * 5) == 0


def test_every_family_has_a_column_and_every_pattern_compiles() -> None:
    for family in FAMILIES:
        assert columns.column(f"node_{family}_ratio").level == "node"
        pl.Series(["x"]).str.contains(pattern(family))
    assert set(FAMILIES) == ENGLISH.keys() | CHINESE.keys()


# --- Place and make-up --------------------------------------------------------------------------


def test_place_is_counted_among_text_nodes_and_images() -> None:
    row = measured("one.", None, "two", "three…", "two")
    assert row["node_position"].pop(1) is None
    assert row["node_position"] == pytest.approx([0, 1 / 3, 2 / 3, 1], rel=1e-6)
    assert row["node_from_end"] == [3, None, 2, 1, 0]
    assert row["node_image_distance"] == [1, None, 1, 2, 3]
    assert row["node_repeated"] == [1, None, 2, 1, 2]
    assert row["node_unfinished"] == [False, None, True, False, True]
    assert row["node_truncated"] == [False, None, False, True, False]


def test_without_an_image_the_distance_is_the_number_of_nodes() -> None:
    assert measured("a", "b")["node_image_distance"] == [2, 2]


def test_images_of_other_documents_are_not_near() -> None:
    one, two = rows([["a", None], ["b", "c"]])
    assert one["node_image_distance"] == [1, None]
    assert two["node_image_distance"] == [2, 2]


def test_an_empty_heading_is_followed_by_one_as_high_or_by_nothing() -> None:
    def heading(level: int | None) -> dict[str, Any]:
        return {"kind": "heading", "text": "H", "level": level}

    row = measured(heading(2), heading(3), heading(2), "text", heading(None), heading(2))
    assert row["node_empty_heading"] == [False, True, False, False, False, True]


def test_shares_of_signs() -> None:
    row = measured("AB c1", "(in brackets)", "* * *", "")
    assert row["node_symbol_ratio"] == pytest.approx([0, 2 / 12, 1, 0])
    assert row["node_bracketed"] == [False, True, False, False]


def test_measures_of_a_document() -> None:
    broken = {"kind": "image", "image_url": "data:image/gif;base64,R0"}
    row = measured("one two two three", "12 的了", None, None, broken)
    assert row["function_sign_count"] == 2
    assert row["dup_image_ratio"] == pytest.approx(1 / 3)
    assert row["broken_image_ratio"] == pytest.approx(1 / 3)
    assert row["boilerplate_ratio"] == 0


def test_the_share_of_a_document_is_of_all_its_letters() -> None:
    assert measured("Read more", "abcdefgh")["boilerplate_ratio"] == pytest.approx(0.5)


def test_a_document_without_nodes_measures_zero_and_a_null_one_null() -> None:
    empty, null = rows([[], None])
    assert empty["boilerplate_ratio"] == 0
    assert empty["node_position"] == []
    assert set(null.values()) == {None}


@given(st.lists(st.none() | any_nodes(), min_size=1, max_size=4))
@settings(deadline=None, max_examples=25)
def test_a_document_measures_the_same_in_any_company(documents: list[Any]) -> None:
    assert rows(documents) == [rows([document])[0] for document in documents]


HOSTILE = {
    "spaces": " " * 100_000,
    "brackets": "[[((" * 25_000,
    "half labels": "share share on " * 7_000,
    "digits": "1 2 3 | " * 12_000,
    "names": "By Ann Ann Ann " * 7_000,
    "stops": ". " * 50_000,
    "han": "分享到点击查看请" * 12_000,
    "newlines": "\n \n" * 30_000,
    "at": "a@a" * 30_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_cost_no_more_than_their_length(name: str) -> None:
    """CPU time of all patterns on 100 kB: a quadratic one would take minutes."""
    series = pl.Series([HOSTILE[name][:100_000]])
    started = time.process_time()
    for family in FAMILIES:
        series.str.replace_all(pattern(family), "")
    assert time.process_time() - started < 5


# --- Rules --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def found() -> RuleEvaluation:
    return evaluate_rules()


def every_rule() -> Iterator[tuple[str, str]]:
    for fragment in FRAGMENTS:
        for name in read_fragment(fragment):
            yield fragment, name


@pytest.mark.parametrize(("fragment", "name"), list(every_rule()))
def test_each_rule_finds_what_it_is_for_and_spares_the_good(
    fragment: str, name: str, found: RuleEvaluation
) -> None:
    figures = next(f for f in found.figures if f.rule == name)
    wrong = figures.false_positives
    assert wrong.of > 25
    assert wrong.rate is not None
    assert wrong.rate <= 0.05
    if not name.endswith("_many_words"):  # 100,000 words are too many for the sample
        assert figures.misses.count < figures.misses.of


def test_many_words_are_too_many() -> None:
    for fragment in FRAGMENTS:
        name = f"{fragment[-2:]}_many_words"
        spec = read_fragment(fragment)[name]
        rule = parse_rule(name, spec.table, spec.keep, spec.drop, fragment)
        frame = pl.DataFrame({"lang": [fragment[-2:]] * 2, "word_count": [100_000, 100_001]})
        assert frame.select(rule.passes()).to_series().to_list() == [True, False]


def test_every_category_of_the_sample_has_a_rule(found: RuleEvaluation) -> None:
    documents = read_sample(str(SAMPLE))
    for lang in ("en", "zh"):
        own = [d for d in documents if d.lang == lang]
        used = {n.category for d in own for n in d.nodes} | {d.category for d in own}
        answered = {f.category for f in found.figures if f.rule.startswith(f"{lang}_")}
        assert used - {None} <= answered


def test_the_sample_is_small_and_says_where_it_is_from() -> None:
    assert SAMPLE.stat().st_size < 400_000
    assert all(d.origin and d.licence for d in read_sample(str(SAMPLE)))


def test_images_stay_when_the_text_beside_them_goes(tmp_path: Path) -> None:
    documents = [
        {
            "id": "ferry",
            "lang": "en",
            "nodes": [
                {"kind": "image", "image_url": "http://a.org/ferry.jpg"},
                {"kind": "text", "text": "Click to enlarge", "label": "boilerplate"},
            ],
        }
    ]
    sample = tmp_path / "sample.jsonl"
    sample.write_text("".join(json.dumps(d) + "\n" for d in documents), "utf-8")
    totals = evaluate_rules(["omnicorpus-en"], str(sample)).totals
    assert [t.hits for t in totals if t.table == "nodes"] == [Share(1, 1)]  # the image is not asked
    with pytest.raises(ValueError, match="rules judge no images"):
        SampleDocument.model_validate(
            {"id": "x", "lang": "en", "nodes": [{"kind": "image", "label": "good"}]}
        )


# --- The command --------------------------------------------------------------------------------


def test_the_interval_is_wilsons() -> None:
    # Brown, Cai and DasGupta 2001: 1 of 10 gives 0.018 to 0.404.
    assert Share(1, 10).interval == pytest.approx((0.0179, 0.4042), abs=1e-4)
    assert Share(0, 0).interval is None
    low, high = Share(0, 20).interval or (1, 0)
    assert low == pytest.approx(0)
    assert 0.15 < high < 0.17


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_an_interval_holds_its_share(counts: tuple[int, int]) -> None:
    interval = Share(*counts).interval
    assert interval is not None
    assert interval[0] - 1e-9 <= counts[0] / counts[1] <= interval[1] + 1e-9


SMALL: list[dict[str, Any]] = [
    {
        "id": "a",
        "lang": "en",
        "label": "good",
        "nodes": [
            {"kind": "text", "text": "The bridge is closed.", "label": "good"},
            {"kind": "text", "text": "Add to cart", "label": "boilerplate", "category": "cart"},
            {
                "kind": "text",
                "text": "Home is far away",
                "label": "boilerplate",
                "category": "cart",
            },
        ],
    },
    {"id": "b", "lang": "zh", "nodes": [{"kind": "text", "text": "广告", "label": "good"}]},
]


def small(folder: Path, documents: list[dict[str, Any]]) -> Path:
    path = folder / "sample.jsonl"
    lines = (json.dumps(d, ensure_ascii=False) + "\n" for d in documents)
    path.write_text("".join(lines), "utf-8")
    return path


def test_figures_are_those_counted_by_hand(tmp_path: Path) -> None:
    found = evaluate_rules(sample=str(small(tmp_path, SMALL)))
    cart = next(f for f in found.figures if f.rule == "en_cart")
    assert (cart.hits, cart.false_positives, cart.misses) == (Share(1, 3), Share(0, 1), Share(1, 2))
    few = next(f for f in found.figures if f.rule == "en_few_words")
    assert (few.hits, few.false_positives, few.misses) == (Share(1, 1), Share(1, 1), Share(0, 0))
    wrong = next(f for f in found.figures if f.rule == "zh_advertisement")
    assert wrong.false_positives == Share(1, 1)
    assert {f.rule for f in found.above(0.5)} >= {"en_few_words", "zh_advertisement"}


def test_a_parquet_sample_says_the_same(tmp_path: Path) -> None:
    path = small(tmp_path, SMALL)
    schema = pa.schema(
        [
            *((name, pa.string()) for name in ("id", "lang", "label")),
            ("nodes", pa.list_(pa.struct([(n, pa.string()) for n in
                                          ("kind", "text", "label", "category")]))),
        ]
    )  # fmt: skip
    pq.write_table(pa.Table.from_pylist(SMALL, schema=schema), tmp_path / "s.parquet")
    same = evaluate_rules(sample=str(tmp_path / "s.parquet"))
    assert same.figures == evaluate_rules(sample=str(path)).figures


def test_the_command_prints_writes_and_fails_on_demand(tmp_path: Path) -> None:
    path, report, figures = small(tmp_path, SMALL), tmp_path / "r.html", tmp_path / "f.json"
    arguments = ["eval", "rules", "--sample", str(path), "--fragment", "omnicorpus-en"]
    done = omniloom(*arguments, "--html", report, "--json", figures)
    _golden("eval_rules.txt", _without(done.stdout, tmp_path))
    assert_harmless(report.read_text("utf-8"))
    told = json.loads(figures.read_text("utf-8"))
    assert {rule["fragment"] for rule in told["rules"]} == {"omnicorpus-en"}
    failed = omniloom(*arguments, "--max-false-positives", "0.05", expect=1)
    assert "en_few_words: 100.0% of the good are dropped, more than 5.0%" in failed.stderr
    omniloom("eval", "rules", "--max-false-positives", "0.05")


def test_the_report_shows_every_rule(found: RuleEvaluation) -> None:
    page = rules_html(found)
    assert_harmless(page)
    cells = [cell.text for cell in lxml_html.fromstring(page).iter("td")]
    assert {f.rule for f in found.figures} <= set(cells)


BAD = """{"id": "a", "lang": "en", "nodes": [{"kind": "text", "text": "x", "label": "god"}]}
{"id": "b", "nodes": [{"kind": "txt", "text": "x"}]}
not json
{"id": "c", "lang": "en", "nodes": [{"kind": "text", "text": "x", "category": "cart"}]}
{"id": "d", "lang": "en", "nodes": [{"kind": "image", "text": "x"}], "note": 1}
"""


def test_what_is_wrong_with_a_sample_is_told_word_for_word(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(BAD, "utf-8")
    with pytest.raises(SampleError) as error:
        read_sample(str(path))
    told = [str(error.value)]
    (tmp_path / "empty.jsonl").write_text("", "utf-8")
    (tmp_path / "no.parquet").write_text("no", "utf-8")
    for name in ("empty.jsonl", "no.parquet", "missing.jsonl"):
        with pytest.raises(InputError) as wrong:
            read_sample(str(tmp_path / name))
        told.append(str(wrong.value))
    with pytest.raises(InputError) as wrong:
        evaluate_rules(["omnicorpus"])
    told.append(str(wrong.value))
    _golden("sample_errors.txt", _without("\n\n".join(told) + "\n", tmp_path))


def _without(text: str, folder: Path) -> str:
    return text.replace(str(folder), "FOLDER")


def _golden(name: str, text: str) -> None:
    if os.environ.get("UPDATE_GOLDEN"):
        (GOLDEN / name).write_text(text, "utf-8")
    assert text == (GOLDEN / name).read_text("utf-8")
