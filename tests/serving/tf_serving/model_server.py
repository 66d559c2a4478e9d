"""A stand-in for `tensorflow_model_server`, which is a C++ program that cannot be installed here.

It is given the same configuration file and serves the same protocols on 127.0.0.1: the
services of the protos of `tensorflow-serving-api`, and the documented REST API. SavedModels are
loaded into a Session, without `udsph_tf`. Of the real one it has: version policies, labels, new
versions found while it runs, the old one unloaded when its last request has ended, statuses by
their names. It has not: batching, warm-up, metrics, and the real server's speed and exact wording.

Usage: python model_server.py --model_config_file FILE [--port N --rest_api_port N]

It prints its ports as a line of JSON and ends with its standard input. Each line of that is a fault
to cause: {"delay": seconds}, {"fail": STATUS, "times": n, "spare": those before}, {"die": true} (in
the next prediction).
"""

import argparse
import base64
import contextlib
import json
import os
import re
import sys
import threading
import time
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import grpc
import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401  (registers the tokenizer's operations, as Serving's images do)
from google.protobuf import json_format, text_format
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)
from tensorflow_serving.config import model_server_config_pb2

STATES = get_model_status_pb2.ModelVersionStatus
GRPC_STATUS = {status.value[0]: status for status in grpc.StatusCode}
HTTP_STATUS = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "NOT_FOUND": 404,
    "RESOURCE_EXHAUSTED": 429,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
PREDICT = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d+)|/labels/([^/:]+))?:predict")
STATUS = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d+))?")


