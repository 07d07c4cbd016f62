"""Loops over numbers, compiled to machine code by numba when they are first called.

numba is imported and a loop compiled (about a second) on its first call only. The machine code is
kept beside the source, or in the user's cache where that folder is read-only, so the next process
loads it in some milliseconds; where neither can be written, each process compiles for itself.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def compiled(loop: Callable[P, R]) -> Callable[P, R]:
    """The loop, compiled for the types that it is first called with.

    It takes arrays, numbers and tuples of numbers, holds no state, and gives the answer of the
    Python that it is written in, which is to be had as `__wrapped__`.
    """

    @cache
    def machine_code() -> Callable[P, R]:
        import numba

        try:
            built: Callable[P, R] = numba.njit(cache=True, nogil=True)(loop)
        except RuntimeError:  # no folder to keep it in
            built = numba.njit(nogil=True)(loop)
        return built

    @wraps(loop)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        return machine_code()(*args, **kwargs)

    return call
