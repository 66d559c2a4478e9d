"""Label classifiers of one modality: one layer or two, a softmax for each group of labels."""

from collections.abc import Mapping, Sequence

import keras
import numpy as np

__all__ = ["posteriors"]

_BATCH = 256


def posteriors(
    features: np.ndarray,
    labels: np.ndarray,
    groups: Mapping[str, Sequence[int]],
    train: np.ndarray,
    *,
    hidden: int,
    dropout: float,
    epochs: int,
    learning_rate: float,
    seed: int,
) -> np.ndarray:
    """Train on the training items; probabilities of every label for all items.

    Args:
        features: (n, d) float32.
        labels: (n, num_labels) of 0 and 1, one of each group for every item.
        groups: columns of the labels by group; every label is in one.
        train: rows of the training items.
        hidden: units of the hidden layer; 0 makes a linear classifier.
        dropout: of the hidden layer, and half as much of the inputs; none of a linear one.
        epochs: passes over the training items, with a cosine decay of the learning rate.
        learning_rate: the first one.
        seed: of weights, dropout and batches.

    Returns:
        (n, num_labels) float32; each group sums to one.
    """
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((features.shape[1],))
    x = inputs
    if hidden:
        x = keras.layers.Dropout(dropout / 2)(x)
        x = keras.layers.Dense(hidden, activation="relu")(x)
        x = keras.layers.Dropout(dropout)(x)
    outputs = {
        name: keras.layers.Dense(len(columns), activation="softmax", name=name)(x)
        for name, columns in groups.items()
    }
    model = keras.Model(inputs, outputs)
    steps = epochs * -(-len(train) // _BATCH)
    schedule = keras.optimizers.schedules.CosineDecay(learning_rate, steps)
    model.compile(
        keras.optimizers.Adam(schedule),
        loss=dict.fromkeys(groups, "categorical_crossentropy"),
    )
    targets = {
        name: labels[train][:, columns].astype(np.float32) for name, columns in groups.items()
    }
    model.fit(features[train], targets, batch_size=_BATCH, epochs=epochs, verbose=0)
    found = model.predict(features, batch_size=4096, verbose=0)
    result = np.zeros(labels.shape, dtype=np.float32)
    for name, columns in groups.items():
        result[:, columns] = found[name]
    return result
