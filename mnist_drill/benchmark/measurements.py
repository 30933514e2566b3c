"""The measurements, each as plain data: epochs, FLOPs and throughput, time to accuracy, latency, memory.

Contenders of a comparison take turns, round by round, so that a machine that slows down slows all of them alike. What
is compared is the ratio of their medians; seconds are this machine's.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torchvision
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from mnist_drill.benchmark.contenders import (
    ONE_EPOCH,
    course_epoch,
    course_run,
    one_epoch_recipe,
    published_epoch,
    usual_epoch,
)
from mnist_drill.benchmark.flops import flops_per_image
from mnist_drill.benchmark.turns import take_turns, timed, wait_for
from mnist_drill.models import build
from mnist_drill.stages import NETWORKS, STAGES
from mnist_drill.storage.mnist import data_folder
from mnist_drill.train import train_epoch
from mnist_drill.training.devices import has_bfloat16

if TYPE_CHECKING:
    from mnist_drill.benchmark.turns import Seconds
    from mnist_drill.data import LabeledImages
    from mnist_drill.runs import Score

GOALS = ("99.0", "99.4")  # test accuracies in percent

# `mnist-drill`, which in the end writes what Linux says of it to the file in its first argument.
_COMMAND = """
import sys
from pathlib import Path

from mnist_drill.cli import main

file, status = Path(sys.argv.pop(1)), Path("/proc/self/status")
main()
if status.exists():
    file.write_text(status.read_text())
