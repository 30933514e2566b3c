"""Training runs logged to MLflow or TensorBoard, which are installed only where they are used.

A tracker is given a run as it goes: `start`, `epoch` for each row, then `finish`. It is a context, so that a run that
fails or is interrupted is marked as failed.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING

from mnist_drill.course.tables import Table
from mnist_drill.errors import DrillError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from mnist_drill.runs import Epoch

TRACKERS = ("mlflow", "tensorboard")


class Tracker:
    """Logs nothing."""

    def __enter__(self) -> Tracker:
        return self

    def __exit__(self, kind, *_) -> None:
        pass

    def start(self, parameters: dict) -> None:
        """What a run is made with, before it starts: plain data, nested or not."""

    def epoch(self, row: Epoch) -> None:
        """A row of the run."""

    def finish(self, files: Sequence[Path], figures: Sequence[Path]) -> None:
        """What the run wrote, and PNG files about it."""


class MLflow(Tracker):
    """Logs to MLflow: a parameter for each setting, a metric for each column of a row, files and figures as artifacts.

    Where to is MLflow's own setting: `MLFLOW_TRACKING_URI`, or else a store in the current folder. A store that cannot
    be reached is an error before the training, and a warning during it: what was trained is not lost for it.
    """

    def __init__(self, name: str):
        _need("mlflow")
        import mlflow

        self.mlflow, self.name = mlflow, name

    def __enter__(self) -> MLflow:
        try:
            if "MLFLOW_EXPERIMENT_NAME" not in os.environ:
                self.mlflow.set_experiment("mnist-drill")
            self.mlflow.start_run(run_name=self.name)
        except Exception as error:  # of MLflow, of the store behind it, or of the network
            raise DrillError(f"MLflow cannot start a run at {self.mlflow.get_tracking_uri()}: {error}") from None
        return self

    def __exit__(self, kind, *_) -> None:
        self._log("status", self.mlflow.end_run, "FAILED" if kind else "FINISHED")

    def start(self, parameters: dict) -> None:
        self._log("parameters", self.mlflow.log_params, _flat(parameters))

    def epoch(self, row: Epoch) -> None:
        self._log("metrics", self.mlflow.log_metrics, _metrics(row), step=row.epoch)

    def finish(self, files: Sequence[Path], figures: Sequence[Path]) -> None:
        for path in files:
            self._log(path.name, self.mlflow.log_artifact, str(path))
        for path in figures:
            self._log(path.name, self.mlflow.log_artifact, str(path), "figures")

    def _log(self, what: str, function: Callable, *arguments, **options) -> None:
        try:
            function(*arguments, **options)
        except Exception as error:
            print(f"{what} could not be logged to MLflow: {error}", file=sys.stderr)


class TensorBoard(Tracker):
    """Logs to TensorBoard's files in `folder`: the parameters as text, a scalar for each column of a row, figures."""

    def __init__(self, folder: Path):
        _need("tensorboard")
        from torch.utils.tensorboard import SummaryWriter

        self.open, self.folder = SummaryWriter, folder

    def __enter__(self) -> TensorBoard:
        self.writer = self.open(str(self.folder))
        return self

    def __exit__(self, *_) -> None:
        self.writer.close()

    def start(self, parameters: dict) -> None:
        self.writer.add_text("parameters", Table(["parameter", "value"], _flat(parameters).items()).markdown())

    def epoch(self, row: Epoch) -> None:
        for name, value in _metrics(row).items():
            self.writer.add_scalar(name, value, row.epoch)
        self.writer.flush()

    def finish(self, files: Sequence[Path], figures: Sequence[Path]) -> None:
        import numpy as np
        from PIL import Image

        self.writer.add_text("files", "\n\n".join(map(str, files)))
        for path in figures:
            with Image.open(path) as figure:
                self.writer.add_image(path.stem, np.asarray(figure.convert("RGB")), dataformats="HWC")


def tracker_for(kind: str | None, name: str, folder: Path) -> Tracker:
    """The tracker of that kind, one of `TRACKERS`, for a run of that name; without a kind, one that logs nothing.

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


def _metrics(row: Epoch) -> dict[str, float]:
    return {name: value for name, value in vars(row).items() if name != "epoch"}


def _flat(parameters: dict, prefix: str = "") -> dict[str, str]:
    """Nested parameters by names with dots between."""
    flat = {}
    for key, value in parameters.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value if isinstance(value, str) else json.dumps(value)
    return flat
