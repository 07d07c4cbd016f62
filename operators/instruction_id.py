"""What an instruction is called: the same content has the same name, however often it is made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable


def instruction_id(
    image: str,
    kind: str,
    lang: str,
    turns: Iterable[tuple[str, str]],
    options: Iterable[str] = (),
) -> str:
    """BLAKE2b-128, hexadecimal, of picture, kind, language, turns and options.

    Args:
        image: SHA-256 of the picture's bytes, or its address where they are not at hand.
        kind: One of `INSTRUCTION_KINDS`.
        lang: One of `INSTRUCTION_LANGS`.
        turns: Question and answer of each round, in order.
        options: Texts of a multiple choice's options, A first.
    """
    content = [image, kind, lang, [list(turn) for turn in turns], list(options)]
    text = json.dumps(content, ensure_ascii=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
