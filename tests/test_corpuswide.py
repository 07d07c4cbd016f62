"""Stages over the whole corpus: one answer however the corpus is cut, stopped or grown."""

from __future__ import annotations

import json
import random
import shutil
import signal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from operators.files import Files
from pipelines import load_job, open_corpus, run_job
from pipelines.engine import RunOptions, RunResult
from pipelines.gc import collect
from pipelines.plan import compile_plan
from schemas.errors import InputError, JobError
from tests.support import start_omniloom, wait_until, write_job

COLUMNS = ("url_cluster", "near_cluster", "near_duplicate_of", "near_cluster_size")
STAGES: dict[str, Any] = {"near_text": {}, "same_url": {}, "paragraphs": {}}
DEDUP = {"use": ["dedup"], "dedup_images": None}


def essay(seed: int, words: int = 150) -> list[str]:
    chance = random.Random(seed)
    return [f"word{chance.randrange(4000)}" for _ in range(words)]


def page(words: list[str], shared: str = "") -> str:
    paragraphs = [" ".join(words[i : i + 50]) + "." for i in range(0, len(words), 50)]
    body = "".join(f"<p>{text}</p>" for text in (*paragraphs, shared) if text)
    return f"<html><body><article><h1>{words[0]}</h1>{body}</article></body></html>"


def pages(count: int, seed: int = 0) -> list[dict[str, str]]:
    """Pages of which every third is nearly the one before it, and the last repeats an address."""
    found: list[dict[str, str]] = []
    words = essay(seed)
    for number in range(count):
        changed = [*words[:-2], "some", "change"]
        words = changed if number % 3 == 1 else essay(seed + number)
        shared = "This paragraph stands on every page of the site, word for word the same."
        url = f"http://site{number % 2}.example/{seed + number}"
        found.append({"url": url, "html": page(words, shared)})
    found.append({"url": found[0]["url"] + "?utm_source=x", "html": page(essay(seed + 999))})
    return found


