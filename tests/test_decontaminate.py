"""Overlap with benchmarks: what matches, what is left out, and which files are refused."""

from __future__ import annotations

import gzip
import hashlib
import json
from inspect import unwrap
from pathlib import Path
from typing import Any
from unicodedata import category

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators import decontaminate
from operators.benchmarks import Item
from operators.decontaminate import Decontaminate, words_of
from operators.scripts import WORD
from pipelines import load_job, open_corpus, run_job
from pipelines.contamination import contaminated_benchmarks, contaminated_items
from pipelines.plan import RECIPES
from pipelines.recipe import Recipe, step
from schemas import columns
from schemas.errors import CorpusError, InputError
from tests.strategies import texts
from tests.support import omniloom, write_job

GOLDEN = Path(__file__).parent / "golden" / "benchmark_errors.txt"
LONG = (
    "The lighthouse keeper counted forty one ships before the fog came in, and then he wrote "
    "their names into the ledger with a broken pencil."
)
SHORT = "How many ships did the keeper count today?"  # eight words
OTHER = " ".join(f"other{n}" for n in range(40))


def jsonl(path: Path, *rows: dict[str, Any]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return str(path)


def measure(operator: Decontaminate, *documents: list[str | None] | None) -> list[dict[str, Any]]:
    rows = [
        {"nodes": None if nodes is None else [_node(text) for text in nodes]} for nodes in documents
    ]
    batch = pa.Table.from_pylist(rows, schema=columns.schema("nodes"))
    found: list[dict[str, Any]] = operator.measure(batch, operator.setup()).to_pylist()
    return found


def _node(text: str | None) -> dict[str, Any]:
    return {"kind": "image" if text is None else "text", "text": text, "dom_index": 0}


def on(path: str, **fields: Any) -> Decontaminate:
    return Decontaminate.model_validate({"benchmarks": {"ships": path}} | fields)


# --- What matches -------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "words"), [
    ("Don't stop — NOW!", "don t stop now"),
    ("a_b 3.5 (x)", "a b 3 5 x"),
    ("今天，好！ok", "今 天 好 ok"),
    ("ok今天ok", "ok 今 天 ok"),
    ("Straße ÉTÉ €5 ΟΔΟΣ", "straße été 5 οδος"),
    ("ที่นี่", "ที่ นี่"),
    ("e\u0301t\u3099 か\u3099き", "E\u0301T\u3099 か\u3099 き"),
    ("... 👍", ""),
])  # fmt: skip
def test_words_are_without_case_and_punctuation(text: str, words: str) -> None:
    hashes, counts = words_of(pa.array([text, None, words]))
    assert counts.tolist() == [len(words.split()), 0, len(words.split())]
    assert hashes[: counts[0]].tolist() == hashes[counts[0] :].tolist()
    assert len(set(hashes.tolist())) == len(set(words.lower().split()))


@given(st.lists(texts(30), max_size=5))
def test_words_are_those_of_the_text_measures(lines: list[str]) -> None:
    signs = {code: " " for code in range(0x40000) if category(chr(code))[0] in "PS"}
    found = [len(WORD.findall(line.translate(signs))) for line in lines]
    assert words_of(pa.array(lines, pa.string()))[1].tolist() == found


def test_a_copy_is_found_whatever_its_case_and_punctuation(tmp_path: Path) -> None:
    operator = on(jsonl(tmp_path / "a.jsonl", {"id": "q1", "question": LONG}))
    count = len(LONG.split())
    shouted = LONG.upper().replace(",", " --").replace(".", "!?")
    whole, inside, clean, nothing = measure(
        operator, [shouted], [OTHER, None, f"{OTHER} {LONG}", OTHER], [OTHER], None
    )
    assert whole["contaminated_ngram_count"] == count - 12
    assert whole["contaminated_ngram_ratio"] == 1
    assert whole["contaminated_by"] == ["ships"]
    assert whole["contaminated_items"] == ["ships:0"]
    assert whole["node_contaminated_word_count"] == [count]
    assert inside["contaminated_ngram_count"] == count - 12
    assert inside["contaminated_ngram_ratio"] == pytest.approx((count - 12) / (120 + count - 12))
    assert inside["node_contaminated_word_count"] == [0, 0, count, 0]
    assert clean == {
        "contaminated_ngram_count": 0,
        "contaminated_ngram_ratio": 0,
        "contaminated_by": [],
        "contaminated_items": [],
        "node_contaminated_word_count": [0],
    }
    assert set(nothing.values()) == {None}


