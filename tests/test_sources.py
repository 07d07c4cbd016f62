"""Sources: what is found in WARC files, page folders and tables, and what damage costs."""

from __future__ import annotations

import gzip
import json
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from operators.sources import (
    Found,
    HtmlSource,
    Page,
    Picture,
    Skipped,
    Source,
    TableSource,
    document_id,
)
from operators.warc import WarcSource
from schemas.errors import InputError
from schemas.tables import DOCUMENTS

DATE = datetime(2024, 3, 4, 8, 0, tzinfo=UTC)


# --- Building blocks ----------------------------------------------------------------------------


def http(
    body: bytes,
    *headers: str,
    status: str = "200 OK",
    media: str | None = "text/html",
    newline: bytes = b"\r\n",
) -> bytes:
    """An HTTP response."""
    declared = [f"Content-Type: {media}"] if media else []
    lines = [f"HTTP/1.1 {status}", *declared, *headers, "", ""]
    return newline.join(line.encode() for line in lines) + body


def record(
    url: str,
    block: bytes,
    *,
    kind: str = "response",
    media: str = "application/http; msgtype=response",
    date: str = "2024-03-04T08:00:00Z",
    newline: bytes = b"\r\n",
) -> bytes:
    """A WARC record around the block."""
    lines = [
        "WARC/1.0",
        f"WARC-Type: {kind}",
        f"WARC-Target-URI: {url}",
        f"WARC-Date: {date}",
        "WARC-Record-ID: <urn:uuid:12345678-1234-1234-1234-123456789abc>",
        f"Content-Type: {media}",
        f"Content-Length: {len(block)}",
        "",
        "",
    ]
    return newline.join(line.encode() for line in lines) + block + newline * 2


def html(number: int) -> bytes:
    """A page that does not compress away."""
    noise = " ".join(str(pow(number * 31 + 7, step, 1_000_003)) for step in range(2, 90))
    return f"<html><body><p>Page {number}: {noise}</p></body></html>".encode()


def url(number: int) -> str:
    return f"http://example.org/{number}"


def pages(count: int, newline: bytes = b"\r\n") -> list[bytes]:
    """Records of `count` pages."""
    return [record(url(n), http(html(n), newline=newline), newline=newline) for n in range(count)]


