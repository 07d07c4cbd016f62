"""Which rows people look at, and who looks at which next.

What is reviewed follows from the plan, the rows and the log alone, by hashes of `instruction_id`:
the same rows are picked after a crash, on another machine and when more rows have come.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from operators.review_decisions import REASONS, Action, Decision, Return, Role, Turn
from pipelines.review_log import Log
from schemas.columns import INSTRUCTION_KINDS
from schemas.errors import InputError

_MOST_SECONDS = 3600.0
_MOST_OPINIONS = 3
"""An odd number, so that keeping or rejecting is decided."""


class Quota(BaseModel):
    """How much of a domain, of a kind, or of both is reviewed, in place of the plan's own share."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    domain: str | None = Field(None, description="domain that it is for; left out: any")
    kind: Literal[INSTRUCTION_KINDS] | None = Field(  # type: ignore[valid-type]
        None, description="kind that it is for; left out: any"
    )
    share: float = Field(1.0, ge=0, le=1, description="share of rows that are reviewed")
    count: int | None = Field(None, ge=0, description="most rows that are reviewed; none: no limit")


class ReviewPlan(BaseModel):
    """What is reviewed and how often. Shares are of each domain and kind."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    share: float = Field(1.0, ge=0, le=1, description="share of rows that are reviewed")
    count: int | None = Field(
        None, ge=0, description="most rows of a domain and kind that are reviewed; none: no limit"
    )
    quotas: tuple[Quota, ...] = Field(
        (), description="other shares for some domains or kinds; the first that fits counts"
    )
    seed: int = Field(0, description="another seed picks other rows")
    second_opinion_share: float = Field(
        0.1, ge=0, le=1, description="share of reviewed rows that a second person judges"
    )
    batch_rows: int = Field(300, ge=1, description="rows of a batch, the unit that is returned")
    recheck_share: float = Field(
        0.1, ge=0, le=1, description="share of each batch that another person judges again"
    )
    max_disagreement: float = Field(
        0.1,
        ge=0,
        le=1,
        description="greatest share of rechecked rows with another decision at which a batch "
        "passes; above it, the batch is returned",
    )
    max_returns: int = Field(2, ge=0, description="times that a batch is returned at most")
    lease_seconds: float = Field(
        600, gt=0, description="seconds without a sign of life after which a row goes to others"
    )
    idle_seconds: float = Field(
        60, gt=0, description="longest pause between two movements that counts as work"
    )


@dataclass(frozen=True)
class VerdictFact:
    """What a rule said of a row: its name, whether the row passed, and the value as words."""

    rule: str
    passed: bool
    value: str = ""


@dataclass(frozen=True)
class ReviewItem:
    """A row as people see it. `picture` gives the image's bytes, None where there are none."""

    instruction_id: str
    kind: str
    domain: str
    lang: str
    turns: tuple[Turn, ...]
    options: tuple[str, ...] = ()
    answer_prompt: str | None = None
    captions: tuple[tuple[str, str], ...] = ()
    """Name and text of each, as ("caption_en", "A red bus ...")."""
    image_text: str | None = None
    page_title: str | None = None
    verdicts: tuple[VerdictFact, ...] = ()
    picture: Callable[[], bytes | None] = field(default=lambda: None, compare=False)

    @property
    def cell(self) -> tuple[str, str]:
        """Domain and kind: what shares are of."""
        return self.domain, self.kind


CAPTIONS = ("caption_en", "caption_zh", "image_caption", "image_alt")


def review_item(
    row: Mapping[str, Any],
    picture: Callable[[], bytes | None],
    verdicts: Iterable[VerdictFact] = (),
) -> ReviewItem:
    """A row of the table of instructions, with its image's columns, as people see it.

    Columns of the image that are not there are as if they were null. `picture` is called when
    somebody looks, so that not all pictures are held in memory.
    """
    return ReviewItem(
        instruction_id=row["instruction_id"],
        kind=row["instruction_kind"],
        domain=row["instruction_domain"],
        lang=row["instruction_lang"],
        turns=tuple(Turn(**turn) for turn in row["turns"]),
        options=tuple(row["options"]),
        answer_prompt=row.get("answer_prompt"),
        captions=tuple((name, row[name]) for name in CAPTIONS if row.get(name)),
        image_text=row.get("image_text"),
        page_title=row.get("page_title"),
        verdicts=tuple(verdicts),
        picture=picture,
    )


