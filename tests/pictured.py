"""A small web of pages with pictures: pages in a file, pictures on a server on loopback."""

from __future__ import annotations

import io
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.hostile_site import Reply, Site

_SIDES = (100, 200, 240)


def picture(seed: int) -> bytes:
    """A JPEG of coarse random patches; every third is smaller than corpora want it."""
    chance = np.random.default_rng(seed)
    patches = Image.fromarray(chance.integers(0, 256, (6, 6, 3), np.uint8))
    side = _SIDES[seed % len(_SIDES)]
    file = io.BytesIO()
    patches.resize((side, side), Image.Resampling.NEAREST).save(file, "JPEG", quality=90)
    return file.getvalue()


def write_pictured_pages(path: Path, site: Site, count: int, pictures: int = 3) -> str:
    """Pages of a few paragraphs, and between these pictures that `site` serves; some are shared."""
    lines = []
    for number in range(count):
        chance = random.Random(number)
        parts = [f"<h1>Page {number}</h1>"]
        for _ in range(pictures):
            words = " ".join(f"word{chance.randrange(4000)}" for _ in range(60))
            seed = chance.randrange(2 * count)
            url = site.on(f"/{seed}.jpg", Reply(body=picture(seed)))
            parts.append(f'<p>{words}.</p><p><img src="{url}" alt="picture {seed}"></p>')
        html = f"<html><body><article>{''.join(parts)}</article></body></html>"
        lines.append(json.dumps({"url": f"http://pages.example/{number}", "html": html}) + "\n")
    path.write_text("".join(lines), "utf-8")
    return str(path)


def pictured_job(pages: str, site: Site, encoder: dict[str, Any]) -> dict[str, Any]:
    """Fields of a job through all of the funnel: fetch, global image stages, vectors, bytes out."""
    return {
        "inputs": [{"table": pages}],
        "stages": {
            "fetch": {"allow_private": [site.place], "host_delay_s": 0, "per_host": 16},
            "images": {"unit_images": 8},
            "near_images": {},
            "embed_images": encoder,
            "embed_texts": encoder,
            "similarity": {},
        },
        "rules": {
            "use": ["omnicorpus-images"],
            "omnicorpus_image_aesthetic": None,
            "omnicorpus_image_nsfw": None,
            "near_image": {"table": "images", "drop": "near_image_duplicate_of is not null"},
            "no_image_left": {"drop": "kept_image_count < 1"},
        },
        "unit_rows": 6,
        "max_error_rate": 0,
    }
