"""The checks of `notebooks/exercises/04_augmentation_scheduler.ipynb`."""

from __future__ import annotations

import math
from copy import deepcopy

import torch
from torch import nn
from torch.nn.functional import affine_grid
from torch.optim.lr_scheduler import LambdaLR

from mnist_drill.augment import affine, augment
from mnist_drill.data import MEAN, STD, normalize
from mnist_drill.exercises import samples
from mnist_drill.exercises.feedback import (
    NotYet,
    Wrong,
    ask,
    because,
    checked,
    compare,
    kind,
    named_line,
    number,
    percent,
    run,
    tensor,
)
from mnist_drill.exercises.watched import ask_by_hand
from mnist_drill.networks import seeded
from mnist_drill.recipes import STAGE4, Augmentation, WarmupCosine
from mnist_drill.train import evaluate, train_epoch

RANGES = Augmentation(rotation=10, translation=2)  # the exercise's


@checked
def rotation(grid) -> str:
    """`grid(degrees, side)`: where `grid_sample` finds each pixel of an image rotated clockwise, (side, side, 2)."""
    for degrees, side in ((30.0, 28), (0.0, 5), (-10.0, 9)):
        angle = math.radians(degrees)
        cos, sin = math.cos(angle), math.sin(angle)

        def affine(cos: float, sin: float, corners: bool = False, side: int = side) -> torch.Tensor:
            matrix = torch.tensor([[[cos, sin, 0.0], [-sin, cos, 0.0]]])
            return affine_grid(matrix, [1, 1, side, side], align_corners=corners)[0]

        right, shift = affine(cos, sin), [cos + sin, cos - sin]  # of a grid whose x and y are larger by 1
        mistakes = {
            "the angle is in degrees; `cos` and `sin` take radians": affine(math.cos(degrees), math.sin(degrees)),
            "yours has y first: x, along the row, comes first, and y second": right.flip(2),
            "yours exchanges rows and columns: the first index is the row, y": right.transpose(0, 1),
            "-1 and 1 are the edges of the image, half a pixel outside the first and the last center": affine(
                cos, sin, corners=True
            ),
            "it rotates the other way: the grid says where a pixel comes from, so it needs the inverse": affine(
                cos, -sin
            ),
            "coordinates go from -1 to 1, and are no numbers of pixels": right * side / 2,
            "coordinates go from -1 to 1, and not from 0 to 1": (right + torch.tensor(shift)) / 2,
            "the center of pixel i is at (2i + 1) / n - 1; yours is half a pixel before it": (
                right - torch.tensor(shift) / side
            ),
            "it is not rotated": affine(1.0, 0.0),
        }
        yours = ask_by_hand(grid, degrees, side, without=("affine_grid", "affine_grid_generator"))
        compare(yours, right, f"the grid at {degrees:g}° and {side} pixels", mistakes)
    return "your grid is that of torch's `affine_grid`: an image is rotated clockwise"


@checked
def schedule(learning_rate) -> str:
    """`learning_rate(progress, peak, initial, warmup, annealed, final)` against the recipe's, in each of its parts."""
    for peak, s in ((STAGE4.learning_rate, STAGE4.schedule), (0.1, WarmupCosine(0.1, 0.3, 0.9, 0.02))):
        long = s.annealed - s.warmup
        points = {
            "at the first step": 0.0,
            "halfway through the warmup": s.warmup / 2,
            "at the end of the warmup": s.warmup,
            "after a third of the annealing": s.warmup + long / 3,
            "halfway through the annealing": s.warmup + long / 2,
            "late in the annealing": s.warmup + 0.9 * long,
            "after the annealing": s.annealed,
            "at the last step": 1.0,
        }
        for where, progress in points.items():
            yours = number(
                ask(learning_rate, progress, peak, s.initial, s.warmup, s.annealed, s.final), "the learning rate"
            )
            right = peak * s.factor(progress)
            if not math.isclose(yours, right, rel_tol=1e-5, abs_tol=1e-9):  # float32 has seven digits
                descent = (progress - s.warmup) / long
                mistakes = {
                    "it is a share of the peak: multiply by it": s.factor(progress),
                    "the warmup starts at `initial` times the peak, and not at 0": peak * progress / s.warmup,
                    "the cosine ends at `final` times the peak, and not at 0": peak
                    * (1 + math.cos(math.pi * descent))
                    / 2,
                    "annealing starts at the end of the warmup, and not at the first step": peak
                    * (s.final + (1 - s.final) * (1 + math.cos(math.pi * progress / s.annealed)) / 2),
                    "the cosine is upside down": peak
                    * (s.final + (1 - s.final) * (1 - math.cos(math.pi * descent)) / 2),
                    "that is a straight line": peak * (1 + (s.final - 1) * descent),
                    "the part that is still to come is (1 + cos πt) / 2; yours is twice that": peak
                    * (s.final + (1 - s.final) * (1 + math.cos(math.pi * descent))),
                    "the cosine takes π times t": peak * (s.final + (1 - s.final) * (1 + math.cos(descent)) / 2),
                    "the rise is from `initial` to 1, so multiply it by 1 - `initial`": peak
                    * (s.initial + progress / s.warmup),
                    "the fall is by 1 - `final`, and ends at `final`": peak
                    * (1 - s.final)
                    * (1 + math.cos(math.pi * descent))
                    / 2,
                }
                why = because(mistakes, lambda rate, yours=yours: math.isclose(yours, rate, rel_tol=1e-6))
                raise Wrong(f"{where} the learning rate should be {right:.4g}; yours says {yours:.4g}{why}")
    return "warmup, annealing and final learning rate are the recipe's"


