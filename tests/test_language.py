"""Language identification on short sentences, and how its columns line up with the nodes."""

from __future__ import annotations

from functools import cache
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.language import UNDECIDED, LanguageId
from schemas import columns
from tests.strategies import nodes

NODES = columns.column("nodes").type

SENTENCES = {
    "en": "The weather is nice today and we are going to the park.",
    "de": "Das Wetter ist heute schön, und wir gehen in den Park.",
    "fr": "Il fait beau aujourd'hui et nous allons au parc.",
    "es": "Hoy hace buen tiempo y vamos a pasear por el parque.",
    "zh": "今天天气很好，我们一起去公园散步。",
    "ja": "今日はとても天気がいいので公園に行きましょう。",
    "ko": "오늘은 날씨가 좋아서 공원에 산책하러 갑니다.",
    "ru": "Сегодня хорошая погода, и мы идём гулять в парк.",
    "ar": "الطقس جميل اليوم ونحن ذاهبون إلى الحديقة.",
}

Document = list[dict[str, Any]] | None


@cache
def _model() -> Any:
    return LanguageId().setup()


def text_nodes(*texts: str | None) -> list[dict[str, Any]]:
    """Text nodes of the texts, and an image node for each None."""
    kinds = ["image" if text is None else "text" for text in texts]
    return [
        {"kind": kind, "text": text, "dom_index": index}
        for index, (kind, text) in enumerate(zip(kinds, texts, strict=True))
    ]


def identify(*documents: Document, operator: LanguageId | None = None) -> list[dict[str, Any]]:
    batch = pa.table({"nodes": pa.array(list(documents), NODES)})
    rows: list[dict[str, Any]] = (operator or LanguageId()).measure(batch, _model()).to_pylist()
    return rows


@pytest.mark.parametrize(("language", "sentence"), SENTENCES.items(), ids=SENTENCES)
def test_a_short_sentence_is_recognised(language: str, sentence: str) -> None:
    row = identify(text_nodes(sentence))[0]
    assert (row["lang"], row["node_lang"]) == (language, [language])
    assert 0.5 < row["lang_score"] <= 1
    assert row["node_lang_score"] == [row["lang_score"]]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "short",
        "12345 67890 2024-03-04 17:30 1.000.000 3,14159",
        "http://example.org/a/very/long/address/with/english/words https://example.com/too",
        "_____ ----- ***** ===== ____ .... !!!! ???",
        "👍🏽 🎉 🇩🇪 ❤ 👍🏽 🎉 🇩🇪 ❤ 👍🏽 🎉 🇩🇪 ❤",
        "\n\n\t \x00 \u200b \u2028",
    ],
)
def test_text_of_few_letters_is_undecided(text: str) -> None:
    row = identify(text_nodes(text))[0]
    assert (row["lang"], row["lang_score"]) == (UNDECIDED, 0)
    assert (row["node_lang"], row["node_lang_score"]) == ([UNDECIDED], [0])


def test_a_document_without_text_is_undecided_and_one_of_null_is_null() -> None:
    empty, images, missing = identify([], text_nodes(None, None), None)
    assert (empty["lang"], empty["lang_score"]) == (UNDECIDED, 0)
    assert (empty["node_lang"], empty["node_lang_score"]) == ([], [])
    assert images["lang"] == UNDECIDED
    assert images["node_lang"] == images["node_lang_score"] == [None, None]
    assert set(missing.values()) == {None}


def test_node_languages_line_up_with_the_nodes() -> None:
    first = text_nodes(SENTENCES["de"], None, SENTENCES["ja"], "kurz", SENTENCES["ru"])
    second = text_nodes(None, SENTENCES["fr"])
    rows = identify(first, None, [], second)
    assert rows[0]["node_lang"] == ["de", None, "ja", UNDECIDED, "ru"]
    assert [score is None for score in rows[0]["node_lang_score"]] == [False, True] + [False] * 3
    assert rows[3]["node_lang"] == [None, "fr"]
    assert rows[3]["lang"] == "fr"


def test_a_document_is_judged_by_all_its_nodes_together() -> None:
    words = SENTENCES["es"].split()
    row = identify(text_nodes(*words))[0]
    assert row["lang"] == "es"
    assert set(row["node_lang"]) == {UNDECIDED}


def test_the_least_number_of_letters_is_inclusive() -> None:
    sentence = "the weather was good"
    operator = LanguageId(min_chars=len(sentence), node_min_chars=len(sentence) + 1)
    row = identify(text_nodes(sentence), operator=operator)[0]
    assert (row["lang"], row["node_lang"]) == ("en", [UNDECIDED])


def test_only_the_first_letters_of_a_long_text_are_looked_at() -> None:
    long = SENTENCES["de"] * 50 + SENTENCES["ru"] * 500
    assert identify(text_nodes(long), operator=LanguageId(max_chars=200))[0]["lang"] == "de"


def test_line_breaks_in_a_text_do_no_harm() -> None:
    row = identify(text_nodes(SENTENCES["fr"].replace(" ", "\n")))[0]
    assert row["lang"] == "fr"


def test_provenance_names_the_model_by_its_digest() -> None:
    digest = LanguageId().provenance()["lid.176.ftz"]
    assert len(bytes.fromhex(digest)) == 32


@given(documents=st.lists(st.none() | nodes(), max_size=4))
@settings(deadline=None, max_examples=60)
def test_any_document_gets_languages_as_long_as_its_nodes(documents: list[Document]) -> None:
    for document, row in zip(documents, identify(*documents), strict=True):
        if document is None:
            assert set(row.values()) == {None}
            continue
        assert row["lang"]
        assert 0 <= row["lang_score"] <= 1
        assert [lang is not None for lang in row["node_lang"]] == [
            node["text"] is not None for node in document
        ]
        for lang, score in zip(row["node_lang"], row["node_lang_score"], strict=True):
            assert (lang is None) == (score is None)
            assert score is None or 0 <= score <= 1
