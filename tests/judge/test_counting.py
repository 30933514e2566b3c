"""How many parameters a network has: the numbers that enter its operations, by place in memory."""

import pytest
import torch
from torch import nn

from mnist_drill.data import normalize
from mnist_drill.judge.counting import count
from mnist_drill.judge.jobs import recorded
from mnist_drill.judge.replaying import carried_out
from mnist_drill.networks import parameter_count, stage3
from tests.judge.test_program import sent


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
