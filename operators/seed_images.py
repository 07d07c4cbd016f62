"""Pictures found by example: how like the nearest of some given seed images each one is.

MMInstruct collects pictures by their likeness to hand-picked ones (Liu et al. 2024, arXiv
2407.15838). Here every picture is compared, and a rule says how like is like enough.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from operators.base import Operator, measured
from operators.clip import EmbedImages
from operators.encoders import EncoderConfig
from operators.files import expand, open_input
from schemas import columns
from schemas.errors import InputError

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class SeedVectors:
    """Unit vectors of the seed images, a row each, their names, and the encoder they are from."""

    vectors: Floats
    names: list[str]
    encoder: str | None


class SeedSimilarity(EncoderConfig, Operator[SeedVectors]):
    """The cosine of each picture with the most alike of the seed images, and which one that is.

    The encoder must be that of the stage that made `clip_embedding`. Null for pictures without a
    vector, and where there are no seed images.
    """

    name = "seed_similarity"
    table = "images"
    stateful = True
    reads = columns.schema("clip_embedding", "clip_encoder")
    writes = columns.schema("seed_similarity", "seed_image")

    images: str | None = Field(None, description="seed images: files, local or s3://, by a pattern")

    def deciding_config(self) -> dict[str, Any]:
        """All fields but the device, the rows of a pass, and where the seeds are."""
        return self.model_dump(exclude={*self.undeciding, "images"})

    def provenance(self) -> dict[str, str]:
        """Digests of the seed images and of the encoder's weights."""
        seeds = {path: hashlib.sha256(_bytes(path)).hexdigest() for path in self._paths()}
        digest = hashlib.sha256(repr(sorted(seeds.values())).encode()).hexdigest()
        return super().provenance() | self.weights() | {"seed images": digest}

    def _paths(self) -> list[str]:
        """The seed images.

        Raises:
            InputError: the pattern names none.
        """
        found = expand(self.images) if self.images else []
        if self.images and not found:
            raise InputError(f"no seed image matches {self.images}")
        return found

    def setup(self) -> SeedVectors:
        """The seeds' vectors.

        Raises:
            InputError: a seed image gives no picture.
        """
        paths = self._paths()
        if not paths:
            return SeedVectors(np.zeros((0, 0), np.float32), [], None)
        own = {name: getattr(self, name) for name in EncoderConfig.model_fields}
        embed = EmbedImages(**own)
        seeds = pa.table({"image_data": pa.array(map(_bytes, paths), pa.large_binary())})
        table = embed.measure(seeds, embed.setup())
        for path, vector in zip(paths, table["clip_embedding"].to_pylist(), strict=True):
            if vector is None:
                raise InputError(f"seed image {path} gives no picture")
        vectors = np.array(table["clip_embedding"].to_pylist(), np.float32)
        names = [Path(path).name for path in paths]
        return SeedVectors(vectors, names, table["clip_encoder"][0].as_py())

    def measure(self, batch: pa.Table, state: SeedVectors) -> pa.Table:
        """Compare vectors.

        Raises:
            InputError: the pictures' vectors are another encoder's.
        """
        known = pc.is_valid(batch["clip_embedding"]).to_numpy()
        scores: list[float | None] = [None] * batch.num_rows
        names: list[str | None] = [None] * batch.num_rows
        others = {name for name in batch["clip_encoder"].to_pylist() if name} - {state.encoder}
        if state.names and others:
            raise InputError(
                f"pictures are embedded by {others.pop()}, seed images by {state.encoder}\n"
                "    fix: give the stages 'embed_images' and 'seed_images' the same encoder"
            )
        if state.names and known.any():
            vectors = np.array(batch["clip_embedding"].filter(known).to_pylist(), np.float32)
            cosines = vectors @ state.vectors.T
            best = cosines.argmax(axis=1)
            for row, place, score in zip(
                np.flatnonzero(known).tolist(), best.tolist(), cosines.max(axis=1).tolist(),
                strict=True,
            ):  # fmt: skip
                scores[row], names[row] = score, state.names[place]
        return measured(self.writes, [scores, names])


def _bytes(path: str) -> bytes:
    with open_input(path) as stream:
        data: bytes = stream.read()
    return data
