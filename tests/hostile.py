"""Pages made to hurt whoever reads them, damaged pages, and what each costs, measured apart.

A page is extracted in a process of its own, because the parser is written in C: should it crash, a
test sees that and goes on. The processes are forked off one that has everything loaded.
"""

from __future__ import annotations

import codecs
import multiprocessing
import random
import resource
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from multiprocessing.connection import Connection
from typing import Any

import pyarrow as pa

from operators.base import ERROR_COLUMN
from operators.content_model import ContentModel, load
from operators.extract import ExtractInterleaved
from tests.support import sample_pages

_ADDRESS_SPACE = 8 << 30
_MEGABYTE = 1_000_000

Page = str | bytes


def numbered(template: str, count: int) -> str:
    """The template `count` times, with another number in place of each `#`."""
    return "".join(template.replace("#", str(number)) for number in range(count))


# --- Hostile pages ------------------------------------------------------------------------------

TOO_MANY = "more than 300000 elements and texts in the page"
FAR_TOO_MANY = "markup for far more than 300000 elements"
TOO_DEEP = "elements nested deeper than 2000"
LEFT_OPEN = "too many elements left open"
ATTRIBUTES = "more than 10000 attributes on one element"
TOO_LARGE = "page of {} bytes; the limit is 20000000"
BINARY = "the page holds binary data"

