"""Images and texts as vectors of one space, how alike they are, and scores by heads on the vectors.

The vectors are those of an encoder (`operators.encoders`): a CLIP model, or the one that ships,
which is none. Their columns say which in `clip_encoder` and `clip_text_encoder`. Vectors are unit
vectors kept as float16: cosines of two are off by some 0.0003 at most.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from operators.base import Operator, by_row, measured
from operators.embedding_heads import Head, LoadedHead
from operators.encoders import (
    Encoder,
    EncoderConfig,
    Pixels,
    decode_image,
    default_threads,
    load,
)
from operators.forward import Floats, unit
from operators.text import node_texts
from schemas import columns

Flags = npt.NDArray[np.bool_]
Halves = npt.NDArray[np.float16]
Integers = npt.NDArray[np.int64]
_DIGITS = 6  # of a score, after the point
_PASSES_AHEAD = 2  # passes' worth of images that are decoded before they are asked for


class _Embeds(EncoderConfig, Operator[Encoder]):
    """What both operators have that run an encoder."""

    stateful: ClassVar[bool] = True

    def setup(self) -> Encoder:
        """The encoder; one in a process for all operators of the same config.

        Raises:
            InputError: weights or libraries are missing, or not what they should be.
        """
        return load(self)

    def deciding_config(self) -> dict[str, Any]:
        """All fields but the device and how many rows are computed at once."""
        return self.model_dump(exclude=set(self.undeciding))

    def provenance(self) -> dict[str, str]:
        """Digests of the encoder's weights, and the versions of what runs it."""
        return super().provenance() | self.weights()


# --- Images -------------------------------------------------------------------------------------


class EmbedImages(_Embeds):
    """The unit vector of each image.

    Null where there are no bytes or where they do not decode. Images are decoded in threads, ahead
    of the encoder's passes. What is transparent is white, EXIF's turning is applied; of several
    frames the first counts.
    """

    name = "embed_images"
    table = "images"
    reads = columns.schema("image_data")
    writes = columns.schema("clip_embedding", "clip_encoder")
    libraries = ("pillow",)
    undeciding = EncoderConfig.undeciding | {"decode_threads"}

    reduced_decode: bool = Field(
        True,
        description="decode JPEGs more than four times as large as the encoder looks at them at "
        "half their size or less; faster, and hardly another vector",
    )
    decode_threads: int | None = Field(
        None, ge=1, le=256, description="threads that decode; by default one for each CPU"
    )

    def measure(self, batch: pa.Table, state: Encoder) -> pa.Table:
        """Decode and embed; rows without a picture are null."""
        rows: list[int] = []
        found: list[Floats] = []
        threads = self.decode_threads or default_threads()
        with ThreadPoolExecutor(threads, "decode") as pool:
            pictures = self._decoded(pool, batch["image_data"], state)
            found += state.embed_images(_passes(pictures, state.rows, rows))
        vectors = np.zeros((batch.num_rows, state.dimension), np.float16)
        known = np.zeros(batch.num_rows, bool)
        if rows:
            vectors[rows] = np.concatenate(found)
            known[rows] = True
        names = [state.name if there else None for there in known]
        return measured(self.writes, [_vector_lists(vectors, known), names])

    def _decoded(
        self, pool: ThreadPoolExecutor, data: pa.ChunkedArray, encoder: Encoder
    ) -> Iterator[Pixels | None]:
        """What the encoder looks at of each image, in order; None where there is no picture."""

        def picture(value: pa.LargeBinaryScalar) -> Pixels | None:
            try:
                image = decode_image(value.as_py(), encoder.side, reduced=self.reduced_decode)
                return encoder.pixels(image)
            except Exception:  # noqa: BLE001  # any file may come, and `measure_images` says why
                return None

        values = iter(data)
        ahead = encoder.rows * _PASSES_AHEAD
        waiting = deque(pool.submit(picture, value) for value in islice(values, ahead))
        while waiting:
            yield waiting.popleft().result()
            waiting.extend(pool.submit(picture, value) for value in islice(values, 1))


def _passes(pictures: Iterator[Pixels | None], count: int, rows: list[int]) -> Iterator[Pixels]:
    """Pictures in batches of `count`; appends to `rows` the row of each, and passes over None."""
    batch: list[Pixels] = []
    for row, picture in enumerate(pictures):
        if picture is None:
            continue
        rows.append(row)
        batch.append(picture)
        if len(batch) == count:
            yield np.stack(batch)
            batch = []
    if batch:
        yield np.stack(batch)


# --- Texts --------------------------------------------------------------------------------------


