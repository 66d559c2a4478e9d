"""TensorBoard: the lines of a run's history as curves."""

import keras
import tensorflow as tf

from udsph_tf.training.run_folder import RunFolder

__all__ = ["TensorBoardLog"]

# What `tf.summary.scalar` writes; that function itself needs the tensorboard package.
_SCALAR = tf.compat.v1.SummaryMetadata(
    plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars")
)
_GROUPS = {
    "score": "validation",
    "image_to_text": "validation",
    "text_to_image": "validation",
    "image_to_text_ndcg": "validation",
    "text_to_image_ndcg": "validation",
    "learning_rate": "training",
    "elapsed": "training",
    "seconds": "training",
}


class TensorBoardLog(keras.callbacks.Callback):
    """Writes every number of a history line into `<run>/tensorboard`; the step is the epoch.

    It only reads `history`, so it stands after the callback that appends to it. The history is
    what survives a kill: a resumed run writes its curves anew from it, so that no epoch is there
    twice and none is missing.

    Args:
        run: the run folder.
        history: lines as dicts with an `epoch`; another callback appends to it.
    """

    def __init__(self, run: RunFolder, history: list[dict]):
        super().__init__()
        self._folder, self._history = run.tensorboard, history
        self._written, self._writer = 0, None

    def on_train_begin(self, logs=None):
        if not self._written:
            for path in self._folder.glob("events.out.tfevents.*"):
                path.unlink()
        self._writer = tf.summary.create_file_writer(str(self._folder))
        self._write()

    def on_epoch_end(self, epoch, logs=None):
        self._write()

    def on_train_end(self, logs=None):
        self._writer.close()

    def _write(self):
        with self._writer.as_default():
            for line in self._history[self._written :]:
                for name, value in line.items():
                    if name != "epoch" and isinstance(value, int | float):
                        data = tf.constant(value, tf.float32)
                        tf.summary.write(_tag(name), data, line["epoch"], _SCALAR)
        self._written = len(self._history)
        self._writer.flush()


def _tag(name: str) -> str:
    """The curve's name, with a group before it: TensorBoard folds curves by group."""
    if name.startswith(("image_discriminator", "text_discriminator")):
        return f"discriminators/{name}"
    if name.startswith(("image_bit_", "text_bit_")):
        return f"codes/{name}"
    return f"{_GROUPS.get(name, 'loss')}/{name}"
