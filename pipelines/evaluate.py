"""Extractors side by side on gold pages: each page scored for each of them, and summed up.

    evaluation = evaluate("gold", ["interleaved", "trafilatura"])
    evaluation.totals["interleaved"]["f1"]

Text figures are means over pages; those of images, snippets and structure are shares of all that
there are in a set. Totals are means over sets, so that a large set counts no more than a small one.
"""

from __future__ import annotations

import logging
import statistics
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from pipelines.backend import environment
from pipelines.gold import GoldPage, GoldSet, find_sets
from pipelines.peers import BASELINE, EVERYTHING, OWN, Extractor, choose
from pipelines.progress import Progress
from pipelines.scores import Images, Overlap, Snippets, shingles, tokens
from pipelines.structure import KINDS, Block, Kept, compare, gold_blocks
from schemas.errors import GoldError, Problem

Figures = dict[str, float | None]
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")
_FIRST_PAGE = (
    b"<html><body><article><h1>Title</h1><p>Some words of text.</p></article></body></html>"
)


@dataclass(frozen=True)
class Measure:
    """A figure with its name on the screen; `better` is 1 where more is better, -1 where less."""

    name: str
    label: str
    meaning: str
    better: int = 1
    form: str = "{:.3f}"

    def text(self, value: float | None) -> str:
        """The value as people read it."""
        return "–" if value is None else self.form.format(value)


MEASURES = (
    Measure("precision", "P", "share of the answer's tokens that are in the gold text"),
    Measure("recall", "R", "share of the gold text's tokens that are in the answer"),
    Measure("f1", "F1", "harmonic mean of both, a page; mean over pages"),
    Measure("f1_4gram", "F1-4", "the same over runs of four tokens: order counts"),
    Measure("snippet_f1", "snippets", "F1 of strings that must, and must not, appear"),
    Measure("image_recall", "img R", "share of the gold's images that are found, by file name"),
    Measure("image_precision", "img P", "share of the answer's images that are the gold's"),
    Measure("image_order", "order", "Kendall's tau of the order of found images; mean over pages"),
    Measure(
        "bare", "bare", "share of pages with gold images that are left with none", -1, "{:.1%}"
    ),
    Measure("structure_kept", "kept", "share of gold headings, items, rows, code kept as such"),
    Measure("structure_right", "right", "share of the answer's headings, … that the gold has too"),
    Measure("errors", "errors", "pages on which the extractor raised", -1, "{:.0f}"),
    Measure(
        "cpu_ms", "ms/page", "CPU milliseconds a page, one thread, parsing included", -1, "{:,.1f}"
    ),
)
CPU_RATIO = Measure("cpu_ratio", "CPU", "CPU time as a multiple of trafilatura's", -1, "{:.2f}×")
F1 = next(measure for measure in MEASURES if measure.name == "f1")


@dataclass(frozen=True)
class PageScore:
    """How one extractor did on one page; None where the gold does not ask."""

    text: Overlap | None
    shingles: float | None
    snippets: Snippets | None
    images: Images | None
    structure: dict[str, Kept] | None
    seconds: float
    error: str | None = None


@dataclass(frozen=True)
class PageResult:
    """A page, and its scores by extractor."""

    set: str
    id: str
    lang: str
    page_type: str | None
    scores: dict[str, PageScore]


