"""A comparison of networks: their accuracy, and what it costs."""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from mnist_drill import data
from mnist_drill.benchmark.flops import flops_per_image
from mnist_drill.benchmark.turns import take_turns, timed
from mnist_drill.course.tables import Table, percent
from mnist_drill.data import normalize
from mnist_drill.evidence.stored import FOLDER
from mnist_drill.models import recipe_for
from mnist_drill.predictions import accuracy
from mnist_drill.runs import FORMAT, Run, environment_in
from mnist_drill.storage.files import check_format, read_json, write_atomically
from mnist_drill.storage.finished import load_or_train
from mnist_drill.train import predict
from mnist_drill.training.devices import environment, memory_format, pick_device
from mnist_drill.zoo.ensemble import majority_vote

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

# The networks of a published entry to Kaggle's Digit Recognizer competition, and the six of them that its ensemble had.
ELEVEN = ("resnet18", "resnet34", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "squeezenet1_0",
          "squeezenet1_1", "efficientnet_b0", "efficientnet_b3", "mnasnet0_5", "mnasnet1_0")  # fmt: skip
SIX = ("resnet18", "resnet34", "mobilenet_v2", "mobilenet_v3_large", "squeezenet1_0", "efficientnet_b0")

BATCH = 128  # images, where latency is measured


@dataclass(frozen=True)
class Entry:
    """A network, or an ensemble of several, with what it costs."""

    name: str
    members: tuple[str, ...]  # of an ensemble; none where it is one network
    parameters: int
    epochs: int  # of training; of an ensemble, the most that a member had
    validation: float  # accuracy in percent on the validation set of `data.split`
    test: float  # accuracy in percent
    milliseconds: tuple[float, ...]  # latency of a batch of `BATCH` images, round by round
    flops: int  # per image; a multiplication and an addition are two


@dataclass(frozen=True)
class Comparison:
    """Entries, and the runs that they come from: plain data."""

    environment: dict[str, str | int]  # of the measured milliseconds
    entries: tuple[Entry, ...]
    runs: tuple[Run, ...]

    def __getitem__(self, name: str) -> Entry:
        return next(entry for entry in self.entries if entry.name == name)

    def save(self, path: Path) -> None:
        """Writes the comparison as JSON, whole or not at all."""
        runs = [run.to_dict() for run in self.runs]
        write_atomically(path, json.dumps({"format": FORMAT, **asdict(self), "runs": runs}, indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> Comparison:
        """Reads what `save` wrote. Raises `DrillError` for a file that is missing or holds something else."""
        return read_json(path, cls._from_dict, "a comparison", "`compare` makes it again")

    @classmethod
    def _from_dict(cls, values: dict) -> Comparison:
        check_format(values, FORMAT)
        entries = (
            Entry(**{**entry, "members": tuple(entry["members"]), "milliseconds": tuple(entry["milliseconds"])})
            for entry in values["entries"]
        )
        return cls(environment_in(values), tuple(entries), tuple(map(Run.from_dict, values["runs"])))


def stored() -> Comparison:
    """The comparison of the evidence: the course's networks, `ELEVEN`, and an ensemble of `SIX`."""
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
    """Trains networks on 50,000 images, each by its own recipe, and evaluates them on the other 20,000.

    `epochs` takes the place of every recipe's. Weights and runs are kept in `folder`, and what is finished there is not
    trained again: an interrupted comparison is resumed. `voters`, if any, are those of `names` that form a
    majority-vote ensemble, one more entry. Latency is measured in the end, the networks in turns.
    """
    train_set, test_set = data.load()
    train_split, validation_set = data.split(train_set)
    models, runs = {}, {}
    for name in names:
        say(name)
        recipe = recipe_for(name) if epochs is None else recipe_for(name).with_epochs(epochs)
        models[name], runs[name] = load_or_train(
            folder, name, recipe, train_split, validation_set, evaluated_on="validation", seed=seed, changes={},
            device=device, progress=progress,
        )  # fmt: skip
    place = pick_device(device)
    times = latencies(models, test_set[:BATCH].images, place)
    sets = validation_set, test_set
    logits = {name: [predict(model, dataset) for dataset in sets] for name, model in models.items()}
    entries = []
    for name, run in runs.items():
        right = [accuracy(scores.argmax(dim=1), each.labels) for scores, each in zip(logits[name], sets, strict=True)]
        cost = tuple(times[name]), flops_per_image(models[name])
        entries.append(Entry(name, (), run.parameters, len(run.epochs), *right, *cost))
    if voters:
        members = [entry for entry in entries if entry.name in voters]
        of_members = zip(*(logits[entry.name] for entry in members), strict=True)
        right = [accuracy(majority_vote(scores), each.labels) for scores, each in zip(of_members, sets, strict=True)]
        entries.append(
            Entry(
                f"ensemble of {len(members)}", tuple(entry.name for entry in members),
                sum(entry.parameters for entry in members), max(entry.epochs for entry in members), *right,
                tuple(map(sum, zip(*(entry.milliseconds for entry in members), strict=True))),
                sum(entry.flops for entry in members),
            )
        )  # fmt: skip
    measured_in = replace(next(iter(runs.values())).recipe, mixed_precision=False)
    return Comparison(environment(place, measured_in), tuple(entries), tuple(runs.values()))


def table(comparison: Comparison) -> Table:
    """A row for each entry, the fewest parameters first."""
    header = ["network", "parameters", "epochs", "validation accuracy", "test accuracy",
              f"latency, ms per batch of {BATCH}", "MFLOPs per image"]  # fmt: skip
    rows = [
        [x.name, f"{x.parameters:,}", x.epochs, percent(x.validation), percent(x.test),
         f"{statistics.median(x.milliseconds):.1f}", f"{x.flops / 1e6:,.1f}"]
        for x in sorted(comparison.entries, key=lambda entry: entry.parameters)
    ]  # fmt: skip
    return Table(header, rows)


def latencies(
    models: dict[str, nn.Module], images: Tensor, device: torch.device, rounds: int = 10
) -> dict[str, list[float]]:
    """Milliseconds of a forward pass of the images through each network, in each round; they take turns.

    The networks are left in evaluation mode and in the layout that a training gives them.
    """
    images = normalize(images.to(device))
    for model in models.values():  # one that was loaded has another layout, in which it takes another time
        model.to(device, memory_format=memory_format(device))

    def forward(model: nn.Module) -> float:
        model.eval()
        with torch.inference_mode():
            return 1000 * timed(lambda: model(images), device)

    contenders = {name: partial(forward, model) for name, model in models.items()}
    take_turns(contenders, 2)  # the first passes are slower
    return take_turns(contenders, rounds)
