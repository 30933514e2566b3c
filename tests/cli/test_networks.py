"""The commands that use networks: `models`, `evaluate`, `predict`, `ensemble`, `submit` and `export`."""

import json
import re
from pathlib import Path

import pytest
import safetensors.torch
import torch
from PIL import Image

from mnist_drill.course import reading_plots
from mnist_drill.models import build
from mnist_drill.runs import Run
from mnist_drill.stages import NETWORKS
from mnist_drill.storage import checkpoint
from mnist_drill.train import evaluate, predict
from mnist_drill.zoo import adapted
from mnist_drill.zoo.ensemble import majority_vote


def test_models_lists_every_network_with_its_parameters(drill):
    status, out, _ = drill("models")
    listed = dict(line.split() for line in out.splitlines())
    assert status == 0
    assert set(listed) == {*NETWORKS, *adapted.NAMES}
    assert all(listed[name] == f"{stage.parameters:,}" for name, stage in NETWORKS.items())
    assert (listed["stage4"], listed["resnet18"]) == ("9,904", "11,175,370")


def test_evaluate_prints_accuracy_and_confusion_matrix(drill, few, tmp_path):
    drill("train", "stage2", "--epochs", 1, "--device", "cpu", "--out", tmp_path)
    status, out, _ = drill("evaluate", tmp_path / "stage2.pt", "--device", "cpu")
    run = Run.load(tmp_path / "stage2.json")
    assert status == 0
    assert f"{run.last.test_accuracy:.2f} %" in out
    rows = [list(map(int, line.split())) for line in out.splitlines()[3:]]
    assert [row[0] for row in rows] == list(range(10))
    assert [sum(row[1:]) for row in rows] == few[1].labels.bincount(minlength=10).tolist()


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


def test_predict_classifies_pictures_as_evaluate_does_their_images(drill, few, tmp_path):
    drill("train", "sprint", "--device", "cpu", "--out", tmp_path)
    folder = tmp_path / "pictures"
    folder.mkdir()
    images = few[1][:12]
    for number, image in enumerate(images.images):
        Image.fromarray((255 - 255 * image[0]).byte().numpy()).save(folder / f"{number:02}.png")
    status, out, _ = drill("predict", tmp_path / "sprint.pt", folder, "--json", "--show", tmp_path / "seen.png")
    predictions = json.loads(out)
    model, _ = checkpoint.load(tmp_path / "sprint.pt")
    expected = predict(model, images).softmax(dim=1)
    assert status == 0
    assert [Path(x["file"]).name for x in predictions] == [f"{number:02}.png" for number in range(12)]
    most_probable = [int(torch.tensor(x["probabilities"]).argmax()) for x in predictions]
    assert sum(a == int(row.argmax()) for a, row in zip(most_probable, expected, strict=True)) >= 10
    assert [x["digit"] in (digit, None) for x, digit in zip(predictions, most_probable, strict=True)] == [True] * 12
    assert any(x["digit"] is not None for x in predictions)
    assert all(sum(x["probabilities"]) == pytest.approx(1, abs=1e-4) for x in predictions)
    assert Image.open(tmp_path / "seen.png").width > 100
    status, out, _ = drill("predict", tmp_path / "sprint.pt", folder / "03.png")
    said = predictions[3]["digit"]
    assert (status, out.splitlines()[1].split()[1]) == (0, "unsure" if said is None else str(said))


@pytest.fixture
def initial(tmp_path):
    """A checkpoint of a network that was not trained, which is unsure of everything."""
    checkpoint.save(tmp_path / "stage2.pt", build("stage2", 1), "stage2", {})
    return tmp_path / "stage2.pt"


def test_predict_lists_the_digits_of_a_picture_with_their_boxes_and_says_what_is_unsure(drill, few, initial, tmp_path):
    sheet = torch.full((200, 500), 0.9)
    for left, image in zip((40, 200, 360), few[0].images[:3, 0], strict=True):
        sheet[40:152, left : left + 112] -= 0.6 * image.repeat_interleave(4, 0).repeat_interleave(4, 1)
    Image.fromarray((255 * sheet).byte().numpy()).save(tmp_path / "three.png")
    status, out, _ = drill("predict", initial, tmp_path / "three.png", "--json", "--show", tmp_path / "seen.png")
    (picture,) = json.loads(out)
    assert (status, picture["digit"], picture["probabilities"], len(picture["digits"])) == (0, None, None, 3)
    for x, left in zip(picture["digits"], (40, 200, 360), strict=True):
        assert left <= x["box"][0] < x["box"][2] <= left + 112
        assert 40 <= x["box"][1] < x["box"][3] <= 152
        assert x["digit"] is None
        assert max(x["probabilities"]) < 0.5
    assert Image.open(tmp_path / "seen.png").width > 100
    _, out, _ = drill("predict", initial, tmp_path / "three.png")
    assert [line.split()[1] for line in out.splitlines()[1:]] == ["unsure"] * 3


