"""A finished corpus, to look into: polars frames, documents with their verdicts, images.

corpus = open_corpus("build/demo")
corpus.documents("url", "lang", "word_count")      # a frame, with `kept` and `dropped_by`
corpus.document("https://…").verdicts              # what every rule said, with its values
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import polars as pl
import pyarrow as pa

from operators.registry import SOURCES
from operators.rules import LEVELS, Comparison, Expression, parse
from operators.sources import ADDRESS
from pipelines.instruction_table import born_units
from pipelines.interleaved import INTERLEAVED
from pipelines.plan import RECIPES
from pipelines.render import document_html
from pipelines.seen import PICTURE_ROW
from pipelines.store import (
    ERRORS,
    InputRecord,
    RuleRecord,
    StageRecord,
    Store,
    UnitRecord,
    born_in,
)
from pipelines.summary import BORN, Summary, read_records, unit_refs
from schemas.errors import CorpusError, did_you_mean
from schemas.tables import IMAGES, INSTRUCTIONS, PICTURES, Table


@dataclass(frozen=True)
class Verdict:
    """What a rule said of a document: `passed` is None when the rule was not asked any more."""

    rule: str
    stage: str
    table: str
    text: str
    passed: bool | None
    values: dict[str, Any]
    comparisons: tuple[Comparison, ...]
    nodes_dropped: tuple[int, ...] = ()
    """Node rules: positions of the nodes that the rule drops."""

    @property
    def thresholds(self) -> str:
        """The measured values beside the thresholds: `word_count = 12 (< 50)`.

        Empty for a node rule, whose values are lists.
        """
        if self.table == "nodes":
            return ""
        shown = [
            f"{c.column} = {_short(self.values.get(c.column))} ({c.operator} {_short(c.threshold)})"
            for c in self.comparisons
        ]
        return ", ".join(shown)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class Document:
    """One document with everything measured and decided about it. Renders in notebooks."""

    values: dict[str, Any]
    kept: bool
    dropped_by: str | None
    verdicts: tuple[Verdict, ...]
    errors: dict[str, str]
    """Stages that failed on it, with class and message."""
    nodes_kept: tuple[bool, ...]
    corpus: Corpus

    @property
    def doc_id(self) -> str:
        """The document's identity."""
        return str(self.values["doc_id"])

    @property
    def url(self) -> str:
        """Where it was captured."""
        return str(self.values["url"])

    @property
    def nodes(self) -> list[dict[str, Any]]:
        """Text blocks and images in reading order; empty when extraction failed."""
        return self.values.get("nodes") or []

    @property
    def text(self) -> str:
        """The text of the nodes that no rule dropped."""
        pairs = zip(self.nodes, self.nodes_kept, strict=True)
        return "\n\n".join(node["text"] for node, kept in pairs if kept and node["text"])

    def _repr_html_(self) -> str:
        return document_html(self)


