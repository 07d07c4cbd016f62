"""datatrove's text filters over texts: `python text_rules_peer.py TEXTS.json`, prints JSON.

Run by `text_rules` in an interpreter that has datatrove, as a program of its own that imports
nothing of ours. The chain is Gopher's repetition and quality filters, C4's and FineWeb's, as in
datatrove's FineWeb example; a document that a filter drops is not asked further. CPU seconds of
this process, after a round over a tenth of the texts that loads what is loaded on first use.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any


def main() -> None:
    """Rates by tokenizer of words, and the share of texts kept; or what is missing."""
    try:
        import spacy  # noqa: F401  # its tokenizer of English
        from datatrove.data import Document
        from datatrove.pipeline.filters import (
            C4QualityFilter,
            FineWebQualityFilter,
            GopherQualityFilter,
            GopherRepetitionFilter,
        )
        from datatrove.utils.typeshelper import Languages
        from datatrove.utils.word_tokenizers import WhitespaceTokenizer
    except ImportError as error:
        sys.stdout.write(json.dumps({"missing": str(error)}) + "\n")
        return
    texts: list[str] = json.loads(Path(sys.argv[1]).read_text())
    rates: dict[str, float] = {}
    kept: dict[str, float] = {}
    tokenizers = (("spaCy", Languages.english), ("white space", WhitespaceTokenizer()))
    for tokenizer, language in tokenizers:
        name = f"datatrove, {tokenizer}"
        chain = [
            GopherRepetitionFilter(language=language),
            GopherQualityFilter(language=language),
            C4QualityFilter(filter_no_terminal_punct=False, language=language),
            FineWebQualityFilter(language=language),
        ]
        _passed(chain, [Document(text, "0") for text in texts[: len(texts) // 10 + 1]])
        documents = [Document(text, "0") for text in texts]
        started = time.process_time()
        passed = _passed(chain, documents)
        rates[name] = len(texts) / (time.process_time() - started)
        kept[name] = round(passed / len(texts), 3)
    sys.stdout.write(json.dumps({"rates": rates, "kept": kept}) + "\n")


def _passed(chain: list[Any], documents: list[Any]) -> int:
    return sum(all(step.filter(document) is True for step in chain) for document in documents)


if __name__ == "__main__":
    main()
