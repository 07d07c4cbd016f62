"""Exports as the engine makes them: files beside shards, manifests, targets, what is refused."""

from __future__ import annotations

import hashlib
import inspect
import json
import tempfile
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from operators.base import Operator, measured
from operators.export import FORMATS
from operators.export_documents import ImageFiles
from operators.export_format import JsonLines
from operators.export_text import TextFormat, text_rows
from operators.extract import ExtractInterleaved
from operators.files import Files
from operators.masking import masked_nodes
from operators.pii import Pii
from operators.text import TextStatistics
from pipelines import cli, open_corpus
from pipelines.engine import RunResult, run_job
from pipelines.jobfile import load_job
from pipelines.plan import RECIPES, exported_columns
from pipelines.recipe import Recipe, asked, step
from pipelines.shards import without_dropped
from pipelines.verify import verify
from schemas import columns
from schemas.errors import ExportError, JobError
from schemas.job import ExportSpec
from tests.export_tables import node, picture, row, table
from tests.support import ROOT, SeaweedServer, omniloom, write_job
from tests.trainers import by_url, internvl, lcl, llava_obelisc, mmc4_parts, sha256

GOLDEN = Path(__file__).parent / "golden" / "export_errors.txt"
_WORDS = "The yard mends wooden boats and teaches the craft to everybody who comes by. "
_IMAGE_COLUMNS = (
    "image_data", "image_sha256", "image_format", "image_width", "image_height",
)  # fmt: skip


class Pictures(Operator[None]):
    """Made-up images and similarities, where the images table would give fetched ones."""

    name: ClassVar = "pictures"
    reads: ClassVar = columns.schema("nodes")
    writes: ClassVar = pa.schema(
        [*columns.seen_by_documents(*_IMAGE_COLUMNS), *columns.schema("clip_similarity")]
    )

    def measure(self, batch: pa.Table, state: None) -> pa.Table:
        found = []
        for nodes in batch["nodes"].to_pylist():
            texts = [n for n in nodes if n["kind"] != "image"]
            images = [n for n in nodes if n["kind"] == "image"]
            matrix = [
                [((3 * i + 5 * t) % 7) / 8 for t in range(len(texts))] for i in range(len(images))
            ]
            found.append(row("", nodes, matrix))
        return measured(self.writes, [[r[name] for r in found] for name in self.writes.names])


