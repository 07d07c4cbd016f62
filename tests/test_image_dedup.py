"""Duplicate images: counts in the corpus, near-duplicates without a miss, repeats in a document."""

from __future__ import annotations

import itertools
from collections import Counter
from inspect import unwrap
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from operators import image_dedup
from operators.base import CorpusOperator, addressed, placed
from operators.image_dedup import CountImages, NearImageDuplicates, RepeatedImages
from operators.rules import parse_rule
from schemas import columns

Code = tuple[int, int]


def image_table(rows: list[dict[str, Any]]) -> pa.Table:
    """Images as a table; what is not given is null."""
    names = ("image_url", "image_sha256", "phash", "dhash", "image_width", "image_height")
    full = [{"image_url": f"u{number:03}"} | row for number, row in enumerate(rows)]
    schema = columns.schema(*names, "image_document_count")
    return pa.Table.from_pylist(full, schema=schema)


def in_parts(operator: CorpusOperator, rows: pa.Table, cut: int) -> pa.Table:
    """What the store does: records of units apart, partitions apart, findings together."""
    units = [rows.slice(start, 3) for start in range(0, rows.num_rows, 3)]
    bases = [1000 * number for number in range(len(units))]
    records = pa.concat_tables(
        addressed(operator.scatter(unit), base) for unit, base in zip(units, bases, strict=True)
    )
    parts = records["key"].to_numpy() % np.uint64(cut)
    found = pa.concat_tables(
        operator.gather(records.filter(pa.array(parts == part))) for part in range(cut)
    )
    if operator.resolves:
        known = pa.concat_tables(
            addressed(members, base)
            for unit, base in zip(units, bases, strict=True)
            if (members := operator.members(unit)) is not None
        )
        found = operator.resolve(
            found,
            lambda addresses, names: known.select(["address", *names]).take(
                pa.compute.index_in(addresses, known["address"].combine_chunks())
            ),
            0,
        )
    return pa.concat_tables(
        operator.assign(placed(found, base, unit.num_rows), unit)
        for unit, base in zip(units, bases, strict=True)
    )


# --- Counts --------------------------------------------------------------------------------------


def test_counts_sum_the_places_of_all_addresses_with_a_value() -> None:
    rows = image_table(
        [
            {"image_sha256": "a", "phash": 1, "dhash": 1, "image_document_count": 6},
            {"image_sha256": "b", "phash": 1, "dhash": 2, "image_document_count": 5},
            {"image_sha256": "a", "phash": 1, "dhash": 1, "image_document_count": 2},
            {"image_sha256": "c", "phash": 2, "dhash": 3, "image_document_count": 4},
            {"image_sha256": "d", "phash": None, "dhash": None, "image_document_count": 9},
            {"image_sha256": None, "phash": None, "dhash": None, "image_document_count": 9},
        ]
    )
    found = CountImages().measure(rows, None).to_pylist()
    assert [tuple(row.values()) for row in found] == [
        (8, 13, 8),
        (5, 13, 5),
        (8, 13, 8),
        (4, 4, 4),  # 2 and 3 are other images' dhash: values of two kinds are not confused
        (9, None, None),
        (None, None, None),
    ]


values = st.none() | st.integers(0, 3) | st.integers(2**64 - 2, 2**64 - 1)


@given(
    st.lists(st.tuples(st.none() | st.sampled_from("abc"), values, values, st.integers(0, 20))),
    st.integers(1, 5),
)
@settings(deadline=None)
def test_counts_in_parts_are_those_of_plain_counting(drawn: list[Any], cut: int) -> None:
    names = ("image_sha256", "phash", "dhash", "image_document_count")
    rows = image_table([dict(zip(names, row, strict=True)) for row in drawn])
    totals: list[Counter[Any]] = [Counter(), Counter(), Counter()]
    for *row, count in drawn:
        for total, value in zip(totals, row, strict=True):
            total[value] += count
    expected = [
        tuple(None if v is None else t[v] for t, v in zip(totals, row, strict=True))
        for *row, _ in drawn
    ]
    operator = CountImages()
    whole = operator.measure(rows, None)
    assert [tuple(row.values()) for row in whole.to_pylist()] == expected
    if drawn:
        assert in_parts(operator, rows, cut).to_pylist() == whole.to_pylist()


