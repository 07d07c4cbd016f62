"""Documents as HTML fragments: what a person would read, with every verdict beside it.

Page text, addresses and picture bytes are hostile: all text is escaped, only http(s) addresses
become links, pictures are decoded under limits and written anew, and nothing is ever fetched.
"""

from __future__ import annotations

import base64
import html
import io
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipelines.corpus import Document
    from pipelines.rows import JudgedRow, Verdict

MAX_SIDE = 360
MAX_PIXELS = 40_000_000
MAX_IMAGE_BYTES = 20_000_000
PICTURE_BUDGET = 320_000
"""Bytes of shrunken pictures that one document may show."""
MAX_NODES = 80
_MAX_TEXT = 4000
_MAX_LABEL = 300
_MAX_ROWS = 60
_MAX_LINK = 2000
_FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP")
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffe\uffff]")


@dataclass(frozen=True)
class Judged:
    """A node with what was decided about it: `reason` is empty when it stays."""

    node: dict[str, Any]
    reason: str


def document_html(
    document: Document, *, pictures: bool = True, max_nodes: int = MAX_NODES, styled: bool = True
) -> str:
    """The document as an HTML fragment; `styled=False` where the page holds `style()` already."""
    lang = escaped(document.values.get("lang") or "und")
    parts = [
        style() if styled else "",
        f'<article class="ol-doc" lang="{lang}">',
        _head(document),
        _body(document, pictures=pictures, max_nodes=max_nodes),
        verdicts_html(document),
        "</article>",
    ]
    return "\n".join(part for part in parts if part)


def style() -> str:
    """The style sheet that document fragments need, as a <style> element."""
    return f"<style>{_CSS}</style>"


def escaped(value: object, limit: int = _MAX_LABEL) -> str:
    """Untrusted text for use in HTML, in attributes too; cut after `limit` characters."""
    text = _CONTROLS.sub("\ufffd", str(value))
    if len(text) > limit:
        text = f"{text[:limit]} … {len(text) - limit:,} more characters"
    return html.escape(text)


def link(url: str) -> str:
    """The address as text; a link where it is a plain http(s) one."""
    shown = f'<bdi class="ol-url">{escaped(url)}</bdi>'
    plain = re.match(r"https?://", url, re.IGNORECASE) and len(url) <= _MAX_LINK
    if not plain or _CONTROLS.search(url):
        return shown
    return f'<a href="{html.escape(url)}" rel="noreferrer noopener nofollow">{shown}</a>'


def number(value: object) -> str:
    """A measured value as people read it: four significant digits, thousands parted."""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{value:,}" if type(value) is int else str(value)


def counted(value: int, noun: str) -> str:
    """A count with its noun: `1 page`, `2,000 pages`."""
    return f"{value:,} {noun}{'' if value == 1 else 's'}"


# Head


def _head(document: Document) -> str:
    title = document.values.get("title")
    shown = escaped(title) if title else '<span class="ol-none">no title</span>'
    return (
        f'<header class="ol-head">{badge(document)}'
        f'<p class="ol-title" dir="auto">{shown}</p>'
        f'<p class="ol-address">{link(document.url)}</p>'
        f'<p class="ol-facts">{" · ".join(_facts(document))}</p></header>'
    )


def badge(row: JudgedRow) -> str:
    """A small mark: kept, or dropped and by what."""
    if row.kept:
        return '<span class="ol-badge ol-kept">kept</span>'
    stage = (row.dropped_by or "").removeprefix("error: ")
    failed = stage != row.dropped_by
    reason = f"failed in {stage}" if failed else f"dropped by {stage}"
    return f'<span class="ol-badge ol-dropped">{escaped(reason)}</span>'