# By name: the page, and the message of its error, if it is to have one.
PAGES: dict[str, tuple[Callable[[], Page], str | None]] = {
    # Nesting
    "tables in tables, 300": (lambda: "<table><tr><td>a" * 300, None),
    "tables in tables, 1000": (lambda: "<table><tr><td>a" * 1000, TOO_DEEP),
    "tables in tables, 5000": (lambda: "<table><tr><td>a" * 5000, TOO_DEEP),
    "tables in tables, 100000": (lambda: "<table><tr><td>a" * 100_000, LEFT_OPEN),
    "tables without cells": (lambda: "<table>" * 5000, None),
    "div, 1900": (lambda: "<div>" * 1900 + "a", None),
    "div, 19000": (lambda: "<div>" * 19_000 + "a", TOO_DEEP),
    "div, 1000000": (lambda: "<div>" * 1_000_000, LEFT_OPEN),
    "lists, 900": (lambda: "<ul><li>item" * 900, None),
    "definitions, 100000": (lambda: "<dl><dd><div>" * 100_000, LEFT_OPEN),
    "bold, 100000": (lambda: "<b>" * 100_000 + "a", None),
    "links, 100000": (lambda: "<a href=b>" * 100_000 + "a", None),
    "spans, 100000": (lambda: "<span>" * 100_000 + "a", None),
    "spans and strange ends": (lambda: "<span>" * 100_000 + "</q>" * 100_000, LEFT_OPEN),
    "divs and strange ends": (lambda: "<div>" * 50_000 + "</p>" * 50_000, LEFT_OPEN),
    "templates, 19000": (lambda: "<template>" * 19_000 + "a", None),
    "drawings, 19000": (lambda: "<svg>" * 19_000 + "a", None),
    "formulas, 10000": (lambda: "<math><mrow>" * 9_000 + "a", TOO_DEEP),
    "formula of deep rows": (lambda: "<math>" + "<mrow>" * 18_000 + "<mi>x", TOO_DEEP),
    "rendered formulas": (lambda: "<mjx-container>" * 19_000 + "a", None),
    "deep and wide": (lambda: "<div>" * 900 + "<p>words" * 100_000, None),
    # Formatting that is opened again and again
    "fonts reopened": (
        lambda: "<p>" + numbered("<font size=#>", 3000) + "<p>a" * 3000,
        FAR_TOO_MANY,
    ),
    "fonts reopened by few": (lambda: "<p>" + numbered("<b id=#>", 500) + "<p>a" * 500, None),
    "bold with names": (lambda: numbered("<b id=#>", 100_000), FAR_TOO_MANY),
    "links around blocks": (lambda: "<a href=b><div>" * 50_000, LEFT_OPEN),
    "ends in the wrong order": (lambda: "<b><i><p>" * 10_000 + "</b></i>" * 10_000, None),
    "text put out of tables": (lambda: "<table>" + "a<b>" * 10_000, None),
    # Many of a kind
    "paragraphs, 149000": (lambda: "<p>a" * 149_000, None),
    "siblings, 299000": (lambda: "<p>" * 299_000, None),
    "siblings, 300000": (lambda: "<p>" * 300_000, TOO_MANY),
    "siblings, 5000000": (lambda: "<p>" * 5_000_000, FAR_TOO_MANY),
    "cells": (lambda: "<table>" + "<tr><td>a<td>b" * 48_000, None),
    "tables": (lambda: "<table><tr><td>a<td>b<tr><td>c<td>d</table>" * 19_000, None),
    "headings": (lambda: "<h1>some words</h1>" * 100_000, None),
    "classes": (lambda: numbered("<div class='c# d#'><p>words</div>", 60_000), None),
    "line breaks": (lambda: "a<br>" * 140_000, None),
    "pieces of code": (lambda: "<pre>" + "<code class=c>a</code><p>b" * 60_000, None),
    "dated authors": (lambda: numbered("<p id=author# class=date>2020-01-01 by J", 60_000), None),
    "declarations": (lambda: "<meta property=article:author content=x>" * 90_000 + "a", None),
    "menus": (lambda: "<nav><img src=a></nav>" * 90_000 + "a", None),
    "inline formulas": (lambda: "<span class=math>\\(x\\)</span> " * 90_000, None),
    "images in a line": (lambda: "<p>" + numbered("a<img src=#.png>", 140_000), None),
    "images with one address": (lambda: "<p>" + "a<br><img src=b.png>" * 90_000, None),
    "images between texts": (lambda: numbered("<p>some words<p><img src=#.png>", 60_000), None),
    "images deep down": (lambda: "<div>" * 900 + numbered("<img src=#.png>", 200_000) + "a", None),
    "images in a long link": (
        lambda: f"a<a href='/{'b' * _MEGABYTE}'>" + numbered("<img src=#.png>", 100_000),
        None,
    ),
    "images on a long base": (
        lambda: f"<base href='http://a.org/{'b' * _MEGABYTE}/'>a"
        + numbered("<img src=#.png>", 100_000),
        None,
    ),
    # Attributes
    "attributes, 9000": (lambda: f"<p {numbered('a# ', 9000)}>text", None),
    "attributes, 100000": (lambda: f"<p {numbered('a# ', 100_000)}>text", ATTRIBUTES),
    "attributes of an image": (lambda: f"<img {numbered('data-src#=x ', 9000)}>text", None),
    "long attributes": (
        lambda: "".join(
            f"<p {name}='{'a b' * 350_000}'>text" for name in ("class", "id", "style", "title")
        ),
        None,
    ),
    "long classes around code": (
        lambda: f"<pre class='{'c' * _MEGABYTE}'>" + "<p>a" * 50_000,
        None,
    ),
    "srcset of white space": (lambda: f'<img srcset="{" " * 20_000}">' * 900, None),
    "srcset of commas": (lambda: f'<img srcset="{", " * 10_000}">' * 900, None),
    "srcset of digits": (lambda: f'<img srcset="a {"1" * 19_000}">' * 900, None),
    "style of half a width": (lambda: f"<img src=a style='{'width:1.1' * 900_000}'>", None),
    "style of white space": (lambda: f"<p style='{'display ' * 900_000}'>text", None),
    "address of dots": (lambda: f"<img src='/{'../' * 6000}a.png'>" * 900 + "text", None),
    "pictures in the page": (
        lambda: f"<p>text<img src='data:image/png;base64,{'A' * 900_000}'>" * 20,
        None,
    ),
    # Text
    "one long text": (lambda: "<p>" + "word, " * 3_300_000, None),
    "one long word": (lambda: "<p>" + "A" * 19_900_000, None),
    "one long Chinese text": (lambda: "<p>" + "中" * 6_600_000, None),
    "a long title": (
        lambda: f"<title>{numbered('w# ', 20_000)}</title>" + "<p>w1 w2" * 99_000,
        None,
    ),
    "characters by number": (lambda: "&#xD800;&#0;&#x110000;&#x80;" * 100_000, None),
    "half characters by number": (lambda: "&#" * 5_000_000, None),
    # Unclosed everything
    "unclosed comment": (lambda: "<p>text<!--" + "<p>" * 100_000, None),
    "comments": (lambda: "<!--" * 1_000_000, None),
    "unclosed title": (lambda: "<title>" + "<p>text " * 100_000, None),
    "unclosed titles": (lambda: "<title>" * 100_000, None),
    "unclosed tag": (lambda: "<p>text<a href='" + "b" * _MEGABYTE, None),
    "unclosed tags": (lambda: "<a<b" * 200_000, None),
    "unclosed script": (lambda: "<p>text<script>" + "<p>" * 100_000, None),
    "unclosed of all kinds": (
        lambda: "<p><ul><dl><table><pre><b><textarea><select><svg><title><style><xmp>",
        None,
    ),
    "plain text": (lambda: "<plaintext>" + "<p>word " * 250_000, None),
    "frames": (lambda: "<frameset>" + "<frame src=a>" * 100_000, None),
    "frames after text": (lambda: "<p>text<frameset><frame></frameset><p>more", None),
    "end tags only": (lambda: "</p></br></body></html>" * 50_000, None),
    # Much of nothing
    "empty": (lambda: b"", None),
    "spaces, 50 MB": (lambda: b" " * 50 * _MEGABYTE, TOO_LARGE.format(50_000_000)),
    "signs, 50 MB": (lambda: b"<" * 50 * _MEGABYTE, TOO_LARGE.format(50_000_000)),
    "divs, 50 MB": (lambda: b"<div>" * 10 * _MEGABYTE, TOO_LARGE.format(50_000_000)),
    "spaces, 20 MB": (lambda: b" " * 20 * _MEGABYTE, None),
    "signs, 20 MB": (lambda: b"<" * 20 * _MEGABYTE, FAR_TOO_MANY),
    "divs, 20 MB": (lambda: b"<div>" * 4 * _MEGABYTE, FAR_TOO_MANY),
    "nulls": (lambda: b"\0" * 1000, None),
    "nulls, 20 MB": (lambda: b"\0" * 20 * _MEGABYTE, None),
    # Characters
    "UTF-16 without a mark": (lambda: "<p>wide text".encode("utf-16-le"), None),
    "UTF-16 cut in half": (lambda: "<p>wide text".encode("utf-16")[:-1], None),
    "UTF-16 of half characters": (lambda: codecs.BOM_UTF16_LE + b"\0\xd8a\0" * 1000, None),
    "UTF-16 said in the page": (lambda: b"<meta charset=utf-16><p>text", None),
    "UTF-7 said in the page": (lambda: b"<meta charset=utf-7><p>+ADw-script+AD4-", None),
    "UTF-8 of half characters": (lambda: b"<p>\xed\xa0\x80\xed\xb0\x80 text" * 1000, None),
    "UTF-8 with a foreign mark": (lambda: codecs.BOM_UTF8 + "<p>текст".encode("cp1251"), None),
    "unknown charset": (lambda: "<meta charset=klingon><p>naïve café".encode("latin-1"), None),
    "codec that is none": (lambda: b"<meta charset=zlib_codec><p>text \xff", None),
    "charset of absurd length": (lambda: b"<meta charset=" + b"u" * 5000 + b"><p>\xff", None),
    "random bytes": (lambda: random.Random(0).randbytes(100_000), BINARY),
    "random bytes without null": (
        lambda: random.Random(1).randbytes(300_000).replace(b"\0", b""),
        None,
    ),
}  # fmt: skip


