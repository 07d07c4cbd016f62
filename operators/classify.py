"""Scores of whole documents by trained classifiers: fluency, advertisement, toxicity and the like.

The columns are those of OmniCorpus (Li et al. 2024, arXiv 2406.08418), whose authors fine-tuned a
BERT for each. Here a job names a model for each column that it wants; docs/classifiers.md tells
how to make one. A model only measures: thresholds are rules.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, TypeVar

import numpy as np
import pyarrow as pa
from pydantic import Field, field_validator

from operators.base import Operator, measured
from operators.classifiers import (
    KINDS,
    Classifier,
    FastTextModel,
    HuggingFaceModel,
    LinearModel,
    Model,
)
from operators.ngrams import clean
from operators.text import node_texts
from schemas import columns
from schemas.errors import InputError, did_you_mean

AnyModel = Annotated[FastTextModel | LinearModel | HuggingFaceModel, Field(discriminator="kind")]
Found = TypeVar("Found")
_DIGITS = 4  # what is left of a probability; a batch's padding shows further behind
_EXAMPLE = "{kind: fasttext, path: ads.ftz, label: clean}"


class ClassifyText(Operator[dict[Model, Classifier]]):
    """Probabilities that classifiers give to the text of each document.

    A column that no model is named for is null, and so are the scores of documents without text.
    Without `models`, `fluency_prob` comes from the small model that ships with omniloom.
    """

    name = "classify_text"
    version = 1
    reads = columns.schema("nodes")
    writes = columns.schema(
        "fluency_prob", "non_advertisement_prob", "porn_prob", "politics_prob", "toxic_prob"
    )
    stateful: ClassVar[bool] = True

    models: dict[str, AnyModel] = Field(
        {"fluency_prob": LinearModel(path="omniloom:fluency.npz", label="fluent")},
        description=f"for each column to score the model that does it, e.g. {_EXAMPLE}",
    )
    max_chars: int = Field(20_000, ge=1, description="characters of a document that are looked at")

    @field_validator("models", mode="before")
    @classmethod
    def _columns_and_kinds(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            raise ValueError(f"not a mapping; name a model a column, e.g. toxic_prob: {_EXAMPLE}")
        for column, model in value.items():
            if column not in cls.writes.names:
                raise ValueError(f"no score '{column}': {did_you_mean(column, cls.writes.names)}")
            if not isinstance(model, dict | Model):
                raise ValueError(f"{column}: not a model; give e.g. {_EXAMPLE}")
            kind = model.get("kind") if isinstance(model, dict) else getattr(model, "kind", None)
            if not kind:
                raise ValueError(f"{column}: 'kind' is missing: {did_you_mean('', KINDS)}")
            if str(kind) not in KINDS:
                raise ValueError(f"{column}: no kind '{kind}': {did_you_mean(str(kind), KINDS)}")
        return value

    def setup(self) -> dict[Model, Classifier]:
        """Each model that a column needs, once, however many labels are asked of it.

        Raises:
            InputError: a model is missing, broken, or has no such label.
        """
        state: dict[Model, Classifier] = {}
        for column, model in self.models.items():
            if model.same_file not in state:
                state[model.same_file] = _told(column, model.load)
            labels = state[model.same_file].labels
            if model.label not in labels:
                known = ", ".join(f"'{label}'" for label in labels)
                raise InputError(
                    f"models.{column}.label = '{model.label}': {model.path} has no such label"
                    f"\n    fix: use one of its labels: {known}"
                )
        for classifier in state.values():  # loops are compiled before the first documents
            classifier.probabilities(["any text"])
        return state

    def provenance(self) -> dict[str, str]:
        """The SHA-256 of each model's files, and the versions of the libraries that run them."""
        found = super().provenance()
        for column, model in self.models.items():
            found |= _told(column, model.provenance)
        return found

    def measure(self, batch: pa.Table, state: dict[Model, Classifier]) -> pa.Table:
        """The scores of each document."""
        texts = [
            clean("\n".join(text for text in nodes or [] if text))[: self.max_chars]
            for nodes in node_texts(batch["nodes"])
        ]
        asked = [number for number, text in enumerate(texts) if text]
        scores = {name: np.full(len(texts), np.nan) for name in self.models}
        for file in {model.same_file: None for model in self.models.values()}:
            classifier = state[file]
            found = classifier.probabilities([texts[number] for number in asked])
            for column, model in self.models.items():
                if model.same_file == file:
                    label = classifier.labels.index(model.label)
                    scores[column][asked] = found[:, label].round(_DIGITS)
        unasked = np.full(len(texts), np.nan)
        answers = [scores.get(name, unasked) for name in self.writes.names]
        arrays = [pa.array(answer, pa.float32(), from_pandas=True) for answer in answers]
        return measured(self.writes, arrays)


def _told(column: str, action: Callable[[], Found]) -> Found:
    """Say which column's model it is that is missing or broken."""
    try:
        return action()
    except InputError as error:
        raise InputError(f"models.{column}: {error}") from None
