"""Each stage's record, held against what it points to."""

import pytest

from mnist_drill.course.notebooks import ROOT
from mnist_drill.evidence.stored import load_runs
from mnist_drill.evidence.studies import STUDIES
from mnist_drill.models import build
from mnist_drill.networks import parameter_count
from mnist_drill.stages import NETWORKS, STAGES


@pytest.mark.parametrize("name", NETWORKS)
def test_the_network_has_the_parameters_of_its_record(name):
    stage = NETWORKS[name]
    assert stage.name == name
    assert parameter_count(stage.network()) == parameter_count(build(name)) == stage.parameters


@pytest.mark.parametrize("name", NETWORKS)
def test_its_evidence_has_a_run_of_its_recipe_for_each_seed(name):
    stage = NETWORKS[name]
    runs = load_runs(name, stage.recipe)
    assert len(runs) >= stage.seeds, f"python -m mnist_drill evidence {name}"
    assert {run.seed for run in runs} == set(range(1, len(runs) + 1))
    assert {(run.parameters, run.recipe, run.evaluated_on) for run in runs} == {
        (stage.parameters, stage.recipe, "test")
    }


@pytest.mark.parametrize("name", STAGES)
def test_its_notebook_is_there(name):
    assert (ROOT / "notebooks" / f"{STAGES[name].notebook}.ipynb").is_file()


def test_stages_are_in_the_order_of_their_notebooks():
    notebooks = [stage.notebook for stage in STAGES.values()]
    assert notebooks == sorted(notebooks)
    assert len(set(notebooks)) == len(notebooks)
    numbered = sorted(path.stem for path in (ROOT / "notebooks").glob("[0-9]*.ipynb"))
    assert notebooks == numbered


@pytest.mark.parametrize("name", STAGES)
def test_what_it_is_compared_with_is_evidence(name):
    for other in STAGES[name].compared_with:
        assert other in STUDIES
        assert load_runs(other)


@pytest.mark.parametrize("name", NETWORKS)
def test_published_figures_are_accuracies_in_percent(name):
    published = NETWORKS[name].published
    if published:
        assert 90 < published.best_train <= 100
        assert 90 < published.best_test <= 100
