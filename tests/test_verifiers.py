"""Answers compared: known pairs of each form, and what must hold for any texts."""

from __future__ import annotations

from inspect import unwrap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators import verifiers
from operators.answer_words import content, normalised, question_words, stem, tokens
from operators.quantities import quantities
from operators.verifiers import (
    LETTERS,
    Box,
    anls,
    box_in,
    box_iou,
    edit_distance,
    exact_match,
    letter_in,
    list_items,
    list_match,
    relaxed_number,
    same_answer,
    token_f1,
    yes_or_no,
)
from schemas.columns import INSTRUCTION_KINDS
from tests.strategies import texts

MEASURES = (exact_match, token_f1, anls, relaxed_number, list_match)
SYMMETRIC = (exact_match, token_f1, anls, list_match)
OPTIONS = ["red", "blue", "green", "a dog"]

said = texts() | st.sampled_from(
    [
        "",
        "3",
        "12 %",
        "0",
        "-5",
        "A",
        "(b)",
        "yes",
        "no",
        "是",
        "不是",
        "red, blue",
        "三只",
        "1e9",
        ".",
    ]
)
sides = st.floats(-1e6, 1e6)
boxes = st.tuples(sides, sides, sides, sides).map(
    lambda b: (min(b[0], b[2]), min(b[1], b[3]), max(b[0], b[2]), max(b[1], b[3]))
)
few = settings(deadline=None, max_examples=150)


# --- Any texts ----------------------------------------------------------------------------------


@given(one=said, other=said)
@few
def test_every_measure_is_bounded_and_certain_of_the_same_text(one: str, other: str) -> None:
    for measure in MEASURES:
        assert 0 <= measure(one, other) <= 1
        assert measure(one, one) == 1
    for measure in SYMMETRIC:
        assert measure(one, other) == measure(other, one)


@given(one=said, other=said, kind=st.sampled_from(INSTRUCTION_KINDS))
@few
def test_the_same_answer_is_bounded_for_every_kind(one: str, other: str, kind: str) -> None:
    assert 0 <= same_answer(kind, one, other, OPTIONS) <= 1
    if kind != "multiple_choice":
        assert same_answer(kind, one, one, OPTIONS) == 1
    else:
        assert same_answer(kind, one, one, OPTIONS) == (letter_in(one, OPTIONS) is not None)


@given(text=said, options=st.lists(texts(), max_size=30))
@few
def test_a_letter_is_always_one_of_the_options(text: str, options: list[str]) -> None:
    assert letter_in(text, options) in (None, *LETTERS[: len(options)])


FORMS = ("{}", "({})", "{}.", "**{}**", "Answer: {}", "The answer is {}.", "答案是{}", "我选{}。")


@given(count=st.integers(1, 26), at=st.integers(0, 25), form=st.sampled_from(FORMS))
@few
def test_a_letter_is_read_in_every_form_and_never_beyond_the_last(
    count: int, at: int, form: str
) -> None:
    options = [f"thing number {number}" for number in range(count)]
    expected = LETTERS[at] if at < count else None
    assert letter_in(form.format(LETTERS[at]), options) == expected


@given(one=texts(40), other=texts(40), third=texts(40))
@few
def test_edit_distance_is_a_metric(one: str, other: str, third: str) -> None:
    distance = edit_distance(one, other)
    assert abs(len(one) - len(other)) <= distance <= max(len(one), len(other))
    assert (distance == 0) == (one == other)
    assert distance <= edit_distance(one, third) + edit_distance(third, other)


