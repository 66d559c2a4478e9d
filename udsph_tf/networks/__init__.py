"""Keras functional models: bodies, hashers, label net, discriminator; cross-modal attention."""

from udsph_tf.networks.backbones import keras_application, keras_hub_image
from udsph_tf.networks.cnn_f import cnn_f
from udsph_tf.networks.cross_modal_attention import CrossModalAttention
from udsph_tf.networks.cut import cut
from udsph_tf.networks.discriminator import discriminator
from udsph_tf.networks.efficientnet_lite import efficientnet_lite0
from udsph_tf.networks.encoder import attach_body, code_writer, hash_writer
from udsph_tf.networks.hub_texts import keras_hub_text
from udsph_tf.networks.image_hasher import image_hasher
from udsph_tf.networks.label_net import label_net
from udsph_tf.networks.matconvnet import load_cnn_f_weights
from udsph_tf.networks.small_cnn import small_cnn
from udsph_tf.networks.text_bodies import minilm, wordpiece
from udsph_tf.networks.text_hasher import text_hasher
from udsph_tf.networks.vector_bodies import image_vector, text_vector
from udsph_tf.networks.word_bodies import bag_of_words, doc2vec, word2vec

__all__ = [
    "CrossModalAttention",
    "attach_body",
    "bag_of_words",
    "cnn_f",
    "code_writer",
    "cut",
    "discriminator",
    "doc2vec",
    "efficientnet_lite0",
    "hash_writer",
    "image_hasher",
    "image_vector",
    "keras_application",
    "keras_hub_image",
    "keras_hub_text",
    "label_net",
    "load_cnn_f_weights",
    "minilm",
    "small_cnn",
    "text_hasher",
    "text_vector",
    "word2vec",
    "wordpiece",
]
