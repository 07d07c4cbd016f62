"""What is measured of each block of a page, for the decision whether it is main content.

Families, after the literature: text and link density (Kohlschütter, Fankhauser & Nejdl 2010,
WSDM), the page's tree around the block (Sun, Song & Liao 2011, SIGIR; Vogels, Ganea & Eickhoff
2018, ECIR), its neighbours in reading order, other blocks of the same markup (templates repeat),
and the words of classes and of short blocks. All are relative to the page or bounded; none knows
an address. Every family is computed for all blocks at once: sums over the subtree of a container,
or over a window, are differences of running sums.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from operators.dom import Layout

Floats = npt.NDArray[np.float32]
Array = npt.NDArray[Any]

_TAGS = {
    tag: index
    for index, tag in enumerate(
        "div p li td th h1 h2 h3 h4 h5 h6 article section main body ul ol table tr tbody blockquote"
        " pre dd dt dl figcaption figure header footer nav aside form address center button summary"
        " noscript".split()
    )
}
_OTHER_TAG = len(_TAGS)
_ANCESTORS = "article main aside li blockquote figure pre section noscript header form".split()
ANCESTOR_BIT = {tag: 1 << index for index, tag in enumerate(_ANCESTORS)}
_ANCESTOR_BITS = np.array(list(ANCESTOR_BIT.values()))
_LEVELS = 6
_CHAIN_SHARES = (0.3, 0.5, 0.7, 0.9)

# Classes of characters, as bits.
_WORD, _WIDE, _DIGIT, _UPPER, _STOP, _COMMA, _OTHER, _MARK = (1 << bit for bit in range(8))


@cache
def _character_classes() -> npt.NDArray[np.uint8]:
    table = np.zeros(65536, np.uint8)
    for code in range(65536):
        char = chr(code)
        category = unicodedata.category(char)
        bits = _WORD if category[0] in "LN" else 0
        if _is_wide(code) and category[0] in "LNM":
            bits |= _WIDE
        if category[0] == "N":
            bits |= _DIGIT
        if category == "Lu":
            bits |= _UPPER
        if char in ".!?…。！？؟।۔":
            bits |= _STOP
        if char in ",;:、，；：،؛()":
            bits |= _COMMA
        if category[0] in "SP" and not bits & (_STOP | _COMMA):
            bits |= _OTHER
        if char in "|»›«‹•·/→>©®™#@":
            bits |= _MARK
        table[code] = bits
    return table


def _is_wide(code: int) -> bool:
    """Kana, Han, Hangul, Thai: scripts in which one character counts as one token."""
    return (
        0x3040 <= code <= 0x30FF
        or 0x3400 <= code <= 0x9FFF
        or 0xAC00 <= code <= 0xD7AF
        or 0x0E00 <= code <= 0x0E7F
    )


_COUNTED = (_WIDE, _DIGIT, _UPPER, _STOP, _COMMA, _OTHER, _MARK, _WORD)
# Three counters in each of three integers, so that all classes are summed in three passes.
_SHIFTS = (0, 21, 42)
_FIELD = (1 << 21) - 1


def _packed() -> npt.NDArray[np.int64]:
    table = np.zeros((3, 256), np.int64)
    for number, bit in enumerate(_COUNTED):
        group, field = divmod(number, len(_SHIFTS))
        table[group] |= np.where(np.arange(256) & bit, 1 << _SHIFTS[field], 0)
    return table


_PACKED = _packed()


@dataclass(frozen=True)
class CharacterCounts:
    """Characters of each block by class, and its tokens (a wide character is one); each (N,)."""

    tokens: Array
    wide: Array
    digits: Array
    upper: Array
    stops: Array
    commas: Array
    other: Array
    marks: Array
    letters: Array
    chars: Array
    first: Array
    last: Array


def count_characters(texts: list[str]) -> CharacterCounts:
    """Counts for all texts in one pass over their concatenation. No text may be empty."""
    joined = "\n".join(texts) + "\n"
    codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32)
    classes = _character_classes()[np.minimum(codes, 65535)]
    chars = np.fromiter(map(len, texts), np.int64, len(texts))
    starts = np.zeros(len(texts), np.int64)
    np.cumsum(chars[:-1] + 1, out=starts[1:])
    word = (classes & _WORD) != 0
    wide = (classes & _WIDE) != 0
    inside = np.zeros_like(word)
    inside[1:] = word[:-1] & ~wide[:-1]
    counted = np.empty((4, len(codes)), np.int64)
    counted[0] = wide | (word & ~inside)
    np.take(_PACKED, classes, axis=1, out=counted[1:])
    tokens, *packed = np.add.reduceat(counted, starts, axis=1)
    sums = [(group >> shift) & _FIELD for group in packed for shift in _SHIFTS]
    wides, digits, upper, stops, commas, other, marks, letters, _ = np.array(sums, np.float64)
    first, last = classes[starts], classes[starts + chars - 1]
    sizes = (letters, chars.astype(np.float64))
    of_kinds = (wides, digits, upper, stops, commas, other, marks)
    return CharacterCounts(tokens.astype(np.float64), *of_kinds, *sizes, first, last)


_NAMES = re.compile(r"^[^.#\[]*")
_KEY_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def key_words(names: str) -> frozenset[str]:
    """Words of class, id and role names: post, body, nav, item for `postBody nav-item`."""
    return frozenset().union(*(_name_words(name[:_LONGEST_NAME]) for name in names.split()))


_LONGEST_NAME = 200  # keeps the cache small whatever pages hold


@lru_cache(maxsize=65536)
def _name_words(name: str) -> frozenset[str]:
    return frozenset(word.lower() for word in _KEY_WORD.findall(name) if len(word) > 1)


_TEXT_WORD = re.compile(r"\w+")


class FeatureTable:
    """Named columns of one page, for N rows."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.names: list[str] = []
        self.columns: list[tuple[int, Any]] = []

    def add(self, name: str, values: Any) -> None:
        """One more column, (N,); a single value stands for all rows."""
        self.names.append(name)
        self.columns.append((1, values))

    def add_all(self, names: list[str], values: Array) -> None:
        """Several columns at once, (len(names), N)."""
        self.names.extend(names)
        self.columns.append((len(names), values))

    def matrix(self) -> Floats:
        """The columns side by side; (N, F)."""
        table = np.empty((len(self.names), self.rows), np.float32)
        at = 0
        for width, values in self.columns:
            table[at : at + width] = values
            at += width
        return table.T


