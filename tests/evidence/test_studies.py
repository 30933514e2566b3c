import pytest

from mnist_drill.evidence.studies import STUDIES
from mnist_drill.networks import parameter_count
from mnist_drill.stages import NETWORKS


@pytest.mark.parametrize("name", STUDIES)
def test_every_variant_is_small_enough_and_runs(name, few):
    for label, variant in STUDIES[name].variants.items():
        model = variant.network()
        assert name in ("stage1", "freezing") or parameter_count(model) < 10_000, label
        assert model(few[0].images[:2]).shape == (2, 10), label


@pytest.mark.parametrize("name", NETWORKS)
def test_a_stage_is_trained_as_in_its_notebook(name):
    stage, study = NETWORKS[name], STUDIES[name]
    ((label, variant),) = study.variants.items()
    assert (label, variant.network, variant.recipe) == (name, stage.network, stage.recipe)
    assert (study.seeds, study.validation, study.evaluated_on) == (stage.seeds, False, "test")
