"""What operators that ask a language model share: their model, what a question costs, repairs.

A request that could not be answered (timeouts, a server that is down) is its row's error and can
be tried again; an answer that cannot be used (refused, cut off, not what was asked for) is a
finding about the row, kept with its reason, because asking again gives the same.
"""

from __future__ import annotations

import hashlib
import io
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import pyarrow as pa
from PIL import Image
from pydantic import Field

from operators.base import Operator, by_row, measured
from operators.chat import Answer, Chat, Message, Part, Picture, Reply, Request, Text
from operators.chat_client import open_chat
from operators.chat_model import ChatModel
from operators.pixels import ImageError, decoded, on_white
from operators.seeds import Prompt, Seeds, load
from schemas.columns import schema

_ANSWERED_BADLY = frozenset({"malformed", "truncated", "refused", "empty"})
_PICTURE = ("image_data", "image_format")
_SHOWN = "picture"
"""What the model sees of a row's picture."""
_SHOWN_AS_IT_IS = frozenset({"jpeg", "png", "webp"})
_JPEG_QUALITY = 90


Row = dict[str, Any]


class Unanswered(Exception):
    """A request that got no answer: its row is tried again with `--retry-errors`."""


class Asks(Operator[Chat]):
    """An operator that asks a language model. What it asks is data: see `operators.seeds`."""

    stateful = True
    asks_the_world = True
    offline: ClassVar[Mapping[str, Any]] = {
        "model": ChatModel(name="nobody", mode="replay", key_from=None),
        "replies": ".",
    }
    store_folders: ClassVar[Mapping[str, str]] = {"replies": "replies"}
    tag: ClassVar[str]
    """What its requests are called in reports of what was spent."""

    model: ChatModel = Field(ChatModel(name="gpt-4.1-mini"), description="who is asked")
    seeds: str | None = Field(
        None, description="folder of domains, seed questions and prompts of your own, over ours"
    )
    replies: str | None = Field(
        None, description="folder that keeps every answer; default: in the store"
    )

    def setup(self) -> Chat:
        """A way to the model."""
        load(self.seeds)
        return open_chat(self.model, self.model.cache or self.replies or "replies")

    def close(self, state: Chat) -> None:
        """Let the connections go."""
        state.close()

    def deciding_config(self) -> dict[str, Any]:
        """Which model, with which parameters; not where it is, nor what may be spent."""
        own = self.model_dump(exclude={"model", "replies", "seeds"})
        return own | {"model": self.model.deciding()}

    def provenance(self) -> dict[str, str]:
        """The words of all questions."""
        return super().provenance() | {"seeds": self.data.digest}

    @property
    def data(self) -> Seeds:
        """Domains, seed questions and prompts."""
        return load(self.seeds)

    def needs(self) -> pa.Schema:
        """The picture too, where the model is shown it."""
        shown = [name for name in _PICTURE if self._shows() and name not in self.reads.names]
        return pa.schema([*self.reads, *schema(*shown)])

    def _shows(self) -> bool:
        """Whether the model is shown pictures."""
        return self.model.sees_images

    def request(
        self,
        prompt: Prompt,
        row: Mapping[str, Any],
        answer: Mapping[str, Any] | None,
        *,
        sample: int = 0,
    ) -> Request:
        """A request about a row's picture, which is shown before the question where it may be."""
        parts: tuple[Part, ...] = (Text(prompt.user),)
        if self._sees(row):
            parts = (row[_SHOWN], *parts)
        messages = (Message("system", (Text(prompt.system),)), Message("user", parts))
        model = self.model
        if sample:  # for servers that sample alike for equal seeds
            model = model.model_copy(update={"seed": (model.seed or 0) + sample})
        return model.request(
            messages, dict(answer) if answer else None, sample=sample, tag=self.tag
        )

    @abstractmethod
    def questions(self, rows: Sequence[Row]) -> list[Question]:
        """All that is asked about the rows."""

    def lack(self, question: Question, reply: Reply) -> str | None:
        """What a reply lacks; None where it can be used as it is."""
        return None

    @abstractmethod
    def told(self, row: Row, questions: list[Question], usage: Usage) -> list[Any]:
        """A row's values by the answers to its questions, and what these took; none: all null."""

    def measure(self, batch: pa.Table, state: Chat) -> pa.Table:
        """Ask everything at once, and once more where a reply has a problem that can be mended."""
        rows = self.rows(batch)
        questions = self.questions(rows)
        self._ask(state, questions, [question.request for question in questions])
        again = [question for question in questions if question.repairable is not None]
        self._ask(state, again, [self._repair(question) for question in again])
        results = by_row(self._values, rows, by_rows(questions, len(rows)))
        empty: list[Any] = [None] * len(self.writes)
        lines = [values or empty for values in results.values]
        columns = [[line[index] for line in lines] for index in range(len(empty))]
        return measured(self.writes, columns, results.errors)

    def rows(self, batch: pa.Table) -> list[Row]:
        """The rows of a batch; what the model sees of a picture stands for its bytes."""
        if not self._shows():
            return list(batch.to_pylist())
        rows: list[Row] = batch.drop_columns(["image_data"]).to_pylist()
        views: dict[str, Picture | None] = {}
        for row, data in zip(rows, batch["image_data"], strict=True):
            body = data.as_py()
            digest = hashlib.sha256(body or b"").hexdigest()
            if digest not in views:
                views[digest] = shown(body, row["image_format"], self.model.image_side)
            row[_SHOWN] = views[digest]
        return rows

    def _sees(self, row: Mapping[str, Any]) -> bool:
        """Whether the model is shown the row's picture."""
        return self._shows() and row[_SHOWN] is not None

    def _ask(self, chat: Chat, questions: Sequence[Question], requests: Sequence[Request]) -> None:
        for question, answer in zip(questions, chat.ask(requests), strict=True):
            question.settle(answer, self.lack)

    def _values(self, row: Row, questions: list[Question]) -> list[Any]:
        return self.told(row, questions, all_answered(questions))

    def _repair(self, question: Question) -> Request:
        """The request to write an unusable reply again."""
        said, problem = question.repairable, question.problem
        asked = self.data.prompt("repair", question.lang, reply=said, problem=problem)
        request, mended = question.request, Message("user", (Text(asked.user),))
        return replace(request, messages=(*request.messages, mended), tag=f"{self.tag}-repair")


