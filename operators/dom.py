"""A parsed page as a flat sequence of text blocks and images, with the containers around them.

A *block* is a run of inline content between two block boundaries: what a reader sees as one
paragraph, heading, list item or table cell. A *container* is an element that forms such boundaries.
Containers are numbered in document order, so the blocks below one are a contiguous range: sums over
a subtree are differences of running sums.
"""

from __future__ import annotations

import re
import time
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import urljoin

import numpy as np
import numpy.typing as npt
from selectolax.lexbor import LexborDocumentOptions, LexborHTMLParser, LexborNode

from operators.compiled import compiled
from operators.formulas import (
    FORMULA_CLASSES,
    FORMULA_TAGS,
    Formula,
    formula_image,
    formula_script,
    read_formula,
)
from operators.markup_cost import excess

Attributes = dict[str, str | None]
Numbers = npt.NDArray[np.int64]

# Elements inside a line of text; `span` and `code` may also stand for a formula.
INLINE = frozenset(
    "abbr acronym b bdi bdo big cite data del dfn em font i ins kbd label mark nobr q rb"
    " ruby s samp small strike strong sub sup time tt u var wbr output meter progress"
    " blink basefont rtc".split()
)
# What no visitor reads as part of the page.
SKIPPED = frozenset(
    "style template svg iframe object embed applet select datalist textarea input canvas map area"
    " head title meta link base param track noframes rp rt audio video frame frameset -comment"
    " !doctype".split()
)
# What visitors read, but holds next to no main content: on pages with gold text a third of all
# blocks, 0.2 % of the content. So does the header of a page, unless its headline stands there.
FURNITURE = frozenset(("nav", "footer", "dialog"))
FURNITURE_ROLES = frozenset(
    "navigation contentinfo search complementary menu menubar dialog".split()
)
# How the walk takes an element; from _CELL on it is a container, after _BLOCK one that tells how to
# read what is inside.
_TEXT, _INLINE, _SPAN, _LINK, _IMAGE, _BREAK, _SKIP, _FURNITURE, _OTHER = range(9)
_CELL, _BLOCK, _VERBATIM, _FALLBACK = range(9, 13)
_KIND: dict[str | None, int] = {
    **dict.fromkeys(INLINE, _INLINE),
    **dict.fromkeys(SKIPPED, _SKIP),
    **dict.fromkeys(FURNITURE, _FURNITURE),
    **dict.fromkeys(("span", "code"), _SPAN),
    **dict.fromkeys(("td", "th"), _CELL),
    **dict.fromkeys(FORMULA_TAGS | {"script", "source", "picture"}, _OTHER),
    "-text": _TEXT,
    "a": _LINK,
    "img": _IMAGE,
    "br": _BREAK,
    "pre": _VERBATIM,
    "noscript": _FALLBACK,
    None: _SKIP,
}
_KIND_WHOLE = _KIND | dict.fromkeys(FURNITURE, _BLOCK)


_MAIN = frozenset(("article", "main"))
_CHECK_EVERY = 4096
# How much is noted of classes around code, so that a block of it cannot cost more than a page.
_MAX_CODE, _MAX_NAMES = 8, 500
_MAX_BASE = 2000
_LINE = "\x1e"  # stands for <br> until a block's white space is collapsed


class PageTooComplex(ValueError):
    """The page passes a limit on nodes, depth or time."""


@dataclass(frozen=True)
class Limits:
    """What one page may cost; `seconds` of CPU time are those since the limits were made."""

    nodes: int = 300_000
    depth: int = 2_000
    seconds: float = 10.0
    started: float = field(default_factory=time.thread_time)

    def check(self, nodes: int = 0) -> None:
        """Raise PageTooComplex past the limit on nodes or on time."""
        if nodes > self.nodes:
            raise PageTooComplex(f"more than {self.nodes} elements and texts in the page")
        if time.thread_time() - self.started > self.seconds:
            raise PageTooComplex(f"the page took more than {self.seconds:g} CPU seconds")


