"""Documents a CPU second through the text measures and the rules of gopher, c4 and fineweb.

The documents have about 500 words: runs of text nodes of the bundled sample's English pages, in
which one word in ten is replaced by another of the sample, spelled anew, so that no two are alike
and no table of words seen before helps. The peer, datatrove, does the same job with its filters in
the order of its FineWeb example, on the same documents, by turns, and may stop at the first filter
that drops a document, as it does there; ours measures all. It runs in an interpreter of its own:
`DATATROVE_PYTHON`, or else this one. Its own tokenizer of English is spaCy's; with white space for
a tokenizer it is the faster peer that is named second.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from operators.extract import ExtractInterleaved
from operators.language import LanguageId
from operators.rules import Rule, parse_rule
from operators.text import TextStatistics, node_texts
from pipelines.plan import read_fragment
from schemas import columns
from tests.benchmarks.bare import BATCH_ROWS, PAGES
from tests.benchmarks.pages import DATE, distinct_pages, origin
from tests.benchmarks.record import Entry, Options, say, workspace

_ROUNDS = 5
_DOCUMENTS = 2000
_PEER_DOCUMENTS = 200
_WORDS = 500
_PEER = Path(__file__).parent / "text_rules_peer.py"
FRAGMENTS = ("gopher", "c4", "fineweb")


def text_rules_throughput(options: Options) -> Entry:
    """Documents of 500 words a CPU second: all text measures, then the rules."""
    documents = perturbed_documents(options.count(_DOCUMENTS, 100), seed=1)
    best = max(_rate(documents) for _ in range(_ROUNDS))
    return Entry(
        best, "documents/CPU s", goal=2000, more_is_better=True, details=_details(documents)
    )


def text_rules_speedup(options: Options) -> Entry:
    """Those documents a CPU second over datatrove's Gopher, C4 and FineWeb filters."""
    documents = perturbed_documents(options.count(_PEER_DOCUMENTS, 50), seed=2)
    many = perturbed_documents(options.count(_DOCUMENTS, 100), seed=1)
    path = workspace("text_rules") / "texts.json"
    texts = node_texts(documents["nodes"])
    path.write_text(json.dumps(["\n".join(t for t in nodes or [] if t) for nodes in texts]))
    ours, theirs = [], []
    for _ in range(3):
        ours.append(_rate(many))
        answer = _peer(path)
        if "missing" in answer:
            say(f"text_rules_speedup: peer not installed ({answer['missing']})")
            entry = Entry(0.0, "x", details={"peer": f"not installed: {answer['missing']}"})
            return replace(entry, more_is_better=True)
        theirs.append(answer)
    peers = {name: max(answer["rates"][name] for answer in theirs) for name in theirs[0]["rates"]}
    details = _details(many) | {
        "ours, documents/CPU s": round(max(ours), 1),
        "kept by datatrove": theirs[0]["kept"],
        "kept by the rules": _kept(documents),
    }
    rounded = {name: round(rate, 1) for name, rate in peers.items()}
    fastest = max(peers.values())
    return Entry(
        max(ours) / fastest, "x", goal=3, more_is_better=True, peers=rounded, details=details
    )


def _details(documents: pa.Table) -> dict[str, Any]:
    words = [len(" ".join(t or "" for t in row or []).split()) for row in _texts_of(documents)]
    return {"documents": len(words), "words": round(sum(words) / len(words)), "origin": origin()}


def _texts_of(documents: pa.Table) -> list[list[str | None] | None]:
    return node_texts(documents["nodes"])


def _rate(documents: pa.Table) -> float:
    """Documents a CPU second of this process, in batches as `bare` has them."""
    operator, rules = TextStatistics(), _rules()
    state = operator.setup()
    _judge(operator.measure(documents.slice(0, 10), state), documents.slice(0, 10), rules)
    started = time.process_time()
    for start in range(0, documents.num_rows, BATCH_ROWS):
        batch = documents.slice(start, BATCH_ROWS)
        _judge(operator.measure(batch, state), batch, rules)
    return int(documents.num_rows) / (time.process_time() - started)


