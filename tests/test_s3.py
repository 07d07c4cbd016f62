"""Uploads to a real S3 server that is killed, lied to and fed by two at once; and what they say."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from operators import s3 as uploads
from operators.files import Files
from pipelines import load_job, run_job
from pipelines.backend import environment
from pipelines.verify import verify
from schemas.errors import StorageError
from tests.support import (
    ROOT,
    SeaweedServer,
    folder_digest,
    free_port,
    start_omniloom,
    wait_until,
    write_job,
)

PART = 5 << 20  # the least that S3 allows


@pytest.fixture
def files(s3: SeaweedServer, request: pytest.FixtureRequest) -> Files:
    """An empty place in a bucket."""
    return Files(f"s3://corpus/{request.node.name.replace('[', '-').rstrip(']')}")


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts so small that a test file has several."""
    monkeypatch.setattr(uploads, "PART_BYTES", PART)


def written(path: Path, size: int, seed: int = 0) -> Path:
    path.write_bytes(random.Random(seed).randbytes(size))
    return path


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def head(files: Files, path: str) -> Any:
    bucket, _, prefix = files.root.removeprefix("s3://").partition("/")
    return client().head_object(Bucket=bucket, Key=f"{prefix}/{path}", ChecksumMode="ENABLED")


def client() -> Any:
    return uploads._client()


@pytest.fixture
def calls(s3: SeaweedServer) -> Iterator[list[str]]:
    """The names of all requests that a test makes through boto3, in order."""
    made: list[str] = []

    def note(model: Any, **_: Any) -> None:
        made.append(model.name)

    events = client().meta.events
    events.register("before-call.s3", note, unique_id="calls")
    yield made
    events.unregister("before-call.s3", note, unique_id="calls")


