import nbformat
import pytest

from mnist_drill.course import site
from mnist_drill.course.tables import RUN_MIME
from mnist_drill.errors import DrillError


def read(*cells):
    return site.read_notebook(nbformat.writes(nbformat.v4.new_notebook(cells=list(cells)))).cells


def figure(alt=None):
    metadata = {"image/png": {"alt": alt}} if alt else {}
    return nbformat.v4.new_output("display_data", {"image/png": "iVBORw0KGgo="}, metadata=metadata)


def test_a_collapsed_input_is_collapsed_on_the_site():
    shown, hidden = read(
        nbformat.v4.new_code_cell("1", metadata={"tags": ["nbval-ignore-output"]}),
        nbformat.v4.new_code_cell("2", metadata={"tags": ["nbval-ignore-output"], "jupyter": {"source_hidden": True}}),
    )
    assert shown.metadata.tags == ["nbval-ignore-output"]
    assert hidden.metadata.tags == ["nbval-ignore-output", "hide-input"]


def test_a_figure_is_described_by_what_was_stored():
    stored, other = read(
        nbformat.v4.new_code_cell("plots.losses(run)", outputs=[figure("Loss from 2 to 1."), figure("And another.")]),
        nbformat.v4.new_code_cell("plt.plot(x)", outputs=[figure()]),
    )
    assert stored.metadata.mystnb["image"]["alt"] == "Loss from 2 to 1. And another."
    assert other.metadata.mystnb["image"]["alt"] == ""


def test_a_notebook_that_was_never_executed_is_python_too():
    content = site.read_notebook(nbformat.writes(nbformat.v4.new_notebook()))
    assert content.metadata["language_info"]["pygments_lexer"] == "ipython3"


def test_a_run_among_the_outputs_is_left_out():
    output = nbformat.v4.new_output("display_data", {RUN_MIME: {}, "text/plain": "row"})
    (cell,) = read(nbformat.v4.new_code_cell("Result(run)", outputs=[output]))
    assert cell.outputs[0].data == {"text/plain": "row"}


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("one\ntwo\n", "one\ntwo\n"),
        ("\repoch 1:  10%\repoch 1: 100%\n", "epoch 1: 100%\n"),
        ("\repoch 1: 50%\r             \r    1   98.5\n    2   99.0\n", "    1   98.5\n    2   99.0\n"),
        ("head\n\rbar\r   \r", "head"),
    ],
    ids=["no bar", "a bar that stays", "a bar that is cleared", "nothing after it"],
)
def test_a_progress_bar_is_what_it_was_at_its_end(written, shown):
    assert site.settled(written) == shown


def test_a_missing_package_and_a_folder_that_is_no_clone_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(site, "NEEDS", ("sphinx_of_nobody",))
    with pytest.raises(DrillError, match="sphinx_of_nobody"):
        site.build(tmp_path / "site")
    monkeypatch.setattr(site, "NEEDS", ())
    with pytest.raises(DrillError, match="clone"):
        site.build(tmp_path / "site", root=tmp_path)


def test_a_port_that_is_taken_is_named(tmp_path):
    with site.serve(tmp_path, 0) as server, pytest.raises(DrillError, match=str(server.server_port)):
        site.serve(tmp_path, server.server_port)
