"""SIGKILLs at random moments, to driver and workers in turn; then the same bytes must come out.

A kill counts when it hit a running process. Whenever a run comes to its end, its shards are
compared with those of an undisturbed run, and it starts over on an empty store, or without its
remote shards, so that every kill meets work.
"""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from operators.files import Files
from tests.support import omniloom, start_omniloom, write_job

_SHARD_MB = 0.02
_REMOTE_SHARD_MB = 0.002  # so many shards that there is time between the first and the last
_WORKER_NAMES = ("ray::_run_task", "ray::_Actor")
_ATTEMPTS = 20  # for each kill, before it is given up


def kill_rounds(
    folder: Path,
    fields: dict[str, Any],
    kills: int,
    seed: int,
    say: Callable[[str], None] = lambda line: None,
    bucket: str | None = None,
) -> KillRounds:
    """Run a job (of `fields`, and a `format`) undisturbed, then under kills; compare the shards.

    With `bucket` (an s3:// address) the shards go there, and the store stays when a run starts
    over: then the kills meet the export, which the driver does itself where shards are few.
    """
    calm = Place(folder / "calm", f"{bucket}/calm" if bucket else None)
    seconds, expected = undisturbed(calm, fields)
    say(f"seed {seed}; undisturbed: {seconds:.1f} s, {len(expected)} shards")
    killed = Place(folder / "killed", f"{bucket}/killed" if bucket else None)
    rounds = KillRounds(killed, fields, seconds, expected, random.Random(seed), say)
    rounds.run(kills)
    return rounds


@dataclass(frozen=True)
class Place:
    """Where a job has its store, and its shards."""

    folder: Path
    remote: str | None = None

    @property
    def shards(self) -> Files:
        return Files(self.remote or str(self.folder / "shards"))

    def job(self, fields: dict[str, Any]) -> Path:
        """A job in a new folder, with shards so small that there are several."""
        self.folder.mkdir()
        size = _REMOTE_SHARD_MB if self.remote else _SHARD_MB
        fields = dict(fields)
        format = fields.pop("format", "omnicorpus")
        export = [{"format": format, "to": self.shards.root, "shard_mb": size}]
        return write_job(self.folder, **fields, export=export)

    def names(self) -> list[str]:
        """The shards that are there."""
        return [info.path for info in self.shards.list() if info.path.startswith("train-")]

    def digests(self) -> dict[str, str]:
        """SHA-256 of each shard, by name."""
        return {name: self.shards.sha256(name) for name in self.names()}

    def start_over(self) -> None:
        """Forget the shards, and what was measured unless they are remote."""
        if not self.remote:
            shutil.rmtree(self.folder / "store", ignore_errors=True)
        for info in self.shards.list():
            self.shards.delete(info.path)

    def committed(self) -> str:
        """How far the job has come, by what it has committed."""
        shards = [info.path for info in self.shards.list()]
        if "_SUCCESS.json" in shards:
            return "all"
        if any(name.startswith("train-") for name in shards):
            return "some shards"
        steps = {
            "some units": "verdicts/*/*",
            "some stages": "stages/*/*",
            "some inputs": "inputs/*",
        }
        store = self.folder / "store"
        return next(
            (step for step, pattern in steps.items() if any(store.glob(pattern))), "nothing"
        )


def undisturbed(place: Place, fields: dict[str, Any]) -> tuple[float, dict[str, str]]:
    """Seconds and shards of runs that nobody kills: the second is timed, and must be the same."""
    job = place.job(fields)
    omniloom("run", job, "--no-report")
    expected = place.digests()
    place.start_over()
    started = time.monotonic()
    omniloom("run", job, "--no-report")
    seconds = time.monotonic() - started
    if not expected or place.digests() != expected:
        raise AssertionError("two undisturbed runs wrote different shards, or none")
    return seconds, expected


@dataclass
class KillRounds:
    """Kill, resume, compare."""

    place: Place
    fields: dict[str, Any]
    seconds: float
    expected: dict[str, str]
    chance: random.Random
    say: Callable[[str], None] = lambda line: None
    kills: Counter[str] = field(default_factory=Counter)
    moments: Counter[str] = field(default_factory=Counter)
    missed: int = 0
    survived: int = 0
    comparisons: int = 0
    differences: int = 0
    errors: int = 0
    _open: int = 0
    """Kills since the last comparison."""
    _moment: str = ""
    """What was committed when the last kill hit."""

    def run(self, goal: int) -> None:
        """Kill `goal` times, then let the job finish."""
        job = self.place.job(self.fields)
        for attempt in range(goal * _ATTEMPTS):
            if self.kills.total() == goal:
                break
            worker = not self.place.remote and self.kills.total() % 2 == 1
            ended = self._attack(job, worker=worker)
            if ended or (self.place.remote and self.place.committed() == "all"):
                self.compare()
                self.place.start_over()
            self.say(f"attempt {attempt + 1}: {self.kills.total()} kills, {self.survived} survived")
        omniloom("run", job, "--no-report")
        self.compare()

    def _attack(self, job: Path, *, worker: bool) -> bool:
        """Start the job and kill its driver or one of its workers; True when it ended well."""
        process = start_omniloom("run", job, "--no-report")
        hit = self._moment_came(process) and self._hit(process, worker=worker)
        code = process.wait()
        if hit:
            self.kills["worker" if worker else "driver"] += 1
            self.moments[self._moment] += 1
            self._open += 1
        else:
            self.missed += 1
        self.errors += code > 0
        return code == 0

    def _moment_came(self, process: subprocess.Popen[bytes]) -> bool:
        """Wait for the moment of the kill; False when the job had ended before.

        It is any moment of an undisturbed run, or with remote shards one soon after a shard came.
        """
        there, whole = len(self.place.names()), len(self.expected)
        if not self.place.remote or there == whole:
            return not _ends_within(process, self.chance.uniform(0.05, self.seconds))
        goal = self.chance.randint(there + 1, whole)
        while len(self.place.names()) < goal:
            if _ends_within(process, 0.005):
                return False
        return not _ends_within(process, self.chance.uniform(0, 0.01))

    def _hit(self, process: subprocess.Popen[bytes], *, worker: bool) -> bool:
        self._moment = self.place.committed()
        if worker:
            return kill_worker(process.pid, self.chance)
        process.kill()
        return process.wait() == -signal.SIGKILL

    def compare(self) -> None:
        """Credit the kills since the last comparison if the shards are those expected."""
        self.comparisons += 1
        if self.place.digests() == self.expected:
            self.survived += self._open
        else:
            self.differences += 1
            self.say("the shards differ from those of an undisturbed run")
        self._open = 0


def _ends_within(process: subprocess.Popen[bytes], seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def kill_worker(driver: int, chance: random.Random) -> bool:
    """SIGKILL a worker process of the driver, or of the Ray head that this process started."""
    workers = [*_children(driver, "spawn_main"), *_children(None, *_WORKER_NAMES)]
    if not workers:
        return False
    try:
        chance.choice(workers).kill()
    except psutil.NoSuchProcess:
        return False
    return True


def _children(pid: int | None, *names: str) -> list[psutil.Process]:
    """Running descendants of a process (of this one without `pid`) whose command has a name."""
    found = []
    try:
        everyone = psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    for process in everyone:
        try:
            command = " ".join(process.cmdline())
        except (psutil.NoSuchProcess, psutil.ZombieProcess, psutil.AccessDenied):
            continue
        if any(name in command for name in names):
            found.append(process)
    return found
