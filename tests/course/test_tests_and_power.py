"""Intervals, corrected p-values and power, against SciPy and against simulation."""

import math
import random
import statistics

import numpy as np
import pytest
import scipy.stats

from mnist_drill.course.statistics import holm, mean_interval, power, seeds_needed, seeds_to_tell, welch

DRAWS = np.random.default_rng(1)


def simulated_power(difference, deviations, sizes, level, number=20_000):
    """The share of simulated pairs of samples whose difference Welch's test finds."""
    ours, theirs = (
        DRAWS.normal(mean, deviation, (number, size))
        for mean, deviation, size in zip((difference, 0), deviations, sizes, strict=True)
    )
    return float((scipy.stats.ttest_ind(ours, theirs, axis=1, equal_var=False).pvalue < level).mean())


def test_interval_and_p_are_scipys():
    for sizes in ((2, 2), (3, 10), (20, 5)):
        ours, theirs = (list(DRAWS.normal(99, deviation, n)) for deviation, n in zip((0.05, 0.2), sizes, strict=True))
        expected = scipy.stats.ttest_ind(ours, theirs, equal_var=False)
        low, high = expected.confidence_interval(0.95)
        assert welch(ours, theirs) == pytest.approx(
            (statistics.mean(ours) - statistics.mean(theirs), low, high, expected.pvalue)
        )


@pytest.mark.parametrize("sides", [([1.0], [2.0, 3.0]), ([1.0, 2.0], [3.0]), ([1.0, 1.0], [2.0, 2.0])])
def test_without_an_estimate_of_the_variance_there_is_no_interval(sides):
    mean, low, high, p = welch(*sides)
    assert (mean, low, high, p) == (statistics.mean(sides[0]) - statistics.mean(sides[1]), -math.inf, math.inf, 1)


@pytest.mark.parametrize(("deviations", "sizes"), [((1, 1), (3, 3)), ((0.3, 1), (10, 5)), ((1, 2), (4, 20))])
def test_95_percent_of_the_intervals_cover_the_true_difference(deviations, sizes):
    number, covered = 1_000, 0
    for _ in range(number):
        ours, theirs = (
            DRAWS.normal(mean, deviation, size).tolist()
            for mean, deviation, size in zip((99.4, 99.1), deviations, sizes, strict=True)
        )
        _, low, high, _ = welch(ours, theirs)
        covered += low <= 0.3 <= high
    assert 0.93 <= covered / number <= 0.97  # three standard errors


def test_equal_values_on_one_side_are_no_warning(recwarn):
    _, low, high, p = welch([99.1, 99.1, 99.1], [99.0, 99.3, 99.2])
    assert -1 < low < high < 1
    assert 0 < p < 1
    assert list(recwarn) == []


def test_holm_multiplies_and_keeps_the_order():
    # The example of three hypotheses: 0.01 × 3, then 0.02 × 2, then the larger of 0.03 and what came before.
    assert holm([0.02, 0.01, 0.03]) == pytest.approx([0.04, 0.03, 0.04])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([0.2]) == [0.2]
    assert holm([]) == []


@pytest.mark.parametrize("without", [5, 3], ids=["no row differs", "two of five differ"])
def test_holm_holds_its_level_and_finds_more_than_bonferroni(without):
    """Rows share their baseline: their tests are not independent."""
    number, rows, size = 2_000, 5, 10
    p_values = []
    shifts = [0.0] * without + [2.0] * (rows - without)
    base = DRAWS.normal(0, 1, (number, size))
    for shift in shifts:
        test = scipy.stats.ttest_ind(DRAWS.normal(shift, 1, (number, size)), base, axis=1, equal_var=False)
        p_values.append(test.pvalue)
    corrected = np.array([holm(column) for column in np.transpose(p_values).tolist()])
    wrong = (corrected[:, :without] <= 0.05).any(axis=1).mean()
    assert wrong <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / number)
    uncorrected = (np.transpose(p_values)[:, :without] <= 0.05).any(axis=1).mean()
    assert uncorrected > 0.08  # what it is for
    assert (corrected <= np.minimum(1, rows * np.transpose(p_values))).all()
    if without < rows:
        assert (corrected <= 0.05).sum() > (rows * np.transpose(p_values) <= 0.05).sum()


