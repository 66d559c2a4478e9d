import queue
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from udsph_tf.litert import (
    LiteRTModel,
    convert_model,
    convert_model_variants,
    convert_variants,
    num_cores,
    write_saved_model,
)


@pytest.fixture(scope="module")
def model():
    """A Keras model of 40,016 weights; its outputs differ from row to row."""
    keras.utils.set_random_seed(3)
    rows = keras.Input((4,), name="rows")
    x = keras.layers.Dense(200, activation="relu")(rows)
    x = keras.layers.Dense(191, activation="relu")(x)
    outputs = {"sum": keras.layers.Dense(3)(x), "copy": keras.layers.Identity()(rows)}
    return keras.Model(rows, outputs)


@pytest.fixture(scope="module")
def content(model):
    return convert_model(model)


@pytest.fixture
def rows():
    return np.random.default_rng(0).normal(size=(53, 4)).astype(np.float32)


def test_num_cores_is_a_count_of_this_process():
    assert num_cores() >= 1


def test_convert_model_keeps_the_weights(model, content, rows):
    # 4 bytes a weight: a file without its weights would be a few kilobytes.
    assert len(content) > 4 * model.count_params()
    outputs = LiteRTModel(content).run(rows)
    np.testing.assert_allclose(outputs["sum"], model(rows)["sum"], atol=1e-5)


def test_convert_model_dynamic_is_a_quarter_of_the_size_and_close(model, content, rows):
    small = convert_model(model, weights="dynamic")
    assert len(small) < 0.4 * len(content)
    expected = model(rows)["sum"].numpy()
    assert np.abs(LiteRTModel(small).run(rows)["sum"] - expected).max() < 0.05 * np.ptp(expected)


def test_convert_model_twice_gives_equal_bytes(model, content):
    # The checksum of an export is of these bytes, and an index is bound to it.
    assert convert_model(model) == content


def test_convert_model_variants_are_the_files_that_are_made_one_by_one(model, content):
    files = convert_model_variants(model, ("dynamic", "float32"))
    assert files == {"dynamic": convert_model(model, weights="dynamic"), "float32": content}


def test_convert_to_unknown_weights_is_an_error(model):
    with pytest.raises(ValueError, match="`weights` must be .* Received: weights='int4'"):
        convert_model(model, weights="int4")


def test_convert_of_an_op_beyond_the_built_in_set_fails_at_conversion():
    def histogram(rows):
        return {"roots": tf.raw_ops.Betainc(a=rows, b=rows, x=rows)}

    with pytest.raises(Exception, match="Betainc") as raised:
        convert_variants(histogram, tf.TensorSpec([None, 4], tf.float32, name="rows"), ("float32",))
    assert "ConverterError" in type(raised.value).__name__


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("batch_size", [1, 8, 64])
def test_run_keeps_the_order_of_rows_over_workers(content, rows, workers, batch_size):
    outputs = LiteRTModel(content, batch_size=batch_size, workers=workers).run(rows)
    np.testing.assert_array_equal(outputs["copy"], rows)
    assert outputs["sum"].shape == (53, 3)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_run_of_fewer_rows_than_workers_gives_all_of_them(content, rows, number):
    outputs = LiteRTModel(content, batch_size=1, workers=4).run(rows[:number])
    np.testing.assert_array_equal(outputs["copy"], rows[:number])


def test_run_after_a_larger_batch_is_not_mixed_with_it(content, rows):
    litert = LiteRTModel(content, batch_size=64, workers=1)
    first = litert.run(rows)["copy"]
    np.testing.assert_array_equal(litert.run(rows[:5])["copy"], rows[:5])
    np.testing.assert_array_equal(first, rows)


def test_run_from_several_threads_gives_each_its_own_rows(content):
    litert = LiteRTModel(content, batch_size=1, workers=2)
    wrong, start = queue.SimpleQueue(), threading.Barrier(4)

    def call(number):
        rows = np.full((3, 4), number, np.float32)
        start.wait()
        for _ in range(100):
            if not np.array_equal(litert.run(rows)["copy"], rows):
                wrong.put(number)

    threads = [threading.Thread(target=call, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong.empty()


def test_run_of_no_rows_is_an_error_that_says_so(content, rows):
    with pytest.raises(ValueError, match="`rows` must hold at least one row"):
        LiteRTModel(content).run(rows[:0])


def test_run_after_rows_of_another_type_goes_on(content, rows):
    litert = LiteRTModel(content, workers=1)
    with pytest.raises(ValueError, match="FLOAT64"):
        litert.run(rows.astype(np.float64))
    np.testing.assert_array_equal(litert.run(rows)["copy"], rows)


def test_write_saved_model_below_a_file_is_an_os_error(tmp_path):
    (tmp_path / "file").write_text("")
    archive = keras.export.ExportArchive()
    archive.add_endpoint(
        "serving_default",
        lambda rows: {"twice": ops.multiply(rows, 2)},
        [tf.TensorSpec([None], tf.float32, name="rows")],
    )
    with pytest.raises(OSError, match="The SavedModel cannot be written: .*ot a directory"):
        write_saved_model(archive, tmp_path / "file" / "below")
