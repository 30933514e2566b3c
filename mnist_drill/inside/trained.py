"""The trained stages that the page shows, in the folder `trained/`: their weights after each epoch, and their runs.

NAME.bin holds the values of the network's steps (`network.values_of`), batch norm folded, at half precision, epoch
after epoch: all of them or, of a network whose epochs would take more than `LARGEST` bytes, the last alone. NAME.json
is the run. images.json has the pixels of some test images: the first of each class, and the most confident errors of
each stage.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from mnist_drill.data import checksum, normalize, to_grey
from mnist_drill.errors import DrillError
from mnist_drill.inside.network import outputs_of, steps_of, values_of, with_values
from mnist_drill.networks import definition, seeded
from mnist_drill.predictions import most_confident_errors
from mnist_drill.runs import Run
from mnist_drill.stages import STAGES
from mnist_drill.storage.files import read_json, write_atomically
from mnist_drill.train import EVALUATION_BATCH, fit, require_finished
from mnist_drill.training.last_good import LastGood

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

    from mnist_drill.data import LabeledImages
    from mnist_drill.inside.network import Step
    from mnist_drill.runs import Epoch

FOLDER = Path(__file__).parent / "trained"
IMAGES = "images.json"
SEED = 1
LARGEST = 1_000_000  # bytes that the epochs of one network may take
ERRORS = 12  # of each stage, the most confident ones


def names(folder: Path = FOLDER) -> list[str]:
    """The stages that the folder holds, in the order of the course."""
    return [name for name in STAGES if (folder / f"{name}.bin").exists() and (folder / f"{name}.json").exists()]


def load(name: str, folder: Path = FOLDER) -> tuple[Run, list[Step], Tensor]:
    """A trained stage: its run, its steps, and the values of its stored epochs, float16 of shape (epochs, values).

    The last row is of the last epoch. Raises `DrillError` for files that are missing or do not fit the network.
    """
    run, path = Run.load(folder / f"{name}.json"), folder / f"{name}.bin"
    steps = steps_of(STAGES[name].network())
    count = values_of(steps).numel()
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DrillError(f"cannot read {path}: {error.strerror}; `inside --train` makes it") from None
    stored = len(content) // (2 * count)
    if len(content) % (2 * count) or stored not in (1, len(run.epochs)):
        raise DrillError(f"{path} does not hold weights of {name}: remove it, and `inside --train` makes it again")
    return run, steps, torch.from_numpy(np.frombuffer(content, "<f2").copy()).view(stored, count)


def load_images(folder: Path = FOLDER) -> dict:
    """The stored test images: `images` by position in the test set, `examples`, and `errors` by stage, as positions."""
    if not (folder / IMAGES).exists():
        return {"images": {}, "examples": [], "errors": {}}
    return read_json(folder / IMAGES, lambda x: {key: x[key] for key in ("images", "examples", "errors")}, "images")


def half(values: Tensor) -> Tensor:
    """Values at half precision. Raises `DrillError` where one is not finite then."""
    halved = values.detach().cpu().half()
    if not halved.isfinite().all():
        raise DrillError("the weights are not finite at half precision: did the training diverge?")
    return halved


def bytes_of(halved: Tensor) -> bytes:
    """Values at half precision as they are stored: two bytes each, little-endian."""
    return halved.numpy().astype("<f2").tobytes()


def encoded(halved: Tensor) -> str:
    """Values at half precision as the page reads them."""
    return base64.b64encode(bytes_of(halved)).decode()


def store(run: Run, states: Sequence[dict[str, Tensor]], test_set: LabeledImages, folder: Path = FOLDER) -> None:
    """Stores a finished run of a stage with its weights: state dicts, one for each epoch or of the last alone."""
    network = STAGES[run.name].network()
    epochs = [half(values_of(_steps_with(network, state))) for state in states]
    if len(epochs) != len(run.epochs) or 2 * len(epochs) * len(epochs[0]) > LARGEST:
        epochs = epochs[-1:]
    content = load_images(folder)
    steps = with_values(steps_of(network), epochs[-1])
    examples = first_of_each_class(test_set)
    errors = {**content["errors"], run.name: errors_of(steps, test_set)}
    errors = {name: errors[name] for name in STAGES if name in errors}
    shown = sorted({*examples, *(position for positions in errors.values() for position in positions)})
    images = {str(position): image_of(test_set, position) for position in shown}
    write_atomically(folder / f"{run.name}.bin", b"".join(map(bytes_of, epochs)))
    run.save(folder / f"{run.name}.json")
    stored = {"images": images, "examples": examples, "errors": errors}
    write_atomically(folder / IMAGES, json.dumps(stored, indent=0) + "\n")


def _steps_with(network: nn.Module, state: dict[str, Tensor]) -> list[Step]:
    network.load_state_dict(state)
    return steps_of(network)


def first_of_each_class(dataset: LabeledImages) -> list[int]:
    """The position of the first image of each digit that the dataset has."""
    found = [(dataset.labels == label).nonzero() for label in range(10)]
    return [int(positions[0]) for positions in found if len(positions)]


def image_of(dataset: LabeledImages, position: int) -> dict:
    """An image for the page: its label, and its 784 pixels from 0 to 255 as base64."""
    pixels = to_grey(dataset.images[position]).cpu().numpy().tobytes()
    return {"label": int(dataset.labels[position]), "pixels": base64.b64encode(pixels).decode()}


def logits_of(steps: Sequence[Step], dataset: LabeledImages) -> Tensor:
    """The logits (N, 10) of a dataset's images."""
    return logits_of_normalized(steps, normalize(dataset.images))


