"""What a backend is, and the local one: worker processes on this machine.

A backend runs tasks and yields (task, result) in any order. It retries a task whose worker died;
an exception that a task raises is a failed program and stops the run.

Local workers are plain processes, each with a pipe of its own: no lock or queue is shared, so
killing one at any moment harms nothing but the task that it held. They start by `spawn`, because
forking a process with running threads (Polars, Arrow) is undefined.
"""

from __future__ import annotations

import ctypes
import importlib.util
import multiprocessing
import os
import signal
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from pipelines.plan import Plan
from pipelines.work import Task, Worker, described
from schemas.errors import InputError, OmniloomError, OperatorFailed, WorkerLost

Done = tuple[Task, Any]


class Backend(ABC):
    """Runs tasks of one plan."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.retries = plan.jobfile.job.on.retries

    @abstractmethod
    def groups(self, plan: Plan) -> tuple[int, ...]:
        """Stage counts at which a unit's chain is cut into tasks; the last is all stages."""

    @abstractmethod
    def run(self, tasks: Iterable[Task]) -> Iterator[Done]:
        """Run all tasks, and those that follow from them; yields the last of each chain.

        Raises:
            WorkerLost: a task's worker died more often than `retries` allows.
            OmniloomError: whatever a task raised.
        """

    def close(self) -> None:
        """Let all workers go. In-flight tasks are lost, which is harmless."""

    def lost(self, task: Task, deaths: int) -> WorkerLost:
        """The error for a task that keeps killing its worker."""
        return WorkerLost(
            f"{task.key}: its worker died {deaths} times (killed, out of memory, or crashed in "
            "native code). Everything finished so far is kept. Try more memory, smaller "
            "'unit_rows', fewer 'on.workers', or find the page with 'omniloom plan'"
        )


def cpu_count() -> int:
    """CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def make_backend(plan: Plan) -> Backend:
    """The backend that the plan's job asks for."""
    if plan.jobfile.job.on.backend == "local":
        return LocalBackend(plan)
    require_ray()
    from pipelines.ray_backend import RayBackend

    return RayBackend(plan)


def require_ray() -> None:
    """Say how to get Ray where it is missing.

    Raises:
        InputError: Ray is not installed.
    """
    if importlib.util.find_spec("ray") is None:
        raise InputError("Ray is not installed here; install it with: pip install 'omniloom[ray]'")


@dataclass
class _Process:
    process: BaseProcess
    pipe: Connection
    task: Task | None = None


class LocalBackend(Backend):
    """Worker processes on this machine, or with `workers: 0` the calling process itself."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        wanted = plan.jobfile.job.on.workers
        self.workers = cpu_count() if wanted is None else wanted
        self._processes: list[_Process] = []
        self._deaths: dict[str, int] = {}

    def groups(self, plan: Plan) -> tuple[int, ...]:
        """One group: a worker runs the whole chain, and columns stay in its memory."""
        return (len(plan.stages),)

    def run(self, tasks: Iterable[Task]) -> Iterator[Done]:
        """Hand tasks to idle workers as long as there are any."""
        if self.workers == 0:
            yield from run_here(self.plan, tasks)
            return
        source = iter(tasks)
        again: deque[Task] = deque()
        try:
            while True:
                self._hand_out(source, again)
                busy = [p for p in self._processes if p.task is not None]
                if not busy:
                    return
                for ready in wait([p.pipe for p in busy]):
                    process = next(p for p in busy if p.pipe is ready)
                    yield from self._collect(process, again)
        finally:
            if any(p.task is not None for p in self._processes):
                self.close()

    def _hand_out(self, source: Iterator[Task], again: deque[Task]) -> None:
        while True:
            idle = next((p for p in self._processes if p.task is None), None)
            if idle is None and len(self._processes) >= self.workers:
                return
            task = again.popleft() if again else next(source, None)
            if task is None:
                return
            chosen = idle or self._start()
            chosen.task = task
            try:
                chosen.pipe.send(task)
            except OSError:  # it died while idle
                self._bury(chosen)
                again.appendleft(task)

    def _collect(self, process: _Process, again: deque[Task]) -> Iterator[Done]:
        task = process.task
        assert task is not None  # only busy workers are waited for
        try:
            result = process.pipe.recv()
        except (EOFError, OSError):
            self._bury(process)
            deaths = self._deaths[task.key] = self._deaths.get(task.key, 0) + 1
            if deaths > self.retries:
                raise self.lost(task, deaths) from None
            again.append(task)
            return
        process.task = None
        if isinstance(result, Exception):
            raise result
        yield task, result

    def _start(self) -> _Process:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        with environment(_one_thread()):
            process = context.Process(target=_serve, args=(theirs, self.plan), daemon=True)
            process.start()
        theirs.close()
        started = _Process(process, ours)
        self._processes.append(started)
        return started

    def _bury(self, process: _Process) -> None:
        self._processes.remove(process)
        process.pipe.close()
        process.process.kill()
        process.process.join()

    def close(self) -> None:
        """Kill the workers: what they were writing has a temporary name or is not there."""
        for process in list(self._processes):
            self._bury(process)


@contextmanager
def environment(variables: dict[str, str]) -> Iterator[None]:
    """Environment variables for the time of a block."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _one_thread() -> dict[str, str]:
    """Workers are as many as CPUs, so each gets one thread; set before libraries are imported."""
    names = ("OMP_NUM_THREADS", "POLARS_MAX_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return {name: os.environ.get(name) or "1" for name in names}


def _serve(pipe: Connection, plan: Plan) -> None:
    """A worker's life: take a task, send its result, until the driver goes away."""
    import pyarrow as pa

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's to handle
    threading.Thread(target=_follow_parent, daemon=True).start()
    pa.set_cpu_count(1)
    worker = Worker(plan)
    while True:
        try:
            task = pipe.recv()
        except (EOFError, OSError):
            return
        pipe.send(run_guarded(task, worker))


def run_here(plan: Plan, tasks: Iterable[Task]) -> Iterator[Done]:
    """Run tasks in this very process, one after the other."""
    worker = Worker(plan)
    for task in tasks:
        result = run_guarded(task, worker)
        if isinstance(result, Exception):
            raise result
        yield task, result


def run_guarded(task: Task, worker: Worker) -> Any:
    """The task's result, or the exception that it raised, in a form that crosses processes."""
    try:
        return task.run(worker)
    except OmniloomError as error:
        return error
    except Exception as error:  # noqa: BLE001  # handed to the driver, which raises it
        return OperatorFailed(f"{task.key}: {described(error)}")
    finally:
        _give_back_memory()


def _give_back_memory() -> None:
    """Return freed memory to the system, so that a worker's size is that of its greatest unit.

    Without it the allocators' left-overs add up over units of different shapes.
    """
    import pyarrow as pa

    pa.default_memory_pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc only
    if trim is not None:
        trim(0)


def _follow_parent() -> None:
    """End this worker as soon as its driver is gone, whatever it is doing."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
