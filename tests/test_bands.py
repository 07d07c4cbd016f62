"""Which pairs are compared and which of them pass, against probabilities and plain loops."""

from __future__ import annotations

import random
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.bands import (
    Bands,
    band_keys,
    bands_for,
    bucket_pairs,
    candidate_probability,
    estimated_jaccard,
    least_agreement,
    merge_probability,
    verified_pairs,
)
from operators.clusters import connected_components

RNG = np.random.default_rng(11)


def agreeing(shares: np.ndarray, permutations: int = 256) -> tuple[np.ndarray, np.ndarray]:
    """Signatures that agree in each value with the probability `shares`, pair by pair."""
    one = RNG.integers(0, 2**16, (len(shares), permutations), np.uint16)
    other = np.where(RNG.random(one.shape) < shares[:, None], one, one + np.uint16(1))
    return one, other


# --- Choosing -----------------------------------------------------------------------------------


@pytest.mark.parametrize("permutations", [64, 128, 256])
@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.8, 0.9])
def test_bands_find_pairs_at_the_threshold_with_fewest_others(
    threshold: float, permutations: int
) -> None:
    chosen = bands_for(threshold, permutations, recall=0.95)
    assert candidate_probability(threshold, chosen) >= 0.95
    below = np.linspace(0, threshold, 1000)
    able = [
        cut
        for bands in range(1, permutations + 1)
        for rows in range(1, permutations // bands + 1)
        if candidate_probability(threshold, cut := Bands(bands, rows)) >= 0.95
    ]
    areas = {cut: candidate_probability(below, cut).sum() for cut in able}
    assert chosen.bands * chosen.rows <= permutations
    assert areas[chosen] == pytest.approx(min(areas.values()))


def test_the_usual_threshold() -> None:
    assert bands_for(0.8, 256) == (32, 8)
    assert least_agreement(0.8, 256) == 186


def test_defaults_hold_what_is_promised_of_them() -> None:
    for threshold in (0.7, 0.8, 0.9):
        cut, agreement = bands_for(threshold, 256), least_agreement(threshold, 256)
        assert merge_probability(threshold, 256, cut, agreement) > 0.995
    assert merge_probability(0.9, 256, bands_for(0.8, 256), least_agreement(0.8, 256)) > 0.99999
    assert merge_probability(0.5, 256, bands_for(0.8, 256), least_agreement(0.8, 256)) < 1e-10


@pytest.mark.parametrize("jaccard", [0.5, 0.7, 0.75, 0.8])
def test_probabilities_are_those_of_trials(jaccard: float) -> None:
    trials, cut, agreement = 8_000, Bands(16, 8), 90
    one, other = agreeing(np.full(trials, jaccard), 128)
    candidates = (band_keys(one, cut) == band_keys(other, cut)).any(axis=1)
    merged = candidates & ((one == other).sum(axis=1) >= agreement)
    for found, expected in (
        (candidates.mean(), float(candidate_probability(jaccard, cut))),
        (merged.mean(), merge_probability(jaccard, 128, cut, agreement)),
    ):
        assert found == pytest.approx(expected, abs=4 * np.sqrt(0.25 / trials))


@pytest.mark.parametrize(("jaccard", "expected"), [(0.0, 0.0), (1.0, 1.0)])
def test_certain_probabilities(jaccard: float, expected: float) -> None:
    assert merge_probability(jaccard, 64, Bands(8, 8), 50) == expected
    assert candidate_probability(jaccard, Bands(8, 8)) == expected


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="16 permutations cannot find pairs of similarity"):
        bands_for(0.1, 16)
    with pytest.raises(ValueError, match="threshold must lie between 0 and 1, not 80"):
        bands_for(80, 256)
    with pytest.raises(ValueError, match="recall must lie between 0 and 1, not 1"):
        least_agreement(0.8, 256, recall=1)


# --- Comparing ----------------------------------------------------------------------------------


def test_keys_are_equal_where_bands_are() -> None:
    one = RNG.integers(0, 3, (200, 10), np.uint16)
    keys = band_keys(one, Bands(5, 2))
    values = one.reshape(200, 5, 2)
    assert keys.shape == (200, 5)
    assert keys.dtype == np.uint64
    for band in range(5):
        same = (values[:, None, band] == values[None, :, band]).all(axis=2)
        assert ((keys[:, None, band] == keys[None, :, band]) == same).all()
    for band, other in combinations(range(5), 2):
        assert not set(keys[:, band].tolist()) & set(keys[:, other].tolist())


def test_keys_spread_evenly_over_partitions() -> None:
    keys = band_keys(RNG.integers(0, 2**16, (4000, 16), np.uint16), Bands(4, 4)).ravel()
    for part in (keys % np.uint64(16), keys >> np.uint64(60)):
        counts = np.bincount(part.astype(np.int64), minlength=16)
        assert abs(counts - 1000).max() < 150


