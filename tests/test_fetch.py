"""Fetching images: sites that behave badly, limits over processes, caches, columns."""

from __future__ import annotations

import asyncio
import hashlib
import io
import itertools
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from ipaddress import IPv4Address, ip_address
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from operators import http_client, robots
from operators.addresses import SPECIAL_V4, Allowed, is_public, literal
from operators.fetch import FetchImages
from operators.fetch_causes import CAUSES, may_pass
from operators.host_limits import HostGate, SharedLimits, shared_folder
from operators.http_client import Ask
from operators.media_types import IMAGES, sniffed
from schemas.errors import StorageError
from tests.fetch_cases import CASES, DEADLINE_S, Case, ask, policy, run
from tests.hostile_site import PNG, Connection, Reply, Request, Site
from tests.support import ROOT, SeaweedServer

GIF = b"GIF89a" + b"\x01" * 500


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What processes share is shared by this test's only."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as made:
        yield made


def rows(urls: Sequence[str | None], archived: bytes | None = None) -> pa.Table:
    found = [{"image_url": url, "archived_image": archived} for url in urls]
    return pa.Table.from_pylist(found, schema=FetchImages.reads)


def operator(site: Site, **fields: Any) -> FetchImages:
    own: dict[str, Any] = {
        "allow_private": (site.place,),
        "host_delay_s": 0.0,
        "backoff_s": 0.01,
        "deadline_s": 2.0,
    }
    return FetchImages(**own | fields)


def measure(made: FetchImages, table: pa.Table, *, anew: bool = False) -> pa.Table:
    """In a worker of its own; `anew` with what the cache holds being out of date."""
    if anew:
        made = made.model_copy(update={"refresh_before": datetime(2100, 1, 1, tzinfo=UTC)})
    state = made.setup()
    try:
        return made.measure(table, state)
    finally:
        state.close()


# --- What servers do ------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_a_server_cannot(case: Case) -> None:
    found = run(case)
    said = found.answer
    assert (said.status, said.cause, said.code) == (case.status, case.cause, case.code)
    assert case.least_s <= found.seconds <= case.most_s + 1  # for a busy machine
    assert said.received <= case.most_read
    assert found.requests == case.requests
    assert said.body == (PNG if said.status == "ok" else b"")


def test_what_opts_out_is_not_sent(site: Site) -> None:
    tag = (("X-Robots-Tag", "noai"),)
    url = site.on("/image", Reply(headers=tag, body=PNG * 10_000, body_wait_s=0.3))
    assert ask([url], policy(site))[0].cause == "opt_out:noai"
    time.sleep(0.5)
    assert site.sent["/image"] <= 16_384  # what a closed connection still takes: one piece


def test_a_body_beyond_the_cap_is_left_unread(site: Site) -> None:
    url = site.on("/image", Reply(body=PNG * 20_000))
    assert ask([url], policy(site))[0].cause == "too_large"
    assert site.sent["/image"] < 20_000_000


def test_cookies_are_not_kept(site: Site) -> None:
    cookie = (("Set-Cookie", "id=1; Path=/"), ("Location", "/image"))
    ask([site.on("/first", Reply(302, cookie, b""))], policy(site))
    assert [request.path for request in site.asked] == ["/robots.txt", "/first", "/image"]
    assert not any("cookie" in request.headers for request in site.asked)


def test_a_client_says_who_it_is(site: Site) -> None:
    table = measure(operator(site, contact="mailto:crawl@example.org"), rows([site.url("/a")]))
    assert table["fetch_status"].to_pylist() == ["ok"]
    agents = {request.headers["user-agent"] for request in site.asked}
    (agent,) = agents
    assert agent.startswith("omniloom/")
    assert agent.endswith(" (+mailto:crawl@example.org)")


