"""Training what a study is missing, in this process or in several: each run is stored as soon as it is finished."""

from __future__ import annotations

from contextlib import closing
from functools import lru_cache, partial
from typing import TYPE_CHECKING

import torch
from tqdm import tqdm

from mnist_drill.errors import Interrupted
from mnist_drill.study.plan import sets_of
from mnist_drill.study.processes import in_processes
from mnist_drill.study.work import train

if TYPE_CHECKING:
    from collections.abc import Callable

    from mnist_drill.runs import Run
    from mnist_drill.study.plan import Task
    from mnist_drill.study.work import Executor, Finished, Source


def execute(source: Source, executor: Executor, store: Callable[[Task, Run], object], title: str) -> int:
    """Trains what a source has, and stores each run as soon as it is finished, under one bar with the time left.

    Returns the number of runs. Raises `Interrupted` after Ctrl-C, which says how many runs were stored.
    """
    stored = 0
    with tqdm(total=source.epochs, desc=title, unit="epoch", disable=not source.runs) as bar:
        try:
            with closing(executor(source, bar.update)) as finished:
                for task, run in finished:
                    store(task, run)
                    stored += 1
                    bar.update(task.row.recipe.epochs - len(run.epochs))
                    result = f"diverged, {run.stopped}" if run.stopped else f"last {run.last.test_accuracy:.2f} %"
                    bar.write(f"{task.name}, seed {task.seed}: {result}")
        except (KeyboardInterrupt, Interrupted):
            kept = f"{stored} of {source.runs} missing runs were trained and stored"
            raise Interrupted(f"{kept}; the same command trains the others") from None
    return stored


def one_by_one(source: Source, tick: Callable[[], object], device: str) -> Finished:
    """Trains in this process, one work after the other."""
    load = lru_cache(sets_of)
    while work := source():
        yield from zip(work, train(work, load(work[0].evaluated_on), device, tick), strict=True)


def executor_for(device: str, jobs: int = 1, threads: int | None = None) -> Executor:
    """The executor for that number of parallel jobs on this machine, with `threads` each or their share of all."""
    if jobs == 1:
        torch.set_num_threads(threads or torch.get_num_threads())
        return partial(one_by_one, device=device)
    return partial(in_processes, device=device, jobs=jobs, threads=threads or max(1, torch.get_num_threads() // jobs))
