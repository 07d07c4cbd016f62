"""Files in a folder or under an s3:// prefix, behind one small class.

S3 is read through pyarrow's file system and written through boto3 (`operators/s3.py`, which is
loaded where there is an s3:// address). A write is atomic in both worlds: local files get a
temporary name and are renamed, S3 objects appear only when the upload is complete.
"""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import pyarrow as pa
from pyarrow import fs

from schemas.errors import InputError, StorageError

if TYPE_CHECKING:
    from operators.s3 import Objects

TEMPORARY = ".partial"
_READ_BYTES = 8 << 20


@dataclass(frozen=True)
class FileInfo:
    """A file's path below its root, its size, and a stamp that changes when it is rewritten."""

    path: str
    size: int
    stamp: str


def is_remote(uri: str) -> bool:
    """True for s3:// addresses."""
    return uri.startswith("s3://")


def _file_system(uri: str) -> tuple[fs.FileSystem, str]:
    if not is_remote(uri):
        return fs.LocalFileSystem(), str(Path(uri).expanduser().absolute())
    from operators.s3 import connection

    found = connection()
    scheme, _, host = (found.endpoint or "https://").partition("://")
    system = fs.S3FileSystem(
        region=found.region,
        endpoint_override=host.rstrip("/") or None,
        scheme=scheme,
        force_virtual_addressing=found.virtual,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=found.attempts),
    )
    return system, uri.removeprefix("s3://").rstrip("/")


class Files:
    """All files below one root, addressed by relative paths with forward slashes."""

    def __init__(self, root: str) -> None:
        self.root = root.rstrip("/") or "/"
        self.remote = is_remote(root)
        self._system, self._base = _file_system(root)

    def __reduce__(self) -> tuple[type[Files], tuple[str]]:
        return (Files, (self.root,))

    def uri(self, path: str) -> str:
        """The full address of `path`, as a user would type it."""
        return f"{self.root}/{path}"

    def _full(self, path: str) -> str:
        return f"{self._base}/{path}" if path else self._base

    def read(self, path: str) -> bytes:
        """The whole file. FileNotFoundError when there is none."""
        with self.open(path) as stream:
            data: bytes = stream.read()
            return data

    def open(self, path: str) -> pa.NativeFile:
        """A seekable file for reading. FileNotFoundError when there is none."""
        with self._told(path):
            return self._system.open_input_file(self._full(path))

    @contextmanager
    def _told(self, path: str) -> Iterator[None]:
        """Say where it was that reading or writing failed."""
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as error:
            if self.remote:
                from operators.s3 import explained

                raise explained(self.uri(path), error) from None
            fix = "check the address, that it is a folder or bucket, and your rights to it"
            raise StorageError(f"{self.uri(path)}: {error}\n    fix: {fix}") from None

    def exists(self, path: str) -> bool:
        """True when `path` is a file."""
        with self._told(path):
            info = self._system.get_file_info(self._full(path))
        return bool(info.type == fs.FileType.File)

    def sha256(self, path: str) -> str:
        """The file's SHA-256 (hex), read from where it lies. FileNotFoundError if there is none."""
        digest = hashlib.sha256()
        with self._told(path), self.open(path) as stream:
            while block := stream.read(_READ_BYTES):
                digest.update(block)
        return digest.hexdigest()

    def write(self, path: str, data: bytes) -> None:
        """Write the whole file atomically: readers see the old one, none, or all of the new."""
        with self._told(path):
            if self.remote:
                self._objects.put(path, data)
                return
            with _placed(Path(self._full(path))) as handle:
                handle.write(data)

    def put(self, path: str, source: Path) -> str:
        """Put a copy of a local file in place, atomically as `write`; returns its SHA-256 (hex).

        Memory does not grow with its size. On S3 an interrupted upload is continued: docs/s3.md.
        """
        with self._told(path):
            if self.remote:
                return self._objects.put(path, source)
            digest = hashlib.sha256()
            with source.open("rb") as stream, _placed(Path(self._full(path))) as handle:
                while block := stream.read(_READ_BYTES):
                    digest.update(block)
                    handle.write(block)
            return digest.hexdigest()

    def list(self, prefix: str = "") -> Iterator[FileInfo]:
        """Every file below `prefix`, sorted by path; none when the folder does not exist."""
        selector = fs.FileSelector(self._full(prefix), recursive=True, allow_not_found=True)
        with self._told(prefix):
            found = self._system.get_file_info(selector)
        infos = [info for info in found if info.type == fs.FileType.File]
        for info in sorted(infos, key=lambda i: i.path):
            path = info.path.removeprefix(self._base).lstrip("/")
            yield FileInfo(path, info.size, str(info.mtime_ns))

    def delete(self, path: str) -> None:
        """Remove the file; no error when it is gone already."""
        with self._told(path):
            if self.remote:
                self._objects.delete(path)
            else:
                Path(self._full(path)).unlink(missing_ok=True)

    def unfinished(self, folder: str = "") -> Sequence[str]:
        """Paths below `folder` with S3 uploads that are going on or were killed.

        There are none in a local folder: what a killed writer left has a name in `TEMPORARY`.
        """
        return self._objects.unfinished(folder) if self.remote else []

    def abort(self, path: str) -> None:
        """Throw away the unfinished S3 uploads of `path`; a file that is there stays."""
        if self.remote:
            self._objects.abort(path)

    @cached_property
    def _objects(self) -> Objects:
        from operators.s3 import Objects

        return Objects(self.root)


