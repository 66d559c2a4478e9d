"""The index is exchanged while requests run, and none of them fails."""

import shutil
import threading
import time

import httpx2 as httpx
import pytest

from udsph_tf.search import compact_index, delete_items, open_index, write_index
from udsph_tf.serving.web import SearchEngine, SearchOptions, create_app

QUERY = {"text": "a red circle", "find": "texts", "k": 84}


@pytest.fixture
def copied(tiny_index, tmp_path):
    return shutil.copytree(tiny_index, tmp_path / "index")


@pytest.fixture
def alone(tiny_export, copied):
    return SearchEngine(tiny_export, copied)


def found(engine):
    hits = engine.search_text("a red circle", SearchOptions(find="texts", k=84)).hits
    return [hit.item.id for hit in hits]


def test_reload_of_an_unchanged_index_does_nothing(alone):
    assert alone.reload() is None
    assert alone.snapshot.generation == 1


def test_reload_after_deleting_and_compacting_serves_what_is_left(alone, copied):
    first = found(alone)[0]
    delete_items(copied, [first])
    assert first in found(alone)
    assert alone.reload() is True
    assert first not in found(alone)
    compact_index(copied)
    before = found(alone)
    assert alone.reload() is True
    assert alone.snapshot.generation == 3
    assert found(alone) == before


def test_reload_of_a_damaged_index_keeps_the_old_one(alone, copied, caplog):
    before = found(alone)
    (copied / "index.json").write_text("{")
    assert alone.reload() is False
    assert "The new index is not used" in caplog.text
    assert alone.reload() is None  # said once
    assert found(alone) == before


def test_reload_of_another_models_index_keeps_the_old_one(alone, copied):
    index = open_index(copied)
    code = index.image.codes([0])
    write_index(
        copied,
        image_packed=code,
        text_packed=code,
        items=[index.catalogue[0]],
        model_checksum="another",
        overwrite=True,
    )
    assert alone.reload() is False
    assert len(found(alone)) == 84


def test_vanished_index_folder_goes_on_being_served(alone, copied):
    before = found(alone)
    shutil.rmtree(copied)
    assert alone.reload() is None
    assert found(alone) == before


def test_requests_during_reloads_all_succeed(alone, copied, serve):
    stop, answers = threading.Event(), []

    def ask(address):
        with httpx.Client(timeout=30) as client:
            while not stop.is_set():
                answers.append(client.post(address, json=QUERY))

    with serve(create_app(alone, reload_seconds=0.05)) as served:
        address = f"{served.url}/v1/search/text"
        threads = [threading.Thread(target=ask, args=(address,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        while not answers:
            time.sleep(0.01)
        for name in ("000", "001", "002", "003"):
            delete_items(copied, [name])
            time.sleep(0.1)
        compact_index(copied)
        deadline = time.monotonic() + 10
        while alone.snapshot.generation < 3 and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.3)
        stop.set()
        for thread in threads:
            thread.join(10)
        metrics = httpx.get(f"{served.url}/metrics").text
    assert {answer.status_code for answer in answers} == {200}
    generations = {answer.json()["generation"] for answer in answers}
    assert len(generations) >= 3
    numbers = {len(answer.json()["hits"]) for answer in answers}
    assert numbers <= {84, 83, 82, 81, 80}
    assert {84, 80} <= numbers
    assert 'udsph_index_reloads_total{result="success"}' in metrics
