"""Training the missing runs of a study, one after the other or in parallel jobs."""

from __future__ import annotations

import os
import threading
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import replace
from multiprocessing import get_context, parent_process
from typing import TYPE_CHECKING

import torch
from tqdm import tqdm

from mnist_drill import data
from mnist_drill.errors import unknown
from mnist_drill.evidence.stored import load_runs, store
from mnist_drill.evidence.studies import STUDIES, Study
from mnist_drill.networks import definition, seeded
from mnist_drill.train import fit, require_finished

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mnist_drill.data import LabeledImages
    from mnist_drill.runs import Run

Key = tuple[str, int]  # the variant's name, and the seed

_ticks = None  # where a worker tells of each epoch


def check_name(name: str) -> None:
    """Raises `DrillError` unless `name` is one of `STUDIES`."""
    if name not in STUDIES:
        raise unknown("evidence", name, STUDIES)


def collect(name: str, seeds: int | None = None, device: str = "auto", jobs: int = 1) -> None:
    """Trains the missing runs of a study, storing each as soon as it is finished, under a bar with the time left.

    Each variant has the seeds from 1 to `seeds`, by default the study's number. A stored run counts if its recipe, its
    network, its data and its split are still the study's; others are trained again. `jobs` is the number of parallel
    jobs: on a CPU each has its share of the threads, so that weights differ in the last decimals from those of one job.
    """
    study = STUDIES[name]
    checksum = data.checksum(*datasets(study))
    networks = {label: definition(seeded(variant.network, 0)) for label, variant in study.variants.items()}
    there = {
        (run.name, run.seed)
        for run in load_runs(name)
        if run.name in study.variants
        and run.repeats(study.variants[run.name].recipe, networks[run.name], checksum, study.evaluated_on)
    }
    wanted = [(label, seed) for seed in range(1, (seeds or study.seeds) + 1) for label in study.variants]
    missing = [key for key in wanted if key not in there]
    epochs = sum(study.variants[label].recipe.epochs for label, _ in missing)
    with tqdm(total=epochs, desc=name, unit="epoch", disable=not missing) as bar:
        for run in _trained(name, missing, device, jobs, bar.update):
            store(name, run, list(study.variants))
            bar.write(f"{run.name}, seed {run.seed}: last {run.last.test_accuracy:.2f} %")


def datasets(study: Study) -> tuple[LabeledImages, LabeledImages]:
    """The sets that a study trains and evaluates on."""
    train_set, test_set = data.load()
    return data.split(train_set) if study.validation else (train_set, test_set)


def _trained(name: str, missing: list[Key], device: str, jobs: int, tick: Callable[[], object]) -> Iterator[Run]:
    if jobs == 1:
        yield from (_train(name, key, device, tick) for key in missing)
        return
    context = get_context("spawn")  # a process that was forked while torch's threads run may hang
    ticks = context.Queue()
    threads = max(1, torch.get_num_threads() // jobs)
    with ProcessPoolExecutor(jobs, context, _start_worker, (threads, ticks)) as pool:
        pending = {pool.submit(_train_in_worker, name, key, device) for key in missing}
        while pending:
            done, pending = wait(pending, timeout=1, return_when=FIRST_COMPLETED)
            while not ticks.empty():
                ticks.get()
                tick()
            yield from (future.result() for future in done)


def _start_worker(threads: int, ticks) -> None:
    global _ticks
    _ticks = ticks
    torch.set_num_threads(threads)
    # A worker whose parent was killed would wait for work for ever.
    threading.Thread(target=lambda: (parent_process().join(), os._exit(1)), daemon=True).start()


def _train_in_worker(name: str, key: Key, device: str) -> Run:
    return _train(name, key, device, lambda: _ticks.put(None))


def _train(name: str, key: Key, device: str, tick: Callable[[], object]) -> Run:
    label, seed = key
    study = STUDIES[name]
    variant = study.variants[label]
    run = fit(
        seeded(variant.network, seed), variant.recipe, *datasets(study), name=label, seed=seed, device=device,
        progress=False, on_epoch=lambda row: tick(),
    )  # fmt: skip
    return replace(require_finished(run), evaluated_on=study.evaluated_on)