def test_a_page_without_a_digit_is_one_line_and_others_are_classified(drill, few, initial, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    Image.new("L", (300, 300), 230).save(folder / "empty.png")
    status, out, _ = drill("predict", initial, folder)
    assert (status, out.splitlines()) == (0, [f"{folder / 'empty.png'}: no digit found"])
    status, out, _ = drill("predict", initial, folder, "--json", "--show", tmp_path / "seen.png")
    assert json.loads(out) == [{"file": str(folder / "empty.png"), "digit": None, "probabilities": None, "digits": []}]
    Image.fromarray((255 * few[0].images[0, 0]).byte().numpy()).save(folder / "digit.png")
    assert len(drill("predict", initial, folder)[1].splitlines()) == 3


def test_a_figure_of_many_pictures_has_the_first_ones_and_says_so(drill, initial, tmp_path, monkeypatch):
    for number in range(3):
        Image.new("L", (30, 30), 230).save(tmp_path / f"{number}.png")
    pictures = [tmp_path / f"{number}.png" for number in range(3)]
    two, three = tmp_path / "two.PNG", tmp_path / "three.PNG"
    monkeypatch.setattr(reading_plots, "MOST", 2)
    status, out, _ = drill("predict", initial, *pictures[:2], "--show", two)
    assert (status, out.splitlines()[-1]) == (0, f"wrote {two}")
    status, out, _ = drill("predict", initial, *pictures, "--show", three)
    assert (status, out.count("no digit found")) == (0, 3)
    assert "2 of 3" in out.splitlines()[-1]
    assert three.read_bytes() == two.read_bytes()


def test_a_drawing_in_svg_that_was_renamed_is_one_line(drill, initial, tmp_path):
    (tmp_path / "seven.png").write_text('<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0h9v9"/></svg>')
    status, out, errors = drill("predict", initial, tmp_path / "seven.png")
    assert (status, out, len(errors.splitlines())) == (2, "", 1)
    assert "seven.png" in errors


def test_what_a_command_reads_is_not_written_over(drill, few, initial, table_of, tmp_path):
    picture = tmp_path / "digit.png"
    Image.fromarray((few[1].images[0, 0] * 255).byte().numpy()).save(picture)
    table = table_of("test.csv", few[1].images[:2])
    before = {path: path.read_bytes() for path in (initial, picture, table)}
    for arguments in (
        ["predict", initial, picture, "--show", picture],
        ["predict", initial, tmp_path, "--show", initial],
        ["submit", table, initial, "--out", table],
    ):
        status, _, errors = drill(*arguments)
        assert (status, len(errors.splitlines())) == (2, 1)
        assert str(arguments[-1]) in errors
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize("name", ["stage2.ONNX", "stage2.SafeTensors"])
def test_the_case_of_a_suffix_makes_no_difference(drill, initial, tmp_path, name):
    onnx = pytest.importorskip("onnx")
    assert drill("export", initial, tmp_path / name)[0] == 0
    drill("export", initial, tmp_path / name.lower())
    kinds = {"onnx": onnx.load, "safetensors": safetensors.torch.load_file}
    read = kinds[name.lower().partition(".")[2]]
    assert str(read(tmp_path / name)) == str(read(tmp_path / name.lower()))


def test_export_writes_onnx(drill, initial, tmp_path):
    onnx = pytest.importorskip("onnx")
    assert drill("export", initial, tmp_path / "stage2.onnx")[0] == 0
    (output,) = onnx.load(tmp_path / "stage2.onnx").graph.output
    assert output.name == "logits"


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


def test_submit_writes_the_entry_of_an_ensemble(drill, few, table_of, tmp_path):
    drill("train", "sprint", "--device", "cpu", "--out", tmp_path)
    table = table_of("test.csv", few[1].images)
    model = tmp_path / "sprint.pt"
    status, _, _ = drill("submit", table, model, model, "--out", tmp_path / "submission.csv")
    rows = [line.split(",") for line in (tmp_path / "submission.csv").read_text().splitlines()]
    assert (status, rows[0]) == (0, ["ImageId", "Label"])
    assert [int(number) for number, _ in rows[1:]] == list(range(1, 501))
    correct = sum(int(label) == int(truth) for (_, label), truth in zip(rows[1:], few[1].labels, strict=True))
    assert 100 * correct / 500 == pytest.approx(evaluate(checkpoint.load(model)[0], few[1]).accuracy)


def test_ensemble_evaluates_each_network_and_the_majority_vote(drill, few, tmp_path):
    for name in ("sprint", "stage3"):
        drill("train", name, "--epochs", 2, "--device", "cpu", "--out", tmp_path)
    files = [tmp_path / "sprint.pt", tmp_path / "stage3.pt"]
    status, out, _ = drill("ensemble", *files, "--json", "--device", "cpu")
    *members, together = json.loads(out)
    assert status == 0
    assert [(x["file"], x["network"]) for x in members] == [(str(files[0]), "sprint"), (str(files[1]), "stage3")]
    models = [checkpoint.load(file)[0] for file in files]
    assert [x["accuracy"] for x in members] == [pytest.approx(evaluate(model, few[1]).accuracy) for model in models]
    correct = (majority_vote([predict(model, few[1]) for model in models]) == few[1].labels).sum().item()
    assert together["accuracy"] == pytest.approx(100 * correct / 500)
    assert together["parameters"] == 9_968 + 9_904
    assert together["milliseconds"] == pytest.approx(sum(x["milliseconds"] for x in members))
    header, *_, last = drill("ensemble", *files)[1].splitlines()
    assert header.endswith("latency, ms per batch of 128")
    assert re.match(r"majority-vote ensemble +2 networks +19,872 ", last)
