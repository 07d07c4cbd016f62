"""The process that asks models for all workers of a run, and outlives them.

There is one broker a cache folder: it holds a lock, owns the cache and all connections, and ends by
itself when nobody has needed it for some seconds. A killed driver or worker takes no request with
it: what is in flight ends and is kept, and whoever asks the same again waits for that. So rates,
concurrency and budget are those of the whole run, and the same question asked by two workers goes
out once. A request that nobody waits for any more is not sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import resource
import sys
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import aiohttp

from operators import chat_link as link
from operators.chat_batch import Batches, Gathered
from operators.chat_cache import ChatCache, Fresh, Kept
from operators.chat_http import Endpoint, Failed, Server
from operators.chat_jobs import (
    Dropped,
    Expected,
    Job,
    Keeper,
    NoAnswer,
    Outcome,
    OutOfBudget,
    Purse,
    Session,
    Tell,
    backoff,
)
from operators.chat_limits import Paused
from operators.chat_link import Head, Place
from operators.chat_model import ChatModel
from operators.chat_wire import Asked, Rung, Said

_ADMISSION_S = 10.0
_LOCK_WAIT_S = 3.0
_TICK_S = 0.2
_OPEN_FILES = 65_536
_LOCK = "broker.lock"


class Broker:
    """All that is asked for one cache folder."""

    def __init__(self, folder: Path, http: aiohttp.ClientSession) -> None:
        cache = ChatCache(folder, write=True)
        self._found = ChatCache(folder)
        self._keeper = Keeper(cache)
        self._purse = Purse(cache.usd(), cache.batches_usd())
        self._http = http
        self.batches = Batches(folder, self._found, cache, self._keeper, self._purse, http)
        self._jobs: dict[str, Job] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._endpoints: dict[str, Endpoint] = {}
        self._expected: dict[tuple[str, str], Expected] = {}
        self._keys: dict[str, str] = {}
        self.clients = 0

    @property
    def idle(self) -> bool:
        """Whether nobody is there and nothing is on its way."""
        return not self.clients and not self._tasks and not self.batches.sending

    # --- Clients ---

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: str
    ) -> None:
        """Answer one client until it hangs up."""
        self.clients += 1
        client = _Client(writer)
        try:
            async with asyncio.timeout(_ADMISSION_S):
                await link.admit(reader, writer, token)
                head, _ = await link.receive(reader)
                session = self._session(head["model"], head["key"])
            while True:
                head, body = await link.receive(reader)
                match head["do"]:
                    case "ask":
                        self._ask(client, session, head, body)
                        await asyncio.sleep(0)  # many may be there at once, and none goes out yet
                    case "flush":
                        self.batches.send(client.gathered)
                        client.gathered = None
                    case "keep":
                        await self._keep_theirs(client, head)
        except (OSError, EOFError, TimeoutError, link.Strange):
            pass
        finally:
            client.forget()
            self.batches.send(client.gathered)
            self.clients -= 1
            writer.close()

    def _session(self, model: dict[str, Any], key: str | None) -> Session:
        """Clients on other machines send no key: theirs is the one that was last sent here."""
        found = ChatModel(**model)
        if found.key_from is not None:
            if key is not None:
                self._keys[found.key_from] = key
            key = key or self._keys.get(found.key_from)
        return Session(found, key)

    def _ask(self, client: _Client, session: Session, head: Head, body: bytes) -> None:
        """Answer from the cache, or note who waits for a request and see to it that it is sent."""
        number, ask = head["id"], Asked(**head["ask"], messages=body)
        job = self._jobs.get(ask.key)
        if job is not None:
            if not job.waiters:
                job.session = session  # whoever asked is gone: its key and budget count no more
            client.wait(job, number)
        elif (kept := self._found.get(ask.key)) is not None:
            client.say({"id": number} | _told(kept, True))
        else:
            job = self._jobs[ask.key] = Job(ask, session, self._jobs.__delitem__)
            client.wait(job, number)
            if session.model.mode == "batch":
                client.gathered = self.batches.add(job, client.gathered)
            else:
                self._begin(self._work(job))

    async def _keep_theirs(self, client: _Client, head: Head) -> None:
        """An answer that a client got by itself, as from a model in its own process."""
        ask, said = Asked(**head["ask"], messages=b""), Said(**head["said"])
        await self._keeper.keep(Fresh(ask, said, 0.0))
        client.say({"id": head["id"], "kept": True})

    def _begin(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _work(self, job: Job) -> None:
        try:
            outcome = await self._outcome(job)
        except Dropped:
            outcome = None
        except Exception as error:  # noqa: BLE001  one request's trouble stays its own
            outcome = NoAnswer("internal", type(error).__name__)
        job.end(outcome)

    # --- Asking ---

    async def _outcome(self, job: Job) -> Outcome:
        """Send a request until it is answered, hopeless, unaffordable or of no use to anybody."""
        if job.session.key is None and job.session.model.key_from is not None:
            message = f"no key: open the model where {job.session.model.key_from} is set, first"
            return NoAnswer("unauthorised", message)
        endpoint = self._endpoint(job.session.model)
        attempts, put_offs, put_off_since = 0, 0, None
        while True:
            try:
                said = await self._sent(job, endpoint)
            except Failed as failed:
                if failed.busy:
                    put_offs += 1
                    put_off_since = put_off_since or time.monotonic()
                    waited = time.monotonic() - put_off_since + (failed.wait_s or 0)
                    hopeless = waited > job.session.model.patience_s
                else:
                    attempts += 1
                    hopeless = attempts >= job.session.model.attempts
                if not failed.again or hopeless:
                    return NoAnswer(failed.cause, failed.message)
                await asyncio.sleep(failed.wait_s or backoff(attempts + put_offs))
                continue
            if isinstance(said, OutOfBudget):
                return said
            usd = job.session.model.usd(said.prompt_tokens, said.completion_tokens)
            await self._keeper.keep(Fresh(job.ask, said, usd))
            return Kept(said, usd)

    async def _sent(self, job: Job, endpoint: Endpoint) -> Said | OutOfBudget:
        """One attempt, when its turn has come."""
        ask, model = job.ask, job.session.model
        try:
            entered = await endpoint.gate.enter(model.patience_s)
        except Paused as paused:
            message = f"the server asks for a pause of {paused.args[0]:.0f} s more"
            raise Failed("rate_limited", message) from None
        try:
            if not job.waiters:
                raise Dropped
            expected = self._expected_of(ask)
            prompt, completion = expected.tokens(ask)
            tokens = prompt + completion
            await endpoint.requests.take(1)
            await endpoint.tokens.take(tokens)
            if not job.waiters:
                raise Dropped
            usd = model.usd(prompt, completion)
            if not await self._purse.reserve(usd, model.budget_usd):
                endpoint.tokens.give_back(tokens)
                return OutOfBudget(self._purse.spent)
            said = None
            try:
                said = await self._completion(job, endpoint)
            except Failed as failed:
                if failed.congestion:
                    endpoint.gate.failed(entered, busy=failed.busy)
                if failed.busy and failed.wait_s:
                    endpoint.gate.pause(failed.wait_s)
                raise
            finally:
                used = (said.prompt_tokens, said.completion_tokens) if said else (0, 0)
                self._purse.settle(usd, model.usd(*used))
                endpoint.tokens.give_back(tokens - sum(used))
            endpoint.gate.succeeded()
            expected.add(ask.prompt_tokens, said)
            return said
        finally:
            endpoint.gate.leave()

    async def _completion(self, job: Job, endpoint: Endpoint) -> Said:
        """Ask, in the way that the server is known to understand."""
        server = Server(self._http, job.session.model, job.session.key)
        wanted = job.session.model.structured
        while True:
            rung: Rung = endpoint.rung(job.ask.model) if wanted == "auto" else wanted
            try:
                return await server.complete(job.ask, rung, endpoint.renamed(job.ask.model))
            except Failed as failed:
                if not endpoint.learn(job.ask, rung, failed, climbing=wanted == "auto"):
                    raise

    def _endpoint(self, model: ChatModel) -> Endpoint:
        found = self._endpoints.get(model.endpoint)
        if found is None:
            found = self._endpoints[model.endpoint] = Endpoint(model)
        found.configure(model)
        return found

    def _expected_of(self, ask: Asked) -> Expected:
        """What such requests take."""
        return self._expected.setdefault((ask.model, ask.tag), Expected())


class _Client:
    """A connection, and what it waits for."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.gathered: Gathered | None = None
        self._writer = writer
        self._waits: dict[Job, list[Tell]] = {}
        self._outbox: list[bytes] = []

    def wait(self, job: Job, number: int) -> None:
        """Be told how a job ends, under the number that the client gave it."""

        def tell(outcome: Outcome, cached: bool) -> None:
            self._waits.pop(job, None)
            self.say({"id": number} | _told(outcome, cached))

        job.waiters.append(tell)
        self._waits.setdefault(job, []).append(tell)

    def forget(self) -> None:
        """Wait for nothing any more."""
        for job, tells in self._waits.items():
            job.waiters = [tell for tell in job.waiters if tell not in tells]
        self._waits.clear()

    def say(self, head: Head) -> None:
        """Send something; what is said at once goes out at once."""
        if not self._outbox:
            asyncio.get_running_loop().call_soon(self._flush)
        self._outbox.append(link.frame(head))

    def _flush(self) -> None:
        if not self._writer.is_closing():
            self._writer.write(b"".join(self._outbox))
        self._outbox.clear()


