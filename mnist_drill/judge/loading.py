"""In the submission's process: executing its file, finding the network in it, and building it from a seed."""

from __future__ import annotations

import random
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np
from torch import nn

from mnist_drill.errors import DrillError, unknown
from mnist_drill.networks import seeded
from mnist_drill.recipes import Recipe
from mnist_drill.study.network import executed, source_names

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

USUAL = ("network", "Network", "net", "Net", "model", "Model")  # names that are looked for, in this order


class Loaded:
    """A submission's file, executed; `recipe` is the recipe that it defines, as plain data, or None.

    Raises whatever the file raises, and `DrillError` where it is not clear which network is meant.
    """

    def __init__(self, file: str, name: str, text: str):
        self.file, self.text = file, text
        self.module = self._execute()
        self.name = name or self._only_name()
        if not hasattr(self.module, self.name):
            raise unknown(f"network in {file},", self.name, source_names(text) or ["a file that defines one"])
        recipe = getattr(self.module, "recipe", None)
        if recipe is not None and not isinstance(recipe, Recipe):
            raise DrillError(f"`recipe` is a {type(recipe).__name__}, not a mnist_drill.recipes.Recipe")
        self.recipe = None if recipe is None else asdict(recipe)

    def build(self, seed: int) -> nn.Module:
        """A fresh network from a seed, of torch, numpy and `random`. Raises whatever the user's file raises."""
        random.seed(seed)
        np.random.seed(seed % 2**32)
        network = seeded(self._function(), seed)
        if not isinstance(network, nn.Module):
            raise DrillError(f"{self.name} makes a {type(network).__name__}, not a torch.nn.Module")
        return network

    def _function(self) -> Callable[[], nn.Module]:
        made = getattr(self.module, self.name)
        if isinstance(made, nn.Module):  # its weights were initialized when the file was executed: so that is repeated
            return lambda: getattr(self._execute(), self.name)
        if not callable(made):
            raise DrillError(
                f"{self.name} is a {type(made).__name__}, and neither a function nor a class nor a network"
            )
        return made

    def _execute(self) -> ModuleType:
        return executed(self.file, self.text)

    def _only_name(self) -> str:
        """The name of the network: one of the usual names, or the only one that it can be."""
        there = vars(self.module)
        for name in USUAL:
            if callable(there.get(name)):
                return name
        found = [name for name in there if isinstance(there[name], nn.Module)]
        own = [name for name in source_names(self.text) if not name.startswith("_") and name in there]
        found += [name for name in own if isinstance(there[name], type) and issubclass(there[name], nn.Module)]
        found = found or own
        if len(found) == 1:
            return found[0]
        if not found:
            raise DrillError(f"{self.file} defines no function or class that makes a network; name it `network`")
        raise DrillError(
            f"{self.file} defines {', '.join(found)}: say which is the network with FILE:NAME, or name it `network`"
        )
