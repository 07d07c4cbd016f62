"""What a run promises: nothing is lost, nothing is repeated, the same answer every way."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest
import yaml
from polars.testing import assert_frame_equal

from operators.extract import ExtractInterleaved
from pipelines import load_job, open_corpus, run_job
from pipelines.engine import RunOptions, RunResult
from schemas.errors import (
    ErrorRateExceeded,
    ExportError,
    InputError,
    JobError,
    OperatorFailed,
)
from tests.kills import kill_rounds
from tests.support import SAMPLE, folder_digest, write_job


def run(path: Path, **options: Any) -> RunResult:
    return run_job(load_job(path), RunOptions(**options))


def computed(result: RunResult) -> dict[str, int]:
    return {name: stage.computed for name, stage in result.work.stages.items()}


def edit(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    job = yaml.safe_load(path.read_text("utf-8"))
    change(job)
    path.write_text(yaml.safe_dump(job, sort_keys=False), "utf-8")


# --- Nothing is repeated ------------------------------------------------------------------------


def test_a_second_run_computes_nothing_and_touches_no_file(tmp_path: Path) -> None:
    job = write_job(tmp_path)
    first = run(job)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    started = time.monotonic()
    second = run(job)
    assert time.monotonic() - started < 2
    assert second.work.units == 0
    assert second.summary == first.summary
    assert second.shards == first.shards
    after = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert before == after


def test_a_moved_threshold_recomputes_no_measure(tmp_path: Path) -> None:
    job = write_job(tmp_path)
    first = run(job)
    edit(job, lambda j: j["rules"]["has_image"].update(drop="image_count < 2"))
    second = run(job)
    assert set(computed(second).values()) == {0}
    assert second.summary.kept < first.summary.kept


def test_a_changed_stage_recomputes_itself_and_its_descendants_only(tmp_path: Path) -> None:
    job = write_job(tmp_path)
    run(job)
    edit(job, lambda j: j["stages"].update(language={"min_chars": 30}))
    assert computed(run(job)) == {"extract": 0, "language": 7, "text": 0}
    edit(job, lambda j: j["stages"].update(extract={"favor": "recall"}))
    assert computed(run(job)) == {"extract": 8, "language": 7, "text": 7}


def test_a_loosened_rule_computes_only_the_rows_that_come_alive(tmp_path: Path) -> None:
    job = write_job(tmp_path, rules={"long": {"keep": "word_count >= 800"}})
    first = run(job)
    assert computed(first) == {"extract": 8, "text": 7, "language": 3}
    edit(job, lambda j: j["rules"].update(long={"keep": "word_count >= 650"}))
    assert computed(run(job)) == {"extract": 0, "text": 0, "language": 2}
    (tmp_path / "fresh").mkdir()
    run(write_job(tmp_path / "fresh", rules={"long": {"keep": "word_count >= 650"}}))
    assert folder_digest(tmp_path / "shards") == folder_digest(tmp_path / "fresh" / "shards")


def test_a_new_input_is_added_without_touching_the_others(tmp_path: Path) -> None:
    pages = tmp_path / "pages"
    pages.mkdir()
    shutil.copy(SAMPLE / "sample-edge.warc.gz", pages / "a.warc.gz")
    job = write_job(tmp_path, inputs=[{"warc": str(pages / "*.warc.gz")}], unit_rows=20)
    run(job)
    shutil.copy(SAMPLE / "sample-zh.warc.gz", pages / "b.warc.gz")
    second = run(job)
    assert second.work.units == 2
    assert second.summary.documents == 8 + 32


def test_a_repeated_or_touched_input_adds_nothing(tmp_path: Path) -> None:
    pages = tmp_path / "pages"
    pages.mkdir()
    shutil.copy(SAMPLE / "sample-edge.warc.gz", pages / "a.warc.gz")
    job = write_job(tmp_path, inputs=[{"warc": str(pages / "*.warc.gz")}])
    first = run(job)
    shutil.copy(pages / "a.warc.gz", pages / "again.warc.gz")
    (pages / "a.warc.gz").touch()
    second = run(job)
    assert second.work.units == 0
    assert second.summary.documents == first.summary.documents


def test_only_brings_one_stage_up_to_date_and_exports_nothing(tmp_path: Path) -> None:
    job = write_job(tmp_path)
    result = run(job, only="text")
    assert computed(result) == {"extract": 8, "text": 7}
    assert not (tmp_path / "shards").exists()
    assert not (tmp_path / "store" / "verdicts").exists()
    assert computed(run(job)) == {"extract": 0, "text": 0, "language": 7}


def test_from_computes_a_stage_and_its_descendants_again(tmp_path: Path) -> None:
    job = write_job(tmp_path)
    run(job)
    shards = folder_digest(tmp_path / "shards")
    assert computed(run(job, restart_from="language")) == {"extract": 0, "language": 7, "text": 0}
    assert computed(run(job, restart_from="extract")) == {"extract": 8, "language": 7, "text": 7}
    assert folder_digest(tmp_path / "shards") == shards


def test_an_unknown_stage_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no stage 'langauge'; did you mean 'language'"):
        run(write_job(tmp_path), only="langauge")


# --- The same answer every way ------------------------------------------------------------------


def verdicts(folder: Path) -> pl.DataFrame:
    columns = ("doc_id", "url", "nodes", "lang", "word_count", "dup_5gram_char_ratio")
    return open_corpus(str(folder / "store")).documents(*columns)


@pytest.mark.parametrize(
    "change",
    [
        {"on": {"backend": "local", "workers": 1}},
        {"on": {"backend": "local", "workers": 2}},
        {"unit_rows": 1},
        {"unit_rows": 5},
        {"unit_rows": 1000, "on": {"backend": "local", "workers": 2}},
    ],
    ids=str,
)
def test_workers_and_unit_sizes_do_not_change_documents_or_verdicts(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    run(write_job(tmp_path / "a"))
    run(write_job(tmp_path / "b", **change))
    assert_frame_equal(verdicts(tmp_path / "a"), verdicts(tmp_path / "b"))
    if "unit_rows" not in change:
        assert folder_digest(tmp_path / "a/shards") == folder_digest(tmp_path / "b/shards")


def test_kept_and_dropped_are_all_and_every_drop_has_a_reason(tmp_path: Path) -> None:
    run(write_job(tmp_path))
    corpus = open_corpus(str(tmp_path / "store"))
    frame = corpus.documents("doc_id")
    assert len(frame) == corpus.summary.documents == 8
    assert len(frame.filter("kept")) == corpus.summary.kept
    assert frame.filter(~pl.col("kept"))["dropped_by"].null_count() == 0
    assert frame.filter("kept")["dropped_by"].null_count() == corpus.summary.kept
    assert corpus.funnel()["left"][-1] == corpus.summary.kept


# --- Nothing is lost ----------------------------------------------------------------------------


def test_a_failing_row_costs_only_itself_and_can_be_driven_again(tmp_path: Path) -> None:
    stages = {"extract": {"max_bytes": 10_000}}
    job = write_job(tmp_path, rules={}, stages=stages, max_error_rate=0.9)
    first = run(job)
    corpus = open_corpus(str(tmp_path / "store"))
    reasons = corpus.documents("doc_id", kept=False)["dropped_by"].to_list()
    assert first.summary.failed == len(reasons) > 1
    assert set(reasons) == {"error: extract"}
    assert first.summary.kept == 8 - len(reasons)
    again = run(job, retry_errors=True)
    assert computed(again)["extract"] == first.summary.failed
    assert again.summary.kept == first.summary.kept
    assert again.summary.contents == first.summary.contents


def test_retried_rows_that_succeed_join_the_corpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = ExtractInterleaved._page

    def flaky(self: ExtractInterleaved, url: str, *others: Any) -> Any:
        if "gimp" in url:
            raise OSError("the disk was away for a moment")
        return whole(self, url, *others)

    job = write_job(tmp_path, rules={}, max_error_rate=0.9)
    with monkeypatch.context() as context:
        context.setattr(ExtractInterleaved, "_page", flaky)
        first = run(job)
    second = run(job, retry_errors=True)
    assert (first.summary.failed, second.summary.failed) == (5, 1)
    assert computed(second) == {"extract": 5, "language": 4, "text": 4}
    (tmp_path / "calm").mkdir()
    calm = run(write_job(tmp_path / "calm", rules={}, max_error_rate=0.9))
    assert folder_digest(tmp_path / "shards") == folder_digest(tmp_path / "calm" / "shards")
    for unit_rows in (2, 3, 5, 8):  # whatever the names of the stored files are
        changes: dict[str, Any] = {
            "rules": {},
            "unit_rows": unit_rows,
            "store": str(tmp_path / f"{unit_rows}"),
        }
        job = write_job(tmp_path, max_error_rate=0.9, **changes)
        with monkeypatch.context() as context:
            context.setattr(ExtractInterleaved, "_page", flaky)
            run(job)
        run(job, retry_errors=True)
        edit(job, lambda j: j.update(rules={"harmless": {"drop": "word_count < 0"}}))
        assert run(job).summary.kept == calm.summary.kept


def test_a_retry_that_stops_is_not_taken_for_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = write_job(
        tmp_path, rules={}, stages={"extract": {"max_bytes": 10_000}}, max_error_rate=0.9
    )
    first = run(job)
    with monkeypatch.context() as context:
        context.setattr("pipelines.engine._Run.compute", lambda self, refs, plan, made: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run(job, retry_errors=True)
    assert "done" not in json.loads((tmp_path / "store/jobs/job.json").read_text("utf-8"))
    assert run(job).summary == first.summary


def test_from_takes_new_values_and_does_not_bring_old_ones_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = write_job(tmp_path, rules={})
    run(job)
    before = folder_digest(tmp_path / "shards")
    title = "operators.extract.ExtractInterleaved._page"
    whole = ExtractInterleaved._page

    def shouting(self: ExtractInterleaved, *arguments: Any) -> Any:
        nodes, *others = whole(self, *arguments)
        for node in nodes:
            node["text"] = node["text"] and node["text"].upper()
        return (nodes, *others)

    edit(job, lambda j: j.update(rules={"english": {"keep": "lang == 'en'"}}))
    with monkeypatch.context() as context:
        context.setattr(title, shouting)
        run(job, restart_from="extract")
        edit(job, lambda j: j.update(rules={}))
        run(job)
    assert folder_digest(tmp_path / "shards") != before
    texts = open_corpus(str(tmp_path / "store")).documents("nodes")["nodes"].to_list()
    assert all(n["text"].upper() == n["text"] for nodes in texts for n in nodes or [] if n["text"])


def test_a_lowered_tolerance_is_heeded_though_nothing_is_to_do(tmp_path: Path) -> None:
    job = write_job(tmp_path)
    run(job)
    edit(job, lambda j: j.update(max_error_rate=0))
    with pytest.raises(ErrorRateExceeded):
        run(job)


def test_verdicts_or_stage_files_that_went_missing_are_made_again(tmp_path: Path) -> None:
    job = write_job(tmp_path)
    first = run(job)
    for folder in ("verdicts", "stages", "units"):
        shutil.rmtree(tmp_path / "store" / folder)
        shutil.rmtree(tmp_path / "store" / "verdicts", ignore_errors=True)
        assert run(job).summary.contents == first.summary.contents


def test_a_loosened_rule_computes_in_workers_not_in_the_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on = {"backend": "local", "workers": 1}
    job = write_job(tmp_path, on=on, rules={"long": {"keep": "word_count >= 800"}})
    run(job)
    edit(job, lambda j: j.update(rules={}))
    monkeypatch.setattr("operators.language.LanguageId.measure", lambda *_: 1 / 0)
    assert computed(run(job))["language"] == 4


def test_rules_over_what_documents_are_born_with_come_before_any_stage(tmp_path: Path) -> None:
    job = write_job(tmp_path, rules={"nowhere": {"keep": "domain == 'nowhere.example'"}})
    result = run(job)
    assert computed(result) == {"extract": 0, "language": 0, "text": 0}
    assert result.summary.rules["nowhere"].first == 8
    assert open_corpus(str(tmp_path / "store")).funnel()["stage"].to_list() == ["input"]


def test_the_same_content_under_two_names_counts_once_and_keeps_its_own_name(
    tmp_path: Path,
) -> None:
    pages = tmp_path / "pages"
    pages.mkdir()
    shutil.copy(SAMPLE / "sample-edge.warc.gz", pages / "b.warc.gz")
    job = write_job(tmp_path, inputs=[{"warc": str(pages / "*.warc.gz")}])
    run(job)
    shutil.copy(pages / "b.warc.gz", pages / "a.warc.gz")
    run(job)
    names = open_corpus(str(tmp_path / "store")).documents("source_file")["source_file"]
    assert names.to_list() == ["a.warc.gz"] * 8


def test_too_many_failures_stop_the_run_and_say_why(tmp_path: Path) -> None:
    job = write_job(tmp_path, stages={"extract": {"max_bytes": 100}}, max_error_rate=0.1, rules={})
    with pytest.raises(ErrorRateExceeded, match=r"(?s)tolerates 10.00%.*the limit is 100 \("):
        run(job)
    assert not (tmp_path / "shards").exists()


def test_a_foreign_export_folder_is_refused_untouched(tmp_path: Path) -> None:
    (tmp_path / "shards").mkdir()
    precious = tmp_path / "shards" / "precious.txt"
    precious.write_text("keep me", "utf-8")
    with pytest.raises(ExportError, match=r"no export wrote \(precious.txt\)"):
        run(write_job(tmp_path))
    assert [path.name for path in (tmp_path / "shards").iterdir()] == ["precious.txt"]


def test_a_changed_export_replaces_its_own_shards(tmp_path: Path) -> None:
    job = write_job(tmp_path)
    run(job)
    edit(job, lambda j: j["export"][0].update(shard_mb=100))
    run(job)
    names = sorted(path.name for path in (tmp_path / "shards").iterdir())
    assert names == ["_SUCCESS.json", "train-00000-of-00001.parquet"]


def test_a_missing_shard_is_written_again_and_only_that_one(tmp_path: Path) -> None:
    job = write_job(tmp_path, export=[
        {"format": "omnicorpus", "to": str(tmp_path / "shards"), "shard_mb": 0.005}
    ])  # fmt: skip
    run(job)
    shards = folder_digest(tmp_path / "shards")
    assert len(shards) > 1
    victim, other = sorted(shards)[:2]
    (tmp_path / "shards" / victim).unlink()
    untouched = (tmp_path / "shards" / other).stat().st_mtime_ns
    run(job)
    assert folder_digest(tmp_path / "shards") == shards
    assert (tmp_path / "shards" / other).stat().st_mtime_ns == untouched


def test_a_damaged_shard_is_written_again(tmp_path: Path) -> None:
    job = write_job(tmp_path)
    run(job)
    shards = folder_digest(tmp_path / "shards")
    victim = tmp_path / "shards" / min(shards)
    victim.write_bytes(victim.read_bytes()[:100])
    run(job)
    assert folder_digest(tmp_path / "shards") == shards


def test_what_a_killed_writer_left_does_not_block_the_next_export(tmp_path: Path) -> None:
    job = write_job(tmp_path)
    run(job)
    (tmp_path / "shards" / ".train-00000-of-00001.parquet.123.partial").write_bytes(b"half")
    edit(job, lambda j: j["export"][0].update(shard_mb=100))
    run(job)
    names = sorted(path.name for path in (tmp_path / "shards").iterdir())
    assert names == ["_SUCCESS.json", "train-00000-of-00001.parquet"]


def test_another_jobs_export_is_refused(tmp_path: Path) -> None:
    run(write_job(tmp_path))
    with pytest.raises(ExportError, match="belongs to job 'job'"):
        run(write_job(tmp_path, "other", rules={}))


@pytest.mark.parametrize("content", ["{}", "[]", "not json", '{"job_name": "job"}'])
def test_a_marker_that_no_export_wrote_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards" / "_SUCCESS.json").write_text(content, "utf-8")
    with pytest.raises(ExportError, match=r"no export wrote \(_SUCCESS.json\)"):
        run(write_job(tmp_path))


@pytest.mark.parametrize(
    "to", ["{0}/out/", "{0}/out/../out", "{0}/out/text", "{0}/store/units", "{0}/store"]
)
def test_export_folders_that_overlap_are_refused(tmp_path: Path, to: str) -> None:
    exports = [
        {"format": "omnicorpus", "to": f"{tmp_path}/out"},
        {"format": "text", "to": to.format(tmp_path)},
    ]
    with pytest.raises(JobError, match="give each export its own folder"):
        run(write_job(tmp_path, export=exports))


def test_documents_that_lost_all_nodes_are_not_exported_and_not_counted(tmp_path: Path) -> None:
    exports = [
        {"format": "omnicorpus", "to": f"{tmp_path}/shards"},
        {"format": "text", "to": f"{tmp_path}/text"},
    ]
    rules = {"all": {"table": "nodes", "drop": "node_char_count > 0"}}
    stages = {"extract": {"extractor": "trafilatura", "fast": True}}  # leaves pages without images
    run(write_job(tmp_path, rules=rules, export=exports, stages=stages))
    manifest = json.loads((tmp_path / "text" / "_SUCCESS.json").read_text("utf-8"))
    assert manifest["rows"] == 0
    manifest = json.loads((tmp_path / "shards" / "_SUCCESS.json").read_text("utf-8"))
    rows = [pq.read_metadata(path).num_rows for path in (tmp_path / "shards").glob("train-*")]
    assert manifest["rows"] == sum(rows) < 7


def test_the_manifest_is_last_and_tells_how_to_check(tmp_path: Path) -> None:
    run(write_job(tmp_path))
    manifest = json.loads((tmp_path / "shards" / "_SUCCESS.json").read_text("utf-8"))
    digests = folder_digest(tmp_path / "shards")
    assert {s["name"]: s["sha256"] for s in manifest["shards"]} == digests
    assert manifest["job"]["unit_rows"] == 3
    assert manifest["inputs"][0]["sha256"]
    assert "lid.176.ftz" in manifest["stages"][2]["provenance"]
    assert not (tmp_path / "shards" / "_RUNNING.json").exists()


def test_a_failing_program_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from operators.language import LanguageId

    monkeypatch.setattr(LanguageId, "setup", lambda self: 1 / 0)
    with pytest.raises(OperatorFailed, match=r"stage 'language'.*setup: ZeroDivisionError"):
        run(write_job(tmp_path))


# --- Killed at random moments -------------------------------------------------------------------


def test_killed_drivers_and_workers_leave_the_same_shards(tmp_path: Path) -> None:
    fields = {"on": {"backend": "local", "workers": 2}, "unit_rows": 2}
    rounds = kill_rounds(tmp_path, fields, kills=6, seed=1)
    assert (rounds.survived, rounds.differences) == (6, 0)
