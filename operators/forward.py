"""What runs a torch model here: imports that say what to install, devices, passes of one shape.

No module of ours imports torch when it is imported itself; `library` does it when a model loads.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.errors import InputError

Floats = npt.NDArray[np.float32]
Array = npt.NDArray[Any]
_TORCHVISION_OPERATORS = ("nms", "qnms")


def library(name: str, extra: str) -> ModuleType:
    """The module called `name`.

    Raises:
        InputError: it cannot be imported; the fix names the extra that installs it.
    """
    try:
        if name != "torch":
            complete_torchvision()
        return importlib.import_module(name)
    except ImportError as error:
        fix = f"pip install 'omniloom[{extra}]'"
        message = f"the Python package '{error.name or name}' cannot be imported: {error}"
        raise InputError(f"{message}\n    fix: {fix}") from None


@cache
def complete_torchvision() -> Any:
    """Make torchvision importable beside a torch that its compiled part was not built for.

    torchvision's wheel on PyPI is built for CUDA. Beside a torch for CPUs its compiled operators do
    not load, and `import torchvision`, which open_clip and transformers do by themselves, ends in
    "operator torchvision::nms does not exist". Nothing here calls those operators, so it is enough
    that their signatures are there. They are defined only where torchvision's own are not.

    Returns:
        What keeps the definitions alive, or None where none were needed.
    """
    try:
        importlib.import_module("torchvision")
    except ImportError:
        return None  # not installed
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
    else:
        return None
    torch: Any = importlib.import_module("torch")
    definitions = torch.library.Library("torchvision", "DEF")
    for name in _TORCHVISION_OPERATORS:
        arguments = "(Tensor dets, Tensor scores, float iou_threshold)"
        definitions.define(f"{name}{arguments} -> Tensor")
    importlib.import_module("torchvision")
    return definitions


def chosen_device(device: str) -> str:
    """`cuda` or `cpu`; `auto` is the GPU where torch finds one.

    Raises:
        InputError: a GPU is asked for and there is none.
    """
    import torch

    there = torch.cuda.is_available()
    if device == "cuda" and not there:
        raise InputError("device = 'cuda': torch finds no GPU\n    fix: use 'auto' or 'cpu'")
    return "cuda" if there and device != "cpu" else "cpu"


def number_kind(precision: str, device: str) -> Any:
    """The torch type of `fp32`, `fp16` or `bf16`; `auto` is fp16 on a GPU and fp32 on a CPU."""
    import torch

    if precision == "auto":
        precision = "fp16" if device == "cuda" else "fp32"
    return {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[precision]


def unit(vectors: Array) -> Array:
    """The vectors with length 1; one of zeros stays as it is."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    found: Array = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return found


def filled(rows: Array, count: int) -> Array:
    """`rows` with its last row repeated until there are `count`.

    A pass of another shape may be computed in another order and differ in its last digits, so every
    pass has the same shape: then a row's answer does not depend on the rows beside it.
    """
    if len(rows) == count:
        return rows
    return np.concatenate([rows, np.repeat(rows[-1:], count - len(rows), axis=0)])


def in_passes(run: Callable[[Array], Floats], rows: Array, count: int) -> Floats:
    """The answers of `run` for all rows, asked for `count` rows at a time."""
    found = [
        run(filled(rows[at : at + count], count))[: len(rows) - at]
        for at in range(0, len(rows), count)
    ]
    return np.concatenate(found)


def groups_by_length(
    lengths: Sequence[int], steps: Sequence[int]
) -> Iterator[tuple[int, list[int]]]:
    """For each step that is some row's: the step, and the numbers of the rows that it just holds.

    Texts are padded to the next step, which depends on the text alone and not on its neighbours.
    """
    found: dict[int, list[int]] = {}
    for number, length in enumerate(lengths):
        step = next(step for step in steps if length <= step)
        found.setdefault(step, []).append(number)
    yield from sorted(found.items())
