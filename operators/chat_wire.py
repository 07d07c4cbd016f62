"""Requests as OpenAI's chat API has them, and what its answers mean."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from operators.chat import Answer, ChatFailure, Message, Part, Reply, Request, Text
from operators.chat_price import prompt_tokens

Rung = Literal["schema", "tool", "json", "plain"]
RUNGS: tuple[Rung, ...] = ("schema", "tool", "json", "plain")
"""Ways to make an answer fit a schema, best first."""

_NAME = "answer"
_REFUSED_FIELDS = {
    "schema": re.compile(r"response_format|json_?schema|structured|guided|grammar", re.I),
    "tool": re.compile(r"tool|function", re.I),
    "json": re.compile(r"response_format|json", re.I),
}
_NO_SUCH_FIELD = frozenset((400, 404, 422, 500, 501))
_FENCED = re.compile(r"```[a-zA-Z]*[ \t]*\n(.*?)```", re.S)
_STARTS = 50  # places where JSON may begin that are tried within other text
_SHOWN = 200


# --- Out ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """A request on its way to a server, and what the cache keeps of it."""

    key: str
    parts: dict[str, str]
    model: str
    tag: str
    prompt: str
    """For people."""
    parameters: dict[str, Any]
    schema: Mapping[str, Any] | None
    prompt_tokens: int
    """Estimated."""
    messages: bytes
    """JSON."""


def asked(request: Request) -> Asked:
    """The request as it travels."""
    parts = request.key_parts()
    parameters = dict(request.parameters)
    detail = parameters.pop("detail", None)
    messages = [_message(message, detail) for message in request.messages]
    return Asked(
        key=request.key,
        parts=parts,
        model=request.model,
        tag=request.tag,
        prompt=request.prompt,
        parameters=parameters,
        schema=request.schema,
        prompt_tokens=prompt_tokens(request),
        messages=json.dumps(messages, ensure_ascii=False).encode(),
    )


def body(ask: Asked, rung: Rung, renamed: Mapping[str, str] | None = None) -> bytes:
    """What is sent. `renamed` are parameters that the server knows by another name."""
    fields: dict[str, Any] = {"model": ask.model} | {
        (renamed or {}).get(name, name): value for name, value in ask.parameters.items()
    }
    messages = ask.messages
    if ask.schema is not None:
        fields |= _constraint(ask.schema, rung)
        if rung in ("json", "plain"):
            messages = _with_schema_told(messages, ask.schema)
    head = json.dumps(fields, ensure_ascii=False).encode()
    return head[:-1] + b', "messages": ' + messages + b"}"


def _message(message: Message, detail: str | None) -> dict[str, Any]:
    """Text alone stays a string, which the simplest servers understand."""
    if all(isinstance(part, Text) for part in message.parts):
        text = "".join(part.text for part in message.parts if isinstance(part, Text))
        return {"role": message.role, "content": text}
    content = [item for part in message.parts for item in _part(part, detail)]
    return {"role": message.role, "content": content}


def _part(part: Part, detail: str | None) -> Iterator[dict[str, Any]]:
    """A frame is a picture after its time."""
    if isinstance(part, Text):
        yield {"type": "text", "text": part.text}
        return
    if part.frame_s is not None:
        yield {"type": "text", "text": f"Frame at {part.frame_s:g} s:"}
    url = f"data:{part.media_type};base64,{base64.b64encode(part.data).decode()}"
    yield {"type": "image_url", "image_url": {"url": url} | ({"detail": detail} if detail else {})}


def _constraint(schema: Mapping[str, Any], rung: Rung) -> dict[str, Any]:
    match rung:
        case "schema":
            named = {"name": _NAME, "schema": schema, "strict": is_closed(schema)}
            return {"response_format": {"type": "json_schema", "json_schema": named}}
        case "tool":
            function = {"name": _NAME, "description": "Give the answer.", "parameters": schema}
            return {
                "tools": [{"type": "function", "function": function}],
                "tool_choice": {"type": "function", "function": {"name": _NAME}},
            }
        case "json":
            return {"response_format": {"type": "json_object"}}
        case "plain":
            return {}


def is_closed(schema: Any) -> bool:
    """Whether all objects name all their fields, as OpenAI's strict mode wants it."""
    if isinstance(schema, list):
        return all(is_closed(item) for item in schema)
    if not isinstance(schema, Mapping):
        return True
    if schema.get("type") == "object":
        named = set(schema.get("properties", {}))
        closed = schema.get("additionalProperties") is False
        if not closed or set(schema.get("required", ())) != named:
            return False
    return all(is_closed(value) for value in schema.values())


def _with_schema_told(messages: bytes, schema: Mapping[str, Any]) -> bytes:
    """The schema in words, as the last part of the last message: roles keep alternating."""
    told = (
        "\n\nAnswer with JSON alone, without any other text. It must satisfy this JSON Schema:\n"
        + json.dumps(schema, ensure_ascii=False)
    )
    found = json.loads(messages)
    last = found[-1]
    if isinstance(last["content"], str):
        last["content"] += told
    else:
        last["content"].append({"type": "text", "text": told.lstrip()})
    return json.dumps(found, ensure_ascii=False).encode()


