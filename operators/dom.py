"""A parsed page as a flat sequence of text blocks and images, with the containers around them.

A *block* is a run of inline content between two block boundaries: what a reader sees as one
paragraph, heading, list item or table cell. A *container* is an element that forms such boundaries.
Containers are numbered in document order, so the blocks below one are a contiguous range: sums over
a subtree are differences of running sums.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import urljoin

from selectolax.lexbor import LexborHTMLParser, LexborNode

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

# Elements inside a line of text; `span` and `code` may also stand for a formula.
INLINE = frozenset(
    "abbr acronym b bdi bdo big cite data del dfn em font i ins kbd label mark nobr q rb"
    " ruby s samp small strike strong sub sup time tt u var wbr output meter progress"
    " blink basefont rtc".split()
)
# What no visitor reads as part of the page; navigation and page footers are read, but hold next to
# no main content: on pages with gold text, 26 % of all blocks and 0.1 % of the content.
SKIPPED = frozenset(
    "style template svg iframe object embed applet select datalist textarea input canvas map area"
    " head title meta link base param track noframes rp rt audio video frame frameset -comment"
    " !doctype".split()
)
FURNITURE = frozenset(("nav", "footer"))
# How the walk takes an element; from _CELL on it is a container.
_TEXT, _INLINE, _SPAN, _LINK, _BOLD, _IMAGE, _BREAK, _SKIP, _FURNITURE, _OTHER, _CELL, _BLOCK = (
    range(12)
)
_KIND: dict[str | None, int] = {
    **dict.fromkeys(INLINE, _INLINE),
    **dict.fromkeys(SKIPPED, _SKIP),
    **dict.fromkeys(FURNITURE, _FURNITURE),
    **dict.fromkeys(("span", "code"), _SPAN),
    **dict.fromkeys(("b", "strong"), _BOLD),
    **dict.fromkeys(("td", "th"), _CELL),
    **dict.fromkeys(FORMULA_TAGS | {"script", "source", "picture"}, _OTHER),
    "-text": _TEXT,
    "a": _LINK,
    "img": _IMAGE,
    "br": _BREAK,
    None: _SKIP,
}
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


@dataclass(slots=True)
class Container:
    """An element that parts blocks.

    Attributes:
        parent: number of the container around it; -1 for the first.
        key: tag, classes, id and role, as in `div.post wide#p12[main]`.
        first, last: its blocks, `last` exclusive.
        end: the container after its last descendant.
    """

    parent: int
    depth: int
    tag: str
    key: str
    first: int
    last: int = 0
    end: int = 0
    hidden: bool = False


@dataclass(slots=True)
class Block:
    """A run of inline content.

    Attributes:
        text: white space collapsed, except in `<pre>`; LaTeX of a formula.
        dom_index: number in document order of the first piece of text.
        link_chars, bold_chars: raw characters inside links and bold type.
        links: links that start in the block.
        formula: a formula set apart from the text.
        code: class names that may tell the language of the code in a `<pre>`.
    """

    text: str
    container: int
    dom_index: int
    link_chars: int = 0
    bold_chars: int = 0
    links: int = 0
    formula: bool = False
    code: str | None = None


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


@dataclass(slots=True)
class Layout:
    """What a page shows, in document order; `furniture` are subtrees that were passed over."""

    blocks: list[Block]
    containers: list[Container]
    images: list[Image]
    nodes: int
    furniture: list[LexborNode] = field(default_factory=list)


class _Walk:
    """One pass over the tree. An explicit stack: the depth of a page is its author's choice."""

    def __init__(self, limits: Limits, *, whole: bool) -> None:
        self.limits = limits
        self.whole = whole
        self.blocks: list[Block] = []
        self.containers: list[Container] = [Container(-1, 0, "html", "", 0)]
        self.images: list[Image] = []
        self.furniture: list[LexborNode] = []
        self.current = 0
        # The run of inline content not yet closed: its texts, and images after so many of them.
        self.pieces: list[str] = []
        self.run_images: list[tuple[Image, int]] = []
        self.link_chars = self.bold_chars = self.run_links = 0
        self.start = 0
        # What is open around the present node.
        self.links: list[str] = []
        self.verbatim = self.pictures = self.fallbacks = 0
        self.sources: list[Attributes] = []
        self.code: list[str] = []

    def walk(self, root: LexborNode) -> Layout:
        """Visit every node below `root` in document order.

        One loop without calls for what is frequent: a page has thousands of nodes, and this is a
        third of what a page costs.
        """
        stack: list[tuple[LexborNode, int]] = []
        pieces, links, blocks, containers = self.pieces, self.links, self.blocks, self.containers
        kinds = _KIND | dict.fromkeys(FURNITURE, _BLOCK) if self.whole else _KIND
        bold = index = checkpoint = 0
        node: LexborNode | None = root
        while node is not None:
            index += 1
            if index > checkpoint:
                self.limits.check(index)
                checkpoint = min(index + _CHECK_EVERY, self.limits.nodes)
            child = None
            tag = node.tag
            kind = kinds.get(tag, _BLOCK)
            if kind == _TEXT:
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
                if bold:
                    self.bold_chars += len(text)
            elif kind >= _CELL:
                if pieces:
                    self.flush()
                child = node.first_child
                if child is not None:
                    child = child if self.open(node, str(tag), index) else None
                elif kind == _CELL:  # an empty cell keeps its column
                    self.open(node, str(tag), index)
                    self.close(tag)
            elif kind == _IMAGE:
                self.image(node, index)
            elif kind == _BREAK:
                self.break_line()
            elif kind == _FURNITURE:
                if pieces:
                    self.flush()
                self.furniture.append(node)
            elif kind == _OTHER:
                child = node.first_child if self.open_other(node, str(tag), index) else None
            elif kind != _SKIP:
                child = node.first_child
                if child is not None:
                    if kind == _LINK:
                        self.open_link(node)
                    elif kind == _BOLD:
                        bold += 1
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
                    self.close(node.tag)
                elif kind == _LINK:
                    links.pop()
                elif kind == _BOLD:
                    bold -= 1
                elif kind == _OTHER:
                    self.close_other(node.tag)
                following = node.next
            node = following
        self.flush()
        containers[0].last, containers[0].end = len(blocks), len(containers)
        return Layout(blocks, containers, self.images, index, self.furniture)

    def open(self, node: LexborNode, tag: str, index: int) -> bool:
        """A new container; False when it stands for a formula."""
        parent = self.containers[self.current]
        if parent.depth >= self.limits.depth:
            raise PageTooComplex(f"elements nested deeper than {self.limits.depth}")
        attributes = node.attributes
        container = Container(self.current, parent.depth + 1, tag, tag, len(self.blocks))
        container.hidden = parent.hidden
        if attributes:
            names = attributes.get("class")
            if names:
                if _may_be_formula(names) and self.add_formula(read_formula(node), node, index):
                    return False
                container.key = f"{tag}.{names}"
            if attributes.get("id"):
                container.key += f"#{attributes['id']}"
            if attributes.get("role"):
                container.key += f"[{attributes['role']}]"
            if not container.hidden and not _HIDING.isdisjoint(attributes):
                container.hidden = _is_hidden(attributes)
        if tag == "pre":
            self.verbatim += 1
            names = attributes.get("class") or ""
            self.code = [parent.key.partition(".")[2][:_MAX_NAMES], names[:_MAX_NAMES]]
        elif tag == "noscript":
            self.fallbacks += 1
        self.current = len(self.containers)
        self.containers.append(container)
        return True

    def close(self, tag: str | None) -> None:
        """The end of the container that is open."""
        if tag == "pre":
            self.verbatim -= 1
        elif tag == "noscript":
            self.fallbacks -= 1
        container = self.containers[self.current]
        container.last, container.end = len(self.blocks), len(self.containers)
        self.current = container.parent

    def open_link(self, node: LexborNode) -> None:
        """Text from here on is linked."""
        self.links.append(node.attributes.get("href") or "")
        self.run_links += 1
        if self.pieces and not self.pieces[-1][-1:].isspace():
            # Neighbouring links of a menu often touch in the markup.
            before = node.prev
            if before is not None and before.tag == "a":
                self.pieces.append(" ")

    def formula_span(self, node: LexborNode, index: int) -> bool:
        """Whether a `<span>` or `<code>` stands for a formula; notes its classes in a `<pre>`."""
        names = node.attributes.get("class")
        if not names:
            return False
        if self.verbatim and len(self.code) < _MAX_CODE:
            self.code.append(names[:_MAX_NAMES])
        return _may_be_formula(names) and self.add_formula(read_formula(node), node, index)

    def open_other(self, node: LexborNode, tag: str, index: int) -> bool:
        """A rare inline element; True when what is inside it counts too."""
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

    def close_other(self, tag: str | None) -> None:
        """The end of what `open_other` let in."""
        if tag == "picture":
            self.pictures -= 1
            self.sources = []

    def image(self, node: LexborNode, index: int) -> None:
        """An image, which may show a formula."""
        attributes = node.attributes
        formula = formula_image(attributes) if _may_show_formula(attributes) else None
        if not self.add_formula(formula, node, index):
            self.add_image(attributes, index)

    def add_image(self, attributes: Attributes, index: int) -> Image:
        """An image stands before the block to come, or in the run that is open."""
        link = self.links[-1] if self.links else None
        image = Image(attributes, self.current, index, len(self.blocks), 0, link)
        image.fallback = self.fallbacks > 0
        if self.pictures:
            image.sources, self.sources = self.sources, []
        self.images.append(image)
        if self.pieces:
            self.run_images.append((image, len(self.pieces)))
        return image

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
            self.blocks.append(Block(formula.latex, self.current, index, formula=True))
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
            self.link_chars = self.bold_chars = self.run_links = 0
            return
        text = _shown("".join(pieces), verbatim=self.verbatim > 0)
        if text:
            block = Block(
                text, self.current, self.start, self.link_chars, self.bold_chars, self.run_links
            )
            if self.verbatim:
                block.code = " ".join(self.code)
            if self.run_images:
                self._place_images(len(text))
            self.blocks.append(block)
        pieces.clear()
        self.run_images.clear()
        self.link_chars = self.bold_chars = self.run_links = self.start = 0

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


