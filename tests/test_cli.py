"""The command as people and scripts meet it: output, errors, exit codes, signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.support import OMNILOOM, ROOT, omniloom, start_omniloom, wait_until, write_job


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A job that has run, with its report."""
    job = write_job(tmp_path_factory.mktemp("cli"))
    omniloom("run", job)
    return job


def test_help_is_quick_and_lists_every_command() -> None:
    started = time.monotonic()
    shown = omniloom("--help").stdout
    assert time.monotonic() - started < 5  # the benchmark holds it to 0.6 s on a quiet machine
    for command in (
        "run",
        "plan",
        "explain",
        "export",
        "report",
        "gc",
        "verify",
        "operators",
        "submit",
        "train-classifier",
        "eval",
    ):
        assert f" {command} " in shown


def test_importing_pipelines_loads_neither_ray_nor_models() -> None:
    heavy = "{'ray', 'torch', 'polars', 'fasttext', 'numba'}"
    code = f"import sys, pipelines; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_run_prints_funnel_shards_and_report(finished: Path) -> None:
    shown = omniloom("run", finished).stdout
    assert "8 documents from 1 inputs" in shown
    assert "rules dropped nothing" in shown
    assert "computed  nothing: all is up to date" in shown
    shards = json.loads((finished.parent / "shards" / "_SUCCESS.json").read_text("utf-8"))["shards"]
    for shard in shards:
        assert str(finished.parent / "shards" / shard["name"]) in shown
    report = next(line for line in shown.splitlines() if line.startswith("report"))
    assert Path(report.split()[1]).read_text("utf-8").startswith("<!")


def test_the_report_follows_a_threshold_that_moves_back(tmp_path: Path) -> None:
    job = write_job(tmp_path)
    strict = write_job(tmp_path, rules={"many": {"drop": "image_count < 3"}}).read_text("utf-8")
    plain = write_job(tmp_path).read_text("utf-8")
    for text in (plain, strict, plain):
        job.write_text(text, "utf-8")
        omniloom("run", job)
        report = (tmp_path / "store" / "reports" / "job.html").read_text("utf-8")
        assert ("image_count &lt; 3" in report) == (text == strict)


def test_progress_is_lines_where_there_is_no_terminal(tmp_path: Path) -> None:
    done = omniloom("run", write_job(tmp_path), "--no-report")
    assert "documents: 8 of 8 docs" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr


def test_plan_shows_stages_reuse_and_cost(finished: Path) -> None:
    shown = omniloom("plan", finished, "--sample", "4").stdout
    assert "8 documents in 3 units; 3 units are done" in shown
    assert "extract_interleaved" in shown
    assert "measured on 4 documents" in shown


def test_explain_shows_rule_value_threshold_and_stage(finished: Path) -> None:
    url = "https://docs.gimp.org/2.10/en/gimp-tool-move.html"
    broken = omniloom("explain", finished, url).stdout
    assert "dropped by error: extract" in broken
    assert "CorruptRecord" in broken
    plain = omniloom("explain", finished.parent / "store", url.replace("move", "crop")).stdout
    assert "kept" in plain
    assert "word_count = " in plain
    assert "(< 50)" in plain
    missing = omniloom("explain", finished, "https://nowhere.example/", expect=2)
    assert "no document 'https://nowhere.example/'" in missing.stderr


def test_export_writes_another_format_elsewhere(finished: Path, tmp_path: Path) -> None:
    omniloom("export", finished, "--to", tmp_path / "text", "--format", "text")
    assert sorted(path.name for path in (tmp_path / "text").iterdir()) == [
        "_SUCCESS.json",
        "train-00000-of-00001.jsonl.gz",
    ]
    wrong = omniloom("export", finished, "--to", tmp_path / "x", "--format", "txt", expect=2)
    assert "did you mean 'text'" in wrong.stderr


def test_operators_and_one_in_full() -> None:
    assert "language_id" in omniloom("operators").stdout
    one = omniloom("operators", "language_id").stdout
    assert "node_min_chars" in one
    assert "gopher_min_words" in omniloom("operators", "gopher").stdout
    assert "did you mean 'language_id'" in omniloom("operators", "langage_id", expect=2).stderr


