"""The page that hashes and searches in the browser: the same pixels, codes and hits as Python's."""

import base64
import functools
import http.server
import importlib.util
import io
import json
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from absl import flags
from PIL import Image, ImageCms

from udsph_tf.codes import hamming_distance, unpack
from udsph_tf.data.images import load_pixels
from udsph_tf.search import delete_items, open_index
from udsph_tf.serving import ImageEncoder

SOURCE = Path(__file__).parents[3] / "serving" / "web_ondevice"

needs_packages = pytest.mark.skipif(
    not (SOURCE / "node_modules").is_dir(),
    reason=f"the page's packages are missing: npm ci --prefix {SOURCE}",
)


@pytest.fixture(scope="module")
def build():
    spec = importlib.util.spec_from_file_location("build_on_device_page", SOURCE / "build.py")
    module = importlib.util.module_from_spec(spec)
    before = set(flags.FLAGS)
    spec.loader.exec_module(module)
    # Its flags are of a program of its own; here they would be in the way of every `udsph`.
    for name in set(flags.FLAGS) - before:
        delattr(flags.FLAGS, name)
    return module.build


@pytest.fixture
def copied(served_index, tmp_path):
    """Folder with a copy of the index that may be changed."""
    shutil.copytree(served_index, tmp_path / "index")
    return tmp_path


class Quiet(http.server.SimpleHTTPRequestHandler):
    extensions_map = {".js": "text/javascript", ".wasm": "application/wasm", "": "text/html"}

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def site(build, tiny_export, served_index, tmp_path_factory):
    """Address of the page over the drawn collection and two items of somebody hostile."""
    folder = tmp_path_factory.mktemp("site") / "page"
    assert build(tiny_export, served_index, folder, variant="float32") == 86
    handler = functools.partial(Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


class Page:
    """What a person does on the page, and what its modules compute."""

    def __init__(self, driver, url):
        self.driver = driver
        driver.get("about:blank")
        driver.get_log("browser")
        driver.get(url)
        self.wait(lambda: self.find("#choose")[0].is_enabled())

    def wait(self, condition):
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.driver, 30, poll_frequency=0.05).until(lambda _: condition())

    def find(self, css):
        return self.driver.find_elements("css selector", css)

    def text(self, name):
        return self.texts(f"#{name}")[0]

    def texts(self, css):
        """What is shown; the driver cannot hand over half a character, which hostile items have."""
        return self.driver.execute_script(
            """
            return [...document.querySelectorAll(arguments[0])].map(
              (each) => each.checkVisibility() ? each.innerText.toWellFormed() : "");
            """,
            css,
        )

    def choose(self, path):
        self.find("#file")[0].send_keys(str(path))
        self.wait(lambda: self.text("query-words") == Path(path).name)
        self.wait(lambda: self.text("error") or "nearest by" in self.text("status"))

    def hits(self):
        """Position and distance of what is shown."""
        shown = self.driver.execute_script("""
            return [...document.querySelectorAll(".card")].map((card) =>
              [card.dataset.position, card.querySelector(".numbers").textContent]);
        """)
        return [(int(position), int(text.split("d = ")[1])) for position, text in shown]

    def code(self):
        packed = bytes.fromhex(self.find("#code")[0].get_attribute("data-hex"))
        return np.frombuffer(packed, np.uint8)[None]

    def compute(self, code, *arguments):
        """What JavaScript returns that may use the page's modules, as JSON."""
        script = f"""
            const [...values] = [...arguments], done = values.pop();
            const bytes = (text) => Uint8Array.from(atob(text), (each) => each.charCodeAt(0));
            const load = (name) => import(new URL(name, document.baseURI));
            (async (values) => {{ {code} }})(values)
              .then((value) => done(JSON.stringify(value)), (error) => done("!" + error.message));
        """
        encoded = [
            base64.b64encode(each).decode() if isinstance(each, bytes) else each
            for each in arguments
        ]
        answer = self.driver.execute_async_script(script, *encoded)
        return answer if answer.startswith("!") else json.loads(answer)

    def pixels(self, data, size):
        values = self.compute(
            """
            const { pixelsOf } = await load("picture.js"), { resize } = await load("resize.js");
            return [...resize(await pixelsOf(new Blob([bytes(values[0])])), values[1])];
            """,
            data,
            size,
        )
        assert not isinstance(values, str), values
        return np.array(values, np.int16).reshape(size, size, 3)

    def complaints(self):
        """What the browser refused or could not load; the runtime logs its notices as errors."""
        logged = (each["message"] for each in self.driver.get_log("browser"))
        notices = ("litert_wasm", "WebGPU", "No available adapters")
        return [each for each in logged if not any(notice in each for notice in notices)]


