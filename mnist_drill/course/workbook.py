"""The workbook of receptive fields: each network's layers as live formulas, stored with the values that are traced."""

from __future__ import annotations

import io
from datetime import datetime
from typing import TYPE_CHECKING

import xlsxwriter
from torch import nn

from mnist_drill.models import build
from mnist_drill.receptive_field import Layer, trace
from mnist_drill.stages import STAGES
from mnist_drill.storage.files import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

    from xlsxwriter.worksheet import Worksheet

# Header and width of the columns A to O; the formulas below name them by their letters.
COLUMNS = [
    ("layer", 21), ("n_in", 7), ("k", 5), ("s", 5), ("p", 5), ("d", 5), ("j_in", 7), ("r_in", 7), ("n_out", 7),
    ("j_out", 7), ("r_out", 7), ("channels in", 12), ("channels out", 12), ("parameters", 12), ("batch norm", 12),
]  # fmt: skip
FORMATS = {
    "header": {"bold": True, "bottom": 1, "align": "right"},
    "label": {"bold": True},
    "given": {"num_format": "#,##0", "font_color": "#1f4fd8"},
    "computed": {"num_format": "#,##0", "align": "right"},
    "transition": {"bg_color": "#fde2c4"},
    "whole image": {"bg_color": "#cdebcf"},
    "misfit": {"bg_color": "#f4b6b6"},
    "text": {"text_wrap": True, "valign": "top"},
}
OPERATIONS = ["conv", "max pool", "average pool", "global max pool", "global average pool"]
LEGEND = {
    "layer": "A layer that changes the size or the receptive field. Batch norm, ReLU and dropout change neither.",
    "n": "Size: the side of the feature map, in its own pixels. n_out = floor((n_in + 2p − d(k − 1) − 1) / s) + 1.",
    "k, s, p, d": "Kernel, stride, padding and dilation, each the same for rows and columns.",
    "j": "Jump: the distance between two neighbouring outputs, in pixels of the image. j_out = j_in · s.",
    "r": "Receptive field: the side of the square of image pixels that one output depends on. "
    "r_out = r_in + (k − 1) · d · j_in.",
    "parameters": "A convolution without bias has k · k · channels in · channels out, a pool none.",
    "batch norm": "A scale and a shift for each channel, where batch norm follows the convolution.",
    "closed form": "The last r_out in one sum over the layers l: 1 + Σ (k_l − 1) · d_l · Π s_i, with i before l.",
    "check": "Whether the last r_out and the closed form agree.",
    "a common slip": "The kernel of a late layer counts in that layer's jump: a 7×7 pool at jump 2 adds 6 · 2 = 12 to "
    "the receptive field, not 6 and not 7.",
    "source": "A. Araujo, W. Norris, J. Sim, Computing Receptive Fields of Convolutional Neural Networks, Distill "
    "2019. https://distill.pub/2019/computing-receptive-fields/",
}
COLOURS = {
    "given": "A number to edit; everything in black is a formula.",
    "transition": "The transition: the pool and the 1×1 convolution that follows it.",
    "whole image": "Here the receptive field first reaches the side of the image.",
    "misfit": "The layer does not fit: nothing is left of its input, or a global pool does not cover it.",
}


