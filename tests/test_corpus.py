"""A finished corpus: the Python API, the notebook, and the shards as their readers see them."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from nbclient import NotebookClient

from pipelines import Corpus, load_job, open_corpus, run_job
from pipelines.backend import environment
from schemas.errors import CorpusError
from schemas.omnicorpus import OMNICORPUS
from tests.support import ROOT, SAMPLE, omniloom, write_job

NOTEBOOK = ROOT / "notebooks" / "inspect_corpus.ipynb"
CROP = "https://docs.gimp.org/2.10/en/gimp-tool-crop.html"
MOVE = "https://docs.gimp.org/2.10/en/gimp-tool-move.html"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where a job with document and node rules has run."""
    folder = tmp_path_factory.mktemp("corpus")
    rules = {
        "use": ["gopher"],
        "has_image": {"drop": "image_count < 1"},
        "short": {"table": "nodes", "drop": "node_word_count < 6"},
        "named": {"table": "nodes", "drop": "node_lang == 'xx' or title is null"},
    }
    exports = [
        {"format": "omnicorpus", "to": str(folder / "shards"), "shard_mb": 0.005},
        {"format": "text", "to": str(folder / "text")},
    ]
    run_job(load_job(write_job(folder, rules=rules, export=exports)))
    return folder


@pytest.fixture(scope="module")
def corpus(folder: Path) -> Corpus:
    return open_corpus(str(folder / "store"))


# --- The API ------------------------------------------------------------------------------------


def test_frames_have_the_asked_columns_and_the_outcome(corpus: Corpus) -> None:
    frame = corpus.documents("url", "lang", "word_count")
    assert frame.columns == ["url", "lang", "word_count", "kept", "dropped_by"]
    assert len(frame) == 8
    assert len(corpus.documents(kept=True)) + len(corpus.documents(kept=False)) == 8
    with pytest.raises(CorpusError, match="no column 'word_cont'; did you mean 'word_count'"):
        corpus.documents("word_cont")


def test_a_kept_document_has_all_verdicts_and_its_nodes(corpus: Corpus) -> None:
    document = corpus.document(CROP)
    assert document.kept
    assert all(v.passed for v in document.verdicts if v.table == "documents")
    assert {v.stage for v in document.verdicts} == {"language", "text"}
    short = next(v for v in document.verdicts if v.rule == "short")
    assert short.nodes_dropped
    assert all(document.nodes[i]["kind"] != "image" for i in short.nodes_dropped)
    assert len(document.nodes_kept) == len(document.nodes)
    assert corpus.document(document.doc_id).url == document.url
    assert "<img" in document._repr_html_()


def test_a_failed_document_tells_its_error_and_was_not_asked_on(corpus: Corpus) -> None:
    document = corpus.document(MOVE)
    assert document.dropped_by == "error: extract"
    assert document.errors["extract"].startswith("CorruptRecord: ")
    assert {verdict.passed for verdict in document.verdicts} == {None}
    assert document.nodes == []


def test_thresholds_stand_beside_values(corpus: Corpus) -> None:
    verdicts = {v.rule: v for v in corpus.document(CROP).verdicts}
    assert re.fullmatch(r"image_count = [1-9]\d* \(< 1\)", verdicts["has_image"].thresholds)


def test_documents_iterate_in_order_and_filters_agree(corpus: Corpus) -> None:
    everything = [document.doc_id for document in corpus]
    assert everything == corpus.documents("doc_id")["doc_id"].to_list()
    kept = {document.doc_id for document in corpus.kept()}
    dropped = {document.doc_id for document in corpus.dropped()}
    assert kept | dropped == set(everything)
    assert not kept & dropped
    assert len(corpus.kept(2)) == 2
    assert corpus.dropped(by="error: extract")[0].url == MOVE


def test_images_of_the_inputs_can_be_read_back(corpus: Corpus) -> None:
    frame = corpus.captures()
    assert len(frame) == 27
    for url, size in frame.select("image_url", "image_bytes").head(5).iter_rows():
        data = corpus.image(url)
        assert data is not None
        assert len(data) == size
    assert corpus.image("https://nowhere.example/x.png") is None


def test_unknown_corpora_documents_and_jobs_are_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="holds no corpus; make one with"):
        open_corpus(str(tmp_path))
    with pytest.raises(CorpusError, match="holds no job 'jab'; did you mean 'job'"):
        open_corpus(str(folder / "store"), "jab")
    with pytest.raises(CorpusError, match="no document 'zzz'"):
        open_corpus(str(folder / "store")).document("zzz")


