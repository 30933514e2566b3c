"""How many runs a machine trains in a minute: one job of all threads, a job for each thread, and Ray, in turns."""

from __future__ import annotations

import json
import statistics
from functools import partial
from typing import TYPE_CHECKING

import torch

from mnist_drill.benchmark.turns import take_turns, timed
from mnist_drill.course.tables import Table
from mnist_drill.errors import Interrupted
from mnist_drill.runs import environment_in
from mnist_drill.storage.files import check_format, read_json, write_atomically
from mnist_drill.study.cluster import on_ray
from mnist_drill.study.execution import execute, executor_for
from mnist_drill.study.work import Listed
from mnist_drill.training.devices import environment

if TYPE_CHECKING:
    from pathlib import Path

    from mnist_drill.study.plan import Study

CPU = torch.device("cpu")
FORMAT = 1  # of a stored measurement


def measure(study: Study, rounds: int, threads: int, ray: bool) -> dict[str, list[float]]:
    """Runs per minute in each round, by where they were trained; starting workers counts, and storing does not.

    Raises `Interrupted` after Ctrl-C: nothing is kept.
    """
    tasks = study.tasks()

    def per_minute(executor) -> float:
        work = partial(execute, Listed(tasks), executor, lambda task, run: None, "throughput")
        return 60 * len(tasks) / timed(work, CPU)

    contenders = {
        f"one job of {threads} threads": lambda: per_minute(executor_for("cpu", 1, threads)),
        f"--jobs {threads}": lambda: per_minute(executor_for("cpu", threads, 1)),
    }
    if ray:
        contenders["--ray local"] = lambda: per_minute(partial(on_ray, device="cpu", address="local", threads=1))
    try:
        return take_turns(contenders, rounds)
    except Interrupted:  # which says how many runs were stored
        raise Interrupted("the measurement has not ended, and nothing of it is stored") from None


def save(path: Path, study: Study, rates: dict[str, list[float]]) -> None:
    """Stores a measurement with the machine that it was made on."""
    rows = study.rows.values()
    content = {
        "format": FORMAT,
        "environment": environment(CPU, next(iter(rows)).recipe),
        "networks": [str(row.network) for row in rows],
        "runs": len(study.tasks()),
        "epochs": sum(task.row.recipe.epochs for task in study.tasks()),
        "runs per minute": rates,
    }
    write_atomically(path, json.dumps(content, indent=1) + "\n")


def load(path: Path) -> dict:
    """What `save` stored. Raises `DrillError` for a file that is missing or holds something else."""

    def read(content: dict) -> dict:
        check_format(content, FORMAT)
        needed = {key: content[key] for key in ("networks", "runs", "epochs")}
        return {**needed, "environment": environment_in(content), "runs per minute": {**content["runs per minute"]}}

    return read_json(path, read, "a throughput", f"`study throughput FILE --out {path}` measures it again")


def table(rates: dict[str, list[float]]) -> Table:
    """Medians, and the range over the rounds of each one's ratio to `--jobs`."""
    _, jobs, *_ = rates.values()
    rows = []
    for name, values in rates.items():
        ratios = sorted(value / other for value, other in zip(values, jobs, strict=True))
        rows.append([name, f"{statistics.median(values):.1f}", f"{ratios[0]:.2f} to {ratios[-1]:.2f}"])
    return Table(["trained by", "runs per minute, median", "ratio to parallel jobs"], rows)
