"""Commands that train many networks or measure them: `compare`, `evidence` and `bench`."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from mnist_drill.benchmark import PARTS
from mnist_drill.cli.options import FILE_TO_WRITE, PATH, device_option, epochs_option, seed_option
from mnist_drill.course.tables import spread_table
from mnist_drill.errors import DrillError
from mnist_drill.storage.files import ensure_writable, write_atomically

if TYPE_CHECKING:
    from pathlib import Path

    from mnist_drill.runs import Run


@click.command("compare")
@click.argument("names", nargs=-1)
@epochs_option("each")
@click.option("--vote", "voters", multiple=True, metavar="NAME",
              help="Add a majority-vote ensemble with this one of NAMES. Can be given more than once.")  # fmt: skip
@seed_option
@click.option("--store", is_flag=True, help="For maintainers: store the figures in the package, too.")
@device_option
@click.option("--out", type=PATH, default="runs/comparison", show_default=True, help="Folder to write to.")
def compare_command(
    names: tuple[str, ...],
    epochs: int | None,
    voters: tuple[str, ...],
    seed: int,
    store: bool,
    device: str,
    out: Path,
) -> None:
    """Train the networks NAMES and the course's own, and compare accuracy, parameters, latency and FLOPs.

    Without NAMES these are eleven networks of torchvision, six of which form an ensemble. Each trains on 50,000 images
    by its own recipe and is evaluated on the 10,000 of the validation set and on the test set. Writes
    OUT/comparison.md, .json and .png, and each network's weights and run. A network that is finished there is not
    trained again, and an interrupted one is resumed.
    """
    from mnist_drill.evidence import stored
    from mnist_drill.models import check_name
    from mnist_drill.stages import NETWORKS
    from mnist_drill.training.devices import pick_device
    from mnist_drill.zoo import comparison as zoo

    if not names:
        names, voters = zoo.ELEVEN, voters or zoo.SIX
    names = tuple(dict.fromkeys([*NETWORKS, *names]))
    for name in names:
        check_name(name)
    for name in voters:
        if name not in names:
            raise DrillError(f"--vote {name}: it is not among the networks to compare, {', '.join(names)}")
    pick_device(device)
    folders = [out, stored.FOLDER] if store else [out]
    for folder in folders:
        ensure_writable(folder)
    comparison = zoo.compare(
        names, voters, folder=out, epochs=epochs, seed=seed, device=device, progress=sys.stdout.isatty(), say=click.echo
    )
    from mnist_drill.course import study_plots

    table = zoo.table(comparison)
    for folder in folders:
        comparison.save(folder / "comparison.json")
    write_atomically(out / "comparison.md", table.markdown() + "\n")
    study_plots.accuracy_against_parameters(comparison.entries, path=out / "comparison.png")
    click.echo(f"{table}\nwrote {out / 'comparison'}.md, .json and .png")


@click.command("transfer")
@click.option("--seeds", type=click.IntRange(min=1), default=3, show_default=True, help="Number of seeds of each row.")
@click.option("--store", is_flag=True, help="For maintainers: store the runs in the package, too.")
@device_option
@click.option("--out", type=PATH, default="runs/transfer", show_default=True, help="Folder to write to.")
def transfer_command(seeds: int, store: bool, device: str, out: Path) -> None:
    """Pretrain a network on another task, then train its last layer or all layers with few labels and with all.

    The network is torchvision's resnet18. It is pretrained on which of four rotations an image has, and then trained on
    the ten digits; or on the digits 0 to 4, and then on 5 to 9; and each time without any pretraining beside it. Each
    run is a file in OUT and not trained again: the same command goes on where it was interrupted.
    """
    from mnist_drill.evidence import stored
    from mnist_drill.training.devices import pick_device
    from mnist_drill.zoo import transfer

    pick_device(device)
    for folder in [out, stored.FOLDER] if store else [out]:
        ensure_writable(folder)
    runs: dict[str, list[Run]] = {}

    def keep(run: Run) -> None:
        runs.setdefault(run.name, []).append(run)
        if store:
            stored.store("transfer", run, transfer.ROWS)

    transfer.transfer(
        out, transfer.ROWS.values(), range(1, seeds + 1), device=device, progress=sys.stdout.isatty(), say=click.echo,
        keep=keep,
    )  # fmt: skip
    click.echo(transfer.table(runs))


@click.command("evidence")
@click.argument("name")
@click.option("--seeds", type=click.IntRange(min=1), help="Number of seeds of each row, instead of the study's.")
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Number of parallel jobs.")
@click.option("--notebook", type=PATH, metavar="FILE", help="Store the run of an executed notebook instead.")
@device_option
def evidence_command(name: str, seeds: int | None, jobs: int, notebook: Path | None, device: str) -> None:
    """Train the missing runs of the course's study NAME and store them in the package: for maintainers.

    NAME is a network of the course, for its recipe over many seeds, or a file of mnist_drill/evidence/ without .toml,
    for an ablation or a comparison of several rows. Studies of your own are trained by `study`, outside the package.
    Each run is stored as soon as it is finished, and one that is stored is not trained again: an interrupted command is
    resumed by the same command. With --notebook nothing is trained: the run that the notebook shows is stored.
    """
    from mnist_drill.course.notebooks import Notebook
    from mnist_drill.evidence import collect, stored
    from mnist_drill.evidence.studies import STUDIES
    from mnist_drill.training.devices import pick_device

    collect.check_name(name)
    pick_device(device)
    ensure_writable(stored.FOLDER)
    if notebook is not None:
        run = Notebook(notebook).run()
        if run.name != name:
            raise DrillError(f"{notebook} shows a run of {run.name}, not of {name}")
        stored.store(name, run, STUDIES[name].rows)
    else:
        collect.collect(name, seeds, device, jobs)
    click.echo(spread_table(stored.load_study(name)))


@click.command("bench")
@device_option
@click.option("--quick", is_flag=True, help="A tenth of the images, once: a smoke test; its ratios mean little.")
@click.option("--only", type=click.Choice(PARTS), multiple=True,
              help="Measure this part and keep the others that FILE has. Can be given more than once.")  # fmt: skip
@click.option("--out", "path", type=FILE_TO_WRITE, default="runs/bench.json", show_default=True, metavar="FILE",
              help="File to write the figures to.")  # fmt: skip
def bench_command(device: str, quick: bool, only: tuple[str, ...], path: Path) -> None:
    """Measure how fast the course trains and evaluates, against the pipeline that most people use.

    What is compared takes turns in one run, so that ratios hold on a machine whose speed varies. Leave the machine
    alone meanwhile: it trains each stage for several epochs, and takes long.

    \b
    The parts, in order, for --only:
      epoch      seconds per epoch: the course and the usual pipeline
      published  seconds per epoch: stage 4 and its published form
      limit      an epoch's FLOPs at the throughput of a large matrix product
      parts      where the time of an epoch goes
      goals      seconds until 99.0 % and 99.4 % test accuracy
      inference  latency per image
      memory     peak memory of training stage 4
    """
    from mnist_drill.benchmark import report
    from mnist_drill.training.devices import pick_device

    pick_device(device)
    earlier = report.load_report(path) if only and path.exists() else None
    ensure_writable(path.parent)
    figures = report.run_benchmark(device, quick, click.echo, only, earlier)
    write_atomically(path, json.dumps(figures, indent=1) + "\n")
    click.echo(f"\nwrote {path}")
