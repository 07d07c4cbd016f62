"""How fast a server is asked: requests in flight that adapt to it, its pauses, its rates."""

from __future__ import annotations

import asyncio
import time
from collections import deque

_BUSY_CUT = 0.6
_FAILED_CUT = 0.9
_GROWTH = 0.05
_BURST_S = 1.0


class Paused(Exception):
    """A server wants to be left alone for so many seconds more: `args[0]`."""


class Gate:
    """How many requests may be in flight: fewer when a server fails, more while it answers.

    Additive increase and multiplicative decrease, as TCP does (Chiu and Jain 1989): all requests
    that were in flight when the first of them failed cut once; a window of successes adds one
    place, or 5 % where that is more. Being busy (429, 503) cuts more than failing does.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.limit = float(most)
        self.active = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._resume_at = 0.0
        self._cut_at = 0.0

    def widen(self, most: int) -> None:
        """Set the most that may be in flight."""
        if most > self.most:
            self.limit += most - self.most
        self.most = most
        self.limit = min(self.limit, float(most))
        self._wake()

    async def enter(self, patience_s: float) -> float:
        """Wait for a place, and for the end of the server's pause. Returns when it entered.

        Raises:
            Paused: the pause is longer than there is patience.
        """
        if self._waiting or self.active >= int(self.limit):
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self.leave()
                raise
        else:
            self.active += 1
        try:
            while (rest := self._resume_at - time.monotonic()) > 0:
                if rest > patience_s:
                    raise Paused(rest)
                await asyncio.sleep(rest)
        except (asyncio.CancelledError, Paused):
            self.leave()
            raise
        return time.monotonic()

    def leave(self) -> None:
        """Give the place back."""
        self.active -= 1
        self._wake()

    def succeeded(self) -> None:
        """A request was answered."""
        self.limit = min(float(self.most), self.limit + max(1 / self.limit, _GROWTH))

    def failed(self, entered: float, *, busy: bool) -> None:
        """A request that entered then was not."""
        if entered >= self._cut_at:
            self._cut_at = time.monotonic()
            self.limit = max(1.0, self.limit * (_BUSY_CUT if busy else _FAILED_CUT))

    def pause(self, seconds: float) -> None:
        """Let nothing begin for so long."""
        self._resume_at = max(self._resume_at, time.monotonic() + seconds)

    def _wake(self) -> None:
        while self._waiting and self.active < int(self.limit):
            turn = self._waiting.popleft()
            if not turn.done():
                self.active += 1
                turn.set_result(None)


class Pace:
    """So much a minute, evenly, with what a second allows at once; None: as much as you like.

    The generic cell rate algorithm: one moment says until when all that was let through lasts.
    """

    def __init__(self, per_minute: float | None) -> None:
        self.per_minute = per_minute
        self._lasts_until = 0.0

    async def take(self, amount: float) -> None:
        """Wait until so much may pass."""
        if self.per_minute is None:
            return
        now = time.monotonic()
        begins = max(now, self._lasts_until)
        self._lasts_until = begins + amount * 60 / self.per_minute
        if (rest := begins - now - _BURST_S) > 0:
            await asyncio.sleep(rest)

    def give_back(self, amount: float) -> None:
        """So much was not used; a negative amount was used beyond what was taken."""
        if self.per_minute is not None:
            self._lasts_until -= amount * 60 / self.per_minute
