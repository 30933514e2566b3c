import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from mnist_drill import __main__ as command
from mnist_drill import adapted, checkpoint, competition, data, pages
from mnist_drill.compare import Comparison
from mnist_drill.ensemble import vote
from mnist_drill.models import NETWORKS, build, stage2
from mnist_drill.studies import Alternative, Study
from mnist_drill.train import RECIPES, Recipe, Run, evaluate, predict


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
    model, name = checkpoint.load(tmp_path / "new" / "stage2.pt")
    assert name == "stage2"
    assert evaluate(model, few[1]).accuracy == run.last.test_accuracy
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["stage2.json", "stage2.pt"]


def test_the_same_seed_writes_the_same_weights(drill, tmp_path):
    for folder in ("one", "two"):
        drill("train", "stage4", "--epochs", 1, "--device", "cpu", "--out", tmp_path / folder)
    one, two = (checkpoint.load(tmp_path / folder / "stage4.pt")[0].state_dict() for folder in ("one", "two"))
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
        (["evaluate", "FILE"], "FILE is not a checkpoint"),
        (["train", "stage4", "--resize", "32"], "stage4"),
        (["train", "resnet-18"], "did you mean resnet18"),
        (["train", "stage4", "--table", "FILE"], "FILE, row 1"),
        (["predict", "FILE", "FILE"], "FILE is not a checkpoint"),
        (["submit", "FILE", "FILE"], "row 1"),
        (["evaluate", "FILE", "--network", "stage2"], "FILE"),
        (["ensemble", "FILE"], "FILE is not a checkpoint"),
        (["compare", "resnet-18"], "did you mean resnet18"),
        (["compare", "resnet18", "--vote", "resnet34"], "--vote resnet34"),
        (["train", "stage2", "--track", "paper"], "--track"),
        (["badges", "nonsense"], "OWNER/REPO"),
        (["workbook", "--out", "FILE/sub.xlsx"], "FILE"),
        (["unknown"], "unknown"),
    ],
)
def test_bad_input_is_one_line_and_status_2(drill, tmp_path, monkeypatch, arguments, named):
    monkeypatch.chdir(tmp_path)
    for module in (command, command.compare):
        monkeypatch.setattr(module, "fit", lambda *a, **k: pytest.fail("trained before the input was checked"))
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


def test_a_file_with_weights_alone_is_of_the_network_that_it_is_named_after(drill, tmp_path):
    torch.save(build("stage2", 1).state_dict(), tmp_path / "stage2.pt")
    assert drill("evaluate", tmp_path / "stage2.pt")[0] == 0
    (tmp_path / "stage2.pt").rename(tmp_path / "stage3.pt")
    status, _, errors = drill("evaluate", tmp_path / "stage3.pt")
    assert (status, len(errors.splitlines())) == (2, 1)
    assert "stage3.pt" in errors
    assert drill("evaluate", tmp_path / "stage3.pt", "--network", "stage2")[0] == 0


def test_a_checkpoint_says_of_which_network_it_is(drill, tmp_path):
    drill("train", "stage2", "--epochs", 1, "--device", "cpu", "--out", tmp_path)
    (tmp_path / "stage2.pt").rename(tmp_path / "stage3.pt")
    status, out, _ = drill("evaluate", tmp_path / "stage3.pt")
    assert (status, out.split(":")[0]) == (0, "stage2")
    status, _, errors = drill("evaluate", tmp_path / "stage3.pt", "--network", "stage3")
    assert (status, len(errors.splitlines())) == (2, 1)


def test_one_of_torchvisions_networks_is_trained_and_evaluated(drill, tmp_path):
    options = ["--epochs", 1, "--device", "cpu", "--resize", 32, "--freeze", "--out", tmp_path]
    assert drill("train", "shufflenet_v2_x0_5", *options)[0] == 0
    run = Run.load(tmp_path / "shufflenet_v2_x0_5.json")
    assert run.changes == {"side": 32, "freeze": True}
    status, out, _ = drill("evaluate", tmp_path / "shufflenet_v2_x0_5.pt", "--device", "cpu")
    assert (status, f"test accuracy {run.last.test_accuracy:.2f} %" in out) == (0, True)


def test_options_come_from_a_file_and_the_command_line_has_precedence(drill, tmp_path):
    config = tmp_path / "run.toml"
    config.write_text(f'epochs = 1\nbatch-size = 50\nlearning_rate = 0.02\nout = "{tmp_path}"\noptimizer = "adam"\n')
    assert drill("train", "stage2", "--config", config, "--batch-size", 25, "--device", "cpu")[0] == 0
    recipe = Run.load(tmp_path / "stage2.json").recipe
    assert recipe == Recipe(epochs=1, batch_size=25, learning_rate=0.02, optimizer="adam")


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("epoch = 1", "did you mean epochs"),
        ("epochs = 'two'", "epochs = 'two'"),
        ("epochs = 0", "epochs = 0"),
        ("epochs = 2.5", "epochs = 2.5"),
        ("epochs = true", "epochs = True"),
        ("freeze = 'perhaps'", "freeze = 'perhaps'"),
        ("optimizer = 'lion'", "optimizer"),
        ("epochs 1", "line 1"),
        ("config = 'x'", "config"),
    ],
)
def test_a_bad_configuration_is_one_line(drill, tmp_path, content, named):
    (tmp_path / "run.toml").write_text(content)
    status, _, errors = drill("train", "stage2", "--config", tmp_path / "run.toml", "--out", tmp_path)
    assert (status, len(errors.splitlines())) == (2, 1)
    assert "run.toml" in errors
    assert named in errors


