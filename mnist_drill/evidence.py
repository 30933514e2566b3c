"""Evidence: the runs of `studies`, kept as JSON in `mnist_drill/evidence/`.

Only the commands `evidence` and `bench` write there. The notebooks read it for the stage before their own and for the
alternatives to what they choose, the README for the spread over seeds.
"""

import json
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import replace
from multiprocessing import get_context, parent_process
from pathlib import Path

import torch
from tqdm import tqdm

from mnist_drill import data
from mnist_drill.errors import DrillError
from mnist_drill.files import read_json, write_atomically
from mnist_drill.models import seeded
from mnist_drill.studies import STUDIES
from mnist_drill.train import Run, finished, fit

FOLDER = Path(__file__).parent / "evidence"

Key = tuple[str, int]  # the alternative's name, and the seed

_ticks = None  # where a worker tells of each epoch


def check_name(name: str) -> None:
    """Raises `DrillError` unless `name` is one of `STUDIES`."""
    if name not in STUDIES:
        raise DrillError(f"unknown evidence {name!r}: choose one of {', '.join(STUDIES)}")


def load_runs(name: str) -> list[Run]:
    """The stored runs of a study, by alternative and seed; none if there is no evidence yet.

    Raises `DrillError` for another kind of file.
    """
    path = FOLDER / f"{name}.json"
    if not path.exists():
        return []
    return read_json(path, lambda runs: [Run.from_dict(values) for values in runs], "runs")


def load_study(name: str) -> dict[str, list[Run]]:
    """The stored runs of each alternative of a study."""
    runs = load_runs(name)
    return {label: [run for run in runs if run.name == label] for label in STUDIES[name].alternatives}


def collect(name: str, seeds: int | None = None, device: str = "auto", jobs: int = 1) -> None:
    """Trains what a study lacks, storing each run as soon as it is finished, under a bar with the time that is left.

    Each alternative has the seeds from 1 to `seeds`, by default the study's number. A stored run counts if its recipe
    is still the alternative's; others are trained anew. With several `jobs` as many runs train side by side: on a CPU
    each with its share of the threads, so that their weights differ in the last digits from those of one job.
    """
    study = STUDIES[name]
    there = {
        (run.name, run.seed)
        for label, runs in load_study(name).items()
        for run in runs
        if run.recipe == study.alternatives[label].recipe
    }
    wanted = [(label, seed) for seed in range(1, (seeds or study.seeds) + 1) for label in study.alternatives]
    missing = [key for key in wanted if key not in there]
    epochs = sum(study.alternatives[label].recipe.epochs for label, _ in missing)
    with tqdm(total=epochs, desc=name, unit="epoch", disable=not missing) as bar:
        for run in _trained(name, missing, device, jobs, bar.update):
            store(name, run)
            bar.write(f"{run.name}, seed {run.seed}: last {run.last.test_accuracy:.2f} %")


def store(name: str, run: Run) -> None:
    """Adds a run to the stored ones, in place of one of the same alternative and seed."""
    kept = load_study(name)
    kept[run.name] = sorted([run, *(old for old in kept[run.name] if old.seed != run.seed)], key=lambda run: run.seed)
    lines = ",\n".join(json.dumps(run.to_dict()) for runs in kept.values() for run in runs)
    write_atomically(FOLDER / f"{name}.json", f"[\n{lines}\n]\n")


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
    alternative = study.alternatives[label]
    train, test = data.load()
    if study.validation:
        train, test = data.split(train)
    model = seeded(alternative.network, seed)
    run = fit(
        model, alternative.recipe, train, test, name=label, seed=seed, device=device, progress=False,
        on_epoch=lambda row: tick(),
    )  # fmt: skip
    return replace(finished(run), tested_on="validation" if study.validation else "test")
