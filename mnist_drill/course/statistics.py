"""Whether runs differ: confidence intervals and standard errors of test accuracies."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mnist_drill.runs import Run


@dataclass(frozen=True)
class Difference:
    """By how many points one set of runs ends above another: difference of means, and 95 % confidence interval."""

    mean: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        if self.low > 0:
            return "significantly better"
        return "significantly worse" if self.high < 0 else "no significant difference"

    def __str__(self) -> str:
        return f"{self.mean:+.2f} ({self.low:+.2f} to {self.high:+.2f}): {self.verdict}"


class LossDifference(Difference):
    """The same of losses, of which the lower is the better."""

    @property
    def verdict(self) -> str:
        return Difference(-self.mean, -self.high, -self.low).verdict

    def __str__(self) -> str:
        return f"{self.mean:+.4f} ({self.low:+.4f} to {self.high:+.4f}): {self.verdict}"


def difference(runs: Sequence[Run], others: Sequence[Run]) -> Difference:
    """Of the last test accuracies, by Welch's t-test, which does not assume equal variances.

    With one run on a side there is no interval, and no significant difference.
    """
    return Difference(*_welch(*([run.last.test_accuracy for run in side] for side in (runs, others))))


def loss_difference(runs: Sequence[Run], others: Sequence[Run]) -> LossDifference:
    """Of the last test losses, as `difference`. Where two recipes are close, the loss tells more than the accuracy."""
    return LossDifference(*_welch(*([run.last.test_loss for run in side] for side in (runs, others))))


def _welch(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float, float]:
    """The difference of the means, and the ends of its 95 % confidence interval."""
    mean = statistics.mean(ours) - statistics.mean(theirs)
    if min(len(ours), len(theirs)) < 2:
        return mean, -math.inf, math.inf
    import scipy.stats  # here, because it would lengthen the start of every command

    interval = scipy.stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval(0.95)
    return mean, float(interval.low), float(interval.high)


def significantly_better(study: dict[str, list[Run]], chosen: str) -> list[str]:
    """The variants of a study that are significantly better than the chosen one."""
    return [label for label, runs in study.items() if difference(runs, study[chosen]).low > 0]


def standard_error(accuracy: float) -> float:
    """That of an accuracy in percent, in points: binomial, for 10,000 images."""
    return math.sqrt(accuracy * (100 - accuracy) / 10_000)


def standard_error_of_difference(run: Run, other: Run) -> float:
    """The standard error, in points, of the difference between the two runs' last test accuracies.

    For 10,000 test images each; differences between seeds come on top.
    """
    return math.hypot(standard_error(run.last.test_accuracy), standard_error(other.last.test_accuracy))


def better(run: Run, other: Run, k: float) -> bool:
    """Whether `run` ends above `other` by more than `k` times `standard_error_of_difference`."""
    return run.last.test_accuracy - other.last.test_accuracy > k * standard_error_of_difference(run, other)
