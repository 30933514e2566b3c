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
