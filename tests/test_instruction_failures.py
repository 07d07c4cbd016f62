"""Servers that fail, budgets that end: no error becomes an answer, nothing is paid for twice."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from operators.chat_cache import spent
from operators.files import TEMPORARY
from pipelines.corpus import Corpus, open_corpus
from pipelines.engine import RunOptions, run_job
from pipelines.jobfile import parse_job
from pipelines.plan import compile_plan
from pipelines.rows import TableView
from pipelines.store import ERRORS, UnitRecord
from schemas.tables import PICTURES
from tests.chat_server import Act, Body, ChatServer
from tests.instruction_jobs import scripted_job, write_pictures
from tests.scripted_model import answer, schema_of
from tests.support import folder_digest, omniloom, write_job

MARK = "zqx"
"""Stands in everything that a failing server says."""
_TRANSPORT = ("busy", "broken", "hang", "cut reply")
"""Troubles without an answer, which is then asked for again."""
_SAID = ("cut answer", "refusal", "other schema", "equal options", "empty", "prose", "too long")
_FAILING = 5  # one request in so many
_IMPATIENT = {"attempts": 2, "timeout_s": 0.4, "patience_s": 0.3, "max_concurrency": 16}


# --- A failing server -----------------------------------------------------------------------------


def trouble(body: Body) -> tuple[str, bool] | None:
    """What goes wrong with a request, and whether it always does; None: nothing."""
    number = int.from_bytes(
        hashlib.blake2b(json.dumps(body, sort_keys=True).encode(), digest_size=8).digest()
    )
    number, fails = divmod(number, _FAILING)
    if fails:
        return None
    number, always = divmod(number, 2)
    number, said = divmod(number, 2)
    kinds = _SAID if said else _TRANSPORT
    return kinds[number % len(kinds)], bool(always)


def failing(body: Body, nth: int) -> Any:
    """A script: good answers to four requests in five, and to some others when asked again."""
    found = trouble(body)
    if found is None or (nth > 1 and not found[1]):
        return answer(body, nth)
    good = answer(body, nth)
    match found[0]:
        case "busy":
            return Act(f"{MARK} too many requests", status=429, retry_after="0.05")
        case "broken":
            return Act(f"{MARK} internal error", status=500)
        case "hang":
            return Act(MARK, latency_s=2)
        case "cut reply":
            return Act(json.dumps(good), cut=True)
        case "cut answer":
            return Act(json.dumps(good)[:-7])
        case "refusal":
            return Act(refusal=f"{MARK} I cannot help with this picture")
        case "other schema":
            return {"error": f"{MARK} something else", "questions": MARK, "answer": [MARK]}
        case "equal options" if "questions" in schema_of(body)["properties"]:
            return {"questions": [_equal(item) for item in good["questions"]]}
        case "empty" | "equal options":
            return ""
        case "too long":
            return Act(f'{{"caption": "{MARK}', finish="length")
        case _:
            return f"{MARK}: an error has occurred, so here is prose in place of an answer."


def _equal(item: dict[str, Any]) -> dict[str, Any]:
    return item | ({"wrong": [item["correct"]] * 3} if "wrong" in item else {})


def failing_job(folder: Path, url: str) -> dict[str, Any]:
    """A job that gives up soon, and goes on whatever fails."""
    found = scripted_job(folder, url, _IMPATIENT, max_error_rate=1, max_image_error_rate=1)
    found["rules"]["captioned"] = {"table": "images", "keep": "caption_words_en >= 5"}
    return found


# --- What came of it ------------------------------------------------------------------------------


def errors(corpus: Corpus, view: TableView, records: list[UnitRecord]) -> Iterator[dict[str, Any]]:
    """For each row with an error its stage, class and message, and what became of the row."""
    for record in records:
        fates = view.verdicts(record)["dropped_by"].to_pylist()
        for stage in view.stages:
            path = f"{stage['folder']}/{record.stages[stage['name']].file}.parquet"
            found = corpus.store.read(path, [ERRORS])[ERRORS].to_pylist()
            for error, fate in zip(found, fates, strict=True):
                if error is not None:
                    yield {"stage": stage["name"], "fate": fate, **error}


def all_errors(corpus: Corpus) -> list[dict[str, Any]]:
    """Errors of pictures and of instructions."""
    pictures = TableView(corpus.store, corpus.reference, PICTURES)
    inner = corpus.instructions_view
    return [
        *errors(corpus, pictures, corpus.records),
        *errors(corpus, inner, corpus.instruction_records),
    ]


def assert_every_row_has_ended(rows: pl.DataFrame, failed: Counter[str]) -> None:
    """Kept, dropped by a rule, or failed with one of the errors."""
    assert (rows["kept"] == rows["dropped_by"].is_null()).all()
    fates = Counter(rows["dropped_by"].drop_nulls().to_list())
    assert {f: n for f, n in fates.items() if f.startswith("error: ")} == dict(failed)


def texts(corpus: Corpus) -> Iterator[str]:
    """Everything that is stored as said by the model."""
    captions = corpus.documents("caption_en", "caption_zh")
    yield from (text for name in ("caption_en", "caption_zh") for text in captions[name] if text)
    rows = corpus.instructions("turns", "options", "blind_answers", "repeated_answers")
    for row in rows.iter_rows(named=True):
        yield from (text for turn in row["turns"] for text in turn.values())
        for name in ("options", "blind_answers", "repeated_answers"):
            yield from row[name] or ()


def assert_well_formed(row: dict[str, Any]) -> None:
    """A kept instruction is a whole one."""
    assert row["turns"]
    assert all(turn["question"].strip() and turn["answer"].strip() for turn in row["turns"])
    assert row["reply_problem"] is None
    match row["instruction_kind"]:
        case "multiple_choice":
            assert len({option.casefold() for option in row["options"]}) == 4
            assert row["turns"][0]["answer"] in "ABCD"
        case "judgement":
            assert row["turns"][0]["answer"] in ("yes", "no")


def test_one_failing_request_in_five_leaves_no_row_without_an_end(tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures", 16)
    with ChatServer(failing) as server:
        wants = failing_job(tmp_path, server.url)
        run_job(parse_job(yaml.safe_dump(wants), "job.yaml"))
        first = server.counts()
    corpus = open_corpus(str(tmp_path / "store"))
    found = all_errors(corpus)
    met = Counter(kind for body in first if (kind := trouble(json.loads(body))))
    assert {kind for kind, _ in met} == {*_TRANSPORT, *_SAID}
    assert 0.1 < met.total() / len(first) < 0.3

    failed = Counter(f"error: {error['stage']}" for error in found)
    assert len(failed) >= 3
    assert all(error["fate"] == f"error: {error['stage']}" for error in found)
    assert {error["type"] for error in found} == {"Unanswered"}
    causes = {error["message"].partition(":")[0] for error in found}
    assert causes == {"rate_limited", "server_error", "timeout", "bad_response"}
    stages = {f"error: {stage['name']}" for stage in corpus.stages}
    outer = Counter({fate: n for fate, n in failed.items() if fate in stages})
    assert_every_row_has_ended(corpus.documents(), outer)
    assert_every_row_has_ended(corpus.instructions(), failed - outer)
    assert not [text for text in texts(corpus) if MARK in text or "error" in text.casefold()]
    kept = corpus.instructions("turns", "options", "instruction_kind", "reply_problem", kept=True)
    assert len(kept) > 50
    for row in kept.iter_rows(named=True):
        assert_well_formed(row)
    rejected = corpus.instructions("reply_problem", kept=False)
    because = {problem.partition(":")[0] for problem in rejected["reply_problem"].drop_nulls()}
    assert {"refused"} <= because <= {"malformed", "refused", "empty", "truncated"}

    with ChatServer(answer) as healed:
        wants = failing_job(tmp_path, healed.url)
        options = RunOptions(retry_errors=True)
        run_job(parse_job(yaml.safe_dump(wants), "job.yaml"), options)
        second = healed.counts()
        run_job(parse_job(yaml.safe_dump(wants), "job.yaml"))
        assert healed.counts() == second
    assert set(second.values()) == {1}
    again = [trouble(json.loads(body)) for body in second.keys() & first.keys()]
    assert again
    assert all(kind is not None and kind[0] in _TRANSPORT and kind[1] for kind in again)
    corpus = open_corpus(str(tmp_path / "store"))
    assert not all_errors(corpus)
    assert_every_row_has_ended(corpus.documents(), Counter())
    assert_every_row_has_ended(corpus.instructions(), Counter())


# --- Budgets --------------------------------------------------------------------------------------

_PRICES = {"usd_per_million_prompt": 10.0, "usd_per_million_completion": 100.0}
_REQUEST_USD = 0.002
"""What the server's answers cost: 100 and 10 tokens."""
_AT_ONCE = 4


