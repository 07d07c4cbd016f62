"""Fit the weights of the token estimate to a real tokenizer, and say how far off it is.

usage: python jobs/models/fit_token_weights.py RANKS TEXTS.tsv

RANKS is tiktoken's file of the vocabulary o200k_base; needs tiktoken (`pip install tiktoken`).
TEXTS has a language in the first column and a sentence in the last; sentences of a language are
joined, twenty at a time. Weights are fitted to every other of these texts and to the documents of
the bundled sample by least squares of the relative error, none below zero, and printed as
operators/token_weights.py holds them. Then comes the error of the weights in use there, by
language: of the sample, and of the texts that no weight was fitted to.
"""

from __future__ import annotations

import argparse
import base64
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import tiktoken

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from operators import text_loops
from operators.extract import ExtractInterleaved
from operators.language import LanguageId
from operators.sources import Page
from operators.text import node_texts, tables
from operators.text_signs import SCRIPTS
from operators.warc import WarcSource
from operators.word_lists import STOP_LANGUAGES
from schemas.tables import DOCUMENTS

SAMPLE = Path(__file__).resolve().parents[1] / "sample"
# How o200k_base cuts a text before it merges: words with their space, digits by three, marks.
_PIECES = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

# Runs, signs and late signs that get a weight: of scripts with few texts, signs alone.
_ALL, _TWO, _SIGNS = (1, 1, 1), (1, 1, 0), (0, 1, 0)
_FREE = np.concatenate(
    [
        {"space": (1, 0, 0), "ascii letter": _ALL, "latin letter": _SIGNS}.get(
            script, _TWO if script in ("digit", "greek or cyrillic", "arabic or hebrew") else _SIGNS
        )
        for script in SCRIPTS
    ]
)
# How much a text of a language counts: most corpora are English and Chinese.
_TRUST = dict.fromkeys(STOP_LANGUAGES, 1.0) | {"en": 4.0, "zh": 4.0}
_LITTLE = 0.1


def say(text: str, end: str = "\n") -> None:
    sys.stdout.write(text + end)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ranks", type=Path)
    parser.add_argument("texts", type=Path)
    options = parser.parse_args()
    lines = (line.split() for line in options.ranks.read_bytes().splitlines())
    ranks = {base64.b64decode(token): int(rank) for token, rank in lines}
    encoding = tiktoken.Encoding(
        options.ranks.stem, pat_str=_PIECES, mergeable_ranks=ranks, special_tokens={}
    )

    def tokens(texts: Sequence[str]) -> npt.NDArray[np.float64]:
        return np.array([len(encoding.encode_ordinary(text)) for text in texts], float)

    sample, others = sample_texts(), joined_texts(options.texts)
    fitted_to = sample[1] + others[1][::2]
    trust = [_TRUST.get(language, _LITTLE) for language in sample[0] + others[0][::2]]
    weights = fit(features(fitted_to), tokens(fitted_to), np.array(trust))
    for script, row in zip(SCRIPTS, weights.reshape(-1, 3), strict=True):
        say(f'    "{script}": ({row[0]:.2f}, {row[1]:.2f}, {row[2]:.2f}),')
    report("bundled sample", *sample, tokens(sample[1]))
    held_out = others[0][1::2], others[1][1::2]
    report(options.texts.name, *held_out, tokens(held_out[1]))


def joined_texts(path: Path) -> tuple[list[str], list[str]]:
    """Language and text, of twenty sentences each."""
    sentences: dict[str, list[str]] = defaultdict(list)
    for line in path.read_text("utf-8").splitlines()[1:]:
        cells = line.split("\t")
        if cells[-1].strip():
            sentences[cells[0]].append(cells[-1])
    found = [
        (language, " ".join(own[start : start + 20]))
        for language, own in sorted(sentences.items())
        for start in range(0, len(own), 20)
    ]
    return [language for language, _ in found], [text for _, text in found]


def sample_texts() -> tuple[list[str], list[str]]:
    """Language and text of the documents of the bundled sample."""
    languages: list[str] = []
    texts: list[str] = []
    source = WarcSource(path=str(SAMPLE / "*.warc.gz"))
    extract, language = ExtractInterleaved(), LanguageId()
    for uri in source.inputs():
        pages = [asdict(page) for page in source.index(uri) if isinstance(page, Page)]
        rows = pa.Table.from_pylist(pages, schema=DOCUMENTS.born)
        rows = rows.append_column("html", source.payload(uri, rows)["html"])
        result = extract.measure(rows.select(extract.reads.names), extract.setup())
        langs = language.measure(result.select(["nodes"]), language.setup())["lang"]
        for lang, nodes in zip(langs.to_pylist(), node_texts(result["nodes"]), strict=True):
            text = " ".join(node for node in nodes or [] if node)
            if text:
                languages.append(lang)
                texts.append(text)
    return languages, texts


def features(texts: Sequence[str]) -> npt.NDArray[np.float64]:
    """Runs, signs and late signs of each script in each text; (texts, 3 * scripts)."""
    columns = []
    for index in range(3 * len(SCRIPTS)):
        weights = np.zeros(3 * len(SCRIPTS))
        weights[index] = 1
        columns.append(estimates(texts, weights))
    return np.stack(columns, axis=1)


def estimates(texts: Sequence[str], weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The operator's estimate for each text, with these weights."""
    found = tables()
    points = np.frombuffer("".join(texts).encode("utf-32-le"), np.uint32)
    first = np.cumsum([0, *map(len, texts)])
    return text_loops.read_words(
        points,
        first,
        found.kinds,
        found.folds,
        found.lexicon,
        len(STOP_LANGUAGES),
        found.longest_run,
        weights.reshape(-1, 3),
    )[1]


def fit(
    columns: npt.NDArray[np.float64],
    tokens: npt.NDArray[np.float64],
    trust: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """Weights of least relative error, none below zero: negative ones leave, until none is left."""
    scaled = columns * (trust / tokens)[:, None]
    chosen = np.flatnonzero(columns.sum(axis=0) * _FREE)
    while True:
        found, *_ = np.linalg.lstsq(scaled[:, chosen], trust, rcond=None)
        if (found >= 0).all():
            weights = np.zeros(columns.shape[1])
            weights[chosen] = found
            return weights
        chosen = np.delete(chosen, found.argmin())


def report(
    title: str, languages: Sequence[str], texts: Sequence[str], tokens: npt.NDArray[np.float64]
) -> None:
    """Tokens found over tokens there are, by language, and the error of single texts."""
    found = np.ceil(estimates(texts, tables().weights))
    error = np.abs(found - tokens) / tokens
    say(f"\n{title}: {len(texts)} texts, {tokens.mean():.0f} tokens on average")
    say(f"all texts together {found.sum() / tokens.sum() - 1:+.1%}, ", end="")
    say(f"median error of a text {np.median(error):.1%}, of nine in ten {error_90(error):.1%}")
    by_language: dict[str, list[int]] = defaultdict(list)
    for row, language in enumerate(languages):
        by_language[language].append(row)
    for language, rows in sorted(by_language.items()):
        ratio = found[rows].sum() / tokens[rows].sum() - 1
        say(f"{language:8} {len(rows):6} texts {ratio:+7.1%}")


def error_90(error: npt.NDArray[np.float64]) -> float:
    """The error that nine in ten texts stay below."""
    return float(np.quantile(error, 0.9))


if __name__ == "__main__":
    main()
