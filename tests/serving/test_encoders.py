import shutil

import numpy as np
import pytest

from udsph_tf.codes import binarize, pack
from udsph_tf.data.images import ImageError, load_pixels, read_image
from udsph_tf.export.verification import reference_codes
from udsph_tf.networks.encoder import hash_writer
from udsph_tf.serving import ImageEncoder, TextEncoder
from udsph_tf.training.run_folder import text_tokenizer


@pytest.fixture(scope="module")
def image_encoder(tiny_export):
    return ImageEncoder(tiny_export)


@pytest.fixture(scope="module")
def text_encoder(tiny_export):
    return TextEncoder(tiny_export)


@pytest.fixture(scope="module")
def image_codes(tiny_run, tiny_pairs):
    """The Keras model's packed codes of all 84 pictures."""
    pixels = np.stack([load_pixels(read_image(each), 32) for each in tiny_pairs.images])
    writer = hash_writer(tiny_run.load("image_encoder"), "image_logits")
    return pack(binarize(reference_codes(writer, pixels)))


@pytest.fixture(scope="module")
def text_codes(tiny_run, tiny_pairs):
    """The Keras model's packed codes of all 84 texts."""
    ids = text_tokenizer(tiny_run.config(), tiny_run.vocabulary).encode(tiny_pairs.texts)
    writer = hash_writer(tiny_run.load("text_encoder"), "text_logits")
    return pack(binarize(reference_codes(writer, ids)))


@pytest.mark.parametrize("number", [1, 9, 84])
def test_encode_of_pictures_gives_keras_codes(image_encoder, image_codes, tiny_pairs, number):
    data = [read_image(each) for each in tiny_pairs.images[:number]]
    packed = image_encoder.encode(data)
    assert (packed.dtype, packed.shape) == (np.uint8, (number, 2))
    np.testing.assert_array_equal(packed, image_codes[:number])


@pytest.mark.parametrize("number", [1, 9, 84])
def test_encode_of_texts_gives_keras_codes(text_encoder, text_codes, tiny_pairs, number):
    packed = text_encoder.encode(tiny_pairs.texts[:number])
    assert (packed.dtype, packed.shape) == (np.uint8, (number, 2))
    np.testing.assert_array_equal(packed, text_codes[:number])


def test_dynamic_variants_give_nearly_the_same_codes(
    tiny_export, tiny_pairs, image_codes, text_codes
):
    data = [read_image(each) for each in tiny_pairs.images]
    for encoder, items, codes in (
        (ImageEncoder(tiny_export, "dynamic"), data, image_codes),
        (TextEncoder(tiny_export, "dynamic"), tiny_pairs.texts, text_codes),
    ):
        different = np.unpackbits(encoder.encode(items) ^ codes)
        assert different.mean() < 0.03


def test_encoders_of_one_export_tell_its_checksum_and_sizes(image_encoder, text_encoder):
    assert image_encoder.model_checksum == text_encoder.model_checksum
    assert image_encoder.num_bits == text_encoder.num_bits == 16
    assert image_encoder.size == 32


def test_encode_of_nothing_gives_no_codes(image_encoder, text_encoder):
    assert image_encoder.encode([]).shape == text_encoder.encode([]).shape == (0, 2)


def test_encode_of_a_bad_picture_says_why(image_encoder):
    with pytest.raises(ImageError, match="empty"):
        image_encoder.encode([b""])
    with pytest.raises(ImageError, match="not an image"):
        image_encoder.encode([b"a red circle"])


def test_encode_of_what_is_no_string_is_an_error(text_encoder):
    # str() of these would be encoded as if somebody had searched for it.
    for text in (b"a red circle", None, 3):
        with pytest.raises(ValueError, match="A text must be a string. Received:"):
            text_encoder.encode(["a red circle", text])


def test_encode_of_odd_strings_gives_each_a_code(text_encoder, text_codes):
    odd = ["", " ", "\x00", "\ud83d half", "🔴", "דג אדום", "A RED Circle", "a red circle"]
    packed = text_encoder.encode(odd)
    assert packed.shape == (8, 2)
    np.testing.assert_array_equal(packed[0], packed[1])
    np.testing.assert_array_equal(packed[6], packed[7])
    np.testing.assert_array_equal(packed[7], text_codes[0])


@pytest.mark.parametrize("query", ["", "   ", "\n\t"])
def test_check_query_of_blanks_asks_for_a_word(text_encoder, query):
    with pytest.raises(ValueError, match="The query is empty; give at least one word"):
        text_encoder.check_query(query)


@pytest.mark.parametrize("query", ["连衣裙", "🔴", "\udcff"])
def test_check_query_of_unknown_words_says_so(text_encoder, query):
    with pytest.raises(ValueError, match="The model knows no word of the query"):
        text_encoder.check_query(query)


@pytest.mark.parametrize("query", ["red", "RED circle", "a réd thing", "连衣裙 red"])
def test_check_query_of_a_known_word_accepts_it(text_encoder, query):
    text_encoder.check_query(query)


@pytest.mark.parametrize("encoder", [ImageEncoder, TextEncoder])
def test_encoder_of_an_export_that_is_not_whole_says_what_is_wrong(encoder, tiny_export, tmp_path):
    with pytest.raises(FileNotFoundError, match="absent holds no export"):
        encoder(tmp_path / "absent")
    with pytest.raises(ValueError, match=r"exported without (image|text).int4.tflite"):
        encoder(tiny_export, "int4")
    copy = shutil.copytree(tiny_export, tmp_path / "copy")
    for name in ("image.float32.tflite", "text.float32.tflite"):
        content = bytearray((copy / name).read_bytes())
        content[-1] ^= 1
        (copy / name).write_bytes(content)
    with pytest.raises(ValueError, match=r"(image|text).float32.tflite has been changed"):
        encoder(copy)


def test_text_encoder_with_another_vocabulary_is_refused(tiny_export, tmp_path):
    copy = shutil.copytree(tiny_export, tmp_path / "copy")
    with open(copy / "vocabulary.txt", "a", encoding="utf-8") as file:
        file.write("purple\n")
    with pytest.raises(ValueError, match=r"vocabulary.txt has been changed"):
        TextEncoder(copy)