def _facts(document: Document) -> Iterator[str]:
    values = document.values
    if values.get("lang"):
        score = values.get("lang_score")
        sure = f" ({score:.0%} sure)" if score is not None else ""
        yield f"language {escaped(values['lang'])}{sure}"
    for name, noun in (("word_count", "word"), ("image_count", "image")):
        if values.get(name) is not None:
            yield counted(values[name], noun)
    if document.nodes:
        yield counted(len(document.nodes), "node")
    if values.get("payload_bytes") is not None:
        yield f"{values['payload_bytes'] / 1000:,.1f} kB page"
    if values.get("capture_date") is not None:
        yield f"captured {values['capture_date']:%d %B %Y}"


# Nodes


def _body(document: Document, *, pictures: bool, max_nodes: int) -> str:
    judged = _judged(document)
    album = _Album(document, enabled=pictures, room=PICTURE_BUDGET)
    shown = "\n".join(_runs(judged[:max_nodes], album))
    if not judged and not document.errors:
        shown = '<p class="ol-more">No content was found in this page.</p>'
    more = len(judged) - max_nodes
    if more > 0:
        shown += f'\n<p class="ol-more">… {counted(more, "more node")}</p>'
    return f'<div class="ol-body">\n{shown}\n</div>' if shown else ""


def _judged(document: Document) -> list[Judged]:
    reasons: dict[int, str] = {}
    for verdict in document.verdicts:
        for position in verdict.nodes_dropped:
            reasons.setdefault(position, f"dropped by {verdict.rule}: {_at(verdict, position)}")
    for position, rule in enumerate(document.values.get("node_image_dropped_by") or []):
        if rule is not None:
            reasons.setdefault(position, f"image dropped by {rule}")
    pairs = enumerate(zip(document.nodes, document.nodes_kept, strict=True))
    return [
        Judged(node, "" if kept else reasons.get(position, "dropped"))
        for position, (node, kept) in pairs
    ]


def _at(verdict: Verdict, position: int) -> str:
    """The values that a node rule measured on the node at `position`."""
    shown = []
    for comparison in verdict.comparisons:
        values = verdict.values.get(comparison.column)
        value = values[position] if isinstance(values, list) and position < len(values) else None
        limit = f"{comparison.operator} {number(comparison.threshold)}"
        shown.append(f"{comparison.column} = {number(value)} ({limit})")
    return ", ".join(shown)


def _runs(judged: list[Judged], album: _Album) -> Iterator[str]:
    """The nodes in order; neighbouring list items in one list, neighbouring images in one row."""
    for kind, run in groupby(judged, key=lambda item: item.node["kind"]):
        parts = "\n".join(_node(item, album) for item in run)
        match kind:
            case "list_item":
                yield f"<ul>\n{parts}\n</ul>"
            case "image":
                yield f'<div class="ol-images">{parts}</div>'
            case _:
                yield parts


def _node(judged: Judged, album: _Album) -> str:
    node = judged.node
    tip = f' title="{escaped(judged.reason)}"' if judged.reason else ""
    gone = " ol-gone" if judged.reason else ""
    if node["kind"] == "image":
        return f'<figure class="ol-image{gone}"{tip}>{album.picture(node)}</figure>'
    text = node["text"] or ""
    match node["kind"]:
        case "table":
            return f'<div class="ol-table{gone}"{tip} dir="auto">{_table(text)}</div>'
        case "heading":
            level = min(max(node["level"] or 3, 1), 6)
            tag, name = "p", f"ol-h ol-h{level}"
            extra = f' role="heading" aria-level="{level}"'
        case "code" | "formula":
            tag, name, extra = "pre", f"ol-{node['kind']}", ""
        case "quote":
            tag, name, extra = "blockquote", "ol-quote", ' dir="auto"'
        case "list_item":
            tag, name, extra = "li", "ol-item", ' dir="auto"'
        case "caption":
            tag, name, extra = "p", "ol-caption", ' dir="auto"'
        case _:
            tag, name, extra = "p", "ol-text", ' dir="auto"'
    inner = escaped(text, _MAX_TEXT)
    inner = f"<s>{inner}</s>" if judged.reason else inner
    return f'<{tag} class="{name}{gone}"{extra}{tip}>{inner}</{tag}>'


