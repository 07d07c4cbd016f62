"""What a page asks of its parser, estimated from its markup before it is parsed.

The HTML standard lets a small page ask for much: each block opens anew all formatting elements that
were left open before it, most tags look through all open elements for one that they close, and each
attribute is compared with those before it. A parser cannot be interrupted, so that is bounded here.
The estimates are high; pages that people wrote stay far below the bounds.
"""

from __future__ import annotations

import re
from collections import Counter

# Left open, these are opened again in the next block: three at most that look alike.
_FORMATTING = "b big code em font i s small strike strong tt u".split()
_FORMATTING_START = re.compile(rf"<(?:{'|'.join(_FORMATTING)})[\s/>]", re.I)
_FORMATTING_TAG = re.compile(rf"<(/?)({'|'.join(_FORMATTING)})(?=[\s/>])([^<>]*)", re.I)
_ALIKE = 3

# These never stay open, or only until the next of their kind.
_CLOSED_BY_THEMSELVES = frozenset(
    "area base br col embed frame hr img input link meta param source track wbr a body button"
    " colgroup dd dt h1 h2 h3 h4 h5 h6 head html li nobr optgroup option p rb rp rt rtc tbody td"
    " tfoot th thead title tr".split()
)
_INLINE = frozenset(
    "abbr acronym bdi bdo cite data del dfn ins kbd label mark q ruby samp span sub sup time var"
    " path g use rect circle polygon line ellipse defs".split()
)
# Scripts compare with this sign too: what follows a name must fit.
_TAG = re.compile(r"<(/?)([a-z][\w:.-]*+)(?=[\s/>])(?:[^<>]*(/)>)?", re.I)
_DRAWN = ("svg", "math")  # in these alone a slash at the end of a tag closes it

_LONG_TAG = re.compile(r"<[a-z][^<>]{50000,}", re.I)
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")

_MARKUP_PER_NODE = 4
_MAX_STEPS = 300_000_000
_MAX_ATTRIBUTES = 10_000
_LONG_PART = 25_000  # half of what makes a tag long: one of two neighbouring parts lies within
_FEW_FORMATS = 4_000  # with so few tags, reopening makes some million elements at worst
_FEW_TAGS = 20_000  # with so few, looking through all open elements is cheap


def excess(html: str, nodes: int) -> str | None:
    """What is too much about the markup of a page that may have so many nodes; None if nothing."""
    most, tags = _MARKUP_PER_NODE * nodes, html.count("<")
    if tags > most or _reopened(html, tags, most):
        return f"markup for far more than {nodes} elements"
    if tags > _FEW_TAGS and _looks_through(html) > _MAX_STEPS:
        return "too many elements left open"
    long_tags = _LONG_TAG.finditer(html) if _has_long_part(html) else ()
    if any(_attributes(found.group()) > _MAX_ATTRIBUTES for found in long_tags):
        return f"more than {_MAX_ATTRIBUTES} attributes on one element"
    return None


def _reopened(html: str, tags: int, most: int) -> bool:
    """Whether more than `most` elements come of formatting that is left open."""
    if tags < _FEW_FORMATS or tags * len(_FORMATTING_START.findall(html)) < most:
        return False
    left_open: dict[str, list[str]] = {name: [] for name in _FORMATTING}
    alike: Counter[tuple[str, str]] = Counter()
    reopened = position = now = 0
    for found in _FORMATTING_TAG.finditer(html):
        reopened += now * html.count("<", position, found.start())
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
    return reopened + now * html.count("<", position) > most


def _looks_through(html: str) -> int:
    """How many open elements all tags together pass when they look for what they close."""
    left_open: Counter[str] = Counter()
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


def _has_long_part(html: str) -> bool:
    """Whether some stretch of the page is long enough for a long tag: a look at a few places."""
    place, end = 0, len(html)
    while place + _LONG_PART < end:
        place = html.rfind(">", place, place + _LONG_PART) + 1
        if not place:
            return True
    return False


def _attributes(tag: str) -> int:
    return len(_QUOTED.sub("", tag).split())