@dataclass(frozen=True)
class Evaluation:
    """What came out; every figure is computed from `pages`."""

    gold: str
    limit: int | None
    versions: dict[str, str]
    """The extractors in the order in which they are shown, with their versions."""
    left_out: list[str]
    pages: list[PageResult]

    @property
    def names(self) -> list[str]:
        """The extractors that ran."""
        return list(self.versions)

    @property
    def own(self) -> str:
        """The extractor that the report is about: the product's, else the first."""
        return OWN if OWN in self.versions else self.names[0]

    @property
    def contenders(self) -> list[str]:
        """All but the extractor that takes everything: its recall is no merit."""
        return [name for name in self.names if name != EVERYTHING] or self.names

    @cached_property
    def measures(self) -> list[Measure]:
        """The measures that some set has."""
        rows = [figures for row in self.sets.values() for figures in row.values()]
        return [m for m in MEASURES if any(row[m.name] is not None for row in rows)]

    @cached_property
    def sets(self) -> dict[str, dict[str, Figures]]:
        """Figures by set and extractor."""
        return self._by(lambda page: page.set)

    @cached_property
    def languages(self) -> dict[str, dict[str, Figures]]:
        """Figures by language of the page, over all sets."""
        return self._by(lambda page: page.lang)

    @cached_property
    def page_types(self) -> dict[str, dict[str, Figures]]:
        """Figures by set and page type, where a set has types."""
        return self._by(lambda page: page.page_type and f"{page.set}: {page.page_type}")

    @cached_property
    def totals(self) -> dict[str, Figures]:
        """Means over the sets that have the figure; errors and CPU time are over all pages."""
        return {name: self._total(name) for name in self.names}

    def _total(self, name: str) -> Figures:
        total = figures([page.scores[name] for page in self.pages])
        summed = ("pages", "texts", "errors", "cpu_ms")
        for measure in total.keys() - summed:
            values = [of_set[name][measure] for of_set in self.sets.values()]
            total[measure] = _mean(value for value in values if value is not None)
        base = sum(page.scores[BASELINE].seconds for page in self.pages if BASELINE in page.scores)
        spent = sum(page.scores[name].seconds for page in self.pages)
        return total | {"cpu_ratio": spent / base if base else None}

    def structure(self, set_name: str) -> dict[str, dict[str, Kept]]:
        """Blocks by kind and extractor in a set; empty where its gold does not tell kinds."""
        pages = [page for page in self.pages if page.set == set_name]
        found: dict[str, dict[str, Kept]] = {}
        for name in self.names:
            scores = [page.scores[name].structure for page in pages]
            for kind, kept in _structure(score for score in scores if score is not None).items():
                found.setdefault(kind, {})[name] = kept
        return {kind: found[kind] for kind in KINDS if kind in found}

    def _by(self, key: Callable[[PageResult], str | None]) -> dict[str, dict[str, Figures]]:
        groups: dict[str, list[PageResult]] = {}
        for page in self.pages:
            label = key(page)
            if label:
                groups.setdefault(label, []).append(page)
        return {
            label: {name: figures([page.scores[name] for page in pages]) for name in self.names}
            for label, pages in groups.items()
        }

    def best(self, row: dict[str, Figures], measure: Measure) -> set[str]:
        """Who has the best value of a row, as it is shown; nobody where all have the same."""
        values = {name: row[name][measure.name] for name in self.contenders}
        known = {name: value for name, value in values.items() if value is not None}
        shown = {name: measure.text(value) for name, value in known.items()}
        if len(set(shown.values())) < 2:
            return set()
        top = measure.text(max(known.values(), key=lambda value: value * measure.better))
        return {name for name, text in shown.items() if text == top}

    def best_peer(self, row: dict[str, Figures], measure: str = "f1") -> tuple[str, float] | None:
        """The best of the others, and its value."""
        values = {name: row[name][measure] for name in self.contenders if name != self.own}
        known = {name: value for name, value in values.items() if value is not None}
        return max(known.items(), key=lambda item: item[1]) if known else None

    def errors(self, name: str) -> dict[str, int]:
        """The messages of an extractor's failures, the most frequent first."""
        seen: dict[str, int] = {}
        for page in self.pages:
            message = page.scores[name].error
            if message:
                seen[message] = seen.get(message, 0) + 1
        return dict(sorted(seen.items(), key=lambda item: -item[1]))

    def to_json(self) -> dict[str, Any]:
        """All of it for machines, page by page too."""
        return {
            "gold": self.gold,
            "limit": self.limit,
            "extractors": {
                name: {"version": version, "errors": self.errors(name)}
                for name, version in self.versions.items()
            },
            "left_out": self.left_out,
            "totals": self.totals,
            "sets": self.sets,
            "languages": self.languages,
            "page_types": self.page_types,
            "structure": {name: _plain(self.structure(name)) for name in self.sets},
            "pages": [_page_json(page) for page in self.pages],
        }


def _plain(structure: dict[str, dict[str, Kept]]) -> dict[str, Any]:
    return {
        kind: {name: asdict(kept) for name, kept in row.items()} for kind, row in structure.items()
    }


def _page_json(page: PageResult) -> dict[str, Any]:
    fields = {"set": page.set, "id": page.id, "lang": page.lang, "page_type": page.page_type}
    scores = {}
    for name, score in page.scores.items():
        found = figures([score])
        known = {measure: value for measure, value in found.items() if value is not None}
        extra = {"error": score.error} if score.error else {}
        scores[name] = {k: v for k, v in known.items() if k not in ("pages", "texts")} | extra
    return fields | {"scores": scores}


# --- Sums ---------------------------------------------------------------------------------------


def figures(scores: Sequence[PageScore]) -> Figures:
    """The measures over some pages of one extractor; `texts` counts those with a gold text."""
    texts = [score.text for score in scores if score.text]
    runs = [score.shingles for score in scores if score.shingles is not None]
    snippets = [score.snippets for score in scores if score.snippets]
    seconds = sum(score.seconds for score in scores)
    return {
        "pages": len(scores),
        "texts": len(texts),
        "precision": _mean(text.precision for text in texts),
        "recall": _mean(text.recall for text in texts),
        "f1": _mean(text.f1 for text in texts),
        "f1_4gram": _mean(runs),
        "snippet_f1": _snippet_f1(snippets),
        **_image_figures([score.images for score in scores if score.images]),
        **_structure_figures(score.structure for score in scores if score.structure is not None),
        "errors": sum(score.error is not None for score in scores),
        "cpu_ms": 1000 * seconds / len(scores) if scores else None,
    }


def _mean(values: Iterable[float]) -> float | None:
    known = list(values)
    return statistics.fmean(known) if known else None


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _snippet_f1(snippets: list[Snippets]) -> float | None:
    found = sum(snippet.found for snippet in snippets)
    mistakes = sum(snippet.missed + snippet.wrong for snippet in snippets)
    return _share(2 * found, 2 * found + mistakes)