def test_text_of_neighbouring_nodes_is_read_as_one(tmp_path: Path) -> None:
    operator = on(jsonl(tmp_path / "a.jsonl", {"question": LONG}))
    words = LONG.split()
    (found,) = measure(operator, [" ".join(words[:12]), None, " ".join(words[12:])])
    assert found["contaminated_ngram_count"] == len(words) - 12
    assert found["node_contaminated_word_count"] == [12, 0, len(words) - 12]


def test_twelve_shared_words_are_no_overlap_but_n_can_be_set(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", {"question": LONG})
    part = " ".join(LONG.split()[3:15])
    (strict,) = measure(on(path), [f"{OTHER} {part} {OTHER}"])
    (loose,) = measure(on(path, ngram=5), [f"{OTHER} {part} {OTHER}"])
    assert strict["contaminated_ngram_count"] == 0
    assert loose["contaminated_ngram_count"] == 8


def test_short_texts_are_found_where_all_of_them_stands(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", {"question": SHORT, "answer": "Forty one ships."})
    cut = SHORT.rsplit(" ", 1)[0]
    whole, part, alone, answer = measure(
        on(path), [f"{OTHER} {SHORT}"], [f"{OTHER} {cut} {OTHER}"], [SHORT], ["Forty one ships."]
    )
    assert whole["contaminated_ngram_count"] == 1
    assert whole["node_contaminated_word_count"] == [8]
    assert part["contaminated_ngram_count"] == answer["contaminated_ngram_count"] == 0
    assert alone["contaminated_ngram_ratio"] == 1
    (shorter,) = measure(on(path, min_words=9), [SHORT])
    assert shorter["contaminated_ngram_count"] == 0


def test_a_short_text_inside_a_long_one_names_both_items(tmp_path: Path) -> None:
    short = " ".join(LONG.split()[:9])
    operator = on(jsonl(tmp_path / "a.jsonl", {"question": LONG}, {"question": short}))
    (found,) = measure(operator, [LONG])
    assert found["contaminated_items"] == ["ships:0", "ships:1"]
    assert found["contaminated_ngram_count"] == len(LONG.split()) - 12


def test_boilerplate_of_many_items_is_left_out_but_repeated_texts_are_not(tmp_path: Path) -> None:
    prompt = "Read the passage below with care and then answer the question that follows it:"
    rows = [{"prompt": f"{prompt} number{n}", "passage": LONG} for n in range(11)]
    path = jsonl(tmp_path / "a.jsonl", *rows)
    (found,) = measure(on(path), [f"{prompt} whatever"])
    assert found["contaminated_ngram_count"] == 0
    (found,) = measure(on(path, max_items=11), [f"{prompt} whatever"])
    assert found["contaminated_ngram_count"] == 2
    assert len(found["contaminated_items"]) == 11
    (found,) = measure(on(path), [LONG])
    assert found["contaminated_items"] == ["ships:0"]


def test_benchmarks_and_items_stand_in_order_of_overlap(tmp_path: Path) -> None:
    first = jsonl(tmp_path / "a.jsonl", {"q": LONG}, {"q": SHORT})
    second = jsonl(tmp_path / "b.jsonl", *({"q": f"{n} {OTHER} {n}"} for n in range(30)))
    operator = Decontaminate(benchmarks={"ships": first, "others": second}, max_items=50)
    (found,) = measure(operator, [f"{OTHER} {SHORT} {LONG}"])
    assert found["contaminated_by"] == ["others", "ships"]
    assert len(found["contaminated_items"]) == 20
    (found,) = measure(operator, [f"{SHORT} {LONG}"])
    assert found["contaminated_items"] == ["ships:0", "ships:1"]


@given(
    documents=st.lists(st.lists(st.sampled_from("abcd"), max_size=30), max_size=4),
    benchmark=st.lists(st.lists(st.sampled_from("abcde"), max_size=12), min_size=1, max_size=4),
    ngram=st.integers(2, 6),
    min_words=st.integers(1, 6),
)
@settings(deadline=None)
def test_what_is_found_is_what_a_search_finds(
    documents: list[list[str]], benchmark: list[list[str]], ngram: int, min_words: int
) -> None:
    items = [Item(f"x:{n}", [" ".join(words)]) for n, words in enumerate(benchmark)]
    index = decontaminate._index(items, ngram, min_words, 1000)
    grams = {
        tuple(words[start : start + min(len(words), ngram)])
        for words in benchmark
        if len(words) >= min(min_words, ngram)
        for start in range(len(words) - min(len(words), ngram) + 1)
    }
    nodes = [[_node(" ".join(words))] for words in documents]
    rows = decontaminate._measures(index, pa.array(nodes, columns.column("nodes").type))
    for words, (places, ratio, _, named, (covered,)) in zip(documents, rows, strict=True):
        found = [
            (start, start + len(gram))
            for start in range(len(words))
            for gram in grams
            if tuple(words[start : start + len(gram)]) == gram
        ]
        assert places == len({start for start, _ in found})
        assert covered == len({word for start, end in found for word in range(start, end)})
        assert ratio == min(places / max(len(words) - ngram + 1, 1), 1)
        assert bool(named) == bool(found)


def test_the_compiled_loops_answer_as_python_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = on(jsonl(tmp_path / "a.jsonl", {"q": LONG}, {"q": SHORT}, {"q": OTHER}))
    documents: list[list[str | None] | None] = [[LONG, SHORT], [f"x {OTHER} {LONG}"], [""]]
    fast = measure(operator, *documents)
    for name in ("_words", "_hashes", "_table", "_matches", "_covered"):
        monkeypatch.setattr(decontaminate, name, unwrap(getattr(decontaminate, name)))
    with np.errstate(over="ignore"):
        assert measure(operator, *documents) == fast


# --- Files --------------------------------------------------------------------------------------


def test_parquet_json_lines_and_text_hold_the_same_items(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"id": 1, "q": {"stem": LONG}, "choices": ["no", OTHER]}]
    rows.append({"id": 2, "q": None})
    jsonl(tmp_path / "a.jsonl", *rows)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress((tmp_path / "a.jsonl").read_bytes()))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    (tmp_path / "a.txt").write_text(f"\ufeff{LONG}\n\n{OTHER}\n", "utf-8")
    for name in ("a.jsonl", "a.jsonl.gz", "a.parquet", "a.txt"):
        found, other = measure(on(str(tmp_path / name)), [LONG], [OTHER])
        assert found["contaminated_items"] == ["ships:0"]
        assert other["contaminated_items"] == (["ships:1"] if name == "a.txt" else ["ships:0"])


