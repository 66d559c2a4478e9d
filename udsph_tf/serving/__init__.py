"""Using exported encoders; no training code is imported from here."""

from udsph_tf.serving.encoders import ImageEncoder, TextEncoder
from udsph_tf.serving.indexing import index_pairs

__all__ = ["ImageEncoder", "TextEncoder", "index_pairs"]
