"""The command `study report`, on real runs."""

import csv
import json

import pytest
from PIL import Image

STUDY = """
network = "stage4"
recipe_of = "stage2"
evaluated_on = "test"
seeds = 3
baseline = "rate | 0.01"
recipe = {epochs = 1, batch_size = 50}
[rows]
"rate | 0.01".recipe.learning_rate = 0.01
"rate | 0.2".recipe.learning_rate = 0.2
"rate | 1e30".recipe.learning_rate = 1e30
"""


@pytest.fixture
def folder(drill, tmp_path):
    (tmp_path / "study.toml").write_text(STUDY)
    assert drill("study", tmp_path / "study.toml", "--device", "cpu", "--out", tmp_path / "out")[0] == 0
    return tmp_path / "out"


def test_a_report_is_tables_figures_and_plain_data(drill, folder):
    status, out, _ = drill("study", "report", folder, "--difference", 5, "--loss-difference", 0.1)
    assert status == 0
    assert "diverged, 3 of 3" in out
    assert "seeds for 5 points" in out
    assert "seeds for 0.1 nats" in out
    rows = json.loads((folder / "report.json").read_text())["rows"]
    assert [row["row"] for row in rows] == ["rate | 0.01", "rate | 0.2", "rate | 1e30"]
    assert [(row["runs"], row["diverged"]) for row in rows] == [(3, 0), (3, 0), (0, 3)]
    assert rows[1]["accuracy_difference_low"] < rows[1]["accuracy_difference"] < rows[1]["accuracy_difference_high"]
    with (folder / "report.csv").open() as file:
        read = list(csv.DictReader(file))
    assert [float(row["loss_mean"]) for row in read[:2]] == [row["loss_mean"] for row in rows[:2]]
    markdown = (folder / "report.md").read_text()
    assert r"| rate \| 0.2 |" in markdown
    for name in ("runs.png", "differences.png"):
        assert f"]({name})" in markdown
        assert Image.open(folder / name).width > 500


def test_a_damaged_run_is_one_line_and_is_trained_again_once_it_is_removed(drill, folder):
    damaged = min((folder / "runs").iterdir())
    damaged.write_text(damaged.read_text()[:200])
    status, _, errors = drill("study", "report", folder)
    assert (status, len(errors.splitlines())) == (2, 1)
    assert damaged.name in errors
    damaged.unlink()
    status, out, _ = drill("study", folder.parent / "study.toml", "--device", "cpu", "--out", folder)
    assert "1 of them new" in out
    assert drill("study", "report", folder)[0] == 0


@pytest.mark.parametrize("arguments", [["report"], ["report", "nowhere"], ["nowhere.toml"], ["x.toml", "--jobs", "0"]])
def test_what_is_not_there_is_one_line(drill, arguments):
    status, _, errors = drill("study", *arguments)
    assert status == 2
    assert errors.startswith("Error: ") and len(errors.splitlines()) == 1


def test_both_spellings_are_in_the_help(drill):
    status, out, _ = drill("study", "--help")
    assert status == 0
    assert "run" in out and "report" in out
    assert "--jobs" in drill("study", "run", "--help")[1]
    assert "--difference" in drill("study", "report", "--help")[1]