def numbers(first: Iterable[int] = ()) -> array[int]:
    """A column of 64-bit integers, which numpy reads and writes without copying it."""
    return array("q", first)


@dataclass(slots=True)
class Containers:
    """The elements that part blocks, in document order, as columns.

    Attributes:
        parent: number of the container around it; -1 for the first.
        key: what it looks like, as a position in `keys`.
        first, last: its blocks, `last` exclusive.
        end: the container after its last descendant.
        keys: tag, classes, id and role, as in `div post wide p12 [main]`, each once.
        tags: the tag of each key.
        hidden: those whose own attributes hide them, and all that is in them.
    """

    parent: array[int]
    key: array[int]
    first: array[int]
    last: array[int]
    end: array[int]
    keys: list[str]
    tags: list[str]
    hidden: set[int] = field(default_factory=set)

    def __len__(self) -> int:
        return len(self.parent)

    def key_of(self, number: int) -> str:
        """What one container looks like."""
        return self.keys[self.key[number]]

    def tag_of(self, number: int) -> str:
        """Name of one container's element."""
        return self.tags[self.key[number]]


@dataclass(slots=True)
class Blocks:
    """The runs of inline content, in document order, as columns.

    Attributes:
        text: white space collapsed, except in `<pre>`; LaTeX of a formula. Never empty.
        container: number of the container directly around it.
        dom_index: number in document order of the first piece of text.
        link_chars: raw characters inside links.
        links: links that start in the block.
        formulas: the blocks that are formulas set apart from the text.
        code: class names that may tell the language of a block in a `<pre>`, by block.
    """

    text: list[str] = field(default_factory=list)
    container: array[int] = field(default_factory=numbers)
    dom_index: array[int] = field(default_factory=numbers)
    link_chars: array[int] = field(default_factory=numbers)
    links: array[int] = field(default_factory=numbers)
    formulas: set[int] = field(default_factory=set)
    code: dict[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.text)


@dataclass(slots=True)
class Image:
    """An image as the page marks it up.

    Attributes:
        block: the block that it stands before or, if `inside`, in.
        offset: characters of that block's text before it.
        link: target of the link around it.
        sources: attributes of the `<source>`s beside it in a `<picture>`.
        fallback: stands in a `<noscript>`.
        formula: shows a formula that is in the text as LaTeX.
        around: what its container looks like: tag, classes, id and role.
    """

    attributes: Attributes
    container: int
    dom_index: int
    block: int
    offset: int
    link: str | None
    sources: list[Attributes] = field(default_factory=list)
    fallback: bool = False
    inside: bool = False
    formula: bool = False
    around: str = ""


@dataclass(slots=True)
class Layout:
    """What a page shows, in document order; `furniture` are subtrees that were passed over."""

    blocks: Blocks
    containers: Containers
    images: list[Image]
    nodes: int
    furniture: list[LexborNode] = field(default_factory=list)


