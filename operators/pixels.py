"""Measures of an image's pixels: format, size, perceptual hashes, blur, entropy.

What may be decoded is bounded: a file is tried by the one decoder that its first bytes name, among
those listed here; its header says how many pixels it has before any is decoded; a file that ends
before its image does is an error and no grey rectangle. The hashes are those of the library
imagehash (`phash`, `dhash`, default sizes), bit for bit.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from functools import lru_cache
from math import ceil, pi, sin
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import PIL
import pyarrow as pa
from PIL import ExifTags, Image, ImageFile, features
from pydantic import Field

from operators.base import Operator, by_row, measured
from operators.compiled import compiled
from schemas import columns

Bytes = npt.NDArray[np.uint8]
Bits = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int32]
Counts = npt.NDArray[np.int64]

_PHASH_SIDE, _PHASH_BITS = 32, 8
_DHASH_SIDE = 8
_LOBES = 3  # of the Lanczos window
_PRECISION = 22  # bits after the point of Pillow's weights for 8-bit images
_HALF = 1 << (_PRECISION - 1)
_PILLOW = int(PIL.__version__.split(".")[0])
_MAX_SCANS = 100  # of a progressive JPEG, each of which costs a pass over all pixels; usual are 10

MAX_PIXELS = 64_000_000
"""Pixels that an image's header may announce, where nothing else is asked for."""
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = (5, 6, 7, 8)

