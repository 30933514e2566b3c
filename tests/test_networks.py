import pytest
import torch
from torch import nn

from mnist_drill.models import build
from mnist_drill.networks import conv_block, definition
from mnist_drill.stages import NETWORKS, STAGES


@pytest.mark.parametrize("name", NETWORKS)
def test_logits_for_ten_classes(name):
    assert build(name)(torch.rand(3, 1, 28, 28)).shape == (3, 10)


@pytest.mark.parametrize("name", NETWORKS)
def test_no_convolution_has_a_bias(name):
    assert all(layer.bias is None for layer in build(name).modules() if isinstance(layer, nn.Conv2d))


def blocks(name):
    """What follows each convolution of a network but the last, besides a pool; and all of its layers."""
    leaves = [type(layer).__name__ for layer in build(name).modules() if not list(layer.children())]
    convolutions = [place for place, leaf in enumerate(leaves) if leaf == "Conv2d"]
    found = []
    for place in convolutions[:-1]:
        start = place + 1 + (leaves[place + 1] == "MaxPool2d")
        end = next(i for i in range(start, len(leaves)) if leaves[i] in ("Conv2d", "AvgPool2d"))
        found.append(leaves[start:end])
    assert leaves[convolutions[-1] + 1 :] == ["Flatten"]
    return found, leaves


@pytest.mark.parametrize("name", STAGES)
def test_the_same_block_follows_each_convolution(name):
    (block, *others), _ = blocks(name)
    assert block in (["ReLU"], ["BatchNorm2d", "ReLU"], ["Dropout2d", "ReLU"], ["BatchNorm2d", "Dropout2d", "ReLU"])
    assert all(other == block for other in others)


@pytest.mark.parametrize(
    ("name", "block"),
    [
        ("stage1", ["ReLU"]),
        ("stage2", ["ReLU"]),
        ("stage3", ["BatchNorm2d", "Dropout2d", "ReLU"]),
        ("stage4", ["BatchNorm2d", "ReLU"]),
    ],
)
def test_the_blocks_are_those_of_the_design(name, block):
    found, leaves = blocks(name)
    assert all(other == block for other in found)
    assert leaves.count("MaxPool2d") == 1


def test_stage4_is_stage3_without_dropout():
    assert str(build("stage4")) == str(build("stage3", dropout=0.0))


def test_definitions_are_equal_at_every_seed_and_differ_between_networks():
    assert {name: definition(build(name, 1)) for name in NETWORKS} == {
        name: definition(build(name, 2).eval()) for name in NETWORKS
    }
    assert definition(build("stage3", dropout=0.0)) == definition(build("stage4"))
    assert len({definition(build(name)) for name in ("stage1", "stage2", "stage3", "stage4", "sprint")}) == 5


def block(**changes):
    return nn.Sequential(conv_block(**{"c_in": 1, "c_out": 8, "padding": 1, "norm": True, "dropout": 0.1} | changes))


def altered(setting, value):
    """The block with one setting of its batch norm changed."""
    model = block()
    setattr(model[0][1], setting, value)
    return model


DIFFERENT = {
    "dropout": lambda: block(dropout=0.2),
    "no dropout": lambda: block(dropout=0.0),
    "kernel": lambda: block(kernel_size=5),
    "channels": lambda: block(c_out=9),
    "stride": lambda: block(stride=2),
    "padding": lambda: block(padding=0),
    "pool": lambda: block(pool=True),
    "no batch norm": lambda: block(norm=False),
    "momentum of batch norm": lambda: altered("momentum", 0.2),
    "eps of batch norm": lambda: altered("eps", 0.1),
    "frozen": lambda: block().requires_grad_(False),
    "one more layer": lambda: nn.Sequential(*block(), nn.ReLU()),
    "another order": lambda: nn.Sequential(nn.Sequential(*reversed(block()[0]))),
}


@pytest.mark.parametrize("change", DIFFERENT)
def test_a_definition_differs_where_a_network_does(change):
    assert definition(block()) == definition(block())
    assert definition(DIFFERENT[change]()) != definition(block())


def test_the_definition_of_an_adapted_network_knows_its_changes():
    digests = [definition(build("resnet18", **x)) for x in ({}, {"side": 64}, {"freeze": True})]
    assert len(set(digests)) == 3


def test_adapted_networks_without_convolutions_differ_too():
    # What makes a vision transformer is mostly linear layers.
    assert definition(build("vit_b_16")) != definition(build("vit_b_32"))
