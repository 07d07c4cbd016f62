"""Instructions about pictures: questions and answers of five kinds, written by a model.

Kinds and quotas are MMInstruct's (Liu et al. 2024, arXiv 2407.15838): for a picture and a domain
three multiple-choice questions, three with long and three with short answers, four judgements of
which half are yes; then conversations of several rounds that build on them. The right option of a
multiple choice is put at a place that a hash decides, so that no letter is favoured.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal, Self

import pyarrow as pa
from pydantic import Field, model_validator

from operators.asking import Asks, Question, Row, Usage
from operators.base import Operator, measured
from operators.captions import CONTEXT, OPTIONAL, Lang, Langs, knowledge
from operators.chat import Reply
from operators.coverage import placed
from operators.instruction_id import instruction_id
from operators.reply_schemas import reply_schema
from operators.seeds import Seed, load
from schemas import columns

Kind = Literal["judgement", "multiple_choice", "short_vqa", "long_vqa"]
KINDS: tuple[Kind, ...] = ("multiple_choice", "long_vqa", "short_vqa", "judgement")
GENERATED = "generated"
_WORDS = {"en": ("yes", "no"), "zh": ("是", "否")}
_CAPTIONS = ("caption_en", "caption_zh")
_EXAMPLES = 4  # questions and answers that a conversation is to go beyond


class PictureDomains(Operator[None]):
    """The domains that a picture can be asked about, by words in what is known of it."""

    name = "picture_domains"
    table = "images"
    reads = columns.schema(*CONTEXT, *_CAPTIONS, "image_sha256")
    optional = OPTIONAL
    writes = columns.schema("picture_domains")

    most: int = Field(1, ge=1, description="domains of a picture at most")
    seeds: str | None = Field(None, description="folder of domains of your own, over ours")
    seed: int = Field(0, description="another seed, another order of domains that suit alike")

    def provenance(self) -> dict[str, str]:
        """The domains and their cues."""
        return super().provenance() | {"seeds": load(self.seeds).digest}

    def measure(self, batch: pa.Table, state: None) -> pa.Table:
        """Domains by cues; those that suit any picture where there are no cues."""
        return measured(self.writes, [[self._domains(row) for row in batch.to_pylist()]])

    def _domains(self, row: Row) -> list[str] | None:
        if row["image_sha256"] is None:  # there is no picture to ask about
            return None
        data, keyword = load(self.seeds), row["image_keyword"]
        found = data.domains_for(
            [row[name] for name in (*CONTEXT, *_CAPTIONS)],
            has_text=bool(row["image_text"]),
            limit=self.most,
            picture_id=row["image_sha256"],
            seed=self.seed,
        )
        names = [match.name for match in found]
        first = [keyword] if keyword in data.domains else []
        return list(dict.fromkeys([*first, *names]))[: self.most]


class _Writes(Asks):
    """An operator that has instructions written."""

    table = "images"
    optional = OPTIONAL

    langs: Langs = Field(("en",), description="languages, en or zh")
    show_picture: bool = Field(
        True, description="whether a model that sees is shown the picture too, or the text alone"
    )
    small_model: bool = Field(
        False,
        description="for models of less than some billion parameters: seed questions without "
        "blanks to fill, and questions and short answers held to regular expressions, where the "
        "server knows how",
    )

    def _shows(self) -> bool:
        return super()._shows() and self.show_picture

    def _slots(self, row: Row, domain: str, lang: Lang) -> dict[str, Any]:
        data = self.data
        return {
            "domain": data.domains[domain].shown(lang),
            "knowledge": knowledge(data, row, lang),
            "caption": _caption(row, lang),
            "texts": row["image_text"],
        }

    def _domains(self, row: Row) -> list[str]:
        """The picture's domains, without those that are no more."""
        return [name for name in row["picture_domains"] or () if name in self.data.domains]

    def _askable(self, row: Row, lang: Lang) -> bool:
        """Whether there is anything to ask about."""
        return self._sees(row) or _caption(row, lang) is not None


