"""Why an image was refused or failed: every cause of `fetch_cause`, and which of them may pass."""

from __future__ import annotations

CAUSES = {
    # Refused by policy, unasked.
    "offline": "neither inputs nor cache hold it, and `http` is off",
    "not_http": "the address, or a redirect's, is none of http or https",
    "bad_url": "the address, or a redirect's, cannot be read",
    "private_address": "the host is, or resolves to, no address of the public internet",
    # Refused by the site.
    "robots": "robots.txt disallows it",
    "robots_unreachable": "robots.txt was answered with a server's error or 429, or is broken",
    "opt_out:…": "the response's headers ask that machines leave it, with the directive",
    "http_401, 402, 403, 407, 451": "the site does not give it to us",
    # Refused for what came.
    "too_large": "more bytes than `max_bytes`, announced or sent",
    "not_an_image:…": "the first bytes are no image's, with what they are",
    "bad_encoding": "a content encoding that was not asked for and cannot be undone",
    # Failed.
    "http_…": "any other status, such as 404, 410, 429, 500",
    "dns": "the host's name does not resolve",
    "connect": "no connection: refused, unreachable, or not in time",
    "tls": "no trusted connection: certificate or handshake",
    "timeout": "not complete within `deadline_s`",
    "disconnected": "the server hung up before it answered",
    "truncated": "the server hung up, or broke off, before the body's end",
    "bad_response": "what came is no HTTP, or its headers are too long or too many",
    "too_many_redirects": "more redirects than `max_redirects`",
    "redirect_loop": "a redirect leads to an address asked before",
    "host_down": "not asked: the host failed `host_failures` times in a row",
    "error:…": "anything else that came up, with its kind",
}
"""By cause; … stands for what varies."""

UNREACHABLE = frozenset(("connect", "dns", "tls", "timeout", "disconnected"))
"""Causes that speak against the host, not the address."""
_PASSING = UNREACHABLE | {"truncated", "host_down", "robots_unreachable"}
_PASSING_STATUSES = frozenset((408, 425, 429))


def may_pass(cause: str | None) -> bool:
    """Whether asking again later may end otherwise."""
    if cause is not None and cause.startswith("http_"):
        status = int(cause.removeprefix("http_"))
        return status >= 500 or status in _PASSING_STATUSES
    return cause in _PASSING
