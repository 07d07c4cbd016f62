"""The recipe from web pages to interleaved image-text documents."""

from __future__ import annotations

from operators.boilerplate import BoilerplateMarks
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
from operators.image_dedup import CountImages, NearImageDuplicates, RepeatedImages
from operators.language import LanguageId
from operators.minhash import MinHash
from operators.pii import Pii
from operators.pixels import MeasureImages
from operators.safety import DetectFaces, DetectNsfw, DetectText, ReadText
from operators.shown import ImageVerdicts, ShownImages
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
        # Images: an address that documents show is fetched, measured and judged once.
        asked("shown", "how many documents show each image", ShownImages),
        asked("fetch", "bytes of images: archived, cached, or over HTTP", FetchImages),
        asked("pixels", "format, size, perceptual hashes, blur and entropy", MeasureImages),
        asked("image_counts", "how often bytes and hashes are shown", CountImages),
        asked("near_images", "images of nearly the same look", NearImageDuplicates),
        asked("nsfw", "chance that an image is pornographic", DetectNsfw),
        asked("text_area", "how much of an image is text", DetectText),
        asked("image_text", "the text in an image, and marks of agencies", ReadText),
        asked("faces", "where faces are, to be blurred", DetectFaces),
        asked("embed_images", "images as vectors of the space of texts", EmbedImages),
        asked("embedding_scores", "scores by heads on the vectors", EmbeddingScores),
        asked("images", "what became of each document's images", ImageVerdicts),
        # Documents with the images that were kept.
        asked("image_repeats", "images that a document shows again", RepeatedImages),
        asked("embed_texts", "texts as vectors of the space of images", EmbedTexts),
        asked("similarity", "how alike images and texts of a document are", ImageTextSimilarity),
    ),
)
