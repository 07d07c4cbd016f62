"""Documents of 500 words a CPU second through language identification, nodes included.

The text is that of the bundled sample, in twelve languages, cut into documents of 500 words with
nodes as they were extracted (a Han or kana sign is a word). fasttext's own `predict` is asked the
same in the same run: the language of each document and of each of its nodes, with the letters
taken out of the text beforehand. Both run on one thread, in turn; the best of five rounds counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pyarrow as pa

from operators.extract import ExtractInterleaved
from operators.language import LID_176, LanguageId
from operators.scripts import WORD
from operators.text import node_texts
from schemas import columns
from tests.benchmarks.bare import BATCH_ROWS
from tests.benchmarks.pages import DATE, distinct_pages, origin
from tests.benchmarks.record import Entry, Options

_DOCUMENTS, _WORDS, _ROUNDS = 2000, 500, 5


def language_throughput(options: Options) -> Entry:
    """Documents of 500 words a CPU second, document and node languages together."""
    import fasttext

    documents = sample_documents(options.count(_DOCUMENTS, least=50))
    tables = [
        _table(documents[at : at + BATCH_ROWS]) for at in range(0, len(documents), BATCH_ROWS)
    ]
    operator, model = LanguageId(), fasttext.load_model(str(LID_176))
    state = operator.setup()
    asked = [" ".join(" ".join(nodes).split()) for nodes in documents]
    asked += [" ".join(text.split()) for nodes in documents for text in nodes]

    def ours() -> None:
        for table in tables:
            operator.measure(table, state)

    def theirs() -> None:
        model.predict(asked, k=1)

    rounds = [(_seconds(ours), _seconds(theirs)) for _ in range(_ROUNDS)]
    best, peer = (len(documents) / min(seconds) for seconds in zip(*rounds, strict=True))
    details = {
        "documents": len(documents),
        "nodes": sum(map(len, documents)),
        "characters": sum(len(text) for nodes in documents for text in nodes),
        "origin": origin(),
    }
    peers = {"fasttext predict": round(peer, 1)}
    return Entry(best, "documents/CPU s", 10_000, more_is_better=True, peers=peers, details=details)


def _seconds(call: Callable[[], None]) -> float:
    started = time.process_time()
    call()
    return time.process_time() - started


def _table(documents: list[list[str]]) -> pa.Table:
    rows = [
        [{"kind": "text", "text": text, "dom_index": at} for at, text in enumerate(nodes)]
        for nodes in documents
    ]
    return pa.table({"nodes": pa.array(rows, columns.column("nodes").type)})


def sample_documents(count: int) -> list[list[str]]:
    """Texts of the nodes of `count` documents of 500 words, going round over the pages' text."""
    documents: list[list[str]] = []
    for texts in _pages():
        nodes: list[str] = []
        room = _WORDS
        for text in texts:
            start = 0
            for match in WORD.finditer(text):
                room -= 1
                if room == 0:
                    documents.append([*nodes, text[start : match.end()]])
                    nodes, room, start = [], _WORDS, match.end()
            nodes.append(text[start:])
    return [documents[number % len(documents)] for number in range(count)]


def _pages() -> list[list[str]]:
    """The texts of each page of the sample."""
    operator = ExtractInterleaved()
    pages = distinct_pages()
    rows = [
        {"url": p.url, "html": p.html, "http_charset": p.charset, "capture_date": DATE}
        for p in pages
    ]
    table = pa.Table.from_pylist(rows, schema=operator.reads)
    found = node_texts(operator.measure(table, operator.setup())["nodes"])
    return [[text for text in nodes or [] if text] for nodes in found]
