"""Recipes, runs, and the one train loop."""

import json
import math
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn
from tqdm import tqdm

from mnist_drill.augment import Augmentation, augment
from mnist_drill.data import Digits, normalize
from mnist_drill.errors import DrillError, Interrupted
from mnist_drill.files import dataclass_of, read_json, write_atomically
from mnist_drill.models import parameter_count
from mnist_drill.resume import Training, copied

DEVICES = ("auto", "cpu", "cuda", "mps")

AVERAGED_STEPS = 8  # steps between two updates of the averaged weights: one takes longer than an optimizer step
READ_BATCH = 200  # digits that are read at once: as few as keep a CPU's caches, and enough to feed it


@dataclass(frozen=True)
class OneCycle:
    """A learning rate that rises, falls and then stays; positions are shares of the training, rates of the peak."""

    start: float = 0.04  # the rate at the first step
    peak_at: float = 0.2  # reached in a straight line
    end_at: float = 0.75  # reached along half a cosine
    end: float = 0.05  # the rate from there to the last step

    def factor(self, progress: float) -> float:
        """The rate after a share of the training, as a share of the peak."""
        if progress < self.peak_at:
            return self.start + (1 - self.start) * progress / self.peak_at
        if progress < self.end_at:
            descent = (progress - self.peak_at) / (self.end_at - self.peak_at)
            return self.end + (1 - self.end) * (1 + math.cos(math.pi * descent)) / 2
        return self.end


@dataclass(frozen=True)
class Steps:
    """A learning rate that falls in steps of the same size."""

    every: float  # a share of the training
    by: float = 0.1  # what the rate is multiplied with at each step

    def factor(self, progress: float) -> float:
        """The rate after a share of the training, as a share of the first."""
        return self.by ** math.floor(progress / self.every + 1e-9)  # so that rounding cannot make a step late


OPTIMIZERS = ("sgd", "adam", "adamw")


@dataclass(frozen=True)
class Recipe:
    """What decides a training besides the network, the data and the seed."""

    epochs: int = 15
    batch_size: int = 128
    learning_rate: float = 0.01  # with a schedule, its peak
    optimizer: str = "sgd"  # one of `OPTIMIZERS`
    momentum: float = 0.9  # SGD's, after Nesterov
    weight_decay: float = 1e-4  # on the weights of convolutions, not on batch norm's scale and shift
    schedule: OneCycle | Steps | None = None  # None: the learning rate is constant
    augmentation: Augmentation = field(default_factory=Augmentation)
    taper: float = 0.0  # the share by which augmentation's ranges shrink, epoch by epoch, until the last
    averaging: float = 0.0  # decay per step of the weights' moving average; with 0 the weights themselves count
    bfloat16: bool = True  # multiply in bfloat16 while training, where the hardware does that natively

    def __post_init__(self):
        if not 0 <= self.taper <= 1:
            raise ValueError(f"taper is a share between 0 and 1, not {self.taper}")
        if not 0 <= self.learning_rate < math.inf:
            raise ValueError(f"the learning rate is a number from 0, not {self.learning_rate}")
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(f"unknown optimizer {self.optimizer!r}: choose one of {', '.join(OPTIMIZERS)}")

    def with_epochs(self, epochs: int) -> "Recipe":
        """The same recipe over another number of epochs; the schedule stretches with it."""
        return replace(self, epochs=epochs)


PLAIN = Recipe()
RECIPES = {
    "stage1": PLAIN,
    "stage2": PLAIN,
    "stage3": PLAIN,
    "stage4": Recipe(
        batch_size=64,
        learning_rate=0.8,
        schedule=OneCycle(),
        augmentation=Augmentation(rotation=10, translation=2, scale=0.1, shear=5.7),
        taper=0.6,
        averaging=0.999,
    ),
    "sprint": Recipe(
        epochs=2,
        batch_size=192,
        learning_rate=0.2,
        schedule=OneCycle(start=0.1, peak_at=0.3, end_at=1.0, end=0.02),
    ),
}


# For torchvision's networks, of whatever family: stage 4's augmentation, and a rate that those without batch norm bear.
ADAPTED = Recipe(
    epochs=5,
    batch_size=128,
    learning_rate=1e-3,
    optimizer="adamw",
    weight_decay=0.01,
    schedule=OneCycle(end_at=1.0, end=0.01),
    augmentation=RECIPES["stage4"].augmentation,
    taper=RECIPES["stage4"].taper,
    bfloat16=False,  # a CPU takes twice as long for depthwise convolutions in it
)


