import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mnist_drill.errors import DrillError
from mnist_drill.models import build
from mnist_drill.receptive_field import gradient_extent, trace
from mnist_drill.stages import NETWORKS, STAGES

# kind, channels in and out, size out, jump, receptive field, parameters: written down from the design, not traced.
STAGE1 = [
    ("conv 3×3", 1, 32, 26, 1, 3, 288),
    ("conv 3×3", 32, 64, 24, 1, 5, 18_432),
    ("conv 3×3", 64, 128, 22, 1, 7, 73_728),
    ("max pool 2×2", 128, 128, 11, 2, 8, 0),
    ("conv 1×1", 128, 32, 11, 2, 8, 4_096),
    ("conv 3×3", 32, 64, 9, 2, 12, 18_432),
    ("conv 3×3", 64, 128, 7, 2, 16, 73_728),
    ("conv 7×7", 128, 128, 1, 2, 28, 802_816),
    ("conv 1×1", 128, 10, 1, 2, 28, 1_280),
]
STAGE2 = [
    ("conv 3×3", 1, 16, 28, 1, 3, 144),
    ("conv 3×3", 16, 24, 26, 1, 5, 3_456),
    ("max pool 2×2", 24, 24, 13, 2, 6, 0),
    ("conv 1×1", 24, 8, 13, 2, 6, 192),
    ("conv 3×3", 8, 16, 11, 2, 10, 1_152),
    ("conv 3×3", 16, 16, 9, 2, 14, 2_304),
    ("conv 3×3", 16, 16, 7, 2, 18, 2_304),
    ("global average pool 7×7", 16, 16, 1, 2, 30, 0),
    ("conv 1×1", 16, 10, 1, 2, 30, 160),
]


# By hand, as an independent check: a stage that is not here fails.
TABLES = {"stage1": STAGE1, "stage2": STAGE2, "stage3": STAGE2, "stage4": STAGE2}


@pytest.mark.parametrize("name", STAGES)
def test_layers_are_those_of_the_design(name):
    traced = [
        (x.kind, x.channels_in, x.channels_out, x.size_out, x.jump_out, x.field_out, x.parameters)
        for x in trace(build(name))
    ]
    assert traced == TABLES[name]


@pytest.mark.parametrize("name", NETWORKS)
def test_receptive_field_is_the_extent_of_the_gradient(name):
    model = build(name, seed=1)
    assert [gradient_extent(model, layer) for layer in trace(model)] == [layer.field_out for layer in trace(model)]


@st.composite
def stacks(draw):
    """Convolutions and pools of random geometry, with batch norm and ReLU between them."""
    layers = []
    for _ in range(draw(st.integers(1, 4))):
        kernel, stride, dilation = draw(st.integers(1, 4)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
        conv = nn.Conv2d(2 if layers else 1, 2, kernel, stride, draw(st.integers(0, 3)), dilation)
        pool_padding = draw(st.integers(0, kernel // 2))
        kinds = [[conv], [conv, nn.BatchNorm2d(2), nn.ReLU()]]
        if layers:
            kinds += [
                [nn.MaxPool2d(kernel, stride, pool_padding, dilation)],
                [nn.AvgPool2d(kernel, stride, pool_padding)],
            ]
        layers += draw(st.sampled_from(kinds))
    return nn.Sequential(*layers)


@settings(max_examples=60, deadline=None)
@given(stacks())
def test_receptive_field_of_random_stacks_is_the_extent_of_the_gradient(model):
    layers = trace(model, 400)
    assert [gradient_extent(model, layer, 400) for layer in layers] == [layer.field_out for layer in layers]


def padded_late():
    return nn.Sequential(nn.Conv2d(1, 1, 3), nn.MaxPool2d(2), nn.Conv2d(1, 1, 3, padding=1), nn.Conv2d(1, 1, 5, 3, 2))


@pytest.mark.parametrize("model", [build("stage1"), build("stage3"), padded_late()])
def test_the_square_of_an_output_lies_where_its_gradient_is(model):
    model.eval()
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.ones_(module.weight)
    for layer in trace(model):
        seen = []
        hook = model.get_submodule(layer.name).register_forward_hook(
            lambda m, i, output, seen=seen: seen.append(output)
        )
        image = torch.rand(64, 1, 28, 28, requires_grad=True)  # max pools pass one pixel of each image, here or there
        model(image)
        hook.remove()
        position = layer.size_out // 2
        (gradient,) = torch.autograd.grad(seen[0][:, :, position, position].sum(), image)
        where = gradient.abs().sum(dim=(0, 1, 2)).nonzero().flatten()
        first = layer.first_out + position * layer.jump_out
        assert where.min() == max(0, first)
        assert where.max() == min(27, first + layer.field_out - 1)


@pytest.mark.parametrize(
    ("pool", "size", "operation"),
    [(nn.AvgPool2d(3), 3, "global average pool"), (nn.MaxPool2d(2), 3, "max pool"),
     (nn.MaxPool2d(5, padding=2), 3, "global max pool"), (nn.MaxPool2d(5, 1, 2), 3, "max pool"),
     (nn.AvgPool2d(4, 4, padding=2), 3, "average pool"), (nn.MaxPool2d(2, dilation=2), 3, "max pool")],
)  # fmt: skip
def test_a_pool_is_global_that_covers_all_of_its_input(pool, size, operation):
    assert [layer.operation for layer in trace(nn.Sequential(pool), size)] == [operation]


def test_batch_norm_is_counted_with_its_convolution():
    layers = trace(build("stage3"))
    assert sum(layer.norm_parameters for layer in layers) == 192
    assert [layer.norm_parameters for layer in layers] == [32, 48, 0, 16, 32, 32, 32, 0, 0]


def test_tracing_leaves_the_network_and_the_random_state():
    model = build("stage3", seed=1).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    state = torch.get_rng_state()
    gradient_extent(model, trace(model)[3])
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert model.training


class Branch(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.left, self.right = (nn.Conv2d(1, 1, 3, padding=1) for _ in range(3))

    def forward(self, x):
        x = self.first(x)
        return self.left(x) + self.right(x)


class Skip(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = (nn.Conv2d(1, 1, 3, padding=1) for _ in range(2))

    def forward(self, x):
        return self.last(x + self.first(x))


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.only = nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, x):
        return x + self.only(x)


def twice():
    layer = nn.Conv2d(1, 1, 3)
    return nn.Sequential(layer, layer)


@pytest.mark.parametrize(
    ("model", "layer"),
    [
        (Branch(), "right"),
        (Skip(), "last"),
        (Residual(), "only"),
        (twice(), "0"),
        (nn.Sequential(nn.Conv2d(1, 1, 3), nn.Upsample(scale_factor=2)), "1"),
        (nn.Sequential(nn.Conv2d(1, 1, (3, 1))), "0"),
        (nn.Sequential(nn.Conv2d(1, 1, 3), nn.MaxPool2d(3, ceil_mode=True)), "1"),
        (nn.Sequential(nn.Conv2d(1, 1, 3), nn.MaxPool2d(2, return_indices=True)), "1"),
        (nn.Sequential(nn.Flatten(2), nn.Flatten(0, 1), nn.GRU(784, 10)), "2"),
    ],
)
def test_what_it_does_not_understand_is_an_error_that_names_the_layer(model, layer):
    with pytest.raises(DrillError, match=rf"layer {layer}\b"):
        trace(model)
