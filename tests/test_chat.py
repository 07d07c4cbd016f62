"""Asking models: what goes over the wire, what is kept, what it costs, who may die meanwhile."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import random
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from operators import chat_batch, chat_broker, chat_link
from operators.chat import Answer, ChatFailure, Message, Part, Picture, Reply, Request, Text
from operators.chat_cache import FILE, ChatCache, Kept, spent, why_miss
from operators.chat_client import BrokerChat, ReplayChat, open_chat
from operators.chat_jobs import Job, Outcome, Session
from operators.chat_limits import Gate
from operators.chat_model import ChatModel
from operators.chat_price import Usage, forecast, picture_tokens, prompt_tokens, text_tokens
from operators.chat_wire import Said, answer, asked, body, is_closed, read_json
from schemas.errors import BudgetSpent, InputError, StorageError
from tests.chat_runs import start_run
from tests.chat_server import Act, ChatServer, parts_of, text_of

SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer"}},
    "required": ["n"],
    "additionalProperties": False,
}
KEY = "sk-never-on-disk-0123456789"


def model(url: str, **fields: Any) -> ChatModel:
    return ChatModel(**({"name": "m", "url": url, "key_from": None, "timeout_s": 20} | fields))


def say(text: str, **fields: Any) -> Request:
    return Request("m", (Message("user", (Text(text),)),), **fields)


def many(count: int, **fields: Any) -> list[Request]:
    return [say(f"question {number}", **fields) for number in range(count)]


def picture(side: int = 8, frame_s: float | None = None) -> Picture:
    file = io.BytesIO()
    Image.new("RGB", (side, side), (side % 256, 9, 9)).save(file, "PNG")
    return Picture(file.getvalue(), "image/png", frame_s)


class Opener:
    """Chats that are closed after the test; their brokers end soon after."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._open: list[ReplayChat] = []

    def __call__(self, config: ChatModel, folder: str | None = None) -> BrokerChat:
        chat = open_chat(config, folder or str(self.folder), idle_s=0.3)
        assert isinstance(chat, ReplayChat)
        self._open.append(chat)
        return chat  # type: ignore[return-value]  # replaying ones are asked alike

    def close(self) -> None:
        for chat in self._open:
            chat.close()


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opener]:
    opener = Opener(tmp_path / "cache")
    yield opener
    opener.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opener]:
    """One broker for many small tests, whose requests must differ."""
    opener = Opener(tmp_path_factory.mktemp("shared"))
    yield opener
    opener.close()


def replies(answers: list[Answer]) -> list[Reply]:
    assert all(isinstance(item, Reply) for item in answers), answers
    return [item for item in answers if isinstance(item, Reply)]


def failure(found: Answer) -> ChatFailure:
    assert isinstance(found, ChatFailure), found
    return found


# --- Over the wire --------------------------------------------------------------------------------

_PARTS = st.lists(
    st.one_of(
        st.text(min_size=1, max_size=9).map(Text),
        st.builds(Picture, st.binary(max_size=9), st.just("image/png"), st.none()),
    ),
    min_size=1,
    max_size=8,
)


@settings(deadline=None)  # the first example imports libraries
@given(_PARTS)
def test_the_order_of_parts_is_that_of_the_request(parts: list[Part]) -> None:
    request = Request("m", (Message("user", tuple(parts)),))
    sent = parts_of(json.loads(body(asked(request), "plain")))
    if all(isinstance(part, Text) for part in parts):
        assert [p["text"] for p in sent] == ["".join(p.text for p in parts if isinstance(p, Text))]
        return
    assert len(sent) == len(parts)
    for part, item in zip(parts, sent, strict=True):
        if isinstance(part, Text):
            assert item == {"type": "text", "text": part.text}
        else:
            kept = chat_bytes(item["image_url"]["url"])
            assert (item["type"], kept) == ("image_url", part.data)


def chat_bytes(url: str) -> bytes:
    assert url.startswith("data:image/png;base64,")
    return base64.b64decode(url.partition(",")[2])


def test_pictures_and_frames_reach_the_server_in_order(opened: Opener) -> None:
    parts = (Text("a"), picture(8), Text("b"), picture(9, frame_s=2.5), picture(10), Text("c"))
    asks = Request("m", (Message("system", (Text("s"),)), Message("user", parts)))
    with ChatServer() as server:
        opened(model(server.url, detail="low")).ask([asks])
        (sent,) = server.bodies()
    kinds = [p.get("text") or chat_bytes(p["image_url"]["url"]) for p in parts_of(sent)]
    pictures = [part.data for part in parts if isinstance(part, Picture)]
    assert kinds == ["a", pictures[0], "b", "Frame at 2.5 s:", pictures[1], pictures[2], "c"]
    assert sent["messages"][0] == {"role": "system", "content": "s"}


