"""Images a second of `embed_images` over those of its model's bare forward pass.

Both run in one process on the same device, by turns, with passes of the same shape; the best of
five rounds counts. The stage reads JPEGs (640 x 480, photos of scikit-image and scikit-learn) in
batches of 256 rows, as the engine gives them; the bare pass is given tensors that are ready.
Decoding runs in threads beside the pass. On a GPU it costs nothing as long as the CPUs keep up; on
a CPU both share the cores, so the figure is also what decoding costs. Entries name device, CPUs and
threads.

open_clip's models have random weights, which are as fast as trained ones. With `--device cuda` the
same commands measure a GPU.
"""

from __future__ import annotations

import io
import os
import random
import time
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from operators.clip import EmbedImages
from operators.encoders import Encoder
from operators.forward import chosen_device, library
from schemas import columns
from tests.benchmarks.record import Entry, Options, workspace
from tests.photos import photos

_ROUNDS = 5
_SIZE = (640, 480)
_BATCH = 256  # rows that the engine hands to an operator
_GOAL = 0.9


def clip_conse(options: Options) -> Entry:
    """The encoder that needs no hub; on busy CPUs decoding shows beside its short pass: no goal."""
    return replace(_entry(options, {"encoder": "conse"}, {"cpu": 128, "cuda": 4096}), goal=None)


def clip_vit_b_32(options: Options) -> Entry:
    """CLIP ViT-B/32 at 224 pixels."""
    config = {"encoder": "open_clip", "model": "ViT-B-32", "pretrained": _weights("ViT-B-32")}
    return _entry(options, config, {"cpu": 128, "cuda": 8192})


def clip_vit_l_14(options: Options) -> Entry:
    """CLIP ViT-L/14 at 224 pixels."""
    config = {"encoder": "open_clip", "model": "ViT-L-14", "pretrained": _weights("ViT-L-14")}
    return _entry(options, config, {"cpu": 16, "cuda": 4096})


def _entry(options: Options, config: dict[str, str], counts: dict[str, int]) -> Entry:
    device = chosen_device(options.device)
    operator = EmbedImages.model_validate(config | {"device": device})
    encoder = operator.setup()
    count = options.count(counts[device], encoder.rows)
    count -= count % encoder.rows
    images = _images(count)
    bare, stage = [], []
    for round_ in range(_ROUNDS + 1):
        found = (_bare(encoder, count, device), _stage(operator, encoder, images))
        if round_:  # the first warms up
            bare.append(found[0])
            stage.append(found[1])
    best, best_cpu = ([min(times[n] for times in side) for side in (stage, bare)] for n in (0, 1))
    torch = library("torch", "clip")
    details = {
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "encoder": encoder.name,
        "images": count,
        "images_a_pass": encoder.rows,
        "images_a_second": round(count / best[0], 1),
        "bare_images_a_second": round(count / best[1], 1),
        "cpu_ms_an_image": round(1000 * best_cpu[0] / count, 2),
        "bare_cpu_ms_an_image": round(1000 * best_cpu[1] / count, 2),
        "cpus": len(os.sched_getaffinity(0)),
        "torch_threads": torch.get_num_threads(),
    }
    return Entry(best[1] / best[0], "of bare", _GOAL, more_is_better=True, details=details)


def _bare(encoder: Encoder, count: int, device: str) -> tuple[float, float]:
    """Wall and CPU seconds of passes over `count` pictures that are ready."""
    torch = library("torch", "clip")
    side = encoder.pixels(Image.new("RGB", _SIZE)).shape
    pixels = np.random.default_rng(0).integers(0, 255, (encoder.rows, *side), np.uint8)
    tensor = encoder.tensor(pixels)
    with _Clock() as clock:
        for _ in range(count // encoder.rows):
            encoder.forward(tensor)
        if device == "cuda":
            torch.cuda.synchronize()
    return clock.found


def _stage(operator: EmbedImages, encoder: Encoder, images: pa.Table) -> tuple[float, float]:
    """Wall and CPU seconds of the operator over all images."""
    with _Clock() as clock:
        for at in range(0, images.num_rows, _BATCH):
            operator.measure(images.slice(at, _BATCH), encoder)
    return clock.found


class _Clock:
    """Wall and CPU seconds of a block."""

    def __enter__(self) -> _Clock:
        self._start = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *error: Any) -> None:
        self.found = time.perf_counter() - self._start[0], time.process_time() - self._start[1]


@cache
def _images(count: int) -> pa.Table:
    """A table of JPEGs: the photos at one size, each cut a little differently."""
    chance = random.Random(0)
    known = [image for image, _ in photos()]
    data = []
    for number in range(count):
        image = known[number % len(known)]
        left, upper = (chance.randrange(1, side // 8) for side in image.size)
        cut = image.crop((left, upper, *image.size)).resize(_SIZE, Image.Resampling.BICUBIC)
        stream = io.BytesIO()
        cut.save(stream, "JPEG", quality=85)
        data.append(stream.getvalue())
    return pa.table({"image_data": data}, schema=columns.schema("image_data"))


def _weights(model: str) -> str:
    """A checkpoint of the model with random weights."""
    open_clip, safetensors = library("open_clip", "clip"), library("safetensors.torch", "clip")
    path = Path(workspace(f"clip-{model}")) / f"{model}.safetensors"
    library("torch", "clip").manual_seed(0)
    safetensors.save_file(open_clip.create_model(model).state_dict(), path)
    return str(path)
