"""A scripted model that writes sensible instructions: for tests of the pipeline over real HTTP.

`answer(body, nth)` is a script for `tests.chat_server`: it reads which schema is asked for and
fills it with texts about the picture that the prompt tells of, all different, always the same.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

from tests.chat_server import Body, text_of

_THINGS = ("bridge", "river", "tower", "boat", "garden", "market", "mountain", "harbour", "statue")


def schema_of(body: Body) -> dict[str, Any]:
    """The schema that the request wants."""
    found: dict[str, Any] = body["response_format"]["json_schema"]["schema"]
    return found


def subject(body: Body) -> str:
    """A thing that the prompt's picture shows, the same for the same prompt."""
    return _THINGS[_number(text_of(body)) % len(_THINGS)]


def answer(body: Body, nth: int) -> Any:
    """What a good model would say."""
    fields = schema_of(body)["properties"]
    about = subject(body)
    if "caption" in fields:
        known = " ".join(re.findall(r"(?:Caption on the page|图注)\S* (.*)", text_of(body)))
        sentence = f"A stone {about} stands beside the water under a clear sky, {known}. "
        return {"caption": sentence * 12}
    if "pairs" in fields:
        return {"pairs": [_judgements(about, n) for n in range(fields["pairs"]["minItems"])]}
    if "rounds" in fields:
        return {"rounds": [_long(about, n) for n in range(fields["rounds"]["minItems"])]}
    if "answer" in fields:
        choices = fields["answer"].get("enum")
        return {"answer": choices[_number(text_of(body)) % len(choices)] if choices else about}
    items = fields["questions"]
    inside = items["items"]["properties"]
    if "wrong" in inside:
        return {"questions": [_choice(about, n) for n in range(items["minItems"])]}
    short = "one to five words" in text_of(body)
    return {
        "questions": [
            _short(about, n) if short else _long(about, n) for n in range(items["minItems"])
        ]
    }


def _judgements(about: str, number: int) -> dict[str, str]:
    return {
        "question_yes": f"Is there a {about} of type {number} in the picture?",
        "question_no": f"Is there a train of type {number} beside the {about}?",
    }


def _choice(about: str, number: int) -> dict[str, Any]:
    wrong = [thing for thing in _THINGS if thing != about][number : number + 3]
    return {
        "question": f"Which thing stands at place {number} by the water?",
        "correct": about,
        "wrong": wrong,
    }


def _short(about: str, number: int) -> dict[str, str]:
    return {"question": f"What is seen at place {number} by the water?", "answer": about}


def _long(about: str, number: int) -> dict[str, str]:
    return {
        "question": f"What can be said about part {number} of the {about}?",
        "answer": f"Part {number} of the {about} is made of stone. It stands beside the water, "
        "and the clear sky above it shows that it is day.",
    }


def _number(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest())
