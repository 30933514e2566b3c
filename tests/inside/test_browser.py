"""The page in a real browser: drawn on, pointed at, scrubbed and switched, as a person would."""

import numpy as np
import pytest

from mnist_drill.inside import trained
from mnist_drill.inside.page import write_page
from mnist_drill.receptive_field import trace
from mnist_drill.stages import STAGES
from tests.inside import browser

MARK = (0xD9, 0x73, 0x0D)  # the colour of what is pointed at, in light
FRAME = 16  # ms


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    write_page(folder)
    server, address = browser.serve(folder)
    yield folder, address
    server.shutdown()


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    driver = browser.start(tmp_path_factory.mktemp("profile"))
    yield driver
    driver.quit()


@pytest.fixture
def page(started, site):
    """The page, opened anew at desktop size, light."""
    browser.emulate(started, 1280)
    started.get(site[1])
    browser.ready(started)
    browser.complaints(started), browser.requests(started)
    return started


def empty(driver):
    browser.wait(driver, "return document.querySelector('.answer span').textContent === 'Nothing is drawn yet.'")


def choose(driver, name):
    driver.execute_script("document.querySelector(`.choices input[value=${arguments[0]}]`).click()", name)
    count = len(trace(STAGES[name].network()))
    browser.wait(driver, "return document.querySelectorAll('.layer').length === arguments[0]", count)
    browser.frames(driver)


@pytest.mark.parametrize("kind", ["mouse", "touch"])
def test_a_drawn_seven_is_answered_with_its_probabilities(page, kind):
    browser.emulate(page, 1280 if kind == "mouse" else 390)
    page.find_element("xpath", "//button[text()='Clear']").click()
    empty(page)
    browser.draw(page, kind=kind)
    shares = browser.probabilities(page)
    assert np.argmax(shares) == 7
    assert shares[7] > 50
    assert sum(shares) == pytest.approx(100, abs=0.6)
    scrolled = page.execute_script("return scrollY")
    browser.draw(page, [(0.5, 0.9), (0.5, 0.3)], kind)  # up: a finger that scrolled would move the page
    assert page.execute_script("return scrollY") == scrolled
    assert browser.complaints(page) == []


@pytest.mark.slow
def test_a_seven_in_a_corner_needs_the_preprocessing(page):
    page.find_element("xpath", "//button[text()='Clear']").click()
    browser.draw(page, [(x * 0.35, y * 0.35) for x, y in browser.SEVEN])
    assert np.argmax(browser.probabilities(page)) == 7
    with_it = browser.pixels(page, ".given")
    page.find_element("css selector", ".switch").click()
    browser.frames(page)
    without = browser.pixels(page, ".given")
    columns = np.flatnonzero((without != without[-1, -1]).any(axis=2).any(axis=0))
    assert columns.max() < 0.5 * without.shape[1], "it stays in its corner"
    assert (with_it != with_it[0, 0]).any(axis=2)[120:160, 120:160].any()


@pytest.mark.slow
def test_the_keyboard_alone_draws_and_undoes(page):
    from selenium.webdriver.common.keys import Keys

    page.execute_script(
        "const node = document.querySelector('.spoken'); window.heard = [];"
        "new MutationObserver(() => heard.push(node.textContent)).observe(node, { childList: true })"
    )
    pad = page.find_element("css selector", ".pad")
    pad.send_keys(Keys.DELETE)
    empty(page)
    pad.send_keys(" ", *[Keys.ARROW_DOWN] * 16, " ")
    browser.frames(page)
    assert np.argmax(browser.probabilities(page)) == 1
    browser.wait(page, "return heard.some((text) => text.startsWith('The answer is 1, '))")
    heard = page.execute_script("return heard")
    assert heard.index("pen down: arrow keys draw") < heard.index("row 23, column 14") < heard.index("pen up")
    pad.send_keys(Keys.BACKSPACE)
    empty(page)
    browser.wait(page, "return document.activeElement === document.querySelector('.pad')")


