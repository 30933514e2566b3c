"""Networks and runs compared: bit for bit, and without the times that no two runs share."""

from dataclasses import replace

import torch

from mnist_drill.runs import Run


def same_weights(one, other):
    """Whether two networks have the same state, bit for bit."""
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


def without_seconds(run):
    """The rows of a run without their times."""
    return [replace(row, seconds=0) for row in run.epochs]


def runs_in(out):
    """The runs in a study's folder by file, without their times."""
    return {
        path.name: replace(run, epochs=tuple(without_seconds(run)))
        for path in sorted(out.glob("runs/*.json"))
        for run in [Run.load(path)]
    }
