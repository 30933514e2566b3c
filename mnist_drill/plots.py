"""Figures, and nothing but figures: each function draws one and shows it."""

import io
import statistics
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from matplotlib.transforms import Bbox
from torch import Tensor, nn

from mnist_drill.augment import Augmentation, augment
from mnist_drill.compare import Entry
from mnist_drill.data import Digits
from mnist_drill.files import write_atomically
from mnist_drill.models import NETWORKS
from mnist_drill.receptive_field import Layer
from mnist_drill.report import standard_error
from mnist_drill.train import Recipe, Run, confusion_matrix, predict, rate_at

BLUE, ORANGE, GREY = "#2563a8", "#d9730d", "#9aa0a6"


def digit_grid(
    images: Tensor, titles: Sequence[str] | None = None, columns: int = 10, path: Path | None = None
) -> None:
    """Images of shape (N, 1, 28, 28) in [0, 1], row by row, each under its title; written to `path` if there is one."""
    figure, axes = _grid(len(images), columns, width=0.85, height=0.85 if titles is None else 1.15)
    for position, (axis, image) in enumerate(zip(axes, images, strict=True)):
        _draw(axis, image)
        if titles is not None:
            axis.set_title(titles[position], fontsize=8)
    _show(figure, path)


def class_counts(parts: dict[str, Digits]) -> None:
    """How many digits of each class each part has."""
    figure, axes = plt.subplots(1, len(parts), figsize=(4.5 * len(parts), 2.4), squeeze=False)
    for axis, (name, digits) in zip(axes.flat, parts.items(), strict=True):
        axis.bar(range(10), digits.labels.bincount(minlength=10).tolist(), color=BLUE)
        axis.axhline(len(digits) / 10, color=GREY, linestyle="--", label="a tenth")
        axis.set(title=name, xticks=range(10), xlabel="digit", ylabel="count")
        axis.legend(fontsize=8)
    _show(figure)


def budget(networks: dict[str, list[Layer]]) -> None:
    """Where the parameters of each network sit, layer by layer, on one logarithmic scale."""
    figure, axes = plt.subplots(1, len(networks), figsize=(4.8 * len(networks), 3), sharex=True, squeeze=False)
    for axis, (name, layers) in zip(axes.flat, networks.items(), strict=True):
        counts = [layer.parameters + layer.norm_parameters for layer in layers]
        bars = axis.barh([f"{i}  {layer.kind}" for i, layer in enumerate(layers, 1)], counts, color=BLUE)
        axis.bar_label(bars, [f"{n:,} ({n / sum(counts):.0%})" if n else "0" for n in counts], padding=3, fontsize=8)
        axis.invert_yaxis()
        axis.set(title=f"{name}: {sum(counts):,} parameters", xscale="log", xlim=(50, 3e7), xlabel="parameters")
        axis.spines[["top", "right"]].set_visible(False)
    _show(figure)


