import logging

import keras
import numpy as np
import pytest

from udsph_tf.data import decoding
from udsph_tf.data.manifest import read_manifest
from udsph_tf.data.pairs import Problem
from udsph_tf.networks import small_cnn, wordpiece
from udsph_tf.training import preparation
from udsph_tf.training.preparation import (
    Inputs,
    default_cache,
    drop_problems,
    prepare_images,
    prepare_texts,
)

TOKEN_IDS = np.array([[1, 2, 0], [3, 0, 0], [0, 0, 0], [9, 8, 7]], np.int32)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory, draw_pictures):
    """Nine drawn pictures, of which the fifth is cut off and the eighth is no picture."""
    folder = draw_pictures(tmp_path_factory.mktemp("some"), 9)
    data = (folder / "04.png").read_bytes()
    (folder / "04.png").write_bytes(data[: len(data) // 2])
    (folder / "07.png").write_text("not a picture", encoding="utf-8")
    found, problems = read_manifest(folder)
    assert not problems
    return found


@pytest.fixture(scope="module")
def image_body():
    keras.utils.set_random_seed(0)
    body = small_cnn((32, 32, 3))
    body.trainable = False
    return body


# --- Inputs ---


def test_inputs_take_and_batch_read_the_rows_of_their_items():
    inputs = Inputs({"a": np.arange(10), "b": np.arange(20).reshape(10, 2)}, np.arange(10))
    taken = inputs.take(np.array([9, 4, 6])).take(np.array([2, 0]))
    assert len(taken) == 2
    batch = taken.batch(np.array([1, 0, 1]))
    assert batch["a"].tolist() == [9, 6, 9]
    assert batch["b"].tolist() == [[18, 19], [12, 13], [18, 19]]


def test_inputs_batch_widens_half_precision_alone():
    inputs = Inputs({"half": np.ones(2, np.float16), "byte": np.ones(2, np.uint8)}, np.arange(2))
    batch = inputs.batch(np.array([0]))
    assert (batch["half"].dtype, batch["byte"].dtype) == (np.float32, np.uint8)


def test_default_cache_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "udsph_tf"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_cache().parts[-2:] == (".cache", "udsph_tf")


# --- Pictures ---


def test_prepare_images_corrupt_files_are_reported_with_their_reasons(pairs, tmp_path):
    inputs, problems = prepare_images(pairs, 32, None, tmp_path)
    assert [problem.id for problem in problems] == ["04.png", "07.png"]
    assert problems[0].reason.startswith("cannot be decoded: ")
    assert problems[1].reason.startswith("not an image in a known format")
    assert problems[1].source.endswith("07.png")
    batch = inputs.batch(np.arange(9))
    assert batch["pixels"].shape == (9, 32, 32, 3)
    assert batch["pixels"].dtype == np.uint8
    # White paper, and the first picture's red.
    assert batch["pixels"][0, 0, 0].tolist() == [255, 255, 255]
    assert (np.abs(batch["pixels"][0].astype(int) - (220, 30, 30)).max(axis=-1) == 0).any()
    assert not batch["pixels"][4].any()


def test_prepare_images_second_call_reads_the_cache(pairs, tmp_path, monkeypatch):
    first, problems = prepare_images(pairs, 32, None, tmp_path)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npy")}
    assert files

    def fail(*args):
        raise AssertionError("a picture was opened again")

    monkeypatch.setattr(decoding, "read_image", fail)
    second, again = prepare_images(pairs, 32, None, tmp_path)
    assert again == problems
    np.testing.assert_array_equal(first.arrays["pixels"], second.arrays["pixels"])
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npy")} == files


def test_prepare_images_other_size_or_changed_file_is_another_cache(
    tmp_path, draw_pictures, monkeypatch
):
    folder = draw_pictures(tmp_path / "pictures", 3)
    found, _ = read_manifest(folder)
    prepare_images(found, 32, None, tmp_path / "cache")
    prepare_images(found, 48, None, tmp_path / "cache")
    (folder / "01.png").write_bytes((folder / "02.png").read_bytes() + b" ")
    changed, _ = prepare_images(found, 32, None, tmp_path / "cache")
    assert len(list((tmp_path / "cache").iterdir())) == 3
    pixels = changed.arrays["pixels"]
    np.testing.assert_array_equal(pixels[1], pixels[2])


def test_prepare_images_frozen_body_is_run_once_and_agrees_with_keras(
    pairs, image_body, tmp_path, monkeypatch
):
    inputs, problems = prepare_images(pairs, 32, image_body, tmp_path)
    assert len(problems) == 2
    assert inputs.arrays["feature_map"].dtype == np.float16
    assert inputs.arrays["pooled"].dtype == np.float32
    pixels, _ = prepare_images(pairs, 32, None, tmp_path)
    usable = np.array([0, 1, 2, 3, 5, 6, 8])
    expected = image_body(pixels.batch(usable)["pixels"], training=False)
    batch = inputs.batch(usable)
    assert batch["feature_map"].dtype == np.float32
    np.testing.assert_allclose(batch["pooled"], expected["pooled"], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(batch["feature_map"], expected["feature_map"], rtol=2e-3, atol=1e-3)

    def fail(*args, **kwargs):
        raise AssertionError("the body was converted again")

    monkeypatch.setattr(preparation, "convert_model", fail)
    again, _ = prepare_images(pairs, 32, image_body, tmp_path)
    np.testing.assert_array_equal(again.arrays["pooled"], inputs.arrays["pooled"])


def test_prepare_images_body_with_other_weights_is_another_cache(pairs, image_body, tmp_path):
    one = preparation._fingerprint(image_body)
    keras.utils.set_random_seed(1)
    other = small_cnn((32, 32, 3))
    assert preparation._fingerprint(other) != one
    other.set_weights(image_body.get_weights())
    assert preparation._fingerprint(other) == one


# --- Texts ---


def test_prepare_texts_without_a_body_keeps_the_ids(tmp_path):
    inputs = prepare_texts(TOKEN_IDS, None, tmp_path)
    assert inputs.batch(np.array([3, 0]))["token_ids"].tolist() == [[9, 8, 7], [1, 2, 0]]
    assert not list(tmp_path.iterdir())


def test_prepare_texts_frozen_body_is_run_once_and_agrees_with_keras(tmp_path, monkeypatch):
    keras.utils.set_random_seed(0)
    body = wordpiece(10, 3, embedding_dim=8, word_dropout=0.5)
    body.trainable = False
    inputs = prepare_texts(TOKEN_IDS, body, tmp_path)
    batch = inputs.batch(np.arange(4))
    for name, expected in body(TOKEN_IDS, training=False).items():
        np.testing.assert_allclose(batch[name], expected, rtol=2e-3, atol=1e-3, err_msg=name)

    def fail(*args, **kwargs):
        raise AssertionError("the body was converted again")

    monkeypatch.setattr(preparation, "convert_model", fail)
    again = prepare_texts(TOKEN_IDS, body, tmp_path)
    np.testing.assert_array_equal(again.arrays["pooled"], inputs.arrays["pooled"])


# --- Problems ---


def test_drop_problems_skip_says_what_is_left_out_and_why(pairs, caplog):
    problems = [Problem("04.png", "a/04.png", "torn"), Problem("row 99", "m.csv", "no label")]
    with caplog.at_level(logging.WARNING):
        usable = drop_problems(pairs, problems, "skip")
    assert usable.tolist() == [0, 1, 2, 3, 5, 6, 7, 8]
    assert "Skipping 2 unusable items" in caplog.text
    assert "04.png: torn (a/04.png)" in caplog.text


def test_drop_problems_more_than_ten_are_counted(pairs, caplog):
    problems = [Problem(f"row {number}", "m.csv", "no label") for number in range(13)]
    with caplog.at_level(logging.WARNING):
        drop_problems(pairs, problems, "skip")
    assert "row 9:" in caplog.text
    assert "row 10:" not in caplog.text
    assert "and 3 more" in caplog.text


def test_drop_problems_error_stops_with_the_reasons(pairs):
    problems = [Problem("04.png", "a/04.png", "torn")]
    with pytest.raises(ValueError, match=r"1 unusable items:\n  04.png: torn .*\n.*bad_items=skip"):
        drop_problems(pairs, problems, "error")


def test_drop_problems_without_problems_keeps_everything(pairs):
    assert drop_problems(pairs, [], "error").tolist() == list(range(9))


def test_drop_problems_that_leave_nothing_are_an_error(pairs):
    problems = [Problem(item, item, "torn") for item in pairs.ids]
    with pytest.raises(ValueError, match="No usable item is left"):
        drop_problems(pairs, problems, "skip")
