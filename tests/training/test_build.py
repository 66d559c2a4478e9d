import keras
import numpy as np
import pytest

from udsph_tf.networks import small_cnn, wordpiece
from udsph_tf.training.bodies import build_image_body, build_text_body
from udsph_tf.training.build import (
    Bodies,
    build_model,
    build_optimizers,
    semantic_anchors,
)
from udsph_tf.training.udsph import GROUPS

LABELS = np.array([[1, 0, 1], [0, 1, 0], [1, 0, 1], [1, 0, 1], [0, 1, 0], [1, 1, 1]], np.uint8)


# --- Semantic anchors ---


def test_semantic_anchors_are_the_different_label_sets_with_their_counts():
    anchors, counts = semantic_anchors(LABELS, 10, 0)
    assert (anchors.dtype, counts.dtype) == (np.float32, np.float32)
    found = {tuple(anchor): count for anchor, count in zip(anchors, counts, strict=True)}
    assert found == {(1, 0, 1): 3, (0, 1, 0): 2, (1, 1, 1): 1}


@pytest.fixture(scope="module")
def many_sets():
    """Sets of 5 labels that 1, 2, ... 30 items have, and one that 500 have."""
    labels = np.array([[(n >> bit) & 1 for bit in range(5)] for n in range(1, 32)])
    return np.repeat(labels, [*range(1, 31), 500], axis=0)


def test_semantic_anchors_above_the_cap_are_a_seeded_sample(many_sets):
    anchors, counts = semantic_anchors(many_sets, 10, 0)
    assert anchors.shape == (10, 5)
    assert len(np.unique(anchors, axis=0)) == 10
    again, _ = semantic_anchors(many_sets, 10, 0)
    np.testing.assert_array_equal(again, anchors)
    other, _ = semantic_anchors(many_sets, 10, 1)
    assert (other != anchors).any()


def test_sampled_anchors_stand_for_all_items(many_sets):
    # What 500 items have is in every sample, as itself; the others share what is left.
    for seed in range(20):
        anchors, counts = semantic_anchors(many_sets, 6, seed)
        whole = anchors.all(axis=1)
        assert counts[whole] == 500
        assert counts.sum() == pytest.approx(len(many_sets))
        assert np.unique(counts[~whole]).size == 1


@pytest.mark.parametrize("cap", [1, 3, 10, 30])
def test_sums_over_sampled_anchors_have_no_bias(many_sets, cap):
    # Each sum is of a label's items, so of something that goes with how frequent a set is.
    sums = [
        (counts[:, None] * anchors).sum(axis=0)
        for anchors, counts in (semantic_anchors(many_sets, cap, seed) for seed in range(500))
    ]
    error = np.std(sums, axis=0) / np.sqrt(len(sums))
    assert (np.abs(np.mean(sums, axis=0) - many_sets.sum(axis=0)) <= 4 * error + 1e-3).all()


def test_semantic_anchors_at_the_cap_are_all_kept():
    assert len(semantic_anchors(LABELS, 3, 0)[0]) == 3


# --- Models ---


@pytest.fixture(scope="module")
def cases():
    """A body of each modality: trainable and frozen."""

    def make(image_trainable, text_trainable):
        keras.utils.set_random_seed(0)
        image, text = small_cnn((32, 32, 3)), wordpiece(30, 5, embedding_dim=16)
        image.trainable, text.trainable = image_trainable, text_trainable
        return Bodies(image, text)

    return make


@pytest.mark.parametrize("image_trainable", [True, False])
@pytest.mark.parametrize("text_trainable", [True, False])
def test_build_model_reads_what_its_bodies_ask_for(
    image_trainable, text_trainable, cases, make_config
):
    bodies = cases(image_trainable, text_trainable)
    anchors, counts = semantic_anchors(LABELS, 10, 0)
    model = build_model(make_config(), bodies, anchors, counts)
    model.compile(stage="separate", run_eagerly=True)
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (4, 32, 32, 3)).astype(np.uint8)
    token_ids = rng.integers(1, 30, (4, 5)).astype(np.int32)
    inputs = {
        "image": {"pixels": pixels} if image_trainable else bodies.image(pixels, training=False),
        "text": {"token_ids": token_ids}
        if text_trainable
        else bodies.text(token_ids, training=False),
    }
    body_weights = {
        "image": [each.numpy() for each in bodies.image.weights],
        "text": [each.numpy() for each in bodies.text.weights],
    }
    logs = model.train_step((inputs, LABELS[:4].astype(np.float32)))
    assert np.isfinite(logs["loss"])
    for name, body, trainable in (
        ("image", bodies.image, image_trainable),
        ("text", bodies.text, text_trainable),
    ):
        moved = any(
            (old != new.numpy()).any()
            for old, new in zip(body_weights[name], body.weights, strict=True)
        )
        assert moved == trainable, name
    # Whole hashers start at pixels and token ids, whatever was cached, and write the same.
    whole = bodies.whole_image_hasher(model.image_hasher)
    expected = bodies.image(pixels, training=False) if not image_trainable else pixels
    np.testing.assert_allclose(
        whole(pixels, training=False)["hash_logits"],
        model.image_hasher(expected, training=False)["hash_logits"],
        atol=1e-5,
    )
    whole = bodies.whole_text_hasher(model.text_hasher)
    expected = bodies.text(token_ids, training=False) if not text_trainable else token_ids
    np.testing.assert_allclose(
        whole(token_ids, training=False)["hash_logits"],
        model.text_hasher(expected, training=False)["hash_logits"],
        atol=1e-5,
    )


def test_build_bodies_follow_the_configuration(make_config):
    config = make_config({"image": {"augment": False, "trainable": False}})
    image, text = build_image_body(config), build_text_body(config, 30)
    assert (image.trainable, text.trainable) == (False, True)
    assert image.input_shape == (None, 32, 32, 3)
    assert "flip" not in [layer.name for layer in image.layers]
    assert text.input_shape == (None, 5)
    assert text.get_layer("word_dropout").rate == 0.1


def test_build_optimizers_decay_over_the_steps_of_their_stages(make_config):
    optimizers = build_optimizers(make_config(), hasher_steps=100, label_steps=10)
    assert set(optimizers) == set(GROUPS)
    assert len({id(each) for each in optimizers.values()}) == len(GROUPS)
    for group, optimizer in optimizers.items():
        schedule = optimizer._learning_rate
        end = 10 if group == "label" else 100
        assert float(schedule(0)) == pytest.approx(1e-3)
        # A cosine's half, and its end.
        assert float(schedule(end // 2)) == pytest.approx(5e-4)
        assert float(schedule(end)) == pytest.approx(0, abs=1e-9)
