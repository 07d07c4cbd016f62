"""Duplicate images: how often each is shown, which are nearly the same, which repeat in a document.

Counts and near-duplicates compare an image with the whole corpus (`CorpusOperator`). Nothing is
dropped: rules judge by the columns.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from operators.base import CorpusOperator, Operator, measured
from operators.compiled import compiled
from operators.dedup import Clusters, changes, cluster_columns, hash_pair
from operators.minhash import FIRST, GOLDEN, SECOND
from schemas import columns

Integers = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]
Codes = npt.NDArray[np.uint64]
"""pHash and dHash, (N, 2)."""

_VALUES = ("image_sha256", "phash", "dhash")
_CHUNKS, _CHUNK_BITS = 8, 16
_ODD, _PAIRS = np.uint64(0x5555555555555555), np.uint64(0x3333333333333333)
_FOURS, _BYTES = np.uint64(0x0F0F0F0F0F0F0F0F), np.uint64(0x0101010101010101)
_1, _2, _4, _56 = (np.uint64(shift) for shift in (1, 2, 4, 56))
_MOST = np.iinfo(np.int32).max


# --- Counts --------------------------------------------------------------------------------------


class CountImages(CorpusOperator):
    """In how many places of the corpus an image is shown: as the same bytes, pHash, or dHash.

    A place is a document that shows an address: the counts sum `image_document_count` over all
    addresses of the same value. OmniCorpus (Li et al. 2024, section 3.1) drops images whose pHash
    or dHash occurs more than ten times.
    """

    name = "image_counts"
    table = "images"
    reads = columns.schema(*_VALUES, "image_document_count")
    writes = columns.schema("image_content_count", "phash_count", "dhash_count")

    def scatter(self, batch: pa.Table) -> pa.Table:
        """One record an image and value that it has."""
        shown = _shown(batch)
        parts = []
        for number, name in enumerate(_VALUES):
            column = batch[name].combine_chunks()
            rows = np.flatnonzero(np.asarray(column.is_valid()))
            key, check = _keys(column.drop_null(), number)
            parts.append((rows, key, check, shown[rows], np.full(len(rows), number)))
        row, key, check, places, value = map(np.concatenate, zip(*parts, strict=True))
        return pa.table(
            {
                "row": pa.array(row, pa.int32()),
                "key": pa.array(key, pa.uint64()),
                "check": pa.array(check, pa.uint64()),
                "places": pa.array(places, pa.int64()),
                "value": pa.array(value, pa.uint8()),
            }
        )

    def gather(self, records: pa.Table) -> pa.Table:
        """The counts of values that more than one address has."""
        key, check = records["key"].to_numpy(), records["check"].to_numpy()
        order = np.lexsort((check, key))
        records = records.take(pa.array(order))
        group = np.cumsum(changes(key[order]) | changes(check[order])) - 1
        totals = np.bincount(group, weights=records["places"].to_numpy()).astype(np.int64)
        found = pa.table(
            {
                "address": records["address"],
                "value": records["value"],
                "count": pa.array(totals[group]),
            }
        )
        return found.filter(pa.array(np.bincount(group)[group] > 1))

    def assign_needs(self) -> pa.Schema:
        """Which values an image has, and the count of one that no other address has."""
        return self.reads

    def assign(self, found: pa.Table, batch: pa.Table) -> pa.Table:
        """The counts of each image; null where the value is."""
        shown = _shown(batch)
        rows, values, counts = (found[name].to_numpy() for name in ("row", "value", "count"))
        made = []
        for number, name in enumerate(_VALUES):
            count = shown.copy()
            mine = values == number
            count[rows[mine]] = counts[mine]
            column = pa.array(np.clip(count, 0, _MOST), pa.int32())
            made.append(pc.if_else(batch[name].combine_chunks().is_valid(), column, None))
        return pa.Table.from_arrays(made, schema=self.writes)


def _shown(batch: pa.Table) -> Integers:
    """Documents that show each address."""
    counts = pc.fill_null(batch["image_document_count"].combine_chunks(), 0)
    shown: Integers = counts.to_numpy().astype(np.int64)
    return shown


def _keys(values: pa.Array, salt: int) -> tuple[Hashes, Hashes]:
    """A 64-bit key of each value that is there, and what tells values of one key apart."""
    if pa.types.is_string(values.type):
        pairs = np.array([hash_pair(value) for value in values.to_pylist()], np.uint64)
        key, check = pairs.reshape(-1, 2).T
        return key, check
    numbers = values.to_numpy()
    return _mixed(numbers ^ np.uint64(salt)), numbers


def _mixed(numbers: Hashes) -> Hashes:
    """Numbers whose bits all depend on all bits of those given; unlike stay unlike.

    Source: the finalizer of SplitMix (see `operators.minhash`).
    """
    numbers = numbers * GOLDEN
    numbers = (numbers ^ (numbers >> np.uint64(30))) * FIRST
    numbers = (numbers ^ (numbers >> np.uint64(27))) * SECOND
    return numbers ^ (numbers >> np.uint64(31))


# --- Near-duplicates -----------------------------------------------------------------------------


class NearImageDuplicates(Clusters):
    """Images whose pHash and dHash, 128 bits together, differ in `max_distance` bits or fewer.

    No pair within the distance is missed (multi-index hashing; Norouzi, Punjani and Fleet 2012,
    "Fast search in Hamming space with multi-index hashing"). The 128 bits are cut into 8 chunks. If
    two codes differ in d bits, one of the chunks differs in r = d // 8 bits at most; and of the
    r + 1 parts that a chunk is cut into, one is equal. Images meet in it, and those whose chunks
    differ in at most r bits are compared. Of a cluster the image of most pixels wins.
    """

    name = "near_image_duplicates"
    table = "images"
    reads = columns.schema("image_url", "phash", "dhash", "image_width", "image_height")
    writes = cluster_columns("near_image")
    identity = "image_url"

    max_distance: int = Field(
        23, ge=0, le=31, description="bits of 128 in which near-duplicates differ at most"
    )

    @property
    def _radius(self) -> int:
        """Bits in which the most alike chunk of a pair differs at most."""
        return self.max_distance // _CHUNKS

    def key_config(self) -> dict[str, Any]:
        """The radius: distances of one radius have the same records."""
        return {"radius": self._radius, "partitions": self.partitions}

    def scatter(self, batch: pa.Table) -> pa.Table:
        """One record an image, chunk and part of the chunk, with the image's code."""
        known = pc.and_(batch["phash"].is_valid(), batch["dhash"].is_valid())
        rows = np.flatnonzero(np.asarray(known))
        coded = batch.filter(known)
        codes = np.stack([coded[name].to_numpy() for name in ("phash", "dhash")], axis=1)
        chunks = _chunks(codes)
        keys = [
            _mixed((chunks[:, band // len(self._parts)] & self._mask(band)) | np.uint64(band << 16))
            for band in self._bands
        ]
        times = len(keys)
        return pa.table(
            {
                "row": pa.array(np.tile(rows, times), pa.int32()),
                "key": pa.array(np.concatenate(keys), pa.uint64()),
                "band": pa.array(np.repeat(self._bands, len(rows)), pa.uint8()),
                "phash": pa.array(np.tile(codes[:, 0], times), pa.uint64()),
                "dhash": pa.array(np.tile(codes[:, 1], times), pa.uint64()),
            }
        )

    @property
    def _parts(self) -> list[tuple[int, int]]:
        """First bit and end of each part of a chunk."""
        edges = np.linspace(0, _CHUNK_BITS, self._radius + 2).round().astype(int).tolist()
        return list(itertools.pairwise(edges))

    @property
    def _bands(self) -> range:
        """Numbers of the parts of all chunks."""
        return range(_CHUNKS * len(self._parts))

    def _mask(self, band: int) -> np.uint64:
        """The bits of a chunk that the part is."""
        low, high = self._parts[band % len(self._parts)]
        return np.uint64((1 << high) - (1 << low))

    def gather(self, records: pa.Table) -> pa.Table:
        """Links: of equal codes one image with the next, of near codes those that join groups."""
        names = ("address", "key", "band", "phash", "dhash")
        address, key, band, phash, dhash = (records[name].to_numpy() for name in names)
        order = np.lexsort((address, dhash, phash, key))
        address, key, band = address[order], key[order], band[order]
        codes = np.stack([phash[order], dhash[order]], axis=1)
        new = changes(key) | changes(codes[:, 0]) | changes(codes[:, 1])
        again = np.flatnonzero(~new & (band == 0))  # equal codes meet in every band
        one, other = self._near(address[new], key[new], band[new], codes[new])
        return pa.table(
            {
                "address": np.concatenate([address[again - 1], one]),
                "other": np.concatenate([address[again], other]),
            }
        )

    def _near(
        self, address: Integers, key: Hashes, band: npt.NDArray[np.uint8], codes: Codes
    ) -> tuple[Integers, Integers]:
        """Pairs of addresses with near codes; all codes of a key are different."""
        if not len(key):
            return address, address
        places = np.zeros(len(key), np.int64)
        chunks = _chunks(codes)
        for number in np.unique(band).tolist():
            low, high = self._parts[number % len(self._parts)]
            mine = band == number
            bits = chunks[mine, number // len(self._parts)].astype(np.int64)
            places[mine] = (bits & ((1 << low) - 1)) | (bits >> high << low)
        order = np.lexsort((places, key))
        ids, numbers = np.unique(address[order], return_inverse=True)
        starts = np.append(np.flatnonzero(changes(key[order])), len(key))
        flips = [
            sum(1 << bit for bit in bits)
            for count in range(self._radius + 1)
            for bits in itertools.combinations(range(_CHUNK_BITS), count)
        ]
        limit = np.uint64(self.max_distance)
        pairs = _near_pairs(starts, places[order], codes[order], numbers, np.array(flips), limit)
        return ids[pairs[:, 0]], ids[pairs[:, 1]]

    def ranks(self, batch: pa.Table) -> pa.Array:
        """The number of pixels."""
        sides = (pc.cast(batch[f"image_{side}"], pa.float64()) for side in ("width", "height"))
        return pc.multiply(*sides).combine_chunks()


def _chunks(codes: Codes) -> Hashes:
    """The chunks of codes, (N, 8): a byte of the pHash and the same byte of the dHash each."""
    shifts = np.arange(0, 64, 8, dtype=np.uint64)
    low, high = (codes[:, [which]] >> shifts & np.uint64(0xFF) for which in (0, 1))
    chunks: Hashes = low | high << np.uint64(8)
    return chunks


@compiled
def _near_pairs(
    starts: Integers,
    places: Integers,
    codes: Codes,
    numbers: Integers,
    flips: Integers,
    distance: np.uint64,
) -> Integers:
    """Pairs of `numbers`, (P, 2), whose codes differ in `distance` bits or fewer.

    Codes of one key lie between two `starts`, sorted by their place, and each place is compared
    with those that `flips` lead to. Pairs that others have joined already are left out, so that the
    groups of all pairs are right, and a crowd gives no more pairs than it has members.
    """
    parents = np.arange(numbers.max() + 1)
    pairs = np.empty((1024, 2), np.int64)
    found = 0
    begins, ends = np.zeros(1 << 16, np.int64), np.zeros(1 << 16, np.int64)
    for group in range(len(starts) - 1):
        first, last = starts[group], starts[group + 1]
        for row in range(last - 1, first - 1, -1):
            begins[places[row]] = row
        for row in range(first, last):
            ends[places[row]] = row + 1
        for row in range(first, last):
            for flip in flips:
                near = places[row] ^ flip
                if near < places[row]:
                    continue
                for other in range(max(begins[near], row + 1), ends[near]):
                    left = codes[row, 0] ^ codes[other, 0]
                    left = left - ((left >> _1) & _ODD)
                    left = (left & _PAIRS) + ((left >> _2) & _PAIRS)
                    left = (((left + (left >> _4)) & _FOURS) * _BYTES) >> _56
                    right = codes[row, 1] ^ codes[other, 1]
                    right = right - ((right >> _1) & _ODD)
                    right = (right & _PAIRS) + ((right >> _2) & _PAIRS)
                    right = (((right + (right >> _4)) & _FOURS) * _BYTES) >> _56
                    if left + right > distance:
                        continue
                    one, two = numbers[row], numbers[other]
                    while parents[one] != one:
                        parents[one] = parents[parents[one]]
                        one = parents[one]
                    while parents[two] != two:
                        parents[two] = parents[parents[two]]
                        two = parents[two]
                    if one == two:
                        continue
                    parents[max(one, two)] = min(one, two)
                    if found == len(pairs):
                        grown = np.empty((2 * found, 2), np.int64)
                        grown[:found] = pairs
                        pairs = grown
                    pairs[found, 0], pairs[found, 1] = numbers[row], numbers[other]
                    found += 1
        for row in range(first, last):
            ends[places[row]] = 0
    return pairs[:found]


# --- Inside a document ---------------------------------------------------------------------------


class RepeatedImages(Operator[None]):
    """How much each image of a document differs from the most alike of those before it.

    The distance is 0 for the same bytes, else the number of bits in which pHash and dHash differ,
    of 128. MMC4 (Zhu et al. 2023, section 3) keeps one of the images of a document that are alike.
    """

    name = "repeated_images"
    reads = pa.schema([*columns.schema("nodes"), *columns.seen_by_documents(*_VALUES)])
    writes = columns.schema("node_image_repeat_distance")

    def measure(self, batch: pa.Table, state: None) -> pa.Table:
        """A distance for each image but the first, as far as images are known."""
        counts = pc.list_value_length(batch["nodes"]).to_pylist()
        values = (batch[name].to_pylist() for name in _VALUES)
        return measured(self.writes, [list(map(_distances, counts, *values))])


def _distances(
    count: int | None,
    digests: list[str | None] | None,
    phashes: list[int | None] | None,
    dhashes: list[int | None] | None,
) -> list[int | None] | None:
    """The distance of each node's image; null where there is no image or none before it."""
    if count is None:
        return None
    unknown = [None] * count
    images = zip(digests or unknown, phashes or unknown, dhashes or unknown, strict=True)
    seen: set[str] = set()
    codes, known = np.empty((count, 2), np.uint64), 0
    found: list[int | None] = []
    for digest, one, other in images:
        distance = None
        if one is not None and other is not None:
            codes[known] = one, other
            if known:
                bits = np.bitwise_count(codes[:known] ^ codes[known])
                distance = int(bits.sum(axis=1, dtype=np.int16).min())
            known += 1
        if digest is not None:
            distance = 0 if digest in seen else distance
            seen.add(digest)
        found.append(distance)
    return found
