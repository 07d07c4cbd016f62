"""Language identification of documents and nodes with fastText's lid.176 (Joulin et al. 2016)."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
from pydantic import Field

from operators.base import Operator, measured
from operators.text import node_texts
from schemas import columns

MODEL = Path(__file__).parent / "models" / "lid.176.ftz"
UNDECIDED = "und"
_NOISE = re.compile(r"https?://\S+|[\d\W_]+", re.UNICODE)


class LanguageId(Operator[Any]):
    """The language of the document and of each of its nodes.

    Addresses, digits and punctuation are taken out first; what is left shorter than `min_chars`
    letters is `und` with confidence 0. A document is judged by its first `max_chars` letters.
    """

    name = "language_id"
    version = 1
    reads = columns.schema("nodes")
    writes = columns.schema("lang", "lang_score", "node_lang", "node_lang_score")
    libraries: ClassVar[tuple[str, ...]] = ("fasttext-community",)
    stateful: ClassVar[bool] = True

    min_chars: int = Field(20, ge=1, description="letters below which a document is 'und'")
    node_min_chars: int = Field(20, ge=1, description="letters below which a node is 'und'")
    max_chars: int = Field(5000, ge=1, description="letters of a text that are looked at")

    def setup(self) -> Any:
        """The lid.176 model (938 kB, CC BY-SA 3.0), which ships with omniloom."""
        return _load(str(MODEL))

    def provenance(self) -> dict[str, str]:
        """The library's version and the model file's SHA-256."""
        digest = hashlib.sha256(MODEL.read_bytes()).hexdigest()
        return super().provenance() | {MODEL.name: digest}

    def measure(self, batch: pa.Table, state: Any) -> pa.Table:
        """Language and confidence of each document, and lists of them for its nodes."""
        texts = node_texts(batch["nodes"])
        whole = [" ".join(t for t in nodes if t) if nodes is not None else None for nodes in texts]
        documents = self._identify(whole, self.min_chars, state)
        flat = [text for nodes in texts for text in nodes or []]
        parts = iter(self._identify(flat, self.node_min_chars, state))
        nested = [[next(parts) for _ in nodes] if nodes is not None else None for nodes in texts]
        return measured(
            self.writes,
            [
                [lang for lang, _ in documents],
                [score for _, score in documents],
                [[lang for lang, _ in row] if row is not None else None for row in nested],
                [[score for _, score in row] if row is not None else None for row in nested],
            ],
        )

    def _identify(
        self, texts: list[str | None], least: int, model: Any
    ) -> list[tuple[str | None, float | None]]:
        cleaned = [_letters(text, self.max_chars) if text is not None else None for text in texts]
        asked = [text for text in cleaned if text is not None and _enough(text, least)]
        labels, scores = model.predict(asked, k=1) if asked else ([], [])
        answers = iter(zip(labels, scores, strict=True))
        results: list[tuple[str | None, float | None]] = []
        for text in cleaned:
            if text is None:
                results.append((None, None))
            elif not _enough(text, least):
                results.append((UNDECIDED, 0.0))
            else:
                label, score = next(answers)
                results.append((label[0].removeprefix("__label__"), min(float(score[0]), 1.0)))
        return results


def _letters(text: str, most: int) -> str:
    return _NOISE.sub(" ", text[: most * 4])[:most].strip()


def _enough(text: str, least: int) -> bool:
    """A Han or kana sign says about as much as three letters of an alphabet."""
    wide = sum(
        1
        for char in text[: least * 2]
        if "\u2e80" <= char <= "\u9fff" or "\uac00" <= char <= "\ud7af"
    )
    return len(text) + 2 * wide >= least


@cache
def _load(path: str) -> Any:
    import fasttext

    return fasttext.load_model(path)
