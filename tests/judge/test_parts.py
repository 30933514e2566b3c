"""What a network is made of, found in its operations."""

import pytest
import torch
from torch import nn

from mnist_drill.data import normalize
from mnist_drill.judge.jobs import recorded
from mnist_drill.judge.parts import LAST_LAYER, parts_of
from mnist_drill.judge.replaying import described
from mnist_drill.judge.rules import BATCH_NORM, FULLY_CONNECTED, GLOBAL_POOL
from mnist_drill.networks import stage2, stage3
from tests.judge.test_counting import Weighs
from tests.judge.test_program import sent


def parts_in(network, images):
    program, _ = recorded(network, normalize(images))
    program = sent(program)
    return parts_of(program, described(program, images)["calls"], [])


def test_parts_are_found_in_the_operations(images):
    for make, there, missing in ((stage3, BATCH_NORM, FULLY_CONNECTED), (stage2, GLOBAL_POOL, BATCH_NORM)):
        parts = parts_in(make(), images)
        assert there in parts
        assert missing not in parts


def test_instance_norm_is_no_batch_norm_and_a_pool_that_leaves_positions_is_not_global(images):
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.InstanceNorm2d(4), nn.AvgPool2d(13), nn.Flatten(), nn.Linear(16, 10))
    parts = parts_in(network, images)
    assert parts.keys() & {BATCH_NORM, GLOBAL_POOL} == set()
    assert FULLY_CONNECTED in parts


def test_a_last_map_that_is_a_convolution_of_one_dimension_is_a_part_like_another(images):
    network = nn.Sequential(nn.Flatten(2), nn.BatchNorm1d(1), nn.Conv1d(1, 10, 784), nn.Flatten())
    parts = parts_in(network, images)
    assert BATCH_NORM in parts
    assert "784, 1 → 10" in parts[LAST_LAYER]


class Attends(nn.Module):
    """Four learned queries over patches, then a convolution."""

    def __init__(self, attend):
        super().__init__()
        self.patches, self.last = nn.Conv2d(1, 16, 7, stride=7), nn.Conv1d(16, 10, 4)
        self.queries, self.attend = nn.Parameter(torch.randn(1, 4, 16)), attend

    def forward(self, x):
        patches = self.patches(x).flatten(2).transpose(1, 2)
        return self.last(self.attend(self.queries, patches).transpose(1, 2)).flatten(1)


def by_hand(queries, patches):
    shares = (queries @ patches.transpose(1, 2)).div_(4).exp()
    return shares / shares.sum(-1, keepdim=True) @ patches


ATTENTION = {
    "fused or not": lambda q, x: nn.functional.scaled_dot_product_attention(q.expand(len(x), -1, -1), x, x),
    "products": lambda q, x: (q @ x.transpose(1, 2) / 4).softmax(-1) @ x,
    "in place": by_hand,
    "einsum": lambda q, x: torch.einsum("nqt,ntd->nqd", torch.einsum("qd,ntd->nqt", q[0], x).softmax(-1), x),
    "of itself": lambda q, x: ((x @ x.transpose(1, 2) / 4).softmax(-1) @ x)[:, :4],
}


@pytest.mark.parametrize("attend", ATTENTION.values(), ids=ATTENTION)
def test_attention_s_products_are_no_fully_connected_layer(images, attend):
    parts = parts_in(Attends(attend), images)
    assert FULLY_CONNECTED not in parts
    assert parts[LAST_LAYER].startswith("convolution")


@pytest.mark.parametrize(
    "network",
    [
        nn.Sequential(nn.Flatten(), nn.Linear(784, 8), nn.Softmax(1), nn.Linear(8, 10)),
        nn.Sequential(nn.Flatten(2), nn.Linear(784, 10), nn.Flatten()),
        Weighs(torch.randn(784, 10)),
    ],
    ids=["softmax between", "of three dimensions", "a product"],
)
def test_a_fully_connected_layer_is_one_however_it_is_written(images, network):
    assert "784 → " in parts_in(network, images)[LAST_LAYER] or "8 → 10" in parts_in(network, images)[LAST_LAYER]
    assert FULLY_CONNECTED in parts_in(network, images)
