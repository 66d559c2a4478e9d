"""An export's encoders, wherever they run."""

from pathlib import Path

from udsph_tf.serving.encoders import ImageEncoder, TextEncoder

__all__ = ["open_encoder"]


def open_encoder(modality: str, artefacts: str | Path, tf_serving: str | None = None):
    """An encoder in this process, or behind TensorFlow Serving; both have the same methods.

    Args:
        modality: "image" or "text".
        artefacts: the export folder.
        tf_serving: address of a model server that serves it, such as "grpc://127.0.0.1:8500".

    Raises:
        FileNotFoundError: there is no export.
        ValueError: a file is missing or has been changed, or it is no address.
        ServingError: the server does not answer, or has another model.
        ImportError: the packages of the extra `serving` are missing.
    """
    if tf_serving is None:
        return {"image": ImageEncoder, "text": TextEncoder}[modality](artefacts)
    from udsph_tf.serving.tf_serving import ServedImageEncoder, ServedTextEncoder

    served = {"image": ServedImageEncoder, "text": ServedTextEncoder}[modality]
    return served(tf_serving, artefacts)
