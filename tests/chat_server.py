"""A model server for tests: real HTTP on loopback, in a process of its own, scripted.

    with ChatServer() as server:                      # echoes: the answer is the last text
        model = ChatModel(name="m", url=server.url, key_from=None)
        ...
        assert server.count() == 3                    # POSTs of completions, batch lines included
        assert max(server.counts().values()) == 1     # by content: each body was sent once
        server.bodies()                               # every body, in order of arrival

    ChatServer(script)       `script(body: dict, nth: int) -> Act | str | dict | list` says what
                             comes back; nth counts requests of this content (1, 2, ...). A str is
                             the answer, a dict or list the answer as JSON. The script runs in the
                             server's process (forked): it may be a closure, and what it changes
                             is seen there alone.
    Act(...)                 what else may happen: text, status, latency_s, retry_after, hang,
                             reset (the connection breaks), cut (JSON that breaks off), finish,
                             refusal, usage (prompt, completion), tool (as a call's arguments),
                             raw (a whole body), headers.
    supports=...             which of "schema", "tool", "json" are known; others get a 400.
    latency_s=0.2            before every answer.
    key="..."                answers 401 to anybody without it.

Batches: POST /files, POST /batches, GET /batches, GET /batches/ID, GET /files/ID/content; a batch
is done `batch_s` seconds after it was made, its lines answered by the same script. Lines whose
script acts with a status other than 200 go to the error file; with `hang` they are in neither.
`text_of(body)` is the last message's text, pictures left out; `parts_of(body)` its parts.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

Body = dict[str, Any]


@dataclass(frozen=True)
class Act:
    """What the server does with one request."""

    text: str = ""
    status: int = 200
    latency_s: float = 0.0
    retry_after: str | None = None
    hang: bool = False
    reset: bool = False
    cut: bool = False
    finish: str = "stop"
    refusal: str | None = None
    usage: tuple[int, int] | None = (100, 10)
    raw: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)


Script = Callable[[Body, int], "Act | str | dict[str, Any] | list[Any]"]


def parts_of(body: Body) -> list[dict[str, Any]]:
    """Parts of the last message."""
    content = body["messages"][-1]["content"] if body["messages"] else ""
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def text_of(body: Body) -> str:
    """Text of the last message."""
    return "".join(part.get("text", "") for part in parts_of(body))


def echo(body: Body, nth: int) -> str:
    return text_of(body)


class ChatServer:
    """The server, from entering to leaving."""

    def __init__(
        self,
        script: Script = echo,
        *,
        latency_s: float = 0.0,
        supports: Collection[str] = ("schema", "tool", "json"),
        key: str | None = None,
        batch_s: float = 0.1,
    ) -> None:
        self._site = _Site(script, latency_s, frozenset(supports), key, batch_s)

    def __enter__(self) -> ChatServer:
        fork = multiprocessing.get_context("fork")
        ours, theirs = fork.Pipe()
        self._process = fork.Process(target=_serve, args=(self._site, theirs), daemon=True)
        self._process.start()
        self._port: int = ours.recv()
        self.url = f"http://127.0.0.1:{self._port}/v1"
        self.azure_url = f"http://127.0.0.1:{self._port}"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()
        self._process.close()

    def _told(self, what: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/told/{what}") as reply:
            return json.load(reply)

    def bodies(self) -> list[Body]:
        """Bodies of completions asked for, in order."""
        found: list[Body] = self._told("bodies")
        return found

    def calls(self) -> list[dict[str, Any]]:
        """Method, path, headers and seconds since 1970 of every call."""
        found: list[dict[str, Any]] = self._told("calls")
        return found

    def counts(self) -> Counter[str]:
        """How often each content was asked, whole bodies as JSON."""
        return Counter(json.dumps(body, sort_keys=True) for body in self.bodies())

    def count(self) -> int:
        """How many completions were asked for."""
        found: int = self._told("count")
        return found

    def most_at_once(self) -> int:
        """The most requests that were in flight at once."""
        found: int = self._told("most")
        return found


class _Site:
    def __init__(
        self,
        script: Script,
        latency_s: float,
        supports: frozenset[str],
        key: str | None,
        batch_s: float,
    ) -> None:
        self.script, self.latency_s, self.supports = script, latency_s, supports
        self.key, self.batch_s = key, batch_s
        self.bodies: list[bytes] = []
        self.calls: list[dict[str, Any]] = []
        self.nth: Counter[bytes] = Counter()
        self.now = self.most = 0
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, dict[str, Any]] = {}

    def act(self, raw: bytes) -> Act:
        self.bodies.append(raw)
        self.nth[raw] += 1
        body = json.loads(raw)
        if (refusal := self._unsupported(body)) is not None:
            message = {"error": {"message": f"Unsupported parameter: {refusal}"}}
            return Act(status=400, raw=json.dumps(message).encode())
        found = self.script(body, self.nth[raw])
        if isinstance(found, Act):
            return found
        return Act(found if isinstance(found, str) else json.dumps(found, ensure_ascii=False))

    def _unsupported(self, body: Body) -> str | None:
        kind = body.get("response_format", {}).get("type")
        if kind == "json_schema" and "schema" not in self.supports:
            return "response_format of type json_schema"
        if kind == "json_object" and "json" not in self.supports:
            return "response_format"
        if "tools" in body and "tool" not in self.supports:
            return "tools"
        return None

    async def answer(self, method: str, path: str, headers: dict[str, str], raw: bytes) -> Act:
        path, _, query = path.partition("?")
        if path.startswith("/told/"):
            return self._tell(path.removeprefix("/told/"))
        self.calls.append(
            {"method": method, "path": path, "query": query, "headers": headers, "at": time.time()}
        )
        shown = headers.get("authorization", "").removeprefix("Bearer ") or headers.get("api-key")
        if self.key is not None and shown != self.key:
            message = {"error": {"message": f"Incorrect API key provided: {shown}"}}
            return Act(status=401, raw=json.dumps(message).encode())
        if path.endswith("/chat/completions"):
            return self._completed(raw)
        return self._batching(method, path.removeprefix("/v1"), headers, raw)

    def _completed(self, raw: bytes) -> Act:
        act = self.act(raw)
        if act.status != 200 or act.raw is not None:
            text = act.raw or json.dumps({"error": {"message": act.text or "trouble"}}).encode()
            return _with(act, text)
        return _with(act, json.dumps(_completion(act, json.loads(raw))).encode())

    def _tell(self, what: str) -> Act:
        match what:
            case "bodies":
                found: Any = [json.loads(raw) for raw in self.bodies]
            case "calls":
                found = self.calls
            case "count":
                found = len(self.bodies)
            case _:
                found = self.most
        return Act(raw=json.dumps(found).encode())

    # --- Batches ---

    def _batching(self, method: str, path: str, headers: dict[str, str], raw: bytes) -> Act:
        match method, path.strip("/").split("/"):
            case "POST", ["files"]:
                id = f"file-{len(self.files)}"
                self.files[id] = _uploaded(headers["content-type"], raw)
                return _json({"id": id, "purpose": "batch"})
            case "POST", ["batches"]:
                wanted = json.loads(raw)
                id = f"batch_{len(self.batches)}"
                made = {"id": id, "status": "in_progress", "at": time.time(), **wanted}
                self.batches[id] = made
                return _json(made)
            case "GET", ["batches"]:
                return _json({"data": list(self.batches.values())[::-1], "has_more": False})
            case "GET", ["batches", id]:
                return _json(self._progressed(self.batches[id]))
            case "GET", ["files", id, "content"]:
                return Act(raw=self.files[id])
        return Act(status=404, raw=b'{"error": {"message": "no such thing"}}')

    def _progressed(self, batch: dict[str, Any]) -> dict[str, Any]:
        if batch["status"] == "in_progress" and time.time() - batch["at"] >= self.batch_s:
            done: list[str] = []
            failed: list[str] = []
            for line in self.files[batch["input_file_id"]].splitlines():
                item = json.loads(line)
                act = self.act(json.dumps(item["body"], sort_keys=True).encode())
                if act.hang:
                    continue
                body = json.loads(act.raw or b"null") or (
                    _completion(act, item["body"])
                    if act.status == 200
                    else {"error": {"message": act.text or "trouble"}}
                )
                response = {"status_code": act.status, "body": body}
                row = {"custom_id": item["custom_id"], "response": response, "error": None}
                (done if act.status == 200 else failed).append(json.dumps(row))
            for name, rows in (("output_file_id", done), ("error_file_id", failed)):
                if rows:
                    batch[name] = f"file-{len(self.files)}"
                    self.files[batch[name]] = "\n".join(rows).encode() + b"\n"
            batch["status"] = "completed"
        return batch


def _with(act: Act, raw: bytes) -> Act:
    return Act(**(vars(act) | {"raw": raw[: len(raw) // 2] if act.cut else raw}))


def _json(value: Any) -> Act:
    return Act(raw=json.dumps(value).encode())


def _completion(act: Act, body: Body) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": act.text}
    if "tools" in body:
        name = body["tools"][0]["function"]["name"]
        call = {"id": "1", "type": "function", "function": {"name": name, "arguments": act.text}}
        message |= {"content": None, "tool_calls": [call]}
    if act.refusal is not None:
        message |= {"content": None, "refusal": act.refusal}
    found: dict[str, Any] = {
        "id": "c",
        "object": "chat.completion",
        "model": body["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": act.finish}],
    }
    if act.usage is not None:
        prompt, completion = act.usage
        found["usage"] = {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        }
    return found


def _uploaded(content_type: str, raw: bytes) -> bytes:
    """The file within a form."""
    boundary = content_type.split("boundary=")[1].strip('"').encode()
    for part in raw.split(b"--" + boundary):
        head, _, data = part.partition(b"\r\n\r\n")
        if b"filename=" in head:
            return data.removesuffix(b"\r\n")
    raise ValueError("no file was uploaded")


# --- HTTP, by hand: a framework would take CPU that is to be measured ----------------------------


def _serve(site: _Site, told: Connection) -> None:
    asyncio.run(_listen(site, told))


async def _listen(site: _Site, told: Connection) -> None:
    server = await asyncio.start_server(
        lambda reader, writer: _connection(site, reader, writer),
        "127.0.0.1",
        0,
        limit=1 << 22,
        backlog=1024,
    )
    told.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()


async def _connection(
    site: _Site, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, path, _ = head[0].split(" ")
            pairs = (line.split(":", 1) for line in head[1:] if line)
            headers = {name.lower(): value.strip() for name, value in pairs}
            raw = await _read(reader, headers)
            if not path.startswith("/told/"):
                site.now += 1
                site.most = max(site.most, site.now)
            try:
                if not await _reply(site, writer, await site.answer(method, path, headers, raw)):
                    return
            finally:
                site.now -= not path.startswith("/told/")
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def _read(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if "chunked" not in headers.get("transfer-encoding", ""):
        return await reader.readexactly(int(headers.get("content-length", 0)))
    found = b""
    while size := int(await reader.readline(), 16):
        found += await reader.readexactly(size)
        await reader.readline()
    await reader.readline()
    return found


async def _reply(site: _Site, writer: asyncio.StreamWriter, act: Act) -> bool:
    """Whether the connection goes on."""
    if act.hang:
        await asyncio.sleep(3600)
    if wait := site.latency_s + act.latency_s:
        await asyncio.sleep(wait)
    if act.reset:
        writer.transport.abort()
        return False
    raw = act.raw or b""
    headers = {"Content-Type": "application/json", "Content-Length": str(len(raw))} | act.headers
    if act.retry_after is not None:
        headers["Retry-After"] = act.retry_after
    lines = [f"HTTP/1.1 {act.status} X", *(f"{name}: {value}" for name, value in headers.items())]
    writer.write("\r\n".join([*lines, "", ""]).encode() + raw)
    await writer.drain()
    return True