def test_parameters_go_out_as_they_are_and_detail_to_the_pictures() -> None:
    config = ChatModel(name="m", temperature=0.3, seed=7, detail="high", extra={"top_k": 5})
    request = config.request((Message("user", (picture(), Text("?"))),))
    sent = json.loads(body(asked(request), "plain"))
    assert parts_of(sent)[0]["image_url"]["detail"] == "high"
    del sent["messages"]
    expected = {"model": "m", "temperature": 0.3, "max_tokens": 1024, "seed": 7, "top_k": 5}
    assert sent == expected


def test_azure_has_its_own_path_version_and_header(
    opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_KEY", KEY)
    with ChatServer(key=KEY) as server:
        config = model(
            server.azure_url, api="azure", deployment="mine", api_version="v9", key_from="AZURE_KEY"
        )
        replies(opened(config).ask([say("hello")]))
        (call,) = server.calls()
    assert call["path"] == "/openai/deployments/mine/chat/completions"
    assert call["query"] == "api-version=v9"
    assert call["headers"]["api-key"] == KEY
    assert "authorization" not in call["headers"]


def test_the_key_is_nowhere_on_disk_and_in_no_error(
    opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_KEY", KEY)
    with ChatServer(key=KEY) as server, ChatServer(key="another") as strict:
        replies(opened(model(server.url, key_from="SOME_KEY")).ask(many(3)))
        refused = failure(opened(model(strict.url, key_from="SOME_KEY")).ask([say("no")])[0])
    assert refused.cause == "unauthorised"
    assert "[key]" in refused.message
    assert KEY not in refused.message
    files = [path for path in opened.folder.rglob("*") if path.is_file()]
    assert {FILE, "broker.json"} <= {path.name for path in files}
    assert not [path.name for path in files if KEY.encode() in path.read_bytes()]
    assert (opened.folder / "broker.json").stat().st_mode & 0o077 == 0


def test_a_missing_key_is_named_before_anything_is_sent(
    opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with ChatServer() as server, pytest.raises(InputError, match="NO_SUCH_KEY is not set"):
        opened(model(server.url, key_from="NO_SUCH_KEY")).ask([say("x")])
    assert not opened.folder.exists() or not (opened.folder / "broker.json").exists()


def test_a_stranger_learns_and_asks_nothing(opened: Opener) -> None:
    with ChatServer() as server:
        opened(model(server.url)).ask([say("x")])
        place = chat_link.read_place(opened.folder)
        assert place is not None
        with pytest.raises((chat_link.Strange, ConnectionError)):
            chat_link.Line(chat_link.Place(place.host, place.port, "a guess"), 5)
        assert server.count() == 1


# --- Answers under a schema -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        '{"n": 3}',
        ' \n{"n": 3}\n',
        '```json\n{"n": 3}\n```',
        'Sure! Here it is:\n```\n{"n": 3}\n```\nAnything else?',
        'The answer is {"n": 3}, I think.',
        '<think>maybe {"n": 4}</think>{"n": 3}',
        'With {braces} and [brackets] before {"n": 3}',
        '{"m": 1} {"n": 3}',
    ],
)
def test_json_is_found_in_what_surrounds_it(text: str) -> None:
    assert read_json(text, SCHEMA) == {"n": 3}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("no", "no JSON in the answer"),
        ('{"n": "3"}', "n: '3' is not of type 'integer'"),
        ('{"n": NaN}', "no JSON in the answer"),
        ("[" * 100_000, "no JSON in the answer"),
        ('{"n": 3, "m": 4}', "the answer: Additional properties"),
    ],
)
def test_what_does_not_satisfy_the_schema_says_where(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem.replace("[", r"\[")):
        read_json(text, SCHEMA)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@settings(deadline=None)  # the first example imports libraries
@given(_JSON)
def test_any_json_is_read_as_it_was_written(value: Any) -> None:
    assert read_json(json.dumps(value), {}) == value
    assert read_json(f"```json\n{json.dumps(value)}\n```", {}) == value


@settings(deadline=None)  # the first example imports libraries
@given(st.text(max_size=200), st.sampled_from(["stop", "length", "content_filter", "refusal", "?"]))
def test_every_completion_is_a_reply_or_a_named_failure(text: str, finish: str) -> None:
    found = answer(Said(text, finish, 1, 1), SCHEMA, 0.0, False)
    if isinstance(found, Reply):
        assert set(found.data) == {"n"}
    else:
        assert found.cause in ("truncated", "refused", "empty", "malformed")
        assert found.text == text