def _table(text: str) -> str:
    lines = text.split("\n")
    rows = [
        "<tr>" + "".join(f"<td>{escaped(cell)}</td>" for cell in line.split(" | ")) + "</tr>"
        for line in lines[:_MAX_ROWS]
    ]
    more = len(lines) - _MAX_ROWS
    if more > 0:
        rows.append(f'<tr><td class="ol-more">… {counted(more, "more row")}</td></tr>')
    return f"<table>{''.join(rows)}</table>"


# Pictures


@dataclass
class _Album:
    """A document's pictures as data: addresses, until the document's budget is spent."""

    document: Document
    enabled: bool
    room: int
    seen: dict[str, str | None] = field(default_factory=dict)

    def picture(self, node: dict[str, Any]) -> str:
        url, alt = node["image_url"] or "", node["alt"] or ""
        if not self.enabled:
            return _placeholder(url, alt, "pictures are switched off")
        if url not in self.seen:
            self.seen[url] = self._data(url) if self.room > 0 else ""
        data = self.seen[url]
        if data is None:
            return _placeholder(url, alt, "not in the inputs, or not readable")
        if not data or len(data) > self.room:
            return _placeholder(url, alt, "left out to keep this page small")
        self.room -= len(data)
        return f'<img src="{data}" alt="{escaped(alt)}" title="{escaped(url)}">'

    def _data(self, url: str) -> str | None:
        try:
            found = self.document.corpus.image(url)
            return None if found is None else thumbnail(found)
        except Exception:  # noqa: BLE001  # a hostile picture must not cost the page
            return None


def thumbnail(data: bytes) -> str:
    """A picture shrunk and written anew, as a data: address.

    Raises:
        ValueError: the picture is beyond the limits; Pillow's own errors when it is broken.
    """
    from PIL import Image, ImageOps

    if len(data) > MAX_IMAGE_BYTES:
        raise ValueError(f"picture of {len(data)} bytes")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        opened = Image.open(io.BytesIO(data), formats=_FORMATS)
        if opened.width * opened.height > MAX_PIXELS:
            raise ValueError(f"picture of {opened.width} by {opened.height} pixels")
        opened.thumbnail((MAX_SIDE, MAX_SIDE))
        turned = ImageOps.exif_transpose(opened)
    if turned.has_transparency_data:
        return _address("png", _encoded(turned.convert("RGBA"), "PNG"))
    flat = turned.convert("RGB")
    lossless, lossy = _encoded(flat, "PNG"), _encoded(flat, "JPEG")
    if len(lossless) <= len(lossy):
        return _address("png", lossless)
    return _address("jpeg", lossy)


def _encoded(picture: Any, kind: str) -> bytes:
    sink = io.BytesIO()
    picture.save(sink, kind, optimize=True, **({"quality": 80} if kind == "JPEG" else {}))
    return sink.getvalue()


