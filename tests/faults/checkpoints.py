"""Sound checkpoints, to be spoilt, and how a spoilt one has to be refused."""

import io
import time

import pytest
import torch

from mnist_drill.errors import DrillError
from mnist_drill.models import build
from mnist_drill.storage import checkpoint


def whole(**changes):
    """What a checkpoint of `stage2` holds."""
    return {"format": 1, "network": "stage2", "changes": {}, "weights": build("stage2", 1).state_dict()} | changes


def saved(content, **options):
    stream = io.BytesIO()
    torch.save(content, stream, **options)
    return stream.getvalue()


def refused(path):
    """The message with which a file is refused; it is one line, names the file, and comes soon."""
    start = time.monotonic()
    with pytest.raises(DrillError) as caught:
        checkpoint.load(path)
    assert time.monotonic() - start < 30, "hangs"
    message = str(caught.value)
    assert str(path) in message
    assert len(message) < 1000 + len(str(path))
    return message
