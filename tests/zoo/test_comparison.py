import json

import pytest
import torch
from torch import nn

from mnist_drill import data
from mnist_drill.benchmark.flops import flops_per_image
from mnist_drill.errors import DrillError, Interrupted
from mnist_drill.models import build
from mnist_drill.networks import parameter_count
from mnist_drill.runs import FORMAT
from mnist_drill.storage import checkpoint, finished
from mnist_drill.train import evaluate
from mnist_drill.training.devices import pick_device
from mnist_drill.zoo import comparison as comparisons
from mnist_drill.zoo.comparison import Comparison, compare

NAMES = ["stage2", "sprint", "shufflenet_v2_x0_5"]


@pytest.fixture(scope="module")
def trained(few, tmp_path_factory):
    """Three networks, two of which form an ensemble, compared on 500 images for two epochs; and their folder."""
    folder = tmp_path_factory.mktemp("comparison")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "load", lambda: few)
        yield again(folder), folder


def again(folder, **changes):
    options = {"epochs": 2, "device": "cpu", "progress": False} | changes
    return compare(NAMES, ["stage2", "sprint"], folder=folder, **options)


def test_accuracies_are_those_of_the_kept_networks_on_images_that_they_were_not_trained_on(trained, few):
    comparison, folder = trained
    train_split, validation_set = data.split(few[0])
    for name in NAMES:
        entry = comparison[name]
        model, _ = checkpoint.load(folder / f"{name}.pt")
        assert entry.validation == pytest.approx(evaluate(model, validation_set).accuracy)
        assert entry.test == pytest.approx(evaluate(model, few[1]).accuracy)
        assert (entry.parameters, entry.epochs) == (parameter_count(model), 2)
    assert [run.evaluated_on for run in comparison.runs] == ["validation"] * 3
    assert len(train_split) + len(validation_set) == len(few[0])


def test_an_ensemble_costs_what_its_members_cost(trained):
    comparison, _ = trained
    stage2, sprint, _, ensemble = comparison.entries
    assert (ensemble.name, ensemble.members) == ("ensemble of 2", ("stage2", "sprint"))
    assert ensemble.parameters == stage2.parameters + sprint.parameters
    assert ensemble.flops == stage2.flops + sprint.flops
    assert ensemble.milliseconds == tuple(map(sum, zip(stage2.milliseconds, sprint.milliseconds, strict=True)))
    assert [entry.name for entry in comparison.entries if not entry.members] == NAMES


def test_what_is_there_is_not_trained_again_unless_the_recipe_differs(trained, monkeypatch):
    comparison, folder = trained
    trainings = []
    fit = finished.fit_resumable
    monkeypatch.setattr(finished, "fit_resumable", lambda *a, **k: (trainings.append(k["name"]), fit(*a, **k))[1])
    assert again(folder).runs == comparison.runs
    assert trainings == []
    (folder / "sprint.pt").unlink()
    again(folder)
    assert trainings == ["sprint"]
    again(folder, seed=2)
    assert trainings == ["sprint", *NAMES]


def test_an_interrupted_comparison_is_resumed(few, tmp_path, monkeypatch, interrupted_at):
    monkeypatch.setattr(data, "load", lambda: few)
    whole = again(tmp_path / "whole")
    epochs = interrupted_at(4)  # the second of the second network
    with pytest.raises(Interrupted):
        again(tmp_path / "part")
    assert not (tmp_path / "part" / "sprint.json").exists()
    resumed = again(tmp_path / "part")
    assert len(epochs) == 7
    assert [(x.name, x.validation, x.test) for x in resumed.entries] == [
        (x.name, x.validation, x.test) for x in whole.entries
    ]
    assert not list((tmp_path / "part").glob("*.state"))


def test_it_comes_back_from_its_file(trained, tmp_path):
    comparison, _ = trained
    comparison.save(tmp_path / "comparison.json")
    assert Comparison.load(tmp_path / "comparison.json") == comparison
    empty = {"environment": {}, "entries": [{}], "runs": []}
    for content in ("{", "[]", '{"entries": []}', json.dumps(empty), json.dumps(empty | {"format": FORMAT})):
        (tmp_path / "comparison.json").write_text(content)
        with pytest.raises(DrillError, match=r"comparison\.json does not hold a comparison"):
            Comparison.load(tmp_path / "comparison.json")


@pytest.mark.parametrize("format", [None, 1, FORMAT + 1])
def test_another_format_is_one_error_that_says_how_to_make_it_again(trained, tmp_path, format):
    path = tmp_path / "comparison.json"
    trained[0].save(path)
    values = json.loads(path.read_text()) | {"format": format}
    if format is None:
        del values["format"]
    path.write_text(json.dumps(values))
    with pytest.raises(
        DrillError, match=rf"comparison\.json.*format is not {FORMAT}.*`compare` makes it again"
    ) as caught:
        Comparison.load(path)
    assert "\n" not in str(caught.value)


def test_the_stored_comparison_is_of_todays_format():
    comparison = comparisons.stored()
    assert [entry.name for entry in comparison.entries if not entry.members] == [run.name for run in comparison.runs]
    assert {run.evaluated_on for run in comparison.runs} == {"validation"}


def test_the_table_has_the_smallest_first(trained):
    rows = comparisons.table(trained[0]).rows
    assert [row[0] for row in rows] == ["stage2", "sprint", "ensemble of 2", "shufflenet_v2_x0_5"]


def test_flops_are_counted_by_hand(trained):
    # 16 filters of 4×4 on 14×14 places, 16 of 16×3×3 on 12×12, 24 of 16×3×3 on 4×4, 10 of 24×4×4 on one.
    multiplications = 16 * 16 * 14**2 + 16 * 144 * 12**2 + 24 * 144 * 4**2 + 10 * 384
    assert trained[0]["sprint"].flops == flops_per_image(build("sprint")) == 2 * multiplications


def test_latencies_are_taken_in_turns_in_evaluation_mode(few):
    models = {name: build(name, 1).train() for name in ("stage3", "sprint")}
    before = {name: {k: v.clone() for k, v in model.state_dict().items()} for name, model in models.items()}
    times = comparisons.latencies(models, few[0].images[:20], pick_device("cpu"), rounds=3)
    assert {name: len(values) for name, values in times.items()} == {"stage3": 3, "sprint": 3}
    assert all(value > 0 for values in times.values() for value in values)
    for name, model in models.items():  # batch norm's statistics did not move
        assert all((v == before[name][k]).all() for k, v in model.state_dict().items())


def test_latencies_are_taken_in_one_layout_whether_a_network_was_trained_or_loaded(few):
    models = {"loaded": build("stage3", 1), "trained": build("stage3", 1).to(memory_format=torch.channels_last)}
    layouts = []
    for model in models.values():
        convolution = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d)][1]
        convolution.register_forward_pre_hook(lambda layer, inputs: layouts.append(layer.weight.stride()))
    comparisons.latencies(models, few[0].images[:20], pick_device("cpu"), rounds=1)
    assert len(layouts) >= 2
    assert len(set(layouts)) == 1