def _told(outcome: Outcome, cached: bool) -> Head:
    match outcome:
        case Kept(said, usd):
            return {"said": vars(said), "usd": usd, "cached": cached}
        case NoAnswer(cause, message):
            return {"failure": [cause, message]}
        case OutOfBudget(spent):
            return {"spent": spent}


# --- The process ----------------------------------------------------------------------------------


def main(arguments: list[str] | None = None) -> None:
    """Serve a folder: `FOLDER IDLE_SECONDS`. Returns at once; the broker goes on by itself."""
    folder, idle_s = arguments or sys.argv[1:]
    if os.fork():
        os._exit(0)  # the broker is nobody's child: whoever kills its client misses it
    os.setsid()
    sys.exit(_served(Path(folder), float(idle_s)))


def _served(folder: Path, idle_s: float) -> int:
    with (folder / _LOCK).open("a") as lock:
        until = time.monotonic() + _LOCK_WAIT_S
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    return 0  # there is one, and it stays
                time.sleep(0.05)
        asyncio.run(_serve(folder, idle_s))
    return 0


async def _serve(folder: Path, idle_s: float) -> None:
    _allow_open_files()
    connector = aiohttp.TCPConnector(limit=0, ttl_dns_cache=300)
    async with aiohttp.ClientSession(connector=connector) as http:
        broker, token = Broker(folder, http), link.fresh_token()
        host, port = "127.0.0.1", 0
        if listen := os.environ.get(link.LISTEN_VARIABLE):
            host, port = link.host_and_port(listen, link.LISTEN_VARIABLE)
        server = await asyncio.start_server(
            lambda reader, writer: broker.serve(reader, writer, token), host, port, limit=1 << 20
        )
        bound = server.sockets[0].getsockname()
        own = "127.0.0.1" if bound[0] == "0.0.0.0" else bound[0]  # noqa: S104
        link.write_place(folder, Place(own, bound[1], token))
        try:
            await _until_idle(broker, idle_s)
        finally:
            link.forget_place(folder)
            server.close()


async def _until_idle(broker: Broker, idle_s: float) -> None:
    needed = time.monotonic()
    while time.monotonic() - needed < idle_s:
        await asyncio.sleep(min(_TICK_S, idle_s))
        if not broker.idle:
            needed = time.monotonic()


def _allow_open_files() -> None:
    """One connection a request in flight: too few would look like a dead server."""
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if most == resource.RLIM_INFINITY else min(_OPEN_FILES, most)
    if now != resource.RLIM_INFINITY and now < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
