"""What the judge has done in a process of its own: examining and training a submission, carrying out a program.

Nothing that a submission's process says is believed: what it says is compared, counted and carried out elsewhere.
"""

from __future__ import annotations

import os
import re
import time
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from mnist_drill.data import LabeledImages, from_grey, normalize
from mnist_drill.errors import DrillError
from mnist_drill.judge import protocol
from mnist_drill.judge.layers import layers_of
from mnist_drill.judge.loading import Loaded
from mnist_drill.judge.program import BATCH, BATCHES, SIZES, Program, Recorder
from mnist_drill.judge.replaying import replay
from mnist_drill.judge.watching import Outside, watch_functions
from mnist_drill.recipes import Recipe
from mnist_drill.study.changes import changed
from mnist_drill.study.network import in_one_line
from mnist_drill.train import train_epoch
from mnist_drill.training.setup import prepare

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from torch import Tensor, nn

OUT_OF_MEMORY = re.compile(r"can't allocate memory|not enough memory|std::bad_alloc|Cannot allocate memory|MemoryError")


class Speaker:
    """What a job answers the judge by."""

    def __init__(self, connection: socket.socket):
        self.connection = connection

    def say(self, head: dict, tensors: dict[str, Tensor] | None = None) -> None:
        protocol.send(self.connection, head, tensors)

    @contextmanager
    def at(self, doing: str, file: str) -> Iterator[None]:
        """What is being done, which the judge is told before, so that it can say so if this process ends within."""
        self.say({"at": doing})
        with in_one_line(doing, file):
            yield


def work(connection: socket.socket, closed: list[str], threads: int) -> None:
    """Does what the judge asks for, and ends."""
    torch.set_num_threads(threads)
    warnings.simplefilter("ignore")
    speaker = Speaker(connection)
    speaker.say({"closed": closed})
    head, tensors = protocol.receive(connection)
    try:
        {"examine": examine, "train": train, "replay": replay}[head["job"]](head, tensors, speaker)
    except DrillError as error:
        speaker.say({"error": str(error), "kind": "memory" if OUT_OF_MEMORY.search(str(error)) else "code"})
    speaker.say({"finished": True})


def examine(head: dict, tensors: dict[str, Tensor], speaker: Speaker) -> None:
    """Builds the network at the seeds and records it; unless brief, says what it answers to batches of several sizes,
    and takes a step of training."""
    images = normalize(from_grey(tensors["images"]))
    file = head["file"]
    outside, replaced = Outside(head["hidden"], os.environ["HOME"], file), watch_functions()
    try:
        with outside.watch():
            with speaker.at("loading the file", file):
                loaded = Loaded(file, head["name"], head["text"])
                speaker.say({"name": loaded.name, "recipe": loaded.recipe})
            built = {}
            for seed in dict.fromkeys(head["seeds"]):
                with speaker.at("building the network", file):
                    built[seed] = loaded.build(seed)
    finally:
        speaker.say({"outside": outside.seen})
    first = head["seeds"][0]
    network = built[first]
    with speaker.at("describing the network", file):
        for each in built.values():
            each.to(memory_format=torch.channels_last)  # as it is trained
        speaker.say({"layers": layers_of(network)})
    if not head["brief"]:
        _answers(network, images, speaker, file)
    for place, seed in enumerate(head["seeds"]):
        with speaker.at("building the network", file):
            again = network if place == 0 else built[seed] if seed != first else loaded.build(seed)
            again.to(memory_format=torch.channels_last)
        with speaker.at(f"classifying {BATCH} images", file):
            _say_program(speaker, f"seed {place}", again, images)
    if not head["brief"]:
        with speaker.at("training on one batch", file):
            speaker.say({"training": _one_step(loaded.build(first), images[: SIZES[-2]])})
    speaker.say({"replaced": replaced(), "outside": outside.seen})


