"""How much of a node is boilerplate, and where it stands: evidence for the feedback rules.

OmniCorpus (Li et al. 2024, arXiv 2406.08418, section 3.1 and table 11) wrote rules for what people
marked as bad in samples of its documents. Here the evidence for such rules is measured and the
rules, with their thresholds, are in `pipelines/rules/omnicorpus-en.yaml` and `omnicorpus-zh.yaml`.

The patterns run in Rust's `regex` through Polars: linear in the length of the text whatever the
text, and all nodes of a batch at once.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from operators.base import Operator, measured
from operators.boilerplate_phrases import FAMILIES, NOTICES, pattern
from schemas import columns

Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]

_NODE = (
    "node_position",
    "node_from_end",
    "node_image_distance",
    "node_repeated",
    "node_empty_heading",
    "node_symbol_ratio",
    "node_unfinished",
    "node_truncated",
    "node_bracketed",
)
_DOCUMENT = (
    "function_sign_count",
    "dup_image_ratio",
    "broken_image_ratio",
    "boilerplate_ratio",
    "adult_ratio",
    "fraud_ratio",
    "placeholder_ratio",
)
_OF_DOCUMENT = ("adult", "fraud", "placeholder")
"""Families that a document is judged by as a whole."""

_TEXT = r"[\p{L}\p{N}]"
_SIGN = r"[^\p{L}\p{N}\p{M}\s]"
_ENDS = r"[.!?。！？…‥;；:：)\]）】」』”\"’'»›>}]\s*$"
_TRUNCATED = r"(?:\.\.\.|…|\[ ?(?:\.\.\.|…)? ?\]|[\[(（](?:more|详细|全文)[\])）])\s*$"
_BRACKETED = r"^\s*(?:\([^()]*\)|\[[^\[\]]*\]|（[^（）]*）|【[^【】]*】)\s*$"
_BROKEN_IMAGE = (
    r"(?i)^\s*$|^(?:data|about|javascript|blob):|\.(?:html?|php|aspx?|jsp)(?:[?#].*)?$|"
    r"/(?:blank|spacer|space|pixel|transparent|placeholder|loading|lazy|empty|1x1|grey|gray|nopic|no[-_]?image)"
    r"[\w-]*\.(?:gif|png|jpe?g|svg|webp)(?:[?#].*)?$"
)
_FUNCTION_SIGNS = r"[的了是在和不有我这這一]"


class BoilerplateMarks(Operator[None]):
    """What rules ask about nodes that stand around content: labels, notices, their place.

    `node_<family>_ratio` is the share of a node's letters and digits that phrases of a family
    cover (`operators.boilerplate_phrases`), so a phrase counts by how much of the node it is: 1 for
    "Share this article", next to 0 for a paragraph that speaks of sharing. Nodes longer than the
    two bounds are not searched and measure 0. Nodes without text are null throughout.
    """

    name = "boilerplate_marks"
    version = 1
    reads = columns.schema("nodes")
    writes = columns.schema(*_DOCUMENT, *_NODE, *(f"node_{family}_ratio" for family in FAMILIES))
    libraries = ("polars",)

    max_chars: int = Field(
        160, ge=1, description="characters of a node above which labels are not looked for"
    )
    max_notice_chars: int = Field(
        600, ge=1, description="the same for notices, such as disclaimers, that fill paragraphs"
    )

    def setup(self) -> None:
        """Patterns are compiled here, not on the time of the first documents."""
        node = {"kind": "text", "text": "any text", "dom_index": 0}
        self.measure(pa.Table.from_pylist([{"nodes": [node]}], schema=self.reads), None)

    def measure(self, batch: pa.Table, state: None) -> pa.Table:
        """One row a document; nulls where `nodes` is null."""
        nodes = batch["nodes"].combine_chunks()
        places = _Places(nodes)
        frame = _texts(places)
        shares = _covered(frame, self.max_chars, self.max_notice_chars)
        by_name = _signs(frame) | _placed(places, frame["squeezed"]) | shares
        values = _documents(places, frame, shares) | {
            name: places.listed(series) for name, series in by_name.items()
        }
        return measured(self.writes, [values[f.name].cast(f.type) for f in self.writes])


class _Places:
    """The nodes of a batch one after the other, and which document each is of."""

    def __init__(self, nodes: pa.ListArray) -> None:
        """Flatten the nodes; a null document has none."""
        self.known = pc.is_valid(nodes)
        self.lengths = np.asarray(pc.fill_null(pc.list_value_length(nodes), 0), np.int64)
        self.document: Integers = np.repeat(np.arange(len(nodes)), self.lengths)
        flat = pc.list_flatten(nodes)
        self.kind = pl.Series("kind", pc.struct_field(flat, "kind"), pl.String)
        self.text = pl.Series("text", pc.struct_field(flat, "text"), pl.String)
        self.image = pl.Series("image", pc.struct_field(flat, "image_url"), pl.String)
        level = pl.Series("level", pc.struct_field(flat, "level"), pl.Int8)
        self.level: Integers = level.fill_null(-1).to_numpy().astype(np.int64)
        self.has_text: Flags = self.text.is_not_null().to_numpy()
        self.start: Integers = (np.cumsum(self.lengths) - self.lengths)[self.document]
        self.end: Integers = self.start + self.lengths[self.document]

    def of_text(self, values: npt.NDArray[np.generic]) -> pl.Series:
        """Values of nodes, null where the node has no text."""
        return pl.Series(values).set(pl.Series(~self.has_text), None)

    def listed(self, values: pl.Series) -> pa.ListArray:
        """Values of nodes as a list a document."""
        offsets = np.concatenate(([0], np.cumsum(self.lengths))).astype(np.int32)
        flat = values.to_arrow(compat_level=pl.CompatLevel.oldest())
        if pa.types.is_large_string(flat.type):
            flat = flat.cast(pa.string())
        lists = pa.ListArray.from_arrays(pa.array(offsets), flat)
        return pc.if_else(self.known, lists, pa.scalar(None, lists.type))


def _texts(places: _Places) -> pl.DataFrame:
    """A row a node: its text, and what is counted in it."""
    text = pl.col("text")
    frame = pl.DataFrame(
        {"document": places.document, "kind": places.kind, "text": places.text}
    ).with_columns(
        squeezed=text.str.replace_all(r"\s+", " ").str.strip_chars(),
        visible=text.str.len_chars() - text.str.count_matches(r"\s"),
        signs=text.str.count_matches(_SIGN),
    )
    # Letters are many and all else is few: quicker counted by what they are not.
    others = text.str.count_matches(r"[^\p{L}\p{N}\s]")
    return frame.with_columns(letters=pl.col("visible") - others)


def _covered(frame: pl.DataFrame, most: int, most_of_notices: int) -> dict[str, pl.Series]:
    """The share of each node's letters and digits that phrases cover, a series a family."""
    squeezed = pl.col("squeezed")
    found = frame.select("squeezed", "letters").with_row_index("at")
    found = found.filter(
        (pl.col("letters") > 0) & (squeezed.str.len_chars() <= max(most, most_of_notices))
    )
    short = found.filter(squeezed.str.len_chars() <= most)
    notices = found.filter(squeezed.str.len_chars() <= most_of_notices)
    blank = frame["text"].is_not_null().to_numpy()
    shares = {}
    for family in FAMILIES:
        regex = pattern(family)
        hits = (notices if family in NOTICES else short).filter(squeezed.str.contains(regex))
        rest = hits["squeezed"].str.replace_all(regex, "").str.count_matches(_TEXT)
        share = np.zeros(len(frame), np.float32)
        share[hits["at"].to_numpy()] = (1 - rest / hits["letters"]).to_numpy()
        name = f"node_{family}_ratio"
        shares[name] = pl.Series(name, share).set(pl.Series(~blank), None)
    return shares