def test_certificates_are_checked(tmp_path: Path) -> None:
    if not shutil.which("openssl"):
        pytest.skip("openssl makes the certificate")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=127.0.0.1"
    paths = ["-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "certificate")]
    subprocess.run([*command.split(), *paths], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "certificate", tmp_path / "key")
    with Site(tls=context) as site:
        answers = ask([site.url("/image")], policy(site, robots=False))
        assert [(said.status, said.cause) for said in answers] == [("failed", "tls")]
        assert site.asked == []


def test_credentials_go_nowhere(site: Site) -> None:
    hidden = site.place.replace("127", "name:secret@127")
    site.on("/a", Reply(302, (("Location", f"http://{hidden}/b"),), b""))
    urls = [f"http://{hidden}/a", "http://name:secret@[::1/", "http://name:secret@localhost/"]
    table = measure(operator(site), rows(urls))
    assert table["fetch_status"].to_pylist() == ["ok", "refused", "refused"]
    assert table["final_url"].to_pylist()[0] == site.url("/b")
    assert "secret" not in str(table.to_pylist())
    assert not any("authorization" in request.headers for request in site.asked)


# --- Which hosts may be asked ---------------------------------------------------------------------

PRIVATE = (
    "0.0.0.0 10.1.2.3 100.64.0.1 127.0.0.1 127.255.1.1 169.254.169.254 172.16.0.1 172.31.255.255 "
    "192.168.1.1 198.18.0.1 224.0.0.1 240.0.0.1 255.255.255.255 192.0.2.1 168.63.129.16 "
    ":: ::1 fe80::1 fc00::1 fd00:ec2::254 ff02::1 2001:db8::1 2001::1 64:ff9b:1::1 "
    "::ffff:127.0.0.1 ::ffff:10.0.0.1 64:ff9b::10.0.0.1 64:ff9b::a9fe:a9fe 2002:7f00:1::1 "
    "2002:c0a8:101:: ::127.0.0.1"
).split()
PUBLIC = "1.1.1.1 8.8.8.8 172.32.0.1 2606:4700::1111 ::ffff:8.8.8.8 64:ff9b::808:808".split()


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_is_not_public(address: str) -> None:
    assert not is_public(ip_address(address))
    host = f"[{address}]" if ":" in address else address
    (said,) = ask([f"http://{host}/x.png"], policy())
    assert (said.status, said.cause, said.code) == ("refused", "private_address", None)


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_is_public(address: str) -> None:
    assert is_public(ip_address(address))


@given(st.sampled_from(SPECIAL_V4), st.integers(0), st.integers(1, 4), st.data())
def test_a_private_address_is_told_in_any_spelling(
    network: Any, seed: int, parts: int, data: st.DataObject
) -> None:
    address = IPv4Address(int(network.network_address) + seed % network.num_addresses)
    *first, last = address.packed[: parts - 1], address.packed[parts - 1 :]
    numbers = [*b"".join(first), int.from_bytes(last, "big")]
    formats = data.draw(st.lists(st.sampled_from(("{}", "0x{:x}", "0X{:X}", "0{:o}")),
                                 min_size=parts, max_size=parts))  # fmt: skip
    host = ".".join(form.format(number) for form, number in zip(formats, numbers, strict=True))
    assert literal(host) == address
    with pytest.raises(http_client._Ended, match="private_address"):
        http_client.checked(f"http://{host}/x.png", Allowed(()))


@pytest.mark.parametrize("host", ["1.2.3.4.5", "1.2.3.256", "0x", "08.1.1.1", "99999999999"])
def test_a_host_of_numbers_that_is_no_address_is_refused(host: str) -> None:
    assert ask([f"http://{host}/"], policy())[0].cause in ("bad_url", "private_address")


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        ("file:///etc/passwd", "not_http"),
        ("ftp://example.org/a.png", "not_http"),
        ("/a.png", "not_http"),
        ("", "not_http"),
        ("http:///a.png", "bad_url"),
        ("http://example.org:99999/", "bad_url"),
        ("http://[::1/", "bad_url"),
        ("http://localhost/", "private_address"),
        ("http://localhost.:80/", "private_address"),
    ],
)
def test_an_address_that_is_not_asked(url: str, cause: str) -> None:
    (said,) = ask([url], policy())
    assert (said.status, said.cause) == ("refused", cause)


def test_a_name_is_judged_by_what_it_resolves_to(site: Site) -> None:
    async def resolve(host: str) -> list[str]:
        if host == "nowhere.test":
            raise OSError("no such name")
        return ["127.0.0.1"]

    hosts = ("images.internal", "other.test", "nowhere.test")
    urls = [f"http://{host}:{site.port}/x.png" for host in hosts]
    found = ask(urls, policy(allow_private=("images.internal",), retries=0), resolve)
    assert [said.cause for said in found] == [None, "private_address", "dns"]
    assert {request.headers["host"].partition(":")[0] for request in site.asked} == {hosts[0]}


