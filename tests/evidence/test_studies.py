import pytest

from mnist_drill.evidence.studies import STUDIES
from mnist_drill.networks import parameter_count
from mnist_drill.stages import NETWORKS
from mnist_drill.study.network import Network
from mnist_drill.study.plan import Row


@pytest.mark.parametrize("name", STUDIES)
def test_every_network_is_small_enough_and_runs(name, few):
    for label, row in STUDIES[name].rows.items():
        model = row.network.build(0)
        assert name in ("stage1", "more_epochs", "freezing") or parameter_count(model) < 10_000, label
        assert model(few[0].images[:2]).shape == (2, 10), label


@pytest.mark.parametrize("name", NETWORKS)
def test_a_stage_is_trained_as_in_its_notebook(name):
    stage, study = NETWORKS[name], STUDIES[name]
    assert study.rows == {name: Row(Network(name), stage.recipe)}
    assert (len(study.seeds), study.evaluated_on) == (stage.seeds, "test")
