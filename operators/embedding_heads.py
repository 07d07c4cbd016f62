"""Heads: small networks that score an image by its embedding, read from a file of the user's.

A head is one linear layer, or several with a function between them, as LAION's predictors of
aesthetics are (Schuhmann et al. 2022, "LAION-5B", section 3.3): its weights are (outputs, inputs)
as torch keeps them. Heads expect the unit vectors of the encoder that they were trained on.
"""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from operators.files import content_digest
from operators.forward import library
from schemas.errors import InputError

Doubles = npt.NDArray[np.float64]
_EXTRA = "clip"
_LAYER = re.compile(r"(?:(?P<place>.*)\.)?(?P<part>weight|bias)")


class Head(BaseModel):
    """A file with the layers of a head."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field(
        min_length=1,
        description=".npz or .safetensors with weight and bias, or N.weight and N.bias of each "
        "layer in order; relative to the folder where omniloom runs",
    )
    between: Literal["identity", "relu"] = Field(
        "identity", description="what is applied between layers"
    )

    @property
    def place(self) -> Path:
        """Where the file is.

        Raises:
            InputError: there is none.
        """
        place = Path(self.path).expanduser()
        if place.is_file():
            return place
        fix = "check it; it is relative to the folder where omniloom runs"
        raise InputError(f"path = '{self.path}': no such file\n    fix: {fix}")

    def digest(self) -> str:
        """SHA-256 of the file.

        Raises:
            InputError: there is none.
        """
        return content_digest(self.place)

    def load(self) -> LoadedHead:
        """The layers in memory.

        Raises:
            InputError: the file is missing, or not a head.
        """
        return LoadedHead(self)


class LoadedHead:
    """Layers in memory."""

    def __init__(self, head: Head) -> None:
        self._path = head.path
        self._relu = head.between == "relu"
        self._layers = _layers(head.path, _arrays(head.place, head.path))

    @property
    def inputs(self) -> int:
        """Numbers of the vectors that it scores."""
        return int(self._layers[0][0].shape[1])

    def scores(self, vectors: Doubles) -> Doubles:
        """Its output for each vector; (N, inputs) to (N,).

        Raises:
            InputError: the vectors are of another length.
        """
        if vectors.shape[1] != self.inputs:
            raise InputError(
                f"path = '{self._path}': the head is for vectors of {self.inputs} numbers, these "
                f"have {vectors.shape[1]}\n    fix: name the head of the stage's encoder"
            )
        values = vectors
        for number, (weight, bias) in enumerate(self._layers):
            if number and self._relu:
                values = np.maximum(values, 0)
            values = values @ weight.T + bias
        return values[:, 0]


def _arrays(place: Path, path: str) -> dict[str, Doubles]:
    if place.suffix not in (".npz", ".safetensors"):
        raise _not_a_head(path, "its name ends neither in .npz nor in .safetensors")
    try:
        if place.suffix == ".npz":
            with np.load(place, allow_pickle=False) as file:
                found: dict[str, Any] = dict(file)
        else:
            found = library("safetensors.numpy", _EXTRA).load_file(place)
        return {name: array.astype(np.float64) for name, array in found.items()}
    except InputError:
        raise
    except Exception:  # noqa: BLE001  # each format has errors of its own
        raise _not_a_head(path, f"cannot be read as {place.suffix}") from None


def _layers(path: str, arrays: dict[str, Doubles]) -> list[tuple[Doubles, Doubles]]:
    """Weight and bias of each layer, in the order of the numbers in their names."""
    parts: dict[str, dict[str, Doubles]] = {}
    for name, array in arrays.items():
        match = _LAYER.fullmatch(name)
        if match is None:
            raise _not_a_head(path, f"it holds '{name}', which is no weight and no bias")
        parts.setdefault(match["place"] or "", {})[match["part"]] = array
    places = sorted(parts, key=lambda place: [int(n) for n in re.findall(r"\d+", place)])
    layers = []
    for place in places:
        layer = parts[place]
        if "weight" not in layer or layer["weight"].ndim != 2:
            name = f"{place}.weight".lstrip(".")
            raise _not_a_head(path, f"there is no '{name}' of two dimensions")
        weight = layer["weight"]
        layers.append((weight, layer.get("bias", np.zeros(len(weight)))))
    fit = all(bias.shape == (len(weight),) for weight, bias in layers)
    for (before, _), (after, _) in pairwise(layers):
        fit = fit and after.shape[1] == len(before)
    if not layers or not fit or len(layers[-1][0]) != 1:
        raise _not_a_head(path, "its layers do not fit together to one output")
    return layers


def _not_a_head(path: str, message: str) -> InputError:
    fix = "save weight (outputs, inputs) and bias of each layer; the last has one output"
    return InputError(f"path = '{path}': not a head: {message}\n    fix: {fix}")
