import keras
import numpy as np
import pytest

from udsph_tf.networks import (
    attach_body,
    code_writer,
    discriminator,
    hash_writer,
    image_hasher,
    label_net,
    text_hasher,
    wordpiece,
)
from udsph_tf.networks.encoder import hash_head, head_reader
from udsph_tf.networks.layers import PackBits

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (6, 32, 32, 3)).astype(np.uint8)
TOKEN_IDS = np.array(
    [[1, 2, 0, 0], [3, 0, 0, 0], [4, 5, 6, 7], [0, 0, 0, 0], [8, 9, 8, 0], [19, 1, 0, 0]], np.int32
)


def shapes(outputs):
    return {name: tuple(value.shape) for name, value in outputs.items()}


# --- Names, shapes, lengths ---


def test_image_hasher_outputs_have_their_names_and_shapes(sizes):
    model = image_hasher((2, 3, 7), 9, **sizes)
    assert shapes(model.input) == {"feature_map": (None, 2, 3, 7), "pooled": (None, 9)}
    assert shapes(model.output) == {
        "features": (None, 8),
        "hash_input": (None, 13),
        "hash_logits": (None, 16),
        "hash": (None, 16),
        "label_logits": (None, 5),
        "regions": (None, 6, 6),
    }


def test_image_hasher_regions_have_unit_length_and_follow_the_cells(sizes):
    model = image_hasher((2, 3, 7), 9, **sizes)
    feature_map = RNG.normal(size=(2, 2, 3, 7)).astype(np.float32)
    inputs = {"feature_map": feature_map, "pooled": np.zeros((2, 9), np.float32)}
    regions = np.array(model(inputs)["regions"])
    np.testing.assert_allclose(np.linalg.norm(regions, axis=-1), 1, rtol=1e-5)
    # Region 1 * 3 + 2 is the cell of row 1 and column 2: it alone feels a change there.
    feature_map[:, 1, 2] += 1
    changed = np.array(model(inputs)["regions"])
    moved = np.abs(changed - regions).max(axis=(0, 2)) > 1e-6
    assert np.flatnonzero(moved).tolist() == [5]


def test_text_hasher_outputs_have_their_names_and_shapes(sizes):
    model = text_hasher((4, 7), 9, **sizes)
    assert shapes(model.input) == {
        "word_map": (None, 4, 7),
        "word_mask": (None, 4),
        "pooled": (None, 9),
    }
    assert shapes(model.output) == {
        "features": (None, 8),
        "hash_input": (None, 13),
        "hash_logits": (None, 16),
        "hash": (None, 16),
        "label_logits": (None, 5),
        "words": (None, 4, 6),
        "word_mask": (None, 4),
    }


def test_text_hasher_words_have_unit_length_and_the_mask_is_passed_on(sizes):
    mask = np.array([[1, 1, 0, 0], [0, 0, 0, 0]], np.float32)
    inputs = {
        "word_map": RNG.normal(size=(2, 4, 7)).astype(np.float32),
        "word_mask": mask,
        "pooled": RNG.normal(size=(2, 9)).astype(np.float32),
    }
    outputs = text_hasher((4, 7), 9, **sizes)(inputs)
    np.testing.assert_allclose(np.linalg.norm(outputs["words"], axis=-1), 1, rtol=1e-5)
    np.testing.assert_array_equal(outputs["word_mask"], mask)


def test_label_net_outputs_have_their_names_and_shapes():
    model = label_net(5, num_bits=16, hidden_dim=12, feature_dim=8)
    assert tuple(model.input.shape) == (None, 5)
    assert shapes(model.output) == {
        "features": (None, 8),
        "hash_input": (None, 13),
        "hash_logits": (None, 16),
        "hash": (None, 16),
        "label_logits": (None, 5),
    }


def test_hash_is_the_hyperbolic_tangent_of_its_logits(whole_image_hasher):
    outputs = whole_image_hasher(PIXELS, training=False)
    np.testing.assert_allclose(outputs["hash"], np.tanh(outputs["hash_logits"]), atol=1e-6)


def test_hash_head_makes_of_what_it_reads_the_hash_of_the_whole(whole_image_hasher):
    read = head_reader(whole_image_hasher, "head_reader")(PIXELS, training=False)
    outputs = whole_image_hasher(PIXELS, training=False)
    np.testing.assert_allclose(read, outputs["hash_input"], atol=1e-6)
    hashed = hash_head(whole_image_hasher)(read)["hash"]
    np.testing.assert_allclose(hashed, outputs["hash"], atol=1e-6)


def test_discriminator_gives_one_logit():
    model = discriminator(8, hidden_dim=12, name="d")
    assert model(RNG.normal(size=(3, 8)).astype(np.float32)).shape == (3, 1)


