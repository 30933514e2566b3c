"""The checks of `notebooks/exercises/02_parameter_reduction.ipynb`."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from functools import cache
from math import log, sqrt

import torch
from torch import nn

from mnist_drill.data import LabeledImages, split
from mnist_drill.errors import DrillError
from mnist_drill.exercises import samples
from mnist_drill.exercises.feedback import (
    NotYet,
    Wrong,
    ask,
    because,
    checked,
    kind,
    named_line,
    number,
    parts,
    percent,
    run,
)
from mnist_drill.networks import conv_block, parameter_count, seeded
from mnist_drill.receptive_field import Layer, trace
from mnist_drill.recipes import PLAIN
from mnist_drill.train import evaluate, fit

# Parameters of the designed network, fewer than any network has that the notebooks show before; percent of the
# validation images.
BUDGET, LEAST = 3_500, 90.0
DESIGN_RECIPE = replace(PLAIN, epochs=3, batch_size=32)  # with He initialization


@checked
def parameters(convolution, separable) -> str:
    """`convolution(k, c, d)` and `separable(k, c, d)`, numbers of parameters, against torch's layers."""
    for k, c, d in ((3, 16, 24), (1, 24, 8), (7, 128, 128), (5, 1, 6)):
        right = parameter_count(nn.Conv2d(c, d, k, bias=False))
        yours = number(ask(convolution, k, c, d), "the number of parameters")
        where = f"a {k}×{k} convolution from {c} to {d} channels"
        _compare_counts(
            yours,
            right,
            where,
            {
                "yours counts a bias, and it has none": right + d,
                "yours counts k weights for a kernel, which has k in each of two directions": k * c * d,
                "yours leaves out the input channels: each output channel has a kernel for each of them": k * k * d,
                "yours leaves out the output channels: each has kernels of its own": k * k * c,
                "yours adds the channels: there is a kernel for each pair of them, so multiply": k * k * (c + d),
            },
        )
        right = c * k * k + c * d
        yours = number(ask(separable, k, c, d), "the number of parameters")
        _compare_counts(
            yours,
            right,
            f"depthwise separable, {where}",
            {
                "the 1×1 convolution across channels is missing": c * k * k,
                "yours has a depthwise kernel for each pair of channels; it is one for each": c * c * k * k + c * d,
                "that is an ordinary convolution": k * k * c * d,
                "yours counts depthwise kernels by the channels that go out": d * k * k + c * d,
                "yours multiplies the two parts: add them": c * k * k * c * d,
                "yours has the ordinary convolution in it: the depthwise one has a kernel for each of c channels": (
                    k * k * c * d + c * d
                ),
                "yours has one depthwise kernel for all channels: it is one for each": k * k + c * d,
                "yours counts k weights for a kernel, which has k in each of two directions": k * c + c * d,
                "yours counts biases, and there are none": c * k * k + c * d + c + d,
            },
        )
    return "your counts are those of torch's layers"


def _compare_counts(yours: float, right: int, where: str, mistakes: dict[str, int]) -> None:
    if yours != right:
        why = because(mistakes, lambda count: count == yours)
        raise Wrong(f"{where} has {right:,} parameters; yours says {yours:,g}{why}")


