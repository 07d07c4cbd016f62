"""Signatures: what counts as the same text, how well they estimate, and that they never change."""

from __future__ import annotations

import hashlib
import random
from inspect import unwrap

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators import bands, clusters, minhash
from operators.bands import estimated_jaccard, signature_matrix
from operators.minhash import MinHash
from operators.scripts import WORD
from tests.planted import altered, documents, jaccard, signatures
from tests.strategies import texts

FOX = "The quick brown fox jumps over the lazy dog, again and again, until the dog wakes up."


def measure(*nodes: str | None, operator: MinHash | None = None) -> bytes | None:
    """The signature of one document."""
    table = documents([[text for text in nodes if text is not None]])
    found: list[bytes | None] = (operator or MinHash()).measure(table, None)["minhash"].to_pylist()
    return found[0]


# --- What is the same text ----------------------------------------------------------------------


def test_a_signature_never_changes() -> None:
    """Signatures lie in stores: whoever changes this must raise the operator's version."""
    found = [
        measure(FOX),
        measure("今天天气很好，我们去公园。"),
        measure("ภาษาไทยไม่มีช่องว่าง Ünïcödé №5 😀"),
    ]
    digests = [hashlib.sha256(signature or b"").hexdigest()[:16] for signature in found]
    assert digests == ["a9754d745865fc14", "1f2e9d78cff23051", "dde3a0a309bfe2b3"]
    assert np.frombuffer(found[0] or b"", "<u2")[:4].tolist() == [35853, 56000, 4315, 23942]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Don't PANIC!", "don t panic"),
        ("soft\u00adhyphen zero\u200bwidth", "softhyphen zerowidth"),
        ("ÀÉÎ ΣΊΣΥΦΟΣ ЖУК ＦＵＬＬ", "àéî σίσυφοσ жук ｆｕｌｌ"),
        ("今天，天气。很好！", "今 天 天 气 很 好"),
        ("text/plain; charset=utf-8", "text plain charset utf 8"),
    ],
)
def test_case_punctuation_and_spaces_do_not_matter(one: str, other: str) -> None:
    assert measure(one) == measure(other)
    exactly = MinHash(normalise=False)
    assert measure(one, operator=exactly) != measure(other, operator=exactly)


def test_how_much_space_there_is_does_not_matter() -> None:
    for operator in (MinHash(), MinHash(normalise=False)):
        spaced = measure("a  b\n\tc\u00a0d ", operator=operator)
        assert spaced == measure("a b c d", operator=operator)


@pytest.mark.parametrize(
    ("one", "other"),
    [("a b c", "a c b"), ("ab c", "a bc"), ("a b c", "a b c d"), ("x 1", "x 2"), ("天气", "气天")],
)
def test_words_and_their_order_matter(one: str, other: str) -> None:
    assert measure(one) != measure(other)


def test_how_text_is_cut_into_nodes_does_not_matter() -> None:
    words = FOX.split()
    assert measure(" ".join(words)) == measure(*words) == measure("", *words, "", "...")


@pytest.mark.parametrize("nodes", [[], [""], ["", " \n"], ["... — !"], ["\u200b\ufeff"]])
def test_without_words_there_is_no_signature(nodes: list[str]) -> None:
    assert measure(*nodes) is None


def test_rows_without_signature_keep_their_place() -> None:
    image = {"kind": "image", "image_url": "http://a.org/a.png", "dom_index": 0}
    rows = [*documents([["one"], None, [], ["two"]])["nodes"].to_pylist(), [image]]
    table = pa.table({"nodes": pa.array(rows, MinHash.reads.field("nodes").type)})
    found = MinHash().measure(table, None)["minhash"].to_pylist()
    assert [signature is None for signature in found] == [False, True, True, False, True]
    assert (found[0], found[3]) == (measure("one"), measure("two"))


def test_a_short_document_is_one_shingle() -> None:
    one, other, long = signatures(["a b c", "a b d", "a b c d e"])
    assert estimated_jaccard(one[None], other[None])[0] < 0.05
    assert estimated_jaccard(one[None], long[None])[0] < 0.05


def test_repeated_shingles_count_once() -> None:
    one, other = signatures(["a b c d e " * 10, "a b c d e " * 20])
    assert (one == other).all()


@given(text=texts(60))
@settings(deadline=None, max_examples=200)
def test_words_are_those_of_text_statistics(text: str) -> None:
    words = WORD.findall(text)
    [part] = minhash._parts(documents([[text]])["nodes"].chunk(0))
    hashes, counts = minhash._word_hashes(*part, minhash.sign_table(False))
    assert counts.tolist() == [len(words)] == [len(hashes)]
    assert len(set(hashes.tolist())) == len(set(words))
    number_of = dict(zip(words, hashes.tolist(), strict=True))
    assert [number_of[word] for word in words] == hashes.tolist()


@given(text=st.binary(max_size=40))
@settings(deadline=None, max_examples=100)
def test_bytes_that_are_no_utf8_do_no_harm(text: bytes) -> None:
    data, offsets = np.frombuffer(text, np.uint8), np.array([0, len(text)])
    arguments = data, offsets, np.array([[0, 1]]), minhash.sign_table(True)
    with np.errstate(all="ignore"):
        slow = unwrap(minhash._word_hashes)(*arguments)
    for one, other in zip(minhash._word_hashes(*arguments), slow, strict=True):
        np.testing.assert_array_equal(one, other)


