"""The command `python -m mnist_drill`."""

import json
import statistics
import sys
from contextlib import suppress
from dataclasses import asdict, replace
from difflib import get_close_matches
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import torch
from torch import Tensor

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from mnist_drill import (
    adapted,
    bench,
    checkpoint,
    compare,
    competition,
    data,
    evidence,
    pages,
    pictures,
    tracking,
)
from mnist_drill.data import Digits
from mnist_drill.ensemble import accuracy, vote
from mnist_drill.errors import DrillError, Interrupted
from mnist_drill.files import ensure_writable, write_atomically
from mnist_drill.models import NETWORKS, build, check_name, parameter_count
from mnist_drill.report import Table, percent, spread_table
from mnist_drill.train import (
    DEVICES,
    OPTIMIZERS,
    Epoch,
    Run,
    confusion_matrix,
    evaluate,
    fit,
    pick_device,
    predict,
    print_epoch,
    recipe_for,
)
from mnist_drill.workbook import write_workbook

device_option = click.option(
    "--device", type=click.Choice(DEVICES), default="auto", show_default=True, help="auto is a GPU if there is one."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Train and judge the networks of the MNIST Drill: stage1 to stage4, and sprint.

    \b
    For a first look, one epoch of the final network:
        python -m mnist_drill train stage4 --epochs 1
        python -m mnist_drill evaluate runs/stage4.pt
    """


def read_config(context: click.Context, option: click.Option, path: Path | None) -> None:
    """Takes the defaults of a command's options from a TOML file with their names."""
    if path is None:
        return
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DrillError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None
    options = {x.name: x for x in context.command.params if isinstance(x, click.Option) and x.name != option.name}
    defaults = {}
    for key, value in values.items():
        name = key.replace("-", "_")
        if name not in options:
            close = get_close_matches(name, options, 1)
            known = f"did you mean {close[0]}?" if close else f"it may have {', '.join(options)}"
            raise DrillError(f"{path}: unknown key {key!r}: {known}")
        try:
            # As it would be typed: click takes numbers and truth values for each other, and cuts 2.5 to 2.
            defaults[name] = options[name].type_cast_value(context, str(value))
        except click.BadParameter as error:
            raise DrillError(f"{path}: {key} = {value!r}: {error.message}") from None
    context.default_map = defaults


@cli.command("train", short_help="Train a network and write its weights and its run.")
@click.argument("name")
@click.option("--config", type=click.Path(path_type=Path), is_eager=True, expose_value=False, callback=read_config,
              metavar="FILE", help="TOML file with these options by name; the command line wins.")  # fmt: skip
@click.option("--epochs", type=click.IntRange(min=1), help="Train so many epochs instead of the recipe's.")
@click.option("--batch-size", type=click.IntRange(min=2), help="Digits in a batch, instead of the recipe's.")
@click.option("--learning-rate", type=click.FloatRange(min=0, min_open=True), help="Its peak, instead of the recipe's.")
@click.option("--optimizer", type=click.Choice(OPTIMIZERS), help="Instead of the recipe's.")
@click.option(
    "--resize", type=click.IntRange(min=28), help="Enlarge digits to so many pixels (torchvision's networks)."
)
@click.option("--pretrained", is_flag=True, help="Begin with torchvision's weights for ImageNet.")
@click.option("--freeze", is_flag=True, help="Train the last layer only.")
@click.option("--table", type=click.Path(path_type=Path), metavar="FILE",
              help="Train on a train.csv of the competition, of which a sixth is kept to test on.")  # fmt: skip
@click.option("--resume", is_flag=True, help="Take up the training that was broken off in OUT, where there is one.")
@click.option("--track", type=click.Choice(tracking.TRACKERS), help="Tell MLflow or TensorBoard of the run.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Decides everything random.")
@device_option
@click.option("--out", type=click.Path(path_type=Path), default="runs", show_default=True, help="Folder to write to.")
def train_command(
    name: str,
    resize: int | None,
    pretrained: bool,
    freeze: bool,
    table: Path | None,
    resume: bool,
    track: str | None,
    seed: int,
    device: str,
    out: Path,
    **changed_recipe: int | float | str | None,
) -> None:
    """Train the network NAME with its recipe on all 60,000 digits.

    NAME is stage1 to stage4, sprint, or one of torchvision's networks, which `models` lists. The test set is reported
    after each epoch and never used for a choice. Writes OUT/NAME.pt, the network with its weights, and OUT/NAME.json,
    the run: recipe, seed, environment and a row per epoch. With the same seed, CPU and number of threads a run is the
    same, bit for bit.
    """
    check_name(name)
    pick_device(device)
    given = {"side": resize, "pretrained": pretrained, "freeze": freeze}
    changes = {key: value for key, value in given.items() if value}
    if changes and name in NETWORKS:
        raise DrillError(f"--resize, --pretrained and --freeze are for torchvision's networks, and {name} is not one")
    try:
        recipe = replace(recipe_for(name), **{key: value for key, value in changed_recipe.items() if value is not None})
    except ValueError as error:
        raise DrillError(str(error)) from None
    files = [out / f"{name}.pt", out / f"{name}.json"]
    state = out / f"{name}.state"
    if state.exists() and not resume:
        raise DrillError(f"{state} is of a training that was broken off: add --resume to go on, or remove the file")
    if resume and not state.exists() and all(map(Path.exists, files)):
        run = Run.load(files[1])
        if (run.recipe, run.seed, run.changes) == (recipe, seed, changes):
            click.echo(f"{files[0]} and {files[1]} are finished")
            return
    tracker = tracking.tracker(track, name, out)
    parts = None if table is None else data.split(competition.read_train(table))
    ensure_writable(out)
    train, test = parts or data.load()
    model = build(name, seed, **changes)

    # A state of the same network with other options is another training.
    label = " ".join([name, *(f"{key}={value}" for key, value in changes.items()), str(table or "")]).strip()

    def on_epoch(row: Epoch) -> None:
        print_epoch(row)
        tracker.epoch(row)

    with tracker:
        tracker.start(
            {"network": name, "seed": seed, "parameters": parameter_count(model), **asdict(recipe), **changes}
        )
        run = None
        with suppress(KeyboardInterrupt):
            run = fit(
                model, recipe, train, test, name=label, seed=seed, device=device, progress=sys.stdout.isatty(),
                on_epoch=on_epoch, state=state,
            )  # fmt: skip
        if run is None or run.interrupted:
            kept = f"{state} has the finished epochs; the same command with --resume goes on"
            raise Interrupted(kept if state.exists() else "no epoch was finished that could be kept")
        run = replace(run, name=name, changes=changes, tested_on="test" if table is None else "validation")
        checkpoint.save(files[0], model, name, changes)
        run.save(files[1])
        state.unlink(missing_ok=True)
        click.echo(f"wrote {files[0]} and {files[1]}")
        if run.stopped:
            raise DrillError(run.stopped)
        if track is not None:
            from mnist_drill import plots  # here, because matplotlib would lengthen the start of every command

            with TemporaryDirectory() as folder:
                pictures_of_run = [Path(folder) / "curves.png", Path(folder) / "confusion.png"]
                lowest = min(97.0, *(row.test_accuracy for row in run.epochs))
                plots.curves(run, lowest=lowest, path=pictures_of_run[0])
                plots.confusion(model, test, path=pictures_of_run[1])
                tracker.finish(files, pictures_of_run)


@cli.command("models", short_help="List the networks and their parameters.")
def models_command() -> None:
    """List every network by name, with its parameters for one channel and ten classes."""
    for name in NETWORKS:
        click.echo(f"{name:20} {parameter_count(build(name)):>13,}")
    for name in adapted.NAMES:
        click.echo(f"{name:20} {adapted.parameters_of(name):>13,}")


network_option = click.option("--network", help="The network's name, where the file holds weights alone.")


@cli.command("evaluate", short_help="Test a checkpoint: accuracy and confusion matrix.")
@click.argument("file", type=click.Path(path_type=Path))
@network_option
@device_option
def evaluate_command(file: Path, network: str | None, device: str) -> None:
    """Print the test accuracy and the confusion matrix of the checkpoint FILE, which `train` wrote."""
    model, name = checkpoint.load(file, network)
    model.to(pick_device(device))
    _, test = data.load()
    score = evaluate(model, test)
    click.echo(f"{name}: test accuracy {score.accuracy:.2f} %, test loss {score.loss:.4f}\n")
    click.echo(Table(["label \\ predicted", *range(10)], _numbered(confusion_matrix(model, test).tolist())))


@cli.command("export", short_help="Write a checkpoint in another format, to share it.")
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("path", type=click.Path(path_type=Path), metavar="OUT")
@network_option
def export_command(file: Path, path: Path, network: str | None) -> None:
    """Write the checkpoint FILE as OUT: in the safetensors format if that ends in .safetensors, in torch's if not."""
    model, name, changes = checkpoint.read(file, network)
    checkpoint.save(path, model, name, changes)
    click.echo(f"wrote {path}")


@cli.command("predict", short_help="Read digits in pictures.")
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("images", type=click.Path(path_type=Path), nargs=-1, required=True)
@network_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--show", type=click.Path(path_type=Path), metavar="PNG", help="Write a picture of what the network saw.")
@device_option
def predict_command(
    file: Path, images: tuple[Path, ...], network: str | None, as_json: bool, show: Path | None, device: str
) -> None:
    """Read the digits in IMAGES, PNG or JPEG files or folders of them, with the checkpoint FILE.

    A picture shows one digit, dark on light or light on dark, of any size. It is brought to MNIST's form first: scaled
    into a box of 20×20 pixels and centred by mass in 28×28.
    """
    model, _ = checkpoint.load(file, network)
    model.to(pick_device(device))
    paths = pictures.find(images)
    digits = torch.stack([pictures.read(path) for path in paths])
    probabilities = predict(model, _unlabelled(digits)).softmax(dim=1)
    read = [
        {"file": str(path), "digit": int(row.argmax()), "probabilities": [round(p, 6) for p in row.tolist()]}
        for path, row in zip(paths, probabilities, strict=True)
    ]
    if as_json:
        click.echo(json.dumps(read, indent=1))
    else:
        rows = [[x["file"], x["digit"], *(f"{p:.3f}" for p in x["probabilities"])] for x in read]
        click.echo(Table(["file", "digit", *(f"P({digit})" for digit in range(10))], rows))
    if show is not None:
        from mnist_drill import plots

        titles = [f"{path.name}: {x['digit']}" for path, x in zip(paths, read, strict=True)]
        plots.digit_grid(digits, titles, columns=min(10, len(digits)), path=show)
        click.echo(f"wrote {show}", err=as_json)


@cli.command("ensemble", short_help="Test checkpoints that vote.")
@click.argument("files", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@device_option
def ensemble_command(files: tuple[Path, ...], as_json: bool, device: str) -> None:
    """Test the checkpoints FILES, each alone and all in a vote.

    The majority decides, and of equals the highest mean probability. A vote takes the time of all its members.
    """
    place = pick_device(device)
    loaded = {str(file): checkpoint.load(file) for file in files}
    models = {file: model.to(place) for file, (model, _) in loaded.items()}
    _, test = data.load()
    logits = [predict(model, test) for model in models.values()]
    times = compare.reading_times(models, test[: compare.BATCH].images, place)
    entries = [
        {"file": file, "network": name, "parameters": parameter_count(models[file]),
         "accuracy": accuracy(scores.argmax(dim=1), test), "milliseconds": statistics.median(times[file])}
        for (file, (_, name)), scores in zip(loaded.items(), logits, strict=True)
    ]  # fmt: skip
    total = [sum(entry[key] for entry in entries) for key in ("parameters", "milliseconds")]
    entries.append(
        {"file": "vote", "network": f"{len(entries)} networks", "parameters": total[0],
         "accuracy": accuracy(vote(logits), test), "milliseconds": total[1]}
    )  # fmt: skip
    if as_json:
        click.echo(json.dumps(entries, indent=1))
        return
    rows = [
        [x["file"], x["network"], f"{x['parameters']:,}", percent(x["accuracy"]), f"{x['milliseconds']:.1f}"]
        for x in entries
    ]
    click.echo(Table(["file", "network", "parameters", "test accuracy", f"ms a batch of {compare.BATCH}"], rows))


@cli.command("submit", short_help="Write an entry to the digit-recognizer competition.")
@click.argument("table", type=click.Path(path_type=Path))
@click.argument("files", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--out", type=click.Path(path_type=Path), default="submission.csv", show_default=True, metavar="FILE",
              help="File to write.")  # fmt: skip
@device_option
def submit_command(table: Path, files: tuple[Path, ...], out: Path, device: str) -> None:
    """Read the images of TABLE, a test.csv, with the checkpoints FILES and write the labels as an entry.

    Of several checkpoints each has a vote.
    """
    ensure_writable(out.parent)
    digits = _unlabelled(competition.read_test(table))
    models = [checkpoint.load(file)[0].to(pick_device(device)) for file in files]
    competition.write_entry(out, vote([predict(model, digits) for model in models]))
    click.echo(f"wrote {out}: {len(digits):,} labels")


@cli.command("compare", short_help="Train networks and tabulate how they read and what they cost.")
@click.argument("names", nargs=-1)
@click.option("--epochs", type=click.IntRange(min=1), help="Train each so many epochs instead of its recipe's.")
@click.option("--vote", "voters", multiple=True, metavar="NAME",
              help="Add an entry in which this one of NAMES votes. Can be given more than once.")  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Decides everything random.")
@click.option(
    "--store", is_flag=True, help="Keep the figures in the package, too: the README and the appendix show them."
)
@device_option
@click.option("--out", type=click.Path(path_type=Path), default="runs/comparison", show_default=True,
              help="Folder to write to.")  # fmt: skip
def compare_command(
    names: tuple[str, ...],
    epochs: int | None,
    voters: tuple[str, ...],
    seed: int,
    store: bool,
    device: str,
    out: Path,
) -> None:
    """Train the networks NAMES and the course's own, and compare accuracy, size, time and operations.

    Without NAMES these are eleven networks of torchvision, of which six vote. Each trains on 50,000 digits by its own
    recipe and is read on the 10,000 of the validation split and on the test set. Writes OUT/comparison.md, .json and
    .png, and each network's weights and run; a network that is there already is not trained again.
    """
    if not names:
        names, voters = compare.ELEVEN, voters or compare.SIX
    names = tuple(dict.fromkeys([*NETWORKS, *names]))
    for name in names:
        check_name(name)
    for name in voters:
        if name not in names:
            raise DrillError(f"--vote {name}: it is not among the networks to compare, {', '.join(names)}")
    pick_device(device)
    ensure_writable(out)
    from mnist_drill import plots

    comparison = compare.compare(
        names, voters, folder=out, epochs=epochs, seed=seed, device=device, progress=sys.stdout.isatty(), say=click.echo
    )
    table = compare.table(comparison)
    for folder in [out, evidence.FOLDER] if store else [out]:
        comparison.save(folder / "comparison.json")
    write_atomically(out / "comparison.md", table.markdown() + "\n")
    plots.accuracy_against_parameters(comparison.entries, path=out / "comparison.png")
    click.echo(f"{table}\nwrote {out / 'comparison'}.md, .json and .png")


@cli.command("evidence", short_help="Train what a study over seeds still lacks.")
@click.argument("name")
@click.option("--seeds", type=click.IntRange(min=1), help="Train so many seeds of each instead of the study's number.")
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Train so many side by side.")
@click.option("--notebook", type=click.Path(path_type=Path), help="Take the run of an executed notebook instead.")
@device_option
def evidence_command(name: str, seeds: int | None, jobs: int, notebook: Path | None, device: str) -> None:
    """Train what the study NAME lacks and store the runs in the package.

    A study is a network over seeds (stage1 to stage4, sprint) or a choice among alternatives (candidates,
    regularization, augmentation, schedules). Each run is stored as soon as it is finished, and one that is stored is
    not trained again: an interrupted command is taken up by the same command. With --notebook nothing is trained: the
    run that the notebook shows is stored.
    """
    evidence.check_name(name)
    pick_device(device)
    ensure_writable(evidence.FOLDER)
    if notebook is not None:
        run = pages.Notebook(notebook).run()
        if run.name != name:
            raise DrillError(f"{notebook} shows a run of {run.name}, not of {name}")
        evidence.store(name, run)
    else:
        evidence.collect(name, seeds, device, jobs)
    click.echo(spread_table(evidence.load_study(name)))


@cli.command("render", short_help="Render the README's tables and the notebooks' times.")
def render_command() -> None:
    """Render the README's tables and the notebooks' times from the notebooks' runs and the evidence."""
    pages.render()


@cli.command("bench", short_help="Measure speed against the usual pipeline.")
@device_option
@click.option("--quick", is_flag=True, help="A tenth of the digits, once: to see that it works, not to conclude from.")
@click.option("--only", type=click.Choice(bench.PARTS), multiple=True,
              help="Measure this part and keep the others that FILE has. Can be given more than once.")  # fmt: skip
@click.option("--out", "path", type=click.Path(path_type=Path), default="runs/bench.json", show_default=True,
              metavar="FILE", help="File to write the figures to.")  # fmt: skip
def bench_command(device: str, quick: bool, only: tuple[str, ...], path: Path) -> None:
    """Measure how fast the course trains and reads, against the pipeline that most people use.

    Contenders take turns in one run, so that their ratios hold on a machine whose speed varies. Leave the machine alone
    meanwhile: on two cores it takes about half an hour.
    """
    pick_device(device)
    ensure_writable(path.parent)
    earlier = bench.load_report(path) if only and path.exists() else None
    report = bench.run_benchmark(device, quick, click.echo, only, earlier)
    write_atomically(path, json.dumps(report, indent=1) + "\n")
    click.echo(f"\nwrote {path}")


@cli.command("workbook", short_help="Write the workbook of receptive fields.")
@click.option("--out", "path", type=click.Path(path_type=Path), default="RF_calculations.xlsx", show_default=True,
              metavar="FILE", help="File to write.")  # fmt: skip
def workbook_command(path: Path) -> None:
    """Write the receptive fields of all networks, layer by layer, as a workbook that calculates."""
    write_workbook(path)
    click.echo(f"wrote {path}")


@cli.command("badges", short_help="Put Open in Colab badges into README and notebooks.")
@click.argument("repository", metavar="OWNER/REPO")
def badges_command(repository: str) -> None:
    """Put "Open in Colab" badges for the GitHub repository OWNER/REPO into the README and the notebooks.

    The notebooks also learn from it which repository to bring into Colab. Run it again to change the address.
    """
    pages.put_badges(repository)


def _unlabelled(images: Tensor) -> Digits:
    """Digits to be read, each with the label 0 in place of one that nobody knows."""
    return Digits(images, torch.zeros(len(images), dtype=torch.int64))


def _numbered(rows: list[list[int]]) -> list[list[int]]:
    return [[number, *row] for number, row in enumerate(rows)]


def main() -> None:
    """Runs the command; an error that the user can mend is one line and exit status 2."""
    try:
        cli(prog_name="python -m mnist_drill", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as help_text:
        click.echo(help_text.format_message())
        sys.exit(2)
    except (DrillError, click.ClickException) as error:
        message = error.format_message() if isinstance(error, click.ClickException) else str(error)
        click.echo(f"Error: {' '.join(message.split())}", err=True)
        sys.exit(2)
    except torch.OutOfMemoryError:
        click.echo("Error: the GPU's memory is full: choose a smaller --batch-size, or --device cpu", err=True)
        sys.exit(2)
    except Interrupted as error:
        click.echo(f"Interrupted: {error}", err=True)
        sys.exit(130)
    except click.Abort:
        click.echo("Interrupted.", err=True)
        sys.exit(130)


if __name__ == "__main__":
    main()
