"""Figures of studies and comparisons: each function draws one and shows it."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
from matplotlib.transforms import Bbox

from mnist_drill.course import descriptions
from mnist_drill.course.plots import BLUE, GREY, ORANGE, accuracies, over_epochs, show
from mnist_drill.course.statistics import mean_interval, standard_error
from mnist_drill.stages import NETWORKS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mnist_drill.runs import Run
    from mnist_drill.zoo.comparison import Entry


def ablation(study: dict[str, list[Run]], chosen: str) -> None:
    """Of each run of a study, a row for each variant: the last validation accuracy, and the generalization gap.

    A bar marks the mean.
    """
    figure, axes = plt.subplots(1, 2, figsize=(9.6, 0.42 * len(study) + 0.8), sharey=True, width_ratios=[2, 1])
    for place, (label, runs) in enumerate(study.items()):
        colour = ORANGE if label == chosen else BLUE
        for axis, values in zip(
            axes, ([x.last.test_accuracy for x in runs], [x.generalization_gap for x in runs]), strict=True
        ):
            axis.plot(values, [place] * len(values), "o", color=colour, markersize=5, alpha=0.6)
            axis.plot([statistics.fmean(values)], [place], "|", color=colour, markersize=16, markeredgewidth=2.5)
    axes[0].set(yticks=range(len(study)), yticklabels=study, xlabel="validation accuracy after the last epoch, %")
    axes[1].set(xlabel="generalization gap, points")
    axes[0].invert_yaxis()
    for axis in axes:
        axis.grid(alpha=0.3, axis="x")
    show(figure, description=descriptions.ablation(study))


def costs(study: dict[str, list[Run]], chosen: str) -> None:
    """Validation accuracy of each variant against its parameters and against its seconds per epoch."""
    figure, axes = plt.subplots(1, 2, figsize=(9.6, 3.6), sharey=True)
    seconds = {label: statistics.median(run.seconds_per_epoch for run in runs) for label, runs in study.items()}
    points: tuple[dict, dict] = {}, {}
    for label, runs in study.items():
        values = [run.last.test_accuracy for run in runs]
        mean = statistics.fmean(values)
        spread = [[mean - min(values)], [max(values) - mean]]
        colour = ORANGE if label == chosen else BLUE
        for axis, named, cost in zip(axes, points, (runs[0].parameters, seconds[label]), strict=True):
            axis.errorbar([cost], [mean], spread, fmt="o", color=colour, markersize=5)
            named[label] = cost, mean
    axes[0].set(xlabel="parameters", ylabel="validation accuracy, %")
    threads = {run.environment["threads"] for runs in study.values() for run in runs}
    axes[1].set(xlabel=f"seconds per epoch (threads: {' or '.join(map(str, sorted(threads)))})")
    for axis in axes:
        axis.margins(x=0.3)
        axis.grid(alpha=0.3)
    figure.tight_layout()
    for axis, named in zip(axes, points, strict=True):
        _name(axis, named)
    show(figure, description=descriptions.costs(study))


def accuracy_against_parameters(entries: Sequence[Entry], path: Path | None = None) -> None:
    """Test accuracy of networks and ensembles against their parameters, on a logarithmic scale.

    The course's own networks stand out; a bar of twice the standard error shows what 10,000 images can resolve.
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
    show(figure, path, descriptions.accuracy_against_parameters(entries))


def networks(
    runs_of: dict[str, list[Run]], parameters: dict[str, int], chosen: Sequence[str], goal: float = 99.4
) -> None:
    """The mean of the last test accuracies of each network against its parameters, on a logarithmic scale.

    A bar is the 95 % confidence interval of the mean over seeds, where there are two or more. A network without runs is
    a line at its number of parameters.
    """
    figure, axis = plt.subplots(figsize=(9.6, 4.2))
    points = {}
    for label, count in parameters.items():
        colour = ORANGE if label in chosen else BLUE
        lasts = [run.last.test_accuracy for run in runs_of.get(label, [])]
        if not lasts:
            axis.axvline(count, color=colour, linestyle=":", label=f"{label}, not trained yet")
            continue
        low, high = mean_interval(lasts)
        points[label] = count, statistics.fmean(lasts)
        error = [[0 if math.isinf(x) else abs(x - points[label][1])] for x in (low, high)]
        axis.errorbar([count], [points[label][1]], error, fmt="o", color=colour, markersize=5, capsize=3)
    axis.axhline(goal, color=GREY, linestyle="--", label=f"{goal:g} %")
    axis.set(xscale="log", xlabel="parameters", ylabel="test accuracy after the last epoch, %")
    axis.margins(x=0.25)  # room for names on either side
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8, loc="center")
    figure.tight_layout()
    _name(axis, points)
    show(figure, description=descriptions.networks(runs_of, parameters))


