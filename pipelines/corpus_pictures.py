"""Pictures of a finished corpus as an input: the images that it kept, with the text around them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow as pa
from pydantic import Field

from operators.sources import ChangedInput, Found, PooledPicture, Source, digest_of
from pipelines.jobfile import load_job
from pipelines.store import Store
from schemas.errors import InputError
from schemas.tables import PICTURES, Table

if TYPE_CHECKING:
    from pipelines.corpus import Corpus, Document


class CorpusPictures(Source):
    """The images that a job kept, each with what the first document that shows it says of it."""

    name = "corpus"
    table: ClassVar[Table] = PICTURES
    path: str = Field(min_length=1, description="job file of a finished run")
    context_chars: int = Field(
        1500, ge=0, description="most characters of the text around a picture that are taken along"
    )
    licence: str | None = Field(None, description="licence of the corpus's pictures")

    def inputs(self) -> list[str]:
        """The job file.

        Raises:
            InputError: the job has not run to its end.
        """
        if "done" not in _corpus(self.path).reference:
            raise InputError(f"{self.path} has not run to its end; run it first: omniloom run")
        return [self.path]

    def size_and_stamp(self, uri: str) -> tuple[int, str]:
        """How many images were kept, and a digest of the run's outcome."""
        return _corpus(uri).summary.images_kept, self.checksum(uri)

    def checksum(self, uri: str) -> str:
        """Digest of which rows were kept, and by which stages they were measured."""
        reference = _corpus(uri).reference
        return digest_of(f"{reference['verdicts']} {reference['done']['summary']}".encode())

    def index(self, uri: str) -> Iterator[Found]:
        """Every address that a kept document shows, once."""
        seen: set[str] = set()
        for document in _corpus(uri).kept():
            for position, node in enumerate(document.nodes):
                url = node["image_url"]
                if node["kind"] == "image" and document.nodes_kept[position] and url:
                    if url not in seen and not url.startswith("data:"):
                        yield self._picture(uri, document, position, len(seen))
                    seen.add(url)

    def _picture(self, uri: str, document: Document, position: int, number: int) -> PooledPicture:
        node = document.nodes[position]
        return PooledPicture(
            node["image_url"],
            "corpus",
            uri,
            source_record=number,
            page_url=document.url,
            page_title=document.values.get("title"),
            page_text=_around(document, position, self.context_chars),
            image_alt=node["alt"] or node["title"],
            image_caption=_caption(document, position),
            image_licence=self.licence,
        )

    def read(self, uri: str, rows: pa.Table) -> Iterator[bytes | Exception]:
        """The bytes that the corpus holds."""
        for url in rows["url"].to_pylist():
            data = _corpus(uri).image(url)
            yield ChangedInput(f"the corpus holds no bytes of {url}") if data is None else data


def _corpus(path: str) -> Corpus:
    """The corpus of a job as it is now.

    Raises:
        InputError: there is none.
    """
    jobfile = load_job(path)
    reference = Store(jobfile.job.store).read_json(f"jobs/{jobfile.name}.json")
    if reference is None:
        message = f"job '{jobfile.name}' has left nothing in {jobfile.job.store}"
        raise InputError(f"{message}. Run it first: omniloom run {path}")
    return _opened(jobfile.job.store, json.dumps(reference))


@lru_cache(maxsize=4)
def _opened(store: str, outcome: str) -> Corpus:
    """The corpus that a run with this `outcome` left."""
    from pipelines.corpus import Corpus  # it imports the planner, which imports this

    return Corpus(Store(store), json.loads(outcome))


def _caption(document: Document, position: int) -> str | None:
    """The caption right after the image, or right before it."""
    for neighbour in (position + 1, position - 1):
        if 0 <= neighbour < len(document.nodes):
            node = document.nodes[neighbour]
            if node["kind"] == "caption" and document.nodes_kept[neighbour]:
                text: str | None = node["text"]
                return text
    return None


def _around(document: Document, position: int, most: int) -> str | None:
    """Text nodes nearest to the image, in reading order, as long as there is room for them."""
    texts: dict[int, str] = {
        index: node["text"]
        for index, node in enumerate(document.nodes)
        if node["text"] and document.nodes_kept[index]
    }
    chosen: list[int] = []
    room = most
    for index in sorted(texts, key=lambda index: (abs(index - position), index)):
        if len(texts[index]) > room:
            break
        room -= len(texts[index])
        chosen.append(index)
    found: Any = "\n".join(texts[index] for index in sorted(chosen))
    return found or None
