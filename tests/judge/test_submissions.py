"""Submissions that are wrong in one way each, and right ones: each gets its verdict and its reason without training."""

import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from mnist_drill.judge.classroom import judge_folder
from mnist_drill.judge.judging import judge
from mnist_drill.judge.report import FAILED, PASSED, UNKNOWN
from mnist_drill.judge.rules import PRESETS, Limits

HERE = Path(__file__).parent
WRONG, RIGHT = HERE / "wrong", HERE / "right"
RULES = replace(PRESETS["drill"], limits=Limits(seconds_to_examine=60, memory_gb=2))

# The rule that decides, and what its reason says.
FAILS = {
    "parameters_10001": ("parameters", "10,001 parameters"),
    "frozen_weights": ("parameters", "23,550 frozen"),
    "weights_in_buffers": ("parameters", "23,520 in weight (784, 30)"),
    "weights_in_a_plain_tensor": ("parameters", "23,520 in a constant (784, 30)"),
    "weights_in_a_closure": ("parameters", "23,520 in a constant (784, 30)"),
    "weights_in_views_of_one_memory": ("parameters", "23,520 in a constant (784,)"),
    "weights_in_running_statistics": ("parameters", "23,520 in norm.running_mean"),
    "weights_in_batch_norm_s_statistics": ("parameters", "15,680 in norm.running_mean"),
    "batch_statistics_in_evaluation": ("alone", "batch norm takes the batch's statistics"),
    "batch_norm_that_never_evaluates": ("alone", "batch norm takes the batch's statistics"),
    "batch_mean_in_evaluation": ("alone", "beside other images"),
    "random_in_evaluation": ("repeatable", "bernoulli"),
    "remembers_in_a_global": ("repeatable", "when asked again"),
    "counts_in_a_buffer": ("repeatable", "changes its own tensors"),
    "answers_from_a_cache": ("operations", "does not come from its images"),
    "leaves_torch": ("operations", "does not come from its images"),
    "eleven_classes": ("shape", "[1, 11]"),
    "only_batches_of_64": ("shape", "with 1 image"),
    "squeezes_one_image": ("shape", "with 1 image: the answer has shape [10]"),
    "not_finite": ("shape", "not finite"),
    "weights_from_a_file": ("initialization", "opens weights.pt"),
    "weights_from_the_network": ("initialization", "the network"),
    "reads_the_data": ("initialization", "train-images-idx3-ubyte"),
    "leaves_a_process_behind": ("initialization", "starts a process"),
    "same_weights_at_every_seed": ("initialization", "the same at every seed"),
    "trained_weights_with_noise": ("initialization", "the same at every seed"),
    "weights_of_sixteen_values": ("initialization", "are the same at every seed, or nearly so"),
    "weights_one_by_one": ("initialization", "are the same at every seed, or nearly so"),
    "weights_in_small_tensors": ("initialization", "are the same at every seed, or nearly so"),
    "weights_beside_large_ones": ("initialization", "are the same at every seed, or nearly so"),
    "weights_beside_a_view": ("initialization", "are the same at every seed, or nearly so"),
    "weights_in_indices": ("parameters", "in numbers in its operations"),
    "weights_in_chosen_pixels": ("parameters", "in numbers in its operations"),
    "weights_in_keywords": ("initialization", "are the same at every seed, or nearly so"),
    "seeds_from_the_clock": ("initialization", "at the same seed have different weights"),
    "patches_torch": ("untouched", "torch.Tensor.numel"),
    "patches_the_judge": ("untouched", "mnist_drill.judge.jobs.layers_of"),
    "no_gradient": ("step", "no parameter has a gradient"),
    "sets_its_weights": ("step", "changes first.weight"),
    "sixteen_epochs": ("recipe", "16 epochs of at most 15"),
}
CANNOT_BE_JUDGED = {
    "an_if_on_values": ("operations", ".item(), or an if"),
    "weights_in_bytes": ("operations", ".view(dtype)"),
    "infinite_loop": ("loads", "limit of 60 s while building the network"),
    "takes_30_gb": ("loads", "more memory than 2 GB"),
    "takes_30_gb_in_processes": ("loads", "more memory than 2 GB"),
    "hundreds_of_processes": ("loads", "more than 16 processes"),
    "output_without_end": ("loads", "printed more than 1,000 kB"),
    "sys_exit": ("loads", "SystemExit: good bye"),
    "ends_without_a_word": ("loads", "ended without a word while building the network"),
    "crashes": ("loads", "signal 11"),
    "missing_import": ("loads", "No module named 'a_module_that_nobody_has'"),
    "syntax_error": ("loads", "SyntaxError"),
    "speaks_for_the_judge": ("loads", "told the judge what cannot be"),
    "not_a_module": ("loads", "makes a list"),
    "two_networks": ("loads", "wide, narrow"),
    "no_network": ("loads", "no function or class"),
    "recipe_is_a_dictionary": ("loads", "`recipe` is a dict"),
}


