from dataclasses import replace

import pytest
import torch

from mnist_drill.models import build
from mnist_drill.report import RUN_MIME, Result, Table, better, claim, judge, layer_table, noise, summary, targets
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
