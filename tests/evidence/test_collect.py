"""Evidence: stored whole, continued where it stopped, and the same after it was killed."""

import os
import random
import runpy
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from mnist_drill import data
from mnist_drill.errors import DrillError, Interrupted
from mnist_drill.evidence import collect, stored
from mnist_drill.evidence.stored import load_runs
from mnist_drill.evidence.studies import STUDIES
from mnist_drill.networks import definition, stage3
from mnist_drill.study import work

SMALL = Path(__file__).parent / "small_study.py"
ROOT = SMALL.parents[2]


@pytest.fixture
def small(few, tmp_path, monkeypatch):
    """The study of `small_study`, to be collected into `tmp_path` in this process."""
    monkeypatch.setattr(sys, "argv", [str(SMALL), str(tmp_path)])
    for module, name in ((data, "load"), (stored, "FOLDER")):
        monkeypatch.setattr(module, name, getattr(module, name))  # put back afterwards
    runpy.run_path(str(SMALL))
    yield
    del STUDIES["small"]


@pytest.fixture
def trained(monkeypatch):
    """The name and the seed of each run that is trained, and the sizes of its two sets."""
    seen = []
    fit = work.fit

    def note(model, recipe, train_set, test_set, **options):
        seen.append((options["name"], options["seed"], len(train_set), len(test_set)))
        return fit(model, recipe, train_set, test_set, **options)

    monkeypatch.setattr(work, "fit", note)
    return seen


def program(folder):
    return subprocess.Popen(
        [sys.executable, SMALL, folder], cwd=ROOT, stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, start_new_session=True,
    )  # fmt: skip


def without_seconds(runs):
    return [replace(run, epochs=tuple(replace(row, seconds=0) for row in run.epochs)) for run in runs]


@pytest.mark.slow
def test_a_killed_command_ends_with_the_same_runs(small, tmp_path, monkeypatch):
    monkeypatch.setattr(stored, "FOLDER", tmp_path / "whole")
    assert program(tmp_path / "whole").wait() == 0
    expected = without_seconds(load_runs("small"))
    assert [(run.name, run.seed) for run in expected] == [("slow", 1), ("slow", 2), ("fast", 1), ("fast", 2)]

    monkeypatch.setattr(stored, "FOLDER", tmp_path / "killed")
    draw, kills = random.Random(1), 0
    while len(load_runs("small")) < 4:  # a file that is half written would raise
        process, before = program(tmp_path / "killed"), len(load_runs("small"))
        # Killed soon after a run was stored, while the next ones are under way.
        while process.poll() is None and len(load_runs("small")) == before:
            time.sleep(0.01)
        time.sleep(draw.random() * 0.3)
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
    assert kills >= 2
    assert without_seconds(load_runs("small")) == expected


def test_only_missing_runs_are_trained(small, trained):
    collect.collect("small", 1, "cpu")
    first = load_runs("small")
    trained.clear()
    collect.collect("small", 2, "cpu")
    assert [key[:2] for key in trained] == [("slow", 2), ("fast", 2)]
    assert [run for run in load_runs("small") if run.seed == 1] == first
    collect.collect("small", 2, "cpu")
    assert len(trained) == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda run: {"recipe": replace(run.recipe, momentum=0.5)},
        lambda run: {"network": definition(stage3())},
        lambda run: {"data": data.checksum(*data.load())},  # the whole training set, and the test set
        lambda run: {"evaluated_on": "test"},
    ],
    ids=["recipe", "network", "data", "split"],
)
def test_a_stored_run_counts_only_if_all_is_equal(small, trained, change):
    collect.collect("small", 1, "cpu")
    runs = slow, _ = load_runs("small")
    trained.clear()
    collect.collect("small", 1, "cpu")
    assert trained == []
    stored.store("small", replace(slow, **change(slow)), ["slow", "fast"])
    assert load_runs("small") != list(runs)
    collect.collect("small", 1, "cpu")
    assert [key[:2] for key in trained] == [("slow", 1)]
    assert without_seconds(load_runs("small")) == without_seconds(runs)


def test_a_run_of_another_data_set_is_trained_again(small, trained, monkeypatch):
    collect.collect("small", 1, "cpu")
    before = load_runs("small")
    trained.clear()
    train_set, test_set = data.load()
    monkeypatch.setattr(data, "load", lambda: (train_set[:498], test_set))
    collect.collect("small", 1, "cpu")
    assert [key[:2] for key in trained] == [("slow", 1), ("fast", 1)]
    assert {run.data for run in load_runs("small")}.isdisjoint(run.data for run in before)


def test_choices_are_evaluated_on_images_that_they_are_not_trained_on(small, trained):
    collect.collect("small", 1, "cpu")
    assert [sizes for _, _, *sizes in trained] == [[416, 84]] * 2
    assert {run.evaluated_on for run in load_runs("small")} == {"validation"}
    train_split, validation_set = data.split(data.load()[0])
    assert {run.data for run in load_runs("small")} == {data.checksum(train_split, validation_set)}


def test_an_interrupted_run_is_not_stored(small, interrupted_at):
    interrupted_at(5)  # the second of the second run
    with pytest.raises(Interrupted):
        collect.collect("small", 1, "cpu")
    assert [len(run.epochs) for run in load_runs("small")] == [3]


def test_an_unknown_name_lists_the_names():
    with pytest.raises(DrillError, match=r"'stage9'.*stage1.*candidates"):
        collect.check_name("stage9")
