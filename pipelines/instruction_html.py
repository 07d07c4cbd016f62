"""A picture and the instructions about it as HTML fragments, with every verdict beside them.

As in `pipelines.render`, all text is hostile and escaped, and nothing is ever fetched.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from operators.verifiers import letter_in
from pipelines.render import badge, counted, escaped, link, style, thumbnail, verdicts_html

if TYPE_CHECKING:
    from pipelines.rows import Instruction, PictureRow

NO_PICTURE = "no bytes, or not readable"
_TEXT, _SHORT = 1200, 400
_PROMPT = 1500
_KNOWN = (
    ("image_caption", "caption on the page"),
    ("image_alt", "alternative text"),
    ("page_title", "title of the page"),
    ("image_keyword", "searched for"),
    ("image_text", "text in the picture"),
    ("caption_en", "description"),
    ("caption_zh", "description in Chinese"),
    ("caption_problem", "problem of the description"),
)
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def picture_html(
    picture: PictureRow, instructions: Iterable[Instruction], *, styled: bool, full: bool = True
) -> str:
    """The picture with what is known of it, and these instructions.

    `full` shows all verdicts and prompts, not only the verdicts that dropped something. Give
    `styled=False` where the page holds `style()` and `INSTRUCTION_CSS` already.
    """
    css = f"{style()}<style>{INSTRUCTION_CSS}</style>" if styled else ""
    asked = "\n".join(instruction_html(one, full=full) for one in instructions)
    parts = [
        f'{css}<article class="ol-doc ol-pic"><header class="ol-head">{badge(picture)}',
        f'<p class="ol-address">{link(picture.url)}</p>{_facts(picture)}</header>',
        f'<div class="ol-known">{_shown(picture)}<dl>{"".join(_known(picture.values))}</dl></div>',
        _more(picture.values.get("caption_prompt"), "The request for the description", full),
        verdicts_html(picture) if full or picture.errors else "",
        f'<div class="ol-asks">{asked}</div>' if asked else "",
        "</article>",
    ]
    return "\n".join(part for part in parts if part)


def picture_data(picture: PictureRow) -> str | None:
    """The picture, shrunk, as a data: address; None where it is not at hand or not readable."""
    try:
        data = picture.corpus.image(picture.url)
        return None if data is None else thumbnail(data)
    except Exception:  # noqa: BLE001  # a hostile picture must not cost the page
        return None


def _shown(picture: PictureRow) -> str:
    data = picture_data(picture)
    if data is None:
        return f'<div class="ol-missing"><span class="ol-why">{NO_PICTURE}</span></div>'
    return f'<img src="{data}" alt="{escaped(picture.values.get("image_alt") or "")}">'


def _facts(picture: PictureRow) -> str:
    values = picture.values
    facts = [escaped(values[name]) for name in ("image_route", "image_licence") if values.get(name)]
    if values.get("image_width") is not None and values.get("image_height") is not None:
        facts.append(f"{values['image_width']} × {values['image_height']} pixels")
    if values.get("picture_domains"):
        facts.append(f"domains {escaped(', '.join(values['picture_domains']))}")
    if values.get("page_url"):
        facts.append(f"on {link(values['page_url'])}")
    return f'<p class="ol-facts">{" · ".join(facts)}</p>' if facts else ""


def _known(values: dict[str, Any]) -> Iterator[str]:
    for name, label in _KNOWN:
        if values.get(name):
            text = escaped(values[name], _TEXT)
            yield f'<div><dt>{label}</dt><dd dir="auto">{text}</dd></div>'


def instruction_html(instruction: Instruction, *, full: bool, pictured: bool = False) -> str:
    """One instruction; `full` shows all verdicts and the prompt, not only what dropped it.

    `pictured` shows its picture with it.
    """
    values = instruction.values
    names = (values[f"instruction_{name}"] for name in ("kind", "domain", "lang"))
    chips = "".join(f'<span class="ol-chip">{escaped(name)}</span>' for name in names)
    if values.get("review_status"):
        chips += f'<span class="ol-chip">reviewed: {escaped(values["review_status"])}</span>'
    limit = _TEXT if full else _SHORT
    rounds = "".join(_turn(instruction, turn, limit) for turn in instruction.turns)
    image = _shown(instruction.picture) if pictured else ""
    problem = values.get("reply_problem")
    said = f'<p class="ol-error">{escaped(problem, _TEXT)}</p>' if problem else ""
    rest = _more(values.get("generation_prompt"), "The request", full)
    verdicts = verdicts_html(instruction) if full else _against(instruction)
    name = escaped(instruction.instruction_id)
    return (
        f'<section class="ol-ask" lang="{escaped(values["instruction_lang"])}" title="{name}">'
        f"{image}<p>{badge(instruction)} {chips}</p>{rounds}{said}{verdicts}{rest}</section>"
    )


def _turn(instruction: Instruction, turn: dict[str, str], limit: int) -> str:
    question, answer = escaped(turn["question"], limit), escaped(turn["answer"], limit)
    options = instruction.options
    right = letter_in(turn["answer"], options) if options else None
    listed = "".join(
        f'<li{_marked(letter == right)} dir="auto">{letter}. {escaped(text)}</li>'
        for letter, text in zip(_LETTERS, options, strict=False)
    )
    options_list = f'<ul class="ol-options">{listed}</ul>' if listed else ""
    return (
        f'<p class="ol-q" dir="auto">{question}</p>{options_list}'
        f'<p class="ol-a" dir="auto">{answer}</p>'
    )


def _marked(right: bool) -> str:
    return ' class="ol-right"' if right else ""


def _against(instruction: Instruction) -> str:
    """What dropped it, with the value and the threshold."""
    errors = "".join(
        f'<p class="ol-error"><b>{escaped(stage)} failed.</b> {escaped(message)}</p>'
        for stage, message in instruction.errors.items()
    )
    chips = "".join(
        f'<span class="ol-chip ol-dropped" title="{escaped(verdict.text)}">'
        f"{escaped(verdict.rule)}: {escaped(verdict.thresholds)}</span>"
        for verdict in instruction.verdicts
        if verdict.passed is False
    )
    return f"{errors}<p>{chips}</p>" if chips else errors


def _more(prompt: str | None, title: str, full: bool) -> str:
    """A prompt, folded and cut."""
    if not prompt or not full:
        return ""
    return (
        f'<details class="ol-verdicts"><summary>{title} ({counted(len(prompt), "character")})'
        f'</summary><pre class="ol-prompt">{escaped(prompt, _PROMPT)}</pre></details>'
    )


INSTRUCTION_CSS = """
.ol-pic { max-width: 66rem; }
.ol-pic p { margin: 0 0 0.4rem; }
.ol-known { display: grid; grid-template-columns: minmax(8rem, 15rem) 1fr; gap: 1rem 1.25rem;
  padding: 0.9rem 1.25rem; align-items: start; }
