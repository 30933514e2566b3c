"""Sizes, jumps, receptive fields and parameters of a network, layer by layer, traced from the network itself.

The recursion is that of Araujo, Norris, Sim, "Computing Receptive Fields of Convolutional Neural Networks", Distill
2019: with kernel k, stride s, padding p and dilation d,

    size_out  = (size_in + 2 p - d (k - 1) - 1) // s + 1
    jump_out  = jump_in * s
    field_out = field_in + (k - 1) * d * jump_in
    first_out = first_in - p * jump_in

The jump is the distance, in pixels of the image, between two neighbouring outputs; the receptive field is the side of
the square of pixels that one output depends on; first is where the square of the first output begins, below 0 where
it reaches into the padding.
"""

import copy
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn.utils import skip_init

from mnist_drill.errors import DrillError
from mnist_drill.networks import parameter_count

CONVOLUTION_OR_POOL = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)
SIZE_KEPT = (nn.BatchNorm2d, nn.ReLU, nn.Dropout, nn.Dropout2d, nn.Identity, nn.Flatten)


@dataclass(frozen=True)
class Layer:
    """A convolution or pool. Sizes, kernels and fields are sides of squares, in pixels of the layer's own input or,
    for jump and field, of the image."""

    name: str  # where it sits in the network, as in `named_modules`
    operation: str  # "conv", "max pool", "average pool", "global max pool" or "global average pool"
    kernel: int
    stride: int
    padding: int
    dilation: int
    channels_in: int
    channels_out: int
    size_in: int
    size_out: int
    jump_in: int
    jump_out: int
    field_in: int
    field_out: int
    first_out: int
    parameters: int
    norm_parameters: int  # of the batch norm that follows a convolution, be there a pool between

    @property
    def kind(self) -> str:
        return f"{self.operation} {self.kernel}×{self.kernel}"


