import json

import pytest
import torch

from mnist_drill.benchmark import PARTS, report
from mnist_drill.benchmark.contenders import ONE_EPOCH
from mnist_drill.errors import DrillError
from mnist_drill.evidence.stored import FOLDER
from mnist_drill.stages import STAGES


def test_tables_take_medians_and_say_who_did_not_arrive():
    measured = {
        "epoch": {"stage4": {"course": [2.0, 1.0, 9.0], "usual, 0 workers": [8.0, 6.0, 7.0]}},
        "time to accuracy": {
            "stage4": [{"accuracy": a, "99.0": 4.0, "99.4": when} for a, when in ((99.3, None), (99.5, 8.0))],
            ONE_EPOCH: [{"accuracy": 99.1, "99.0": 3.0, "99.4": None}],
        },
    }
    assert report.epoch_table(measured).rows == [["stage4", "2.00 (1.00 to 9.00)", "7.00 (6.00 to 8.00)", "3.5"]]
    assert report.goals_table(measured).rows == [
        ["stage4", "2", "99.40", "4.0 (4.0 to 4.0)", "1 of 2 seeds: 8.0 (8.0 to 8.0)"],
        [ONE_EPOCH, "1", "99.10", "3.0 (3.0 to 3.0)", "0 of 1 seeds"],
    ]


def test_limits_parts_latencies_and_memory_are_in_the_units_of_their_tables():
    measured = {
        "epoch": {"stage5": {"course": [4.0]}},
        "flops": {"stage5": 6_000_000_000},
        "matrix product": {"float32": [3e9, 2e9, 9e9]},
        "parts": {"stage5": {"forward": 1.0, "evaluation": 3.0}},
        "inference": {"1": {"stage4": [0.002]}, "1,000": {"stage4": [0.0001, 0.0002, 0.0004]}},
    }
    assert report.limit_table(measured).rows == [["stage5", "float32", "6", "2.00", "4.00", "50%"]]
    assert repr(report.parts_table(measured)).split() == ["network", "forward", "evaluation", "stage5", "25%", "75%"]
    row = ["stage4", "2,000.0 (2,000.0 to 2,000.0)", "200.0 (100.0 to 400.0)"]
    assert report.latency_table(measured).rows == [row]
    assert report.memory_line({"peak megabytes": 1234.5}).endswith(": 1,234 MB.")
    assert report.memory_line({"peak megabytes": None}).endswith(": not measured.")


@pytest.mark.slow
def test_the_whole_benchmark_says_and_returns_every_comparison(few, without_stage1, monkeypatch):
    said = []
    monkeypatch.setattr(report.data, "load", lambda: few)
    monkeypatch.setattr(report, "peak_memory", lambda: 123.0)  # a process of its own, on all images
    measured = report.run_benchmark("cpu", quick=True, say=lambda text: said.append(str(text)))
    assert json.loads(json.dumps(measured)) == measured
    assert set(measured["epoch"]) == set(STAGES)
    assert all(set(x) == {"course", "usual, 0 workers", "usual, 2 workers"} for x in measured["epoch"].values())
    assert measured["environment"]["threads"] == torch.get_num_threads()
    assert set(measured["inference"]) == {"1", "1,000"}
    assert len(said) == 13  # six tables under their titles, and the memory

    said.clear()
    emptied = {**measured, "time to accuracy": {}}
    again = report.run_benchmark("cpu", quick=True, say=said.append, only=["goals"], earlier=emptied)
    assert len(said) == 2
    assert set(again["time to accuracy"]) == set(measured["time to accuracy"])
    assert {**again, "time to accuracy": {}} == emptied
    elsewhere = {**measured, "environment": {**measured["environment"], "threads": 99}}
    with pytest.raises(DrillError, match="another machine"):
        report.run_benchmark("cpu", quick=True, say=said.append, only=["goals"], earlier=elsewhere)


def test_a_limit_needs_the_seconds_of_an_epoch(few, monkeypatch):
    monkeypatch.setattr(report.data, "load", lambda: few)
    with pytest.raises(DrillError, match="measure the part epoch"):
        report.run_benchmark("cpu", quick=True, say=print, only=["limit"])


def test_parts_are_measured_in_their_order_and_the_others_are_kept(few, monkeypatch):
    measured = []
    monkeypatch.setattr(report.data, "load", lambda: few)
    monkeypatch.setattr(report, "_measure", lambda part, *rest: measured.append(part) or {part: 1})
    monkeypatch.setattr(report, "_lines", lambda *arguments: ())
    first = report.run_benchmark("cpu", quick=True)
    assert measured == list(PARTS)
    assert report.run_benchmark("cpu", quick=True, only=["memory"], earlier={**first, "memory": 0}) == first


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"environment": 5}', '{"format": 2}', "null"])
def test_what_is_not_a_benchmark_is_refused(content, tmp_path):
    (tmp_path / "bench.json").write_text(content)
    with pytest.raises(DrillError, match=r"bench\.json"):
        report.load_report(tmp_path / "bench.json")


def test_a_report_of_the_earlier_format_is_refused_with_how_to_make_it_again(tmp_path):
    path = tmp_path / "bench.json"
    stored = json.loads((FOLDER / "benchmark.json").read_text())
    path.write_text(json.dumps({key: value for key, value in stored.items() if key != "format"}))
    with pytest.raises(DrillError, match=r"bench\.json.*format is not 2.*bench --out .*bench\.json"):
        report.load_report(path)


def test_the_stored_benchmarks_have_every_part():
    stored, in_float32 = (report.load_report(FOLDER / f"{name}.json") for name in ("benchmark", "benchmark_float32"))
    for part in PARTS:
        assert report._lines(part, in_float32 if part in ("published", "memory") else stored, 60_000, 10_000)
    assert set(stored["epoch"]) == set(stored["flops"]) == set(stored["parts"])
