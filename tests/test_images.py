"""The table of images in the engine: birth, judgement, what documents see, reuse and kills."""

from __future__ import annotations

import shutil
from collections import Counter
from contextlib import nullcontext
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pydantic import Field

from operators.base import CorpusOperator, Operator, measured
from operators.extract import ExtractInterleaved
from operators.files import Files
from operators.shown import ImageVerdicts, ShownImages
from pipelines.corpus import open_corpus
from pipelines.engine import RunOptions, RunResult, run_job
from pipelines.jobfile import load_job
from pipelines.plan import RECIPES, compile_plan
from pipelines.recipe import Recipe, asked, step
from pipelines.store import Store
from schemas import columns
from tests.hostile_site import Site
from tests.kills import kill_rounds
from tests.pictured import pictured_job, write_pictured_pages
from tests.support import SAMPLE, write_job
from tests.tiny_clip import tiny_clip


class StoppedHere(BaseException):
    """Stands for a kill."""


class TakeArchived(Operator[None]):
    """The bytes that the inputs hold."""

    name = "take_archived"
    table = "images"
    reads = columns.schema("image_url", "archived_image")
    writes = columns.schema("fetch_status", "image_bytes", "image_data")
    asks_the_world: ClassVar[bool] = True

    broken: ClassVar[set[str]] = set()
    """Addresses that a server does not answer for the moment."""

    def retryable(self, measured: pa.Table) -> pa.Array:
        """All that failed."""
        return pc.equal(measured["fetch_status"], "failed").combine_chunks()

    def measure(self, batch: pa.Table, state: None) -> pa.Table:
        """What is there."""
        gone = pc.is_in(batch["image_url"], pa.array(sorted(self.broken), pa.string()))
        data = pc.if_else(gone, None, batch["archived_image"]).combine_chunks()
        status = pc.if_else(pc.is_valid(data), "ok", "failed")
        return measured(self.writes, [status, pc.cast(pc.binary_length(data), pa.int64()), data])


class CountSizes(CorpusOperator):
    """How often a size in bytes is shown."""

    name = "count_sizes"
    table = "images"
    reads = columns.schema("image_bytes", "image_document_count")
    writes = columns.schema("image_content_count")

    def scatter(self, batch: pa.Table) -> pa.Table:
        """A record a row."""
        rows = pa.array(range(batch.num_rows), pa.int32())
        keys = pc.cast(batch["image_bytes"].combine_chunks(), pa.uint64())
        weights = batch["image_document_count"].combine_chunks()
        return pa.table({"row": rows, "key": keys, "weight": weights})

    def gather(self, records: pa.Table) -> pa.Table:
        """The sum of weights for each row."""
        totals = records.group_by("key").aggregate([("weight", "sum")])
        joined = records.join(totals, "key")
        return joined.select(["address", "weight_sum"]).sort_by("address")

    def assign(self, found: pa.Table, batch: pa.Table) -> pa.Table:
        """In place."""
        counts = pc.cast(found.sort_by("row")["weight_sum"].combine_chunks(), pa.int32())
        return pa.Table.from_arrays([counts], schema=self.writes)


class SumOfBytes(Operator[None]):
    """For each node its image's bytes, as a similarity."""

    name = "sum_of_bytes"
    reads = pa.schema([*columns.schema("nodes"), *columns.seen_by_documents("image_bytes")])
    writes = columns.schema("node_image_text_similarity")

    scale: float = Field(1.0, description="times")

    def measure(self, batch: pa.Table, state: None) -> pa.Table:
        """Bytes as numbers."""
        lists = batch["image_bytes"].to_pylist()
        values = [sizes and [s and s * self.scale for s in sizes] for sizes in lists]
        return measured(self.writes, [values])


STEPS = (
    step("extract", "content", ExtractInterleaved),
    asked("shown", "who shows them", ShownImages),
    asked("take", "bytes", TakeArchived),
    asked("sizes", "how often", CountSizes),
    asked("images", "what became of them", ImageVerdicts),
    asked("sums", "seen by documents", SumOfBytes),
)


@pytest.fixture(autouse=True)
def recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RECIPES, "pictured", Recipe("pictured", "pages with pictures", STEPS))


