"""What is asked about pictures: domains, seed questions, prompts, all of them data.

The data are the YAML files of `operators/instructions`; `load` reads them, with a folder of the
user's own on top, and docs/seeds.md tells how to write one. Every choice is made by a hash of what
it is for, so that the same picture gets the same seeds on any machine and in any order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

from operators.seed_checks import SHOWN, problems_of
from operators.seed_files import Files
from operators.seed_models import (
    PROMPT_SLOTS,
    SEED_LISTS,
    SLOT,
    Data,
    Domain,
    Paraphrases,
    Placeholder,
    Prompts,
    Templates,
    Words,
)
from schemas.columns import INSTRUCTION_LANGS
from schemas.errors import InputError, did_you_mean

FOLDER = Path(__file__).parent / "instructions"
PAGE_CHARS = 600
"""Of a page's text in a prompt: small models read some 80 tokens a second."""

CAPTION_FLOOR = {
    "caption": {"en": 120, "zh": 200},
    "caption_with_text": {"en": 200, "zh": 200},
}
"""What the slot `floor` asks for: words of English, characters of Chinese. MMInstruct's figures."""

SlotValue = str | int | Sequence[str] | None
T = TypeVar("T")


@dataclass(frozen=True)
class Seed:
    """A template in one language; `id` is `domain/list/slug`, the same in both."""

    id: str
    text: str


@dataclass(frozen=True)
class DomainMatch:
    """A domain that suits a picture, its points, and the cues that gave them."""

    name: str
    score: int
    cues: tuple[str, ...]


@dataclass(frozen=True)
class Prompt:
    """What a model is told (`system`) and asked (`user`)."""

    system: str
    user: str


