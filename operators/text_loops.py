"""Loops over the signs, words and lines of documents; `operators.text` says what they measure.

Documents come as one array of code points with the places where nodes and documents begin. Words,
lines and sentences are told apart by 64-bit hashes, which are taken to be equal only for equal
ones: two of a million words meet by chance once in 37 million batches.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from operators.compiled import compiled
from operators.text_signs import (
    BULLET,
    CLOSING,
    DIGIT,
    ENDS_ALONE,
    LETTER,
    LOWER,
    MARK,
    PUNCTUATION,
    QUOTE,
    SCRIPT_SHIFT,
    SPACE,
    SPECIAL,
    STARTS_PHRASE,
    STARTS_RUN,
    TERMINAL,
    TOKEN,
    UPPER,
    WIDE,
)
from operators.word_lists import CITATION, LOREM, POLICY, SCRIPT

Points = npt.NDArray[np.uint32]
Kinds = npt.NDArray[np.int32]
Hashes = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

# What is counted of each node by `read_words` ...
(
    WORDS,
    ALPHABETIC,
    LONGEST,
    DIGITS,
    UPPERS,
    SPACES,
    SPECIALS,
    TOKENS,
    PUNCTUATIONS,
    SYMBOLS,
    CURLY,
    NEWLINES,
    NEWLINE_RUN,
    KEYS,
    GOPHER_STOPS,
    FLAGGED,
    STOPS,  # and one more for each further list
) = range(17)
# ... and by `read_lines`.
(
    LINES,
    BULLETS,
    ELLIPSES,
    TERMINALS,
    SHORT,
    FEW_WORDS,
    SCRIPT_LINES,
    POLICY_LINES,
    LOREMS,
    CITATIONS,
    KEPT,
    KEPT_SENTENCES,
    SENTENCES,
    ENDS_SENTENCE,
) = range(14)
LINE_COUNTS = 14

SEED = np.uint64(0x243F6A8885A308D3)
MIX = np.uint64(0x9E3779B97F4A7C15)  # spreads the bits of a hash
_HALF = np.uint64(32)
_NEWLINE, _HASH, _DOT, _CURLY, _OPEN, _CLOSE = 10, 35, 46, 123, 91, 93
_ELLIPSIS = 0x2026
_LATE = 6  # signs of a run of one script after which each is weighed once more


@compiled
def read_words(
    points: Points,
    node_first: Integers,
    kinds: Kinds,
    folds: Points,
    lexicon: tuple[Hashes, Integers],
    lists: int,
    longest_run: int,
    weights: Floats,
) -> tuple[Integers, Floats, Integers, Integers, Hashes, Hashes]:
    """The words of all nodes, and what is counted of each node's signs and words.

    `lexicon` is a hash table of keys and their bits: bit k for the k-th stop list of `lists`, then
    Gopher's words, flagged words, and flagged runs of wide signs, of `longest_run` at most.
    `weights` (scripts, 3) are the tokens of a run, of each of its signs, of each late one.

    Returns counts (N, STOPS + lists), token estimates (N,), and of each word its place, its length,
    the hash of its signs, and its key: the hash of its folded signs without special ones at either
    end, 0 when nothing is left.
    """
    keys, bits = lexicon
    mask = np.int64(len(keys) - 1)
    last_point = np.uint32(len(kinds) - 1)
    counts = np.zeros((len(node_first) - 1, STOPS + lists), np.int64)
    tokens = np.zeros(len(node_first) - 1)
    places = np.empty(len(points), np.int64)
    lengths = np.empty(len(points), np.int64)
    hashes = np.empty(len(points), np.uint64)
    word_keys = np.empty(len(points), np.uint64)
    word = 0
    for node in range(len(node_first) - 1):
        low, high = node_first[node], node_first[node + 1]
        first_word = word
        longest, alphabetic, digits, uppers, spaces, specials = 0, 0, 0, 0, 0, 0
        token_runs, punctuations, symbols, curly, found_keys = 0, 0, 0, 0, 0
        newlines, newline_run, longest_newlines, dots = 0, 0, 0, 0
        flagged, flagged_until = 0, low
        in_token = False
        script_before, run = 0, 0
        estimate = weights[0, 0]  # a text begins as a word after a space does
        begin, wide, letters, whole_is_key = -1, False, 0, False
        whole, key, committed = SEED, SEED, np.uint64(0)
        for place in range(low, high + 1):
            point = points[place] if place < high else np.uint32(32)
            known = min(point, last_point)
            kind = kinds[known]
            ends = kind & (SPACE | WIDE) or (wide and not kind & MARK)
            if begin >= 0 and ends:
                places[word], lengths[word] = begin, place - begin
                hashes[word], word_keys[word] = whole, committed
                word += 1
                longest = max(longest, place - begin)
                alphabetic += letters & LETTER != 0
                if committed != 0:
                    found_keys += 1
                    slot = np.int64(committed >> _HALF) & mask
                    while bits[slot] != 0 and keys[slot] != committed:
                        slot = (slot + 1) & mask
                    hit = bits[slot]
                    if hit != 0:
                        for number in range(lists):
                            counts[node, STOPS + number] += (hit >> number) & 1
                        # Gopher's words stand alone, without a mark at either end.
                        if (hit >> lists) & 1 and key == committed and whole_is_key:
                            counts[node, GOPHER_STOPS] += 1
                        flagged += (hit >> (lists + 1)) & 1
                begin = -1
            if place == high:
                break
            if not kind & SPACE:
                if begin < 0:
                    begin, wide, letters = place, kind & WIDE != 0, 0
                    whole, key, committed = SEED, SEED, np.uint64(0)
                    whole_is_key = not kind & SPECIAL
                letters |= kind
                whole = (whole ^ np.uint64(point)) * MIX
                whole ^= whole >> _HALF
                if key != SEED or not kind & SPECIAL:
                    fold = folds[point] if point <= last_point else point
                    key = (key ^ np.uint64(fold)) * MIX
                    key ^= key >> _HALF
                    if not kind & SPECIAL:
                        committed = key
                newline_run = 0
            elif point == _NEWLINE:
                newlines += 1
                newline_run += 1
                longest_newlines = max(longest_newlines, newline_run)
            digits += kind & DIGIT != 0
            uppers += kind & UPPER != 0
            spaces += kind & SPACE != 0
            specials += kind & SPECIAL != 0
            if kind & TOKEN:
                token_runs += kind & WIDE != 0 or not in_token
                in_token = not kind & WIDE
            elif kind & SPECIAL:
                punctuations += kind & PUNCTUATION != 0
                in_token = False
                symbols += point in (_HASH, _ELLIPSIS)
                curly += point == _CURLY
            dots = dots + 1 if point == _DOT else 0
            if dots == 3:
                symbols += 1
                dots = 0
            if kind & STARTS_RUN and place >= flagged_until:
                mixed, until = SEED, place
                for further in range(place, min(place + longest_run, high)):
                    sign = min(points[further], last_point)
                    if not kinds[sign] & WIDE:
                        break
                    mixed = (mixed ^ np.uint64(folds[sign])) * MIX
                    mixed ^= mixed >> _HALF
                    slot = np.int64(mixed >> _HALF) & mask
                    while bits[slot] != 0 and keys[slot] != mixed:
                        slot = (slot + 1) & mask
                    if (bits[slot] >> (lists + 2)) & 1:
                        until = further + 1
                flagged += until - place
                flagged_until = max(until, flagged_until)
            script = kind >> SCRIPT_SHIFT
            same = (
                1 if script == 2 else script
            )  # letters of ASCII and other Latin ones mix in a run
            if same != script_before:
                estimate += weights[same, 0]
                script_before, run = same, 0
            run += 1
            estimate += weights[script, 1]
            if run > _LATE:
                estimate += weights[script, 2]
        counts[node, WORDS] = word - first_word
        counts[node, ALPHABETIC] = alphabetic
        counts[node, LONGEST] = longest
        counts[node, DIGITS] = digits
        counts[node, UPPERS] = uppers
        counts[node, SPACES] = spaces
        counts[node, SPECIALS] = specials
        counts[node, TOKENS] = token_runs + punctuations
        counts[node, PUNCTUATIONS] = punctuations
        counts[node, SYMBOLS] = symbols
        counts[node, CURLY] = curly
        counts[node, NEWLINES] = newlines
        counts[node, NEWLINE_RUN] = longest_newlines
        counts[node, KEYS] = found_keys
        counts[node, FLAGGED] = flagged
        tokens[node] = estimate if word > first_word else 0.0
    return counts, tokens, places[:word], lengths[:word], hashes[:word], word_keys[:word]


@compiled
def read_lines(
    points: Points,
    node_first: Integers,
    kinds: Kinds,
    folds: Points,
    word_places: Integers,
    word_lengths: Integers,
    phrases: tuple[Points, Integers, Integers],
    limits: tuple[int, int, int],
) -> tuple[Integers, Hashes, Integers, Hashes, Integers, Hashes, Integers]:
    """The lines and sentences of all nodes, and what is counted of each node's lines.

    A line counts without the white space around it, a blank one not at all. A sentence ends at a
    terminal mark, closing marks after it included, before the end of the line, or before a space
    and a sign that is no small letter; a full stop after a single capital ends none. What is left
    at the end of a line is a sentence if it holds a letter or digit.

    `phrases` are the signs of all phrases, where each begins (P + 1,), and what each is about (P,).
    `limits` are C4's least words of a line and longest word, and FineWeb's longest short line.

    Returns counts (N, LINE_COUNTS), the hash and length of each line, the hash of each node's text,
    the lines (N,), then the hash of each sentence and the sentences (N,) of the nodes.
    """
    phrase_points, phrase_first, phrase_topics = phrases
    least_words, most_signs, short_signs = limits
    last_point = np.uint32(len(kinds) - 1)
    nodes = len(node_first) - 1
    counts = np.zeros((nodes, LINE_COUNTS), np.int64)
    line_hashes = np.empty(len(points), np.uint64)
    line_lengths = np.empty(len(points), np.int64)
    node_hashes = np.empty(nodes, np.uint64)
    sentence_hashes = np.empty(len(points), np.uint64)
    found = np.zeros(4, np.int64)
    line, sentence, word = 0, 0, 0
    for node in range(nodes):
        after, high = node_first[node], node_first[node + 1]
        text = SEED
        while after < high:
            low = after
            while after < high and points[after] != _NEWLINE:
                text = (text ^ np.uint64(points[after])) * MIX
                text ^= text >> _HALF
                after += 1
            text = (text ^ np.uint64(_NEWLINE)) * MIX
            end = after
            after += 1
            while low < end and kinds[min(points[low], last_point)] & SPACE:
                low += 1
            while low < end and kinds[min(points[end - 1], last_point)] & SPACE:
                end -= 1
            if low == end:
                continue
            words, longest = 0, np.int64(0)
            while word < len(word_places) and word_places[word] < end:
                longest = max(longest, word_lengths[word])
                words += 1
                word += 1
            found[:] = 0
            whole, part = SEED, SEED
            sentences, content = 0, False
            cited_from, cited_to = int(end), -1
            for place in range(low, end):
                point = points[place]
                known = min(point, last_point)
                kind = kinds[known]
                whole = (whole ^ np.uint64(point)) * MIX
                whole ^= whole >> _HALF
                if kind & (LETTER | DIGIT):
                    content = True
                    part = (part ^ np.uint64(point)) * MIX
                    part ^= part >> _HALF
                elif kind & TERMINAL and content:
                    next_ = place + 1
                    while next_ < end and kinds[min(points[next_], last_point)] & (
                        TERMINAL | CLOSING
                    ):
                        next_ += 1
                    ends = next_ == end or kind & ENDS_ALONE != 0
                    if not ends and kinds[min(points[next_], last_point)] & SPACE:
                        while kinds[min(points[next_], last_point)] & SPACE:
                            next_ += 1
                        ends = not kinds[min(points[next_], last_point)] & LOWER
                        if point == _DOT and kinds[min(points[place - 1], last_point)] & UPPER:
                            initial = place - 1 == low or not (
                                kinds[min(points[place - 2], last_point)] & TOKEN
                            )
                            ends = ends and not initial
                    if ends:
                        sentence_hashes[sentence + sentences] = part
                        sentences += 1
                        part, content = SEED, False
                if kind & STARTS_PHRASE:
                    fold = folds[known]
                    for phrase in range(len(phrase_topics)):
                        first, until = phrase_first[phrase], phrase_first[phrase + 1]
                        size = until - first
                        if phrase_points[first] != fold or place + size > end:
                            continue
                        at = 1
                        while at < size and (
                            folds[min(points[place + at], last_point)] == phrase_points[first + at]
                        ):
                            at += 1
                        if at == size:
                            found[phrase_topics[phrase]] += 1
                            if phrase_topics[phrase] == CITATION:
                                cited_from = cited_from if cited_to == place else place
                                cited_to = int(place + size)
                if point == _OPEN:
                    at = place + 1
                    while at < end and kinds[min(points[at], last_point)] & DIGIT:
                        at += 1
                    if at < end and points[at] == _CLOSE:
                        found[CITATION] += 1
                        cited_from = cited_from if cited_to == place else place
                        cited_to = at + 1
            if content:
                sentence_hashes[sentence + sentences] = part
                sentences += 1
            sentence += sentences
            # A citation mark after the full stop does not hide it.
            last = cited_from - 1 if cited_to == end else end - 1
            terminal, ellipsis = False, False
            if last >= low:
                terminal = kinds[min(points[last], last_point)] & (TERMINAL | QUOTE) != 0
                ellipsis = points[last] == _ELLIPSIS or (
                    last - 2 >= low
                    and points[last] == _DOT
                    and points[last - 1] == _DOT
                    and points[last - 2] == _DOT
                )
            counts[node, LINES] += 1
            counts[node, BULLETS] += kinds[min(points[low], last_point)] & BULLET != 0
            counts[node, ELLIPSES] += points[end - 1] == _ELLIPSIS or (
                end - 3 >= low
                and points[end - 1] == _DOT
                and points[end - 2] == _DOT
                and points[end - 3] == _DOT
            )
            counts[node, TERMINALS] += terminal
            counts[node, SHORT] += end - low <= short_signs
            counts[node, FEW_WORDS] += words < least_words
            counts[node, SCRIPT_LINES] += found[SCRIPT] > 0
            counts[node, POLICY_LINES] += found[POLICY] > 0
            counts[node, LOREMS] += found[LOREM]
            counts[node, CITATIONS] += found[CITATION]
            counts[node, SENTENCES] += sentences
            counts[node, ENDS_SENTENCE] = terminal
            if (
                terminal
                and not ellipsis
                and words >= least_words
                and longest <= most_signs
                and found[SCRIPT] + found[POLICY] == 0
            ):
                counts[node, KEPT] += 1
                counts[node, KEPT_SENTENCES] += sentences
            line_hashes[line], line_lengths[line] = whole, end - low
            line += 1
        node_hashes[node] = (text ^ np.uint64(high - node_first[node])) * MIX
    return (
        counts,
        line_hashes[:line],
        line_lengths[:line],
        node_hashes,
        counts[:, LINES].copy(),
        sentence_hashes[:sentence],
        counts[:, SENTENCES].copy(),
    )


@compiled
def duplicates(hashes: Hashes, lengths: Integers, first: Integers) -> Floats:
    """Share of each document's items seen before in it, and of their signs; (D, 2)."""
    shares = np.zeros((len(first) - 1, 2))
    size = 16
    for document in range(len(first) - 1):
        while size < 2 * (first[document + 1] - first[document]):
            size *= 2
    keys = np.zeros(size, np.uint64)
    used = np.zeros(size, np.int64)  # the table is empty where this is not the present document
    for document in range(len(first) - 1):
        low, high = first[document], first[document + 1]
        repeats, repeated, total = 0, 0, 0
        for item in range(low, high):
            total += lengths[item]
            slot = np.int64(hashes[item] >> _HALF) & (size - 1)
            while used[slot] == document + 1 and keys[slot] != hashes[item]:
                slot = (slot + 1) & (size - 1)
            if used[slot] == document + 1:
                repeats += 1
                repeated += lengths[item]
            used[slot], keys[slot] = document + 1, hashes[item]
        if high > low:
            shares[document, 0] = repeats / (high - low)
        if total > 0:
            shares[document, 1] = repeated / total
    return shares


