"""The checks of `notebooks/exercises/01_setup.ipynb`."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from mnist_drill.data import LabeledImages, normalize
from mnist_drill.exercises import samples
from mnist_drill.exercises.batches import all_batches
from mnist_drill.exercises.feedback import (
    NotYet,
    Wrong,
    ask,
    checked,
    compare,
    kind,
    named_line,
    number,
    parts,
    percent,
    run,
)
from mnist_drill.exercises.watched import ask_by_hand, optimizer_steps
from mnist_drill.networks import conv_block, seeded, stage1, stage2
from mnist_drill.receptive_field import Layer, trace
from mnist_drill.train import evaluate, train_epoch

LEARNING_RATE = 2**-4  # a power of two: a product with it is exact, so that two ways to write a step round alike


@checked
def convolution(convolve) -> str:
    """`convolve(image, kernels)`, (C, H, W) and (D, C, k, k) to (D, H - k + 1, W - k + 1), against `conv2d`."""
    for channels, maps, side in ((1, 1, 3), (3, 4, 3), (2, 3, 5)):
        image, kernels = torch.randn(channels, 9, 8), torch.randn(maps, channels, side, side)
        mistakes = {
            "yours rotates the kernel by 180°: its first weight belongs to the first pixel of a patch": kernels.flip(
                2, 3
            ),
            "yours exchanges the rows and columns of the kernel": kernels.transpose(2, 3),
            "yours uses the first input channel only: sum over all of them": torch.cat(
                [kernels[:, :1], torch.zeros_like(kernels[:, 1:])], dim=1
            ),
        }
        convolved = {why: F.conv2d(image.unsqueeze(0), wrong)[0] for why, wrong in mistakes.items()}
        right = F.conv2d(image.unsqueeze(0), kernels)[0]
        convolved["yours is the mean of the products: it is their sum"] = right / (channels * side * side)
        convolved["all your maps are the same: sum over all axes but the first, that of the output channels"] = (
            right.sum(dim=0, keepdim=True).expand_as(right)
        )
        what = f"the feature maps from {channels} to {maps} channels with {side}×{side} kernels"
        yours = ask_by_hand(convolve, image.clone(), kernels.clone(), without=("conv2d",))
        compare(yours, right, what, convolved)
    return "your feature maps are those of torch's `conv2d`"


@checked
def receptive_field(rows) -> str:
    """`rows(layers, size)`: a (size, jump, receptive field) for each (kernel, stride, padding), against `trace`."""
    strided = nn.Sequential(
        conv_block(1, 1, 5, stride=2, padding=1),  # 13.5 positions: rounded down, and not to the nearest
        conv_block(1, 1),
        nn.MaxPool2d(3, stride=2, padding=1),
        conv_block(1, 1),
    )
    networks = {"stage 1": stage1(), "stage 2": stage2(), "a network with strides": strided}
    for name, network in networks.items():
        layers = trace(network)
        yours = ask(rows, [(x.kernel, x.stride, x.padding) for x in layers], 28)
        if not isinstance(yours, list | tuple) or len(yours) != len(layers):
            raise Wrong(
                f"{name} has {len(layers)} layers, so a list of that many rows is expected; yours is {kind(yours)}"
            )
        for index, (row, layer) in enumerate(zip(yours, layers, strict=True), 1):
            _compare_row(row, layer, layers[: index - 1], f"{name}, layer {index} ({layer.kind})")
    return "sizes, jumps and receptive fields are right in all three networks"


def _compare_row(row, layer: Layer, before: list[Layer], where: str) -> None:
    """Raises `Wrong` for the first figure of a row that is not the layer's, and says what people confuse there."""
    names = ("size", "jump", "receptive field")
    size, jump, field = map(number, parts(row, names, where), names)
    if size != layer.size_out:
        full = (layer.size_in + 2 * layer.padding - layer.kernel) / layer.stride + 1
        because = ""
        if size in (full, round(full)):
            because = ": the quotient is rounded down"
        elif layer.padding and size == (layer.size_in - layer.kernel) // layer.stride + 1:
            because = ": the padding adds pixels on both sides"
        elif layer.padding and size == (layer.size_in + layer.padding - layer.kernel) // layer.stride + 1:
            because = ": the padding counts twice, once on each side"
        elif size == layer.size_out - 1:
            because = ": the first position counts, too, so add 1"
        raise Wrong(f"{where}: the size is {layer.size_out}; yours says {size:g}{because}")
    if jump != layer.jump_out:
        raise Wrong(f"{where}: the jump is {layer.jump_out}; yours says {jump:g}: the stride multiplies it")
    if field != layer.field_out:
        because = ""
        if field == layer.field_in + layer.kernel - 1:
            widened = [x for x in before if x.stride > 1][-1]  # there is one, or the field would be right
            by = f"the {widened.kind} multiplied the jump by {widened.stride}"
            because = f": {by}, so each step of this kernel is {layer.jump_in} pixels"
        elif field == layer.field_in + (layer.kernel - 1) * layer.jump_out:
            because = ": use the jump before the layer, since its own stride comes after its kernel"
        elif field == layer.field_in + layer.kernel * layer.jump_in:
            because = ": a kernel of k pixels makes k - 1 steps"
        raise Wrong(f"{where}: the receptive field is {layer.field_out}; yours says {field:g}{because}")


