import json
from types import SimpleNamespace

import pytest
import torch

from mnist_drill import bench
from mnist_drill.errors import DrillError
from mnist_drill.models import STAGES, build
from mnist_drill.receptive_field import trace

CPU = torch.device("cpu")


def test_contenders_take_turns():
    order = []
    contenders = {name: lambda name=name: order.append(name) or len(order) for name in "ab"}
    assert bench.take_turns(contenders, 3) == {"a": [1, 3, 5], "b": [2, 4, 6]}


@pytest.mark.parametrize("name", STAGES)
def test_operations_are_those_of_the_layers(name):
    layers = [layer for layer in trace(build(name)) if layer.operation == "conv"]
    forward = [2 * layer.parameters * layer.size_out**2 for layer in layers]  # each weight, at each output
    # Backward takes as much for the weights, and again for the input of each layer but the first.
    both = 2 * sum(forward) + sum(forward[1:])
    assert bench.operations(name, 300, 70) == pytest.approx(300 * both + 70 * sum(forward))


def test_sprint_has_less_than_a_sixth_of_stage_4s_operations():
    assert 6 * bench.operations("sprint", 1, 0) < bench.operations("stage4", 1, 0)


def test_the_usual_pipeline_trains_on_the_same_digits(few, monkeypatch):
    seen = []
    cross_entropy = torch.nn.functional.cross_entropy
    monkeypatch.setattr(bench.F, "cross_entropy", lambda x, y: (seen.append(y), cross_entropy(x, y))[1])
    assert bench.usual_epoch("stage4", 500, 100, 0, CPU) > 0
    assert [len(labels) for labels in seen] == [*(500 // 64 * [64]), 500 % 64]
    assert torch.equal(torch.cat(seen).bincount(), few[0].labels.bincount())


def test_parts_add_up_to_the_epoch_and_leave_no_hooks(few, monkeypatch):
    runs = []
    fit = bench.fit
    monkeypatch.setattr(bench, "fit", lambda *args, **options: runs.append(fit(*args, **options)) or runs[-1])
    parts = bench.where_time_goes("stage4", *few, CPU)
    assert sum(parts.values()) == pytest.approx(runs[0].last.seconds, rel=1e-6)
    assert min(parts.values()) > 0
    before = dict(parts)
    torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.1).step()
    assert parts == before


def test_the_one_epoch_recipe_learns(mnist):
    accuracy, seconds = bench.one_epoch_recipe(mnist[0][:10_000], mnist[1][:1000], CPU, seed=1)
    assert accuracy > 90
    assert seconds > 0


def test_time_to_accuracy_is_that_of_the_first_epoch_that_reaches_it(few, monkeypatch):
    rows = [SimpleNamespace(test_accuracy=accuracy, seconds=2.0) for accuracy in (98.0, 99.1, 98.9, 99.3)]
    monkeypatch.setattr(bench, "_fit", lambda *args: SimpleNamespace(epochs=rows))
    monkeypatch.setattr(bench, "one_epoch_recipe", lambda *args: (99.5, 3.0))
    results = bench.time_to_accuracy(*few, CPU, {"stage4": 2, "sprint": 1, bench.ONE_EPOCH: 3})
    assert results["stage4"] == [{"accuracy": 99.3, "99.0": 4.0, "99.4": None}] * 2
    assert results["sprint"] == results["stage4"][:1]
    assert results[bench.ONE_EPOCH] == [{"accuracy": 99.5, "99.0": 3.0, "99.4": 3.0}] * 3


def test_tables_take_medians_and_say_who_did_not_arrive():
    report = {
        "epoch": {"stage4": {"course": [2.0, 1.0, 9.0], "usual, 0 workers": [8.0, 6.0, 7.0]}},
        "time to accuracy": {
            "stage4": [{"accuracy": a, "99.0": 4.0, "99.4": when} for a, when in ((99.3, None), (99.5, 8.0))],
            bench.ONE_EPOCH: [{"accuracy": 99.1, "99.0": 3.0, "99.4": None}],
        },
    }
    assert bench.epoch_table(report).rows == [["stage4", "2.00 (1.00 to 9.00)", "7.00 (6.00 to 8.00)", "3.5×"]]
    assert bench.goals_table(report).rows == [
        ["stage4", "2", "99.40", "4.0 (4.0 to 4.0)", "1 of 2 seeds: 8.0 (8.0 to 8.0)"],
        [bench.ONE_EPOCH, "1", "99.10", "3.0 (3.0 to 3.0)", "0 of 1 seeds"],
    ]


@pytest.mark.slow
def test_the_whole_benchmark_says_and_returns_every_comparison(few, monkeypatch):
    said = []
    monkeypatch.setattr(bench.data, "load", lambda: few)
    monkeypatch.setattr(bench, "peak_memory", lambda: 123.0)  # a process of its own, on all digits
    report = bench.run_benchmark("cpu", quick=True, say=lambda text: said.append(str(text)))
    assert json.loads(json.dumps(report)) == report
    assert set(report["epoch"]) == set(STAGES)
    assert all(set(x) == {"course", "usual, 0 workers", "usual, 2 workers"} for x in report["epoch"].values())
    assert report["environment"]["threads"] == torch.get_num_threads()
    assert set(report["inference"]) == {"1", "1,000"}
    assert len(said) == 11  # five tables under their titles, and the memory

    said.clear()
    emptied = {**report, "time to accuracy": {}}
    again = bench.run_benchmark("cpu", quick=True, say=said.append, only=["goals"], report=emptied)
    assert len(said) == 2
    assert set(again["time to accuracy"]) == set(report["time to accuracy"])
    assert {**again, "time to accuracy": {}} == emptied
    elsewhere = {**report, "environment": {**report["environment"], "threads": 99}}
    with pytest.raises(DrillError, match="another machine"):
        bench.run_benchmark("cpu", quick=True, say=said.append, only=["goals"], report=elsewhere)
    with pytest.raises(DrillError, match="measure the part epoch"):
        bench.run_benchmark("cpu", quick=True, say=said.append, only=["limit"])


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"environment": 5}', "null"])
def test_what_is_not_a_benchmark_is_refused(content, tmp_path):
    (tmp_path / "bench.json").write_text(content)
    with pytest.raises(DrillError, match=r"bench\.json"):
        bench.load_report(tmp_path / "bench.json")
