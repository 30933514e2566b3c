"""What is trained at once, and in which order."""

from dataclasses import replace

import pytest

from mnist_drill.errors import DrillError
from mnist_drill.recipes import PLAIN, Recipe
from mnist_drill.study import execution
from mnist_drill.study.execution import execute, executor_for
from mnist_drill.study.network import Network
from mnist_drill.study.plan import Row, Study
from mnist_drill.study.work import Listed

RECIPE = Recipe(epochs=2, batch_size=50, mixed_precision=False)
STUDY = Study({name: Row(Network(name), RECIPE) for name in ("stage2", "stage4")}, (1, 2, 3), evaluated_on="test")


def works(tasks, together=1):
    return [[(task.name, task.seed) for task in work] for work in iter(Listed(tasks, together), None)]


def test_tasks_are_given_in_order_and_populations_are_of_one_row():
    tasks = STUDY.tasks()
    assert works(tasks) == [[(task.name, task.seed)] for task in tasks]
    assert works(tasks, 2) == [
        [("stage2", 1), ("stage2", 2)], [("stage4", 1), ("stage4", 2)], [("stage2", 3)], [("stage4", 3)]
    ]  # fmt: skip
    assert works(tasks[1:], 9) == [[("stage4", 1), ("stage4", 2), ("stage4", 3)], [("stage2", 2), ("stage2", 3)]]


def trained(together, study=STUDY, few=None):
    found = {}

    def store(task, run):
        assert task.seed == run.seed
        found[task.name, run.seed] = run

    execute(Listed(study.tasks(), together), executor_for("cpu"), store, "study")
    return found


def test_members_of_a_population_are_stored_as_runs_of_their_seeds(few, monkeypatch):
    monkeypatch.setattr(execution, "sets_of", lambda evaluated_on: (few[0][:100], few[1][:100]))
    alone, together = trained(1), trained(2)
    assert together.keys() == alone.keys()
    for (name, seed), run in together.items():
        other = alone[name, seed]
        assert run.last.test_loss == pytest.approx(other.last.test_loss, abs=1e-3)
        assert run.environment.get("population", 1) == (2 if seed < 3 else 1)
        same = {"epochs": (), "train_score": None, "environment": {}}
        assert replace(run, **same) == replace(other, **same)


def test_a_network_that_cannot_be_joined_is_one_error(few, monkeypatch):
    monkeypatch.setattr(execution, "sets_of", lambda evaluated_on: (few[0][:100], few[1][:100]))
    study = Study({"resnet18": Row(Network("resnet18"), PLAIN)}, (1, 2))
    with pytest.raises(DrillError, match=r"a population cannot train .*train its seeds one by one"):
        trained(2, study)
