"""The command `train`: what it writes, and how a training is interrupted, resumed and kept."""

import json

import pytest
import torch
import torchvision

from mnist_drill import train
from mnist_drill.runs import Run
from mnist_drill.storage import checkpoint, resume
from tests.comparing import without_seconds


def weights(path):
    return checkpoint.load(path)[0].state_dict()


def press_ctrl_c(row):
    raise KeyboardInterrupt


def test_train_writes_weights_and_run(drill, few, tmp_path):
    status, out, _ = drill("train", "stage2", "--epochs", 2, "--seed", 3, "--device", "cpu", "--out", tmp_path / "new")
    assert status == 0
    assert len([line for line in out.splitlines() if line.strip()[:1] in "12"]) == 2  # a row per epoch
    run = Run.load(tmp_path / "new" / "stage2.json")
    assert (run.name, run.seed, run.recipe.epochs, len(run.epochs)) == ("stage2", 3, 2, 2)
    assert run.evaluated_on == "test"
    model, name = checkpoint.load(tmp_path / "new" / "stage2.pt")
    assert name == "stage2"
    assert train.evaluate(model, few[1]).accuracy == run.last.test_accuracy
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["stage2.json", "stage2.pt"]


def test_the_same_seed_writes_the_same_weights(drill, tmp_path):
    for folder in ("one", "two"):
        drill("train", "stage4", "--epochs", 1, "--device", "cpu", "--out", tmp_path / folder)
    one, two = (weights(tmp_path / folder / "stage4.pt") for folder in ("one", "two"))
    assert all(torch.equal(one[key], two[key]) for key in one)
    (first,), (second,) = (
        json.loads((tmp_path / folder / "stage4.json").read_text())["epochs"] for folder in ("one", "two")
    )
    assert {**first, "seconds": 0} == {**second, "seconds": 0}


def test_one_of_torchvisions_networks_is_trained_and_evaluated(drill, tmp_path):
    options = ["--epochs", 1, "--device", "cpu", "--resize", 32, "--freeze", "--out", tmp_path]
    assert drill("train", "shufflenet_v2_x0_5", *options)[0] == 0
    run = Run.load(tmp_path / "shufflenet_v2_x0_5.json")
    assert run.changes == {"side": 32, "freeze": True}
    status, out, _ = drill("evaluate", tmp_path / "shufflenet_v2_x0_5.pt", "--device", "cpu")
    assert (status, f"test accuracy {run.last.test_accuracy:.2f} %" in out) == (0, True)


def test_a_table_of_the_competition_is_split(drill, few, table_of, tmp_path):
    table = table_of("train.csv", few[0].images[:120], few[0].labels[:120])
    status, _, _ = drill("train", "sprint", "--table", table, "--device", "cpu", "--out", tmp_path)
    run = Run.load(tmp_path / "sprint.json")
    assert (status, run.evaluated_on) == (0, "validation")
    assert (run.last.test_accuracy * 20 / 100) == pytest.approx(round(run.last.test_accuracy * 20 / 100))


def test_a_training_that_was_interrupted_is_resumed(drill, few, tmp_path, monkeypatch):
    arguments = ["train", "stage2", "--epochs", 3, "--device", "cpu", "--out"]
    drill(*arguments, tmp_path / "whole")
    rows = without_seconds(Run.load(tmp_path / "whole" / "stage2.json"))

    def interrupt(row):
        if row.epoch == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(train, "print_epoch", interrupt)
        status, _, errors = drill(*arguments, tmp_path / "interrupted")
    assert (status, len(errors.splitlines())) == (130, 1)
    assert "--resume" in errors
    status, _, errors = drill(*arguments, tmp_path / "interrupted")
    assert (status, len(errors.splitlines())) == (2, 1)
    assert "stage2.state" in errors
    assert drill(*arguments, tmp_path / "interrupted", "--resume")[0] == 0
    assert without_seconds(Run.load(tmp_path / "interrupted" / "stage2.json")) == rows
    ours, theirs = (weights(tmp_path / name / "stage2.pt") for name in ("interrupted", "whole"))
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    assert sorted(path.name for path in (tmp_path / "interrupted").iterdir()) == ["stage2.json", "stage2.pt"]
    monkeypatch.setattr(resume, "fit", lambda *a, **k: pytest.fail("trained again"))
    status, out, _ = drill(*arguments, tmp_path / "interrupted", "--resume")
    files = [tmp_path / "interrupted" / name for name in ("stage2.pt", "stage2.json")]
    assert (status, out.strip()) == (0, f"{files[0]} and {files[1]} are finished")
    with pytest.raises(pytest.fail.Exception):  # another seed is another training
        drill(*arguments, tmp_path / "interrupted", "--resume", "--seed", 2)


