"""The store: atomic files, locally and on a real S3 server; garbage collection."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest
import yaml

from operators.files import Files, expand, input_info, open_input
from pipelines import load_job, open_corpus, run_job
from pipelines.engine import RunOptions
from pipelines.gc import collect
from pipelines.store import Store, by_unit
from schemas.errors import CorpusError, InputError, JobError
from tests.support import (
    SAMPLE,
    SeaweedServer,
    folder_digest,
    omniloom,
    start_omniloom,
    wait_until,
    write_job,
)


@pytest.fixture(params=["local", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty place for a store, in a folder and in a bucket."""
    if request.param == "local":
        return str(tmp_path / "place")
    request.getfixturevalue("s3")
    return f"s3://corpus/{request.node.name.replace('[', '-').rstrip(']')}"


def test_files_are_written_listed_read_and_deleted(root: str) -> None:
    files = Files(root)
    assert list(files.list()) == []
    files.write("a/b.json", b"1")
    files.write("a/b.json", b"22")
    files.write("c.json", b"")
    assert [(info.path, info.size) for info in files.list()] == [("a/b.json", 2), ("c.json", 0)]
    assert [info.path for info in files.list("a")] == ["a/b.json"]
    assert files.read("a/b.json") == b"22"
    assert files.exists("c.json")
    files.delete("c.json")
    files.delete("c.json")
    assert not files.exists("c.json")
    with pytest.raises(FileNotFoundError):
        files.read("c.json")


def test_inputs_are_found_opened_and_stamped(root: str) -> None:
    files = Files(root)
    for name in ("x/1.warc", "x/2.warc", "x/y/3.warc", "x/4.txt"):
        files.write(name, name.encode())
    assert expand(f"{root}/x/*.warc")[:2] == [f"{root}/x/1.warc", f"{root}/x/2.warc"]
    with open_input(f"{root}/x/1.warc") as stream:
        stream.seek(2)
        assert stream.read() == b"1.warc"
    first = input_info(f"{root}/x/1.warc")
    assert first.size == 8
    time.sleep(1.1)  # S3 stamps have whole seconds
    files.write("x/1.warc", b"x/1.WARC")
    assert input_info(f"{root}/x/1.warc").stamp != first.stamp
    with pytest.raises(InputError, match="no such file"):
        input_info(f"{root}/x/9.warc")


def test_tables_keep_their_types_and_columns_can_be_read_alone(root: str) -> None:
    store = Store(root)
    table = pa.table({"a": pa.array([1, None], pa.int32()), "b": [["x"], None]})
    store.write("stages/t/u.parquet", table, {b"k": b"v"})
    assert store.read("stages/t/u.parquet").equals(table)
    assert store.read("stages/t/u.parquet", ["b"]).column_names == ["b"]
    assert store.names("stages/t") == ["u"]


def test_a_whole_job_runs_with_its_store_and_shards_on_s3(
    s3: SeaweedServer, tmp_path: Path
) -> None:
    remote = f"s3://corpus/job-{tmp_path.name}"
    # This server compresses names in .gz anew, so the archive goes by another name.
    Files(f"{remote}/in").write("a.warc", (SAMPLE / "sample-edge.warc.gz").read_bytes())
    job = write_job(
        tmp_path,
        store=f"{remote}/store",
        inputs=[{"warc": f"{remote}/in/*.warc"}],
        export=[{"format": "omnicorpus", "to": f"{remote}/shards", "shard_mb": 0.05}],
        on={"backend": "local", "workers": 2},
    )
    first = run_job(load_job(job))
    assert run_job(load_job(job)).work.units == 0
    (tmp_path / "local").mkdir()
    run_job(load_job(write_job(tmp_path / "local")))
    local = folder_digest(tmp_path / "local" / "shards")
    remote_files = Files(f"{remote}/shards")
    copies = tmp_path / "copies"
    for info in remote_files.list():
        (copies / info.path).parent.mkdir(exist_ok=True)
        (copies / info.path).write_bytes(remote_files.read(info.path))
    assert folder_digest(copies) == local
    assert open_corpus(f"{remote}/store").summary.kept == first.summary.kept
    assert collect(f"{remote}/store") == []


def test_a_killed_writer_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    script = (
        "import sys; from operators.files import Files; files = Files(sys.argv[1])\n"
        "n = 0\n"
        "while True:\n    n += 1; files.write('f', str(n % 10).encode() * 3_000_000)"
    )
    files = Files(str(tmp_path))
    for round_ in range(4):
        process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)])
        time.sleep(0.8 + 0.07 * round_)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        data = files.read("f")
        assert len(data) == 3_000_000
        assert len(set(data)) == 1


