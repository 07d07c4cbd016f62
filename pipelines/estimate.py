"""What a run would do and cost: measured on a small sample, nothing is written."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from operators.asking import Asks
from operators.base import ERROR_COLUMN, EngineMade, Operator
from operators.sources import FolderSource, Page, Picture, PooledPicture
from pipelines.backend import cpu_count
from pipelines.jobfile import JobFile
from pipelines.plan import PAYLOADS, Input, Plan, compile_plan
from pipelines.seen import archived_images
from pipelines.store import Store, born_in, by_unit
from pipelines.summary import input_keys, unit_refs
from schemas.tables import DOCUMENTS, IMAGES, PICTURES

_PAGE = PAYLOADS[DOCUMENTS.name]
_DENSITY_PAGES = 50
_SAMPLED_INPUTS = 4
_WORTH_TELLING = 0.001
"""CPU seconds a document from which a stage's place matters."""
_DEARER = 2.0
"""A stage is called dearer than the next when it costs at least this many times as much."""


@dataclass(frozen=True)
class StageEstimate:
    """One stage of a plan: its contract, its cost, and what is there already."""

    name: str
    operator: str
    reads: list[str]
    writes: list[str]
    rules: list[str]
    units_stored: int
    units_to_compute: int
    ms_per_document: float | None
    seconds: float | None
    """CPU seconds for the documents to compute."""
    asks: str | None = None
    """The model that the stage asks; its time is the model's, and nobody is asked here."""


@dataclass(frozen=True)
class Estimate:
    """A plan's cost on paper. `exact` is False while inputs are not indexed yet."""

    plan: Plan
    documents: int
    exact: bool
    units: int
    units_done: int
    sampled: int
    workers: int
    stages: list[StageEstimate]
    warnings: list[str]


