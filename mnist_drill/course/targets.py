"""What several notebooks ask of a run: the claims that they share."""

from __future__ import annotations

from mnist_drill.course.claims import Claim, claim


def every_one_of_the_last(epochs: int, least: float, why: str = "the last epoch alone could be luck") -> Claim:
    """The test accuracy of each of the last `epochs` epochs is at least `least` percent."""
    return claim("Every one of the last {epochs} epochs reaches at least {least} % test accuracy", why=why,
                 measure=lambda run, *_: run.lowest_of_last(epochs), epochs=epochs, least=least)  # fmt: skip


def ends_at(least: float, why: str) -> Claim:
    """The test accuracy after the last epoch is at least `least` percent."""
    return claim("The last epoch reaches at least {least} % test accuracy", why=why,
                 measure=lambda run, *_: run.last.test_accuracy, least=least)  # fmt: skip


def fewer_parameters_than(below: int, why: str = "the budget of the course") -> Claim:
    """The network has fewer than `below` parameters."""
    return claim("The network has fewer than {below:,} parameters", why=why,
                 measure=lambda run, *_: run.parameters, below=below)  # fmt: skip


def at_most_epochs(most: int, why: str = "the course runs on a laptop") -> Claim:
    """It trains for at most `most` epochs."""
    return claim("It trains for at most {most} epochs", why=why, measure=lambda run, *_: len(run.epochs), most=most)
