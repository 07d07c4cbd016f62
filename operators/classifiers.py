"""Trained text classifiers of three kinds, behind one small interface.

A `Model` is config: which file, which label. `load` turns it into a `Classifier`, which gives the
probabilities of all its labels, so that two scores of one file cost one pass.
"""

from __future__ import annotations

import importlib.metadata
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from operators.files import content_digest
from operators.forward import complete_torchvision
from operators.ngrams import Doubles, LinearClassifier, not_a_model
from schemas.errors import InputError, did_you_mean

_SHIPPED = Path(__file__).parent / "models"
_SCHEME = "omniloom:"
_LABEL = "__label__"  # what fastText's files have before each label
_EXTRA = "pip install 'omniloom[classifiers]'"


class Classifier(Protocol):
    """A model in memory."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that it knows."""

    def probabilities(self, texts: Sequence[str]) -> Doubles:
        """The probability of each label, 0..1; (len(texts), len(labels))."""


class Model(BaseModel, ABC):
    """A trained model, and the label whose probability is the score."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    libraries: ClassVar[tuple[str, ...]] = ()
    """Distributions whose version decides the values."""

    path: str = Field(
        min_length=1,
        description="the model's file or folder, relative to the folder where omniloom runs; "
        "omniloom:NAME is one that ships with omniloom",
    )
    label: str = Field(min_length=1, description="the label whose probability is the score")

    @model_validator(mode="before")
    @classmethod
    def _known_fields(cls, value: Any) -> Any:
        if isinstance(value, dict):
            for name in value:
                if name not in cls.model_fields:
                    raise ValueError(f"no field '{name}': {did_you_mean(name, cls.model_fields)}")
            for name, field in cls.model_fields.items():
                if field.is_required() and name not in value:
                    raise ValueError(f"'{name}' is missing: {field.description}")
        return value

    @property
    def place(self) -> Path:
        """Where the file or folder is.

        Raises:
            InputError: there is none.
        """
        name = self.path.removeprefix(_SCHEME)
        shipped = name != self.path
        place = _SHIPPED / name if shipped else Path(name).expanduser()
        if place.exists():
            return place
        fix = "check it; it is relative to the folder where omniloom runs"
        if shipped:
            fix = did_you_mean(name, [path.name for path in _SHIPPED.glob("*.npz")])
        raise InputError(f"path = '{self.path}': no such file\n    fix: {fix}")

    def provenance(self) -> dict[str, str]:
        """What decides the values besides config: the files' SHA-256 and library versions.

        Raises:
            InputError: the file or a library is missing.
        """
        return {self.path: content_digest(self.place)} | {
            name: _version(name) for name in self.libraries
        }

    @abstractmethod
    def load(self) -> Classifier:
        """The model in memory.

        Raises:
            InputError: it is missing, or not what it should be.
        """

    @property
    def same_file(self) -> Model:
        """The model without the label that is asked of it: equal where one pass serves both."""
        return self.model_copy(update={"label": ""})


def _version(library: str) -> str:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        raise _not_installed(library) from None


def _not_installed(library: str) -> InputError:
    message = f"kind = huggingface: {library} is not installed"
    return InputError(f"{message}\n    fix: {_EXTRA}")


# --- linear -------------------------------------------------------------------------------------


class LinearModel(Model):
    """A linear head over hashed n-grams (`operators.ngrams`): an .npz file of train-classifier."""

    kind: Literal["linear"] = "linear"

    def load(self) -> Classifier:
        return LinearClassifier.load(self.place)


# --- fastText -----------------------------------------------------------------------------------


class FastTextModel(Model):
    """A supervised fastText model (Joulin et al. 2016): a .bin file, or .ftz, quantised."""

    libraries: ClassVar[tuple[str, ...]] = ("fasttext-community",)

    kind: Literal["fasttext"] = "fasttext"

    def load(self) -> Classifier:
        return FastTextClassifier(self.place)


class FastTextClassifier:
    """A fastText model in memory."""

    def __init__(self, path: Path) -> None:
        import fasttext

        try:
            self._model = fasttext.load_model(str(path))
            names = self._model.get_labels()
        except (ValueError, RuntimeError, MemoryError) as error:
            raise not_a_model(path, "fasttext", error) from None
        if not all(name.startswith(_LABEL) for name in names):
            raise not_a_model(path, "fasttext", "it holds word vectors, no labels")
        self.labels = tuple(name.removeprefix(_LABEL) for name in names)
        self._columns = {name: column for column, name in enumerate(names)}

    def probabilities(self, texts: Sequence[str]) -> Doubles:
        """The probability of each label; (len(texts), L)."""
        found = np.zeros((len(texts), len(self.labels)))
        if texts:
            lines = [text.replace("\n", " ") for text in texts]
            for row, names, values in zip(found, *self._model.predict(lines, k=-1), strict=True):
                row[[self._columns[name] for name in names]] = values
        return np.clip(found, 0, 1)  # fastText's table of logarithms goes a little above 1


# --- Hugging Face -------------------------------------------------------------------------------


class HuggingFaceModel(Model):
    """A sequence classifier of the transformers library, from a folder or the hub.

    A document is cut into windows of `max_tokens`; its score is the mean over its first
    `max_windows`, each with the weight of its tokens. Only safetensors are read, and no code that
    comes with a model is run. Half precision on a GPU where there is one.
    """

    libraries: ClassVar[tuple[str, ...]] = ("torch", "transformers")

    kind: Literal["huggingface"] = "huggingface"
    revision: str | None = Field(
        None,
        description="the commit to take; makes `path` the name of a model on the hub",
    )
    max_tokens: int = Field(512, ge=8, description="tokens of a window, special ones included")
    max_windows: int = Field(4, ge=1, description="windows of a document that are looked at")
    batch_tokens: int = Field(16_384, ge=1, description="tokens of a batch, padding included")

    @field_validator("revision")
    @classmethod
    def _commit(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch("[0-9a-f]{40}", value):
            message = "is no commit: give its 40 hexadecimal digits; a branch or tag can move"
            raise ValueError(message)
        return value

    @property
    def place(self) -> Path:
        """The folder.

        Raises:
            InputError: it is missing, or holds no safetensors.
        """
        place = super().place
        if not (place / "config.json").is_file():
            fix = "name the folder that save_pretrained has written"
            raise InputError(f"path = '{self.path}': holds no config.json\n    fix: {fix}")
        if not list(place.glob("*.safetensors")):
            fix = "save it again with save_pretrained, which writes safetensors"
            message = "holds no safetensors; other formats can run code when they are read"
            raise InputError(f"path = '{self.path}': {message}\n    fix: {fix}")
        return place

    def provenance(self) -> dict[str, str]:
        """The commit of a model on the hub, else the folder's SHA-256; library versions."""
        if self.revision is None:
            return super().provenance()
        return {self.path: self.revision} | {name: _version(name) for name in self.libraries}

    def load(self) -> Classifier:
        return HuggingFaceClassifier(self)


