"""Jobs of instructions over made-up pictures, whose models are a scripted server on loopback."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ASKING = ("caption", "generate", "expand", "blind", "consistency")
"""The stages that ask."""


def write_pictures(folder: Path, count: int) -> Path:
    """A folder of pictures that look unlike each other, each with a caption beside it."""
    folder.mkdir()
    noise = np.random.default_rng(0)
    for number in range(count):
        blocks = noise.integers(0, 255, (6, 8, 3), np.uint8)
        image = Image.fromarray(blocks).resize((320, 240), Image.Resampling.BICUBIC)
        image.save(folder / f"{number:03}.jpg")
        (folder / f"{number:03}.txt").write_text(f"View number {number} of the old town")
    return folder


def scripted_job(
    folder: Path, url: str, model: dict[str, Any] | None = None, **changes: Any
) -> dict[str, Any]:
    """A job over the folder `pictures`, without any network but the model's server.

    `model` are more fields of the model, `changes` of the job.
    """
    asked = {"name": "scripted", "url": url, "key_from": None, "sees_images": False}
    asks = {"model": asked | (model or {})}
    stages: dict[str, Any] = {"fetch": {"http": False}, **{name: dict(asks) for name in ASKING}}
    stages["consistency"]["samples"] = 2
    found: dict[str, Any] = {
        "pipeline": "instructions",
        "store": str(folder / "store"),
        "on": {"backend": "local", "workers": 0},
        "inputs": [{"pictures": str(folder / "pictures"), "licence": "CC0-1.0"}],
        "stages": stages,
        "rules": {"use": ["instructions"]},
        "unit_rows": 4,
    }
    return found | changes
