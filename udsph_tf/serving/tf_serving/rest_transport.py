"""TensorFlow Serving over its REST API."""

import asyncio
import base64
import contextlib
import json
from collections.abc import Iterator
from urllib.parse import quote

import httpx2 as httpx
import numpy as np

from udsph_tf.serving.tf_serving.address import Address
from udsph_tf.serving.tf_serving.errors import ServingError
from udsph_tf.serving.tf_serving.transport import Prediction, PredictionCall, VersionStatus

__all__ = ["RestTransport"]

_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",  # by a proxy
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class RestTransport:
    """TensorFlow Serving over its REST API.

    Args:
        address: the server's.
    """

    def __init__(self, address: Address):
        self._address = address
        self._client = httpx.Client(base_url=str(address))
        self._async_client: httpx.AsyncClient | None = None

    def predict(self, call: PredictionCall, timeout: float) -> Prediction:
        """Send a request and wait for its answer."""
        request = _request(call)
        with self._translated():
            return self._prediction(self._client.post(**request, timeout=timeout))

    async def predict_async(self, call: PredictionCall, timeout: float) -> Prediction:
        """Send a request from a coroutine."""
        request = _request(call)
        with self._translated():
            async with asyncio.timeout(timeout):
                answer = await self._async_client.post(**request, timeout=None)
            return self._prediction(answer)

    def status(self, model: str, timeout: float) -> list[VersionStatus]:
        """The state of every version of a model."""
        with self._translated():
            answer = self._read(self._client.get(f"/v1/models/{quote(model)}", timeout=timeout))
            return [
                VersionStatus(
                    int(each["version"]), each["state"], each["status"].get("error_message", "")
                )
                for each in answer["model_version_status"]
            ]

    def open_async(self) -> None:
        """Make ready for `predict_async` in the running loop."""
        self._async_client = httpx.AsyncClient(base_url=str(self._address))

    async def close_async(self) -> None:
        """Give up what `open_async` made."""
        await self._async_client.aclose()

    def close(self) -> None:
        """Give up the connections."""
        self._client.close()

    def _prediction(self, response: httpx.Response) -> Prediction:
        outputs = self._read(response)["outputs"]
        return Prediction({name: np.asarray(each) for name, each in outputs.items()}, None)

    def _read(self, response: httpx.Response) -> dict:
        if response.status_code == 200:
            return json.loads(response.content)
        try:
            reason = str(json.loads(response.content)["error"])
        except (ValueError, KeyError, TypeError):
            reason = response.reason_phrase  # of a proxy, not of the model server
        raise self._error(_STATUS.get(response.status_code, "INTERNAL"), reason)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (httpx.TimeoutException, TimeoutError) as error:
            raise self._error("DEADLINE_EXCEEDED", "no answer in time") from error
        except httpx.TransportError as error:
            raise self._error("UNAVAILABLE", str(error) or "the connection was lost") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise self._error("INTERNAL", f"something that is no answer ({error!r})") from error

    def _error(self, status: str, reason: str) -> ServingError:
        return ServingError(
            f"The model server at {self._address} answered {status}: {reason}", status
        )


def _request(call: PredictionCall) -> dict:
    """Address and body, in the API's column form.

    Texts travel in Base64 like pictures: JSON has no half characters, and some readers end a
    string at a zero byte.
    """
    version = ""
    if call.version is not None:
        version = f"/versions/{call.version}"
    elif call.label is not None:
        version = f"/labels/{quote(call.label)}"
    items = [{"b64": base64.b64encode(item).decode("ascii")} for item in call.items]
    content = {"signature_name": call.signature, "inputs": {call.input_name: items}}
    return {"url": f"/v1/models/{quote(call.model)}{version}:predict", "json": content}
