"""A run that asks a model: a driver and two workers who ask the same, for tests that kill it.

Processes are forked, because a kill should meet requests in flight and not a starting interpreter.
"""

from __future__ import annotations

import json
import multiprocessing
import os
from multiprocessing.process import BaseProcess
from pathlib import Path

from operators.chat import ChatFailure, Message, Request, Text
from operators.chat_client import open_chat
from operators.chat_model import ChatModel

_FORK = multiprocessing.get_context("fork")
_WORKERS = 2


def start_run(url: str, folder: Path, out: Path, count: int) -> BaseProcess:
    """Start it in a process group of its own; each worker writes its answers to `out`."""
    run = _FORK.Process(target=_drive, args=(url, folder, out, count))
    run.start()
    return run


def _drive(url: str, folder: Path, out: Path, count: int) -> None:
    os.setsid()
    workers = [
        _FORK.Process(target=_work, args=(url, folder, out / f"{number}.json", count))
        for number in range(_WORKERS)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def _work(url: str, folder: Path, out: Path, count: int) -> None:
    model = ChatModel(name="m", url=url, key_from=None, max_concurrency=4)
    chat = open_chat(model, str(folder), idle_s=1.0)
    asks = [f"question {number}" for number in range(count)]
    found = chat.ask([Request("m", (Message("user", (Text(text),)),)) for text in asks])
    assert not any(isinstance(item, ChatFailure) for item in found), found
    out.write_text(json.dumps([item.text for item in found]))
    chat.close()
