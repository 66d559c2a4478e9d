"""UDSPH: two hashers and a label net, trained together by `fit`."""

from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from udsph_tf.config import Config, LossConfig, override
from udsph_tf.config_sections import PRECISIONS
from udsph_tf.losses import adversarial
from udsph_tf.networks.cross_modal_attention import CrossModalAttention
from udsph_tf.networks.encoder import hash_head
from udsph_tf.training.adversary import (
    build_discriminator,
    discriminator_loss,
    ramp,
    sample,
    verdict,
)
from udsph_tf.training.batch_parts import first, only, pair
from udsph_tf.training.precision import InHalf, dense_if_scaled, scale_gradient, widen
from udsph_tf.training.replicas import gather, reduce_gradients
from udsph_tf.training.terms import (
    TERMS,
    hasher_terms,
    label_net_terms,
    refining_weights,
    total,
)

__all__ = ["GROUPS", "STAGES", "UDSPH"]

STAGES = ("label", "separate", "joint", "finetune", "refine")
GROUPS = ("image", "text", "label", "image_discriminator", "text_discriminator")
_HASHERS = ("image", "text")


@keras.saving.register_keras_serializable(package="udsph_tf")
class UDSPH(keras.Model):
    """Self-supervised deep semantics-preserving hashing.

    `stage` (an argument of `compile`) says what a training step does:

    * `"label"`: the label net alone; a batch is label sets (n, num_labels).
    * `"separate"`: the two hashers, without adversary and attention.
    * `"joint"`: the two hashers with every term, and their discriminators.
    * `"finetune"`: the same; hashers that learn together with a part of their bodies.
    * `"refine"`: the two hash heads alone, by the terms of `refining_weights`; inputs are what the
      heads read, `hash_input`, which this stage does not change (`networks.encoder.head_reader`).

    In all but the first a batch is `({"image": inputs, "text": inputs}, labels)` and the label net
    is fixed. Each group of variables (`GROUPS`) has an optimizer of its own. Built, with its
    optimizers, in the scope of a `tf.distribute.MirroredStrategy`, a step over several replicas is
    the step of one device: every term sees the whole batch.

    Args:
        image_hasher: functional model to a dict with `features`, `hash`, `label_logits`, `regions`.
        text_hasher: the same with `words` and `word_mask` for `regions`.
        label_net: functional model from labels to `features`, `hash`, `label_logits`.
        anchors: (U, num_labels), the different label sets of the training items.
        anchor_counts: (U,), how many training items each stands for.
        loss: weights and forms of the terms: a `LossConfig` or its fields in a dict.
        attention: the cross-modal attention; made if left out.
        image_discriminator, text_discriminator: made if left out.

    Raises:
        ValueError: `loss` has an unknown field or a wrong value.

    Source: Lu, Duan, Yuan, J. Tsinghua Univ. (Sci & Technol) 62(9), 2022, reconstructed from its
    abstract and the works it builds on; see docs/method.md.
    """

    def __init__(
        self,
        image_hasher: keras.Model,
        text_hasher: keras.Model,
        label_net: keras.Model,
        anchors,
        anchor_counts,
        loss: LossConfig | Mapping | None = None,
        attention: CrossModalAttention | None = None,
        image_discriminator: keras.Model | None = None,
        text_discriminator: keras.Model | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        fields = vars(loss) if isinstance(loss, LossConfig) else dict(loss or {})
        self.image_hasher = image_hasher
        self.text_hasher = text_hasher
        self.label_net = label_net
        self.anchors = np.asarray(anchors, dtype="float32")
        self.anchor_counts = np.asarray(anchor_counts, dtype="float32")
        # By way of a whole `Config`, which checks ranges and choices too.
        sizes = {"num_bits": label_net.output["hash"].shape[-1]}
        self.loss_config = override(Config(), {"loss": fields, "network": sizes}).loss
        self.attention = attention or CrossModalAttention(name="attention")
        self.image_discriminator = image_discriminator or build_discriminator(
            label_net, self.loss_config, "image_discriminator"
        )
        self.text_discriminator = text_discriminator or build_discriminator(
            label_net, self.loss_config, "text_discriminator"
        )
        self.seed_generator = keras.random.SeedGenerator()
        # Saved with the weights, so that a resumed run is as far on the ramp as it was.
        self.joint_steps = self.add_weight(
            shape=(), initializer="zeros", trainable=False, name="joint_steps"
        )
        self.stage = "joint"
        self.precision = "float32"
        self._trackers = {}
        self.built = True

    def compile(
        self,
        optimizers: Mapping | None = None,
        stage: str = "joint",
        precision: str = "float32",
        **kwargs,
    ):
        """Set the stage and the optimizers.

        Args:
            optimizers: a `keras.optimizers.Optimizer` for each of `GROUPS`; Adam where left out.
            stage: one of `STAGES`.
            precision: what the hashers compute in within training steps: one of `PRECISIONS`.
                `"mixed_float16"` needs a `keras.optimizers.LossScaleOptimizer` for each group.
            **kwargs: of `keras.Model.compile`, except `optimizer`, `loss` and `metrics`.

        Raises:
            ValueError: an unknown stage, precision or group.
        """
        if stage not in STAGES:
            raise ValueError(f"`stage` must be one of {STAGES}. Received: stage={stage!r}")
        if precision not in PRECISIONS:
            raise ValueError(
                f"`precision` must be one of {PRECISIONS}. Received: precision={precision!r}"
            )
        optimizers = dict(optimizers or {})
        unknown = set(optimizers) - set(GROUPS)
        if unknown:
            raise ValueError(f"`optimizers` must be by {GROUPS}. Received: {sorted(unknown)}")
        # Without `optimizer=None` Keras would make an RMSprop that nothing uses.
        super().compile(optimizer=None, **{"jit_compile": False, **kwargs})
        self.stage = stage
        self.precision = precision
        self._in_half = InHalf([self.image_hasher, self.text_hasher], precision)
        # Made here, since a step that makes a variable is traced twice, which takes seconds.
        names = [term for term in TERMS if getattr(self._weights(), term)]
        if "adversarial" in names:
            sides = ("image_discriminator", "text_discriminator")
            names += [side + suffix for side in sides for suffix in ("", "_accuracy")]
        with self.distribute_strategy.scope():
            self._set_optimizers(optimizers)
            self._trackers = {name: keras.metrics.Mean(name=name) for name in ("loss", *names)}

    def group_variables(self, group: str) -> list:
        """The trainable variables that the optimizer of `group` moves."""
        owner = {
            "image": self.image_hasher,
            "text": self.text_hasher,
            "label": self.label_net,
            "image_discriminator": self.image_discriminator,
            "text_discriminator": self.text_discriminator,
        }[group]
        return owner.trainable_variables

    def get_compile_config(self):
        optimizers = {
            group: keras.saving.serialize_keras_object(getattr(self, f"{group}_optimizer"))
            for group in GROUPS
        }
        return {"optimizers": optimizers, "stage": self.stage, "precision": self.precision}

    def compile_from_config(self, config):
        optimizers = {
            group: keras.saving.deserialize_keras_object(each)
            for group, each in config["optimizers"].items()
        }
        # Models saved by 0.1 say nothing of precision.
        precision = config.get("precision", "float32")
        self.compile(optimizers=optimizers, stage=config["stage"], precision=precision)

    def save_own_variables(self, store):
        # Keras leaves random generators out of its files. Without their states a resumed run
        # would repeat the dropout and the augmentation of its first steps.
        for index, state in enumerate(self._own_states()):
            store[str(index)] = state

    def load_own_variables(self, store):
        states = self._own_states()
        found = len(store.keys())
        # One as Keras itself writes it holds weights to encode with; there is no run to go on with.
        if found <= 1 < len(states):
            return
        if found != len(states):
            raise ValueError(
                f"The file must hold {len(states)} states besides weights, as the model does. "
                f"Received: {found}"
            )
        for index, state in enumerate(states):
            state.assign(store[str(index)])

    @property
    def metrics(self):
        return list(self._trackers.values())

    def call(self, inputs, training=False):
        """`{"image_hash", "text_hash"}` of `{"image": inputs, "text": inputs}`."""
        image = self.image_hasher(only(inputs["image"]), training=training)
        text = self.text_hasher(only(inputs["text"]), training=training)
        return {"image_hash": image["hash"], "text_hash": text["hash"]}

    def compute_terms(self, image, text, labels) -> dict:
        """The loss terms of a batch in this stage by name, unweighted: the method to override.

        Args:
            image, text: outputs of the two hashers for the batch.
            labels: (n, num_labels).
        """
        weights, label, anchors = self._weights(), None, None
        if self.stage != "refine":
            label = self.label_net(labels, training=False)
            anchors = self.label_net(ops.convert_to_tensor(self.anchors), training=False)
            anchors = {**anchors, "labels": self.anchors, "counts": self.anchor_counts}
        attention = self.attention if self._is_joint() else None
        terms = hasher_terms(image, text, label, labels, anchors, weights, attention)
        if self._is_joint() and weights.adversarial:
            terms["adversarial"] = sum(
                adversarial(self._verdict(name, outputs, labels))
                for name, outputs in (("image", image), ("text", text))
            )
        return terms

    def train_step(self, data):
        if self.stage == "label":
            return self._label_step(data)
        inputs, labels = pair(data)
        labels = gather(ops.cast(labels, "float32"))
        image_variables, text_variables = self._moved("image"), self._moved("text")
        with tf.GradientTape() as tape:
            image, text = self._train_outputs("image", inputs), self._train_outputs("text", inputs)
            terms = self.compute_terms(image, text, labels)
            loss = self._total(terms)
        gradients = tape.gradient(loss, [image_variables, text_variables])
        self._apply("image", gradients[0], image_variables)
        self._apply("text", gradients[1], text_variables)
        logs = {"loss": loss, **terms}
        if self._is_joint() and self.loss_config.adversarial:
            label = self.label_net(labels, training=False)
            for name, outputs in (("image", image), ("text", text)):
                logs |= self._discriminator_step(name, label, outputs, labels)
        if self._is_joint():
            self.joint_steps.assign_add(1.0)
        return self._track(logs)

    def test_step(self, data):
        if self.stage == "label":
            return self._track(self._label_terms(first(data), training=False))
        inputs, labels = pair(data)
        labels = gather(ops.cast(labels, "float32"))
        image, text = (
            gather(self._network(modality)(only(inputs[modality]), training=False))
            for modality in _HASHERS
        )
        terms = self.compute_terms(image, text, labels)
        return self._track({"loss": self._total(terms), **terms})

    def get_config(self):
        nested = {
            name: keras.saving.serialize_keras_object(getattr(self, name))
            for name in (
                "image_hasher",
                "text_hasher",
                "label_net",
                "attention",
                "image_discriminator",
                "text_discriminator",
            )
        }
        return {
            **super().get_config(),
            **nested,
            "anchors": self.anchors.astype(int).tolist(),
            "anchor_counts": self.anchor_counts.tolist(),
            "loss": vars(self.loss_config).copy(),
        }

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        for name, value in config.items():
            if isinstance(value, dict) and "class_name" in value:
                config[name] = keras.saving.deserialize_keras_object(value)
        return cls(**config)

    def _set_optimizers(self, optimizers):
        for group in GROUPS:
            optimizer = optimizers.get(group) or keras.optimizers.Adam(1e-3)
            if not optimizer.built:
                optimizer.build(self.group_variables(group))
            setattr(self, f"{group}_optimizer", optimizer)

    def _train_outputs(self, modality, inputs):
        """A hasher's outputs for the items of all replicas, in float32."""
        with self._in_half:
            outputs = self._network(modality)(only(inputs[modality]), training=True)
        optimizer = getattr(self, f"{modality}_optimizer")
        return gather(scale_gradient(widen(outputs), optimizer))

    def _network(self, modality):
        """What a batch of this stage goes through."""
        hasher = getattr(self, f"{modality}_hasher")
        return hash_head(hasher) if self.stage == "refine" else hasher

    def _label_step(self, data):
        variables = self.group_variables("label")
        with tf.GradientTape() as tape:
            terms = self._label_terms(first(data), training=True)
            loss = self.label_optimizer.scale_loss(terms["loss"])
        self._apply("label", tape.gradient(loss, variables), variables)
        return self._track(terms)

    def _label_terms(self, labels, training):
        labels = gather(ops.cast(labels, "float32"))
        batch = self.label_net(labels, training=training)
        anchors = self.label_net(ops.convert_to_tensor(self.anchors), training=training)
        anchors = {**anchors, "labels": self.anchors}
        terms = label_net_terms(batch, labels, anchors, self.loss_config)
        return {"loss": total(terms, self.loss_config), **terms}

    def _total(self, terms):
        if "adversarial" in terms:
            share = ramp(self.joint_steps, self.loss_config)
            terms = {**terms, "adversarial": share * terms["adversarial"]}
        return total(terms, self._weights())

    def _weights(self):
        return refining_weights(self.loss_config) if self.stage == "refine" else self.loss_config

    def _is_joint(self):
        """With adversary and attention?"""
        return self.stage in ("joint", "finetune")

    def _moved(self, group):
        """The variables of `group` that a step of this stage moves."""
        variables = self.group_variables(group)
        if self.stage != "refine":
            return variables
        return [each for each in variables if "hash_logits" in each.path.split("/")]

    def _verdict(self, name, outputs, labels):
        network = getattr(self, f"{name}_discriminator")
        shown = sample(outputs, self.loss_config, self.seed_generator)
        return verdict(network, shown, labels, self.loss_config)

    def _discriminator_step(self, name, label, outputs, labels):
        network = getattr(self, f"{name}_discriminator")
        variables = self.group_variables(f"{name}_discriminator")
        real, fake = (
            ops.stop_gradient(sample(each, self.loss_config, self.seed_generator))
            for each in (label, outputs)
        )
        with tf.GradientTape() as tape:
            loss, accuracy = discriminator_loss(
                network, real, fake, labels, self.loss_config, self.seed_generator
            )
            scaled = getattr(self, f"{name}_discriminator_optimizer").scale_loss(loss)
        self._apply(f"{name}_discriminator", tape.gradient(scaled, variables), variables)
        return {f"{name}_discriminator": loss, f"{name}_discriminator_accuracy": accuracy}

    def _apply(self, group, gradients, variables):
        # Without the local term no gradient reaches the local projections.
        gradients = [
            ops.zeros_like(variable) if gradient is None else gradient
            for gradient, variable in zip(gradients, variables, strict=True)
        ]
        # A replica runs a hasher over its own items; the label net and the discriminators over all.
        gradients = reduce_gradients(gradients, "sum" if group in _HASHERS else "mean")
        optimizer = getattr(self, f"{group}_optimizer")
        optimizer.apply(dense_if_scaled(gradients, optimizer), variables)

    def _track(self, logs):
        for name, value in logs.items():
            if name not in self._trackers:
                self._trackers[name] = keras.metrics.Mean(name=name)
            self._trackers[name].update_state(value)
        # Not of all trackers: those of training say nothing of an evaluation.
        return {name: self._trackers[name].result() for name in logs}

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        # Everything is built already. Under a strategy Keras would read a batch to find that out,
        # and fail on one that does not divide evenly.
        pass

    def _own_states(self):
        weights = {id(variable) for variable in self.weights}
        random = [variable for variable in self.variables if id(variable) not in weights]
        return [self.joint_steps, *random]
