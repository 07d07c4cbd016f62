"""Gradient-boosted oblivious trees, evaluated for many columns of a table at once.

An oblivious tree (Prokhorenkova et al. 2018, CatBoost, NeurIPS) asks the same question at every
node of a level, so the leaf is a binary number of `depth` comparisons: no branching, and the
columns go through each comparison side by side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from operators.compiled import compiled

Floats = npt.NDArray[np.float32]


@compiled
def _logits(
    table: Floats,
    feature: npt.NDArray[np.int16],
    threshold: Floats,
    leaves: Floats,
    bias: np.float32,
) -> Floats:
    trees, depth = feature.shape
    size = table.shape[1]
    sums = np.full(size, bias, np.float32)
    leaf = np.empty(size, np.uint8)
    for tree in range(trees):
        leaf[:] = 0
        for level in range(depth):
            values = table[feature[tree, level]]
            border = threshold[tree, level]
            for column in range(size):
                leaf[column] |= np.uint8(values[column] > border) << np.uint8(level)
        values = leaves[tree]
        for column in range(size):
            sums[column] += values[leaf[column]]
    return sums


@dataclass(frozen=True)
class ObliviousTrees:
    """An ensemble of T trees of depth D.

    Attributes:
        feature: row of the table that each level compares; (T, D).
        threshold: the upper half is taken where the value is greater; (T, D).
        leaves: value of each leaf, by its binary number, first level lowest; (T, 2**D).
        bias: added to the sum of the leaves.
    """

    feature: npt.NDArray[np.int16]
    threshold: Floats
    leaves: Floats
    bias: float

    def logits(self, table: Floats) -> Floats:
        """The sum over trees for each column of the (F, N) table; (N,)."""
        return _logits(table, self.feature, self.threshold, self.leaves, np.float32(self.bias))

    def probabilities(self, table: Floats) -> Floats:
        """The logistic function of `logits`; (N,)."""
        return np.float32(1) / (np.float32(1) + np.exp(-self.logits(table)))

    @classmethod
    def from_arrays(cls, arrays: Any, prefix: str) -> ObliviousTrees:
        """The ensemble stored in an opened .npz under names that start with `prefix`."""
        return cls(
            arrays[f"{prefix}_feature"],
            arrays[f"{prefix}_threshold"],
            arrays[f"{prefix}_leaves"].astype(np.float32),
            float(arrays[f"{prefix}_bias"]),
        )
