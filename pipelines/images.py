"""The table of images: born of the documents that show them, and joined with these again.

An address belongs to the unit of the first document that shows it, living or not, so that its
place does not change when a threshold moves; what changes is how many living documents show it.

    groups/images-<fingerprint>/<unit>-<digest>.keys.arrow        addresses in a unit's documents
    groups/images-<fingerprint>/captures-<stem>.keys.arrow        addresses captured in an input
    groups/images-<fingerprint>/<living>/found-<i>-of-<n>.parquet      home, count and capture
    groups/images-<fingerprint>/<living>/elsewhere-<i>-of-<n>.parquet  homes in other units
    groups/images-<fingerprint>/<living>/homes-<number>.parquet   a unit's places among images
    groups/images-<fingerprint>/<living>/done.json                the image units that were born
    units/<unit>-i<number>-<digest>.parquet                       an image unit, as it was born

Every task writes under a name known before, or one that says what is in the file: a kill in any
phase costs the tasks in flight.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from operators.dedup import hashes_of
from operators.shown import ImageVerdicts
from pipelines.corpuswide import (
    UNIT_ROWS,
    GatherPhase,
    Part,
    RunTasks,
    UnitPhase,
    findings,
    gathering_tasks,
    groups_folder,
    made_parts,
    write_found,
    write_records,
)
from pipelines.measure import relisted, stored_schema
from pipelines.plan import Plan, Stage, fingerprint
from pipelines.store import (
    DONE,
    PENDING,
    InputRecord,
    StageRecord,
    Store,
    UnitRecord,
    UnitRef,
)
from pipelines.work import PlainTask, Worker
from schemas.columns import ERROR
from schemas.tables import DOCUMENTS, IMAGES

_CAPTURE_ROWS = 1 << 32
"""Addresses of an input: more than an input may hold captures."""
_NO_ADDRESS = "no address"

Key = tuple[int, int]
Place = tuple[str, int]
Born = dict[str, list[tuple[str, int, str]]]
"""For each unit of documents its image units: name, rows, file of the stage that counts."""


def _joined(worker: Worker) -> tuple[Stage, ImageVerdicts]:
    plan = worker.plan
    assert plan.joined is not None  # tasks of this module come from plans with images
    stage = plan.stages[plan.joined]
    assert isinstance(stage.operator, ImageVerdicts)
    return stage, stage.operator


def _nodes(worker: Worker, files: dict[str, str]) -> pa.ListArray:
    """The nodes of a unit's documents."""
    stage, _ = _joined(worker)
    origin = worker.plan.stages[worker.plan.stage_index(stage.origins["nodes"])]
    table = worker.store.read(f"{origin.folder}/{files[origin.name]}.parquet", ["nodes"])
    return table["nodes"].combine_chunks()


def _is_image(nodes: pa.ListArray) -> pa.Array:
    """For each node, one after the other, whether it is an image."""
    return pc.equal(pc.struct_field(pc.list_flatten(nodes), "kind"), "image")


def _kept(worker: Worker, ref: UnitRef) -> pa.Array:
    """Which documents are alive when the images have their turn."""
    assert worker.plan.joined is not None
    folder = worker.plan.upto(worker.plan.joined).folder
    return worker.store.read(f"{folder}/{ref.unit}.parquet", ["kept"])["kept"].combine_chunks()


@dataclass(frozen=True)
class ShowTask(UnitPhase):
    """Say which addresses the documents of a unit show."""

    name: str

    def run(self, worker: Worker) -> tuple[Part, float]:
        """One record a document and address; `shown` where the document is alive."""
        started = time.process_time()
        stage, operator = _joined(worker)
        nodes = _nodes(worker, self.files)
        flat = pc.list_flatten(nodes)
        picked = pc.and_(_is_image(nodes), pc.is_valid(pc.struct_field(flat, "image_url")))
        urls = pc.struct_field(flat, "image_url").filter(picked).to_pylist()
        rows = pc.list_parent_indices(nodes).filter(picked).to_pylist()
        pairs = list(dict.fromkeys(zip(rows, urls, strict=True)))
        keys = [hashes_of(url) for _, url in pairs]
        row = pa.array([row for row, _ in pairs], pa.int32())
        records = pa.table(
            {
                "row": row,
                "key": pa.array([key for key, _ in keys], pa.uint64()),
                "check": pa.array([check for _, check in keys], pa.uint64()),
                "shown": _kept(worker, self.ref).take(row),
            }
        )
        part = write_records(
            worker.store, groups_folder(stage), self.name, operator.partitions, records
        )
        return part, time.process_time() - started


