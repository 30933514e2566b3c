"""Networks side by side: how well each reads, and what it costs."""

import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from mnist_drill import checkpoint, data
from mnist_drill.bench import take_turns, timed
from mnist_drill.data import Digits, normalize
from mnist_drill.ensemble import accuracy, vote
from mnist_drill.evidence import FOLDER
from mnist_drill.files import read_json, write_atomically
from mnist_drill.models import build
from mnist_drill.report import Table, percent
from mnist_drill.train import Run, environment, finished, fit, pick_device, predict, recipe_for

# The networks of a published entry to the digit-recognizer competition, and the six of them that voted in it.
ELEVEN = ("resnet18", "resnet34", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "squeezenet1_0",
          "squeezenet1_1", "efficientnet_b0", "efficientnet_b3", "mnasnet0_5", "mnasnet1_0")  # fmt: skip
SIX = ("resnet18", "resnet34", "mobilenet_v2", "mobilenet_v3_large", "squeezenet1_0", "efficientnet_b0")

BATCH = 128  # digits that are read at once where milliseconds are measured


@dataclass(frozen=True)
class Entry:
    """A network, or several that vote, with what it costs."""

    name: str
    members: tuple[str, ...]  # who votes; none where it is one network
    parameters: int
    epochs: int  # of training; of a vote, the most that a member had
    validation: float  # accuracy in percent on the 10,000 digits of `data.split`
    test: float  # accuracy in percent
    milliseconds: tuple[float, ...]  # to read a batch of `BATCH` digits, round by round
    operations: int  # floating-point, to read a digit; a multiplication and an addition are two


@dataclass(frozen=True)
class Comparison:
    """Entries, and the runs that they come from: plain data."""

    environment: dict[str, str | int]  # of the measured milliseconds
    entries: tuple[Entry, ...]
    runs: tuple[Run, ...]

    def __getitem__(self, name: str) -> Entry:
        return next(entry for entry in self.entries if entry.name == name)

    @property
    def networks(self) -> list[Entry]:
        """The entries that are one network."""
        return [entry for entry in self.entries if not entry.members]

    def save(self, path: Path) -> None:
        """Writes the comparison as JSON, whole or not at all."""
        write_atomically(path, json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> "Comparison":
        """Reads what `save` wrote. Raises `DrillError` for a file that is missing or holds something else."""
        return read_json(path, cls._from_dict, "a comparison", "`compare` writes one")

    @classmethod
    def _from_dict(cls, values: dict) -> "Comparison":
        entries = (
            Entry(**{**entry, "members": tuple(entry["members"]), "milliseconds": tuple(entry["milliseconds"])})
            for entry in values["entries"]
        )
        return cls(values["environment"], tuple(entries), tuple(map(Run.from_dict, values["runs"])))


def stored() -> Comparison:
    """The comparison of the evidence: the course's networks, `ELEVEN`, and `SIX` that vote."""
    return Comparison.load(FOLDER / "comparison.json")


def compare(
    names: Sequence[str],
    voters: Sequence[str] = (),
    *,
    folder: Path,
    epochs: int | None = None,
    seed: int = 1,
    device: str = "auto",
    progress: bool = True,
    say: Callable[[str], None] = print,
) -> Comparison:
    """Trains networks on 50,000 digits, each by its own recipe, and measures them on the other 20,000.

    `epochs` takes the place of every recipe's. Weights and runs are kept in `folder`, and a network that was trained
    there with the same recipe and seed is not trained again: an interrupted comparison is taken up. `voters`, if any,
    are those of `names` that vote in one more entry. Milliseconds are measured in the end, the networks in turns.
    """
    train, test = data.load()
    fitted, validation = data.split(train)
    models, runs = {}, {}
    for name in names:
        say(name)
        models[name], runs[name] = _trained(name, epochs, seed, device, folder, fitted, validation, progress)
    place = pick_device(device)
    times = reading_times(models, test[:BATCH].images, place)
    logits = {name: [predict(model, digits) for digits in (validation, test)] for name, model in models.items()}
    parts = validation, test
    entries = []
    for name, run in runs.items():
        read = [accuracy(scores.argmax(dim=1), digits) for scores, digits in zip(logits[name], parts, strict=True)]
        cost = tuple(times[name]), operations(models[name])
        entries.append(Entry(name, (), run.parameters, len(run.epochs), *read, *cost))
    if voters:
        members = [entry for entry in entries if entry.name in voters]
        of_members = zip(*(logits[entry.name] for entry in members), strict=True)
        read = [accuracy(vote(scores), digits) for scores, digits in zip(of_members, parts, strict=True)]
        entries.append(
            Entry(
                f"vote of {len(members)}", tuple(entry.name for entry in members),
                sum(entry.parameters for entry in members), max(entry.epochs for entry in members), *read,
                tuple(map(sum, zip(*(entry.milliseconds for entry in members), strict=True))),
                sum(entry.operations for entry in members),
            )
        )  # fmt: skip
    measured_in = replace(next(iter(runs.values())).recipe, bfloat16=False)
    return Comparison(environment(place, measured_in), tuple(entries), tuple(runs.values()))


def table(comparison: Comparison) -> Table:
    """A row for each entry, the fewest parameters first."""
    header = ["network", "parameters", "epochs", "validation accuracy", "test accuracy", f"ms a batch of {BATCH}",
              "million operations a digit"]  # fmt: skip
    rows = [
        [x.name, f"{x.parameters:,}", x.epochs, percent(x.validation), percent(x.test),
         f"{statistics.median(x.milliseconds):.1f}", f"{x.operations / 1e6:,.1f}"]
        for x in sorted(comparison.entries, key=lambda entry: entry.parameters)
    ]  # fmt: skip
    return Table(header, rows)


def reading_times(
    models: dict[str, nn.Module], images: Tensor, device: torch.device, rounds: int = 10
) -> dict[str, list[float]]:
    """Milliseconds that each network takes to read the images, in each round; they take turns."""
    images = normalize(images.to(device))

    def read(model: nn.Module) -> float:
        model.eval()
        with torch.inference_mode():
            return 1000 * timed(lambda: model(images), device)

    contenders = {name: partial(read, model) for name, model in models.items()}
    take_turns(contenders, 2)  # the first passes are slower
    return take_turns(contenders, rounds)


def operations(model: nn.Module) -> int:
    """Floating-point operations to read a digit, as torch counts them: those of convolutions and matrix products."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.eval()(torch.zeros(1, 1, 28, 28, device=next(model.parameters()).device))
    return counter.get_total_flops()


def _trained(
    name: str, epochs: int | None, seed: int, device: str, folder: Path, train: Digits, validation: Digits,
    progress: bool,
) -> tuple[nn.Module, Run]:  # fmt: skip
    recipe = recipe_for(name) if epochs is None else recipe_for(name).with_epochs(epochs)
    weights, rows = folder / f"{name}.pt", folder / f"{name}.json"
    if weights.exists() and rows.exists():
        run = Run.load(rows)
        if (run.recipe, run.seed, run.tested_on, run.changes) == (recipe, seed, "validation", {}):
            return checkpoint.load(weights)[0].to(pick_device(device)), run
    model, state = build(name, seed), folder / f"{name}.state"
    run = fit(model, recipe, train, validation, name=name, seed=seed, device=device, progress=progress, state=state)
    run = replace(finished(run), tested_on="validation")
    checkpoint.save(weights, model, name, {})
    run.save(rows)
    state.unlink()
    return model, run
