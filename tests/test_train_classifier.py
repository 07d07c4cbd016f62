"""`omniloom train-classifier` on small generated texts: split, figures, files, errors."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.classify import ClassifyText
from operators.ngrams import LinearClassifier
from pipelines.train_classifier import (
    Labelled,
    Options,
    figure_lines,
    held_out,
    least_threshold,
    measure,
    point,
    read_labelled,
    train_classifier,
)
from schemas.errors import InputError
from tests import labelled
from tests.support import omniloom
from tests.test_classify import document, scores

GOLDEN = Path(__file__).parent / "golden" / "train_classifier_errors.txt"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """600 labelled texts of 29 sites."""
    folder = tmp_path_factory.mktemp("data")
    return labelled.write_rows(folder / "ads.jsonl", labelled.rows(600))


def quiet(options: Options) -> Any:
    return train_classifier(options, lambda line: None)


# --- The command --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ads.ftz", "ads.bin", "ads.npz"])
def test_the_command_trains_measures_and_writes_model_and_card(
    name: str, data: Path, tmp_path: Path
) -> None:
    done = omniloom("train-classifier", data, "--out", tmp_path / name, "--group", "site")
    assert sorted(path.name for path in tmp_path.iterdir()) == [name, f"{name}.json"]
    assert "read      600 texts: 400 clean, 200 ads" in done.stderr
    for words in ("precision", "taken for", "threshold", f"model     {tmp_path / name}"):
        assert words in done.stdout
    card = json.loads((tmp_path / f"{name}.json").read_text("utf-8"))
    digest = hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
    assert card["model"]["sha256"] == digest
    assert card["data"]["sha256"] == hashlib.sha256(data.read_bytes()).hexdigest()
    assert card["figures"]["accuracy"] > 0.95
    tested = sum(label["test"] for label in card["figures"]["labels"].values())
    assert sum(n for row in card["figures"]["confusion"].values() for n in row.values()) == tested
    assert 60 < tested < 200
    kind = card["model"]["kind"]
    model = {"kind": kind, "path": str(tmp_path / name), "label": "clean"}
    operator = ClassifyText.model_validate({"models": {"non_advertisement_prob": model}})
    ad, tale = scores(
        operator,
        document("buy cheap discount offer click now best price sale free shipping"),
        document("quiet evening walked along the river, saw old trees and birds"),
    )
    assert ad["non_advertisement_prob"] < 0.3 < 0.7 < tale["non_advertisement_prob"]


@pytest.mark.parametrize("name", ["ads.ftz", "ads.npz"])
def test_the_same_data_and_options_give_the_same_model(
    name: str, data: Path, tmp_path: Path
) -> None:
    for folder in ("one", "two"):
        quiet(Options(str(data), str(tmp_path / folder / name), epochs=3))
    one, two = (
        [(tmp_path / folder / file).read_bytes() for file in (name, f"{name}.json")]
        for folder in ("one", "two")
    )
    assert one == two


def test_a_text_cannot_name_a_label_of_its_own(tmp_path: Path) -> None:
    rows = labelled.rows(60)
    for row in rows:
        row["text"] += " __label__evil\n__label__worse"
    path = labelled.write_rows(tmp_path / "ads.jsonl", rows)
    trained = quiet(Options(str(path), str(tmp_path / "ads.bin")))
    assert list(trained.figures.labels) == ["ads", "clean"]


# --- Data and split -----------------------------------------------------------------------------


def test_parquet_and_packed_lines_read_alike(data: Path, tmp_path: Path) -> None:
    rows = labelled.rows(600)
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    with gzip.open(tmp_path / "a.jsonl.gz", "wb") as packed:
        packed.write(data.read_bytes())
    options = Options(str(data), "x.npz", group="site")
    found = read_labelled(options)
    assert len(found.texts) == 600
    for name in ("a.parquet", "a.jsonl.gz"):
        assert read_labelled(replace(options, data=str(tmp_path / name))) == found


def test_a_text_counts_once_and_empty_rows_are_passed_over(tmp_path: Path) -> None:
    rows = labelled.rows(40)
    more = [
        rows[0] | {"text": f"  {rows[0]['text']}\n\n"},  # the same but for spaces
        rows[1] | {"label": "ads"},
        rows[2] | {"text": " "},
        rows[3] | {"label": None},
        {"label": "ads"},
    ]
    path = labelled.write_rows(tmp_path / "rows.jsonl", [*rows, *more])
    found = read_labelled(Options(str(path), "x.npz"))
    assert (len(found.texts), found.empty, found.repeated, found.contradicting) == (40, 3, 2, 1)


def test_labels_may_be_numbers_or_truth_values(tmp_path: Path) -> None:
    for no, yes in ((0, 1), (False, True)):
        rows = [r | {"label": yes if r["label"] == "ads" else no} for r in labelled.rows(60)]
        path = labelled.write_rows(tmp_path / "rows.jsonl", rows)
        assert set(read_labelled(Options(str(path), "x.npz")).labels) == {str(no), str(yes)}


@given(seed=st.integers(0, 1000), share=st.floats(0.1, 0.6), by_site=st.booleans())
def test_the_split_follows_the_text_or_group_alone(seed: int, share: float, by_site: bool) -> None:
    rows = labelled.rows(200)
    found = Labelled(
        [row["text"] for row in rows],
        [row["label"] for row in rows],
        [row["site"] if by_site else row["text"] for row in rows],
    )
    options = Options("a.jsonl", "x.npz", seed=seed, test_share=share, group="site")
    try:
        held = held_out(found, options)
    except InputError:  # a share so small that a label is missing on one side
        return
    back = list(reversed(range(200)))
    turned = Labelled(
        [found.texts[n] for n in back],
        [found.labels[n] for n in back],
        [found.groups[n] for n in back],
    )
    assert held_out(turned, options).tolist() == held[::-1].tolist()
    test, train = found.take(held), found.take(~held)
    assert not set(test.groups) & set(train.groups)
    assert not set(test.texts) & set(train.texts)
    assert len(test.texts) + len(train.texts) == 200
    if not by_site:
        assert abs(held.mean() - share) < 0.2


# --- Figures ------------------------------------------------------------------------------------


class Canned:
    """Says what it is told to."""

    labels = ("b", "a")

    def __init__(self, chances_of_a: list[float]) -> None:
        self._chances = np.array([[1 - chance, chance] for chance in chances_of_a])

    def probabilities(self, texts: Any) -> Any:
        return self._chances


def test_figures_are_those_of_the_held_out_texts() -> None:
    test = Labelled(["t"] * 5, ["a", "a", "a", "b", "b"], [""] * 5)
    model = Canned([0.9, 0.8, 0.3, 0.6, 0.1])
    found = measure(model, Labelled(["x"] * 3, ["a", "b", "b"], [""] * 3), test, 1.0)
    assert found.confusion == {"a": {"a": 2, "b": 1}, "b": {"a": 1, "b": 1}}
    assert found.accuracy == pytest.approx(0.6)
    a = found.labels["a"]
    assert (a.train, a.test) == (1, 3)
    assert (a.precision, a.recall, a.f1) == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    assert a.wanted == point(
        np.array([1, 1, 1, 0, 0], bool), np.array([0.9, 0.8, 0.3, 0.6, 0.1]), 0.8
    )
    assert a.wanted is not None
    assert (a.wanted.precision, a.wanted.recall) == pytest.approx((1, 2 / 3))
    lines = "\n".join(figure_lines(found, 1.0))
    assert "threshold 0.8000, recall 0.667" in lines


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 8)), min_size=1, max_size=30),
    st.sampled_from([0.3, 0.5, 0.75, 0.9, 1.0]),
)
def test_no_lower_threshold_reaches_the_precision(
    rows: list[tuple[bool, int]], wanted: float
) -> None:
    own = np.array([label for label, _ in rows])
    chance = np.array([score / 8 for _, score in rows])
    points = [point(own, chance, threshold) for threshold in sorted(set(chance.tolist()))]
    good = [p for p in points if p.precision >= wanted and p.recall > 0]
    assert least_threshold(own, chance, wanted) == (good[0] if good else None)


# --- Errors -------------------------------------------------------------------------------------


def test_error_texts_are_the_golden_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rewrite with UPDATE_GOLDEN=1 after judging the words."""
    monkeypatch.chdir(tmp_path)
    good = labelled.rows(60)
    files: dict[str, list[dict[str, Any]]] = {
        "good": good,
        "one": [row | {"label": "ads"} for row in good],
        "none": [row | {"label": None} for row in good],
        "few": [row | {"label": "odd"} if n < 4 else row for n, row in enumerate(good)],
        "space": [row | {"label": row["label"] + " text"} for row in good],
        "number": [row | {"text": 7} for row in good],
        "list": [row | {"label": ["ads"]} for row in good],
        "sites": [row | {"site": row["label"]} for row in good],
    }
    for name, rows in files.items():
        labelled.write_rows(tmp_path / f"{name}.jsonl", rows)
    pq.write_table(pa.Table.from_pylist(good), "good.parquet")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 no more")
    (tmp_path / "broken.jsonl").write_text('{"text": "a", "label": "b"}\nnot JSON\n')
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(b'{"text": "a"}\n' * 999)[:40])
    options = Options("good.jsonl", "ads.npz")
    wrong = {
        "ending of the model": replace(options, out="ads.model"),
        "unknown kind": replace(options, kind="fastext"),
        "kind against ending": replace(options, kind="fasttext"),
        "missing file": replace(options, data="god.jsonl"),
        "unknown ending": replace(options, data="good.csv"),
        "broken Parquet": replace(options, data="broken.parquet"),
        "broken line": replace(options, data="broken.jsonl"),
        "missing column": replace(options, label="lable"),
        "missing column of Parquet": replace(options, data="good.parquet", text="txt"),
        "missing group": replace(options, group="domain"),
        "a number for a text": replace(options, data="number.jsonl"),
        "a list for a label": replace(options, data="list.jsonl"),
        "one label": replace(options, data="one.jsonl"),
        "no label": replace(options, data="none.jsonl"),
        "too few of a label": replace(options, data="few.jsonl"),
        "a space in a label": replace(options, data="space.jsonl", out="ads.ftz"),
        "groups that are labels": replace(options, data="sites.jsonl", group="site"),
        "too few to quantise": replace(options, out="ads.ftz"),
    }
    said = ""
    for name, asked in wrong.items():
        with pytest.raises(InputError) as error:
            quiet(asked)
        said += f"# {name}\n{error.value}\n\n"
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(said, "utf-8")
    assert said == GOLDEN.read_text("utf-8")
    assert not list(tmp_path.glob("ads.*"))
    with pytest.raises(InputError, match=r"cut\.jsonl\.gz: cannot be read"):
        quiet(replace(options, data="cut.jsonl.gz"))


def test_the_command_says_what_is_wrong_and_exits_with_2(tmp_path: Path) -> None:
    wrong = omniloom("train-classifier", tmp_path / "no.jsonl", "--out", "x.npz", expect=2)
    assert "no such file" in wrong.stderr
    assert "fix:" in wrong.stderr
    assert "--out" in omniloom("train-classifier", "a.jsonl", expect=2).stderr


def test_a_linear_model_of_another_seed_is_another(data: Path, tmp_path: Path) -> None:
    found = []
    for seed in (0, 1):
        out = tmp_path / f"{seed}.npz"
        quiet(Options(str(data), str(out), seed=seed, epochs=2))
        found.append(LinearClassifier.load(out).weights)
    assert not np.array_equal(found[0], found[1])