def _image_figures(images: list[Images]) -> Figures:
    gold = sum(image.gold for image in images)
    hits = sum(image.hits for image in images)
    got = sum(image.got for image in images)
    return {
        "image_recall": _share(hits, gold),
        "image_precision": _share(hits, got) if gold else None,
        "image_order": _mean(image.order for image in images if image.order is not None),
        "bare": _mean(float(image.bare) for image in images if image.gold),
    }


def _structure(scores: Iterable[dict[str, Kept]]) -> dict[str, Kept]:
    """Blocks by kind, over pages."""
    total: dict[str, Kept] = {}
    for score in scores:
        for kind, kept in score.items():
            total[kind] = total.get(kind, Kept(0, 0, 0, 0)) + kept
    return total


def _structure_figures(scores: Iterable[dict[str, Kept]]) -> Figures:
    total = sum(_structure(scores).values(), Kept(0, 0, 0, 0))
    return {
        "structure_kept": _share(total.kept, total.gold),
        "structure_right": _share(total.right, total.got) if total.gold else None,
    }


# --- Running ------------------------------------------------------------------------------------


def evaluate(
    gold: str,
    extractors: Sequence[str] = (),
    sets: Sequence[str] = (),
    limit: int | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Run extractors over gold pages, at most `limit` a set.

    All of the gold is checked before any extractor runs.

    Raises:
        GoldError: pages are not as they should be.
        InputError: there is no such gold, set or extractor.
    """
    progress = progress or Progress()
    found = find_sets(gold, sets)
    with environment(dict.fromkeys(_THREADS, "1")):  # read when libraries are imported
        chosen, left_out = choose(extractors)
    total = _checked(found, limit, progress)
    pages: list[PageResult] = []
    failed = 0
    with progress.phase("pages", total, "pages") as phase, _quiet():
        for extractor in chosen:
            _ask(extractor, _FIRST_PAGE, None)  # what it loads on its first page is not timed
        for page_set in found:
            for page in page_set.pages(limit):
                pages.append(_result(page_set.name, page, chosen))
                failed += sum(score.error is not None for score in pages[-1].scores.values())
                phase.advance(1, failed)
    versions = {extractor.name: extractor.version for extractor in chosen}
    return Evaluation(gold, limit, versions, left_out, pages)


def _checked(sets: list[GoldSet], limit: int | None, progress: Progress) -> int:
    """How many pages the sets hold."""
    pages, problems = 0, list[Problem]()
    with progress.phase("gold", sum(found.size for found in sets), "bytes") as phase:
        for found in sets:
            good, wrong = found.check(limit)
            pages += good
            problems += wrong
            phase.advance(found.size)
    if problems:
        raise GoldError(problems)
    return pages


@contextmanager
def _quiet() -> Iterator[None]:
    """Extractors complain of pages in the log; here that would only break the progress bar."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _result(set_name: str, page: GoldPage, extractors: list[Extractor]) -> PageResult:
    blocks = gold_blocks(page)
    scores = {extractor.name: _score(extractor, page, blocks) for extractor in extractors}
    return PageResult(set_name, page.id, page.lang or "und", page.page_type, scores)


def _score(extractor: Extractor, page: GoldPage, blocks: list[Block] | None) -> PageScore:
    answer = _ask(extractor, page.payload, page.url)
    overlap = runs = snippets = images = None
    if page.full_text:
        got, gold = tokens(answer.text), tokens(page.full_text)
        overlap, runs = Overlap.of(got, gold), Overlap.of(shingles(got), shingles(gold)).f1
    if page.wanted is not None:
        snippets = Snippets.of(answer.text, page.wanted, page.unwanted or ())
    if page.images is not None:
        images = Images.of(answer.images, [image.names for image in page.images])
    structure = None if blocks is None else _structure_of(extractor, page, blocks)
    return PageScore(overlap, runs, snippets, images, structure, answer.seconds, answer.error)


@dataclass(frozen=True)
class _Answer:
    """What an extractor gave for a page, the CPU seconds it took, and what went wrong."""

    text: str
    images: list[str]
    seconds: float
    error: str | None = None


def _ask(extractor: Extractor, html: bytes, url: str | None) -> _Answer:
    """A failure is an empty answer."""
    start = time.process_time()
    try:
        text, images = extractor.extract(html, url)
        seconds = time.process_time() - start
        return _Answer(str(text or ""), [str(address or "") for address in images or ()], seconds)
    except Exception as failure:  # noqa: BLE001  # how often an extractor fails is a measure
        error = f"{type(failure).__name__}: {failure}".rstrip(": ")
        return _Answer("", [], time.process_time() - start, error)


def _structure_of(
    extractor: Extractor, page: GoldPage, gold: list[Block]
) -> dict[str, Kept] | None:
    """None for extractors that tell no kinds."""
    if extractor.blocks is None:
        return None
    try:
        got = extractor.blocks(page.payload, page.url)
    except Exception:  # noqa: BLE001  # counted as an error when the text was asked for
        got = []
    return compare(got, gold)
