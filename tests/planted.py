"""Near-duplicates whose similarity is known: words of a text replaced one by one."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pyarrow as pa

from operators.bands import signature_matrix
from operators.minhash import MinHash, Values

SHINGLE = 5


def shingles(words: Sequence[str], size: int = SHINGLE) -> set[tuple[str, ...]]:
    """All runs of `size` words; all words together where there are fewer."""
    return {tuple(words[at : at + size]) for at in range(max(1, len(words) - size + 1))}


def jaccard(one: Sequence[str], other: Sequence[str]) -> float:
    """Shared shingles over all shingles of both."""
    left, right = shingles(one), shingles(other)
    return len(left & right) / len(left | right)


def length_for(target: float, about: int = 500) -> int:
    """How many words near `about` a text must have for a Jaccard similarity of just `target`."""

    def inexact(words: int) -> tuple[float, int]:
        changes = (words - SHINGLE + 1) * (1 - target) / (1 + target) / SHINGLE
        return round(abs(changes - round(changes)), 6), abs(words - about)

    return min(range(about - 100, about + 101), key=inexact)


def altered(words: Sequence[str], target: float, chance: random.Random) -> list[str] | None:
    """A copy of Jaccard similarity `target`, or as near as whole words get; None if that failed.

    A replaced word takes `SHINGLE` shingles from what is shared. They are replaced by words that
    occur nowhere else, far enough from each other and from both ends.
    """
    count = len(words) - SHINGLE + 1
    changes = round(count * (1 - target) / (1 + target) / SHINGLE)
    places = range(SHINGLE - 1, count, SHINGLE)
    if changes > len(places):
        return None
    copy = list(words)
    for place in chance.sample(places, changes):
        copy[place] = f"{copy[place]}{chance.randrange(10**6)}"
    exact = (count - SHINGLE * changes) / (count + SHINGLE * changes)
    return copy if abs(jaccard(words, copy) - exact) < 1e-9 else None


def documents(texts: Sequence[Sequence[str] | None]) -> pa.Table:
    """A table of documents from the texts of their nodes."""
    rows = [
        None
        if nodes is None
        else [{"kind": "text", "text": t, "dom_index": n} for n, t in enumerate(nodes)]
        for nodes in texts
    ]
    return pa.table({"nodes": pa.array(rows, MinHash.reads.field("nodes").type)})


def signatures(texts: Sequence[str], operator: MinHash | None = None) -> Values:
    """The signatures of texts that all have words."""
    result = (operator or MinHash()).measure(documents([[text] for text in texts]), None)
    rows, found = signature_matrix(result["minhash"])
    assert len(rows) == len(texts)
    return found
