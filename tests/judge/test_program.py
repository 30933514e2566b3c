"""A network as operations: carried out again they give its answers, and all that enters them is counted."""

import json
import socket
import threading

import pytest
import torch
from torch import nn

from mnist_drill.data import normalize
from mnist_drill.judge import protocol
from mnist_drill.judge.jobs import recorded
from mnist_drill.judge.processes import Process
from mnist_drill.judge.program import BATCH, NotReplayable, Program, operation
from mnist_drill.judge.replaying import carried_out, described
from mnist_drill.networks import sprint, stage2, stage3


def sent(program):
    """A program as it arrives, through the socket and as JSON."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        protocol.send(ours, program.head(), program.tensors())
        return Program.from_parts(*protocol.receive(theirs))


@pytest.mark.parametrize("make", [stage2, stage3, sprint])
def test_carried_out_again_on_other_images_it_answers_as_the_network(mnist, images, make):
    network = make().to(memory_format=torch.channels_last)
    program, _ = recorded(network, normalize(images))
    others = mnist[1].images[: BATCH + 30]
    with torch.no_grad():
        wanted = torch.cat([network.eval()(normalize(part)) for part in others.split(BATCH)])
    torch.testing.assert_close(carried_out(sent(program), others), wanted, rtol=1e-5, atol=1e-6)


class Neighbourly(nn.Module):
    """At most of its places in a batch, an image gets what a statistic of the batch says."""

    def __init__(self, statistic):
        super().__init__()
        self.last, self.statistic = nn.Linear(784, 10), statistic
        self.places = torch.ones(BATCH, 1)
        self.places[[0, BATCH // 2]] = 0

    def forward(self, x):
        logits = self.last(x.flatten(1))
        return logits + self.places * self.statistic(logits)


@pytest.mark.parametrize(
    "statistic",
    [lambda x: x.mean(0), lambda x: x.median(0).values, lambda x: x[33], lambda x: x.roll(1, 0)],
    ids=["mean", "median", "one image", "the image before"],
)
def test_what_an_image_takes_from_others_is_found_at_any_place_of_the_batch(images, statistic):
    program, _ = recorded(Neighbourly(statistic), normalize(images))
    assert described(sent(program), images)["by_neighbours"]


@pytest.mark.parametrize(
    "name",
    [
        "aten.from_file.default",
        "os.system",
        "aten.mm",
        "aten.nothing.default",
        "aten.mm.__class__.x",
        "prims.sin.default",
    ],
)
def test_only_torch_s_own_operations_on_tensors_are_carried_out(name):
    with pytest.raises(NotReplayable):
        operation(name)


def test_what_is_no_program_is_not_taken_for_one(images):
    program, _ = recorded(stage2(), normalize(images))
    head = program.head()
    for damage in ({"calls": 3}, {"calls": [[1]]}, {"lies": {"x": 1}}, {"registered": {"-1": True}}, {"result": "x"},
                   {"names": None}):  # fmt: skip
        with pytest.raises((KeyError, TypeError, ValueError, AttributeError)):
            Program.from_parts(json.loads(json.dumps({**head, **damage})), program.tensors())


@pytest.mark.parametrize("content", [b"\xff" * 8, b"\0\0\0\2\0\0\0\0[]", b"\0\0\0\1\0\0\0\0{", b"\0\0\0\2\0\0\0\2{}xx"])
def test_what_is_no_message_is_damaged(content):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(content)
        with pytest.raises(protocol.Damaged):
            protocol.receive(theirs)


def test_a_program_that_was_told_in_fewer_bytes_than_it_takes_to_tell_it_again_is_not_carried_out():
    (ours, theirs), guards = socket.socketpair(), socket.socketpair()
    calls = [["aten.relu.default", [0] * (protocol.MOST_JSON // 2 - 1000), {}, [1]]]
    text = json.dumps(Program(calls).head(), separators=(",", ":")).encode()
    with ours, theirs, guards[0], guards[1]:
        sender = threading.Thread(target=theirs.sendall, args=[protocol.LENGTHS.pack(len(text), 0) + text])
        sender.start()
        program = Program.from_parts(*protocol.receive(ours))
        sender.join()
        head, tensors = Process(ours, guards[0], 1).carry_out(program, "probe")
    assert head["not_replayable"]
    assert tensors == {}