def test_the_compiled_edit_distance_counts_as_python_does(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = [("kitten", "sitting"), ("停车场", "停车"), ("a", "b" * 30), ("flaw", "lawn")]
    fast = [edit_distance(*pair) for pair in pairs]
    monkeypatch.setattr(verifiers, "_edit_distance", unwrap(verifiers._edit_distance))
    assert fast == [edit_distance(*pair) for pair in pairs] == [3, 1, 30, 2]


@given(word=st.text("abcdefghijklmnopqrstuvwxyz", min_size=8, max_size=20), place=st.integers(0, 7))
@few
def test_nearly_right_scores_above_wrong(word: str, place: int) -> None:
    typo = word[:place] + "#" + word[place + 1 :]
    wrong = "0" * len(word)
    assert anls(word, word) > anls(word, typo) > anls(word, wrong) == 0


@given(value=st.integers(1, 10**6).filter(lambda v: not 1900 <= v < 2100), off=st.floats(-0.3, 0.3))
@few
def test_a_number_is_right_within_five_per_cent(value: int, off: float) -> None:
    given_value = value * (1 + off)
    if abs(abs(off) - 0.05) < 1e-6:
        return
    assert relaxed_number(str(value), f"{given_value:.9f}") == (abs(off) < 0.05)


@given(one=boxes, other=boxes)
@few
def test_boxes_share_from_nothing_to_all(one: Box, other: Box) -> None:
    assert 0 <= box_iou(one, other) <= 1
    assert box_iou(one, other) == pytest.approx(box_iou(other, one))
    assert box_iou(one, one) == 1


@given(
    items=st.lists(st.sampled_from(["red", "blue", "green car", "红色"]), max_size=5),
    order=st.randoms(use_true_random=False),
)
@few
def test_the_order_of_a_list_does_not_matter(items: list[str], order: object) -> None:
    shuffled = list(items)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    assert list_match(", ".join(items), "; ".join(shuffled)) == 1


numerals = st.lists(
    st.sampled_from(
        ["一", "十", "亿", "万", "点", "百分之", "hundred ", "million ", "9" * 400, ",", "."]
    )
    | texts(4),
    max_size=200,
).map("".join)


@given(text=numerals)
@settings(few, max_examples=60)
def test_numbers_of_any_text_can_be_compared(text: str) -> None:
    assert all(number.value == number.value for number in quantities(text))  # none is NaN
    assert relaxed_number(text, text) == 1
    assert 0 <= relaxed_number(text, "1") <= 1


def test_a_number_may_be_as_long_as_it_likes() -> None:
    for text in ("九" * 5000, "亿" * 100, "hundred " * 300, "9" * 5000):
        assert quantities(text)[0].value == float("inf")


# --- Known answers ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expected", "given_answer", "score"),
    [
        ("100", "104.9", 1),
        ("100", "105.1", 0),
        ("1,200", "1200", 1),
        ("1.2k", "1,200", 1),
        ("25%", "25", 1),
        ("25%", "0.25", 1),
        ("25%", "2.5", 0),
        ("百分之二十五", "25 %", 1),
        ("1.5 km", "1500 m", 1),
        ("5 kg", "5 m", 0),
        ("5 kg", "about 5", 1),
        ("$5", "€5", 0),
        ("2019", "2020", 0),
        ("2019", "in 2019", 1),
        ("3", "three", 1),
        ("3", "三只", 1),
        ("一亿两千万", "120,000,000", 1),
        ("3万", "30 thousand", 1),
        ("-5", "5", 0),
        ("0", "0.0", 1),
        ("0", "0.01", 0),
        ("12", "12 or 13", 0),
        ("no number", "no numbers", 0),
    ],
)
def test_relaxed_numbers(expected: str, given_answer: str, score: float) -> None:
    assert relaxed_number(expected, given_answer) == score


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("two hundred and five", [205]),
        ("a dozen eggs, two dozen cups", [12, 24]),
        ("两百零五", [205]),
        ("二〇一九年", [2019]),
        ("三点五", [3.5]),
        ("mp3, B2", []),
        ("from 10 to 20", [10, 20]),
        ("2010-2015", [2010, 2015]),
    ],
)
def test_quantities(text: str, values: list[float]) -> None:
    assert [number.value for number in quantities(text)] == values


@pytest.mark.parametrize(
    ("expected", "given_answer", "score"),
    [
        ("STOP", "stop", 1),
        ("Coca Cola", "coca-cola", 1 - 1 / 9),
        ("ab", "a", 0),  # half of it is wrong, which is where the threshold stands
        ("abcd", "wxyz", 0),
        ("", "a", 0),
    ],
)
def test_anls_is_one_minus_the_distance_and_not_the_distance(
    expected: str, given_answer: str, score: float
) -> None:
    assert anls(expected, given_answer) == pytest.approx(score)


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("B. blue", "B"),
        ("Ｂ", "B"),
        ("green", "C"),
        ("The answer is a dog", "D"),
        ("A dog is what I see", None),
        ("A or B", None),
        ("both A and C", None),
        ("C or D", None),
        ("E", None),
        ("", None),
        ("It shows B", "B"),
        ("{'answer': 'B'}", "B"),
        ("D、蓝", "D"),
    ],
)
def test_letters(text: str, letter: str | None) -> None:
    assert letter_in(text, OPTIONS) == letter


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        *((True, t) for t in ("Yes", "yes, there is", "True.", "是", "是的。", "对", "没错", "有")),
        *((True, t) for t in ("The answer is yes", "答案：是", "正确", "“是”")),
        *(
            (False, t)
            for t in ("No", "no, it is not", "不是", "否。", "没有", "不对", "错", "不，")
        ),
        *((False, t) for t in ("Not really", "incorrect", "答案是否", "不会")),
        *((None, t) for t in ("", "Nothing", "Know", "对不起", "不知道", "是否", "yes and no")),
        *((None, t) for t in ("The dog is brown", "错落有致", "对面有人", "No idea")),
    ],
)
def test_yes_and_no(answer: bool | None, text: str) -> None:
    assert yes_or_no(text) is answer


