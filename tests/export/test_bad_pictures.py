"""A picture that cannot be used fails or masks its own place in a request; the next one works."""

import numpy as np
import pytest
import tensorflow as tf

from udsph_tf.data.images import ImageError, load_pixels

BAD = {
    "nothing": b"",
    "no picture": b"not a picture",
    "a PNG signature": b"\x89PNG\r\n\x1a\n",
    "a JPEG start": b"\xff\xd8\xff\xe0",
}


@pytest.fixture(scope="module")
def signatures(tiny_export):
    loaded = tf.saved_model.load(str(tiny_export / "image" / "1"))
    # The loaded object must outlive its signatures.
    yield loaded.signatures


@pytest.fixture(params=[*BAD, "a picture cut off"])
def bad(request, pictures):
    return BAD.get(request.param, pictures[1][: len(pictures[1]) // 2])


@pytest.mark.parametrize("place", [0, 2])
def test_a_bad_picture_is_an_invalid_argument_with_its_index(signatures, pictures, bad, place):
    ask = signatures["serving_default"]
    expected = ask(image_bytes=tf.constant(pictures[:3]))["packed"]
    batch = [*pictures[:place], bad, *pictures[place:3]]
    with pytest.raises(tf.errors.InvalidArgumentError, match=rf"image_bytes\[{place}\]: "):
        ask(image_bytes=tf.constant(batch))
    again = ask(image_bytes=tf.constant(pictures[:3]))["packed"]
    np.testing.assert_array_equal(again, expected)


def test_with_mask_has_codes_of_all_others_and_zeros_for_the_bad(signatures, pictures, bad):
    outputs = signatures["with_mask"](image_bytes=tf.constant([pictures[0], bad, pictures[1]]))
    alone = signatures["serving_default"](image_bytes=tf.constant(pictures[:2]))
    assert outputs["usable"].numpy().tolist() == [True, False, True]
    np.testing.assert_array_equal(outputs["packed"].numpy()[[0, 2]], alone["packed"])
    assert not outputs["packed"].numpy()[1].any()
    assert not outputs["hash"].numpy()[1].any()


def test_refused_pictures_have_the_reason_that_training_gives(signatures, refused_pictures):
    for reason, data in refused_pictures.items():
        with pytest.raises(ImageError, match=reason):
            load_pixels(data, 32)
        with pytest.raises(tf.errors.InvalidArgumentError, match=rf"image_bytes\[0\]: {reason}"):
            signatures["serving_default"](image_bytes=tf.constant([data]))
    masked = signatures["with_mask"](image_bytes=tf.constant(list(refused_pictures.values())))
    assert not masked["usable"].numpy().any()


def test_the_loader_of_tensorflow_serving_names_the_bad_picture(tiny_export, pictures):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        graph = tf.compat.v1.saved_model.load(session, ["serve"], str(tiny_export / "image" / "1"))
        signature = graph.signature_def["serving_default"]
        given = signature.inputs["image_bytes"].name
        wanted = signature.outputs["packed"].name
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"image_bytes\[1\]: "):
            session.run(wanted, {given: [pictures[0], b"no", pictures[1]]})
        assert session.run(wanted, {given: pictures[:2]}).shape == (2, 2)
        assert session.run(wanted, {given: np.array([], object)}).shape == (0, 2)
