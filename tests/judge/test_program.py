"""A network as operations: carried out again they give its answers, and all that enters them is counted."""

import json
import socket
import threading

import pytest
import torch
from torch import nn

from mnist_drill.data import normalize
from mnist_drill.judge import protocol
from mnist_drill.judge.counting import count
from mnist_drill.judge.jobs import recorded
from mnist_drill.judge.parts import LAST_LAYER, parts_of
from mnist_drill.judge.processes import Process
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
    counted = count(sent(program))
    assert (counted.counted, counted.hidden, counted.unused) == (parameter_count(network), 0, 0)
    assert counted.running_statistics == sum(2 * x.num_features for x in network.modules() if "Norm" in str(type(x)))


class Norms(nn.Module):
    """Batch norms of the images, (N, 784), with given weights and running statistics; the answers are in ten places."""

    def __init__(self, *norms):
        super().__init__()
        self.norms = nn.ModuleList(norms)

    def forward(self, x):
        return sum(norm(x.flatten(1)) for norm in self.norms)[:, :10]


def norm(affine=True, statistics_of=None, weights_of=None):
    made = nn.BatchNorm1d(784, affine=affine)
    if statistics_of:
        made.running_mean, made.running_var = statistics_of.running_mean, statistics_of.running_var
    if weights_of:
        made.weight, made.bias = weights_of.weight, weights_of.bias
    return made


ONE = norm()


@pytest.mark.parametrize(
    ("norms", "counted", "free"),
    [
        ([ONE], 2, 2),
        ([ONE, norm()], 4, 4),
        ([norm(affine=False)], 2, 0),
        ([ONE, norm(affine=False)], 4, 2),
        ([ONE, norm(weights_of=ONE)], 4, 2),  # one weight, and statistics of their own
        ([ONE, norm(statistics_of=ONE), norm(affine=False)], 6, 2),
        ([ONE, norm(affine=False, statistics_of=ONE)], 2, 2),
    ],
    ids=["one", "two", "no weights", "one has none", "one weight", "shared statistics", "shared with none"],
)
def test_running_statistics_are_free_up_to_the_weights_and_biases_beside_them(images, norms, counted, free):
    program, _ = recorded(Norms(*norms), normalize(images))
    parameters = count(sent(program))
    assert (parameters.counted, parameters.running_statistics) == (counted * 784, free * 784)


class ExpandedNorm(nn.Module):
    """Its statistics weigh each pixel for each class, and one number is all of its weights and biases."""

    def __init__(self):
        super().__init__()
        self.one = nn.Parameter(torch.ones(1))
        self.tied = nn.Parameter(torch.ones(1).expand(7840))
        self.mean, self.variance = torch.randn(7840), torch.rand(7840) + 0.5

    def forward(self, x):
        x = x.flatten(1).repeat(1, 10)
        x = nn.functional.batch_norm(x, self.mean, self.variance, self.one.expand(7840), self.tied)
        return x.view(len(x), 10, 784).sum(2)


def test_a_weight_that_is_one_number_frees_one_running_statistic(images):
    program, _ = recorded(ExpandedNorm(), normalize(images))
    assert count(sent(program)).counted == 2 + 2 * 7840 - 1


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
    counted = count(sent(program))
    assert counted.counted == 7850 + 10 + 1 + 7
    assert (counted.hidden, counted.unused) == (11, 7)


class Computes(nn.Module):
    def __init__(self, compute, norm=None):
        super().__init__()
        self.compute, self.norm = compute, norm or nn.Identity()

    def forward(self, x):
        return self.compute(self.norm(x)).flatten(1)[:, :10]


def masked(x):
    return x.masked_fill(x > 0, -torch.inf)


def unpacked(x):
    return x + torch.full((28,), 0x0123456789ABCDEF) % 251


@pytest.mark.parametrize(
    ("network", "counted"),
    [
        (Computes(lambda x: torch.add(x, x, alpha=0.37)), 1),
        (Computes(lambda x: x + torch.full((28,), 0.37)), 1),
        (Computes(lambda x: x + torch.linspace(0.2, 0.7, 28)), 2),
        (Computes(unpacked), 1),
        (Computes(lambda x: torch.nn.functional.leaky_relu(x, 0.2)), 1),
        (Computes(lambda x: x, nn.BatchNorm2d(1, eps=0.37)), 1),
        (Computes(lambda x: x, nn.BatchNorm2d(1)), 0),
        (Computes(torch.nn.functional.leaky_relu), 0),
        (Computes(lambda x: 2 * x / 255 - 1), 0),
        (Computes(masked), 0),
    ],
)
def test_a_number_in_an_operation_counts_wherever_it_is_given_and_what_says_little_does_not(images, network, counted):
    program, _ = recorded(network, normalize(images))
    assert count(sent(program)).hidden == counted