@dataclass(frozen=True)
class CaptureTask(PlainTask):
    """Say which addresses an input holds captures of."""

    stem: str
    images: int

    @property
    def name(self) -> str:
        return f"captures-{self.stem}"

    @property
    def key(self) -> str:
        return self.name

    @property
    def weight(self) -> int:
        return self.images

    def run(self, worker: Worker) -> tuple[Part, float]:
        """One record a capture."""
        started = time.process_time()
        stage, operator = _joined(worker)
        urls = worker.store.read(f"images/{self.stem}.parquet", ["image_url"])["image_url"]
        keys = [hashes_of(url) for url in urls.to_pylist()]
        records = pa.table(
            {
                "row": pa.array(np.arange(len(keys)), pa.int32()),
                "key": pa.array([key for key, _ in keys], pa.uint64()),
                "check": pa.array([check for _, check in keys], pa.uint64()),
            }
        )
        part = write_records(
            worker.store, groups_folder(stage), self.name, operator.partitions, records
        )
        return part, time.process_time() - started


def _found(kind: str, number: int, of: int) -> str:
    return f"{kind}-{number}-of-{of}"


@dataclass(frozen=True)
class HomeTask(GatherPhase):
    """Find the home of each address, how many living documents show it, and a capture of it."""

    captures: tuple[Part, ...]

    def run(self, worker: Worker) -> float:
        """Write what is found by home, and by the documents elsewhere that show it too."""
        started = time.process_time()
        stage, operator = _joined(worker)
        shown = self.records(self.parts, operator.partitions)
        found, elsewhere = _homes(shown, self._captured(operator.partitions))
        folder = f"{groups_folder(stage)}/{self.living}"
        for kind, table in (("elsewhere", elsewhere), ("found", found)):
            path = f"{folder}/{_found(kind, self.number, self.of)}.parquet"
            write_found(worker.store, path, table)
        return time.process_time() - started

    def _captured(self, partitions: int) -> pa.Table:
        if self.captures:
            return self.records(self.captures, partitions, _CAPTURE_ROWS)
        kinds = {"address": pa.int64(), "key": pa.uint64(), "check": pa.uint64()}
        return pa.schema(kinds).empty_table()


