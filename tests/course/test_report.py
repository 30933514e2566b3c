from dataclasses import replace

import pytest
import torch

from mnist_drill.models import build
from mnist_drill.report import (
    RUN_MIME,
    Result,
    Table,
    better,
    claim,
    counted,
    difference,
    judge,
    layer_table,
    mean_and_spread,
    noise,
    spread_table,
    study_table,
    summary,
    targets,
    told_better,
)
from mnist_drill.train import RECIPES, Run, fit


@pytest.fixture(scope="module")
def run(few):
    recipe = replace(RECIPES["stage2"], epochs=1)
    return fit(build("stage2", 1), recipe, *few, name="stage2", seed=1, progress=False)


def test_sentence_and_check_share_their_numbers(run):
    small = claim("Fewer than {n:,} parameters", lambda run, n: run.parameters < n, n=10_000)
    smaller = claim("Fewer than {n:,} parameters", lambda run, n: run.parameters < n, n=9_712)
    assert small.verdict(run) == "✓ Fewer than 10,000 parameters"
    assert smaller.verdict(run) == "✗ Fewer than 9,712 parameters"


def test_a_check_that_cannot_run_is_a_verdict_and_says_why(run):
    broken = claim("The ninth epoch is good", lambda run: run.epochs[8].test_accuracy > 99)
    assert broken.verdict(run).startswith("✗ The ninth epoch is good (not checked: IndexError")


def test_a_number_that_the_check_does_not_take_is_never_a_silent_pass(run):
    assert claim("At least {n}", lambda run: True, n=5).verdict(run).startswith("✗")


def test_judge_gives_the_runs_in_order(run):
    other = replace(run, parameters=5)
    verdicts = judge([claim("First is larger", lambda a, b: a.parameters > b.parameters)], run, other)
    assert repr(verdicts) == "✓ First is larger"
    assert verdicts._repr_markdown_() == "- ✓ First is larger"


def test_targets_are_a_table_of_sentences_and_reasons():
    table = targets([claim("At most {n} epochs", lambda run, n: True, why="time", n=15)])
    assert table.rows == [["At most 15 epochs", "time"]]


def test_table_as_markdown_and_as_text():
    table = Table(["name", "n"], [["a", 5], ["bb", 1234]])
    assert table._repr_markdown_() == "| name | n |\n| --- | --- |\n| a | 5 |\n| bb | 1234 |"
    assert repr(table) == "name     n\na        5\nbb    1234"
    assert repr(Table(["name", "n"], [])) == "name  n"


def test_result_carries_the_run(run):
    bundle = Result(run)._repr_mimebundle_()
    assert Run.from_dict(bundle[RUN_MIME]) == run
    assert "9,712" in bundle["text/markdown"]
    assert f"{run.last.test_accuracy:.2f}" in bundle["text/markdown"]
    assert Result(run).rows[0][6] == "–"  # one epoch has no last five


def ending(run, *accuracies):
    """Runs of five epochs that differ in their last test accuracy."""
    return [
        replace(
            run, seed=seed, epochs=(*[replace(run.last, test_accuracy=99.0)] * 4, replace(run.last, test_accuracy=a))
        )
        for seed, a in enumerate(accuracies, 1)
    ]


def test_result_shows_the_stored_seeds_below_the_run(run):
    table = Result(run, ending(run, 98.0, 99.4, 99.6))
    last = table.header.index("last test")
    assert [row[last] for row in table.rows] == [f"{run.last.test_accuracy:.2f}", "99.00 ± 0.87", "98.00"]
    assert table.rows[2][table.header.index("lowest of last five")] == "98.00"
    assert "3 seeds" in table.rows[1][0]
    assert mean_and_spread([99.4]) == "99.40"


def test_judge_counts_the_stored_seeds_at_which_a_claim_holds(run):
    good = claim("At least {least} %", lambda run, least: run.last.test_accuracy >= least, least=99.4)
    (first, *_) = seeds = ending(run, 98.0, 99.4, 99.6)
    assert repr(judge([good], first, seeds=seeds)) == "✗ At least 99.4 % (at 2 of 3 stored seeds)"
    assert repr(judge([good], first)) == "✗ At least 99.4 %"


def test_judge_gives_each_stored_seed_the_other_runs(run):
    above = claim("It ends above the other", lambda run, other: run.last.test_accuracy > other.last.test_accuracy)
    seeds = ending(run, 98.0, 99.4, 99.6)
    assert repr(judge([above], seeds[2], seeds[1], seeds=seeds)) == "✓ It ends above the other (at 1 of 3 stored seeds)"


