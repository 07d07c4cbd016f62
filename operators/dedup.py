"""Duplicates: documents of the same address, text, near-text or images, and repeated paragraphs.

Every operator here compares a document with the whole corpus (`CorpusOperator`). Documents that are
linked, directly or through others, form a cluster; the policy `keep` names its winner. Nothing is
dropped: the columns say which cluster a document is in and which document stands for it, and a rule
(`pipelines/rules/dedup.yaml`) decides.
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from operators.bands import (
    Bands,
    band_keys,
    bands_for,
    least_agreement,
    signature_matrix,
    verified_pairs,
)
from operators.base import CorpusOperator, Members
from operators.clusters import connected_components
from operators.compiled import compiled
from operators.text import node_texts
from schemas import columns
from schemas.errors import InputError

Integers = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]
Bytes = npt.NDArray[np.uint8]

_PAIRS_AT_ONCE = 500_000
_CROWD = 64  # documents of one key that each is compared with
_SURE = 0.9  # similarity from which a link by sketches alone is beyond doubt
_BITS = np.array([byte.bit_count() for byte in range(256)])
_NO_IDS = np.zeros(0, np.int64)
_RANKS = {"newest": "capture_date", "oldest": "capture_date", "longest": "char_count"}


def cluster_columns(prefix: str) -> pa.Schema:
    """Cluster, winner and size: what `Clusters.assign` writes."""
    return columns.schema(f"{prefix}_cluster", f"{prefix}_duplicate_of", f"{prefix}_cluster_size")


class Clusters(CorpusOperator):
    """Clusters of rows that are linked, directly or through others, and each cluster's winner.

    The winner is the row of the highest rank; of equals the one whose name is smaller, then the
    earlier one. A row of an earlier corpus wins over all of this one. A cluster is named by the
    smallest name in it. Rows without a duplicate have nulls.
    """

    resolves = True
    identity: ClassVar[str]
    """The column that names a row."""

    @abstractmethod
    def ranks(self, batch: pa.Table) -> pa.Array:
        """How much each row is preferred as a winner (float64); nulls least."""

    def members(self, batch: pa.Table) -> pa.Table:
        """Each row's name and `rank`: the higher the more it is preferred."""
        rows = pa.array(np.arange(batch.num_rows), pa.int32())
        ranks = pc.fill_null(self.ranks(batch), -np.inf)
        return pa.table({"row": rows, self.identity: batch[self.identity], "rank": ranks})

    def resolve(self, found: pa.Table, members: Members, first: int) -> pa.Table:
        """Cluster, winner and size of the cluster for each linked row; findings are links."""
        name = self.identity
        ids, roots = connected_components(found["address"].to_numpy(), found["other"].to_numpy())
        known = members(pa.array(ids), [name, "rank"]).append_column("root", pa.array(roots))
        # Offsets of plain strings end at 2 GB, which is 67 million identities.
        place = known.column_names.index(name)
        known = known.set_column(place, name, known[name].cast(pa.large_string()))
        known = known.append_column("earlier", pc.less(known["address"], first))
        order = [("root", "ascending"), ("earlier", "descending"), ("rank", "descending")]
        order += [(name, "ascending"), ("address", "ascending")]
        ranked = known.take(pc.sort_indices(known, sort_keys=order))
        starts = np.flatnonzero(changes(ranked["root"].to_numpy()))
        group = np.cumsum(changes(ranked["root"].to_numpy())) - 1
        winners = ranked[name].take(pa.array(starts[group]))
        is_winner = np.zeros(ranked.num_rows, bool)
        is_winner[starts] = True
        sizes = np.diff(np.append(starts, ranked.num_rows))
        names = known.group_by("root").aggregate([(name, "min")]).sort_by("root")
        table = pa.table(
            {
                "address": ranked["address"],
                "cluster": names[f"{name}_min"].take(pa.array(group)),
                "duplicate_of": pc.if_else(pa.array(is_winner), None, winners),
                "cluster_size": pa.array(sizes[group], pa.int32()),
            }
        )
        own = table.filter(pc.greater_equal(table["address"], first))
        return own.sort_by("address")

    def assign(self, found: pa.Table, batch: pa.Table) -> pa.Table:
        """Cluster, winner and size of the cluster of each row; nulls where it has no duplicate."""
        place = pc.index_in(
            pa.array(np.arange(batch.num_rows), pa.int32()), found["row"].combine_chunks()
        )
        names = ("cluster", "duplicate_of", "cluster_size")
        values = (found[name].combine_chunks().take(place) for name in names)
        arrays = [value.cast(f.type) for value, f in zip(values, self.writes, strict=True)]
        return pa.Table.from_arrays(arrays, schema=self.writes)


