"""Using exported encoders; no training code is imported from here."""

from udsph_tf.serving.code_files import CodeFiles
from udsph_tf.serving.encoders import ImageEncoder, TextEncoder
from udsph_tf.serving.encoding import encode_pairs
from udsph_tf.serving.index_options import IndexOptions
from udsph_tf.serving.indexing import index_codes, index_codes_in_milvus, index_pairs

__all__ = [
    "CodeFiles",
    "ImageEncoder",
    "IndexOptions",
    "TextEncoder",
    "encode_pairs",
    "index_codes",
    "index_codes_in_milvus",
    "index_pairs",
]
