"""A network as the page is told of it: batch norm folded, and what cannot be shown refused in one line."""

import pytest
import torch
from torch import nn

from mnist_drill.errors import DrillError
from mnist_drill.inside.network import outputs_of, steps_of, values_of, with_values
from mnist_drill.models import build
from mnist_drill.networks import conv_block, seeded
from mnist_drill.stages import NETWORKS
from tests.inside.networks import exercise, shaken

FLAT = nn.Flatten()


@pytest.mark.parametrize("network", [*(stage.network for stage in NETWORKS.values()), exercise])
def test_the_folded_network_gives_the_networks_logits(network, mnist):
    model = shaken(network)
    images = mnist[1].images[:20] * 3 - 1
    steps = steps_of(model)
    flipped = [float(step.flipped.sum()) for step in steps if step.flips]
    assert all(flipped), "batch norm's negative weights are among what is tested"
    with torch.no_grad():
        logits = model.eval()(images)
    assert torch.allclose(outputs_of(steps, images)[-1].flatten(1), logits, atol=1e-4, rtol=1e-4)
    assert torch.allclose(outputs_of(with_values(steps, values_of(steps)), images)[-1].flatten(1), logits, atol=1e-4)


def test_a_network_is_left_as_it_was():
    model = build("stage4", 1).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    state = torch.get_rng_state()
    steps_of(model)
    assert model.training
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


class Branch(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = build("stage2")

    def forward(self, x):
        return self.body(x) + 1


ENDING = [nn.AvgPool2d(26), nn.Conv2d(4, 10, 1), FLAT]


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("stage4", "cannot show a str: give the network itself"),
        (nn.Sequential(FLAT, nn.Linear(784, 10)), "layer 1 is a Linear"),
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.GELU(), *ENDING), "layer 1 is a GELU"),
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.BatchNorm2d(4), *ENDING), "does not follow a convolution"),
        (nn.Sequential(nn.BatchNorm2d(1), nn.Conv2d(1, 4, 3), *ENDING), "layer 0 .BatchNorm2d. does not follow"),
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4, track_running_stats=False), *ENDING), "statistics"),
        (nn.Sequential(nn.ReLU(), nn.Conv2d(1, 4, 3), *ENDING), "ReLU. comes before"),
        (nn.Sequential(nn.Conv2d(1, 10, 28, padding=1, padding_mode="reflect"), nn.AvgPool2d(3), FLAT), "reflect"),
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.AvgPool2d(3, 1, 1), *ENDING), "average pool with padding"),
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.AvgPool2d(26), nn.Conv2d(4, 7, 1), FLAT), "flattens to 7 values"),
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.AvgPool2d(26), nn.Conv2d(4, 7, 1)), "ends in 7×1×1"),
        (nn.Sequential(nn.Conv2d(1, 10, 3), nn.AvgPool2d(26), FLAT), "last layer is no convolution"),
        (nn.Sequential(nn.Conv2d(3, 10, 28), FLAT), "does not take images of 28×28"),
        (nn.Sequential(nn.Conv2d(1, 10, 40), FLAT), "does not take images of 28×28"),
        (Branch(), "does more after"),
        (nn.Sequential(), "is a Sequential"),
    ],
)
def test_a_network_that_cannot_be_shown_is_one_line(model, said):
    with pytest.raises(DrillError, match=said) as caught:
        steps_of(model)
    assert "\n" not in str(caught.value)


def test_a_relu_after_a_max_pool_belongs_to_the_convolution():
    steps = steps_of(seeded(lambda: nn.Sequential(conv_block(1, 4, pool=True), nn.Conv2d(4, 10, 13), FLAT), 1))
    assert [step.relu for step in steps] == [True, False, False]
