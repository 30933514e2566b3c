"""Figures of what the layers of a network compute: kernels, feature maps, and how much these depend on the image."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import torch
from torch import nn

from mnist_drill.augment import erase
from mnist_drill.course import descriptions
from mnist_drill.course.layers import class_maps, spread_of
from mnist_drill.course.plots import BLUE, GREEN, GREY, ORANGE, show
from mnist_drill.data import normalize

if TYPE_CHECKING:
    from torch import Tensor


def signed_maps(maps: dict[str, Tensor]) -> None:
    """Images and feature maps of shape (H, W), each under its name: positive values purple, negative ones orange."""
    figure, axes = plt.subplots(1, len(maps), figsize=(2.1 * len(maps), 2.4), squeeze=False)
    for axis, (name, values) in zip(axes.flat, maps.items(), strict=True):
        _signed(axis, values)
        axis.set_title(name, fontsize=9)
    show(figure, description=descriptions.side_by_side(maps))


def first_kernels(model: nn.Module) -> None:
    """The kernels of the first convolution, which has one input channel, on one scale: 16 in a row."""
    kernels = next(layer for layer in model.modules() if isinstance(layer, nn.Conv2d)).weight.detach().cpu()[:, 0]
    rows = -(-len(kernels) // 16)
    figure, axes = plt.subplots(rows, 16, figsize=(0.55 * 16, 0.6 * rows), squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for axis, kernel in zip(axes.flat, kernels, strict=False):
        _signed(axis, kernel, largest=kernels.abs().max().item())
    show(figure, description=descriptions.kernels(len(kernels), kernels.shape[-1]))


def feature_maps(model: nn.Module, image: Tensor, channels: int = 8) -> None:
    """One image, (1, 28, 28) in [0, 1], and below it the first channels after each layer: a row for each.

    A layer is shown after its ReLU, where it has one; maps of a single position are left out.
    """
    maps = {name: maps[:channels] for name, maps in maps_of(model, image).items() if maps.shape[-1] > 1}
    rows = [("image", image), *maps.items()]
    widths = {"width_ratios": [2.4, *[1] * channels]}  # the first column has the names
    size = (0.9 * (channels + 2.4), 0.95 * len(rows))
    figure, axes = plt.subplots(len(rows), channels + 1, figsize=size, gridspec_kw=widths)
    for axis in axes.flat:
        axis.axis("off")
    for (named, *line), (name, values) in zip(axes, rows, strict=True):
        side = values.shape[-1]
        label = named.text(1, 0.5, f"{name}\n{side}×{side}", ha="right", va="center", fontsize=9)
        label.set_in_layout(False)
        colours, highest = ("gray_r", 1) if values is image else ("Blues", max(values.max().item(), 1e-6))
        for axis, one in zip(line, values, strict=False):
            axis.imshow(one.numpy(), cmap=colours, vmin=0, vmax=highest)
    show(figure, description=descriptions.feature_maps(maps))


def maps_of_classes(model: nn.Module, images: Tensor) -> None:
    """Images, (N, 1, 28, 28) in [0, 1], one to a row, and the map of each class, its mean below it: the logit.

    The largest logit of a row has a frame. See `layers.class_maps`.
    """
    maps = class_maps(model, images)
    logits, limit = maps.mean(dim=(2, 3)), maps.abs().max().item()
    classes = maps.shape[1]
    size = (0.85 * (classes + 1), 1.15 * len(images))
    figure, axes = plt.subplots(len(images), classes + 1, figsize=size, squeeze=False)
    for (first, *others), image, row, means in zip(axes, images, maps, logits, strict=True):
        first.imshow(image[0].numpy(), cmap="gray_r", vmin=0, vmax=1)
        first.set(xticks=[], yticks=[])
        for axis, values, mean in zip(others, row, means, strict=True):
            _signed(axis, values, largest=limit)
            axis.set_xlabel(f"{mean:.1f}", fontsize=8)
        others[means.argmax()].spines[:].set(linewidth=2.5)
    for number, axis in enumerate(axes[0, 1:]):
        axis.set_title(number, fontsize=9)
    show(figure, description=descriptions.class_maps(logits.argmax(dim=1).tolist(), maps.shape[-1]))


def normalized(model: nn.Module, images: Tensor) -> None:
    """What the last batch norm does to three channels, those of the largest, the median and the smallest variance.

    Histograms of what comes in, of what is normalized over the batch, and of what comes out, scaled by γ and shifted by
    β.

    `images` is a batch of shape (N, 1, 28, 28) in [0, 1]; the network is run in training mode, as a copy.
    """
    network, found = copy.deepcopy(model).cpu().train(), []
    *_, norm = (layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d))
    norm.register_forward_hook(lambda layer, inputs, output: found.extend((inputs[0].clone(), output.clone())))
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        network(normalize(images))
    before, after = found
    scale, shift = (x.detach().view(1, -1, 1, 1) for x in (norm.weight, norm.bias))
    steps = {"before": before, "normalized": (after - shift) / scale, "scaled by γ, shifted by β": after}
    by_variance = before.var(dim=(0, 2, 3)).argsort(descending=True).tolist()
    chosen = [by_variance[0], by_variance[len(by_variance) // 2], by_variance[-1]]
    spread = {name: values[:, chosen].std(dim=(0, 2, 3)).tolist() for name, values in steps.items()}
    figure, axes = plt.subplots(1, len(steps), figsize=(9.6, 2.6), sharex=True, sharey=True)
    for axis, (name, values) in zip(axes, steps.items(), strict=True):
        for channel, deviation, colour in zip(chosen, spread[name], (BLUE, ORANGE, GREY), strict=False):
            counts, edges = torch.histogram(values[:, channel].flatten(), bins=60, density=True)
            label = f"channel {channel + 1}: {deviation:.2f}"
            axis.plot((edges[1:] + edges[:-1]) / 2, counts, color=colour, label=label)
        axis.set(title=name, xlabel="value")
        axis.grid(alpha=0.3)
        axis.legend(title="standard deviation", fontsize=8, title_fontsize=8)
    axes[0].set_ylabel("density")
    show(figure, description=descriptions.normalized(spread))


def occlusion(model: nn.Module, images: Tensor, labels: Tensor, side: int = 5) -> None:
    """Which pixels the decisions depend on: how far the probability of the label falls where a square is hidden.

    `images` has shape (N, 1, 28, 28) in [0, 1], `labels` (N,); the square of `side` pixels, odd, is set to background,
    its centre at each pixel in turn. Source: M. Zeiler, R. Fergus, Visualizing and Understanding Convolutional
    Networks, 2014.
    """
    network = copy.deepcopy(model).cpu().eval()
    falls = []
    with torch.inference_mode():
        for image, label in zip(images, labels.tolist(), strict=True):
            height, width = image.shape[-2:]
            hidden = erase(image.expand(height * width, -1, -1, -1), _pixels(height, width), side)
            probability = network(normalize(torch.cat([image.unsqueeze(0), hidden]))).softmax(dim=1)[:, label]
            falls.append((probability[0] - probability[1:]).view(height, width))
    figure, axes = plt.subplots(2, len(images), figsize=(1.15 * len(images), 2.5), squeeze=False)
    for column, (image, fall) in enumerate(zip(images, falls, strict=True)):
        axes[0, column].imshow(image[0], cmap="gray_r", vmin=0, vmax=1)
        axes[1, column].imshow(image[0], cmap="gray_r", vmin=0, vmax=3)
        axes[1, column].imshow(fall, cmap="Oranges", vmin=0, vmax=1, alpha=fall.clamp(0, 1).sqrt())
        axes[1, column].set_xlabel(f"{fall.max():.0%}", fontsize=8)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
    axes[1, 0].set_ylabel("largest fall", fontsize=8)
    show(figure, description=descriptions.occlusion(labels.tolist(), [fall.max().item() for fall in falls]))


def _pixels(height: int, width: int) -> Tensor:
    """The row and column of each pixel, (height * width, 2)."""
    return torch.cartesian_prod(torch.arange(height), torch.arange(width))


def spreads(networks: dict[str, nn.Module], images: Tensor) -> None:
    """How much each convolution's output varies from image to image, network by network; see `layers.spread_of`."""
    figure, axis = plt.subplots(figsize=(6.4, 3))
    for (name, network), colour in zip(networks.items(), (BLUE, ORANGE, GREY, GREEN), strict=False):
        values = spread_of(network, images)
        axis.plot(range(1, len(values) + 1), values, color=colour, marker="o", markersize=3, label=name)
    axis.set(yscale="log", xlabel="convolution", ylabel="standard deviation")
    axis.grid(alpha=0.3, which="both")
    axis.legend(fontsize=8)
    show(figure, description=descriptions.spreads(networks))