class TableView:
    """The rows of one of a corpus's tables, with their verdicts."""

    def __init__(self, store: Store, reference: dict[str, Any], table: Table) -> None:
        self.store, self.table = store, table
        self.stages: list[dict[str, Any]] = reference["stages"]
        self.rules: list[dict[str, Any]] = reference["rules"]
        self.folder: str = reference["verdicts"]

    @property
    def columns(self) -> list[str]:
        """Every column that a row has."""
        return [*self.table.born.names, *(c for stage in self.stages for c in stage["columns"])]

    def records(self, units: Iterable[str]) -> list[UnitRecord]:
        """The records of those of the units that are done."""
        done = set(self.store.names(self.folder))
        return read_records(self.store, self.folder, [unit for unit in units if unit in done])

    def paths(self, record: UnitRecord) -> dict[str, str]:
        """The file of each column of a unit."""
        paths = dict.fromkeys(self.table.born.names, f"units/{record.unit}.parquet")
        for stage in self.stages:
            path = f"{stage['folder']}/{record.stages[stage['name']].file}.parquet"
            paths |= dict.fromkeys(stage["columns"], path)
        return paths

    def verdicts(self, record: UnitRecord) -> pa.Table:
        """What was decided about each row of a unit."""
        return self.store.read(f"{self.folder}/{record.unit}.parquet")

    def frame(
        self, records: Iterable[UnitRecord], names: Sequence[str], *, kept: bool | None
    ) -> pl.DataFrame:
        """The named columns (default: those that rows are born with), `kept` and `dropped_by`.

        Raises:
            CorpusError: no such column.
        """
        names = list(names or self.table.born.names)
        for name in names:
            if name not in self.columns:
                raise CorpusError(f"no column '{name}'; {did_you_mean(name, self.columns)}")
        parts = [self._unit(record, names, kept=kept) for record in records]
        if not parts:
            return pl.DataFrame(schema=[*names, "kept", "dropped_by"])
        frame = pl.from_arrow(pa.concat_tables(parts))
        assert isinstance(frame, pl.DataFrame)  # from_arrow of a table
        return frame

    def _unit(self, record: UnitRecord, names: list[str], *, kept: bool | None) -> pa.Table:
        verdicts = self.verdicts(record)
        table = self.store.zipped(self.paths(record), names)
        for name in ("kept", "dropped_by"):
            table = table.append_column(name, verdicts[name])
        return table if kept is None else table.filter(pa.compute.equal(table["kept"], kept))