# --- Damaged pages ------------------------------------------------------------------------------

_SPLINTERS = (
    *(bytes([sign]) for sign in b"<>\"'&=/\0\xff\xc3 "),
    *b"<!-- --> <title> <table> <tr><td> </table> <p> </p> <br><br> <pre> <b> </b>".split(),
    *b"<math> <body> </html> <svg> <script> </script> <noscript> <select> <ul><li> <nav>".split(),
    b"<frameset>",
    *b'<img/src= <a/href= &#xD800; &#0; &noentity; <span/class=math>\\( {"@type":'.split(),
    b" srcset='a 1w, b 2w'",
    b" class='caption ad logo'",
    b" style='width:1px;display:none'",
    b"<base href='http://[x'>",
    b"<meta charset=utf-16>",
    b"\xe2\x80\xae",
    b"\xed\xa0\x80",
)
_CHARSETS = (None, None, "utf-8", "gb2312", "windows-1251", "utf-16", "shift_jis", "none such")
_MOST_BYTES = 120_000


def damaged(seed: int) -> tuple[bytes, str | None]:
    """A bundled page, damaged in a few places, with the charset that its server declares."""
    chance = random.Random(seed)
    pages = sample_pages()
    page = bytearray(chance.choice(pages)[:_MOST_BYTES])
    for _ in range(chance.choice((1, 1, 2, 4, 8, 16, 64))):
        start = chance.randrange(len(page) + 1)
        end = min(len(page), start + int(chance.expovariate(1 / 200)))
        match chance.randrange(8):
            case 0:
                for at in range(start, end, 7):
                    page[at] ^= 1 << chance.randrange(8)
            case 1:
                del page[start:end]
            case 2:
                page[start:start] = page[start:end] * chance.choice((1, 1, 2, 50))
            case 3:
                other = chance.choice(pages)
                cut = chance.randrange(len(other) + 1)
                page[start:end] = other[cut : cut + int(chance.expovariate(1 / 2000))]
            case 4:
                page[start:end] = chance.randbytes(min(end - start, 20))
            case 5:
                page[start:start] = chance.choice(_SPLINTERS) * chance.choice((1, 1, 1, 3, 300))
            case 6:
                other = chance.choice(pages)
                page[start:] = other[chance.randrange(len(other) + 1) :]
            case _:
                del page[start : None if chance.random() < 0.2 else start + 1]
        del page[2 * _MOST_BYTES :]
    return bytes(page), chance.choice(_CHARSETS)