def test_wrong_commands_and_jobs_exit_with_2(tmp_path: Path) -> None:
    assert "No such command" in omniloom("rnu", "x", expect=2).stderr
    assert "cannot read the job file" in omniloom("run", tmp_path / "no.yaml", expect=2).stderr
    bad = write_job(tmp_path, pipeline="interleafed")
    assert "did you mean 'interleaved'" in omniloom("run", bad, expect=2).stderr
    other = write_job(tmp_path, on={"backend": "local"})
    assert "'local' or 'ray'" in omniloom("run", other, "--on", "spark", expect=2).stderr


def test_too_many_failures_exit_with_3_and_say_how_to_resume(tmp_path: Path) -> None:
    job = write_job(tmp_path, stages={"extract": {"max_bytes": 100}}, max_error_rate=0.1)
    shown = omniloom("run", job, expect=3).stderr
    assert "max_error_rate" in shown
    assert f"resume with: omniloom run {job}" in shown


def test_hostile_records_reach_the_terminal_as_text(tmp_path: Path) -> None:
    block = b"HTTP/1.1 200 OK\r\nContent-Type: [/evil]\x1b[2J\r\n\r\nx"
    head = (
        "WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://x.example/\x1b]0;owned\r\n"
        "WARC-Date: 2024-01-01T00:00:00Z\r\nWARC-Record-ID: <urn:x>\r\n"
        f"Content-Type: application/http\r\nContent-Length: {len(block)}\r\n\r\n"
    )
    page = block.replace(b"[/evil]\x1b[2J", b"text/html")
    whole = head.encode() + block + b"\r\n\r\n"
    whole += head.encode().replace(str(len(block)).encode(), str(len(page)).encode()) + page
    (tmp_path / "evil.warc").write_bytes(whole + b"\r\n\r\n")
    job = write_job(
        tmp_path,
        inputs=[{"warc": str(tmp_path / "evil.warc")}],
        rules={"[/x]": {"drop": "word_count < 50"}},
    )
    shown = omniloom("run", job).stdout
    assert "type malformed" in shown
    assert "[/x]" in shown
    shown += omniloom("explain", job, "http://x.example/%1B]0;owned").stdout
    assert "\x1b" not in shown


def test_ctrl_c_stops_cleanly_and_the_same_command_resumes(tmp_path: Path) -> None:
    job = write_job(tmp_path, on={"backend": "local", "workers": 2}, unit_rows=1)
    log = tmp_path / "log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [*OMNILOOM, "run", str(job)], cwd=ROOT, stderr=stream, stdout=stream
        )
        wait_until(lambda: any((tmp_path / "store").rglob("stages/*/*.parquet")), "a first unit")
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    shown = log.read_text("utf-8")
    assert "interrupted. Everything finished so far is kept." in shown
    assert f"resume with: omniloom run {job}" in shown
    assert "Traceback" not in shown
    omniloom("run", job)


def test_a_driver_that_dies_takes_its_workers_along(tmp_path: Path) -> None:
    import psutil

    job = write_job(tmp_path, on={"backend": "local", "workers": 2}, unit_rows=1)
    process = start_omniloom("run", job)
    wait_until(lambda: any((tmp_path / "store").rglob("stages/*/*.parquet")), "a first unit")
    workers = psutil.Process(process.pid).children(recursive=True)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert alive == []


def test_submit_runs_the_job_on_a_cluster_and_follows_it(
    ray_head: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-central-1")  # goes along, and is set once
    job = write_job(tmp_path, on={"backend": "ray"})
    done = omniloom("submit", job, "--address", ray_head[1], "--follow")
    assert "ended: SUCCEEDED" in done.stdout
    assert "8 documents from 1 inputs" in done.stdout
    assert (tmp_path / "shards" / "_SUCCESS.json").exists()
    fields = yaml.safe_load(job.read_text("utf-8")) | {"max_error_rate": 0, "unit_rows": 7}
    job.write_text(yaml.safe_dump(fields), "utf-8")
    failed = omniloom("submit", job, "--address", ray_head[1], "--follow", expect=1)
    assert "ended: FAILED" in failed.stdout
    assert "max_error_rate" in failed.stdout


def test_submit_to_nowhere_says_so(tmp_path: Path) -> None:
    job = write_job(tmp_path)
    done = omniloom("submit", job, "--address", "http://127.0.0.1:9", expect=2)
    assert "no Ray cluster answers at http://127.0.0.1:9" in done.stderr