.ol-known img { width: 100%; height: auto; border-radius: 3px; background: #ffffff;
  box-shadow: 0 0 0 1px var(--ol-line); }
.ol-known .ol-missing { width: auto; }
.ol-known dl { margin: 0; font-size: 0.9rem; line-height: 1.5; max-height: 22rem;
  overflow-y: auto; overflow-wrap: anywhere; }
.ol-known dt { color: var(--ol-soft); font-size: 0.78rem; line-height: 1.4;
  font-family: system-ui, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", sans-serif; }
.ol-known dd { margin: 0 0 0.5rem; white-space: pre-line; }
.ol-asks { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 19rem), 1fr));
  gap: 1px; border-top: 1px solid var(--ol-line); border-radius: 0 0 6px 6px; overflow: hidden; }
.ol-ask { padding: 0.7rem 1.25rem; box-shadow: 0 0 0 1px var(--ol-line); font-size: 0.9rem;
  line-height: 1.5; overflow-wrap: anywhere; }
.ol-ask img { display: block; max-width: 100%; height: 6rem; margin-bottom: 0.4rem;
  object-fit: contain; background: #ffffff; }
.ol-ask .ol-missing { margin-bottom: 0.4rem; }
.ol-ask .ol-q { font-weight: 600; margin-bottom: 0.2rem; }
.ol-ask .ol-a { white-space: pre-line; }
.ol-ask .ol-options { list-style: none; margin: 0 0 0.3rem; padding: 0; }
.ol-ask .ol-right { color: var(--ol-good); font-weight: 600; }
.ol-ask .ol-right::after { content: " ✓"; }
.ol-ask .ol-verdicts, .ol-ask p.ol-error { padding-inline: 0.5rem; margin-top: 0.4rem; }
.ol-ask .ol-badge { font-family: system-ui, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans",
  sans-serif; }
.ol-chip { display: inline-block; font: 600 0.72rem/1.5 system-ui, "Segoe UI", Roboto,
  "Helvetica Neue", "Noto Sans", sans-serif; padding: 0.1rem 0.5rem; margin: 0 0.25rem 0.2rem 0;
  border-radius: 1rem; color: var(--ol-soft); background: var(--ol-wash); }
.ol-chip.ol-dropped { color: var(--ol-bad); background: var(--ol-bad-bg); font-weight: 400; }
.ol-prompt { white-space: pre-wrap; overflow-wrap: anywhere; font-size: 0.78rem;
  line-height: 1.45; }
@media (max-width: 40rem) { .ol-known { grid-template-columns: 1fr; } }
"""