def fraction(seed: int, purpose: str, name: str) -> float:
    """A number in 0..1 that looks random and is always the same for the same arguments."""
    told = hashlib.sha256(f"{seed}:{purpose}:{name}".encode()).digest()
    return int.from_bytes(told[:8], "big") / 2**64


def sampled(items: Iterable[ReviewItem], plan: ReviewPlan) -> list[ReviewItem]:
    """The rows that the plan picks, in the order in which they are reviewed.

    A row is picked by its own hash, so a greater share takes no row away, nor do more rows where
    there is no `count`; and whatever was reviewed when people stop is a random sample. Of a domain
    and kind with a share above 0, at least one row is picked. Rows of the same content are one.
    """
    cells: defaultdict[tuple[str, str], dict[str, ReviewItem]] = defaultdict(dict)
    for item in items:
        cells[item.cell].setdefault(item.instruction_id, item)
    picked: list[ReviewItem] = []
    for cell, rows in cells.items():
        quota = _quota(plan, cell)
        places = {name: fraction(plan.seed, "sample", name) for name in rows}
        ordered = sorted(rows, key=places.__getitem__)
        inside = [name for name in ordered if places[name] < quota.share]
        if quota.share and not inside:
            inside = ordered[:1]
        picked += [rows[name] for name in inside[: quota.count]]
    return sorted(picked, key=lambda item: fraction(plan.seed, "order", item.instruction_id))


def _quota(plan: ReviewPlan, cell: tuple[str, str]) -> Quota:
    domain, kind = cell
    for quota in plan.quotas:
        if quota.domain in (None, domain) and quota.kind in (None, kind):
            return quota
    return Quota(share=plan.share, count=plan.count)


class NotAllowed(InputError):
    """A reviewer's request cannot be followed; the message is for the page."""


@dataclass
class _Lease:
    reviewer: str
    since: float
    until: float


