"""Evidence: stored whole, taken up where it stopped, and the same after it was killed."""

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from mnist_drill import data, evidence
from mnist_drill.errors import DrillError, Interrupted
from mnist_drill.models import parameter_count
from mnist_drill.studies import STUDIES
from mnist_drill.train import RECIPES

SMALL = Path(__file__).parent / "small_study.py"


@pytest.fixture
def small(few, tmp_path, monkeypatch):
    """The study of `small_study`, to be collected into `tmp_path` in this process."""
    monkeypatch.setattr(sys, "argv", [str(SMALL), str(tmp_path)])
    for module, name in ((data, "load"), (evidence, "FOLDER")):
        monkeypatch.setattr(module, name, getattr(module, name))  # put back afterwards
    monkeypatch.syspath_prepend(SMALL.parent)
    monkeypatch.delitem(sys.modules, "small_study", raising=False)
    import small_study  # noqa: F401

    yield
    del STUDIES["small"]


def program(folder):
    return subprocess.Popen(
        [sys.executable, SMALL, folder], cwd=SMALL.parents[1], stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(SMALL.parents[1])}, start_new_session=True,
    )  # fmt: skip


def without_seconds(runs):
    return [replace(run, epochs=tuple(replace(row, seconds=0) for row in run.epochs)) for run in runs]


@pytest.mark.slow
def test_a_killed_command_ends_with_the_same_runs(small, tmp_path, monkeypatch):
    monkeypatch.setattr(evidence, "FOLDER", tmp_path / "whole")
    assert program(tmp_path / "whole").wait() == 0
    expected = without_seconds(evidence.load_runs("small"))
    assert [(run.name, run.seed) for run in expected] == [
        (name, seed) for name in ("slow", "fast") for seed in (1, 2, 3)
    ]

    monkeypatch.setattr(evidence, "FOLDER", tmp_path / "killed")
    draw, kills = random.Random(1), 0
    while len(evidence.load_runs("small")) < 6:  # a file that is half written would raise
        process, before = program(tmp_path / "killed"), len(evidence.load_runs("small"))
        # Killed soon after a run was stored, while the next ones are under way.
        while process.poll() is None and len(evidence.load_runs("small")) == before:
            time.sleep(0.01)
        time.sleep(draw.random() * 0.3)
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
    assert kills >= 2
    assert without_seconds(evidence.load_runs("small")) == expected


def test_only_what_is_missing_is_trained(small, tmp_path, monkeypatch):
    evidence.collect("small", 1, "cpu")
    first = evidence.load_runs("small")
    trained = []
    fit = evidence.fit
    monkeypatch.setattr(evidence, "fit", lambda *a, **k: trained.append((k["name"], k["seed"])) or fit(*a, **k))
    evidence.collect("small", 2, "cpu")
    assert trained == [("slow", 2), ("fast", 2)]
    assert [run for run in evidence.load_runs("small") if run.seed == 1] == first
    evidence.collect("small", 2, "cpu")
    assert len(trained) == 2


def test_a_run_of_another_recipe_is_trained_anew(small, monkeypatch):
    evidence.collect("small", 1, "cpu")
    (slow, fast) = evidence.load_runs("small")
    evidence.store("small", replace(slow, recipe=replace(slow.recipe, momentum=0.5)))
    evidence.collect("small", 1, "cpu")
    assert without_seconds(evidence.load_runs("small")) == without_seconds([slow, fast])


def test_alternatives_are_read_on_the_digits_that_they_do_not_train_on(small, monkeypatch):
    seen = []
    fit = evidence.fit
    monkeypatch.setattr(
        evidence, "fit", lambda m, r, train, test, **k: seen.append((train, test)) or fit(m, r, train, test, **k)
    )
    evidence.collect("small", 1, "cpu")
    assert [(len(train), len(test)) for train, test in seen] == [(416, 84)] * 2
    assert {run.tested_on for run in evidence.load_runs("small")} == {"validation"}


def test_a_run_that_was_interrupted_is_not_stored(small, interrupted_at):
    interrupted_at(5)  # the second of the second run
    with pytest.raises(Interrupted):
        evidence.collect("small", 1, "cpu")
    assert [len(run.epochs) for run in evidence.load_runs("small")] == [3]


@pytest.mark.parametrize("name", STUDIES)
def test_every_alternative_is_small_enough_and_runs(name, few):
    for label, alternative in STUDIES[name].alternatives.items():
        model = alternative.network()
        assert name in ("stage1", "freezing") or parameter_count(model) < 10_000, label
        assert model(few[0].images[:2]).shape == (2, 10), label


def test_stages_are_trained_as_in_their_notebooks():
    for name in ("stage1", "stage2", "stage3", "stage4", "sprint"):
        (label, alternative) = *STUDIES[name].alternatives, STUDIES[name].alternatives[name]
        assert (label, alternative.recipe, STUDIES[name].validation) == (name, RECIPES[name], False)


@pytest.mark.parametrize("name", STUDIES)
def test_stored_runs_are_of_todays_study(name):
    study = STUDIES[name]
    for label, runs in evidence.load_study(name).items():
        recipe = study.alternatives[label].recipe
        assert all(run.recipe == recipe for run in runs)
        assert all(run.parameters == parameter_count(study.alternatives[label].network()) for run in runs)
        assert {run.tested_on for run in runs} <= {"validation" if study.validation else "test"}
        assert [run.seed for run in runs] == list(range(1, len(runs) + 1))
        assert len(runs) >= study.seeds, f"python -m mnist_drill evidence {name}"


def test_an_unknown_name_lists_the_names():
    with pytest.raises(DrillError, match=r"'stage9'.*stage1.*candidates"):
        evidence.check_name("stage9")
