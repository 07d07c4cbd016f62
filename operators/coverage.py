"""What a set of instructions covers and how its answers are spread, and quotas that can be missed.

`measure_coverage` counts rows once, batch by batch; `Quotas.missed` says in sentences what is too
few or too lopsided, and a run that misses one fails. `placed` is how letters become uniform in the
first place: by a hash, so that the same question always gets the same letter.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from operators.answer_words import word_count
from operators.dedup import hashes_of
from operators.verifiers import LETTERS, letter_in, yes_or_no
from schemas import columns

READS = columns.schema(
    *("instruction_kind", "instruction_domain", "instruction_lang", "turns", "options", "seeds")
)
"""The columns that coverage is counted from."""

Cell = tuple[str, str, str]
"""Domain, kind and language."""


def placed(options: Sequence[str], answer_index: int, key: str) -> tuple[list[str], str]:
    """The options with the right one at a place that a hash of `key` decides, and its letter.

    The others keep their order. Give a key that is the question's own, such as picture and
    question: equal keys get equal places.

    Raises:
        ValueError: no option has that index, or there are more options than letters.
    """
    if not 0 <= answer_index < len(options) or len(options) > len(LETTERS):
        raise ValueError(
            f"the right option is number {answer_index} of {len(options)}: give from 1 to "
            f"{len(LETTERS)} options, and an index among them, counted from 0"
        )
    others = [option for at, option in enumerate(options) if at != answer_index]
    place = hashes_of(f"place of the right option\n{key}")[0] % len(options)
    return [*others[:place], options[answer_index], *others[place:]], LETTERS[place]


@dataclass
class Coverage:
    """Counts over instructions.

    `cells`: rows a domain, kind and language. `yes` and `no`: judgements' answers a language.
    `letters`: right letters of multiple choices, and `expected_letters` how often each would be
    right if all options of a question were as likely. `option_counts`: questions a number of
    options. `longest_right`: questions whose right option is longer than all others, and
    `expected_longest` how many there were if length said nothing. `seeds`: rows a seed.
    `question_words`, `answer_words`: turns a power of two that their number of words reaches.
    """

    cells: Counter[Cell] = field(default_factory=Counter)
    yes: Counter[str] = field(default_factory=Counter)
    no: Counter[str] = field(default_factory=Counter)
    letters: Counter[str] = field(default_factory=Counter)
    expected_letters: dict[str, float] = field(default_factory=dict)
    option_counts: Counter[int] = field(default_factory=Counter)
    longest_right: int = 0
    expected_longest: float = 0.0
    seeds: Counter[str] = field(default_factory=Counter)
    question_words: Counter[int] = field(default_factory=Counter)
    answer_words: Counter[int] = field(default_factory=Counter)

    @property
    def rows(self) -> int:
        """Instructions that were counted."""
        return self.cells.total()

    def count(
        self, domain: str | None = None, kind: str | None = None, lang: str | None = None
    ) -> int:
        """Rows of the cells that agree with what is given."""
        wanted = (domain, kind, lang)
        return sum(
            rows
            for cell, rows in self.cells.items()
            if all(name in (None, own) for name, own in zip(wanted, cell, strict=True))
        )

    def yes_share(self, lang: str) -> float | None:
        """Share of judgements in the language whose answer is yes; None without any."""
        judged = self.yes[lang] + self.no[lang]
        return self.yes[lang] / judged if judged else None

    def letter_p(self) -> float | None:
        """Chance that right letters drawn at random are as far from even as these, or farther.

        Pearson's chi-square test (Pearson 1900) against each option of a question being right
        equally often; questions of several numbers of options are taken together. None where a
        letter is expected less than five times, for which the test does not hold (Cochran 1954).
        """
        from scipy.special import gammaincc

        expected = self.expected_letters
        if len(expected) < 2 or min(expected.values()) < 5:
            return None
        squares = (
            (self.letters[letter] - times) ** 2 / times for letter, times in expected.items()
        )
        return float(gammaincc((len(expected) - 1) / 2, sum(squares) / 2))

    def add(self, batch: pa.Table) -> None:
        """Count the rows of a batch, which has the columns of `READS` at least."""
        for row in batch.select(READS.names).to_pylist():
            kind, lang = row["instruction_kind"], row["instruction_lang"]
            self.cells[row["instruction_domain"], kind, lang] += 1
            self.seeds.update(set(row["seeds"]))
            for turn in row["turns"]:
                self.question_words[_power(word_count(turn["question"]))] += 1
                self.answer_words[_power(word_count(turn["answer"]))] += 1
                if kind == "judgement":
                    self._judged(lang, turn["answer"])
                elif kind == "multiple_choice":
                    self._chosen(turn["answer"], row["options"])

    def _judged(self, lang: str, answer: str) -> None:
        said = yes_or_no(answer)
        self.yes[lang] += said is True
        self.no[lang] += said is False

    def _chosen(self, answer: str, options: Sequence[str]) -> None:
        letter = letter_in(answer, options)
        if letter is None:
            return
        self.letters[letter] += 1
        self.option_counts[len(options)] += 1
        for other in LETTERS[: len(options)]:
            times = self.expected_letters.get(other, 0.0)
            self.expected_letters[other] = times + 1 / len(options)
        lengths = [len(option.strip()) for option in options]
        longest = max(lengths)
        if lengths.count(longest) == 1:
            self.longest_right += lengths[LETTERS.index(letter)] == longest
            self.expected_longest += 1 / len(options)

    def matrix(self) -> pa.Table:
        """Rows a domain, kind and language, sorted, the empty cells of what occurs among them."""
        domains, kinds, langs = (sorted({cell[at] for cell in self.cells}) for at in range(3))
        cells = list(itertools.product(domains, kinds, langs))
        names = ("instruction_domain", "instruction_kind", "instruction_lang")
        values = [pa.array([cell[at] for cell in cells], pa.string()) for at in range(3)]
        rows = pa.array([self.cells[cell] for cell in cells], pa.int64())
        return pa.Table.from_arrays([*values, rows], names=[*names, "rows"])

    def summary(self) -> dict[str, Any]:
        """Everything as numbers and texts, for a report or a file."""
        return {
            "rows": self.rows,
            "cells": self.matrix().to_pylist(),
            "yes_share": {lang: self.yes_share(lang) for lang in sorted({*self.yes, *self.no})},
            "letters": dict(sorted(self.letters.items())),
            "letter_p": self.letter_p(),
            "right_option_longest": {
                "rows": self.longest_right,
                "expected": round(self.expected_longest, 2),
            },
            "seeds": dict(sorted(self.seeds.items())),
            "question_words": dict(sorted(self.question_words.items())),
            "answer_words": dict(sorted(self.answer_words.items())),
        }


def measure_coverage(batches: Iterable[pa.Table]) -> Coverage:
    """The coverage of all rows of the batches: give those that rules keep."""
    found = Coverage()
    for batch in batches:
        found.add(batch)
    return found


def _power(words: int) -> int:
    """The greatest power of two that is not above the number; 0 for 0."""
    return 1 << (words.bit_length() - 1) if words else 0


class Quotas(BaseModel):
    """What a set of instructions must have; the run fails with what it misses.

    Shares and letters are judged only of `min_judged` rows or more, because few rows are never
    even.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_rows: int = Field(0, ge=0, description="instructions in all")
    per_domain: dict[str, int] = Field(default_factory=dict, description="least rows of a domain")
    per_kind: dict[str, int] = Field(default_factory=dict, description="least rows of a kind")
    per_lang: dict[str, int] = Field(default_factory=dict, description="least rows of a language")
    per_cell: int = Field(
        0, ge=0, description="least rows of each domain, kind and language that are named or occur"
    )
    min_yes_share: float = Field(0.4, ge=0, le=1, description="least share of yes a language")
    max_yes_share: float = Field(0.6, ge=0, le=1, description="greatest share of yes a language")
    min_letter_p: float = Field(
        0.001, ge=0, le=1, description="least p-value of even letters, by the chi-square test"
    )
    max_longest_right: float = Field(
        1.5,
        ge=1,
        description="how many times as often as by chance the right option may be the longest",
    )
    max_seed_share: float = Field(
        1.0, gt=0, le=1, description="greatest share of all rows that one seed is in"
    )
    min_judged: int = Field(50, ge=1, description="rows below which balance is not judged")

    def missed(self, coverage: Coverage) -> list[str]:
        """A sentence for each quota that the coverage misses; none when it meets all."""
        found = [*self._too_few(coverage), *self._uneven_answers(coverage)]
        return found + self._worn_seeds(coverage)

    def _too_few(self, coverage: Coverage) -> list[str]:
        found = []
        if coverage.rows < self.min_rows:
            found.append(f"{coverage.rows} instructions, fewer than min_rows: {self.min_rows}")
        for name, quota in (
            ("domain", self.per_domain),
            ("kind", self.per_kind),
            ("lang", self.per_lang),
        ):
            for value, least in quota.items():
                rows = coverage.count(**{name: value})
                if rows < least:
                    found.append(f"{name} {value} has {rows} rows, fewer than {least} (per_{name})")
        return found + self._empty_cells(coverage)

    def _empty_cells(self, coverage: Coverage) -> list[str]:
        if not self.per_cell:
            return []
        named = (self.per_domain, self.per_kind, self.per_lang)
        asked = [
            sorted({*names, *(cell[at] for cell in coverage.cells)})
            for at, names in enumerate(named)
        ]
        return [
            f"{domain}, {kind}, {lang} has {coverage.cells[domain, kind, lang]} rows, "
            f"fewer than per_cell: {self.per_cell}"
            for domain, kind, lang in itertools.product(*asked)
            if coverage.cells[domain, kind, lang] < self.per_cell
        ]

    def _uneven_answers(self, coverage: Coverage) -> list[str]:
        found = []
        for lang in sorted({*coverage.yes, *coverage.no}):
            share = coverage.yes_share(lang)
            enough = coverage.yes[lang] + coverage.no[lang] >= self.min_judged
            if (
                enough
                and share is not None
                and not self.min_yes_share <= share <= self.max_yes_share
            ):
                found.append(
                    f"{share:.0%} of the judgements in {lang} are yes, not between "
                    f"{self.min_yes_share:.0%} and {self.max_yes_share:.0%}"
                )
        if coverage.letters.total() < self.min_judged:
            return found
        chance = coverage.letter_p()
        if chance is not None and chance < self.min_letter_p:
            spread = ", ".join(f"{k} {v}" for k, v in sorted(coverage.letters.items()))
            found.append(
                f"right letters are uneven ({spread}; p = {chance:.2g}, below min_letter_p: "
                f"{self.min_letter_p:g})"
            )
        often = (
            coverage.longest_right / coverage.expected_longest if coverage.expected_longest else 1
        )
        if often > self.max_longest_right:
            found.append(
                f"the right option is the longest {often:.1f} times as often as by chance, more "
                f"than max_longest_right: {self.max_longest_right:g}"
            )
        return found

    def _worn_seeds(self, coverage: Coverage) -> list[str]:
        rows = coverage.rows
        if rows < self.min_judged:
            return []
        most = math.floor(self.max_seed_share * rows)
        return [
            f"seed {seed} is in {used} of {rows} rows, more than max_seed_share: "
            f"{self.max_seed_share:g}"
            for seed, used in sorted(coverage.seeds.items())
            if used > most
        ]
