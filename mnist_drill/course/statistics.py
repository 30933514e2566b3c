"""Whether runs differ: confidence intervals and standard errors of test accuracies, tests and their power."""

from __future__ import annotations

import math
import statistics
import warnings
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
    ours, theirs = ([run.last.test_accuracy for run in side] for side in (runs, others))
    return Difference(*welch(ours, theirs)[:3])


def loss_difference(runs: Sequence[Run], others: Sequence[Run]) -> LossDifference:
    """Of the last test losses, as `difference`. Where two recipes are close, the loss tells more than the accuracy."""
    ours, theirs = ([run.last.test_loss for run in side] for side in (runs, others))
    return LossDifference(*welch(ours, theirs)[:3])


def welch(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float, float, float]:
    """Welch's t-test: the difference of the means, the ends of its 95 % confidence interval, and the p-value.

    Without an estimate of the variance, with one value on a side or none that differ, the interval is infinite and the
    p-value 1.
    """
    mean = statistics.mean(ours) - statistics.mean(theirs)
    if min(len(ours), len(theirs)) < 2 or len(set(ours)) == len(set(theirs)) == 1:
        return mean, -math.inf, math.inf, 1.0
    import scipy.stats  # here, because it would lengthen the start of every command

    with warnings.catch_warnings():
        # It warns of a side whose values are all equal, as accuracies of few seeds may be; the other has a variance.
        warnings.simplefilter("ignore", RuntimeWarning)
        test = scipy.stats.ttest_ind(ours, theirs, equal_var=False)
    interval = test.confidence_interval(0.95)
    return mean, float(interval.low), float(interval.high), float(test.pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values, corrected for their number by Holm's method: the chance that any of those below a level is there
    without a difference is at most that level.

    Source: S. Holm, A simple sequentially rejective multiple test procedure, 1979.
    """
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda place: p_values[place])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = largest
    return corrected


def power(difference: float, deviations: tuple[float, float], sizes: tuple[int, int], level: float = 0.05) -> float:
    """The chance that Welch's t-test, two-sided, finds a true difference of means, by the noncentral t-distribution.

    `deviations` are the two standard deviations, not both 0, and `sizes` the numbers of values, at least 2 each.
    """
    from scipy.special import nctdtr, stdtrit

    first, second = (deviation**2 / size for deviation, size in zip(deviations, sizes, strict=True))
    error = math.sqrt(first + second)
    freedom = (first + second) ** 2 / (first**2 / (sizes[0] - 1) + second**2 / (sizes[1] - 1))
    limit, shift = stdtrit(freedom, 1 - level / 2), abs(difference) / error
    return float(1 - nctdtr(freedom, shift, limit) + nctdtr(freedom, shift, -limit))


def seeds_needed(
    difference: float, deviations: tuple[float, float], level: float = 0.05, least: float = 0.8, most: int = 100_000
) -> int | None:
    """The smallest number of seeds on either side with which `power` is at least `least`; None if that is over `most`.

    As `power` it takes the standard deviations for known; those of few runs are not.
    """
    low, high = 1, 2
    while power(difference, deviations, (high, high), level) < least:
        if high >= most:
            return None
        low, high = high, min(2 * high, most)
    while high - low > 1:
        middle = (low + high) // 2
        if power(difference, deviations, (middle, middle), level) < least:
            low = middle
        else:
            high = middle
    return high


def mean_interval(values: Sequence[float]) -> tuple[float, float]:
    """The ends of the 95 % confidence interval of a mean, by Student's t; infinite for one value, or for equal ones."""
    if len(set(values)) < 2:
        return -math.inf, math.inf
    from scipy.special import stdtrit

    half = float(stdtrit(len(values) - 1, 0.975)) * statistics.stdev(values) / math.sqrt(len(values))
    return statistics.mean(values) - half, statistics.mean(values) + half


def seeds_to_tell(distance: float, deviation: float, most: int = 1000) -> int | None:
    """The smallest number of seeds whose mean has a 95 % confidence interval, half of it, below the distance.

    It takes the standard deviation for known. None if the number is over `most`.
    """
    from scipy.special import stdtrit

    for seeds in range(2, most + 1):
        if stdtrit(seeds - 1, 0.975) * deviation / math.sqrt(seeds) < abs(distance):
            return seeds
    return None


def significantly_better(study: dict[str, list[Run]], chosen: str) -> list[str]:
    """The rows of a study that are significantly better than the chosen one."""
    return [label for label, runs in study.items() if difference(runs, study[chosen]).low > 0]


def standard_error(accuracy: float) -> float:
    """That of an accuracy in percent, in points: binomial, for 10,000 images."""
    return math.sqrt(accuracy * (100 - accuracy) / 10_000)
