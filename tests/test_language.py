"""Language identification on short sentences, and how its columns line up with the nodes."""

from __future__ import annotations

from functools import cache
from inspect import unwrap
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators import language, ngram_model
from operators.language import LID_176, OWN, UNDECIDED, LanguageId
from schemas import columns
from tests.benchmarks.language_quality import all_words_scored
from tests.strategies import nodes

NODES = columns.column("nodes").type

SENTENCES = {
    "af": "Die weer is vandag mooi en ons gaan saam na die park toe stap.",
    "am": "ዛሬ አየሩ በጣም ጥሩ ነው።",
    "ar": "الطقس جميل اليوم ونحن ذاهبون إلى الحديقة.",
    "bg": "Днес времето е хубаво и ние отиваме на разходка в парка.",
    "bn": "আজ আবহাওয়া খুব ভালো, আমরা বাগানে বেড়াতে যাচ্ছি।",
    "ca": "Avui fa bon temps i anem a passejar pel parc amb els nens.",
    "cs": "Dnes je hezké počasí a půjdeme se projít do parku.",
    "cy": "Mae'r tywydd yn braf heddiw ac rydyn ni'n mynd i'r parc.",
    "da": "Vejret er dejligt i dag, og vi går en tur i parken med børnene.",
    "de": "Das Wetter ist heute schön, und wir gehen in den Park.",
    "el": "Ο καιρός είναι καλός σήμερα.",
    "en": "The weather is nice today and we are going to the park.",
    "es": "Hoy hace buen tiempo y vamos a pasear por el parque.",
    "et": "Täna on ilus ilm ja me läheme parki jalutama.",
    "eu": "Gaur eguraldi ona dago eta parkera joango gara.",
    "fa": "امروز هوا خوب است و ما به پارک می‌رویم.",
    "fi": "Tänään on kaunis ilma ja menemme puistoon kävelylle.",
    "fr": "Il fait beau aujourd'hui et nous allons au parc.",
    "gu": "આજે હવામાન સારું છે.",
    "he": "מזג האוויר יפה היום ואנחנו הולכים לפארק.",
    "hi": "आज मौसम बहुत अच्छा है और हम बगीचे में घूमने जा रहे हैं।",
    "hu": "Ma szép idő van, és elmegyünk sétálni a parkba.",
    "hy": "Այսօր եղանակը լավ է։",
    "is": "Veðrið er gott í dag og við ætlum að ganga í garðinum.",
    "it": "Oggi il tempo è bello e andiamo a fare una passeggiata nel parco.",
    "ja": "今日はとても天気がいいので公園に行きましょう。",
    "ka": "დღეს კარგი ამინდია.",
    "km": "ថ្ងៃនេះអាកាសធាតុល្អ។",
    "ko": "오늘은 날씨가 좋아서 공원에 산책하러 갑니다.",
    "lo": "ມື້ນີ້ອາກາດດີ.",
    "lt": "Šiandien gražus oras ir mes einame pasivaikščioti į parką.",
    "nl": "Het is vandaag mooi weer en we gaan naar het park.",
    "pl": "Dzisiaj jest ładna pogoda i idziemy na spacer do parku.",
    "pt": "Hoje o tempo está bom e nós vamos passear no parque.",
    "ro": "Astăzi vremea este frumoasă și mergem la plimbare în parc.",
    "ru": "Сегодня хорошая погода, и мы идём гулять в парк.",
    "sv": "Vädret är fint idag och vi ska gå en promenad i parken.",
    "ta": "இன்று வானிலை நன்றாக உள்ளது.",
    "th": "วันนี้อากาศดีมาก",
    "tr": "Bugün hava çok güzel ve parka yürüyüşe gidiyoruz.",
    "uk": "Сьогодні гарна погода, і ми йдемо гуляти в парк.",
    "vi": "Hôm nay trời đẹp và chúng tôi đi dạo trong công viên.",
    "zh": "今天天气很好，我们一起去公园散步。",
    "zu": "Namuhla izulu lihle futhi sizohamba siye epaki nezingane zethu.",
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
    letters = sum(map(str.isalpha, sentence))
    operator = LanguageId(min_chars=letters, node_min_chars=letters + 1)
    row = identify(text_nodes(sentence), operator=operator)[0]
    assert (row["lang"], row["node_lang"]) == ("en", [UNDECIDED])


def test_only_the_first_letters_of_a_long_text_are_looked_at() -> None:
    long = SENTENCES["de"] * 5 + SENTENCES["ru"] * 500
    assert identify(text_nodes(long), operator=LanguageId(max_chars=200))[0]["lang"] == "de"
    assert identify(text_nodes(long), operator=LanguageId(max_chars=10_000))[0]["lang"] == "ru"


def test_the_letters_looked_at_are_spread_over_the_nodes() -> None:
    start = SENTENCES["de"] * 2
    assert 80 < sum(map(str.isalpha, start)) < 150
    text = start + SENTENCES["ru"] * 20
    few, many = text_nodes(text, "", None, text), text_nodes(*[text] * 10)
    rows = identify(few, many, [], operator=LanguageId(max_chars=800, node_max_chars=80))
    assert [row["node_lang"] for row in rows] == [["ru", UNDECIDED, None, "ru"], ["de"] * 10, []]
    assert [row["lang"] for row in rows] == ["ru", "de", UNDECIDED]
    rows = identify(few, many, operator=LanguageId(max_chars=800, node_max_chars=400))
    assert rows[1]["node_lang"] == ["ru"] * 10


def test_line_breaks_in_a_text_do_no_harm() -> None:
    row = identify(text_nodes(SENTENCES["fr"].replace(" ", "\n")))[0]
    assert row["lang"] == "fr"


def test_provenance_names_the_model_by_its_digest() -> None:
    digests = LanguageId().provenance()
    assert {len(bytes.fromhex(digests[path.name])) for path in (LID_176, OWN)} == {32}


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


# --- Scripts ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("天气", "zh"),
        ("中华人民共和国", "zh"),
        ("東京大學圖書館", "zh"),
        ("我喜欢优の良品的零食，味道很不错", "zh"),
        ("東京の天気", "ja"),
        ("カメラ", "ja"),
        ("新宿駅", "ja"),
        ("東京駅 2番線", "ja"),
        ("서울", "ko"),
        ("Αθήνα", "el"),
        ("ประเทศไทย", "th"),
        ("good morning", "en"),
        ("park hotel", UNDECIDED),
        ("Привет", UNDECIDED),
        ("天", UNDECIDED),
    ],
)
def test_a_few_signs_are_judged_by_their_script(text: str, expected: str) -> None:
    assert identify(text_nodes(text))[0]["node_lang"] == [expected]


