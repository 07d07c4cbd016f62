"""Documents as conversations: images in human turns, the text that follows them in gpt turns.

Trainers learn from gpt turns alone, and some put images in the place of `<image>` in human turns
only. So a document becomes an alternation: a run of images (or nothing) says the human, the text
that follows says gpt. Images after the last text are left out, because nothing is learnt from them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, ClassVar

from operators.export_documents import Document, Image, ImageFiles, Text, harmless
from operators.export_format import Format, JsonLines, Row, count_lines
from operators.files import is_remote
from schemas.job import ExportSpec

MARK = "<image>"
TILE_TOKENS = 256
"""Tokens of a tile of 448 x 448 pixels in InternVL."""
_IMAGE_TOKENS = 2  # its start and end
_TURN_TOKENS = 12
_SAMPLE_TOKENS = 96  # the template's own words
_TEXT_MARGIN = 1.2  # the estimate of a text's tokens is that of another model


@dataclass
class Turn:
    """A run of images, and the text after it with the estimate of its tokens."""

    images: list[Image] = field(default_factory=list)
    text: str = ""
    tokens: int = 0


def turns(parts: Iterable[Text | Image]) -> list[Turn]:
    """A document's turns in order; each has a text, and images but for the first maybe."""
    found: list[Turn] = []
    waiting: list[Image] = []
    for part in parts:
        if isinstance(part, Image):
            waiting.append(part)
            continue
        if waiting or not found:
            found.append(Turn(waiting))
            waiting = []
        turn = found[-1]
        text = harmless(part.text)
        turn.text = f"{turn.text}\n\n{text}" if turn.text else text
        turn.tokens += _tokens(part)
    return found


def _tokens(text: Text) -> int:
    """The estimate with a margin; without one, a token a character."""
    if text.tokens is None:
        return len(text.text) + 2
    return math.ceil(text.tokens * _TEXT_MARGIN) + 2


def conversation(sample: Sequence[Turn]) -> list[dict[str, str]]:
    """The turns as LLaVA and InternVL write them."""
    said: list[dict[str, str]] = []
    for turn in sample:
        said.append({"from": "human", "value": "\n".join([MARK] * len(turn.images))})
        said.append({"from": "gpt", "value": turn.text})
    return said


# --- InternVL ------------------------------------------------------------------------------------


class InternVLFormat(Format):
    """InternVL's JSON lines (`id`, `image`, `width_list`, `height_list`, `conversations`).

    Documents are cut such that text and image tiles fit `max_tokens`, because InternVL throws away
    a sample whose images are cut off. `meta.json` is what its option `--meta_path` names.
    """

    name = "internvl"
    meaning = "InternVL's conversations and meta.json, cut to a budget of tokens"
    consumer = "InternVL 2.x and 3"
    variants: ClassVar = {"jsonl": "jsonl"}
    images = ("beside",)
    options = ("max_tokens", "max_tiles")
    reads = ("doc_id", "nodes", "image_width", "image_height")
    takes = ("node_token_count",)

    @classmethod
    def mistakes(cls, spec: ExportSpec) -> Iterator[tuple[str, str, str]]:
        yield from super().mistakes(spec)
        least = 2 * sample_tokens(1, 0, spec.max_tiles)
        if spec.max_tokens < least:
            message = f"leaves no room for text beside an image of {spec.max_tiles} tiles"
            yield "max_tokens", message, f"use {least} or more, or fewer max_tiles"

    def count(self, file: BinaryIO) -> int:
        return count_lines(file, self.ending)

    def writer(self, path: Path, name: str, images: ImageFiles) -> JsonLines:
        def rows(document: Document) -> Iterator[Row]:
            samples = split(turns(document.parts), self.spec.max_tokens, self.spec.max_tiles)
            for number, sample in enumerate(samples):
                yield self._row(f"{document.values['doc_id']}-{number}", sample, images)

        return JsonLines(path, name, self.spec, rows)

    def _row(self, name: str, sample: Sequence[Turn], images: ImageFiles) -> Row:
        shown = [image for turn in sample for image in turn.images]
        row: Row = {"id": name}
        if shown:
            row["image"] = [self.image_file(image, images) for image in shown]
            row["width_list"] = [image.values["image_width"] for image in shown]
            row["height_list"] = [image.values["image_height"] for image in shown]
        return row | {"conversations": conversation(sample)}

    def companions(self, shards: Sequence[tuple[str, int]]) -> dict[str, bytes]:
        """`meta.json`."""
        return {"meta.json": internvl_meta(self.spec, shards)}


