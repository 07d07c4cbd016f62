"""CPU time of personal data and of overlap with benchmarks, each operator alone, on one thread.

Documents are made up, so that their length and what they hold is known: 500 words of some 20,000,
in nodes of 25 words. The best of three rounds counts.
"""

from __future__ import annotations

import json
import random
import time
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from operators.base import Operator
from operators.decontaminate import Decontaminate
from operators.pii import Pii
from schemas import columns
from tests.benchmarks.record import Entry, Options, workspace

_ROUNDS = 3
_DOCUMENTS = 2000
_WORDS, _NODE = 500, 25
_ITEM_WORDS = 60
_NGRAMS = 1_000_000
_PRIVATE = (
    "mail anna@tidepool.io",
    "ring +44 161 496 0123",
    "from 81.2.69.142",
    "in 1998, 1999, 2001",
)


def pii_clean(options: Options) -> Entry:
    """Milliseconds a document that holds no personal data, but years, prices and times."""
    return _milliseconds(options, 0.05, ("in 2024", "at 10:30", "for $12.50"))


def pii_dense(options: Options) -> Entry:
    """Milliseconds a document in which each node of 25 words holds something to look at."""
    return _milliseconds(options, None, _PRIVATE)


def decontamination_throughput(options: Options) -> Entry:
    """Documents of 500 words a CPU second against a million n-grams of benchmarks."""
    ngrams = options.count(_NGRAMS)
    items = ngrams // (_ITEM_WORDS - 12)
    operator = Decontaminate(benchmarks={"made": str(_benchmark(items))})
    documents = _documents(options.count(_DOCUMENTS, 200), ())
    started = time.process_time()
    operator.setup()
    setup = time.process_time() - started
    speed = documents.num_rows / _seconds(operator, documents)
    details = {"ngrams": items * (_ITEM_WORDS - 12), "setup_cpu_seconds": round(setup, 1)}
    return Entry(speed, "documents/CPU s", goal=5000, more_is_better=True, details=details)


def _milliseconds(options: Options, goal: float | None, spice: tuple[str, ...]) -> Entry:
    documents = _documents(options.count(_DOCUMENTS, 200), spice)
    each = _seconds(Pii(), documents) / documents.num_rows
    return Entry(each * 1000, "CPU ms/document", goal=goal)


def _seconds(operator: Operator[Any], documents: pa.Table) -> float:
    """CPU seconds over all documents in batches as the engine makes them; the best round."""
    state = operator.setup()
    batches = [documents.slice(at, 256) for at in range(0, documents.num_rows, 256)]
    rounds = []
    for _ in range(_ROUNDS):
        started = time.process_time()
        for batch in batches:
            operator.measure(batch, state)
        rounds.append(time.process_time() - started)
    return min(rounds)


@cache
def _vocabulary() -> list[str]:
    chance = random.Random(1)
    letters = "etaoinshrdlucmfwypvbgkjqxz"
    sizes = (3, 4, 5, 6, 7, 8, 9)
    return ["".join(chance.choices(letters[:18], k=chance.choice(sizes))) for _ in range(20_000)]


def _text(chance: random.Random, words: int) -> str:
    """Words of which few are frequent and most are rare."""
    known = _vocabulary()
    return " ".join(known[int(len(known) * chance.random() ** 3)] for _ in range(words))


def _documents(count: int, spice: tuple[str, ...]) -> pa.Table:
    """Documents of 500 words; each node ends in one of the phrases in `spice`."""
    chance = random.Random(2)
    rows = []
    for _ in range(count):
        texts = (_text(chance, _NODE) for _ in range(_WORDS // _NODE))
        ends = (f" {chance.choice(spice)}." if spice else "." for _ in range(_WORDS // _NODE))
        nodes = [
            {"kind": "text", "text": text + end, "dom_index": number}
            for number, (text, end) in enumerate(zip(texts, ends, strict=True))
        ]
        rows.append({"nodes": nodes})
    return pa.Table.from_pylist(rows, schema=columns.schema("nodes"))


def _benchmark(items: int) -> Path:
    chance = random.Random(3)
    path = workspace("decontamination") / "made.jsonl"
    with path.open("w", encoding="utf-8") as stream:
        for _ in range(items):
            stream.write(json.dumps({"question": _text(chance, _ITEM_WORDS)}) + "\n")
    return path
