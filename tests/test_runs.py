import json
from dataclasses import replace

import pytest

from mnist_drill.errors import DrillError
from mnist_drill.models import build
from mnist_drill.recipes import STAGE4, Augmentation, Recipe, StepDecay
from mnist_drill.runs import FORMAT, Run
from mnist_drill.train import fit

OTHERS = [
    STAGE4.with_epochs(1),
    Recipe(epochs=1, augmentation=Augmentation(cutout=4)),
    Recipe(epochs=1, optimizer="adamw", schedule=StepDecay(every=0.5)),
]


def trained(few, recipe):
    return fit(build("stage2", 1), recipe, *few, name="stage2", seed=1, device="cpu", progress=False)


@pytest.fixture(scope="module")
def run(few):
    return trained(few, Recipe(epochs=2))


@pytest.mark.parametrize("recipe", OTHERS)
def test_a_run_survives_json(few, tmp_path, recipe):
    run = trained(few, recipe)
    run.save(tmp_path / "run.json")
    assert Run.load(tmp_path / "run.json") == run
    assert Run.from_dict(json.loads(json.dumps(run.to_dict()))) == run


def test_a_stored_run_has_the_fields_that_others_read(run, tmp_path):
    run.save(tmp_path / "run.json")
    values = json.loads((tmp_path / "run.json").read_text())
    assert {"name", "parameters", "seed", "recipe", "environment", "epochs"} <= set(values)
    assert {"epoch", "train_loss", "train_accuracy", "test_loss", "test_accuracy", "seconds"} <= set(
        values["epochs"][0]
    )


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"name": 1, "recipe": {}}', "not json", "null"])
def test_what_is_not_a_run_is_refused(content, tmp_path):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(DrillError, match=r"run\.json"):
        Run.load(tmp_path / "run.json")


@pytest.mark.parametrize("format", [None, 1, FORMAT + 1, str(FORMAT)])
def test_a_run_of_another_format_is_one_error_that_says_what_to_do(run, tmp_path, format):
    values = run.to_dict() | {"format": format}
    if format is None:
        del values["format"]
    (tmp_path / "run.json").write_text(json.dumps(values))
    with pytest.raises(DrillError, match=rf"run\.json.*format is not {FORMAT}.*train it again") as caught:
        Run.load(tmp_path / "run.json")
    assert "\n" not in str(caught.value)


def test_lowest_of_the_last_epochs(run):
    rows = tuple(replace(run.last, epoch=i, test_accuracy=float(a)) for i, a in enumerate([10, 50, 40, 45, 60], 1))
    run = replace(run, epochs=rows)
    assert run.lowest_of_last(3) == 40
    assert run.lowest_of_last(5) == 10
    assert (run.lowest_of_up_to(3), run.lowest_of_up_to(6)) == (40, 10)
    assert (run.best_test, run.last.test_accuracy) == (60, 60)
    assert not run.lowest_of_last(6) >= 0  # too few epochs: not a number, and no claim about it holds


def test_a_training_repeats_a_run_only_if_all_but_its_seed_is_equal(run):
    given = {"recipe": run.recipe, "network": run.network, "data": run.data, "evaluated_on": run.evaluated_on}
    assert run.repeats(**given)
    assert replace(run, seed=2).repeats(**given)
    others = {"recipe": Recipe(epochs=3), "network": "another", "data": "other", "evaluated_on": "validation"}
    for key, other in others.items():
        assert not run.repeats(**given | {key: other}), key
