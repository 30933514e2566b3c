from dataclasses import replace

from mnist_drill.course.claims import claim, judge, targets
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