def test_counts_end_where_their_type_does() -> None:
    row = {"phash": 1, "image_document_count": 2**31 - 1}
    assert (
        CountImages().measure(image_table([row, row]), None)["phash_count"][0].as_py() == 2**31 - 1
    )


# --- Near-duplicates -----------------------------------------------------------------------------


def near(codes: list[Code], **config: Any) -> list[tuple[Any, ...]]:
    rows = [{"phash": one, "dhash": other} for one, other in codes]
    found = NearImageDuplicates(**config).measure(image_table(rows), None)
    return [tuple(row.values()) for row in found.to_pylist()]


def flipped(code: Code, bits: list[int]) -> Code:
    """The code with these of its 128 bits changed."""
    number = code[0] << 64 | code[1]
    for bit in bits:
        number ^= 1 << bit
    return number >> 64, number & (2**64 - 1)


def clusters_by_force(codes: list[Code], distance: int) -> list[int]:
    """The first member of each code's cluster, from all pairs."""
    group = list(range(len(codes)))
    for one, other in itertools.combinations(range(len(codes)), 2):
        differing = zip(codes[one], codes[other], strict=True)
        if sum((a ^ b).bit_count() for a, b in differing) <= distance:
            old, new = max(group[one], group[other]), min(group[one], group[other])
            group = [new if member == old else member for member in group]
    return group


@pytest.mark.parametrize("distance", [0, 1, 7, 8, 15, 16, 23, 24, 31])
def test_no_pair_within_the_distance_is_missed_and_none_beyond_found(distance: int) -> None:
    chance = np.random.default_rng(distance)
    for _ in range(60):
        code = tuple(chance.integers(0, 2**64, 2, np.uint64).tolist())
        bits = chance.permutation(128).tolist()
        just, beyond = flipped(code, bits[:distance]), flipped(code, bits[: distance + 1])
        assert near([code, just], max_distance=distance)[0] == ("u000", None, 2)
        assert near([code, beyond], max_distance=distance)[0] == (None, None, None)


codes = st.lists(
    st.builds(
        flipped,
        st.sampled_from([(0, 0), (2**64 - 1, 0), (0x0F0F0F0F0F0F0F0F, 0x123456789ABCDEF0)]),
        st.lists(st.integers(0, 127), max_size=24),
    ),
    max_size=25,
)


@given(codes, st.integers(0, 31), st.integers(1, 5))
@settings(deadline=None)
def test_clusters_in_parts_are_those_of_all_pairs(
    codes: list[Code], distance: int, cut: int
) -> None:
    rows = image_table([{"phash": one, "dhash": other} for one, other in codes])
    group = clusters_by_force(codes, distance)
    sizes = Counter(group)
    expected = [f"u{member:03}" if sizes[member] > 1 else None for member in group]
    operator = NearImageDuplicates(max_distance=distance)
    whole = operator.measure(rows, None)
    assert whole["near_image_cluster"].to_pylist() == expected
    if codes:
        assert in_parts(operator, rows, cut).to_pylist() == whole.to_pylist()


def test_the_image_of_most_pixels_wins_and_others_name_it() -> None:
    sides = [(10, 10), (30, 20), (None, None), (20, 30)]
    rows = image_table(
        [{"phash": 5, "dhash": 5, "image_width": w, "image_height": h} for w, h in sides]
    )
    found = NearImageDuplicates().measure(rows, None).to_pylist()
    assert [tuple(row.values()) for row in found] == [
        ("u000", "u001", 4),
        ("u000", None, 4),
        ("u000", "u001", 4),
        ("u000", "u001", 4),
    ]


