"""What an examination shows of a network: a finding for each rule that needs no training."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import torch

from mnist_drill.judge.comparing import answered, apart, in_words
from mnist_drill.judge.counting import count, hidden_names
from mnist_drill.judge.initialization import Initialization, initialization
from mnist_drill.judge.parts import parts_of
from mnist_drill.judge.program import BATCH, BATCHES, NotReplayable, operation
from mnist_drill.judge.reasons import NEXT, WHY
from mnist_drill.judge.report import FAILED, PASSED, UNKNOWN, Finding, Layer, Parameters
from mnist_drill.judge.rules import EITHER
from mnist_drill.judge.talk import NONSENSE, line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mnist_drill.judge.examination import Examination
    from mnist_drill.judge.rules import Rules


class Structure:
    """The findings of an examination, in the rules' order, and the figures that they are based on."""

    def __init__(self, examination: Examination, rules: Rules):
        self.examination, self.rules = examination, rules
        self.talk = examination.first
        self.recorded = self.talk.programs.get("seed 0")
        self.facts = examination.facts
        self.parameters: Parameters | None = None
        self.parts: dict[str, str] = {}
        if self.facts:
            self._measure()
        self.findings = list(self._findings())

    @cached_property
    def weights(self) -> Initialization:
        """Where they come from; not judged where the programs that were told cannot be compared."""
        try:
            return initialization(self.examination)
        except (NotReplayable, *NONSENSE):
            return Initialization(False, False)

    @property
    def layers(self) -> tuple[tuple[Layer, ...], str]:
        """The rows of the table of layers, and why it has no receptive fields; as the submission's process told it."""
        told = self.talk.facts.get("layers", {})
        try:
            rows = tuple(
                Layer(line(row["name"]), line(row["kind"]), line(row["shape"]),
                      row["receptive_field"] and int(row["receptive_field"]), int(row["parameters"]))
                for row in told["rows"][:40]
            )  # fmt: skip
            return rows, line(told["no_fields"], 300)
        except NONSENSE:
            return (), ""

    def _measure(self) -> None:
        try:
            self.parameters = count(self.recorded.program)
            self.hidden = hidden_names(self.recorded.program)
            training = [str(x) for x in self.talk.facts["training"]["operations"]]
            self.parts = parts_of(self.recorded.program, self.facts["calls"], training)
        except NONSENSE:
            self.facts = None if self.parameters is None else self.facts

    def _findings(self) -> Iterator[Finding]:
        yield self._loads()
        if "name" not in self.talk.facts:
            if self.talk.outside:
                yield self._initialization()
            return
        yield self._shape()
        yield self._untouched()
        random, neighbours = self._random(), self._neighbours()
        yield self._operations(random)
        yield self._repeatable(random, neighbours)
        yield self._alone(random, neighbours)
        yield self._parameters()
        yield self._initialization()
        if self.rules.required or self.rules.forbidden:
            yield self._parts()
        yield self._step()

    def _finding(self, rule: str, verdict: str, found: str, advice: str = "") -> Finding:
        # What was found may be in the submission's words.
        return Finding(rule, verdict, line(found, 1000), WHY[rule], advice if verdict != PASSED else "")

    def _unknown(self, rule: str, found: str = "", advice: str = "") -> Finding:
        """A rule that what is missing keeps from being judged."""
        missing = self.talk.why or self.examination.not_replayable or self.examination.fresh.why
        return self._finding(rule, UNKNOWN, found or missing or "the network could not be examined", advice)

    def _loads(self) -> Finding:
        if self.talk.answers:
            return self._finding("loads", PASSED, f"{line(self.talk.facts.get('name'))} was found and built")
        return self._unknown(
            "loads",
            advice="Run the file by itself and build the network: `python -i FILE`. It sees no data, no network, "
            "and no file beside it.",
        )

    def _shape(self) -> Finding:
        wrong = []
        for name, answer in self.talk.answers.items():
            if answer.error:
                wrong.append(answer.error)
            elif answer.shape != [BATCHES[name], 10]:
                wrong.append(f"with {name}: the answer has shape {line(answer.shape)}")
            elif answer.logits is None:
                wrong.append(f"with {name}: the answer is not of floating-point numbers")
        if wrong:
            advice = "Print the shape after each layer, for 1 image and for 7; the number of images is x.shape[0]."
            return self._finding("shape", FAILED, wrong[0], advice)
        if any(not answer.logits.isfinite().all() for answer in self.talk.answers.values()):
            return self._finding("shape", FAILED, "an answer is not finite", "Look for a division or logarithm of 0.")
        if len(self.talk.answers) < len(BATCHES):
            return self._unknown("shape")
        return self._finding("shape", PASSED, "(N, 1, 28, 28) → (N, 10) for every N that was tried")

    def _untouched(self) -> Finding:
        if self.talk.replaced:
            found = f"the file replaces {', '.join(self.talk.replaced[:5])}"
            return self._finding("untouched", FAILED, found, "Write a function or class of your own instead.")
        if "replaced" not in self.talk.facts:
            return self._unknown("untouched")
        return self._finding("untouched", PASSED, "no function of torch or of the judge was replaced")

    def _operations(self, random: list[str]) -> Finding:
        advice = "Write `forward` with torch's operations on whole tensors, without .item(), numpy, or an if on values."
        if self.recorded and self.recorded.program.fault:
            return self._finding("operations", UNKNOWN, self.recorded.program.fault, advice)
        if self.recorded and not self.recorded.program.from_images:
            found = "what it returns does not come from its images by torch's operations"
            return self._finding("operations", FAILED, found, advice)
        if random:
            return self._finding("operations", UNKNOWN, "its answers are random, see below")
        if self.facts is None:
            return self._unknown("operations", self.examination.not_replayable, advice)
        if apart(self.recorded.answer.logits, self.examination.logits):
            found = "carrying out its operations again gives other answers than it gives itself"
            return self._finding("operations", FAILED, found, advice)
        calls = len(self.recorded.program.calls)
        return self._finding("operations", PASSED, f"its {calls} operations, carried out again, give its answers")

    def _random(self) -> list[str]:
        """The random operations in evaluation mode."""
        if self.recorded is None:
            return []
        found = []
        for name in dict.fromkeys(call[0] for call in self.recorded.program.calls):
            try:
                if torch.Tag.nondeterministic_seeded in operation(name).tags:
                    found.append(name)
            except NotReplayable:
                continue
        return found

    def _neighbours(self) -> bool:
        """Whether batch norm takes the statistics of the batch in evaluation mode."""
        return self.recorded is not None and any(
            "batch_norm" in name and len(args) > 5 and args[5] is True and shape and shape[0] == BATCH
            for (name, args, _, _), shape in zip(self.recorded.program.calls, self._first_shapes(), strict=False)
        )

    def _first_shapes(self) -> list:
        return [call["given"][0] if call["given"] else None for call in (self.facts or {}).get("calls", [])]

    def _repeatable(self, random: list[str], neighbours: bool) -> Finding:
        answers = self.talk.answers
        if random:
            advice = (
                "Use nn.Dropout, or F.dropout(x, p, training=self.training); nothing random without `self.training`."
            )
            return self._finding("repeatable", FAILED, f"random in evaluation mode: {', '.join(random[:3])}", advice)
        if self.facts is None or len(answers) < len(BATCHES):
            return self._unknown("repeatable")
        if neighbours:
            return self._finding("repeatable", UNKNOWN, "answers depend on the batch, see below")
        advice = NEXT["repeatable"]
        if self.facts["changed"]:
            return self._finding("repeatable", FAILED, "it changes its own tensors in evaluation mode", advice)
        first = answers[f"{BATCH} images"].logits
        others = {
            "asked again": answers["again"].logits,
            "built again at the same seed": answered(self.talk, "seed 1"),
            "in another process": answered(self.examination.fresh, "seed 0"),
        }
        same_weights = self.weights.repeats
        for how, logits in others.items():
            if how != "asked again" and not same_weights:
                continue  # which another rule judges
            if apart(first, logits):
                return self._finding("repeatable", FAILED, f"the same images get other answers when {how}", advice)
        return self._finding("repeatable", PASSED, "the same images get the same answers")

    def _alone(self, random: list[str], neighbours: bool) -> Finding:
        if random:
            return self._finding("alone", UNKNOWN, "its answers are random, see above")
        if neighbours:
            advice = "model.eval() has to reach batch norm; F.batch_norm needs training=self.training."
            return self._finding("alone", FAILED, "batch norm takes the batch's statistics in evaluation mode", advice)
        if self.facts is None:
            return self._unknown("alone")
        advice = NEXT["alone"]
        ours = self.examination.logits
        if self.facts["by_neighbours"]:
            return self._finding("alone", FAILED, "an image gets another answer beside other images", advice)
        for name, answer in self.talk.answers.items():
            if answer.logits is None or answer.logits.dim() != 2:
                continue
            wanted = ours.flip(0) if name == "backwards" else ours[: BATCHES[name]]
            if apart(answer.logits, wanted, ours):
                how = "in another order" if name == "backwards" else f"in a batch of {BATCHES[name]}"
                return self._finding("alone", FAILED, f"images get other answers {how} than in one of {BATCH}", advice)
        return self._finding("alone", PASSED, "the same answer alone, in batches, and in another order")

    def _parameters(self) -> Finding:
        if self.parameters is None:
            return self._unknown("parameters")
        counted, below = self.parameters.counted, self.rules.parameters_below
        notes = [
            f"{number:,} {what}"
            for number, what in (
                (self.parameters.frozen, "frozen"),
                (self.parameters.hidden, f"in {in_words(self.hidden)}"),
                (self.parameters.unused, "that no answer depends on"),
            )
            if number
        ]
        found = f"{', '.join([f'{counted:,} parameters', *notes])}; fewer than {below:,} are allowed"
        return self._finding("parameters", PASSED if counted < below else FAILED, found, NEXT["parameters"])

    def _initialization(self) -> Finding:
        advice = "Let torch draw the weights when the network is built: nn.init without a seed, a file or a table."
        if self.talk.outside:
            found = f"while it is built, the file {', '.join(self.talk.outside[:3])}"
            return self._finding("initialization", FAILED, found, advice)
        if self.recorded and (self.recorded.program.fault or not self.recorded.program.from_images):
            return self._unknown("initialization", "its weights cannot be told, see above")
        if self.weights.fault:
            return self._finding("initialization", FAILED, self.weights.fault, advice)
        if not self.weights.judged:
            return self._unknown("initialization")
        return self._finding("initialization", PASSED, "equal at one seed, different at another; no file was opened")

    def _parts(self) -> Finding:
        if not self.parts:
            return self._unknown("parts")
        missing = [x for x in self.rules.required if not any(each in self.parts for each in x.split(EITHER))]
        there = [x for x in self.rules.forbidden if any(each in self.parts for each in x.split(EITHER))]
        faults = [f"{x} is missing" for x in missing] + [f"{x} is forbidden" for x in there]
        if faults:
            return self._finding("parts", FAILED, "; ".join(faults), "Compare with the parts that were found.")
        return self._finding("parts", PASSED, "all that are asked for, and none that is forbidden")

    def _step(self) -> Finding:
        told = self.talk.facts.get("training")
        if told is None:
            return self._unknown("step", advice="Train the network for one step: forward, cross-entropy, backward.")
        if moved := told.get("moved"):
            first = moved[0] if isinstance(moved, list) else moved
            found = f"a forward pass in training mode changes {line(first)}"
            return self._finding("step", FAILED, found, "Remove what assigns to parameters in `forward`.")
        if not told.get("graded"):
            advice = "Look for .detach(), no_grad, requires_grad = False, or a tensor that is no nn.Parameter."
            return self._finding("step", FAILED, "no parameter has a gradient", advice)
        return self._finding("step", PASSED, "parameters have gradients, and change by the optimizer alone")
