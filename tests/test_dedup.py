"""Duplicates: what counts as one, who wins, and that the store's way gives the same answer."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from operators.base import addressed
from operators.dedup import (
    ImageSetDuplicates,
    NearDuplicates,
    RepeatedParagraphs,
    TextDuplicates,
    UrlDuplicates,
    canonical_url,
)
from operators.minhash import MinHash
from schemas import columns
from schemas.errors import InputError

WORDS = [f"word{number}" for number in range(5000)]


def text_node(text: str) -> dict[str, Any]:
    return {"kind": "text", "text": text, "dom_index": 0}


def image_node(url: str) -> dict[str, Any]:
    return {"kind": "image", "image_url": url, "dom_index": 0}


def table(rows: Sequence[dict[str, Any]]) -> pa.Table:
    """Documents as a table; what is not given is null."""
    names = ("doc_id", "url", "domain", "capture_date", "char_count", "fluency", "nodes")
    known = [name for name in names if name in columns.COLUMNS]
    full = [
        {"doc_id": f"d{number}", "url": f"http://a.org/{number}"} | row
        for number, row in enumerate(rows)
    ]
    return pa.Table.from_pylist(full, schema=columns.schema(*known))


def answers(operator: Any, rows: Sequence[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Cluster, winner and size of each document."""
    result = operator.measure(table(rows), None)
    return [tuple(row.values()) for row in result.to_pylist()]


NONE = (None, None, None)


# --- What is a duplicate -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://example.org/a", "https://www.example.org/a/"),
        ("http://EXAMPLE.org:80/a?b=1&a=2", "http://example.org/a?a=2&b=1"),
        ("http://example.org/a?id=3&utm_source=x&fbclid=y", "http://example.org/a?id=3#top"),
        ("http://example.org", "http://example.org/"),
    ],
)
def test_addresses_of_one_page(one: str, other: str) -> None:
    assert canonical_url(one) == canonical_url(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://example.org/a", "http://example.org/A"),
        ("http://example.org/a?id=3", "http://example.org/a?id=4"),
        ("http://example.org/a", "http://news.example.org/a"),
        ("http://example.org/#!/a", "http://example.org/#!/b"),
    ],
)
def test_addresses_of_two_pages(one: str, other: str) -> None:
    assert canonical_url(one) != canonical_url(other)


@pytest.mark.parametrize(
    "url", ["", "not an address", "http://[::1/broken", "http://例え.jp/ページ"]
)
def test_odd_addresses_stand_for_themselves(url: str) -> None:
    assert canonical_url(url) == canonical_url(url)


def test_text_counts_and_case_space_and_images_do_not() -> None:
    rows: list[dict[str, Any]] = [
        {"nodes": [text_node("One  text"), text_node("in two blocks")]},
        {"nodes": [image_node("http://a.org/i.png"), text_node("one text in two\nblocks")]},
        {"nodes": [text_node("another text")]},
        {"nodes": [image_node("http://a.org/i.png")]},
        {"nodes": None},
    ]
    assert answers(TextDuplicates(), rows) == [
        ("d0", None, 2),
        ("d0", "d0", 2),
        NONE,
        NONE,
        NONE,
    ]


def test_the_same_images_in_any_order_and_number() -> None:
    first, second, third = (image_node(f"http://a.org/{n}.png") for n in range(3))
    rows: list[dict[str, Any]] = [
        {"nodes": [first, text_node("a"), second]},
        {"nodes": [second, first, first]},
        {"nodes": [first, second, third]},
        {"nodes": [third]},
        {"nodes": [third]},
    ]
    found = answers(ImageSetDuplicates(), rows)
    assert found == [("d0", None, 2), ("d0", "d0", 2), NONE, NONE, NONE]
    assert answers(ImageSetDuplicates(min_images=1), rows)[4] == ("d3", "d3", 2)


def with_minhash(rows: pa.Table, **config: Any) -> pa.Table:
    operator = MinHash(**config)
    signatures = operator.measure(rows.select(["nodes"]), None)
    return rows.append_column("minhash", signatures["minhash"])


def near(texts: Sequence[str], **config: Any) -> list[tuple[Any, ...]]:
    rows = with_minhash(table([{"nodes": [text_node(text)]} for text in texts]))
    result = NearDuplicates(**config).measure(rows, None)
    return [tuple(row.values()) for row in result.to_pylist()]


def essay(seed: int, words: int = 400) -> list[str]:
    chance = np.random.default_rng(seed)
    return [WORDS[index] for index in chance.integers(0, len(WORDS), words)]


