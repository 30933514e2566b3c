"""Transfer learning: a network that was pretrained on another task is trained on digits, with few labels or with all.

Of the pretrained network either the last layer is trained, as a linear probe, or all layers are, which is called
fine-tuning. Beside both stand the same trainings from random initialization. Nothing is fetched: what comes before is
trained here, on MNIST's images, too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING

import torch

from mnist_drill import data
from mnist_drill.course.tables import Table, mean_and_spread
from mnist_drill.data import LabeledImages
from mnist_drill.models import build
from mnist_drill.networks import definition
from mnist_drill.recipes import ADAPTED
from mnist_drill.runs import Run
from mnist_drill.storage.finished import load_or_train
from mnist_drill.train import fit, require_finished

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from torch import nn

NETWORK = "resnet18"
RECIPE = ADAPTED.with_epochs(1)  # of what comes before, and of what is trained then
IMAGES = 10_000  # in an epoch, at least: fewer are repeated, each time under another augmentation

PER_CLASS = (10, 100, 1000, None)  # labelled images of each class; None is all there are
NOTHING, ROTATIONS, LOWER = "nothing", "rotations", "digits 0 to 4"
ALL_DIGITS, UPPER = "ten digits", "digits 5 to 9"
LAST_LAYER, ALL_LAYERS = "last layer", "all layers"


def rotations(images: LabeledImages, seed: int = 0) -> LabeledImages:
    """Each image turned by none to three quarters, drawn from the seed; that number is its label."""
    turns = torch.randint(4, (len(images),), generator=torch.Generator().manual_seed(seed))
    turned = images.images.clone()
    for number in range(1, 4):
        turned[turns == number] = images.images[turns == number].rot90(number, (2, 3))
    return LabeledImages(turned, turns)


def digits(first: int, last: int) -> Callable[[LabeledImages], LabeledImages]:
    """The images of the classes from `first` to `last`, with their labels."""
    return lambda images: images[(images.labels >= first) & (images.labels <= last)]


TASKS = {ROTATIONS: rotations, LOWER: digits(0, 4), ALL_DIGITS: digits(0, 9), UPPER: digits(5, 9)}


def _labels(per_class: int | None) -> str:
    return "all labels" if per_class is None else f"{per_class} per class"


@dataclass(frozen=True)
class Row:
    """One training: what it is to classify, what came before, which part is trained, with how many labels."""

    task: str
    before: str
    part: str
    per_class: int | None

    @property
    def name(self) -> str:
        return f"{self.task}, pretrained on {self.before}, {self.part}, {_labels(self.per_class)}"


ROWS = {
    row.name: row
    for task, before in ((ALL_DIGITS, ROTATIONS), (UPPER, LOWER))
    for each in (NOTHING, before)
    for part in (LAST_LAYER, ALL_LAYERS)
    for per_class in PER_CLASS
    for row in [Row(task, each, part, per_class)]
}


def labelled(images: LabeledImages, per_class: int | None, seed: int) -> LabeledImages:
    """So many images of each class, drawn from the seed and repeated until they are at least `IMAGES`."""
    if per_class is None:
        return images
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    labels = images.labels[order]
    chosen = torch.cat([order[labels == each][:per_class] for each in labels.unique()])
    return images[chosen.repeat(ceil(IMAGES / len(chosen)))]


def transfer(
    folder: Path,
    rows: Iterable[Row],
    seeds: Iterable[int],
    *,
    device: str = "auto",
    progress: bool = True,
    say: Callable[[str], None] = print,
    keep: Callable[[Run], None] = lambda run: None,
) -> None:
    """Trains the rows, seed by seed, each evaluated on the test images of its task.

    Each run is a file in `folder`, and the pretrained networks are there, too; what is finished is not trained again.
    `keep` is given each run, whether it was there or not. Raises `Interrupted` where the user ends it.
    """
    rows, sets = list(rows), data.load()
    for seed in seeds:
        for row in rows:
            keep(_load_or_train(row, seed, sets, folder, device, progress, say))


def _load_or_train(
    row: Row,
    seed: int,
    sets: tuple[LabeledImages, LabeledImages],
    folder: Path,
    device: str,
    progress: bool,
    say: Callable[[str], None],
) -> Run:
    train_set, test_set = map(TASKS[row.task], sets)
    train_set = labelled(train_set, row.per_class, seed)
    changes = {"freeze": row.part == LAST_LAYER}
    network = build(NETWORK, seed, **changes)
    path = folder / f"{row.name}, seed {seed}.json"
    if path.exists():
        run = Run.load(path)
        if run.repeats(RECIPE, definition(network), data.checksum(train_set, test_set), "test") and run.seed == seed:
            return run
    if row.before != NOTHING:
        say(f"{row.before}, seed {seed}")
        pretrained, _ = load_or_train(
            folder / f"{row.before}, seed {seed}", NETWORK, RECIPE, *map(TASKS[row.before], sets),
            evaluated_on="test", seed=seed, changes={}, device=device, progress=progress,
        )  # fmt: skip
        _copy(pretrained, network)
    say(path.stem)
    run = fit(network, RECIPE, train_set, test_set, name=row.name, seed=seed, device=device, progress=progress)
    run = replace(require_finished(run), changes=changes)
    run.save(path)
    return run


def _copy(pretrained: nn.Module, network: nn.Module) -> None:
    """Gives the network the weights and running statistics of all layers but the last, which stays as it is."""
    weights = pretrained.state_dict()
    last = {key: value for key, value in network.state_dict().items() if key.startswith(f"network.{network.last}.")}
    network.load_state_dict(weights | last)


def table(runs: dict[str, list[Run]]) -> Table:
    """A line for each row but for the number of labels, which are its columns: test accuracies in percent.

    `runs` are those of each row by name; a row that has none is a dash.
    """
    header = ["task", "pretrained on", "trained", *map(_labels, PER_CLASS)]

    def cell(row: Row) -> str:
        values = [run.last.test_accuracy for run in runs.get(row.name, ())]
        return mean_and_spread(values) if values else "–"

    lines = dict.fromkeys((row.task, row.before, row.part) for row in ROWS.values())
    return Table(header, [[*line, *(cell(Row(*line, per_class)) for per_class in PER_CLASS)] for line in lines])