def zstd(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return bytes(sink.getvalue().to_pybytes())


def chunked(body: bytes, size: int = 100, extension: bytes = b"") -> bytes:
    """The body in HTTP's chunked transfer coding."""
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    coded = b"".join(b"%x%s\r\n%s\r\n" % (len(part), extension, part) for part in parts)
    return coded + b"0\r\n\r\n"


Packing = Callable[[Sequence[bytes]], bytes]

PACKINGS: dict[str, Packing] = {
    "plain": b"".join,
    "gzip per record": lambda records: b"".join(map(gzip.compress, records)),
    "one gzip": lambda records: gzip.compress(b"".join(records)),
    "zstd per record": lambda records: b"".join(map(zstd, records)),
    "one zstd": lambda records: zstd(b"".join(records)),
}
every_packing = pytest.mark.parametrize("pack", PACKINGS.values(), ids=PACKINGS)
PER_RECORD = ("plain", "gzip per record", "zstd per record")
every_per_record_packing = pytest.mark.parametrize(
    "pack", [PACKINGS[name] for name in PER_RECORD], ids=PER_RECORD
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a test's archive goes."""
    return tmp_path / "some.warc"


def found_in(path: Path, data: bytes) -> list[Found]:
    path.write_bytes(data)
    return list(WarcSource(path=str(path)).index(str(path)))


def rows_of(found: Sequence[Found]) -> pa.Table:
    """The documents table of the pages found."""
    born = [asdict(item) for item in found if isinstance(item, Page)]
    return pa.Table.from_pylist(born, schema=DOCUMENTS.born)


def payload(source: Source, uri: Path, rows: pa.Table) -> list[dict[str, Any]]:
    """Page or error of each row."""
    table = source.payload(str(uri), rows)
    assert table.column_names == ["html", "error"]
    assert table.schema.field("html").type == pa.large_binary()
    assert table.num_rows == rows.num_rows
    results: list[dict[str, Any]] = table.to_pylist()
    assert all((row["html"] is None) == (row["error"] is not None) for row in results)
    return results


def bodies(path: Path, found: Sequence[Found]) -> dict[str, bytes | None]:
    """What `payload` returns for each page, by its address."""
    rows = rows_of(found)
    results = payload(WarcSource(path=str(path)), path, rows)
    return {u: r["html"] for u, r in zip(rows["url"].to_pylist(), results, strict=True)}


def urls(found: Sequence[Found]) -> list[str]:
    return [item.url for item in found if isinstance(item, Page)]


def skipped(found: Sequence[Found]) -> list[str]:
    return [item.reason for item in found if isinstance(item, Skipped)]


# --- WARC: whole files --------------------------------------------------------------------------


@every_packing
@pytest.mark.parametrize("newline", [b"\r\n", b"\n"], ids=["CRLF", "LF"])
def test_pages_come_back_as_they_were_written(pack: Packing, newline: bytes, path: Path) -> None:
    found = found_in(path, pack(pages(6, newline)))
    assert urls(found) == [url(n) for n in range(6)]
    assert skipped(found) == []
    assert bodies(path, found) == {url(n): html(n) for n in range(6)}


@every_packing
def test_a_slice_of_the_rows_gives_its_pages_in_order(pack: Packing, path: Path) -> None:
    info = record("", b"software: a test\r\n", kind="warcinfo", media="application/warc-fields")
    request = record(url(0), b"GET / HTTP/1.1\r\n\r\n", kind="request", media="application/http")
    css = record("http://example.org/a.css", http(b"a {}", media="text/css"))
    first, *rest = pages(6)
    found = found_in(path, pack([info, request, first, css, *rest]))
    rows = rows_of(found)
    source = WarcSource(path=str(path))
    for start, length in ((0, 6), (2, 3), (5, 1), (3, 0)):
        results = payload(source, path, rows.slice(start, length))
        assert [row["html"] for row in results] == [html(n) for n in range(start, start + length)]
    chosen = rows.take([1, 4])
    assert [row["html"] for row in payload(source, path, chosen)] == [html(1), html(4)]


@every_packing
def test_an_archive_without_records_has_no_pages(pack: Packing, path: Path) -> None:
    found = found_in(path, pack([]))
    assert urls(found) == []
    assert payload(WarcSource(path=str(path)), path, rows_of(found)) == []


def test_a_page_row_says_where_it_comes_from(path: Path) -> None:
    record_ = record("http://Example.ORG:80/a?b=c", http(html(1), media="text/html; charset=GBK"))
    (page,) = found_in(path, record_)
    assert isinstance(page, Page)
    assert page.url == "http://Example.ORG:80/a?b=c"
    assert page.domain == "example.org"
    assert (page.source_file, page.source_offset, page.source_record) == ("some.warc", 0, 0)
    assert page.capture_date == DATE
    assert page.payload_bytes == len(html(1))
    assert len(bytes.fromhex(page.payload_digest)) == 16


@pytest.mark.parametrize("pack", [PACKINGS["plain"], PACKINGS["gzip per record"]])
def test_offsets_are_those_of_the_records(pack: Packing, path: Path) -> None:
    records = pages(4)
    found = found_in(path, pack(records))
    starts = [len(pack(records[:n])) for n in range(4)]
    assert rows_of(found)["source_offset"].to_pylist() == starts


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        ("2024-03-04T08:00:00Z", DATE),
        ("2024-03-04T08:00:00.987654Z", DATE),
        ("2024-03-04T09:00:00+01:00", DATE),
        ("", None),
        ("yesterday", None),
    ],
)
def test_capture_dates_are_whole_seconds_in_utc(
    date: str, expected: datetime | None, path: Path
) -> None:
    (page,) = found_in(path, record(url(1), http(html(1)), date=date))
    assert isinstance(page, Page)
    assert page.capture_date == expected


@pytest.mark.parametrize(
    ("address", "domain"),
    [
        ("<http://example.org/a>", "example.org"),
        ("http://[::1/a", None),
        ("http://example.org:port/", "example.org"),
        ("http://example.org/ä", "example.org"),
        ("", None),
        ("urn:isbn:1", None),
    ],
)
def test_odd_addresses_do_not_cost_the_page(address: str, domain: str | None, path: Path) -> None:
    (page,) = found_in(path, record(address, http(html(1))))
    assert isinstance(page, Page)
    assert page.url == address.strip("<>")
    assert page.domain == domain


