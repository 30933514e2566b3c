"""The benchmark: how fast the course trains and reads, and against what.

Contenders of a comparison take turns, round by round, so that a machine that slows down slows all of them alike. What
is compared is the ratio of their medians; seconds are this machine's.
"""

import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
import torchvision
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Subset
from torch.utils.flop_counter import FlopCounterMode
from torchvision.transforms import Compose, InterpolationMode, Normalize, RandomAffine, ToTensor
from tqdm import tqdm

from mnist_drill import data
from mnist_drill.data import Digits, normalize
from mnist_drill.errors import DrillError
from mnist_drill.files import read_json
from mnist_drill.models import STAGES, build
from mnist_drill.report import Table
from mnist_drill.train import RECIPES, Run, environment, evaluate, finished, fit, has_bfloat16, pick_device, rate_at

Seconds = dict[str, list[float]]
GOALS = ("99.0", "99.4")  # test accuracies in percent
ONE_EPOCH = "one-epoch recipe"
PARTS = ("epoch", "limit", "parts", "goals", "inference", "memory")


def take_turns(contenders: dict[str, Callable[[], float]], rounds: int) -> Seconds:
    """What each contender returned in each round: one after the other in every round."""
    results: Seconds = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            results[name].append(contender())
    return results


def timed(work: Callable[[], object], device: torch.device) -> float:
    """Seconds that `work` takes, on a GPU until the last kernel has ended."""
    _wait(device)
    start = time.perf_counter()
    work()
    _wait(device)
    return time.perf_counter() - start


def epochs(
    train: Digits, test: Digits, device: torch.device, rounds: int, workers: tuple[int, ...]
) -> dict[str, Seconds]:
    """Seconds of an epoch of each stage, test included: the course's loop, and the usual pipeline with such workers."""
    return {
        name: take_turns(
            {"course": partial(course_epoch, name, train, test, device)}
            | {f"usual, {n} workers": partial(usual_epoch, name, len(train), len(test), n, device) for n in workers},
            rounds,
        )
        for name in STAGES
    }


def course_epoch(name: str, train: Digits, test: Digits, device: torch.device) -> float:
    """Seconds of one epoch by `fit`, as its row says."""
    return _fit(name, 1, train, test, device).last.seconds


