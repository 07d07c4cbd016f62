"""The report's section on images: their funnel, their measures, and what rules kept and dropped."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa

from operators.rules import LEVELS, parse
from pipelines.bars import LEGEND, funnel_chart
from pipelines.histograms import histogram
from pipelines.page import note
from pipelines.render import counted, escaped, number, thumbnail
from schemas.columns import COLUMNS

if TYPE_CHECKING:
    from pipelines.corpus import Corpus

_SHOWN = 12
_PLACES = ("source_offset", "source_record", "fetched_at")
_FIRST = ("image_width", "image_height", "image_bytes", "phash_count", "nsfw_prob", "http_status")


def images_section(corpus: Corpus) -> str:
    """The section's body; empty where the job measures no images."""
    if corpus.images_view is None or not corpus.image_records:
        return ""
    rows = [row for row in corpus.image_funnel().to_dicts() if row["dropped"]]
    summary = corpus.summary
    legend = LEGEND.format(kept="still there", dropped="dropped here first")
    chart = funnel_chart("images", rows, summary.images, summary.images_kept)
    frame = corpus.images(*_measures(corpus))
    return "\n".join(
        [
            note("An image is an address that documents show; it is measured and judged once."),
            f"<figure>{legend}{chart}</figure>",
            _histograms(corpus, frame),
            _galleries(corpus, frame),
        ]
    )


def _measures(corpus: Corpus) -> list[str]:
    assert corpus.images_view is not None
    numeric = [
        name
        for name in corpus.images_view.columns
        if pa.types.is_integer(COLUMNS[name].type) or pa.types.is_floating(COLUMNS[name].type)
    ]
    found = [name for name in numeric if name not in _PLACES and not name.endswith("hash")]
    first = [name for name in _FIRST if name in found]
    return ["image_url", *first, *(name for name in found if name not in first)]


def _histograms(corpus: Corpus, frame: pl.DataFrame) -> str:
    assert corpus.images_view is not None
    names = [name for name in frame.columns if frame[name].dtype.is_numeric()]
    charts = [histogram(frame, name, corpus.images_view.rules) for name in names]
    drawn = "".join(chart for chart in charts if chart)
    return f'<div class="ol-charts">{drawn}</div>' if drawn else ""


def _galleries(corpus: Corpus, frame: pl.DataFrame) -> str:
    """Some images that were kept, and some that each rule dropped."""
    assert corpus.images_view is not None
    parts = [_gallery(corpus, frame.filter("kept"), "Kept", [])]
    for rule in corpus.images_view.rules:
        dropped = frame.filter(pl.col("dropped_by") == rule["name"])
        level = LEVELS[rule["table"]]
        asked = parse(rule["expression"], level).columns
        shown = [name for name in asked if name in frame.columns]
        title = f"Dropped by {rule['name']}"
        parts.append(_gallery(corpus, dropped, title, shown))
    return "\n".join(part for part in parts if part)


def _gallery(corpus: Corpus, frame: pl.DataFrame, title: str, shown: list[str]) -> str:
    """A dozen thumbnails, chosen by the hash of their address; none where there are no bytes."""
    rows = frame.select("image_url", *shown).to_dicts()
    rows.sort(key=lambda row: hashlib.blake2b(row["image_url"].encode(), digest_size=8).digest())
    pictures = [picture for row in rows[: 3 * _SHOWN] if (picture := _picture(corpus, row, shown))]
    if not pictures:
        return ""
    return (
        f"<h3>{escaped(title)} ({counted(len(rows), 'image')})</h3>"
        f'<div class="ol-wall">{"".join(pictures[:_SHOWN])}</div>'
    )


def _picture(corpus: Corpus, row: dict[str, Any], shown: list[str]) -> str:
    try:
        data = corpus.image(row["image_url"])
        source = "" if data is None else thumbnail(data)
    except Exception:  # noqa: BLE001  # a hostile picture must not cost the page
        source = ""
    if not source:
        return ""
    said = ", ".join(f"{name.removeprefix('image_')} {number(row[name])}" for name in shown)
    url = escaped(row["image_url"], 300)
    words = f"<figcaption>{escaped(said)}</figcaption>" if said else ""
    return f'<figure><img src="{source}" alt="" title="{url}">{words}</figure>'


IMAGE_CSS = """
.ol-wall { display: grid; grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr));
  gap: 0.8rem; }
.ol-wall figure { margin: 0; }
.ol-wall img { width: 100%; height: 7rem; object-fit: contain; background: var(--ol-line); }
.ol-wall figcaption { font-size: 0.78rem; color: var(--ol-soft); overflow-wrap: anywhere; }
"""