def test_a_name_that_turns_private_is_not_followed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: 127.0.0.1 stands for a public address, 127.0.0.2 for a private one."""
    monkeypatch.setattr(http_client, "is_public", lambda address: str(address) == "127.0.0.1")
    monkeypatch.setattr(http_client, "_DNS_S", 0)
    answers = itertools.chain(
        [["127.0.0.1"], ["127.0.0.2", "127.0.0.1"]], itertools.repeat(["127.0.0.2"])
    )
    asked = []

    async def resolve(host: str) -> list[str]:
        asked.append(host)
        return next(answers)

    closing = Reply(length=None)
    urls = [f"http://rebound.test:{site.port}/{number}" for number in range(3)]
    for number in range(3):
        site.on(f"/{number}", closing)
    found = ask(urls, policy(robots=False, per_host=1), resolve)
    assert [said.cause for said in found] == [None, None, "private_address"]
    assert len(asked) == 3  # what was checked is what was connected to


def test_a_private_host_is_allowed_by_name_and_port() -> None:
    allowed = Allowed(("127.0.0.1:8080", "images.internal", "[::1]:80", "Other.Test:443"))
    yes = [("127.0.0.1", 8080), ("IMAGES.internal.", 1), ("::1", 80), ("other.test", 443)]
    no = [("127.0.0.1", 80), ("localhost", 8080), ("::1", 81), ("other.test", 80)]
    assert [place in allowed for place in yes + no] == [True] * 4 + [False] * 4


@pytest.mark.parametrize("entry", ["http://x/", "a b", "x:99999", "[::1", "user@x", ""])
def test_an_allowed_host_that_is_none_is_refused(entry: str) -> None:
    with pytest.raises(ValidationError, match="is no host: write host, host:port"):
        FetchImages(allow_private=(entry,))


# --- Politeness -----------------------------------------------------------------------------------

_FETCH = """
import sys, pyarrow as pa
from operators.fetch import FetchImages
urls, fields = sys.argv[2].split(), eval(sys.argv[1])
made = FetchImages(**fields)
table = pa.Table.from_pylist([{"image_url": url} for url in urls], schema=FetchImages.reads)
print("ready", flush=True)
sys.stdin.readline()
assert set(made.measure(table, made.setup())["fetch_status"].to_pylist()) == {"ok"}
"""


def _process(site: Site, urls: list[str], **fields: Any) -> subprocess.Popen[str]:
    given = {"allow_private": [site.place], "deadline_s": 30} | fields
    command = [sys.executable, "-c", _FETCH, repr(given), " ".join(urls)]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def _go(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()


def _images(site: Site, count: int, start: int = 0, **reply: Any) -> list[str]:
    return [site.on(f"/{n}", Reply(**reply)) for n in range(start, start + count)]


def test_requests_at_once_to_a_host_are_limited_over_processes(site: Site) -> None:
    urls = _images(site, 40, wait_s=0.03)
    fields = {"per_host": 3, "host_delay_s": 0.0, "robots": False}
    processes = [_process(site, urls[at::2], **fields) for at in range(2)]
    _go(*processes)
    for process in processes:
        process.communicate(timeout=30)
    assert [process.returncode for process in processes] == [0, 0]
    assert len(site.asked) == 40
    assert site.most_at_once == 3


def test_the_pace_of_a_host_is_held_over_processes(site: Site) -> None:
    urls = _images(site, 16)
    fields = {"per_host": 4, "host_delay_s": 0.05, "robots": False}
    processes = [_process(site, urls[at::2], **fields) for at in range(2)]
    _go(*processes)
    for process in processes:
        process.communicate(timeout=30)
    moments = sorted(request.at for request in site.asked)
    assert len(moments) == 16
    assert moments[-1] - moments[0] >= 15 * 0.05 - 0.03


def test_a_killed_process_gives_its_places_back(site: Site) -> None:
    _images(site, 1, wait_s=60)
    process = _process(site, [site.url("/0")], per_host=1, robots=False)
    _go(process)
    while not site.asked:
        time.sleep(0.01)
    limits = SharedLimits(shared_folder())
    host = HostGate(limits, site.place, 1, 0)._host
    assert not limits.take(host, 0)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert limits.take(host, 0)
    limits.close()


def test_clients_of_one_process_share_limits_too(tmp_path: Path) -> None:
    one, other = SharedLimits(tmp_path), SharedLimits(tmp_path)
    assert one.take(7, 0)
    assert not one.take(7, 0)
    assert not other.take(7, 0)
    assert other.take(7, 1)
    assert other.take(8, 0)
    one.close()  # as the kernel does for a process that ends
    assert other.take(7, 0)
    other.close()


def test_starts_are_reserved_one_after_the_other(tmp_path: Path) -> None:
    one, other = SharedLimits(tmp_path), SharedLimits(tmp_path)
    waits = [limits.reserve(7, 10.0) for limits in (one, other, one)]
    assert waits == pytest.approx([0, 10, 20], abs=0.5)
    assert one.reserve(8, 10.0) == 0
    assert one.pause(9, 5.0)
    assert other.reserve(9, 0.0) == pytest.approx(5, abs=0.5)
    one.close()
    other.close()


def test_locks_of_processes_serve_where_there_are_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("operators.host_limits._OPEN_FILE_LOCK", None)
    limits = SharedLimits(tmp_path)
    assert limits.take(7, 0)
    program = (
        "import operators.host_limits as h, pathlib, sys; h._OPEN_FILE_LOCK = None;"
        "l = h.SharedLimits(pathlib.Path(sys.argv[1])); print(l.take(7, 0), l.take(7, 1))"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout == "False True\n"
    limits.give_back(7, 0)
    limits.close()


def test_a_waiting_request_leaves_no_place_taken_when_it_is_cancelled(tmp_path: Path) -> None:
    async def enter_and_give_up() -> None:
        shared = SharedLimits(tmp_path)
        gate = HostGate(shared, "example.org", 1, 60.0)
        async with gate.turn():
            pass
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05), gate.turn():
                raise AssertionError("a minute is not over")
        gate.delay = 0
        await gate.pause(0)
        assert shared.take(gate._host, 0)
        shared.close()

    asyncio.run(enter_and_give_up())


def test_a_folder_of_somebody_else_is_not_used(tmp_path: Path) -> None:
    folder = shared_folder()
    assert folder.parent == tmp_path
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.rmdir()
    folder.symlink_to(tmp_path)
    with pytest.raises(StorageError, match="fix: set TMPDIR"):
        shared_folder()


def test_a_crawl_delay_is_respected_up_to_a_cap(site: Site) -> None:
    site.on("/robots.txt", Reply(body=b"User-agent: *\nCrawl-delay: 0.15"))
    ask(_images(site, 4), policy(site))
    moments = sorted(request.at for request in site.asked if request.path != "/robots.txt")
    assert moments[-1] - moments[0] >= 3 * 0.15 - 0.05
    assert site.count("/robots.txt") == 1
    started = time.monotonic()
    ask(_images(site, 4), policy(site, max_crawl_delay_s=0.0))
    assert time.monotonic() - started < 3 * 0.15


def test_a_host_that_asks_to_wait_is_left_alone_by_all(site: Site) -> None:
    busy = Reply(429, (("Retry-After", "1"),), b"")
    site.on("/busy", busy, Reply())
    urls = [site.url("/busy"), *_images(site, 3, wait_s=0.1)]
    found = ask(urls, policy(site, per_host=1, deadline_s=5.0))
    assert [said.status for said in found] == ["ok"] * 4
    first = next(request.at for request in site.asked if request.path == "/busy")
    later = [request.at for request in site.asked if request.at > first]
    assert min(later) - first >= 0.9


def test_robots_txt_is_asked_once_and_decides_by_path(site: Site) -> None:
    site.on(
        "/rules", Reply(body=b"User-agent: *\nDisallow: /secret\nUser-agent: omniloom\nAllow: /")
    )
    site.on("/robots.txt", Reply(301, (("Location", "/rules"),), b""))
    found = ask([site.url(f"/secret/{n}") for n in range(5)], policy(site))
    assert {said.status for said in found} == {"ok"}
    assert site.count("/robots.txt") == 1
    assert site.count("/rules") == 1


def test_without_robots_it_is_not_asked(site: Site) -> None:
    site.on("/robots.txt", Reply(body=b"User-agent: *\nDisallow: /"))
    assert ask([site.url("/a")], policy(site, robots=False))[0].status == "ok"
    assert site.count("/robots.txt") == 0


@pytest.mark.parametrize(
    ("status", "body", "refusal"),
    [
        (200, b"User-agent: *\nDisallow: /", "robots"),
        (200, b"User-agent: *\nDisallow: /\nUser-agent: OmniLoom\nDisallow: /b", None),
        (200, b"User-agent: otherbot\nDisallow: /", None),
        (200, b"User-agent: otherbot\nUser-agent: *\nDisallow: /a*.png$", "robots"),
        (200, b"\xff\xfe\x00 no text", None),
        (200, b"", None),
        (204, b"", None),
        (403, b"", None),
        (404, b"", None),
        (429, b"", "robots_unreachable"),
        (500, b"", "robots_unreachable"),
        (302, b"", "robots_unreachable"),
        (None, b"", "robots_unreachable"),
    ],
)
def test_rules_of_a_site(status: int | None, body: bytes, refusal: str | None) -> None:
    rules = robots.rules_from(status, body, "omniloom")
    assert rules.refusal("http://example.org/a/b.png") == refusal


@given(
    st.lists(st.sampled_from(("user-agent: *", "disallow:", "allow: /", "crawl-delay: -1e999",
    "crawl-delay: nan", "request-rate: 1/0", "visit-time: 9", "disallow: /%zz*$*", "host:", "\0"))
    | st.text(max_size=20)),
    st.text(max_size=20),
)  # fmt: skip
def test_any_robots_txt_is_read(lines: list[str], path: str) -> None:
    body = "\n".join(lines).encode("utf-8", "surrogatepass")
    rules = robots.rules_from(200, body, "omniloom")
    assert rules.refusal(f"http://example.org/{path}") in (None, "robots")
    assert rules.crawl_delay >= 0


@given(st.text(max_size=40) | st.from_regex(r"https?://[^/]{0,20}[/?#@:\\\[].{0,10}"))
def test_any_address_is_asked_for_or_refused(url: str) -> None:
    try:
        found = http_client.checked(url, Allowed(()))
    except http_client._Ended:
        return
    assert found.scheme in ("http", "https")
    assert found.raw_host
    assert found.raw_user is None
    assert "#" not in str(found)


@given(st.text(max_size=30))
def test_any_retry_after_is_read(text: str) -> None:
    seconds = http_client.retry_after_s(text)
    assert seconds is None or seconds >= 0


@pytest.mark.parametrize("separator", ["\n", "\r", "\x0b", "\u2028"])
def test_thousands_of_agents_before_thousands_of_rules_cost_little(separator: str) -> None:
    agents = separator.join(f"User-agent: a{n}" for n in range(4_000))
    rules = separator.join(f"Disallow: /*{n}*x*$" for n in range(4_000))
    text = separator.join((agents, "User-agent: *", rules)).encode()
    started = time.process_time()
    found = robots.rules_from(200, text, "omniloom").refusal(f"http://e.org/{'x' * 2000}")
    assert found is None
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    ("tags", "directives"),
    [
        (["noai, noimageai"], ("noai", "noimageai")),
        (["NoAI"], ("noai",)),
        (["omniloom: noai, noindex"], ("noai", "noindex")),
        (["otherbot: noai, noindex"], ()),
        (["otherbot: noindex, omniloom: noai"], ("noai",)),
        (["*: noml"], ("noml",)),
        (["unavailable_after: 25 Jun 2030 15:00:00 PST, noai"], ("unavailable_after", "noai")),
        (["max-snippet: 20", "noml"], ("max-snippet", "noml")),
        ([",, ,"], ()),
    ],
)
def test_directives_of_headers(tags: list[str], directives: tuple[str, ...]) -> None:
    assert robots.opt_outs({}, tags, "omniloom") == directives


def test_a_host_that_is_down_is_not_asked_on_and_on() -> None:
    with Site() as site:
        pass
    fields = {"robots": False, "retries": 0, "per_host": 1, "host_failures": 3}
    urls = [site.url(f"/{number}") for number in range(10)]
    found = [said.cause for said in ask(urls, policy(site, **fields))]
    assert found == ["connect"] * 3 + ["host_down"] * 7


def test_a_host_that_came_back_is_asked_again(site: Site) -> None:
    answering = False

    async def answer(request: Request, connection: Connection) -> None:
        if answering:
            await connection.send(b"HTTP/1.1 200 So\r\nContent-Length: 2016\r\n\r\n" + PNG)

    url = site.does("/image", answer)

    async def twice() -> list[str | None]:
        nonlocal answering
        client = http_client.HttpClient(
            policy(site, robots=False, retries=0, host_failures=1, host_rest_s=0.2)
        )
        try:
            causes = [(await client.fetch(Ask(url))).cause for _ in range(2)]
            answering = True
            await asyncio.sleep(0.25)
            return [*causes, (await client.fetch(Ask(url))).cause]
        finally:
            await client.close()

    assert asyncio.run(twice()) == ["disconnected", "host_down", None]


def test_requests_at_once_are_limited_over_hosts(site: Site) -> None:
    async def resolve(host: str) -> list[str]:
        return ["127.0.0.1"]

    hosts = [f"h{n}.test" for n in range(20)]
    for n in range(20):
        site.on(f"/{n}", Reply(wait_s=0.02))
    urls = [f"http://{host}:{site.port}/{n}" for n, host in enumerate(hosts)]
    asked = policy(allow_private=hosts, robots=False, concurrency=4)
    assert {said.status for said in ask(urls, asked, resolve)} == {"ok"}
    assert site.most_at_once == 4


# --- What bytes are -------------------------------------------------------------------------------


def _encoded(form: str) -> bytes:
    sink = io.BytesIO()
    Image.new("RGB", (32, 32), "red").save(sink, "JPEG" if form == "jpeg" else form)
    return sink.getvalue()


@pytest.mark.parametrize("form", sorted(IMAGES))
def test_an_image_is_told_by_its_first_bytes(form: str) -> None:
    assert sniffed(_encoded(form)[:1024]) == form


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"", "empty"),
        (b"  \n <!doctype HTML><p>", "html"),
        (b"\xef\xbb\xbf<html>", "html"),
        (b"<?xml version='1.0'?><!-- GIF89a --><svg>", "svg"),
        (b"<?xml version='1.0'?><rss>", "xml"),
        (b'{"error": 1}', "json"),
        (b"Not found", "text"),
        (b"BM is a text", "text"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42", "mp4"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1", "heic"),
        (b"%PDF-1.7", "pdf"),
        (b"\x01\x02\x03", "unknown"),
    ],
)
def test_other_bytes_are_told(head: bytes, kind: str) -> None:
    assert sniffed(head) == kind


@given(st.binary(max_size=64))
def test_any_bytes_are_told_as_something(head: bytes) -> None:
    assert sniffed(head)


# --- Columns --------------------------------------------------------------------------------------


def test_every_column_of_an_image_that_came(site: Site) -> None:
    validators = (("ETag", '"v1"'), ("Last-Modified", "Sat, 21 Nov 2026 10:00:00 GMT"))
    site.on("/a", Reply(302, (("Location", "/b"),), b""))
    site.on("/b", Reply(headers=validators))
    (row,) = measure(operator(site), rows([site.url("/a")])).to_pylist()
    assert abs(row.pop("fetched_at").timestamp() - time.time()) < 60
    assert row == {
        "fetch_status": "ok",
        "fetch_cause": None,
        "fetch_from": "http",
        "http_status": 200,
        "final_url": site.url("/b"),
        "etag": '"v1"',
        "last_modified": "Sat, 21 Nov 2026 10:00:00 GMT",
        "image_bytes": len(PNG),
        "image_sha256": hashlib.sha256(PNG).hexdigest(),
        "image_data": PNG,
    }


def test_headers_that_cannot_be_kept_are_left_out(site: Site) -> None:
    site.on("/a", Reply(headers=(("ETag", "caf\xe9"), ("Last-Modified", "x" * 600))))
    (row,) = measure(operator(site), rows([site.url("/a")])).to_pylist()
    assert (row["fetch_status"], row["etag"], row["last_modified"]) == ("ok", None, None)


def test_an_address_is_asked_once_a_batch(site: Site) -> None:
    urls = [site.url("/a"), site.url("/a#top"), None, site.url("/a")]
    table = measure(operator(site), rows(urls))
    assert table["fetch_status"].to_pylist() == ["ok", "ok", None, "ok"]
    assert site.count("/a") == 1


def test_what_inputs_hold_is_not_asked_for(site: Site) -> None:
    table = measure(operator(site), rows([site.url("/a"), "no address"], archived=GIF))
    assert table["fetch_from"].to_pylist() == ["archive", "archive"]
    assert table["image_data"].to_pylist() == [GIF, GIF]
    assert site.asked == []


def test_what_inputs_hold_is_judged_like_what_comes() -> None:
    made = FetchImages(http=False, max_bytes=1000)
    for body, cause in ((b"<html>", "not_an_image:html"), (GIF * 9, "too_large")):
        (row,) = measure(made, rows(["http://a.test/"], archived=body)).to_pylist()
        assert (row["fetch_status"], row["fetch_cause"]) == ("refused", cause)
        assert row["image_data"] is None


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        ("data:image/gif;base64,R0lGODlhAQABAAAAACw=", None),
        ("data:image/gif;base64,R0lGODlhAQABAAAAACw", None),
        ("DATA:image/gif;base64,R0lG%4FDlhAQABAAAAACw%3D", None),
        ("data:,GIF89a%00", None),
        ("data:image/png;base64,AAAA", "not_an_image:unknown"),
        ("data:image/jp2;base64,AAAA", "not_an_image:image/jp2"),
        ("data:;base64,AAAA", "not_an_image:unknown"),
        ("data:image/svg+xml,<svg/>", "not_an_image:svg"),
        ("data:image/gif;base64,A", "bad_url"),
        ("data:image/gif;base64," + "R0lG" * 1000, "too_large"),
        ("data:image/gif", "not_http"),
    ],
)
def test_an_address_that_holds_its_image(url: str, cause: str | None) -> None:
    (row,) = measure(FetchImages(max_bytes=500), rows([url])).to_pylist()
    assert row["fetch_cause"] == cause
    if cause is None:
        assert row["fetch_from"] == "inline"
        assert row["image_data"].startswith(b"GIF89a")


def test_without_http_nothing_is_asked(site: Site) -> None:
    (row,) = measure(operator(site, http=False), rows([site.url("/a")])).to_pylist()
    assert (row["fetch_status"], row["fetch_cause"]) == ("refused", "offline")
    assert site.asked == []


def test_rows_that_may_end_otherwise_are_told(site: Site) -> None:
    urls = [
        site.url("/a"),
        site.on("/b", Reply(500, body=b"")),
        site.on("/c", Reply(404, body=b"")),
        site.on("/d", Reply(body=b"<html>")),
        "http://localhost/",
    ]
    made = operator(site, retries=0)
    table = measure(made, rows([*urls, None]))
    assert made.retryable(table).to_pylist() == [False, True, False, False, False, False]


def test_every_cause_is_known_and_documented() -> None:
    text = (ROOT / "docs" / "fetching.md").read_text("utf-8")
    for cause in CAUSES:
        assert f"`{cause}`" in text, cause
    known = {cause.partition("…")[0] for cause in CAUSES}
    for case in CASES:
        assert case.cause is None or any(case.cause.startswith(start) for start in known)
    for name in FetchImages.model_fields:
        assert f"`{name}`" in text, name
    assert may_pass("http_503")
    assert not may_pass("http_410")
    assert not may_pass("robots")
    assert not may_pass(None)


def test_the_way_there_does_not_decide_the_values() -> None:
    way = FetchImages(contact="me", cache="x", retries=9, per_host=1, deadline_s=1.0)
    assert way.deciding_config() == FetchImages().deciding_config()
    assert FetchImages(respect=()).deciding_config() != FetchImages().deciding_config()


@pytest.mark.parametrize("contact", ["a\nb", "(x)", "café"])
def test_a_contact_that_is_no_header_is_refused(contact: str) -> None:
    with pytest.raises(ValidationError, match="plain ASCII without brackets"):
        FetchImages(contact=contact)


def test_a_batch_is_measured_while_an_event_loop_runs(site: Site) -> None:
    async def in_a_notebook() -> pa.Table:
        return measure(operator(site), rows([site.url("/a")]))

    assert asyncio.run(in_a_notebook())["fetch_status"].to_pylist() == ["ok"]


def test_connections_are_kept_from_batch_to_batch(site: Site) -> None:
    made = operator(site)
    state = made.setup()
    for number in range(3):
        made.measure(rows([site.url(f"/{number}")]), state)
    assert site.count("/robots.txt") == 1
    state.close()


def test_the_client_is_loaded_when_it_is_needed() -> None:
    program = "import sys, operators.registry; print({'aiohttp', 'protego'} & {*sys.modules})"
    command = [sys.executable, "-c", program]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout == "set()\n"


# --- Cache, and asking anew -----------------------------------------------------------------------


def _versioned(site: Site, tag: str) -> str:
    """An image that says 304 to whoever knows its version."""

    async def answer(request: Request, connection: Connection) -> None:
        if request.headers.get("if-none-match") == tag:
            await connection.send(b"HTTP/1.1 304 So\r\n\r\n")
        else:
            head = f"HTTP/1.1 200 So\r\nETag: {tag}\r\nContent-Length: {len(PNG)}\r\n\r\n"
            await connection.send(head.encode() + PNG)

    return site.does("/image", answer)


def test_what_was_fetched_is_kept_for_other_jobs(site: Site, tmp_path: Path) -> None:
    made = operator(site, cache=str(tmp_path / "cache"))
    table = rows([_versioned(site, '"1"'), site.on("/gone", Reply(404, body=b""))])
    first, second = measure(made, table), measure(made, table)
    assert first["fetch_from"].to_pylist() == ["http", "http"]
    assert second["fetch_from"].to_pylist() == ["cache", "http"]
    same = [name for name in first.column_names if name != "fetch_from"]
    assert first.select(same).slice(0, 1) == second.select(same).slice(0, 1)
    assert (site.count("/image"), site.count("/gone")) == (1, 2)


def test_a_damaged_file_of_the_cache_is_fetched_again(site: Site, tmp_path: Path) -> None:
    made = operator(site, cache=str(tmp_path / "cache"))
    table = rows([site.url("/a")])
    for damage in (b"", b"{}", b"7", b"x" * 9000, None):
        assert measure(made, table)["image_data"].to_pylist() == [PNG]
        (path,) = (path for path in (tmp_path / "cache").rglob("*") if path.is_file())
        path.write_bytes(path.read_bytes()[:-1] if damage is None else damage)
    assert site.count("/a") == 5


def test_a_cache_does_not_hide_what_sites_ask(site: Site, tmp_path: Path) -> None:
    url = site.on("/a", Reply(headers=(("X-Robots-Tag", "noai"),)))
    fields = {"cache": str(tmp_path / "cache")}
    assert measure(operator(site, respect=(), **fields), rows([url]))["image_data"].to_pylist()
    (row,) = measure(operator(site, **fields), rows([url])).to_pylist()
    assert (row["fetch_cause"], row["fetch_from"]) == ("opt_out:noai", "cache")
    assert row["image_data"] is None
    site.on("/robots.txt", Reply(body=b"User-agent: *\nDisallow: /"))
    careless = operator(site, robots=False, **fields)
    assert measure(careless, rows([site.url("/b")]))["fetch_status"].to_pylist() == ["ok"]
    assert (
        measure(operator(site, **fields), rows([site.url("/b")]))["fetch_cause"][0].as_py()
        == "robots"
    )


def test_a_cache_on_s3(site: Site, s3: SeaweedServer) -> None:
    made = operator(site, cache="s3://corpus/fetched")
    for origin in ("http", "cache"):
        (row,) = measure(made, rows([site.url("/a")])).to_pylist()
        assert (row["fetch_from"], row["image_data"]) == (origin, PNG)


def test_a_cache_that_cannot_be_written_stops_the_run(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises((StorageError, OSError)):
        measure(operator(site, cache=str(tmp_path / "file")), rows([site.url("/a")]))


def test_asking_anew_keeps_what_has_not_changed(site: Site, tmp_path: Path) -> None:
    made = operator(site, cache=str(tmp_path / "cache"))
    table = rows([_versioned(site, '"1"')])
    first = measure(made, table)
    again = measure(made, table, anew=True)
    assert again["http_status"].to_pylist() == [304]
    assert again["image_data"] == first["image_data"]
    assert again["image_sha256"] == first["image_sha256"]
    assert site.count("/image") == 2
    _versioned(site, '"2"')
    assert measure(made, table)["etag"].to_pylist() == ['"1"']
    assert measure(made, table, anew=True)["etag"].to_pylist() == ['"2"']
    since = made.model_copy(update={"refresh_before": datetime(2020, 1, 1, tzinfo=UTC)})
    assert measure(since, table)["fetch_from"].to_pylist() == ["cache"]


@pytest.mark.parametrize(
    ("reply", "status", "cause"),
    [
        (Reply(503, body=b""), "ok", None),
        (Reply(404, body=b""), "failed", "http_404"),
        (Reply(headers=(("X-Robots-Tag", "noai"),)), "refused", "opt_out:noai"),
    ],
)
def test_asking_anew_loses_bytes_only_for_good(
    site: Site, tmp_path: Path, reply: Reply, status: str, cause: str | None
) -> None:
    made = operator(site, retries=0, cache=str(tmp_path / "cache"))
    table = rows([site.url("/a")])
    measure(made, table)
    site.on("/a", reply)
    (row,) = measure(made, table, anew=True).to_pylist()
    assert (row["fetch_status"], row["fetch_cause"]) == (status, cause)
    assert (row["image_data"] is not None) == (status == "ok")


def test_the_deadline_is_that_of_an_image_not_of_its_host(site: Site) -> None:
    urls = _images(site, 6, wait_s=0.2)
    found = ask(urls, policy(site, per_host=1, robots=False))
    assert {said.status for said in found} == {"ok"}
    assert DEADLINE_S < 6 * 0.2
