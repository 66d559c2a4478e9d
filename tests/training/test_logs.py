import keras
import numpy as np
import pytest
import tensorflow as tf

from udsph_tf.config import Config
from udsph_tf.training import RunFolder
from udsph_tf.training.logs import TensorBoardLog

LINE = {
    "stage": "joint",
    "seconds": 2.5,
    "score": 0.5,
    "image_to_text": 0.25,
    "text_to_image": 0.75,
    "image_to_text_ndcg": 0.375,
    "text_to_image_ndcg": 0.625,
    "image_bit_balance": 0.125,
    "text_bit_correlation": 0.5,
    "loss": 3.0,
    "bit_balance": 0.0625,
    "image_discriminator": 1.5,
    "text_discriminator_accuracy": 1.0,
    "learning_rate": 0.001,
}


@pytest.fixture
def run(tmp_path):
    run = RunFolder(tmp_path / "run")
    run.begin(Config(), resume=False)
    return run


class Lines(keras.callbacks.Callback):
    """Stands in for `AfterEpoch`: appends a line after each epoch."""

    def __init__(self, history):
        super().__init__()
        self.history = history

    def on_epoch_end(self, epoch, logs=None):
        self.history.append({"epoch": epoch + 1, **LINE, "loss": float(epoch + 1)})


def train(history, log, first, last):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", run_eagerly=True)
    zeros = np.zeros((2, 1), np.float32)
    model.fit(
        zeros,
        zeros,
        initial_epoch=first,
        epochs=last,
        verbose=0,
        callbacks=[Lines(history), log],
    )


def curves(run):
    """(step, value) of every tag, by step; files of one second have no order of their own."""
    found = {}
    for path in sorted(run.tensorboard.iterdir()):
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                assert value.metadata.plugin_data.plugin_name == "scalars"
                point = event.step, float(tf.make_ndarray(value.tensor))
                found.setdefault(value.tag, []).append(point)
    return {tag: sorted(points) for tag, points in found.items()}


def test_tensorboard_log_writes_every_number_under_its_group(run):
    history = []
    train(history, TensorBoardLog(run, history), 0, 1)
    assert curves(run) == {
        "training/seconds": [(1, 2.5)],
        "training/learning_rate": [(1, pytest.approx(0.001))],
        "validation/score": [(1, 0.5)],
        "validation/image_to_text": [(1, 0.25)],
        "validation/text_to_image": [(1, 0.75)],
        "validation/image_to_text_ndcg": [(1, 0.375)],
        "validation/text_to_image_ndcg": [(1, 0.625)],
        "codes/image_bit_balance": [(1, 0.125)],
        "codes/text_bit_correlation": [(1, 0.5)],
        "loss/loss": [(1, 1.0)],
        "loss/bit_balance": [(1, 0.0625)],
        "discriminators/image_discriminator": [(1, 1.5)],
        "discriminators/text_discriminator_accuracy": [(1, 1.0)],
    }


def test_tensorboard_log_goes_on_from_stage_to_stage(run):
    history = []
    log = TensorBoardLog(run, history)
    train(history, log, 0, 2)
    train(history, log, 2, 3)
    assert curves(run)["loss/loss"] == [(1, 1.0), (2, 2.0), (3, 3.0)]


def test_tensorboard_log_of_a_resumed_run_has_every_step_once(run):
    history = []
    train(history, TensorBoardLog(run, history), 0, 3)
    # Killed after the third epoch's curves and before its state: it is trained again.
    del history[2]
    with next(run.tensorboard.iterdir()).open("ab") as file:
        file.write(b"half a record")
    (run.tensorboard / "notes.txt").write_text("somebody's own", encoding="utf-8")
    train(history, TensorBoardLog(run, history), 2, 4)
    (run.tensorboard / "notes.txt").unlink()
    for tag, points in curves(run).items():
        assert [step for step, _ in points] == [1, 2, 3, 4], tag


def test_tensorboard_log_is_readable_after_every_epoch(run):
    history, seen = [], []

    class Look(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(len(curves(run)["loss/loss"]))

    log = TensorBoardLog(run, history)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", run_eagerly=True)
    zeros = np.zeros((2, 1), np.float32)
    model.fit(zeros, zeros, epochs=3, verbose=0, callbacks=[Lines(history), log, Look()])
    assert seen == [1, 2, 3]
