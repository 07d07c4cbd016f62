"""Text measures against hand-computed examples and a slow reference in plain Python."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.text import TextStatistics, node_texts, tables
from operators.text_signs import DIGIT, LETTER, LOWER, SPACE, UPPER, folded, kinds
from operators.token_weights import WEIGHTS
from operators.word_lists import FLAGGED_LANGUAGES, PHRASES, POLICY, SCRIPT, STOP_LANGUAGES, words
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


def measure(*texts: str | None, **fields: Any) -> dict[str, Any]:
    """The measures of one document; `fields` are the operator's."""
    batch = pa.table({"nodes": pa.array([nodes(*texts)], NODES)})
    row: dict[str, Any] = TextStatistics(**fields).measure(batch, tables()).to_pylist()[0]
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
    assert row.pop("char_count") == sum(map(len, texts))
    assert row.pop("node_kind") == ["text"] * len(texts)
    assert row.pop("words_per_image") is None
    for name in (
        *("dup_paragraph_ratio", "dup_paragraph_char_ratio", "max_newline_run"),
        *("special_char_ratio", "node_special_char_ratio"),
    ):
        row.pop(name)
    for name in [name for name in row if name.startswith("node_")]:
        assert set(row.pop(name)) <= {0}, name
    assert set(row.values()) == {0}


def test_a_document_of_images_only_counts_them_and_measures_zero() -> None:
    row = measure(None, None)
    assert row.pop("image_count") == 2
    assert row.pop("node_kind") == ["image", "image"]
    for name in [name for name in row if name.startswith("node_")]:
        assert row.pop(name) == [0, 0], name
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


# --- By hand: C4, FineWeb, OBELICS, OmniCorpus --------------------------------------------------


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three?", 3),
        ("One. two", 1),  # a small letter goes on with the sentence
        ('He said: "Go." Then he went.', 2),
        ("J. Smith came. He left.", 2),
        ("It costs 3.5 dollars.", 1),
        ("No mark at the end", 1),
        ("One\nTwo\n\nThree.", 3),
        ("Wait... what? Yes...", 2),
        ("今天很好。明天呢？好！", 3),
        ("日本語です。「はい。」そうです", 3),
        ("Привет. Как дела?", 2),
        ("आज मौसम अच्छा है। कल भी।", 2),
        ("...", 0),
        ("?! -- .", 0),
    ],
)
def test_sentences_end_at_marks_of_any_script(text: str, sentences: int) -> None:
    assert measure(text)["sentence_count"] == sentences


@pytest.mark.parametrize(
    ("line", "terminal"),
    [
        ("It ends.", True),
        ("It ends!", True),
        ('"It ends"', True),
        ("It ends”", True),
        ("完了。", True),
        ("完了", False),
        ("It goes on,", False),
        ("As told.[1]", True),
        ("As told.[1][23]", True),
        ("As told.[citation needed]", True),
        ("As told[1]", False),
        ("[1]", False),
        ("It ends…", True),
        ("It ends (so to speak)", False),
    ],
)
def test_a_line_ends_like_a_sentence_or_not(line: str, terminal: bool) -> None:
    row = measure(line)
    assert row["node_ends_sentence"] == [terminal]
    assert row["terminal_line_ratio"] == terminal


def test_a_node_ends_as_its_last_line_does() -> None:
    assert measure("One.\nTwo\n", "One\nTwo.", None)["node_ends_sentence"] == [False, True, False]


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("These words end well.", True),
        ("Too few.", False),
        ("These words go on", False),
        ("These words trail off...", False),
        ("These words trail off…", False),
        ("Please enable JavaScript now.", False),
        ("Read our Privacy Policy here.", False),
        ("This site uses cookies.", False),
        (f"One long {'w' * 1001} word.", False),
        (f"One long {'w' * 999}. word.", True),
        ("As told by others.[3]", True),
    ],
)
def test_lines_that_c4_keeps(line: str, kept: bool) -> None:
    assert measure(line)["c4_line_ratio"] == kept
    assert measure(line + "\nAnother line of text.")["c4_sentence_count"] == 1 + kept


