import keras
import numpy as np
import pytest

from udsph_tf.codes import binarize, pack
from udsph_tf.networks import attach_body, text_hasher, wordpiece
from udsph_tf.training import coding
from udsph_tf.training.coding import Coder
from udsph_tf.training.preparation import Inputs


def test_coder_packs_what_the_hasher_writes_in_whatever_batches(make_model, batch, monkeypatch):
    monkeypatch.setattr(coding, "_BATCH", 7)
    model, (inputs, _) = make_model(dropout=0.5), batch
    for modality, hasher in (("image", model.image_hasher), ("text", model.text_hasher)):
        logits = np.array(hasher(inputs[modality], training=False)["hash_logits"])
        packed = Coder(hasher).packed(Inputs(inputs[modality], np.arange(24)))
        assert packed.dtype == np.uint8
        np.testing.assert_array_equal(packed, pack(binarize(logits)))


def test_coder_writes_with_the_weights_of_the_time_of_the_call(make_model, batch):
    model, (inputs, _) = make_model(), batch
    coder, items = Coder(model.image_hasher), Inputs(inputs["image"], np.arange(24))
    before = coder.packed(items)
    head = model.image_hasher.get_layer("hash_logits")
    head.set_weights([-each for each in head.get_weights()])
    after = coder.packed(items)
    # Every bit is the other one: no logit here is exactly zero.
    np.testing.assert_array_equal(after, ~before)


def test_coder_of_a_whole_hasher_takes_a_dict_of_one(monkeypatch):
    sizes = {"num_bits": 8, "num_labels": 2, "hidden_dim": 4, "feature_dim": 4, "local_dim": 4}
    keras.utils.set_random_seed(0)
    whole = attach_body(
        wordpiece(9, 3, embedding_dim=4), text_hasher((3, 4), 4, **sizes), "text_encoder"
    )
    ids = np.array([[1, 2, 0], [8, 0, 0]], np.int32)
    packed = Coder(whole).packed(Inputs({"token_ids": ids}, np.array([1, 0, 1])))
    assert packed.shape == (3, 1)
    np.testing.assert_array_equal(packed[0], packed[2])


def test_coder_of_a_hasher_that_writes_nan_is_an_error(make_model, batch):
    model, (inputs, _) = make_model(), batch
    head = model.image_hasher.get_layer("hash_logits")
    head.set_weights([np.full_like(each, np.nan) for each in head.get_weights()])
    with pytest.raises(ValueError, match="contains NaN"):
        Coder(model.image_hasher).packed(Inputs(inputs["image"], np.arange(24)))
