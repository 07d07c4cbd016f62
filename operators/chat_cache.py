"""What models have said, kept by request: a SQLite file that one process writes and many read.

Everything that was paid for is kept, also what is no answer, so that nothing is paid for twice.
Keys of servers are nowhere in it.
"""

from __future__ import annotations

import difflib
import json
import sqlite3
import time
import zlib
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from operators.chat import Request
from operators.chat_wire import Asked, Said
from schemas.errors import StorageError

FILE = "answers.sqlite"
PARTS = ("model", "system", "prompt", "media", "parameters", "schema", "sample")
"""What decides an answer, by name; as `Request.key_parts` has them."""

_FORMAT = 1
_AT_ONCE = 500
_DIFF_LINES = 40
_LIKE = 100  # equally similar requests whose prompts are compared
_SELECT = "SELECT key, text, finish, prompt_tokens, completion_tokens, usd FROM answers"
_INSERT = "INSERT OR IGNORE INTO answers"
_TABLES = f"""
CREATE TABLE IF NOT EXISTS answers (
    key BLOB PRIMARY KEY,
    {", ".join(f"{part}_part BLOB NOT NULL" for part in PARTS)},
    tag TEXT NOT NULL, model TEXT NOT NULL, asked BLOB NOT NULL,
    text TEXT NOT NULL, finish TEXT NOT NULL,
    prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL,
    usd REAL NOT NULL, kept_at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS batches (
    name TEXT PRIMARY KEY, url TEXT NOT NULL, id TEXT, usd REAL NOT NULL, ended INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS batched (
    key BLOB PRIMARY KEY, batch TEXT NOT NULL, ask BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS of_batch ON batched (batch);
"""


@dataclass(frozen=True)
class Kept:
    """What was said once, and what it cost then."""

    said: Said
    usd: float


@dataclass(frozen=True)
class Fresh:
    """What is to be kept."""

    ask: Asked
    said: Said
    usd: float


@dataclass(frozen=True)
class Spent:
    """What the answers to one asker came to, over all runs."""

    tag: str
    model: str
    requests: int
    prompt_tokens: int
    completion_tokens: int
    usd: float


@dataclass(frozen=True)
class Miss:
    """Why a request is not in the cache, beside the kept one that is most like it."""

    kept: bool
    """True when it is in the cache after all."""
    nearest: str | None
    """Key of the most similar kept request of the same tag; None when there is none."""
    differs: tuple[str, ...]
    """Which of `PARTS` are not the same."""
    diff: str
    """How the prompts differ, as a unified diff from what is kept; empty where they do not."""

    def __str__(self) -> str:
        if self.kept:
            return "kept: nothing would be asked"
        if self.nearest is None:
            return "nothing of this tag has been asked before"
        lines = [f"not kept; most like {self.nearest[:12]}, other: {', '.join(self.differs)}"]
        return "\n".join([*lines, self.diff]).rstrip()


