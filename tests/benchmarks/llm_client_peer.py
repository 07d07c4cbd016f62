"""1,000 requests by another client: `python llm_client_peer.py NAME URL COUNT CONCURRENCY FOLDER`.

Run by a Python that has the peer, in an environment of its own. Prints the seconds that the call
took, without start-up. distilabel has no limit of requests in flight: it gets batches of
CONCURRENCY, as a step of its pipelines does.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import time
from pathlib import Path


def distilabel(url: str, texts: list[str], concurrency: int) -> list[str]:
    from distilabel.models import OpenAILLM

    llm = OpenAILLM(model="m", base_url=url, api_key="none")
    llm.load()
    found = []
    for start in range(0, len(texts), concurrency):
        some = texts[start : start + concurrency]
        inputs = [[{"role": "user", "content": text}] for text in some]
        outputs = llm.generate_outputs(inputs=inputs)
        found += [output["generations"][0] for output in outputs]
    return found


def curator(url: str, texts: list[str], concurrency: int, folder: str) -> list[str]:
    # Its tokenizer is fetched at run time; litellm, which it needs, carries the same file.
    litellm = importlib.util.find_spec("litellm")
    assert litellm is not None
    assert litellm.origin is not None
    tokenizers = Path(litellm.origin).parent / "litellm_core_utils" / "tokenizers"
    os.environ.setdefault("TIKTOKEN_CACHE_DIR", str(tokenizers))
    from bespokelabs import curator as library
    from datasets import Dataset

    class Echo(library.LLM):  # type: ignore[misc]
        def prompt(self, row: dict[str, str]) -> str:
            return row["text"]

        def parse(self, row: dict[str, str], response: str) -> dict[str, str]:
            return {"answer": response}

    limits = {
        "base_url": url,
        "max_requests_per_minute": 1_000_000,
        "max_tokens_per_minute": 1_000_000_000,
        "max_concurrent_requests": concurrency,
    }
    llm = Echo(model_name="m", backend="openai", backend_params=limits)
    rows = llm(Dataset.from_dict({"text": texts}), working_dir=folder)
    return [row["answer"] for row in getattr(rows, "dataset", rows)]


def main() -> None:
    name, url, count, concurrency, folder = sys.argv[1:]
    texts = [f"question {number}" for number in range(int(count))]
    began = time.perf_counter()
    if name == "distilabel":
        found = distilabel(url, texts, int(concurrency))
    else:
        found = curator(url, texts, int(concurrency), folder)
    seconds = time.perf_counter() - began
    assert sorted(found) == sorted(texts), found[:3]
    sys.stdout.flush()
    os.write(1, f"\nseconds {seconds}\n".encode())


if __name__ == "__main__":
    main()
