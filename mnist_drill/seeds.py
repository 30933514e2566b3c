"""Evidence: the runs of a stage over several seeds, kept as JSON in `mnist_drill/evidence/`.

Only `python -m mnist_drill evidence` writes there. The notebooks read it for the stage before their own and for the
spread over seeds.
"""

import json
import statistics
from pathlib import Path

from mnist_drill.data import Digits
from mnist_drill.errors import DrillError
from mnist_drill.files import write_atomically
from mnist_drill.models import build
from mnist_drill.train import RECIPES, Run, fit

FOLDER = Path(__file__).parent / "evidence"


def load_runs(name: str) -> list[Run]:
    """The runs of a stage, by seed; none if there is no evidence yet. Raises `DrillError` for another kind of file."""
    path = FOLDER / f"{name}.json"
    if not path.exists():
        return []
    try:
        return [Run.from_dict(values) for values in json.loads(path.read_text())]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DrillError(f"{path} does not hold runs ({type(error).__name__}: {error})") from None


# Alternatives that a notebook compares its network with: network, and the changes that `build` takes.
VARIANTS = {"stage3_dropout_0.1": ("stage3", {"dropout": 0.1})}


def collect(name: str, seeds: int, train: Digits, test: Digits, device: str = "auto") -> None:
    """Trains the seeds from 1 to `seeds` that have no run yet, storing each run as soon as it is finished."""
    runs = load_runs(name)
    network, changes = VARIANTS.get(name, (name, {}))
    for seed in sorted(set(range(1, seeds + 1)) - {run.seed for run in runs}):
        print(f"{name}, seed {seed}", flush=True)
        model = build(network, seed, **changes)
        run = fit(model, RECIPES[network], train, test, name=name, seed=seed, device=device, progress=False)
        runs = sorted([*runs, run], key=lambda run: run.seed)
        lines = ",\n".join(json.dumps(run.to_dict()) for run in runs)
        write_atomically(FOLDER / f"{name}.json", f"[\n{lines}\n]\n")


def usual_time(name: str) -> str:
    """How long the training of a stage took, as the evidence has it."""
    runs = load_runs(name)
    if not runs:
        return f"How long {name} trains was not measured."
    minutes = statistics.median(run.seconds for run in runs) / 60
    machine = runs[0].environment
    return f"Training took {minutes:.1f} minutes on {machine['hardware']} with {machine['threads']} threads."