@compiled
def grams(values: Hashes | Points, first: Integers, n: int) -> Hashes:
    """The hash of the n values from each place on, as far as its document reaches; (V,).

    A polynomial in the values, modulo 2^64, that rolls from place to place.
    """
    found = np.empty(len(values), np.uint64)
    leading = np.uint64(1)
    for _ in range(n):
        leading *= MIX
    for document in range(len(first) - 1):
        low, high = first[document], first[document + 1]
        rolled = np.uint64(0)
        for place in range(low, high):
            rolled = rolled * MIX + np.uint64(values[place]) + SEED
            if place - n >= low:
                rolled -= (np.uint64(values[place - n]) + SEED) * leading
            if place - n + 1 >= low:
                spread = (rolled ^ (rolled >> _HALF)) * MIX
                found[place - n + 1] = spread ^ (spread >> _HALF)
    return found


@compiled
def repeats(hashes: Hashes, first: Integers, n: int) -> Integers:
    """How often the n-grams of each group repeat; (G, 5).

    `hashes` are those of `grams`; a group has one for each of its places but the last n - 1. Of a
    group: its n-grams; the different ones; occurrences of those that occur more than once; of
    these, occurrences of the most frequent, as many as the square root of the different ones;
    occurrences of the most frequent one.
    """
    found = np.zeros((len(first) - 1, 5), np.int64)
    size = 16
    for group in range(len(first) - 1):
        while size < 2 * (first[group + 1] - first[group]):
            size *= 2
    keys = np.zeros(size, np.uint64)
    seen = np.zeros(size, np.int64)
    used = np.zeros(size, np.int64)  # the table is empty where this is not the present group
    again = np.empty(size, np.int64)
    for group in range(len(first) - 1):
        low, high = first[group], first[group + 1] - n + 1
        if high <= low:
            continue
        mask = 15
        while mask + 1 < 2 * (high - low):
            mask = 2 * mask + 1
        different, repeated = 0, 0
        for place in range(low, high):
            mixed = hashes[place]
            slot = np.int64(mixed >> _HALF) & mask
            while used[slot] == group + 1 and keys[slot] != mixed:
                slot = (slot + 1) & mask
            if used[slot] != group + 1:
                used[slot], keys[slot], seen[slot] = group + 1, mixed, 1
                different += 1
                continue
            seen[slot] += 1
            if seen[slot] == 2:
                again[repeated] = slot
                repeated += 1
        found[group, 0], found[group, 1] = high - low, different
        found[group, 4] = 1
        if repeated == 0:
            continue
        times = seen[again[:repeated]]
        found[group, 2] = times.sum()
        found[group, 4] = times.max()
        most = np.int64(np.sqrt(different))
        if repeated > most:
            times.sort()
            times = times[repeated - most :]
        found[group, 3] = times.sum()
    return found


