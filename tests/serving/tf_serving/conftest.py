"""The drawn collection's encoders behind a stand-in for TensorFlow Serving, in its own process."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from udsph_tf.serving.tf_serving import ClientSettings

ROOT = Path(__file__).parents[3]
SERVER = Path(__file__).with_name("model_server.py")


class RunningServer:
    """A server process; `grpc` and `rest` are its addresses. It ends with this one."""

    def __init__(self, config):
        self.config = config
        self.start(0, 0)

    def start(self, port, rest_api_port):
        command = [sys.executable, str(SERVER), "--model_config_file", str(self.config)]
        command += ["--port", str(port), "--rest_api_port", str(rest_api_port)]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # TensorFlow and gRPC say much while they start.
            stderr=subprocess.DEVNULL,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""},
        )
        self.ports = json.loads(self.process.stdout.readline())
        self.grpc = f"grpc://127.0.0.1:{self.ports['port']}"
        self.rest = f"http://127.0.0.1:{self.ports['rest_api_port']}"

    def cause(self, **fault):
        """Let something go wrong."""
        self.process.stdin.write(json.dumps(fault) + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "ok\n"

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


@pytest.fixture(scope="session")
def quick():
    """Settings that lose no time between repetitions, and forgive a busy machine."""
    return ClientSettings(timeout=30.0, attempts=4, first_delay=0.02, max_delay=0.1)


@pytest.fixture
def opened():
    """`opened(client)` closes it after the test."""
    with contextlib.ExitStack() as stack:
        yield stack.enter_context


@pytest.fixture(scope="session")
def models(tiny_export, tmp_path_factory):
    """A folder of models, as a deployment has it, with the project's own configuration."""
    folder = tmp_path_factory.mktemp("served")
    for name in ("image", "text"):
        shutil.copytree(tiny_export / name, folder / name)
    config = (ROOT / "serving" / "tf_serving" / "models.config").read_text()
    (folder / "models.config").write_text(config.replace("/artefacts", str(folder)))
    return folder


@pytest.fixture(scope="session")
def shared_server(models):
    running = RunningServer(models / "models.config")
    yield running
    running.stop()


@pytest.fixture
def server(shared_server):
    """The server that most tests share, without any fault left by another."""
    yield shared_server
    shared_server.cause(delay=0.0, times=0, spare=0)


@pytest.fixture(params=["grpc", "rest"])
def address(request, server):
    return getattr(server, request.param)


@pytest.fixture(scope="session")
def pictures(tiny_pairs):
    """The bytes of twelve drawn pictures."""
    return [Path(path).read_bytes() for path in tiny_pairs.images[:12]]
