"""Images fetched: from the inputs, from their own address, from a cache, over HTTP.

What came of an address is said in columns, also when nothing came of it; docs/fetching.md has the
causes. The HTTP client is `operators.http_client`.
"""

from __future__ import annotations

import binascii
import hashlib
import importlib.metadata
import re
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple
from urllib.parse import unquote_to_bytes, urlsplit

import pyarrow as pa
from pydantic import Field, field_validator

from operators.addresses import Allowed
from operators.base import Operator, measured
from operators.fetch_cache import FetchCache, Kept
from operators.fetch_causes import may_pass
from operators.host_limits import MOST_SLOTS
from operators.media_types import IMAGES, sniffed
from schemas import columns

if TYPE_CHECKING:
    from operators.http_client import Answer, ClientThread

_DECIDING = frozenset(("http", "max_bytes", "robots", "respect", "allow_private", "refresh_before"))
_CACHE_THREADS = 16
_MEDIA_TYPE = re.compile(r"[a-z0-9.+-]{1,40}/[a-z0-9.+-]{1,60}")
_DATA_URL = re.compile(r"data:([^,]*?)(;base64)?,", re.IGNORECASE | re.ASCII)


class Fetched(NamedTuple):
    """One row of what `FetchImages` writes."""

    fetch_status: str | None = None
    fetch_cause: str | None = None
    fetch_from: str | None = None
    http_status: int | None = None
    final_url: str | None = None
    fetched_at: int | None = None
    etag: str | None = None
    last_modified: str | None = None
    image_bytes: int | None = None
    image_sha256: str | None = None
    image_data: bytes | None = None


def refusal(head: bytes, declared: str | None) -> str | None:
    """A cause to refuse bytes that are no image, by the first ones; None for an image."""
    kind = sniffed(head)
    if kind in IMAGES:
        return None
    if kind in ("unknown", "text") and declared:
        said = declared.lower()
        believable = said.removeprefix("image/") not in IMAGES and _MEDIA_TYPE.fullmatch(said)
        kind = said if believable else kind
    return f"not_an_image:{kind}"


class Fetcher:
    """What a worker keeps from batch to batch: the client, made when it is first needed."""

    def __init__(self, make: Callable[[], ClientThread], cache: FetchCache | None) -> None:
        self._make, self.cache = make, cache
        self._client: ClientThread | None = None

    @property
    def client(self) -> ClientThread:
        """The HTTP client, in its thread."""
        if self._client is None:
            self._client = self._make()
        return self._client

    def close(self) -> None:
        """End connections; a fetcher that is dropped does so by itself."""
        if self._client is not None:
            self._client.close()
            self._client = None


