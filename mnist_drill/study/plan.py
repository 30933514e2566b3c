"""What a study is: rows, each a network and a recipe, and the runs that it asks for; what decides each of them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mnist_drill import data
from mnist_drill.errors import DrillError
from mnist_drill.study.changes import plain
from mnist_drill.study.network import in_one_line

if TYPE_CHECKING:
    from mnist_drill.data import LabeledImages
    from mnist_drill.recipes import Recipe
    from mnist_drill.study.network import Network

SETS = ("validation", "test")  # that a study can be evaluated on


@dataclass(frozen=True)
class Row:
    """A network and the recipe that it trains with."""

    network: Network
    recipe: Recipe


@dataclass(frozen=True)
class Task:
    """A run that is to be trained: plain data, for a process anywhere."""

    name: str  # of its row
    row: Row
    seed: int
    evaluated_on: str


@dataclass(frozen=True)
class Study:
    """Rows by name, each to be trained with the same random seeds."""

    rows: dict[str, Row]
    seeds: tuple[int, ...]
    evaluated_on: str = "validation"  # one of `SETS`
    baseline: str = ""  # the row that others are compared with; empty: none is

    def tasks(self) -> list[Task]:
        """All runs, seed by seed, so that an early end leaves every row with about as many."""
        return [Task(name, row, seed, self.evaluated_on) for seed in self.seeds for name, row in self.rows.items()]


def sets_of(evaluated_on: str) -> tuple[LabeledImages, LabeledImages]:
    """The sets that a run trains and is evaluated on.

    With "validation" these are 50,000 training images and the other 10,000, the validation set of `data.split`; with
    "test" all 60,000 and the test set.
    """
    train_set, test_set = data.load()
    return data.split(train_set) if evaluated_on == "validation" else (train_set, test_set)


def identities(study: Study, checksum: str) -> dict[str, dict]:
    """For each row all that decides its runs besides the seed, as plain data.

    `checksum` is that of the two sets. Raises `DrillError` for a network that does not work, and for two rows that
    would train the same.
    """
    found: dict[str, dict] = {}
    definitions: dict[str, str] = {}
    rows: dict[str, str] = {}  # the name of each row by its key
    for name, row in study.rows.items():
        with in_one_line(f"row {name!r}", row.network.file):
            network = {"arguments": row.network.arguments, "source": row.network.source}
            built = f"{row.network} {network['source']}"  # rows often share a network, and some take seconds to build
            if built not in definitions:
                definitions[built] = row.network.checked()
        network["definition"] = definitions[built]
        identity = {
            "recipe": plain(row.recipe), "network": network, "data": checksum, "evaluated_on": study.evaluated_on
        }  # fmt: skip
        other = rows.setdefault(key_of(identity), name)
        if other != name:
            raise DrillError(f"rows {other!r} and {name!r} have the same network and recipe: remove one")
        found[name] = identity
    return found


def key_of(identity: dict) -> str:
    """A digest of what decides the runs of a row."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:20]
