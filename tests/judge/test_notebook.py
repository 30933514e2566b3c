from dataclasses import replace

import pytest

from mnist_drill.course import plots, study_plots
from mnist_drill.errors import DrillError
from mnist_drill.judge import notebook
from mnist_drill.judge.card import Card, card
from mnist_drill.judge.report import Report
from mnist_drill.stages import STAGES
from tests.leaderboard.reports import full_report, put

BROKEN = "from torch import nn\n\n\ndef network():\n    return nn.Conv2d(1, 10, 28)\n"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """A notebook's folder of its own, and an empty leaderboard."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(notebook, "leaderboard", lambda: tmp_path / "leaderboard")
    (tmp_path / "leaderboard").mkdir()


def test_it_judges_the_file_that_a_cell_wrote_and_shows_every_rule(few_sets, processes, tmp_path):
    (tmp_path / "network.py").write_text(BROKEN)
    shown = notebook.judge("network.py", sets=few_sets, processes=processes)
    assert repr(shown) == card(shown.report)
    text = shown._repr_markdown_()
    assert "| ✗ | shape |" in text
    assert all(finding.rule in text and finding.found in text for finding in shown.report.findings)
    assert shown.report.finding("shape").next in text
    assert not list(tmp_path.glob("runs/**"))


@pytest.mark.parametrize("given", [type("Network", (), {}), lambda: None, 3, "missing.py"])
def test_what_is_no_file_is_one_line(given):
    with pytest.raises(DrillError, match=r"writefile|missing\.py"):
        notebook.judge(given)


def test_a_full_judgement_of_this_very_file_is_found_here_and_on_the_leaderboard(tmp_path):
    put(tmp_path, "network")
    assert notebook.stored("network.py") is None
    notebook.OUT.mkdir(parents=True)
    (tmp_path / "network.json").rename(tmp_path / "runs" / "judge" / "network.json")
    assert notebook.stored("network.py").report.runs
    (tmp_path / "runs" / "judge" / "network.json").write_text("{")
    assert notebook.stored("network.py") is None
    put(tmp_path / "leaderboard", "another_name")
    assert notebook.stored("network.py").report.name == "another_name"
    assert notebook.example("another_name").report == notebook.stored("network.py").report
    (tmp_path / "network.py").write_text("network = None\n")
    assert notebook.stored("network.py") is None


def test_a_judgement_that_ended_before_any_training_does_not_replace_one_with_trainings(few_sets, processes, tmp_path):
    kept = full_report()
    kept.save(notebook.OUT / "network.json")
    (tmp_path / "network.py").write_text(BROKEN)
    assert not notebook.judge("network.py", quick=False, sets=few_sets, processes=processes).report.runs
    assert Report.load(notebook.OUT / "network.json") == kept


def test_it_stands_beside_the_stages_with_an_interval_from_stage_4():
    report = full_report(study="stage3", parameters=123)
    rows = {row[0]: row for row in notebook.compared(Card(report)).rows}
    assert list(rows) == [*STAGES, "mine"]
    assert rows["mine"][1:4] == ["123", "15", "3"]
    assert rows["mine"][5] == f"{min(report.lowest()):.2f}"
    assert "significantly worse" in rows["mine"][-1]


def test_a_network_named_as_a_stage_is_not_taken_for_it_and_a_file_has_one_row_and_a_broken_one_none():
    report = replace(full_report(parameters=123), name="stage4")
    quick = replace(report, quick=True, runs=(), name="network")
    other = replace(full_report(parameters=5), source="0", name="other")
    broken = replace(full_report(), source="1", name="broken", parameters=None)
    table = notebook.compared(*map(Card, (report, quick, other, broken)))
    assert [row[0] for row in table.rows] == [*STAGES, "stage4, judged", "other"]
    assert [row[3] for row in table.rows][-2] == "3"


def test_versions_of_a_file_have_a_row_each():
    cards = [Card(replace(full_report(parameters=n), source=str(n), name="network")) for n in (5, 6, 7, 8)]
    rows = notebook.compared(*cards).rows[len(STAGES):]  # fmt: skip
    assert [row[1] for row in rows] == ["5", "6", "7", "8"]
    assert len({row[0] for row in rows}) == 4


def test_without_training_it_has_its_place_by_parameters_alone(monkeypatch):
    drawn = []
    monkeypatch.setattr(study_plots, "show", lambda figure, description: drawn.append((figure, description)))
    report = full_report(study="stage3", parameters=123)
    for runs in (report.runs, ()):
        card = Card(replace(report, runs=runs))
        notebook.picture(card)
        assert notebook.compared(card).rows[-1][0] == "mine"
    (judged, said), (unjudged, said_without) = drawn
    assert "mine 99." in said
    assert "mine no accuracy yet, 123" in said_without
    assert len(judged.axes[0].containers) == len(unjudged.axes[0].containers) + 1
    for figure in (judged, unjudged):
        plots.plt.close(figure)