def test_spread_table(run):
    row, sprinter = spread_table({"steady": ending(run, 98.0, 99.4, 99.6), "none": [], "short": [run]}).rows
    steady = [replace(x, epochs=(replace(x.last, test_accuracy=99.4),) * 5) for x in ending(run, 1, 2)]
    assert row == ["steady", "3", "99.00 ± 0.87", "98.00", "98.00", "0 of 3", "99.33 ± 0.31"]
    assert sprinter[4:6] == ["–", "–"]  # one epoch has no last five
    assert spread_table({"steady": steady}).rows[0][5] == "2 of 2"
    assert spread_table({"steady": steady}, least=99.5).rows[0][5] == "0 of 2"


def test_runs_of_different_hardware_are_marked(run):
    one, two, three = ending(run, 99.4, 99.5, 99.6)
    other = replace(two, environment={**run.environment, "hardware": "another"})
    assert counted([one, three]) == "2"
    name, precision = run.environment["hardware"], run.environment["precision"]
    assert counted([one, other, three]) == f"3 (2 on {name}, {precision}; 1 on another, {precision})"
    for table in (spread_table({"x": [one, other]}), study_table({"x": [one, other]}, "x"), Result(run, [one, other])):
        assert "on another" in table.markdown()


def test_told_better_are_those_that_differ_by_more_than_their_seeds(run):
    study = {"chosen": ending(run, 1, 2, 3), "luck": ending(run, 4, 6, 8), "better": ending(run, 9, 9.5, 10)}
    assert told_better(study, "chosen") == ["better"]
    assert told_better(study, "better") == []


def test_difference_is_welchs(run):
    # Means 2 and 6, variances 1 and 4 of three: 4 points, standard error sqrt(5/3), 2.94 degrees of freedom.
    low, high = ending(run, 1, 2, 3), ending(run, 4, 6, 8)
    found = difference(high, low)
    assert found.points == pytest.approx(4)
    t = 3.2188  # the 97.5 % quantile of Student's t at 2.9412 degrees of freedom
    assert (found.low, found.high) == pytest.approx((4 - t * (5 / 3) ** 0.5, 4 + t * (5 / 3) ** 0.5), abs=1e-3)
    assert found.verdict == "not told apart"
    assert difference(ending(run, 9, 9.5, 10), low).verdict == "better"
    assert difference(low, ending(run, 9, 9.5, 10)).verdict == "worse"
    assert str(difference(ending(run, 9, 9.5, 10), low)).endswith(": better")


def test_one_run_on_a_side_tells_nothing_apart(run):
    assert difference(ending(run, 99.9), ending(run, 10.0, 11.0, 12.0)).verdict == "not told apart"
    assert difference(ending(run, 99.9), ending(run, 10.0)).verdict == "not told apart"


def test_study_table_compares_each_alternative_with_the_chosen_one(run):
    table = study_table({"good": ending(run, 99.4, 99.5, 99.6), "bad": ending(run, 98.0, 98.1, 98.2)}, "good")
    good, bad = table.rows
    assert good[3:5] == ["99.50 ± 0.10", "99.00"]
    assert good[-1] == "–"
    assert bad[3:5] == ["98.10 ± 0.10", "98.00"]
    assert bad[-1].startswith("-1.40")
    assert bad[-1].endswith("worse")


def test_noise_is_the_binomial_standard_error_of_a_difference(run):
    run = replace(run, epochs=(replace(run.last, test_accuracy=99.4),))
    assert noise(run, run) == pytest.approx(2**0.5 * 0.0772, abs=1e-4)
    higher = replace(run, epochs=(replace(run.last, test_accuracy=99.6),))
    assert better(higher, run, k=1.9)
    assert not better(higher, run, k=2.1)
    assert not better(run, higher, k=0)


def test_layer_table_adds_up():
    total = layer_table(build("stage3")).rows[-1]
    assert total[-2:] == ["9,712", "192"]


def test_summary_leaves_the_network_and_the_random_state(capsys):
    model = build("stage3", 1).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    torch.manual_seed(3)
    state = torch.get_rng_state()
    summary(model)
    assert "Total params: 9,904" in capsys.readouterr().out
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert model.training
    assert not any(module._forward_hooks for module in model.modules())
