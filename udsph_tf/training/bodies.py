"""The image body and the text body of a configuration: a function for each name."""

import logging

import keras
import numpy as np

from udsph_tf.config import Config
from udsph_tf.data.word_training import NEGATIVES
from udsph_tf.networks.backbones import keras_application, keras_hub_image
from udsph_tf.networks.cnn_f import cnn_f
from udsph_tf.networks.cut import check_block
from udsph_tf.networks.efficientnet_lite import efficientnet_lite0
from udsph_tf.networks.hub_texts import keras_hub_text
from udsph_tf.networks.matconvnet import load_cnn_f_weights
from udsph_tf.networks.small_cnn import small_cnn
from udsph_tf.networks.text_bodies import minilm, wordpiece
from udsph_tf.networks.vector_bodies import image_vector, text_vector
from udsph_tf.networks.word_bodies import bag_of_words, doc2vec, word2vec

__all__ = ["build_image_body", "build_text_body"]

_LOG = logging.getLogger(__name__)
_RANDOM = "random"


def build_image_body(config: Config, vectors: np.ndarray | None = None) -> keras.Model:
    """The image body of a configuration.

    Args:
        config: the configuration.
        vectors: for the body `vector`, (n, dim) of the training items.

    Raises:
        FileNotFoundError: a weights file or a preset's folder is not there.
        ImportError: pretrained weights are not installed; the message has the pip command.
        ValueError: preset, weights or size do not fit the body; or it has no block
            `training.finetune_from`, and is to be fine-tuned from there.
    """
    image = config.image
    if image.body == "vector":
        # A part of the model, although nothing in it is trained: there is nothing to cache.
        return image_vector(vectors, **_vector_options(config, image))
    finetuned, block = "image" in config.finetuned(), config.training.finetune_from
    from_pixels = image.trainable or (finetuned and not block)
    body = _IMAGE_BODIES[image.body](config, image.augment and from_pixels)
    if image.weights == _RANDOM and not image.trainable:
        _LOG.warning("The frozen image body has random weights, and has learnt nothing")
    if finetuned and block:
        check_block(body, block)
    body.trainable = image.trainable
    return body


def build_text_body(
    config: Config,
    vocabulary_size: int,
    vectors: np.ndarray | None = None,
    *,
    word_tables: dict[str, np.ndarray] | None = None,
) -> keras.Model:
    """The text body of a configuration.

    Args:
        config: the configuration.
        vocabulary_size: number of word pieces, where the body reads some.
        vectors: for the body `vector`, (n, dim) of the training items.
        word_tables: for `word2vec` and `doc2vec`, what `udsph_tf.training.text_files` keeps.

    Raises:
        FileNotFoundError: a preset's folder is not there.
        ImportError: pretrained weights are not installed; the message has the pip command.
        ValueError: the preset is of another kind.
    """
    text = config.text
    if text.body == "vector":
        return text_vector(vectors, **_vector_options(config, text))
    body = _TEXT_BODIES[text.body](config, vocabulary_size, word_tables)
    body.trainable = text.trainable
    return body


def _vector_options(config: Config, section) -> dict:
    return {
        "form": section.vector_form,
        "noise": section.vector_noise,
        "seed": config.training.seed,
    }


def _cnn_f(config: Config, augment: bool) -> keras.Model:
    size = config.image.size
    body = cnn_f((size, size, 3), augment=augment)
    weights = config.image.weights
    if not weights:
        raise ValueError(
            "`cnn_f` needs its weights: image.weights=imagenet-vgg-f.mat, one of MatConvNet's "
            "pretrained models (https://www.vlfeat.org/matconvnet/pretrained). To train it from "
            "the beginning: image.weights=random"
        )
    if weights != _RANDOM:
        load_cnn_f_weights(body, weights)
    return body


def _keras_application(config: Config, augment: bool) -> keras.Model:
    image = config.image
    weights = None if image.weights == _RANDOM else image.weights or "imagenet"
    return keras_application(image.preset, image.size, weights, augment=augment)


def _keras_hub_image(config: Config, augment: bool) -> keras.Model:
    image = config.image
    _check_no_file(image.weights, "image")
    return keras_hub_image(
        image.preset, image.size, random_weights=image.weights == _RANDOM, augment=augment
    )


def _keras_hub_text(config: Config, *_) -> keras.Model:
    text = config.text
    _check_no_file(text.weights, "text")
    return keras_hub_text(text.preset, text.max_tokens, random_weights=text.weights == _RANDOM)


def _check_no_file(weights: str, section: str) -> None:
    if weights not in ("", _RANDOM):
        raise ValueError(
            f"`{section}.weights` must be empty or `random` for keras_hub, whose presets hold "
            f"their weights. Received: {section}.weights={weights!r}"
        )


def _lite0(config: Config, augment: bool) -> keras.Model:
    size = config.image.size
    pooling = config.image.pooling
    return efficientnet_lite0((size, size, 3), weights="imagenet", pooling=pooling, augment=augment)


def _small_cnn(config: Config, augment: bool) -> keras.Model:
    size = config.image.size
    return small_cnn((size, size, 3), augment=augment)


def _wordpiece(config: Config, vocabulary_size: int, _) -> keras.Model:
    return wordpiece(
        vocabulary_size,
        config.text.max_tokens,
        embedding_dim=config.text.embedding_dim,
        word_dropout=config.text.word_dropout,
        seed=config.training.seed,
    )


def _bag_of_words(config: Config, vocabulary_size: int, _) -> keras.Model:
    return bag_of_words(
        vocabulary_size,
        config.text.max_tokens,
        embedding_dim=config.text.embedding_dim,
        bag_dim=config.text.bag_dim,
        word_dropout=config.text.word_dropout,
        seed=config.training.seed,
    )


def _word2vec(config: Config, _, tables: dict[str, np.ndarray]) -> keras.Model:
    return word2vec(
        tables["words"],
        config.text.max_tokens,
        word_dropout=config.text.word_dropout,
        seed=config.training.seed,
    )


def _doc2vec(config: Config, _, tables: dict[str, np.ndarray]) -> keras.Model:
    return doc2vec(
        tables["words"],
        tables["predictors"],
        tables["noise"],
        config.text.max_tokens,
        negatives=NEGATIVES,
        steps=config.text.vector_epochs,
    )


_IMAGE_BODIES = {
    "cnn_f": _cnn_f,
    "efficientnet_lite0": _lite0,
    "keras_applications": _keras_application,
    "keras_hub": _keras_hub_image,
    "small_cnn": _small_cnn,
}
_TEXT_BODIES = {
    "bag_of_words": _bag_of_words,
    "doc2vec": _doc2vec,
    "keras_hub": _keras_hub_text,
    "minilm": lambda config, *_: minilm(config.text.max_tokens),
    "word2vec": _word2vec,
    "wordpiece": _wordpiece,
}
