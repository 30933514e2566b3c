"""What changes from one stage to the next, as a diff: of networks layer by layer, of recipes setting by setting."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mnist_drill.recipes import Recipe


class Diff:
    """Lines that are removed (`-`), added (`+`) or kept; in colour where Markdown is rendered."""

    def __init__(self, lines: Iterable[str]):
        self.lines = list(lines)

    def __repr__(self) -> str:
        return "\n".join(self.lines)

    def _repr_markdown_(self) -> str:
        return f"```diff\n{self!r}\n```"


def network_diff(before: nn.Module, after: nn.Module) -> Diff:
    """The layers of two networks, in the order in which they are called in a `Sequential`."""

    def layers(model: nn.Module) -> list[str]:
        return [described(module) for module in model.modules() if not list(module.children())]

    lines = difflib.ndiff(layers(before), layers(after))
    return Diff(line.rstrip() for line in lines if not line.startswith("?"))


def described(layer: nn.Module) -> str:
    """A layer by torch's name and the settings in which the course's networks differ."""
    name = type(layer).__name__
    if isinstance(layer, nn.Conv2d):
        padding = f", padding {layer.padding[0]}" if layer.padding[0] else ""
        height, width = layer.kernel_size
        return f"{name} {height}×{width}, {layer.in_channels} → {layer.out_channels} channels{padding}"
    if isinstance(layer, nn.MaxPool2d | nn.AvgPool2d):
        return f"{name} {layer.kernel_size}×{layer.kernel_size}"
    if isinstance(layer, nn.Dropout | nn.Dropout2d):
        return f"{name} {layer.p}"
    return name


def recipe_diff(before: Recipe, after: Recipe) -> Diff:
    """The settings in which two recipes differ, each before and after."""
    changed = [(name, old, vars(after)[name]) for name, old in vars(before).items() if old != vars(after)[name]]
    return Diff(line for name, old, new in changed for line in (f"- {name} = {old}", f"+ {name} = {new}"))