@checked
def he_initialization(initialize) -> str:
    """`initialize(layer)` has to fill a convolution's weights with mean 0 and variance 2 / n, n inputs of a unit."""
    for c, d, k in ((16, 64, 3), (128, 32, 3), (64, 256, 1)):
        layer = nn.Conv2d(c, d, k, bias=False)
        before = layer.weight.detach().clone()
        answer = run(initialize, layer)
        weight = layer.weight.detach()
        if isinstance(answer, torch.Tensor) and torch.equal(weight, before):
            raise Wrong("the layer's weights are as they were: fill `layer.weight` in place, and return nothing")
        if torch.equal(weight, before):
            raise NotYet("the layer's weights are as they were")
        if weight.shape != before.shape or not weight.isfinite().all():
            raise Wrong("the weights must be finite and keep their shape")
        std, n, where = weight.std().item(), c * k * k, f"a {k}×{k} convolution from {c} to {d} channels"
        if weight.unique().numel() < weight.numel() / 2:
            raise Wrong(f"{where}: many weights are the same number: draw one for each weight, of each output channel")
        if abs(weight.mean().item()) > 0.1 * sqrt(2 / n):
            raise Wrong(f"{where}: the mean should be 0; it is {weight.mean().item():.3f}")
        if abs(std / sqrt(2 / n) - 1) > 0.05:
            mistakes = {
                "2 / n is the variance: the standard deviation is its square root": 2 / n,
                "that is the variance 1 / n: ReLU removes half of it": sqrt(1 / n),
                "that is torch's own variance, 1 / (3 n)": sqrt(1 / (3 * n)),
                "n counts the inputs of a unit, k · k · c, and not the input channels alone": sqrt(2 / c),
                "n counts what comes in, k · k · c, and not what goes out": sqrt(2 / (d * k * k)),
                "that is Xavier's initialization, which counts what comes in and what goes out": (
                    sqrt(2 / (n + d * k * k))
                ),
                "n counts the inputs of a unit, k · k · c, and not all weights of the layer": sqrt(2 / (n * d)),
                "n counts the inputs of a unit, k · k · c, and not those from one channel": sqrt(2 / (k * k)),
                "the standard deviation is the root of 2 / n, and not the root of 2 divided by n": sqrt(2) / n,
            }
            why = because(mistakes, lambda value, std=std: abs(std / value - 1) < 0.05)
            raise Wrong(f"{where}: the standard deviation should be {sqrt(2 / n):.3f}; it is {std:.3f}{why}")
    return "mean 0 and variance 2 / n in every layer"


@checked
def design(network) -> str:
    """A network of the learner's own: fewer than 3,500 parameters, and accurate on 1,000 validation images.

    It gets He initialization, and trains on 4,167 images of the training split for three epochs, at random seed 1.
    """
    torch.manual_seed(1)
    model = samples.network_of(network)
    count = parameter_count(model)
    if count >= BUDGET:
        raise Wrong(f"it should have fewer than {BUDGET:,} parameters; it has {count:,}{_largest(model)}")
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    train_split, validation_set = split(samples.mnist()[0])
    try:
        trained = fit(
            model, DESIGN_RECIPE, train_split[::12], validation_set[::10], name="design", seed=1,
            device="cpu", progress=False, on_epoch=lambda row: None,
        )  # fmt: skip
    except Exception as error:
        raise Wrong(f"it cannot be trained: {type(error).__name__}: {error}") from None
    accuracy = trained.last.test_accuracy if trained.epochs else 0.0
    if not accuracy >= LEAST:
        reason = ""
        if trained.epochs and abs(trained.last.test_loss - log(10)) < 1e-3:
            reason = "; its logits are all 0: ReLUs are closed for every image, see notebook 2: try more channels"
        elif any(pool.operation.startswith("global") for pool in _average_pools(model)):
            reason = "; with global average pooling so short a training is not enough: keep positions until the end"
        raise Wrong(f"it should reach {LEAST:g} % validation accuracy; it reaches {percent(accuracy)}{reason}")
    return f"fewer than {BUDGET:,} parameters, and at least {LEAST:g} % validation accuracy after a short training"


def _largest(model: nn.Module) -> str:
    """Where most parameters of a network are."""
    layers = {name: layer.weight.numel() for name, layer in model.named_modules() if hasattr(layer, "weight")}
    name = max(layers, key=layers.get, default=None)
    return f", {layers[name]:,} of them in layer {name}" if name else ""


@checked
def pooling(network, line) -> str:
    """The fault: an average pool that leaves 3×3 positions, so that the network has 90 outputs in place of 10."""
    named_line(line, {5}, "follow the size of an image through the network")
    model = samples.network_of(network).eval()
    right = nn.Sequential(
        conv_block(1, 8, pool=True),
        conv_block(8, 12),
        conv_block(12, 12),
        conv_block(12, 12),
        nn.AvgPool2d(7),
        nn.Conv2d(12, 10, 1, bias=False),
        nn.Flatten(),
    )
    pools = any(isinstance(layer, nn.AvgPool2d | nn.AdaptiveAvgPool2d) for layer in model.modules())
    gone = "the logits are ten, but the average pooling is gone; keep it, over all positions"
    shapes, weights = ([weight.shape for weight in net.parameters()] for net in (right, model))
    if shapes != weights:
        changed = "the logits are ten, but the convolutions are others now; change the pooling alone"
        raise Wrong(changed if pools else gone)
    images, _ = samples.ten_images()
    with torch.no_grad():
        logits = run(model, images)
        for weight, theirs in zip(right.parameters(), model.parameters(), strict=True):
            weight.copy_(theirs)
        if torch.allclose(logits, right(images), rtol=1e-4, atol=1e-5):
            return "right, line 5: the pool covers all positions, and there are ten logits"
    if not pools:
        raise Wrong(gone)
    if any(_leaves_out(pool) for pool in _average_pools(model)):
        raise Wrong(
            "the logits are ten, but the pool leaves out rows and columns; a stride is the kernel's side unless given"
        )
    raise Wrong("the logits are ten, but not those of one average over all 7×7 positions; change line 5 alone")


