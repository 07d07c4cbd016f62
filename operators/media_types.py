"""What bytes are, by their first ones: eight formats of images, or else what they look like."""

from __future__ import annotations

import re

HEAD_BYTES = 1024
"""How many first bytes tell."""

IMAGES = frozenset(("jpeg", "png", "gif", "webp", "avif", "bmp", "tiff", "ico"))

_STARTS = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
    (b"%PDF-", "pdf"),
    (b"\x1f\x8b", "gzip"),
    (b"PK\x03\x04", "zip"),
    (b"\xff\x0a", "jxl"),
    (b"\0\0\0\x0cJXL ", "jxl"),
    (b"\x1aE\xdf\xa3", "matroska"),
)
_BMP_HEADERS = frozenset((12, 40, 52, 56, 64, 108, 124))  # sizes of the header after the first
_HTML = re.compile(
    rb"<(?:!doctype html|html|head|body|script|title|meta|div|p|a|h1)\b", re.IGNORECASE
)
_SVG = re.compile(rb"<svg[\s/>]", re.IGNORECASE)
_CONTROL = re.compile(rb"[\0-\x08\x0e-\x1f]")


def sniffed(head: bytes) -> str:
    """What the first bytes are of: one of IMAGES, or html, svg, pdf, text ...; unknown at last."""
    for start, kind in _STARTS:
        if head.startswith(start):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[4:8] == b"ftyp":
        return _of_brands(head)
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return "bmp"
    if head[:4] == b"\0\0\1\0" and head[4:6] != b"\0\0":
        return "ico"
    return _of_text(head)


def _of_brands(head: bytes) -> str:
    """By the brands of an ISO base media file: the major one, then those it is compatible with."""
    size = int.from_bytes(head[:4], "big")
    box = head[8 : max(16, min(size, 256))]
    brands = {box[at : at + 4] for at in range(0, len(box), 4)}
    if brands & {b"avif", b"avis"}:
        return "avif"
    return "heic" if brands & {b"heic", b"heix", b"mif1", b"msf1"} else "mp4"


def _of_text(head: bytes) -> str:
    text = head[:HEAD_BYTES].removeprefix(b"\xef\xbb\xbf").lstrip()
    if not text:
        return "unknown" if head else "empty"
    if text[:1] == b"<":
        if _SVG.search(text):
            return "svg"
        if _HTML.search(text):
            return "html"
        return "xml" if text[:5] == b"<?xml" else "text"
    if _CONTROL.search(text):
        return "unknown"
    return "json" if text[:1] in b"{[" else "text"
