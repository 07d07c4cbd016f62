"""The planner: everything wrong with a job at once, and what a plan says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import jsonschema
import pytest

from operators.text import TextStatistics
from pipelines import load_job
from pipelines.estimate import estimate
from pipelines.jobfile import JobFile, parse_job, read_yaml
from pipelines.jobschema import job_schema_text
from pipelines.plan import RECIPES, compile_plan, output_schema
from pipelines.recipe import Recipe, step
from schemas.errors import InputError, JobError
from tests.support import ROOT, write_job

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.bad.yaml")), ids=lambda p: p.stem)
def test_all_problems_of_a_job_are_told_at_once(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The texts are kept in golden/*.txt; rewrite one by hand after judging its words."""
    monkeypatch.chdir(ROOT)
    with pytest.raises(JobError) as error:
        compile_plan(parse_job(path.read_text("utf-8"), path.name))
    assert str(error.value) + "\n" == path.with_suffix("").with_suffix(".txt").read_text("utf-8")


def test_every_problem_names_file_line_field_and_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    text = (GOLDEN / "everything.bad.yaml").read_text("utf-8")
    with pytest.raises(JobError) as error:
        compile_plan(parse_job(text, "everything.bad.yaml"))
    for problem in error.value.problems:
        assert problem.file == "everything.bad.yaml"
        assert problem.line is not None
        assert problem.field
        assert problem.fix
        word = problem.field.split(".")[-1].split("[")[0]
        line = text.splitlines()[problem.line - 1]
        assert word in line or (problem.value or "?").strip("'").split(" + ")[0] in line


def test_on_is_not_a_boolean_and_no_is_norwegian() -> None:
    data, lines = read_yaml("on: local\nlangs: [en, no]\nyes: true\n", "x.yaml")
    assert data == {"on": "local", "langs": ["en", "no"], "yes": True}
    assert lines[("langs", 1)] == 2


def test_fields_left_empty_have_their_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    text = (
        "pipeline: interleaved\nstore: build/x\ninputs: [{warc: jobs/sample/*.gz}]\n"
        "rules:\non:\nexport:\nstages: {extract: }\n"
    )
    assert compile_plan(parse_job(text)).rules == ()


@pytest.mark.parametrize("text", ["[" * 5000, "a: \0", "a: &a [*a]\nb: {{}: 1}"])
def test_yaml_that_nobody_wrote_is_refused_in_words(text: str) -> None:
    with pytest.raises(JobError):
        compile_plan(parse_job(text))


def test_a_missing_job_file_is_named() -> None:
    with pytest.raises(InputError, match=r"cannot read the job file no/such.yaml"):
        load_job("no/such.yaml")


