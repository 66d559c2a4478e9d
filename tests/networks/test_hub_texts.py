"""Text encoders of KerasHub; the presets are made here, tiny."""

import keras
import keras_hub
import numpy as np
import pytest

from udsph_tf.data.tokenizer import Tokenizer
from udsph_tf.networks import keras_hub_text
from udsph_tf.networks.hub_texts import keras_hub_word_pieces

LETTERS = [*"abcdefghijklmnopqrstuvwxyz"]
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "red", "dress", "##es", "!", *LETTERS]
TEXTS = ["A red dress!", "red, dresses", "", "snow ☃ red"]


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    """Folder of a BERT of one layer that reads at most 12 pieces, and its backbone."""
    keras.utils.set_random_seed(0)
    pieces = PIECES + [f"##{letter}" for letter in LETTERS]
    backbone = keras_hub.models.BertBackbone(
        vocabulary_size=len(pieces),
        num_layers=1,
        num_heads=2,
        hidden_dim=8,
        intermediate_dim=16,
        max_sequence_length=12,
    )
    folder = tmp_path_factory.mktemp("presets") / "small-bert"
    backbone.save_to_preset(str(folder))
    keras_hub.models.BertTokenizer(vocabulary=pieces, lowercase=True).save_to_preset(str(folder))
    return folder, backbone


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory):
    """Folder of a network whose tokenizer merges pairs of bytes."""
    folder = tmp_path_factory.mktemp("presets") / "small-gpt2"
    keras_hub.models.GPT2Backbone(
        vocabulary_size=8,
        num_layers=1,
        num_heads=2,
        hidden_dim=8,
        intermediate_dim=16,
        max_sequence_length=12,
    ).save_to_preset(str(folder))
    vocabulary = {"<|endoftext|>": 0, "a": 1, "b": 2, "ab": 3}
    tokenizer = keras_hub.models.GPT2Tokenizer(vocabulary=vocabulary, merges=["a b"])
    tokenizer.save_to_preset(str(folder))
    return folder


def test_keras_hub_text_is_the_backbone_s_own_words_mean_pooled(bert):
    folder, backbone = bert
    body = keras_hub_text(str(folder), 6)
    ids = np.array([[2, 5, 6, 3, 0, 0], [2, 3, 0, 0, 0, 0]], np.int32)
    expected = backbone(
        {"token_ids": ids, "segment_ids": np.zeros_like(ids), "padding_mask": (ids > 0).astype(int)}
    )["sequence_output"]
    outputs = body(ids, training=False)
    words = np.array(expected)
    np.testing.assert_allclose(outputs["word_map"], words, atol=1e-5)
    np.testing.assert_allclose(outputs["pooled"][0], words[0, :4].mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(outputs["pooled"][1], words[1, :2].mean(axis=0), atol=1e-5)


def test_keras_hub_word_pieces_tokenize_as_keras_hub_does(bert):
    folder, _ = bert
    pieces, options = keras_hub_word_pieces(str(folder))
    assert options == {"first": "[CLS]", "last": "[SEP]", "lower_case": True}
    found = Tokenizer(pieces, 12, **options).encode(TEXTS)
    theirs = keras_hub.models.Tokenizer.from_preset(str(folder))
    for row, text in enumerate(TEXTS):
        expected = [2, *np.array(theirs(text)).tolist()[:10], 3]
        assert found[row][found[row] > 0].tolist() == expected, text


def test_keras_hub_word_pieces_lose_their_accents_as_the_first_bert_s_did(bert):
    # KerasHub itself leaves them on, and most vocabularies have no such letters: an unknown piece.
    pieces, options = keras_hub_word_pieces(str(bert[0]))
    accented, plain = Tokenizer(pieces, 12, **options).encode(["Éclair", "eclair"])
    assert accented.tolist() == plain.tolist()
    assert 1 not in accented


def test_keras_hub_text_longer_than_the_network_reads_raises_with_its_limit(bert):
    with pytest.raises(ValueError, match="reads at most 12 tokens: set text.max_tokens=12"):
        keras_hub_text(str(bert[0]), 13)


def test_keras_hub_text_random_weights_are_not_the_preset_s(bert):
    folder, backbone = bert
    table = backbone.token_embedding.embeddings.numpy()
    for random in (False, True):
        body = keras_hub_text(str(folder), 6, random_weights=random)
        found = next(each for each in body.weights if each.shape == table.shape)
        assert np.array_equal(found.numpy(), table) != random


def test_keras_hub_word_pieces_of_byte_pairs_raise_with_the_reason(gpt2):
    with pytest.raises(ValueError, match="GPT2Tokenizer, does not read word pieces. An exported"):
        keras_hub_word_pieces(str(gpt2))


@pytest.mark.parametrize("call", [keras_hub_word_pieces, lambda each: keras_hub_text(each, 6)])
def test_keras_hub_text_missing_folder_raises(call):
    with pytest.raises(FileNotFoundError, match="There is no preset folder ./no-such"):
        call("./no-such")
