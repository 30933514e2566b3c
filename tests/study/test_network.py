"""Networks from a user's file: which of its text counts, and what is wrong with them in one line."""

import pytest
import torch

from mnist_drill.errors import DrillError
from mnist_drill.networks import definition, seeded, stage3
from mnist_drill.study.network import Network, in_one_line, source_of

NETS = '''"""Networks to try."""
from __future__ import annotations

import torch
from torch import nn

WIDTH = 2
OTHER = 3


def block(width):
    """A comment on it."""
    return nn.Conv2d(1, width, 28)


class Net(nn.Sequential):
    def __init__(self, width=WIDTH):
        super().__init__(block(width), nn.ReLU(), nn.Flatten(), nn.Linear(width, 10))


def another():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, OTHER), nn.Linear(OTHER, 10))
'''


def net(text=NETS, name="Net", **arguments):
    return Network(name, arguments, "nets.py", text)


def test_it_is_built_with_its_arguments_and_from_its_seed():
    assert net(width=5).build(1)[0].out_channels == 5
    first, again, other = (torch.cat([p.flatten() for p in net().build(seed).parameters()]) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    named = Network("stage3", {"dropout": 0.1})
    assert named.checked() == definition(stage3(0.1)) != Network("stage3").checked()
    assert all(map(torch.equal, named.build(7).parameters(), seeded(stage3, 7).parameters()))


def test_what_a_file_draws_when_it_is_executed_does_not_move_the_weights():
    drawing = NETS + "\ntorch.rand(5)\n"
    state = torch.get_rng_state()
    first, again = (net(drawing).build(1) for _ in range(2))
    assert all(map(torch.equal, first.parameters(), again.parameters()))
    torch.set_rng_state(state)


@pytest.mark.parametrize(
    "change",
    [
        ("OTHER = 3", "OTHER = 4"),
        ("return nn.Sequential(nn.Flatten(), nn.Linear(784", "return nn.Sequential(nn.Flatten(1), nn.Linear(784"),
        ("block(width), nn.ReLU()", "block(width),  # the first\n            nn.ReLU()"),
        ("Networks to try.", "Networks."),
        ("\n\ndef another", "\n\nclass New(Net):\n    pass\n\n\ndef another"),
    ],
    ids=["a name it does not use", "another network", "a comment", "the file's docstring", "a network more"],
)
def test_what_does_not_concern_a_network_leaves_its_source(change):
    assert net(NETS.replace(*change)).source == net().source


@pytest.mark.parametrize(
    "change",
    [
        ("nn.ReLU()", "nn.Sigmoid()"),
        ("WIDTH = 2", "WIDTH = 4"),
        ("nn.Conv2d(1, width, 28)", "nn.Conv2d(1, width, 28, bias=False)"),
        ("def another", "nn.ReLU = nn.Sigmoid\n\n\ndef another"),
        ("def another", "if True:\n    WIDTH = 5\n\n\ndef another"),
        ("def another", "torch.set_default_dtype(torch.float32)\n\n\ndef another"),
        ("from torch import nn", "import torch.nn as nn"),
    ],
    ids=["itself", "a constant", "a function it uses", "an attribute", "a condition", "a call", "an import"],
)
def test_what_it_is_made_of_counts(change):
    assert net(NETS.replace(*change)).source != net().source


def test_source_follows_what_is_used_in_turn():
    text = "a = 1\nb = a\n@b\ndef c(x=1): return 2\nclass D(c): pass\ne = D\n"
    assert source_of(text, "D").splitlines() == ["a = 1", "b = a", "@b", "def c(x=1):", "    return 2", "class D(c):",
                                                 "    pass"]  # fmt: skip
    assert source_of(text, "e").splitlines()[-1] == "e = D"
    assert source_of("a = 1\nb = a\ndef c(x=b): return 2\n", "b").splitlines() == ["a = 1", "b = a"]


@pytest.mark.parametrize("definition", ["def a(): return 1", "class a: size = 1"])
def test_a_definition_that_a_decorator_may_register_counts_without_its_name(definition):
    text = (
        f"BLOCKS = {{}}\ndef register(x): BLOCKS['a'] = x\n@register\n{definition}\ndef network(): return BLOCKS['a']"
    )
    assert source_of(text, "network") != source_of(text.replace("1", "2"), "network")


BAD = {
    "raises when it is executed": ("import nothing_of_this_name\n", "No module named 'nothing_of_this_name'"),
    "is no Python": ("class Net(:\n", "SyntaxError"),
    "defines nothing": ("x = 1\n", "nets.py defines no class or function"),
    "ends the program": ("import sys\nsys.exit(3)\n", "SystemExit: 3"),
    "has another name": ("from torch import nn\nclass Nett(nn.Module): pass\n", "did you mean Nett"),
    "is not callable": ("Net = 5\ndef nett(): pass\n", "unknown network in nets.py, 'Net'"),
    "takes no argument": ("Net = lambda: None\n", "TypeError.*width"),
    "makes something else": ("Net = lambda width: width\n", "makes a int, not a torch.nn.Module"),
    "has no parameter": (
        "from torch import nn\nNet = lambda width: nn.Flatten()\n",
        "has no parameter to train",
    ),
    "has another shape": (
        "from torch import nn\nNet = lambda width: nn.Sequential(nn.Flatten(), nn.Linear(784, 11))\n",
        r"makes \(2, 11\) of images of shape",
    ),
    "returns no tensor": (
        "from torch import nn\nclass Net(nn.Linear):\n    def __init__(self, width): super().__init__(1, 1)\n"
        "    def forward(self, x): return [x]\n",
        "makes list of images",
    ),
    "raises in forward": (
        "from torch import nn\nclass Net(nn.Linear):\n    def __init__(self, width): super().__init__(1, 1)\n\n"
        "    def forward(self, x):\n        return x.nothing\n",
        "nets.py, line 6, AttributeError",
    ),
    "takes images of another shape": (
        "from torch import nn\nNet = lambda width: nn.Linear(3, 10)\n",
        "RuntimeError: .*shapes cannot be multiplied",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_wrong_with_a_network_is_one_line(what):
    text, message = BAD[what]
    with pytest.raises(DrillError, match=rf"^row 'mine': .*{message}") as caught, in_one_line("row 'mine'", "nets.py"):
        net(text, width=4).checked()
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("name", ["stage3", "resnet18"])
@pytest.mark.parametrize("argument", ["dropuot", "seed", "name"])
def test_an_unknown_argument_of_a_named_network_is_one_line(name, argument):
    with pytest.raises(DrillError, match=rf"row 'a': TypeError: .*{argument}"), in_one_line("row 'a'"):
        Network(name, {argument: 5}).checked()