@pytest.mark.parametrize(
    ("supports", "way"),
    [
        (("schema", "tool", "json"), "json_schema"),
        (("tool", "json"), "tools"),
        (("json",), "json_object"),
        ((), "told"),
    ],
)
def test_what_a_server_refuses_is_not_tried_again(
    shared: Opener, supports: tuple[str, ...], way: str
) -> None:
    def script(sent: dict[str, Any], nth: int) -> dict[str, Any]:
        told = "JSON Schema" in text_of(sent)
        constraint = sent.get("response_format", {}).get("type") or (
            "tools" if "tools" in sent else "told"
        )
        assert told == (constraint in ("json_object", "told"))
        return {"n": ["json_schema", "tools", "json_object", "told"].index(constraint)}

    with ChatServer(script, supports=supports) as server:
        chat = shared(model(server.url, max_concurrency=1))
        found = replies(chat.ask([say(f"{way} {n}", schema=SCHEMA) for n in range(5)]))
        refusals = server.count() - 5
    place = ["json_schema", "tools", "json_object", "told"].index(way)
    assert [reply.data for reply in found] == [{"n": place}] * 5
    assert refusals == place


def test_a_way_that_is_set_is_not_left(shared: Opener) -> None:
    with ChatServer(supports=()) as server:
        chat = shared(model(server.url, structured="schema"))
        assert failure(chat.ask([say("set", schema=SCHEMA)])[0]).cause == "bad_request"


def test_parameters_under_new_names(shared: Opener) -> None:
    def script(sent: dict[str, Any], nth: int) -> Act | str:
        if "max_tokens" in sent:
            return Act("Use 'max_completion_tokens' instead of 'max_tokens'.", status=400)
        return str(sent["max_completion_tokens"])

    with ChatServer(script) as server:
        chat = shared(model(server.url, max_concurrency=1))
        found = replies(chat.ask(many(3, parameters={"max_tokens": 7})))
        assert [reply.text for reply in found] == ["7"] * 3
        assert server.count() == 4


def test_strict_is_claimed_for_closed_schemas_only() -> None:
    assert is_closed(SCHEMA)
    assert not is_closed({"type": "object", "properties": {"n": {}}, "required": ["n"]})
    assert not is_closed({"type": "array", "items": {**SCHEMA, "required": []}})


# --- What is no answer ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("act", "cause", "text"),
    [
        (Act("half an ans", finish="length"), "truncated", "half an ans"),
        (Act("", finish="content_filter"), "refused", ""),
        (Act(refusal="I cannot do that"), "refused", "I cannot do that"),
        (Act('{"n": "x"}'), "malformed", '{"n": "x"}'),
        (Act(" "), "empty", " "),
    ],
)
def test_what_was_paid_for_is_kept_also_when_it_is_no_answer(
    shared: Opener, act: Act, cause: str, text: str
) -> None:
    with ChatServer(lambda sent, nth: act) as server:
        prices = {"usd_per_million_prompt": 10, "usd_per_million_completion": 100}
        chat = shared(model(server.url, **prices))
        for _ in range(2):
            found = failure(chat.ask([say(f"x {act}", schema=SCHEMA, tag=str(act))])[0])
            assert (found.cause, found.text) == (cause, text)
        assert server.count() == 1
    (one,) = [some for some in spent(str(shared.folder)) if some.tag == str(act)]
    assert (one.requests, round(one.usd, 6)) == (1, 0.002)


@pytest.mark.parametrize(
    ("act", "cause", "sent"),
    [
        (Act("bad", status=400), "bad_request", 1),
        (Act("nobody", status=403), "forbidden", 1),
        (Act("where", status=404), "not_found", 1),
        (Act("big", status=413), "too_large", 1),
        (Act("insufficient_quota", status=429), "no_credit", 1),
        (Act("later", status=429, retry_after="600"), "rate_limited", 1),
        (Act("boom", status=500), "server_error", 2),
        (Act("x", cut=True), "bad_response", 2),
        (Act(raw=b'{"error": {"message": "upstream"}}'), "bad_response", 2),
        (Act(raw=b'{"choices": []}'), "bad_response", 2),
        (Act(raw=b"<html>sign in</html>"), "bad_response", 2),
        (Act("x", reset=True), "disconnected", 2),
        (Act("x", hang=True), "timeout", 2),
        (Act("", status=302, headers={"Location": "/v1/chat/completions"}), "http_302", 1),
    ],
)
def test_every_failure_has_its_cause(shared: Opener, act: Act, cause: str, sent: int) -> None:
    def script(body: dict[str, Any], nth: int) -> Act | str:
        return act if text_of(body).startswith("bad") else "fine"

    with ChatServer(script) as server:
        chat = shared(model(server.url, attempts=2, timeout_s=0.5, patience_s=5))
        good = replies(chat.ask([say(f"good {act}")]))
        found = failure(chat.ask([say(f"bad {act}")])[0])
        assert (good[0].text, found.cause, found.text) == ("fine", cause, None)
        assert server.count() == sent + 1