def try_it() -> nn.Sequential:
    """The network of the sheet that is there to be edited: small, and with a dilation."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1, bias=False),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, bias=False),
        nn.Conv2d(16, 16, 3, dilation=2, bias=False),
        nn.AvgPool2d(8, stride=1),
        nn.Conv2d(16, 10, 1, bias=False),
    )


def write_workbook(path: str | Path) -> None:
    """Writes a sheet for each of `STAGES`, one to try things out, and a legend; whole or not at all.

    Numbers are the first row's size, jump and receptive field, the layers' settings, and the channels that go into the
    first layer and come out of convolutions. All else is a formula, stored with the value that `trace` finds.
    Raises `DrillError` where the file cannot be written.
    """
    content = io.BytesIO()
    with xlsxwriter.Workbook(content, {"in_memory": True}) as book:
        book.set_properties({"created": datetime(2020, 1, 1)})  # the same networks give the same file
        formats = {name: book.add_format(settings) for name, settings in FORMATS.items()}
        for name in STAGES:
            _write_network(book.add_worksheet(name), formats, trace(build(name)))
        sheet = book.add_worksheet("Try it")
        layers = trace(try_it())
        _write_network(sheet, formats, layers)
        _invite(sheet, len(layers), formats)
        _write_legend(book.add_worksheet("Legend"), formats)
        for sheet in book.worksheets():
            sheet.freeze_panes(1, 1)
            sheet.set_landscape()
            sheet.fit_to_pages(1, 0)
    write_atomically(path, content.getvalue())


def _write_network(sheet: Worksheet, formats: dict, layers: list[Layer]) -> None:
    for column, (header, width) in enumerate(COLUMNS):
        sheet.set_column(column, column, width)
        sheet.write(0, column, header, formats["header"])
    for row, layer in enumerate(layers, 2):  # rows as the sheet counts them
        above = row - 1 if row > 2 else None
        convolution = layer.operation == "conv"
        cells = {  # a formula, or None for a number that is given; and its value
            "B": (above and f"=I{above}", layer.size_in),
            "C": (None, layer.kernel),
            "D": (None, layer.stride),
            "E": (None, layer.padding),
            "F": (None, layer.dilation),
            "G": (above and f"=J{above}", layer.jump_in),
            "H": (above and f"=K{above}", layer.field_in),
            "I": (f"=INT((B{row}+2*E{row}-F{row}*(C{row}-1)-1)/D{row})+1", layer.size_out),
            "J": (f"=G{row}*D{row}", layer.jump_out),
            "K": (f"=H{row}+(C{row}-1)*F{row}*G{row}", layer.field_out),
            "L": (above and f"=M{above}", layer.channels_in),
            "M": (None if convolution else f"=L{row}", layer.channels_out),
            "N": (f'=IF(A{row}="conv",C{row}*C{row}*L{row}*M{row},0)', layer.parameters),
        }
        if layer.norm_parameters:
            cells["O"] = (f"=2*M{row}", layer.norm_parameters)
        sheet.write(f"A{row}", layer.operation)
        for column, (formula, value) in cells.items():
            if formula is None:
                sheet.write(f"{column}{row}", value, formats["given"])
            else:
                sheet.write_formula(f"{column}{row}", formula, formats["computed"], value)

    last = len(layers) + 1
    own, norm = sum(x.parameters for x in layers), sum(x.norm_parameters for x in layers)
    terms = [f"(C{row}-1)*F{row}" + (f"*PRODUCT(D2:D{row - 1})" if row > 2 else "") for row in range(2, last + 1)]
    total, whole, closed, check = range(last + 1, last + 5)
    for row, label, cell, formula, value in (
        (total, "total", f"N{total}", f"=SUM(N2:N{last})", own),
        (total, "total", f"O{total}", f"=SUM(O2:O{last})", norm),
        (whole, "with batch norm", f"N{whole}", f"=N{total}+O{total}", own + norm),
        # An image's own pixels have jump and receptive field 1; whoever gives others finds them in both forms.
        (closed, "closed form", f"K{closed}", f"=H2+G2*({'+'.join(terms)})", layers[-1].field_out),
        (check, "check", f"K{check}", f'=IF(K{last}=K{closed},"agrees","differs")', "agrees"),
    ):
        sheet.write(f"A{row}", label, formats["label"])
        sheet.write_formula(cell, formula, formats["computed"], value)

    for cells, colour, criteria in (
        (f"K2:K{last}", "whole image", "=AND($K2>=$B$2,$H2<$B$2)"),
        (f"K2:K{last}", "transition", '=OR($A2="max pool",AND($A1="max pool",$C2=1))'),
        (f"I2:I{last}", "misfit", '=OR($I2<1,AND(LEFT($A2,6)="global",$I2<>1))'),
    ):
        sheet.conditional_format(cells, {"type": "formula", "criteria": criteria, "format": formats[colour]})


def _invite(sheet: Worksheet, layers: int, formats: dict) -> None:
    """Says what to edit, and lets it be given only what a layer can be."""
    last = layers + 1
    sheet.write(f"A{last + 6}", "Edit a layer or a number in blue: the rest of the sheet follows.", formats["given"])
    sheet.data_validation(f"A2:A{last}", {"validate": "list", "source": OPERATIONS})
    for cells, least in ((f"B2:D{last}", 1), (f"E2:E{last}", 0), (f"F2:H{last}", 1), (f"L2:M{last}", 1)):
        rule = {"validate": "integer", "criteria": ">=", "value": least}
        sheet.data_validation(cells, {**rule, "error_message": f"A whole number from {least}."})


def _write_legend(sheet: Worksheet, formats: dict) -> None:
    sheet.set_column(0, 0, 16)
    sheet.set_column(1, 1, 140, formats["text"])
    sheet.write_row(0, 0, ["term", "meaning"], formats["header"])
    for row, (term, meaning) in enumerate(LEGEND.items(), 1):
        sheet.write(row, 0, term, formats["label"])
        sheet.write_string(row, 1, meaning)
    for row, (colour, meaning) in enumerate(COLOURS.items(), len(LEGEND) + 2):
        sheet.write(row, 0, colour, formats[colour])
        sheet.write_string(row, 1, meaning)
