"""Devices, mixed precision, and what a run was made with."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torchvision
from torch import Tensor, nn

from mnist_drill.errors import DrillError

if TYPE_CHECKING:
    from mnist_drill.recipes import Recipe


def pick_device(name: str = "auto") -> torch.device:
    """The device of that name: "cpu", "cuda", "mps", or with "auto" a GPU if there is one.

    Raises `DrillError` for a device that is not there.
    """
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if there[kind]))
    if not there.get(name):
        here = ", ".join(kind for kind in there if there[kind])
        raise DrillError(f"device {name!r} is not available here: choose auto or one of {here}")
    return torch.device(name)


def memory_format(device: torch.device) -> torch.memory_format:
    """The layout that a network's weights have there."""
    # Convolutions on a CPU need no copies in channels-last layout; batch norm on MPS does not support it everywhere.
    return torch.contiguous_format if device.type == "mps" else torch.channels_last


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 natively; elsewhere it is emulated, and slower than float32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()


class MixedPrecision(nn.Module):
    """A network that multiplies in bfloat16, by autocast, and returns logits in float32; its weights stay float32."""

    def __init__(self, network: nn.Module, device: torch.device):
        super().__init__()
        self.network, self.autocast = network, torch.autocast(device.type, torch.bfloat16)

    def forward(self, images: Tensor) -> Tensor:
        with self.autocast:
            logits = self.network(images)
        return logits.float()


def environment(device: torch.device, recipe: Recipe) -> dict[str, str | int]:
    """What a run was made with: versions, device, the name of the CPU or GPU, threads, the precision of training."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "device": device.type,
        "hardware": torch.cuda.get_device_name(device) if device.type == "cuda" else _cpu_name(),
        "threads": torch.get_num_threads(),
        "precision": "bfloat16" if recipe.mixed_precision and has_bfloat16(device) else "float32",
    }


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def random_states(device: torch.device) -> dict[str, Tensor]:
    """The states of the random generators that a training on the device draws from, by kind: "cpu", and its own."""
    states = {"cpu": torch.get_rng_state()}
    if device.type != "cpu":
        states[device.type] = torch.get_device_module(device).get_rng_state()
    return states


def restore_random(states: dict[str, Tensor], device: torch.device) -> None:
    """Goes on from `random_states`, whatever the device that they are of.

    The generator of a kind that they lack is seeded by a draw from the CPU's: as it was seeded at first it would
    repeat the first epoch.
    """
    torch.set_rng_state(states["cpu"])
    if device.type == "cpu":
        return
    generators = torch.get_device_module(device)
    if device.type in states:
        generators.set_rng_state(states[device.type])
    else:
        generators.manual_seed(int(torch.randint(2**62, ())))
