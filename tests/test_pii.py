"""Personal data: what is found, in what time, and how exports mask it.

`pii_strings.txt` holds self-made lines in which ⟦kind:what⟧ marks what is to be found; all else is
to be left alone. Addresses and numbers in it were made up, with check digits where there are such.
"""

from __future__ import annotations

import gzip
import itertools
import json
import re
from collections import Counter
from inspect import unwrap
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators import pii
from operators.masking import TAGS, masked_nodes, masked_text
from operators.pii import Pii, Span, find_pii
from operators.text import utf8
from pipelines import load_job, open_corpus, run_job
from pipelines.plan import RECIPES
from pipelines.recipe import Recipe, step
from schemas import columns
from schemas.columns import PII_KINDS
from schemas.errors import JobError
from schemas.job import ExportSpec
from tests.strategies import texts
from tests.support import folder_digest, write_job

STRINGS = Path(__file__).parent / "pii_strings.txt"
GOLDEN = Path(__file__).parent / "golden" / "mask_pii.txt"


def labelled() -> list[tuple[str, set[Span]]]:
    """Each line's text without marks, and the spans that were marked."""
    found = []
    for line in STRINGS.read_text("utf-8").splitlines():
        text, spans = "", set()
        for part in re.split(r"(⟦\w+:[^⟧]*⟧)", line):
            kind, _, marked = part.strip("⟦⟧").partition(":")
            if part.startswith("⟦"):
                spans.add(Span(kind, len(text), len(text) + len(marked)))
            text += marked if part.startswith("⟦") else part
        found.append((text, spans))
    return found


def find(text: str) -> list[tuple[str, str]]:
    return [(span.kind, text[span.start : span.end]) for span in find_pii(text)]


# --- What is found ------------------------------------------------------------------------------


def test_the_labelled_lines_are_many_and_of_both_sorts() -> None:
    lines = labelled()
    kinds = Counter(span.kind for _, spans in lines for span in spans)
    assert set(kinds) == set(PII_KINDS)
    assert min(kinds.values()) >= 18
    assert sum(not spans for _, spans in lines) > 180


@pytest.mark.parametrize("kind", PII_KINDS)
def test_precision_and_recall_on_labelled_lines(kind: str) -> None:
    right, wrong, missed = 0, [], []
    for text, spans in labelled():
        gold = {span for span in spans if span.kind == kind}
        found = {span for span in find_pii(text) if span.kind == kind}
        right += len(gold & found)
        wrong += [text[s.start : s.end] for s in found - gold]
        missed += [text[s.start : s.end] for s in gold - found]
    assert right / (right + len(wrong)) >= 0.98, wrong
    assert right / (right + len(missed)) >= 0.98, missed


def test_places_are_characters_of_the_text_as_it_is() -> None:
    text = "👩‍👩 ｉｎｆｏ＠ｋａｍａ．ｃｏ．ｊｐ\u00a0– 👍 81.2.69.142"
    assert find(text) == [("email", "ｉｎｆｏ＠ｋａｍａ．ｃｏ．ｊｐ"), ("ip", "81.2.69.142")]


def test_of_overlapping_findings_the_surer_kind_counts() -> None:
    assert find("13812345678@qq.com") == [("email", "13812345678@qq.com")]
    assert find("Tel. 4111 1111 1111 1111") == [("id", "4111 1111 1111 1111")]


def test_private_addresses_are_found_when_asked_for() -> None:
    text = "192.168.1.17 and fd00::17"
    assert find_pii(text) == []
    found = find_pii(text, private_ips=True)
    assert [text[s.start : s.end] for s in found] == ["192.168.1.17", "fd00::17"]


def suspicions(text: str) -> int:
    return int(pii._suspicions(*utf8(pa.array([text])))[0])


