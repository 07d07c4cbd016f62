"""Fetching over HTTP from servers that nobody vouches for.

One client asks for many addresses at once, politely (robots.txt, opt-outs in headers, few requests
a host, over all processes of the machine) and warily (public addresses only, checked on what a
name resolves to and at every redirect; bounded bytes, time, redirects, headers). What comes of an
address is an `Answer`, never an exception. docs/fetching.md has every cause.
"""

from __future__ import annotations

import asyncio
import random
import re
import resource
import ssl
import threading
import time
import weakref
import zlib
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache, partial
from ipaddress import IPv6Address, ip_address
from socket import (
    AF_INET,
    AF_INET6,
    AF_UNSPEC,
    AI_NUMERICHOST,
    SOCK_STREAM,
    AddressFamily,
    gaierror,
)
from typing import Any, Literal, TypeVar

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from operators import robots
from operators.addresses import Allowed, is_public, literal
from operators.fetch_causes import UNREACHABLE, may_pass
from operators.host_limits import HostGate, SharedLimits, shared_folder
from operators.media_types import HEAD_BYTES

Resolve = Callable[[str], Awaitable[Sequence[str]]]
"""From a host's name to its addresses. OSError when it has none."""
Judge = Callable[[bytes, str], str | None]
"""From a body's first bytes and the declared media type to a cause to refuse it, or None."""
Value = TypeVar("Value")

_THREADS = 32  # that resolve names and keep answers
_END_S = 10.0
_KEPT_OPEN_S = 5.0  # a connection that nobody uses
_OPEN_FILES = 16  # for each request at once: connections that are kept open a little longer
_LOCAL_NAME = re.compile(r"(^|\.)localhost\.?$", re.IGNORECASE)  # RFC 6761
_HOSTS_KEPT = 10_000
_ROBOTS_S, _ROBOTS_UNKNOWN_S = 86_400.0, 300.0  # a day, as RFC 9309 allows
_ROBOTS_REDIRECTS = 5
_DNS_S = 300
_LONGEST_BACKOFF_S = 30.0
_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_REFUSING = frozenset((401, 402, 403, 407, 451))
_BUSY = frozenset((429, 503))
_SECONDS = re.compile(r"\d+(\.\d+)?")
_SETTLED = frozenset(("host_down", "robots_unreachable"))  # retrying at once is no use


@dataclass(frozen=True)
class Policy:
    """How to ask; the fields mean what those of `FetchImages` mean."""

    user_agent: str
    max_bytes: int
    judge: Judge | None = None
    robots: bool = True
    respect: tuple[str, ...] = ()
    allow_private: tuple[str, ...] = ()
    concurrency: int = 64
    per_host: int = 4
    host_delay_s: float = 0.0
    max_crawl_delay_s: float = 30.0
    connect_timeout_s: float = 10.0
    deadline_s: float = 60.0
    retries: int = 2
    backoff_s: float = 0.5
    max_redirects: int = 5
    host_failures: int = 5
    host_rest_s: float = 300.0

    @property
    def agent(self) -> str:
        """The product's name, by which sites know it."""
        return self.user_agent.partition("/")[0]


@dataclass(frozen=True, slots=True)
class Ask:
    """An address, and the validators of what is known of it."""

    url: str
    etag: str | None = None
    last_modified: str | None = None


@dataclass(slots=True)
class Answer:
    """What came of an address."""

    status: Literal["ok", "unchanged", "refused", "failed"]
    """`unchanged`: the server says that the validators still hold."""
    cause: str | None = None
    code: int | None = None
    """The last HTTP status; None when there was none."""
    url: str | None = None
    """Where it ended: the last address after redirects, without credentials."""
    body: bytes = b""
    media_type: str = ""
    etag: str | None = None
    last_modified: str | None = None
    opt_outs: tuple[str, ...] = ()
    """All that the site asks of us in headers, also what the policy does not respect."""
    received: int = 0
    """Bytes of the body that were read, as sent."""
    at: int = field(default_factory=lambda: int(time.time()))
    """When it was asked for, in seconds since 1970."""
    location: str | None = field(default=None, repr=False)
    retry_after: float | None = field(default=None, repr=False)


@dataclass(frozen=True)
class _Wanted:
    """What is asked for: an image, say, or a robots.txt."""

    max_bytes: int
    max_redirects: int
    judge: Judge | None = None
    polite: bool = True
    """Whether robots.txt and opt-outs count."""
    cut: bool = False
    """Whether a longer body is cut rather than refused."""


