"""Rows to review, and a server of them in a process of its own.

python -m tests.review_site FOLDER [PORT] [PLAIN_ROWS]    serves the rows below and some plain ones
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from functools import cache, partial

from PIL import Image

from operators.review_decisions import Turn
from pipelines.review_queue import ReviewItem, ReviewPlan, VerdictFact
from pipelines.review_server import serve
from tests.photos import photos


@cache
def jpeg(place: int) -> bytes:
    """One of the bundled photos."""
    return _encoded(photos()[place][0])


@cache
def flat(number: int) -> bytes:
    """A picture of one colour."""
    return _encoded(Image.new("RGB", (64, 48), (number * 37 % 256, number * 91 % 256, 120)))


def _encoded(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=90)
    return stream.getvalue()


def turns(*pairs: tuple[str, str]) -> tuple[Turn, ...]:
    return tuple(Turn(question=question, answer=answer) for question, answer in pairs)


COFFEE, ASTRONAUT, CAT = 2, 0, 1
SHOWN = (
    ReviewItem(
        "choice",
        "multiple_choice",
        "image_scene",
        "en",
        turns(("What lies on the saucer beside the cup?", "B")),
        ("a biscuit", "a spoon", "a sugar cube", "a paper napkin"),
        "Answer with the letter of the right option.",
        (
            ("caption_en", "A cup of espresso with a brown foam stands on a saucer. A spoon lies "
             "beside it. The table is of dark wood, and light comes from the left."),
            ("image_alt", "espresso on wooden table"),
        ),
        None,
        "How to taste coffee",
        (
            VerdictFact("reply_well_formed", True),
            VerdictFact("not_answerable_blind", True, "1 of 4 answers right without the picture"),
            VerdictFact("near_copy", False, "0.91 like another question"),
        ),
        lambda: jpeg(COFFEE),
    ),
    ReviewItem(
        "chinese",
        "judgement",
        "social_relation",
        "zh",
        turns(("图中的宇航员穿着橙色的宇航服，她的身后有一面国旗，对吗？", "是")),
        (),
        "请回答“是”或“否”。",
        (
            ("caption_en", "An astronaut in an orange suit smiles in front of a flag."),
            (
                "caption_zh",
                "照片中一位宇航员身穿橙色宇航服，面带微笑地望着镜头。"
                "她的身后是一面国旗和一架航天飞机的模型。",
            ),
        ),
        "NASA\nEILEEN COLLINS",
        "航天员肖像",
        (VerdictFact("reply_well_formed", True), VerdictFact("text_found", True, "NASA")),
        lambda: jpeg(ASTRONAUT),
    ),
    ReviewItem(
        "rounds",
        "multi_round",
        "image_description",
        "en",
        turns(
            ("What animal is shown?", "A tabby cat, seen from close up."),
            ("Where does it look?", "It looks past the camera, to the left."),
        ),
        (),
        None,
        (("caption_en", "close-up of the face of a tabby cat"),),
        None,
        None,
        (VerdictFact("reply_well_formed", True),),
        lambda: jpeg(CAT),
    ),
)  # fmt: skip


MARKUP = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"
HOSTILE = ReviewItem(
    "hostile",
    "long_vqa",
    MARKUP,
    "en",
    turns((f"Hostile {MARKUP}", MARKUP)),
    (),
    MARKUP,
    (("caption_en", MARKUP), ("</p>", MARKUP)),
    MARKUP,
    MARKUP,
    (VerdictFact(MARKUP, False, MARKUP),),
    lambda: b"<svg xmlns='http://www.w3.org/2000/svg' onload='document.title=1'></svg>",
)


def plain(number: int) -> ReviewItem:
    """A short question about a colour; its text names its number."""
    return ReviewItem(
        f"plain{number}",
        "short_vqa",
        "ocr" if number % 2 else "landmark",
        "en",
        turns((f"What colour is picture {number}?", f"colour {number}")),
        picture=lambda: flat(number),
    )


def items(plain_rows: int) -> Iterator[ReviewItem]:
    """The shown rows, a hostile one, and as many plain ones as asked for."""
    yield from SHOWN
    yield HOSTILE
    yield from map(plain, range(plain_rows))


def main(
    folder: str, port: str = "0", plain_rows: str = "3", share: str = "0", opens: str = ""
) -> None:
    plan = ReviewPlan(second_opinion_share=float(share), recheck_share=0, lease_seconds=30)
    serve(
        items(int(plain_rows)),
        plan,
        folder,
        port=int(port),
        open_browser=bool(opens),
        say=partial(print, flush=True),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