@pytest.mark.parametrize(
    ("media", "charset"),
    [
        ("text/html", None),
        ("text/html; charset=GB18030", "gb18030"),
        ("text/html;charset=windows-1251; x=y", "windows-1251"),
        ('text/html; charset="utf-8"', "utf-8"),
        ("Text/HTML; Charset=UTF-8", "utf-8"),
    ],
)
def test_the_charset_of_the_http_header_is_kept(
    media: str, charset: str | None, path: Path
) -> None:
    (page,) = found_in(path, record(url(1), http(html(1), media=media)))
    assert isinstance(page, Page)
    assert (page.http_charset or "").lower() == (charset or "")


# --- WARC: what is no page ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        (http(html(9), status="404 Not Found"), "status 404"),
        (http(b"", "Location: /x", status="301 Moved"), "status 301"),
        (http(html(9), status="206 Partial Content"), "status 206"),
        (http(b"a {}", media="text/css"), "type text/css"),
        (http(b"x", media="video/mp4"), "type video/mp4"),
        (http(b"neither", media=None), "type not declared"),
        (http(b""), "empty body"),
        (http(b"", media="image/png"), "empty body"),
    ],
)
@every_packing
def test_what_is_no_page_is_skipped_with_its_reason(
    pack: Packing, block: bytes, reason: str, path: Path
) -> None:
    before, after = pages(2)
    found = found_in(path, pack([before, record("http://example.org/no", block), after]))
    assert skipped(found) == [reason]
    assert bodies(path, found) == {url(n): html(n) for n in range(2)}


@pytest.mark.parametrize("start", [b"<!DOCTYPE html>", b" \n<html>", b"<!doctype HTML ..."])
def test_a_page_of_no_declared_type_is_known_by_its_beginning(start: bytes, path: Path) -> None:
    (page,) = found_in(path, record(url(1), http(start + b"<p>text", media=None)))
    assert isinstance(page, Page)


@every_packing
def test_images_become_pictures(pack: Packing, path: Path) -> None:
    image = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
    address = "http://example.org/a.png"
    found = found_in(
        path,
        pack(
            [
                record(address, http(image, media="image/png; x=y")),
                record(address, image, kind="resource", media="image/gif"),
                *pages(1),
            ]
        ),
    )
    first, second, page = found
    assert isinstance(first, Picture)
    assert isinstance(second, Picture)
    assert isinstance(page, Page)
    assert (first.image_url, first.image_type, first.image_bytes) == (address, "image/png", 264)
    assert second.image_type == "image/gif"
    assert first.payload_digest == second.payload_digest
    assert first.capture_date == DATE


def test_resource_records_are_pages_too(path: Path) -> None:
    found = found_in(path, record(url(1), html(1), kind="resource", media="text/html"))
    assert bodies(path, found) == {url(1): html(1)}


@pytest.mark.parametrize("kind", ["request", "metadata", "revisit", "conversion", "warcinfo"])
def test_other_record_types_are_passed_over(kind: str, path: Path) -> None:
    other = record(url(9), b"text", kind=kind, media="text/plain")
    assert urls(found_in(path, other + pages(1)[0])) == [url(0)]


# --- WARC: transfer and content coding ----------------------------------------------------------

BODY = html(7)
CHUNKED = "Transfer-Encoding: chunked"
_RAW_DEFLATE = zlib.compressobj(wbits=-15)
_FLIPPED = bytearray(gzip.compress(BODY))
for _at in range(40, 60):
    _FLIPPED[_at] ^= 0xFF

