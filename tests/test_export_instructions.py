"""Exports of instructions: what is written is what was kept, as trainers read it back."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image as Picture

from operators.blurring import with_blurred_faces
from operators.export import FORMATS, format_of
from operators.export_dialogues import instructions
from operators.export_documents import ImageFiles, harmless
from operators.export_instructions import mminstruct_files
from operators.files import Files
from pipelines.backend import environment
from pipelines.export import _is_ours
from schemas.columns import COLUMNS, column
from schemas.job import ExportSpec
from tests.export_tables import URLS, picture
from tests.instruction_tables import SCHEMA, instruction, label, rows, specs, table, turn
from tests.strategies import split, split_points
from tests.trainers import (
    Dialogue,
    internvl_chat,
    llava_instruct,
    mminstruct,
    openai_chat,
    sha256,
    sharegpt,
)

GOLDEN = Path(__file__).parent / "golden" / "export_instructions.txt"
few = settings(
    deadline=None,
    max_examples=12,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
numbers = itertools.count()
every_export = pytest.mark.parametrize("spec", specs(), ids=label)


def export(folder: Path, spec: ExportSpec, *tables: pa.Table, count: int = 1) -> list[Path]:
    """An export with a shard a table (or one of all), and what goes with it."""
    kind = format_of(spec.model_copy(update={"to": str(folder)}))
    groups = [tables] if count == 1 else [(part,) for part in tables]
    folder.mkdir(parents=True)
    paths, shards = [], []
    for index, group in enumerate(groups):
        name = kind.shard_name(index, len(groups))
        images = ImageFiles(Files(str(folder)))
        writer = kind.writer(folder / name, name, images)
        for part in group:
            writer.write(part)
        writer.close()
        for beside in images.written.values():
            data = (folder / beside.path).read_bytes()
            assert (len(data), sha256(data)) == (beside.size, beside.sha256)
        with (folder / name).open("rb") as file:
            assert kind.count(file) == writer.rows
        paths.append(folder / name)
        shards.append((name, writer.rows))
    for companion, data in kind.companions(shards).items():
        (folder / companion).write_bytes(data)
    for path in folder.rglob("*"):
        assert path.is_dir() or _is_ours(str(path.relative_to(folder))), path
    return paths


def all_bytes(folder: Path) -> dict[str, bytes]:
    """Every file but for the meta file, which tells its own place."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "meta.json"
    }


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").split("\n")[:-1]]


# --- What should be there ------------------------------------------------------------------------


def edited(row: dict[str, Any], name: str) -> Any:
    found = row[f"reviewed_{name}"]
    return row[name] if found is None else found


def is_written(row: dict[str, Any], images: str) -> bool:
    turns = edited(row, "turns")
    shown = images == "urls" or row["image_data"] is not None
    return bool(shown and turns and all(t["answer"].strip() for t in turns))


def rounds(row: dict[str, Any]) -> list[tuple[str, str]]:
    """The training text of a row, told anew: question, options as lines, form of the answer."""
    found = []
    for number, said in enumerate(edited(row, "turns")):
        text = said["question"]
        if number == 0:
            for sign, option in zip("ABCDEFGH", edited(row, "options"), strict=False):
                text += f"\n{sign}. {option}" if text else f"{sign}. {option}"
        if row["answer_prompt"]:
            text += "\n" + row["answer_prompt"] if text else row["answer_prompt"]
        found.append((harmless(text), harmless(said["answer"])))
    return found


def dialogue(row: dict[str, Any], images: str) -> Dialogue:
    shown = row["image_url"] if images == "urls" else sha256(row["image_data"])
    return ("image", shown), rounds(row)


def check_provenance(found: dict[str, Any], row: dict[str, Any]) -> None:
    """Both prompts, licence and source stand with the row that they are of."""
    for key in ("generation_prompt", "generation_model", "generation_usd", "seeds"):
        assert found[key] == row[key]
    for key in ("kind", "domain", "lang", "source", "licence"):
        assert found[key] == row[f"instruction_{key}"]
    assert found["answer_prompt"] == row["answer_prompt"]
    assert found["image_url"] == row["image_url"]
    assert found["edited"] is (
        row["reviewed_turns"] is not None or row["reviewed_options"] is not None
    )


# --- Round trips ---------------------------------------------------------------------------------


