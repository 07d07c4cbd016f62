"""A CLIP model of open_clip with random weights, small enough for tests."""

from __future__ import annotations

import json
from pathlib import Path

from operators.forward import library

TINY = {
    "embed_dim": 16,
    "vision_cfg": {
        "image_size": 32, "layers": 2, "width": 64, "patch_size": 8, "head_width": 32,
    },
    "text_cfg": {
        "context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2,
    },
}  # fmt: skip


def tiny_clip(parent: Path) -> Path:
    """A folder with the model; beside it its config alone, and a checkpoint."""
    folder = parent / "tiny-clip"
    folder.mkdir()
    open_clip, torch = library("open_clip", "clip"), library("torch", "clip")
    config = folder / "open_clip_config.json"
    config.write_text(json.dumps({"model_cfg": TINY, "preprocess_cfg": {"mean": [0.5] * 3}}))
    named = folder.parent / "tiny-named.json"
    named.write_text(json.dumps(TINY))
    open_clip.add_model_config(named)
    torch.manual_seed(0)
    weights = open_clip.create_model("tiny-named").state_dict()
    weights = {name: value * 3 if value.ndim > 1 else value for name, value in weights.items()}
    library("safetensors.torch", "clip").save_file(weights, folder / "open_clip_model.safetensors")
    torch.save(weights, folder.parent / "tiny.pt")
    return folder
