"""MinHash: documents of 500 words a CPU second beside peers, and planted near-duplicates found.

Texts are made from words of the bundled sample. Peers are measured on the same documents by turns,
with as many permutations and the same shingles; they count from the text on, the own operator from
the table of nodes.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from functools import cache, partial

import numpy as np
import numpy.typing as npt

from operators.bands import Bands, bands_for, least_agreement, merge_probability
from operators.extract import text_and_images
from operators.minhash import MinHash
from tests.benchmarks.minhash_peers import OWN, Signatures, signers
from tests.benchmarks.pages import distinct_pages, origin
from tests.benchmarks.record import Entry, Options
from tests.planted import altered, documents, length_for, signatures

THRESHOLD = 0.8
PERMUTATIONS = 256
CUT = bands_for(THRESHOLD, PERMUTATIONS)
_WORDS, _NODE_WORDS = 500, 50
_ROUNDS = 3


def minhash_throughput(options: Options) -> Entry:
    """Documents of 500 words a CPU second, from nodes to signatures."""
    chance = random.Random(1)
    texts = [passage(_WORDS, chance) for _ in range(options.count(2000, 20))]
    starts = range(0, _WORDS, _NODE_WORDS)
    table = documents([[" ".join(t[at : at + _NODE_WORDS]) for at in starts] for t in texts])
    operator = MinHash(permutations=PERMUTATIONS)
    operator.setup()
    joined = [" ".join(text) for text in texts[: max(1, len(texts) // 10)]]
    peers, missing = signers(CUT)
    del peers[OWN]
    rates: dict[str, float] = {}
    for _ in range(_ROUNDS):
        _record(rates, OWN, len(texts), lambda: operator.measure(table, None))
        for name, sign in peers.items():
            _record(rates, name, len(joined), partial(sign, joined))
    own = rates.pop(OWN)
    details = {
        "times a peer": {name: round(own / rate, 1) for name, rate in rates.items()},
        "permutations": PERMUTATIONS,
        "origin": origin(),
    } | dict.fromkeys(missing, "peer not installed")
    rounded = {name: round(rate, 1) for name, rate in rates.items()}
    return Entry(own, "documents/CPU s", 5000, True, rounded, details)


def _record(rates: dict[str, float], name: str, count: int, work: Callable[[], object]) -> None:
    started = time.process_time()
    work()
    rates[name] = max(rates.get(name, 0), count / (time.process_time() - started))


def minhash_recall(options: Options) -> Entry:
    """Share of planted pairs of Jaccard 0.9 that are merged at threshold 0.8."""
    count = options.count(2000, 100)
    agreement = least_agreement(THRESHOLD, PERMUTATIONS)
    merged = {target: _merged(target, count) for target in (0.9, 0.8, 0.5)}
    details = {
        "pairs": count,
        "bands and rows": list(CUT),
        "least agreement": agreement,
        "merged": {str(target): round(share, 4) for target, share in merged.items()},
        "expected": {
            str(target): round(merge_probability(target, PERMUTATIONS, CUT, agreement), 4)
            for target in merged
        },
    }
    return Entry(merged[0.9], "share", 0.995, True, details=details)


def _merged(target: float, count: int) -> float:
    ones, others = planted(target, count)
    agreement = least_agreement(THRESHOLD, PERMUTATIONS)
    return float(passes(signatures(ones), signatures(others), CUT, agreement).mean())


def passes(
    one: Signatures, other: Signatures, cut: Bands, agreement: int = 0
) -> npt.NDArray[np.bool_]:
    """Which pairs of rows share a band of `cut`, and agree in `agreement` values or more."""
    equal = np.asarray(one == other, np.bool_)
    used = equal[:, : cut.bands * cut.rows].reshape(len(one), cut.bands, cut.rows)
    shared = np.asarray(used.all(axis=2), np.bool_).any(axis=1)
    return np.asarray(shared & (equal.sum(axis=1) >= agreement), np.bool_)


def planted(target: float, count: int) -> tuple[list[str], list[str]]:
    """`count` pairs of texts of about 500 words whose Jaccard similarity is `target`."""
    chance, length = random.Random(round(target * 1000)), length_for(target, _WORDS)
    ones: list[str] = []
    others: list[str] = []
    while len(ones) < count:
        words = passage(length, chance)
        copy = altered(words, target, chance)
        if copy:
            ones.append(" ".join(words))
            others.append(" ".join(copy))
    return ones, others


def passage(count: int, chance: random.Random) -> list[str]:
    """Words that follow each other somewhere in the sample."""
    words = _words()
    start = chance.randrange(len(words) - count)
    return list(words[start : start + count])


@cache
def _words() -> tuple[str, ...]:
    texts = (text_and_images(page.html, page.url)[0] for page in distinct_pages())
    return tuple(word for text in texts for word in re.findall("[a-z]+", text.lower()))
