"""Images and texts as vectors: encoders, similarity of documents' images and texts, heads."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from operators import conse, forward
from operators.base import ERROR_COLUMN
from operators.clip import EmbeddingScores, EmbedImages, EmbedTexts, ImageTextSimilarity
from operators.encoders import EncoderConfig, decode_image, load
from operators.forward import complete_torchvision, groups_by_length, library, unit
from operators.pixels import MAX_PIXELS, OversizedImage
from schemas import columns
from schemas.errors import InputError
from tests.photos import photos
from tests.strategies import nodes as any_nodes
from tests.strategies import split, split_points, texts
from tests.tiny_clip import tiny_clip

GOLDEN = Path(__file__).parent / "golden" / "clip_errors.txt"
SIZES = ((32, 32), (100, 40), (40, 100), (33, 57), (127, 126), (1, 1), (300, 3))


# --- Images and texts for tests -----------------------------------------------------------------


def picture(size: tuple[int, int], seed: int = 0) -> Image.Image:
    """A smooth random picture."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def images(*data: bytes | None) -> pa.Table:
    return pa.table({"image_data": list(data)}, schema=columns.schema("image_data"))


def documents(*found: Sequence[str | None] | None) -> pa.Table:
    """Documents with a text node for each text, and an image node for each None."""
    rows = [
        None if texts is None else [
            {"kind": "image" if text is None else "text", "text": text, "dom_index": index}
            for index, text in enumerate(texts)
        ]
        for texts in found
    ]  # fmt: skip
    return pa.table({"nodes": rows}, schema=columns.schema("nodes"))


def measured(operator: Any, batch: pa.Table) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = operator.measure(batch, operator.setup()).to_pydict()
    return found


# --- A CLIP model with random weights -----------------------------------------------------------


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small CLIP model of open_clip; also its config alone, and a checkpoint."""
    pytest.importorskip("torch")
    return tiny_clip(tmp_path_factory.mktemp("tiny"))


def of_folder(folder: Path, **fields: Any) -> dict[str, Any]:
    return {"encoder": "open_clip", "model": str(folder), **fields}


def own_forward(folder: Path) -> tuple[Any, Any, Any]:
    """open_clip's own model, preprocessing and tokenizer."""
    open_clip = library("open_clip", "clip")
    model, preprocess = open_clip.create_model_from_pretrained(f"local-dir:{folder}")
    return model.eval(), preprocess, open_clip.get_tokenizer(f"local-dir:{folder}")


def test_images_have_the_vectors_that_open_clip_gives_them(tiny: Path) -> None:
    torch = pytest.importorskip("torch")
    model, preprocess, _ = own_forward(tiny)
    pictures = [picture(size, seed) for seed, size in enumerate(SIZES)]
    with torch.inference_mode():
        wanted = model.encode_image(torch.stack([preprocess(p) for p in pictures]), normalize=True)
    found = measured(EmbedImages(**of_folder(tiny)), images(*map(encoded, pictures)))
    np.testing.assert_allclose(found["clip_embedding"], wanted.numpy(), atol=5e-4)
    assert np.std(wanted.numpy(), axis=0).max() > 0.05  # so that the test can fail
    assert set(found["clip_encoder"]) == {load(EncoderConfig(**of_folder(tiny))).name}
    assert found["clip_encoder"][0].startswith("open_clip tiny-clip@")


def test_texts_have_the_vectors_that_open_clip_gives_them(tiny: Path) -> None:
    torch = pytest.importorskip("torch")
    model, _, tokenizer = own_forward(tiny)
    said = ["a cat", "two dogs on a beach", "a cat", "many " * 40 + "words", "一只猫"]
    with torch.inference_mode():
        wanted = model.encode_text(tokenizer(said), normalize=True).numpy()
    batch = documents([said[0], None, said[1]], None, [], [said[2], " \n", "", said[3]], [said[4]])
    found = measured(EmbedTexts(**of_folder(tiny)), batch)
    first, missing, empty, second, third = found["node_clip_embedding"]
    assert (missing, empty) == (None, [])
    assert [vector is None for vector in first] == [False, True, False]
    assert [vector is None for vector in second] == [False, True, True, False]
    assert first[0] == second[0]
    got = [first[0], first[2], second[0], second[3], third[0]]
    np.testing.assert_allclose(got, wanted, atol=5e-4)
    assert found["clip_text_encoder"][1] is None
    assert np.abs(wanted[0] - wanted[1]).max() > 0.02


