"""What servers do to a client, and what must come of it.

`python -m tests.fetch_cases` runs all cases and writes what came of each, with seconds and bytes
read, into docs/fetching.md, and the table of causes. `tests/test_fetch.py` runs them as tests.
"""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from operators.fetch import refusal
from operators.fetch_causes import CAUSES, may_pass
from operators.http_client import Answer, Ask, HttpClient, Policy, Resolve, system_addresses
from tests.hostile_site import PNG, Connection, Reply, Request, Site
from tests.support import ROOT

MOST_BYTES = 1_000_000
DEADLINE_S = 0.6
_DOCUMENT = ROOT / "docs" / "fetching.md"

HTML = b"<!DOCTYPE html><html><body>Please enable cookies</body></html>" + b" " * 50_000
SVG = b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>"


def policy(site: Site | None = None, **fields: Any) -> Policy:
    """Impatient, and willing to ask the site."""
    own: dict[str, Any] = {
        "user_agent": "omniloom/0.0 (+mailto:crawl@example.org)",
        "max_bytes": MOST_BYTES,
        "judge": refusal,
        "respect": ("noai", "noimageai", "noml", "tdm-reservation"),
        "allow_private": (site.place,) if site else (),
        "connect_timeout_s": 0.5,
        "deadline_s": DEADLINE_S,
        "backoff_s": 0.01,
    }
    return Policy(**own | fields)


def ask(
    urls: Sequence[str | Ask], asked: Policy, resolve: Resolve = system_addresses
) -> list[Answer]:
    """Answers of a client of its own."""
    asks = [Ask(url) if isinstance(url, str) else url for url in urls]

    async def all_of_them() -> list[Answer]:
        client = HttpClient(asked, resolve)
        try:
            return await client.fetch_all(asks)
        finally:
            await client.close()

    return asyncio.run(all_of_them())


@dataclass(frozen=True)
class Case:
    """One thing that a site does: `set_up` gives the address to ask for."""

    name: str
    does: str
    set_up: Callable[[Site], str]
    status: str
    cause: str | None = None
    code: int | None = None
    fields: dict[str, Any] = field(default_factory=dict)
    """Of the policy."""
    most_s: float = 0.5
    least_s: float = 0.0
    most_read: int = 70_000
    """Bytes of the body."""
    requests: int = 1
    """Without robots.txt."""


def replies(*given: Reply) -> Callable[[Site], str]:
    """A site that answers so, in turn."""
    return lambda site: site.on("/image", *given)


def redirects(target: str) -> Callable[[Site], str]:
    """A site that sends elsewhere."""
    return replies(Reply(302, (("Location", target),), b""))


def sends(*parts: bytes, every_s: float = 0.0, reset: bool = False) -> Callable[[Site], str]:
    """A site that sends these bytes, the last part again and again when `every_s` is given."""

    async def answer(request: Request, connection: Connection) -> None:
        with suppress(ConnectionError):
            for part in parts:
                await connection.send(part)
            while every_s:
                await asyncio.sleep(every_s)
                await connection.send(parts[-1])
        if reset:
            await asyncio.sleep(0.05)
            connection.reset()

    return lambda site: site.does("/image", answer)


def _endless(site: Site) -> str:
    async def answer(request: Request, connection: Connection) -> None:
        await connection.send(b"HTTP/1.1 200 So\r\nContent-Type: image/png\r\n\r\n")
        with suppress(ConnectionError):
            while True:
                await connection.send_body(PNG * 30)

    return site.does("/image", answer)


def _ten_thousand_redirects(site: Site) -> str:
    for number in range(10_000):
        site.on(f"/{number}", Reply(302, (("Location", f"/{number + 1}"),), b""))
    return site.url("/0")


def _loop(site: Site) -> str:
    site.on("/other", Reply(302, (("Location", "/image"),), b""))
    return site.on("/image", Reply(302, (("Location", "/other"),), b""))


def _with_robots(*given: Reply) -> Callable[[Site], str]:
    def set_up(site: Site) -> str:
        site.on("/robots.txt", *given)
        return site.url("/image")

    return set_up


def _tagged(name: str, value: str) -> Callable[[Site], str]:
    return replies(Reply(headers=((name, value),), body_wait_s=0.2))


_HEAD = b"HTTP/1.1 200 So\r\nContent-Type: image/png\r\n"
_BOMB = gzip.compress(PNG + bytes(100_000_000), 9)
_PACKED = gzip.compress(PNG)
_GZIP = (("Content-Encoding", "gzip"),)
_AGAIN = 3
"""Requests where a failure is retried twice."""

