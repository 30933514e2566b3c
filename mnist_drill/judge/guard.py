"""The process between the judge and a submission's process: it ends that one, and all that it started, at its limits.

It runs no code of the submission. It ends what it guards when the judge is gone, too.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import psutil

from mnist_drill.judge.confinement import ADOPT_ORPHANS, separate, set_process_option

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

KEPT = 2_000  # bytes of the output's beginning, and as many of its end


def guard(
    request: dict, connection: socket.socket, judge: socket.socket, work: Callable[[list[str], bool], None]
) -> None:
    """Has a process of its own do the work, which is told what is closed to it; tells the judge how that ended.

    That process alone has the connection to answer the judge by.
    """
    os.setsid()
    set_process_option(ADOPT_ORPHANS)
    reader, writer = os.pipe()
    closed, may_mount = separate()
    child = os.fork()
    if child == 0:
        judge.close()
        os.close(reader)
        os.setsid()
        _redirect(writer)
        work(closed, may_mount)
        os._exit(0)
    connection.close()
    os.close(writer)
    output = Output(reader)
    reason, status = _watch(child, judge, output, request)
    _end_all(child)
    output.read()
    with suppress(OSError):
        judge.sendall(json.dumps({"reason": reason, "status": status, "output": output.text}).encode())


class Output:
    """What a process prints: how much, how it begins, and how it ends."""

    def __init__(self, reader: int):
        os.set_blocking(reader, False)
        self.reader, self.open, self.size, self.begin, self.end = reader, True, 0, b"", b""

    def read(self) -> None:
        """Takes what is there, up to a few megabytes."""
        for _ in range(64):
            try:
                part = os.read(self.reader, 1 << 16)
            except BlockingIOError:
                return
            if not part:
                self.open = False
                return
            self.size += len(part)
            self.begin += part[: KEPT - len(self.begin)] if len(self.begin) < KEPT else b""
            self.end = (self.end + part)[-KEPT:]

    @property
    def text(self) -> str:
        """All of it, or its beginning and its end."""
        if self.size <= 2 * KEPT:  # what follows the beginning is at the end, or none of it is missing
            return (self.begin + self.end[len(self.end) - (self.size - len(self.begin)) :]).decode(errors="replace")
        gap = f"\n… {self.size:,} bytes in all …\n"
        return self.begin.decode(errors="replace") + gap + self.end.decode(errors="replace")


def _redirect(writer: int) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    for target, source in ((0, nothing), (1, writer), (2, writer)):
        os.dup2(source, target)
    os.close(nothing)
    os.close(writer)
    sys.stdout.reconfigure(line_buffering=True)  # this process ends without a last flush


def _watch(child: int, judge: socket.socket, output: Output, request: dict) -> tuple[str, int | None]:
    """Waits for the child to end or to reach a limit: which one, and its exit status if it ended by itself."""
    start, looked, before = time.monotonic(), 0.0, psutil.Process().memory_info().rss
    while True:
        ready, _, _ = select.select([output.reader, judge] if output.open else [judge], [], [], 0.02)
        if output.reader in ready:
            output.read()
            if output.size > request["output_kb"] * 1000:
                return "output", None
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return "", os.waitstatus_to_exitcode(status)
        if judge in ready:  # it says nothing to a guard: it is gone, or wants this to end
            return "judge", None
        now = time.monotonic()
        if now - start > request["seconds"]:
            return "time", None
        if now - looked > min(1.0, 0.1 + (now - start) / 50):
            processes = psutil.Process().children(recursive=True)
            if len(processes) > request["processes"]:
                return "processes", None
            # Each process has what this one has, torch for the most part, without taking memory for it.
            if sum(max(0, _memory(each) - before) for each in processes) > request["memory_gb"] * 2**30:
                return "memory", None
            looked = time.monotonic()


def _memory(process: psutil.Process) -> int:
    try:
        return process.memory_info().rss
    except psutil.Error:
        return 0


def _end_all(child: int) -> None:
    """Kills the child, all that it started, and what those start meanwhile."""
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    while True:
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        left = [each for each in psutil.Process().children(recursive=True) if each.is_running()]
        if not left:
            return
        for process in left:
            with suppress(psutil.Error):
                process.kill()
        time.sleep(0.005)
