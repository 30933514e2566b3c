import contextlib
from dataclasses import replace

import pytest
import torch

from mnist_drill import data, train
from mnist_drill.errors import DrillError
from mnist_drill.models import build
from mnist_drill.recipes import STAGE4
from mnist_drill.storage.archive import read_archive, write_archive
from mnist_drill.storage.resume import FORMAT, fit_resumable
from mnist_drill.train import fit
from mnist_drill.training.devices import random_states, restore_random
from tests.comparing import same_weights, without_seconds
from tests.training.interrupts import interrupted_in

RECIPE = STAGE4.with_epochs(3)


def trained(few, state=None, recipe=RECIPE, name="stage4", **options):
    model = build(name, 1)
    options = {"name": name, "seed": 1, "device": "cpu", "progress": False, "on_epoch": lambda row: None} | options
    if state is None:
        return model, fit(model, recipe, *few, **options)
    return model, fit_resumable(state, model, recipe, *few, **options)


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_a_resumed_training_ends_as_one_that_was_never_interrupted(few, tmp_path, monkeypatch, error):
    model, whole = trained(few)
    with monkeypatch.context() as patch:
        interrupted_in(patch, 2, error)
        with contextlib.suppress(OSError):
            trained(few, tmp_path / "state")
    seen = []
    resumed, run = trained(few, tmp_path / "state", on_epoch=seen.append)
    assert without_seconds(run) == without_seconds(whole)
    assert seen == list(run.epochs)  # the earlier row, too
    assert (run.stopped, run.train_score) == ("", whole.train_score)
    assert same_weights(resumed, model)
    # Finished, it is there at once.
    monkeypatch.setattr(train, "train_epoch", lambda *a: pytest.fail("trained again"))
    once_more, run = trained(few, tmp_path / "state")
    assert without_seconds(run) == without_seconds(whole)
    assert same_weights(once_more, model)


def test_every_epoch_is_kept_when_it_is_finished(few, tmp_path):
    kept = []
    trained(few, tmp_path / "state", on_epoch=lambda row: kept.append(len(read_archive(tmp_path / "state")["rows"])))
    assert kept == [1, 2, 3]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"recipe": replace(RECIPE, batch_size=32)}, "recipe"),
        ({"seed": 2}, "seed"),
        ({"name": "stage2"}, "network"),
    ],
)
def test_a_state_of_another_training_is_refused_and_kept(few, tmp_path, changes, named):
    trained(few, tmp_path / "state")
    before = (tmp_path / "state").read_bytes()
    with pytest.raises(DrillError, match=f"state holds a training with another {named}"):
        trained(few, tmp_path / "state", **changes)
    assert (tmp_path / "state").read_bytes() == before


def test_a_state_of_other_data_is_refused_and_kept(few, tmp_path):
    trained(few, tmp_path / "state")
    before = (tmp_path / "state").read_bytes()
    train_set, test_set = few
    for other in ((train_set[:499], test_set), (train_set, test_set[:499]), data.split(train_set)):
        with pytest.raises(DrillError, match="state holds a training with another data"):
            trained(other, tmp_path / "state")
    assert (tmp_path / "state").read_bytes() == before


def interrupted(few, state, monkeypatch):
    with monkeypatch.context() as patch:
        interrupted_in(patch, 2, KeyboardInterrupt)
        trained(few, state)


def test_a_training_is_resumed_where_there_are_other_gpus(few, tmp_path, monkeypatch):
    _, whole = trained(few)
    interrupted(few, tmp_path / "state", monkeypatch)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: False)  # or the optimizer would ask the GPU
    _, run = trained(few, tmp_path / "state")
    assert without_seconds(run) == without_seconds(whole)


def test_a_training_of_a_gpu_is_resumed_where_there_is_none(few, tmp_path, monkeypatch):
    interrupted(few, tmp_path / "state", monkeypatch)
    content = read_archive(tmp_path / "state")
    content["random"]["cuda"] = torch.zeros(16, dtype=torch.uint8)
    write_archive(tmp_path / "state", content)
    _, run = trained(few, tmp_path / "state")
    assert (len(run.epochs), run.stopped) == (3, "")


class Generators:
    """In place of torch's module of a kind of device: its random generator is one of the CPU."""

    def __init__(self):
        self.generator = torch.Generator().manual_seed(1)
        self.get_rng_state, self.set_rng_state = self.generator.get_state, self.generator.set_state
        self.manual_seed = self.generator.manual_seed

    def draws(self):
        return torch.rand(5, generator=self.generator).tolist()


def test_the_random_generator_of_the_device_goes_on_and_that_of_another_kind_starts_anew(monkeypatch):
    kinds = {"cuda": Generators(), "mps": Generators()}
    monkeypatch.setattr(torch, "get_device_module", lambda device: kinds[device.type])
    cuda, mps, cpu = (torch.device(kind) for kind in ("cuda", "mps", "cpu"))
    first = kinds["cuda"].draws()
    states = random_states(cuda)
    expected, of_cpu = kinds["cuda"].draws(), torch.rand(5).tolist()

    restore_random(states, cuda)
    assert (kinds["cuda"].draws(), torch.rand(5).tolist()) == (expected, of_cpu)
    restore_random(states, cpu)
    assert torch.rand(5).tolist() == of_cpu
    restore_random(states, mps)
    anew = kinds["mps"].draws()
    assert anew != first  # as after the same seed at the start
    restore_random(states, mps)
    assert kinds["mps"].draws() == anew
    torch.rand(1)
    restore_random(random_states(cpu), mps)
    assert kinds["mps"].draws() != anew


def test_a_damaged_state_is_refused(few, tmp_path):
    trained(few, tmp_path / "state")
    sound = (tmp_path / "state").read_bytes()
    for content in (b"", b"text", sound[: len(sound) // 2], sound[:5000] + bytes([sound[5000] ^ 1]) + sound[5001:]):
        (tmp_path / "state").write_bytes(content)
        with pytest.raises(DrillError, match="state does not hold this training"):
            trained(few, tmp_path / "state")
    for format in (1, FORMAT):
        write_archive(tmp_path / "state", {"format": format, "identity": {}, "rows": []})
        with pytest.raises(DrillError, match="state does not hold this training"):
            trained(few, tmp_path / "state")
