"""The checks of `notebooks/exercises/03_batchnorm_dropout.ipynb`."""

from __future__ import annotations

import torch
from torch import nn

from mnist_drill.data import normalize
from mnist_drill.exercises import samples
from mnist_drill.exercises.feedback import (
    NotYet,
    Wrong,
    ask,
    checked,
    compare,
    named_line,
    parts,
    run,
    tensor,
)
from mnist_drill.exercises.watched import ask_by_hand, optimizer_steps
from mnist_drill.networks import seeded
from mnist_drill.train import predict, train_epoch

MOMENTUM, EPSILON = 0.1, 1e-5  # torch's


@checked
def batch_norm(function) -> str:
    """`function(x, gamma, beta, mean, var, training)`: the output, and the running mean and variance after it.

    Shapes: (N, C, H, W), and (C,) for all others. Against `nn.BatchNorm2d`, three batches in training and one in
    evaluation mode.
    """
    norm = nn.BatchNorm2d(3)
    nn.init.uniform_(norm.weight, 0.5, 2.0)
    nn.init.normal_(norm.bias)
    mean, var = norm.running_mean.clone(), norm.running_var.clone()
    for mode in ("training", "training", "training", "evaluation"):
        norm.train(mode == "training")
        # The last channel varies so little that ε counts.
        x = (1 + 3 * torch.randn(4, 3, 3, 3)) * torch.tensor([1, 1, 0.001]).view(1, 3, 1, 1)
        inputs = x.clone(), norm.weight.detach().clone(), norm.bias.detach().clone(), mean.clone(), var.clone()
        given = ask_by_hand(function, *inputs, mode == "training", without=("batch_norm",))
        answer = parts(given, ("output", "running mean", "running variance"), "the function")
        right = norm(x).detach()
        wrong_outputs, wrong_means, wrong_variances = _batch_norm_mistakes(x, norm, mean, var, mode)
        compare(answer[0], right, f"the output in {mode} mode", wrong_outputs)
        compare(answer[1], norm.running_mean, f"the running mean in {mode} mode", wrong_means)
        compare(answer[2], norm.running_var, f"the running variance in {mode} mode", wrong_variances)
        mean, var = norm.running_mean.clone(), norm.running_var.clone()
    return "output, running mean and running variance are those of `nn.BatchNorm2d`, in both modes"


def _batch_norm_mistakes(x, norm: nn.BatchNorm2d, mean, var, mode: str) -> tuple[dict, dict, dict]:
    """What people get wrong, for the output, the running mean and the running variance."""

    def scaled(center, divisor) -> torch.Tensor:
        shape = (1, 3, 1, 1)
        normed = (x - center.expand(3).view(shape)) / divisor.expand(3).view(shape)
        return (normed * norm.weight.view(shape) + norm.bias.view(shape)).detach()

    def root(variance) -> torch.Tensor:
        return (variance + EPSILON).sqrt()

    axes = (0, 2, 3)
    own_mean, biased, unbiased = x.mean(axes), x.var(axes, correction=0), x.var(axes)
    by_standard_deviation = "divide by the standard deviation, and not by the variance"
    outputs = {
        "ε is missing: it is added to the variance": scaled(own_mean, biased.sqrt()),
        "ε is added to the variance, under the root": scaled(own_mean, biased.sqrt() + EPSILON),
        "the variance in it has n in its denominator; yours has n - 1": scaled(own_mean, root(unbiased)),
        by_standard_deviation: scaled(own_mean, biased + EPSILON),
        f"{by_standard_deviation}; and ε is missing": scaled(own_mean, biased),
        "mean and variance are over batch, rows and columns; yours are over the batch alone": (
            (x - x.mean(0)) / root(x.var(0, correction=0)) * norm.weight.view(1, 3, 1, 1) + norm.bias.view(1, 3, 1, 1)
        ).detach(),
        "mean and variance are over batch, rows and columns; yours are over rows and columns, for each image": (
            (x - x.mean((2, 3), keepdim=True))
            / root(x.var((2, 3), correction=0, keepdim=True))
            * norm.weight.view(1, 3, 1, 1)
            + norm.bias.view(1, 3, 1, 1)
        ).detach(),
        "yours takes one mean and one variance for all channels: each has its own": scaled(
            x.mean(), root(x.var(correction=0))
        ),
        "β is missing": scaled(own_mean, root(biased)) - norm.bias.detach().view(1, 3, 1, 1),
        "γ and β are missing": (x - own_mean.view(1, 3, 1, 1)) / root(biased).view(1, 3, 1, 1),
    }
    if mode == "training":
        own = "training mode normalizes by the batch's own statistics"
        outputs[own] = scaled(mean, root(var))
        moved = (1 - MOMENTUM) * mean + MOMENTUM * own_mean, (1 - MOMENTUM) * var + MOMENTUM * unbiased
        outputs[f"{own}, and not by the running averages"] = scaled(moved[0], root(moved[1]))
        means = {
            "the batch's share is 0.1, and that of the old average 0.9": MOMENTUM * mean + (1 - MOMENTUM) * own_mean,
            "it does not move: in training mode it becomes 0.9 of itself and 0.1 of the batch's": mean,
            "it is an average over batches, and not the mean of the last one": own_mean,
        }
        variances = {
            "the running variance takes the batch's variance with n - 1 in its denominator": (
                (1 - MOMENTUM) * var + MOMENTUM * biased
            ),
            "the batch's share is 0.1, and that of the old average 0.9": MOMENTUM * var + (1 - MOMENTUM) * unbiased,
            "it does not move: in training mode it becomes 0.9 of itself and 0.1 of the batch's": var,
            "it is an average over batches, and not the variance of the last one": unbiased,
        }
        return outputs, means, variances
    outputs = {"evaluation mode normalizes by the running mean and variance": scaled(own_mean, root(biased)), **outputs}
    moves = "evaluation mode leaves it as it is"
    moved = {moves: (1 - MOMENTUM) * mean + MOMENTUM * own_mean}
    return outputs, moved, {moves: (1 - MOMENTUM) * var + MOMENTUM * unbiased}


