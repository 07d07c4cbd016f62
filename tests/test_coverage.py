"""Coverage counted, quotas missed, and letters that a hash spreads evenly."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.stats import chisquare

from operators.coverage import READS, Quotas, measure_coverage, placed
from operators.verifiers import LETTERS
from tests.strategies import split, split_points


def table(*rows: dict[str, Any]) -> pa.Table:
    plain = {
        "instruction_kind": "short_vqa",
        "instruction_domain": "ocr",
        "instruction_lang": "en",
        "turns": [{"question": "What is it?", "answer": "a dog"}],
        "options": [],
        "seeds": [],
    }
    return pa.Table.from_pylist([plain | row for row in rows], schema=READS)


def judged(answer: str, lang: str = "en") -> dict[str, Any]:
    turns = [{"question": "Is it?", "answer": answer}]
    return {"instruction_kind": "judgement", "turns": turns, "instruction_lang": lang}


def chosen(letter: str, options: tuple[str, ...] = ("aa", "bb", "cc", "dd")) -> dict[str, Any]:
    turns = [{"question": "Which?", "answer": letter}]
    return {"instruction_kind": "multiple_choice", "turns": turns, "options": list(options)}


# --- Places -------------------------------------------------------------------------------------


@given(
    options=st.lists(st.text(max_size=5), min_size=1, max_size=26),
    at=st.integers(0, 25),
    key=st.text(max_size=20),
)
@settings(deadline=None)
def test_the_letter_is_that_of_the_right_option_and_nothing_is_lost(
    options: list[str], at: int, key: str
) -> None:
    at %= len(options)
    shown, letter = placed(options, at, key)
    assert shown[LETTERS.index(letter)] == options[at]
    assert sorted(shown) == sorted(options)
    others = options[:at] + options[at + 1 :]
    assert [o for n, o in enumerate(shown) if n != LETTERS.index(letter)] == others
    assert placed(options, at, key) == (shown, letter)


@given(count=st.integers(2, 8), at=st.integers(0, 7), salt=st.integers(0, 10**9))
@settings(deadline=None, max_examples=20, derandomize=True)
def test_letters_are_uniform_wherever_the_right_option_stood(
    count: int, at: int, salt: int
) -> None:
    options = [str(number) for number in range(count)]
    letters = [placed(options, at % count, f"{salt}/{number}")[1] for number in range(2000)]
    spread = [letters.count(letter) for letter in LETTERS[:count]]
    assert chisquare(spread).pvalue > 1e-4


@pytest.mark.parametrize(("options", "at"), [([], 0), (["a"], 1), (["a"], -1), (["a"] * 27, 0)])
def test_a_right_option_that_is_not_there_is_refused(options: list[str], at: int) -> None:
    with pytest.raises(ValueError, match="the right option is number"):
        placed(options, at, "key")


# --- Coverage -----------------------------------------------------------------------------------


def test_counts() -> None:
    found = measure_coverage(
        [
            table(judged("yes"), judged("no"), judged("No."), judged("是", "zh"), chosen("B")),
            table({"seeds": ["x", "y"], "instruction_domain": "meme"}, {"seeds": ["x", "x"]}),
        ]
    )
    assert found.rows == 7
    assert found.count(kind="judgement") == 4
    assert found.count("ocr", "judgement", "zh") == 1
    assert found.yes_share("en") == pytest.approx(1 / 3)
    assert found.yes_share("zh") == 1
    assert found.yes_share("de") is None
    assert found.seeds == {"x": 2, "y": 1}
    assert found.matrix().num_rows == 2 * 3 * 2
    assert sum(found.matrix()["rows"].to_pylist()) == 7
    assert found.answer_words[2] == 2  # "a dog"
    json.dumps(found.summary())


def test_nothing_is_covered_by_nothing() -> None:
    found = measure_coverage([])
    assert found.matrix().num_rows == 0
    assert Quotas().missed(found) == []
    assert found.letter_p() is None


rows = st.sampled_from(
    [judged("yes"), judged("no", "zh"), chosen("A"), chosen("D"), {"seeds": ["x"]}, chosen("Z")]
)


@given(rows=st.lists(rows, max_size=12), data=st.data())
@settings(deadline=None, max_examples=40)
def test_coverage_does_not_depend_on_batches(
    rows: list[dict[str, Any]], data: st.DataObject
) -> None:
    whole = table(*rows)
    pieces = split(whole, data.draw(split_points(len(rows))))
    assert measure_coverage(pieces).summary() == measure_coverage([whole]).summary()


def test_the_chance_of_letters_is_that_of_the_chi_square_test() -> None:
    spread = {"A": 40, "B": 20, "C": 22, "D": 18}
    found = measure_coverage([table(*(chosen(k) for k, n in spread.items() for _ in range(n)))])
    assert found.letter_p() == pytest.approx(chisquare(list(spread.values())).pvalue)
    assert measure_coverage([table(chosen("A"))]).letter_p() is None  # too few to say


def test_letters_of_questions_with_several_numbers_of_options() -> None:
    two = [chosen(letter, ("a", "b")) for letter in "AB" * 20]
    four = [chosen(letter) for letter in "ABCD" * 10]
    found = measure_coverage([table(*two, *four)])
    assert found.expected_letters == pytest.approx({"A": 30, "B": 30, "C": 10, "D": 10})
    assert found.letter_p() == pytest.approx(1)


# --- Quotas -------------------------------------------------------------------------------------


def test_every_quota_says_what_is_missed() -> None:
    lopsided = [judged("yes")] * 60 + [chosen("A", ("a long one", "b", "c", "d"))] * 60
    found = measure_coverage([table(*lopsided, {"seeds": ["worn"]}, {"seeds": ["worn"]})])
    quotas = Quotas(
        min_rows=1000,
        per_domain={"ocr": 10, "meme": 5},
        per_kind={"caption": 3},
        per_lang={"zh": 1},
        per_cell=1,
        max_seed_share=0.01,
    )
    missed = quotas.missed(found)
    for said in (
        "122 instructions, fewer than min_rows: 1000",
        "domain meme has 0 rows, fewer than 5 (per_domain)",
        "kind caption has 0 rows, fewer than 3 (per_kind)",
        "lang zh has 0 rows, fewer than 1 (per_lang)",
        "meme, caption, zh has 0 rows, fewer than per_cell: 1",
        "100% of the judgements in en are yes, not between 40% and 60%",
        "the right option is the longest 4.0 times as often as by chance, more than "
        "max_longest_right: 1.5",
        "seed worn is in 2 of 122 rows, more than max_seed_share: 0.01",
    ):
        assert said in missed
    assert any(said.startswith("right letters are uneven (A 60; p = ") for said in missed)
    assert not any("domain ocr" in said for said in missed)


def test_an_even_set_misses_nothing() -> None:
    even = [judged(answer, lang) for answer in ("yes", "no") * 15 for lang in ("en", "zh")]
    even += [chosen(letter) for letter in "ABCD" * 20]
    assert Quotas(per_kind={"judgement": 60}).missed(measure_coverage([table(*even)])) == []


def test_all_no_is_as_lopsided_as_all_yes_and_few_rows_are_not_judged() -> None:
    assert Quotas().missed(measure_coverage([table(*[judged("no")] * 50)]))
    assert not Quotas().missed(measure_coverage([table(*[judged("no")] * 49)]))


def test_an_unknown_quota_is_refused() -> None:
    with pytest.raises(ValidationError, match="per_knd"):
        Quotas.model_validate({"per_knd": {}})
