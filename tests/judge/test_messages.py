"""What a submission's process says to the judge, in the judge's own language or not: there is a report, as text."""

from dataclasses import replace

import pytest

from mnist_drill.judge.card import card
from mnist_drill.judge.judging import judge
from mnist_drill.judge.report import PASSED, UNKNOWN
from mnist_drill.judge.rules import PRESETS, Limits

RULES = replace(PRESETS["drill"], limits=Limits(seconds_to_examine=60, memory_gb=2))
SPEAKS = """
import json, os, struct

def say(head):
    text = json.dumps(head).encode()
    for descriptor in range(3, 64):
        try:
            os.write(descriptor, struct.pack(">II", len(text), 0) + text)
        except OSError:
            pass
"""


@pytest.mark.parametrize(
    "messages",
    [
        [{}],
        [{"closed": 5}],
        [{"recipe": [1]}],
        [{"name": "a network"}, {"training": {"moved": 5}}],
        [{"name": "a network"}, {"training": 5}],
        [{"program": "trained"}],
        [{"name": "a network"}, {"answers": ""}],
        [{"name": "a network"}, {"answers": "1x"}],
        [{"name": "a network"}, {"answers": []}],
    ],
    ids=str,
)
def test_whatever_it_says_in_the_judges_language_there_is_a_report(few_sets, processes, tmp_path, messages):
    path = tmp_path / "speaks.py"
    path.write_text(f"{SPEAKS}\nfor head in {messages!r}:\n    say(head)\nos._exit(0)\n")
    report = judge(path, rules=RULES, quick=True, sets=few_sets, processes=processes)
    assert report.verdict != PASSED
    assert report.finding("loads").verdict == UNKNOWN


OBEYED = "\x1b[2J\ud800"  # a terminal clears its screen for the first, and no terminal can be told the second
PROGRAM = {"program": "seed 0", "calls": [], "result": None, "names": {}, "lies": {}, "registered": {},
           "from_images": True}  # fmt: skip
HOLDS = """
import torch
from torch import nn

class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.last = nn.Linear(784, 10)
        self.register_buffer(NAME, torch.randn(784))

    def forward(self, x):
        return self.last(x.flatten(1) * getattr(self, NAME))
"""


@pytest.mark.parametrize(
    "text",
    [
        f"say({{'name': {OBEYED!r}}})",
        f"say({{'closed': [{OBEYED!r}]}})",
        f"say({{'name': ''}})\nsay({{'answers': 'again', 'error': {OBEYED!r}}})",
        f"say({{'name': ''}})\nsay({PROGRAM | {'fault': OBEYED}!r})",
        f"say({{'name': ''}})\nsay({PROGRAM | {'fault': '', 'calls': [[OBEYED, [], {}, []]]}!r})",
    ],
    ids=["name", "closed", "error", "fault", "operation"],
)
def test_what_a_submission_says_is_shown_as_text_that_no_terminal_obeys(few_sets, processes, tmp_path, text):
    path = tmp_path / "speaks.py"
    path.write_text(f"{SPEAKS}\n{text}\nos._exit(0)\n")
    assert_text(judge(path, rules=RULES, quick=True, sets=few_sets, processes=processes))


def test_the_name_of_a_buffer_is_shown_as_text_that_no_terminal_obeys(few_sets, processes, tmp_path):
    path = tmp_path / "holds.py"
    path.write_text(f"NAME = {OBEYED!r}\n{HOLDS}")
    report = judge(path, rules=RULES, quick=True, sets=few_sets, processes=processes)
    assert "784 in" in report.finding("parameters").found
    assert_text(report)


def assert_text(report):
    assert all(character.isprintable() for line in card(report).split("\n") for character in line)