class Corpus:
    """A job's corpus in its store. Nothing is read before it is asked for."""

    def __init__(self, store: Store, reference: dict[str, Any]) -> None:
        self.store, self.reference = store, reference
        self.job: str = reference["job"]
        recipe = RECIPES.get(reference["recipe"], INTERLEAVED)
        self._documents_view = TableView(store, reference, recipe.table)
        self._last_bytes: tuple[str, Any] = ("", None)
        self.stages, self.rules = self._documents_view.stages, self._documents_view.rules

    def __repr__(self) -> str:
        count = self.summary.documents
        return f"Corpus({self.store.files.root!r}, job={self.job!r}, {count} documents)"

    @property
    def columns(self) -> list[str]:
        """Every column that a document (or picture) has."""
        return self._documents_view.columns

    @cached_property
    def summary(self) -> Summary:
        """The funnel: how many documents came in, what each rule dropped, what was kept."""
        done = self.reference.get("done")
        if done:
            return Summary.from_dict(done["summary"])
        return Summary.of(self._inputs, self.records)

    @cached_property
    def _inputs(self) -> list[InputRecord]:
        records = (self.store.input_record(key) for key in self.reference["inputs"])
        return [record for record in records if record is not None]

    @cached_property
    def records(self) -> list[UnitRecord]:
        """Records of the units that are done, in corpus order."""
        return self._documents_view.records(ref.unit for ref in unit_refs(self._inputs))

    # Frames

    def documents(self, *columns: str, kept: bool | None = None) -> pl.DataFrame:
        """A frame of the named columns (default: those born with the document) plus `kept` and
        `dropped_by`; `kept` limits it to kept or to dropped documents.

        Raises:
            CorpusError: no such column.
        """
        return self._documents_view.frame(self.records, columns, kept=kept)

    def funnel(self) -> pl.DataFrame:
        """One row a stage's errors and a rule, in order: asked, dropped, first to drop, left."""
        return _funnel(self._documents_view, self.summary, self.summary.documents)

    def image_funnel(self) -> pl.DataFrame:
        """The same for the images that documents show; no rows where a job measures none."""
        if self.images_view is None:
            return pl.DataFrame(schema=_FUNNEL)
        return _funnel(self.images_view, self.summary, self.summary.images)

    # Documents

    def __iter__(self) -> Iterator[Document]:
        for record in self.records:
            yield from self._documents(record, range(record.rows))

    def kept(self, limit: int | None = None) -> list[Document]:
        """The first `limit` documents that were kept."""
        return self._where(lambda dropped_by: dropped_by is None, limit)

    def dropped(self, limit: int | None = None, by: str | None = None) -> list[Document]:
        """The first `limit` documents that were dropped, by the rule `by` if it is given."""
        return self._where(lambda reason: reason is not None and by in (None, reason), limit)

    def _where(self, wanted: Any, limit: int | None) -> list[Document]:
        found: list[Document] = []
        for record in self.records:
            reasons = self._documents_view.verdicts(record)["dropped_by"].to_pylist()
            rows = [row for row, reason in enumerate(reasons) if wanted(reason)]
            room = len(rows) if limit is None else limit - len(found)
            found.extend(self._documents(record, rows[:room]))
            if limit is not None and len(found) >= limit:
                break
        return found

    def document(self, doc_id_or_url: str) -> Document:
        """The document with this identity or address; of several captures, the last.

        Raises:
            CorpusError: there is none.
        """
        found = self.find(doc_id_or_url)
        if not found:
            raise CorpusError(
                f"no document '{doc_id_or_url}' in {self.store.files.root} (job {self.job}); "
                "give a doc_id, or the URL exactly as captured"
            )
        return found[-1]

    def find(self, doc_id_or_url: str) -> list[Document]:
        """All documents with this identity or address, in corpus order."""
        found: list[Document] = []
        for record in self.records:
            keys = self.store.read(f"units/{record.unit}.parquet", ["doc_id", "url"])
            pairs = zip(keys["doc_id"].to_pylist(), keys["url"].to_pylist(), strict=True)
            rows = [row for row, pair in enumerate(pairs) if doc_id_or_url in pair]
            if rows:
                found.extend(self._documents(record, rows))
        return found

    def _documents(self, record: UnitRecord, rows: Iterable[int]) -> Iterator[Document]:
        chosen = pa.array(rows, pa.int64())
        if not len(chosen):
            return
        values = (
            self.store.zipped(self._documents_view.paths(record), self.columns)
            .take(chosen)
            .to_pylist()
        )
        verdicts = self._documents_view.verdicts(record).take(chosen).to_pylist()
        errors = {
            stage["name"]: self.store.read(
                f"{stage['folder']}/{record.stages[stage['name']].file}.parquet", [ERRORS]
            )[ERRORS]
            .take(chosen)
            .to_pylist()
            for stage in self.stages
        }
        for index, (value, verdict) in enumerate(zip(values, verdicts, strict=True)):
            failed = {
                name: _message(found[index]) for name, found in errors.items() if found[index]
            }
            yield self._document(value, verdict, failed)

    def _document(
        self, values: dict[str, Any], row: dict[str, Any], errors: dict[str, str]
    ) -> Document:
        nodes = values.get("nodes") or []
        masks = row.get("nodes_kept") or [True] * len(nodes)
        verdicts = tuple(self._verdict(rule, values, row) for rule in self.rules)
        dropped_by = row["dropped_by"]
        return Document(values, row["kept"], dropped_by, verdicts, errors, tuple(masks), self)

    def _verdict(
        self, rule: dict[str, Any], values: dict[str, Any], row: dict[str, Any]
    ) -> Verdict:
        expression = self._expressions[rule["name"]]
        answer = row[f"rule.{rule['name']}"]
        dropped: tuple[int, ...] = ()
        if isinstance(answer, list):
            dropped = tuple(i for i, passed in enumerate(answer) if not passed)
            answer = not dropped
        text = f"{'keep' if rule['keeps'] else 'drop'}: {rule['expression']}"
        measured = {name: values[name] for name in expression.columns}
        return Verdict(
            rule["name"], rule["stage"], rule["table"], text, answer, measured,
            expression.comparisons, dropped,
        )  # fmt: skip

    @cached_property
    def _expressions(self) -> dict[str, Expression]:
        """The rules' conditions by rule name, parsed once for all documents."""
        return {r["name"]: parse(r["expression"], LEVELS[r["table"]]) for r in self.rules}

    # Images

    @cached_property
    def images_view(self) -> TableView | None:
        found = self.reference.get("images")
        return TableView(self.store, found, IMAGES) if found else None

    @cached_property
    def image_records(self) -> list[UnitRecord]:
        """Records of the units of images, in the order of the documents that show them first."""
        for group in self.reference.get("done", {}).get("groups", {}).values():
            state = self.store.read_json(f"{group['folder']}/{group['living']}/done.json")
            if self.images_view is not None and "born" in state:
                born = (name for rows in state["born"].values() for name, _, _ in rows)
                return self.images_view.records(born)
        return []

    def images(self, *columns: str, kept: bool | None = None) -> pl.DataFrame:
        """A frame of the images that documents show, one row an address, as `documents` does.

        Where the job is made of pictures, of these.

        Raises:
            CorpusError: no such column, or no stage of the job is over images.
        """
        if self._documents_view.table == PICTURES:
            return self.documents(*columns, kept=kept)
        if self.images_view is None:
            raise CorpusError(
                f"job '{self.job}' measures no images; see captures() for those in its inputs"
            )
        return self.images_view.frame(self.image_records, columns, kept=kept)

    # Instructions

    @cached_property
    def instructions_view(self) -> TableView:
        """The table of instructions.

        Raises:
            CorpusError: the job makes none.
        """
        found = self.reference.get(INSTRUCTIONS.name)
        if found is None:
            raise CorpusError(f"job '{self.job}' makes no instructions")
        return TableView(self.store, found, INSTRUCTIONS)

    @cached_property
    def instruction_records(self) -> list[UnitRecord]:
        """Records of the units of instructions, in the order of their pictures."""
        groups = self.reference.get("done", {}).get("groups", {})
        return self.instructions_view.records(born_units(self.store, groups))

    def instructions(self, *columns: str, kept: bool | None = None) -> pl.DataFrame:
        """A frame of instructions, as `documents` does; columns of their pictures are known too.

        Raises:
            CorpusError: no such column, or the job makes no instructions.
        """
        view = self.instructions_view
        names = list(columns or view.table.born.names)
        parts = [self.instructions_of(record, names) for record in self.instruction_records]
        frame = pl.concat(parts) if parts else pl.DataFrame(schema=[*names, "kept", "dropped_by"])
        return frame if kept is None else frame.filter(pl.col("kept") == kept)

    def instructions_of(self, record: UnitRecord, names: Sequence[str]) -> pl.DataFrame:
        """The same of one unit of instructions, all of its rows in order.

        Raises:
            CorpusError: no such column.
        """
        view = self.instructions_view
        own = [name for name in names if name in view.columns]
        of_picture = [name for name in names if name not in view.columns]
        frame = view.frame([record], list(dict.fromkeys([*own, PICTURE_ROW])), kept=None)
        if of_picture:
            home = next(r for r in self.records if r.unit == born_in(record.unit))
            pictures = self._documents_view.frame([home], of_picture, kept=None)
            frame = frame.hstack(pictures.select(of_picture)[frame[PICTURE_ROW].to_list()])
        return frame.select(*names, "kept", "dropped_by")

    @cached_property
    def _captures(self) -> dict[str, tuple[int, dict[str, Any]]]:
        rows: dict[str, tuple[int, dict[str, Any]]] = {}
        for number, found in enumerate(self._inputs):
            if found.images:
                for row in self.store.read(f"images/{found.stem}.parquet").to_pylist():
                    rows.setdefault(row["image_url"], (number, row))
        return rows

    def captures(self) -> pl.DataFrame:
        """The image captures that the inputs hold, one row a URL."""
        return pl.DataFrame([row for _, row in self._captures.values()])

    @property
    def _table_of_images(self) -> tuple[TableView | None, list[UnitRecord]]:
        """The table of images, which may be the job's own, and the records of its units."""
        if self._documents_view.table == PICTURES:
            return self._documents_view, self.records
        return self.images_view, self.image_records

    @cached_property
    def _fetched(self) -> dict[str, tuple[UnitRecord, int]]:
        """Where each image's row is."""
        found: dict[str, tuple[UnitRecord, int]] = {}
        view, records = self._table_of_images
        if view is not None and "image_data" in view.columns:
            for record in records:
                urls = self.store.read(f"units/{record.unit}.parquet", ["image_url"])["image_url"]
                found |= {url: (record, row) for row, url in enumerate(urls.to_pylist())}
        return found

    def image(self, url: str) -> bytes | None:
        """The bytes of an image as fetched, or as the inputs hold it; None when there are none."""
        view, _ = self._table_of_images
        if view is not None and url in self._fetched:
            record, row = self._fetched[url]
            path = view.paths(record)["image_data"]
            data: bytes | None = self._bytes(path)[row].as_py()
            if data is not None:
                return data
        return self._captured(url)

    def _bytes(self, path: str) -> pa.ChunkedArray:
        """The bytes of a unit's images; those of the last unit asked for stay at hand."""
        if self._last_bytes[0] != path:
            self._last_bytes = (path, self.store.read(path, ["image_data"])["image_data"])
        return self._last_bytes[1]

    def _captured(self, url: str) -> bytes | None:
        if url not in self._captures:
            return None
        number, row = self._captures[url]
        found = self._inputs[number]
        config = {name: value for name, value in found.source.items() if name != "name"}
        source = SOURCES[found.source["name"]].model_validate(config)
        address = pa.table({name: [row.get(name, url)] for name in ADDRESS})
        result = next(source.read(found.uri, address), None)
        return None if isinstance(result, Exception) else result


