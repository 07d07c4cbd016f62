"""Blurred faces: nothing of them is left, the rest stays, and no metadata goes out."""

from __future__ import annotations

import hashlib
import io
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageCms

from operators.blurring import blurred, with_blurred_faces
from operators.pixels import ImageError, decoded
from operators.safety import DetectFaces
from schemas import columns
from tests.strategies import IMAGE_FORMATS, encoded, pictures
from tests.test_safety import file, photo, values

FACE = {"left": 180, "top": 60, "right": 268, "bottom": 175, "score": 0.99}
LOSSLESS = ("PNG", "BMP", "TIFF")


def face(left: int, top: int, right: int, bottom: int) -> dict[str, Any]:
    return {"left": left, "top": top, "right": right, "bottom": bottom, "score": 0.9}


def pixels(data: bytes) -> Any:
    return np.asarray(decoded(data).image.convert("RGB"))


def digest(data: bytes | None) -> str | None:
    return None if data is None else hashlib.sha256(data).hexdigest()


# --- One image ----------------------------------------------------------------------------------


def test_without_a_face_the_file_stays_as_it_is() -> None:
    assert blurred(b"whatever", []) == b"whatever"


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_a_blurred_face_is_found_no_more(format: str) -> None:
    data = file(photo("astronaut.png"), format)
    before = values(DetectFaces, data)[0]
    after = values(DetectFaces, blurred(data, before["image_faces"]))[0]
    assert (before["face_count"], after["face_count"]) == (1, 0)


@pytest.mark.parametrize("format", LOSSLESS)
def test_all_but_the_face_and_its_margin_stays(format: str) -> None:
    image = photo("astronaut.png")
    found = pixels(blurred(file(image, format), [FACE]))
    changed = np.argwhere((found != np.asarray(image)).any(axis=2))
    assert changed.min(axis=0).tolist() == [60 - 23, 180 - 18]
    assert changed.max(axis=0).tolist() == [175 + 23 - 1, 268 + 18 - 1]


def test_nothing_is_left_of_a_face_but_the_means_of_its_cells() -> None:
    """Pictures that agree in these means, whatever else they show, become the same."""
    chance = np.random.default_rng(0)
    one = np.asarray(photo("astronaut.png").crop((150, 30, 290, 170))).copy()
    other = one.copy()
    for top in range(28, 112, 14):  # a face of 60 pixels with a margin of 12: cells of 14
        for left in range(28, 112, 14):
            cell = other[top : top + 14, left : left + 14]
            rows, places = chance.permutation(14), chance.permutation(14)
            other[top : top + 14, left : left + 14] = cell[rows][:, places]
    assert (one != other).any()
    box = [face(40, 40, 100, 100)]
    found = [blurred(file(Image.fromarray(image)), box) for image in (one, other)]
    assert found[0] == found[1]
    assert (pixels(found[0])[28:112, 28:112] != one[28:112, 28:112]).mean() > 0.9


def test_metadata_stays_behind_but_for_the_colour_profile() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.Artist] = "Anna"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] = "N"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = Image.new("RGB", (300, 200), "grey")
    for format in ("JPEG", "PNG", "WEBP", "TIFF"):
        more = {"comment": b"a note", "xmp": b"<x:xmpmeta>Anna</x:xmpmeta>"}
        options = more if format == "JPEG" else {}
        data = file(image, format, exif=exif, icc_profile=profile, **options)
        found = blurred(data, [face(10, 10, 50, 50)])
        assert b"Anna" in data
        assert b"Anna" not in found
        assert b"a note" not in found
        with Image.open(io.BytesIO(found)) as opened:
            assert dict(opened.getexif()).keys() <= set(ExifTags.TAGS) - {
                ExifTags.Base.Orientation,
                ExifTags.Base.Artist,
                ExifTags.Base.GPSInfo,
            }
            assert opened.info["icc_profile"] == profile
            assert opened.size == (200, 300)


