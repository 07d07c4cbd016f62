"""What models cannot say of seeds: languages match, placeholders are known, nothing repeats."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

from operators.seed_files import Files
from operators.seed_models import (
    LABELS,
    PROMPT_SLOTS,
    SEED_LISTS,
    SLOT,
    Domain,
    Paraphrases,
    Placeholder,
    Prompts,
    Templates,
    Words,
)
from schemas.columns import INSTRUCTION_LANGS
from schemas.errors import Problem, did_you_mean
from schemas.yaml_lines import Path_, dotted

SHOWN = 3
"""Templates that a prompt shows: a list that has fewer is too short."""
MAX_CHARS = {"en": 160, "zh": 60}
"""Of a template: more is no seed any more, but a prompt of its own."""
MAX_PROMPT = {"en": 250, "zh": 450}
"""Of a prompt without what fills it: words in English, signs in Chinese."""
ALIKE = 0.8
"""Share of words (English) or pairs of signs (Chinese) in common, from which texts are the same."""

_PLACEHOLDER = re.compile(r"<([^<>]*)>")
_NOT_ENGLISH = re.compile(r"[^\x20-\x7e\n‘’“”–—…À-ÿ]")
_NOT_CHINESE = re.compile(r"[,;:?!\"]|\.$")
_HAN = re.compile(r"[\u3400-\u9fff]")
_ENDS = {"en": ("?", ".", "!"), "zh": ("？", "。", "！")}

_AUXILIARY = (
    "is are was were do does did has have had can could will would should may might must"
).split()
_YES_NO = {
    "en": re.compile(rf"(?:^|, )(?:{'|'.join(_AUXILIARY)}) [^?]*\?$", re.IGNORECASE),
    "zh": re.compile(r"(?:吗？$)|(?:是否|是不是|有没有|能不能|能否|可否|会不会|对不对).*？$"),
}
_ASK_SO = {"en": "begin with Is, Are, Does, Can, …", "zh": "end with 吗？, or use 是否, 有没有, …"}


def problems_of(files: Files, parts: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with the parts that are there; `files` knows where each field stands."""
    domains: dict[str, Domain] = parts["domains"]
    placeholders: dict[str, Placeholder] = parts["placeholders"]
    seeds = {p.removeprefix("seeds/"): v for p, v in parts.items() if p.startswith("seeds/")}
    yield from _domains(files, domains, seeds)
    for name, templates in seeds.items():
        yield from _templates(files, f"seeds/{name}", templates, placeholders, domains.get(name))
    if not parts["caption"]:
        yield files.problem("caption", (), "holds no instruction", "keep one or more")
    yield from _list(files, "caption", (), parts["caption"])
    yield from _answer_prompts(files, parts["answer_prompts"])
    if "prompts" in parts:
        yield from _prompts(files, parts["prompts"])


def _domains(
    files: Files, domains: dict[str, Domain], seeds: Mapping[str, Templates]
) -> Iterator[Problem]:
    described = files.data["domains"]
    for name in sorted(seeds.keys() - described.keys()):
        fix = f"describe it in domains.yaml, or rename the file; {did_you_mean(name, described)}"
        yield files.problem(f"seeds/{name}", (), f"there is no domain '{name}'", fix)
    for name, domain in domains.items():
        if f"seeds/{name}" not in files.paths:
            fix = f"write seeds/{name}.yaml"
            yield files.problem("domains", (name,), "the domain has no templates", fix)
        for field in ("title", "description"):
            yield from _languages(files, "domains", (name, field), getattr(domain, field))
        for lang, cues in (("en", domain.cues.en), ("zh", domain.cues.zh)):
            for index, cue in enumerate(cues):
                path = (name, "cues", lang, index)
                yield from _in_language(files, "domains", path, lang, cue, ends=False)
                if cue in cues[:index]:
                    yield files.problem("domains", path, "stands twice", "keep one", cue)