DECODED = {
    "identity": http(BODY, "Content-Encoding: identity"),
    "chunked": http(chunked(BODY), CHUNKED),
    "chunked with extensions": http(chunked(BODY, extension=b";name=value"), CHUNKED),
    "chunked without an end": http(chunked(BODY)[:-5], CHUNKED),
    "chunked in one piece": http(chunked(BODY, 100_000), CHUNKED),
    "mislabelled as chunked": http(BODY, CHUNKED),
    "gzip": http(gzip.compress(BODY), "Content-Encoding: gzip"),
    "x-gzip": http(gzip.compress(BODY), "Content-Encoding: x-gzip"),
    "mislabelled as gzip": http(BODY, "Content-Encoding: gzip"),
    "gzip, chunked": http(chunked(gzip.compress(BODY)), "Content-Encoding: gzip", CHUNKED),
    "gzip, mislabelled as chunked": http(gzip.compress(BODY), "Content-Encoding: gzip", CHUNKED),
    "deflate": http(zlib.compress(BODY), "Content-Encoding: deflate"),
    "raw deflate": http(
        _RAW_DEFLATE.compress(BODY) + _RAW_DEFLATE.flush(), "Content-Encoding: deflate"
    ),
}


@pytest.mark.parametrize("block", DECODED.values(), ids=DECODED)
@every_packing
def test_a_coded_body_is_decoded(pack: Packing, block: bytes, path: Path) -> None:
    before, after = pages(2)
    coded = record("http://example.org/coded", block)
    found = found_in(path, pack([before, coded, after]))
    assert skipped(found) == []
    assert bodies(path, found) == {
        url(0): html(0),
        "http://example.org/coded": BODY,
        url(1): html(1),
    }


@every_packing
def test_a_body_whose_gzip_coding_is_broken_is_an_error_of_its_row(
    pack: Packing, path: Path
) -> None:
    before, after = pages(2)
    broken = record(url(9), http(bytes(_FLIPPED), "Content-Encoding: gzip"))
    found = found_in(path, pack([before, broken, after]))
    assert urls(found) == [url(0), url(9), url(1)]
    first, failed, last = payload(WarcSource(path=str(path)), path, rows_of(found))
    assert (first["html"], last["html"]) == (html(0), html(1))
    assert failed["error"]["type"] == "CorruptRecord"
    assert "gzip" in failed["error"]["message"]


@every_packing
def test_a_broken_chunk_size_does_not_cost_other_pages(pack: Packing, path: Path) -> None:
    coded = chunked(BODY)
    broken = http(coded[:300] + b"zz\r\n" + coded[300:], CHUNKED)
    before, after = pages(2)
    found = found_in(path, pack([before, record(url(9), broken), after]))
    kept = bodies(path, found)
    assert (kept[url(0)], kept[url(1)]) == (html(0), html(1))


# --- WARC: damage -------------------------------------------------------------------------------


@pytest.mark.parametrize("packing", ["plain", "gzip per record", "one gzip", "zstd per record"])
def test_a_truncated_last_record_is_skipped(packing: str, path: Path) -> None:
    data = PACKINGS[packing](pages(5))
    found = found_in(path, data[: len(data) - 60])
    assert bodies(path, found) == {url(n): html(n) for n in range(4)}
    assert len(skipped(found)) == 1


def test_a_truncated_zstd_frame_keeps_nothing_but_says_so(path: Path) -> None:
    data = PACKINGS["one zstd"](pages(5))
    found = found_in(path, data[: len(data) - 60])
    assert set(bodies(path, found).items()) <= {(url(n), html(n)) for n in range(4)}
    assert skipped(found)


@pytest.mark.parametrize("keep", [30, 120, 200, 500])
def test_a_record_cut_off_anywhere_is_called_truncated(keep: int, path: Path) -> None:
    first, last = pages(2)
    found = found_in(path, first + last[:keep])
    assert urls(found) == [url(0)]
    assert all(reason.startswith(("truncated", "corrupt")) for reason in skipped(found))


def _flipped(data: bytes, start: int, length: int = 8) -> bytes:
    damaged = bytearray(data)
    for at in range(start, min(start + length, len(damaged))):
        damaged[at] ^= 0xFF
    return bytes(damaged)


