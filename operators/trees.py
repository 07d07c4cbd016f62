"""Gradient-boosted oblivious trees, evaluated for many rows at once.

An oblivious tree (Prokhorenkova et al. 2018, CatBoost, NeurIPS) asks the same question at every
node of a level, so a row's leaf is a binary number of `depth` comparisons: no branching, and a
whole ensemble is a handful of array operations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

_ROWS = 256  # at once, so that what is in hand stays in the processor's cache
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ObliviousTrees:
    """An ensemble of T trees of depth D.

    Attributes:
        feature: column of the matrix that each level compares; (T, D).
        threshold: a row goes to the upper half where its value is greater; (T, D).
        leaves: value of each leaf, by its binary number, first level lowest; (T, 2**D).
        bias: added to the sum of the leaves.
    """

    feature: npt.NDArray[np.int16]
    threshold: Floats
    leaves: Floats
    bias: float

    def logits(self, rows: Floats) -> Floats:
        """The sum over trees for each row of the (N, F) matrix; (N,)."""
        sums = [self._logits(rows[at : at + _ROWS]) for at in range(0, len(rows), _ROWS)]
        return np.concatenate(sums) if sums else np.zeros(0, np.float32)

    def _logits(self, rows: Floats) -> Floats:
        trees, depth = self.feature.shape
        columns = np.ascontiguousarray(rows.T)
        leaf = np.zeros((trees, len(rows)), np.uint8)
        for level in range(depth):
            above = columns[self.feature[:, level]] > self.threshold[:, level, None]
            leaf |= above.view(np.uint8) << np.uint8(level)
        offsets = np.arange(trees, dtype=np.int32)[:, None] << depth
        values: Floats = self.leaves.ravel()[leaf + offsets].sum(axis=0, dtype=np.float32)
        return values + np.float32(self.bias)

    def probabilities(self, rows: Floats) -> Floats:
        """The logistic function of `logits`; (N,)."""
        return np.float32(1) / (np.float32(1) + np.exp(-self.logits(rows)))

    @classmethod
    def from_arrays(cls, arrays: Any, prefix: str) -> ObliviousTrees:
        """The ensemble stored in an opened .npz under names that start with `prefix`."""
        return cls(
            arrays[f"{prefix}_feature"],
            arrays[f"{prefix}_threshold"],
            arrays[f"{prefix}_leaves"].astype(np.float32),
            float(arrays[f"{prefix}_bias"]),
        )