def test_a_pause_beyond_patience_ends_all_rows_without_asking(shared: Opener) -> None:
    with ChatServer(lambda sent, nth: Act("no", status=429, retry_after="600")) as server:
        chat = shared(model(server.url, max_concurrency=2, patience_s=5))
        found = chat.ask(many(20, sample=9))
        assert {failure(item).cause for item in found} == {"rate_limited"}
        assert server.count() <= 3


def test_nobody_listens(shared: Opener) -> None:
    chat = shared(model("http://127.0.0.1:9/v1", attempts=2))
    assert failure(chat.ask([say("nobody")])[0]).cause == "connect"


def test_a_failure_is_not_kept(shared: Opener) -> None:
    with ChatServer(lambda sent, nth: Act("x", status=400) if nth == 1 else "now") as server:
        chat = shared(model(server.url))
        assert failure(chat.ask([say("again")])[0]).cause == "bad_request"
        assert replies(chat.ask([say("again")]))[0].text == "now"


def test_a_fifth_of_failures_and_no_error_is_an_answer(opened: Opener) -> None:
    troubles = [
        Act("trouble", status=500),
        Act("trouble", status=429, retry_after="0.05"),
        Act("trouble", status=503),
        Act("trouble", reset=True),
        Act("trouble", cut=True),
        Act(raw=b"trouble"),
        Act("trouble", hang=True),
    ]

    def script(sent: dict[str, Any], nth: int) -> Act | str:
        drawn = random.Random(f"{text_of(sent)} {nth}")
        return drawn.choice(troubles) if drawn.random() < 0.2 else "fine"

    with ChatServer(script, latency_s=0.01) as server:
        chat = opened(model(server.url, attempts=3, timeout_s=0.4, max_concurrency=30))
        found = chat.ask(many(200))
    assert {item.text for item in found if isinstance(item, Reply)} == {"fine"}
    causes = {item.cause for item in found if isinstance(item, ChatFailure)}
    assert causes <= {"server_error", "bad_response", "disconnected", "timeout"}
    assert len(replies([item for item in found if isinstance(item, Reply)])) >= 190


def test_a_model_that_sees_no_images_is_not_shown_any(shared: Opener) -> None:
    shown = Request("m", (Message("user", (picture(), Text("?"))),))
    with ChatServer() as server:
        found = shared(model(server.url, sees_images=False)).ask([shown, say("seen")])
        assert failure(found[0]).cause == "blind"
        assert replies(found[1:])[0].text == "seen"
        assert server.count() == 1


# --- How fast -------------------------------------------------------------------------------------


@pytest.mark.parametrize("as_date", [False, True])
def test_retry_after_is_honoured(shared: Opener, as_date: bool) -> None:
    def wait() -> str:
        if not as_date:
            return "1"
        return formatdate(time.time() + 2, usegmt=True)

    def script(sent: dict[str, Any], nth: int) -> Act | str:
        return Act("later", status=429, retry_after=wait()) if nth == 1 else "now"

    with ChatServer(script) as server:
        late = say(f"date {as_date}")
        assert replies(shared(model(server.url, attempts=1)).ask([late]))[0].text == "now"
        first, second = (call["at"] for call in server.calls())
    assert 0.9 <= second - first < 6


def test_concurrency_falls_when_the_server_is_busy_and_recovers() -> None:
    async def run() -> list[float]:
        gate = Gate(40)
        entered = [await gate.enter(1) for _ in range(40)]
        waiting = asyncio.ensure_future(gate.enter(1))
        for moment in entered:
            gate.failed(moment, busy=True)
            gate.leave()
        limits = [gate.limit]  # one cut for all that were in flight together
        later = await waiting
        gate.failed(later, busy=False)
        limits.append(gate.limit)
        needed = 0
        while gate.limit < 40:
            gate.succeeded()
            needed += 1
        return [*limits, needed]

    busy, failed, needed = asyncio.run(run())
    assert [busy, failed] == pytest.approx([24, 21.6])
    assert needed < 40 * 10


def test_a_busy_server_costs_no_row(opened: Opener) -> None:
    def script(sent: dict[str, Any], nth: int) -> Act | str:
        return Act("busy", status=503, retry_after="0.1") if nth == 1 else "fine"

    with ChatServer(script, latency_s=0.02) as server:
        replies(opened(model(server.url, max_concurrency=40, attempts=1)).ask(many(60)))
        assert server.count() == 120


def test_requests_a_minute(shared: Opener) -> None:
    with ChatServer() as server:
        chat = shared(model(server.url, requests_per_minute=600))
        began = time.monotonic()
        replies(chat.ask(many(25, sample=1)))
        assert 1.2 < time.monotonic() - began < 8  # 25 at 10 a second, a second's worth at once


