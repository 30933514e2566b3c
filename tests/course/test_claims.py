from dataclasses import replace

import pytest

from mnist_drill.course.claims import claim, judge, margins, targets
from mnist_drill.course.targets import every_one_of_the_last
from tests.course.runs import RUN, ending


def test_sentence_and_check_share_their_numbers():
    small = claim("Fewer than {n:,} parameters", lambda run, n: run.parameters < n, n=10_000)
    smaller = claim("Fewer than {n:,} parameters", lambda run, n: run.parameters < n, n=9_712)
    assert small.verdict(RUN) == "✓ Fewer than 10,000 parameters"
    assert smaller.verdict(RUN) == "✗ Fewer than 9,712 parameters"


def test_a_check_that_cannot_run_is_a_verdict_and_says_why():
    broken = claim("The ninth epoch is good", lambda run: run.epochs[8].test_accuracy > 99)
    assert broken.verdict(RUN).startswith("✗ The ninth epoch is good (not checked: IndexError")


def test_a_number_that_the_check_does_not_take_is_never_a_silent_pass():
    assert claim("At least {n}", lambda run: True, n=5).verdict(RUN).startswith("✗")


def test_judge_gives_the_runs_in_order():
    other = replace(RUN, parameters=5)
    verdicts = judge([claim("First is larger", lambda a, b: a.parameters > b.parameters)], RUN, other)
    assert repr(verdicts) == "✓ First is larger"
    assert verdicts._repr_markdown_() == "- ✓ First is larger"


def test_targets_are_a_table_of_sentences_and_reasons():
    table = targets([claim("At most {n} epochs", lambda run, n: True, why="time", n=15)])
    assert table.rows == [["At most 15 epochs", "time"]]


def test_judge_counts_the_stored_seeds_at_which_a_claim_holds():
    good = claim("At least {least} %", lambda run, least: run.last.test_accuracy >= least, least=99.4)
    (first, *_) = seeds = ending(98.0, 99.4, 99.6)
    assert repr(judge([good], first, seeds=seeds)) == "✗ At least 99.4 % (at 2 of 3 stored seeds)"
    assert repr(judge([good], first)) == "✗ At least 99.4 %"


def test_judge_gives_each_stored_seed_the_other_runs():
    above = claim("It ends above the other", lambda run, other: run.last.test_accuracy > other.last.test_accuracy)
    seeds = ending(98.0, 99.4, 99.6)
    assert repr(judge([above], seeds[2], seeds[1], seeds=seeds)) == "✓ It ends above the other (at 1 of 3 stored seeds)"


def test_a_measured_claim_compares_with_the_number_of_its_sentence():
    run = ending(99.4)[0]
    for name, verdict in (("least", "✓"), ("most", "✓"), ("above", "✗"), ("below", "✗")):
        made = claim(f"It ends at {{{name}}}", measure=lambda run: run.last.test_accuracy, **{name: 99.4})
        assert made.verdict(run) == f"{verdict} It ends at 99.4"


@pytest.mark.parametrize(
    "arguments",
    [{}, {"check": lambda run: True, "measure": lambda run: 1.0, "least": 1}, {"measure": lambda run: 1.0},
     {"measure": lambda run: 1.0, "least": 1, "most": 2}],
    ids=["neither", "both", "no bound", "two bounds"],
)  # fmt: skip
def test_a_claim_has_one_check_or_one_measure_with_one_bound(arguments):
    with pytest.raises(ValueError, match="a claim"):
        claim("Something", **arguments)


def test_a_prediction_that_fails_is_expected_to_and_one_that_holds_is_not():
    high = claim("It ends above {above}", measure=lambda run: run.last.test_accuracy, above=99.5, fails=True)
    low, top = ending(99.4, 99.6)
    assert high.verdict(low).startswith("✗ It ends above 99.5")
    assert (high.as_expected(low), high.as_expected(top)) == (True, False)
    broken = claim("It has a ninth epoch", lambda run: run.epochs[8].test_accuracy > 99, fails=True)
    assert not broken.as_expected(RUN)  # a check that cannot run proves nothing


def test_reasons_follow_their_verdicts_in_markdown_alone():
    verdicts = judge([claim("It ends", lambda run: True, because="all things do.")], RUN)
    assert repr(verdicts) == "✓ It ends"
    assert verdicts._repr_markdown_() == "- ✓ It ends<br>*Because* all things do."


def test_a_reason_that_nothing_isolates_is_called_a_possible_one():
    verdicts = judge([claim("It ends", lambda run: True, perhaps="all things do.")], RUN)
    assert verdicts._repr_markdown_() == "- ✓ It ends<br>*A possible reason:* all things do."


def test_a_claim_that_is_not_about_the_run_counts_no_seeds():
    of_another = claim("It ends above {least} %", measure=lambda run, other: other.last.test_accuracy, least=50)
    of_none = claim("Two is more than one", lambda run, other: 2 > 1)
    of_the_run = claim("It has epochs", lambda run, other: len(run.epochs) > 0)
    verdicts = judge([of_another, of_none, of_the_run], RUN, RUN, seeds=[RUN] * 3)
    assert [verdict.endswith("(at 3 of 3 stored seeds)") for verdict in verdicts.verdicts] == [False, False, True]
    assert margins([of_another], RUN, RUN, seeds=[RUN] * 3).rows == []


def test_a_reason_is_shown_or_possible_and_not_both():
    with pytest.raises(ValueError, match="not both"):
        claim("It ends", lambda run: True, because="of this", perhaps="of that")


def test_margins_are_of_the_closest_seed_in_standard_deviations():
    good = claim("At least {least} %", measure=lambda run: run.last.test_accuracy, least=99.0)
    small = claim("Fewer than {below} parameters", measure=lambda run: run.parameters, below=10_000)
    seeds = ending(99.2, 99.4, 99.6)  # with a standard deviation of 0.2
    (first, second) = margins([good, small, claim("No measure", lambda run: True)], seeds[2], seeds=seeds).rows
    assert first == ["At least 99.0 %", "≥ 99", "99.60", "99.20", "1.0"]
    assert second[1:] == ["< 10,000", f"{RUN.parameters:,}", f"{RUN.parameters:,}", "∞"]
    assert margins([good], seeds[0], seeds=ending(98.8, 99.4, 99.6)).rows[0][4].startswith("-0.")


@pytest.mark.parametrize(
    ("bound", "margin"),
    [({"least": 99.4}, "∞"), ({"above": 99.4}, "-∞"), ({"least": 99.5}, "-∞"), ({"most": 99.3}, "-∞"),
     ({"below": 99.5}, "∞")],
)  # fmt: skip
def test_margins_of_equal_seeds_are_infinite_on_the_side_where_they_are(bound, margin):
    made = claim("It ends there", measure=lambda run: run.last.test_accuracy, **bound)
    seeds = ending(99.4, 99.4, 99.4)
    assert margins([made], seeds[0], seeds=seeds).rows[0][4] == margin


def test_margins_of_a_run_that_has_nothing_to_measure_are_dashes():
    ninth = claim("The ninth epoch is good", measure=lambda run: run.epochs[8].test_accuracy, least=99)
    for seeds in ([RUN], [RUN] * 3):
        assert margins([ninth], RUN, seeds=seeds).rows == [["The ninth epoch is good", "≥ 99", "–", "–", "–"]]


def test_margins_of_fewer_epochs_than_a_claim_asks_for_are_dashes():
    (row,) = margins([every_one_of_the_last(5, least=97)], RUN, seeds=[RUN] * 3).rows
    assert row[2:] == ["–", "–", "–"]