class EmbedTexts(_Embeds):
    """The unit vector of each text node; null for images and for nodes that are blank.

    Texts longer than the encoder reads are cut at their end. Equal texts of a batch are computed
    once.
    """

    name = "embed_texts"
    reads = columns.schema("nodes")
    writes = columns.schema("node_clip_embedding", "clip_text_encoder")

    def measure(self, batch: pa.Table, state: Encoder) -> pa.Table:
        """Embed the distinct texts, and give each node the vector of its own."""
        documents = node_texts(batch["nodes"])
        numbers: dict[str, int] = {}
        of_nodes = [
            numbers.setdefault(text, len(numbers)) if text and not text.isspace() else -1
            for nodes in documents
            for text in nodes or []
        ]
        place = np.array(of_nodes, np.int64)
        distinct = state.embed_texts(list(numbers)).astype(np.float16)
        vectors = np.zeros((len(place), state.dimension), np.float16)
        vectors[place >= 0] = distinct[place[place >= 0]]
        names = [None if nodes is None else state.name for nodes in documents]
        nodes_of = _nested(_vector_lists(vectors, place >= 0), documents)
        return measured(self.writes, [nodes_of, pa.array(names, pa.string())])


# --- Both ---------------------------------------------------------------------------------------


class ImageTextSimilarity(Operator[None]):
    """How alike each image of a document is to each of its texts: the cosine of their vectors.

    Every node that is no image is a column of the matrix; one without a vector is null in it. A
    document whose images and texts come from different encoders is an error.
    """

    name = "image_text_similarity"
    reads = pa.schema(
        [
            *columns.schema("nodes", "node_clip_embedding", "clip_text_encoder"),
            *columns.seen_by_documents("clip_embedding", "clip_encoder"),
        ]
    )
    writes = columns.schema("clip_similarity", "node_image_text_similarity")

    def measure(self, batch: pa.Table, state: None) -> pa.Table:
        """The matrix of each document, and the highest cosine of each of its images."""
        is_image = pc.equal(_flat(batch["nodes"], "kind"), "image").to_numpy(zero_copy_only=False)
        images = _NodeVectors.of(batch["clip_embedding"])
        texts = _NodeVectors.of(batch["node_clip_embedding"])
        first = _first(batch["nodes"])
        present = (
            pc.is_valid(batch["nodes"]).to_numpy()
            & pc.is_valid(batch["clip_embedding"]).to_numpy()
            & pc.is_valid(batch["node_clip_embedding"]).to_numpy()
        )

        def document(
            row: int, image_encoders: list[str | None] | None, text_encoder: str | None
        ) -> tuple[pa.Array, pa.Array] | None:
            if not present[row]:
                return None
            for encoder in {*(image_encoders or [])} - {None, text_encoder}:
                raise ValueError(
                    f"images were embedded by {encoder}, texts by {text_encoder}: "
                    "give both stages the same encoder"
                )
            shows = is_image[first[row] : first[row + 1]]
            return _similarity(shows, *images.at(row), *texts.at(row))

        found = by_row(
            document,
            range(batch.num_rows),
            batch["clip_encoder"].to_pylist(),
            batch["clip_text_encoder"].to_pylist(),
        )
        answers = [
            [None if value is None else value[which] for value in found.values] for which in (0, 1)
        ]
        arrays = [
            _lists(values, item.type.value_type)
            for values, item in zip(answers, self.writes, strict=True)
        ]
        return measured(self.writes, arrays, found.errors)


class _NodeVectors(NamedTuple):
    """Vectors of nodes, documents one after the other."""

    known: Flags
    """Which nodes have one."""
    values: Floats
    """Those that there are, as unit vectors; (known.sum(), D)."""
    first: Integers
    """Where each document's nodes begin in `known`; (documents + 1,)."""
    first_value: Integers
    """Where each document's vectors begin in `values`; (documents + 1,)."""

    @classmethod
    def of(cls, column: pa.ChunkedArray) -> _NodeVectors:
        nodes = pc.list_flatten(column.combine_chunks())
        known = pc.is_valid(nodes).to_numpy(zero_copy_only=False)
        flat = pc.list_flatten(nodes).to_numpy(zero_copy_only=False).astype(np.float32)
        count = int(known.sum())
        first = _first(column)
        before = np.concatenate([[0], np.cumsum(known)])
        return cls(known, unit(flat.reshape(count, -1 if count else 0)), first, before[first])

    def at(self, row: int) -> tuple[Flags, Floats]:
        """Which nodes of a document have a vector, and these vectors."""
        nodes, values = (slice(*each[row : row + 2]) for each in (self.first, self.first_value))
        return self.known[nodes], self.values[values]


