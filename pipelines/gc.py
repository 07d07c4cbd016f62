"""Garbage collection: removes from a store what no job refers to any more."""

from __future__ import annotations

import os
import socket
import time
from typing import Any

from operators.files import TEMPORARY, FileInfo
from pipelines.store import Store, by_unit, is_born
from pipelines.summary import read_records, unit_refs
from schemas.errors import CorpusError, did_you_mean
from schemas.tables import IMAGES, INSTRUCTIONS

_ABANDONED_SECONDS = 3600
_FORGOTTEN_SECONDS = 7 * 24 * 3600
_FOLDERS = ("jobs", "reports", "verdicts", "stages", "groups", "inputs", "images", "units")


def collect(root: str, *, dry_run: bool = False, forget: str | None = None) -> list[FileInfo]:
    """Remove unreferenced stage files, verdicts, units and inputs; returns what was removed.

    What rests on other files goes before them, so that a kill in between breaks nothing. Kept is
    what the jobs' references name: their inputs with all units and image captures, their
    verdicts, and for each unit the stage files that its verdicts rest on. A stage of a job whose
    run has not finished keeps all its files. `forget` drops one job's reference first. What
    killed uploads to S3 left goes too; it is no file and is not returned.

    Raises:
        CorpusError: no job called `forget`, `root` is not a store, or a run is going on in it.
    """
    store = Store(root)
    paths = [info.path for info in store.files.list("jobs") if info.path.endswith(".json")]
    if not paths:
        raise CorpusError(f"{root} is not a store: it has no jobs/")
    names = {path.rpartition("/")[2].removesuffix(".json"): path for path in paths}
    if forget is not None and forget not in names:
        raise CorpusError(f"{root} holds no job '{forget}'; {did_you_mean(forget, names)}")
    _refuse_while_running(store)
    wanted = {path for name, path in names.items() if name != forget}
    for path in sorted(wanted):
        wanted |= _referred(store, store.read_json(path))
    if forget is None or len(names) > 1:
        wanted |= {f"reports/{name}.html" for name in names if name != forget}
    removed = [info for info in _ours(store) if info.path not in wanted]
    if not dry_run:
        for info in removed:
            store.files.delete(info.path)
        for path in [path for folder in _FOLDERS for path in store.files.unfinished(folder)]:
            store.files.abort(path)
    return removed


def _refuse_while_running(store: Store) -> None:
    for info in list(store.files.list("running")):
        run = store.read_json(info.path) or {}
        here = run.get("host") == socket.gethostname()
        old = time.time_ns() - int(info.stamp) > _FORGOTTEN_SECONDS * 10**9
        if old or (here and not _alive(run.get("pid", 0))):
            store.files.delete(info.path)
            continue
        raise CorpusError(
            f"a run is going on in {store.files.root} (process {run.get('pid')} on "
            f"{run.get('host')}); wait for its end, or remove {store.files.uri(info.path)}"
        )


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _ours(store: Store) -> list[FileInfo]:
    """Files of the store's own folders, those first that rest on others.

    A temporary file counts once it is an hour old.
    """
    found = [info for folder in _FOLDERS for info in store.files.list(folder)]
    now = time.time_ns()
    return [
        info
        for info in found
        if not info.path.endswith(TEMPORARY) or now - int(info.stamp) > _ABANDONED_SECONDS * 10**9
    ]


def _referred(store: Store, reference: dict[str, Any]) -> set[str]:
    wanted: set[str] = set()
    inputs = []
    for key in reference["inputs"]:
        wanted.add(f"inputs/{key}.json")
        record = store.input_record(key)
        if record is not None:
            inputs.append(record)
            wanted.add(f"images/{record.stem}.parquet")
    units = [ref.unit for ref in unit_refs(inputs)]
    done = reference.get("done", {}).get("groups", {})
    wanted |= _of_table(store, reference, units, done)
    for inner in (IMAGES.name, INSTRUCTIONS.name):
        if inner in reference:
            wanted |= _of_table(store, reference[inner], _born(store, reference), done)
    wanted |= {f"{group['folder']}/{group['living']}/done.json" for group in done.values()}
    return wanted


def _born(store: Store, reference: dict[str, Any]) -> list[str]:
    """The units born in the job's last run; all that there are while there is no last run."""
    for group in reference.get("done", {}).get("groups", {}).values():
        state = store.read_json(f"{group['folder']}/{group['living']}/done.json") or {}
        if "born" in state:
            return [name for rows in state["born"].values() for name, _, _ in rows]
    return [name for name in store.names("units") if is_born(name)]


def _of_table(
    store: Store, table: dict[str, Any], units: list[str], groups: dict[str, Any]
) -> set[str]:
    """What a job needs of its units over one table."""
    wanted = _over_corpus(store, table, groups)
    for folder in table.get("before", ()):
        wanted |= {f"{folder}/{unit}.parquet" for unit in units}
    wanted |= {f"units/{unit}.parquet" for unit in units}
    done = set(store.names(table["verdicts"]))
    for unit in read_records(store, table["verdicts"], [u for u in units if u in done]):
        wanted.add(f"{table['verdicts']}/{unit.unit}.parquet")
        for stage in table["stages"]:
            file = unit.stages[stage["name"]].file
            wanted.add(f"{stage['folder']}/{file}.parquet")
    pending = set(units) - done
    for stage in table["stages"]:
        for name, files in by_unit(store.names(stage["folder"])).items():
            if name in pending:
                wanted |= {f"{stage['folder']}/{file}.parquet" for file in files}
    return wanted


def _over_corpus(store: Store, table: dict[str, Any], groups: dict[str, Any]) -> set[str]:
    """What the job's stages over the whole corpus keep: their records and results.

    Findings on the way to a result go once there is one; those that lead from documents to their
    images stay.
    """
    wanted: set[str] = set()
    for stage in table["stages"]:
        folder = stage["folder"].replace("stages/", "groups/", 1)
        held = {info.path for info in store.files.list(folder)}
        living = groups.get(stage["name"], {}).get("living")
        state = store.read_json(f"{folder}/{living}/done.json")
        if state is None:
            wanted |= held
            continue
        names = {part["name"] for part in state["parts"]}
        wanted.add(f"{folder}/{living}/done.json")
        wanted |= {path for path in held if path.rpartition("/")[2].split(".")[0] in names}
        if "born" in state:
            wanted |= {path for path in held if path.startswith(f"{folder}/{living}/")}
    return wanted
