"""Claims: sentences about runs, each with a check, and their verdicts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from mnist_drill.course.tables import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mnist_drill.runs import Run


@dataclass(frozen=True)
class Claim:
    """A sentence with a check on runs."""

    sentence: str
    check: Callable[..., bool]
    why: str = ""

    def verdict(self, *runs: Run) -> str:
        """`✓ sentence` or `✗ sentence`. A check that cannot run does not hold, and the verdict says why."""
        try:
            return f"{'✓' if self.check(*runs) else '✗'} {self.sentence}"
        except Exception as error:  # a learner's change may leave a check nothing to look at
            return f"✗ {self.sentence} (not checked: {type(error).__name__}: {error})"


def claim(sentence: str, check: Callable[..., bool], why: str = "", **numbers: float) -> Claim:
    """A claim whose sentence and check share their numbers, so that the words say the figure that is checked.

    `numbers` fill the braces of `sentence` and are given to `check` by name, after the runs:

        claim("It has fewer than {limit:,} parameters", lambda run, limit: run.parameters < limit, limit=10_000)
    """
    return Claim(sentence.format(**numbers), partial(check, **numbers), why)


class Verdicts:
    """The verdicts on some claims, one to a line."""

    def __init__(self, verdicts: Iterable[str]):
        self.verdicts = list(verdicts)

    def __repr__(self) -> str:
        return "\n".join(self.verdicts)

    def _repr_markdown_(self) -> str:
        return "\n".join(f"- {verdict}" for verdict in self.verdicts)


def targets(claims: Iterable[Claim]) -> Table:
    """What a stage sets out to meet, and why, before it is trained."""
    return Table(["target", "why"], [(claim.sentence, claim.why) for claim in claims])


def judge(claims: Iterable[Claim], *runs: Run, seeds: Sequence[Run] = ()) -> Verdicts:
    """Each claim's verdict on these runs; see `Claim.verdict`.

    With `seeds`, stored runs, it also says at how many of them the claim holds, each in place of the first run.
    """
    verdicts = []
    for claim in claims:
        held = sum(claim.verdict(seed, *runs[1:]).startswith("✓") for seed in seeds)
        verdicts.append(claim.verdict(*runs) + (f" (at {held} of {len(seeds)} stored seeds)" if seeds else ""))
    return Verdicts(verdicts)
