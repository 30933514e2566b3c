"""Claims: sentences about runs, each with a check, and their verdicts."""

from __future__ import annotations

import math
import operator
import statistics
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from mnist_drill.course.tables import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mnist_drill.runs import Run

# How a measured value is compared with the number of the sentence that has one of these names: by what, its sign, and
# the direction in which there is room.
BOUNDS = {
    "least": (operator.ge, "≥", 1),
    "above": (operator.gt, ">", 1),
    "most": (operator.le, "≤", -1),
    "below": (operator.lt, "<", -1),
}


@dataclass(frozen=True)
class Claim:
    """A sentence with a check on runs."""

    sentence: str
    check: Callable[..., bool]
    why: str = ""  # why a target asks for it
    because: str = ""  # why it holds: by arithmetic, by definition, or by what an ablation or a picture shows
    perhaps: str = ""  # why it may hold: a mechanism that nothing here isolates
    fails: bool = False  # a prediction that turned out wrong and stays, to be discussed
    measure: Callable[..., float] | None = None  # what is compared with the bound
    bound: tuple[str, float] | None = None  # a name of `BOUNDS`, and the number

    def holds(self, *runs: Run) -> bool:
        """Whether the check holds. Raises whatever the check raises."""
        return bool(self.check(*runs))

    def verdict(self, *runs: Run) -> str:
        """`✓ sentence` or `✗ sentence`. A check that cannot run does not hold, and the verdict says why.

        Of a prediction that is known to fail, `✗` is what is expected, and the verdict says so.
        """
        expected = " (predicted, and wrong)" if self.fails else ""
        try:
            return f"{'✓' if self.holds(*runs) else '✗'} {self.sentence}{expected}"
        except Exception as error:  # a learner's change may leave a check nothing to look at
            return f"✗ {self.sentence} (not checked: {type(error).__name__}: {error})"

    def as_expected(self, *runs: Run) -> bool:
        """Whether the verdict is the one that the course is built on: `✓`, or `✗` for a prediction that fails."""
        try:
            return self.holds(*runs) != self.fails
        except Exception:
            return False

    def reason(self) -> str:
        """Why it holds, with an opening that says how sure that is; of a prediction that fails, what happened."""
        if self.perhaps:
            return f"*A possible reason:* {self.perhaps}"
        opening = "*In fact*" if self.fails else "*Because*"
        return f"{opening} {self.because}" if self.because else ""

    def is_about(self, *runs: Run) -> bool:
        """Whether the check looks at the first run, so that another one in its place can change the verdict.

        It does if it fails without that run; so a check that fails anyway counts as one that does.
        """
        try:
            self.check(None, *runs[1:])
        except Exception:
            return True
        return False

    def measured(self, *runs: Run) -> float:
        """What is compared with the bound; not a number where the runs have nothing to measure."""
        try:
            return self.measure(*runs)
        except Exception:  # as in `verdict`
            return math.nan


def claim(
    sentence: str,
    check: Callable[..., bool] | None = None,
    *,
    measure: Callable[..., float] | None = None,
    why: str = "",
    because: str = "",
    perhaps: str = "",
    fails: bool = False,
    **numbers: float,
) -> Claim:
    """A claim whose sentence and check share their numbers, so that the words say the figure that is checked.

    `numbers` fill the braces of `sentence`. With `measure`, which takes the runs and returns a number, one of them is
    the bound: `least`, `most`, `above` or `below`. With `check` in its place, all are given to it by name, after the
    runs:

        claim("It ends at {least} % test accuracy or more", measure=lambda run: run.last.test_accuracy, least=99)
        claim("It has fewer than {limit:,} parameters", lambda run, limit: run.parameters < limit, limit=10_000)

    Raises ValueError unless there is one of `check` and `measure`, with `measure` one bound, and at most one of
    `because` and `perhaps`.
    """
    if because and perhaps:
        raise ValueError(f"a reason is shown (because) or possible (perhaps), not both: {sentence!r}")
    if (check is None) == (measure is None):
        raise ValueError(f"a claim has a check or a measure, one of the two: {sentence!r}")
    bound = None
    if measure is None:
        check = partial(check, **numbers)
    else:
        names = [name for name in numbers if name in BOUNDS]
        if len(names) != 1:
            raise ValueError(f"a claim with a measure has one of {', '.join(BOUNDS)}: {sentence!r}")
        bound = names[0], numbers[names[0]]
        check = partial(_within, measure, *bound)
    return Claim(sentence.format(**numbers), check, why, because, perhaps, fails, measure, bound)