def running(values: Array) -> Array:
    """Sums of the first 0, 1, ... N values."""
    return np.concatenate(([0.0], np.cumsum(values)))


class BlockFeatures:
    """The measures of one page's blocks that further stages need again, and the matrix."""

    def __init__(self, layout: Layout, title: str) -> None:
        self.layout = layout
        blocks, containers = layout.blocks, layout.containers
        self.size = len(blocks)
        self.texts = [block.text for block in blocks]
        self.counts = count_characters(self.texts)
        self.container = np.array([block.container for block in blocks])
        numbers: dict[str, int] = {}
        self.key_number = np.array([numbers.setdefault(c.key, len(numbers)) for c in containers])
        self.key_names = [_NAMES.sub("", key, count=1) for key in numbers]
        parents = [c.parent for c in containers]
        parents[0] = 0
        self.parent = np.array(parents)
        self.first = np.array([c.first for c in containers])
        self.last = np.array([c.last for c in containers])
        self.end = np.array([c.end for c in containers])
        self.depth = np.array([c.depth for c in containers])
        self.tag = np.array([_TAGS.get(c.tag, _OTHER_TAG) for c in containers])
        chars = self.counts.chars
        self.link = np.minimum(np.array([b.link_chars for b in blocks]) / chars, 1.0)
        self.bold = np.minimum(np.array([b.bold_chars for b in blocks]) / chars, 1.0)
        self.hidden = np.array([c.hidden for c in containers])[self.container]
        tokens = self.counts.tokens
        # Tokens of what reads like prose: long, visible, mostly outside links.
        prose = (tokens >= 12) & (self.link < 0.5) & ~self.hidden
        self.prose = np.where(prose, tokens, 0.0)
        self.weight = np.maximum(tokens, 0.5)
        self.token_sums = running(tokens)
        self.prose_sums = running(self.prose)
        self.link_sums = running(tokens * self.link)
        self.tokens_total = max(self.token_sums[-1], 1.0)
        self.prose_total = max(self.prose_sums[-1], 1.0)
        self.position = np.arange(self.size)
        self.table = FeatureTable(self.size)
        self._text()
        self._place()
        self._ancestors()
        self._main_chain()
        self._same_markup()
        self._title(title)
        self._neighbours()
        self._windows()
        self._page()

    def within(self, sums: Array, containers: Array) -> Array:
        """Difference of running sums over the blocks of each container."""
        difference: Array = sums[self.last[containers]] - sums[self.first[containers]]
        return difference

    def upwards(self, combine: np.ufunc, values: Array) -> Array:
        """`combine` over each container and all around it; the first container's value must be
        neutral. Pointers double at each step, so depth d takes log2(d) steps.
        """
        above, result = self.parent, values.copy()
        while above.any():
            result = combine(result, result[above])
            above = above[above]
        return result

    def _text(self) -> None:
        add, counts = self.table.add, self.counts
        chars, tokens = counts.chars, np.maximum(counts.tokens, 1)
        add("tokens", np.log1p(counts.tokens))
        add("chars", np.log1p(chars))
        add("link", self.link)
        add("bold", self.bold)
        add("links", np.log1p([block.links for block in self.layout.blocks]))
        add("digits", counts.digits / chars)
        add("upper", counts.upper / chars)
        add("stops", np.log1p(counts.stops))
        add("commas", np.log1p(counts.commas))
        add("stops_per_token", counts.stops / tokens)
        add("other", counts.other / chars)
        add("marks", counts.marks / chars)
        add("wide", counts.wide / np.maximum(counts.letters, 1))
        add("token_length", counts.letters / tokens)
        add("ends_in_stop", (counts.last & _STOP) != 0)

    def _place(self) -> None:
        add, position, size = self.table.add, self.position, self.size
        own, above = self.container, self.parent[self.container]
        add("tag", self.tag[own])
        add("parent_tag", self.tag[above])
        add("grandparent_tag", self.tag[self.parent[above]])
        add("depth", self.depth[own])
        add("hidden", self.hidden)
        bits = np.array([ANCESTOR_BIT.get(c.tag, 0) for c in self.layout.containers])
        self.ancestors = self.upwards(np.bitwise_or, bits)
        self.ancestry = self.ancestors[own]
        flags = (self.ancestry & _ANCESTOR_BITS[:, None]) != 0
        self.table.add_all([f"in_{tag}" for tag in _ANCESTORS], flags)
        add("prose_before", self.prose_sums[:-1] / self.prose_total)
        add("blocks_before", np.log1p(position))
        headline = np.flatnonzero(self.tag[own] == _TAGS["h1"])
        distance = position - headline[0] if len(headline) else np.full(size, -99)
        add("after_h1", np.clip(distance, -99, 200))
        add("after_h1_share", distance / size if len(headline) else -2.0)

    def _ancestors(self) -> None:
        everything = np.arange(len(self.parent))
        tokens = self.within(self.token_sums, everything)
        prose = self.within(self.prose_sums, everything)
        blocks = np.maximum(self.last - self.first, 1)
        some = np.maximum(tokens, 1)
        punctuation = running(self.counts.stops + self.counts.commas)
        shown = running(
            np.bincount([i.container for i in self.layout.images], minlength=len(self.parent))
        )
        columns = {
            "tokens": np.log1p(tokens),
            "link": self.within(self.link_sums, everything) / some,
            "prose": prose / self.prose_total,
            "tokens_per_block": tokens / blocks,
            "blocks": np.log1p(blocks),
            "prose_share": prose / some,
            "punctuation": self.within(punctuation, everything) / some,
            "images": np.log1p(shown[self.end] - shown[everything]),
        }
        values = np.array(list(columns.values()), np.float32)
        level = self.container
        for number in range(_LEVELS):
            self.table.add_all([f"above{number}_{name}" for name in columns], values[:, level])
            level = self.parent[level]

    def _main_chain(self) -> None:
        """Where the block is relative to the deepest containers with most of the page's prose."""
        add, position, size = self.table.add, self.position, self.size
        prose = self.within(self.prose_sums, np.arange(len(self.parent)))
        for share in _CHAIN_SHARES:
            rich = np.flatnonzero(prose >= share * self.prose_sums[-1])
            core = int(rich[np.lexsort((prose[rich], self.depth[rich]))[-1]])
            common = np.zeros(len(self.parent), np.int64)
            for link in self._chain(core):
                common[link : self.end[link]] = self.depth[link]
            common_depth = common[self.container]
            name = f"core{int(share * 100)}"
            add(f"{name}_up", self.depth[core] - common_depth)
            add(f"{name}_down", self.depth[self.container] - common_depth)
            add(f"{name}_before", (self.first[core] - position) / size)
            add(f"{name}_after", (position - self.last[core]) / size)

    def _chain(self, container: int) -> list[int]:
        """The container and those around it, outermost first."""
        chain = [container]
        while chain[-1]:
            chain.append(int(self.parent[chain[-1]]))
        return chain[::-1]

    def _same_markup(self) -> None:
        """Blocks whose element and its parent look alike: a template's repeated parts."""
        add, tokens = self.table.add, self.counts.tokens
        keys = self.key_number
        self.same_key = np.unique(keys[self.container], return_inverse=True)[1]
        pairs = keys[self.container] * len(self.key_names) + keys[self.parent[self.container]]
        self.markup = np.unique(pairs, return_inverse=True)[1]
        count = np.bincount(self.markup)
        total = np.bincount(self.markup, tokens)
        add("alike", np.log1p(count)[self.markup])
        add("alike_mean_tokens", np.log1p(total / count)[self.markup])
        linked = np.bincount(self.markup, tokens * self.link)
        add("alike_link", (linked / np.maximum(total, 1))[self.markup])
        add("alike_tokens", (total / self.tokens_total)[self.markup])
        prose = np.bincount(self.markup, self.prose)
        add("alike_prose", (prose / self.prose_total)[self.markup])
        copies = Counter(self.texts)
        if len(copies) == self.size:
            add("copies_before", 0)
            add("copies", 1)
            return
        seen: Counter[str] = Counter()
        earlier = []
        for text in self.texts:
            earlier.append(seen[text])
            seen[text] += 1
        add("copies_before", earlier)
        add("copies", [copies[text] for text in self.texts])

    def _title(self, title: str) -> None:
        wanted = set(_TEXT_WORD.findall(title.lower()))
        likeness = np.zeros(self.size)
        if wanted:
            tokens = self.counts.tokens
            size = float(count_characters([title.strip() or " "]).tokens[0])
            sized = (tokens >= 2) & (tokens >= 0.4 * size) & (tokens <= 2.5 * size)
            for index in np.flatnonzero(sized).tolist():
                text = self.texts[index].lower()
                if not wanted.isdisjoint(text.split()):
                    words = set(_TEXT_WORD.findall(text))
                    likeness[index] = len(wanted & words) / len(wanted | words)
        best = int(np.argmax(likeness))
        self.table.add("title", likeness)
        found = likeness[best] > 0.4
        self.table.add("after_title", np.clip(self.position - best, -50, 300) if found else -99)

    def _neighbours(self) -> None:
        columns = {
            "tokens": np.log1p(self.counts.tokens),
            "link": self.link,
            "tag": self.tag[self.container],
        }
        for step in (-2, -1, 1, 2):
            for name, values in columns.items():
                self.table.add(f"next{step:+d}_{name}", shifted(values, step, -1))

    def _windows(self) -> None:
        for reach in (4, 25):
            low = np.maximum(self.position - reach, 0)
            high = np.minimum(self.position + reach + 1, self.size)
            tokens = self.token_sums[high] - self.token_sums[low]
            some = np.maximum(tokens, 1)
            add, name = self.table.add, f"within{reach}"
            add(f"{name}_tokens", np.log1p(tokens / (high - low)))
            add(f"{name}_link", (self.link_sums[high] - self.link_sums[low]) / some)
            add(f"{name}_prose", (self.prose_sums[high] - self.prose_sums[low]) / some)

    def _page(self) -> None:
        add, tokens = self.table.add, self.counts.tokens
        tags = [container.tag for container in self.layout.containers]
        add("page_tokens", np.log1p(self.token_sums[-1]))
        add("page_blocks", np.log1p(self.size))
        add("page_link", self.link_sums[-1] / self.tokens_total)
        add("page_prose", np.log1p(self.prose_sums[-1]))
        add("page_prose_share", self.prose_sums[-1] / self.tokens_total)
        add("page_wide", self.counts.wide.sum() / max(self.counts.letters.sum(), 1))
        paragraphs = self.tag[self.container] == _TAGS["p"]
        add("page_paragraphs", tokens[paragraphs].sum() / self.tokens_total)
        add("page_articles", min(tags.count("article"), 20))
        add("page_mains", tags.count("main"))
        add("page_tables", np.log1p(tags.count("table")))
        add("page_headlines", tags.count("h1"))
        add("page_images", np.log1p(len(self.layout.images)))
        add("page_longest", np.log1p(tokens.max()))
        listed = (self.ancestry & ANCESTOR_BIT["li"]) != 0
        add("page_listed", tokens[listed].sum() / self.tokens_total)