def test_tokens_a_minute_count_what_was_used(shared: Opener) -> None:
    with ChatServer(lambda sent, nth: Act("x", usage=(900, 100))) as server:
        began = time.monotonic()
        config = model(server.url, tokens_per_minute=300_000, max_tokens=10, max_concurrency=1)
        replies(shared(config).ask(many(12, sample=2, parameters={"max_tokens": 10})))
        assert 1.1 < time.monotonic() - began < 10  # 11,000 at 5,000 a second, one at once


# --- What is kept ---------------------------------------------------------------------------------


def test_replay_needs_no_network_and_gives_the_same(opened: Opener) -> None:
    asks = [*many(20, schema=SCHEMA), say("prose")]

    def script(sent: dict[str, Any], nth: int) -> Any:
        return "text" if "prose" in text_of(sent) else {"n": 1}

    with ChatServer(script) as server:
        first = replies(opened(model(server.url)).ask(asks))
    replay = opened(model("http://127.0.0.1:9/v1", mode="replay"))
    again = replies(replay.ask(asks))
    assert [(r.text, r.data, r.usd) for r in first] == [(r.text, r.data, r.usd) for r in again]
    assert not any(reply.cached for reply in first)
    assert all(reply.cached for reply in again)
    assert failure(replay.ask([say("new")])[0]).cause == "not_kept"


def test_only_what_changed_is_asked(opened: Opener) -> None:
    def asks(template: str) -> list[Request]:
        return [say(f"caption {n}") for n in range(5)] + [say(f"{template} {n}") for n in range(5)]

    with ChatServer() as server:
        chat = opened(model(server.url))
        chat.ask(asks("generate"))
        chat.ask(asks("generate better"))
        assert server.count() == 15
    assert chat.usage[""].cached == 5


def test_samples_of_one_question_are_several_requests(opened: Opener) -> None:
    with ChatServer() as server:
        asks = [say("x", sample=number % 3) for number in range(9)]
        found = replies(opened(model(server.url)).ask(asks))
        assert server.count() == 3
    assert sum(not reply.cached for reply in found) == 3