def receptive_fields(image: Tensor, layers: Sequence[Layer], columns: int = 5) -> None:
    """What the middle output of each layer sees of an image of shape (1, H, H): a square, drawn over the image."""
    figure, axes = _grid(len(layers), columns, width=1.9, height=2.2)
    side = image.shape[-1]
    margin = max(0, *((layer.field_out - side) // 2 + 1 for layer in layers))
    for axis, (number, layer) in zip(axes, enumerate(layers, 1), strict=True):
        _draw(axis, image)
        # A pixel is drawn around its centre, so that the square begins half a pixel before its first one.
        corner = layer.first_out + layer.jump_out * ((layer.size_out - 1) // 2) - 0.5
        axis.add_patch(plt.Rectangle((-0.5, -0.5), side, side, fill=False, edgecolor=GREY))
        axis.add_patch(plt.Rectangle((corner, corner), layer.field_out, layer.field_out, color=ORANGE, alpha=0.35))
        axis.set(xlim=(-0.5 - margin, side - 0.5 + margin), ylim=(side - 0.5 + margin, -0.5 - margin))
        axis.set_title(f"{number}  {layer.kind}\nsees {layer.field_out}×{layer.field_out}", fontsize=8)
    _show(figure)


def curves(*runs: Run, seeds: Sequence[Run] = (), lowest: float = 97.0, path: Path | None = None) -> None:
    """Train and test accuracy per epoch, the first run against the others; what lies below `lowest` % is cut off.

    A band behind the first run goes from the lowest to the highest of the stored runs, `seeds`.
    """
    figure, axes = plt.subplots(1, 2, figsize=(9.6, 3.2), sharey=True)
    for axis, part in zip(axes, ("train", "test"), strict=True):
        if seeds:
            epochs = zip(*(_accuracies(run, part) for run in seeds), strict=True)
            low, high = zip(*((min(values), max(values)) for values in epochs), strict=True)
            axis.fill_between(range(1, len(low) + 1), low, high, color=BLUE, alpha=0.2, linewidth=0,
                              label=f"{runs[0].name}, {len(seeds)} seeds")  # fmt: skip
        for run, colour in zip(runs, (BLUE, ORANGE, GREY), strict=False):
            epochs = [row.epoch for row in run.epochs]
            axis.plot(epochs, _accuracies(run, part), color=colour, marker="o", markersize=3, label=run.name)
        axis.set(title=f"{part} accuracy", xlabel="epoch")
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    axes[0].set(ylabel="%", ylim=(lowest, 100))
    _show(figure, path)


def alternatives(study: dict[str, list[Run]], chosen: str) -> None:
    """Of each run of a study, a row for each alternative: the last validation accuracy, and the gap to training digits.

    A bar marks the mean.
    """
    figure, axes = plt.subplots(1, 2, figsize=(9.6, 0.42 * len(study) + 0.8), sharey=True, width_ratios=[2, 1])
    for place, (label, runs) in enumerate(study.items()):
        colour = ORANGE if label == chosen else BLUE
        for axis, values in zip(axes, ([x.last.test_accuracy for x in runs], [x.gap for x in runs]), strict=True):
            axis.plot(values, [place] * len(values), "o", color=colour, markersize=5, alpha=0.6)
            axis.plot([statistics.fmean(values)], [place], "|", color=colour, markersize=16, markeredgewidth=2.5)
    axes[0].set(yticks=range(len(study)), yticklabels=study, xlabel="validation accuracy after the last epoch, %")
    axes[1].set(xlabel="training digits ahead by, points")
    axes[0].invert_yaxis()
    for axis in axes:
        axis.grid(alpha=0.3, axis="x")
    _show(figure)


def costs(study: dict[str, list[Run]], chosen: str) -> None:
    """Validation accuracy of each alternative against its parameters and against the seconds of an epoch."""
    figure, axes = plt.subplots(1, 2, figsize=(9.6, 3.6), sharey=True)
    seconds = {label: statistics.median(run.seconds_per_epoch for run in runs) for label, runs in study.items()}
    lowest = min(runs[0].parameters for runs in study.values()), min(seconds.values())
    for place, (label, runs) in enumerate(study.items()):
        values = [run.last.test_accuracy for run in runs]
        mean = statistics.fmean(values)
        spread = [[mean - min(values)], [max(values) - mean]]
        colour = ORANGE if label == chosen else BLUE
        for axis, cost, cheapest in zip(axes, (runs[0].parameters, seconds[label]), lowest, strict=True):
            axis.errorbar([cost], [mean], spread, fmt="o", color=colour, markersize=5)
            # To the right and to the left in turn: neighbours' names would overlap. None has room left of the first.
            side, move = ("left", 5) if place % 2 == 0 or cost == cheapest else ("right", -5)
            axis.annotate(label, (cost, mean), xytext=(move, 4), textcoords="offset points", fontsize=8, ha=side)
    axes[0].set(xlabel="parameters", ylabel="validation accuracy, %")
    threads = {run.environment["threads"] for runs in study.values() for run in runs}
    axes[1].set(xlabel=f"seconds an epoch (threads: {' or '.join(map(str, sorted(threads)))})")
    for axis in axes:
        axis.margins(x=0.25)
        axis.grid(alpha=0.3)
    _show(figure)


def accuracy_against_parameters(entries: Sequence[Entry], path: Path | None = None) -> None:
    """Test accuracy of networks, and of those that vote, against their parameters on a logarithmic scale.

    The course's own networks stand out; a bar of twice the standard error shows what 10,000 digits can tell apart.
    """
    figure, axis = plt.subplots(figsize=(9.6, 4.2))
    for entry in entries:
        colour = ORANGE if entry.name in NETWORKS else GREY if entry.members else BLUE
        error = 2 * standard_error(entry.test)
        axis.errorbar([entry.parameters], [entry.test], [error], fmt="o", color=colour, markersize=5, elinewidth=1)
    axis.set(xscale="log", xlabel="parameters", ylabel="test accuracy, %")
    axis.margins(x=0.15)
    axis.grid(alpha=0.3)
    figure.tight_layout()
    _name(axis, {entry.name: (entry.parameters, entry.test) for entry in entries})
    _show(figure, path)


def schedules(study: dict[str, list[Run]], lowest: float, columns: int = 3) -> None:
    """For each alternative the validation accuracy per epoch of each run, and below it the learning rate."""
    rows = -(-len(study) // columns)
    figure, axes = plt.subplots(
        2 * rows, columns, figsize=(3.2 * columns, 2.9 * rows), sharex=True, sharey="row", squeeze=False,
        height_ratios=[2, 1] * rows,
    )  # fmt: skip
    for axis in axes.flat:
        axis.axis("off")
    for place, (label, runs) in enumerate(study.items()):
        row, column = divmod(place, columns)
        accuracy, rate = axes[2 * row, column], axes[2 * row + 1, column]
        recipe = runs[0].recipe
        for run in runs:
            accuracy.plot([x.epoch for x in run.epochs], _accuracies(run, "test"), color=BLUE, linewidth=1)
        steps = [step / 50 for step in range(50 * recipe.epochs + 1)]
        rate.plot(steps, [rate_at(recipe, step / recipe.epochs) for step in steps], color=ORANGE)
        accuracy.set_title(label, fontsize=9)
        accuracy.set(ylim=(lowest, 99.7))
        rate.set(yscale="log", ylim=(1e-4, 4))
        if column == 0:
            accuracy.set_ylabel("validation, %", fontsize=8)
            rate.set_ylabel("rate", fontsize=8)
        if place + columns >= len(study):
            rate.set_xlabel("epoch", fontsize=8)
        for axis in (accuracy, rate):
            axis.axis("on")
            axis.grid(alpha=0.3)
            axis.tick_params(labelsize=8)
    _show(figure)


def losses(run: Run) -> None:
    """Train and test loss per epoch."""
    figure, axis = plt.subplots(figsize=(5.4, 3))
    for part, colour in (("train", BLUE), ("test", ORANGE)):
        axis.plot([row.epoch for row in run.epochs], [getattr(row, f"{part}_loss") for row in run.epochs],
                  color=colour, marker="o", markersize=3, label=part)  # fmt: skip
    axis.set(yscale="log", xlabel="epoch", ylabel="cross-entropy", title=run.name)
    axis.grid(alpha=0.3, which="both")
    axis.legend(fontsize=8)
    _show(figure)


def mistakes(model: nn.Module, digits: Digits, most: int = 20) -> None:
    """The digits that the network gets wrong, the surest mistakes first: label, prediction, confidence in it."""
    confidence, predicted = predict(model, digits).softmax(dim=1).max(dim=1)
    wrong = (predicted != digits.labels).nonzero().flatten()
    wrong = wrong[confidence[wrong].argsort(descending=True)][:most]
    titles = [f"{digits.labels[i]} read as {predicted[i]}\n{confidence[i]:.0%}" for i in wrong]
    if titles:
        digit_grid(digits.images[wrong], titles)


def confusion(model: nn.Module, digits: Digits, path: Path | None = None) -> None:
    """Counts of label (rows) against prediction (columns); colour shows the mistakes only."""
    counts = confusion_matrix(model, digits)
    figure, axis = plt.subplots(figsize=(4.6, 4.6))
    axis.imshow((counts - torch.diag(counts.diag())).numpy(), cmap="Oranges")
    for row in range(10):
        for column in range(10):
            if counts[row, column]:
                axis.text(column, row, int(counts[row, column]), ha="center", va="center", fontsize=8)
    axis.set(xticks=range(10), yticks=range(10), xlabel="predicted", ylabel="label")
    _show(figure, path)


def learning_rate(recipes: dict[str, Recipe], steps_per_epoch: int) -> None:
    """The learning rate over the steps of each recipe, on a logarithmic scale."""
    figure, axis = plt.subplots(figsize=(6.4, 2.8))
    for (name, recipe), colour in zip(recipes.items(), (BLUE, ORANGE, GREY), strict=False):
        steps = recipe.epochs * steps_per_epoch
        axis.plot([rate_at(recipe, step / steps) for step in range(steps)], color=colour, label=name)
    axis.set(yscale="log", xlabel="step", ylabel="learning rate")
    axis.grid(alpha=0.3, which="both")
    axis.legend(fontsize=8)
    _show(figure)


def augmentations(images: Tensor, choices: dict[str, Augmentation], seed: int = 1) -> None:
    """The same images, a row for each choice: as they are, then under each augmentation."""
    rows = [images]
    for augmentation in choices.values():
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            rows.append(augment(images, augmentation))
    figure, axes = plt.subplots(len(rows), len(images), figsize=(0.85 * len(images) + 1.6, 0.85 * len(rows)))
    for name, line, row in zip(["as it is", *choices], axes, rows, strict=True):
        for axis, image in zip(line, row, strict=True):
            _draw(axis, image)
            axis.set(xticks=[], yticks=[])
        line[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
    _show(figure)


def _accuracies(run: Run, part: str) -> list[float]:
    return [getattr(row, f"{part}_accuracy") for row in run.epochs]


def _name(axis: plt.Axes, points: dict[str, tuple[float, float]]) -> None:
    """Writes a name beside each point, on the first side where it covers no other name and no point."""
    renderer = axis.figure.canvas.get_renderer()
    taken = [Bbox.from_bounds(x - 4, y - 4, 8, 8) for x, y in axis.transData.transform(list(points.values()))]
    sides = (("left", (6, 0)), ("right", (-6, 0)), ("left", (6, 8)), ("left", (6, -8)), ("right", (-6, 8)),
             ("right", (-6, -8)))  # fmt: skip
    for name, point in points.items():
        for side, move in sides:
            text = axis.annotate(name, point, xytext=move, textcoords="offset points", fontsize=8, ha=side, va="center")
            box = text.get_window_extent(renderer)
            if (side, move) == sides[-1] or not any(box.overlaps(other) for other in taken):
                break
            text.remove()
        taken.append(box)


def _grid(count: int, columns: int, width: float, height: float) -> tuple[plt.Figure, Sequence[plt.Axes]]:
    """A figure and its first `count` places, row by row, of that size in inches; the last row may not be full."""
    rows = -(-count // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(width * columns, height * rows), squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    return figure, axes.flat[:count]


def _draw(axis: plt.Axes, image: Tensor) -> None:
    """An image of shape (1, H, H) in [0, 1], black on white."""
    axis.imshow(image.squeeze(0).numpy(), cmap="gray_r", vmin=0, vmax=1)


def _show(figure: plt.Figure, path: Path | None = None) -> None:
    figure.tight_layout()
    if path is None:
        plt.show()
    else:
        content = io.BytesIO()
        figure.savefig(content, format="png", dpi=150)
        write_atomically(path, content.getvalue())
    plt.close(figure)
