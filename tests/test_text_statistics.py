"""Text measures against hand-computed examples and a slow reference (Rae et al. 2021, A1)."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.text import TextStatistics, node_texts
from schemas import columns

NODES = columns.column("nodes").type
RATIOS = [f.name for f in TextStatistics.writes if f.name.endswith("_ratio")]


def nodes(*texts: str | None) -> list[dict[str, Any]]:
    """Text nodes of the texts, and an image node for each None."""
    return [
        {
            "kind": "text" if text is not None else "image",
            "text": text,
            "image_url": None if text is not None else "http://example.org/a.png",
            "dom_index": index,
        }
        for index, text in enumerate(texts)
    ]


def measure(*texts: str | None) -> dict[str, Any]:
    """The measures of one document."""
    batch = pa.table({"nodes": pa.array([nodes(*texts)], NODES)})
    row: dict[str, Any] = TextStatistics().measure(batch, None).to_pylist()[0]
    return row


def near(value: float) -> Any:
    """Equal up to the precision of 32-bit floats."""
    return pytest.approx(value, rel=1e-6, abs=1e-7)


# --- By hand ------------------------------------------------------------------------------------


def test_sizes_of_a_small_document() -> None:
    row = measure("The cat sat.", None, "On a mat")
    assert row["char_count"] == 12 + 8
    assert row["word_count"] == 3 + 3  # The cat sat. | On a mat
    assert row["mean_word_length"] == near((3 + 3 + 4 + 2 + 1 + 3) / 6)
    assert row["image_count"] == 1
    assert row["node_char_count"] == [12, 0, 8]
    assert row["node_word_count"] == [3, 0, 3]


@pytest.mark.parametrize("texts", [(), ("",), (" \n\t",), ("", "")])
def test_a_document_without_words_measures_zero(texts: tuple[str, ...]) -> None:
    row = measure(*texts)
    assert row.pop("node_char_count") == [len(text) for text in texts]
    assert row.pop("node_word_count") == [0] * len(texts)
    assert row.pop("char_count") == sum(map(len, texts))
    for name in ("dup_paragraph_ratio", "dup_paragraph_char_ratio"):
        row.pop(name)
    assert set(row.values()) == {0}


def test_a_document_of_images_only_counts_them_and_measures_zero() -> None:
    row = measure(None, None)
    assert row.pop("image_count") == 2
    assert row.pop("node_char_count") == [0, 0]
    assert row.pop("node_word_count") == [0, 0]
    assert set(row.values()) == {0}


def test_symbols_are_hash_signs_and_ellipses_per_word() -> None:
    row = measure("#one two... three… #four five")
    assert row["symbol_word_ratio"] == near(4 / 5)  # # ... … # over five words
    assert measure("....")["symbol_word_ratio"] == near(1 / 1)  # one ellipsis and a full stop
    assert measure("......")["symbol_word_ratio"] == near(2 / 1)


def test_bullet_and_ellipsis_lines() -> None:
    row = measure("• one\n- two...\nthree", "* four…")
    assert row["bullet_line_ratio"] == near(3 / 4)
    assert row["ellipsis_line_ratio"] == near(2 / 4)


def test_blank_lines_are_no_lines() -> None:
    row = measure("one...\n\n  \n\ttwo  \n")
    assert row["ellipsis_line_ratio"] == near(1 / 2)


def test_alphabetic_words_hold_a_letter() -> None:
    assert measure("one 2 3rd -- 五")["alpha_word_ratio"] == near(3 / 5)


def test_stop_words_count_every_occurrence_in_any_case() -> None:
    row = measure("The cat AND the dog have to be with that of", "other than this")
    assert row["stop_word_count"] == 9  # The AND the have to be with that of
    assert measure("them bee too often handy")["stop_word_count"] == 0


def test_duplicate_lines() -> None:
    row = measure("aa\nbbbb\naa", "aa\ncc")
    assert row["dup_line_ratio"] == near(2 / 5)  # the second and third aa of five lines
    assert row["dup_line_char_ratio"] == near((2 + 2) / (2 + 4 + 2 + 2 + 2))


def test_duplicate_paragraphs() -> None:
    row = measure("first one", "second", None, "first one", "first one")
    assert row["dup_paragraph_ratio"] == near(2 / 4)
    assert row["dup_paragraph_char_ratio"] == near((9 + 9) / (9 + 6 + 9 + 9))


def test_the_most_frequent_ngram() -> None:
    row = measure("aa b aa b cccc")
    # 2-grams: (aa b) twice, (b aa), (b cccc); 3 characters, twice, of 2+1+2+1+4 = 10.
    assert row["top_2gram_char_ratio"] == near(3 * 2 / 10)
    assert row["top_3gram_char_ratio"] == 0  # each 3-gram once: nothing repeats
    # 3-grams: (aa b aa) twice of 2+1+2+1+2 = 8 characters: 5 * 2 / 8, capped.
    assert measure("aa b aa b aa")["top_3gram_char_ratio"] == near(1)


def test_of_equally_frequent_ngrams_the_longest_counts() -> None:
    row = measure("a b a b x longer word longer word")
    # (a b) and (longer word) twice each: 10 characters twice, of 4 + 1 + 20.
    assert row["top_2gram_char_ratio"] == near(10 * 2 / 25)


def test_duplicate_ngrams_count_each_word_once() -> None:
    row = measure("a b c d e f a b c d e f")
    # The second half repeats: 5-grams (a b c d e) and (b c d e f) seen before overlap in four
    # words; six of twelve one-letter words are covered, each counted once.
    assert row["dup_5gram_char_ratio"] == near(6 / 12)
    assert row["dup_6gram_char_ratio"] == near(6 / 12)  # (a b c d e f) itself
    assert row["dup_7gram_char_ratio"] == 0


def test_a_run_of_one_word_is_covered_except_for_its_beginning() -> None:
    row = measure("ab " * 12)
    # The first 5-gram is new; the one from the second word on is its repeat: 11 of 12 words.
    assert row["dup_5gram_char_ratio"] == near(11 / 12)
    assert row["dup_10gram_char_ratio"] == near(11 / 12)
    assert row["top_2gram_char_ratio"] == near(1)  # 11 overlapping occurrences, capped


def test_ngrams_run_across_nodes() -> None:
    assert measure("a b", "a b")["top_2gram_char_ratio"] == near(1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("今天天气很好", 6),
        ("日本語", 3),
        ("ひらがな カタカナ", 8),
        ("한국어 문장", 5),
        ("ไทย", 3),
        ("中文 and English 文字", 6),
        ("GPU和CPU", 3),
        ("word,word", 1),
        ("naïve café", 2),
        ("e\u0301clair", 1),
        ("👩‍👩‍👧 👍🏽", 2),
        ("Привет, мир", 2),
        ("مرحبا بالعالم", 2),
        ("a\u3000b\u00a0c", 3),
        ("人々", 2),
    ],
)
def test_a_sign_of_a_script_without_spaces_is_a_word(text: str, words: int) -> None:
    assert measure(text)["word_count"] == words


@pytest.mark.parametrize("text", ["𠀀𠀁𠮷", "ｱｲｳ"])
def test_rare_han_and_halfwidth_kana_are_words_too(text: str) -> None:
    assert measure(text)["word_count"] == 3


@pytest.mark.parametrize(
    "text",
    [
        "ที่นี่มีอาหารอร่อยและผู้คนใจดีมากในทุกวันของสัปดาห์",
        "今天天气很好我们去公园散步",
        "오늘은 날씨가 좋아서 공원에 갑니다",
        "आज मौसम बहुत अच्छा है",
    ],
)
def test_ordinary_text_of_any_script_is_alphabetic(text: str) -> None:
    assert measure(text)["alpha_word_ratio"] >= 0.8


def test_node_texts_follow_slices_chunks_and_nulls() -> None:
    array = pa.array([nodes("a"), None, nodes("b", None), [], nodes("c")], NODES)
    expected = [["a"], None, ["b", None], [], ["c"]]
    assert node_texts(pa.chunked_array([array])) == expected
    assert node_texts(pa.chunked_array([array.slice(2)])) == expected[2:]
    chunks = [array.slice(0, 1), array.slice(1, 0), array.slice(1, 3), array.slice(4)]
    assert node_texts(pa.chunked_array(chunks)) == expected
    assert node_texts(pa.chunked_array([], NODES)) == []


def test_a_null_list_with_hidden_values_stays_null() -> None:
    flat = pa.array([nodes("hidden", "b", "c")], NODES).flatten()
    hidden = pa.ListArray.from_arrays(
        pa.array([0, 1, 3], pa.int32()), flat, type=NODES, mask=pa.array([True, False])
    )
    assert node_texts(pa.chunked_array([hidden])) == [None, ["b", "c"]]


# --- Against a slow reference -------------------------------------------------------------------


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _repeats(items: list[str]) -> tuple[float, float]:
    again = [item for index, item in enumerate(items) if item in items[:index]]
    return _share(len(again), len(items)), _share(len("".join(again)), len("".join(items)))


def _top(words: list[str], n: int) -> float:
    grams = [words[i : i + n] for i in range(len(words) - n + 1)]
    best = max(
        ((grams.count(gram), len("".join(gram))) for gram in grams),
        default=(0, 0),
    )
    if best[0] < 2:
        return 0.0
    return min(1.0, _share(best[0] * best[1], len("".join(words))))


def _covered(words: list[str], n: int) -> float:
    grams = [words[i : i + n] for i in range(len(words) - n + 1)]
    marked = [False] * len(words)
    for index, gram in enumerate(grams):
        if gram in grams[:index]:
            marked[index : index + n] = [True] * n
    hidden = "".join(word for word, mark in zip(words, marked, strict=True) if mark)
    return _share(len(hidden), len("".join(words)))


def reference(texts: list[str | None]) -> dict[str, Any]:
    """All measures, written down as the paper words them, for space-separated words only."""
    paragraphs = [text for text in texts if text]
    lines = [line.strip() for text in paragraphs for line in text.split("\n")]
    lines = [line for line in lines if line]
    words = [word for text in paragraphs for word in text.split()]
    joined = " ".join(paragraphs)
    symbols = joined.count("#") + joined.count("...") + joined.count("…")
    stops = ("the", "be", "to", "of", "and", "that", "have", "with")
    row: dict[str, Any] = {
        "char_count": sum(len(text) for text in paragraphs),
        "word_count": len(words),
        "mean_word_length": _share(len("".join(words)), len(words)),
        "image_count": texts.count(None),
        "symbol_word_ratio": _share(symbols, len(words)),
        "bullet_line_ratio": _share(sum(line[0] in "•‣▪◦●■·*-–" for line in lines), len(lines)),
        "ellipsis_line_ratio": _share(
            sum(line[-1] == "…" or line[-3:] == "..." for line in lines), len(lines)
        ),
        "alpha_word_ratio": _share(
            len([word for word in words if [sign for sign in word if sign.isalpha()]]), len(words)
        ),
        "stop_word_count": len([word for word in words if word.lower() in stops]),
    }
    row["dup_line_ratio"], row["dup_line_char_ratio"] = _repeats(lines)
    row["dup_paragraph_ratio"], row["dup_paragraph_char_ratio"] = _repeats(paragraphs)
    row |= {f"top_{n}gram_char_ratio": _top(words, n) for n in (2, 3, 4)}
    row |= {f"dup_{n}gram_char_ratio": _covered(words, n) for n in (5, 6, 7, 8, 9, 10)}
    row["node_char_count"] = [len(text or "") for text in texts]
    row["node_word_count"] = [len((text or "").split()) for text in texts]
    return row


_WORDS = st.sampled_from(
    ["a", "a", "a", "bb", "bb", "the", "Have", "#x", "c...", "…", "•", "-", "7"]
)
_LINES = st.lists(_WORDS, min_size=0, max_size=14).map(" ".join)
_TEXTS = st.lists(st.none() | st.lists(_LINES, max_size=3).map("\n".join), max_size=4)


@given(texts=_TEXTS)
@settings(deadline=None, max_examples=200)
def test_measures_equal_a_slow_reference(texts: list[str | None]) -> None:
    row = measure(*texts)
    expected = reference(texts)
    assert set(row) == set(expected)
    for name, value in expected.items():
        if isinstance(value, list):
            assert row[name] == value
        else:
            assert row[name] == near(value), name


@given(
    texts=st.lists(
        st.none() | st.text(st.characters(codec="utf-8"), max_size=30) | _LINES, max_size=5
    )
)
@settings(deadline=None, max_examples=100)
def test_shares_lie_between_zero_and_one(texts: list[str | None]) -> None:
    row = measure(*texts)
    for name in RATIOS:
        if name != "symbol_word_ratio":  # symbols per word: a word may hold several
            assert 0 <= row[name] <= 1, name
    assert len(row["node_char_count"]) == len(row["node_word_count"]) == len(texts)
    assert sum(row["node_char_count"]) == row["char_count"]
    assert sum(row["node_word_count"]) == row["word_count"]
