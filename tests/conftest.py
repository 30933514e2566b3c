import matplotlib
import pytest

from mnist_drill import data

matplotlib.use("Agg")


@pytest.fixture(scope="session")
def mnist():
    """The real training and test digits, fetched once where they are missing."""
    return data.load()


@pytest.fixture(scope="session")
def few(mnist):
    """500 training and 500 test digits: enough to train on for a moment."""
    train, test = mnist
    return train[:500], test[:500]
