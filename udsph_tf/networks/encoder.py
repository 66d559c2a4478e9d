"""Whole encoders: a body with its hasher, and the part of it that writes codes."""

from collections.abc import Callable

import keras

from udsph_tf.networks.layers import PackBits

__all__ = ["attach_body", "code_writer", "hash_head", "hash_writer", "head_reader"]


def attach_body(body: keras.Model, hasher: keras.Model, name: str) -> keras.Model:
    """One functional model from the body's inputs to the hasher's outputs."""
    outputs = body(body.input)
    if isinstance(outputs, dict) and len(outputs) == 1:
        (outputs,) = outputs.values()
    return keras.Model(body.input, hasher(outputs), name=name)


def code_writer(hasher: keras.Model, name: str) -> keras.Model:
    """What leaves the training machine: the same inputs to `packed` and `hash` alone.

    A converter drops the layers that only training uses (label head, local embeddings).
    """
    outputs = {
        "packed": PackBits(name="packed")(hasher.output["hash_logits"]),
        "hash": hasher.output["hash"],
    }
    return keras.Model(hasher.input, outputs, name=name)


def hash_writer(hasher: keras.Model, name: str) -> keras.Model:
    """The same inputs to `hash_logits` alone."""
    return keras.Model(hasher.input, hasher.output["hash_logits"], name=name)


def head_reader(hasher: keras.Model, name: str) -> keras.Model:
    """The same inputs to `hash_input` alone: what the hash head reads."""
    return keras.Model(hasher.input, hasher.output["hash_input"], name=name)


def hash_head(hasher: keras.Model) -> Callable:
    """From `hash_input` to `{"hash"}`, with the hasher's own weights."""
    layers = {layer.name: layer for layer in hasher._flatten_layers()}

    def head(hash_input, training=False):
        return {"hash": layers["hash"](layers["hash_logits"](hash_input))}

    return head
