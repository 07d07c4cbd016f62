"""Measures of pixels: the same as Pillow, imagehash and scipy give, and what is refused."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from inspect import unwrap
from typing import Any

import imagehash
import numpy as np
import pyarrow as pa
import pytest
import scipy.ndimage
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import GifImagePlugin, Image, ImageOps

from operators import pixels
from operators.pixels import MeasureImages, dhash, phash
from tests.strategies import IMAGE_FORMATS, encoded, images, pictures
from tests.support import SAMPLE, bundled_images

CHANCE = np.random.default_rng(1)


def measure(*files: bytes | None, **config: Any) -> list[dict[str, Any]]:
    batch = pa.table({"image_data": pa.array(files, pa.large_binary())})
    rows: list[dict[str, Any]] = MeasureImages(**config).measure(batch, None).to_pylist()
    return rows


def error(file: bytes, **config: Any) -> tuple[str, str]:
    """Type and message of the row's error."""
    row = measure(file, **config)[0]
    found = row.pop("error")
    assert set(row.values()) == {None}
    return found["type"], found["message"]


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(CHANCE.integers(0, 256, (height, width, 3), np.uint8))


def saved(picture: Image.Image, format: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, format, **options)
    return stream.getvalue()


def hashes(picture: Image.Image) -> tuple[int, int]:
    """What imagehash says, as numbers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of palettes with transparency
        return int(str(imagehash.phash(picture)), 16), int(str(imagehash.dhash(picture)), 16)


# --- The same as others give ---------------------------------------------------------------------


def test_hashes_of_bundled_pictures_are_those_of_imagehash() -> None:
    archives = [str(SAMPLE / f"sample-{name}.warc.gz") for name in ("edge", "zh")]
    files = [file for archive in archives for _, file in bundled_images(archive)]
    rows = measure(*files)
    good = [(file, row) for file, row in zip(files, rows, strict=True) if not row["error"]]
    assert len(good) == len(files) - 1 > 190  # one is cut off on purpose
    for file, row in good:
        assert (row["phash"], row["dhash"]) == hashes(Image.open(io.BytesIO(file)))


@given(pictures())
@settings(deadline=None, max_examples=300)
def test_hashes_of_pictures_of_any_mode_are_those_of_imagehash(picture: Image.Image) -> None:
    grey = pixels._grey(picture.copy())
    assert np.array_equal(grey, np.asarray(picture.convert("L")))
    assert (phash(grey), dhash(grey)) == hashes(picture)


def test_a_picture_in_several_blocks_measures_as_one_in_one() -> None:
    picture = noise(2500, 2000)
    with pytest.raises(ValueError, match=r"contiguous|block"):
        pa.array(picture)
    assert np.array_equal(pixels._grey(picture), np.asarray(picture.convert("L")))


@given(pictures(), st.sampled_from([*IMAGE_FORMATS, "AVIF"]))
@settings(deadline=None, max_examples=200)
def test_files_of_any_kind_measure_as_others_measure_them(
    picture: Image.Image, format: str
) -> None:
    file = encoded(picture, format)
    (row,) = measure(file)
    image = Image.open(io.BytesIO(file))
    assert (row["phash"], row["dhash"]) == hashes(image)
    assert (row["image_width"], row["image_height"]) == image.size
    assert (row["image_format"], row["image_frames"]) == (format.lower(), 1)
    image.info.pop("transparency", None)
    grey = image.convert("L")
    blur = scipy.ndimage.laplace(np.asarray(grey, np.float64), mode="mirror").var()
    assert row["image_blur"] == pytest.approx(blur, rel=1e-6, abs=1e-6)
    assert row["image_entropy"] == pytest.approx(grey.entropy(), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("size", [(32, 8), (1, 300), (300, 1), (700, 90), (90, 700), (31, 33)])
def test_reductions_are_those_of_pillow_whatever_the_shape(size: tuple[int, int]) -> None:
    grey = noise(*size).convert("L")
    for wanted in ((32, 32), (9, 8), (40, 3)):
        expected = np.asarray(grey.resize(wanted, Image.Resampling.LANCZOS))
        assert np.array_equal(pixels._reduced(np.asarray(grey), *wanted), expected)


def test_the_first_bit_is_the_highest_and_stands_upper_left() -> None:
    rising = np.zeros((8, 9), np.uint8)
    rising[0, 1] = 9
    assert dhash(rising) == 1 << 63
    assert phash(np.full((40, 40), 7, np.uint8)) == 1 << 63  # flat: the mean alone is above


@pytest.mark.parametrize("loop", ["_luma", "_across", "_down", "_lanczos", "_blur_and_histogram"])
def test_compiled_loops_answer_as_python_does(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    file = saved(noise(37, 91), "PNG")
    fast = measure(file)
    pixels._weights.cache_clear()
    monkeypatch.setattr(pixels, loop, unwrap(getattr(pixels, loop)))
    assert measure(file) == fast
    pixels._weights.cache_clear()


# --- Sizes, modes, frames ------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
def test_the_size_is_that_of_the_picture_as_shown(format: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = saved(noise(40, 30), format, exif=exif)
    (row,) = measure(file)
    shown = ImageOps.exif_transpose(Image.open(io.BytesIO(file)))
    assert (row["image_width"], row["image_height"]) == shown.size
    assert (row["phash"], row["dhash"]) == hashes(Image.open(io.BytesIO(file)))  # not turned


def test_broken_metadata_does_not_break_the_picture() -> None:
    file = saved(noise(40, 30), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff junk")
    assert measure(file)[0]["image_width"] == 40


@pytest.mark.parametrize("adobe", [True, False])
def test_jpegs_in_printing_colours(adobe: bool) -> None:
    file = saved(noise(40, 30).convert("CMYK"), "JPEG")
    if not adobe:  # without the marker, colours are not inverted
        at = file.index(b"\xff\xee")
        file = file[:at] + file[at + 2 + int.from_bytes(file[at + 2 : at + 4], "big") :]
    row, image = measure(file)[0], Image.open(io.BytesIO(file))
    assert image.mode == "CMYK"
    assert (row["phash"], row["dhash"]) == hashes(image)


def test_palettes_with_transparency_and_sixteen_bits() -> None:
    palette = noise(40, 30).quantize(16)
    partly = saved(palette, "PNG", transparency=bytes(range(16)))
    fully = saved(palette, "PNG", transparency=3)
    deep = saved(Image.fromarray(CHANCE.integers(0, 65536, (30, 40), np.uint16)), "PNG")
    for file in (partly, fully, deep):
        (row,) = measure(file)
        assert (row["phash"], row["dhash"]) == hashes(Image.open(io.BytesIO(file)))


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "AVIF", "TIFF"])
def test_the_first_frame_is_measured_and_all_are_counted(format: str) -> None:
    frames = [noise(40, 30) for _ in range(4)]
    file = saved(frames[0], format, save_all=True, append_images=frames[1:])
    (row,), (few,) = measure(file), measure(file, max_frames=3)
    assert (row["image_frames"], few["image_frames"]) == (4, 3)
    assert row["phash"] == few["phash"] == hashes(Image.open(io.BytesIO(file)))[0]


def test_frames_of_a_gif_are_counted_as_pillow_counts_them() -> None:
    frames = [noise(9, 9).quantize(8) for _ in range(12)]
    whole = saved(frames[0], "GIF", save_all=True, append_images=frames[1:], comment=b"hello")
    for file in (whole, whole[:-1], whole[:-20], whole + b"junk,", whole[:-1] + b"\0\0;"):
        image = Image.open(io.BytesIO(file))
        assert isinstance(image, GifImagePlugin.GifImageFile)
        assert measure(file)[0]["image_frames"] == image.n_frames
    # At some cuts Pillow's own count fails, though the first frame is whole.
    ends = range(len(whole) // 3, len(whole), 7)
    counts = [measure(whole[:end])[0]["image_frames"] for end in ends]
    assert counts == sorted(counts)
    assert counts[0] < counts[-1] == 12


# --- What is refused -----------------------------------------------------------------------------


def test_null_in_null_out_and_a_bad_row_costs_itself_alone() -> None:
    good = saved(noise(40, 30), "PNG")
    rows = measure(good, None, b"junk", good)
    assert rows[0] == rows[3]
    assert rows[0]["error"] is None
    assert set(rows[1].values()) == {None}
    assert rows[2]["error"]["type"] == "UnsupportedImage"


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        (b"", "empty file"),
        (b"no picture at all", "unknown format"),
        (b"\xef\xbb\xbf \n<SVG width='1'/>", "svg"),
        (b"<?xml version='1.0'?><!-- x --><svg/>", "svg"),
        (b"<?xml version='1.0'?><rss/>", "xml"),
        (b"\n<!DOCTYPE HTML><title>404</title>", "html"),
        (saved(noise(16, 16), "ICO"), "ico"),
        (saved(noise(16, 16), "EPS"), "eps"),
        (b"8BPS\0\1", "psd"),
        (b"%PDF-1.7", "pdf"),
        (saved(noise(16, 16), "JPEG2000"), "jpeg 2000"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "heic"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "jpeg xl"),
        (b"P6 1 1 255 abc", "unknown format"),
    ],
)
def test_other_formats_are_refused_by_name(file: bytes, kind: str) -> None:
    message = f"{kind} is not decoded, only jpeg, png, gif, webp, avif, bmp, tiff"
    assert error(file) == ("UnsupportedImage", message)


@pytest.mark.parametrize("format", ["PSD", "EPS", "ICO", "PPM", "TGA", "PCX", "FLI"])
def test_no_decoder_outside_the_list_is_ever_tried(
    format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.init()
    tried: list[str] = []

    def accepts(prefix: bytes) -> bool:
        tried.append(format)
        return False

    monkeypatch.setitem(Image.OPEN, format, (Image.OPEN[format][0], accepts))
    for file in (b"junk", b"BMjunk", b"\x89PNG\r\n\x1a\njunk", saved(noise(9, 9), "GIF")):
        measure(file)
    assert not tried


@pytest.mark.parametrize("format", [*IMAGE_FORMATS, "AVIF"])
def test_a_file_that_is_cut_off_says_so_wherever_the_cut_is(format: str) -> None:
    whole = saved(noise(80, 60), format)
    for share in (0.3, 0.5, 0.7, 0.9):
        message = f"{format.lower()}: truncated, the file ends before the image does"
        cut = whole[: int(len(whole) * share)]
        assert error(cut) == ("TruncatedImage", message)


def test_a_damaged_file_says_what_cannot_be_read() -> None:
    whole = saved(noise(80, 60), "PNG")
    assert error(whole[:16] + b"\0\0\0\0" + whole[20:]) == (
        "BrokenImage",
        "png: its header cannot be read",
    )
    damaged = bytearray(whole)
    damaged[200:400] = bytes(200)
    assert error(bytes(damaged)) == ("BrokenImage", "png: its data cannot be read")


def test_pixels_are_counted_before_any_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(self: Any) -> None:
        raise AssertionError("decoded")

    file = saved(noise(101, 100), "PNG")
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", load)
    oversized = ("OversizedImage", "png: more than 10000 pixels")
    assert error(file, max_pixels=10_000) == oversized


@pytest.mark.parametrize("side", [12_000, 40_000])  # Pillow warns of the one, refuses the other
def test_decompression_bombs_are_errors_of_their_row(side: int) -> None:
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    file = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk
    file += struct.pack(">I", zlib.crc32(chunk)) + b"\0\0\0\0IDAT5\xaf\x06\x1e"
    assert error(file) == ("OversizedImage", "png: more than 64000000 pixels")


def test_a_progressive_jpeg_of_very_many_scans_is_refused() -> None:
    scans = b"\xff\xda" * 200
    file = saved(noise(40, 30), "JPEG", progressive=True)
    assert error(file[:-2] + scans) == ("OversizedImage", "jpeg: more than 100 scans")
    plain = saved(noise(40, 30), "JPEG")  # with a film behind it, as phones make them
    assert measure(plain + scans)[0]["image_width"] == 40


@given(images())
@settings(deadline=None, max_examples=200)
def test_errors_are_short_and_the_same_each_time(file: bytes) -> None:
    first, again = measure(file), measure(bytes(bytearray(file)))
    assert first == again
    found = first[0]["error"]
    assert found is None or (len(found["message"]) < 90 and "0x" not in found["message"])


def test_nothing_is_said_of_warnings_and_filters_stay_as_they_were() -> None:
    before = list(warnings.filters)
    measure(saved(noise(40, 30).quantize(16), "PNG", transparency=bytes(range(16))))
    assert warnings.filters == before
