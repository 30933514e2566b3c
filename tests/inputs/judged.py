"""How many photographs of digits `predict` classifies correctly, and how many pages without a digit it refuses.

`python -m tests.inputs.judged runs/stage4.pt` measures a checkpoint on MNIST's test images and stores the figures of
`docs/photographs.md`; `mnist-drill render` then writes them there.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from mnist_drill import data
from mnist_drill.course.photographs import FILE, FORMAT
from mnist_drill.data import LabeledImages, normalize
from mnist_drill.inputs import pictures, reading
from mnist_drill.stages import STAGES
from mnist_drill.storage import checkpoint
from mnist_drill.storage.files import write_atomically
from mnist_drill.training.devices import environment
from tests.inputs import photographs

if TYPE_CHECKING:
    from torch import Tensor, nn

ROW = 8  # digits


def tones(grey: np.ndarray) -> Tensor:
    """Grey values from 0 to 255 as brightnesses in [0, 1]."""
    return torch.from_numpy(grey.astype(np.float32) / 255)


def said(model: nn.Module, grey: np.ndarray) -> list[int | None]:
    """The digits in a picture from left to right, None for one that is unsure."""
    return [x.digit if x.sure else None for x in reading.read(model, tones(grey))]


@torch.inference_mode()
def said_before(model: nn.Module, grey: np.ndarray) -> list[int | None]:
    """The same by MNIST's preprocessing alone, of the whole picture as one digit: all that `predict` did at first."""
    try:
        image = pictures.preprocess(pictures.ink(tones(grey)))
    except pictures.NoDigit:
        return []
    return [int(model.eval()(normalize(image[None])).argmax())]


def pictures_of(kind: str, dataset: LabeledImages, count: int) -> list[tuple[np.ndarray, list[int]]]:
    """Pictures, and the digits from left to right that are in them."""
    if kind == "row":
        parts = [slice(ROW * i, ROW * (i + 1)) for i in range(count)]
        return [
            (photographs.grey(photographs.row_of(dataset.images[part, 0], np.random.default_rng([number, 3]))),
             dataset.labels[part].tolist())
            for number, part in enumerate(parts)
        ]  # fmt: skip
    if kind in photographs.KINDS:
        numbered = enumerate(zip(dataset.images[:count, 0], dataset.labels[:count].tolist(), strict=True))
        return [(photographs.photograph(image, kind, i), [label]) for i, (image, label) in numbered]
    scribble = None if kind == "empty" else kind
    return [(photographs.grey(photographs.page(number, scribble)), []) for number in range(count)]


def is_right(found: list[int | None], digits: list[int]) -> bool:
    """Whether all digits are there and right; of a page without one, whether none is given."""
    return found == digits if digits else not any(x is not None for x in found)


def judged(model: nn.Module, kind: str, dataset: LabeledImages, count: int) -> dict[str, int]:
    """Of `count` pictures of a kind, how many are right, by MNIST's preprocessing alone and by `predict`."""
    pairs = pictures_of(kind, dataset, count)
    return {
        "of": len(pairs),
        "before": sum(is_right(said_before(model, grey), digits) for grey, digits in pairs),
        "now": sum(is_right(said(model, grey), digits) for grey, digits in pairs),
    }


def _job(path: Path, kind: str, count: int) -> dict[str, int]:
    torch.set_num_threads(1)
    return judged(checkpoint.load(path)[0], kind, data.load()[1], count)


def main(path: Path) -> None:
    model, name = checkpoint.load(path)
    _, test_set = data.load()
    accuracy = 100 * (reading.predict(model, test_set).argmax(dim=1) == test_set.labels).float().mean().item()
    counts = dict.fromkeys([*photographs.KINDS, "row", "empty", *photographs.SCRIBBLES], 200)
    with ProcessPoolExecutor(2) as pool:
        jobs = {kind: pool.submit(_job, path, kind, count) for kind, count in counts.items()}
        kinds = {kind: job.result() for kind, job in jobs.items()}
    content = {
        "format": FORMAT,
        "environment": environment(torch.device("cpu"), STAGES[name].recipe),
        "network": name,
        "accuracy": round(accuracy, 2),
        "kinds": kinds,
    }
    write_atomically(FILE, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
