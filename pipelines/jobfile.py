"""Reads a job file: YAML with line numbers, checked against the job model."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from schemas.errors import InputError, JobError, Problem, did_you_mean
from schemas.job import Execution, ExportSpec, Job, RuleSpec
from schemas.yaml_lines import Lines as Lines
from schemas.yaml_lines import Path_ as Path_
from schemas.yaml_lines import dotted as dotted
from schemas.yaml_lines import located as located
from schemas.yaml_lines import read_yaml as read_yaml


@dataclass(frozen=True)
class JobFile:
    """A parsed job, and the line on which each of its fields stands."""

    job: Job
    name: str
    file: str
    lines: Lines = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    """What is wrong with the fields themselves; `job` is then the rest of the file."""

    def problem(self, path: Path_, message: str, fix: str, value: object = None) -> Problem:
        """A problem at `path` of this file."""
        return located(self.file, self.lines, path, message, fix, value)


def load_job(path: str | Path) -> JobFile:
    """The job in the file at `path`; what is wrong with its fields is in `problems`.

    Raises:
        InputError: there is no such file.
        JobError: the file is not a job at all.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot read the job file {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"the job file {path} is not UTF-8 text") from None
    return parse_job(text, str(path))


def parse_job(text: str, file: str = "job.yaml") -> JobFile:
    """The job in `text`; `file` is the name that errors show.

    Raises:
        JobError: the text is not a job at all.
    """
    data, lines = read_yaml(text, file)
    if not isinstance(data, dict):
        fix = "start from a job in jobs/, e.g. jobs/demo.yaml"
        raise JobError([Problem("job", "a job is a mapping of fields", fix, None, file, 1)])
    data = {name: value for name, value in data.items() if value is not None}
    stages = data.get("stages")
    if isinstance(stages, dict):  # a stage named without parameters has its defaults
        data["stages"] = {name: {} if value is None else value for name, value in stages.items()}
    job, problems = _validated(data, file, lines)
    return JobFile(job, Path(file).stem, file, lines, tuple(problems))


def _validated(data: dict[str, Any], file: str, lines: Lines) -> tuple[Job, list[Problem]]:
    """The job, without the fields that are wrong, and what is wrong with them.

    So the planner can go on to check the names in the rest, and the user sees all problems at
    once.

    Raises:
        JobError: too little is right to go on.
    """
    try:
        return Job.model_validate(data), []
    except ValidationError as error:
        problems = problems_of(error, Job, file, lines)
        wrong = [tuple(detail["loc"]) for detail in error.errors()]
    try:
        return Job.model_validate(_without(data, wrong)), problems
    except ValidationError:
        raise JobError(problems) from None


def _without(data: Any, paths: list[Path_], here: Path_ = ()) -> Any:
    """The data with the fields at `paths` left out."""
    if isinstance(data, dict):
        kept = {k: v for k, v in data.items() if (*here, str(k)) not in paths}
        return {k: _without(v, paths, (*here, str(k))) for k, v in kept.items()}
    if isinstance(data, list):
        kept_items = [(i, v) for i, v in enumerate(data) if (*here, i) not in paths]
        return [_without(v, paths, (*here, i)) for i, v in kept_items]
    return data


def override(jobfile: JobFile, *, on: str | None = None, workers: int | None = None) -> JobFile:
    """The job with its backend or number of workers changed, as the command line asks.

    Raises:
        JobError: there is no such backend.
    """
    changes = {"backend": on, "workers": workers}
    execution = jobfile.job.on.model_dump() | {k: v for k, v in changes.items() if v is not None}
    try:
        new = Execution.model_validate(execution)
    except ValidationError as error:
        raise JobError(problems_of(error, Execution, "command line", {}, ("on",))) from None
    return replace(jobfile, job=jobfile.job.model_copy(update={"on": new}))


def export_spec(fields: dict[str, Any]) -> ExportSpec:
    """The export that the command line asks for; fields that are None have their defaults.

    Raises:
        JobError: a field is wrong.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    try:
        return ExportSpec.model_validate(given)
    except ValidationError as error:
        raise JobError(problems_of(error, ExportSpec, "command line", {}, ("export",))) from None


def problems_of(
    error: ValidationError,
    model: type[BaseModel],
    file: str,
    lines: Lines,
    prefix: Path_ = (),
) -> list[Problem]:
    """Pydantic's complaints as problems with line, value and fix."""
    found = []
    for detail in error.errors(include_url=False):
        path = (*prefix, *detail["loc"])
        value = detail["input"] if detail["type"] != "missing" else None
        message, fix = _advice(dict(detail), _model_at(model, detail["loc"]))
        shown = value if isinstance(value, str | int | float | bool) else None
        found.append(located(file, lines, path, message, fix, shown))
    return found


def _model_at(model: type[BaseModel], loc: Path_) -> type[BaseModel]:
    match loc:
        case ("rules", str(), *_) if model is Job:
            return RuleSpec
        case ("export", int(), *_) if model is Job:
            return ExportSpec
        case ("on", *_) if model is Job:
            return Execution
        case (str() as name, _, *_) if name in model.model_fields:
            inner = model.model_fields[name].annotation
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                return _model_at(inner, loc[1:])
            return model
        case _:
            return model


def _advice(detail: dict[str, Any], model: type[BaseModel]) -> tuple[str, str]:
    """What is wrong in plain words, and what to do about it."""
    kind, context, name = detail["type"], detail.get("ctx") or {}, str((*detail["loc"], "")[-2])
    match kind:
        case "extra_forbidden":
            return "no such field", did_you_mean(name, model.model_fields)
        case "missing":
            meaning = (
                getattr(model.model_fields.get(name), "description", None) or "see docs/jobs.md"
            )
            return "is missing", f"add it: {meaning or 'see docs/jobs.md'}"
        case "value_error":
            message = str(context.get("error", detail["msg"]))
            return message, "change the field as the message says"
        case "literal_error":
            return "not a known choice", f"use {context['expected']}"
        case "string_pattern_mismatch":
            choices = str(context["pattern"]).strip("^$()").split("|")
            return "not a known choice", did_you_mean(str(detail["input"]), choices)
        case _:
            return detail["msg"][:1].lower() + detail["msg"][1:], _limits(kind, context)


def _limits(kind: str, context: dict[str, Any]) -> str:
    for key, words in (("ge", "or more"), ("le", "or less")):
        if key in context:
            return f"use {context[key]} {words}"
    if "multiple_of" in context:
        return f"use a multiple of {context['multiple_of']}"
    if "gt" in context:
        return f"use more than {context['gt']}"
    names = {
        "int": "a whole number",
        "float": "a number",
        "string": "a text",
        "bool": "true or false",
        "list": "a list",
        "dict": "a mapping",
    }
    wanted = next((words for start, words in names.items() if kind.startswith(start)), None)
    return f"give {wanted}" if wanted else "see docs/jobs.md for this field"
