"""Trainings before the judge: as the course trains, and what a network does then that it did not do before."""

import hashlib
from dataclasses import replace

import pytest
import torch

from mnist_drill.data import to_grey
from mnist_drill.judge.judging import draw_seeds, judge
from mnist_drill.judge.report import FAILED, PASSED, UNKNOWN
from mnist_drill.judge.rules import PRESETS, Limits
from mnist_drill.recipes import PLAIN, STAGE4
from mnist_drill.train import fit
from tests.judge.test_messages import SPEAKS

RULES = replace(PRESETS["drill"], epochs=2, seeds=1, accuracy=20.0, shift_drop=20.0, limits=Limits(minutes_to_train=2))
PLAIN_SMALL = """
from mnist_drill.recipes import Recipe
from torch import nn
import torch

recipe = Recipe(epochs=2, batch_size=16, learning_rate=0.05)

class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.last = nn.Linear(196, 10)

    def small(self, x):
        return self.last(nn.functional.avg_pool2d(x, 2).flatten(1))
"""


def judged(tmp_path, text, sets, processes, rules=RULES, **options):
    path = tmp_path / "network.py"
    path.write_text(text)
    return judge(path, rules=rules, sets=sets, processes=processes, jobs=2, first_seed=7, **options)


def test_seeds_are_new_each_time_unless_a_first_one_is_given():
    assert draw_seeds(3) != draw_seeds(3)
    assert len(set(draw_seeds(50))) == 50
    assert draw_seeds(3, 5) == (5, 6, 7)


def test_a_recipe_that_is_too_long_is_judged_before_any_training(few_sets, processes, tmp_path):
    epochs = []
    text = PLAIN_SMALL.replace("epochs=2", "epochs=3").replace("small", "forward")
    report = judged(tmp_path, text, few_sets, processes, on_epoch=lambda task, row: epochs.append(row))
    assert (report.verdict, report.finding("recipe").verdict, report.finding("accuracy").verdict) == (
        FAILED, FAILED, UNKNOWN
    )  # fmt: skip
    assert epochs == []


@pytest.mark.judge
@pytest.mark.parametrize(("name", "recipe"), [("stage2", PLAIN), ("stage4", STAGE4)])
def test_it_trains_and_evaluates_as_the_course_does(few_sets, processes, tmp_path, name, recipe):
    recipe = replace(recipe.with_epochs(2), batch_size=64)
    text = (
        f"from mnist_drill.networks import {name} as network\nfrom mnist_drill.recipes import *\nrecipe = {recipe!r}\n"
    )
    report = judged(tmp_path, text, few_sets, processes)
    from mnist_drill.models import build

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for run in report.runs:
            network = build(name, seed=run.seed)
            own = fit(network, recipe, *few_sets.by_split[run.evaluated_on], name=name, seed=run.seed, device="cpu",
                      progress=False, on_epoch=lambda row: None)  # fmt: skip
            assert run.recipe == own.recipe
            assert run.data == own.data
            for judges, courses in zip(run.epochs, own.epochs, strict=True):
                assert judges.test_accuracy == courses.test_accuracy
                assert judges.train_loss == courses.train_loss
                assert judges.test_loss == pytest.approx(courses.test_loss, rel=1e-4)
            assert run.train_score.accuracy == own.train_score.accuracy
    finally:
        torch.set_num_threads(threads)
    assert [run.evaluated_on for run in report.runs] == ["validation", "test"]
    assert report.speed.ratio > 0
    assert sum(map(sum, report.confusion)) == len(few_sets.test_set)
    assert sum(report.confusion[i][i] for i in range(10)) == round(report.runs[-1].last.test_accuracy * 3)


@pytest.mark.judge
def test_a_network_that_reaches_what_is_asked_for_passes_and_one_that_does_not_fails_on_accuracy_alone(
    few_sets, processes, tmp_path
):
    text = PLAIN_SMALL.replace("small", "forward")
    low = judged(tmp_path, text, few_sets, processes, speed=False)
    high = judged(tmp_path, text, few_sets, processes, replace(RULES, accuracy=99.9), speed=False)
    assert low.verdict == PASSED, low.findings
    assert [finding.rule for finding in high.findings if finding.verdict != PASSED] == ["accuracy"]
    assert low.runs[-1].epochs[-1].test_accuracy == high.runs[-1].epochs[-1].test_accuracy


