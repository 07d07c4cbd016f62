"""Which signatures are worth comparing, and which of those agree: locality-sensitive hashing.

A signature is cut into bands of rows. Documents that share all rows of a band, and so its key, are
candidates; a pair of Jaccard similarity J is one with probability 1 - (1 - J^rows)^bands (Leskovec,
Rajaraman and Ullman 2020, "Mining of Massive Datasets", section 3.4). A candidate pair is verified
by the share of all values in which its signatures agree, which spreads around J by
sqrt(J (1 - J) / permutations).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from operators.compiled import compiled
from operators.minhash import FIRST, GOLDEN, SECOND, VALUE, Hashes, Integers, Values

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_STEPS = 1000  # of integrals over similarities


class Bands(NamedTuple):
    """How signatures are cut: `bands` runs of `rows` values; what is left over is not banded."""

    bands: int
    rows: int


# --- Choosing ------------------------------------------------------------------------------------


def candidate_probability(jaccard: npt.ArrayLike, bands: Bands) -> Floats:
    """How probably pairs of these similarities share a band's key."""
    shares: Floats = np.asarray(jaccard, np.float64)
    return 1 - (1 - shares**bands.rows) ** bands.bands


def bands_for(threshold: float, permutations: int, recall: float = 0.997) -> Bands:
    """The most selective bands that still miss almost no pair of the threshold's similarity.

    A pair of Jaccard similarity `threshold` becomes a candidate with a probability of at least
    `recall`; of all such cuts, the one with the least area of candidates below the threshold.

    Raises:
        ValueError: threshold or recall not between 0 and 1, or too few permutations for them.
    """
    _check_share("threshold", threshold)
    _check_share("recall", recall)
    below = np.linspace(0, threshold, _STEPS)
    best: tuple[float, Bands] | None = None
    for rows in range(1, permutations + 1):
        needed = math.ceil(math.log1p(-recall) / math.log1p(-(threshold**rows)) - 1e-9)
        if needed * rows > permutations:
            break  # more rows need still more bands
        cut = Bands(needed, rows)
        area = float(candidate_probability(below, cut).sum())
        if best is None or area < best[0]:
            best = area, cut
    if best is None:
        raise ValueError(
            f"{permutations} permutations cannot find pairs of similarity {threshold} with "
            f"probability {recall}: raise the permutations or lower the recall"
        )
    return best[1]


def least_agreement(threshold: float, permutations: int, recall: float = 0.998) -> int:
    """How many values must agree: the most that pairs of the threshold still reach.

    A pair of Jaccard similarity `threshold` agrees in that many values or more with a probability
    of at least `recall`; the number of agreeing values is binomial.

    Raises:
        ValueError: threshold or recall not between 0 and 1.
    """
    _check_share("threshold", threshold)
    _check_share("recall", recall)
    tail = 0.0
    for agreeing in range(permutations, 0, -1):
        tail += _binomial(permutations, agreeing, threshold)
        if tail >= recall:
            return agreeing
    return 0