def estimate(jobfile: JobFile, sample: int) -> Estimate:
    """Plan the job and time its stages on up to `sample` documents of its first input.

    Raises:
        JobError: the job is wrong.
    """
    plan = compile_plan(jobfile)
    store = Store(jobfile.job.store)
    keys = input_keys(plan)
    records = [store.input_record(key) for key, _ in keys]
    known = [record for record in records if record is not None]
    refs = unit_refs(known)
    sampled, costs = _time_stages(plan, sample) if sample else (0, {})
    documents = sum(ref.rows for ref in refs)
    unknown = [
        (entry, size)
        for entry, (_, size), record in zip(plan.inputs, keys, records, strict=True)
        if record is None
    ]
    guesses = _guesses(plan, unknown)
    documents += sum(guesses)
    done = set(store.names(plan.folder)) & {ref.unit for ref in refs}
    unit_rows = jobfile.job.unit_rows
    units = len(refs) + sum(1 + guess // unit_rows for guess in guesses)
    stages = []
    for stage in plan.every_stage:
        table = plan.of(plan.table_of(stage.name))
        stored = by_unit(store.names(stage.folder))
        have = {born_in(unit) for unit in stored} & {ref.unit for ref in refs}
        share = 1 - len(have) / units if units else 0.0
        cost = costs.get(stage.name)
        stages.append(
            StageEstimate(
                stage.name,
                stage.operator.name,
                stage.operator.needs().names,
                stage.operator.writes.names,
                [rule.name for rule in table.rules_after(table.stage_index(stage.name))],
                len(have),
                units - len(have),
                cost * 1000 if cost is not None else None,
                cost * documents * share if cost is not None else None,
                operator.model.name if isinstance(operator := stage.operator, Asks) else None,
            )
        )
    workers = jobfile.job.on.workers
    return Estimate(
        plan,
        documents,
        not unknown,
        units,
        len(done),
        sampled,
        cpu_count() if workers is None else max(workers, 1),
        stages,
        _warnings(plan, costs),
    )


def _guesses(plan: Plan, unknown: Sequence[tuple[Input, int]]) -> list[int]:
    """Rows of each input that is not indexed yet, of a size in bytes: pictures are counted."""
    if plan.table == PICTURES:
        return [_count(entry) for entry, _ in unknown]
    density = _density(*unknown[0]) if unknown else 0.0
    return [_guess(density, size) for _, size in unknown]


def _count(entry: Input) -> int:
    """How many pictures a list names, or a folder holds; files of a folder are not opened."""
    if isinstance(entry.source, FolderSource):
        return len(entry.source.files(entry.uri))
    return sum(isinstance(row, PooledPicture) for row in entry.source.index(entry.uri))


def _density(entry: Input, size: int) -> float:
    """Documents a byte, at the beginning of an input of `size` bytes."""
    found = (page for page in entry.source.index(entry.uri) if isinstance(page, Page))
    pages = list(islice(found, _DENSITY_PAGES))
    if not pages:
        return 0.0
    end = pages[-1].source_offset
    share = end / size if end and len(pages) == _DENSITY_PAGES else 1.0
    return len(pages) / share / max(size, 1)


def _guess(density: float, missing: int) -> int:
    """Documents in `missing` bytes of inputs."""
    return max(1, round(density * missing)) if density else 0


def _time_stages(plan: Plan, sample: int) -> tuple[int, dict[str, float]]:
    """How many pages were sampled, and the CPU seconds a document of each stage.

    Stages over images are timed on images that the inputs hold; nobody is asked for any. Stages
    that ask models are not timed, nor are those over instructions, which models are yet to write.
    """
    costs = {}
    if plan.table == PICTURES:
        pages = _pooled(plan, sample)
        rows = {PICTURES.name: pages}
        shown = 1.0
    else:
        pages = _pages(plan, sample)
        readable = pages.filter(pc.is_valid(pages[_PAGE]))
        rows = {DOCUMENTS.name: readable, IMAGES.name: _pictures(plan, sample)}
        shown = 0.0  # images a document
    for stage in plan.every_stage:
        table = stage.operator.table
        operator = stage.operator.model_copy(update=dict(stage.operator.offline))
        if isinstance(operator, EngineMade | Asks) or table not in rows or not len(rows[table]):
            continue
        cost, result = _timed(operator, rows[table])
        costs[stage.name] = cost * (shown if table == IMAGES.name else 1.0)
        for field in operator.writes:
            if field.name not in rows[table].column_names:
                rows[table] = rows[table].append_column(field, result[field.name])
        if ERROR_COLUMN in result.column_names:
            rows[table] = rows[table].filter(pc.is_null(result[ERROR_COLUMN]))
        if "nodes" in operator.writes.names:
            urls = pc.struct_field(pc.list_flatten(result["nodes"]), "image_url")
            shown = (len(urls) - urls.null_count) / max(rows[table].num_rows, 1)
    return pages.num_rows, costs


def _timed(operator: Operator[Any], rows: pa.Table) -> tuple[float, pa.Table]:
    """CPU seconds a row, and the result. What documents see of images is null here."""
    for field in operator.needs():
        if field.name not in rows.column_names:
            rows = rows.append_column(field, pa.nulls(rows.num_rows, field.type))
    state = operator.setup()
    batch = rows.select(operator.needs().names)
    operator.measure(batch.slice(0, 2), state)  # imports and caches
    started = time.process_time()
    result = operator.measure(batch, state)
    return (time.process_time() - started) / max(rows.num_rows, 1), result


def _pages(plan: Plan, sample: int) -> pa.Table:
    """The first pages of a few inputs, with their bytes."""
    tables, wanted = [], sample
    share = -(-sample // min(len(plan.inputs), _SAMPLED_INPUTS))
    for entry in plan.inputs[:_SAMPLED_INPUTS]:
        found = (page for page in entry.source.index(entry.uri) if isinstance(page, Page))
        pages = [asdict(page) for page in islice(found, min(share, wanted))]
        wanted -= len(pages)
        rows = pa.Table.from_pylist(pages, schema=DOCUMENTS.born)
        payload = entry.source.payload(entry.uri, rows)
        tables.append(rows.append_column(payload.schema.field(0), payload[_PAGE]))
    return pa.concat_tables(tables)


def _pooled(plan: Plan, sample: int) -> pa.Table:
    """The first pictures of a few inputs, with their bytes where an input holds them."""
    found: list[dict[str, Any]] = []
    share = -(-sample // min(len(plan.inputs), _SAMPLED_INPUTS))
    for entry in plan.inputs[:_SAMPLED_INPUTS]:
        rows = (row for row in entry.source.index(entry.uri) if isinstance(row, PooledPicture))
        found += [asdict(row) for row in islice(rows, min(share, sample - len(found)))]
    table = pa.Table.from_pylist(found, schema=PICTURES.born)
    return table.append_column(PAYLOADS[PICTURES.name], archived_images(plan.inputs, table))


def _pictures(plan: Plan, sample: int) -> pa.Table:
    """The first images that a few inputs hold, with their bytes; none if nobody wants images."""
    found: list[dict[str, Any]] = []
    share = -(-sample // min(len(plan.inputs), _SAMPLED_INPUTS))
    for entry in plan.inputs[:_SAMPLED_INPUTS] if plan.inner else ():
        pictures = (row for row in entry.source.index(entry.uri) if isinstance(row, Picture))
        found += [asdict(row) | {"capture_uri": entry.uri} for row in islice(pictures, share)]
    rows = pa.Table.from_pylist(found, schema=IMAGES.born)
    rows = rows.append_column(PAYLOADS[IMAGES.name], archived_images(plan.inputs, rows))
    return rows.append_column("image_document_count", pa.array([1] * len(found), pa.int32()))


def _warnings(plan: Plan, costs: dict[str, float]) -> list[str]:
    """Stages that could run later: dearer than one with rules that does not need them."""
    warnings, of = [], "picture" if plan.table == PICTURES else "document"
    for index, stage in enumerate(plan.every_stage):
        for later in plan.every_stage[index + 1 :]:
            other_table = plan.table_of(later.name) != plan.table_of(stage.name)
            if other_table or later.name in plan.joins:
                continue
            table = plan.of(plan.table_of(later.name))
            rules = table.rules_after(table.stage_index(later.name))
            if later.name in plan.dependants(stage.name) or not rules:
                continue
            dear, cheap = costs.get(stage.name, 0), costs.get(later.name, 0)
            if dear > _WORTH_TELLING and dear > _DEARER * cheap > 0:
                warnings.append(
                    f"'{stage.name}' ({dear * 1000:.1f} ms a {of}) runs before "
                    f"'{later.name}' ({cheap * 1000:.1f} ms), which does not need it and has "
                    "rules: put the cheaper stage first"
                )
    return warnings