def _job(folder: Path, **fields: Any) -> Path:
    small = {"table": "images", "drop": "image_bytes < 2000"}
    common = {"table": "images", "drop": "image_content_count > 3"}
    mine: dict[str, Any] = {
        "pipeline": "pictured",
        "inputs": [{"warc": str(SAMPLE / "sample-edge.warc.gz")}],
        "stages": {"sums": {}, "images": {"unit_images": 7}},
        "rules": {
            "too_small": small,
            "too_common": common,
            "none_left": {"drop": "kept_image_count < 1"},
        },
        "unit_rows": 5,
        "max_image_error_rate": 1.0,
    }
    return write_job(folder, **(mine | fields))


def _run(job: Path, **options: Any) -> RunResult:
    return run_job(load_job(job), RunOptions(**options))


def _computed(result: RunResult, stage: str) -> int:
    return result.work.stages[stage].computed if stage in result.work.stages else 0


def _seen(folder: Path) -> dict[str, dict[str, Any]]:
    """Each document's nodes, and what is said of them."""
    corpus = open_corpus(str(folder / "store"))
    frame = corpus.documents(
        "doc_id", "url", "nodes", "kept_image_count", "node_image_dropped_by",
        "node_image_text_similarity",
    )  # fmt: skip
    return {row["doc_id"]: row for row in frame.to_dicts()}


def test_images_are_judged_once_and_documents_see_the_outcome(tmp_path: Path) -> None:
    result = _run(_job(tmp_path, inputs=[{"warc": str(SAMPLE / "sample-e*.warc.gz")}]))
    archived = {row["image_url"]: row["image_bytes"] for row in _captures(tmp_path)}
    shown: Counter[str] = Counter()
    documents = _seen(tmp_path)
    for row in documents.values():
        shown.update({n["image_url"] for n in row["nodes"] or [] if n["kind"] == "image"})
    sizes = {url: archived.get(url) for url in shown}
    repeated = Counter(size for url, size in sizes.items() if size for _ in range(shown[url]))
    assert result.summary.images == len(shown) > 20
    for row in documents.values():
        kept = 0
        for index, node in enumerate(row["nodes"] or []):
            if node["kind"] != "image":
                assert row["node_image_dropped_by"][index] is None
                continue
            size = sizes[node["image_url"]]
            if size is None:
                expected = "fetched"
            elif size < 2000:
                expected = "too_small"
            else:
                expected = None
            said = row["node_image_dropped_by"][index]
            assert said == expected or (expected is None and said == "too_common")
            kept += said is None
            if row["kept"]:
                seen = row["node_image_text_similarity"][index]
                assert seen == (size if said is None else None)
        if row["nodes"]:
            assert row["kept_image_count"] == kept
            assert row["kept"] == (kept > 0)
    assert repeated
    assert {row["dropped_by"] for row in documents.values()} >= {None, "none_left"}


def _captures(folder: Path) -> list[dict[str, Any]]:
    return open_corpus(str(folder / "store")).captures().to_dicts()


def test_only_what_a_moved_threshold_brings_to_life_is_computed(tmp_path: Path) -> None:
    first = _run(_job(tmp_path))
    again = _run(_job(tmp_path))
    assert not again.changed
    loose = {"too_small": {"table": "images", "drop": "image_bytes < 10"}}
    moved = _run(_job(tmp_path, rules=loose))
    assert _computed(moved, "extract") == _computed(moved, "take") == 0
    assert moved.summary.images_kept > first.summary.images_kept
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    _run(_job(fresh, rules=loose))
    assert _seen(tmp_path) == _seen(fresh)


