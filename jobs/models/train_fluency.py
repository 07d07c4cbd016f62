"""Train the fluency model that omniloom ships: running text against text that no person wrote.

usage: python jobs/models/train_fluency.py FOLDER [--out FILE] [--stretches FILE]

FOLDER holds Debian's documentation packages, unpacked (`apt-get download NAME`, `dpkg -x`), all of
PACKAGES. They are under free licences, and only figures about their words end up in the model.

Fluent are stretches of running text as omniloom extracts it from their pages. Not fluent are the
same stretches spoiled by one of SPOILERS, so that subject and language say nothing about the label.
Packages in HELD_OUT are tested on and never learned from. Three kinds of figures are printed:
by kind of spoiling and by language; and by kind once more from a model that never saw that kind,
which tells how far the model goes beyond what it was shown. The model written is the first one.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from operators.extract import ExtractInterleaved
from operators.language import LanguageId
from operators.ngrams import LinearClassifier, LinearSettings, clean, fit
from operators.scripts import WORD
from schemas.columns import schema

MODEL = Path(__file__).resolve().parents[2] / "operators" / "models" / "fluency.npz"
PACKAGES = {  # where each package's pages lie in it
    "anarchism": "usr/share/doc/anarchism/html",
    "aptitude-doc-en": "usr/share/doc/aptitude/html",
    "debian-faq": "usr/share/doc/debian/FAQ",
    "debian-handbook": "usr/share/doc/debian-handbook/html",
    "debian-reference": "usr/share/doc/debian-reference-*/docs",
    "debmake-doc": "usr/share/doc/debmake-doc/html",
    "developers-reference": "usr/share/doc/developers-reference*/docs",
    "freedombox-doc-en": "usr/share/freedombox/manual",
    "gimp-help": "usr/share/gimp/2.0/help",
    "gnucash-docs": "usr/share/doc/gnucash-docs",
    "kicad-doc-zh": "usr/share/doc/kicad/help",
    "maint-guide-zh-cn": "usr/share/doc/maint-guide-zh-cn/html",
}
HELD_OUT = ("debian-reference", "freedombox-doc-en", "gnucash-docs", "kicad-doc-zh")
MOST = 800  # stretches of one language in one package
LENGTHS = (150, 3000)  # signs of a stretch
FLUENT, SPOILED = "fluent", "not_fluent"
SETTINGS = LinearSettings(sign_ngrams=4, word_ngrams=2, bits=17, epochs=5, rate=2.0)

Texts = list[str]


@dataclass(frozen=True)
class Example:
    """A stretch of text: where it is from, and what was done to it ('' for nothing)."""

    text: str
    package: str
    language: str
    kind: str = ""

    @property
    def label(self) -> str:
        return SPOILED if self.kind else FLUENT


# --- Fluent text --------------------------------------------------------------------------------


def stretches(folder: Path, say: Callable[[str], None]) -> list[Example]:
    """Running text of all packages, each stretch once."""
    found: dict[str, Example] = {}
    counts: Counter[tuple[str, str]] = Counter()
    for package, place in PACKAGES.items():
        paths = sorted(path for top in folder.glob(place) for path in top.rglob("*.html"))
        if not paths:
            raise SystemExit(f"no pages in {folder / place}: unpack package {package} there")
        random.Random(package).shuffle(paths)
        for start in range(0, len(paths), 100):
            texts = [t for nodes in _pages(paths[start : start + 100]) for t in _cut(nodes)]
            for text, language in zip(texts, _languages(texts), strict=True):
                if text not in found and counts[package, language] < MOST:
                    counts[package, language] += 1
                    found[text] = Example(text, package, language)
        say(f"{package}: {len(paths)} pages, {dict(_of(counts, package).most_common(8))}")
    return list(found.values())


def _of(counts: Counter[tuple[str, str]], package: str) -> Counter[str]:
    return Counter({lang: count for (name, lang), count in counts.items() if name == package})


def _pages(paths: Sequence[Path]) -> Iterator[list[dict[str, str | None]]]:
    rows = [{"html": path.read_bytes(), "url": f"http://a.org/{path.name}"} for path in paths]
    extract = ExtractInterleaved()
    batch = pa.Table.from_pylist(rows, schema=extract.reads)
    for nodes in extract.measure(batch, extract.setup())["nodes"].to_pylist():
        yield [node for node in nodes or [] if node["kind"] in ("text", "heading", "list_item")]


def _cut(nodes: list[dict[str, str | None]]) -> Iterator[str]:
    """Stretches of a page's nodes: of many lengths, and mostly of paragraphs."""
    chance = random.Random(str(nodes[:1]))
    taken, wanted = [], _length(chance)
    for node in nodes:
        taken.append(node)
        text = clean("\n".join(n["text"] or "" for n in taken))
        if len(text) >= wanted:
            running = sum(_size(n) for n in taken if n["kind"] == "text" and _size(n) >= 25)
            if running > 0.7 * sum(map(_size, taken)):
                yield text[: LENGTHS[1]]
            taken, wanted = [], _length(chance)