@checked
def dropout(function) -> str:
    """`function(x, p, training)`: whole channels of (N, C, H, W) set to 0 with probability p, the others scaled."""
    x = 1 + torch.rand(200, 50, 4, 4)
    still = _dropped(function, x, 0.3, False)
    if not torch.allclose(still, x.double()):
        raise Wrong("evaluation mode drops nothing and scales nothing: the output is the input")
    for p in (0.3, 0.1):
        dropped, again = (_dropped(function, x, p, True) for _ in range(2))
        gone = dropped == 0
        whole = gone.flatten(2)
        if not torch.equal(whole.all(dim=2), whole.any(dim=2)):
            raise Wrong("single pixels are dropped: draw one random number for each channel of each image")
        channels = whole.all(dim=2)
        if not channels.any():
            raise Wrong("training mode drops no channel")
        if torch.equal(channels, channels[:1].expand_as(channels)):
            raise Wrong("the same channels are dropped in every image: draw for each image")
        if torch.equal(channels, channels[:, :1].expand_as(channels)):
            raise Wrong("all channels of an image are dropped, or none: draw for each channel, too")
        share = channels.double().mean().item()
        if abs(share - p) > 0.03:
            other = ": p is the probability to drop, not to keep" if abs(share - (1 - p)) < 0.03 else ""
            raise Wrong(f"at p = {p} a share of {p} of the channels should be 0; {share:.2f} are{other}")
        if torch.equal(dropped, again):
            raise Wrong("the same channels are dropped at each call: draw anew")
        factor = (dropped / x)[~gone]
        if not torch.allclose(factor, torch.full_like(factor, 1 / (1 - p)), atol=1e-4):
            raise Wrong(
                f"what is kept is to be multiplied by 1 / (1 - p) = {1 / (1 - p):.3f}, so that the mean stays; "
                f"yours is multiplied by {factor.mean():.3f}"
            )
    return "whole channels are dropped, others scaled so that the mean stays, and evaluation mode changes nothing"


def _dropped(function, x, p: float, training: bool) -> torch.Tensor:
    """What the learner's dropout makes of a copy of x."""
    mode = "training" if training else "evaluation"
    output = ask_by_hand(function, x.clone(), p, training, without=("dropout2d", "feature_dropout", "feature_dropout_"))
    return tensor(output, x.shape, f"the output in {mode} mode")


@checked
def folding(function) -> str:
    """`function(weight, gamma, beta, mean, var)`: weight and bias of one convolution in place of two layers."""
    convolution, norm = nn.Conv2d(3, 5, 3, bias=False), nn.BatchNorm2d(5)
    nn.init.uniform_(norm.weight, 0.5, 2.0)
    nn.init.normal_(norm.bias)
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.2, 3.0)
    norm.running_var[0] = EPSILON  # so that ε counts
    values = [
        x.detach().clone() for x in (convolution.weight, norm.weight, norm.bias, norm.running_mean, norm.running_var)
    ]
    weight, bias = parts(ask(function, *values), ("weight", "bias"), "the function")
    kernels, gamma, beta, mean, var = values
    scale = gamma / (var + EPSILON).sqrt()
    compare(
        weight,
        kernels * scale.view(-1, 1, 1, 1),
        "the weight",
        {
            "ε is missing: it is added to the variance": kernels * (gamma / var.sqrt()).view(-1, 1, 1, 1),
            "ε is added to the variance, under the root": kernels * (gamma / (var.sqrt() + EPSILON)).view(-1, 1, 1, 1),
            "γ is missing": kernels / (var + EPSILON).sqrt().view(-1, 1, 1, 1),
            "divide by the standard deviation, and not by the variance": (
                kernels * (gamma / (var + EPSILON)).view(-1, 1, 1, 1)
            ),
            "divide by the standard deviation, and not by the variance; and ε is missing": (
                kernels * (gamma / var).view(-1, 1, 1, 1)
            ),
            "it is not divided by the standard deviation": kernels * gamma.view(-1, 1, 1, 1),
            "divide by the standard deviation; yours multiplies by it": (
                kernels * (gamma * (var + EPSILON).sqrt()).view(-1, 1, 1, 1)
            ),
            "it is as it was: each output channel's kernels are to be scaled": kernels,
        },
    )
    compare(
        bias,
        beta - mean * scale,
        "the bias",
        {
            "the mean is scaled, too: it is subtracted before the scaling": beta - mean,
            "yours adds the mean: it is subtracted": beta + mean * scale,
            "the mean is missing": beta,
            "β is missing": -mean * scale,
            "β is added after the scaling: only the mean is scaled": (beta - mean) * scale,
            "the sign is the other way round: β is added and the mean subtracted": mean * scale - beta,
        },
    )
    return "one convolution gives what convolution and batch norm gave in evaluation mode"


