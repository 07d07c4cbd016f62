"""Exports of instructions: MMInstruct, LLaVA, InternVL, chat messages, Parquet."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import pyarrow as pa

from operators.export_conversations import internvl_meta
from operators.export_dialogues import (
    ADDED,
    BORN,
    OF_IMAGE,
    TOLD,
    Instruction,
    InstructionLines,
    InstructionList,
    InstructionParquet,
    LinesAndFiles,
    asked,
    provenance,
    said,
)
from operators.export_documents import ImageFiles
from operators.export_format import (
    Format,
    ImageMode,
    JsonLines,
    Row,
    ShardWriter,
    count_lines,
    count_parquet,
)
from operators.export_hf import IMAGE, hf_image
from schemas.columns import COLUMNS
from schemas.job import ExportSpec

_LANGS = {"zh": "cn"}
_MOST_OF_DOMAIN = 60


class InstructionFormat(Format):
    """What formats of instructions have in common: one picture an instruction.

    Instructions without a picture to write, without a round or with an empty answer are left out.
    """

    table = "instructions"
    images: ClassVar[tuple[ImageMode, ...]] = ("beside", "urls")
    orders = ("natural",)
    reads = (*BORN, "image_url")
    takes = (*(name for name in OF_IMAGE if name in TOLD.values()), *ADDED)

    @classmethod
    def mistakes(cls, spec: ExportSpec) -> Iterator[tuple[str, str, str]]:
        yield from super().mistakes(spec)
        if spec.mask_pii:
            yield "mask_pii", "questions and answers are not masked", "remove the field"

    def count(self, file: BinaryIO) -> int:
        return count_lines(file, self.ending)

    def picture(self, instruction: Instruction, images: ImageFiles) -> str:
        """The picture's path below the target, where its file is put, or its address."""
        (image,) = instruction.images
        return image.url if self.spec.images == "urls" else self.image_file(image, images)


class LlavaInstructFormat(InstructionFormat):
    """LLaVA's JSON list (`id`, `image`, `conversations`).

    LLaVA's loader passes over other keys, so where a row comes from stands in it as `meta`.
    """

    name = "llava_instruct"
    meaning = "LLaVA's list of questions and answers about an image"
    consumer = "LLaVA, LLaVA-NeXT"
    variants: ClassVar = {"json": "json"}

    def writer(self, path: Path, name: str, images: ImageFiles) -> JsonLines:
        def rows(instruction: Instruction) -> Iterator[Row]:
            if instruction.trainable:
                yield {
                    "id": instruction.name,
                    "image": self.picture(instruction, images),
                    "conversations": said(instruction),
                    "meta": provenance(instruction),
                }

        return InstructionList(path, name, self.spec, rows)


class InternVLChatFormat(InstructionFormat):
    """InternVL's JSON lines (`id`, `image`, `width`, `height`, `conversations`) and `meta.json`.

    Its loader passes over other keys, so where a row comes from stands in it as `meta`. A picture
    that could not be decoded is left out.
    """

    name = "internvl_chat"
    meaning = "InternVL's questions and answers about an image, and meta.json"
    consumer = "InternVL 2.x and 3"
    variants: ClassVar = {"jsonl": "jsonl"}
    images = ("beside",)
    options = ("max_tiles",)
    reads = (*InstructionFormat.reads, "image_width", "image_height")

    def writer(self, path: Path, name: str, images: ImageFiles) -> JsonLines:
        def rows(instruction: Instruction) -> Iterator[Row]:
            size = [instruction.values[f"image_{side}"] for side in ("width", "height")]
            if instruction.trainable and all(size):
                yield {
                    "id": instruction.name,
                    "image": self.picture(instruction, images),
                    "width": size[0],
                    "height": size[1],
                    "conversations": said(instruction),
                    "meta": provenance(instruction),
                }

        return InstructionLines(path, name, self.spec, rows)

    def companions(self, shards: Sequence[tuple[str, int]]) -> dict[str, bytes]:
        """`meta.json`, which InternVL's option `--meta_path` names."""
        return {"meta.json": internvl_meta(self.spec, shards)}


# --- Files besides the shard ---------------------------------------------------------------------


