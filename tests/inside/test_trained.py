"""The trained stages that the package ships: as accurate as their runs say, and small; how they are made and stored."""

import base64
import json

import pytest
import torch

from mnist_drill import data
from mnist_drill.errors import DrillError, Interrupted
from mnist_drill.inside import trained
from mnist_drill.inside.network import steps_of, values_of, with_values
from mnist_drill.networks import definition
from mnist_drill.recipes import PLAIN, SPRINT
from mnist_drill.stages import STAGES, Stage
from mnist_drill.train import evaluate

POINTS = 0.03  # that half precision may move a test accuracy by: three images


def test_what_is_listed_is_there_and_the_small_stages_are():
    """A stage of a million parameters may be added later; no other may be missing, and none lies there unlisted."""
    small = [name for name, stage in STAGES.items() if stage.parameters < 100_000]
    names = trained.names()
    assert [name for name in names if name in small] == [name for name in small if name in STAGES]
    held = {path.stem for path in trained.FOLDER.iterdir() if path.suffix in (".bin", ".json")} - {"images"}
    assert held == set(names)


def accuracy(steps, values, dataset):
    correct = trained.logits_of(with_values(steps, values), dataset).argmax(dim=1) == dataset.labels
    return 100 * correct.double().mean().item()


def check(name, back, test_set):
    """Compares the epoch that is so many before the last with its row, over all 10,000 test images."""
    run, steps, epochs = trained.load(name)
    if back >= len(epochs):
        pytest.skip(f"of {name} fewer epochs are stored")
    assert accuracy(steps, epochs[-1 - back], test_set) == pytest.approx(
        run.epochs[-1 - back].test_accuracy, abs=POINTS
    )


def test_the_weights_that_the_page_opens_with_are_as_accurate_as_their_run(mnist):
    check(trained.names()[-1], 0, mnist[1])


def test_logits_of_a_stored_stage_are_those_of_its_last_epoch(mnist):
    (name, *_), few = [x for x in trained.names() if x != "stage1"], mnist[1][:50]
    _, steps, epochs = trained.load(name)
    assert torch.equal(trained.stored_logits(name, few), trained.logits_of(with_values(steps, epochs[-1]), few))


@pytest.mark.slow
@pytest.mark.parametrize("back", [0, 7, 14])
@pytest.mark.parametrize("name", trained.names())
def test_the_stored_weights_are_as_accurate_as_their_run(name, back, mnist):
    check(name, back, mnist[1])


def test_the_stored_runs_are_those_of_seed_1_todays_networks_and_the_real_data(mnist):
    for name in trained.names():
        run, _, epochs = trained.load(name)
        assert (run.name, run.seed, run.stopped, run.evaluated_on) == (name, trained.SEED, "", "test")
        assert run.network == definition(STAGES[name].network())
        assert run.data == data.checksum(*mnist)
        assert len(run.epochs) == run.recipe.epochs
        assert len(epochs) == (1 if STAGES[name].parameters > 100_000 else run.recipe.epochs)


def test_the_stored_images_are_those_of_the_test_set_and_errors_are_errors(mnist):
    content, test_set = trained.load_images(), mnist[1]
    for position, image in content["images"].items():
        assert image == trained.image_of(test_set, int(position))
    assert [content["images"][str(position)]["label"] for position in content["examples"]] == list(range(10))
    assert list(content["errors"]) == trained.names()
    for name, positions in content["errors"].items():
        _, steps, epochs = trained.load(name)
        images = test_set[torch.tensor(positions)]
        assert (trained.logits_of(with_values(steps, epochs[-1]), images).argmax(dim=1) != images.labels).all()
        assert len(positions) == trained.ERRORS


@pytest.fixture
def small(monkeypatch, few):
    """Two stages that train in a moment, and their data."""
    stages = {
        name: Stage(STAGES[name].network, recipe.with_epochs(2), STAGES[name].parameters, 1, "01_setup")
        for name, recipe in (("stage2", PLAIN), ("stage4", SPRINT))
    }
    monkeypatch.setattr(trained, "STAGES", stages)
    return few[0][:128], few[1][:200]


def make(sets, folder):
    return trained.train_missing(*sets, device="cpu", progress=False, folder=folder)


def test_training_stores_every_epoch_and_is_not_repeated(small, tmp_path, monkeypatch):
    assert make(small, tmp_path) == ["stage2", "stage4"]
    run, steps, epochs = trained.load("stage4", tmp_path)
    assert len(epochs) == 2
    for row, values in zip(run.epochs, epochs, strict=True):
        assert accuracy(steps, values, small[1]) == pytest.approx(row.test_accuracy, abs=1)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert make(small, tmp_path) == []
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before

    other = Stage(STAGES["stage4"].network, SPRINT.with_epochs(1), 9_904, 1, "01_setup")
    monkeypatch.setitem(trained.STAGES, "stage4", other)
    assert make(small, tmp_path) == ["stage4"]


def test_a_finished_network_is_kept_when_the_next_is_interrupted(small, tmp_path, interrupted_at):
    interrupted_at(4)  # the second epoch of the second network
    with pytest.raises(Interrupted):
        make(small, tmp_path)
    assert trained.names(tmp_path) == ["stage2"]
    assert make(small, tmp_path) == ["stage4"]


def test_of_a_large_network_the_last_epoch_is_stored(small, tmp_path, monkeypatch):
    monkeypatch.setattr(trained, "LARGEST", 30_000)
    make(small, tmp_path)
    run, steps, epochs = trained.load("stage4", tmp_path)
    assert (len(run.epochs), len(epochs)) == (2, 1)
    assert accuracy(steps, epochs[0], small[1]) == pytest.approx(run.last.test_accuracy, abs=1)


def test_files_that_do_not_fit_are_one_line(small, tmp_path):
    make(small, tmp_path)
    weights, run, images = (tmp_path / name for name in ("stage2.bin", "stage2.json", "images.json"))
    whole = weights.read_bytes()
    for content in (whole[:-2], b"", whole[: len(whole) // 2] * 3):
        weights.write_bytes(content)
        with pytest.raises(DrillError, match=r"stage2\.bin.*does not hold weights of stage2"):
            trained.load("stage2", tmp_path)
    weights.unlink()
    with pytest.raises(DrillError, match=r"stage2\.bin: No such file"):
        trained.load("stage2", tmp_path)
    run.write_text("{}")
    with pytest.raises(DrillError, match=r"stage2\.json does not hold a run"):
        trained.load("stage2", tmp_path)
    images.write_text(json.dumps({"images": {}}))
    with pytest.raises(DrillError, match=r"images\.json does not hold"):
        trained.load_images(tmp_path)


def test_weights_that_are_not_finite_are_refused():
    for value in (float("nan"), 1e6):
        with pytest.raises(DrillError, match="not finite at half precision"):
            trained.half(torch.tensor([1.0, value]))


def test_half_precision_is_two_bytes_little_endian():
    assert base64.b64decode(trained.encoded(torch.tensor([1.0, -2.0]).half())) == b"\x00\x3c\x00\xc0"


def test_folded_and_halved_a_network_scores_as_it_did(few):
    model = STAGES["stage3"].network()
    steps = steps_of(model)
    halved = with_values(steps, trained.half(values_of(steps)))
    correct = (trained.logits_of(halved, few[1]).argmax(1) == few[1].labels).sum()
    assert 100 * correct.item() / 500 == pytest.approx(evaluate(model, few[1]).accuracy, abs=1)
