"""The workflows that execute what others wrote: what they may do, and that their commands do what they are for."""

import os
import re
import shlex
import subprocess
import sys

import pytest

from mnist_drill.course.notebooks import ROOT
from mnist_drill.storage.mnist import data_folder

yaml = pytest.importorskip("yaml")
LEADERBOARD, CLASSROOM = ".github/workflows/leaderboard.yml", "docs/classroom/judge.yml"
NETWORK = """
from mnist_drill.recipes import Recipe
from torch import nn

recipe = Recipe(epochs=1, batch_size=512, learning_rate=0.1)


def network():
    return nn.Sequential(nn.AvgPool2d(2), nn.Flatten(), nn.Linear(196, 10))
"""


def workflow(path):
    read = yaml.safe_load((ROOT / path).read_text())
    return read, read[True]  # `on` is true, in YAML


def commands(path):
    """The shell commands by the name of their job."""
    read, _ = workflow(path)
    return {name: [step["run"] for step in job["steps"] if "run" in step] for name, job in read["jobs"].items()}


@pytest.mark.parametrize("path", [LEADERBOARD, CLASSROOM])
def test_it_can_read_the_repository_and_nothing_else(path):
    text = (ROOT / path).read_text()
    read, _ = workflow(path)
    assert read["permissions"] == {"contents": "read"}
    assert "secrets" not in text.replace("no secrets", "")
    checkouts = [step for job in read["jobs"].values() for step in job["steps"] if "checkout" in step.get("uses", "")]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)
    # What an event says could be a command: none is put into a script.
    assert not [run for runs in commands(path).values() for run in runs if "${{" in run]


def test_an_entry_is_judged_by_the_judge_of_the_branch_that_it_is_for():
    read, on = workflow(LEADERBOARD)
    assert on == {"pull_request": {"paths": ["leaderboard/**"]}}
    judge, submitted = [step["with"] for step in read["jobs"]["check"]["steps"] if "checkout" in step.get("uses", "")]
    assert (judge["ref"], "path" in judge) == ("${{ github.event.pull_request.base.sha }}", False)
    assert (submitted["ref"], submitted["path"]) == ("${{ github.event.pull_request.head.sha }}", "submitted")


def test_a_student_s_push_is_judged_quickly_and_in_full_by_hand_or_by_a_tag():
    read, on = workflow(CLASSROOM)
    assert on.keys() == {"push", "workflow_dispatch"}
    assert "if" not in read["jobs"]["quick"]
    assert {"workflow_dispatch", "refs/tags/"} == set(re.findall(r"'([^']+)'", read["jobs"]["full"]["if"]))
    for job, (install, judge) in commands(CLASSROOM).items():
        assert "OWNER/REPO" in install
        assert ("--quick" in judge) == (job == "quick")


def run(command, folder):
    """A workflow's command, as a shell on a machine on which the course is installed executes it."""
    tools = folder / "tools"
    tools.mkdir(exist_ok=True)
    tool = tools / "mnist-drill"
    tool.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m mnist_drill "$@"\n')
    tool.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT),
                   "MNIST_DRILL_DATA": str(data_folder().resolve())}  # fmt: skip
    return subprocess.run(["bash", "-e", "-c", command], cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.slow
def test_the_leaderboard_s_command_accepts_what_it_has(tmp_path):
    (tmp_path / "submitted").symlink_to(ROOT)
    (command,) = [line for line in commands(LEADERBOARD)["check"] if line.startswith("mnist-drill")]
    done = run(command, tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_commands_in_a_student_s_repository_judge_its_network(mnist, tmp_path):
    (tmp_path / "network.py").write_text(NETWORK)
    (tmp_path / "rules.toml").write_text("epochs = 1\nseeds = 1\naccuracy = 50\nshift_drop = 50\n")
    for runs in commands(CLASSROOM).values():
        done = run(runs[-1], tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        assert (tmp_path / "judged" / "network.html").exists()
    assert "test accuracy" in done.stdout
    (tmp_path / "rules.toml").write_text("parameters_below = 1000\n")
    assert run(commands(CLASSROOM)["quick"][-1], tmp_path).returncode == 1