def test_every_submission_has_its_verdict():
    assert {path.stem for path in WRONG.glob("*.py")} == FAILS.keys() | CANNOT_BE_JUDGED.keys()
    assert len(FAILS | CANNOT_BE_JUDGED) >= 30
    assert len(list(RIGHT.glob("*.py"))) >= 10


ONES = ("weights_in_buffers", "weights_of_sixteen_values", "weights_in_keywords", "weights_in_batch_norm_s_statistics")


@pytest.mark.parametrize(
    ("name", "rule", "found"),
    [(name, *FAILS[name]) for name in ONES],
)
def test_a_wrong_one_fails_for_what_is_wrong(few_sets, processes, name, rule, found):
    check(judge(WRONG / f"{name}.py", rules=RULES, quick=True, sets=few_sets, processes=processes), FAILED, rule, found)


def test_numbers_that_are_bytes_of_others_cannot_be_judged(few_sets, processes):
    report = judge(WRONG / "weights_in_bytes.py", rules=RULES, quick=True, sets=few_sets, processes=processes)
    check(report, UNKNOWN, *CANNOT_BE_JUDGED["weights_in_bytes"])


def test_whole_numbers_are_no_logits_and_it_says_so(few_sets, processes, tmp_path):
    path = tmp_path / "whole.py"
    path.write_text(NETWORK.format("self.last(x.flatten(1)).round().long()"))
    report = judge(path, rules=RULES, quick=True, sets=few_sets, processes=processes)
    check(report, FAILED, "shape", "not of floating-point numbers")


@pytest.mark.parametrize(
    "text",
    [f"recipe = Recipe(epochs=0x{'f' * 5000})", "raise ValueError(10**5000)", f"BIG = {'9' * 5000}"],
    ids=["recipe", "error", "source"],
)
def test_a_number_of_thousands_of_digits_is_a_line_of_the_report(few_sets, processes, tmp_path, text):
    path = tmp_path / "long.py"
    path.write_text(NETWORK.format("self.last(x.flatten(1))") + f"\nfrom mnist_drill.recipes import Recipe\n{text}\n")
    report = judge(path, rules=RULES, quick=True, sets=few_sets, processes=processes)
    check(report, UNKNOWN, "loads", "loading the file: ")


HIDDEN = {
    "behind a large number": "logits + 16384.0",
    "by a small factor": "logits * 2**-20",
    "behind one large logit": "logits.scatter(1, logits.argmin(1, keepdim=True), -16384.0)",
}


@pytest.mark.parametrize("returned", HIDDEN.values(), ids=HIDDEN)
def test_what_an_image_s_neighbours_change_is_not_hidden_by_the_size_of_logits(few_sets, processes, tmp_path, returned):
    path = tmp_path / "hides.py"
    text = NETWORK.format("hidden(self.last((x - x.mean(0)).flatten(1)))")
    path.write_text(f"{text}\n\ndef hidden(logits):\n    return {returned}\n")
    report = judge(path, rules=RULES, quick=True, sets=few_sets, processes=processes)
    check(report, FAILED, "alone", "beside other images")


def test_pairs_of_weights_which_always_correlate_are_not_the_same_at_every_seed(few_sets, processes, tmp_path):
    path = tmp_path / "pairs.py"
    path.write_text(PAIRS)
    report = judge(path, rules=RULES, quick=True, sets=few_sets, processes=processes)
    assert report.finding("initialization").verdict == PASSED