class MMInstructFormat(InstructionFormat):
    """MMInstruct's files: `jsons_all/` by task and language, `jsons_per_domain/` by domain too.

    Their rows have MMInstruct's keys alone (`id`, `image`, `conversations`). The shard is
    `provenance-00000-of-00001.jsonl`: for each row, in the same order, where it comes from and the
    two `files` that it stands in.
    """

    name = "mminstruct"
    meaning = "MMInstruct's files by task, language and domain, with their provenance"
    consumer = "MMInstruct, LLaVA, datasets"
    variants: ClassVar = {"jsonl": "jsonl"}

    def shard_name(self, index: int, count: int) -> str:
        return f"provenance-{index:05d}-of-{count:05d}.jsonl"

    def writer(self, path: Path, name: str, images: ImageFiles) -> JsonLines:
        part = _part(name)

        def named(instruction: Instruction) -> Iterator[tuple[list[str], Row]]:
            if instruction.trainable:
                row = {
                    "id": instruction.name,
                    "image": self.picture(instruction, images),
                    "conversations": said(instruction),
                }
                yield mminstruct_files(instruction, part), row

        def rows(instruction: Instruction) -> Iterator[Row]:
            if instruction.trainable:
                files = mminstruct_files(instruction, part)
                yield {"id": instruction.name, "files": files, **provenance(instruction)}

        return LinesAndFiles(path, name, self.spec, rows, named, images)


def mminstruct_files(instruction: Instruction, part: str = "") -> list[str]:
    """The files that an instruction stands in: of its task and language, and of its domain.

    Signs of a domain that have no place in a file's name become `_`; `part` goes before the ending.
    """
    values = instruction.values
    task = "caption" if values["instruction_kind"] == "caption" else "qa"
    lang = _LANGS.get(values["instruction_lang"], values["instruction_lang"])
    domain = re.sub(r"[^\w-]", "_", values["instruction_domain"])[:_MOST_OF_DOMAIN] or "_"
    return [
        f"jsons_all/{task}_{lang}{part}.jsonl",
        f"jsons_per_domain/{task}_per_domain/{domain}_{lang}{part}.jsonl",
    ]


def _part(name: str) -> str:
    """What tells the files of one shard from those of another; nothing where there is but one."""
    found = re.search(r"-\d+-of-(\d+)\.", name)
    return found[0][:-1] if found and int(found[1]) > 1 else ""


class MessagesFormat(InstructionFormat):
    """Chats as OpenAI's API takes them, or ShareGPT's as LLaMA-Factory does.

    `openai`: `messages`, the picture before the first question as a part of its own; `embedded`
    pictures are data addresses. `sharegpt`: `conversations` and `images`, with `dataset_info.json`.
    One reader documents no other keys, the other infers a type for each, which fails where a key is
    null in one block and a text in the next. So where rows come from stands in `provenance-…`
    beside each shard, in the same order.
    """

    name = "messages"
    meaning = "chat messages of OpenAI, or ShareGPT's"
    consumer = "OpenAI fine-tuning, LLaMA-Factory"
    variants: ClassVar = {"openai": "jsonl", "sharegpt": "jsonl"}
    images = ("urls", "embedded", "beside")

    @classmethod
    def mistakes(cls, spec: ExportSpec) -> Iterator[tuple[str, str, str]]:
        yield from super().mistakes(spec)
        if spec.variant == "sharegpt" and spec.images == "embedded":
            message = "variant 'sharegpt' has no place for the bytes of images"
            yield "images", message, "use 'urls' or 'beside'"

    def writer(self, path: Path, name: str, images: ImageFiles) -> JsonLines:
        beside = re.sub(r"^train", "provenance", name)

        def rows(instruction: Instruction) -> Iterator[Row]:
            if instruction.trainable:
                shown = self._shown(instruction, images)
                if self.spec.variant == "openai":
                    yield {"messages": openai_messages(instruction, shown)}
                else:
                    yield {"conversations": said(instruction), "images": [shown]}

        def named(instruction: Instruction) -> Iterator[tuple[list[str], Row]]:
            if instruction.trainable:
                yield [beside], {"id": instruction.name, **provenance(instruction)}

        return LinesAndFiles(path, name, self.spec, rows, named, images)

    def _shown(self, instruction: Instruction, images: ImageFiles) -> str:
        if self.spec.images != "embedded":
            return self.picture(instruction, images)
        (image,) = instruction.images
        kind = image.values["image_format"] or "jpeg"
        return f"data:image/{kind};base64,{base64.b64encode(image.data).decode()}"

    def companions(self, shards: Sequence[tuple[str, int]]) -> dict[str, bytes]:
        """`dataset_info.json`: an entry a shard of ShareGPT, as LLaMA-Factory's folders have."""
        if self.spec.variant == "openai":
            return {}
        columns = {"messages": "conversations", "images": "images"}
        info = {
            name.removesuffix(".jsonl"): {
                "file_name": name,
                "formatting": "sharegpt",
                "columns": columns,
            }
            for name, rows in shards
            if rows
        }
        return {"dataset_info.json": json.dumps(info, indent=1).encode() + b"\n"}


