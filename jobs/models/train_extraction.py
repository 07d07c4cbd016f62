"""Train the model that tells main content from the rest, out of pages with gold content.

usage: python jobs/models/train_extraction.py GOLD_DIR [--cross-validate] [--out FILE]

GOLD_DIR holds sets of gold pages as docs/evaluation.md describes them. Needs catboost and rapidfuzz
(`pip install --group train`). It prints F1 by set over five folds of whole domains, and unless
--cross-validate is given goes on to write operators/models/extraction.npz.

Labels: the longest common subsequence of page tokens and gold tokens, in runs of at least three,
plus runs of five that the page shows elsewhere than the gold has them. A block's label is the share
of its tokens so covered; its weight is its share of the page's main content, so that every page
counts the same. Pages that do not hold their gold text (best possible F1 below one half) are not
learned from. Where the gold has snippets only, blocks that hold one are labelled by it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import catboost
import numpy as np
from rapidfuzz.distance import LCSseq

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from operators.block_features import (
    ROOM,
    BlockFeatures,
    FeatureTable,
    Lexicon,
    add_context_features,
    add_lexicon_features,
    best_cut,
    key_scores,
    key_words,
)
from operators.decode import UndecodablePage, decode_html
from operators.dom import read_page
from operators.extract import is_content
from operators.page_images import PageImage, image_features, images_near, page_images
from pipelines.gold import GoldPage, find_sets
from pipelines.scores import Snippets, file_name, tokens

FOLDS = 5
INNER_FOLDS = 4
MODEL = Path(__file__).resolve().parents[2] / "operators" / "models" / "extraction.npz"
COMMON: dict[str, Any] = {
    "loss_function": "CrossEntropy",
    "border_count": 32,
    "rsm": 0.5,
    "boosting_type": "Plain",
    "bootstrap_type": "MVS",
    "thread_count": 2,
    "verbose": 0,
    "allow_writing_files": False,
}
FIRST = {"depth": 6, "iterations": 250, "learning_rate": 0.18, "random_seed": 0}
SECOND = {"depth": 6, "iterations": 150, "learning_rate": 0.14, "random_seed": 1}
IMAGES = {"depth": 4, "iterations": 150, "learning_rate": 0.08, "random_seed": 2}
MIN_DOMAINS = 6
SET_BALANCE = 0.5

Matrix = Any


@dataclass
class Example:
    """A gold page, laid out, measured and labelled."""

    set_name: str
    gold: GoldPage
    page: BlockFeatures
    words: list[list[str]]
    label: Matrix
    weight: Matrix
    base_url: str

    def fold(self, count: int, salt: str = "") -> int:
        """A stable number below `count` for the page's domain."""
        group = self.gold.group or self.gold.id
        return int(hashlib.md5((salt + group).encode()).hexdigest(), 16) % count

    def score(self, keep: Matrix) -> float | None:
        """Token F1 of the kept blocks against the gold text; None without a full text."""
        if self.gold.full_text is None:
            return None
        got = Counter(word for index in np.flatnonzero(keep) for word in self.words[index])
        gold = Counter(tokens(self.gold.full_text))
        return 2 * (got & gold).total() / max(got.total() + gold.total(), 1)


def examples(folder: str) -> Iterator[Example]:
    """The gold pages that hold at least one block."""
    for gold_set in find_sets(folder):
        for gold in gold_set.pages():
            try:
                page = read_page(decode_html(gold.payload))
            except UndecodablePage:
                continue
            if not page.layout.blocks.text:
                continue
            measured = BlockFeatures(page.layout, page.title)
            words = [tokens(text) for text in page.layout.blocks.text]
            label, weight = _labelled(gold, measured.texts, words)
            yield Example(
                gold_set.name,
                gold,
                measured,
                words,
                label,
                weight,
                gold.url or "http://page.invalid/",
            )


