"""Keras functional models: bodies, hashers, label net, discriminator; cross-modal attention."""

from udsph_tf.networks.cross_modal_attention import CrossModalAttention
from udsph_tf.networks.cut import cut
from udsph_tf.networks.discriminator import discriminator
from udsph_tf.networks.efficientnet_lite import efficientnet_lite0
from udsph_tf.networks.encoder import attach_body, code_writer, hash_writer
from udsph_tf.networks.image_hasher import image_hasher
from udsph_tf.networks.label_net import label_net
from udsph_tf.networks.small_cnn import small_cnn
from udsph_tf.networks.text_bodies import minilm, wordpiece
from udsph_tf.networks.text_hasher import text_hasher
from udsph_tf.networks.vector_bodies import image_vector, text_vector

__all__ = [
    "CrossModalAttention",
    "attach_body",
    "code_writer",
    "cut",
    "discriminator",
    "efficientnet_lite0",
    "hash_writer",
    "image_hasher",
    "image_vector",
    "label_net",
    "minilm",
    "small_cnn",
    "text_hasher",
    "text_vector",
    "wordpiece",
]
