"""S3: where the server is, and objects that are whole or not there.

Reading and listing go through Arrow's file system (`operators/files.py`), writing and deleting go
through boto3: Arrow's uploads carry no checksum that we know, cannot go on where a killed one
stopped, take three requests for a small object, and leave empty marker objects behind.

A small object is one PUT. A larger one goes up in parts, a few at a time; each part, and the whole,
carry a SHA-256 that the server checks. An interrupted upload is found again by its parts.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.configprovider import ConfiguredEndpointProvider
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
)
from botocore.session import Session

from schemas.errors import StorageError

MEBI = 1 << 20
PART_BYTES = 16 * MEBI
"""The least size of a part; what is not larger goes up in one request. S3 allows 5 MiB to 5 GiB."""
MOST_PARTS = 10_000
DIGEST = "sha256"
"""The metadata key under which an object tells its SHA-256 (hex)."""
_IN_FLIGHT = 4
_TRIES = 5
_ATTEMPTS = 10
"""Waits between them double from half a second on average to 10: a minute in all."""

Source = Path | bytes


# --- Where the server is ------------------------------------------------------------------------


@dataclass(frozen=True)
class Connection:
    """How to reach S3. Credentials are not in it: both libraries find them by AWS's own rules."""

    endpoint: str | None
    """None for AWS itself."""
    region: str
    virtual: bool
    """The bucket is part of the host's name; always so at AWS itself."""
    attempts: int
    """Times that a request is tried in all."""

    @property
    def shown(self) -> str:
        """The server's address for messages, without user and password."""
        if self.endpoint is None:
            return f"AWS ({self.region})"
        parts = urlsplit(self.endpoint)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def connection() -> Connection:
    """What the AWS variables and the chosen profile say: the only place where they are read.

    Raises:
        StorageError: they are not usable.
    """
    session = Session()
    try:
        profile = session.get_scoped_config()
        attempts = session.get_config_variable("max_attempts") or _ATTEMPTS
        region = os.environ.get("AWS_REGION") or session.get_config_variable("region")
    except (ProfileNotFound, ValueError) as error:
        fix = "correct AWS_PROFILE and AWS_MAX_ATTEMPTS, or the profile in ~/.aws/config"
        raise StorageError(f"S3: {error}\n    fix: {fix}") from None
    provider = ConfiguredEndpointProvider(session.full_config, profile, "s3")
    ignored = session.get_config_variable("ignore_configured_endpoint_urls")
    endpoint = None if ignored else provider.provide()
    if endpoint and not re.match("https?://[^/]", endpoint):
        fix = "give it as http://HOST:PORT or https://HOST in AWS_ENDPOINT_URL"
        shown = endpoint.rpartition("@")[2]
        raise StorageError(f"'{shown}' is not the address of an S3 server\n    fix: {fix}")
    style = (profile.get("s3") or {}).get("addressing_style")
    return Connection(endpoint or None, region or "us-east-1", style == "virtual", attempts)


def _client() -> Any:
    """The boto3 client for the environment as it is now; made once."""
    return _client_for(tuple(sorted(i for i in os.environ.items() if i[0].startswith("AWS_"))))


@lru_cache(maxsize=4)
def _client_for(environment: tuple[tuple[str, str], ...]) -> Any:  # noqa: ARG001  # a key
    found = connection()
    config = Config(
        retries={"mode": "standard", "total_max_attempts": found.attempts},
        connect_timeout=10,
        read_timeout=60,
        s3={"addressing_style": "virtual"} if found.virtual else None,
    )
    return boto3.Session().client(
        "s3", region_name=found.region, endpoint_url=found.endpoint, config=config
    )


# --- What is uploaded ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Content:
    """A file as an upload sees it: SHA-256 of the whole and of each part."""

    size: int
    part_bytes: int
    sha256: bytes
    parts: tuple[bytes, ...]

    @classmethod
    def of(cls, source: Source) -> Content:
        """Read the source once.

        Raises:
            StorageError: it changed while it was read.
        """
        size = source.stat().st_size if isinstance(source, Path) else len(source)
        each = part_bytes(size)
        whole, parts, done = hashlib.sha256(), [], 0
        with _opened(source) as file:
            while block := file.read(MEBI):
                if done % each == 0:
                    parts.append(hashlib.sha256())
                done += len(block)
                whole.update(block)
                if size > each:
                    parts[-1].update(block)
        if done != size:
            raise StorageError(f"{source!s:.200} changed while it was read")
        if size <= each:
            parts = [whole]
        return cls(size, each, whole.digest(), tuple(part.digest() for part in parts))

    @property
    def checksums(self) -> tuple[str, str]:
        """What a server may name as the object's checksum: that of all parts' SHA-256, or plain."""
        of_parts = _base64(hashlib.sha256(b"".join(self.parts)).digest())
        return f"{of_parts}-{len(self.parts)}", _base64(self.sha256)

    def span(self, number: int) -> tuple[int, int]:
        """Start and length of a part; the first is number 1."""
        start = (number - 1) * self.part_bytes
        return start, min(self.part_bytes, self.size - start)