REMEMBERS = (
    PLAIN_SMALL
    + """
    def forward(self, x):
        logits = self.small(x)
        if not self.training:
            for i, image in enumerate(x):
                key = hash_of(image)
                if key in KNOWN:
                    logits[i] = 9 * torch.eye(10)[KNOWN[key]]
        return logits


def hash_of(image):
    import hashlib
    pixels = ((image * 0.3081 + 0.1307) * 255).round().byte()
    return hashlib.sha256(bytes(pixels.flatten().tolist())).hexdigest()[:12]
"""
)


@pytest.mark.judge
def test_a_stored_hash_of_each_test_image_is_caught(few_sets, processes, tmp_path):
    known = {
        hashlib.sha256(bytes(image.flatten().tolist())).hexdigest()[:12]: int(label)
        for image, label in zip(to_grey(few_sets.test_set.images), few_sets.test_set.labels, strict=True)
    }
    report = judged(tmp_path, f"{REMEMBERS}\n\nKNOWN = {known!r}\n", few_sets, processes, speed=False)
    assert report.verdict == FAILED
    # Its operations, carried out again, know nothing of the images: it gains nothing, and both rules see it.
    assert report.finding("trained").verdict == FAILED
    assert report.finding("shifted").verdict == FAILED
    assert report.runs[-1].last.test_accuracy < 99


EMPTY = {"program": "seed 0", "calls": [], "result": None, "names": {}, "lies": {}, "registered": {}, "fault": "",
         "from_images": True}  # fmt: skip


@pytest.mark.judge
@pytest.mark.parametrize(
    ("change", "rule", "found"),
    [
        ("return self.small(x) * 2", "trained", "others than those that were examined"),
        ("while True: pass", "accuracy", "limit of"),
        ("raise ValueError('tired')", "accuracy", "tired"),
        ("torch.Tensor.std = None", "trained", "torch.Tensor.std"),
        ("x = x * float('inf')", "accuracy", "loss nan"),
        ("say({'program': 'trained'})", "accuracy", "told the judge what cannot be"),
        (f"say({EMPTY!r})", "accuracy", "told the judge what cannot be"),
    ],
    ids=["another network", "hangs", "raises", "patches", "diverges", "claims", "claims another program"],
)  # fmt: skip
def test_what_a_network_does_only_while_it_is_trained(few_sets, processes, tmp_path, change, rule, found):
    later = f"if self.training: COUNT.append(1)\n        if len(COUNT) > 20:\n            {change}"
    text = f"{PLAIN_SMALL}\n    def forward(self, x):\n        {later}\n        return self.small(x)\n\nCOUNT = []\n"
    text += SPEAKS
    # Only what hangs is to reach the limit, however busy the machine is.
    rules = replace(RULES, limits=Limits(minutes_to_train=0.25 if change.startswith("while") else 2))
    report = judged(tmp_path, text, few_sets, processes, rules, speed=False)
    assert report.verdict != PASSED
    assert found in report.finding(rule).found, report.findings


@pytest.mark.judge
def test_a_network_trained_without_augmentation_keeps_its_accuracy_when_images_move(mnist, processes, tmp_path):
    from mnist_drill.judge.sets import Sets

    sets = Sets(mnist[0][:6000], mnist[1][:1000])
    report = judged(tmp_path, "from mnist_drill.networks import stage3 as network\n"
                    "from mnist_drill.recipes import Recipe\nrecipe = Recipe(epochs=2, batch_size=32)\n",
                    sets, processes, speed=False)  # fmt: skip
    assert report.finding("shifted").verdict == PASSED, report.findings
    assert report.runs[-1].last.test_accuracy > 80


@pytest.mark.judge
def test_answers_of_another_shape_after_training_are_reported(few_sets, processes, tmp_path):
    counted = "if self.training:\n            COUNT.append(1)"
    later = "logits = self.small(x)\n        return logits[:7] if len(COUNT) > 20 and not self.training else logits"
    text = f"{PLAIN_SMALL}\n    def forward(self, x):\n        {counted}\n        {later}\n\nCOUNT = []\n"
    report = judged(tmp_path, text, few_sets, processes, speed=False)
    assert report.verdict != PASSED
    assert report.finding("accuracy").verdict == UNKNOWN, report.findings
