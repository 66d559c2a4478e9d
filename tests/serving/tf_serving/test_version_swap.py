"""A new version appears while requests run: none fails, and another model is noticed."""

import dataclasses
import shutil
import threading
import time

import pytest
import tensorflow as tf

from udsph_tf.serving.tf_serving import ServedModel, ServedTextEncoder, ServingError

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


@pytest.fixture(scope="module")
def other_model(tmp_path_factory):
    """A text model with the right signature that writes other codes."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def encode(text):
        number = tf.size(text)
        packed = tf.cast(tf.fill([number, 2], 0x5A), tf.uint8)
        return {"packed": packed, "hash": tf.zeros([number, 16])}

    folder = tmp_path_factory.mktemp("other") / "1"
    tf.saved_model.save(tf.Module(), str(folder), signatures={"serving_default": encode})
    return folder


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


def test_a_label_moves_to_the_new_version(deployment, server, tiny_export, quick):
    both = PINNED.replace("versions: 1", "versions: 1 versions: 2")
    address = f"{server.grpc}/labels/stable"
    with ServedTextEncoder(address, tiny_export, quick) as encoder:
        deployment.add(tiny_export / "text" / "1")
        deployment.configure(policy=(PINNED, both))
        deployment.wait_for({1: "AVAILABLE", 2: "AVAILABLE"})
        code = encoder.encode(["a red circle"])
        assert set(encoder.trusted) == {1}
        moved = ('key: "stable" value: 1', 'key: "stable" value: 2')
        deployment.configure(policy=(PINNED, both), label=moved)
        end = time.monotonic() + 30
        while set(encoder.trusted) == {1} and time.monotonic() < end:
            assert encoder.encode(["a red circle"]).tolist() == code.tolist()
        assert set(encoder.trusted) == {1, 2}


def test_a_version_of_another_model_is_noticed(deployment, server, tiny_export, other_model, quick):
    with (
        ServedTextEncoder(server.grpc, tiny_export, quick) as unpinned,
        ServedTextEncoder(f"{server.grpc}/versions/1", tiny_export, quick) as pinned,
        ServedTextEncoder(f"{server.rest}/versions/1", tiny_export, quick) as rest,
    ):
        code = unpinned.encode(["a red circle"]).tolist()
        deployment.add(other_model)
        both = PINNED.replace("versions: 1", "versions: 1 versions: 2")
        deployment.configure(policy=(PINNED, both))
        deployment.wait_for({1: "AVAILABLE", 2: "AVAILABLE"})
        for _ in range(2):  # and not only once
            with pytest.raises(ServingError, match=r"\(version 2\) is not that of the artefacts"):
                unpinned.encode(["a red circle"])
        assert pinned.encode(["a red circle"]).tolist() == code
        assert rest.encode(["a red circle"]).tolist() == code


def test_over_rest_another_model_is_noticed_in_time(
    deployment, server, tiny_export, other_model, quick
):
    """REST names no version, and a restarted server may have another model by the same number."""
    soon = dataclasses.replace(quick, verify_every=0.001)
    with (
        ServedTextEncoder(server.rest, tiny_export, soon) as often,
        ServedTextEncoder(server.rest, tiny_export, quick) as seldom,
    ):
        often.encode(["a red circle"])
        deployment.add(other_model)
        both = PINNED.replace("versions: 1", "versions: 1 versions: 2")
        deployment.configure(policy=(PINNED, both))
        deployment.wait_for({1: "AVAILABLE", 2: "AVAILABLE"})
        with pytest.raises(ServingError, match="is not that of the artefacts"):
            often.encode(["a red circle"])
        assert seldom.encode(["a red circle"]).tolist() == [[0x5A, 0x5A]]  # the documented limit
