"""Whether an export is still what was written: every file is read again and compared.

`_SUCCESS.json` lists each file with size and SHA-256; a list of image files that it names lists
them in turn, one JSON object a line with `path`, `size` and `sha256`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from operators.files import TEMPORARY, Files
from pipelines.export import RUNNING, SUCCESS
from pipelines.progress import Progress
from schemas.errors import ExportError

_AT_ONCE = 4
_BATCH = 1000


@dataclass(frozen=True)
class Listed:
    """A file as a manifest tells it."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Verified:
    """What was compared, and what is wrong, by path."""

    files: int
    size: int
    wrong: dict[str, str]


def verify(target: str, progress: Progress | None = None) -> Verified:
    """Compare an export in a folder or under an s3:// prefix with its manifest.

    Wrong is a file that is missing, has another size, holds other bytes, cannot be listed, or is
    not in the manifest though readers would meet it.

    Raises:
        ExportError: the target holds no manifest, or one that cannot be read.
    """
    files = Files(target)
    listed, wrong = _read_manifest(files)
    present = {info.path: info.size for info in files.list()}
    for path in present.keys() - {file.path for file in listed} - {SUCCESS}:
        if path == RUNNING:
            wrong[path] = "an export is being written, or was interrupted"
        elif not path.endswith(TEMPORARY):
            wrong[path] = "is not in the manifest"

    def fault(file: Listed) -> str | None:
        size = present.get(file.path)
        if size is None:
            return "is missing"
        if size != file.size:
            return f"holds {size:,} bytes, {file.size:,} were written"
        try:
            same = files.sha256(file.path) == file.sha256
        except FileNotFoundError:
            return "is missing"
        return None if same else f"holds other bytes than were written (SHA-256 {file.sha256})"

    total = sum(file.size for file in listed)
    shown = (progress or Progress()).phase("verify", total, "bytes")
    with ThreadPoolExecutor(_AT_ONCE) as pool, shown as phase:
        for start in range(0, len(listed), _BATCH):
            batch = listed[start : start + _BATCH]
            for file, what in zip(batch, pool.map(fault, batch), strict=True):
                phase.advance(file.size)
                if what:
                    wrong[file.path] = what
    return Verified(len(listed), total, dict(sorted(wrong.items())))


def _read_manifest(files: Files) -> tuple[list[Listed], dict[str, str]]:
    """All files that the manifest lists, and the lists in it that cannot be read."""
    try:
        manifest = json.loads(files.read(SUCCESS))
        shards = [_listed(shard) for shard in manifest["shards"]]
        shards += [_listed(file) for file in manifest.get("files", ())]
        lists = [_listed(shard["images"]) for shard in manifest["shards"] if shard.get("images")]
    except FileNotFoundError:
        raise ExportError(
            f"{files.root} holds no {SUCCESS}: no export was finished there\n"
            "    fix: correct the address, or let 'omniloom run' finish the export"
        ) from None
    except (ValueError, TypeError, KeyError) as error:
        raise ExportError(
            f"{files.uri(SUCCESS)} is not an export's manifest: {error!r}\n"
            "    fix: correct the address, or export again into an empty folder"
        ) from None
    images: dict[str, Listed] = {}
    wrong = {}
    for file in lists:
        try:
            images |= {image.path: image for image in _in_list(files, file.path)}
        except FileNotFoundError:
            continue  # is told as missing
        except (ValueError, TypeError, KeyError):
            wrong[file.path] = "is no list of files"
    return [*shards, *lists, *images.values()], wrong


def _in_list(files: Files, path: str) -> Iterator[Listed]:
    for line in files.read(path).splitlines():
        image = json.loads(line)
        yield Listed(image["path"], image["size"], image["sha256"])


def _listed(record: dict[str, object]) -> Listed:
    name, size, sha256 = record["name"], record["size"], record["sha256"]
    if not (isinstance(name, str) and isinstance(size, int) and isinstance(sha256, str)):
        raise ValueError(f"a file's record has fields of other types: {record}")
    return Listed(name, size, sha256)