def test_nearly_equal_texts_are_duplicates_and_loosely_alike_ones_are_not() -> None:
    base = essay(1)
    close, loose = list(base), list(base)
    close[200:206] = essay(2, 6)
    for place in range(0, 400, 9):
        loose[place] = f"changed{place}"
    texts = [" ".join(words) for words in (base, close, loose, essay(3))]
    assert near(texts) == [("d0", None, 2), ("d0", "d0", 2), NONE, NONE]


def test_duplicates_of_duplicates_are_one_cluster() -> None:
    words = essay(4)
    chain = [words]
    for step in range(1, 6):
        changed = list(chain[-1])
        changed[step * 60 : step * 60 + 10] = essay(10 + step, 10)
        chain.append(changed)
    found = near([" ".join(words) for words in chain])
    assert {(cluster, size) for cluster, _, size in found} == {("d0", 6)}


def test_a_threshold_of_one_links_equal_sets_only() -> None:
    base = essay(5)
    changed = [*base[:-1], "different"]
    texts = [" ".join(base), " ".join(base).upper(), " ".join(changed)]
    assert near(texts, threshold=1) == [("d0", None, 2), ("d0", "d0", 2), NONE]


def test_bands_that_need_more_permutations_than_there_are() -> None:
    with pytest.raises(InputError, match="40 bands of 8 rows need 320 permutations; the minhash"):
        near([" ".join(essay(6))] * 2, bands=40, rows=8)


# --- Who wins ------------------------------------------------------------------------------------


def day(number: int) -> datetime:
    return datetime(2024, 1, number, tzinfo=UTC)


ROWS: list[dict[str, Any]] = [
    {"url": "http://a.org/p", "capture_date": day(1), "char_count": 30},
    {"url": "http://a.org/p/", "capture_date": day(3), "char_count": 10},
    {"url": "http://www.a.org/p", "capture_date": None, "char_count": 20},
]


@pytest.mark.parametrize(
    ("config", "winner"),
    [
        ({}, 1),
        ({"keep": "newest"}, 1),
        ({"keep": "oldest"}, 0),
        ({"keep": "longest"}, 0),
        ({"keep": "best", "score": "char_count"}, 0),
    ],
)
def test_the_policy_names_the_winner(config: dict[str, Any], winner: int) -> None:
    found = UrlDuplicates(**config).measure(table(ROWS), None)
    expected = [None if number == winner else f"d{winner}" for number in range(3)]
    assert found["url_duplicate_of"].to_pylist() == expected
    assert found["url_cluster"].to_pylist() == ["d0"] * 3
    assert found["url_cluster_size"].to_pylist() == [3] * 3


def test_of_equals_the_smaller_identity_wins_wherever_it_stands() -> None:
    rows: list[dict[str, Any]] = [{"url": "http://a.org/p", "doc_id": name} for name in "cab"]
    found = UrlDuplicates().measure(table(rows), None)
    assert found["url_duplicate_of"].to_pylist() == ["a", None, "a"]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"keep": "best"}, "give both"),
        ({"score": "char_count"}, "give both"),
        ({"keep": "best", "score": "title"}, "no measure of documents"),
        ({"keep": "best", "score": "no_such"}, "no measure of documents"),
        ({"keep": "first"}, "newest"),
    ],
)
def test_a_wrong_policy_is_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        UrlDuplicates.model_validate(config)


def test_bands_without_rows_are_refused() -> None:
    with pytest.raises(ValidationError, match="give both or neither"):
        NearDuplicates(bands=4)


@given(
    pages=st.lists(
        st.tuples(st.integers(0, 5), st.integers(1, 4) | st.none(), st.sampled_from("abcdefgh")),
        max_size=20,
    )
)
def test_clusters_are_those_that_comparing_all_pairs_finds(
    pages: list[tuple[int, int | None, str]],
) -> None:
    rows = [
        {
            "url": f"http://a.org/{page}",
            "capture_date": None if date is None else day(date),
            "doc_id": identity,
        }
        for page, date, identity in pages
    ]
    groups: dict[int, list[int]] = defaultdict(list)
    for number, (page, _, _) in enumerate(pages):
        groups[page].append(number)
    expected: list[tuple[Any, ...]] = [NONE] * len(pages)
    for numbers in groups.values():
        if len(numbers) > 1:
            best = min(numbers, key=lambda n: (-(pages[n][1] or 0), pages[n][2], n))
            for number in numbers:
                winner = None if number == best else pages[best][2]
                expected[number] = (min(pages[n][2] for n in numbers), winner, len(numbers))
    assert [
        tuple(row.values()) for row in UrlDuplicates().measure(table(rows), None).to_pylist()
    ] == expected


# --- Paragraphs ----------------------------------------------------------------------------------


