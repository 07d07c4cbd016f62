"""Questions that come again: about one picture, with the same answer anywhere, in two languages.

Nothing is dropped. That the same question is asked of many pictures is as it should be; that it is
asked twice of one, or always has the same answer, is what the columns tell.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from operators.answer_words import normalised, question_words, tokens
from operators.base import CorpusOperator
from operators.clusters import connected_components
from operators.dedup import hashes_of
from operators.quantities import quantities
from operators.verifiers import LETTERS, letter_in, yes_or_no
from schemas import columns

_SWAPPED = 0.9
_REPEATED, _COUNTED, _TRANSLATED = range(3)
_FOUND = pa.schema(
    [
        ("address", pa.int64()),
        ("what", pa.uint8()),
        ("other", pa.string()),
        ("count", pa.int32()),
        ("rank", pa.int32()),
    ]
)
_RECORD = pa.schema(
    [
        ("row", pa.int32()),
        ("key", pa.uint64()),
        ("check", pa.uint64()),
        ("id", pa.string()),  # null in records of question and answer
        ("kind", pa.string()),
        ("lang", pa.string()),
        ("words", pa.list_(pa.string())),
        ("answer", pa.string()),
        ("seeds", pa.string()),
        ("options", pa.int32()),
    ]
)


class Asked(NamedTuple):
    """A question about a picture, as it is compared with the others about it."""

    address: int
    id: str
    kind: str
    lang: str
    words: frozenset[str]
    answer: str
    seeds: str
    options: int


class QuestionRepeats(CorpusOperator):
    """Near-duplicate questions of a picture, translations, and questions that share an answer.

    Of one picture (the same bytes), kind and language, questions are near-duplicates when the
    Jaccard similarity of their words (`question_words`) is `threshold` or more; where each has a
    word that the other lacks, as left and right, it must be 0.9. The first in corpus order stands
    for those linked with it. Groups are small, so the similarity is exact (Broder 1997 defines
    it; no hashes estimate it).

    Over all pictures, question and answer are the same when their words are, whatever the order:
    one hash, so that near-copies beyond word order, case and punctuation are not found.

    Two instructions of a picture and kind in different languages, with as many options, are taken
    for translations when they have the same seeds and answer (letter, yes or no, number), or else
    the same answer, and neither has another such partner. Longer answers are comparable by their
    seeds alone. A picture whose bytes are not known is compared with none.
    """

    name = "question_repeats"
    table = "instructions"
    reads = columns.schema(
        *("instruction_id", "instruction_kind", "instruction_lang", "turns", "options", "seeds"),
        "image_sha256",
    )
    writes = columns.schema(
        "question_duplicate_of",
        "question_cluster_size",
        "question_answer_count",
        "question_answer_rank",
        "translation_of",
    )

    threshold: float = Field(
        0.8, gt=0, le=1, description="Jaccard similarity of near-duplicate questions' words"
    )

    def scatter(self, batch: pa.Table) -> pa.Table:
        """Two records an instruction with turns: by its picture, by its question and answer."""
        records: list[dict[str, Any]] = []
        for number, row in enumerate(batch.select(self.reads.names).to_pylist()):
            if row["turns"]:
                records.extend(_records(number, row))
        return pa.Table.from_pylist(records, schema=_RECORD)

    def key_config(self) -> dict[str, Any]:
        """Records do not depend on the threshold."""
        return {"partitions": self.partitions}

    def gather(self, records: pa.Table) -> pa.Table:
        """Findings of each kind on the instructions of each picture, or question and answer."""
        found: list[tuple[int, int, str | None, int, int]] = []
        groups: dict[tuple[int, int], list[dict[str, Any]]] = defaultdict(list)
        for record in records.to_pylist():
            groups[record["key"], record["check"]].append(record)
        for _, members in sorted(groups.items()):
            members.sort(key=lambda record: record["address"])
            if members[0]["id"] is None:
                found.extend(_counted([record["address"] for record in members]))
            else:
                found.extend(self._of_picture([_asked(record) for record in members]))
        return pa.Table.from_arrays(
            [
                pa.array([finding[at] for finding in found], field.type)
                for at, field in enumerate(_FOUND)
            ],
            schema=_FOUND,
        )

    def _of_picture(
        self, asked: Sequence[Asked]
    ) -> Iterator[tuple[int, int, str | None, int, int]]:
        by_address = {question.address: question for question in asked}
        pairs = [
            (one.address, other.address)
            for one, other in combinations(asked, 2)
            if (one.kind, one.lang) == (other.kind, other.lang)
            and alike(one.words, other.words, self.threshold)
        ]
        ids, roots = connected_components(*np.array(pairs, np.int64).reshape(-1, 2).T.copy())
        sizes = Counter(roots.tolist())
        repeats = set()
        for address, root in zip(ids.tolist(), roots.tolist(), strict=True):
            winner = None if address == root else by_address[root].id
            if winner is not None:
                repeats.add(address)
            yield address, _REPEATED, winner, sizes[root], 0
        first = [question for question in asked if question.address not in repeats]
        for address, other in translations(first):
            yield address, _TRANSLATED, other, 0, 0

    def assign_needs(self) -> pa.Schema:
        """Which instructions have turns."""
        return columns.schema("turns")

    def assign(self, found: pa.Table, batch: pa.Table) -> pa.Table:
        """Winner, size, count, rank and translation of each instruction."""
        asked = pc.greater(pc.list_value_length(batch["turns"]), 0).to_pylist()
        repeated: list[str | None] = [None] * batch.num_rows
        sizes: list[int | None] = [None] * batch.num_rows
        counts = [1 if has else None for has in asked]
        ranks = [0 if has else None for has in asked]
        translated: list[str | None] = [None] * batch.num_rows
        for finding in found.to_pylist():
            row = finding["row"]
            match finding["what"]:
                case 0:
                    repeated[row], sizes[row] = finding["other"], finding["count"]
                case 1:
                    counts[row], ranks[row] = finding["count"], finding["rank"]
                case _:
                    translated[row] = finding["other"]
        values = (repeated, sizes, counts, ranks, translated)
        arrays = [pa.array(v, f.type) for v, f in zip(values, self.writes, strict=True)]
        return pa.Table.from_arrays(arrays, schema=self.writes)


def _records(number: int, row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    turns, options = row["turns"], row["options"]
    kind, lang = row["instruction_kind"], row["instruction_lang"]
    question = "\n".join(turn["question"] for turn in turns)
    answers = [turn["answer"] for turn in turns]
    words = sorted(question_words(question)) or [normalised(question)]
    said = [_in_words(kind, answer, options) for answer in answers]
    key, check = hashes_of("\n".join(("answer", kind, lang, *words, "", *said)))
    yield {"row": number, "key": key, "check": check}
    if row["image_sha256"] is not None:
        key, check = hashes_of(f"picture\n{row['image_sha256']}")
        yield {
            "row": number,
            "key": key,
            "check": check,
            "id": row["instruction_id"],
            "kind": kind,
            "lang": lang,
            "words": words,
            "answer": "\n".join(
                _without_language(kind, answer, options) for answer in answers
            ).strip(),
            "seeds": "\n".join(sorted(row["seeds"])),
            "options": len(options),
        }


def _asked(record: dict[str, Any]) -> Asked:
    words = frozenset(record["words"])
    values = (record[name] for name in ("answer", "seeds", "options"))
    return Asked(record["address"], record["id"], record["kind"], record["lang"], words, *values)


def _in_words(kind: str, answer: str, options: Sequence[str]) -> str:
    """The answer, normalised: of a multiple choice the option's text, since places are chance."""
    letter = letter_in(answer, options) if kind == "multiple_choice" else None
    return normalised(answer if letter is None else options[LETTERS.index(letter)])


