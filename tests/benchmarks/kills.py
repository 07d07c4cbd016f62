"""Kills survived on each backend: see `tests.kills` and `tests.instruction_kills`.

`value` is the number of kills after which the bytes were the same: those since the last
comparison are credited by the next one. How far the job was when it was hit is told by what it
had committed.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from pipelines.backend import environment
from tests.benchmarks.record import Entry, Options, say, workspace
from tests.hostile_site import Site
from tests.instruction_kills import kill_while_asking
from tests.kills import kill_rounds
from tests.pictured import pictured_job, write_pictured_pages
from tests.support import RAY_ENVIRONMENT, SAMPLE, SeaweedServer, start_ray_head
from tests.tiny_clip import tiny_clip

_KILLS = 25
_ASKED_KILLS = 20
_ASKED_PICTURES = 24
_WORKERS = 2
_PARTS = ("edge", "en", "zh")


def kill_test_local(options: Options) -> Entry:
    """Kills survived by the local backend."""
    folder = workspace("kill_test_local")
    return _kill_test(folder, {"backend": "local", "workers": _WORKERS}, options)


def kill_test_ray(options: Options) -> Entry:
    """Kills survived on Ray: one head for all rounds; its workers are killed, not the head."""
    folder = workspace("kill_test_ray")
    with environment(RAY_ENVIRONMENT), start_ray_head(folder) as (address, _):
        on = {"backend": "ray", "address": address, "workers": _WORKERS}
        return _kill_test(folder, on, options)


def kill_test_s3_export(options: Options) -> Entry:
    """Kills survived by the local backend when shards go to an S3 server."""
    folder = workspace("kill_test_s3_export")
    (folder / "server").mkdir()
    with SeaweedServer(folder / "server") as server, environment(server.variables):
        server.create_bucket("corpus")
        on = {"backend": "local", "workers": _WORKERS}
        return _kill_test(folder, on, options, "s3://corpus")


def kill_test_images(options: Options) -> Entry:
    """Kills survived from the first image fetched to the last shard with its bytes."""
    folder = workspace("kill_test_images")
    with Site() as site:
        pages = write_pictured_pages(folder / "pages.jsonl", site, 60)
        encoder = {"encoder": "open_clip", "model": str(tiny_clip(folder))}
        fields = pictured_job(pages, site, encoder) | {"format": "webdataset"}
        on = {"backend": "local", "workers": _WORKERS}
        return _kill_test(folder, on, options, fields=fields)


def kill_test_instructions(options: Options) -> Entry:
    """Kills survived while models were asked: no request went out twice, and the same rows came."""
    folder = workspace("kill_test_instructions")
    goal = options.count(_ASKED_KILLS, least=3)
    found = kill_while_asking(folder, _ASKED_PICTURES, goal, options.seed, say)
    asked = Counter(found.asked.values())
    held = set(asked) == {1} and not found.differences
    return Entry(
        found.kills.total() if held else 0,
        "kills",
        goal,
        more_is_better=True,
        details={
            "meaning": "SIGKILLs of one job at random moments while models were asked; 0 unless "
            "each request went out once and rows, verdicts and shards are as undisturbed",
            "seed": options.seed,
            "kills": dict(found.kills),
            "requests_when_hit": found.hit_at,
            "requests": found.asked.total(),
            "requests_by_times_asked": {str(times): count for times, count in asked.items()},
            "requests_undisturbed": found.asked_calmly.total(),
            "differences": found.differences,
            "runs_that_ended_in_an_error": found.errors,
            "pictures": len(found.killed.pictures),
            "instructions": len(found.killed.instructions),
            "accepted": int(found.killed.instructions["kept"].sum()),
            "files": len(found.killed.shards),
        },
    )


def _kill_test(
    folder: Path,
    on: dict[str, Any],
    options: Options,
    bucket: str | None = None,
    fields: dict[str, Any] | None = None,
) -> Entry:
    pages = [{"warc": str(SAMPLE / f"sample-{part}.warc.gz")} for part in _PARTS]
    fields = (fields or {"inputs": pages, "unit_rows": 4}) | {"on": on}
    goal = options.count(_KILLS, least=2)
    rounds = kill_rounds(folder, fields, goal, options.seed, say, bucket)
    return Entry(
        rounds.survived,
        "kills",
        goal,
        more_is_better=True,
        details={
            "meaning": "SIGKILLs after which the shards were byte for byte as undisturbed",
            "seed": options.seed,
            "kills": dict(rounds.kills),
            "committed_when_hit": dict(sorted(rounds.moments.items())),
            "missed": rounds.missed,
            "comparisons": rounds.comparisons,
            "differences": rounds.differences,
            "runs_that_ended_in_an_error": rounds.errors,
            "shards": len(rounds.expected),
            "undisturbed_seconds": round(rounds.seconds, 2),
        },
    )
