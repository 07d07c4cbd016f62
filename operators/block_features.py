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
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from operators.compiled import compiled
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
_HEADLINE, _PARAGRAPH, _TABLE = _TAGS["h1"], _TAGS["p"], _TAGS["table"]
_ARTICLE, _MAIN = _TAGS["article"], _TAGS["main"]
_ANCESTORS = "article main aside blockquote figure pre section".split()
ANCESTOR_BIT = {tag: 1 << index for index, tag in enumerate((*_ANCESTORS, "li"))}
_HIDDEN = 1 << len(ANCESTOR_BIT)
_BITS = np.array([ANCESTOR_BIT.get(tag, 0) for tag in (*_TAGS, "")])  # by number of the tag
_LEVELS = 6
_CHAIN_SHARES = (0.3, 0.5, 0.9)

# Classes of characters, as bits.
_WORD, _WIDE, _DIGIT, _UPPER, _STOP, _COMMA, _OTHER, _MARK = (1 << bit for bit in range(8))


@cache
def _character_classes() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """The class of each character, (65536,), and the few classes that there are, each once."""
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
    return table, np.unique(table)


def _is_wide(code: int) -> bool:
    """Kana, Han, Hangul, Thai: scripts in which one character counts as one token."""
    return (
        0x3040 <= code <= 0x30FF
        or 0x3400 <= code <= 0x9FFF
        or 0xAC00 <= code <= 0xD7AF
        or 0x0E00 <= code <= 0x0E7F
    )


# What is counted besides tokens, in the order of CharacterCounts.
_COUNTED = (_DIGIT, _UPPER, _STOP, _COMMA, _OTHER, _MARK, _WORD)


class CharacterCounts(NamedTuple):
    """Characters of each block by class, and its tokens (a wide character is one); each (N,)."""

    tokens: Array
    digits: Array
    upper: Array
    stops: Array
    commas: Array
    other: Array
    marks: Array
    letters: Array
    chars: Array
    ends_in_stop: Array


def count_characters(texts: list[str]) -> CharacterCounts:
    """Counts for all texts in one pass over their concatenation. No text may be empty."""
    codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)
    chars = np.fromiter(map(len, texts), np.int64, len(texts))
    return CharacterCounts(*_count(codes, chars, *_character_classes(), _COUNTED))


@compiled
def _count(
    codes: npt.NDArray[np.uint32],
    chars: npt.NDArray[np.int64],
    table: npt.NDArray[np.uint8],
    classes: npt.NDArray[np.uint8],
    counted: tuple[int, ...],
) -> Array:
    """The rows of CharacterCounts; (10, N)."""
    rows = np.zeros((len(counted) + 3, len(chars)))
    sums = np.zeros(256, np.int64)
    at = 0
    for text in range(len(chars)):
        inside = False  # a run of letters and digits
        found = 0
        bits = table[0]
        for code in codes[at : at + chars[text]]:
            bits = table[min(code, 65535)]
            sums[bits] += 1
            narrow = (bits & _WORD) != 0 and (bits & _WIDE) == 0
            found += (bits & _WIDE) != 0 or (narrow and not inside)
            inside = narrow
        at += chars[text]
        rows[0, text] = found
        for kind in classes:
            for row in range(len(counted)):
                rows[1 + row, text] += sums[kind] * ((kind & counted[row]) != 0)
            sums[kind] = 0
        rows[-2, text] = chars[text]
        rows[-1, text] = (bits & _STOP) != 0
    return rows


_KEY_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def key_words(names: str) -> frozenset[str]:
    """Words of class, id and role names: post, body, nav, item for `postBody nav-item`."""
    if len(names) > _LONGEST_NAME:
        names = " ".join([name[:_LONGEST_NAME] for name in names.split()])
    return frozenset([word.lower() for word in _KEY_WORD.findall(names) if len(word) > 1])


_LONGEST_NAME = 200  # more of a name is no words that people chose


_TEXT_WORD = re.compile(r"\w+")


