"""What is logged is what the trackers' own readers give back."""

import importlib.util
import sys

import pytest
from PIL import Image

from mnist_drill import cli, data, train
from mnist_drill.cli import tracking
from mnist_drill.errors import DrillError
from mnist_drill.runs import Run
from mnist_drill.storage import resume

COLUMNS = {"train_loss", "train_accuracy", "test_loss", "test_accuracy", "seconds"}


@pytest.fixture
def logged(few, tmp_path, monkeypatch):
    """Trains `sprint` for two epochs on 500 images under a tracker, in an empty folder, and returns the run."""
    monkeypatch.setattr(data, "load", lambda: few)
    monkeypatch.chdir(tmp_path)

    def run(kind, *more):
        arguments = ["train", "sprint", "--epochs", "2", "--device", "cpu", "--track", kind, *more]
        monkeypatch.setattr(sys, "argv", ["mnist-drill", *arguments])
        cli.main()
        return Run.load("runs/sprint.json")

    return run


@pytest.fixture
def mlflow(tmp_path, monkeypatch):
    """MLflow with an empty store below the folder of the test."""
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/store.db")
    monkeypatch.setenv("GIT_PYTHON_REFRESH", "quiet")
    yield mlflow
    mlflow.end_run()
    mlflow.set_tracking_uri(None)


def test_mlflows_client_reads_back_the_run(logged, mlflow, tmp_path):
    run = logged("mlflow")
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name("mnist-drill")
    (stored,) = client.search_runs([experiment.experiment_id])
    assert (stored.info.run_name, stored.info.status) == ("sprint", "FINISHED")
    parameters = stored.data.params
    assert {key: parameters[key] for key in ("network", "seed", "epochs", "ema_decay", "schedule.warmup")} == {
        "network": "sprint", "seed": "1", "epochs": "2", "ema_decay": "0.0", "schedule.warmup": "0.3",
    }  # fmt: skip
    assert set(stored.data.metrics) == COLUMNS
    for column in COLUMNS:
        history = client.get_metric_history(stored.info.run_id, column)
        assert [(x.step, x.value) for x in history] == [(row.epoch, getattr(row, column)) for row in run.epochs]

    fetched = tmp_path / "fetched"
    mlflow.artifacts.download_artifacts(run_id=stored.info.run_id, dst_path=str(fetched))
    for name in ("sprint.pt", "sprint.json"):
        assert (fetched / name).read_bytes() == (tmp_path / "runs" / name).read_bytes()
    for name in ("curves.png", "confusion.png"):
        assert Image.open(fetched / "figures" / name).width > 100


def test_a_run_that_fails_is_marked_as_failed(logged, mlflow, monkeypatch):
    monkeypatch.setattr(resume, "fit", lambda *a, **k: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        logged("mlflow")
    (stored,) = mlflow.MlflowClient().search_runs([mlflow.get_experiment_by_name("mnist-drill").experiment_id])
    assert stored.info.status == "FAILED"


def test_an_interrupted_run_is_marked_as_failed_and_the_finished_one_is_not_logged_again(
    logged, mlflow, monkeypatch, capsys
):
    def interrupt(row):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(train, "print_epoch", interrupt)
        with pytest.raises(SystemExit) as stop:
            logged("mlflow")
    assert stop.value.code == 130
    experiment = mlflow.get_experiment_by_name("mnist-drill").experiment_id
    assert [run.info.status for run in mlflow.MlflowClient().search_runs([experiment])] == ["FAILED"]
    logged("mlflow", "--resume")
    logged("mlflow", "--resume")
    assert "are finished" in capsys.readouterr().out
    states = [run.info.status for run in mlflow.MlflowClient().search_runs([experiment])]
    assert sorted(states) == ["FAILED", "FINISHED"]


def test_a_store_that_cannot_be_reached_is_one_error_before_the_training(logged, mlflow, monkeypatch, capsys):
    monkeypatch.setattr(resume, "fit", lambda *a, **k: pytest.fail("trained"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(SystemExit) as stop:
        logged("mlflow")
    errors = capsys.readouterr().err.strip().splitlines()
    assert stop.value.code == 2
    assert len(errors) == 1
    assert "http://127.0.0.1:9" in errors[0]


def test_a_store_that_fails_on_the_way_costs_no_run(logged, mlflow, monkeypatch, capsys):
    def refuse(*arguments, **options):
        raise OSError("no space left")

    monkeypatch.setattr(mlflow, "log_metrics", refuse)
    assert len(logged("mlflow").epochs) == 2
    assert "metrics could not be logged to MLflow: no space left" in capsys.readouterr().err


def test_tensorboard_reads_back_the_run(logged, tmp_path):
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run = logged("tensorboard")
    (folder,) = (tmp_path / "runs" / "tensorboard").iterdir()
    events = event_accumulator.EventAccumulator(str(folder))
    events.Reload()
    assert set(events.Tags()["scalars"]) == COLUMNS
    for column in COLUMNS:
        values = [(x.step, x.value) for x in events.Scalars(column)]
        assert values == [(row.epoch, pytest.approx(getattr(row, column), rel=1e-6)) for row in run.epochs]
    assert set(events.Tags()["images"]) == {"curves", "confusion"}
    (parameters,) = events.Tensors("parameters/text_summary")
    assert "| schedule.warmup | 0.3 |" in parameters.tensor_proto.string_val[0].decode()


@pytest.mark.parametrize("kind", tracking.TRACKERS)
def test_without_the_package_the_error_says_what_to_install(kind, tmp_path, monkeypatch):
    there = importlib.util.find_spec
    monkeypatch.setattr(tracking, "find_spec", lambda name: None if name == kind else there(name))
    with pytest.raises(DrillError, match=f"pip install {kind}"):
        tracking.tracker_for(kind, "sprint", tmp_path)


def test_nested_parameters_have_names_with_dots():
    assert tracking._flat({"a": {"b": 0.5, "c": {"d": "x"}}, "e": None}) == {
        "a.b": "0.5",
        "a.c.d": "x",
        "e": "null",
    }
