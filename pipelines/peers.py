"""Extractors that can be measured side by side: the product's own, its peers, and anybody's.

An extractor is a function of a page's bytes and address that gives the text of the main content
and the addresses of its images in reading order. Peers are imported only when they are asked for.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import lxml.html
from lxml.etree import ParserError
from lxml.html import HtmlElement

from operators.decode import decode_html
from pipelines.structure import Block, html_blocks, markdown_blocks, node_blocks
from schemas.errors import InputError, did_you_mean

OWN = "interleaved"
BASELINE = "trafilatura"
EVERYTHING = "all-text"
"""Takes all text and images: what a page offers, not a competitor."""
_OWN_FUNCTION = "operators.extract:text_and_images"
_MARKDOWN_IMAGE = re.compile(r"!\[[^\]]*\]\(\s*([^\s)]*)[^)]*\)")

Answer = tuple[str, list[str]]
Extract = Callable[[bytes, str | None], Answer]


@dataclass(frozen=True)
class Extractor:
    """A function that extracts, and where it can tell kinds of blocks, one that tells them."""

    name: str
    extract: Extract
    blocks: Callable[[bytes, str | None], list[Block]] | None = None
    version: str = ""


@dataclass(frozen=True)
class _Peer:
    """An extractor that may be installed: its package, its module, and how it is made."""

    package: str
    module: str
    load: Callable[[], Extractor]


def choose(names: Sequence[str] = ()) -> tuple[list[Extractor], list[str]]:
    """The extractors asked for; without names all that are installed, and the names of the others.

    Raises:
        InputError: one that was asked for is unknown, not installed or not importable.
    """
    if names:
        return [_asked(name) for name in dict.fromkeys(names)], []
    there = [name for name in EXTRACTORS if _installed(name)]
    return [_asked(name) for name in there], [name for name in EXTRACTORS if name not in there]


def _installed(name: str) -> bool:
    return find_spec(EXTRACTORS[name].module) is not None


def _asked(name: str) -> Extractor:
    if ":" in name:
        return _from_module(name, name)
    if name not in EXTRACTORS:
        fix = f"{did_you_mean(name, EXTRACTORS)} Your own is module:function"
        raise InputError(f"no extractor '{name}'\n    fix: {fix}")
    peer = EXTRACTORS[name]
    if not _installed(name):
        fix = f"pip install {peer.package}"
        raise InputError(f"extractor '{name}' is not installed\n    fix: {fix}")
    return peer.load()


def _from_module(name: str, function: str) -> Extractor:
    """The extractor `module:function`; `extract_nodes` beside it tells kinds of blocks."""
    module_name, _, attribute = function.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:  # the installed command does not look where it is called
        sys.path.insert(0, here)
    try:
        module = import_module(module_name)
        extract = getattr(module, attribute)
    except (ImportError, AttributeError, ValueError) as error:
        fix = "name an importable module and a function of it: module:function"
        raise InputError(f"extractor '{name}' cannot be loaded: {error}\n    fix: {fix}") from None
    nodes = getattr(module, "extract_nodes", None)
    blocks = None if nodes is None else lambda html, url: node_blocks(nodes(html, url))
    return Extractor(name, extract, blocks, _version("omniloom") if name == OWN else "")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


# --- Peers --------------------------------------------------------------------------------------


def _trafilatura(name: str, *, fast: bool) -> Extractor:
    import trafilatura

    def markdown(html: bytes, url: str | None) -> str:
        found = trafilatura.extract(
            html,
            url=url,
            fast=fast,
            output_format="markdown",
            include_images=True,
            include_comments=False,
        )
        return found or ""

    def extract(html: bytes, url: str | None) -> Answer:
        text = markdown(html, url)
        images = [address for address in _MARKDOWN_IMAGE.findall(text) if address]
        return _MARKDOWN_IMAGE.sub("", text), images

    return Extractor(
        name,
        extract,
        lambda html, url: markdown_blocks(markdown(html, url)),
        _version("trafilatura"),
    )


def _resiliparse() -> Extractor:
    plain = import_module("resiliparse.extract.html2text").extract_plain_text
    encoding = import_module("resiliparse.parse.encoding")

    def extract(html: bytes, _: str | None) -> Answer:
        page = encoding.bytes_to_str(html, encoding.detect_encoding(html))
        return plain(page, main_content=True, alt_texts=False), []

    return Extractor("resiliparse", extract, None, _version("resiliparse"))


def _magic_html() -> Extractor:
    extractor = import_module("magic_html").GeneralExtractor()

    def content(html: bytes, url: str | None) -> str:
        found = extractor.extract(_decoded(html), base_url=url or "http://localhost/")
        return found.get("html") or ""

    return _of_markup("magic-html", content, "magic-html")


def _decoded(html: bytes) -> str:
    """The page as text. Gold that was stored as text is UTF-8 now, whatever its head declares."""
    try:
        return html.decode()
    except UnicodeDecodeError:
        return decode_html(html)


def _readability() -> Extractor:
    document = import_module("readability").Document

    def content(html: bytes, _: str | None) -> str:
        return str(document(html).summary())

    return _of_markup("readability-lxml", content, "readability-lxml")


def _of_markup(name: str, content: Callable[[bytes, str | None], str], package: str) -> Extractor:
    """An extractor whose answer is HTML."""

    def extract(html: bytes, url: str | None) -> Answer:
        markup = content(html, url)
        try:
            tree = lxml.html.fromstring(markup)
        except ParserError:  # an empty answer
            return "", []
        return tree.text_content(), [image.get("src") or "" for image in tree.iter("img")]

    return Extractor(
        name, extract, lambda html, url: html_blocks(content(html, url)), _version(package)
    )


def _all_text() -> Extractor:
    def tree(html: bytes) -> HtmlElement:
        root = lxml.html.fromstring(html)
        for element in root.xpath("//script|//style|//noscript"):
            element.drop_tree()
        return root

    def extract(html: bytes, _: str | None) -> Answer:
        root = tree(html)
        return root.text_content(), [image.get("src") for image in root.xpath("//img[@src]")]

    def blocks(html: bytes, _: str | None) -> list[Block]:
        return html_blocks(lxml.html.tostring(tree(html)))

    return Extractor(EVERYTHING, extract, blocks, _version("lxml"))


EXTRACTORS = {
    OWN: _Peer("omniloom", "operators.extract", lambda: _from_module(OWN, _OWN_FUNCTION)),
    BASELINE: _Peer(BASELINE, BASELINE, lambda: _trafilatura(BASELINE, fast=False)),
    "trafilatura-fast": _Peer(
        BASELINE, BASELINE, lambda: _trafilatura("trafilatura-fast", fast=True)
    ),
    "resiliparse": _Peer("resiliparse", "resiliparse", _resiliparse),
    "magic-html": _Peer("magic-html", "magic_html", _magic_html),
    "readability-lxml": _Peer("readability-lxml", "readability", _readability),
    EVERYTHING: _Peer("lxml", "lxml", _all_text),
}
"""What has a name, in the order in which it is shown."""
