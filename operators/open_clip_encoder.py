"""CLIP models of the open_clip library (Radford et al. 2021; Cherti et al. 2023) as encoders.

A model is one that open_clip knows by name, with a tag of its weights or a checkpoint; a model of
the hub; or a folder as open_clip writes them to the hub. Weights are read as safetensors, or by
torch with `weights_only`: nothing in a file is run. What is computed is open_clip's own
preprocessing and forward pass; only the last steps of preprocessing, which are arithmetic, are done
for a whole pass.
"""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from operators.encoders import MAX_CHARACTERS, Encoder, EncoderConfig, Pixels, version
from operators.files import content_digest
from operators.forward import Floats, chosen_device, in_passes, library, number_kind, unit
from schemas.errors import InputError, did_you_mean

EXTRA = "clip"
_LIBRARIES = ("open_clip_torch", "torch")
_HUB = "hf-hub:"
_SHOWN = 12  # digits of a digest in a name
_FILES = ("open_clip*.safetensors", "*.json", "*.txt", "*.model")
_CHECKPOINTS = (".safetensors", ".pt", ".pth", ".bin", ".npz")


def weights(config: EncoderConfig) -> dict[str, str]:
    """Digest of the weights, or a commit of the hub, under what they are called; libraries.

    What a tag stands for is open_clip's business, whose version is among the libraries: such
    weights are fetched by the workers that run them.

    Raises:
        InputError: weights or libraries are missing.
    """
    found = {name: version(name, EXTRA) for name in _LIBRARIES}
    assert config.model is not None
    if config.model.startswith(_HUB):
        return found | {config.model: _hub_folder(config).name}
    if config.pretrained is None:
        return found | {config.model: content_digest(_folder(config.model))}
    place = _checkpoint(config.model, config.pretrained)
    digest = "a tag" if place is None else content_digest(place)
    return found | {f"{config.model} {config.pretrained}": digest}


class OpenClip(Encoder):
    """A CLIP model in memory."""

    def __init__(self, config: EncoderConfig, weights: dict[str, str]) -> None:
        torch, open_clip = library("torch", EXTRA), library("open_clip", EXTRA)
        self._torch = torch
        self._device = chosen_device(config.device)
        self.rows = config.row_count(self._device)
        self._kind = number_kind(config.precision, self._device)
        short = {torch.float32: "fp32", torch.float16: "fp16", torch.bfloat16: "bf16"}
        known, pretrained, self.name = _named(config, weights)
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("error", message="QuickGELU mismatch")
                self._model = open_clip.create_model(
                    known,
                    pretrained=pretrained,
                    precision=short[self._kind],
                    device=self._device,
                    require_pretrained=True,
                    weights_only=True,
                )
            self._tokenizer = open_clip.get_tokenizer(known)
        except UserWarning as warning:
            if "QuickGELU" not in str(warning):
                raise
            message = "the weights were trained with another activation"
            fix = f"use model '{config.model}-quickgelu'"
            raise _wrong(config, f"{message}\n    fix: {fix}") from None
        except pickle.UnpicklingError:
            message = "it is broken, or holds more than weights, which might be run when it is read"
            fix = "save it again as safetensors, in a place where you trust it"
            raise _wrong(config, f"{message}\n    fix: {fix}") from None
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            fix = "check that the weights are of this model, and whole"
            raise _wrong(
                config, f"cannot be loaded: {_first_line(error)}\n    fix: {fix}"
            ) from None
        self._model.eval()
        self._read_preprocessing(open_clip)
        self.dimension = self.embed_texts(["any text"]).shape[1]

    def _read_preprocessing(self, open_clip: Any) -> None:
        """Part open_clip's transform: what it does to a picture, and the arithmetic at its end."""
        settings = self._model.visual.preprocess_cfg
        whole = open_clip.transform.image_transform_v2(
            open_clip.transform.PreprocessCfg(**settings), is_train=False
        )
        *self._picture, _, normalise = whole.transforms
        torch = self._torch
        shape = (1, 3, 1, 1)
        self._mean = torch.tensor(normalise.mean, device=self._device).reshape(shape)
        self._deviation = torch.tensor(normalise.std, device=self._device).reshape(shape)
        size = settings["size"]
        self.side = size if isinstance(size, int) else min(size)

    def pixels(self, image: Image.Image) -> Pixels:
        """As open_clip's transform has it before it becomes a tensor."""
        for step in self._picture:
            image = step(image)
        return np.asarray(image)

    def tensor(self, pixels: Pixels) -> Any:
        """What the model is given for pictures; (N, 3, height, width)."""
        torch = self._torch
        given = torch.from_numpy(pixels)
        if self._device == "cuda":
            given = given.pin_memory().to(self._device, non_blocking=True)
        values = given.permute(0, 3, 1, 2).float().div_(255)
        normal = values.sub_(self._mean).div_(self._deviation)
        return normal.to(self._kind).contiguous()

    def forward(self, tensor: Any) -> Any:
        """The model's pass; on a GPU it is returned from before it is done."""
        with self._torch.inference_mode():
            return self._model.encode_image(tensor).float()

    def embed_texts(self, texts: Sequence[str]) -> Floats:
        """The unit vectors of texts; tokens beyond the model's context are cut."""
        if not texts:
            return np.zeros((0, self.dimension), np.float32)
        tokens = self._tokenizer([text[:MAX_CHARACTERS] for text in texts]).numpy()
        return in_passes(self._text_vectors, tokens, self.text_rows)

    def _text_vectors(self, tokens: np.ndarray[Any, Any]) -> Floats:
        torch = self._torch
        with torch.inference_mode():
            given = torch.from_numpy(tokens).to(self._device)
            found = self._model.encode_text(given).float().cpu().numpy()
        return unit(self.finite(found))


