"""The training loop and evaluation of a population, and `fit_population`, which trains many seeds by one recipe."""

from __future__ import annotations

import time
from dataclasses import astuple
from statistics import fmean
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from mnist_drill.data import checksum
from mnist_drill.errors import DrillError
from mnist_drill.networks import definition, parameter_count, seeded
from mnist_drill.population.last_good import LastGoodMembers
from mnist_drill.population.network import Population
from mnist_drill.population.training import prepare_population
from mnist_drill.runs import Epoch, Run, Score
from mnist_drill.train import predict
from mnist_drill.training.devices import environment, pick_device

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from torch import Tensor, nn
    from torch.optim import Optimizer

    from mnist_drill.data import LabeledImages
    from mnist_drill.recipes import Recipe


def train_epoch_of_members(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    optimizer: Optimizer,
    after_step: Iterable[Callable[[Tensor], object]] = (),
) -> list[Score]:
    """As `train.train_epoch`, for all members at once: logits of shape (N, 10, members), labels (N, members).

    Each hook in `after_step` is given the losses of the step, (members,).
    """
    model.train()
    loss_sum = correct = seen = 0
    for images, labels in batches:
        logits = model(images)
        losses = F.cross_entropy(logits, labels, reduction="none").mean(dim=0)
        optimizer.zero_grad()
        losses.sum().backward()  # a member's weights have a part in its own loss alone
        optimizer.step()
        for hook in after_step:
            hook(losses.detach())
        loss_sum += losses.detach() * len(labels)
        correct += (logits.argmax(dim=1) == labels).sum(dim=0)
        seen += len(labels)
    return _scores(loss_sum, correct, seen)


def evaluate_members(model: nn.Module, dataset: LabeledImages) -> list[Score]:
    """The score of each member in evaluation mode, all on the same images."""
    logits = predict(model, dataset)
    labels = dataset.labels.unsqueeze(1).expand(-1, logits.shape[2])
    loss_sum = F.cross_entropy(logits, labels, reduction="none").sum(dim=0)
    return _scores(loss_sum, (logits.argmax(dim=1) == labels).sum(dim=0), len(dataset))


def _scores(loss_sum: Tensor, correct: Tensor, seen: int) -> list[Score]:
    sums = zip(loss_sum.tolist(), correct.tolist(), strict=True)
    return [Score(loss / seen, 100 * right / seen) for loss, right in sums]


def print_means(rows: dict[int, Epoch]) -> None:
    """Prints an epoch's means over the members, given their rows by seed; the first one under a header."""
    mean = Epoch(*(fmean(values) for values in zip(*map(astuple, rows.values()), strict=True)))
    lowest = min(row.test_accuracy for row in rows.values())
    if mean.epoch == 1:
        print("epoch  networks  train loss  train %  test loss  test %  lowest  seconds for each", flush=True)
    print(
        f"{mean.epoch:5.0f}  {len(rows):8}  {mean.train_loss:10.4f}  {mean.train_accuracy:7.2f}  {mean.test_loss:9.4f}"
        f"  {mean.test_accuracy:6.2f}  {lowest:6.2f}  {mean.seconds:16.2f}",
        flush=True,
    )


def fit_population(
    network: Callable[[], nn.Module],
    recipe: Recipe,
    train_set: LabeledImages,
    test_set: LabeledImages,
    *,
    name: str,
    seeds: Sequence[int],
    device: str = "auto",
    progress: bool = True,
    on_epoch: Callable[[dict[int, Epoch]], object] = print_means,
    on_trained: Callable[[int, nn.Module], object] = lambda seed, network: None,
) -> list[Run]:
    """Trains a network for each seed by the recipe, all at once on one device, and returns a run for each, in order.

    A run is what `fit(seeded(network, seed), …, seed=seed)` gives, but for rounding, the masks of dropout, and the
    seconds, which are those of the population divided by the number of its members; `environment` has that number. A
    loss that is not finite stops its member alone, at the end of the epoch.

    After each epoch `on_epoch` is given the rows, by seed, of the members that had not stopped before; in the end
    `on_trained` is given each seed and its network, on the CPU. An interrupt leaves runs of the finished epochs, and
    before the first one is finished it is passed on. Raises `DrillError` for a layer that a population cannot train,
    for no seeds or equal ones, and for a device that is not there or has no memory for so many.
    """
    if not seeds or len(set(seeds)) < len(seeds):
        raise DrillError(f"a population needs one or more seeds, each once, not {list(seeds)}")
    place = pick_device(device)
    train_set, test_set = train_set.to(place), test_set.to(place)
    networks = [seeded(network, seed) for seed in seeds]
    try:
        training = prepare_population(networks, recipe, train_set, seeds, progress)
        with LastGoodMembers(training, networks, seeds) as kept:
            for epoch in kept.epochs_left():
                start = time.perf_counter()
                batches = training.batches(epoch)
                train = train_epoch_of_members(training.model, batches, training.optimizer, training.after_step)
                test = evaluate_members(training.model_to_evaluate(), test_set)
                seconds = (time.perf_counter() - start) / len(seeds)
                scores = zip(train, test, strict=True)
                rows = [Epoch(epoch, x.loss, x.accuracy, y.loss, y.accuracy, seconds) for x, y in scores]
                on_epoch(kept.add(rows))
        train_scores = evaluate_members(Population(networks).to(place), train_set)
    except torch.OutOfMemoryError:
        raise DrillError(
            f"{place} has no memory for {len(seeds)} networks at once, in batches of {recipe.batch_size}: train fewer"
        ) from None
    for seed, trained in zip(seeds, networks, strict=True):
        on_trained(seed, trained)
    in_common = {
        "name": name,
        "parameters": parameter_count(networks[0]),
        "recipe": recipe,
        "network": definition(networks[0]),
        "data": checksum(train_set, test_set),
        "environment": {**environment(place, recipe), "population": len(seeds)},
    }
    return [
        Run(**in_common, seed=seed, epochs=member.rows, train_score=score, stopped=member.stopped)
        for seed, member, score in zip(seeds, kept.members, train_scores, strict=True)
    ]
