"""The bootstrap cell, first in every notebook: it finds the package, clones it in Colab, or says what is missing."""

import http.server
import json
import os
import re
import subprocess
import sys
import threading
import urllib.parse
from pathlib import Path

import pytest

from mnist_drill.course.notebooks import ROOT
from tests.notebooks.books import FIRST, INSTALLED


def without_address(source):
    """The bootstrap cell before `badges` filled in its constant."""
    return re.sub(r'^REPOSITORY = ".*?"', 'REPOSITORY = ""', source, flags=re.M)


def bootstrap(folder, environment, source=None):
    source = source or without_address(FIRST.code[0].source)
    code = f"{source}\nimport mnist_drill\nprint(mnist_drill.__file__)"
    return subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True)


@pytest.fixture
def uninstalled(colab):
    """The environment of Colab, where the package is not installed."""
    if INSTALLED:
        pytest.skip("the package is installed, so the bootstrap cell has nothing to do")
    return colab


def test_bootstrap_uses_the_constant_when_no_variable_is_set(uninstalled, tmp_path):
    address = uninstalled["MNIST_DRILL_REPOSITORY"]
    environment = {key: value for key, value in uninstalled.items() if key != "MNIST_DRILL_REPOSITORY"}
    source = without_address(FIRST.code[0].source).replace('REPOSITORY = ""', f'REPOSITORY = "{address}"')
    assert "mnist-drill" in bootstrap(tmp_path, environment, source).stdout


def test_bootstrap_uses_the_address_that_colab_opened_the_notebook_from(uninstalled, tmp_path):
    page = "https://github.com/owner/repo/blob/main/notebooks/01_setup.ipynb"
    sessions = [{"name": "01_setup.ipynb", "path": f"fileId={urllib.parse.quote(page, safe='')}"}]

    class Colab(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/api/sessions" else 404)
            self.end_headers()
            self.wfile.write(json.dumps(sessions).encode())

        def log_message(self, *args):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Colab)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    environment = {
        **uninstalled,
        "COLAB_JUPYTER_IP": "127.0.0.1",
        "KMP_TARGET_PORT": str(server.server_port),
        # git fetches the address that the cell found from the copy on this machine
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{uninstalled['MNIST_DRILL_REPOSITORY']}.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://github.com/owner/repo",
    }
    del environment["MNIST_DRILL_REPOSITORY"]
    run = bootstrap(tmp_path, environment)
    server.shutdown()
    assert "mnist-drill" in run.stdout, run.stderr


def test_bootstrap_without_an_address_says_what_to_fill_in(uninstalled, tmp_path):
    environment = {key: value for key, value in uninstalled.items() if key != "MNIST_DRILL_REPOSITORY"}
    run = bootstrap(tmp_path, environment)
    assert run.returncode != 0
    assert "REPOSITORY" in run.stderr
    assert "Traceback" not in run.stderr


def test_bootstrap_outside_colab_and_clone_says_so(uninstalled, tmp_path):
    run = bootstrap(tmp_path, {key: value for key, value in uninstalled.items() if key != "PYTHONPATH"})
    assert run.returncode != 0
    assert "open this notebook in a clone" in run.stderr
    assert "Traceback" not in run.stderr
    assert not list(tmp_path.iterdir())


def test_bootstrap_in_a_clone_changes_nothing_but_the_path(mnist):
    run = bootstrap(ROOT / "notebooks", dict(os.environ))
    assert Path(run.stdout.strip()).parents[1] == ROOT
