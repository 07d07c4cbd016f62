"""Hostile and damaged pages: an error of their row at the most, and a bounded cost."""

from __future__ import annotations

import os
import re
import signal
import time
from collections import Counter
from collections.abc import Iterator
from multiprocessing.connection import Connection

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import operators.block_features
import operators.decode
import operators.dom
import operators.extract
import operators.formulas
import operators.markup_cost
import operators.page_images
from operators.decode import utf8_html
from operators.dom import PageTooComplex, read_page
from operators.markup_cost import excess
from tests import hostile
from tests.hostile import PAGES, assert_sound, damage, extracted, outcome
from tests.strategies import pages
from tests.support import ROOT, sample_pages

MOST_SECONDS = 20.0  # of CPU time, on a machine that is busy
MOST_MEMORY = 2_000_000_000
# OMNILOOM_FUZZ=20000 python -m pytest tests/test_hostile_pages.py -k damaged
DAMAGED = int(os.environ.get("OMNILOOM_FUZZ", "300"))


@pytest.mark.parametrize("name", PAGES)
def test_a_hostile_page_ends_as_it_should_within_bounds(name: str) -> None:
    found = outcome(name)
    error = found.row["error"]
    assert (error and error["message"]) == PAGES[name][1]
    assert found.seconds < MOST_SECONDS
    assert found.memory < MOST_MEMORY


@pytest.mark.timeout(300 + DAMAGED)
def test_damaged_pages_never_raise() -> None:
    ends = damage(first=0, count=DAMAGED)
    assert sum(ends.values()) == DAMAGED
    assert ends["fine"] > 0.8 * DAMAGED
    assert set(ends) <= {"fine", "UndecodablePage", "PageTooComplex"}


@given(pages(), st.none() | st.sampled_from(("utf-8", "gb2312", "utf-16", "utf-7", "none such")))
@settings(deadline=None, max_examples=150)
def test_any_bytes_give_a_sound_row(page: bytes, charset: str | None) -> None:
    assert_sound(extracted(page, charset))


_TAGS = "p div b a span table tr td ul li pre img br title nav math svg select h1 form font".split()
_PIECES = st.one_of(
    st.sampled_from([f"<{tag}>" for tag in _TAGS] + [f"</{tag}>" for tag in _TAGS]),
    st.sampled_from(("words of text ", "<img src=a.png>", "<a href='//b'>", "<td><td>", "<!--")),
    st.text(max_size=8),
)


@given(st.lists(_PIECES, max_size=40), st.integers(1, 40))
@settings(deadline=None, max_examples=150)
def test_any_markup_gives_a_sound_row(pieces: list[str], repeats: int) -> None:
    assert_sound(extracted("".join(pieces).encode("utf-8", "replace") * repeats))


def test_a_process_that_fails_or_dies_is_noticed() -> None:
    with pytest.raises(AssertionError, match=r"(?s)exit 1: Traceback.*KeyError: 'no such page'"):
        outcome("no such page")
    with pytest.raises(AssertionError, match="exit -11: "):
        hostile.apart(_crash)


def _crash(_: Connection) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


# --- Markup that asks too much --------------------------------------------------------------------


def test_no_bundled_page_is_near_a_bound_on_markup() -> None:
    for page in [*sample_pages(), *(path.read_bytes() for path in ROOT.glob("tests/pages/*.html"))]:
        try:
            html = utf8_html(page)
        except ValueError:
            continue
        assert excess(html, nodes=30_000) is None


