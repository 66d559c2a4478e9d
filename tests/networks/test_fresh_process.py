"""Saved networks are read in safe mode in a process that never saw them."""

import keras
import numpy as np
from fresh_process import run_fresh

from udsph_tf.networks import (
    CrossModalAttention,
    code_writer,
    discriminator,
    image_vector,
    label_net,
    text_vector,
)
from udsph_tf.networks.layers import Standardize, WordDropout

PROGRAM = """
import json, pathlib, keras, numpy, udsph_tf.networks
configs = {}
for path in pathlib.Path().glob("*.keras"):
    model = keras.models.load_model(path, safe_mode=True)
    with numpy.load(f"{path.stem}.inputs.npz") as arrays:
        inputs = [arrays[name] for name in sorted(arrays.files)]
    outputs = model(inputs[0] if len(inputs) == 1 else inputs, training=False)
    if not isinstance(outputs, dict):
        outputs = {"output": outputs}
    numpy.savez(f"{path.stem}.outputs.npz", **{name: numpy.array(v) for name, v in outputs.items()})
    configs[path.stem] = model.get_config()
json.dump(configs, open("configs.json", "w"), default=str)
"""


def test_networks_read_in_a_fresh_process_compute_the_same(
    tmp_path, whole_image_hasher, whole_text_hasher
):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (3, 32, 32, 3)).astype(np.uint8)
    token_ids = rng.integers(0, 20, (3, 4)).astype(np.int32)
    floats = rng.normal(size=(3, 5, 7)).astype(np.float32)
    regions, words = keras.Input((5, 7), batch_size=3), keras.Input((5, 7), batch_size=3)
    mask = keras.Input((5,), batch_size=3)
    attention = CrossModalAttention(temperature=2.0, pooling="logsumexp", sharpness=3.0)
    ids, vector = keras.Input((4,), dtype="int32"), keras.Input((7,))
    standardize = Standardize()
    standardize.build((None, 7))
    standardize.adapt(floats[:, 0] * 3 + 1)
    cases = {
        "image_hasher": (whole_image_hasher, [pixels]),
        "image_writer": (code_writer(whole_image_hasher, "image_writer"), [pixels]),
        "text_hasher": (whole_text_hasher, [token_ids]),
        "text_writer": (code_writer(whole_text_hasher, "text_writer"), [token_ids]),
        "label_net": (label_net(5, num_bits=16, hidden_dim=6), [floats[:, :, 0]]),
        "discriminator": (discriminator(7, hidden_dim=6, name="d"), [floats[:, 0]]),
        "attention": (
            keras.Model([regions, words, mask], attention(regions, words, mask)),
            [floats, floats[::-1].copy(), np.eye(3, 5, dtype=np.float32)],
        ),
        "standardize": (keras.Model(vector, standardize(vector)), [floats[:, 0]]),
        "image_vector": (
            image_vector(floats[:, 0] ** 2, form="hellinger", noise=0.5),
            [floats[:, 1] ** 2],
        ),
        "text_vector": (text_vector(floats[:, 0], seed=3), [floats[:, 1]]),
        "word_dropout": (
            keras.Model(ids, WordDropout(0.5, seed=4)(ids)),
            [token_ids],
        ),
    }
    for name, (model, inputs) in cases.items():
        model.save(tmp_path / f"{name}.keras")
        arrays = {f"input_{number}": each for number, each in enumerate(inputs)}
        np.savez(tmp_path / f"{name}.inputs.npz", **arrays)
    run_fresh(PROGRAM, tmp_path)
    for name, (model, inputs) in cases.items():
        expected = model(inputs[0] if len(inputs) == 1 else inputs, training=False)
        expected = expected if isinstance(expected, dict) else {"output": expected}
        with np.load(tmp_path / f"{name}.outputs.npz") as outputs:
            assert set(outputs.files) == set(expected)
            for key, value in expected.items():
                np.testing.assert_allclose(outputs[key], value, atol=1e-5, err_msg=f"{name} {key}")
