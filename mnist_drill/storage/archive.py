"""Tensors and plain values in a file of torch's format, written whole and read without running anything in it."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Any

import torch

from mnist_drill.storage.files import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

LARGEST_STRUCTURE = 4_000_000  # bytes of what describes the tensors; the largest networks need a tenth of it


def write_archive(path: Path, content: Any) -> None:
    """Writes nested dictionaries, lists, tensors, numbers and text, whole or not at all."""
    stream = io.BytesIO()
    torch.save(content, stream)
    write_atomically(path, stream.getvalue())


def read_archive(path: Path) -> Any:
    """What torch's unpickler, restricted to tensors and plain values, makes of a file that is what it says.

    The tensors are views of the file: copy what is to outlive it. Raises OSError, or whatever else the readers raise
    for a damaged or hostile file, before memory is taken for it.
    """
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        # torch stores without compression. Anything else could be larger than the file, and so could shared content.
        if any(entry.compress_type or entry.compress_size != entry.file_size for entry in entries):
            raise ValueError("compressed")
        if sum(entry.file_size for entry in entries) > path.stat().st_size:
            raise ValueError("larger than the file")
        structure = [entry for entry in entries if entry.filename.rpartition("/")[2] == "data.pkl"]
        if len(structure) != 1 or structure[0].file_size > LARGEST_STRUCTURE:
            raise ValueError("no structure of tensors")
        damaged = archive.testzip()
        if damaged:
            raise ValueError(f"damaged in {damaged}")
    # Mapped, no tensor reaches beyond the file. torch 2.6 otherwise believes what a tensor says of its length.
    return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
