"""The service on a real socket, over the drawn collection."""

import shutil
import threading
import time

import httpx2 as httpx
import pytest
import uvicorn

from udsph_tf.search import add_items, open_index
from udsph_tf.search.hit import Item
from udsph_tf.serving.web import Limits, SearchEngine, create_app

HOSTILE_TEXT = '<img src=x onerror="document.title=`owned`"><script>document.title="owned"</script>'
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
LIMITS = Limits(upload_bytes=200_000, pixels=1_000_000, text_length=100, k=100, body_seconds=1.5)


class Served:
    """A service that runs in a thread; `url` is its address."""

    def __init__(self, app):
        config = uvicorn.Config(app, port=0, log_level="error", access_log=False)
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)
        port = self.server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        return self

    def __exit__(self, *_):
        self.server.should_exit = True
        self.thread.join(20)


@pytest.fixture(scope="session")
def served_index(tiny_index, tiny_export, tmp_path_factory):
    """The drawn collection and two items of somebody hostile, with nested lengths."""
    folder = shutil.copytree(tiny_index, tmp_path_factory.mktemp("served") / "index")
    index = open_index(folder)
    codes = {
        f"{each}_packed": index.codes_of(each).codes([0, 1]) for each in ("image", "text", "fused")
    }
    items = [
        Item("../../etc/passwd", HOSTILE_TEXT, "/etc/passwd", {"shape": ("<b>bold</b>",)}),
        Item("half \ud83d id", "half \ud83d text", "/nowhere/at/all.png"),
    ]
    add_items(folder, **codes, items=items, model_checksum=index.model_checksum)
    return folder


@pytest.fixture(scope="session")
def engine(tiny_export, served_index):
    return SearchEngine(tiny_export, served_index, LIMITS)


@pytest.fixture(scope="session")
def app(engine):
    return create_app(engine)


@pytest.fixture(scope="session")
def serve():
    """`with serve(app) as served:` runs an app at `served.url`."""
    return Served


@pytest.fixture(scope="session")
def served(app):
    with Served(app) as running:
        yield running


@pytest.fixture(scope="session")
def client(served):
    with httpx.Client(base_url=served.url, timeout=30) as opened:
        yield opened


@pytest.fixture(scope="session")
def picture(tiny_pairs):
    """The bytes of the first drawn picture, a red circle."""
    with open(tiny_pairs.images[0], "rb") as file:
        return file.read()


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium, for which no other machine than this one exists."""
    if not (CHROMIUM and DRIVER):
        pytest.skip("Chromium and its driver are missing: apt-get install chromium chromium-driver")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    # Whatever is not this machine cannot be reached: the pages must work offline.
    options.add_argument("--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    driver.set_window_size(1200, 900)
    yield driver
    driver.quit()