class _Walk:
    """One pass over the tree. An explicit stack: the depth of a page is its author's choice."""

    def __init__(self, limits: Limits, *, whole: bool) -> None:
        self.limits = limits
        self.whole = whole
        self.blocks = Blocks()
        zero = numbers([0])
        self.containers = Containers(
            numbers([-1]), zero, zero[:], numbers(), numbers(), keys=[""], tags=["html"]
        )
        self.depth = 0
        self.images: list[Image] = []
        self.furniture: list[LexborNode] = []
        self.current = 0
        # What the containers look like, and which of these may be formulas or furniture.
        self.keys: dict[str, int] = {"": 0}
        self.doubtful: set[int] = set()
        # The run of inline content not yet closed: its texts, and images after so many of them.
        self.pieces: list[str] = []
        self.run_images: list[tuple[Image, int]] = []
        self.link_chars = self.run_links = 0
        self.start = 0
        # What is open around the present node.
        self.links: list[LexborNode | str] = []
        self.verbatim = self.pictures = self.fallbacks = 0
        self.sources: list[Attributes] = []
        self.code: list[str] = []

    def walk(self, root: LexborNode) -> Layout:
        """Visit every node below `root` in document order.

        One loop without calls for what is frequent: a page has thousands of nodes, and this is a
        third of what a page costs.
        """
        stack: list[tuple[LexborNode, int]] = []
        pieces, links, parents = self.pieces, self.links, self.containers.parent
        # The parser's numbers for tags are read faster than their names.
        kinds = _KIND_WHOLE if self.whole else _KIND
        kind_of: dict[int, int] = {}
        tags: dict[int, str] = {}
        index = checkpoint = 0
        node: LexborNode | None = root
        while node is not None:
            index += 1
            if index > checkpoint:
                self.limits.check(index)
                checkpoint = min(index + _CHECK_EVERY, self.limits.nodes)
            child = None
            number = node.tag_id
            try:
                kind = kind_of[number]
            except KeyError:
                tags[number] = node.tag or ""
                kind = kind_of[number] = kinds.get(node.tag, _BLOCK)
            if kind == _TEXT:
                if pieces or not node.is_empty_text_node:
                    text = node.text_content or ""
                    if pieces:
                        pieces.append(text)
                    elif not text.isspace():
                        self.start = index
                        pieces.append(text)
                    else:
                        text = ""
                    if links:
                        self.link_chars += len(text)
            elif kind >= _CELL:
                if pieces:
                    self.flush()
                child = node.first_child
                if child is not None:
                    child = child if self.open(node, kind, tags[number], index) else None
                elif kind == _CELL and self.open(node, kind, tags[number], index):
                    self.current = parents[self.current]  # an empty cell keeps its column
                    self.depth -= 1
            elif kind == _IMAGE:
                self.image(node, index)
            elif kind == _BREAK:
                self.break_line()
            elif kind == _FURNITURE:
                if pieces:
                    self.flush()
                self.furniture.append(node)
            elif kind == _OTHER:
                child = node.first_child if self.open_other(node, index) else None
            elif kind != _SKIP:
                child = node.first_child
                if child is not None:
                    if kind == _LINK:
                        self.open_link(node)
                    elif kind == _SPAN and self.formula_span(node, index):
                        child = None
            if child is not None:
                stack.append((node, kind))
                node = child
                continue
            following = node.next
            while following is None and stack:
                node, kind = stack.pop()
                if kind >= _CELL:
                    if pieces:
                        self.flush()
                    self.current = parents[self.current]
                    self.depth -= 1
                    if kind > _BLOCK:
                        self.verbatim -= kind == _VERBATIM
                        self.fallbacks -= kind == _FALLBACK
                elif kind == _LINK:
                    links.pop()
                elif kind == _OTHER:
                    self.close_other(node)
                following = node.next
            node = following
        self.flush()
        return self.layout(index)

    def layout(self, nodes: int) -> Layout:
        """What was found on so many nodes."""
        containers = self.containers
        zeros = numbers([0]) * len(containers)
        containers.last, containers.end = zeros, zeros[:]
        columns = (containers.parent, containers.first, containers.last, containers.end)
        _fill_ranges(*map(np.asarray, (*columns, self.blocks.container)))
        return Layout(self.blocks, containers, self.images, nodes, self.furniture)

    def open(self, node: LexborNode, kind: int, tag: str, index: int) -> bool:
        """A new container; False when it stands for a formula or furniture."""
        if self.depth >= self.limits.depth:
            raise PageTooComplex(f"elements nested deeper than {self.limits.depth}")
        containers = self.containers
        attributes = node.attributes
        key, hides = tag, False
        if attributes:
            names = attributes.get("class")
            if names:
                key = f"{tag} {names}"
            identity = attributes.get("id")
            if identity:
                key = f"{key} {identity}"
            role = attributes.get("role")
            if role:
                key = f"{key} [{role}]"
            hides = not _HIDING.isdisjoint(attributes) and _is_hidden(attributes)
        number = self.keys.get(key)
        if number is None:
            number = self.keys[key] = len(containers.keys)
            containers.keys.append(key)
            containers.tags.append(tag)
            if _may_be_no_container(tag, attributes):
                self.doubtful.add(number)
        if kind == _FALLBACK:
            self.fallbacks += 1
        elif number in self.doubtful and self.is_no_container(node, tag, attributes, index):
            return False
        elif kind == _VERBATIM:
            self.verbatim += 1
            around = node.parent.attributes.get("class") if node.parent else None
            self.code = [(names or "")[:_MAX_NAMES] for names in (around, attributes.get("class"))]
        opened = len(containers.parent)
        if hides:
            containers.hidden.add(opened)
        containers.parent.append(self.current)
        containers.key.append(number)
        containers.first.append(len(self.blocks.text))
        self.current = opened
        self.depth += 1
        return True

    def is_no_container(
        self, node: LexborNode, tag: str, attributes: Attributes, index: int
    ) -> bool:
        """Whether the element is a formula, which is noted, or furniture, which is passed over."""
        shows = _may_be_formula(attributes.get("class"))
        if shows and self.add_formula(read_formula(node), node, index):
            return True
        if self.whole or not self.is_furniture(node, tag, attributes):
            return False
        self.furniture.append(node)
        return True

    def is_furniture(self, node: LexborNode, tag: str, attributes: Attributes) -> bool:
        """Whether the element's role, or its being the header of the page, says so."""
        if attributes.get("role") in FURNITURE_ROLES:
            return True
        return tag == "header" and not self.in_main() and node.css_first("h1") is None

    def in_main(self) -> bool:
        """Whether an article or the main part of the page is open."""
        containers, number = self.containers, self.current
        while number >= 0:
            if containers.tag_of(number) in _MAIN or containers.key_of(number).endswith("[main]"):
                return True
            number = containers.parent[number]
        return False

    def open_link(self, node: LexborNode) -> None:
        """Text from here on is linked."""
        self.links.append(node)
        self.run_links += 1
        if self.pieces and not self.pieces[-1][-1:].isspace():
            # Neighbouring links of a menu often touch in the markup.
            before = node.prev
            if before is not None and before.tag == "a":
                self.pieces.append(" ")

    def formula_span(self, node: LexborNode, index: int) -> bool:
        """Whether a `<span>` or `<code>` stands for a formula; notes its classes in a `<pre>`."""
        names = node.attributes.get("class")
        if names and self.verbatim and len(self.code) < _MAX_CODE:
            self.code.append(names[:_MAX_NAMES])
        return _may_be_formula(names) and self.add_formula(read_formula(node), node, index)

    def open_other(self, node: LexborNode, index: int) -> bool:
        """A rare inline element; True when what is inside it counts too."""
        tag = node.tag
        if tag == "picture":
            self.pictures += 1
            return True
        if tag == "source":
            if self.pictures:
                self.sources.append(node.attributes)
            return False
        if tag == "script":
            if (node.attributes.get("type") or "").startswith("math"):
                self.add_formula(formula_script(node), node, index)
            return False
        return not self.add_formula(read_formula(node), node, index)

    def close_other(self, node: LexborNode) -> None:
        """The end of what `open_other` let in."""
        if node.tag == "picture":
            self.pictures -= 1
            self.sources = []

    def image(self, node: LexborNode, index: int) -> None:
        """An image, which may show a formula."""
        attributes = node.attributes
        shows = _may_show_formula(attributes)
        if not (shows and self.add_formula(formula_image(attributes), node, index)):
            self.add_image(attributes, index)

    def add_image(self, attributes: Attributes, index: int) -> Image:
        """An image stands before the block to come, or in the run that is open."""
        link = self.link() if self.links else None
        image = Image(attributes, self.current, index, len(self.blocks.text), 0, link)
        image.fallback = self.fallbacks > 0
        image.around = self.containers.key_of(self.current)
        if self.pictures:
            image.sources, self.sources = self.sources, []
        self.images.append(image)
        if self.pieces:
            self.run_images.append((image, len(self.pieces)))
        return image

    def link(self) -> str:
        """Target of the innermost open link, read when an image first asks for it."""
        found = self.links[-1]
        if not isinstance(found, str):
            found = self.links[-1] = found.attributes.get("href") or ""
        return found

    def break_line(self) -> None:
        """One <br> breaks the line, two part blocks, as pages did before they had <p>."""
        pieces = self.pieces
        if not pieces:
            return
        if pieces[-1] is _LINE or (pieces[-1].isspace() and pieces[-2:-1] == [_LINE]):
            self.flush()
        else:
            pieces.append(_LINE)

    def add_formula(self, formula: Formula | None, node: LexborNode, index: int) -> bool:
        """A block of its own for a displayed formula, `$...$` in the line for another.

        A picture of the formula is noted as such: the text has it as LaTeX.
        """
        if formula is None:
            return False
        if formula.latex and formula.display:
            self.flush()
            self.blocks.formulas.add(len(self.blocks))
            self.add_block(formula.latex, index)
        elif formula.latex:
            if not self.pieces:
                self.start = index
            self.pieces.append(f"${formula.latex}$")
        picture = node if node.tag == "img" else node.css_first("img")
        if picture is not None:
            self.add_image(picture.attributes, index).formula = True
        return True

    def flush(self) -> None:
        """Close the run of inline content collected so far: a block, if it has text."""
        pieces = self.pieces
        if not pieces:
            self.link_chars = self.run_links = 0
            return
        raw = "".join(pieces)
        text = _verbatim(raw) if self.verbatim else _collapsed(raw)
        if text:
            if self.verbatim:
                self.blocks.code[len(self.blocks)] = " ".join(self.code)
            if self.run_images:
                self._place_images(len(text))
            self.add_block(text, self.start)
        pieces.clear()
        self.run_images.clear()
        self.link_chars = self.run_links = self.start = 0

    def add_block(self, text: str, dom_index: int) -> None:
        """One more block, with what was counted in the run."""
        blocks = self.blocks
        blocks.text.append(text)
        blocks.container.append(self.current)
        blocks.dom_index.append(dom_index)
        blocks.link_chars.append(self.link_chars)
        blocks.links.append(self.run_links)

    def _place_images(self, size: int) -> None:
        """How many characters of the block's text stand before each image of the run."""
        length, position, apart = 0, 0, False
        for image, until in self.run_images:
            raw = "".join(self.pieces[position:until])
            position = until
            if self.verbatim:
                length += len(raw if length else raw.lstrip("\n"))
            elif text := " ".join(raw.split()):
                length += len(text) + (length > 0 and (apart or raw[0].isspace()))
            if raw:
                apart = raw[-1].isspace()
            image.inside, image.offset = True, min(length, size)


