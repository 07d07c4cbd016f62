"""Requests as the provider's batch files: written, sent, and collected, whoever dies meanwhile.

OpenAI's Batch API takes a file of requests and answers within a day, for half the price. A batch is
noted in the cache before the provider hears of it and carries its name there, so that a run that
was killed finds and collects it instead of paying for another. Rows fail by themselves, and only
rows that failed are asked again.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Coroutine, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import aiohttp

from operators.chat_cache import ChatCache, Fresh, Kept
from operators.chat_http import Failed, Server
from operators.chat_jobs import (
    Job,
    Keeper,
    NoAnswer,
    Outcome,
    OutOfBudget,
    Purse,
    Session,
    backoff,
    longest_answer,
)
from operators.chat_wire import Asked, NoCompletion, Rung, body, said

MOST_ROWS, MOST_BYTES = 50_000, 190_000_000
"""Of a batch file; OpenAI takes 50,000 requests and 200 MB."""

_ENDPOINT = "/v1/chat/completions"
_ENDED = frozenset(("completed", "failed", "expired", "cancelled"))
_WINDOW = "24h"
_LABEL = "omniloom"


@dataclass
class Gathered:
    """A batch file that is being written, and who waits for its rows."""

    name: str
    path: Path
    file: BinaryIO
    session: Session
    jobs: dict[str, Job] = field(default_factory=dict)
    size: int = 0
    usd: float = 0.0


class Batches:
    """The batches of a cache folder."""

    def __init__(
        self,
        folder: Path,
        found: ChatCache,
        cache: ChatCache,
        keeper: Keeper,
        purse: Purse,
        http: aiohttp.ClientSession,
    ) -> None:
        self._folder = folder / "batches"
        self._found, self._cache, self._keeper = found, cache, keeper
        self._purse, self._http = purse, http
        self._waiting: dict[str, dict[str, Job]] = {}
        """Jobs by key, by name of an open batch that is looked after."""
        self._tasks: set[asyncio.Task[None]] = set()
        self.sending = 0
        """Batches on their way to the provider: until they are there the broker must not end."""

    # --- Gathering ---

    def add(self, job: Job, gathered: Gathered | None) -> Gathered | None:
        """Take a request; returns the file that the next one goes to."""
        if (name := self._found.batch_of(job.ask.key)) is not None:
            self._look_after(name, job)
            return gathered
        model, ask = job.session.model, job.ask
        usd = model.usd(ask.prompt_tokens, longest_answer(ask))
        if not self._purse.hold(usd, model.budget_usd):
            job.end(OutOfBudget(self._purse.spent))
            return gathered
        line = _line(ask, model.structured)
        if gathered is not None and not self._fits(gathered, line, job.session):
            self.send(gathered)
            gathered = None
        gathered = gathered or self._begun(job.session)
        gathered.file.write(line)
        gathered.size += len(line)
        gathered.usd += usd
        job.ask = replace(ask, messages=b"")  # it is in the file, and there may be many
        gathered.jobs[ask.key] = job
        return gathered

    def send(self, gathered: Gathered | None) -> None:
        """The file is complete: submit it, unless nobody waits any more."""
        if gathered is None:
            return
        gathered.file.close()
        if not any(job.waiters for job in gathered.jobs.values()):
            self._purse.let_go(gathered.usd, 0.0)
            gathered.path.unlink()
            for job in gathered.jobs.values():
                job.end(None)
            return
        self._waiting[gathered.name] = gathered.jobs
        self._start(self._told(gathered.name, self._submitted(gathered)))

    def _begun(self, session: Session) -> Gathered:
        name = secrets.token_hex(16)
        self._folder.mkdir(exist_ok=True)
        path = self._folder / f"{name}.jsonl"
        return Gathered(name, path, path.open("wb"), session)

    def _fits(self, gathered: Gathered, line: bytes, session: Session) -> bool:
        room = gathered.size + len(line) <= MOST_BYTES and len(gathered.jobs) < MOST_ROWS
        return room and gathered.session is session

    # --- At the provider ---

    def _look_after(self, name: str, job: Job) -> None:
        """Wait for a batch of an earlier run."""
        if name not in self._waiting:
            self._waiting[name] = {}
            self._start(self._told(name, self._collected(name, job.session)))
        self._waiting[name][job.ask.key] = job

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _told(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Do the work of a batch; whatever stops it, those who wait are told."""
        try:
            await work
        except Failed as failed:
            self._tell_rest(name, NoAnswer(failed.cause, failed.message))
        except Exception as error:  # noqa: BLE001  a batch's trouble is not that of others
            self._tell_rest(name, NoAnswer("internal", type(error).__name__))

    async def _submitted(self, gathered: Gathered) -> None:
        self.sending += 1
        session, name = gathered.session, gathered.name
        server = Server(self._http, session.model, session.key)
        asks = [job.ask for job in gathered.jobs.values()]
        try:
            await self._keeper.call(
                self._cache.begin_batch, name, session.model.endpoint, gathered.usd, asks
            )
            try:
                id = await self._created(server, name, gathered.path)
            except Failed as failed:
                if not failed.again:  # else it may be there: the next run looks for it
                    await self._ended(name, gathered.usd, 0.0)
                raise
            await self._keeper.call(self._cache.name_batch, name, id)
        finally:
            self.sending -= 1
        await self._collected(name, session)

    async def _created(self, server: Server, name: str, path: Path) -> str:
        """Upload and create. A reply that was lost is looked for before it is tried again."""
        attempts = server.model.attempts
        for attempt in range(1, attempts + 1):
            try:
                if attempt > 1 and (id := await self._known(server, name)) is not None:
                    return id
                uploaded = await server.upload("files", path, {"purpose": "batch"})
                wanted = {
                    "input_file_id": uploaded["id"],
                    "endpoint": _ENDPOINT,
                    "completion_window": _WINDOW,
                    "metadata": {_LABEL: name},
                }
                return str((await server.json("POST", "batches", wanted))["id"])
            except Failed as failed:
                if not failed.again or attempt == attempts:
                    raise
                await asyncio.sleep(failed.wait_s or backoff(attempt))
        raise AssertionError("a last attempt returns or raises")

    async def _known(self, server: Server, name: str) -> str | None:
        """The provider's id of a batch that carries our name."""
        query: dict[str, str] = {"limit": "100"}
        while True:
            page = await server.json("GET", "batches", query=query)
            for item in page.get("data", ()):
                if (item.get("metadata") or {}).get(_LABEL) == name:
                    return str(item["id"])
            if not page.get("has_more") or not page.get("data"):
                return None
            query["after"] = str(page["data"][-1]["id"])

    async def _collected(self, name: str, session: Session) -> None:
        """Wait for a batch's end and keep what it brought. A batch that cannot be asked about stays
        open: the next run asks again.
        """
        server = Server(self._http, session.model, session.key)
        if (id := self._found.batch_id(name)) is None:
            id = await self._known(server, name)
            id = id or await self._created(server, name, self._folder / f"{name}.jsonl")
            await self._keeper.call(self._cache.name_batch, name, id)
        batch = await self._finished(server, id)
        rows = [row async for row in self._rows(server, batch)]
        await self._kept(name, session, server, rows)
        cause = "expired" if batch["status"] == "expired" else "missing"
        reason = f"the batch is {batch['status']} and has no answer to this{_errors(batch)}"
        self._tell_rest(name, NoAnswer(cause, reason))

    async def _finished(self, server: Server, id: str) -> dict[str, Any]:
        failures = 0
        while True:
            try:
                batch = await server.json("GET", f"batches/{id}")
                failures = 0
                if batch["status"] in _ENDED:
                    return batch
                wait_s = server.model.batch_poll_s
            except Failed as failed:
                failures += 1
                if not failed.again or failures >= server.model.attempts:
                    raise
                wait_s = failed.wait_s or backoff(failures)
            await asyncio.sleep(wait_s)

    async def _rows(self, server: Server, batch: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        for field_name in ("output_file_id", "error_file_id"):
            if id := batch.get(field_name):
                for row in _json_lines(await server.content(f"files/{id}/content")):
                    yield row

    async def _kept(
        self, name: str, session: Session, server: Server, rows: list[dict[str, Any]]
    ) -> None:
        """Keep the answers of a batch and tell whoever waits for its rows."""
        asks = {ask.key: ask for ask in self._found.batch_asks(name)}
        fresh, failures = [], {}
        for row in rows:
            ask = asks.get(str(row.get("custom_id")))
            if ask is None:
                continue
            read = _read(row, ask, server)
            if isinstance(read, NoAnswer):
                failures[ask.key] = read
            else:
                tokens = (read.prompt_tokens, read.completion_tokens)
                fresh.append(Fresh(ask, read, session.model.usd(*tokens)))
        await self._keeper.call(self._cache.put, fresh)
        held = self._found.batch_usd(name)
        await self._ended(name, held, sum(item.usd for item in fresh))
        for item in fresh:
            self._tell(name, item.ask.key, Kept(item.said, item.usd))
        for key, failure in failures.items():
            self._tell(name, key, failure)

    async def _ended(self, name: str, held: float, usd: float) -> None:
        await self._keeper.call(self._cache.end_batch, name)
        self._purse.let_go(held, usd)
        (self._folder / f"{name}.jsonl").unlink(missing_ok=True)

    def _tell(self, name: str, key: str, outcome: Outcome) -> None:
        if (job := self._waiting.get(name, {}).pop(key, None)) is not None:
            job.end(outcome)

    def _tell_rest(self, name: str, outcome: Outcome) -> None:
        for job in self._waiting.pop(name, {}).values():
            job.end(outcome)


def _line(ask: Asked, structured: str) -> bytes:
    """A request as a row of a batch file. What a server refuses is heard too late to try others."""
    rung: Rung = "schema" if structured == "auto" else structured  # type: ignore[assignment]
    head = {"custom_id": ask.key, "method": "POST", "url": _ENDPOINT}
    return json.dumps(head).encode()[:-1] + b', "body": ' + body(ask, rung) + b"}\n"


def _read(row: dict[str, Any], ask: Asked, server: Server) -> Any:
    """What a row of an output or error file says: `Said`, or why there is no answer."""
    response, error = row.get("response"), row.get("error")
    if isinstance(response, dict) and response.get("status_code") == 200:
        try:
            return said(response.get("body"), ask)
        except NoCompletion as reason:
            return NoAnswer("bad_response", str(reason))
    if isinstance(response, dict):
        raw = json.dumps(response.get("body")).encode()
        failed = server.refusal(int(response.get("status_code") or 0), None, raw)
        return NoAnswer(failed.cause, failed.message)
    error = error if isinstance(error, dict) else {}
    cause = "expired" if "expired" in str(error.get("code")) else "batch_error"
    return NoAnswer(cause, str(error.get("message") or error.get("code") or "no reason given"))


def _json_lines(raw: bytes) -> Iterator[dict[str, Any]]:
    for line in raw.splitlines():
        if line.strip():
            row = json.loads(line)
            if isinstance(row, dict):
                yield row


def _errors(batch: dict[str, Any]) -> str:
    errors = batch.get("errors")
    items = errors.get("data") if isinstance(errors, dict) else None
    messages = [str(item.get("message")) for item in items or () if isinstance(item, dict)]
    return ": " + "; ".join(messages[:3]) if messages else ""