# --- Extraction, apart from the test ------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """What came of a page, and its cost: CPU seconds, and bytes of memory at the peak."""

    row: dict[str, Any]
    seconds: float
    memory: int


def extracted(page: Page, charset: str | None = None) -> dict[str, Any]:
    """The page's row; AssertionError when the result is not as every result should be."""
    operator = ExtractInterleaved()
    row = {"url": "http://a.org/b", "html": _bytes(page), "http_charset": charset}
    result = operator.measure(pa.Table.from_pylist([row], schema=operator.reads), _model())
    assert result.column_names == [*operator.writes.names, ERROR_COLUMN]
    assert result.select(operator.writes.names).schema.equals(operator.writes)
    result.validate(full=True)
    found: dict[str, Any] = result.to_pylist()[0]
    assert_sound(found)
    return found


def assert_sound(row: dict[str, Any]) -> None:
    """What holds for the row of any page."""
    error = row[ERROR_COLUMN]
    if error is not None:
        assert error["type"] in ("ValueError", "UndecodablePage", "PageTooComplex"), error
        assert error["type"] != "ValueError" or error["message"].startswith("page of "), error
        assert {value for name, value in row.items() if name != ERROR_COLUMN} == {None}
        return
    order = [node["dom_index"] for node in row["nodes"]]
    assert order == sorted(order)
    for node in row["nodes"]:
        is_image = node["kind"] == "image"
        assert (node["image_url"] is not None) == is_image == (node["text"] is None)
        assert is_image or node["text"].strip()
    addresses = [n["image_url"] for n in (*row["nodes"], *row["left_out_images"])]
    for address in filter(None, addresses):
        assert address.startswith(("http://", "https://", "data:image/"))


@cache
def _model() -> ContentModel:
    return load()


@cache
def _compile() -> None:
    """Loops are compiled before the first page, as in a worker, and not on a page's time."""
    ExtractInterleaved().setup()


def _bytes(page: Page) -> bytes:
    return page.encode() if isinstance(page, str) else page


def outcome(name: str) -> Outcome:
    """Extract a hostile page in a process of its own.

    Raises:
        AssertionError: the process died, or the result is not as it should be.
    """
    return apart(_measure_page, name)  # type: ignore[no-any-return]


def damage(first: int, count: int) -> dict[str, int]:
    """Extract damaged pages in one process; returns how many ended how."""
    return apart(_measure_damaged, first, count)  # type: ignore[no-any-return]


def _measure_page(answer: Connection, name: str) -> None:
    page = _bytes(PAGES[name][0]())
    before, started = _peak(), time.process_time()
    row = extracted(page)
    seconds = time.process_time() - started
    answer.send(Outcome(row, seconds, max(_peak() - before, 0)))


def _measure_damaged(answer: Connection, first: int, count: int) -> None:
    ends: dict[str, int] = {}
    for seed in range(first, first + count):
        answer.send(seed)
        error = extracted(*damaged(seed))[ERROR_COLUMN]
        end = "fine" if error is None else error["type"]
        ends[end] = ends.get(end, 0) + 1
    answer.send(ends)


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def apart(function: Callable[..., None], *arguments: Any) -> Any:
    """The last that `function` sends, from a process of its own."""
    _compile()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.hostile"])
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_limited, args=(sender, function, *arguments))
    process.start()
    sender.close()
    answers: deque[Any] = deque(maxlen=2)
    try:
        while True:
            answers.append(receiver.recv())
    except EOFError:
        process.join()
    assert process.exitcode == 0, f"exit {process.exitcode}: {' '.join(map(str, answers))}"
    return answers[-1]


def _limited(sender: Connection, function: Callable[..., None], *arguments: Any) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    try:
        function(sender, *arguments)
    except Exception:  # noqa: BLE001  # told by the process that waits
        sender.send(traceback.format_exc())
        sys.exit(1)
