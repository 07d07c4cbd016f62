"""Classifiers of documents: scores, files, errors, and how long texts are put in batches."""

from __future__ import annotations

import importlib.metadata
import json
import os
import random
from functools import cache
from inspect import unwrap
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from operators import ngrams
from operators.classifiers import LinearModel, batches_by_length
from operators.classify import ClassifyText
from operators.files import content_digest
from operators.forward import complete_torchvision
from operators.ngrams import LinearClassifier, LinearSettings, clean, features, fit
from pipelines.jobfile import problems_of
from schemas import columns
from schemas.errors import InputError
from tests import labelled
from tests.strategies import texts

GOLDEN = Path(__file__).parent / "golden" / "classify_errors.txt"
NODES = columns.column("nodes").type
SCORES = ClassifyText.writes.names

FLUENT = {
    "en": "The old bridge was closed for repairs during the summer, so most people took the ferry "
    "across the river. It was slower, but nobody seemed to mind, because the view of the hills in "
    "the evening was worth the wait.\nWhen the bridge was opened again, many of them missed it.",
    "zh": "这座老桥在夏天因为维修而关闭，所以大多数人都坐船过河。虽然比较慢，但是没有人在意，"
    "因为傍晚的景色非常美丽。等到桥重新开放的时候，很多人反而怀念坐船的日子。",
}


def document(*found: str | None) -> list[dict[str, Any]]:
    return [
        {"kind": "image" if text is None else "text", "text": text, "dom_index": index}
        for index, text in enumerate(found)
    ]


