"""What each figure shows, in words and with its numbers: the alternative texts for those who do not see them."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from mnist_drill.course.tables import percent

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch import Tensor

    from mnist_drill.data import LabeledImages
    from mnist_drill.receptive_field import Layer
    from mnist_drill.recipes import Recipe
    from mnist_drill.runs import Run
    from mnist_drill.zoo.comparison import Entry


def images(count: int, titles: Sequence[str] | None) -> str:
    titles = [title.replace("\n", ", ") for title in titles or []]
    return f"{count} images of digits{titled(titles)}."


def class_counts(parts: dict[str, LabeledImages]) -> str:
    counts = {name: dataset.labels.bincount(minlength=10) for name, dataset in parts.items()}
    extremes = [
        f"{name} from {n.min():,} of digit {n.argmin()} to {n.max():,} of digit {n.argmax()}"
        for name, n in counts.items()
    ]
    return f"Bar chart of the number of images of each digit{titled(extremes)}."


def budget(networks: dict[str, list[Layer]]) -> str:
    largest = []
    for name, layers in networks.items():
        counts = [layer.parameters + layer.norm_parameters for layer in layers]
        place = counts.index(max(counts))
        share = counts[place] / sum(counts)
        largest.append(f"{name} has {share:.0%} of {sum(counts):,} in layer {place + 1}, {layers[place].kind}")
    return f"Bar chart of the parameters of each layer{titled(largest)}."


def receptive_fields(layers: Iterable[Layer]) -> str:
    sides = [f"{layer.kind} sees {layer.field_out}×{layer.field_out}" for layer in layers]
    return f"For each layer, on an image of a digit, the square that its middle output sees{titled(sides)}."


def curves(runs: Iterable[Run]) -> str:
    ends = [
        f"{run.name} from {percent(run.epochs[0].train_accuracy)} to {percent(run.last.train_accuracy)} % train "
        f"and from {percent(run.epochs[0].test_accuracy)} to {percent(run.last.test_accuracy)} % test accuracy"
        for run in runs
    ]
    return f"Line charts of train and test accuracy per epoch{titled(ends)}."


def losses(run: Run) -> str:
    first, last = run.epochs[0], run.last
    return (
        f"Line chart of the cross-entropy of {run.name} per epoch: train from {first.train_loss:.4f} to "
        f"{last.train_loss:.4f}; {run.evaluated_on} from {first.test_loss:.4f} to {last.test_loss:.4f}."
    )


def hard_images(labels: Sequence[int], predictions: dict[str, Sequence[int]]) -> str:
    said = [f"{name} predicts {', '.join(map(str, digits))}" for name, digits in predictions.items()]
    return f"Images with the labels {', '.join(map(str, labels))}, and what each network predicts{titled(said)}."


def confusion(counts: Tensor) -> str:
    errors = counts - counts.diag().diag()
    frequent = [divmod(int(place), 10) for place in errors.flatten().argsort(descending=True)[:3]]
    most = [f"{label} as {predicted} {n} times" for label, predicted in frequent if (n := errors[label, predicted])]
    return f"Confusion matrix, {errors.sum()} errors in {counts.sum():,} images{titled(most)}."


def learning_rates(recipes: dict[str, Recipe], points: int) -> str:
    courses = []
    for name, recipe in recipes.items():
        steps = recipe.epochs * points
        rates = [recipe.learning_rate_at(step / steps) for step in range(steps)]
        courses.append(f"{name} begins at {rates[0]:.2g}, is at most {max(rates):.2g} and ends at {rates[-1]:.2g}")
    return f"Line chart of the learning rate over the epochs{titled(courses)}."


def augmentations(count: int, rows: Iterable[str]) -> str:
    return f"The same {count} images of digits in rows{titled(rows)}."


def ablation(study: dict[str, list[Run]]) -> str:
    means = [
        f"{label} {mean_accuracy(runs)} % and "
        f"{percent(statistics.fmean(run.generalization_gap for run in runs))} points"
        for label, runs in study.items()
    ]
    return f"A dot for each run; mean validation accuracy and mean generalization gap{titled(means)}."


def costs(study: dict[str, list[Run]]) -> str:
    points = [
        f"{label} {mean_accuracy(runs)} %, {runs[0].parameters:,} parameters, "
        f"{statistics.median(run.seconds_per_epoch for run in runs):.1f} seconds"
        for label, runs in study.items()
    ]
    return f"Mean validation accuracy against parameters and against seconds per epoch{titled(points)}."


def accuracy_against_parameters(entries: Iterable[Entry]) -> str:
    points = [f"{entry.name} {percent(entry.test)} %, {entry.parameters:,}" for entry in entries]
    return f"Test accuracy against the number of parameters{titled(points)}."


def networks(runs_of: dict[str, list[Run]], parameters: dict[str, int]) -> str:
    points = [
        f"{label} {f'{mean_accuracy(runs)} %, ' if (runs := runs_of.get(label)) else 'no accuracy yet, '}{count:,}"
        for label, count in parameters.items()
    ]
    return f"Mean test accuracy over seeds, with its interval, against the number of parameters{titled(points)}."


def schedules(study: dict[str, list[Run]]) -> str:
    ends = [f"{label} {mean_accuracy(runs)} %" for label, runs in study.items()]
    return f"Line charts of validation accuracy and learning rate per epoch; mean accuracy at the end{titled(ends)}."


def study_losses(study: dict[str, list[Run]]) -> str:
    means = [
        f"{label} {', '.join(f'{statistics.fmean(row.test_loss for row in rows):.3f}' for rows in epochs)}"
        for label, runs in study.items()
        for epochs in [zip(*(run.epochs for run in runs), strict=False)]
    ]
    return f"Line chart of the validation loss of each run per epoch; means{titled(means)}."


def mean_accuracy(runs: Sequence[Run]) -> str:
    return percent(statistics.fmean(run.last.test_accuracy for run in runs))


def titled(parts: Iterable[str]) -> str:
    """The parts after a colon, with semicolons between them; empty where there are none."""
    return ": " * bool(parts := list(parts)) + "; ".join(parts)


def side_by_side(maps: Iterable[str]) -> str:
    return f"Images and feature maps side by side{titled(list(maps))}."


def kernels(count: int, side: int) -> str:
    return f"The {count} kernels of the first convolution, {side}×{side} weights each, on one scale."


def feature_maps(maps: dict[str, Tensor]) -> str:
    rows = [f"{name}, {values.shape[-1]}×{values.shape[-1]}" for name, values in maps.items()]
    return f"One image of a digit, and below it the first feature maps after each layer{titled(rows)}."


def class_maps(predictions: Sequence[int], side: int) -> str:
    found = titled([str(prediction) for prediction in predictions])
    return f"Images of digits, and a map of {side}×{side} positions for each class; the largest means{found}."


def spreads(networks: Iterable[str]) -> str:
    return f"Line chart of how much each convolution's output varies from image to image{titled(list(networks))}."


def normalized(spread: dict[str, list[float]]) -> str:
    steps = [f"{name} {', '.join(f'{value:.2f}' for value in values)}" for name, values in spread.items()]
    return f"Histograms of the values of some channels; standard deviations{titled(steps)}."


def occlusion(labels: Sequence[int], falls: Sequence[float]) -> str:
    largest = [f"{label} {fall:.0%}" for label, fall in zip(labels, falls, strict=True)]
    return f"Images of digits, and how far their probability falls where a square is hidden{titled(largest)}."