def test_the_schema_for_editors_is_up_to_date() -> None:
    kept = (ROOT / "jobs" / "job.schema.json").read_text("utf-8")
    assert kept == job_schema_text(), "run: omniloom schema > jobs/job.schema.json"
    assert "gopher" in json.loads(kept)["$defs"]["Rules"]["properties"]["use"]["items"]["enum"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"stores": "x"},
        {"on": "lokal"},
        {"stages": {"extract": {"favr": "recall"}}},
        {"inputs": [{"wrac": "x"}]},
        {"rules": {"use": ["gofer"]}},
        {"rules": {"short": {"drp": "word_count < 5"}}},
        {"export": [{"format": "parkay", "to": "x"}]},
    ],
    ids=str,
)
def test_the_schema_accepts_the_demo_and_refuses_what_the_planner_refuses(
    wrong: dict[str, object],
) -> None:
    schema = json.loads((ROOT / "jobs" / "job.schema.json").read_text("utf-8"))
    job, _ = read_yaml((ROOT / "jobs" / "demo.yaml").read_text("utf-8"), "demo.yaml")
    jsonschema.validate(job, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(job | wrong, schema)


def test_a_fragments_rule_can_be_moved_and_switched_off(tmp_path: Path) -> None:
    rules = {
        "use": ["gopher"],
        "gopher_min_words": {"drop": "word_count < 7"},
        "gopher_symbols": None,
    }
    plan = compile_plan(load_job(write_job(tmp_path, rules=rules)))
    found = {placed.rule.name: placed.rule for placed in plan.rules}
    assert found["gopher_min_words"].text == "drop: word_count < 7"
    assert "gopher_symbols" not in found


def test_rules_are_decided_as_soon_as_their_columns_are_there(tmp_path: Path) -> None:
    rules = {
        "long": {"drop": "word_count > 9"},
        "english": {"keep": "lang == 'en'"},
        "secure": {"drop": "matches(url, '^http:')"},
        "whose": {"table": "nodes", "drop": "domain == 'x.example'"},
    }
    plan = compile_plan(load_job(write_job(tmp_path, rules=rules)))
    assert [(placed.rule.name, placed.after) for placed in plan.rules] == [
        ("secure", -1),
        ("whose", 0),
        ("long", 1),
        ("english", 2),
    ]


def test_fingerprints_follow_config_not_rules(tmp_path: Path) -> None:
    base = compile_plan(load_job(write_job(tmp_path)))
    ruled = compile_plan(load_job(write_job(tmp_path, rules={})))
    changed = compile_plan(load_job(write_job(tmp_path, stages={"language": {"min_chars": 5}})))
    assert [s.fingerprint for s in base.stages] == [s.fingerprint for s in ruled.stages]
    assert base.fingerprint != ruled.fingerprint
    differs = [
        a.fingerprint != b.fingerprint for a, b in zip(base.stages, changed.stages, strict=True)
    ]
    assert differs == [False, False, True]
    assert base.dependants("extract") == {"extract", "language", "text"}
    assert base.dependants("language") == {"language"}


def test_an_estimate_counts_units_and_times_stages(tmp_path: Path) -> None:
    found = estimate(load_job(write_job(tmp_path, rules={})), sample=6)
    assert not found.exact
    assert found.sampled == 6
    assert [stage.units_stored for stage in found.stages] == [0, 0, 0]
    assert all(stage.ms_per_document and stage.ms_per_document > 0 for stage in found.stages)
    assert not (tmp_path / "store").exists()
    assert found.warnings == []


class SlowText(TextStatistics):
    """Text measures that take their time."""

    name: ClassVar[str] = "slow_text"

    def measure(self, batch, state):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
        """Measure everything many times over."""
        for _ in range(20):
            super().measure(batch, state)
        return super().measure(batch, state)


def test_a_dearer_stage_before_a_cheaper_one_is_warned_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = {found.name: found for found in RECIPES["interleaved"].steps}
    slow = step("text", "slow", SlowText)
    dear = Recipe("dear", "text first", (steps["extract"], slow, steps["language"]))
    monkeypatch.setitem(RECIPES, "dear", dear)
    rules = {"sure": {"drop": "lang_score < 0.5"}}
    job = write_job(tmp_path, pipeline="dear", rules=rules)
    warnings = estimate(load_job(job), sample=6).warnings
    assert len(warnings) == 1
    assert "'text'" in warnings[0]
    assert "put the cheaper stage first" in warnings[0]


JOBS = [load_job(path) for path in sorted((ROOT / "jobs").glob("*.yaml"))]


@pytest.mark.parametrize(
    "job", [j for j in JOBS if j.job.pipeline == "instructions"], ids=lambda job: job.name
)
def test_bundled_jobs_plan_all_steps_from_pictures_to_instructions(
    job: JobFile, tmp_path: Path
) -> None:
    (tmp_path / "picture.png").write_bytes(b"no picture, but a file")
    inputs = [{"pictures": str(tmp_path)}]
    plan = compile_plan(replace(job, job=job.job.model_copy(update={"inputs": inputs})))
    stages = [stage.name for stage in plan.every_stage]
    steps = ["fetch", "near_images", "caption", "domains", "generate", "expand", "blind", "review"]
    assert [stage for stage in stages if stage in steps] == steps
    assert plan.inner is not None
    assert "reply_problem" in plan.inner.table.born.names


@pytest.mark.parametrize(
    "jobfile", [j for j in JOBS if j.job.pipeline == "interleaved"], ids=lambda job: job.name
)
def test_bundled_jobs_plan_the_whole_funnel(jobfile: JobFile) -> None:
    """Those for a cluster with bundled pages in place of a bucket's."""
    pytest.importorskip("torch")
    inputs = [{"warc": str(ROOT / "jobs" / "sample" / "sample-en.warc.gz")}]
    plan = compile_plan(replace(jobfile, job=jobfile.job.model_copy(update={"inputs": inputs})))
    stages = [stage.name for stage in plan.every_stage]
    funnel = ["extract", "near_text", "fetch", "pixels", "embed_images", "images"]
    assert [stage for stage in stages if stage in funnel] == funnel
    assert {"doc_id", "nodes", "lang", "word_count", "image_width"} <= set(
        output_schema(plan).names
    )
    gpus = {stage.name: stage.resources.gpus for stage in plan.every_stage}
    assert gpus["embed_images"] == (0 if jobfile.name == "demo" else 1)


def test_an_estimate_times_stages_over_images_on_what_the_inputs_hold(tmp_path: Path) -> None:
    """And asks no server, whatever the job says."""
    rules = {"small": {"table": "images", "drop": "image_width < 150"}}
    job = write_job(tmp_path, rules=rules, stages={"fetch": {}, "image_repeats": {}})
    found = estimate(load_job(job), sample=8)
    stages = {stage.name: stage for stage in found.stages}
    names = ["extract", "text", "language", "shown", "fetch", "pixels", "images", "image_repeats"]
    assert list(stages) == names
    assert (stages["pixels"].ms_per_document or 0) > 0
    assert stages["pixels"].rules == ["small"]
    assert stages["images"].ms_per_document is None
    assert not any("image_repeats" in warning for warning in found.warnings)
