"""The Ray backend: tasks for CPU stages, actors for stages with state or GPUs.

The only module that imports Ray. Ray schedules, retries and places; what is done is known from
the store alone, so a lost node or driver costs no more than the units in flight.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shlex
import shutil
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import (
    ActorDiedError,
    ActorUnavailableError,
    LocalRayletDiedError,
    NodeDiedError,
    ObjectLostError,
    OutOfMemoryError,
    WorkerCrashedError,
)
from ray.job_submission import JobStatus, JobSubmissionClient

from operators.base import Resources
from pipelines.backend import Backend, Done, run_guarded
from pipelines.jobfile import JobFile
from pipelines.plan import Plan
from pipelines.work import Task, Worker
from schemas.errors import InputError

_DEATHS = (
    ActorDiedError,
    ActorUnavailableError,
    LocalRayletDiedError,
    NodeDiedError,
    ObjectLostError,
    OutOfMemoryError,
    WorkerCrashedError,
)
# Where the buckets are. Credentials stay out: Ray logs runtime environments in the clear, and
# the cluster's nodes have their own.
_FORWARDED = (
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_MAX_ATTEMPTS",
)

_SUBMITTED = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Set by Ray in a job that was submitted: such a job has its variables already, and may not set
them again."""
_AGENT_SECONDS = 60

_WORKERS: dict[str, Worker] = {}


def _forwarded() -> dict[str, str]:
    """This process's variables that workers elsewhere need."""
    return {name: os.environ[name] for name in _FORWARDED if name in os.environ}


def _worker(plan: Plan) -> Worker:
    """This process's worker for the plan: Ray reuses processes, so state is loaded once."""
    key = f"{plan.jobfile.job.store}:{plan.fingerprint}"
    if key not in _WORKERS:
        _WORKERS.clear()
        _WORKERS[key] = Worker(plan)
    _WORKERS[key].plan = plan
    return _WORKERS[key]


@ray.remote(max_retries=0)
def _run_task(task: Task, plan: Plan) -> Any:
    return run_guarded(task, _worker(plan))


@ray.remote(max_restarts=0)
class _Actor:
    def __init__(self, plan: Plan) -> None:
        self.worker = Worker(plan)

    def run(self, task: Task) -> Any:
        return run_guarded(task, self.worker)


def _cluster(resource: str) -> float:
    """How much of a resource the cluster has in all."""
    found: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return found.get(resource, 0)


@dataclass
class _Pool:
    """Actors that serve one part of the chain."""

    resources: Resources
    idle: list[Any] = field(default_factory=list)
    size: int = 0