@compiled
def _fill_ranges(
    parent: Numbers, first: Numbers, last: Numbers, end: Numbers, container: Numbers
) -> None:
    """Fill in where the blocks of each container end, and its descendants.

    All are columns of `Containers`, with zeros in `end`; `container` is that of each block.
    """
    last[:] = first
    for block in range(len(container)):
        last[container[block]] = block + 1
    for number in range(len(parent) - 1, 0, -1):
        around = parent[number]
        end[number] = max(end[number], number + 1)
        end[around] = max(end[around], end[number])
        last[around] = max(last[around], last[number])
    end[0], last[0] = len(parent), len(container)


def without_permalink(headline: str) -> str:
    """A headline without the sign behind it that links to it, as documentation has it."""
    for sign in ("¶", "\N{LINK SYMBOL}", " #"):
        if headline.endswith(sign):
            return headline.removesuffix(sign).rstrip()
    return headline


def _collapsed(raw: str) -> str:
    """The text as a browser shows it: white space collapsed, <br> as a line break."""
    text = raw.strip()
    if text.isprintable() and "  " not in text:  # a space is the only printable white space
        return text
    if _LINE in raw:
        lines = (" ".join(line.split()) for line in raw.split(_LINE))
        return "\n".join(line for line in lines if line)
    return " ".join(raw.split())


