"""Requests that TensorFlow Serving runs when it loads a model: the first user waits less."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import tensorflow as tf

__all__ = ["WARMUP", "write_warmup"]

WARMUP = "assets.extra/tf_serving_warmup_requests"
_BATCHES = (1, 8)


def write_warmup(folder: str | Path, model: str, inputs: Mapping[str, Sequence[bytes]]) -> None:
    """Write `assets.extra/tf_serving_warmup_requests` into a SavedModel: a request of 1, one of 8.

    Args:
        folder: the version folder, such as `image/1`.
        model: the name that it is served by.
        inputs: by signature, items for its one input, encoded pictures or texts.

    Raises:
        OSError: it cannot be written.
    """
    # Imported here: these protos are of use to an export alone.
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    path = Path(folder, WARMUP)
    path.parent.mkdir()
    names = {"image": "image_bytes", "text": "text"}
    with tf.io.TFRecordWriter(str(path)) as file:
        for signature, items in inputs.items():
            for number in _BATCHES:
                batch = [items[row % len(items)] for row in range(number)]
                request = predict_pb2.PredictRequest()
                request.model_spec.name = model
                request.model_spec.signature_name = signature
                request.inputs[names[model]].CopyFrom(tf.make_tensor_proto(batch, tf.string))
                log = prediction_log_pb2.PredictionLog(
                    predict_log=prediction_log_pb2.PredictLog(request=request)
                )
                file.write(log.SerializeToString())
