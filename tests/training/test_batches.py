import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from udsph_tf.training.batches import (
    anchor_batches,
    choose_batch_size,
    mixed,
    pair_batches,
    steps_per_epoch,
)
from udsph_tf.training.preparation import Inputs


def items(number, rows=None):
    """Inputs of which every value is the number of its item."""
    numbers = np.arange(number, dtype=np.float32)
    image = Inputs({"pixels": numbers[:, None]}, np.arange(number))
    text = Inputs({"token_ids": numbers[:, None].astype(np.int32)}, np.arange(number))
    return image, text, np.stack([numbers, numbers], axis=1).astype(np.uint8)


def order(number, batch_size, batches, seed=0, first_epoch=0):
    dataset = pair_batches(
        *items(number), batch_size=batch_size, seed=seed, first_epoch=first_epoch
    )
    return [
        labels[:, 0].astype(int).tolist()
        for _, labels in itertools.islice(dataset.as_numpy_iterator(), batches)
    ]


@given(number=st.integers(1, 30_000))
@settings(max_examples=200, deadline=None)
def test_choose_batch_size_is_a_power_of_two_within_its_bounds(number):
    chosen = choose_batch_size(0, number)
    assert chosen in (64, 128, 256)
    if 64 < chosen < 256:
        # About forty steps: within a factor of the square root of two.
        assert 40 / 1.42 <= number / chosen <= 40 * 1.42


def test_choose_batch_size_wanted_is_taken():
    assert choose_batch_size(32, 10**6) == 32


@pytest.mark.parametrize(
    ("items", "size", "steps"), [(10, 3, 3), (9, 3, 3), (2, 3, 1), (3, 3, 1), (100, 7, 14)]
)
def test_steps_per_epoch_is_whole_batches_and_at_least_one(items, size, steps):
    assert steps_per_epoch(items, size) == steps


def test_pair_batches_rows_of_both_modalities_and_labels_belong_together():
    dataset = pair_batches(*items(10), batch_size=4, seed=0, first_epoch=0)
    for inputs, labels in itertools.islice(dataset.as_numpy_iterator(), 5):
        assert labels.dtype == np.float32
        assert labels.shape == (4, 2)
        np.testing.assert_array_equal(inputs["image"]["pixels"][:, 0], labels[:, 0])
        np.testing.assert_array_equal(inputs["text"]["token_ids"][:, 0], labels[:, 0])


def test_pair_batches_every_item_occurs_at_most_once_an_epoch():
    batches = order(11, 3, 9)
    for epoch in range(3):
        seen = sum(batches[3 * epoch : 3 * epoch + 3], [])
        assert len(seen) == len(set(seen)) == 9
        assert set(seen) <= set(range(11))


def test_pair_batches_of_one_seed_are_equal_and_of_two_are_not():
    assert order(20, 5, 8, seed=3) == order(20, 5, 8, seed=3)
    assert order(20, 5, 8, seed=3) != order(20, 5, 8, seed=4)


def test_pair_batches_epochs_differ():
    batches = order(20, 5, 8)
    assert batches[:4] != batches[4:]


@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_pair_batches_resumed_at_an_epoch_go_on_as_the_stream_does(epoch):
    continuing = order(11, 3, 15, seed=7)
    assert order(11, 3, 15 - 3 * epoch, seed=7, first_epoch=epoch) == continuing[3 * epoch :]


def test_pair_batches_of_fewer_items_than_a_batch_hold_them_all():
    assert [sorted(each) for each in order(3, 64, 2)] == [[0, 1, 2], [0, 1, 2]]


def test_pair_batches_of_taken_inputs_read_the_taken_rows():
    image, text, labels = items(10)
    taken = np.array([7, 2, 5])
    dataset = pair_batches(
        image.take(taken),
        text.take(taken),
        labels[taken],
        batch_size=3,
        seed=0,
        first_epoch=0,
    )
    inputs, labels = next(dataset.as_numpy_iterator())
    np.testing.assert_array_equal(inputs["image"]["pixels"][:, 0], labels[:, 0])
    assert sorted(labels[:, 0]) == [2, 5, 7]


@pytest.mark.parametrize("number", [1, 3, 100])
def test_anchor_batches_are_whole_and_hold_every_anchor_about_equally_often(number):
    anchors = np.eye(number, dtype=np.float32)
    dataset = anchor_batches(anchors, batch_size=32, seed=0, first_epoch=0, steps=10)
    batches = list(itertools.islice(dataset.as_numpy_iterator(), 10))
    assert {each.shape for each in batches} == {(32, number)}
    counts = np.concatenate(batches).sum(axis=0)
    # Of the repetitions, the last few are left out of whole batches.
    repeats = -(-320 // number)
    assert counts.max() == repeats
    assert counts.sum() == 320
    assert repeats * number - 320 < 32 + number


def real_items(number):
    """As `items`, with real-valued inputs of both modalities, and a column of ones."""
    numbers = np.arange(number, dtype=np.float32)
    rows = np.stack([numbers, np.ones_like(numbers)], axis=1)
    image, text = (
        Inputs({"hash_input": factor * rows}, np.arange(number)) for factor in (1.0, 2.0)
    )
    return image, text, rows


def mixtures(mixup, batches=3, first_epoch=0):
    dataset = pair_batches(
        *real_items(12), batch_size=6, seed=5, first_epoch=first_epoch, mixup=mixup
    )
    return list(itertools.islice(dataset.as_numpy_iterator(), batches))


def test_pair_batches_mixes_picture_words_and_labels_alike():
    for inputs, labels in mixtures(1.0):
        np.testing.assert_allclose(inputs["image"]["hash_input"], labels, rtol=1e-6)
        np.testing.assert_allclose(inputs["text"]["hash_input"], 2 * labels, rtol=1e-6)
        # Shares sum to one, and hardly any mixture is an item.
        np.testing.assert_allclose(labels[:, 1], 1.0, rtol=1e-6)
        assert (np.abs(labels[:, 0] - labels[:, 0].round()) > 1e-4).sum() >= 2
        assert labels[:, 0].min() >= 0
        assert labels[:, 0].max() <= 11


def test_pair_batches_mixtures_go_on_at_an_epoch_as_if_never_stopped():
    whole, resumed = mixtures(1.0, batches=4), mixtures(1.0, batches=2, first_epoch=1)
    for (_, expected), (_, found) in zip(whole[2:], resumed, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_mixed_shares_follow_beta():
    batch = np.eye(2000, dtype=np.float32)
    for mixup, deviation in ((1.0, 12**-0.5), (8.0, 68**-0.5)):
        diagonal = np.diag(mixed(batch, mixup, np.random.default_rng(0)))
        assert diagonal.mean() == pytest.approx(0.5, abs=0.03)
        assert diagonal.std() == pytest.approx(deviation, abs=0.02)
