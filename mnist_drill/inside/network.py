"""A network as the page needs it: a chain of convolutions and pools, batch norm folded into the convolutions.

In evaluation mode batch norm multiplies each channel by s and adds t. Both go into the convolution before it: its
kernels are multiplied by s, and t is its bias. Where a max pool lies between and s is negative, the largest of the
convolution's values has become the smallest; the channel is then *flipped*, and its pool takes the minimum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mnist_drill.errors import DrillError
from mnist_drill.receptive_field import Layer, calls, trace

if TYPE_CHECKING:
    from collections.abc import Sequence

CLASSES = 10


@dataclass
class Step:
    """A convolution or pool as it is shown, with what is folded into it."""

    layer: Layer
    groups: int = 1
    relu: bool = False
    flips: bool = False  # whether it is a max pool that batch norm follows, so that channels may be flipped
    weight: Tensor | None = None  # of a convolution: (channels out, channels in per group, kernel, kernel)
    bias: Tensor | None = None  # (channels out,)
    flipped: Tensor | None = None  # of a max pool that batch norm follows: 1 for a flipped channel, else 0

    @property
    def tensors(self) -> list[Tensor]:
        return [x for x in (self.weight, self.bias, self.flipped) if x is not None]

    def described(self) -> dict:
        """What the page is told of it besides its values."""
        x = self.layer
        return {
            "operation": x.operation, "kernel": x.kernel, "stride": x.stride, "padding": x.padding,
            "dilation": x.dilation, "groups": self.groups, "channels_in": x.channels_in,
            "channels_out": x.channels_out, "size_in": x.size_in, "size_out": x.size_out, "jump": x.jump_out,
            "field": x.field_out, "first": x.first_out, "relu": self.relu, "flips": self.flips,
            "parameters": x.parameters + x.norm_parameters, "norm": x.norm_parameters > 0,
        }  # fmt: skip


def steps_of(model: nn.Module) -> list[Step]:
    """The steps of a network that takes images (N, 1, 28, 28) and returns logits (N, 10).

    The network is left as it was. Raises `DrillError`, naming the layer, for one that cannot be shown: a branch, or a
    layer other than convolution, pool, batch norm after a convolution, ReLU, dropout and flatten.
    """
    if not isinstance(model, nn.Module):
        raise DrillError(f"cannot show a {type(model).__name__}: give the network itself, as `build` returns it")
    try:
        layers = {layer.name: layer for layer in trace(model)}
        modules = calls(model, 28)
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        reason = " ".join(str(error).split())
        raise DrillError(f"cannot show this network: it does not take images of 28×28 pixels ({reason})") from None
    steps: list[Step] = []
    for name, module, _, shape in modules:
        if name in layers:
            steps.append(_step(name, module, layers[name]))
        elif isinstance(module, nn.BatchNorm2d):
            _fold(name, module, steps)
        elif isinstance(module, nn.ReLU):
            if not steps:
                raise DrillError(f"cannot show this network: layer {name} (ReLU) comes before every convolution")
            _before_max_pools(steps)[-1].relu = True
        elif isinstance(module, nn.Flatten) and shape[1:].numel() != CLASSES:
            raise DrillError(f"cannot show this network: layer {name} flattens to {shape[1:].numel()} values, not 10")
    if not steps or "conv" not in steps[-1].layer.operation:
        raise DrillError("cannot show this network: its last layer is no convolution")
    last = steps[-1].layer
    if (last.channels_out, last.size_out) != (CLASSES, 1):
        raise DrillError(
            f"cannot show this network: it ends in {last.channels_out}×{last.size_out}×{last.size_out} values, and ten "
            "logits are needed"
        )
    return steps


def _step(name: str, module: nn.Module, layer: Layer) -> Step:
    if isinstance(module, nn.AvgPool2d) and (layer.padding or module.divisor_override):
        raise DrillError(f"cannot show this network: layer {name} is an average pool with padding or another divisor")
    if not isinstance(module, nn.Conv2d):
        return Step(layer)
    if layer.padding and module.padding_mode != "zeros":
        raise DrillError(f"cannot show this network: layer {name} pads with {module.padding_mode!r}, not with zeros")
    weight = module.weight.detach().float()
    bias = torch.zeros(len(weight)) if module.bias is None else module.bias.detach().float()
    return Step(layer, module.groups, weight=weight, bias=bias)


def _before_max_pools(steps: list[Step]) -> list[Step]:
    """The steps without the max pools at their end: ReLU can trade places with these."""
    last = len(steps)
    while last > 1 and steps[last - 1].layer.operation.endswith("max pool") and not steps[last - 1].relu:
        last -= 1
    return steps[:last]


def _fold(name: str, norm: nn.BatchNorm2d, steps: list[Step]) -> None:
    """Folds batch norm into the last convolution."""
    place = max((i for i, step in enumerate(steps) if step.weight is not None), default=None)
    if place is None or any(step.relu for step in steps[place:]):
        raise DrillError(f"cannot show this network: layer {name} (BatchNorm2d) does not follow a convolution directly")
    if norm.running_mean is None:
        raise DrillError(f"cannot show this network: layer {name} (BatchNorm2d) keeps no running statistics")
    scale = (norm.running_var.float() + norm.eps).rsqrt()
    shift = -norm.running_mean.float() * scale
    if norm.affine:
        scale, shift = scale * norm.weight.detach(), shift * norm.weight.detach() + norm.bias.detach()
    conv, *pools = steps[place:]
    conv.weight = conv.weight * scale[:, None, None, None]
    conv.bias = conv.bias * scale + shift
    for pool in pools:
        if pool.layer.operation.endswith("max pool"):
            before = torch.zeros(len(scale)) if pool.flipped is None else pool.flipped
            pool.flips, pool.flipped = True, (before != (scale < 0)).float()


def values_of(steps: Sequence[Step]) -> Tensor:
    """All values of the steps, in order, as one float32 tensor."""
    return torch.cat([tensor.reshape(-1) for step in steps for tensor in step.tensors])


def with_values(steps: Sequence[Step], values: Tensor) -> list[Step]:
    """The same steps with other values, a tensor as `values_of` returns it."""
    parts = iter(values.float().split([tensor.numel() for step in steps for tensor in step.tensors]))
    new = []
    for step in steps:
        fresh = [next(parts).view(tensor.shape) for tensor in step.tensors]
        names = [name for name in ("weight", "bias", "flipped") if getattr(step, name) is not None]
        new.append(Step(step.layer, step.groups, step.relu, step.flips, **dict(zip(names, fresh, strict=True))))
    return new


@torch.no_grad()
def outputs_of(steps: Sequence[Step], images: Tensor) -> list[Tensor]:
    """What each step makes of normalized images (N, 1, 28, 28): (N, channels, size, size), the last the logits."""
    outputs, x = [], images
    for step in steps:
        layer = step.layer
        if step.weight is not None:
            x = F.conv2d(x, step.weight, step.bias, layer.stride, layer.padding, layer.dilation, step.groups)
        elif layer.operation.endswith("max pool"):
            sign = 1 - 2 * step.flipped[:, None, None] if step.flips else 1
            x = sign * F.max_pool2d(sign * x, layer.kernel, layer.stride, layer.padding, layer.dilation)
        else:
            x = F.avg_pool2d(x, layer.kernel, layer.stride)
        x = x.relu() if step.relu else x
        outputs.append(x)
    return outputs
