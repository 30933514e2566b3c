"""Networks in ONNX, for programs without torch."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

import torch

from mnist_drill.data import MEAN, STD
from mnist_drill.errors import DrillError
from mnist_drill.storage.files import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

OPSET = 17  # old enough for the runtimes in use, new enough for every layer of the course


def write_onnx(path: Path, model: nn.Module, name: str) -> None:
    """Writes a network in evaluation mode as ONNX, whole or not at all.

    Its input `images` is that of the network itself, normalized images of shape (batch, 1, 28, 28), and its output
    `logits` has shape (batch, 10); the batch may be of any size. How to normalize is in the file's metadata. Raises
    `DrillError` where the package `onnx` is missing, and for a network that ONNX cannot express.
    """
    try:
        import onnx
    except ImportError:
        raise DrillError(f"{path}: ONNX needs the package onnx: pip install onnx") from None
    content = io.BytesIO()
    with warnings.catch_warnings():
        # torch advises its newer exporter, which needs further packages and takes a hundred times as long.
        warnings.simplefilter("ignore")
        try:
            torch.onnx.export(
                model.eval(), (torch.zeros(1, 1, 28, 28),), content, dynamo=False, opset_version=OPSET,
                input_names=["images"], output_names=["logits"],
                dynamic_axes={"images": {0: "batch"}, "logits": {0: "batch"}},
            )  # fmt: skip
        except (torch.onnx.errors.OnnxExporterError, RuntimeError) as error:
            raise DrillError(f"cannot write {name} as ONNX: {str(error).strip().splitlines()[0]}") from None
    exported = onnx.load_from_string(content.getvalue())
    onnx.helper.set_model_props(exported, {"network": name, "mean": str(MEAN), "std": str(STD)})
    onnx.checker.check_model(exported, full_check=True)
    write_atomically(path, exported.SerializeToString())