def pieces(example: Example) -> Iterator[Example]:
    """The stretch; one in Chinese or Japanese, where a sign says more, in up to three pieces."""
    taken: Texts = []
    lines = example.text.split("\n")
    for number, line in enumerate(lines, start=1):
        taken.append(line)
        long = _is_wide(example.text) and sum(map(len, taken)) >= len(example.text) / 3
        if long or number == len(lines):
            yield replace(example, text="\n".join(taken))
            taken = []


def _length(chance: random.Random) -> int:
    return round(LENGTHS[0] * (LENGTHS[1] / LENGTHS[0]) ** chance.random())


def _size(node: dict[str, str | None]) -> int:
    return len(WORD.findall(node["text"] or ""))


def _languages(texts: Texts) -> list[str]:
    nodes = [[{"kind": "text", "text": text, "dom_index": 0}] for text in texts]
    batch = pa.Table.from_pylist([{"nodes": n} for n in nodes], schema=schema("nodes"))
    operator = LanguageId()
    found: list[str] = operator.measure(batch, operator.setup())["lang"].to_pylist()
    return found


# --- Spoiled text -------------------------------------------------------------------------------


def _join(words: Sequence[str]) -> str:
    """Words as a text again; signs of scripts without spaces close up."""
    text = " ".join(words)
    return re.sub(r"(?<=[\u3040-\u9fff]) (?=[\u3040-\u9fff])", "", text)


def shuffled(text: str, chance: random.Random) -> str:
    """All words of each line in any order."""
    return "\n".join(_join(_mixed(WORD.findall(line), chance)) for line in text.split("\n"))


def _mixed(words: Sequence[str], chance: random.Random) -> Sequence[str]:
    return chance.sample(words, len(words))


def swapped(text: str, chance: random.Random) -> str:
    """Words changed about within runs of five."""
    words = WORD.findall(text)
    runs = [_mixed(words[at : at + 5], chance) for at in range(0, len(words), 5)]
    return _join([word for run in runs for word in run])


