"""A page's bytes as text, in the character set that they are really in."""

from __future__ import annotations

import codecs
import re

import numpy as np
import pyarrow as pa
from charset_normalizer import from_bytes

_META_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w.:-]+)", re.I)
_BYTE_ORDER_MARKS = {
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
_MARKS = tuple(_BYTE_ORDER_MARKS)
# What browsers decode in place of the declared name (WHATWG Encoding Standard), by codec name.
_SUPERSETS = {
    "ascii": "cp1252",
    "euc_kr": "cp949",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "iso8859-1": "cp1252",
    "shift_jis": "cp932",
}
_LABELS = {"x-sjis": "cp932", "x-gbk": "gb18030", "windows-949": "cp949"}
# Codecs of Python's that no web page means.
_FOREIGN = {"utf-7", "unicode-escape", "raw-unicode-escape", "punycode", "idna", "undefined"}
_SAMPLE = 65536


class UndecodablePage(ValueError):
    """No character set explains the page's bytes."""


def decode_html(html: bytes, http_charset: str | None = None) -> str:
    """The page as text: byte order mark, else HTTP header, else meta, else UTF-8, else detection.

    Bytes beyond ASCII that are valid UTF-8 throughout are UTF-8 whatever is declared: servers and
    converters often leave an old declaration behind, and other character sets hardly ever pass for
    UTF-8 by chance. A declared character set that does not fit the bytes is passed over, unless all
    but one in fifty characters fit.

    Raises:
        UndecodablePage: the bytes look like binary data.
    """
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if html.startswith(mark):
            return html.decode(encoding, "replace")
    if not html.isascii() and _is_utf8(html):
        return html.decode()
    declared = [name for name in (http_charset, _meta_charset(html)) if name]
    for name in (*declared, "utf-8"):
        text = _decoded(html, name)
        if text is not None:
            return text
    if b"\0" in html[:1024]:
        raise UndecodablePage("the page holds binary data")
    for name in (*declared, "utf-8"):
        text = _slightly_broken(html, name)
        if text is not None:
            return text
    return _detected(html) or html.decode("utf-8", "replace")


def utf8_html(html: bytes, http_charset: str | None = None) -> bytes:
    """The page of `decode_html` as UTF-8; most pages are that already.

    Raises:
        UndecodablePage: the bytes look like binary data.
    """
    if not html.isascii() and not html.startswith(_MARKS) and _is_utf8(html):
        return html
    return decode_html(html, http_charset).encode(errors="replace")


def _is_utf8(html: bytes) -> bool:
    """Arrow looks through the bytes three times as fast as Python decodes them."""
    edges = np.array([0, len(html)], np.int32)
    text = pa.StringArray.from_buffers(1, pa.py_buffer(edges), pa.py_buffer(html))
    try:
        text.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _meta_charset(html: bytes) -> str | None:
    """What the page says of itself. It was readable as ASCII, so UTF-16 cannot be meant."""
    found = _META_CHARSET.search(html, 0, 4096)
    name = found.group(1).decode("ascii", "replace").lower() if found else None
    return "utf-8" if name and name.startswith(("utf-16", "utf-32", "utf16", "utf32")) else name


def _encoding(name: str) -> str | None:
    """Python's name for what browsers decode when a page declares `name`; None if they do not."""
    label = name.strip(" \t\"'").lower()
    try:
        codec = codecs.lookup(_LABELS.get(label, label))
    except (LookupError, ValueError):
        return None
    encoding = _SUPERSETS.get(codec.name, codec.name)
    return None if encoding in _FOREIGN or not codec._is_text_encoding else encoding


def _decoded(html: bytes, name: str) -> str | None:
    encoding = _encoding(name)
    if encoding is None:
        return None
    try:
        return html.decode(encoding, "strict")
    except UnicodeError:
        return html.decode("latin-1") if encoding == "cp1252" else None


def _slightly_broken(html: bytes, name: str) -> str | None:
    """The text with replacement characters, when at most one in fifty characters is broken."""
    encoding = _encoding(name)
    if encoding is None:
        return None
    text = html.decode(encoding, "replace")
    broken = text.count("\ufffd")
    if broken * 50 > len(text):
        return None
    beyond_ascii = len(text) - len(text.encode("ascii", "ignore")) - broken
    return text if beyond_ascii > broken else None


def _detected(html: bytes) -> str | None:
    for cut in range(4):  # the sample may end inside a character
        excluded = ["utf_16", "utf_32", "utf_7"]
        found = from_bytes(html[: _SAMPLE - cut], cp_exclusion=excluded).best()
        text = _decoded(html, found.encoding) if found else None
        if text is not None:
            return text
    return None
