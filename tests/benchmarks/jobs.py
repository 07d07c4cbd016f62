"""Job files for benchmarks: jobs/demo.yaml with changes, and what the store says of their runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from pipelines.jobfile import read_yaml
from tests.support import ROOT

DEMO = ROOT / "jobs" / "demo.yaml"


def demo_job(folder: Path, name: str = "job", **fields: Any) -> Path:
    """A copy of the demo job whose store and exports are in `folder`; `fields` replace its own."""
    job = read(DEMO)
    job["store"] = str(folder / "store")
    for export in job["export"]:
        export["to"] = str(folder / f"shards-{export['format']}")
    return write(folder / f"{name}.yaml", job | fields)


def read(path: Path) -> dict[str, Any]:
    """The fields of a job file."""
    job, _ = read_yaml(path.read_text("utf-8"), str(path))
    assert isinstance(job, dict)  # these job files are right
    return job


def write(path: Path, job: dict[str, Any]) -> Path:
    """A job file at `path`."""
    path.write_text(yaml.safe_dump(job, sort_keys=False, allow_unicode=True), "utf-8")
    return path


def read_summary(folder: Path, name: str = "job") -> dict[str, Any]:
    """The summary that the last run of a job has left in the store below `folder`."""
    reference = json.loads((folder / "store" / "jobs" / f"{name}.json").read_text("utf-8"))
    summary: dict[str, Any] = reference["done"]["summary"]
    return summary


def rows_computed(folder: Path, name: str = "job") -> dict[str, int]:
    """How many rows each stage computed in the last run."""
    stages = read_summary(folder, name)["stages"]
    return {stage: record["computed"] for stage, record in stages.items()}
