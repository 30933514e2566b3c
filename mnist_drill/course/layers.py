"""A network's layers in figures: sizes and receptive fields, torchsummary's table, what they put out."""

import copy

import torch
import torchsummary
from torch import Tensor, nn

from mnist_drill.course.tables import Table
from mnist_drill.data import normalize
from mnist_drill.errors import DrillError
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


def class_maps(model: nn.Module, images: Tensor) -> Tensor:
    """A map for each class, (N, classes, H, W), of images (N, 1, 28, 28) in [0, 1]: their means are the logits.

    The last 1×1 convolution is applied at each position, in place of after the pool. Source: B. Zhou and others,
    Learning Deep Features for Discriminative Localization, 2016. Raises `DrillError` for a network that does not end in
    an average pool, one 1×1 convolution and `Flatten`.
    """
    network = copy.deepcopy(model).cpu().eval()
    end = list(network)[-3:] if isinstance(network, nn.Sequential) else []
    if [type(layer) for layer in end] != [nn.AvgPool2d, nn.Conv2d, nn.Flatten] or end[1].kernel_size != (1, 1):
        raise DrillError("Class maps need a network that ends in AvgPool2d, a 1×1 Conv2d and Flatten.")
    with torch.inference_mode():
        return end[1](network[:-3](normalize(images)))
