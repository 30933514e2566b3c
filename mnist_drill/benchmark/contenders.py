"""What an epoch is compared with: the course's own loop, the usual pipeline, the published form, a one-epoch recipe."""

from __future__ import annotations

import io
from functools import partial
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
import torchvision
from torch import nn
from torch.optim.lr_scheduler import LambdaLR, OneCycleLR, StepLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Subset
from torchvision.transforms import Compose, InterpolationMode, Normalize, RandomAffine, RandomRotation, ToTensor
from tqdm import tqdm

from mnist_drill.benchmark.turns import timed
from mnist_drill.data import MEAN, STD, normalize
from mnist_drill.models import build
from mnist_drill.stages import NETWORKS
from mnist_drill.storage.mnist import data_folder
from mnist_drill.train import evaluate, fit, require_finished

if TYPE_CHECKING:
    from collections.abc import Callable

    from mnist_drill.data import LabeledImages
    from mnist_drill.recipes import Recipe
    from mnist_drill.runs import Run, Score

ONE_EPOCH = "one-epoch recipe"


def course_run(
    name: str,
    epochs: int,
    train_set: LabeledImages,
    test_set: LabeledImages,
    device: torch.device,
    seed: int = 1,
    network: nn.Module | None = None,  # built from the seed where none is given
    loop: Callable[..., Score] | None = None,
) -> Run:
    """A run of a network's recipe by `fit`, over that number of epochs and with that loop, which prints nothing."""
    run = fit(
        build(name, seed) if network is None else network,
        NETWORKS[name].recipe.with_epochs(epochs),
        train_set,
        test_set,
        name=name,
        seed=seed,
        device=device.type,
        progress=False,
        on_epoch=lambda row: None,
        loop=loop,
    )
    return require_finished(run)


def course_epoch(name: str, train_set: LabeledImages, test_set: LabeledImages, device: torch.device) -> float:
    """Seconds of one epoch by `fit`, as its row says."""
    return course_run(name, 1, train_set, test_set, device).last.seconds


def usual_epoch(name: str, train_images: int, test_images: int, workers: int, device: torch.device) -> float:
    """Seconds of the first epoch of a stage's recipe as most code trains on MNIST.

    A transform of each image by PIL, a `DataLoader`, the loss and the accuracy of each batch in a progress bar; the
    same network, batch size, augmentation, schedule and EMA of the weights.
    """
    recipe = NETWORKS[name].recipe
    train_loader = _loader(recipe, train_images, workers, train=True)
    test_loader = _loader(recipe, test_images, workers, train=False)
    model = build(name, 1).to(device)
    optimizer = torch.optim.SGD(
        model.parameters(), 1.0, recipe.momentum, weight_decay=recipe.weight_decay, nesterov=True
    )
    steps = recipe.epochs * len(train_loader)
    scheduler = LambdaLR(optimizer, lambda step: recipe.learning_rate_at(step / steps))
    averaged = None
    if recipe.ema_decay:
        averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema_decay), use_buffers=True)

    def after_step() -> None:
        scheduler.step()
        if averaged is not None:
            averaged.update_parameters(model)

    evaluated = model if averaged is None else averaged
    return timed(partial(_epoch, model, train_loader, test_loader, optimizer, evaluated, after_step), device)


