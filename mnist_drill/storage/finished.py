"""A finished training in a folder: loaded if it is there, else trained, resumed where it was interrupted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mnist_drill.data import checksum
from mnist_drill.errors import DrillError, Interrupted
from mnist_drill.models import build
from mnist_drill.networks import definition
from mnist_drill.runs import Epoch, Run
from mnist_drill.storage import checkpoint
from mnist_drill.storage.resume import fit_resumable
from mnist_drill.train import print_epoch
from mnist_drill.training.devices import pick_device

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import nn

    from mnist_drill.data import LabeledImages
    from mnist_drill.recipes import Recipe


def files_of(folder: Path, name: str) -> tuple[Path, Path, Path]:
    """The files of a training in `folder`: its checkpoint, its run and, until it is finished, its state."""
    return folder / f"{name}.pt", folder / f"{name}.json", folder / f"{name}.state"


def load_or_train(
    folder: Path,
    name: str,
    recipe: Recipe,
    train_set: LabeledImages,
    evaluation_set: LabeledImages,
    *,
    evaluated_on: str,
    seed: int,
    changes: dict,
    device: str,
    progress: bool,
    reuse: bool = True,
    on_start: Callable[[nn.Module], None] = lambda network: None,
    on_epoch: Callable[[Epoch], None] = print_epoch,
) -> tuple[nn.Module, Run]:
    """The network `build(name, seed, **changes)`, trained by the recipe, and its run; both are kept in `folder`.

    With `reuse` a finished training of the same network, recipe, data, split and seed that is there is not repeated;
    else `on_start` is given the network before its training. An interrupted one is resumed. Raises `Interrupted`,
    which says what was kept, and `DrillError` for a training that diverged; what there is of it is kept, too.
    """
    weights, rows, state = files_of(folder, name)
    network = build(name, seed, **changes)
    if reuse and weights.exists() and rows.exists() and not state.exists():
        run = Run.load(rows)
        data = checksum(train_set, evaluation_set)
        same = run.repeats(recipe, definition(network), data, evaluated_on)
        if same and (run.seed, run.changes, run.stopped) == (seed, changes, ""):
            return checkpoint.load(weights)[0].to(pick_device(device)), run
    on_start(network)
    try:
        run = fit_resumable(
            state, network, recipe, train_set, evaluation_set, name=name, seed=seed, changes=changes, device=device,
            progress=progress, on_epoch=on_epoch,
        )  # fmt: skip
    except KeyboardInterrupt:
        run = None
    if run is None or run.interrupted:
        kept = f"{state} has the finished epochs; the same command {'' if reuse else 'with --resume '}goes on"
        raise Interrupted(kept if state.exists() else "no epoch was finished that could be kept")
    run = replace(run, changes=changes, evaluated_on=evaluated_on)
    checkpoint.save(weights, network, name, changes)
    run.save(rows)
    state.unlink(missing_ok=True)
    if run.stopped:
        raise DrillError(f"{name}: {run.stopped}; {weights} has the weights before that epoch")
    return network, run