def test_stage_files_are_named_by_unit_and_content(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    one, two = pa.table({"a": [1]}), pa.table({"a": [2]})
    names = [store.write_addressed("stages/x", "u-0", table) for table in (one, two, one)]
    assert names[0] == names[2] != names[1]
    assert set(by_unit(names)) == {"u-0"}
    assert by_unit(["u-0-aa", "u-0-bb", "u-1-aa"]) == {
        "u-0": ["u-0-aa", "u-0-bb"],
        "u-1": ["u-1-aa"],
    }


# --- Garbage collection -------------------------------------------------------------------------


def change(path: Path, **fields: object) -> None:
    job = yaml.safe_load(path.read_text("utf-8"))
    path.write_text(yaml.safe_dump(job | fields), "utf-8")


def test_gc_keeps_what_jobs_refer_to_and_removes_the_rest(tmp_path: Path) -> None:
    job = write_job(tmp_path)
    run_job(load_job(job))
    store = tmp_path / "store"
    assert collect(str(store)) == []
    change(job, stages={"extract": {"favor": "recall"}})
    run_job(load_job(job))
    doomed = collect(str(store), dry_run=True)
    assert {info.path.split("/")[0] for info in doomed} == {"stages", "verdicts"}
    assert collect(str(store)) == doomed
    assert collect(str(store)) == []
    assert run_job(load_job(job)).work.units == 0
    assert len(open_corpus(str(store)).documents("nodes")) == 8


def test_gc_spares_another_jobs_results_and_can_forget_a_job(tmp_path: Path) -> None:
    one, two = write_job(tmp_path, "one"), write_job(tmp_path, "two", rules={}, export=[])
    run_job(load_job(one))
    run_job(load_job(two))
    assert collect(str(tmp_path / "store")) == []
    removed = collect(str(tmp_path / "store"), forget="two")
    assert {info.path.split("/")[0] for info in removed} == {"jobs", "verdicts"}
    assert run_job(load_job(one)).work.units == 0
    with pytest.raises(CorpusError, match="no job 'tow'"):
        collect(str(tmp_path / "store"), forget="tow")


def test_gc_throws_away_what_killed_uploads_left(s3: SeaweedServer, tmp_path: Path) -> None:
    import boto3

    place = f"gc-{tmp_path.name}"
    files = Files(f"s3://corpus/{place}")
    reference = b'{"inputs": [], "verdicts": "verdicts/x", "stages": []}'
    files.write("jobs/job.json", reference)
    for key in (f"{place}/stages/x/y.parquet", f"{place}/foreign"):
        boto3.client("s3").create_multipart_upload(Bucket="corpus", Key=key)
    assert collect(files.root, dry_run=True) == []
    assert list(files.unfinished()) == ["foreign", "stages/x/y.parquet"]
    assert collect(files.root) == []
    assert list(files.unfinished()) == ["foreign"]


def test_gc_spares_an_unfinished_run(tmp_path: Path) -> None:
    job = write_job(tmp_path)
    run_job(load_job(job))
    for path in (tmp_path / "store" / "verdicts").rglob("*.parquet"):
        path.unlink()
        break
    assert collect(str(tmp_path / "store")) == []


def test_gc_refuses_a_folder_that_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"x")
    assert "is not a store" in omniloom("gc", tmp_path, expect=2).stderr
    assert (tmp_path / "holiday.jpg").exists()


def test_gc_waits_for_a_run_that_is_going_on(tmp_path: Path) -> None:
    job = write_job(tmp_path, on={"backend": "local", "workers": 1}, unit_rows=1)
    process = start_omniloom("run", job)
    wait_until(lambda: any((tmp_path / "store").rglob("stages/*/*.parquet")), "a first unit")
    with pytest.raises(CorpusError, match="a run is going on in"):
        collect(str(tmp_path / "store"))
    process.kill()
    process.wait()
    assert {info.path.split("/")[0] for info in collect(str(tmp_path / "store"))} <= {"stages"}
    omniloom("run", job)


def test_gc_spares_what_only_one_stage_was_asked_for(tmp_path: Path) -> None:
    job = write_job(tmp_path)
    run_job(load_job(job), RunOptions(only="extract"))
    assert collect(str(tmp_path / "store")) == []


def test_places_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("I am a file", "utf-8")
    shown = omniloom("run", write_job(tmp_path), expect=1).stderr
    assert str(tmp_path / "store") in shown
    assert "fix: check the address" in shown
    assert "Traceback" not in shown
    with pytest.raises(JobError, match="not a place that omniloom can write to"):
        run_job(load_job(write_job(tmp_path, store="gs://bucket/x")))
