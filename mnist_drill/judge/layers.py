"""In the submission's process: a network's layers with their receptive fields or, where it is no chain, its largest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnist_drill.errors import DrillError
from mnist_drill.receptive_field import trace

if TYPE_CHECKING:
    from torch import nn

MOST = 40


def layers_of(network: nn.Module) -> dict:
    """Rows, and why there are no receptive fields, which is empty where there are some."""
    try:
        rows = [
            {"name": layer.name, "kind": layer.kind, "shape": f"{layer.channels_in}×{layer.size_in}×{layer.size_in} → "
             f"{layer.channels_out}×{layer.size_out}×{layer.size_out}", "receptive_field": layer.field_out,
             "parameters": layer.parameters + layer.norm_parameters}
            for layer in trace(network)
        ]  # fmt: skip
        return {"rows": rows[:MOST], "no_fields": ""}
    except DrillError as error:
        why = str(error)
    except Exception as error:  # a network that the recursion cannot follow may fail in any way
        why = f"{type(error).__name__}: {error}"
    own = {}
    for name, module in network.named_modules():
        count = sum(x.numel() for x in module.parameters(recurse=False))
        if count:
            own[name] = {"name": name or "(the network itself)", "kind": type(module).__name__, "shape": "",
                         "receptive_field": None, "parameters": count}  # fmt: skip
    largest = sorted(own.values(), key=lambda row: -row["parameters"])
    return {"rows": largest[:10], "no_fields": why[:300]}