def _signs(frame: pl.DataFrame) -> dict[str, pl.Series]:
    """What a node's text is made of, and how it ends."""
    text = pl.col("text")
    made = frame.select(
        node_symbol_ratio=_over("signs", "visible"),
        node_unfinished=~text.str.contains(_ENDS),
        node_truncated=text.str.contains(_TRUNCATED),
        node_bracketed=text.str.contains(_BRACKETED),
    )
    return made.to_dict()


def _over(part: str, whole: str) -> pl.Expr:
    """A share that is 0 where there is nothing, and null without text."""
    share = pl.col(part) / pl.col(whole)
    return share.fill_nan(0.0).cast(pl.Float32)


def _placed(places: _Places, squeezed: pl.Series) -> dict[str, pl.Series]:
    """Where the nodes stand: in the document, beside images, after their own likes."""
    before = np.concatenate(([0], np.cumsum(places.has_text)))
    rank = before[:-1] - before[places.start]
    texts = before[places.end] - before[places.start]
    position = np.where(texts > 1, rank / np.maximum(texts - 1, 1), 0.0).astype(np.float32)
    keys = pl.DataFrame({"document": places.document, "key": squeezed.str.to_lowercase()})
    repeated = keys.select(pl.len().over("document", "key")).to_series().to_numpy()
    return {
        "node_position": places.of_text(position),
        "node_from_end": places.of_text((texts - 1 - rank).astype(np.int32)),
        "node_image_distance": places.of_text(_image_distance(places).astype(np.int32)),
        "node_repeated": places.of_text(repeated.astype(np.int32)),
        "node_empty_heading": places.of_text(_empty_headings(places)),
    }