def test_an_image_without_hashes_is_nobodys_duplicate() -> None:
    rows = image_table([{"phash": 5}, {"phash": 5, "dhash": 5}, {"dhash": 5}, {}])
    found = NearImageDuplicates().measure(rows, None)
    assert set(found["near_image_cluster"].to_pylist()) == {None}


def test_a_crowd_of_equal_hashes_costs_one_link_each() -> None:
    rows = image_table([{"phash": 7, "dhash": 9}] * 2000)
    operator = NearImageDuplicates()
    assert operator.gather(addressed(operator.scatter(rows), 0)).num_rows == 1999
    assert set(operator.measure(rows, None)["near_image_cluster_size"].to_pylist()) == {2000}


def test_a_crowd_of_near_hashes_gives_no_more_links_than_members() -> None:
    codes = [flipped((7, 9), [one, other]) for one in range(40) for other in range(one)]
    rows = image_table([{"phash": one, "dhash": other} for one, other in codes])
    operator = NearImageDuplicates()
    assert operator.gather(addressed(operator.scatter(rows), 0)).num_rows == len(codes) - 1


def test_distances_of_one_radius_share_their_records() -> None:
    one, other, wide = (NearImageDuplicates(max_distance=d) for d in (16, 23, 24))
    assert one.key_config() == other.key_config() != wide.key_config()
    rows = image_table([{"phash": 7, "dhash": 9}])
    assert one.scatter(rows).equals(other.scatter(rows))


def test_a_distance_that_cannot_be_searched_is_refused() -> None:
    with pytest.raises(ValidationError, match="max_distance"):
        NearImageDuplicates(max_distance=32)


def test_the_compiled_loop_answers_as_python_does(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = np.random.default_rng(3)
    codes = [flipped((7, 9), chance.integers(0, 128, 12).tolist()) for _ in range(12)]
    fast = near(codes)
    monkeypatch.setattr(image_dedup, "_near_pairs", unwrap(image_dedup._near_pairs))
    with np.errstate(over="ignore"):
        assert near(codes) == fast


# --- Inside a document ---------------------------------------------------------------------------


def repeats(*images: tuple[str | None, int | None, int | None] | None) -> list[int | None]:
    """Distances of a document's nodes: an image each, or a text where there is None."""
    nodes = [
        {"kind": "image" if image else "text", "image_url": "u" if image else None, "dom_index": 0}
        for image in images
    ]
    known = [image or (None, None, None) for image in images]
    row = {"nodes": nodes} | {
        name: [image[place] for image in known]
        for place, name in enumerate(("image_sha256", "phash", "dhash"))
    }
    batch = pa.Table.from_pylist([row], schema=RepeatedImages.reads)
    found: list[list[int | None]] = RepeatedImages().measure(batch, None)[0].to_pylist()
    return found[0]


def test_each_image_is_compared_with_all_before_it() -> None:
    found = repeats(("a", 0, 0), None, ("b", 0b111, 1), ("a", 0, 0), ("c", 0b11, 0), None)
    assert found == [None, None, 4, 0, 2, None]


def test_equal_bytes_need_no_hashes_and_missing_hashes_are_unknown() -> None:
    assert repeats(("a", None, None), ("a", None, None), ("b", 1, 1)) == [None, 0, None]
    assert repeats((None, 1, 1), (None, 1, 1), (None, None, None)) == [None, 0, None]
    assert repeats((None, None, None), (None, None, None)) == [None, None]


def test_a_document_without_images_or_nodes() -> None:
    assert repeats() == []
    assert repeats(None, None) == [None, None]
    batch = pa.Table.from_pylist([{"nodes": None}], schema=RepeatedImages.reads)
    assert RepeatedImages().measure(batch, None).to_pylist() == [
        {"node_image_repeat_distance": None}
    ]


def test_a_node_rule_can_judge_by_the_distance() -> None:
    drop = "node_image_repeat_distance <= 5"
    rule = parse_rule("mmc4_repeats", "nodes", None, drop, "job")
    assert rule.expression.columns == ("node_image_repeat_distance",)