def write_pages(path: Path, rows: list[dict[str, str]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return str(path)


def dedup_job(folder: Path, inputs: list[str], name: str = "job", **fields: Any) -> Path:
    folder.mkdir(exist_ok=True)
    given = {"rules": DEDUP, "export": [], "unit_rows": 4, "max_error_rate": 0, "stages": STAGES}
    return write_job(folder, name, inputs=[{"table": path} for path in inputs], **given | fields)


def run(path: Path, **options: Any) -> RunResult:
    return run_job(load_job(path), RunOptions(**options))


def outcome(folder: Path, job: str | None = None) -> pl.DataFrame:
    """What was found and decided, a row a document, without what depends on units."""
    return open_corpus(str(folder / "store"), job).documents("url", "doc_id", *COLUMNS)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished job over two inputs."""
    folder = tmp_path_factory.mktemp("corpus")
    inputs = [
        write_pages(folder / "a.jsonl", pages(9)),
        write_pages(folder / "b.jsonl", [*pages(5, seed=50), *pages(3)[:2]]),
    ]
    run(dedup_job(folder, inputs))
    return folder


def inputs_of(corpus: Path) -> list[str]:
    return [str(corpus / "a.jsonl"), str(corpus / "b.jsonl")]


# --- One answer ---------------------------------------------------------------------------------


def test_what_is_found(corpus: Path) -> None:
    found = outcome(corpus)
    dropped = dict(found["dropped_by"].value_counts().iter_rows())
    assert dropped == {None: 11, "dedup_url": 4, "dedup_near": 3}
    clusters = found.filter(pl.col("near_cluster").is_not_null())
    assert set(clusters["near_cluster_size"]) == {2}
    winners = clusters.filter(pl.col("near_duplicate_of").is_null())
    losers = clusters.filter(pl.col("near_duplicate_of").is_not_null())
    assert sorted(losers["near_duplicate_of"]) == sorted(winners["doc_id"])
    first = open_corpus(str(corpus / "store")).document(found["url"][2])
    assert not first.nodes_kept[-1], "a paragraph of the whole site is dropped"


@pytest.mark.parametrize(
    "fields",
    [
        {"unit_rows": 1},
        {"unit_rows": 100},
        {"on": {"backend": "local", "workers": 2}},
        {"stages": STAGES | {"near_text": {"partitions": 3}, "same_url": {"partitions": 1}}},
    ],
    ids=["units of one", "one unit", "two workers", "other partitions"],
)
def test_units_workers_and_partitions_do_not_matter(
    corpus: Path, tmp_path: Path, fields: dict[str, Any]
) -> None:
    run(dedup_job(tmp_path / "other", inputs_of(corpus), **fields))
    assert_frame_equal(outcome(tmp_path / "other"), outcome(corpus))


def test_ray_gives_the_same_answer(corpus: Path, tmp_path: Path, ray_head: tuple[str, str]) -> None:
    on = {"backend": "ray", "address": ray_head[0], "workers": 2}
    run(dedup_job(tmp_path / "ray", inputs_of(corpus), on=on))
    assert_frame_equal(outcome(tmp_path / "ray"), outcome(corpus))


def test_the_store_finds_what_the_operator_finds_in_memory(corpus: Path) -> None:
    stages = {stage.name: stage for stage in compile_plan(load_job(corpus / "job.yaml")).stages}
    found = open_corpus(str(corpus / "store")).documents(
        "doc_id", "capture_date", "minhash", *COLUMNS
    )
    living = found.filter(~pl.col("dropped_by").eq("dedup_url").fill_null(value=False))
    operator = stages["near_text"].operator
    measured = operator.measure(living.to_arrow().select(operator.needs().names), None)
    for name in operator.writes.names[:2]:
        assert measured[name].to_pylist() == living[name].to_list()


# --- Nothing is repeated ------------------------------------------------------------------------


def files_of(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def copied(corpus: Path, tmp_path: Path) -> Path:
    """The finished corpus in a place of its own, job and all."""
    shutil.copytree(corpus, tmp_path / "copy")
    return dedup_job(tmp_path / "copy", [str(tmp_path / "copy" / f"{n}.jsonl") for n in "ab"])


def test_a_second_run_touches_nothing(corpus: Path, tmp_path: Path) -> None:
    job = copied(corpus, tmp_path)
    run(job)
    before = files_of(tmp_path)
    assert run(job).work.units == 0
    assert files_of(tmp_path) == before


def test_a_new_input_makes_records_of_its_own_units_only(tmp_path: Path) -> None:
    first = write_pages(tmp_path / "a.jsonl", pages(9))
    run(dedup_job(tmp_path, [first]))
    records = {
        p: m for p, m in files_of(tmp_path / "store" / "groups").items() if ".keys." in p.name
    }
    again = write_pages(tmp_path / "b.jsonl", pages(3)[1:2])
    result = run(dedup_job(tmp_path, [first, again]))
    assert result.work.stages["extract"].computed == 0, "the address is known: not even extracted"
    now = files_of(tmp_path / "store" / "groups")
    assert records.items() <= now.items()


def test_a_grown_cluster_leaves_the_records_of_old_units_as_they_are(tmp_path: Path) -> None:
    copies = [{"url": f"http://a.example/{n}", "html": page(essay(n % 3))} for n in range(6)]
    fields: dict[str, Any] = {"rules": {}, "stages": {"same_text": {}, "near_text": {}}}
    first = write_pages(tmp_path / "a.jsonl", copies)
    run(dedup_job(tmp_path, [first], **fields))
    groups = tmp_path / "store" / "groups"
    before = {p.name for p in groups.rglob("*.keys.arrow")}
    again = write_pages(tmp_path / "b.jsonl", [copies[0] | {"url": "http://b.example/"}])
    run(dedup_job(tmp_path, [first, again], **fields))
    found = open_corpus(str(tmp_path / "store")).documents("text_cluster_size")
    assert found["text_cluster_size"].to_list() == [3, 2, 2, 3, 2, 2, 3]
    new = {p.name for p in groups.rglob("*.keys.arrow")} - before
    assert len(new) == 2, "one unit's for each of the two stages"


def test_a_moved_threshold_finds_clusters_anew_without_reading_pages(
    corpus: Path, tmp_path: Path
) -> None:
    job = copied(corpus, tmp_path)
    run(job)
    dedup_job(job.parent, inputs_of(job.parent), stages=STAGES | {"near_text": {"threshold": 1}})
    result = run(job)
    done = {n: s.computed for n, s in result.work.stages.items() if s.computed}
    assert done == {"near_text": 14, "paragraphs": 14}, "what comes after has other living rows"
    assert outcome(job.parent)["near_cluster"].null_count() == 18


def test_rows_dropped_before_a_stage_take_no_part_in_it(corpus: Path, tmp_path: Path) -> None:
    job = dedup_job(
        tmp_path / "strict",
        inputs_of(corpus),
        rules=DEDUP | {"one_site": {"keep": "domain == 'site1.example'"}},
    )
    run(job)
    found = outcome(tmp_path / "strict")
    others = found.filter(pl.col("dropped_by") == "one_site")
    assert len(others) > 0
    assert others["near_cluster"].null_count() == len(others)


def test_only_and_from_name_a_stage_over_the_corpus(corpus: Path, tmp_path: Path) -> None:
    job = copied(corpus, tmp_path)
    run(job)
    again = run(job, restart_from="near_text")
    assert {n for n, s in again.work.stages.items() if s.computed} == {"near_text"}
    assert_frame_equal(outcome(job.parent), outcome(corpus))
    fresh = dedup_job(tmp_path / "fresh", inputs_of(corpus))
    result = run(fresh, only="near_text")
    assert "paragraphs" not in result.work.stages
    assert result.work.stages["near_text"].computed == 14


def test_only_leaves_a_finished_job_finished(corpus: Path, tmp_path: Path) -> None:
    job = copied(corpus, tmp_path)
    run(job)
    run(job, only="near_text")
    assert not run(job).changed


def test_a_corpus_without_documents(tmp_path: Path) -> None:
    empty = write_pages(tmp_path / "a.jsonl", [{"url": "", "html": "nothing"}])
    result = run(dedup_job(tmp_path, [empty]))
    assert (result.summary.documents, result.summary.kept) == (0, 0)


def test_gc_removes_what_was_alive_of_a_removed_input(corpus: Path, tmp_path: Path) -> None:
    job = copied(corpus, tmp_path)
    run(job)
    run(dedup_job(job.parent, inputs_of(job.parent)[:1]))
    collect(str(job.parent / "store"))
    units = {path.stem for path in (job.parent / "store" / "units").glob("*.parquet")}
    judged = {path.stem for path in (job.parent / "store" / "verdicts").rglob("*.parquet")}
    assert judged == units


def test_gc_keeps_what_another_run_needs(corpus: Path, tmp_path: Path) -> None:
    job = copied(corpus, tmp_path)
    run(job)
    removed = {info.path for info in collect(str(job.parent / "store"))}
    assert any("/found-" in path for path in removed)
    assert not any(".keys.arrow" in path or path.endswith("done.json") for path in removed)
    grown = [*inputs_of(job.parent), write_pages(job.parent / "c.jsonl", pages(4, seed=200))]
    result = run(dedup_job(job.parent, grown))
    assert result.work.stages["minhash"].computed == 4
    collect(str(job.parent / "store"))
    assert run(dedup_job(job.parent, grown)).work.units == 0


# --- Stops --------------------------------------------------------------------------------------


class Stop(BaseException):
    """Stands for a machine that is switched off."""


def test_a_stop_at_any_write_resumes_to_the_same_clusters(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every write of every phase, from the first records to the last column."""
    job = dedup_job(tmp_path / "stopped", inputs_of(corpus), unit_rows=9)
    run(job, only="minhash")
    kept = tmp_path / "measured"
    shutil.copytree(tmp_path / "stopped" / "store", kept)
    write = Files.write
    stops = 0
    while True:
        left = stops

        def stopping(files: Files, path: str, data: bytes) -> None:
            nonlocal left
            if path.startswith(("groups/", "stages/")):
                if not left:
                    raise Stop
                left -= 1
            write(files, path, data)

        shutil.rmtree(tmp_path / "stopped" / "store")
        shutil.copytree(kept, tmp_path / "stopped" / "store")
        monkeypatch.setattr(Files, "write", stopping)
        try:
            run(job)
        except Stop:
            stops += 1
        else:
            break
        finally:
            monkeypatch.setattr(Files, "write", write)
        run(job)
        assert_frame_equal(outcome(tmp_path / "stopped"), outcome(corpus))
    assert stops > 15


@pytest.mark.parametrize(
    "written",
    [
        "groups/near_text-*/*.keys.arrow",
        "groups/near_text-*/*/found-*",
        "groups/near_text-*/*/resolved.parquet",
        "stages/near_text-*/*.parquet",
    ],
    ids=["keys", "groups", "clusters", "columns"],
)
def test_a_kill_in_any_phase_resumes_to_the_same_clusters(
    corpus: Path, tmp_path: Path, written: str
) -> None:
    job = dedup_job(
        tmp_path / "killed", inputs_of(corpus), on={"backend": "local", "workers": 2}, unit_rows=1
    )
    process = start_omniloom("run", job, "--no-report")
    store = tmp_path / "killed" / "store"
    wait_until(lambda: any(store.glob(written)) or process.poll() is not None, written, 120)
    process.send_signal(signal.SIGKILL)
    process.wait()
    run(job)
    assert_frame_equal(outcome(tmp_path / "killed"), outcome(corpus))


# --- Earlier corpora ----------------------------------------------------------------------------


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """A finished corpus of six pages and their near-duplicates."""
    folder = tmp_path / "october"
    run(dedup_job(folder, [write_pages(tmp_path / "october.jsonl", pages(6))], name="october"))
    return folder


def november(tmp_path: Path, rows: list[dict[str, str]], against: str, **near: Any) -> Path:
    path = write_pages(tmp_path / "november.jsonl", rows)
    stages = STAGES | {"near_text": {"against": [against], **near}}
    return dedup_job(tmp_path / "november", [path], name="november", stages=stages)


def test_a_new_corpus_is_compared_with_an_earlier_one(earlier: Path, tmp_path: Path) -> None:
    before = files_of(earlier)
    new = [{"url": "http://new.example/1", "html": pages(6)[3]["html"]}, *pages(2, seed=300)[:1]]
    run(november(tmp_path, new, str(earlier / "store")))
    found = outcome(tmp_path / "november")
    assert found["dropped_by"].to_list() == ["dedup_near", None]
    known = outcome(earlier)
    winner = found["near_duplicate_of"][0]
    assert known.filter(pl.col("doc_id") == winner)["near_duplicate_of"].to_list() == [None]
    assert found["near_cluster_size"][0] == 3
    assert files_of(earlier) == before, "the earlier corpus is only read"


def test_a_changed_earlier_corpus_is_noticed(earlier: Path, tmp_path: Path) -> None:
    new = [{"url": "http://new.example/1", "html": pages(9)[6]["html"]}]
    job = november(tmp_path, new, f"{earlier / 'store'}#october")
    assert run(job).summary.kept == 1
    assert not run(job).changed
    run(dedup_job(earlier, [write_pages(tmp_path / "october.jsonl", pages(9))], name="october"))
    assert run(job).summary.kept == 0


@pytest.mark.parametrize(
    ("against", "near", "message"),
    [
        ("{root}/nowhere", {}, "near_text.against.0: '{root}/nowhere' holds no corpus"),
        ("{root}/october/store#may", {}, "has no job 'may'"),
        ("{root}/october/store", {"partitions": 8}, "was made with other parameters"),
        ("{root}/unfinished/store", {}, "has no records of this stage"),
    ],
)
def test_an_earlier_corpus_that_cannot_be_compared_with(
    earlier: Path, tmp_path: Path, against: str, near: dict[str, Any], message: str
) -> None:
    plain = write_pages(tmp_path / "plain.jsonl", pages(2))
    run(dedup_job(tmp_path / "unfinished", [plain], stages={}, rules={}))
    job = november(tmp_path, pages(2), against.format(root=tmp_path), **near)
    with pytest.raises(InputError) as raised:
        run(job)
    assert message.format(root=tmp_path) in str(raised.value)
    assert "fix: " in str(raised.value)


def test_a_job_is_not_compared_with_itself(corpus: Path, tmp_path: Path) -> None:
    job = copied(corpus, tmp_path)
    run(job)
    stages = STAGES | {"near_text": {"against": [str(job.parent / "store")]}}
    dedup_job(job.parent, inputs_of(job.parent), stages=stages)
    with pytest.raises(InputError, match="is this job itself"):
        run(job)


def test_lost_records_of_an_earlier_corpus_are_told(earlier: Path, tmp_path: Path) -> None:
    for path in (earlier / "store" / "groups").glob("near_text-*/*.keys.arrow"):
        path.unlink()
    with pytest.raises(InputError, match=r"has lost records of this stage\n    fix: run that job"):
        run(november(tmp_path, pages(2), str(earlier / "store")))


def test_several_jobs_in_the_earlier_store(earlier: Path, tmp_path: Path) -> None:
    path = write_pages(tmp_path / "may.jsonl", pages(2))
    run(dedup_job(earlier, [path], name="may"))
    with pytest.raises(InputError, match=r"holds several jobs: may, october\n    fix: say which"):
        run(november(tmp_path, pages(2), str(earlier / "store")))


# --- The plan -----------------------------------------------------------------------------------


def planned(tmp_path: Path, **fields: Any) -> list[str]:
    plan = compile_plan(load_job(write_job(tmp_path, **fields)))
    return [stage.name for stage in plan.stages]


def test_stages_on_demand_run_when_something_asks_for_them(tmp_path: Path) -> None:
    plain = ["extract", "text", "language"]
    assert planned(tmp_path) == plain
    rule = {"near": {"drop": "near_duplicate_of is not null"}}
    assert planned(tmp_path, rules=rule) == [*plain, "minhash", "near_text"]
    assert planned(tmp_path, stages={"near_text": {}}) == [*plain, "minhash", "near_text"]
    assert planned(tmp_path, stages={"same_url": {}}) == ["same_url", *plain]


def test_a_policy_by_a_column_that_comes_later_is_refused(tmp_path: Path) -> None:
    stages = {"same_url": {"keep": "best", "score": "lang_score"}}
    with pytest.raises(JobError, match="nothing before this stage measures 'lang_score'"):
        planned(tmp_path, stages=stages)