@pytest.mark.parametrize(
    "name", [*(pytest.param(name, marks=pytest.mark.slow) for name in trained.names()[:-1]), trained.names()[-1]]
)
def test_the_receptive_field_of_a_unit_is_the_one_that_trace_gives(page, name):
    choose(page, name)
    for step, layer in enumerate(trace(STAGES[name].network())):
        for row, column in {(0, 0), (layer.size_out // 2, layer.size_out - 1)}:
            browser.point_at(page, step, layer.channels_out - 1, row, column)
            top, left = (layer.first_out + layer.jump_out * at for at in (row, column))
            # Read within the page, which may draw its lens anew between two questions.
            field = f"{top},{left},{layer.field_out}"
            browser.wait(page, "return document.querySelector('.lens')?.dataset.field === arguments[0]", field)
            seen = [max(0, top), min(28, top + layer.field_out), max(0, left), min(28, left + layer.field_out)]
            given = page.execute_script("return document.querySelector('.lens').dataset.seen")
            assert given == ",".join(map(str, seen)), layer.kind
            # As it is drawn: the orange outline, in cells of ten pixels, two of them around the image.
            drawn = browser.pixels(page, ".lens-picture canvas")
            rows, columns = np.nonzero((drawn[..., :3] == MARK).all(axis=2))
            assert rows.min() == pytest.approx(max(0, 10 * (top + 2)), abs=2)
            assert rows.max() == pytest.approx(min(319, 10 * (top + layer.field_out + 2)), abs=2)
            assert columns.min() == pytest.approx(max(0, 10 * (left + 2)), abs=2)
            assert columns.max() == pytest.approx(min(319, 10 * (left + layer.field_out + 2)), abs=2)
    assert browser.complaints(page) == []


@pytest.mark.slow
def test_units_are_reached_with_the_keyboard_and_read_out(page):
    from selenium.webdriver.common.keys import Keys

    maps = page.find_elements("css selector", ".maps canvas:first-child")[1]
    maps.send_keys(Keys.PAGE_DOWN, Keys.ARROW_RIGHT, Keys.ARROW_UP)
    browser.frames(page)
    spoken = page.find_element("css selector", ".spoken").get_attribute("textContent")
    assert spoken.startswith("Layer 2, channel 2, row 13, column 15.")
    assert "Sees 5×5 pixels" in spoken


def test_scrubbing_shows_the_accuracy_and_the_weights_of_each_epoch(page):
    name = next(x for x in trained.names() if len(trained.load(x)[2]) > 1)
    choose(page, name)
    run, _, epochs = trained.load(name)
    slider = page.find_element("css selector", ".scrub input")
    logits = set()
    for epoch in (1, len(epochs) // 2, len(epochs)):
        page.execute_script(
            "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input'))", slider, epoch
        )
        accuracy = f"{run.epochs[epoch - 1].test_accuracy:.2f} %"
        browser.wait(page, "return document.querySelector('.reached b').textContent === arguments[0]", accuracy)
        browser.frames(page)
        logits.add(page.find_element("css selector", ".decision p").text)
    assert len(logits) == 3


@pytest.mark.slow
def test_the_most_confident_errors_are_errors(page):
    name = trained.names()[-1]
    images = trained.load_images()
    for position in images["errors"][name][:4]:
        page.find_elements("xpath", "//button[text()='Next']")[-1].click()
        browser.frames(page)
        place = page.find_element("css selector", ".place").text
        label = images["images"][str(position)]["label"]
        assert place.endswith(f"labelled {label}")
        assert np.argmax(browser.probabilities(page)) != label


def test_no_request_leaves_the_machine_and_the_page_works_from_the_disk(started, site):
    folder, address = site
    for start in (address, folder.joinpath("index.html").as_uri()):
        started.get("about:blank")
        browser.requests(started)
        started.get(start)
        browser.ready(started)
        for name in trained.names():
            choose(started, name)
        asked = [url for url in browser.requests(started) if not url.startswith(("data:", "blob:"))]
        assert len(asked) > len(trained.names())
        assert [url for url in asked if not url.startswith(start.removesuffix("index.html"))] == []
        assert browser.complaints(started) == []


@pytest.mark.slow
def test_weights_that_do_not_fit_are_one_line_and_the_rest_goes_on(page, site):
    folder, _ = site
    names = trained.names()
    if len(names) < 2:
        pytest.skip("only one stage is stored")
    path = folder / f"{names[0]}.js"
    whole = path.read_text()
    try:
        for content, said in ((whole.replace('= "', '= "AAAA'), "do not fit"), ("", "cannot be loaded")):
            path.write_text(content)
            page.refresh()
            browser.ready(page)
            page.execute_script("document.querySelector(`.choices input[value=${arguments[0]}]`).click()", names[0])
            fault = browser.wait(page, "return document.querySelector('.fault:not([hidden])')?.textContent")
            assert said in fault
            assert "\n" not in fault
            assert page.find_element("css selector", f".choices input[value={names[-1]}]").is_selected()
            browser.draw(page)
            assert sum(browser.probabilities(page)) == pytest.approx(100, abs=0.6)
    finally:
        path.write_text(whole)


@pytest.mark.slow
@pytest.mark.parametrize("broken", [["stage1"], ["stage1", "stage2"]])
def test_of_two_networks_chosen_at_once_the_last_that_can_be_loaded_is_shown(page, site, broken):
    folder, _ = site
    whole = {folder / f"{name}.js": (folder / f"{name}.js").read_text() for name in broken}
    expected = trained.names()[-1] if len(broken) == 2 else "stage2"
    try:
        for path in whole:
            path.write_text("")
        page.refresh()
        browser.ready(page)
        page.execute_script(
            "for (const name of ['stage1', 'stage2'])  document.querySelector(`.choices input[value=${name}]`).click();"
        )
        if expected == "stage2":
            accuracy = f"{trained.load(expected)[0].last.test_accuracy:.2f} %"
            browser.wait(page, "return document.querySelector('.reached b').textContent === arguments[0]", accuracy)
        else:
            browser.wait(page, "return document.querySelector('.fault:not([hidden])')")
        browser.frames(page, 20)
        assert page.find_element("css selector", f".choices input[value={expected}]").is_selected()
        assert len(page.find_elements("css selector", ".layer")) == len(trace(STAGES[expected].network()))
    finally:
        for path, text in whole.items():
            path.write_text(text)


@pytest.mark.slow
def test_it_fits_a_phone_and_follows_light_and_dark(page):
    browser.emulate(page, 390, 844)
    page.refresh()
    browser.ready(page)
    assert page.execute_script("return document.documentElement.scrollWidth") == 390
    light = page.execute_script("return getComputedStyle(document.querySelector('.drill')).backgroundColor")
    browser.emulate(page, 390, 844, dark=True)
    browser.wait(page, "return document.querySelector('.drill').dataset.theme === 'dark'")
    assert page.execute_script("return getComputedStyle(document.querySelector('.drill')).backgroundColor") != light
    page.execute_script("document.body.dataset.jpThemeLight = 'true'")  # what JupyterLab says comes first
    browser.wait(page, "return document.querySelector('.drill').dataset.theme === 'light'")


@pytest.mark.slow
def test_a_frame_is_computed_and_drawn_in_time(page):
    """The preprocessing, the forward pass, all maps and the layout: processor time of the page's main thread, since
    other programs may run. That of the small stages is asserted."""
    browser.draw(page)
    for name in trained.names():
        choose(page, name)
        small = STAGES[name].parameters < 10_000
        browser.switches(page, 30 if small else 3)  # until it is compiled
        clock, spent = browser.processor_time(page, 60 if small else 10)
        print(f"{name}: {clock:.1f} ms for each frame by the clock; processor time {spent}")
        if small:
            assert spent["Script"] + spent["RecalcStyle"] + spent["Layout"] < FRAME