@pytest.mark.parametrize("share", [0.0, 0.02, 0.2, 0.5, 0.8, 0.97])
def test_a_damaged_gzip_member_costs_its_record_only(share: float, path: Path) -> None:
    members = [gzip.compress(item) for item in pages(6)]
    members[2] = _flipped(members[2], int(len(members[2]) * share))
    found = found_in(path, b"".join(members))
    left = [0, 1, 3, 4, 5]
    assert urls(found) == [url(n) for n in left]
    assert len(skipped(found)) == 1
    assert skipped(found)[0].startswith("corrupt record")
    starts = [sum(map(len, members[:n])) for n in left]
    assert rows_of(found)["source_offset"].to_pylist() == starts
    assert bodies(path, found) == {url(n): html(n) for n in left}


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.9])
def test_a_damaged_zstd_frame_costs_its_record_only(share: float, path: Path) -> None:
    frames = [zstd(item) for item in pages(6)]
    frames[2] = _flipped(frames[2], int(len(frames[2]) * share))
    found = found_in(path, b"".join(frames))
    left = [0, 1, 3, 4, 5]
    assert [u for u in urls(found) if u != url(2)] == [url(n) for n in left]
    kept = bodies(path, found)
    assert [kept[url(n)] for n in left] == [html(n) for n in left]


