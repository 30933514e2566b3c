"""What trainings show of a network: findings on its recipe, its accuracy and moved images; and its errors."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING

from mnist_drill.course.statistics import mean_interval, seeds_to_tell
from mnist_drill.data import to_grey
from mnist_drill.judge.reasons import NEXT, WHY
from mnist_drill.judge.report import FAILED, PASSED, UNKNOWN, Error, Finding
from mnist_drill.predictions import accuracy, confusion_matrix, most_confident_errors, predictions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from mnist_drill.judge.rules import Rules
    from mnist_drill.judge.sets import Sets
    from mnist_drill.judge.trainings import Trained
    from mnist_drill.recipes import Recipe

MOST_ERRORS = 20
STRANGE_ANSWERS = 0.001  # the share of test images that a process may answer otherwise than its operations


def recipe_finding(recipe: Recipe, rules: Rules, from_file: bool) -> Finding:
    """Judged before anything is trained."""
    found = f"{recipe.epochs} epochs of at most {rules.epochs}{'' if from_file else ', by the default recipe'}"
    passed = recipe.epochs <= rules.epochs
    return Finding("recipe", PASSED if passed else FAILED, found, WHY["recipe"],
                   "" if passed else f"Set epochs = {rules.epochs} or fewer in the recipe.")  # fmt: skip


def not_trained(why: str) -> list[Finding]:
    """The findings where there was no training."""
    return [Finding("accuracy", UNKNOWN, f"not trained: {why}", WHY["accuracy"], "Fix what is named above first.")]


def training_findings(trained: Sequence[Trained], sets: Sets, rules: Rules) -> list[Finding]:
    """Of all trainings; accuracy and shifted are judged by those on all images."""
    faults = [each.fault for each in trained if each.fault] or _strange(trained, sets)
    findings = [Finding(rule, FAILED, found, WHY[rule], NEXT[rule]) for rule, found in faults[:1]]
    unfinished = [x for x in trained if x.why]
    if unfinished:
        found = f"seed {unfinished[0].task.seed}: {unfinished[0].why}"
        advice = "Train it yourself for some epochs: `mnist-drill study` takes a network from a file."
        return [*findings, Finding("accuracy", UNKNOWN, found, WHY["accuracy"], advice)]
    findings.append(_accuracy([x for x in trained if x.task.evaluated_on == "test"], rules))
    findings.append(_shifted([x for x in trained if x.task.evaluated_on == "test"], sets, rules))
    return findings


def _accuracy(trained: list[Trained], rules: Rules) -> Finding:
    lows = [each.run.lowest_of_up_to(rules.last) for each in trained]
    epochs = min(rules.last, len(trained[0].run.epochs))
    passed = min(lows) >= rules.accuracy
    spread = f" ± {statistics.stdev(lows):.2f}" if len(lows) > 1 else ""
    seeds = f"{len(lows)} seed{'s' * (len(lows) > 1)}"
    found = (
        f"lowest of the last {epochs} epoch{'s' * (epochs > 1)} {min(lows):.2f} % over {seeds} "
        f"(mean {statistics.mean(lows):.2f}{spread}); {rules.accuracy:g} % is asked for"
    ) + _certainty(lows, rules.accuracy)
    advice = "Compare training and validation accuracy: if both are low, the network needs more width where it is " \
        "narrow, or more epochs; if only validation is low, augmentation and dropout."  # fmt: skip
    return Finding("accuracy", PASSED if passed else FAILED, found, WHY["accuracy"], "" if passed else advice)


def _certainty(lows: list[float], asked: float) -> str:
    """What the interval of the mean says about more seeds."""
    low, high = mean_interval(lows)
    if math.isinf(low):
        return "; one seed tells nothing of the others" if len(lows) < 2 else ""
    interval = f"; 95 % interval of the mean {low:.2f} to {high:.2f}"
    if not low < asked < high:
        return interval
    needed = seeds_to_tell(statistics.mean(lows) - asked, statistics.stdev(lows))
    return f"{interval}, which needs {'more' if needed is None else f'about {needed}'} seeds to tell"


def _shifted(trained: list[Trained], sets: Sets, rules: Rules) -> Finding:
    labels, images = sets.test_set.labels, len(sets.test_set)
    drops = []
    for each in trained:
        still, moved = (accuracy(x.argmax(dim=1), labels) for x in (each.claimed[:images], each.claimed[images:]))
        drops.append(still - moved)
    found = f"moved by one pixel, test images lose {max(drops):.2f} points at most; {rules.shift_drop:g} are allowed"
    passed = max(drops) <= rules.shift_drop
    advice = "Remove what compares images with stored ones. If there is nothing of the kind, augment by translation."
    return Finding("shifted", PASSED if passed else FAILED, found, WHY["shifted"], "" if passed else advice)


def _strange(trained: Sequence[Trained], sets: Sets) -> list[tuple[str, str]]:
    """Whether a file replaces functions, or a process answers otherwise than its operations: the rule, and what was
    found."""
    for each in trained:
        if each.replaced:
            return [("trained", f"while it trains, the file replaces {', '.join(each.replaced[:5])}")]
        if each.claimed is not None:
            ours = [x.argmax(dim=1) for x in (each.logits, each.shifted)]
            theirs = each.claimed.argmax(dim=1).split(len(sets.test_set))
            strange = sum(int((a != b).sum()) for a, b in zip(ours, theirs, strict=True))
            if strange > STRANGE_ANSWERS * len(each.claimed):
                asked = len(each.claimed)
                found = f"its process answers {strange:,} of {asked:,} test images otherwise than its operations"
                return [("trained", found)]
    return []


def confusion_of(logits: Tensor, labels: Tensor) -> tuple[tuple[int, ...], ...]:
    """Counts: rows are labels, columns predictions."""
    return tuple(map(tuple, confusion_matrix(logits, labels).tolist()))


def errors_of(logits: Tensor, sets: Sets) -> tuple[Error, ...]:
    """The most confident errors on the test set."""
    labels = sets.test_set.labels
    predicted, confidence = predictions(logits)
    wrong = most_confident_errors(logits, labels, MOST_ERRORS)
    grey = to_grey(sets.test_set.images[wrong])
    return tuple(
        Error(
            int(i),
            int(labels[i]),
            int(predicted[i]),
            round(float(confidence[i]), 4),
            bytes(image.flatten().tolist()).hex(),
        )
        for i, image in zip(wrong, grey, strict=True)
    )
