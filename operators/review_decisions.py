"""What people decided about instructions: the log's lines, how they are read, what comes of them.

A review folder holds one file of JSON lines a reviewer, only ever appended to, and `returns.jsonl`
with the batches that were returned. Everything is keyed by `instruction_id`, a hash of content, so
decisions outlive a new run. A line counts once its line break is there: what a crash left of a
last line was never confirmed to anybody, and is passed over.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate
from operator import itemgetter
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from schemas.errors import InputError

RETURNS = "returns.jsonl"
REASONS = {
    "wrong": "the answer is wrong",
    "not_seen": "the picture does not show it",
    "blind": "answerable without the picture",
    "unclear": "unclear or badly written",
    "harmful": "harmful, or about a private person",
    "other": "something else",
}
"""Why a row was rejected: the tags of the log, with what the page says."""

Action = Literal["accept", "edit", "reject", "skip", "undo", "manual"]
Role = Literal["", "first", "second", "recheck", "third"]
Status = Literal["pending", "accepted", "edited", "rejected", "disputed"]
_OPINIONS = ("accept", "edit", "reject")


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    entry: str = Field(min_length=1)
    """Made by whoever writes the line: the same entry counts once, however often it was sent."""
    time: str


class Turn(BaseModel):
    """A question and its answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    question: str
    answer: str


class Decision(_Line):
    """What a reviewer did with a row, and how many seconds of work that took.

    `edit` carries the turns and options as they should be. `undo` takes back the reviewer's latest
    decision on the row, `skip` leaves it to others. `manual` decides nothing: it is a row that was
    written from nothing for the same picture, to learn how long that takes.
    """

    reviewer: str = Field(min_length=1)
    instruction_id: str
    action: Action
    role: Role = ""
    round: int = Field(0, ge=0)
    """How often the row had been returned; decisions of earlier rounds no longer count."""
    batch: int | None = None
    reason: str | None = None
    turns: tuple[Turn, ...] | None = None
    options: tuple[str, ...] | None = None
    seconds: float = Field(0, ge=0, allow_inf_nan=False)

    @property
    def is_opinion(self) -> bool:
        """Whether it says what should become of the row."""
        return self.action in _OPINIONS

    @property
    def keeps(self) -> bool:
        """Whether it is for the row, as it is or edited."""
        return self.action in ("accept", "edit")


class Return(_Line):
    """A batch that goes back: the opinions so far on its rows no longer count."""

    batch: int
    ids: tuple[str, ...]
    rechecked: int
    disagreed: int


@dataclass(frozen=True)
class Outcome:
    """What became of a row. Turns and options are None where nobody's edit stands."""

    status: Status
    turns: tuple[Turn, ...] | None
    options: tuple[str, ...] | None
    seconds: float
    count: int
    """People whose opinion counts."""


class Reviews:
    """All that a log says, by row: built line by line, asked at any time."""

    def __init__(self) -> None:
        self.decisions: list[Decision] = []
        self.returns: list[Return] = []
        self._entries: set[str] = set()
        self._latest: dict[str, dict[str, Decision]] = {}
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._rounds: Counter[str] = Counter()
        self.rows: Counter[str] = Counter()
        """Rows with an opinion of each reviewer, and seconds that each spent on review."""
        self.spent: defaultdict[str, float] = defaultdict(float)

    def add(self, line: Decision | Return) -> bool:
        """Take a line up; False when its entry is known already."""
        if line.entry in self._entries:
            return False
        self._entries.add(line.entry)
        if isinstance(line, Return):
            self.returns.append(line)
            self._rounds.update(line.ids)
            return True
        self.decisions.append(line)
        if line.action == "manual":
            return True
        mine = self._latest.setdefault(line.instruction_id, {})
        before = mine.pop(line.reviewer, None)  # the order of dictionaries is that of decisions
        if line.action != "undo":
            mine[line.reviewer] = line
        replaced = before is not None and before.is_opinion and before.round == line.round
        self.rows[line.reviewer] += line.is_opinion - replaced
        self.spent[line.reviewer] += line.seconds
        self._seconds[line.instruction_id] += line.seconds
        return True

    def knows(self, entry: str) -> bool:
        """Whether a line of this entry was taken up."""
        return entry in self._entries

    def round(self, instruction_id: str) -> int:
        """How often the row was returned."""
        return self._rounds[instruction_id]

    def latest(self, instruction_id: str, reviewer: str) -> Decision | None:
        """The reviewer's decision on the row that counts, a skip too."""
        found = self._latest.get(instruction_id, {}).get(reviewer)
        return found if found and found.round >= self.round(instruction_id) else None

    def opinions(self, instruction_id: str) -> list[Decision]:
        """The opinions on the row that count, oldest first; at most one a reviewer."""
        now = self.round(instruction_id)
        found = self._latest.get(instruction_id, {}).values()
        return [decision for decision in found if decision.is_opinion and decision.round >= now]

    def outcome(self, instruction_id: str) -> Outcome | None:
        """What became of the row; None when nobody ever dealt with it."""
        if instruction_id not in self._latest:
            return None
        return resolve(self.opinions(instruction_id), self._seconds[instruction_id])