def part_bytes(size: int) -> int:
    """The size of parts, such that `MOST_PARTS` of them hold `size` bytes: 477 MiB for 5 TB."""
    least = -(-size // MOST_PARTS)
    return max(PART_BYTES, -(-least // MEBI) * MEBI)


def _opened(source: Source) -> BinaryIO:
    return source.open("rb") if isinstance(source, Path) else io.BytesIO(source)


def _base64(digest: bytes) -> str:
    return b64encode(digest).decode()


class _Span:
    """A part of an open file that looks like a file: what is sent is never all in memory."""

    def __init__(self, file: BinaryIO, start: int, length: int) -> None:
        self._file, self._start, self._length = file, start, length
        self.seek(0)

    def read(self, size: int | None = None) -> bytes:
        left = self._length - self.tell()
        return self._file.read(left if size is None or size < 0 else min(size, left))

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = (0, self.tell(), self._length)[whence]
        return self._file.seek(self._start + base + offset) - self._start

    def tell(self) -> int:
        return self._file.tell() - self._start


# --- Uploads ------------------------------------------------------------------------------------


class Objects:
    """Objects below s3://bucket/prefix, addressed by relative paths: writing and deleting."""

    def __init__(self, root: str) -> None:
        self.root = root.rstrip("/")
        bucket, _, prefix = self.root.removeprefix("s3://").partition("/")
        self._bucket, self._prefix = bucket, f"{prefix}/" if prefix else ""

    def _target(self, path: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._prefix + path}

    def put(self, path: str, source: Source) -> str:
        """Put the source in place whole, whatever was there before; returns its SHA-256 (hex).

        An interrupted upload of the same bytes goes on from the parts that are there; those of
        other bytes under the same name are thrown away. What the server holds in the end is
        compared with the source; memory does not grow with its size.

        Raises:
            StorageError: the server refuses it, cannot be reached, or holds something else.
        """
        content = Content.of(source)
        with _told(f"{self.root}/{path}"):
            upload = _Upload(_client(), self._target(path), source, content)
            for attempt in range(_TRIES):
                if upload.finished(resume=attempt == 0):
                    return content.sha256.hex()
        raise StorageError(
            f"{self.root}/{path}: written {_TRIES} times, and each time the server holds "
            f"something else\n    fix: see that no other run writes there, then run again"
        )

    def delete(self, path: str) -> None:
        """Remove the object; no error when it is gone already."""
        with _told(f"{self.root}/{path}"):
            _client().delete_object(**self._target(path))

    def unfinished(self, folder: str = "") -> list[str]:
        """Paths below `folder` with uploads in parts that have not come to their end, sorted."""
        prefix = self._prefix + (f"{folder}/" if folder else "")
        with _told(f"{self.root}/{folder}"):
            found = list(_unfinished(_client(), self._bucket, prefix))
        return sorted({upload["Key"].removeprefix(self._prefix) for upload in found})

    def abort(self, path: str) -> None:
        """Throw away the unfinished uploads of one object; a finished one stays."""
        target = self._target(path)
        with _told(f"{self.root}/{path}"):
            for upload in list(_unfinished(_client(), *target.values(), exactly=True)):
                _abort(_client(), self._bucket, upload)


@dataclass(frozen=True)
class _Upload:
    """One file on its way to one object."""

    client: Any
    target: dict[str, str]
    source: Source
    content: Content

    def finished(self, *, resume: bool) -> bool:
        """Upload it and look at what is there: True when it is this file, whole.

        With `resume`, unfinished uploads under this name are continued or thrown away.
        """
        if self.content.size <= self.content.part_bytes:
            return self._put_whole() or self._holds()
        try:
            self._put_parts(resume=resume)
        except ClientError as error:
            # Another writer has finished or aborted it, or what was found does not fit together.
            if _code(error) not in ("NoSuchUpload", "InvalidPart", "InvalidPartOrder"):
                raise
        return self._holds()

    def _metadata(self) -> dict[str, str]:
        return {DIGEST: self.content.sha256.hex()}

    def _put_whole(self) -> bool:
        """One request; True when the server confirms the checksum."""
        answer = self._send(self.client.put_object, 1, Metadata=self._metadata())
        return answer.get("ChecksumSHA256") in self.content.checksums

    def _send(self, call: Callable[..., Any], number: int, **arguments: Any) -> Mapping[str, Any]:
        """Send a part with its checksum, again if other bytes arrive."""
        start, length = self.content.span(number)
        checksum = _base64(self.content.parts[number - 1])
        for _ in range(_TRIES):
            with _opened(self.source) as file:
                body = _Span(file, start, length)
                given = {"Body": body, "ContentLength": length, "ChecksumSHA256": checksum}
                try:
                    answer: Mapping[str, Any] = call(**self.target, **given, **arguments)
                except ClientError as error:
                    if _code(error) not in _DAMAGED:
                        raise
                    continue
            return answer
        raise StorageError(
            f"s3://{self.target['Bucket']}/{self.target['Key']}: the server received other bytes "
            f"than were read before, {_TRIES} times\n    fix: see that nothing changes "
            f"{self.source!s:.200}; else look for a faulty network or disk"
        )

    def _put_parts(self, *, resume: bool) -> None:
        upload, etags = self._interrupted() if resume else (None, {})
        upload = upload or self._created()
        missing = [n for n in range(1, len(self.content.parts) + 1) if n not in etags]
        arguments = {**self.target, "UploadId": upload}

        def sent(number: int) -> str:
            answer = self._send(self.client.upload_part, number, UploadId=upload, PartNumber=number)
            return str(answer["ETag"])

        try:
            with ThreadPoolExecutor(_IN_FLIGHT) as pool:
                etags |= dict(zip(missing, pool.map(sent, missing), strict=True))
            parts = [
                {"PartNumber": n, "ETag": etags[n], "ChecksumSHA256": _base64(digest)}
                for n, digest in enumerate(self.content.parts, 1)
            ]
            self.client.complete_multipart_upload(**arguments, MultipartUpload={"Parts": parts})
        except Exception as error:
            if not _may_pass(error):
                with suppress(BotoCoreError, ClientError):
                    self.client.abort_multipart_upload(**arguments)
            raise

    def _created(self) -> str:
        answer = self.client.create_multipart_upload(
            **self.target, ChecksumAlgorithm="SHA256", Metadata=self._metadata()
        )
        return str(answer["UploadId"])

    def _interrupted(self) -> tuple[str | None, dict[int, str]]:
        """The unfinished upload that holds most of this file, with its parts; aborts all others."""
        best: tuple[str | None, dict[int, str]] = None, {}
        bucket, key = self.target["Bucket"], self.target["Key"]
        found = list(_unfinished(self.client, bucket, key, exactly=True))
        for upload in found:
            etags = self._parts_of(upload["UploadId"])
            if len(etags) > len(best[1]):
                best = upload["UploadId"], etags
        for upload in found:
            if upload["UploadId"] != best[0]:
                _abort(self.client, bucket, upload)
        return best

    def _parts_of(self, upload: str) -> dict[int, str]:
        """ETags of an upload's parts by number; none if any of them is not of this file."""
        etags: dict[int, str] = {}
        pages = self.client.get_paginator("list_parts")
        try:
            for page in pages.paginate(**self.target, UploadId=upload):
                if page.get("ChecksumAlgorithm", "SHA256") != "SHA256":
                    return {}
                for part in page.get("Parts", ()):
                    if not self._is_ours(part):
                        return {}
                    etags[part["PartNumber"]] = part["ETag"]
        except ClientError as error:
            if _code(error) != "NoSuchUpload":
                raise
            return {}
        return etags

    def _is_ours(self, part: Mapping[str, Any]) -> bool:
        """Whether an uploaded part is the same part of this file.

        Some servers keep a part's SHA-256 and do not list it: then its MD5, as ETag, must do. The
        SHA-256 of every part is compared by the server once more when the upload is completed.
        """
        number = part["PartNumber"]
        if number > len(self.content.parts):
            return False
        start, length = self.content.span(number)
        if part["Size"] != length:
            return False
        if "ChecksumSHA256" in part:
            return bool(part["ChecksumSHA256"] == _base64(self.content.parts[number - 1]))
        with _opened(self.source) as file:
            span, md5 = _Span(file, start, length), hashlib.md5(usedforsecurity=False)
            while block := span.read(MEBI):
                md5.update(block)
        return bool(part["ETag"].strip('"') == md5.hexdigest())

    def _holds(self) -> bool:
        """Whether the object is this file; one that says so and is not is removed."""
        try:
            head = self.client.head_object(**self.target, ChecksumMode="ENABLED")
        except ClientError as error:
            if _code(error) in ("404", "NoSuchKey"):
                return False
            raise
        if head["Metadata"].get(DIGEST) != self.content.sha256.hex():
            return False  # another writer's
        stored = head.get("ChecksumSHA256")
        whole = head["ContentLength"] == self.content.size and (
            stored in self.content.checksums if stored else self._reads_the_same()
        )
        if not whole:
            self.client.delete_object(**self.target)
        return whole

    def _reads_the_same(self) -> bool:
        """Read the object back, from a server that keeps no checksum."""
        body = self.client.get_object(**self.target)["Body"]
        digest = hashlib.sha256()
        for block in body.iter_chunks(MEBI):
            digest.update(block)
        return digest.digest() == self.content.sha256


def _unfinished(
    client: Any, bucket: str, prefix: str, *, exactly: bool = False
) -> Iterator[Mapping[str, Any]]:
    """Uploads whose key starts with `prefix`, or `exactly` is that."""
    pages = client.get_paginator("list_multipart_uploads")
    for page in pages.paginate(Bucket=bucket, Prefix=prefix):
        for upload in page.get("Uploads", ()):
            if not exactly or upload["Key"] == prefix:
                yield upload


def _abort(client: Any, bucket: str, upload: Mapping[str, Any]) -> None:
    try:
        client.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
    except ClientError as error:
        if _code(error) != "NoSuchUpload":
            raise


# --- Errors -------------------------------------------------------------------------------------


_REFUSED = (
    "the credentials were refused",
    "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the profile that AWS_PROFILE names",
)
_DENIED = (
    "these credentials do not allow it",
    "grant the actions that docs/s3.md lists, for this bucket and prefix",
)
_UNREACHABLE = (
    "the server cannot be reached, or does not answer",
    "check AWS_ENDPOINT_URL and the network, and that the server runs; then run again: what was "
    "uploaded is kept",
)
_ELSEWHERE = ("the bucket lies in another region", "set AWS_REGION to the bucket's region")
_DAMAGED = ("BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch")
_CAUSES = {
    "nosuchbucket": ("there is no such bucket", "create the bucket, or correct the address"),
    "invalidbucketname": ("that is no name of a bucket", "correct the address"),
    **dict.fromkeys(
        (
            "invalidaccesskeyid",
            "signaturedoesnotmatch",
            "invalidtoken",
            "invalidclienttokenid",
            "unrecognizedclient",
        ),
        _REFUSED,
    ),
    "expiredtoken": ("the credentials have expired", "get new ones, for instance: aws sso login"),
    "requesttimetooskewed": ("this machine's clock is wrong", "set the clock"),
    "accessdenied": _DENIED,
    "allaccessdisabled": _DENIED,
    "403": (
        "the credentials were refused, or do not allow it",
        f"{_REFUSED[1]}; {_DENIED[1]}",
    ),
    **dict.fromkeys(
        ("permanentredirect", "authorizationheadermalformed", "illegallocationconstraint", "301"),
        _ELSEWHERE,
    ),
    **dict.fromkeys(
        ("networkconnection", "internalfailure", "serviceunavailable", "slowdown"), _UNREACHABLE
    ),
}
_OTHER = ("", "check the address, that it is a bucket, and your rights to it")


def explained(address: str, error: Exception) -> StorageError:
    """What boto3 or Arrow said of an S3 address, in words that name the fix and hold no secret."""
    code, said = _code(error), str(error)
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        cause, fix = "no credentials were found", _REFUSED[1].replace("check", "set", 1)
    elif _may_pass(error):
        cause, fix = _UNREACHABLE
    else:
        cause, fix = _CAUSES.get(code.replace("_", "").lower(), _OTHER)
    told = f"{cause} ({code or type(error).__name__})" if cause else said
    return StorageError(f"{address} at {connection().shown}: {told}\n    fix: {fix}")


def _code(error: Exception) -> str:
    """The server's name for an error; "" for those that are no server's."""
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", ""))
    found = re.search(r"AWS Error (\w+)", str(error)) if isinstance(error, OSError) else None
    return found.group(1) if found else ""


def _may_pass(error: Exception) -> bool:
    """Whether the same request may succeed later: server away, overloaded, out of order."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status >= 500 or status == 429 or _code(error) in ("SlowDown", "RequestTimeout")
    return isinstance(error, ConnectionError | HTTPClientError)


@contextmanager
def _told(address: str) -> Iterator[None]:
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise explained(address, error) from None
