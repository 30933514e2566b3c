"""The processes that submissions run in: started by the zygote, ended by a guard."""

import time
from dataclasses import replace

import psutil
import pytest
import torch

from mnist_drill.judge.processes import Zygote
from mnist_drill.judge.rules import Limits
from mnist_drill.judge.submission import Submission

LEAVES_PROCESSES = "import os, time\nfor _ in range(9):\n    if os.fork() == 0:\n        time.sleep(600)\n"


def ending_of(zygote, code, seconds, **limits):
    """How a process ends that is to execute a file, and whether it said so much as that it is there."""
    request = {"job": "examine", "seeds": [1], "brief": True, **Submission("network.py", code).head([])}
    said = 0
    with zygote.start(replace(Limits(), **limits), seconds) as process:
        process.ask(request, {"images": torch.zeros(2, 1, 28, 28, dtype=torch.uint8)})
        while process.answer() is not None:
            said += 1
        process.end()
    return process.ending, said


@pytest.mark.parametrize(
    ("code", "seconds", "limits", "reason"),
    [
        ("while True: pass", 3, {}, "time"),
        ("while True: print('x' * 1000)", 100, {"output_kb": 10}, "output"),
        (LEAVES_PROCESSES + "time.sleep(600)", 100, {"processes": 4}, "processes"),
        (LEAVES_PROCESSES, 100, {}, ""),  # it ends by itself, with processes that would go on
    ],
)
def test_a_process_is_ended_at_its_limit_with_all_that_it_has_started(processes, code, seconds, limits, reason):
    before = {process.pid for process in psutil.process_iter()}
    ending, said = ending_of(processes, code, seconds, **limits)
    assert ending.reason == reason
    assert said
    for _ in range(50):
        beside = of_tests_beside_this_one()
        left = [
            x for x in psutil.process_iter()
            if x.pid not in before and x not in beside and "judge.zygote" in command_of(x)
        ]  # fmt: skip
        if not left:
            break
        time.sleep(0.1)
    assert left == []


def of_tests_beside_this_one():
    """The processes that other workers of pytest-xdist have started, which may judge something meanwhile."""
    here = psutil.Process()
    return {*here.parent().children(recursive=True)} - {here, *here.children(recursive=True)}


def command_of(process):
    try:
        return str(process.cmdline())
    except psutil.Error:
        return ""


def test_a_zygote_that_was_killed_is_started_again_and_its_end_is_silent(capfd):
    with Zygote() as processes:
        processes.process.kill()
        processes.process.wait()
        ending, said = ending_of(processes, "network = None\n", 100)
        assert (ending.reason, ending.status) == ("", 0)
        assert said
    assert not processes.folder.exists()
    assert capfd.readouterr().err == ""


def test_what_is_started_and_not_used_ends_silently_and_leaves_nothing(capfd):
    with Zygote() as processes:
        assert processes.folder.is_dir()
    assert processes.process.poll() == 0
    assert not processes.folder.exists()
    assert capfd.readouterr().err == ""
