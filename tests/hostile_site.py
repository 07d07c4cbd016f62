"""A web site on loopback that answers as badly as it is told, and notes what it was asked.

It is a real server on a socket: a test registers what to do for a path (a `Reply`, or a function
over the connection), asks, and reads what arrived (`asked`), how many requests were inside at once
(`most_at_once`) and how many bytes of a body were taken before the client hung up (`sent`). Its
thread and event loop are its own.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + b"\0" * 2000
_PIECE = 16_384


@dataclass(frozen=True)
class Request:
    """What was asked for."""

    path: str
    headers: dict[str, str]
    at: float


@dataclass(frozen=True)
class Reply:
    """A plain answer."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = PNG
    length: int | None = -1
    """Announced length: -1 the true one, None announces none and closes."""
    wait_s: float = 0.0
    """Before the head."""
    body_wait_s: float = 0.0
    """Between head and body."""
    version: str = "HTTP/1.1"


Handler = Callable[[Request, "Connection"], Awaitable[None]]


@dataclass
class Connection:
    """The client's end, for handlers."""

    site: Site
    path: str
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        """Send, and count what the client's side has taken."""
        self.writer.write(data)
        await self.writer.drain()

    async def send_body(self, data: bytes) -> None:
        """Send in pieces, counting them as parts of a body."""
        for at in range(0, len(data), _PIECE):
            piece = data[at : at + _PIECE]
            await self.send(piece)
            self.site.sent[self.path] += len(piece)

    def reset(self) -> None:
        """Break the connection off."""
        self.writer.transport.abort()


@dataclass
class Site:
    """The server. Paths that nobody registered are an image; robots.txt is not there."""

    replies: dict[str, list[Reply] | Handler] = field(default_factory=dict)
    asked: list[Request] = field(default_factory=list)
    sent: Counter[str] = field(default_factory=Counter)
    inside: int = 0
    most_at_once: int = 0
    port: int = 0
    tls: ssl.SSLContext | None = None
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _server: Any = None

    def __enter__(self) -> Site:
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._call(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def place(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.port}"

    def url(self, path: str) -> str:
        """The address of a path."""
        return f"http{'s' if self.tls else ''}://{self.place}{path}"

    def on(self, path: str, *replies: Reply) -> str:
        """Answer so, in turn; the last one from then on. The address."""
        self.replies[path] = list(replies)
        return self.url(path)

    def does(self, path: str, handler: Handler) -> str:
        """Let a function answer. The address."""
        self.replies[path] = handler
        return self.url(path)

    def count(self, path: str) -> int:
        """How often a path was asked for."""
        return sum(request.path == path for request in self.asked)

    def _call(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _start(self) -> None:
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", 0, backlog=512, ssl=self.tls
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        self._server.close()
        here = asyncio.current_task()
        tasks = [task for task in asyncio.all_tasks() if task is not here]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # transports end in the loop's next round

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.set_write_buffer_limits(high=0)  # drained means handed to the system
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                while await self._one(reader, writer):
                    pass
            writer.close()
        except asyncio.CancelledError:  # the site closes
            writer.transport.abort()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        request = _parsed(await reader.readuntil(b"\r\n\r\n"))
        self.asked.append(request)
        self.inside += 1
        self.most_at_once = max(self.most_at_once, self.inside)
        try:
            return await self._answer(request, Connection(self, request.path, writer))
        finally:
            self.inside -= 1

    async def _answer(self, request: Request, connection: Connection) -> bool:
        """Whether the connection stays open."""
        absent = [Reply(404, body=b"")] if request.path == "/robots.txt" else [Reply()]
        found = self.replies.get(request.path, absent)
        if not isinstance(found, list):
            await found(request, connection)
            return False
        reply = found[0] if len(found) == 1 else found.pop(0)
        await asyncio.sleep(reply.wait_s)
        length = len(reply.body) if reply.length == -1 else reply.length
        head = [f"{reply.version} {reply.status} So"]
        head += [f"{name}: {value}" for name, value in reply.headers]
        head += [] if length is None else [f"Content-Length: {length}"]
        await connection.send("\r\n".join([*head, "", ""]).encode("latin-1"))
        if reply.body:
            await asyncio.sleep(reply.body_wait_s)
            await connection.send_body(reply.body)
        return length == len(reply.body) and reply.version == "HTTP/1.1"


def _parsed(head: bytes) -> Request:
    first, *lines = head.decode("latin-1").rstrip().split("\r\n")
    pairs = (line.partition(":") for line in lines)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    return Request(first.split(" ")[1], headers, time.monotonic())