@pytest.fixture
def recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A recipe whose documents have images with bytes, and one without."""
    steps = (
        step("extract", "nodes", ExtractInterleaved),
        step("text", "sizes", TextStatistics),
        asked("pii", "personal data", Pii),
        asked("pictures", "images", Pictures),
    )
    monkeypatch.setitem(RECIPES, "pictured", Recipe("pictured", "documents with images", steps))
    monkeypatch.setitem(RECIPES, "plain", Recipe("plain", "documents alone", steps[:2]))


def page(name: str) -> str:
    blocks = "".join(
        f'<p>{_WORDS * 2} {name} number {n}.</p><img src="/{(n + len(name)) % 4}.jpg" '
        f'alt="Ring {name}@tidepool.io" width="600" height="400">'
        for n in range(3)
    )
    return f"<title>{name}</title><article><h1>{name}</h1>{blocks}<p>drop {_WORDS}</p></article>"


def write_pages(folder: Path, exports: list[dict[str, Any]], **fields: Any) -> Path:
    pages = folder / "pages"
    pages.mkdir(exist_ok=True)
    for name in ("boats", "oars", "masts", "knots", "sails"):
        (pages / f"{name}.html").write_text(page(name), "utf-8")
    given: dict[str, Any] = {
        "pipeline": "pictured",
        "inputs": [{"html": str(pages), "base_url": "https://yard.example/"}],
        "rules": {"dropped": {"table": "nodes", "drop": "node_word_count == 15"}},
        "stages": {},
        "unit_rows": 2,
        "export": exports,
    }
    return write_job(folder, **(given | fields))


def run(job: Path) -> RunResult:
    return run_job(load_job(job))


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "_SUCCESS.json"
    }


def manifest(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "_SUCCESS.json").read_text("utf-8"))
    return found


@pytest.mark.usefixtures("recipes")
def test_image_files_stand_beside_shards_and_are_listed(tmp_path: Path) -> None:
    target = tmp_path / "internvl"
    export = {"format": "internvl", "to": str(target), "shard_mb": 0.001}
    run(write_pages(tmp_path, [export]))
    corpus = open_corpus(str(tmp_path / "store"))
    samples = list(internvl(target, 8192, 12, lambda text: len(text) // 4))
    every: set[str] = set()
    for (name, parts), document in zip(samples, corpus, strict=True):
        assert name == document.doc_id
        kept = zip(document.nodes, document.nodes_kept, strict=True)
        nodes = [n for n, stays in kept if stays]
        assert len(nodes) < len(document.nodes)
        shown = [sha256(picture(n["image_url"])[0]) for n in nodes if n["image_url"]]
        while nodes[-1]["image_url"]:
            nodes.pop()
            shown.pop()
        assert [value for kind, value in parts if kind == "image"] == shown
        texts = [n["text"] for n in nodes if n["text"]]
        every |= set(shown)
        assert "\n\n".join(value for kind, value in parts if kind == "text") == "\n\n".join(texts)
    found, there = manifest(target), files_of(target)
    told: dict[str, tuple[int, str]] = {}
    for record in (*found["shards"], *(s["images"] for s in found["shards"]), *found["files"]):
        told[record["name"]] = (record["size"], record["sha256"])
    for shard in found["shards"]:
        for line in there[shard["images"]["name"]].splitlines():
            image = json.loads(line)
            told[image["path"]] = (image["size"], image["sha256"])
    assert told == {
        name: (len(data), hashlib.sha256(data).hexdigest()) for name, data in there.items()
    }
    assert len(found["shards"]) > 1
    assert {Path(name).stem for name in there if name.startswith("images/")} == every
    assert found["format"] == {
        "name": "internvl", "version": 1, "images": "beside", "order": "natural",
        "variant": "jsonl",
    }  # fmt: skip


@pytest.mark.usefixtures("recipes")
@pytest.mark.parametrize("damage", ["remove", "cut"])
@pytest.mark.parametrize("what", ["images/*/*", "lists/*", "meta.json", "train-*"])
def test_what_is_missing_or_damaged_is_written_again(
    what: str, damage: str, tmp_path: Path
) -> None:
    target = tmp_path / "internvl"
    job = write_pages(tmp_path, [{"format": "internvl", "to": str(target), "shard_mb": 0.001}])
    run(job)
    before = files_of(target)
    victim = sorted(target.glob(what))[0]
    victim.unlink() if damage == "remove" else victim.write_bytes(b"half")
    run(job)
    assert files_of(target) == before
    stamp = (target / "_SUCCESS.json").stat().st_mtime_ns
    run(job)
    assert (target / "_SUCCESS.json").stat().st_mtime_ns == stamp, "nothing is left to do"


class LinesWithFile(JsonLines):
    """JSON lines that have a file of their own beside them, as instructions' have."""

    own: str
    images: ImageFiles

    def close(self) -> None:
        super().close()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "own"
            path.write_text(f"{self.rows} rows are in the shard\n" * 20, "utf-8")
            self.images.put_own(self.own, path)


class Filed(TextFormat):
    """Text, and a file of the shard's own."""

    name = "filed"
    variants: ClassVar = {"jsonl": "jsonl"}

    def shard_name(self, index: int, count: int) -> str:
        return super().shard_name(index, count).replace("train", "provenance")

    def writer(self, path: Path, name: str, images: ImageFiles) -> JsonLines:
        writer = LinesWithFile(path, name, self.spec, text_rows)
        writer.own = f"jsons_per_domain/qa_per_domain/地标_en{name[10:-6]}.jsonl"
        writer.images = images
        return writer


