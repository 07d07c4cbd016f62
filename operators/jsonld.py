"""JSON-LD in pages: what schema.org entities a page states, whatever the state of its JSON."""

from __future__ import annotations

import html
import json
import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

# Bounds on what one page may cost, far above what honest pages hold.
_MAX_SCRIPT = 1_000_000
_MAX_VALUES = 8
_MAX_STEPS = 500

_OTHER_WORKS = frozenset(
    (
        "audioobject",
        "book",
        "course",
        "creativework",
        "criticreview",
        "dataset",
        "episode",
        "event",
        "howto",
        "jobposting",
        "movie",
        "musicrecording",
        "podcastepisode",
        "product",
        "productgroup",
        "question",
        "recipe",
        "report",
        "review",
        "softwareapplication",
        "videoobject",
    )
)
_DECODER = json.JSONDecoder(strict=False)
_TRAILING_COMMA = re.compile(r",\s*([}\]])")
_BAD_ESCAPE = re.compile(r'\\(?!["\\/bfnrtu])')


class Kind(IntEnum):
    """What an entity is to its page, the likely subject first."""

    ARTICLE = 0
    OTHER_WORK = 1
    WEB_PAGE = 2
    OTHER = 3


@dataclass(frozen=True)
class Entity:
    """A thing that JSON-LD describes; its types are lower-case names without a vocabulary."""

    types: tuple[str, ...]
    data: dict[str, Any]

    @property
    def kind(self) -> Kind:
        """What it is to the page."""
        if not _OTHER_WORKS.isdisjoint(self.types):
            return Kind.OTHER_WORK
        if any(name.endswith(("article", "posting")) for name in self.types):
            return Kind.ARTICLE
        return Kind.WEB_PAGE if any(name.endswith("page") for name in self.types) else Kind.OTHER

    @property
    def is_organization(self) -> bool:
        """Whether it is a publisher, a company or the like."""
        return any(name.endswith(("organization", "corporation")) for name in self.types)


class Graph:
    """The entities at the top of a page's scripts; those inside others describe other things."""

    def __init__(self, scripts: Iterable[str]) -> None:
        self.entities = list(_entities(scripts))
        named = (entity.data for entity in self.entities if "name" in entity.data)
        self._names = {d["@id"]: d["name"] for d in named if isinstance(d.get("@id"), str)}

    def of_kind(self, *kinds: Kind) -> list[Entity]:
        """Entities of these kinds, in the order of the page."""
        return [entity for entity in self.entities if entity.kind in kinds]

    def names(self, value: object) -> Iterator[str]:
        """Names of the people or organizations that a value states or refers to."""
        queue = deque([value])
        for _ in range(_MAX_STEPS):
            if not queue:
                break
            item = queue.popleft()
            if isinstance(item, str):
                yield item
            elif isinstance(item, list):
                queue.extendleft(reversed(item[:_MAX_STEPS]))
            elif isinstance(item, dict):
                queue.appendleft(item.get("@value", item.get("name", self._referred(item))))

    def _referred(self, reference: dict[str, Any]) -> object:
        name = reference.get("@id")
        return self._names.get(name) if isinstance(name, str) else None


def texts(value: object) -> list[str]:
    """The texts that a value may stand for: itself, its name, those of its items."""
    items = value[:_MAX_STEPS] if isinstance(value, list) else [value]
    plain = (
        item.get("@value", item.get("name")) if isinstance(item, dict) else item for item in items
    )
    return [text for text in plain if isinstance(text, str)]


def stated(entities: Iterable[Entity], *keys: str) -> Iterator[str]:
    """Texts under these keys, key by key."""
    entities = list(entities)
    for key in keys:
        for entity in entities:
            yield from texts(entity.data.get(key))


def _entities(scripts: Iterable[str]) -> Iterator[Entity]:
    queue = deque(value for script in scripts for value in _values(script))
    for _ in range(_MAX_STEPS):
        if not queue:
            break
        value = queue.popleft()
        if isinstance(value, list):
            queue.extend(value[:_MAX_STEPS])
        elif isinstance(value, dict):
            yield Entity(_types(value), value)
            queue.extend(value.get(key) for key in ("@graph", "mainEntity", "mainEntityOfPage"))


def _types(data: dict[str, Any]) -> tuple[str, ...]:
    value = data.get("@type")
    names = value[:_MAX_VALUES] if isinstance(value, list) else [value]
    return tuple(re.split("[/:#]", name.lower())[-1] for name in names if isinstance(name, str))


def _values(script: str) -> list[Any]:
    """The JSON values that a script holds among comment signs; none when it is beyond repair."""
    if len(script) > _MAX_SCRIPT:
        return []
    text = script.replace("<![CDATA[", "").replace("]]>", "")
    values = _decoded(text)
    return values if values is not None else _decoded(_repaired(text)) or []


def _decoded(text: str) -> list[Any] | None:
    """The values that begin with a brace or bracket, None at the first that is broken."""
    values: list[Any] = []
    end = 0
    while len(values) < _MAX_VALUES:
        starts = [start for sign in "{[" if (start := text.find(sign, end)) >= 0]
        if not starts:
            break
        try:
            value, end = _DECODER.raw_decode(text, min(starts))
        except (ValueError, RecursionError):
            return None
        values.append(value)
    return values


def _repaired(text: str) -> str:
    """The text without what pages often do to JSON: escapes for HTML, stray commas and slashes."""
    unescaped = html.unescape(text) if "&quot;" in text[:200] else text
    return _TRAILING_COMMA.sub(r"\1", _BAD_ESCAPE.sub("", unescaped))
