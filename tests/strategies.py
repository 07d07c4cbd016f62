"""Hypothesis strategies: tables of any operator's `reads`, node lists, and pages as bytes.

Tables come in several chunks that are slices of one buffer, with nulls wherever a column allows
them and text from all of Unicode, because that is where Arrow code breaks.
"""

from __future__ import annotations

import io
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import reject
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy
from PIL import Image
from pydantic import ValidationError

from operators.base import Operator
from schemas.columns import COLUMNS, INSTRUCTION_KINDS, INSTRUCTION_LANGS, NODE_KINDS

_ODD = (
    "",
    " ",
    "\n",
    "plain words of text",
    "今天天气很好，我们去公园。",
    "日本語のテキスト、カタカナ。",
    "한국어 문장입니다",
    "ภาษาไทยไม่มีช่องว่าง",
    "مرحبا بالعالم",
    "שלום \u202eעולם\u202c",
    "👩‍👩‍👧‍👦 👍🏽 🇩🇪",
    "𠀀𠀁 𝔘𝔫𝔦",
    "e\u0301\u0327 a\u200bb\u00a0c\ufeff",
    "tab\tand\x00nul\x1b[0m\x7f\x85",
    "line\nline\nline",
    "one\r\ntwo\u2028three",
    "... … # • - *",
    "word " * 30,
)
_PAGES = (
    b"",
    b"<html></html>",
    b"<p>No head, no body, one short paragraph.",
    b"<html><body>" + b"<div>" * 300 + b"deep" + b"</div>" * 300,
    "<meta charset=gb2312><title>标题</title><p>今天天气很好。</p>".encode("gb18030"),
    "<meta charset='windows-1251'><p>Сегодня хорошая погода.</p>".encode("cp1251"),
    "\ufeff<html><body><p>Text after a mark</p></body></html>".encode(),
    "<html><body><p>wide</p></body></html>".encode("utf-16"),
    b"%PDF-1.7\x00\x01\xff\xfe\xfa",
    b"\xff\xfe\x00",
    b"<img src='data:,x'><img src='http://[bad/'><img>",
    b"<!DOCTYPE html><!--" + b"-" * 50,
    bytes(range(256)),
)
_JUNK = (
    b"",
    b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    b"\xff\xd8\xff\xe0junk",
    b"\x89PNG\r\n\x1a\njunk",
    b"GIF89a\x01\x00\x01\x00",
    b"RIFF\x00\x00\x00\x00WEBPVP8 ",
    b"BM\xff\xff\xff\xff",
    b"II*\x00\xff\xff\xff\xff",
    b"\x00\x00\x00\x1cftypavif",
)
IMAGE_FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF")
IMAGE_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "I", "I;16", "F")
_URLS = (
    "http://example.org/",
    "https://example.org/a/b.html?q=1#top",
    "file:///pages/one.html",
    "http://例え.jp/ページ",
    "http://[::1/broken",
    "not an address",
    "",
)
_IMAGE_URLS = (
    "data:image/gif;base64,R0lGODlhAQABAAAAACw=",
    "data:image/png;base64,%%%",
    "data:,",
    "http://user:secret@127.0.0.1/a.png",
    "http://[::ffff:127.0.0.1]/a.png#fragment",
)
_IMAGES = (b"", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"<svg xmlns=''/>", b"BM")
_QUESTIONS = (
    "What colour is the dog?",
    "What is the color of the dog?",
    "Is there a red car in front of the 2 houses?",
    "图中有几只狗？",
    "Describe <object>.",
)
_ANSWERS = (
    "A",
    "b",
    "Z",
    "yes",
    "No.",
    "是",
    "否",
    "12 %",
    "三只狗",
    "red",
    "a red car, 3 dogs",
    "___",
)
_CHARSETS = ("utf-8", "UTF-8", "gb2312", "windows-1251", "iso-8859-1", "utf-16", "no-such-set", "")


def texts(max_size: int = 20) -> SearchStrategy[str]:
    """Any text that can be encoded: odd samples, and random characters without surrogates."""
    anything = st.text(st.characters(codec="utf-8"), max_size=max_size)
    return st.sampled_from(_ODD) | anything


@st.composite
def nodes(draw: DrawFn, max_size: int = 5) -> list[dict[str, Any]]:
    """A `nodes` value: images have an address and no text, all others text and no address."""
    kinds = draw(st.lists(st.sampled_from(NODE_KINDS), max_size=max_size))
    return [_node(draw, kind, index) for index, kind in enumerate(kinds)]


def _node(draw: DrawFn, kind: str, index: int) -> dict[str, Any]:
    is_image = kind == "image"
    extra = st.none() | texts(8)
    return {
        "kind": kind,
        "text": None if is_image else draw(texts()),
        "image_url": draw(st.sampled_from(_URLS)) if is_image else None,
        "alt": draw(extra) if is_image else None,
        "title": draw(extra) if is_image else None,
        "link": None,
        "level": draw(st.integers(1, 6)) if kind == "heading" else None,
        "dom_index": index,
    }