_FUNNEL = ["stage", "rule", "condition", "asked", "dropped", "first", "left"]


def _funnel(view: TableView, summary: Summary, left: int) -> pl.DataFrame:
    """The rows of the funnel of one table, which begins with `left` rows."""
    rows: list[tuple[Any, ...]] = []
    for stage in ({"name": BORN}, *view.stages):
        failed = summary.stages.get(stage["name"], StageRecord("")).failed
        left -= failed
        if failed:
            rows.append((stage["name"], "error", "", left + failed, failed, failed, left))
        for rule in (r for r in view.rules if r["stage"] == stage["name"]):
            counts = summary.rules.get(rule["name"], RuleRecord())
            if rule["table"] != "nodes":
                left -= counts.first
            text = f"{'keep' if rule['keeps'] else 'drop'}: {rule['expression']}"
            if rule["table"] == "nodes":
                text = f"nodes, {text}"
            row = (rule["name"], text, counts.asked, counts.dropped, counts.first, left)
            rows.append((stage["name"], *row))
    return pl.DataFrame(rows, schema=_FUNNEL, orient="row")


def _message(error: dict[str, str]) -> str:
    return f"{error['type']}: {error['message']}"


def open_corpus(path: str, job: str | None = None) -> Corpus:
    """The corpus that a job made in the store at `path` (a folder or s3://bucket/prefix).

    `job` names it where the store holds several.

    Raises:
        CorpusError: the store holds no such corpus.
    """
    store = Store(str(path))
    listed = (info.path for info in store.files.list("jobs"))
    names = [p.rpartition("/")[2].removesuffix(".json") for p in listed if p.endswith(".json")]
    if not names:
        raise CorpusError(f"{path} holds no corpus; make one with 'omniloom run JOB.yaml'")
    if job is None and len(names) > 1:
        raise CorpusError(f"{path} holds several jobs ({', '.join(names)}); say which: job=…")
    chosen = job or names[0]
    if chosen not in names:
        raise CorpusError(f"{path} holds no job '{chosen}'; {did_you_mean(chosen, names)}")
    return Corpus(store, store.read_json(f"jobs/{chosen}.json"))
