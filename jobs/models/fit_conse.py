"""Make operators/models/conse_classes.npz: sentence vectors of ImageNet's classes.

usage: python jobs/models/fit_conse.py [--out FILE]

Needs `pip install 'omniloom[clip,conse]'`. Each class is described twice: as "a photo of a NAME",
with open_clip's names, and by its lemmas and definition in WordNet, which timm has. The sentence
encoder is the one that `operators.conse` uses. Saved are the mean of the two unit vectors as a unit
vector, less the mean of all classes, as float16; and that mean. Nothing is fitted to any image.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from operators.conse import CLASSES, SentenceEncoder
from operators.forward import Floats, library, unit


def descriptions() -> tuple[list[str], list[str]]:
    """For each class of ImageNet, in its order: a caption, and lemmas with a definition."""
    names = library("open_clip.zero_shot_metadata", "clip").IMAGENET_CLASSNAMES
    info = library("timm.data", "clip").ImageNetInfo()
    captions = [f"a photo of a {name}" for name in names]
    definitions = [info.index_to_description(at, detailed=True) for at in range(len(names))]
    return captions, definitions


def class_vectors(sentences: SentenceEncoder) -> Floats:
    """The unit vector of each class, not yet centred; (1000, 384)."""
    captions, definitions = descriptions()
    return unit(sentences.vectors(captions) + sentences.vectors(definitions))


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=CLASSES)
    out = parser.parse_args().out
    vectors = class_vectors(SentenceEncoder("cpu", 64))
    centre = vectors.mean(axis=0)
    np.savez_compressed(out, classes=(vectors - centre).astype(np.float16), centre=centre)


if __name__ == "__main__":
    main()