def _templates(
    files: Files,
    part: str,
    templates: Templates,
    placeholders: Mapping[str, Placeholder],
    domain: Domain | None,
) -> Iterator[Problem]:
    kinds = domain.kinds if domain else SEED_LISTS
    for name, texts in templates.lists().items():
        used = [kind for kind in kinds if SEED_LISTS[kind] == name]
        if used and len(texts) < SHOWN:
            fix = f"write {SHOWN} or more, or leave {' and '.join(used)} out of the domain's kinds"
            yield files.problem(part, (name,), f"holds {len(texts)} templates", fix)
        yield from _list(files, part, (name,), texts)
        for slug, words in texts.items():
            yield from _placeholders(files, part, (name, slug), words, placeholders)
            yield from _answerable(files, part, (name, slug), words, judge=name == "judge")


def _list(files: Files, part: str, path: Path_, texts: Mapping[str, Words]) -> Iterator[Problem]:
    """A list of templates: each in its language, none too long, no two the same."""
    for slug, words in texts.items():
        yield from _languages(files, part, (*path, slug), words, ends=True)
    for lang in INSTRUCTION_LANGS:
        said = {(*path, slug, lang): words.said(lang) for slug, words in texts.items()}
        yield from _repeats(files, part, lang, said)


def _languages(
    files: Files, part: str, path: Path_, words: Words, *, ends: bool = False
) -> Iterator[Problem]:
    for lang in INSTRUCTION_LANGS:
        yield from _in_language(files, part, (*path, lang), lang, words.said(lang), ends=ends)


def _in_language(
    files: Files, part: str, path: Path_, lang: str, text: str, *, ends: bool
) -> Iterator[Problem]:
    bare = _PLACEHOLDER.sub("", text)
    if lang == "en" and (odd := _NOT_ENGLISH.search(bare)):
        fix = "write it in English; Chinese stands under zh"
        yield files.problem(part, path, f"holds '{odd[0]}'", fix, text)
    if lang == "zh" and not _HAN.search(bare):
        yield files.problem(part, path, "holds no Chinese", "write it in Chinese", text)
    elif lang == "zh" and (odd := _NOT_CHINESE.search(bare)):
        fix = "use Chinese punctuation: ，；：？！。“”"
        yield files.problem(part, path, f"holds '{odd[0]}'", fix, text)
    if ends and not text.endswith(_ENDS[lang]):
        fix = f"end with {' or '.join(_ENDS[lang])}"
        yield files.problem(part, path, "ends in the middle of a sentence", fix, text)
    if ends and len(text) > MAX_CHARS[lang]:
        message = f"is {len(text)} characters long"
        yield files.problem(part, path, message, f"use {MAX_CHARS[lang]} or less", text)


def _placeholders(
    files: Files,
    part: str,
    path: Path_,
    words: Words,
    placeholders: Mapping[str, Placeholder],
) -> Iterator[Problem]:
    names = {"en": {name: name for name in placeholders}}
    names["zh"] = {placeholder.zh: name for name, placeholder in placeholders.items()}
    used: dict[str, set[str]] = {}
    for lang in INSTRUCTION_LANGS:
        text, here = words.said(lang), (*path, lang)
        written = _PLACEHOLDER.findall(text)
        for name in written:
            if name not in names[lang]:
                fix = f"{did_you_mean(name, names[lang])}; or add it to placeholders.yaml"
                yield files.problem(part, here, f"no such placeholder: <{name}>", fix, text)
        if set("<>") & set(_PLACEHOLDER.sub("", text)):
            fix = "write <name>, with both brackets"
            yield files.problem(part, here, "has an angle bracket alone", fix, text)
            return
        used[lang] = {names[lang].get(name, name) for name in written}
    if used["en"] != used["zh"] and all(used[lang] <= names["en"].keys() for lang in used):
        odd = ", ".join(f"<{name}>" for name in sorted(used["en"] ^ used["zh"]))
        fix = "use the same placeholders in both languages"
        yield files.problem(part, path, f"only one language has {odd}", fix)


def _answerable(
    files: Files, part: str, path: Path_, words: Words, *, judge: bool
) -> Iterator[Problem]:
    """Templates of `judge` ask for yes or no, the others do not."""
    for lang in INSTRUCTION_LANGS:
        text = words.said(lang)
        if judge and not _YES_NO[lang].search(text):
            message = "is no question for yes or no"
            yield files.problem(part, (*path, lang), message, _ASK_SO[lang], text)
        if not judge and _YES_NO[lang].match(text):
            message = "is a question for yes or no"
            fix = "ask for what, which, where, or move it to judge"
            yield files.problem(part, (*path, lang), message, fix, text)


