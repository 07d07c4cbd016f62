"""Instructions end to end: with a real small model, and run again after a threshold has moved.

`instructions_local`: pictures of the bundled corpus through jobs/instructions_local.yaml, shortened
so that it ends within minutes on two cores: one kind of questions in place of four, two of it, no
conversations, shorter answers, less of the page's text, no report. The corpus is that of
jobs/demo.yaml, which is run first where its store is not there; `OMNILOOM_BENCH_CORPUS=folder` in
the environment names another store of it. `rerun_instructions_threshold`: wall seconds of `omniloom
run` after the bound on blind agreement has moved; the model is a scripted server, which nobody may
ask then.
"""

from __future__ import annotations

import os
import statistics
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from operators.asking import Asks
from operators.chat import ChatFailure, Reply
from operators.chat_cache import spent
from operators.chat_client import ReplayChat
from pipelines.corpus import Corpus, open_corpus
from pipelines.jobfile import load_job
from pipelines.plan import compile_plan
from pipelines.verify import verify
from schemas.tables import INSTRUCTIONS
from tests.benchmarks.jobs import DEMO, read, read_summary, write
from tests.benchmarks.processes import COMMAND, Usage, run_measured
from tests.benchmarks.record import Entry, Options, say, workspace
from tests.chat_server import ChatServer
from tests.instruction_jobs import scripted_job, write_pictures
from tests.scripted_model import answer
from tests.support import ROOT

_LOCAL = ROOT / "jobs" / "instructions_local.yaml"
_PICTURES = 60
_SHORT = {"max_tokens": 200}
_QUESTIONS = {"kinds": ["short_vqa"], "short_vqa": 2}
_CONTEXT_CHARS = 500
_NOT_YET = "in_turn"  # the rule that keeps all pictures but a few from the model
_SERVER_LOG = "omniloom/local-models/*.log"
_RERUN_PICTURES = 60
_BOUNDS = (0.2, 0.4, 0.6, 0.8, 1.0)
_RERUN_GOAL = 3.0


# --- A real model ---------------------------------------------------------------------------------


def instructions_local(options: Options) -> Entry:
    """Pictures that ended as they should: accepted, rejected with a reason, failed with a cause."""
    folder = workspace("instructions_local")
    wanted = options.count(_PICTURES, least=3)
    job = _local_job(folder)
    _choose(job, wanted)
    own = {"XDG_CACHE_HOME": str(folder / "cache")}  # the model's server is nobody else's
    seconds = run_measured([COMMAND, "run", "--no-report", str(job)], own).wall_seconds
    corpus = open_corpus(str(folder / "store"))
    answers = _answers(folder)
    again = run_measured([COMMAND, "run", "--no-report", str(job)], own).wall_seconds
    if _answers(folder) != answers:
        raise AssertionError("a second run asked the model")
    return _entry(folder, corpus, wanted, seconds, again)


def _local_job(folder: Path) -> Path:
    """jobs/instructions_local.yaml with less to ask, and a store and exports of its own."""
    store = os.environ.get("OMNILOOM_BENCH_CORPUS") or str(ROOT / read(DEMO)["store"])
    corpus = write(folder / DEMO.name, read(DEMO) | {"store": store})
    if not (Path(store) / "jobs" / f"{DEMO.stem}.json").exists():
        say("the corpus is not there: jobs/demo.yaml is run first")
        run_measured([COMMAND, "run", "--no-report", str(DEMO)])
    job = read(_LOCAL)
    stages = job["stages"]
    model = stages["caption"]["model"] | _SHORT
    for name in ("caption", "generate", "blind"):
        stages[name]["model"] = model
    stages["generate"] = {"model": model, "small_model": True} | _QUESTIONS
    del stages["expand"], job["target"]
    job["inputs"] = [job["inputs"][0] | {"corpus": str(corpus), "context_chars": _CONTEXT_CHARS}]
    for export in job["export"]:
        export["to"] = str(folder / export["format"])
    return write(folder / "job.yaml", job | {"store": str(folder / "store")})