def test_words_of_another_script_do_not_disturb() -> None:
    row = identify(text_nodes("Мы купили новый Apple iPhone и теперь очень довольны покупкой."))[0]
    assert row["lang"] == "ru"
    assert row["lang_score"] < 0.95


def test_a_score_below_the_least_is_undecided() -> None:
    nodes = text_nodes("Danmark Norge Sverige Finland")
    sure = identify(nodes, operator=LanguageId(min_score=1.0))[0]
    assert (sure["lang"], sure["lang_score"]) == (UNDECIDED, 0)
    assert identify(nodes, operator=LanguageId(min_score=0.0))[0]["lang"] != UNDECIDED


def test_addresses_are_no_words() -> None:
    text = "https://example.org/the/weather/is/nice/today/and/we/are/going www.the-park.example"
    mail = " somebody@with-a-long-address.example.org"
    assert identify(text_nodes(text + mail))[0]["lang"] == UNDECIDED
    assert identify(text_nodes(text + " " + SENTENCES["pl"]))[0]["lang"] == "pl"


# --- Classifiers --------------------------------------------------------------------------------


def pieces() -> list[str]:
    """Some hundred texts of one to twelve words, as fastText and the loop both cut them."""
    found = []
    for text in SENTENCES.values():
        words = [word for word in text.lower().split() if word.isalpha()]
        found += [
            " ".join(words[low:high])
            for low in range(len(words))
            for high in range(low + 1, len(words) + 1, 3)
            if len(max(words[low:high], key=len).encode()) < 100
        ]
    return found


