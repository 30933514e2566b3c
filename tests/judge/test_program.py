"""A network as operations: carried out again they give its answers, and all that enters them is counted."""

import json
import socket

import pytest
import torch
from torch import nn

from mnist_drill.data import normalize
from mnist_drill.judge import protocol
from mnist_drill.judge.counting import count
from mnist_drill.judge.jobs import _held, recorded
from mnist_drill.judge.parts import parts_of
from mnist_drill.judge.program import BATCH, NotReplayable, Program, operation
from mnist_drill.judge.replaying import carried_out, described
from mnist_drill.judge.rules import BATCH_NORM, FULLY_CONNECTED, GLOBAL_POOL
from mnist_drill.networks import parameter_count, sprint, stage2, stage3


@pytest.fixture(scope="module")
def images(mnist):
    return mnist[0].images[:BATCH]


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


def test_the_course_s_networks_have_the_parameters_that_they_say_and_statistics_are_apart(images):
    network = stage3()
    program, _ = recorded(network, normalize(images))
    counted = count(sent(program), _held(network))
    assert (counted.counted, counted.hidden, counted.unused) == (parameter_count(network), 0, 0)
    assert counted.running_statistics == sum(2 * x.num_features for x in network.modules() if "Norm" in str(type(x)))


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.last = nn.Linear(784, 10)
        self.loose = torch.randn(10)
        self.spare = nn.Parameter(torch.zeros(7))

    def forward(self, x):
        return self.last(x.flatten(1)) * 0.3 + self.loose + torch.arange(10)


def test_loose_tensors_and_numbers_count_what_is_made_from_nothing_does_not_and_unused_parameters_do(images):
    network = Scaled()
    program, _ = recorded(network, normalize(images))
    counted = count(sent(program), _held(network))
    assert counted.counted == 7850 + 10 + 1 + 7
    assert (counted.hidden, counted.unused) == (11, 7)


def test_a_lie_about_memory_hides_no_weights(images):
    network = Scaled()
    program, _ = recorded(network, normalize(images))
    honest = count(program, _held(network)).counted
    bias = next(memory for number, memory in program.shared.items() if program.names.get(number) == "last.bias")
    program.shared = dict.fromkeys(program.shared, bias)
    assert count(program, _held(network)).counted >= honest


def test_parts_are_found_in_the_operations(images):
    for make, there, missing in ((stage3, BATCH_NORM, FULLY_CONNECTED), (stage2, GLOBAL_POOL, BATCH_NORM)):
        program, _ = recorded(make(), normalize(images))
        parts = parts_of(described(sent(program), images)["calls"], [])
        assert there in parts
        assert missing not in parts


def test_instance_norm_is_no_batch_norm_and_a_pool_that_leaves_positions_is_not_global(images):
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.InstanceNorm2d(4), nn.AvgPool2d(13), nn.Flatten(), nn.Linear(16, 10))
    program, _ = recorded(network, normalize(images))
    parts = parts_of(described(sent(program), images)["calls"], [])
    assert parts.keys() & {BATCH_NORM, GLOBAL_POOL} == set()
    assert FULLY_CONNECTED in parts


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
    for damage in ({"calls": 3}, {"calls": [[1]]}, {"strides": {"x": 1}}, {"result": "x"}, {"names": None}):
        with pytest.raises((KeyError, TypeError, ValueError, AttributeError)):
            Program.from_parts(json.loads(json.dumps({**head, **damage})), program.tensors())


@pytest.mark.parametrize("content", [b"\xff" * 8, b"\0\0\0\2\0\0\0\0[]", b"\0\0\0\1\0\0\0\0{", b"\0\0\0\2\0\0\0\2{}xx"])
def test_what_is_no_message_is_damaged(content):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(content)
        with pytest.raises(protocol.Damaged):
            protocol.receive(theirs)