@pytest.mark.usefixtures("recipes")
def test_files_of_a_shards_own_are_listed_kept_and_removed_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FORMATS, "filed", Filed)
    target = tmp_path / "filed"
    job = write_pages(tmp_path, [{"format": "filed", "to": str(target), "shard_mb": 0.001}])
    run(job)
    before, found = files_of(target), manifest(target)
    own = sorted(target.glob("jsons_per_domain/qa_per_domain/*"))
    assert len(own) == len(found["shards"]) > 1
    checked = verify(str(target))
    assert not checked.wrong
    assert checked.files == len(before)
    for damage in (own[0].unlink, lambda: own[1].write_bytes(b"half")):
        damage()
        assert list(verify(str(target)).wrong)
        run(job)
        assert files_of(target) == before
    stamp = (target / "_SUCCESS.json").stat().st_mtime_ns
    run(job)
    assert (target / "_SUCCESS.json").stat().st_mtime_ns == stamp, "nothing is left to do"
    marker = {"job_name": "job", "identity": found["identity"], "clean": True}
    (target / "_RUNNING.json").write_text(json.dumps(marker), "utf-8")
    (target / "_SUCCESS.json").unlink()
    (target / found["shards"][-1]["name"]).unlink()
    own[-1].write_bytes(b"of an attempt that was killed")
    (own[-1].parent / f".{own[-1].name}.77.partial").write_bytes(b"half")
    run(job)
    assert {n: d for n, d in files_of(target).items() if not n.endswith(".partial")} == before
    run(write_pages(tmp_path, [{"format": "text", "to": str(target)}]))
    assert sorted(files_of(target)) == ["train-00000-of-00001.jsonl.gz"]


@pytest.mark.usefixtures("recipes")
def test_an_export_that_was_killed_goes_on(tmp_path: Path) -> None:
    target = tmp_path / "llava"
    job = write_pages(tmp_path, [{"format": "llava", "to": str(target), "shard_mb": 0.001}])
    run(job)
    before = files_of(target)
    found = manifest(target)
    marker = {"job_name": "job", "identity": found["identity"], "clean": True}
    (target / "_RUNNING.json").write_text(json.dumps(marker), "utf-8")
    (target / "_SUCCESS.json").unlink()
    last = sorted(target.glob("train-*"))[-1]
    last.unlink()
    (target / f".{last.name}.77.partial").write_bytes(b"half")
    run(job)
    assert {n: d for n, d in files_of(target).items() if not n.endswith(".partial")} == before
    assert {k: v for k, v in manifest(target).items() if k != "created"} == {
        k: v for k, v in found.items() if k != "created"
    }
    assert len(list(llava_obelisc(target, target / "images"))) == 5


@pytest.mark.usefixtures("recipes")
@pytest.mark.parametrize(
    "path", ["images/cat.jpg", "lists/x.jsonl", "data/docs_shard_1.jsonl", "train-of-me.txt"]
)
def test_files_that_no_export_wrote_are_refused(path: str, tmp_path: Path) -> None:
    target = tmp_path / "out"
    job = write_pages(tmp_path, [{"format": "llava", "to": str(target)}])
    run(job)
    (target / path).parent.mkdir(exist_ok=True)
    (target / path).write_bytes(b"mine")
    other = write_pages(tmp_path, [{"format": "pairs", "to": str(target)}])
    with pytest.raises(ExportError, match="no export wrote"):
        run(other)
    assert (target / path).read_bytes() == b"mine"
    (target / path).unlink()
    run(other)
    assert sorted(p.name for p in target.rglob("*") if p.is_file()) == [
        "_SUCCESS.json", "train-00000-of-00001.jsonl",
    ]  # fmt: skip


@pytest.mark.usefixtures("recipes")
def test_similarities_are_those_of_the_nodes_that_were_kept(tmp_path: Path) -> None:
    target = tmp_path / "lcl"
    export = {
        "format": "mmc4", "variant": "lcl", "images": "beside", "to": str(target),
        "shard_mb": 0.0001,
    }  # fmt: skip
    run(write_pages(tmp_path, [export]))
    count = len(list((target / "data").iterdir()))
    assert count > 1
    corpus = {document.url: document for document in open_corpus(str(tmp_path / "store"))}
    documents = lcl(target, count)
    assert len(documents) == len(corpus)
    for found in documents:
        document = corpus[found["url"]]
        images = [n["image_url"] for n in document.nodes if n["image_url"]]
        texts = [n["text"] for n in document.nodes if n["text"]]
        matrix = document.values["clip_similarity"]
        for info, line in zip(found["image_info"], found["similarity_matrix"], strict=True):
            values = matrix[images.index(info["raw_url"])]
            assert line == [values[texts.index(text)] for text in found["text_list"]]
        parts = mmc4_parts(
            found, lambda info: ("image", sha256((target / "images" / info["image_name"])
                                                 .read_bytes()))
        )  # fmt: skip
        assert {value for kind, value in parts if kind == "image"} <= {
            sha256(picture(url)[0]) for url in images
        }