def test_two_workers_who_ask_the_same_ask_once(opened: Opener) -> None:
    asks = many(30)
    with ChatServer(latency_s=0.3) as server:
        chats = [opened(model(server.url)) for _ in range(3)]
        found: list[list[Answer]] = [[], [], []]

        def run(number: int) -> None:
            found[number] = chats[number].ask(asks)

        threads = [threading.Thread(target=run, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert server.count() == 30
    assert len({tuple(reply.text for reply in replies(some)) for some in found}) == 1
    assert sum(not reply.cached for some in found for reply in replies(some)) == 30


def test_why_a_request_is_not_kept(opened: Opener) -> None:
    folder = str(opened.folder)

    def ask(text: str = "Look.\nName all cats.", **fields: Any) -> Request:
        messages = (
            Message("system", (Text("You see."),)),
            Message("user", (picture(), Text(text))),
        )
        return Request("m", messages, **({"tag": "cats", "parameters": {"seed": 1}} | fields))

    assert str(why_miss(folder, ask())) == "nothing of this tag has been asked before"
    with ChatServer() as server:
        opened(model(server.url)).ask([ask(), ask("Something else")])
    assert why_miss(folder, ask()).kept
    changed = why_miss(folder, ask("Look.\nName all dogs."))
    assert changed.differs == ("prompt",)
    assert "-Name all cats." in changed.diff
    assert "+Name all dogs." in changed.diff
    both = why_miss(folder, ask(schema=SCHEMA, parameters={"seed": 2}))
    assert (both.nearest, both.differs) == (ask().key, ("parameters", "schema"))
    other = Request("m", (Message("system", (Text("You see."),)),
                          Message("user", (picture(9), Text("Look.\nName all cats.")))),
                    tag="cats", parameters={"seed": 1})  # fmt: skip
    assert why_miss(folder, other).differs == ("media",)
    assert why_miss(folder, ask(tag="dogs")).kept  # a tag is no part of the key


def test_a_foreign_or_newer_cache_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"something else" * 100)
    with pytest.raises(StorageError, match="cannot be opened as a cache"):
        ChatCache(tmp_path)
    (tmp_path / FILE).unlink()
    with sqlite3.connect(tmp_path / FILE) as file:
        file.execute("PRAGMA user_version = 99")
    file.close()
    with pytest.raises(StorageError, match="another version of omniloom"):
        ChatCache(tmp_path)


# --- What it costs --------------------------------------------------------------------------------

PRICES = {"usd_per_million_prompt": 100.0, "usd_per_million_completion": 1000.0}


def test_a_budget_ends_cleanly_and_can_be_raised(opened: Opener) -> None:
    asks = many(60, parameters={"max_tokens": 10})  # 0.01 + 0.01 USD each

    def script(sent: dict[str, Any], nth: int) -> Act:
        return Act(f"about {text_of(sent)}", usage=(100, 10))

    with ChatServer(script, latency_s=0.02) as server:
        config = model(server.url, max_concurrency=8, budget_usd=0.5, **PRICES)
        with pytest.raises(
            BudgetSpent, match=r"(?s)0\.\d+ of 0\.5000 USD .* of 60 .* raise"
        ) as first:
            opened(config).ask(asks)
        (sum_first,) = spent(str(opened.folder))
        assert 0.4 <= sum_first.usd <= 0.5 + 8 * 0.02
        assert server.count() == sum_first.requests
        assert f"; {sum_first.requests} of 60 requests are answered" in str(first.value)
        with pytest.raises(BudgetSpent):
            opened(config).ask(asks)  # spent is spent, also for the next run
        (again,) = spent(str(opened.folder))
        assert again.usd <= 0.5 + 8 * 0.02
        raised = config.model_copy(update={"budget_usd": 5.0})
        assert len(replies(opened(raised).ask(asks))) == 60
        assert server.count() == 60
        assert max(server.counts().values()) == 1
    (all_of_it,) = spent(str(opened.folder))
    assert round(all_of_it.usd, 6) == 1.2


def test_what_is_kept_costs_nothing_under_a_spent_budget(opened: Opener) -> None:
    with ChatServer() as server:
        config = model(server.url, budget_usd=2.0, **PRICES)
        opened(config).ask([say("x")])
        poor = config.model_copy(update={"budget_usd": 0.0})
        assert replies(opened(poor).ask([say("x")]))[0].cached
        with pytest.raises(BudgetSpent):
            opened(poor).ask([say("x"), say("y")])


def test_a_budget_without_prices_is_refused() -> None:
    with pytest.raises(ValueError, match="budget_usd needs usd_per_million_prompt"):
        ChatModel(name="m", budget_usd=1)


def test_spending_by_tag_and_what_a_chat_used(opened: Opener) -> None:
    with ChatServer() as server:
        chat = opened(model(server.url, **PRICES))
        chat.ask([*many(3, tag="caption"), *(say(f"g {n}", tag="generate") for n in range(2))])
        chat.ask(many(3, tag="caption"))
    found = {s.tag: (s.requests, s.prompt_tokens, round(s.usd, 6)) for s in spent(str(chat.folder))}
    assert found == {"caption": (3, 300, 0.06), "generate": (2, 200, 0.04)}
    used = chat.usage["caption"]
    assert (used.requests, used.cached, round(used.usd, 6), round(used.saved_usd, 6)) == (
        6, 3, 0.06, 0.06,
    )  # fmt: skip


def test_tokens_are_estimated_roughly() -> None:
    english = "The quick brown fox jumps over the lazy dog. " * 20
    assert 150 < text_tokens(english) < 300
    assert 60 < text_tokens("这是一个关于图像和文字的简单句子。" * 6) < 110
    assert picture_tokens(picture(64)) == 85 + 170
    assert picture_tokens(Picture(b"no image", "image/png")) == 85 + 170 * 4
    assert picture_tokens(picture(64), "low") == 85
    assert prompt_tokens(say(english, schema=SCHEMA)) > prompt_tokens(say(english))


def test_a_forecast_holds_in_about_nine_of_ten_cases() -> None:
    drawn = random.Random(5)
    held = 0
    for _ in range(300):
        costs = [drawn.lognormvariate(0, 0.4) for _ in range(400)]
        found = forecast([Usage(100 * cost, 10, cost) for cost in costs[:20]], 400)
        held += found.usd.low <= sum(costs) <= found.usd.high
    assert 250 <= held <= 290  # 90 % of 300 is 270


@settings(deadline=None)  # the first example imports libraries
@given(st.lists(st.floats(0, 10), min_size=2, max_size=20), st.integers(0, 1000))
def test_a_forecast_is_ordered_and_knows_what_is_paid(costs: list[float], more: int) -> None:
    found = forecast([Usage(1, 1, cost) for cost in costs], len(costs) + more).usd
    assert sum(costs) - 1e-9 <= found.low <= found.mean + 1e-9
    assert found.mean <= found.high + 1e-9
    if not more:
        assert found.high - found.low < 1e-9


def test_a_forecast_needs_a_pilot() -> None:
    with pytest.raises(ValueError, match="pilot of 2 to 10, not 1"):
        forecast([Usage(1, 1, 1)], 10)


# --- Who dies -------------------------------------------------------------------------------------


def killed(run: BaseProcess) -> None:
    assert run.pid is not None
    os.killpg(run.pid, signal.SIGKILL)
    run.join()
    run.close()


def test_twenty_kills_and_every_request_is_sent_once(tmp_path: Path) -> None:
    drawn = random.Random(20)
    count = 400
    with ChatServer(latency_s=0.1) as server:
        for _ in range(20):
            before, until = server.count(), time.monotonic() + 20
            run = start_run(server.url, tmp_path, tmp_path, count)
            # Kill when some more requests are out, so that every kill hits work in flight.
            while server.count() < min(before + drawn.randint(1, 6), count - 4):
                assert time.monotonic() < until
                time.sleep(0.02)
            assert not list(tmp_path.glob("?.json"))
            killed(run)
        run = start_run(server.url, tmp_path, tmp_path, count)
        run.join(60)
        rows = [json.loads(path.read_text()) for path in tmp_path.glob("?.json")]
        assert rows == [[f"question {number}" for number in range(count)]] * 2
        assert server.count() == count
        assert set(server.counts().values()) == {1}


def test_a_killed_broker_is_replaced_and_what_was_kept_is_there(opened: Opener) -> None:
    with ChatServer(latency_s=0.05) as server:
        chat = opened(model(server.url, max_concurrency=2))
        replies(chat.ask(many(10)))
        place = chat_link.read_place(opened.folder)
        assert place is not None
        killer = threading.Timer(0.3, lambda: os.kill(broker_of(place.port), signal.SIGKILL))
        killer.start()
        found = replies(chat.ask(many(40)))
        killer.join()
        assert [reply.text for reply in found] == [f"question {n}" for n in range(40)]
        # What was in flight is sent again, and answers on their way to disk; not what was kept.
        assert 40 <= server.count() <= 48


def broker_of(port: int) -> int:
    for connection in psutil.net_connections("tcp"):
        if connection.status == "LISTEN" and connection.laddr[1:] == (port,):
            assert connection.pid is not None
            return int(connection.pid)
    raise AssertionError("nobody listens")


def test_the_broker_ends_when_nobody_needs_it(opened: Opener) -> None:
    with ChatServer() as server:
        chat = opened(model(server.url))
        chat.ask([say("x")])
        time.sleep(0.8)
        assert chat_link.read_place(opened.folder) is not None  # a client is still there
        chat.close()
        until = time.monotonic() + 10
        while chat_link.read_place(opened.folder) is not None:
            assert time.monotonic() < until
            time.sleep(0.05)
        assert replies(chat.ask([say("x"), say("y")]))[0].cached


def test_what_nobody_waits_for_is_not_sent(tmp_path: Path) -> None:
    with ChatServer(latency_s=0.5) as server:
        run = start_run(server.url, tmp_path, tmp_path, 100)
        while server.count() < 4:
            time.sleep(0.02)
        killed(run)
        then = server.count()
        time.sleep(1.8)  # three more rounds of four
        assert server.count() <= then + 4


def test_a_broker_elsewhere(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(chat_link.TOKEN_VARIABLE, "shared by the cluster")
    with ChatServer(key=KEY) as server:
        monkeypatch.setenv("SOME_KEY", KEY)
        config = model(server.url, key_from="SOME_KEY")
        replies(opened(config).ask([say("x")]))
        place = chat_link.read_place(opened.folder)
        assert place is not None
        monkeypatch.setenv(chat_link.ADDRESS_VARIABLE, f"{place.host}:{place.port}")
        monkeypatch.delenv("SOME_KEY")
        far = opened(config, str(opened.folder.parent / "another machine"))
        found = replies(far.ask([say("x"), say("y")]))
        assert [reply.cached for reply in found] == [True, False]
        assert not (opened.folder.parent / "another machine").exists()
        monkeypatch.delenv(chat_link.TOKEN_VARIABLE)
        with pytest.raises(InputError, match="TOKEN is not"):
            opened(config, "elsewhere").ask([say("z")])


# --- Batches --------------------------------------------------------------------------------------


def batch_model(server: ChatServer, **fields: Any) -> ChatModel:
    return model(server.url, **({"mode": "batch", "batch_poll_s": 0.05} | fields))


def test_a_batch_is_written_sent_and_collected(opened: Opener) -> None:
    def script(sent: dict[str, Any], nth: int) -> Any:
        number = int(text_of(sent).split()[1])
        if number == 3:
            return Act("no such thing", status=400)
        return Act(hang=True) if number == 4 else {"n": number}

    with ChatServer(script) as server:
        chat = opened(batch_model(server, **PRICES))
        asks = many(6, schema=SCHEMA, tag="t")
        found = chat.ask([*asks, asks[0]])
        assert [r.data for r in found if isinstance(r, Reply)] == [
            {"n": n} for n in (0, 1, 2, 5, 0)
        ]
        assert failure(found[3]).cause == "bad_request"
        assert failure(found[4]).cause == "missing"
        assert server.count() == 6
        chat.ask(asks)  # only those that failed
        assert server.count() == 8
        posts = [call["path"] for call in server.calls() if call["method"] == "POST"]
        assert posts == ["/v1/files", "/v1/batches"] * 2
    assert [s.requests for s in spent(str(opened.folder))] == [4]
    assert not list((opened.folder / "batches").iterdir())


def test_a_batch_outlives_its_run_and_its_broker(opened: Opener) -> None:
    with ChatServer(batch_s=2.5) as server:
        chat = opened(batch_model(server))
        waiting = threading.Thread(target=lambda: chat.ask(many(5)))
        waiting.start()
        until = time.monotonic() + 10
        while not any(call["path"] == "/v1/batches" for call in server.calls()):
            assert time.monotonic() < until
            time.sleep(0.02)
        time.sleep(0.3)
        place = chat_link.read_place(opened.folder)
        assert place is not None
        os.kill(broker_of(place.port), signal.SIGKILL)  # the client starts another by itself
        again = replies(opened(batch_model(server)).ask(many(5)))
        waiting.join()
        assert [reply.text for reply in again] == [f"question {n}" for n in range(5)]
        assert server.count() == 5
        made = [c for c in server.calls() if (c["method"], c["path"]) == ("POST", "/v1/batches")]
        assert len(made) == 1


def test_batches_are_cut_by_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_batch, "MOST_ROWS", 4)
    with ChatServer(batch_s=0.1) as server:
        found = asyncio.run(batched(tmp_path, batch_model(server), many(10)))
        assert found == {request.key: request.prompt for request in many(10)}
        made = [c for c in server.calls() if (c["method"], c["path"]) == ("POST", "/v1/batches")]
        assert len(made) == 3


async def batched(folder: Path, config: ChatModel, requests: list[Request]) -> dict[str, str]:
    """The texts of a broker's batches, in this process."""
    found: dict[str, str] = {}
    async with aiohttp.ClientSession() as http:
        broker = chat_broker.Broker(folder, http)
        gathered, ended, session = None, asyncio.Event(), Session(config, None)
        for request in requests:

            def tell(outcome: Outcome, cached: bool, key: str = request.key) -> None:
                assert isinstance(outcome, Kept)
                found[key] = outcome.said.text
                if len(found) == len(requests):
                    ended.set()

            job = Job(asked(request), session, lambda key: None, [tell])
            gathered = broker.batches.add(job, gathered)
        broker.batches.send(gathered)
        await asyncio.wait_for(ended.wait(), 20)
    return found


def test_a_batch_is_held_to_the_budget(opened: Opener) -> None:
    asks = many(10, parameters={"max_tokens": 10})
    with ChatServer() as server:
        config = batch_model(server, budget_usd=0.055, **PRICES)
        with pytest.raises(BudgetSpent):
            opened(config).ask(asks)
        assert 0 < server.count() < 10
        raised = config.model_copy(update={"budget_usd": 5.0})
        assert len(replies(opened(raised).ask(asks))) == 10
        assert server.count() == 10


# --- In the process -------------------------------------------------------------------------------

_STAND_IN = """
from types import SimpleNamespace

CALLS = []


class SamplingParams:
    def __init__(self, **fields):
        self.fields = fields


class LLM:
    def __init__(self, **fields):
        self.fields = fields

    def chat(self, messages, parameters, use_tqdm):
        CALLS.append((self.fields, messages, [some.fields for some in parameters]))
        best = SimpleNamespace(text='{"n": 1}', finish_reason="stop", token_ids=[1, 2])
        return [SimpleNamespace(outputs=[best], prompt_token_ids=[1, 2, 3]) for _ in messages]


class GuidedDecodingParams:
    def __init__(self, json):
        self.json = json


sampling_params = SimpleNamespace(GuidedDecodingParams=GuidedDecodingParams)
"""


def test_what_vllm_is_given_and_what_is_kept_of_it(
    opened: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library is a stand-in: this says nothing of vLLM itself."""
    (tmp_path / "vllm.py").write_text(_STAND_IN)
    monkeypatch.syspath_prepend(tmp_path)
    config = ChatModel(name="m", mode="vllm", engine={"seed": 3})
    asks = [*many(3, schema=SCHEMA, parameters={"max_tokens": 9}), say("0", schema=SCHEMA)]
    found = replies(opened(config).ask([*asks, asks[0]]))
    assert [reply.data for reply in found] == [{"n": 1}] * 5
    assert [reply.cached for reply in found] == [False] * 4 + [True]
    (call,) = sys.modules["vllm"].CALLS
    assert call[0] == {"model": "m", "seed": 3}
    assert call[1][0] == [{"role": "user", "content": "question 0"}]
    assert call[2][0]["max_tokens"] == 9
    assert call[2][0]["guided_decoding"].json == SCHEMA
    replay = replies(opened(config.model_copy(update={"mode": "replay"})).ask(asks))
    assert all(reply.cached for reply in replay)
    del sys.modules["vllm"]


def test_without_vllm_it_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="pip install vllm"):
        open_chat(ChatModel(name="m", mode="vllm"), str(tmp_path))
