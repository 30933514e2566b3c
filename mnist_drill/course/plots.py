"""Figures of images, networks and runs: each function draws one and shows it."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F

from mnist_drill import predictions
from mnist_drill.augment import augment
from mnist_drill.course import descriptions
from mnist_drill.storage.files import write_atomically
from mnist_drill.train import predict

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor, nn

    from mnist_drill.data import LabeledImages
    from mnist_drill.receptive_field import Layer
    from mnist_drill.recipes import Augmentation, Recipe
    from mnist_drill.runs import Run

BLUE, ORANGE, GREY, GREEN = "#2563a8", "#d9730d", "#9aa0a6", "#3f7d4e"


def image_grid(images: Tensor, titles: Sequence[str] | None = None, columns: int = 10) -> None:
    """Images of shape (N, 1, 28, 28) in [0, 1], row by row, each under its title."""
    figure, axes = _grid(len(images), columns, width=0.85, height=0.85 if titles is None else 1.15)
    for position, (axis, image) in enumerate(zip(axes, images, strict=True)):
        _draw(axis, image)
        if titles is not None:
            axis.set_title(titles[position], fontsize=8)
    show(figure, description=descriptions.images(len(images), titles))


def class_counts(parts: dict[str, LabeledImages]) -> None:
    """How many images of each class each part has."""
    figure, axes = plt.subplots(1, len(parts), figsize=(4.5 * len(parts), 2.4), squeeze=False)
    for axis, (name, dataset) in zip(axes.flat, parts.items(), strict=True):
        axis.bar(range(10), dataset.labels.bincount(minlength=10).tolist(), color=BLUE)
        axis.axhline(len(dataset) / 10, color=GREY, linestyle="--", label="a tenth")
        axis.set(title=name, xticks=range(10), xlabel="digit", ylabel="count")
        axis.legend(fontsize=8)
    show(figure, description=descriptions.class_counts(parts))


def budget(networks: dict[str, list[Layer]]) -> None:
    """Where the parameters of each network sit, layer by layer, as shares of them all."""
    figure, axes = plt.subplots(1, len(networks), figsize=(4.8 * len(networks), 3), sharex=True, squeeze=False)
    for axis, (name, layers) in zip(axes.flat, networks.items(), strict=True):
        counts = [layer.parameters + layer.norm_parameters for layer in layers]
        shares = [100 * count / sum(counts) for count in counts]
        bars = axis.barh([f"{i}  {layer.kind}" for i, layer in enumerate(layers, 1)], shares, color=BLUE)
        axis.bar_label(
            bars,
            [f"{n:,} ({share:.0f}%)" if n else "0" for n, share in zip(counts, shares, strict=True)],
            padding=3,
            fontsize=8,
        )
        axis.invert_yaxis()
        axis.set(title=f"{name}: {sum(counts):,} parameters", xlim=(0, 125), xlabel="% of the parameters")
        axis.set_xticks(range(0, 101, 25))
        axis.spines[["top", "right"]].set_visible(False)
    show(figure, description=descriptions.budget(networks))


def receptive_fields(image: Tensor, layers: Sequence[Layer]) -> None:
    """What the middle output of each layer sees of an image of shape (1, H, H): a square, drawn over the image."""
    figure, axes = _grid(len(layers), columns=5, width=1.9, height=2.2)
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
    show(figure, description=descriptions.receptive_fields(layers))


def curves(*runs: Run, seeds: Sequence[Run] = (), lowest: float = 97.0, path: Path | None = None) -> None:
    """Train and test accuracy per epoch, the first run against the others; what lies below `lowest` % is cut off, and
    the legend says which epochs do.

    A band behind the first run goes from the lowest to the highest of the stored runs, `seeds`.
    """
    figure, axes = plt.subplots(1, 2, figsize=(9.6, 3.2), sharey=True)
    for axis, part in zip(axes, ("train", "test"), strict=True):
        if seeds:
            epochs = zip(*(accuracies(run, part) for run in seeds), strict=True)
            low, high = zip(*((min(values), max(values)) for values in epochs), strict=True)
            axis.fill_between(range(1, len(low) + 1), low, high, color=BLUE, alpha=0.2, linewidth=0,
                              label=f"{runs[0].name}, {len(seeds)} seeds")  # fmt: skip
        for run, colour in zip(runs, (BLUE, ORANGE, GREY), strict=False):
            epochs, values = [row.epoch for row in run.epochs], accuracies(run, part)
            below = ", ".join(str(epoch) for epoch, value in zip(epochs, values, strict=True) if value < lowest)
            label = f"{run.name}, below: epoch {below}" if below else run.name
            axis.plot(epochs, values, color=colour, marker="o", markersize=3, label=label)
        axis.set(title=f"{part} accuracy")
        over_epochs(axis)
    axes[0].set(ylabel="%", ylim=(lowest, 100))
    show(figure, path, descriptions.curves(runs))


def losses(run: Run) -> None:
    """Loss per epoch, on the training set and on the set that the run was evaluated on."""
    figure, axis = plt.subplots(figsize=(5.4, 3))
    for part, colour, label in (("train", BLUE, "train"), ("test", ORANGE, run.evaluated_on)):
        axis.plot([row.epoch for row in run.epochs], [getattr(row, f"{part}_loss") for row in run.epochs],
                  color=colour, marker="o", markersize=3, label=label)  # fmt: skip
    axis.set(yscale="log", ylabel="cross-entropy", title=run.name)
    over_epochs(axis)
    show(figure, description=descriptions.losses(run))


def most_confident_errors(model: nn.Module, dataset: LabeledImages, most: int = 20) -> None:
    """The images that the network gets wrong, the most confident errors first: label, prediction, its probability."""
    logits = predict(model, dataset)
    predicted, probability = predictions.predictions(logits)
    wrong = predictions.most_confident_errors(logits, dataset.labels, most)
    titles = [f"{dataset.labels[i]} as {predicted[i]}\n{probability[i]:.0%}" for i in wrong]
    if titles:
        image_grid(dataset.images[wrong], titles)


def hard_images(logits: dict[str, Tensor], dataset: LabeledImages) -> None:
    """The ten hardest images that at least one network classifies right, and what each predicts, with its probability.

    `logits` has those of each network for the dataset's images, (N, 10). The hardest are those whose label has the
    lowest mean probability over the networks. The darker a cell, the higher the probability of the label; a
    wrong prediction has a frame.
    """
    rows = torch.arange(len(dataset))
    of_label = torch.stack([values.softmax(dim=1)[rows, dataset.labels] for values in logits.values()])
    right = torch.stack([values.argmax(dim=1) == dataset.labels for values in logits.values()]).any(dim=0)
    hardest = of_label.mean(dim=0).where(right, torch.inf).argsort()[: min(10, int(right.sum()))]
    labels = dataset.labels[hardest].tolist()
    said = {name: predictions.predictions(values[hardest]) for name, values in logits.items()}
    figure, axes = plt.subplots(
        2, 1, figsize=(0.95 * len(labels) + 1.2, 0.42 * len(logits) + 1.6), height_ratios=[1, 0.36 * len(logits)]
    )
    axes[0].imshow(torch.cat([F.pad(image[0], (2, 2)) for image in dataset.images[hardest]], dim=1), cmap="gray_r")
    axes[0].set(yticks=[], xticks=[32 * place + 15.5 for place in range(len(labels))])
    axes[0].set_xticklabels([f"label {label}" for label in labels], fontsize=8)
    axes[0].tick_params(length=0)
    axes[0].spines[:].set_visible(False)
    axes[1].imshow(of_label[:, hardest], cmap="Blues", vmin=0, vmax=1.6, aspect="auto")  # black text is read on it
    axes[1].set(xticks=[], yticks=range(len(logits)), yticklabels=list(logits))
    for row, (predicted, probability) in enumerate(said.values()):
        for place, label in enumerate(labels):
            axes[1].text(
                place, row, f"{predicted[place]}: {probability[place]:.0%}", ha="center", va="center", fontsize=8
            )
            if predicted[place] != label:
                axes[1].add_patch(plt.Rectangle((place - 0.46, row - 0.44), 0.92, 0.88, fill=False, edgecolor=ORANGE))
    predicted_by = {name: predicted.tolist() for name, (predicted, _) in said.items()}
    show(figure, description=descriptions.hard_images(labels, predicted_by))


def confusion(model: nn.Module, dataset: LabeledImages, path: Path | None = None) -> None:
    """Counts of label (rows) against prediction (columns); colour shows the errors only."""
    counts = predictions.confusion_matrix(predict(model, dataset), dataset.labels)
    figure, axis = plt.subplots(figsize=(4.6, 4.6))
    axis.imshow((counts - torch.diag(counts.diag())).numpy(), cmap="Oranges")
    for row in range(10):
        for column in range(10):
            if counts[row, column]:
                axis.text(column, row, int(counts[row, column]), ha="center", va="center", fontsize=8)
    axis.set(xticks=range(10), yticks=range(10), xlabel="predicted", ylabel="label")
    show(figure, path, descriptions.confusion(counts))


def learning_rate(recipes: dict[str, Recipe], points: int = 300) -> None:
    """The learning rate over the epochs of each recipe, at so many points in each epoch."""
    figure, axis = plt.subplots(figsize=(6.4, 2.8))
    for (name, recipe), colour in zip(recipes.items(), (BLUE, ORANGE, GREY), strict=False):
        steps = range(recipe.epochs * points)
        rates = [recipe.learning_rate_at(step / len(steps)) for step in steps]
        axis.plot([step / points for step in steps], rates, color=colour, label=name)
    axis.set(ylabel="learning rate")
    over_epochs(axis)
    show(figure, description=descriptions.learning_rates(recipes, points))


def augmentations(images: Tensor, choices: dict[str, Augmentation]) -> None:
    """The same images, a row for each choice: as they are, then under each augmentation."""
    rows = [images]
    for augmentation in choices.values():
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            rows.append(augment(images, augmentation))
    figure, axes = plt.subplots(len(rows), len(images), figsize=(0.85 * len(images) + 1.6, 0.85 * len(rows)))
    for name, line, row in zip(["original", *choices], axes, rows, strict=True):
        for axis, image in zip(line, row, strict=True):
            _draw(axis, image)
            axis.set(xticks=[], yticks=[])
        line[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
    show(figure, description=descriptions.augmentations(len(images), ["original", *choices]))


def over_epochs(axis: plt.Axes, **legend) -> None:
    """Whole epochs along the axis, a grid, and a legend with such settings."""
    axis.set_xlabel("epoch")
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.grid(alpha=0.3, which="both")
    axis.legend(**{"fontsize": 8, **legend})


def accuracies(run: Run, part: str) -> list[float]:
    """Per epoch, in percent; `part` is "train" or "test"."""
    return [getattr(row, f"{part}_accuracy") for row in run.epochs]


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


def show(figure: plt.Figure, path: Path | None = None, description: str = "") -> None:
    """Shows a figure, or writes it to `path` as PNG, and closes it.

    A notebook stores the description with the figure, as the alternative text that nbconvert and the site give it.
    """
    figure.tight_layout()
    if path is not None:
        content = io.BytesIO()
        figure.savefig(content, format="png", dpi=150)
        write_atomically(path, content.getvalue())
    elif "inline" in plt.get_backend():
        from IPython.display import display  # which a notebook has loaded

        display(figure, metadata={"image/png": {"alt": description}})
    else:
        plt.show()
    plt.close(figure)