@pytest.mark.parametrize(
    ("difference", "deviations", "sizes", "level"),
    [
        (1.0, (1.0, 1.0), (5, 5), 0.05),
        (1.0, (1.0, 1.0), (20, 20), 0.05),
        (-1.0, (0.5, 1.0), (10, 10), 0.05),
        (0.1, (0.05, 0.08), (10, 10), 0.05 / 8),
        (0.1, (0.02, 0.09), (6, 12), 0.05),
        (1.0, (1.0, 0.0), (12, 3), 0.05),
    ],
)
def test_power_is_within_a_tenth_of_simulation(difference, deviations, sizes, level):
    simulated = simulated_power(difference, deviations, sizes, level)
    assert 0.2 < simulated < 0.99
    assert power(difference, deviations, sizes, level) == pytest.approx(simulated, rel=0.1)


@pytest.mark.parametrize("level", [0.05, 0.05 / 20, 0.05 / 200])
@pytest.mark.parametrize("size", [2, 3, 20, 2_000])
def test_power_of_a_difference_of_many_standard_errors_is_a_chance(size, level):
    """SciPy's noncentral t-distribution has no number for its lower tail there, from about 7 standard errors on."""
    powers = [power(errors, (math.sqrt(size / 2),) * 2, (size, size), level) for errors in (5, 7, 8, 12, 40, 100)]
    assert powers == sorted(powers)
    assert 0 < powers[0] <= powers[-1] <= 1


def test_power_without_a_difference_is_the_level():
    assert power(0, (1, 2), (7, 9), 0.05) == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("difference", "deviations", "level"),
    [(0.1, (0.05, 0.08), 0.05), (0.1, (0.1, 0.1), 0.05 / 6), (0.05, (0.08, 0.05), 0.05)],
)
def test_with_the_seeds_needed_a_difference_is_found_four_times_of_five(difference, deviations, level):
    needed = seeds_needed(difference, deviations, level)
    assert simulated_power(difference, deviations, (needed, needed), level) == pytest.approx(0.8, abs=0.08)
    fewer = needed - 1
    assert power(difference, deviations, (needed, needed), level) >= 0.8
    assert power(difference, deviations, (fewer, fewer), level) < 0.8


def test_seeds_needed_have_ends():
    assert seeds_needed(100, (0.1, 0.1)) == 2
    assert seeds_needed(1e-9, (0.1, 0.1)) is None
    assert seeds_needed(0.4, (0.05, 0.05), level=0.05 / 20) == 3  # at 2 seeds it is 8 standard errors, and not enough
    draw = random.Random(1)
    for _ in range(20):
        deviations = draw.uniform(0.01, 0.2), draw.uniform(0, 0.2)
        assert seeds_needed(0.1, deviations) <= seeds_needed(0.05, deviations)


def test_the_interval_of_a_mean_is_that_of_scipy_and_infinite_without_a_variance():
    values = [99.41, 99.48, 99.39, 99.5]
    wanted = scipy.stats.t.interval(0.95, 3, loc=statistics.mean(values), scale=scipy.stats.sem(values))
    assert mean_interval(values) == pytest.approx(wanted)
    assert mean_interval([99.4]) == mean_interval([99.4, 99.4]) == (-math.inf, math.inf)


def test_seeds_to_tell_are_the_fewest_whose_interval_is_narrow_enough():
    needed = seeds_to_tell(0.02, 0.05)
    half = [scipy.stats.t.ppf(0.975, n - 1) * 0.05 / math.sqrt(n) for n in (needed - 1, needed)]
    assert half[1] < 0.02 <= half[0]
    assert seeds_to_tell(-0.02, 0.05) == needed
    assert seeds_to_tell(1e-9, 0.05) is None