_PILLOW_FORMATS = {
    "jpeg": "JPEG",
    "png": "PNG",
    "gif": "GIF",
    "webp": "WEBP",
    "avif": "AVIF",
    "bmp": "BMP",
    "tiff": "TIFF",
}
_SIGNATURES = (
    (0, b"\xff\xd8\xff", "jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "png"),
    (0, b"GIF87a", "gif"),
    (0, b"GIF89a", "gif"),
    (8, b"WEBP", "webp"),
    (4, b"ftypavif", "avif"),
    (4, b"ftypavis", "avif"),
    (4, b"ftypheic", "heic"),
    (4, b"ftypheix", "heic"),
    (4, b"ftyphevc", "heic"),
    (4, b"ftypmif1", "avif"),
    (4, b"ftypmsf1", "avif"),
    (0, b"BM", "bmp"),
    (0, b"II*\0", "tiff"),
    (0, b"MM\0*", "tiff"),
    (0, b"II+\0", "tiff"),
    (0, b"MM\0+", "tiff"),
    (0, b"\0\0\1\0", "ico"),
    (0, b"\0\0\2\0", "cur"),
    (0, b"8BPS", "psd"),
    (0, b"%!PS", "eps"),
    (0, b"\xc5\xd0\xd3\xc6", "eps"),
    (0, b"%PDF", "pdf"),
    (0, b"\xff\x0a", "jpeg xl"),
    (4, b"JXL ", "jpeg xl"),
    (4, b"jP  ", "jpeg 2000"),
    (0, b"\xff\x4f\xff\x51", "jpeg 2000"),
)
_MARKUP = ((b"<svg", "svg"), (b"<html", "html"), (b"<!doctype html", "html"), (b"<?xml", "xml"))


class ImageError(Exception):
    """A file that gives no picture. Messages are short and name no offsets or addresses."""


class UnsupportedImage(ImageError):
    """No image, or one of a format that is not decoded."""


class OversizedImage(ImageError):
    """Decoding would cost more memory or time than is allowed."""


class TruncatedImage(ImageError):
    """The file ends before its image does."""


class BrokenImage(ImageError):
    """The decoder does not understand the file."""


class _Measures(NamedTuple):
    """What is measured of an image, in the order of the columns."""

    format: str
    width: int
    height: int
    frames: int
    phash: int
    dhash: int
    blur: float
    entropy: float


class MeasureImages(Operator[None]):
    """Format, size, frames, perceptual hashes, blur and entropy of each image.

    Of an image with several frames or pages the first is measured. `image_width` and `image_height`
    are those of the picture as shown, turned as EXIF says. All else is measured on the picture as
    decoded, not turned, in 8-bit grey by Pillow's conversion, which passes over transparency:

    - `phash`, `dhash`: `imagehash.phash` and `imagehash.dhash` with their default sizes. The first
      bit, that of the upper left, is the highest: as 16 hexadecimal digits they are what imagehash
      prints.
    - `image_blur`: variance of the Laplacian (4 neighbours, edges mirrored; Pech-Pacheco et al.
      2000, "Diatom autofocusing in brightfield microscopy").
    - `image_entropy`: entropy of the histogram of the 256 grey levels.
    """

    name = "measure_images"
    table = "images"
    version = 1
    reads = columns.schema("image_data")
    writes = columns.schema(
        "image_format",
        "image_width",
        "image_height",
        "image_frames",
        "phash",
        "dhash",
        "image_blur",
        "image_entropy",
    )
    libraries = ("pillow", "scipy")

    max_pixels: int = Field(
        MAX_PIXELS,
        ge=1,
        le=89_478_485,  # where Pillow begins to warn of decompression bombs
        description="pixels of an image at most, by its header; more is a row error",
    )
    max_frames: int = Field(
        1000, ge=1, description="frames or pages counted at most; more count as many"
    )

    def setup(self) -> None:
        """Decoders are imported and loops compiled here, not on the time of the first images."""
        Image.init()
        for height in (1, 2 * _PHASH_SIDE):  # the passes of reductions come in either order
            for mode in ("L", "RGB"):  # and arrays that may be written to or not
                grey = _grey(Image.new(mode, (1, height)))
                phash(grey), dhash(grey), _blur_and_histogram(grey)
        _gif_frames(np.frombuffer(bytes(13), np.uint8), 1)

    def measure(self, batch: pa.Table, state: None) -> pa.Table:
        """The measures; null where there are no bytes."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of broken metadata, which nothing here rests on
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            results = by_row(self._image, _one_by_one(batch["image_data"]))
        values = [found or (None,) * len(self.writes) for found in results.values]
        found = list(zip(*values, strict=True)) or [()] * len(self.writes)
        return measured(self.writes, found, results.errors)

    def _image(self, data: bytes | None) -> _Measures | None:
        if data is None:
            return None
        kind = _kind(data)
        image = _opened(kind, data, self.max_pixels)
        try:
            grey = _grey(image)
        except Exception as error:
            raise _told(kind, "data", data, error) from error
        height, width = grey.shape
        if _orientation(image) in _SIDEWAYS:
            height, width = width, height
        blur, histogram = _blur_and_histogram(grey)
        return _Measures(
            kind,
            width,
            height,
            self._frames(kind, image, data),
            phash(grey),
            dhash(grey),
            blur,
            _entropy(histogram),
        )

    def _frames(self, kind: str, image: ImageFile.ImageFile, data: bytes) -> int:
        match kind:
            case "jpeg":
                return 1  # what else an MPO file holds is not a frame
            case "gif":
                return _gif_frames(np.frombuffer(data, np.uint8), self.max_frames)
            case "tiff":
                return _pages(image, self.max_frames)
            case _:
                return min(getattr(image, "n_frames", 1), self.max_frames)


# --- Files ---------------------------------------------------------------------------------------


def _one_by_one(column: pa.ChunkedArray) -> Iterator[bytes | None]:
    """The values of a column, of which one at a time is copied."""
    return (value.as_py() for value in column)


class Picture(NamedTuple):
    """The first frame of an image as shown: decoded, and turned as EXIF says."""

    format: str
    image: Image.Image
    """In the file's own mode; may be smaller than what the file holds, see `decoded`."""
    width: int
    """Of what the file holds, as shown."""
    height: int


def decoded(data: bytes, max_pixels: int = MAX_PIXELS, side: int | None = None) -> Picture:
    """The picture in a file, within the bounds of this module.

    Args:
        data: The file.
        max_pixels: Pixels that its header may announce.
        side: For who looks at a small picture: a JPEG may be decoded to a half, a quarter or an
            eighth of its size, which is faster, as long as both sides stay that long.

    Raises:
        ImageError: it gives no picture.
    """
    kind = _kind(data)
    image: Image.Image = _opened(kind, data, max_pixels)
    width, height = image.size
    try:
        if side is not None:
            image.draft(None, (side, side))
        image.load()
    except Exception as error:
        raise _told(kind, "data", data, error) from error
    orientation = _orientation(image)
    if orientation in _SIDEWAYS:
        width, height = height, width
    if orientation in _TURNS:
        image = image.transpose(_TURNS[orientation])
    return Picture(kind, image, width, height)


def on_white(image: Image.Image) -> Image.Image:
    """The picture in RGB, on white where it is transparent."""
    if image.has_transparency_data:
        clear = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB")
    if image.mode[0] in "IF":  # Pillow knows no direct way
        image = image.convert("L")
    return image.convert("RGB")


def _opened(kind: str, data: bytes, max_pixels: int) -> ImageFile.ImageFile:
    """The image with its header read and its size allowed, nothing decoded yet."""
    try:
        image = Image.open(io.BytesIO(data), formats=[_PILLOW_FORMATS[kind]])
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise OversizedImage(f"{kind}: more than {max_pixels} pixels") from error
    except Exception as error:
        raise _told(kind, "header", data, error) from error
    if image.width * image.height > max_pixels:
        raise OversizedImage(f"{kind}: more than {max_pixels} pixels")
    if "progressive" in image.info and data.count(b"\xff\xda") > _MAX_SCANS:
        raise OversizedImage(f"jpeg: more than {_MAX_SCANS} scans")
    return image


def _kind(data: bytes) -> str:
    """The format that the first bytes name.

    Raises:
        UnsupportedImage: none that is decoded.
    """
    kind = next((k for at, sign, k in _SIGNATURES if data.startswith(sign, at)), None)
    if kind is None:
        head = data[:1024].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
        kind = next((k for sign, k in _MARKUP if head.startswith(sign)), "unknown format")
        if kind == "xml" and b"<svg" in head:
            kind = "svg"
    if not data:
        kind = "empty file"
    if kind not in _PILLOW_FORMATS:
        raise UnsupportedImage(f"{kind} is not decoded, only {', '.join(_PILLOW_FORMATS)}")
    if kind == "avif" and not features.check("avif"):
        raise UnsupportedImage("avif is not decoded by this build of Pillow")
    return kind


def _told(kind: str, part: str, data: bytes, error: Exception) -> ImageError:
    """What is wrong with a file that does not decode."""
    if "truncat" in str(error).lower() or _is_cut(kind, data):
        return TruncatedImage(f"{kind}: truncated, the file ends before the image does")
    return BrokenImage(f"{kind}: its {part} cannot be read")


def _is_cut(kind: str, data: bytes) -> bool:
    """Whether the file lacks its end mark, or is shorter than it says; not known of all TIFFs."""
    match kind:
        case "jpeg":
            return b"\xff\xd9" not in data
        case "png":
            return b"IEND" not in data
        case "gif":
            return not data.rstrip(b"\0").endswith(b";")
        case "webp":
            return len(data) < int.from_bytes(data[4:8], "little") + 8
        case "bmp":
            return len(data) < int.from_bytes(data[2:6], "little")
        case "tiff":
            order: Any = "little" if data.startswith(b"II") else "big"
            return len(data) < int.from_bytes(data[4:8], order)
        case _:
            return _boxes_end(data) > len(data)


def _boxes_end(data: bytes) -> int:
    """Where the last of the boxes ends that an AVIF file consists of."""
    at = 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        if size < 8:  # 0: up to the end of the file
            break
        at += size
    return at


def _orientation(image: Image.Image) -> int | None:
    """How EXIF says that the picture is to be turned: 1 to 8."""
    try:
        return image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # noqa: BLE001  # broken metadata does not break the picture
        return None


def _pages(image: ImageFile.ImageFile, most: int) -> int:
    """Pages of a TIFF file, as far as they can be read."""
    try:
        for page in range(1, most):
            image.seek(page)
    except Exception:  # noqa: BLE001  # EOFError after the last; whatever a broken page raises
        return page
    return most


@compiled
def _gif_frames(data: Bytes, most: int) -> int:
    """Frames that begin in a GIF file: its blocks are walked, nothing is decoded."""
    frames, at = 0, 13
    if data[10] & 0x80:
        at += 3 << ((data[10] & 7) + 1)
    while at < len(data) and frames < most:
        block = data[at]
        at += 1
        if block == 0x3B:
            break
        if block == 0x2C:
            if at + 9 > len(data):
                break
            frames += 1
            flags = data[at + 8]
            at += 10
            if flags & 0x80:
                at += 3 << ((flags & 7) + 1)
        elif block == 0x21:
            at += 1
        else:
            continue
        while at < len(data) and data[at]:
            at += data[at] + 1
        at += 1
    return frames


# --- Pixels --------------------------------------------------------------------------------------


def _grey(image: Image.Image) -> Bytes:
    """The picture, decoded, in the grey that Pillow's conversion to 'L' gives; (height, width)."""
    image.load()
    if image.mode in ("RGB", "RGBA"):
        try:
            pixels = pa.array(image).values  # what Pillow holds, four bytes a pixel, not copied
        except ValueError:  # a picture so large that Pillow holds it in several blocks
            pass
        else:
            return _luma(np.frombuffer(pixels.buffers()[1], np.uint8), image.height, image.width)
    image.info.pop("transparency", None)  # does not change the grey, and costs a warning
    return np.asarray(image.convert("L"))


@compiled
def _luma(pixels: Bytes, height: int, width: int) -> Bytes:
    """The luma of ITU-R BT.601 in 16 bits after the point, several times as fast as Pillow's."""
    grey = np.empty((height, width), np.uint8)
    flat = grey.ravel()
    red, green, blue = np.uint32(19595), np.uint32(38470), np.uint32(7471)
    for at in range(height * width):
        total = np.uint32(pixels[4 * at]) * red + np.uint32(pixels[4 * at + 1]) * green
        total += np.uint32(pixels[4 * at + 2]) * blue + np.uint32(1 << 15)
        flat[at] = total >> np.uint32(16)
    return grey


def phash(grey: Bytes) -> int:
    """The 64-bit perceptual hash of a grey picture, as `imagehash.phash` computes it.

    A bit for each of the 8 by 8 lowest frequencies of the picture at 32 by 32 pixels: whether its
    coefficient is above their median (Zauner 2010, "Implementation and benchmarking of perceptual
    image hash functions", section 3.2.1). Coefficients that tie with the median but for rounding,
    as those of mirrored pictures do, are why the transform is that of scipy.
    """
    from scipy.fftpack import dct

    reduced = _reduced(grey, _PHASH_SIDE, _PHASH_SIDE)
    low = dct(dct(reduced, axis=0), axis=1)[:_PHASH_BITS, :_PHASH_BITS]
    middle = np.sort(low, axis=None)[31:33]
    return _number(low > middle.sum() / 2)


def dhash(grey: Bytes) -> int:
    """The 64-bit difference hash of a grey picture, as `imagehash.dhash` computes it.

    A bit for each pixel of the picture at 9 by 8: whether it is darker than the next in its row.
    """
    reduced = _reduced(grey, _DHASH_SIDE + 1, _DHASH_SIDE)
    return _number(reduced[:, 1:] > reduced[:, :-1])


def _number(bits: Bits) -> int:
    """64 bits as a number, the first the highest."""
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def _entropy(histogram: Counts) -> float:
    shares = histogram[histogram > 0] / histogram.sum()
    return float(-(shares * np.log2(shares)).sum())


def _reduced(grey: Bytes, width: int, height: int) -> Bytes:
    """The picture at another size, byte for byte as Pillow's Lanczos filter gives it.

    Each pass rounds to bytes, so their order counts. Pillow makes the width right first; from
    version 13 on the height, if so many more rows than columns are to go.
    """
    tall, wide = grey.shape
    across, down = _weights(wide, width), _weights(tall, height)
    if _PILLOW >= 13 and tall > height and tall - height > 2 * (wide - width):
        return _across(_down(grey, *down), *across)
    return _down(_across(grey, *across), *down)


@lru_cache(maxsize=128)  # pictures of one site tend to have one size
def _weights(size: int, wanted: int) -> tuple[Numbers, Numbers]:
    """Which of `size` pixels make each of the `wanted` ones, (wanted, 2), and by what weights."""
    return _lanczos(size, wanted)


@compiled
def _lanczos(size: int, wanted: int) -> tuple[Numbers, Numbers]:
    """Weights of the Lanczos filter with three lobes, as Pillow rounds them for 8-bit images.

    Source: Duchon 1979, "Lanczos filtering in one and two dimensions". The window grows with the
    reduction; weights are normalised to a sum of 1 and rounded to 22 bits after the point.
    """
    scale = size / wanted
    stretch = max(scale, 1.0)
    reach = _LOBES * stretch
    bounds = np.zeros((wanted, 2), np.int32)
    weights = np.zeros((wanted, ceil(reach) * 2 + 1), np.int32)
    exact = np.empty(weights.shape[1], np.float64)
    for pixel in range(wanted):
        center = (pixel + 0.5) * scale
        first = max(int(center - reach + 0.5), 0)
        last = min(int(center + reach + 0.5), size)
        total = 0.0
        for place in range(last - first):
            x = (place + first - center + 0.5) * (1.0 / stretch)
            exact[place] = 0.0
            if x == 0:
                exact[place] = 1.0
            elif -_LOBES <= x < _LOBES:
                wave, window = x * pi, x / _LOBES * pi
                exact[place] = sin(wave) / wave * (sin(window) / window)
            total += exact[place]
        for place in range(last - first):
            scaled = exact[place] / total * (1 << _PRECISION)
            weights[pixel, place] = int(scaled - 0.5) if scaled < 0 else int(scaled + 0.5)
        bounds[pixel] = first, last
    return bounds, weights


@compiled
def _across(picture: Bytes, bounds: Numbers, weights: Numbers) -> Bytes:
    """The weighted sums of each row's pixels.

    They are kept to the 32 bits that they fit in: in 64, it takes four times as long.
    """
    sums = np.empty((len(picture), len(bounds)), np.uint8)
    for x in range(len(bounds)):
        first, last = bounds[x]
        for y in range(len(picture)):
            pixels, total = picture[y, first:last], np.int32(_HALF)
            for place in range(len(pixels)):
                total = np.int32(total + np.int32(np.int32(pixels[place]) * weights[x, place]))
            sums[y, x] = min(max(int(total >> _PRECISION), 0), 255)
    return sums


@compiled
def _down(picture: Bytes, bounds: Numbers, weights: Numbers) -> Bytes:
    """The weighted sums of each column's pixels."""
    width = picture.shape[1]
    sums = np.empty((len(bounds), width), np.uint8)
    totals = np.empty(width, np.int32)
    for y in range(len(bounds)):
        totals[:] = _HALF
        first, last = bounds[y]
        for place in range(last - first):
            row, weight = picture[first + place], weights[y, place]
            for x in range(width):
                totals[x] += np.int32(row[x]) * weight
        for x in range(width):
            sums[y, x] = min(max(int(totals[x] >> _PRECISION), 0), 255)
    return sums


@compiled
def _blur_and_histogram(grey: Bytes) -> tuple[float, Counts]:
    """Variance of the Laplacian, and how many pixels have each grey level."""
    height, width = grey.shape
    histogram = np.zeros(256, np.int64)
    total, squares = np.int64(0), np.int64(0)
    for y in range(height):
        row = grey[y]
        above = grey[y - 1 if y else min(1, height - 1)]
        below = grey[y + 1 if y + 1 < height else max(0, height - 2)]
        for x in range(width):
            histogram[row[x]] += 1
        for x in range(1, width - 1):
            beside = np.int32(row[x - 1]) + np.int32(row[x + 1])
            value = np.int32(above[x]) + np.int32(below[x]) + beside - 4 * np.int32(row[x])
            total += value
            squares += value * value
        for x in range(0, width, max(1, width - 1)):
            left = np.int32(row[x - 1 if x else min(1, width - 1)])
            right = np.int32(row[x + 1 if x + 1 < width else max(0, width - 2)])
            value = np.int32(above[x]) + np.int32(below[x]) + left + right - 4 * np.int32(row[x])
            total += value
            squares += value * value
    pixels = height * width
    mean = total / pixels
    return squares / pixels - mean * mean, histogram