def openai_messages(instruction: Instruction, address: str) -> list[Row]:
    """The rounds as messages; the first one of the user is a list of parts, the picture first."""
    found: list[Row] = []
    for number, (question, answer) in enumerate(asked(instruction)):
        content: Any = question
        if number == 0:
            content = [{"type": "image_url", "image_url": {"url": address}}]
            content += [{"type": "text", "text": question}] if question else []
        found.append({"role": "user", "content": content})
        found.append({"role": "assistant", "content": answer})
    return found


# --- Parquet -------------------------------------------------------------------------------------

_SAID = pa.list_(pa.struct([("from", pa.string()), ("value", pa.string())]))
_COLUMNS = (*BORN, "image_url", *OF_IMAGE, *ADDED)
_VALUE_TYPES = {"float": "float32", "double": "float64", "halffloat": "float16"}


class InstructionsParquetFormat(InstructionFormat):
    """A row an instruction with all that is known of it, and nothing left out.

    `conversations` is what is trained, `generation_prompt` what the model was asked, `image` the
    picture as `datasets` decodes it, its path or its address; null where there is none.
    """

    name = "instructions_parquet"
    meaning = "Parquet with every column of an instruction, images inside if asked for"
    consumer = "datasets, polars"
    variants: ClassVar = {"parquet": "parquet"}
    images = ("embedded", "urls", "beside")
    takes = (*OF_IMAGE, *ADDED)

    def count(self, file: BinaryIO) -> int:
        return count_parquet(file)

    def writer(self, path: Path, name: str, images: ImageFiles) -> ShardWriter:
        def rows(instruction: Instruction) -> Iterator[Row]:
            yield {
                **{name: instruction.values.get(name) for name in _COLUMNS},
                "conversations": said(instruction),
                "image": self._shown(instruction, images),
            }

        return InstructionParquet(path, self.spec, instructions_schema(self.spec), rows)

    def _shown(self, instruction: Instruction, images: ImageFiles) -> Any:
        if not instruction.images:
            return None
        if self.spec.images == "embedded":
            return hf_image(instruction.images[0])
        return self.picture(instruction, images)


def instructions_schema(spec: ExportSpec) -> pa.Schema:
    """All columns of the vocabulary that say something of an instruction, and of its picture.

    An export with images inside tells `datasets` to decode them.
    """
    embedded = spec.images == "embedded"
    fields = [
        pa.field("image", IMAGE if embedded else pa.string()),
        *(pa.field(name, COLUMNS[name].type) for name in _COLUMNS),
        pa.field("conversations", _SAID),
    ]
    if not embedded:
        return pa.schema(fields)
    features = {field.name: _feature(field.type) for field in fields[1:]}
    info = {"info": {"features": {"image": {"_type": "Image"}} | features}}
    return pa.schema(fields, {"huggingface": json.dumps(info)})


def _feature(kind: pa.DataType) -> Any:
    """An Arrow type as `datasets` writes it."""
    if pa.types.is_list(kind):
        return {"feature": _feature(kind.value_type), "_type": "List"}
    if pa.types.is_struct(kind):
        return {field.name: _feature(field.type) for field in kind}
    return {"dtype": _VALUE_TYPES.get(str(kind), str(kind)), "_type": "Value"}