def shown(data: bytes | None, kind: str | None, side: int) -> Picture | None:
    """A picture at most `side` pixels long; None where there is none that can be seen."""
    if data is None:
        return None
    try:
        found = decoded(data, side=side)
    except ImageError:
        return None
    if max(found.width, found.height) <= side and kind in _SHOWN_AS_IT_IS:
        return Picture(data, f"image/{kind}")
    small = on_white(found.image)
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    small.save(file, "JPEG", quality=_JPEG_QUALITY)
    return Picture(file.getvalue(), "image/jpeg")


@dataclass
class Usage:
    """What requests took."""

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float = 0.0

    def add(self, other: Answer | Usage) -> None:
        """Add what an answer took, usable or not, or what others took."""
        self.requests += other.requests if isinstance(other, Usage) else 1
        self.prompt_tokens += other.prompt_tokens
        self.completion_tokens += other.completion_tokens
        self.usd += other.usd


@dataclass
class Question:
    """A request about a row, and what came of it."""

    row: int
    lang: str
    request: Request
    about: Any = None
    """What the asker needs to know again when it reads the reply."""
    reply: Reply | None = None
    problem: str | None = None
    """Why the reply cannot be used, or what it lacks."""
    unanswered: str | None = None
    usage: Usage = field(default_factory=Usage)
    _said: str = ""

    def settle(self, answer: Answer, check: Check) -> None:
        """Take an answer; one that is of no use does not replace one that lacks something."""
        self.usage.add(answer)
        if isinstance(answer, Reply):
            problem = check(self, answer)
            if self.reply is None or problem is None:
                self.reply, self.problem, self._said = answer, problem, answer.text
        elif answer.cause not in _ANSWERED_BADLY:
            self.unanswered = f"{answer.cause}: {answer.message}"
        elif self.reply is None:
            self.problem, self._said = f"{answer.cause}: {answer.message}", answer.text or ""

    @property
    def repairable(self) -> str | None:
        """The reply to be written again, if that is worth a request: a refusal is not."""
        refused = (self.problem or "").startswith("refused")
        return self._said if self.problem and self._said and not refused else None


Check = Callable[[Question, Reply], str | None]
"""What a reply lacks; None where it can be used as it is."""


def by_rows(questions: Iterable[Question], rows: int) -> list[list[Question]]:
    """The questions of each row, in order."""
    found: list[list[Question]] = [[] for _ in range(rows)]
    for question in questions:
        found[question.row].append(question)
    return found


def all_answered(questions: Iterable[Question]) -> Usage:
    """What a row's questions took.

    Raises:
        Unanswered: one of them got no answer.
    """
    usage = Usage()
    for question in questions:
        if question.unanswered is not None:
            raise Unanswered(question.unanswered)
        usage.add(question.usage)
    return usage