@pytest.mark.parametrize(("text", "flags"), [
    ("", 0), ("Words only... and more.", 0), ("At 9.3 in 2024", 0),
    ("10.30 in 2024", 4), ("a@b", 1),
    ("81.2.69.142", 2 | 4), ("1.2.3.4", 2), ("10:30:45", 2), ("https://a:1 b:2", 0),
    ("2019, 2020", 4), ("2019 to and 2020", 0),
    ("１２３４５６７", 4), ("١٢٣٤٥٦٧", 4), ("ａ＠ｂ", 1),
])  # fmt: skip
def test_the_pass_over_bytes_lets_through_what_may_matter(text: str, flags: int) -> None:
    assert suspicions(text) == flags


@given(
    st.lists(st.sampled_from([text for text, _ in labelled()]) | texts(), max_size=4).map("".join)
)
def test_what_the_pass_over_bytes_holds_back_holds_nothing(text: str) -> None:
    spans = find_pii(text)
    assert find_pii(text, suspicions(text)) == spans
    assert all(a.end <= b.start for a, b in itertools.pairwise(spans))
    assert all(0 <= span.start < span.end <= len(text) for span in spans)


@given(st.lists(texts(40), max_size=5))
def test_the_compiled_loop_answers_as_python_does(lines: list[str]) -> None:
    data, bounds = utf8(pa.array([*lines, "tel 0123 4567, a@b.c, 1.2.3.4"]))
    assert pii._suspicions(data, bounds).tolist() == unwrap(pii._suspicions)(data, bounds).tolist()