def test_models_lists_every_network_with_its_parameters(drill):
    status, out, _ = drill("models")
    listed = dict(line.split() for line in out.splitlines())
    assert status == 0
    assert set(listed) == {*NETWORKS, *adapted.NAMES}
    assert (listed["stage4"], listed["resnet18"]) == ("9,904", "11,175,370")


def test_predict_reads_pictures_as_evaluate_reads_their_digits(drill, few, tmp_path):
    drill("train", "sprint", "--device", "cpu", "--out", tmp_path)
    folder = tmp_path / "pictures"
    folder.mkdir()
    digits = few[1][:12]
    for number, image in enumerate(digits.images):
        Image.fromarray((255 - 255 * image[0]).byte().numpy()).save(folder / f"{number:02}.png")
    status, out, _ = drill("predict", tmp_path / "sprint.pt", folder, "--json", "--show", tmp_path / "seen.png")
    read = json.loads(out)
    model, _ = checkpoint.load(tmp_path / "sprint.pt")
    expected = predict(model, digits).softmax(dim=1)
    assert status == 0
    assert [Path(x["file"]).name for x in read] == [f"{number:02}.png" for number in range(12)]
    assert sum(x["digit"] == int(row.argmax()) for x, row in zip(read, expected, strict=True)) >= 11
    assert all(sum(x["probabilities"]) == pytest.approx(1, abs=1e-4) for x in read)
    assert Image.open(tmp_path / "seen.png").width > 100
    status, out, _ = drill("predict", tmp_path / "sprint.pt", folder / "03.png")
    assert (status, out.splitlines()[1].split()[1]) == (0, str(read[3]["digit"]))


def test_an_exported_checkpoint_is_the_same_network(drill, tmp_path):
    options = ["--epochs", 1, "--device", "cpu", "--resize", 32, "--freeze", "--out", tmp_path]
    drill("train", "shufflenet_v2_x0_5", *options)
    shared = tmp_path / "shared.safetensors"
    assert drill("export", tmp_path / "shufflenet_v2_x0_5.pt", shared)[0] == 0
    assert drill("export", shared, tmp_path / "back.pt")[0] == 0
    said = {
        drill("evaluate", tmp_path / name)[1] for name in ("shufflenet_v2_x0_5.pt", "shared.safetensors", "back.pt")
    }
    assert len(said) == 1
    _, name, changes = checkpoint.read(shared)
    assert (name, changes) == ("shufflenet_v2_x0_5", {"side": 32, "freeze": True})


def test_submit_votes_and_writes_the_entry(drill, few, tmp_path):
    drill("train", "sprint", "--device", "cpu", "--out", tmp_path)
    pixels = (few[1].images.flatten(1) * 255).round().int().tolist()
    table = "\n".join([",".join(competition.PIXELS), *(",".join(map(str, row)) for row in pixels)])
    (tmp_path / "test.csv").write_text(table)
    model = tmp_path / "sprint.pt"
    status, _, _ = drill("submit", tmp_path / "test.csv", model, model, "--out", tmp_path / "submission.csv")
    rows = [line.split(",") for line in (tmp_path / "submission.csv").read_text().splitlines()]
    assert (status, rows[0]) == (0, ["ImageId", "Label"])
    assert [int(number) for number, _ in rows[1:]] == list(range(1, 501))
    right = sum(int(label) == int(truth) for (_, label), truth in zip(rows[1:], few[1].labels, strict=True))
    assert 100 * right / 500 == pytest.approx(evaluate(checkpoint.load(model)[0], few[1]).accuracy)


