"""MNIST Drill: the networks, the training loop and the claims that the course's notebooks import."""

__version__ = "0.2.0"