@st.composite
def pages(draw: DrawFn) -> bytes:
    """A page's bytes: small pages with text, images, lists and tables, or junk."""
    if draw(st.booleans()):
        return draw(st.sampled_from(_PAGES) | st.binary(max_size=60))
    blocks = draw(st.lists(st.sampled_from(("p", "h2", "li", "td", "pre", "img")), max_size=5))
    body = "".join(_block(tag, draw(texts())) for tag in blocks)
    page = f"<html><head><title>{draw(texts(8))}</title></head><body>{body}</body></html>"
    encoded = page.encode(draw(st.sampled_from(("utf-8", "utf-16", "gb18030"))))
    return encoded[: draw(st.integers(0, len(encoded)))] if draw(st.booleans()) else encoded


def _block(tag: str, text: str) -> str:
    match tag:
        case "img":
            return f'<p>before <img src="/{len(text)}.png" alt="{text}"> after</p>'
        case "li":
            return f"<ul><li>{text}</li><li>{text}</li></ul>"
        case "td":
            return f"<table><tr><td>{text}</td><td>{text}</td></tr></table>"
        case _:
            return f"<{tag}>{text} with a few more words of ordinary text.</{tag}>"


@st.composite
def images(draw: DrawFn) -> bytes:
    """An image's bytes: a small picture of any kind, whole or cut, or junk."""
    if draw(st.integers(0, 3)) == 0:
        return draw(st.sampled_from(_JUNK) | st.binary(max_size=60))
    file = encoded(draw(pictures()), draw(st.sampled_from(IMAGE_FORMATS)))
    return file[: draw(st.integers(0, len(file)))] if draw(st.integers(0, 3)) == 0 else file


@st.composite
def pictures(draw: DrawFn, max_side: int = 70) -> Image.Image:
    """A picture of any mode: flat, mirrored, striped or noise."""
    mode = draw(st.sampled_from(IMAGE_MODES))
    size = draw(st.integers(1, max_side)), draw(st.integers(1, max_side))
    chance = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    pixels = chance.integers(0, 256, (size[1], size[0], 4), np.uint8)
    match draw(st.sampled_from(("noise", "flat", "stripes", "mirrored"))):
        case "flat":
            pixels[:] = pixels[0, 0]
        case "stripes":
            pixels[:] = pixels[0]
        case "mirrored":
            pixels = np.maximum(pixels, pixels[:, ::-1])
    return in_mode(Image.fromarray(pixels), mode)


def in_mode(picture: Image.Image, mode: str) -> Image.Image:
    """The RGBA picture in another mode; 16 bits and floats use their whole range."""
    if mode in ("I", "F", "I;16"):
        wide = np.asarray(picture.convert("L"), np.uint16) * 257
        kind = {"I": np.int32, "F": np.float32, "I;16": np.uint16}[mode]
        return Image.fromarray(wide.astype(kind))
    if mode == "PA":
        return picture.convert("RGB").quantize(16).convert("PA")
    keeps = mode in ("LA", "RGBA")  # what is transparent; Pillow knows no other direct ways
    return (picture if keeps else picture.convert("RGB")).convert(mode)


def encoded(picture: Image.Image, format: str) -> bytes:
    """The picture as a file, in a mode that the format has."""
    stream = io.BytesIO()
    try:
        picture.save(stream, format)
    except (OSError, ValueError, KeyError):
        stream = io.BytesIO()
        picture.convert("RGB").save(stream, format)
    return stream.getvalue()


def values(field: pa.Field) -> SearchStrategy[Any]:
    """Values of one column, nulls among them where the column is nullable."""
    by_name: dict[str, SearchStrategy[Any]] = {
        "nodes": nodes(),
        "html": pages(),
        "minhash": st.binary(min_size=64, max_size=64),
        "image_data": images(),
        "url": st.sampled_from(_URLS) | texts(),
        "image_url": st.sampled_from(_IMAGE_URLS + _URLS) | texts(),
        "archived_image": st.sampled_from(_IMAGES) | st.binary(max_size=20),
        "clip_embedding": _VECTOR,
        "clip_text_encoder": st.just("an encoder"),
        "http_charset": st.sampled_from(_CHARSETS) | texts(8),
        "instruction_kind": st.sampled_from(INSTRUCTION_KINDS) | texts(8),
        "instruction_lang": st.sampled_from(INSTRUCTION_LANGS) | texts(8),
        "turns": st.lists(_turns(), max_size=3),
        "options": st.lists(st.sampled_from(_ANSWERS) | texts(), max_size=5),
        "image_sha256": st.sampled_from("ab") | texts(8),
    }
    found = by_name.get(field.name)
    if found is None:
        found = _by_type(field.type)
    return st.none() | found if field.nullable else found


