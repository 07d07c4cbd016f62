"""The model that an operator asks: what it is, where, at which price, and how much may be spent."""

from __future__ import annotations

import os
import re
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from operators.chat import Message, Request
from schemas.errors import InputError

DECIDING = ("name", "temperature", "max_tokens", "top_p", "seed", "detail", "extra")
_SEEING = ("sees_images", "image_side")
_OWN_FIELDS = frozenset(("model", "messages", "response_format", "tools", "tool_choice", "stream"))


class ChatModel(BaseModel):
    """A model behind an address that speaks OpenAI's chat API, or one that runs in the process."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, description="the model's id, as the server knows it")
    url: str = Field(
        "https://api.openai.com/v1",
        description="where its API begins; for Azure https://RESOURCE.openai.azure.com; "
        "local:DISTRIBUTION or local:FILE.gguf is a small model that is started on this machine",
    )
    api: Literal["openai", "azure"] = Field(
        "openai", description="how it is addressed: azure has a deployment path and `api-key`"
    )
    deployment: str | None = Field(None, description="Azure: the deployment; default: the name")
    api_version: str = Field("2024-10-21", description="Azure: the version of the API")
    mode: Literal["online", "batch", "vllm", "replay"] = Field(
        "online",
        description="online: one request each; batch: the provider's batch files, for half the "
        "price and within a day; vllm: in this process, on its GPU; replay: only what is kept",
    )
    key_from: str | None = Field(
        "OPENAI_API_KEY",
        description="the environment variable that holds the key; null for servers without keys",
    )
    sees_images: bool = Field(True, description="whether pictures may be shown to it")
    structured: Literal["auto", "schema", "tool", "json", "plain"] = Field(
        "auto",
        description="how answers are made to fit a schema: schema (a grammar at the server), tool "
        "(the arguments of a call), json (JSON mode, the schema is told), plain (only told); auto "
        "tries them in this order and remembers what the server refuses",
    )
    temperature: float | None = Field(None, ge=0, description="null: the server's own")
    max_tokens: int | None = Field(1024, ge=1, description="longest answer, in tokens")
    top_p: float | None = Field(None, gt=0, le=1, description="null: the server's own")
    seed: int | None = Field(None, description="for servers that sample alike for equal seeds")
    detail: Literal["low", "high", "auto"] | None = Field(
        None, description="how closely pictures are looked at, where the server knows `detail`"
    )
    extra: dict[str, Any] = Field(
        default_factory=dict, description="more fields of the request's body, as they go out"
    )
    engine: dict[str, Any] = Field(
        default_factory=dict,
        description="mode vllm: arguments of `vllm.LLM`, as tensor_parallel_size",
    )
    image_side: int = Field(
        1024, ge=1, description="longest side in pixels to which askers shrink pictures"
    )
    max_concurrency: int = Field(32, ge=1, description="most requests in flight at once")
    requests_per_minute: float | None = Field(None, gt=0, description="null: no limit")
    tokens_per_minute: float | None = Field(
        None, gt=0, description="of prompts and answers together; null: no limit"
    )
    timeout_s: float = Field(300.0, gt=0, description="longest wait for one answer, in seconds")
    attempts: int = Field(5, ge=1, description="how often a failing request is sent at most")
    batch_poll_s: float = Field(
        60.0, gt=0, description="how often a batch is asked whether it is done, in seconds"
    )
    patience_s: float = Field(
        900.0,
        ge=0,
        description="how long a request may be put off by a server that says 'too many', in "
        "seconds; such replies are no attempts",
    )
    usd_per_million_prompt: float | None = Field(None, ge=0, description="price of prompts")
    usd_per_million_completion: float | None = Field(None, ge=0, description="price of answers")
    budget_usd: float | None = Field(
        None,
        ge=0,
        description="what may be spent for the cache's folder, over all runs; null: no limit",
    )
    cache: str | None = Field(
        None, description="folder that keeps every answer; null: the caller gives one"
    )

    @field_validator("url")
    @classmethod
    def _an_address(cls, url: str) -> str:
        if not re.fullmatch(r"(https?://|local:)\S+", url):
            raise ValueError("an address begins with http://, https:// or local:")
        if "@" in urlsplit(url).netloc:
            raise ValueError("no name or key in the address: say in key_from where the key is")
        return url

    @model_validator(mode="after")
    def _consistent(self) -> ChatModel:
        prices = (self.usd_per_million_prompt, self.usd_per_million_completion)
        if self.budget_usd is not None and self.mode != "vllm" and None in prices:
            raise ValueError(
                "budget_usd needs usd_per_million_prompt and usd_per_million_completion: "
                "without prices nothing can be held to a budget"
            )
        if taken := sorted(_OWN_FIELDS & set(self.extra)):
            raise ValueError(f"extra may not hold {', '.join(taken)}: the client writes them")
        return self

    def deciding(self) -> dict[str, Any]:
        """The fields that decide what is answered; not where, how fast, at what price."""
        return self.model_dump(include={*DECIDING, *_SEEING})

    def parameters(self) -> dict[str, Any]:
        """`Request.parameters` as this config wants them."""
        fields = ("temperature", "max_tokens", "top_p", "seed", "detail")
        return {n: v for n in fields if (v := getattr(self, n)) is not None} | self.extra

    def request(
        self,
        messages: tuple[Message, ...],
        schema: dict[str, Any] | None = None,
        *,
        sample: int = 0,
        tag: str = "",
    ) -> Request:
        """A request to this model."""
        return Request(self.name, messages, schema, self.parameters(), sample, tag)

    def key_value(self) -> str | None:
        """The key from the environment; None where none is needed.

        Raises:
            InputError: the variable is not set.
        """
        if self.key_from is None or self.url.startswith("local:"):
            return None
        if value := os.environ.get(self.key_from):
            return value
        raise InputError(
            f"model {self.name}: the environment variable {self.key_from} is not set\n"
            f"    fix: export {self.key_from}=..., or key_from: null for a server without keys"
        )

    def usd(self, prompt_tokens: float, completion_tokens: float) -> float:
        """What so many tokens cost; 0 where prices are not known."""
        prompt, completion = self.usd_per_million_prompt, self.usd_per_million_completion
        return (prompt_tokens * (prompt or 0) + completion_tokens * (completion or 0)) / 1e6

    @property
    def endpoint(self) -> str:
        """Where completions are asked for."""
        if self.api == "azure":
            return self.at(f"deployments/{self.deployment or self.name}/chat/completions")
        return self.at("chat/completions")

    def at(self, path: str) -> str:
        """The address of any other call of the API, as `files`."""
        base = self.url.rstrip("/")
        return f"{base}/openai/{path}" if self.api == "azure" else f"{base}/{path}"

    @property
    def query(self) -> dict[str, str]:
        """What follows the address."""
        return {"api-version": self.api_version} if self.api == "azure" else {}

    def headers(self, key: str | None) -> dict[str, str]:
        """How the key is shown to the server."""
        if key is None:
            return {}
        return {"api-key": key} if self.api == "azure" else {"Authorization": f"Bearer {key}"}
