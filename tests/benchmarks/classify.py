"""Documents a CPU second of `classify_text`, for the kinds of model that need no GPU.

Documents are the texts of the bundled sample, each repeated or cut to 2,000 characters. The models
are trained on them with the default settings of `train-classifier`; what they learn does not matter
to the speed. The best of three rounds counts; loading and compiling are not in it.
"""

from __future__ import annotations

import json
import time
from functools import cache
from pathlib import Path

import pyarrow as pa

from operators.classify import ClassifyText
from operators.extract import ExtractInterleaved
from operators.text import node_texts
from pipelines.train_classifier import Options, train_classifier
from schemas.columns import schema
from tests.benchmarks.record import Entry, workspace
from tests.benchmarks.record import Options as BenchOptions
from tests.support import sample_pages

_ROUNDS = 3
_SIGNS = 2000
_DOCUMENTS = 1000


def classify_text_linear(options: BenchOptions) -> Entry:
    """A linear head over n-grams, as the one that ships."""
    return _entry("linear", "model.npz", options)


def classify_text_fasttext(options: BenchOptions) -> Entry:
    """A quantised fastText model."""
    return _entry("fasttext", "model.ftz", options)


def _entry(kind: str, name: str, options: BenchOptions) -> Entry:
    model = {"kind": kind, "path": str(_trained(name)), "label": "a"}
    operator = ClassifyText.model_validate({"models": {"toxic_prob": model}})
    state = operator.setup()
    count = options.count(_DOCUMENTS)
    texts = [_texts()[number % len(_texts())] for number in range(count)]
    nodes = [[{"kind": "text", "text": text, "dom_index": 0}] for text in texts]
    batch = pa.Table.from_pylist([{"nodes": n} for n in nodes], schema=schema("nodes"))
    seconds = []
    for _ in range(_ROUNDS):
        started = time.process_time()
        operator.measure(batch, state)
        seconds.append(time.process_time() - started)
    details = {"documents": count, "characters": _SIGNS}
    return Entry(count / min(seconds), "documents/CPU s", details=details)


@cache
def _texts() -> list[str]:
    extract = ExtractInterleaved()
    rows = [{"html": page, "url": "http://a.org/"} for page in sample_pages()]
    batch = pa.Table.from_pylist(rows, schema=extract.reads)
    found = extract.measure(batch, extract.setup())["nodes"]
    texts = ["\n".join(text for text in nodes or [] if text) for nodes in node_texts(found)]
    return [(text * (_SIGNS // len(text) + 1))[:_SIGNS] for text in texts if text]


def _trained(name: str) -> Path:
    folder = workspace(f"classify-{name}")
    pieces = [text[at : at + 400] for text in _texts() for at in range(0, _SIGNS, 400)]
    rows = [{"text": text, "label": "ab"[number % 2]} for number, text in enumerate(pieces)]
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / "texts.jsonl").write_text(lines, "utf-8")
    out = folder / name
    train_classifier(Options(str(folder / "texts.jsonl"), str(out)), lambda line: None)
    return out
