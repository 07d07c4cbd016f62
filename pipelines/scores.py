"""How well an extractor's answer for one page fits the gold: text, snippets, images, their order.

Every figure is a plain count or share, so that a doubt can be settled by hand. A token is a run of
letters and digits, in lower case; in scripts without spaces (Han, kana, hangul, Thai) each sign is
one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence, Set
from dataclasses import dataclass
from itertools import combinations

from operators.scripts import NARROW_WIDE

SHINGLE = 4
_TOKEN = re.compile(rf"[{NARROW_WIDE}]|[^\W_{NARROW_WIDE}]+")


def tokens(text: str) -> list[str]:
    """The tokens of a text, in order."""
    return _TOKEN.findall(text.lower())


def shingles(words: Sequence[str], size: int = SHINGLE) -> list[tuple[str, ...]]:
    """Every run of `size` tokens; a shorter text is one shingle."""
    starts = range(len(words) - size + 1)
    return [tuple(words[start : start + size]) for start in starts] or [tuple(words)]


@dataclass(frozen=True)
class Overlap:
    """How far two bags of things agree, each thing as often as it stands there."""

    precision: float
    recall: float

    @classmethod
    def of(cls, got: Iterable[Hashable], gold: Iterable[Hashable]) -> Overlap:
        """Two empty bags agree; an empty and a full one have nothing in common."""
        found, wanted = Counter(got), Counter(gold)
        if not found and not wanted:
            return cls(1.0, 1.0)
        common = (found & wanted).total()
        return cls(common / max(found.total(), 1), common / max(wanted.total(), 1))

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall."""
        return harmonic(self.precision, self.recall)


def harmonic(precision: float, recall: float) -> float:
    """The F1 of a precision and a recall."""
    return 2 * precision * recall / (precision + recall) if precision and recall else 0.0


@dataclass(frozen=True)
class Snippets:
    """Which strings stand in a text that must, and that must not."""

    found: int
    missed: int
    wrong: int

    @classmethod
    def of(
        cls, text: str, wanted: Iterable[str | None], unwanted: Iterable[str | None]
    ) -> Snippets:
        """Any white space is as good as any other; an empty string asks for nothing."""
        flat = _flat(text)
        hits = [_flat(snippet) in flat for snippet in wanted if snippet]
        wrong = sum(_flat(snippet) in flat for snippet in unwanted if snippet)
        return cls(sum(hits), len(hits) - sum(hits), wrong)


def _flat(text: str) -> str:
    return re.sub(r"\s+", " ", text)


@dataclass(frozen=True)
class Images:
    """How the images of an answer fit those of the gold, by file name."""

    hits: int
    gold: int
    got: int
    order: float | None
    """Kendall's tau of the hits' order; None where there are fewer than two."""

    @classmethod
    def of(cls, addresses: Iterable[str], gold: Sequence[Set[str]]) -> Images:
        """Each gold image is a set of acceptable file names and takes the first one still free."""
        names = [file_name(address) for address in addresses]
        free = dict(enumerate(names))
        places = []
        for accepted in gold:
            place = next((place for place, name in free.items() if name in accepted), None)
            if place is not None:
                places.append(place)
                del free[place]
        return cls(len(places), len(gold), len(names), order_agreement(places))

    @property
    def bare(self) -> bool:
        """The page has images, and the answer has none."""
        return bool(self.gold) and not self.got


def file_name(address: str) -> str:
    """The last part of an address's path, without query and fragment; else the address itself."""
    return re.split("[?#]", address, maxsplit=1)[0].rpartition("/")[2] or address


def order_agreement(places: Sequence[int]) -> float | None:
    """Kendall's tau against rising order: 1 when all pairs rise, -1 when all fall."""
    pairs = [1 if first < second else -1 for first, second in combinations(places, 2)]
    return sum(pairs) / len(pairs) if pairs else None
