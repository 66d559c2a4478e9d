"""Text bodies of whole words: bag of words, word2vec and doc2vec.

All read token ids in which 0 is padding and 1 a word that the vocabulary does not know.
"""

import keras
import numpy as np
from keras import layers, ops

from udsph_tf.networks.layers import MaskedMean, WordDropout

__all__ = ["Bias", "DistinctWords", "DocumentVector", "bag_of_words", "doc2vec", "word2vec"]

_FIRST_WORD = 2
# gensim's own schedule of the rate, in training and in inference.
_FIRST_RATE, _LAST_RATE = 0.025, 0.0001


def bag_of_words(
    vocabulary_size: int,
    max_tokens: int,
    *,
    embedding_dim: int = 256,
    bag_dim: int = 1024,
    word_dropout: float = 0.0,
    seed: int | None = None,
    name: str = "bag_of_words",
) -> keras.Model:
    """A dense layer over the multi-hot vector of a text's words; the words are attention's too.

    The multi-hot vector b of `vocabulary_size` is never formed: relu(b W + c) is the sum of W's
    rows of the words that occur, each once.

    Args:
        vocabulary_size: number of words, padding and the unknown word included.
        max_tokens: ids of a text.
        embedding_dim: length of a word's embedding.
        bag_dim: width of the dense layer.
        word_dropout: share of the words hidden in training, in [0, 1).
        seed: seed of that draw.
        name: the model's name.

    Returns:
        A model from `token_ids` (n, max_tokens) int32 to a dict with `word_map` (n, max_tokens,
        embedding_dim), `word_mask` (n, max_tokens), 1 where a known word stands for the first
        time, and `pooled` (n, bag_dim).
    """
    token_ids = keras.Input((max_tokens,), dtype="int32", name="token_ids")
    kept = WordDropout(word_dropout, seed=seed, name="word_dropout")(token_ids)
    mask = DistinctWords(name="mask")(kept)
    rows = layers.Embedding(
        vocabulary_size, bag_dim, embeddings_initializer="glorot_uniform", name="bag_rows"
    )(kept)
    bag = ops.sum(rows * ops.expand_dims(mask, -1), axis=1)
    outputs = {
        "word_map": layers.Embedding(vocabulary_size, embedding_dim, name="embedding")(kept),
        "word_mask": mask,
        "pooled": layers.ReLU(name="pooled")(Bias(name="bag_bias")(bag)),
    }
    return keras.Model(token_ids, outputs, name=name)


def word2vec(
    vectors: np.ndarray,
    max_tokens: int,
    *,
    word_dropout: float = 0.0,
    seed: int | None = None,
    name: str = "word2vec",
) -> keras.Model:
    """Embeddings that begin as given word vectors, mean-pooled over the known words.

    Args:
        vectors: (vocabulary_size, dim), a row for each token id.
        max_tokens, word_dropout, seed, name: as for `bag_of_words`.

    Returns:
        A model as `bag_of_words` gives, with `pooled` (n, dim); a word that stands twice counts
        twice.
    """
    token_ids = keras.Input((max_tokens,), dtype="int32", name="token_ids")
    kept = WordDropout(word_dropout, seed=seed, name="word_dropout")(token_ids)
    mask = DistinctWords(distinct=False, name="mask")(kept)
    words = _embedded(vectors, kept)
    outputs = {
        "word_map": words,
        "word_mask": mask,
        "pooled": MaskedMean(name="pooled")(words, mask),
    }
    return keras.Model(token_ids, outputs, name=name)


def doc2vec(
    words: np.ndarray,
    predictors: np.ndarray,
    noise: np.ndarray,
    max_tokens: int,
    *,
    negatives: int,
    steps: int,
    name: str = "doc2vec",
) -> keras.Model:
    """The document vector of PV-DBOW, inferred inside the model; nothing in it is trained.

    Args:
        words: (vocabulary_size, dim), the words' own vectors.
        predictors, noise, negatives, steps: as for `DocumentVector`.
        max_tokens: ids of a text.
        name: the model's name.

    Returns:
        A model as `word2vec` gives; `pooled` (n, dim) is the document vector.
    """
    token_ids = keras.Input((max_tokens,), dtype="int32", name="token_ids")
    mask = DistinctWords(distinct=False, name="mask")(token_ids)
    infer = DocumentVector(len(predictors), predictors.shape[1], negatives, steps, name="pooled")
    pooled = infer(token_ids, mask)
    infer.predictors.assign(predictors)
    infer.noise.assign(noise)
    word_map = _embedded(words, token_ids)
    outputs = {"word_map": word_map, "word_mask": mask, "pooled": pooled}
    body = keras.Model(token_ids, outputs, name=name)
    body.trainable = False
    return body


def _embedded(vectors: np.ndarray, token_ids):
    embedding = layers.Embedding(*vectors.shape, name="embedding")
    words = embedding(token_ids)
    embedding.embeddings.assign(vectors)
    return words


