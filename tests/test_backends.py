"""One suite for every backend: the same tasks, the same answers, the same manners on failure."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from operators.base import Resources
from operators.language import LanguageId
from pipelines import load_job, run_job
from pipelines.backend import Backend, LocalBackend, gpu_slots, make_backend
from pipelines.plan import Plan, compile_plan
from pipelines.work import Task, Worker
from schemas.errors import OperatorFailed, WorkerLost
from tests.kills import kill_rounds
from tests.support import folder_digest, write_job


@pytest.fixture(params=["in-process", "local", "ray"])
def execution(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """The `on` of a job, for each backend."""
    if request.param == "ray":
        address, _ = request.getfixturevalue("ray_head")
        yield {"backend": "ray", "address": address, "workers": 2}
        return
    yield {"backend": "local", "workers": 0 if request.param == "in-process" else 2}


@pytest.fixture
def backend(execution: dict[str, Any], tmp_path: Path) -> Iterator[Backend]:
    """A running backend."""
    made = make_backend(compile_plan(load_job(write_job(tmp_path, on=execution))))
    yield made
    made.close()


@dataclass(frozen=True)
class Square:
    """A task that squares a number, or misbehaves."""

    number: int
    dies_unless: str = ""
    raises: bool = False
    actor: bool = False

    @property
    def key(self) -> str:
        return f"square {self.number}"

    @property
    def weight(self) -> int:
        return 1

    def resources(self, plan: Plan) -> Resources:
        return Resources()

    def stateful(self, plan: Plan) -> bool:
        return self.actor

    def run(self, worker: Worker) -> int:
        if self.dies_unless and not Path(self.dies_unless).exists():
            Path(self.dies_unless).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if self.raises:
            raise ZeroDivisionError("no squares today")
        return self.number**2

    def following(self, plan: Plan, result: int) -> Task | None:
        return None


def test_every_task_is_answered_once(backend: Backend) -> None:
    tasks = [Square(number, actor=number % 3 == 0) for number in range(20)]
    answers = sorted((task.key, result) for task, result in backend.run(iter(tasks)))
    assert answers == sorted((f"square {number}", number**2) for number in range(20))


def test_a_backend_can_be_used_again(backend: Backend) -> None:
    for _ in range(2):
        assert [result for _, result in backend.run([Square(3)])] == [9]
    assert list(backend.run([])) == []


def test_a_failing_task_raises_with_its_key_and_cause(backend: Backend) -> None:
    with pytest.raises(OperatorFailed, match="square 4: ZeroDivisionError: no squares today"):
        list(backend.run([Square(1), Square(4, raises=True)]))


@pytest.mark.parametrize("actor", [False, True])
def test_a_killed_worker_costs_one_retry_of_its_task(
    backend: Backend, tmp_path: Path, actor: bool
) -> None:
    if backend.plan.jobfile.job.on.workers == 0:
        pytest.skip("the worker is this very process")
    tasks = [Square(n, str(tmp_path / "died") if n == 2 else "", actor=actor) for n in range(6)]
    answers = sorted(result for _, result in backend.run(tasks))
    assert answers == [0, 1, 4, 9, 16, 25]


def test_a_task_that_keeps_killing_its_worker_stops_the_run(
    backend: Backend,
) -> None:
    if backend.plan.jobfile.job.on.workers == 0:
        pytest.skip("the worker is this very process")
    with pytest.raises(WorkerLost, match="square 7: its worker died 3 times"):
        list(backend.run([KillAlways(7)]))


@dataclass(frozen=True)
class KillAlways(Square):
    """A task that no worker survives."""

    def run(self, worker: Worker) -> int:
        os.kill(os.getpid(), signal.SIGKILL)
        return 0


def test_all_backends_write_the_same_bytes(execution: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "calm").mkdir()
    run_job(load_job(write_job(tmp_path / "calm")))
    result = run_job(load_job(write_job(tmp_path, on=execution)))
    assert folder_digest(tmp_path / "shards") == folder_digest(tmp_path / "calm" / "shards")
    assert {n: s.computed for n, s in result.work.stages.items()} == {
        "extract": 8,
        "language": 7,
        "text": 7,
    }


def test_all_backends_judge_the_same_images(execution: dict[str, Any], tmp_path: Path) -> None:
    fields: dict[str, Any] = {
        "stages": {"fetch": {"http": False}, "near_images": {}},
        "rules": {
            "small": {"table": "images", "drop": "image_width < 150"},
            "alike": {"table": "images", "drop": "near_image_duplicate_of is not null"},
            "common": {"table": "images", "drop": "phash_count > 10"},
        },
    }
    found = []
    for name, on in (("calm", {"backend": "local", "workers": 0}), ("other", execution)):
        folder = tmp_path / name
        folder.mkdir()
        export = [{"format": "webdataset", "to": str(folder / "shards"), "shard_mb": 0.05}]
        result = run_job(load_job(write_job(folder, on=on, export=export, **fields)))
        found.append((folder_digest(folder / "shards"), result.summary.images_kept))
    assert found[0] == found[1]
    assert found[0][1] > 5


def test_ray_gives_stages_with_state_workers_of_their_own(
    ray_head: tuple[str, str], tmp_path: Path
) -> None:
    on = {"backend": "ray", "address": ray_head[0]}
    plan = compile_plan(load_job(write_job(tmp_path, on=on)))
    made = make_backend(plan)
    try:
        assert made.groups(made.plan) == (2, 3)
        assert LanguageId.stateful
    finally:
        made.close()


@dataclass(frozen=True)
class Sees(Square):
    """A task that says which GPUs it sees, and goes on to one that asks for some."""

    gpus: float = 0

    def resources(self, plan: Plan) -> Resources:
        return Resources(1, self.gpus)

    def run(self, worker: Worker) -> Any:
        time.sleep(0.05)
        return self.gpus, os.environ["CUDA_VISIBLE_DEVICES"]

    def following(self, plan: Plan, result: Any) -> Task | None:
        return None if self.gpus else Sees(self.number, gpus=1)


def test_local_stages_that_ask_for_gpus_have_workers_that_see_one_each(tmp_path: Path) -> None:
    on = {"backend": "local", "workers": 2, "resources": {"language": {"gpus": 1}}}
    plan = compile_plan(load_job(write_job(tmp_path, on=on)))
    made = LocalBackend(plan, devices=["4", "7"])
    try:
        assert made.groups(plan) == (2, 3)
        answers = [answer for _, answer in made.run(Sees(number) for number in range(12))]
    finally:
        made.close()
    assert len(answers) == 12
    assert set(answers) == {(1, "4"), (1, "7")}
    assert LocalBackend(plan, devices=[]).groups(plan) == (3,)


@pytest.mark.parametrize(
    ("gpus", "slots"), [(1, ["0", "1", "2"]), (2, ["0,1"]), (0.5, ["0", "0", "1", "1", "2", "2"])]
)
def test_gpus_are_dealt_out_whole_in_groups_or_in_parts(gpus: float, slots: list[str]) -> None:
    assert gpu_slots(["0", "1", "2"], gpus) == slots


def test_a_job_can_ask_for_other_resources(tmp_path: Path) -> None:
    on = {"backend": "local", "resources": {"language": {"cpus": 2, "gpus": 0.5}}}
    plan = compile_plan(load_job(write_job(tmp_path, on=on)))
    assert plan.stages[2].resources == Resources(2, 0.5)


def test_killed_drivers_and_workers_on_ray_leave_the_same_shards(
    ray_head: tuple[str, str], tmp_path: Path
) -> None:
    on = {"backend": "ray", "address": ray_head[0], "workers": 2}
    rounds = kill_rounds(tmp_path, {"on": on, "unit_rows": 2}, kills=2, seed=2)
    assert (rounds.survived, rounds.differences) == (2, 0)
