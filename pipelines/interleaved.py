"""The recipe from web pages to interleaved image-text documents."""

from __future__ import annotations

from operators.boilerplate import BoilerplateMarks
from operators.classify import ClassifyText
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
from operators.language import LanguageId
from operators.minhash import MinHash
from operators.pii import Pii
from operators.text import TextStatistics
from pipelines.recipe import Recipe, Step, asked, step

INTERLEAVED = Recipe(
    name="interleaved",
    meaning="web pages to interleaved image-text documents",
    steps=(
        asked("same_url", "captures of the same address", UrlDuplicates),
        Step(
            "extract",
            "main content as text blocks and images in reading order",
            {"interleaved": ExtractInterleaved, "trafilatura": ExtractTrafilatura},
            choose="extractor",
        ),
        step("text", "sizes, word statistics and repetition", TextStatistics),
        step("language", "language of documents and nodes", LanguageId),
        asked("boilerplate", "labels and notices around content", BoilerplateMarks),
        asked("same_text", "documents of the same text", TextDuplicates),
        asked("minhash", "signatures of the text, to be compared", MinHash),
        asked("near_text", "documents of nearly the same text", NearDuplicates),
        asked("same_images", "documents that show the same images", ImageSetDuplicates),
        asked("classify", "scores by trained classifiers", ClassifyText),
        asked("decontaminate", "n-grams shared with benchmarks", Decontaminate),
        asked("pii", "where personal data is", Pii),
        asked("paragraphs", "how many documents hold each paragraph", RepeatedParagraphs),
    ),
)
