"""The recipe from web pages to interleaved image-text documents."""

from __future__ import annotations

from operators.extract import ExtractInterleaved
from operators.extract_trafilatura import ExtractTrafilatura
from operators.language import LanguageId
from operators.text import TextStatistics
from pipelines.recipe import Recipe, Step, step

INTERLEAVED = Recipe(
    name="interleaved",
    meaning="web pages to interleaved image-text documents",
    steps=(
        Step(
            "extract",
            "main content as text blocks and images in reading order",
            {"interleaved": ExtractInterleaved, "trafilatura": ExtractTrafilatura},
            choose="extractor",
        ),
        step("text", "sizes, word statistics and repetition", TextStatistics),
        step("language", "language of documents and nodes", LanguageId),
    ),
)
