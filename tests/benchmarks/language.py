"""Documents of 500 words a CPU second through language identification, nodes included.

The text is that of the bundled sample, cut into documents of 500 words with nodes as they were
extracted (a Han or kana sign is a word). Where more documents are asked for than it fills, it is
gone round again with every seventh word made a new one; of the sample's own words in Latin script
about as many are met for the first time. The words that the operator remembers are forgotten
before each round. Latin and other scripts are timed apart, and the slower of the two is the figure.

fasttext's own `predict` is asked the same in the same run, the language of each document and of
each of its nodes, on exactly the same text: letters only, on one line, in lower case. It is asked
twice, about all of the text and about only as many letters as the operator looks at. All run on
one thread, in turn; the best of five rounds counts.
"""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Callable, Iterator
from itertools import islice

import pyarrow as pa

from operators.extract import ExtractInterleaved
from operators.language import LID_176, LanguageId
from operators.scripts import NUMBER, PLANES, WORD, letters_only, script_table
from operators.text import node_texts
from schemas import columns
from tests.benchmarks.bare import BATCH_ROWS
from tests.benchmarks.pages import DATE, distinct_pages, origin
from tests.benchmarks.record import Entry, Options

_DOCUMENTS, _WORDS, _ROUNDS = 1000, 500, 5
_CHANGED = 7  # of so many words one

Document = list[str]  # the texts of its nodes


def language_throughput(options: Options) -> Entry:
    """Documents of 500 words a CPU second, document and node languages together."""
    count = options.count(_DOCUMENTS, least=50)
    groups = sample_documents(count)
    rates = {script: _rates(documents) for script, documents in groups.items()}
    details: dict[str, object] = {"documents of each": count, "origin": origin()}
    for script, documents in groups.items():
        details[f"nodes, {script}"] = sum(map(len, documents))
        details[f"characters, {script}"] = sum(len(text) for nodes in documents for text in nodes)
        details |= {f"{who}, {script}": round(rate, 1) for who, rate in rates[script].items()}
    slower = min(rates.values(), key=lambda rate: rate["omniloom"])
    peers = {who: round(rate, 1) for who, rate in slower.items() if who != "omniloom"}
    return Entry(
        slower["omniloom"],
        "documents/CPU s",
        10_000,
        more_is_better=True,
        peers=peers,
        details=details,
    )


def _rates(documents: list[Document]) -> dict[str, float]:
    """Documents a CPU second of each side."""
    import fasttext

    operator, model = LanguageId(), fasttext.load_model(str(LID_176))
    state = operator.setup()
    tables = [
        _table(documents[at : at + BATCH_ROWS]) for at in range(0, len(documents), BATCH_ROWS)
    ]
    whole, part = _asked(documents), _asked([_looked_at(nodes, operator) for nodes in documents])

    def ours() -> None:
        state.memo.words[:] = 0
        for table in tables:
            operator.measure(table, state)

    calls: dict[str, Callable[[], object]] = {
        "omniloom": ours,
        "fasttext predict": lambda: model.predict(whole, k=1),
        "fasttext predict, as many letters": lambda: model.predict(part, k=1),
    }
    rounds = [{who: _seconds(call) for who, call in calls.items()} for _ in range(_ROUNDS)]
    return {who: len(documents) / min(seconds[who] for seconds in rounds) for who in calls}


def _seconds(call: Callable[[], object]) -> float:
    started = time.process_time()
    call()
    return time.process_time() - started


def _asked(documents: list[Document]) -> list[str]:
    """What predict is asked about: each document as a whole, and all nodes."""
    return [" ".join(nodes) for nodes in documents] + [t for nodes in documents for t in nodes]


def _looked_at(nodes: Document, operator: LanguageId) -> Document:
    """As much of each node as the operator looks at, which does not count spaces."""
    most = max(operator.node_max_chars, -(-operator.max_chars // len(nodes)))
    return [_first(text, most) for text in nodes]


def _first(text: str, letters: int) -> str:
    left = letters
    for at, sign in enumerate(text):
        left -= sign != " " and unicodedata.category(sign)[0] == "L"
        if left < 0:
            return text[:at]
    return text


def _table(documents: list[Document]) -> pa.Table:
    rows = [
        [{"kind": "text", "text": text, "dom_index": at} for at, text in enumerate(nodes)]
        for nodes in documents
    ]
    return pa.table({"nodes": pa.array(rows, columns.column("nodes").type)})


def sample_documents(count: int) -> dict[str, list[Document]]:
    """`count` different documents of 500 words in Latin script, and as many in others."""
    documents = list(_cut(_pages()))
    latin = [nodes for nodes in documents if _is_latin(nodes)]
    others = [nodes for nodes in documents if not _is_latin(nodes)]
    return {
        name: list(islice(_varied(group), count))
        for name, group in (("Latin", latin), ("other scripts", others))
    }


def _cut(pages: list[Document]) -> Iterator[Document]:
    """Documents of 500 words, in letters only."""
    for texts in pages:
        nodes: Document = []
        room = _WORDS
        for text in texts:
            start = 0
            for match in WORD.finditer(text):
                room -= 1
                if room == 0:
                    yield _cleaned([*nodes, text[start : match.end()]])
                    nodes, room, start = [], _WORDS, match.end()
            nodes.append(text[start:])


def _cleaned(nodes: Document) -> Document:
    return [text for text in map(letters_only, nodes) if text]


def _is_latin(nodes: Document) -> bool:
    signs = [ord(sign) for text in nodes for sign in text if sign != " "]
    scripts = script_table()
    latin = [sign for sign in signs if sign < PLANES and scripts[sign] == NUMBER["Latin"]]
    return 2 * len(latin) > len(signs)


def _varied(documents: list[Document]) -> Iterator[Document]:
    """The documents, and again and again with other words among theirs."""
    lap = 0
    while True:
        for nodes in documents:
            yield [_changed(text, lap) for text in nodes] if lap else nodes
        lap += 1


def _changed(text: str, lap: int) -> str:
    """One word in seven begins as another one of the text does, and a different one each lap."""
    words = text.split()
    for at in range(lap % _CHANGED, len(words), _CHANGED):
        start, end = words[at - lap % len(words)], words[at]
        words[at] = start[: (len(start) + 1) // 2] + end[len(end) // 2 :]
    return " ".join(words)


def _pages() -> list[Document]:
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
