"""What the header of a picture says, read inside a TensorFlow graph, before anything is decoded.

An exported encoder decodes what strangers send. These are the checks of `load_pixels` in
operations that a server has: too many pixels, kinds that decode to something wrong or corrupt
memory, frames that nobody asked for.
"""

import struct

import tensorflow as tf

__all__ = ["REFUSALS", "first_gif_frame", "refusal"]

_RAMP = b"".join(struct.pack("BBBB", shade, shade, shade, 0) for shade in range(256))
_FINE, _UNKNOWN, _PIXELS, _PALETTE, _ANIMATED, _ALPHA = range(6)

REFUSALS = (
    "",
    "not an image in a known format (JPEG, PNG, GIF, BMP, WebP)",
    "too many pixels",
    "a BMP with a palette cannot be decoded; save it as PNG",
    "an animated WebP cannot be decoded; save one frame of it",
    "a WebP with an alpha channel cannot be decoded; save it as PNG",
)
"""By the number that `refusal` gives: why a picture is not decoded. Of the first there is none."""


def refusal(data: tf.Tensor, max_bytes: int, max_pixels: int) -> tf.Tensor:
    """Position in `REFUSALS`; 0 for a picture that may be decoded.

    A damaged JPEG header is an error, as it would be of the decoder.

    Args:
        data: scalar string, an encoded picture.
        max_bytes: most bytes of the file.
        max_pixels: most pixels, width times height.
    """
    length = tf.strings.length(data)
    # Of a short file the missing part of the header is read as zeros.
    head = tf.strings.join([tf.strings.substr(data, 0, 64), tf.constant(b"\x00" * 64)])
    raw = tf.cast(tf.io.decode_raw(tf.strings.substr(head, 0, 64), tf.uint8), tf.int64)

    def starts(text, at=0):
        return tf.strings.substr(head, at, len(text)) == text

    def little(at, number):
        return tf.reduce_sum(raw[at : at + number] * [1 << 8 * each for each in range(number)])

    def big(at, number):
        return tf.reduce_sum(
            raw[at : at + number] * [1 << 8 * each for each in reversed(range(number))]
        )

    def fine_if_small(width, height):
        # Both are checked, so that their product cannot overflow.
        small = (width <= max_pixels) & (height <= max_pixels)
        small = small & (tf.where(small, width * height, 0) <= max_pixels)
        return tf.where(small, _FINE, _PIXELS)

    def jpeg():
        shape = tf.cast(tf.io.extract_jpeg_shape(data), tf.int64)
        return fine_if_small(shape[1], shape[0])

    def bmp():
        # Heights of pictures stored from the top down are negative.
        height = little(22, 4)
        height = tf.where(height >= 1 << 31, (1 << 32) - height, height)
        bits, used = little(28, 2), little(46, 4)
        colours = tf.where(used > 0, used, 256)
        palette = tf.strings.substr(data, 14 + little(14, 4), 4 * tf.minimum(colours, 256))
        grey = (bits == 8) & (palette == tf.strings.substr(_RAMP, 0, tf.strings.length(palette)))
        grey = grey & (tf.strings.length(palette) > 0)
        return tf.where((bits <= 8) & ~grey, _PALETTE, fine_if_small(little(18, 4), height))

    def webp():
        extended, lossless = starts(b"VP8X", 12), starts(b"VP8L", 12)
        animated = extended & (raw[20] & 2 > 0)
        alpha = tf.where(extended, raw[20] & 16 > 0, lossless & (raw[24] & 16 > 0))
        width = tf.where(
            extended,
            little(24, 3) + 1,
            tf.where(lossless, (little(21, 4) & 0x3FFF) + 1, little(26, 2) & 0x3FFF),
        )
        height = tf.where(
            extended,
            little(27, 3) + 1,
            tf.where(lossless, (little(21, 4) // (1 << 14) & 0x3FFF) + 1, little(28, 2) & 0x3FFF),
        )
        good = fine_if_small(width, height)
        return tf.where(animated, _ANIMATED, tf.where(alpha, _ALPHA, good))

    return tf.case(
        [
            (length > max_bytes, lambda: tf.constant(_PIXELS)),
            (starts(b"\xff\xd8\xff"), jpeg),
            (starts(b"\x89PNG\r\n\x1a\n"), lambda: fine_if_small(big(16, 4), big(20, 4))),
            (starts(b"GIF8"), lambda: fine_if_small(little(6, 2), little(8, 2))),
            (starts(b"BM"), bmp),
            (starts(b"RIFF") & starts(b"WEBP", 8), webp),
        ],
        default=lambda: tf.constant(_UNKNOWN),
    )


@tf.function(input_signature=[tf.TensorSpec([], tf.string)])
def first_gif_frame(data: tf.Tensor) -> tf.Tensor:
    """A GIF cut after its first frame, and any other file as it is.

    The decoder would unpack every frame and drop all but the first: gigabytes, where an animation
    of some hundred kilobytes has many large frames of one colour.
    """
    if tf.strings.substr(data, 0, 4) != b"GIF8":
        return data
    # Zeros behind the end, so that a file that is cut off needs no check at every step.
    raw = tf.cast(tf.io.decode_raw(tf.strings.join([data, b"\x00" * 1024]), tf.uint8), tf.int32)
    end = tf.strings.length(data)
    at = _after_colours(13, raw[10])
    while at < end and raw[at] == 0x21:  # extensions, such as comments
        at = _after_blocks(raw, at + 2, end)
    if at < end and raw[at] == 0x2C:  # a frame
        at = _after_blocks(raw, _after_colours(at + 10, raw[at + 9]) + 1, end)
    # A file cut off in its first frame stays as it is, and the decoder reports it.
    return data if at >= end else tf.strings.join([tf.strings.substr(data, 0, at), b";"])


def _after_colours(at, flags):
    return at + tf.where(flags & 0x80 > 0, tf.bitwise.left_shift(3, (flags & 7) + 1), 0)


def _after_blocks(raw, at, end):
    while at < end and raw[at] != 0:
        at += raw[at] + 1
    return at + 1
