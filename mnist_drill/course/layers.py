"""A network's layers in figures: sizes and receptive fields, torchsummary's table, how their outputs vary."""

import copy

import torch
import torchsummary
from torch import Tensor, nn

from mnist_drill.course.tables import Table
from mnist_drill.data import normalize
from mnist_drill.receptive_field import trace


def layer_table(model: nn.Module) -> Table:
    """Sizes, jumps, receptive fields and parameters, layer by layer, as `receptive_field.trace` finds them.

    Parameters of batch norm have a column of their own, in networks that have any.
    """
    layers = trace(model)
    header = ["layer", "channels", "kernel", "stride", "padding", "size", "jump", "receptive field", "parameters",
              "of batch norm"]  # fmt: skip
    rows = [
        [x.kind, f"{x.channels_in}→{x.channels_out}", x.kernel, x.stride, x.padding, f"{x.size_in}→{x.size_out}",
         x.jump_out, x.field_out, f"{x.parameters:,}", x.norm_parameters]
        for x in layers
    ]  # fmt: skip
    own, norm = sum(x.parameters for x in layers), sum(x.norm_parameters for x in layers)
    table = [header, *rows, ["total", *[""] * 7, f"{own:,}", norm]]
    if not norm:
        table = [row[:-1] for row in table]
    return Table(table[0], table[1:])


def summary(model: nn.Module) -> None:
    """Prints torchsummary's table of a copy: its forward pass would move batch norm and torch's random state."""
    with torch.random.fork_rng(devices=[]):
        torchsummary.summary(copy.deepcopy(model).cpu(), (1, 28, 28), device="cpu")


def spread_of(model: nn.Module, images: Tensor) -> list[float]:
    """The standard deviation of each convolution's output over images (N, 1, 28, 28) in [0, 1], mean over its units.

    In training mode, as at the first step. The last value is that of the logits.
    """
    network, found = copy.deepcopy(model).cpu().train(), []
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(lambda layer, inputs, output: found.append(output.std(dim=0).mean().item()))
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        network(normalize(images))
    return found