def test_fields_say_which_columns_are_looked_for(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", {"question": LONG, "source": OTHER})
    both = measure(on(path), [LONG], [OTHER])
    one = measure(on(path, fields={"ships": ["question"]}), [LONG], [OTHER])
    assert [bool(row["contaminated_by"]) for row in (*both, *one)] == [True, True, True, False]


def test_the_fingerprint_follows_the_files_content(tmp_path: Path) -> None:
    jsonl(tmp_path / "a.jsonl", {"q": LONG})
    jsonl(tmp_path / "b.jsonl", {"q": SHORT})
    operator = on(str(tmp_path / "*.jsonl"))
    content = b"".join((tmp_path / name).read_bytes() for name in ("a.jsonl", "b.jsonl"))
    assert operator.provenance() == {"ships": hashlib.sha256(content).hexdigest()}
    jsonl(tmp_path / "b.jsonl", {"q": OTHER})
    assert operator.provenance() != {"ships": hashlib.sha256(content).hexdigest()}
    assert Decontaminate().provenance() == {}


def test_files_that_cannot_serve_are_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("\n\n")
    (tmp_path / "broken.jsonl").write_text('{"q": "one"}\n{"q": \n')
    (tmp_path / "list.jsonl").write_text("[1]\n")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 not")
    (tmp_path / "broken.jsonl.gz").write_bytes(gzip.compress(b'{"q": "one"}\n' * 99)[:-9])
    (tmp_path / "latin.txt").write_bytes("Stra\xdfe".encode("latin-1"))
    jsonl(tmp_path / "numbers.jsonl", {"id": 1})
    jsonl(tmp_path / "good.jsonl", {"question": LONG})
    messages = []
    for name in (
        "missing.jsonl", "missing/*.parquet", "empty.jsonl", "broken.jsonl", "list.jsonl",
        "broken.parquet", "broken.jsonl.gz", "latin.txt", "numbers.jsonl", "good.jsonl",
    ):  # fmt: skip
        operator = on(str(tmp_path / name), fields={"ships": ["qestion"]} if "good" in name else {})
        with pytest.raises(InputError) as error:
            operator.setup()
        messages.append(str(error.value).replace(str(tmp_path), "DIR"))
    assert "\n".join(messages) + "\n" == GOLDEN.read_text("utf-8")
    with pytest.raises(InputError, match="no such file"):
        on(str(tmp_path / "missing.jsonl")).provenance()


def test_columns_for_a_benchmark_that_is_not_named_are_refused() -> None:
    with pytest.raises(ValueError, match="'fields' names 'shps', which is no benchmark; did you"):
        Decontaminate(benchmarks={"ships": "x"}, fields={"shps": ["q"]})
    with pytest.raises(ValueError, match="a benchmark's name holds no ':'"):
        Decontaminate(benchmarks={"a:b": "x"})


# --- The report ---------------------------------------------------------------------------------


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A job over three pages, two of which hold items of benchmarks."""
    _, extract, *_ = RECIPES["interleaved"].steps
    steps = (extract, step("decontaminate", "overlap with benchmarks", Decontaminate))
    monkeypatch.setitem(RECIPES, "clean", Recipe("clean", "text without benchmarks", steps))
    pages = tmp_path / "pages"
    pages.mkdir()
    filler = "The workshop mends wooden boats and teaches the craft to everybody who comes. " * 4
    for name, more in {"one": LONG, "two": f"{LONG} {SHORT}", "three": "Nothing else."}.items():
        (pages / f"{name}.html").write_text(
            f"<html><body><article><h1>A yard</h1><p>{filler}</p><p>{filler} {more}</p>"
            f"<p>{filler}</p></article></body></html>",
            "utf-8",
        )
    benchmarks = {
        "ships": jsonl(tmp_path / "ships.jsonl", {"q": LONG}, {"q": OTHER}),
        "short": jsonl(tmp_path / "short.jsonl", {"q": SHORT}),
        "clean": jsonl(tmp_path / "clean.jsonl", {"q": OTHER * 2}),
    }
    return write_job(
        tmp_path,
        pipeline="clean",
        inputs=[{"html": str(pages)}],
        stages={"decontaminate": {"benchmarks": benchmarks}},
        rules={"use": ["decontamination"]},
        export=[],
    )


def test_the_report_names_benchmarks_and_items(job: Path) -> None:
    run_job(load_job(job))
    corpus = open_corpus(str(job.parent / "store"))
    assert contaminated_benchmarks(corpus).rows() == [
        ("clean", 0, 0),
        ("ships", 2, 2),
        ("short", 1, 1),
    ]
    assert contaminated_items(corpus).rows() == [("ships", 0, 2, 2), ("short", 0, 1, 1)]
    shown = omniloom("eval", "decontamination", corpus.store.files.root).stdout
    assert "ships" in shown
    assert "ships:0" in shown


def test_a_corpus_that_was_not_measured_has_no_report(tmp_path: Path) -> None:
    job = write_job(tmp_path, rules={}, export=[])
    run_job(load_job(job))
    corpus = open_corpus(str(tmp_path / "store"))
    with pytest.raises(CorpusError, match=r"no stage of job 'job' measures overlap"):
        contaminated_benchmarks(corpus)