@checked
def ema(hook_for) -> str:
    """`hook_for(model, averaged, decay)`: a hook that moves the averaged network's weights after each step."""
    train_set, _ = samples.mnist()
    batches, decay = samples.in_batches(train_set[:320], 32), 0.9

    def trained(hook_for) -> tuple[torch.Tensor, torch.Tensor]:
        model = seeded(samples.small_network, 1)
        averaged = deepcopy(model)
        train_epoch(model, batches, torch.optim.SGD(model.parameters(), lr=0.1), [hook_for(model, averaged)])
        return samples.weights_of(model), samples.weights_of(averaged)

    def moving(share: float, new: float | None = None, steps: int = len(batches)):
        """Makes a hook by these shares of the old average and of the new weights, which works for so many steps."""

        def hook_for(model, averaged):
            left = iter(range(steps))

            def hook(loss):
                if next(left, None) is None:
                    return
                with torch.no_grad():
                    for average, weight in zip(averaged.parameters(), model.parameters(), strict=True):
                        average.mul_(share).add_(weight, alpha=1 - share if new is None else new)

            return hook

        return hook_for

    def yours(model, averaged):
        hook = ask(hook_for, model, averaged, decay)
        if not callable(hook):
            raise Wrong(f"`hook_for` must return the hook, a function; yours returns {kind(hook)}")
        return lambda loss: run(hook, loss)

    weights, average = trained(yours)
    plain, right = trained(moving(decay))
    if not torch.allclose(weights, plain, atol=1e-5):
        raise Wrong("the network itself trains differently with your hook: it must change the averaged weights alone")
    if torch.equal(average, samples.weights_of(seeded(samples.small_network, 1))):
        raise NotYet(
            "the averaged weights are as they were; note that `a = …` makes another tensor, and `a.mul_(…)` changes "
            "the weight"
        )
    mistakes = {
        "they are the weights of the last step": plain,
        "they move at the first step only: a `zip` is used up after one round, so make it in the hook": (
            trained(moving(decay, steps=1))[1]
        ),
        "they move to the new weights, but `1 - decay` is missing there": trained(moving(decay, new=1))[1],
        "`decay` times the old average is missing: the new weights' share is only added": trained(
            moving(1, new=1 - decay)
        )[1],
        "`decay` is the share of the old average, and 1 - decay that of the new weights": trained(moving(1 - decay))[1],
    }
    compare(average, right, "the averaged weights", mistakes)
    return "your hook keeps the exponential moving average of the weights"


@checked
def scheduler_step(fit, line) -> str:
    """The fault: a schedule over all steps that moves on once per epoch, so that it never leaves the warmup."""
    named_line(line, {7}, "ask how often each line is executed in an epoch")
    train_set, _ = samples.mnist()
    batches, epochs = samples.in_batches(train_set[:160], 8), 5
    steps = epochs * len(batches)
    rates: list[float] = []  # at each step of the last training

    def trained(fit) -> torch.Tensor:
        model = seeded(lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10)), 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
        scheduler = LambdaLR(optimizer, lambda step: STAGE4.learning_rate_at(step / steps))
        rates.clear()
        optimizer.register_step_post_hook(lambda *_: rates.append(optimizer.param_groups[0]["lr"]))
        fit(model, batches, optimizer, scheduler, epochs)
        return samples.weights_of(model)

    def by(epoch):
        """A training by this loop, with a schedule that moves on after each step."""

        def fit(model, batches, optimizer, scheduler, epochs):
            for _ in range(epochs):
                epoch(model, batches, optimizer, [lambda loss: scheduler.step()])

        return fit

    expected, summed = trained(by(train_epoch)), trained(by(samples.never_cleared))
    weights = trained(lambda *arguments: run(fit, *arguments))
    if not rates:
        raise NotYet("no step is taken")
    if len(rates) != steps:
        raise Wrong(f"{epochs} epochs of {len(batches)} batches are {steps} steps; yours takes {len(rates)}")
    right = [STAGE4.learning_rate_at(step / steps) for step in range(steps)]
    if not max(rates) > 0.7:
        raise Wrong(
            f"the learning rate starts at {rates[0]:.3f} and gets no higher than {max(rates):.3f}; "
            f"its peak should be {STAGE4.learning_rate:g}"
        )
    if rates != right:
        first = next(step for step, (mine, due) in enumerate(zip(rates, right, strict=True), 1) if mine != due)
        early = ": the scheduler moves before the optimizer" if rates[:-1] == right[1:] else ""
        raise Wrong(
            f"step {first} should have learning rate {right[first - 1]:.4f}; yours has {rates[first - 1]:.4f}{early}"
        )
    if torch.equal(weights, trained(lambda *_: None)):
        raise Wrong("the learning rates are right, but no weight has changed: each step needs its gradients")
    what = "the learning rates are right, but the rest of the loop is not as it was: the weights"
    compare(weights, expected, what, {"gradients of earlier steps are still there": summed})
    return "right, line 7: the schedule moves on after each step, and reaches its peak"


