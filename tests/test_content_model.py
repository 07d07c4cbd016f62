"""The model's parts against plain loops: trees, counts of characters, ancestors, the cut."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.block_features import (
    BlockFeatures,
    Lexicon,
    add_context_features,
    add_lexicon_features,
    best_cut,
    count_characters,
    key_scores,
)
from operators.content_model import MODEL, load
from operators.dom import read_page
from operators.page_images import image_features, page_images
from operators.trees import ObliviousTrees
from pipelines.scores import tokens

SIZES = st.integers(1, 6)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), SIZES, st.integers(1, 4), st.integers(1, 600))
def test_trees_give_what_walking_each_tree_gives(
    seed: int, trees: int, depth: int, rows: int
) -> None:
    chance = np.random.default_rng(seed)
    feature = chance.integers(0, 3, (trees, depth)).astype(np.int16)
    threshold = chance.normal(size=(trees, depth)).astype(np.float32)
    leaves = chance.normal(size=(trees, 2**depth)).astype(np.float32)
    table = chance.normal(size=(3, rows)).astype(np.float32)
    found = ObliviousTrees(feature, threshold, leaves, 0.5).logits(table)
    for row in {0, rows // 2, rows - 1}:
        total = 0.5
        for tree in range(trees):
            above = table[feature[tree], row] > threshold[tree]
            total += leaves[tree, sum(int(bit) << level for level, bit in enumerate(above))]
        assert found[row] == pytest.approx(total, abs=1e-4)


ASCII = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=40)


@settings(deadline=None)
@given(st.lists(ASCII, min_size=1, max_size=8))
def test_characters_are_counted_text_by_text(texts: list[str]) -> None:
    counts = count_characters(texts)
    assert counts.chars.tolist() == [len(text) for text in texts]
    assert counts.upper.tolist() == [sum(map(str.isupper, text)) for text in texts]
    assert counts.digits.tolist() == [sum(map(str.isdigit, text)) for text in texts]
    assert counts.letters.tolist() == [sum(map(str.isalnum, text)) for text in texts]
    assert counts.stops.tolist() == [sum(c in ".!?" for c in text) for text in texts]
    assert counts.commas.tolist() == [sum(c in ",;:()" for c in text) for text in texts]


@pytest.mark.parametrize(
    "text", ["Hello, World 42!", "今天天气很好。", "Mixed 文字 and text", "สวัสดี ครับ", "한국어 문장"]
)
def test_tokens_are_those_of_the_measure(text: str) -> None:
    assert count_characters([text]).tokens[0] == len(tokens(text))


def test_scores_of_names_are_combined_up_to_the_top() -> None:
    body = "<article id=good><div class='bad x'><section><p>one</p></section></div></article><p>two"
    page = read_page(f"<body>{body}")
    features = BlockFeatures(page.layout, page.title)
    keys = key_scores(features, Lexicon({"good": 2.0, "bad": -3.0}))
    assert [page.layout.containers.tag_of(c) for c in range(1, 7)] == [
        *("body", "article", "div", "section", "p", "p"),
    ]
    assert keys.own.tolist()[1:] == [0, 2, -3, 0, 0, 0]
    assert keys.total.tolist()[1:] == [0, 2, -1, -1, -1, 0]
    assert keys.least.tolist()[1:] == [0, 0, -3, -3, -3, 0]
    assert keys.most.tolist()[1:] == [0, 2, 2, 2, 2, 0]


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0.01, 0.99), st.integers(1, 50)), min_size=1, max_size=7, unique=True
    )
)
def test_no_other_choice_of_blocks_has_a_higher_expected_f1(
    blocks: list[tuple[float, int]],
) -> None:
    chance, size = (np.array(values, float) for values in zip(*blocks, strict=True))
    mass = chance * size

    def expected(chosen: tuple[int, ...]) -> float:
        picked = list(chosen)
        return float(2 * mass[picked].sum() / (size[picked].sum() + mass.sum()))

    cut, score = best_cut(chance, size)
    numbers = range(len(blocks))
    best = max(expected(c) for n in numbers for c in combinations(numbers, n + 1))
    assert score == pytest.approx(best, abs=1e-6)
    assert expected(tuple(np.flatnonzero(chance >= cut))) == pytest.approx(best, abs=1e-6)


def test_the_shipped_model_was_trained_on_the_features_that_are_measured() -> None:
    page = read_page("<title>A</title><body><h1>A</h1><p>one two three<img src=/a.png></p>")
    model, features = load(), BlockFeatures(page.layout, page.title)
    keys = key_scores(features, model.lexicon)
    table = features.table.branch()
    add_lexicon_features(table, features, keys)
    add_context_features(table, features, np.full(features.size, 0.5, np.float32))
    images = page_images(page.layout.images, "http://a.org/")
    shown = image_features(features, np.full(features.size, 0.5, np.float32), 0.4, keys, images)
    with np.load(MODEL) as stored:
        assert table.names == stored["block_features"].tolist()
        assert shown.names == stored["image_features"].tolist()


def test_the_shipped_model_is_small_and_loads_without_pickles() -> None:
    assert MODEL.stat().st_size < 2_000_000
    assert load() is load()
