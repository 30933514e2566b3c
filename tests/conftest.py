import http.server
import os
import signal
import threading
from pathlib import Path

# Side by side, by pytest-xdist, each process takes its share of the cores, and so do those that its tests start.
if WORKERS := os.environ.get("PYTEST_XDIST_WORKER_COUNT"):
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // int(WORKERS))))
    os.environ.pop("PYTEST_ADDOPTS", None)  # for a pytest that a test starts

# A shell that starts its jobs in the background has them ignore Ctrl-C, which some tests press.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

import matplotlib
import pytest

from mnist_drill import data, train
from mnist_drill.stages import NETWORKS, STAGES
from mnist_drill.storage import mnist as source

matplotlib.use("Agg")


# Those that take longest, which are begun first: the last ones that run side by side are short then.
LONGEST = (
    "test_fifth_stage.py", "notebooks/test_execution.py", "faults/test_kills.py", "zoo/test_adapted.py",
    "cli/test_study.py", "evidence/test_collect.py", "test_workflows.py", "inside/test_trained.py",
    "course/test_built_site.py", "cli/test_studies.py", "benchmark/test_report.py", "notebooks/test_your_network.py",
    "inputs/test_reading.py", "study/test_many_runs.py", "inputs/test_pictures.py",
)  # fmt: skip


def pytest_collection_modifyitems(items):
    places = {Path(__file__).parent / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


@pytest.fixture(scope="session")
def mnist():
    """The real training set and test set, fetched once where they are missing."""
    return data.load()


@pytest.fixture(scope="session")
def few(mnist):
    """500 training images and 500 test images: enough to train on for a moment."""
    train_set, test_set = mnist
    return train_set[:500], test_set[:500]


@pytest.fixture
def without_stage1():
    """Networks and stages without stage 1, which takes many times as long as the others, and no other way."""
    kept = [(each, dict(each)) for each in (NETWORKS, STAGES)]
    for each, _ in kept:
        del each["stage1"]
    yield
    for each, whole in kept:  # in their order, which `monkeypatch.delitem` would not restore
        each.clear()
        each.update(whole)


@pytest.fixture
def interrupted_at(monkeypatch):
    """Has Ctrl-C pressed once, at the start of the epoch of that number, counted over all trainings of a test.

    Returns a list with an element for each epoch that was begun.
    """

    def arrange(number):
        train_epoch = train.train_epoch
        epochs = []

        def interrupted(*arguments):
            epochs.append(1)
            if len(epochs) == number:
                raise KeyboardInterrupt
            return train_epoch(*arguments)

        monkeypatch.setattr(train, "train_epoch", interrupted)
        return epochs

    return arrange


@pytest.fixture
def serve_as_mirror(monkeypatch):
    """Starts a server on this machine with that handler of requests; it is then the only mirror."""
    servers = []

    def serve(handler):
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(source, "MIRRORS", (f"http://127.0.0.1:{server.server_port}/",))

    yield serve
    for server in servers:
        server.shutdown()