def _address(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _placeholder(url: str, alt: str, reason: str) -> str:
    words = f'<span class="ol-alt" dir="auto">{escaped(alt)}</span>' if alt.strip() else ""
    return (
        f'<div class="ol-missing" role="img" aria-label="{escaped(alt) or "picture"}, {reason}">'
        f'{words}<span class="ol-why">{reason}</span>{link(url)}</div>'
    )


# Verdicts


def verdicts_html(row: JudgedRow) -> str:
    """What failed on a row, and every verdict, folded."""
    asked = [verdict for verdict in row.verdicts if verdict.passed is not None]
    against = sum(1 for v in asked if v.table != "nodes" and not v.passed)
    label = f"Verdicts: {counted(len(asked), 'rule')} asked, {against or 'none'} against"
    if not asked:
        label = "Verdicts: no rule was asked"
    rows = "\n".join(_verdict(verdict) for verdict in row.verdicts)
    head = "<tr><th>Rule</th><th>Stage</th><th>Measured (threshold)</th><th>Result</th></tr>"
    errors = "\n".join(
        f'<p class="ol-error"><b>{escaped(stage)} failed.</b> {escaped(message, 1000)}</p>'
        for stage, message in row.errors.items()
    )
    return (
        f'{errors}<details class="ol-verdicts"><summary>{label}</summary>'
        f'<div class="ol-scroll"><table><thead>{head}</thead>'
        f"<tbody>\n{rows}\n</tbody></table></div></details>"
    )


def _verdict(verdict: Verdict) -> str:
    if verdict.table == "nodes":
        measured, result = "each node", _node_result(verdict)
    else:
        measured, result = verdict.thresholds, _result(verdict)
    return (
        f'<tr><td title="{escaped(verdict.text)}">{escaped(verdict.rule)}</td>'
        f"<td>{escaped(verdict.stage)}</td>"
        f"<td>{escaped(measured)}</td>{result}</tr>"
    )


def _result(verdict: Verdict) -> str:
    match verdict.passed:
        case None:
            return '<td class="ol-none">not asked</td>'
        case True:
            return '<td class="ol-passed">passed</td>'
        case _:
            return '<td class="ol-failed">dropped</td>'


def _node_result(verdict: Verdict) -> str:
    if verdict.passed is not False:
        return _result(verdict)
    return f'<td class="ol-failed">{counted(len(verdict.nodes_dropped), "node")} dropped</td>'


_CSS = """
.ol-doc, .ol-page { --ol-ink: #1d232b; --ol-soft: #5d6875; --ol-line: #d9dee4;
  --ol-paper: #ffffff; --ol-wash: #f4f6f8; --ol-link: #22577a; --ol-good: #1f6f54;
  --ol-good-bg: #e3f1eb; --ol-bad: #9c3d2e; --ol-bad-bg: #f9e9e5; }
@media (prefers-color-scheme: dark) {
  .ol-doc, .ol-page { --ol-ink: #dfe4ea; --ol-soft: #96a1ad; --ol-line: #343c46;
    --ol-paper: #181c21; --ol-wash: #20262d; --ol-link: #8fc1e3; --ol-good: #86cfae;
    --ol-good-bg: #1c352b; --ol-bad: #eaa192; --ol-bad-bg: #3d231e; } }
.ol-doc { color: var(--ol-ink); background: var(--ol-paper); border: 1px solid var(--ol-line);
  border-radius: 6px; max-width: 54rem; margin: 0.75rem 0; text-align: start;
  font: 15px/1.6 "Source Serif 4", "Iowan Old Style", Charter, Georgia, "Noto Serif", serif; }
.ol-doc * { box-sizing: border-box; }
.ol-doc a { color: var(--ol-link); text-decoration: none; }
.ol-doc a:hover { text-decoration: underline; }
.ol-head, .ol-verdicts, .ol-error, .ol-caption, .ol-missing, .ol-more, .ol-table {
  font-family: system-ui, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", sans-serif; }
.ol-head { padding: 0.9rem 1.25rem 0.75rem; border-bottom: 1px solid var(--ol-line); }
.ol-head p { margin: 0; }
.ol-doc p.ol-title { font-size: 1.2rem; font-weight: 600; line-height: 1.35;
  margin: 0.4rem 0 0.15rem; overflow-wrap: anywhere; }
.ol-address { font-size: 0.82rem; overflow-wrap: anywhere; }
.ol-url { unicode-bidi: isolate; overflow-wrap: anywhere; }
.ol-facts { font-size: 0.82rem; color: var(--ol-soft); }
.ol-badge { display: inline-block; font-size: 0.75rem; font-weight: 600; line-height: 1.5;
  padding: 0.1rem 0.6rem; border-radius: 1rem; overflow-wrap: anywhere; }
.ol-kept { color: var(--ol-good); background: var(--ol-good-bg); }
.ol-dropped { color: var(--ol-bad); background: var(--ol-bad-bg); }
.ol-body { padding: 0.75rem 1.25rem 1rem; overflow-wrap: anywhere; }
.ol-body p, .ol-body ul, .ol-body blockquote { margin: 0 0 0.75rem; white-space: pre-line; }
.ol-body ul { padding-inline-start: 1.4rem; white-space: normal; }
.ol-doc .ol-h { font-weight: 600; line-height: 1.3; margin: 1.1rem 0 0.45rem; }
.ol-doc .ol-h1 { font-size: 1.45rem; }
.ol-doc .ol-h2 { font-size: 1.25rem; }
.ol-doc .ol-h3 { font-size: 1.1rem; }
.ol-body pre { background: var(--ol-wash); color: inherit; border-radius: 4px; margin: 0 0 0.75rem;
  padding: 0.6rem 0.8rem; overflow-x: auto; overflow-wrap: normal; line-height: 1.45;
  font-size: 0.82rem; font-family: ui-monospace, "SFMono-Regular", Menlo, Consolas, monospace; }
.ol-body .ol-quote { border-inline-start: 3px solid var(--ol-line); padding: 0 1rem;
  color: var(--ol-soft); }
.ol-body .ol-caption { font-size: 0.82rem; color: var(--ol-soft); }
.ol-table, .ol-scroll { overflow-x: auto; margin: 0 0 0.75rem; overflow-wrap: normal; }
.ol-doc table { border-collapse: collapse; font-size: 0.82rem; line-height: 1.45; margin: 0;
  color: inherit; }
.ol-doc tr, .ol-doc tbody tr:nth-child(odd) { background: none; }
.ol-doc td, .ol-doc th { border: 0 solid var(--ol-line); border-bottom-width: 1px; color: inherit;
  padding: 0.25rem 0.6rem; text-align: start; vertical-align: top; max-width: 30rem; }
.ol-doc th { color: var(--ol-soft); font-weight: 600; }
.ol-images { display: flex; flex-wrap: wrap; align-items: flex-start; gap: 0.6rem;
  margin: 0.25rem 0 0.9rem; }
.ol-doc .ol-image { margin: 0; max-width: 100%; }
.ol-doc .ol-image img { display: block; max-width: 100%; height: auto; margin: 0;
  background: #ffffff; border-radius: 3px; box-shadow: 0 0 0 1px var(--ol-line); }
.ol-missing { display: flex; flex-direction: column; gap: 0.1rem; width: 16rem; max-width: 100%;
  padding: 0.6rem 0.75rem; border: 1px dashed var(--ol-line); border-radius: 4px;
  background: var(--ol-wash); font-size: 0.75rem; line-height: 1.4; overflow-wrap: anywhere; }
.ol-alt { font-weight: 600; }
.ol-why, .ol-more, .ol-none { color: var(--ol-soft); }
.ol-doc .ol-gone { opacity: 0.45; }
.ol-doc .ol-more { font-size: 0.82rem; }
.ol-doc p.ol-error { margin: 0; padding: 0.6rem 1.25rem; font-size: 0.82rem;
  color: var(--ol-bad); background: var(--ol-bad-bg); overflow-wrap: anywhere; }
.ol-verdicts { border-top: 1px solid var(--ol-line); padding: 0.6rem 1.25rem; }
.ol-verdicts summary { cursor: pointer; font-size: 0.82rem; color: var(--ol-soft); }
.ol-verdicts[open] summary { margin-bottom: 0.5rem; }
.ol-passed { color: var(--ol-good); }
.ol-doc td.ol-passed, .ol-doc td.ol-failed, .ol-doc td.ol-none { white-space: nowrap; }
.ol-doc td.ol-passed { color: var(--ol-good); }
.ol-doc td.ol-failed { color: var(--ol-bad); font-weight: 600; }
.ol-doc td.ol-none { color: var(--ol-soft); }
@media print { .ol-doc { break-inside: auto; } .ol-image { break-inside: avoid; } }
"""