def test_matrices_lose_the_rows_and_columns_of_dropped_nodes() -> None:
    nodes = [
        node("image", None, "u1"), node("text", "a"), node("image", None, "u2"), node("text", "b"),
    ]  # fmt: skip
    whole = table(
        [
            row("one", nodes, [[1, 2], [3, 4]]),
            row("two", nodes, [None, [3, 4]]),
            row("three", nodes),
            row("four", []),
        ]
    )
    kept = [[True, False, True, True], [True, True, False, True], [False] * 4, []]
    for start in range(4):
        masks = pa.chunked_array([pa.array(kept[start:], pa.list_(pa.bool_()))])
        cut = without_dropped(whole.slice(start), masks).to_pylist()
        expected: list[Any] = [[[2], [4]], [None], None, None]
        assert [found["clip_similarity"] for found in cut] == expected[start:]
        for found, stays in zip(cut, kept[start:], strict=True):
            assert len(found["nodes"]) == len(found["image_data"]) == sum(stays)
    assert [n["image_url"] for n in cut[0]["nodes"]] == []
    bad = table([row("one", nodes, [[1, 2, 3], [3, 4, 5]])])
    with pytest.raises(ValueError, match="clip_similarity"):
        without_dropped(bad, pa.chunked_array([pa.array([[True] * 4])]))
    with pytest.raises(ValueError, match="does not hold an entry for each node"):
        without_dropped(whole.slice(2), pa.chunked_array([pa.array([[True] * 3, []])]))


@pytest.mark.usefixtures("recipes")
def test_shards_on_s3_are_counted_again_after_a_kill(tmp_path: Path, s3: SeaweedServer) -> None:
    kinds = {"mmc4": "lcl", "webdataset": "members", "llava": "conversations", "hf": "parquet"}
    exports = [
        {"format": name, "variant": variant, "to": f"s3://corpus/{name}"}
        for name, variant in kinds.items()
    ]
    job = write_pages(tmp_path, exports)
    run(job)
    before = {}
    for name in kinds:
        files = Files(f"s3://corpus/{name}")
        before[name] = json.loads(files.read("_SUCCESS.json"))
        marker = {"job_name": "job", "identity": before[name]["identity"], "clean": True}
        files.write("_RUNNING.json", json.dumps(marker).encode())
        files.delete("_SUCCESS.json")
    run(job)
    for name in kinds:
        again = json.loads(Files(f"s3://corpus/{name}").read("_SUCCESS.json"))
        assert again["shards"] == before[name]["shards"]
        assert again["rows"] == 5


@pytest.mark.usefixtures("recipes")
def test_the_same_documents_in_every_format(tmp_path: Path) -> None:
    exports: list[dict[str, Any]] = [
        {"format": "hf", "to": str(tmp_path / "hf")},
        {"format": "omnicorpus", "to": str(tmp_path / "omni"), "images": "beside"},
        {"format": "webdataset", "to": str(tmp_path / "web"), "order": "retrieval"},
        {"format": "pairs", "to": str(tmp_path / "pairs"), "mask_pii": True},
        {"format": "obelics", "to": str(tmp_path / "obelics"), "variant": "jsonl"},
    ]
    run(write_pages(tmp_path, exports))
    embedded = pq.read_table(tmp_path / "hf" / "train-00000-of-00001.parquet").to_pylist()
    beside = pq.read_table(tmp_path / "omni" / "train-00000-of-00001.parquet").to_pylist()
    assert len(embedded) == len(beside) == 5
    for one, other in zip(embedded, beside, strict=True):
        urls = [url for url in one["image_urls"] if url]
        assert urls == [url for url in other["images"] if url]
        for url in urls:
            assert by_url(tmp_path / "omni" / "images", url)[1] == sha256(picture(url)[0])
        assert [sha256(i["bytes"]) for i in one["images"] if i] == [
            sha256(picture(url)[0]) for url in urls
        ]
    shard = tmp_path / "pairs" / "train-00000-of-00001.jsonl"
    pairs = [json.loads(line) for line in shard.read_text("utf-8").splitlines()]
    assert {pair["caption"] for pair in pairs} == {"Ring [EMAIL]"}
    assert {manifest(tmp_path / e["to"])["rows"] for e in exports if e["format"] != "pairs"} == {5}


