"""Whose signatures can be measured beside the own ones. A peer that is not installed is left out.

Each takes whole texts and gives a row of values a text, any two of which agree as probably as the
texts' sets of shingles of five words are alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from operators.bands import Bands
from tests.planted import SHINGLE, shingles
from tests.planted import signatures as own_signatures

Signatures = npt.NDArray[Any]
Sign = Callable[[Sequence[str]], Signatures]

OWN = "omniloom"
_WORD = re.compile(r"\w+")


def signers(cut: Bands) -> tuple[dict[str, Sign], list[str]]:
    """Functions from texts to signatures of `cut.bands * cut.rows` values, the own one first.

    And the names of the peers that are not installed.
    """
    found: dict[str, Sign] = {OWN: own_signatures}
    missing = []
    for name, load in (("datatrove", _datatrove), ("datasketch", _datasketch)):
        try:
            found[name] = load(cut)
        except ImportError:
            missing.append(name)
    return found, missing


def _datatrove(cut: Bands) -> Sign:
    """datatrove's first deduplication step, without its files."""
    module = import_module("datatrove.pipeline.dedup.minhash")
    config = module.MinhashConfig(
        n_grams=SHINGLE, num_buckets=cut.bands, hashes_per_bucket=cut.rows
    )
    step = module.MinhashDedupSignature("memory://minhash", config)

    def sign(texts: Sequence[str]) -> Signatures:
        found = [step.get_signature(step.get_shingles(text)) for text in texts]
        return np.array(found, np.uint64).reshape(len(texts), cut.bands * cut.rows)

    return sign


def _datasketch(cut: Bands) -> Sign:
    """datasketch's signatures of runs of words in lower case: it does not cut texts itself."""
    kind = import_module("datasketch").MinHash

    def sign(texts: Sequence[str]) -> Signatures:
        runs = (
            [" ".join(run).encode() for run in shingles(_WORD.findall(text.lower()))]
            for text in texts
        )
        made = kind.bulk(runs, num_perm=cut.bands * cut.rows)
        return np.array([one.hashvalues for one in made])

    return sign