def _average_pools(model: nn.Module) -> list[Layer]:
    """The average pools of a network that can be traced."""
    try:
        return [layer for layer in trace(model) if layer.operation.endswith("average pool")]
    except DrillError:
        return []


def _leaves_out(pool: Layer) -> bool:
    """Whether the kernel never reaches the last rows and columns."""
    return (pool.size_out - 1) * pool.stride + pool.kernel - pool.padding < pool.size_in


@checked
def selection(choose, line) -> str:
    """The fault: a network that is chosen by its test accuracy, so that the figure reported for it is too high."""
    named_line(line, {1}, "ask which images have an influence on the choice")
    _, validation, test = _contest()
    name, reported = _choice(choose, test)
    elsewhere = {_choice(choose, samples.mnist()[1][start : start + 200])[0] for start in range(5000, 8000, 200)}
    candidates, _, _ = _contest()  # which the learner's function cannot have changed
    on_validation, on_test = _accuracies(candidates, validation), _accuracies(candidates, test)
    losses = {each: evaluate(model, validation).loss for each, model in candidates.items()}
    best = on_validation[name] == max(on_validation.values()) or losses[name] == min(losses.values())
    if elsewhere != {name} or not best:
        if on_test[name] < max(on_test.values()):
            if elsewhere == {name}:
                raise Wrong(f"the chosen one has {on_validation[name]:.1f} % validation accuracy, and another has more")
            raise Wrong("with other test images it chooses another: the validation set alone is to choose")
        others = evaluate(candidates[name], samples.mnist()[1][5000:]).accuracy
        raise Wrong(
            f"the test set still chooses: its {len(test)} images give the chosen one {on_test[name]:.1f} %, "
            f"other test images {others:.1f} %"
        )
    if abs(reported - on_test[name]) > 1e-6:
        raise Wrong(
            f"the accuracy to report is that on the test set, {on_test[name]:.1f} %; yours says {reported:.1f} %"
        )
    return "right, line 1: the validation set chooses, and the test set only reports"


def _choice(choose, test: LabeledImages) -> tuple[str, float]:
    """What the learner's function returns with these test images. Raises `Wrong` where it is no candidate."""
    candidates, validation, _ = deepcopy(_contest())
    name, reported = parts(ask(choose, candidates, validation, test), ("name", "accuracy"), "the function")
    if not isinstance(name, str) or name not in candidates:
        raise Wrong(f"the first value is the name of a candidate; yours is {kind(name)}")
    return name, number(reported, "the accuracy")


@cache
def _contest() -> tuple[dict[str, nn.Module], LabeledImages, LabeledImages]:
    """Candidates, validation images, and test images that prefer another candidate.

    The candidates differ by the images that they were trained on, so that chance alone decides which is best.
    """
    train_set, test_set = samples.mnist()
    candidates = {}
    for index in range(10):
        model = seeded(lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10)), index)
        samples.train(model, samples.in_batches(train_set[200 * index : 200 * (index + 1)], 20), learning_rate=0.01)
        candidates[f"candidate {index}"] = model.eval()
    validation = train_set[50_000:50_300]
    on_validation = _accuracies(candidates, validation)
    for start in range(0, 5000, 200):
        test = test_set[start : start + 200]
        on_test = _accuracies(candidates, test)
        preferred = [on_validation[name] for name, accuracy in on_test.items() if accuracy == max(on_test.values())]
        if max(preferred) < max(on_validation.values()):
            break
    return candidates, validation, test


def _accuracies(candidates: dict[str, nn.Module], dataset: LabeledImages) -> dict[str, float]:
    return {name: evaluate(model, dataset).accuracy for name, model in candidates.items()}
