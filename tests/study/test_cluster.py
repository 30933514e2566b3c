"""Studies on a Ray cluster of two nodes on this machine: real trainings, and whatever can die does."""

import importlib.util
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from pathlib import Path

import pytest

from mnist_drill.course.notebooks import ROOT
from mnist_drill.errors import DrillError
from mnist_drill.study import throughput
from tests.comparing import runs_in

pytestmark = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed: pip install ray")

PROGRAM = Path(__file__).parent / "small_study.py"
STUDY = """
network = "nets.py:Net"
seeds = 12
evaluated_on = "test"
recipe = {epochs = 1, batch_size = 50, learning_rate = 0.01}
[rows.slow]
[rows.fast]
recipe.learning_rate = 0.1
"""
# Each training is noted when it begins, and takes as long as it takes to be killed.
NETS = """
import os, time
import torch
from torch import nn


class Net(nn.Sequential):
    def __init__(self):
        if torch.initial_seed():
            time.sleep(1)
            with open({begun!r}, "a") as begun:
                print(torch.initial_seed(), file=begun)
        super().__init__(nn.Conv2d(1, 4, 5, stride=3), nn.ReLU(), nn.Flatten(), nn.Linear(256, 10))
"""


@pytest.fixture
def drill(tmp_path):
    """Starts `study` on 500 images in a process of its own; `mark` is in the environment of all that this starts."""
    mark = uuid.uuid4().hex
    (tmp_path / "study.toml").write_text(STUDY)
    (tmp_path / "nets.py").write_text(NETS.format(begun=str(tmp_path / "begun")))
    (tmp_path / "begun").touch()

    def start(out, *options, path=ROOT):
        settings = {"PYTHONPATH": str(path), "OMP_NUM_THREADS": "1", "MARK": mark}
        return subprocess.Popen(
            [sys.executable, PROGRAM, "study", "study.toml", "--device", "cpu", "--out", tmp_path / out, *options],
            cwd=tmp_path, env={**os.environ, **settings}, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    start.mark = mark
    return start


@pytest.fixture(scope="module")
def cluster():
    """A cluster of two nodes with a core each, and the second node."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    yield cluster
    cluster.shutdown()


def processes(found):
    """The processes of this machine for which `found` is true of their `psutil.Process`."""
    import psutil

    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and found(process):
                yield process
        except psutil.Error:
            pass


def workers():
    return list(processes(lambda process: process.cmdline()[:1] == ["ray::_train_on_node"]))


def wait_for(condition, running=None, seconds=600):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert running is None or running.poll() is None, running.communicate()
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    return value


@pytest.mark.cluster
def test_whatever_dies_every_run_is_there_once_and_as_it_is_without_ray(drill, cluster, tmp_path):
    serial = drill("serial")
    assert serial.wait() == 0, serial.communicate()
    (tmp_path / "begun").write_text("")
    out = tmp_path / "out"

    def begun():
        return Counter(map(int, (tmp_path / "begun").read_text().split()))

    def finished(number):
        return lambda: len(list(out.glob("runs/*.json"))) >= number

    node = cluster.add_node(num_cpus=1)
    running = drill("out", "--ray", cluster.address)
    wait_for(finished(3), running)
    os.kill(wait_for(workers, running)[0].pid, signal.SIGKILL)
    wait_for(finished(8), running)
    cluster.remove_node(node, allow_graceful=False)
    wait_for(finished(14), running)
    running.kill()
    running.wait()
    wait_for(lambda: not workers())  # the cluster ends what the driver had begun
    before, seconds = runs_in(out), {path: path.read_bytes() for path in out.glob("runs/*.json")}
    assert 14 <= len(before) < 24
    begun_before = begun()

    again = drill("out", "--ray", cluster.address)
    output, errors = again.communicate()
    assert again.returncode == 0, errors
    assert f"24 runs are in {out}, {24 - len(before)} of them new" in output
    assert runs_in(out) == runs_in(tmp_path / "serial")
    assert len(runs_in(out)) == 24
    assert {path: path.read_bytes() for path in seconds} == seconds
    both = Counter(run.seed for run in before.values())
    assert all(begun()[seed] == begun_before[seed] for seed, rows in both.items() if rows == 2)
    # One was under way when the worker died, one when the node died, and one or two when the driver did.
    assert begun().total() <= 24 + 4


@pytest.mark.cluster
@pytest.mark.parametrize("where", ["cluster", "local"])
def test_an_interrupt_leaves_no_process_and_keeps_the_finished_runs(drill, cluster, tmp_path, where):
    running = drill("out", "--ray", cluster.address if where == "cluster" else "local", "--seeds", "400")
    wait_for(lambda: len(list(tmp_path.glob("out/runs/*.json"))) >= 2, running)
    assert workers()
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=300)
    assert running.returncode == 130, errors
    assert errors.splitlines()[-1].startswith("Interrupted: ")
    assert "Traceback" not in errors
    wait_for(lambda: not workers(), seconds=60)
    if where == "local":
        wait_for(lambda: not list(processes(lambda each: each.environ().get("MARK") == drill.mark)), seconds=60)
    assert 2 <= len(runs_in(tmp_path / "out")) < 800


@pytest.mark.cluster
def test_a_population_and_a_network_that_fails_on_the_cluster(drill, cluster, tmp_path):
    together = drill("out", "--ray", cluster.address, "--population", "3", "--seeds", "3")
    assert together.wait() == 0, together.communicate()
    runs = runs_in(tmp_path / "out").values()
    assert [run.environment["population"] for run in runs] == [3] * 6
    nets = (tmp_path / "nets.py").read_text()
    (tmp_path / "nets.py").write_text(nets.replace("time.sleep(1)", "1 / 0"))
    failing = drill("out", "--ray", cluster.address)
    _, errors = failing.communicate()
    assert failing.returncode == 2
    assert errors.splitlines()[-1].startswith("Error: row 'slow', seed 1: nets.py, line 10, ZeroDivisionError")


@pytest.mark.cluster
def test_a_run_that_kills_its_worker_is_given_up_in_one_line(drill, cluster, tmp_path):
    nets = (tmp_path / "nets.py").read_text()
    (tmp_path / "nets.py").write_text(nets.replace("time.sleep(1)", "os.kill(os.getpid(), 9)"))
    failing = drill("out", "--ray", cluster.address)
    _, errors = failing.communicate()
    assert failing.returncode == 2
    assert "WorkerCrashedError, after 3 retries" in errors.splitlines()[-1]


@pytest.mark.cluster
def test_a_cluster_of_another_version_is_one_line(drill, cluster, tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import ray\nray.__version__ = '1.2.3'\n")
    other = drill("out", "--ray", cluster.address, path=f"{tmp_path}{os.pathsep}{ROOT}")
    _, errors = other.communicate()
    assert other.returncode == 2, errors
    last = errors.splitlines()[-1]
    assert last.startswith("Error: the Ray cluster at ")
    assert "has other versions; install the same on both sides" in last
    assert "Ray: 1.2.3" in last


@pytest.mark.cluster
def test_throughput_is_measured_in_turns_and_no_run_is_stored(drill, tmp_path):
    (tmp_path / "study.toml").write_text(STUDY.replace("seeds = 12", "seeds = 1"))
    arguments = ["study", "throughput", "study.toml", "--rounds", "1", "--out", "rates.json"]
    done = subprocess.run(
        [sys.executable, PROGRAM, *arguments], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = [re.split("  +", line) for line in done.stdout.splitlines()[-3:]]
    assert [name for name, *_ in rows] == ["one job of 2 threads", "--jobs 2", "--ray local"]
    assert all(float(rate) > 0 for _, rate, _ in rows)
    assert rows[1][2] == "1.00 to 1.00"
    stored = throughput.load(tmp_path / "rates.json")
    assert repr(throughput.table(stored["runs per minute"])) in done.stdout
    assert not (tmp_path / "runs").exists()


def test_a_cluster_that_is_not_there_is_one_error():
    from mnist_drill.study.cluster import on_ray

    for address, message in (("127.0.0.1:9", "127.0.0.1:9: .*refused"), ("nowhere:port", "nowhere:port: ")):
        expected = f"cannot reach the Ray cluster at {message}.*: `ray start --head` starts one here"
        with pytest.raises(DrillError, match=expected):
            next(on_ray(lambda: None, lambda: None, "cpu", address))