def _without_language(kind: str, answer: str, options: Sequence[str]) -> str:
    """What of an answer is the same in all languages: letter, yes or no, number; '' for others."""
    if kind == "multiple_choice":
        return letter_in(answer, options) or ""
    if kind == "judgement":
        said = yes_or_no(answer)
        return "" if said is None else str(said)
    numbers = quantities(answer)
    if len(numbers) != 1 or len(tokens(answer)) > 4:
        return ""
    return f"{numbers[0].value * numbers[0].factor:g} {numbers[0].dimension}"


def alike(one: frozenset[str], other: frozenset[str], threshold: float) -> bool:
    """Whether questions of these words are near-duplicates."""
    shared, whole = len(one & other), len(one | other)
    swapped = bool(one - other) and bool(other - one)
    return shared >= (max(threshold, _SWAPPED) if swapped else threshold) * whole


def _counted(addresses: Sequence[int]) -> Iterator[tuple[int, int, str | None, int, int]]:
    if len(addresses) > 1:
        for rank, address in enumerate(addresses):
            yield address, _COUNTED, None, len(addresses), rank


def translations(asked: Sequence[Asked]) -> Iterator[tuple[int, str]]:
    """Address of each question that translates an earlier one of its picture, and that one's id."""
    left = list(asked)
    steps: tuple[Callable[[Asked], Hashable | None], ...] = (
        lambda q: (q.kind, q.options, q.answer, q.seeds) if q.seeds else None,
        lambda q: (q.kind, q.options, q.answer) if q.answer else None,
    )
    for said in steps:
        groups: dict[Hashable, list[Asked]] = defaultdict(list)
        for question in left:
            if (shared := said(question)) is not None:
                groups[shared].append(question)
        for pair in groups.values():
            if len(pair) == 2 and pair[0].lang != pair[1].lang:
                yield pair[1].address, pair[0].id
                left = [question for question in left if question not in pair]
