"""How well an encoder tells photos' captions: `python -m tests.benchmarks.clip_quality DIR`.

DIR has `match_pairs.tsv` with the columns image, caption and label (match or no-match), and
`captions.tsv` with image and caption, several a photo. Printed are, for each half of the photos (by
a hash of their names): ROC-AUC of the cosine over the pairs; and the share of photos that have one
of their captions among the first 1 and 5 of the half's captions, and of captions that have their
photo among the first. Choices of `operators.conse` were made on half 0.

With --plain, ConSE as in its paper beside the one that omniloom has. With --model and --pretrained,
a model of open_clip.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from operators.clip import EmbedImages
from operators.conse import Conse
from operators.encoders import Encoder, load
from operators.forward import Floats, filled, library, unit
from schemas import columns

_LIKELIEST = 10  # classes that ConSE's paper takes
_FIRST = (1, 5)


def roc_auc(scores: Floats, matches: npt.NDArray[np.bool_]) -> float:
    """The chance that a matching pair scores higher than another; equal scores count half."""
    _, number, count = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[number]
    right, wrong = int(matches.sum()), int((~matches).sum())
    return float((ranks[matches].sum() - right * (right + 1) / 2) / (right * wrong))


def recalls(images: Floats, texts: Floats, owner: npt.NDArray[np.int64]) -> list[float]:
    """Recall of texts by images, then of images by texts, at each of `_FIRST`.

    Args:
        images: Unit vectors; (I, D).
        texts: Unit vectors; (T, D).
        owner: The image of each text; (T,).
    """
    cosines = images @ texts.T
    own = owner == np.arange(len(images))[:, None]
    best = np.where(own, cosines, -2).max(axis=1, keepdims=True)
    before_text = (np.where(own, -2, cosines) > best).sum(axis=1)
    before_image = (cosines > cosines[owner, np.arange(len(texts))]).sum(axis=0)
    return [float((before < n).mean()) for before in (before_text, before_image) for n in _FIRST]


def plain_vectors(encoder: Conse, photos: list[Path], texts: list[str]) -> tuple[Floats, Floats]:
    """Vectors as in the paper: the ten likeliest classes, each described as 'a photo of a NAME'."""
    names = library("open_clip.zero_shot_metadata", "clip").IMAGENET_CLASSNAMES
    classes = encoder.sentences.vectors([f"a photo of a {name}" for name in names])
    chances = []
    for at in range(0, len(photos), encoder.rows):
        pictures = [_picture(photo, encoder) for photo in photos[at : at + encoder.rows]]
        tensor = encoder.classifier.tensor(filled(np.stack(pictures), encoder.rows))
        found = encoder.classifier.logits(tensor).softmax(dim=1).cpu().numpy()
        chances.append(found[: len(pictures)])
    chance = np.concatenate(chances)
    least = np.sort(chance, axis=1)[:, -_LIKELIEST, None]
    images = unit(np.where(chance >= least, chance, 0) @ classes)
    return images, encoder.sentences.vectors(texts)


def _picture(photo: Path, encoder: Encoder) -> Any:
    from operators.encoders import decode_image

    return encoder.pixels(decode_image(photo.read_bytes(), encoder.side, reduced=True))


def image_vectors(operator: EmbedImages, photos: list[Path]) -> Floats:
    """What the operator makes of the photos."""
    data = pa.array([photo.read_bytes() for photo in photos], pa.large_binary())
    batch = pa.Table.from_arrays([data], schema=columns.schema("image_data"))
    found = operator.measure(batch, operator.setup())["clip_embedding"].combine_chunks()
    flat: Floats = found.flatten().to_numpy(zero_copy_only=False).astype(np.float32)
    return unit(flat.reshape(len(photos), -1))


def main() -> int:
    """Print the figures of a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--pretrained")
    parser.add_argument("--plain", action="store_true")
    options = parser.parse_args()
    pairs, captions = (_rows(options.folder / f"{n}.tsv") for n in ("match_pairs", "captions"))
    names = sorted({row["image"] for row in (*pairs, *captions)})
    texts = sorted({row["caption"] for row in (*pairs, *captions)})
    photos = [options.folder / name for name in names]
    config: dict[str, Any] = {}
    if options.model:
        config = {"encoder": "open_clip"}
        config |= {"model": options.model, "pretrained": options.pretrained}
    operator = EmbedImages(**config)
    encoder = load(operator)
    sides = {encoder.name: (image_vectors(operator, photos), encoder.embed_texts(texts))}
    if options.plain and isinstance(encoder, Conse):
        sides["ConSE as in its paper"] = plain_vectors(encoder, photos, texts)
    table = Table("encoder", "half", "photos", "pairs", "ROC-AUC", box=None)
    for title in (*(f"text@{n}" for n in _FIRST), *(f"image@{n}" for n in _FIRST)):
        table.add_column(title, justify="right")
    for side, vectors in sides.items():
        for row in _figures(names, texts, pairs, captions, *vectors):
            table.add_row(side, *row)
    Console(width=120).print(table)
    return 0


def _figures(
    names: list[str],
    texts: list[str],
    pairs: list[dict[str, str]],
    captions: list[dict[str, str]],
    images: Floats,
    described: Floats,
) -> Iterator[list[str]]:
    """A row of figures for each half."""
    image_at = {name: at for at, name in enumerate(names)}
    text_at = {text: at for at, text in enumerate(texts)}
    for half in (0, 1):
        mine = [row for row in pairs if _half(row["image"]) == half]
        left = images[[image_at[row["image"]] for row in mine]]
        right = described[[text_at[row["caption"]] for row in mine]]
        matches = np.array([row["label"] == "match" for row in mine])
        chosen = [name for name in names if _half(name) == half]
        place = {name: at for at, name in enumerate(chosen)}
        own = [row for row in captions if row["image"] in place]
        owner = np.array([place[row["image"]] for row in own])
        found = recalls(
            images[[image_at[name] for name in chosen]],
            described[[text_at[row["caption"]] for row in own]],
            owner,
        )
        auc = roc_auc((left * right).sum(axis=1), matches)
        yield [str(half), str(len(chosen)), str(len(mine)), *(f"{v:.3f}" for v in (auc, *found))]


def _half(name: str) -> int:
    return int(hashlib.sha256(name.encode()).hexdigest(), 16) % 2


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))


if __name__ == "__main__":
    sys.exit(main())
