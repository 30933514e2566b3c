import gzip

import numpy as np
import pytest
import torch

from mnist_drill.errors import DrillError
from mnist_drill.inputs import competition

HEADER = ",".join(["label", *competition.PIXELS])


@pytest.fixture
def table(few, tmp_path):
    """A train.csv of the first twenty images; `change` is given its lines."""

    def write(change=lambda lines: lines, end="\n", start=b"", pack=bytes):
        dataset = few[0][:20]
        pixels = (dataset.images.flatten(1) * 255).round().int()
        rows = torch.cat([dataset.labels[:, None], pixels], dim=1).tolist()
        lines = change([HEADER, *(",".join(map(str, row)) for row in rows)])
        path = tmp_path / "train.csv"
        path.write_bytes(pack(start + end.join(lines).encode() + end.encode()))
        return path

    return write


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"end": "\r\n"},
        {"start": b"\xef\xbb\xbf"},
        {"pack": gzip.compress},
        {"change": lambda lines: [*lines, "", ""]},
        {"change": lambda lines: [lines[0].replace("pixel0,", '"pixel0",'), *lines[1:]]},
    ],
    ids=["plain", "CRLF", "byte-order mark", "gzip", "blank lines", "quoted header"],
)
def test_a_table_holds_images_and_labels(table, few, form):
    dataset = competition.read_train(table(**form))
    assert torch.equal(dataset.labels, few[0].labels[:20])
    assert torch.allclose(dataset.images, few[0].images[:20], atol=1e-6)


def edited(row, column, value):
    def change(lines):
        cells = lines[row].split(",")
        cells[column] = value
        return [*lines[:row], ",".join(cells), *lines[row + 1 :]]

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: [line.partition(",")[2] for line in lines], "row 1: column label is missing"),
        (lambda lines: [line.rpartition(",")[0] for line in lines], "row 1: column pixel783 is missing"),
        (lambda lines: [lines[0].replace("label", "digit"), *lines[1:]], "row 1: column label is missing"),
        (lambda lines: [lines[0] + ",more", *lines[1:]], "row 1: the columns are others"),
        (edited(3, 400, "ink"), "row 4: pixel399 is 'ink'"),
        (edited(3, 400, "256"), "row 4: pixel399 is '256'"),
        (edited(3, 400, "-1"), "row 4: pixel399 is '-1'"),
        (edited(3, 400, "1.5"), "row 4: pixel399 is '1.5'"),
        (edited(3, 400, ""), "row 4: pixel399 is ''"),
        (edited(3, 400, "9" * 40), "row 4: pixel399 is '999"),
        (edited(3, 0, "#3"), "row 4: label is '#3'"),
        (edited(3, 784, "0 # dark"), "row 4: pixel783 is '0 # dark'"),
        (edited(3, 0, "10"), "row 4: label 10"),
        (lambda lines: edited(4, 0, "10")([lines[0], "", *lines[1:]]), "row 5: label 10"),
        (lambda lines: edited(4, 9, "ink")([lines[0], "", *lines[1:]]), "row 5: pixel8 is 'ink'"),
        (lambda lines: [*lines[:5], lines[5].rpartition(",")[0], *lines[6:]], "row 6: 784 values where 785 belong"),
        (lambda lines: [lines[0], *(line.rpartition(",")[0] for line in lines[1:])], "row 2: 784 values"),
        (lambda lines: lines[:1], "no row below its header"),
        (lambda lines: lines[:4], "3 rows, too few"),
        (lambda lines: [], "is empty|row 1"),
    ],
)
def test_a_bad_table_is_one_error_that_names_the_row(table, change, message):
    path = table(change)
    with pytest.raises(DrillError, match=message) as caught:
        competition.read_train(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_no_table_is_an_error(tmp_path):
    for name, content in {
        "empty": b"", "picture": b"\x89PNG\r\n\x1a\n\xff\xfe", "cut": gzip.compress(b"label" * 999)[:-9],
        "damaged": gzip.compress(b"label" * 999)[:10] + b"x" * 20,
    }.items():  # fmt: skip
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DrillError, match=name):
            competition.read_train(tmp_path / name)
    with pytest.raises(DrillError, match="No such file"):
        competition.read_train(tmp_path / "none.csv")


def test_test_tables_have_no_label(table, few):
    path = table(lambda lines: [line.partition(",")[2] for line in lines])
    assert torch.allclose(competition.read_test(path), few[0].images[:20], atol=1e-6)


def test_the_entry_numbers_the_images_from_1(tmp_path):
    competition.write_entry(tmp_path / "submission.csv", torch.tensor([7, 0, 9]))
    assert (tmp_path / "submission.csv").read_text() == "ImageId,Label\n1,7\n2,0\n3,9\n"
    assert np.loadtxt(tmp_path / "submission.csv", delimiter=",", skiprows=1).shape == (3, 2)