def test_c4_line_limits_are_fields() -> None:
    assert measure("Two words.", min_line_words=2)["c4_line_ratio"] == 1
    assert measure("One longish word.", max_word_length=6)["c4_line_ratio"] == 0
    assert measure("a b", min_line_words=2)["few_word_line_ratio"] == 0
    assert measure("a b", min_line_words=3)["few_word_line_ratio"] == 1
    assert measure("a b", short_line_length=2)["short_line_ratio"] == 0


def test_phrases_count_lines_or_occurrences_in_any_case() -> None:
    row = measure(
        "Lorem Ipsum lorem ipsum\nJAVASCRIPT javascript",
        "Terms of Use and cookie policy\nWe use cookies {a} {b}",
        "a [1] b [] c[22] d[x] [edit]",
    )
    assert row["lorem_ipsum_count"] == 2
    assert row["javascript_line_count"] == 1
    assert row["policy_line_count"] == 2
    assert row["curly_bracket_count"] == 2
    assert row["citation_mark_count"] == 4
    assert row["node_javascript_line_count"] == [1, 0, 0]
    assert row["node_policy_line_count"] == [0, 2, 0]
    assert row["node_citation_mark_count"] == [0, 0, 4]


@pytest.mark.parametrize("phrase", [*PHRASES])
def test_every_phrase_is_found_at_the_end_and_not_when_cut(phrase: str) -> None:
    columns_of = {SCRIPT: "javascript_line_count", POLICY: "policy_line_count"}
    names = ["lorem_ipsum_count", "citation_mark_count"]
    name = columns_of.get(PHRASES[phrase], names[phrase[0] == "["])
    assert measure("so " + phrase)[name] == 1
    assert measure("so " + phrase[:-1])[name] == 0
    assert measure("so " + phrase[:-1], phrase[-1:])[name] == 0


def test_spans_of_three_sentences() -> None:
    row = measure("One. Two. Three. Four.", "One. Two. Three.")
    # Seven sentences make five spans; (One Two Three) comes again.
    assert row["dup_sentence_span_ratio"] == near(1 / 5)


def test_short_lines_and_line_breaks() -> None:
    row = measure("a" * 30 + "\n" + "b" * 31 + "\n\n \n" + "c d", None, "e f g h")
    assert row["line_count"] == 4
    assert row["short_line_ratio"] == near(3 / 4)
    assert row["few_word_line_ratio"] == near(3 / 4)
    assert row["newline_word_ratio"] == near(5 / 8)  # four in the first node, one between nodes
    assert row["max_newline_run"] == 3


def test_shares_of_kinds_of_characters() -> None:
    row = measure("AB cd 12!", "É")
    assert row["digit_ratio"] == near(2 / 8)
    assert row["uppercase_ratio"] == near(3 / 8)
    assert row["special_char_ratio"] == near(5 / 10)  # two spaces, 12!
    assert row["node_uppercase_ratio"] == [near(2 / 7), 1]
    assert row["node_digit_ratio"] == [near(2 / 7), 0]


def test_punctuation_is_a_share_of_words_and_marks() -> None:
    assert measure("Well, it's done.")["punctuation_ratio"] == near(2 / 5)
    assert measure("你好，世界。")["punctuation_ratio"] == near(2 / 6)


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("The cat is on the mat.", 4 / 6),
        ("“The” (cat) IS …", 2 / 3),  # words without letters are left out
        ("Don’t you see 2024?", 2 / 3),
        ("Der Hund ist in dem Haus", 4 / 6),
        ("我的猫在家", 3 / 5),
        ("кот и собака", 1 / 3),
        ("12 34 !!", 0),
    ],
)
def test_stop_words_are_those_of_the_language_that_fits_best(text: str, share: float) -> None:
    row = measure(text)
    assert row["stop_word_ratio"] == near(share)
    assert row["node_stop_word_ratio"] == [near(share)]


