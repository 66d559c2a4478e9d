"""The encoders behind a model server write the codes of those in this process."""

import asyncio
import dataclasses
import json
import shutil

import numpy as np
import pytest

from udsph_tf.data.images import ImageError
from udsph_tf.serving import ImageEncoder, TextEncoder
from udsph_tf.serving.tf_serving import ServedImageEncoder, ServedTextEncoder, ServingError

ODD = ["", " ", "\x00", "a\x00red circle", "\ud83d half", "🔴", "דג אדום", "A RED Circle"]


@pytest.fixture
def images(address, tiny_export, quick, opened):
    few = dataclasses.replace(quick, max_batch=5)
    return opened(ServedImageEncoder(address, tiny_export, few))


@pytest.fixture
def texts(address, tiny_export, quick, opened):
    few = dataclasses.replace(quick, max_batch=5)
    return opened(ServedTextEncoder(address, tiny_export, few))


def test_pictures_get_the_codes_of_the_encoder_here(images, pictures, tiny_export):
    expected = ImageEncoder(tiny_export).run(pictures)
    found = images.run(pictures)  # in three requests
    np.testing.assert_array_equal(found["packed"], expected["packed"])
    np.testing.assert_allclose(found["hash"], expected["hash"], atol=1e-4)
    assert found["packed"].dtype == np.uint8
    assert found["hash"].dtype == np.float32
    np.testing.assert_array_equal(images.encode(pictures), expected["packed"])


def test_texts_get_the_codes_of_the_encoder_here(texts, tiny_pairs, tiny_export):
    given = [*tiny_pairs.texts[:12], *ODD]
    expected = TextEncoder(tiny_export).run(given)
    found = texts.run(given)
    np.testing.assert_array_equal(found["packed"], expected["packed"])
    np.testing.assert_allclose(found["hash"], expected["hash"], atol=1e-4)


def test_nothing_gets_no_codes_and_no_request(images, texts, server):
    server.cause(fail="INTERNAL", times=1)
    assert images.encode([]).shape == texts.encode([]).shape == (0, 2)


def test_coroutines_get_the_same_codes(images, texts, pictures):
    async def encode():
        async with images, texts:
            return await asyncio.gather(
                images.encode_async(pictures), texts.encode_async(ODD), texts.encode_async([])
            )

    image, text, nothing = asyncio.run(encode())
    np.testing.assert_array_equal(image, images.encode(pictures))
    np.testing.assert_array_equal(text, texts.encode(ODD))
    assert nothing.shape == (0, 2)


def test_what_encoders_tell_is_what_those_here_tell(images, texts, tiny_export):
    here = TextEncoder(tiny_export)
    assert images.model_checksum == texts.model_checksum == here.model_checksum
    assert images.num_bits == texts.num_bits == 16
    texts.check_query("a red circle")
    with pytest.raises(ValueError, match="The model knows no word"):
        texts.check_query("连衣裙")
    with pytest.raises(ValueError, match="A text must be a string"):
        texts.encode(["a red circle", b"a red circle"])


def test_a_bad_picture_is_named_and_the_next_call_works(images, pictures):
    with pytest.raises(ImageError, match=r"images\[1\]: not an image"):
        images.encode([pictures[0], b"no picture"])
    with pytest.raises(ImageError, match=r"^not an image"):
        images.encode([b"no picture"])
    cut = pictures[1][: len(pictures[1]) // 2]  # its header is fine: the server finds out
    with pytest.raises(ImageError, match=r"images\[7\]: the server cannot decode it"):
        images.encode([*pictures[:7], cut, *pictures[7:]])
    assert len(images.encode(pictures)) == 12


def test_a_server_of_another_model_is_refused(address, tiny_export, tmp_path, quick):
    """The export here is changed instead: its golden text has other codes than the server's."""
    other = shutil.copytree(tiny_export, tmp_path / "other")
    golden = json.loads((other / "golden/golden.json").read_text())
    for each in golden["text"]:
        each["logits"] = [-value for value in each["logits"]]
    rewrite(other, "golden/golden.json", json.dumps(golden))
    with pytest.raises(ServingError, match="is not that of the artefacts: .* bits of the") as error:
        ServedTextEncoder(address, other, quick)
    assert error.value.status == "FAILED_PRECONDITION"
    ServedImageEncoder(address, other, quick).close()


def test_a_golden_item_that_was_changed_is_not_believed(address, tiny_export, tmp_path):
    other = shutil.copytree(tiny_export, tmp_path / "other")
    (other / "golden/golden.json").write_text("{}")
    with pytest.raises(ValueError, match=r"golden.json has been changed"):
        ServedTextEncoder(address, other)


def rewrite(folder, name, content):
    """Change a file and the manifest with it, as another export would have it."""
    import hashlib

    (folder / name).write_text(content)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][name] = hashlib.sha256(content.encode()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