def _homes(shown: pa.Table, captured: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Home, count and first capture of each address; and who shows it away from home."""
    count = shown.num_rows
    both = {
        name: np.concatenate([shown[name].to_numpy(), captured[name].to_numpy()])
        for name in ("key", "check", "address")
    }
    is_capture = np.arange(len(both["key"])) >= count
    order = np.lexsort((both["address"], is_capture, both["check"], both["key"]))
    key, check, address = (both[name][order] for name in ("key", "check", "address"))
    is_capture = is_capture[order]
    living = np.concatenate([shown["shown"].to_numpy(), np.zeros(captured.num_rows, bool)])[order]
    new = np.ones(len(order), bool)
    new[1:] = (key[1:] != key[:-1]) | (check[1:] != check[:-1])
    starts = np.flatnonzero(new)
    if not len(starts):
        starts = np.zeros(0, np.int64)
        counts = first_capture = starts
    else:
        counts = np.add.reduceat(living.astype(np.int64), starts)
        positions = np.where(is_capture, np.arange(len(order)), len(order))
        first_capture = np.minimum.reduceat(positions, starts)
    home = address[starts]
    shown_at_all = ~is_capture[starts]
    captures = pa.array(
        np.append(address, 0)[np.minimum(first_capture, len(order))],
        mask=first_capture >= len(order),
    )
    found = pa.table(
        {
            "address": home,
            "key": key[starts],
            "check": check[starts],
            "count": pa.array(counts, pa.int32()),
            "capture": captures,
        }
    ).filter(pa.array(shown_at_all))
    homes = home[np.cumsum(new) - 1]
    away = ~is_capture & (homes // UNIT_ROWS != address // UNIT_ROWS)
    elsewhere = pa.table(
        {"address": address[away], "key": key[away], "check": check[away], "home": homes[away]}
    )
    return found, elsewhere


@dataclass(frozen=True)
class BirthTask(UnitPhase):
    """Make the image units whose home is a unit of documents."""

    living: str
    number: int
    found: tuple[str, ...]
    captures: tuple[tuple[str, str], ...]
    """Address and stem of each input that holds captures."""

    def run(self, worker: Worker) -> tuple[list[tuple[str, int, str]], float]:
        """Name, rows and the file that counts documents, for each image unit."""
        started = time.process_time()
        stage, operator = _joined(worker)
        folder = f"{groups_folder(stage)}/{self.living}"
        found = findings(
            worker.store, [f"{folder}/{name}.parquet" for name in self.found], self.number
        )
        urls = self._urls(worker, found)
        order = pa.array([row for row, _ in urls], pa.int64())
        rows = self._with_captures(worker, found.take(order), [url for _, url in urls])
        counts = found["count"].take(order).combine_chunks()
        born, homes = [], [found.schema.empty_table().select(["key", "check"])]
        units: list[str] = []
        places: list[int] = []
        for chunk, start in enumerate(range(0, rows.num_rows, operator.unit_images)):
            table = rows.slice(start, operator.unit_images)
            unit = f"{self.ref.unit}-i{chunk:03d}-{_digest(table)}"
            worker.store.write(f"units/{unit}.parquet", table)
            file = _write_counts(worker, unit, counts.slice(start, operator.unit_images))
            born.append((unit, table.num_rows, file))
            homes.append(found.take(order[start : start + table.num_rows]).select(["key", "check"]))
            units += [unit] * table.num_rows
            places += range(table.num_rows)
        table = pa.concat_tables(homes)
        table = table.append_column("unit", pa.array(units, pa.string()))
        table = table.append_column("place", pa.array(places, pa.int32()))
        worker.store.write(_homes_path(folder, self.number), table)
        return born, time.process_time() - started

    def _urls(self, worker: Worker, found: pa.Table) -> list[tuple[int, str]]:
        """The addresses in the order in which documents show them, with their row of `found`."""
        wanted = {
            (row, key, check): index
            for index, (row, key, check) in enumerate(
                zip(*(found[name].to_pylist() for name in ("row", "key", "check")), strict=True)
            )
        }
        rows = sorted({row for row, _, _ in wanted})
        nodes = _nodes(worker, self.files).take(pa.array(rows, pa.int64())).to_pylist()
        urls: list[tuple[int, str]] = []
        for row, document in zip(rows, nodes, strict=True):
            for url in (
                n["image_url"] for n in document if n["kind"] == "image" and n["image_url"]
            ):
                index = wanted.pop((row, *hashes_of(url)), None)
                if index is not None:
                    urls.append((index, url))
        return urls

    def _with_captures(self, worker: Worker, found: pa.Table, urls: list[str]) -> pa.Table:
        """Rows of the table of images, with the place of the capture where there is one."""
        capture = pc.fill_null(found["capture"], -1).to_numpy()
        rows: list[dict[str, Any]] = [{"image_url": url} for url in urls]
        for number in np.unique(capture[capture >= 0] // _CAPTURE_ROWS).tolist():
            uri, stem = self.captures[number]
            mine = np.flatnonzero(capture // _CAPTURE_ROWS == number)
            stored = worker.store.read(f"images/{stem}.parquet")
            taken = stored.take(pa.array(capture[mine] % _CAPTURE_ROWS)).to_pylist()
            for index, row in zip(mine.tolist(), taken, strict=True):
                kept = {name: row[name] for name in IMAGES.born.names if name in row}
                rows[index] = kept | rows[index] | {"capture_uri": uri}
        return pa.Table.from_pylist(rows, schema=IMAGES.born)


def _homes_path(folder: str, number: int) -> str:
    return f"{folder}/homes-{number}.parquet"


def _digest(table: pa.Table) -> str:
    text = repr(table.to_pylist()).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=6).hexdigest()


def _write_counts(worker: Worker, unit: str, counts: pa.Array) -> str:
    """The file of the stage that says how many living documents show each image."""
    stage = worker.plan.of(IMAGES.name).stages[0]
    states = pa.array([DONE] * len(counts), pa.uint8())
    errors = pa.nulls(len(counts), ERROR)
    table = pa.Table.from_arrays([counts, states, errors], schema=stored_schema(stage.operator))
    return worker.store.write_addressed(stage.folder, unit, table)


@dataclass(frozen=True)
class JoinTask(UnitPhase):
    """Tell a unit's documents what became of their images."""

    living: str
    number: int
    elsewhere: tuple[str, ...]

    def run(self, worker: Worker) -> tuple[str, float]:
        """Write the unit's file; its name and the CPU seconds."""
        started = time.process_time()
        stage, _ = _joined(worker)
        alive = _kept(worker, self.ref)
        nodes = pc.if_else(alive, _nodes(worker, self.files), None)
        is_image = _is_image(nodes)
        urls = pc.if_else(
            is_image, pc.struct_field(pc.list_flatten(nodes), "image_url"), None
        ).to_pylist()
        places = self._places(worker, stage)
        found = [places[hashes_of(url)] if url is not None else None for url in urls]
        dropped = _dropped_by(worker, [place for place in found if place is not None])
        reasons = [
            dropped[place] if place is not None else (_NO_ADDRESS if image else None)
            for place, image in zip(found, is_image.to_pylist(), strict=True)
        ]
        kept = [
            image and reason is None
            for image, reason in zip(is_image.to_pylist(), reasons, strict=True)
        ]
        parents = pc.list_parent_indices(nodes).to_numpy()
        counts = np.bincount(parents[np.array(kept, bool)], minlength=len(nodes))
        columns = [
            pc.if_else(alive, pa.array(counts, pa.int32()), None),
            relisted(pa.array(reasons, pa.string()), nodes),
            relisted(pa.array([place and place[0] for place in found], pa.string()), nodes),
            relisted(pa.array([place and place[1] for place in found], pa.int32()), nodes),
        ]
        states = pc.if_else(alive, pa.scalar(DONE, pa.uint8()), pa.scalar(PENDING, pa.uint8()))
        errors = pa.nulls(len(nodes), ERROR)
        schema = stored_schema(stage.operator)
        table = pa.Table.from_arrays([*columns, states, errors], schema=schema)
        file = worker.store.write_addressed(stage.folder, self.ref.unit, table)
        return file, time.process_time() - started

    def _places(self, worker: Worker, stage: Stage) -> dict[Key, Place]:
        """Where the table of images has each address that the unit's documents show."""
        folder = f"{groups_folder(stage)}/{self.living}"
        places = _read_homes(worker.store, folder, self.number)
        paths = [f"{folder}/{name}.parquet" for name in self.elsewhere]
        away = findings(worker.store, paths, self.number)
        units = pc.divide(away["home"], UNIT_ROWS)
        for number in pc.unique(units).to_pylist():
            keys = _keys(away.filter(pc.equal(units, number)))
            homes = _read_homes(worker.store, folder, number)
            places |= {key: homes[key] for key in keys}
        return places


def _keys(table: pa.Table) -> Iterator[Key]:
    return zip(table["key"].to_pylist(), table["check"].to_pylist(), strict=True)


def _read_homes(store: Store, folder: str, number: int) -> dict[Key, Place]:
    table = store.read(_homes_path(folder, number))
    places = zip(table["unit"].to_pylist(), table["place"].to_pylist(), strict=True)
    return dict(zip(_keys(table), places, strict=True))


def _dropped_by(worker: Worker, places: list[Place]) -> dict[Place, str | None]:
    """What dropped each image; None where it was kept."""
    folder = worker.plan.of(IMAGES.name).folder
    reasons = {
        unit: worker.store.read(f"{folder}/{unit}.parquet", ["dropped_by"])[
            "dropped_by"
        ].to_pylist()
        for unit in dict.fromkeys(unit for unit, _ in places)
    }
    return {(unit, row): reasons[unit][row] for unit, row in places}


class ImageTable:
    """The images of one corpus: their birth, and what documents learn of them."""

    def __init__(
        self, store: Store, plan: Plan, refs: list[UnitRef], records: list[UnitRecord]
    ) -> None:
        assert plan.joined is not None  # without that stage nobody asks for images
        self.store, self.plan, self.refs, self.records = store, plan, refs, records
        self.index = plan.joined
        self.stage = plan.stages[plan.joined]
        operator = self.stage.operator
        assert isinstance(operator, ImageVerdicts)
        self.partitions = operator.partitions
        self.folder = groups_folder(self.stage)
        self.files = {record.unit: record.files for record in records}
        self.cpu_seconds = 0.0
        self.living = ""
        self.of = 1

    def birth(self, inputs: list[InputRecord], run_tasks: RunTasks) -> Born:
        """The image units of each unit of documents."""
        sources = {found.stem: found for found in inputs if found.images}
        names = [self._records_of(record) for record in self.records]
        self.living = fingerprint(names, sorted(sources), self.partitions)
        state = self.store.read_json(f"{self.folder}/{self.living}/done.json")
        if state is not None and self._holds(state["born"]):
            self.of = state["of"]
            return {unit: [tuple(row) for row in rows] for unit, rows in state["born"].items()}
        parts = self._shown(names, run_tasks)
        captures = self._captured(list(sources.values()), run_tasks)
        self._gather(tuple(parts), tuple(captures), run_tasks)
        places = tuple((found.uri, found.stem) for found in sources.values())
        tasks = [
            BirthTask(
                DOCUMENTS.name, self.index, ref, self.files[ref.unit], self.living, number,
                self._names("found"), places,
            )
            for number, ref in enumerate(self.refs)
        ]  # fmt: skip
        found: Born = {}
        for task, (rows, seconds) in run_tasks("images: born", tasks):
            found[task.ref.unit] = rows
            self.cpu_seconds += seconds
        born = {ref.unit: found[ref.unit] for ref in self.refs}
        kept = [asdict(part) | {"root": ""} for part in (*parts, *captures)]
        state = {"born": born, "of": self.of, "parts": kept}
        self.store.write_json(f"{self.folder}/{self.living}/done.json", state)
        return born

    def join(self, run_tasks: RunTasks) -> dict[str, StageRecord]:
        """The file of each unit of documents that says which of its images were kept."""
        tasks = [
            JoinTask(
                DOCUMENTS.name, self.index, ref, self.files[ref.unit], self.living, number,
                self._names("elsewhere"),
            )
            for number, ref in enumerate(self.refs)
        ]  # fmt: skip
        files: dict[str, str] = {}
        for task, (file, seconds) in run_tasks("images: joined", tasks):
            files[task.ref.unit] = file
            self.cpu_seconds += seconds
        share_of = self.cpu_seconds / max(len(files), 1)
        kept = {record.unit: record.kept for record in self.records}
        return {
            unit: StageRecord(files[unit], computed=kept[unit], cpu_seconds=share_of)
            for unit in (ref.unit for ref in self.refs)
        }

    def _records_of(self, record: UnitRecord) -> str:
        file = record.stages[self.stage.origins["nodes"]].file
        return f"{record.unit}-{fingerprint(record.alive_digest, file)}"

    def _holds(self, born: Born) -> bool:
        """Whether the image units and their counts are all there."""
        assert self.plan.inner is not None
        rows = [row for units in born.values() for row in units]
        counted = set(self.store.names(self.plan.inner.stages[0].folder))
        units = set(self.store.names("units"))
        return {row[2] for row in rows} <= counted and {row[0] for row in rows} <= units

    def _names(self, kind: str) -> tuple[str, ...]:
        return tuple(_found(kind, number, self.of) for number in range(self.of))

    def _shown(self, names: list[str], run_tasks: RunTasks) -> list[Part]:
        tasks = [
            ShowTask(DOCUMENTS.name, self.index, ref, self.files[ref.unit], name)
            for ref, name in zip(self.refs, names, strict=True)
        ]
        return self._parts("images: shown", tasks, run_tasks)

    def _captured(self, inputs: list[InputRecord], run_tasks: RunTasks) -> list[Part]:
        tasks = [CaptureTask(found.stem, found.images) for found in inputs]
        return self._parts("images: captured", tasks, run_tasks)

    def _parts(self, phase: str, tasks: Sequence[Any], run_tasks: RunTasks) -> list[Part]:
        parts, seconds = made_parts(self.store, self.folder, phase, tasks, run_tasks)
        self.cpu_seconds += seconds
        return parts

    def _gather(
        self, parts: tuple[Part, ...], captures: tuple[Part, ...], run_tasks: RunTasks
    ) -> None:
        self.of = gathering_tasks(self.partitions, (*parts, *captures))
        listed = set(self.store.names(f"{self.folder}/{self.living}"))
        tasks = [
            HomeTask(
                DOCUMENTS.name, self.index, self.living, parts, self.of, number, captures
            )
            for number in range(self.of)
            if _found("found", number, self.of) not in listed
        ]  # fmt: skip
        for _, seconds in run_tasks("images: homes", tasks):
            self.cpu_seconds += seconds