def test_options_that_differ_by_a_sign_are_told_apart() -> None:
    assert letter_in("x-1", ["x+1", "x-1"]) == "B"
    assert letter_in("-5", ["5", "-5", ".5"]) == "B"
    assert letter_in("The Cat", ["cat", "dog"]) == "A"


def test_lists_and_boxes() -> None:
    assert list_items("1. Red\n2. the blue one and green") == ["red", "blue one", "green"]
    assert list_items("红色、蓝色和绿色") == ["红 色", "蓝 色", "绿 色"]
    assert list_items("1,000 people, 2 dogs") == ["1,000 people", "2 dogs"]
    assert list_match("red, red, blue", "blue, red") == pytest.approx(0.8)
    assert box_in("[110, 20, 10, 220]") == (10, 20, 110, 220)
    assert box_in("<box>(1,2),(3,4)</box>") == (1, 2, 3, 4)
    assert box_in("10 20 30 40") is None
    assert box_in("[1, 2, 3]") is None
    assert box_iou((0, 0, 2, 2), (1, 1, 3, 3)) == pytest.approx(1 / 7)
    assert box_iou((0, 0, 1, 1), (1, 1, 2, 2)) == 0


@pytest.mark.parametrize(
    ("kind", "right", "near", "wrong"),
    [
        ("multiple_choice", "B", "(B) blue", "C"),
        ("judgement", "yes", "Yes, it is.", "no"),
        ("judgement", "否", "不是", "是"),
        ("short_vqa", "12", "12.3", "14"),
        ("short_vqa", "red and blue", "blue, red", "green"),
        ("short_vqa", "[0, 0, 10, 10]", "[0, 0, 10, 9]", "[50, 50, 60, 60]"),
        ("short_vqa", "Golden Gate Bridge", "golden gate bridges", "Tower Bridge"),
        ("short_vqa", "gate 12", "Gate 12", "gate 13"),
        ("short_vqa", "$5", "5 dollars", "€5"),
        ("short_vqa", "-5", "−5", "5"),
        ("short_vqa", "x + 1", "x+1", "x-1"),
        ("short_vqa", "3/4", "3 / 4", "4/3"),
        ("short_vqa", "C++", "c++", "C"),
        ("short_vqa", "T-shirt", "t shirt", "coat"),
        ("short_vqa", "a 3-year-old", "3 year old", "a dog"),
        ("short_vqa", "no", "No.", "yes"),
        ("long_vqa", "The dog runs on the beach.", "A dog runs along the beach", "Two cats sleep."),
        ("caption", "一只狗在沙滩上奔跑。", "狗在沙滩上跑。", "两架飞机停着。"),
    ],
)
def test_right_answers_score_above_wrong_ones(kind: str, right: str, near: str, wrong: str) -> None:
    assert same_answer(kind, right, right, OPTIONS) == 1
    assert same_answer(kind, right, near, OPTIONS) >= 0.7
    assert same_answer(kind, right, wrong, OPTIONS) < 0.5


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="did you mean 'judgement'"):
        same_answer("judgment", "yes", "yes")


# --- Words --------------------------------------------------------------------------------------


@given(text=texts(60))
@few
def test_words_of_any_text_are_words(text: str) -> None:
    assert all(token and token == token.strip() for token in tokens(text))
    assert normalised(normalised(text)) == normalised(text) or not tokens(text)
    assert all(content(text))
    assert all(question_words(text))


def test_stems_bring_forms_together() -> None:
    for forms in (
        ("ride", "rides", "riding"),
        ("play", "plays", "playing", "players"),
        ("grass", "grassy"),
        ("stop", "stops", "stopped", "stopping"),
        ("child", "children", "kids"),
        ("colour", "color", "colours"),
        ("berry", "berries"),
        ("watch", "watches", "watching"),
    ):
        assert len({stem(form) for form in forms}) == 1, forms
    for one, other in (("bus", "bush"), ("water", "wat"), ("red", "ride"), ("sign", "sing")):
        assert stem(one) != stem(other)
    assert stem("bus") == "bus"
    assert content("The two dogs are running") == {"dog", "run"}