@pytest.fixture
def page(browser, site):
    return Page(browser, site)


def picture(mode, width, height):
    """A gradient with noise, and every alpha where the mode has one."""
    rng = np.random.default_rng(width)
    ramp = np.linspace(0, 255, width)[None, :, None] + rng.normal(0, 30, (height, width, 4))
    values = ramp.clip(0, 255).astype(np.uint8)
    values[: height // 3, :, 3] = 0
    rgba = Image.fromarray(values, "RGBA")
    if mode == "I;16":
        return Image.fromarray(rng.integers(0, 65536, (height, width), np.uint16))
    return rgba if mode == "RGBA" else rgba.convert("RGB").convert(mode)


def encoded(image, form, **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


TURNED = Image.Exif()
TURNED[0x0112] = 6  # the camera was held upright
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
PICTURES = {
    "rgb": encoded(picture("RGB", 97, 61), "PNG"),
    "same size": encoded(picture("RGB", 32, 32), "PNG"),
    "tall": encoded(picture("RGB", 3, 400), "PNG"),
    "one pixel": encoded(picture("RGB", 1, 1), "PNG"),
    "alpha": encoded(picture("RGBA", 80, 45), "PNG"),
    "grey": encoded(picture("L", 50, 70), "PNG"),
    "grey and alpha": encoded(picture("LA", 33, 21), "PNG"),
    "black and white": encoded(picture("1", 45, 30), "PNG"),
    "palette": encoded(picture("P", 41, 40), "PNG"),
    "palette of four": encoded(picture("RGB", 41, 40).quantize(4), "PNG", bits=2),
    "sixteen bits": encoded(picture("I;16", 40, 40), "PNG"),
    "colour profile": encoded(picture("RGB", 40, 40), "PNG", icc_profile=PROFILE),
    "bmp": encoded(picture("RGB", 70, 50), "BMP"),
    "gif": encoded(picture("P", 70, 50), "GIF"),
    "webp": encoded(picture("RGB", 70, 50), "WEBP", lossless=True),
    "turned webp": encoded(picture("RGB", 70, 50), "WEBP", lossless=True, exif=TURNED),
    "turned png": encoded(picture("RGB", 70, 50), "PNG", exif=TURNED),
    "jpeg": encoded(picture("RGB", 160, 90), "JPEG", quality=90),
    "turned jpeg": encoded(picture("RGB", 160, 90), "JPEG", quality=90, exif=TURNED),
    "grey jpeg": encoded(picture("L", 160, 90), "JPEG", quality=90),
    "progressive jpeg": encoded(picture("RGB", 160, 90), "JPEG", progressive=True),
}


@needs_packages
def test_pixels_equal_pythons(page):
    for name, data in PICTURES.items():
        for size in (32, 128):
            wrong = np.abs(page.pixels(data, size) - load_pixels(data, size))
            assert wrong.max() == 0, (name, size, wrong.max())


@needs_packages
def test_pixels_of_what_is_no_picture_say_why(page):
    script = """
        const { pixelsOf } = await load("picture.js");
        return pixelsOf(new Blob([bytes(values[0])]));
    """
    whole = PICTURES["rgb"]
    too_large = whole[:16] + (50_000).to_bytes(4) * 2 + whole[24:]
    assert "empty" in page.compute(script, b"")
    assert "not a picture" in page.compute(script, b"this is no picture, however long it may be")
    assert "damaged" in page.compute(script, whole[: len(whole) // 2])
    assert "damaged" in page.compute(script, whole[:60] + bytes(9) + whole[69:])
    assert "too many pixels" in page.compute(script, too_large)


@needs_packages
def test_nearest_equals_brute_force_with_ties_by_position(page):
    rng = np.random.default_rng(0)
    for num_bits in (8, 24, 64, 136):
        codes = rng.choice(np.array([0, 1, 129, 255], np.uint8), (3000, num_bits // 8))
        distances = hamming_distance(codes[:1], codes)[0]
        order = np.argsort(distances, kind="stable")
        for k in (1, 24, 5000):
            hits = page.compute(
                """
                const { Codes } = await load("codes.js");
                const [packed, numBits, query, k] = values;
                const hits = new Codes(bytes(packed), numBits).nearest(bytes(query), k);
                return hits.map(({ position, distance }) => [position, distance]);
                """,
                codes.tobytes(),
                num_bits,
                codes[0].tobytes(),
                k,
            )
            assert [each for each, _ in hits] == order[:k].tolist()
            assert [each for _, each in hits] == distances[order[:k]].tolist()


@needs_packages
def test_codes_and_hits_equal_pythons(page, tiny_export, tiny_pairs, served_index):
    """Both drawn kinds, PNG and JPEG; a bit may differ where the logit is next to zero."""
    encoder, index = ImageEncoder(tiny_export), open_index(served_index)
    for source in tiny_pairs.images[:8]:
        outputs = encoder.run([Path(source).read_bytes()])
        page.choose(source)
        differing = unpack(page.code()) != unpack(outputs["packed"])
        assert not (differing & (np.abs(outputs["hash"]) >= 1e-4)).any(), source
        (hits,) = index.search(page.code(), "image", 24)
        expected = [(index.catalogue.find(hit.item.id), hit.distance) for hit in hits]
        assert page.hits() == expected


@needs_packages
def test_page_finds_by_words_or_both_and_shows_more(page, tiny_pairs, served_index):
    from selenium.webdriver.support.ui import Select

    index = open_index(served_index)
    page.choose(tiny_pairs.images[1])
    for modality in ("text", "fused"):
        Select(page.find("#find")[0]).select_by_value(modality)
        (hits,) = index.search(page.code(), modality, 24)
        assert [each for _, each in page.hits()] == [hit.distance for hit in hits]
        assert page.texts(".card .words")[0] == hits[0].item.text
    while page.find("#more")[0].is_displayed():
        page.find("#more")[0].click()
    assert len(page.find(".card")) == 86
    assert page.complaints() == []


@needs_packages
def test_page_result_is_searched_from_and_back_goes_back(page, tiny_pairs):
    page.choose(tiny_pairs.images[1])
    first, words = page.hits(), page.texts(".card .words")[3]
    page.find(".card")[3].click()
    page.wait(lambda: page.text("query-words") == words)
    assert page.hits()[0][1] == 0
    page.driver.back()
    page.wait(lambda: page.text("query-words") == "001.png")
    assert page.hits() == first


@needs_packages
def test_page_takes_dropped_and_pasted_pictures_and_says_what_is_none(page, tiny_pairs):
    give = """
        const [kind, content, name] = arguments, data = new DataTransfer();
        const bytes = Uint8Array.from(atob(content), (each) => each.charCodeAt(0));
        data.items.add(new File([bytes], name, {type: "image/png"}));
        document.dispatchEvent(kind === "drop"
          ? new DragEvent("drop", {dataTransfer: data, bubbles: true})
          : new ClipboardEvent("paste", {clipboardData: data, bubbles: true}));
    """
    content = base64.b64encode(Path(tiny_pairs.images[1]).read_bytes()).decode()
    for kind in ("drop", "paste"):
        page.driver.execute_script(give, kind, content, f"{kind}.png")
        page.wait(lambda kind=kind: page.text("query-words") == f"{kind}.png")
        page.wait(lambda: len(page.find(".card")) == 24)
    page.driver.execute_script(give, "drop", base64.b64encode(b"no picture").decode(), "x.png")
    page.wait(lambda: "This cannot be searched with" in page.text("error"))
    assert page.find(".card") == []
    page.choose(tiny_pairs.images[3])
    assert page.text("error") == ""


@needs_packages
def test_page_texts_of_items_never_run_as_html(page, tiny_pairs):
    page.choose(tiny_pairs.images[0])
    while page.find("#more")[0].is_displayed():
        page.find("#more")[0].click()
    (hostile,) = page.find('.card[title*="onerror"] .words')
    assert hostile.text.startswith("<img src=x onerror=")
    assert page.find(".words *, #query-words *, #grid script") == []
    page.find('.card[title*="onerror"]')[0].click()
    page.wait(lambda: "onerror" in page.text("query-words"))
    assert not page.driver.title.startswith("owned")
    assert page.complaints() == []


@needs_packages
def test_page_is_used_by_keyboard_alone(page, tiny_pairs):
    from selenium.webdriver.common.keys import Keys

    def press(key):
        page.driver.switch_to.active_element.send_keys(key)

    active = "return document.activeElement.getAttribute('aria-label') || document.activeElement.id"
    assert page.driver.execute_script(active) == "choose"
    page.choose(tiny_pairs.images[1])
    press(Keys.ARROW_DOWN)
    assert page.driver.execute_script(active).startswith("1: ")
    press(Keys.ARROW_RIGHT)
    assert page.driver.execute_script(active).startswith("2: ")
    press(Keys.ENTER)
    page.wait(lambda: page.text("query-words") != "001.png")
    press(Keys.ESCAPE)
    assert page.driver.execute_script(active) == "choose"
    assert "start from one of these" in page.text("status")
    assert "d = " not in page.texts(".card")[0]


@needs_packages
def test_page_on_a_phone_is_not_wider_than_the_screen(page, tiny_pairs):
    size = {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        page.choose(tiny_pairs.images[1])
        assert page.driver.execute_script("return document.documentElement.scrollWidth") <= 360
        assert page.find(".card")[0].size["width"] >= 140
    finally:
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@needs_packages
def test_page_without_its_files_says_so(browser, site):
    browser.get(f"{site}?")
    browser.execute_cdp_cmd("Network.enable", {})
    browser.execute_cdp_cmd("Network.setBlockedURLs", {"urls": ["*data/image.tflite"]})
    try:
        browser.refresh()
        shown = lambda: browser.find_element("css selector", "#error").text  # noqa: E731
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(browser, 30).until(lambda _: "The page cannot start" in shown())
    finally:
        browser.execute_cdp_cmd("Network.setBlockedURLs", {"urls": []})
        browser.get_log("browser")


@needs_packages
def test_build_leaves_out_deleted_items_and_all_after_the_first_few(build, tiny_export, copied):
    index, site = copied / "index", copied / "site"
    delete_items(index, ["001"])
    assert build(tiny_export, index, site, variant="dynamic", most=5) == 5
    items = json.loads((site / "data" / "items.json").read_text(encoding="utf-8"))
    assert [each[0] for each in items] == ["000", "002", "003", "004", "005"]
    assert all((site / "data" / "pictures" / f"{place}.jpg").is_file() for place in range(5))
    codes = open_index(index).codes_of("text").codes([0, 2, 3, 4, 5])
    assert (site / "data" / "text.codes").read_bytes() == codes.tobytes()
    with pytest.raises(FileExistsError):
        build(tiny_export, index, site, variant="dynamic")


def test_build_without_packages_says_how_to_install_them(
    build, tiny_export, served_index, tmp_path, monkeypatch
):
    bare = shutil.copytree(SOURCE / "page", tmp_path / "bare" / "page").parent
    monkeypatch.setitem(build.__globals__, "HERE", bare)
    with pytest.raises(FileNotFoundError, match="npm ci --prefix"):
        build(tiny_export, served_index, tmp_path / "site", variant="float32")
    assert not (tmp_path / "site").exists()


@needs_packages
def test_build_of_another_models_index_is_refused(build, tiny_export, served_index, tmp_path):
    export = tmp_path / "export"
    export.mkdir()
    manifest = json.loads((Path(tiny_export) / "manifest.json").read_text(encoding="utf-8"))
    (export / "manifest.json").write_text(json.dumps({**manifest, "model_checksum": "other"}))
    (export / "image.float32.tflite").symlink_to(Path(tiny_export) / "image.float32.tflite")
    with pytest.raises(ValueError, match="another model"):
        build(export, served_index, tmp_path / "site", variant="float32")
    assert not (tmp_path / "site").exists()


def test_lock_names_no_registry():
    lock = json.loads((SOURCE / "package-lock.json").read_text(encoding="utf-8"))
    for name, package in lock["packages"].items():
        assert "resolved" not in package, name
        assert not name or package["integrity"].startswith("sha512-"), name
