"""Compiled loops answer as the Python that they are written in, wherever they may be kept."""

from __future__ import annotations

import os
import subprocess
import sys
from inspect import unwrap
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from operators import block_features, dom, markup_cost, page_images, text_loops, trees
from operators.content_model import load
from operators.dom import read_page
from operators.text import TextStatistics
from schemas import columns

PAGES = Path(__file__).parent / "pages"
MODULES = (block_features, dom, markup_cost, page_images, trees)


def measured(html: bytes) -> list[Any]:
    """Everything that is computed of a page's blocks and images."""
    page, model = read_page(html), load()
    features = block_features.BlockFeatures(page.layout, page.title)
    judgement = model.judge(features)
    images = page_images.page_images(page.layout.images, "http://a.org/")
    return [
        markup_cost.excess(html + b"<b>a</b>" * 5000, 30_000) is None,
        features.table.filled().copy(),
        judgement.probability,
        model.judge_images(features, judgement, images),
    ]


@pytest.mark.parametrize("name", sorted(path.name for path in PAGES.glob("*.html")))
def test_compiled_loops_answer_as_python_does(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    html = (PAGES / name).read_bytes()
    fast = measured(html)
    loops = 0
    for module in MODULES:
        for loop, value in list(vars(module).items()):
            # What is cached has `__wrapped__` too, but no code of its own.
            if hasattr(value, "__wrapped__") and hasattr(value, "__code__"):
                monkeypatch.setattr(module, loop, unwrap(value))
                loops += 1
    assert loops > 10
    with np.errstate(all="ignore"):
        slow = measured(html)
    for one, other in zip(fast, slow, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_loops_over_text_answer_as_python_does(monkeypatch: pytest.MonkeyPatch) -> None:
    texts: list[list[str | None]] = [
        ["The cat sat. The cat sat. Lorem ipsum{ #1...", None, "我们看色情网站。我们看。", ""],
        [],
        ["a b c d e f g a b c d e f g\n\n  use cookies [1]\nEnd.[2]", "ที่นี่มีอาหาร", "👍🏽 x"],
        ["a b c d e f g a b c d e f g"],
    ]
    nodes = [
        [{"kind": "text" if text else "image", "text": text, "dom_index": 0} for text in row]
        for row in texts
    ]
    batch = pa.table({"nodes": pa.array(nodes, columns.column("nodes").type)})
    operator = TextStatistics()
    fast = operator.measure(batch, operator.setup())
    names = ("read_words", "read_lines", "duplicates", "grams", "repeats", "repetition")
    for name in names:
        monkeypatch.setattr(text_loops, name, unwrap(getattr(text_loops, name)))
    with np.errstate(all="ignore"):
        assert operator.measure(batch, operator.setup()).equals(fast)


def test_loops_run_where_machine_code_cannot_be_kept(tmp_path: Path) -> None:
    code = "import numpy as np; from loop import total; print(total(np.arange(4.0)))"
    (tmp_path / "loop.py").write_text(
        "from operators.compiled import compiled\n\n@compiled\ndef total(values):\n"
        "    found = 0.0\n    for value in values:\n        found += value\n    return found\n"
    )
    (tmp_path / "__pycache__").write_text("no folder")
    environment = os.environ | {"HOME": os.devnull, "XDG_CACHE_HOME": os.devnull}
    found = subprocess.run(
        [sys.executable, "-B", "-c", code],
        env=environment | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (found.stdout.strip(), found.returncode) == ("6.0", 0), found.stderr
