"""The stop button of a notebook, pressed in the middle of a training: a real kernel, really interrupted."""

import time

import pytest
from jupyter_client.manager import start_new_kernel

from mnist_drill.course.notebooks import ROOT

pytestmark = pytest.mark.slow

SETUP = """
import sys
sys.path.insert(0, ".")
from mnist_drill import data
from mnist_drill.models import build
from mnist_drill.course.claims import claim, judge
from mnist_drill.course.tables import Result
from mnist_drill.recipes import PLAIN
from mnist_drill.train import fit
train_set, test_set = data.load()
model = build("stage2", 1)
"""
TRAIN = """
few = train_set[:500], test_set[:500]
run = fit(model, PLAIN.with_epochs(1000), *few, name="stage2", seed=1, progress=False)
"""
SHOW = 'print(len(run.epochs), run.stopped); Result(run); judge([claim("It has epochs", lambda run: run.epochs)], run)'


@pytest.fixture
def kernel():
    manager, client = start_new_kernel(kernel_name="python3", cwd=str(ROOT))
    yield manager, client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def test_an_interrupted_cell_leaves_a_run_that_can_be_shown_and_judged(kernel):
    manager, client = kernel
    assert client.execute_interactive(SETUP, timeout=60)["content"]["status"] == "ok"
    client.execute(TRAIN)
    printed = ""
    while printed.count("\n") < 4:  # the header and three epochs
        message = client.get_iopub_msg(timeout=60)
        printed += message["content"].get("text", "")
    time.sleep(0.05)
    manager.interrupt_kernel()
    while (reply := client.get_shell_msg(timeout=60))["msg_type"] != "execute_reply":
        pass
    assert reply["content"]["status"] == "ok", reply["content"]
    shown = []
    client.execute_interactive(SHOW, timeout=60, output_hook=lambda message: shown.append(str(message["content"])))
    assert "interrupted after epoch" in "".join(shown)
    assert "✓ It has epochs" in "".join(shown)
