"""A real browser, headless, and what a person does in it: draw, point, press keys."""

import base64
import functools
import http.server
import io
import json
import shutil
import threading
import time

import numpy as np
import pytest
from PIL import Image

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# A 7, as shares of the pad.
SEVEN = [(0.25, 0.2), (0.5, 0.2), (0.75, 0.2), (0.65, 0.45), (0.5, 0.8)]


def start(folder):
    """A browser with a new profile in `folder`; the test is skipped where there is none."""
    selenium = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    from selenium.webdriver.chrome.service import Service

    browser = next((path for path in map(shutil.which, NAMES) if path), None)
    driver = shutil.which("chromedriver")
    if not browser or not driver:
        pytest.skip(f"no browser is here: install chromium and chromedriver (found {browser} and {driver})")
    options = selenium.ChromeOptions()
    options.binary_location = browser
    for argument in (
        "headless=new", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking",
        "disable-component-update", "disable-sync", "disable-dev-shm-usage", f"user-data-dir={folder}",
    ):  # fmt: skip
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    started = selenium.Chrome(options=options, service=Service(driver))
    started.set_script_timeout(300)
    return started


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def serve(folder):
    """A server of the files in a folder, and its address."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, f"http://127.0.0.1:{server.server_port}/"


def emulate(driver, width, height=900, dark=False):
    """A window of that size, in light or dark."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})


def wait(driver, script, *arguments, seconds=60):
    """What the script returns, as soon as that is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = driver.execute_script(script, *arguments)
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"waited in vain for {script}")


def frames(driver, count=2):
    """Lets the page draw."""
    script = "let n = arguments[0], done = arguments[1]; const f = () => n-- ? requestAnimationFrame(f) : done(); f();"
    driver.execute_async_script(script, count)


def ready(driver):
    """Waits until the page has answered."""
    script = "return document.querySelector('.layer') && document.querySelector('.answer span').textContent"
    wait(driver, script)
    frames(driver)


def draw(driver, points=SEVEN, kind="mouse"):
    """Draws a line on the pad, with the events of a mouse or of a finger."""
    from selenium.webdriver.common.actions.action_builder import ActionBuilder
    from selenium.webdriver.common.actions.pointer_input import PointerInput

    pad = driver.find_element("css selector", ".pad")
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", pad)
    frames(driver)
    size = pad.size
    actions = ActionBuilder(driver, mouse=PointerInput(kind, kind), duration=20)
    pointer = actions.pointer_action
    for number, (x, y) in enumerate(points):
        pointer.move_to(pad, int((x - 0.5) * size["width"]), int((y - 0.5) * size["height"]))
        if number == 0:
            pointer.pointer_down()
    pointer.pointer_up()
    actions.perform()
    frames(driver)


def point_at(driver, step, channel, row, column):
    """Moves the mouse over a unit's centre."""
    from selenium.webdriver import ActionChains

    maps = driver.find_elements("css selector", ".maps canvas:first-child")[step]
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", maps)
    frames(driver)
    x, y = driver.execute_script(
        "const [maps, channel, row, column] = arguments, box = maps.getBoundingClientRect();"
        "const scale = box.width / maps.width;"
        "const tiles = maps.layout, [left, top] = tiles.corner(channel), middle = (at) => (at + 0.5) * tiles.grain;"
        "return [scale * (left + middle(column)) - box.width / 2, scale * (top + middle(row)) - box.height / 2];",
        maps, channel, row, column,
    )  # fmt: skip
    ActionChains(driver, duration=20).move_to_element_with_offset(maps, round(x), round(y)).perform()
    frames(driver)


def switches(driver, count):
    """Has the page run anew so often, by its switch; returns the median of its own times, in ms by the clock."""
    times = driver.execute_async_script(
        "let [left, done] = arguments, times = [];"
        "const watch = new PerformanceObserver((list) => times.push(...list.getEntriesByName('drill-frame')));"
        "watch.observe({ type: 'measure' });"
        "const slide = document.querySelector('.switch input');"
        "const next = () => { if (!left--) return setTimeout(() => done(times.map(({ duration }) => duration)), 200);"
        "  slide.click(); requestAnimationFrame(() => requestAnimationFrame(next)); };"
        "next();",
        count,
    )
    assert len(times) >= count - 2
    return float(np.median(times))


def processor_time(driver, count):
    """Runs the page so often; returns the median by the clock, and processor times of its main thread for each run."""
    driver.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})

    def spent():
        metrics = driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
        return {metric["name"].removesuffix("Duration"): 1000 * metric["value"] for metric in metrics}

    before = spent()
    clock = switches(driver, count)
    after = spent()
    parts = ("Script", "RecalcStyle", "Layout", "Task")  # the last is all, painting included
    return clock, {part: round((after[part] - before[part]) / count, 1) for part in parts}


def probabilities(driver):
    """The ten probabilities as they are written, in percent."""
    texts = [share.text for share in driver.find_elements("css selector", ".probability .share")]
    return [float(text.removesuffix(" %")) for text in texts]


def pixels(driver, selector):
    """A canvas as bytes of shape (height, width, 4)."""
    script = "return document.querySelector(arguments[0]).toDataURL().split(',')[1]"
    content = base64.b64decode(driver.execute_script(script, selector))
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGBA"))


def requests(driver):
    """The addresses that the browser asked for since it was last asked."""
    messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    return [x["params"]["request"]["url"] for x in messages if x["method"] == "Network.requestWillBeSent"]


def complaints(driver):
    """What the page's scripts complained of."""
    return [entry["message"] for entry in driver.get_log("browser") if "favicon" not in entry["message"]]
