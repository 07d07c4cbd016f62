"""What sites ask of machines: robots.txt, X-Robots-Tag, TDM reservations.

robots.txt is read as RFC 9309 says: a site that has none (4xx) allows everything, one that cannot
say (5xx, no answer) allows nothing. 429 counts as no answer. X-Robots-Tag is Google's header, of
which machine learning uses `noai`, `noimageai` and `noml`; `tdm-reservation: 1` is that of the
W3C's TDM Reservation Protocol.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from protego import Protego

MOST_BYTES = 512_000  # RFC 9309 wants at least 500 KiB read
TDM_RESERVATION = "tdm-reservation"

_AGENT_LINE = re.compile(r"\s*user[- ]?agent\s*[:\s]\s*([^#]*)", re.IGNORECASE)


@dataclass(frozen=True)
class Rules:
    """A site's robots.txt, for one agent. `parsed` is None where there is none."""

    parsed: Protego | None
    agent: str
    unknown: str | None = None
    """Why the site could not say, if it could not: then nothing is allowed."""

    @property
    def crawl_delay(self) -> float:
        """Seconds that the site wants between requests."""
        return (self.parsed.crawl_delay(self.agent) or 0.0) if self.parsed else 0.0

    def refusal(self, url: str) -> str | None:
        """Why the address must not be asked for; None when it may."""
        if self.unknown or self.parsed is None or self.parsed.can_fetch(url, self.agent):
            return self.unknown
        return "robots"


def rules_from(status: int | None, body: bytes, agent: str) -> Rules:
    """Rules by the answer to a request for robots.txt; a `status` of None is no answer."""
    if status != 200:
        none = status is not None and (200 < status < 300 or 400 <= status < 500)
        return Rules(None, agent, None if none and status != 429 else "robots_unreachable")
    text = body[:MOST_BYTES].decode("utf-8", "replace")
    lines = (_of_concern(line, agent) for line in text.splitlines())
    return Rules(Protego.parse("\n".join(lines)), agent)


def _of_concern(line: str, agent: str) -> str:
    """The line as it is; where it names a foreign agent, with a name that all of them share.

    A file of thousands of agents followed by thousands of rules would be parsed as their product.
    """
    match = _AGENT_LINE.match(line)
    name = match[1].strip().lower().replace("*", "") if match else ""
    return line if not name or name in agent.lower() else "User-agent: others"


# --- Headers --------------------------------------------------------------------------------------

# Directives that have a value: their colon does not end the name of an agent.
_VALUED = frozenset(("unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"))


def opt_outs(headers: Mapping[str, str], tags: Iterable[str], agent: str) -> tuple[str, ...]:
    """What a response's headers ask of `agent`, in lower case: directives, reservations.

    `tags` are the values of all X-Robots-Tag headers.
    """
    found = [directive for tag in tags for directive in _directives(tag, agent.lower())]
    if headers.get(TDM_RESERVATION, "").strip() == "1":
        found.append(TDM_RESERVATION)
    return tuple(found)


def _directives(tag: str, agent: str) -> list[str]:
    """The directives of one header that concern the agent: `noai`, `otherbot: noindex, noai`."""
    found, concerns = [], True
    for part in tag.lower().split(","):
        name, colon, rest = part.strip().partition(":")
        if colon and name.strip() not in _VALUED:
            concerns = name.strip() in ("*", agent)
            directive = rest.strip()
        else:
            directive = name.strip()
        if concerns and directive:
            found.append(directive)
    return found