@checked
def background(prepare, line) -> str:
    """The fault: augmentation after normalization, which fills in 0 where the background is below 0."""
    named_line(line, {1, 2}, "ask which value the background has at each line")
    train_set, _ = samples.mnist()
    images = train_set.images[:500]
    torch.manual_seed(2)
    expected = normalize(augment(images, RANGES))
    torch.manual_seed(2)
    yours = tensor(ask(prepare, images.clone()), images.shape, "the prepared images")
    right = "augmentation first, on a background of 0, and then normalization: no corner is gray"
    if torch.allclose(yours, expected.double(), atol=1e-3):
        return right
    # Perhaps with other random numbers, so that each image is another, and all the same right.
    dark = (0 - MEAN) / STD
    corners = yours[:, 0, [0, 0, -1, -1], [0, -1, 0, -1]]
    gray = ((corners - dark).abs() > 0.01).double().mean().item()
    if torch.allclose(yours, images.double(), atol=1e-4) or torch.allclose(corners, torch.zeros_like(corners)):
        raise Wrong("the images are no longer normalized")
    if gray > 0.02:
        raise Wrong(
            f"background is {dark:.4f} after normalization; {percent(100 * gray)} of the corners are something else"
        )
    unfilled = (yours.abs() < 1e-4).double().mean().item()
    if unfilled > 0.002:
        raise Wrong(f"the corners are right, but {percent(100 * unfilled)} of all pixels are still filled with 0, gray")
    if torch.allclose(yours, normalize(images).double(), atol=1e-4):
        raise Wrong("the images are no longer augmented")
    few, theirs = images[:20], (yours[:20] * STD + MEAN).float()
    lost = sum(_distance(image, other) > 0.3 for image, other in zip(few, theirs, strict=True))
    if lost:
        raise Wrong(
            f"no corner is gray, but {lost} of {len(few)} images are no longer their digits, rotated by up to 10° and "
            "moved by up to 2 pixels: exchange the two lines, and change nothing else"
        )
    return right


def _distance(image: torch.Tensor, other: torch.Tensor) -> float:
    """How far `other` is from the most similar of all rotated and moved copies of an image, (1, 28, 28), in its norm.

    Copies lie 1.5° and half a pixel apart: the median for one between them was 0.10, the largest of 200 0.22.
    """
    angles, shifts = torch.arange(-10.5, 11, 1.5), torch.arange(-2.0, 2.1, 0.5)
    angle, right, down = torch.cartesian_prod(angles, shifts, shifts).unbind(dim=1)
    still = torch.zeros_like(angle)
    copies = affine(image.expand(len(angle), 1, 28, 28), angle, torch.stack([right, down], dim=1), still + 1, still)
    return ((copies - other).square().sum(dim=(1, 2, 3)).min() / image.square().sum()).sqrt().item()


@checked
def evaluation(score, line) -> str:
    """The fault: a test set that is augmented, so that its accuracy differs from call to call, and is lower."""
    named_line(line, {1}, "ask what happens to a test image before the network sees it")
    model, few = samples.trained_network(2560, norm=True, dropout=0.1), samples.mnist()[1][:1000]
    modes: list[bool] = []  # for each call of the network, whether it is in training mode
    handle = model.register_forward_pre_hook(lambda module, inputs: modes.append(module.training))
    yours, again = (number(ask(score, model.train(), few), "the accuracy") for _ in range(2))
    handle.remove()
    if any(modes):
        raise Wrong("the network is in training mode: that line was right")
    right = evaluate(model, few).accuracy
    if yours != again:
        both = f"{percent(yours)} and {percent(again)}"
        raise Wrong(f"two calls give {both}: something random is left; it should be {percent(right)}")
    if not math.isclose(yours, right, abs_tol=0.11):  # an image may lie on the edge between two classes
        raise Wrong(f"the accuracy should be {percent(right)}; yours says {percent(yours)}")
    return "right, line 1: test images stay as they are, and the accuracy is the same at each call"
