"""Photos that are free to use, of scikit-image and scikit-learn, with captions."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

from PIL import Image

CAPTIONS = {
    "skimage/data/astronaut.png": "an astronaut in an orange space suit in front of a flag",
    "skimage/data/chelsea.png": "close-up of the face of a tabby cat",
    "skimage/data/coffee.png": "a cup of espresso on a saucer with a spoon on a wooden table",
    "skimage/data/rocket.jpg": "a rocket stands on its launch pad",
    "skimage/data/motorcycle_left.png": "a motorcycle parked in a garage",
    "skimage/data/page.png": "a scanned page of a book with printed text",
    "sklearn/datasets/images/china.jpg": "a Chinese temple with curved roofs",
    "sklearn/datasets/images/flower.jpg": "a red and yellow flower in bloom",
}


@cache
def photos() -> tuple[tuple[Image.Image, str], ...]:
    """Each photo as RGB, and its caption."""
    return tuple((_photo(*path.split("/", 1)), said) for path, said in CAPTIONS.items())


def _photo(package: str, path: str) -> Image.Image:
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    with Image.open(Path(spec.origin).parent / path) as image:
        return image.convert("RGB")
