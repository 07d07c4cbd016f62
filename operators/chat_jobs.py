"""What the broker of a cache works with: jobs, the budget, what answers take, who writes them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from operators.chat_cache import ChatCache, Fresh, Kept
from operators.chat_model import ChatModel
from operators.chat_wire import Asked, Said

_BACKOFF_S, _LONGEST_BACKOFF_S = 0.5, 30.0
_LONGEST_UNKNOWN = 1024
_GATHER_S = 0.01  # answers that go to disk together


@dataclass(frozen=True)
class OutOfBudget:
    """A request was not sent, because it may cost more than is left."""

    spent: float


@dataclass(frozen=True)
class NoAnswer:
    """A request ended without a completion."""

    cause: str
    message: str


class Dropped(Exception):
    """A request was not sent, because nobody waits for it."""


Outcome = Kept | NoAnswer | OutOfBudget


@dataclass
class Session:
    """What a client said of itself. The key is in memory alone."""

    model: ChatModel
    key: str | None


Tell = Callable[[Outcome, bool], None]
"""Takes how a request ended, and whether it was asked for somebody else."""


@dataclass(eq=False)
class Job:
    """A request that somebody waits for."""

    ask: Asked
    session: Session
    ended: Callable[[str], None]
    """Told the key when the job is over."""
    waiters: list[Tell] = field(default_factory=list)

    def end(self, outcome: Outcome | None) -> None:
        """Tell all who wait; None: nobody did."""
        self.ended(self.ask.key)
        if outcome is not None:
            for number, tell in enumerate(self.waiters):  # nobody can come or go meanwhile
                tell(outcome, number > 0)


class Purse:
    """What was spent over all runs, reserved for requests in flight, and held for batches."""

    def __init__(self, spent: float, held: float) -> None:
        self.spent = spent
        self._held = held
        self._reserved = 0.0
        self._changed = asyncio.Event()

    async def reserve(self, usd: float, budget: float | None) -> bool:
        """Set aside what a request may cost; wait for those in flight if they may leave enough."""
        while budget is not None and self._bound + self._reserved + usd > budget:
            if self._bound + usd > budget:
                return False
            self._changed.clear()
            await self._changed.wait()
        self._reserved += usd
        return True

    def hold(self, usd: float, budget: float | None) -> bool:
        """Set aside what a row of a batch may cost, for as long as the batch takes."""
        if budget is not None and self._bound + self._reserved + usd > budget:
            return False
        self._held += usd
        return True

    def let_go(self, held: float, usd: float) -> None:
        """A batch for which this was held has cost that."""
        self._held = max(0.0, self._held - held)
        self.spent += usd
        self._changed.set()

    @property
    def _bound(self) -> float:
        return self.spent + self._held

    def settle(self, reserved: float, usd: float) -> None:
        """A request that had this reserved has cost that."""
        self._reserved = max(0.0, self._reserved - reserved)
        self.spent += usd
        self._changed.set()


class Expected:
    """What requests of one asker take.

    At first what was estimated, and the longest answer that is allowed. Once some are answered:
    the estimate times what was reported over what was estimated, and mean and deviation.
    """

    _LEAST = 20

    def __init__(self) -> None:
        self._count = 0
        self._estimated = self._prompts = 0
        self._sum = self._squares = 0.0

    def add(self, estimated: int, said: Said) -> None:
        """One answer, whose prompt was thought to have so many tokens."""
        self._count += 1
        self._estimated += estimated
        self._prompts += said.prompt_tokens
        self._sum += said.completion_tokens
        self._squares += said.completion_tokens**2

    def tokens(self, ask: Asked) -> tuple[float, float]:
        """Of prompt and answer, to reserve for the next."""
        longest = float(longest_answer(ask))
        if self._count < self._LEAST:
            return ask.prompt_tokens, longest
        mean = self._sum / self._count
        deviation = max(0.0, self._squares / self._count - mean * mean) ** 0.5
        prompt = ask.prompt_tokens * self._prompts / max(1, self._estimated)
        return prompt, min(longest, mean + 2 * deviation)


class Keeper:
    """Writes answers: those that arrive shortly after each other go to disk together."""

    def __init__(self, cache: ChatCache) -> None:
        self._cache = cache
        self._thread = ThreadPoolExecutor(1, "keep")
        self._waiting: list[tuple[Fresh, asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None

    async def keep(self, fresh: Fresh) -> None:
        """Return when it is on disk."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((fresh, done))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write())
        await done

    async def call(self, work: Callable[..., Any], *args: Any) -> Any:
        """Do something else with the cache in the one thread that writes."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *args)

    async def _write(self) -> None:
        while self._waiting:
            await asyncio.sleep(_GATHER_S)
            some, self._waiting = self._waiting, []
            try:
                await self.call(self._cache.put, [fresh for fresh, _ in some])
            except Exception as error:  # noqa: BLE001  whoever waits is told
                for _, done in some:
                    if not done.done():
                        done.set_exception(error)
            else:
                for _, done in some:
                    if not done.done():
                        done.set_result(None)


def longest_answer(ask: Asked) -> int:
    """Most tokens that an answer may take."""
    for name in ("max_tokens", "max_completion_tokens"):
        if isinstance(value := ask.parameters.get(name), int):
            return value
    return _LONGEST_UNKNOWN


def backoff(attempts: int) -> float:
    """Seconds until the next attempt: ever longer, and by chance, so that retries spread."""
    longest = min(_LONGEST_BACKOFF_S, _BACKOFF_S * 2.0 ** max(0, attempts - 1))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311  spreads retries, hides nothing
