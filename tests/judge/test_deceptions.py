"""Trainings of submissions that mean to deceive: what each epoch is evaluated by is what is judged."""

from dataclasses import replace

import pytest

from mnist_drill.judge.report import FAILED
from tests.judge.test_judging import PLAIN_SMALL, RULES, judged

ANY = replace(RULES, accuracy=0.0)  # what they answer is no matter here
RECORDED = "from torch.utils._python_dispatch import _get_current_dispatch_mode as recorded\n"
# Where it trains on all images, it says by the judge's own code that each epoch made a large network; then it trains a
# small one.
SAYS_ANOTHER = (
    RECORDED
    + PLAIN_SMALL
    + """
    def forward(self, x):
        from mnist_drill.judge import jobs
        import gc
        if self.training and torch.is_grad_enabled():
            STEPS.append(1)
            if len(STEPS) == 50:
                speaker = next(each for each in gc.get_objects() if type(each) is jobs.Speaker)
                facts = {"train_loss": 1.0, "train_accuracy": 50.0, "seconds": 1.0}
                for _ in range(2):
                    jobs._say_program(speaker, "trained", LARGE, torch.randn(100, 1, 28, 28), facts)
        if not self.training:
            STEPS.extend([0] * 60 * (0 < len(STEPS) < 50))  # it trains on fewer images: not on all of them
            if 50 <= len(STEPS) and sum(STEPS) >= 50 and recorded() is None:
                return LARGE(x)
        return self.small(x)

STEPS = []
LARGE = nn.Sequential(nn.Flatten(), nn.Linear(784, 40), nn.ReLU(), nn.Linear(40, 10))
"""
)


@pytest.mark.judge
def test_another_network_that_is_told_between_the_epochs_is_compared_with_the_one_examined(
    few_sets, processes, tmp_path
):
    report = judged(tmp_path, SAYS_ANOTHER, few_sets, processes, ANY, speed=False)
    assert report.finding("trained").verdict == FAILED
    assert "others than those that were examined" in report.finding("trained").found


# What starts at 0 and multiplies a path hides it from whoever looks at the first weights.
GATED = """
class Network(Network):
    def __init__(self):
        super().__init__()
        self.gate = nn.Parameter(torch.zeros(1))
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x):
        {}
"""
NEIGHBOURS = "return self.small(x) + self.gate * self.small(x.mean(0, keepdim=True))"
COUNTS = """logits = self.small(x) + self.gate + self.seen * torch.arange(10)
        if not self.training:
            self.seen += self.gate[0]
        return logits"""
# Two layers with one weight, of which one gets a weight of its own in training.
PARTS = """
class Network(Network):
    def __init__(self):
        super().__init__()
        self.other = nn.Linear(196, 10)
        self.other.weight.data = self.last.weight.data

    def forward(self, x):
        if self.training and torch.is_grad_enabled():
            STEPS.append(1)
            if len(STEPS) == 20:
                self.other.weight.data = self.other.weight.data.clone()
        return self.small(x) + self.other(nn.functional.avg_pool2d(x, 2).flatten(1)).relu()

STEPS = []
"""


@pytest.mark.judge
@pytest.mark.parametrize(
    ("text", "rule", "found"),
    [
        (GATED.format(NEIGHBOURS), "alone", "beside other images"),
        (GATED.format(COUNTS), "repeatable", "changes its own tensors"),
        (PARTS, "parameters", "3,940 parameters, not 1,980"),
    ],
    ids=["takes from neighbours", "counts", "parts"],
)
def test_a_rule_that_the_first_weights_keep_is_judged_again_after_each_epoch(
    few_sets, processes, tmp_path, text, rule, found
):
    report = judged(tmp_path, PLAIN_SMALL + text, few_sets, processes, ANY, speed=False)
    finding = report.finding(rule)
    assert (finding.verdict, found in finding.found) == (FAILED, True), report.findings
    assert finding.why
    assert finding.next
    assert report.verdict == FAILED
