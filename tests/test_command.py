import json
import os
import subprocess
import sys

import pytest
import torch

from mnist_drill import __main__ as command
from mnist_drill import data, pages
from mnist_drill.models import build, stage2
from mnist_drill.studies import Alternative, Study
from mnist_drill.train import Run, evaluate


@pytest.fixture
def drill(few, monkeypatch, capsys):
    """Runs the command on 500 digits and returns its exit status, output and errors."""
    monkeypatch.setattr(data, "load", lambda: few)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["mnist_drill", *map(str, arguments)])
        try:
            command.main()
            status = 0
        except SystemExit as stop:
            status = stop.code
        return status, *capsys.readouterr()

    return run


def test_train_writes_weights_and_run(drill, few, tmp_path):
    status, out, _ = drill("train", "stage2", "--epochs", 2, "--seed", 3, "--device", "cpu", "--out", tmp_path / "new")
    assert status == 0
    assert len([line for line in out.splitlines() if line.strip()[:1] in "12"]) == 2  # a row per epoch
    run = Run.load(tmp_path / "new" / "stage2.json")
    assert (run.name, run.seed, run.recipe.epochs, len(run.epochs)) == ("stage2", 3, 2, 2)
    model = build("stage2")
    model.load_state_dict(torch.load(tmp_path / "new" / "stage2.pt", weights_only=True))
    assert evaluate(model, few[1]).accuracy == run.last.test_accuracy
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["stage2.json", "stage2.pt"]


def test_the_same_seed_writes_the_same_weights(drill, tmp_path):
    for folder in ("one", "two"):
        drill("train", "stage4", "--epochs", 1, "--device", "cpu", "--out", tmp_path / folder)
    one, two = (torch.load(tmp_path / folder / "stage4.pt", weights_only=True) for folder in ("one", "two"))
    assert all(torch.equal(one[key], two[key]) for key in one)
    rows = [json.loads((tmp_path / folder / "stage4.json").read_text())["epochs"][0] for folder in ("one", "two")]
    assert [{**row, "seconds": 0} for row in rows[:1]] == [{**row, "seconds": 0} for row in rows[1:]]


def test_evaluate_prints_accuracy_and_confusion_matrix(drill, few, tmp_path):
    drill("train", "stage2", "--epochs", 1, "--device", "cpu", "--out", tmp_path)
    status, out, _ = drill("evaluate", tmp_path / "stage2.pt", "--device", "cpu")
    run = Run.load(tmp_path / "stage2.json")
    assert status == 0
    assert f"{run.last.test_accuracy:.2f} %" in out
    rows = [list(map(int, line.split())) for line in out.splitlines()[3:]]
    assert [row[0] for row in rows] == list(range(10))
    assert [sum(row[1:]) for row in rows] == few[1].labels.bincount(minlength=10).tolist()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["train", "stage9"], "stage1, stage2, stage3, stage4"),
        (["train", "stage2", "--epochs", "0"], "--epochs"),
        (["train", "stage2", "--epochs", "many"], "--epochs"),
        (["train", "stage2", "--device", "tpu"], "--device"),
        (["train", "stage2", "--out", "FILE/sub"], "FILE/sub"),
        (["train"], "NAME"),
        (["evaluate", "missing/stage2.pt"], "missing/stage2.pt"),
        (["evaluate", "FILE"], "--network"),
        (["evaluate", "FILE", "--network", "stage2"], "FILE"),
        (["badges", "nonsense"], "OWNER/REPO"),
        (["workbook", "--out", "FILE/sub.xlsx"], "FILE"),
        (["unknown"], "unknown"),
    ],
)
def test_bad_input_is_one_line_and_status_2(drill, tmp_path, monkeypatch, arguments, named):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "fit", lambda *a, **k: pytest.fail("trained before the input was checked"))
    (tmp_path / "FILE").write_text("not a folder, not a checkpoint")
    status, _, errors = drill(*arguments)
    assert status == 2
    assert named in errors
    assert len(errors.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["FILE"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_an_unavailable_device(drill, tmp_path):
    status, _, errors = drill("train", "stage2", "--device", "cuda", "--out", tmp_path)
    assert (status, len(errors.splitlines())) == (2, 1)
    assert "cuda" in errors


def test_a_checkpoint_of_another_network(drill, tmp_path):
    drill("train", "stage2", "--epochs", 1, "--device", "cpu", "--out", tmp_path)
    (tmp_path / "stage2.pt").rename(tmp_path / "stage3.pt")
    status, _, errors = drill("evaluate", tmp_path / "stage3.pt")
    assert (status, len(errors.splitlines())) == (2, 1)
    assert "stage3.pt" in errors
    assert drill("evaluate", tmp_path / "stage3.pt", "--network", "stage2")[0] == 0


def test_evidence_is_a_command(drill, tmp_path, monkeypatch):
    monkeypatch.setattr(command.evidence, "FOLDER", tmp_path)
    alternatives = {"stage2": Alternative(stage2, command.RECIPES["stage2"].with_epochs(1))}
    monkeypatch.setitem(command.evidence.STUDIES, "stage2", Study(alternatives, seeds=2, validation=False))
    assert drill("evidence", "stage2", "--device", "cpu")[0] == 0
    assert [run.seed for run in command.evidence.load_runs("stage2")] == [1, 2]
    status, _, errors = drill("evidence", "stage9")
    assert (status, len(errors.splitlines())) == (2, 1)


def test_evidence_takes_the_run_of_a_notebook(drill, tmp_path, monkeypatch):
    monkeypatch.setattr(command.evidence, "FOLDER", tmp_path)
    (book, other, *_) = pages.notebooks()
    assert drill("evidence", "stage1", "--notebook", book.path)[0] == 0
    assert command.evidence.load_runs("stage1") == [book.run()]
    status, _, errors = drill("evidence", "stage1", "--notebook", other.path)
    assert (status, len(errors.splitlines())) == (2, 1)
    assert command.evidence.load_runs("stage1") == [book.run()]


def test_bench_measures_a_part_and_keeps_the_others(drill, tmp_path):
    path = tmp_path / "bench.json"
    status, _, errors = drill("bench", "--quick", "--only", "limit", "--out", path)
    assert (status, len(errors.splitlines())) == (2, 1)
    assert drill("bench", "--quick", "--only", "inference", "--out", path)[0] == 0
    inference = json.loads(path.read_text())["inference"]
    assert drill("bench", "--quick", "--only", "epoch", "--out", path)[0] == 0
    report = json.loads(path.read_text())
    assert report["inference"] == inference
    assert "stage4" in report["epoch"]


def test_as_a_command(tmp_path):
    command = [sys.executable, "-m", "mnist_drill"]
    run = subprocess.run([*command, "--help"], cwd=pages.ROOT, capture_output=True, text=True)
    assert run.returncode == 0
    assert all(name in run.stdout for name in ("train", "evaluate", "evidence", "badges", "render"))
    environment = {**os.environ, "MNIST_DRILL_DATA": str(pages.ROOT / "README.md")}
    unwritable = [*command, "train", "stage2", "--out", str(tmp_path)]
    run = subprocess.run(unwritable, cwd=pages.ROOT, env=environment, capture_output=True, text=True)
    assert (run.returncode, run.stdout, len(run.stderr.splitlines())) == (2, "", 1)
    assert "README.md" in run.stderr
    run = subprocess.run([*command, "train", "stage5"], cwd=pages.ROOT, capture_output=True, text=True)
    assert (run.returncode, run.stdout, len(run.stderr.splitlines())) == (2, "", 1)