class ChatCache:
    """The cache in a folder. `write` opens it for the one process that may write."""

    def __init__(self, folder: Path, *, write: bool = False) -> None:
        path = folder / FILE
        if not write and not path.exists():
            raise FileNotFoundError(path)
        try:
            self._file = sqlite3.connect(
                path, timeout=60, isolation_level=None, check_same_thread=False
            )
            if write:
                self._prepare()
            else:
                self._file.execute("PRAGMA query_only = ON")
            found = self._file.execute("PRAGMA user_version").fetchone()[0]
        except sqlite3.DatabaseError as error:
            raise StorageError(
                f"{path}: cannot be opened as a cache of answers ({error})\n"
                "    fix: name another folder, or remove the file if it is of no use"
            ) from None
        if found == 0:
            raise FileNotFoundError(path)  # about to be written for the first time
        if found != _FORMAT:
            raise StorageError(
                f"{path}: was written by another version of omniloom (format {found}, here "
                f"{_FORMAT})\n    fix: name another folder for the cache"
            )

    def _prepare(self) -> None:
        self._file.execute("PRAGMA journal_mode = WAL")
        self._file.execute("PRAGMA synchronous = FULL")
        if self._file.execute("PRAGMA user_version").fetchone()[0] == 0:
            self._file.executescript(_TABLES + f"PRAGMA user_version = {_FORMAT};")

    def close(self) -> None:
        """Let the file go."""
        self._file.close()

    # --- Answers ---

    def get(self, key: str) -> Kept | None:
        """What is kept of one request."""
        return self.get_all([key]).get(key)

    def get_all(self, keys: Sequence[str]) -> dict[str, Kept]:
        """What is kept of these requests, by key."""
        found = {}
        for start in range(0, len(keys), _AT_ONCE):
            part = [bytes.fromhex(key) for key in keys[start : start + _AT_ONCE]]
            marks = ",".join("?" * len(part))
            rows = self._file.execute(f"{_SELECT} WHERE key IN ({marks})", part)
            for key, *said, usd in rows:
                found[key.hex()] = Kept(Said(*said), usd)
        return found

    def put(self, fresh: Iterable[Fresh]) -> None:
        """Keep these; when it returns they are on disk."""
        marks = ",".join("?" * (10 + len(PARTS)))
        with self._transaction():
            self._file.executemany(f"{_INSERT} VALUES ({marks})", map(_row, fresh))

    def usd(self) -> float:
        """What all kept answers have cost."""
        return float(self._file.execute("SELECT total(usd) FROM answers").fetchone()[0])

    def spent(self) -> list[Spent]:
        """What was spent, by tag and model."""
        rows = self._file.execute(
            "SELECT tag, model, count(*), sum(prompt_tokens), sum(completion_tokens), sum(usd) "
            "FROM answers GROUP BY tag, model ORDER BY tag, model"
        )
        return [Spent(*row) for row in rows]

    def why_miss(self, request: Request) -> Miss:
        """The kept request that is most like this one, and what differs."""
        parts = request.key_parts()
        if self.get(request.key) is not None:
            return Miss(True, request.key, (), "")
        columns = [f"{part}_part" for part in PARTS]
        same = " + ".join(f"({column} = ?)" for column in columns)
        rows = self._file.execute(
            f"SELECT {same}, key, asked, {', '.join(columns)} FROM answers WHERE tag = ? "  # noqa: S608
            f"ORDER BY 1 DESC, kept_at DESC LIMIT {_LIKE}",
            [*(_short(parts[part]) for part in PARTS), request.tag],
        ).fetchall()
        if not rows:
            return Miss(False, None, (), "")
        likest = [(zlib.decompress(row[2]).decode(), row) for row in rows if row[0] == rows[0][0]]
        matcher = difflib.SequenceMatcher(b=request.prompt, autojunk=False)

        def likeness(before: str) -> float:
            matcher.set_seq1(before)
            return matcher.quick_ratio()

        before, (_, key, _, *kept) = max(likest, key=lambda pair: likeness(pair[0]))
        pairs = zip(PARTS, kept, strict=True)
        differs = tuple(part for part, value in pairs if value != _short(parts[part]))
        return Miss(False, key.hex(), differs, _diff(before, request.prompt))

    # --- Batches ---

    def batch_of(self, key: str) -> str | None:
        """The name of the open batch that a request is part of."""
        row = self._file.execute("SELECT batch FROM batched WHERE key = ?", [bytes.fromhex(key)])
        found = row.fetchone()
        return found[0] if found else None

    def batch_asks(self, name: str) -> list[Asked]:
        """The requests of an open batch, without their messages."""
        rows = self._file.execute("SELECT ask FROM batched WHERE batch = ?", [name])
        return [Asked(**json.loads(zlib.decompress(ask)), messages=b"") for (ask,) in rows]

    def batch_id(self, name: str) -> str | None:
        """What the provider calls a batch; None: it is not known to have one."""
        row = self._file.execute("SELECT id FROM batches WHERE name = ?", [name]).fetchone()
        return row[0] if row else None

    def batch_usd(self, name: str) -> float:
        """What a batch may come to cost."""
        row = self._file.execute("SELECT usd FROM batches WHERE name = ?", [name]).fetchone()
        return float(row[0]) if row else 0.0

    def batches_usd(self) -> float:
        """What open batches may come to cost."""
        row = self._file.execute("SELECT total(usd) FROM batches WHERE NOT ended")
        return float(row.fetchone()[0])

    def begin_batch(self, name: str, url: str, usd: float, asks: Iterable[Asked]) -> None:
        """Note a batch before the provider hears of it."""
        with self._transaction():
            self._file.execute("INSERT INTO batches VALUES (?, ?, NULL, ?, 0)", [name, url, usd])
            rows = ([bytes.fromhex(ask.key), name, _without_messages(ask)] for ask in asks)
            self._file.executemany("INSERT OR REPLACE INTO batched VALUES (?, ?, ?)", rows)

    def name_batch(self, name: str, id: str) -> None:
        """Note what the provider calls it."""
        with self._transaction():
            self._file.execute("UPDATE batches SET id = ? WHERE name = ?", [id, name])

    def end_batch(self, name: str) -> None:
        """Note that all of it that can be collected has been."""
        with self._transaction():
            self._file.execute("UPDATE batches SET ended = 1 WHERE name = ?", [name])
            self._file.execute("DELETE FROM batched WHERE batch = ?", [name])

    def _transaction(self) -> _Transaction:
        return _Transaction(self._file)


class _Transaction:
    def __init__(self, file: sqlite3.Connection) -> None:
        self._file = file

    def __enter__(self) -> None:
        self._file.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._file.execute("COMMIT" if kind is None else "ROLLBACK")


def _row(fresh: Fresh) -> list[Any]:
    ask, said = fresh.ask, fresh.said
    return [
        bytes.fromhex(ask.key),
        *(_short(ask.parts[part]) for part in PARTS),
        ask.tag,
        ask.model,
        zlib.compress(ask.prompt.encode("utf-8", "replace")),
        said.text.encode("utf-8", "replace").decode(),
        said.finish,
        said.prompt_tokens,
        said.completion_tokens,
        fresh.usd,
        time.time(),
    ]


def _without_messages(ask: Asked) -> bytes:
    fields = {name: value for name, value in vars(ask).items() if name != "messages"}
    return zlib.compress(json.dumps(fields).encode())


def _diff(before: str, after: str) -> str:
    lines = list(
        difflib.unified_diff(
            before.splitlines(), after.splitlines(), "kept", "asked", n=1, lineterm=""
        )
    )
    more = [f"… {len(lines) - _DIFF_LINES} more lines"] if len(lines) > _DIFF_LINES else []
    return "\n".join(lines[:_DIFF_LINES] + more)


def _short(digest: str) -> bytes:
    return bytes.fromhex(digest[:16])


# --- For people -----------------------------------------------------------------------------------


def why_miss(folder: str, request: Request) -> Miss:
    """Why a request is not in the cache of a folder (see `Miss`)."""
    try:
        with closing(ChatCache(Path(folder))) as cache:
            return cache.why_miss(request)
    except FileNotFoundError:
        return Miss(False, None, (), "")


def spent(folder: str) -> list[Spent]:
    """What was spent for the cache of a folder, by tag and model; empty where there is none."""
    try:
        with closing(ChatCache(Path(folder))) as cache:
            return cache.spent()
    except FileNotFoundError:
        return []
