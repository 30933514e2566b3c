"""Checkpoints: a network's name, how it is built, and its weights, in one file that is data and nothing else.

torch's own format, read without running anything that is in it, or safetensors. A file may come from anywhere: it is
looked at before memory is taken for it, and refused unless it fits the network that it names.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from mnist_drill.errors import DrillError
from mnist_drill.models import build_without_values, check_name
from mnist_drill.stages import NETWORKS
from mnist_drill.storage.archive import read_archive, write_archive
from mnist_drill.storage.files import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = 1
SAFETENSORS = ".safetensors"


def save(path: Path, model: nn.Module, name: str, changes: dict) -> None:
    """Writes the weights of a network that `build(name, **changes)` made, whole or not at all.

    The name decides the format: safetensors if it ends in `.safetensors`, torch's if not.
    """
    # Weights that are in the file need not be fetched again.
    changes = {key: value for key, value in changes.items() if key != "pretrained"}
    weights = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    if path.suffix.lower() == SAFETENSORS:
        import safetensors.torch  # here, since only this format needs it

        head = {"format": str(FORMAT), "network": name, "changes": json.dumps(changes)}
        write_atomically(path, safetensors.torch.save(weights, head))
        return
    write_archive(path, {"format": FORMAT, "network": name, "changes": changes, "weights": weights})


def load(path: Path, network: str | None = None) -> tuple[nn.Module, str]:
    """The network of a checkpoint, on the CPU, and its name.

    A file that holds weights alone is taken for `network` or else for the network that it is named after. Raises
    `DrillError` for a file that is missing, damaged, or of another network or format.
    """
    model, name, _ = read(path, network)
    return model, name


def read(path: Path, network: str | None = None) -> tuple[nn.Module, str, dict]:
    """As `load`, and with the changes that the network was built with."""
    if path.exists() and not path.is_file():
        raise DrillError(f"{path} is not a file: name a checkpoint")
    try:
        content = _read_safetensors(path) if path.suffix.lower() == SAFETENSORS else read_archive(path)
    except OSError as error:
        raise DrillError(f"cannot read {path}: {error.strerror or error}") from None
    except Exception as error:  # whatever a damaged or hostile file makes the readers raise
        raise DrillError(f"{path} is not a checkpoint ({_short(error)}); `train` writes one") from None
    if not isinstance(content, dict) or "format" not in content:
        name = network or path.stem
        if network is None and name not in NETWORKS:
            raise DrillError(f"{path} does not say of which network it is: name it with --network")
        content = {"format": FORMAT, "network": name, "changes": {}, "weights": content}
    if type(content["format"]) is not int or content["format"] != FORMAT:
        found = " ".join(str(content["format"]).split())
        raise DrillError(f"{path} has format {found:.20}, and {FORMAT} is read here: train it again")
    name, changes, weights = (content.get(key) for key in ("network", "changes", "weights"))
    if not isinstance(name, str) or len(name) > 100 or not _are_changes(name, changes):
        raise DrillError(f"{path} does not say how its network is built; `train` writes that")
    if network not in (None, name):
        raise DrillError(f"{path} is a checkpoint of {name}, not of {network}")
    try:
        check_name(name)
        model = build_without_values(name, **changes)
    except DrillError as error:
        raise DrillError(f"{path}: {error}") from None
    state = model.state_dict()  # with what some networks note beside their weights
    fault = _misfit(weights, state)
    if fault:
        raise DrillError(f"{path} holds the weights of another network than {name}: {fault}")
    for key, weight in weights.items():
        state[key] = weight.clone()  # since tensors of a file may share their memory
    model.load_state_dict(state, assign=True)
    return model, name, changes


def _read_safetensors(path: Path) -> Any:
    import safetensors

    with safetensors.safe_open(path, "pt") as file:
        head = file.metadata() or {}
        weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    if "format" not in head or head["format"] == "pt":  # as other programs write it
        return weights
    return {
        "format": int(head["format"]), "network": head["network"], "changes": json.loads(head["changes"]),
        "weights": weights,
    }  # fmt: skip


def _are_changes(name: str, changes: Any) -> bool:
    """Whether these are changes to a network as `train` makes them."""
    if not isinstance(changes, dict) or (changes and name in NETWORKS):
        return False
    kinds = {"side": int, "freeze": bool}
    return all(type(value) is kinds.get(key) for key, value in changes.items())


def _misfit(weights: Any, wanted: dict[str, Tensor]) -> str | None:
    """How the weights differ from those that the network has, in a few words; None if they do not."""
    if not isinstance(weights, dict):
        return "no weights by name"
    for key in [*wanted, *weights]:
        if key not in weights:
            return f"{key} is missing"
        if key not in wanted:
            return f"unexpected key {key!r:.60}"
        weight = weights[key]
        if type(weight) is not Tensor or weight.layout != torch.strided or weight.device.type != "cpu":
            return f"{key} is no tensor"
        if weight.shape != wanted[key].shape or weight.dtype != wanted[key].dtype:
            return f"{key} is {weight.dtype} of shape {tuple(weight.shape)}, not {tuple(wanted[key].shape)}"
    return None


def _short(error: Exception) -> str:
    text = str(error)
    return text if text and len(text) < 60 and "\n" not in text else type(error).__name__