@pytest.mark.timeout(30)
@pytest.mark.parametrize("part", [
    "a", "a@", "@", ".", "a.a@a.", "1", "1 ", "1.", "1-", "(1", "+1 ", "00 1", "0-1", "+(", ":",
    "1:", "f:", "::", "GB29", "GB29 ", "GB29A", "tel ", "tel 1", "T:1 ", "12 ", "12.12.12 ",
    "4111 ", "x@x.x.", "://a", "http://a@", "isbn 0-", "８",
])  # fmt: skip
def test_no_text_takes_more_than_linear_time(part: str) -> None:
    text = part * (200_000 // len(part))
    assert len(find_pii(text)) <= len(text) / 4
    assert len(find_pii(text + " mail me@tidepool.io")) >= 1


# --- The operator -------------------------------------------------------------------------------


def node(text: str | None, index: int = 0) -> dict[str, Any]:
    kind = "image" if text is None else "text"
    return {"kind": kind, "text": text, "image_url": None, "dom_index": index}


def test_documents_have_counts_and_nodes_have_spans() -> None:
    nodes = [
        node("me@tidepool.io, you@tidepool.io"),
        node(None),
        node("nothing"),
        node("81.2.69.142"),
    ]
    rows = [{"nodes": nodes}, {"nodes": None}, {"nodes": []}]
    batch = pa.Table.from_pylist(rows, schema=columns.schema("nodes"))
    result = Pii().measure(batch, None)
    assert [result[f"pii_{kind}_count"].to_pylist() for kind in PII_KINDS] == [
        [2, None, 0], [1, None, 0], [0, None, 0], [0, None, 0],
    ]  # fmt: skip
    spans, nothing, empty = result["node_pii"].to_pylist()
    assert (nothing, empty) == (None, [])
    assert spans[0] == [
        {"kind": "email", "start": 0, "end": 14},
        {"kind": "email", "start": 16, "end": 31},
    ]
    assert spans[1:] == [[], [], [{"kind": "ip", "start": 0, "end": 11}]]


# --- Masking ------------------------------------------------------------------------------------


def span(kind: str, start: int, end: int) -> dict[str, Any]:
    return {"kind": kind, "start": start, "end": end}


@pytest.mark.parametrize(("spans", "kinds", "masked"), [
    ([], PII_KINDS, "0123456789"),
    ([span("email", 0, 10)], PII_KINDS, "[EMAIL]"),
    ([span("ip", 0, 2), span("id", 8, 10)], PII_KINDS, "[IP]234567[ID]"),
    ([span("phone", 5, 7), span("ip", 1, 2)], PII_KINDS, "0[IP]234[PHONE]789"),
    ([span("email", 2, 5), span("phone", 4, 8)], PII_KINDS, "01[EMAIL]89"),
    ([span("email", 2, 5), span("phone", 2, 8)], PII_KINDS, "01[PHONE]89"),
    ([span("email", 2, 4), span("ip", 4, 6)], PII_KINDS, "01[EMAIL][IP]6789"),
    ([span("email", 2, 4), span("ip", 4, 6)], ["ip"], "0123[IP]6789"),
    ([span("email", 8, 99)], PII_KINDS, "01234567[EMAIL]"),
])  # fmt: skip
def test_spans_become_tags(spans: list[dict[str, Any]], kinds: list[str], masked: str) -> None:
    assert masked_text("0123456789", spans, kinds) == masked


@given(st.sampled_from(labelled()))
def test_a_masked_line_holds_nothing_and_is_else_unchanged(line: tuple[str, set[Span]]) -> None:
    text, _ = line
    spans = [found._asdict() for found in find_pii(text)]
    masked = masked_text(text, spans, PII_KINDS)
    assert find_pii(masked) == []
    for tag in TAGS.values():
        masked = masked.replace(tag, "\0")
    rest = [text[a:b] for a, b in _gaps(spans, len(text))]
    assert masked.split("\0") == rest


def _gaps(spans: list[dict[str, Any]], length: int) -> list[tuple[int, int]]:
    edges = [0, *(edge for s in spans for edge in (s["start"], s["end"])), length]
    return list(zip(edges[::2], edges[1::2], strict=True))


def test_nodes_are_masked_in_their_texts_only() -> None:
    nodes = [node("me@tidepool.io"), node(None, 1), node("none", 2)]
    lists = pa.array([[], nodes, None, nodes[1:]], columns.column("nodes").type)
    email = [span("email", 0, 14)]
    spans = pa.array([[], [email, [], []], None, [None, []]], columns.column("node_pii").field.type)
    table = pa.table(
        {"nodes": pa.chunked_array([lists, lists]), "spans": pa.chunked_array([spans, spans])}
    )
    for part in (table, table.slice(1, 6), table.slice(3, 2), table.slice(0, 0)):
        masked = masked_nodes(part["nodes"], part["spans"], ["email"]).to_pylist()
        expected = part["nodes"].to_pylist()
        for row in expected:
            for item in row or []:
                item["text"] = "[EMAIL]" if item["text"] == "me@tidepool.io" else item["text"]
        assert masked == expected
    with pytest.raises(ValueError, match="node_pii does not hold a list for each node"):
        masked_nodes(table["nodes"].slice(1), table["spans"].slice(0, 7), ["email"])


# --- Masked exports -----------------------------------------------------------------------------

_FILLER = "The workshop mends wooden boats and teaches the craft to everybody who comes. " * 3
_PAGE = f"""<html><head><title>A boat yard</title></head><body><article><h1>A boat yard</h1>
<p>{_FILLER}</p><p>{_FILLER} Write to ＭＥ＠tidepool.io or ring +44 161 496 0123 before noon.</p>
<img src="/boat.jpg" width="600" height="400">
<p>drop {_FILLER} Earlier letters went to old@tidepool.io instead.</p>
<p>{_FILLER} Our server has the address 81.2.69.142, as you may know.</p></article></body></html>"""


@pytest.fixture
def recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two recipes of their own: one that measures personal data, one that does not."""
    _, extract, text, *_ = RECIPES["interleaved"].steps
    steps = (extract, text, step("pii", "personal data", Pii))
    monkeypatch.setitem(RECIPES, "with_pii", Recipe("with_pii", "text and personal data", steps))
    monkeypatch.setitem(RECIPES, "without_pii", Recipe("without_pii", "text", steps[:2]))


def write_pages(folder: Path, **fields: Any) -> Path:
    pages = folder / "pages"
    pages.mkdir(exist_ok=True)
    for name in ("one", "two", "three"):
        (pages / f"{name}.html").write_text(_PAGE.replace("boat", name), "utf-8")
    defaults: dict[str, Any] = {
        "pipeline": "with_pii",
        "inputs": [{"html": str(pages)}],
        "rules": {"dropped": {"table": "nodes", "drop": "node_word_count == 46"}},
        "unit_rows": 2,
    }
    return write_job(folder, **(defaults | fields))


def export_to(folder: Path, format_: str, **fields: Any) -> dict[str, Any]:
    return {"format": format_, "to": str(folder / format_), **fields}


@pytest.mark.usefixtures("recipes")
def test_exports_mask_what_the_job_names(tmp_path: Path) -> None:
    exports = [
        export_to(tmp_path, "text", mask_pii=True),
        export_to(tmp_path, "omnicorpus", mask_pii=["phone"]),
    ]
    run_job(load_job(write_pages(tmp_path, export=exports)))
    corpus = open_corpus(str(tmp_path / "store"))
    counts = corpus.documents("pii_email_count", "pii_phone_count", "pii_ip_count")
    assert counts.rows() == [(2, 1, 1, True, None)] * 3
    assert all(document.nodes_kept.count(False) == 1 for document in corpus)
    path = next((tmp_path / "text").glob("train-*"))
    lines = [json.loads(line)["text"] for line in gzip.decompress(path.read_bytes()).splitlines()]
    for line, document in zip(lines, corpus, strict=True):
        assert "Write to [EMAIL] or ring [PHONE] before noon." in line
        assert "has the address [IP], as you may know." in line
        assert "instead." not in line
        assert re.sub(r"\[[A-Z]+\]", "", line) == re.sub(
            r"ＭＥ＠tidepool\.io|\+44 161 496 0123|81\.2\.69\.142", "", document.text
        )
    rows = pq.read_table(next((tmp_path / "omnicorpus").glob("train-*"))).to_pylist()
    assert len(rows) == 3
    for row, document in zip(rows, corpus, strict=True):
        joined = "\n\n".join(text for text in row["texts"] if text)
        assert joined == document.text.replace("+44 161 496 0123", "[PHONE]")


@pytest.mark.usefixtures("recipes")
def test_another_masking_is_another_export(tmp_path: Path) -> None:
    found = []
    for mask in (False, True, ["id", "email", "phone", "ip", "ip"], ["email"], []):
        run_job(
            load_job(write_pages(tmp_path, export=[export_to(tmp_path, "text", mask_pii=mask)]))
        )
        manifest = json.loads((tmp_path / "text" / "_SUCCESS.json").read_text("utf-8"))
        digest = next(iter(folder_digest(tmp_path / "text").values()))
        found.append((manifest["identity"], digest, manifest["mask_pii"]))
    plain, everything, spelt_out, emails, nothing = found
    assert plain == nothing
    assert everything == spelt_out
    assert (
        len({plain[0], everything[0], emails[0]}) == len({plain[1], everything[1], emails[1]}) == 3
    )
    assert [plain[2], everything[2], emails[2]] == [[], list(PII_KINDS), ["email"]]


@pytest.mark.usefixtures("recipes")
def test_masking_what_was_not_measured_is_refused(tmp_path: Path) -> None:
    exports = [export_to(tmp_path, "omnicorpus"), export_to(tmp_path, "text", mask_pii=["ip"])]
    job = write_pages(tmp_path, pipeline="without_pii", export=exports)
    with pytest.raises(JobError) as error:
        run_job(load_job(job))
    assert str(error.value).replace(str(job), "job.yaml") + "\n" == GOLDEN.read_text("utf-8")
    assert not (tmp_path / "text").exists()


def test_an_unknown_kind_is_refused_in_words(tmp_path: Path) -> None:
    job = load_job(write_job(tmp_path, export=[export_to(tmp_path, "text", mask_pii=["mail"])]))
    assert [str(problem).splitlines()[-1] for problem in job.problems] == [
        "    fix: use 'email', 'ip', 'phone' or 'id'"
    ]
    assert ExportSpec(format="text", to="x").mask_pii == ()
