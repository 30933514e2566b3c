"""Training in several processes of this machine."""

from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from functools import lru_cache
from multiprocessing import get_context
from typing import TYPE_CHECKING

import torch
from tqdm import tqdm

from mnist_drill.errors import DrillError
from mnist_drill.study.plan import sets_of
from mnist_drill.study.work import train

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

    from mnist_drill.runs import Run
    from mnist_drill.study.work import Finished, Source, Work

# In a worker: where it tells of each epoch, and its sets, which it loads once.
_ticks = None
_load = lru_cache(sets_of)


def in_processes(source: Source, tick: Callable[[], object], device: str, jobs: int, threads: int) -> Finished:
    """Trains in `jobs` processes of `threads` threads each."""
    context = get_context("spawn")  # a process that was forked while torch's threads run may hang
    ticks, (reader, writer) = context.Queue(), context.Pipe(duplex=False)
    pending = {}
    with reader, writer, ProcessPoolExecutor(jobs, context, _start_worker, (threads, ticks, reader)) as pool:

        def submit() -> None:
            # One more than there are workers, so that none waits; no more, so that memory does not grow.
            while len(pending) <= jobs and (work := source()):
                pending[pool.submit(_train_in_worker, work, device)] = work

        try:
            with _interrupts_ignored():  # which the workers inherit
                submit()
            while pending:
                done, _ = wait(pending, timeout=1, return_when=FIRST_COMPLETED)
                while not ticks.empty():
                    ticks.get()
                    tick()
                for future in sorted(done, key=lambda each: each.exception() is not None):  # nothing finished is lost
                    work = pending.pop(future)
                    yield from zip(work, future.result(), strict=True)
                    submit()
        except BrokenProcessPool:
            raise DrillError(
                "a worker process ended unexpectedly, perhaps for want of memory: choose fewer --jobs; "
                "the same command trains what is missing"
            ) from None
        finally:
            if pending:  # an error, Ctrl-C, or nobody wants more runs: the workers end at once
                writer.close()
                pool.shutdown(cancel_futures=True)


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


def _start_worker(threads: int, ticks, reader: Connection) -> None:
    global _ticks
    _ticks = ticks
    torch.set_num_threads(threads)
    # tqdm's own lock is a semaphore of the system, which a worker that ends at once would leave behind.
    tqdm.set_lock(threading.RLock())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends Ctrl-C to all, and the parent ends its workers
    threading.Thread(target=_exit_with_parent, args=(reader,), daemon=True).start()


def _exit_with_parent(reader: Connection) -> None:
    """Ends this worker when its parent closes the pipe, or is killed: it would wait for work for ever."""
    # Unlike an event of `multiprocessing`, a pipe does not wait for workers that were killed.
    with suppress(EOFError, OSError):
        reader.recv()
    os._exit(1)


def _train_in_worker(work: Work, device: str) -> list[Run]:
    return train(work, _load(work[0].evaluated_on), device, lambda: _ticks.put(None))
