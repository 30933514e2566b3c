"""A training between two epochs, kept in a file, so that it can be resumed as if it had never been interrupted."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from mnist_drill.data import checksum
from mnist_drill.errors import DrillError
from mnist_drill.networks import definition
from mnist_drill.runs import Epoch, Run
from mnist_drill.storage.archive import read_archive, write_archive
from mnist_drill.storage.files import dataclass_of
from mnist_drill.train import fit, print_epoch
from mnist_drill.training.devices import random_states, restore_random
from mnist_drill.training.last_good import LastGood

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from mnist_drill.data import LabeledImages
    from mnist_drill.recipes import Recipe
    from mnist_drill.training.setup import Training

FORMAT = 4  # of the file


def fit_resumable(
    state: str | Path,
    network: nn.Module,
    recipe: Recipe,
    train_set: LabeledImages,
    test_set: LabeledImages,
    *,
    changes: dict | None = None,
    on_epoch: Callable[[Epoch], None] = print_epoch,
    **options,
) -> Run:
    """As `train.fit`, and the training is kept in the file `state` after each epoch.

    Where the file is there already the training is resumed: `on_epoch` is given the earlier rows, too, and on a CPU
    with as many threads the run is bit for bit that of a training that was never interrupted. `changes` is what
    `models.build` was given besides the network's name. On another kind of device the training goes on, too, with
    random draws of its own. The file stays when the training is finished. Raises
    `DrillError` for a file of another training, and for a damaged one.
    """
    identity = {
        "network": {"definition": definition(network), "changes": changes or {}},
        "seed": options["seed"],
        "data": checksum(train_set, test_set),
        "recipe": asdict(recipe),
    }
    return fit(
        network, recipe, train_set, test_set, on_epoch=on_epoch, **options,
        keep=lambda training: KeptInFile(training, Path(state), identity, on_epoch),
    )  # fmt: skip


class KeptInFile(LastGood):
    """As `LastGood`, and all that changes during a training is in a file after each epoch.

    `identity` is plain data that says which training this is.
    """

    def __init__(self, training: Training, path: Path, identity: dict, on_epoch: Callable[[Epoch], None]):
        super().__init__(training)
        self.path, self.identity, self.on_epoch = path, identity, on_epoch
        self.device = training.train_set.labels.device
        self.parts = {"network": training.network, "optimizer": training.optimizer, "scheduler": training.scheduler}
        if training.ema:
            self.parts["ema"] = training.ema

    def __enter__(self) -> KeptInFile:
        if self.path.exists():
            self._load()
        super().__enter__()
        for row in self.rows:
            self.on_epoch(row)
        return self

    def add(self, row: Epoch) -> None:
        super().add(row)
        if not self.stopped:
            self._save()

    def _save(self) -> None:
        content = {"format": FORMAT, "identity": self.identity, "rows": list(map(asdict, self.rows))}
        content["random"] = random_states(self.device)
        write_archive(self.path, content | {name: part.state_dict() for name, part in self.parts.items()})

    def _load(self) -> None:
        try:
            content = deepcopy(read_archive(self.path))
            if content["format"] != FORMAT:
                raise ValueError(f"format {content['format']}")
            other = [key for key in self.identity if content["identity"][key] != self.identity[key]]
            rows = [dataclass_of(Epoch, row) for row in content["rows"]]
            if not other:
                for name, part in self.parts.items():
                    part.load_state_dict(content[name])
                restore_random(content["random"], self.device)
        except Exception as error:  # whatever a damaged file makes the readers raise
            raise DrillError(
                f"{self.path} does not hold this training ({type(error).__name__}): remove it to train from scratch"
            ) from None
        if other:
            raise DrillError(
                f"{self.path} holds a training with another {other[0]}: give its options, or remove the file"
            )
        self.rows = rows
