"""The word lists of `operators/lexicons`, and the phrases that C4's rules look for."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "lexicons"
STOP_LANGUAGES = ("en", "zh", "de", "fr", "es", "pt", "it", "ru", "ja", "ko")
FLAGGED_LANGUAGES = ("en", "zh")

LOREM, SCRIPT, POLICY, CITATION = range(4)
PHRASES = {
    "lorem ipsum": LOREM,
    "javascript": SCRIPT,
    "terms of use": POLICY,
    "privacy policy": POLICY,
    "cookie policy": POLICY,
    "uses cookies": POLICY,
    "use of cookies": POLICY,
    "use cookies": POLICY,
    "[edit]": CITATION,
    "[citation needed]": CITATION,
}
"""Raffel et al. 2020, section 2.2, and the cookie phrases of C4's published code."""


@cache
def words(name: str) -> tuple[str, ...]:
    """The words of one list, such as 'stop-en'; lines that begin with # are comments."""
    lines = (FOLDER / f"{name}.txt").read_text("utf-8").splitlines()
    return tuple(word for line in lines if not line.startswith("#") for word in line.split())


def flagged_runs() -> tuple[str, ...]:
    """The flagged words of scripts without spaces: runs of signs, found wherever they stand."""
    return words("flagged-zh")


def digest() -> str:
    """SHA-256 of all lists, in hexadecimal."""
    found = hashlib.sha256()
    for path in sorted(FOLDER.glob("*.txt")):
        found.update(path.name.encode() + b"\0" + path.read_bytes())
    return found.hexdigest()
