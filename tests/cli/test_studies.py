"""The commands that train many networks or measure them: `compare`, `transfer`, `evidence` and `bench`."""

import json

import pytest
from PIL import Image

from mnist_drill.course.notebooks import notebooks
from mnist_drill.evidence import stored
from mnist_drill.evidence.studies import STUDIES
from mnist_drill.runs import Run
from mnist_drill.stages import NETWORKS
from mnist_drill.storage import resume
from mnist_drill.study import plan
from mnist_drill.study.network import Network
from mnist_drill.zoo import transfer
from mnist_drill.zoo.comparison import Comparison
from mnist_drill.zoo.transfer import Row


def test_compare_writes_a_table_a_file_and_a_picture(drill, without_stage1, tmp_path):
    options = ["--epochs", 1, "--vote", "stage2", "--vote", "shufflenet_v2_x0_5", "--device", "cpu", "--out", tmp_path]
    status, out, _ = drill("compare", "shufflenet_v2_x0_5", *options)
    assert status == 0
    comparison = Comparison.load(tmp_path / "comparison.json")
    assert [entry.name for entry in comparison.entries] == [*NETWORKS, "shufflenet_v2_x0_5", "ensemble of 2"]
    assert {entry.epochs for entry in comparison.entries} == {1}
    lines = (tmp_path / "comparison.md").read_text().splitlines()
    assert len(lines) == 2 + len(comparison.entries)
    assert all(any(entry.name in line for line in lines) and entry.name in out for entry in comparison.entries)
    assert Image.open(tmp_path / "comparison.png").width > 500


def test_an_interrupted_comparison_is_resumed_by_the_same_command(
    drill, without_stage1, interrupted_at, tmp_path, monkeypatch
):
    arguments = ["compare", "shufflenet_v2_x0_5", "--epochs", 2, "--device", "cpu", "--out", tmp_path]
    began = interrupted_at(4)  # the second epoch of the second network
    status, _, errors = drill(*arguments)
    assert (status, len(errors.splitlines())) == (130, 1)
    assert "the same command goes on" in errors
    assert drill(*arguments)[0] == 0
    assert len(began) == 2 * (len(NETWORKS) + 1) + 1  # no epoch twice but the one that was interrupted
    monkeypatch.setattr(resume, "fit", lambda *a, **k: pytest.fail("trained again"))
    assert drill(*arguments)[0] == 0


def test_transfer_stores_each_run_in_its_folder_and_in_the_evidence(drill, tmp_path, monkeypatch):
    rows = {row.name: row for row in (Row(transfer.ALL_DIGITS, before, transfer.ALL_LAYERS, 1)
                                      for before in (transfer.NOTHING, transfer.ROTATIONS))}  # fmt: skip
    for name, value in (("NETWORK", "shufflenet_v2_x0_5"), ("IMAGES", 10), ("ROWS", rows)):
        monkeypatch.setattr(transfer, name, value)
    monkeypatch.setattr(stored, "FOLDER", tmp_path / "evidence")
    status, out, _ = drill("transfer", "--seeds", 2, "--store", "--device", "cpu", "--out", tmp_path / "out")
    assert status == 0
    assert all(before in out for before in (transfer.NOTHING, transfer.ROTATIONS))
    found = stored.load_study("transfer")
    assert {name: [run.seed for run in runs] for name, runs in found.items()} == {name: [1, 2] for name in rows}
    assert all(Run.load(tmp_path / "out" / f"{name}, seed 2.json") == runs[1] for name, runs in found.items())


def test_evidence_is_a_command(drill, tmp_path, monkeypatch):
    monkeypatch.setattr(stored, "FOLDER", tmp_path)
    rows = {"stage2": plan.Row(Network("stage2"), NETWORKS["stage2"].recipe.with_epochs(1))}
    monkeypatch.setitem(STUDIES, "stage2", plan.Study(rows, seeds=(1, 2), evaluated_on="test"))
    assert drill("evidence", "stage2", "--device", "cpu")[0] == 0
    assert [run.seed for run in stored.load_runs("stage2")] == [1, 2]
    assert drill("evidence", "stage2", "--device", "cpu", "--seeds", 3)[0] == 0
    assert [run.seed for run in stored.load_runs("stage2")] == [1, 2, 3]
    status, _, errors = drill("evidence", "stage9")
    assert (status, len(errors.splitlines())) == (2, 1)


def test_evidence_takes_the_run_of_a_notebook(drill, tmp_path, monkeypatch):
    monkeypatch.setattr(stored, "FOLDER", tmp_path)
    (book, other, *_) = notebooks()
    assert drill("evidence", "stage1", "--notebook", book.path)[0] == 0
    assert stored.load_runs("stage1") == [book.run()]
    status, _, errors = drill("evidence", "stage1", "--notebook", other.path)
    assert (status, len(errors.splitlines())) == (2, 1)
    assert stored.load_runs("stage1") == [book.run()]


@pytest.mark.slow
def test_bench_measures_a_part_and_keeps_the_others(drill, tmp_path):
    path = tmp_path / "bench.json"
    status, _, errors = drill("bench", "--quick", "--only", "limit", "--out", path)
    assert (status, len(errors.splitlines())) == (2, 1)
    assert drill("bench", "--quick", "--only", "inference", "--out", path)[0] == 0
    inference = json.loads(path.read_text())["inference"]
    assert drill("bench", "--quick", "--only", "goals", "--out", path)[0] == 0
    report = json.loads(path.read_text())
    assert report["inference"] == inference
    assert "stage4" in report["time to accuracy"]
