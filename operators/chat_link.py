"""How clients and the broker of a cache find, trust and understand each other.

The broker listens on loopback and writes where, with a random token, to a file that only its user
can read. Each side proves to the other that it knows the token before anything else is said, so
that a stranger on an old port learns no key and a stranger who connects asks nothing. Frames are
a JSON head and bytes.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import secrets
import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ADDRESS_VARIABLE = "OMNILOOM_CHAT_BROKER"
"""host:port of the broker on another machine; its token is then in `TOKEN_VARIABLE`."""
TOKEN_VARIABLE = "OMNILOOM_CHAT_TOKEN"  # noqa: S105  the name of a variable
LISTEN_VARIABLE = "OMNILOOM_CHAT_LISTEN"
"""host:port where a broker listens; default: loopback, any port."""

IDLE_S = 5.0
"""How long a broker outlives its last client."""
_RENDEZVOUS = "broker.json"
_SIZES = struct.Struct("!II")
_NONCE = 32
_PROOF = hashlib.sha256().digest_size
_LARGEST_HEAD, _LARGEST_BODY = 1 << 26, 1 << 30

Head = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """Where a broker listens, and what it must be told."""

    host: str
    port: int
    token: str


def fresh_token() -> str:
    """From the environment, else by chance."""
    return os.environ.get(TOKEN_VARIABLE) or secrets.token_hex(32)


def host_and_port(value: str, variable: str) -> tuple[str, int]:
    """Read host:port.

    Raises:
        ValueError: it is none; the message says how it should look.
    """
    host, _, port = value.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"{variable} = {value}: should be HOST:PORT, as 10.0.0.5:7700")
    return host, int(port)


def write_place(folder: Path, place: Place) -> None:
    """Say where the broker is; readable by its user alone."""
    fresh = folder / f".{_RENDEZVOUS}.{os.getpid()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    with os.fdopen(os.open(fresh, flags, 0o600), "w") as file:
        json.dump({"host": place.host, "port": place.port, "token": place.token}, file)
    fresh.replace(folder / _RENDEZVOUS)


def forget_place(folder: Path) -> None:
    """Nobody listens any more."""
    (folder / _RENDEZVOUS).unlink(missing_ok=True)


def read_place(folder: Path) -> Place | None:
    """Where the broker of a folder is said to be."""
    try:
        return Place(**json.loads((folder / _RENDEZVOUS).read_text("utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def frame(head: Head, body: bytes = b"") -> bytes:
    """A head and bytes, as they travel."""
    text = json.dumps(head, ensure_ascii=False, separators=(",", ":")).encode()
    return _SIZES.pack(len(text), len(body)) + text + body


def _proof(token: str, who: str, nonce: bytes) -> bytes:
    return hmac.digest(token.encode(), who.encode() + nonce, "sha256")


class Strange(Exception):
    """The other side does not know the token."""


# --- The client's side ----------------------------------------------------------------------------


class Line:
    """A connection to a broker that has proved to be the one."""

    def __init__(self, place: Place, timeout_s: float) -> None:
        self._socket = socket.create_connection((place.host, place.port), timeout_s)
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._stream = self._socket.makefile("rb", buffering=1 << 16)
            nonce = secrets.token_bytes(_NONCE)
            self._socket.sendall(nonce)
            theirs, challenge = self._exactly(_PROOF), self._exactly(_NONCE)
            if not hmac.compare_digest(theirs, _proof(place.token, "broker", nonce)):
                raise Strange
            self._socket.sendall(_proof(place.token, "client", challenge))
            self._socket.settimeout(None)
        except BaseException:
            self._socket.close()
            raise

    def send(self, head: Head, body: bytes = b"") -> None:
        """Say something."""
        self._socket.sendall(frame(head, body))

    def receive(self) -> Head:
        """What is said next.

        Raises:
            ConnectionError: the broker is gone.
        """
        head_size, body_size = _SIZES.unpack(self._exactly(_SIZES.size))
        found: Head = json.loads(self._exactly(head_size))
        self._exactly(body_size)
        return found

    def close(self) -> None:
        """Hang up."""
        self._stream.close()
        self._socket.close()

    def _exactly(self, size: int) -> bytes:
        data: bytes = self._stream.read(size)
        if len(data) < size:
            raise ConnectionResetError("the broker hung up")
        return data


# --- The broker's side ----------------------------------------------------------------------------


async def admit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: str) -> None:
    """Prove who we are and have it proved.

    Raises:
        Strange: the client does not know the token.
    """
    nonce, challenge = await reader.readexactly(_NONCE), secrets.token_bytes(_NONCE)
    writer.write(_proof(token, "broker", nonce) + challenge)
    theirs = await reader.readexactly(_PROOF)
    if not hmac.compare_digest(theirs, _proof(token, "client", challenge)):
        raise Strange


async def receive(reader: asyncio.StreamReader) -> tuple[Head, bytes]:
    """What a client says next."""
    head_size, body_size = _SIZES.unpack(await reader.readexactly(_SIZES.size))
    if head_size > _LARGEST_HEAD or body_size > _LARGEST_BODY:
        raise Strange
    head = json.loads(await reader.readexactly(head_size))
    return head, await reader.readexactly(body_size)