class FetchImages(Operator[Fetcher]):
    """The bytes of images: those that the inputs hold, else from a cache, else over HTTP.

    Politely and warily: see docs/fetching.md. Nothing is an error of its row; `fetch_status` and
    `fetch_cause` say what came of it.
    """

    name = "fetch_images"
    version = 1
    table = "images"
    reads = columns.schema("image_url", "archived_image", "image_type")
    writes = columns.schema(*Fetched._fields)
    stateful = True
    asks_the_world = True
    offline: ClassVar[Mapping[str, Any]] = {"http": False}

    http: bool = Field(True, description="ask servers for what neither inputs nor cache hold")
    max_bytes: int = Field(20_000_000, ge=1, description="greatest size of an image, in bytes")
    robots: bool = Field(True, description="respect robots.txt, its Crawl-delay included")
    respect: tuple[str, ...] = Field(
        ("noai", "noimageai", "noml", "tdm-reservation"),
        description="directives of X-Robots-Tag, and tdm-reservation, that refuse an image",
    )
    allow_private: tuple[str, ...] = Field(
        (), description="hosts, or host:port, that may be asked although they are not public"
    )
    cache: str | None = Field(
        None, description="folder or s3:// prefix that keeps what was fetched, for all jobs"
    )
    refresh_before: datetime | None = Field(
        None,
        description="what the cache holds from before this time is asked for again: 2026-11-21",
    )
    contact: str = Field(
        "", description="address or page that the user agent names, so that sites can complain"
    )
    concurrency: int = Field(64, ge=1, le=4096, description="requests at once in a worker")
    per_host: int = Field(
        4, ge=1, le=MOST_SLOTS, description="requests at once to a host, over all workers"
    )
    host_delay_s: float = Field(
        0.1, ge=0, le=600, description="seconds between requests to a host, over all workers"
    )
    max_crawl_delay_s: float = Field(
        30.0, ge=0, le=600, description="seconds of a Crawl-delay that are respected"
    )
    connect_timeout_s: float = Field(10.0, gt=0, le=600, description="seconds to connect")
    deadline_s: float = Field(
        60.0, gt=0, le=3600, description="seconds for an image, with redirects and retries"
    )
    retries: int = Field(2, ge=0, le=20, description="how often a failure that may pass is retried")
    backoff_s: float = Field(
        0.5, ge=0, le=60, description="greatest wait before the first retry; doubles"
    )
    max_redirects: int = Field(5, ge=0, le=50, description="redirects that are followed")
    host_failures: int = Field(
        5, ge=1, description="failures in a row after which a host counts as down"
    )
    host_rest_s: float = Field(300.0, ge=0, description="seconds for which it is left alone then")

    @field_validator("respect")
    @classmethod
    def _lower(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name.strip().lower() for name in value)

    @field_validator("allow_private")
    @classmethod
    def _hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        Allowed(value)
        return value

    @field_validator("refresh_before")
    @classmethod
    def _utc(cls, value: datetime | None) -> datetime | None:
        """A time without a zone is UTC."""
        return value if value is None or value.tzinfo else value.replace(tzinfo=UTC)

    @field_validator("contact")
    @classmethod
    def _header(cls, value: str) -> str:
        if not (value.isascii() and value.isprintable()) or set(value) & set("()\\"):
            raise ValueError("a contact is plain ASCII without brackets, such as an address")
        return value

    @property
    def user_agent(self) -> str:
        """What servers are told of who asks."""
        contact = f" (+{self.contact})" if self.contact else ""
        return f"omniloom/{importlib.metadata.version('omniloom')}{contact}"

    def setup(self) -> Fetcher:
        """Nothing is opened before it is needed."""
        cache = FetchCache(self.cache, robots=self.robots) if self.cache else None
        return Fetcher(self._client, cache)

    def _client(self) -> ClientThread:
        from operators.http_client import ClientThread, Policy  # aiohttp loads slowly

        fields = self.model_dump(exclude={"http", "cache", "contact", "refresh_before"})
        return ClientThread(Policy(user_agent=self.user_agent, judge=refusal, **fields))

    def deciding_config(self) -> dict[str, Any]:
        """What is asked for and what is refused; not how it is asked for."""
        return self.model_dump(include=set(_DECIDING))

    def measure(self, batch: pa.Table, state: Fetcher) -> pa.Table:
        """Status and bytes by row; nulls where the address is null."""
        names = ("image_url", "archived_image", "image_type")
        rows = list(zip(*(batch[name].to_pylist() for name in names), strict=True))
        wanted = {
            url: _asked(url) for url, archived, _ in rows if url is not None and archived is None
        }
        inline = {url for url in wanted if _DATA_URL.match(url)}
        found = {url: self._inline(url) for url in inline}
        remote = {url: asked for url, asked in wanted.items() if url not in inline}
        said = self._remote(remote.values(), state)
        found |= {url: said[asked] for url, asked in remote.items()}

        def row(url: str | None, archived: bytes | None, declared: str | None) -> Fetched:
            if url is None:
                return Fetched()
            if archived is not None:
                return self._local(archived, declared, "archive")
            return found[url]

        values = zip(*(row(*of_row) for of_row in rows), strict=True)
        return measured(self.writes, list(values) or [[] for _ in self.writes])

    def retryable(self, measured: pa.Table) -> pa.Array:
        """Rows whose failure may pass: no answer, an overloaded or broken server."""
        causes = measured["fetch_cause"].to_pylist()
        return pa.array([may_pass(cause) for cause in causes], pa.bool_())

    # Where bytes come from

    def _local(self, body: bytes, declared: str | None, origin: str) -> Fetched:
        """Bytes that are at hand."""
        cause = self._refusal(body, declared)
        if cause:
            return Fetched("refused", cause, origin)
        return Fetched("ok", None, origin, **_of_bytes(body))

    def _refusal(self, body: bytes, declared: str | None) -> str | None:
        return "too_large" if len(body) > self.max_bytes else refusal(body, declared)

    def _inline(self, url: str) -> Fetched:
        """The bytes of a data: address."""
        match = _DATA_URL.match(url)
        assert match is not None  # it is how these addresses were told
        if len(url) - match.end() > 4 * self.max_bytes:  # a byte takes up to 4 signs
            return Fetched("refused", "too_large", "inline")
        body = unquote_to_bytes(url[match.end() :])
        if match[2]:
            try:
                body = binascii.a2b_base64(body + b"==")
            except binascii.Error:
                return Fetched("refused", "bad_url", "inline")
        return self._local(body, match[1].partition(";")[0], "inline")

    # Over HTTP, and what is kept of it

    def _remote(self, urls: Iterable[str], state: Fetcher) -> dict[str, Fetched]:
        """What came of each address."""
        urls = list(dict.fromkeys(urls))
        before = self._kept(urls, state.cache)
        found = {url: kept for url, kept in before.items() if not (self.http and self._old(kept))}
        rest = [url for url in urls if url not in found]
        if not self.http:
            return found | dict.fromkeys(rest, Fetched("refused", "offline"))
        return found | self._asked_for(rest, before, state)

    def _old(self, kept: Fetched) -> bool:
        """Whether servers are to be asked if it has changed."""
        if self.refresh_before is None or kept.fetched_at is None:
            return False
        return kept.fetched_at < self.refresh_before.timestamp()

    def _kept(self, urls: list[str], cache: FetchCache | None) -> dict[str, Fetched]:
        """What the cache holds, judged as if it came now."""
        if cache is None or not urls:
            return {}
        with ThreadPoolExecutor(_CACHE_THREADS) as pool:
            found = zip(urls, pool.map(cache.get, urls), strict=True)
            return {url: self._of_kept(kept) for url, kept in found if kept}

    def _of_kept(self, kept: Kept) -> Fetched:
        opt_out = next((name for name in kept.opt_outs if name in self.respect), None)
        cause = f"opt_out:{opt_out}" if opt_out else self._refusal(kept.body, None)
        said = Fetched("ok", None, "cache", kept.code, kept.final_url, kept.fetched_at)
        if cause:
            return said._replace(fetch_status="refused", fetch_cause=cause)
        said = said._replace(etag=kept.etag, last_modified=kept.last_modified)
        return said._replace(**_of_bytes(kept.body))

    def _asked_for(
        self, urls: list[str], before: Mapping[str, Fetched], state: Fetcher
    ) -> dict[str, Fetched]:
        if not urls:
            return {}
        from operators.http_client import Ask

        found: dict[str, Fetched] = {}

        def take(position: int, answer: Answer) -> None:
            url = urls[position]
            said = found[url] = _of_answer(answer, before.get(url))
            if state.cache is not None and answer.status == "ok":
                state.cache.put(url, _to_keep(said, answer))

        asks = [
            Ask(url, old.etag, old.last_modified)
            if (old := before.get(url)) and old.fetch_status == "ok"
            else Ask(url)
            for url in urls
        ]
        # Writing to a cache takes time that the event loop has not.
        answers = state.client.fetch_all(asks, take if state.cache else None)
        if state.cache is None:
            for position, answer in enumerate(answers):
                take(position, answer)
        return found


