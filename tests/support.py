"""What tests share: job files, runs of the command in processes of their own, servers."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import yaml
from lxml import etree, html

from operators.sources import Page, Picture
from operators.warc import WarcSource
from schemas.tables import DOCUMENTS

ROOT = Path(__file__).parent.parent
SAMPLE = ROOT / "jobs" / "sample"
OMNILOOM = [sys.executable, "-m", "pipelines.cli"]
RAY_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
}
_DEADLINE = 60.0


def write_job(folder: Path, name: str = "job", **fields: Any) -> Path:
    """A job file over the bundled edge cases in `folder`; `fields` replace or add to its own."""
    job: dict[str, Any] = {
        "pipeline": "interleaved",
        "store": str(folder / "store"),
        "on": {"backend": "local", "workers": 0},
        "inputs": [{"warc": str(SAMPLE / "sample-edge.warc.gz")}],
        "stages": {"extract": {"extractor": "interleaved"}},
        "rules": {"use": ["gopher"], "has_image": {"drop": "image_count < 1"}},
        "export": [{"format": "omnicorpus", "to": str(folder / "shards"), "shard_mb": 0.05}],
        "unit_rows": 3,
        "max_error_rate": 0.5,
    }
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(job | fields, sort_keys=False, allow_unicode=True), "utf-8")
    return path


@cache
def sample_pages() -> tuple[bytes, ...]:
    """The pages of the bundled archives, but for those that cannot be read."""
    pages: list[bytes] = []
    for archive in map(str, sorted(SAMPLE.glob("*.warc.gz"))):
        source = WarcSource(path=archive)
        born = [asdict(page) for page in source.index(archive) if isinstance(page, Page)]
        rows = pa.Table.from_pylist(born, schema=DOCUMENTS.born)
        pages += filter(None, source.payload(archive, rows)["html"].to_pylist())
    return tuple(pages)


@cache
def bundled_images(archive: str) -> tuple[tuple[str, bytes], ...]:
    """Address and bytes of the pictures that an archive holds."""
    source = WarcSource(path=archive)
    born = [asdict(found) for found in source.index(archive) if isinstance(found, Picture)]
    rows = pa.Table.from_pylist(born).rename_columns({"image_url": "url"})
    bodies = zip(rows["url"].to_pylist(), source.read(archive, rows), strict=True)
    return tuple((url, body) for url, body in bodies if isinstance(body, bytes))


def folder_digest(folder: Path, pattern: str = "train-*") -> dict[str, str]:
    """SHA-256 of each file of an export, by name."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.glob(pattern))
    }