# --- Estimates ----------------------------------------------------------------------------------


@pytest.mark.parametrize("target", [0.2, 0.5, 0.8, 0.95])
def test_agreement_estimates_the_jaccard_similarity(target: float) -> None:
    chance = random.Random(7)
    pairs: list[tuple[list[str], list[str]]] = []
    while len(pairs) < 60:
        words = [f"w{chance.randrange(5000)}" for _ in range(chance.choice([200, 400, 1000]))]
        copy = altered(words, target, chance)
        if copy:
            pairs.append((words, copy))
    one = signatures([" ".join(words) for words, _ in pairs])
    other = signatures([" ".join(copy) for _, copy in pairs])
    true = np.array([jaccard(*pair) for pair in pairs])
    error = estimated_jaccard(one, other) - true
    spread = np.sqrt(true * (1 - true) / one.shape[1])
    assert abs((error / spread).mean()) < 4 / np.sqrt(len(pairs))
    assert 0.7 < (error / spread).std() < 1.3


def test_estimates_hold_for_scripts_without_spaces() -> None:
    chance = random.Random(3)
    signs = [chr(chance.randrange(0x4E00, 0x9FA5)) for _ in range(800)]
    other = [*signs[:400], *(chr(chance.randrange(0x4E00, 0x9FA5)) for _ in range(400))]
    one, two = signatures(["".join(signs), "".join(other)])
    assert estimated_jaccard(one[None], two[None])[0] == pytest.approx(
        jaccard(signs, other), abs=0.1
    )


def test_seed_and_permutations_choose_the_signature() -> None:
    default, seeded, short = (
        signatures([FOX], operator)[0]
        for operator in (MinHash(), MinHash(seed=2), MinHash(permutations=64))
    )
    assert (default == seeded).mean() < 0.05
    assert (len(default), len(short)) == (256, 64)


def test_a_signature_depends_on_its_own_document_only() -> None:
    chance = random.Random(1)
    several = [" ".join(f"w{chance.randrange(99)}" for _ in range(n)) for n in range(1, 600, 2)]
    together = signatures(several)
    order = chance.sample(range(len(several)), len(several))
    assert (signatures([several[n] for n in order]) == together[order]).all()
    assert (signatures(several[100:102]) == together[100:102]).all()


def test_long_documents_are_measured_in_blocks() -> None:
    words = [f"w{n}" for n in range(3 * minhash._BLOCK)]
    whole = signatures([" ".join(words)])[0]
    edge = minhash._BLOCK + 100
    parts = signatures([" ".join(words[: edge + 4]), " ".join(words[edge:])])
    # The least of a union is the least of the parts' least, told from its low 16 bits.
    assert ((whole == parts[0]) | (whole == parts[1])).all()


# --- Compiled loops -----------------------------------------------------------------------------


def test_compiled_loops_answer_as_python_does(monkeypatch: pytest.MonkeyPatch) -> None:
    mixed = [
        FOX,
        "日本語のテキスト、カタカナ。 and more",
        "ภาษาไทยไม่มีช่องว่าง",
        "𠀀𠀁 𝔘 e\u0301 ж",
        FOX + " More.",
    ]

    def everything() -> list[np.ndarray]:
        found = signatures(mixed)
        keys = bands.band_keys(found, bands.Bands(64, 2))
        pairs = bands.bucket_pairs(keys.ravel(), np.repeat(np.arange(len(found)), 64))
        verified = bands.verified_pairs(found, pairs, 100)
        return [found, keys, pairs, verified, *clusters.connected_components(*pairs.T)]

    fast = everything()
    loops = 0
    for module in (minhash, bands, clusters):
        for name, value in list(vars(module).items()):
            if hasattr(value, "__wrapped__") and hasattr(value, "__code__"):
                monkeypatch.setattr(module, name, unwrap(value))
                loops += 1
    assert loops == 7
    with np.errstate(all="ignore"):
        slow = everything()
    for one, other in zip(fast, slow, strict=True):
        np.testing.assert_array_equal(one, other)


# --- Reading signatures -------------------------------------------------------------------------


def test_a_column_becomes_numbers_without_its_nulls() -> None:
    column = MinHash(permutations=16).measure(documents([["a"], None, ["b"]]), None)["minhash"]
    chunked = pa.chunked_array([column.chunk(0).slice(0, 2), column.chunk(0).slice(2)])
    for given_column in (column, chunked, chunked.combine_chunks()):
        rows, found = signature_matrix(given_column)
        assert rows.tolist() == [0, 2]
        assert found.shape == (2, 16)
        assert found[1].tobytes() == column[2].as_py()
    rows, found = signature_matrix(column.slice(1, 1))
    assert (len(rows), len(found)) == (0, 0)


def test_signatures_of_several_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\[32, 64\] bytes"):
        signature_matrix(pa.array([b"x" * 32, b"x" * 64]))
