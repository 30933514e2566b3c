"""What is to be trained, where it comes from, and how it is trained, in this process or another.

An executor is a function of a source of work and of `tick`, which is called for each finished epoch. It is an iterator
of each task with its finished run, in whatever order they finish, and asks for further work only after a run was taken
from it; when it is closed, it ends what is under way. There are three: `execution.one_by_one`,
`processes.in_processes` and `cluster.on_ray`.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from mnist_drill.errors import Interrupted
from mnist_drill.population.fit import fit_population
from mnist_drill.study.network import in_one_line
from mnist_drill.train import fit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mnist_drill.data import LabeledImages
    from mnist_drill.runs import Run
    from mnist_drill.study.plan import Task

    Sets = tuple[LabeledImages, LabeledImages]
    Work = tuple[Task, ...]  # of one row, that are trained at once: one task, or a population
    Finished = Iterator[tuple[Task, Run]]
    Executor = Callable[["Source", Callable[[], object]], Finished]


class Source(Protocol):
    """Where an executor gets its work from."""

    runs: int  # in all, at most
    epochs: int

    def __call__(self) -> Work | None:
        """What is to be trained next; None where there is none, or none until a run is finished that is under way."""


class Listed:
    """A source of tasks that are known beforehand; up to `together` of a row are trained as a population."""

    def __init__(self, tasks: Iterable[Task], together: int = 1):
        tasks = list(tasks)
        self.runs, self.epochs = len(tasks), sum(task.row.recipe.epochs for task in tasks)
        groups: dict[tuple[str, int], list[Task]] = {}
        seen: dict[str, int] = defaultdict(int)
        for task in tasks:
            groups.setdefault((task.name, seen[task.name] // together), []).append(task)
            seen[task.name] += 1
        self.left = iter(groups.values())

    def __call__(self) -> Work | None:
        return tuple(next(self.left, ())) or None


def train(work: Work, sets: Sets, device: str, tick: Callable[[], object]) -> list[Run]:
    """The runs of the tasks, in order; one that diverged says so in `Run.stopped`.

    Raises `Interrupted` after Ctrl-C, and `DrillError` for whatever a network from a user's file raises.
    """
    name, network, recipe = work[0].name, work[0].row.network, work[0].row.recipe
    seeds = [task.seed for task in work]
    where = f"row {name!r}, seed {', '.join(map(str, seeds))}"
    options = {"name": name, "device": device, "progress": False}
    with in_one_line(where, network.file) if network.file else nullcontext():
        if len(seeds) == 1:
            model = network.build(seeds[0])
            runs = [fit(model, recipe, *sets, seed=seeds[0], on_epoch=lambda row: tick(), **options)]
        else:
            make, on_epoch = network.function(), lambda rows: [tick() for _ in rows]
            runs = fit_population(make, recipe, *sets, seeds=seeds, on_epoch=on_epoch, **options)
    if any(run.interrupted for run in runs):
        raise Interrupted(f"{where}: {runs[0].stopped}")
    return [replace(run, evaluated_on=work[0].evaluated_on, changes=network.arguments) for run in runs]
