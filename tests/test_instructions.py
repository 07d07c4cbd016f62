"""The instruction pipeline end to end, against a scripted model behind real HTTP."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from operators.review_decisions import Turn
from pipelines.corpus import Corpus, open_corpus
from pipelines.engine import RunOptions, RunResult, run_job
from pipelines.instruction_corpus import review_folder, review_items, usd_by_stage
from pipelines.jobfile import parse_job
from pipelines.plan import compile_plan
from pipelines.price import price, why_miss
from pipelines.review_log import ReviewLog
from pipelines.review_queue import ReviewPlan, ReviewQueue
from pipelines.verify import verify
from schemas.errors import JobError, QuotasMissed
from tests.chat_server import Act, Body, ChatServer, parts_of, text_of
from tests.instruction_jobs import scripted_job, write_pictures
from tests.instruction_kills import outcome
from tests.scripted_model import answer, schema_of

JOB = "pictures.yaml"
NOON = "2026-01-01T12:00:00+00:00"
PRICES = {"usd_per_million_prompt": 10.0, "usd_per_million_completion": 100.0}
EDITED = "{domain} {knowledge} {caption} {texts} {seeds} Write something else, 写别的, {count}."


def run(found: dict[str, Any], options: RunOptions | None = None) -> RunResult:
    return run_job(parse_job(yaml.safe_dump(found), JOB), options)


def corpus(tmp_path: Path) -> Corpus:
    return open_corpus(str(tmp_path / "store"))


def test_pictures_become_instructions_of_every_kind(tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures", 6)
    with ChatServer(answer) as server:
        result = run(scripted_job(tmp_path, server.url))
        asked = server.count()
        again = run(scripted_job(tmp_path, server.url))
        assert server.count() == asked
    assert not again.changed
    assert result.summary.documents == 6
    frame = corpus(tmp_path).instructions()
    counts = dict(frame.group_by("instruction_kind").len().iter_rows())
    assert counts == {
        "caption": 6,
        "judgement": 24,
        "long_vqa": 18,
        "multiple_choice": 18,
        "short_vqa": 18,
        "multi_round": 6,
    }
    assert frame["instruction_id"].n_unique() == len(frame)


def test_ray_writes_the_same_instructions(ray_head: tuple[str, str], tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures", 5)
    backends: list[dict[str, Any]] = [
        {"backend": "local", "workers": 0},
        {"backend": "ray", "address": ray_head[0]},
    ]
    with ChatServer(answer) as server:
        found = []
        for on in backends:
            folder = tmp_path / on["backend"]
            folder.mkdir()
            inputs = [{"pictures": str(tmp_path / "pictures")}]
            export = [{"format": "messages", "to": str(folder / "shards"), "images": "beside"}]
            wants = scripted_job(folder, server.url, on=on, inputs=inputs, export=export)
            run(wants)
            found.append(outcome(folder))
        local, ray = found
        assert local.differences(ray) == []
        assert len(local.instructions) > 50
        assert set(server.counts().values()) == {2}  # once for each store


def test_pictures_have_their_turn_until_enough_is_accepted(tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures", 40)
    with ChatServer(answer) as server:
        wants = scripted_job(tmp_path, server.url, target={"accepted": 200})
        result = run(wants)
        asked = server.counts()
        assert max(asked.values()) == 1
        accepted = result.summary.images_kept
        captioned = corpus(tmp_path).documents("caption_en").drop_nulls().height
        assert 200 <= accepted < 400
        assert captioned < 40
        run(wants)
        assert server.count() == asked.total()


def test_a_run_whose_instructions_miss_a_quota_fails_and_says_why(tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures", 3)
    with ChatServer(answer) as server:
        quotas = {"per_lang": {"zh": 10}}
        with pytest.raises(QuotasMissed, match="lang zh has 0 rows, fewer than 10"):
            run(scripted_job(tmp_path, server.url, target={"quotas": quotas}))
        with pytest.raises(QuotasMissed, match="all pictures had their turn"):
            run(scripted_job(tmp_path, server.url, target={"accepted": 100_000}))


FORMATS = ("mminstruct", "llava_instruct", "internvl_chat", "messages", "instructions_parquet")


def test_accepted_instructions_are_exported_in_every_format(tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures", 3)
    to = {name: str(tmp_path / name) for name in FORMATS}
    exports = [{"format": name, "to": to[name], "images": "beside"} for name in FORMATS]
    with ChatServer(answer) as server:
        wants = scripted_job(tmp_path, server.url, export=exports)
        result = run(wants)
        kept = corpus(tmp_path).instructions("instruction_id", kept=True)
        assert 0 < len(kept) == result.summary.images_kept
        for name in FORMATS:
            manifest = json.loads(Path(to[name], "_SUCCESS.json").read_text())
            assert manifest["rows"] == len(kept), name
            assert not verify(to[name]).wrong
        rows = pq.read_table(
            sorted(Path(to["instructions_parquet"]).glob("*.parquet"))[0]
        ).to_pylist()
        assert {row["instruction_id"] for row in rows} == set(kept["instruction_id"])
        assert {row["image_licence"] for row in rows} == {"CC0-1.0"}
        assert run(wants).shards == result.shards


def test_an_export_of_documents_is_refused_with_the_formats_that_fit(tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures", 1)
    wrong = scripted_job(tmp_path, "http://127.0.0.1:9", export=[{"format": "mmc4", "to": "x"}])
    with pytest.raises(JobError, match=r"no format of instructions.*\n.*'llava_instruct'"):
        compile_plan(parse_job(yaml.safe_dump(wrong)))


def test_a_pilot_tells_what_all_will_cost_and_is_not_paid_twice(tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures", 30)
    with ChatServer(answer) as server:
        wants = parse_job(yaml.safe_dump(scripted_job(tmp_path, server.url, PRICES)), JOB)
        told = price(wants, 10)
        asked = server.counts()
        assert 5 <= told.total.pilot_rows <= 15
        assert told.total.rows == 30
        run_job(wants)
        spent = usd_by_stage(corpus(tmp_path))
        assert sum(spent.values()) == pytest.approx(told.total.usd.mean)
        assert sum(forecast.usd.mean for forecast in told.stages.values()) == pytest.approx(
            told.total.usd.mean
        )
        assert all(server.counts()[body] == times for body, times in asked.items())


def test_an_edited_prompt_pays_for_what_it_touches_and_says_what(tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures", 3)
    with ChatServer(answer) as server:
        first = scripted_job(tmp_path, server.url)
        run(first)
        before = server.count()
        assert all(not stage.missed for stage in why_miss(parse_job(yaml.safe_dump(first), JOB)))
        folder = tmp_path / "seeds"
        folder.mkdir()
        prompt = {"system": "writer", "en": EDITED, "zh": EDITED}
        (folder / "prompts.yaml").write_text(
            yaml.safe_dump({"prompts": {"short_vqa": prompt}}, allow_unicode=True)
        )
        stages = first["stages"] | {
            "generate": {**first["stages"]["generate"], "seeds": str(folder)}
        }
        edited = first | {"stages": stages}
        missed = {m.stage: m for m in why_miss(parse_job(yaml.safe_dump(edited), JOB))}
        assert {name: m.missed for name, m in missed.items() if m.missed} == {"generate": 3}
        generate = missed["generate"]
        assert list(generate.differs) == [("prompt",)]
        assert generate.example is not None
        assert "Write something else" in generate.example.diff
        assert server.count() == before
        run(edited)
        asked_again = server.bodies()[before:]
        assert sum("Write something else" in str(body) for body in asked_again) == 3
        others = [body for body in asked_again if "Write something else" not in str(body)]
        # What hangs on the new answers is asked anew, nothing else: their own questions again.
        assert len(others) == 3 * 3 * 3  # of each picture, without it once and with it twice
        assert all("What can be said about part" in str(body) for body in others)


def test_pictures_of_a_corpus_come_with_the_text_around_them(tmp_path: Path) -> None:
    web = {
        "pipeline": "interleaved",
        "store": str(tmp_path / "web"),
        "on": {"backend": "local", "workers": 0},
        "inputs": [{"warc": "jobs/sample/sample-zh.warc.gz"}],
        "stages": {"fetch": {"http": False}},
        "rules": {"decodes": {"table": "images", "keep": "image_width >= 32"}},
    }
    path = tmp_path / "web.yaml"
    path.write_text(yaml.safe_dump(web))
    with ChatServer(answer) as server:
        wants = scripted_job(
            tmp_path, server.url, inputs=[{"corpus": str(path), "licence": "GFDL"}]
        )
        wants["rules"]["few"] = {"table": "images", "keep": "picture_turn < 0.1"}
        wants["unit_rows"] = 500
        with pytest.raises(JobError, match="Run it first"):
            compile_plan(parse_job(yaml.safe_dump(wants), JOB))
        run_job(parse_job(yaml.safe_dump(web), str(path)))
        run(wants)
    found = corpus(tmp_path)
    source = open_corpus(str(tmp_path / "web"))
    shown = set(source.images("image_url", kept=True)["image_url"])
    pictures = found.documents(
        "image_url", "image_route", "image_licence", "page_url", "page_text", "image_data"
    )
    assert 20 < len(pictures) <= len(shown)
    assert set(pictures["image_url"]) <= shown
    assert set(pictures["image_route"]) == {"corpus"}
    assert set(pictures["image_licence"]) == {"GFDL"}
    pages = {document.url: document for document in source.kept()}
    for row in pictures.head(20).iter_rows(named=True):
        assert row["image_data"] == source.image(row["image_url"])
        lines = (row["page_text"] or "").splitlines()
        assert all(line in pages[row["page_url"]].text for line in lines)
    asked = found.instructions("page_url", "instruction_kind", kept=True)
    assert set(asked["page_url"]) <= set(pages)
    assert "multiple_choice" in set(asked["instruction_kind"])


def test_questions_of_a_public_set_are_judged_like_generated_ones(tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures", 2)
    rows = [
        {"image": "000.jpg", "question": "How many towers are there?", "answer": "three"},
        {"image": "000.jpg", "question": "Is there a boat?", "answer": "I cannot see the image."},
        {"image": "001.jpg", "question": "What stands by the river?", "answer": "a mill"},
        {"image": "gone.jpg", "question": "What is it?", "answer": "a mill"},
    ]
    listed = tmp_path / "set.jsonl"
    listed.write_text("\n".join(map(json.dumps, rows)))
    qa = {
        "qa_set": str(listed),
        "source": "Old towns",
        "domain": "landmark",
        "licence": "CC-BY-4.0",
        "images": str(tmp_path / "pictures"),
    }
    with ChatServer(answer) as server:
        result = run(scripted_job(tmp_path, server.url, inputs=[qa]))
    assert result.summary.skipped == {"there is no file of the image": 1}
    names = ("instruction_source", "instruction_licence", "turns", "image_sha256")
    found = corpus(tmp_path).instructions(*names)
    given = found.filter(found["instruction_source"] == "Old towns")
    assert len(given) == 3
    assert set(given["instruction_licence"]) == {"CC-BY-4.0"}
    dropped = {row["turns"][0]["question"]: row["dropped_by"] for row in given.to_dicts()}
    assert dropped["How many towers are there?"] is None
    assert dropped["Is there a boat?"] is not None
    assert len(found) > 3


def test_what_reviewers_decide_is_taken_up_by_the_next_run_and_asks_nobody(tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures", 2)
    to = str(tmp_path / "out")
    with ChatServer(answer) as server:
        wants = scripted_job(
            tmp_path, server.url, export=[{"format": "instructions_parquet", "to": to}]
        )
        wants["rules"]["rejected"] = {
            "table": "instructions",
            "drop": "review_status == 'rejected'",
        }
        run(wants)
        asked = server.count()
        jobfile = parse_job(yaml.safe_dump(wants), JOB)
        with ReviewLog(review_folder(jobfile)) as log:
            queue = ReviewQueue(review_items(corpus(tmp_path)), ReviewPlan(), log)
            short = [item for item in queue.items.values() if item.kind == "short_vqa"]
            before = len(queue.items)
            told = Turn(question="What is that thing called?", answer="A mill")
            first, second = (item.instruction_id for item in short[:2])
            queue.decide("ann", "1", first, "edit", seconds=20, time=NOON, turns=[told])
            queue.decide("ann", "2", second, "reject", seconds=10, time=NOON, reason="wrong")
        run(wants)
        assert server.count() == asked
    found = corpus(tmp_path)
    dropped = found.instructions("instruction_id", kept=False)
    reasons = dict(dropped.select("instruction_id", "dropped_by").iter_rows())
    assert reasons[second] == "rejected"
    assert len(list(review_items(found))) == before
    (shard,) = Path(to).glob("*.parquet")
    rows = {row["instruction_id"]: row for row in pq.read_table(shard).to_pylist()}
    assert rows[first]["reviewed_turns"] == [told.model_dump()]
    assert second not in rows
    assert len(rows) == before - 1


def test_quotas_hold_with_a_target_and_when_they_are_tightened_later(tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures", 3)
    out = str(tmp_path / "out")
    with ChatServer(answer) as server:
        wants = scripted_job(tmp_path, server.url, export=[{"format": "llava_instruct", "to": out}])
        some = wants | {"target": {"accepted": 10, "quotas": {"per_lang": {"zh": 10}}}}
        for _ in range(2):
            with pytest.raises(QuotasMissed, match="lang zh has 0 rows"):
                run(some)
        assert not Path(out).exists()
        first = run(wants | {"target": {"accepted": 10}})
        assert first.changed
        assert not run(wants | {"target": {"accepted": 10}}).changed
        with pytest.raises(QuotasMissed, match="lang zh has 0 rows"):
            run(some)


def test_failures_within_bounds_stay_so_and_are_tried_again_in_all_waves(tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures", 30)
    healed = tmp_path / "healed"

    def script(body: Body, nth: int) -> Any:
        failing = "View number 1" in text_of(body) and "caption" in schema_of(body)["properties"]
        return Act(status=400, text="no") if failing and not healed.exists() else answer(body, nth)

    with ChatServer(script) as server:
        wants = scripted_job(tmp_path, server.url, target={"accepted": 200})
        result = run(wants)
        assert result.summary.failed > 0
        assert not run(wants).changed
        healed.touch()
        again = run(wants, RunOptions(retry_errors=True))
        assert again.summary.failed == 0
        assert again.summary.images_kept > result.summary.images_kept
        assert not run(wants).changed


def test_jobs_that_share_a_store_survive_each_others_restarts(tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures", 5)
    with ChatServer(answer) as server:
        one = scripted_job(tmp_path, server.url)
        some = one | {
            "rules": one["rules"] | {"few": {"table": "images", "keep": "picture_turn < 0.7"}}
        }

        def go(found: dict[str, Any], name: str, options: RunOptions | None = None) -> RunResult:
            return run_job(parse_job(yaml.safe_dump(found), f"{name}.yaml"), options)

        before = go(some, "some").summary.images_kept
        go(one, "one")
        go(one, "one", RunOptions(restart_from="answer_checks"))
        out = tmp_path / "out"
        export = [{"format": "instructions_parquet", "to": str(out)}]
        assert go(some | {"export": export}, "some").summary.images_kept == before
        (shard,) = out.glob("*.parquet")
        assert pq.read_metadata(shard).num_rows == before


def test_two_folders_with_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures", 2)
    shutil.copytree(tmp_path / "pictures", tmp_path / "others")
    (tmp_path / "others" / "000.jpg").write_bytes((tmp_path / "pictures" / "001.jpg").read_bytes())
    (tmp_path / "others" / "001.jpg").unlink()
    inputs = [{"pictures": str(tmp_path / name)} for name in ("pictures", "others")]
    with ChatServer(answer) as server:
        run(scripted_job(tmp_path, server.url, inputs=inputs))
    found = corpus(tmp_path)
    rows = found.instructions("image_url", "image_sha256")
    for url, digest in rows.select("image_url", "image_sha256").unique().iter_rows():
        assert hashlib.sha256(found.image(url) or b"").hexdigest() == digest


def test_a_model_that_sees_is_shown_the_picture_and_asked_nothing_without(tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures", 2)
    with ChatServer(answer) as server:
        run(scripted_job(tmp_path, server.url, {"sees_images": True, "image_side": 100}))
        shown = [body for body in server.bodies() if "image_url" in str(body["messages"])]
        unseen = [body for body in server.bodies() if body not in shown]
    sizes = {
        Image.open(io.BytesIO(base64.b64decode(part["image_url"]["url"].partition(",")[2]))).size
        for body in shown
        for part in parts_of(body)
        if part["type"] == "image_url"
    }
    assert sizes == {(100, 75)}
    assert unseen
    assert all("cannot see the picture" in str(body) for body in unseen)