def test_interrupted_in_its_first_epoch_nothing_is_kept(drill, interrupted_at, tmp_path):
    interrupted_at(1)
    status, _, errors = drill("train", "stage2", "--device", "cpu", "--out", tmp_path)
    assert (status, len(errors.splitlines())) == (130, 1)
    assert "no epoch was finished" in errors
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "option", "differs"),
    [
        ("shufflenet_v2_x0_5", ["--freeze"], "another network"),
        ("stage2", ["--seed", 2], "another seed"),
        ("stage2", ["--learning-rate", 0.002], "another recipe"),
    ],
)
def test_a_training_is_not_resumed_with_other_options(drill, tmp_path, monkeypatch, name, option, differs):
    arguments = ["train", name, "--epochs", 2, "--device", "cpu", "--out", tmp_path]
    with monkeypatch.context() as patch:
        patch.setattr(train, "print_epoch", press_ctrl_c)
        assert drill(*arguments, *option)[0] == 130
    status, _, errors = drill(*arguments, "--resume")
    assert (status, len(errors.splitlines())) == (2, 1)
    assert differs in errors
    assert drill(*arguments, "--resume", *option)[0] == 0
    run = Run.load(tmp_path / f"{name}.json")
    changes = {"freeze": True} if option == ["--freeze"] else {}
    assert (run.name, run.changes, len(run.epochs)) == (name, changes, 2)


def test_a_training_from_scratch_is_not_resumed_as_a_pretrained_one(drill, tmp_path, monkeypatch):
    get_model = torchvision.models.get_model
    monkeypatch.setattr(  # torchvision's weights cannot be fetched in a test
        torchvision.models, "get_model", lambda name, weights, **options: get_model(name, weights=None, **options)
    )
    arguments = ["train", "shufflenet_v2_x0_5", "--epochs", 2, "--device", "cpu", "--out", tmp_path]
    with monkeypatch.context() as patch:
        patch.setattr(train, "print_epoch", press_ctrl_c)
        assert drill(*arguments)[0] == 130
    status, _, errors = drill(*arguments, "--resume", "--pretrained")
    assert (status, len(errors.splitlines())) == (2, 1)
    assert "another network" in errors


def test_a_training_that_diverges_is_one_line_and_kept(drill, tmp_path):
    options = ["--learning-rate", "1e30", "--device", "cpu", "--out", tmp_path]
    status, _, errors = drill("train", "stage2", *options)
    assert (status, len(errors.splitlines())) == (2, 1)
    assert "epoch 1, step" in errors
    assert Run.load(tmp_path / "stage2.json").stopped in errors
    assert checkpoint.load(tmp_path / "stage2.pt")[1] == "stage2"


@pytest.mark.parametrize("learning_rate", ["nan", "inf"])
def test_a_learning_rate_that_is_no_number_is_refused(drill, tmp_path, learning_rate):
    status, _, errors = drill("train", "stage2", "--learning-rate", learning_rate, "--out", tmp_path)
    assert (status, len(errors.splitlines())) == (2, 1)