def _shown(raw: str, *, verbatim: bool) -> str:
    """The text as a browser would show it: white space collapsed unless it is verbatim."""
    if verbatim:
        text = raw.replace(_LINE, "\n").strip("\n").rstrip()
        return "" if text.isspace() else text
    if _LINE in raw:
        lines = (" ".join(line.split()) for line in raw.split(_LINE))
        return "\n".join(line for line in lines if line)
    return " ".join(raw.split())


def _may_be_formula(names: str) -> bool:
    """Whether an element's classes are those of a rendered formula."""
    return len(names) <= _MAX_NAMES and _is_of_formulas(names)


@lru_cache(maxsize=4096)
def _is_of_formulas(names: str) -> bool:
    return not FORMULA_CLASSES.isdisjoint(names.split())


def _may_show_formula(attributes: Attributes) -> bool:
    """A cheap look before `formula_image`: formulas are in the address, or TeX is in the text."""
    alternative, address = attributes.get("alt") or "", attributes.get("src") or ""
    return "\\" in alternative or "tex" in address or "math" in address or "%5C" in address


_HIDING = frozenset(("style", "hidden", "aria-hidden"))
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.I)


def _is_hidden(attributes: Attributes) -> bool:
    return (
        "hidden" in attributes
        or attributes.get("aria-hidden") == "true"
        or bool(_HIDDEN.search(attributes.get("style") or ""))
    )


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


def read_page(html: str, limits: Limits | None = None) -> Page:
    """Parse a page and lay it out.

    Raises:
        PageTooComplex: more nodes or deeper nesting than allowed, or no time left.
    """
    if "\0" in html:
        html = html.replace("\0", "")
    limits = limits or Limits()
    problem = excess(html, limits.nodes)
    if problem:
        raise PageTooComplex(problem)
    tree = LexborHTMLParser(html)
    title, shared, base = _head(tree)
    if len(title) > _LONGEST_TITLE and "<" in title:
        # A title without end takes in the page, as the HTML standard wants; nobody meant that.
        first, _, rest = title.partition("<")
        tree = LexborHTMLParser(f"<title>{first}</title><{rest}")
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
        return Layout([], [Container(-1, 0, "html", "", 0, end=1)], [], 0)
    layout = _Walk(limits, whole=False).walk(body)
    if layout.furniture and sum(len(block.text) for block in layout.blocks) < _LEAST_TEXT:
        # An unclosed <nav> takes in the page; and some pages are one.
        layout = _Walk(limits, whole=True).walk(body)
    return layout


_LEAST_TEXT = 200