def trace(model: nn.Module, size: int = 28) -> list[Layer]:
    """The convolutions and pools of a network that passes its input, (N, 1, size, size), from layer to layer.

    The network is left as it was, random state included. Raises `DrillError`, naming the layer, for one of a kind that
    the recursion does not cover, for one that is used twice, and for a branch.
    """
    layers: list[Layer] = []
    jump, field, first = 1, 1, 0
    convolution = None  # where the last one lies in `layers`
    for name, module, shape_in, shape_out in calls(model, size):
        if isinstance(module, nn.BatchNorm2d) and convolution is not None:
            layers[convolution] = replace(layers[convolution], norm_parameters=parameter_count(module))
        if isinstance(module, SIZE_KEPT):
            continue
        if not isinstance(module, CONVOLUTION_OR_POOL):
            raise DrillError(f"layer {name} is a {type(module).__name__}, whose receptive field is not known here")
        kernel, stride, padding, dilation = (
            _side(name, module, setting) for setting in ("kernel_size", "stride", "padding", "dilation")
        )
        layer = Layer(
            name=name,
            operation=_operation(module, covers_all=kernel - padding >= shape_in[2] and dilation == 1 == shape_out[2]),
            kernel=kernel,
            stride=stride,
            padding=padding,
            dilation=dilation,
            channels_in=shape_in[1],
            channels_out=shape_out[1],
            size_in=shape_in[2],
            size_out=shape_out[2],
            jump_in=jump,
            jump_out=jump * stride,
            field_in=field,
            field_out=field + (kernel - 1) * dilation * jump,
            first_out=first - padding * jump,
            parameters=parameter_count(module),
            norm_parameters=0,
        )
        if layer.size_out != (layer.size_in + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1:
            raise DrillError(f"layer {name} rounds its output's size up (ceil_mode): the recursion rounds down")
        jump, field, first = layer.jump_out, layer.field_out, layer.first_out
        layers.append(layer)
        if isinstance(module, nn.Conv2d):
            convolution = len(layers) - 1
    return layers


def gradient_extent(model: nn.Module, layer: Layer, size: int = 28) -> int:
    """The receptive field of `layer` as autograd sees it: the side of the square of pixels that its central output
    has a gradient on.

    A copy of the network is made in which nothing can hide a pixel: every weight is positive, so that no ReLU is
    closed and no sum cancels, and pools, of which max pools pass the gradient of one pixel only, are sums. The image
    is large enough for the square to lie inside it. `size` is one that the network can be traced at.
    """
    layers = trace(model, size)
    open_model = copy.deepcopy(model).cpu().eval()
    for pool in (x for x in layers if "pool" in x.operation):
        parent, _, child = pool.name.rpartition(".")
        channels, geometry = pool.channels_in, (pool.kernel, pool.stride, pool.padding, pool.dilation)
        # Without drawing weights, so that torch's random state stays as it is.
        summing = skip_init(nn.Conv2d, channels, channels, *geometry, groups=channels, bias=False)
        setattr(open_model.get_submodule(parent), child, summing)
    for module in open_model.modules():
        for parameter in module.parameters(recurse=False):
            nn.init.ones_(parameter)
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
    seen: list[Tensor] = []
    open_model.get_submodule(layer.name).register_forward_hook(lambda module, inputs, output: seen.append(output))
    side = 4 * (layers[-1].field_out + layers[-1].jump_out)
    image = torch.ones(1, 1, side, side, requires_grad=True)
    open_model(image)
    middle = seen[0].shape[-1] // 2
    (gradient,) = torch.autograd.grad(seen[0][0, :, middle, middle].sum(), image)
    rows = gradient[0, 0].abs().sum(dim=1).nonzero()
    return int(rows.max() - rows.min() + 1)


def calls(model: nn.Module, size: int) -> list[tuple[str, nn.Module, torch.Size, torch.Size]]:
    """Each module without children, in the order of use: its name, itself, and the shapes of its input and output.

    The modules are those of a copy on the CPU, in evaluation mode. Raises `DrillError` as `trace` does.
    """
    model = copy.deepcopy(model).cpu().eval()
    names = {module: name for name, module in model.named_modules()}
    calls: list[tuple[str, nn.Module, torch.Size, torch.Size]] = []
    image = torch.zeros(1, 1, size, size)
    previous = image

    def record(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal previous
        if any(module is other for _, other, _, _ in calls):
            raise DrillError(f"layer {names[module]} is used twice, so it has no single receptive field")
        if len(inputs) != 1 or inputs[0] is not previous:
            raise DrillError(f"layer {names[module]} does not take the output of the layer before it: a branch")
        if not isinstance(output, Tensor):
            raise DrillError(f"layer {names[module]} returns a {type(output).__name__}, not one tensor")
        calls.append((names[module], module, inputs[0].shape, output.shape))
        previous = output

    for module in model.modules():
        if not list(module.children()):
            module.register_forward_hook(record)
    with torch.no_grad():
        result = model(image)
    if result is not previous:
        last = f"layer {calls[-1][0]}" if calls else "its input"
        raise DrillError(f"the network does more after {last} than its layers show")
    return calls


def _side(name: str, module: nn.Module, setting: str) -> int:
    """A setting of a layer that is the same for rows and columns."""
    value = getattr(module, setting, 1)  # average pools have no dilation
    sides = value if isinstance(value, tuple) else (value, value)
    if isinstance(value, str) or sides[0] != sides[1]:
        raise DrillError(f"layer {name} has {setting} {value!r}; only one number for rows and columns is understood")
    return sides[0]


def _operation(module: nn.Module, covers_all: bool) -> str:
    """What `Layer.operation` says of a layer; `covers_all` says whether it makes one output of all of its input."""
    if isinstance(module, nn.Conv2d):
        return "conv"
    pool = "max pool" if isinstance(module, nn.MaxPool2d) else "average pool"
    return f"{'global ' if covers_all else ''}{pool}"
