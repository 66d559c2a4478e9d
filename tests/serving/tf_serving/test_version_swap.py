"""A new version appears while requests run: none fails."""

import shutil
import threading
import time

import pytest

from udsph_tf.serving.tf_serving import ServedModel

PINNED = "model_version_policy { specific { versions: 1 } }"


class Deployment:
    """Version folders and the configuration of the running server."""

    def __init__(self, models, client):
        self.models, self.client = models, client
        self.config = models / "models.config"
        self.before = self.config.read_text()

    def add(self, source):
        """Let version 2 of the text model appear at once, as the real server wants it."""
        shutil.copytree(source, self.models / "coming")
        (self.models / "coming").rename(self.models / "text" / "2")

    def configure(self, **changes):
        text = self.before
        for old, new in changes.values():
            text = text.replace(old, new)
        # Renamed: the server may read at any moment.
        (self.models / "new.config").write_text(text)
        (self.models / "new.config").rename(self.config)

    def wait_for(self, expected):
        end = time.monotonic() + 30
        while (found := {each.version: each.state for each in self.client.status()}) != expected:
            assert time.monotonic() < end, found
            time.sleep(0.05)


@pytest.fixture
def deployment(models, server, quick):
    with ServedModel(server.grpc, "text", quick) as client:
        running = Deployment(models, client)
        yield running
        running.configure()
        running.wait_for(
            {1: "AVAILABLE"} | ({2: "END"} if (models / "text" / "2").exists() else {})
        )
        shutil.rmtree(models / "text" / "2", ignore_errors=True)


def test_requests_during_a_swap_all_succeed(deployment, server, models, tiny_export, quick):
    stop, codes, versions, errors = threading.Event(), [], set(), []

    def ask(address):
        with ServedModel(address, "text", quick) as client:
            while not stop.is_set():
                try:
                    outputs, told = client.predict("serving_default", "text", [b"a red circle"])
                except ConnectionError as error:
                    errors.append(error)
                    return
                codes.append(tuple(outputs["packed"][0].tolist()))
                versions.update(told)

    deployment.configure(policy=(PINNED, "model_version_policy { latest { num_versions: 1 } }"))
    server.cause(delay=0.1)  # so that requests of the old version are under way when it goes
    addresses = [server.grpc, server.rest] * 2
    threads = [threading.Thread(target=ask, args=(address,)) for address in addresses]
    for thread in threads:
        thread.start()
    while len(codes) < 8:
        time.sleep(0.02)
    deployment.add(tiny_export / "text" / "1")
    deployment.wait_for({1: "END", 2: "AVAILABLE"})
    after = len(codes)
    while len(codes) < after + 8 and not errors:
        time.sleep(0.02)
    stop.set()
    for thread in threads:
        thread.join(30)
    assert not errors
    assert len(set(codes)) == 1
    assert versions == {1, 2, None}  # REST does not tell