def stored_logits(name: str, dataset: LabeledImages) -> Tensor:
    """The logits (N, 10) that a stored stage gives after its last epoch. Raises `DrillError` as `load` does."""
    _, steps, epochs = load(name)
    return logits_of(with_values(steps, epochs[-1]), dataset)


def logits_of_normalized(steps: Sequence[Step], images: Tensor) -> Tensor:
    """The logits (N, 10) of normalized images (N, 1, 28, 28)."""
    return torch.cat([outputs_of(steps, batch)[-1].flatten(1) for batch in images.split(EVALUATION_BATCH)])


def errors_of(steps: Sequence[Step], dataset: LabeledImages) -> list[int]:
    """The positions of the `ERRORS` most confident errors."""
    return most_confident_errors(logits_of(steps, dataset), dataset.labels, ERRORS).tolist()


def train_missing(
    train_set: LabeledImages, test_set: LabeledImages, *, device: str, progress: bool, folder: Path = FOLDER
) -> list[str]:
    """Trains each stage at seed 1 by its recipe and stores it, unless it is stored; returns the names of those trained.

    Each is stored as soon as it is finished. Raises `Interrupted` for a training that the user ended, and `DrillError`
    for one that diverged: of that nothing is stored.
    """
    data, trained = checksum(train_set, test_set), []
    for name, stage in STAGES.items():
        network = seeded(stage.network, SEED)
        if name in names(folder):
            run = Run.load(folder / f"{name}.json")
            if run.seed == SEED and run.repeats(stage.recipe, definition(network), data, "test"):
                continue
        states: list[dict[str, Tensor]] = []

        class EachEpoch(LastGood):
            """Keeps the weights after every epoch, besides the last good ones."""

            def add(self, row: Epoch) -> None:
                super().add(row)
                states.append(self.weights)  # noqa: B023 - fit returns before the loop goes on

        run = fit(
            network, stage.recipe, train_set, test_set, name=name, seed=SEED, device=device, progress=progress,
            keep=EachEpoch,
        )  # fmt: skip
        store(require_finished(run), states, test_set, folder)
        trained.append(name)
    return trained
