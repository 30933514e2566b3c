"""The command `python -m mnist_drill`."""

import io
import json
import sys
from pathlib import Path

import click
import torch

from mnist_drill import bench, data, evidence, pages
from mnist_drill.errors import DrillError
from mnist_drill.files import ensure_writable, write_atomically
from mnist_drill.models import NETWORKS, build, check_name
from mnist_drill.report import Table, spread_table
from mnist_drill.train import DEVICES, RECIPES, confusion_matrix, evaluate, fit, pick_device
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


@cli.command("train", short_help="Train a network and write its weights and its run.")
@click.argument("name")
@click.option("--epochs", type=click.IntRange(min=1), help="Train so many epochs instead of the recipe's.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Decides everything random.")
@device_option
@click.option("--out", type=click.Path(path_type=Path), default="runs", show_default=True, help="Folder to write to.")
def train_command(name: str, epochs: int | None, seed: int, device: str, out: Path) -> None:
    """Train the network NAME (stage1 to stage4, or sprint) with its recipe on all 60,000 digits.

    The test set is reported after each epoch and never used for a choice. Writes OUT/NAME.pt, the weights as a state
    dict, and OUT/NAME.json, the run: recipe, seed, environment and a row per epoch. With the same seed, CPU and number
    of threads a run is the same, bit for bit.
    """
    check_name(name)
    pick_device(device)
    ensure_writable(out)
    recipe = RECIPES[name] if epochs is None else RECIPES[name].with_epochs(epochs)
    model = build(name, seed)
    run = fit(model, recipe, *data.load(), name=name, seed=seed, device=device, progress=sys.stdout.isatty())
    weights = io.BytesIO()
    torch.save({key: value.cpu() for key, value in model.state_dict().items()}, weights)
    write_atomically(out / f"{name}.pt", weights.getvalue())
    run.save(out / f"{name}.json")
    click.echo(f"wrote {out / name}.pt and {out / name}.json")


@cli.command("evaluate", short_help="Test written weights: accuracy and confusion matrix.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--network", help="The network's name, where the file is not called NAME.pt.")
@device_option
def evaluate_command(file: Path, network: str | None, device: str) -> None:
    """Print the test accuracy and the confusion matrix of the weights in FILE, which `train` wrote."""
    name = network or file.stem
    if network:
        check_name(network)
    elif name not in NETWORKS:
        raise DrillError(f"{file} is not named after a network: name one with --network {'|'.join(NETWORKS)}")
    model = build(name)
    load_weights(model, name, file)
    model.to(pick_device(device))
    _, test = data.load()
    score = evaluate(model, test)
    click.echo(f"{name}: test accuracy {score.accuracy:.2f} %, test loss {score.loss:.4f}\n")
    click.echo(Table(["label \\ predicted", *range(10)], _numbered(confusion_matrix(model, test).tolist())))


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


def load_weights(model: torch.nn.Module, name: str, file: Path) -> None:
    """Loads a state dict into `model`. Raises `DrillError` if the file is missing, damaged or another network's."""
    try:
        weights = torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise DrillError(f"cannot read {file}: {error.strerror}") from None
    except Exception:  # whatever a damaged archive makes the unpickler raise
        raise DrillError(f"{file} is not a state dict; `train` writes one") from None
    wanted = {key: value.shape for key, value in model.state_dict().items()}
    found = {key: getattr(value, "shape", None) for key, value in weights.items()} if isinstance(weights, dict) else {}
    if found != wanted:
        raise DrillError(f"{file} holds a checkpoint of another network than {name}: name it with --network")
    model.load_state_dict(weights)


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
    except click.Abort:
        click.echo("Interrupted.", err=True)
        sys.exit(130)


if __name__ == "__main__":
    main()