def test_flagged_words_are_found_as_words_and_as_runs_of_signs() -> None:
    assert measure("Some porn here, PORN!")["flagged_word_ratio"] == near(2 / 4)
    assert measure("popcorn pornichet")["flagged_word_ratio"] == 0
    assert measure("看色情网站")["flagged_word_ratio"] == near(2 / 5)
    assert measure("色情色情")["flagged_word_ratio"] == 1
    assert measure("色", "情")["flagged_word_ratio"] == 0


def test_repetition_of_characters_and_words() -> None:
    # Of "abcabc..." 40 signs long, 31 10-grams are 3 different ones; the most frequent one has 11.
    row = measure(("abc" * 14)[:40])
    assert row["char_repetition_ratio"] == near(11 / 31)
    # Ten words twice: 16 5-grams, of which 6 occur twice, whatever the case or marks.
    words_ = "one two three four five six seven eight nine ten"
    assert measure(words_ + ". " + words_.upper())["word_repetition_ratio"] == near(12 / 16)
    assert measure(words_, words_)["node_word_repetition_ratio"] == [0, 0]


def test_the_most_frequent_word_and_lengths_of_paragraphs() -> None:
    row = measure("Buy now, BUY here: buy!", None, "more", None)
    assert row["top_word_ratio"] == near(3 / 6)
    assert (row["longest_paragraph_words"], row["mean_paragraph_words"]) == (5, 3)
    assert row["words_per_image"] == near(6 / 2)
    assert (row["longest_word_length"], row["node_longest_word_length"]) == (5, [5, 0, 4, 0])


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("The quick brown fox jumps over the lazy dog.", 9, 12),  # 10
        ("今天天气很好，我们去公园散步。", 9, 14),  # 11
        ("Die Donaudampfschifffahrtsgesellschaft", 3, 13),  # 12
        ("", 0, 0),
    ],
)
def test_tokens_are_about_those_of_a_tokenizer(text: str, least: int, most: int) -> None:
    assert least <= measure(text)["token_count"] <= most


# --- Signs and word lists -----------------------------------------------------------------------


def test_bits_of_signs_are_those_of_python() -> None:
    table, folds = kinds(), folded()
    for point in (*range(0x3400), *range(0xD7A0, 0x20000, 7), *range(0x20000, 0x40000, 997)):
        sign, bits = chr(point), int(table[point])
        assert bool(bits & SPACE) == sign.isspace()
        assert bool(bits & LETTER) == sign.isalpha()
        assert bool(bits & UPPER) == sign.isupper()
        assert bool(bits & LOWER) == sign.islower()
        assert bool(bits & DIGIT) == (unicodedata.category(sign) == "Nd")
        if len(sign.lower()) == 1 and sign != "’":
            assert chr(folds[point]) == sign.lower()


@pytest.mark.parametrize(
    "name", [f"stop-{x}" for x in STOP_LANGUAGES] + [f"flagged-{x}" for x in FLAGGED_LANGUAGES]
)
def test_word_lists_are_clean(name: str) -> None:
    found = words(name)
    assert len(found) >= 70
    assert len(set(found)) == len(found)
    assert all(word == word.lower() and word[0].isalpha() for word in found)
    if name[-2:] in ("zh", "ja", "ko") and name.startswith("stop"):
        assert {len(word) for word in found} == {1}


# --- Arrow ----------------------------------------------------------------------------------------


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
    return row | rest_of_reference(texts, lines, words)


_CITED = re.compile(r"\[\d*\]|\[edit\]|\[citation needed\]", re.IGNORECASE)


def _terminal(line: str) -> bool:
    while line.endswith("]") and (mark := re.search(rf"(?:{_CITED.pattern})$", line, re.I)):
        line = line[: mark.start()]
    return line[-1:] in tuple(".!?…\"'”") and line != ""


def _kept(line: str) -> bool:
    plain = line
    while mark := re.search(rf"(?:{_CITED.pattern})$", plain, re.I):
        plain = plain[: mark.start()]
    about = [phrase for phrase, topic in PHRASES.items() if topic in (SCRIPT, POLICY)]
    return (
        _terminal(line)
        and not plain.endswith(("...", "…"))
        and len(line.split()) >= 3
        and max(map(len, line.split())) <= 1000
        and not any(phrase in line.lower() for phrase in about)
    )


