"""The page in JupyterLab: a server, a notebook and a browser, all real."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request

import nbformat
import numpy as np
import pytest

from mnist_drill.course.notebooks import ROOT
from mnist_drill.receptive_field import trace
from mnist_drill.stages import STAGES
from tests.inside import browser

pytestmark = pytest.mark.slow

# A learner's network: stage 2 with the weights that are stored.
SOURCE = """
import torch
from mnist_drill.inside import trained
from mnist_drill.inside.network import with_values
from mnist_drill.inside.notebook import inside
from mnist_drill.models import build

_, steps, epochs = trained.load("stage2")
model = build("stage2")
stored = [step.weight for step in with_values(steps, epochs[-1]) if step.weight is not None]
with torch.no_grad():
    for parameter, weight in zip(model.parameters(), stored, strict=True):
        parameter.copy_(weight)
inside(model)
""".strip()


@pytest.fixture
def lab(tmp_path):
    """JupyterLab on a free port of this machine, with a notebook in its folder; its address."""
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(SOURCE)])
    book.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(book, tmp_path / "book.ipynb")
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT), "JUPYTER_CONFIG_DIR": str(tmp_path / "config"),
        "JUPYTER_DATA_DIR": str(tmp_path / "data"), "JUPYTER_RUNTIME_DIR": str(tmp_path / "runtime"),
    }  # fmt: skip
    port = str(free_port())
    command = [
        sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}",
        "--IdentityProvider.token=", "--ServerApp.password=", f"--ServerApp.root_dir={tmp_path}",
        "--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]  # fmt: skip
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                json.load(urllib.request.urlopen(f"{address}/api/status", timeout=5))
                break
            except OSError:
                assert server.poll() is None, (tmp_path / "log").read_text()
                time.sleep(0.2)
        yield address
    finally:
        server.terminate()
        server.wait(30)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_it_is_drawn_on_in_jupyterlab(lab, tmp_path):
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.keys import Keys

    address = lab
    driver = browser.start(tmp_path / "profile")
    try:
        browser.emulate(driver, 1280)
        driver.get(f"{address}/lab/tree/book.ipynb")
        idle = "return document.querySelector('.jp-Notebook-ExecutionIndicator[data-status=idle]')"
        browser.wait(driver, idle, seconds=180)
        browser.wait(driver, "return !document.querySelector('.jp-NotebookPanel .jp-Spinner, #jupyterlab-splash')")
        browser.wait(driver, "return document.querySelector('.jp-CodeCell .cm-content')").click()
        ActionChains(driver).key_down(Keys.SHIFT).send_keys(Keys.ENTER).key_up(Keys.SHIFT).perform()
        frame = browser.wait(driver, "return document.querySelector('iframe.mnist-drill-inside')", seconds=180)
        browser.requests(driver)

        # JupyterLab's theme, and its change, reach into the frame.
        driver.switch_to.frame(frame)
        browser.ready(driver)
        assert driver.execute_script("return document.querySelector('.drill').dataset.theme") == "light"
        driver.switch_to.default_content()
        driver.execute_script("document.body.dataset.jpThemeLight = 'false'")
        driver.switch_to.frame(frame)
        browser.wait(driver, "return document.querySelector('.drill').dataset.theme === 'dark'")
        driver.switch_to.default_content()
        driver.execute_script("document.body.dataset.jpThemeLight = 'true'")
        driver.switch_to.frame(frame)

        driver.find_element("xpath", "//button[text()='Clear']").click()
        browser.draw(driver)
        shares = browser.probabilities(driver)
        assert np.argmax(shares) == 7
        layer = trace(STAGES["stage2"].network())[4]
        browser.point_at(driver, 4, 3, 2, 5)
        wanted = f"{layer.first_out + 2 * layer.jump_out},{layer.first_out + 5 * layer.jump_out},{layer.field_out}"
        assert driver.find_element("css selector", ".lens").get_attribute("data-field") == wanted

        # Keys that JupyterLab has commands for stay in the frame: the cell is still there, and only the pad is empty.
        driver.find_element("css selector", ".pad").send_keys("d", "d", Keys.DELETE)
        browser.wait(driver, "return document.querySelector('.answer span').textContent === 'Nothing is drawn yet.'")
        driver.switch_to.default_content()
        assert len(driver.find_elements("css selector", ".jp-CodeCell")) >= 1
        others = [url for url in browser.requests(driver) if url.startswith("http") and not url.startswith(address)]
        assert others == []
    except Exception:
        driver.save_screenshot(str(tmp_path / "failed.png"))  # pytest keeps the folder
        raise
    finally:
        driver.quit()