"""


def seconds_per_epoch(
    train_set: LabeledImages, test_set: LabeledImages, device: torch.device, rounds: int, workers: tuple[int, ...]
) -> dict[str, Seconds]:
    """Seconds per epoch of each stage, evaluation included: the course, and the usual pipeline with such workers."""
    sizes = len(train_set), len(test_set)
    return {
        name: take_turns(
            {"course": partial(course_epoch, name, train_set, test_set, device)}
            | {f"usual, {n} workers": partial(usual_epoch, name, *sizes, n, device) for n in workers},
            rounds,
        )
        for name in STAGES
    }


def seconds_of_the_published_form(
    train_set: LabeledImages, test_set: LabeledImages, device: torch.device, rounds: int, workers: tuple[int, ...]
) -> Seconds:
    """Seconds per epoch of stage 4, evaluation included: the course, and the published form with such workers."""
    sizes = len(train_set), len(test_set)
    return take_turns(
        {"course": partial(course_epoch, "stage4", train_set, test_set, device)}
        | {
            f"published, batches of {size}, {n} workers": partial(published_epoch, size, *sizes, n, device)
            for size in (128, 32)
            for n in workers
        },
        rounds,
    )


def flops_per_epoch(name: str, train_images: int, test_images: int) -> int:
    """FLOPs of an epoch of a network: forward and backward of the training images, forward of the test images."""
    network = build(name, 1)
    return train_images * flops_per_image(network, backward=True) + test_images * flops_per_image(network)


def matrix_throughput(device: torch.device, rounds: int, side: int = 2048) -> dict[str, list[float]]:
    """FLOPs per second of a large matrix product, in each precision that the device multiplies natively."""
    precisions = {"float32": torch.float32} | ({"bfloat16": torch.bfloat16} if has_bfloat16(device) else {})
    factors = {name: torch.rand(side, side, device=device, dtype=dtype) for name, dtype in precisions.items()}

    def throughput(name: str) -> float:
        return 2 * side**3 / timed(lambda: factors[name] @ factors[name], device)

    contenders = {name: partial(throughput, name) for name in factors}
    take_turns(contenders, 2)  # the first products are slower
    return take_turns(contenders, rounds)


def where_time_goes(
    name: str, train_set: LabeledImages, test_set: LabeledImages, device: torch.device
) -> dict[str, float]:
    """Seconds of each part of one epoch by `fit`, by hooks around the network and the optimizer."""
    network = build(name, 1)
    parts = dict.fromkeys(("data, augmentation, EMA", "forward", "loss, backward", "optimizer"), 0.0)
    since = 0.0

    def epoch(*arguments) -> Score:
        nonlocal since
        since = time.perf_counter()  # what was set up before is no part of the epoch
        return train_epoch(*arguments)

    def mark(part: str) -> None:
        nonlocal since
        wait_for(device)
        now = time.perf_counter()
        parts[part] += now - since
        since = now

    def around(part: str):
        # Hooks travel with a copy, as that of the averaged weights, and evaluation comes after the last step.
        return lambda module, *_: mark(part) if module is network and network.training else None

    before, forward, backward, optimizer = parts
    hooks = [
        network.register_forward_pre_hook(around(before)),
        network.register_forward_hook(around(forward)),
        register_optimizer_step_pre_hook(lambda *_: mark(backward)),
        register_optimizer_step_post_hook(lambda *_: mark(optimizer)),
    ]
    try:
        run = course_run(name, 1, train_set, test_set, device, network=network, loop=epoch)
    finally:
        for hook in hooks:
            hook.remove()
    return {**parts, "evaluation": run.last.seconds - sum(parts.values())}


def time_to_accuracy(
    train_set: LabeledImages, test_set: LabeledImages, device: torch.device, seeds: dict[str, int], epochs: int = 15
) -> dict[str, list[dict]]:
    """For each seed, the last test accuracy and the seconds of training until it was first each of `GOALS`, or None.

    `seeds` says how many of each contender: of networks by name, which train by their recipe for at most `epochs`, and
    of the one-epoch recipe.
    """
    results: dict[str, list[dict]] = {name: [] for name in seeds}
    for seed in range(1, max(seeds.values()) + 1):
        for name in (name for name, count in seeds.items() if seed <= count):
            if name == ONE_EPOCH:
                rows = [one_epoch_recipe(train_set, test_set, device, seed)]
            else:
                run = course_run(name, min(epochs, NETWORKS[name].recipe.epochs), train_set, test_set, device, seed)
                rows = [(row.test_accuracy, row.seconds) for row in run.epochs]
            results[name].append(_reached(rows))
    return results


def _reached(rows: list[tuple[float, float]]) -> dict[str, float | None]:
    """From the test accuracy and the seconds of each epoch: the last accuracy, and the seconds until each goal."""
    reached: dict[str, float | None] = {"accuracy": rows[-1][0], **dict.fromkeys(GOALS)}
    passed = 0.0
    for accuracy, seconds in rows:
        passed += seconds
        for goal in GOALS:
            if reached[goal] is None and accuracy >= float(goal):
                reached[goal] = passed
    return reached


def inference_latency(device: torch.device, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Seconds per image at batch 1 and 1,000: `stage4` against networks of torchvision on the same 28×28 pixels."""
    names = ("resnet18", "squeezenet1_0", "mobilenet_v3_small")
    networks = {"stage4": (build("stage4", 1), 1)}
    networks |= {name: (torchvision.models.get_model(name, weights=None, num_classes=10), 3) for name in names}
    for network, _ in networks.values():
        network.to(device).eval()

    def classify(name: str, size: int) -> float:
        network, channels = networks[name]
        images = torch.rand(size, channels, 28, 28, device=device)
        repeats = max(1, 20 // size)
        with torch.inference_mode():
            return timed(lambda: [network(images) for _ in range(repeats)], device) / repeats / size

    results = {}
    for size in (1, 1000):
        contenders = {name: partial(classify, name, size) for name in networks}
        take_turns(contenders, 1)  # the first passes are slower
        results[f"{size:,}"] = take_turns(contenders, rounds)
    return results


def peak_memory(name: str = "stage4") -> float | None:
    """Peak resident megabytes of a process that trains a network of the course for an epoch.

    None where the system does not say, or where the process fails.
    """
    if not hasattr(os, "wait4"):
        return None
    # The folder that the package lies in, so that it is found whether or not it is installed; a data folder that is
    # given relative to this one stays where it is.
    package_in = Path(__file__).resolve().parents[2]
    variables = {**os.environ, "MNIST_DRILL_DATA": str(data_folder().resolve())}
    with tempfile.TemporaryDirectory() as folder:
        status_file = Path(folder, "status")
        command = [sys.executable, "-c", _COMMAND, status_file, "train", name, "--epochs", "1", "--out", folder]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=package_in, env=variables)
        _, status, used = os.wait4(process.pid, 0)
        told = status_file.read_text() if status_file.exists() else ""
    if status:
        return None
    # Linux counts in a child's `ru_maxrss` what its parent ever used.
    if peak := re.search(r"VmHWM:\s+(\d+) kB", told):
        return int(peak[1]) / (1 << 10)
    return used.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)