def priced_job(folder: Path, name: str, url: str, budget: float | None) -> dict[str, Any]:
    """A job with prices and exports, in a folder of its own."""
    model = _PRICES | {"max_tokens": 40, "max_concurrency": _AT_ONCE, "budget_usd": budget}
    own = folder / name
    own.mkdir(exist_ok=True)
    found = scripted_job(own, url, model)
    found["inputs"][0]["pictures"] = str(folder / "pictures")
    found["on"] = {"backend": "local", "workers": 2}
    to = str(own / "shards")
    return found | {"export": [{"format": "instructions_parquet", "to": to, "images": "beside"}]}


def fingerprints(found: dict[str, Any]) -> dict[str, str]:
    """What decides about every stage's results."""
    plan = compile_plan(parse_job(yaml.safe_dump(found), "job.yaml"))
    return {stage.name: stage.fingerprint for stage in plan.every_stage}


def spent_usd(folder: Path) -> tuple[int, float]:
    """Answers kept, and what they cost."""
    found = spent(str(folder / "store" / "replies"))
    return sum(s.requests for s in found), sum(s.usd for s in found)


def test_a_spent_budget_ends_the_run_and_a_raised_one_goes_on_from_there(tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures", 8)
    with ChatServer(answer) as server:
        free = priced_job(tmp_path, "free", server.url, None)
        omniloom("run", write_job(tmp_path / "free", **free), "--no-report")
        all_asked = server.counts()
    requests, whole = spent_usd(tmp_path / "free")
    assert whole == pytest.approx(requests * _REQUEST_USD)
    assert requests == all_asked.total()

    folder, budget = tmp_path / "poor", whole / 2
    with ChatServer(answer, latency_s=0.01) as server:
        poor = priced_job(tmp_path, "poor", server.url, budget)
        for _ in range(2):  # what is spent stays spent
            ended = omniloom("run", write_job(folder, **poor), "--no-report", expect=4)
            assert "raise budget_usd" in ended.stderr
            kept, usd = spent_usd(folder)
            assert whole / 4 < usd <= budget + _AT_ONCE * _REQUEST_USD
            assert kept == server.count()
            assert not (folder / "shards").exists()
            assert not list((folder / "store").rglob(f"*{TEMPORARY}"))
        asked = server.counts()
        rich = priced_job(tmp_path, "poor", server.url, 2 * whole)
        assert fingerprints(rich) == fingerprints(poor) == fingerprints(free)
        omniloom("run", write_job(folder, **rich), "--no-report")
        assert all(server.counts()[body] == 1 for body in asked)
        assert server.counts() == all_asked
    kept, usd = spent_usd(folder)
    assert kept == requests
    assert usd == pytest.approx(whole)
    rows = [
        open_corpus(str(place / "store")).instructions() for place in (tmp_path / "free", folder)
    ]
    assert rows[0].equals(rows[1])
    assert folder_digest(folder / "shards") == folder_digest(tmp_path / "free" / "shards")
