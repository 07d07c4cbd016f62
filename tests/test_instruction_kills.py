"""Instructions under SIGKILLs, and on another backend: nothing is asked twice, same rows."""

from __future__ import annotations

from pathlib import Path

from tests.instruction_kills import kill_while_asking


def test_kills_while_models_are_asked_cost_no_request_and_change_no_row(tmp_path: Path) -> None:
    found = kill_while_asking(tmp_path, pictures=8, kills=3, seed=3)
    assert found.kills == {"driver": 1, "worker": 1, "driver and workers": 1}
    assert set(found.asked.values()) == {1}
    assert found.differences == []
    assert len(found.calm.instructions) > 80
    assert len(found.calm.shards) > 2
