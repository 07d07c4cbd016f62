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
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from operators.base import Resources
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
    gpus: float
    devices: str
    """The GPUs that it sees, as CUDA numbers them; none for a worker without."""
    task: Task | None = None


def gpu_devices() -> list[str]:
    """The GPUs that this process may use, by the names that CUDA_VISIBLE_DEVICES has for them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip() not in ("", "-1")]
    return [str(number) for number, _ in enumerate(Path("/proc/driver/nvidia/gpus").glob("*"))]


def gpu_slots(devices: Sequence[str], gpus: float) -> list[str]:
    """The devices of each worker that asks for so many GPUs, or for a part of one."""
    if gpus < 1:
        return [device for device in devices for _ in range(int(1 / gpus))]
    each = int(gpus)
    starts = range(0, len(devices) - each + 1, each)
    return [",".join(devices[start : start + each]) for start in starts]


class LocalBackend(Backend):
    """Worker processes on this machine, or with `workers: 0` the calling process itself.

    Where the machine has GPUs, stages that ask for some have workers of their own, as many as GPUs
    allow; each sees its own devices. Where it has none, all stages run on CPUs.
    """

    def __init__(self, plan: Plan, devices: Sequence[str] | None = None) -> None:
        super().__init__(plan)
        wanted = plan.jobfile.job.on.workers
        self.workers = cpu_count() if wanted is None else wanted
        found = gpu_devices() if devices is None else devices
        self.devices = list(found) if self.workers else []
        self._processes: list[_Process] = []
        self._deaths: dict[str, int] = {}

    def groups(self, plan: Plan) -> tuple[int, ...]:
        """Cut where GPUs are asked for; else a worker runs the whole chain in its memory."""
        asked = [self._gpus(stage.resources) for stage in plan.stages]
        cuts = [index for index in range(1, len(asked)) if asked[index] != asked[index - 1]]
        return (*cuts, len(asked))

    def _gpus(self, resources: Resources) -> float:
        """How many GPUs a worker gets; none where the machine has fewer."""
        return resources.gpus if resources.gpus and gpu_slots(self.devices, resources.gpus) else 0

    def run(self, tasks: Iterable[Task]) -> Iterator[Done]:
        """Hand tasks to idle workers as long as there are any."""
        if self.workers == 0:
            yield from run_here(self.plan, tasks)
            return
        source = iter(tasks)
        waiting: deque[Task] = deque()
        try:
            while True:
                self._hand_out(source, waiting)
                busy = [p for p in self._processes if p.task is not None]
                if not busy:
                    return
                for ready in wait([p.pipe for p in busy]):
                    process = next(p for p in busy if p.pipe is ready)
                    yield from self._collect(process, waiting)
        finally:
            if any(p.task is not None for p in self._processes):
                self.close()

    def _hand_out(self, source: Iterator[Task], waiting: deque[Task]) -> None:
        """Give tasks to workers until a task finds none; what waits for a GPU holds nobody up."""
        held: list[Task] = []
        full: set[float] = set()
        while len(held) < 2 * self.workers:
            fresh = None if waiting or 0 in full else next(source, None)
            task = waiting.popleft() if waiting else fresh
            if task is None:
                break
            gpus = self._gpus(task.resources(self.plan))
            chosen = None if gpus in full else self._worker(gpus)
            if chosen is None:
                full.add(gpus)
                held.append(task)
                continue
            chosen.task = task
            try:
                chosen.pipe.send(task)
            except OSError:  # it died while idle
                self._bury(chosen)
                waiting.appendleft(task)
        waiting.extendleft(reversed(held))

    def _worker(self, gpus: float) -> _Process | None:
        """An idle worker with so many GPUs, started if there may be another one."""
        mine = [process for process in self._processes if process.gpus == gpus]
        idle = next((process for process in mine if process.task is None), None)
        slots = gpu_slots(self.devices, gpus) if gpus else [""] * self.workers
        if idle is not None or len(mine) >= len(slots):
            return idle
        for process in mine:
            slots.remove(process.devices)
        return self._start(gpus, slots[0])

    def _collect(self, process: _Process, waiting: deque[Task]) -> Iterator[Done]:
        task = process.task
        assert task is not None  # only busy workers are waited for
        try:
            result = process.pipe.recv()
        except (EOFError, OSError):
            self._bury(process)
            deaths = self._deaths[task.key] = self._deaths.get(task.key, 0) + 1
            if deaths > self.retries:
                raise self.lost(task, deaths) from None
            waiting.append(task)
            return
        process.task = None
        if isinstance(result, Exception):
            raise result
        following = task.following(self.plan, result)
        if following is None:
            yield task, result
        else:
            waiting.appendleft(following)

    def _start(self, gpus: float, devices: str) -> _Process:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        visible = {"CUDA_VISIBLE_DEVICES": devices} if self.devices else {}
        with environment(_one_thread() | visible):
            process = context.Process(target=_serve, args=(theirs, self.plan), daemon=True)
            process.start()
        theirs.close()
        started = _Process(process, ours, gpus, devices)
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
    try:
        for task in tasks:
            result = run_guarded(task, worker)
            if isinstance(result, Exception):
                raise result
            yield task, result
    finally:
        worker.close()


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
