"""Deadlines, repetitions, batches and states, against a server that is slow, fails or dies."""

import asyncio
import dataclasses
import threading
import time

import pytest

from udsph_tf.serving.tf_serving import ClientSettings, ServedModel, ServingError

TEXTS = [f"a red circle {number}".encode() for number in range(23)]
SINGLE = ({"max_batch_bytes": 1}, 23)  # every item has more: each has a request of its own
SHORT = ClientSettings(timeout=0.5)


@pytest.fixture
def connect(opened, quick):
    """`connect(address)`, a client of the text model."""

    def connected(address, settings=quick, name="text"):
        return opened(ServedModel(address, name, settings))

    return connected


@pytest.fixture
def model(address, connect):
    return connect(address)


def ask(model, items=TEXTS[:1], **more):
    return model.predict("serving_default", "text", items, **more)


def ask_async(model, items=TEXTS[:1]):
    async def run():
        async with model:
            return await model.predict_async("serving_default", "text", items)

    return asyncio.run(run())


def test_status_and_readiness(model, address, connect):
    (only,) = model.status()
    assert (only.version, only.state, only.message) == (1, "AVAILABLE", "")
    assert model.is_ready()
    model.wait_until_ready(1.0)
    assert connect(f"{address}/versions/1").is_ready()
    assert not connect(f"{address}/versions/7").is_ready()
    absent = connect(address, name="absent")
    assert not absent.is_ready()
    with pytest.raises(ServingError, match="Could not find any versions of model absent") as error:
        absent.status()
    assert error.value.status == "NOT_FOUND"
    with pytest.raises(ServingError, match="no model `absent` ready within 0.1 s"):
        absent.wait_until_ready(0.1)


def test_many_items_go_in_batches_and_come_back_in_order(model, address, quick, connect):
    whole, versions = ask(model, TEXTS)
    for limit, requests in (({"max_batch": 4}, 6), ({"max_batch_bytes": 40}, 12), SINGLE):
        parts = connect(address, dataclasses.replace(quick, **limit))
        assert len(parts._calls("", "", TEXTS, None)) == requests
        for found, _ in (ask(parts, TEXTS), ask_async(parts, TEXTS)):
            assert found["packed"].tolist() == whole["packed"].tolist()
    assert versions == ({1} if address.startswith("grpc") else {None})


@pytest.mark.parametrize("send", [ask, ask_async])
def test_an_unavailable_server_is_asked_again(model, server, send):
    server.cause(fail="UNAVAILABLE", times=3)
    outputs, _ = send(model)
    assert outputs["packed"].shape == (1, 2)
    server.cause(fail="UNAVAILABLE", times=4)
    with pytest.raises(ServingError, match="UNAVAILABLE: a fault was asked for") as error:
        send(model)
    assert error.value.status == "UNAVAILABLE"


@pytest.mark.parametrize(
    "status", ["INVALID_ARGUMENT", "NOT_FOUND", "RESOURCE_EXHAUSTED", "INTERNAL"]
)
@pytest.mark.parametrize("send", [ask, ask_async])
def test_other_refusals_are_final(model, server, send, status):
    server.cause(fail=status, times=1)
    with pytest.raises(ServingError, match=f"{status}: a fault was asked for") as error:
        send(model)
    assert error.value.status == status
    send(model)  # the one fault was not used up by a repetition


@pytest.mark.parametrize("send", [ask, ask_async])
def test_a_slow_server_is_given_up_in_time_and_not_asked_again(address, server, send, connect):
    model = connect(address, SHORT)
    server.cause(delay=3.0)
    start = time.monotonic()
    with pytest.raises(ServingError) as error:
        send(model)
    assert error.value.status == "DEADLINE_EXCEEDED"
    assert time.monotonic() - start < 2.9


def test_a_failing_batch_ends_the_call(model, address, server, quick, connect):
    parts = connect(address, dataclasses.replace(quick, max_batch=1))
    for send in (ask, ask_async):
        server.cause(fail="INTERNAL", times=1)
        with pytest.raises(ServingError, match="INTERNAL"):
            send(parts, TEXTS)


def test_what_the_model_has_not_is_said(model, address, connect):
    with pytest.raises(ServingError, match='key "other" not found'):
        model.predict("other", "text", TEXTS[:1])
    with pytest.raises(ServingError, match="Servable not found"):
        ask(model, version=7)
    with pytest.raises(ServingError, match="Unrecognized servable version label: canary"):
        ask(connect(f"{address}/labels/canary"))
    assert ask(connect(f"{address}/labels/stable"))[0]
    assert ask(connect(f"{address}/versions/1"))[0]


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_nobody_at_the_address_is_unavailable(scheme, connect):
    nobody = connect(f"{scheme}://127.0.0.1:1")
    with pytest.raises(ServingError) as error:
        ask(nobody)
    assert error.value.status == "UNAVAILABLE"
    assert not nobody.is_ready()


def test_something_else_at_the_address_is_no_answer(server, quick, connect):
    grpc_at_rest = server.grpc.replace("grpc", "http")
    for address in (grpc_at_rest, server.rest.replace("http", "grpc")):
        with pytest.raises(ServingError):
            ask(connect(address, dataclasses.replace(quick, timeout=3.0)))


def test_a_server_that_dies_and_comes_back(server, quick, connect):
    patient = dataclasses.replace(quick, attempts=1000, timeout=60.0)
    clients = [connect(each) for each in (server.grpc, server.rest)]
    waiting = [connect(each, patient) for each in (server.grpc, server.rest)]
    for client in clients + waiting:
        ask(client)
    server.cause(die=True)
    for client in clients:  # it dies with the first request, the second finds nobody
        with pytest.raises(ServingError) as error:
            ask(client)
        assert error.value.status == "UNAVAILABLE"
    answers = []
    threads = [threading.Thread(target=lambda c=c: answers.append(ask(c))) for c in waiting]
    for thread in threads:
        thread.start()
    server.stop()
    server.start(**server.ports)
    for thread in threads:
        thread.join(60)
    assert len(answers) == 2  # those who waited were answered
    for client in clients:
        assert ask(client)[0]