def test_boxes_are_those_of_the_turned_picture() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    upright = photo("astronaut.png")
    data = file(upright.transpose(Image.Transpose.ROTATE_90), exif=exif)
    assert np.array_equal(pixels(data), np.asarray(upright))
    assert np.array_equal(pixels(blurred(data, [FACE])), pixels(blurred(file(upright), [FACE])))


@given(pictures(), st.sampled_from(IMAGE_FORMATS), st.lists(st.tuples(*[st.integers(-9, 80)] * 4)))
@settings(deadline=None, max_examples=60)
def test_any_picture_and_boxes_give_the_same_format_and_size(
    picture: Image.Image, format: str, boxes: list[tuple[int, int, int, int]]
) -> None:
    data = encoded(picture, format)
    ordered = [face(min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d in boxes]
    found = blurred(data, ordered)
    before, after = decoded(data), decoded(found)
    assert (before.format, before.width, before.height) == (after.format, after.width, after.height)
    assert found == blurred(data, ordered)
    if before.image.has_transparency_data and format in ("PNG", "WEBP"):
        assert after.image.has_transparency_data or not ordered


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_several_frames_the_first_is_left(format: str) -> None:
    shown = [Image.new("RGB", (60, 60), colour) for colour in ("red", "blue")]
    data = file(shown[0], format, save_all=True, append_images=shown[1:])
    with Image.open(io.BytesIO(data)) as before:
        assert getattr(before, "n_frames", 1) == 2
    found = blurred(data, [face(10, 10, 30, 30)])
    with Image.open(io.BytesIO(found)) as after:
        assert getattr(after, "n_frames", 1) == 1
        assert after.convert("RGB").getpixel((50, 50)) == pytest.approx((255, 0, 0), abs=3)


def test_what_gives_no_picture_is_refused() -> None:
    with pytest.raises(ImageError):
        blurred(b"no image", [FACE])


# --- Documents ----------------------------------------------------------------------------------


def documents(*rows: Any) -> pa.Table:
    """Documents whose nodes have an image's bytes and faces."""
    data = [row and [pair[0] for pair in row] for row in rows]
    faces = [row and [pair[1] for pair in row] for row in rows]
    digests = [row and [digest(pair[0]) for pair in row] for row in rows]
    named = zip(("image_data", "image_sha256", "image_faces"), (data, digests, faces), strict=True)
    kinds = {f.name: f.type for f in columns.seen_by_documents("image_data", "image_sha256")}
    kinds["image_faces"] = columns.column("image_faces").seen_by_documents.type
    arrays = {name: pa.array(values, kinds[name]) for name, values in named}
    return pa.table({"doc_id": [str(number) for number in range(len(rows))]} | arrays)


def test_documents_hold_blurred_bytes_and_their_digests() -> None:
    portrait, view = file(photo("astronaut.png")), file(photo("coffee.png"))
    table = documents(
        [(None, None), (portrait, [FACE]), (view, [])], None, [], [(portrait, [FACE])]
    )
    found = with_blurred_faces(table)
    assert found.schema.equals(table.schema)
    data, digests = found["image_data"].to_pylist(), found["image_sha256"].to_pylist()
    expected = blurred(portrait, [FACE])
    assert data == [[None, expected, view], None, [], [expected]]
    assert digests == [row and [digest(value) for value in row] for row in data]


def test_what_was_not_looked_at_or_cannot_be_blurred_loses_its_bytes() -> None:
    table = documents([(b"not looked at", None), (b"no image", [FACE]), (b"no faces", [])])
    found = with_blurred_faces(table)
    assert found["image_data"].to_pylist() == [[None, None, b"no faces"]]
    assert [value is None for value in found["image_sha256"].to_pylist()[0]] == [True, True, False]


def test_faces_of_other_nodes_are_refused() -> None:
    table = documents([(b"one", []), (b"two", [])])
    short = documents([(b"one", [])])["image_faces"]
    at = table.column_names.index("image_faces")
    with pytest.raises(ValueError, match="an entry for each node"):
        with_blurred_faces(table.set_column(at, "image_faces", short))