def _turns() -> SearchStrategy[dict[str, str]]:
    """A round of question and answer."""
    question = st.sampled_from(_QUESTIONS) | texts()
    return st.fixed_dictionaries(
        {"question": question, "answer": st.sampled_from(_ANSWERS) | texts()}
    )


def _along(field: pa.Field, nodes: list[Any] | None) -> SearchStrategy[Any]:
    """A list with a value, or null, for each node of a document; null where there are no nodes.

    An image's column has values at image nodes alone.
    """
    if nodes is None:
        return st.none()
    one = st.none() | _BY_ELEMENT.get(field.name, _by_type(field.type.value_type))
    of_image = COLUMNS[field.name].level == "image"
    found = (st.none() if of_image and not node["image_url"] else one for node in nodes)
    return st.none() | st.tuples(*found).map(list)


_VECTOR = st.lists(st.floats(-1, 1, width=16), min_size=3, max_size=3)
_BY_ELEMENT: dict[str, SearchStrategy[Any]] = {
    "clip_embedding": _VECTOR,
    "node_clip_embedding": _VECTOR,
    "clip_encoder": st.just("an encoder"),
}


def _by_type(kind: pa.DataType) -> SearchStrategy[Any]:
    if pa.types.is_string(kind):
        return texts()
    if pa.types.is_boolean(kind):
        return st.booleans()
    if pa.types.is_unsigned_integer(kind):
        return st.integers(0, 2**kind.bit_width - 1)
    if pa.types.is_integer(kind):
        return st.integers(-(2 ** (kind.bit_width - 1)), 2 ** (kind.bit_width - 1) - 1)
    if pa.types.is_floating(kind):
        return st.floats(width=kind.bit_width, allow_nan=False)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return st.binary(max_size=20)
    if pa.types.is_timestamp(kind):
        return st.integers(0, 2**31).map(lambda second: datetime.fromtimestamp(second, UTC))
    if pa.types.is_list(kind):
        return st.lists(_by_type(kind.value_type), max_size=4)
    if pa.types.is_struct(kind):
        return st.fixed_dictionaries({field.name: values(field) for field in kind})
    raise TypeError(f"no strategy for {kind}")


@st.composite
def tables(draw: DrawFn, schema: pa.Schema, max_rows: int = 5) -> pa.Table:
    """A table of `schema` with few rows in several chunks, empty chunks among them."""
    count = draw(st.integers(0, max_rows))
    drawn: dict[str, list[Any]] = {}
    for field in schema:
        if "nodes" in drawn and COLUMNS[field.name].level != "document":
            drawn[field.name] = [draw(_along(field, nodes)) for nodes in drawn["nodes"]]
        else:
            drawn[field.name] = draw(st.lists(values(field), min_size=count, max_size=count))
    columns = [pa.array(drawn[field.name], field.type) for field in schema]
    whole = pa.Table.from_arrays(columns, schema=schema)
    return pa.concat_tables(split(whole, draw(split_points(count))))


def split_points(rows: int) -> SearchStrategy[list[int]]:
    """Places at which a table of `rows` rows may be cut; repeated ones give empty pieces."""
    return st.lists(st.integers(0, rows), max_size=3).map(sorted)


def split(table: pa.Table, points: list[int]) -> list[pa.Table]:
    """The pieces of `table` between the sorted points: slices, not copies."""
    edges = [0, *points, table.num_rows]
    return [table.slice(a, b - a) for a, b in pairwise(edges)]


# --- Operators ----------------------------------------------------------------------------------


@st.composite
def configured(draw: DrawFn, kind: type[Operator[Any]]) -> Operator[Any]:
    """An operator of the kind with any config that its fields allow, alone and together."""
    fields: dict[str, Any] = kind.model_json_schema().get("properties", {})
    drawn = {name: draw(_setting(field)) for name, field in fields.items()}
    try:
        return kind.model_validate(drawn | dict(kind.offline))
    except ValidationError:
        reject()


def _setting(field: dict[str, Any]) -> SearchStrategy[Any]:
    """Any value of a field: its default, its bounds, or something between them."""
    match field:
        case {"type": "boolean"}:
            return st.booleans()
        case {"type": "integer"}:
            least = field.get("minimum", 0)
            most = field.get("maximum", least + 10_000)
            step = field.get("multipleOf", 1)
            between = st.integers(-(-least // step), most // step).map(lambda count: count * step)
            return st.sampled_from([field["default"], -(-least // step) * step]) | between
        case {"type": "string", "pattern": str(pattern)}:
            return st.sampled_from(pattern.strip("^$()").split("|"))
        case _:
            return st.just(field["default"])
