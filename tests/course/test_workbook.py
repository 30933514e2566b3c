import shutil
import subprocess
import zipfile

import openpyxl
import pytest
import torch
from torch import nn

from mnist_drill.course.notebooks import ROOT
from mnist_drill.course.workbook import try_it, write_workbook
from mnist_drill.models import build
from mnist_drill.networks import parameter_count
from mnist_drill.receptive_field import trace
from mnist_drill.stages import STAGES

COMMITTED = ROOT / "RF_calculations.xlsx"
HEADER = ["layer", "n_in", "k", "s", "p", "d", "j_in", "r_in", "n_out", "j_out", "r_out", "channels in", "channels out",
          "parameters", "batch norm"]  # fmt: skip
SHEETS = {**{name: build(name) for name in STAGES}, "Try it": try_it()}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    file = tmp_path_factory.mktemp("workbook") / "RF_calculations.xlsx"
    write_workbook(file)
    return file


def cells(file, values):
    """Every cell that holds something: what stands in it, or with `values` what it shows."""
    book = openpyxl.load_workbook(file, data_only=values)
    return {
        (sheet.title, cell.coordinate): cell.value
        for sheet in book
        for row in sheet.iter_rows()
        for cell in row
        if cell.value is not None
    }


def rows(file, name):
    """The rows of the layers, as shown, each by its header."""
    sheet = openpyxl.load_workbook(file, data_only=True)[name]
    lines = [[cell.value for cell in row] for row in sheet.iter_rows()]
    assert lines[0] == HEADER
    return [dict(zip(HEADER, line, strict=True)) for line in lines[1 : [line[0] for line in lines].index("total")]]


def labelled(file, name):
    """What the rows below the layers show: the last cell of each, by its label."""
    sheet = openpyxl.load_workbook(file, data_only=True)[name]
    lines = [[cell.value for cell in row if cell.value is not None] for row in sheet.iter_rows()]
    return {
        line[0]: line[1] for line in lines if line and line[0] in ("total", "with batch norm", "closed form", "check")
    }


def test_a_sheet_for_each_network_one_to_edit_and_a_legend(written):
    assert openpyxl.load_workbook(written).sheetnames == [*STAGES, "Try it", "Legend"]
    assert "Distill 2019" in " ".join(map(str, cells(written, values=True).values()))


@pytest.mark.parametrize("name", SHEETS)
def test_shown_values_are_those_that_are_traced(written, name):
    traced = [
        (x.operation, x.size_in, x.kernel, x.stride, x.padding, x.dilation, x.jump_in, x.field_in, x.size_out,
         x.jump_out, x.field_out, x.channels_in, x.channels_out, x.parameters, x.norm_parameters or None)
        for x in trace(SHEETS[name])
    ]  # fmt: skip
    assert [tuple(row.values()) for row in rows(written, name)] == traced


@pytest.mark.parametrize("name", SHEETS)
def test_shown_values_are_those_of_a_real_pass(written, name):
    model, passed = SHEETS[name], []
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
            module.register_forward_hook(lambda module, inputs, output: passed.append((module, inputs[0], output)))
    with torch.no_grad():
        model(torch.zeros(2, 1, 28, 28))
    shown = rows(written, name)
    for row, (module, image, output) in zip(shown, passed, strict=True):
        assert image.shape == (2, row["channels in"], row["n_in"], row["n_in"])
        assert output.shape == (2, row["channels out"], row["n_out"], row["n_out"])
        assert row["parameters"] == parameter_count(module)
    below = labelled(written, name)
    assert below["with batch norm"] == parameter_count(model)
    assert below["total"] == sum(row["parameters"] for row in shown)
    assert (below["closed form"], below["check"]) == (shown[-1]["r_out"], "agrees")


@pytest.mark.parametrize("name", SHEETS)
def test_what_follows_from_other_cells_is_a_formula(written, name):
    sheet = openpyxl.load_workbook(written)[name]
    last = 1 + len(rows(written, name))
    for row in range(2, last + 1):
        given = {*"ACDEF", *("BGHL" if row == 2 else ""), *("M" if sheet[f"A{row}"].value == "conv" else "")}
        for cell in sheet[row]:
            if cell.value is not None:
                formula = isinstance(cell.value, str) and cell.value.startswith("=")
                assert formula == (cell.column_letter not in given), cell.coordinate
        if row > 2:
            above = [sheet[f"{column}{row}"].value for column in "BGHL"]
            assert above == [f"={column}{row - 1}" for column in "IJKM"]


def test_every_formula_shows_a_value(written):
    stored, shown = cells(written, values=False), cells(written, values=True)
    assert stored.keys() == shown.keys()
    assert sum(stored[cell] != shown[cell] for cell in stored) > 300


def test_no_function_needs_a_prefix(written):
    with zipfile.ZipFile(written) as archive:
        assert not [name for name in archive.namelist() if b"_xlfn" in archive.read(name)]


def test_the_committed_workbook_is_what_the_command_writes(written):
    for values in (False, True):
        assert cells(COMMITTED, values) == cells(written, values), "run: python -m mnist_drill workbook"


@pytest.fixture(scope="module")
def recalculate(tmp_path_factory):
    """Has LibreOffice calculate copies of workbooks that were stripped of the values stored beside the formulas."""
    office = shutil.which("soffice")
    if office is None:
        pytest.skip("LibreOffice is not installed, so the workbook is not recalculated (Debian: libreoffice-calc)")

    def run(**books):
        folder = tmp_path_factory.mktemp("office")
        for name, book in books.items():
            book.save(folder / f"{name}.xlsx")  # openpyxl stores formulas without their values
        profile = f"-env:UserInstallation={(folder / 'profile').as_uri()}"
        command = [office, "--headless", profile, "--convert-to", "xlsx", "--outdir", folder / "out"]
        command += [folder / f"{name}.xlsx" for name in books]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        return [folder / "out" / f"{name}.xlsx" for name in books]

    return run


def test_recalculated_values_are_the_stored_ones_and_follow_an_edit(written, recalculate):
    edited, broken = openpyxl.load_workbook(written), openpyxl.load_workbook(written)
    edited["Try it"]["C2"] = 5
    edited["Try it"]["E2"] = 0
    edited["Try it"]["M4"] = 12
    edited["Try it"]["D4"] = 2
    broken["stage2"]["K5"] = 7  # a receptive field written down by hand
    whole, edited, broken = recalculate(whole=openpyxl.load_workbook(written), edited=edited, broken=broken)

    assert cells(whole, values=True) == cells(written, values=True)

    after = rows(edited, "Try it")
    # The pool of 8 no longer fits: that is what the sheet is there to show.
    assert [row["n_out"] for row in after] == [24, 12, 5, 1, -6, -6]
    assert [row["r_out"] for row in after] == [5, 6, 10, 26, 54, 54]
    assert [row["parameters"] for row in after] == [200, 0, 864, 1728, 0, 160]
    assert labelled(edited, "Try it") == {"total": 2952, "with batch norm": 2952, "closed form": 54, "check": "agrees"}

    assert labelled(broken, "stage2")["check"] == "differs"
    assert labelled(broken, "stage3")["check"] == "agrees"