def usual_epoch(name: str, training: int, testing: int, workers: int, device: torch.device) -> float:
    """Seconds of the first epoch of a stage's recipe as most code trains on MNIST.

    A transform of each image by PIL, a `DataLoader`, the loss and the accuracy of each batch in a progress bar; the
    same network, batch size, augmentation, schedule and averaging of weights.
    """
    recipe = RECIPES[name]
    a = recipe.augmentation
    plain = [ToTensor(), Normalize((data.MEAN,), (data.STD,))]
    affine = RandomAffine(
        a.rotation, (a.translation / 28,) * 2, (1 - a.scale, 1 + a.scale), a.shear, InterpolationMode.BILINEAR
    )
    augmented = [affine, *plain] if a.rotation else plain
    loaders = [
        DataLoader(
            Subset(torchvision.datasets.MNIST(data.data_folder(), is_train, Compose(transforms)), range(size)),
            batch_size=recipe.batch_size if is_train else 1000,
            shuffle=is_train,
            num_workers=workers,
        )
        for is_train, transforms, size in ((True, augmented, training), (False, plain, testing))
    ]
    model = build(name, 1).to(device)
    optimizer = torch.optim.SGD(
        model.parameters(), 1.0, recipe.momentum, weight_decay=recipe.weight_decay, nesterov=True
    )
    steps = recipe.epochs * len(loaders[0])
    scheduler = LambdaLR(optimizer, lambda step: rate_at(recipe, step / steps))
    averaged = None
    if recipe.averaging:
        averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(recipe.averaging), use_buffers=True)
    tested = model if averaged is None else averaged

    def epoch() -> None:
        model.train()
        correct = seen = 0
        bar = tqdm(loaders[0], file=io.StringIO())
        for images, labels in bar:
            images, labels = images.to(device), labels.to(device)
            logits = model(images)
            loss = F.cross_entropy(logits, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
            if averaged is not None:
                averaged.update_parameters(model)
            correct += (logits.argmax(dim=1) == labels).sum().item()
            seen += len(labels)
            bar.set_description(f"loss {loss.item():.4f}, accuracy {correct / seen:.2%}", refresh=False)
        tested.eval()
        with torch.no_grad():
            for images, labels in loaders[1]:
                (tested(images.to(device)).argmax(dim=1) == labels.to(device)).sum().item()

    return timed(epoch, device)


def operations(name: str, training: int, testing: int) -> float:
    """Floating-point operations of an epoch of a stage: forward and backward of training, forward of the test.

    Counted by torch on a batch: a multiplication and an addition are two. Only convolutions have a count.
    """
    model = build(name, 1)
    with FlopCounterMode(display=False) as both:
        model(torch.zeros(10, 1, 28, 28)).sum().backward()
    with FlopCounterMode(display=False) as forward, torch.no_grad():
        model(torch.zeros(10, 1, 28, 28))
    return both.get_total_flops() / 10 * training + forward.get_total_flops() / 10 * testing


def matrix_rates(device: torch.device, rounds: int, side: int = 2048) -> Seconds:
    """Operations a second of a large matrix product, in each precision that the device multiplies natively."""
    precisions = {"float32": torch.float32} | ({"bfloat16": torch.bfloat16} if has_bfloat16(device) else {})
    factors = {name: torch.rand(side, side, device=device, dtype=dtype) for name, dtype in precisions.items()}

    def rate(name: str) -> float:
        return 2 * side**3 / timed(lambda: factors[name] @ factors[name], device)

    take_turns({name: partial(rate, name) for name in factors}, 2)  # the first products are slower
    return take_turns({name: partial(rate, name) for name in factors}, rounds)


def time_to_accuracy(
    train: Digits, test: Digits, device: torch.device, seeds: dict[str, int], epochs: int = 15
) -> dict[str, list[dict]]:
    """For each seed, the last test accuracy and the seconds of training until it was first each of `GOALS`, or None.

    `seeds` says how many of each contender: of networks by name, which train by their recipe for at most `epochs`, and
    of the one-epoch recipe below.
    """
    results: dict[str, list[dict]] = {name: [] for name in seeds}
    for seed in range(1, max(seeds.values()) + 1):
        for name in (name for name, count in seeds.items() if seed <= count):
            if name == ONE_EPOCH:
                rows = [one_epoch_recipe(train, test, device, seed)]
            else:
                run = _fit(name, min(epochs, RECIPES[name].epochs), train, test, device, seed)
                rows = [(row.test_accuracy, row.seconds) for row in run.epochs]
            results[name].append(_reached(rows))
    return results


def _reached(rows: list[tuple[float, float]]) -> dict[str, float | None]:
    """From the test accuracy and the seconds of each epoch: what was reached in the end, and when each goal was."""
    reached: dict[str, float | None] = {"accuracy": rows[-1][0], **dict.fromkeys(GOALS)}
    passed = 0.0
    for accuracy, seconds in rows:
        passed += seconds
        for goal in GOALS:
            if reached[goal] is None and accuracy >= float(goal):
                reached[goal] = passed
    return reached


def one_epoch_recipe(train: Digits, test: Digits, device: torch.device, seed: int) -> tuple[float, float]:
    """Test accuracy in percent and seconds of a recipe of the kind that the literature on fast training uses."""
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Conv2d(1, 24, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(24, 32, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(800, 256), nn.ReLU(), nn.Linear(256, 10),
    ).to(device, memory_format=torch.channels_last)  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters(), 0.01, betas=(0.7, 0.9))
    batches = torch.randperm(len(train)).split(256)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, total_steps=len(batches))
    train, test = train.to(device), test.to(device)
    accuracy = 0.0

    def epoch() -> None:
        nonlocal accuracy
        for positions in batches:
            batch = train[positions.to(device)]
            optimizer.zero_grad()
            F.cross_entropy(model(normalize(batch.images)), batch.labels).backward()
            optimizer.step()
            scheduler.step()
        accuracy = evaluate(model, test).accuracy

    seconds = timed(epoch, device)
    return accuracy, seconds


