"""Uploads to a real S3 server on loopback, beside boto3's own `upload_file`, by turns.

CPU seconds are those of this process: hashing, signing, sending. The server runs on the same
machine, so that seconds by the clock say little; they stand in the details.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from operators.files import Files
from pipelines.backend import environment
from tests.benchmarks.record import Entry, Options, workspace
from tests.support import SeaweedServer

_MEGABYTES = 256
_ROUNDS = 3


def s3_upload(options: Options) -> Entry:
    """Megabytes a CPU second of putting one large file, checksums and their check included."""
    import boto3

    folder = workspace("s3_upload")
    size = options.count(_MEGABYTES, least=32) * 1_000_000
    source = folder / "source"
    source.write_bytes(random.Random(options.seed).randbytes(size))
    (folder / "server").mkdir()
    with SeaweedServer(folder / "server") as server, environment(server.variables):
        server.create_bucket("corpus")
        client, files = boto3.client("s3"), Files("s3://corpus")
        ways: dict[str, Callable[[], object]] = {
            "omniloom": lambda: files.put("ours", source),
            "boto3 upload_file": lambda: client.upload_file(str(source), "corpus", "theirs"),
        }
        files.write("warm", b"")
        spent: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        for _ in range(_ROUNDS):
            for name, way in ways.items():
                spent[name].append(_spent(way))
    best = {name: min(cpu for cpu, _ in pairs) for name, pairs in spent.items()}
    rates = {name: size / 1e6 / seconds for name, seconds in best.items()}
    return Entry(
        rates.pop("omniloom"),
        "MB/CPU s",
        more_is_better=True,
        peers={name: round(rate, 1) for name, rate in rates.items()},
        details={
            "bytes": size,
            "cpu_seconds": {name: round(seconds, 2) for name, seconds in best.items()},
            "wall_seconds": {
                name: round(min(wall for _, wall in pairs), 2) for name, pairs in spent.items()
            },
        },
    )


def _spent(way: Callable[[], object]) -> tuple[float, float]:
    """CPU seconds of this process, and seconds by the clock."""
    cpu, wall = time.process_time(), time.monotonic()
    way()
    return time.process_time() - cpu, time.monotonic() - wall