class Duplicates(Clusters):
    """Clusters of documents that share a key.

    The winner is the document that `keep` prefers. A document of an earlier corpus (`against`) wins
    over all of this one.
    """

    identity = "doc_id"

    keep: Literal["newest", "oldest", "longest", "best"] = Field(
        "newest", description="which document of a cluster wins; 'best' goes by `score`"
    )
    score: str | None = Field(None, description="keep: best — the column whose highest value wins")
    against: tuple[str, ...] = Field(
        (),
        description="stores of earlier corpora, as STORE or STORE#JOB: their documents win and "
        "are not read again",
    )

    @model_validator(mode="after")
    def _score_for_best(self) -> Duplicates:
        if (self.keep == "best") != (self.score is not None):
            raise ValueError("'score' names the column that 'keep: best' goes by: give both")
        if self.score is not None:
            found = columns.COLUMNS.get(self.score)
            if found is None or found.level != "document" or not _is_number(found.type):
                raise ValueError(f"'score: {self.score}' is no measure of documents")
        return self

    @property
    def _rank_column(self) -> str:
        return self.score or _RANKS[self.keep]

    def needs(self) -> pa.Schema:
        """`reads`, and what the policy goes by."""
        extra = [name for name in ("doc_id", self._rank_column) if name not in self.reads.names]
        return pa.schema([*self.reads, *columns.schema(*extra)])

    def key_config(self) -> dict[str, Any]:
        """The fields that decide the keys."""
        return self.model_dump(exclude={"keep", "score", "against"})

    def ranks(self, batch: pa.Table) -> pa.Array:
        """What the policy goes by."""
        ranks = batch[self._rank_column].combine_chunks()
        if pa.types.is_timestamp(ranks.type):
            ranks = pc.cast(ranks, pa.int64())
        ranks = pc.cast(ranks, pa.float64())
        return pc.negate(ranks) if self.keep == "oldest" else ranks

    def gather(self, records: pa.Table) -> pa.Table:
        """Links between documents: `address` and `other`, those of documents with the same key."""
        order, same = _runs(records["key"], records["check"])
        address = records["address"].to_numpy()[order]
        return pa.table({"address": address[:-1][same], "other": address[1:][same]})


class UrlDuplicates(Duplicates):
    """Captures of the same page: equal addresses but for what does not change the page.

    Compared are host and path, and the query without tracking parameters, its parameters sorted.
    Scheme, `www.`, port, fragment and a final slash do not count.
    """

    name = "url_duplicates"
    reads = columns.schema("url")
    writes = cluster_columns("url")
    libraries: ClassVar[tuple[str, ...]] = ("courlan",)

    def scatter(self, batch: pa.Table) -> pa.Table:
        """One record a document."""
        return _keyed(canonical_url(url) for url in batch["url"].to_pylist())


class TextDuplicates(Duplicates):
    """Documents of the same text, but for case and white space; those without text are none."""

    name = "text_duplicates"
    reads = columns.schema("nodes")
    writes = cluster_columns("text")

    def scatter(self, batch: pa.Table) -> pa.Table:
        """One record a document with text."""
        return _keyed(_normal(nodes) for nodes in node_texts(batch["nodes"]))


