"""The recipe from pictures to instructions about them."""

from __future__ import annotations

from operators.answer_again import AnswerAgain, AnswerBlind
from operators.captions import PictureTurns, WriteCaptions
from operators.clip import EmbedImages
from operators.fetch import FetchImages
from operators.generate import ExpandInstructions, GenerateInstructions, PictureDomains
from operators.grounding import Grounding
from operators.image_dedup import NearImageDuplicates
from operators.instruction_checks import AnswerChecks
from operators.pixels import MeasureImages
from operators.question_repeats import QuestionRepeats
from operators.review_outcome import ReviewOutcome
from operators.safety import DetectFaces, DetectNsfw, DetectText, ReadText
from operators.seed_images import SeedSimilarity
from pipelines.recipe import Recipe, asked, step
from schemas.tables import INSTRUCTIONS, PICTURES

INSTRUCTION_RECIPE = Recipe(
    name="instructions",
    meaning="pictures to instructions about them",
    table=PICTURES,
    inner=INSTRUCTIONS,
    steps=(
        # Which pictures: fetched, measured, without copies, safe, like given ones.
        step("fetch", "bytes of pictures: from inputs, cached, or over HTTP", FetchImages),
        step("pixels", "format, size, perceptual hashes, blur and entropy", MeasureImages),
        step("near_images", "pictures of nearly the same look", NearImageDuplicates),
        asked("nsfw", "chance that a picture is pornographic", DetectNsfw),
        asked("faces", "where faces are, to be blurred", DetectFaces),
        asked("embed_images", "pictures as vectors", EmbedImages),
        asked("seed_images", "how like the given seed images a picture is", SeedSimilarity),
        step("turns", "the order in which pictures have their turn", PictureTurns),
        asked("text_area", "how much of a picture is text", DetectText),
        asked("image_text", "the text in a picture", ReadText),
        # What models write about them.
        step("caption", "detailed descriptions", WriteCaptions),
        step("domains", "what a picture can be asked about", PictureDomains),
        step("generate", "questions and answers of four kinds", GenerateInstructions),
        asked("expand", "conversations of several rounds", ExpandInstructions),
        # Whether it is good: cheap measures first, models after, people last.
        step("answer_checks", "form, language, refusals, leaks", AnswerChecks),
        step("grounding", "claims borne out by what is known of the picture", Grounding),
        step("repeats", "questions that were asked before", QuestionRepeats),
        asked("blind", "answers without the picture", AnswerBlind),
        asked("consistency", "answers when asked again", AnswerAgain),
        step("review", "what reviewers decided", ReviewOutcome),
    ),
)
