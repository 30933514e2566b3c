import json

import pytest

from mnist_drill import compare, data
from mnist_drill.compare import Comparison
from mnist_drill.data import Digits
from mnist_drill.errors import DrillError, Interrupted
from mnist_drill.models import build, parameter_count
from mnist_drill.train import evaluate

NAMES = ["stage2", "sprint", "shufflenet_v2_x0_5"]


@pytest.fixture(scope="module")
def trained(few, tmp_path_factory):
    """Three networks, two of which vote, compared on 500 digits for two epochs; and their folder."""
    folder = tmp_path_factory.mktemp("comparison")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "load", lambda: few)
        yield again(folder), folder


def again(folder, **changes):
    options = {"epochs": 2, "device": "cpu", "progress": False} | changes
    return compare.compare(NAMES, ["stage2", "sprint"], folder=folder, **options)


def test_accuracies_are_those_of_the_kept_networks_on_digits_that_they_did_not_train_on(trained, few):
    comparison, folder = trained
    fitted, validation = data.split(few[0])
    for name in NAMES:
        entry = comparison[name]
        model, _ = compare.checkpoint.load(folder / f"{name}.pt")
        assert entry.validation == pytest.approx(evaluate(model, validation).accuracy)
        assert entry.test == pytest.approx(evaluate(model, few[1]).accuracy)
        assert (entry.parameters, entry.epochs) == (parameter_count(model), 2)
    assert [run.tested_on for run in comparison.runs] == ["validation"] * 3
    assert len(fitted) + len(validation) == len(few[0])


def test_a_vote_costs_what_its_members_cost(trained):
    comparison, _ = trained
    stage2, sprint, _, vote = comparison.entries
    assert (vote.name, vote.members) == ("vote of 2", ("stage2", "sprint"))
    assert vote.parameters == stage2.parameters + sprint.parameters
    assert vote.operations == stage2.operations + sprint.operations
    assert vote.milliseconds == tuple(map(sum, zip(stage2.milliseconds, sprint.milliseconds, strict=True)))
    assert comparison.networks == list(comparison.entries[:3])


def test_what_is_there_is_not_trained_again_unless_the_recipe_differs(trained, monkeypatch):
    comparison, folder = trained
    trainings = []
    fit = compare.fit
    monkeypatch.setattr(compare, "fit", lambda *a, **k: (trainings.append(k["name"]), fit(*a, **k))[1])
    assert again(folder).runs == comparison.runs
    assert trainings == []
    (folder / "sprint.pt").unlink()
    again(folder)
    assert trainings == ["sprint"]
    again(folder, seed=2)
    assert trainings == ["sprint", *NAMES]


def test_an_interrupted_comparison_is_taken_up(few, tmp_path, monkeypatch, interrupted_at):
    monkeypatch.setattr(data, "load", lambda: few)
    whole = again(tmp_path / "whole")
    epochs = interrupted_at(4)  # the second of the second network
    with pytest.raises(Interrupted):
        again(tmp_path / "broken")
    assert not (tmp_path / "broken" / "sprint.json").exists()
    taken_up = again(tmp_path / "broken")
    assert len(epochs) == 7
    assert [(x.name, x.validation, x.test) for x in taken_up.entries] == [
        (x.name, x.validation, x.test) for x in whole.entries
    ]
    assert not list((tmp_path / "broken").glob("*.state"))


def test_it_comes_back_from_its_file(trained, tmp_path):
    comparison, _ = trained
    comparison.save(tmp_path / "comparison.json")
    assert Comparison.load(tmp_path / "comparison.json") == comparison
    for content in ("{", "[]", '{"entries": []}', json.dumps({"environment": {}, "entries": [{}], "runs": []})):
        (tmp_path / "comparison.json").write_text(content)
        with pytest.raises(DrillError, match=r"comparison\.json does not hold a comparison"):
            Comparison.load(tmp_path / "comparison.json")


def test_the_table_has_the_smallest_first(trained):
    rows = compare.table(trained[0]).rows
    assert [row[0] for row in rows] == ["stage2", "sprint", "vote of 2", "shufflenet_v2_x0_5"]


def test_operations_are_counted_by_hand():
    # 16 filters of 4×4 on 14×14 places, 16 of 16×3×3 on 12×12, 24 of 16×3×3 on 4×4, 10 of 24×4×4 on one.
    multiplications = 16 * 16 * 14**2 + 16 * 144 * 12**2 + 24 * 144 * 4**2 + 10 * 384
    assert compare.operations(build("sprint")) == 2 * multiplications


def test_reading_times_take_turns_in_evaluation_mode(few):
    models = {name: build(name, 1).train() for name in ("stage3", "sprint")}
    before = {name: {k: v.clone() for k, v in model.state_dict().items()} for name, model in models.items()}
    images = Digits(few[0].images[:20], few[0].labels[:20]).images
    times = compare.reading_times(models, images, compare.pick_device("cpu"), rounds=3)
    assert {name: len(values) for name, values in times.items()} == {"stage3": 3, "sprint": 3}
    assert all(value > 0 for values in times.values() for value in values)
    for name, model in models.items():  # batch norm's statistics did not move
        assert all((v == before[name][k]).all() for k, v in model.state_dict().items())
