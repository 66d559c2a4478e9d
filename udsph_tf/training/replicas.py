"""One loss over several replicas: every replica sees the whole batch, and the gradients add up.

The terms compare pairs of items, so a loss of each replica's own share of a batch would be another
loss. Here each replica runs the networks over its own items alone and computes the loss of all.
"""

import tensorflow as tf

__all__ = ["gather", "reduce_gradients"]


def gather(values):
    """The items of all replicas, in the order that they had before the batch was divided.

    The gradient flows into a replica's own items alone. As each replica computes the same loss,
    the gradients of variables that only items lead to add up over replicas to those of one device.

    Args:
        values: a tensor (n, ...), or a nest of them; n may differ from replica to replica.

    Returns:
        The same nest with all items; `values` itself where there is one replica.
    """
    if _alone():
        return values
    context = tf.distribute.get_replica_context()
    own = tf.nest.flatten(values)
    size = tf.shape(own[0])[0]
    sizes = context.all_gather(size[None], axis=0)
    first = tf.reduce_sum(sizes[: context.replica_id_in_sync_group])
    everybody = context.all_gather([tf.stop_gradient(each) for each in own], axis=0)
    whole = [
        tf.concat([all_items[:first], each, all_items[first + size :]], axis=0)
        for each, all_items in zip(own, everybody, strict=True)
    ]
    return tf.nest.pack_sequence_as(values, whole)


def reduce_gradients(gradients: list, how: str) -> list:
    """The whole gradient on the first replica, and zeros on the others.

    Keras clips before it adds up, so that it must meet the whole gradient; and since it adds up
    once more, only one replica may hold it. A gradient that is not finite is so on every replica,
    which therefore agree on whether to skip the step.

    Args:
        gradients: a tensor or `tf.IndexedSlices` for each variable.
        how: `"sum"` of what each replica contributes, or `"mean"` where each has the whole.

    Returns:
        As many; `gradients` itself where there is one replica.
    """
    if _alone():
        return gradients
    context = tf.distribute.get_replica_context()
    reduced = context.all_reduce(how, gradients)
    is_first = tf.equal(context.replica_id_in_sync_group, 0)

    def keep(gradient):
        # A product, not a choice: infinity times zero is NaN.
        if isinstance(gradient, tf.IndexedSlices):
            return tf.IndexedSlices(keep(gradient.values), gradient.indices, gradient.dense_shape)
        return gradient * tf.cast(is_first, gradient.dtype)

    return [keep(each) for each in reduced]


def _alone() -> bool:
    return tf.distribute.get_strategy().num_replicas_in_sync == 1