def read_back(
    folder: Path, path: Path, spec: ExportSpec
) -> tuple[list[Dialogue], list[dict[str, Any]]]:
    """The dialogues of an export in order, through their readers' checks, and their provenance."""
    media = None if format_of(spec).spec.images in ("urls", "embedded") else folder
    match spec.format, spec.variant:
        case "llava_instruct", _:
            metas = [row["meta"] for row in json.loads(path.read_text("utf-8"))]
            return [found for _, found in llava_instruct(path, media)], metas
        case "internvl_chat", _:
            return [found for _, found in internvl_chat(folder)], [r["meta"] for r in lines(path)]
        case "messages", "openai":
            metas = (
                lines(folder / path.name.replace("train", "provenance"))
                if path.stat().st_size
                else []
            )
            return list(openai_chat(path, media)), metas
        case "messages", _:
            metas = (
                lines(folder / path.name.replace("train", "provenance"))
                if path.stat().st_size
                else []
            )
            return list(sharegpt(folder, media)), metas
        case "mminstruct", _:
            every, by_domain = mminstruct(folder, media)
            metas = lines(path)
            iterators = {name: iter(found) for name, found in (every | by_domain).items()}
            dialogues = []
            for meta in metas:
                both = [next(iterators[name]) for name in meta["files"]]
                assert both[0] == both[1]
                assert both[0][0] == meta["id"]
                dialogues.append(both[0][1])
            assert all(next(rest, None) is None for rest in iterators.values())
            return dialogues, metas
    raise AssertionError(spec)


@pytest.mark.parametrize(
    "spec", [spec for spec in specs() if spec.format != "instructions_parquet"], ids=label
)
@few
@given(found=rows(), data=st.data())
def test_what_is_read_back_is_what_was_kept_in_order(
    spec: ExportSpec, found: list[dict[str, Any]], data: st.DataObject, tmp_path: Path
) -> None:
    folder, again = tmp_path / str(next(numbers)), tmp_path / str(next(numbers))
    images = format_of(spec).spec.images or ""
    kept = [row for row in found if is_written(row, images)]
    (path,) = export(folder, spec, table(found))
    dialogues, metas = read_back(folder, path, spec)
    assert dialogues == [dialogue(row, images) for row in kept]
    for meta, row in zip(metas, kept, strict=True):
        check_provenance(meta, row)
    export(again, spec, *split(table(found), data.draw(split_points(len(found)))))
    assert all_bytes(again) == all_bytes(folder)


@pytest.mark.parametrize(
    "spec", [spec for spec in specs() if spec.format == "instructions_parquet"], ids=label
)
@few
@given(found=rows())
def test_parquet_holds_every_row_and_column(
    spec: ExportSpec, found: list[dict[str, Any]], tmp_path: Path
) -> None:
    folder = tmp_path / str(next(numbers))
    (path,) = export(folder, spec, table(found))
    back = pq.read_table(path).to_pylist()
    assert len(back) == len(found)
    shared = [name for name in SCHEMA.names if name in COLUMNS and name not in _NOT_IN_PARQUET]
    assert {"instruction_id", "turns", "image_url", "generation_prompt"} <= set(shared)
    for row, kept in zip(back, found, strict=True):
        assert {name: row[name] for name in shared} == {name: kept[name] for name in shared}
        said = row["conversations"]
        human, gpt = ([t["value"] for t in said[n::2]] for n in (0, 1))
        marked = [f"<image>\n{asked}" if asked else "<image>" for asked, _ in rounds(kept)[:1]]
        assert human == marked + [asked for asked, _ in rounds(kept)[1:]]
        assert gpt == [learnt for _, learnt in rounds(kept)]
        match spec.images:
            case "embedded":
                assert (row["image"] and row["image"]["bytes"]) == kept["image_data"]
            case "beside" if kept["image_data"]:
                assert (folder / row["image"]).read_bytes() == kept["image_data"]
            case "beside":
                assert row["image"] is None
            case _:
                assert row["image"] == kept["image_url"]


_NOT_IN_PARQUET = {"image_row", "image_data"}


@few
@given(found=rows(), points=st.lists(st.integers(0, 5), min_size=1, max_size=2).map(sorted))
def test_shards_of_mminstruct_have_files_of_their_own(
    found: list[dict[str, Any]], points: list[int], tmp_path: Path
) -> None:
    folder = tmp_path / str(next(numbers))
    spec = ExportSpec(format="mminstruct", to="x", images="urls")
    parts = split(table(found), [min(point, len(found)) for point in points])
    paths = export(folder, spec, *parts, count=len(parts))
    every, _ = mminstruct(folder, None)
    kept = [row for row in found if is_written(row, "urls")]
    told = [row for rows_ in every.values() for row in rows_]
    assert sorted(map(repr, told)) == sorted(
        repr((row["instruction_id"], dialogue(row, "urls"))) for row in kept
    )
    assert [r["id"] for path in paths for r in lines(path)] == [r["instruction_id"] for r in kept]
    for name in every:
        assert f"-of-{len(parts):05d}.jsonl" in name