class ReviewQueue:
    """Rows under review: who gets which next, and what they decided.

    A row needs one opinion; two where the plan asks for a second one or rechecks it; three where
    two differ on keeping it. Each is another person's. While a row is with a reviewer, no other
    gets it. Opinions are blind: nobody sees another's.
    """

    def __init__(
        self,
        items: Iterable[ReviewItem],
        plan: ReviewPlan,
        log: Log,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.plan = plan
        self.log = log
        self.reviews = log.reviews
        self.items = {item.instruction_id: item for item in sampled(items, plan)}
        self._clock = clock
        self._leases: dict[str, _Lease] = {}
        ids = list(self.items)
        size = plan.batch_rows
        self.batches = [ids[at : at + size] for at in range(0, len(ids), size)]
        self._batch = {name: n for n, batch in enumerate(self.batches) for name in batch}
        self._second = {
            name for name in ids if fraction(plan.seed, "second", name) < plan.second_opinion_share
        }
        self._recheck: dict[int, set[str]] = {}
        self._none: dict[str, None] = {}
        """Rows without an opinion, and (`_more`) rows that need another, in order."""
        self._more: dict[str, None] = {}
        for batch in range(len(self.batches)):
            self._open_batch(batch)
        for batch in range(len(self.batches)):
            self._judge(batch)

    # Who gets what

    def next(self, reviewer: str) -> ReviewItem | None:
        """Another row for the reviewer; None when there is none that nobody else holds.

        Second opinions and rechecks come first, so that a bad batch is known early.
        """
        now = self._clock()
        for names in (self._more, self._none):
            for name in names:
                if name not in self._leases and not self.reviews.latest(name, reviewer):
                    self._leases[name] = _Lease(reviewer, now, now + self.plan.lease_seconds)
                    return self.items[name]
        return None

    def release(self, reviewer: str, names: Sequence[str]) -> None:
        """The reviewer's page closed: others may have its rows."""
        for name in names:
            if name in self._leases and self._leases[name].reviewer == reviewer:
                del self._leases[name]

    def hold(self, reviewer: str, have: Sequence[str]) -> None:
        """The reviewer's page lives and holds the rows `have` and no other.

        Leases of others that are over end here. What was decided meanwhile is no longer held.
        """
        now = self._clock()
        have = [
            name for name in have if name in self.items and not self.reviews.latest(name, reviewer)
        ]
        for name, lease in list(self._leases.items()):
            if lease.reviewer == reviewer and name in have:
                lease.until = now + self.plan.lease_seconds
            elif lease.reviewer == reviewer or lease.until <= now:
                del self._leases[name]
        for name in have:
            if name not in self._leases:
                self._leases[name] = _Lease(reviewer, now, now + self.plan.lease_seconds)

    def skipped(self, reviewer: str) -> list[str]:
        """Rows that the reviewer skipped and that still need an opinion."""
        return [
            name
            for names in (self._more, self._none)
            for name in names
            if (found := self.reviews.latest(name, reviewer)) and found.action == "skip"
        ]

    def manual(self, reviewer: str) -> ReviewItem | None:
        """A row whose picture the reviewer has not seen, to write one like it from nothing."""
        known = {d.instruction_id for d in self.reviews.decisions if d.reviewer == reviewer}
        left = (name for name in self.items if name not in known and name not in self._leases)
        name = min(left, key=lambda n: fraction(self.plan.seed, "manual", n), default=None)
        return None if name is None else self.items[name]

    # What they decided

    def decide(
        self,
        reviewer: str,
        entry: str,
        name: str,
        action: Action,
        *,
        seconds: float,
        time: str,
        reason: str | None = None,
        turns: Sequence[Turn] | None = None,
        options: Sequence[str] | None = None,
    ) -> None:
        """Log what a reviewer did with a row; a known entry is passed over.

        Raises:
            NotAllowed: there is no such row, or the edit or reason is not one.
        """
        if self.reviews.knows(entry):
            return
        item = self.items.get(name)
        if item is None:
            raise NotAllowed("this row is not under review any more")
        if action == "reject" and reason not in REASONS:
            raise NotAllowed(f"a rejection needs a reason: {', '.join(REASONS)}")
        written = None
        if action in ("edit", "manual"):
            written = check_written(item, turns or (), options or ())
            if action == "edit" and written == (item.turns, item.options):
                action, written = "accept", None
        decision = Decision(
            entry=entry,
            time=time,
            reviewer=reviewer,
            instruction_id=name,
            action=action,
            role=self._role(reviewer, name) if action in ("accept", "edit", "reject") else "",
            round=self.reviews.round(name),
            batch=self._batch[name],
            reason=reason if action == "reject" else None,
            turns=written and written[0],
            options=written and written[1],
            seconds=round(self._credible(name, reviewer, seconds), 2),
        )
        self.log.add(decision)
        self.release(reviewer, [name])
        self._place(name)
        self._judge(self._batch[name])

    def undo(self, reviewer: str, entry: str, time: str) -> ReviewItem | None:
        """Take back the reviewer's latest decision that counts; the row, now theirs again."""
        known = next((d for d in self.reviews.decisions if d.entry == entry), None)
        if known is None:
            known = next(filter(self._stands, reversed(self._own(reviewer))), None)
            if known is None:
                return None
            self._take_back(known, entry, time)
        item = self.items.get(known.instruction_id)
        if item is not None:
            now = self._clock()
            self._leases[item.instruction_id] = _Lease(reviewer, now, now + self.plan.lease_seconds)
        return item

    def take_skips_back(self, reviewer: str, entry: str, time: str) -> None:
        """Let the reviewer have the rows again that they skipped."""
        for number, name in enumerate(self.skipped(reviewer)):
            found = self.reviews.latest(name, reviewer)
            assert found is not None
            self._take_back(found, f"{entry}-{number}", time)

    def _own(self, reviewer: str) -> list[Decision]:
        return [d for d in self.reviews.decisions if d.reviewer == reviewer]

    def _stands(self, decision: Decision) -> bool:
        name = decision.instruction_id
        return name in self.items and self.reviews.latest(name, decision.reviewer) is decision

    def _take_back(self, decision: Decision, entry: str, time: str) -> None:
        name = decision.instruction_id
        self.log.add(
            Decision(
                entry=entry,
                time=time,
                reviewer=decision.reviewer,
                instruction_id=name,
                action="undo",
                round=self.reviews.round(name),
                batch=self._batch[name],
            )
        )
        self._place(name)

    def _role(self, reviewer: str, name: str) -> Role:
        others = [d for d in self.reviews.opinions(name) if d.reviewer != reviewer]
        if not others:
            return "first"
        if len(others) > 1:
            return "third"
        return "recheck" if name in self._recheck[self._batch[name]] else "second"

    def _credible(self, name: str, reviewer: str, seconds: float) -> float:
        """The page's seconds, but no more than have passed since the row was handed out."""
        lease = self._leases.get(name)
        if lease is None or lease.reviewer != reviewer:
            return min(seconds, _MOST_SECONDS)
        return min(seconds, self._clock() - lease.since)

    # What is still to do

    def wanted(self, name: str) -> int:
        """How many opinions the row needs, by what is known of it now."""
        opinions = self.reviews.opinions(name)
        keepers = sum(opinion.keeps for opinion in opinions)
        if len(opinions) >= 2 and 2 * keepers == len(opinions):
            return min(len(opinions) + 1, _MOST_OPINIONS)
        twice = name in self._second or name in self._recheck[self._batch[name]]
        return 2 if twice else 1

    def _place(self, name: str) -> None:
        """Put the row where it now belongs: no opinion yet, more needed, or done."""
        self._none.pop(name, None)
        self._more.pop(name, None)
        have = len(self.reviews.opinions(name))
        if not have:
            self._none[name] = None
        elif have < self.wanted(name):
            self._more[name] = None

    def _open_batch(self, batch: int) -> None:
        """Choose what is rechecked in the batch's present round, and place its rows."""
        names = self.batches[batch]

        def chance(name: str) -> float:
            return fraction(self.plan.seed, f"recheck {self.reviews.round(name)}", name)

        count = -(-len(names) * self.plan.recheck_share // 1)
        self._recheck[batch] = set(sorted(names, key=chance)[: int(count)])
        for name in names:
            self._place(name)

    def _judge(self, batch: int) -> None:
        """Return the batch when all of it is decided and too many rechecks differ."""
        told = self.rechecks(batch)
        names = self.batches[batch]
        if told.waiting or told.share <= self.plan.max_disagreement:
            return
        if any(name in self._none for name in names):
            return
        rounds = max(self.reviews.round(name) for name in names)
        if rounds >= self.plan.max_returns:
            return
        latest = max(d.time for name in names for d in self.reviews.opinions(name))
        self.log.add(
            Return(
                entry=f"return {batch} {rounds} {names[0]}",
                time=latest,
                batch=batch,
                ids=tuple(names),
                rechecked=told.done,
                disagreed=told.disagreed,
            )
        )
        self._open_batch(batch)

    def rechecks(self, batch: int) -> Rechecks:
        """How the rechecks of a batch stand in its present round."""
        done = disagreed = 0
        for name in self._recheck[batch]:
            opinions = self.reviews.opinions(name)
            if len(opinions) > 1:
                done += 1
                disagreed += opinions[0].action != opinions[1].action
        return Rechecks(done, len(self._recheck[batch]) - done, disagreed)

    @property
    def waiting(self) -> Counter[str]:
        """Rows without an opinion (`none`) and rows that need another (`more`)."""
        return Counter(none=len(self._none), more=len(self._more))


@dataclass(frozen=True)
class Rechecks:
    """Rows of a batch that two people judged: how many, how many wait, how many differ."""

    done: int
    waiting: int
    disagreed: int

    @property
    def share(self) -> float:
        """Share of rechecked rows on which the decisions differ."""
        return self.disagreed / self.done if self.done else 0.0


def check_written(
    item: ReviewItem, turns: Sequence[Turn], options: Sequence[str]
) -> tuple[tuple[Turn, ...], tuple[str, ...]]:
    """What a reviewer wrote for the row, trimmed.

    Raises:
        NotAllowed: a question or answer is empty, options are missing or the same, or the answer
            is none of the answers that the kind has.
    """
    written = tuple(Turn(question=t.question.strip(), answer=t.answer.strip()) for t in turns)
    said = tuple(option.strip() for option in options)
    if len(written) != len(item.turns) and item.kind != "multi_round":
        raise NotAllowed(f"a row of this kind has {len(item.turns)} question")
    if not written or any(not turn.question or not turn.answer for turn in written):
        raise NotAllowed("a question or an answer is empty")
    if item.kind == "multiple_choice":
        if len(said) < 2 or not all(said) or len(set(said)) < len(said):
            raise NotAllowed("options must be two or more, none empty and no two the same")
        letters = [chr(ord("A") + n) for n in range(len(said))]
        if any(turn.answer not in letters for turn in written):
            raise NotAllowed(f"the answer must be one of {', '.join(letters)}")
    elif said:
        raise NotAllowed("only multiple choice has options")
    if item.kind == "judgement":
        allowed = ("是", "否") if item.lang == "zh" else ("yes", "no")
        if any(turn.answer.casefold() not in allowed for turn in written):
            raise NotAllowed(f"the answer must be {' or '.join(allowed)}")
    return written, said
