"""MNIST Drill: the networks, the loops and the claims that the course's notebooks import."""

from mnist_drill.data import load, split
from mnist_drill.models import build
from mnist_drill.train import RECIPES, evaluate, fit

__all__ = ["RECIPES", "build", "evaluate", "fit", "load", "split"]
