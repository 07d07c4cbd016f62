"""What asking will cost: tokens of a request before it is sent, and a pilot's costs projected."""

from __future__ import annotations

import io
import math
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from operators.chat import Picture, Reply, Request, Text
from operators.chat_model import ChatModel

PILOT_ROWS = 20
"""Rows asked first, from whose costs those of the others are told."""

_WIDE = re.compile(
    "[\u1100-\u11ff\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]"
)
_CHARACTERS_A_TOKEN = 4.0
_WIDE_A_TOKEN = 1.3
_MESSAGE_TOKENS = 4
# OpenAI's published counting for its tiled models: https://platform.openai.com/docs/guides/images
_LOW, _TILE, _TILE_SIDE, _LONGEST, _SHORTEST = 85, 170, 512, 2048, 768
_SIDE_UNKNOWN = (1024, 1024)
_BAND = 0.9


# --- Before anything is sent ----------------------------------------------------------------------


def text_tokens(text: str) -> int:
    """Tokens of a text, roughly: 4 letters a token, and 1.3 Chinese, Japanese or Korean signs."""
    wide = 0 if text.isascii() else len(_WIDE.findall(text))
    return math.ceil((len(text) - wide) / _CHARACTERS_A_TOKEN + wide / _WIDE_A_TOKEN)


def picture_tokens(picture: Picture, detail: str | None = None) -> int:
    """Tokens of a picture, as tiles of 512 pixels are counted; other models count otherwise."""
    if detail == "low":
        return _LOW
    width, height = _size(picture.data)
    shrink = min(1.0, _LONGEST / max(width, height))
    shrink *= min(1.0, _SHORTEST / (min(width, height) * shrink))
    tiles = [max(1, math.ceil(side * shrink / _TILE_SIDE)) for side in (width, height)]
    return _LOW + _TILE * tiles[0] * tiles[1]


def prompt_tokens(request: Request) -> int:
    """Tokens of all that is said, roughly. A pilot tells by how much that is wrong."""
    detail = request.parameters.get("detail")
    total = text_tokens(str(request.schema)) if request.schema is not None else 0
    for message in request.messages:
        total += _MESSAGE_TOKENS
        for part in message.parts:
            if isinstance(part, Text):
                total += text_tokens(part.text)
            else:
                total += picture_tokens(part, detail)
    return total


def _size(data: bytes) -> tuple[int, int]:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.size
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
        return _SIDE_UNKNOWN


@dataclass(frozen=True)
class Usage:
    """What a request took, or what it is thought to take."""

    prompt_tokens: float
    completion_tokens: float
    usd: float


def usage_of(reply: Reply) -> Usage:
    """What a reply took, when it was asked for."""
    return Usage(reply.prompt_tokens, reply.completion_tokens, reply.usd)


def worst_case(requests: Sequence[Request], model: ChatModel) -> Usage:
    """All requests with answers of full length: no pilot is needed, but it is far too much."""
    prompt = float(sum(prompt_tokens(request) for request in requests))
    longest = [int(request.parameters.get("max_tokens") or 0) for request in requests]
    return Usage(prompt, float(sum(longest)), model.usd(prompt, sum(longest)))


# --- After a pilot --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Band:
    """A total: what is expected, and between what it lies in 9 of 10 cases."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Forecast:
    """What all rows will take, told from those of a pilot, which are part of them."""

    rows: int
    pilot_rows: int
    usd: Band
    prompt_tokens: Band
    completion_tokens: Band

    def __str__(self) -> str:
        usd, prompt, completion = self.usd, self.prompt_tokens, self.completion_tokens
        return (
            f"{self.rows} rows: {usd.mean:.2f} USD (90 %: {usd.low:.2f} to {usd.high:.2f}), "
            f"{prompt.mean:,.0f} prompt tokens, {completion.mean:,.0f} completion tokens, "
            f"told from {self.pilot_rows} rows"
        )


def forecast(pilot: Sequence[Usage], rows: int) -> Forecast:
    """What `rows` rows will take, if the pilot's rows were drawn from them by chance.

    With n pilot rows of mean m and deviation s, the other k = rows - n rows take k·m, give or take
    t·s·sqrt(k + k²/n): the chance of the rows themselves and that of the mean, with Student's t
    for n - 1 degrees (prediction of a total in simple random sampling).

    Raises:
        ValueError: the pilot has fewer than 2 rows, or more than there are.
    """
    if not 2 <= len(pilot) <= rows:
        raise ValueError(
            f"a forecast for {rows} rows needs a pilot of 2 to {rows}, not {len(pilot)}"
        )
    return Forecast(
        rows,
        len(pilot),
        _band([item.usd for item in pilot], rows),
        _band([item.prompt_tokens for item in pilot], rows),
        _band([item.completion_tokens for item in pilot], rows),
    )


def _band(values: Sequence[float], rows: int) -> Band:
    from scipy.stats import t

    known, count = sum(values), len(values)
    left = rows - count
    spread = statistics.stdev(values) * math.sqrt(left + left * left / count)
    reach = float(t.ppf((1 + _BAND) / 2, count - 1)) * spread
    mean = known + left * known / count
    return Band(mean, max(known, mean - reach), mean + reach)