def _choose(job: Path, wanted: int) -> None:
    """Bound the job to so many of the pictures that its rules let through to the model."""
    whole = read(job)
    rule = {"table": "images", "keep": "picture_turn < 0"}
    write(job, whole | {"rules": whole["rules"] | {_NOT_YET: rule}, "export": []})
    run_measured([COMMAND, "run", "--no-report", str(job)])
    corpus = open_corpus(str(job.parent / "store"))
    left = corpus.documents("picture_turn").filter(pl.col("dropped_by") == _NOT_YET)
    turns = left["picture_turn"].sort()
    if len(turns) <= wanted:
        raise AssertionError(f"{len(turns)} pictures are left to ask about, {wanted} are wanted")
    rule = {"table": "images", "keep": f"picture_turn < {turns[wanted]:.12f}"}
    write(job, whole | {"rules": whole["rules"] | {_NOT_YET: rule}})


def _entry(folder: Path, corpus: Corpus, wanted: int, seconds: float, again: float) -> Entry:
    pictures = corpus.documents("caption_usage").filter(pl.col("caption_usage").is_not_null())
    if len(pictures) < wanted:
        raise AssertionError(f"{len(pictures)} pictures were asked about, {wanted} are wanted")
    instructions = corpus.instructions("instruction_kind", "reply_problem")
    answers = spent(str(folder / "store" / "replies"))
    asked = sum(found.requests for found in answers)
    sent = _sent(folder)
    whole = corpus.documents()
    had_turn = whole.filter(pl.col("dropped_by").ne_missing(_NOT_YET))
    fates = {"pictures": _fates(had_turn), "instructions": _fates(instructions)}
    verified = {path.name: not verify(str(path)).wrong for path in _exports(folder)}
    holds = not fates["pictures"]["lost"] + fates["instructions"]["lost"]
    holds &= sent == asked and all(verified.values())
    written = sum(found.completion_tokens for found in answers)
    return Entry(
        len(pictures) if holds else 0,
        "pictures",
        wanted,
        more_is_better=True,
        details={
            "meaning": "asked about; 0 unless every picture and instruction was accepted, rejected "
            "with a reason or failed with a cause, each request went out once, exports verify",
            "fates": fates,
            "pictures_dropped_by": _counts(had_turn["dropped_by"].drop_nulls()),
            "pictures_without_a_turn": len(whole) - len(had_turn),
            "instructions": len(instructions),
            "accepted": int(instructions["kept"].sum()),
            "accepted_by_kind": _counts(instructions.filter("kept")["instruction_kind"]),
            "dropped_by": _counts(instructions["dropped_by"].drop_nulls()),
            "first_replies": _first_replies(folder, corpus),
            "answers": {found.tag: found.requests for found in answers},
            "requests_that_reached_the_server": sent,
            "seconds": round(seconds, 1),
            "requests_a_minute": round(60 * asked / seconds, 1),
            "written_tokens_a_second": round(written / seconds, 1),
            "tokens_read_and_written_a_second": round(
                (written + sum(found.prompt_tokens for found in answers)) / seconds, 1
            ),
            "seconds_of_a_second_run": round(again, 2),
            "exports_verified": verified,
            "shortened": {"max_tokens": 200, **_QUESTIONS, "context_chars": _CONTEXT_CHARS},
        },
    )


def _fates(rows: pl.DataFrame) -> dict[str, int]:
    """How rows have ended. Lost are those that were dropped, and nobody knows why."""
    failed = rows["dropped_by"].str.starts_with("error: ").fill_null(value=False)
    return {
        "accepted": int(rows["kept"].sum()),
        "rejected": int((rows["dropped_by"].is_not_null() & ~failed).sum()),
        "failed": int(failed.sum()),
        "lost": int((~rows["kept"] & rows["dropped_by"].is_null()).sum()),
    }


def _first_replies(folder: Path, corpus: Corpus) -> dict[str, Any]:
    """The share of first replies that fit their schema, by stage, and what the others lacked."""
    found = {}
    for stage in compile_plan(load_job(str(folder / "job.yaml"))).every_stage:
        if isinstance(stage.operator, Asks):
            causes = Counter(_causes(corpus, stage.operator))
            fit = causes.pop("fits", 0)
            share = round(fit / max(fit + causes.total(), 1), 4)
            found[stage.name] = {"fit": fit, "share": share, "others": dict(causes)}
    return found


