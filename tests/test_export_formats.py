"""Export formats: what is written is what was kept, as trainers and libraries read it back."""

from __future__ import annotations

import base64
import gzip
import io
import itertools
import json
import math
import re
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from inspect import unwrap
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import webdataset
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image as Picture
from scipy.optimize import linear_sum_assignment

from operators import assignment
from operators.assignment import assigned, matched_texts
from operators.export import FORMATS, format_of
from operators.export_conversations import conversation, split, turns
from operators.export_documents import Document, Image, ImageFiles, Text, documents, harmless
from operators.export_format import JsonLines, count_lines
from operators.export_mmc4 import lcl_number
from operators.export_pairs import pairs
from operators.files import Files
from pipelines.backend import environment
from schemas.job import ExportSpec
from tests.export_tables import (
    URLS,
    joined,
    label,
    node,
    parts_of,
    picture,
    row,
    rows,
    specs,
    table,
    tokens_of,
)
from tests.strategies import split as cut
from tests.strategies import split_points
from tests.trainers import (
    Part,
    by_url,
    image_part,
    internvl,
    lcl,
    llava_new_mmc4,
    llava_obelisc,
    load_base64,
    mmc4_parts,
    open_flamingo,
    sha256,
)

GOLDEN = Path(__file__).parent / "golden"
few = settings(
    deadline=None,
    max_examples=8,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
numbers = itertools.count()


def export(folder: Path, spec: ExportSpec, *tables: Any) -> tuple[Path, int]:
    """An export of one shard with all that goes with it; returns shard and rows."""
    spec = spec.model_copy(update={"to": str(folder)})
    kind = format_of(spec)
    name = kind.shard_name(0, 1)
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = kind.writer(path, name, ImageFiles(Files(str(folder))))
    for part in tables:
        writer.write(part)
    writer.close()
    for companion, data in kind.companions([(name, writer.rows)]).items():
        (folder / companion).write_bytes(data)
    with path.open("rb") as file:
        assert kind.count(file) == writer.rows
    return path, writer.rows


def all_bytes(folder: Path) -> dict[str, bytes]:
    """Every file but for the meta file, which tells its own place."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "meta.json"
    }


# --- Reading back --------------------------------------------------------------------------------


def json_rows(path: Path) -> list[Any]:
    if path.name.endswith(".zip"):
        with zipfile.ZipFile(path) as archive:
            (name,) = archive.namelist()
            assert f"{name}.zip" == path.name
            text = archive.read(name).decode()
    elif path.name.endswith(".gz"):
        text = gzip.decompress(path.read_bytes()).decode()
    else:
        text = path.read_bytes().decode()
    if path.suffix == ".json":
        found: list[Any] = json.loads(text)
        return found
    return [json.loads(line) for line in text.split("\n")[:-1]]


def parallel(rows: list[Any], load: Callable[[str, Any], Part]) -> Iterator[list[Part]]:
    """Rows with parallel `images`, `texts` and `metadata`, one of the first two at each place."""
    for found in rows:
        metadata = found["metadata"]
        metadata = json.loads(metadata) if isinstance(metadata, str) else metadata
        lists = (found["images"], found["texts"], metadata)
        parts: list[Part] = []
        for image, text, meta in zip(*lists, strict=True):
            assert (image is None) == (meta is None) == (text is not None)
            parts.append(("text", text) if image is None else load(image, meta))
        yield parts


def read_back(folder: Path, path: Path, spec: ExportSpec) -> list[list[Part]]:
    """The documents of an export as parts, through the checks of those who read it."""
    spec = format_of(spec).spec
    images, beside = folder / "images", spec.images == "beside"
    match spec.format, spec.variant:
        case "omnicorpus", _:
            found = pq.read_table(path).to_pylist()
            assert all(
                m["img_url_sha"] == sha256(url.encode())
                for r in found
                for url, m in zip(r["images"], r["metadata"], strict=True)
                if url
            )
            return list(
                parallel(found, lambda url, _: by_url(images, url) if beside else image(url))
            )
        case "obelics", variant:
            found = json_rows(path) if variant == "jsonl" else pq.read_table(path).to_pylist()
            assert all(json.loads(r["general_metadata"])["url"] for r in found)
            return list(
                parallel(
                    found,
                    lambda url, meta: (
                        image_part((folder / meta["file"]).read_bytes()) if beside else image(url)
                    ),
                )
            )
        case "mmc4", variant:
            found = lcl(folder, 1) if variant == "lcl" else json_rows(path)
            loads: dict[str, Callable[[Any], Part]] = {
                "urls": lambda info: image(info["raw_url"]),
                "embedded": load_base64,
                "beside": lambda info: image_part((images / info["image_name"]).read_bytes()),
            }
            return [mmc4_parts(r, loads[spec.images or ""]) for r in found]
        case "llava", "obelisc":
            return list(llava_obelisc(folder, images if beside else None))
        case "llava", "new_mmc4":
            return list(llava_new_mmc4(folder, images if beside else None))
        case "llava", _:
            return [llava_conversation(r, images if beside else None) for r in json_rows(path)]
        case "webdataset", "base64":
            return list(open_flamingo(path))
        case "webdataset", _:
            return list(web_members(path))
        case "hf", _:
            return [hf_parts(r) for r in pq.read_table(path).to_pylist()]
        case "internvl", _:
            samples = internvl(folder, spec.max_tokens, spec.max_tiles, tokens_of)
            grouped = itertools.groupby(samples, lambda sample: sample[0])
            return [[part for _, parts in own for part in parts] for _, own in grouped]
        case "text", _:
            return [[("text", r["text"])] for r in json_rows(path)]
    raise AssertionError(spec)


def image(url: str) -> Part:
    return "image", url


def llava_conversation(found: dict[str, Any], images: Path | None) -> list[Part]:
    said = found["conversations"]
    assert [turn["from"] for turn in said] == ["human", "gpt"] * (len(said) // 2)
    names, parts = iter(found["image"]), []
    for turn in said:
        if turn["from"] == "gpt":
            assert "<image>" not in turn["value"]
            parts.append(("text", turn["value"]))
        for _ in range(turn["value"].count("<image>")):
            name = next(names)
            parts.append(image_part((images / name).read_bytes()) if images else image(name))
    assert next(names, None) is None
    return parts


def web_members(path: Path) -> Iterator[list[Part]]:
    with tarfile.open(path) as tar:
        members = tar.getmembers()
        data = {m.name: tar.extractfile(m).read() for m in members}  # type: ignore[union-attr]
    assert len(data) == len(members)
    assert all((m.mtime, m.uid, m.gid, m.uname, m.gname) == (0, 0, 0, "", "") for m in members)
    keys = list(dict.fromkeys(name.partition(".")[0] for name in data))
    assert [name.partition(".")[0] for name in data] == [
        key for key in keys for name in data if name.startswith(f"{key}.")
    ], "a sample's members stand together"
    for key in keys:
        found = json.loads(data[f"{key}.json"])
        ends = [end for end in found["images"] if end]
        assert set(data) >= {f"{key}.{end}" for end in ends}
        own = {end: image_part(data[f"{key}.{end}"]) for end in ends}
        yield from parallel([found], partial(_member, own))


def _member(own: dict[str, Part], end: str, _: Any) -> Part:
    return own[end]


def hf_parts(found: dict[str, Any]) -> list[Part]:
    lists = (found["images"], found["image_urls"], found["texts"])
    parts: list[Part] = []
    for shown, url, text in zip(*lists, strict=True):
        assert (shown is None) == (url is None) == (text is not None)
        parts.append(("text", text) if shown is None else image_part(shown["bytes"]))
    return parts


def safe(parts: list[Part]) -> list[Part]:
    return [(kind, harmless(value) if kind == "text" else value) for kind, value in parts]


def expected(found: list[Document], spec: ExportSpec) -> list[list[Part]]:
    """What each format should say of the documents, those left out that it has no use for."""
    kept: list[list[Part]] = []
    for document in found:
        parts = parts_of(document, spec)
        matched = [part.match is not None for part in document.images]
        match spec.format, spec.variant:
            case ("mmc4", _) | ("llava", "new_mmc4") | ("webdataset", "base64"):
                stays = iter(matched)
                parts = safe([part for part in parts if part[0] == "text" or next(stays)])
                if any(matched):
                    kept.append(parts)
            case "llava", "obelisc":
                if document.images:
                    kept.append(joined(safe(parts)))
            case ("llava", "conversations") | ("internvl", _):
                while parts and parts[-1][0] == "image":
                    parts.pop()
                parts = safe(parts)
                if spec.images == "urls":
                    parts = [(k, sha256(v.encode())) if k == "image" else (k, v) for k, v in parts]
                if parts and (spec.format == "internvl" or any(k == "image" for k, _ in parts)):
                    kept.append(joined(parts))
            case "text", _:
                text = joined([part for part in parts if part[0] == "text"])
                kept += [text] if text else []
            case "omnicorpus", _:
                kept += [parts] if parts else []
            case _:
                kept += [joined(parts)] if parts else []
    return kept


def unique_matches(found: list[Document]) -> bool:
    """Whether all images have a text of their own, as the loader of new_mmc4 leaves others out."""
    matches = [[i.match for i in d.images if i.match is not None] for d in found]
    return all(len(set(own)) == len(own) for own in matches)


every_export = pytest.mark.parametrize(
    "spec", [spec for spec in specs() if spec.format != "pairs"], ids=label
)


@every_export
@few
@given(found=rows(), data=st.data())
def test_what_is_read_back_is_what_was_kept_in_order(
    spec: ExportSpec, found: list[dict[str, Any]], data: st.DataObject, tmp_path: Path
) -> None:
    folder, again = tmp_path / str(next(numbers)), tmp_path / str(next(numbers))
    kept = list(documents(table(found), format_of(spec).spec))
    path, count = export(folder, spec, table(found))
    wanted = expected(kept, format_of(spec).spec)
    assert count == len(wanted) or spec.format == "internvl"
    if spec.variant != "new_mmc4":
        assert read_back(folder, path, spec) == wanted
    elif unique_matches(kept):  # ties are the loader's to decide
        texts = [[part for part in parts if part[0] == "text"] for parts in wanted]
        back = read_back(folder, path, spec)
        assert [[part for part in parts if part[0] == "text"] for parts in back] == texts
        assert list(map(sorted, back)) == list(map(sorted, wanted))
    points = data.draw(split_points(len(found)))
    export(again, spec, *cut(table(found), points))
    assert all_bytes(again) == all_bytes(folder)


@few
@given(found=rows())
def test_documents_are_their_nodes_with_content_in_reading_order(
    found: list[dict[str, Any]],
) -> None:
    spec = format_of(ExportSpec(format="omnicorpus", to="x", images="beside")).spec
    for values, document in zip(found, documents(table(found), spec), strict=True):
        natural = [
            ("image", sha256(picture(n["image_url"])[0])) if n["image_url"] else ("text", n["text"])
            for n in values["nodes"]
            if n["image_url"] or n["text"]
        ]
        assert parts_of(document, spec) == natural


@few
@given(found=rows())
def test_retrieval_order_moves_images_only(found: list[dict[str, Any]]) -> None:
    spec = ExportSpec(format="omnicorpus", to="x")
    moved = format_of(spec.model_copy(update={"order": "retrieval"})).spec
    both = (documents(table(found), format_of(s).spec) for s in (spec, moved))
    for natural, placed in zip(*both, strict=True):
        assert placed.texts == natural.texts
        assert sorted(i.url for i in placed.images) == sorted(i.url for i in natural.images)
        passed = 0
        for part in placed.parts:
            if isinstance(part, Text):
                passed += 1
            else:
                assert part.match in (None, passed)


def test_images_without_bytes_are_left_out_of_an_export_with_bytes() -> None:
    nodes = [node("image", None, URLS[0]), node("text", "words")]
    found = table([row("a", nodes, fetched=False)])
    for images, parts in (("urls", 2), ("beside", 1)):
        spec = ExportSpec(format="omnicorpus", to="x", images=images)
        assert [len(d.parts) for d in documents(found, format_of(spec).spec)] == [parts]


# --- Assignment ----------------------------------------------------------------------------------

_cosines = st.floats(-1, 1, allow_subnormal=False)


@settings(deadline=None, max_examples=150)
@given(st.data(), st.integers(1, 9), st.integers(1, 9))
def test_the_assignment_is_the_best_there_is(data: st.DataObject, rows: int, columns: int) -> None:
    line = st.lists(_cosines, min_size=columns, max_size=columns)
    matrix = np.array(data.draw(st.lists(line, min_size=rows, max_size=rows)))
    found = assigned(matrix)
    best = linear_sum_assignment(-matrix)
    if rows <= columns:
        assert len(set(found)) == rows
        chosen = matrix[np.arange(rows), found].sum()
        assert math.isclose(chosen, matrix[best].sum(), abs_tol=1e-9)
    else:
        assert set(found) == set(range(columns))
        assert found.count(int(matrix[0].argmax())) >= 1
        left_over = [row for row in range(rows) if found[row] != matrix[row].argmax()]
        assert len(left_over) <= columns


def test_large_assignments_and_ties() -> None:
    matrix = np.random.default_rng(1).random((60, 200))
    chosen = matrix[np.arange(60), assigned(matrix)].sum()
    assert math.isclose(chosen, matrix[linear_sum_assignment(-matrix)].sum())
    assert sorted(assigned(np.zeros((4, 4)))) == [0, 1, 2, 3]
    assert assigned(np.array([[0.1], [0.9], [0.5]])) == [0, 0, 0]


def test_the_compiled_assignment_answers_as_python_does() -> None:
    for seed in range(20):
        cost = np.random.default_rng(seed).integers(0, 4, (seed % 5 + 1, 7)).astype(float)
        found = assignment._cheapest(cost)
        assert found.tolist() == unwrap(assignment._cheapest)(cost).tolist()


def test_images_and_texts_without_similarities_are_not_assigned() -> None:
    assert matched_texts([None, [0.1, None, 0.9], [0.2, None, 0.8]], 3) == [None, 2, 0]
    assert matched_texts([[None, None]], 2) == [None]
    assert matched_texts([[]], 0) == [None]
    assert matched_texts([], 4) == []
    assert matched_texts([[float("nan"), 0.2]], 2) == [1]


# --- LCL -----------------------------------------------------------------------------------------


def test_lcl_passes_over_the_numbers_that_mmc4_lacks() -> None:
    found = [lcl_number(index) for index in range(23085)]
    assert found[:3219] == [*range(3218), 3219]
    assert len(set(found)) == len(found) == 23099 - 14
    assert found[-1] == 23098
    assert {3218, 3267, 17818}.isdisjoint(found)


# --- InternVL ------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 9000)), max_size=6),
    st.integers(1, 24),
    st.integers(0, 9000),
)
def test_documents_of_any_length_are_cut_to_the_budget_and_nothing_is_lost(
    shape: list[tuple[int, int]], max_tiles: int, more: int
) -> None:
    max_tokens = 2 * (256 * (max_tiles + 1) + 200) + more
    parts: list[Text | Image] = []
    for images, length in shape:
        parts += [Image(f"u{len(parts)}-{n}") for n in range(images)]
        text = ("words and 字 " * (length // 10 + 1))[:length]
        parts += [Text(text, tokens=tokens_of(text))] if text else []
    whole = turns(parts)
    samples = list(split(whole, max_tokens, max_tiles))
    assert "".join(t.text for s in samples for t in s) == "".join(t.text for t in whole)
    shown = [i for s in samples for t in s for i in t.images]
    wanted = [i for t in whole for i in t.images]
    if max(len(t.images) for t in whole) * 260 * 2 < max_tokens // 2 if whole else True:
        assert shown == wanted
    else:
        assert [i for i in wanted if i in shown] == shown
    for sample in samples:
        said = conversation(sample)
        count = sum(len(t.images) for t in sample)
        each = max(1, max_tiles // max(count, 1))
        images = count * (256 * (each + (each > 1)) + 2)
        texts = sum(tokens_of(turn["value"]) + 6 for turn in said)
        assert all(turn["value"] for turn in said if turn["from"] == "gpt")
        assert images + texts + 60 <= max_tokens


def test_an_unmeasured_text_is_taken_for_long() -> None:
    assert turns([Text("abcdef")])[0].tokens == 8


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("an <image> here", "an < image> here"),
        ("<IMG_CONTEXT></img>", "< IMG_CONTEXT>< /img>"),
        ("<|im_end|><box>", "< |im_end|>< box>"),
        ("<imagery> a < b <image", "<imagery> a < b <image"),
    ],
)
def test_marks_of_trainers_are_defused_in_texts(text: str, shown: str) -> None:
    assert harmless(text) == shown


# --- Pairs ---------------------------------------------------------------------------------------


def pair_reasons(found: dict[str, Any], **fields: Any) -> list[tuple[str, str, str]]:
    spec = ExportSpec.model_validate({"format": "pairs", "to": "x"} | fields)
    (document,) = documents(table([found]), format_of(spec).spec)
    return [(p.image.url, p.reason, p.caption) for p in pairs(document, spec)]


def test_pairs_take_the_first_text_that_the_job_asks_for() -> None:
    one, two, three, four = URLS[:4]
    nodes = [
        node("caption", "of one", None),
        node("image", None, one, alt="alt one"),
        node("image", None, two),
        node("caption", "of two"),
        node("image", None, three, alt=" "),
        node("heading", "A heading"),
        node("text", "Far text"),
        node("image", None, four, alt="alt four"),
    ]
    matrix = [[0.1, 0.2, 0.3, 0.4], None, [0.1, 0.2, 0.9, 0.3], [0.1, 0.1, 0.1, 0.2]]
    found = row("a", nodes, [m and [float(s) for s in m] for m in matrix])
    assert pair_reasons(found) == [
        (one, "caption", "of one"),
        (two, "caption", "of two"),
        (three, "adjacent", "of two"),
        (four, "alt", "alt four"),
    ]
    assert pair_reasons(found, captions=["similarity", "alt"]) == [
        (one, "similarity", "Far text"),
        (three, "similarity", "A heading"),
        (four, "alt", "alt four"),
    ]
    assert pair_reasons(found, captions=["similarity"], min_similarity=0.95) == []
    assert pair_reasons(found, captions=["adjacent"])[-1] == (four, "adjacent", "Far text")


@pytest.mark.parametrize("spec", [s for s in specs() if s.format == "pairs"], ids=label)
@few
@given(found=rows())
def test_pairs_are_read_back(spec: ExportSpec, found: list[dict[str, Any]], tmp_path: Path) -> None:
    folder = tmp_path / str(next(numbers))
    path, count = export(folder, spec, table(found))
    resolved = format_of(spec).spec
    wanted = [
        (p.image.url, p.caption, p.reason)
        for document in documents(table(found), resolved)
        for p in pairs(document, resolved)
    ]
    back = json_rows(path) if spec.variant == "jsonl" else pq.read_table(path).to_pylist()
    assert [(r["image_url"], r["caption"], r["reason"]) for r in back] == wanted
    assert count == len(wanted)
    for r in back:
        content = sha256(picture(r["image_url"])[0])
        match spec.images, spec.variant:
            case "urls", _:
                assert r["image"] == r["image_url"]
            case "beside", _:
                assert sha256((folder / r["image"]).read_bytes()) == content
            case _, "jsonl":
                assert sha256(base64.b64decode(r["image_base64"])) == content
            case _:
                assert sha256(r["image"]["bytes"]) == content


# --- Real readers --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    home = str(tmp_path_factory.mktemp("hf"))
    with environment({"HF_HUB_OFFLINE": "1", "HF_HOME": home}):
        import datasets

        datasets.disable_progress_bars()
        yield datasets


def sample() -> list[dict[str, Any]]:
    nodes = [
        node("heading", "Kites"),
        node("text", "The red kite is a bird.\nIt soars."),
        node("image", None, URLS[0], alt="A kite", width=30, height=20),
        node("caption", "A red kite"),
        node("image", None, URLS[1]),
    ]
    similarity = [[0.2, 0.9, 0.8], [0.1, 0.3, 0.7]]
    return [row("a", nodes, [list(line) for line in similarity]), row("b", nodes[:2])]


@pytest.mark.parametrize(
    "spec",
    [
        s
        for s in specs()
        if s.format in ("omnicorpus", "obelics", "hf", "pairs", "text") and s.order == "natural"
    ],
    ids=label,
)
def test_hugging_face_loads_the_folder(spec: ExportSpec, datasets: Any, tmp_path: Path) -> None:
    folder = tmp_path / "export"
    _, count = export(folder, spec, table(sample()))
    if spec.images == "beside":
        (folder / "lists").mkdir()
        (folder / "lists" / "00000-of-00001.jsonl").write_text('{"path": "x"}\n', "utf-8")
    (folder / "_SUCCESS.json").write_text("{}", "utf-8")
    loaded = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"), split="train")
    assert loaded.num_rows == count > 0
    if spec.format == "hf":
        first = loaded[0]
        assert [bool(i) for i in first["images"]] == [text is None for text in first["texts"]]
        shown = [i for i in first["images"] if i]
        originals = [Picture.open(io.BytesIO(picture(url)[0])) for url in URLS[:2]]
        assert [i.size for i in shown] == [i.size for i in originals]
        assert [i.convert("RGB").tobytes() for i in shown] == [
            i.convert("RGB").tobytes() for i in originals
        ]
        assert loaded[1]["texts"] == ["Kites\n\nThe red kite is a bird.\nIt soars."]
    if spec.format == "pairs" and spec.images == "embedded" and spec.variant == "parquet":
        assert loaded[0]["image"].size == picture(URLS[0])[2:]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # leaves files open
@pytest.mark.parametrize("variant", ["members", "base64"])
def test_webdataset_reads_the_tars(variant: str, tmp_path: Path) -> None:
    spec = ExportSpec(format="webdataset", to="x", variant=variant)
    path, count = export(tmp_path, spec, table(sample()))
    reader = webdataset.WebDataset(str(path), shardshuffle=False, empty_check=False)
    samples = list(reader.decode("pilrgb"))
    assert len(samples) == count == json.loads((tmp_path / "sizes.json").read_text())[path.name]
    keys = [found["__key__"] for found in samples]
    assert len(set(keys)) == len(keys)
    if variant == "base64":
        assert [len(i["image_base64"]) > 0 for i in samples[0]["json"]["image_info"]] == [True] * 2
        return
    ends = [end for end in samples[0]["json"]["images"] if end]
    assert [samples[0][end].size for end in ends] == [picture(url)[2:] for url in URLS[:2]]


# --- What an export may choose -------------------------------------------------------------------


@pytest.mark.parametrize("kind", FORMATS.values(), ids=FORMATS)
def test_what_a_format_does_not_offer_is_refused(kind: Any) -> None:
    for field, offered, choices in (
        ("images", kind.images, ("urls", "embedded", "beside")),
        ("order", kind.orders, ("natural", "retrieval")),
        ("variant", kind.variants, ("nothing", *kind.variants)),
    ):
        for choice in choices:
            spec = ExportSpec.model_validate({"format": kind.name, "to": "x", field: choice})
            wrong = [name for name, *_ in kind.mistakes(spec)]
            assert wrong == ([] if choice in offered else [field])
    for field, value in {
        "max_tokens": 9000, "max_tiles": 3, "captions": ["alt"], "min_similarity": 0.5,
    }.items():  # fmt: skip
        spec = ExportSpec.model_validate({"format": kind.name, "to": "x", field: value})
        wrong = [name for name, *_ in kind.mistakes(spec)]
        assert wrong == ([] if field in kind.options else [field])


def test_a_budget_without_room_is_refused() -> None:
    spec = ExportSpec(format="internvl", to="x", max_tokens=4000)
    ((field, message, fix),) = FORMATS["internvl"].mistakes(spec)
    assert (field, message) == (
        "max_tokens", "leaves no room for text beside an image of 12 tiles",
    )  # fmt: skip
    enough = int(re.findall(r"\d+", fix)[0])
    wide = spec.model_copy(update={"max_tokens": enough})
    assert list(FORMATS["internvl"].mistakes(wide)) == []


def test_columns_that_are_needed_and_taken() -> None:
    spec = ExportSpec(format="omnicorpus", to="x", images="beside", order="retrieval")
    needs = format_of(spec).needs()
    assert needs["image_data"] == "images"
    assert needs["clip_similarity"] == "order"
    assert format_of(spec).columns(["phash", "word_count"])[-1] == "phash"
    base64_ = ExportSpec(format="webdataset", to="x", variant="base64")
    assert format_of(base64_).needs()["clip_similarity"] == "variant"
    asked = ExportSpec(format="pairs", to="x", captions=("similarity",))
    assert format_of(asked).needs()["clip_similarity"] == "captions"


def test_row_groups_stay_small_in_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("operators.export_format._GROUP_BYTES", 300)
    found = [row(f"d{n}", [node("image", None, URLS[0])]) for n in range(20)]
    path, _ = export(tmp_path, ExportSpec(format="hf", to="x"), table(found))
    assert pq.ParquetFile(path).num_row_groups > 4


# --- Golden --------------------------------------------------------------------------------------


def described(folder: Path) -> str:
    """All files of an export as text: JSON as it is, tables and archives by content."""
    lines: list[str] = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        lines.append(f"--- {path.relative_to(folder)}")
        if path.suffix == ".parquet":
            found = pq.ParquetFile(path)
            schema = found.schema_arrow
            lines += str(schema.remove_metadata()).split("\n")
            metadata = {k.decode(): v.decode() for k, v in (schema.metadata or {}).items()}
            lines += [f"{name}: {value}" for name, value in metadata.items()]
            lines += [json.dumps(r, default=short, indent=1) for r in found.read().to_pylist()]
        elif path.suffix == ".tar":
            with tarfile.open(path) as tar:
                for member in tar:
                    data = tar.extractfile(member).read()  # type: ignore[union-attr]
                    shown = data.decode() if member.name.endswith("json") else short(data)
                    lines.append(f"{member.name} {oct(member.mode)} {member.mtime} {shown}")
        elif path.suffix in (".zip", ".gz"):
            lines += [json.dumps(r, ensure_ascii=False) for r in json_rows(path)]
        elif path.suffix in (".json", ".jsonl"):
            lines.append(path.read_text("utf-8").replace(str(folder), "TARGET").rstrip("\n"))
        else:
            lines.append(short(path.read_bytes()))
    return "\n".join(lines) + "\n"


def short(data: bytes) -> str:
    return f"{len(data)} bytes, SHA-256 {sha256(data)[:12]}"


def golden_rows() -> list[dict[str, Any]]:
    """One document; its images are bitmaps, which every encoder writes alike."""
    nodes = [
        node("text", "The <image> of a kite, 鳶."),
        node("image", None, URLS[0], alt="A kite", width=30, height=20),
        node("caption", "A red kite"),
        node("image", None, URLS[1]),
        node("text", "The end."),
    ]
    matrix: list[list[float | None] | None] = [[0.25, 0.5, 0.125], [0.75, 0.0, 0.0]]
    return [row("a", nodes, matrix, kind="bmp")]


@pytest.mark.parametrize("name", [n for n, kind in FORMATS.items() if kind.table == "documents"])
def test_the_files_of_a_tiny_document_are_as_they_were(name: str, tmp_path: Path) -> None:
    shown = ""
    for number, spec in enumerate(s for s in specs() if s.format == name):
        export(tmp_path / str(number), spec, table(golden_rows()))
        shown += f"=== {label(spec)}\n{described(tmp_path / str(number))}"
    golden = GOLDEN / f"export_{name}.txt"
    assert shown == golden.read_text("utf-8")


def test_lines_are_counted_in_every_kind_of_file(tmp_path: Path) -> None:
    spec = ExportSpec(format="text", to="x")
    for ending in ("jsonl", "jsonl.gz", "jsonl.zip"):
        path = tmp_path / f"train.{ending}"
        writer = JsonLines(path, path.name, spec, lambda d: iter([{"text": "a\u2028b\nc"}]))
        for count in range(3):
            assert writer.rows == count
            writer.add(Document({}, []))
        writer.close()
        with path.open("rb") as file:
            assert count_lines(file, ending) == 3
