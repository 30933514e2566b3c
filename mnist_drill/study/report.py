"""What the runs in a study's folder say: figures of each row, as tables, CSV and JSON."""

from __future__ import annotations

import csv
import io
import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mnist_drill.course.statistics import LEVEL, comparisons, difference, loss_difference, seeds_needed
from mnist_drill.course.tables import Table, by_machine, machine, mean_and_spread

if TYPE_CHECKING:
    from collections.abc import Callable

    from mnist_drill.course.statistics import Difference
    from mnist_drill.runs import Run
    from mnist_drill.study.folder import Asked

POWER = 0.8


@dataclass(frozen=True)
class Measure:
    """What rows are compared by."""

    name: str
    unit: str
    decimals: int
    compare: Callable[..., Difference]
    value: Callable[[Run], float]


ACCURACY = Measure("accuracy", "points", 2, difference, lambda run: run.last.test_accuracy)
LOSS = Measure("loss", "nats", 4, loss_difference, lambda run: run.last.test_loss)
MEASURES = (ACCURACY, LOSS)


@dataclass(frozen=True)
class Comparison:
    """How a row differs from the baseline in a measure."""

    difference: Difference  # its p-value corrected for the number of comparisons
    seeds_needed: int | None  # of either row, to find a difference of the size that was asked for
    more_seeds: int | None  # of the row that has fewer


@dataclass(frozen=True)
class Entry:
    """A row of a study and its runs."""

    name: str
    runs: list[Run]  # that did not diverge
    diverged: int
    missing: int  # of the seeds that are asked for
    compared: dict[str, Comparison]  # by the measure's name; empty for the baseline, and without runs to compare

    @property
    def count(self) -> str:
        """How many runs, and how many of them diverged."""
        every = len(self.runs) + self.diverged
        parts = [f"{len(self.runs)}{by_machine(self.runs)}"] if self.runs or not self.diverged else []
        parts += [f"diverged, {self.diverged} of {every}"] if self.diverged else []
        return "; ".join([*parts, f"{self.missing} missing"] if self.missing else parts)


def entries_of(asked: Asked, rows: dict[str, list[Run]], sizes: dict[str, float]) -> list[Entry]:
    """The rows of a study, compared with its baseline.

    `sizes` has the size of the difference that `Comparison.seeds_needed` is to find, by the measure's name. Runs that
    diverged are counted and not compared.
    """
    finished = {name: [run for run in runs if not run.stopped] for name, runs in rows.items()}
    base = finished.get(asked.baseline, [])
    comparable = {name: runs for name, runs in finished.items() if base and runs}
    compared: dict[str, dict[str, Comparison]] = {name: {} for name in rows}
    for measure in MEASURES:
        found = comparisons(comparable, asked.baseline, measure.compare)
        for name, each in found.items():
            # The level of Holm's first and strictest step.
            needed = _needed(measure, finished[name], base, sizes[measure.name], LEVEL / len(found))
            more = None if needed is None else max(0, needed - min(len(finished[name]), len(base)))
            compared[name][measure.name] = Comparison(each, needed, more)
    return [
        Entry(
            name, finished[name], diverged=len(runs) - len(finished[name]),
            missing=len(set(asked.seeds) - {run.seed for run in runs}), compared=compared[name],
        )
        for name, runs in rows.items()
    ]  # fmt: skip


def _needed(measure: Measure, runs: list[Run], base: list[Run], size: float, level: float) -> int | None:
    if min(len(runs), len(base)) < 2:
        return None
    deviations = tuple(statistics.stdev(map(measure.value, side)) for side in (runs, base))
    return seeds_needed(size, deviations, level, POWER) if any(deviations) else None


def tables(asked: Asked, entries: list[Entry], sizes: dict[str, float]) -> dict[str, Table]:
    """A table for each measure, by its name."""
    made = {}
    for measure in MEASURES:
        header = ["row", "parameters", "seeds", f"last {asked.evaluated_on} {measure.name}"]
        if asked.baseline:
            header += [f"against {asked.baseline!r}, {measure.unit}", "p, corrected", "verdict",
                       f"seeds for {sizes[measure.name]:g} {measure.unit}"]  # fmt: skip
        rows = []
        for entry in entries:
            parameters = f"{entry.runs[0].parameters:,}" if entry.runs else "–"
            values = [measure.value(run) for run in entry.runs]
            row = [entry.name, parameters, entry.count, mean_and_spread(values, measure.decimals) if values else "–"]
            if asked.baseline:
                row += _compared(entry.compared.get(measure.name), measure.decimals)
            rows.append(row)
        made[measure.name] = Table(header, rows)
    return made


def _compared(comparison: Comparison | None, decimals: int) -> list[str]:
    if comparison is None:
        return ["–"] * 4
    x = comparison.difference
    known = math.isfinite(x.low)
    interval = f" ({x.low:+.{decimals}f} to {x.high:+.{decimals}f})" if known else ""
    seeds = "–" if comparison.seeds_needed is None else f"{comparison.seeds_needed} ({comparison.more_seeds} more)"
    return [f"{x.mean:+.{decimals}f}{interval}", f"{x.p:.2g}" if known else "–", x.verdict, seeds]


def method(asked: Asked, entries: list[Entry]) -> str:
    """What the tables' figures are, in a paragraph."""
    number = sum(bool(entry.compared) for entry in entries)
    environments = sorted({machine(run) for entry in entries for run in entry.runs})
    text = "Last epochs, mean ± standard deviation over the seeds; accuracies in percent, losses in nats. "
    if any(entry.diverged for entry in entries):
        text += "Runs that diverged are counted, and in no other figure. "
    if number:
        text += (
            "A difference has its own 95 % confidence interval by Welch's t-test. For the verdict its p-value is "
            f"corrected by Holm's method for {number} comparison{'s' * (number != 1)}, of accuracies and of losses "
            "separately: decide before training which of the two counts. The last column has the number of seeds of "
            f"either row with which a true difference of that size is found with a chance of {100 * POWER:.0f} %, at "
            "the strictest of Holm's levels; it takes the standard deviations of the runs so far for the true ones. "
        )
    return text + (f"Trained on {' and on '.join(environments)}." if environments else "")


def figures(entries: list[Entry]) -> list[dict]:
    """The figures of each row, unrounded, as plain data; None where there is none."""
    return [_figures(entry) for entry in entries]


def _figures(entry: Entry) -> dict:
    row: dict[str, object] = {
        "row": entry.name,
        "parameters": entry.runs[0].parameters if entry.runs else None,
        "runs": len(entry.runs),
        "diverged": entry.diverged,
        "missing": entry.missing,
        "seconds_per_epoch": statistics.median(run.seconds_per_epoch for run in entry.runs) if entry.runs else None,
    }
    for measure in MEASURES:
        values = [measure.value(run) for run in entry.runs]
        row[f"{measure.name}_mean"] = statistics.mean(values) if values else None
        row[f"{measure.name}_deviation"] = statistics.stdev(values) if len(values) > 1 else None
        found = entry.compared.get(measure.name)
        for part in ("mean", "low", "high"):
            value = getattr(found.difference, part) if found else math.nan
            name = "difference" if part == "mean" else f"difference_{part}"
            row[f"{measure.name}_{name}"] = value if math.isfinite(value) else None
        for part in ("p", "verdict"):
            row[f"{measure.name}_{part}"] = getattr(found.difference, part) if found else None
        for part in ("seeds_needed", "more_seeds"):
            row[f"{measure.name}_{part}"] = getattr(found, part) if found else None
    return row


def as_csv(rows: list[dict]) -> str:
    """The figures as CSV, empty where there is none."""
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