# --- What is put is there -----------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, PART, PART + 1, 3 * PART, 4 * PART + 12_345])
def test_a_file_is_put_whole_and_tells_its_checksum(
    files: Files, parts: None, tmp_path: Path, size: int
) -> None:
    source = written(tmp_path / "source", size)
    written(tmp_path / "older", PART + 7, seed=1)
    files.put("a/b.bin", tmp_path / "older")
    assert files.put("a/b.bin", source) == digest(source) == files.sha256("a/b.bin")
    found = head(files, "a/b.bin")
    assert found["ContentLength"] == size
    assert found["Metadata"]["sha256"] == digest(source)
    assert found["ChecksumSHA256"].partition("-")[2] == (
        str(-(-size // PART)) if size > PART else ""
    )
    assert not files.unfinished()


def test_a_local_file_is_put_the_same_way(tmp_path: Path) -> None:
    source = written(tmp_path / "source", 20_000_000)
    files = Files(str(tmp_path / "place"))
    assert files.put("a/b.bin", source) == digest(source) == files.sha256("a/b.bin")
    assert files.put("a/b.bin", written(tmp_path / "new", 10)) == files.sha256("a/b.bin")
    assert [info.path for info in files.list()] == ["a/b.bin"]
    files.abort("a/b.bin")
    assert files.unfinished() == []
    with pytest.raises(FileNotFoundError):
        files.put("a/c.bin", tmp_path / "nowhere")
    assert [info.path for info in files.list()] == ["a/b.bin"]


def test_names_that_end_in_gz_are_stored_as_they_are(files: Files) -> None:
    import gzip

    packed = gzip.compress(b"abc" * 1000, mtime=0)
    files.write("lines.jsonl.gz", packed)
    assert files.read("lines.jsonl.gz") == packed


def test_a_small_file_costs_one_request_and_deleting_leaves_nothing(
    files: Files, calls: list[str]
) -> None:
    files.write("folder/one", b"1")
    files.delete("folder/one")
    assert calls == ["PutObject", "DeleteObject"]
    assert client().list_objects_v2(Bucket="corpus", Prefix=files.root[12:])["KeyCount"] == 0


@pytest.mark.parametrize(
    ("size", "each"),
    [(0, 16), (16 << 20, 16), (160_000 << 20, 16), ((160_000 << 20) + 1, 17), (5 * 10**12, 477)],
)
def test_ten_thousand_parts_are_enough(size: int, each: int) -> None:
    assert uploads.part_bytes(size) == each << 20
    assert -(-size // uploads.part_bytes(size)) <= 10_000


def test_memory_does_not_grow_with_the_file(s3: SeaweedServer, tmp_path: Path) -> None:
    big = tmp_path / "big"
    with big.open("wb") as handle:
        handle.truncate(200_000_000)
    script = (
        "import sys; from pathlib import Path; from operators.files import Files\n"
        "def peak():  # kB; not ru_maxrss, which begins with that of the parent\n"
        "    lines = Path('/proc/self/status').read_text().splitlines()\n"
        "    return next(int(line.split()[1]) for line in lines if line.startswith('VmHWM'))\n"
        "files = Files('s3://corpus/memory')\n"
        "files.write('small', b'1'); before = peak()\n"
        "print(files.put('big', Path(sys.argv[1])), peak() - before)"
    )
    told, grown = run_python(script, big).split()
    assert int(grown) < 30_000  # kB
    assert head(Files("s3://corpus/memory"), "big")["Metadata"]["sha256"] == told
    Files("s3://corpus/memory").delete("big")


def run_python(script: str, *arguments: str | Path, expect: int = 0) -> str:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == expect, done.stderr
    return done.stdout


# --- Killed, and going on -----------------------------------------------------------------------

KILLED = """
import os, signal, sys
from pathlib import Path
from operators import s3
from operators.files import Files
s3.PART_BYTES, s3._IN_FLIGHT = {part}, 1
seen = []
def kill(model, **_):
    seen.append(model.name)
    if seen.count(sys.argv[3]) == int(sys.argv[4]):
        os.kill(os.getpid(), signal.SIGKILL)
s3._client().meta.events.register("after-call.s3", kill)
Files(sys.argv[1]).put("shard", Path(sys.argv[2]))
""".replace("{part}", str(PART))


@pytest.mark.parametrize(
    ("request_", "count", "there"),
    [
        ("CreateMultipartUpload", 1, 0),
        ("UploadPart", 1, 1),
        ("UploadPart", 5, 5),
        ("CompleteMultipartUpload", 1, 5),
    ],
)
def test_a_killed_upload_goes_on_with_its_parts(
    files: Files, parts: None, calls: list[str], tmp_path: Path, request_: str, count: int,
    there: int,
) -> None:  # fmt: skip
    source = written(tmp_path / "source", 4 * PART + 1)
    run_python(KILLED, files.root, source, request_, str(count), expect=-signal.SIGKILL)
    complete = request_ == "CompleteMultipartUpload"
    assert files.exists("shard") == complete
    assert list(files.unfinished()) == ([] if complete else ["shard"])
    assert files.put("shard", source) == digest(source) == files.sha256("shard")
    assert calls.count("UploadPart") == (5 if complete else 5 - there)
    assert not files.unfinished()


def test_parts_of_older_content_are_never_taken(
    files: Files, parts: None, calls: list[str], tmp_path: Path
) -> None:
    source = written(tmp_path / "source", 3 * PART)
    data = bytearray(source.read_bytes())
    data[-1] ^= 1
    older = tmp_path / "older"
    older.write_bytes(data)
    run_python(KILLED, files.root, older, "UploadPart", "3", expect=-signal.SIGKILL)
    assert files.put("shard", source) == digest(source) == files.sha256("shard")
    assert calls.count("UploadPart") == 3
    assert calls.count("AbortMultipartUpload") == 1
    assert not files.unfinished()


def test_an_upload_begun_for_other_content_with_the_same_first_parts_keeps_its_own_checksum(
    files: Files, parts: None, tmp_path: Path
) -> None:
    source = written(tmp_path / "source", 3 * PART)
    older = tmp_path / "older"
    older.write_bytes(source.read_bytes()[: 2 * PART] + b"another end" * PART)
    run_python(KILLED, files.root, older, "UploadPart", "2", expect=-signal.SIGKILL)
    assert files.put("shard", source) == digest(source) == files.sha256("shard")
    assert head(files, "shard")["Metadata"]["sha256"] == digest(source)
    assert not files.unfinished()


def test_uploads_that_nobody_goes_on_with_are_listed_and_thrown_away(
    files: Files, parts: None, tmp_path: Path
) -> None:
    source = written(tmp_path / "source", 2 * PART)
    files.put("shard", source)
    for _ in range(2):
        bucket, _, prefix = files.root.removeprefix("s3://").partition("/")
        for name in ("shard", "folder/x"):
            client().create_multipart_upload(Bucket=bucket, Key=f"{prefix}/{name}")
    assert list(files.unfinished()) == ["folder/x", "shard"]
    assert list(files.unfinished("folder")) == ["folder/x"]
    files.abort("shard")
    assert list(files.unfinished()) == ["folder/x"]
    assert files.sha256("shard") == digest(source)


def test_a_server_that_is_killed_and_comes_back_is_waited_for(
    s3: SeaweedServer, files: Files, parts: None, tmp_path: Path
) -> None:
    source = written(tmp_path / "source", 6 * PART)
    sent: list[int] = []

    def kill(**_: Any) -> None:
        sent.append(1)
        if len(sent) == 2:
            s3.kill()
            threading.Timer(1.0, s3.start).start()

    events = client().meta.events
    events.register("after-call.s3.UploadPart", kill, unique_id="kill")
    try:
        told = files.put("shard", source)
    finally:
        events.unregister("after-call.s3.UploadPart", kill, unique_id="kill")
    assert told == digest(source) == files.sha256("shard")
    assert len(sent) >= 6


SAME_TIME = """
import sys
from pathlib import Path
from operators import s3
from operators.files import Files
s3.PART_BYTES = {part}
sys.stdin.readline()
for _ in range(int(sys.argv[3])):
    print(Files(sys.argv[1]).put("shard", Path(sys.argv[2])))
""".replace("{part}", str(PART))


@pytest.mark.parametrize(("seeds", "rounds"), [((0, 0), 2), ((0, 1), 1)], ids=["same", "other"])
def test_two_writers_of_one_name_leave_one_whole_object(
    files: Files, tmp_path: Path, seeds: tuple[int, int], rounds: int
) -> None:
    sources = [written(tmp_path / f"{n}", 4 * PART, seed) for n, seed in enumerate(seeds)]
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", SAME_TIME, files.root, str(source), str(rounds)],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for source in sources
    ]  # fmt: skip
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("\n")
        writer.stdin.flush()
    told = [writer.communicate()[0].split() for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0]
    assert told == [[digest(source)] * rounds for source in sources]
    assert files.sha256("shard") in {digest(source) for source in sources}
    assert files.sha256("shard") == head(files, "shard")["Metadata"]["sha256"]
    assert not files.unfinished()


# --- A whole job --------------------------------------------------------------------------------


def test_a_job_killed_while_it_exports_to_s3_ends_with_the_same_shards(
    s3: SeaweedServer, tmp_path: Path
) -> None:
    (tmp_path / "calm").mkdir()
    calm, remote = tmp_path / "calm" / "shards", Files(f"s3://corpus/{tmp_path.name}")
    shards = {"format": "omnicorpus", "shard_mb": 0.002}
    run_job(load_job(write_job(tmp_path / "calm", export=[shards | {"to": str(calm)}])))
    job = write_job(tmp_path, export=[shards | {"to": remote.root}])
    seen: list[set[str]] = []
    for count in (1, 3):
        process = start_omniloom("run", job, "--no-report")
        wait_until(lambda: len(written_shards(remote)) >= count, f"{count} shards")  # noqa: B023
        process.kill()
        process.wait()
        seen.append(written_shards(remote))
    assert 1 <= len(seen[0]) <= len(seen[1]) <= len(folder_digest(calm))
    run_job(load_job(job))
    assert {name: remote.sha256(name) for name in written_shards(remote)} == folder_digest(calm)
    assert verify(remote.root).wrong == {}


def written_shards(files: Files) -> set[str]:
    return {info.path for info in files.list() if info.path.startswith("train-")}


# --- Damage -------------------------------------------------------------------------------------


@pytest.fixture
def wire(s3: SeaweedServer) -> Iterator[Callable[[str, int], list[int]]]:
    """Flips a bit of the first `times` bodies of a request, after boto3 has signed them."""
    registered: list[tuple[str, Any]] = []
    events = client().meta.events

    def damage(operation: str, times: int) -> list[int]:
        done: list[int] = []

        def flip(request: Any, **_: Any) -> None:
            if len(done) < times:
                done.append(1)
                body = bytearray(request.body.read())
                body[len(body) // 2] ^= 1
                request.body = bytes(body)

        events.register(f"before-send.s3.{operation}", flip)
        registered.append((f"before-send.s3.{operation}", flip))
        return done

    yield damage
    for name, flip in registered:
        events.unregister(name, flip)


@pytest.mark.parametrize(("operation", "size"), [("PutObject", 1000), ("UploadPart", 3 * PART)])
def test_damage_on_the_way_is_noticed_and_mended(
    files: Files,
    parts: None,
    tmp_path: Path,
    wire: Callable[[str, int], list[int]],
    operation: str,
    size: int,
) -> None:
    source = written(tmp_path / "source", size)
    done = wire(operation, 2)
    assert files.put("shard", source) == digest(source) == files.sha256("shard")
    assert len(done) == 2


@pytest.mark.parametrize(("operation", "size"), [("PutObject", 1000), ("UploadPart", 3 * PART)])
def test_damage_that_stays_is_an_error_and_leaves_nothing(
    files: Files,
    parts: None,
    tmp_path: Path,
    wire: Callable[[str, int], list[int]],
    operation: str,
    size: int,
) -> None:
    source = written(tmp_path / "source", size)
    wire(operation, 100)
    with pytest.raises(StorageError, match="received other bytes than were read before, 5 times"):
        files.put("shard", source)
    assert not files.exists("shard")
    assert not files.unfinished()


def test_an_object_that_claims_to_be_the_file_and_is_not_is_replaced(
    files: Files, parts: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a server would do that forgets bytes after it has said that all is well."""
    source = written(tmp_path / "source", 2 * PART)
    bucket, _, key = f"{files.root}/shard".removeprefix("s3://").partition("/")
    real = uploads._Upload._put_parts
    wrong: list[int] = []

    def forgetful(upload: uploads._Upload, *, resume: bool) -> None:
        real(upload, resume=resume)
        if len(wrong) < 2:
            wrong.append(1)
            metadata = {"sha256": digest(source)}
            client().put_object(Bucket=bucket, Key=key, Body=b"half", Metadata=metadata)

    monkeypatch.setattr(uploads._Upload, "_put_parts", forgetful)
    assert files.put("shard", source) == digest(source) == files.sha256("shard")
    wrong.clear()
    monkeypatch.setattr(uploads, "_TRIES", 2)
    with pytest.raises(StorageError, match="each time the server holds something else"):
        files.put("shard", source)
    assert not files.exists("shard")


def test_a_server_that_keeps_no_checksums_is_read_back(
    files: Files, parts: None, tmp_path: Path, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    events = client().meta.events

    def forget(parsed: dict[str, Any], **_: Any) -> None:
        parsed.pop("ChecksumSHA256", None)

    for size in (1000, 2 * PART):
        source = written(tmp_path / "source", size)
        events.register("after-call.s3", forget)
        try:
            assert files.put("shard", source) == digest(source)
        finally:
            events.unregister("after-call.s3", forget)
    assert calls.count("GetObject") == 2


# --- What people are told -----------------------------------------------------------------------


def said(root: str, tmp_path: Path, **variables: str) -> str:
    """The message of a failed put; no secret may be in it."""
    with environment(variables), pytest.raises(StorageError) as caught:
        Files(root).put("x", written(tmp_path / "source", 10))
    message = str(caught.value)
    assert "secret-of" not in message
    assert "sesame" not in message
    return message


def test_a_missing_bucket_is_named(s3: SeaweedServer, tmp_path: Path) -> None:
    message = said("s3://no-such-bucket/a", tmp_path)
    place = f"s3://no-such-bucket/a/x at http://127.0.0.1:{s3.port}"
    assert message == (
        f"{place}: there is no such bucket (NoSuchBucket)\n"
        "    fix: create the bucket, or correct the address"
    )


def test_wrong_credentials_are_told_from_missing_rights(s3: SeaweedServer, tmp_path: Path) -> None:
    message = said("s3://corpus/a", tmp_path, AWS_SECRET_ACCESS_KEY="open-sesame")
    assert "the credentials were refused (SignatureDoesNotMatch)" in message
    assert "AWS_SECRET_ACCESS_KEY" in message
    message = said("s3://corpus/a", tmp_path, AWS_ACCESS_KEY_ID="nobody")
    assert "the credentials were refused (InvalidAccessKeyId)" in message
    message = said("s3://corpus/a", tmp_path, **s3.reader)
    assert "these credentials do not allow it (AccessDenied)" in message
    assert "docs/s3.md" in message


def test_missing_credentials_are_told(
    s3: SeaweedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    nowhere = str(tmp_path / "nowhere")
    message = said(
        "s3://corpus/a",
        tmp_path,
        AWS_SHARED_CREDENTIALS_FILE=nowhere,
        AWS_CONFIG_FILE=nowhere,
        AWS_EC2_METADATA_DISABLED="true",
    )
    assert "no credentials were found (NoCredentialsError)" in message
    assert "fix: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in message


def test_reading_is_explained_in_the_same_words(s3: SeaweedServer) -> None:
    with environment({"AWS_SECRET_ACCESS_KEY": "open-sesame"}):
        with pytest.raises(StorageError, match="credentials were refused") as caught:
            list(Files("s3://corpus/a").list())
        assert f"http://127.0.0.1:{s3.port}" in str(caught.value)
        with pytest.raises(StorageError, match="ACCESS_DENIED"):
            Files("s3://corpus/a").read("x")


def test_a_server_that_is_not_there_is_named(s3: SeaweedServer, tmp_path: Path) -> None:
    endpoint = f"http://127.0.0.1:{free_port()}"
    away = {"AWS_ENDPOINT_URL": endpoint, "AWS_MAX_ATTEMPTS": "2"}
    message = said("s3://corpus/a", tmp_path, **away)
    assert f"at {endpoint}: the server cannot be reached" in message
    with environment(away), pytest.raises(StorageError, match="AWS_ENDPOINT_URL and the network"):
        Files("s3://corpus/a").read("x")


def test_variables_that_cannot_be_used_are_named(s3: SeaweedServer, tmp_path: Path) -> None:
    for name, value, told in (
        ("AWS_ENDPOINT_URL", "127.0.0.1:9000", "'127.0.0.1:9000' is not the address"),
        ("AWS_ENDPOINT_URL", "me:sesame@lab:9000", "^'lab:9000' is not the address"),
        ("AWS_PROFILE", "nobody", r"profile \(nobody\)"),
        ("AWS_MAX_ATTEMPTS", "many", "AWS_MAX_ATTEMPTS"),
    ):
        with environment({name: value}), pytest.raises(StorageError, match=told):
            Files("s3://corpus/a")


def test_variables_go_before_the_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config"
    config.write_text(
        "[profile lab]\nregion = eu-north-1\nendpoint_url = http://user:sesame@lab:9000\n"
        "s3 =\n    addressing_style = virtual\nmax_attempts = 3\n",
        "utf-8",
    )
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    plain = uploads.connection()
    assert (plain.endpoint, plain.region, plain.virtual) == (None, "us-east-1", False)
    assert plain.shown == "AWS (us-east-1)"
    monkeypatch.setenv("AWS_PROFILE", "lab")
    lab = uploads.connection()
    assert lab == uploads.Connection("http://user:sesame@lab:9000", "eu-north-1", True, 3)
    assert lab.shown == "http://lab:9000"
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://all:1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://s3:2")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert uploads.connection() == uploads.Connection("http://s3:2", "eu-west-1", True, 3)
