"""The files of a deployment are what TensorFlow Serving reads."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    text_format,
    wrappers_pb2,
)
from tensorflow_serving.config import model_server_config_pb2

from udsph_tf.serving.tf_serving import ClientSettings

FOLDER = Path(__file__).parents[3] / "serving" / "tf_serving"
FIELD = descriptor_pb2.FieldDescriptorProto

# `tensorflow-serving-api` leaves two protos out. These are their names, numbers and types, as
# session_bundle_config.proto and monitoring_config.proto of TensorFlow Serving have them.
INT64 = f".{wrappers_pb2.Int64Value.DESCRIPTOR.full_name}"
LEFT_OUT = {
    "BatchingParameters": [
        ("max_batch_size", 1, INT64),
        ("batch_timeout_micros", 2, INT64),
        ("max_enqueued_batches", 3, INT64),
        ("num_batch_threads", 4, INT64),
    ],
    "PrometheusConfig": [("enable", 1, FIELD.TYPE_BOOL), ("path", 2, FIELD.TYPE_STRING)],
    "MonitoringConfig": [("prometheus_config", 1, ".left.out.PrometheusConfig")],
}


@pytest.fixture(scope="module")
def left_out():
    """`left_out(name)`, a message class."""
    file = descriptor_pb2.FileDescriptorProto(
        name="left_out.proto", package="left.out", syntax="proto3"
    )
    file.dependency.append(wrappers_pb2.DESCRIPTOR.name)
    for name, fields in LEFT_OUT.items():
        message = file.message_type.add(name=name)
        for field, number, kind in fields:
            typed = {"type_name": kind, "type": FIELD.TYPE_MESSAGE}
            message.field.add(
                name=field,
                number=number,
                label=FIELD.LABEL_OPTIONAL,
                **(typed if isinstance(kind, str) else {"type": kind}),
            )
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    return lambda name: message_factory.GetMessageClass(
        pool.FindMessageTypeByName(f"left.out.{name}")
    )


@pytest.fixture(scope="module")
def service():
    (only,) = yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"].values()
    return only


def read(name, message):
    return text_format.Parse((FOLDER / name).read_text(), message)


def test_models_config_serves_both_encoders_pinned_and_labelled():
    config = read("models.config", model_server_config_pb2.ModelServerConfig())
    models = config.model_config_list.config
    assert [each.name for each in models] == ["image", "text"]
    for each in models:
        assert each.base_path == f"/artefacts/{each.name}"
        assert each.model_platform == "tensorflow"
        versions = list(each.model_version_policy.specific.versions)
        assert versions == [1]
        assert set(each.version_labels.values()) <= set(versions)
    image, text = models
    assert image.model_version_policy == text.model_version_policy  # one export, one version
    assert dict(image.version_labels) == dict(text.version_labels) == {"stable": 1}


def test_batching_config_takes_what_the_client_sends(left_out):
    batching = read("batching.config", left_out("BatchingParameters")())
    assert ClientSettings().max_batch <= batching.max_batch_size.value
    assert 0 <= batching.batch_timeout_micros.value <= 10_000
    assert batching.num_batch_threads.value >= 1
    assert batching.max_enqueued_batches.value >= batching.num_batch_threads.value


def test_monitoring_config_turns_prometheus_on(left_out):
    monitoring = read("monitoring.config", left_out("MonitoringConfig")())
    assert monitoring.prometheus_config.enable
    assert monitoring.prometheus_config.path == "/monitoring/prometheus/metrics"


def test_compose_pins_the_image_and_stays_on_this_machine(service):
    assert re.fullmatch(r"tensorflow/serving:\d+\.\d+\.\d+", service["image"])
    import tensorflow as tf

    assert service["image"].rpartition(":")[2].split(".")[:2] == tf.__version__.split(".")[:2]
    assert service["ports"] == ["127.0.0.1:8500:8500", "127.0.0.1:8501:8501"]
    assert all(volume.endswith(":ro") for volume in service["volumes"])


def test_compose_names_files_that_are_there(service):
    named = [flag.partition("=/config/")[2] for flag in service["command"] if "/config/" in flag]
    assert sorted(named) == ["batching.config", "models.config", "monitoring.config"]
    for name in named:
        assert (FOLDER / name).is_file()
    # Labels stand in the file from the start, when no version is loaded yet.
    assert "--allow_version_labels_for_unavailable_models=true" in service["command"]
    assert "--enable_batching=true" in service["command"]


@pytest.mark.parametrize(("change", "healthy"), [("", True), ("text", False)])
def test_health_check_of_compose_asks_for_both_models(service, server, change, healthy):
    _, shell, option, script = service["healthcheck"]["test"]
    script = script.replace("$$", "$").replace("8501", str(server.ports["rest_api_port"]))
    if change:
        script = script.replace("image text", "image absent")
    done = subprocess.run([shell, option, script], timeout=20, check=False)
    assert (done.returncode == 0) == healthy
