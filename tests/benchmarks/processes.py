"""Commands run and measured: CPU seconds, wall seconds, resident memory.

CPU seconds are user and system time of the command and of the children that it has waited for,
as the kernel counts them when it ends (`wait4`). Memory is sampled from outside, because the
kernel's own peak of a child starts at the size of the process that started it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import psutil

from tests.support import OMNILOOM, ROOT

PYTHON = sys.executable
COMMAND = str(Path(sys.executable).parent / "omniloom")
"""The installed command, as users call it."""
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "POLARS_MAX_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"
)
_EVERY = 0.05
_PROPORTIONAL_EVERY = 10  # samples: the kernel walks all mappings for it


class CommandFailed(RuntimeError):
    """A measured command ended with another exit code than 0."""


@dataclass(frozen=True)
class Usage:
    """What a command used."""

    cpu_seconds: float
    wall_seconds: float
    output: str = ""


@dataclass
class Memory:
    """Peaks in bytes, over the life of a command and its children."""

    driver: int = 0
    """Resident set of the command's own process."""
    workers: dict[int, int] = field(default_factory=dict)
    """Resident set of each worker process."""
    proportional: int = 0
    """Proportional sets of all processes together: shared pages counted once."""
    unique: int = 0
    """Greatest unique set of one process."""

    @property
    def peak(self) -> int:
        """The greatest resident set of any one process."""
        return max([self.driver, *self.workers.values()])


def run_omniloom(*arguments: str | Path) -> Usage:
    """Run the command on one thread a process, and measure it."""
    return run_measured([*OMNILOOM, *map(str, arguments)], ONE_THREAD)


def run_measured(command: Sequence[str], environment: dict[str, str] | None = None) -> Usage:
    """Run a command to its end; its standard output and what it used."""
    return run_side_by_side([command], environment)[0]


def run_side_by_side(
    commands: Sequence[Sequence[str]], environment: dict[str, str] | None = None
) -> list[Usage]:
    """Run commands at the same time to their ends; what each used."""
    started = time.monotonic()
    with ExitStack() as stack:
        files = [
            (stack.enter_context(TemporaryFile()), stack.enter_context(TemporaryFile()))
            for _ in commands
        ]
        processes = [
            _start(command, output, errors, environment)
            for command, (output, errors) in zip(commands, files, strict=True)
        ]
        return [
            _ended(process, started, output, errors)
            for process, (output, errors) in zip(processes, files, strict=True)
        ]


def _ended(
    process: subprocess.Popen[bytes], started: float, output: IO[bytes], errors: IO[bytes]
) -> Usage:
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - started
    _check(process, errors)
    output.seek(0)
    return Usage(used.ru_utime + used.ru_stime, wall, output.read().decode())


def run_watched(*arguments: str | Path) -> tuple[Memory, float]:
    """Run `omniloom` and sample the memory of it and its children; with its wall seconds."""
    return run_watched_command([*OMNILOOM, *map(str, arguments)])


def run_watched_command(command: Sequence[str]) -> tuple[Memory, float]:
    """The same for any command."""
    started = time.monotonic()
    memory = Memory()
    with TemporaryFile() as output, TemporaryFile() as errors:
        process = _start(command, output, errors, ONE_THREAD)
        samples = 0
        while process.poll() is None:
            _sample(process.pid, memory, proportional=samples % _PROPORTIONAL_EVERY == 0)
            samples += 1
            time.sleep(_EVERY)
        _check(process, errors)
    return memory, time.monotonic() - started


def _start(
    command: Sequence[str],
    output: IO[bytes],
    errors: IO[bytes],
    environment: dict[str, str] | None,
) -> subprocess.Popen[bytes]:
    variables = os.environ | (environment or {})
    return subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=errors, env=variables)


def _check(process: subprocess.Popen[bytes], errors: IO[bytes]) -> None:
    if process.returncode:
        errors.seek(0)
        text = errors.read().decode(errors="replace")[-3000:]
        raise CommandFailed(f"exit code {process.returncode}: {process.args!r}\n{text}")


def _sample(pid: int, memory: Memory, *, proportional: bool) -> None:
    try:
        driver = psutil.Process(pid)
        memory.driver = max(memory.driver, driver.memory_info().rss)
        everyone = [driver, *driver.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    together = 0
    for process in everyone:
        try:
            if process.pid != pid and "spawn_main" in " ".join(process.cmdline()):
                before = memory.workers.get(process.pid, 0)
                memory.workers[process.pid] = max(before, process.memory_info().rss)
            if proportional:
                full = process.memory_full_info()
                together += full.pss
                memory.unique = max(memory.unique, full.uss)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    memory.proportional = max(memory.proportional, together)
