import torch

from mnist_drill.benchmark import contenders
from mnist_drill.networks import parameter_count
from mnist_drill.stages import NETWORKS

CPU = torch.device("cpu")


def test_the_usual_pipeline_trains_on_the_same_images(few, monkeypatch):
    seen = []
    cross_entropy = torch.nn.functional.cross_entropy
    monkeypatch.setattr(contenders.F, "cross_entropy", lambda x, y: (seen.append(y), cross_entropy(x, y))[1])
    assert contenders.usual_epoch("stage4", 500, 100, 0, CPU) > 0
    size = NETWORKS["stage4"].recipe.batch_size
    assert [len(labels) for labels in seen] == [*(500 // size * [size]), 500 % size]
    assert torch.equal(torch.cat(seen).bincount(), few[0].labels.bincount())


def test_the_published_form_has_stage_4s_parameters_and_pools_after_its_blocks():
    network = contenders.published_network()
    assert parameter_count(network) == NETWORKS["stage4"].parameters
    assert network(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    first = [type(layer).__name__ for layer in network[0]]
    assert first == ["Conv2d", "ReLU", "BatchNorm2d", "Dropout"]
    assert contenders.published_epoch(32, 200, 100, 0, CPU) > 0


def test_the_course_trains_one_epoch_and_prints_nothing(few, capsys):
    assert contenders.course_epoch("stage2", *few, CPU) > 0
    assert capsys.readouterr().out == ""


def test_the_one_epoch_recipe_learns(mnist):
    accuracy, seconds = contenders.one_epoch_recipe(mnist[0][:10_000], mnist[1][:1000], CPU, seed=1)
    assert accuracy > 90
    assert seconds > 0