@checked
def loop(epoch) -> str:
    """`epoch(model, batches, learning_rate)`: SGD without an optimizer, bit for bit that of `train_epoch`."""
    train_set, _ = samples.mnist()
    batches = samples.in_batches(train_set[:320])

    def weights(train) -> torch.Tensor:
        model = seeded(samples.small_network, 1)
        train(model)
        return samples.weights_of(model)

    def trained(batches, train=train_epoch, factor=LEARNING_RATE, **options) -> torch.Tensor:
        """The weights after an epoch of a loop with torch's SGD, with these options."""
        return weights(lambda model: train(model, batches, torch.optim.SGD(model.parameters(), factor, **options)))

    gradients: list[torch.Tensor] = []  # those that are left after the epoch

    def theirs(model: nn.Module) -> None:
        run(epoch, model, batches, LEARNING_RATE)
        gradients.extend(weight.grad for weight in model.parameters() if weight.grad is not None)

    with optimizer_steps() as steps:
        yours = weights(theirs)
    if steps:
        raise Wrong(f"the steps are those of torch's {steps[0]}: take them yourself, without an optimizer")
    if torch.equal(yours, weights(lambda model: None)):
        note = ""
        if gradients and not any(gradient.any() for gradient in gradients):
            note = ", and all gradients are 0: a step comes after `backward`, and before they are cleared"
        elif gradients:
            note = ": a step has to change each weight in place, as `p -= …` does; `p = p - …` makes another tensor"
        raise NotYet(f"no weight has changed{note}")
    right = trained(batches)
    if torch.equal(yours, right):
        return "your loop ends at the weights of `train_epoch` with SGD, bit for bit"
    mistakes = {
        "the gradients of earlier steps are still there: clear them in each step": trained(
            batches, samples.never_cleared
        ),
        "the loss rises: a step goes against the gradient": trained(batches, maximize=True),
        "the learning rate is missing: a step is the gradient times `learning_rate`": trained(batches, factor=1),
        "it steps on the first batch only": trained(batches[:1]),
        "it steps on the last batch only": trained(batches[-1:]),
        "it is so close that only rounding differs: take the loss from `F.cross_entropy`, and subtract "
        "`learning_rate * p.grad` in one expression": right,
    }
    compare(yours, right, "the weights after the epoch", mistakes, tolerance=1e-6)
    raise Wrong(list(mistakes)[-1])


@checked
def softmax(network, line) -> str:
    """The fault: a softmax before the cross-entropy, which has one of its own. Ten images have to be memorized."""
    named_line(line, {5}, "cross-entropy wants the logits themselves, see its formula in the notebook")
    model, small = samples.network_of(network), samples.small_network()
    loss = samples.train(model, [samples.ten_images()] * 100)
    if not loss < 0.05:
        images, _ = samples.ten_images()
        last = list(model.modules())[-1]
        why = ""
        if torch.allclose(model(images).sum(dim=1), torch.ones(10), atol=1e-3):
            why = ": it cannot fall below 1.46, since cross-entropy is given probabilities"
        elif type(last).__module__ == "torch.nn.modules.activation":
            why = f": logits can be any numbers, and a {type(last).__name__} at the end limits them"
        raise Wrong(f"after 100 steps on ten images the loss should be near 0; it is {loss:.2f}{why}")
    if [weight.shape for weight in model.parameters()] != [weight.shape for weight in small.parameters()]:
        raise Wrong("the loss falls, but that is another network, with other weights; change line 5 alone")
    return "right, line 5: with logits the loss on ten images falls to nearly 0"


