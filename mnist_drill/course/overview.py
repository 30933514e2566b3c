"""The README's figure: the test accuracy of each stage per epoch, over all stored seeds."""

from __future__ import annotations

import hashlib
import io
import json
import statistics
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt

from mnist_drill.course.plots import over_epochs

if TYPE_CHECKING:
    from mnist_drill.runs import Run

GOAL = 99.4  # percent
LOWEST, HIGHEST = 97.0, 99.8  # percent: what lies outside is cut off
COLORS = ("#7a7a7a", "#d9730d", "#8a4fbf", "#2563a8")  # distinct with color vision deficiencies, too

Bands = dict[str, list[tuple[float, float, float]]]


def bands(stages: dict[str, list[Run]]) -> Bands:
    """For each stage and epoch the lowest, the median and the highest test accuracy over its seeds, in percent."""
    accuracies = {name: [[row.test_accuracy for row in run.epochs] for run in runs] for name, runs in stages.items()}
    return {
        name: [(min(column), statistics.median(column), max(column)) for column in zip(*rows, strict=True)]
        for name, rows in accuracies.items()
    }


def digest(stages: dict[str, list[Run]]) -> str:
    """Of what the figure shows. The figure says it: its drawing differs from one version of matplotlib to the next."""
    return hashlib.sha256(json.dumps(bands(stages)).encode()).hexdigest()[:16]


def overview_figure(stages: dict[str, list[Run]]) -> plt.Figure:
    """A band for each stage, from the lowest to the highest seed, and a line at the median."""
    figure, axis = plt.subplots(figsize=(8.4, 4.2))
    for place, (name, rows) in enumerate(bands(stages).items()):
        color, runs = COLORS[place % len(COLORS)], stages[name]
        low, median, high = zip(*rows, strict=True)
        epochs = range(1, len(rows) + 1)
        label = f"{name}: {runs[0].parameters:,} parameters, {len(runs)} seed{'s' * (len(runs) != 1)}"
        axis.fill_between(epochs, low, high, color=color, alpha=0.25, linewidth=0)
        axis.plot(epochs, median, color=color, linewidth=2, label=label)
    axis.axhline(GOAL, color="#222222", linestyle="--", linewidth=1, label=f"{GOAL} %")
    axis.set(
        ylabel="test accuracy, %", ylim=(LOWEST, HIGHEST),
        title="Median over the seeds, and a band from the lowest to the highest",
    )  # fmt: skip
    over_epochs(axis, fontsize=9, loc="lower right")
    figure.tight_layout()
    return figure


def overview(stages: dict[str, list[Run]]) -> str:
    """The figure as SVG, with its `digest` as description."""
    content = io.StringIO()
    with plt.rc_context({"svg.fonttype": "none", "svg.hashsalt": "mnist-drill"}):
        figure = overview_figure(stages)
        figure.savefig(content, format="svg", metadata={"Date": None, "Description": digest(stages)})
    plt.close(figure)
    return "\n".join(line.rstrip() for line in content.getvalue().splitlines()) + "\n"