def _keys(text: str) -> list[str]:
    """Words in small letters, without what is no letter at either end; empty ones left out."""
    found = [
        re.sub(r"^[^a-zéł]+|[^a-zéł]+$", "", word.lower().replace("’", "'"))
        for word in text.split()
    ]
    return [word for word in found if word]


def _char_repetition(text: str) -> float:
    counts = sorted(Counter(text[i : i + 10] for i in range(len(text) - 9)).values(), reverse=True)
    repeated = [count for count in counts if count > 1]
    return _share(sum(repeated[: math.isqrt(len(counts))]), sum(counts))


def _word_repetition(keys: list[str]) -> float:
    counts = Counter(tuple(keys[i : i + 5]) for i in range(len(keys) - 4)).values()
    return _share(sum(count for count in counts if count > 1), sum(counts))


def _of_text(texts: list[str], keys: list[str]) -> dict[str, float]:
    """Measures that documents and nodes have alike; a document's text is its nodes' in a row."""
    text = "".join(texts)
    marks = r"[!-&(-/:-@\[-^`{-~…•”’]"
    tokens = [token for part in texts for token in re.findall(rf"[\w']+|{marks}", part)]
    solid = [sign for sign in text if not sign.isspace()]
    stops = [sum(key in words(f"stop-{name}") for key in keys) for name in STOP_LANGUAGES]
    return {
        "char_repetition_ratio": _char_repetition(text),
        "word_repetition_ratio": _word_repetition(keys),
        "special_char_ratio": _share(sum(not sign.isalpha() for sign in text), len(text)),
        "stop_word_ratio": _share(max(stops), len(keys)),
        "flagged_word_ratio": _share(sum(key in words("flagged-en") for key in keys), len(keys)),
        "digit_ratio": _share(sum(sign.isdigit() for sign in solid), len(solid)),
        "uppercase_ratio": _share(sum(sign.isupper() for sign in solid), len(solid)),
        "punctuation_ratio": _share(
            sum(re.fullmatch(marks, token) is not None for token in tokens), len(tokens)
        ),
    }


def rest_of_reference(
    texts: list[str | None], lines: list[str], found_words: list[str]
) -> dict[str, Any]:
    """The measures of C4, FineWeb, OBELICS and OmniCorpus, for Latin text only."""
    paragraphs = [text for text in texts if text]
    keys = [_keys(text or "") for text in texts]
    every_key = [key for node in keys for key in node]
    lower = [line.lower() for line in lines]
    images = texts.count(None)
    sizes = [len(text.split()) for text in paragraphs]
    row: dict[str, Any] = {
        "line_count": len(lines),
        "longest_word_length": max(map(len, found_words), default=0),
        "terminal_line_ratio": _share(sum(map(_terminal, lines)), len(lines)),
        "short_line_ratio": _share(sum(len(line) <= 30 for line in lines), len(lines)),
        "few_word_line_ratio": _share(sum(len(line.split()) < 3 for line in lines), len(lines)),
        "newline_word_ratio": _share("\n".join(paragraphs).count("\n"), len(found_words)),
        "max_newline_run": max(
            [
                re.sub(r"[^\S\n]", "", run).count("\n")
                for text in paragraphs
                for run in re.findall(r"\s+", text)
            ],
            default=0,
        ),
        "lorem_ipsum_count": sum(line.count("lorem ipsum") for line in lower),
        "curly_bracket_count": sum(text.count("{") for text in paragraphs),
        "c4_line_ratio": _share(sum(map(_kept, lines)), len(lines)),
        "top_word_ratio": _share(max(Counter(every_key).values(), default=0), len(every_key)),
        "longest_paragraph_words": max(sizes, default=0),
        "mean_paragraph_words": _share(len(found_words), len(paragraphs)),
        "words_per_image": len(found_words) / images if images else None,
        "javascript_line_count": sum("javascript" in line for line in lower),
        "policy_line_count": sum(
            any(phrase in line for phrase, topic in PHRASES.items() if topic == POLICY)
            for line in lower
        ),
        "citation_mark_count": sum(len(_CITED.findall(line)) for line in lines),
        "node_kind": ["image" if text is None else "text" for text in texts],
        "node_longest_word_length": [max(map(len, (t or "").split()), default=0) for t in texts],
        "node_alpha_word_ratio": [
            _share(sum(any(map(str.isalpha, w)) for w in (t or "").split()), len((t or "").split()))
            for t in texts
        ],
    }
    row |= _of_text(paragraphs, every_key)
    by_node = [_of_text([text or ""], node) for text, node in zip(texts, keys, strict=True)]
    return row | {f"node_{name}": [node[name] for node in by_node] for name in _of_text([], [])}


