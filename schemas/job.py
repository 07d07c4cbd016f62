"""The job file: what to run. Data only; every name in it is looked up, never imported."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from schemas.columns import PII_KINDS


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Execution(_Strict):
    """Where the job runs. `on: local` and `on: ray` are short for their defaults."""

    backend: Literal["local", "ray"] = Field("local", description="local processes, or Ray")
    workers: int | None = Field(
        None,
        ge=0,
        description="processes or actors at once; default: all CPUs. 0: in this process (local)",
    )
    address: str | None = Field(
        None, description="Ray only: 'auto', 'ray://HEAD:10001', or nothing to start Ray here"
    )
    retries: int = Field(2, ge=0, description="how often a unit whose worker died is tried again")
    resources: dict[str, dict[str, float]] = Field(
        default_factory=dict,
        description="per stage: {cpus: N, gpus: N}, in place of the operator's own request",
    )

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"backend": value} if isinstance(value, str) else value


class RuleSpec(_Strict):
    """One rule: an expression over measured columns that says which rows stay or go."""

    table: Literal["documents", "nodes", "images", "instructions"] = Field(
        "documents", description="what the rule judges"
    )
    keep: str | None = Field(None, description="rows for which this holds stay, all others go")
    drop: str | None = Field(None, description="rows for which this holds go, all others stay")

    @model_validator(mode="after")
    def _one_side(self) -> RuleSpec:
        if (self.keep is None) == (self.drop is None):
            raise ValueError("a rule has exactly one of 'keep' and 'drop'")
        return self


class Rules(BaseModel):
    """Ready-made fragments (`use`) and rules by name; a name set to null switches a rule off."""

    model_config = ConfigDict(frozen=True, extra="allow")
    __pydantic_extra__: dict[str, RuleSpec | None]
    use: list[str] = Field(default_factory=list, description="rule fragments, in order")


class ExportSpec(_Strict):
    """One export of what was kept. `mask_pii: true` is short for all kinds."""

    format: str = Field(description="name of a format; docs/exports.md lists them")
    to: str = Field(min_length=1, description="target folder, or s3://bucket/prefix")
    shard_mb: float = Field(256, gt=0, description="target size of one shard file, in MB")
    row_group_rows: int = Field(1000, ge=1, description="rows in a Parquet row group")
    mask_pii: tuple[Literal["email", "ip", "phone", "id"], ...] = Field(
        (), description="kinds of personal data to replace by tags in the text; true: all kinds"
    )
    blur_faces: bool = Field(
        False,
        description="whether faces in the images that are written are made unrecognisable; only "
        "images in which faces were looked for go out",
    )

    images: Literal["urls", "embedded", "beside"] | None = Field(
        None,
        description="images as addresses, with bytes inside the shards, or as files beside them; "
        "default: the first that the format offers",
    )
    order: Literal["natural", "retrieval"] | None = Field(
        None,
        description="images where the page has them, or before the text that they match best; "
        "default: the first that the format offers",
    )
    variant: str | None = Field(
        None, description="kind of files, where a format has several; default: its first"
    )
    max_tokens: int = Field(
        8192, ge=512, description="internvl: tokens of a sample, images included"
    )
    max_tiles: int = Field(
        12,
        ge=1,
        le=128,
        description="internvl, internvl_chat: tiles of a sample's images, its max_dynamic_patch",
    )
    captions: tuple[Literal["caption", "alt", "similarity", "adjacent"], ...] = Field(
        ("caption", "alt", "adjacent"),
        min_length=1,
        description="pairs: where an image's text comes from, best first",
    )
    min_similarity: float = Field(
        0.24, ge=-1, le=1, description="pairs: least similarity of a text chosen by it"
    )

    @field_validator("mask_pii", mode="before")
    @classmethod
    def _from_truth(cls, value: Any) -> Any:
        return {True: PII_KINDS, False: ()}[value] if isinstance(value, bool) else value

    @field_validator("mask_pii")
    @classmethod
    def _in_order(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """Each kind once, so that the same masking is the same export."""
        return tuple(kind for kind in PII_KINDS if kind in value)


class Target(_Strict):
    """What a job of instructions is to come to."""

    accepted: int | None = Field(
        None,
        ge=1,
        description="instructions that all rules keep: pictures have their turn until there are "
        "as many; null: all pictures have it",
    )
    quotas: dict[str, Any] = Field(
        default_factory=dict,
        description="what those must have, or the run fails; docs/instruction-quality.md",
    )


class Job(_Strict):
    """A whole job file."""

    pipeline: str = Field(description="name of the recipe")
    store: str = Field(
        min_length=1, description="where measures are kept: a folder or s3://bucket/prefix"
    )
    on: Execution = Field(default_factory=Execution, description="where it runs")
    inputs: list[dict[str, Any]] = Field(
        min_length=1, description="what is read, e.g. [{warc: pages/*.warc.gz}]"
    )
    stages: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="parameters of the recipe's stages, by stage name"
    )
    rules: Rules = Field(default_factory=Rules, description="what is kept")
    export: list[ExportSpec] = Field(default_factory=list, description="what is written")
    target: Target | None = Field(None, description="how many instructions, and of which kinds")
    review: dict[str, Any] = Field(
        default_factory=dict,
        description="which instructions people review, and how often; docs/review.md",
    )
    unit_rows: int = Field(2000, ge=1, le=100_000, description="rows in a unit of work")
    max_error_rate: float = Field(
        0.01, ge=0, le=1, description="share of documents that may fail before the run stops"
    )
    max_image_error_rate: float = Field(
        0.5,
        ge=0,
        le=1,
        description="the same for images, of which many are broken or not what they seem",
    )