@checked
def evaluation(logits, line) -> str:
    """The fault: no evaluation mode, so that an image's logits depend on the other images of its batch."""
    named_line(line, {1, 2}, "ask which mode the network is in")
    _, test_set = samples.mnist()
    model = samples.trained_network(1280, norm=True, dropout=0.1)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    images = normalize(test_set.images[:50])
    drops = [layer for layer in model.modules() if isinstance(layer, nn.Dropout2d)]

    def theirs(images, probability: float) -> torch.Tensor:
        """Their logits, starting in training mode, with so much dropout."""
        for layer in drops:
            layer.p = probability
        answer = ask(logits, model.train(), images)
        if isinstance(answer, torch.Tensor) and answer.requires_grad:
            raise Wrong("`no_grad` is gone: the logits are recorded for gradients, which nobody needs here")
        return tensor(answer, (len(images), 10), "the logits")

    together, alone = theirs(images, 0.0), torch.cat([theirs(image, 0.0) for image in images[:20].split(1)])
    differ = (alone - together[:20]).abs().max().item()
    if differ > 1e-3:
        raise Wrong(
            f"an image's logits still depend on its neighbors: alone and in a batch they differ by {differ:.2f}"
        )
    differ = (theirs(images, 0.1) - theirs(images, 0.1)).abs().max().item()
    if differ > 1e-3:
        raise Wrong(f"two calls with the same images give logits that differ by {differ:.2f}: dropout is still active")
    changed = [name for name, value in model.state_dict().items() if not torch.equal(value, state[name])]
    if changed:
        raise Wrong(f"the network is no longer as it was: {changed[0]} has changed")
    compare(theirs(images, 0.1), predict(model, test_set[:50]), "the logits", {})
    return "evaluation mode was missing: now an image's logits are its own"


@checked
def modes(fit, line) -> str:
    """The fault: training mode is set once, so that from the second epoch on the network trains in evaluation mode."""
    named_line(line, {1, 2, 8}, "ask which mode the network is in during the second epoch")
    train_set, test_set = samples.mnist()
    batches, epochs = samples.in_batches(train_set[:320]), 3
    due = epochs * len(batches)
    model = _untrained()
    events: list[str] = []  # "training" or "evaluation" for each call of the network, and "step"
    model.register_forward_pre_hook(
        lambda module, inputs: events.append("training" if module.training else "evaluation")
    )
    with optimizer_steps(also=lambda: events.append("step")) as steps:
        run(fit, model, batches, test_set[:100], epochs)
    if not events:
        raise NotYet("the network is as it was before training")
    if len(steps) != due:
        missing = ": `optimizer.step()` belongs to each batch" if len(steps) in (0, epochs) else ""
        raise Wrong(
            f"{epochs} epochs of {len(batches)} batches are {due} steps; yours takes {len(steps) or 'none'}{missing}"
        )
    calls = "".join({"training": "t", "evaluation": "e", "step": "s"}[event] for event in events).split("s")
    wrong = [step for step, before in enumerate(calls[:-1]) if before.endswith("e")]
    if wrong:
        raise Wrong(
            f"epoch {wrong[0] // len(batches) + 1} still trains in evaluation mode: batch norm's running statistics "
            "stand still"
        )
    between = [before[:-1] for before in calls[:-1]] + [calls[-1]]  # without the batch of the step itself
    if "t" in "".join(between) or not all(between[epoch * len(batches)] for epoch in range(1, epochs + 1)):
        raise Wrong("the network must still be evaluated after each epoch, in evaluation mode")
    weights = samples.weights_of(model)
    if torch.equal(weights, samples.weights_of(_untrained())):
        raise Wrong("the modes are right, but no weight has changed: each step needs the gradients of `backward`")
    mistakes = {"gradients of earlier steps are still there": _trained(samples.never_cleared, batches, epochs)}
    what = "the modes are right, but the rest of the loop is not as it was: the weights"
    compare(weights, _trained(train_epoch, batches, epochs), what, mistakes)
    return "each epoch now sets training mode again after the evaluation before it"


def _untrained() -> nn.Module:
    # Without dropout, whose random numbers would depend on what else a learner draws.
    return seeded(lambda: samples.small_network(norm=True), 1)


def _trained(train, batches, epochs: int) -> torch.Tensor:
    """The weights after that number of epochs of a training loop, with the exercise's optimizer."""
    model = _untrained()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(epochs):
        train(model, batches, optimizer)
    return samples.weights_of(model)
