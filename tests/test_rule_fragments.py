"""Every rule of every ready-made fragment, on both sides of each of its thresholds."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from operators.registry import OPERATORS
from operators.rules import Comparison, Rule, parse_rule
from operators.text import TextStatistics
from pipelines.plan import RULE_FRAGMENTS, read_fragment
from schemas.columns import COLUMNS, NODE_KINDS

FRAGMENTS = ("gopher", "c4", "fineweb", "obelics")
INSTRUCTION_FRAGMENTS = ("instructions",)
IMAGE_FRAGMENTS = ("omnicorpus-images", "obelics-images", "mmc4-images", "safety")
SPACELESS = ("zh", "ja", "ko", "th")


def rules(fragment: str) -> dict[str, Rule]:
    return {
        name: parse_rule(name, spec.table, spec.keep, spec.drop, fragment)
        for name, spec in read_fragment(fragment).items()
    }


RULES = {
    name: rule
    for fragment in (*FRAGMENTS, *IMAGE_FRAGMENTS, *INSTRUCTION_FRAGMENTS)
    for name, rule in rules(fragment).items()
}
# A document, node, image and instruction that every rule passes over: English, of ordinary prose;
# a photo; a good answer.
ORDINARY: dict[str, Any] = {
    "lang": "en",
    "lang_score": 0.95,
    "node_kind": "text",
    "image_count": 3,
    "word_count": 500,
    "mean_word_length": 4.7,
    "alpha_word_ratio": 0.97,
    "stop_word_count": 90,
    "c4_sentence_count": 20,
    "terminal_line_ratio": 0.8,
    "stop_word_ratio": 0.45,
    "punctuation_ratio": 0.1,
    "node_word_count": 60,
    "node_ends_sentence": True,
    "node_stop_word_ratio": 0.45,
    "node_punctuation_ratio": 0.1,
    "image_url": "https://example.org/photos/harbour.jpg",
    "image_document_count": 1,
    "fetch_status": "ok",
    "image_format": "jpeg",
    "image_width": 640,
    "image_height": 480,
    "phash_count": 1,
    "dhash_count": 1,
    "aesthetic_score": 5.1,
    "nsfw_prob": 0.01,
    "kept_image_count": 3,
    "node_image_repeat_distance": 61,
    "node_image_text_similarity": 0.3,
    "instruction_kind": "short_vqa",
    "instruction_lang": "en",
    "reply_problem": None,
    "answer_word_count": 12,
    "answer_in_range": True,
    "answer_in_question": False,
    "question_lang": "en",
    "answer_lang": "en",
    "claim_count": 3,
    "known_word_count": 80,
    "grounded_share": 0.7,
    "question_duplicate_of": None,
}
# Written by the engine, or by stages whose models are not everywhere.
NOT_BY_OPERATORS = {
    "image_url",
    "image_document_count",
    "kept_image_count",
    "fetch_status",
    "aesthetic_score",
    "nsfw_prob",
    "node_image_text_similarity",
    "reply_problem",
    "instruction_kind",
    "instruction_lang",
}


# What else must be so for a rule over instructions to ask for its threshold.
BESIDE: dict[str, dict[str, Any]] = {
    "instructions_options": {"instruction_kind": "multiple_choice", "distinct_option_count": 9},
    "instructions_question_lang": {"question_lang": "de"},
    "instructions_answer_lang": {"answer_lang": "zh"},
    "instructions_repetition": {"answer_repetition_ratio": 0.5, "answer_word_count": 50},
    "instructions_long_answer": {"instruction_kind": "caption"},
    "instructions_ungrounded": {"grounded_share": 0.1},
}


def drops(rule: Rule, **changed: Any) -> bool:
    """Whether the rule drops an ordinary document or node with these columns changed."""
    values = {name: ORDINARY.get(name, 0) for name in rule.expression.columns} | changed
    schema = pa.schema([(name, COLUMNS[name].type) for name in values])
    frame = pl.from_arrow(pa.Table.from_pylist([values], schema=schema))
    assert isinstance(frame, pl.DataFrame)
    return not frame.select(rule.passes().alias("passes"))["passes"][0]


def thresholds() -> list[Any]:
    """Each comparison of a rule with a number."""
    return [
        pytest.param(rule, comparison, id=f"{rule.name}-{comparison.column}{comparison.operator}")
        for rule in RULES.values()
        for comparison in rule.expression.comparisons
        if isinstance(comparison.threshold, int | float)
    ]


def beside(comparison: Comparison) -> tuple[Any, Any]:
    """The nearest values of the column that the comparison holds for, and does not hold for."""
    at = comparison.threshold
    if pa.types.is_integer(COLUMNS[comparison.column].type):
        below, above = at - 1, at + 1
    else:
        at = np.float32(at)
        below, above = np.nextafter(at, np.float32(-1)), np.nextafter(at, np.float32(math.inf))
    return {"<": (below, at), ">": (above, at), "<=": (at, above), ">=": (at, below)}[
        comparison.operator
    ]


@pytest.mark.parametrize(("rule", "comparison"), thresholds())
def test_a_rule_drops_just_outside_its_threshold_and_keeps_just_inside(
    rule: Rule, comparison: Comparison
) -> None:
    outside, inside = beside(comparison)
    others: dict[str, Any] = {}
    if rule.name == "obelics_node_punctuation":  # marks are counted in paragraphs of 12 words
        others = {"node_word_count": 12, "node_punctuation_ratio": 0.0}
    if rule.name == "safety_text_heavy":  # a large share, and more than one line
        others = {"text_area_ratio": 0.5, "text_line_count": 9}
    others |= BESIDE.get(rule.name, {})
    assert drops(rule, **others | {comparison.column: outside})
    assert not drops(rule, **others | {comparison.column: inside})


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_an_ordinary_document_passes(rule: Rule) -> None:
    assert not drops(rule)


def test_a_line_without_a_terminal_mark_goes() -> None:
    assert drops(RULES["c4_line_end"], node_ends_sentence=False)
    assert not drops(RULES["c4_line_end"], node_ends_sentence=True)
    assert not drops(RULES["c4_line_end"], node_ends_sentence=False, lang="th")


@pytest.mark.parametrize("name", [n for n in RULES if "node_kind" in RULES[n].expression.columns])
@pytest.mark.parametrize("extreme", [0, 100_000])
def test_rules_about_running_text_pass_over_other_nodes(name: str, extreme: int) -> None:
    judged = set(RULES[name].expression.columns) - {"node_kind", "lang"}
    worst = {c: extreme > 0 if c == "node_ends_sentence" else extreme for c in judged}
    for kind in set(NODE_KINDS) - {"text", "quote", "image"}:
        assert not drops(RULES[name], **worst, node_kind=kind)


@pytest.mark.parametrize(
    ("name", "passed_over", "worst"),
    [
        ("gopher_mean_word_length", SPACELESS, {"mean_word_length": 1}),
        ("gopher_stop_words", ("de", "zh"), {"stop_word_count": 0}),
        ("gopher_dup_10gram", SPACELESS, {"dup_10gram_char_ratio": 1}),
        ("c4_sentences", ("th",), {"c4_sentence_count": 0}),
        ("fineweb_line_ends", ("th",), {"terminal_line_ratio": 0}),
        ("fineweb_short_lines", SPACELESS, {"short_line_ratio": 1}),
        ("obelics_stop_words", ("de", "zh"), {"stop_word_ratio": 0}),
        ("obelics_words", ("de", "zh"), {"word_count": 9000}),
        ("obelics_node_stop_words", ("de", "zh"), {"node_stop_word_ratio": 0}),
    ],
)
def test_rules_about_a_language_pass_over_others(
    name: str, passed_over: tuple[str, ...], worst: dict[str, Any]
) -> None:
    assert drops(RULES[name], **worst)
    for language in passed_over:
        assert not drops(RULES[name], **worst, lang=language)


def test_all_fragments_ask_for_columns_that_operators_write() -> None:
    written = {name for kind in OPERATORS.values() for name in kind.writes.names}
    written |= NOT_BY_OPERATORS
    for path in RULE_FRAGMENTS.glob("*.yaml"):
        for rule in rules(path.stem).values():
            assert set(rule.expression.columns) <= written, rule.name


def test_rules_have_names_of_their_own() -> None:
    fragments = (*FRAGMENTS, *IMAGE_FRAGMENTS, *INSTRUCTION_FRAGMENTS)
    names = [name for fragment in fragments for name in read_fragment(fragment)]
    assert len(names) == len(set(names))
    for fragment in fragments:
        start = fragment.replace("-images", "_image")
        assert all(name.startswith(start) for name in read_fragment(fragment))


@pytest.mark.parametrize("fragment", ["omnicorpus", "obelics", "mmc4"])
def test_images_go_by_what_kind_they_are(fragment: str) -> None:
    """Both ends of the aspect ratio stay, and so does what is not known; the rest is by name."""
    aspect = RULES[f"{fragment}_image_aspect"]
    for width, height in ((300, 600), (600, 300), (None, None)):
        assert not drops(aspect, image_width=width, image_height=height)
    for width, height in ((300, 601), (601, 300)):
        assert drops(aspect, image_width=width, image_height=height)
    for name in ("aesthetic_score", "nsfw_prob"):
        for rule in RULES.values():
            if rule.expression.columns == (name,):
                assert not drops(rule, **{name: None})


@pytest.mark.parametrize("fragment", ["obelics", "mmc4"])
def test_images_go_by_address_and_format(fragment: str) -> None:
    address, format = RULES[f"{fragment}_image_address"], RULES[f"{fragment}_image_format"]
    assert drops(address, image_url="https://example.org/Site-Logo.png")
    assert drops(format, image_format="gif")
    assert drops(format, image_format="webp") == (fragment == "mmc4")
    assert not drops(format, image_format="png")


def test_a_first_image_is_never_alike() -> None:
    for name in ("obelics_image_twice", "mmc4_image_alike"):
        assert drops(RULES[name], node_image_repeat_distance=0)
        assert not drops(RULES[name], node_image_repeat_distance=None)


@pytest.mark.parametrize(
    ("name", "worst"),
    [
        ("instructions_reply", {"reply_problem": "an option is missing"}),
        ("instructions_range", {"answer_in_range": False}),
        ("instructions_giveaway", {"answer_in_question": True}),
        ("instructions_question_lang", {"question_lang": "zh"}),
        ("instructions_repeated", {"question_duplicate_of": "an id"}),
        ("instructions_options", {"instruction_kind": "multiple_choice", "option_count": 4}),
    ],
)
def test_instructions_go_by_what_was_found_and_stay_where_nothing_was(
    name: str, worst: dict[str, Any]
) -> None:
    assert drops(RULES[name], **worst)
    assert not drops(RULES[name], **dict.fromkeys(RULES[name].expression.columns))


PROSE = (
    "The old harbour was rebuilt after the storm, and most of the boats came back within a year. "
    "It is said that the mayor paid for the new wall with his money, but nobody has proof of it. "
)
MORE = (
    "Fishing had fed the town for three hundred years. Then the herring stayed away.",
    "Some families left for the city. Others opened small hotels, which were full every summer.",
    "Today, visitors walk along the quay in the evening and watch how the nets are mended.",
)
BAD: dict[str, list[str | None]] = {
    "c4_lorem_ipsum": [PROSE + "Lorem ipsum dolor sit amet."],
    "c4_curly_bracket": [PROSE + "if (a) { b(); }"],
    "c4_bad_words": [PROSE * 3 + "This is pure porn."],
    "c4_sentences": [PROSE],
    "fineweb_line_ends": ["Home and garden tools for you", "Contact the people of the shop"],
    "fineweb_dup_line_chars": [PROSE, "Twice over.", PROSE],
    "fineweb_short_lines": ["Home.", "Shop.", "About us.", PROSE],
    "fineweb_newlines": ["Home.", "Shop.", "News.", "About."],
    "obelics_images": [PROSE],
    "obelics_char_repetition": [None, PROSE + "click here now! " * 40],
    "obelics_word_repetition": [None, PROSE * 2],
    "obelics_special_chars": [None, "1 2 3 4 5 6 7 8 9 -- ++ ** " + PROSE[:40]],
    "obelics_stop_words": [None, "cheap red shoes leather boots sandals sneakers sale discount."],
    "obelics_flagged_words": [None, PROSE + "porn"],
    "obelics_punctuation": [None, PROSE.replace(".", "").replace(",", "")],
}


@pytest.mark.parametrize("name", BAD)
def test_the_measures_of_real_text_set_the_rule_off(name: str) -> None:
    """The rule drops the bad document, and not one of ordinary prose."""
    assert _dropped(name, BAD[name])
    assert not _dropped(name, [None, PROSE, *MORE])


def _dropped(name: str, texts: list[str | None]) -> bool:
    nodes = [
        {"kind": "image" if text is None else "text", "text": text, "dom_index": index}
        for index, text in enumerate(texts)
    ]
    made = TextStatistics()
    batch = pa.table({"nodes": pa.array([nodes], COLUMNS["nodes"].type)})
    row = made.measure(batch, made.setup()).to_pylist()[0]
    asked = RULES[name].expression.columns
    return drops(RULES[name], **{column: row[column] for column in asked if column in row})
