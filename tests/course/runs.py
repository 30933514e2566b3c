"""Runs that were never trained, for tests of what is said about runs."""

from dataclasses import replace

from mnist_drill.recipes import PLAIN
from mnist_drill.runs import Epoch, Run, Score

RUN = Run(
    name="stage2", parameters=9_712, seed=1, recipe=PLAIN.with_epochs(1), network="a digest", data="another digest",
    environment={"device": "cpu", "hardware": "a CPU", "precision": "float32", "threads": 2, "torch": "2.0"},
    epochs=(Epoch(1, 2.3, 11.8, 2.3, 16.4, 0.25),), train_score=Score(2.3, 15.2),
)  # fmt: skip


def ending(*accuracies):
    """Runs of five epochs that differ in their seed and in their last test accuracy."""
    return [
        replace(
            RUN, seed=seed, epochs=(*[replace(RUN.last, test_accuracy=99.0)] * 4, replace(RUN.last, test_accuracy=a))
        )
        for seed, a in enumerate(accuracies, 1)
    ]


def made_with(run, **environment):
    """The same run, as if made with another hardware, precision or number of threads."""
    return replace(run, environment=run.environment | environment)