def maps_of(model: nn.Module, image: Tensor) -> dict[str, Tensor]:
    """The feature maps of one image, (1, 28, 28) in [0, 1], after each layer of a sequence, each (C, H, W).

    A layer is a module of the sequence, such as a block of convolution, pool and ReLU; it is named after its parts.
    """
    network = copy.deepcopy(model).cpu().eval()
    maps, found = normalize(image).unsqueeze(0), {}
    with torch.inference_mode():
        for number, layer in enumerate(network, 1):
            maps = layer(maps)
            if maps.dim() == 4:
                found[f"{number}  {_kind(layer)}"] = maps[0]
    return found


def _kind(layer: nn.Module) -> str:
    inside = [part for part in layer.modules() if isinstance(part, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d)]
    sides = [side if isinstance(side, int) else side[0] for side in (part.kernel_size for part in inside)]
    names = {nn.Conv2d: "conv", nn.MaxPool2d: "max pool", nn.AvgPool2d: "average pool"}
    return ", ".join(f"{names[type(part)]} {side}×{side}" for part, side in zip(inside, sides, strict=True))


def _signed(axis: plt.Axes, values: Tensor, largest: float | None = None) -> None:
    """Values of shape (H, W), white at 0; the colours end at `largest` either way."""
    limit = largest or max(values.abs().max().item(), 1e-6)
    axis.imshow(values.numpy(), cmap="PuOr", vmin=-limit, vmax=limit)
    axis.set(xticks=[], yticks=[])