def refuses(code: int, text: str, rung: Rung) -> bool:
    """Whether a server's reply says that it does not know this way to constrain answers."""
    pattern = _REFUSED_FIELDS.get(rung)
    return code in _NO_SUCH_FIELD and pattern is not None and bool(pattern.search(text))


# --- In -------------------------------------------------------------------------------------------


class NoCompletion(Exception):
    """A server's body that holds no completion."""


@dataclass(frozen=True)
class Said:
    """What a model said, as it is kept: also what is no answer has been paid for."""

    text: str
    finish: str
    """stop, length, content_filter or refusal; else as the server says."""
    prompt_tokens: int
    completion_tokens: int


def said(payload: Any, ask: Asked) -> Said:
    """A completion from a server's JSON. Where it tells no usage, tokens are estimated.

    Raises:
        NoCompletion: there is none.
    """
    if not isinstance(payload, dict):
        raise NoCompletion("no JSON object")
    if payload.get("error"):
        raise NoCompletion(f"an error within a reply: {error_text(payload)}")
    try:
        choice = payload["choices"][0]
        message = choice["message"]
        text = _content(message)
        finish = choice.get("finish_reason") or "stop"
        refusal = message.get("refusal")
    except (KeyError, IndexError, TypeError, AttributeError):
        raise NoCompletion("no choices") from None
    if refusal:
        text, finish = str(refusal), "refusal"
    usage = payload.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    return Said(
        text=text,
        finish="stop" if finish in ("tool_calls", "function_call", "eos") else str(finish),
        prompt_tokens=_count(usage.get("prompt_tokens"), ask.prompt_tokens),
        completion_tokens=_count(usage.get("completion_tokens"), max(1, len(text) // 3)),
    )


def _content(message: Mapping[str, Any]) -> str:
    calls = message.get("tool_calls")
    if calls:
        arguments = calls[0]["function"]["arguments"]
        return arguments if isinstance(arguments, str) else json.dumps(arguments)
    content = message.get("content")
    if isinstance(content, list):
        return "".join(part.get("text") or "" for part in content)
    if content is None or isinstance(content, str):
        return content or ""
    raise TypeError


def _count(reported: Any, estimated: int) -> int:
    usable = isinstance(reported, int) and not isinstance(reported, bool) and reported >= 0
    return int(reported) if usable else estimated


def error_text(payload: Any) -> str:
    """What a server's error says, on one line."""
    error = payload.get("error", payload) if isinstance(payload, dict) else payload
    if isinstance(error, dict):
        error = error.get("message") or error.get("code") or json.dumps(error)
    return " ".join(str(error).split())[:_SHOWN]


def answer(kept: Said, schema: Mapping[str, Any] | None, usd: float, cached: bool) -> Answer:
    """What was said, as an answer to a request with this schema."""
    tokens = (kept.prompt_tokens, kept.completion_tokens)
    match kept.finish:
        case "length":
            message = "the answer ended at max_tokens"
            return ChatFailure("truncated", message, kept.text, *tokens, usd)
        case "content_filter" | "refusal":
            message = f"the model refused ({kept.finish})"
            return ChatFailure("refused", message, kept.text, *tokens, usd)
    if not kept.text.strip():
        return ChatFailure("empty", "the answer holds no text", kept.text, *tokens, usd)
    data = None
    if schema is not None:
        try:
            data = read_json(kept.text, schema)
        except ValueError as error:
            return ChatFailure("malformed", str(error), kept.text, *tokens, usd)
    return Reply(kept.text, data, kept.finish, *tokens, usd=usd, cached=cached)


def read_json(text: str, schema: Mapping[str, Any]) -> Any:
    """The JSON in an answer, which fences, thoughts or other words may surround.

    Raises:
        ValueError: there is none, or it does not satisfy the schema; the message says where.
    """
    validator = _validator(json.dumps(schema, sort_keys=True))
    problem = "no JSON in the answer"
    for number, found in enumerate(_candidates(text)):
        wrong = next(iter(validator.iter_errors(found)), None)
        if wrong is None:
            return found
        if number == 0:
            place = "/".join(str(step) for step in wrong.absolute_path) or "the answer"
            problem = f"{place}: {wrong.message[:_SHOWN]}"
    raise ValueError(problem)


@lru_cache(maxsize=256)
def _validator(schema: str) -> Any:
    import jsonschema  # the broker reads no answers, and starts faster without
    from jsonschema.validators import validator_for

    found = json.loads(schema)
    kind = validator_for(found, default=jsonschema.Draft202012Validator)
    return kind(found)


def _candidates(text: str) -> Iterator[Any]:
    """What can be read as JSON: the whole, what stands in fences, what begins with a bracket."""
    spoken = text.rsplit("</think>", 1)[-1].strip()
    for piece in (spoken, *_FENCED.findall(spoken)):
        try:
            yield json.loads(piece, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            continue
    decoder = json.JSONDecoder(parse_constant=_no_constant)
    place, tried = 0, 0
    while tried < _STARTS and (start := _BRACKET.search(spoken, place)):
        tried += 1
        try:
            found, place = decoder.raw_decode(spoken, start.start())
        except (ValueError, RecursionError):
            place = start.end()
            continue
        yield found


_BRACKET = re.compile(r"[{\[]")


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
