"""Hash one picture and one text with TFLite files alone: what a device does.

python export/run_tflite.py --artefacts artefacts/fashion --image shoe.jpg --text "red shoes"
"""

from pathlib import Path

import numpy as np
from absl import app, flags

from udsph_tf.codes import hamming_distance
from udsph_tf.export.tflite import IMAGE_VARIANTS, TEXT_VARIANTS
from udsph_tf.serving import ImageEncoder, TextEncoder

_ARTEFACTS = flags.DEFINE_string(
    "artefacts", None, "folder that `udsph export` made", required=True
)
_IMAGE = flags.DEFINE_string("image", None, "a picture", required=True)
_TEXT = flags.DEFINE_string("text", None, "words", required=True)
_VARIANT = flags.DEFINE_enum("variant", "float32", IMAGE_VARIANTS, "which file hashes the picture")
_TEXT_VARIANT = flags.DEFINE_enum(
    "text_variant", "float32", TEXT_VARIANTS, "which file hashes the words"
)


def main(_):
    image = ImageEncoder(_ARTEFACTS.value, _VARIANT.value)
    text = TextEncoder(_ARTEFACTS.value, _TEXT_VARIANT.value)
    image_code = image.encode([Path(_IMAGE.value).read_bytes()])
    text_code = text.encode([_TEXT.value])
    print("image", np.array2string(image_code[0], formatter={"int": "{:08b}".format}))
    print("text ", np.array2string(text_code[0], formatter={"int": "{:08b}".format}))
    print("distance", hamming_distance(image_code, text_code)[0, 0], "of", image.num_bits, "bits")


if __name__ == "__main__":
    app.run(main)
