"""Networks joined into one: each computes what it computes alone, and nothing of one reaches another."""

from copy import deepcopy
from functools import partial

import pytest
import torch
from torch import nn

from mnist_drill.errors import DrillError
from mnist_drill.networks import conv_block, seeded, stage3
from mnist_drill.population.network import UNCHANGED, WITH_WEIGHTS, Population
from mnist_drill.stages import NETWORKS

LAYERS = [
    nn.Conv2d(4, 6, 3, padding=1, padding_mode="reflect"),
    nn.Conv2d(4, 8, (3, 2), stride=2, dilation=(1, 2), groups=2, bias=False),
    nn.Conv2d(4, 4, 3, groups=4),
    nn.BatchNorm2d(4, eps=0.1, momentum=0.3, affine=False),
    nn.BatchNorm2d(4, momentum=None),
    nn.BatchNorm2d(4, track_running_stats=False),
    nn.Sequential(nn.Flatten(), nn.Linear(4 * 6 * 6, 7), nn.ReLU(inplace=True), nn.Linear(7, 5, bias=False)),
    nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=True),
    nn.AvgPool2d(3, padding=1, count_include_pad=False),
    nn.AdaptiveMaxPool2d(2),
    nn.AdaptiveAvgPool2d(1),
    nn.LeakyReLU(0.3),
    nn.GELU(),
    nn.SiLU(),
    nn.Identity(),
    nn.Dropout(0.0),
    nn.Dropout2d(0.0),
]
SEEDS = (1, 2, 3)


def around(layer):
    """A function that makes a network with the layer, its weights initialized anew."""

    def network():
        for part in layer.modules():
            if hasattr(part, "reset_parameters"):
                part.reset_parameters()
        return nn.Sequential(conv_block(1, 4, norm=True), deepcopy(layer), nn.Flatten())

    return network