def train(head: dict, tensors: dict[str, Tensor], speaker: Speaker) -> None:
    """Trains by the course's loop, and says after each epoch what the network then is; then classifies images."""
    train_set = LabeledImages(from_grey(tensors["images"]), tensors["labels"].long())
    Outside(head["hidden"], os.environ["HOME"], head["file"])
    replaced = watch_functions()
    recipe = changed(Recipe(), head["recipe"])
    file = head["file"]
    with speaker.at("loading the file", file):
        loaded = Loaded(file, head["name"], head["text"])
    with speaker.at("building the network", file):
        network = loaded.build(head["seed"])
    probe = normalize(train_set.images[:BATCH])
    with speaker.at("training", file):
        training = prepare(network, recipe, train_set, head["seed"], progress=False)
        for epoch in range(1, recipe.epochs + 1):
            speaker.say({"at": f"training, epoch {epoch}", "epoch": epoch})
            start = time.perf_counter()
            score = train_epoch(training.model, training.batches(epoch), training.optimizer, training.after_step)
            if training.loss_check.fault:
                speaker.say({"diverged": f"loss {score.loss} in epoch {epoch}, {training.loss_check.fault}"})
                return
            model = training.model_to_evaluate()
            facts = {"epoch": epoch, "train_loss": score.loss, "train_accuracy": score.accuracy,
                     "seconds": time.perf_counter() - start}  # fmt: skip
            _say_program(speaker, "trained", model, probe, facts)
    speaker.say({"replaced": replaced()})
    _, tensors = protocol.receive(speaker.connection)
    with speaker.at("classifying the test images", file), torch.no_grad():
        model.eval()
        logits = [model(normalize(from_grey(part))).float() for part in tensors["images"].split(BATCH)]
        speaker.say({"answers": "test"}, {"logits": torch.cat(logits).contiguous()})


def _say_program(speaker: Speaker, which: str, network: nn.Module, images: Tensor, facts: dict | None = None) -> None:
    program, logits = recorded(network, images)
    tensors = program.tensors()
    if torch.is_tensor(logits) and logits.is_floating_point():
        tensors["logits"] = logits.detach().float().clone(memory_format=torch.contiguous_format)
    shape = list(logits.shape) if torch.is_tensor(logits) else type(logits).__name__
    speaker.say({"program": which, "shape": shape, **program.head(), **(facts or {})}, tensors)


def recorded(network: nn.Module, images: Tensor) -> tuple[Program, object]:
    """What the network does in evaluation mode with a batch of normalized images, and what it returns."""
    network.eval()
    images = images.clone()
    recorder = Recorder(images)
    with torch.no_grad(), recorder:
        logits = network(images)
    return recorder.finish(logits, network), logits


def _answers(network: nn.Module, images: Tensor, speaker: Speaker, file: str) -> None:
    """What the network answers: to batches of each size, to one in another order, and to the same one again."""
    network.eval()
    with torch.no_grad():
        for name, size in BATCHES.items():
            speaker.say({"at": f"classifying {name}"})
            try:
                with in_one_line(f"with {name}", file):
                    logits = network(images.flip(0) if name == "backwards" else images[:size].clone())
                shape = list(logits.shape) if torch.is_tensor(logits) else type(logits).__name__
            except DrillError as error:
                speaker.say({"answers": name, "error": str(error)})
                continue
            fits = torch.is_tensor(logits) and logits.is_floating_point()
            tensors = {"logits": logits.float().clone(memory_format=torch.contiguous_format)} if fits else None
            speaker.say({"answers": name, "shape": shape}, tensors)


def _one_step(network: nn.Module, images: Tensor) -> dict:
    """The operations of a forward pass in training mode, and whether parameters have a gradient or have moved."""
    network.train()
    before = {name: x.detach().clone() for name, x in network.named_parameters()}
    recorder = Recorder(images.clone())
    with torch.no_grad(), recorder:
        network(recorder.kept[0])
    logits = network(images.clone())
    torch.nn.functional.cross_entropy(logits, torch.arange(len(images)) % 10).backward()
    moved = [name for name, x in network.named_parameters() if not torch.equal(x, before[name])]
    graded = [name for name, x in network.named_parameters() if x.grad is not None]
    names = sorted({call[0] for call in recorder.program.calls})
    return {"operations": names, "moved": moved[:20], "graded": len(graded)}
