"""A way to a model: what is kept is read from the cache, all else is asked by its broker."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from operators import chat_link as link
from operators.chat import Answer, Chat, ChatFailure, Picture, Request
from operators.chat_cache import ChatCache, Kept
from operators.chat_link import IDLE_S, Line, Place
from operators.chat_model import ChatModel
from operators.chat_wire import Said, answer, asked
from operators.local_model import SCHEME, LocalServer, local_server
from schemas.errors import BudgetSpent, InputError, OmniloomError

_START_S = 60.0
_CONNECT_S = 10.0
_POLL_S = 0.02
_RESPAWN_S = 5.0
_RECONNECTS = 3
_LEAST_AHEAD = 64
_LOOKED_UP = 256
_START = "from operators.chat_broker import main; main()"
_LOG = "broker.log"


def open_chat(model: ChatModel, folder: str, idle_s: float = IDLE_S) -> Chat:
    """A way to the model; answers are kept in `folder`, or where the model's `cache` says.

    `idle_s` is how long a broker that this starts outlives its last client.

    Raises:
        InputError: the environment holds no key, or the mode's library is not installed.
    """
    place = Path(model.cache or folder)
    if model.mode == "replay":
        return ReplayChat(model, place)
    if model.mode == "vllm":
        from operators.chat_vllm import VllmChat

        return VllmChat(model, place, idle_s)
    return BrokerChat(model, place, idle_s)


@dataclass
class Usage:
    """What one asker has taken from a chat that is open."""

    requests: int = 0
    cached: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float = 0.0
    """Newly spent; what cached answers cost once is in `saved_usd`."""
    saved_usd: float = 0.0

    def add(self, kept: Kept | None, *, cached: bool, failed: bool) -> None:
        """Count one answer."""
        self.requests += 1
        self.failed += failed
        if kept is None:
            return
        self.cached += cached
        if cached:
            self.saved_usd += kept.usd
        else:
            self.usd += kept.usd
            self.prompt_tokens += kept.said.prompt_tokens
            self.completion_tokens += kept.said.completion_tokens


class ReplayChat:
    """Only what is kept: no network, and an answer is always the same."""

    def __init__(self, model: ChatModel, folder: Path) -> None:
        self.model = model
        self.folder = folder
        self.usage: dict[str, Usage] = defaultdict(Usage)
        """By tag."""
        self._cache: ChatCache | None = None
        self._lock = threading.Lock()

    def ask(self, requests: Sequence[Request]) -> list[Answer]:
        """As `Chat.ask`; what is not kept is a failure `not_kept`."""
        with self._lock:
            found = self._kept([request.key for request in requests])
            return [self._answer(r, found.get(r.key), cached=True) for r in requests]

    def close(self) -> None:
        """As `Chat.close`."""
        if self._cache is not None:
            self._cache.close()
            self._cache = None

    def _kept(self, keys: Sequence[str]) -> dict[str, Kept]:
        if self._cache is None:
            try:
                self._cache = ChatCache(self.folder)
            except FileNotFoundError:
                return {}
        return self._cache.get_all(keys)

    def _answer(self, request: Request, kept: Kept | None, *, cached: bool) -> Answer:
        if kept is None:
            found: Answer = ChatFailure("not_kept", f"{self.folder} holds no answer to this")
        else:
            found = answer(kept.said, request.schema, kept.usd, cached)
        self._count(request, kept, cached, found)
        return found

    def _count(self, request: Request, kept: Kept | None, cached: bool, found: Answer) -> None:
        failed = isinstance(found, ChatFailure)
        self.usage[request.tag].add(kept, cached=cached, failed=failed)


class BrokerChat(ReplayChat):
    """What is not kept is asked by the broker of the folder, which is started when needed."""

    def __init__(self, model: ChatModel, folder: Path, idle_s: float) -> None:
        super().__init__(model, folder)
        self._idle_s = idle_s
        self._line: Line | None = None
        self._server: LocalServer | None = None

    def ask(self, requests: Sequence[Request]) -> list[Answer]:
        """As `Chat.ask`."""
        answers: dict[int, Answer] = {}
        with self._lock:
            self._ask_missing(requests, answers)
        return [answers[place] for place in range(len(requests))]

    def close(self) -> None:
        """As `Chat.close`."""
        super().close()
        self._hang_up()
        if self._server is not None:
            self._server.close()

    def _ask_missing(self, requests: Sequence[Request], answers: dict[int, Answer]) -> None:
        """Fill in what is not answered. A broker that dies is started anew, a few times."""
        for left in reversed(range(_RECONNECTS + 1)):
            try:
                return self._exchange(requests, answers)
            except (OSError, EOFError) as error:
                self._hang_up()
                if not left:
                    raise OmniloomError(
                        f"{self.folder}: the broker of this cache ended {_RECONNECTS + 1} times "
                        f"({error})\n    fix: see {_LOG} in that folder"
                    ) from None
            except BaseException:
                self._hang_up()
                raise
        return None

    def _missing(self, requests: Sequence[Request], answers: dict[int, Answer]) -> Iterator[int]:
        """Places of requests that must be asked. All others are filled in on the way."""
        elsewhere = _elsewhere() is not None
        for start in range(0, len(requests), _LOOKED_UP):
            end = min(start + _LOOKED_UP, len(requests))
            places = [place for place in range(start, end) if place not in answers]
            keys = [requests[place].key for place in places]
            found = {} if elsewhere else self._kept(keys)
            for place, key in zip(places, keys, strict=True):
                request = requests[place]
                if key in found:
                    answers[place] = self._answer(request, found[key], cached=True)
                elif not self.model.sees_images and _shows(request):
                    blind = ChatFailure("blind", f"{self.model.name} sees no images")
                    answers[place] = self._counted(request, blind)
                else:
                    yield place

    def _exchange(self, requests: Sequence[Request], answers: dict[int, Answer]) -> None:
        """Send requests a few ahead of their answers, so that little of them is held."""
        todo = self._missing(requests, answers)
        if (first := next(todo, None)) is None:
            return
        todo = chain([first], todo)
        line = self._line or self._hello()
        most = max(_LEAST_AHEAD, 2 * self.model.max_concurrency)
        if self.model.mode == "batch":
            most = len(requests) + 1  # all of them, and then the end
        ahead, spent, ended = 0, None, False
        while True:
            while not ended and spent is None and ahead < most:
                place = next(todo, None)
                if place is None:
                    ended = True
                    if self.model.mode == "batch":
                        line.send({"do": "flush"})
                    break
                self._send(line, place, requests[place])
                ahead += 1
            if not ahead:
                break
            head = line.receive()
            ahead -= 1
            if "spent" in head:
                spent = head["spent"]
            else:
                place = head["id"]
                answers[place] = self._told(requests[place], head)
        if spent is not None:
            for _ in todo:  # what is kept counts as answered
                pass
            raise self._budget_spent(spent, len(answers), len(requests))

    def _send(self, line: Line, place: int, request: Request) -> None:
        ask = dict(vars(asked(request)))
        messages = ask.pop("messages")
        line.send({"do": "ask", "id": place, "ask": ask}, messages)

    def _told(self, request: Request, head: dict[str, Any]) -> Answer:
        if "failure" in head:
            return self._counted(request, ChatFailure(*head["failure"]))
        kept = Kept(Said(**head["said"]), head["usd"])
        return self._answer(request, kept, cached=head["cached"])

    def _counted(self, request: Request, failure: ChatFailure) -> ChatFailure:
        self._count(request, None, False, failure)
        return failure

    def _budget_spent(self, spent: float, answered: int, all: int) -> BudgetSpent:
        budget = self.model.budget_usd or 0.0
        return BudgetSpent(
            f"model {self.model.name}: {spent:.4f} of {budget:.4f} USD are spent, and the next "
            f"request may cost more than is left; {answered} of {all} requests are answered and "
            f"kept, {all - answered} are left\n"
            "    fix: raise budget_usd and run again: what is kept is not paid for again"
        )

    # --- The broker ---

    def _hello(self) -> Line:
        elsewhere = _elsewhere()
        key = None if elsewhere else self.model.key_value()
        line = Line(elsewhere, _CONNECT_S) if elsewhere else self._reached()
        line.send({"do": "hello", "model": self._addressed().model_dump(), "key": key})
        self._line = line
        return line

    def _addressed(self) -> ChatModel:
        """The model with an address that can be asked: a local one is started."""
        if not self.model.url.startswith(SCHEME):
            return self.model
        held, self._server = self._server, local_server(self.model.url)
        if held is not None:
            held.close()
        return self.model.model_copy(update={"url": self._server.url})

    def _hang_up(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None

    def _reached(self) -> Line:
        """A line to the folder's broker. Whoever finds none and is first starts one."""
        self.folder.mkdir(parents=True, exist_ok=True)
        until = time.monotonic() + _START_S
        while time.monotonic() < until:
            if line := _line_to(self.folder):
                return line
            with _first(self.folder) as first:
                if first:
                    self._start_broker()
                    soon = time.monotonic() + _RESPAWN_S
                    while time.monotonic() < soon:
                        if line := _line_to(self.folder):
                            return line
                        time.sleep(_POLL_S)
            time.sleep(_POLL_S)
        raise OmniloomError(
            f"{self.folder}: the broker of this cache did not start within {_START_S:g} s\n"
            f"    fix: see {_LOG} in that folder"
        )

    def _start_broker(self) -> None:
        """It goes on by itself; the key that it may need is told when it is there."""
        hidden = self.model.key_from
        environment = {name: value for name, value in os.environ.items() if name != hidden}
        home = str(Path(__file__).parents[1])
        paths = [home, *filter(None, [environment.get("PYTHONPATH")])]
        environment["PYTHONPATH"] = os.pathsep.join(paths)
        with (self.folder / _LOG).open("ab") as log:
            subprocess.run(  # noqa: S603  our own program
                [sys.executable, "-c", _START, str(self.folder.resolve()), str(self._idle_s)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                cwd="/",
                start_new_session=True,
                check=False,
            )


def _shows(request: Request) -> bool:
    return any(isinstance(part, Picture) for m in request.messages for part in m.parts)


def _elsewhere() -> Place | None:
    """The broker on another machine that the environment names; None: the folder's own.

    Raises:
        InputError: the address cannot be read, or there is no token.
    """
    address = os.environ.get(link.ADDRESS_VARIABLE)
    if not address:
        return None
    try:
        host, port = link.host_and_port(address, link.ADDRESS_VARIABLE)
    except ValueError as error:
        raise InputError(str(error)) from None
    if token := os.environ.get(link.TOKEN_VARIABLE):
        return Place(host, port, token)
    raise InputError(
        f"{link.ADDRESS_VARIABLE} is set, {link.TOKEN_VARIABLE} is not\n"
        "    fix: set both to the same values as where the broker runs"
    )


def _line_to(folder: Path) -> Line | None:
    place = link.read_place(folder)
    try:
        return Line(place, _CONNECT_S) if place else None
    except (OSError, EOFError, link.Strange):
        return None


@contextmanager
def _first(folder: Path) -> Iterator[bool]:
    """Whether this process is the one that starts the broker; the kernel knows who is."""
    with (folder / "broker.start").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
