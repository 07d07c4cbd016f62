"""Asking one server over HTTP: what its replies mean, and what is learnt of it."""

from __future__ import annotations

import json
import ssl
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp

from operators.chat_limits import Gate, Pace
from operators.chat_model import ChatModel
from operators.chat_wire import (
    RUNGS,
    Asked,
    NoCompletion,
    Rung,
    Said,
    body,
    error_text,
    refuses,
    said,
)
from operators.http_client import retry_after_s

_CONNECT_S = 30.0
_BUSY = frozenset((429, 503, 529))
_NO_MONEY = ("insufficient_quota", "billing", "credit balance")
_CAUSES = {
    400: "bad_request",
    401: "unauthorised",
    403: "forbidden",
    404: "not_found",
    408: "timeout",
    413: "too_large",
    422: "bad_request",
    429: "rate_limited",
}
_NEW_NAMES = {"max_tokens": "max_completion_tokens"}
"""Parameters that some models want under another name, and say so."""


class Failed(Exception):
    """An attempt without a completion."""

    def __init__(
        self,
        cause: str,
        message: str,
        *,
        again: bool = False,
        busy: bool = False,
        congestion: bool = False,
        wait_s: float | None = None,
        code: int = 0,
    ) -> None:
        super().__init__(cause, message)
        self.cause, self.message, self.code = cause, message, code
        self.again = again
        """Whether another attempt may succeed."""
        self.busy = busy
        """Whether the server says that it is asked too much: that is no attempt."""
        self.congestion = congestion
        """Whether fewer requests at once may help."""
        self.wait_s = wait_s
        """How long the server asks to wait."""


@lru_cache(maxsize=64)
def _proxy(url: str) -> str | None:
    """The proxy that the environment of this process names for an address.

    aiohttp would look for it, and for a file of passwords, at every request.
    """
    parts = urlsplit(url)
    if proxy_bypass(parts.hostname or ""):
        return None
    return getproxies().get(parts.scheme)


class Endpoint:
    """What is known of one address: how fast it may be asked, what it understands."""

    def __init__(self, model: ChatModel) -> None:
        self.gate = Gate(model.max_concurrency)
        self.requests = Pace(model.requests_per_minute)
        self.tokens = Pace(model.tokens_per_minute)
        self._rungs: dict[str, int] = {}
        self._renamed: dict[str, dict[str, str]] = {}

    def configure(self, model: ChatModel) -> None:
        """Take the limits of whoever asks last."""
        if model.max_concurrency != self.gate.most:
            self.gate.widen(model.max_concurrency)
        self.requests.per_minute = model.requests_per_minute
        self.tokens.per_minute = model.tokens_per_minute

    def rung(self, model: str) -> Rung:
        """The best way to structured answers that the server has not refused."""
        return RUNGS[self._rungs.get(model, 0)]

    def renamed(self, model: str) -> dict[str, str]:
        """Parameters that this model wants under other names."""
        return self._renamed.get(model, {})

    def learn(self, ask: Asked, rung: Rung, failed: Failed, *, climbing: bool) -> bool:
        """Whether a refusal taught how to ask better."""
        for name, other in _NEW_NAMES.items():
            named = name in ask.parameters and other in failed.message
            if failed.code == 400 and named:
                known = self._renamed.setdefault(ask.model, {})
                if name not in known:
                    known[name] = other
                    return True
        if climbing and ask.schema is not None and refuses(failed.code, failed.message, rung):
            below = RUNGS.index(rung) + 1
            self._rungs[ask.model] = max(self._rungs.get(ask.model, 0), below)
            return True
        return False


