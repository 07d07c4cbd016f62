"""Which blocks and images of a page are its main content: the trained model and its decision.

Two stages of boosted trees judge each block; the second knows what the first thought of the blocks
around it. The page keeps the blocks from the probability on at which expected F1 is highest. A
third, small ensemble judges images, knowing which blocks are kept. docs/extraction.md tells how it
was trained and what each part is worth; jobs/models/train_extraction.py trains it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from operators.block_features import (
    BlockFeatures,
    Floats,
    KeyScores,
    Lexicon,
    add_context_features,
    add_lexicon_features,
    best_cut,
    key_scores,
)
from operators.page_images import PageImage, image_features
from operators.trees import ObliviousTrees

Favor = Literal["precision", "balance", "recall"]
# Odds by which a block must be likelier, or may be less likely, than where expected F1 peaks.
_ODDS = {"precision": 2.0, "balance": 1.0, "recall": 0.5}
IMAGE_CUT = 0.35
MODEL = Path(__file__).parent / "models" / "extraction.npz"


@dataclass(frozen=True)
class Judgement:
    """What is kept of a page's blocks.

    Attributes:
        probability: of each block to be main content; (N,).
        cut: the probability at which expected F1 is highest.
        kept: the blocks to keep; (N,) bool.
        keys: scores of the containers' classes.
    """

    probability: Floats
    cut: float
    kept: npt.NDArray[np.bool_]
    keys: KeyScores


@dataclass(frozen=True)
class ContentModel:
    """The trained model; `load` gives the one that omniloom ships."""

    lexicon: Lexicon
    first: ObliviousTrees
    second: ObliviousTrees
    images: ObliviousTrees

    def judge(self, page: BlockFeatures, favor: Favor = "balance") -> Judgement:
        """Judge the blocks of a page, at least one."""
        keys = key_scores(page, self.lexicon)
        table = page.table.branch()
        add_lexicon_features(table, page, keys)
        first = self.first.probabilities(table.filled())
        add_context_features(table, page, first)
        probability = self.second.probabilities(table.filled())
        cut, _ = best_cut(probability, page.weight)
        kept = probability >= _shifted(cut, _ODDS[favor])
        return Judgement(probability, cut, kept, keys)

    def judge_images(
        self, page: BlockFeatures, judgement: Judgement, images: list[PageImage]
    ) -> Floats:
        """The probability of each image to belong to the main content; (M,)."""
        if not images:
            return np.zeros(0, np.float32)
        table = image_features(page, judgement.probability, judgement.cut, judgement.keys, images)
        return self.images.probabilities(table.filled())


def _shifted(cut: float, odds: float) -> float:
    """The probability with `odds` times the odds of `cut`."""
    return cut * odds / (1 - cut + cut * odds)


@cache
def load() -> ContentModel:
    """The model that omniloom ships, read once a process."""
    with np.load(MODEL, allow_pickle=False) as stored:
        words, scores = stored["key_words"].tolist(), stored["key_scores"].tolist()
        lexicon = Lexicon(dict(zip(words, scores, strict=True)))
        stages = [
            ObliviousTrees.from_arrays(stored, name) for name in ("first", "second", "images")
        ]
    return ContentModel(lexicon, *stages)
