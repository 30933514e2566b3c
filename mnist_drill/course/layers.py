"""A network's layers as tables: sizes and receptive fields, and torchsummary's."""

import copy

import torch
import torchsummary
from torch import nn

from mnist_drill.course.tables import Table
from mnist_drill.receptive_field import trace


def layer_table(model: nn.Module) -> Table:
    """Sizes, jumps, receptive fields and parameters, layer by layer, as `receptive_field.trace` finds them."""
    layers = trace(model)
    header = ["layer", "channels", "kernel", "stride", "padding", "size", "jump", "receptive field", "parameters",
              "of batch norm"]  # fmt: skip
    rows = [
        [x.kind, f"{x.channels_in}→{x.channels_out}", x.kernel, x.stride, x.padding, f"{x.size_in}→{x.size_out}",
         x.jump_out, x.field_out, f"{x.parameters:,}", x.norm_parameters]
        for x in layers
    ]  # fmt: skip
    own, norm = sum(x.parameters for x in layers), sum(x.norm_parameters for x in layers)
    return Table(header, [*rows, ["total", *[""] * 7, f"{own:,}", norm]])


def summary(model: nn.Module) -> None:
    """Prints torchsummary's table of a copy: its forward pass would move batch norm and torch's random state."""
    with torch.random.fork_rng(devices=[]):
        torchsummary.summary(copy.deepcopy(model).cpu(), (1, 28, 28), device="cpu")
