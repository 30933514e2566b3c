"""Evidence: the runs of a stage over several seeds, kept as JSON in `mnist_drill/evidence/`.

Only `python -m mnist_drill evidence` and `bench` write there. The notebooks read it for the stage before their own, the
README for the spread over seeds.
"""

import json
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import torch

from mnist_drill import data
from mnist_drill.errors import DrillError
from mnist_drill.files import write_atomically
from mnist_drill.models import build
from mnist_drill.train import RECIPES, Run, fit

FOLDER = Path(__file__).parent / "evidence"

# Alternatives that a notebook compares its network with: network, and the changes that `build` takes.
VARIANTS = {"stage3_dropout_0.1": ("stage3", {"dropout": 0.1})}


def load_runs(name: str) -> list[Run]:
    """The runs of a stage, by seed; none if there is no evidence yet. Raises `DrillError` for another kind of file."""
    path = FOLDER / f"{name}.json"
    if not path.exists():
        return []
    try:
        return [Run.from_dict(values) for values in json.loads(path.read_text(encoding="utf-8"))]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DrillError(f"{path} does not hold runs ({type(error).__name__}: {error})") from None


def collect(name: str, seeds: int, device: str = "auto", jobs: int = 1) -> None:
    """Trains the seeds from 1 to `seeds` that have no run yet, storing each run as soon as it is finished.

    With several `jobs` as many seeds train side by side, each with its share of the threads.
    """
    missing = sorted(set(range(1, seeds + 1)) - {run.seed for run in load_runs(name)})
    for run in _trained(name, missing, device, jobs):
        store(name, run)


def store(name: str, run: Run) -> None:
    """Adds a run to the stored ones, in place of one of the same seed."""
    runs = sorted([run, *(old for old in load_runs(name) if old.seed != run.seed)], key=lambda run: run.seed)
    lines = ",\n".join(json.dumps(run.to_dict()) for run in runs)
    write_atomically(FOLDER / f"{name}.json", f"[\n{lines}\n]\n")


def _trained(name: str, missing: list[int], device: str, jobs: int) -> Iterator[Run]:
    if jobs == 1:
        yield from (_train(name, seed, device) for seed in missing)
        return
    # Spawned, because a process that was forked while torch's threads run may hang.
    threads = max(1, torch.get_num_threads() // jobs)
    with ProcessPoolExecutor(jobs, get_context("spawn"), torch.set_num_threads, (threads,)) as pool:
        for future in as_completed([pool.submit(_train, name, seed, device) for seed in missing]):
            yield future.result()


def _train(name: str, seed: int, device: str) -> Run:
    network, changes = VARIANTS.get(name, (name, {}))
    print(f"{name}, seed {seed}", flush=True)
    model = build(network, seed, **changes)
    return fit(model, RECIPES[network], *data.load(), name=name, seed=seed, device=device, progress=False)