def _verbatim(raw: str) -> str:
    """The text of a <pre>, without empty lines around it."""
    text = raw.replace(_LINE, "\n").strip("\n").rstrip()
    return "" if text.isspace() else text


def _may_be_no_container(tag: str, attributes: Attributes) -> bool:
    """A cheap look at an element that parts blocks: whether `is_no_container` is to be asked."""
    return (
        tag == "header"
        or attributes.get("role") in FURNITURE_ROLES
        or _may_be_formula(attributes.get("class"))
    )


def _may_be_formula(names: str | None) -> bool:
    """Whether an element's classes are those of a rendered formula."""
    return (
        names is not None
        and len(names) <= _MAX_NAMES
        and not FORMULA_CLASSES.isdisjoint(names.split())
    )


def _may_show_formula(attributes: Attributes) -> bool:
    """A cheap look before `formula_image`: formulas are in the address, or TeX is in the text."""
    alternative, address = attributes.get("alt") or "", attributes.get("src") or ""
    return "\\" in alternative or "tex" in address or "math" in address or "%5C" in address


_HIDING = frozenset(("style", "hidden", "aria-hidden"))
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden")


def _is_hidden(attributes: Attributes) -> bool:
    if "hidden" in attributes or attributes.get("aria-hidden") == "true":
        return True
    style = (attributes.get("style") or "").lower()
    return ("none" in style or "hidden" in style) and _HIDDEN.search(style) is not None


