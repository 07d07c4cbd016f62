"""Encoders of images and texts: both become unit vectors of one space, compared by their cosine.

`EncoderConfig` is what a job says of one; `load` gives the `Encoder` in memory. There are two
kinds: models of the open_clip library (`operators.open_clip_encoder`), and ConSE, which is no CLIP
but needs nothing from a model hub (`operators.conse`). docs/clip.md compares them.
"""

from __future__ import annotations

import importlib.metadata
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps
from pydantic import BaseModel, ConfigDict, Field, model_validator

from operators.forward import Floats, filled, unit
from operators.pixels import decoded, on_white
from schemas.errors import InputError

Pixels = npt.NDArray[np.uint8]

MAX_CHARACTERS = 10_000
"""Characters of a text that an encoder is given; far more than the tokens that it reads."""
_ROWS = {"cpu": 4, "cuda": 64}  # more only cost memory and, on a CPU, its cache
_TEXTS = 4
_REDUCED = 2  # a JPEG is decoded at no less than twice the side that the encoder looks at


class Encoder(ABC):
    """A model in memory that gives images and texts vectors of one space."""

    name: str
    """What it is: architecture and weights, the same wherever the files lie."""
    dimension: int
    """Numbers of a vector."""
    side: int
    """Pixels of the shorter side of what it looks at."""
    rows: int
    """Images of one pass."""

    @property
    def text_rows(self) -> int:
        """Texts of one pass."""
        return _TEXTS * self.rows

    @abstractmethod
    def pixels(self, image: Image.Image) -> Pixels:
        """What it looks at of an image: (height, width, 3), the same for every image."""

    @abstractmethod
    def tensor(self, pixels: Pixels) -> Any:
        """What the model is given for `rows` pictures, on its device."""

    @abstractmethod
    def forward(self, tensor: Any) -> Any:
        """The model's pass: a tensor of vectors, (rows, dimension), on its device."""

    @abstractmethod
    def embed_texts(self, texts: Sequence[str]) -> Floats:
        """The unit vectors of texts; (len(texts), dimension). Long texts are cut."""

    def embed_images(self, batches: Iterable[Pixels]) -> Iterator[Floats]:
        """The unit vectors of each batch of at most `rows` pictures; (len(batch), dimension).

        The next batch is taken while a GPU still works on the one before.
        """
        started: tuple[Any, int] | None = None
        for batch in batches:
            passed = self.forward(self.tensor(filled(batch, self.rows)))
            if started is not None:
                yield self._waited_for(*started)
            started = passed, len(batch)
        if started is not None:
            yield self._waited_for(*started)

    def _waited_for(self, passed: Any, count: int) -> Floats:
        """The vectors of a pass's first `count` rows.

        Raises:
            InputError: they are no numbers.
        """
        vectors: Floats = passed[:count].cpu().numpy()
        return unit(self.finite(vectors))

    def finite(self, vectors: Floats) -> Floats:
        """The vectors.

        Raises:
            InputError: some are infinite or no numbers.
        """
        if np.isfinite(vectors).all():
            return vectors
        fix = "use precision bf16 or fp32, and check the weights"
        raise InputError(f"{self.name} gives vectors that are no numbers\n    fix: {fix}")


