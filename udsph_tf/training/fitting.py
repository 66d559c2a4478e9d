"""One whole training run: the label net, then the two hashers, then both together."""

import logging
import time
from pathlib import Path

import keras
import numpy as np

from udsph_tf.config import Config
from udsph_tf.files import sha256, writing
from udsph_tf.training.batches import (
    anchor_batches,
    choose_batch_size,
    pair_batches,
    steps_per_epoch,
)
from udsph_tf.training.build import build_model, build_optimizers, semantic_anchors
from udsph_tf.training.callbacks import (
    AfterEpoch,
    State,
    Validation,
    check_finite,
    load_state,
    save_state,
)
from udsph_tf.training.material import Material, prepare
from udsph_tf.training.run_folder import RunFolder

__all__ = ["fit"]

_LOG = logging.getLogger(__name__)
_LABEL_STEPS = 16
_LABEL_BATCH = 256


def fit(config: Config, out: str | Path, cache: str | Path, *, resume: bool = False) -> RunFolder:
    """Train, keeping the epoch with the best validation MAP (the last one without validation).

    A killed run goes on from its last whole epoch with `resume=True`, and ends as it would have
    ended without the kill.

    Args:
        config: the run's configuration.
        out: the run folder.
        cache: folder of caches that runs share.
        resume: go on with the run in `out`, if there is one.

    Returns:
        The run folder, with the encoders in it.

    Raises:
        FileExistsError: `out` holds a run and `resume` is not given.
        FloatingPointError: a loss term is infinite or NaN; the last good state is kept.
        ValueError: the data or the configuration does not fit.
    """
    run = RunFolder(Path(out))
    run.begin(config, resume)
    if run.read_json("run") is not None:
        _LOG.info("The run in %s has ended already", run.path)
        return run
    started = time.monotonic()
    material = prepare(config, run, cache)
    prepared = time.monotonic()
    model = _train(config, run, material)
    trained = time.monotonic()
    _finish(run, model, material, {"prepare": prepared - started, "train": trained - prepared})
    return run


def _train(config: Config, run: RunFolder, material: Material) -> keras.Model:
    training = config.training
    rows = material.pairs.indices("train")
    labels = material.pairs.labels[rows]
    anchors, counts = semantic_anchors(labels, training.max_anchors, training.seed)
    keras.utils.set_random_seed(training.seed)
    model = build_model(config, material.bodies, anchors, counts)
    batch_size = choose_batch_size(training.batch_size, len(rows))
    steps = steps_per_epoch(len(rows), batch_size)
    total = training.separate_epochs + training.joint_epochs
    optimizers = build_optimizers(config, steps * total, _LABEL_STEPS * training.label_epochs)
    model.compile(optimizers, stage="label")
    state = load_state(model, run)
    if state is None:
        _train_label_net(config, model, anchors)
        state = State()
        save_state(model, run, state)
    else:
        _LOG.info("Going on after epoch %d", state.epoch)
    validation = None
    if len(material.pairs.indices("validation")):
        validation = Validation(model, material, training.validation_database, training.seed)
    ends = {"separate": training.separate_epochs, "joint": total}
    for stage, end in ends.items():
        # Before the check, so that a run that is over is saved with the stage it ended in.
        model.compile(optimizers, stage=stage)
        if state.epoch >= end:
            continue
        model.fit(
            pair_batches(
                material.image.take(rows),
                material.text.take(rows),
                labels,
                batch_size=batch_size,
                seed=training.seed,
                first_epoch=state.epoch,
            ),
            steps_per_epoch=steps,
            initial_epoch=state.epoch,
            epochs=end,
            shuffle=False,  # the batches are shuffled already
            verbose=0,
            callbacks=[AfterEpoch(run, state, validation, stage, total)],
        )
    model.load_weights(run.checkpoint(state.best_epoch))
    return model


def _train_label_net(config: Config, model: keras.Model, anchors: np.ndarray) -> None:
    training = config.training
    batches = anchor_batches(
        anchors,
        batch_size=_LABEL_BATCH,
        seed=training.seed,
        first_epoch=0,
        steps=_LABEL_STEPS,
    )
    logs = model.fit(
        batches,
        steps_per_epoch=_LABEL_STEPS,
        epochs=training.label_epochs,
        shuffle=False,
        verbose=0,
    ).history
    check_finite({name: values[-1] for name, values in logs.items()}, "in the label net's stage")
    _LOG.info("Label net: %d label sets, loss %.4f", len(anchors), logs["loss"][-1])


def _finish(run: RunFolder, model, material: Material, seconds: dict) -> None:
    parts = {
        "model": model,
        "image_encoder": material.bodies.whole_image_hasher(model.image_hasher),
        "text_encoder": material.bodies.whole_text_hasher(model.text_hasher),
    }
    for name, part in parts.items():
        with writing(run.model(name)) as temporary:
            part.save(temporary)
    state = run.read_json("state")
    run.write_json(
        "run",
        {
            "best_epoch": state["best_epoch"],
            "validation_map": state["best_score"] if state["best_score"] >= 0 else None,
            "seconds": {name: round(value, 1) for name, value in seconds.items()},
            "sha256": {name: sha256(run.model(name)) for name in parts},
        },
    )