@pytest.mark.parametrize(
    "compute",
    [
        lambda x: sum(x * i for i in range(150)),
        lambda x: x * torch.stack([torch.full((), i) for i in range(150)]).sum(),
        lambda x: x * torch.stack([row[i] for i, row in enumerate(torch.arange(150).expand(150, 150))]).sum(),
    ],
)
def test_whole_numbers_and_indices_count_where_there_are_as_many_as_weights(images, compute):
    network = Computes(compute)
    program, _ = recorded(network, normalize(images))
    assert count(sent(program)).hidden >= 50


def test_a_lie_about_memory_hides_no_weights(images):
    program, _ = recorded(Scaled(), normalize(images))
    honest = count(program).counted
    assert len({address for address, _ in program.lies.values()}) == len(program.lies)
    program.lies = {number: (0, [0] * len(strides)) for number, (_, strides) in program.lies.items()}
    assert count(program).counted >= honest


class Rows(nn.Module):
    """Thirty rows in one memory: registered, or held as they are."""

    def __init__(self, memory, registered):
        super().__init__()
        self.rows = nn.ParameterList(map(nn.Parameter, memory)) if registered else list(memory)
        self.last = nn.Linear(30, 10)

    def forward(self, x):
        return self.last(torch.stack([x.flatten(1) @ row for row in self.rows], 1))


@pytest.mark.parametrize("registered", [True, False])
@pytest.mark.parametrize("memory", ["zeros", "permutations"])
def test_tensors_of_one_memory_count_by_its_places_and_not_by_their_values(images, memory, registered):
    row = torch.randn(784)
    rows = [row[torch.randperm(784)] if memory == "permutations" else 0 * row for _ in range(30)]
    program, _ = recorded(Rows(torch.stack(rows), registered), normalize(images))
    assert count(sent(program)).counted == 30 * 784 + 310


class Weighs(nn.Module):
    """A linear map by a weight that is no parameter, (784, 10), of any layout in memory."""

    def __init__(self, weight):
        super().__init__()
        self.weight, self.bias = weight, nn.Parameter(torch.zeros(10))

    def forward(self, x):
        return (x.flatten(1).to(self.weight.dtype) @ self.weight).abs() + self.bias


@pytest.mark.parametrize(
    ("weight", "numbers"),
    [
        (torch.randn(784, 10, dtype=torch.complex64), 2 * 7840),
        (torch.randn(784, 10, dtype=torch.complex64).conj(), 2 * 7840),
        (torch.randn(10, 784).t(), 7840),
        (torch.randn(10).expand(784, 10), 10),
        (torch.randn(793).as_strided((784, 10), (1, 1)), 793),
        (torch.randn(20_000).as_strided((784, 10), (20, 2)), 7840),
        (torch.randn(20_000)[3:].as_strided((784, 10), (1, 0)), 784),
    ],
    ids=["complex", "conjugated", "transposed", "expanded", "overlapping", "with gaps", "with an offset"],
)
def test_a_constant_has_as_many_numbers_as_places_in_memory(images, weight, numbers):
    program, logits = recorded(Weighs(weight), normalize(images))
    assert count(sent(program)).counted == numbers + 10
    torch.testing.assert_close(carried_out(sent(program), images), logits, rtol=1e-4, atol=1e-4)


class TwoViews(nn.Module):
    def __init__(self):
        super().__init__()
        self.there = nn.Linear(784, 10, bias=False)
        self.back, self.last = self.there.weight.detach().t(), nn.Linear(10, 10)

    def forward(self, x):
        hidden = self.there(x.flatten(1))
        return self.last(self.there(x.flatten(1) - hidden @ self.back.t()))


def test_a_view_of_a_parameter_is_counted_with_it_as_long_as_it_has_its_values(images):
    program, _ = recorded(TwoViews(), normalize(images))
    assert count(sent(program)).counted == 7840 + 110
    view = next(number for number in program.constants if number not in program.registered)
    program.constants[view] = program.constants[view] + 1
    assert count(program).counted >= 2 * 7840 + 110


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


def test_a_last_map_that_is_a_convolution_of_one_dimension_is_a_part_like_another(images):
    network = nn.Sequential(nn.Flatten(2), nn.BatchNorm1d(1), nn.Conv1d(1, 10, 784), nn.Flatten())
    program, _ = recorded(network, normalize(images))
    parts = parts_of(described(sent(program), images)["calls"], [])
    assert BATCH_NORM in parts
    assert "784, 1 → 10" in parts[LAST_LAYER]


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
