import math
from dataclasses import replace

import pytest

from mnist_drill.course.statistics import (
    Difference,
    comparisons,
    difference,
    loss_difference,
    significantly_better,
    standard_error,
)
from tests.course.runs import RUN, ending


def test_significantly_better_are_those_that_differ_by_more_than_their_seeds():
    study = {"chosen": ending(1, 2, 3), "luck": ending(4, 6, 8), "better": ending(9, 9.5, 10)}
    assert significantly_better(study, "chosen") == ["better"]
    assert significantly_better(study, "better") == []


def test_difference_is_welchs():
    # Means 2 and 6, variances 1 and 4 of three: 4 points, standard error sqrt(5/3), 2.94 degrees of freedom.
    low, high = ending(1, 2, 3), ending(4, 6, 8)
    found = difference(high, low)
    assert found.mean == pytest.approx(4)
    t = 3.2188  # the 97.5 % quantile of Student's t at 2.9412 degrees of freedom
    assert (found.low, found.high) == pytest.approx((4 - t * (5 / 3) ** 0.5, 4 + t * (5 / 3) ** 0.5), abs=1e-3)
    assert found.verdict == "no significant difference"
    assert difference(ending(9, 9.5, 10), low).verdict == "significantly better"
    assert difference(low, ending(9, 9.5, 10)).verdict == "significantly worse"
    assert str(difference(ending(9, 9.5, 10), low)).endswith(": significantly better")


@pytest.mark.parametrize(
    ("mean", "p", "verdict"),
    [
        (0.1, 0.04, "significantly better"),
        (-0.1, 0.04, "significantly worse"),
        (0.1, 0.06, "no significant difference"),
        (-0.1, 0.06, "no significant difference"),
    ],
)
def test_a_verdict_is_by_the_p_value(mean, p, verdict):
    found = Difference(mean, mean - 0.1, mean + 0.05, p)
    assert found.verdict == verdict
    assert str(found) == f"{mean:+.2f} ({mean - 0.1:+.2f} to {mean + 0.05:+.2f}): {verdict}"


@pytest.mark.parametrize("values", [(3, 4, 5.5), (3, 4, 7), (0, 0.5, 1), (1, 2, 3.5)])
def test_of_one_comparison_the_verdict_says_on_which_side_of_0_the_interval_lies(values):
    found = difference(ending(*values), ending(1, 2, 3))
    side = (found.low > 0) - (found.high < 0)
    verdicts = {1: "significantly better", -1: "significantly worse", 0: "no significant difference"}
    assert found.verdict == verdicts[side]


def test_among_many_comparisons_the_verdict_is_corrected_and_the_interval_is_not():
    base, other = ending(99.40, 99.44, 99.42, 99.41, 99.43), ending(99.44, 99.48, 99.46, 99.45, 99.43)
    for number, verdict in ((1, "significantly better"), (20, "no significant difference")):
        study = {"base": base} | {f"row {i}": other for i in range(number)}
        found = comparisons(study, "base")
        assert list(found) == list(study)[1:]
        assert all(x.verdict == verdict and x.low == difference(other, base).low > 0 for x in found.values())
        assert significantly_better(study, "base") == (list(found) if number == 1 else [])
    by_loss = comparisons({"base": base, "other": other}, "base", loss_difference)
    assert by_loss == {"other": loss_difference(other, base)}


def test_without_a_chosen_row_each_is_compared_with_the_one_before():
    study = {"first": ending(1, 2, 3), "second": ending(9, 9.5, 10), "third": ending(9, 9.5, 10)}
    found = comparisons(study, None)
    assert list(found) == ["second", "third"]
    assert found["second"].mean == pytest.approx(7.5)
    assert found["third"].mean == 0
    assert found["second"].p == pytest.approx(2 * difference(study["second"], study["first"]).p)  # Holm's, of two


def test_of_losses_the_lower_is_the_better():
    low, high = ([replace(RUN, epochs=(replace(RUN.last, test_loss=x / 1000),)) for x in side] for side in (
        (15, 16, 17), (21, 23, 22)
    ))  # fmt: skip
    found = loss_difference(low, high)
    assert (found.mean, found.verdict) == (pytest.approx(-0.006), "significantly better")
    assert found.low < found.mean < found.high < 0
    assert str(loss_difference(high, low)).startswith("+0.0060 (+0.00")
    assert loss_difference(high, low).verdict == "significantly worse"
    assert loss_difference(low, low).verdict == "no significant difference"
    assert loss_difference(low, high[:1]).verdict == "no significant difference"


def test_one_run_on_a_side_has_no_interval_and_no_significant_difference():
    for others in (ending(10.0, 11.0, 12.0), ending(10.0)):
        found = difference(ending(99.9), others)
        assert (found.low, found.high) == (-math.inf, math.inf)
        assert found.verdict == difference(others, ending(99.9)).verdict == "no significant difference"
        assert significantly_better({"one": ending(99.9), "others": others}, "others") == []


def test_the_standard_error_is_binomial():
    assert standard_error(99.4) == pytest.approx(0.0772, abs=1e-4)