class GenerateInstructions(_Writes):
    """Questions and answers of four kinds about each picture, and its descriptions as answers."""

    name = "generate_instructions"
    tag = "generate"
    reads = columns.schema(*CONTEXT, *_CAPTIONS, "picture_domains", "image_url", "image_sha256")
    writes = columns.schema("candidates", "generation_usage")

    kinds: tuple[Kind, ...] = Field(KINDS, description="kinds of questions")
    multiple_choice: int = Field(3, ge=1, description="multiple-choice questions at a time")
    long_vqa: int = Field(3, ge=1, description="questions with long answers at a time")
    short_vqa: int = Field(3, ge=1, description="questions with short answers at a time")
    judgement: int = Field(4, ge=2, multiple_of=2, description="judgements; half of them are yes")
    seed_questions: int = Field(3, ge=0, description="seed questions that a prompt shows")
    seed: int = Field(0, description="another seed, other seed questions")
    captions: bool = Field(True, description="whether descriptions become instructions too")

    def questions(self, rows: Sequence[Row]) -> list[Question]:
        """Every kind in every language and domain."""
        return [
            self._question(index, row, lang, domain, kind)
            for index, row in enumerate(rows)
            for lang in self.langs
            if self._askable(row, lang)
            for domain in self._domains(row)
            for kind in self.kinds
            if kind in self.data.domains[domain].kinds
        ]

    def _question(self, index: int, row: Row, lang: Lang, domain: str, kind: Kind) -> Question:
        picture = _identity(row)
        seeds = self.data.seeds_for(
            domain,
            kind,
            lang,
            picture,
            self.seed_questions,
            self.seed,
            plain_first=self.small_model,
        )
        count: int = getattr(self, kind)
        asked = {"pairs": count // 2} if kind == "judgement" else {"count": count}
        prompt = self.data.prompt(
            kind, lang, seeds=[s.text for s in seeds], **asked, **self._slots(row, domain, lang)
        )
        answer = reply_schema(kind, lang, count, patterns=self.small_model)
        request = self.request(prompt, row, answer)
        return Question(index, lang, request, about=(domain, kind, seeds, picture))

    def lack(self, question: Question, reply: Reply) -> str | None:
        """What is wrong with the questions of a reply."""
        _, kind, _, picture = question.about
        found = _read(kind, question.lang, reply.data, picture)
        wrong = [problem for _, _, problem in found if problem]
        return "; ".join(dict.fromkeys(wrong)) or None

    def told(self, row: Row, questions: list[Question], usage: Usage) -> list[Any]:
        """A picture's values; none where there was nothing to ask about."""
        found = [one for question in questions for one in self._instructions(row, question)]
        found += self._captions(row)
        return [found, asdict(usage)] if found else []

    def _instructions(self, row: Row, question: Question) -> Iterable[Instruction]:
        """The instructions of a reply; of one that cannot be used, one that says so."""
        domain, kind, seeds, picture = question.about
        make = _Maker(self, row, question, domain, kind, seeds)
        if question.reply is None:
            yield make([], [], question.problem, question.usage.usd)
            return
        found = _read(kind, question.lang, question.reply.data, picture)
        for turns, options, problem in found:
            yield make(turns, options, problem, question.usage.usd / len(found))

    def _captions(self, row: Row) -> Iterable[Instruction]:
        """The picture's descriptions as answers; what they cost is told with the descriptions."""
        for lang in self.langs if self.captions else ():
            text = row[f"caption_{lang}"]
            if text:
                asked = self.data.caption_question(lang, _identity(row))
                turns = [(asked.text, text)]
                yield _instruction(
                    row, "caption", (row["picture_domains"] or ["image_description"])[0], lang,
                    turns, [], seeds=[asked.id], model=self.model.name,
                )  # fmt: skip


class ExpandInstructions(_Writes):
    """Conversations of several rounds about each picture, beyond what was asked already."""

    name = "expand_instructions"
    tag = "expand"
    reads = columns.schema(
        *CONTEXT, *_CAPTIONS, "picture_domains", "image_url", "image_sha256", "candidates"
    )
    writes = columns.schema("expansions", "expansion_usage")

    min_rounds: int = Field(3, ge=2, description="least rounds of a conversation")
    max_rounds: int = Field(5, ge=2, description="most rounds of a conversation")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min_rounds > self.max_rounds:
            raise ValueError(f"min_rounds {self.min_rounds} is above max_rounds {self.max_rounds}")
        return self

    def questions(self, rows: Sequence[Row]) -> list[Question]:
        """One conversation about each picture in each language."""
        return [
            self._question(index, row, lang, domain)
            for index, row in enumerate(rows)
            for lang in self.langs
            for domain in self._domains(row)[:1]
            if self._askable(row, lang)
        ]

    def _question(self, index: int, row: Row, lang: Lang, domain: str) -> Question:
        examples = [
            f"{turn['question']} {turn['answer']}"
            for found in row["candidates"] or ()
            if found["instruction_lang"] == lang and found["instruction_kind"] in KINDS
            for turn in found["turns"]
        ]
        prompt = self.data.prompt(
            "multi_round", lang, examples=examples[:_EXAMPLES], least=self.min_rounds,
            most=self.max_rounds, **self._slots(row, domain, lang),
        )  # fmt: skip
        answer = reply_schema(
            "multi_round", lang, self.max_rounds, least=self.min_rounds, patterns=self.small_model
        )
        return Question(index, lang, self.request(prompt, row, answer), about=domain)

    def lack(self, question: Question, reply: Reply) -> str | None:
        """Empty rounds."""
        _, _, problem = _conversation(reply.data)
        return problem

    def told(self, row: Row, questions: list[Question], usage: Usage) -> list[Any]:
        """A picture's values; none where there was nothing to ask about."""
        found = []
        for question in questions:
            make = _Maker(self, row, question, question.about, "multi_round", [])
            turns, options, problem = (
                _conversation(question.reply.data)
                if question.reply is not None
                else ([], [], question.problem)
            )
            found.append(make(turns, options, problem, question.usage.usd))
        return [found, asdict(usage)] if found else []


# --- Replies as instructions ---------------------------------------------------------------------

Instruction = dict[str, Any]
"""A row of `INSTRUCTION`."""
Turns = list[tuple[str, str]]
Found = tuple[Turns, list[str], str | None]
"""Rounds, options, and what is wrong with them."""


def _read(kind: str, lang: str, data: Any, picture: str) -> list[Found]:
    """The questions of a reply that fits its schema."""
    match kind:
        case "judgement":
            yes, no = _WORDS[lang]
            return [
                _pair(pair[field], answer, pair["question_yes"] == pair["question_no"])
                for pair in data["pairs"]
                for field, answer in (("question_yes", yes), ("question_no", no))
            ]
        case "multiple_choice":
            return [_choice(item, picture) for item in data["questions"]]
        case _:
            return [_pair(item["question"], item["answer"]) for item in data["questions"]]


def _pair(question: str, answer: str, contradicted: bool = False) -> Found:
    """A question and its answer; `contradicted` where it is asked with another answer too."""
    turns = [(question.strip(), answer.strip())]
    if not all(turns[0]):
        return turns, [], "malformed: an empty question or answer"
    return turns, [], "malformed: the same question with both answers" if contradicted else None


def _choice(item: Mapping[str, Any], picture: str) -> Found:
    texts = [text.strip() for text in (item["correct"], *item["wrong"])]
    options, letter = placed(texts, 0, f"{picture}/{item['question']}")
    distinct = len({text.casefold() for text in texts}) == len(texts) and all(texts)
    problem = None if distinct else "malformed: two options are the same, or one is empty"
    turns = [(item["question"].strip(), letter)]
    return turns, options, problem if item["question"].strip() else "malformed: no question"


def _conversation(data: Any) -> Found:
    turns = [(r["question"].strip(), r["answer"].strip()) for r in data["rounds"]]
    whole = all(question and answer for question, answer in turns)
    return turns, [], None if whole else "malformed: an empty question or answer"


class _Maker:
    """Makes instructions of the replies to one question."""

    def __init__(
        self, operator: _Writes, row: Row, question: Question, domain: str, kind: str,
        seeds: list[Seed],
    ) -> None:  # fmt: skip
        self.operator, self.row, self.question = operator, row, question
        self.domain, self.kind, self.seeds = domain, kind, seeds

    def __call__(
        self, turns: Turns, options: list[str], problem: str | None, usd: float
    ) -> Instruction:
        data, lang = self.operator.data, self.question.lang
        asked = turns[0][0] if turns else self.question.request.key
        return _instruction(
            self.row, self.kind, self.domain, lang, turns or [(asked, "")], options,
            answer_prompt=data.answer_prompt(self.kind, lang, f"{_identity(self.row)} {asked}"),
            seeds=[seed.id for seed in self.seeds],
            prompt=self.question.request.prompt,
            model=self.operator.model.name,
            usd=usd,
            problem=problem,
        ) | ({} if turns else {"turns": []})  # fmt: skip


def _instruction(
    row: Row,
    kind: str,
    domain: str,
    lang: str,
    turns: Turns,
    options: list[str],
    *,
    answer_prompt: str | None = None,
    seeds: list[str],
    prompt: str | None = None,
    model: str,
    usd: float = 0.0,
    problem: str | None = None,
) -> Instruction:
    """An instruction as a row of `INSTRUCTION`."""
    return {
        "instruction_id": instruction_id(_identity(row), kind, lang, turns, options),
        "instruction_kind": kind,
        "instruction_domain": domain,
        "instruction_lang": lang,
        "turns": [{"question": question, "answer": answer} for question, answer in turns],
        "options": options,
        "answer_prompt": answer_prompt,
        "seeds": seeds,
        "generation_prompt": prompt,
        "generation_model": model,
        "generation_usd": usd,
        "reply_problem": problem,
        "instruction_source": GENERATED,
        "instruction_licence": None,
    }


def _identity(row: Row) -> str:
    """What stands for the picture: its bytes, or its address where they are not at hand."""
    return str(row["image_sha256"] or row["image_url"])


def _caption(row: Row, lang: str) -> str | None:
    """The description in a language, else in the other one."""
    other = "en" if lang == "zh" else "zh"
    caption: str | None = row[f"caption_{lang}"] or row[f"caption_{other}"]
    return caption
