import os

import nbclient
import nbconvert
import nbformat
import pytest
import torch

from mnist_drill.course import descriptions, site
from mnist_drill.course.notebooks import ROOT
from mnist_drill.evidence.stored import load_runs
from mnist_drill.models import build
from mnist_drill.receptive_field import trace


def test_a_confusion_matrix_is_described_by_its_most_frequent_errors():
    counts = torch.diag(torch.full((10,), 50))
    assert descriptions.confusion(counts) == "Confusion matrix, 0 errors in 500 images."
    counts[4, 9], counts[7, 2] = 5, 3
    assert "8 errors in 508 images: 4 as 9 5 times; 7 as 2 3 times." in descriptions.confusion(counts)


def test_curves_and_ablations_are_described_by_the_figures_of_their_runs():
    runs = load_runs("stage4")
    said = descriptions.curves(runs[:1])
    assert runs[0].name in said and f"to {runs[0].last.test_accuracy:.2f} % test accuracy" in said
    mean = sum(run.last.test_accuracy for run in runs) / len(runs)
    for describe in (descriptions.ablation, descriptions.costs, descriptions.schedules):
        assert f"chosen {mean:.2f} %" in describe({"chosen": runs})
    loss = sum(run.last.test_loss for run in runs) / len(runs)
    assert descriptions.study_losses({"chosen": runs}).endswith(f", {loss:.3f}.")


def test_networks_are_described_by_their_layers():
    layers = trace(build("stage1"))
    assert "stage1 has 81% of 992,800 in layer 8" in descriptions.budget({"stage1": layers})
    assert descriptions.receptive_fields(layers).count("sees") == len(layers) + 1


@pytest.mark.slow
def test_a_notebook_stores_the_description_and_pages_of_it_show_it(tmp_path):
    source = (
        "import torch\nfrom mnist_drill.course import plots\n"
        "plots.image_grid(torch.rand(2, 1, 28, 28), ['4 as 9\\n99%', 'b'])"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}  # the package need not be installed
    nbclient.NotebookClient(notebook, resources={"metadata": {"path": tmp_path}}).execute(env=environment)
    said = "2 images of digits: 4 as 9, 99%; b."
    (cell,) = site.read_notebook(nbformat.writes(notebook)).cells
    assert cell.metadata.mystnb["image"]["alt"] == said
    page, _ = nbconvert.HTMLExporter(template_name="classic").from_notebook_node(notebook)
    assert f'alt="{said}"' in page
