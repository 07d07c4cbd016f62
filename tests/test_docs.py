"""The documentation says what is there, and its examples run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pydantic import Field

from operators import registry
from operators.base import Operator, measured
from operators.export import FORMATS
from operators.text import node_texts
from pipelines.plan import RECIPES, RULE_FRAGMENTS
from schemas import columns
from schemas.job import Execution, Job
from tests.support import ROOT


def read(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def test_every_field_source_format_stage_and_fragment_is_documented() -> None:
    jobs, rules = read("docs/jobs.md"), read("docs/rules.md")
    for name in [*Job.model_fields, *Execution.model_fields]:
        assert re.search(rf"\b{name}\b", jobs), name
    for name in (*registry.SOURCES, *FORMATS, *(s.name for s in RECIPES["interleaved"].steps)):
        assert name in jobs, name
    for fragment in RULE_FRAGMENTS.glob("*.yaml"):
        assert f"`{fragment.stem}`" in rules


def test_every_link_of_the_documentation_leads_somewhere() -> None:
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_file_tree_of_the_readme_is_the_real_one() -> None:
    tree = read("README.md").split("## Files")[1].split("```")[1]
    for folder in ("schemas", "operators", "pipelines"):
        part = re.split(r"\n(?=\w+/)", tree[tree.index(f"\n{folder}/") + 1 :])[0]
        named = set(re.findall(r"\b[a-z_0-9]+\.py\b", part))
        there = {path.name for path in (ROOT / folder).glob("*.py")} - {"__init__.py"}
        assert named == there


def test_the_operator_of_the_guide_works(monkeypatch: pytest.MonkeyPatch) -> None:
    new = columns.Column("paragraph_count", pa.int32(), "text nodes", "nodes")
    monkeypatch.setitem(columns.COLUMNS, "paragraph_count", new)
    code = read("docs/operators.md").split("```python")[1].split("```")[0]
    names: dict[str, Any] = {
        "Operator": Operator,
        "columns": columns,
        "Field": Field,
        "pa": pa,
        "measured": measured,
        "node_texts": node_texts,
        "__name__": __name__,
    }
    exec(compile(code, str(Path("docs/operators.md")), "exec"), names)
    node = {"kind": "text", "text": "words", "dom_index": 0}
    batch = pa.Table.from_pylist([{"nodes": [node, node]}, {"nodes": None}],
                                 schema=columns.schema("nodes"))  # fmt: skip
    result = names["ParagraphCount"]().measure(batch, None)
    assert result["paragraph_count"].to_pylist() == [2, None]
