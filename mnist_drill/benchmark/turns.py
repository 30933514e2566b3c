"""Contenders that take turns, so that a machine that slows down slows all of them alike."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    Seconds = dict[str, list[float]]


def take_turns(contenders: dict[str, Callable[[], float]], rounds: int) -> Seconds:
    """What each contender returned in each round: one after the other in every round."""
    results: Seconds = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            results[name].append(contender())
    return results


def timed(work: Callable[[], object], device: torch.device) -> float:
    """Seconds that `work` takes, on a GPU until the last kernel has ended."""
    wait_for(device)
    start = time.perf_counter()
    work()
    wait_for(device)
    return time.perf_counter() - start


def wait_for(device: torch.device) -> None:
    """Waits until a GPU has done what it was given; on a CPU nothing is left to wait for."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