def _causes(corpus: Corpus, operator: Asks) -> Iterator[str]:
    """For each request of a stage that went out, `fits` or why its reply does not."""
    inner = operator.table == INSTRUCTIONS.name
    known = {*corpus.columns, *corpus.instructions_view.columns}
    names = [name for name in operator.needs().names if name in known]
    frame = (corpus.instructions if inner else corpus.documents)(*names)
    fields = [operator.needs().field(name) for name in names]
    table = operator.given(frame.select(names).to_arrow().cast(pa.schema(fields)))
    requests = {q.request.key: q.request for q in operator.questions(table.to_pylist())}
    chat = ReplayChat(operator.model, Path(operator.replies or ""))
    for reply in chat.ask(list(requests.values())):
        if isinstance(reply, Reply):
            yield "fits"
        elif isinstance(reply, ChatFailure) and reply.cause != "not_kept":
            yield reply.cause
    chat.close()


def _answers(folder: Path) -> int:
    return sum(found.requests for found in spent(str(folder / "store" / "replies")))


def _sent(folder: Path) -> int:
    """Requests that the model's server has worked on, by its own log."""
    logs = (folder / "cache").glob(_SERVER_LOG)
    return sum(path.read_text(errors="replace").count("launch_slot_") for path in logs)


def _exports(folder: Path) -> list[Path]:
    return [folder / export["format"] for export in read(folder / "job.yaml")["export"]]


def _counts(values: pl.Series) -> dict[str, int]:
    return dict(Counter(values.to_list()).most_common())


# --- A moved threshold ----------------------------------------------------------------------------


def rerun_instructions_threshold(options: Options) -> Entry:
    """Seconds of a run after the bound on blind agreement has moved."""
    folder = workspace("rerun_instructions_threshold")
    write_pictures(folder / "pictures", options.count(_RERUN_PICTURES, least=4))
    with ChatServer(answer) as server:
        fields = scripted_job(folder, server.url, unit_rows=20)
        fields["stages"]["blind"]["samples"] = 4  # so that bounds differ in what they let through
        job = write(folder / "job.yaml", fields)
        first = run_measured([COMMAND, "run", "--no-report", str(job)]).wall_seconds
        asked, measured, accepted = server.count(), _stage_files(folder), []
        used: list[Usage] = []
        for bound in _BOUNDS:
            rule = {"table": "instructions", "drop": f"blind_agreement >= {bound}"}
            write(job, fields | {"rules": fields["rules"] | {"guessable": rule}})
            used.append(run_measured([COMMAND, "run", "--no-report", str(job)]))
            summary = read_summary(folder)
            accepted.append(summary["images_kept"])
            if _stage_files(folder) != measured:
                raise AssertionError("a moved threshold computed a stage anew")
        if len(set(accepted)) < 2:
            raise AssertionError(f"the threshold did not matter: {accepted} accepted")
        if server.count() != asked:
            raise AssertionError("a moved threshold asked the model")
    seconds = [usage.wall_seconds for usage in used]
    return Entry(
        statistics.median(seconds),
        "seconds",
        _RERUN_GOAL,
        details={
            "meaning": f"median of {len(seconds)}, start to end, without the report",
            "least": round(min(seconds), 3),
            "greatest": round(max(seconds), 3),
            "cpu_seconds": round(statistics.median(usage.cpu_seconds for usage in used), 3),
            "first_run_seconds": round(first, 2),
            "pictures": summary["documents"],
            "instructions": summary["images"],
            "accepted": accepted,
            "requests_of_the_first_run": asked,
            "requests_of_the_others": 0,
        },
    )


def _stage_files(folder: Path) -> set[Path]:
    """What stages have written: a stage that computes anything writes a file with another name."""
    return {path for path in (folder / "store" / "stages").rglob("*") if path.is_file()}
