"""Tables of kept instructions with their pictures, as an export gets them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from operators.export import FORMATS
from operators.instruction_id import instruction_id
from schemas.columns import INSTRUCTION, INSTRUCTION_KINDS, INSTRUCTION_LANGS, TURN, column
from schemas.job import ExportSpec
from tests.export_tables import URLS, picture
from tests.strategies import texts

_OF_PICTURE = ("image_data", "image_sha256", "image_format", "image_width", "image_height")
SCHEMA = pa.schema(
    [
        *INSTRUCTION,
        *(column(name).field for name in ("image_row", "image_url", *_OF_PICTURE)),
        *(pa.field(name, pa.string()) for name in ("page_url", "image_licence", "review_status")),
        pa.field("reviewed_turns", pa.list_(TURN)),
        pa.field("reviewed_options", pa.list_(pa.string())),
        pa.field("made_up_ratio", pa.float32()),
    ]
)
"""With columns of the review and of a measure by names that an export must not depend on."""
DOMAINS = ("landmark", "image_style", "../odd name/地标", "")


def turn(question: str, answer: str) -> dict[str, str]:
    return {"question": question, "answer": answer}


def instruction(
    kind: str,
    turns: Sequence[dict[str, str]],
    options: Sequence[str] = (),
    *,
    lang: str = "en",
    url: str = URLS[0],
    fetched: bool = True,
    **more: Any,
) -> dict[str, Any]:
    """An instruction's values; its picture is made up from the address."""
    data, form, width, height = picture(url, more.pop("form", None))
    said = [(t["question"], t["answer"]) for t in turns]
    sha256 = hashlib.sha256(data).hexdigest()
    values: dict[str, Any] = {
        "instruction_id": instruction_id(sha256, kind, lang, said, options),
        "instruction_kind": kind,
        "instruction_domain": "landmark",
        "instruction_lang": lang,
        "turns": list(turns),
        "options": list(options),
        "answer_prompt": None,
        "seeds": ["landmark/0"],
        "generation_prompt": "Write questions about the picture.",
        "generation_model": "a-model",
        "generation_usd": 0.25,
        "reply_problem": None,
        "instruction_source": "generated",
        "instruction_licence": None,
        "image_row": 0,
        "image_url": url,
        "image_data": data,
        "image_sha256": sha256,
        "image_format": form,
        "image_width": width,
        "image_height": height,
        "page_url": "https://a.example/page",
        "image_licence": "CC BY 4.0",
        "review_status": None,
        "reviewed_turns": None,
        "reviewed_options": None,
        "made_up_ratio": 0.5,
    }
    missing = {} if fetched else dict.fromkeys(_OF_PICTURE)
    return values | missing | more


def table(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=SCHEMA)


_turns = st.lists(st.builds(turn, texts(), texts()), max_size=3)
_options = st.lists(texts(8), max_size=4)


@st.composite
def rows(draw: DrawFn) -> list[dict[str, Any]]:
    """Instructions of all kinds with texts of any kind, some edited, some without a picture."""
    return [
        instruction(
            draw(st.sampled_from(INSTRUCTION_KINDS)),
            draw(_turns),
            draw(_options),
            lang=draw(st.sampled_from(INSTRUCTION_LANGS)),
            url=draw(st.sampled_from(URLS)),
            fetched=draw(st.sampled_from((True, True, True, False))),
            instruction_domain=draw(st.sampled_from(DOMAINS)),
            answer_prompt=draw(st.none() | texts(8)),
            generation_prompt=draw(st.none() | texts()),
            generation_usd=draw(st.none() | st.floats(0, 1)),
            instruction_licence=draw(st.none() | st.just("CC0-1.0")),
            reviewed_turns=draw(st.none() | _turns),
            reviewed_options=draw(st.none() | _options),
        )
        for _ in range(draw(st.integers(0, 5)))
    ]


def specs() -> list[ExportSpec]:
    """Exports of instructions: each format and variant, with images of all kinds."""
    every = [
        ExportSpec(format=name, to="x", variant=variant, images=images)
        for name, kind in FORMATS.items()
        if kind.table == "instructions"
        for variant in kind.variants
        for images in kind.images
    ]
    return [spec for spec in every if not list(FORMATS[spec.format].mistakes(spec))]


def label(spec: ExportSpec) -> str:
    return f"{spec.format}-{spec.variant}-{spec.images}"