class FeatureTable:
    """Named rows of measures, of N blocks or images each.

    Attributes:
        names: of the rows filled so far.
        values: the rows, and room for more; (F, N).
    """

    def __init__(self, size: int, room: int) -> None:
        self.names: list[str] = []
        self.values: Floats = np.empty((room, size), np.float32)

    def add(self, name: str, values: Any) -> None:
        """One more row, (N,); a single value stands for all."""
        self.values[len(self.names)] = values
        self.names.append(name)

    def add_all(self, names: Sequence[str], values: Array) -> None:
        """Several rows at once, (len(names), N)."""
        self.more(names)[:] = values

    def more(self, names: Sequence[str]) -> Floats:
        """Room for several rows, to be filled; (len(names), N)."""
        at = len(self.names)
        self.names += names
        return self.values[at : at + len(names)]

    def branch(self) -> FeatureTable:
        """The rows so far, to be followed by others; the branches of a table share their room."""
        table = FeatureTable(0, 0)
        table.names, table.values = self.names.copy(), self.values
        return table

    def filled(self) -> Floats:
        """The rows filled so far; (F, N)."""
        return self.values[: len(self.names)]


_ALIKE_NAMES = [f"alike{name}" for name in ("", "_mean_tokens", "_link", "_tokens", "_prose")]
# Rows that the three families of measures of blocks fill together.
ROOM = 176
_TEXT_NAMES = [
    *("tokens", "chars", "link", "links", "digits", "upper", "stops", "other", "marks"),
    *("token_length", "ends_in_stop"),
]
_PAGE_NAMES = [
    *("page_tokens", "page_blocks", "page_link", "page_prose", "page_prose_share"),
    *("page_token_length", "page_paragraphs", "page_articles", "page_mains", "page_tables"),
    *("page_headlines", "page_images", "page_longest", "page_listed"),
]
_ABOVE = "tokens link prose tokens_per_block blocks prose_share punctuation images".split()
_ABOVE_NAMES = [f"above{level}_{name}" for name in _ABOVE for level in range(_LEVELS)]
_CHAIN_NAMES = [
    f"core{int(share * 100)}_{name}"
    for share in _CHAIN_SHARES
    for name in ("up", "down", "before", "after")
]
_PLACE_NAMES = [
    *("tag", "parent_tag", "grandparent_tag", "depth", "hidden", "prose_before", "blocks_before"),
    *("after_h1", "after_h1_share", *(f"in_{tag}" for tag in _ANCESTORS)),
]
_NEAR_NAMES = [
    *("next-1_tokens", "next-1_tag", "next+1_tokens", "next+1_tag"),
    *("within4_tokens", "within4_link", "within25_tokens", "within25_link"),
]


