"""Recipes: all that decides a training besides the network, the data and the seed. Plain, frozen data."""

import math
import reprlib
from dataclasses import dataclass, field, replace
from typing import NamedTuple

OPTIMIZERS = ("sgd", "adam", "adamw")
LARGEST = 1e300  # of any setting: a whole number may be larger than any float


class Range(NamedTuple):
    """The numbers from `low` to `high`, without an end that is open."""

    low: float
    high: float = LARGEST
    low_open: bool = False
    high_open: bool = False

    def check(self, name: str, value: float) -> None:
        """Raises ValueError, which names the setting, its value and the range, for a value that is not in it."""
        above = value > self.low if self.low_open else value >= self.low
        below = value < self.high if self.high_open else value <= self.high
        if not (above and below):  # nor is a NaN
            raise ValueError(f"{name} = {reprlib.repr(value)} is not in its range, {self}")

    def __str__(self) -> str:
        low = f"{'above' if self.low_open else 'from'} {self.low:g}"
        return f"{low} to {'below ' if self.high_open else ''}{self.high:{',' if self.high < 1e6 else 'g'}}"


RANGES = {  # of every setting that is a number
    "epochs": Range(1),
    "batch_size": Range(2, 60_000),  # the most is the training set
    "learning_rate": Range(0, low_open=True),
    "momentum": Range(0, 1, high_open=True),
    "weight_decay": Range(0),
    "augmentation_annealing": Range(0, 1),
    "ema_decay": Range(0, 1, high_open=True),
    # of WarmupCosine and StepDecay
    "initial": Range(0),
    "warmup": Range(0, 1),
    "annealed": Range(0, 1),
    "final": Range(0),
    "every": Range(0.001, 1),
    "gamma": Range(0),
    # of Augmentation
    "rotation": Range(0),
    "translation": Range(0),
    "scale": Range(0, 1, high_open=True),  # with 1 an image could vanish
    "shear": Range(0, 90, high_open=True),
    "cutout": Range(0, 28),
}


class Checked:
    """Settings that are in their `RANGES`. Raises ValueError for one that is not."""

    def __post_init__(self):
        for name, value in vars(self).items():
            if name in RANGES:
                RANGES[name].check(name, value)


@dataclass(frozen=True)
class WarmupCosine(Checked):
    """Linear warmup, cosine annealing, then a constant final learning rate.

    Learning rates are shares of the peak, `Recipe.learning_rate`; positions are shares of the training.
    """

    initial: float = 0.04  # the learning rate at the first step
    warmup: float = 0.2  # where the linear warmup ends, at the peak
    annealed: float = 0.75  # where the cosine annealing ends
    final: float = 0.05  # the learning rate from there to the last step

    def __post_init__(self):
        super().__post_init__()
        if self.warmup > self.annealed:
            raise ValueError(f"a schedule anneals after its warmup: annealed = {self.annealed}, warmup = {self.warmup}")

    def factor(self, progress: float) -> float:
        """The learning rate after a share of the training, as a share of the peak."""
        if progress < self.warmup:
            return self.initial + (1 - self.initial) * progress / self.warmup
        if progress < self.annealed:
            descent = (progress - self.warmup) / (self.annealed - self.warmup)
            return self.final + (1 - self.final) * (1 + math.cos(math.pi * descent)) / 2
        return self.final


@dataclass(frozen=True)
class StepDecay(Checked):
    """A learning rate that is multiplied by `gamma` at regular intervals."""

    every: float  # the interval, as a share of the training
    gamma: float = 0.1

    def factor(self, progress: float) -> float:
        """The learning rate after a share of the training, as a share of the first."""
        return self.gamma ** math.floor(progress / self.every + 1e-9)  # so that rounding cannot make a step late


@dataclass(frozen=True)
class Augmentation(Checked):
    """Ranges to draw from, uniformly, for each image; 0 switches a part off. `augment.augment` applies it."""

    rotation: float = 0.0  # degrees, in [-rotation, rotation], positive is clockwise
    translation: float = 0.0  # pixels, along each axis in [-translation, translation]
    scale: float = 0.0  # the factor is in [1 - scale, 1 + scale]
    shear: float = 0.0  # degrees, along the x axis, in [-shear, shear]
    cutout: int = 0  # side in pixels of a square set to background, centred on any pixel

    def shrunk(self, share: float) -> "Augmentation":
        """The same with each range smaller by `share`, between 0 and 1; the side of cutout is rounded."""
        left = {name: value * (1 - share) for name, value in vars(self).items()}
        return Augmentation(**{**left, "cutout": round(left["cutout"])})


@dataclass(frozen=True)
class Recipe(Checked):
    """All that decides a training besides the network, the data and the seed.

    Raises ValueError for a setting out of its range.
    """

    epochs: int = 15
    batch_size: int = 128
    learning_rate: float = 0.01  # with a schedule, its peak
    optimizer: str = "sgd"  # one of `OPTIMIZERS`
    momentum: float = 0.9  # Nesterov momentum of SGD; Adam and AdamW ignore it
    weight_decay: float = 1e-4  # on parameters of two or more dimensions: not on biases, nor on batch norm's
    schedule: WarmupCosine | StepDecay | None = None  # None: the learning rate is constant
    augmentation: Augmentation = field(default_factory=Augmentation)
    augmentation_annealing: float = 0.0  # the share by which augmentation's ranges shrink until the last epoch
    ema_decay: float = 0.0  # per step, of the exponential moving average of the weights; 0: no average is taken
    mixed_precision: bool = True  # autocast to bfloat16 while training, where the hardware multiplies it natively

    def __post_init__(self):
        super().__post_init__()
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(f"unknown optimizer {self.optimizer!r}: choose one of {', '.join(OPTIMIZERS)}")

    def with_epochs(self, epochs: int) -> "Recipe":
        """The same recipe over another number of epochs; the schedule stretches with it."""
        return replace(self, epochs=epochs)

    def learning_rate_at(self, progress: float) -> float:
        """The learning rate after `progress`, a share of the training between 0 and 1."""
        return self.learning_rate * (1.0 if self.schedule is None else self.schedule.factor(progress))

    def augmentation_at(self, epoch: int) -> Augmentation:
        """The augmentation in an epoch, counted from 1: annealed in a straight line from the first to the last."""
        return self.augmentation.shrunk(self.augmentation_annealing * (epoch - 1) / max(1, self.epochs - 1))


PLAIN = Recipe()  # SGD with a constant learning rate: stages 2 and 3; stage 1 changes epochs and learning rate

STAGE4 = Recipe(
    batch_size=192,
    learning_rate=1.4,
    schedule=WarmupCosine(annealed=0.9),
    augmentation=Augmentation(rotation=10, translation=2, scale=0.1, shear=5.7),
    augmentation_annealing=0.6,
    ema_decay=0.997,
)

SPRINT = Recipe(
    epochs=2,
    batch_size=192,
    learning_rate=0.2,
    schedule=WarmupCosine(initial=0.1, warmup=0.3, annealed=1.0, final=0.02),
)

# For torchvision's networks, of whatever family: stage 4's augmentation, and a learning rate that those without batch
# norm tolerate.
ADAPTED = Recipe(
    epochs=5,
    batch_size=128,
    learning_rate=1e-3,
    optimizer="adamw",
    weight_decay=0.01,
    schedule=WarmupCosine(annealed=1.0, final=0.01),
    augmentation=STAGE4.augmentation,
    augmentation_annealing=STAGE4.augmentation_annealing,
    mixed_precision=False,  # a CPU takes twice as long for depthwise convolutions in bfloat16
)
