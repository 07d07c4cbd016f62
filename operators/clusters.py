"""Groups of documents from pairs of them: connected components by union-find."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from operators.compiled import compiled

Ids = TypeVar("Ids", bound=np.generic)
Integers = npt.NDArray[np.int64]


def connected_components(
    left: npt.NDArray[Ids], right: npt.NDArray[Ids]
) -> tuple[npt.NDArray[Ids], npt.NDArray[Ids]]:
    """The least id of the component that each id belongs to.

    `left` and `right` hold the ends of the pairs, (P,) each and of one type. The answer does not
    depend on order, direction or repetition of pairs. Given as pairs, the answers of parts join to
    that of the whole.

    Returns:
        The distinct ids, sorted, (M,), and the least id in the component of each, (M,).

    Raises:
        ValueError: the ends differ in number or type, or are no 64-bit integers.
    """
    if left.shape != right.shape or left.ndim != 1 or left.dtype != right.dtype:
        raise ValueError(
            "the ends of pairs must be two arrays of one length and type, not "
            f"{left.dtype}{left.shape} and {right.dtype}{right.shape}"
        )
    if left.dtype not in (np.int64, np.uint64):
        raise ValueError(f"ids must be int64 or uint64, not {left.dtype}")
    ids, numbers = np.unique(np.concatenate([left, right]), return_inverse=True)
    roots = _roots(numbers[: len(left)], numbers[len(left) :], len(ids))
    return ids, ids[roots]


@compiled
def _roots(left: Integers, right: Integers, count: int) -> Integers:
    """The least number connected with each of the numbers below `count`.

    Source: Tarjan and van Leeuwen 1984, "Worst-case analysis of set union algorithms", union by
    number with path halving: a parent is never greater than its child.
    """
    parents = np.arange(count)
    for pair in range(len(left)):
        one, other = left[pair], right[pair]
        while parents[one] != one:
            parents[one] = parents[parents[one]]
            one = parents[one]
        while parents[other] != other:
            parents[other] = parents[parents[other]]
            other = parents[other]
        if one < other:
            parents[other] = one
        else:
            parents[one] = other
    for number in range(count):
        parents[number] = parents[parents[number]]  # parents come first and are done
    return parents