class BlockFeatures:
    """The measures of one page's blocks that further stages need again, and their table.

    Attributes:
        levels: the container of each block, the one around that, and so on; (6, N).
        table: of the page's own measures, with room for those of later stages.
    """

    def __init__(self, layout: Layout, title: str) -> None:
        self.layout = layout
        blocks, containers = layout.blocks, layout.containers
        self.size = len(blocks)
        self.texts = blocks.text
        counts = count_characters([*self.texts, title.strip() or " "])
        self.counts = CharacterCounts(*(values[:-1] for values in counts))
        self.title_tokens = float(counts.tokens[-1])
        self.container, self.key = np.asarray(blocks.container), np.asarray(containers.key)
        self.first, self.last = np.asarray(containers.first), np.asarray(containers.last)
        self.end = np.asarray(containers.end)
        self.parent = np.array(containers.parent)
        self.parent[0] = 0
        self.tag = np.array([_TAGS.get(tag, _OTHER_TAG) for tag in containers.tags])[self.key]
        self.ancestors = _BITS[self.tag]
        for container in containers.hidden:
            self.ancestors[container] |= _HIDDEN
        self.depth = _all_around(self.ancestors, self.parent)
        self.levels = levels_of(self.container, self.parent)
        self.hidden = (self.ancestors[self.container] & _HIDDEN) != 0
        self.link, self.prose, self.weight, self.sums = _prose_of(
            *(self.counts.tokens, self.counts.chars, np.asarray(blocks.link_chars), self.hidden),
            *(self.counts.stops, self.counts.commas),
        )
        self.token_sums, self.prose_sums, self.link_sums, _ = self.sums
        self.prose_total = max(float(self.prose_sums[-1]), 1.0)
        self.position = np.arange(self.size)
        self.table = FeatureTable(self.size, ROOM)
        self._text()
        self._place()
        self._above()
        self._main_chain()
        self._same_markup()
        self._title(title)
        self._neighbours()
        self._page()

    def _text(self) -> None:
        rows, counts = self.table.more(_TEXT_NAMES), self.counts
        _fill_text(
            *(rows, counts.tokens, counts.chars, self.link, np.asarray(self.layout.blocks.links)),
            *(counts.digits, counts.upper, counts.stops, counts.other, counts.marks),
            *(counts.letters, counts.ends_in_stop),
        )
        self.log_tokens = rows[0]

    def _place(self) -> None:
        self.own_tag = self.tag[self.container]
        rows, of_containers = self.table.more(_PLACE_NAMES), (self.tag, self.depth, self.ancestors)
        _fill_place(rows, self.levels, *of_containers, self.hidden, self.prose_sums)

    def _above(self) -> None:
        """Sums over the containers around each block, and what they come to together."""
        shown = [image.container for image in self.layout.images]
        images = np.array(shown, np.int64)
        rows, ranges = self.table.more(_ABOVE_NAMES), (self.first, self.last, self.end)
        _fill_above(rows, self.levels, self.sums, images, *ranges, self.prose_total)

    def _main_chain(self) -> None:
        """Where the block is relative to the deepest containers with most of the page's prose."""
        rows, shares = self.table.more(_CHAIN_NAMES), np.array(_CHAIN_SHARES)
        ranges = (self.first, self.last, self.depth)
        _fill_chain(rows, shares, self.container, self.parent, *ranges, self.prose_sums)

    def _same_markup(self) -> None:
        """Blocks whose element and its parent look alike: a template's repeated parts."""
        tokens = self.counts.tokens
        self.own_key, above = self.key[self.levels[:2]]
        self.markup = numbered(self.own_key * len(self.layout.containers.keys) + above)
        rows = self.table.more(_ALIKE_NAMES)
        _fill_alike(rows, self.markup, tokens, self.link, self.prose, self.sums[:2, -1])
        numbers: dict[str, int] = {}
        texts = np.array([numbers.setdefault(text, len(numbers)) for text in self.texts])
        _fill_copies(self.table.more(("copies_before", "copies")), texts)

    def _title(self, title: str) -> None:
        """Likeness of each block's words to those of the title (Jaccard), and the best's place."""
        wanted = set(_TEXT_WORD.findall(title.lower()))
        likeness = np.zeros(self.size)
        if wanted:
            tokens, size = self.counts.tokens, self.title_tokens
            sized = (tokens >= max(2.0, 0.5 * size)) & (tokens <= 2 * size)
            for index in np.flatnonzero(sized).tolist():
                text = self.texts[index].lower()
                if not wanted.isdisjoint(text.split()):
                    words = set(_TEXT_WORD.findall(text))
                    shared = len(wanted & words)
                    likeness[index] = shared / (len(wanted) + len(words) - shared)
        best = int(np.argmax(likeness))
        self.table.add("title", likeness)
        found = likeness[best] > 0.4
        self.table.add("after_title", np.minimum(self.position - best, 300) if found else -99)

    def _neighbours(self) -> None:
        rows = self.table.more(_NEAR_NAMES)
        _fill_near(rows, self.log_tokens, self.own_tag, self.token_sums, self.link_sums)

    def _page(self) -> None:
        listed = (self.ancestors[self.container] & ANCESTOR_BIT["li"]) != 0
        _fill_page(
            *(self.table.more(_PAGE_NAMES), self.counts.tokens, self.counts.letters),
            *(self.sums[:, -1], self.own_tag, listed, self.tag),
            len(self.layout.images),
        )