def _labelled(gold: GoldPage, texts: list[str], words: list[list[str]]) -> tuple[Matrix, Matrix]:
    """Label (NaN where unknown) and weight of each block."""
    sizes = np.array([len(found) for found in words], float)
    if gold.full_text is not None:
        wanted = tokens(gold.full_text)
        covered = _covered([word for found in words for word in found], wanted)
        sums = np.concatenate(([0], np.cumsum(covered)))
        ends = np.cumsum(sizes).astype(int)
        with np.errstate(invalid="ignore"):
            label = (sums[ends] - sums[ends - sizes.astype(int)]) / sizes
        found = np.nan_to_num(label) * sizes
        weight = np.minimum(sizes / max(found.sum(), 30), 1) + 0.002
        best = Counter(w for i in np.flatnonzero(np.nan_to_num(label) > 0.5) for w in words[i])
        hit = (best & Counter(wanted)).total()
        if 2 * hit < 0.5 * (best.total() + len(wanted)):
            weight = np.zeros(len(sizes))
        return label, weight
    label = np.full(len(sizes), np.nan)
    wanted_snippets = [_flat(text) for text in gold.wanted or () if text]
    unwanted_snippets = [_flat(text) for text in gold.unwanted or () if text]
    for index, text in enumerate(map(_flat, texts)):
        good = any(snippet in text for snippet in wanted_snippets)
        if good != any(snippet in text for snippet in unwanted_snippets):
            label[index] = float(good)
    return label, np.full(len(sizes), 0.05)


def _flat(text: str) -> str:
    return " ".join(text.split())


def _covered(page: list[str], gold: list[str]) -> Matrix:
    """For each token of the page whether it is part of the gold text."""
    numbers: dict[str, int] = {}
    ours = [numbers.setdefault(word, len(numbers)) for word in page]
    theirs = [numbers.setdefault(word, len(numbers)) for word in gold]
    covered, free = np.zeros(len(ours), bool), np.ones(len(theirs), bool)
    for step in LCSseq.opcodes(ours, theirs):
        if step.tag == "equal" and step.src_end - step.src_start >= 3:
            covered[step.src_start : step.src_end] = True
            free[step.dest_start : step.dest_end] = False
    runs = range(len(theirs) - 4)
    elsewhere = Counter(tuple(theirs[i : i + 5]) for i in runs if free[i : i + 5].all())
    for start in range(len(ours) - 4):
        run = tuple(ours[start : start + 5])
        if not covered[start] and elsewhere[run] > 0:
            covered[start : start + 5] = True
            elsewhere[run] -= 1
    return covered


class LexiconCounts:
    """What each example says of words of markup, counted once: every page has one vote a word."""

    def __init__(self, found: Sequence[Example]) -> None:
        self.votes = [_votes(example, _words_of_markup(example)) for example in found]
        self.groups = [example.gold.group or example.gold.id for example in found]

    def lexicon(self, chosen: Sequence[int]) -> Lexicon:
        """The lexicon of the examples numbered in `chosen`: words of several domains only."""
        good: defaultdict[str, float] = defaultdict(float)
        total: defaultdict[str, float] = defaultdict(float)
        domains: defaultdict[str, set[str]] = defaultdict(set)
        for index in chosen:
            for word, (share, size) in self.votes[index].items():
                good[word] += share * size
                total[word] += size
                domains[word].add(self.groups[index])
        return Lexicon(
            {
                word: float(np.log((good[word] + 1) / (total[word] - good[word] + 1)))
                for word in total
                if len(domains[word]) >= MIN_DOMAINS
            }
        )


def _words_of_markup(example: Example) -> list[frozenset[str]]:
    containers = example.page.layout.containers
    above: list[frozenset[str]] = []
    for number, parent in enumerate(containers.parent):
        around = above[parent] if parent >= 0 else frozenset()
        above.append(
            around | key_words(containers.key_of(number)[len(containers.tag_of(number)) :])
        )
    return [above[number] for number in example.page.container]


