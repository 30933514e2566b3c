"""A process that has imported torch, has started no thread, and forks: a submission's process starts in milliseconds.

It runs as `python -I`, with hardly any environment variables, and runs no code of a submission itself.
"""

from __future__ import annotations

import gc
import json
import os
import shutil
import signal
import socket
import sys
from contextlib import suppress

import torch

from mnist_drill.judge import confinement, guard, jobs


def main(descriptor: int) -> None:
    """Forks a guard for each request until the judge is gone, and then removes the submissions' folders."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for a guard
    for kind in (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW):
        kind([torch.zeros(1, requires_grad=True)])  # the first one has torch wrap a function of its class
    gc.freeze()  # so that the children share these pages
    try:
        with suppress(ConnectionError):
            _fork_for(socket.socket(fileno=descriptor))
    finally:
        shutil.rmtree(os.environ["HOME"], ignore_errors=True)


def _fork_for(judge: socket.socket) -> None:
    """Until the judge is gone."""
    judge.sendall(b"+")
    while True:
        text, descriptors, _, _ = socket.recv_fds(judge, 1 << 16, 2)
        if not text:
            return
        if os.fork() == 0:
            judge.close()
            try:
                _guard(json.loads(text), *(socket.socket(fileno=each) for each in descriptors))
            finally:
                os._exit(1)
        for each in descriptors:
            os.close(each)
        judge.sendall(b"+")


def _guard(request: dict, connection: socket.socket, judge: socket.socket) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)

    def work(closed: list[str], may_mount: bool) -> None:
        jobs.work(connection, closed + _confine(request, may_mount), request["threads"])

    guard.guard(request, connection, judge, work)


def _confine(request: dict, may_mount: bool) -> list[str]:
    """Gives up, in this process, what it does not need; what is closed by that, in words."""
    folder = request["folder"]
    closed = confinement.close_folders(folder, request["hidden"]) if may_mount else []
    confinement.limit(request["memory_gb"], request["seconds"], request["threads"])
    for key in ("HOME", "TMPDIR"):
        os.environ[key] = folder
    os.chdir(folder)
    readable = all(map(confinement.readable_by_all, {sys.prefix, sys.base_prefix, *request["packages"]}))
    return closed + confinement.give_up_rights(request["user"] if readable else None)
