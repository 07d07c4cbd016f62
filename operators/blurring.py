"""Faces made unrecognisable in the images that an export writes.

What is left of a face is the mean colour of a few large cells, so no program can bring it back. Any
other file than the one that was fetched comes out: see `blurred`.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
from PIL import Image, ImageFilter

from operators.pixels import MAX_PIXELS, decoded

BLURRING_VERSION = 1
"""Raise it when blurred images look otherwise."""
FACES = "image_faces"
DATA, SHA256 = "image_data", "image_sha256"

_MARGIN = 0.2  # of a box's width and height, on each of its sides
_CELLS = 6  # along the longer side of what is blurred
_SAVED: dict[str, dict[str, Any]] = {
    "jpeg": {"quality": 90},
    "png": {},
    "gif": {},
    "webp": {"quality": 90},
    "avif": {"quality": 80},
    "bmp": {},
    "tiff": {"compression": "tiff_lzw"},
}


def blurred(data: bytes, faces: Iterable[Mapping[str, Any]]) -> bytes:
    """The image with each face blurred, in the same format; `data` itself when there is none.

    Each box grows by a fifth on all sides and becomes cells, six along its longer side, whose edges
    are then smoothed. The new file holds the picture as shown, no more: pixels are turned as EXIF
    says, and EXIF, which may hold the unblurred face as a thumbnail and the place, XMP and comments
    are gone; the colour profile stays. Of several frames or pages the first is left, because faces
    are not looked for in the others. Lossy formats lose a little everywhere.

    Args:
        data: The file.
        faces: Boxes as `detect_faces` gives them: left, top, right, bottom.

    Raises:
        ImageError: the file gives no picture.
    """
    boxes = [
        tuple(int(face[side]) for side in ("left", "top", "right", "bottom")) for face in faces
    ]
    if not boxes:
        return data
    picture = decoded(data, MAX_PIXELS)
    image = _editable(picture.image)
    for left, top, right, bottom in boxes:
        wide, high = round((right - left) * _MARGIN), round((bottom - top) * _MARGIN)
        box = (
            max(left - wide, 0),
            max(top - high, 0),
            min(right + wide, image.width),
            min(bottom + high, image.height),
        )
        if box[0] < box[2] and box[1] < box[3]:
            image.paste(_cells(image.crop(box)), box)
    return _saved(image, picture.format, picture.image)


def _editable(image: Image.Image) -> Image.Image:
    """A copy in a mode that can be smoothed and saved in any of the formats."""
    if image.has_transparency_data:
        return image.convert("RGBA")
    if image.mode[0] in "IF":
        image = image.convert("L")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _cells(face: Image.Image) -> Image.Image:
    """The mean colours of at most 6 by 6 cells, enlarged again and smoothed."""
    longer = max(face.size)
    few = [max(1, round(side * _CELLS / longer)) for side in face.size]
    small = face.resize((few[0], few[1]), Image.Resampling.BOX)
    large = small.resize(face.size, Image.Resampling.NEAREST)
    return large.filter(ImageFilter.GaussianBlur(longer / _CELLS / 2))


def _saved(image: Image.Image, kind: str, before: Image.Image) -> bytes:
    if kind in ("jpeg", "bmp") and image.mode == "RGBA":
        image = image.convert("RGB")
    options = dict(_SAVED[kind])
    profile = before.info.get("icc_profile")
    if profile and image.mode[:3] == before.mode[:3]:  # one of CMYK does not fit RGB
        options["icc_profile"] = profile
    image.info.clear()  # what Pillow would write again: comments, EXIF, XMP
    file = io.BytesIO()
    image.save(file, kind.upper(), **options)
    return file.getvalue()


# --- Documents ----------------------------------------------------------------------------------


def with_blurred_faces(documents: pa.Table) -> pa.Table:
    """The columns `image_data` and `image_sha256` of documents or instructions, faces blurred.

    Of documents they are lists along the nodes, as is `image_faces`; of instructions, which have
    one image each, they are single values. An image in which nobody has looked for
    faces, or that cannot be blurred, loses its bytes: it must not go out by mistake. The digest is
    that of the new bytes, so that a file's name still tells its content.

    Raises:
        ValueError: `image_faces` does not hold an entry for each node of each document.
    """
    known: dict[tuple[str | None, str], bytes | None] = {}

    def replaced(data: bytes | None, faces: Sequence[Mapping[str, Any]] | None) -> bytes | None:
        if data is None or not faces:
            return None if faces is None else data
        key = _digest(data), repr(faces)
        if key not in known:
            known[key] = _blurred_or_none(data, faces)
        return known[key]

    if not pa.types.is_list(documents.schema.field(DATA).type):
        pairs = zip(documents[DATA].to_pylist(), documents[FACES].to_pylist(), strict=True)
        single = [replaced(data, faces) for data, faces in pairs]
        named = [_digest(data) for data in single]
        return _replaced(_replaced(documents, DATA, single), SHA256, named)
    found: list[list[bytes | None] | None] = []
    for row, faces in zip(documents[DATA].to_pylist(), documents[FACES].to_pylist(), strict=True):
        if row is not None and len(row) != len(faces or ()):
            raise ValueError(f"{FACES} does not hold an entry for each node of each document")
        found.append(row and [replaced(*pair) for pair in zip(row, faces, strict=True)])
    digests = [None if row is None else [_digest(data) for data in row] for row in found]
    return _replaced(_replaced(documents, DATA, found), SHA256, digests)


def _replaced(documents: pa.Table, name: str, values: Sequence[Any]) -> pa.Table:
    if name not in documents.column_names:
        return documents
    item = documents.schema.field(name)
    return documents.set_column(
        documents.column_names.index(name), item, pa.array(values, item.type)
    )


def _blurred_or_none(data: bytes, faces: Iterable[Mapping[str, Any]]) -> bytes | None:
    try:
        return blurred(data, faces)
    except Exception:  # noqa: BLE001  # whatever is wrong with the file, it is not written
        return None


def _digest(data: bytes | None) -> str | None:
    return None if data is None else hashlib.sha256(data).hexdigest()