def _votes(example: Example, words: list[frozenset[str]]) -> dict[str, tuple[float, float]]:
    good: defaultdict[str, float] = defaultdict(float)
    size: defaultdict[str, float] = defaultdict(float)
    known = ~np.isnan(example.label) & (example.weight > 0)
    for index in np.flatnonzero(known):
        for word in words[index]:
            good[word] += example.label[index] * (example.weight[index] + 0.01)
            size[word] += example.weight[index] + 0.01
    return {word: (good[word] / size[word], min(1.0, size[word])) for word in size}


def _with_lexicon(example: Example, lexicon: Lexicon) -> Matrix:
    table = example.page.table.branch()
    add_lexicon_features(table, example.page, key_scores(example.page, lexicon))
    return table.filled().T.copy()


def _fit(rows: list[Matrix], found: list[Example], settings: dict[str, Any]) -> Any:
    label = np.concatenate([example.label for example in found])
    weight = np.concatenate([example.weight for example in found])
    known = ~np.isnan(label) & (weight > 0)
    pool = catboost.Pool(np.concatenate(rows)[known], label[known], weight=weight[known])
    return catboost.CatBoostClassifier(**COMMON, **settings).fit(pool)


def _predict(model: Any, rows: Matrix) -> Matrix:
    return model.predict_proba(rows)[:, 1].astype(np.float32)


class Training:
    """Everything learned, fold by fold and then on all pages."""

    def __init__(self, found: list[Example]) -> None:
        self.found = found
        self.counts = LexiconCounts(found)
        self.folds = np.array([example.fold(FOLDS) for example in found])
        self.inner = np.array([example.fold(INNER_FOLDS, "inner") for example in found])
        self.started = time.monotonic()
        sizes = Counter(example.set_name for example in found)
        for example in found:  # so that large sets do not drown the conventions of small ones
            example.weight = example.weight * (300 / sizes[example.set_name]) ** SET_BALANCE

    def say(self, text: str) -> None:
        """A line of progress, with the minutes so far."""
        sys.stdout.write(f"[{(time.monotonic() - self.started) / 60:5.1f} min] {text}\n")
        sys.stdout.flush()

    def rows(self, chosen: Sequence[int]) -> list[Matrix]:
        """Features for training: no page's lexicon has seen its own domain."""
        rows: dict[int, Matrix] = {}
        for part in range(INNER_FOLDS):
            lexicon = self.counts.lexicon([i for i in chosen if self.inner[i] != part])
            for index in chosen:
                if self.inner[index] == part:
                    rows[index] = _with_lexicon(self.found[index], lexicon)
        return [rows[index] for index in chosen]

    def cross_validate(self) -> tuple[list[Matrix], list[Matrix]]:
        """Probabilities of every block from models that have not seen its domain, both stages.

        The second stage learns from first-stage estimates of the other folds' models, which have
        seen the fold left out; nothing of its labels reaches the features that way but through
        the fitted trees.
        """
        everyone = range(len(self.found))
        first: list[Matrix] = [None] * len(self.found)
        rows: dict[int, tuple[list[int], list[Matrix]]] = {}
        tests: dict[int, Matrix] = {}
        for fold in range(FOLDS):
            chosen = [i for i in everyone if self.folds[i] != fold]
            rows[fold] = (chosen, self.rows(chosen))
            model = _fit(rows[fold][1], [self.found[i] for i in chosen], FIRST)
            lexicon = self.counts.lexicon(chosen)
            for index in everyone:
                if self.folds[index] == fold:
                    tests[index] = _with_lexicon(self.found[index], lexicon)
                    first[index] = _predict(model, tests[index])
            self.say(f"first stage, fold {fold + 1} of {FOLDS}")
        second: list[Matrix] = [None] * len(self.found)
        for fold, (chosen, found_rows) in rows.items():
            stacked = [
                self._stacked(r, i, first[i]) for r, i in zip(found_rows, chosen, strict=True)
            ]
            model = _fit(stacked, [self.found[i] for i in chosen], SECOND)
            for index in everyone:
                if self.folds[index] == fold:
                    both = self._stacked(tests[index], index, first[index])
                    second[index] = _predict(model, both)
            self.say(f"second stage, fold {fold + 1} of {FOLDS}")
        return first, second

    def _stacked(self, rows: Matrix, index: int, first: Matrix) -> Matrix:
        page = self.found[index].page
        context = FeatureTable(page.size, ROOM)
        add_context_features(context, page, first)
        return np.hstack([rows, context.filled().T])

    def fit_all(self, first: list[Matrix]) -> tuple[Lexicon, Any, Any]:
        """The lexicon and the two classifiers, from all pages; `first` is cross-validated."""
        everyone = range(len(self.found))
        rows = self.rows(everyone)
        one = _fit(rows, self.found, FIRST)
        self.say("first stage, all pages")
        stacked = [self._stacked(rows[i], i, first[i]) for i in everyone]
        two = _fit(stacked, self.found, SECOND)
        self.say("second stage, all pages")
        return self.counts.lexicon(everyone), one, two

    def block_features(self) -> list[str]:
        """Names of the second stage's features; the first stage's come first among them."""
        page = self.found[0].page
        table = page.table.branch()
        add_lexicon_features(table, page, key_scores(page, Lexicon({})))
        add_context_features(table, page, np.full(page.size, 0.5, np.float32))
        return table.names

    def images(self, second: list[Matrix]) -> tuple[Any, list[ShownImages]]:
        """The image classifier, and pages' images with their cross-validated probabilities."""
        lexicons = [
            self.counts.lexicon([i for i in range(len(self.found)) if self.folds[i] != fold])
            for fold in range(FOLDS)
        ]
        pages = []
        for index, example in enumerate(self.found):
            if example.gold.images is not None:
                shown = _shown(example, second[index], lexicons[self.folds[index]])
                if shown is not None:
                    pages.append(shown)
        for fold in range(FOLDS):
            model = _fit_images([p for p in pages if p.example.fold(FOLDS) != fold])
            for page in pages:
                if page.example.fold(FOLDS) == fold:
                    page.probability = _predict(model, page.rows)
        return _fit_images(pages), pages


