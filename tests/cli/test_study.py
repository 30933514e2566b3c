"""Real trainings of small studies: only what is missing, whatever happened before."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from mnist_drill.course.notebooks import ROOT
from mnist_drill.study import execution
from tests.comparing import runs_in

PROGRAM = Path(__file__).parents[1] / "study" / "small_study.py"
STUDY = """
network = "nets.py:Net"
seeds = 2
evaluated_on = "test"
baseline = "slow"
recipe = {epochs = 1, batch_size = 50, learning_rate = 0.01}
[rows.slow]
[rows.fast]
recipe.learning_rate = 0.1
"""
NETS = """
from torch import nn


class Net(nn.Sequential):
    def __init__(self, width=4):
        super().__init__(nn.Conv2d(1, width, 5, stride=3), nn.ReLU(), nn.Flatten(), nn.Linear(64 * width, 10))
"""


@pytest.fixture
def study(tmp_path):
    """Writes a study and its network's file, and returns the study's path."""

    def write(text=STUDY, nets=NETS):
        (tmp_path / "study.toml").write_text(text)
        (tmp_path / "nets.py").write_text(nets)
        return tmp_path / "study.toml"

    return write


@pytest.fixture
def trained(monkeypatch):
    """The row and the seed of each run that is trained."""
    seen = []
    train = execution.train

    def note(work, *rest):
        seen.extend((task.name, task.seed) for task in work)
        return train(work, *rest)

    monkeypatch.setattr(execution, "train", note)
    return seen


def process(path, out, *options):
    return subprocess.Popen(
        [sys.executable, PROGRAM, "study", path, "--device", "cpu", "--out", out, *options], cwd=path.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}, start_new_session=True, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


EVERY = [("slow", 1), ("fast", 1), ("slow", 2), ("fast", 2)]
CHANGES = {
    "nothing": (("", ""), []),
    "a seed more": (("seeds = 2", "seeds = 3"), [("slow", 3), ("fast", 3)]),
    "a row more": (("[rows.fast]", "[rows.new]\nrecipe.momentum = 0\n[rows.fast]"), [("new", 1), ("new", 2)]),
    "another name": (("rows.fast", "rows.renamed"), []),
    "another recipe": (("0.1", "0.2"), [("fast", 1), ("fast", 2)]),
    "source that is not used": (("import nn\n", "import nn\n\n\nOTHER = 3\n"), []),
    "source": (("ReLU", "Tanh"), EVERY),
    "arguments": (("seeds", "arguments.width = 3\nseeds"), EVERY),
    "the split": (('"test"', '"validation"'), EVERY),
}


@pytest.mark.parametrize("change", CHANGES)
def test_only_missing_runs_are_trained(drill, study, tmp_path, trained, change):
    (old, new), expected = CHANGES[change]
    arguments = ["study", study(), "--device", "cpu", "--out", tmp_path / "out"]
    assert drill(*arguments)[0] == 0
    assert trained == EVERY
    before = runs_in(tmp_path / "out")
    trained.clear()
    study(STUDY.replace(old, new), NETS.replace(old, new))
    status, out, _ = drill(*arguments)
    assert (status, trained) == (0, expected)
    assert f"{len(expected)} of them new" in out
    after = runs_in(tmp_path / "out")
    assert len(after) == 4 + len(expected)
    assert {name: after[name] for name in before} == before


def test_a_run_says_what_it_was_trained_on(drill, study, tmp_path, few):
    drill("study", study("arguments.width = 2\n" + STUDY), "--device", "cpu", "--out", tmp_path, "--seeds", 1)
    slow, fast = sorted(runs_in(tmp_path).values(), key=lambda run: run.recipe.learning_rate)
    assert (slow.name, slow.seed, slow.evaluated_on, slow.changes) == ("slow", 1, "test", {"width": 2})
    assert (slow.recipe.learning_rate, fast.recipe.learning_rate) == (0.01, 0.1)
    assert slow.last.test_accuracy != fast.last.test_accuracy


def test_a_run_that_diverges_is_stored_and_not_trained_again(drill, study, tmp_path, trained):
    arguments = ["study", study(STUDY.replace("0.1", "1e30")), "--device", "cpu", "--out", tmp_path / "out"]
    status, out, _ = drill(*arguments)
    assert status == 0
    assert "fast, seed 1: diverged" in out
    assert sorted(bool(run.stopped) for run in runs_in(tmp_path / "out").values()) == [False, False, True, True]
    trained.clear()
    assert drill(*arguments)[0] == 0
    assert trained == []


def test_an_interrupt_keeps_the_finished_runs(drill, study, tmp_path, trained, interrupted_at):
    interrupted_at(3)
    arguments = ["study", study(), "--device", "cpu", "--out", tmp_path / "out"]
    status, _, errors = drill(*arguments)
    assert status == 130
    assert errors.splitlines()[-1].startswith("Interrupted: 2 of 4 missing runs")
    assert len(runs_in(tmp_path / "out")) == 2
    trained.clear()
    assert drill(*arguments)[0] == 0
    assert trained == [("slow", 2), ("fast", 2)]


def test_an_interrupted_measurement_of_throughput_claims_to_keep_nothing(drill, study, tmp_path, interrupted_at):
    interrupted_at(3)
    status, _, errors = drill("study", "throughput", study(), "--out", tmp_path / "throughput.json")
    assert status == 130
    assert errors.splitlines()[-1].startswith("Interrupted: the measurement")
    assert not (tmp_path / "throughput.json").exists()


@pytest.mark.parametrize(
    ("nets", "message"),
    [
        (NETS.replace("10))", "11))"), "row 'slow': .*(2, 11)"),
        ("1 / 0\n" + NETS, "row 'slow': nets.py, line 1, ZeroDivisionError"),
        (NETS + "\n    def forward(self, x):\n        assert len(x) < 50, 'many'\n        return super().forward(x)\n",
         "row 'slow', seed 1: nets.py, line 10, AssertionError: many"),
    ],
    ids=["another shape", "fails to import", "fails in training"],
)  # fmt: skip
def test_a_network_that_fails_is_one_line(drill, study, tmp_path, nets, message):
    status, _, errors = drill("study", study(nets=nets), "--device", "cpu", "--out", tmp_path / "out")
    assert status == 2
    assert errors.splitlines()[-1].startswith("Error: ")
    for part in message.split(".*"):
        assert part in errors.splitlines()[-1]


def test_two_equal_rows_are_one_line(drill, study, tmp_path):
    status, _, errors = drill("study", study(STUDY + "[rows.same]\nrecipe.learning_rate = 0.1"), "--out", tmp_path)
    assert (status, errors) == (
        2,
        "Error: rows 'fast' and 'same' have the same network and recipe: remove one\n",
    )


def test_seeds_are_trained_as_a_population(drill, study, tmp_path, trained):
    assert drill("study", study(), "--device", "cpu", "--out", tmp_path / "out", "--population", 2)[0] == 0
    assert trained == [("slow", 1), ("slow", 2), ("fast", 1), ("fast", 2)]
    assert [run.environment["population"] for run in runs_in(tmp_path / "out").values()] == [2] * 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--ray", "--jobs", 2], "choose one"),
        (["--search", "optuna", "--population", 2], "choose one"),
        (["--ray", "local"], "--ray needs Ray: pip install 'ray>=2.49'"),
        (["--search", "optuna"], "--search optuna needs Optuna: pip install 'optuna>=4.1'"),
    ],
)
def test_options_that_cannot_be_followed_are_one_line(drill, study, tmp_path, monkeypatch, options, message):
    for package in ("ray", "optuna"):
        monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    text = STUDY.partition("baseline")[0].replace('"test"', '"validation"')
    text += "[random]\nsamples = 2\nrecipe.epochs = [1]\n"
    status, _, errors = drill("study", study(text), "--device", "cpu", "--out", tmp_path / "out", *options)
    assert status == 2
    (line,) = [line for line in errors.splitlines() if line.startswith("Error: ")]
    assert message in line


@pytest.mark.slow
def test_parallel_jobs_end_with_the_runs_of_one(study, tmp_path):
    for out, jobs in (("one", "1"), ("two", "2")):
        done = process(study(), tmp_path / out, "--jobs", jobs)
        output, errors = done.communicate()
        assert done.returncode == 0, errors
        assert "4 of them new" in output
    one, two = (
        {name: replace(run, environment={}) for name, run in runs_in(tmp_path / out).items()} for out in ("one", "two")
    )
    assert one == two
    assert len(one) == 4


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL], ids=["SIGINT", "SIGKILL"])
def test_what_ends_the_command_ends_its_workers_and_the_same_command_goes_on(study, tmp_path, sent):
    path = study(STUDY.replace("seeds = 2", "seeds = 400"))
    running = process(path, tmp_path / "out", "--jobs", "2")
    while running.poll() is None and len(list(tmp_path.glob("out/runs/*.json"))) < 3:
        time.sleep(0.05)
    (os.killpg if sent == signal.SIGINT else os.kill)(running.pid, sent)  # a terminal sends Ctrl-C to all
    _, errors = running.communicate(timeout=300)
    if sent == signal.SIGINT:
        assert running.returncode == 130
        assert errors.splitlines()[-1].startswith("Interrupted: ")
        assert "Traceback" not in errors
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and _group_lives(running.pid):
        time.sleep(0.1)
    assert not _group_lives(running.pid)
    before = runs_in(tmp_path / "out")
    assert 3 <= len(before) < 800
    again = process(study(STUDY), tmp_path / "out", "--jobs", "2")
    assert again.wait() == 0
    after = runs_in(tmp_path / "out")
    assert {name: after[name] for name in before} == before


def _group_lives(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
def test_a_worker_that_is_killed_is_one_line_and_finished_runs_stay(study, tmp_path):
    nets = (
        NETS
        + """
    def forward(self, x):
        import os, signal
        if len(x) == 50 and os.path.exists("kill"):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().forward(x)
"""
    )
    path = study(nets=nets)
    running = process(path, tmp_path / "out", "--jobs", "2", "--seeds", "1")
    assert running.wait() == 0
    (tmp_path / "kill").touch()
    killed = process(path, tmp_path / "out", "--jobs", "2")
    _, errors = killed.communicate(timeout=300)
    assert killed.returncode == 2
    assert "a worker process ended unexpectedly" in errors.splitlines()[-1]
    assert len(runs_in(tmp_path / "out")) == 2