def _similarity(
    shows: Flags, has_image: Flags, images: Floats, has_text: Flags, texts: Floats
) -> tuple[pa.Array, pa.Array]:
    """The matrix of a document, and the highest value of each node's row.

    Args:
        shows: Which nodes are images; (nodes,).
        has_image: Which nodes have an image's vector; (nodes,).
        images: These vectors.
        has_text: Which nodes have a text's vector; (nodes,).
        texts: These vectors.
    """
    known, described = has_image[shows], has_text[~shows]
    matrix = np.full((len(known), len(described)), np.nan, np.float32)
    if known.any() and described.any():
        left, right = images[shows[has_image]], texts[~shows[has_text]]
        matrix[np.ix_(known, described)] = np.clip(left @ right.T, -1, 1)
    best = np.full(len(shows), np.nan, np.float32)
    best[shows] = np.fmax.reduce(matrix, axis=1, initial=np.nan)
    cells = pa.array(matrix[known].ravel(), from_pandas=True)
    ends = np.concatenate([[0], np.cumsum(known)]) * len(described)
    rows = pa.ListArray.from_arrays(pa.array(ends, pa.int32()), cells, mask=pa.array(~known))
    return rows, pa.array(best, from_pandas=True)


# --- Scores -------------------------------------------------------------------------------------


class EmbeddingScores(Operator[dict[str, LoadedHead]]):
    """Scores of images by heads on their vectors.

    A column that no head is named for is null, and so is an image without a vector. A head of
    aesthetics gives its output as it is; one of pornography gives a logit, whose logistic function
    is the probability. No head ships.
    """

    name = "embedding_scores"
    table = "images"
    reads = columns.schema("clip_embedding")
    writes = columns.schema("aesthetic_score", "clip_nsfw_prob")
    stateful: ClassVar[bool] = True

    aesthetic: Head | None = Field(
        None, description="head that scores how pleasing an image is, e.g. {path: aesthetic.npz}"
    )
    nsfw: Head | None = Field(
        None, description="head whose output is the logit of pornography, e.g. {path: nsfw.npz}"
    )

    def _heads(self) -> dict[str, Head]:
        named = {"aesthetic_score": self.aesthetic, "clip_nsfw_prob": self.nsfw}
        return {column: head for column, head in named.items() if head is not None}

    def setup(self) -> dict[str, LoadedHead]:
        """The heads in memory.

        Raises:
            InputError: a file is missing, or not a head.
        """
        return {column: head.load() for column, head in self._heads().items()}

    def provenance(self) -> dict[str, str]:
        """The SHA-256 of each head's file."""
        heads = self._heads()
        return super().provenance() | {column: head.digest() for column, head in heads.items()}

    def measure(self, batch: pa.Table, state: dict[str, LoadedHead]) -> pa.Table:
        """The scores, rounded to where the order of summing does not show."""
        vectors = batch["clip_embedding"].combine_chunks()
        known = pc.is_valid(vectors).to_numpy(zero_copy_only=False)
        arrays = []
        for item in self.writes:
            scores = np.full(len(known), np.nan)
            if item.name in state and known.any():
                flat = pc.list_flatten(vectors).to_numpy(zero_copy_only=False)
                given = unit(flat.astype(np.float64).reshape(int(known.sum()), -1))
                found = state[item.name].scores(given)
                if item.name == "clip_nsfw_prob":
                    found = 1 / (1 + np.exp(-np.clip(found, -500, 500)))
                scores[known] = found.round(_DIGITS)
            arrays.append(pa.array(scores, item.type, from_pandas=True))
        return measured(self.writes, arrays)


# --- Arrow --------------------------------------------------------------------------------------


def _vector_lists(vectors: Halves, known: Flags) -> pa.ListArray:
    """A list of each vector that is known, null for the others; (N, D), (N,)."""
    ends = np.concatenate([[0], np.cumsum(known)]) * vectors.shape[1]
    values = pa.array(vectors[known].ravel())
    mask = pa.array(~known)
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), values, mask=mask)


def _nested(of_nodes: pa.Array, documents: Sequence[Sequence[Any] | None]) -> pa.ListArray:
    """The values of nodes as a list a document, null for a document that is None."""
    ends = np.cumsum([0, *(len(nodes or []) for nodes in documents)])
    mask = pa.array([nodes is None for nodes in documents], pa.bool_())
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), of_nodes, mask=mask)


def _lists(documents: Sequence[pa.Array | None], kind: pa.DataType) -> pa.ListArray:
    """A list of each document's values, which are of type `kind`."""
    parts = [pa.array([], kind), *(values.cast(kind) for values in documents if values is not None)]
    return _nested(pa.concat_arrays(parts), documents)


def _first(lists: pa.ChunkedArray) -> Integers:
    """Where the values of each list begin when all are flattened; (N + 1,)."""
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def _flat(nodes: pa.ChunkedArray, name: str) -> pa.Array:
    """A field of all nodes."""
    return pc.struct_field(pc.list_flatten(nodes.combine_chunks()), name)
