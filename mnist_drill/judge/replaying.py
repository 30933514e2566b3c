"""In a process of its own, in which no code of a submission runs: carrying out programs, and saying what is in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.utils.flop_counter import FlopCounterMode

from mnist_drill.data import from_grey, normalize
from mnist_drill.errors import DrillError
from mnist_drill.judge import protocol
from mnist_drill.judge.comparing import apart
from mnist_drill.judge.program import BATCH, NotReplayable, Program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from mnist_drill.judge.jobs import Speaker


def replay(head: dict, tensors: dict[str, Tensor], speaker: Speaker) -> None:
    """Carries out one program after another on the sets of images that it is first given, uint8."""
    sets = {name: from_grey(images) for name, images in tensors.items()}
    while True:
        try:
            head, tensors = protocol.receive(speaker.connection)
        except EOFError:
            return
        try:
            program = Program.from_parts(head["program"], tensors)
            if program.fault:
                raise NotReplayable(program.fault)
            logits = carried_out(program, sets[head["on"]])
            facts = described(program, sets[head["on"]])
        except Exception as error:  # a program may be anything
            message = str(error).splitlines()[0] if str(error) else type(error).__name__
            speaker.say({"not_replayable": message[:300]})
            continue
        speaker.say({"replayed": True, **facts}, {"logits": logits})


@torch.no_grad()
def carried_out(program: Program, images: Tensor) -> Tensor:
    """The logits of all images, (N, 10). Raises `DrillError` where they are none."""
    logits = []
    for part in images.split(BATCH):
        logits.append(program.run(_whole_batch(part, images)).float()[: len(part)])
    return torch.cat(logits).contiguous()


def _whole_batch(part: Tensor, images: Tensor) -> Tensor:
    """Some of the images, at most `BATCH`, filled up with the first ones, normalized. Raises `DrillError` where these
    are too few."""
    batch = torch.cat([part, images[: BATCH - len(part)]])
    if len(batch) != BATCH:
        raise DrillError(f"at least {BATCH // 2} images are classified")
    return normalize(batch)


@torch.no_grad()
def described(program: Program, images: Tensor) -> dict:
    """What is in a program: operations with their shapes, whether it changes its constants, and whether an image's
    answer depends on the others."""
    batch = _whole_batch(images[:BATCH], images)
    kept = {number: value.clone() for number, value in program.constants.items()}
    calls = []

    def look(name: str, given: list, made: list) -> None:
        calls.append({"name": name, "given": _shapes(given), "made": _shapes(made)})

    with FlopCounterMode(display=False) as counter:
        program.run(batch.clone(), look)
    changed = [n for n, value in kept.items() if not torch.equal(value.nan_to_num(), program.constants[n].nan_to_num())]
    for number, value in kept.items():
        program.constants[number] = value
    ours = program.run(batch.clone()).float()
    by_neighbours = any(
        apart(program.run(batch.where(kept[:, None, None, None], batch.flip(0))).float()[kept], ours[kept], ours)
        for kept in _halves()
    )
    return {
        "calls": calls,
        "flops": counter.get_total_flops() / BATCH,
        "changed": changed,
        "by_neighbours": by_neighbours,
    }


def _halves() -> Iterator[Tensor]:
    """Which places of a batch keep their images while the others get other ones, (BATCH,). For every two places there
    is a half in which the first keeps its image and the second does not."""
    places = torch.arange(BATCH)
    for bit in range((BATCH - 1).bit_length()):
        for value in (0, 1):
            yield (places >> bit) % 2 == value


def _shapes(values: list) -> list:
    """The shapes of the tensors among them, and None for anything else."""
    return [list(value.shape) if torch.is_tensor(value) else None for value in values]
