"""Claims with their verdicts, and tables: everything that a notebook says in words or figures about a run."""

import copy
import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
import torchsummary
from torch import nn

from mnist_drill.receptive_field import trace
from mnist_drill.train import Run

RUN_MIME = "application/vnd.mnist-drill.run+json"


@dataclass(frozen=True)
class Claim:
    """A sentence with a check on runs."""

    sentence: str
    check: Callable[..., bool]
    why: str = ""

    def verdict(self, *runs: Run) -> str:
        """`✓ sentence` or `✗ sentence`. A check that cannot run does not hold, and the verdict says why."""
        try:
            return f"{'✓' if self.check(*runs) else '✗'} {self.sentence}"
        except Exception as error:  # a learner's change may leave a check nothing to look at
            return f"✗ {self.sentence} (not checked: {type(error).__name__}: {error})"


def claim(sentence: str, check: Callable[..., bool], why: str = "", **numbers: float) -> Claim:
    """A claim whose sentence and check share their numbers, so that the words say the figure that is checked.

    `numbers` fill the braces of `sentence` and are given to `check` by name, after the runs:

        claim("It has fewer than {limit:,} parameters", lambda run, limit: run.parameters < limit, limit=10_000)
    """
    return Claim(sentence.format(**numbers), partial(check, **numbers), why)


class Table:
    """Rows under a header; Markdown in a notebook, aligned columns in a terminal."""

    def __init__(self, header: Iterable[str], rows: Iterable[Iterable[object]]):
        self.header = [str(cell) for cell in header]
        self.rows = [[str(cell) for cell in row] for row in rows]

    def markdown(self) -> str:
        lines = [self.header, ["---"] * len(self.header), *self.rows]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)

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


class Verdicts:
    """The verdicts on some claims, one to a line."""

    def __init__(self, verdicts: Iterable[str]):
        self.verdicts = list(verdicts)

    def __repr__(self) -> str:
        return "\n".join(self.verdicts)

    def _repr_markdown_(self) -> str:
        return "\n".join(f"- {verdict}" for verdict in self.verdicts)


def targets(claims: Iterable[Claim]) -> Table:
    """What a stage sets out to meet, and why, before it is trained."""
    return Table(["target", "why"], [(claim.sentence, claim.why) for claim in claims])


def judge(claims: Iterable[Claim], *runs: Run, seeds: Sequence[Run] = ()) -> Verdicts:
    """Each claim's verdict on these runs; see `Claim.verdict`.

    With `seeds`, stored runs, it also says at how many of them the claim holds, each in place of the first run.
    """
    verdicts = []
    for claim in claims:
        held = sum(claim.verdict(seed, *runs[1:]).startswith("✓") for seed in seeds)
        verdicts.append(claim.verdict(*runs) + (f" (at {held} of {len(seeds)} stored seeds)" if seeds else ""))
    return Verdicts(verdicts)


class Result(Table):
    """The figures of a run, and below it those of stored runs of the same recipe: percent, seconds.

    A notebook that shows it stores the run beside it.
    """

    def __init__(self, run: Run, seeds: Sequence[Run] = ()):
        self.run = run
        figures = {
            "best train": lambda run: run.best_train,
            "last train": lambda run: run.last.train_accuracy,
            "train, evaluated": lambda run: run.train.accuracy,
            "best test": lambda run: run.best_test,
            "last test": lambda run: run.last.test_accuracy,
            "lowest of last five": lambda run: run.lowest_of_last(5),
        }
        rows = [[f"this run, seed {run.seed}", *(percent(figure(run)) for figure in figures.values()),
                 f"{run.seconds:.0f}"]]  # fmt: skip
        if seeds:
            values = [[figure(seed) for seed in seeds] for figure in figures.values()]
            rows.append([f"over {counted(seeds)} seeds, mean ± standard deviation", *map(mean_and_spread, values), "–"])
            rows.append([f"over {counted(seeds)} seeds, lowest", *(percent(min(column)) for column in values), "–"])
        epochs = f"{len(run.epochs)} epoch{'s' if len(run.epochs) > 1 else ''}"
        super().__init__([f"{run.parameters:,} parameters, {epochs}", *figures, "seconds"], rows)

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        return {"text/plain": repr(self), "text/markdown": self.markdown(), RUN_MIME: self.run.to_dict()}


def percent(accuracy: float) -> str:
    return "–" if math.isnan(accuracy) else f"{accuracy:.2f}"


def mean_and_spread(values: Sequence[float], digits: int = 2) -> str:
    """The mean and, of more than one value, the standard deviation; a dash where a value is not a number."""
    if any(map(math.isnan, values)):
        return "–"
    spread = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{digits}f}{spread}"


@dataclass(frozen=True)
class Difference:
    """By how many points one set of runs ends above another: the difference of the means, and its 95 % interval."""

    points: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        return "better" if self.low > 0 else "worse" if self.high < 0 else "not told apart"

    def __str__(self) -> str:
        return f"{self.points:+.2f} ({self.low:+.2f} to {self.high:+.2f}): {self.verdict}"


