"""Tables of kept documents with images, as an export gets them."""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from PIL import Image

from operators.export import FORMATS, format_of
from operators.export_documents import Document
from operators.export_documents import Image as ImagePart
from schemas import columns
from schemas.job import ExportSpec
from tests.strategies import texts
from tests.trainers import Part

FORMAT_NAMES = ("png", "jpeg", "webp", "gif")
URLS = [f"https://a.example/pic%20{n}/no_{n}.jpg?q=<image>&n={n}" for n in range(5)]
SCHEMA = pa.schema(
    [
        *columns.schema("doc_id", "url", "domain", "source_file", "source_offset", "nodes"),
        *columns.schema("node_token_count", "clip_similarity", "url_cluster_size"),
        *columns.seen_by_documents("image_data", "image_sha256", "image_format"),
        *columns.seen_by_documents("image_width", "image_height", "phash", "nsfw_prob"),
    ]
)


@cache
def picture(url: str, kind: str | None = None) -> tuple[bytes, str, int, int]:
    """An image that stands for an address: bytes, format, width, height."""
    seed = hashlib.sha256(url.encode()).digest()
    kind = kind or FORMAT_NAMES[seed[0] % len(FORMAT_NAMES)]
    size = (1 + seed[1] % 40, 1 + seed[2] % 40)
    stream = io.BytesIO()
    Image.new("RGB", size, (seed[3], seed[4], seed[5])).save(stream, kind)
    return stream.getvalue(), kind, *size


def tokens_of(text: str) -> int:
    return math.ceil(len(text) / 4)


def node(kind: str, text: str | None = None, url: str | None = None, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "text": text, "image_url": url, "dom_index": 0, **more}


def row(
    name: str,
    nodes: list[dict[str, Any]],
    similarity: Sequence[Sequence[float | None] | None] | None = None,
    *,
    fetched: bool = True,
    kind: str | None = None,
) -> dict[str, Any]:
    """A document's values; its images are made up from their addresses."""
    shown = [picture(n["image_url"], kind) if fetched and n["image_url"] else None for n in nodes]
    return {
        "doc_id": name,
        "url": f"https://a.example/{name}",
        "domain": "a.example",
        "source_file": "pages.warc.gz",
        "source_offset": 12,
        "nodes": nodes,
        "node_token_count": [tokens_of(n["text"] or "") for n in nodes],
        "clip_similarity": similarity,
        "url_cluster_size": 2,
        "image_data": [p and p[0] for p in shown],
        "image_sha256": [p and hashlib.sha256(p[0]).hexdigest() for p in shown],
        "image_format": [p and p[1] for p in shown],
        "image_width": [p and p[2] for p in shown],
        "image_height": [p and p[3] for p in shown],
        "phash": [p and 2**63 + len(p[0]) for p in shown],
        "nsfw_prob": [p and 0.5 for p in shown],
    }


def table(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=SCHEMA)


@st.composite
def rows(draw: DrawFn) -> list[dict[str, Any]]:
    """Documents with texts of any kind, images of a few addresses, and similarities."""
    found = []
    for number in range(draw(st.integers(0, 4))):
        kinds = draw(
            st.lists(st.sampled_from(("image", "image", "text", "caption", "heading")), max_size=9)
        )
        nodes = [
            node(kind, None, draw(st.sampled_from(URLS)), alt=draw(st.none() | texts(8)))
            if kind == "image"
            else node(kind, draw(texts()))
            for kind in kinds
        ]
        spoken = sum(kind != "image" for kind in kinds)
        cosine = st.floats(-1, 1, width=32, allow_subnormal=False)
        line = st.lists(cosine, min_size=spoken, max_size=spoken)
        images = len(kinds) - spoken
        matrix = draw(st.lists(st.none() | line, min_size=images, max_size=images))
        found.append(row(f"doc{number}", nodes, draw(st.sampled_from((matrix, matrix, None)))))
    return found


def specs() -> list[ExportSpec]:
    """Exports of documents: each format and variant, with images and order of all kinds."""
    return [
        ExportSpec(format=name, to="x", variant=variant, images=images, order=order)
        for name, kind in FORMATS.items()
        if kind.table == "documents"
        for variant in kind.variants
        for images in kind.images
        for order in kind.orders
        if not (variant in kind.placed_variants and order == "natural")
    ]


def label(spec: ExportSpec) -> str:
    return f"{spec.format}-{spec.variant}-{spec.images}-{spec.order}"


def parts_of(document: Document, spec: ExportSpec) -> list[Part]:
    """A document's parts, images by content where the export holds bytes, else by address."""
    urls = format_of(spec).spec.images == "urls"
    return [
        ("image", part.url if urls else part.values["image_sha256"])
        if isinstance(part, ImagePart)
        else ("text", part.text)
        for part in document.parts
    ]


def joined(parts: list[Part]) -> list[Part]:
    """Texts in a row as one, with a blank line between them."""
    found: list[Part] = []
    for kind, value in parts:
        if kind == "text" and found and found[-1][0] == "text":
            found[-1] = ("text", f"{found[-1][1]}\n\n{value}")
        else:
            found.append((kind, value))
    return found