def test_discriminator_with_labels_judges_both():
    model = discriminator(8, hidden_dim=12, num_labels=2, name="d")
    sample = RNG.normal(size=(2, 8)).astype(np.float32)
    one, other = (
        np.array(model({"sample": sample, "labels": np.array(labels, np.float32)}))
        for labels in ([[1, 0], [1, 0]], [[1, 0], [0, 1]])
    )
    assert one[0] == other[0] and one[1] != other[1]


def test_discriminator_spectral_norm_keeps_the_slope_below_one():
    # Kernels of norm 1 and slopes of at most 1 make |D(a) - D(b)| <= |a - b|.
    model = discriminator(8, hidden_dim=12, spectral_norm=True, name="d")
    a, b = RNG.normal(size=(2, 200, 8)).astype(np.float32)
    for _ in range(50):
        model(a, training=True)
    change = np.abs(np.array(model(a)) - np.array(model(b)))[:, 0]
    assert (change <= 1.02 * np.linalg.norm(a - b, axis=1)).all()


@pytest.mark.parametrize(
    "build",
    [
        lambda sizes: image_hasher((2, 2, 7), 9, **sizes),
        lambda sizes: text_hasher((4, 7), 9, **sizes),
        lambda sizes: label_net(5, num_bits=sizes["num_bits"]),
    ],
    ids=["image", "text", "label"],
)
@pytest.mark.parametrize("num_bits", [12, 0, -8])
def test_hasher_of_unusable_num_bits_is_an_error(build, num_bits, sizes):
    message = f"`num_bits` must be a positive multiple of 8. Received: num_bits={num_bits}"
    with pytest.raises(ValueError, match=message):
        build({**sizes, "num_bits": num_bits})


# --- wordpiece ---


def test_wordpiece_pools_the_pieces_that_are_there():
    model = wordpiece(20, 4, embedding_dim=7)
    outputs = model(TOKEN_IDS, training=False)
    assert shapes(outputs) == {"word_map": (6, 4, 7), "word_mask": (6, 4), "pooled": (6, 7)}
    np.testing.assert_array_equal(outputs["word_mask"], TOKEN_IDS > 0)
    table = model.get_layer("embedding").get_weights()[0]
    np.testing.assert_allclose(outputs["pooled"][0], (table[1] + table[2]) / 2, rtol=1e-5)
    # The text without pieces.
    np.testing.assert_array_equal(outputs["pooled"][3], np.zeros(7))


def test_wordpiece_in_training_masks_the_words_it_hides():
    model = wordpiece(20, 200, embedding_dim=3, word_dropout=0.5, seed=0)
    outputs = model(np.full((4, 200), 5, np.int32), training=True)
    assert 0.4 < np.mean(outputs["word_mask"]) < 0.6


# --- A code depends on one item of one modality, never on its batch mates ---


@pytest.mark.parametrize("modality", ["image", "text"])
def test_whole_hasher_item_alone_has_the_code_it_has_in_a_batch(modality, request):
    hasher = request.getfixturevalue(f"whole_{modality}_hasher")
    items = {"image": PIXELS, "text": TOKEN_IDS}[modality]
    logits = np.array(hasher(items, training=False)["hash_logits"])
    writer = code_writer(hasher, "writer")
    packed = np.array(writer(items, training=False)["packed"])
    assert len(np.unique(packed, axis=0)) > 1
    for item in range(len(items)):
        alone = items[item : item + 1]
        # Other mates, too: the batch in reverse.
        reversed_batch = hasher(items[::-1].copy(), training=False)["hash_logits"]
        np.testing.assert_allclose(reversed_batch[len(items) - 1 - item], logits[item], atol=1e-5)
        outputs = writer(alone, training=False)
        np.testing.assert_array_equal(outputs["packed"][0], packed[item])
        np.testing.assert_allclose(
            hasher(alone, training=False)["hash_logits"][0], logits[item], atol=1e-5
        )


def test_code_writer_has_packed_codes_and_hashes_alone(whole_text_hasher):
    writer = code_writer(whole_text_hasher, "writer")
    outputs = writer(TOKEN_IDS, training=False)
    assert shapes(outputs) == {"packed": (6, 2), "hash": (6, 16)}
    logits = hash_writer(whole_text_hasher, "logits")(TOKEN_IDS, training=False)
    np.testing.assert_array_equal(outputs["packed"], PackBits()(logits))
    np.testing.assert_allclose(outputs["hash"], np.tanh(logits), atol=1e-6)


def test_attach_body_gives_the_hasher_what_the_body_gives(sizes):
    body = wordpiece(20, 4, embedding_dim=7)
    hasher = text_hasher((4, 7), 7, **sizes)
    whole = attach_body(body, hasher, "whole")
    assert isinstance(whole, keras.Model)
    expected = hasher(body(TOKEN_IDS, training=False), training=False)
    for name, value in whole(TOKEN_IDS, training=False).items():
        np.testing.assert_allclose(value, expected[name], atol=1e-6)
