"""The notebook for a network of the reader's own: what it shows, and what it does with one that is broken."""

import copy
import re

import pytest

from mnist_drill.judge import notebook
from mnist_drill.stages import STAGES
from tests.notebooks.books import FIRST, YOURS, calls, cell_with, compared
from tests.notebooks.running import execute, with_address

FILE = "%%writefile network.py\n"


def test_it_has_the_rhythm_of_the_others_and_their_setup():
    headings = re.findall(r"^## ([^:\n]*)", "\n".join(x.source for x in YOURS.cells if x.cell_type == "markdown"), re.M)
    assert headings == [
        "Imports", "Idea", "Network", "What do you expect?", "Judged in seconds", "Training", "Pictures", "Limits",
        "Target · Result · Analysis",
    ]  # fmt: skip
    assert YOURS.code[0].source == FIRST.code[0].source


def test_it_shows_the_stored_report_of_its_network_or_the_example(tmp_path):
    source = cell_with(YOURS.code, FILE).source.removeprefix(FILE)
    (tmp_path / "network.py").write_text(source + "\n")
    card = notebook.stored(tmp_path / "network.py") or notebook.example("sprint")
    shown = cell_with(YOURS.code, "stored(").outputs[0].data
    assert (shown["text/plain"], shown["text/markdown"]) == (repr(card), card._repr_markdown_())
    assert not card.report.quick


def test_its_verdicts_are_compared_and_the_network_passes_all_that_is_judged_in_seconds():
    for text in ("quick.verdicts", "stored(", "compared(card, quick)", "claims.judge(TARGET", "claims.judge(ANALYSIS"):
        cell = cell_with(YOURS.code, text)
        assert compared(cell), text
        assert cell.outputs, text
    verdicts = cell_with(YOURS.code, "quick.verdicts").outputs[0].data["text/plain"].splitlines()
    assert len(verdicts) >= 10
    assert all(verdict.startswith("✓") for verdict in verdicts)
    analysis = cell_with(YOURS.code, "claims.judge(ANALYSIS").outputs[0].data["text/plain"].splitlines()
    assert len(analysis) >= 4
    assert all(verdict.startswith("✓") for verdict in analysis), analysis


def test_its_table_has_the_stages_as_the_evidence_has_them_now():
    shown = cell_with(YOURS.code, "compared(card, quick)").outputs[0].data["text/markdown"]
    now = notebook.compared(notebook.example("sprint"))._repr_markdown_()
    assert re.findall(r"^\| stage.*", shown, re.M) == re.findall(r"^\| stage.*", now, re.M) != []


def test_no_figure_is_typed_into_a_sentence():
    sentences = [re.sub(r"\{.*?\}", "", call.args[0].value) for cell in YOURS.code for call in calls(cell, "claim")]
    assert [sentence for sentence in sentences if re.search(r"\d[.,]\d|\d\s*%", sentence)] == []
    prose = "\n".join(cell.source for cell in YOURS.cells if cell.cell_type == "markdown")
    prose = re.sub(r"95 %\s+confidence\s+interval", "", prose)
    # The sizes of the sets that are trained on.
    assert set(re.findall(r"\d[\d.,]*\d\s*%|\d+[.,]\d+", prose)) <= {"50,000"}


def executed(colab, folder, network=None):
    """The notebook, executed as in Colab from an empty folder; with another network if one is given."""
    folder.mkdir()
    content = copy.deepcopy(YOURS.notebook.read())
    for cell in content.cells:
        cell.source = with_address(cell.source, colab.address)
        if network is not None and cell.source.startswith(FILE):
            cell.source = FILE + network
    done = execute(content, folder, colab)
    code = [cell for cell in done.cells if cell.cell_type == "code"]
    texts = {"quick": "quick=True", "card": "stored(", "verdicts": "quick.verdicts", "table": "compared(card, quick)"}
    return {name: cell_with(code, text).outputs[-1].data["text/plain"] for name, text in texts.items()}


@pytest.mark.slow
def test_as_in_colab_it_shows_the_stored_report_and_a_broken_network_gets_a_reason_and_raises_nothing(colab, tmp_path):
    shown = executed(colab, tmp_path / "as it is")
    assert shown["card"].startswith("mean_and_max.py")
    assert first_words(shown["table"]) == ["network", *STAGES, "mean_and_max"]
    broken = executed(colab, tmp_path / "broken", "from torch import nn\n\nclass Network(nn.Module:\n    pass\n")
    assert "SyntaxError" in broken["quick"]
    assert broken["verdicts"] == "? loads"
    assert broken["card"].startswith("sprint.py")  # the example
    assert first_words(broken["table"]) == ["network", *STAGES, "sprint"]


def first_words(text):
    return [line.split()[0] for line in text.splitlines()]