def test_the_notebook_runs_and_carries_no_output(folder: Path, tmp_path: Path) -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    for cell in notebook.cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
    variables = {
        "OMNILOOM_CORPUS": str(folder / "store"),
        "PYTHONPATH": str(ROOT),
        "IPYTHONDIR": str(tmp_path),
    }
    with environment(variables):
        NotebookClient(notebook, timeout=120).execute()
    shown = json.dumps(notebook.cells)
    assert "has_image" in shown
    assert "data:image" in shown


# --- Shards -------------------------------------------------------------------------------------


def shard_rows(folder: Path) -> Iterator[dict[str, object]]:
    for path in sorted((folder / "shards").glob("*.parquet")):
        yield from pq.read_table(path).to_pylist()


def test_shards_have_exactly_the_published_schema(folder: Path) -> None:
    shards = sorted((folder / "shards").glob("train-*.parquet"))
    assert len(shards) > 1
    for shard in shards:
        assert pq.read_schema(shard).equals(OMNICORPUS, check_metadata=False)
        assert pq.ParquetFile(shard).metadata.row_group(0).column(0).compression == "ZSTD"


def test_shards_hold_the_kept_documents_in_order_with_parallel_lists(
    folder: Path, corpus: Corpus
) -> None:
    rows = list(shard_rows(folder))
    kept = corpus.kept()
    assert [row["general_metadata"]["id"] for row in rows] == [d.doc_id for d in kept]  # type: ignore[index]
    for row, document in zip(rows, kept, strict=True):
        images, texts, metadata = row["images"], row["texts"], row["metadata"]
        assert isinstance(images, list)
        assert isinstance(texts, list)
        assert isinstance(metadata, list)
        assert len(images) == len(texts) == len(metadata)
        assert all((i is None) != (t is None) for i, t in zip(images, texts, strict=True))
        assert [m is None for m in metadata] == [i is None for i in images]
        nodes = [n for n, k in zip(document.nodes, document.nodes_kept, strict=True) if k]
        assert images == [node["image_url"] for node in nodes]
        assert texts == [node["text"] for node in nodes]


def test_shards_open_with_hugging_face_datasets(folder: Path, tmp_path: Path) -> None:
    with environment({"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}):
        import datasets

        pattern = str(folder / "shards" / "train-*.parquet")
        loaded = datasets.load_dataset("parquet", data_files=pattern, split="train")
        assert loaded.num_rows == len(list(shard_rows(folder)))
        schema = loaded.features.arrow_schema
        assert [(f.name, f.type) for f in schema] == [
            (f.name, _as_datasets_has_it(f.type)) for f in OMNICORPUS
        ]


def _as_datasets_has_it(kind: pa.DataType) -> pa.DataType:
    """The same type with the list item's field named as Hugging Face names it."""
    if pa.types.is_list(kind):
        return pa.list_(_as_datasets_has_it(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, _as_datasets_has_it(field.type)) for field in kind])
    return kind


def test_text_export_holds_the_kept_text(folder: Path, corpus: Corpus) -> None:
    path = folder / "text" / "train-00000-of-00001.jsonl.gz"
    rows = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    assert [row["text"] for row in rows] == [document.text for document in corpus.kept()]


# --- The demo -----------------------------------------------------------------------------------


def test_the_demo_job_runs_on_part_of_what_is_bundled(tmp_path: Path) -> None:
    text = (ROOT / "jobs" / "demo.yaml").read_text("utf-8")
    job = tmp_path / "demo.yaml"
    text = text.replace("build/demo", str(tmp_path / "demo")).replace("rate: 0.02", "rate: 0.05")
    some = [f"  - {{warc: {SAMPLE}/sample-{part}.warc.gz}}" for part in ("edge", "zh")]
    job.write_text(text.replace("  - {warc: jobs/sample/*.warc.gz}", "\n".join(some)), "utf-8")
    shown = omniloom("run", job).stdout
    assert "report" in shown
    corpus = open_corpus(str(tmp_path / "demo"))
    frame = corpus.documents("lang", "kept_image_count", "clip_similarity").filter("kept")
    assert len(frame) >= 20
    assert frame["lang"].n_unique() >= 2
    assert frame["kept_image_count"].min() >= 1  # type: ignore[operator]
    assert frame["clip_similarity"].null_count() == 0
    assert len(corpus.images(kept=True)) >= 40
    for export in ("mmc4", "webdataset", "pairs", "text"):
        assert (tmp_path / "demo" / export / "_SUCCESS.json").exists()
    assert sum(path.stat().st_size for path in SAMPLE.rglob("*")) < 12_000_000
    assert (tmp_path / "demo" / "shards" / "_SUCCESS.json").exists()
