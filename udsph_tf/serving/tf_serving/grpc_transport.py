"""TensorFlow Serving over gRPC."""

import contextlib
from collections.abc import Iterator

import grpc
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from udsph_tf.serving.tf_serving.address import Address
from udsph_tf.serving.tf_serving.errors import ServingError
from udsph_tf.serving.tf_serving.transport import Prediction, PredictionCall, VersionStatus

__all__ = ["GrpcTransport"]

_OPTIONS = (
    # Requests go round all addresses of a name: one connection alone would use one replica.
    ("grpc.lb_policy_name", "round_robin"),
    # By default a server that was away for minutes is looked for only every two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
)


class GrpcTransport:
    """TensorFlow Serving over gRPC.

    Args:
        address: the server's; `grpcs` uses TLS with the roots that gRPC finds.
    """

    def __init__(self, address: Address):
        self._address = address
        self._channel = self._connect(grpc)
        self._predict = prediction_service_pb2_grpc.PredictionServiceStub(self._channel).Predict
        self._status = model_service_pb2_grpc.ModelServiceStub(self._channel).GetModelStatus
        self._async_channel = self._async_predict = None

    def predict(self, call: PredictionCall, timeout: float) -> Prediction:
        """Send a request and wait for its answer."""
        with self._translated():
            return _prediction(self._predict(_request(call), timeout=timeout))

    async def predict_async(self, call: PredictionCall, timeout: float) -> Prediction:
        """Send a request from a coroutine."""
        with self._translated():
            return _prediction(await self._async_predict(_request(call), timeout=timeout))

    def status(self, model: str, timeout: float) -> list[VersionStatus]:
        """The state of every version of a model."""
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = model
        with self._translated():
            answer = self._status(request, timeout=timeout)
        states = get_model_status_pb2.ModelVersionStatus.State
        return [
            VersionStatus(each.version, states.Name(each.state), each.status.error_message)
            for each in answer.model_version_status
        ]

    def open_async(self) -> None:
        """Make ready for `predict_async` in the running loop."""
        self._async_channel = self._connect(grpc.aio)
        stub = prediction_service_pb2_grpc.PredictionServiceStub(self._async_channel)
        self._async_predict = stub.Predict

    async def close_async(self) -> None:
        """Give up what `open_async` made."""
        await self._async_channel.close()

    def close(self) -> None:
        """Give up the connection."""
        self._channel.close()

    def _connect(self, library):
        if self._address.scheme == "grpcs":
            credentials = grpc.ssl_channel_credentials()
            return library.secure_channel(self._address.host, credentials, options=_OPTIONS)
        return library.insecure_channel(self._address.host, options=_OPTIONS)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except grpc.RpcError as error:
            status = error.code().name
            raise ServingError(
                f"The model server at {self._address} answered {status}: {error.details()}", status
            ) from error


def _request(call: PredictionCall) -> predict_pb2.PredictRequest:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = call.model
    request.model_spec.signature_name = call.signature
    if call.version is not None:
        request.model_spec.version.value = call.version
    elif call.label is not None:
        request.model_spec.version_label = call.label
    request.inputs[call.input_name].CopyFrom(tf.make_tensor_proto(call.items, tf.string))
    return request


def _prediction(answer: predict_pb2.PredictResponse) -> Prediction:
    outputs = {name: tf.make_ndarray(each) for name, each in answer.outputs.items()}
    return Prediction(outputs, answer.model_spec.version.value)
