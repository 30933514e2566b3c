"""Training on a Ray cluster: each work is a task of Ray Core, whose runs are streamed back to this process.

Workers are given this process's copy of the package by the runtime environment, and the images through Ray's object
store, which takes them to each node once: nodes need the requirements of the package, no shared folder, no network.
"""

from __future__ import annotations

import socket
import sys
from functools import lru_cache
from math import floor
from typing import TYPE_CHECKING

import torch
from tqdm import tqdm

import mnist_drill
from mnist_drill.data import LabeledImages, from_grey, to_grey
from mnist_drill.errors import DrillError
from mnist_drill.study.plan import sets_of
from mnist_drill.study.work import train

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from mnist_drill.runs import Run
    from mnist_drill.study.work import Finished, Sets, Source, Work

RETRIES = 3  # of a task whose worker or node dies
SECONDS_TO_CONNECT = 10


def on_ray(
    source: Source, tick: Callable[[], object], device: str, address: str, threads: int = 1, gpu_share: float = 1.0
) -> Finished:
    """Trains on the cluster at `address`, or with "local" on one that is started here for as long as this takes.

    Each work has `threads` cores, on a GPU that share of one, too. One whose worker or node dies is trained again, up
    to `RETRIES` times. Raises `DrillError` where the cluster is not there, or of other versions of Python or Ray.
    """
    ray = _connected(address)
    pending = {}
    try:
        if device == "auto":
            device = "cuda" if ray.cluster_resources().get("GPU") else "cpu"
        needs = {"CPU": threads} | ({"GPU": gpu_share} if device == "cuda" else {})
        _say_if_it_waits(ray, needs)
        remote = ray.remote(num_cpus=threads, num_gpus=needs.get("GPU", 0), max_retries=RETRIES)(_train_on_node)
        packed = None
        while True:
            while len(pending) < _most_in_flight(ray, needs) and (work := source()):
                packed = packed or ray.put(_packed(sets_of(work[0].evaluated_on)))
                pending[remote.remote(work, device, threads, [packed])] = work
            if not pending:
                return
            ray.wait(list(pending))
            done, _ = ray.wait(list(pending), num_returns=len(pending), timeout=0)
            works = {reference: pending.pop(reference) for reference in done}
            outcomes = [(work, _outcome(ray, reference, work)) for reference, work in works.items()]
            for work, runs in sorted(outcomes, key=lambda each: isinstance(each[1], DrillError)):  # no run is lost
                if isinstance(runs, DrillError):
                    raise runs
                for task, run in zip(work, runs, strict=True):
                    for _ in run.epochs:
                        tick()
                    yield task, run
    except ray.exceptions.RayError as error:
        reason = " ".join(str(error).split())[:300]
        raise DrillError(f"lost the Ray cluster: {reason}; the same command trains what is missing") from None
    finally:
        for reference in pending:
            ray.cancel(reference, force=True)
        ray.shutdown()


def _connected(address: str) -> ModuleType:
    """Ray, connected to a cluster."""
    try:
        import ray
    except ImportError:
        raise DrillError("--ray needs Ray: pip install 'ray>=2.49'") from None
    where = "a Ray cluster of this machine" if address == "auto" else f"the Ray cluster at {address}"
    advice = "`ray start --head` starts one here, and `--ray local` one for this command alone"
    try:
        if ":" in address:  # where nothing listens, this fails at once, and Ray would try for long
            host, _, port = address.rpartition(":")
            socket.create_connection((host, int(port)), SECONDS_TO_CONNECT).close()
        environment = {"py_modules": [mnist_drill]}
        ray.init(address, runtime_env=environment, log_to_driver=False, logging_level="ERROR", include_dashboard=False)
    except Exception as error:  # whose class Ray does not promise
        ray.shutdown()
        reason = " ".join(str(error).split())
        if "ersion mismatch" in reason:
            raise DrillError(f"{where} has other versions; install the same on both sides. {reason}") from None
        raise DrillError(f"cannot reach {where}: {reason.partition('. ')[0]}: {advice}") from None
    return ray


def _most_in_flight(ray: ModuleType, needs: dict[str, float]) -> int:
    """A quarter more works than are trained at once: no worker waits, and memory does not grow with the study."""
    there = ray.cluster_resources()
    at_once = floor(min(there.get(kind, 0) / number for kind, number in needs.items()))
    return at_once + at_once // 4 + 1


def _say_if_it_waits(ray: ModuleType, needs: dict[str, float]) -> None:
    """Says so where no node is large enough; one that is may join."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not any(all(node.get(kind, 0) >= number for kind, number in needs.items()) for node in nodes):
        wanted = " and ".join(f"{number:g} {kind}" for kind, number in needs.items())
        tqdm.write(f"No node of the cluster has {wanted}: waiting for one. Ctrl-C ends the command.", file=sys.stderr)


def _outcome(ray: ModuleType, reference, work: Work) -> list[Run] | DrillError:
    """The runs of a work that has ended, or what went wrong."""
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        cause = error.cause
        if isinstance(cause, DrillError):
            return cause
        reason = f"{type(cause).__name__}: {(str(cause).strip().splitlines() or [''])[-1]}"
    except ray.exceptions.RayError as error:
        reason = f"{type(error).__name__}, after {RETRIES} retries: {' '.join(str(error).split())[:300]}"
    seeds = ", ".join(str(task.seed) for task in work)
    return DrillError(f"row {work[0].name!r}, seed {seeds}, on the cluster: {reason}")


def _packed(sets: Sets) -> list[tuple]:
    """The sets as NumPy arrays, images as grey values from 0 to 255: a quarter of the size."""
    return [(to_grey(each.images).numpy(), each.labels.numpy()) for each in sets]


@lru_cache(maxsize=1)  # once in each worker process, and not for each of its tasks
def _unpacked(reference) -> Sets:
    import ray

    first, second = (
        LabeledImages(from_grey(torch.tensor(images)), torch.tensor(labels)) for images, labels in ray.get(reference)
    )
    return first, second


def _train_on_node(work: Work, device: str, threads: int, packed: list) -> list[Run]:
    torch.set_num_threads(threads)
    return train(work, _unpacked(packed[0]), device, lambda: None)
