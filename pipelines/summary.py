"""What is said about a job in its store: the summary of its last run, and its reference."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pipelines.plan import Plan, fingerprint, source_fingerprint
from pipelines.store import InputRecord, RuleRecord, StageRecord, Store, UnitRecord, UnitRef

_READERS = 16
BORN = "input"
"""Stands for a stage where a rule judges what a document is born with."""


@dataclass
class Summary:
    """A corpus's funnel, and what the last run computed of it."""

    documents: int = 0
    kept: int = 0
    failed: int = 0
    captures: int = 0
    """Images that the inputs hold."""
    images: int = 0
    """Addresses of images that documents show."""
    images_kept: int = 0
    images_failed: int = 0
    inputs: int = 0
    units: int = 0
    contents: str = ""
    """Digest of which rows of which units were kept: names what an export holds."""
    inner_contents: str = ""
    """The same of the rows that are born of them."""
    skipped: dict[str, int] = field(default_factory=dict)
    stages: dict[str, StageRecord] = field(default_factory=dict)
    rules: dict[str, RuleRecord] = field(default_factory=dict)

    def add(self, record: UnitRecord) -> None:
        """Count a unit's record in."""
        self.units += 1
        self.documents += record.rows
        self.kept += record.kept
        self.failed += record.failed
        self._add_parts(record)

    def add_images(self, record: UnitRecord) -> None:
        """Count an image unit's record in."""
        self.images += record.rows
        self.images_kept += record.kept
        self.images_failed += record.failed
        self._add_parts(record)

    def include(self, other: Summary) -> None:
        """Count in what another run of the same job did."""
        add_up(self, other)
        for name, stage in other.stages.items():
            add_up(self.stages.setdefault(name, StageRecord(file="")), stage)

    def _add_parts(self, record: UnitRecord) -> None:
        for name, stage in record.stages.items():
            add_up(self.stages.setdefault(name, StageRecord(file="")), stage)
        for name, rule in record.rules.items():
            add_up(self.rules.setdefault(name, RuleRecord()), rule)

    @classmethod
    def of(
        cls,
        inputs: Iterable[InputRecord],
        records: Iterable[UnitRecord],
        images: Iterable[UnitRecord] = (),
    ) -> Summary:
        """The summary of a whole corpus; `records` in the order of its units."""
        summary = cls()
        digests = []
        for record in records:
            summary.add(record)
            digests.append((record.unit, record.kept_digest))
        inner = []
        for record in images:
            summary.add_images(record)
            inner.append((record.unit, record.kept_digest))
        summary.contents, summary.inner_contents = fingerprint(digests), fingerprint(inner)
        for found in inputs:
            summary.inputs += 1
            summary.captures += found.images
            for reason, count in found.skipped.items():
                summary.skipped[reason] = summary.skipped.get(reason, 0) + count
        return summary

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Summary:
        """The summary in `data`, as `dataclasses.asdict` made it."""
        stages = {name: StageRecord(**value) for name, value in data["stages"].items()}
        rules = {name: RuleRecord(**value) for name, value in data["rules"].items()}
        return cls(**data | {"stages": stages, "rules": rules})


def add_up(total: Any, part: Any) -> None:
    """Add the numbers of one record to those of another of its kind."""
    for name, value in vars(part).items():
        if isinstance(value, int | float):
            setattr(total, name, getattr(total, name) + value)


def input_keys(plan: Plan) -> list[tuple[str, int]]:
    """For each input, the key of its record in the store, and its size in bytes.

    The key changes with the input's address, size or time of change, and with the unit layout.
    """
    keys = []
    for entry in plan.inputs:
        size, stamp = entry.source.size_and_stamp(entry.uri)
        layout = source_fingerprint(entry.source, plan.jobfile.job.unit_rows)
        keys.append((fingerprint(entry.uri, size, stamp, layout), size))
    return keys


def unit_refs(inputs: Iterable[InputRecord]) -> list[UnitRef]:
    """All units in order. An input that repeats another's content adds none of its own."""
    refs: list[UnitRef] = []
    seen: set[str] = set()
    for number, found in enumerate(inputs):
        if found.content not in seen:
            seen.add(found.content)
            refs.extend(UnitRef(unit, rows, found.uri, number) for unit, rows in found.units)
    return refs


def read_records(store: Store, folder: str, units: Iterable[str]) -> list[UnitRecord]:
    """The records of finished units, read side by side."""
    with ThreadPoolExecutor(_READERS) as pool:
        return list(pool.map(lambda unit: store.unit_record(folder, unit), units))


def reference(plan: Plan, keys: list[str]) -> dict[str, Any]:
    """What the job refers to in its store: enough to read the corpus without the job file."""
    found = {
        "job": plan.jobfile.name,
        "recipe": plan.recipe.name,
        "inputs": keys,
        **_table_reference(plan),
    }
    if plan.quotas is not None:
        found["quotas"] = plan.quotas.model_dump(mode="json")
    return found | ({plan.inner.table.name: _table_reference(plan.inner)} if plan.inner else {})


def _table_reference(plan: Plan) -> dict[str, Any]:
    """Where the results over one table are, and how they came about."""
    return {
        "verdicts": plan.folder,
        "before": [plan.upto(index).folder for index in plan.barriers],
        "stages": [
            {
                "name": stage.name,
                "operator": stage.operator.name,
                "version": stage.operator.version,
                "config": stage.operator.model_dump(mode="json"),
                "provenance": stage.operator.provenance(),
                "folder": stage.folder,
                "columns": stage.operator.writes.names,
            }
            for stage in plan.stages
        ],
        "rules": [
            {
                "name": placed.rule.name,
                "table": placed.rule.table,
                "keeps": placed.rule.keeps,
                "expression": placed.rule.expression.text,
                "origin": placed.rule.origin,
                "stage": plan.stages[placed.after].name if placed.after >= 0 else BORN,
            }
            for placed in plan.rules
        ],
    }


def code_version() -> str:
    """The distribution's version, with the commit when it runs from a git checkout."""
    try:
        release = version("omniloom")
    except PackageNotFoundError:
        release = "unreleased"
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return release
    command = ["git", "-C", str(root), "rev-parse", "--short=12", "HEAD"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)  # noqa: S603
    except OSError:
        return release
    commit = found.stdout.strip()
    return f"{release}+{commit}" if commit else release
