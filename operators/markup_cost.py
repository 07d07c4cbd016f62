"""What a page asks of its parser, estimated from its markup before it is parsed.

The HTML standard lets a small page ask for much: each block opens anew all formatting elements that
were left open before it, most tags look through all open elements for one that they close, and each
attribute is compared with those before it. A parser cannot be interrupted, so that is bounded here.
The estimates are high; pages that people wrote stay far below the bounds.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from operators.compiled import compiled

# Left open, these are opened again in the next block: three at most that look alike.
_FORMATTING = b"b big code em font i s small strike strong tt u".split()
_FORMATTING_TAG = re.compile(rb"<(/?)(%s)(?=[\s/>])([^<>]*)" % b"|".join(_FORMATTING), re.I)
_ALIKE = 3

# These never stay open, or only until the next of their kind.
_CLOSED_BY_THEMSELVES = frozenset(
    b"area base br col embed frame hr img input link meta param source track wbr a body button"
    b" colgroup dd dt h1 h2 h3 h4 h5 h6 head html li nobr optgroup option p rb rp rt rtc tbody td"
    b" tfoot th thead title tr".split()
)
_INLINE = frozenset(
    b"abbr acronym bdi bdo cite data del dfn ins kbd label mark q ruby samp span sub sup time var"
    b" path g use rect circle polygon line ellipse defs".split()
)
# Scripts compare with this sign too: what follows a name must fit.
_TAG = re.compile(rb"<(/?)([a-z][^\s/<>]*+)(?=[\s/>])(?:[^<>]*(/)>)?", re.I)
_DRAWN = (b"svg", b"math")  # in these alone a slash at the end of a tag closes it

_LONG_TAG = re.compile(rb"<[a-z][^<>]{50000,}", re.I)
_QUOTED = re.compile(rb"\"[^\"]*\"|'[^']*'")

_MARKUP_PER_NODE = 4
_MAX_STEPS = 300_000_000
_MAX_ATTRIBUTES = 10_000
_LONG_PART = 25_000  # half of what makes a tag long: at least one part lies within it
_FEW_FORMATS = 4_000  # with so few tags, reopening makes some million elements at worst
_FEW_TAGS = 20_000  # with so few, looking through all open elements is cheap


def excess(html: bytes, nodes: int) -> str | None:
    """What is too much about the markup of a page that may have so many nodes; None if nothing."""
    most, tags = _MARKUP_PER_NODE * nodes, _count(np.frombuffer(html, np.uint8), ord("<"))
    if tags > most or _reopened(html, tags, most):
        return f"markup for far more than {nodes} elements"
    if tags > _FEW_TAGS and _looks_through(html) > _MAX_STEPS:
        return "too many elements left open"
    long_tags = (tag for part in _long_parts(html) for tag in _LONG_TAG.findall(part))
    if any(_attributes(tag) > _MAX_ATTRIBUTES for tag in long_tags):
        return f"more than {_MAX_ATTRIBUTES} attributes on one element"
    return None


@compiled
def _count(codes: npt.NDArray[np.uint8], wanted: int) -> int:
    found = 0
    for code in codes:
        found += code == wanted
    return found


_NAMES = np.array([list(name.ljust(6, b"\0")) for name in _FORMATTING], np.uint8)
_AFTER_NAME = np.isin(np.arange(256), list(b" \t\n\r\f\v/>"))


@compiled
def _most_reopened(
    codes: npt.NDArray[np.uint8], names: npt.NDArray[np.uint8], after_name: npt.NDArray[np.bool_]
) -> int:
    """How many elements reopening makes at most: as if no two formatting tags looked alike."""
    left_open = np.zeros(len(names), np.int64)
    reopened = now = 0
    for at in range(len(codes)):
        if codes[at] != 60:  # <
            continue
        closes = at + 1 < len(codes) and codes[at + 1] == 47  # /
        for number in range(len(names)):
            end = at + 2 if closes else at + 1
            for letter in names[number]:
                # Small letters and capitals differ in this bit alone.
                if letter == 0 or end >= len(codes) or codes[end] | 32 != letter:
                    break
                end += 1
            else:
                letter = 0
            if letter == 0 and end < len(codes) and after_name[codes[end]]:
                change = 1 if not closes else -1 if left_open[number] else 0
                left_open[number] += change
                now += change
        reopened += now
    return reopened


def _reopened(html: bytes, tags: int, most: int) -> bool:
    """Whether more than `most` elements come of formatting that is left open."""
    if tags < _FEW_FORMATS:
        return False
    if _most_reopened(np.frombuffer(html, np.uint8), _NAMES, _AFTER_NAME) <= most:
        return False
    left_open: dict[bytes, list[bytes]] = {name: [] for name in _FORMATTING}
    alike: Counter[tuple[bytes, bytes]] = Counter()
    reopened = position = now = 0
    for found in _FORMATTING_TAG.finditer(html):
        reopened += now * html.count(b"<", position, found.start())
        position = found.start()
        name = found[2].lower()
        same = (name, found[3])
        if not found[1]:
            if alike[same] < _ALIKE:
                alike[same] += 1
                now += 1
                left_open[name].append(found[3])
        elif left_open[name]:
            alike[name, left_open[name].pop()] -= 1
            now -= 1
        if reopened > most:
            return True
    return reopened + now * html.count(b"<", position) > most


def _looks_through(html: bytes) -> int:
    """How many open elements all tags together pass when they look for what they close."""
    left_open: Counter[bytes] = Counter()
    steps = blocks = inline = 0
    for end, name, closed in _TAG.findall(html):
        name = name.lower()
        steps += blocks
        if name in _CLOSED_BY_THEMSELVES or name in _FORMATTING:
            continue
        if end:
            if not left_open[name]:
                steps += inline
                continue
            change = -1
        elif closed and any(left_open[drawn] for drawn in _DRAWN):
            continue
        else:
            change = 1
        left_open[name] += change
        if name in _INLINE:
            inline += change
        else:
            blocks += change
    return steps


def _long_parts(html: bytes) -> Iterator[bytes]:
    """What stands between two ends of tags, where that is long enough for a long tag."""
    start = 0
    while start + _LONG_PART < len(html):
        place = html.rfind(b">", start, start + _LONG_PART) + 1
        if not place:
            place = html.find(b">", start) + 1 or len(html)
            yield html[start:place]
        start = place


def _attributes(tag: bytes) -> int:
    return len(_QUOTED.sub(b"", tag).split())