@dataclass
class ShownImages:
    """The images of a gold page, measured and labelled; `kept` are its blocks."""

    example: Example
    images: list[PageImage]
    kept: list[bool]
    features: list[str]
    rows: Matrix
    label: Matrix
    probability: Matrix = None


def _shown(example: Example, probability: Matrix, lexicon: Lexicon) -> ShownImages | None:
    page = example.page
    cut, _ = best_cut(probability, page.weight)
    kept = probability >= cut
    images = page_images(images_near(page.layout.images, kept), example.base_url)
    if not images:
        return None
    table = image_features(page, probability, cut, key_scores(page, lexicon), images)
    names = [image.names for image in example.gold.images or ()]
    label = np.array([any(file_name(image.url) in n for n in names) for image in images], float)
    return ShownImages(example, images, kept.tolist(), table.names, table.filled().T.copy(), label)


def _fit_images(pages: list[ShownImages]) -> Any:
    rows = np.concatenate([page.rows for page in pages])
    label = np.concatenate([page.label for page in pages])
    weight = np.concatenate([np.full(len(p.label), 1 / np.sqrt(len(p.label))) for p in pages])
    pool = catboost.Pool(rows, label, weight=weight)
    return catboost.CatBoostClassifier(**COMMON, **IMAGES).fit(pool)


def keep(example: Example, probability: Matrix) -> Matrix:
    """The blocks that the extractor would keep."""
    cut, _ = best_cut(probability, example.page.weight)
    return probability >= cut


