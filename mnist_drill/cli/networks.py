"""Commands that use networks: `models`, `evaluate`, `predict`, `ensemble`, `submit` and `export`."""

from __future__ import annotations

import json
import statistics
from typing import TYPE_CHECKING

import click

from mnist_drill.cli.options import (
    FILE_TO_WRITE,
    device_option,
    file_argument,
    json_option,
    network_option,
    refuse_inputs,
)
from mnist_drill.course.tables import Table, percent
from mnist_drill.storage.files import ensure_writable

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from mnist_drill.data import LabeledImages
    from mnist_drill.inputs.reading import Reading


@click.command("models")
def models_command() -> None:
    """List every network by name with its number of parameters, for one channel and ten classes."""
    from mnist_drill.models import build_without_values
    from mnist_drill.networks import parameter_count
    from mnist_drill.stages import NETWORKS
    from mnist_drill.zoo.adapted import NAMES

    for name in (*NETWORKS, *NAMES):
        click.echo(f"{name:20} {parameter_count(build_without_values(name)):>13,}")


@click.command("evaluate")
@file_argument("file")
@network_option
@device_option
def evaluate_command(file: Path, network: str | None, device: str) -> None:
    """Print the test accuracy and the confusion matrix of the checkpoint FILE, which `train` wrote."""
    from mnist_drill import data
    from mnist_drill.predictions import confusion_matrix, score
    from mnist_drill.storage import checkpoint
    from mnist_drill.train import predict
    from mnist_drill.training.devices import pick_device

    place = pick_device(device)
    model, name = checkpoint.load(file, network)
    model.to(place)
    _, test_set = data.load()
    logits = predict(model, test_set)
    reached = score(logits, test_set.labels)
    click.echo(f"{name}: test accuracy {reached.accuracy:.2f} %, test loss {reached.loss:.4f}\n")
    rows = [[label, *counts] for label, counts in enumerate(confusion_matrix(logits, test_set.labels).tolist())]
    click.echo(Table(["label \\ predicted", *range(10)], rows))


@click.command("predict")
@file_argument("file")
@file_argument("images", nargs=-1)
@network_option
@json_option
@click.option("--show", type=FILE_TO_WRITE, metavar="PNG",
              help="Write the images with a box around each digit, and what the network was given.")  # fmt: skip
@device_option
def predict_command(
    file: Path, images: tuple[Path, ...], network: str | None, as_json: bool, show: Path | None, device: str
) -> None:
    """Classify the digits in IMAGES, PNG or JPEG files or folders of them, with the checkpoint FILE.

    An image is a photograph or a drawing of digits, dark on light or light on dark, of any size. Light, noise, printed
    lines and what touches the border are removed; MNIST's preprocessing is applied to each digit, from left to right.
    What is not shaped like a digit, or has no probability of at least 0.5, is unsure.
    """
    from mnist_drill.inputs import pictures, reading
    from mnist_drill.storage import checkpoint
    from mnist_drill.training.devices import pick_device

    place = pick_device(device)
    model, _ = checkpoint.load(file, network)
    model.to(place)
    paths = pictures.find(images)
    if show is not None:
        refuse_inputs(show, [file, *paths])
    found = [(path, reading.read(model, pictures.read(path))) for path in paths]
    if as_json:
        click.echo(json.dumps([_prediction(path, readings) for path, readings in found], indent=1))
    else:
        rows = [
            [path, reading.said or "unsure", *(f"{p:.3f}" for p in reading.probabilities)]
            for path, readings in found
            for reading in readings
        ]
        if rows:
            click.echo(Table(["file", "digit", *(f"P({digit})" for digit in range(10))], rows))
        for path in (path for path, readings in found if not readings):
            click.echo(f"{path}: no digit found")
    if show is not None:
        from mnist_drill.course import reading_plots

        reading_plots.found_in(found, show)
        most = reading_plots.MOST
        part = f", the first {most} of {len(found)} images" if len(found) > most else ""
        click.echo(f"wrote {show}{part}", err=as_json)


def _prediction(path: Path, readings: list[Reading]) -> dict:
    """What JSON says of a picture; the digit is null where there is not exactly one, or it is unsure."""
    digits = [
        {"digit": x.digit if x.sure else None, "probabilities": [round(p, 6) for p in x.probabilities], "box": x.box}
        for x in readings
    ]
    alone = digits[0] if len(digits) == 1 else {"digit": None, "probabilities": None}
    return {"file": str(path), "digit": alone["digit"], "probabilities": alone["probabilities"], "digits": digits}


