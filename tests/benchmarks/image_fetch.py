"""Images a CPU second fetched over HTTP, beside img2dataset's.

A web server on loopback serves 20,000 addresses of JPEGs of some 40 kB. Both clients fetch them all
and store their bytes and SHA-256: ours in Parquet files of 500 rows, uncompressed, img2dataset in
tar files, without decoding. CPU seconds are those of the client's processes, children included,
less what the same command takes for ten addresses: loading libraries is not fetching. img2dataset
runs in an interpreter of its own: `IMG2DATASET_PYTHON`, or else this one. Ours is run as
`python -m tests.benchmarks.image_fetch ADDRESSES FOLDER`.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from tests.benchmarks.image_server import image_server
from tests.benchmarks.processes import PYTHON, run_measured
from tests.benchmarks.record import Entry, Options, say, workspace

_ADDRESSES, _FILES, _FEW = 20_000, 400, 10
_UNIT_ROWS, _BATCH_ROWS = 500, 256
_ROUNDS = 2
_PEER = Path(__file__).parent / "image_fetch_peer.py"


def image_fetch_speedup(options: Options) -> Entry:
    """Images a CPU second over those of img2dataset, the same bytes stored."""
    work = workspace("image_fetch")
    (work / "images").mkdir()
    sizes = [_draw(work / "images" / f"{number}.jpg", number) for number in range(_FILES)]
    python = os.environ.get("IMG2DATASET_PYTHON", sys.executable)
    has_peer = subprocess.run([python, "-c", "import img2dataset"], capture_output=True).returncode
    count = options.count(_ADDRESSES, 200)
    rates: dict[str, list[float]] = {"omniloom": [], "img2dataset": []}
    with image_server(work / "images", work) as (server, place):
        many, few = work / "many.txt", work / "few.txt"
        urls = [f"http://{place}/{n}/{n % _FILES}.jpg" for n in range(count)]
        many.write_text("\n".join(urls), "utf-8")
        few.write_text("\n".join(urls[:_FEW]), "utf-8")
        expected = Counter(_digest(work / "images" / f"{n % _FILES}.jpg") for n in range(count))
        for _ in range(_ROUNDS):
            own = [PYTHON, "-m", __name__]
            rates["omniloom"].append(_rate(own, many, few, work / "own", expected, _in_parquet))
            if has_peer == 0:
                peer = [python, str(_PEER)]
                rates["img2dataset"].append(
                    _rate(peer, many, few, work / "peer", expected, _in_tars)
                )
    details = {
        "addresses": count,
        "mean bytes": round(sum(sizes) / len(sizes)),
        "server": server,
        "omniloom, images/CPU s": round(max(rates["omniloom"])),
    }
    if not rates["img2dataset"]:
        say("image_fetch_speedup: peer not installed (img2dataset)")
        return Entry(0.0, "x", more_is_better=True, details=details | {"peer": "not installed"})
    theirs = max(rates["img2dataset"])
    peers = {"img2dataset, images/CPU s": round(theirs, 0)}
    return Entry(max(rates["omniloom"]) / theirs, "x", 1.5, True, peers, details)


def _rate(
    command: list[str],
    many: Path,
    few: Path,
    folder: Path,
    expected: Counter[str],
    stored: Callable[[Path], Counter[str]],
) -> float:
    """Images a CPU second; the bytes that are stored must be those that are served."""
    small = run_measured([*command, str(few), str(workspace(f"image_fetch/{folder.name}"))])
    whole = run_measured([*command, str(many), str(workspace(f"image_fetch/{folder.name}"))])
    if stored(folder) != expected:
        raise SystemExit(f"{command}: what is stored is not what was served")
    images = expected.total() - _FEW
    rate = images / (whole.cpu_seconds - small.cpu_seconds)
    say(
        f"{folder.name}: {whole.cpu_seconds:.1f} CPU s, {small.cpu_seconds:.1f} to start, "
        f"{whole.wall_seconds:.1f} s; {rate:.0f} images/CPU s"
    )
    return rate


def _draw(path: Path, seed: int) -> int:
    """A JPEG of soft noise, and its size."""
    chance = np.random.default_rng(seed)
    coarse = chance.integers(0, 256, (30, 40, 3), np.uint8)
    image = Image.fromarray(coarse).resize((480, 360), Image.Resampling.BICUBIC)
    image.save(path, quality=88)
    return path.stat().st_size


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _in_parquet(folder: Path) -> Counter[str]:
    found: Counter[str] = Counter()
    for path in folder.glob("*.parquet"):
        data = pq.read_table(path, columns=["image_data"])["image_data"].to_pylist()
        found.update(hashlib.sha256(image).hexdigest() for image in data)
    return found


def _in_tars(folder: Path) -> Counter[str]:
    found: Counter[str] = Counter()
    for path in folder.glob("*.tar"):
        with tarfile.open(path) as tar:
            for member in tar:
                if member.name.endswith(".jpg"):
                    image = tar.extractfile(member)
                    assert image is not None
                    found[hashlib.sha256(image.read()).hexdigest()] += 1
    return found


def _fetch(addresses: Path, folder: Path) -> None:
    """Every address through the operator."""
    from operators.fetch import FetchImages

    urls = addresses.read_text("utf-8").split("\n")
    place = urls[0].split("/")[2]
    operator = FetchImages(allow_private=(place,), host_delay_s=0, per_host=32)
    state = operator.setup()
    for unit, start in enumerate(range(0, len(urls), _UNIT_ROWS)):
        rows = [{"image_url": url} for url in urls[start : start + _UNIT_ROWS]]
        table = pa.Table.from_pylist(rows, schema=operator.reads)
        parts = [
            operator.measure(table.slice(at, _BATCH_ROWS), state)
            for at in range(0, table.num_rows, _BATCH_ROWS)
        ]
        path = folder / f"{unit}.parquet"
        pq.write_table(pa.concat_tables(parts), path, compression="none", use_dictionary=False)


if __name__ == "__main__":
    _fetch(Path(sys.argv[1]), Path(sys.argv[2]))