class _Ended(Exception):  # no error: how an address ended
    """The address ended here."""

    def __init__(self, status: Literal["refused", "failed"], cause: str) -> None:
        super().__init__(cause)
        self.status, self.cause = status, cause


_refused, _failed = partial(_Ended, "refused"), partial(_Ended, "failed")


@dataclass(slots=True)
class _Budget:
    """Seconds that an address has left; waiting for a host's turn costs none."""

    left: float


@dataclass
class _Host:
    """What is known of a host while requests to it go on."""

    gate: HostGate
    failures: int = 0
    """Failures in a row."""
    down_until: float = 0.0
    rules: asyncio.Task[robots.Rules] | None = None
    rules_until: float = 0.0
    users: int = 0


# --- Addresses ------------------------------------------------------------------------------------


async def system_addresses(host: str) -> list[str]:
    """A name's addresses, as the system knows them."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, None, type=SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class _Resolver(AbstractResolver):
    """Resolves names, and gives only addresses that may be connected to."""

    def __init__(self, resolve: Resolve, allowed: Allowed) -> None:
        self._resolve, self._allowed = resolve, allowed

    async def resolve(
        self, host: str, port: int = 0, family: AddressFamily = AF_UNSPEC
    ) -> list[ResolveResult]:
        addresses = [ip_address(found) for found in await self._resolve(host)]
        if addresses and (host, port) not in self._allowed:
            addresses = [address for address in addresses if is_public(address)]
            if not addresses:
                raise _refused("private_address")
        if not addresses:
            raise gaierror(f"no address for {host}")
        return [
            ResolveResult(
                hostname=host,
                host=str(address),
                port=port,
                family=AF_INET6 if isinstance(address, IPv6Address) else AF_INET,
                proto=0,
                flags=AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Nothing is held."""


def checked(url: str | URL, allowed: Allowed) -> URL:
    """The address as it is asked for: http or https, no credentials, no fragment.

    A host that spells out an address is written in its usual form.

    Raises:
        _Ended: it must not be asked for.
    """
    try:
        found = URL(url) if isinstance(url, str) else url
        if found.scheme not in ("http", "https"):
            raise _refused("not_http")
        host, port = found.raw_host, found.port
        if not host or not port:
            raise _refused("bad_url")
        if found.raw_fragment or found.raw_user is not None or found.raw_password is not None:
            found = found.with_fragment(None).with_user(None)
        address = _spelt_out(host)
        if address is None:
            if _LOCAL_NAME.search(host) and (host, port) not in allowed:
                raise _refused("private_address")
            return found
        if (address, port) not in allowed and not is_public(ip_address(address)):
            raise _refused("private_address")
        return found if address == host else found.with_host(address)
    except ValueError:
        raise _refused("bad_url") from None


@lru_cache(1 << 12)
def _spelt_out(host: str) -> str | None:
    """The address that a host spells out, as usually written; None for a name."""
    address = literal(host)
    return None if address is None else str(address)


# --- The client -----------------------------------------------------------------------------------