@click.command("ensemble")
@file_argument("files", nargs=-1)
@json_option
@device_option
def ensemble_command(files: tuple[Path, ...], as_json: bool, device: str) -> None:
    """Evaluate the checkpoints FILES, each alone and all as a majority-vote ensemble.

    Ties are broken by the highest mean probability. The latency of the ensemble is the sum of its members'.
    """
    from mnist_drill import data
    from mnist_drill.networks import parameter_count
    from mnist_drill.predictions import accuracy
    from mnist_drill.storage import checkpoint
    from mnist_drill.train import predict
    from mnist_drill.training.devices import pick_device
    from mnist_drill.zoo.comparison import BATCH, latencies
    from mnist_drill.zoo.ensemble import majority_vote

    place = pick_device(device)
    loaded = {str(file): checkpoint.load(file) for file in files}
    models = {file: model.to(place) for file, (model, _) in loaded.items()}
    _, test_set = data.load()
    logits = [predict(model, test_set) for model in models.values()]
    times = latencies(models, test_set[:BATCH].images, place)
    entries = [
        {"file": file, "network": name, "parameters": parameter_count(models[file]),
         "accuracy": accuracy(scores.argmax(dim=1), test_set.labels), "milliseconds": statistics.median(times[file])}
        for (file, (_, name)), scores in zip(loaded.items(), logits, strict=True)
    ]  # fmt: skip
    parameters, milliseconds = (sum(entry[key] for entry in entries) for key in ("parameters", "milliseconds"))
    entries.append(
        {"file": "majority-vote ensemble", "network": f"{len(entries)} networks", "parameters": parameters,
         "accuracy": accuracy(majority_vote(logits), test_set.labels), "milliseconds": milliseconds}
    )  # fmt: skip
    if as_json:
        click.echo(json.dumps(entries, indent=1))
        return
    rows = [
        [x["file"], x["network"], f"{x['parameters']:,}", percent(x["accuracy"]), f"{x['milliseconds']:.1f}"]
        for x in entries
    ]
    click.echo(Table(["file", "network", "parameters", "test accuracy", f"latency, ms per batch of {BATCH}"], rows))


@click.command("submit")
@file_argument("table")
@file_argument("files", nargs=-1)
@click.option("--out", type=FILE_TO_WRITE, default="submission.csv", show_default=True, metavar="FILE",
              help="File to write.")  # fmt: skip
@device_option
def submit_command(table: Path, files: tuple[Path, ...], out: Path, device: str) -> None:
    """Classify the images of TABLE, Kaggle's test.csv, with the checkpoints FILES; write the labels as an entry.

    Several checkpoints are a majority-vote ensemble.
    """
    from mnist_drill.inputs import competition
    from mnist_drill.storage import checkpoint
    from mnist_drill.train import predict
    from mnist_drill.training.devices import pick_device
    from mnist_drill.zoo.ensemble import majority_vote

    place = pick_device(device)
    refuse_inputs(out, [table, *files])
    images = _unlabeled(competition.read_test(table))
    models = [checkpoint.load(file)[0].to(place) for file in files]
    ensure_writable(out.parent)
    competition.write_entry(out, majority_vote([predict(model, images) for model in models]))
    click.echo(f"wrote {out}: {len(images):,} labels")


@click.command("export")
@file_argument("file")
@click.argument("path", type=FILE_TO_WRITE, metavar="OUT")
@network_option
def export_command(file: Path, path: Path, network: str | None) -> None:
    """Write the checkpoint FILE as OUT, in the format that its name ends in.

    .safetensors is the safetensors format and .onnx is ONNX, for other programs to run; all else is torch's.
    """
    from mnist_drill.storage import checkpoint

    model, name, changes = checkpoint.read(file, network)
    if path.suffix.lower() == ".onnx":
        from mnist_drill.storage.exchange import write_onnx

        write_onnx(path, model, name)
    else:
        checkpoint.save(path, model, name, changes)
    click.echo(f"wrote {path}")


def _unlabeled(images: Tensor) -> LabeledImages:
    """Images to be classified, each with the label 0 in place of one that nobody knows."""
    import torch

    from mnist_drill.data import LabeledImages

    return LabeledImages(images, torch.zeros(len(images), dtype=torch.int64))