def internvl_meta(spec: ExportSpec, shards: Sequence[tuple[str, int]]) -> bytes:
    """InternVL's `meta.json`: an entry a shard that is not empty.

    Addresses are full ones because trainers run elsewhere.
    """
    target = spec.to.rstrip("/")
    if not is_remote(target):
        target = str(Path(target).expanduser().absolute())
    meta = {
        name.removesuffix(".jsonl"): {
            "root": f"{target}/",
            "annotation": f"{target}/{name}",
            "data_augment": False,
            "max_dynamic_patch": spec.max_tiles,
            "repeat_time": 1,
            "length": rows,
        }
        for name, rows in shards
        if rows
    }
    return json.dumps(meta, indent=1).encode() + b"\n"


def sample_tokens(images: int, turns_: int, max_tiles: int) -> int:
    """Tokens of a sample but for its texts, at most.

    InternVL cuts each of n images into at most max_tiles / n tiles, and adds a small view of the
    whole where there is more than one tile.
    """
    tiles = max(1, max_tiles // max(images, 1))
    each = TILE_TOKENS * (tiles + (tiles > 1)) + _IMAGE_TOKENS
    return _SAMPLE_TOKENS + turns_ * _TURN_TOKENS + images * each


def split(document: Sequence[Turn], max_tokens: int, max_tiles: int) -> Iterator[list[Turn]]:
    """The document's turns as samples that fit the budget, in order.

    A text that is too long goes on in the next sample, without images. Of a run of images that does
    not fit, the last stay: those nearest to the text.
    """
    sample: list[Turn] = []
    for turn in document:
        if sample and not _fits([*sample, turn], max_tokens, max_tiles):
            yield sample
            sample = []
        rest: Turn | None = turn
        while rest is not None and not _fits([*sample, rest], max_tokens, max_tiles):
            piece, rest = _cut(rest, max_tokens, max_tiles)
            yield [piece]
        if rest is not None:
            sample.append(rest)
    if sample:
        yield sample


def _fits(sample: Sequence[Turn], max_tokens: int, max_tiles: int) -> bool:
    images = sum(len(turn.images) for turn in sample)
    texts = sum(turn.tokens for turn in sample)
    return sample_tokens(images, 2 * len(sample), max_tiles) + texts <= max_tokens


def _cut(turn: Turn, max_tokens: int, max_tiles: int) -> tuple[Turn, Turn | None]:
    """A piece of the turn that fits a sample of its own, and what is left of it."""
    images = list(turn.images)
    for_text = min(turn.tokens, max_tokens // 4)
    while images and sample_tokens(len(images), 2, max_tiles) + for_text > max_tokens:
        del images[0]
    room = max_tokens - sample_tokens(len(images), 2, max_tiles)
    if turn.tokens <= room:
        return Turn(images, turn.text, turn.tokens), None
    start, end = _broken(turn.text, len(turn.text) * room // turn.tokens)
    tokens = -(-turn.tokens * len(end) // len(turn.text))
    return Turn(images, start, room), Turn([], end, tokens)


def _broken(text: str, most: int) -> tuple[str, str]:
    """The text in two, the first of at most `most` characters, cut after a space if there is one.

    Joined they are the text again.
    """
    most = max(most, 1)
    space = max(text.rfind(sign, most // 2, most) for sign in " \n\t")
    at = space + 1 if space > 0 else most
    return text[:at], text[at:]