def _named(config: EncoderConfig, weights: dict[str, str]) -> tuple[str, str | None, str]:
    """How open_clip is told of the model and its weights; and what the encoder is called."""
    assert config.model is not None
    if config.model.startswith(_HUB):
        folder = _hub_folder(config)
        return f"local-dir:{folder}", None, f"open_clip {config.model}@{folder.name[:_SHOWN]}"
    if config.pretrained is None:
        folder, digest = _folder(config.model), weights[config.model]
        name = f"open_clip {folder.name}@{digest[:_SHOWN]}"
        return f"local-dir:{folder}", None, name
    digest = weights[f"{config.model} {config.pretrained}"]
    pretrained = str(Path(config.pretrained).expanduser())
    if not Path(pretrained).is_file():
        return config.model, config.pretrained, f"open_clip {config.model} {config.pretrained}"
    return config.model, pretrained, f"open_clip {config.model}@{digest[:_SHOWN]}"


def _folder(model: str) -> Path:
    folder = Path(model).expanduser()
    if not (folder / "open_clip_config.json").is_file():
        fix = "name a folder as open_clip's push_to_hf_hub writes it, with its weights"
        raise InputError(f"model = '{model}': holds no open_clip_config.json\n    fix: {fix}")
    return folder


def _hub_folder(config: EncoderConfig) -> Path:
    """The folder with a model of the hub, fetched where it is not there; its name is the commit."""
    assert config.model is not None
    hub, owner_and_name = library("huggingface_hub", EXTRA), config.model.removeprefix(_HUB)
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", owner_and_name):
        fix = "write hf-hub:OWNER/NAME"
        raise InputError(f"model = '{config.model}': not a name on the hub\n    fix: {fix}")
    try:
        for files in (
            _FILES,
            ("open_clip*.bin",),
        ):  # pickled weights only where there are no others
            folder = hub.snapshot_download(
                owner_and_name, revision=config.revision, allow_patterns=list(files)
            )
            if list(Path(folder).glob("open_clip*.safetensors")):
                break
    except Exception as error:  # noqa: BLE001  # of many kinds: network, rights, names
        fix = "check name, revision and network; HF_HUB_CACHE names the folder of what was fetched"
        message = f"cannot be fetched: {_first_line(error)}"
        raise InputError(f"model = '{config.model}': {message}\n    fix: {fix}") from None
    return Path(folder)


def _checkpoint(model: str, pretrained: str) -> Path | None:
    """The file of weights; None where a tag of open_clip's stands for them."""
    place = Path(pretrained).expanduser()
    if place.is_file():
        if place.suffix not in _CHECKPOINTS:
            fix = f"name a file that ends in {', '.join(_CHECKPOINTS)}"
            raise InputError(f"pretrained = '{pretrained}': not a checkpoint\n    fix: {fix}")
        return place
    open_clip = library("open_clip", EXTRA)
    if model not in open_clip.list_models():
        fix = did_you_mean(model, open_clip.list_models())
        raise InputError(f"model = '{model}': open_clip knows no such model\n    fix: {fix}")
    tags = open_clip.list_pretrained_tags_by_model(model)
    if not open_clip.pretrained.is_pretrained_cfg(model, pretrained):
        message = f"pretrained = '{pretrained}': neither a file nor a tag of {model}'s weights"
        raise InputError(f"{message}\n    fix: {did_you_mean(pretrained, tags)}")
    return None


def _wrong(config: EncoderConfig, message: str) -> InputError:
    named = f"model = '{config.model}'"
    if config.pretrained is not None:
        named += f", pretrained = '{config.pretrained}'"
    return InputError(f"{named}: {message}")


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200]