class NearDuplicates(Duplicates):
    """Documents whose sets of word shingles have a Jaccard similarity of `threshold` or more.

    MinHash with locality-sensitive hashing (Broder 1997; Leskovec, Rajaraman and Ullman 2014, ch.
    3): documents that agree in all rows of a band are candidates. A sketch travels with every
    band's key, one bit of each value of the signature (b-bit minwise hashing, Li and König 2010,
    with b = 1): pairs whose sketches are clearly too different are left out at once, and the rest
    are linked when their whole signatures agree.
    """

    name = "near_duplicates"
    reads = columns.schema("minhash")
    same_stages = ("minhash",)
    writes = cluster_columns("near")

    threshold: float = Field(0.8, gt=0, le=1, description="Jaccard similarity of duplicates")
    bands: int | None = Field(None, ge=1, description="bands; default: chosen for the threshold")
    rows: int | None = Field(None, ge=1, description="values in a band; give it with `bands`")

    @model_validator(mode="after")
    def _bands_with_rows(self) -> NearDuplicates:
        if (self.bands is None) != (self.rows is None):
            raise ValueError("'bands' and 'rows' go together: give both or neither")
        return self

    def scatter(self, batch: pa.Table) -> pa.Table:
        """One record a document and band, with the document's sketch."""
        rows, signatures = signature_matrix(batch["minhash"])
        if not len(rows):
            return _NO_BANDS
        bands = self._bands(signatures.shape[1])
        sketches = np.packbits((signatures & 1).astype(np.uint8), axis=1)
        return pa.table(
            {
                "row": pa.array(np.repeat(rows, bands.bands), pa.int32()),
                "key": pa.array(band_keys(signatures, bands).reshape(-1)),
                "sketch": _binary(np.repeat(sketches, bands.bands, axis=0)),
            }
        )

    def _bands(self, permutations: int) -> Bands:
        if self.bands is None or self.rows is None:
            if self.threshold == 1:
                return Bands(1, permutations)
            return bands_for(self.threshold, permutations)
        if self.bands * self.rows > permutations:
            raise InputError(
                f"near-duplicates: {self.bands} bands of {self.rows} rows need "
                f"{self.bands * self.rows} permutations; the minhash stage makes {permutations}"
            )
        return Bands(self.bands, self.rows)

    def members(self, batch: pa.Table) -> pa.Table:
        """Each row's `doc_id` and `rank`, and its signature, by which links are verified."""
        return super().members(batch).append_column("minhash", batch["minhash"])

    def gather(self, records: pa.Table) -> pa.Table:
        """Pairs that share a band and whose sketches agree."""
        sketches = _bytes(records["sketch"])
        if not len(sketches):
            return pa.table({"address": _NO_IDS, "other": _NO_IDS})
        addresses, keys = records["address"].to_numpy(), records["key"].to_numpy()
        order = np.lexsort((addresses, keys))
        bits = 8 * sketches.shape[1]
        similar = (self.threshold, max(self.threshold, _SURE))
        least, sure = (self._agreement(bits, (1 + share) / 2) for share in similar)
        ids, numbers = np.unique(addresses[order], return_inverse=True)
        pairs = _alike(keys[order], numbers, sketches[order], least, sure, _CROWD)
        pairs = np.unique(pairs, axis=0)
        return pa.table({"address": ids[pairs[:, 0]], "other": ids[pairs[:, 1]]})

    def resolve(self, found: pa.Table, members: Members, first: int) -> pa.Table:
        """Clusters of the pairs whose whole signatures agree.

        Sketches let some looser pairs through, and where thousands of documents share a template a
        few such links would join them all.
        """
        parts = [
            self._verified(found.slice(start, _PAIRS_AT_ONCE), members)
            for start in range(0, found.num_rows, _PAIRS_AT_ONCE)
        ]
        links = pa.concat_tables([found.slice(0, 0), *parts])
        return super().resolve(links, members, first)

    def _verified(self, found: pa.Table, members: Members) -> pa.Table:
        ends = np.stack([found["address"].to_numpy(), found["other"].to_numpy()], axis=1)
        ids, numbers = np.unique(ends, return_inverse=True)
        _, signatures = signature_matrix(members(pa.array(ids), ["minhash"])["minhash"])
        least = self._agreement(signatures.shape[1], self.threshold)
        agree = verified_pairs(signatures, numbers.reshape(ends.shape), least)
        return found.filter(pa.array(agree))

    def _agreement(self, values: int, share: float) -> int:
        """How many of so many values agree at least, if each does with probability `share`."""
        return values if share == 1 else least_agreement(share, values)


@compiled
def _alike(
    keys: Keys, numbers: Integers, sketches: Bytes, least: int, sure: int, crowd: int
) -> Integers:
    """Pairs of `numbers` that share a key and agree in `least` bits or more; (P, 2).

    Keys are sorted, and each is compared with the next `crowd` of its equals, but not with those
    that pairs agreeing in `sure` bits have joined it to already: a crowd of copies costs one
    comparison each.
    """
    parents = np.arange(numbers.max() + 1)
    pairs = np.empty((1024, 2), np.int64)
    found = 0
    for one in range(len(keys)):
        for other in range(one + 1, min(one + 1 + crowd, len(keys))):
            if keys[other] != keys[one]:
                break
            left, right = numbers[one], numbers[other]
            while parents[left] != left:
                parents[left] = parents[parents[left]]
                left = parents[left]
            while parents[right] != right:
                parents[right] = parents[parents[right]]
                right = parents[right]
            if left == right:
                continue
            same = 8 * sketches.shape[1]
            for place in range(sketches.shape[1]):
                same -= _BITS[sketches[one, place] ^ sketches[other, place]]
            if same < least:
                continue
            if same >= sure:
                parents[max(left, right)] = min(left, right)
            if found == len(pairs):
                grown = np.empty((2 * found, 2), np.int64)
                grown[:found] = pairs
                pairs = grown
            pairs[found, 0], pairs[found, 1] = numbers[one], numbers[other]
            found += 1
    return pairs[:found]