def _within(measure: Callable[..., float], name: str, limit: float, *runs: Run) -> bool:
    within, _, _ = BOUNDS[name]
    return within(measure(*runs), limit)


class Verdicts:
    """The verdicts on some claims, one to a line; in a notebook each is followed by its reason, if it has one."""

    def __init__(self, verdicts: Iterable[str], reasons: Iterable[str] = ()):
        self.verdicts = list(verdicts)
        self.reasons = list(reasons) or [""] * len(self.verdicts)

    def __repr__(self) -> str:
        return "\n".join(self.verdicts)

    def _repr_markdown_(self) -> str:
        return "\n".join(
            f"- {verdict}" + (f"<br>{reason}" if reason else "")
            for verdict, reason in zip(self.verdicts, self.reasons, strict=True)
        )


def targets(claims: Iterable[Claim]) -> Table:
    """What a stage sets out to meet, and why, before it is trained."""
    return Table(["target", "why"], [(claim.sentence, claim.why) for claim in claims])


def predictions(claims: Iterable[Claim]) -> Table:
    """What is expected of a training before it starts; whether it came so is for `judge`."""
    return Table(["prediction"], [(claim.sentence,) for claim in claims])


def judge(claims: Iterable[Claim], *runs: Run, seeds: Sequence[Run] = ()) -> Verdicts:
    """Each claim's verdict on these runs; see `Claim.verdict`.

    With `seeds`, stored runs, it also says at how many of them a claim on the first run holds, each in its place.
    """
    claims = list(claims)
    verdicts = []
    for claim in claims:
        verdict = claim.verdict(*runs)
        if seeds and claim.is_about(*runs):
            held = sum(claim.verdict(seed, *runs[1:]).startswith("✓") for seed in seeds)
            verdict += f" (at {held} of {len(seeds)} stored seeds)"
        verdicts.append(verdict)
    return Verdicts(verdicts, [claim.reason() for claim in claims])


def margins(claims: Iterable[Claim], *runs: Run, seeds: Sequence[Run] = ()) -> Table:
    """What was asked and what was reached, of the claims that measure the first run: in it and at the closest seed.

    The margin is the distance of the closest seed from the bound, in standard deviations over the seeds; negative where
    that seed is on the wrong side, and infinite, with that sign, where the seeds do not differ.
    """
    rows = []
    for claim in claims:
        if claim.measure is None or not claim.is_about(*runs):
            continue
        name, limit = claim.bound
        within, sign, direction = BOUNDS[name]
        values = [claim.measured(seed, *runs[1:]) for seed in seeds]
        if any(map(math.isnan, values)):  # such a seed has nothing to measure, and no figure is closer to a miss
            values = []
        closest = min(values, key=lambda value: direction * (value - limit), default=math.nan)
        deviation = statistics.stdev(values) if len(values) > 1 else math.nan
        if deviation == 0:
            margin = math.inf if within(closest, limit) else -math.inf
        else:
            margin = direction * (closest - limit) / deviation
        rows.append([claim.sentence, f"{sign} {limit:,g}", *map(_figure, (claim.measured(*runs), closest)),
                     _figure(margin, decimals=1)])  # fmt: skip
    header = ["claim", "asked", "this run", f"closest of {len(seeds)} seeds", "margin in standard deviations"]
    return Table(header, rows)


def _figure(value: float, decimals: int = 2) -> str:
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    return f"{value:,d}" if isinstance(value, int) else f"{value:,.{decimals}f}"