def losses(study: dict[str, list[Run]]) -> None:
    """The validation loss per epoch of each run of up to three variants, on a logarithmic scale."""
    figure, axis = plt.subplots(figsize=(6.4, 3))
    for (label, runs), colour in zip(study.items(), (BLUE, ORANGE, GREY), strict=False):
        for place, run in enumerate(runs):
            axis.plot([x.epoch for x in run.epochs], [x.test_loss for x in run.epochs], color=colour, linewidth=1,
                      marker="o", markersize=3, label=None if place else label)  # fmt: skip
    axis.set(yscale="log", ylabel="validation loss")
    over_epochs(axis)
    show(figure, description=descriptions.study_losses(study))


def schedules(study: dict[str, list[Run]], lowest: float, columns: int = 3) -> None:
    """For each variant the validation accuracy per epoch of each run, and below it the learning rate."""
    rows = -(-len(study) // columns)
    figure, axes = plt.subplots(
        2 * rows, columns, figsize=(3.2 * columns, 2.9 * rows), sharex=True, sharey="row", squeeze=False,
        height_ratios=[2, 1] * rows,
    )  # fmt: skip
    for axis in axes.flat:
        axis.axis("off")
    for place, (label, runs) in enumerate(study.items()):
        row, column = divmod(place, columns)
        accuracy, learning_rate = axes[2 * row, column], axes[2 * row + 1, column]
        recipe = runs[0].recipe
        for run in runs:
            accuracy.plot([x.epoch for x in run.epochs], accuracies(run, "test"), color=BLUE, linewidth=1)
        steps = [step / 50 for step in range(50 * recipe.epochs + 1)]
        learning_rate.plot(steps, [recipe.learning_rate_at(step / recipe.epochs) for step in steps], color=ORANGE)
        accuracy.set_title(label, fontsize=9)
        accuracy.set(ylim=(lowest, 99.7))
        learning_rate.set(yscale="log", ylim=(1e-4, 4))
        if column == 0:
            accuracy.set_ylabel("validation, %", fontsize=8)
            learning_rate.set_ylabel("learning rate", fontsize=8)
        if place + columns >= len(study):
            learning_rate.set_xlabel("epoch", fontsize=8)
        for axis in (accuracy, learning_rate):
            axis.axis("on")
            axis.grid(alpha=0.3)
            axis.tick_params(labelsize=8)
    show(figure, description=descriptions.schedules(study))


def _name(axis: plt.Axes, points: dict[str, tuple[float, float]]) -> None:
    """Writes a name beside each point, on the first side where it lies inside and covers no other name or point."""
    renderer = axis.figure.canvas.get_renderer()
    taken = [Bbox.from_bounds(x - 4, y - 4, 8, 8) for x, y in axis.transData.transform(list(points.values()))]
    sides = (("left", (6, 0)), ("right", (-6, 0)), ("left", (6, 8)), ("left", (6, -8)), ("right", (-6, 8)),
             ("right", (-6, -8)))  # fmt: skip
    for name, point in points.items():
        for side, move in sides:
            text = axis.annotate(
                name, point, xytext=move, textcoords="offset points", fontsize=8, ha=side, va="center",
                bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.8},
            )  # fmt: skip
            box = text.get_window_extent(renderer)
            inside = axis.bbox.x0 <= box.x0 and box.x1 <= axis.bbox.x1
            if (side, move) == sides[-1] or (inside and not any(box.overlaps(other) for other in taken)):
                break
            text.remove()
        taken.append(box)