PAIRS = """
import torch
from torch import nn

class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.pairs = nn.ParameterList(torch.randn(2) for _ in range(140))

    def forward(self, x):
        return x.reshape(len(x), 28, 28).mean(1) @ torch.cat(list(self.pairs)).view(28, 10)
"""


def test_running_statistics_are_not_what_it_is_told_to_look_for(few_sets, processes, tmp_path):
    path = tmp_path / "scaled.py"
    path.write_text(NETWORK.format("self.last(self.norm(x).flatten(1)) * 0.3"))
    report = judge(path, rules=RULES, quick=True, sets=few_sets, processes=processes)
    found = report.finding("parameters").found
    assert "1 in numbers in its operations" in found
    assert "running" not in found


NETWORK = """
from torch import nn

class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.last = nn.BatchNorm2d(1), nn.Linear(784, 10)

    def forward(self, x):
        return {}
"""


def test_a_right_one_passes_in_seconds_and_with_its_figures(few_sets, processes):
    report = judge(RIGHT / "skips.py", rules=RULES, quick=True, sets=few_sets, processes=processes)
    assert (report.verdict, report.exit_status, report.quick) == (PASSED, 0, True)
    assert report.parameters.counted == 12 * 9 + 12 + 24 + 12 * 12 * 9 + 12 + 130
    assert {"batch norm", "global average pooling", "fully connected layer"} <= report.parts.keys()
    assert report.no_fields  # the skip makes it no chain, so that its largest layers are listed
    assert report.layers[0].parameters == 12 * 12 * 9 + 12


def check(report, verdict, rule, found):
    assert report.verdict == verdict, report.findings
    finding = next(each for each in report.findings if each.verdict == verdict)
    assert (finding.rule, found in finding.found) == (rule, True), finding
    assert finding.why
    assert finding.next or verdict == UNKNOWN


@pytest.fixture(scope="module")
def wrong(few_sets, tmp_path_factory):
    """The reports of all wrong ones, judged as a class, and the processes that are left afterwards."""
    before = {process.pid for process in psutil.process_iter()}
    rows = judge_folder(WRONG, tmp_path_factory.mktemp("wrong"), RULES, quick=True, jobs=2, sets=few_sets)
    time.sleep(0.2)
    left = [each for each in psutil.Process().children(recursive=True) if each.pid not in before]
    return {row.file.removesuffix(".py"): row.report for row in rows}, left, before


@pytest.mark.judge
@pytest.mark.parametrize("name", FAILS)
def test_each_wrong_one_fails_for_what_is_wrong(wrong, name):
    check(wrong[0][name], FAILED, *FAILS[name])


@pytest.mark.judge
@pytest.mark.parametrize("name", CANNOT_BE_JUDGED)
def test_each_that_cannot_be_judged_says_why(wrong, name):
    check(wrong[0][name], UNKNOWN, *CANNOT_BE_JUDGED[name])


@pytest.mark.judge
def test_nothing_that_they_started_is_left(wrong):
    assert wrong[1] == []
    assert [each for each in psutil.process_iter() if each.pid not in wrong[2] and is_theirs(each)] == []


def is_theirs(process):
    """Whether a process is one that the judge started and that has lost its parent."""
    try:
        return process.ppid() == 1 and "mnist_drill.judge.zygote" in str(process.cmdline())
    except psutil.Error:
        return False


@pytest.mark.judge
def test_right_ones_pass(few_sets, tmp_path):
    rows = judge_folder(RIGHT, tmp_path, RULES, quick=True, jobs=2, sets=few_sets)
    assert {row.file: row.report.reason for row in rows if row.verdict != PASSED} == {}
    reports = {row.file.removesuffix(".py"): row.report for row in rows}
    assert reports["a_shared_layer"].parameters.counted == 160 + 16 * 16 * 9 + 16 + 170
    assert reports["tied_weights"].parameters.counted == 7840 + 110
    # Its batch norm has no weight and no bias, so that it is its statistics that count.
    assert reports["functional_pooling"].parameters.counted == 208 + 90 + 16
    assert reports["skips"].parameters.running_statistics == 24
    assert reports["functional_pooling"].parts.keys() >= {"batch norm", "dropout", "global average pooling"}
    assert reports["a_recipe_beside"].recipe["epochs"] == 10
    assert "a network of" in reports["prints_and_plots"].output