def keywords(text: str, chance: random.Random) -> str:
    """The longer words, over and over, as pages have them that want to be found."""
    words = [w.strip(".,;:()\"'。，、") for w in WORD.findall(text)]
    if _is_wide(text):
        words = re.findall(r"[\u3040-\u9fff]{2,4}", text)
    chosen = [w for w in dict.fromkeys(words) if len(w) > (1 if _is_wide(text) else 4)] or words
    chosen = chance.sample(chosen, min(len(chosen), chance.randint(5, 25)))
    mark = chance.choice((", ", " ", " | ", " - ", "，", "、", "\n"))
    times = max(1, len(text) // max(1, sum(map(len, chosen))))
    return mark.join(w for _ in range(times) for w in _mixed(chosen, chance))


def menus(text: str, chance: random.Random) -> str:
    """Short pieces a line, as menus, lists of links and teasers are."""
    words, lines = WORD.findall(text), []
    most = 10 if _is_wide(text) else 5
    while words and len(lines) < 120:
        size = chance.randint(1, most)
        start = chance.randrange(max(1, len(words) - size))
        end = chance.choice(("", "", "", " »", "…", " >", ":", f" ({chance.randint(1, 999)})"))
        lines.append(_join(words[start : start + size]).strip(".,;。，") + end)
        if sum(map(len, lines)) > len(text):
            break
    return chance.choice(("\n", "\n", " | ", " · ", " ")).join(lines)


def misread(text: str, chance: random.Random) -> str:
    """UTF-8 taken for another character set; where that changes little, letters lost instead."""
    wrong = text.encode().decode(chance.choice(("latin-1", "cp1252", "cp1251", "gbk")), "replace")
    changed = sum(a != b for a, b in zip(text, wrong, strict=False)) + abs(len(text) - len(wrong))
    return wrong if changed > 0.2 * len(text) else noisy(text, chance)


def noisy(text: str, chance: random.Random) -> str:
    """Signs lost, doubled, or taken for others, as poor scans are read."""
    share = chance.uniform(0.08, 0.3)
    pool = "".join(sorted(set(text))) + "|~^#*_\\1l0O"
    signs = []
    for sign in text:
        what = chance.random() / share
        signs.append(sign if what > 1 else "" if what < 0.3 else chance.choice(pool))
    return "".join(signs)


def unspaced(text: str, chance: random.Random) -> str:
    """Spaces lost, or put between all letters."""
    if _is_wide(text) or chance.random() < 0.5:
        return " ".join(text.replace(" ", "")) if chance.random() < 0.7 else noisy(text, chance)
    return "".join(s for s in text if s != " " or chance.random() < 0.15)


def repeated(text: str, chance: random.Random) -> str:
    """A few words of it, again and again, with small changes."""
    words = WORD.findall(text)
    size = chance.randint(3, 12)
    start = chance.randrange(max(1, len(words) - size))
    phrase, found = words[start : start + size], []
    while sum(map(len, found)) < len(text) * 0.8:
        found += phrase[: chance.randint(max(1, len(phrase) - 2), len(phrase))]
    return _join(found)


def gibberish(text: str, chance: random.Random) -> str:
    """Letters without any order: keys, hashes, encoded files, random words."""
    alphabet = chance.choice(("abcdef0123456789", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijkl0123456789"
                              "+/", "".join(sorted(set(text)))))  # fmt: skip
    signs = [chance.choice(alphabet) for _ in text]
    for at in range(chance.randint(2, 40), len(signs), chance.randint(3, 70)):
        signs[at] = chance.choice((" ", " ", "\n"))
    return "".join(signs)


def chained(text: str, chance: random.Random) -> str:
    """A Markov chain over its words: each pair of words is right, nothing more is."""
    words = WORD.findall(text)
    after: dict[str, Texts] = {}
    for one, other in pairwise(words):
        after.setdefault(one.lower(), []).append(other)
    word, found = chance.choice(words), []
    while sum(map(len, found)) < len(text) * 0.8:
        found.append(word)
        follow = after.get(word.lower())
        word = chance.choice(follow if follow and chance.random() < 0.85 else words)
    return _join(found)


SPOILERS = {
    spoil.__name__: spoil
    for spoil in (
        shuffled, swapped, keywords, menus, misread, noisy, unspaced, repeated, gibberish, chained
    )
}  # fmt: skip


TEST_ONLY = ("repeated", "chained")
"""Their n-grams are those of fluent text, which a head over n-grams can only be confused by."""
LEARNED = [kind for kind in SPOILERS if kind not in TEST_ONLY]


def _is_wide(text: str) -> bool:
    return len(re.findall(r"[\u3040-\u9fff]", text)) > 0.3 * len(text)


def spoiled(examples: Sequence[Example], names: Sequence[str]) -> Iterator[Example]:
    """Each stretch in one kind of spoiling, kinds by turns."""
    for number, example in enumerate(examples):
        kind = names[number % len(names)]
        text = clean(SPOILERS[kind](example.text, random.Random(example.text)))
        if text and text != example.text:
            yield Example(text, example.package, example.language, kind)


# --- Training -----------------------------------------------------------------------------------


def report(model: LinearClassifier, test: Sequence[Example], say: Callable[[str], None]) -> None:
    """Shares of the held-out stretches that are judged right at one half."""
    column = model.labels.index(FLUENT)
    fluent = model.probabilities([e.text for e in test])[:, column] >= 0.5
    right = np.array([e.kind == "" for e in test]) == fluent
    judged = Counter((e.label, bool(f)) for e, f in zip(test, fluent, strict=True))
    for label, wanted in ((FLUENT, True), (SPOILED, False)):
        hit, all_ = judged[label, wanted], judged[label, True] + judged[label, False]
        precision = hit / (judged[FLUENT, wanted] + judged[SPOILED, wanted])
        say(f"{label:12} {all_:6} texts  precision {precision:.3f}  recall {hit / all_:.3f}")
    for name in ("language", "kind"):
        for value, count in Counter(getattr(e, name) for e in test).most_common(16):
            rows = np.array([getattr(e, name) == value for e in test])
            if count >= 30:
                say(f"{name} {value or FLUENT:12} {count:6} texts  right {right[rows].mean():.3f}")


def main() -> None:
    """Collect, train, measure, and write the model."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, default=MODEL)
    parser.add_argument(
        "--stretches", type=Path, help="keep the stretches here, and start from them next time"
    )
    options = parser.parse_args()
    started = time.monotonic()

    def say(line: str) -> None:
        sys.stdout.write(f"{time.monotonic() - started:6.0f} s  {line}\n")
        sys.stdout.flush()

    if options.stretches and options.stretches.exists():
        lines = options.stretches.read_text("utf-8").split("\n")
        whole = [Example(**json.loads(line)) for line in lines if line]
    else:
        whole = stretches(options.folder, say)
    if options.stretches:
        rows = (json.dumps(asdict(e), ensure_ascii=False) + "\n" for e in whole)
        options.stretches.write_text("".join(rows), "utf-8")
    fluent = [piece for example in whole for piece in pieces(example)]
    train = [e for e in fluent if e.package not in HELD_OUT]
    test = [e for e in fluent if e.package in HELD_OUT]
    train = [*train, *spoiled(train, LEARNED)]
    test = [*test, *spoiled(test, list(SPOILERS))]
    say(f"{len(train)} texts to learn from, {len(test)} held out")
    model = _fitted(train, say)
    report(model, test, say)
    model.save(options.out)
    say(f"wrote {options.out}, {options.out.stat().st_size} bytes")
    for kind in LEARNED:
        without = _fitted([e for e in train if e.kind != kind], lambda line: None)
        found = [e.text for e in test if e.kind == kind]
        chance = without.probabilities(found)[:, without.labels.index(FLUENT)]
        say(f"never shown {kind:10} {len(found):6} texts  right {(chance < 0.5).mean():.3f}")


def _fitted(train: Sequence[Example], say: Callable[[str], None]) -> LinearClassifier:
    return fit([e.text for e in train], [e.label for e in train], SETTINGS, say)


if __name__ == "__main__":
    main()