class Server:
    """One address with one key, for one attempt at a time."""

    def __init__(self, http: aiohttp.ClientSession, model: ChatModel, key: str | None) -> None:
        self._http = http
        self.model = model
        self._key = key

    async def complete(self, ask: Asked, rung: Rung, renamed: dict[str, str]) -> Said:
        """The completion.

        Raises:
            Failed: there is none.
        """
        data = body(ask, rung, renamed)
        code, headers, raw = await self._call(
            "POST", self.model.endpoint, data, {"Content-Type": "application/json"}
        )
        if code != 200:
            raise self.refusal(code, headers.get("Retry-After"), raw)
        try:
            return said(json.loads(raw), ask)
        except NoCompletion as error:
            message = f"the reply holds no completion: {self._clean(str(error))}"
        except (ValueError, RecursionError):
            message = "the reply is no JSON"
        raise Failed("bad_response", message, again=True)

    async def json(
        self, method: str, path: str, value: Any = None, query: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """Another call of the API, as one about batches.

        Raises:
            Failed: it did not succeed.
        """
        headers = {} if value is None else {"Content-Type": "application/json"}
        data = None if value is None else json.dumps(value).encode()
        return self._object(await self._good(method, path, data, headers, query))

    async def upload(self, path: str, file: Path, fields: dict[str, str]) -> dict[str, Any]:
        """Send a file as a form does."""
        form = aiohttp.FormData(fields)
        with file.open("rb") as stream:
            form.add_field("file", stream, filename=file.name, content_type="application/jsonl")
            return self._object(await self._good("POST", path, form, {}, None))

    async def content(self, path: str) -> bytes:
        """The bytes of a file."""
        return await self._good("GET", path, None, {}, None)

    async def _good(
        self,
        method: str,
        path: str,
        data: Any,
        headers: dict[str, str],
        query: dict[str, str] | None,
    ) -> bytes:
        url = self.model.at(path)
        code, said_headers, raw = await self._call(method, url, data, headers, query)
        if code not in (200, 201):
            raise self.refusal(code, said_headers.get("Retry-After"), raw)
        return raw

    def _object(self, raw: bytes) -> dict[str, Any]:
        try:
            found = json.loads(raw)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise Failed("bad_response", "the reply is no JSON object", again=True)
        return found

    async def _call(
        self,
        method: str,
        url: str,
        data: Any,
        headers: dict[str, str],
        query: dict[str, str] | None = None,
    ) -> tuple[int, Any, bytes]:
        """Status, headers and body of any call."""
        model = self.model
        patience = aiohttp.ClientTimeout(total=model.timeout_s, sock_connect=_CONNECT_S)
        try:
            async with self._http.request(
                method,
                url,
                data=data,
                params=model.query | (query or {}),
                headers=headers | model.headers(self._key),
                timeout=patience,
                proxy=_proxy(url),
                allow_redirects=False,  # a key goes to nobody else
            ) as response:
                return response.status, response.headers, await response.read()
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            raise self._broken(error) from None

    def refusal(self, code: int, retry_after: str | None, raw: bytes) -> Failed:
        """What a status other than 200 means."""
        try:
            text = error_text(json.loads(raw))
        except (ValueError, RecursionError):
            text = error_text(raw[:500].decode("utf-8", "replace"))
        message = f"HTTP {code}: {self._clean(text)}" if text else f"HTTP {code}"
        if code == 429 and any(word in raw.decode("utf-8", "replace") for word in _NO_MONEY):
            return Failed("no_credit", message, code=code)
        if code in _BUSY:
            wait_s = retry_after_s(retry_after) if retry_after else None
            cause = "rate_limited" if code == 429 else "overloaded"
            return Failed(
                cause, message, again=True, busy=True, congestion=True, wait_s=wait_s, code=code
            )
        broken = code >= 500 or code == 408
        cause = _CAUSES.get(code, "server_error" if code >= 500 else f"http_{code}")
        return Failed(cause, message, again=broken, congestion=broken, code=code)

    def _broken(self, error: Exception) -> Failed:
        match error:
            case aiohttp.ClientConnectorDNSError():
                cause = "dns"
            case aiohttp.ClientSSLError() | ssl.SSLError():
                return Failed("tls", self._clean(str(error)))
            case aiohttp.ConnectionTimeoutError() | aiohttp.ClientConnectorError():
                cause = "connect"
            case TimeoutError():
                message = f"no answer within {self.model.timeout_s:g} s"
                return Failed("timeout", message, again=True, congestion=True)
            case aiohttp.ClientPayloadError():
                cause = "disconnected"
            case aiohttp.ServerDisconnectedError() | OSError():
                cause = "disconnected"
            case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
                return Failed("bad_url", self._clean(str(error)))
            case _:
                cause = "bad_response"
        text = self._clean(" ".join(str(error).split()) or type(error).__name__)
        return Failed(cause, text, again=True, congestion=cause != "bad_response")

    def _clean(self, text: str) -> str:
        """Without the key, which servers like to quote."""
        return text.replace(self._key, "[key]") if self._key else text
