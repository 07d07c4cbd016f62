"""Language identification: by script where the script says it, else by two n-gram classifiers.

Scripts that one language has to itself decide alone. For the others the answers of fastText's
lid.176 (Joulin et al. 2016) and of a small classifier of our own, which knows languages that the
first does not, are multiplied as independent opinions, over the languages that are written in the
text's script (Genest and Zidek 1986, logarithmic opinion pool with weights 1).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from operators.base import Operator
from operators.compiled import compiled
from operators.ngram_model import (
    Alphabet,
    Classifier,
    Floats,
    Indices,
    Memo,
    Sums,
    Table,
    average_probabilities,
    new_memo,
    read_classifier,
    stack,
    sum_texts,
)
from operators.scripts import (
    LANGUAGE_OF_SCRIPT,
    NUMBER,
    SCRIPTS,
    japanese_signs,
    lower_table,
    script_table,
)
from schemas import columns

MODELS = Path(__file__).parent / "models"
LID_176, OWN = MODELS / "lid.176.ftz", MODELS / "language.ftz"
UNDECIDED = "und"

# Labels of lid.176 that are not the ISO 639 code of their language: Bokmål, Egyptian Arabic,
# Alemannic, Bihari, Emilian; 'sh' is Serbo-Croatian as a whole and counts for each a third.
_CODES = {"no": "nb", "arz": "ar", "als": "gsw", "bh": "bho", "eml": "egl"} | {
    "wuu": "zh",
    "yue": "zh",
    "xmf": "ka",  # not told from those by their script
}
_PARTS = {"sh": ("bs", "hr", "sr")}

# Languages of scripts that several have; all that are nowhere here are written in Latin letters.
_LANGUAGES = {
    "Cyrillic": "ab av ba be bg bxr ce cv kk krc kv ky lez mhr mk mn mrj myv os ru rue sah sr tg "
    "tt tyv udm uk uz xal",
    "Arabic": "ar azb ckb fa lrc mzn pnb ps sd ug ur",
    "Devanagari": "bho dty gom hi mai mr ne new sa",
    "Bengali": "as bn bpy",
    "Hebrew": "he yi",
}
_ALSO_LATIN = ("sr", "uz")

_WIDE = ("Han", "Kana", "Hangul", "Bopomofo", "Yi")
_WEIGHT = 3  # letters of an alphabet that one wide sign says as much as
# Probability that each classifier is held to leave to a language, and to one it does not know.
_FLOORS = ((0.003, 0.02), (0.003, 0.003))
_AT_ONCE = 64  # documents: few, so that what is found in them stays in the nearer caches
_ALONE = 10  # how many times fewer letters do where the script decides alone
_HAN, _KANA_SCRIPT, _BOPOMOFO = NUMBER["Han"], NUMBER["Kana"], NUMBER["Bopomofo"]
_CHINESE, _JAPANESE = 1, 2  # numbers of languages
_KANA = 0.05  # share of kana among Han and kana signs from which on a text is Japanese


class Pool(NamedTuple):
    """How scripts and the classifiers' labels become languages.

    Attributes:
        languages: codes, by number; 'und' is 0, Chinese 1, Japanese 2.
        parts: for each classifier, label, language and share of the label in the language.
        floors: for each classifier, the probability that it is held to leave to a language; (C,).
        written: whether a language is written in the script of a slot; (slots, C).
        alone: language of each script that decides alone, else 0; (scripts,).
        weights: letters of an alphabet that one sign of a script says as much as; (scripts,).
    """

    languages: list[str]
    parts: tuple[tuple[Indices, Indices, Floats], ...]
    floors: tuple[Floats, ...]
    written: npt.NDArray[np.bool_]
    alone: Indices
    weights: Indices


class Identifier(NamedTuple):
    """Everything loaded: the classifiers, their stacked vectors, and what their labels mean."""

    classifiers: tuple[Classifier, ...]
    table: Table
    alphabet: Alphabet
    pool: Pool
    memo: Memo

    def probabilities(self, number: int, vectors: Floats) -> Floats:
        """What one classifier says of texts with these stacked vectors; (N, its labels)."""
        classifier, count = self.classifiers[number], len(self.classifiers)
        return average_probabilities(
            vectors,
            self.table.vectors[0],
            sum(earlier.output.shape[1] for earlier in self.classifiers[:number]),
            vectors.shape[1] - count + number,
            classifier.output,
            classifier.tree,
        )


class LanguageId(Operator[Identifier]):
    """The language of the document and of each of its nodes, with the confidence in it.

    Text is looked at without addresses, digits and punctuation. The confidence is the share of
    its letters in the script that it is mostly written in (a Han sign counts as three letters)
    times the probability of the language within that script. A text is `und` with confidence 0
    when it has fewer than `min_chars` letters, or a tenth of that where the script alone decides,
    and when its confidence stays below `min_score`, or `short_score` where it has fewer than twice
    `min_chars` letters. A document is judged by the sum of its nodes.
    """

    name = "language_id"
    version = 2
    reads = columns.schema("nodes")
    writes = columns.schema("lang", "lang_score", "node_lang", "node_lang_score")
    stateful: ClassVar[bool] = True

    min_chars: int = Field(10, ge=1, description="letters below which a document is 'und'")
    node_min_chars: int = Field(10, ge=1, description="letters below which a node is 'und'")
    min_score: float = Field(0.3, ge=0, le=1, description="confidence below which all is 'und'")
    short_score: float = Field(
        0.8,
        ge=0,
        le=1,
        description="confidence below which texts of fewer than twice those letters are 'und'",
    )
    max_chars: int = Field(
        600, ge=1, description="letters of a document that are looked at, spread over its nodes"
    )
    node_max_chars: int = Field(
        100, ge=1, description="letters of a node that are looked at in a document of many nodes"
    )

    def setup(self) -> Identifier:
        """The classifiers, which ship with omniloom; loops are compiled here."""
        identifier = load(LID_176, OWN)
        self.measure(pa.table({"nodes": [[{"text": "any text in this language"}]]}), identifier)
        return identifier

    def provenance(self) -> dict[str, str]:
        """The model files' SHA-256."""
        digests = {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (LID_176, OWN)
        }
        return super().provenance() | digests

    def measure(self, batch: pa.Table, state: Identifier) -> pa.Table:
        """Language and confidence of each document, and lists of them for its nodes."""
        found = [
            self._measured(part.column("nodes"), state)
            for start in range(0, batch.num_rows, _AT_ONCE)
            for part in batch.slice(start, _AT_ONCE).select(["nodes"]).to_batches()
        ]
        if not found:
            return self.writes.empty_table()
        return pa.Table.from_batches(found)

    def _measured(self, nodes: pa.Array, state: Identifier) -> pa.RecordBatch:
        texts = pc.struct_field(pc.list_flatten(nodes), "text")
        lengths = pc.fill_null(pc.list_value_length(nodes), 0).to_numpy(zero_copy_only=False)
        edges = np.concatenate([[0], np.cumsum(lengths)])
        data, ends = texts_as_bytes(texts)
        most = self._most(np.repeat(np.arange(len(nodes)), lengths), np.diff(ends) > 0)
        sums = sum_texts(data, ends, most, state.alphabet, state.table, state.memo)
        parts = self._judge(sums, self.node_min_chars, state)
        whole = self._judge(Sums(*_document_sums(edges, *sums)), self.min_chars, state)
        languages = pa.array(state.pool.languages)
        lang, score = _columns(languages, *whole, nodes.is_null())
        inner = _columns(languages, *parts, texts.is_null())
        offsets, missing = pa.array(edges, pa.int32()), nodes.is_null()
        nested = [pa.ListArray.from_arrays(offsets, column, mask=missing) for column in inner]
        return pa.RecordBatch.from_arrays([lang, score, *nested], schema=self.writes)

    def _most(
        self, documents: npt.NDArray[np.int64], filled: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.int64]:
        """Letters to look at in each node, of which the document and whether it has text are given.

        A document's letters are shared out evenly among its nodes with text.
        """
        counts = np.bincount(documents[filled], minlength=len(documents) and documents[-1] + 1)
        shares = -(-self.max_chars // np.maximum(counts, 1))
        most: npt.NDArray[np.int64] = np.maximum(shares, self.node_max_chars)[documents]
        return most

    def _judge(self, sums: Sums, least: int, state: Identifier) -> tuple[Indices, Floats]:
        """Number of the language of each text, and the confidence; (N,) each."""
        pool = state.pool
        found, scores, scripts = _by_script(
            sums.letters, sums.origins, least, pool.alone, pool.weights, state.alphabet.slot
        )
        asked = np.flatnonzero(found < 0)
        slots = state.alphabet.slot[scripts[asked]]
        vectors = sums.vectors[asked, slots]
        pooled = np.ones((len(asked), len(pool.languages)), np.float32)
        for number in range(len(state.classifiers)):
            own = state.probabilities(number, vectors)
            _multiply(pooled, own, *pool.parts[number], pool.floors[number])
        languages, shares = _likeliest(pooled, slots, pool.written)
        found[asked] = languages
        scores[asked] *= shares
        needed = np.full(len(found), self.min_score)
        short = sums.letters[asked, scripts[asked]] < 2 * least
        needed[asked[short]] = max(self.min_score, self.short_score)
        unsure = scores < needed
        found[unsure], scores[unsure] = 0, 0
        return found, scores


def texts_as_bytes(texts: pa.StringArray) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """The texts' UTF-8 one after the other, as it lies in memory, and where each starts and ends.

    A null is an empty text.
    """
    if len(texts) == 0:
        return np.zeros(0, np.uint8), np.zeros(1, np.int64)
    _, offsets, data = texts.buffers()
    edges = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    return np.frombuffer(data or b"", np.uint8), edges.astype(np.int64)


def _columns(
    languages: pa.Array, found: Indices, scores: Floats, missing: pa.Array
) -> tuple[pa.Array, pa.Array]:
    mask = missing.to_numpy(zero_copy_only=False)
    return languages.take(pa.array(found, mask=mask)), pa.array(scores, pa.float32(), mask=mask)


@compiled
def _document_sums(
    edges: npt.NDArray[np.int64], letters: Indices, origins: Indices, vectors: Floats
) -> tuple[Indices, Indices, Floats]:
    """`Sums` of documents, whose nodes stand from `edges[i]` to `edges[i + 1]`."""
    count = len(edges) - 1
    all_letters = np.zeros((count, letters.shape[1]), np.int32)
    all_origins = np.zeros((count, 2), np.int32)
    all_vectors = np.zeros((count, vectors.shape[1], vectors.shape[2]), np.float32)
    for document in range(count):
        for node in range(edges[document], edges[document + 1]):
            for script in range(letters.shape[1]):
                all_letters[document, script] += letters[node, script]
            all_origins[document, 0] += origins[node, 0]
            all_origins[document, 1] += origins[node, 1]
            for slot in range(vectors.shape[1]):
                for column in range(vectors.shape[2]):
                    all_vectors[document, slot, column] += vectors[node, slot, column]
    return all_letters, all_origins, all_vectors


@compiled
def _by_script(
    letters: Indices,
    origins: Indices,
    least: int,
    alone: Indices,
    weights: Indices,
    slots: Indices,
) -> tuple[Indices, Floats, Indices]:
    """What the script alone says of each text: language, confidence, main script; (N,) each.

    The language is -1 where the classifiers are to be asked; then the confidence is the share of
    the text's letters in its main script.
    """
    count = len(letters)
    found, main = np.zeros(count, np.int32), np.zeros(count, np.int32)
    scores = np.zeros(count, np.float32)
    few = max(2, -(-least // _ALONE))
    for text in range(count):
        own = letters[text]
        signs = own[_HAN] + own[_KANA_SCRIPT] + own[_BOPOMOFO]
        total, most, best = 0, signs * _WEIGHT, _HAN
        for script in range(len(own)):
            total += own[script] * weights[script]
            if own[script] * weights[script] > most:
                most, best = own[script] * weights[script], script
        if total == 0:
            continue
        main[text] = best
        share = most / total
        if best in (_HAN, _KANA_SCRIPT, _BOPOMOFO):
            if signs < few:
                continue
            # Laplace's rule of succession over the signs that tell, where each Han sign tells a
            # little of Chinese, which has no kana between.
            kana = own[_KANA_SCRIPT] + origins[text, 0]
            chinese = origins[text, 1] + own[_BOPOMOFO]
            if kana > chinese and kana >= _KANA * signs:
                found[text] = _JAPANESE
                scores[text] = share * (kana + 1) / (kana + chinese + 2)
            else:
                chinese += own[_HAN] / 4
                found[text] = _CHINESE
                scores[text] = share * (chinese + 1) / (chinese + kana + 2)
        elif slots[best] < 0:
            if own[best] >= few:
                found[text], scores[text] = alone[best], share
        elif own[best] >= least:
            found[text], scores[text] = -1, share
    return found, scores, main


@compiled
def _multiply(
    pooled: Floats,
    probabilities: Floats,
    labels: Indices,
    languages: Indices,
    shares: Floats,
    floors: Floats,
) -> None:
    """Multiply a classifier's probabilities of languages into the (N, C) pooled ones.

    None is below its floor, which is also that of the languages that the classifier does not know.
    """
    # One label of each language for all at once, then the others, which few languages have.
    count = pooled.shape[1]
    label_of, share_of = np.zeros(count, np.int32), np.zeros(count, np.float32)
    label_of[languages], share_of[languages] = labels, shares
    others = np.flatnonzero(label_of[languages] != labels)
    own = np.empty(count, np.float32)
    for text in range(len(pooled)):
        for language in range(count):
            one = share_of[language] * probabilities[text, label_of[language]]
            own[language] = floors[language] + one
        for part in others:
            own[languages[part]] += shares[part] * probabilities[text, labels[part]]
        for language in range(count):
            pooled[text, language] *= own[language]


@compiled
def _likeliest(
    pooled: Floats, slots: Indices, written: npt.NDArray[np.bool_]
) -> tuple[Indices, Floats]:
    """The likeliest language written in each text's script, and its share in all of them."""
    found = np.zeros(len(pooled), np.int32)
    shares = np.zeros(len(pooled), np.float32)
    for text in range(len(pooled)):
        total, most = 0.0, 0.0
        for language in range(pooled.shape[1]):
            if written[slots[text], language]:
                value = pooled[text, language]
                total += value
                if value > most:
                    most, found[text] = value, language
        shares[text] = most / total
    return found, shares


@cache
def load(*paths: Path) -> Identifier:
    """The classifiers of the files, stacked, with all that their labels mean."""
    classifiers = tuple(read_classifier(path) for path in paths)
    slots = np.full(len(SCRIPTS), -1, np.int32)
    for slot, script in enumerate(("Latin", *_LANGUAGES)):
        slots[NUMBER[script]] = slot
    alphabet = Alphabet(script_table(), lower_table(), japanese_signs(), slots, NUMBER["Han"])
    table = stack(classifiers)
    return Identifier(classifiers, table, alphabet, _pool(classifiers), new_memo(table))


def _pool(classifiers: Sequence[Classifier]) -> Pool:
    shares = [
        [
            (label, code, 1 / len(codes))
            for label, codes in enumerate(_codes(classifier))
            for code in codes
        ]
        for classifier in classifiers
    ]
    codes = {code for parts in shares for _, code, _ in parts} | set(LANGUAGE_OF_SCRIPT.values())
    languages = [UNDECIDED, "zh", "ja", *sorted(codes - {"zh", "ja"})]
    number = {code: index for index, code in enumerate(languages)}
    elsewhere = {code for names in _LANGUAGES.values() for code in names.split()}
    elsewhere |= {UNDECIDED, "zh", "ja", *LANGUAGE_OF_SCRIPT.values()}
    latin = [code for code in languages if code not in elsewhere or code in _ALSO_LATIN]
    written = np.zeros((1 + len(_LANGUAGES), len(languages)), np.bool_)
    for slot, names in enumerate([latin, *[names.split() for names in _LANGUAGES.values()]]):
        written[slot, [number[code] for code in names if code in number]] = True
    parts, floors = [], []
    for own, (least, unknown) in zip(shares, _FLOORS, strict=False):
        label, code, share = zip(*own, strict=True)
        numbers = np.array([number[name] for name in code], np.int32)
        parts.append((np.array(label, np.int32), numbers, np.array(share, np.float32)))
        known = np.isin(np.arange(len(languages)), numbers)
        floors.append(np.where(known, least, unknown).astype(np.float32))
    alone = np.zeros(len(SCRIPTS), np.int32)
    for script, language in LANGUAGE_OF_SCRIPT.items():
        alone[NUMBER[script]] = number[language]
    weights = np.array([_WEIGHT if name in _WIDE else 1 for name in SCRIPTS], np.int32)
    return Pool(languages, tuple(parts), tuple(floors), written, alone, weights)


def _codes(classifier: Classifier) -> list[tuple[str, ...]]:
    """The languages that each label stands for."""
    return [_PARTS.get(label, (_CODES.get(label, label),)) for label in classifier.labels]
