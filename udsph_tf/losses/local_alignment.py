"""Local semantic correlation: an item's own counterpart scores above its hardest negative."""

import keras
from keras import ops

__all__ = ["LocalAlignment", "local_alignment"]

_EXCLUDED = -1e9


def local_alignment(similarity, scores, margin=0.2):
    """Hinge with the hardest negative that shares no label, both directions.

    mean_i [margin + max_{j: S_ij = 0} s_ij - s_ii]_+  +  the same over columns. An item whose
    batch holds no negative adds nothing.

    Args:
        similarity: (n, n), 1 where two items share a label, else 0.
        scores: (n, n), cross-modal attention's score of image i with text j.
        margin: >= 0.

    Returns:
        A scalar, >= 0.

    Source: Lee et al., ECCV 2018 (SCAN), eq. 9, negatives restricted to other labels.
    """
    own = ops.diagonal(scores)
    excluded = ops.cast(similarity > 0, scores.dtype) * _EXCLUDED
    hardest_text = ops.max(scores + excluded, axis=1)
    hardest_image = ops.max(scores + excluded, axis=0)
    return ops.mean(ops.relu(margin + hardest_text - own)) + ops.mean(
        ops.relu(margin + hardest_image - own)
    )


@keras.saving.register_keras_serializable(package="udsph_tf")
class LocalAlignment(keras.losses.Loss):
    """`local_alignment` with `y_true` the similarity and `y_pred` the scores.

    Args:
        margin: >= 0.
    """

    def __init__(self, margin: float = 0.2, name: str = "local_alignment", **kwargs):
        super().__init__(name=name, **kwargs)
        if margin < 0:
            raise ValueError(f"`margin` must not be negative. Received: margin={margin}")
        self.margin = margin

    def call(self, y_true, y_pred):
        return local_alignment(y_true, y_pred, self.margin)

    def get_config(self):
        return {**super().get_config(), "margin": self.margin}