def _asked(url: str) -> str:
    """The address without fragment and credentials, neither of which servers are told."""
    plain = url.strip().partition("#")[0]
    if "@" not in plain:
        return plain
    try:
        parts = urlsplit(plain)
    except ValueError:
        return "http://"  # no address, which is what the other is too
    if "@" not in parts.netloc:
        return plain
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _of_bytes(body: bytes) -> dict[str, Any]:
    """The columns that tell of bytes."""
    digest = hashlib.sha256(body).hexdigest()
    return {"image_bytes": len(body), "image_sha256": digest, "image_data": body}


def _of_answer(answer: Answer, before: Fetched | None) -> Fetched:
    """A server's answer as a row; what was there `before` stays if it still holds."""
    if answer.status == "unchanged" and before is not None:
        return before._replace(http_status=answer.code, fetched_at=answer.at)
    if before is not None and before.fetch_status == "ok" and may_pass(answer.cause):
        return before
    said = Fetched(answer.status, answer.cause)
    if answer.url is not None:
        said = said._replace(
            fetch_from="http",
            http_status=answer.code,
            final_url=answer.url,
            fetched_at=answer.at,
        )
    if answer.status != "ok":
        return said
    said = said._replace(etag=answer.etag, last_modified=answer.last_modified)
    return said._replace(**_of_bytes(answer.body))


def _to_keep(said: Fetched, answer: Answer) -> Kept:
    assert said.image_sha256 is not None  # an image that is ok has one
    return Kept(
        body=answer.body,
        final_url=answer.url or "",
        code=answer.code or 200,
        fetched_at=answer.at,
        sha256=said.image_sha256,
        etag=answer.etag,
        last_modified=answer.last_modified,
        opt_outs=answer.opt_outs,
    )