def report(found: list[Example], second: list[Matrix], say: Callable[[str], None]) -> None:
    """Token F1 by set: mean over pages, and the spread of its mean over folds."""
    scores: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
    snippets: defaultdict[str, list[Snippets]] = defaultdict(list)
    for example, probability in zip(found, second, strict=True):
        kept = keep(example, probability)
        score = example.score(kept)
        if score is not None:
            scores[example.set_name].append((example.fold(FOLDS), score))
            if example.gold.page_type:
                name = f"{example.set_name}/{example.gold.page_type}"
                scores[name].append((example.fold(FOLDS), score))
        elif example.gold.wanted:
            text = " ".join(example.page.texts[i] for i in np.flatnonzero(kept))
            answer = Snippets.of(text, example.gold.wanted, example.gold.unwanted or ())
            snippets[example.set_name].append(answer)
    for name, values in sorted(scores.items()):
        by_fold = [[s for f, s in values if f == fold] for fold in range(FOLDS)]
        means = [float(np.mean(fold)) for fold in by_fold if fold]
        mean, spread = np.mean([s for _, s in values]), np.std(means)
        say(f"{name:24} {len(values):5} pages  F1 {mean:.4f}  spread over folds {spread:.4f}")
    for name, answers in snippets.items():
        found_, missed = sum(a.found for a in answers), sum(a.missed for a in answers)
        wrong = sum(a.wrong for a in answers)
        score = 2 * found_ / (2 * found_ + missed + wrong)
        say(f"{name:24} {len(answers):5} pages  snippet F1 {score:.4f}")


def report_images(
    found: list[Example], pages: list[ShownImages], say: Callable[[str], None]
) -> None:
    """Recall and precision of the images that the extractor would keep, by set and threshold."""
    for name in sorted({page.example.set_name for page in pages}):
        total = sum(len(e.gold.images or ()) for e in found if e.set_name == name)
        line = []
        for cut in (0.2, 0.3, 0.4, 0.5, 0.6):
            kept = hit = 0
            for page in (page for page in pages if page.example.set_name == name):
                for image, chance, good in zip(
                    page.images, page.probability, page.label, strict=True
                ):
                    if is_content(image, chance, page.kept, cut):
                        kept, hit = kept + 1, hit + int(good)
            line.append(f"{cut}: {hit / max(total, 1):.3f}/{hit / max(kept, 1):.3f}")
        say(f"images {name:16} {total:4} gold, recall/precision at " + "  ".join(line))


def arrays_of(model: Any, prefix: str) -> dict[str, Matrix]:
    """A fitted CatBoost model as the arrays that operators.trees reads."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.json"
        model.save_model(str(path), format="json")
        saved = json.loads(path.read_text())
    trees = saved["oblivious_trees"]
    depth = max(len(tree["splits"] or ()) for tree in trees)
    feature = np.zeros((len(trees), depth), np.int16)
    threshold = np.full((len(trees), depth), np.inf, np.float32)
    leaves = np.zeros((len(trees), 2**depth), np.float32)
    for number, tree in enumerate(trees):
        for level, split in enumerate(tree["splits"] or ()):
            feature[number, level] = split["float_feature_index"]
            threshold[number, level] = split["border"]
        leaves[number, : len(tree["leaf_values"])] = tree["leaf_values"]
    scale, bias = saved["scale_and_bias"]
    return {
        f"{prefix}_feature": feature,
        f"{prefix}_threshold": threshold,
        f"{prefix}_leaves": leaves * np.float32(scale),
        f"{prefix}_bias": np.float32(bias[0]),
    }


def main() -> None:
    """Cross-validate, and write the model."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("gold")
    parser.add_argument("--cross-validate", action="store_true", help="write no model")
    parser.add_argument("--out", type=Path, default=MODEL)
    options = parser.parse_args()
    training = Training(list(examples(options.gold)))
    training.say(f"{len(training.found)} pages read")
    first, second = training.cross_validate()
    training.say("first stage alone")
    report(training.found, first, training.say)
    training.say("both stages")
    report(training.found, second, training.say)
    image_model, pages = training.images(second)
    report_images(training.found, pages, training.say)
    if options.cross_validate:
        return
    lexicon, one, two = training.fit_all(first)
    words = sorted(lexicon.words)
    arrays = {
        **arrays_of(one, "first"),
        **arrays_of(two, "second"),
        **arrays_of(image_model, "images"),
        "block_features": np.array(training.block_features()),
        "image_features": np.array(pages[0].features),
        "key_words": np.array(words),
        "key_scores": np.array([lexicon.words[word] for word in words], np.float32),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(options.out, **arrays)
    training.say(f"wrote {options.out}, {options.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
