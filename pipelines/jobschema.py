"""The JSON Schema of job files, for editors: completion, hover texts, red lines."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel

from operators.coverage import Quotas
from operators.export import FORMATS
from operators.registry import SOURCES
from pipelines.plan import RECIPES, RULE_FRAGMENTS
from pipelines.recipe import Step
from pipelines.review_queue import ReviewPlan
from schemas.job import Job


def job_schema() -> dict[str, Any]:
    """The job model's schema, with the sources, recipes, stages and fragments that exist."""
    schema = Job.model_json_schema()
    properties, definitions = schema["properties"], schema["$defs"]
    schema |= {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "omniloom job",
    }
    properties["pipeline"]["enum"] = sorted(RECIPES)
    names = {"type": "string", "enum": ["local", "ray"]}
    properties["on"] = properties["on"] | {"anyOf": [names, {"$ref": "#/$defs/Execution"}]}
    properties["on"].pop("$ref", None)
    properties["on"].pop("default", None)
    properties["inputs"]["items"] = {"anyOf": [_source(kind) for kind in SOURCES]}
    steps = {step.name: step for recipe in RECIPES.values() for step in recipe.steps}
    for step in steps.values():
        for operator in step.operators.values():
            definitions |= operator.model_json_schema().get("$defs", {})
    properties["stages"] |= {
        "properties": {name: _stage(step) for name, step in steps.items()},
        "additionalProperties": False,
    }
    properties["target"].pop("default", None)
    definitions["Target"]["properties"]["quotas"] |= Quotas.model_json_schema()
    review = ReviewPlan.model_json_schema()
    definitions |= review.pop("$defs")
    properties["review"] |= review
    fragments = sorted(path.stem for path in RULE_FRAGMENTS.glob("*.yaml"))
    definitions["Rules"]["properties"]["use"]["items"]["enum"] = fragments
    export = definitions["ExportSpec"]["properties"]
    export["format"]["enum"] = sorted(FORMATS)
    kinds = {name: export["mask_pii"].pop(name) for name in ("type", "items")}
    export["mask_pii"]["anyOf"] = [{"type": "boolean"}, kinds]
    return schema


def job_schema_text() -> str:
    """The schema as it is kept in jobs/job.schema.json."""
    return json.dumps(job_schema(), indent=2, ensure_ascii=False) + "\n"


def _fields(model: type[BaseModel]) -> dict[str, Any]:
    found: dict[str, Any] = model.model_json_schema().get("properties", {})
    return found


def _source(kind: str) -> dict[str, Any]:
    fields = _fields(SOURCES[kind])
    fields = {kind if name == "path" else name: value for name, value in fields.items()}
    return {
        "type": "object",
        "description": (SOURCES[kind].__doc__ or "").strip(),
        "properties": fields,
        "required": [kind],
        "additionalProperties": False,
    }


def _stage(step: Step) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for operator in step.operators.values():
        fields |= _fields(operator)
    if step.choose:
        choice = {"enum": sorted(step.operators), "default": step.default}
        fields = {step.choose: choice} | fields
    return {
        "type": "object",
        "description": step.meaning,
        "properties": fields,
        "additionalProperties": False,
    }
