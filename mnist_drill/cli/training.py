"""The command `train`."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

from mnist_drill.cli.config import config_option
from mnist_drill.cli.options import PATH, device_option, epochs_option, range_of, seed_option
from mnist_drill.cli.tracking import TRACKERS, tracker_for
from mnist_drill.errors import DrillError
from mnist_drill.recipes import OPTIMIZERS
from mnist_drill.storage.files import ensure_writable

if TYPE_CHECKING:
    from torch import nn

    from mnist_drill.cli.tracking import Tracker
    from mnist_drill.data import LabeledImages
    from mnist_drill.recipes import Recipe
    from mnist_drill.runs import Epoch, Run


@click.command("train")
@click.argument("name")
@config_option
@epochs_option("the")
@click.option("--batch-size", type=range_of("batch_size", whole=True),
              help="Images in a batch, instead of the recipe's.")  # fmt: skip
@click.option("--learning-rate", type=range_of("learning_rate"),
              help="Learning rate, with a schedule its peak, instead of the recipe's.")  # fmt: skip
@click.option("--optimizer", type=click.Choice(OPTIMIZERS), help="Instead of the recipe's.")
@click.option("--resize", type=click.IntRange(min=28), metavar="N",
              help="Resize images to N × N (torchvision's networks).")  # fmt: skip
@click.option("--pretrained", is_flag=True, help="Start from torchvision's ImageNet-pretrained weights.")
@click.option("--freeze", is_flag=True, help="Freeze the backbone and train the last layer alone: a linear probe.")
@click.option("--table", type=PATH, metavar="FILE",
              help="Train on Kaggle's train.csv of digits; a sixth of it is the validation set.")  # fmt: skip
@click.option("--resume", is_flag=True, help="Resume the interrupted training that is in OUT, if there is one.")
@click.option("--track", type=click.Choice(TRACKERS), help="Log the run to MLflow or TensorBoard.")
@seed_option
@device_option
@click.option("--out", type=PATH, default="runs", show_default=True, help="Folder to write to.")
def train_command(
    name: str,
    resize: int | None,
    pretrained: bool,
    freeze: bool,
    table: Path | None,
    resume: bool,
    track: str | None,
    seed: int,
    device: str,
    out: Path,
    **changed_recipe: int | float | str | None,
) -> None:
    """Train the network NAME by its recipe on all 60,000 images of the training set.

    NAME is one of the course's networks or of torchvision's, which `models` lists. The test accuracy is reported after
    each epoch and never used for a choice. Writes OUT/NAME.pt, the network with its weights, and OUT/NAME.json, the
    run: recipe, seed, environment and a row per epoch. With the same seed, CPU and number of threads a run is the same,
    bit for bit.
    """
    from mnist_drill import data
    from mnist_drill.storage.finished import files_of, load_or_train
    from mnist_drill.train import print_epoch
    from mnist_drill.training.devices import pick_device

    pick_device(device)
    changes = {key: value for key, value in (("side", resize), ("pretrained", pretrained), ("freeze", freeze)) if value}
    recipe = _checked_recipe(name, changes, {key: value for key, value in changed_recipe.items() if value is not None})
    weights, rows, state = files_of(out, name)
    if state.exists() and not resume:
        raise DrillError(f"{state} is of an interrupted training: add --resume to go on, or remove the file")
    tracker = tracker_for(track, name, out)
    sets = _sets_of(table)
    ensure_writable(out)
    train_set, evaluation_set = sets or data.load()
    evaluated_on = "test" if table is None else "validation"
    trained = False

    with ExitStack() as stack:

        def on_start(network: nn.Module) -> None:
            nonlocal trained
            trained = True
            stack.enter_context(tracker)
            tracker.start(_parameters(name, seed, network, recipe, changes, evaluated_on))

        def on_epoch(row: Epoch) -> None:
            print_epoch(row)
            tracker.epoch(row)

        network, run = load_or_train(
            out, name, recipe, train_set, evaluation_set, evaluated_on=evaluated_on,
            seed=seed, changes=changes, device=device, progress=sys.stdout.isatty(), reuse=resume, on_start=on_start,
            on_epoch=on_epoch,
        )  # fmt: skip
        if not trained:
            click.echo(f"{weights} and {rows} are finished")
            return
        click.echo(f"wrote {weights} and {rows}")
        if track is not None:
            _log_files(tracker, [weights, rows], run, network, evaluation_set)


def _checked_recipe(name: str, changes: dict, changed_recipe: dict) -> Recipe:
    """The network's recipe with the changes to it. Raises `DrillError` unless network and recipe can be made."""
    from mnist_drill.models import build_without_values, check_name, recipe_for
    from mnist_drill.stages import NETWORKS

    check_name(name)
    if changes and name in NETWORKS:
        raise DrillError(f"--resize, --pretrained and --freeze are for torchvision's networks, and {name} is not one")
    if changes:
        build_without_values(name, **{key: value for key, value in changes.items() if key != "pretrained"})
    try:
        return replace(recipe_for(name), **changed_recipe)
    except ValueError as error:
        raise DrillError(str(error)) from None


def _sets_of(table: Path | None) -> tuple[LabeledImages, LabeledImages] | None:
    """The two sets of a train.csv of the competition."""
    if table is None:
        return None
    from mnist_drill import data
    from mnist_drill.inputs import competition

    return data.split(competition.read_train(table))


def _parameters(name: str, seed: int, network: nn.Module, recipe: Recipe, changes: dict, evaluated_on: str) -> dict:
    """What is logged of a training before it starts."""
    from mnist_drill.networks import parameter_count

    return {
        "network": name, "seed": seed, "parameters": parameter_count(network), "evaluated_on": evaluated_on,
        **asdict(recipe), **changes,
    }  # fmt: skip


def _log_files(
    tracker: Tracker, files: list[Path], run: Run, network: nn.Module, evaluation_set: LabeledImages
) -> None:
    from mnist_drill.course import plots

    with TemporaryDirectory() as folder:
        figures = [Path(folder) / "curves.png", Path(folder) / "confusion.png"]
        plots.curves(run, lowest=min(97.0, *(row.test_accuracy for row in run.epochs)), path=figures[0])
        plots.confusion(network, evaluation_set, path=figures[1])
        tracker.finish(files, figures)