def published_epoch(batch_size: int, train_images: int, test_images: int, workers: int, device: torch.device) -> float:
    """Seconds of the first epoch of the fourth step of the published drill, in the form in which people write it.

    Stage 4's convolutions with convolution, ReLU, batch norm and dropout in every block but the last, and pools after
    them; rotation by PIL; a `DataLoader`; float32; SGD 0.01 with momentum, a step decay per epoch.
    """
    torch.manual_seed(1)
    model = published_network().to(device)
    augmented = [RandomRotation(10, InterpolationMode.BILINEAR)]
    train_loader = _batches(augmented, train_images, batch_size, workers, train=True)
    test_loader = _batches([], test_images, 1000, workers, train=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    scheduler = StepLR(optimizer, step_size=5, gamma=0.1)

    def epoch() -> None:
        _epoch(model, train_loader, test_loader, optimizer, model)
        scheduler.step()

    return timed(epoch, device)


def published_network() -> nn.Sequential:
    """Stage 4's convolutions and pools and the published dropout, 9,904 parameters, in the published order."""

    def block(c_in: int, c_out: int, kernel_size: int = 3, padding: int = 0) -> nn.Sequential:
        convolution = nn.Conv2d(c_in, c_out, kernel_size, padding=padding, bias=False)
        return nn.Sequential(convolution, nn.ReLU(), nn.BatchNorm2d(c_out), nn.Dropout(0.01))

    return nn.Sequential(
        block(1, 16, padding=1), block(16, 24), nn.MaxPool2d(2), block(24, 8, 1), block(8, 16), block(16, 16),
        block(16, 16), nn.AvgPool2d(7), nn.Conv2d(16, 10, 1, bias=False), nn.Flatten(),
    )  # fmt: skip


def _epoch(
    model: nn.Module,
    train_loader: DataLoader,
    test_loader: DataLoader,
    optimizer: torch.optim.Optimizer,
    evaluated: nn.Module,
    after_step: Callable[[], object] = lambda: None,
) -> None:
    """An epoch as most code has it: the loss and the accuracy of each batch in a progress bar, then an evaluation."""
    device = next(model.parameters()).device
    model.train()
    correct = seen = 0
    bar = tqdm(train_loader, file=io.StringIO())
    for images, labels in bar:
        images, labels = images.to(device), labels.to(device)
        logits = model(images)
        loss = F.cross_entropy(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        after_step()
        correct += (logits.argmax(dim=1) == labels).sum().item()
        seen += len(labels)
        bar.set_description(f"loss {loss.item():.4f}, accuracy {correct / seen:.2%}", refresh=False)
    evaluated.eval()
    with torch.no_grad():
        for images, labels in test_loader:
            (evaluated(images.to(device)).argmax(dim=1) == labels.to(device)).sum().item()


def _loader(recipe: Recipe, size: int, workers: int, train: bool) -> DataLoader:
    """Batches of the first images of the training or test set, the training images augmented as the recipe says."""
    transforms = []
    ranges = recipe.augmentation
    if train and ranges.rotation:
        translation, scale = (ranges.translation / 28,) * 2, (1 - ranges.scale, 1 + ranges.scale)
        affine = RandomAffine(ranges.rotation, translation, scale, ranges.shear, InterpolationMode.BILINEAR)
        transforms = [affine]
    return _batches(transforms, size, recipe.batch_size if train else 1000, workers, train)


def _batches(transforms: list, size: int, batch_size: int, workers: int, train: bool) -> DataLoader:
    """The first images of torchvision's training or test set, each by the transforms and then normalized."""
    normalized = Compose([*transforms, ToTensor(), Normalize((MEAN,), (STD,))])
    images = torchvision.datasets.MNIST(data_folder(), train, normalized)
    return DataLoader(Subset(images, range(size)), batch_size=batch_size, shuffle=train, num_workers=workers)


def one_epoch_recipe(
    train_set: LabeledImages, test_set: LabeledImages, device: torch.device, seed: int
) -> tuple[float, float]:
    """Test accuracy in percent and seconds of a recipe of the kind that the literature on fast training uses."""
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Conv2d(1, 24, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(24, 32, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(800, 256), nn.ReLU(), nn.Linear(256, 10),
    ).to(device, memory_format=torch.channels_last)  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters(), 0.01, betas=(0.7, 0.9))
    batches = torch.randperm(len(train_set)).split(256)
    scheduler = OneCycleLR(optimizer, 0.01, total_steps=len(batches))
    train_set, test_set = train_set.to(device), test_set.to(device)
    accuracy = 0.0

    def epoch() -> None:
        nonlocal accuracy
        for positions in batches:
            batch = train_set[positions.to(device)]
            optimizer.zero_grad()
            F.cross_entropy(model(normalize(batch.images)), batch.labels).backward()
            optimizer.step()
            scheduler.step()
        accuracy = evaluate(model, test_set).accuracy

    seconds = timed(epoch, device)
    return accuracy, seconds