@dataclass(frozen=True)
class Page:
    """A parsed page: its tree, what it shows, its title, and the `<base>` of its addresses."""

    tree: LexborHTMLParser
    layout: Layout
    title: str
    stated_base: str

    def base(self, url: str | None) -> str:
        """The address that relative ones are resolved against: `<base>`, else the page's own."""
        try:
            return urljoin(url or "", self.stated_base)
        except ValueError:
            return url or ""


_LONGEST_TITLE = 1000


_PLAIN = LexborDocumentOptions.WO_EVENTS  # nothing is copied about in the tree after parsing


def read_page(html: str | bytes, limits: Limits | None = None) -> Page:
    """Parse a page, given as text or as UTF-8, and lay it out.

    Raises:
        PageTooComplex: more nodes or deeper nesting than allowed, or no time left.
    """
    markup = html.encode(errors="replace") if isinstance(html, str) else html
    if b"\0" in markup:
        markup = markup.replace(b"\0", b"")
    limits = limits or Limits()
    problem = excess(markup, limits.nodes)
    if problem:
        raise PageTooComplex(problem)
    tree = LexborHTMLParser(markup, options=_PLAIN)
    title, shared, base = _head(tree)
    if len(title) > _LONGEST_TITLE and "<" in title:
        # A title without end takes in the page, as the HTML standard wants; nobody meant that.
        first, _, rest = title.partition("<")
        tree = LexborHTMLParser(f"<title>{first}</title><{rest}", options=_PLAIN)
        title, shared, base = _head(tree)
    return Page(tree, lay_out(tree, limits), shared or title, base)


def _head(tree: LexborHTMLParser) -> tuple[str, str, str]:
    """Title, title for sharing (it seldom carries the site's name) and base address."""
    title = shared = base = ""
    for node in tree.head.iter() if tree.head is not None else ():
        if node.tag == "title":
            title = title or node.text()
        elif node.tag == "meta" and node.attributes.get("property") == "og:title":
            shared = shared or node.attributes.get("content") or ""
        elif node.tag == "base":
            stated = (node.attributes.get("href") or "").strip()
            base = base or (stated if len(stated) <= _MAX_BASE else "")
    return title, shared, base


def lay_out(tree: LexborHTMLParser, limits: Limits) -> Layout:
    """Blocks, containers and images of the page.

    Raises:
        PageTooComplex: more nodes or deeper nesting than allowed, or no time left.
    """
    body = tree.body
    if body is None:
        return _Walk(limits, whole=False).layout(0)
    layout = _Walk(limits, whole=False).walk(body)
    if layout.furniture and sum(map(len, layout.blocks.text)) < _LEAST_TEXT:
        # An unclosed <nav> takes in the page; and some pages are one.
        layout = _Walk(limits, whole=True).walk(body)
    return layout


_LEAST_TEXT = 200
