"""Asking models: how near to ideal the wall time is, how cheap what is kept, who may die meanwhile.

Peers run in Pythons of their own: DISTILABEL_PYTHON and CURATOR_PYTHON name interpreters that have
distilabel and bespokelabs-curator. They ask the same server, by turns with the own client.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

from operators.chat import Answer, Message, Reply, Request, Text
from operators.chat_client import open_chat
from operators.chat_model import ChatModel
from tests.benchmarks.record import Entry, Options, say, workspace
from tests.chat_runs import start_run
from tests.chat_server import ChatServer

_REQUESTS, _LATENCY_S, _CONCURRENCY = 1000, 0.2, 100
_CACHED = 10_000
_KILLS = 25
_ROUNDS = 3
_PEER = Path(__file__).parent / "llm_client_peer.py"
_PEERS = {"distilabel": "DISTILABEL_PYTHON", "curator": "CURATOR_PYTHON"}
_QUIET = {"OPENAI_API_KEY": "none", "TELEMETRY_ENABLED": "0", "CURATOR_VIEWER": "0"}


def llm_client_wall(options: Options) -> Entry:
    """Wall seconds of 1,000 requests of 200 ms, 100 at once, over the ideal 2 s; best of three."""
    work = workspace("llm_client_wall")
    count = options.count(_REQUESTS, _CONCURRENCY)
    ideal = count / _CONCURRENCY * _LATENCY_S
    seconds: dict[str, list[float]] = {"omniloom": []}
    with ChatServer(latency_s=_LATENCY_S) as server:
        for number in range(_ROUNDS):
            folder = work / str(number)
            seconds["omniloom"].append(_own(server.url, folder, count))
            for name, variable in _PEERS.items():
                if python := os.environ.get(variable):
                    taken = _peer(python, name, server.url, count, folder / name)
                    if taken is not None:
                        seconds.setdefault(name, []).append(taken)
    ratios = {name: min(taken) / ideal for name, taken in seconds.items()}
    own = ratios.pop("omniloom")
    details = {"requests": count, "ideal s": ideal, "seconds, all rounds": seconds}
    return Entry(own, "x ideal", 1.2, peers={n: round(r, 2) for n, r in ratios.items()},
                 details=details)  # fmt: skip


def _requests(count: int) -> list[Request]:
    return [
        Request("m", (Message("user", (Text(f"question {number}"),)),)) for number in range(count)
    ]


def _own(url: str, folder: Path, count: int) -> float:
    """From the call to its return; the broker is there already, as it is for all but the first."""
    chat = open_chat(_model(url, _CONCURRENCY), str(folder))
    chat.ask([Request("m", (Message("user", (Text("warm"),)),))])
    began = time.perf_counter()
    found = chat.ask(_requests(count))
    seconds = time.perf_counter() - began
    chat.close()
    assert _texts(found) == [f"question {number}" for number in range(count)]
    return seconds


def _model(url: str, concurrency: int) -> ChatModel:
    return ChatModel(name="m", url=url, key_from=None, max_concurrency=concurrency)


def _texts(answers: list[Answer]) -> list[str]:
    return [item.text for item in answers if isinstance(item, Reply)]


def _peer(python: str, name: str, url: str, count: int, folder: Path) -> float | None:
    folder.mkdir(parents=True)
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | _QUIET
    command = [python, str(_PEER), name, url, str(count), str(_CONCURRENCY), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder)
    found = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("seconds ")]
    if done.returncode or not found:
        say(f"{name} failed: {(done.stderr + done.stdout)[-1500:]}")
        return None
    return float(found[-1])


def llm_client_cached(options: Options) -> Entry:
    """Kept answers a CPU second: short prompts without a schema."""
    return Entry(_cached(options, schema=False), "answers/CPU s", 10_000, more_is_better=True)


def llm_client_cached_schema(options: Options) -> Entry:
    """Kept answers a CPU second, each checked against a schema when it is read."""
    return Entry(_cached(options, schema=True), "answers/CPU s", more_is_better=True)


def _cached(options: Options, schema: bool) -> float:
    folder = workspace(f"llm_client_cached_{schema}")
    count = options.count(_CACHED, 100)
    wanted = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}

    def requests() -> list[Request]:
        found = _requests(count)
        return [Request(r.model, r.messages, wanted) for r in found] if schema else found

    with ChatServer(lambda body, nth: {"n": nth}) as server:
        chat = open_chat(_model(server.url, _CONCURRENCY), str(folder))
        chat.ask(requests())
        seconds = []
        for _ in range(_ROUNDS):
            asks = requests()
            began = time.process_time()
            found = chat.ask(asks)
            seconds.append(time.process_time() - began)
            assert len(_texts(found)) == count
        chat.close()
    return count / min(seconds)


def kill_test_llm(options: Options) -> Entry:
    """SIGKILLs of a driver and its workers after which each request was sent once, same rows."""
    folder = workspace("kill_test_llm")
    drawn = random.Random(options.seed)
    kills, count = options.count(_KILLS, 2), 400
    with ChatServer(latency_s=_LATENCY_S) as server:
        for _ in range(kills):
            before = server.count()
            run = start_run(server.url, folder, folder, count)
            until = min(before + drawn.randint(1, 12), count - 4)
            while server.count() < until:
                time.sleep(0.02)
            assert run.pid is not None
            os.killpg(run.pid, signal.SIGKILL)
            run.join()
        run = start_run(server.url, folder, folder, count)
        run.join()
        rows = [json.loads(path.read_text()) for path in folder.glob("?.json")]
        same = rows == [[f"question {number}" for number in range(count)]] * 2
        sent = server.counts()
    details = {"requests": count, "sent": sum(sent.values()), "sent twice": len(
        [body for body, times in sent.items() if times > 1]), "same rows": same}  # fmt: skip
    once = same and len(sent) == count and set(sent.values()) == {1}
    return Entry(kills if once else 0, "kills", kills, True, details=details)
