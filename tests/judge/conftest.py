import pytest

from mnist_drill.judge.judging import zygote
from mnist_drill.judge.program import BATCH
from mnist_drill.judge.sets import Sets


@pytest.fixture(scope="session")
def few_sets(mnist):
    """900 training images, of which 150 validate, and 300 test images."""
    train_set, test_set = mnist
    return Sets(train_set[:900], test_set[:300])


@pytest.fixture(scope="session")
def processes():
    """What starts submissions' processes, once for all tests: it imports torch."""
    with zygote() as started:
        yield started


@pytest.fixture(scope="session")
def images(mnist):
    """What a program is recorded on."""
    return mnist[0].images[:BATCH]