@pytest.mark.usefixtures("recipes")
def test_another_choice_is_another_export(tmp_path: Path) -> None:
    found = []
    for fields in ({}, {"images": "urls"}, {"order": "retrieval"}, {"images": "beside"}):
        export = {"format": "omnicorpus", "to": str(tmp_path / "out"), **fields}
        run(write_pages(tmp_path, [export]))
        found.append(manifest(tmp_path / "out")["identity"])
    assert found[0] == found[1]
    assert len(set(found)) == 3


@pytest.mark.usefixtures("recipes")
def test_columns_come_on_demand_and_only_where_they_are_asked_for(tmp_path: Path) -> None:
    result = run(write_pages(tmp_path, [{"format": "text", "to": str(tmp_path / "text")}]))
    assert [stage.name for stage in result.plan.stages] == ["extract", "text"]
    assert exported_columns(result.plan, ExportSpec(format="obelics", to="x")) == [
        "url", "source_file", "source_offset", "nodes",
    ]  # fmt: skip


def test_descriptions_of_images_are_masked_too() -> None:
    found = table([row("a", [node("image", None, "u", alt="me@tidepool.io", title="of me")])])
    spans = pa.chunked_array([pa.array([[None]], columns.column("node_pii").field.type)])
    masked = masked_nodes(found["nodes"], spans, ["email"]).to_pylist()[0][0]
    assert (masked["alt"], masked["title"], masked["text"]) == ("[EMAIL]", "of me", None)


WRONG: tuple[dict[str, Any], ...] = (
    {"format": "obelics", "images": "embedded"},
    {"format": "mmc4", "order": "natural"},
    {"format": "llava", "variant": "obelics"},
    {"format": "llava", "variant": "new_mmc4", "order": "natural", "images": "urls"},
    {"format": "text", "max_tiles": 3, "variant": "parquet"},
    {"format": "internvl", "max_tokens": 3000},
    {"format": "internvl"},
    {"format": "mmc4"},
    {"format": "omnicorpus", "order": "retrieval", "images": "beside"},
    {"format": "pairs", "captions": ["alt", "similarity"]},
    {"format": "pairs", "captions": ["title"], "images": "inline"},
)


@pytest.mark.usefixtures("recipes")
def test_every_wrong_export_is_told_with_its_fix(tmp_path: Path) -> None:
    exports = [{"to": str(tmp_path / f"to{n}"), **fields} for n, fields in enumerate(WRONG)]
    job = write_pages(tmp_path, exports, pipeline="plain")
    with pytest.raises(JobError) as error:
        run(job)
    assert str(error.value).replace(str(job), "job.yaml") + "\n" == GOLDEN.read_text("utf-8")


# --- The command ---------------------------------------------------------------------------------


def test_the_command_reaches_every_field() -> None:
    options = {name.rstrip("_") for name in inspect.signature(cli.export).parameters}
    assert set(ExportSpec.model_fields) <= options
    shown = omniloom("export", "--list").stdout
    for word in ("webdataset", "new_mmc4", "embedded", "retrieval", "InternVL"):
        assert word in shown


def test_every_choice_is_documented() -> None:
    exports, jobs = (
        (ROOT / "docs" / f"{name}.md").read_text("utf-8") for name in ("exports", "jobs")
    )
    for field in ExportSpec.model_fields:
        assert f"`{field}`" in jobs
    for name, kind in FORMATS.items():
        choices = (", ".join(kind.images), ", ".join(kind.orders))
        variants = ", ".join(f"`{variant}`" for variant in kind.variants)
        wanted = f"| `{name}` | {kind.consumer} | {variants} | {choices[0]} | {choices[1]} |"
        assert wanted in exports


def test_the_command_passes_its_options_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = write_job(tmp_path, export=[])
    target = tmp_path / "pairs"
    options = ["--format", "pairs", "--variant", "parquet", "--images", "urls"]
    more = ["--captions", "alt", "--row-group-rows", "7", "--mask-kind", "email"]
    assert cli.run_app(["export", str(job), "--to", str(target), *options, *more]) == 0
    found = manifest(target)
    assert found["format"]["variant"] == "parquet"
    assert found["mask_pii"] == ["email"]
    shard = pq.ParquetFile(target / "train-00000-of-00001.parquet")
    assert set(shard.read()["reason"].to_pylist()) == {"alt"}
    assert shard.metadata.row_group(0).num_rows == 7
    assert cli.run_app(["export", str(job), "--to", str(target), "--images", "inline"]) == 2
    assert "use 'urls', 'embedded' or 'beside'" in capsys.readouterr().err
