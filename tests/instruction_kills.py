"""SIGKILLs while models are asked: nothing may be asked twice, and the same rows come out.

A job of scripted models runs undisturbed first. Then it runs under kills, each when the server has
had a random number of requests: of the driver, of one of its workers, and of both together, in
turn. The process that asks (see `operators.chat_broker`) is by design no child of these.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from operators.files import Files
from pipelines.corpus import Corpus, open_corpus
from pipelines.rows import TableView
from tests.chat_server import ChatServer
from tests.instruction_jobs import scripted_job, write_pictures
from tests.kills import kill_worker
from tests.scripted_model import answer
from tests.support import omniloom, start_omniloom, write_job

_FORMATS = ("mminstruct", "instructions_parquet")
_LATENCY_S = 0.05
_AT_ONCE = 4
_POLL_S = 0.01
_SHARE = 0.95  # of the requests after which the last kill may come
_VICTIMS = ("driver", "worker", "driver and workers")


@dataclass(frozen=True)
class Outcome:
    """What a finished job has left."""

    pictures: pl.DataFrame
    instructions: pl.DataFrame
    verdicts: list[pl.DataFrame]
    shards: dict[str, str]
    """SHA-256 by path."""

    def differences(self, other: Outcome) -> list[str]:
        """What is not the same in another one."""
        verdicts = len(self.verdicts) == len(other.verdicts) and all(
            map(pl.DataFrame.equals, self.verdicts, other.verdicts)
        )
        same = {
            "pictures": self.pictures.equals(other.pictures),
            "instructions": self.instructions.equals(other.instructions),
            "verdicts": verdicts,
            "shards": self.shards == other.shards,
        }
        return [name for name, holds in same.items() if not holds]


@dataclass
class AskedKills:
    """What came of a job that was killed."""

    calm: Outcome
    killed: Outcome
    asked: Counter[str]
    """How often each content was asked in the killed job."""
    asked_calmly: Counter[str]
    kills: Counter[str] = field(default_factory=Counter)
    hit_at: list[int] = field(default_factory=list)
    """Requests that the server had had at each kill."""
    errors: int = 0
    """Runs that ended in an error of their own."""

    @property
    def differences(self) -> list[str]:
        """What is not as in the undisturbed job."""
        requests = [] if self.asked == self.asked_calmly else ["requests"]
        return [*requests, *self.calm.differences(self.killed)]


def kill_while_asking(
    folder: Path,
    pictures: int,
    kills: int,
    seed: int,
    say: Callable[[str], None] = lambda line: None,
) -> AskedKills:
    """Run a job about so many pictures undisturbed, then under kills."""
    write_pictures(folder / "pictures", pictures)
    with ChatServer(answer, latency_s=_LATENCY_S) as server:
        calm = _job(folder, "calm", server)
        omniloom("run", calm, "--no-report")
        asked_calmly = server.counts()
    say(f"seed {seed}; undisturbed: {asked_calmly.total()} requests")
    chance = random.Random(seed)
    moments = sorted(chance.sample(range(1, int(_SHARE * asked_calmly.total())), kills))
    with ChatServer(answer, latency_s=_LATENCY_S) as server:
        killed = _job(folder, "killed", server)
        attack = _Attack(killed, server, chance, moments, say)
        attack.run()
        omniloom("run", killed, "--no-report")
        asked = server.counts()
    outcomes = outcome(calm.parent), outcome(killed.parent)
    return AskedKills(*outcomes, asked, asked_calmly, attack.kills, attack.hit_at, attack.errors)


def outcome(folder: Path) -> Outcome:
    """What the job in a folder has left, but for where it is."""
    corpus = open_corpus(str(folder / "store"))
    view = corpus.instructions_view
    pictures = corpus.documents(*_measured(corpus.columns))
    shards = Files(str(folder / "shards"))
    return Outcome(
        pictures,
        corpus.instructions(*_measured(view.columns)),
        _verdicts(corpus, view),
        {
            info.path: shards.sha256(info.path)
            for info in shards.list()
            if not info.path.endswith("_SUCCESS.json")  # names the run and its store
        },
    )


def _measured(names: list[str]) -> list[str]:
    return [name for name in names if name != "image_data"]


def _verdicts(corpus: Corpus, view: TableView) -> list[pl.DataFrame]:
    found = [view.verdicts(record) for record in corpus.instruction_records]
    return [pl.DataFrame(table) for table in found]


def _job(folder: Path, name: str, server: ChatServer) -> Path:
    own = folder / name
    own.mkdir()
    fields: dict[str, Any] = scripted_job(own, server.url, {"max_concurrency": _AT_ONCE})
    fields["inputs"][0]["pictures"] = str(folder / "pictures")
    fields["on"] = {"backend": "local", "workers": 2}
    fields["export"] = [
        {"format": format, "to": str(own / "shards" / format), "images": "beside"}
        for format in _FORMATS
    ]
    return write_job(own, **fields)


class _Attack:
    """Starts a job again and again, and kills it at given numbers of requests."""

    def __init__(
        self,
        job: Path,
        server: ChatServer,
        chance: random.Random,
        moments: list[int],
        say: Callable[[str], None],
    ) -> None:
        self.job, self.server, self.chance, self.moments, self.say = (
            job, server, chance, moments, say,
        )  # fmt: skip
        self.kills: Counter[str] = Counter()
        self.hit_at: list[int] = []
        self.errors = 0

    def run(self) -> None:
        """Kill at every moment, or until the job is done."""
        process = start_omniloom("run", self.job, "--no-report")
        asked = 0
        for moment in self.moments:
            if process.poll() is not None:
                process = start_omniloom("run", self.job, "--no-report")
            if not self._asked(process, max(moment, asked + 1)):
                if process.returncode == 0:
                    return
                self.errors += 1
                continue
            time.sleep(self.chance.uniform(0, _LATENCY_S))
            self._hit(process)
            asked = self.server.count()
        process.wait()

    def _asked(self, process: subprocess.Popen[bytes], requests: int) -> bool:
        """Wait until the server has had so many requests; False when the run ends before."""
        while self.server.count() < requests:
            if process.poll() is not None:
                return False
            time.sleep(_POLL_S)
        return True

    def _hit(self, process: subprocess.Popen[bytes]) -> None:
        victim = _VICTIMS[self.kills.total() % len(_VICTIMS)]
        self.hit_at.append(self.server.count())
        match victim:
            case "driver":
                process.kill()
            case "worker":
                if not kill_worker(process.pid, self.chance):
                    victim = "driver"
                    process.kill()
            case _:
                os.killpg(process.pid, signal.SIGKILL)
        if victim != "worker":
            process.wait()
        self.kills[victim] += 1
        self.say(f"{self.kills.total()} of {len(self.moments)}: {victim}, {self.hit_at[-1]} asked")
