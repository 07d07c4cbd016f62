"""Every operator and source by name. Explicit on purpose: what exists can be read here."""

from __future__ import annotations

from typing import Any

from operators.answer_again import AnswerAgain, AnswerBlind
from operators.base import Operator
from operators.boilerplate import BoilerplateMarks
from operators.captions import PictureTurns, WriteCaptions
from operators.classify import ClassifyText
from operators.clip import EmbeddingScores, EmbedImages, EmbedTexts, ImageTextSimilarity
from operators.decontaminate import Decontaminate
from operators.dedup import (
    ImageSetDuplicates,
    NearDuplicates,
    RepeatedParagraphs,
    TextDuplicates,
    UrlDuplicates,
)
from operators.extract import ExtractInterleaved
from operators.extract_trafilatura import ExtractTrafilatura
from operators.fetch import FetchImages
from operators.generate import ExpandInstructions, GenerateInstructions, PictureDomains
from operators.grounding import Grounding
from operators.image_dedup import CountImages, NearImageDuplicates, RepeatedImages
from operators.instruction_checks import AnswerChecks
from operators.language import LanguageId
from operators.minhash import MinHash
from operators.pictures import PictureFolder, SearchResults
from operators.pii import Pii
from operators.pixels import MeasureImages
from operators.qa_sets import QaSet
from operators.question_repeats import QuestionRepeats
from operators.review_outcome import ReviewOutcome
from operators.safety import DetectFaces, DetectNsfw, DetectText, ReadText
from operators.seed_images import SeedSimilarity
from operators.sources import HtmlSource, Source, TableSource
from operators.text import TextStatistics
from operators.warc import WarcSource
from schemas.errors import did_you_mean

OPERATORS: dict[str, type[Operator[Any]]] = {
    kind.name: kind
    for kind in (
        ExtractInterleaved,
        ExtractTrafilatura,
        TextStatistics,
        LanguageId,
        BoilerplateMarks,
        MinHash,
        UrlDuplicates,
        TextDuplicates,
        NearDuplicates,
        ImageSetDuplicates,
        RepeatedParagraphs,
        Decontaminate,
        Pii,
        ClassifyText,
        FetchImages,
        MeasureImages,
        CountImages,
        NearImageDuplicates,
        RepeatedImages,
        EmbedImages,
        EmbedTexts,
        ImageTextSimilarity,
        EmbeddingScores,
        DetectNsfw,
        DetectFaces,
        DetectText,
        ReadText,
        PictureTurns,
        SeedSimilarity,
        WriteCaptions,
        PictureDomains,
        GenerateInstructions,
        ExpandInstructions,
        AnswerBlind,
        AnswerAgain,
        ReviewOutcome,
        AnswerChecks,
        Grounding,
        QuestionRepeats,
    )
}

SOURCES: dict[str, type[Source]] = {
    kind.name: kind
    for kind in (WarcSource, HtmlSource, TableSource, PictureFolder, SearchResults, QaSet)
}


def operator(name: str) -> type[Operator[Any]]:
    """The operator class called `name`; KeyError with the close matches when there is none."""
    try:
        return OPERATORS[name]
    except KeyError:
        raise KeyError(f"no operator '{name}': {did_you_mean(name, OPERATORS)}") from None
