"""Checkpoints: a network's name, how it is built, and its weights, in one file."""

import io
from pathlib import Path

import torch
from torch import nn

from mnist_drill.errors import DrillError
from mnist_drill.files import write_atomically
from mnist_drill.models import NETWORKS, build

FORMAT = 1


def save(path: Path, model: nn.Module, name: str, changes: dict) -> None:
    """Writes the weights of a network that `build(name, **changes)` made, whole or not at all."""
    # Weights that are in the file need not be fetched again.
    changes = {key: value for key, value in changes.items() if key != "pretrained"}
    weights = {key: value.cpu() for key, value in model.state_dict().items()}
    content = io.BytesIO()
    torch.save({"format": FORMAT, "network": name, "changes": changes, "weights": weights}, content)
    write_atomically(path, content.getvalue())


def load(path: Path, network: str | None = None) -> tuple[nn.Module, str]:
    """The network of a checkpoint, on the CPU, and its name.

    A file that holds weights alone is taken for `network` or else for the network that it is named after. Raises
    `DrillError` for a file that is missing, damaged, or of another network or format.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise DrillError(f"cannot read {path}: {error.strerror}") from None
    except Exception:  # whatever a damaged archive makes the unpickler raise
        raise DrillError(f"{path} is not a checkpoint; `train` writes one") from None
    if not isinstance(content, dict) or "format" not in content:
        name = network or path.stem
        if network is None and name not in NETWORKS:
            raise DrillError(f"{path} does not say of which network it is: name it with --network")
        content = {"format": FORMAT, "network": name, "changes": {}, "weights": content}
    if content["format"] != FORMAT:
        raise DrillError(f"{path} has format {content['format']!r}, and {FORMAT} is read here: train it again")
    name = content["network"]
    if network not in (None, name):
        raise DrillError(f"{path} is a checkpoint of {name}, not of {network}")
    model = build(name, **content["changes"])
    try:
        model.load_state_dict(content["weights"])
    except (RuntimeError, TypeError, AttributeError):  # torch names each of perhaps hundreds of tensors
        raise DrillError(f"{path} holds the weights of another network than {name}") from None
    return model, name
