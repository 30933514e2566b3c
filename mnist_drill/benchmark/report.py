"""The benchmark as a whole: its parts one after the other, the report that they add up to, and the tables of it."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from mnist_drill import data
from mnist_drill.benchmark import PARTS
from mnist_drill.benchmark.contenders import ONE_EPOCH
from mnist_drill.benchmark.measurements import (
    GOALS,
    flops_per_epoch,
    inference_latency,
    matrix_throughput,
    peak_memory,
    seconds_of_the_published_form,
    seconds_per_epoch,
    time_to_accuracy,
    where_time_goes,
)
from mnist_drill.course.tables import Table
from mnist_drill.errors import DrillError
from mnist_drill.runs import environment_in
from mnist_drill.stages import NETWORKS, STAGES
from mnist_drill.storage.files import check_format, read_json
from mnist_drill.training.devices import environment, pick_device

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    import torch

    from mnist_drill.data import LabeledImages

FORMAT = 2  # of a report


def run_benchmark(
    device_name: str = "auto",
    quick: bool = False,
    say: Callable[[object], None] = print,
    only: Collection[str] = (),
    earlier: dict | None = None,
) -> dict:
    """The measurements of `PARTS`, each said as a table when it is done; returns them as plain data.

    With `quick` a tenth of the images and one round: a smoke test, whose ratios mean little. With `only` some of the
    parts; they take the place of those in `earlier`, an earlier report. Raises `DrillError` where that is of another
    machine, version or number of images.
    """
    device = pick_device(device_name)
    train_set, test_set = data.load()
    if quick:
        train_set, test_set = train_set[:6000], test_set[:1000]
    head = {"format": FORMAT, "environment": environment(device, NETWORKS["stage4"].recipe), "quick": quick,
            "images": len(train_set)}  # fmt: skip
    if earlier is not None and {key: earlier.get(key) for key in head} != head:
        raise DrillError("the earlier benchmark is of another machine, version or number of images: measure all parts")
    report = head | (earlier or {})
    if "limit" in only and "epoch" not in {*only, *report}:
        raise DrillError("limit compares with the seconds per epoch: measure the part epoch with it")
    for part in PARTS:
        if part in only or not only:
            report |= _measure(part, train_set, test_set, device, quick)
            for line in _lines(part, report, len(train_set), len(test_set)):
                say(line)
    return report


def _measure(part: str, train_set: LabeledImages, test_set: LabeledImages, device: torch.device, quick: bool) -> dict:
    """What a part adds to the report."""
    match part:
        case "epoch":
            rounds = 1 if quick else 3
            return {"epoch": seconds_per_epoch(train_set, test_set, device, rounds, workers=(0, 2))}
        case "published":
            rounds = 1 if quick else 3
            return {"published": seconds_of_the_published_form(train_set, test_set, device, rounds, workers=(0, 2))}
        case "limit":
            flops = {name: flops_per_epoch(name, len(train_set), len(test_set)) for name in STAGES}
            return {"matrix product": matrix_throughput(device, 10), "flops": flops}
        case "parts":
            return {"parts": {name: where_time_goes(name, train_set, test_set, device) for name in STAGES}}
        case "goals":
            seeds = {"stage4": 3, "sprint": 10, ONE_EPOCH: 10}
            seeds, epochs = (dict.fromkeys(seeds, 1), 2) if quick else (seeds, 15)
            return {"time to accuracy": time_to_accuracy(train_set, test_set, device, seeds, epochs)}
        case "inference":
            return {"inference": inference_latency(device, 3 if quick else 20)}
        case "memory":
            return {"peak megabytes": peak_memory()}


def _lines(part: str, report: dict, train_images: int, test_images: int) -> tuple[object, ...]:
    """What is said of a part: a title and a table, or a line."""
    match part:
        case "epoch":
            title = (
                f"Seconds per epoch, {train_images:,} training images and an evaluation on {test_images:,} test "
                "images: median (lowest to highest)"
            )
            return title, epoch_table(report)
        case "published":
            return (
                "\nSeconds per epoch of stage 4 and of its published form: median (lowest to highest)",
                published_table(report),
            )
        case "limit":
            measured = report["matrix product"].items()
            throughput = [f"{statistics.median(values) / 1e9:,.0f} GFLOP/s in {name}" for name, values in measured]
            return f"\nAgainst the throughput of a large matrix product: {', '.join(throughput)}", limit_table(report)
        case "parts":
            return "\nWhere the time of an epoch goes", parts_table(report)
        case "goals":
            title = "\nSeconds until a test accuracy is first reached: median (lowest to highest) of the seeds that do"
            return title, goals_table(report)
        case "inference":
            return "\nLatency, microseconds per image: median (lowest to highest)", latency_table(report)
        case "memory":
            return (f"\n{memory_line(report)}",)


def load_report(path: str | Path) -> dict:
    """A report that the command wrote. Raises `DrillError` for a file that is missing or holds something else."""
    return read_json(path, _checked, "a benchmark", f"`bench --out {path}` makes it again")


def _checked(report: dict) -> dict:
    check_format(report, FORMAT)
    return {**report, "environment": environment_in(report)}


def epoch_table(report: dict) -> Table:
    """A row for each network: the course's seconds per epoch, those of each usual pipeline, and their ratio."""
    rows = []
    for name, contenders in report["epoch"].items():
        course, *usual = contenders.values()
        row = [name, _spread(course)]
        for seconds in usual:
            row += [_spread(seconds), f"{statistics.median(seconds) / statistics.median(course):.1f}"]
        rows.append(row)
    pipelines = [name for name in next(iter(report["epoch"].values())) if name != "course"]
    return Table(["network", "course", *(x for name in pipelines for x in (name, "times as long"))], rows)


