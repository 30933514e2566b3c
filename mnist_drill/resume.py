"""A training between two epochs, kept in a file so that it can be taken up as if it had never been broken off."""

from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.swa_utils import AveragedModel

from mnist_drill.archive import read_archive, write_archive
from mnist_drill.errors import DrillError
from mnist_drill.files import dataclass_of

FORMAT = 1

Row = TypeVar("Row")


class Training:
    """All that changes while a network is trained, and torch's random state, which decides what comes next."""

    def __init__(self, model: nn.Module, optimizer: Optimizer, scheduler: LRScheduler, averaged: AveragedModel | None):
        self.parts = {"model": model, "optimizer": optimizer, "scheduler": scheduler}
        if averaged is not None:
            self.parts["averaged"] = averaged

    def save(self, path: str | Path, identity: dict, rows: list[Row]) -> None:
        """Writes it with the finished rows, which are dataclasses; what stood there is kept until that is done.

        `identity` is plain data that says which training this is.
        """
        content = {"format": FORMAT, "identity": identity, "rows": list(map(asdict, rows))}
        content["random"] = torch.get_rng_state()
        if torch.cuda.is_available():
            content["random of GPUs"] = torch.cuda.get_rng_state_all()
        write_archive(Path(path), content | {name: part.state_dict() for name, part in self.parts.items()})

    def load(self, path: str | Path, identity: dict, kind: type[Row]) -> list[Row]:
        """Takes up what `save` wrote and returns its rows; without a file none, and nothing changes.

        `kind` is the dataclass of a row. Raises `DrillError` for a file of another training, and for a damaged one.
        """
        path = Path(path)
        if not path.exists():
            return []
        try:
            content = deepcopy(read_archive(path))
            if content["format"] != FORMAT:
                raise ValueError(f"format {content['format']}")
            other = [key for key in identity if content["identity"][key] != identity[key]]
            rows = [dataclass_of(kind, row) for row in content["rows"]]
            if not other:
                for name, part in self.parts.items():
                    part.load_state_dict(content[name])
                torch.set_rng_state(content["random"])
                if torch.cuda.is_available():
                    torch.cuda.set_rng_state_all(content["random of GPUs"])
        except Exception as error:  # whatever a damaged file makes the readers raise
            raise DrillError(
                f"{path} does not hold this training ({type(error).__name__}): remove it to begin anew"
            ) from None
        if other:
            raise DrillError(f"{path} holds a training with another {other[0]}: give its options, or remove the file")
        return rows


def copied(model: nn.Module) -> dict:
    """A copy of a network's state, with what some networks note beside their weights."""
    return deepcopy(model.state_dict())
