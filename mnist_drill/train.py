"""The training loop, evaluation, and `fit`, which trains a network by a recipe."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from mnist_drill.data import checksum, normalize
from mnist_drill.errors import DrillError, Interrupted
from mnist_drill.networks import definition, parameter_count
from mnist_drill.runs import Epoch, Run, Score
from mnist_drill.training.devices import environment, pick_device
from mnist_drill.training.last_good import LastGood
from mnist_drill.training.setup import Training, prepare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from torch import Tensor, nn
    from torch.optim import Optimizer

    from mnist_drill.data import LabeledImages
    from mnist_drill.recipes import Recipe

EVALUATION_BATCH = 200  # images at once: as few as keep a CPU's caches, and enough to feed it


def train_epoch(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    optimizer: Optimizer,
    after_step: Iterable[Callable[[Tensor], object]] = (),
) -> Score:
    """One pass over the training set: batches of normalized images and their labels.

    Each hook in `after_step` is given the loss of the step. The score is the running one, in training mode.
    """
    model.train()
    loss_sum = correct = seen = 0
    for images, labels in batches:
        logits = model(images)
        loss = F.cross_entropy(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        for hook in after_step:
            hook(loss.detach())
        loss_sum += loss.detach() * len(labels)
        correct += (logits.argmax(dim=1) == labels).sum()
        seen += len(labels)
    return Score(loss_sum.item() / seen, 100 * correct.item() / seen)


@torch.inference_mode()
def predict(
    model: nn.Module,
    dataset: LabeledImages,
    batch_size: int = EVALUATION_BATCH,
) -> Tensor:
    """All logits, (N, 10), on the labels' device; the model ends in evaluation mode."""
    model.eval()
    device = next(model.parameters()).device
    logits = [model(normalize(x.to(device))) for x in dataset.images.split(batch_size)]
    return torch.cat(logits).to(dataset.labels.device)


def evaluate(model: nn.Module, dataset: LabeledImages) -> Score:
    """The score in evaluation mode."""
    logits = predict(model, dataset)
    correct = (logits.argmax(dim=1) == dataset.labels).sum()
    loss = F.cross_entropy(logits, dataset.labels)
    return Score(loss.item(), 100 * correct.item() / len(dataset))


def print_epoch(row: Epoch) -> None:
    """Prints a row of a run, the first one under a header."""
    if row.epoch == 1:
        print("epoch  train loss  train %  test loss  test %  seconds", flush=True)
    print(
        f"{row.epoch:5}  {row.train_loss:10.4f}  {row.train_accuracy:7.2f}  {row.test_loss:9.4f}"
        f"  {row.test_accuracy:6.2f}  {row.seconds:7.1f}",
        flush=True,
    )


def fit(
    network: nn.Module,
    recipe: Recipe,
    train_set: LabeledImages,
    test_set: LabeledImages,
    *,
    name: str,
    seed: int,
    device: str = "auto",
    progress: bool = True,
    on_epoch: Callable[[Epoch], None] = print_epoch,
    keep: Callable[[Training], LastGood] = LastGood,
    loop: Callable[..., Score] | None = None,
) -> Run:
    """Trains `network` in place by the recipe, on the device, and returns the run.

    After each epoch `on_epoch` is given its row; with `progress` there is a bar within the epoch. The test set is only
    reported: with any other the weights would be the same. All that is random follows from the random seed: on the same
    CPU with as many threads the run is the same, bit for bit. `keep` makes the context that keeps the rows and the
    last good weights; `Run.stopped` says why a training ended early. `loop` is a training loop of your own in place of
    `train_epoch`, with the same arguments and score. Raises `DrillError` for a device that is not there.
    """
    place = pick_device(device)
    train_set, test_set = train_set.to(place), test_set.to(place)
    training = prepare(network, recipe, train_set, seed, progress)
    one_epoch = loop or train_epoch
    with keep(training) as kept:
        for epoch in kept.epochs_left():
            start = time.perf_counter()
            train = one_epoch(training.model, training.batches(epoch), training.optimizer, training.after_step)
            test = evaluate(training.model_to_evaluate(), test_set)
            seconds = time.perf_counter() - start
            row = Epoch(epoch, train.loss, train.accuracy, test.loss, test.accuracy, seconds)
            kept.add(row)
            on_epoch(row)
    return Run(
        name=name,
        parameters=parameter_count(network),
        seed=seed,
        recipe=recipe,
        network=definition(network),
        data=checksum(train_set, test_set),
        environment=environment(place, recipe),
        epochs=tuple(kept.rows),
        train_score=evaluate(network, train_set),
        stopped=kept.stopped,
    )


def require_finished(run: Run) -> Run:
    """The run, if it has all of its epochs. Raises `Interrupted` or, where it diverged, `DrillError`."""
    if run.interrupted:
        raise Interrupted(f"{run.name}, seed {run.seed}, {run.stopped}")
    if run.stopped:
        raise DrillError(f"{run.name}, seed {run.seed}: {run.stopped}")
    return run