class RayBackend(Backend):
    """Runs tasks on a Ray cluster, or on a Ray started here."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        execution = plan.jobfile.job.on
        self._started = not ray.is_initialized()
        if self._started:
            logging.getLogger("ray").setLevel(logging.WARNING)
            address = execution.address or os.environ.get("RAY_ADDRESS")
            env = {} if _SUBMITTED in os.environ else _forwarded()
            ray.init(
                address=address,
                log_to_driver=False,
                logging_level=logging.ERROR,
                include_dashboard=False if address is None else None,
                runtime_env={"env_vars": env | {"POLARS_MAX_THREADS": "1"}},
            )
        self._plan = ray.put(plan)
        cpus = int(_cluster("CPU") or 1)
        self.workers = execution.workers or max(cpus, 1)
        # Actors keep their CPUs while they idle. Where that would starve the tasks that feed
        # them, CPU actors run beside the tasks without a reservation.
        self._reserve = cpus > sum(len(self.groups(p)) for p in (plan, plan.inner) if p is not None)
        self._pools: dict[tuple[str, tuple[int, ...]], _Pool] = {}
        self._deaths: dict[str, int] = {}

    def groups(self, plan: Plan) -> tuple[int, ...]:
        """Cut where the kind of worker changes: resources, or whether state is kept."""
        kinds = [(s.resources, s.operator.stateful) for s in plan.stages]
        cuts = [i for i in range(1, len(kinds)) if kinds[i] != kinds[i - 1]]
        return (*cuts, len(kinds))

    def run(self, tasks: Iterable[Task]) -> Iterator[Done]:
        """Keep at most two tasks a worker in flight; whatever follows from a task goes first."""
        source, first = iter(tasks), deque[Task]()
        flying: dict[Any, tuple[Task, _Pool | None, Any]] = {}
        waiting: deque[Task] = deque()
        while True:
            self._launch(source, first, waiting, flying)
            if not flying:
                return
            ready, _ = ray.wait(list(flying), num_returns=1)
            task, pool, actor = flying.pop(ready[0])
            try:
                result = ray.get(ready[0])
            except _DEATHS:
                if pool is not None:
                    pool.size -= 1
                deaths = self._deaths[task.key] = self._deaths.get(task.key, 0) + 1
                if deaths > self.retries:
                    raise self.lost(task, deaths) from None
                first.append(task)
                continue
            if pool is not None:
                pool.idle.append(actor)
            if isinstance(result, Exception):
                raise result
            following = task.following(self.plan, result)
            if following is None:
                yield task, result
            else:
                first.append(following)

    def _launch(
        self,
        source: Iterator[Task],
        first: deque[Task],
        waiting: deque[Task],
        flying: dict[Any, tuple[Task, _Pool | None, Any]],
    ) -> None:
        first.extend(waiting)
        waiting.clear()
        while len(flying) < 2 * self.workers:
            task = first.popleft() if first else next(source, None)
            if task is None:
                return
            if not self._needs_actor(task):
                needs = task.resources(self.plan)
                remote = _run_task.options(num_cpus=needs.cpus, num_gpus=needs.gpus)
                flying[remote.remote(task, self._plan)] = (task, None, None)
                continue
            pool = self._pool(task)
            actor = self._actor(pool)
            if actor is None:
                waiting.append(task)
                if len(waiting) >= 2 * self.workers:
                    return
                continue
            flying[actor.run.remote(task)] = (task, pool, actor)

    def _needs_actor(self, task: Task) -> bool:
        return task.stateful(self.plan) or task.resources(self.plan).gpus > 0

    def _pool(self, task: Task) -> _Pool:
        part = (getattr(task, "table", ""), getattr(task, "groups", ()))
        return self._pools.setdefault(part, _Pool(task.resources(self.plan)))

    def _actor(self, pool: _Pool) -> Any:
        if pool.idle:
            return pool.idle.pop()
        if pool.size >= self._pool_limit(pool):
            return None
        pool.size += 1
        needs = pool.resources
        cpus = needs.cpus if self._reserve else 0
        return _Actor.options(num_cpus=cpus, num_gpus=needs.gpus).remote(self._plan)  # type: ignore[attr-defined]

    def _pool_limit(self, pool: _Pool) -> int:
        """Half the workers' CPUs at most, so that the tasks which feed the actors can run."""
        if pool.resources.gpus:
            return max(1, min(self.workers, int(_cluster("GPU") / pool.resources.gpus)))
        return max(1, self.workers // 2)

    def close(self) -> None:
        """Let the actors go; stop Ray if it was started here."""
        for pool in self._pools.values():
            for actor in pool.idle:
                ray.kill(actor)
        self._pools.clear()
        if self._started:
            ray.shutdown()


def submit_job(jobfile: JobFile, address: str, *, follow: bool, say: Callable[[str], None]) -> int:
    """Send a job to the cluster behind `address` through Ray Jobs; returns an exit code.

    The job file and omniloom's own code travel along, so that the cluster runs what was checked
    here; the libraries that omniloom needs must be installed there. With `follow` the job's log
    is shown until it ends, and the code is 0 only if it succeeded.

    Raises:
        InputError: no cluster answers at `address`.
    """
    try:
        client = JobSubmissionClient(address)
    except (ConnectionError, RuntimeError) as error:
        raise InputError(f"no Ray cluster answers at {address}: {error}") from None
    with tempfile.TemporaryDirectory(prefix="omniloom-") as folder:
        name = Path(jobfile.file).name
        shutil.copy(jobfile.file, Path(folder) / name)
        root = Path(__file__).resolve().parent.parent
        for package in ("operators", "pipelines", "schemas"):
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(root / package, Path(folder) / package, ignore=ignored)
        env = _forwarded()
        submission = _submitted(
            client,
            entrypoint=f"python -m pipelines.cli run {shlex.quote(name)} --on ray --no-report",
            runtime_env={"working_dir": folder, "env_vars": env | {"RAY_ADDRESS": "auto"}},
            metadata={"omniloom_job": jobfile.name},
        )
    say(f"submitted {submission} to {address}")
    if not follow:
        say(f"its log: ray job logs {submission} --address {address} --follow")
        return 0
    return asyncio.run(_follow(client, submission, say))


def _submitted(client: JobSubmissionClient, **request: Any) -> str:
    """Hand the job over; a cluster that has just started takes jobs a moment later."""
    deadline = time.monotonic() + _AGENT_SECONDS
    while True:
        try:
            return client.submit_job(**request)
        except RuntimeError as error:
            if "No available agent" not in str(error) or time.monotonic() > deadline:
                raise InputError(f"the cluster did not take the job: {error}") from None
            time.sleep(1)


async def _follow(client: JobSubmissionClient, submission: str, say: Callable[[str], None]) -> int:
    async for lines in client.tail_job_logs(submission):
        for line in lines.splitlines():
            say(line)
    status = client.get_job_status(submission)
    while not status.is_terminal():
        await asyncio.sleep(0.2)
        status = client.get_job_status(submission)
    say(f"{submission} ended: {status.value}")
    return 0 if status is JobStatus.SUCCEEDED else 1
