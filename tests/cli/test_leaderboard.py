import shutil
from dataclasses import replace

import pytest

from mnist_drill.leaderboard.entries import leaderboard
from tests.leaderboard.reports import full_report, put

RULES = """
epochs = 1
seeds = 1
accuracy = 10
shift_drop = 50
"""
LINEAR = """
from mnist_drill.recipes import Recipe
from torch import nn

recipe = Recipe(epochs=1, batch_size=8, learning_rate=0.05)


def network():
    return nn.Sequential(nn.AvgPool2d(2), nn.Flatten(), nn.Linear(196, 10))
"""


def test_show_prints_a_ranking_for_each_question(drill, tmp_path):
    put(tmp_path, "mine")
    status, output, _ = drill("leaderboard", "show", "--folder", tmp_path)
    assert status == 0
    assert output.count("mine") == 4


def test_a_folder_that_has_nothing_new_is_accepted_without_judging(drill, tmp_path):
    shutil.copytree(leaderboard(), tmp_path / "theirs")
    status, output, _ = drill("leaderboard", "check", tmp_path / "theirs")
    assert status == 0
    assert "no entry that the leaderboard does not have" in output


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["add"], "FILE"),
        (["add", "missing.py"], "missing.py"),
        (["add", "my-net.py"], "my-net.py"),
        (["add", "mine.py", "other/mine.py"], "same name"),
        (["add", "other/mine.py", "--folder", "."], "another network"),
        (["add", "mine.py", "--folder", "drafts"], "drafts/mine.py is another network"),
        (["add", "my_net.py", "--folder", "drafts"], "drafts/my_net.toml is the recipe of another network"),
        (["add", "tuned/mine.py", "--folder", "."], "another network or recipe"),
        (["check"], "FILE | FOLDER"),
        (["check", "missing.json"], "missing.json"),
        (["check", "quick.json"], "without training"),
        (["check", ".", "--rules", "clasic"], "drill, classic"),
        (["show", "--folder", "."], "quick.json"),
        (["rank"], "rank"),
    ],
)
def test_bad_input_is_one_line_that_names_it(drill, tmp_path, monkeypatch, arguments, named):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my-net.py").write_text(LINEAR)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.py").write_text(LINEAR)
    put(tmp_path, "mine")
    (tmp_path / "my_net.py").write_text(LINEAR)
    for folder in ("drafts", "tuned"):
        (tmp_path / folder).mkdir()
    (tmp_path / "drafts" / "mine.py").write_text(LINEAR)
    (tmp_path / "drafts" / "my_net.toml").write_text("epochs = 3")
    shutil.copy(tmp_path / "mine.py", tmp_path / "tuned")
    (tmp_path / "tuned" / "mine.toml").write_text("epochs = 3")
    put(tmp_path, "quick", replace(full_report(), quick=True))
    status, _, message = drill("leaderboard", *arguments)
    assert status == 2
    assert named in message
    assert message.count("\n") == 1


@pytest.mark.slow
def test_a_network_is_added_and_judged_again_by_other_rules(drill, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "linear.py").write_text(LINEAR)
    (tmp_path / "rules.toml").write_text(RULES)
    ours = ("--rules", "rules.toml", "--folder", "board")
    status, output, errors = drill("leaderboard", "add", "linear.py", *ours)
    assert (status, "linear is an entry" in output) == (0, True), output
    assert errors.count("epoch 1: ") == 2  # one training for each set that it is evaluated on
    status, output, _ = drill("leaderboard", "check", "board/linear.json", *ours)
    # One seed has no interval: how it is judged again may be turned down by its time alone.
    assert output.splitlines()[-2].startswith("linear: accepted" if status == 0 else "linear: not accepted: an epoch")
    assert (tmp_path / "runs" / "leaderboard" / "linear.json").exists()