class HuggingFaceClassifier:
    """A sequence classifier in memory, on the GPU where there is one."""

    def __init__(self, model: HuggingFaceModel) -> None:
        try:
            import torch

            complete_torchvision()
            import transformers
        except ImportError as error:
            raise _not_installed(error.name or "transformers") from None
        source = model.path if model.revision else str(model.place)
        safe: dict[str, Any] = {"trust_remote_code": False, "revision": model.revision or "main"}
        safe["local_files_only"] = model.revision is None
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        half = torch.float16 if self._device == "cuda" else torch.float32
        try:
            self._tokenizer = transformers.AutoTokenizer.from_pretrained(source, **safe)
            found = transformers.AutoModelForSequenceClassification.from_pretrained(
                source, use_safetensors=True, dtype=half, **safe
            )
        except (OSError, ValueError, KeyError) as error:
            raise not_a_model(Path(model.path), "huggingface", error) from None
        self._network = found.to(self._device).eval()
        self._config = model
        names: dict[int, str] = found.config.id2label
        self.labels = tuple(names[number] for number in range(len(names)))
        several = found.config.problem_type == "multi_label_classification"
        self._sigmoid = several or len(names) == 1

    def probabilities(self, texts: Sequence[str]) -> Doubles:
        """The probability of each label; (len(texts), L).

        Sigmoid of each logit where labels do not exclude each other or there is one, else softmax.
        """
        totals = np.zeros((len(texts), len(self.labels)))
        sizes = np.zeros((len(texts), 1))
        owners, windows = self._windows(texts)
        lengths = [len(window) for window in windows]
        for batch in batches_by_length(lengths, self._config.batch_tokens):
            found = self._judged([windows[number] for number in batch])
            for number, row in zip(batch, found, strict=True):
                totals[owners[number]] += row * lengths[number]
                sizes[owners[number]] += lengths[number]
        return totals / np.maximum(sizes, 1)

    def _windows(self, texts: Sequence[str]) -> tuple[list[int], list[list[int]]]:
        """The tokens of each window, and the number of the text that it is from."""
        if not texts:
            return [], []
        found = self._tokenizer(
            list(texts),
            truncation=True,
            max_length=self._config.max_tokens,
            return_overflowing_tokens=True,
            return_attention_mask=False,
        )
        owners: list[int] = []
        windows: list[list[int]] = []
        seen = [0] * len(texts)
        mapping = found["overflow_to_sample_mapping"]
        for owner, window in zip(mapping, found["input_ids"], strict=True):
            seen[owner] += 1
            if seen[owner] <= self._config.max_windows:
                owners.append(owner)
                windows.append(window)
        return owners, windows

    def _judged(self, windows: list[list[int]]) -> Doubles:
        import torch

        padded = self._tokenizer.pad({"input_ids": windows}, return_tensors="pt")
        with torch.inference_mode():
            inputs = {name: value.to(self._device) for name, value in padded.items()}
            logits = self._network(**inputs).logits.float()
            chances = logits.sigmoid() if self._sigmoid else logits.softmax(dim=-1)
        found: Doubles = chances.double().cpu().numpy()
        return found


def batches_by_length(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Batches of row numbers, rows of like length together, so that little padding is computed.

    A batch holds as many rows as stay within `budget` when each is padded to the batch's longest;
    a row that is longer than the budget is a batch by itself. The longest come first, so that a
    budget that is too large for the memory shows at once.
    """
    batch: list[int] = []
    for number in sorted(range(len(lengths)), key=lambda n: (-lengths[n], n)):
        if batch and (len(batch) + 1) * lengths[batch[0]] > budget:
            yield batch
            batch = []
        batch.append(number)
    if batch:
        yield batch


KINDS: dict[str, type[Model]] = {
    "fasttext": FastTextModel,
    "linear": LinearModel,
    "huggingface": HuggingFaceModel,
}