@pytest.mark.parametrize("number", [0, 1])
def test_classifiers_answer_as_fasttext_does(number: int) -> None:
    import fasttext

    path, texts = (LID_176, OWN)[number], pieces()
    assert len(texts) > 300
    classifier, found = all_words_scored(texts, number)
    labels, scores = fasttext.load_model(str(path)).predict(texts, k=1)
    for text, label, score, own in zip(texts, labels, scores, found, strict=True):
        assert own.max() == pytest.approx(float(score[0]), abs=2e-4), text
        if np.sort(own)[-2] < own.max() - 4e-4:
            assert classifier.labels[own.argmax()] == label[0].removeprefix("__label__"), text


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("das Wetter " + "a" * 101, "das Wetter"),  # a word of more than a hundred bytes is none
        ("das wеtter", "das w е tter"),  # the third letter is Cyrillic: the script ends a word
        ("das ’ '' Wetter", "das Wetter"),  # apostrophes alone are no word
        ("DAS Wetter!", "das wetter"),
        ("ab" * 50 + " Wetter", "AB" * 50 + " wetter"),
    ],
)
def test_words_are_cut_in_this_way(text: str, same: str) -> None:
    state = language.load(LID_176, OWN)
    first, second = (
        ngram_model.sum_texts(
            *language.texts_as_bytes(pa.array([own])),
            np.full(1, 1000),
            state.alphabet,
            state.table,
            ngram_model.new_memo(state.table),
        )
        for own in (text, same)
    )
    assert first.vectors.any()
    np.testing.assert_array_equal(first.vectors, second.vectors)


def test_the_memo_changes_nothing() -> None:
    texts = list(SENTENCES.values())
    state = language.load(LID_176, OWN)
    data, edges = language.texts_as_bytes(pa.array(texts))
    most = np.full(len(texts), 300)
    small = ngram_model.new_memo(state.table, 4)
    large = ngram_model.new_memo(state.table)
    for _ in range(2):
        one, other = (
            ngram_model.sum_texts(data, edges, most, state.alphabet, state.table, memo)
            for memo in (small, large)
        )
        for first, second in zip(one, other, strict=True):
            np.testing.assert_array_equal(first, second)


def test_compiled_loops_answer_as_python_does(monkeypatch: pytest.MonkeyPatch) -> None:
    documents = [text_nodes(*list(SENTENCES.values())[at : at + 3]) for at in range(0, 42, 7)]
    documents.append(text_nodes("http://a.b c@d.e 'n 𠀀𠀁 x" + "y" * 200))
    state = language.load(LID_176, OWN)
    fast = identify(*documents)
    loops = 0
    for module in (language, ngram_model):
        for name, value in list(vars(module).items()):
            if hasattr(value, "__wrapped__") and hasattr(value, "__code__"):
                monkeypatch.setattr(module, name, unwrap(value))
                loops += 1
    assert loops >= 5
    state.memo.words[:] = 0
    with np.errstate(all="ignore"):
        assert identify(*documents) == [
            {k: pytest.approx(v, abs=1e-4) if k == "lang_score" else v for k, v in row.items()}
            | {"node_lang_score": pytest.approx(row["node_lang_score"], abs=1e-4)}
            for row in fast
        ]


def test_another_file_than_a_classifier_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.ftz"
    path.write_bytes(bytes(200))
    with pytest.raises(ValueError, match=r"other\.ftz: not a fastText model"):
        ngram_model.read_classifier(path)
