"""What the judge found, as plain data that card, page, class and leaderboard are made from."""

import json
import operator
import statistics
from dataclasses import asdict, dataclass, field
from pathlib import Path

from mnist_drill.errors import DrillError
from mnist_drill.judge.rules import Rules
from mnist_drill.runs import Run
from mnist_drill.storage.files import dataclass_of, read_json, write_atomically

FORMAT = 1  # of a stored report
PASSED, FAILED, UNKNOWN = "passed", "failed", "could not be judged"
EXIT_STATUS = {PASSED: 0, FAILED: 1, UNKNOWN: 2}


@dataclass(frozen=True)
class Finding:
    """One rule: its verdict, what was found, the reason for the rule, and what to look at next."""

    rule: str  # a key of `reasons.WHY`
    verdict: str  # PASSED, FAILED or UNKNOWN
    found: str
    why: str
    next: str = ""


@dataclass(frozen=True)
class Parameters:
    """Numbers of elements, each counted once. `counted` is what the budget is compared with."""

    counted: int
    frozen: int = 0  # parameters that are not trained, of `counted`
    hidden: int = 0  # of buffers, plain tensors, constants and numbers, of `counted`
    unused: int = 0  # parameters that no answer depends on, of `counted`
    running_statistics: int = 0  # of batch norm, which are not in `counted`


@dataclass(frozen=True)
class Layer:
    """A row of the table of layers; `receptive_field` is None where the network is no chain of layers."""

    name: str
    kind: str
    shape: str
    receptive_field: int | None
    parameters: int


@dataclass(frozen=True)
class Speed:
    """Seconds to train an epoch, of the network and of the course's stage 4, measured in turns on the same images."""

    images: int  # in what is called an epoch here
    seconds: tuple[float, ...]
    stage4: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """How many times the time of stage 4 an epoch takes; of medians."""
        return statistics.median(self.seconds) / statistics.median(self.stage4)


@dataclass(frozen=True)
class Error:
    """A test image that the network gets wrong."""

    index: int  # in the test set
    label: int
    predicted: int
    probability: float  # that it gives its prediction
    pixels: str  # 28 rows of 28 grey values, as hexadecimal digits


@dataclass(frozen=True)
class Report:
    """All that the judge found of a submission. `to_dict` and `from_dict` are inverses of each other."""

    name: str  # of the submission's file, without suffix
    file: str
    network: str  # the name in the file; empty where none was found
    source: str  # a digest of the file and of the recipe beside it
    judged: str  # when, in UTC
    quick: bool  # whether the training was left out
    rules: Rules
    seeds: tuple[int, ...]
    findings: tuple[Finding, ...]
    environment: dict[str, str | int]
    closed: tuple[str, ...] = ()  # to the submission's processes, in words
    recipe: dict = field(default_factory=dict)
    parameters: Parameters | None = None
    parts: dict[str, str] = field(default_factory=dict)  # where each of `rules.PARTS` was found, and the last layer
    layers: tuple[Layer, ...] = ()
    no_fields: str = ""  # why there are no receptive fields
    mflops: float | None = None  # million floating-point operations per image
    mflops_of_stage4: float | None = None
    speed: Speed | None = None
    # Trained on the split and evaluated on the validation set, then trained on all and evaluated on the test set.
    runs: tuple[Run, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()  # of the last run on the test set: rows are labels, columns predictions
    errors: tuple[Error, ...] = ()  # the most confident ones of that run
    output: str = ""  # what the submission printed

    @property
    def verdict(self) -> str:
        """Failed where any rule failed, passed where all passed."""
        verdicts = {finding.verdict for finding in self.findings}
        return FAILED if FAILED in verdicts else UNKNOWN if UNKNOWN in verdicts or not verdicts else PASSED

    @property
    def exit_status(self) -> int:
        return EXIT_STATUS[self.verdict]

    @property
    def reason(self) -> str:
        """In one line: what was found of the first rule that decides the verdict."""
        return next((each.found for each in self.findings if each.verdict == self.verdict != PASSED), "")

    def finding(self, rule: str) -> Finding | None:
        """What was found of a rule; None where it was not judged."""
        return next((each for each in self.findings if each.rule == rule), None)

    @property
    def finished(self) -> list[Run]:
        """The runs that have all of their epochs."""
        return [run for run in self.runs if not run.stopped]

    def runs_on(self, evaluated_on: str) -> list[Run]:
        """The finished runs that were evaluated on the "validation" set or on the "test" set."""
        return [run for run in self.finished if run.evaluated_on == evaluated_on]

    def lowest(self, evaluated_on: str = "test") -> list[float]:
        """By seed, the lowest accuracy of the last epochs, in percent; of all epochs where there are fewer."""
        return [run.lowest_of_up_to(self.rules.last) for run in self.runs_on(evaluated_on)]

    def to_dict(self) -> dict:
        return {"format": FORMAT, "verdict": self.verdict, **asdict(self), "runs": [run.to_dict() for run in self.runs]}

    @classmethod
    def from_dict(cls, values: dict) -> "Report":
        """The inverse of `to_dict`. Raises KeyError, TypeError, ValueError or AttributeError for anything else."""
        values = dict(values)
        if values.pop("format", None) != FORMAT:
            raise ValueError(f"its format is not {FORMAT}")
        verdict = values.pop("verdict")
        speed, parameters = values["speed"], values["parameters"]
        report = dataclass_of(
            cls,
            {
                **values,
                "rules": _rules(values["rules"]),
                "seeds": tuple(map(operator.index, values["seeds"])),
                "findings": tuple(dataclass_of(Finding, each) for each in values["findings"]),
                "closed": tuple(values["closed"]),
                "parameters": parameters and dataclass_of(Parameters, parameters),
                "layers": tuple(dataclass_of(Layer, each) for each in values["layers"]),
                "speed": speed
                and Speed(int(speed["images"]), *(tuple(map(float, speed[key])) for key in ("seconds", "stage4"))),
                "runs": tuple(Run.from_dict(each) for each in values["runs"]),
                "confusion": tuple(tuple(row) for row in values["confusion"]),
                "errors": tuple(dataclass_of(Error, each) for each in values["errors"]),
            },
        )
        if report.verdict != verdict:
            raise ValueError(f"its verdict {verdict!r} is not that of its findings")
        return report

    def save(self, path: str | Path) -> None:
        """Writes the report as JSON, whole or not at all."""
        write_atomically(path, json.dumps(self.to_dict(), indent=1) + "\n")

    def may_replace(self, path: str | Path) -> bool:
        """Whether it may be saved there: finished trainings, which took hours, are not given for none."""
        try:
            return bool(self.finished) or not Report.load(path).finished
        except DrillError:
            return True

    @classmethod
    def load(cls, path: str | Path) -> "Report":
        """Reads a report that `save` wrote. Raises `DrillError` for a file that is missing or holds something else."""
        return read_json(path, cls.from_dict, "a judge's report")


def _rules(values: dict) -> Rules:
    try:
        return Rules.from_dict(values)
    except DrillError as error:  # which names no file, as `read_json` does
        raise ValueError(str(error)) from None
