"""A finished training in a folder is loaded, if all of it is as asked; else it is trained, or resumed."""

from dataclasses import replace

import pytest
import torch

from mnist_drill import data
from mnist_drill.errors import DrillError, Interrupted
from mnist_drill.models import build
from mnist_drill.networks import definition
from mnist_drill.recipes import Recipe
from mnist_drill.runs import Run
from mnist_drill.stages import NETWORKS
from mnist_drill.storage import checkpoint, finished
from mnist_drill.storage.finished import files_of, load_or_train
from tests.comparing import same_weights, without_seconds

RECIPE = Recipe(epochs=2, batch_size=50)


@pytest.fixture
def small(few):
    return few[0][:300], few[1][:100]


@pytest.fixture
def trained(monkeypatch):
    """The seed of each training."""
    seeds = []
    fit_resumable = finished.fit_resumable

    def note(*arguments, **options):
        seeds.append(options["seed"])
        return fit_resumable(*arguments, **options)

    monkeypatch.setattr(finished, "fit_resumable", note)
    return seeds


def train(folder, sets, recipe=RECIPE, name="sprint", **options):
    options = {
        "evaluated_on": "test", "seed": 1, "changes": {}, "device": "cpu", "progress": False,
        "on_epoch": lambda row: None,
    } | options  # fmt: skip
    return load_or_train(folder, name, recipe, *sets, **options)


def test_network_and_run_are_kept_and_loaded(small, trained, tmp_path):
    started = []
    model, run = train(tmp_path, small, on_start=started.append)
    assert started == [model]
    assert (run.name, run.seed, run.recipe, run.changes, run.evaluated_on) == ("sprint", 1, RECIPE, {}, "test")
    weights, rows, state = files_of(tmp_path, "sprint")
    assert (weights, rows) == (tmp_path / "sprint.pt", tmp_path / "sprint.json")
    assert Run.load(rows) == run
    assert same_weights(checkpoint.load(weights)[0], model)
    assert not state.exists()
    again, run_again = train(tmp_path, small, on_start=started.append)
    assert (run_again, trained, len(started)) == (run, [1], 1)
    assert same_weights(again, model)


@pytest.fixture
def another_definition(monkeypatch):
    """Has the network of that name defined in another way, and as many parameters."""

    def arrange():
        def sprint():
            network = build_sprint()
            network[0].append(torch.nn.Dropout2d(0.1))
            return network

        build_sprint = NETWORKS["sprint"].network
        monkeypatch.setitem(NETWORKS, "sprint", replace(NETWORKS["sprint"], network=sprint))

    return arrange


CHANGES = {
    "recipe": lambda train_set, test_set: {"recipe": replace(RECIPE, weight_decay=0.0)},
    "seed": lambda train_set, test_set: {"seed": 2},
    "training set": lambda train_set, test_set: {"sets": (train_set[:299], test_set)},
    "test set": lambda train_set, test_set: {"sets": (train_set, test_set[:99])},
    "data as in the split": lambda train_set, test_set: {"sets": data.split(train_set)},
    "what it is evaluated on": lambda train_set, test_set: {"evaluated_on": "validation"},
    "not to be reused": lambda train_set, test_set: {"reuse": False},
}


@pytest.mark.parametrize("change", CHANGES)
def test_with_one_thing_changed_it_is_trained_again(change, small, trained, tmp_path):
    train(tmp_path, small)
    changes = {"sets": small} | CHANGES[change](*small)
    _, run = train(tmp_path, **changes)
    assert len(trained) == 2
    assert Run.load(tmp_path / "sprint.json") == run
    train(tmp_path, **{key: value for key, value in changes.items() if key != "reuse"})
    assert len(trained) == 2


def test_a_network_that_is_defined_in_another_way_is_trained_again(small, trained, tmp_path, another_definition):
    _, run = train(tmp_path, small)
    another_definition()
    _, other = train(tmp_path, small)
    assert len(trained) == 2
    assert other.parameters == run.parameters
    assert other.network == definition(build("sprint")) != run.network


@pytest.mark.parametrize("missing", ["sprint.pt", "sprint.json"])
def test_half_of_what_is_kept_is_not_enough(missing, small, trained, tmp_path):
    train(tmp_path, small)
    (tmp_path / missing).unlink()
    train(tmp_path, small)
    assert len(trained) == 2
    assert (tmp_path / missing).exists()


@pytest.mark.parametrize(("reuse", "advice"), [(True, "command goes on"), (False, "command with --resume goes on")])
def test_an_interrupted_training_is_resumed_and_ends_the_same(reuse, advice, small, tmp_path, interrupted_at):
    whole, run = train(tmp_path / "whole", small)
    epochs = interrupted_at(2)
    with pytest.raises(Interrupted, match=rf"sprint\.state has the finished epochs; the same {advice}"):
        train(tmp_path / "part", small, reuse=reuse)
    assert [path.name for path in (tmp_path / "part").iterdir()] == ["sprint.state"]
    resumed, run_resumed = train(tmp_path / "part", small)
    assert len(epochs) == 3
    assert same_weights(resumed, whole)
    assert without_seconds(run_resumed) == without_seconds(run)
    assert not (tmp_path / "part" / "sprint.state").exists()


def test_an_interrupt_before_the_first_epoch_has_ended_keeps_nothing_and_says_so(small, tmp_path, interrupted_at):
    interrupted_at(1)
    with pytest.raises(Interrupted, match="no epoch was finished"):
        train(tmp_path, small)
    assert list(tmp_path.iterdir()) == []


def test_a_training_that_diverged_is_kept_said_and_not_reused(small, trained, tmp_path):
    for number in (1, 2):
        with pytest.raises(DrillError, match="epoch 1, step"):
            train(tmp_path, small, replace(RECIPE, learning_rate=1e30))
        assert len(trained) == number
        assert Run.load(tmp_path / "sprint.json").stopped
        assert (tmp_path / "sprint.pt").exists()
        assert not (tmp_path / "sprint.state").exists()
