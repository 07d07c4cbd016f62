"""The review page: who is let in, and people at work in a real Chromium."""

from __future__ import annotations

import http.client
import importlib.util
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image

from operators.pixels import ImageError
from operators.review_decisions import REASONS, Decision, read_reviews
from pipelines.review_figures import effort
from pipelines.review_queue import ReviewPlan
from pipelines.review_server import _for_browsers, serve
from schemas.errors import InputError
from tests.review_site import HOSTILE, MARKUP, SHOWN, flat, plain
from tests.support import ROOT

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
PLAIN_ROWS = 3
ROWS = len(SHOWN) + 1 + PLAIN_ROWS


class Site:
    """A review server in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = 0
        self.share = "0"
        self.browser = ""
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it, on the port that it had before."""
        opens = "yes" if self.browser else ""
        arguments = [str(self.folder), str(self.port), str(PLAIN_ROWS), self.share, opens]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.review_site", *arguments],
            cwd=ROOT,
            env=os.environ | {"BROWSER": f"{self.browser} %s"},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        found = re.search(
            r"http://127\.0\.0\.1:(\d+)/\?token=(\S+)", self._process.stdout.readline()
        )
        assert found is not None
        self.address, self.port, self.token = found[0], int(found[1]), found[2]

    def end(self, sign: signal.Signals = signal.SIGINT) -> str:
        """End it by a signal; what it still said."""
        assert self._process is not None
        self._process.send_signal(sign)
        said, _ = self._process.communicate(timeout=20)
        self.code = self._process.returncode
        self._process = None
        return said

    def close(self) -> None:
        if self._process is not None:
            self.end(signal.SIGKILL)

    @property
    def decisions(self) -> list[Decision]:
        return read_reviews(self.folder).decisions

    def addresses(self) -> set[str]:
        """Addresses that the process listens on."""
        assert self._process is not None
        found = psutil.Process(self._process.pid).net_connections()
        return {c.laddr.ip for c in found if c.status == psutil.CONN_LISTEN}

    def ask(
        self, path: str, body: bytes | None = None, **headers: str | None
    ) -> tuple[int, dict[str, str], bytes]:
        """A bare request as the page sends it; `headers` replace its own, None leaves one out."""
        given: dict[str, str | None] = {
            "Host": f"127.0.0.1:{self.port}",
            "Cookie": f"omniloom_review_{self.port}={self.token}",
        }
        if body is not None:
            given["Content-Type"] = "application/json"
            given["Origin"] = f"http://127.0.0.1:{self.port}"
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.putrequest("GET" if body is None else "POST", path, skip_host=True)
        for name, value in given.items():
            if value is not None:
                connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        found = answer.status, dict(answer.getheaders()), answer.read()
        connection.close()
        return found


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    found = Site(tmp_path / "review")
    found.start()
    yield found
    found.close()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One server for all requests that decide nothing."""
    found = Site(tmp_path_factory.mktemp("guarded"))
    found.start()
    yield found
    found.close()


# --- Who is let in ------------------------------------------------------------------------------


def test_the_printed_address_gives_a_cookie_and_no_token_stays_in_sight(guarded: Site) -> None:
    # Also from a link on another page, as that of a terminal in the browser.
    address, site = f"/?token={guarded.token}", "cross-site"
    status, headers, body = guarded.ask(address, Cookie=None, Sec_Fetch_Site=site)
    assert b"url=/" in body
    assert guarded.token.encode() not in body
    assert status == 200
    assert f"omniloom_review_{guarded.port}={guarded.token}" in headers["Set-Cookie"]
    for part in ("HttpOnly", "SameSite=Strict", "Path=/"):
        assert part in headers["Set-Cookie"]
    assert len(guarded.token) > 40
    status, headers, body = guarded.ask("/")
    assert status == 200
    assert guarded.token.encode() not in body
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]


def test_what_the_browser_is_started_with_works_once(tmp_path: Path) -> None:
    told = tmp_path / "told"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {told}.new && mv {told}.new {told}\n')
    browser.chmod(0o755)
    site = Site(tmp_path / "review")
    site.browser = str(browser)
    site.start()
    deadline = time.monotonic() + 20
    while not told.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    address = told.read_text().strip()
    path = address.removeprefix(f"http://127.0.0.1:{site.port}")
    assert site.token not in address
    status, headers, _ = site.ask(path, Cookie=None)
    assert (status, site.token in headers["Set-Cookie"]) == (200, True)
    assert site.ask(path, Cookie=None)[0] == 401
    site.close()


def test_it_listens_on_loopback_alone(guarded: Site) -> None:
    assert guarded.addresses() == {"127.0.0.1"}


@pytest.mark.parametrize("path", ["/", "/review.js", "/api/config", "/api/image/choice", "/x"])
@pytest.mark.parametrize("cookie", [None, "", "omniloom_review_0=x", "omniloom_review_{}=wröng"])
def test_nothing_is_answered_without_the_token(
    guarded: Site, path: str, cookie: str | None
) -> None:
    said = cookie and cookie.format(guarded.port)
    assert guarded.ask(path, Cookie=said)[0] == 401


def test_a_wrong_token_gets_no_cookie(guarded: Site) -> None:
    for token in ("", "x", guarded.token[:-1], guarded.token + "x", "%C3%A9"):
        status, headers, _ = guarded.ask(f"/?token={token}", Cookie=None)
        assert (status, "Set-Cookie" in headers) == (401, False)


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "localhost", ""])
def test_another_name_for_this_machine_is_refused(guarded: Site, host: str) -> None:
    """A page elsewhere whose name was made to mean 127.0.0.1 asks under that name."""
    assert guarded.ask("/api/config", Host=host)[0] in (400, 421)
    assert guarded.ask("/api/config", Host=f"localhost:{guarded.port}")[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://localhost:{}"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_another_page_is_refused(guarded: Site, headers: dict[str, str]) -> None:
    body = b'{"reviewer": "Ann"}'
    said = {name.replace("-", "_"): value.format(guarded.port) for name, value in headers.items()}
    assert guarded.ask("/api/manual", body, **said)[0] == 403
    assert guarded.ask("/api/manual", body)[0] == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", None])
def test_only_json_is_taken(guarded: Site, kind: str | None) -> None:
    assert guarded.ask("/api/manual", b'{"reviewer": "Ann"}', Content_Type=kind)[0] == 415


@pytest.mark.parametrize(
    "path",
    [
        "/../pyproject.toml",
        "/%2e%2e/%2e%2e/pyproject.toml",
        "/review.css/../review_server.py",
        "/review_page/index.html",
        "//etc/passwd",
        "/api/image/../../../etc/passwd",
        "/api/image/..%2f..%2f..%2fetc%2fpasswd",
        "/api/image/%00",
        "/api/image/elsewhere",
    ],
)
def test_no_path_leads_to_a_file(guarded: Site, path: str) -> None:
    status, _, body = guarded.ask(path)
    assert status in (400, 404)
    assert b"root:" not in body
    assert b"[project]" not in body


@pytest.mark.parametrize(
    ("path", "body", "problem"),
    [
        ("next", b"", "Invalid JSON"),
        ("next", b"{}", "reviewer"),
        ("next", b'{"reviewer": "a\\nb"}', "line breaks"),
        ("next", b'{"reviewer": "Ann", "have": "x"}', "have"),
        ("next", b'{"reviewer": "Ann", "evil": 1}', "evil"),
        ("next", b'{"reviewer": "\\ud800"}', "reviewer|JSON"),
        ("undo", b'{"reviewer": "Ann", "entry": "../../x"}', "entry"),
        ("decide", b'{"reviewer": "Ann", "entry": "12345678", "id": "choice", '
                   b'"action": "drop", "seconds": 1}', "action"),
        ("decide", b'{"reviewer": "Ann", "entry": "12345678", "id": "choice", '
                   b'"action": "accept", "seconds": -1}', "seconds"),
        ("decide", b'{"reviewer": "Ann", "entry": "12345678", "id": "choice", '
                   b'"action": "reject", "seconds": 1}', "reason"),
        ("decide", b'{"reviewer": "Ann", "entry": "12345678", "id": "nowhere", '
                   b'"action": "accept", "seconds": 1}', "not under review"),
    ],
)  # fmt: skip
def test_what_is_no_request_is_refused_by_name(
    guarded: Site, path: str, body: bytes, problem: str
) -> None:
    status, _, said = guarded.ask(f"/api/{path}", body)
    assert status == 422
    assert re.search(problem, json.loads(said)["problem"])


def test_a_body_beyond_the_limit_is_refused(guarded: Site) -> None:
    body = json.dumps({"reviewer": "Ann", "have": ["x" * 2_000_000]}).encode()
    assert guarded.ask("/api/next", body)[0] == 413


def test_pictures_are_sent_as_pictures_and_nothing_else_is_sent(guarded: Site) -> None:
    status, headers, body = guarded.ask("/api/image/plain0")
    assert (status, headers["Content-Type"], body) == (200, "image/jpeg", flat(0))
    assert headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert guarded.ask("/api/image/hostile")[0] == 404  # an SVG, which may hold scripts
    stream = io.BytesIO()
    Image.new("RGB", (3, 2), "red").save(stream, "TIFF")
    data, kind = _for_browsers(stream.getvalue())
    assert kind == "png"
    assert Image.open(io.BytesIO(data)).size == (3, 2)
    for bad in (b"", b"<html>", b"<svg/>", b"II*\0junk"):
        with pytest.raises(ImageError):
            _for_browsers(bad)


def test_ctrl_c_ends_it_and_says_how_far_it_got(site: Site) -> None:
    said = site.end()
    assert f"0 of {ROWS} rows are done" in said
    assert site.code == 0


def test_nothing_to_review_and_a_taken_port_are_said(guarded: Site, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the plan picks no row"):
        serve([], ReviewPlan(), tmp_path, open_browser=False)
    with pytest.raises(InputError, match=f"port {guarded.port}: Address already in use"):
        serve([plain(1)], ReviewPlan(), tmp_path, port=guarded.port, open_browser=False)


# --- At work in Chromium ------------------------------------------------------------------------

in_chromium = pytest.mark.skipif(
    CHROMIUM is None or importlib.util.find_spec("playwright") is None,
    reason="needs Chromium (apt-get install chromium) and playwright",
)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


class Person:
    """Somebody at the page: sees the question, presses keys."""

    def __init__(self, context: Any, site: Site, name: str | None) -> None:
        self.context = context
        self.site = site
        self.troubles: list[str] = []
        self.asked: list[str] = []
        self.open()
        if name is not None:
            self.page.wait_for_selector("dialog#name[open]")
            self.page.keyboard.type(name)
            self.press("Enter")
        self.page.wait_for_selector("h2")

    def open(self) -> None:
        """Open the printed address in a new page."""
        self.page = self.context.new_page()
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("console", self._heard)
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(self.site.address)

    def _heard(self, message: Any) -> None:
        no_picture = message.location["url"].endswith("/api/image/hostile")
        if message.type == "error" and not no_picture:
            self.troubles.append(message.text)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    @property
    def question(self) -> str:
        """What is asked; '' when nothing is left."""
        found = self.page.locator("h2.question")
        return str(found.first.inner_text()) if found.count() else ""

    def decide(self, *keys: str) -> None:
        """Press the keys and wait for another row, or for the end."""
        before = self.question
        self.press(*keys)
        self.page.wait_for_function(
            "before => { const h = document.querySelector('#row h2');"
            " return h && h.textContent !== before; }",
            arg=before,
        )

    def find(self, text: str) -> None:
        """Skip rows until the question holds the text; skipped ones come back once."""
        for _ in range(2 * ROWS):
            if text in self.question:
                return
            if self.question:
                self.decide("s")
            else:
                self.press("Enter")
                self.page.wait_for_selector("h2.question")
        raise AssertionError(f"no row asks '{text}'")

    def saved(self) -> None:
        """Wait until the server has everything."""
        self.page.wait_for_function(
            "() => Object.keys(localStorage).every(n => !n.startsWith('omniloom-review-outbox'))"
        )

    def to_the_end(self, *keys: str) -> list[str]:
        """Decide all rows by the same keys; the questions."""
        asked = []
        while question := self.question:
            asked.append(question)
            self.decide(*keys)
        self.saved()
        return asked


@pytest.fixture
def person(chromium: Any, site: Site) -> Iterator[Callable[..., Person]]:
    """People, each in a browser of their own."""
    contexts = []

    def comes(name: str | None = "Ann", context: Any = None) -> Person:
        if context is None:
            context = chromium.new_context(viewport={"width": 1280, "height": 800})
            context.set_default_timeout(15_000)
            contexts.append(context)
        return Person(context, site, name)

    yield comes
    for context in contexts:
        context.close()


@in_chromium
def test_rows_are_accepted_edited_rejected_and_undone_by_keyboard(
    site: Site, person: Callable[..., Person]
) -> None:
    ann = person("Ann")
    ann.find("saucer")
    assert ann.page.locator(".options .right").inner_text().split() == [
        "B",
        "a",
        "spoon",
        "✓",
        "answer",
    ]
    ann.press("e")
    ann.page.keyboard.type(" Look well.")
    ann.press("Tab", "Control+A")
    ann.page.keyboard.type("a rusk")
    ann.press("Tab", "ArrowDown")  # from the right option's mark to the next one's
    ann.decide("Control+Enter")
    ann.find("animal")
    ann.press("r")
    ann.page.wait_for_selector("dialog#reject[open]")
    ann.decide("2")
    ann.find("picture 1")
    ann.decide("a")
    ann.press("u")
    ann.page.wait_for_function(
        "() => document.querySelector('h2').textContent.includes('picture 1')"
    )
    ann.press("e")
    ann.page.keyboard.type("dropped")
    ann.press("Escape")
    assert ann.question == "What colour is picture 1?"
    ann.press("r", "Escape")
    ann.decide("r", "6")
    ann.saved()
    reviews = read_reviews(site.folder)
    edited = reviews.outcome("choice")
    assert edited is not None
    assert edited.turns is not None
    assert edited.status == "edited"
    assert edited.turns[0].question == "What lies on the saucer beside the cup? Look well."
    assert (edited.turns[0].answer, edited.options) == ("C", ("a rusk", *SHOWN[0].options[1:]))
    latest = {d.instruction_id: d for d in reviews.decisions if d.action != "skip"}
    reasons = list(REASONS)
    assert (latest["rounds"].action, latest["rounds"].reason) == ("reject", reasons[1])
    assert (latest["plain1"].action, latest["plain1"].reason) == ("reject", reasons[5])
    assert [d.action for d in reviews.decisions if d.instruction_id == "plain1"][-3:] == [
        "accept", "undo", "reject",
    ]  # fmt: skip
    assert all(d.seconds < 30 for d in reviews.decisions)
    assert not ann.troubles


@in_chromium
def test_a_chinese_row_is_shown_as_chinese_and_edited(
    site: Site, person: Callable[..., Person]
) -> None:
    ann = person("李雷")
    ann.find("宇航员")
    assert ann.page.locator("h2.question").get_attribute("lang") == "zh-Hans"
    assert ann.page.locator(".answer").inner_text() == "是"
    ann.press("c", "o")
    assert "照片中一位宇航员" in ann.page.locator("#captions").inner_text()
    assert "EILEEN" in ann.page.locator("#ocr").inner_text()
    ann.press("e", "Control+A")
    ann.page.keyboard.insert_text("图中有猫吗？")
    ann.press("Tab", "ArrowDown")
    ann.decide("Control+Enter")
    ann.saved()
    outcome = read_reviews(site.folder).outcome("chinese")
    assert outcome is not None
    assert outcome.turns is not None
    assert (outcome.turns[0].question, outcome.turns[0].answer) == ("图中有猫吗？", "否")
    assert {d.reviewer for d in site.decisions} == {"李雷"}


@in_chromium
def test_two_people_at_once_never_see_the_same_row(
    site: Site, person: Callable[..., Person]
) -> None:
    ann, bob = person("Ann"), person("Bob")
    seen: list[str] = []
    while ann.question or bob.question:
        assert ann.question != bob.question
        for one in (ann, bob):
            if one.question:
                seen.append(one.question)
                one.decide("a")
    ann.saved()
    bob.saved()
    counts = Counter(d.instruction_id for d in site.decisions)
    assert len(counts) == ROWS
    assert set(counts.values()) == {1}
    assert len(seen) == len(set(seen)) == ROWS
    assert {d.reviewer for d in site.decisions} == {"Ann", "Bob"}


@in_chromium
def test_second_opinions_reach_the_other_person_while_both_work(
    site: Site, person: Callable[..., Person]
) -> None:
    site.end()
    site.share = "1"
    site.start()
    ann, bob = person("Ann"), person("Bob")
    ann.to_the_end("a")
    bob.to_the_end("a")
    # What Bob held while Ann worked had no opinion yet; now it comes to her without a key.
    while len(site.decisions) < 2 * ROWS:
        ann.page.wait_for_selector("h2.question")
        ann.to_the_end("a")
    roles = Counter((d.instruction_id, d.role) for d in site.decisions)
    assert set(roles.values()) == {1}
    assert Counter(role for _, role in roles) == {"first": ROWS, "second": ROWS}
    ann.press("p")
    ann.page.wait_for_selector("dialog#figures[open]")
    assert f"judged {ROWS} rows: 100%" in ann.page.locator("#figures").inner_text()


@in_chromium
def test_a_browser_that_is_closed_in_the_middle_loses_and_doubles_nothing(
    site: Site, person: Callable[..., Person]
) -> None:
    ann = person("Ann")
    done = []
    for _ in range(3):
        done.append(ann.question)
        ann.decide("a")
    half_done = ann.question
    ann.press("e")
    ann.page.keyboard.type("half a thought")
    ann.saved()
    ann.context.close()
    again = person("Ann")
    assert again.question == half_done  # at once, as it was before
    rest = again.to_the_end("a")
    assert len(done) + len(rest) == len({*done, *rest}) == ROWS
    counts = Counter(d.instruction_id for d in site.decisions)
    assert (len(counts), set(counts.values())) == (ROWS, {1})
    assert {d.action for d in site.decisions} == {"accept"}


@in_chromium
def test_a_page_that_is_closed_gives_its_rows_to_others_at_once(
    site: Site, person: Callable[..., Person]
) -> None:
    ann = person("Ann")
    first = ann.question
    bob = person("Bob")
    assert bob.question != first
    ann.page.goto("about:blank")
    assert first in bob.to_the_end("a")


@in_chromium
def test_a_server_that_is_killed_loses_nothing_that_people_decided(
    site: Site, person: Callable[..., Person]
) -> None:
    ann = person("Ann")
    for _ in range(2):
        ann.decide("a")
    ann.page.wait_for_load_state("networkidle")
    ann.saved()
    site.end(signal.SIGKILL)
    while_away = ann.question
    ann.decide("r", "1")  # the next row was there already
    assert ann.question != while_away
    ann.page.wait_for_function(
        "() => document.querySelector('#saved').textContent.includes('1 decision not')"
    )
    assert len(site.decisions) == 2
    site.start()
    ann.page.close()
    later = Person(ann.context, site, None)  # the name is known; the address is the new one
    later.to_the_end("a")
    later.saved()
    counts = Counter(d.instruction_id for d in site.decisions)
    assert (len(counts), set(counts.values())) == (ROWS, {1})
    assert Counter(d.action for d in site.decisions) == {"accept": ROWS - 1, "reject": 1}


@in_chromium
def test_a_decision_whose_answer_was_lost_counts_once(
    site: Site, person: Callable[..., Person]
) -> None:
    ann = person("Ann")
    lost: list[str] = []

    def lose(route: Any) -> None:
        if not lost:
            lost.append(route.fetch().text())  # it reached the server, the answer is lost
            route.abort()
        else:
            route.continue_()

    ann.page.route("**/api/decide", lose)
    ann.decide("a")
    ann.saved()
    assert len(lost) == 1
    assert len(site.decisions) == 1


@in_chromium
def test_markup_in_a_row_is_shown_as_text_and_nothing_is_fetched_from_outside(
    site: Site, person: Callable[..., Person]
) -> None:
    ann = person("Ann")
    ann.find("Hostile")
    ann.press("c", "o")
    assert ann.page.locator("#row img, #row script").count() == 0
    assert ann.page.locator(".answer").inner_text() == MARKUP
    assert MARKUP in ann.page.locator(".verdicts").inner_text()
    assert ann.page.locator("#picture").inner_text() == "The picture cannot be shown."
    ann.press("e")
    assert ann.page.locator("textarea.q").input_value() == HOSTILE.turns[0].question
    ann.press("Escape", "p")
    ann.page.wait_for_selector("dialog#figures[open]")
    assert ann.page.title() == "Review · omniloom"
    assert {re.match(r"\w+://[^/]+", url)[0] for url in ann.asked} == {  # type: ignore[index]
        f"http://127.0.0.1:{site.port}"
    }
    assert not ann.troubles


@in_chromium
def test_the_next_row_is_ready_with_its_picture_and_focus_follows(
    site: Site, person: Callable[..., Person]
) -> None:
    ann = person("Ann")
    ann.page.wait_for_load_state("networkidle")
    assert sum("/api/image/" in url for url in ann.asked) == 2
    focused = "document.activeElement.className"
    assert ann.page.evaluate(focused) == "question"
    ann.decide("a")
    assert ann.page.evaluate(focused) == "question"
    assert "Next: " in ann.page.locator("#said").text_content()
    ann.press("?")
    assert ann.page.locator("#help").is_visible()
    ann.press("a")  # no decision is made behind a dialog
    ann.press("Escape")
    assert not ann.page.locator("#help").is_visible()
    ann.find("saucer")
    ann.page.wait_for_function("() => document.querySelector('#picture img').naturalWidth > 0")
    ann.press("z")
    assert ann.page.locator("#zoomed img").bounding_box()["width"] >= 1000
    ann.press("z")
    assert not ann.page.locator("#zoom").is_visible()
    ann.press("e", "Control+A", "Delete", "Control+Enter")
    assert ann.page.locator(".trouble").inner_text() == "A question is empty."
    ann.saved()
    assert [d.action for d in site.decisions].count("accept") == 1
    unnamed = ann.page.evaluate(
        "() => [...document.querySelectorAll('button, input, textarea')].filter(e =>"
        " !(e.ariaLabel || e.textContent.trim() || e.labels?.length)).length"
    )
    assert unnamed == 0


@in_chromium
def test_skipped_rows_come_back_when_asked_for(site: Site, person: Callable[..., Person]) -> None:
    ann = person("Ann")
    skipped = ann.question
    ann.decide("s")
    ann.to_the_end("a")
    assert "You skipped 1 row." in ann.page.locator("#row").inner_text()
    ann.press("Enter")
    ann.page.wait_for_selector("h2.question")
    assert ann.question == skipped
    ann.decide("a")
    ann.saved()
    opinions = Counter(d.instruction_id for d in site.decisions if d.action == "accept")
    assert set(opinions.values()) == {1}
    assert len(opinions) == ROWS


@in_chromium
def test_a_row_is_written_by_hand_and_timed(site: Site, person: Callable[..., Person]) -> None:
    ann = person("Ann")
    before = ann.question
    ann.press("m")
    ann.page.wait_for_selector("textarea.q")
    kind = ann.page.locator(".tags").inner_text()
    ann.page.keyboard.type("What is it?")
    begun = time.monotonic()
    ann.page.wait_for_timeout(1200)
    if "multiple choice" in kind:
        pytest.fail("the row that the seed picks is of another kind")
    ann.press("Tab")
    if "judgement" in kind:
        ann.press("Space")
    else:
        for _ in range(ann.page.locator("textarea.a").count()):
            ann.page.keyboard.type("words")
            ann.press("Tab")
    ann.press("Control+Enter")
    ann.page.wait_for_selector("h2.question")
    took = time.monotonic() - begun
    ann.saved()
    assert ann.question == before
    spent = effort(read_reviews(site.folder))
    assert spent.manual_rows == 1
    assert 1.2 <= spent.manual_seconds <= took + 2
    assert spent.review_seconds == 0