def test_words_beyond_the_models_context_change_nothing(tiny: Path) -> None:
    long = "word " * 30
    (one,), (other,) = (
        measured(EmbedTexts(**of_folder(tiny)), documents([text]))["node_clip_embedding"]
        for text in (long, long + "and then something else")
    )
    assert one == other


def test_a_checkpoint_of_a_named_model_gives_the_same_as_its_folder(tiny: Path) -> None:
    batch = images(encoded(picture((40, 50))))
    with_mean = json.loads((tiny / "open_clip_config.json").read_text())
    assert with_mean["preprocess_cfg"]
    texts_of = documents(["a cat"])
    fields = {"encoder": "open_clip", "model": "tiny-named"}
    found = [
        measured(EmbedTexts(**fields, pretrained=str(path)), texts_of)["node_clip_embedding"]
        for path in (tiny / "open_clip_model.safetensors", tiny.parent / "tiny.pt")
    ]
    assert found[0] == found[1]
    assert found[0] == measured(EmbedTexts(**of_folder(tiny)), texts_of)["node_clip_embedding"]
    of_path = EmbedImages(**fields, pretrained=str(tiny.parent / "tiny.pt"))
    assert measured(of_path, batch)["clip_embedding"][0] is not None


def test_a_tag_is_taken_with_its_preprocessing_or_refused(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = library("open_clip", "clip").pretrained._PRETRAINED
    file = {"file": str(tiny / "open_clip_model.safetensors")}
    tags = {"grey": file | {"mean": [0.5] * 3}, "odd": file | {"quick_gelu": True}}
    monkeypatch.setitem(known, "tiny-named", tags)
    fields = {"encoder": "open_clip", "model": "tiny-named"}
    batch = images(encoded(picture((40, 50))))
    by_tag, by_folder = (
        measured(EmbedImages(**config), batch)
        for config in (fields | {"pretrained": "grey"}, of_folder(tiny))
    )
    assert by_tag["clip_embedding"] == by_folder["clip_embedding"]
    assert by_tag["clip_encoder"] == ["open_clip tiny-named grey"]
    with pytest.raises(InputError, match="use model 'tiny-named-quickgelu'"):
        EmbedImages(**fields, pretrained="odd").setup()


def test_a_model_of_the_hub_is_read_from_the_cache_under_its_commit(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    constants = library("huggingface_hub.constants", "clip")
    commit = "0123456789abcdef0123456789abcdef01234567"
    cached = tmp_path / "models--some--clip"
    (cached / "snapshots").mkdir(parents=True)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(commit)
    (cached / "snapshots" / commit).symlink_to(tiny)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    operator = EmbedTexts(encoder="open_clip", model="hf-hub:some/clip")
    found = measured(operator, documents(["a cat"]))
    assert operator.provenance()["hf-hub:some/clip"] == commit
    assert found["clip_text_encoder"] == ["open_clip hf-hub:some/clip@0123456789ab"]
    plain = measured(EmbedTexts(**of_folder(tiny)), documents(["a cat"]))
    assert found["node_clip_embedding"] == plain["node_clip_embedding"]
    with pytest.raises(InputError, match="cannot be fetched"):
        EmbedTexts(encoder="open_clip", model="hf-hub:some/other").provenance()


# --- Batches ------------------------------------------------------------------------------------


def _odd_images() -> list[bytes | None]:
    """Images of many kinds; None and undecodable ones among them."""
    whole = [encoded(picture(size, seed)) for seed, size in enumerate(SIZES)]
    jpeg = encoded(picture((640, 400), 9), "JPEG")
    palette = picture((60, 60), 3).quantize(8)
    palette.info["transparency"] = bytes([0, 128] * 4)
    return [
        *whole, None, jpeg, jpeg[: len(jpeg) // 2], b"", b"no image",
        encoded(palette), encoded(picture((50, 50), 4).convert("L")),
        encoded(picture((9, 9)), "GIF"),
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    ]  # fmt: skip


def test_images_that_do_not_decode_are_null_and_hold_up_no_other(tiny: Path) -> None:
    data = _odd_images()
    found = measured(EmbedImages(**of_folder(tiny)), images(*data))["clip_embedding"]
    missing = [at for at, vector in enumerate(found) if vector is None]
    assert missing == [7, 9, 10, 11, 15]
    lengths = [np.linalg.norm(vector) for vector in found if vector is not None]
    np.testing.assert_allclose(lengths, 1, atol=2e-3)


@given(data=st.data())
@settings(deadline=None, max_examples=15)
def test_an_image_has_the_same_vector_in_any_batch(tiny: Path, data: st.DataObject) -> None:
    operator = EmbedImages(**of_folder(tiny, batch_size=data.draw(st.sampled_from([1, 3, 16]))))
    state = operator.setup()
    batch = images(*data.draw(st.permutations(_odd_images())))
    whole = operator.measure(batch, state)
    pieces = split(batch, data.draw(split_points(batch.num_rows)))
    assert pa.concat_tables([operator.measure(piece, state) for piece in pieces]).equals(whole)


@given(st.lists(texts(), max_size=12), st.data())
@settings(deadline=None, max_examples=15)
def test_a_text_has_the_same_vector_in_any_batch(
    tiny: Path, said: list[str], data: st.DataObject
) -> None:
    operator = EmbedTexts(**of_folder(tiny))
    state = operator.setup()
    batch = documents(*([text] for text in said))
    whole = operator.measure(batch, state)
    pieces = split(batch, data.draw(split_points(batch.num_rows)))
    parts = pa.concat_tables([operator.measure(piece, state) for piece in pieces])
    assert parts.combine_chunks().equals(whole.combine_chunks())


def test_other_batch_sizes_and_threads_change_only_last_digits(tiny: Path) -> None:
    batch = images(*(encoded(picture((50, 60), seed)) for seed in range(9)))
    found = [
        measured(EmbedImages(**of_folder(tiny), batch_size=size, decode_threads=threads), batch)
        for size, threads in ((1, 1), (4, 2), (64, 8))
    ]
    for other in found[1:]:
        np.testing.assert_allclose(other["clip_embedding"], found[0]["clip_embedding"], atol=1e-3)


@given(st.lists(st.integers(1, 16), max_size=30))
def test_texts_are_grouped_by_the_step_that_just_holds_them(lengths: list[int]) -> None:
    groups = dict(groups_by_length(lengths, (4, 8, 16)))
    assert sorted(number for group in groups.values() for number in group) == [*range(len(lengths))]
    for step, group in groups.items():
        assert all(step // 2 < lengths[number] <= step or step == 4 for number in group)


# --- Decoding -----------------------------------------------------------------------------------


def test_an_image_is_turned_as_exif_says() -> None:
    upright = picture((80, 40), 1)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter
    turned = encoded(upright.transpose(Image.Transpose.ROTATE_90), "PNG", exif=exif)
    found = decode_image(turned, 32, reduced=False)
    assert np.array_equal(np.asarray(found), np.asarray(upright))


def test_a_large_jpeg_is_decoded_smaller_but_at_no_less_than_twice_the_side() -> None:
    data = encoded(picture((1000, 700), 2), "JPEG", quality=95)
    assert decode_image(data, 100, reduced=False).size == (1000, 700)
    assert decode_image(data, 100, reduced=True).size == (500, 350)
    assert decode_image(data, 300, reduced=True).size == (1000, 700)


def test_reduced_decoding_hardly_changes_a_vector(tiny: Path) -> None:
    batch = images(*(encoded(picture((900, 700), seed), "JPEG") for seed in range(4)))
    full, reduced = (
        np.array(
            measured(EmbedImages(**of_folder(tiny), reduced_decode=r), batch)["clip_embedding"]
        )
        for r in (False, True)
    )
    assert ((full * reduced).sum(axis=1) > 0.995).all()
    assert not np.array_equal(full, reduced)


def test_an_image_of_too_many_pixels_is_not_decoded() -> None:
    side = int(MAX_PIXELS**0.5) + 1
    with pytest.raises(OversizedImage, match="more than 64000000 pixels"):
        decode_image(encoded(Image.new("1", (side, side))), 32, reduced=True)


# --- ConSE --------------------------------------------------------------------------------------


def test_photos_are_nearer_to_their_own_captions() -> None:
    pytest.importorskip("torch")
    found = photos()
    data = images(*(encoded(image) for image, _ in found))
    left = measured(EmbedImages(), data)
    right = measured(EmbedTexts(), documents([caption for _, caption in found]))
    vectors, described = np.array(left["clip_embedding"]), np.array(right["node_clip_embedding"][0])
    cosines = vectors @ described.T
    own = np.diag(cosines)
    other = cosines[~np.eye(len(cosines), dtype=bool)]
    assert own.mean() > other.mean() + 0.2
    assert (cosines.argmax(axis=1) == np.arange(8)).sum() >= 6
    assert (cosines.argmax(axis=0) == np.arange(8)).sum() >= 6
    names = {*left["clip_encoder"], *right["clip_text_encoder"]}
    assert names == {"ConSE efficientnet-lite2 + all-minilm-l6-v2 (no CLIP)"}


def test_long_texts_are_cut_after_256_tokens_and_padding_does_not_show() -> None:
    pytest.importorskip("torch")
    encoder = load(EncoderConfig())
    base = "The harbour lies below the old town. " * 40
    same = encoder.embed_texts([base, base + "A tabby cat sleeps."])
    assert np.array_equal(same[0], same[1])
    sentences = ["a cat", "a cat " * 7 + "sleeps on a red sofa", "word " * 100]
    together = encoder.embed_texts(sentences)
    for text, vector in zip(sentences, together, strict=True):
        assert np.array_equal(encoder.embed_texts([text])[0], vector)


def test_the_vectors_of_classes_are_what_their_script_makes() -> None:
    pytest.importorskip("torch")
    encoder = load(EncoderConfig())
    assert isinstance(encoder, conse.Conse)
    names = ["tench", "toilet paper"]
    definitions = [
        "tench, Tinca tinca: freshwater dace-like game fish of Europe and western Asia noted for "
        "ability to survive outside water",
        "toilet tissue, toilet paper, bathroom tissue: a soft thin absorbent paper for use in "
        "toilets",
    ]
    photo = encoder.sentences.vectors([f"a photo of a {name}" for name in names])
    wanted = unit(photo + encoder.sentences.vectors(definitions))
    with np.load(conse.CLASSES) as file:
        classes, centre = file["classes"], file["centre"]
    assert classes.shape == (1000, 384)
    np.testing.assert_allclose(classes[[0, 999]] + centre, wanted, atol=1e-3)
    np.testing.assert_allclose(classes.astype(np.float64).mean(axis=0), 0, atol=1e-4)


def test_the_map_of_logits_is_that_of_ridge_regression() -> None:
    chance = np.random.default_rng(1)
    weights, classes = chance.normal(size=(6, 4)), chance.normal(size=(6, 3))
    size = (weights**2).sum() / 6  # weights are compared at a mean squared length of 1
    slopes = np.linalg.solve(weights.T @ weights / size + 3 * np.eye(4), weights.T @ classes / size)
    features = chance.normal(size=(5, 4))
    found = features @ weights.T @ conse.decorrelated(weights, classes) / size
    np.testing.assert_allclose(found, features @ slopes)


def test_batch_norms_are_taken_into_convolutions() -> None:
    torch = pytest.importorskip("torch")
    package = library("efficientnet_lite_pytorch", "conse")
    network = package.EfficientNet.from_name("efficientnet-lite2")
    place = conse._installed(*conse._CLASSIFIER)
    network.load_state_dict(torch.load(place, weights_only=True))
    ours = conse.Classifier("cpu")
    tensor = ours.tensor(np.stack([np.asarray(picture((260, 260), 5))]))
    with torch.inference_mode():
        wanted = network.eval()(tensor)
    torch.testing.assert_close(ours.logits(tensor), wanted, rtol=1e-3, atol=1e-3)


# --- Similarity ---------------------------------------------------------------------------------

Vector = list[float] | None


def similarity(
    kinds: list[str],
    shown: list[Vector],
    said: list[Vector],
    encoders: tuple[str, str] = ("e", "e"),
) -> dict[str, Any]:
    row = {
        "nodes": [{"kind": kind, "dom_index": at} for at, kind in enumerate(kinds)],
        "node_clip_embedding": said,
        "clip_text_encoder": encoders[1],
        "clip_embedding": shown,
        "clip_encoder": [None if vector is None else encoders[0] for vector in shown],
    }
    batch = pa.Table.from_pylist([row], schema=ImageTextSimilarity.reads)
    found: dict[str, Any] = ImageTextSimilarity().measure(batch, None).to_pylist()[0]
    return found


def test_the_matrix_has_a_row_an_image_and_a_column_a_text() -> None:
    found = similarity(
        ["text", "image", "heading", "image", "image", "text"],
        [None, [1, 0], None, None, [0.6, 0.8], None],
        [[1, 0], None, None, None, None, [0, -1]],
    )
    assert found["clip_similarity"] == [
        pytest.approx([1, None, 0]), None, pytest.approx([0.6, None, -0.8], abs=1e-3),
    ]  # fmt: skip
    best = found["node_image_text_similarity"]
    assert best == [None, 1, None, None, pytest.approx(0.6, abs=1e-3), None]
    assert found[ERROR_COLUMN] is None


def test_images_and_texts_of_two_encoders_are_an_error_of_the_document() -> None:
    found = similarity(["image", "text"], [[1, 0], None], [None, [1, 0]], ("one", "other"))
    assert found.pop(ERROR_COLUMN)["message"] == (
        "images were embedded by one, texts by other: give both stages the same encoder"
    )
    assert set(found.values()) == {None}


def test_a_document_without_images_or_texts_has_an_empty_matrix() -> None:
    assert similarity(["text"], [None], [[1, 0]])["clip_similarity"] == []
    alone = similarity(["image"], [[1, 0]], [None])
    assert (alone["clip_similarity"], alone["node_image_text_similarity"]) == ([[]], [None])
    blank = similarity(["image", "text"], [[1, 0], None], [None, None])
    assert (blank["clip_similarity"], blank["node_image_text_similarity"]) == ([[None]], [None] * 2)


_vectors = st.none() | st.lists(st.floats(-1, 1, width=16), min_size=3, max_size=3).filter(
    lambda vector: np.linalg.norm(vector) > 0.01
)


@given(st.data())
@settings(deadline=None)
def test_similarity_is_the_cosine_of_each_pair(data: st.DataObject) -> None:
    kinds = [node["kind"] for node in data.draw(any_nodes(8))]
    shown, said = (
        data.draw(st.lists(_vectors, min_size=len(kinds), max_size=len(kinds))) for _ in range(2)
    )
    found = similarity(kinds, shown, said)
    wanted, best = [], []
    for kind, image in zip(kinds, shown, strict=True):
        row = None
        if kind == "image" and image is not None:
            row = [cosine(image, text) for text, k in zip(said, kinds, strict=True) if k != "image"]
        if kind == "image":
            wanted.append(row)
        best.append(max((value for value in row or [] if value is not None), default=None))
    assert len(found["clip_similarity"]) == len(wanted)
    for got, row in zip(found["clip_similarity"], wanted, strict=True):
        assert got == (None if row is None else pytest.approx(row, abs=1e-5))
    assert found["node_image_text_similarity"] == pytest.approx(best, abs=1e-5)


def cosine(one: list[float], other: Vector) -> float | None:
    if other is None:
        return None
    left, right = np.array(one, np.float64), np.array(other, np.float64)
    return float(left @ right / np.linalg.norm(left) / np.linalg.norm(right))


# --- Heads --------------------------------------------------------------------------------------


def head_scores(vectors: list[Vector], **heads: Any) -> dict[str, list[Any]]:
    batch = pa.table({"clip_embedding": vectors}, schema=columns.schema("clip_embedding"))
    return measured(EmbeddingScores.model_validate(heads), batch)


def layers(*sizes: int, seed: int = 0) -> dict[str, Any]:
    """Random layers under the names that a torch module gives them."""
    chance, found = np.random.default_rng(seed), {}
    for number, (inputs, outputs) in enumerate(pairwise(sizes)):
        weight = chance.normal(size=(outputs, inputs)).astype(np.float32)
        found[f"layers.{2 * number}.weight"] = weight
        found[f"layers.{2 * number}.bias"] = chance.normal(size=outputs).astype(np.float32)
    return found


def test_a_linear_head_scores_unit_vectors(tmp_path: Path) -> None:
    weight, bias = np.array([[2.0, 1.0]]), np.array([5.0])
    np.savez(tmp_path / "linear.npz", weight=weight, bias=bias)
    head = {"path": str(tmp_path / "linear.npz")}
    found = head_scores([[0.6, 0.8], None, [1, 0]], aesthetic=head, nsfw=head)
    assert found["aesthetic_score"] == [pytest.approx(7, abs=2e-3), None, 7]
    chance = 1 / (1 + np.exp(-7))
    assert found["clip_nsfw_prob"] == pytest.approx([chance, None, chance], abs=1e-5)
    assert head_scores([[0.6, 0.8]], aesthetic=head)["clip_nsfw_prob"] == [None]
    assert head_scores([None], aesthetic=head)["aesthetic_score"] == [None]


@pytest.mark.parametrize("between", ["identity", "relu"])
@pytest.mark.parametrize("ending", ["npz", "safetensors"])
def test_a_head_of_several_layers_is_what_torch_makes_of_it(
    between: str, ending: str, tmp_path: Path
) -> None:
    torch = pytest.importorskip("torch")
    found = layers(4, 12, 5, 1)
    path = tmp_path / f"mlp.{ending}"
    if ending == "npz":
        np.savez(path, **found)
    else:
        library("safetensors.numpy", "clip").save_file(found, path)
    middle = torch.nn.ReLU if between == "relu" else torch.nn.Identity
    network = torch.nn.Sequential(
        torch.nn.Linear(4, 12), middle(), torch.nn.Linear(12, 5), middle(), torch.nn.Linear(5, 1)
    )
    network.load_state_dict(
        {name.removeprefix("layers."): torch.tensor(array) for name, array in found.items()}
    )
    vectors = unit(np.random.default_rng(2).normal(size=(6, 4))).astype(np.float16)
    again = unit(vectors.astype(np.float32))
    with torch.inference_mode():
        wanted = network(torch.tensor(again))[:, 0].numpy()
    head = {"path": str(path), "between": between}
    got = head_scores(vectors.tolist(), aesthetic=head)["aesthetic_score"]
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


def test_the_file_of_a_head_is_part_of_the_fingerprint(tmp_path: Path) -> None:
    np.savez(tmp_path / "head.npz", **layers(4, 1))
    operator = EmbeddingScores.model_validate({"nsfw": {"path": str(tmp_path / "head.npz")}})
    first = operator.provenance()
    assert list(first) == ["clip_nsfw_prob"]
    np.savez(tmp_path / "head.npz", **layers(4, 1, seed=1))
    assert operator.provenance() != first


# --- Declarations -------------------------------------------------------------------------------


def test_device_and_batches_decide_no_value_but_precision_does(tiny: Path) -> None:
    fields = of_folder(tiny)
    for kind in (EmbedImages, EmbedTexts):
        one = kind(**fields)
        same = kind(**fields, device="cpu", batch_size=7)
        assert one.deciding_config() == same.deciding_config()
        assert one.deciding_config() != kind(**fields, precision="bf16").deciding_config()
    assert EmbedImages(decode_threads=3).deciding_config() == EmbedImages().deciding_config()


def test_the_weights_are_part_of_the_fingerprint(tiny: Path, tmp_path: Path) -> None:
    for path in tiny.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    operator = EmbedTexts(**of_folder(tmp_path))
    first = operator.provenance()
    assert {"torch", "open_clip_torch", str(tmp_path)} == set(first)
    before = measured(operator, documents(["a cat"]))
    tensors = library("safetensors.numpy", "clip")
    path = tmp_path / "open_clip_model.safetensors"
    weights = tensors.load_file(path)
    weights["text_projection"] = -weights["text_projection"]
    tensors.save_file(weights, path)
    assert operator.provenance() != first
    after = measured(operator, documents(["a cat"]))
    assert np.array(after["node_clip_embedding"]) == pytest.approx(
        -np.array(before["node_clip_embedding"]), abs=1e-3
    )
    assert after["clip_text_encoder"] != before["clip_text_encoder"]


@pytest.mark.parametrize("encoder", ["open_clip", "conse"])
def test_half_precision_gives_nearly_the_same_vectors(encoder: str, tiny: Path) -> None:
    fields = of_folder(tiny) if encoder == "open_clip" else {}
    batch = images(*(encoded(picture((50, 60), seed)) for seed in range(4)))
    whole, half = (
        np.array(measured(EmbedImages(**fields, precision=precision), batch)["clip_embedding"])
        for precision in ("auto", "bf16")
    )
    assert ((whole * half).sum(axis=1) > 0.97).all()
    assert not np.array_equal(whole, half)


def test_two_operators_of_one_config_share_the_model(tiny: Path) -> None:
    assert EmbedImages(**of_folder(tiny)).setup() is EmbedTexts(**of_folder(tiny)).setup()


def test_torch_is_imported_by_no_operator_before_it_is_set_up() -> None:
    code = "import sys, operators.registry; assert not {'torch', 'open_clip'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_torchvision_is_completed_once_and_open_clip_comes_with_it() -> None:
    pytest.importorskip("torch")
    assert complete_torchvision() is complete_torchvision()
    assert library("open_clip", "clip").__version__
    assert sys.modules["torchvision"]


# --- Errors -------------------------------------------------------------------------------------

_NAMED = {"encoder": "open_clip", "model": "ViT-B-32"}
_WRONG: dict[str, tuple[Any, dict[str, Any]]] = {
    "unknown kind": (EmbedImages, {"encoder": "clip"}),
    "model missing": (EmbedImages, {"encoder": "open_clip"}),
    "weights missing": (EmbedImages, _NAMED),
    "weights of conse": (EmbedTexts, {"model": "ViT-B-32"}),
    "weights of a folder": (EmbedTexts, _NAMED | {"model": "empty", "pretrained": "x"}),
    "revision without hub": (EmbedTexts, _NAMED | {"pretrained": "x", "revision": "0" * 40}),
    "revision no commit": (EmbedTexts, _NAMED | {"model": "hf-hub:a/b", "revision": "v1"}),
    "no hub name": (EmbedTexts, {"encoder": "open_clip", "model": "hf-hub:clip"}),
    "unknown model": (EmbedTexts, _NAMED | {"model": "ViT-B-23", "pretrained": "openai"}),
    "unknown tag": (EmbedTexts, _NAMED | {"pretrained": "opanai"}),
    "no checkpoint": (EmbedTexts, _NAMED | {"pretrained": "notes.txt"}),
    "broken checkpoint": (EmbedTexts, _NAMED | {"model": "tiny-named", "pretrained": "junk.pt"}),
    "code in a checkpoint": (EmbedTexts, _NAMED | {"model": "tiny-named", "pretrained": "code.pt"}),
    "other weights": (EmbedTexts, _NAMED | {"model": "tiny-named", "pretrained": "h.safetensors"}),
    "folder without a model": (EmbedTexts, {"encoder": "open_clip", "model": "empty"}),
    "folder without weights": (EmbedTexts, {"encoder": "open_clip", "model": "bare"}),
    "no GPU": (EmbedImages, {"device": "cuda"}),
    "missing extra": (EmbedImages, {}),
    "no head": (EmbeddingScores, {"nsfw": {"path": "none.npz"}}),
    "head of another kind": (EmbeddingScores, {"nsfw": {"path": "notes.txt"}}),
    "broken head": (EmbeddingScores, {"nsfw": {"path": "junk.npz"}}),
    "head of other arrays": (EmbeddingScores, {"aesthetic": {"path": "odd.npz"}}),
    "head of two outputs": (EmbeddingScores, {"aesthetic": {"path": "two.npz"}}),
    "head without weight": (EmbeddingScores, {"aesthetic": {"path": "bias.npz"}}),
    "head of another encoder": (EmbeddingScores, {"aesthetic": {"path": "five.npz"}}),
}  # fmt: skip


class _Runs:
    """Would write a file if it were unpickled."""

    def __reduce__(self) -> Any:
        return Path.write_text, (Path("was_run"), "x")


def _error(name: str, kind: Any, fields: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> str:
    with monkeypatch.context() as patch:
        if name == "missing extra":
            patch.setattr(conse, "_CLASSIFIER", ("efficientnet_lite9_pytorch_model", "x"))
        try:
            operator = kind.model_validate(fields)
            operator.provenance()
            state = operator.setup()
            vectors = pa.array([[0.5] * 4], pa.list_(pa.float16()))
            operator.measure(pa.table({"clip_embedding": vectors}), state)
        except ValidationError as error:
            return "\n".join(f"{item['loc']}: {item['msg']}" for item in error.errors())
        except InputError as error:
            return str(error)
    return "nothing wrong"


def test_error_texts_are_the_golden_ones(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rewrite with UPDATE_GOLDEN=1 after judging the words."""
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("one of the texts is about a missing GPU")
    monkeypatch.chdir(tmp_path)
    for name in ("notes.txt", "junk.pt", "junk.npz"):
        Path(name).write_bytes(b"no model at all")
    torch.save({"weights": _Runs()}, "code.pt")
    Path("empty").mkdir()
    Path("bare").mkdir()
    Path("bare/open_clip_config.json").write_text((tiny / "open_clip_config.json").read_text())
    library("safetensors.numpy", "clip").save_file(layers(4, 1), "h.safetensors")
    np.savez("odd.npz", kernel=np.zeros((1, 4)))
    np.savez("two.npz", **layers(4, 2))
    np.savez("bias.npz", bias=np.zeros(1))
    np.savez("five.npz", **layers(5, 1))
    said = "".join(
        f"# {name}\n{_error(name, *case, monkeypatch)}\n\n" for name, case in _WRONG.items()
    )
    assert not Path("was_run").exists()
    assert "nothing wrong" not in said
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(said, "utf-8")
    assert said == GOLDEN.read_text("utf-8")


def test_a_missing_package_is_named_with_the_extra_that_brings_it() -> None:
    with pytest.raises(InputError, match=r"(?s)'no_such_package'.*pip install 'omniloom\[clip\]'"):
        forward.library("no_such_package", "clip")
