"""Whole answers that nobody planned for: right ones that are written otherwise, and wrong ones that look right."""

import re

import numpy
import pytest

from tests.exercises.books import exercises

# Each begins with its exercise, and whether it is right; a wrong one with a word that the feedback has to have.
WRITTEN = """
#: 01 convolution ✓
def convolve(image, kernels):
    patches = image.unfold(1, kernels.shape[2], 1).unfold(2, kernels.shape[3], 1)
    return torch.einsum('chwij,dcij->dhw', patches, kernels)

#: 01 loop ✓
def epoch(model, batches, learning_rate):
    for images, labels in batches:
        weights = list(model.parameters())
        loss = F.nll_loss(model(images).log_softmax(1), labels)
        for weight, gradient in zip(weights, torch.autograd.grad(loss, weights)):
            weight.data = weight - learning_rate * gradient

#: 01 softmax ✓
line = 5
def network():
    blocks = conv_block(1, 8, pool=True), conv_block(8, 16, pool=True)
    return nn.Sequential(*blocks, nn.Conv2d(16, 10, 5, bias=False), nn.Flatten(), nn.LogSoftmax(dim=1))

#: 01 order ✓
line = 1
from torch.utils.data import DataLoader, TensorDataset
def batches(dataset, batch_size):
    return DataLoader(TensorDataset(normalize(dataset.images), dataset.labels), batch_size, shuffle=True)

#: 02 parameters ✓
import numpy
def convolution(k, c, d):
    return numpy.prod([k, k, c, d])
def separable(k, c, d):
    return torch.tensor(k * k * c + c * d)

#: 02 he_initialization ✓
def initialize(layer):
    nn.init.kaiming_uniform_(layer.weight, nonlinearity='relu')

#: 02 selection ✓
line = 1
def choose(networks, validation_set, test_set):
    best = min(networks, key=lambda name: evaluate(networks[name], validation_set).loss)
    return best, evaluate(networks[best], test_set).accuracy

#: 03 evaluation ✓
line = 2
def logits(model, images):
    was = model.training
    with torch.inference_mode():
        answer = model.eval()(images)
    model.train(was)
    return answer

#: 04 schedule ✓
import numpy
def learning_rate(progress, peak, initial, warmup, annealed, final):
    t = numpy.float32(min(max((progress - warmup) / (annealed - warmup), 0), 1))
    if progress < warmup:
        return peak * (initial + (1 - initial) * progress / warmup)
    return numpy.float32(peak) * (final + (1 - final) * (1 + numpy.cos(numpy.float32(numpy.pi) * t)) / 2)

#: 04 ema ✓
def hook_for(model, averaged, decay):
    def hook(loss):
        old, new = averaged.state_dict(), model.state_dict()
        averaged.load_state_dict({k: decay * old[k] + (1 - decay) * new[k] for k in old})
    return hook

#: 04 scheduler_step ✓
line = 7
from mnist_drill.train import train_epoch
def fit(model, batches, optimizer, scheduler, epochs):
    for _ in range(epochs):
        train_epoch(model, batches, optimizer, [lambda loss: scheduler.step()])

#: 01 convolution ✗ torch's own `conv2d`
def convolve(image, kernels):
    return F.conv2d(image[None], kernels)[0]

#: 01 loop ✗ torch's SGD
def epoch(model, batches, learning_rate):
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate)
    for images, labels in batches:
        optimizer.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()

#: 01 loop ✗ torch's SGD
from mnist_drill.train import train_epoch
def epoch(model, batches, learning_rate):
    train_epoch(model, batches, torch.optim.SGD(model.parameters(), lr=learning_rate))

#: 01 softmax ✗ another network
line = 5
def network():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))

#: 01 softmax ✗ the function that makes it
line = 5
network = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))

#: 02 selection ✗ other test images
line = 1
def choose(networks, validation_set, test_set):
    best = max(networks, key=lambda name: evaluate(networks[name], test_set[:100]).accuracy)
    return best, evaluate(networks[best], test_set).accuracy

#: 03 batch_norm ✗ torch's own `batch_norm`
def batch_norm(x, gamma, beta, mean, var, training):
    return F.batch_norm(x, mean, var, gamma, beta, training), mean, var

#: 03 dropout ✗ torch's own `dropout2d`
def dropout(x, p, training):
    return F.dropout2d(x, p, training)

#: 03 dropout ✗ torch's own `dropout2d`
def dropout(x, p, training):
    layer = torch.nn.Dropout2d(p)
    return layer.train(training)(x)

#: 03 evaluation ✗ dropout is still active
line = 1
def logits(model, images):
    with torch.no_grad():
        return torch.cat([model(image[None]) for image in images])

#: 04 rotation ✗ torch's own `affine_grid`
def grid(degrees, side):
    angle = math.radians(degrees)
    matrix = torch.tensor([[[math.cos(angle), math.sin(angle), 0], [-math.sin(angle), math.cos(angle), 0]]])
    return F.affine_grid(matrix, [1, 1, side, side], align_corners=False)[0]

#: 04 ema ✗ used up
def hook_for(model, averaged, decay):
    pairs = zip(averaged.parameters(), model.parameters())
    def hook(loss):
        with torch.no_grad():
            for average, weight in pairs:
                average.lerp_(weight, 1 - decay)
    return hook
"""
CONVOLUTIONS = "conv_block(1, 8, pool=True), conv_block(8, 12), conv_block(12, 12), conv_block(12, 12)"
LOOP = """
def fit(model, batches, {arguments}):
    {before}
    for _ in range(epochs):
        {at_start}
        for images, labels in batches:
            loss = F.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        {at_end}
"""


