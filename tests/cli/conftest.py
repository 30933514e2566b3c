import sys

import pytest

from mnist_drill import cli, data
from mnist_drill.inputs import competition


@pytest.fixture
def drill(few, monkeypatch, capsys):
    """Runs the command on 500 images and returns its exit status, output and errors."""
    monkeypatch.setattr(data, "load", lambda: few)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["mnist-drill", *map(str, arguments)])
        try:
            cli.main()
            status = 0
        except SystemExit as stop:
            status = stop.code
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def table_of(tmp_path):
    """Writes images, and their labels if they are given, as a table of the digit-recognizer competition."""

    def write(name, images, labels=None):
        rows = (images.flatten(1) * 255).round().int().tolist()
        header = competition.PIXELS
        if labels is not None:
            header = ["label", *header]
            rows = [[label, *row] for label, row in zip(labels.tolist(), rows, strict=True)]
        path = tmp_path / name
        path.write_text("\n".join([",".join(header), *(",".join(map(str, row)) for row in rows)]))
        return path

    return write