class ImageSetDuplicates(Duplicates):
    """Documents that show the same set of images, whatever their text (OBELICS, A.1.5)."""

    name = "image_set_duplicates"
    reads = columns.schema("nodes")
    writes = cluster_columns("image_set")

    min_images: int = Field(
        2, ge=1, description="different images below which a document is no duplicate; OBELICS: 1"
    )

    def scatter(self, batch: pa.Table) -> pa.Table:
        """One record a document with enough images."""
        return _keyed(self._images(nodes) for nodes in batch["nodes"].to_pylist())

    def _images(self, nodes: list[dict[str, Any]] | None) -> str | None:
        urls = {node["image_url"] for node in nodes or [] if node["image_url"]}
        return "\n".join(sorted(urls)) if len(urls) >= self.min_images else None


class RepeatedParagraphs(CorpusOperator):
    """How many documents hold each paragraph: of its domain, and of the corpus.

    A paragraph is a text node; case and white space do not count, and a document counts once.
    `node_domain_rank` is the number of earlier documents of the domain that hold it, so that a rule
    can keep the first. OBELICS (Laurençon et al. 2023, A.1.6) drops paragraphs that occur more than
    twice in their domain.
    """

    name = "repeated_paragraphs"
    reads = columns.schema("domain", "nodes")
    writes = columns.schema("node_domain_count", "node_domain_rank", "node_corpus_count")

    min_chars: int = Field(1, ge=1, description="characters below which a node is not counted")

    def scatter(self, batch: pa.Table) -> pa.Table:
        """One record a text node that is long enough."""
        rows: list[int] = []
        nodes: list[int] = []
        keys: list[int] = []
        domains: list[int] = []
        texts = node_texts(batch["nodes"])
        for row, domain in enumerate(batch["domain"].to_pylist()):
            own = hash_pair(domain or "")[0]
            for number, text in enumerate(texts[row] or []):
                if text and len(text) >= self.min_chars:
                    rows.append(row)
                    nodes.append(number)
                    keys.append(hash_pair(_spaced(text))[0])
                    domains.append(own)
        return pa.table(
            {
                "row": pa.array(rows, pa.int32()),
                "key": pa.array(keys, pa.uint64()),
                "domain": pa.array(domains, pa.uint64()),
                "node": pa.array(nodes, pa.int32()),
            }
        )

    def gather(self, records: pa.Table) -> pa.Table:
        """The counts of nodes that more than one document holds."""
        key, domain, address, node = (
            records[name].to_numpy() for name in ("key", "domain", "address", "node")
        )
        order = np.lexsort((node, address, domain, key))
        key, domain, address, node = key[order], domain[order], address[order], node[order]
        new_key = changes(key)
        new_domain = new_key | changes(domain)
        new_document = new_domain | changes(address)
        documents = np.cumsum(new_document)
        in_corpus = _per_group(new_key, new_document)
        in_domain = _per_group(new_domain, new_document)
        rank: Integers = documents - documents[np.maximum.accumulate(_starts(new_domain))]
        repeated = in_corpus > 1
        return pa.table(
            {
                "address": address[repeated],
                "node": node[repeated],
                "node_domain_count": pa.array(in_domain[repeated], pa.int32()),
                "node_domain_rank": pa.array(rank[repeated], pa.int32()),
                "node_corpus_count": pa.array(in_corpus[repeated], pa.int32()),
            }
        )

    def assign_needs(self) -> pa.Schema:
        """The nodes: how many there are, and which of them are asked for."""
        return columns.schema("nodes")

    def assign(self, found: pa.Table, batch: pa.Table) -> pa.Table:
        """Counts of each node: 1 where no other document holds it, null where none was asked."""
        nodes = batch["nodes"].combine_chunks()
        lengths = pc.fill_null(pc.list_value_length(nodes), 0).to_numpy()
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        places = offsets[found["row"].to_numpy()] + found["node"].to_numpy()
        sizes = pc.utf8_length(pc.struct_field(pc.list_flatten(nodes), "text"))
        asked = pc.fill_null(pc.greater_equal(sizes, self.min_chars), False)
        lists = []
        for name, default in zip(self.writes.names, (1, 0, 1), strict=True):
            values = np.full(offsets[-1], default, np.int32)
            values[places] = found[name].to_numpy()
            flat = pc.if_else(asked, pa.array(values), None)
            made = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), flat)
            lists.append(pc.if_else(pc.is_valid(nodes), made, None))
        return pa.Table.from_arrays(lists, schema=self.writes)


