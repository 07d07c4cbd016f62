"""What the files of `operators/instructions` hold, typed."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from schemas.errors import did_you_mean

SeedList = Literal["judge", "choice", "sentence"]

SEED_LISTS: dict[str, SeedList] = {
    "judgement": "judge",
    "multiple_choice": "choice",
    "short_vqa": "sentence",
    "long_vqa": "sentence",
    "multi_round": "sentence",
}
"""Which list of a domain's templates serves each kind of instruction."""

_BLOCKS = frozenset({"domain", "knowledge", "caption", "texts", "seeds"})
PROMPT_SLOTS: dict[str, frozenset[str]] = {
    "caption": frozenset({"domain", "knowledge", "floor"}),
    "caption_with_text": frozenset({"domain", "knowledge", "texts", "floor"}),
    "caption_from_text": frozenset({"domain", "knowledge", "texts"}),
    "multiple_choice": _BLOCKS | {"count"},
    "long_vqa": _BLOCKS | {"count"},
    "short_vqa": _BLOCKS | {"count"},
    "judgement": _BLOCKS | {"pairs"},
    "multi_round": _BLOCKS - {"seeds"} | {"examples", "least", "most"},
    "image_off": frozenset({"question", "form"}),
    "self_consistency": frozenset({"caption", "texts", "question", "form"}),
    "repair": frozenset({"reply", "problem"}),
}
"""The slots of each prompt, which whoever asks fills."""

LABELS = ("none", "title", "alt", "caption", "text")

SLOT = re.compile(r"\{([a-z_]+)\}")
"""A slot of a prompt's text."""

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]


class Data(BaseModel):
    """Base of all of them: frozen, without conversions, no field that is not declared."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Words(Data):
    """The same thing said in English and in Chinese."""

    en: Text
    zh: Text

    def said(self, lang: str) -> str:
        """What is said in one of the two languages."""
        return self.zh if lang == "zh" else self.en


class Label(Data):
    """What stands before a value; spaces at its end count."""

    en: str = Field(min_length=1)
    zh: str = Field(min_length=1)

    def said(self, lang: str) -> str:
        """The label in one of the two languages."""
        return self.zh if lang == "zh" else self.en


class Cues(Data):
    """Words in captions and page texts that suggest a domain."""

    en: list[Text] = []
    zh: list[Text] = []


class Domain(Data):
    """What a family of questions is about."""

    title: Words
    description: Words
    images: Literal[1, 2] = Field(1, description="pictures that a question is about")
    kinds: list[str] = Field(
        default_factory=lambda: list(SEED_LISTS), description="kinds of instruction that make sense"
    )
    needs_text: bool = Field(False, description="only for pictures in which text was read")
    fallback: bool = Field(False, description="suits any picture, whatever it shows")
    cues: Cues = Cues()

    @field_validator("kinds")
    @classmethod
    def _known(cls, kinds: list[str]) -> list[str]:
        for kind in kinds:
            if kind not in SEED_LISTS:
                raise ValueError(f"no such kind: '{kind}'; {did_you_mean(kind, SEED_LISTS)}")
        return kinds

    def shown(self, lang: str) -> str:
        """Title and description in a line, for prompts."""
        colon = "：" if lang == "zh" else ": "
        return self.title.said(lang) + colon + self.description.said(lang)

    @cached_property
    def _english(self) -> re.Pattern[str]:
        """Finds the English cues, and their plurals."""
        longest_first = sorted(map(str.casefold, self.cues.en), key=len, reverse=True)
        return re.compile(rf"\b({'|'.join(map(re.escape, longest_first)) or '(?!)'})(?:e?s)?\b")

    def found(self, text: str) -> set[str]:
        """The cues that a text in small letters holds, in either language."""
        return {*self._english.findall(text), *(cue for cue in self.cues.zh if cue in text)}


class Templates(Data):
    """A domain's seed questions: slug to text, for three ways of asking."""

    judge: dict[Slug, Words] = {}
    choice: dict[Slug, Words] = {}
    sentence: dict[Slug, Words] = {}

    def lists(self) -> dict[SeedList, dict[str, Words]]:
        """The three lists by name."""
        return {"judge": self.judge, "choice": self.choice, "sentence": self.sentence}


class Placeholder(Data):
    """What may stand in angle brackets; its name is the English form."""

    zh: Text
    meaning: Text


class Paraphrases(Data):
    """Ways of saying one thing, in both languages."""

    en: list[Text] = Field(min_length=1)
    zh: list[Text] = Field(min_length=1)


class PromptText(Words):
    """A user prompt with {slots}, and the name of its system text."""

    system: str


class Prompts(Data):
    """System texts, user prompts, and the labels of what is put into them."""

    labels: dict[Name, Label]
    systems: dict[Name, Words]
    prompts: dict[Name, PromptText]
