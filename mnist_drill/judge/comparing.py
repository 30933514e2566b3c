"""Whether two answers of a network to the same images are the same, and some words about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from mnist_drill.judge.program import BATCH

if TYPE_CHECKING:
    from torch import Tensor

    from mnist_drill.judge.talk import Talk

TOLERANCE = 1e-3  # of logits, and as a share of the largest of them; float32 in another order differs by a hundredth


def size(name: str) -> int:
    """Of the batch of that name."""
    return int(name.split()[0]) if name[0].isdigit() else BATCH


def answered(talk: Talk, which: str) -> Tensor | None:
    """The logits that came with the program of that name."""
    recorded = talk.programs.get(which)
    return recorded and recorded.answer.logits


def tolerance(logits: Tensor) -> float:
    """By how much the same answer may differ."""
    return TOLERANCE * (1 + float(logits.abs().max()))


def apart(logits: Tensor | None, wanted: Tensor | None) -> bool:
    """Whether two answers to the same images differ by more than arithmetic in another order does."""
    if logits is None or wanted is None:
        return False
    if logits.shape != wanted.shape:
        return True
    return not float((logits - wanted).abs().nan_to_num(torch.inf).max()) <= tolerance(wanted)


def in_words(names: list[str]) -> str:
    """The first ones, and how many more there are."""
    if not names:
        return "numbers in its operations"
    return ", ".join([*names[:2], *([f"{len(names) - 2} more"] if len(names) > 2 else [])])