@checked
def gradients(epoch, line) -> str:
    """The fault: gradients that are cleared once per epoch, and not in each step."""
    named_line(line, {1}, "ask which gradient a step uses")
    train_set, _ = samples.mnist()
    batches = samples.in_batches(train_set[:640])

    def weights(train) -> torch.Tensor:
        model = seeded(samples.small_network, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        train(model, batches, optimizer)
        return samples.weights_of(model)

    with optimizer_steps() as steps:
        yours = weights(lambda *arguments: run(epoch, *arguments))
    if torch.equal(yours, weights(lambda *arguments: None)):
        if not steps:
            raise Wrong("no weight has changed: the optimizer takes no step, `optimizer.step()`")
        raise Wrong("no weight has changed: each step needs the gradients that `backward` has just computed")
    right = weights(train_epoch)
    if torch.allclose(yours, right, atol=1e-4):
        return "right, line 1: each step now uses the gradient of its own batch alone"
    mistakes = {
        "each step still uses the sum of the gradients of all steps before it": weights(samples.never_cleared),
        "there is one step, at the end of the epoch: a step for each batch": weights(samples.step_at_the_end),
    }
    compare(yours, right, "the weights after the epoch", mistakes, tolerance=1e-5)
    raise Wrong("the weights after the epoch are nearly, but not quite, those of the loop of notebook 1")


@checked
def order(batches, line) -> str:
    """The fault: batches without shuffling, of a training set that is sorted by class."""
    named_line(line, {1}, "ask in which order the classes come")
    train_set, test_set = samples.mnist()
    few = train_set[:3010]  # whose last batch is smaller
    few = few[few.labels.argsort(stable=True)]
    first, second = (all_batches(batches, few) for _ in range(2))
    if torch.equal(_labels(first), few.labels):
        model = seeded(samples.small_network, 1)
        samples.train(model, [(batch.images, batch.labels) for batch in first])
        shown = percent(evaluate(model, test_set[:1000]).accuracy)
        raise Wrong(f"the images still come in order of class; an epoch with them ends at {shown} test accuracy")
    if torch.equal(_labels(first), _labels(second)):
        raise Wrong("the order is the same in each epoch: draw a new one at each call")
    if sorted(len(batch.labels.unique()) for batch in first)[len(first) // 2] < 5:
        raise Wrong("most batches still have few classes: the images have to be in a random order, and not the batches")
    if torch.unique(_labels(first)[:500]).numel() < 10:
        raise Wrong("the first 500 images do not have all ten classes: the order is not random enough")
    return "right, line 1: each epoch has all images once, in a new random order"


def _labels(batches: list[LabeledImages]) -> torch.Tensor:
    return torch.cat([batch.labels for batch in batches])


@checked
def statistics(normalized, line) -> str:
    """The fault: a test set that is normalized by its own mean and standard deviation."""
    named_line(line, {2}, "ask which images each number comes from")
    train_images, test_images = (part.images[:500] for part in samples.mnist())
    names = ("the training images", "the test images")
    mean, std = train_images.mean(), train_images.std()
    # One image alone has to become what it is among others; a darker test set shows statistics of its own.
    for images in (test_images, test_images * 0.5, test_images[:1]):
        train, test = parts(ask(normalized, train_images.clone(), images.clone()), names, "the function")
        constants = {
            "take mean and standard deviation of the `train_images` that the function is given": normalize(train_images)
        }
        compare(train, (train_images - mean) / std, "the normalized training images", constants)
        compare(
            test,
            (images - mean) / std,
            "the normalized test images",
            {
                "they still depend on which other images are in the test set": (images - images.mean()) / images.std(),
                "mean and standard deviation are those of both sets together": _by(
                    torch.cat([train_images, images]), images
                ),
            },
        )
    return "right, line 2: a test image becomes the same whichever others are in its set"


def _by(source: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """Images normalized by the mean and standard deviation of `source`."""
    return (images - source.mean()) / source.std()
