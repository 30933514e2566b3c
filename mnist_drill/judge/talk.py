"""What a submission's process has said, message by message, taken as claims; and in words why it ended early."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mnist_drill.judge.processes import Ending
from mnist_drill.judge.program import BATCHES, Program

if TYPE_CHECKING:
    from torch import Tensor

    from mnist_drill.judge.processes import Process
    from mnist_drill.judge.rules import Limits

NONSENSE = (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError, OverflowError, RuntimeError)
# What is kept of what is said, and its type; the rest could be without end.
KNOWN = {
    "closed": list, "at": str, "error": str, "kind": str, "name": str, "recipe": dict | None, "outside": list,
    "layers": dict, "training": dict, "replaced": list, "epoch": int, "diverged": str,
    "finished": bool,
}  # fmt: skip
# The names of the programs and of the answers that are told.
EXAMINED = {"program": ("seed 0", "seed 1", "seed 2"), "answers": tuple(BATCHES)}
TRAINED = {"program": ("trained",), "answers": ("test",)}


@dataclass
class Answer:
    """What a network answered to a batch: logits or, if it has no such, their shape, or the error."""

    shape: object = None
    error: str = ""
    logits: Tensor | None = None


@dataclass
class Recorded:
    """A program as it was told, with the answer to the batch that it was recorded on, and what was said besides."""

    program: Program
    answer: Answer
    facts: dict


@dataclass
class Talk:
    """All that was said until the process ended, or until it was no longer listened to."""

    limits: Limits
    seconds: float
    expected: dict[str, tuple[str, ...]]  # the names of what may be told: `EXAMINED` or `TRAINED`
    facts: dict = field(default_factory=dict)  # by the messages' own keys, the latest of each
    programs: dict[str, Recorded] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)
    nonsense: bool = False  # whether something was said that cannot be
    ending: Ending = field(default_factory=Ending)

    def listen(self, process: Process) -> str | None:
        """Takes the next message: its kind, the first key that says one, or None at the end."""
        message = process.answer()
        if message is None:
            self.nonsense = process.damaged
            return None
        head, tensors = message
        try:
            return self._take(head, tensors)
        except NONSENSE:
            self.nonsense = True
            return None

    def _take(self, head: dict, tensors: dict[str, Tensor]) -> str:
        kind = next((each for each in self.expected if each in head), "")
        if kind:
            if head[kind] not in self.expected[kind]:
                raise ValueError(f"{kind} of another name")
            logits = tensors.pop("logits", None)
            logits = None if logits is None else logits.float()
            answer = Answer(head.get("shape"), str(head.get("error", ""))[:500], logits)
            if kind == "answers":
                self.answers[head[kind]] = answer
                return kind
            measured = ("train_loss", "train_accuracy", "seconds") if head[kind] == "trained" else ()
            facts = {key: float(head[key]) for key in measured}
            self.programs[head[kind]] = Recorded(Program.from_parts(head, tensors), answer, facts)
            return kind
        said = {key: head[key] for key in KNOWN if key in head}
        for key, value in said.items():
            if not isinstance(value, KNOWN[key]):
                raise TypeError(f"{key} of another type")
        self.facts.update(said)
        return next(iter(head), "")

    def listen_to_all(self, process: Process) -> None:
        """Takes messages until there is none."""
        while self.listen(process) is not None:
            pass

    @property
    def doing(self) -> str:
        """What was being done when the last message came."""
        return line(self.facts.get("at", "starting"))

    @property
    def closed(self) -> list[str]:
        return [line(each) for each in _list(self.facts.get("closed"))]

    @property
    def outside(self) -> list[str]:
        return [line(each) for each in _list(self.facts.get("outside"))]

    @property
    def replaced(self) -> list[str]:
        return [line(each) for each in _list(self.facts.get("replaced"))]

    @property
    def why(self) -> str:
        """Why there is not more, in a line; empty where the process ended by itself, and without an error."""
        if self.facts.get("kind") == "memory":
            return f"it asked for more memory than {self.limits.memory_gb:g} GB while {self.doing}"
        if "error" in self.facts:
            return line(self.facts["error"], 500)
        limits = {
            "time": f"it ran into the limit of {self.seconds:g} s while {self.doing}",
            "memory": f"it took more memory than {self.limits.memory_gb:g} GB while {self.doing}",
            "processes": f"it started more than {self.limits.processes} processes while {self.doing}",
            "output": f"it printed more than {self.limits.output_kb:,} kB while {self.doing}",
            "guard": f"its process could not be watched any more while {self.doing}",
        }
        if self.nonsense:
            return f"it told the judge what cannot be while {self.doing}"
        if self.ending.reason in limits:
            return limits[self.ending.reason]
        if self.ending.status:
            how = f"by signal {-self.ending.status}" if self.ending.status < 0 else f"with status {self.ending.status}"
            return f"its process ended {how} while {self.doing}"
        return "" if "finished" in self.facts else f"its process ended without a word while {self.doing}"


def line(value: object, most: int = 200) -> str:
    """Text from a submission in a line, without characters that a terminal would obey."""
    text = "".join(c if c.isprintable() else " " for c in str(value)[: 4 * most])
    return " ".join(text.split())[:most]


def _list(value: object) -> list:
    return value[:20] if isinstance(value, list) else []