def test_the_size_of_units_does_not_change_what_documents_see(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    _run(_job(tmp_path))
    _run(_job(other, unit_rows=100, stages={"sums": {}, "images": {"unit_images": 1000}}))
    assert _seen(tmp_path) == _seen(other)


def test_a_stage_of_images_can_be_run_alone(tmp_path: Path) -> None:
    result = _run(_job(tmp_path), only="sizes")
    assert _computed(result, "take") > 0
    assert "sums" not in result.work.stages
    again = _run(_job(tmp_path))
    assert _computed(again, "take") == 0
    assert _computed(again, "sums") > 0


def test_a_stop_at_any_write_resumes_to_the_same_outcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the first records of who shows what, to the last thing that documents see."""
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    for folder in (whole, stopped):
        folder.mkdir()
    _run(_job(whole))
    job, store = _job(stopped), stopped / "store"
    _run(job, only="extract")
    shutil.copytree(store, tmp_path / "extracted")
    write, counted = Files.write, 0
    for before_stop in (0, 2, 5, 9, 14, 20, 10**6):
        counted = 0

        def stopping(files: Files, path: str, data: bytes, last: int = before_stop) -> None:
            nonlocal counted
            if path.startswith(("groups/", "stages/", "units/", "verdicts/")):
                if counted == last:
                    raise StoppedHere
                counted += 1
            write(files, path, data)

        shutil.rmtree(store)
        shutil.copytree(tmp_path / "extracted", store)
        monkeypatch.setattr(Files, "write", stopping)
        with pytest.raises(StoppedHere) if before_stop < 10**6 else nullcontext():
            _run(job)
        monkeypatch.setattr(Files, "write", write)
        _run(job)
        assert _seen(stopped) == _seen(whole)
    assert counted > 20


def test_an_address_belongs_to_its_first_document_whatever_becomes_of_it(tmp_path: Path) -> None:
    _run(_job(tmp_path))
    units = {name for name in Store(str(tmp_path / "store")).names("units") if "-i0" in name}
    assert units
    without_first = {"drop": f"doc_id == '{next(iter(_seen(tmp_path)))}'"}
    _run(_job(tmp_path, rules={"first": without_first}))
    assert {n for n in Store(str(tmp_path / "store")).names("units") if "-i0" in n} == units


def test_without_anything_that_asks_for_images_there_are_none(tmp_path: Path) -> None:
    plan = compile_plan(load_job(_job(tmp_path, stages={}, rules={})))
    assert plan.inner is None
    assert [stage.name for stage in plan.stages] == ["extract"]


def test_images_whose_unit_is_born_anew_are_not_asked_for_again(tmp_path: Path) -> None:
    """Another size of units makes other units of the same addresses."""
    first = _run(_job(tmp_path))
    asked = _computed(first, "take")
    other = _run(_job(tmp_path, stages={"sums": {}, "images": {"unit_images": 3}}))
    assert asked > 0
    assert _computed(other, "take") == 0
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    _run(_job(fresh, stages={"sums": {}, "images": {"unit_images": 3}}))
    assert _seen(tmp_path) == _seen(fresh)


def test_what_could_not_be_fetched_is_tried_again_alone_and_not_forgotten(tmp_path: Path) -> None:
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    _run(_job(fresh))
    captured = sorted(row["image_url"] for row in _captures(fresh) if row["image_bytes"] > 2000)
    TakeArchived.broken.update(captured[:3])
    try:
        first = _run(_job(tmp_path))
        missing = first.summary.rules["fetched"].dropped
    finally:
        TakeArchived.broken.clear()
    assert _seen(tmp_path) != _seen(fresh)
    again = _run(_job(tmp_path), retry_errors=True)
    assert _computed(again, "take") == missing
    assert _seen(tmp_path) == _seen(fresh)
    moved = {"too_small": {"table": "images", "drop": "image_bytes < 10"}}
    assert _computed(_run(_job(tmp_path, rules=moved)), "take") == 0
    _run(_job(fresh, rules=moved))
    assert _seen(tmp_path) == _seen(fresh)


def test_rules_may_judge_image_nodes_by_what_is_said_of_images(tmp_path: Path) -> None:
    heavy = {"table": "nodes", "keep": "node_image_text_similarity <= 9000"}
    result = _run(_job(tmp_path, rules={"heavy": heavy}))
    corpus = open_corpus(str(tmp_path / "store"))
    asked = 0
    for document in corpus:
        sizes = document.values["node_image_text_similarity"] or [None] * len(document.nodes)
        for node, size, kept in zip(document.nodes, sizes, document.nodes_kept, strict=True):
            if node["kind"] != "image":
                assert kept
            elif document.kept:
                asked += 1
                assert kept == (size is not None and size <= 9000)
    assert 0 < result.summary.rules["heavy"].dropped < asked == result.summary.rules["heavy"].asked


def test_killed_drivers_and_workers_leave_the_same_images_in_the_same_shards(
    tmp_path: Path,
) -> None:
    """Through fetching over HTTP, stages over all images, CLIP, and shards that hold the bytes."""
    pytest.importorskip("torch")
    with Site() as site:
        pages = write_pictured_pages(tmp_path / "pages.jsonl", site, 20)
        encoder = {"encoder": "open_clip", "model": str(tiny_clip(tmp_path))}
        fields = pictured_job(pages, site, encoder)
        on = {"backend": "local", "workers": 2}
        rounds = kill_rounds(tmp_path, fields | {"on": on, "format": "webdataset"}, 2, seed=3)
    assert (rounds.survived, rounds.differences) == (2, 0)