@keras.saving.register_keras_serializable(package="udsph_tf")
class DistinctWords(keras.layers.Layer):
    """1.0 at each known word of token ids, at its first place alone if `distinct`; else 0.0.

    Input (n, max_tokens) int, where 0 is padding and 1 an unknown word; output the same in float.

    Example:
        >>> import numpy as np
        >>> np.array(DistinctWords()(np.array([[5, 1, 7, 5, 0]]))).tolist()
        [[1.0, 0.0, 1.0, 0.0, 0.0]]
    """

    def __init__(self, distinct: bool = True, **kwargs):
        super().__init__(**kwargs)
        self.distinct = distinct

    def call(self, token_ids):
        mask = ops.cast(token_ids >= _FIRST_WORD, "float32")
        if self.distinct:
            steps = token_ids.shape[1]
            same = ops.equal(ops.expand_dims(token_ids, 2), ops.expand_dims(token_ids, 1))
            # Row t, column s: place s holds the same word and comes before t.
            before = np.tril(np.ones((steps, steps), "float32"), -1)
            repeated = ops.max(ops.cast(same, "float32") * before, axis=2)
            mask = mask * (1.0 - repeated)
        return mask

    def compute_output_spec(self, token_ids):
        return keras.KerasTensor(token_ids.shape, "float32")

    def get_config(self):
        return {**super().get_config(), "distinct": self.distinct}


@keras.saving.register_keras_serializable(package="udsph_tf")
class Bias(keras.layers.Layer):
    """x + c with a trained vector c."""

    def build(self, input_shape):
        self.bias = self.add_weight(shape=(input_shape[-1],), initializer="zeros", name="bias")

    def call(self, inputs):
        return inputs + self.bias

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(inputs.shape, inputs.dtype)


@keras.saving.register_keras_serializable(package="udsph_tf")
class DocumentVector(keras.layers.Layer):
    """PV-DBOW's document vector by a fixed number of gradient steps on the expected likelihood.

        L(d) = sum_w [log sigmoid(<d, o_w>) + negatives sum_v noise_v log sigmoid(-<d, o_v>)]

    with w over the text's known words and v over the vocabulary without w. gensim climbs the same
    hill by stochastic steps, in which a few noise words are drawn for each word: two inferences of
    one text differ. Here the noise is its expectation, a sum over the vocabulary, so a text has one
    vector, in every runtime. Steps begin at zero; their number and their falling rate are gensim's.
    L is concave, so that rounding is not amplified.

    Args:
        vocabulary_size, dim: shape of the predictors.
        negatives: noise words for each word.
        steps: gensim's `epochs`.

    Inputs (n, max_tokens) token ids and their mask; output (n, dim), zero for a text without words.

    Source: Le and Mikolov, ICML 2014; the expectation instead of draws is ours.
    """

    def __init__(self, vocabulary_size: int, dim: int, negatives: int, steps: int, **kwargs):
        super().__init__(**kwargs)
        if steps < 1:
            raise ValueError(f"`steps` must be positive. Received: steps={steps}")
        self.vocabulary_size = vocabulary_size
        self.dim = dim
        self.negatives = negatives
        self.steps = steps

    def build(self, input_shape):
        fixed = {"initializer": "zeros", "trainable": False}
        size = self.vocabulary_size
        self.predictors = self.add_weight(shape=(size, self.dim), name="predictors", **fixed)
        self.noise = self.add_weight(shape=(size,), name="noise", **fixed)

    def call(self, token_ids, word_mask):
        own = ops.take(self.predictors, token_ids, axis=0)  # (n, max_tokens, dim)
        own_noise = self.negatives * ops.take(self.noise, token_ids, axis=0)
        mask = ops.cast(word_mask, own.dtype)
        number = ops.sum(mask, axis=1, keepdims=True)
        transposed = ops.transpose(self.predictors)
        document = ops.zeros_like(own[:, 0])
        for rate in np.linspace(_FIRST_RATE, _LAST_RATE, self.steps).tolist():
            expected = ops.sum(own * ops.expand_dims(document, 1), axis=2)
            # A word is never noise to itself.
            pull = ops.sigmoid(-expected) + own_noise * ops.sigmoid(expected)
            towards = ops.expand_dims(mask * pull, 2) * own
            drawn = ops.sigmoid(ops.matmul(document, transposed)) * self.noise
            away = ops.matmul(drawn, self.predictors)
            gradient = ops.sum(towards, axis=1) - self.negatives * number * away
            document = document + rate * gradient
        return document

    def compute_output_spec(self, token_ids, word_mask):
        return keras.KerasTensor((token_ids.shape[0], self.dim), self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            "dim": self.dim,
            "negatives": self.negatives,
            "steps": self.steps,
        }