def scores(operator: ClassifyText, *documents: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
    batch = pa.table({"nodes": pa.array(list(documents), NODES)})
    found: list[dict[str, Any]] = operator.measure(batch, operator.setup()).to_pylist()
    return found


@cache
def head() -> LinearClassifier:
    found = labelled.rows(150)
    settings = LinearSettings(bits=12, epochs=4)
    return fit([r["text"] for r in found], [r["label"] for r in found], settings, lambda _: None)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ads.npz and ads.bin, trained on the same texts, and vectors.bin."""
    import fasttext

    folder = tmp_path_factory.mktemp("models")
    head().save(folder / "ads.npz")
    lines = [f"__label__{r['label']} {r['text']}\n" for r in labelled.rows(300)]
    (folder / "ads.txt").write_text("".join(lines), "utf-8")
    settings = {"epoch": 20, "dim": 8, "bucket": 1000, "thread": 1, "verbose": 0}
    data = str(folder / "ads.txt")
    fasttext.train_supervised(data, lr=0.5, **settings).save_model(str(folder / "ads.bin"))
    vectors = fasttext.train_unsupervised(data, minCount=1, **settings)
    vectors.save_model(str(folder / "vectors.bin"))
    return folder


# --- The operator -------------------------------------------------------------------------------


@pytest.mark.parametrize("language", FLUENT)
def test_the_shipped_model_tells_running_text_from_its_words_in_disorder(language: str) -> None:
    text, chance = FLUENT[language], random.Random(0)
    words = list(text) if language == "zh" else text.split()
    mixed = ("" if language == "zh" else " ").join(chance.sample(words, len(words)))
    keys = "".join(chance.choice("0123456789abcdef") for _ in range(400))
    good, bad, key = scores(ClassifyText(), document(text), document(mixed), document(keys))
    assert good["fluency_prob"] > 0.6
    assert bad["fluency_prob"] < 0.4
    assert key["fluency_prob"] < 0.1


def test_columns_without_a_model_and_documents_without_text_are_null() -> None:
    whole, *rest = scores(
        ClassifyText(), document(FLUENT["en"]), document(), document(None), document(" \n"), None
    )
    assert [name for name in SCORES if whole[name] is not None] == ["fluency_prob"]
    assert rest == [dict.fromkeys(SCORES)] * 4
    none = scores(ClassifyText(models={}), document(FLUENT["en"]))
    assert none == [dict.fromkeys(SCORES)]


@pytest.mark.parametrize("kind", ["linear", "fasttext"])
def test_a_trained_file_scores_its_label(kind: str, models: Path) -> None:
    path = str(models / ("ads.npz" if kind == "linear" else "ads.bin"))
    operator = ClassifyText.model_validate(
        {
            "models": {
                "non_advertisement_prob": {"kind": kind, "path": path, "label": "clean"},
                "porn_prob": {"kind": kind, "path": path, "label": "ads"},
            }
        }
    )
    assert len(operator.setup()) == 1  # one pass over the texts serves both labels
    ad, tale = scores(
        operator,
        document("buy cheap discount", None, "offer click now\nbest price sale"),
        document("we walked along the quiet river", "and saw old trees"),
    )
    assert ad["porn_prob"] > 0.6 > 0.4 > ad["non_advertisement_prob"]
    assert tale["non_advertisement_prob"] > 0.6
    for row in (ad, tale):
        assert row["porn_prob"] + row["non_advertisement_prob"] == pytest.approx(1, abs=2e-4)
        assert row["toxic_prob"] is None


def test_only_the_first_characters_are_looked_at(models: Path) -> None:
    model = {"kind": "linear", "path": str(models / "ads.npz"), "label": "ads"}
    short, long = (
        ClassifyText.model_validate({"models": {"toxic_prob": model}, "max_chars": most})
        for most in (30, 10_000)
    )
    page = document("quiet old trees and the river.", "buy cheap discount offer now " * 50)
    assert scores(short, page)[0]["toxic_prob"] < 0.4
    assert scores(long, page)[0]["toxic_prob"] > 0.6


def test_provenance_follows_the_weights(models: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.npz"
    path.write_bytes((models / "ads.npz").read_bytes())
    operator = ClassifyText(models={"toxic_prob": LinearModel(path=str(path), label="ads")})
    first = operator.provenance()
    assert list(first) == [str(path)]
    assert len(bytes.fromhex(first[str(path)])) == 32
    LinearClassifier(("a", "ads"), np.zeros((8, 1), np.float32), np.zeros(1), 1, 1).save(path)
    assert operator.provenance() != first
    fasttext = {"kind": "fasttext", "path": str(models / "ads.bin"), "label": "ads"}
    other = ClassifyText.model_validate({"models": {"porn_prob": fasttext}}).provenance()
    version = importlib.metadata.version("fasttext-community")
    assert other.pop("fasttext-community") == version
    assert list(other) == [str(models / "ads.bin")]


def test_a_folder_is_known_by_the_names_and_contents_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one").write_text("1")
    digest = content_digest(tmp_path)
    assert content_digest(tmp_path) == digest
    (tmp_path / "a" / "one").rename(tmp_path / "a" / "two")
    renamed = content_digest(tmp_path)
    (tmp_path / "a" / "two").write_text("22")
    assert len({digest, renamed, content_digest(tmp_path)}) == 3


# --- Errors -------------------------------------------------------------------------------------

_PRETTY = {"kind": "fasttext", "path": "ads.bin", "label": "ads"}
_WRONG: dict[str, Any] = {
    "not a mapping": ["toxic_prob"],
    "no such score": {"toxicity_prob": _PRETTY},
    "no kind": {"toxic_prob": {"path": "a", "label": "b"}},
    "wrong kind": {"toxic_prob": _PRETTY | {"kind": "fastext"}},
    "not a model": {"toxic_prob": "ads.bin"},
    "unknown field": {"toxic_prob": _PRETTY | {"lable": "ads"}},
    "foreign field": {"toxic_prob": _PRETTY | {"max_tokens": 512}},
    "missing field": {"toxic_prob": {"kind": "linear", "path": "ads.npz"}},
    "small window": {"toxic_prob": _PRETTY | {"kind": "huggingface", "max_tokens": 4}},
    "branch, not commit": {"toxic_prob": _PRETTY | {"kind": "huggingface", "revision": "main"}},
    "missing file": {"toxic_prob": _PRETTY | {"path": "add.bin"}},
    "no such model ships": {
        "toxic_prob": {"kind": "linear", "path": "omniloom:fluncy.npz", "label": "x"}
    },
    "wrong label": {"toxic_prob": _PRETTY | {"label": "toxic"}},
    "word vectors": {"toxic_prob": _PRETTY | {"path": "vectors.bin"}},
    "no fastText file": {"toxic_prob": _PRETTY | {"path": "junk"}},
    "no linear file": {"toxic_prob": {"kind": "linear", "path": "junk", "label": "x"}},
    "arrays that do not fit": {"toxic_prob": {"kind": "linear", "path": "odd.npz", "label": "x"}},
    "no such folder": {"toxic_prob": _PRETTY | {"kind": "huggingface", "path": "bert"}},
    "folder without config": {"toxic_prob": _PRETTY | {"kind": "huggingface", "path": "empty"}},
    "pickled weights": {"toxic_prob": _PRETTY | {"kind": "huggingface", "path": "pickled"}},
    "missing extra": {"toxic_prob": _PRETTY | {"kind": "huggingface", "path": "whole"}},
}  # fmt: skip


def _error(value: Any) -> str:
    try:
        operator = ClassifyText.model_validate({"models": value})
    except ValidationError as error:
        where: tuple[str | int, ...] = ("stages", "classify")
        lines = {where: 3, (*where, "models"): 4}
        found = problems_of(error, ClassifyText, "job.yaml", lines, where)
        return "\n".join(map(str, found))
    try:
        operator.provenance()
        operator.setup()
    except InputError as error:
        return str(error)
    return "nothing wrong"


def test_error_texts_are_the_golden_ones(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rewrite with UPDATE_GOLDEN=1 after judging the words."""
    monkeypatch.chdir(models)
    (models / "junk").write_bytes(b"no model at all")
    np.savez(
        models / "odd.npz",
        labels=np.array(["a", "b"]),
        weights=np.zeros((7, 1)),
        bias=np.zeros(1),
        sign_ngrams=1,
        word_ngrams=1,
    )
    for folder, files in {
        "empty": (), "pickled": ("config.json", "pytorch_model.bin"),
        "whole": ("config.json", "model.safetensors"),
    }.items():  # fmt: skip
        (models / folder).mkdir(exist_ok=True)
        for name in files:
            (models / folder / name).write_bytes(b"{}")
    known = importlib.metadata.version

    def version(name: str) -> str:
        if name == "torch":
            raise importlib.metadata.PackageNotFoundError(name)
        return known(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    said = "".join(f"# {name}\n{_error(value)}\n\n" for name, value in _WRONG.items())
    assert "nothing wrong" not in said
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(said, "utf-8")
    assert said == GOLDEN.read_text("utf-8")


# --- Batches by length --------------------------------------------------------------------------

lengths_and_budgets = given(st.lists(st.integers(1, 600), max_size=60), st.integers(1, 2000))


@lengths_and_budgets
def test_batches_hold_every_row_once_within_the_budget(lengths: list[int], budget: int) -> None:
    batches = list(batches_by_length(lengths, budget))
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    for batch in batches:
        padded = len(batch) * max(lengths[row] for row in batch)
        assert padded <= budget or len(batch) == 1


@lengths_and_budgets
def test_batches_are_full_and_of_like_length(lengths: list[int], budget: int) -> None:
    batches = list(batches_by_length(lengths, budget))
    found = [lengths[row] for batch in batches for row in batch]
    assert found == sorted(lengths, reverse=True)
    for batch, _ in pairwise(batches):  # but for the last, no batch had room for one more
        assert (len(batch) + 1) * lengths[batch[0]] > budget


# --- The linear head ----------------------------------------------------------------------------


def grams(text: str, orders: tuple[int, int]) -> list[list[tuple[str, ...]]]:
    """The n-grams of a text in ASCII, order by order, by plain slices."""
    signs = [*text.lower()]
    words: list[str] = []
    inside = False
    for sign in signs:
        if sign.isalnum() and inside:
            words[-1] += sign
        elif sign != " ":
            words.append(sign)
        inside = sign.isalnum()
    return [
        [tuple(items[at : at + n]) for at in range(len(items) - n + 1)]
        for items, most in ((signs, orders[0]), (words, orders[1]))
        for n in range(1, most + 1)
    ]


@given(st.lists(st.text("aB c.\n", max_size=30), min_size=1, max_size=4))
@settings(deadline=None, max_examples=60)
def test_features_are_the_ngrams_of_signs_and_words(found: list[str]) -> None:
    buckets = 1 << 30  # no two of these few n-grams meet
    got = features(found, 3, 2, buckets)
    at = 0
    known: dict[tuple[int, tuple[str, ...]], int] = {}
    for number, text in enumerate(found):
        for order, items in enumerate(grams(text, (3, 2))):
            assert got.sizes[number, order] == len(items)
            for item in items:
                bucket = int(got.buckets[at])
                assert known.setdefault((order, item), bucket) == bucket
                at += 1
    assert at == len(got.buckets)
    assert len(set(known.values())) == len(known)
    assert all(0 <= bucket < buckets for bucket in known.values())


def test_digits_are_alike_and_each_sign_of_a_wide_script_is_a_word() -> None:
    one, other = (features([text], 2, 2, 1 << 16) for text in ("Page 12", "page 98"))
    assert one.buckets.tolist() == other.buckets.tolist()
    sizes = features(["今天天气", "weather", "naïve ไทย"], 0, 1, 1 << 16).sizes
    assert sizes[:, 0].tolist() == [4, 1, 4]


def test_a_probability_is_the_logistic_of_the_bias_and_mean_weights() -> None:
    chance = np.random.default_rng(1)
    weights = chance.normal(size=(64, 2)).astype(np.float32)
    model = LinearClassifier(("a", "b", "c"), weights, np.array([0.5, -1.0]), 2, 1)
    text = "some words here"
    got = features([text], 2, 1, 64)
    logits, at = model.bias.copy(), 0
    for size in got.sizes[0]:
        logits += weights[got.buckets[at : at + size]].mean(axis=0)
        at += size
    odds = np.exp([0, *logits])
    np.testing.assert_allclose(model.probabilities([text])[0], odds / odds.sum(), rtol=1e-6)
    assert model.probabilities([]).shape == (0, 3)


@given(st.lists(texts(), max_size=6))
@settings(deadline=None, max_examples=60)
def test_any_text_has_probabilities_that_do_not_depend_on_its_neighbours(found: list[str]) -> None:
    together = head().probabilities(found)
    assert together.shape == (len(found), 2)
    np.testing.assert_allclose(together.sum(axis=1), 1)
    for text, row in zip(found, together, strict=True):
        assert head().probabilities([text])[0].tolist() == row.tolist()


def test_training_is_the_same_each_time_and_a_file_gives_back_what_was_saved(
    tmp_path: Path,
) -> None:
    again = unwrap(head)()
    assert np.array_equal(head().weights, again.weights)
    head().save(tmp_path / "one.npz")
    again.save(tmp_path / "two.npz")
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    loaded = LinearClassifier.load(tmp_path / "one.npz")
    found = [row["text"] for row in labelled.rows(40, seed=9)]
    assert loaded.labels == ("ads", "clean")
    np.testing.assert_allclose(loaded.probabilities(found), head().probabilities(found), atol=1e-3)


def test_more_than_two_labels_are_learned() -> None:
    words = {"sea": "wave sand salt", "town": "street lamp tram", "wood": "moss oak fern"}
    chance = random.Random(0)
    rows = [
        (" ".join(chance.choices(own.split(), k=12)), label)
        for label, own in words.items()
        for _ in range(30)
    ]
    model = fit(
        [text for text, _ in rows], [label for _, label in rows],
        LinearSettings(bits=10, epochs=3), lambda _: None,
    )  # fmt: skip
    assert model.labels == ("sea", "town", "wood")
    found = model.probabilities(["sand and a wave", "a lamp in the street", "fern, moss and oak"])
    assert found.argmax(axis=1).tolist() == [0, 1, 2]


def test_compiled_loops_answer_as_python_does(monkeypatch: pytest.MonkeyPatch) -> None:
    def everything() -> list[Any]:
        model = unwrap(head)()
        found = features(["A fox, 17 trees.\n今天", "", "x"], 3, 2, 256)
        probabilities = model.probabilities(["buy now", "quiet trees"])
        return [found.buckets, found.sizes, model.weights, model.bias, probabilities]

    short = labelled.rows(12)
    monkeypatch.setattr(labelled, "rows", lambda count: short)
    fast = everything()
    for name in ("_hashed", "_logits", "_descend"):
        monkeypatch.setattr(ngrams, name, unwrap(getattr(ngrams, name)))
    with np.errstate(all="ignore"):
        slow = everything()
    for one, other in zip(fast, slow, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-9)


@given(texts(60))
def test_clean_text_is_clean_and_keeps_its_words(text: str) -> None:
    found = clean(text)
    assert clean(found) == found
    assert found.split() == text.split()


# --- Hugging Face -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny classifier with random weights."""
    torch = pytest.importorskip("torch")
    complete_torchvision()
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("bert")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz"]
    (folder / "vocab.txt").write_text("\n".join([*words, *(f"##{w}" for w in words[5:])]))
    transformers.BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=57, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=64, num_labels=3,
        id2label={0: "calm", 1: "toxic", 2: "other"}, initializer_range=1.0,  # so that texts differ
    )  # fmt: skip
    network = transformers.BertForSequenceClassification(config)
    network.save_pretrained(folder, safe_serialization=True)
    return folder


def test_a_transformer_scores_documents_alone_as_together(bert: Path) -> None:
    model = {"kind": "huggingface", "path": str(bert), "max_tokens": 16, "batch_tokens": 64}
    chosen = {"toxic_prob": model | {"label": "toxic"}, "porn_prob": model | {"label": "calm"}}
    operator = ClassifyText.model_validate({"models": chosen})
    assert {"torch", "transformers", str(bert)} <= operator.provenance().keys()
    chance = random.Random(3)
    pages = [
        document("".join(chance.choice("abcdefg  ") for _ in range(chance.randint(1, 200))) + "x")
        for _ in range(20)
    ]
    together = scores(operator, *pages)
    assert len(operator.setup()) == 1
    assert len({row["toxic_prob"] for row in together}) > 10
    for page, row in zip(pages, together, strict=True):
        alone = scores(operator, page)[0]
        assert alone["toxic_prob"] == pytest.approx(row["toxic_prob"], abs=2e-4)
        assert 0 <= row["toxic_prob"] + row["porn_prob"] <= 1


def test_a_long_document_has_the_mean_of_its_windows(bert: Path) -> None:
    def toxic(text: str, windows: int) -> float:
        model = {"kind": "huggingface", "path": str(bert), "label": "toxic", "max_tokens": 10}
        chosen = {"toxic_prob": model | {"max_windows": windows}}
        found = scores(ClassifyText.model_validate({"models": chosen}), document(text))
        return float(found[0]["toxic_prob"])

    first, second = "abcdefgh", "qzqzqzqz"  # eight signs and two special ones fill a window
    whole = " ".join(first) + " " + " ".join(second)
    one, other = toxic(" ".join(first), 1), toxic(" ".join(second), 1)
    assert abs(one - other) > 0.01
    assert toxic(whole, 1) == pytest.approx(one, abs=2e-4)
    assert toxic(whole, 4) == pytest.approx((one + other) / 2, abs=2e-4)


def test_a_transformer_without_such_a_label_names_those_it_has(bert: Path) -> None:
    model = {"kind": "huggingface", "path": str(bert), "label": "toxik"}
    operator = ClassifyText.model_validate({"models": {"toxic_prob": model}})
    with pytest.raises(InputError, match="'calm', 'toxic', 'other'"):
        operator.setup()


def test_a_broken_transformer_is_refused(bert: Path, tmp_path: Path) -> None:
    for path in bert.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "no_such"}))
    model = {"kind": "huggingface", "path": str(tmp_path), "label": "toxic"}
    operator = ClassifyText.model_validate({"models": {"toxic_prob": model}})
    with pytest.raises(InputError, match="cannot be read as a huggingface classifier"):
        operator.setup()
