"""Whether two answers of a network to the same images are the same, and some words about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from mnist_drill.judge.talk import Talk

TOLERANCE = 1e-3  # as a share; float32 in another order differs by a twentieth of it


def answered(talk: Talk, which: str) -> Tensor | None:
    """The logits that came with the program of that name."""
    recorded = talk.programs.get(which)
    return recorded and recorded.answer.logits


def apart(logits: Tensor | None, wanted: Tensor | None, whole: Tensor | None = None) -> bool:
    """Whether two answers to the same images differ by more than arithmetic in another order does.

    Compared is how far each class is behind the first one of its image, and measured by that and by how far the second
    one usually is: what is added to all classes, a factor, or one large logit hides no difference. `whole` are the
    answers that `wanted` is a part of.
    """
    if logits is None or wanted is None:
        return False
    if logits.shape != wanted.shape or wanted.dim() != 2 or not wanted.numel():
        return logits.shape != wanted.shape
    ours, theirs = _behind(logits), _behind(wanted)
    lead = _behind(wanted if whole is None else whole).sort().values[:, :2].amax(dim=1).median()
    return not bool(((ours - theirs).abs() <= TOLERANCE * (theirs + lead)).all())


def _behind(logits: Tensor) -> Tensor:
    """By how much each logit is less than the largest of its image."""
    logits = logits.double()
    return logits.amax(dim=1, keepdim=True) - logits


def in_words(names: list[str]) -> str:
    """The first ones, and how many more there are."""
    if not names:
        return "numbers in its operations"
    return ", ".join([*names[:2], *([f"{len(names) - 2} more"] if len(names) > 2 else [])])