@compiled
def numbered(things: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """A number for each thing, the same for equal ones, counted from 0 in their order; (N,)."""
    order = np.argsort(things)
    numbers = np.zeros(len(things), np.int64)
    for at in range(1, len(order)):
        step = things[order[at]] != things[order[at - 1]]
        numbers[order[at]] = numbers[order[at - 1]] + step
    return numbers


@compiled
def _all_around(
    bits: npt.NDArray[np.int64], parent: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Hand each container's bits down to all in it; returns how many are around each, (C,)."""
    depth = np.zeros(len(bits), np.int64)
    for container in range(1, len(bits)):
        bits[container] |= bits[parent[container]]
        depth[container] = depth[parent[container]] + 1
    return depth


@compiled
def _prose_of(
    tokens: Array, chars: Array, link_chars: Array, hidden: Array, stops: Array, commas: Array
) -> tuple[Array, Array, Array, Array]:
    """Share of links, tokens of prose and weight, each (N,), and running sums, (4, N + 1).

    Prose is what is long, visible and mostly outside links. The sums are those of tokens, of prose,
    of tokens in links and of punctuation.
    """
    size = len(tokens)
    link, prose, weight = np.empty(size), np.zeros(size), np.empty(size)
    sums = np.zeros((4, size + 1))
    for block in range(size):
        weight[block] = max(tokens[block], 0.5)
        link[block] = min(link_chars[block] / chars[block], 1.0)
        if tokens[block] >= 12 and link[block] < 0.5 and not hidden[block]:
            prose[block] = tokens[block]
        sums[0, block + 1] = sums[0, block] + tokens[block]
        sums[1, block + 1] = sums[1, block] + prose[block]
        sums[2, block + 1] = sums[2, block] + tokens[block] * link[block]
        sums[3, block + 1] = sums[3, block] + (stops[block] + commas[block])
    return link, prose, weight, sums


@compiled
def _fill_text(
    rows: Floats,
    tokens: Array,
    chars: Array,
    link: Array,
    links: Array,
    digits: Array,
    upper: Array,
    stops: Array,
    other: Array,
    marks: Array,
    letters: Array,
    ends_in_stop: Array,
) -> None:
    for block in range(len(tokens)):
        rows[0, block] = np.log1p(tokens[block])
        rows[1, block] = np.log1p(chars[block])
        rows[2, block] = link[block]
        rows[3, block] = np.log1p(links[block])
        rows[4, block] = digits[block] / chars[block]
        rows[5, block] = upper[block] / chars[block]
        rows[6, block] = np.log1p(stops[block])
        rows[7, block] = other[block] / chars[block]
        rows[8, block] = marks[block] / chars[block]
        rows[9, block] = letters[block] / max(tokens[block], 1.0)
        rows[10, block] = ends_in_stop[block]


@compiled
def _fill_page(
    rows: Floats,
    tokens: Array,
    letters: Array,
    totals: Array,
    own_tag: Array,
    listed: Array,
    tag: Array,
    images: int,
) -> None:
    """What is the same for all blocks; `totals` are those of tokens, prose and tokens in links."""
    longest = length = in_paragraphs = in_lists = 0.0
    for block in range(len(tokens)):
        longest = max(longest, tokens[block])
        length += letters[block]
        in_paragraphs += tokens[block] * (own_tag[block] == _PARAGRAPH)
        in_lists += tokens[block] * listed[block]
    elements = np.zeros(_OTHER_TAG + 1)
    for container in range(len(tag)):
        elements[tag[container]] += 1
    total = max(totals[0], 1.0)
    rows[0] = np.log1p(totals[0])
    rows[1] = np.log1p(len(tokens))
    rows[2] = totals[2] / total
    rows[3] = np.log1p(totals[1])
    rows[4] = totals[1] / total
    rows[5] = length / total
    rows[6] = in_paragraphs / total
    rows[7] = min(elements[_ARTICLE], 20)
    rows[8] = elements[_MAIN]
    rows[9] = np.log1p(elements[_TABLE])
    rows[10] = elements[_HEADLINE]
    rows[11] = np.log1p(images)
    rows[12] = np.log1p(longest)
    rows[13] = in_lists / total


@compiled
def _fill_place(
    rows: Floats,
    levels: Array,
    tag: Array,
    depth: Array,
    ancestors: Array,
    hidden: Array,
    prose_sums: Array,
) -> None:
    size = levels.shape[1]
    headline = -1
    for block in range(size):
        own = levels[0, block]
        for level in range(3):
            rows[level, block] = tag[levels[level, block]]
        rows[3, block] = depth[own]
        rows[4, block] = hidden[block]
        rows[5, block] = prose_sums[block] / max(prose_sums[-1], 1.0)
        rows[6, block] = np.log1p(block)
        for flag in range(len(rows) - 9):
            rows[9 + flag, block] = (ancestors[own] >> flag) & 1
        if headline < 0 and tag[own] == _HEADLINE:
            headline = block
    for block in range(size):
        rows[7, block] = min(block - headline, 200) if headline >= 0 else -99
        rows[8, block] = (block - headline) / size if headline >= 0 else -2


@compiled
def _fill_near(
    rows: Floats, log_tokens: Array, tag: Array, token_sums: Array, link_sums: Array
) -> None:
    size = len(tag)
    for block in range(size):
        before, after = block > 0, block + 1 < size
        rows[0, block] = log_tokens[block - 1] if before else -1
        rows[1, block] = tag[block - 1] if before else -1
        rows[2, block] = log_tokens[block + 1] if after else -1
        rows[3, block] = tag[block + 1] if after else -1
        for window in range(2):
            reach = (4, 25)[window]
            low, high = max(block - reach, 0), min(block + reach + 1, size)
            tokens, link = token_sums[high] - token_sums[low], link_sums[high] - link_sums[low]
            rows[4 + 2 * window, block] = np.log1p(tokens / (high - low))
            rows[5 + 2 * window, block] = link / max(tokens, 1.0)


@compiled
def _fill_above(
    rows: Floats,
    levels: Array,
    sums: Array,
    images: Array,
    first: Array,
    last: Array,
    end: Array,
    prose_total: float,
) -> None:
    size = levels.shape[1]
    shown = np.zeros(len(first) + 1)
    for container in images:
        shown[container + 1] += 1
    shown = np.cumsum(shown)
    values = np.empty((len(rows) // len(levels), len(first)), np.float32)
    for container in range(len(first)):
        low, high = first[container], last[container]
        tokens, prose = sums[0, high] - sums[0, low], sums[1, high] - sums[1, low]
        link, punctuation = sums[2, high] - sums[2, low], sums[3, high] - sums[3, low]
        blocks, some = max(high - low, 1), max(tokens, 1.0)
        values[0, container] = np.log1p(tokens)
        values[1, container] = link / some
        values[2, container] = prose / prose_total
        values[3, container] = tokens / blocks
        values[4, container] = np.log1p(blocks)
        values[5, container] = prose / some
        values[6, container] = punctuation / some
        values[7, container] = np.log1p(shown[end[container]] - shown[container])
    for measure in range(len(values)):
        for level in range(len(levels)):
            row = rows[measure * len(levels) + level]
            for block in range(size):
                row[block] = values[measure, levels[level, block]]


@compiled
def _fill_chain(
    rows: Floats,
    shares: Array,
    own: Array,
    parent: Array,
    first: Array,
    last: Array,
    depth: Array,
    prose_sums: Array,
) -> None:
    containers, size = len(parent), len(own)
    common = np.zeros(containers, np.int64)
    for number in range(len(shares)):
        core, most = 0, 0.0
        for container in range(containers):
            prose = prose_sums[last[container]] - prose_sums[first[container]]
            deeper = (depth[container], prose) >= (depth[core], most)
            if prose >= shares[number] * prose_sums[-1] and deeper:
                core, most = container, prose
        common[:] = -1
        above = core
        while above:
            common[above] = depth[above]
            above = parent[above]
        common[0] = 0
        for container in range(1, containers):
            if common[container] < 0:
                common[container] = common[parent[container]]
        for block in range(size):
            shared = common[own[block]]
            rows[4 * number, block] = depth[core] - shared
            rows[4 * number + 1, block] = depth[own[block]] - shared
            rows[4 * number + 2, block] = (first[core] - block) / size
            rows[4 * number + 3, block] = (block - last[core]) / size


@compiled
def _fill_alike(
    rows: Floats, group: Array, tokens: Array, link: Array, prose: Array, totals: Array
) -> None:
    sums = np.zeros((4, group.max() + 1))
    for block in range(len(group)):
        number = group[block]
        sums[0, number] += 1
        sums[1, number] += tokens[block]
        sums[2, number] += tokens[block] * link[block]
        sums[3, number] += prose[block]
    for block in range(len(group)):
        number = group[block]
        count, total = sums[0, number], sums[1, number]
        linked, read = sums[2, number], sums[3, number]
        rows[0, block] = np.log1p(count)
        rows[1, block] = np.log1p(total / count)
        rows[2, block] = linked / max(total, 1.0)
        rows[3, block] = total / max(totals[0], 1.0)
        rows[4, block] = read / max(totals[1], 1.0)


@compiled
def _fill_copies(rows: Floats, texts: Array) -> None:
    """How often the text of each block, given as a number, was there before, and is in all."""
    seen = np.zeros(len(texts), np.int64)
    for block in range(len(texts)):
        rows[0, block] = seen[texts[block]]
        seen[texts[block]] += 1
    for block in range(len(texts)):
        rows[1, block] = seen[texts[block]]


@compiled
def levels_of(containers: Array, parent: Array) -> Array:
    """The containers, the ones around them, and so on; (6, N)."""
    levels = np.empty((_LEVELS, len(containers)), np.int64)
    for place in range(len(containers)):
        container = containers[place]
        for level in range(_LEVELS):
            levels[level, place] = container
            container = parent[container]
    return levels


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
        # Names seen before, with the sum, least and greatest score of their words.
        self._names: dict[str, tuple[float, float, float] | tuple[()]] = {}

    def scores(self, keys: Sequence[str]) -> Array:
        """Sum, least and greatest score of the words in each key, the tag aside; (3, K)."""
        totals, lows, highs = [], [], []
        known = self._names
        for key in keys:
            total = low = high = 0.0
            for name in key.split()[1:]:
                scores = known.get(name)
                if scores is None:
                    scores = self._learn(name)
                if scores:
                    own, least, most = scores
                    total += own
                    if least < low:
                        low = least
                    if most > high:
                        high = most
            totals.append(total)
            lows.append(low)
            highs.append(high)
        return np.array((totals, lows, highs))

    def _learn(self, name: str) -> tuple[float, float, float] | tuple[()]:
        if len(self._names) >= _MOST_NAMES:
            self._names.clear()
        words = self.words
        scores = [words[word] for word in key_words(name) if word in words]
        found = (sum(scores), min(scores), max(scores)) if scores else ()
        self._names[name] = found
        return found


_MOST_NAMES = 100_000


def key_scores(page: BlockFeatures, lexicon: Lexicon) -> KeyScores:
    """How the words of the page's markup went with main content on other sites."""
    return KeyScores(
        *_scores_around(lexicon.scores(page.layout.containers.keys), page.key, page.parent)
    )


@compiled
def _scores_around(scores: Array, key: Array, parent: Array) -> tuple[Array, Array, Array, Array]:
    own = np.empty(len(key))
    least, most, total = np.zeros(len(key)), np.zeros(len(key)), np.zeros(len(key))
    for container in range(len(key)):
        above = parent[container]
        score, low, high = scores[:, key[container]]
        own[container] = score
        least[container] = min(least[above], low)
        most[container] = max(most[above], high)
        total[container] = (total[above] if container else 0.0) + score
    return own, least, most, total


def add_lexicon_features(table: FeatureTable, page: BlockFeatures, keys: KeyScores) -> None:
    """How the words of the markup around each block went with main content on other sites."""
    add, here = table.add, page.container
    around = keys.own[page.levels[:4]]
    add("keys_own", around[0])
    add("keys_parent", around[1])
    add("keys_all", keys.total[here])
    add("keys_least", keys.least[here])
    add("keys_most", keys.most[here])
    add("keys_near", around.sum(axis=0))


_CONTEXT_NAMES = [
    *("first", "first-1", "first+1"),
    *(f"first_above{level}" for level in range(_LEVELS)),
    *(f"first_above{level}_share" for level in range(_LEVELS)),
    *("first_alike", "first_alike_best", "first_alike_share"),
    *("first_same_key", "first_same_key_best", "first_same_key_share"),
    *("page_expected", "page_expected_share", "page_best", "expected_before"),
    *("page_score", "page_cut", "above_cut", "page_kept", "after_first_kept", "after_last_kept"),
]


def add_context_features(table: FeatureTable, page: BlockFeatures, probability: Floats) -> None:
    """What a first estimate says of the blocks around each block; `probability` is (N,).

    The second of two stacked classifiers reads these (stacked generalisation, Wolpert 1992,
    Neural Networks 5): a block is judged with knowledge of how its neighbours were.
    """
    rows, weight = table.more(_CONTEXT_NAMES), page.weight
    cut, score = best_cut(probability, weight)
    near, groups, whole = rows[:_NEAR_ROWS], rows[_NEAR_ROWS:-_PAGE_ROWS], rows[-_PAGE_ROWS:]
    expected = _fill_near_estimates(near, page.levels, page.first, page.last, probability, weight)
    _fill_groups(groups[:3], page.markup, probability, weight, expected)
    _fill_groups(groups[3:], page.own_key, probability, weight, expected)
    _fill_page_estimates(whole, probability, weight, cut, score)


_NEAR_ROWS, _PAGE_ROWS = 3 + 2 * _LEVELS, 10


@compiled
def _fill_near_estimates(
    rows: Floats, levels: Array, first: Array, last: Array, probability: Floats, weight: Array
) -> float:
    """The estimates of each block and its neighbours, and those of the containers around it.

    Of these, their mean and their share of all that the page expects to keep, which is returned.
    """
    size = len(probability)
    weights, masses = np.zeros(size + 1), np.zeros(size + 1)
    for block in range(size):
        rows[0, block] = probability[block]
        rows[1, block] = probability[block - 1] if block else 0.0
        rows[2, block] = probability[block + 1] if block + 1 < size else 0.0
        weights[block + 1] = weights[block] + weight[block]
        masses[block + 1] = masses[block] + weight[block] * probability[block]
    expected = max(masses[-1], 1e-6)
    for level in range(len(levels)):
        for block in range(size):
            container = levels[level, block]
            low, high = first[container], last[container]
            mass, around = masses[high] - masses[low], weights[high] - weights[low]
            rows[3 + level, block] = mass / max(around, 0.5)
            rows[3 + len(levels) + level, block] = mass / expected
    return float(expected)


@compiled
def _fill_page_estimates(
    rows: Floats, probability: Floats, weight: Array, cut: float, score: float
) -> None:
    """What the page expects to keep: `cut` and `score` are those of `best_cut`."""
    size = len(probability)
    total = mass = kept = best = 0.0
    start, end = size, 0
    for block in range(size):
        total += weight[block]
        mass += weight[block] * probability[block]
        best = max(best, probability[block])
        if probability[block] >= cut:
            kept += weight[block]
            start, end = min(start, block), block
    before = 0.0
    for block in range(size):
        rows[0, block] = np.log1p(mass)
        rows[1, block] = mass / total
        rows[2, block] = best
        rows[3, block] = before / max(mass, 1e-6)
        before += weight[block] * probability[block]
        rows[4, block] = score
        rows[5, block] = cut
        rows[6, block] = probability[block] - cut
        rows[7, block] = kept / total
        rows[8, block] = block - start
        rows[9, block] = block - end


@compiled
def _fill_groups(
    rows: Floats, group: Array, probability: Floats, weight: Array, expected: float
) -> None:
    """Mean, greatest and total estimate among the blocks of each block's group."""
    groups = group.max() + 1
    weights, masses, best = np.zeros(groups), np.zeros(groups), np.zeros(groups)
    for block in range(len(group)):
        number = group[block]
        weights[number] += weight[block]
        masses[number] += weight[block] * probability[block]
        best[number] = max(best[number], probability[block])
    for block in range(len(group)):
        number = group[block]
        rows[0, block] = masses[number] / weights[number]
        rows[1, block] = best[number]
        rows[2, block] = masses[number] / expected


@compiled
def best_cut(probability: Array, weight: Array) -> tuple[float, float]:
    """The probability from which blocks are kept so that expected F1 is highest, and that F1.

    With p the probability and w the tokens of a block, keeping the set K has an expected F1 of
    about 2 sum_K(w p) / (sum_K(w) + sum(w p)); the best K is a prefix of the blocks ordered by p
    (Lipton, Elkan & Naryanaswamy 2014, ECML-PKDD), so one sort finds it. On a page where little is
    certain this keeps more than a fixed threshold would.
    """
    order = np.argsort(-probability, kind="mergesort")
    expected = 0.0
    for block in range(len(weight)):
        expected += weight[block] * probability[block]
    kept, hit, best, score = 0.0, 0.0, 0, -1.0
    for place in range(len(order)):
        block = order[place]
        kept += weight[block]
        hit += weight[block] * probability[block]
        reached = 2 * hit / (kept + expected + 1e-9)
        if reached > score:
            best, score = block, reached
    return float(probability[best]), score