@compiled
def repetition(
    hashes: Hashes, lengths: Integers, first: Integers, top: tuple[int, ...], dup: tuple[int, ...]
) -> Floats:
    """Gopher's shares of characters in repeated n-grams of each document's words; (D, T + U).

    For each n of `top`: the characters inside the most frequent n-gram, all its occurrences, over
    all characters. Occurrences may overlap, so the share is capped at 1; an n-gram that occurs only
    once repeats nothing. For each n of `dup`: the characters of the words that an n-gram seen
    before covers, each word once, over all characters.

    An n-gram can only repeat where the one without its last word does: few places are looked at.
    """
    shares = np.zeros((len(first) - 1, len(top) + len(dup)))
    most_words, size = 0, 16
    for document in range(len(first) - 1):
        most_words = max(most_words, first[document + 1] - first[document])
    while size < 2 * most_words:
        size *= 2
    keys = np.zeros(size, np.uint64)
    seen = np.zeros(size, np.int64)
    used = np.zeros(size, np.int64)  # the table is empty where this is not the present round
    mixed = np.empty(most_words, np.uint64)  # of the n-gram at each place that is looked at
    places = np.empty(most_words, np.int64)
    slots = np.empty(most_words, np.int64)
    until_word = np.zeros(most_words + 1, np.int64)
    now = 0
    for document in range(len(first) - 1):
        low, high = first[document], first[document + 1]
        for word in range(high - low):
            until_word[word + 1] = until_word[word] + lengths[low + word]
            mixed[word], places[word] = SEED, word
        total = until_word[high - low]
        mask = 15
        while mask + 1 < 2 * (high - low):
            mask = 2 * mask + 1
        left = high - low
        for n in range(1, max(max(top), max(dup)) + 1):
            now += 1
            until, covered, most, longest = 0, 0, 1, np.int64(0)
            looked_at = 0
            for index in range(left):
                start = places[index]
                if start + n > high - low:
                    break
                spread = (mixed[index] ^ hashes[low + start + n - 1]) * MIX
                spread ^= spread >> _HALF
                mixed[index] = spread
                looked_at += 1
                slot = np.int64(spread >> _HALF) & mask
                while used[slot] == now and keys[slot] != spread:
                    slot = (slot + 1) & mask
                slots[index] = slot
                if used[slot] != now:
                    used[slot], keys[slot], seen[slot] = now, spread, 1
                    continue
                seen[slot] += 1
                if seen[slot] >= most:
                    size_of_gram = until_word[start + n] - until_word[start]
                    longest = max(longest, size_of_gram) if seen[slot] == most else size_of_gram
                    most = seen[slot]
                covered += until_word[start + n] - until_word[max(start, until)]
                until = start + n
            if most == 1:
                break
            for column in range(len(top)):
                if top[column] == n:
                    shares[document, column] = min(longest * most / total, 1.0)
            for column in range(len(dup)):
                if dup[column] == n:
                    shares[document, len(top) + column] = covered / total
            left = 0
            for index in range(looked_at):
                if seen[slots[index]] > 1:
                    places[left], mixed[left] = places[index], mixed[index]
                    left += 1
    return shares
