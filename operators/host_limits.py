"""How many requests a host gets at once and how fast, over all processes of a user on a machine.

Processes share two files in the user's temporary folder. A request holds a lock on one byte of
`slots`, which belongs to the host and one of its places; the kernel lets go of it when the process
ends, however it ends. `starts` is a table of the earliest moments of next requests. Hosts are
known by a hash: two that meet in a cell of the table share a pace, which is slower, never faster.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import hashlib
import os
import random
import struct
import tempfile
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from schemas.errors import StorageError

MOST_SLOTS = 64
_CELLS = 1 << 16
_CELL = struct.Struct("d")
_FLOCK = struct.Struct("hhqqi4x")
_LONGEST = 86_400.0  # a moment farther ahead is of a clock that has been set since
_POLL_S = (0.01, 0.05)
# Locks of an open file, not of a process, so that two clients of one process count as well.
_OPEN_FILE_LOCK: int | None = getattr(fcntl, "F_OFD_SETLK", None)


def shared_folder() -> Path:
    """The user's own folder for what processes share; made when it is missing.

    Raises:
        StorageError: somebody else has made it.
    """
    folder = Path(tempfile.gettempdir()) / f"omniloom-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise StorageError(f"{folder}: belongs to another user\n    fix: set TMPDIR")
    return folder


class SharedLimits:
    """The two files. One is open in each client; `close` gives back all that it holds."""

    def __init__(self, folder: Path) -> None:
        self._slots, self._starts = (_opened(folder / name) for name in ("slots", "starts"))
        if os.fstat(self._starts).st_size < _CELLS * _CELL.size:
            os.ftruncate(self._starts, _CELLS * _CELL.size)
        self._held: set[int] = set()

    def close(self) -> None:
        """Let go of everything."""
        os.close(self._slots)
        os.close(self._starts)

    def take(self, host: int, slot: int) -> bool:
        """Whether the host's place `slot` was free and now is ours."""
        place = host * MOST_SLOTS + slot
        if place in self._held or not _lock(self._slots, place, fcntl.F_WRLCK):
            return False
        self._held.add(place)
        return True

    def give_back(self, host: int, slot: int) -> None:
        """Free the host's place `slot`."""
        place = host * MOST_SLOTS + slot
        _lock(self._slots, place, fcntl.F_UNLCK)
        self._held.discard(place)

    def reserve(self, host: int, delay: float) -> float | None:
        """Seconds until a request to the host may start; the next may follow `delay` later.

        None when another process is about to say so: ask again.
        """
        if not delay:
            return self._ahead(host)
        return self._moved(host, delay, 0)

    def pause(self, host: int, seconds: float) -> bool:
        """Let no request to the host start for so long. False: ask again."""
        return self._moved(host, 0, seconds) is not None

    def _moved(self, host: int, delay: float, least: float) -> float | None:
        cell = host % _CELLS
        if not _lock(self._starts, cell, fcntl.F_WRLCK):
            return None
        try:
            ahead = max(self._ahead(host), least)
            moment = _CELL.pack(time.time() + ahead + delay)
            os.pwrite(self._starts, moment, cell * _CELL.size)
        finally:
            _lock(self._starts, cell, fcntl.F_UNLCK)
        return ahead

    def _ahead(self, host: int) -> float:
        (start,) = _CELL.unpack(os.pread(self._starts, _CELL.size, host % _CELLS * _CELL.size))
        ahead = float(start) - time.time()
        return ahead if 0 < ahead < _LONGEST else 0.0


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _lock(file: int, offset: int, kind: int) -> bool:
    """Lock or unlock one byte, which need not exist; False when somebody else has it."""
    try:
        if _OPEN_FILE_LOCK is None:
            held = fcntl.LOCK_UN if kind == fcntl.F_UNLCK else fcntl.LOCK_EX | fcntl.LOCK_NB
            fcntl.lockf(file, held, 1, offset)
        else:
            wanted = _FLOCK.pack(kind, os.SEEK_SET, offset, 1, 0)
            fcntl.fcntl(file, _OPEN_FILE_LOCK, wanted)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True


class HostGate:
    """One host's door: at most `limit` requests are inside, entered `delay` seconds apart."""

    def __init__(self, shared: SharedLimits, host: str, limit: int, delay: float) -> None:
        digest = hashlib.blake2b(host.encode(), digest_size=6).digest()
        self._host = int.from_bytes(digest, "big")
        self._shared, self._free = shared, deque(range(limit))
        self._inside = asyncio.Semaphore(limit)
        self.delay = delay

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for the turn, and stay inside until the end of the block."""
        async with self._inside:
            slot = await self._free_slot()
            try:
                await self._moment()
                yield
            finally:
                self._shared.give_back(self._host, slot)
                self._free.appendleft(slot)

    async def pause(self, seconds: float) -> None:
        """Let nobody enter for so long."""
        while not self._shared.pause(self._host, seconds):
            await asyncio.sleep(0)

    async def _free_slot(self) -> int:
        while True:
            for _ in range(len(self._free)):
                slot = self._free.popleft()
                if self._shared.take(self._host, slot):
                    return slot
                self._free.append(slot)  # another process has it
            await asyncio.sleep(random.uniform(*_POLL_S))  # noqa: S311  # no secret

    async def _moment(self) -> None:
        while (wait := self._shared.reserve(self._host, self.delay)) is None:
            await asyncio.sleep(0)
        if wait:
            await asyncio.sleep(wait)
