"""`omniloom verify` finds every file of an export that is not as it was written."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from operators.files import Files
from pipelines import load_job, run_job
from pipelines.verify import verify
from schemas.errors import ExportError
from tests.support import omniloom, write_job


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished export with several shards."""
    folder = tmp_path_factory.mktemp("verify")
    to = {"format": "omnicorpus", "to": str(folder / "shards"), "shard_mb": 0.004}
    run_job(load_job(write_job(folder, export=[to])))
    return folder / "shards"


@pytest.fixture(params=["local", "s3"])
def copy(request: pytest.FixtureRequest, tmp_path: Path, export: Path) -> Files:
    """A copy of the export to spoil, in a folder and in a bucket."""
    root = str(tmp_path / "copy")
    if request.param == "s3":
        request.getfixturevalue("s3")
        root = f"s3://corpus/{tmp_path.name}"
    files = Files(root)
    for path in export.iterdir():
        files.put(path.name, path)
    return files


def shards(files: Files) -> list[str]:
    return [info.path for info in files.list() if info.path.startswith("train-")]


def test_an_export_is_as_it_was_written(copy: Files) -> None:
    found = verify(copy.root)
    assert (found.files, found.wrong) == (len(shards(copy)), {})
    assert found.files > 2
    assert found.size == sum(info.size for info in copy.list() if info.path != "_SUCCESS.json")
    shown = omniloom("verify", copy.root).stdout
    assert f"verified  {found.files} files" in shown
    assert "all as they were written" in shown


def test_every_wrong_file_is_named(copy: Files) -> None:
    flipped, missing, short, *_ = shards(copy)
    data = bytearray(copy.read(flipped))
    data[len(data) // 2] ^= 1
    copy.write(flipped, bytes(data))
    copy.delete(missing)
    copy.write(short, copy.read(short)[:-1])
    copy.write("train-99999-of-99999.parquet", b"foreign")
    copy.write(".train-00000.7.partial", b"left by a killed writer")
    wrong = verify(copy.root).wrong
    assert list(wrong) == sorted([flipped, missing, short, "train-99999-of-99999.parquet"])
    assert "holds other bytes than were written" in wrong[flipped]
    assert wrong[missing] == "is missing"
    assert "were written" in wrong[short]
    assert wrong["train-99999-of-99999.parquet"] == "is not in the manifest"
    shown = omniloom("verify", copy.root, expect=1)
    for name in wrong:
        assert f"wrong     {name}: " in shown.stdout
    assert "4 wrong" in shown.stdout
    assert "resume" not in shown.stderr


def test_an_export_that_is_going_on_is_told(copy: Files) -> None:
    copy.write("_RUNNING.json", b"{}")
    assert verify(copy.root).wrong == {
        "_RUNNING.json": "an export is being written, or was interrupted"
    }


def test_image_files_are_read_from_the_lists_that_the_manifest_names(tmp_path: Path) -> None:
    files = Files(str(tmp_path))
    images = {f"images/{n}.png": bytes([n]) * 10 for n in range(3)}
    lines = "".join(
        json.dumps({"path": p, "size": len(d), "sha256": hashlib.sha256(d).hexdigest()}) + "\n"
        for p, d in images.items()
    )
    contents = {"train-0": b"shard", "lists/0.jsonl": lines.encode(), "notes.json": b"{}"} | images
    for name, data in contents.items():
        files.write(name, data)

    def record(name: str) -> dict[str, object]:
        data = contents[name]
        return {"name": name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}

    manifest = {
        "shards": [record("train-0") | {"images": record("lists/0.jsonl")}],
        "files": [record("notes.json")],
    }
    files.write("_SUCCESS.json", json.dumps(manifest).encode())
    assert (verify(str(tmp_path)).files, verify(str(tmp_path)).wrong) == (6, {})
    files.delete("images/1.png")
    files.write("images/2.png", b"other")
    assert list(verify(str(tmp_path)).wrong) == ["images/1.png", "images/2.png"]
    files.write("lists/0.jsonl", b"[]")
    assert "lists/0.jsonl" in verify(str(tmp_path)).wrong
    files.delete("lists/0.jsonl")
    assert verify(str(tmp_path)).wrong["lists/0.jsonl"] == "is missing"


def test_a_folder_without_a_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"holds no _SUCCESS\.json"):
        verify(str(tmp_path))
    (tmp_path / "_SUCCESS.json").write_text('{"shards": [{"name": 1}]}', "utf-8")
    with pytest.raises(ExportError, match="is not an export's manifest"):
        verify(str(tmp_path))
    assert "fix: " in omniloom("verify", tmp_path, expect=1).stderr