def modes(line, at_start="pass", at_end="evaluate(model, test_set)"):
    """Exercise 5 of notebook 3, with the network in training mode before the loop."""
    before = "optimizer = torch.optim.SGD(model.parameters(), lr=0.1); model.train()"
    words = {"arguments": "test_set, epochs", "before": before, "at_start": at_start, "at_end": at_end}
    return f"import copy\nline = {line}\n{LOOP.format(**words)}"


def pooled(pool, last="nn.Conv2d(12, 10, 1, bias=False)"):
    """Exercise 4 of notebook 2 with another pool."""
    return f"""
class Mean(nn.Module):
    def forward(self, x):
        return x.mean((2, 3), keepdim=True)

class Sum(nn.Module):
    def forward(self, x):
        return x.sum((2, 3), keepdim=True)

line = 5

def network():
    return nn.Sequential({CONVOLUTIONS}, {pool}, {last}, nn.Flatten())
"""


def prepared(answer):
    """Exercise 5 of notebook 4 with another function."""
    return f"""
line = 2
RANGES = Augmentation(rotation=10, translation=2)
DARK = (0 - data.MEAN) / data.STD

def framed(images, side):
    images[..., :side, :] = images[..., -side:, :] = images[..., :side] = images[..., -side:] = DARK
    return images

def prepare(images):
    return {answer}
"""


POOLED = {
    "nn.AvgPool2d(7)": None,
    "nn.AdaptiveAvgPool2d(1)": None,
    "Mean()": None,
    "nn.AvgPool2d((7, 1)), nn.AvgPool2d((1, 7))": None,
    "Sum()": "pooling is gone",
    "nn.AvgPool2d(7, divisor_override=25)": "not those of one average",
}
MODES = [
    (modes(1, at_start="model.train()"), None),
    (modes(8, at_end="evaluate(model, test_set); model.train()"), None),
    (modes(8, at_end="evaluate(copy.deepcopy(model), test_set)"), None),
    (modes(1, "model.train()", "model.eval(); model(data.normalize(test_set.images)).argmax(dim=1)"), None),
    (modes(1, "model.train()", "predicted = model(test_set.images / 1.0)"), "evaluated after each epoch"),
]
PREPARED = {
    "augment(normalize(images) - DARK, RANGES) + DARK": None,
    "torch.cat([normalize(augment(image[None], RANGES)) for image in images])": None,
    "torch.full_like(images, DARK)": "20 of 20 images",
    "DARK + F.pad(torch.rand(len(images), 1, 20, 20), (4, 4, 4, 4))": "20 of 20 images",
    "augment(normalize(images), RANGES).clamp(max=DARK)": "20 of 20 images",
    "normalize(augment(images, RANGES) / 2)": "20 of 20 images",
    "normalize(augment(images, RANGES)).flip(3)": "20 of 20 images",
    "normalize(augment(images, RANGES))[torch.randperm(len(images))]": "no longer their digits",
    "normalize(augment(images, Augmentation(rotation=180)))": "no longer their digits",
    "normalize(augment(normalize(images), RANGES).clamp(0, 1))": "no longer their digits",
    "framed(augment(normalize(images), RANGES), 1)": "still filled with 0",
}


def answers():
    """Exercise, code, and what the feedback has to say of a wrong one."""
    for key, verdict, code in re.findall(r"^#: (.{2} \w+) (.+)\n((?:(?!#:).*\n)+)", WRITTEN, re.M):
        yield key, code, verdict.removeprefix("✗ ") if verdict != "✓" else None
    yield "02 pooling", pooled("nn.Conv2d(12, 10, 1, bias=False)", "nn.AvgPool2d(7)"), None  # in the other order
    yield from (("02 pooling", pooled(pool), named) for pool, named in POOLED.items())
    yield from (("03 modes", code, named) for code, named in MODES)
    yield from (("04 background", prepared(answer), named) for answer, named in PREPARED.items())


@pytest.mark.parametrize(("key", "code"), [(key, code) for key, code, named in answers() if named is None])
def test_another_right_answer_is_right(mnist, key, code):
    assert str(exercises()[key].feedback(code)).startswith("✓")


@pytest.mark.parametrize(("key", "code", "named"), [answer for answer in answers() if answer[2]])
def test_a_wrong_answer_that_looks_right_is_told_apart(mnist, key, code, named):
    line = str(exercises()[key].feedback(code))
    assert not line.startswith("✓")
    assert named in line


@pytest.mark.parametrize("make", [numpy.array, lambda row: list(map(numpy.float32, row))])
def test_rows_may_hold_numbers_of_numpy(make):
    exercise = exercises()["01 receptive_field"]
    rows = exercise.space(exercise.solved)["rows"]

    def others(layers, size):
        return [tuple(make(row)) for row in rows(layers, size)]

    assert exercise.check(others).right


@pytest.mark.slow
def test_a_design_with_global_average_pooling_is_told_what_it_lacks(mnist):
    network = "nn.Sequential(conv_block(1, 8, pool=True), conv_block(8, 12, pool=True), nn.AvgPool2d(5), " \
              "nn.Conv2d(12, 10, 1), nn.Flatten())"  # fmt: skip
    line = str(exercises()["02 design"].feedback(f"def network():\n    return {network}"))
    assert line.startswith("✗ it should reach 90 %") and "positions until the end" in line
