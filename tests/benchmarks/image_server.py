"""A web server of images on loopback: nginx where it is installed, else a small one of its own.

`/SOMETHING/NUMBER.jpg` is `NUMBER.jpg` of the folder, so that few files stand for many addresses.
The own one is a process: `python -m tests.benchmarks.image_server FOLDER`, prints its port.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support import ROOT

_NGINX = """
daemon off;
worker_processes 1;
pid {work}/nginx.pid;
error_log {work}/error.log;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    sendfile on;
    keepalive_requests 1000000;
    types {{ image/jpeg jpg; }}
    client_body_temp_path {work}/body; proxy_temp_path {work}/proxy; fastcgi_temp_path {work}/fcgi;
    uwsgi_temp_path {work}/uwsgi; scgi_temp_path {work}/scgi;
    server {{
        listen 127.0.0.1:{port};
        root {folder};
        rewrite "^/[^/]+/([0-9]+\\.jpg)$" /$1 break;
    }}
}}
"""
_PATIENCE_S = 10.0


@contextmanager
def image_server(folder: Path, work: Path) -> Iterator[tuple[str, str]]:
    """Serves the folder's files; the server's name and its address, such as 127.0.0.1:8080."""
    nginx = os.environ.get("NGINX_PROGRAM") or shutil.which(
        "nginx", path=f"{os.environ['PATH']}:/usr/sbin"
    )
    if nginx:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = int(free.getsockname()[1])
        config = work / "nginx.conf"
        config.write_text(_NGINX.format(work=work, folder=folder, port=port), "utf-8")
        command = [nginx, "-c", str(config), "-e", str(work / "error.log")]
        process = subprocess.Popen(command)
    else:
        command = [sys.executable, "-m", __name__, str(folder)]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
        assert process.stdout is not None
        port = int(process.stdout.readline())
    try:
        _wait_for(port)
        yield "nginx" if nginx else "asyncio", f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.communicate()


def _wait_for(port: int) -> None:
    started = time.monotonic()
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if time.monotonic() - started > _PATIENCE_S:
            raise SystemExit(f"no web server on port {port}")
        time.sleep(0.05)


async def _serve(folder: Path) -> None:
    files = {path.name: path.read_bytes() for path in folder.glob("*.jpg")}

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                body = files.get(head.split(" ", 2)[1].rpartition("/")[2])
                status = "200 OK" if body is not None else "404 Not Found"
                close = "connection: close" in head
                lines = [
                    f"HTTP/1.1 {status}",
                    "Content-Type: image/jpeg",
                    f"Content-Length: {len(body or b'')}",
                    *(["Connection: close"] if close else []),
                ]
                writer.write("\r\n".join([*lines, "", ""]).encode() + (body or b""))
                await writer.drain()
                if close:
                    break
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=1024)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