def recipe_for(name: str) -> Recipe:
    """The recipe of a network by name."""
    return RECIPES.get(name, ADAPTED)


@dataclass(frozen=True)
class Score:
    """Mean cross-entropy in nats, and accuracy in percent."""

    loss: float
    accuracy: float


@dataclass(frozen=True)
class Epoch:
    """One row of a run. The train figures are the running ones, with dropout and augmentation as trained."""

    epoch: int  # counted from 1
    train_loss: float
    train_accuracy: float  # percent
    test_loss: float
    test_accuracy: float  # percent
    seconds: float  # training and test together


@dataclass(frozen=True)
class Run:
    """What a training produced: plain data that everything printed, plotted or claimed is derived from."""

    name: str
    parameters: int
    seed: int
    recipe: Recipe
    environment: dict[str, str | int]
    epochs: tuple[Epoch, ...]
    train: Score  # the training digits after the last epoch, by `evaluate`: no dropout, no augmentation
    tested_on: str = "test"  # the digits of the test figures: those of the test set, or of the "validation" split
    changes: dict[str, int | bool] = field(default_factory=dict)  # what `models.build` was given besides the name
    stopped: str = ""  # why it has fewer epochs than its recipe; empty where it has them all

    @property
    def interrupted(self) -> bool:
        """Whether it was the user who ended it before its last epoch."""
        return self.stopped.startswith("interrupted")

    @property
    def last(self) -> Epoch:
        return self.epochs[-1]

    @property
    def best_train(self) -> float:
        """The highest running train accuracy of any epoch, in percent."""
        return max(row.train_accuracy for row in self.epochs)

    @property
    def best_test(self) -> float:
        """The highest test accuracy of any epoch, in percent: picked on the test set, only to compare with others."""
        return max(row.test_accuracy for row in self.epochs)

    @property
    def gap(self) -> float:
        """Points of accuracy by which the training digits are ahead of the test digits at the end, both evaluated."""
        return self.train.accuracy - self.last.test_accuracy

    @property
    def seconds(self) -> float:
        return sum(row.seconds for row in self.epochs)

    @property
    def seconds_per_epoch(self) -> float:
        """The median: an epoch may be held up by what else the machine does."""
        return statistics.median(row.seconds for row in self.epochs)

    def lowest_of_last(self, epochs: int = 5) -> float:
        """The lowest test accuracy of the last epochs, in percent; not a number where the run has fewer epochs."""
        if len(self.epochs) < epochs:
            return math.nan
        return min(row.test_accuracy for row in self.epochs[-epochs:])

    def to_dict(self) -> dict:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict) -> "Run":
        """The inverse of `to_dict`. Raises KeyError, TypeError, ValueError or AttributeError for anything else."""
        recipe = dict(values["recipe"])
        recipe["augmentation"] = dataclass_of(Augmentation, recipe["augmentation"])
        if recipe["schedule"] is not None:
            recipe["schedule"] = dataclass_of(Steps if "every" in recipe["schedule"] else OneCycle, recipe["schedule"])
        if not values["epochs"]:
            raise ValueError("a run has epochs")
        return dataclass_of(
            cls,
            {
                **values,
                "recipe": dataclass_of(Recipe, recipe),
                "epochs": tuple(dataclass_of(Epoch, row) for row in values["epochs"]),
                "train": dataclass_of(Score, values["train"]),
            },
        )

    def save(self, path: str | Path) -> None:
        """Writes the run as JSON, whole or not at all."""
        write_atomically(path, json.dumps(self.to_dict(), indent=1) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> "Run":
        """Reads a run that `save` wrote. Raises `DrillError` for a file that is missing or holds something else."""
        return read_json(path, cls.from_dict, "a run")


def augmentation_at(recipe: Recipe, epoch: int) -> Augmentation:
    """The recipe's augmentation in an epoch, counted from 1: its ranges shrink in a straight line to the last epoch."""
    return recipe.augmentation.shrunk(recipe.taper * (epoch - 1) / max(1, recipe.epochs - 1))


def rate_at(recipe: Recipe, progress: float) -> float:
    """The learning rate after `progress`, a share of the training between 0 and 1."""
    return recipe.learning_rate * (1.0 if recipe.schedule is None else recipe.schedule.factor(progress))


def optimizer_for(model: nn.Module, recipe: Recipe) -> Optimizer:
    """The recipe's optimizer, at rate 1 for a scheduler to multiply; convolutions' weights alone decay."""
    groups = [
        {"params": [p for p in model.parameters() if p.dim() > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in model.parameters() if p.dim() <= 1], "weight_decay": 0.0},
    ]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=1.0, momentum=recipe.momentum, nesterov=recipe.momentum > 0, fused=True)
    return {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[recipe.optimizer](groups, lr=1.0, fused=True)


def train_epoch(
    model: nn.Module,
    recipe: Recipe,
    digits: Digits,
    optimizer: Optimizer,
    scheduler: LRScheduler,
    averaged: AveragedModel | None = None,
    epoch: int = 1,
    progress: Callable[[Iterable], Iterable] = iter,
) -> Score:
    """One pass over `digits` in a new random order; the score is the running one. `progress` wraps the batches.

    A loss that is not finite ends the pass, and is the score's.
    """
    model.train()
    augmentation = augmentation_at(recipe, epoch)
    device = digits.labels.device
    bfloat16 = recipe.bfloat16 and has_bfloat16(device)
    precision = torch.autocast(device.type, torch.bfloat16) if bfloat16 else nullcontext()
    loss_sum = correct = torch.zeros((), device=device)
    order = torch.randperm(len(digits), device=device)
    for step, positions in enumerate(progress(order.split(recipe.batch_size))):
        batch = digits[positions]
        images = augment(batch.images, augmentation)
        with precision:
            logits = model(normalize(images))
        loss = F.cross_entropy(logits.float(), batch.labels)
        if not loss.isfinite():  # no step can mend it; of a GPU this is the one thing a step waits for
            loss_sum = loss.detach()
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        if averaged is not None and step % AVERAGED_STEPS == 0:
            averaged.update_parameters(model)
        loss_sum = loss_sum + loss.detach() * len(batch)
        correct = correct + (logits.argmax(dim=1) == batch.labels).sum()
    return Score(loss_sum.item() / len(digits), 100 * correct.item() / len(digits))


@torch.inference_mode()
def predict(model: nn.Module, digits: Digits, batch_size: int = READ_BATCH) -> Tensor:
    """The logits of all digits, shape (N, 10), on the digits' device; leaves the network in evaluation mode."""
    model.eval()
    device = next(model.parameters()).device
    logits = [model(normalize(images.to(device))) for images in digits.images.split(batch_size)]
    return torch.cat(logits).to(digits.labels.device)


def evaluate(model: nn.Module, digits: Digits) -> Score:
    """The score on `digits` as they are: no augmentation, no dropout."""
    logits = predict(model, digits)
    correct = (logits.argmax(dim=1) == digits.labels).sum()
    return Score(F.cross_entropy(logits, digits.labels).item(), 100 * correct.item() / len(digits))


def confusion_matrix(model: nn.Module, digits: Digits) -> Tensor:
    """Counts, int64 of shape (10, 10): rows are labels, columns predictions."""
    predicted = predict(model, digits).argmax(dim=1)
    return (digits.labels * 10 + predicted).bincount(minlength=100).view(10, 10)


def print_epoch(row: Epoch) -> None:
    """Prints a row of a run, the first one under a header."""
    if row.epoch == 1:
        print("epoch  train loss  train %  test loss  test %  seconds", flush=True)
    print(
        f"{row.epoch:5}  {row.train_loss:10.4f}  {row.train_accuracy:7.2f}  {row.test_loss:9.4f}"
        f"  {row.test_accuracy:6.2f}  {row.seconds:7.1f}",
        flush=True,
    )


def fit(
    model: nn.Module,
    recipe: Recipe,
    train: Digits,
    test: Digits,
    *,
    name: str,
    seed: int,
    device: str = "auto",
    progress: bool = True,
    on_epoch: Callable[[Epoch], None] = print_epoch,
    state: str | Path | None = None,
) -> Run:
    """Trains `model` in place and returns the run.

    After each epoch `on_epoch` is given its row; with `progress` there is a bar within the epoch. Where the recipe
    averages the weights, the average is what is tested and what `model` ends with.
    `test` is only reported: with any other the weights would be the same. Everything random (the order of the digits,
    augmentation, dropout) follows from `seed`: on the same CPU with as many threads the run is the same, bit for bit.
    With a file `state` the training is kept there after each epoch, and taken up where the file is there already: the
    run is then the same as one that was never broken off, and `on_epoch` is given the earlier rows, too. An interrupt,
    or a loss that is not finite, ends the training with the epochs that there are, and `Run.stopped` says why. Raises
    `DrillError` for a device that is not there, and for a `state` of another training.
    """
    device = pick_device(device)
    torch.manual_seed(seed)
    # Convolutions on a CPU need no copies in channels-last layout; batch norm on MPS does not support it everywhere.
    model.to(device, memory_format=torch.contiguous_format if device.type == "mps" else torch.channels_last)
    train, test = train.to(device), test.to(device)

    steps_per_epoch = math.ceil(len(train) / recipe.batch_size)
    steps = recipe.epochs * steps_per_epoch
    optimizer = optimizer_for(model, recipe)
    scheduler = LambdaLR(optimizer, lambda step: rate_at(recipe, step / steps))

    # What is tested: the network, or from the first step on a moving average of its weights.
    averaged, result = None, model
    if recipe.averaging:
        averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(recipe.averaging**AVERAGED_STEPS))
        result = averaged.module

    training = Training(model, optimizer, scheduler, averaged)
    identity = {"network": name, "seed": seed, "digits": len(train), "recipe": asdict(recipe)}
    rows = training.load(state, identity, Epoch) if state else []
    for row in rows:
        on_epoch(row)
    stopped, kept = "", copied(result)
    for epoch in range(len(rows) + 1, recipe.epochs + 1):
        start = time.perf_counter()
        bar = partial(tqdm, desc=f"epoch {epoch}", leave=False, disable=not progress, file=sys.stdout, mininterval=0.5)
        try:
            fitted = train_epoch(model, recipe, train, optimizer, scheduler, averaged, epoch, bar)
            if averaged is not None:  # averaged weights need batch norm's statistics anew, of digits as they are read
                update_bn((normalize(images) for images in train.images[:5_000].split(READ_BATCH)), averaged)
            tested = evaluate(result, test)
            seconds = time.perf_counter() - start
            rows.append(Epoch(epoch, fitted.loss, fitted.accuracy, tested.loss, tested.accuracy, seconds))
            if math.isfinite(fitted.loss):
                kept = copied(result)
                if state:
                    training.save(state, identity, rows)
            else:
                step, rate = scheduler.last_epoch - (epoch - 1) * steps_per_epoch + 1, scheduler.get_last_lr()[0]
                stopped = (
                    f"loss {fitted.loss} in epoch {epoch}, step {step}, at learning rate {rate:.3g}, perhaps too large"
                )
            on_epoch(rows[-1])
        except KeyboardInterrupt:
            if not rows:
                raise
            stopped = f"interrupted after epoch {len(rows)}"
        if stopped:
            print(f"The training ended early: {stopped}", flush=True)
            break
    model.load_state_dict(kept)
    return Run(
        name=name,
        parameters=parameter_count(model),
        seed=seed,
        recipe=recipe,
        environment=environment(device, recipe),
        epochs=tuple(rows),
        train=evaluate(model, train),
        stopped=stopped,
    )


def finished(run: Run) -> Run:
    """The run, if it has all of its epochs. Raises `Interrupted` or, where it diverged, `DrillError`."""
    if run.interrupted:
        raise Interrupted("the same command goes on; what is finished is kept")
    if run.stopped:
        raise DrillError(f"{run.name}, seed {run.seed}: {run.stopped}")
    return run


def pick_device(name: str = "auto") -> torch.device:
    """The device of that name, one of `DEVICES`; "auto" is a GPU if there is one.

    Raises `DrillError` for a device that is not there.
    """
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if there[kind]))
    if not there.get(name):
        here = ", ".join(kind for kind in there if there[kind])
        raise DrillError(f"device {name!r} is not available here: choose auto or one of {here}")
    return torch.device(name)


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 natively; elsewhere it is emulated, and slower than float32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()


def environment(device: torch.device, recipe: Recipe) -> dict[str, str | int]:
    """What a run was made with: versions, device, the name of the CPU or GPU, threads, the precision of training."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "device": device.type,
        "hardware": torch.cuda.get_device_name(device) if device.type == "cuda" else _cpu_name(),
        "threads": torch.get_num_threads(),
        "precision": "bfloat16" if recipe.bfloat16 and has_bfloat16(device) else "float32",
    }


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()