def test_two_damaged_stretches_cost_two_records(path: Path) -> None:
    members = [gzip.compress(item) for item in pages(8)]
    for number in (1, 5):
        members[number] = _flipped(members[number], len(members[number]) // 2)
    found = found_in(path, b"".join(members))
    left = [0, 2, 3, 4, 6, 7]
    assert len(skipped(found)) == 2
    assert bodies(path, found) == {url(n): html(n) for n in left}


@every_per_record_packing
def test_junk_between_records_costs_no_record(pack: Packing, path: Path) -> None:
    junk = bytes((n * 37) % 251 for n in range(3_000)) + b"\r\n"
    found = found_in(path, pack(pages(3)) + junk + pack(pages(6)[3:]))
    assert urls(found) == [url(n) for n in range(6)]
    assert bodies(path, found) == {url(n): html(n) for n in range(6)}


def test_a_row_whose_record_is_gone_says_so(path: Path) -> None:
    found = found_in(path, PACKINGS["gzip per record"](pages(3)))
    rows = rows_of(found)
    path.write_bytes(PACKINGS["gzip per record"](pages(1)))
    first, *gone = payload(WarcSource(path=str(path)), path, rows)
    assert first["html"] == html(0)
    for row in gone:
        assert "StopIteration" not in row["error"]["message"]


@pytest.mark.parametrize("packing", ["one gzip", "zstd per record", "one zstd"])
def test_rows_whose_unaddressed_records_are_gone_are_errors_of_their_rows(
    packing: str, path: Path
) -> None:
    rows = rows_of(found_in(path, PACKINGS[packing](pages(4))))
    path.write_bytes(PACKINGS[packing](pages(2)))
    first, second, *gone = payload(WarcSource(path=str(path)), path, rows)
    assert (first["html"], second["html"]) == (html(0), html(1))
    assert len(gone) == 2
    assert all(row["error"] for row in gone)


Damage = list[tuple[str, float, bytes]]


@st.composite
def damages(draw: DrawFn) -> Damage:
    """Random flips, deletions and insertions, at places between 0 and 1."""
    edit = st.tuples(
        st.sampled_from(["flip", "delete", "insert"]),
        st.floats(0, 1),
        st.binary(min_size=1, max_size=40),
    )
    return draw(st.lists(edit, min_size=1, max_size=3))


def _damaged(members: list[bytes], damage: Damage) -> tuple[bytes, set[int]]:
    """The archive after the damage, and the numbers of the members that it touched."""
    parts, touched = list(members), set()
    for kind, place, noise in damage:
        number = min(int(place * len(parts)), len(parts) - 1)
        at = int((place * len(parts) - number) * len(parts[number])) % len(parts[number] or b"x")
        before, after = parts[number][:at], parts[number][at:]
        touched.add(number)
        match kind:
            case "flip":
                xored = bytes(a ^ (b or 1) for a, b in zip(after, noise, strict=False))
                parts[number] = before + xored + after[len(xored) :]
            case "delete":
                parts[number] = before + after[len(noise) :]
            case _:
                parts[number] = before + noise + after
    return b"".join(parts), touched


@given(damage=damages())
@example(damage=[("flip", 0.0, b"\0")])
@example(damage=[("insert", 0.0, b"WA")])
@example(damage=[("insert", 0.0, b"WARC/")])
@example(damage=[("insert", 0.0, b"WARC/1.0\r\n")])
@settings(
    deadline=None,
    max_examples=120,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@pytest.mark.parametrize("pack_one", [gzip.compress, zstd], ids=["gzip", "zstd"])
def test_random_damage_never_raises_and_costs_no_record_far_from_it(
    pack_one: Callable[[bytes], bytes], damage: Damage, path: Path
) -> None:
    members = [pack_one(item) for item in pages(8)]
    data, touched = _damaged(members, damage)
    found = found_in(path, data)
    kept = bodies(path, found)
    near = touched | {n + 1 for n in touched}
    for number in set(range(8)) - near:
        assert kept.get(url(number)) == html(number), number


@given(damage=damages())
@settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@pytest.mark.parametrize("packing", ["plain", "one gzip", "one zstd"])
def test_random_damage_to_other_packings_never_raises(
    packing: str, damage: Damage, path: Path
) -> None:
    data, _ = _damaged([PACKINGS[packing](pages(6))], damage)
    rows = rows_of(found_in(path, data))
    payload(WarcSource(path=str(path)), path, rows)


@given(data=st.binary(max_size=200), start=st.sampled_from([b"", b"\x1f\x8b\x08", b"WARC/1.0"]))
@settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_a_file_of_junk_never_raises(data: bytes, start: bytes, path: Path) -> None:
    found = found_in(path, start + data)
    assert urls(found) == []


# --- Inputs and identity ------------------------------------------------------------------------


def test_inputs_are_the_sorted_matches_of_a_pattern(tmp_path: Path) -> None:
    for name in ("b.warc", "a.warc", "sub/c.warc", "d.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    names = [Path(uri).name for uri in WarcSource(path=f"{tmp_path}/**/*.warc").inputs()]
    assert names == ["a.warc", "b.warc", "c.warc"]
    assert WarcSource(path=str(tmp_path / "d.txt")).inputs() == [str(tmp_path / "d.txt")]


@pytest.mark.parametrize("kind", [WarcSource, TableSource])
def test_a_pattern_that_names_nothing_is_an_input_error(kind: type[Source], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no file matches .*nothing"):
        kind(path=str(tmp_path / "nothing*")).inputs()


def test_checksum_and_size_follow_the_content(path: Path) -> None:
    source = WarcSource(path=str(path))
    path.write_bytes(b"one")
    first, size = source.checksum(str(path)), source.size_and_stamp(str(path))[0]
    path.write_bytes(b"other")
    assert source.checksum(str(path)) != first
    assert (size, source.size_and_stamp(str(path))[0]) == (3, 5)


@every_packing
def test_a_capture_has_one_id_wherever_its_file_lies(pack: Packing, tmp_path: Path) -> None:
    plain = found_in(tmp_path / "a.warc", b"".join(pages(3)))
    packed = found_in(tmp_path / "b.warc", pack([pages(9)[8], *pages(3)]))
    ids = rows_of(plain)["doc_id"].to_pylist()
    assert rows_of(packed)["doc_id"].to_pylist()[1:] == ids
    assert len(set(ids)) == 3


def test_another_address_second_or_content_is_another_capture() -> None:
    captures = [
        (url(1), DATE, "00"),
        (url(2), DATE, "00"),
        (url(1), DATE.replace(second=1), "00"),
        (url(1), None, "00"),
        (url(1), DATE, "01"),
    ]
    ids = [document_id(*capture) for capture in captures]
    assert len(set(ids)) == len(captures)
    assert all(len(bytes.fromhex(identity)) == 16 for identity in ids)
    assert document_id(*captures[0]) == ids[0]


# --- Page folders -------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pages in a folder, among other files."""
    root = tmp_path / "site"
    (root / "sub dir").mkdir(parents=True)
    (root / "b.html").write_bytes(b"<p>b")
    (root / "a.HTM").write_bytes(b"<p>a")
    (root / "sub dir" / "ü?#.xhtml").write_bytes(b"<p>odd")
    (root / "empty.html").write_bytes(b"")
    (root / "notes.txt").write_bytes(b"no page")
    return root


def test_a_folder_is_searched_recursively_and_in_order(folder: Path) -> None:
    source = HtmlSource(path=str(folder), base_url="https://example.org/base/")
    assert source.inputs() == [str(folder)]
    found = list(source.index(str(folder)))
    assert urls(found) == [
        "https://example.org/base/a.HTM",
        "https://example.org/base/b.html",
        "https://example.org/base/sub%20dir/%C3%BC%3F%23.xhtml",
    ]
    assert skipped(found) == ["empty body"]
    rows = rows_of(found)
    assert rows["source_file"].to_pylist() == ["a.HTM", "b.html", "sub dir/ü?#.xhtml"]
    assert set(rows["domain"].to_pylist()) == {"example.org"}
    assert [row["html"] for row in payload(source, folder, rows)] == [b"<p>a", b"<p>b", b"<p>odd"]
    assert [row["html"] for row in payload(source, folder, rows.slice(2))] == [b"<p>odd"]


@pytest.mark.parametrize("base", ["https://example.org/base", "https://example.org/base/"])
def test_the_base_url_may_end_in_a_slash(base: str, folder: Path) -> None:
    found = list(HtmlSource(path=str(folder), base_url=base).index(str(folder)))
    assert urls(found)[0] == "https://example.org/base/a.HTM"


def test_without_a_base_url_pages_have_file_addresses(folder: Path) -> None:
    assert urls(list(HtmlSource(path=str(folder)).index(str(folder))))[0] == "file:///a.HTM"


def test_a_folder_named_like_a_page_is_no_page(folder: Path) -> None:
    (folder / "archive.html").mkdir()
    (folder / "archive.html" / "c.html").write_bytes(b"<p>c")
    source = HtmlSource(path=str(folder))
    assert len(urls(list(source.index(str(folder))))) == 4
    assert source.checksum(str(folder))


def test_a_page_that_has_gone_is_an_error_of_its_row(folder: Path) -> None:
    source = HtmlSource(path=str(folder))
    rows = rows_of(list(source.index(str(folder))))
    (folder / "b.html").unlink()
    first, gone, last = payload(source, folder, rows)
    assert (first["html"], last["html"]) == (b"<p>a", b"<p>odd")
    assert gone["error"]["type"] == "FileNotFoundError"


@pytest.mark.parametrize("name", ["missing", "site/b.html"])
def test_what_is_no_folder_is_an_input_error(name: str, folder: Path) -> None:
    with pytest.raises(InputError, match="not a local folder"):
        HtmlSource(path=str(folder.parent / name)).inputs()


def test_a_folder_without_pages_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no \.htm, \.html or \.xhtml"):
        HtmlSource(path=str(tmp_path)).inputs()


def test_the_checksum_of_a_folder_follows_names_and_contents(folder: Path) -> None:
    source = HtmlSource(path=str(folder))
    seen = {source.checksum(str(folder))}
    (folder / "b.html").rename(folder / "c.html")
    seen.add(source.checksum(str(folder)))
    (folder / "c.html").write_bytes(b"<p>B")
    seen.add(source.checksum(str(folder)))
    (folder / "notes.txt").write_bytes(b"still no page")
    seen.add(source.checksum(str(folder)))
    assert len(seen) == 3


# --- Tables -------------------------------------------------------------------------------------


def _index(source: TableSource) -> tuple[list[Found], pa.Table]:
    found = list(source.index(source.path))
    return found, rows_of(found)


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.binary(), pa.large_binary()], ids=str
)
def test_parquet_pages_as_text_or_bytes(kind: pa.DataType, tmp_path: Path) -> None:
    place = tmp_path / "pages.parquet"
    is_text = kind in (pa.string(), pa.large_string())
    texts = [f"<p>Seite {n} äöü" if n != 3 else None for n in range(9)]
    values = [text if text is None or is_text else text.encode() for text in texts]
    table = pa.table({"other": range(9), "html": pa.array(values, kind)})
    table = table.append_column("url", pa.array([url(n) for n in range(8)] + [None]))
    pq.write_table(table, place, row_group_size=2)
    source = TableSource(path=str(place))
    found, rows = _index(source)
    left = [0, 1, 2, 4, 5, 6, 7]
    assert urls(found) == [url(n) for n in left]
    assert skipped(found) == ["row without url or html"] * 2
    assert rows["source_record"].to_pylist() == left
    assert set(rows["http_charset"].to_pylist()) == {"utf-8" if is_text else None}
    for start, length in ((0, 7), (3, 4), (6, 1), (2, 2), (4, 0)):
        results = payload(source, place, rows.slice(start, length))
        expected = [f"<p>Seite {n} äöü".encode() for n in left[start : start + length]]
        assert [row["html"] for row in results] == expected


def test_a_missing_column_error_names_what_exists(tmp_path: Path) -> None:
    place = tmp_path / "pages.parquet"
    pq.write_table(pa.table({"URL": ["a"], "content": ["b"], "html": ["c"]}), place)
    with pytest.raises(InputError, match=r"no column url; it has: URL, content, html"):
        list(TableSource(path=str(place)).index(str(place)))


LINES = [
    b'{"url": "http://example.org/0", "html": "<p>zero \\u00e4", "more": [1]}',
    b"",
    b"not json",
    b"   ",
    b'["a", "list"]',
    b'{"url": "http://example.org/none"}',
    b'{"html": "<p>no address"}',
    b'{"url": null, "html": "<p>null"}',
    b'{"url": "http://example.org/5", "html": 5}',
    b'{"url": "http://example.org/empty", "html": ""}',
    b'\xff\xfe{"url": "broken"}',
    b'{"url": "http://example.org/cut", "html": "<p>',
    b'{"url": "http://example.org/1", "html": "<p>one"}\r',
    b'{"url": "http://example.org/2", "html": "<p>two"}',
]


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz"])
def test_json_lines_skip_what_is_no_page(ending: str, tmp_path: Path) -> None:
    place = tmp_path / f"pages.{ending}"
    data = b"\n".join(LINES)
    place.write_bytes(gzip.compress(data) if ending.endswith("gz") else data)
    source = TableSource(path=str(place))
    found, rows = _index(source)
    assert urls(found) == [url(n) for n in range(3)]
    assert Counter(skipped(found)) == {
        "line is not a JSON object": 4,
        "row without url or html": 5,
    }
    pages_ = ["<p>zero ä".encode(), b"<p>one", b"<p>two"]
    assert [row["html"] for row in payload(source, place, rows)] == pages_
    assert [row["html"] for row in payload(source, place, rows.slice(1))] == pages_[1:]
    assert [row["html"] for row in payload(source, place, rows.slice(2))] == pages_[2:]


@pytest.mark.parametrize(
    "line",
    [
        b'{"url": "\\ud800", "html": "<p>lone surrogate in the address"}',
        b'{"url": "http://example.org/x", "html": "<p>\\ud800"}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"url": 1' + b"0" * 5_000 + b"}",
        b'{"malformed": "a reason made up by the data"}',
    ],
    ids=["surrogate url", "surrogate html", "deep list", "deep object", "long number", "reason"],
)
def test_a_hostile_line_costs_no_other_line(line: bytes, tmp_path: Path) -> None:
    place = tmp_path / "pages.jsonl"
    place.write_bytes(LINES[0] + b"\n" + line + b"\n" + LINES[-1])
    source = TableSource(path=str(place))
    found, rows = _index(source)
    assert {url(0), url(2)} <= set(urls(found))
    assert set(skipped(found)) <= {"line is not a JSON object", "row without url or html"}
    results = payload(source, place, rows)
    assert results[0]["html"] == "<p>zero ä".encode()
    assert results[-1]["html"] == b"<p>two"


def test_gzipped_lines_cut_off_keep_what_was_before(tmp_path: Path) -> None:
    lines = [json.dumps({"url": url(n), "html": html(n).decode()}).encode() for n in range(50)]
    place = tmp_path / "pages.jsonl.gz"
    whole = gzip.compress(b"\n".join(lines))
    place.write_bytes(whole[: len(whole) * 3 // 4])
    source = TableSource(path=str(place))
    found, rows = _index(source)
    count = len(urls(found))
    assert urls(found) == [url(n) for n in range(count)]
    assert 0 < count < 50
    assert len(skipped(found)) == 1
    assert [row["html"] for row in payload(source, place, rows)] == [html(n) for n in range(count)]


@pytest.mark.parametrize("name", ["pages.parquet", "pages.jsonl.gz"])
def test_a_file_that_is_not_of_its_kind_is_an_input_error(name: str, tmp_path: Path) -> None:
    place = tmp_path / name
    place.write_bytes(b"neither Parquet nor gzip")
    with pytest.raises(InputError, match=name):
        list(TableSource(path=str(place)).index(str(place)))
