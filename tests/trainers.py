"""What trainers do with an export before they train, written anew from what their loaders ask for.

Each reader yields a document or sample as parts, `("text", text)` and `("image", SHA-256 of the
bytes)`, and fails where the trainer would fail, or would silently take another sample.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import math
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.optimize import linear_sum_assignment

Part = tuple[str, str]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def image_part(data: bytes) -> Part:
    """The part of an image that decodes."""
    with Image.open(io.BytesIO(data)) as image:
        image.convert("RGB")
    return "image", sha256(data)


def by_url(folder: Path, url: str) -> Part:
    """The part of an image whose file is named by the SHA-256 of its address."""
    return image_part((folder / sha256(url.encode())).read_bytes())


# --- OmniCorpus's LLaVA --------------------------------------------------------------------------


def _shards(folder: Path) -> list[Any]:
    """The samples of a folder of shards, each shard where the ranges say."""
    lengths = json.loads((folder / "length.json").read_text("utf-8"))
    ranges = json.loads((folder / "shard_id_range.json").read_text("utf-8"))
    ids = [number for start, end in ranges.values() for number in range(start, end)]
    total = sum(lengths.values())
    assert sorted(ids)[:total] == list(range(total))
    found: list[Any] = []
    for name, (start, end) in sorted(ranges.items(), key=lambda item: item[1][0]):
        text = (folder / name).read_text("utf-8")
        lines = io.StringIO(text, newline=None)  # as a file opened for reading splits lines
        rows = json.loads(text) if name.endswith(".json") else [json.loads(line) for line in lines]
        assert len(rows) == end - start == lengths[name]
        found += rows
    return found


def llava_obelisc(folder: Path, images: Path | None) -> Iterator[list[Part]]:
    """The reader of documents in parallel lists; without `images` files are not opened."""
    for sample in _shards(folder):
        urls, texts = sample["images"], sample["texts"]
        metadata = sample["metadata"]
        metadata = json.loads(metadata) if isinstance(metadata, str) else metadata
        shown = sum(url is not None for url in urls)
        assert len(urls) == len(texts)
        assert shown == sum(text is None for text in texts) == len(sample["valid_image"]) > 0
        assert all((url is None) == (m is None) for url, m in zip(urls, metadata, strict=True))
        yield [
            ("text", text) if url is None else by_url(images, url) if images else ("image", url)
            for url, text in zip(urls, texts, strict=True)
        ]


def llava_new_mmc4(folder: Path, images: Path | None) -> Iterator[list[Part]]:
    """The reader that assigns images to texts by itself, each text at most one image."""
    for sample in _shards(folder):
        infos, valid = sample["image_info"], sample["valid_image_ids"]
        matrix = np.array([sample["similarity_matrix"][number] for number in valid])
        assert matrix.shape == (len(valid), len(sample["text_list"]))
        paths = [images and images / infos[number]["image_name"] for number in valid]
        for number in valid:
            assert infos[number]["image_name"] == sha256(infos[number]["image_url"].encode())
        place = dict(zip(*linear_sum_assignment(-matrix), strict=True))
        before: dict[int, list[Part]] = {}
        for image, text in place.items():
            path = paths[image]
            part = image_part(path.read_bytes()) if path else ("image", infos[image]["raw_url"])
            before.setdefault(text, []).append(part)
        texts = enumerate(sample["text_list"])
        yield [part for n, text in texts for part in (*before.get(n, ()), ("text", text))]


# --- MMC4, LCL, OpenFlamingo ---------------------------------------------------------------------


def lcl(root: Path, count: int) -> list[Any]:
    """All documents of an LCL folder; images must be where the loader joins their names."""
    gaps = {3218, 3267, 5064, 5146, 7119, 8991, 9750}
    found: list[Any] = []
    for number in (number for number in range(count) if number not in gaps):
        name = f"docs_shard_{number}_v2.jsonl"
        with zipfile.ZipFile(root / "data" / f"{name}.zip") as archive:
            found += map(json.loads, io.BytesIO(archive.read(name)).readlines())
    return found


def mmc4_parts(row: dict[str, Any], load: Any) -> list[Part]:
    """A document with each image before its text, as `load` opens an entry of `image_info`."""
    texts, infos, matrix = row["text_list"], row["image_info"], row["similarity_matrix"]
    assert infos
    assert {"url", "could_have_url_duplicate"} <= set(row)
    assert [len(line) for line in matrix] == [len(texts)] * len(infos)
    indexes = [info["matched_text_index"] for info in infos]
    for info, line in zip(infos, matrix, strict=True):
        assert {"image_name", "raw_url", "matched_sim", "face_detections"} <= set(info)
        assert info["matched_sim"] == line[info["matched_text_index"]]
    if len(infos) <= len(texts):
        assert len(set(indexes)) == len(indexes), "one image a text"
    assert indexes == sorted(indexes), "the n-th image is the n-th mark in the text"
    parts: list[Part] = []
    for number, text in enumerate(texts):
        own = [info for info in infos if info["matched_text_index"] == number]
        parts += [*map(load, own), ("text", text)]
    return parts


def open_flamingo(tar: Path) -> Iterator[list[Part]]:
    """The reader of one JSON member a sample with images in base64."""
    with tarfile.open(tar) as members:
        for member in members:
            assert member.name.endswith(".json")
            file = members.extractfile(member)
            assert file is not None
            yield mmc4_parts(json.loads(file.read()), load_base64)


def load_base64(info: dict[str, Any]) -> Part:
    return image_part(base64.b64decode(info["image_base64"], validate=True))


# --- InternVL ------------------------------------------------------------------------------------


def tiles(width: int, height: int, most: int) -> int:
    """Tiles that InternVL cuts an image into, with the view of the whole."""
    shapes = sorted(
        {(i, j) for i in range(1, most + 1) for j in range(1, most + 1) if 1 <= i * j <= most},
        key=lambda shape: shape[0] * shape[1],
    )
    best, difference = (1, 1), math.inf
    for shape in shapes:
        off = abs(width / height - shape[0] / shape[1])
        large = width * height > 0.5 * 448 * 448 * shape[0] * shape[1]
        if off < difference or (off == difference and large):
            best, difference = shape, off
    count = best[0] * best[1]
    return count + (count > 1)


def internvl(
    folder: Path, max_tokens: int, max_tiles: int, tokens: Any
) -> Iterator[tuple[str, list[Part]]]:
    """Samples of the meta file, with the document's identity; `tokens` counts those of a text."""
    for entry in json.loads((folder / "meta.json").read_text("utf-8")).values():
        assert {"root", "annotation", "data_augment", "repeat_time", "length"} <= set(entry)
        annotation = Path(entry["annotation"])
        assert annotation.name.endswith("jsonl")
        lines = annotation.read_text("utf-8").split("\n")[:-1]
        assert len(lines) == entry["length"]
        for line in lines:
            item = json.loads(line)
            names = item.get("image", [])
            said = item["conversations"]
            assert [turn["from"] for turn in said] == ["human", "gpt"] * (len(said) // 2)
            assert "".join(turn["value"] for turn in said).count("<image>") == len(names)
            data = [(Path(entry["root"]) / name).read_bytes() for name in names]
            sizes = [Image.open(io.BytesIO(found)).size for found in data]
            if names:
                pairs = zip(item["width_list"], item["height_list"], strict=True)
                assert list(pairs) == sizes
            each = max(1, max_tiles // max(len(names), 1))
            images = sum(256 * tiles(*size, each) + 2 for size in sizes)
            texts = sum(tokens(turn["value"].replace("<image>", "")) + 6 for turn in said)
            assert images + texts + 60 <= max_tokens, "image tokens are truncated"
            shown, parts = iter(data), []
            for turn in said:
                if turn["from"] == "human":
                    assert not turn["value"].replace("<image>", "").strip()
                    marks = turn["value"].count("<image>")
                    parts += [image_part(next(shown)) for _ in range(marks)]
                else:
                    assert turn["value"]
                    parts.append(("text", turn["value"]))
            yield item["id"].rpartition("-")[0], parts


# --- Instructions --------------------------------------------------------------------------------
# A dialogue is the picture's part, or its address where no folder is given, and the rounds: what
# the trainer asks, without the mark, and what is learnt.

Dialogue = tuple[Part, list[tuple[str, str]]]


def _dialogue(name: str, said: list[dict[str, str]], root: Path | None) -> Dialogue:
    """A row's conversation, where one mark at the start of the first round is the one picture."""
    assert [turn["from"] for turn in said] == ["human", "gpt"] * (len(said) // 2)
    assert said
    assert sum(turn["value"].count("<image>") for turn in said) == 1
    first = said[0]["value"]
    assert first == "<image>" or first.startswith("<image>\n")
    asked = [first.removeprefix("<image>").removeprefix("\n"), *(t["value"] for t in said[2::2])]
    learnt = [turn["value"] for turn in said[1::2]]
    assert all(learnt), "nothing is learnt"
    part = ("image", name) if root is None else image_part((root / name).read_bytes())
    return part, list(zip(asked, learnt, strict=True))


def llava_instruct(annotation: Path, image_folder: Path | None) -> Iterator[tuple[str, Dialogue]]:
    """LLaVA's list; the loader draws another sample at random where a picture does not open."""
    rows = json.loads(annotation.read_text("utf-8"))
    assert isinstance(rows, list)
    for row in rows:
        assert {"id", "image", "conversations"} <= set(row)
        assert all(set(turn) == {"from", "value"} for turn in row["conversations"])
        assert isinstance(row["image"], str)
        yield row["id"], _dialogue(row["image"], row["conversations"], image_folder)


def mminstruct(
    folder: Path, image_folder: Path | None
) -> tuple[dict[str, list[tuple[str, Dialogue]]], dict[str, list[tuple[str, Dialogue]]]]:
    """The files by task and language, and those by domain, by name; what both say is the same."""
    found: list[dict[str, list[tuple[str, Dialogue]]]] = []
    for pattern in ("jsons_all/*.jsonl", "jsons_per_domain/*_per_domain/*.jsonl"):
        files: dict[str, list[tuple[str, Dialogue]]] = {}
        for path in sorted(folder.glob(pattern)):
            rows = [json.loads(line) for line in path.read_text("utf-8").split("\n")[:-1]]
            assert rows, "a file without rows cannot be loaded"
            assert all(list(row) == ["id", "image", "conversations"] for row in rows)
            files[str(path.relative_to(folder))] = [
                (row["id"], _dialogue(row["image"], row["conversations"], image_folder))
                for row in rows
            ]
        found.append(files)
    every, by_domain = found
    assert sorted(repr(r) for rows in every.values() for r in rows) == sorted(
        repr(r) for rows in by_domain.values() for r in rows
    )
    return every, by_domain


def internvl_chat(folder: Path) -> Iterator[tuple[str, Dialogue]]:
    """Samples of the meta file, one picture each, of the size that the row tells."""
    for entry in json.loads((folder / "meta.json").read_text("utf-8")).values():
        assert {"root", "annotation", "data_augment", "repeat_time", "length"} <= set(entry)
        assert isinstance(entry["max_dynamic_patch"], int)
        annotation = Path(entry["annotation"])
        assert annotation.name.endswith("jsonl")
        lines = annotation.read_text("utf-8").split("\n")[:-1]
        assert len(lines) == entry["length"]
        for line in lines:
            row = json.loads(line)
            assert "length" not in row, "the loader would take it for a number of tokens"
            root = Path(entry["root"])
            with Image.open(root / row["image"]) as image:
                assert image.size == (row["width"], row["height"])
            yield row["id"], _dialogue(row["image"], row["conversations"], root)


def sharegpt(folder: Path, media: Path | None) -> Iterator[Dialogue]:
    """ShareGPT's rows as LLaMA-Factory finds them by `dataset_info.json`."""
    for info in json.loads((folder / "dataset_info.json").read_text("utf-8")).values():
        assert info["formatting"] == "sharegpt"
        said, images = info["columns"]["messages"], info["columns"]["images"]
        for line in (folder / info["file_name"]).read_text("utf-8").split("\n")[:-1]:
            row = json.loads(line)
            marks = sum(turn["value"].count("<image>") for turn in row[said])
            assert marks == len(row[images]) == 1
            yield _dialogue(row[images][0], row[said], media)


def openai_chat(path: Path, media: Path | None) -> Iterator[Dialogue]:
    """Chats as OpenAI documents the lines of fine-tuning files."""
    for line in path.read_text("utf-8").split("\n")[:-1]:
        row = json.loads(line)
        assert list(row) == ["messages"]
        messages = row["messages"]
        assert [m["role"] for m in messages] == ["user", "assistant"] * (len(messages) // 2)
        assert all(set(m) == {"role", "content"} for m in messages)
        shown, *texts = messages[0]["content"]
        assert shown["type"] == "image_url"
        assert [part["type"] for part in texts] in ([], ["text"])
        url = shown["image_url"]["url"]
        if url.startswith("data:"):
            head, _, data = url.partition(",")
            content = base64.b64decode(data, validate=True)
            with Image.open(io.BytesIO(content)) as image:
                assert head == f"data:image/{(image.format or '').lower()};base64"
            part = image_part(content)
        else:
            part = ("image", url) if media is None else image_part((media / url).read_bytes())
        first = "".join(text["text"] for text in texts)
        asked = [first, *(m["content"] for m in messages[2::2])]
        learnt = [m["content"] for m in messages[1::2]]
        assert all(isinstance(text, str) for text in (*asked, *learnt))
        assert all(learnt)
        yield part, list(zip(asked, learnt, strict=True))
