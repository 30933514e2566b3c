"""Whether runs differ: confidence intervals and standard errors of test accuracies, tests and their power."""

from __future__ import annotations

import math
import statistics
import warnings
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mnist_drill.runs import Run


LEVEL = 0.05  # a difference is significant if its p-value is at most that


@dataclass(frozen=True)
class Difference:
    """By how many points one set of runs ends above another: difference of means, and 95 % confidence interval."""

    mean: float
    low: float
    high: float
    p: float  # by Welch's t-test; of one among several `comparisons`, corrected for their number

    decimals: ClassVar[int] = 2  # that are shown

    @property
    def better(self) -> bool:
        return self.mean > 0

    @property
    def significant(self) -> bool:
        return self.p <= LEVEL

    @property
    def verdict(self) -> str:
        if not self.significant:
            return "no significant difference"
        return "significantly better" if self.better else "significantly worse"

    @property
    def interval(self) -> str:
        """The mean difference and the ends of its interval."""
        mean, low, high = (f"{value:+.{self.decimals}f}" for value in (self.mean, self.low, self.high))
        return f"{mean} ({low} to {high})"

    def __str__(self) -> str:
        return f"{self.interval}: {self.verdict}"


class LossDifference(Difference):
    """The same of losses, of which the lower is the better."""

    decimals = 4

    @property
    def better(self) -> bool:
        return self.mean < 0


def difference(runs: Sequence[Run], others: Sequence[Run]) -> Difference:
    """Of the last test accuracies, by Welch's t-test, which does not assume equal variances.

    With one run on a side there is no interval, and no significant difference.
    """
    ours, theirs = ([run.last.test_accuracy for run in side] for side in (runs, others))
    return Difference(*welch(ours, theirs))


def loss_difference(runs: Sequence[Run], others: Sequence[Run]) -> LossDifference:
    """Of the last test losses, as `difference`. The loss measures confidence as well as correctness."""
    ours, theirs = ([run.last.test_loss for run in side] for side in (runs, others))
    return LossDifference(*welch(ours, theirs))


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

    `deviations` are the two standard deviations, not both 0, and `sizes` the numbers of values, at least 2 each. With
    fewer than about 5 values and a small level the chance is lower: Welch's test estimates its degrees of freedom.
    """
    from scipy.special import stdtrit
    from scipy.stats import nct

    first, second = (deviation**2 / size for deviation, size in zip(deviations, sizes, strict=True))
    error = math.sqrt(first + second)
    freedom = (first + second) ** 2 / (first**2 / (sizes[0] - 1) + second**2 / (sizes[1] - 1))
    limit, shift = stdtrit(freedom, 1 - level / 2), abs(difference) / error
    found, with_the_wrong_sign = float(nct.sf(limit, freedom, shift)), float(nct.cdf(-limit, freedom, shift))
    # SciPy has no number for the second where it is next to 0: for a difference of many standard errors.
    return found if math.isnan(with_the_wrong_sign) else found + with_the_wrong_sign


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


def comparisons(
    study: dict[str, list[Run]], chosen: str | None, compare: Callable[..., Difference] = difference
) -> dict[str, Difference]:
    """How each other row of a study differs from the chosen one, by `difference` or `loss_difference`; without a chosen
    one, how each row but the first differs from the row before.

    The intervals are each comparison's own; the p-values, and with them the verdicts, are corrected by `holm` for the
    number of comparisons.
    """
    if chosen is None:
        found = {label: compare(study[label], study[before]) for before, label in pairwise(study)}
    else:
        found = {label: compare(runs, study[chosen]) for label, runs in study.items() if label != chosen}
    return corrected(found)


def corrected(found: dict[str, Difference]) -> dict[str, Difference]:
    """The differences that stand in one table, their p-values corrected by `holm` for their number."""
    p_values = holm([each.p for each in found.values()])
    return {label: replace(each, p=p) for (label, each), p in zip(found.items(), p_values, strict=True)}


def significantly_better(study: dict[str, list[Run]], chosen: str) -> list[str]:
    """The rows of a study whose accuracy is significantly better than that of the chosen one; see `comparisons`."""
    return [label for label, each in comparisons(study, chosen).items() if each.verdict == "significantly better"]


def standard_error(accuracy: float) -> float:
    """That of an accuracy in percent, in points: binomial, for 10,000 images."""
    return math.sqrt(accuracy * (100 - accuracy) / 10_000)
