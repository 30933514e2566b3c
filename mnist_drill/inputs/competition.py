"""The files of the digit-recognizer competition: `train.csv`, `test.csv`, and the entry `submission.csv`."""

from __future__ import annotations

import gzip
import warnings
import zlib
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from mnist_drill.data import LabeledImages, from_grey
from mnist_drill.errors import DrillError
from mnist_drill.storage.files import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

PIXELS = [f"pixel{i}" for i in range(784)]


def read_train(path: Path) -> LabeledImages:
    """The labeled images of a `train.csv`: a header, then a label and 784 grey values from 0 to 255 in each row.

    Raises `DrillError`, naming file and row, for anything else.
    """
    rows, numbers = _rows(path, ["label", *PIXELS])
    if len(rows) < 12:
        raise DrillError(f"{path} has {len(rows)} rows, too few to train on and to test on: give the whole train.csv")
    labels = rows[:, 0]
    if (labels > 9).any():
        first = int((labels > 9).argmax())
        raise DrillError(f"{path}, row {numbers[first]}: label {labels[first]} is not a digit from 0 to 9")
    return LabeledImages(_images(rows[:, 1:]), torch.from_numpy(labels.astype(np.int64)))


def read_test(path: Path) -> Tensor:
    """The images of a `test.csv`, float32 of shape (N, 1, 28, 28) in [0, 1]: a header, then 784 grey values a row.

    Raises `DrillError`, naming file and row, for anything else.
    """
    return _images(_rows(path, PIXELS)[0])


def write_entry(path: Path, labels: Tensor) -> None:
    """Writes the entry, whole or not at all: the number of each image of `test.csv`, from 1, and its label."""
    lines = [f"{number},{label}" for number, label in enumerate(labels.tolist(), 1)]
    write_atomically(path, "\n".join(["ImageId,Label", *lines]) + "\n")


def _images(pixels: np.ndarray) -> Tensor:
    return from_grey(torch.tensor(pixels)).view(-1, 1, 28, 28)


def _rows(path: Path, header: list[str]) -> tuple[np.ndarray, list[int]]:
    """The rows below that header, uint8, and their numbers in the file, where blank lines count."""
    try:
        content = path.read_bytes()
        if content.startswith(b"\x1f\x8b"):
            content = gzip.decompress(content)
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise DrillError(f"{path} is not text: give the competition's CSV file") from None
    except (OSError, EOFError, zlib.error) as error:
        raise DrillError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None
    if not lines:
        raise DrillError(f"{path} is empty: give the competition's CSV file")
    found = [name.strip().strip('"') for name in lines[0].split(",")]
    if found != header:
        missing = [name for name in header if name not in found]
        fault = f"column {missing[0]} is missing" if missing else "the columns are others"
        raise DrillError(f"{path}, row 1: {fault}; it should be {header[0]} to {header[-1]}, {len(header)} columns")
    rows = [(number, line) for number, line in enumerate(lines[1:], 2) if line.strip()]
    if not rows:
        raise DrillError(f"{path} has no row below its header: give the competition's CSV file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # 1.5 is read as 1, with a warning
            values = np.loadtxt([line for _, line in rows], delimiter=",", dtype=np.int64, ndmin=2, comments=None)
        if values.shape[1] == len(header) and values.min() >= 0 and values.max() <= 255:
            return values.astype(np.uint8), [number for number, _ in rows]
    except (ValueError, Warning):
        pass
    for number, line in rows:
        cells = line.split(",")
        if len(cells) != len(header):
            raise DrillError(f"{path}, row {number}: {len(cells)} values where {len(header)} belong")
        for name, cell in zip(header, cells, strict=True):
            if not cell.strip().isdecimal() or int(cell) > 255:
                raise DrillError(f"{path}, row {number}: {name} is {cell.strip()!r}, not a whole number from 0 to 255")
    raise DrillError(f"{path} is not a table of whole numbers from 0 to 255")