def _kept(documents: pa.Table) -> float:
    operator = TextStatistics()
    measured = operator.measure(documents, operator.setup())
    return round(_judge(measured, documents, _rules()) / int(documents.num_rows), 3)


def _judge(measured: pa.Table, batch: pa.Table, rules: list[Rule]) -> int:
    """The documents that all document rules pass; node rules are asked of all nodes."""
    table = measured.append_column("lang", batch["lang"])
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    of_documents = [rule for rule in rules if rule.table == "documents"]
    of_nodes = [rule for rule in rules if rule.table == "nodes"]
    node_columns = [
        name
        for name in sorted({name for rule in of_nodes for name in rule.expression.columns})
        if columns.column(name).level == "node"
    ]
    frame.select("lang", *node_columns).explode(node_columns).select(
        **{rule.name: rule.passes() for rule in of_nodes}
    )
    verdicts = frame.select(**{rule.name: rule.passes() for rule in of_documents})
    return int(verdicts.select(pl.all_horizontal(pl.all()).sum()).item())


def _rules() -> list[Rule]:
    return [
        parse_rule(name, spec.table, spec.keep, spec.drop, fragment)
        for fragment in FRAGMENTS
        for name, spec in read_fragment(fragment).items()
        if name != "c4_line_end"  # as FineWeb has it
    ]


def _peer(path: Path) -> dict[str, Any]:
    python = os.environ.get("DATATROVE_PYTHON", sys.executable)
    found = subprocess.run(
        [python, str(_PEER), str(path)], capture_output=True, text=True, check=False
    )
    if found.returncode:
        raise SystemExit(f"{python} {_PEER.name}: {found.stderr[-2000:]}")
    answer: dict[str, Any] = json.loads(found.stdout.splitlines()[-1])
    return answer


# --- Documents ------------------------------------------------------------------------------------


def perturbed_documents(count: int, seed: int) -> pa.Table:
    """`count` documents of about 500 words with their `nodes` and `lang`."""
    chance = random.Random(seed)
    pages = _english_pages()
    vocabulary = sorted(
        {word for nodes in pages for node in nodes for word in node["text"].split()}
    )
    documents = [_document(pages, vocabulary, chance) for _ in range(count)]
    nodes = pa.array(documents, columns.column("nodes").type)
    return pa.table({"nodes": nodes, "lang": pa.array(["en"] * count)})


def _document(
    pages: list[list[dict[str, Any]]], vocabulary: list[str], chance: random.Random
) -> list[dict[str, Any]]:
    document: list[dict[str, Any]] = []
    left = _WORDS
    while left > 0:
        nodes = chance.choice(pages)
        first = chance.randrange(len(nodes))
        for node in nodes[first : first + chance.randint(3, 12)]:
            words = node["text"].split(" ")
            for at in range(len(words)):
                if chance.random() < 0.1:
                    words[at] = chance.choice(vocabulary)[:6] + chance.choice("aeiou") + "n"
            document.append(node | {"text": " ".join(words[:left]), "dom_index": len(document)})
            left -= len(words)
            if left <= 0:
                break
    return document


@cache
def _english_pages() -> list[list[dict[str, Any]]]:
    """The nodes with text of each English page of the sample."""
    rows = [(p.url, p.html, p.charset, DATE) for p in distinct_pages()]
    pages = pa.Table.from_arrays(
        [pa.array(c, f.type) for c, f in zip(zip(*rows, strict=True), PAGES, strict=True)],
        schema=PAGES,
    )
    extract, language = ExtractInterleaved(), LanguageId()
    result = extract.measure(pages.select(extract.reads.names), extract.setup()).select(["nodes"])
    langs = language.measure(result, language.setup())["lang"].to_pylist()
    texts = [
        [node for node in nodes or [] if node["text"]] for nodes in result["nodes"].to_pylist()
    ]
    return [
        nodes for nodes, lang in zip(texts, langs, strict=True) if lang == "en" and len(nodes) > 12
    ]
