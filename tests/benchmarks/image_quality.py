"""How well near-duplicate images are found, beside a peer.

`python -m tests.benchmarks.image_quality PAIRS.tsv FOLDER [PHOTOS]` prints tables and draws
docs/image-hashes.svg. The pairs' columns are `a`, `b` (files below the folder) and `relation`:
'dup', 'dup-transform' (mirrored or turned) or 'distinct'. PHOTOS is a folder of photos that are
unlike each other: each is compared with changed copies of itself, and with all others. The peer is
the pHash of imagededup; where it is not installed, it is left out.
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from operators.image_dedup import NearImageDuplicates
from operators.pixels import dhash, phash
from tests.benchmarks.minhash_quality import Curve, Panel, drawn, say
from tests.support import ROOT

CHART = ROOT / "docs" / "image-hashes.svg"
OWN, OWN_PHASH, PEER = "pHash + dHash", "pHash", "imagededup pHash"
_BITS = {OWN: 128, OWN_PHASH: 64, PEER: 64}
_CHOSEN = {OWN: NearImageDuplicates().max_distance, OWN_PHASH: 10, PEER: 10}
_STEPS = range(0, 25, 2)  # thresholds of 64 bits, and twice as many of 128
_CHANGED = 400  # photos
Hashes = dict[str, tuple[int, ...]]
Distances = npt.NDArray[np.int64]
Change = Callable[[Image.Image], Image.Image]


def main() -> None:
    """Measure, print, draw."""
    pairs, folder = Path(sys.argv[1]), Path(sys.argv[2])
    panels = _gold(pairs, folder)
    if len(sys.argv) > 3:
        photos = [Image.open(p).convert("RGB") for p in sorted(Path(sys.argv[3]).rglob("*.jp*g"))]
        panels.append(_changed(photos[:_CHANGED]))
        _unrelated(photos)
    CHART.write_text(drawn(panels, list(panels[0].curves)), "utf-8")
    say(f"\n{CHART}")


def hashes(image: Image.Image) -> Hashes:
    """What each method makes of a picture."""
    grey = np.asarray(image.convert("L"))
    own = phash(grey), dhash(grey)
    found: Hashes = {OWN: own, OWN_PHASH: own[:1]}
    if _PEER is not None:
        found[PEER] = (int(_PEER.encode_image(image_array=np.asarray(image.convert("RGB"))), 16),)
    return found


def _peer() -> Any:
    try:
        return import_module("imagededup.methods").PHash(verbose=False)
    except ImportError:
        say(f"{PEER}: not installed")
        return None


_PEER = _peer()


def distances(one: Hashes, other: Hashes) -> dict[str, int]:
    """Bits in which two pictures differ by each method."""
    return {
        name: sum((a ^ b).bit_count() for a, b in zip(one[name], other[name], strict=True))
        for name in one
    }


# --- Gold pairs ----------------------------------------------------------------------------------


def _gold(pairs: Path, folder: Path) -> list[Panel]:
    """Recall and precision of the pairs at each threshold."""
    with pairs.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    known = {row[end]: hashes(Image.open(folder / row[end])) for row in rows for end in "ab"}
    found = [distances(known[row["a"]], known[row["b"]]) for row in rows]
    relations = np.array([row["relation"] for row in rows])
    same = relations == "dup"
    say(f"{same.sum()} duplicates, {(relations == 'dup-transform').sum()} mirrored or turned, ")
    say(f"{(relations == 'distinct').sum()} distinct pairs: recall of duplicates / precision")
    recall: dict[str, Curve] = {}
    precision: dict[str, Curve] = {}
    for name in found[0]:
        bits = np.array([row[name] for row in found])
        recall[name], precision[name] = [], []
        for step in _STEPS:
            taken = bits <= step * _BITS[name] // 64
            share = step / 64
            recall[name].append((share, float(taken[same].mean())))
            right = taken & (relations != "distinct")
            precision[name].append((share, float(right.sum() / taken.sum()) if taken.any() else 1))
        for relation in ("dup", "dup-transform", "distinct"):
            kind = bits[relations == relation]
            say(f"{name}: {relation} differ in {kind.min()} to {kind.max()} bits")
    _table("bits of 64", _STEPS, recall, precision)
    ticks = (0, 0.1, 0.2, 0.3, _STEPS[-1] / 64)
    across = "threshold, share of bits"
    return [
        Panel("Gold pairs: recall", across, "recall", recall, ticks=ticks),
        Panel("Gold pairs: precision", across, "precision", precision, ticks=ticks),
    ]


def _table(first: str, steps: Sequence[int], *curves: dict[str, Curve]) -> None:
    say(f"| {first} | " + " | ".join(curves[0]) + " |")
    say("|---" * (len(curves[0]) + 1) + "|")
    for place, step in enumerate(steps):
        points = ([curve[name][place][1] for curve in curves] for name in curves[0])
        cells = (" / ".join(f"{round(share, 3):g}" for share in shares) for shares in points)
        say(f"| {step} | " + " | ".join(cells) + " |")


# --- Photos --------------------------------------------------------------------------------------


def _as_jpeg(quality: int) -> Change:
    def change(image: Image.Image) -> Image.Image:
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=quality)
        return Image.open(stream)

    return change


def _resized(across: float, down: float) -> Change:
    return lambda image: image.resize((round(image.width * across), round(image.height * down)))


def _cropped(share: float) -> Change:
    def change(image: Image.Image) -> Image.Image:
        x, y = round(image.width * share), round(image.height * share)
        return image.crop((x, y, image.width - x, image.height - y))

    return change


def _bordered(image: Image.Image) -> Image.Image:
    edge = image.width // 28
    canvas = Image.new("RGB", (image.width + 2 * edge, image.height + 2 * edge), "white")
    canvas.paste(image, (edge, edge))
    return canvas


def _signed(image: Image.Image) -> Image.Image:
    signed = image.copy()
    place = (image.width * 0.55, image.height * 0.85)
    ImageDraw.Draw(signed).text(place, "PHOTO AGENCY", fill="white", font_size=image.width // 14)
    return signed


CHANGES: dict[str, Change] = {
    "JPEG of quality 30": _as_jpeg(30),
    "JPEG of quality 10": _as_jpeg(10),
    "half as large": _resized(0.5, 0.5),
    "a third as large": _resized(0.33, 0.33),
    "a fifth lower": _resized(1, 0.8),
    "grey": lambda image: image.convert("L"),
    "brighter by 30 %": lambda image: ImageEnhance.Brightness(image).enhance(1.3),
    "more contrast, 40 %": lambda image: ImageEnhance.Contrast(image).enhance(1.4),
    "blurred by 2 pixels": lambda image: image.filter(ImageFilter.GaussianBlur(2)),
    "an agency's name on it": _signed,
    "2 % cut off each side": _cropped(0.02),
    "5 % cut off each side": _cropped(0.05),
    "a white border": _bordered,
}


def _changed(photos: Sequence[Image.Image]) -> Panel:
    """Changed photos found at each threshold; and of each change at the chosen ones."""
    whole = [hashes(photo) for photo in photos]
    say(f"\n{len(photos)} photos, each changed; share found")
    names = list(whole[0])
    say("| change | " + " | ".join(f"{name}, {_CHOSEN[name]} bits" for name in names) + " |")
    say("|---" * (len(names) + 1) + "|")
    everything: dict[str, list[Distances]] = {name: [] for name in names}
    for label, change in CHANGES.items():
        found = [distances(hashes(change(p)), h) for p, h in zip(photos, whole, strict=True)]
        cells = []
        for name in names:
            bits = np.array([row[name] for row in found])
            everything[name].append(bits)
            cells.append(f"{(bits <= _CHOSEN[name]).mean():.3f}")
        say(f"| {label} | " + " | ".join(cells) + " |")
    curves: dict[str, Curve] = {}
    for name, parts in everything.items():
        bits = np.concatenate(parts)
        limits = [(step / 64, step * _BITS[name] // 64) for step in _STEPS]
        curves[name] = [(share, float((bits <= limit).mean())) for share, limit in limits]
    ticks = (0, 0.1, 0.2, 0.3, _STEPS[-1] / 64)
    across = "threshold, share of bits"
    return Panel("Changed photos: recall", across, "recall", curves, ticks=ticks)


def _unrelated(photos: Sequence[Image.Image]) -> None:
    """How many of all pairs of photos are taken for duplicates."""
    found = [hashes(photo) for photo in photos]
    count = len(found) * (len(found) - 1) // 2
    counts: dict[str, Distances] = {name: np.zeros(129, np.int64) for name in found[0]}
    for name, total in counts.items():
        codes = np.array([row[name] for row in found], np.uint64)
        for place in range(len(codes)):
            bits = np.bitwise_count(codes[place + 1 :] ^ codes[place]).sum(axis=1, dtype=np.int64)
            total += np.bincount(bits, minlength=129)
    say(f"\n{count} pairs of photos unlike each other: taken for duplicates")
    curves = {
        name: [(step / 64, float(total[: step * _BITS[name] // 64 + 1].sum())) for step in _STEPS]
        for name, total in counts.items()
    }
    _table("bits of 64", _STEPS, curves)
    for name, total in counts.items():
        say(f"{name}, {_CHOSEN[name]} bits: {total[: _CHOSEN[name] + 1].sum()}")


if __name__ == "__main__":
    main()