def merge_probability(jaccard: float, permutations: int, bands: Bands, agreement: int) -> float:
    """How probably a pair shares a band's key and agrees in `agreement` values or more.

    Exact for independent permutations: the agreeing values are any of the signature with equal
    chances, so how many sets of them fill no band is counted by inclusion and exclusion.
    """
    found = 0.0
    for agreeing in range(agreement, permutations + 1):
        without = sum(
            (-1) ** full
            * math.comb(bands.bands, full)
            * math.comb(permutations - full * bands.rows, agreeing - full * bands.rows)
            for full in range(min(bands.bands, agreeing // bands.rows) + 1)
        )
        share = 1 - without / math.comb(permutations, agreeing)
        found += _binomial(permutations, agreeing, jaccard) * share
    return found


def _binomial(count: int, successes: int, probability: float) -> float:
    if probability in (0, 1):
        return float(successes == count * probability)
    ways = math.lgamma(count + 1) - math.lgamma(successes + 1) - math.lgamma(count - successes + 1)
    failures = (count - successes) * math.log1p(-probability)
    return math.exp(ways + successes * math.log(probability) + failures)


def _check_share(name: str, value: float) -> None:
    if not 0 < value < 1:
        raise ValueError(f"{name} must lie between 0 and 1, not {value}")


# --- Comparing -----------------------------------------------------------------------------------


def signature_matrix(column: pa.Array | pa.ChunkedArray) -> tuple[Integers, Values]:
    """The signatures of a `minhash` column as numbers, and the rows they stand in.

    Returns:
        Places of the rows that have a signature, (N,), and the signatures, (N, permutations).

    Raises:
        ValueError: signatures of several lengths, which are of several configs.
    """
    rows = np.flatnonzero(np.asarray(column.is_valid()))
    known = column.drop_null()
    lengths = set(pc.binary_length(known).unique().to_pylist()) if len(known) else {0}
    if len(lengths) > 1:
        raise ValueError(
            f"signatures of {sorted(lengths)} bytes cannot be compared: "
            "compute them with one number of permutations"
        )
    values = np.frombuffer(b"".join(known.to_pylist()), VALUE)
    return rows, values.reshape(len(rows), lengths.pop() // VALUE.itemsize)


def band_keys(signatures: Values, bands: Bands) -> Hashes:
    """The key of each band of each signature, (N, bands).

    A key depends on its band's number too, so that keys of all bands can lie in one heap: two are
    equal when band and values are, and otherwise once in 2^64. All its bits are mixed.

    Raises:
        ValueError: signatures too short for the bands.
    """
    if bands.bands * bands.rows > signatures.shape[1]:
        raise ValueError(
            f"{bands.bands} bands of {bands.rows} rows need {bands.bands * bands.rows} "
            f"permutations, and the signatures have {signatures.shape[1]}"
        )
    return _band_keys(signatures, bands.bands, bands.rows)


@compiled
def _band_keys(signatures: Values, bands: int, rows: int) -> Hashes:
    keys = np.empty((len(signatures), bands), np.uint64)
    for document in range(len(signatures)):
        for band in range(bands):
            key = np.uint64(band + 1) * GOLDEN
            for row in range(band * rows, (band + 1) * rows):
                key = (key ^ np.uint64(signatures[document, row])) * FIRST
                key ^= key >> np.uint64(32)
            key = (key ^ (key >> np.uint64(27))) * SECOND
            keys[document, band] = key ^ (key >> np.uint64(31))
    return keys


def bucket_pairs(keys: Hashes, ids: Integers, limit: int = 64) -> Integers:
    """The distinct pairs of documents that share a key: (P, 2), the lesser id first, sorted.

    Takes one band or several, flattened: `ids` says whose key each is. Of a crowd with one key,
    each document is paired with the next `limit` in order of ids only, so that the work grows
    with the number of documents and not with its square; true duplicates stay connected.
    """
    order = np.lexsort((ids, keys))
    pairs = _bucket_pairs(keys[order], ids[order], limit)
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    fresh = np.ones(len(pairs), np.bool_)
    fresh[1:] = (pairs[1:] != pairs[:-1]).any(axis=1)
    return pairs[fresh]


@compiled
def _bucket_pairs(keys: Hashes, ids: Integers, limit: int) -> Integers:
    """The pairs of sorted keys; counted first, then written."""
    pairs = np.empty((0, 2), np.int64)
    for writing in (False, True):
        found = 0
        for one in range(len(keys)):
            for other in range(one + 1, min(one + 1 + limit, len(keys))):
                if keys[other] != keys[one]:
                    break
                if ids[other] == ids[one]:
                    continue
                if writing:
                    pairs[found, 0], pairs[found, 1] = ids[one], ids[other]
                found += 1
        if not writing:
            pairs = np.empty((found, 2), np.int64)
    return pairs


def estimated_jaccard(one: Values, other: Values) -> Floats:
    """The share of values in which the signatures agree, row by row; (P, K) twice gives (P,)."""
    share: Floats = (one == other).mean(axis=1)
    return share


def verified_pairs(signatures: Values, pairs: Integers, agreement: int) -> Flags:
    """Which pairs of rows of `signatures`, (P, 2), agree in `agreement` values or more; (P,)."""
    return _agreeing(signatures, pairs) >= agreement


@compiled
def _agreeing(signatures: Values, pairs: Integers) -> Integers:
    """In how many values the signatures of each pair agree, without copies of them."""
    counts = np.empty(len(pairs), np.int64)
    for pair in range(len(pairs)):
        one, other = signatures[pairs[pair, 0]], signatures[pairs[pair, 1]]
        same = 0
        for place in range(len(one)):
            same += one[place] == other[place]
        counts[pair] = same
    return counts