def canonical_url(url: str) -> str:
    """What tells a page from others: host, path and meaningful query of its address."""
    from courlan import normalize_url

    try:
        parts = urlsplit(normalize_url(url))
    except ValueError:
        return url
    host = (parts.hostname or "").removeprefix("www.")
    query = f"?{parts.query}" if parts.query else ""
    fragment = f"#{parts.fragment}" if parts.fragment.startswith("!") else ""
    return f"{host}{parts.path.rstrip('/')}{query}{fragment}"


def _binary(values: npt.NDArray[np.uint8]) -> pa.Array:
    """The rows of a matrix of bytes as binary values."""
    count, width = values.shape
    offsets = pa.array(np.arange(count + 1) * width, pa.int64())
    data = pa.py_buffer(np.ascontiguousarray(values))
    return pa.Array.from_buffers(pa.large_binary(), count, [None, offsets.buffers()[1], data])


def _bytes(column: pa.ChunkedArray) -> Bytes:
    """Binary values of one length as the rows of a matrix."""
    values = column.combine_chunks()
    if not len(values):
        return np.zeros((0, 0), np.uint8)
    offsets = np.frombuffer(values.buffers()[1], np.int64)[values.offset :][: len(values) + 1]
    data = np.frombuffer(values.buffers()[2], np.uint8)[offsets[0] : offsets[-1]]
    return data.reshape(len(values), -1)


_NO_BANDS = pa.schema(
    [("row", pa.int32()), ("key", pa.uint64()), ("sketch", pa.large_binary())]
).empty_table()


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _spaced(text: str) -> str:
    return " ".join(text.casefold().split())


def _normal(nodes: Sequence[str | None] | None) -> str | None:
    return " ".join(_spaced(text) for text in nodes or [] if text).strip() or None


def hash_pair(text: str) -> tuple[int, int]:
    """Two 64-bit hashes of a text."""
    digest = hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest()
    return int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:], "little")


def _keyed(texts: Iterable[str | None]) -> pa.Table:
    """A record for each text that is there: equal texts have equal `key` and `check`."""
    rows, hashes = [], []
    for row, text in enumerate(texts):
        if text is not None:
            rows.append(row)
            hashes.append(hash_pair(text))
    return pa.table(
        {
            "row": pa.array(rows, pa.int32()),
            "key": pa.array([key for key, _ in hashes], pa.uint64()),
            "check": pa.array([check for _, check in hashes], pa.uint64()),
        }
    )


def _runs(key: pa.ChunkedArray, check: pa.ChunkedArray) -> tuple[Integers, npt.NDArray[np.bool_]]:
    """An order in which equal keys are neighbours, and which neighbours are equal."""
    keys, checks = key.to_numpy(), check.to_numpy()
    order = np.lexsort((checks, keys))
    keys, checks = keys[order], checks[order]
    return order, (keys[1:] == keys[:-1]) & (checks[1:] == checks[:-1])


def changes(values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Where a value differs from the one before it; the first always does."""
    return np.concatenate([np.ones(min(len(values), 1), bool), values[1:] != values[:-1]])


def _starts(new: npt.NDArray[np.bool_]) -> Integers:
    """Positions where a group starts, zero elsewhere."""
    return np.where(new, np.arange(len(new)), 0)


def _per_group(new_group: npt.NDArray[np.bool_], counted: npt.NDArray[np.bool_]) -> Integers:
    """For each row, how many rows of its group are counted."""
    group = np.cumsum(new_group) - 1
    totals = np.bincount(group, weights=counted) if len(group) else np.zeros(0)
    counts: Integers = totals[group].astype(np.int64)
    return counts
