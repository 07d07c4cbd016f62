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
from operators.sources import ADDRESS
from pipelines.instruction_table import instruction_unit, writers
from pipelines.interleaved import INTERLEAVED
from pipelines.plan import RECIPES
from pipelines.render import document_html
from pipelines.rows import Instruction, JudgedRow, PictureRow, TableView, no_rows
from pipelines.seen import PICTURE_ROW
from pipelines.store import InputRecord, RuleRecord, StageRecord, Store, UnitRecord, born_in
from pipelines.summary import BORN, Summary, unit_refs
from schemas.errors import CorpusError, did_you_mean
from schemas.tables import IMAGES, INSTRUCTIONS, PICTURES


@dataclass(frozen=True)
class Document(JudgedRow):
    """One document with everything measured and decided about it. Renders in notebooks."""

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
        rows = f"{self.summary.documents} {self._documents_view.table.name}"
        if self.makes_instructions:
            rows += f", {self.summary.images} {INSTRUCTIONS.name}"
        return f"Corpus({self.store.files.root!r}, job={self.job!r}, {rows})"

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
        inner = self.instruction_records if self.makes_instructions else []
        return Summary.of(self._inputs, self.records, inner)

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
        if self._documents_view.table is PICTURES:
            raise CorpusError(
                f"job '{self.job}' is over pictures, not documents; see picture(image_url) and "
                "instruction(instruction_id)"
            )
        for fields, row in self._documents_view.judged(record, rows):
            nodes = fields["values"].get("nodes") or []
            masks = row.get("nodes_kept") or [True] * len(nodes)
            yield Document(**fields, nodes_kept=tuple(masks), corpus=self)

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

    @property
    def makes_instructions(self) -> bool:
        """Whether the corpus is one of pictures and instructions about them."""
        return INSTRUCTIONS.name in self.reference

    @cached_property
    def instruction_records(self) -> list[UnitRecord]:
        """Records of the units of instructions, in the order of their pictures."""
        wrote = writers((stage["name"], stage["columns"]) for stage in self.stages)
        return self.instructions_view.records(
            instruction_unit(record, wrote) for record in self.records
        )

    def instruction_funnel(self) -> pl.DataFrame:
        """The funnel of the instructions about the pictures that were kept, as `funnel` is."""
        return _funnel(self.instructions_view, self.summary, self.summary.images)

    def instructions(self, *columns: str, kept: bool | None = None) -> pl.DataFrame:
        """A frame of instructions, as `documents` does; columns of their pictures are known too.

        Raises:
            CorpusError: no such column, or the job makes no instructions.
        """
        view = self.instructions_view
        names = list(columns or view.table.born.names)
        parts = [self.instructions_of(record, names) for record in self.instruction_records]
        frame = pl.concat(parts) if parts else no_rows(names)
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

    def instruction(self, instruction_id: str) -> Instruction:
        """The instruction with this identity, with its picture.

        Raises:
            CorpusError: there is none, or the job makes no instructions.
        """
        wanted = pl.col("instruction_id") == instruction_id
        for record in self.instruction_records:
            frame = self.instructions_of(record, ["instruction_id"]).with_row_index("row")
            for row in frame.filter(wanted)["row"]:
                return self.judged_instructions(record, [row])[0]
        raise CorpusError(
            f"no instruction '{instruction_id}' in {self.store.files.root} (job {self.job}); "
            "instructions('instruction_id') lists all"
        )

    def picture(self, image_url: str) -> PictureRow:
        """The picture at this address.

        Raises:
            CorpusError: there is none, or the job makes no instructions.
        """
        if not self.makes_instructions:
            raise CorpusError(f"job '{self.job}' makes no instructions; see images()")
        for record in self.records:
            urls = self.store.read(f"units/{record.unit}.parquet", ["image_url"])["image_url"]
            row = urls.index(image_url).as_py()
            if row >= 0:
                return self.judged_pictures(record, [row])[0]
        raise CorpusError(
            f"no picture '{image_url}' in {self.store.files.root} (job {self.job}); "
            "give an image_url as documents('image_url') lists them"
        )

    def judged_pictures(self, record: UnitRecord, rows: Sequence[int]) -> list[PictureRow]:
        """The pictures at these rows of a unit."""
        view = self._documents_view
        return [
            PictureRow(**fields, unit=record.unit, row=row, corpus=self)
            for row, (fields, _) in zip(rows, view.judged(record, rows), strict=True)
        ]

    def judged_instructions(self, record: UnitRecord, rows: Sequence[int]) -> list[Instruction]:
        """The instructions at these rows of a unit, each with its picture."""
        view = self.instructions_view
        numbers = self._picture_rows(record)
        of_pictures = [numbers[row] for row in rows]
        home = next(r for r in self.records if r.unit == born_in(record.unit))
        shown = sorted(set(of_pictures))
        pictures = dict(zip(shown, self.judged_pictures(home, shown), strict=True))
        beside = [pictures[number] for number in of_pictures]
        judged = view.judged(record, rows, [picture.values for picture in beside])
        return [
            Instruction(**fields, picture=picture)
            for picture, (fields, _) in zip(beside, judged, strict=True)
        ]

    def instructions_about(self, picture: PictureRow) -> list[Instruction]:
        """All instructions about a picture, in order."""
        for record in self.instruction_records:
            if born_in(record.unit) == picture.unit:
                numbers = self._picture_rows(record)
                rows = [row for row, number in enumerate(numbers) if number == picture.row]
                return self.judged_instructions(record, rows)
        return []

    def _picture_rows(self, record: UnitRecord) -> list[int]:
        """The row of each instruction's picture, in the unit that theirs was born in."""
        table = self.store.read(f"units/{record.unit}.parquet", [PICTURE_ROW])
        rows: list[int] = table[PICTURE_ROW].to_pylist()
        return rows

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