class EncoderConfig(BaseModel):
    """Which encoder, and how it is run. Two stages that are to be compared need the same one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    encoder: Literal["conse", "open_clip"] = Field(
        "conse",
        description="kind of encoder: open_clip for CLIP models; conse, which is no CLIP, for "
        "English texts where no model can be downloaded",
    )
    model: str | None = Field(
        None,
        description="of open_clip: a name that it knows, hf-hub:OWNER/NAME, or a folder with "
        "open_clip_config.json and weights",
    )
    pretrained: str | None = Field(
        None, description="of a model known by name: a tag of its weights, or a checkpoint's path"
    )
    revision: str | None = Field(
        None,
        pattern="^[0-9a-f]{40}$",
        description="of hf-hub: the commit to take, 40 hexadecimal digits",
    )
    precision: Literal["auto", "fp32", "fp16", "bf16"] = Field(
        "auto", description="what the model computes in; auto is fp16 on a GPU and fp32 on a CPU"
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="where the model runs; auto is the GPU where there is one"
    )
    batch_size: int | None = Field(
        None,
        ge=1,
        le=4096,
        description="images of one pass, by default 64 on a GPU and 4 on a CPU; texts are four "
        "times as many",
    )

    undeciding: ClassVar[frozenset[str]] = frozenset({"device", "batch_size"})
    """Fields on which values depend in no more than a float16's last digit."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        own = {"model": self.model, "pretrained": self.pretrained, "revision": self.revision}
        if self.encoder == "conse":
            for name, value in own.items():
                if value is not None:
                    raise ValueError(f"'{name}' is for encoder: open_clip; conse has one model")
        elif self.model is None:
            raise ValueError(
                "'model' is missing, e.g. model: ViT-L-14-quickgelu, pretrained: openai"
            )
        elif self.revision is not None and not self.model.startswith("hf-hub:"):
            raise ValueError("'revision' is for a model named hf-hub:OWNER/NAME")
        elif self._by_name and self.pretrained is None:
            raise ValueError(
                "'pretrained' is missing: a tag of the weights, or a checkpoint's path"
            )
        elif not self._by_name and self.pretrained is not None:
            raise ValueError("'pretrained' is for models known by name; this one has its weights")
        return self

    @property
    def _by_name(self) -> bool:
        """Whether the model is one that open_clip knows, and its weights are named apart."""
        assert self.model is not None
        return not self.model.startswith("hf-hub:") and not Path(self.model).expanduser().is_dir()

    def weights(self) -> dict[str, str]:
        """What decides the values besides the config: digests of weights, versions of libraries.

        Raises:
            InputError: weights or libraries are missing.
        """
        if self.encoder == "conse":
            from operators import conse

            return conse.weights()
        from operators import open_clip_encoder

        return open_clip_encoder.weights(self)

    def row_count(self, device: str) -> int:
        """Images of one pass on that device."""
        return self.batch_size or _ROWS[device]


def load(config: EncoderConfig) -> Encoder:
    """The encoder, one for all stages of a process that name the same.

    Raises:
        InputError: weights or libraries are missing, or not what they should be.
    """
    own = {name: getattr(config, name) for name in EncoderConfig.model_fields}
    return _loaded(EncoderConfig(**own), tuple(config.weights().items()))


@lru_cache(maxsize=2)
def _loaded(config: EncoderConfig, weights: tuple[tuple[str, str], ...]) -> Encoder:
    if config.encoder == "conse":
        from operators.conse import Conse

        return Conse(config)
    from operators.open_clip_encoder import OpenClip

    return OpenClip(config, dict(weights))


def version(library: str, extra: str) -> str:
    """The version of an installed distribution.

    Raises:
        InputError: it is not installed; the fix names the extra that installs it.
    """
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        fix = f"pip install 'omniloom[{extra}]'"
        raise InputError(f"{library} is not installed\n    fix: {fix}") from None


def decode_image(data: bytes, side: int, *, reduced: bool) -> Image.Image:
    """The first picture of a file as RGB, turned as EXIF says, on white where it is transparent.

    Args:
        data: The file.
        side: Pixels of the shorter side that will be looked at.
        reduced: Decode a JPEG much larger than that at a half, a quarter or an eighth of its size,
            but at no less than twice `side`.

    Raises:
        ImageError: it gives no picture.
    """
    return on_white(decoded(data, side=_REDUCED * side if reduced else None).image)


def squared(image: Image.Image, side: int) -> Pixels:
    """The image's middle, as large as it may be, as a square of `side` pixels; (side, side, 3)."""
    fitted = ImageOps.fit(image, (side, side), Image.Resampling.BICUBIC)
    return np.asarray(fitted)


def default_threads() -> int:
    """CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
