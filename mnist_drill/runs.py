"""Runs: what a training produced, as plain data that everything printed, plotted or claimed is derived from."""

import json
import math
import statistics
from dataclasses import asdict, dataclass, field
from pathlib import Path

from mnist_drill.recipes import Augmentation, Recipe, StepDecay, WarmupCosine
from mnist_drill.storage.files import check_format, dataclass_of, read_json, write_atomically

FORMAT = 2  # of a stored run


@dataclass(frozen=True)
class Score:
    """Mean cross-entropy in nats, and accuracy in percent."""

    loss: float
    accuracy: float


@dataclass(frozen=True)
class Epoch:
    """One row of a run. The train figures are the running ones, with dropout and augmentation as trained."""

    epoch: int  # counted from 1
    train_loss: float
    train_accuracy: float  # percent
    test_loss: float
    test_accuracy: float  # percent
    seconds: float  # training and test together


@dataclass(frozen=True)
class Run:
    """What a training produced."""

    name: str
    parameters: int
    seed: int
    recipe: Recipe
    network: str  # `networks.definition` of the trained network
    data: str  # `data.checksum` of the two sets that it was trained and evaluated on
    environment: dict[str, str | int]
    epochs: tuple[Epoch, ...]
    train_score: Score  # on the training set after the last epoch, in evaluation mode: no dropout, no augmentation
    evaluated_on: str = "test"  # the set of the test figures: the "test" set, or the "validation" set
    changes: dict[str, int | bool] = field(default_factory=dict)  # what `models.build` was given besides the name
    stopped: str = ""  # why it has fewer epochs than its recipe; empty where it has them all

    @property
    def interrupted(self) -> bool:
        """Whether it was the user who ended it before its last epoch."""
        return self.stopped.startswith("interrupted")

    @property
    def last(self) -> Epoch:
        return self.epochs[-1]

    @property
    def best_train(self) -> float:
        """The highest running train accuracy of any epoch, in percent."""
        return max(row.train_accuracy for row in self.epochs)

    @property
    def best_test(self) -> float:
        """The highest test accuracy of any epoch, in percent: picked on the test set, only to compare with others."""
        return max(row.test_accuracy for row in self.epochs)

    @property
    def generalization_gap(self) -> float:
        """Train minus test accuracy after the last epoch, both in evaluation mode, in percentage points."""
        return self.train_score.accuracy - self.last.test_accuracy

    @property
    def seconds(self) -> float:
        return sum(row.seconds for row in self.epochs)

    @property
    def seconds_per_epoch(self) -> float:
        """The median: an epoch may be held up by what else the machine does."""
        return statistics.median(row.seconds for row in self.epochs)

    def lowest_of_last(self, epochs: int = 5) -> float:
        """The lowest test accuracy of the last epochs, in percent; NaN where the run has fewer epochs."""
        if len(self.epochs) < epochs:
            return math.nan
        return min(row.test_accuracy for row in self.epochs[-epochs:])

    def lowest_of_up_to(self, epochs: int) -> float:
        """The lowest test accuracy of the last epochs, in percent; of all where the run has fewer."""
        return self.lowest_of_last(min(epochs, len(self.epochs)))

    def repeats(self, recipe: Recipe, network: str, data: str, evaluated_on: str) -> bool:
        """Whether this run has that recipe, network definition, data checksum and evaluation set, at any seed."""
        return (self.recipe, self.network, self.data, self.evaluated_on) == (recipe, network, data, evaluated_on)

    def to_dict(self) -> dict:
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def from_dict(cls, values: dict) -> "Run":
        """The inverse of `to_dict`. Raises KeyError, TypeError, ValueError or AttributeError for anything else."""
        check_format(values, FORMAT, "train it again, or remove the file")
        values = {key: value for key, value in values.items() if key != "format"}
        recipe = dict(values["recipe"])
        recipe["augmentation"] = dataclass_of(Augmentation, recipe["augmentation"])
        if recipe["schedule"] is not None:
            kind = StepDecay if "every" in recipe["schedule"] else WarmupCosine
            recipe["schedule"] = dataclass_of(kind, recipe["schedule"])
        if not values["epochs"]:
            raise ValueError("a run has epochs")
        environment_in(values)
        return dataclass_of(
            cls,
            {
                **values,
                "recipe": dataclass_of(Recipe, recipe),
                "epochs": tuple(dataclass_of(Epoch, row) for row in values["epochs"]),
                "train_score": dataclass_of(Score, values["train_score"]),
            },
        )

    def save(self, path: str | Path) -> None:
        """Writes the run as JSON, whole or not at all."""
        write_atomically(path, json.dumps(self.to_dict(), indent=1) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> "Run":
        """Reads a run that `save` wrote. Raises `DrillError` for a file that is missing or holds something else."""
        return read_json(path, cls.from_dict, "a run")


def environment_in(values: dict) -> dict[str, str | int]:
    """The environment among stored values. Raises ValueError where it lacks what tables and pages say of it."""
    if missing := {"hardware", "precision", "threads", "torch"} - values["environment"].keys():
        raise ValueError(f"its environment lacks {', '.join(sorted(missing))}")
    return values["environment"]