def resolve(opinions: Iterable[Decision], seconds: float = 0.0) -> Outcome:
    """What becomes of a row, from one opinion a reviewer, oldest first.

    Keeping or rejecting is decided by the majority; as many for as against is `disputed`, until one
    more person decides. What is kept has the text that most of its keepers stand by, whoever
    accepts standing by the text as it was. Where texts have as many, an edit goes before the text
    as it was, because its author saw a fault, and a later edit before an earlier one.
    """
    opinions = list(opinions)
    keepers = [opinion for opinion in opinions if opinion.keeps]
    against = len(opinions) - len(keepers)
    if not opinions or len(keepers) <= against:
        status: Status = (
            "pending" if not opinions else "disputed" if len(keepers) == against else "rejected"
        )
        return Outcome(status, None, None, seconds, len(opinions))
    texts = [(k.turns, k.options) if k.action == "edit" else None for k in keepers]
    votes = Counter(texts)
    last = {text: place for place, text in enumerate(texts)}
    chosen = max(votes, key=lambda text: (votes[text], text is not None, last[text]))
    turns, options = chosen or (None, None)
    return Outcome("edited" if chosen else "accepted", turns, options, seconds, len(opinions))


Line = TypeVar("Line", bound=_Line)


def read_reviews(folder: str | Path) -> Reviews:
    """All that the log in `folder` says; nothing when the folder is not there yet.

    Raises:
        InputError: a whole line of a file is no decision: names file and line.
    """
    reviews = Reviews()
    returns, decided = Path(folder) / RETURNS, _reviewers_files(folder)
    for line in _lines(returns, Return):
        reviews.add(line)
    # By time, so that the order of opinions is that in which they were given; a clock that was
    # set back changes nothing in the order of one reviewer's lines.
    found: list[tuple[str, Decision]] = []
    for path in decided:
        lines = list(_lines(path, Decision))
        found += zip(accumulate((line.time for line in lines), max), lines, strict=True)
    for _, decision in sorted(found, key=itemgetter(0)):
        reviews.add(decision)
    return reviews


def digest(folder: str | Path) -> str:
    """Hash of all whole lines of the log in `folder`: new decisions give another one."""
    told = hashlib.sha256()
    for path in [Path(folder) / RETURNS, *_reviewers_files(folder)]:
        told.update(hashlib.sha256(_whole(path)).digest())
    return told.hexdigest()


def _reviewers_files(folder: str | Path) -> list[Path]:
    return sorted(path for path in Path(folder).glob("*.jsonl") if path.name != RETURNS)


def _whole(path: Path) -> bytes:
    """The file's whole lines; what a crash left after them is not among them."""
    text = path.read_bytes() if path.exists() else b""
    return text[: text.rfind(b"\n") + 1]


def _lines(path: Path, kind: type[Line]) -> Iterable[Line]:
    for number, line in enumerate(_whole(path).splitlines(), start=1):
        try:
            yield kind.model_validate_json(line)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"])) or "line"
            raise InputError(
                f"{path}:{number}: {place}: {first['msg']}: {line[:80].decode(errors='replace')}\n"
                f"    fix: a line is one {kind.__name__.lower()}, written by `omniloom review`; "
                "restore the file, or take the line out"
            ) from None