class HttpClient:
    """Asks for addresses. Belongs to the event loop in which it is made; `close` it there."""

    def __init__(self, policy: Policy, resolve: Resolve = system_addresses) -> None:
        self.policy = policy
        self._allowed = Allowed(policy.allow_private)
        self._shared = SharedLimits(shared_folder())
        self._hosts: dict[tuple[str, str, int | None], _Host] = {}
        self._at_once = asyncio.Semaphore(policy.concurrency)
        self._loop = asyncio.get_running_loop()
        self._wanted = _Wanted(policy.max_bytes, policy.max_redirects, policy.judge)
        connector = aiohttp.TCPConnector(
            limit=0,
            resolver=_Resolver(resolve, self._allowed),
            ttl_dns_cache=_DNS_S,
            keepalive_timeout=_KEPT_OPEN_S,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=policy.connect_timeout_s),
            headers={
                "User-Agent": policy.user_agent,
                "Accept": "image/*,*/*;q=0.5",
                "Accept-Encoding": "identity",
            },
        )

    async def close(self) -> None:
        """End connections, and what still waits for a robots.txt."""
        waiting = [host.rules for host in self._hosts.values() if host.rules]
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await self._session.close()
        self._shared.close()

    async def fetch_all(
        self, asks: Sequence[Ask], each: Callable[[int, Answer], None] | None = None
    ) -> list[Answer]:
        """Ask for all, many at once; answers in order. `each` is told every answer in a thread."""
        answers: list[Answer | None] = [None] * len(asks)
        queues: dict[str, deque[int]] = {}
        for position, ask in enumerate(asks):
            queues.setdefault(_authority(ask.url), deque()).append(position)

        async def work(queue: deque[int]) -> None:
            while queue:
                position = queue.popleft()
                answer = answers[position] = await self.fetch(asks[position])
                if each is not None:
                    await self._loop.run_in_executor(None, each, position, answer)

        workers = [
            asyncio.create_task(work(queue))
            for queue in queues.values()
            for _ in range(min(len(queue), self.policy.per_host))
        ]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
        return [answer for answer in answers if answer is not None]

    async def fetch(self, ask: Ask) -> Answer:
        """Ask for one address, again after failures that may pass."""
        return await self._persistently(ask, self._wanted)

    async def _persistently(self, ask: Ask, wanted: _Wanted) -> Answer:
        budget = _Budget(self.policy.deadline_s)
        for attempt in range(self.policy.retries + 1):
            answer = await self._follow(ask, budget, wanted)
            if not may_pass(answer.cause) or answer.cause in _SETTLED:
                return answer
            backoff = min(self.policy.backoff_s * 2**attempt, _LONGEST_BACKOFF_S)
            wait = max(random.uniform(0, backoff), answer.retry_after or 0)  # noqa: S311
            if attempt == self.policy.retries or wait >= budget.left:
                break
            budget.left -= wait
            await asyncio.sleep(wait)
        if answer.code in _BUSY and answer.url:
            self._count_failure(self._host(URL(answer.url)))
        return answer

    # An address, with its redirects

    async def _follow(self, ask: Ask, budget: _Budget, wanted: _Wanted) -> Answer:
        asked: list[URL] = []
        code = None
        try:
            url = checked(ask.url, self._allowed)
            while True:
                if url in asked:
                    raise _failed("redirect_loop")
                if len(asked) > wanted.max_redirects:
                    raise _failed("too_many_redirects")
                asked.append(url)
                answer = await self._hop(url, ask, budget, wanted)
                code = answer.code = answer.code or code
                if answer.location is None:
                    answer.url = str(url)
                    return answer
                url = checked(_joined(url, answer.location), self._allowed)
        except _Ended as end:
            return Answer(end.status, end.cause, code, str(asked[-1]) if asked else None)

    async def _hop(self, url: URL, ask: Ask, budget: _Budget, wanted: _Wanted) -> Answer:
        """One request, when it is the host's turn."""
        host = self._host(url)
        host.users += 1
        try:
            if wanted.polite and self.policy.robots:
                rules = await self._rules(host, url)
                cause = rules.refusal(str(url))
                if cause:
                    raise _failed(cause) if cause in UNREACHABLE else _refused(cause)
            self._check_up(host)
            async with host.gate.turn(), self._at_once:
                self._check_up(host)
                answer = await self._in_time(url, ask, budget, wanted)
        finally:
            host.users -= 1
        if answer.cause in UNREACHABLE:
            self._count_failure(host)
        elif answer.code not in _BUSY:
            host.failures = 0
        elif answer.retry_after:
            await host.gate.pause(min(answer.retry_after, self.policy.deadline_s))
        return answer

    async def _in_time(self, url: URL, ask: Ask, budget: _Budget, wanted: _Wanted) -> Answer:
        answer, started = Answer("ok"), self._loop.time()
        try:
            async with asyncio.timeout(budget.left):
                await self._request(url, ask, wanted, answer)
        except _Ended as end:
            answer.status, answer.cause = end.status, end.cause
        except Exception as error:  # noqa: BLE001  # a stranger's doing must not stop the run
            answer.status, answer.cause = "failed", _cause_of(error)
        budget.left -= self._loop.time() - started
        return answer

    async def _request(self, url: URL, ask: Ask, wanted: _Wanted, answer: Answer) -> None:
        conditions = _conditions(ask)
        response = await self._session.get(url, headers=conditions, allow_redirects=False)
        try:
            await self._read(response, wanted, answer, conditional=conditions is not None)
        finally:
            response.close()  # the connection stays open when all of the body was read

    async def _read(
        self,
        response: aiohttp.ClientResponse,
        wanted: _Wanted,
        answer: Answer,
        *,
        conditional: bool,
    ) -> None:
        headers = response.headers
        answer.code = code = response.status
        if "Retry-After" in headers:
            answer.retry_after = retry_after_s(headers["Retry-After"])
        if code in _REFUSING:
            raise _refused(f"http_{code}")
        if code >= 400:
            raise _failed(f"http_{code}")
        if "X-Robots-Tag" in headers or robots.TDM_RESERVATION in headers:
            tags = headers.getall("X-Robots-Tag", ())
            answer.opt_outs = robots.opt_outs(headers, tags, self.policy.agent)
            if wanted.polite:
                for name in answer.opt_outs:
                    if name in self.policy.respect:
                        raise _refused(f"opt_out:{name}")
        if code in _REDIRECTS and "Location" in headers:
            answer.location = headers["Location"]
            return
        answer.etag = _plain(headers.get("ETag"))
        answer.last_modified = _plain(headers.get("Last-Modified"))
        if code == 304 and conditional:
            answer.status = "unchanged"
            return
        if code not in (200, 203):
            raise _failed(f"http_{code}")
        answer.media_type = response.content_type
        answer.body = await self._body(response, wanted, answer)

    async def _body(
        self, response: aiohttp.ClientResponse, wanted: _Wanted, answer: Answer
    ) -> bytes:
        limit = wanted.max_bytes
        if (response.content_length or 0) > limit and not wanted.cut:
            raise _refused("too_large")
        inflate = _inflater(response.headers.get("Content-Encoding", ""), limit)
        parts: list[bytes] = []
        size, judged = 0, wanted.judge is None
        stream = response.content
        while chunk := await stream.readany():
            answer.received += len(chunk)
            part = inflate(chunk) if inflate else chunk
            parts.append(part)
            size += len(part)
            if not judged and size >= HEAD_BYTES:
                judged = True
                self._judge(parts, wanted, answer)
            if size > limit:
                if wanted.cut:
                    break
                raise _refused("too_large")
        if not judged:
            self._judge(parts, wanted, answer)
        if inflate is not None and not inflate.complete and not wanted.cut:
            raise _failed("truncated")
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _judge(self, parts: list[bytes], wanted: _Wanted, answer: Answer) -> None:
        assert wanted.judge is not None  # asked only where there is one
        cause = wanted.judge(b"".join(parts)[:HEAD_BYTES], answer.media_type)
        if cause:
            raise _refused(cause)

    # Hosts

    def _host(self, url: URL) -> _Host:
        name, port = url.raw_host or "", url.port
        key = (url.scheme, name, port)
        host = self._hosts.get(key)
        if host is None:
            if len(self._hosts) >= _HOSTS_KEPT:
                self._forget_idle_hosts()
            name = name if url.is_default_port() else f"{name}:{port}"
            gate = HostGate(self._shared, name, self.policy.per_host, self.policy.host_delay_s)
            host = self._hosts[key] = _Host(gate)
        return host

    def _forget_idle_hosts(self) -> None:
        idle = [key for key, host in self._hosts.items() if not host.users]
        for key in idle[: _HOSTS_KEPT // 2]:
            del self._hosts[key]

    def _check_up(self, host: _Host) -> None:
        if host.down_until > self._loop.time():
            raise _failed("host_down")

    def _count_failure(self, host: _Host) -> None:
        host.failures += 1
        if host.failures >= self.policy.host_failures:
            host.failures = 0
            host.down_until = self._loop.time() + self.policy.host_rest_s

    async def _rules(self, host: _Host, url: URL) -> robots.Rules:
        """The site's robots.txt; whoever comes first asks for it, the others wait."""
        if host.rules is None or host.rules_until < self._loop.time():
            host.rules_until = self._loop.time() + _ROBOTS_S
            host.rules = asyncio.create_task(self._ask_for_rules(host, url))
        if host.rules.done():
            return host.rules.result()
        return await asyncio.shield(host.rules)

    async def _ask_for_rules(self, host: _Host, url: URL) -> robots.Rules:
        ask = Ask(str(url.origin() / "robots.txt"))
        wanted = _Wanted(robots.MOST_BYTES, _ROBOTS_REDIRECTS, polite=False, cut=True)
        answer = await self._persistently(ask, wanted)
        # A redirect that leads nowhere is a file that is not there (RFC 9309, 2.3.1.2).
        lost = answer.cause in ("redirect_loop", "too_many_redirects")
        try:
            rules = robots.rules_from(404 if lost else answer.code, answer.body, self.policy.agent)
        except Exception:  # noqa: BLE001  # nor must a strange file
            rules = robots.Rules(None, self.policy.agent, "robots_unreachable")
        if answer.cause in UNREACHABLE or (answer.cause == "private_address" and not answer.code):
            rules = robots.Rules(None, self.policy.agent, answer.cause)
        elif answer.code == 200 and answer.status != "ok":
            rules = robots.Rules(None, self.policy.agent, "robots_unreachable")
        if rules.unknown:
            host.rules_until = self._loop.time() + _ROBOTS_UNKNOWN_S
        wish = min(rules.crawl_delay, self.policy.max_crawl_delay_s)
        host.gate.delay = max(self.policy.host_delay_s, wish)
        return rules


class _Inflater:
    """Undoes a content encoding, up to a byte more than the limit."""

    def __init__(self, limit: int) -> None:
        self._stream = zlib.decompressobj(zlib.MAX_WBITS | 32)  # gzip or zlib
        self._left = limit + 1

    def __call__(self, data: bytes) -> bytes:
        try:
            found = self._stream.decompress(data, self._left)
        except zlib.error:
            raise _failed("bad_encoding") from None
        self._left -= len(found)
        return found

    @property
    def complete(self) -> bool:
        """Whether the end was reached."""
        return self._stream.eof


def _inflater(encoding: str, limit: int) -> _Inflater | None:
    """For encodings that servers send although none was asked for."""
    match encoding.strip().lower():
        case "" | "identity" | "none":
            return None
        case "gzip" | "x-gzip" | "deflate":
            return _Inflater(limit)
        case _:
            raise _refused("bad_encoding")


def _conditions(ask: Ask) -> dict[str, str] | None:
    """Headers that let the server say that nothing has changed."""
    found = {"If-None-Match": ask.etag, "If-Modified-Since": ask.last_modified}
    return {name: value for name, value in found.items() if value} or None


def _authority(url: str) -> str:
    """The part of the address that names the host, for grouping."""
    return url.split("/", 3)[2].lower() if url.count("/") > 1 else ""


def _joined(url: URL, location: str) -> URL:
    try:
        return url.join(URL(location))
    except ValueError:
        raise _refused("bad_url") from None


def _plain(header: str | None) -> str | None:
    """A header's value, unless it is of a kind that must not be kept or sent back."""
    usable = header and len(header) <= 500 and header.isascii() and header.isprintable()
    return header if usable else None


def retry_after_s(retry_after: str) -> float | None:
    """Seconds that a Retry-After header asks for; None when it cannot be read."""
    if _SECONDS.fullmatch(retry_after.strip()):
        return float(retry_after.strip()[:9])
    try:
        moment = parsedate_to_datetime(retry_after)
        return max(0.0, (moment - datetime.now(moment.tzinfo)).total_seconds())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _cause_of(error: Exception) -> str:
    match error:
        case aiohttp.ClientConnectorDNSError():
            return "dns"
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return "tls"
        case aiohttp.ConnectionTimeoutError() | aiohttp.ClientConnectorError():
            return "connect"
        case TimeoutError():
            return "timeout"
        case aiohttp.ClientPayloadError():
            return "truncated"
        case aiohttp.ServerDisconnectedError() | OSError():
            return "disconnected"
        case aiohttp.InvalidURL():
            return "bad_url"
        case aiohttp.ClientError():
            return "bad_response"
    return f"error:{type(error).__name__}"


# --- For code that is not asynchronous ------------------------------------------------------------


class ClientThread:
    """A client in an event loop and a thread of its own; ends when it is collected or closed.

    So that it can be used from anywhere, a running event loop (a notebook's) included, and keeps
    its connections from one call to the next.
    """

    def __init__(self, policy: Policy, resolve: Resolve = system_addresses) -> None:
        allow_open_files(1024 + _OPEN_FILES * policy.concurrency)
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(ThreadPoolExecutor(_THREADS, "fetch"))
        thread = threading.Thread(target=self._loop.run_forever, name="fetch", daemon=True)
        thread.start()
        try:
            self._client = self._run(_made(policy, resolve))
        except BaseException:
            _end(self._loop, thread)
            raise
        self.close = weakref.finalize(self, _close, self._loop, thread, self._client)

    def fetch_all(
        self, asks: Sequence[Ask], each: Callable[[int, Answer], None] | None = None
    ) -> list[Answer]:
        """As `HttpClient.fetch_all`."""
        return self._run(self._client.fetch_all(asks, each))

    def _run(self, work: Coroutine[Any, Any, Value]) -> Value:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise


def allow_open_files(wanted: int) -> None:
    """Raise what this process may open towards `wanted`; too few would look like dead servers."""
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
    if resource.RLIM_INFINITY != now < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


async def _made(policy: Policy, resolve: Resolve) -> HttpClient:
    return HttpClient(policy, resolve)


def _close(loop: asyncio.AbstractEventLoop, thread: threading.Thread, client: HttpClient) -> None:
    asyncio.run_coroutine_threadsafe(client.close(), loop).result(_END_S)
    _end(loop, thread)


def _end(loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
    loop.call_soon_threadsafe(loop.stop)
    thread.join(_END_S)
    loop.close()