@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_each_member_computes_what_it_computes_alone(layer):
    networks = [seeded(around(layer), seed).double() for seed in SEEDS]
    population = Population(networks)
    images = torch.rand(8, 3, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    logits = population(images)
    logits.sin().sum().backward()
    states = population.member_states()
    in_evaluation = population.eval()(images)
    gradients = {key: p.grad.chunk(3) for key, p in population.joined.named_parameters()}
    for member, network in enumerate(networks):
        alone = network(images[:, member : member + 1])
        alone.sin().sum().backward()
        assert torch.allclose(logits[..., member], alone, atol=1e-9)
        for key, p in network.named_parameters():
            assert torch.allclose(gradients[key][member], p.grad, atol=1e-9)
        assert list(states[member]) == list(network.state_dict())
        for key, value in network.state_dict().items():
            assert torch.allclose(states[member][key], value, atol=1e-9)
        assert torch.allclose(in_evaluation[..., member], network.eval()(images[:, member : member + 1]), atol=1e-9)


def test_every_kind_of_layer_is_tried():
    tried = {type(part) for network in [*LAYERS, conv_block(1, 1)] for part in network.modules()}
    assert tried >= set(UNCHANGED + WITH_WEIGHTS)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_networks_of_the_course_can_be_joined(name):
    networks = [seeded(NETWORKS[name].network, seed).eval() for seed in SEEDS]
    images = torch.rand(2, 1, 28, 28)
    logits = Population(networks).eval()(images)
    assert logits.shape == (2, 10, 3)
    for member, network in enumerate(networks):
        assert torch.allclose(logits[..., member], network(images), atol=1e-5)


def test_members_drop_different_channels():
    population = Population([seeded(lambda: stage3(dropout=0.5), 1)] * 3)
    images = torch.rand(8, 1, 28, 28)
    logits = population.eval()(images)  # first: in training mode the running statistics come to differ, too
    assert torch.allclose(logits[..., 0], logits[..., 1], atol=1e-5)
    logits = population.train()(images)
    assert not any(torch.allclose(logits[..., i], logits[..., j]) for i, j in ((0, 1), (0, 2), (1, 2)))


def test_a_layer_that_is_used_twice_stays_one_and_a_frozen_one_frozen():
    twice = nn.Conv2d(1, 1, 3, padding=1, bias=False)
    network = nn.Sequential(twice, nn.ReLU(), twice, nn.Conv2d(1, 10, 28).requires_grad_(False), nn.Flatten())
    population = Population([network, network])
    assert [(p.shape[0], p.requires_grad) for p in population.parameters()] == [(2, True), (20, False), (20, False)]
    images = torch.rand(2, 1, 28, 28)
    assert torch.allclose(population(images)[..., 1], network(images), atol=1e-5)


def test_joining_draws_no_random_numbers_and_shares_no_weights():
    networks = [seeded(stage3, seed) for seed in SEEDS]
    state = torch.get_rng_state()
    population = Population(networks)
    assert torch.equal(torch.get_rng_state(), state)
    before = [p.clone() for p in networks[0].parameters()]
    with torch.no_grad():
        for p in population.parameters():
            p.zero_()
    assert all(torch.equal(p, value) for p, value in zip(networks[0].parameters(), before, strict=True))


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_member_that_is_not_finite_leaves_the_others_as_they_are(device, precision):
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    logits, gradients = [], []
    images = torch.rand(8, 1, 28, 28, generator=torch.Generator().manual_seed(1)).to(device)
    for broken in (False, True):
        networks = [seeded(partial(stage3, dropout=0.0), seed) for seed in SEEDS]
        if broken:
            for p in networks[1].parameters():
                p.data.fill_(torch.nan)
        population = Population(networks).to(device, memory_format=torch.channels_last)
        with torch.autocast(device, precision, enabled=precision == torch.bfloat16):
            logits.append(population(images).float())
        logits[-1].square().sum().backward()
        gradients.append([p.grad.chunk(3) for p in population.parameters()])
    assert logits[1][..., 1].isnan().all()
    # On a CPU the same, bit for bit; on a GPU a sum may be added up in another order.
    same = torch.equal if device == "cpu" else partial(torch.allclose, rtol=0.01, atol=0.01)
    for member in (0, 2):
        assert same(logits[0][..., member], logits[1][..., member])
        assert all(same(a[member], b[member]) for a, b in zip(*gradients, strict=True))


class OfItsOwn(nn.Module):
    def forward(self, images):
        return images


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (OfItsOwn(), r"cannot train OfItsOwn \(1\): .*Conv2d.*one by one"),
        (nn.LayerNorm(4), r"cannot train LayerNorm \(1\)"),
        (nn.Sequential(nn.ConvTranspose2d(4, 4, 3)), r"cannot train ConvTranspose2d \(1\.0\)"),
        (nn.Flatten(2), r"cannot train Flatten\(start_dim=2, end_dim=-1\) \(1\): use nn.Flatten\(\)"),
    ],
    ids=str,
)
def test_a_layer_that_cannot_be_joined_is_one_error(layer, message):
    with pytest.raises(DrillError, match=message) as error:
        Population([nn.Sequential(nn.Conv2d(1, 4, 3), layer)] * 2)
    assert "\n" not in str(error.value)


def test_a_sequence_may_be_a_class_of_its_own_unless_it_computes_something_else():
    class Own(nn.Sequential):
        def __init__(self):
            super().__init__(nn.Conv2d(1, 10, 28), nn.Flatten())

    class Other(Own):
        def forward(self, images):
            return -super().forward(images)

    networks, images = [seeded(Own, seed) for seed in SEEDS], torch.rand(2, 1, 28, 28)
    logits = Population(networks)(images)
    for member, network in enumerate(networks):
        assert torch.allclose(logits[..., member], network(images), atol=1e-5)
    with pytest.raises(DrillError, match="cannot train Other"):
        Population([Other()])


def test_a_network_that_is_no_sequence_of_layers_is_one_error():
    with pytest.raises(DrillError, match=r"cannot train OfItsOwn \(the network itself\)"):
        Population([OfItsOwn()])
