"""Train a text classifier from labelled texts, and say honestly how good it is.

Texts are split by a hash, so the same file gives the same split and the same figures. A text that
stands several times counts once: it cannot be on both sides. Figures are those of the file that is
written, after quantising, on texts that it has never seen. Beside it goes a card: what it was
trained on, how, and the figures.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.metadata
import json
import sys
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from operators.classifiers import Classifier, FastTextClassifier
from operators.files import Files
from operators.ngrams import Doubles, LinearClassifier, LinearSettings, clean, fit
from schemas.errors import InputError, did_you_mean

Say = Callable[[str], None]

KIND_OF = {".bin": "fasttext", ".ftz": "fasttext", ".npz": "linear"}
LEAST_TEXTS = 10  # of each label
_LEAST_QUANTISED = 256
_LABEL = "__label__"
_THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
_MOST_CURVES = 4  # labels whose curves are printed; the card has all


@dataclass(frozen=True)
class Options:
    """What the command is told."""

    data: str
    out: str
    text: str = "text"
    label: str = "label"
    group: str | None = None
    kind: str | None = None
    test_share: float = 0.2
    precision: float = 0.9
    seed: int = 0
    epochs: int = 10
    rate: float | None = None
    word_ngrams: int = 2
    sign_ngrams: int = 4

    @property
    def suffix(self) -> str:
        """The ending of the model's file, which says its kind.

        Raises:
            InputError: it says none, or another than `kind`.
        """
        suffix = Path(self.out).suffix
        if suffix not in KIND_OF:
            fix = "name it .ftz (fastText, quantised), .bin (fastText) or .npz (linear)"
            raise InputError(f"--out {self.out}: no ending of a model\n    fix: {fix}")
        if self.kind is not None and self.kind not in KIND_OF.values():
            fix = did_you_mean(self.kind, set(KIND_OF.values()))
            raise InputError(f"--kind {self.kind}: cannot be trained here\n    fix: {fix}")
        if self.kind not in (None, KIND_OF[suffix]):
            ends = " or ".join(end for end, kind in KIND_OF.items() if kind == self.kind)
            message = f"--out {self.out}: a model of kind {self.kind} ends in {ends}"
            raise InputError(f"{message}\n    fix: change --out, or leave --kind out")
        return suffix


# --- Data ---------------------------------------------------------------------------------------


@dataclass
class Labelled:
    """Texts with their labels, each text once, and what was passed over."""

    texts: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    empty: int = 0
    """Rows without text or label."""
    repeated: int = 0
    """Rows whose text was there before."""
    contradicting: int = 0
    """Of these, the ones with another label."""

    def take(self, rows: npt.NDArray[np.bool_]) -> Labelled:
        """The rows that are marked."""
        chosen = np.flatnonzero(rows)
        return Labelled(
            [self.texts[row] for row in chosen],
            [self.labels[row] for row in chosen],
            [self.groups[row] for row in chosen],
        )


def read_labelled(options: Options) -> Labelled:
    """The labelled texts of a Parquet or JSON-lines file, as classifiers see them.

    Raises:
        InputError: the file is missing or broken, lacks a column, or holds too little.
    """
    found = Labelled()
    first: dict[str, str] = {}
    for number, row in enumerate(_rows(options), start=1):
        text, label = row.get(options.text), row.get(options.label)
        if text is not None and not isinstance(text, str):
            fix = "name the column that holds the text with --text"
            raise _wrong(options, number, options.text, text, "is no text", fix)
        if label is not None and not isinstance(label, str | int | bool):
            fix = "labels are texts, whole numbers, true or false"
            raise _wrong(options, number, options.label, label, "is no label", fix)
        text, label = clean(text or ""), "" if label is None else str(label)
        if not text or not label:
            found.empty += 1
        elif text in first:
            found.repeated += 1
            found.contradicting += first[text] != label
        else:
            first[text] = label
            found.texts.append(text)
            found.labels.append(label)
            found.groups.append(str(row.get(options.group)) if options.group else text)
    _check(found, options)
    return found


def _rows(options: Options) -> Iterator[dict[str, Any]]:
    path = Path(options.data)
    wanted = [options.text, options.label, *([options.group] if options.group else [])]
    try:
        if path.suffix == ".parquet":
            with pq.ParquetFile(path) as file:
                _columns_there(options, wanted, file.schema_arrow.names)
                for batch in file.iter_batches(1000, columns=wanted):
                    yield from batch.to_pylist()
        elif path.name.endswith((".jsonl", ".jsonl.gz")):
            with path.open("rb") as stream:
                packed = path.suffix == ".gz"
                lines = cast("IO[bytes]", gzip.GzipFile(fileobj=stream)) if packed else stream
                yield from _json_rows(options, wanted, lines)
        else:
            fix = "give a file that ends in .parquet, .jsonl or .jsonl.gz"
            raise InputError(f"{path}: neither Parquet nor JSON lines\n    fix: {fix}")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file\n    fix: check the path") from None
    except (OSError, EOFError, zlib.error, pa.ArrowInvalid) as error:
        raise InputError(f"{path}: cannot be read: {error}\n    fix: write it again") from None


def _json_rows(options: Options, wanted: list[str], lines: IO[bytes]) -> Iterator[dict[str, Any]]:
    names: set[str] = set()
    some = False
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            message = f"{options.data}:{number}: not a JSON object"
            raise InputError(f"{message}\n    fix: write one JSON object a line, in UTF-8")
        names |= row.keys()
        some = True
        yield row
    if some:  # a key may be left out of some rows, not of all
        _columns_there(options, wanted, sorted(names))


def _columns_there(options: Options, wanted: list[str], names: Sequence[str]) -> None:
    flags = dict(zip(wanted, ("--text", "--label", "--group"), strict=False))
    for name in wanted:
        if name not in names:
            message = f"{options.data}: no column '{name}'; it has: {', '.join(names)}"
            fix = f"name the column with {flags[name]}; {did_you_mean(name, names)}"
            raise InputError(f"{message}\n    fix: {fix}")


def _wrong(
    options: Options, number: int, column: str, value: object, message: str, fix: str
) -> InputError:
    shown = repr(value)[:60]
    return InputError(f"{options.data}: row {number}: {column} = {shown} {message}\n    fix: {fix}")


def _check(found: Labelled, options: Options) -> None:
    """Enough texts to learn from and to test on.

    Raises:
        InputError: there are not.
    """
    counts = Counter(found.labels)
    place = f"{options.data}: column '{options.label}'"
    if len(counts) < 2:
        there = f"holds one label only, '{next(iter(counts))}'" if counts else "holds no label"
        fix = "give texts of at least two labels"
        raise InputError(f"{place} {there} ({found.empty} rows are empty)\n    fix: {fix}")
    for label, count in sorted(counts.items()):
        if count < LEAST_TEXTS:
            message = f"{place}: '{label}' has {count} different texts; {LEAST_TEXTS} are the least"
            fix = "add texts of this label, or leave its rows out"
            raise InputError(f"{message}\n    fix: {fix}")
        if KIND_OF[options.suffix] == "fasttext" and len(label.split()) != 1:
            message = f"{place}: '{label}' has a space, which a fastText label cannot hold"
            fix = "rename the label, or train kind linear: --out NAME.npz"
            raise InputError(f"{message}\n    fix: {fix}")


def held_out(found: Labelled, options: Options) -> npt.NDArray[np.bool_]:
    """Which rows are for the test: a share of the texts, or of the groups, by hash.

    Raises:
        InputError: a label is not on both sides.
    """
    rows = np.array([_chance(key, options.seed) < options.test_share for key in found.groups])
    for label in sorted(set(found.labels)):
        own = np.array([other == label for other in found.labels])
        for side, name in ((rows, "to test on"), (~rows, "to learn from")):
            if not (side & own).any():
                what = f"column '{options.group}'" if options.group else "the texts"
                message = f"{options.data}: split by {what}, '{label}' has no text {name}"
                fix = "change --seed or --test-share, add data, or group by a finer column"
                raise InputError(f"{message}\n    fix: {fix}")
    return rows


def _chance(key: str, seed: int) -> float:
    digest = hashlib.blake2b(f"{seed}\0{key}".encode("utf-8", "replace"), digest_size=8).digest()
    return float(int.from_bytes(digest) / 2**64)


# --- Figures ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Point:
    """What a threshold means for a label: of the test texts whose probability reaches it."""

    threshold: float
    precision: float
    recall: float
    share: float
    """Of all test texts that reach the threshold."""


@dataclass(frozen=True)
class LabelFigures:
    """How well one label is told. Precision, recall and F1 are those of the likeliest label."""

    train: int
    test: int
    precision: float
    recall: float
    f1: float
    curve: list[Point]
    wanted: Point | None
    """The least threshold that reaches the precision asked for; None where none does."""


@dataclass(frozen=True)
class Figures:
    """All figures of a model on held-out texts."""

    accuracy: float
    labels: dict[str, LabelFigures]
    confusion: dict[str, dict[str, int]]
    """For each label, how often its texts were taken for which label."""


def measure(model: Classifier, train: Labelled, test: Labelled, precision: float) -> Figures:
    """The figures of a model on the test texts."""
    names = sorted({*train.labels, *test.labels})
    chances = model.probabilities(test.texts)[:, [model.labels.index(name) for name in names]]
    truth = np.array([names.index(label) for label in test.labels])
    guess = chances.argmax(axis=1)
    confusion = np.zeros((len(names), len(names)), np.int64)
    np.add.at(confusion, (truth, guess), 1)
    seen, there = Counter(train.labels), Counter(test.labels)
    figures = {}
    for number, name in enumerate(names):
        hits, taken = int(confusion[number, number]), int(confusion[:, number].sum())
        own, chance = truth == number, chances[:, number]
        figures[name] = LabelFigures(
            seen[name],
            there[name],
            _ratio(hits, taken),
            _ratio(hits, there[name]),
            _ratio(2 * hits, taken + there[name]),
            [point(own, chance, threshold) for threshold in _THRESHOLDS],
            least_threshold(own, chance, precision),
        )
    table = {
        name: dict(zip(names, row, strict=True))
        for name, row in zip(names, confusion.tolist(), strict=True)
    }
    return Figures(float((truth == guess).mean()), figures, table)


def point(own: npt.NDArray[np.bool_], chance: Doubles, threshold: float) -> Point:
    """Precision, recall and share of what reaches the threshold; precision 1 where nothing does."""
    taken = chance >= threshold
    hits = int((own & taken).sum())
    precision = _ratio(hits, int(taken.sum())) if taken.any() else 1.0
    return Point(threshold, precision, _ratio(hits, int(own.sum())), float(taken.mean()))


def least_threshold(own: npt.NDArray[np.bool_], chance: Doubles, precision: float) -> Point | None:
    """The point of least threshold, so of most recall, with at least this precision."""
    order = np.argsort(-chance, kind="stable")
    hits, taken = np.cumsum(own[order]), np.arange(1, len(order) + 1)
    ends = np.append(np.diff(chance[order]) != 0, True)  # equal chances come together
    good = np.flatnonzero(ends & (hits >= precision * taken) & (hits > 0))
    return point(own, chance, float(chance[order][good[-1]])) if len(good) else None


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def figure_lines(figures: Figures, precision: float) -> Iterator[str]:
    """The figures for people."""
    names = list(figures.labels)
    width = max(8, *map(len, names))
    head = f"{'label':{width}}   train    test  precision  recall     F1"
    yield f"{head}   at precision {precision:g}"
    for name, label in figures.labels.items():
        best = "not reached"
        if label.wanted:
            best = f"threshold {label.wanted.threshold:.4f}, recall {label.wanted.recall:.3f}"
        yield (
            f"{name:{width}} {label.train:7,} {label.test:7,}      {label.precision:.3f}"
            f"   {label.recall:.3f}  {label.f1:.3f}   {best}"
        )
    yield f"accuracy {figures.accuracy:.3f}"
    if len(names) <= 12:
        yield "taken for " + "".join(f"  {name:>8}" for name in names)
        for name, row in figures.confusion.items():
            counts = (f"  {row[n]:>{max(8, len(n))},}" for n in names)
            yield f"{name:{max(width, 10)}}" + "".join(counts)
    for name in names[:_MOST_CURVES]:
        yield f"'{name}' from a probability of   precision   recall   share of texts"
        for p in figures.labels[name].curve:
            yield f"{p.threshold:26.2f}       {p.precision:.3f}    {p.recall:.3f}   {p.share:.3f}"


# --- Training -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trained:
    """What was written."""

    model: str
    card: str
    figures: Figures


def train_classifier(options: Options, say: Say) -> Trained:
    """Read, split, train, measure, and write the model and its card.

    Raises:
        InputError: the data or the options are wrong.
    """
    suffix = options.suffix
    found = read_labelled(options)
    say(_said(found))
    rows = held_out(found, options)
    train, test = found.take(~rows), found.take(rows)
    if suffix == ".ftz" and len(train.texts) < _LEAST_QUANTISED:
        message = f"{options.data}: {len(train.texts)} texts to learn from are too few to quantise"
        fix = f"{_LEAST_QUANTISED} are the least; leave the model as it is: --out NAME.bin"
        raise InputError(f"{message}\n    fix: {fix}")
    say(f"split     {len(train.texts):,} texts to learn from, {len(test.texts):,} to test on")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"model{suffix}"
        settings = (_linear if suffix == ".npz" else _fasttext)(train, options, path, say)
        loaded: Classifier = (
            LinearClassifier.load(path) if suffix == ".npz" else FastTextClassifier(path)
        )
        figures = measure(loaded, train, test, options.precision)
        model = path.read_bytes()
    out = Path(options.out)
    card = _card(options, settings, found, figures, model)
    files = Files(str(out.parent))
    files.write(out.name, model)
    files.write(f"{out.name}.json", (json.dumps(card, indent=1) + "\n").encode())
    return Trained(str(out), f"{out}.json", figures)


def _said(found: Labelled) -> str:
    counts = ", ".join(f"{count:,} {label}" for label, count in Counter(found.labels).most_common())
    notes = f"; passed over: {found.empty:,} empty, {found.repeated:,} repeated"
    if found.contradicting:
        notes += f" ({found.contradicting:,} of them with another label)"
    return f"read      {len(found.texts):,} texts: {counts}{notes}"


def _linear(train: Labelled, options: Options, path: Path, say: Say) -> dict[str, Any]:
    settings = LinearSettings(
        sign_ngrams=options.sign_ngrams,
        word_ngrams=options.word_ngrams,
        epochs=options.epochs,
        rate=options.rate or LinearSettings.rate,
        seed=options.seed,
    )
    fit(train.texts, train.labels, settings, lambda line: say(f"training  {line}")).save(path)
    return asdict(settings)


def _fasttext(train: Labelled, options: Options, path: Path, say: Say) -> dict[str, Any]:
    import fasttext

    settings = {
        "epoch": options.epochs,
        "lr": options.rate or 0.5,
        "wordNgrams": options.word_ngrams,
        "minn": 1 if options.sign_ngrams else 0,
        "maxn": options.sign_ngrams,
        "dim": 32,
        "bucket": 1 << 16,
        "minCount": 2,
        "loss": "softmax",
        "seed": options.seed,
        "thread": 1,  # several give another model each time
    }
    lines = path.with_suffix(".txt")
    with lines.open("w", encoding="utf-8", errors="replace") as file:
        for text, label in zip(train.texts, train.labels, strict=True):
            words = text.replace("\n", " ").replace(_LABEL, " ")
            file.write(f"{_LABEL}{label} {words}\n")
    say("training  fastText, one thread: this may take minutes")
    try:
        model = fasttext.train_supervised(str(lines), verbose=2 * sys.stderr.isatty(), **settings)
        if path.suffix == ".ftz":
            model.quantize(str(lines), qnorm=True, verbose=0)
        model.predict(train.texts[0].replace("\n", " "))  # raises where quantising gave no numbers
        model.save_model(str(path))
    except (RuntimeError, ValueError) as error:
        fix = f"try a smaller --rate than {settings['lr']:g}, or more texts"
        raise InputError(
            f"fastText cannot train on {options.data}: {error}\n    fix: {fix}"
        ) from None
    return settings


def _card(
    options: Options,
    settings: dict[str, Any],
    found: Labelled,
    figures: Figures,
    model: bytes,
) -> dict[str, Any]:
    with Path(options.data).open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    libraries = ("omniloom", "numpy", "fasttext-community")
    return {
        "model": {
            "file": Path(options.out).name,
            "kind": KIND_OF[options.suffix],
            "labels": list(figures.labels),
            "bytes": len(model),
            "sha256": hashlib.sha256(model).hexdigest(),
        },
        "data": {
            "file": Path(options.data).name,
            "sha256": digest,
            "text": options.text,
            "label": options.label,
            "group": options.group,
            "texts": len(found.texts),
            "empty": found.empty,
            "repeated": found.repeated,
            "contradicting": found.contradicting,
        },
        "split": {"seed": options.seed, "test_share": options.test_share},
        "settings": settings,
        "precision_asked": options.precision,
        "figures": asdict(figures),
        "libraries": {name: importlib.metadata.version(name) for name in libraries},
    }