CASES = (
    # Slow and endless.
    Case("slow head", "drips its head, a byte every 20 ms", sends(b"HTTP/1.1 200 So\r\nX: ", b"x",
         every_s=0.02), "failed", "timeout", least_s=0.5, most_s=1.2),
    Case("slow body", "drips its body, a byte every 20 ms", sends(_HEAD + b"\r\n" + PNG, b"x",
         every_s=0.02), "failed", "timeout", 200, least_s=0.5, most_s=1.2),
    Case("silence", "takes the request and says nothing", sends(b"", every_s=0.1), "failed",
         "timeout", least_s=0.5, most_s=1.2),
    Case("endless body", "sends an image without end", _endless, "refused", "too_large", 200,
         most_read=2 * MOST_BYTES),
    Case("announced too large", "announces 10 GB", replies(Reply(length=10**10)), "refused",
         "too_large", 200, most_read=0),
    Case("endless head", "sends header lines without end", sends(b"HTTP/1.1 200 So\r\n",
         b"X: y\r\n" * 200, every_s=0.001), "failed", "bad_response"),
    Case("huge header", "sends a header of 1 MB", replies(Reply(headers=(("X", "y" * 10**6),))),
         "failed", "bad_response"),
    Case("gzip bomb", "packs 100 MB into 100 kB", replies(Reply(headers=_GZIP, body=_BOMB)),
         "refused", "too_large", 200, most_read=len(_BOMB)),
    Case("unasked gzip", "packs the image", replies(Reply(headers=_GZIP, body=_PACKED)), "ok",
         code=200),
    Case("cut gzip", "packs it and cuts it off", replies(Reply(headers=_GZIP, body=_PACKED[:-9])),
         "failed", "truncated", 200, requests=_AGAIN),
    Case("broken gzip", "calls the image packed", replies(Reply(headers=_GZIP)), "failed",
         "bad_encoding", 200),
    Case("other encoding", "packs it with Brotli", replies(Reply(
         headers=(("Content-Encoding", "br"),))), "refused", "bad_encoding", 200, most_read=0),
    # Redirects.
    Case("to another port", "redirects to 127.0.0.1:1", redirects("http://127.0.0.1:1/"),
         "refused", "private_address", 302),
    Case("to the cloud's metadata", "redirects to 169.254.169.254",
         redirects("http://169.254.169.254/latest/"), "refused", "private_address", 302),
    Case("to a disguised address", "redirects to http://0x7f.1:1/", redirects("http://0x7f.1:1/"),
         "refused", "private_address", 302),
    Case("to a name of ours", "redirects to http://localhost:1/", redirects("http://localhost:1/"),
         "refused", "private_address", 302),
    Case("to a file", "redirects to file:///etc/passwd", redirects("file:///etc/passwd"),
         "refused", "not_http", 302),
    Case("to nonsense", "redirects to http://[::1/", redirects("http://[::1/"), "refused",
         "bad_url", 302),
    Case("10,000 redirects", "redirects on and on", _ten_thousand_redirects, "failed",
         "too_many_redirects", 302, requests=6),
    Case("redirect loop", "redirects back and forth", _loop, "failed", "redirect_loop", 302,
         requests=2),
    Case("relative redirect", "redirects to ../image2", redirects("../image2"), "ok", code=200,
         requests=2),
    # No image.
    Case("html as png", "sends a page as image/png", replies(Reply(
         headers=(("Content-Type", "image/png"),), body=HTML)), "refused", "not_an_image:html", 200,
         most_read=len(HTML)),
    Case("endless html", "sends a page without end", sends(_HEAD + b"\r\n", HTML, every_s=0.001),
         "refused", "not_an_image:html", 200, most_read=300_000),
    Case("svg", "sends a drawing", replies(Reply(body=SVG)), "refused", "not_an_image:svg", 200),
    Case("octets that are an image", "sends a PNG as application/octet-stream", replies(Reply(
         headers=(("Content-Type", "application/octet-stream"),))), "ok", code=200),
    Case("empty", "sends nothing, with status 200", replies(Reply(body=b"")), "refused",
         "not_an_image:empty", 200),
    # Statuses.
    Case("busy", "says 429, Retry-After: 1, then gives it", replies(Reply(429, (("Retry-After",
         "1"),), b""), Reply()), "ok", code=200, fields={"deadline_s": 5.0}, least_s=0.95,
         most_s=2.0, requests=2),
    Case("busy for long", "says 429, Retry-After: 3600", replies(Reply(429, (("Retry-After",
         "3600"),), b"")), "failed", "http_429", 429),
    Case("broken for a moment", "says 503, then gives it", replies(Reply(503, body=b""), Reply()),
         "ok", code=200, requests=2),
    Case("broken", "says 500", replies(Reply(500, body=b"")), "failed", "http_500", 500,
         requests=_AGAIN),
    Case("gone", "says 410, with a long page", replies(Reply(410, body=HTML)), "failed",
         "http_410", 410, most_read=0),
    Case("forbidden", "says 403", replies(Reply(403, body=b"no")), "refused", "http_403", 403),
    Case("unasked 304", "says 304 to a plain request", replies(Reply(304, body=b"")), "failed",
         "http_304", 304),
    # What the site asks.
    Case("robots.txt denies", "disallows /", _with_robots(Reply(
         body=b"User-agent: *\nDisallow: /")), "refused", "robots", requests=0),
    Case("robots.txt is broken", "answers robots.txt with 500", _with_robots(Reply(500, body=b"")),
         "refused", "robots_unreachable", requests=0),
    Case("robots.txt is forbidden", "answers robots.txt with 403", _with_robots(Reply(403,
         body=b"")), "ok", code=200),
    Case("noai", "sends X-Robots-Tag: noai, the body 0.2 s later", _tagged("X-Robots-Tag",
         "noindex, noai"), "refused", "opt_out:noai", 200, most_read=0),
    Case("noimageai for us", "sends X-Robots-Tag: omniloom: noimageai", _tagged("X-Robots-Tag",
         "omniloom: noimageai"), "refused", "opt_out:noimageai", 200, most_read=0),
    Case("noai for others", "sends X-Robots-Tag: otherbot: noai", _tagged("X-Robots-Tag",
         "otherbot: noai"), "ok", code=200),
    Case("TDM reservation", "sends TDM-Reservation: 1", _tagged("TDM-Reservation", "1"), "refused",
         "opt_out:tdm-reservation", 200, most_read=0),
    # Broken transport.
    Case("no length", "sends no Content-Length", replies(Reply(length=None)), "ok", code=200),
    Case("HTTP/1.0", "speaks HTTP/1.0", replies(Reply(version="HTTP/1.0", length=None)), "ok",
         code=200),
    Case("cut off", "closes before the announced length", replies(Reply(length=5_000)), "failed",
         "truncated", 200, requests=_AGAIN),
    Case("reset", "resets the connection in the body", sends(_HEAD + b"Content-Length: 9999\r\n\r\n"
         + PNG, reset=True), "failed", "truncated", 200, requests=_AGAIN),
    Case("hangs up", "closes without an answer", sends(b""), "failed", "disconnected",
         requests=2 * _AGAIN),  # the library retries once at once: a kept connection may be stale
    Case("no HTTP", "speaks something else", sends(b"220 mail.example.org ESMTP\r\n\r\n"), "failed",
         "bad_response"),
    Case("bad chunks", "sends chunks of no length", sends(
         _HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"), "failed", "bad_response"),
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What came of a case."""

    answer: Answer
    seconds: float
    requests: int


def run(case: Case) -> Outcome:
    """The case against a site of its own."""
    with Site() as site:
        url = case.set_up(site)
        started = time.monotonic()
        (answer,) = ask([url], policy(site, **case.fields))
        seconds = time.monotonic() - started
        requests = len(site.asked) - site.count("/robots.txt")
        return Outcome(answer, seconds, requests)


def outcomes() -> str:
    """All cases, run now, in Markdown."""
    lines = [
        "| the server … | status | cause | HTTP | requests | bytes read | seconds |",
        "|---|---|---|---|---|---|---|",
    ]
    for case in CASES:
        found = run(case)
        said = found.answer
        cells = (case.does, said.status, said.cause or "", said.code or "", found.requests)
        lines.append(f"| {' | '.join(map(str, cells))} | {said.received:,} | {found.seconds:.2f} |")
    return "\n".join(lines)


def causes() -> str:
    """All causes with their meaning, in Markdown."""
    lines = ["| cause | meaning | |", "|---|---|---|"]
    for cause, meaning in CAUSES.items():
        mark = "408, 425, 429, 5xx *" if cause == "http_…" else "*" if passes(cause) else ""
        lines.append(f"| `{cause}` | {meaning} | {mark} |")
    return "\n".join(lines)


def passes(cause: str) -> bool:
    """Whether all of a cause's kinds may pass."""
    return not cause.startswith("http_") and may_pass(cause)


def main() -> None:
    """Put the tables where they belong."""
    text = _DOCUMENT.read_text("utf-8")
    for name, made in (("causes", causes()), ("cases", outcomes())):
        start, end = f"<!-- {name}: python -m tests.fetch_cases -->", f"<!-- /{name} -->"
        before, after = text.split(start)[0], text.split(end)[1]
        text = f"{before}{start}\n\n{made}\n\n{end}{after}"
    _DOCUMENT.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