def test_signatures_too_short_for_the_bands_are_refused() -> None:
    with pytest.raises(ValueError, match="need 256 permutations, and the signatures have 128"):
        band_keys(np.zeros((2, 128), np.uint16), Bands(32, 8))


_KEYS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 20)), max_size=30)


@given(rows=_KEYS)
@settings(deadline=None, max_examples=200)
def test_pairs_of_buckets_equal_a_plain_loop(rows: list[tuple[int, int]]) -> None:
    keys = np.array([key for key, _ in rows], np.uint64)
    ids = np.array([number for _, number in rows], np.int64)
    expected = {
        (min(a, b), max(a, b)) for (k, a), (m, b) in combinations(rows, 2) if k == m and a != b
    }
    found = bucket_pairs(keys, ids)
    assert found.shape == (len(expected), 2)
    assert [tuple(pair) for pair in found.tolist()] == sorted(expected)


def test_a_crowd_stays_connected_and_cheap() -> None:
    ids = RNG.permutation(5000).astype(np.int64)
    pairs = bucket_pairs(np.zeros(5000, np.uint64), ids, limit=3)
    assert len(pairs) == 3 * 5000 - 6
    _, least = connected_components(pairs[:, 0], pairs[:, 1])
    assert not least.any()


def test_pairs_pass_by_the_number_of_agreeing_values() -> None:
    one, other = agreeing(np.linspace(0.5, 1, 300))
    together = np.concatenate([one, other])
    pairs = np.stack([np.arange(300), np.arange(300, 600)], axis=1)
    estimated = estimated_jaccard(one, other)
    for agreement in (0, 150, 186, 256):
        passed = verified_pairs(together, pairs, agreement)
        assert (passed == (estimated * 256 >= agreement)).all()
    assert verified_pairs(together, pairs[:0], 1).shape == (0,)


# --- Components ---------------------------------------------------------------------------------


def components(pairs: list[tuple[int, int]]) -> dict[int, int]:
    """The least id of each component, by spreading it until nothing changes."""
    least = {number: number for pair in pairs for number in pair}
    changed = True
    while changed:
        changed = False
        for one, other in pairs:
            low = min(least[one], least[other])
            changed |= least[one] != low or least[other] != low
            least[one] = least[other] = low
    return least


def found(pairs: list[tuple[int, int]], kind: type = np.int64) -> dict[int, int]:
    ends: np.ndarray = np.array(pairs, kind).reshape(-1, 2)
    ids, least = connected_components(ends[:, 0], ends[:, 1])
    assert ids.dtype == least.dtype == kind
    assert ids.tolist() == sorted(set(ids.tolist()))
    return dict(zip(ids.tolist(), least.tolist(), strict=True))


_PAIRS = st.lists(st.tuples(st.integers(-20, 20), st.integers(-20, 20)), max_size=40)


@given(pairs=_PAIRS, seed=st.integers(0, 99))
@settings(deadline=None, max_examples=200)
def test_components_equal_a_naive_search_in_any_order(
    pairs: list[tuple[int, int]], seed: int
) -> None:
    expected = components(pairs)
    assert found(pairs) == expected
    turned = [(b, a) for a, b in pairs] + pairs[:3]
    assert found(random.Random(seed).sample(turned, len(turned))) == expected


@given(pairs=_PAIRS, cut=st.integers(0, 40))
@settings(deadline=None, max_examples=100)
def test_components_of_parts_join_to_those_of_the_whole(
    pairs: list[tuple[int, int]], cut: int
) -> None:
    parts = [*found(pairs[:cut]).items(), *found(pairs[cut:]).items()]
    assert found(parts) == components(pairs)


def test_ids_may_use_all_64_bits() -> None:
    top = 2**64 - 1
    pairs = [(top, top - 1), (3, top - 1), (2**63, 2**63 + 5)]
    expected = {3: 3, top - 1: 3, top: 3, 2**63: 2**63, 2**63 + 5: 2**63}
    assert found(pairs, np.uint64) == expected


def test_a_long_chain_is_one_component() -> None:
    chain = np.arange(200_000, dtype=np.int64)
    order = RNG.permutation(len(chain) - 1)
    ids, least = connected_components(chain[1:][order], chain[:-1][order])
    assert (ids == chain).all()
    assert not least.any()


def test_ends_that_do_not_fit_are_refused() -> None:
    ids = np.arange(3, dtype=np.int64)
    with pytest.raises(ValueError, match=r"int64\(3,\) and int64\(2,\)"):
        connected_components(ids, ids[:2])
    with pytest.raises(ValueError, match=r"int64\(3,\) and uint64\(3,\)"):
        connected_components(ids, ids.astype(np.uint64))
    with pytest.raises(ValueError, match="not float64"):
        connected_components(ids.astype(float), ids.astype(float))
