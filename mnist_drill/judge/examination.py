"""Examining a submission without training it: in two processes of its own, and in one that carries out its program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mnist_drill.data import to_grey
from mnist_drill.judge.program import BATCH
from mnist_drill.judge.talk import EXAMINED, Talk

if TYPE_CHECKING:
    from torch import Tensor

    from mnist_drill.judge.processes import Zygote
    from mnist_drill.judge.rules import Rules
    from mnist_drill.judge.submission import Submission


@dataclass
class Examination:
    """What the two processes said, and what came of carrying out the program that the first one recorded."""

    first: Talk  # built at a seed, again at the same seed, and at another one
    fresh: Talk  # built at the first seed in a process of its own
    facts: dict | None = None  # `replaying.described` of the program; None where it could not be carried out
    logits: Tensor | None = None  # of the program, on the images that it was recorded on
    not_replayable: str = ""


def examine(
    zygote: Zygote, submission: Submission, images: Tensor, rules: Rules, seeds: tuple[int, int]
) -> Examination:
    """Examines on `BATCH` images, (BATCH, 1, 28, 28) in [0, 1]; the two seeds differ."""
    probe = to_grey(images[:BATCH])
    one, other = seeds
    with zygote.pool(1) as beside:
        brief = beside.submit(_talk, zygote, submission, probe, rules, [one], True)
        first = _talk(zygote, submission, probe, rules, [one, one, other], False)
        examination = Examination(first, brief.result())
    recorded = first.programs.get("seed 0")
    if recorded is None:
        return examination
    with zygote.start(rules.limits, rules.limits.seconds_to_examine) as process:
        process.ask({"job": "replay"}, {"probe": probe})
        process.answer()  # what is closed to it
        head, tensors = process.carry_out(recorded.program, "probe")
    if "not_replayable" in head:
        examination.not_replayable = str(head["not_replayable"])
    else:
        examination.facts, examination.logits = head, tensors["logits"]
    return examination


def _talk(zygote: Zygote, submission: Submission, probe: Tensor, rules: Rules, seeds: list[int], brief: bool) -> Talk:
    seconds = rules.limits.seconds_to_examine
    talk = Talk(rules.limits, seconds, EXAMINED)
    with zygote.start(rules.limits, seconds) as process:
        process.ask(
            {"job": "examine", "seeds": seeds, "brief": brief, **submission.head(zygote.hidden)}, {"images": probe}
        )
        talk.listen_to_all(process)
        talk.ending = process.end()
    return talk
