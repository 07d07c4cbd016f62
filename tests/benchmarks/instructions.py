"""Instructions a CPU second through exports and importers, on made-up text of usual lengths.

Exports write 13 instructions a picture, as the four kinds of MMInstruct give them, with generation
prompts of 2,000 characters; pictures are addresses, but for InternVL, so that texts are what is
timed. The importer reads questions and answers in the two files of VQA v2. Beside both stands what
Python's `json` alone takes for the same rows in the same run; the best of the rounds counts.
"""

from __future__ import annotations

import json
import random
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from operators.export import FORMATS, format_of
from operators.export_documents import ImageFiles
from operators.files import Files
from operators.qa_sets import Imported, QaSet
from schemas.job import ExportSpec
from tests.benchmarks.record import Entry, Options
from tests.export_tables import URLS
from tests.instruction_tables import instruction, table, turn

_PICTURES, _QUESTIONS, _ROUNDS, _BATCH = 1000, 50_000, 3, 2000
_KINDS = ("multiple_choice",) * 3 + ("long_vqa",) * 3 + ("short_vqa",) * 3 + ("judgement",) * 4
_DOMAINS = ("landmark", "artwork", "ocr", "posters", "meme")
_WORDS = "bridge river old steel water crowd street light shows near wide under stands red".split()


def instruction_exports(options: Options) -> Entry:
    """Instructions a CPU second through the slowest of the formats."""
    rows = _instructions(options.count(_PICTURES, least=10))
    batches = [table(rows[at : at + _BATCH]) for at in range(0, len(rows), _BATCH)]
    rates: dict[str, float] = {}
    for name, kind in FORMATS.items():
        if kind.table == "instructions":
            shown = "urls" if "urls" in kind.images else "beside"
            spec = ExportSpec(format=name, to="x", images=shown)
            rates[name] = len(rows) / _best(partial(_write, spec, batches))
    bare = [{k: v for k, v in row.items() if k != "image_data"} for row in rows]
    alone = len(rows) / _best(lambda: [json.dumps(row, ensure_ascii=False) for row in bare])
    return Entry(
        min(rates.values()),
        "instructions/CPU s",
        more_is_better=True,
        peers={"json.dumps alone": round(alone, 1)},
        details={"instructions": len(rows)} | {name: round(rate) for name, rate in rates.items()},
    )


def qa_import(options: Options) -> Entry:
    """Questions of VQA v2 a CPU second as instructions, files read and parsed."""
    count = options.count(_QUESTIONS, least=100)
    with tempfile.TemporaryDirectory() as folder:
        questions, answers = _write_vqa(Path(folder), count)
        # Remote, so that no files of images are looked for.
        made = QaSet(
            path=str(questions),
            annotations=str(answers),
            images="s3://bucket/images",
            source="made up",
            domain="mixed",
        )
        assert sum(isinstance(row, Imported) for row in made.rows()) == count
        own = count / _best(lambda: list(made.rows()))
        alone = count / _best(lambda: [json.loads(p.read_bytes()) for p in (questions, answers)])
    return Entry(
        own,
        "questions/CPU s",
        more_is_better=True,
        peers={"json.loads alone": round(alone, 1)},
        details={"questions": count},
    )


def _best(work: Callable[[], object]) -> float:
    """The least CPU seconds of the rounds."""
    seconds = []
    for _ in range(_ROUNDS):
        started = time.process_time()
        work()
        seconds.append(time.process_time() - started)
    return min(seconds)


def _write(spec: ExportSpec, batches: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        kind = format_of(spec.model_copy(update={"to": folder}))
        name = kind.shard_name(0, 1)
        writer = kind.writer(Path(folder) / name, name, ImageFiles(Files(folder)))
        for batch in batches:
            writer.write(batch.select(kind.columns(batch.column_names)))
        writer.close()


def _instructions(pictures: int) -> list[dict[str, Any]]:
    chance = random.Random(7)

    def words(count: int) -> str:
        return " ".join(chance.choices(_WORDS, k=count))

    found = []
    for number in range(pictures):
        domain, prompt = chance.choice(_DOMAINS), words(330)[:2000]
        for kind in _KINDS:
            options = [words(3) for _ in range(4)] if kind == "multiple_choice" else []
            answer = {"judgement": "yes", "multiple_choice": "B"}.get(kind)
            length = 60 if kind == "long_vqa" else 3
            found.append(
                instruction(
                    kind,
                    [turn(f"What {words(10)}?", answer or words(length))],
                    options,
                    url=URLS[number % len(URLS)],
                    instruction_domain=domain,
                    generation_prompt=prompt,
                    answer_prompt="Answer briefly.",
                )
            )
    return found


def _write_vqa(folder: Path, count: int) -> tuple[Path, Path]:
    chance = random.Random(7)
    questions, annotations = [], []
    for number in range(count):
        asked = f"What {' '.join(chance.choices(_WORDS, k=5))}?"
        said = chance.choice(("yes", "no", "2", *_WORDS))
        ids = {"image_id": number // 5, "question_id": number}
        questions.append(ids | {"question": asked})
        answers = [{"answer": said, "answer_confidence": "yes", "answer_id": n} for n in range(10)]
        annotations.append(ids | {"multiple_choice_answer": said, "answers": answers})
    paths = folder / "questions.json", folder / "annotations.json"
    paths[0].write_text(json.dumps({"data_subtype": "val2014", "questions": questions}), "utf-8")
    paths[1].write_text(json.dumps({"annotations": annotations}), "utf-8")
    return paths