def difference(runs: Sequence[Run], others: Sequence[Run]) -> Difference:
    """Of the last test accuracies, by Welch's t-test, which does not suppose that both spread alike.

    With one run on a side there is no interval, and nothing is told apart.
    """
    ours, theirs = ([run.last.test_accuracy for run in side] for side in (runs, others))
    points = statistics.mean(ours) - statistics.mean(theirs)
    if min(len(ours), len(theirs)) < 2:
        return Difference(points, -math.inf, math.inf)
    import scipy.stats  # here, because it would lengthen the start of every command

    interval = scipy.stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval(0.95)
    return Difference(points, float(interval.low), float(interval.high))


def spread_table(study: dict[str, list[Run]], least: float = 99.4) -> Table:
    """A row for each network of a study that has runs: how its accuracies spread over the seeds, in percent."""
    header = ["network", "seeds", "last epoch, mean ± standard deviation", "lowest last epoch", "lowest of last five",
              f"at least {least} in each of the last five", "best epoch, mean ± standard deviation"]  # fmt: skip
    rows = []
    for label, runs in study.items():
        if not runs:
            continue
        last, lowest = [run.last.test_accuracy for run in runs], [run.lowest_of_last(5) for run in runs]
        # A run of fewer than five epochs has no last five.
        holds = "–" if any(map(math.isnan, lowest)) else f"{sum(x >= least for x in lowest)} of {len(runs)}"
        rows.append([label, counted(runs), mean_and_spread(last), percent(min(last)), percent(min(lowest)), holds,
                     mean_and_spread([run.best_test for run in runs])])  # fmt: skip
    return Table(header, rows)


def study_table(study: dict[str, list[Run]], chosen: str) -> Table:
    """A row for each alternative of a study on the validation digits, and how it compares with the chosen one."""
    header = ["alternative", "parameters", "seeds", "last validation", "lowest of last five", "gap to train",
              "seconds an epoch", f"against {chosen!r}"]  # fmt: skip
    rows = []
    for label, runs in study.items():
        seconds = statistics.median(run.seconds_per_epoch for run in runs)
        rows.append(
            [label, f"{runs[0].parameters:,}", counted(runs), mean_and_spread([run.last.test_accuracy for run in runs]),
             percent(min(run.lowest_of_last(5) for run in runs)), mean_and_spread([run.gap for run in runs]),
             f"{seconds:.1f}", "–" if label == chosen else difference(runs, study[chosen])]
        )  # fmt: skip
    return Table(header, rows)


def told_better(study: dict[str, list[Run]], chosen: str) -> list[str]:
    """The alternatives of a study that end better than the chosen one by more than their seeds differ."""
    return [label for label, runs in study.items() if difference(runs, study[chosen]).verdict == "better"]


def counted(runs: Sequence[Run]) -> str:
    """How many runs; where they were not all trained on the same hardware, how many on each."""
    counts = Counter(f"{run.environment['hardware']}, {run.environment['precision']}" for run in runs)
    mixed = "; ".join(f"{count} on {machine}" for machine, count in counts.items())
    return f"{len(runs)} ({mixed})" if len(counts) > 1 else f"{len(runs)}"


def standard_error(accuracy: float) -> float:
    """That of an accuracy in percent, in points: binomial, for 10,000 digits."""
    return math.sqrt(accuracy * (100 - accuracy) / 10_000)


def noise(run: Run, other: Run) -> float:
    """The standard error, in points, of the difference between the two runs' last test accuracies.

    For 10,000 test digits each; differences between seeds come on top.
    """
    return math.hypot(standard_error(run.last.test_accuracy), standard_error(other.last.test_accuracy))


def better(run: Run, other: Run, k: float) -> bool:
    """Whether `run` ends above `other` by more than `k` standard errors of the difference; see `noise`."""
    return run.last.test_accuracy - other.last.test_accuracy > k * noise(run, other)


def layer_table(model: nn.Module) -> Table:
    """Sizes, jumps, receptive fields and parameters, layer by layer, as `receptive_field.trace` finds them."""
    layers = trace(model)
    header = ["layer", "channels", "kernel", "stride", "padding", "size", "jump", "receptive field", "parameters",
              "of batch norm"]  # fmt: skip
    rows = [
        [x.kind, f"{x.channels_in}→{x.channels_out}", x.kernel, x.stride, x.padding, f"{x.size_in}→{x.size_out}",
         x.jump_out, x.field_out, f"{x.parameters:,}", x.norm_parameters]
        for x in layers
    ]  # fmt: skip
    own, norm = sum(x.parameters for x in layers), sum(x.norm_parameters for x in layers)
    return Table(header, [*rows, ["total", *[""] * 7, f"{own:,}", norm]])


def summary(model: nn.Module) -> None:
    """Prints torchsummary's table of a copy: its forward pass would move batch norm and torch's random state."""
    with torch.random.fork_rng(devices=[]):
        torchsummary.summary(copy.deepcopy(model).cpu(), (1, 28, 28), device="cpu")
