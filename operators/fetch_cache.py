"""Images by address, kept between jobs: one file an address in a folder or under an S3 prefix.

A file is a line of JSON, what the server said, and the bytes after it. It is written at once and
whole, and read only when its bytes are those that the line tells of.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from operators.files import Files

_FORMAT = 1


@dataclass(frozen=True)
class Kept:
    """What a server once gave for an address."""

    body: bytes
    final_url: str
    code: int
    fetched_at: int
    """Seconds since 1970."""
    sha256: str
    etag: str | None = None
    last_modified: str | None = None
    opt_outs: tuple[str, ...] = ()


class FetchCache:
    """The cache at `root`. What was fetched with robots.txt respected is kept by itself."""

    def __init__(self, root: str, *, robots: bool) -> None:
        self._files = Files(root)
        self._manner = "polite" if robots else "any"

    def get(self, url: str) -> Kept | None:
        """What is kept of the address; None when there is nothing, or it is damaged."""
        try:
            head, _, body = self._files.read(self._path(url)).partition(b"\n")
        except FileNotFoundError:
            return None
        try:
            found: dict[str, Any] = json.loads(head)
            if found.pop("url") != url:
                return None
            kept = Kept(body, **found | {"opt_outs": tuple(found["opt_outs"])})
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
        return kept if kept.sha256 == hashlib.sha256(body).hexdigest() else None

    def put(self, url: str, kept: Kept) -> None:
        """Keep it, in place of what there was."""
        found = asdict(kept) | {"url": url}
        body = found.pop("body")
        self._files.write(self._path(url), json.dumps(found).encode() + b"\n" + body)

    def _path(self, url: str) -> str:
        digest = hashlib.sha256(url.encode()).hexdigest()
        return f"{self._manner}-{_FORMAT}/{digest[:2]}/{digest}"
