import time
from types import SimpleNamespace

import pytest
import torch
from torch.optim import optimizer

from mnist_drill import train
from mnist_drill.benchmark import contenders, measurements
from mnist_drill.benchmark.contenders import ONE_EPOCH
from mnist_drill.training import setup

CPU = torch.device("cpu")


@pytest.mark.parametrize("mixed", [False, True], ids=["float32", "mixed precision"])
def test_parts_add_up_to_the_epoch_and_leave_no_hooks(mixed, few, monkeypatch):
    networks, runs = [], []
    fit = contenders.fit

    def noted(network, *arguments, **options):
        networks.append(network)
        runs.append(fit(network, *arguments, **options))
        return runs[-1]

    monkeypatch.setattr(contenders, "fit", noted)
    monkeypatch.setattr(setup, "has_bfloat16", lambda device: mixed)
    parts = measurements.where_time_goes("stage4", *few, CPU)
    assert sum(parts.values()) == pytest.approx(runs[0].last.seconds, rel=1e-6)
    assert len(parts) == 5
    assert min(parts.values()) > 0
    hooks = (
        networks[0]._forward_pre_hooks,
        networks[0]._forward_hooks,
        optimizer._global_optimizer_pre_hooks,
        optimizer._global_optimizer_post_hooks,
    )
    assert not any(hooks)


def test_setting_up_is_no_part_of_the_epoch(few, monkeypatch):
    prepare = train.prepare

    def slow(*arguments):
        time.sleep(5)
        return prepare(*arguments)

    monkeypatch.setattr(train, "prepare", slow)
    parts = measurements.where_time_goes("stage4", *few, CPU)
    assert min(parts.values()) > 0


def test_a_matrix_product_is_measured_in_each_native_precision(monkeypatch):
    for native, precisions in ((False, {"float32"}), (True, {"float32", "bfloat16"})):
        monkeypatch.setattr(measurements, "has_bfloat16", lambda device, native=native: native)
        throughput = measurements.matrix_throughput(CPU, rounds=2, side=64)
        assert set(throughput) == precisions
        assert all(len(values) == 2 and min(values) > 0 for values in throughput.values())


def test_time_to_accuracy_is_that_of_the_first_epoch_that_reaches_it(few, monkeypatch):
    rows = [SimpleNamespace(test_accuracy=accuracy, seconds=2.0) for accuracy in (98.0, 99.1, 98.9, 99.3)]
    monkeypatch.setattr(measurements, "course_run", lambda *arguments: SimpleNamespace(epochs=rows))
    monkeypatch.setattr(measurements, "one_epoch_recipe", lambda *arguments: (99.5, 3.0))
    results = measurements.time_to_accuracy(*few, CPU, {"stage4": 2, "sprint": 1, ONE_EPOCH: 3})
    assert results["stage4"] == [{"accuracy": 99.3, "99.0": 4.0, "99.4": None}] * 2
    assert results["sprint"] == results["stage4"][:1]
    assert results[ONE_EPOCH] == [{"accuracy": 99.5, "99.0": 3.0, "99.4": 3.0}] * 3


@pytest.mark.slow
def test_peak_memory_is_that_of_a_training_from_wherever_it_is_started(mnist, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = measurements.peak_memory("sprint")
    assert 200 < before < 100_000
    more = int(before) + 500
    assert len(b"1" * (more << 20)) == more << 20  # megabytes that this process has used, and frees
    assert measurements.peak_memory("sprint") < before + 250


def test_peak_memory_is_not_known_of_a_training_that_fails(tmp_path, monkeypatch):
    monkeypatch.setattr(measurements, "data_folder", lambda: tmp_path / "file" / "data")
    (tmp_path / "file").touch()
    assert measurements.peak_memory() is None