def published_table(report: dict) -> Table:
    """A row for stage 4, one for each form of what is published: seconds per epoch, and the ratio to the course."""
    course = statistics.median(report["published"]["course"])
    rows = [
        [name, _spread(seconds), f"{statistics.median(seconds) / course:.1f}"]
        for name, seconds in report["published"].items()
    ]
    return Table(["stage 4", "seconds per epoch", "times as long"], rows)


def limit_table(report: dict) -> Table:
    """A row for each network and precision: the seconds that an epoch's FLOPs would take in a large matrix product."""
    rows = []
    for name, flops in report["flops"].items():
        course = statistics.median(report["epoch"][name]["course"])
        for precision, throughput in report["matrix product"].items():
            limit = flops / statistics.median(throughput)
            rows.append(
                [name, precision, f"{flops / 1e9:,.0f}", f"{limit:.2f}", f"{course:.2f}", f"{limit / course:.0%}"]
            )
    header = ["network", "matrix product in", "GFLOPs per epoch", "seconds at its throughput", "course, seconds",
              "share reached"]  # fmt: skip
    return Table(header, rows)


def parts_table(report: dict) -> Table:
    """A row for each network: the share of each part of an epoch."""
    rows = [
        [name, *(f"{seconds / sum(parts.values()):.0%}" for seconds in parts.values())]
        for name, parts in report["parts"].items()
    ]
    return Table(["network", *next(iter(report["parts"].values()))], rows)


def goals_table(report: dict) -> Table:
    """A row for each contender: its last test accuracy, and the seconds until each goal."""
    rows = []
    for name, seeds in report["time to accuracy"].items():
        last = statistics.median(seed["accuracy"] for seed in seeds)
        rows.append([name, len(seeds), f"{last:.2f}", *(_when(seeds, goal) for goal in GOALS)])
    return Table(["recipe", "seeds", "last test accuracy", *(f"seconds to {goal} %" for goal in GOALS)], rows)


def latency_table(report: dict) -> Table:
    """A row for each network: latency in microseconds per image at each batch size."""
    sizes = report["inference"]
    rows = [
        [name, *(_spread([seconds * 1e6 for seconds in networks[name]], 1) for networks in sizes.values())]
        for name in next(iter(sizes.values()))
    ]
    return Table(["network", *(f"batch of {size}" for size in sizes)], rows)


def memory_line(report: dict) -> str:
    """The peak memory in words."""
    megabytes = report["peak megabytes"]
    return f"Peak resident memory of training stage4: {f'{megabytes:,.0f} MB' if megabytes else 'not measured'}."


def _spread(values: list[float], decimals: int = 2) -> str:
    middle, low, high = (f"{x:,.{decimals}f}" for x in (statistics.median(values), min(values), max(values)))
    return f"{middle} ({low} to {high})"


def _when(seeds: list[dict], goal: str) -> str:
    reached = [seed[goal] for seed in seeds if seed[goal] is not None]
    share = "" if len(reached) == len(seeds) else f"{len(reached)} of {len(seeds)} seeds"
    return ": ".join(filter(None, [share, _spread(reached, 1) if reached else ""]))
