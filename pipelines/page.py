"""The frame of the pages that omniloom writes: one HTML file, no script, nothing fetched."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from operators.files import Files
from pipelines.render import style


def page(title: str, body: str, css: str = "") -> str:
    """A whole HTML page; `title` and `body` are ready HTML, `css` is added to the frame's own."""
    return _PAGE.format(title=title, style=style(), css=_CSS + css, body=body)


def write(path: str, text: str) -> str:
    """Write a file, local or at an s3:// address, and return its path."""
    folder, separator, name = path.rpartition("/")
    Files(folder or ("/" if separator else ".")).write(name, text.encode())
    return path


def section(name: str, title: str, body: str) -> str:
    """A section with its heading; nothing when there is no body."""
    return f'<section id="{name}"><h2>{title}</h2>\n{body}\n</section>' if body else ""


def note(text: str) -> str:
    """A line of small print; nothing when there is no text."""
    return f'<p class="ol-note">{text}</p>' if text else ""


def table(head: Sequence[str], rows: Iterable[Sequence[str]], numeric: Sequence[int] = ()) -> str:
    """A table of ready HTML cells; the columns numbered in `numeric` are set right."""

    def cells(tag: str, values: Sequence[str]) -> str:
        marks = (' class="ol-num"' if i in numeric else "" for i in range(len(values)))
        pairs = zip(marks, values, strict=True)
        return "".join(f"<{tag}{mark}>{value}</{tag}>" for mark, value in pairs)

    body = "\n".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return (
        f'<div class="ol-wide"><table class="ol-grid"><thead><tr>{cells("th", head)}</tr></thead>'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>{title}</title>
<link rel="icon" href="data:,">
{style}
<style>{css}</style>
</head>
<body class="ol-page">
<main>
{body}
</main>
</body>
</html>
"""

_CSS = """
.ol-page { --ol-bar-kept: #2f7272; --ol-bar-dropped: #d39a7b; --ol-bar-back: #eceff2;
  margin: 0; color: var(--ol-ink); background: var(--ol-paper);
  font: 15px/1.55 system-ui, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", sans-serif; }
@media (prefers-color-scheme: dark) {
  .ol-page { --ol-bar-kept: #5fa8a4; --ol-bar-dropped: #b9775a; --ol-bar-back: #262d35; } }
.ol-page main { max-width: 66rem; margin: 0 auto; padding: 2.5rem 1.5rem 4rem; }
.ol-page h1, .ol-page h2, .ol-lead, .ol-tiles dd {
  font-family: "Source Serif 4", "Iowan Old Style", Charter, Georgia, "Noto Serif", serif; }
.ol-page h1 { font-size: 2.5rem; line-height: 1.15; margin: 0; font-weight: 600;
  overflow-wrap: anywhere; }
.ol-page h2 { font-size: 1.5rem; line-height: 1.25; font-weight: 600; margin: 3.25rem 0 1rem;
  padding-top: 0.8rem; border-top: 1px solid var(--ol-line); }
.ol-page h3 { font-size: 1rem; font-weight: 600; margin: 1.5rem 0 0.6rem; }
.ol-kind { margin: 0 0 0.25rem; color: var(--ol-soft); font-size: 0.8rem; font-weight: 600;
  letter-spacing: 0.08em; text-transform: uppercase; }
.ol-page p.ol-note { color: var(--ol-soft); font-size: 0.85rem; margin: 0.35rem 0 0.75rem; }
.ol-page p.ol-lead { font-size: 1.2rem; line-height: 1.5; margin: 1.25rem 0; max-width: 44rem; }
.ol-tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.2rem, 1fr));
  margin: 1.5rem 0 0; border-top: 2px solid var(--ol-ink); }
.ol-tiles div { display: flex; flex-direction: column-reverse; justify-content: flex-end;
  padding: 0.7rem 1rem 0.7rem 0; }
.ol-tiles dt { color: var(--ol-soft); font-size: 0.8rem; line-height: 1.3; }
.ol-tiles dd { margin: 0; font-size: 1.8rem; line-height: 1.25; white-space: nowrap;
  font-variant-numeric: lining-nums; }
.ol-page figure { margin: 0; }
.ol-page figcaption { font-size: 0.9rem; font-weight: 600; margin: 0 0 0.5rem; }
.ol-charts figcaption { font-weight: 400; color: var(--ol-soft); font-size: 0.82rem;
  line-height: 1.4; min-height: 3.4rem; }
.ol-charts figcaption b { color: var(--ol-ink); font-size: 0.9rem; }
.ol-charts figcaption .ol-note { display: block; }
.ol-legend { font-size: 0.82rem; color: var(--ol-soft); margin: 0.25rem 0 0.9rem; }
.ol-swatch { display: inline-block; width: 0.8em; height: 0.8em; border-radius: 2px; }
.ol-legend .ol-swatch:not(:first-child) { margin-inline-start: 1rem; }
.ol-swatch.ol-fill-kept { background: var(--ol-bar-kept); }
.ol-swatch.ol-fill-dropped { background: var(--ol-bar-dropped); }
.ol-fill-kept { fill: var(--ol-bar-kept); }
.ol-fill-dropped { fill: var(--ol-bar-dropped); }
.ol-fill-back { fill: var(--ol-bar-back); }
.ol-page svg { display: block; overflow: visible; font-variant-numeric: tabular-nums; }
.ol-hist { width: 100%; height: auto; }
.ol-page svg text { fill: var(--ol-soft); }
.ol-page svg .ol-name { font-size: 13px; font-weight: 600; fill: var(--ol-ink); }
.ol-page svg .ol-value { font-size: 13px; fill: var(--ol-ink); }
.ol-small { font-size: 11.5px; }
.ol-axis { font-size: 10px; }
.ol-end { text-anchor: end; }
.ol-mid { text-anchor: middle; }
.ol-rule { stroke: var(--ol-line); stroke-width: 0.6; }
.ol-base { stroke: var(--ol-soft); stroke-width: 0.8; }
.ol-limit { stroke: var(--ol-bad); stroke-width: 1.2; stroke-dasharray: 4 3; }
.ol-halves { display: grid; gap: 1.5rem 3rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); }
.ol-halves h3 { margin-top: 0; }
.ol-charts { display: grid; gap: 2rem 2.5rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 18rem), 1fr)); }
.ol-page section > details { margin-top: 1.25rem; }
.ol-page summary { cursor: pointer; }
.ol-page section > details > summary { color: var(--ol-link); }
.ol-page details > .ol-charts { margin-top: 1.25rem; }
.ol-wide { overflow-x: auto; }
.ol-grid { border-collapse: collapse; width: 100%; font-size: 0.85rem; line-height: 1.45;
  font-variant-numeric: tabular-nums; }
.ol-grid th { text-align: start; font-weight: 600; color: var(--ol-soft); white-space: nowrap;
  border-bottom: 1px solid var(--ol-soft); padding: 0.35rem 1.25rem 0.35rem 0; }
.ol-grid td { border-bottom: 1px solid var(--ol-line); padding: 0.35rem 1.25rem 0.35rem 0;
  vertical-align: top; }
.ol-grid td:first-child { white-space: nowrap; }
.ol-grid td:last-child, .ol-grid th:last-child { padding-inline-end: 0; }
.ol-grid td b { font-weight: 600; }
.ol-grid .ol-num { text-align: end; white-space: nowrap; }
@media (max-width: 40rem) {
  .ol-page main { padding: 1.5rem 1rem 3rem; }
  .ol-page h1 { font-size: 2rem; }
  .ol-tiles { grid-template-columns: repeat(2, 1fr); }
  .ol-tiles dd { font-size: 1.5rem; }
  .ol-charts figcaption { min-height: 0; } }
@media print {
  .ol-page main { max-width: none; padding: 0; }
  .ol-page figure, .ol-grid tr { break-inside: avoid; }
  .ol-page h2, .ol-page h3 { break-after: avoid; } }
"""
