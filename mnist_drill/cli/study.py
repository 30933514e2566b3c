"""The command `study`: trains a study from a file, reports what is in its folder, and measures throughput."""

from __future__ import annotations

import json
from pathlib import Path

import click

from mnist_drill.cli.options import PATH, device_option
from mnist_drill.storage.files import write_atomically


class StudyGroup(click.Group):
    """A group in which `study FILE` is short for `study run FILE`."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, *context.help_option_names):
            args = ["run", *args]
        return super().parse_args(context, args)


@click.group("study", cls=StudyGroup)
def study_command() -> None:
    """Train a study of your own, and compare its rows.

    `study FILE` is short for `study run FILE`. A study is a file of networks, changes to their recipes, and random
    seeds; docs/studies.md describes it.
    """


@study_command.command("run", short_help="Train the missing runs of a study.")
@click.argument("file", type=PATH)
@click.option("--seeds", type=click.IntRange(min=1), help="Train seeds 1 to this number, instead of the file's.")
@click.option("--out", type=PATH, help="Folder to write to.  [default: runs/ and the file's name]")
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Number of parallel jobs.")
@click.option("--ray", is_flag=False, flag_value="auto", metavar="[ADDRESS]", help="Train on a Ray cluster: this "
              "machine's, the one at HOST:PORT, or with local one that lives as long as the command.")  # fmt: skip
@click.option("--threads", type=click.IntRange(min=1), metavar="N",
              help="CPU threads of each run.  [default: the machine's, shared by the jobs; with --ray 1]")  # fmt: skip
@click.option("--gpu-share", type=click.FloatRange(min=0, max=1, min_open=True), default=1.0, show_default=True,
              help="Share of a GPU for each run, with --ray.")  # fmt: skip
@click.option("--population", type=click.IntRange(min=1), default=1, show_default=True,
              help="Number of seeds of a row to train at once, as one network.")  # fmt: skip
@click.option("--search", type=click.Choice(["optuna"]), help="Let Optuna draw the rows of the file's random search.")
@device_option
def run_command(
    file: Path, seeds: int | None, out: Path | None, jobs: int, ray: str | None, threads: int | None,
    gpu_share: float, population: int, search: str | None, device: str,
) -> None:  # fmt: skip
    """Train the runs of the study in FILE that are missing in the folder.

    Each run is stored as soon as it is finished, as a file of its own in OUT/runs, and none is trained twice: an
    interrupted command is resumed by the same command, and more seeds or rows train only these. A run that diverges is
    a result and is stored, too.
    """
    if ray and jobs > 1:
        raise click.UsageError("--jobs trains on this machine and --ray on a cluster: choose one")
    if search and population > 1:
        raise click.UsageError("--search decides seed by seed, and --population trains seeds at once: choose one")

    from mnist_drill import data
    from mnist_drill.study.execution import execute, executor_for
    from mnist_drill.study.file import read_study, reader
    from mnist_drill.study.folder import Folder
    from mnist_drill.study.plan import identities, sets_of
    from mnist_drill.study.work import Listed
    from mnist_drill.training.devices import pick_device

    if ray:
        from functools import partial

        from mnist_drill.study.cluster import on_ray

        executor = partial(on_ray, device=device, address=ray, threads=threads or 1, gpu_share=gpu_share)
    else:
        pick_device(device)
        executor = executor_for(device, jobs, threads)
    out = out or Path("runs") / file.stem
    folder = Folder(out)
    if search:
        from mnist_drill.study.sampler import Sampled

        sampled = Sampled(reader(file, seeds), folder, data.checksum(*sets_of("validation")))
        new = execute(sampled, executor, sampled.store, file.stem)
        click.echo(f"{sampled.result}; {new:,} new runs are in {out}")
    else:
        study = read_study(file, seeds)
        missing = folder.begin(study, identities(study, data.checksum(*sets_of(study.evaluated_on))))
        new = execute(Listed(missing, population), executor, folder.store, file.stem)
        click.echo(f"{len(study.rows) * len(study.seeds):,} runs are in {out}, {new:,} of them new")


@study_command.command("throughput", short_help="Measure how many runs a minute this machine trains.")
@click.argument("file", type=PATH)
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True, help="Number of turns of each.")
@click.option("--threads", type=click.IntRange(min=2), default=2, show_default=True, help="CPU threads in all.")
@click.option("--out", type=PATH, help="File to write the measurement to, as JSON.")
def throughput_command(file: Path, rounds: int, threads: int, out: Path | None) -> None:
    """Measure how many runs of the study in FILE this machine trains in a minute.

    One job of all threads, a job for each thread and, where it is installed, Ray take turns. No run is stored. Starting
    workers counts, so that the study should take minutes; nothing else should run on the machine.
    """
    from importlib.util import find_spec

    from mnist_drill.storage.files import ensure_writable
    from mnist_drill.study import throughput
    from mnist_drill.study.file import read_study

    if out:
        ensure_writable(out.parent)
    study = read_study(file)
    rates = throughput.measure(study, rounds, threads, ray=find_spec("ray") is not None)
    if out:
        throughput.save(out, study, rates)
    click.echo(throughput.table(rates))


@study_command.command("report")
@click.argument("folder", type=PATH)
@click.option("--difference", type=click.FloatRange(min=0, min_open=True), default=0.1, show_default=True,
              help="Size of a difference of accuracies, in points, to say for how many seeds it needs.")  # fmt: skip
@click.option("--loss-difference", type=click.FloatRange(min=0, min_open=True), default=0.001, show_default=True,
              help="The same of losses, in nats.")  # fmt: skip
def report_command(folder: Path, difference: float, loss_difference: float) -> None:
    """Compare the rows of the study in FOLDER with its baseline.

    Writes FOLDER/report.md, .csv and .json, and two figures, runs.png and differences.png.
    """
    from mnist_drill.study import pictures, report
    from mnist_drill.study.folder import Folder

    sizes = {"accuracy": difference, "loss": loss_difference}
    asked = Folder(folder).asked()
    entries = report.entries_of(asked, Folder(folder).load(asked), sizes)
    tables = report.tables(asked, entries, sizes)
    method = report.method(asked, entries)
    figures = report.figures(entries)
    drawn = pictures.shown(asked, entries)
    names = ["report.md", "report.csv", "report.json"]
    write_atomically(folder / "report.csv", report.as_csv(figures))
    write_atomically(folder / "report.json", json.dumps({"baseline": asked.baseline, "rows": figures}, indent=1) + "\n")
    text = [table.markdown() for table in tables.values()]
    if drawn:
        pictures.runs(asked, drawn, folder / "runs.png")
        names.append("runs.png")
        text.append("![Each run's accuracy and loss, a row for each row of the study](runs.png)")
    if any(entry.compared for entry in drawn):
        pictures.differences(asked, drawn, folder / "differences.png")
        names.append("differences.png")
        text.append("![Each row's difference from the baseline with its 95 % interval](differences.png)")
    write_atomically(folder / "report.md", "\n\n".join([*text, method]) + "\n")
    click.echo("\n\n".join([*map(str, tables.values()), method]))
    click.echo(f"wrote {', '.join(str(folder / name) for name in names)}")