# --- Single cases --------------------------------------------------------------------------------


def golden_rows() -> list[dict[str, Any]]:
    """An instruction of each kind; the pictures are bitmaps, which every encoder writes alike."""
    choice = [turn("Which bridge is this?", "B")]
    talk = [turn("What is <image> here?", "A bridge."), turn("Of what?", "Of steel.")]
    given: dict[str, Any] = {"form": "bmp"}
    return [
        instruction("multiple_choice", choice, ["Old", "New", "<image>"],
                    answer_prompt="Answer with the letter alone.", **given),
        instruction("multi_round", talk, **given),
        instruction("caption", [turn("请描述图片。", "一座桥。")], lang="zh",
                    instruction_domain="image style", **given),
        instruction("caption", [turn("", "A bridge at night.")], url=URLS[1],
                    instruction_source="LLaVA", instruction_licence="CC BY 4.0",
                    generation_prompt=None, generation_model=None, generation_usd=None,
                    seeds=[], **given),
        instruction("judgement", [turn("这是桥吗？", "是")], lang="zh",
                    reviewed_turns=[turn("这是一座桥吗？", "是")], **given),
        instruction("short_vqa", [turn("How many?", " ")], **given),
        instruction("long_vqa", [], **given),
        instruction("long_vqa", [turn("Why?", "Because.")], fetched=False, **given),
    ]  # fmt: skip


def described(folder: Path) -> str:
    shown: list[str] = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        shown.append(f"--- {path.relative_to(folder)}")
        if path.suffix in (".json", ".jsonl"):
            text = path.read_text("utf-8").replace(str(folder), "TARGET").rstrip("\n")
            shown.append(text)
        else:
            data = path.read_bytes()
            shown.append(f"{len(data)} bytes, SHA-256 {sha256(data)[:12]}")
    return "\n".join(shown) + "\n"


def test_the_files_of_a_few_instructions_are_as_they_were(tmp_path: Path) -> None:
    shown = ""
    for number, spec in enumerate(specs()):
        if spec.images == "embedded" or spec.format == "instructions_parquet":
            continue  # base64 of bitmaps; a schema that grows with the vocabulary
        export(tmp_path / str(number), spec, table(golden_rows()))
        shown += f"=== {label(spec)}\n{described(tmp_path / str(number))}"
    assert shown == GOLDEN.read_text("utf-8")


def test_files_are_named_as_upstream_names_them() -> None:
    spec = ExportSpec(format="mminstruct", to="x", images="urls")
    names = []

    def note(**values: Any) -> None:
        row = instruction("caption", [turn("q", "a")]) | values
        (found,) = instructions(table([row]), format_of(spec).spec)
        names.append(mminstruct_files(found))

    note(instruction_domain="artwork")
    note(instruction_kind="judgement", instruction_lang="zh", instruction_domain="meme")
    note(instruction_domain="../../etc/passwd")
    note(instruction_domain="")
    note(instruction_domain="地标" * 40)
    assert names[:2] == [
        ["jsons_all/caption_en.jsonl", "jsons_per_domain/caption_per_domain/artwork_en.jsonl"],
        ["jsons_all/qa_cn.jsonl", "jsons_per_domain/qa_per_domain/meme_cn.jsonl"],
    ]
    safe = [name.rpartition("/")[2] for _, name in names[2:]]
    assert safe[:2] == ["______etc_passwd_en.jsonl", "__en.jsonl"]
    assert len(safe[2].encode()) < 255


def test_what_is_measured_and_reviewed_goes_with_the_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "operators.export_dialogues.ADDED",
        ("review_status", "made_up_ratio", "reviewed_turns", "reviewed_options"),
    )
    row = instruction("short_vqa", [turn("q", "a")], review_status="accepted", made_up_ratio=0.25)
    odd = row | {"made_up_ratio": float("nan"), "review_status": None}
    spec = ExportSpec(format="llava_instruct", to="x")
    (path,) = export(tmp_path / "out", spec, table([row, odd]))
    found = [r["meta"]["measures"] for r in json.loads(path.read_text("utf-8"))]
    assert found == [{"review_status": "accepted", "made_up_ratio": 0.25}, {}]


