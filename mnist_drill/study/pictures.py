"""Figures of a study's report: every run, and the intervals of the differences from the baseline."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt

from mnist_drill.course.plots import BLUE, GREY, ORANGE, show
from mnist_drill.study.report import ACCURACY, LEVEL, MEASURES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mnist_drill.study.folder import Asked
    from mnist_drill.study.report import Entry

MOST_ROWS = 40  # in a figure: those of the highest mean accuracy


def shown(asked: Asked, entries: Sequence[Entry]) -> list[Entry]:
    """The rows that a figure has room for, in the study's order: the baseline, and the best of those that have runs."""
    ranked = sorted(
        (entry for entry in entries if entry.runs),
        key=lambda entry: (entry.name != asked.baseline, -statistics.mean(map(ACCURACY.value, entry.runs))),
    )
    chosen = {entry.name for entry in ranked[:MOST_ROWS]}
    return [entry for entry in entries if entry.name in chosen]


def runs(asked: Asked, entries: Sequence[Entry], path: Path) -> None:
    """A dot for each run, a row for each row of the study; a bar marks the mean. The baseline stands out."""
    figure, axes = _rows([entry.name for entry in entries])
    for axis, measure in zip(axes, MEASURES, strict=True):
        for place, entry in enumerate(entries):
            values = [measure.value(run) for run in entry.runs]
            colour = ORANGE if entry.name == asked.baseline else BLUE
            axis.plot(values, [place] * len(values), "o", color=colour, markersize=5, alpha=0.6)
            axis.plot([statistics.fmean(values)], [place], "|", color=colour, markersize=16, markeredgewidth=2.5)
        unit = "%" if measure is ACCURACY else measure.unit
        axis.set(xlabel=f"{asked.evaluated_on} {measure.name} after the last epoch, {unit}")
    show(figure, path)


def differences(asked: Asked, entries: Sequence[Entry], path: Path) -> None:
    """The difference of each row from the baseline with its 95 % interval; a significant one stands out."""
    compared = [entry for entry in entries if entry.compared]
    figure, axes = _rows([entry.name for entry in compared])
    for axis, measure in zip(axes, MEASURES, strict=True):
        for place, entry in enumerate(compared):
            found = entry.compared[measure.name].difference
            colour = ORANGE if found.p <= LEVEL else BLUE
            if math.isfinite(found.low):
                axis.plot([found.low, found.high], [place] * 2, color=colour, linewidth=2)
            axis.plot([found.mean], [place], "o", color=colour, markersize=5)
        axis.axvline(0, color=GREY, linestyle="--", linewidth=1)
        axis.set(xlabel=f"{measure.name} against {asked.baseline}, {measure.unit}")
    show(figure, path)


def _rows(names: Sequence[str]) -> tuple[plt.Figure, Sequence[plt.Axes]]:
    figure, axes = plt.subplots(1, 2, figsize=(9.6, 0.42 * len(names) + 1), sharey=True)
    axes[0].set(yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.5, -0.5))
    for axis in axes:
        axis.grid(alpha=0.3, axis="x")
    return figure, axes