class Seeds(Data):
    """All that is asked about pictures; `load` makes it."""

    domains: dict[str, Domain]
    templates: dict[str, Templates]
    placeholders: dict[str, Placeholder]
    captions: dict[str, Words]
    answer_prompts: dict[str, Paraphrases]
    prompts: Prompts
    digest: str
    """SHA-256 over all files that were read, hexadecimal: belongs in a stage's fingerprint."""

    def templates_for(self, domain: str, kind: str, lang: str) -> list[Seed]:
        """All seed questions of a domain that serve a kind of instruction, in the file's order.

        Raises:
            InputError: no such domain, kind or language.
        """
        templates = _named("domain", domain, self.templates)
        name = _named("kind of instruction", kind, SEED_LISTS)
        _known_language(lang)
        texts = templates.lists()[name]
        return [Seed(f"{domain}/{name}/{slug}", words.said(lang)) for slug, words in texts.items()]

    def seeds_for(
        self,
        domain: str,
        kind: str,
        lang: str,
        picture_id: str,
        count: int = SHOWN,
        seed: int = 0,
        *,
        plain_first: bool = False,
    ) -> list[Seed]:
        """The seed questions that a prompt for a picture shows; fewer where the domain has fewer.

        A template's rank depends on nothing but itself, the picture, the kind, the language and
        `seed`: one that is added to the domain takes the place of at most one other.

        `plain_first` prefers templates without placeholders: small models copy what they are
        shown, and these can be asked as they are.

        Raises:
            InputError: no such domain, kind or language.
        """
        found = self.templates_for(domain, kind, lang)

        def place(template: Seed) -> tuple[bool, bytes]:
            to_be_filled = plain_first and "<" in template.text
            return to_be_filled, _rank(seed, picture_id, kind, lang, template.id)

        return sorted(found, key=place)[:count]

    def domains_for(
        self,
        texts: Iterable[str | None],
        *,
        has_text: bool,
        limit: int = 3,
        images: int = 1,
        picture_id: str = "",
        seed: int = 0,
    ) -> list[DomainMatch]:
        """The domains that suit a picture best by what is written about it, best first.

        A domain has a point for each of its cues in `texts`, and one if it is about text in
        pictures and there is some. Domains without a point follow if they suit any picture. Equals
        are put in order by a hash, so that pictures share the domains evenly.

        Args:
            texts: caption, alternative text, page title and text, in either language.
            has_text: whether text was read in the picture; without, domains that need it are out.
            limit: domains at most.
            images: pictures that a question shall be about.
            picture_id: what the order of equals depends on, with `seed`.
            seed: changes that order.
        """
        read = "\n".join(text for text in texts if text).casefold()
        matches = []
        for name, domain in self.domains.items():
            if domain.images != images or (domain.needs_text and not has_text):
                continue
            cues = tuple(sorted(domain.found(read)))
            score = len(cues) + domain.needs_text
            if score or domain.fallback:
                matches.append(DomainMatch(name, score, cues))
        return sorted(matches, key=lambda m: (-m.score, _rank(seed, picture_id, m.name)))[:limit]

    def answer_prompt(self, kind: str, lang: str, key: str) -> str:
        """Words that ask for the form of an answer; `key` (picture and question) picks them.

        A conversation's answers have the form of long ones.

        Raises:
            InputError: there are none for the kind, or no such language.
        """
        kind = "long_vqa" if kind == "multi_round" else kind
        said = _named("answer prompt", kind, self.answer_prompts)
        _known_language(lang)
        return min(said.zh if lang == "zh" else said.en, key=lambda way: _rank(key, way))

    def caption_question(self, lang: str, key: str) -> Seed:
        """What a description is trained as the answer to; `key` (the picture) picks it.

        Raises:
            InputError: no such language.
        """
        _known_language(lang)
        slug = min(self.captions, key=lambda slug: _rank(key, lang, slug))
        return Seed(f"caption/{slug}", self.captions[slug].said(lang))

    def knowledge(
        self,
        lang: str,
        *,
        title: str | None = None,
        alt: str | None = None,
        caption: str | None = None,
        text: str | None = None,
    ) -> str | None:
        """What a page says of its picture, a labelled line for each; None if it says nothing.

        `text` is cut behind 600 characters.
        """
        parts = {"title": title, "alt": alt, "caption": caption, "text": (text or "")[:PAGE_CHARS]}
        lines = [
            self.prompts.labels[name].said(lang) + " ".join(part.split())
            for name, part in parts.items()
            if part and part.strip()
        ]
        return "\n".join(lines) or None

    def prompt(self, name: str, lang: str, **slots: SlotValue) -> Prompt:
        """A prompt with its slots filled; a list becomes lines, nothing becomes the label `none`.

        Raises:
            InputError: no such prompt or language, a slot is missing, or there is no such slot.
        """
        asked = _named("prompt", name, self.prompts.prompts)
        _known_language(lang)
        known = PROMPT_SLOTS[name]
        for slot in sorted(slots.keys() - known):
            message = f"prompt '{name}' has no slot '{slot}'"
            raise InputError(f"{message}\n    fix: {did_you_mean(slot, known)}")
        if missing := sorted(known - slots.keys()):
            fix = "give each a value, None where there is nothing"
            raise InputError(f"prompt '{name}' lacks {', '.join(missing)}\n    fix: {fix}")
        none = self.prompts.labels["none"].said(lang)
        user = SLOT.sub(lambda slot: _filled(slots[slot[1]]) or none, asked.said(lang))
        return Prompt(self.prompts.systems[asked.system].said(lang), user)


@cache
def load(folder: str | None = None) -> Seeds:
    """The data that ship, with those of `folder` laid over them; read once in a process.

    Raises:
        InputError: there is no such folder, or a file cannot be read.
        SeedError: something in the files is wrong; lists all of it.
    """
    files = Files()
    for path in (FOLDER, *([Path(folder)] if folder is not None else [])):
        files.read(path)
    parts = files.typed()
    files.problems.extend(problems_of(files, parts))
    files.refuse()
    return Seeds(
        domains=parts["domains"],
        templates={name: parts[f"seeds/{name}"] for name in parts["domains"]},
        placeholders=parts["placeholders"],
        captions=parts["caption"],
        answer_prompts=parts["answer_prompts"],
        prompts=parts["prompts"],
        digest=files.digest,
    )


def _rank(*what: object) -> bytes:
    """A number that looks like chance, and is the same for the same things everywhere."""
    return hashlib.blake2b("\0".join(map(str, what)).encode(), digest_size=8).digest()


def _filled(value: SlotValue) -> str:
    if value is None or isinstance(value, str | int):
        return "" if value is None else str(value)
    return "\n".join(f"- {line}" for line in value)


def _named(what: str, name: str, known: Mapping[str, T]) -> T:
    if name not in known:
        message = f"seeds: there is no {what} '{name}'"
        raise InputError(f"{message}\n    fix: {did_you_mean(name, known)}")
    return known[name]


def _known_language(lang: str) -> None:
    _named("language", lang, dict.fromkeys(INSTRUCTION_LANGS))