def _image_distance(places: _Places) -> Integers:
    """Nodes to the nearest image, and the number of all nodes where there is none."""
    index = np.arange(len(places.kind))
    image = (places.kind == "image").to_numpy()
    last = np.maximum.accumulate(np.where(image, index, -1))
    following = np.minimum.accumulate(np.where(image, index, len(index))[::-1])[::-1]
    none = places.end - places.start
    behind = np.where(last >= places.start, index - last, none)
    ahead = np.where(following < places.end, following - index, none)
    found: Integers = np.minimum(behind, ahead)
    return found


def _empty_headings(places: _Places) -> Flags:
    """Headings with nothing below: the next node is a heading as high, or there is none."""
    heading = (places.kind == "heading").to_numpy()
    level = np.append(places.level, -1)
    after = np.append(heading, False)
    index = np.arange(len(places.kind))
    last = index + 1 == places.end
    higher = after[1:] & (level[1:] >= 0) & (level[1:] <= places.level)
    found: Flags = heading & (last | higher)
    return found


def _documents(
    places: _Places, frame: pl.DataFrame, shares: dict[str, pl.Series]
) -> dict[str, pa.Array]:
    """The measures of whole documents; 0 where a document has nothing to count."""
    most = pl.DataFrame(shares).select(pl.max_horizontal(pl.all())).to_series()
    cover = {"boilerplate": most} | {f: shares[f"node_{f}_ratio"] for f in _OF_DOCUMENT}
    frame = frame.with_columns(
        *((series * frame["letters"]).alias(f"of_{name}") for name, series in cover.items()),
        image=places.image,
        signs_of_grammar=pl.col("text").str.count_matches(_FUNCTION_SIGNS),
    )
    is_image, address = pl.col("kind") == "image", pl.col("image").fill_null("")
    images = pl.col("image").filter(is_image)
    rows = frame.group_by("document").agg(
        function_sign_count=pl.col("signs_of_grammar").sum(),
        dup_image_ratio=1 - images.n_unique() / images.len(),
        broken_image_ratio=address.filter(is_image).str.contains(_BROKEN_IMAGE).mean(),
        **{f"{name}_ratio": pl.col(f"of_{name}").sum() / pl.col("letters").sum() for name in cover},
    )
    rows = pl.DataFrame({"document": np.arange(len(places.known))}).join(
        rows, on="document", how="left", maintain_order="left"
    )
    rows = rows.with_columns(pl.col(pl.Float32, pl.Float64).fill_nan(0.0)).fill_null(0)
    values = {name: rows[name].to_arrow() for name in rows.columns if name != "document"}
    nothing = pc.invert(places.known)
    return {
        name: pc.if_else(nothing, None, found.cast(columns.column(name).type))
        for name, found in values.items()
    }
