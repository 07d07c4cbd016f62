"""What a corpus shares with benchmarks: how many documents, and which items."""

from __future__ import annotations

from typing import Any

import polars as pl

from operators.decontaminate import Decontaminate
from pipelines.corpus import Corpus
from schemas.errors import CorpusError


def contaminated_benchmarks(corpus: Corpus) -> pl.DataFrame:
    """One row a benchmark of the job, by name: `documents` that share n-grams, and those `kept`.

    Raises:
        CorpusError: the corpus was not measured against benchmarks.
    """
    frame = _counted(corpus, "contaminated_by").rename({"contaminated_by": "benchmark"})
    configured = _stage(corpus)["config"]["benchmarks"]
    names = pl.DataFrame({"benchmark": sorted(configured)}, schema={"benchmark": pl.String})
    counts = names.join(frame, on="benchmark", how="left", maintain_order="left")
    return counts.with_columns(pl.col("documents", "kept").fill_null(0))


def contaminated_items(corpus: Corpus) -> pl.DataFrame:
    """One row an item that was found: `benchmark`, `row` in its files, `documents`, those `kept`.

    Items in most documents come first. Of each document its 20 items with most n-grams count.

    Raises:
        CorpusError: the corpus was not measured against benchmarks.
    """
    parts = pl.col("contaminated_items").str.split_exact(":", 1).struct
    frame = _counted(corpus, "contaminated_items").select(
        parts[0].alias("benchmark"), parts[1].cast(pl.Int64).alias("row"), "documents", "kept"
    )
    order = ["documents", "benchmark", "row"]
    return frame.sort(order, descending=[True, False, False])


def _counted(corpus: Corpus, column: str) -> pl.DataFrame:
    """For each text in a column of lists, in how many documents it stands."""
    _stage(corpus)
    frame = corpus.documents(column).select(pl.col(column).cast(pl.List(pl.String)), "kept")
    found = frame.explode(column).filter(pl.col(column).is_not_null())
    counts = (pl.len().cast(pl.Int64).alias("documents"), pl.col("kept").cast(pl.Int64).sum())
    return found.group_by(column).agg(*counts)


def _stage(corpus: Corpus) -> dict[str, Any]:
    """The stage that measured the overlap, as the store knows it."""
    for stage in corpus.stages:
        if stage["operator"] == Decontaminate.name:
            found: dict[str, Any] = stage
            return found
    raise CorpusError(
        f"no stage of job '{corpus.job}' measures overlap with benchmarks; "
        f"run a recipe with a stage of operator '{Decontaminate.name}'"
    )
