"""What an epoch is compared with: the course's own loop, the usual pipeline, and a one-epoch recipe."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
import torchvision
from torch import nn
from torch.optim.lr_scheduler import LambdaLR, OneCycleLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Subset
from torchvision.transforms import Compose, InterpolationMode, Normalize, RandomAffine, ToTensor
from tqdm import tqdm

from mnist_drill.benchmark.turns import timed
from mnist_drill.data import MEAN, STD, normalize
from mnist_drill.models import build
from mnist_drill.stages import NETWORKS
from mnist_drill.storage.mnist import data_folder
from mnist_drill.train import evaluate, fit, require_finished

if TYPE_CHECKING:
    from mnist_drill.data import LabeledImages
    from mnist_drill.recipes import Recipe
    from mnist_drill.runs import Run

ONE_EPOCH = "one-epoch recipe"


def course_run(
    name: str,
    epochs: int,
    train_set: LabeledImages,
    test_set: LabeledImages,
    device: torch.device,
    seed: int = 1,
    network: nn.Module | None = None,  # built from the seed where none is given
) -> Run:
    """A run of a network's recipe by `fit`, over that number of epochs, which prints nothing."""
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
    evaluated = model if averaged is None else averaged

    def epoch() -> None:
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
            scheduler.step()
            if averaged is not None:
                averaged.update_parameters(model)
            correct += (logits.argmax(dim=1) == labels).sum().item()
            seen += len(labels)
            bar.set_description(f"loss {loss.item():.4f}, accuracy {correct / seen:.2%}", refresh=False)
        evaluated.eval()
        with torch.no_grad():
            for images, labels in test_loader:
                (evaluated(images.to(device)).argmax(dim=1) == labels.to(device)).sum().item()

    return timed(epoch, device)


def _loader(recipe: Recipe, size: int, workers: int, train: bool) -> DataLoader:
    """The first images of torchvision's training or test set, the training images augmented as the recipe says."""
    transforms = [ToTensor(), Normalize((MEAN,), (STD,))]
    ranges = recipe.augmentation
    if train and ranges.rotation:
        translation, scale = (ranges.translation / 28,) * 2, (1 - ranges.scale, 1 + ranges.scale)
        affine = RandomAffine(ranges.rotation, translation, scale, ranges.shear, InterpolationMode.BILINEAR)
        transforms = [affine, *transforms]
    images = torchvision.datasets.MNIST(data_folder(), train, Compose(transforms))
    batch_size = recipe.batch_size if train else 1000
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
