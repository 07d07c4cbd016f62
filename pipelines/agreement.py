"""How far people agree beyond chance: percent, Cohen's kappa, Krippendorff's alpha."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from itertools import permutations

Pair = tuple[Hashable, Hashable]


def percent_agreement(pairs: Sequence[Pair]) -> float | None:
    """Share of pairs of labels that are equal, 0..1; None without pairs."""
    return sum(a == b for a, b in pairs) / len(pairs) if pairs else None


def cohens_kappa(pairs: Sequence[Pair]) -> float | None:
    """Agreement of two people beyond chance: 1 perfect, 0 as by chance; None when undefined.

    (observed - expected) / (1 - expected), where `expected` is how often people with these shares
    of labels would agree by chance. Undefined without pairs, and where both only ever gave one and
    the same label. Cohen, A coefficient of agreement for nominal scales, 1960.

    Args:
        pairs: For each row that both judged, the first person's label and the second's.
    """
    if not pairs:
        return None
    total = len(pairs)
    first, second = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    expected = sum(first[label] * second[label] for label in first) / total**2
    observed = sum(a == b for a, b in pairs) / total
    return None if expected == 1 else (observed - expected) / (1 - expected)


def krippendorffs_alpha(rows: Iterable[Sequence[Hashable]]) -> float | None:
    """Agreement of any number of people on nominal labels, however many judged each row.

    1 - observed / expected disagreement over pairable labels; 1 perfect, 0 as by chance; None when
    fewer than two labels are pairable or all are the same. Rows with one label are left out.
    Krippendorff, Computing Krippendorff's alpha-reliability, 2011.

    Args:
        rows: The labels of each row, in any order.
    """
    together: defaultdict[Pair, float] = defaultdict(float)
    for labels in rows:
        for pair in permutations(labels, 2):
            together[pair] += 1 / (len(labels) - 1)
    totals: defaultdict[Hashable, float] = defaultdict(float)
    for (label, _), share in together.items():
        totals[label] += share
    count = sum(totals.values())
    observed = sum(share for (a, b), share in together.items() if a != b)
    expected = count**2 - sum(total**2 for total in totals.values())
    return None if len(totals) < 2 else 1 - (count - 1) * observed / expected
