"""Measures of images: images a CPU second beside the loop of Pillow, imagehash and scipy.

Pictures are JPEG mosaics of the bundled sample's photos, small ones of 224 pixels a side, as
training sets have them, and large ones of 1600 by 1000. With `PHOTOS=folder` in the environment the
JPEG files found below that folder take their place: small ones have at most 500 pixels a side,
large ones at least 1000. Both sides decode every picture whole and take the SHA-256 of its bytes;
their hashes must be equal. By turns, on one thread; the best of five rounds counts.
"""

from __future__ import annotations

import hashlib
import io
import os
import random
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import imagehash
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import scipy.ndimage
from PIL import Image

from operators.base import addressed
from operators.image_dedup import NearImageDuplicates
from operators.pixels import MeasureImages
from tests.benchmarks.record import Entry, Options
from tests.support import SAMPLE, bundled_images

_ROUNDS = 5
_SMALL, _LARGE = (224, 224), (1600, 1000)
_MOST = 1200  # files of a folder
Floats = npt.NDArray[np.float64]


def image_measures_small(options: Options) -> Entry:
    """How many times faster than the plain loop, on pictures of 224 pixels."""
    return _entry(_small(options.count(300, 10)), goal=2.0)


def image_measures_large(options: Options) -> Entry:
    """How many times faster than the plain loop, on pictures of 1 to 2 thousand pixels."""
    return _entry(_large(options.count(20, 2)), goal=2.0)


def image_near_duplicates(options: Options) -> Entry:
    """CPU microseconds an image: all pairs of 128-bit codes within 23 bits, none missed.

    Codes are drawn by chance; one in ten is another with ten bits changed.
    """
    count = options.count(300_000, 1000)
    chance = np.random.default_rng(1)
    codes = chance.integers(0, 2**64, (count, 2), np.uint64)
    copies, originals = chance.integers(0, count, (2, count // 10))
    codes[copies] = codes[originals]
    for _ in range(10):
        bits = np.uint64(1) << chance.integers(0, 64, len(copies)).astype(np.uint64)
        codes[copies, chance.integers(0, 2, len(copies))] ^= bits
    sides = pa.nulls(count, pa.int32())
    names = pa.array([f"http://images.example/{number}" for number in range(count)])
    columns = [names, pa.array(codes[:, 0]), pa.array(codes[:, 1]), sides, sides]
    rows = pa.Table.from_arrays(columns, schema=NearImageDuplicates.reads)
    operator = NearImageDuplicates()
    operator.measure(rows.slice(0, 10), None)
    started = time.process_time()
    records = addressed(operator.scatter(rows), 0)
    parts = records["key"].to_numpy() % np.uint64(operator.partitions)
    links = 0
    for part in range(operator.partitions):
        links += operator.gather(records.filter(pa.array(parts == part))).num_rows
    seconds = time.process_time() - started
    details = {"images": count, "records an image": records.num_rows // count, "links": links}
    return Entry(seconds / count * 1e6, "CPU µs/image", details=details)


def _entry(files: Sequence[bytes], goal: float) -> Entry:
    batch = pa.table({"image_data": pa.array(files, pa.large_binary())})
    operator = MeasureImages()
    operator.setup()
    own: list[float] = []
    peers: dict[str, list[float]] = {"scipy.ndimage.laplace": [], "Laplacian by slices": []}
    for _ in range(_ROUNDS):
        started = time.process_time()
        found = operator.measure(batch, None)
        for file in files:
            hashlib.sha256(file).hexdigest()
        own.append(time.process_time() - started)
        for seconds, laplacian in zip(peers.values(), (_laplacian, _by_slices), strict=True):
            started = time.process_time()
            theirs = [_plainly(file, laplacian) for file in files]
            seconds.append(time.process_time() - started)
            _check(found, theirs)
    rates = {f"plain loop, {name}": len(files) / min(times) for name, times in peers.items()}
    rate = len(files) / min(own)
    details = {
        "files": len(files),
        "images/CPU s": round(rate, 1),
        "times faster": {name: round(rate / other, 2) for name, other in rates.items()},
        "origin": "files of a folder" if os.environ.get("PHOTOS") else "the bundled photos",
    }
    rounded = {name: round(other, 1) for name, other in rates.items()}
    return Entry(rate / next(iter(rates.values())), "x", goal, True, rounded, details)


def _plainly(file: bytes, laplacian: Callable[[Floats], Floats]) -> dict[str, Any]:
    """The same measures as people write them."""
    image = Image.open(io.BytesIO(file))
    image.load()
    grey = image.convert("L")
    return {
        "image_format": image.format,
        "size": image.size,
        "phash": int(str(imagehash.phash(image)), 16),
        "dhash": int(str(imagehash.dhash(image)), 16),
        "image_entropy": grey.entropy(),
        "image_blur": laplacian(np.asarray(grey, np.float64)).var(),
        "image_sha256": hashlib.sha256(file).hexdigest(),
    }


def _laplacian(grey: Floats) -> Floats:
    found: Floats = scipy.ndimage.laplace(grey, mode="mirror")
    return found


def _by_slices(grey: Floats) -> Floats:
    """The Laplacian without the outermost pixels."""
    beside = grey[1:-1, :-2] + grey[1:-1, 2:] + grey[:-2, 1:-1] + grey[2:, 1:-1]
    found: Floats = beside - 4 * grey[1:-1, 1:-1]
    return found


def _check(found: pa.Table, theirs: Sequence[dict[str, Any]]) -> None:
    for name in ("phash", "dhash"):
        if found[name].to_pylist() != [row[name] for row in theirs]:
            raise SystemExit(f"{name} is not that of imagehash")


# --- Pictures ------------------------------------------------------------------------------------


def _small(count: int) -> list[bytes]:
    if folder := os.environ.get("PHOTOS"):
        return _sized(folder, lambda side: side <= 500)
    return [_mosaic(_SMALL, seed) for seed in range(count)]


def _large(count: int) -> list[bytes]:
    if folder := os.environ.get("PHOTOS"):
        return _sized(folder, lambda side: side >= 1000)
    return [_mosaic(_LARGE, seed) for seed in range(count)]


def _sized(folder: str, wanted: Callable[[int], bool]) -> list[bytes]:
    """JPEG files below a folder whose longer side is as wanted."""
    found = []
    for path in sorted(Path(folder).rglob("*.jp*g")):
        with Image.open(path) as image:
            if image.format == "JPEG" and wanted(max(image.size)):
                found.append(path.read_bytes())
    if not found:
        raise SystemExit(f"no JPEG of the size below {folder}")
    return found[:_MOST]


def _mosaic(size: tuple[int, int], seed: int) -> bytes:
    """Photos beside each other until the picture is full."""
    chance = random.Random(seed)
    canvas = Image.new("RGB", size)
    y = 0
    while y < size[1]:
        x, tallest = 0, size[1]
        while x < size[0]:
            photo = chance.choice(_photos())
            canvas.paste(photo, (x, y))
            x, tallest = x + photo.width, min(tallest, photo.height)
        y += tallest
    stream = io.BytesIO()
    canvas.save(stream, "JPEG", quality=90)
    return stream.getvalue()


@cache
def _photos() -> tuple[Image.Image, ...]:
    archives = sorted(SAMPLE.glob("*.warc.gz"))
    files = (file for archive in archives for _, file in bundled_images(str(archive)))
    photos = [Image.open(io.BytesIO(file)) for file in files if file.startswith(b"\xff\xd8")]
    return tuple(photo.convert("RGB") for photo in photos)