def shifted(values: Array, step: int, outside: float) -> Array:
    """The value of the block `step` further on (back, when negative); `outside` past the ends."""
    moved = np.full(len(values), outside, np.float64)
    if abs(step) < len(values):
        if step < 0:
            moved[-step:] = values[:step]
        else:
            moved[:-step] = values[step:]
    return moved


@dataclass(frozen=True)
class KeyScores:
    """Scores of the words in each container's class, id and role; all (C,).

    Attributes:
        own: their sum at the container itself.
        least, most: over the container and those around it.
        total: the sum over the container and those around it.
    """

    own: Array
    least: Array
    most: Array
    total: Array


class Lexicon:
    """What words of classes, ids and roles say of main content: log-odds from other sites.

    Attributes:
        words: log-odds that a block is main content, by word of an element around it.
    """

    def __init__(self, words: dict[str, float]) -> None:
        self.words = words
        self._names: dict[str, tuple[float, float, float]] = {}

    def score(self, names: str) -> tuple[float, float, float]:
        """Sum, least and greatest score of the words in an element's names; 0 without words."""
        total = low = high = 0.0
        for name in names.split():
            found = self._names.get(name)
            if found is None:
                found = self._learn(name)
            total += found[0]
            low, high = min(low, found[1]), max(high, found[2])
        return total, low, high

    def _learn(self, name: str) -> tuple[float, float, float]:
        if len(self._names) >= _MOST_NAMES:
            self._names.clear()
        scores = [self.words[word] for word in key_words(name) if word in self.words]
        found = (sum(scores), min(scores, default=0.0), max(scores, default=0.0))
        self._names[name] = found
        return found


