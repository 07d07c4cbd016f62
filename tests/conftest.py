"""Shared fixtures: small jobs over bundled pages, and real servers on loopback."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.backend import environment
from tests.support import RAY_ENVIRONMENT, SeaweedServer, start_ray_head

ROOT = Path(__file__).parent.parent

# Compiled loops check the bounds of arrays here, as Python does, and are kept apart for that.
os.environ["NUMBA_BOUNDSCHECK"] = "1"
os.environ["NUMBA_CACHE_DIR"] = str(ROOT / ".pytest_cache" / "numba")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Side by side run files, each in one process; all that need the Ray head in one more."""
    for item in items:
        on_ray = "ray_head" in getattr(item, "fixturenames", ()) or "[ray" in item.name
        item.add_marker(pytest.mark.xdist_group("ray" if on_ray else item.path.stem))


@pytest.fixture(scope="session")
def ray_head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A Ray head of its own: (cluster address, dashboard address)."""
    with environment(RAY_ENVIRONMENT), start_ray_head(tmp_path_factory.mktemp("ray")) as head:
        yield head


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedServer]:
    """A real S3 server; the AWS variables point at it while it runs."""
    with SeaweedServer(tmp_path_factory.mktemp("s3")) as server, environment(server.variables):
        server.create_bucket("corpus")
        yield server
