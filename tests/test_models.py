import pytest
import torch
from torch import nn

from mnist_drill.errors import DrillError
from mnist_drill.models import NETWORKS, STAGES, build, parameter_count


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("stage1", 992_800), ("stage2", 9_712), ("stage3", 9_904), ("stage4", 9_904), ("sprint", 9_968)],
)
def test_parameters(name, parameters):
    assert parameter_count(build(name)) == parameters


@pytest.mark.parametrize("name", NETWORKS)
def test_logits_for_ten_classes(name):
    assert build(name)(torch.rand(3, 1, 28, 28)).shape == (3, 10)


@pytest.mark.parametrize("name", NETWORKS)
def test_no_convolution_has_a_bias(name):
    assert all(layer.bias is None for layer in build(name).modules() if isinstance(layer, nn.Conv2d))


@pytest.mark.parametrize("name", STAGES)
def test_what_follows_each_convolution(name):
    leaves = [type(layer).__name__ for layer in build(name).modules() if not list(layer.children())]
    block = ["BatchNorm2d", "Dropout2d", "ReLU"] if name in ("stage3", "stage4") else ["ReLU"]
    convolutions = [place for place, leaf in enumerate(leaves) if leaf == "Conv2d"]
    for place in convolutions[:-1]:
        start = place + 1 + (leaves[place + 1] == "MaxPool2d")
        assert leaves[start : start + len(block)] == block
        assert leaves[start + len(block)] in ("Conv2d", "AvgPool2d")
    assert leaves.count("MaxPool2d") == 1
    assert leaves[convolutions[-1] + 1 :] == ["Flatten"]


def test_stage4_is_stage3():
    assert str(build("stage4")) == str(build("stage3"))


def test_seed_decides_the_weights_and_leaves_the_random_state():
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first = build("stage3", seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(7)
    again, other = build("stage3", seed=1), build("stage3", seed=2)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not torch.equal(next(first.parameters()), next(other.parameters()))


def test_unknown_name_lists_the_names():
    with pytest.raises(DrillError, match=r"stage9.*stage1, stage2, stage3, stage4"):
        build("stage9")