def test_paragraphs_are_counted_by_domain_and_in_the_corpus() -> None:
    shared, own = text_node("Read  our newsletter"), text_node("own text")
    rows: list[dict[str, Any]] = [
        {"domain": "a.org", "nodes": [shared, own, image_node("http://a.org/i.png"), shared]},
        {"domain": "a.org", "nodes": [text_node("read our newsletter")]},
        {"domain": "b.org", "nodes": [shared]},
        {"domain": "b.org", "nodes": None},
    ]
    found = RepeatedParagraphs().measure(table(rows), None).to_pydict()
    assert found == {
        "node_domain_count": [[2, 1, None, 2], [2], [1], None],
        "node_domain_rank": [[0, 0, None, 0], [1], [0], None],
        "node_corpus_count": [[3, 1, None, 3], [3], [3], None],
    }


@given(
    documents=st.lists(
        st.tuples(st.sampled_from("xy"), st.lists(st.sampled_from("abcd"), max_size=4)), max_size=8
    )
)
def test_paragraph_counts_are_those_of_counting_by_hand(
    documents: list[tuple[str, list[str]]],
) -> None:
    rows = [
        {"domain": domain, "nodes": [text_node(text) for text in texts]}
        for domain, texts in documents
    ]
    found = RepeatedParagraphs().measure(table(rows), None).to_pylist()
    for number, (domain, texts) in enumerate(documents):
        for place, text in enumerate(texts):
            holders = [i for i, (_, others) in enumerate(documents) if text in others]
            near_by = [i for i in holders if documents[i][0] == domain]
            counted = tuple(column[place] for column in found[number].values())
            assert counted == (len(near_by), sum(i < number for i in near_by), len(holders))


def known(operator: Any, rows: pa.Table) -> Any:
    """What `resolve` asks for, from rows whose addresses are their places."""
    members = addressed(operator.members(rows), 0)
    return lambda addresses, names: members.select(["address", *names]).take(addresses)


# --- Crowds -------------------------------------------------------------------------------------


def test_documents_of_one_template_are_no_duplicates() -> None:
    """Two thousand pages that share 40 % of their words: none of the pairs is near 0.8."""
    template = essay(1, 250)
    texts = [" ".join([*template, *essay(10 + number, 100)]) for number in range(2000)]
    assert {cluster for cluster, _, _ in near(texts)} == {None}


def test_a_crowd_of_copies_is_one_cluster_and_costs_one_link_each() -> None:
    rows = with_minhash(table([{"nodes": [text_node(" ".join(essay(7)))]}] * 3000))
    operator = NearDuplicates()
    links = operator.gather(addressed(operator.scatter(rows), 0))
    assert links.num_rows == 2999
    assert set(operator.measure(rows, None)["near_cluster_size"].to_pylist()) == {3000}


# --- In parts ------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", [1, 3, 7])
def test_records_gathered_in_parts_link_as_those_of_the_whole(cut: int) -> None:
    """What the store does: records of units apart, partitions apart, findings together."""
    texts = [" ".join(essay(seed % 4)) for seed in range(8)]
    rows = with_minhash(table([{"nodes": [text_node(text)]} for text in texts]))
    operator = NearDuplicates()
    records = operator.scatter(rows)
    keys = records["key"].to_numpy()
    parts = [records.filter(pa.array(keys % np.uint64(cut) == part)) for part in range(cut)]
    found = [
        operator.gather(
            part.rename_columns(["address", *part.column_names[1:]]).cast(
                pa.schema([("address", pa.int64()), *list(part.schema)[1:]])
            )
        )
        for part in parts
    ]
    resolved = operator.resolve(pa.concat_tables(found), known(operator, rows), 0).rename_columns(
        ["row", "cluster", "duplicate_of", "cluster_size"]
    )
    resolved = resolved.set_column(0, "row", resolved["row"].cast(pa.int32()))
    assert operator.assign(resolved, rows).equals(operator.measure(rows, None))


def test_a_document_of_an_earlier_corpus_wins_over_a_newer_one() -> None:
    operator = UrlDuplicates()
    records = operator.scatter(table(ROWS))
    found = operator.resolve(
        operator.gather(addressed(records, 0)), known(operator, table(ROWS)), 1
    )
    assert found["address"].to_pylist() == [1, 2]
    assert found["duplicate_of"].to_pylist() == ["d0", "d0"]
    assert found["cluster_size"].to_pylist() == [3, 3]


def test_every_pair_of_policies_agrees_on_the_clusters() -> None:
    policies = [{"keep": keep} for keep in ("newest", "oldest", "longest")]
    clusters = [
        UrlDuplicates(**config).measure(table(ROWS), None)["url_cluster"] for config in policies
    ]
    assert all(one.equals(other) for one, other in itertools.pairwise(clusters))