def _answer_prompts(files: Files, prompts: Mapping[str, Paraphrases]) -> Iterator[Problem]:
    part, kinds = "answer_prompts", sorted(SEED_LISTS.keys() - {"multi_round"})
    for kind in kinds:
        if kind not in files.data[part]:
            yield files.problem(part, (kind,), "is missing", "keep one or more")
    for kind, said in prompts.items():
        if kind not in kinds:
            yield files.problem(part, (kind,), "no such kind", did_you_mean(kind, kinds))
        if len(said.en) != len(said.zh):
            message = f"{len(said.en)} in English, {len(said.zh)} in Chinese"
            yield files.problem(part, (kind,), message, "give each language as many")
        for lang, ways in (("en", said.en), ("zh", said.zh)):
            texts: dict[Path_, str] = {(kind, lang, index): way for index, way in enumerate(ways)}
            for path, way in texts.items():
                yield from _in_language(files, part, path, lang, way, ends=True)
            yield from _repeats(files, part, lang, texts)


def _prompts(files: Files, prompts: Prompts) -> Iterator[Problem]:
    part = "prompts"
    for name in LABELS:
        if name not in prompts.labels:
            yield files.problem(part, ("labels", name), "is missing", "add it")
    for name in PROMPT_SLOTS.keys() - prompts.prompts.keys():
        yield files.problem(part, ("prompts", name), "is missing", "add it")
    for name, words in prompts.systems.items():
        yield from _sized(files, ("systems", name), words)
    for name, prompt in prompts.prompts.items():
        path = ("prompts", name)
        if name not in PROMPT_SLOTS:
            yield files.problem(part, path, "no such prompt", did_you_mean(name, PROMPT_SLOTS))
            continue
        if prompt.system not in prompts.systems:
            fix = did_you_mean(prompt.system, prompts.systems)
            message = "no such system text"
            yield files.problem(part, (*path, "system"), message, fix, prompt.system)
        yield from _sized(files, path, prompt)
        yield from _slots(files, path, prompt, PROMPT_SLOTS[name])


def _sized(files: Files, path: Path_, words: Words) -> Iterator[Problem]:
    for lang in INSTRUCTION_LANGS:
        text = SLOT.sub("", words.said(lang))
        size = len(text.split()) if lang == "en" else len("".join(text.split()))
        if size > MAX_PROMPT[lang]:
            fix = f"use {MAX_PROMPT[lang]} or less: small models read slowly"
            counted = "words" if lang == "en" else "signs"
            yield files.problem("prompts", (*path, lang), f"has {size} {counted}", fix)
        if lang == "zh" and not _HAN.search(text):
            message = "holds no Chinese"
            yield files.problem("prompts", (*path, lang), message, "write it in Chinese")


def _slots(files: Files, path: Path_, words: Words, known: frozenset[str]) -> Iterator[Problem]:
    for lang in INSTRUCTION_LANGS:
        for slot in sorted(set(SLOT.findall(words.said(lang))) - known):
            fix = did_you_mean(slot, known)
            yield files.problem("prompts", (*path, lang), f"no such slot: {{{slot}}}", fix)
    odd = sorted(set(SLOT.findall(words.en)) ^ set(SLOT.findall(words.zh)))
    if odd:
        message = f"only one language has {{{odd[0]}}}"
        yield files.problem("prompts", path, message, "use the same slots in both languages")


def _repeats(files: Files, part: str, lang: str, texts: Mapping[Path_, str]) -> Iterator[Problem]:
    """Pairs of texts that are the same, or nearly."""
    units = {path: _units(lang, text) for path, text in texts.items()}
    for first, second in combinations(texts, 2):
        a, b = units[first], units[second]
        if len(a & b) >= ALIKE * len(a | b):
            same = f"says the same as {dotted(first)}: {texts[first]}"
            fix = "keep one, or ask for something else"
            yield files.problem(part, second, same, fix, texts[second])


def _units(lang: str, text: str) -> frozenset[str]:
    if lang == "en":
        return frozenset(re.findall(r"\w+", text.casefold()))
    signs = re.sub(r"[^\w<>]", "", text)
    return frozenset(signs[i : i + 2] for i in range(len(signs) - 1)) or frozenset({signs})