class Refused(Exception):
    """A request that gets a status instead of an answer."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


class Faults:
    """What is to go wrong."""

    def __init__(self):
        self.delay, self.fail, self.times, self.spare, self.die = 0.0, "", 0, 0, False

    def change(self, **faults):
        for name, value in faults.items():
            setattr(self, name, value)

    def strike(self):
        if self.die:
            os._exit(1)
        if self.times > 0 and self.spare > 0:
            self.spare -= 1
        elif self.times > 0:
            self.times -= 1
            raise Refused(self.fail, "a fault was asked for")
        time.sleep(self.delay)


class Version:
    """One loaded version of a model."""

    def __init__(self, folder):
        self.state, self.running = STATES.LOADING, 0
        graph = tf.Graph()
        self.session = tf.compat.v1.Session(graph=graph)
        with graph.as_default():
            meta = tf.compat.v1.saved_model.load(self.session, ["serve"], str(folder))
        self.signatures = meta.signature_def
        self.state = STATES.AVAILABLE

    def signature(self, name):
        if name not in self.signatures:
            raise Refused("FAILED_PRECONDITION", f'Serving signature key "{name}" not found.')
        return self.signatures[name]

    def run(self, name, inputs):
        signature = self.signature(name)
        if set(inputs) != set(signature.inputs):
            raise Refused("INVALID_ARGUMENT", f"input keys must be {sorted(signature.inputs)}")
        feed = {signature.inputs[key].name: value for key, value in inputs.items()}
        fetch = {key: each.name for key, each in signature.outputs.items()}
        try:
            return self.session.run(fetch, feed)
        except tf.errors.OpError as error:
            raise Refused(GRPC_STATUS[error.error_code].name, error.message) from error


class Models:
    """The models of a configuration file."""

    def __init__(self, config_file):
        self.config_file, self.lock, self.models = config_file, threading.Condition(), {}
        self.refresh()

    def refresh(self):
        """Load what the policy wants before anything is unloaded."""
        config = text_format.Parse(
            Path(self.config_file).read_text(), model_server_config_pb2.ModelServerConfig()
        )
        for each in config.model_config_list.config:
            loaded, _ = self.models.get(each.name, ({}, {}))
            wanted = wanted_versions(each)
            for number in wanted:
                if number not in loaded or loaded[number].state == STATES.END:
                    loaded = {**loaded, number: Version(Path(each.base_path, str(number)))}
            self.models[each.name] = (loaded, dict(each.version_labels))
            for number, version in loaded.items():
                if number not in wanted and version.state == STATES.AVAILABLE:
                    self.unload(version)

    def unload(self, version):
        with self.lock:
            version.state = STATES.UNLOADING
            self.lock.wait_for(lambda: version.running == 0)
            version.state = STATES.END
        version.session.close()

    @contextlib.contextmanager
    def version(self, model, number, label):
        loaded, labels = self.models.get(model, ({}, {}))
        if label:
            if label not in labels:
                raise Refused("INVALID_ARGUMENT", f"Unrecognized servable version label: {label}")
            number = labels[label]
        with self.lock:
            served = {n: each for n, each in loaded.items() if each.state == STATES.AVAILABLE}
            if not served or (number and number not in served):
                raise Refused("NOT_FOUND", f"Servable not found for request: {model} {number}")
            number = number or max(served)
            served[number].running += 1
        try:
            yield number, served[number]
        finally:
            with self.lock:
                served[number].running -= 1
                self.lock.notify_all()

    def status(self, model, number):
        loaded, _ = self.models.get(model, ({}, {}))
        answer = get_model_status_pb2.GetModelStatusResponse()
        for each in sorted(loaded if not number else {number} & set(loaded), reverse=True):
            told = answer.model_version_status.add(version=each, state=loaded[each].state)
            told.status.error_code = 0
        if not answer.model_version_status:
            raise Refused("NOT_FOUND", f"Could not find any versions of model {model}")
        return answer


def wanted_versions(config):
    there = sorted(
        int(path.name) for path in Path(config.base_path).iterdir() if path.name.isdigit()
    )
    policy = config.model_version_policy
    kind = policy.WhichOneof("policy_choice")
    if kind == "specific":
        return sorted(set(policy.specific.versions) & set(there))
    return there if kind == "all" else there[-(policy.latest.num_versions or 1) :]


class GrpcService(
    prediction_service_pb2_grpc.PredictionServiceServicer,
    model_service_pb2_grpc.ModelServiceServicer,
):
    """The two services of the protos."""

    def __init__(self, models, faults):
        self.models, self.faults = models, faults

    def Predict(self, request, context):
        spec = request.model_spec
        answer = predict_pb2.PredictResponse()
        with (
            self.refusals(context),
            self.models.version(spec.name, spec.version.value, spec.version_label) as (number, one),
        ):
            self.faults.strike()
            inputs = {name: tf.make_ndarray(each) for name, each in request.inputs.items()}
            for name, value in one.run(spec.signature_name or "serving_default", inputs).items():
                answer.outputs[name].CopyFrom(tf.make_tensor_proto(value))
            answer.model_spec.name, answer.model_spec.version.value = spec.name, number
        return answer

    def GetModelStatus(self, request, context):
        with self.refusals(context):
            return self.models.status(request.model_spec.name, request.model_spec.version.value)

    @contextlib.contextmanager
    def refusals(self, context):
        try:
            yield
        except Refused as error:
            context.abort(grpc.StatusCode[error.status], str(error))


def rest_handler(models, faults):
    class Handler(BaseHTTPRequestHandler):
        """The REST API: prediction in both forms, and status."""

        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with self.refusals():
                match = PREDICT.fullmatch(self.path)
                if not match:
                    raise Refused("INVALID_ARGUMENT", f"Malformed request: POST {self.path}")
                self.answer(200, predicted(match, json.loads(body)))

        def do_GET(self):
            with self.refusals():
                match = STATUS.fullmatch(self.path)
                if not match:
                    raise Refused("INVALID_ARGUMENT", f"Malformed request: GET {self.path}")
                told = models.status(match[1], int(match[2] or 0))
                self.answer(
                    200,
                    json_format.MessageToDict(
                        told,
                        preserving_proto_field_name=True,
                        always_print_fields_with_no_presence=True,
                    ),
                )

        @contextlib.contextmanager
        def refusals(self):
            try:
                yield
            except Refused as error:
                self.answer(HTTP_STATUS.get(error.status, 500), {"error": str(error)})
            except BrokenPipeError:
                pass  # the client has gone

        def answer(self, status, content):
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    def predicted(match, content):
        with models.version(match[1], int(match[2] or 0), match[3]) as (_, one):
            faults.strike()
            name = content.get("signature_name", "serving_default")
            rows = content.get("instances", content.get("inputs"))
            if not isinstance(rows, dict):  # a signature with one input need not name it
                key = next(iter(one.signature(name).inputs))
                rows = {key: rows}
            outputs = one.run(name, {key: tensor(column) for key, column in rows.items()})
        columns = {name: value.tolist() for name, value in outputs.items()}
        if "inputs" in content:
            return {"outputs": columns}
        rows = zip(*columns.values(), strict=True)
        return {"predictions": [dict(zip(columns, row, strict=True)) for row in rows]}

    def tensor(column):
        return np.array([decoded(row) for row in column], object)

    def decoded(row):
        return base64.b64decode(row["b64"]) if isinstance(row, dict) else row.encode()

    return Handler


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model_config_file", required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--rest_api_port", type=int, default=0)
    args = parser.parse_args()
    models, faults = Models(args.model_config_file), Faults()

    server = grpc.server(
        futures.ThreadPoolExecutor(8), options=[("grpc.max_receive_message_length", -1)]
    )
    service = GrpcService(models, faults)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(service, server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(service, server)
    port = server.add_insecure_port(f"127.0.0.1:{args.port}")
    rest = ThreadingHTTPServer(("127.0.0.1", args.rest_api_port), rest_handler(models, faults))
    server.start()
    threading.Thread(target=rest.serve_forever, daemon=True).start()

    def watch():
        while True:
            time.sleep(0.1)
            models.refresh()

    threading.Thread(target=watch, daemon=True).start()
    print(json.dumps({"port": port, "rest_api_port": rest.server_port}), flush=True)
    for line in sys.stdin:
        faults.change(**json.loads(line))
        print("ok", flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