def where_time_goes(name: str, train: Digits, test: Digits, device: torch.device) -> dict[str, float]:
    """Seconds of one epoch by `fit` in each of its parts, by hooks around the network and the optimizer."""
    model = build(name, 1)
    parts = dict.fromkeys(("data, augmentation, averaging", "forward", "loss, backward", "optimizer"), 0.0)
    since = time.perf_counter()

    def mark(part: str) -> None:
        nonlocal since
        _wait(device)
        now = time.perf_counter()
        parts[part] += now - since
        since = now

    def around(part: str):
        # Hooks travel with a copy, as that of the averaged weights, and evaluation comes after the last step.
        return lambda module, *_: mark(part) if module is model and model.training else None

    before, forward, backward, optimizer = parts
    hooks = [
        model.register_forward_pre_hook(around(before)),
        model.register_forward_hook(around(forward)),
        register_optimizer_step_pre_hook(lambda *_: mark(backward)),
        register_optimizer_step_post_hook(lambda *_: mark(optimizer)),
    ]
    try:
        run = _fit(name, 1, train, test, device, model=model)
    finally:
        for hook in hooks:
            hook.remove()
    return {**parts, "evaluation": run.last.seconds - sum(parts.values())}


def inference(device: torch.device, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Seconds a digit at batch 1 and 1,000: `stage4` against networks of torchvision on the same 28×28 pixels."""
    names = ("resnet18", "squeezenet1_0", "mobilenet_v3_small")
    networks = {"stage4": (build("stage4", 1), 1)}
    networks |= {name: (torchvision.models.get_model(name, weights=None, num_classes=10), 3) for name in names}
    for model, _ in networks.values():
        model.to(device).eval()

    def read(name: str, size: int) -> float:
        model, channels = networks[name]
        images = torch.rand(size, channels, 28, 28, device=device)
        repeats = max(1, 20 // size)
        with torch.inference_mode():
            return timed(lambda: [model(images) for _ in range(repeats)], device) / repeats / size

    results = {}
    for size in (1, 1000):
        contenders = {name: partial(read, name, size) for name in networks}
        take_turns(contenders, 1)  # the first passes are slower
        results[f"{size:,}"] = take_turns(contenders, rounds)
    return results


def peak_memory() -> float | None:
    """Peak resident megabytes of a process that trains `stage4` for an epoch; None where the system does not say."""
    if not hasattr(os, "wait4"):
        return None
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "mnist_drill", "train", "stage4", "--epochs", "1", "--out", folder]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=Path(__file__).parents[1])
        _, status, used = os.wait4(process.pid, 0)
    if status:
        return None
    return used.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def run_benchmark(
    device_name: str = "auto",
    quick: bool = False,
    say: Callable[[object], None] = print,
    only: Collection[str] = (),
    report: dict | None = None,
) -> dict:
    """The comparisons of `PARTS`, each said as a table when it is done; returns them as plain data.

    With `quick` a tenth of the digits and one round: enough to see that it works, too little to conclude from. With
    `only` some of the parts; they take the place of those in `report`, an earlier one. Raises `DrillError` where that
    is of another machine, version or number of digits.
    """
    device = pick_device(device_name)
    train, test = data.load()
    if quick:
        train, test = train[:6000], test[:1000]
    rounds = 1 if quick else 3
    head = {"environment": environment(device, RECIPES["stage4"]), "quick": quick, "digits": len(train)}
    if report is not None and {key: report.get(key) for key in head} != head:
        raise DrillError("the earlier benchmark is of another machine, version or number of digits: measure all parts")
    report = head | (report or {})
    if "limit" in only and "epoch" not in {*only, *report}:
        raise DrillError("limit compares with an epoch's time: measure the part epoch with it")

    def epoch() -> None:
        report["epoch"] = epochs(train, test, device, rounds, workers=(0, 2))
        say(f"Seconds of an epoch of {len(train):,} digits and a test of {len(test):,}: median (lowest to highest)")
        say(epoch_table(report))

    def limit() -> None:
        report["matrix product"] = matrix_rates(device, 10)
        report["operations"] = {name: operations(name, len(train), len(test)) for name in STAGES}
        rates = [f"{statistics.median(x) / 1e9:,.0f} GFLOP/s in {n}" for n, x in report["matrix product"].items()]
        say(f"\nAgainst the rate of a large matrix product: {', '.join(rates)}")
        say(limit_table(report))

    def parts() -> None:
        report["parts"] = {name: where_time_goes(name, train, test, device) for name in STAGES}
        say("\nWhere the time of an epoch goes")
        say(parts_table(report))

    def goals() -> None:
        seeds = {"stage4": 3, "sprint": 10, ONE_EPOCH: 10}
        seeds, most = (dict.fromkeys(seeds, 1), 2) if quick else (seeds, 15)
        report["time to accuracy"] = time_to_accuracy(train, test, device, seeds, most)
        say("\nSeconds until a test accuracy is first reached: median of the seeds (lowest to highest)")
        say(goals_table(report))

    def reading() -> None:
        report["inference"] = inference(device, 3 if quick else 20)
        say("\nMicroseconds a digit: median (lowest to highest)")
        say(inference_table(report))

    def memory() -> None:
        report["peak megabytes"] = peak_memory()
        say(f"\n{memory_line(report)}")

    for name, measure in zip(PARTS, (epoch, limit, parts, goals, reading, memory), strict=True):
        if name in only or not only:
            measure()
    return report


def load_report(path: str | Path) -> dict:
    """A report that the command wrote. Raises `DrillError` for a file that is missing or holds something else."""
    mend = f"`bench --out {path}` writes one"
    return read_json(path, lambda report: {**report, "environment": {**report["environment"]}}, "a benchmark", mend)


def epoch_table(report: dict) -> Table:
    """A row for each network: the course's seconds, and those of each usual pipeline as many times the course's."""
    rows = []
    for name, contenders in report["epoch"].items():
        course, *usual = contenders.values()
        row = [name, _spread(course)]
        for seconds in usual:
            row += [_spread(seconds), f"{statistics.median(seconds) / statistics.median(course):.1f}×"]
        rows.append(row)
    pipelines = [name for name in next(iter(report["epoch"].values())) if name != "course"]
    return Table(["network", "course", *(x for name in pipelines for x in (name, "slower by"))], rows)


def limit_table(report: dict) -> Table:
    """A row for each network and precision: the seconds that an epoch's arithmetic would take at the measured rate."""
    rows = []
    for name, count in report["operations"].items():
        course = statistics.median(report["epoch"][name]["course"])
        for precision, rates in report["matrix product"].items():
            limit = count / statistics.median(rates)
            rows.append(
                [name, precision, f"{count / 1e9:,.0f}", f"{limit:.2f}", f"{course:.2f}", f"{limit / course:.0%}"]
            )
    return Table(["network", "limit in", "GFLOP an epoch", "seconds at that rate", "course", "share reached"], rows)


def parts_table(report: dict) -> Table:
    """A row for each network: the share of each part of an epoch."""
    rows = [
        [name, *(f"{x / sum(parts.values()):.0%}" for x in parts.values())] for name, parts in report["parts"].items()
    ]
    return Table(["network", *report["parts"]["stage4"]], rows)


def goals_table(report: dict) -> Table:
    """A row for each contender: its last test accuracy, and the seconds until each goal."""
    rows = []
    for name, seeds in report["time to accuracy"].items():
        last = statistics.median(seed["accuracy"] for seed in seeds)
        rows.append([name, len(seeds), f"{last:.2f}", *(_when(seeds, goal) for goal in GOALS)])
    return Table(["recipe", "seeds", "last test", *(f"to {goal} %" for goal in GOALS)], rows)


def inference_table(report: dict) -> Table:
    """A row for each network: microseconds for a digit at each batch size."""
    sizes = report["inference"]
    rows = [
        [name, *(_spread([x * 1e6 for x in networks[name]], 1) for networks in sizes.values())]
        for name in next(iter(sizes.values()))
    ]
    return Table(["network", *(f"batch of {size}" for size in sizes)], rows)


def memory_line(report: dict) -> str:
    """The peak memory in words."""
    megabytes = report["peak megabytes"]
    return f"Peak resident memory of training stage4: {f'{megabytes:,.0f} MB' if megabytes else 'not measured'}."


def _fit(name: str, epochs: int, train: Digits, test: Digits, device: torch.device, seed: int = 1, model=None) -> Run:
    """A run of a network's recipe that prints nothing."""
    run = fit(
        build(name, seed) if model is None else model,
        RECIPES[name].with_epochs(epochs),
        train,
        test,
        name=name,
        seed=seed,
        device=device.type,
        progress=False,
        on_epoch=lambda row: None,
    )
    return finished(run)


def _spread(values: list[float], digits: int = 2) -> str:
    middle, low, high = (f"{x:,.{digits}f}" for x in (statistics.median(values), min(values), max(values)))
    return f"{middle} ({low} to {high})"


def _when(seeds: list[dict], goal: str) -> str:
    reached = [seed[goal] for seed in seeds if seed[goal] is not None]
    share = "" if len(reached) == len(seeds) else f"{len(reached)} of {len(seeds)} seeds"
    return ": ".join(filter(None, [share, _spread(reached, 1) if reached else ""]))


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
