"""The search page in headless Chromium, as a person would use it."""

import pytest


class Page:
    """What a person does on the page, and sees."""

    def __init__(self, driver, url):
        self.driver = driver
        driver.get("about:blank")
        driver.get_log("browser")  # what other pages left there
        driver.get(url)
        self.wait(lambda: self.text("about"))

    def wait(self, condition):
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.driver, 15, poll_frequency=0.05).until(lambda _: condition())

    def find(self, css):
        return self.driver.find_elements("css selector", css)

    def text(self, name):
        return self.find(f"#{name}")[0].text

    def type(self, words):
        box = self.find("#text")[0]
        box.clear()
        box.send_keys(words + "\n")

    def settled(self):
        self.wait(lambda: not self.find("#grid[aria-busy]") and self.text("status") != "Searching…")

    def words(self):
        self.settled()
        return [each.text for each in self.find(".card .words")]

    def press(self, *keys):
        self.driver.switch_to.active_element.send_keys(*keys)

    def select(self, name, value):
        from selenium.webdriver.support.ui import Select

        Select(self.find(name)[0]).select_by_value(value)

    def errors(self):
        """What the browser complains of, but for the picture that is no picture."""
        logged = [each for each in self.driver.get_log("browser") if each["level"] == "SEVERE"]
        return [each for each in logged if "passwd" not in each["message"]]


@pytest.fixture
def page(browser, served):
    return Page(browser, served.url)


def test_page_typed_words_show_pictures_with_distance_and_words(page):
    assert "Type words" in page.text("status")
    page.type("a red circle")
    page.wait(lambda: len(page.find(".card")) == 24)
    cards = page.find(".card")
    assert "red" in cards[0].text
    assert "d = " in cards[0].text
    assert page.text("query-words") == "a red circle"
    loaded = "return [...document.querySelectorAll('.card img')].filter(i => i.naturalWidth).length"
    page.wait(lambda: page.driver.execute_script(loaded) >= 6)
    assert page.errors() == []


def test_page_chosen_and_dropped_picture_is_searched_with(page, tiny_pairs):
    page.find("#file")[0].send_keys(str(tiny_pairs.images[0]))
    page.wait(lambda: page.text("query-words") == "000.jpg")
    chosen = page.words()
    assert "a red circle" in chosen[:6]
    drop = """
        const [words] = arguments, data = new DataTransfer();
        data.items.add(new File([words], "dropped.png", {type: "image/png"}));
        document.dispatchEvent(new DragEvent("drop", {dataTransfer: data, bubbles: true}));
    """
    page.driver.execute_script(drop, "this is no picture")
    page.wait(lambda: "The picture cannot be used" in page.text("error"))
    assert page.find(".card") == []
    assert page.text("query-words") == "dropped.png"


def test_page_clicked_result_is_searched_from_and_back_goes_back(page):
    page.type("a blue square")
    first = page.words()
    page.find(".card")[0].click()
    page.wait(lambda: page.text("query-words") == first[0] and "#id=" in page.driver.current_url)
    page.settled()
    assert page.find("#query-picture")[0].is_displayed()
    page.driver.back()
    page.wait(lambda: page.text("query-words") == "a blue square")
    assert page.words() == first


def test_page_filters_and_reranking_change_what_is_shown(page):
    page.type("a red circle")
    page.settled()
    page.find("#filters summary")[0].click()
    page.select("#fields select[data-field=colour]", "green")
    page.wait(lambda: all("green" in words for words in page.words()))
    assert page.text("filter-count") == "(1)"
    page.find("#rerank")[0].click()
    page.wait(lambda: "re-ranked" in page.text("facts"))
    assert "(" in page.find(".card .numbers")[0].text
    assert not page.find("#bits-label")[0].is_displayed()  # this model has one length
    page.select("#fields select[data-field=shape]", "<b>bold</b>")
    page.wait(lambda: "Nothing found" in page.text("status"))


def test_page_unknown_words_show_a_message(page):
    page.type("连衣裙")
    page.wait(lambda: "The model knows no word" in page.text("error"))


def test_page_texts_of_items_never_run_as_html(page):
    page.select("#k", "96")
    page.type("a red circle")
    page.wait(lambda: len(page.find(".card")) == 86)
    page.settled()
    (hostile,) = page.find('.card[title*="onerror"] .words')
    assert hostile.text.startswith("<img src=x onerror=")
    assert page.find("#grid script, #grid b, #fields b, .words img") == []
    assert "owned" not in page.driver.title
    page.find('.card[title*="onerror"]')[0].click()
    page.wait(lambda: "onerror" in page.text("query-words"))
    page.settled()
    assert page.find("#query-words img") == []
    assert not page.driver.title.startswith("owned")
    page.errors()  # the picture of that item is not there


def test_page_is_used_by_keyboard_alone(page):
    from selenium.webdriver.common.keys import Keys

    page.type("a red circle")
    page.settled()
    active = "return document.activeElement.getAttribute('aria-label') || document.activeElement.id"
    page.press(Keys.ARROW_DOWN)
    assert page.driver.execute_script(active).startswith("1: ")
    page.press(Keys.ARROW_RIGHT)
    assert page.driver.execute_script(active).startswith("2: ")
    page.press(Keys.ENTER)
    page.wait(lambda: "#id=" in page.driver.current_url)
    page.settled()
    page.driver.execute_script("document.activeElement.blur()")
    page.find("body")[0].send_keys("/")
    assert page.driver.execute_script(active) == "text"
    page.press(Keys.ESCAPE)
    assert "Type words" in page.text("status")
    assert page.find(".card") == []


def test_page_on_a_phone_is_not_wider_than_the_screen(page):
    size = {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        page.type("a red circle")
        page.settled()
        page.find("#filters summary")[0].click()
        width = "return document.documentElement.scrollWidth"
        assert page.driver.execute_script(width) <= 360
        assert page.find(".card")[0].size["width"] >= 140
    finally:
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_page_without_service_says_so(browser, app, serve):
    with serve(app_that_ends(app)) as ending:
        page = Page(browser, ending.url)
    page.type("a red circle")
    page.wait(lambda: "cannot be reached" in page.text("error"))


def app_that_ends(app):
    """The same app without its start and end, which belong to the service that goes on."""

    async def only_http(scope, receive, send):
        if scope["type"] == "http":
            await app(scope, receive, send)

    return only_http
