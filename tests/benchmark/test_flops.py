import pytest

from mnist_drill.benchmark.flops import flops_per_image
from mnist_drill.benchmark.measurements import flops_per_epoch
from mnist_drill.models import build
from mnist_drill.receptive_field import trace
from mnist_drill.stages import STAGES


@pytest.mark.parametrize("name", STAGES)
def test_flops_are_those_of_the_layers(name):
    layers = [layer for layer in trace(build(name)) if layer.operation == "conv"]
    forward = [2 * layer.parameters * layer.size_out**2 for layer in layers]  # each weight, at each output
    # Backward takes as much for the weights, and again for the input of each layer but the first.
    both = 2 * sum(forward) + sum(forward[1:])
    assert flops_per_image(build(name)) == sum(forward)
    assert flops_per_image(build(name), backward=True) == both
    assert flops_per_epoch(name, 300, 70) == 300 * both + 70 * sum(forward)


def test_sprint_has_less_than_a_sixth_of_stage_4s_flops():
    assert 6 * flops_per_epoch("sprint", 1, 0) < flops_per_epoch("stage4", 1, 0)