@pytest.mark.parametrize(
    "html",
    [
        "<table>" + "<tr><td><font color=red>a" * 9000 + "</table>",
        "<p><a name=x>text" * 30_000,
        "<div><p>text<br></div>" * 20_000,
        "<ul>" + "<li><b>a</b> <i class=fa></i>" * 20_000 + "</ul>",
        hostile.numbered("<code id=c#>a</code> ", 30_000),
        "<svg>" + "<path d='M0 0'/>" * 60_000 + "</svg>",
        "<svg>" + "<g><use href=#a /></g>" * 30_000 + "</svg>",
        "<p>" + "if a <b then " * 10_000,
        f"<p title='{'a b ' * 30_000}'>text",
        f"<img src='data:image/png;base64,{'A' * 200_000}'>",
        f"<script>{'for(i=0;i<n;i++)if(a<b)' * 50_000}</script>",
        "<font>" * 1000 + "<p>text" * 3000,
        "novel words of text " * 50_000,
    ],
    ids=lambda html: html[:30],
)
def test_clumsy_markup_is_no_excess(html: str) -> None:
    assert excess(html.encode(), nodes=300_000) is None


def test_an_excess_is_an_error_before_the_page_is_parsed() -> None:
    started = time.process_time()
    with pytest.raises(PageTooComplex, match="too many elements left open"):
        read_page("<div>" * 1_000_000)
    assert time.process_time() - started < 5


_FORMATS = (
    *("<", "</", "b", "B", "big", "Strong", "tt", "s", "font", "em>", "<b>", "</b>", "<I a=b>"),
    *("</i>", " ", ">", "/", "\x1c", "\v", "é"),
)


@settings(deadline=None)
@given(st.lists(st.sampled_from(_FORMATS), max_size=60).map("".join))
def test_the_bound_on_reopened_formatting_reads_tags_as_the_pattern_does(markup: str) -> None:
    cost = operators.markup_cost
    html, left_open, expected = markup.encode(), Counter[bytes](), 0
    tags = {tag.start(): tag for tag in cost._FORMATTING_TAG.finditer(html)}
    for place in (sign.start() for sign in re.finditer(b"<", html)):
        if place in tags:
            name = tags[place][2].lower()
            left_open[name] += 1 if not tags[place][1] else -min(left_open[name], 1)
        expected += left_open.total()
    codes = np.frombuffer(html, np.uint8)
    assert cost._most_reopened(codes, cost._NAMES, cost._AFTER_NAME) == expected


# --- Regular expressions ------------------------------------------------------------------------


def patterns() -> Iterator[tuple[str, re.Pattern[str]]]:
    """Every pattern for text in the modules that read markup."""
    for module in (
        operators.block_features,
        operators.decode,
        operators.dom,
        operators.extract,
        operators.formulas,
        operators.markup_cost,
        operators.page_images,
    ):
        for name, value in vars(module).items():
            if isinstance(value, re.Pattern) and isinstance(value.pattern, str):
                yield f"{module.__name__}.{name}", value


PATTERNS = dict(patterns())
# Tried at the start of a text only, or (for srcset) where the text is known not to end too soon.
_ANCHORED = {
    "operators.formulas._SERVICE_PREFIX",
    "operators.formulas._TEX_ENCODING",
    "operators.page_images._PIXELS",
    "operators.page_images._PLAIN_PATH",
    "operators.page_images._SRCSET_ITEM",
}
_REPEATED = (
    *" aA1<({$%/.,-_=:;'\"\\中٣",
    *"aA 1. <a </ \\( 1x x1 11x w=1 lazy lazy- data- blank blank_ blank. s.gif http://".split(),
    *"display: width:1 language- \\begin{ \\inline \\dpi{1} <![CDATA[ ]]> &amp; a/tex- /la".split(),
    *("<b ", "\\ ", ", ", "display ", "width: ", "brush: ", "sourceCode ", "caption "),
)
_ENDS = ("", "!", "\n", " x", "px", ">")


@pytest.mark.parametrize("name", PATTERNS)
def test_a_pattern_takes_little_time_on_any_text(name: str) -> None:
    """None whose time grows with the square of the text could read so much of it in time."""
    pattern = PATTERNS[name]
    for repeated in _REPEATED:
        for end in _ENDS:
            text = repeated * (50_000 // len(repeated)) + end
            started = time.process_time()
            pattern.match(text)
            pattern.fullmatch(text)
            if name not in _ANCHORED:
                sum(1 for _ in pattern.finditer(text))
            assert time.process_time() - started < 0.2, (repeated, end)
