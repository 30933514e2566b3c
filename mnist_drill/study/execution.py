"""Where runs are trained: in this process, or in several of this machine.

An executor is a function of the tasks that are to be trained and of `tick`, which it calls after each epoch. It is an
iterator of each task with its finished run, in whatever order they finish; when it is closed, it ends what is under
way. A cluster would be one more function.
"""

from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import lru_cache, partial
from itertools import islice
from multiprocessing import get_context, parent_process
from typing import TYPE_CHECKING

import torch
from tqdm import tqdm

from mnist_drill.errors import DrillError, Interrupted
from mnist_drill.study.network import in_one_line
from mnist_drill.study.plan import sets_of
from mnist_drill.train import fit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mnist_drill.data import LabeledImages
    from mnist_drill.runs import Run
    from mnist_drill.study.plan import Task

    Finished = Iterator[tuple[Task, Run]]
    Executor = Callable[[Iterable[Task], Callable[[], object]], Finished]

# In a worker: where it tells of each epoch, and its sets, which it loads once.
_ticks = None
_load = lru_cache(sets_of)


def execute(tasks: list[Task], executor: Executor, store: Callable[[Task, Run], None], title: str) -> None:
    """Trains the tasks, and stores each run as soon as it is finished, under one bar with the time left.

    Raises `Interrupted` after Ctrl-C, which says how many runs were stored.
    """
    stored = 0
    with tqdm(total=sum(task.row.recipe.epochs for task in tasks), desc=title, unit="epoch", disable=not tasks) as bar:
        try:
            with closing(executor(tasks, bar.update)) as finished:
                for task, run in finished:
                    store(task, run)
                    stored += 1
                    bar.update(task.row.recipe.epochs - len(run.epochs))
                    result = f"diverged, {run.stopped}" if run.stopped else f"last {run.last.test_accuracy:.2f} %"
                    bar.write(f"{task.name}, seed {task.seed}: {result}")
        except (KeyboardInterrupt, Interrupted):
            kept = f"{stored} of {len(tasks)} missing runs were trained and stored"
            raise Interrupted(f"{kept}; the same command trains the others") from None


def executor_for(jobs: int, device: str) -> Executor:
    """The executor for that number of parallel jobs on this machine."""
    return partial(one_by_one, device=device) if jobs == 1 else partial(in_processes, jobs=jobs, device=device)


def train(task: Task, sets: tuple[LabeledImages, LabeledImages], device: str, tick: Callable[[], object]) -> Run:
    """The run of a task; one that diverged says so in `Run.stopped`.

    Raises `Interrupted` after Ctrl-C, and `DrillError` for whatever a network from a user's file raises.
    """
    network = task.row.network

    def run() -> Run:
        return fit(
            network.build(task.seed), task.row.recipe, *sets, name=task.name, seed=task.seed, device=device,
            progress=False, on_epoch=lambda row: tick(),
        )  # fmt: skip

    if network.file:
        with in_one_line(f"row {task.name!r}, seed {task.seed}", network.file):
            trained = run()
    else:
        trained = run()
    if trained.interrupted:
        raise Interrupted(f"{task.name}, seed {task.seed}, {trained.stopped}")
    return replace(trained, evaluated_on=task.evaluated_on, changes=network.arguments)


def one_by_one(tasks: Iterable[Task], tick: Callable[[], object], device: str) -> Finished:
    """Trains the tasks in this process, one after the other."""
    load = lru_cache(sets_of)
    for task in tasks:
        yield task, train(task, load(task.evaluated_on), device, tick)


def in_processes(tasks: Iterable[Task], tick: Callable[[], object], device: str, jobs: int) -> Finished:
    """Trains the tasks in `jobs` processes, each with its share of the threads."""
    context = get_context("spawn")  # a process that was forked while torch's threads run may hang
    ticks, stop = context.Queue(), context.Event()
    threads = max(1, torch.get_num_threads() // jobs)
    left = iter(tasks)
    with ProcessPoolExecutor(jobs, context, _start_worker, (threads, ticks, stop)) as pool:

        def submit(number: int) -> dict:
            return {pool.submit(_train_in_worker, task, device): task for task in islice(left, number)}

        with _interrupts_ignored():  # which the workers inherit
            pending = submit(jobs + 1)  # no worker waits for its next task, and memory does not grow with their number
        try:
            while pending:
                done, _ = wait(pending, timeout=1, return_when=FIRST_COMPLETED)
                while not ticks.empty():
                    ticks.get()
                    tick()
                for future in sorted(done, key=lambda each: each.exception() is not None):  # nothing finished is lost
                    task = pending.pop(future)
                    run = future.result()
                    pending |= submit(1)
                    yield task, run
        except BrokenProcessPool:
            raise DrillError(
                "a worker process ended unexpectedly, perhaps for want of memory: choose fewer --jobs; "
                "the same command trains what is missing"
            ) from None
        finally:
            if pending:  # an error, Ctrl-C, or nobody wants more runs: the workers end at once
                stop.set()
                pool.shutdown(cancel_futures=True)


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


def _start_worker(threads: int, ticks, stop) -> None:
    global _ticks
    _ticks = ticks
    torch.set_num_threads(threads)
    # tqdm's own lock is a semaphore of the system, which a worker that ends at once would leave behind.
    tqdm.set_lock(threading.RLock())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends Ctrl-C to all, and the parent ends its workers
    # A worker whose parent was killed would wait for work for ever.
    for ended in (parent_process().join, stop.wait):
        threading.Thread(target=_exit_after, args=(ended,), daemon=True).start()


def _exit_after(ended: Callable[[], object]) -> None:
    ended()
    os._exit(1)


def _train_in_worker(task: Task, device: str) -> Run:
    return train(task, _load(task.evaluated_on), device, lambda: _ticks.put(None))
