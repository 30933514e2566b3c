"""Tables: as Markdown in a notebook or on a page, as aligned columns in a terminal; and those about runs."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from typing import TYPE_CHECKING

from mnist_drill.course.statistics import comparisons, corrected, difference, loss_difference
from mnist_drill.errors import DrillError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mnist_drill.course.statistics import Difference
    from mnist_drill.runs import Run
    from mnist_drill.stages import Published

RUN_MIME = "application/vnd.mnist-drill.run+json"


class Table:
    """Rows under a header; Markdown in a notebook, aligned columns in a terminal."""

    def __init__(self, header: Iterable[str], rows: Iterable[Iterable[object]]):
        self.header = [str(cell) for cell in header]
        self.rows = [[str(cell) for cell in row] for row in rows]

    def with_column(self, header: str, cells: Iterable[object], after: str) -> Table:
        """The same table with one more column to the right of that under the header `after`, a cell for each row."""
        place = self.header.index(after) + 1
        lines = [self.header, *self.rows]
        added = [header, *cells]
        head, *rows = [[*line[:place], cell, *line[place:]] for line, cell in zip(lines, added, strict=True)]
        return Table(head, rows)

    def markdown(self) -> str:
        lines = [self.header, ["---"] * len(self.header), *self.rows]
        escaped = [[cell.replace("|", r"\|") for cell in line] for line in lines]
        return "\n".join(f"| {' | '.join(line)} |" for line in escaped)

    def __repr__(self) -> str:
        lines = [self.header, *self.rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        # Text to the left, figures to the right, as the first row has them.
        first = self.rows[0] if self.rows else self.header
        right = [cell.replace(",", "").replace(".", "").isdigit() for cell in first]
        return "\n".join(
            "  ".join(
                cell.rjust(width) if figure else cell.ljust(width)
                for cell, width, figure in zip(line, widths, right, strict=True)
            ).rstrip()
            for line in lines
        )

    def _repr_markdown_(self) -> str:
        return self.markdown()


class Result(Table):
    """The figures of a run, then those of stored runs of the same recipe, then published ones: percent, seconds.

    Below stands, for each of the stored runs in `against`, by what they are called, the difference of the mean last
    test accuracy from theirs, in points, with its 95 % confidence interval by Welch's t-test. The intervals are each
    comparison's own; the verdicts are corrected for the number of comparisons. `guess`, the reader's own of the last
    test accuracy, in percent, stands below the run, with how far off it is. A notebook that shows the table stores the
    run beside it. Raises `DrillError` for a guess that is no number from 0 to 100.
    """

    def __init__(
        self,
        run: Run,
        seeds: Sequence[Run] = (),
        published: Published | None = None,
        against: Mapping[str, Sequence[Run]] | None = None,
        guess: float | None = None,
    ):
        self.run = run
        figures = {
            "best train": lambda run: run.best_train,
            "last train": lambda run: run.last.train_accuracy,
            "train, evaluated": lambda run: run.train_score.accuracy,
            "best test": lambda run: run.best_test,
            "last test": lambda run: run.last.test_accuracy,
            "lowest of last five": lambda run: run.lowest_of_last(5),
        }
        differ = len({machine(each) for each in (run, *seeds)}) > 1
        here = f" ({machine(run)})" if differ else ""
        rows = [[f"this run, seed {run.seed}{here}", *(percent(figure(run)) for figure in figures.values()),
                 f"{run.seconds:.0f}"]]  # fmt: skip
        if guess is not None:
            beside = _beside(guess, run.last.test_accuracy)
            rows.append(["my guess", *(beside if name == "last test" else "–" for name in figures), "–"])
        if seeds:
            values = [[figure(seed) for seed in seeds] for figure in figures.values()]
            there = by_machine(seeds) or (f" ({machine(seeds[0])})" if differ else "")
            rows.append(
                [
                    f"mean ± standard deviation of {len(seeds)} seeds{there}",
                    *map(mean_and_spread, values),
                    "–",
                ]
            )
            rows.append([f"lowest of {len(seeds)} seeds", *(percent(min(column)) for column in values), "–"])
        if published:
            best = {"best train": published.best_train, "best test": published.best_test}
            rows.append(["published, one run", *(percent(best.get(name, math.nan)) for name in figures), "–"])
        found = corrected({name: difference(seeds, others) for name, others in (against or {}).items()})
        for name, compared in found.items():
            which = f"{len(seeds)} seeds against {_counted_on(against[name], seeds)} of {name}, points"
            rows.append([which, *(compared if x == "last test" else "–" for x in figures), "–"])
        epochs = f"{len(run.epochs)} epoch{'s' if len(run.epochs) > 1 else ''}"
        super().__init__([f"{run.parameters:,} parameters, {epochs}", *figures, "seconds"], rows)

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        return {"text/plain": repr(self), "text/markdown": self.markdown(), RUN_MIME: self.run.to_dict()}


def _beside(guess: float, accuracy: float) -> str:
    if not isinstance(guess, int | float) or not 0 <= guess <= 100:
        raise DrillError(f"MY_GUESS is {guess!r}: give a test accuracy in percent, a number from 0 to 100.")
    return f"{percent(guess)}, off by {guess - accuracy:+.2f}"


def percent(accuracy: float) -> str:
    return "–" if math.isnan(accuracy) else f"{accuracy:.2f}"


def mean_and_spread(values: Sequence[float], decimals: int = 2) -> str:
    """The mean and, of more than one value, the standard deviation; a dash where a value is not a number."""
    if any(map(math.isnan, values)):
        return "–"
    spread = f" ± {statistics.stdev(values):.{decimals}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{decimals}f}{spread}"


def spread_table(study: dict[str, list[Run]], least: float = 99.4) -> Table:
    """A row for each network of a study that has runs: how its accuracies spread over the seeds, in percent."""
    header = ["network", "seeds", "precision", "last epoch, mean ± standard deviation", "lowest last epoch",
              "lowest of last five", f"at least {least} in each of the last five",
              "best epoch, mean ± standard deviation"]  # fmt: skip
    rows = []
    for label, runs in study.items():
        if not runs:
            continue
        last, lowest = [run.last.test_accuracy for run in runs], [run.lowest_of_last(5) for run in runs]
        # A run of fewer than five epochs has no last five.
        holds = "–" if any(map(math.isnan, lowest)) else f"{sum(x >= least for x in lowest)} of {len(runs)}"
        rows.append([label, counted(runs), precision(runs), mean_and_spread(last), percent(min(last)),
                     percent(min(lowest)), holds, mean_and_spread([run.best_test for run in runs])])  # fmt: skip
    return Table(header, rows)


def epochs_table(study: dict[str, list[Run]]) -> Table:
    """A row for each variant of a study: after each epoch the lowest, the median and the highest accuracy, in percent,
    of its seeds on the set that it was evaluated on."""
    rows = []
    for name, runs in study.items():
        columns = zip(*([row.test_accuracy for row in run.epochs] for run in runs), strict=True)
        spread = ((min(column), statistics.median(column), max(column)) for column in columns)
        rows.append([name, counted(runs), *(", ".join(f"{value:.1f}" for value in values) for values in spread)])
    return Table(["variant", "seeds", *(f"epoch {number}" for number in range(1, len(rows[0]) - 1))], rows)


def study_table(study: dict[str, list[Run]], chosen: str | None) -> Table:
    """A row for each variant of a study on the validation set, and how it compares with the chosen one; without a
    chosen one, with the row above.

    Where a difference of the mean accuracies, in points, or of the mean losses is significant, its cell says so. The
    intervals are each comparison's own; the verdicts are corrected for the number of comparisons. The loss often
    separates variants with fewer seeds, but it measures confidence, too. Parameters are shown where they differ. The
    time of an epoch, median (lowest to highest) of the seeds, is relative to the median of the chosen row, or of the
    first; it is left out where the runs are from several machines.
    """
    against = "against the row above" if chosen is None else f"against {chosen!r}"
    by_accuracy, by_loss = (comparisons(study, chosen, by) for by in (difference, loss_difference))
    usual = statistics.median(run.seconds_per_epoch for run in study[chosen or next(iter(study))])
    differ = len({runs[0].parameters for runs in study.values()}) > 1
    timed = len({machine(run) for runs in study.values() for run in runs}) == 1
    of_all, *others = {by_machine(runs) for runs in study.values()}  # how the runs of a row divide: once, if all alike
    header = ["variant", *(["parameters"] if differ else []), f"seeds{'' if others else of_all}",
              "last validation accuracy", f"accuracy {against}", "last validation loss", f"loss {against}",
              *(["time of an epoch, relative"] if timed else [])]  # fmt: skip
    rows = [
        [label, *([f"{runs[0].parameters:,}"] if differ else []), counted(runs) if others else len(runs),
         mean_and_spread([run.last.test_accuracy for run in runs]), _compared(by_accuracy.get(label)),
         mean_and_spread([run.last.test_loss for run in runs], decimals=4), _compared(by_loss.get(label)),
         *([_median_and_range([run.seconds_per_epoch / usual for run in runs])] if timed else [])]
        for label, runs in study.items()
    ]  # fmt: skip
    return Table(header, rows)


def _compared(found: Difference | None) -> str:
    if found is None:
        return "–"
    return f"{found.verdict}: {found.interval}" if found.significant else found.interval


def _median_and_range(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def _counted_on(others: Sequence[Run], seeds: Sequence[Run]) -> str:
    """How many others and, where they were not trained as these seeds were, on which machine."""
    differ = {machine(run) for run in others} != {machine(run) for run in seeds}
    return f"{counted(others)}{f' ({machine(others[0])})' * (differ and not by_machine(others))}"


def counted(runs: Sequence[Run]) -> str:
    """How many runs; where they were not all trained in the same way, how many by hardware, precision and threads."""
    return f"{len(runs)}{by_machine(runs)}"


def by_machine(runs: Sequence[Run]) -> str:
    """How many of the runs by hardware, precision and threads, in parentheses; empty where these do not differ."""
    counts = Counter(machine(run) for run in runs)
    return f" ({'; '.join(f'{count} on {which}' for which, count in counts.items())})" if len(counts) > 1 else ""


def precision(runs: Iterable[Run]) -> str:
    """What the runs were trained in, float32 or bfloat16 (mixed precision); a dash where there are none."""
    return " and ".join(sorted({str(run.environment["precision"]) for run in runs})) or "–"


def machine(run: Run) -> str:
    """What a run's last decimals depend on besides its seed: hardware, precision, threads, and its population."""
    together = run.environment.get("population")
    population = f", population of {together}" if together else ""
    return f"{run.environment['hardware']}, {run.environment['precision']}, {threads(run.environment)}{population}"


def threads(environment: dict[str, str | int]) -> str:
    """The number of threads in words."""
    return f"{environment['threads']} thread{'s' * (environment['threads'] != 1)}"