_MOST_NAMES = 100_000


def key_scores(page: BlockFeatures, lexicon: Lexicon) -> KeyScores:
    """How the words of the page's markup went with main content on other sites."""
    known = [lexicon.score(names) for names in page.key_names]
    own, low, high = np.array(known)[page.key_number].T
    return KeyScores(
        own,
        page.upwards(np.minimum, np.minimum(low, 0)),
        page.upwards(np.maximum, np.maximum(high, 0)),
        page.upwards(np.add, own),
    )


def lexicon_features(page: BlockFeatures, keys: KeyScores) -> FeatureTable:
    """How the words of the markup around each block went with main content on other sites."""
    table = FeatureTable(page.size)
    here = page.container
    table.add("keys_own", keys.own[here])
    table.add("keys_parent", keys.own[page.parent[here]])
    table.add("keys_all", keys.total[here])
    table.add("keys_least", keys.least[here])
    table.add("keys_most", keys.most[here])
    near, level = np.zeros(page.size), here
    for _ in range(4):
        near, level = near + keys.own[level], page.parent[level]
    table.add("keys_near", near)
    return table


def context_features(page: BlockFeatures, probability: Floats) -> FeatureTable:
    """What a first estimate says of the blocks around each block; `probability` is (N,).

    The second of two stacked classifiers reads these (stacked generalisation, Wolpert 1992,
    Neural Networks 5): a block is judged with knowledge of how its neighbours were.
    """
    table = FeatureTable(page.size)
    add, position, size = table.add, page.position, page.size
    weight = page.weight
    mass = weight * probability
    weights, masses = running(weight), running(mass)
    expected = max(masses[-1], 1e-6)
    add("first", probability)
    for step in (-2, -1, 1, 2):
        add(f"first{step:+d}", shifted(probability, step, 0))
    low, high = np.maximum(position - 3, 0), np.minimum(position + 4, size)
    add("first_within3", (masses[high] - masses[low]) / (weights[high] - weights[low]))
    level = page.container
    for number in range(_LEVELS):
        inside = page.within(masses, level)
        add(f"first_above{number}", inside / np.maximum(page.within(weights, level), 0.5))
        add(f"first_above{number}_share", inside / expected)
        level = page.parent[level]
    for name, group in (("alike", page.markup), ("same_key", page.same_key)):
        inside = np.bincount(group, mass)
        best = np.zeros(len(inside))
        np.maximum.at(best, group, probability)
        add(f"first_{name}", (inside / np.bincount(group, weight))[group])
        add(f"first_{name}_best", best[group])
        add(f"first_{name}_share", (inside / expected)[group])
    add("page_expected", np.log1p(masses[-1]))
    add("page_expected_share", masses[-1] / weights[-1])
    add("page_best", probability.max())
    add("expected_before", masses[:-1] / expected)
    cut, score = best_cut(probability, weight)
    kept = np.flatnonzero(probability >= cut)
    order = np.argsort(-probability, kind="stable")
    rank = np.empty(size)
    rank[order] = np.cumsum(weight[order]) / weights[-1]
    add("page_score", score)
    add("page_cut", cut)
    add("above_cut", probability - cut)
    add("rank", rank)
    add("page_kept", weight[kept].sum() / weights[-1])
    add("after_first_kept", np.clip(position - kept[0], -100, 100))
    add("after_last_kept", np.clip(position - kept[-1], -100, 100))
    add("kept_before", np.log1p(running(np.where(probability >= cut, weight, 0.0))[:-1]))
    return table


def best_cut(probability: Array, weight: Array) -> tuple[float, float]:
    """The probability from which blocks are kept so that expected F1 is highest, and that F1.

    With p the probability and w the tokens of a block, keeping the set K has an expected F1 of
    about 2 sum_K(w p) / (sum_K(w) + sum(w p)); the best K is a prefix of the blocks ordered by p
    (Lipton, Elkan & Naryanaswamy 2014, ECML-PKDD), so one sort finds it. On a page where little is
    certain this keeps more than a fixed threshold would.
    """
    order = np.argsort(-probability, kind="stable")
    kept = np.cumsum(weight[order])
    hit = np.cumsum((weight * probability)[order])
    score = 2 * hit / (kept + hit[-1] + 1e-9)
    best = int(np.argmax(score))
    return float(probability[order[best]]), float(score[best])