def test_a_training_that_was_interrupted_is_taken_up(drill, few, tmp_path, monkeypatch):
    arguments = ["train", "stage2", "--epochs", 3, "--device", "cpu", "--out"]
    drill(*arguments, tmp_path / "whole")
    rows = [replace(row, seconds=0) for row in Run.load(tmp_path / "whole" / "stage2.json").epochs]

    def interrupt(row):
        if row.epoch == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(command, "print_epoch", interrupt)
        status, _, errors = drill(*arguments, tmp_path / "broken")
    assert (status, len(errors.splitlines())) == (130, 1)
    assert "--resume" in errors
    status, _, errors = drill(*arguments, tmp_path / "broken")
    assert (status, len(errors.splitlines())) == (2, 1)
    assert "stage2.state" in errors
    assert drill(*arguments, tmp_path / "broken", "--resume")[0] == 0
    assert [replace(row, seconds=0) for row in Run.load(tmp_path / "broken" / "stage2.json").epochs] == rows
    ours, theirs = (checkpoint.load(tmp_path / name / "stage2.pt")[0].state_dict() for name in ("broken", "whole"))
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    assert sorted(path.name for path in (tmp_path / "broken").iterdir()) == ["stage2.json", "stage2.pt"]
    monkeypatch.setattr(command, "fit", lambda *a, **k: pytest.fail("trained again"))
    assert "finished" in drill(*arguments, tmp_path / "broken", "--resume")[1]
    with pytest.raises(pytest.fail.Exception):  # another seed is another training
        drill(*arguments, tmp_path / "broken", "--resume", "--seed", 2)


def test_a_training_is_not_taken_up_with_other_options(drill, tmp_path, monkeypatch):
    arguments = ["train", "shufflenet_v2_x0_5", "--epochs", 2, "--device", "cpu", "--out", tmp_path]

    def interrupt(row):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(command, "print_epoch", interrupt)
        assert drill(*arguments, "--freeze")[0] == 130
    status, _, errors = drill(*arguments, "--resume")
    assert (status, len(errors.splitlines())) == (2, 1)
    assert "another network" in errors
    assert drill(*arguments, "--resume", "--freeze")[0] == 0
    run = Run.load(tmp_path / "shufflenet_v2_x0_5.json")
    assert (run.name, run.changes, len(run.epochs)) == ("shufflenet_v2_x0_5", {"freeze": True}, 2)


def test_a_training_that_diverges_is_one_line_and_kept(drill, tmp_path):
    options = ["--learning-rate", "1e30", "--device", "cpu", "--out", tmp_path]
    status, _, errors = drill("train", "stage2", *options)
    assert (status, len(errors.splitlines())) == (2, 1)
    assert "epoch 1, step" in errors
    assert Run.load(tmp_path / "stage2.json").stopped in errors
    assert checkpoint.load(tmp_path / "stage2.pt")[1] == "stage2"


@pytest.mark.parametrize("rate", ["nan", "inf"])
def test_a_rate_that_is_no_number_is_refused(drill, tmp_path, rate):
    status, _, errors = drill("train", "stage2", "--learning-rate", rate, "--out", tmp_path)
    assert (status, len(errors.splitlines())) == (2, 1)


def test_ensemble_tests_each_network_and_the_vote(drill, few, tmp_path):
    for name in ("sprint", "stage3"):
        drill("train", name, "--epochs", 2, "--device", "cpu", "--out", tmp_path)
    files = [tmp_path / "sprint.pt", tmp_path / "stage3.pt"]
    status, out, _ = drill("ensemble", *files, "--json", "--device", "cpu")
    *members, together = json.loads(out)
    assert status == 0
    assert [(x["file"], x["network"]) for x in members] == [(str(files[0]), "sprint"), (str(files[1]), "stage3")]
    models = [checkpoint.load(file)[0] for file in files]
    assert [x["accuracy"] for x in members] == [pytest.approx(evaluate(model, few[1]).accuracy) for model in models]
    right = (vote([predict(model, few[1]) for model in models]) == few[1].labels).sum().item()
    assert together["accuracy"] == pytest.approx(100 * right / 500)
    assert together["parameters"] == 9_968 + 9_904
    assert together["milliseconds"] == pytest.approx(sum(x["milliseconds"] for x in members))
    assert drill("ensemble", *files)[1].splitlines()[-1].startswith("vote")


def test_compare_writes_a_table_a_file_and_a_picture(drill, tmp_path):
    options = ["--epochs", 1, "--vote", "stage2", "--vote", "shufflenet_v2_x0_5", "--device", "cpu", "--out", tmp_path]
    status, out, _ = drill("compare", "shufflenet_v2_x0_5", *options)
    assert status == 0
    comparison = Comparison.load(tmp_path / "comparison.json")
    assert [entry.name for entry in comparison.entries] == [*NETWORKS, "shufflenet_v2_x0_5", "vote of 2"]
    assert {entry.epochs for entry in comparison.entries} == {1}
    lines = (tmp_path / "comparison.md").read_text().splitlines()
    assert len(lines) == 2 + len(comparison.entries)
    assert all(any(entry.name in line for line in lines) and entry.name in out for entry in comparison.entries)
    assert Image.open(tmp_path / "comparison.png").width > 500


def test_evidence_is_a_command(drill, tmp_path, monkeypatch):
    monkeypatch.setattr(command.evidence, "FOLDER", tmp_path)
    alternatives = {"stage2": Alternative(stage2, RECIPES["stage2"].with_epochs(1))}
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


@pytest.mark.slow
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
