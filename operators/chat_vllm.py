"""A model in this process: vLLM on the worker's own GPU, with the same cache as all others.

Answers are kept by the folder's broker, a chunk at a time: a killed worker loses one chunk's work.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from operators.chat import Answer, Request
from operators.chat_cache import Kept
from operators.chat_client import BrokerChat
from operators.chat_link import Line
from operators.chat_model import ChatModel
from operators.chat_wire import Asked, Said, asked
from schemas.errors import InputError

_CHUNK = 256


class VllmChat(BrokerChat):
    """As `BrokerChat`, but the model is loaded here, when the first request is not kept."""

    def __init__(self, model: ChatModel, folder: Path, idle_s: float) -> None:
        if importlib.util.find_spec("vllm") is None:
            raise InputError(
                f"model {model.name}: mode vllm needs vLLM, which is not installed\n"
                "    fix: pip install vllm, on a machine with a GPU; or mode: online with a server"
            )
        # The broker only keeps: it has nobody to show a key to.
        super().__init__(model.model_copy(update={"key_from": None}), folder, idle_s)
        self._engine: Any = None

    def _exchange(self, requests: Sequence[Request], answers: dict[int, Answer]) -> None:
        places: dict[str, list[int]] = {}
        for place in self._missing(requests, answers):
            places.setdefault(requests[place].key, []).append(place)
        if not places:
            return
        line = self._line or self._hello()
        keys = list(places)
        for start in range(0, len(keys), _CHUNK):
            some = keys[start : start + _CHUNK]
            asks = [asked(requests[places[key][0]]) for key in some]
            for ask, said in zip(asks, self._said(asks), strict=True):
                _keep(line, ask, said)
                kept = Kept(said, 0.0)
                for number, place in enumerate(places[ask.key]):
                    answers[place] = self._answer(requests[place], kept, cached=number > 0)

    def _said(self, asks: Sequence[Asked]) -> list[Said]:
        from vllm import LLM, SamplingParams

        if self._engine is None:
            self._engine = LLM(model=self.model.name, **self.model.engine)
        outputs = self._engine.chat(
            [json.loads(ask.messages) for ask in asks],
            [SamplingParams(**ask.parameters, **_constraint(ask)) for ask in asks],
            use_tqdm=False,
        )
        return [read_output(output) for output in outputs]


def _constraint(ask: Asked) -> dict[str, Any]:
    """How a schema is given; newer versions of vLLM have renamed it."""
    if ask.schema is None:
        return {}
    from vllm import sampling_params

    if hasattr(sampling_params, "StructuredOutputsParams"):
        return {"structured_outputs": sampling_params.StructuredOutputsParams(json=ask.schema)}
    return {"guided_decoding": sampling_params.GuidedDecodingParams(json=ask.schema)}


def read_output(output: Any) -> Said:
    """What was said, from a `RequestOutput`."""
    best = output.outputs[0]
    return Said(
        text=best.text,
        finish=best.finish_reason or "stop",
        prompt_tokens=len(output.prompt_token_ids or ()),
        completion_tokens=len(best.token_ids),
    )


def _keep(line: Line, ask: Asked, said: Said) -> None:
    fields = {name: value for name, value in vars(ask).items() if name != "messages"}
    line.send({"do": "keep", "id": 0, "ask": fields, "said": vars(said)})
    line.receive()