_WORDS = st.sampled_from(
    [
        *("a", "a", "a", "bb", "bb", "the", "Have", "#x", "c...", "…", "•", "-", "7", "Él.", "x!"),
        *("(y)", "JavaScript", "use cookies", "lorem ipsum", "{", "end.[1]", "[edit]", "Don’t"),
        *("porn", "x_9'"),
    ]
)
_LINES = st.lists(_WORDS, min_size=0, max_size=14).map(" ".join)
_TEXTS = st.lists(st.none() | st.lists(_LINES, max_size=3).map("\n".join), max_size=4)


@given(texts=_TEXTS)
@settings(deadline=None, max_examples=200)
def test_measures_equal_a_slow_reference(texts: list[str | None]) -> None:
    row = measure(*texts)
    expected = reference(texts)
    others = {"sentence_count", "node_sentence_count", "c4_sentence_count", "token_count"}
    others |= {"node_token_count", "dup_sentence_span_ratio", "node_ends_sentence"}
    others |= {f"node_{name}_count" for name in ("javascript_line", "policy_line", "citation_mark")}
    assert set(row) - set(expected) == others  # these by hand, and below
    for name, value in expected.items():
        if value is None or not (value and isinstance(value, list) and isinstance(value[0], float)):
            assert row[name] == (value if isinstance(value, list | None) else near(value)), name
        else:
            assert row[name] == [near(one) for one in value], name


@given(texts=_TEXTS)
@settings(deadline=None, max_examples=30)
def test_a_document_has_the_sentences_and_tokens_of_its_nodes(texts: list[str | None]) -> None:
    row = measure(*texts)
    for name in ("sentence_count", "token_count", "javascript_line_count", "citation_mark_count"):
        assert row[name] == sum(row[f"node_{name}"]), name
    assert row["c4_sentence_count"] <= row["sentence_count"]
    assert row["token_count"] == sum(math.ceil(round(_tokens(text or ""), 9)) for text in texts)


def _tokens(text: str) -> float:
    """The estimate, sign for sign, with the script of each from its name."""
    estimate, before, run = WEIGHTS["space"][0], "space", 0
    if not text.strip():
        return 0.0
    for sign in text:
        if sign.isspace():
            script = "space"
        elif sign.isdigit():
            script = "digit"
        elif sign.isalpha():
            script = "ascii letter" if sign.isascii() else "latin letter"
        else:
            script = "punctuation"
        same = "ascii letter" if script == "latin letter" else script
        if same != before:
            estimate += WEIGHTS[same][0]
            before, run = same, 0
        run += 1
        estimate += WEIGHTS[script][1] + (WEIGHTS[script][2] if run > 6 else 0)
    return estimate


@given(
    texts=st.lists(
        st.none() | st.text(st.characters(codec="utf-8"), max_size=30) | _LINES, max_size=5
    )
)
@settings(deadline=None, max_examples=100)
def test_shares_lie_between_zero_and_one(texts: list[str | None]) -> None:
    row = measure(*texts)
    for name in RATIOS:
        if name.startswith("node_"):
            assert all(0 <= value <= 1 for value in row[name]), name
        elif name not in ("symbol_word_ratio", "newline_word_ratio"):  # a word may have several
            assert 0 <= row[name] <= 1, name
    assert len(row["node_char_count"]) == len(row["node_word_count"]) == len(texts)
    assert sum(row["node_char_count"]) == row["char_count"]
    assert sum(row["node_word_count"]) == row["word_count"]
