"""Writing the log of decisions: lines that are on the disk before anybody is told so."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol

from operators.review_decisions import RETURNS, Decision, Return, Reviews, read_reviews
from schemas.errors import InputError

_LOCK = ".lock"


class Log(Protocol):
    """What a review stands on: what was decided so far, and a way to add to it."""

    @property
    def reviews(self) -> Reviews: ...

    def add(self, line: Decision | Return) -> bool: ...


@dataclass(frozen=True)
class InMemory:
    """A log that is only looked at: nothing that is added reaches the disk."""

    reviews: Reviews

    def add(self, line: Decision | Return) -> bool:
        return self.reviews.add(line)


class ReviewLog:
    """A review folder open for writing: what it says so far, and new lines.

    One process at a time has it open. A line is written at once and synced; a last line that a
    crash left unfinished is cut off before the file grows.

    Raises:
        InputError: the folder cannot be made, is open elsewhere, or holds what is no decision.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise InputError(
                f"review folder {self.folder}: {error.strerror}\n    fix: name a folder of yours"
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.reviews: Reviews = read_reviews(self.folder)
        except BlockingIOError:
            os.close(self._lock)
            raise InputError(
                f"review folder {self.folder}: another `omniloom review` has it open\n"
                "    fix: open that one's address, or stop it first"
            ) from None
        except InputError:
            os.close(self._lock)
            raise
        self._files: dict[str, int] = {}

    def __enter__(self) -> ReviewLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the files and let the folder go."""
        for file in (*self._files.values(), self._lock):
            os.close(file)
        self._files.clear()

    def add(self, line: Decision | Return) -> bool:
        """Write a line and take it up; False when its entry is there already.

        Raises:
            OSError: it could not be written; then nothing was taken up.
        """
        if self.reviews.knows(line.entry):
            return False
        name = RETURNS if isinstance(line, Return) else file_name(line.reviewer)
        data = line.model_dump_json(exclude_defaults=True).encode() + b"\n"
        with self._whole_or_not(self._file(name)) as file:
            written = os.write(file, data)
            if written != len(data):
                raise OSError(f"{self.folder / name}: only part of a line could be written")
            os.fsync(file)
        return self.reviews.add(line)

    def _file(self, name: str) -> int:
        """The open file of that name, without the rest of a line that a crash cut off."""
        if name not in self._files:
            path = self.folder / name
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            os.ftruncate(file, path.read_bytes().rfind(b"\n") + 1)
            self._files[name] = file
            _sync_folder(self.folder)
        return self._files[name]

    @contextmanager
    def _whole_or_not(self, file: int) -> Iterator[int]:
        """Cuts off what a failed write left, so that the next line starts a line."""
        before = os.fstat(file).st_size
        try:
            yield file
        except OSError:
            os.ftruncate(file, before)
            raise


def file_name(reviewer: str) -> str:
    """The file of a reviewer: readable where the name is plain, and never two names the same."""
    plain = re.sub(r"[^a-z0-9]+", "-", reviewer.lower()).strip("-")[:20]
    return f"{plain or 'reviewer'}-{hashlib.sha256(reviewer.encode()).hexdigest()[:10]}.jsonl"


def _sync_folder(folder: Path) -> None:
    """Make a new file's name last."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