def omniloom(*arguments: str | Path, expect: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the command to its end and check its exit code."""
    command = [*OMNILOOM, *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, timeout=280, check=False
    )
    assert done.returncode == expect, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def start_omniloom(*arguments: str | Path) -> subprocess.Popen[bytes]:
    """Start the command in a session of its own and leave it running."""
    command = [*OMNILOOM, *map(str, arguments)]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def wait_until(condition: Any, what: str, seconds: float = _DEADLINE) -> None:
    """Wait for a condition, looking often."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"waited {seconds} s for {what}"
        time.sleep(0.05)


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    """True when something accepts connections on the port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def references(page: str) -> list[str]:
    """Everything that a browser would load or follow, but for plain links."""
    tree = html.fromstring(page)
    found = [
        value
        for element in tree.iter(etree.Element)
        for name, value in element.attrib.items()
        if name in ("src", "srcset", "href", "xlink:href", "data", "action", "poster", "style")
        and element.tag != "a"
    ]
    for sheet in tree.iter("style"):
        found += re.findall(r"url\([^)]*\)|@import[^;]*", sheet.text or "")
    return found


def assert_harmless(page: str) -> None:
    """A page that runs nothing and loads nothing."""
    tree = html.fromstring(page)
    assert not list(tree.iter("script", "iframe", "object", "embed", "form"))
    assert all(value.startswith("data:") for value in references(page))
    for element in tree.iter(etree.Element):
        assert not [name for name in element.attrib if name.startswith("on")]
        if element.tag == "a":
            assert re.match("https?://", element.get("href"))


class SeaweedServer:
    """A SeaweedFS process that speaks S3 on loopback. `reader` may read and list, but not write."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.ports = {name: free_port_pair() for name in ("filer", "master", "volume")}
        self.variables = {
            **_keys("testkey"),
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
        }
        self.reader = _keys("reader")

    def __enter__(self) -> SeaweedServer:
        identities = self.folder / "identities.json"
        rights = ["Read", "List"]
        people = [
            _identity(self.variables, ["Admin", "Write", *rights]),
            _identity(self.reader, rights),
        ]
        identities.write_text(json.dumps({"identities": people}), "utf-8")
        self.start()
        return self

    def start(self) -> None:
        """Start the process, for the first time or after a kill, with the data that it had."""
        flags = [f"-{name}.port={port}" for name, port in self.ports.items()]
        command = [
            _weed(),
            "mini",
            f"-dir={self.folder}",
            f"-s3.config={self.folder / 'identities.json'}",
            "-s3.autoCreateBucket=false",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            f"-s3.port={self.port}",
            *flags,
            "-webdav=false",
            "-admin.ui=false",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-master.telemetry=false",
        ]
        self.process = subprocess.Popen(
            command,
            env=os.environ | self.variables,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        wait_until(lambda: listens(self.port), "the S3 server")

    def kill(self) -> None:
        """SIGKILL the process."""
        self.process.kill()
        self.process.wait()

    def create_bucket(self, name: str) -> None:
        """Make a bucket, waiting until the server takes writes."""
        from pyarrow import fs

        system = fs.S3FileSystem(
            access_key=self.variables["AWS_ACCESS_KEY_ID"],
            secret_key=self.variables["AWS_SECRET_ACCESS_KEY"],
            endpoint_override=f"127.0.0.1:{self.port}",
            scheme="http",
            region="us-east-1",
            allow_bucket_creation=True,
        )

        def ready() -> bool:
            try:
                system.create_dir(name)
                with system.open_output_stream(f"{name}/.ready") as stream:
                    stream.write(b"x")
            except OSError:
                return False
            return True

        wait_until(ready, "the S3 server to take writes")

    def __exit__(self, *_: object) -> None:
        self.kill()


def _keys(name: str) -> dict[str, str]:
    return {"AWS_ACCESS_KEY_ID": name, "AWS_SECRET_ACCESS_KEY": f"secret-of-{name}"}


def _identity(keys: dict[str, str], rights: list[str]) -> dict[str, Any]:
    name, secret = keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"]
    pair = {"accessKey": name, "secretKey": secret}
    return {"name": name, "credentials": [pair], "actions": rights}


def _weed() -> str:
    found = Path(sys.executable).parent / "weed"
    return str(found) if found.exists() else "weed"


def free_port_pair() -> int:
    """A free port below 50,000 whose gRPC twin, 10,000 above, is free too."""
    while True:
        port = free_port()
        if port < 50000 and not listens(port + 10000):
            return port


@contextmanager
def start_ray_head(folder: Path) -> Iterator[tuple[str, str]]:
    """A Ray head with two CPUs on free ports; yields its address and its dashboard's."""
    port, dashboard = free_port(), free_port()
    temporary = Path("/tmp") / f"ray{os.getpid()}"  # sockets below it must have short names
    ray = [sys.executable, "-m", "ray.scripts.scripts"]
    command = [
        *ray,
        "start",
        "--head",
        "--node-ip-address=127.0.0.1",
        f"--port={port}",
        "--num-cpus=2",
        "--include-dashboard=true",
        f"--dashboard-port={dashboard}",
        f"--dashboard-agent-listen-port={free_port()}",
        "--disable-usage-stats",
        f"--temp-dir={temporary}",
        "--block",
    ]
    log = (folder / "ray.log").open("wb")
    activated = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    head = subprocess.Popen(
        command,
        env=os.environ | {"PATH": activated},
        stdout=log,
        stderr=log,
        start_new_session=True,
        cwd=folder,
    )
    try:
        wait_until(lambda: listens(port) and listens(dashboard), "the Ray head", 120)
        yield f"127.0.0.1:{port}", f"http://127.0.0.1:{dashboard}"
    finally:
        for child in psutil.Process(head.pid).children(recursive=True):
            try:
                child.kill()
            except psutil.NoSuchProcess:
                continue
        head.kill()
        head.wait()
        log.close()
        shutil.rmtree(temporary, ignore_errors=True)