def test_a_picture_without_a_size_is_left_out_of_internvl(tmp_path: Path) -> None:
    found = [instruction("short_vqa", [turn("q", "a")], image_width=None, image_height=None)]
    (path,) = export(tmp_path / "out", ExportSpec(format="internvl_chat", to="x"), table(found))
    assert path.read_bytes() == b""
    assert json.loads((tmp_path / "out" / "meta.json").read_text()) == {}


def test_one_export_writes_a_picture_once(tmp_path: Path) -> None:
    found = [instruction("short_vqa", [turn(f"q{n}", "a")]) for n in range(5)]
    export(tmp_path / "out", ExportSpec(format="llava_instruct", to="x"), table(found))
    assert len([p for p in (tmp_path / "out" / "images").rglob("*") if p.is_file()]) == 1


def test_faces_are_blurred_in_the_pictures_of_instructions() -> None:
    stream = io.BytesIO()
    noise = Picture.effect_noise((64, 64), 90)
    noise.save(stream, "png")
    face = {"left": 8, "top": 8, "right": 40, "bottom": 40, "score": 1.0}
    with_faces = pa.table(
        {
            "image_data": pa.array([stream.getvalue()] * 3 + [None], pa.large_binary()),
            "image_sha256": pa.array([sha256(stream.getvalue())] * 3 + [None]),
            "image_faces": pa.array(
                [[face], [], None, [face]], column("image_faces").seen_by_documents.type.value_type
            ),
        }
    )
    found = with_blurred_faces(with_faces).to_pylist()
    assert found[0]["image_data"] != stream.getvalue()
    assert found[0]["image_sha256"] == sha256(found[0]["image_data"])
    assert found[1]["image_data"] == stream.getvalue()
    assert [f["image_data"] for f in found[2:]] == [None, None], "nobody looked for faces"
    assert [f["image_sha256"] for f in found[2:]] == [None, None]


def test_what_instructions_cannot_have_is_refused() -> None:
    masked = ExportSpec.model_validate({"format": "mminstruct", "to": "x", "mask_pii": True})
    ((field, message, _),) = FORMATS["mminstruct"].mistakes(masked)
    assert (field, message) == ("mask_pii", "questions and answers are not masked")
    inside = ExportSpec(format="messages", to="x", variant="sharegpt", images="embedded")
    ((field, message, fix),) = FORMATS["messages"].mistakes(inside)
    assert field == "images"
    assert fix == "use 'urls' or 'beside'"


def test_columns_that_are_needed_and_taken() -> None:
    kind = format_of(ExportSpec(format="llava_instruct", to="x", blur_faces=True))
    needs = kind.needs()
    assert needs["turns"] == "format"
    assert needs["image_data"] == "images"
    assert needs["image_faces"] == "blur_faces"
    urls = format_of(ExportSpec(format="llava_instruct", to="x", images="urls"))
    assert "image_data" not in urls.needs()
    assert "image_sha256" in urls.columns(["image_sha256"])
    assert "image_sha256" not in urls.columns([])


# --- Real readers --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    home = str(tmp_path_factory.mktemp("hf"))
    with environment({"HF_HUB_OFFLINE": "1", "HF_HOME": home}):
        import datasets

        datasets.disable_progress_bars()
        yield datasets


@every_export
def test_hugging_face_loads_what_was_written(
    spec: ExportSpec, datasets: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "export"
    (path,) = export(folder, spec, table(golden_rows()))
    wanted = sum(is_written(row, format_of(spec).spec.images or "") for row in golden_rows())
    cache = str(tmp_path / "cache")
    if spec.format == "mminstruct":
        files = [str(f) for f in sorted((folder / "jsons_all").iterdir())]
        loaded = datasets.load_dataset("json", data_files=files, cache_dir=cache, split="train")
        assert loaded.num_rows == wanted
        assert loaded.column_names == ["id", "image", "conversations"]
        return
    loaded = datasets.load_dataset(str(folder), cache_dir=cache, split="train")
    if spec.format == "instructions_parquet":
        assert loaded.num_rows == len(golden_rows())
        first = loaded[0]
        assert first["turns"] == golden_rows()[0]["turns"]
        if spec.images == "embedded":
            assert first["image"].size == picture(URLS[0], "bmp")[2:]
            assert loaded[len(loaded) - 1]["image"] is None
        return
    assert loaded.num_rows == wanted > 0
    assert path.exists()
