"""Stacked cross attention between image regions and words, for every pair of a batch at once."""

import keras
from keras import ops

__all__ = ["CrossModalAttention"]

_EPSILON = 1e-8
_MASKED = -1e9


@keras.saving.register_keras_serializable(package="udsph_tf")
class CrossModalAttention(keras.layers.Layer):
    """Semantic relation of each image of a batch to each text of it.

    With s_rw = <region_r, word_w> and s' = leaky_relu(s, 0.1), L2-normalised over words, a word
    attends to regions by A_rw = softmax_r(temperature * s'_rw), sees u_w = sum_r A_rw region_r and
    agrees by R_w = cos(word_w, u_w). The score of a pair is the mean of R_w over its words, in
    [-1, 1], or log(sum_w exp(sharpness * R_w)) / sharpness, which more words can lift above 1. The
    mirror image lets regions attend to words. The result is the mean of the two directions.

    u_w is never formed: <word_w, u_w> = sum_r A_rw s_rw and |u_w|^2 = A_w' G A_w with the Gram
    matrix G of the regions, which is exact and needs no (images, texts, words, dim) tensor.

    Args:
        temperature: lambda_1 of the source, positive.
        pooling: `"mean"` or `"logsumexp"`.
        sharpness: lambda_2 of the log-sum-exp, positive.

    Raises:
        ValueError: an argument is out of its range.

    Source: Lee et al., Stacked Cross Attention for Image-Text Matching, ECCV 2018, equations 1-6.
    """

    def __init__(
        self, temperature: float = 9.0, pooling: str = "mean", sharpness: float = 6.0, **kwargs
    ):
        super().__init__(**kwargs)
        if pooling not in ("mean", "logsumexp"):
            raise ValueError(
                f'`pooling` must be "mean" or "logsumexp". Received: pooling={pooling!r}'
            )
        if temperature <= 0 or sharpness <= 0:
            raise ValueError(
                "`temperature` and `sharpness` must be positive. "
                f"Received: temperature={temperature}, sharpness={sharpness}"
            )
        self.temperature = temperature
        self.pooling = pooling
        self.sharpness = sharpness

    def call(self, regions, words, word_mask):
        """Scores of all pairs.

        Args:
            regions: (n, num_regions, local_dim), unit length.
            words: (m, num_words, local_dim), unit length.
            word_mask: (m, num_words), 1 for a word and 0 for padding.

        Returns:
            (n, m); 0 for a text without words.
        """
        mask = ops.cast(word_mask, words.dtype)[None, :, None, :]
        similarity = ops.einsum("irc,jwc->ijrw", regions, words) * mask
        relation = _relation(similarity)

        _, agreement = self._words_to_regions(similarity, relation, regions)
        by_words = self._pool(agreement, mask[:, :, 0, :])

        to_words = _softmax(
            self.temperature * _unit(relation, axis=2) + (1 - mask) * _MASKED, axis=3
        )
        gram = ops.einsum("jwc,jvc->jwv", words, words)
        seen = ops.einsum("ijrw,jwv->ijrv", to_words, gram)
        agreement = _cosine(to_words, similarity, seen, axis=3)
        by_regions = self._pool(agreement, ops.ones_like(agreement))

        has_words = ops.cast(ops.max(mask, axis=(2, 3)) > 0, words.dtype)
        return (by_words + by_regions) / 2 * has_words

    def maps(self, regions, words, word_mask):
        """What each word of n aligned pairs looks at: the words' half of `call`, pair i of text i.

        Args:
            regions: (n, num_regions, local_dim), unit length.
            words: (n, num_words, local_dim), unit length.
            word_mask: (n, num_words), 1 for a word and 0 for padding.

        Returns:
            A_rw, (n, num_regions, num_words), in [0, 1], of sum 1 over regions; and R_w,
            (n, num_words), in [-1, 1]. Both are 0 for padding.

        Raises:
            ValueError: there is not one text for each image.
        """
        if len(regions) != len(words):
            raise ValueError(
                "`regions` and `words` must be of aligned pairs. "
                f"Received: {len(regions)} images and {len(words)} texts"
            )
        mask = ops.cast(word_mask, words.dtype)
        # Pairs of every image with one text: the j of `call` has length 1.
        similarity = (ops.einsum("irc,iwc->irw", regions, words) * mask[:, None, :])[:, None]
        relation = _relation(similarity)
        to_regions, agreement = self._words_to_regions(similarity, relation, regions)
        return to_regions[:, 0] * mask[:, None, :], agreement[:, 0] * mask

    def _words_to_regions(self, similarity, relation, regions):
        """A_rw and R_w of pairs (i, j): (i, j, num_regions, num_words) and (i, j, num_words)."""
        to_regions = _softmax(self.temperature * _unit(relation, axis=3), axis=2)
        gram = ops.einsum("irc,isc->irs", regions, regions)
        seen = ops.einsum("ijrw,irs->ijsw", to_regions, gram)
        return to_regions, _cosine(to_regions, similarity, seen, axis=2)

    def _pool(self, agreement, mask):
        if self.pooling == "mean":
            return ops.sum(agreement * mask, -1) / ops.maximum(ops.sum(mask, -1), 1.0)
        masked = self.sharpness * agreement + (1 - mask) * _MASKED
        return ops.logsumexp(masked, axis=-1) / self.sharpness

    def compute_output_spec(self, regions, words, word_mask):
        return keras.KerasTensor((regions.shape[0], words.shape[0]), regions.dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "temperature": self.temperature,
            "pooling": self.pooling,
            "sharpness": self.sharpness,
        }


def _relation(similarity):
    return ops.leaky_relu(similarity, negative_slope=0.1)


def _unit(values, axis):
    return values * ops.rsqrt(ops.sum(ops.square(values), axis=axis, keepdims=True) + _EPSILON)


def _softmax(values, axis):
    # Not `ops.softmax`, which warns where the axis has one element: one region, or one word.
    exponentials = ops.exp(values - ops.max(values, axis=axis, keepdims=True))
    return exponentials / ops.sum(exponentials, axis=axis, keepdims=True)


def _cosine(attention, similarity, seen, axis):
    """cos of a unit query with its attended sum, from inner products alone."""
    inner = ops.sum(attention * similarity, axis=axis)
    squared_length = ops.sum(attention * seen, axis=axis)
    return inner * ops.rsqrt(ops.maximum(squared_length, _EPSILON))