@contextmanager
def _placed(target: Path) -> Iterator[BinaryIO]:
    """A file to write that gets its name once it is complete and on disk."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}{TEMPORARY}")
    try:
        with partial.open("wb") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def open_input(uri: str) -> BinaryIO:
    """A seekable stream over one input file, local or on S3.

    Raises:
        InputError: the file is missing or cannot be opened.
    """
    try:
        if not is_remote(uri):
            return Path(uri).open("rb")
        system, path = _file_system(uri)
        return cast("BinaryIO", system.open_input_file(path))
    except OSError as error:
        raise InputError(f"cannot open {uri}: {error}") from error


def input_info(uri: str) -> FileInfo:
    """Size and stamp of one input file.

    Raises:
        InputError: there is no such file.
    """
    system, path = _file_system(uri)
    info = system.get_file_info(path)
    if info.type != fs.FileType.File:
        raise InputError(f"no such file: {uri}")
    return FileInfo(uri, info.size, str(info.mtime_ns))


def expand(pattern: str) -> list[str]:
    """The files that a path or glob pattern names, sorted. An S3 pattern may hold `*` too."""
    if not is_remote(pattern):
        return sorted(path for path in glob.glob(pattern, recursive=True) if Path(path).is_file())
    if "*" not in pattern:
        return [pattern]
    folder = pattern[: pattern.index("*")].rpartition("/")[0]
    from fnmatch import fnmatchcase

    found = (f"{folder}/{info.path}" for info in Files(folder).list())
    return [uri for uri in found if fnmatchcase(uri, pattern)]


def content_digest(place: Path) -> str:
    """SHA-256 of a file, or of the names and contents of all files of a folder."""
    if place.is_file():
        return _file_digest(*_stamp(place))
    lines = [
        f"{path.relative_to(place).as_posix()} {_file_digest(*_stamp(path))}\n"
        for path in sorted(place.rglob("*"))
        if path.is_file()
    ]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _stamp(path: Path) -> tuple[Path, int, int]:
    stat = path.stat()
    return path, stat.st_size, stat.st_mtime_ns


@cache
def _file_digest(path: Path, size: int, changed: int) -> str:  # noqa: ARG001
    """Read once a process, for as long as size and time of change stay."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
