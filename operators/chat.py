"""What is said to a language model and what it answers: ordered parts, requests, replies.

The words are those of OpenAI's chat API. The order of parts is kept everywhere, because a model
reads "this picture, then this one" differently from two pictures and two sentences. How requests
reach a model is the business of `chat_client`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Protocol


@dataclass(frozen=True)
class Text:
    """A part that is read."""

    text: str


@dataclass(frozen=True)
class Picture:
    """A part that is seen: an image's bytes, or a frame of a video at a time in seconds."""

    data: bytes
    media_type: str
    frame_s: float | None = None

    @property
    def sha256(self) -> str:
        """Hash of the bytes, hexadecimal: what stands for them in keys."""
        return hashlib.sha256(self.data).hexdigest()


Part = Text | Picture


@dataclass(frozen=True)
class Message:
    """One turn of a chat; its parts are in the order in which the model gets them."""

    role: Literal["system", "user", "assistant"]
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Request:
    """What a model is asked once.

    `schema` is a JSON Schema that the answer must satisfy; None for plain text. `parameters` go
    out as they are (`temperature`, `max_tokens`, `seed`, ...). `sample` tells equal requests apart
    that are meant to be asked several times, as self-consistency does.
    """

    model: str
    messages: tuple[Message, ...]
    schema: Mapping[str, Any] | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    sample: int = 0
    tag: str = ""
    """What asks, as 'caption' or 'generate': for prices and reports, no part of the key."""

    def key_parts(self) -> dict[str, str]:
        """Hashes of what decides the answer, by name: a miss is explained by those that differ."""
        return dict(self._key_parts)

    @cached_property
    def _key_parts(self) -> dict[str, str]:
        system = [m for m in self.messages if m.role == "system"]
        others = [m for m in self.messages if m.role != "system"]
        media = [p.sha256 for m in self.messages for p in m.parts if isinstance(p, Picture)]
        return {
            "model": _hash(self.model),
            "system": _hash(_said(system)),
            "prompt": _hash(_said(others)),
            "media": _hash(media),
            "parameters": _hash(dict(self.parameters)),
            "schema": _hash(self.schema),
            "sample": _hash(self.sample),
        }

    @cached_property
    def key(self) -> str:
        """64 hexadecimal digits that stand for the request; the same question has the same key."""
        return _hash(self._key_parts)

    @property
    def prompt(self) -> str:
        """All that is asked as text, for people: `[picture]` where one is seen."""
        return "\n\n".join(
            "".join(p.text if isinstance(p, Text) else "[picture]" for p in message.parts)
            for message in self.messages
        )


@dataclass(frozen=True)
class Reply:
    """What a model answered.

    `data` is the parsed answer where the request has a schema. `cached` tells that nobody was
    asked: the answer was known, and `usd` is what it cost then.
    """

    text: str
    data: Any
    finish: str
    prompt_tokens: int
    completion_tokens: int
    usd: float
    cached: bool = False


@dataclass(frozen=True)
class ChatFailure:
    """Why there is no answer: `cause` is a short name (`timeout`, `refused`, `malformed`, ...).

    `text` is what the model said where it said something that is no answer, as a repair needs it;
    tokens and `usd` are then what that took.
    """

    cause: str
    message: str
    text: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float = 0.0


Answer = Reply | ChatFailure


class Chat(Protocol):
    """A way to a model."""

    def ask(self, requests: Sequence[Request]) -> list[Answer]:
        """An answer for each request, in order; one failing request costs no other.

        Raises:
            BudgetSpent: what is left of the budget does not pay for what is still to be asked.
                Everything answered until then is kept, and never paid for again.
        """

    def close(self) -> None:
        """Let connections go."""


def _said(messages: Sequence[Message]) -> list[Any]:
    return [
        [m.role, [p.text if isinstance(p, Text) else {"frame_s": p.frame_s} for p in m.parts]]
        for m in messages
    ]


_ENCODED = json.JSONEncoder(sort_keys=True, ensure_ascii=True).encode


def _hash(value: Any) -> str:
    return hashlib.sha256(_ENCODED(value).encode()).hexdigest()
