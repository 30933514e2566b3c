"""Training runs told to MLflow or to TensorBoard, which are installed only where they are used.

A tracker is told of a run as it goes: `start`, `epoch` for each row, then `finish`. It is a context, so that a run that
breaks off is marked as failed.
"""

import json
import os
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from mnist_drill.errors import DrillError
from mnist_drill.report import Table
from mnist_drill.train import Epoch

TRACKERS = ("mlflow", "tensorboard")


class Tracker:
    """Tells nobody."""

    def __enter__(self) -> "Tracker":
        return self

    def __exit__(self, kind, *_) -> None:
        pass

    def start(self, settings: dict) -> None:
        """What the run is made with, before it begins: plain data, nested or not."""

    def epoch(self, row: Epoch) -> None:
        """A row of the run."""

    def finish(self, files: Sequence[Path], pictures: Sequence[Path]) -> None:
        """What the run wrote, and PNG files about it."""


class MLflow(Tracker):
    """Tells MLflow: settings as parameters, a metric for each column of a row, files and pictures as artifacts.

    Where to is MLflow's own setting: `MLFLOW_TRACKING_URI`, or else a store in the current folder. A store that cannot
    be reached is an error before the training, and a warning during it: what was trained is not lost for it.
    """

    def __init__(self, name: str):
        _need("mlflow")
        import mlflow

        self.mlflow, self.name = mlflow, name

    def __enter__(self) -> "MLflow":
        try:
            if "MLFLOW_EXPERIMENT_NAME" not in os.environ:
                self.mlflow.set_experiment("mnist-drill")
            self.mlflow.start_run(run_name=self.name)
        except Exception as error:  # of MLflow, of the store behind it, or of the network
            raise DrillError(f"MLflow cannot start a run at {self.mlflow.get_tracking_uri()}: {error}") from None
        return self

    def __exit__(self, kind, *_) -> None:
        self._tell(self.mlflow.end_run, "FAILED" if kind else "FINISHED")

    def start(self, settings: dict) -> None:
        self._tell(self.mlflow.log_params, _flat(settings))

    def epoch(self, row: Epoch) -> None:
        self._tell(self.mlflow.log_metrics, _figures(row), step=row.epoch)

    def finish(self, files: Sequence[Path], pictures: Sequence[Path]) -> None:
        for path in files:
            self._tell(self.mlflow.log_artifact, str(path))
        for path in pictures:
            self._tell(self.mlflow.log_artifact, str(path), "figures")

    def _tell(self, function: Callable, *arguments, **options) -> None:
        try:
            function(*arguments, **options)
        except Exception as error:
            print(f"MLflow was not told, by {function.__name__}: {error}", file=sys.stderr)


class TensorBoard(Tracker):
    """Writes for TensorBoard into `folder`: the settings as text, a scalar for each column of a row, pictures."""

    def __init__(self, folder: Path):
        _need("tensorboard")
        from torch.utils.tensorboard import SummaryWriter

        self.open, self.folder = SummaryWriter, folder

    def __enter__(self) -> "TensorBoard":
        self.writer = self.open(str(self.folder))
        return self

    def __exit__(self, *_) -> None:
        self.writer.close()

    def start(self, settings: dict) -> None:
        self.writer.add_text("settings", Table(["setting", "value"], _flat(settings).items()).markdown())

    def epoch(self, row: Epoch) -> None:
        for name, value in _figures(row).items():
            self.writer.add_scalar(name, value, row.epoch)
        self.writer.flush()

    def finish(self, files: Sequence[Path], pictures: Sequence[Path]) -> None:
        self.writer.add_text("files", "\n\n".join(map(str, files)))
        for path in pictures:
            with Image.open(path) as picture:
                self.writer.add_image(path.stem, np.asarray(picture.convert("RGB")), dataformats="HWC")


def tracker(kind: str | None, name: str, folder: Path) -> Tracker:
    """The tracker of that kind, one of `TRACKERS`, for a run of that name; without a kind, one that tells nobody.

    TensorBoard's files go into a folder of their own below `folder`. Raises `DrillError` where the package is missing.
    """
    if kind == "mlflow":
        return MLflow(name)
    if kind == "tensorboard":
        return TensorBoard(folder / "tensorboard" / f"{name}-{datetime.now():%Y%m%d-%H%M%S}")
    return Tracker()


def _need(package: str) -> None:
    if find_spec(package) is None:
        raise DrillError(f"--track {package} needs the package {package}: pip install {package}")


def _figures(row: Epoch) -> dict[str, float]:
    return {name: value for name, value in vars(row).items() if name != "epoch"}


def _flat(settings: dict, prefix: str = "") -> dict[str, str]:
    """Nested settings by names with dots between."""
    flat = {}
    for key, value in settings.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value if isinstance(value, str) else json.dumps(value)
    return flat
